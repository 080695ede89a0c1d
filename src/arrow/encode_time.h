/* Dates, times and spans as ISO 8601 text. Each function writes at `at`, where
 * TIME_TEXT_BYTES are free, no NUL, and returns the end of what it wrote. Any value
 * has a text, also those that their type does not allow. Inside the room only. */
#ifndef ARROWPORT_ARROW_ENCODE_TIME_H
#define ARROWPORT_ARROW_ENCODE_TIME_H

#include <stdint.h>

#include "arrow/schema.h"

enum { TIME_TEXT_BYTES = 80 };

/* Days since 1970-01-01: "2026-03-01"; years that four digits cannot say with a sign
 * and five digits or more: "+12026-03-01", "-00044-03-15" (astronomical: year 0 is
 * 1 BC). */
char *encode_date(char *at, int64_t days);
/* Milliseconds since 1970-01-01: a date, or a timestamp when it is no whole day. */
char *encode_date_ms(char *at, int64_t milliseconds);
/* Since midnight: "12:00:00.000001". */
char *encode_time(char *at, int64_t value, enum arrow_unit unit);
/* Since 1970-01-01T00:00:00: "2026-03-01T12:00:00.000001". */
char *encode_timestamp(char *at, int64_t value, enum arrow_unit unit);
/* "PT1H30M", "-PT0.500S", "PT0S": hours, minutes and seconds that are not zero. */
char *encode_duration(char *at, int64_t value, enum arrow_unit unit);
/* "P14M"; "P-1DT3S"; "P1M2DT0.000000001S": each part with its own sign; "P0D". */
char *encode_months(char *at, int32_t months);
char *encode_day_time(char *at, int32_t days, int32_t milliseconds);
char *encode_month_day_nano(char *at, int32_t months, int32_t days, int64_t nanoseconds);

#endif
