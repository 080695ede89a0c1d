/* What is looked at before an encoding is chosen. Private to choose*.c.
 *
 * Two samples of a column's first values: values spread evenly, whose repetitions tell how many distinct
 * ones there are; and blocks of neighbours, which are encoded for a try. */
#ifndef ARROWPORT_PARQUET_CHOOSE_SAMPLE_H
#define ARROWPORT_PARQUET_CHOOSE_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"
#include "parquet/values.h"

enum {
  SAMPLE_VALUES_MAX = 4096, /* in each of the two samples */
  SAMPLE_BYTES = 32 << 10,  /* about so many in the blocks */
  SAMPLE_BYTES_MAX = 1 << 20,
  SAMPLE_BLOCKS = 8,
  SAMPLE_RARE = 10 /* values seen more often are surely not the last of their kind */
};

/* How often the values of a sample were seen. */
struct sample_counts {
  int64_t values, distinct;
  int64_t
      seen[SAMPLE_RARE + 1]; /* [i]: how many distinct ones were seen i times; [0] is not used */
};

/* How many distinct values there are among `rows`, of which the sample is a part. Estimators of the
 * number of species (Chao 1984, and Chao and Lee 1992 for unequal frequencies) say how many
 * have not been seen; the share of those seen once, how soon they will be. */
double sample_distinct(const struct sample_counts *counts, double rows);

struct sample {
  struct budget *budget;
  const struct parquet_leaf *leaf;
  int64_t width_bytes; /* of what lies in `data` of values */

  /* Blocks: so many of `block_values` each, one behind the other in `dense`. None when values are too
   * large to try anything with them. */
  int64_t blocks, block_values;
  struct parquet_values dense;
  struct buffer numbers; /* uint32_t each: equal values have equal ones, in order of appearance */
  int64_t numbers_count;

  /* Some of the distinct values. */
  struct parquet_values distinct;

  double value_bytes;       /* of one in PLAIN encoding, on average */
  double distinct_bytes;    /* of a distinct one */
  double distinct_expected; /* in all the rows */

  struct buffer table, firsts;
};

/* `values` must live as long as the sample, and be one or more. `is_small`: a quarter of the blocks'
 * values will do. STATUS_BUDGET, STATUS_NOMEM. */
enum status sample_take(struct sample *sample, const struct parquet_leaf *leaf,
                        const struct parquet_values *values, int64_t rows_expected, bool is_small,
                        struct budget *budget, struct error *error) WARN_UNUSED;
void sample_release(struct sample *sample);

/* A block as values of their own, or all of them. Nothing of it is owned. */
struct parquet_values sample_block(const struct sample *sample, int64_t block);
struct parquet_values sample_slice(const struct sample *sample, const struct parquet_values *dense,
                                   int64_t first, int64_t count);

#endif
