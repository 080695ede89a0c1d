/* DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY (Encodings.md): lengths apart from bytes, the second without what
 * a value begins with like the one before it. */
#include <string.h>

#include "parquet/encode.h"
#include "parquet/encode_copy.h"
#include "parquet/words.h"

int64_t encode_delta_length_room(const struct parquet_values *values) {
  return encode_delta_room(values->count, sizeof(int32_t)) + values->data_bytes;
}

uint8_t *encode_delta_length(const struct parquet_bytes *values, int64_t count, int32_t *lengths,
                             uint8_t *out) {
  for (int64_t i = 0; i < count; i++) lengths[i] = (int32_t)values[i].size_bytes;
  out = encode_delta_32(lengths, count, out);
  for (int64_t i = 0; i < count;) {
    struct copy_chain chain = copy_find_chain(values + i, count - i);
    const struct parquet_bytes *last = &values[i + chain.count - 1];
    if (chain.is_dense) {
      uintptr_t bytes = (uintptr_t)last->data - (uintptr_t)values[i].data;
      out = copy_exactly(values[i].data, (int64_t)bytes + last->size_bytes, out);
    } else {
      out = copy_strings(values + i, NULL, chain.count, false, out);
    }
    i += chain.count;
  }
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
    uint64_t a = words_load_8(left->data + i), b = words_load_8(right->data + i);
    if (a != b) return i + __builtin_ctzll(a ^ b) / 8;
  }
  while (i < most && left->data[i] == right->data[i]) i++;
  return i;
}

/* Of strings behind both of which 8 bytes may be read. */
static inline int64_t common_bytes_of_chain(const struct parquet_bytes *left,
                                            const struct parquet_bytes *right) {
  int64_t most = left->size_bytes < right->size_bytes ? left->size_bytes : right->size_bytes;
  for (int64_t i = 0;; i += 8) {
    uint64_t a = words_load_8(left->data + i), b = words_load_8(right->data + i);
    int64_t alike = a == b ? 8 : __builtin_ctzll(a ^ b) / 8;
    if (i + alike >= most) return most;
    if (alike < 8) return i + alike;
  }
}

static void find_prefixes(const struct parquet_bytes *values, int64_t count, int32_t *prefixes) {
  for (int64_t i = 0; i < count;) {
    prefixes[i] = i == 0 ? 0 : (int32_t)common_bytes(&values[i - 1], &values[i]);
    if (i + 1 == count || copy_gap(&values[i]) > COPY_GAP_BYTES_MAX) { /* a chain of one */
      i++;
      continue;
    }
    struct copy_chain chain = copy_find_chain(values + i, count - i);
    int64_t done = copy_chain_step(&chain), k = 1;
    for (; k < chain.safe_count; k++)
      prefixes[i + k] = (int32_t)common_bytes_of_chain(&values[i + k - 1], &values[i + k]);
    for (; k < done; k++)
      prefixes[i + k] = (int32_t)common_bytes(&values[i + k - 1], &values[i + k]);
    i += done;
  }
}

uint8_t *encode_delta_bytes(const struct parquet_bytes *values, int64_t count, int32_t *lengths,
                            uint8_t *out) {
  int32_t *prefixes = lengths, *suffixes = lengths + count;
  find_prefixes(values, count, prefixes);
  for (int64_t i = 0; i < count; i++) suffixes[i] = (int32_t)values[i].size_bytes - prefixes[i];
  out = encode_delta_32(prefixes, count, out);
  out = encode_delta_32(suffixes, count, out);
  return copy_strings(values, prefixes, count, false, out);
}
