/* Split block Bloom filters (BloomFilter.md). Inside the room only. */
#ifndef ARROWPORT_PARQUET_BLOOM_H
#define ARROWPORT_PARQUET_BLOOM_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"
#include "parquet/values.h"

/* XXH64, seed 0, of each value in PLAIN encoding without a length; appended to `hashes` (uint64_t). */
enum status parquet_bloom_hash(const struct parquet_leaf *leaf, const struct parquet_values *values,
                               struct budget *budget, struct buffer *hashes,
                               struct error *error) WARN_UNUSED;

/* Bytes of a filter that says "perhaps" wrongly in `false_positives` (0 to 1, exclusive) of all cases with
 * `distinct` values: a power of two from 32 on, at most `bytes_max`. */
int64_t parquet_bloom_bytes(int64_t distinct, double false_positives, int64_t bytes_max);

/* Appends header and bitset of a filter of `filter_bytes` over the hashes to `out`. */
enum status parquet_bloom_write(const struct buffer *hashes, int64_t filter_bytes,
                                struct budget *budget, struct buffer *out,
                                struct error *error) WARN_UNUSED;

#endif
