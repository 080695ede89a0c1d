#include "arrow/bitmap.h"

#include <string.h>

static uint64_t load64(const uint8_t *from) {
  uint64_t word;
  memcpy(&word, from, sizeof word);
  return word;
}

int64_t bitmap_count(const uint8_t *bits, int64_t start, int64_t count) {
  int64_t set = 0;
  int64_t index = start;
  int64_t end = start + count;
  for (; index < end && (index & 7) != 0; index++) set += bitmap_get(bits, index);
  for (; end - index >= 64; index += 64) set += __builtin_popcountll(load64(bits + index / 8));
  for (; index < end; index++) set += bitmap_get(bits, index);
  return set;
}

/* `count` > 0 bits from a bit inside a byte: two neighbours make one. */
static void copy_shifted(uint8_t *to, const uint8_t *from, int shift, int64_t count) {
  int64_t bytes = bitmap_bytes(count);
  int64_t from_bytes = bitmap_bytes(shift + count);
  int64_t i = 0;
  for (; i + 8 < from_bytes && i + 8 <= bytes; i += 8) {
    uint64_t word = load64(from + i) >> shift | (uint64_t)from[i + 8] << (64 - shift);
    memcpy(to + i, &word, sizeof word);
  }
  for (; i < bytes; i++) {
    unsigned next = i + 1 < from_bytes ? from[i + 1] : 0;
    to[i] = (uint8_t)(from[i] >> shift | next << (8 - shift));
  }
}

void bitmap_copy(uint8_t *to, const uint8_t *from, int64_t start, int64_t count) {
  if (count == 0) return;
  from += start / 8;
  int shift = (int)(start % 8);
  if (shift == 0)
    memcpy(to, from, (size_t)bitmap_bytes(count));
  else
    copy_shifted(to, from, shift, count);
  if (count % 8 != 0) to[count / 8] = (uint8_t)(to[count / 8] & ((1 << (count % 8)) - 1));
}
