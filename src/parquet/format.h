/* The numbers of the Parquet format (parquet-format, parquet.thrift), under their names there. */
#ifndef ARROWPORT_PARQUET_FORMAT_H
#define ARROWPORT_PARQUET_FORMAT_H

#include <stdint.h>

enum parquet_type {
  PARQUET_BOOLEAN = 0,
  PARQUET_INT32 = 1,
  PARQUET_INT64 = 2,
  PARQUET_FLOAT = 4,
  PARQUET_DOUBLE = 5,
  PARQUET_BYTE_ARRAY = 6,
  PARQUET_FIXED = 7 /* FIXED_LEN_BYTE_ARRAY */
};

enum parquet_encoding {
  PARQUET_PLAIN = 0,
  PARQUET_RLE = 3, /* levels, booleans */
  PARQUET_DELTA_BINARY_PACKED = 5,
  PARQUET_DELTA_LENGTH_BYTE_ARRAY = 6,
  PARQUET_DELTA_BYTE_ARRAY = 7,
  PARQUET_RLE_DICTIONARY = 8,
  PARQUET_BYTE_STREAM_SPLIT = 9
};
enum { PARQUET_ENCODINGS = 10 };

enum parquet_codec {
  PARQUET_UNCOMPRESSED = 0,
  PARQUET_SNAPPY = 1,
  PARQUET_GZIP = 2,
  PARQUET_ZSTD = 6,
  PARQUET_LZ4_RAW = 7
};

enum parquet_page_type {
  PARQUET_DATA_PAGE = 0,
  PARQUET_DICTIONARY_PAGE = 2,
  PARQUET_DATA_PAGE_V2 = 3
};

enum parquet_repetition { PARQUET_REQUIRED = 0, PARQUET_OPTIONAL = 1, PARQUET_REPEATED = 2 };

enum parquet_boundary_order {
  PARQUET_UNORDERED = 0,
  PARQUET_ASCENDING = 1,
  PARQUET_DESCENDING = 2
};

/* LogicalType; NONE stands for no annotation. */
enum parquet_logical_kind {
  PARQUET_LOGICAL_NONE = 0,
  PARQUET_LOGICAL_STRING = 1,
  PARQUET_LOGICAL_MAP = 2,
  PARQUET_LOGICAL_LIST = 3,
  PARQUET_LOGICAL_DECIMAL = 5,
  PARQUET_LOGICAL_DATE = 6,
  PARQUET_LOGICAL_TIME = 7,
  PARQUET_LOGICAL_TIMESTAMP = 8,
  PARQUET_LOGICAL_INTEGER = 10,
  PARQUET_LOGICAL_NULL = 11,
  PARQUET_LOGICAL_JSON = 12,
  PARQUET_LOGICAL_UUID = 14,
  PARQUET_LOGICAL_FLOAT16 = 15
};

enum parquet_time_unit { PARQUET_MILLIS = 1, PARQUET_MICROS = 2, PARQUET_NANOS = 3 };

struct parquet_logical {
  enum parquet_logical_kind kind;
  int32_t precision, scale;    /* DECIMAL */
  int32_t bit_width;           /* INTEGER: 8, 16, 32, 64 */
  enum parquet_time_unit unit; /* TIME, TIMESTAMP */
  _Bool is_signed;             /* INTEGER */
  _Bool is_utc;                /* TIME, TIMESTAMP: isAdjustedToUTC */
};

#endif
