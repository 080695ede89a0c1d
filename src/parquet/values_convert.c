/* Values that become others: a block of them is brought together, then converted by a loop that only notes
 * whether any of them was wrong. Which one it was is looked for when there is one. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "arrow/encode_number.h"
#include "base/vector.h"
#include "parquet/values_gather.h"

#define INLINE static inline __attribute__((always_inline))

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

enum { BLOCK_UNITS = 512, BLOCK_VALUE_BYTES_MAX = 32, DECIMAL_BYTES_MAX = 32, SCALE_MAX = 128 };

static const int64_t day_ms = 86400000;

struct conversion;
/* Of `count` values; false: not all of them can be. */
typedef bool (*convert_block)(const struct conversion *conversion, const uint8_t *from,
                              int64_t count, uint8_t *to);

struct conversion {
  convert_block block;
  int64_t source_bytes, made_bytes; /* of a value */
  uint64_t most[4];                 /* of decimals: 10^precision - 1, lowest word first */
};

INLINE int32_t load_32(const uint8_t *from, int64_t i) {
  int32_t value;
  memcpy(&value, from + i * 4, sizeof value);
  return value;
}
INLINE int64_t load_64(const uint8_t *from, int64_t i) {
  int64_t value;
  memcpy(&value, from + i * 8, sizeof value);
  return value;
}

/* ---- integers ---------------------------------------------------------------------------------- */

#define WIDEN(name, type)                                                                          \
  VECTOR_LOOP static bool name(const struct conversion *conversion, const uint8_t *from,           \
                               int64_t count, uint8_t *to) {                                       \
    (void)conversion;                                                                              \
    for (int64_t i = 0; i < count; i++) {                                                          \
      type value;                                                                                  \
      memcpy(&value, from + i * (int64_t)sizeof value, sizeof value);                              \
      int32_t wide = value;                                                                        \
      memcpy(to + i * 4, &wide, sizeof wide);                                                      \
    }                                                                                              \
    return true;                                                                                   \
  }
WIDEN(widen_int8, int8_t)
WIDEN(widen_uint8, uint8_t)
WIDEN(widen_int16, int16_t)
WIDEN(widen_uint16, uint16_t)

VECTOR_LOOP static bool seconds_64(const struct conversion *conversion, const uint8_t *from,
                                   int64_t count, uint8_t *to) {
  (void)conversion;
  const uint64_t most = INT64_MAX / 1000;
  uint64_t wrong = 0;
  for (int64_t i = 0; i < count; i++) {
    uint64_t value = (uint64_t)load_64(from, i);
    wrong |= (uint64_t)(value + most > 2 * most);
    value *= 1000;
    memcpy(to + i * 8, &value, sizeof value);
  }
  return wrong == 0;
}

VECTOR_LOOP static bool seconds_32(const struct conversion *conversion, const uint8_t *from,
                                   int64_t count, uint8_t *to) {
  (void)conversion;
  const uint32_t most = INT32_MAX / 1000;
  uint32_t wrong = 0;
  for (int64_t i = 0; i < count; i++) {
    uint32_t value = (uint32_t)load_32(from, i);
    wrong |= (uint32_t)(value + most > 2 * most);
    value *= 1000;
    memcpy(to + i * 4, &value, sizeof value);
  }
  return wrong == 0;
}

static bool days(const struct conversion *conversion, const uint8_t *from, int64_t count,
                 uint8_t *to) {
  (void)conversion;
  bool wrong = false;
  for (int64_t i = 0; i < count; i++) {
    int64_t value = load_64(from, i), day = value / day_ms;
    wrong |= day * day_ms != value || day != (int32_t)day;
    int32_t made = (int32_t)day;
    memcpy(to + i * 4, &made, sizeof made);
  }
  return !wrong;
}

/* ---- decimals as integers ------------------------------------------------------------------------ */

/* -most <= value <= most */
INLINE bool is_within_64(int64_t value, uint64_t most) {
  return (uint64_t)value + most <= 2 * most;
}

INLINE bool decimals_to_int(const struct conversion *conversion, const uint8_t *from, int64_t count,
                            uint8_t *to, int64_t source_words, bool is_64) {
  const uint64_t most = conversion->most[0];
  bool wrong = false;
  for (int64_t i = 0; i < count; i++) {
    int64_t value = load_64(from, i * source_words);
    for (int64_t k = 1; k < source_words; k++)
      wrong |= load_64(from, i * source_words + k) != value >> 63;
    wrong |= !is_within_64(value, most);
    int32_t narrow = (int32_t)value;
    if (is_64)
      memcpy(to + i * 8, &value, sizeof value);
    else
      memcpy(to + i * 4, &narrow, sizeof narrow);
  }
  return !wrong;
}

#define DECIMALS_TO_INT(name, words, is_64)                                                        \
  static bool name(const struct conversion *conversion, const uint8_t *from, int64_t count,        \
                   uint8_t *to) {                                                                  \
    return decimals_to_int(conversion, from, count, to, words, is_64);                             \
  }
DECIMALS_TO_INT(decimals_64_to_32, 1, false)
DECIMALS_TO_INT(decimals_128_to_32, 2, false)
DECIMALS_TO_INT(decimals_128_to_64, 2, true)
DECIMALS_TO_INT(decimals_256_to_32, 4, false)
DECIMALS_TO_INT(decimals_256_to_64, 4, true)

static bool decimals_32_to_64(const struct conversion *conversion, const uint8_t *from,
                              int64_t count, uint8_t *to) {
  bool wrong = false;
  for (int64_t i = 0; i < count; i++) {
    int64_t value = load_32(from, i);
    wrong |= !is_within_64(value, conversion->most[0]);
    memcpy(to + i * 8, &value, sizeof value);
  }
  return !wrong;
}

VECTOR_LOOP static bool check_32(const struct conversion *conversion, const uint8_t *from,
                                 int64_t count, uint8_t *to) {
  (void)to;
  uint32_t most = conversion->most[0] > INT32_MAX ? INT32_MAX : (uint32_t)conversion->most[0];
  uint32_t wrong = 0;
  for (int64_t i = 0; i < count; i++)
    wrong |= (uint32_t)((uint32_t)load_32(from, i) + most > 2 * most);
  return wrong == 0;
}

VECTOR_LOOP static bool check_64(const struct conversion *conversion, const uint8_t *from,
                                 int64_t count, uint8_t *to) {
  (void)to;
  uint64_t most = conversion->most[0];
  uint64_t wrong = 0;
  for (int64_t i = 0; i < count; i++)
    wrong |= (uint64_t)((uint64_t)load_64(from, i) + most > 2 * most);
  return wrong == 0;
}

/* ---- decimals as bytes ------------------------------------------------------------------------- */

INLINE void store_big(uint8_t *to, uint64_t word) {
  word = __builtin_bswap64(word);
  memcpy(to, &word, sizeof word);
}

/* The lowest `made_bytes` of a value are moved to its top, and all 16 bytes stored: those behind
 * are the next value's. */
INLINE bool decimals_to_16(const struct conversion *conversion, const uint8_t *from, int64_t count,
                           uint8_t *to, int64_t source_bytes, int64_t made_bytes) {
  const uint128 most = (uint128)conversion->most[1] << 64 | conversion->most[0];
  const int shift = (int)(16 - made_bytes) * 8;
  bool wrong = false;
  for (int64_t i = 0; i < count; i++) {
    int128 value;
    if (source_bytes == 4)
      value = load_32(from, i);
    else if (source_bytes == 8)
      value = load_64(from, i);
    else
      value = (int128)((uint128)(uint64_t)load_64(from, i * source_bytes / 8 + 1) << 64 |
                       (uint64_t)load_64(from, i * source_bytes / 8));
    if (source_bytes == 32) {
      int64_t sign = (int64_t)(value >> 127);
      wrong |= load_64(from, i * 4 + 2) != sign || load_64(from, i * 4 + 3) != sign;
    }
    wrong |= (uint128)value + most > 2 * most;
    uint128 moved = (uint128)value << shift;
    store_big(to + i * made_bytes, (uint64_t)(moved >> 64));
    store_big(to + i * made_bytes + 8, (uint64_t)moved);
  }
  return !wrong;
}

#define DECIMALS_TO_16(name, source_bytes)                                                         \
  static bool name(const struct conversion *conversion, const uint8_t *from, int64_t count,        \
                   uint8_t *to) {                                                                  \
    if (conversion->made_bytes == 16)                                                              \
      return decimals_to_16(conversion, from, count, to, source_bytes, 16);                        \
    return decimals_to_16(conversion, from, count, to, source_bytes, conversion->made_bytes);      \
  }
DECIMALS_TO_16(decimals_32_to_16, 4)
DECIMALS_TO_16(decimals_64_to_16, 8)
DECIMALS_TO_16(decimals_128_to_16, 16)
DECIMALS_TO_16(decimals_256_to_16, 32)

struct wide {
  uint128 low, high;
};

/* value + most <= 2 * most, all of 256 bits: most is less than 2^253. */
INLINE bool is_within_256(struct wide value, struct wide most, struct wide twice) {
  struct wide sum = {.low = value.low + most.low};
  sum.high = value.high + most.high + (sum.low < most.low);
  return (sum.high < twice.high) | ((sum.high == twice.high) & (sum.low <= twice.low));
}

/* Of 17 to 32 bytes, out of 256 bits or (wide types with small values) fewer. */
INLINE bool decimals_to_32(const struct conversion *conversion, const uint8_t *from, int64_t count,
                           uint8_t *to, int64_t source_bytes, int64_t made_bytes) {
  const struct wide most = {(uint128)conversion->most[1] << 64 | conversion->most[0],
                            (uint128)conversion->most[3] << 64 | conversion->most[2]};
  const struct wide twice = {most.low << 1, most.high << 1 | most.low >> 127};
  bool wrong = false;
  for (int64_t i = 0; i < count; i++) {
    const uint8_t *value = from + i * source_bytes;
    uint64_t words[4], sign = value[source_bytes - 1] >= 0x80 ? UINT64_MAX : 0;
    for (int k = 0; k < 4; k++) words[k] = sign;
    memcpy(words, value, (size_t)source_bytes);
    struct wide all = {(uint128)words[1] << 64 | words[0], (uint128)words[3] << 64 | words[2]};
    wrong |= !is_within_256(all, most, twice);
    uint8_t turned[DECIMAL_BYTES_MAX];
    for (int64_t k = 0; k < 4; k++) store_big(turned + 8 * k, words[3 - k]);
    memcpy(to + i * made_bytes, turned + (DECIMAL_BYTES_MAX - made_bytes), (size_t)made_bytes);
  }
  return !wrong;
}

static bool decimals_256_to_32_bytes(const struct conversion *conversion, const uint8_t *from,
                                     int64_t count, uint8_t *to) {
  return decimals_to_32(conversion, from, count, to, 32, 32);
}
static bool decimals_any_to_bytes(const struct conversion *conversion, const uint8_t *from,
                                  int64_t count, uint8_t *to) {
  return decimals_to_32(conversion, from, count, to, conversion->source_bytes,
                        conversion->made_bytes);
}

/* ---- which one ------------------------------------------------------------------------------------ */

static convert_block widening(enum arrow_kind kind) {
  switch (kind) {
  case ARROW_INT8: return widen_int8;
  case ARROW_UINT8: return widen_uint8;
  case ARROW_INT16: return widen_int16;
  default: return widen_uint16;
  }
}

static convert_block decimal_to_int(int64_t source_bytes, bool is_64) {
  switch (source_bytes) {
  case 4: return is_64 ? decimals_32_to_64 : check_32;
  case 8: return is_64 ? check_64 : decimals_64_to_32;
  case 16: return is_64 ? decimals_128_to_64 : decimals_128_to_32;
  default: return is_64 ? decimals_256_to_64 : decimals_256_to_32;
  }
}

static convert_block decimal_to_bytes(int64_t source_bytes, int64_t made_bytes) {
  if (made_bytes == 32 && source_bytes == 32) return decimals_256_to_32_bytes;
  if (made_bytes > 16) return decimals_any_to_bytes;
  switch (source_bytes) {
  case 4: return decimals_32_to_16;
  case 8: return decimals_64_to_16;
  case 16: return decimals_128_to_16;
  default: return decimals_256_to_16;
  }
}

/* 10^digits - 1 */
static void nines(int32_t digits, uint64_t most[4]) {
  memset(most, 0, 4 * sizeof *most);
  for (int32_t i = 0; i < digits; i++) {
    uint128 carry = 9;
    for (int k = 0; k < 4; k++) {
      carry += (uint128)most[k] * 10;
      most[k] = (uint64_t)carry;
      carry >>= 64;
    }
  }
}

int64_t values_source_width(const struct parquet_leaf *leaf) {
  switch (leaf->conversion) {
  case PARQUET_WIDEN:
    return leaf->arrow.kind == ARROW_INT8 || leaf->arrow.kind == ARROW_UINT8 ? 1 : 2;
  case PARQUET_TIMES_1000: return leaf->type == PARQUET_INT32 ? 4 : 8;
  case PARQUET_DAYS: return 8;
  case PARQUET_DECIMAL_INT:
  case PARQUET_DECIMAL_BYTES: return leaf->arrow.bit_width / 8;
  default: return parquet_values_width(leaf);
  }
}

static struct conversion conversion_of(const struct parquet_leaf *leaf) {
  struct conversion made = {.source_bytes = values_source_width(leaf),
                            .made_bytes = parquet_values_width(leaf)};
  bool is_64 = leaf->type == PARQUET_INT64;
  nines(leaf->arrow.precision, made.most);
  switch (leaf->conversion) {
  case PARQUET_WIDEN: made.block = widening(leaf->arrow.kind); break;
  case PARQUET_TIMES_1000: made.block = is_64 ? seconds_64 : seconds_32; break;
  case PARQUET_DAYS: made.block = days; break;
  case PARQUET_DECIMAL_INT: made.block = decimal_to_int(made.source_bytes, is_64); break;
  default: made.block = decimal_to_bytes(made.source_bytes, made.made_bytes); break;
  }
  assert(made.source_bytes <= BLOCK_VALUE_BYTES_MAX && made.made_bytes <= DECIMAL_BYTES_MAX);
  return made;
}

/* ---- what was wrong ----------------------------------------------------------------------------- */

static void explain(const struct parquet_leaf *leaf, const uint8_t *value, char *why) {
  char digits[DECIMAL_TEXT_BYTES + SCALE_MAX];
  if (leaf->conversion == PARQUET_DAYS) {
    snprintf(why, VALUES_WHY_BYTES,
             "the date64 of %" PRId64 " ms is no whole day of a date in days", load_64(value, 0));
  } else if (leaf->conversion == PARQUET_TIMES_1000) {
    int64_t seconds = leaf->type == PARQUET_INT32 ? load_32(value, 0) : load_64(value, 0);
    snprintf(why, VALUES_WHY_BYTES, "%" PRId64 " seconds are more than milliseconds can say",
             seconds);
  } else {
    int32_t scale = leaf->arrow.scale > SCALE_MAX ? 0 : leaf->arrow.scale;
    *encode_decimal(digits, value, values_source_width(leaf), scale) = '\0';
    snprintf(why, VALUES_WHY_BYTES, "%s does not fit decimal(%" PRId32 ", %" PRId32 ")", digits,
             leaf->arrow.precision, leaf->arrow.scale);
  }
}

/* The first of `count` values that is wrong; there is one. */
static int64_t find_wrong(const struct parquet_leaf *leaf, const struct conversion *conversion,
                          const uint8_t *from, int64_t count, char *why) {
  uint8_t made[DECIMAL_BYTES_MAX + VALUES_SLACK_BYTES];
  int64_t i = 0;
  while (conversion->block(conversion, from + i * conversion->source_bytes, 1, made)) i++;
  assert(i < count);
  (void)count;
  explain(leaf, from + i * conversion->source_bytes, why);
  return i;
}

int64_t values_check_decimals(const struct parquet_leaf *leaf, const uint8_t *data, int64_t count,
                              char why[VALUES_WHY_BYTES]) {
  struct conversion conversion = conversion_of(leaf);
  bool is_right = leaf->type == PARQUET_INT64 ? check_64(&conversion, data, count, NULL)
                                              : check_32(&conversion, data, count, NULL);
  if (is_right) return -1;
  return find_wrong(leaf, &conversion, data, count, why);
}

int64_t values_convert(const struct parquet_leaf *leaf, const struct parquet_slots *slots,
                       uint8_t *to, char why[VALUES_WHY_BYTES]) {
  struct conversion conversion = conversion_of(leaf);
  const uint8_t *from = slots->array->buffers[1];
  if (slots_are_contiguous(slots)) {
    from += slots->first * conversion.source_bytes;
    if (conversion.block(&conversion, from, slots->count, to)) return -1;
    return find_wrong(leaf, &conversion, from, slots->count, why);
  }
  uint8_t block[BLOCK_UNITS * BLOCK_VALUE_BYTES_MAX + VALUES_SLACK_BYTES];
  int64_t made = 0, units = slots_units(slots);
  for (int64_t at = 0; at < units; at += BLOCK_UNITS) {
    int64_t few = units - at < BLOCK_UNITS ? units - at : BLOCK_UNITS;
    int64_t count = values_gather(slots, from, conversion.source_bytes, at, few, block);
    if (!conversion.block(&conversion, block, count, to + made * conversion.made_bytes))
      return made + find_wrong(leaf, &conversion, block, count, why);
    made += count;
  }
  return -1;
}
