/* A hash table of fixed size whose entries also form a list by the time of their last failure.
 *
 * 1. An entry in use is in exactly one bucket's chain and in the list.
 * 2. The list begins with the entry that failed last; its end is reused when none is free.
 *
 * Where an address lands in the table depends on a random number, so that nobody can choose
 * addresses that all land in one place. */
#include "server/throttle.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

enum { BUCKETS = 4096, NONE = -1, KEY_BYTES = 9 };

struct entry {
  uint8_t key[KEY_BYTES]; /* family, then the address or its /64 */
  int failures;           /* in the window; THROTTLE_FREE and more: it has to wait */
  int64_t window_ms;      /* when the first of them was */
  int64_t last_ms;
  int64_t wait_ms;  /* the present waiting time; 0: none yet */
  int64_t until_ms; /* what comes before is refused */
  int next_in_bucket;
  int newer, older; /* in the list */
};

struct throttle {
  uint64_t seed;
  int used;           /* entries[0..used) have been in use */
  int newest, oldest; /* of the list */
  int unused;         /* chain of entries that were forgotten, by next_in_bucket */
  int buckets[BUCKETS];
  struct entry entries[THROTTLE_ADDRESSES];
};

enum status throttle_new(struct throttle **throttle, struct error *error) {
  struct throttle *made = calloc(1, sizeof *made);
  *throttle = made;
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory to start");
  if (RAND_bytes((uint8_t *)&made->seed, sizeof made->seed) != 1)
    return error_set(error, STATUS_INTERNAL, "the system gives no random bytes");
  made->newest = made->oldest = made->unused = NONE;
  for (int i = 0; i < BUCKETS; i++) made->buckets[i] = NONE;
  return STATUS_OK;
}

void throttle_free(struct throttle *throttle) { free(throttle); }

/* What is no address (a local socket has none) shares one key. */
static void key_of(const char *address, uint8_t key[KEY_BYTES]) {
  static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  uint8_t bytes[16];
  char plain[64]; /* without a zone: "fe80::1%eth0" */
  size_t length = strcspn(address, "%");
  memset(key, 0, KEY_BYTES);
  if (length >= sizeof plain) return;
  memcpy(plain, address, length);
  plain[length] = '\0';
  if (inet_pton(AF_INET, plain, bytes) == 1) {
    key[0] = 4;
    memcpy(key + 1, bytes, 4);
  } else if (inet_pton(AF_INET6, plain, bytes) == 1) {
    bool v4 = memcmp(bytes, mapped, sizeof mapped) == 0;
    key[0] = v4 ? 4 : 6;
    memcpy(key + 1, v4 ? bytes + 12 : bytes, v4 ? 4 : 8);
  }
}

static int bucket_of(const struct throttle *throttle, const uint8_t key[KEY_BYTES]) {
  uint64_t hash = throttle->seed ^ key[0];
  for (int i = 1; i < KEY_BYTES; i++) {
    hash = (hash ^ key[i]) * UINT64_C(0x9E3779B97F4A7C15);
    hash ^= hash >> 29;
  }
  return (int)(hash % BUCKETS);
}

static int find(const struct throttle *throttle, const uint8_t key[KEY_BYTES]) {
  int at = throttle->buckets[bucket_of(throttle, key)];
  while (at != NONE && memcmp(throttle->entries[at].key, key, KEY_BYTES) != 0)
    at = throttle->entries[at].next_in_bucket;
  return at;
}

static bool is_past(const struct entry *entry, int64_t now_ms) {
  return now_ms - entry->last_ms >= THROTTLE_FORGET_MS;
}

/* ---- the list and the chains ----------------------------------------------------------- */

static void list_remove(struct throttle *throttle, int at) {
  const struct entry *entry = &throttle->entries[at];
  if (entry->newer == NONE)
    throttle->newest = entry->older;
  else
    throttle->entries[entry->newer].older = entry->older;
  if (entry->older == NONE)
    throttle->oldest = entry->newer;
  else
    throttle->entries[entry->older].newer = entry->newer;
}

static void list_add(struct throttle *throttle, int at) {
  struct entry *entry = &throttle->entries[at];
  entry->newer = NONE;
  entry->older = throttle->newest;
  if (throttle->newest == NONE)
    throttle->oldest = at;
  else
    throttle->entries[throttle->newest].newer = at;
  throttle->newest = at;
}

static void forget(struct throttle *throttle, int at) {
  struct entry *entry = &throttle->entries[at];
  int *link = &throttle->buckets[bucket_of(throttle, entry->key)];
  while (*link != at) link = &throttle->entries[*link].next_in_bucket;
  *link = entry->next_in_bucket;
  list_remove(throttle, at);
  entry->next_in_bucket = throttle->unused;
  throttle->unused = at;
}

static int add(struct throttle *throttle, const uint8_t key[KEY_BYTES], int64_t now_ms) {
  int at = throttle->unused;
  if (at == NONE && throttle->used == THROTTLE_ADDRESSES) {
    forget(throttle, throttle->oldest);
    at = throttle->unused;
  }
  if (at != NONE)
    throttle->unused = throttle->entries[at].next_in_bucket;
  else
    at = throttle->used++;
  int *bucket = &throttle->buckets[bucket_of(throttle, key)];
  struct entry *entry = &throttle->entries[at];
  *entry = (struct entry){.window_ms = now_ms, .next_in_bucket = *bucket};
  memcpy(entry->key, key, KEY_BYTES);
  *bucket = at;
  list_add(throttle, at);
  return at;
}

/* ---- what is asked ------------------------------------------------------------------------ */

int64_t throttle_wait_ms(const struct throttle *throttle, const char *address, int64_t now_ms) {
  if (throttle->newest == NONE) return 0; /* nobody has failed: the usual case */
  uint8_t key[KEY_BYTES];
  key_of(address, key);
  int at = find(throttle, key);
  if (at == NONE || is_past(&throttle->entries[at], now_ms)) return 0;
  int64_t left_ms = throttle->entries[at].until_ms - now_ms;
  return left_ms > 0 ? left_ms : 0;
}

void throttle_failed(struct throttle *throttle, const char *address, int64_t now_ms) {
  uint8_t key[KEY_BYTES];
  key_of(address, key);
  int at = find(throttle, key);
  if (at != NONE && is_past(&throttle->entries[at], now_ms)) {
    forget(throttle, at);
    at = NONE;
  }
  if (at == NONE) {
    at = add(throttle, key, now_ms);
  } else {
    list_remove(throttle, at);
    list_add(throttle, at);
  }
  struct entry *entry = &throttle->entries[at];
  entry->last_ms = now_ms;
  if (entry->wait_ms == 0 && now_ms - entry->window_ms >= THROTTLE_WINDOW_MS) {
    entry->failures = 0;
    entry->window_ms = now_ms;
  }
  entry->failures++;
  if (entry->failures < THROTTLE_FREE) return;
  entry->wait_ms = entry->wait_ms == 0 ? THROTTLE_WAIT_MS_MIN : entry->wait_ms * 2;
  if (entry->wait_ms > THROTTLE_WAIT_MS_MAX) entry->wait_ms = THROTTLE_WAIT_MS_MAX;
  entry->until_ms = now_ms + entry->wait_ms;
  if (entry->failures > THROTTLE_FREE) entry->failures = THROTTLE_FREE;
}

void throttle_succeeded(struct throttle *throttle, const char *address) {
  if (throttle->newest == NONE) return;
  uint8_t key[KEY_BYTES];
  key_of(address, key);
  int at = find(throttle, key);
  if (at != NONE) forget(throttle, at);
}
