/* Numbers as text. Each function writes at `at`, where NUMBER_TEXT_BYTES (or what it
 * says) are free, no NUL, and returns the end of what it wrote. Inside the room only. */
#ifndef ARROWPORT_ARROW_ENCODE_NUMBER_H
#define ARROWPORT_ARROW_ENCODE_NUMBER_H

#include <stdint.h>

enum { NUMBER_TEXT_BYTES = 40 };

char *encode_unsigned(char *at, uint64_t value);
char *encode_integer(char *at, int64_t value);
/* `value` with zeros before it, so that it has at least `digits` digits. */
char *encode_padded(char *at, uint64_t value, int digits);
/* A value below 100 as two digits. */
char *encode_two(char *at, uint32_t value);

/* The shortest text that reads back to the same number, always with a point or an
 * exponent, so that it reads back as a float: "1.0", "0.1", "1e+300"; "NaN",
 * "Infinity", "-Infinity". */
char *encode_double(char *at, double value);
char *encode_float(char *at, float value);

/* The number that the 16 bits of a half float stand for. */
float half_to_float(uint16_t bits);

/* A decimal of `bytes` (4, 8, 16 or 32) little-endian bytes in two's complement, with
 * `scale` digits after the point; a negative scale adds zeros before it. Takes no more
 * than DECIMAL_TEXT_BYTES and one byte for each digit of the scale. */
enum { DECIMAL_TEXT_BYTES = 88 };
char *encode_decimal(char *at, const uint8_t *value, int64_t bytes, int32_t scale);

#endif
