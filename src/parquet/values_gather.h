/* Values of an array brought together: the three forms of slots (shred.h) to one. Inside values*.c only.
 *
 * A form is worked through in units: positions of [first, first + span), or entries of the list. */
#ifndef ARROWPORT_PARQUET_VALUES_GATHER_H
#define ARROWPORT_PARQUET_VALUES_GATHER_H

#include <stdint.h>
#include <string.h>

#include "parquet/shred.h"
#include "parquet/values.h"

#if defined(__BYTE_ORDER__)
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "PLAIN values and Arrow's are taken for the host's, which is little-endian");
#endif

/* Room behind the last value that loops may write to: they write first and count then, and
 * store decimals of any length as 32 bytes. */
enum { VALUES_SLACK_BYTES = 64 };

enum {
  WORD_BITS = 64,
  SPARSE_BITS_MAX = 12, /* so few of a word are fetched one by one */
};

static inline int64_t slots_units(const struct parquet_slots *slots) {
  return slots->slots == NULL && slots->validity != NULL ? slots->span : slots->count;
}
static inline bool slots_are_contiguous(const struct parquet_slots *slots) {
  return slots->slots == NULL && slots->validity == NULL;
}

/* `count` <= 64 bits from bit `position` on, no byte read that has none of them. */
static inline uint64_t word_of(const uint8_t *bits, int64_t position, int64_t count) {
  const uint8_t *at = bits + (position >> 3);
  int shift = (int)(position & 7);
  uint64_t word = 0;
  if (count == WORD_BITS) {
    memcpy(&word, at, sizeof word);
    if (shift != 0) word = word >> shift | (uint64_t)at[8] << (WORD_BITS - shift);
    return word;
  }
  int64_t bytes = (shift + count + 7) / 8;
  memcpy(&word, at, bytes < 8 ? (size_t)bytes : 8);
  word >>= shift;
  if (bytes > 8) word |= (uint64_t)at[8] << (WORD_BITS - shift);
  return word & (((uint64_t)1 << count) - 1);
}

/* Brings together values of `width` bytes at `from` (the buffer's beginning): those of units
 * [at, at + units). Returns how many. May write VALUES_SLACK_BYTES past the last. */
int64_t values_gather(const struct parquet_slots *slots, const uint8_t *from, int64_t width,
                      int64_t at, int64_t units, uint8_t *to);
/* Likewise bits, as a byte 0 or 1 each; all units. */
void values_gather_bits(const struct parquet_slots *slots, const uint8_t *from, uint8_t *to);

/* Likewise byte arrays; returns what they have together. */
int64_t values_gather_bytes(const struct parquet_leaf *leaf, const struct parquet_slots *slots,
                            struct parquet_bytes *to);

/* Conversions in which values become others. `to` has room for all and VALUES_SLACK_BYTES. Returns
 * the slots' number of the first value that cannot be, -1: none; `text` says then of what it is and why not. */
enum { VALUES_WHY_BYTES = 256 };
int64_t values_convert(const struct parquet_leaf *leaf, const struct parquet_slots *slots,
                       uint8_t *to, char why[VALUES_WHY_BYTES]);
/* The same for decimals that lie in `data` as they will be, as INT32 or INT64. */
int64_t values_check_decimals(const struct parquet_leaf *leaf, const uint8_t *data, int64_t count,
                              char why[VALUES_WHY_BYTES]);
/* Bytes of a value in the array, of conversions that have such. */
int64_t values_source_width(const struct parquet_leaf *leaf);

#endif
