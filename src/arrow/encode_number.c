#include "arrow/encode_number.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 uint128;

/* ---- integers ---------------------------------------------------------------------- */

static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";

enum { DIGITS_MAX = 20 }; /* of a uint64_t */

/* The digits end at `end`; returns where they begin. */
static char *digits_before(char *end, uint64_t value) {
  while (value >= 100) {
    end -= 2;
    memcpy(end, pairs + 2 * (value % 100), 2);
    value /= 100;
  }
  if (value >= 10) {
    end -= 2;
    memcpy(end, pairs + 2 * value, 2);
  } else {
    *--end = (char)('0' + value);
  }
  return end;
}

char *encode_unsigned(char *at, uint64_t value) {
  char digits[DIGITS_MAX];
  const char *start = digits_before(digits + DIGITS_MAX, value);
  size_t count = (size_t)(digits + DIGITS_MAX - start);
  memcpy(at, start, count);
  return at + count;
}

char *encode_integer(char *at, int64_t value) {
  if (value >= 0) return encode_unsigned(at, (uint64_t)value);
  *at++ = '-';
  return encode_unsigned(at, 0 - (uint64_t)value);
}

char *encode_padded(char *at, uint64_t value, int digits) {
  char text[DIGITS_MAX];
  const char *start = digits_before(text + DIGITS_MAX, value);
  int count = (int)(text + DIGITS_MAX - start);
  for (; count < digits; digits--) *at++ = '0';
  memcpy(at, start, (size_t)count);
  return at + count;
}

char *encode_two(char *at, uint32_t value) {
  memcpy(at, pairs + 2 * (size_t)value, 2);
  return at + 2;
}

/* ---- floats ------------------------------------------------------------------------ */

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}; /* all exact */
enum { POWER_MAX = 22 };

static const double plain_min = 1e-5;               /* smaller ones are shorter with an exponent */
static const double exact_max = 9007199254740992.0; /* 2^53 */
static const double sure_max = 1e15; /* a text of 15 digits is the only one for its double */

/* `digits` with `places` of them after the point, at least one before and after it. */
static char *place_point(char *at, uint64_t digits, int places) {
  char text[DIGITS_MAX];
  const char *start = digits_before(text + DIGITS_MAX, digits);
  int count = (int)(text + DIGITS_MAX - start);
  int whole = count - places;
  if (whole <= 0) {
    *at++ = '0';
  } else {
    memcpy(at, start, (size_t)whole);
    at += whole;
    start += whole;
    count = places;
  }
  *at++ = '.';
  for (; whole < 0; whole++) *at++ = '0';
  memcpy(at, start, (size_t)count);
  at += count;
  if (places == 0) *at++ = '0';
  return at;
}

static char *special(char *at, double value) {
  const char *name = isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
  size_t bytes = strlen(name);
  memcpy(at, name, bytes);
  return at + bytes;
}

/* printf's text, made to look like a float where it looks like an integer. */
static char *copy_float_text(char *at, const char *text) {
  size_t bytes = strlen(text);
  memcpy(at, text, bytes);
  at += bytes;
  if (strpbrk(text, ".e") != NULL) return at;
  memcpy(at, ".0", 2);
  return at + 2;
}

/* A number m / 10^k with m < 10^15 and k <= 22 is exactly one division of two exact
 * doubles, which rounds as reading the text "m / 10^k" does: so if the quotient is the
 * value, the text is right, and the smallest k gives the shortest. Most numbers that
 * people write are of this kind. NULL when `value`, which is not negative, is not. */
static char *short_double(char *at, double value) {
  for (int places = 0; places <= POWER_MAX; places++) {
    double scaled = value * powers[places] + 0.5;
    if (scaled >= sure_max) break;
    uint64_t whole = (uint64_t)scaled;
    if ((double)whole / powers[places] == value) return place_point(at, whole, places);
  }
  return NULL;
}

/* `value` >> `shift`, to the nearest, to the even one of two. */
static uint64_t round_off(uint128 value, int shift) {
  uint64_t whole = (uint64_t)(value >> shift);
  if (shift == 0) return whole;
  uint128 rest = value - ((uint128)whole << shift);
  uint128 half = (uint128)1 << (shift - 1);
  return whole + (rest > half || (rest == half && (whole & 1) != 0));
}

/* All 16 or 17 digits of a value in [plain_min, exact_max) that has no fewer.
 *
 * With value = c * 2^-q, c < 2^53, q <= 69, everything below is counted in units of
 * 2^-q * 10^-places: the value is c * 10^places, a candidate d of so many places is
 * d * 2^q, and what reads back as the value is no further from it than half the
 * distance to its neighbour, 10^places / 2 (or / 4 below a power of two, so that there the
 * next one above may do where the nearest does not). All of it is exact, because
 * 10^22 * 2^53 and 10^17 * 2^69 are below 2^127. */
static char *long_double(char *at, double value) {
  static const uint64_t hidden = UINT64_C(1) << 52;
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  uint64_t fraction = bits & (hidden - 1);
  uint128 significand = hidden | fraction;
  bool is_even = (significand & 1) == 0;
  int shift = 1075 - (int)(bits >> 52);
  int places = 1; /* for 17 digits */
  while (value * powers[places] < 1e16 && places < POWER_MAX) places++;
  uint128 power = (uint128)powers[places - 1];
  uint128 exact = significand * power;
  uint64_t nearest = round_off(exact, shift);
  for (uint64_t digits = nearest; digits <= nearest + (fraction == 0); digits++) {
    uint128 candidate = (uint128)digits << shift;
    bool is_above = candidate > exact;
    uint128 distance = is_above ? candidate - exact : exact - candidate;
    uint128 reach = !is_above && fraction == 0 ? power : 2 * power; /* in quarters */
    bool reads_back = is_even ? 4 * distance <= reach : 4 * distance < reach;
    if (reads_back) return place_point(at, digits, places - 1);
  }
  return place_point(at, round_off(significand * (uint128)powers[places], shift), places);
}

/* Adds one to the last digit of "1.234e-05"; false where all are nines. */
static bool count_up(char *text) {
  char *digit = strchr(text, 'e');
  while (digit > text) {
    digit--;
    if (*digit == '.') continue;
    if (*digit != '9') {
      ++*digit;
      return true;
    }
    *digit = '0';
  }
  return false;
}

/* With an exponent. The smallest doubles have fewer digits than others; a power of two is
 * nearer to the number below it than to the one above, as in long_double. */
static void exponent_double(char text[NUMBER_TEXT_BYTES], double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  bool is_power = value >= DBL_MIN && bits << 12 == 0;
  for (int digits = value < DBL_MIN ? 1 : DBL_DIG; digits <= 17; digits++) {
    snprintf(text, NUMBER_TEXT_BYTES, "%.*g", digits, value);
    if (digits == 17 || strtod(text, NULL) == value) return;
    if (!is_power) continue;
    snprintf(text, NUMBER_TEXT_BYTES, "%.*e", digits - 1, value);
    if (count_up(text) && strtod(text, NULL) == value) return;
  }
}

char *encode_double(char *at, double value) {
  if (!isfinite(value)) return special(at, value);
  if (signbit(value)) {
    *at++ = '-';
    value = -value;
  }
  if (value == 0 || (value >= plain_min && value < exact_max)) {
    char *end = short_double(at, value);
    return end != NULL ? end : long_double(at, value);
  }
  char text[NUMBER_TEXT_BYTES];
  exponent_double(text, value);
  return copy_float_text(at, text);
}

/* Whether rounding a double to a float may be the second rounding of a number that lay
 * beside the middle between two floats, and so go the other way than rounding it once. */
static bool is_halfway(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (bits & 0x1FFFFFFF) == 0x10000000;
}

static bool is_power_of_two(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return value >= FLT_MIN && bits << 9 == 0;
}

/* As for doubles; a reader may read a float at once or by way of a double. */
static char *short_float(char *at, float value) {
  bool is_power = is_power_of_two(value);
  for (int places = 0; places <= POWER_MAX; places++) {
    double scaled = (double)value * powers[places];
    if (scaled + 1 >= exact_max) break;
    uint64_t nearest = (uint64_t)nearbyint(scaled); /* of two, the even one */
    for (uint64_t whole = nearest; whole <= nearest + is_power; whole++) {
      double quotient = (double)whole / powers[places];
      if ((float)quotient == value && !is_halfway(quotient)) return place_point(at, whole, places);
    }
  }
  return NULL;
}

static bool reads_as_float(const char *text, float value) {
  return strtof(text, NULL) == value && (float)strtod(text, NULL) == value;
}

static void exponent_float(char text[NUMBER_TEXT_BYTES], float value) {
  bool is_power = is_power_of_two(value);
  for (int digits = value < FLT_MIN ? 1 : FLT_DIG; digits <= 9; digits++) {
    snprintf(text, NUMBER_TEXT_BYTES, "%.*g", digits, (double)value);
    if (digits == 9 || reads_as_float(text, value)) return;
    if (!is_power) continue;
    snprintf(text, NUMBER_TEXT_BYTES, "%.*e", digits - 1, (double)value);
    if (count_up(text) && reads_as_float(text, value)) return;
  }
}

char *encode_float(char *at, float value) {
  static const float whole_max = 16777216.0F; /* 2^24: larger ones have digits to spare */
  if (!isfinite(value)) return special(at, (double)value);
  if (signbit(value)) {
    *at++ = '-';
    value = -value;
  }
  if (value == 0 || ((double)value >= plain_min && value < whole_max)) {
    char *end = short_float(at, value);
    if (end != NULL) return end;
  }
  char text[NUMBER_TEXT_BYTES];
  exponent_float(text, value);
  return copy_float_text(at, text);
}

float half_to_float(uint16_t bits) {
  int exponent = bits >> 10 & 31;
  int fraction = bits & 1023;
  float size = 0;
  if (exponent == 31)
    size = fraction == 0 ? INFINITY : NAN;
  else if (exponent == 0)
    size = ldexpf((float)fraction, -24);
  else
    size = ldexpf((float)(fraction + 1024), exponent - 25);
  return bits >> 15 != 0 ? -size : size;
}

/* ---- decimals ---------------------------------------------------------------------- */

enum { LIMBS = 4, LIMB_DIGITS = 19, DECIMAL_DIGITS_MAX = 80 };

/* Divides in place by 10^19; returns the remainder. */
static uint64_t divide(uint64_t limbs[LIMBS]) {
  static const uint64_t divisor = UINT64_C(10000000000000000000);
  uint64_t remainder = 0;
  for (int i = LIMBS - 1; i >= 0; i--) {
    uint128 part = (uint128)remainder << 64 | limbs[i];
    limbs[i] = (uint64_t)(part / divisor);
    remainder = (uint64_t)(part % divisor);
  }
  return remainder;
}

static bool is_zero(const uint64_t limbs[LIMBS]) {
  return (limbs[0] | limbs[1] | limbs[2] | limbs[3]) == 0;
}

/* The value's size in 256 bits; whether it was negative. */
static bool load_decimal(const uint8_t *value, int64_t bytes, uint64_t limbs[LIMBS]) {
  bool is_negative = value[bytes - 1] >> 7 != 0;
  memset(limbs, is_negative ? 0xFF : 0, LIMBS * sizeof limbs[0]);
  memcpy(limbs, value, (size_t)bytes);
  uint64_t carry = 1;
  for (int i = 0; is_negative && i < LIMBS; i++) {
    limbs[i] = ~limbs[i] + carry;
    carry = carry != 0 && limbs[i] == 0;
  }
  return is_negative;
}

/* Without leading zeros; "0" for zero. */
static const char *decimal_digits(uint64_t limbs[LIMBS], char digits[DECIMAL_DIGITS_MAX],
                                  int64_t *count) {
  char *start = digits + DECIMAL_DIGITS_MAX;
  do {
    uint64_t part = divide(limbs);
    char *end = start;
    start = digits_before(end, part);
    while (!is_zero(limbs) && end - start < LIMB_DIGITS) *--start = '0';
  } while (!is_zero(limbs));
  *count = digits + DECIMAL_DIGITS_MAX - start;
  return start;
}

static char *put_zeros(char *at, int64_t count) {
  if (count <= 0) return at;
  memset(at, '0', (size_t)count);
  return at + count;
}

static char *put_digits(char *at, const char *digits, int64_t count) {
  memcpy(at, digits, (size_t)count);
  return at + count;
}

char *encode_decimal(char *at, const uint8_t *value, int64_t bytes, int32_t scale) {
  uint64_t limbs[LIMBS];
  char digits[DECIMAL_DIGITS_MAX];
  int64_t count = 0;
  if (load_decimal(value, bytes, limbs)) *at++ = '-';
  bool zero = is_zero(limbs);
  const char *start = decimal_digits(limbs, digits, &count);
  if (scale <= 0) {
    at = put_digits(at, start, count);
    return zero ? at : put_zeros(at, -(int64_t)scale);
  }
  int64_t whole = count - scale;
  if (whole <= 0) {
    *at++ = '0';
    *at++ = '.';
    return put_digits(put_zeros(at, -whole), start, count);
  }
  at = put_digits(at, start, whole);
  *at++ = '.';
  return put_digits(at, start + whole, scale);
}
