/* Bounds out of values. Inside statistics*.c only. */
#ifndef ARROWPORT_PARQUET_STATISTICS_BOUNDS_H
#define ARROWPORT_PARQUET_STATISTICS_BOUNDS_H

#include <stdbool.h>
#include <stdint.h>

#include "parquet/statistics.h"

/* A value of at most PARQUET_BOUND_BYTES_MAX bytes as it is. */
void bound_exact(struct parquet_bound *bound, const void *data, int64_t bytes);

/* At most `bytes_max` <= PARQUET_BOUND_BYTES_MAX bytes of a value, which order by bytes: no more than it is,
 * and no less. `is_text`: it is UTF-8, and so is the bound. False: nothing so short is no less. */
void bound_below(struct parquet_bound *bound, struct parquet_bytes value, int32_t bytes_max,
                 bool is_text);
bool bound_above(struct parquet_bound *bound, struct parquet_bytes value, int32_t bytes_max,
                 bool is_text);

#endif
