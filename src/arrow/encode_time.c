#include "arrow/encode_time.h"

#include <stdbool.h>

#include "arrow/encode_number.h"

enum { DAY_SECONDS = 86400, HOUR_SECONDS = 3600, MINUTE_SECONDS = 60 };

static const struct {
  int64_t per_second;
  int digits;
} units[] = {[ARROW_SECOND] = {1, 0},
             [ARROW_MILLISECOND] = {1000, 3},
             [ARROW_MICROSECOND] = {1000000, 6},
             [ARROW_NANOSECOND] = {1000000000, 9}};

/* A division by a constant is a multiplication: so each unit has its own. */
static uint64_t split_seconds(uint64_t value, enum arrow_unit unit, uint64_t *fraction) {
  switch (unit) {
  case ARROW_MILLISECOND: *fraction = value % 1000; return value / 1000;
  case ARROW_MICROSECOND: *fraction = value % 1000000; return value / 1000000;
  case ARROW_NANOSECOND: *fraction = value % 1000000000; return value / 1000000000;
  default: *fraction = 0; return value;
  }
}

/* Quotient and remainder with 0 <= remainder < divisor. */
static inline int64_t divide_down(int64_t value, int64_t divisor, int64_t *remainder) {
  int64_t quotient = value / divisor;
  *remainder = value % divisor;
  if (*remainder < 0) {
    *remainder += divisor;
    quotient--;
  }
  return quotient;
}

/* ---- dates ------------------------------------------------------------------------- */

struct date {
  int64_t year;
  unsigned month;
  unsigned day;
};

/* The proleptic Gregorian calendar repeats every 400 years, 146,097 days. Years are
 * counted from March on, so that the leap day is a year's last, and months have
 * 30.6 days on average: 153 in five. */
static struct date date_of(int64_t days) {
  int64_t in_cycle;
  int64_t cycle = divide_down(days + 719468, 146097, &in_cycle); /* from 0000-03-01 on */
  int64_t year = (in_cycle - in_cycle / 1460 + in_cycle / 36524 - in_cycle / 146096) / 365;
  int64_t in_year = in_cycle - (365 * year + year / 4 - year / 100);
  int64_t month = (5 * in_year + 2) / 153; /* 0 is March */
  int64_t day = in_year - (153 * month + 2) / 5;
  bool is_next = month >= 10; /* January and February */
  return (struct date){.year = 400 * cycle + year + is_next,
                       .month = (unsigned)(is_next ? month - 9 : month + 3),
                       .day = (unsigned)day + 1};
}

char *encode_date(char *at, int64_t days) {
  struct date date = date_of(days);
  bool is_plain = date.year >= 0 && date.year <= 9999;
  if (!is_plain) *at++ = date.year < 0 ? '-' : '+';
  uint64_t year = (uint64_t)(date.year < 0 ? -date.year : date.year);
  at = encode_padded(at, year, is_plain ? 4 : 5);
  *at++ = '-';
  at = encode_two(at, date.month);
  *at++ = '-';
  return encode_two(at, date.day);
}

char *encode_date_ms(char *at, int64_t milliseconds) {
  int64_t in_day;
  int64_t days = divide_down(milliseconds, (int64_t)DAY_SECONDS * 1000, &in_day);
  if (in_day == 0) return encode_date(at, days);
  return encode_timestamp(at, milliseconds, ARROW_MILLISECOND);
}

/* ---- times ------------------------------------------------------------------------- */

/* ".000001", nothing for whole seconds' unit. */
static char *put_fraction(char *at, uint64_t fraction, enum arrow_unit unit) {
  if (units[unit].digits == 0) return at;
  *at++ = '.';
  return encode_padded(at, fraction, units[unit].digits);
}

static uint64_t size_of(int64_t value) { return value < 0 ? 0 - (uint64_t)value : (uint64_t)value; }

/* "12:00:00" */
static char *put_clock_time(char *at, uint64_t seconds) {
  at = encode_padded(at, seconds / HOUR_SECONDS, 2);
  uint32_t in_hour = (uint32_t)(seconds % HOUR_SECONDS);
  *at++ = ':';
  at = encode_two(at, in_hour / MINUTE_SECONDS);
  *at++ = ':';
  return encode_two(at, in_hour % MINUTE_SECONDS);
}

char *encode_time(char *at, int64_t value, enum arrow_unit unit) {
  uint64_t fraction;
  uint64_t seconds = split_seconds(size_of(value), unit, &fraction);
  if (value < 0) *at++ = '-';
  return put_fraction(put_clock_time(at, seconds), fraction, unit);
}

char *encode_timestamp(char *at, int64_t value, enum arrow_unit unit) {
  uint64_t fraction;
  int64_t seconds = (int64_t)split_seconds(size_of(value), unit, &fraction);
  int64_t in_day;
  if (value < 0) {
    seconds = unit == ARROW_SECOND ? value : -seconds;
    if (fraction > 0) {
      seconds--;
      fraction = (uint64_t)units[unit].per_second - fraction;
    }
  }
  int64_t days = divide_down(seconds, DAY_SECONDS, &in_day);
  at = encode_date(at, days);
  *at++ = 'T';
  return put_fraction(put_clock_time(at, (uint64_t)in_day), fraction, unit);
}

/* ---- spans ------------------------------------------------------------------------- */

static char *put_part(char *at, bool is_negative, uint64_t size, char letter) {
  if (size == 0) return at;
  if (is_negative) *at++ = '-';
  at = encode_unsigned(at, size);
  *at++ = letter;
  return at;
}

/* "1H30M0.500S", each part with the sign that is given. */
static char *put_clock(char *at, bool is_negative, uint64_t size, enum arrow_unit unit) {
  uint64_t fraction;
  uint64_t seconds = split_seconds(size, unit, &fraction);
  at = put_part(at, is_negative, seconds / HOUR_SECONDS, 'H');
  at = put_part(at, is_negative, seconds % HOUR_SECONDS / MINUTE_SECONDS, 'M');
  seconds %= MINUTE_SECONDS;
  if (seconds == 0 && fraction == 0) return at;
  if (is_negative) *at++ = '-';
  at = encode_unsigned(at, seconds);
  if (fraction != 0) at = put_fraction(at, fraction, unit);
  *at++ = 'S';
  return at;
}

char *encode_duration(char *at, int64_t value, enum arrow_unit unit) {
  if (value < 0) *at++ = '-';
  *at++ = 'P';
  *at++ = 'T';
  if (value != 0) return put_clock(at, false, size_of(value), unit);
  *at++ = '0';
  *at++ = 'S';
  return at;
}

/* A span of parts; "P0D" when all are zero. */
static char *put_span(char *at, int64_t months, int64_t days, int64_t clock, enum arrow_unit unit) {
  *at++ = 'P';
  at = put_part(at, months < 0, size_of(months), 'M');
  at = put_part(at, days < 0, size_of(days), 'D');
  if (clock != 0) {
    *at++ = 'T';
    return put_clock(at, clock < 0, size_of(clock), unit);
  }
  if (months != 0 || days != 0) return at;
  *at++ = '0';
  *at++ = 'D';
  return at;
}

char *encode_months(char *at, int32_t months) { return put_span(at, months, 0, 0, ARROW_SECOND); }

char *encode_day_time(char *at, int32_t days, int32_t milliseconds) {
  return put_span(at, 0, days, milliseconds, ARROW_MILLISECOND);
}

char *encode_month_day_nano(char *at, int32_t months, int32_t days, int64_t nanoseconds) {
  return put_span(at, months, days, nanoseconds, ARROW_NANOSECOND);
}
