#include "arrow/bitmap.h"

#include <string.h>

#include "base/vector.h"

static uint64_t load64(const uint8_t *from) {
  uint64_t word;
  memcpy(&word, from, sizeof word);
  return word;
}

/* How many bits each byte of the word has set, in that byte. Additions only, so that many
 * words at once become vector instructions: the processors that are built for need not have
 * an instruction that counts. */
static uint64_t count_bytes(uint64_t word) {
  word -= word >> 1 & UINT64_C(0x5555555555555555);
  word = (word & UINT64_C(0x3333333333333333)) + (word >> 2 & UINT64_C(0x3333333333333333));
  return (word + (word >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
}

/* At most so many words: then no byte of the sum is past 255. */
enum { BLOCK_WORDS = 31 };

static int64_t count_words(const uint8_t *from, int64_t words) {
  uint64_t sums = 0;
  for (int64_t i = 0; i < words; i++) sums += count_bytes(load64(from + 8 * i));
  uint64_t pairs =
      (sums & UINT64_C(0x00FF00FF00FF00FF)) + (sums >> 8 & UINT64_C(0x00FF00FF00FF00FF));
  return (int64_t)(pairs * UINT64_C(0x0001000100010001) >> 48);
}

VECTOR_LOOP static int64_t count_bits(const uint8_t *bits, int64_t start, int64_t count) {
  int64_t set = 0;
  int64_t index = start;
  int64_t end = start + count;
  for (; index < end && (index & 7) != 0; index++) set += bitmap_get(bits, index);
  while (end - index >= 64) {
    int64_t words = (end - index) / 64;
    if (words > BLOCK_WORDS) words = BLOCK_WORDS;
    set += count_words(bits + index / 8, words);
    index += 64 * words;
  }
  for (; index < end; index++) set += bitmap_get(bits, index);
  return set;
}

int64_t bitmap_count(const uint8_t *bits, int64_t start, int64_t count) {
  return count_bits(bits, start, count);
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
