/* Bounds and counts of a page's or a column chunk's values (parquet.thrift: Statistics, ColumnOrder,
 * ColumnIndex). Inside the room only. */
#ifndef ARROWPORT_PARQUET_STATISTICS_H
#define ARROWPORT_PARQUET_STATISTICS_H

#include <stdbool.h>
#include <stdint.h>

#include "parquet/schema.h"
#include "parquet/values.h"

enum { PARQUET_BOUND_BYTES_MAX = 64 };

/* A value in PLAIN encoding, without a length; of byte arrays at most so many bytes: a lower bound
 * cut off, an upper bound cut off and its last byte raised (for UTF-8: cut at a character, the last
 * code point raised, so that it stays UTF-8). */
struct parquet_bound {
  uint8_t data[PARQUET_BOUND_BYTES_MAX];
  uint8_t size_bytes;
  bool is_exact; /* it is a value, nothing was cut */
};

struct parquet_statistics {
  int64_t null_count;
  int64_t nan_count;   /* of FLOAT, DOUBLE, FLOAT16; -1 for others */
  int64_t value_count; /* not null, NaN counted */
  bool has_bounds;     /* false: no value that compares, no order, or no bound could be found */
  struct parquet_bound min, max;
};

/* Of the values themselves, nulls not known (null_count 0). Rules for floats: with a NaN
 * among them there are no bounds, as engines order NaN in ways of their own; a minimum of zero is -0.0, a maximum of zero is +0.0. FIXED of more than PARQUET_BOUND_BYTES_MAX
 * bytes has no bounds. `bound_bytes_max` <= PARQUET_BOUND_BYTES_MAX cuts byte arrays. */
void parquet_statistics_of(const struct parquet_leaf *leaf, const struct parquet_values *values,
                           int32_t bound_bytes_max, struct parquet_statistics *statistics);

/* Of both together. A zeroed struct with nan_count 0 or -1 is of no values. */
void parquet_statistics_start(const struct parquet_leaf *leaf,
                              struct parquet_statistics *statistics);
void parquet_statistics_merge(const struct parquet_leaf *leaf, struct parquet_statistics *into,
                              const struct parquet_statistics *from);

/* < 0, 0, > 0, as the leaf's order says. */
int parquet_bound_compare(const struct parquet_leaf *leaf, const struct parquet_bound *left,
                          const struct parquet_bound *right);

#endif
