/* Numbers of a few bits each, packed from the least significant bit on (Encodings.md, "RLE"). Inside the
 * room only. */
#ifndef ARROWPORT_PARQUET_ENCODE_PACK_H
#define ARROWPORT_PARQUET_ENCODE_PACK_H

#include <stdint.h>
#include <string.h>

#include "base/vector.h"

/* Before a loop of a constant number of steps: nothing is left of it but its body, over and over. Sanitizers make
 * so much of every access that compiling that would take them minutes. */
#if defined(VECTOR_SANITIZED)
#define UNROLLED
#elif defined(__clang__)
#define UNROLLED _Pragma("clang loop unroll(full)")
#else
#define UNROLLED _Pragma("GCC unroll 32")
#endif

enum { PACK_NUMBERS = 32 };

/* Packs PACK_NUMBERS numbers, none of more than `bit_width` bits (8, 32, 64 at most): 4 * bit_width bytes. */
void pack_8(const uint8_t *numbers, int bit_width, uint8_t *out);
void pack_32(const uint32_t *numbers, int bit_width, uint8_t *out);
void pack_64(const uint64_t *numbers, int bit_width, uint8_t *out);

/* ULEB128; at most 10 bytes. Returns the end. */
static inline uint8_t *put_varint(uint64_t number, uint8_t *out) {
  for (; number > 0x7f; number >>= 7) *out++ = (uint8_t)(number | 0x80);
  *out++ = (uint8_t)number;
  return out;
}

static inline uint8_t *put_zigzag(int64_t number, uint8_t *out) {
  return put_varint(((uint64_t)number << 1) ^ (uint64_t)(number >> 63), out);
}

#endif
