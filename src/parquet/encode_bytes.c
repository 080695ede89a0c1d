/* DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY (Encodings.md): lengths apart from bytes, the second without what
 * a value begins with like the one before it. */
#include <string.h>

#include "parquet/encode.h"

static uint8_t *put_bytes(const uint8_t *data, int64_t bytes, uint8_t *out) {
  if (bytes > 0) memcpy(out, data, (size_t)bytes);
  return out + bytes;
}

int64_t encode_delta_length_room(const struct parquet_values *values) {
  return encode_delta_room(values->count, sizeof(int32_t)) + values->data_bytes;
}

uint8_t *encode_delta_length(const struct parquet_bytes *values, int64_t count, int32_t *lengths,
                             uint8_t *out) {
  for (int64_t i = 0; i < count; i++) lengths[i] = (int32_t)values[i].size_bytes;
  out = encode_delta_32(lengths, count, out);
  for (int64_t i = 0; i < count; i++) out = put_bytes(values[i].data, values[i].size_bytes, out);
  return out;
}

int64_t encode_delta_bytes_room(const struct parquet_values *values) {
  return 2 * encode_delta_room(values->count, sizeof(int32_t)) + values->data_bytes;
}

/* Bytes that both begin with. */
static int64_t common_bytes(const struct parquet_bytes *left, const struct parquet_bytes *right) {
  int64_t most = left->size_bytes < right->size_bytes ? left->size_bytes : right->size_bytes;
  int64_t i = 0;
  for (; i + 8 <= most; i += 8) {
    uint64_t a, b;
    memcpy(&a, left->data + i, sizeof a);
    memcpy(&b, right->data + i, sizeof b);
    if (a != b) return i + __builtin_ctzll(a ^ b) / 8;
  }
  while (i < most && left->data[i] == right->data[i]) i++;
  return i;
}

uint8_t *encode_delta_bytes(const struct parquet_bytes *values, int64_t count, int32_t *lengths,
                            uint8_t *out) {
  int32_t *prefixes = lengths, *suffixes = lengths + count;
  for (int64_t i = 0; i < count; i++) {
    int64_t prefix = i == 0 ? 0 : common_bytes(&values[i - 1], &values[i]);
    prefixes[i] = (int32_t)prefix;
    suffixes[i] = (int32_t)(values[i].size_bytes - prefix);
  }
  out = encode_delta_32(prefixes, count, out);
  out = encode_delta_32(suffixes, count, out);
  for (int64_t i = 0; i < count; i++)
    if (suffixes[i] > 0) out = put_bytes(values[i].data + prefixes[i], suffixes[i], out);
  return out;
}
