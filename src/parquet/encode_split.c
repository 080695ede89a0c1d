/* BYTE_STREAM_SPLIT (Encodings.md): the first bytes of all values, then the second ones, and so on.
 *
 * Sixteen values are exchanged at a time, 8 (or 4) of their bytes: byte r of value v lies at address v * 8 + r
 * and is wanted at r * 16 + v, which is the address with its bits turned by four; weaving every register with
 * the one half of them further turns it by one. The streams are as far apart as there are values, often a
 * power of two, and so compete for the same places of the cache: no more than eight are written at a
 * time, and values are read in blocks that stay in the cache until all of their streams are. */
#include <string.h>

#include "parquet/encode.h"
#include "parquet/encode_pack.h"

enum { ROWS = 16, BLOCK_BYTES = 8192, TURNS = 4 };

typedef uint8_t lanes __attribute__((vector_size(ROWS)));

#define INLINE static inline __attribute__((always_inline))

#define LOW_HALVES  0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_HALVES 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#ifdef __clang__
#define WEAVE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define WEAVE(a, b, ...) __builtin_shuffle(a, b, (lanes){__VA_ARGS__})
#endif

/* So many bytes of 16 values into as many streams. Registers are filled from memory in one step each (by
 * way of a buffer, a load would have to wait for several stores). */
#define SPLIT(bytes, type)                                                                         \
  INLINE void split_##bytes(const uint8_t *from, int64_t width_bytes, uint8_t *out,                \
                            int64_t count) {                                                       \
    typedef type pieces __attribute__((vector_size(ROWS)));                                        \
    enum { EACH = ROWS / (bytes), HALF = (bytes) / 2 };                                            \
    lanes a[bytes], b[bytes];                                                                      \
    UNROLLED for (int64_t i = 0; i < (bytes); i++) {                                               \
      if (width_bytes == (bytes)) {                                                                \
        memcpy(&a[i], from + i * ROWS, sizeof a[i]);                                               \
      } else {                                                                                     \
        pieces piece;                                                                              \
        UNROLLED for (int k = 0; k < EACH; k++) {                                                  \
          type one;                                                                                \
          memcpy(&one, from + (i * EACH + k) * width_bytes, sizeof one);                           \
          piece[k] = one;                                                                          \
        }                                                                                          \
        a[i] = (lanes)piece;                                                                       \
      }                                                                                            \
    }                                                                                              \
    UNROLLED for (int turn = 0; turn < TURNS; turn++) {                                            \
      UNROLLED for (int64_t i = 0; i < HALF; i++) {                                                \
        b[2 * i] = WEAVE(a[i], a[i + HALF], LOW_HALVES);                                           \
        b[2 * i + 1] = WEAVE(a[i], a[i + HALF], HIGH_HALVES);                                      \
      }                                                                                            \
      memcpy(a, b, sizeof a);                                                                      \
    }                                                                                              \
    UNROLLED for (int i = 0; i < (bytes); i++) memcpy(out + i * count, &a[i], sizeof a[i]);        \
  }

SPLIT(2, uint16_t)
SPLIT(4, uint32_t)
SPLIT(8, uint64_t)

/* `bytes` (a constant) of the values [0, rows); what is left of 16 one by one. */
INLINE void split_columns(const uint8_t *from, int64_t rows, int64_t width_bytes, int64_t bytes,
                          uint8_t *out, int64_t count) {
  int64_t row = 0;
  for (; bytes > 1 && row + ROWS <= rows; row += ROWS) {
    const uint8_t *here = from + row * width_bytes;
    if (bytes == 8) split_8(here, width_bytes, out + row, count);
    if (bytes == 4) split_4(here, width_bytes, out + row, count);
    if (bytes == 2) split_2(here, width_bytes, out + row, count);
  }
  for (int64_t stream = 0; stream < bytes; stream++)
    for (int64_t i = row; i < rows; i++) out[stream * count + i] = from[i * width_bytes + stream];
}

/* Values of one width, which is a constant where it is a usual one. */
INLINE void split_block(const uint8_t *from, int64_t rows, int64_t width_bytes, uint8_t *out,
                        int64_t count) {
  int64_t at = 0;
  for (; at + 8 <= width_bytes; at += 8)
    split_columns(from + at, rows, width_bytes, 8, out + at * count, count);
  if (at + 4 <= width_bytes) {
    split_columns(from + at, rows, width_bytes, 4, out + at * count, count);
    at += 4;
  }
  if (at + 2 <= width_bytes) {
    split_columns(from + at, rows, width_bytes, 2, out + at * count, count);
    at += 2;
  }
  if (at < width_bytes) split_columns(from + at, rows, width_bytes, 1, out + at * count, count);
}

uint8_t *encode_split(const void *values, int64_t count, int64_t width_bytes, uint8_t *out) {
  const uint8_t *from = values;
  int64_t block_rows = BLOCK_BYTES / width_bytes / ROWS * ROWS;
  const int64_t block_rows_min = ROWS * INT64_C(4);
  if (block_rows < block_rows_min) block_rows = block_rows_min;
  for (int64_t row = 0; row < count; row += block_rows) {
    int64_t rows = count - row < block_rows ? count - row : block_rows;
    const uint8_t *block = from + row * width_bytes;
    switch (width_bytes) {
    case 2: split_block(block, rows, 2, out + row, count); break;
    case 4: split_block(block, rows, 4, out + row, count); break;
    case 8: split_block(block, rows, 8, out + row, count); break;
    case 16: split_block(block, rows, 16, out + row, count); break;
    default: split_block(block, rows, width_bytes, out + row, count);
    }
  }
  return out + count * width_bytes;
}
