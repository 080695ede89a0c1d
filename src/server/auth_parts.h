/* What auth.c is made of; each part knows nothing of the others and is tested by itself. */
#ifndef ARROWPORT_SERVER_AUTH_PARTS_H
#define ARROWPORT_SERVER_AUTH_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/table_name.h"
#include "base/text.h"

/* ---- patterns (auth_pattern.c) ---------------------------------------------------- */

/* '*' is any run of characters, '?' one. `fold_case`: ASCII letters of either case are the
 * same. Takes at most pattern length times text length steps. */
bool auth_pattern_matches(const char *pattern, const char *text, bool fold_case);

/* A table pattern is a table name whose parts are patterns; "*" alone is every table. Parts that
 * are not given are the default schema ("main") and the database's own catalog (""). Letters of
 * either case are the same, as they are to SQL. */
bool auth_pattern_table(const char *pattern, const struct table_name *name);
enum status auth_pattern_table_check(const char *pattern, struct error *error) WARN_UNUSED;

/* ---- base64 and hashes (auth_hash.c) ------------------------------------------------ */

/* Strict (RFC 4648 section 4): nothing but the alphabet, '=' exactly where `padded` asks for it,
 * and no bits set that stand for nothing, so that one text means one value. False otherwise, or
 * when `room` is too small. */
bool auth_base64_decode(const char *text, size_t text_bytes, bool padded, uint8_t *out, size_t room,
                        size_t *bytes);

enum {
  AUTH_HASH_BYTES_MAX = 64,
  AUTH_SHA256_BYTES = 32,
};

/* A password's hash: "$scrypt$ln=15,r=8,p=1$SALT$HASH" (PHC string format, RFC 7914). */
struct auth_hash {
  int ln, r, p;
  uint8_t salt[AUTH_HASH_BYTES_MAX];
  size_t salt_bytes;
  uint8_t hash[AUTH_HASH_BYTES_MAX];
  size_t hash_bytes;
};

/* STATUS_INVALID never repeats the text. Costs are limited: at most 256 MiB and some seconds. */
enum status auth_hash_parse(const char *text, struct auth_hash *hash,
                            struct error *error) WARN_UNUSED;
/* Some 100 ms and 32 MiB at the default cost. False also without memory. */
bool auth_hash_matches(const struct auth_hash *hash, const char *password);
/* A hash of `hash`'s cost that no password has: what an unknown name is checked against. */
bool auth_hash_dummy(const struct auth_hash *like, struct auth_hash *dummy);

/* SHA-256 of `bytes`; false when OpenSSL fails. */
bool auth_sha256(const void *data, size_t bytes, uint8_t digest[AUTH_SHA256_BYTES]);

/* ---- logins that were right (auth_cache.c) ------------------------------------------ */

/* Names and passwords that were checked lately, so that a client that stays does not pay for
 * each request. Holds no password: the key is an HMAC under a random key of its own. From any
 * thread. */
struct auth_cache;
enum { AUTH_CACHE_ENTRIES = 1024, AUTH_CACHE_MS = 5 * 60 * 1000 };

struct auth_cache *auth_cache_new(void); /* NULL: no memory or no randomness */
void auth_cache_free(struct auth_cache *cache);
/* What was put there for them less than AUTH_CACHE_MS ago, or NULL. */
const void *auth_cache_get(struct auth_cache *cache, const char *name, const char *password,
                           int64_t now_ms);
void auth_cache_put(struct auth_cache *cache, const char *name, const char *password,
                    const void *value, int64_t now_ms);

/* ---- the header Authorization (auth_header.c) --------------------------------------- */

enum auth_scheme {
  AUTH_SCHEME_NONE,   /* no header */
  AUTH_SCHEME_BEARER, /* RFC 6750 section 2.1 */
  AUTH_SCHEME_BASIC,  /* RFC 7617 */
  AUTH_SCHEME_BROKEN  /* another scheme, or not well formed */
};

struct auth_header {
  enum auth_scheme scheme;
  const char *token; /* in `memory` */
  const char *name;
  const char *password;
  char *memory;
  size_t memory_bytes;
};

/* `value` NULL: there is none. STATUS_NOMEM; whatever else is wrong is a scheme. Released by
 * auth_header_release, which wipes it. */
enum status auth_header_parse(const char *value, struct auth_header *header,
                              struct error *error) WARN_UNUSED;
void auth_header_release(struct auth_header *header);

#endif
