/* Words out of bytes that need not be aligned, and the product that hashes are made of. Inside the room
 * only. */
#ifndef ARROWPORT_PARQUET_WORDS_H
#define ARROWPORT_PARQUET_WORDS_H

#include <stdint.h>
#include <string.h>

static inline uint64_t words_load_8(const void *data) {
  uint64_t word;
  memcpy(&word, data, sizeof word);
  return word;
}

static inline uint32_t words_load_4(const void *data) {
  uint32_t word;
  memcpy(&word, data, sizeof word);
  return word;
}

/* The two halves of the product: every bit of either factor is in most bits of it. */
static inline uint64_t words_fold(uint64_t left, uint64_t right) {
#ifdef __SIZEOF_INT128__
  __extension__ typedef unsigned __int128 wide;
  wide product = (wide)left * right;
  return (uint64_t)(product >> 64) ^ (uint64_t)product;
#else
  uint64_t low = (left & UINT32_MAX) * (right & UINT32_MAX);
  uint64_t one = (left >> 32) * (right & UINT32_MAX) + (low >> 32);
  uint64_t two = (left & UINT32_MAX) * (right >> 32) + (one & UINT32_MAX);
  uint64_t high = (left >> 32) * (right >> 32) + (one >> 32) + (two >> 32);
  return high ^ (left * right);
#endif
}

#endif
