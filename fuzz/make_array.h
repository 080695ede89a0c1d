/* Arrays of the C data interface as another library may hand them in, right or wrong. The
 * bytes choose a schema and what the buffers say, and every buffer is a heap block of exactly
 * the size that the interface gives it, so that a sanitizer sees a step outside. */
#ifndef ARROWPORT_FUZZ_MAKE_ARRAY_H
#define ARROWPORT_FUZZ_MAKE_ARRAY_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"

/* What arrays are made of, and what they look like. */
struct maker {
  const uint8_t *at, *end; /* what is left of the bytes */
  uint64_t more;           /* not 0: what follows them is drawn from this; 0: zeros follow */
  bool is_right;           /* nothing is wrong on purpose */
  /* For what becomes of values: no unions and intervals; fields that may not be null; names that differ;
   * values that repeat, rise or are small; texts of some length; decimals, dates and times within what
   * their type holds and what DuckDB does. */
  bool is_mild;
  struct blocks *blocks; /* of the schema */
  struct blocks *batch;  /* of the batch that is being made */
};

uint8_t maker_byte(struct maker *maker);

/* A struct of one to three fields, nested four deep at most; lives until maker_end. NULL when it would be too
 * large. */
struct ArrowSchema *maker_schema(struct maker *maker);
/* A batch of about so many rows; each release adds one to `*releases`. False when it would be too large. */
bool maker_batch(struct maker *maker, const struct ArrowSchema *schema, int64_t rows, int *releases,
                 struct ArrowArray *batch);
/* Gives the schema back; batches have been released. */
void maker_end(struct maker *maker);

#endif
