/* Arrays that are all that the columnar format lets them be, made at random: offsets everywhere, nulls that
 * are counted or not, items under null lists, views in any order, indices under nulls that point nowhere,
 * runs of any width. For tests of what goes through arrays. */
#ifndef ARROWPORT_TESTS_PARQUET_RANDOM_ARRAY_H
#define ARROWPORT_TESTS_PARQUET_RANDOM_ARRAY_H

#include <stdint.h>

#include "arrow/abi.h"

struct random {
  uint64_t state; /* not 0 */
};

/* 0 to `most`. */
int64_t random_to(struct random *random, int64_t most);

/* A column: nested `depth` deep at most; to be released. */
struct ArrowSchema random_schema(struct random *random, int depth);
/* A record batch of the schema, a struct, of so many rows; null only where a field may be. To be
 * released. Values of leaves are zeros, but offsets and views have lengths. */
struct ArrowArray random_batch(struct random *random, const struct ArrowSchema *schema,
                               int64_t rows);

#endif
