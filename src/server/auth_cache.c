/* Logins that were right lately. A fixed array that is looked through from end to end: a look
 * costs microseconds where a check costs 100 ms. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "server/auth_parts.h"

struct entry {
  uint8_t key[AUTH_SHA256_BYTES];
  const void *value; /* NULL: free */
  int64_t until_ms;
  int64_t used; /* grows with each use: the smallest goes first */
};

struct auth_cache {
  pthread_mutex_t lock;
  uint8_t secret[AUTH_SHA256_BYTES];
  int64_t uses;
  struct entry entries[AUTH_CACHE_ENTRIES];
};

struct auth_cache *auth_cache_new(void) {
  struct auth_cache *cache = calloc(1, sizeof *cache);
  if (cache == NULL) return NULL;
  if (RAND_bytes(cache->secret, sizeof cache->secret) != 1) {
    free(cache);
    return NULL;
  }
  pthread_mutex_init(&cache->lock, NULL);
  return cache;
}

void auth_cache_free(struct auth_cache *cache) {
  if (cache == NULL) return;
  pthread_mutex_destroy(&cache->lock);
  OPENSSL_cleanse(cache, sizeof *cache);
  free(cache);
}

/* Two steps: the name is hashed by itself, so that no two pairs become one text. */
static bool key_of(const struct auth_cache *cache, const char *name, const char *password,
                   uint8_t key[AUTH_SHA256_BYTES]) {
  uint8_t of_name[AUTH_SHA256_BYTES];
  unsigned bytes = 0;
  bool made = HMAC(EVP_sha256(), cache->secret, sizeof cache->secret, (const uint8_t *)name,
                   strlen(name), of_name, &bytes) != NULL &&
              HMAC(EVP_sha256(), of_name, sizeof of_name, (const uint8_t *)password,
                   strlen(password), key, &bytes) != NULL;
  OPENSSL_cleanse(of_name, sizeof of_name);
  return made;
}

static struct entry *find(struct auth_cache *cache, const uint8_t key[AUTH_SHA256_BYTES],
                          int64_t now_ms) {
  for (size_t i = 0; i < AUTH_CACHE_ENTRIES; i++) {
    struct entry *entry = &cache->entries[i];
    if (entry->value == NULL) continue;
    if (now_ms >= entry->until_ms)
      *entry = (struct entry){.value = NULL};
    else if (memcmp(entry->key, key, AUTH_SHA256_BYTES) == 0)
      return entry;
  }
  return NULL;
}

const void *auth_cache_get(struct auth_cache *cache, const char *name, const char *password,
                           int64_t now_ms) {
  uint8_t key[AUTH_SHA256_BYTES];
  if (!key_of(cache, name, password, key)) return NULL;
  pthread_mutex_lock(&cache->lock);
  struct entry *entry = find(cache, key, now_ms);
  const void *value = entry == NULL ? NULL : entry->value;
  if (entry != NULL) entry->used = ++cache->uses;
  pthread_mutex_unlock(&cache->lock);
  return value;
}

void auth_cache_put(struct auth_cache *cache, const char *name, const char *password,
                    const void *value, int64_t now_ms) {
  uint8_t key[AUTH_SHA256_BYTES];
  if (!key_of(cache, name, password, key)) return;
  pthread_mutex_lock(&cache->lock);
  struct entry *slot = find(cache, key, now_ms);
  if (slot == NULL) { /* a free one has never been used: 0 is the smallest */
    slot = &cache->entries[0];
    for (size_t i = 1; i < AUTH_CACHE_ENTRIES; i++)
      if (cache->entries[i].used < slot->used) slot = &cache->entries[i];
  }
  slot->value = value;
  slot->until_ms = now_ms + AUTH_CACHE_MS;
  slot->used = ++cache->uses;
  memcpy(slot->key, key, sizeof key);
  pthread_mutex_unlock(&cache->lock);
}
