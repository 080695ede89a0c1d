/* BYTE_STREAM_SPLIT (Encodings.md): the first bytes of all values, then the second ones, and so on. */
#include <string.h>

#include "parquet/encode.h"

enum { EIGHT = 8 };

/* Rows and columns of 8 by 8 bytes, exchanged: 1, then 2, then 4 bytes at a time. */
static inline void transpose(uint64_t rows[EIGHT]) {
  static const uint64_t masks[3] = {UINT64_C(0x00ff00ff00ff00ff), UINT64_C(0x0000ffff0000ffff),
                                    UINT64_C(0x00000000ffffffff)};
  for (int step = 0; step < 3; step++) {
    int distance = 1 << step, bits = 8 << step;
    for (int i = 0; i < EIGHT; i++) {
      if ((i & distance) != 0) continue;
      uint64_t a = rows[i], b = rows[i + distance];
      rows[i] = (a & masks[step]) | (b & masks[step]) << bits;
      rows[i + distance] = (a >> bits & masks[step]) | (b & ~masks[step]);
    }
  }
}

/* Values of 4 or 8 bytes, eight at a time. `width_bytes` is a constant to the compiler. */
static inline int64_t split_eights(const uint8_t *from, int64_t count, int64_t width_bytes,
                                   uint8_t *out) {
  int64_t i = 0;
  for (; i + EIGHT <= count; i += EIGHT) {
    uint64_t rows[EIGHT] = {0};
    for (int k = 0; k < EIGHT; k++)
      memcpy(&rows[k], from + (i + k) * width_bytes, (size_t)width_bytes);
    transpose(rows);
    for (int64_t stream = 0; stream < width_bytes; stream++)
      memcpy(out + stream * count + i, &rows[stream], sizeof *rows);
  }
  return i;
}

uint8_t *encode_split(const void *values, int64_t count, int64_t width_bytes, uint8_t *out) {
  const uint8_t *from = values;
  int64_t done = 0;
  if (width_bytes == 4) done = split_eights(from, count, 4, out);
  if (width_bytes == 8) done = split_eights(from, count, 8, out);
  for (int64_t i = done; i < count; i++)
    for (int64_t stream = 0; stream < width_bytes; stream++)
      out[stream * count + i] = from[i * width_bytes + stream];
  return out + count * width_bytes;
}
