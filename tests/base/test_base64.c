#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"

/* Decodes `text` in pieces of `step` characters into room that comes in pieces of `room` bytes.
 * Returns the bytes, or -1 - the place of what cannot stand there; -1000: it ends too early. */
static int decode(const char *text, size_t step, size_t room, uint8_t *out, size_t out_bytes) {
  struct base64_decoder decoder = BASE64_START;
  const uint8_t *at = (const uint8_t *)text, *end = at + strlen(text), *begin = at;
  uint8_t *to = out;
  while (at < end || decoder.waiting_bytes > 0) {
    const uint8_t *piece_end = (size_t)(end - at) < step ? end : at + step;
    uint8_t *room_end = to + room;
    assert_true((size_t)(to - out) + room <= out_bytes);
    enum base64_stop stop = base64_decode(&decoder, &at, piece_end, &to, room_end);
    assert_true(at <= piece_end && to <= room_end);
    if (stop == BASE64_FOREIGN) return -1 - (int)(at - begin);
    if (stop == BASE64_ROOM) assert_ptr_equal(to, room_end);
    if (stop == BASE64_INPUT) assert_ptr_equal(at, piece_end);
  }
  return base64_whole(&decoder) ? (int)(to - out) : -1000;
}

static void texts_are_decoded_or_refused_at_their_place(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int bytes; /* or as decode says */
    const char *want;
  } cases[] = {
      {"", 0, ""},
      {"Zg==", 1, "f"},
      {"Zm8=", 2, "fo"},
      {"Zm9v", 3, "foo"},
      {"Zm9vYg==", 4, "foob"},
      {"Zm9vYmE=", 5, "fooba"},
      {"Zm9vYmFy", 6, "foobar"},
      {"Zm9vYmFyZm9vYmFyZm9v", 15, "foobarfoobarfoo"},
      {"+/+/", 3, "\xfb\xff\xbf"},
      {"Zm9v YmFy", -5, NULL},
      {"Zm9vYg=\n=", -8, NULL},
      {"Z", -1000, NULL},
      {"Zm", -1000, NULL},
      {"Zm9", -1000, NULL},
      {"Zg=", -1000, NULL},
      {"=", -1, NULL},
      {"Z===", -2, NULL},
      {"Zg==Zg==", -5, NULL}, /* nothing follows padding */
      {"Zg===", -5, NULL},
      {"Zg=v", -4, NULL},
      {"Zh==", -3, NULL}, /* bits that stand for nothing */
      {"Zm9=", -4, NULL},
      {"Zm9v-_8=", -5, NULL}, /* the other alphabet */
      {"Zm9\"", -4, NULL},
      {"Zm9vYmFyZm9vYm\\y", -15, NULL},
      {"Zm9vYmFyZm9vYmF\x80", -16, NULL},
      {"Zm9v\v", -5, NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (size_t step = 1; step < 20; step += step < 5 ? 1 : 7)
      for (size_t room = 1; room < 20; room += room < 5 ? 1 : 7) {
        uint8_t out[64];
        int bytes = decode(cases[i].text, step, room, out, sizeof out);
        if (bytes != cases[i].bytes) fail_msg("'%s': %d, step %zu", cases[i].text, bytes, step);
        if (bytes > 0) assert_memory_equal(out, cases[i].want, (size_t)bytes);
      }
}

static size_t encode(const uint8_t *data, size_t bytes, char *text) {
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char *to = text;
  for (size_t i = 0; i < bytes; i += 3) {
    uint32_t bits = (uint32_t)data[i] << 16;
    if (i + 1 < bytes) bits |= (uint32_t)data[i + 1] << 8;
    if (i + 2 < bytes) bits |= data[i + 2];
    *to++ = alphabet[bits >> 18];
    *to++ = alphabet[bits >> 12 & 63];
    *to++ = i + 1 < bytes ? alphabet[bits >> 6 & 63] : '=';
    *to++ = i + 2 < bytes ? alphabet[bits & 63] : '=';
  }
  *to = '\0';
  return (size_t)(to - text);
}

static void all_bytes_of_all_lengths_come_back(void **state) {
  (void)state;
  uint8_t data[600], out[700];
  char text[900];
  for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 151 + i / 256);
  for (size_t bytes = 0; bytes < sizeof data; bytes += 1 + bytes / 40) {
    char ours[900];
    size_t text_bytes = encode(data, bytes, text);
    assert_int_equal(base64_text_bytes(bytes), text_bytes);
    base64_encode(data, bytes, ours);
    assert_memory_equal(ours, text, text_bytes);
    assert_int_equal(decode(text, sizeof text, 690, out, sizeof out), bytes);
    assert_memory_equal(out, data, bytes);
    assert_int_equal(decode(text, 13, 7, out, sizeof out), bytes);
    assert_memory_equal(out, data, bytes);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(texts_are_decoded_or_refused_at_their_place),
      cmocka_unit_test(all_bytes_of_all_lengths_come_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
