/* Tokens that Handshake gave out: random, kept as their SHA-256 only, in a hash table that is looked
 * through from where the digest says. What is looked for is a digest, of which nobody can choose more
 * than a few bits, so a comparison that stops early tells nothing. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "base/clock.h"
#include "server/auth_parts.h"
#include "server/flight.h"

enum {
  TOKEN_RANDOM_BYTES = 32,
  BUCKETS = 4096, /* of lists: a power of two */
};

struct login_token {
  struct login_token *next;          /* in its bucket */
  struct login_token *newer, *older; /* by when they were used last */
  uint8_t digest[AUTH_SHA256_BYTES];
  uint8_t secret[AUTH_SECRET_BYTES]; /* of whom it stands for, when it was given out */
  int64_t used_ms;
  char who[];
};

struct flight_logins {
  struct login_token *buckets[BUCKETS];
  struct login_token *newest, *oldest;
  int64_t count;
};

enum status flight_logins_new(struct flight_logins **logins, struct error *error) {
  *logins = calloc(1, sizeof **logins);
  return *logins != NULL ? STATUS_OK : error_set(error, STATUS_NOMEM, "no memory to start");
}

static struct login_token **bucket_of(struct flight_logins *logins, const uint8_t *digest) {
  size_t at = (size_t)digest[0] | (size_t)digest[1] << 8;
  return &logins->buckets[at % BUCKETS];
}

static void unlink_age(struct flight_logins *logins, struct login_token *token) {
  *(token->newer != NULL ? &token->newer->older : &logins->newest) = token->older;
  *(token->older != NULL ? &token->older->newer : &logins->oldest) = token->newer;
}

static void link_newest(struct flight_logins *logins, struct login_token *token) {
  token->newer = NULL;
  token->older = logins->newest;
  *(logins->newest != NULL ? &logins->newest->newer : &logins->oldest) = token;
  logins->newest = token;
}

static void forget(struct flight_logins *logins, struct login_token *token) {
  struct login_token **link = bucket_of(logins, token->digest);
  while (*link != token) link = &(*link)->next;
  *link = token->next;
  unlink_age(logins, token);
  logins->count--;
  OPENSSL_cleanse(token, sizeof *token);
  free(token);
}

static void forget_oldest(struct flight_logins *logins) {
  assert(logins->oldest != NULL && logins->oldest->older == NULL);
  forget(logins, logins->oldest);
}

void flight_logins_free(struct flight_logins *logins) {
  if (logins == NULL) return;
  while (logins->oldest != NULL) forget_oldest(logins);
  free(logins);
}

/* Those that were not used for too long. */
static void expire(struct flight_logins *logins, const struct server_config *config) {
  int64_t idle_ms = config->flight.session_idle_ms;
  while (logins->oldest != NULL && clock_now_ms() - logins->oldest->used_ms > idle_ms)
    forget_oldest(logins);
}

static bool make_token(char token[FLIGHT_TOKEN_BYTES], uint8_t digest[AUTH_SHA256_BYTES]) {
  uint8_t random[TOKEN_RANDOM_BYTES];
  if (RAND_bytes(random, sizeof random) != 1) return false;
  for (size_t i = 0; i < sizeof random; i++) {
    token[2 * i] = "0123456789abcdef"[random[i] >> 4];
    token[2 * i + 1] = "0123456789abcdef"[random[i] & 15];
  }
  token[FLIGHT_TOKEN_BYTES - 1] = '\0';
  OPENSSL_cleanse(random, sizeof random);
  return auth_sha256(token, FLIGHT_TOKEN_BYTES - 1, digest);
}

enum status flight_login_add(struct flight_logins *logins, const struct server_config *config,
                             const struct identity *who, char token[FLIGHT_TOKEN_BYTES],
                             struct error *error) {
  size_t name_bytes = strlen(who->name) + 1;
  expire(logins, config);
  struct login_token *made = calloc(1, sizeof *made + name_bytes);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a token");
  memcpy(made->who, who->name, name_bytes);
  if (!make_token(token, made->digest)) {
    free(made);
    return error_set(error, STATUS_INTERNAL, "the system gives no random bytes");
  }
  /* Where nobody is configured there is nobody to stand for: nobody looks at tokens either. */
  if (auth_identity(config->auth, who->name, made->secret) == NULL) {
    free(made);
    return STATUS_OK;
  }
  if (logins->count == FLIGHT_LOGINS_MAX) forget_oldest(logins);
  made->used_ms = clock_now_ms();
  struct login_token **bucket = bucket_of(logins, made->digest);
  made->next = *bucket;
  *bucket = made;
  link_newest(logins, made);
  logins->count++;
  return STATUS_OK;
}

const struct identity *flight_login_find(struct flight_logins *logins,
                                         const struct server_config *config, const char *token) {
  uint8_t digest[AUTH_SHA256_BYTES], secret[AUTH_SECRET_BYTES];
  expire(logins, config);
  if (!auth_sha256(token, strlen(token), digest)) return NULL;
  struct login_token *found = *bucket_of(logins, digest);
  while (found != NULL && CRYPTO_memcmp(found->digest, digest, sizeof digest) != 0)
    found = found->next;
  if (found == NULL) return NULL;
  const struct identity *who = auth_identity(config->auth, found->who, secret);
  if (who == NULL || memcmp(found->secret, secret, sizeof secret) != 0) {
    forget(logins, found);
    return NULL;
  }
  found->used_ms = clock_now_ms();
  unlink_age(logins, found);
  link_newest(logins, found);
  return who;
}
