/* DELTA_BINARY_PACKED (Encodings.md, "Delta Encoding"): blocks of 128 differences in 4 miniblocks. Differences
 * wrap around in the width of the type, as readers' sums do. */
#include <string.h>

#include "base/vector.h"
#include "parquet/encode.h"
#include "parquet/encode_pack.h"

enum { BLOCK = 128, MINIBLOCKS = 4, MINIBLOCK = BLOCK / MINIBLOCKS };
enum { HEADER_BYTES_MAX = 2 + 1 + 10 + 10, BLOCK_HEADER_BYTES_MAX = 10 + MINIBLOCKS };

_Static_assert((int)MINIBLOCK == (int)PACK_NUMBERS, "a miniblock is packed by one call");

int64_t encode_delta_room(int64_t count, int64_t width_bytes) {
  int64_t blocks = (count + BLOCK - 1) / BLOCK;
  return HEADER_BYTES_MAX + blocks * (BLOCK_HEADER_BYTES_MAX + BLOCK * width_bytes);
}

/* Above their least, and for each miniblock what all of them have set. */
#define DELTAS(name, signed_type, unsigned_type)                                                   \
  VECTOR_LOOP static signed_type deltas_##name(const signed_type *numbers, int64_t count,          \
                                               unsigned_type *deltas, unsigned_type *set) {        \
    signed_type least = (signed_type)((unsigned_type)numbers[1] - (unsigned_type)numbers[0]);      \
    for (int64_t i = 0; i < count; i++) {                                                          \
      unsigned_type delta = (unsigned_type)numbers[i + 1] - (unsigned_type)numbers[i];             \
      deltas[i] = delta;                                                                           \
      least = (signed_type)delta < least ? (signed_type)delta : least;                             \
    }                                                                                              \
    for (int64_t i = 0; i < count; i++) deltas[i] -= (unsigned_type)least;                         \
    for (int64_t i = count; i < BLOCK; i++) deltas[i] = 0;                                         \
    for (int k = 0; k < MINIBLOCKS; k++) {                                                         \
      unsigned_type any = 0;                                                                       \
      for (int i = 0; i < MINIBLOCK; i++) any |= deltas[k * MINIBLOCK + i];                        \
      set[k] = any;                                                                                \
    }                                                                                              \
    return least;                                                                                  \
  }                                                                                                \
                                                                                                   \
  uint8_t *encode_delta_##name(const signed_type *numbers, int64_t count, uint8_t *out) {          \
    unsigned_type deltas[BLOCK], set[MINIBLOCKS];                                                  \
    out = put_varint(BLOCK, out);                                                                  \
    out = put_varint(MINIBLOCKS, out);                                                             \
    out = put_varint((uint64_t)count, out);                                                        \
    out = put_zigzag(count > 0 ? numbers[0] : 0, out);                                             \
    for (int64_t i = 1; i < count; i += BLOCK) {                                                   \
      int64_t left = count - i < BLOCK ? count - i : BLOCK;                                        \
      out = put_zigzag(deltas_##name(numbers + i - 1, left, deltas, set), out);                    \
      uint8_t *widths = out;                                                                       \
      out += MINIBLOCKS;                                                                           \
      for (int64_t k = 0; k < MINIBLOCKS; k++) {                                                   \
        int width = encode_bit_width(set[k]);                                                      \
        widths[k] = (uint8_t)width;                                                                \
        if (width == 0) continue;                                                                  \
        pack_##name(deltas + k * MINIBLOCK, width, out);                                           \
        out += (int64_t)MINIBLOCK / 8 * width;                                                     \
      }                                                                                            \
    }                                                                                              \
    return out;                                                                                    \
  }

DELTAS(32, int32_t, uint32_t)
DELTAS(64, int64_t, uint64_t)
