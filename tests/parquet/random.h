/* Numbers at random, the same in every run: xorshift of 64 bits. */
#ifndef ARROWPORT_TESTS_PARQUET_RANDOM_H
#define ARROWPORT_TESTS_PARQUET_RANDOM_H

#include <stdint.h>

/* The next one; `state` is not 0. */
static inline uint64_t random_next(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

#endif
