/* The encodings by name, and which types may have them (Encodings.md, "Supported Encodings"). */
#include <string.h>
#include <strings.h>

#include "parquet/encode.h"

static const struct {
  enum parquet_encoding encoding;
  const char *name; /* of the specification */
  const char *short_name;
} names[] = {
    {PARQUET_PLAIN, "PLAIN", "plain"},
    {PARQUET_RLE, "RLE", "rle"},
    {PARQUET_RLE_DICTIONARY, "RLE_DICTIONARY", "dictionary"},
    {PARQUET_DELTA_BINARY_PACKED, "DELTA_BINARY_PACKED", "delta"},
    {PARQUET_DELTA_LENGTH_BYTE_ARRAY, "DELTA_LENGTH_BYTE_ARRAY", "delta_length"},
    {PARQUET_DELTA_BYTE_ARRAY, "DELTA_BYTE_ARRAY", "delta_bytes"},
    {PARQUET_BYTE_STREAM_SPLIT, "BYTE_STREAM_SPLIT", "split"},
};
enum { NAMES = sizeof names / sizeof *names };

bool encode_parse(const char *name, enum parquet_encoding *encoding) {
  for (int i = 0; i < NAMES; i++)
    if (strcasecmp(name, names[i].name) == 0 || strcasecmp(name, names[i].short_name) == 0) {
      *encoding = names[i].encoding;
      return true;
    }
  return false;
}

const char *encode_name(enum parquet_encoding encoding) {
  for (int i = 0; i < NAMES; i++)
    if (names[i].encoding == encoding) return names[i].name;
  return "?";
}

bool encode_fits(const struct parquet_leaf *leaf, enum parquet_encoding encoding) {
  enum parquet_type type = leaf->type;
  bool is_integer = type == PARQUET_INT32 || type == PARQUET_INT64;
  switch (encoding) {
  case PARQUET_PLAIN: return true;
  case PARQUET_RLE: return type == PARQUET_BOOLEAN;
  case PARQUET_RLE_DICTIONARY: return type != PARQUET_BOOLEAN;
  case PARQUET_DELTA_BINARY_PACKED: return is_integer;
  case PARQUET_DELTA_LENGTH_BYTE_ARRAY: return type == PARQUET_BYTE_ARRAY;
  case PARQUET_DELTA_BYTE_ARRAY: return type == PARQUET_BYTE_ARRAY || type == PARQUET_FIXED;
  case PARQUET_BYTE_STREAM_SPLIT: return type != PARQUET_BOOLEAN && type != PARQUET_BYTE_ARRAY;
  }
  return false;
}
