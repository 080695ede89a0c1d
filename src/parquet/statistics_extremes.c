/* Numbers: vectors of 32 bytes, two side by side so that no step waits for the last one. A comparison with a
 * NaN is false, so NaNs never get in. */
#include "parquet/statistics_extremes.h"

#include <math.h>
#include <string.h>

#include "base/vector.h"

enum { VECTOR_BYTES = 32, VECTORS = 2 };

/* Where `mask`, all ones or zeros, is set, the one, else the other. */
#define SELECT(vector, mask_vector, mask, one, other)                                              \
  (vector)(((mask_vector)(one)&mask) | ((mask_vector)(other) & ~mask))

/* Of `type`s, whose comparisons give `mask_type`s. The accumulators begin at `low`, `high`; what is no
 * number is counted into `nan_count`, which integers leave at 0. */
#define EXTREMES(name, type, mask_type, high, low)                                                 \
  typedef type name##_vector __attribute__((vector_size(VECTOR_BYTES)));                           \
  typedef mask_type name##_mask __attribute__((vector_size(VECTOR_BYTES)));                        \
  VECTOR_LOOP static int64_t name(const type *values, int64_t count, type *min, type *max) {       \
    enum { LANES = VECTOR_BYTES / sizeof(type), STEP = VECTORS * LANES };                          \
    name##_vector least[VECTORS], most[VECTORS];                                                   \
    name##_mask nans[VECTORS];                                                                     \
    for (int k = 0; k < VECTORS; k++) {                                                            \
      least[k] = (name##_vector){0} + (high);                                                      \
      most[k] = (name##_vector){0} + (low);                                                        \
      nans[k] = (name##_mask){0};                                                                  \
    }                                                                                              \
    int64_t i = 0, nan_count = 0;                                                                  \
    for (; i + STEP <= count; i += STEP)                                                           \
      for (int64_t k = 0; k < VECTORS; k++) {                                                      \
        name##_vector some;                                                                        \
        memcpy(&some, values + i + k * LANES, sizeof some);                                        \
        name##_mask less = (name##_mask)(some < least[k]);                                         \
        name##_mask more = (name##_mask)(some > most[k]);                                          \
        least[k] = SELECT(name##_vector, name##_mask, less, some, least[k]);                       \
        most[k] = SELECT(name##_vector, name##_mask, more, some, most[k]);                         \
        nans[k] -= (name##_mask)(some != some);                                                    \
      }                                                                                            \
    *min = (high);                                                                                 \
    *max = (low);                                                                                  \
    for (int k = 0; k < STEP; k++) {                                                               \
      type one = least[k / LANES][k % LANES], other = most[k / LANES][k % LANES];                  \
      *min = one < *min ? one : *min;                                                              \
      *max = other > *max ? other : *max;                                                          \
      nan_count += (int64_t)nans[k / LANES][k % LANES];                                            \
    }                                                                                              \
    for (; i < count; i++) {                                                                       \
      *min = values[i] < *min ? values[i] : *min;                                                  \
      *max = values[i] > *max ? values[i] : *max;                                                  \
      nan_count += values[i] != values[i];                                                         \
    }                                                                                              \
    return nan_count;                                                                              \
  }
EXTREMES(of_int32, int32_t, int32_t, INT32_MAX, INT32_MIN)
EXTREMES(of_uint32, uint32_t, int32_t, UINT32_MAX, 0)
EXTREMES(of_int64, int64_t, int64_t, INT64_MAX, INT64_MIN)
EXTREMES(of_uint64, uint64_t, int64_t, UINT64_MAX, 0)
EXTREMES(of_uint8, uint8_t, int8_t, UINT8_MAX, 0)
EXTREMES(of_float, float, int32_t, INFINITY, -INFINITY)
EXTREMES(of_double, double, int64_t, (double)INFINITY, (double)-INFINITY)

void extremes_int32(const int32_t *values, int64_t count, int32_t *min, int32_t *max) {
  (void)of_int32(values, count, min, max);
}
void extremes_uint32(const uint32_t *values, int64_t count, uint32_t *min, uint32_t *max) {
  (void)of_uint32(values, count, min, max);
}
void extremes_int64(const int64_t *values, int64_t count, int64_t *min, int64_t *max) {
  (void)of_int64(values, count, min, max);
}
void extremes_uint64(const uint64_t *values, int64_t count, uint64_t *min, uint64_t *max) {
  (void)of_uint64(values, count, min, max);
}
void extremes_uint8(const uint8_t *values, int64_t count, uint8_t *min, uint8_t *max) {
  (void)of_uint8(values, count, min, max);
}

/* A lane counts its NaNs in 32 bits, so floats are taken in pieces that those can count. */
int64_t extremes_float(const float *values, int64_t count, float *min, float *max) {
  enum { PIECE = 1 << 30 };
  int64_t nan_count = 0;
  *min = INFINITY;
  *max = -INFINITY;
  for (int64_t i = 0; i < count; i += PIECE) {
    float least, most;
    nan_count += of_float(values + i, count - i < PIECE ? count - i : PIECE, &least, &most);
    *min = least < *min ? least : *min;
    *max = most > *max ? most : *max;
  }
  return nan_count;
}
int64_t extremes_double(const double *values, int64_t count, double *min, double *max) {
  return of_double(values, count, min, max);
}

VECTOR_LOOP static int64_t of_half(const uint8_t *values, int64_t count, int16_t *min,
                                   int16_t *max) {
  enum { INFINITE = 0x7C00, MAGNITUDE = 0x7FFF };
  int16_t least = INFINITE, most = half_key(0xFC00);
  int64_t nan_count = 0;
  for (int64_t i = 0; i < count; i++) {
    uint16_t bits;
    memcpy(&bits, values + 2 * i, sizeof bits);
    bool is_nan = (bits & MAGNITUDE) > INFINITE;
    int16_t low = is_nan ? INT16_MAX : half_key(bits), high = is_nan ? INT16_MIN : half_key(bits);
    least = low < least ? low : least;
    most = high > most ? high : most;
    nan_count += is_nan;
  }
  *min = least;
  *max = most;
  return nan_count;
}
int64_t extremes_half(const uint8_t *values, int64_t count, int16_t *min, int16_t *max) {
  return of_half(values, count, min, max);
}
