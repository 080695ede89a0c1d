/* Split block Bloom filters (BloomFilter.md). Inside the room only. */
#ifndef ARROWPORT_PARQUET_BLOOM_H
#define ARROWPORT_PARQUET_BLOOM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"
#include "parquet/values.h"

/* Whether values of the leaf may have a filter: all but BOOLEAN (no reader asks for one) and the null
 * type. */
bool parquet_bloom_allowed(const struct parquet_leaf *leaf);

/* XXH64, seed 0, of each value in PLAIN encoding without a length; appended to `hashes` (uint64_t). Of
 * floats, up to four more: a reader that looks for 0.0 means -0.0 too, and one that looks for
 * NaN any NaN, so whichever is there, both zeros, or the two plain NaNs, are put in. The leaf is one
 * that parquet_bloom_allowed allows. After STATUS_BUDGET, STATUS_NOMEM `hashes` is what it was. */
enum status parquet_bloom_hash(const struct parquet_leaf *leaf, const struct parquet_values *values,
                               struct budget *budget, struct buffer *hashes,
                               struct error *error) WARN_UNUSED;

/* Bytes of a filter that says "perhaps" wrongly in `false_positives` (0 to 1, exclusive) of all cases with
 * `distinct` values: a power of two from 32 on, at most `bytes_max` (but 32). */
int64_t parquet_bloom_bytes(int64_t distinct, double false_positives, int64_t bytes_max);

/* Appends header and bitset of a filter of `filter_bytes` (a multiple of 32) over the hashes to `out`.
 * After STATUS_BUDGET, STATUS_NOMEM `out` is what it was. */
enum status parquet_bloom_write(const struct buffer *hashes, int64_t filter_bytes,
                                struct budget *budget, struct buffer *out,
                                struct error *error) WARN_UNUSED;

#endif
