/* Encodings, read back by the plain readers of decode.h: all widths, runs of all lengths, and never a byte past
 * the room that was asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "parquet/decode.h"
#include "parquet/encode.h"
#include "parquet/random.h"

enum { NUMBERS_MAX = 5000, CANARY = 0xA5 };

static uint64_t seed = 88172645463325252;
static uint64_t draw(void) { return random_next(&seed); }
static uint64_t mask_of(int bits) { return bits == 0 ? 0 : UINT64_MAX >> (64 - bits); }

/* Room for an encoding with a canary behind it. */
struct room {
  uint8_t *data;
  int64_t bytes;
};
static struct room make_room(int64_t bytes) {
  struct room room = {malloc((size_t)bytes + ENCODE_SLACK_BYTES + 64), bytes};
  assert_non_null(room.data);
  memset(room.data + bytes, CANARY, ENCODE_SLACK_BYTES + 64);
  return room;
}
static struct decode end_room(struct room room, const uint8_t *end) {
  assert_true(end - room.data <= room.bytes);
  for (int i = 0; i < 64; i++)
    assert_int_equal(room.data[room.bytes + ENCODE_SLACK_BYTES + i], CANARY);
  return (struct decode){room.data, end};
}

/* ---- the hybrid ------------------------------------------------------------------------------------ */

/* Random numbers; `patience` 0: hardly two alike; else runs of up to so many. */
static void draw_numbers(uint32_t *numbers, int64_t count, int bit_width, int64_t patience) {
  uint64_t mask = mask_of(bit_width);
  for (int64_t i = 0; i < count;) {
    int64_t run = patience == 0 ? 1 : 1 + (int64_t)(draw() % (uint64_t)patience);
    uint32_t number = (uint32_t)(draw() & mask);
    for (; run > 0 && i < count; run--) numbers[i++] = number;
  }
}

static void check_rle(const uint32_t *numbers, int64_t count, int bit_width) {
  static uint32_t decoded[NUMBERS_MAX];
  static uint8_t small[NUMBERS_MAX];
  for (int bits = 8; bits <= 32; bits += 24) {
    if (bit_width > bits) continue;
    struct room room = make_room(encode_rle_room(count, bit_width));
    uint8_t *end;
    if (bits == 8) {
      for (int64_t i = 0; i < count; i++) small[i] = (uint8_t)numbers[i];
      end = encode_rle_8(small, count, bit_width, room.data);
    } else {
      end = encode_rle_32(numbers, count, bit_width, room.data);
    }
    struct decode bytes = end_room(room, end);
    decode_rle(&bytes, bit_width, count, decoded);
    assert_ptr_equal(bytes.at, bytes.end);
    assert_memory_equal(decoded, numbers, (size_t)count * sizeof *numbers);
    free(room.data);
  }
}

static void test_rle_of_all_widths_and_runs(void **state) {
  (void)state;
  static uint32_t numbers[NUMBERS_MAX];
  static const int64_t patiences[] = {0, 3, 9, 20, 60, 500};
  for (int bit_width = 0; bit_width <= 32; bit_width++)
    for (size_t p = 0; p < sizeof patiences / sizeof *patiences; p++) {
      for (int64_t count = 0; count <= 70; count++) {
        draw_numbers(numbers, count, bit_width, patiences[p]);
        check_rle(numbers, count, bit_width);
      }
      draw_numbers(numbers, NUMBERS_MAX, bit_width, patiences[p]);
      check_rle(numbers, NUMBERS_MAX, bit_width);
    }
}

/* Runs just long enough to be written as such, between numbers that must be packed: the most headers. */
static void test_rle_at_its_worst(void **state) {
  (void)state;
  static uint32_t numbers[NUMBERS_MAX];
  for (int bit_width = 1; bit_width <= 32; bit_width++)
    for (int64_t run = 8; run <= 48; run += 8) {
      for (int64_t i = 0; i < NUMBERS_MAX; i++)
        numbers[i] = i % (run + 8) < 8 ? (uint32_t)(i & 1) : (uint32_t)mask_of(bit_width);
      check_rle(numbers, NUMBERS_MAX, bit_width);
    }
}

static void test_rle_of_one_number(void **state) {
  (void)state;
  static const struct {
    uint32_t number;
    int64_t count;
    int bit_width;
    uint8_t bytes[8];
    int64_t size;
  } cases[] = {{1, 100, 1, {0xc8, 0x01, 0x01}, 3},
               {0, 5, 0, {0x0a}, 1},
               {0x1234, 1, 13, {0x02, 0x34, 0x12}, 3},
               {7, INT32_MAX, 3, {0xfe, 0xff, 0xff, 0xff, 0x0f, 0x07}, 6},
               {7, 0, 3, {0}, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint8_t out[64];
    uint8_t *end = encode_rle_same(cases[i].number, cases[i].count, cases[i].bit_width, out);
    assert_int_equal(end - out, cases[i].size);
    assert_memory_equal(out, cases[i].bytes, (size_t)cases[i].size);
  }
  uint8_t out[64]; /* more than a run may have: two */
  struct decode bytes = {out, encode_rle_same(1, (int64_t)INT32_MAX + 1, 1, out)};
  assert_int_equal(decode_varint(&bytes), (uint64_t)INT32_MAX << 1);
  bytes.at++;
  assert_int_equal(decode_varint(&bytes), 1 << 1);
}

/* ---- differences ----------------------------------------------------------------------------------- */

static void check_delta(const int64_t *numbers, int64_t count, int type_bits) {
  static int64_t decoded[NUMBERS_MAX];
  static int32_t small[NUMBERS_MAX];
  struct room room = make_room(encode_delta_room(count, type_bits / 8));
  uint8_t *end;
  if (type_bits == 32) {
    for (int64_t i = 0; i < count; i++) small[i] = (int32_t)numbers[i];
    end = encode_delta_32(small, count, room.data);
  } else {
    end = encode_delta_64(numbers, count, room.data);
  }
  struct decode bytes = end_room(room, end);
  assert_int_equal(decode_delta(&bytes, type_bits, NUMBERS_MAX, decoded), count);
  assert_ptr_equal(bytes.at, bytes.end);
  for (int64_t i = 0; i < count; i++)
    assert_int_equal(decoded[i], type_bits == 32 ? (int32_t)numbers[i] : numbers[i]);
  free(room.data);
}

static void test_differences_of_all_widths(void **state) {
  (void)state;
  static int64_t numbers[NUMBERS_MAX];
  for (int type_bits = 32; type_bits <= 64; type_bits += 32)
    for (int bits = 0; bits <= type_bits; bits++)
      for (int64_t count = 0; count <= 300; count += count < 140 ? 1 : 37) {
        uint64_t number = draw();
        for (int64_t i = 0; i < count; i++) {
          number += draw() & mask_of(bits);
          numbers[i] = type_bits == 32 ? (int32_t)(uint32_t)number : (int64_t)number;
        }
        check_delta(numbers, count, type_bits);
      }
}

static void test_differences_that_wrap_around(void **state) {
  (void)state;
  int64_t numbers[256];
  for (int type_bits = 32; type_bits <= 64; type_bits += 32) {
    int64_t least = type_bits == 32 ? INT32_MIN : INT64_MIN;
    int64_t most = type_bits == 32 ? INT32_MAX : INT64_MAX;
    for (int i = 0; i < 256; i++) numbers[i] = i % 2 == 0 ? least : most;
    check_delta(numbers, 256, type_bits);
    for (int i = 0; i < 256; i++) numbers[i] = i % 3 == 0 ? least : i % 3 == 1 ? 0 : most;
    check_delta(numbers, 256, type_bits);
  }
}

static void test_differences_as_the_specification_shows(void **state) {
  (void)state;
  static const int64_t numbers[] = {7, 5, 3, 1, 2, 3, 4, 5};
  static const uint8_t expected[] = {0x80, 0x01, 4, 8, 14, /* 128, 4, 8 values, from 7 on */
                                     3,    2,    0, 0, 0,  /* -2, widths */
                                     0xc0, 0x3f, 0, 0, 0,  0, 0, 0};
  uint8_t out[2000];
  uint8_t *end = encode_delta_64(numbers, 8, out);
  assert_int_equal(end - out, sizeof expected);
  assert_memory_equal(out, expected, sizeof expected);
}

/* ---- byte strings ---------------------------------------------------------------------------------- */

struct strings {
  struct parquet_bytes values[NUMBERS_MAX];
  struct parquet_values all;
  uint8_t data[NUMBERS_MAX * 40];
};

static void draw_strings(struct strings *strings, int64_t count, int64_t size_max, int letters) {
  int64_t used = 0;
  for (int64_t i = 0; i < count; i++) {
    int64_t size = size_max == 0 ? 0 : (int64_t)(draw() % (uint64_t)(size_max + 1));
    strings->values[i] = (struct parquet_bytes){strings->data + used, size};
    for (int64_t k = 0; k < size; k++)
      strings->data[used++] = (uint8_t)(draw() % (uint64_t)letters);
  }
  strings->all =
      (struct parquet_values){.count = count, .data = strings->values, .data_bytes = used};
}

static void check_strings(const struct parquet_leaf *leaf, const struct strings *strings,
                          enum parquet_encoding encoding) {
  static int64_t lengths[NUMBERS_MAX], prefixes[NUMBERS_MAX];
  int64_t count = strings->all.count, work_bytes;
  struct room room = make_room(encode_values_room(leaf, &strings->all, encoding, &work_bytes));
  void *work = malloc((size_t)work_bytes + 1);
  struct decode bytes =
      end_room(room, encode_values(leaf, &strings->all, encoding, work, room.data));
  memset(prefixes, 0, sizeof prefixes);
  if (encoding == PARQUET_DELTA_BYTE_ARRAY)
    assert_int_equal(decode_delta(&bytes, 32, NUMBERS_MAX, prefixes), count);
  if (encoding != PARQUET_PLAIN)
    assert_int_equal(decode_delta(&bytes, 32, NUMBERS_MAX, lengths), count);
  for (int64_t i = 0; i < count; i++) {
    const struct parquet_bytes *value = &strings->values[i];
    if (encoding == PARQUET_PLAIN) {
      uint32_t length;
      memcpy(&length, bytes.at, sizeof length);
      bytes.at += sizeof length;
      lengths[i] = length;
    }
    assert_int_equal(prefixes[i] + lengths[i], value->size_bytes);
    if (prefixes[i] > 0)
      assert_memory_equal(value->data, strings->values[i - 1].data, (size_t)prefixes[i]);
    if (lengths[i] > 0)
      assert_memory_equal(bytes.at, value->data + prefixes[i], (size_t)lengths[i]);
    bytes.at += lengths[i];
  }
  assert_ptr_equal(bytes.at, bytes.end);
  free(work);
  free(room.data);
}

static void test_byte_strings(void **state) {
  (void)state;
  static struct strings strings;
  static const enum parquet_encoding encodings[] = {PARQUET_PLAIN, PARQUET_DELTA_LENGTH_BYTE_ARRAY,
                                                    PARQUET_DELTA_BYTE_ARRAY};
  struct parquet_leaf leaf = {.type = PARQUET_BYTE_ARRAY};
  for (int64_t size_max = 0; size_max <= 40; size_max++)
    for (int letters = 1; letters <= 256; letters *= 4)
      for (int k = 0; k < 3; k++)
        for (int64_t count = 0; count < 200; count = count * 2 + 1) {
          draw_strings(&strings, count, size_max, letters);
          check_strings(&leaf, &strings, encodings[k]);
        }
}

/* ---- fixed widths, booleans ------------------------------------------------------------------------ */

static void test_bytes_of_values_one_by_one(void **state) {
  (void)state;
  static uint8_t values[400 * 17], out[400 * 17 + ENCODE_SLACK_BYTES];
  for (size_t i = 0; i < sizeof values; i++) values[i] = (uint8_t)draw();
  for (int64_t width = 1; width <= 17; width++)
    for (int64_t count = 0; count < 400; count += 1 + count / 9) {
      assert_ptr_equal(encode_split(values, count, width, out), out + count * width);
      for (int64_t i = 0; i < count; i++)
        for (int64_t k = 0; k < width; k++)
          assert_int_equal(out[k * count + i], values[i * width + k]);
    }
}

static void test_booleans(void **state) {
  (void)state;
  static uint8_t values[1000], out[2000];
  static uint32_t decoded[1000];
  struct parquet_leaf leaf = {.type = PARQUET_BOOLEAN};
  for (int64_t count = 0; count < 1000; count += 1 + count / 7) {
    for (int64_t i = 0; i < count; i++) values[i] = (uint8_t)(draw() & 1);
    struct parquet_values all = {.count = count, .data = values};
    uint8_t *end = encode_values(&leaf, &all, PARQUET_PLAIN, NULL, out);
    assert_int_equal(end - out, (count + 7) / 8);
    for (int64_t i = 0; i < count; i++) assert_int_equal((out[i / 8] >> (i % 8)) & 1, values[i]);
    end = encode_values(&leaf, &all, PARQUET_RLE, NULL, out);
    uint32_t length;
    memcpy(&length, out, sizeof length);
    assert_int_equal(end - out, length + sizeof length);
    struct decode bytes = {out + sizeof length, end};
    decode_rle(&bytes, 1, count, decoded);
    for (int64_t i = 0; i < count; i++) assert_int_equal(decoded[i], values[i]);
  }
}

static void test_names(void **state) {
  (void)state;
  static const struct {
    const char *name;
    bool is_known;
    enum parquet_encoding encoding;
  } cases[] = {{"plain", true, PARQUET_PLAIN},
               {"RLE_DICTIONARY", true, PARQUET_RLE_DICTIONARY},
               {"Delta", true, PARQUET_DELTA_BINARY_PACKED},
               {"byte_stream_split", true, PARQUET_BYTE_STREAM_SPLIT},
               {"bit_packed", false, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    enum parquet_encoding encoding = 0;
    assert_int_equal(encode_parse(cases[i].name, &encoding), cases[i].is_known);
    if (cases[i].is_known) assert_int_equal(encoding, cases[i].encoding);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rle_of_all_widths_and_runs),
      cmocka_unit_test(test_rle_at_its_worst),
      cmocka_unit_test(test_rle_of_one_number),
      cmocka_unit_test(test_differences_of_all_widths),
      cmocka_unit_test(test_differences_that_wrap_around),
      cmocka_unit_test(test_differences_as_the_specification_shows),
      cmocka_unit_test(test_byte_strings),
      cmocka_unit_test(test_bytes_of_values_one_by_one),
      cmocka_unit_test(test_booleans),
      cmocka_unit_test(test_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
