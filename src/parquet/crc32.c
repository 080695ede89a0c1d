/* CRC-32 by carry-less multiplication, where the processor has it: four accumulators of 16 bytes are carried
 * 64 bytes on at a time, which is to multiply them by x^512 modulo the polynomial; what is left of them
 * in the end is 16 bytes whose CRC is that of all that went in (V. Gopal et al., "Fast CRC
 * Computation for Generic Polynomials Using PCLMULQDQ Instruction", 2009). zlib does the rest. */
#include <string.h>
#include <zlib.h>

#include "parquet/codec.h"

static uint32_t zlib_crc32(uint32_t crc, const uint8_t *data, int64_t bytes) {
  return (uint32_t)crc32_z(crc, data, (size_t)bytes);
}

#if defined(__x86_64__)
#include <emmintrin.h>
#include <wmmintrin.h>

enum { FOLD_BYTES = 64, LANE_BYTES = 16 };

/* x^n modulo the polynomial, bits reflected, for the two halves of an accumulator that is carried 64
 * bytes on (n = 512 + 32, 512 - 32), or 16 (128 + 32, 128 - 32). */
static const int64_t by_64[2] = {0x0154442bd4, 0x01c6e41596};
static const int64_t by_16[2] = {0x01751997d0, 0x00ccaa009e};

__attribute__((target("pclmul"))) static inline __m128i fold(__m128i sum, __m128i factors,
                                                             __m128i next) {
  __m128i low = _mm_clmulepi64_si128(sum, factors, 0x00);
  __m128i high = _mm_clmulepi64_si128(sum, factors, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

static inline __m128i load(const void *data, int lane) {
  return _mm_loadu_si128((const __m128i *)data + lane);
}

/* `bytes` >= FOLD_BYTES. */
__attribute__((target("pclmul"))) static uint32_t folded_crc32(uint32_t crc, const uint8_t *data,
                                                               int64_t bytes) {
  __m128i factors = load(by_64, 0);
  __m128i sum[4];
  for (int i = 0; i < 4; i++) sum[i] = load(data, i);
  sum[0] = _mm_xor_si128(sum[0], _mm_cvtsi32_si128((int)~crc));
  data += FOLD_BYTES;
  bytes -= FOLD_BYTES;
  for (; bytes >= FOLD_BYTES; data += FOLD_BYTES, bytes -= FOLD_BYTES) {
    sum[0] = fold(sum[0], factors, load(data, 0));
    sum[1] = fold(sum[1], factors, load(data, 1));
    sum[2] = fold(sum[2], factors, load(data, 2));
    sum[3] = fold(sum[3], factors, load(data, 3));
  }
  factors = load(by_16, 0);
  for (int i = 1; i < 4; i++) sum[0] = fold(sum[0], factors, sum[i]);
  for (; bytes >= LANE_BYTES; data += LANE_BYTES, bytes -= LANE_BYTES)
    sum[0] = fold(sum[0], factors, load(data, 0));
  uint8_t rest[LANE_BYTES];
  _mm_storeu_si128((__m128i *)rest, sum[0]);
  crc = zlib_crc32(UINT32_MAX, rest, LANE_BYTES); /* a register of 0 to begin with */
  return zlib_crc32(crc, data, bytes);
}

static bool can_fold(void) { return __builtin_cpu_supports("pclmul"); }
#else
enum { FOLD_BYTES = 64 };
static uint32_t folded_crc32(uint32_t crc, const uint8_t *data, int64_t bytes) {
  return zlib_crc32(crc, data, bytes);
}
static bool can_fold(void) { return false; }
#endif

uint32_t parquet_crc32(uint32_t crc, const void *data, int64_t bytes) {
  if (bytes == 0) return crc; /* zlib takes NULL for a wish to know the first value */
  if (bytes < FOLD_BYTES || !can_fold()) return zlib_crc32(crc, data, bytes);
  return folded_crc32(crc, data, bytes);
}
