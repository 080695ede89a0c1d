/* PLAIN (Encodings.md, "Plain"). */
#include <string.h>

#include "parquet/encode.h"
#include "parquet/encode_copy.h"
#include "parquet/words.h"

enum { LENGTH_BYTES = 4 };

int64_t encode_plain_room(const struct parquet_leaf *leaf, const struct parquet_values *values) {
  if (leaf->type == PARQUET_BYTE_ARRAY) return values->data_bytes + values->count * LENGTH_BYTES;
  if (leaf->type == PARQUET_BOOLEAN) return (values->count + 7) / 8;
  return values->count * parquet_values_width(leaf);
}

/* Bytes 0 or 1 as bits. The product has byte i of the word at bit 56 + i, and nothing else there. */
static uint8_t *put_booleans(const uint8_t *values, int64_t count, uint8_t *out) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    *out++ = (uint8_t)(words_load_8(values + i) * UINT64_C(0x0102040810204080) >> 56);
  }
  if (i == count) return out;
  uint8_t last = 0;
  for (int bit = 0; i < count; i++, bit++) last = (uint8_t)(last | values[i] << bit);
  *out++ = last;
  return out;
}

uint8_t *encode_plain(const struct parquet_leaf *leaf, const struct parquet_values *values,
                      uint8_t *out) {
  if (leaf->type == PARQUET_BOOLEAN) return put_booleans(values->data, values->count, out);
  if (leaf->type == PARQUET_BYTE_ARRAY)
    return copy_strings(values->data, NULL, values->count, true, out);
  int64_t data_bytes = values->count * parquet_values_width(leaf);
  if (data_bytes > 0) memcpy(out, values->data, (size_t)data_bytes);
  return out + data_bytes;
}
