/* Where a bitmap says which values there are, it is read a word of 64 bits at a time: a word of ones is a copy, a
 * word of zeros nothing; in others each value is written to where the next one goes, and only
 * then it is known whether it counts, so that nothing is guessed by the processor. */
#include "parquet/values_gather.h"

#define INLINE static inline __attribute__((always_inline))

INLINE int64_t compact(const uint8_t *from, const struct parquet_slots *slots, int64_t at,
                       int64_t units, uint8_t *to, int64_t width) {
  int64_t made = 0;
  for (int64_t i = 0; i < units; i += WORD_BITS) {
    int64_t bits = units - i < WORD_BITS ? units - i : WORD_BITS;
    int64_t position = slots->first + at + i;
    uint64_t word = word_of(slots->validity, position, bits);
    const uint8_t *values = from + position * width;
    if (word == UINT64_MAX) {
      memcpy(to + made * width, values, (size_t)(WORD_BITS * width));
      made += WORD_BITS;
    } else if (__builtin_popcountll(word) <= SPARSE_BITS_MAX) {
      for (; word != 0; word &= word - 1, made++)
        memcpy(to + made * width, values + __builtin_ctzll(word) * width, (size_t)width);
    } else {
      for (int64_t k = 0; k < bits; k++) {
        memcpy(to + made * width, values + k * width, (size_t)width);
        made += (int64_t)(word >> k & 1);
      }
    }
  }
  return made;
}

INLINE int64_t pick(const uint8_t *from, const struct parquet_slots *slots, int64_t at,
                    int64_t units, uint8_t *to, int64_t width) {
  const int64_t *list = slots->slots + at;
  for (int64_t i = 0; i < units; i++) memcpy(to + i * width, from + list[i] * width, (size_t)width);
  return units;
}

INLINE int64_t gather(const struct parquet_slots *slots, const uint8_t *from, int64_t width,
                      int64_t at, int64_t units, uint8_t *to) {
  if (slots->slots != NULL) return pick(from, slots, at, units, to, width);
  return compact(from, slots, at, units, to, width);
}

/* Values of odd widths: runs of them, as a copy of an unknown length costs as much as several values. */
static int64_t gather_runs(const struct parquet_slots *slots, const uint8_t *from, int64_t width,
                           int64_t at, int64_t units, uint8_t *to) {
  if (slots->slots != NULL) return pick(from, slots, at, units, to, width);
  int64_t made = 0;
  for (int64_t i = 0; i < units; i += WORD_BITS) {
    int64_t bits = units - i < WORD_BITS ? units - i : WORD_BITS;
    int64_t position = slots->first + at + i;
    uint64_t word = word_of(slots->validity, position, bits);
    while (word != 0) {
      int first = __builtin_ctzll(word);
      uint64_t rest = ~(word >> first);
      int run = rest == 0 ? WORD_BITS - first : __builtin_ctzll(rest);
      memcpy(to + made * width, from + (position + first) * width, (size_t)(run * width));
      made += run;
      word = first + run == WORD_BITS ? 0 : word & (UINT64_MAX << (first + run));
    }
  }
  return made;
}

int64_t values_gather(const struct parquet_slots *slots, const uint8_t *from, int64_t width,
                      int64_t at, int64_t units, uint8_t *to) {
  if (units == 0) return 0;
  if (slots_are_contiguous(slots)) {
    memcpy(to, from + (slots->first + at) * width, (size_t)(units * width));
    return units;
  }
  switch (width) {
  case 1: return gather(slots, from, 1, at, units, to);
  case 2: return gather(slots, from, 2, at, units, to);
  case 4: return gather(slots, from, 4, at, units, to);
  case 8: return gather(slots, from, 8, at, units, to);
  case 16: return gather(slots, from, 16, at, units, to);
  case 32: return gather(slots, from, 32, at, units, to);
  default: return gather_runs(slots, from, width, at, units, to);
  }
}

/* ---- bits ------------------------------------------------------------------------------------ */

/* Eight bits to the lowest bits of eight bytes: each factor moves a bit to its byte. The eighth
 * would meet the first one's, so it goes by itself. */
static inline uint64_t spread(uint64_t bits) {
  uint64_t seven = (bits & 0x7F) * 0x0002040810204081u & 0x0101010101010101u;
  return seven | (bits >> 7 & 1) << 56;
}

static int64_t spread_run(const uint8_t *from, int64_t first, int64_t count, uint8_t *to) {
  int64_t i = 0;
  for (; i + WORD_BITS <= count; i += WORD_BITS) {
    uint64_t word = word_of(from, first + i, WORD_BITS);
    for (int64_t k = 0; k < 8; k++) {
      uint64_t eight = spread(word >> (8 * k) & 0xFF);
      memcpy(to + i + 8 * k, &eight, sizeof eight);
    }
  }
  uint64_t word = i < count ? word_of(from, first + i, count - i) : 0;
  for (; i < count; i++, word >>= 1) to[i] = (uint8_t)(word & 1);
  return count;
}

static void compact_bits(const struct parquet_slots *slots, const uint8_t *from, uint8_t *to) {
  int64_t made = 0;
  for (int64_t i = 0; i < slots->span; i += WORD_BITS) {
    int64_t bits = slots->span - i < WORD_BITS ? slots->span - i : WORD_BITS;
    uint64_t there = word_of(slots->validity, slots->first + i, bits);
    if (there == UINT64_MAX) {
      made += spread_run(from, slots->first + i, WORD_BITS, to + made);
      continue;
    }
    uint64_t word = word_of(from, slots->first + i, bits);
    if (__builtin_popcountll(there) <= SPARSE_BITS_MAX) {
      for (; there != 0; there &= there - 1)
        to[made++] = (uint8_t)(word >> __builtin_ctzll(there) & 1);
      continue;
    }
    for (int64_t k = 0; k < bits; k++) {
      to[made] = (uint8_t)(word >> k & 1);
      made += (int64_t)(there >> k & 1);
    }
  }
}

void values_gather_bits(const struct parquet_slots *slots, const uint8_t *from, uint8_t *to) {
  const int64_t *list = slots->slots;
  if (slots_are_contiguous(slots))
    spread_run(from, slots->first, slots->count, to);
  else if (list == NULL)
    compact_bits(slots, from, to);
  else
    for (int64_t i = 0; i < slots->count; i++)
      to[i] = (uint8_t)(from[list[i] >> 3] >> (list[i] & 7) & 1);
}
