/* Long bounds are cut (parquet.thrift, Statistics: a bound need not be a value, but must be one of the type). UTF-8
 * orders as its code points do, so raising one raises the text. */
#include "parquet/statistics_bounds.h"

#include <assert.h>
#include <string.h>

#include "base/text.h"

enum {
  SURROGATE_FIRST = 0xD800,
  SURROGATE_LAST = 0xDFFF,
  CODE_POINT_LAST = 0x10FFFF,
};

void bound_exact(struct parquet_bound *bound, const void *data, int64_t bytes) {
  assert(bytes >= 0 && bytes <= PARQUET_BOUND_BYTES_MAX);
  if (bytes > 0) memcpy(bound->data, data, (size_t)bytes);
  bound->size_bytes = (uint8_t)bytes;
  bound->is_exact = true;
}

static bool continues(uint8_t byte) { return (byte & 0xC0) == 0x80; }

/* The end of the last character that ends at `bytes` or before. */
static int64_t character_end(struct parquet_bytes value, int64_t bytes) {
  while (bytes > 0 && continues(value.data[bytes])) bytes--;
  return bytes;
}

void bound_below(struct parquet_bound *bound, struct parquet_bytes value, int32_t bytes_max,
                 bool is_text) {
  int64_t bytes = value.size_bytes < bytes_max ? value.size_bytes : bytes_max;
  if (is_text && bytes < value.size_bytes) bytes = character_end(value, bytes);
  bound_exact(bound, value.data, bytes);
  bound->is_exact = bytes == value.size_bytes;
}

/* Without the bytes that cannot be raised. */
static bool raise_bytes(struct parquet_bound *bound) {
  while (bound->size_bytes > 0 && bound->data[bound->size_bytes - 1] == UINT8_MAX)
    bound->size_bytes--;
  if (bound->size_bytes == 0) return false;
  bound->data[bound->size_bytes - 1]++;
  return true;
}

static int64_t code_point_write(uint8_t *to, uint32_t code) {
  if (code < 0x80) {
    to[0] = (uint8_t)code;
    return 1;
  }
  int64_t bytes = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (int64_t i = bytes - 1; i > 0; i--, code >>= 6) to[i] = (uint8_t)(0x80 | (code & 0x3F));
  to[0] = (uint8_t)((0xF00 >> bytes & 0xFF) | code); /* as many ones as bytes */
  return bytes;
}

/* The last character that has a next one; that may be longer. */
static bool raise_text(struct parquet_bound *bound, int32_t bytes_max) {
  while (bound->size_bytes > 0) {
    int64_t begin = bound->size_bytes - 1;
    while (begin > 0 && continues(bound->data[begin])) begin--;
    uint32_t code = 0;
    size_t bytes = utf8_code_point(bound->data + begin, (size_t)(bound->size_bytes - begin), &code);
    if (bytes == 0) return false; /* no UTF-8: nothing is said of it */
    code++;
    if (code >= SURROGATE_FIRST && code <= SURROGATE_LAST) code = SURROGATE_LAST + 1;
    uint8_t raised[4];
    int64_t raised_bytes = code <= CODE_POINT_LAST ? code_point_write(raised, code) : INT32_MAX;
    bound->size_bytes = (uint8_t)begin;
    if (begin + raised_bytes > bytes_max) continue;
    memcpy(bound->data + begin, raised, (size_t)raised_bytes);
    bound->size_bytes = (uint8_t)(begin + raised_bytes);
    return true;
  }
  return false;
}

bool bound_above(struct parquet_bound *bound, struct parquet_bytes value, int32_t bytes_max,
                 bool is_text) {
  bound_below(bound, value, bytes_max, is_text);
  if (bound->is_exact) return true;
  return is_text ? raise_text(bound, bytes_max) : raise_bytes(bound);
}
