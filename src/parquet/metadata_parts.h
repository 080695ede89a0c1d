/* What indexes and footer share. Private to metadata_*.c. */
#ifndef ARROWPORT_PARQUET_METADATA_PARTS_H
#define ARROWPORT_PARQUET_METADATA_PARTS_H

#include "parquet/schema.h"
#include "parquet/thrift.h"

/* Whether histograms of levels say more than the counts of values and nulls do (parquet.thrift,
 * SizeStatistics). */
static inline bool parquet_tells_repetition(const struct parquet_leaf *leaf) {
  return leaf->max_rep > 0;
}

static inline bool parquet_tells_definition(const struct parquet_leaf *leaf) {
  return leaf->max_def > 1;
}

/* Whether nan_count must be there. */
static inline bool parquet_has_nans(const struct parquet_leaf *leaf) {
  return leaf->order == PARQUET_ORDER_FLOAT || leaf->order == PARQUET_ORDER_HALF;
}

/* A list of i64; none where there are no counts. */
static inline void parquet_put_counts(struct thrift *thrift, int16_t field, const int64_t *counts,
                                      int64_t count) {
  if (counts == NULL) return;
  thrift_list(thrift, field, THRIFT_I64, count);
  for (int64_t i = 0; i < count; i++) thrift_item_i64(thrift, counts[i]);
}

#endif
