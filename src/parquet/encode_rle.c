/* The RLE / bit-packing hybrid (Encodings.md, "Run Length Encoding / Bit-Packing Hybrid").
 *
 * Numbers are looked at eight at a time, as they are packed. Eight that are equal may begin a run; one that is
 * long enough to be worth its header is written as such, and what has gathered before it is packed
 * in one go. So random numbers cost a comparison of eight and the packing, and long runs next to nothing. */
#include <assert.h>
#include <string.h>

#include "parquet/encode.h"
#include "parquet/encode_pack.h"
#include "parquet/words.h"

enum { GROUP = 8 };
static const int64_t RUN_MAX = INT32_MAX; /* numbers of one run: more cannot be read everywhere */

int encode_bit_width(uint64_t largest) { return largest == 0 ? 0 : 64 - __builtin_clzll(largest); }

static int64_t group_count(int64_t count) { return (count + GROUP - 1) / GROUP; }

int64_t encode_rle_room(int64_t count, int bit_width) {
  /* All packed; where runs stand between, they and the headers that they make necessary take less (run_min). */
  return group_count(count) * (bit_width + 1) + 32;
}

uint8_t *encode_rle_same(uint32_t number, int64_t count, int bit_width, uint8_t *out) {
  while (count > 0) {
    int64_t run = count < RUN_MAX ? count : RUN_MAX;
    out = put_varint((uint64_t)run << 1, out);
    for (int bits = 0; bits < bit_width; bits += 8) *out++ = (uint8_t)(number >> bits);
    count -= run;
  }
  return out;
}

/* Equal numbers that are worth a run: they, and the header of what is packed behind them, take 5 bytes
 * at least when they are short. */
static int64_t run_min(int bit_width) {
  int64_t least = 40 / bit_width;
  return least <= GROUP ? GROUP : (least + GROUP - 1) / GROUP * GROUP;
}

/* The same code for numbers of 8 and of 32 bits. */
#define HYBRID(type, name)                                                                         \
  static uint8_t *packed_##name(const type *numbers, int64_t count, int bit_width, uint8_t *out) { \
    if (count == 0) return out;                                                                    \
    out = put_varint((uint64_t)group_count(count) << 1 | 1, out);                                  \
    int64_t i = 0;                                                                                 \
    for (; i + PACK_NUMBERS <= count; i += PACK_NUMBERS) {                                         \
      pack_##name(numbers + i, bit_width, out);                                                    \
      out += (int64_t)PACK_NUMBERS / 8 * bit_width;                                                \
    }                                                                                              \
    if (i == count) return out;                                                                    \
    type last[PACK_NUMBERS] = {0};                                                                 \
    uint8_t bytes[PACK_NUMBERS / 8 * 32];                                                          \
    memcpy(last, numbers + i, (size_t)(count - i) * sizeof *last);                                 \
    pack_##name(last, bit_width, bytes);                                                           \
    int64_t left_bytes = group_count(count - i) * bit_width;                                       \
    memcpy(out, bytes, (size_t)left_bytes);                                                        \
    return out + left_bytes;                                                                       \
  }                                                                                                \
                                                                                                   \
  uint8_t *encode_rle_##name(const type *numbers, int64_t count, int bit_width, uint8_t *out) {    \
    if (bit_width == 0) return encode_rle_same(0, count, 0, out);                                  \
    int64_t least = run_min(bit_width), i = 0, gathered = 0;                                       \
    while (i + GROUP <= count) {                                                                   \
      if (!is_same_##name(numbers + i)) {                                                          \
        i += GROUP;                                                                                \
        continue;                                                                                  \
      }                                                                                            \
      int64_t run = GROUP + same_##name(numbers + i + GROUP, count - i - GROUP, numbers[i]);       \
      if (run < least) {                                                                           \
        i += run / GROUP * GROUP;                                                                  \
        continue;                                                                                  \
      }                                                                                            \
      out = packed_##name(numbers + gathered, i - gathered, bit_width, out);                       \
      out = encode_rle_same(numbers[i], run, bit_width, out);                                      \
      i += run;                                                                                    \
      gathered = i;                                                                                \
    }                                                                                              \
    return packed_##name(numbers + gathered, count - gathered, bit_width, out);                    \
  }

/* ---- numbers of 8 bits: levels, booleans ----------------------------------------------------------- */

static inline uint64_t eight_of(uint8_t number) { return number * UINT64_C(0x0101010101010101); }

static inline bool is_same_8(const uint8_t *numbers) {
  return words_load_8(numbers) == eight_of(numbers[0]);
}

/* How many of them, from the first on, are `number`. */
static int64_t same_8(const uint8_t *numbers, int64_t count, uint8_t number) {
  uint64_t eight = eight_of(number);
  int64_t i = 0;
  while (i + GROUP <= count && words_load_8(numbers + i) == eight) i += GROUP;
  while (i < count && numbers[i] == number) i++;
  return i;
}

HYBRID(uint8_t, 8)

/* ---- numbers of 32 bits: dictionary indices -------------------------------------------------------- */

static inline bool is_same_32(const uint32_t *numbers) {
  uint32_t different = 0;
  for (int i = 1; i < GROUP; i++) different |= numbers[i] ^ numbers[0];
  return different == 0;
}

static int64_t same_32(const uint32_t *numbers, int64_t count, uint32_t number) {
  int64_t i = 0;
  while (i + GROUP <= count && numbers[i] == number && is_same_32(numbers + i)) i += GROUP;
  while (i < count && numbers[i] == number) i++;
  return i;
}

HYBRID(uint32_t, 32)

/* ---- booleans -------------------------------------------------------------------------------------- */

uint8_t *encode_booleans_rle(const uint8_t *values, int64_t count, uint8_t *out) {
  uint8_t *start = out + sizeof(uint32_t);
  uint8_t *end = encode_rle_8(values, count, 1, start);
  uint32_t bytes = (uint32_t)(end - start);
  memcpy(out, &bytes, sizeof bytes);
  return end;
}
