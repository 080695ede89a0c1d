/* Which encoding suits a column chunk: found by looking at some of its first values, before
 * anything is hashed. Inside the room only. */
#ifndef ARROWPORT_PARQUET_CHOOSE_H
#define ARROWPORT_PARQUET_CHOOSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"
#include "parquet/codec.h"
#include "parquet/format.h"
#include "parquet/values.h"

struct parquet_choice {
  enum parquet_encoding encoding; /* RLE_DICTIONARY, or the fallback itself */
  enum parquet_encoding fallback; /* when the dictionary becomes too large */
};

struct parquet_choose_options {
  bool compatible;              /* only PLAIN and RLE_DICTIONARY */
  int64_t rows_expected;        /* values that the chunk will have, as far as one can know */
  int64_t dictionary_bytes_max; /* 0: no dictionaries */
  enum parquet_codec codec;     /* what comes after: a size is what is left then */
  int level;
};

/* `values` are the chunk's first, of the leaf. Never reads more than a few thousand of them. Compares
 * estimated sizes (cardinality from the collisions of a sample, deltas from runs of neighbours, the
 * codec tried on a sample where that tells), and prefers what is cheaper to make when sizes are close.
 * `compressor` (codec.h) serves lane `lane`. STATUS_BUDGET, STATUS_NOMEM. */
enum status parquet_choose(const struct parquet_leaf *leaf, const struct parquet_values *values,
                           const struct parquet_choose_options *options,
                           struct parquet_compressor *compressor, int lane, struct budget *budget,
                           struct parquet_choice *choice, struct error *error) WARN_UNUSED;

#endif
