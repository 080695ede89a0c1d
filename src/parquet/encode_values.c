/* A page's values in the encoding that was chosen for them. */
#include <assert.h>

#include "parquet/encode.h"

/* DELTA_BYTE_ARRAY of FIXED needs the values as byte strings; all of that kind room for lengths. */
static int64_t work_bytes_of(const struct parquet_leaf *leaf, const struct parquet_values *values,
                             enum parquet_encoding encoding) {
  int64_t lengths_bytes = 2 * values->count * (int64_t)sizeof(int32_t);
  int64_t strings_bytes = values->count * (int64_t)sizeof(struct parquet_bytes);
  if (encoding == PARQUET_DELTA_LENGTH_BYTE_ARRAY) return lengths_bytes;
  if (encoding != PARQUET_DELTA_BYTE_ARRAY) return 0;
  return leaf->type == PARQUET_FIXED ? strings_bytes + lengths_bytes : lengths_bytes;
}

static int64_t delta_bytes_room(const struct parquet_leaf *leaf,
                                const struct parquet_values *values) {
  struct parquet_values as_bytes = *values;
  if (leaf->type == PARQUET_FIXED) as_bytes.data_bytes = values->count * leaf->type_length;
  return encode_delta_bytes_room(&as_bytes);
}

static int64_t room_of(const struct parquet_leaf *leaf, const struct parquet_values *values,
                       enum parquet_encoding encoding) {
  switch (encoding) {
  case PARQUET_RLE: return (int64_t)sizeof(uint32_t) + encode_rle_room(values->count, 1);
  case PARQUET_DELTA_BINARY_PACKED:
    return encode_delta_room(values->count, parquet_values_width(leaf));
  case PARQUET_DELTA_LENGTH_BYTE_ARRAY: return encode_delta_length_room(values);
  case PARQUET_DELTA_BYTE_ARRAY: return delta_bytes_room(leaf, values);
  default: return encode_plain_room(leaf, values);
  }
}

int64_t encode_values_room(const struct parquet_leaf *leaf, const struct parquet_values *values,
                           enum parquet_encoding encoding, int64_t *work_bytes) {
  *work_bytes = work_bytes_of(leaf, values, encoding);
  return room_of(leaf, values, encoding) + ENCODE_SLACK_BYTES;
}

static uint8_t *put_delta_bytes(const struct parquet_leaf *leaf,
                                const struct parquet_values *values, void *work, uint8_t *out) {
  if (leaf->type == PARQUET_BYTE_ARRAY)
    return encode_delta_bytes(values->data, values->count, work, out);
  struct parquet_bytes *strings = work;
  const uint8_t *data = values->data;
  for (int64_t i = 0; i < values->count; i++)
    strings[i] = (struct parquet_bytes){data + i * leaf->type_length, leaf->type_length};
  return encode_delta_bytes(strings, values->count, (void *)(strings + values->count), out);
}

uint8_t *encode_values(const struct parquet_leaf *leaf, const struct parquet_values *values,
                       enum parquet_encoding encoding, void *work, uint8_t *out) {
  assert(encode_fits(leaf, encoding) && encoding != PARQUET_RLE_DICTIONARY);
  switch (encoding) {
  case PARQUET_RLE: return encode_booleans_rle(values->data, values->count, out);
  case PARQUET_DELTA_BINARY_PACKED:
    return leaf->type == PARQUET_INT32 ? encode_delta_32(values->data, values->count, out)
                                       : encode_delta_64(values->data, values->count, out);
  case PARQUET_DELTA_LENGTH_BYTE_ARRAY:
    return encode_delta_length(values->data, values->count, work, out);
  case PARQUET_DELTA_BYTE_ARRAY: return put_delta_bytes(leaf, values, work, out);
  case PARQUET_BYTE_STREAM_SPLIT:
    return encode_split(values->data, values->count, parquet_values_width(leaf), out);
  default: return encode_plain(leaf, values, out);
  }
}
