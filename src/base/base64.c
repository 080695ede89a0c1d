/* Groups of four characters that are whole, plain and have room are decoded in one go; whatever
 * is none of these (the ends of what came, padding) goes character by character. */
#include "base/base64.h"

#include <string.h>

enum { BAD = 0x80, PAD = 0x81 };

/* 0 to 63: what a character stands for; a line is 16 codes. */
/* clang-format off */
#define X BAD
static const uint8_t values[256] = {
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, 62, X, X, X, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, X, X, X, PAD, X, X,
    X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, X, X, X, X, X,
    X, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
};
#undef X
/* clang-format on */

/* Whole groups; stops before one that is not plain. */
static void decode_groups(const uint8_t **text, const uint8_t *text_end, uint8_t **out,
                          const uint8_t *out_end) {
  const uint8_t *from = *text;
  uint8_t *to = *out;
  while (text_end - from >= 8 && out_end - to >= 6) {
    uint32_t a = values[from[0]], b = values[from[1]], c = values[from[2]], d = values[from[3]];
    uint32_t e = values[from[4]], f = values[from[5]], g = values[from[6]], h = values[from[7]];
    if (((a | b | c | d | e | f | g | h) & BAD) != 0) break;
    uint32_t first = a << 18 | b << 12 | c << 6 | d, second = e << 18 | f << 12 | g << 6 | h;
    to[0] = (uint8_t)(first >> 16), to[1] = (uint8_t)(first >> 8), to[2] = (uint8_t)first;
    to[3] = (uint8_t)(second >> 16), to[4] = (uint8_t)(second >> 8), to[5] = (uint8_t)second;
    from += 8;
    to += 6;
  }
  *text = from;
  *out = to;
}

/* False: the character cannot stand here. */
static bool take(struct base64_decoder *decoder, uint8_t value) {
  if (value == BAD || decoder->over) return false;
  if (value == PAD) {
    if (decoder->characters < 2) return false;
    /* What the last character says beyond the last byte must be nothing. */
    if (decoder->padding == 0 && (decoder->bits & (decoder->characters == 2 ? 0xF : 0x3)) != 0)
      return false;
    decoder->padding++;
    value = 0;
  } else if (decoder->padding > 0) {
    return false;
  }
  decoder->bits = decoder->bits << 6 | value;
  if (++decoder->characters < 4) return true;
  uint32_t bits = decoder->bits;
  decoder->waiting[0] = (uint8_t)(bits >> 16);
  decoder->waiting[1] = (uint8_t)(bits >> 8);
  decoder->waiting[2] = (uint8_t)bits;
  decoder->waiting_bytes = (uint8_t)(3 - decoder->padding);
  decoder->over = decoder->padding > 0;
  decoder->bits = 0;
  decoder->characters = decoder->padding = 0;
  return true;
}

static void hand_out(struct base64_decoder *decoder, uint8_t **out, const uint8_t *out_end) {
  uint8_t bytes = decoder->waiting_bytes;
  if (bytes > out_end - *out) bytes = (uint8_t)(out_end - *out);
  if (bytes == 0) return;
  memcpy(*out, decoder->waiting, bytes);
  *out += bytes;
  decoder->waiting_bytes = (uint8_t)(decoder->waiting_bytes - bytes);
  memmove(decoder->waiting, decoder->waiting + bytes, decoder->waiting_bytes);
}

enum base64_stop base64_decode(struct base64_decoder *decoder, const uint8_t **text,
                               const uint8_t *text_end, uint8_t **out, const uint8_t *out_end) {
  for (;;) {
    if (decoder->waiting_bytes > 0) {
      hand_out(decoder, out, out_end);
      if (decoder->waiting_bytes > 0) return BASE64_ROOM;
    }
    if (decoder->characters == 0 && !decoder->over) decode_groups(text, text_end, out, out_end);
    if (*text == text_end) return BASE64_INPUT;
    if (!take(decoder, values[**text])) return BASE64_FOREIGN;
    ++*text;
  }
}

bool base64_whole(const struct base64_decoder *decoder) {
  return decoder->characters == 0 && decoder->waiting_bytes == 0;
}

void base64_encode(const uint8_t *data, size_t bytes, char *text) {
  static const char characters[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < bytes; i += 3, text += 4) {
    size_t left = bytes - i;
    uint32_t group = (uint32_t)data[i] << 16;
    if (left > 1) group |= (uint32_t)data[i + 1] << 8;
    if (left > 2) group |= data[i + 2];
    text[0] = characters[group >> 18];
    text[1] = characters[group >> 12 & 63];
    text[2] = left > 1 ? characters[group >> 6 & 63] : '=';
    text[3] = left > 2 ? characters[group & 63] : '=';
  }
}
