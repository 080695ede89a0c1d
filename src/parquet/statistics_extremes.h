/* The least and the greatest of many values, in loops by type. Inside statistics*.c only. */
#ifndef ARROWPORT_PARQUET_STATISTICS_EXTREMES_H
#define ARROWPORT_PARQUET_STATISTICS_EXTREMES_H

#include <stdbool.h>
#include <stdint.h>

#include "parquet/values.h"

/* `count` >= 1 values each. Floats: the NaNs are counted and left out; when all are NaN the results are
 * +infinity and -infinity. */
void extremes_int32(const int32_t *values, int64_t count, int32_t *min, int32_t *max);
void extremes_uint32(const uint32_t *values, int64_t count, uint32_t *min, uint32_t *max);
void extremes_int64(const int64_t *values, int64_t count, int64_t *min, int64_t *max);
void extremes_uint64(const uint64_t *values, int64_t count, uint64_t *min, uint64_t *max);
void extremes_uint8(const uint8_t *values, int64_t count, uint8_t *min, uint8_t *max);
int64_t extremes_float(const float *values, int64_t count, float *min, float *max);
int64_t extremes_double(const double *values, int64_t count, double *min, double *max);
/* Half floats, as what half_key makes of them. */
int64_t extremes_half(const uint8_t *values, int64_t count, int16_t *min, int16_t *max);

/* Half floats' bits as integers that compare as the numbers do, -0 below +0; and back: it is its own
 * inverse. */
static inline int16_t half_key(uint16_t bits) {
  int16_t value = (int16_t)bits;
  return (int16_t)(value ^ ((value >> 15) & 0x7FFF));
}
static inline uint16_t half_of_key(int16_t key) { return (uint16_t)(key ^ ((key >> 15) & 0x7FFF)); }

/* Which of them: numbers of values. */
struct extremes {
  int64_t min, max;
};
/* Byte by byte, unsigned, the shorter of two that begin alike is less. */
struct extremes extremes_of_bytes(const struct parquet_bytes *values, int64_t count);
/* Likewise values of `width` bytes each; with `is_signed` big-endian numbers in two's complement. */
struct extremes extremes_of_fixed(const uint8_t *values, int64_t count, int64_t width,
                                  bool is_signed);

#endif
