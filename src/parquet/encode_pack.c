/* Bit packing. There is a function for each width, in which it is a constant: the loop over 32 numbers unrolls
 * to shifts, ors and stores whose places are all known, which is as fast at plain -O2 as vector code. */
#include "parquet/encode_pack.h"

/* With a constant `width`, of which nothing is left but the body. */
#define PACK(type, width)                                                                          \
  uint64_t word = 0;                                                                               \
  int bits = 0;                                                                                    \
  UNROLLED for (int i = 0; i < PACK_NUMBERS; i++) {                                                \
    uint64_t number = ((const type *)numbers)[i];                                                  \
    word |= number << bits;                                                                        \
    bits += (width);                                                                               \
    if (bits >= 64) {                                                                              \
      memcpy(out, &word, sizeof word);                                                             \
      out += sizeof word;                                                                          \
      bits -= 64;                                                                                  \
      word = bits == 0 ? 0 : number >> ((width)-bits);                                             \
    }                                                                                              \
  }                                                                                                \
  if (bits > 0) memcpy(out, &word, sizeof word / 2); /* 32 odd widths end in the middle */

#define EIGHT(X, type, of)                                                                         \
  X(type, of)                                                                                      \
  X(type, of + 1)                                                                                  \
  X(type, of + 2) X(type, of + 3) X(type, of + 4) X(type, of + 5) X(type, of + 6) X(type, of + 7)

#define CASE(type, width)                                                                          \
  case (width): {                                                                                  \
    PACK(type, width)                                                                              \
    return;                                                                                        \
  }

void pack_8(const uint8_t *numbers, int bit_width, uint8_t *out) {
  switch (bit_width) { EIGHT(CASE, uint8_t, 1) }
}

void pack_32(const uint32_t *numbers, int bit_width, uint8_t *out) {
  switch (bit_width) {
    EIGHT(CASE, uint32_t, 1)
    EIGHT(CASE, uint32_t, 9)
    EIGHT(CASE, uint32_t, 17)
    EIGHT(CASE, uint32_t, 25)
  }
}

void pack_64(const uint64_t *numbers, int bit_width, uint8_t *out) {
  switch (bit_width) {
    EIGHT(CASE, uint64_t, 1)
    EIGHT(CASE, uint64_t, 9)
    EIGHT(CASE, uint64_t, 17)
    EIGHT(CASE, uint64_t, 25)
    EIGHT(CASE, uint64_t, 33)
    EIGHT(CASE, uint64_t, 41)
    EIGHT(CASE, uint64_t, 49)
    EIGHT(CASE, uint64_t, 57)
  }
}
