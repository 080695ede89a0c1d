/* Bitmaps as Arrow lays them out (Columnar format, "Validity bitmaps"): the least
 * significant bit of a byte comes first. They begin at any bit, because a slice does. */
#ifndef ARROWPORT_ARROW_BITMAP_H
#define ARROWPORT_ARROW_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

static inline bool bitmap_get(const uint8_t *bits, int64_t index) {
  return ((bits[index >> 3] >> (index & 7)) & 1) != 0;
}

static inline void bitmap_set(uint8_t *bits, int64_t index) {
  bits[index >> 3] = (uint8_t)(bits[index >> 3] | (1 << (index & 7)));
}

/* Bytes that `bits` bits take. */
static inline int64_t bitmap_bytes(int64_t bits) { return bits / 8 + (bits % 8 != 0); }

/* How many of the `count` bits from bit `start` on are set. */
int64_t bitmap_count(const uint8_t *bits, int64_t start, int64_t count);

/* Copies `count` bits from bit `start` of `from` to the beginning of `to`, which has
 * bitmap_bytes(count) bytes; the bits after the last are zero. */
void bitmap_copy(uint8_t *to, const uint8_t *from, int64_t start, int64_t count);

#endif
