/* A leaf's values one behind the other as Parquet's physical type has them: what encodings, dictionaries
 * and statistics work on. Inside the room only. */
#ifndef ARROWPORT_PARQUET_VALUES_H
#define ARROWPORT_PARQUET_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"
#include "parquet/schema.h"
#include "parquet/shred.h"

/* A BYTE_ARRAY value, which lies in the record batch. */
struct parquet_bytes {
  const uint8_t *data;
  int64_t size_bytes;
};

struct parquet_values {
  int64_t count;
  /* INT32: int32_t; INT64: int64_t; FLOAT, DOUBLE; BOOLEAN: a byte 0 or 1 each; FIXED: type_length bytes
   * each; BYTE_ARRAY: struct parquet_bytes. Either the array's own memory or `own`. */
  const void *data;
  int64_t data_bytes; /* of BYTE_ARRAY: what the values have together */
  struct buffer own;
};
void parquet_values_clear(struct parquet_values *values); /* keeps the memory */
void parquet_values_release(struct parquet_values *values);

/* Appends the values at `slots`, converted as the leaf says. When `is_whole`, nothing was appended before
 * and nothing will be: values that lie in one piece and need no conversion are then pointed to,
 * not copied. They live as long as the array. STATUS_SCHEMA names the leaf and the value that
 * Parquet cannot hold exactly (a timestamp of seconds past what milliseconds can say, a date64 within
 * a day, a decimal past its precision) and the row: `row_of(context, n)` tells it of the n-th value of
 * `slots`. STATUS_TOO_LARGE: a value of 2 GiB or more. STATUS_BUDGET, STATUS_NOMEM. */
struct parquet_where {
  int64_t (*row_of)(const void *context, int64_t value);
  const void *context;
};
enum status parquet_values_add(const struct parquet_leaf *leaf, const struct parquet_slots *slots,
                               bool is_whole, const struct parquet_where *where,
                               struct budget *budget, struct parquet_values *values,
                               struct error *error) WARN_UNUSED;

/* Width of a fixed-width value in `data`: 1, 4, 8, type_length; sizeof(struct parquet_bytes). */
int64_t parquet_values_width(const struct parquet_leaf *leaf);

#endif
