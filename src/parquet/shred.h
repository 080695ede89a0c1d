/* Nested arrays as columns of levels and values (README.md, "Nested Encoding"): which values of a leaf
 * the rows of a record batch have, and where. Inside the room only.
 *
 * Arrays have passed arrow_array_check(FULL): nothing is checked here but nulls in fields that may have
 * none. */
#ifndef ARROWPORT_PARQUET_SHRED_H
#define ARROWPORT_PARQUET_SHRED_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "base/buffer.h"
#include "base/status.h"
#include "parquet/schema.h"

/* Levels of some rows of a leaf, one behind the other, a byte each. */
struct parquet_levels {
  int64_t count; /* values, nulls and empty lists counted */
  int64_t rows;
  int64_t present_count; /* those whose definition level is the leaf's max_def: that have a value */
  bool has_def;          /* false: all are the leaf's max_def (or it is 0), and def is empty */
  struct buffer def;     /* `count` bytes where has_def */
  struct buffer rep;     /* `count` bytes; empty where the leaf's max_rep is 0 */
};
void parquet_levels_clear(struct parquet_levels *levels); /* keeps the memory */
void parquet_levels_release(struct parquet_levels *levels);

/* Where the values of a part are, in order, in the leaf's own array: positions in its buffers, its
 * offset counted in. One of three forms:
 *   slots != NULL      the positions one by one;
 *   validity != NULL   those of [first, first + span) whose bit is set (the bit of position p is bit p);
 *   else               [first, first + count). */
struct parquet_slots {
  const struct ArrowArray *array; /* the leaf's: behind a dictionary or runs, that one's values */
  int64_t count;
  int64_t first;
  int64_t span;
  const uint8_t *validity;
  const int64_t *slots; /* the shredder's, until its next use */
};

/* What shredding needs for itself; one a thread. Zeroed to begin with. */
struct parquet_shredder {
  struct budget *budget;
  struct buffer work[8]; /* private to shred*.c */
};
void parquet_shredder_release(struct parquet_shredder *shredder);

/* Appends the levels of rows [row, row + rows) of `batch` (a struct array of the schema) to `levels`, and
 * says where their values are. A slot that is null behind a dictionary or runs (its index, or the
 * value itself) is a null. STATUS_SCHEMA names the leaf and the row (from 0 on; `row_base` rows came before
 * the batch) where a field that must have a value has none: ARROW_FLAG_NULLABLE is not set, or it is a
 * map's key; or where the row is null as a whole. STATUS_TOO_LARGE: more than 2^31 - 1 levels, which no
 * page holds. STATUS_BUDGET, STATUS_NOMEM. After a failure `levels` is of no use. */
enum status parquet_shred(const struct parquet_leaf *leaf, const struct ArrowArray *batch,
                          int64_t row, int64_t rows, int64_t row_base,
                          struct parquet_shredder *shredder, struct parquet_levels *levels,
                          struct parquet_slots *slots, struct error *error) WARN_UNUSED;

/* How many rows from `row` on, of `rows`, a page may take: at most `values_max` values of the leaf and
 * `bytes_max` bytes (of fixed-width values their width; of others their own bytes and 4 each), but one
 * row at least when `one_at_least`. Fast: exact for flat columns and lists by offsets, an estimate
 * (never fewer values than there are) elsewhere. Dictionary-coded leaves count as 4 bytes a value. */
struct parquet_extent {
  int64_t rows;
  int64_t values; /* at most so many levels */
  int64_t bytes;
};
struct parquet_extent parquet_measure(const struct parquet_leaf *leaf,
                                      const struct ArrowArray *batch, int64_t row, int64_t rows,
                                      int64_t values_max, int64_t bytes_max, bool one_at_least);

#endif
