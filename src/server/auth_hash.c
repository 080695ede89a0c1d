/* Passwords as scrypt hashes (RFC 7914) in the PHC string format, and what they are written in.
 *
 * The memory that one check takes is what makes guessing dear, for us too: callers bound how
 * many run at a time (admission.c). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "server/auth.h"
#include "server/auth_parts.h"

enum {
  LN = 15, /* with R: 32 MiB, some 100 ms */
  R = 8,
  P = 1,
  SALT_BYTES = 16,
  SALT_BYTES_MIN = 8,
  HASH_BYTES = 32,
  HASH_BYTES_MIN = 16,
  LN_MIN = 10,
  LN_MAX = 20,
  BLOCK_MAX = 32, /* of r and of p */
};

static const int64_t MEMORY_BYTES_MAX = INT64_C(256) << 20;
static const int64_t WORK_MAX = INT64_C(1) << 23; /* N * r * p: 32 times the default */

/* ---- base64 -------------------------------------------------------------------------- */

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int digit_of(char byte) {
  if (byte >= 'A' && byte <= 'Z') return byte - 'A';
  if (byte >= 'a' && byte <= 'z') return byte - 'a' + 26;
  if (byte >= '0' && byte <= '9') return byte - '0' + 52;
  return byte == '+' ? 62 : byte == '/' ? 63 : -1;
}

bool auth_base64_decode(const char *text, size_t text_bytes, bool padded, uint8_t *out, size_t room,
                        size_t *bytes) {
  *bytes = 0;
  if (padded) {
    if (text_bytes % 4 != 0) return false;
    for (int i = 0; i < 2 && text_bytes > 0 && text[text_bytes - 1] == '='; i++) text_bytes--;
  }
  size_t rest = text_bytes % 4; /* 2 digits more are a byte more, 3 are two */
  if (rest == 1 || text_bytes / 4 * 3 + (rest == 0 ? 0 : rest - 1) > room) return false;
  uint32_t bits = 0;
  int bit_count = 0;
  for (size_t i = 0; i < text_bytes; i++) {
    int digit = digit_of(text[i]);
    if (digit < 0) return false;
    bits = (bits << 6 | (uint32_t)digit) & 0xFFFF;
    bit_count += 6;
    if (bit_count < 8) continue;
    bit_count -= 8;
    out[(*bytes)++] = (uint8_t)(bits >> bit_count);
  }
  return (bits & ((1U << bit_count) - 1)) == 0;
}

static enum status add_base64(struct text *out, const uint8_t *data, size_t bytes,
                              struct error *error) {
  uint32_t bits = 0;
  int bit_count = 0;
  enum status status = STATUS_OK;
  for (size_t i = 0; i < bytes && status == STATUS_OK; i++) {
    bits = (bits << 8 | data[i]) & 0xFFFF;
    for (bit_count += 8; bit_count >= 6 && status == STATUS_OK; bit_count -= 6)
      status = text_add_bytes(out, &ALPHABET[bits >> (bit_count - 6) & 63], 1, error);
  }
  if (status == STATUS_OK && bit_count > 0)
    status = text_add_bytes(out, &ALPHABET[bits << (6 - bit_count) & 63], 1, error);
  return status;
}

/* ---- scrypt ----------------------------------------------------------------------------- */

static enum status derive(const struct auth_hash *hash, const char *password, uint8_t *out,
                          size_t out_bytes, struct error *error) {
  uint64_t memory_bytes = (UINT64_C(128) << hash->ln) * (uint64_t)hash->r +
                          UINT64_C(128) * (uint64_t)hash->r * (uint64_t)hash->p + (1 << 20);
  if (EVP_PBE_scrypt(password, strlen(password), hash->salt, hash->salt_bytes,
                     UINT64_C(1) << hash->ln, (uint64_t)hash->r, (uint64_t)hash->p, memory_bytes,
                     out, out_bytes) == 1)
    return STATUS_OK;
  return error_set(error, STATUS_NOMEM, "no memory to hash a password");
}

bool auth_hash_matches(const struct auth_hash *hash, const char *password) {
  uint8_t made[AUTH_HASH_BYTES_MAX];
  if (derive(hash, password, made, hash->hash_bytes, NULL) != STATUS_OK) return false;
  bool same = CRYPTO_memcmp(made, hash->hash, hash->hash_bytes) == 0;
  OPENSSL_cleanse(made, sizeof made);
  return same;
}

bool auth_hash_dummy(const struct auth_hash *like, struct auth_hash *dummy) {
  *dummy = *like;
  return RAND_bytes(dummy->salt, (int)dummy->salt_bytes) == 1 &&
         RAND_bytes(dummy->hash, (int)dummy->hash_bytes) == 1;
}

enum status auth_hash(const char *password, struct text *out, struct error *error) {
  struct auth_hash hash = {.ln = LN, .r = R, .p = P, .salt_bytes = SALT_BYTES};
  if (RAND_bytes(hash.salt, SALT_BYTES) != 1)
    return error_set(error, STATUS_INTERNAL, "the system gives no random bytes");
  enum status status = derive(&hash, password, hash.hash, HASH_BYTES, error);
  if (status == STATUS_OK)
    status = text_add_format(out, error, "$scrypt$ln=%d,r=%d,p=%d$", LN, R, P);
  if (status == STATUS_OK) status = add_base64(out, hash.salt, SALT_BYTES, error);
  if (status == STATUS_OK) status = text_add(out, "$", error);
  if (status == STATUS_OK) status = add_base64(out, hash.hash, HASH_BYTES, error);
  return status;
}

/* ---- the text form ------------------------------------------------------------------------ */

/* "ln=15," -> 15; moves past it. */
static bool read_cost(const char **at, const char *name, char end, int min, int max, int *value) {
  size_t name_bytes = strlen(name);
  if (strncmp(*at, name, name_bytes) != 0) return false;
  *at += name_bytes;
  size_t digits = strspn(*at, "0123456789");
  if (digits == 0 || digits > 4 || (*at)[0] == '0' || (*at)[digits] != end) return false;
  *value = 0;
  for (size_t i = 0; i < digits; i++) *value = *value * 10 + ((*at)[i] - '0');
  *at += digits + 1;
  return *value >= min && *value <= max;
}

static bool parse(const char *text, struct auth_hash *hash) {
  static const char name[] = "$scrypt$";
  if (strncmp(text, name, sizeof name - 1) != 0) return false;
  text += sizeof name - 1;
  if (!read_cost(&text, "ln=", ',', LN_MIN, LN_MAX, &hash->ln) ||
      !read_cost(&text, "r=", ',', 1, BLOCK_MAX, &hash->r) ||
      !read_cost(&text, "p=", '$', 1, BLOCK_MAX, &hash->p))
    return false;
  int64_t blocks = (INT64_C(1) << hash->ln) * hash->r;
  if (blocks * 128 > MEMORY_BYTES_MAX || blocks * hash->p > WORK_MAX) return false;
  size_t salt_text_bytes = strcspn(text, "$");
  if (text[salt_text_bytes] != '$') return false;
  const char *rest = text + salt_text_bytes + 1;
  return auth_base64_decode(text, salt_text_bytes, false, hash->salt, sizeof hash->salt,
                            &hash->salt_bytes) &&
         auth_base64_decode(rest, strlen(rest), false, hash->hash, sizeof hash->hash,
                            &hash->hash_bytes) &&
         hash->salt_bytes >= SALT_BYTES_MIN && hash->hash_bytes >= HASH_BYTES_MIN;
}

enum status auth_hash_parse(const char *text, struct auth_hash *hash, struct error *error) {
  *hash = (struct auth_hash){0};
  if (parse(text, hash)) return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "this is no password hash that is taken here ($scrypt$ln=15,r=8,p=1$SALT$HASH); "
                   "`arrowport hash-password` makes one");
}

bool auth_sha256(const void *data, size_t bytes, uint8_t digest[AUTH_SHA256_BYTES]) {
  return EVP_Digest(data, bytes, digest, NULL, EVP_sha256(), NULL) == 1;
}
