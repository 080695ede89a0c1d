/* Values in every encoding that they may have, in exactly the room that is asked for: nothing is written behind
 * it, and nothing is read that is not a value. Memory is of exactly the size, so AddressSanitizer looks too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "parquet/decode.h"
#include "parquet/encode.h"

enum { VALUES_MAX = 3000, CANARY = 0xA5, CANARY_BYTES = 64, DATA_MAX = 1 << 20 };

static uint64_t seed = 2463534242;
static uint64_t draw(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed;
}

static const enum parquet_encoding of_strings[] = {PARQUET_PLAIN, PARQUET_DELTA_LENGTH_BYTE_ARRAY,
                                                   PARQUET_DELTA_BYTE_ARRAY};
enum { OF_STRINGS = sizeof of_strings / sizeof *of_strings };

/* The encoded values, to be freed; `*end` is where they end. */
static uint8_t *encode(const struct parquet_leaf *leaf, const struct parquet_values *values,
                       enum parquet_encoding encoding, uint8_t **end) {
  int64_t work_bytes, room = encode_values_room(leaf, values, encoding, &work_bytes);
  uint8_t *out = malloc((size_t)room + CANARY_BYTES);
  void *work = malloc((size_t)work_bytes);
  assert_non_null(out);
  memset(out, CANARY, (size_t)room + CANARY_BYTES);
  *end = encode_values(leaf, values, encoding, work, out);
  assert_true(*end - out <= room - ENCODE_SLACK_BYTES);
  for (int i = 0; i < CANARY_BYTES; i++) assert_int_equal(out[room + i], CANARY);
  free(work);
  return out;
}

/* ---- byte strings ---------------------------------------------------------------------------------- */

static void check_strings(const struct parquet_bytes *strings, int64_t count) {
  static struct parquet_bytes decoded[VALUES_MAX];
  static uint8_t memory[DATA_MAX];
  struct parquet_leaf leaf = {.type = PARQUET_BYTE_ARRAY};
  struct parquet_values values = {.count = count, .data = strings};
  for (int64_t i = 0; i < count; i++) values.data_bytes += strings[i].size_bytes;
  assert_true(count <= VALUES_MAX && values.data_bytes <= DATA_MAX);
  for (int k = 0; k < OF_STRINGS; k++) {
    uint8_t *end, *out = encode(&leaf, &values, of_strings[k], &end);
    struct decode bytes = {out, end};
    decode_strings(&bytes, of_strings[k], count, decoded, memory);
    for (int64_t i = 0; i < count; i++) {
      assert_int_equal(decoded[i].size_bytes, strings[i].size_bytes);
      if (strings[i].size_bytes > 0)
        assert_memory_equal(decoded[i].data, strings[i].data, (size_t)strings[i].size_bytes);
    }
    free(out);
  }
}

/* Strings of up to `size_max` bytes of few letters with gaps of up to `gap_max` between them, the last one at
 * the very end of the memory, which is to be freed. */
static uint8_t *draw_strings(struct parquet_bytes *strings, int64_t count, int64_t size_max,
                             int64_t gap_max) {
  int64_t *starts = malloc((size_t)(count + 1) * sizeof *starts), bytes = 0;
  for (int64_t i = 0; i < count; i++) {
    if (i > 0) bytes += (int64_t)(draw() % (uint64_t)(gap_max + 1));
    starts[i] = bytes;
    strings[i].size_bytes = (int64_t)(draw() % (uint64_t)(size_max + 1));
    bytes += strings[i].size_bytes;
  }
  uint8_t *data = malloc(bytes > 0 ? (size_t)bytes : 1);
  assert_non_null(data);
  for (int64_t i = 0; i < bytes; i++) data[i] = (uint8_t)('a' + (draw() % 8 == 0));
  for (int64_t i = 0; i < count; i++) strings[i].data = data + starts[i];
  free(starts);
  return data;
}

static void test_strings_behind_each_other(void **state) {
  (void)state;
  static struct parquet_bytes strings[VALUES_MAX];
  static const int64_t sizes[] = {0, 1, 3, 7, 8, 12, 15, 16, 17, 31, 32, 33, 64, 300};
  static const int64_t gaps[] = {0, 1, 15, 16, 40};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
    for (size_t g = 0; g < sizeof gaps / sizeof *gaps; g++)
      for (int64_t count = 0; count <= VALUES_MAX; count = count < 20 ? count + 1 : count * 5 / 2) {
        uint8_t *data = draw_strings(strings, count, sizes[s], gaps[g]);
        check_strings(strings, count);
        free(data);
      }
}

static void test_strings_in_any_order(void **state) {
  (void)state;
  static struct parquet_bytes strings[VALUES_MAX];
  for (int64_t size_max = 1; size_max <= 40; size_max += 3) {
    uint8_t *data = draw_strings(strings, 600, size_max, 0);
    for (int64_t i = 599; i > 0; i -= 1 + (int64_t)(draw() % 3)) {
      int64_t other = (int64_t)(draw() % (uint64_t)(i + 1));
      struct parquet_bytes string = strings[i];
      strings[i] = strings[other];
      strings[other] = string;
    }
    check_strings(strings, 600);
    free(data);
  }
}

/* Two record batches' strings in turns, each in memory of its own, some empty and nowhere. */
static void test_strings_in_several_places(void **state) {
  (void)state;
  static struct parquet_bytes one[VALUES_MAX], two[VALUES_MAX], strings[VALUES_MAX];
  for (int64_t size_max = 1; size_max <= 40; size_max += 3) {
    uint8_t *first = draw_strings(one, 400, size_max, 0);
    uint8_t *second = draw_strings(two, 400, size_max, 0);
    for (int64_t i = 0; i < 400; i++) strings[i] = i / 7 % 2 == 0 ? one[i] : two[i];
    check_strings(strings, 400);
    for (int64_t i = 0; i < 400; i++)
      if (draw() % 5 == 0) strings[i] = (struct parquet_bytes){NULL, 0};
    check_strings(strings, 400);
    free(first);
    free(second);
  }
}

static void test_strings_up_to_the_end_of_a_page(void **state) {
  (void)state;
  static struct parquet_bytes strings[1000];
  int64_t page = sysconf(_SC_PAGESIZE);
  uint8_t *pages =
      mmap(NULL, (size_t)(2 * page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(pages, MAP_FAILED);
  memset(pages, 'x', (size_t)page);
  assert_int_equal(mprotect(pages + page, (size_t)page, PROT_NONE), 0);
  for (int64_t size = 0; size <= 40; size++)
    for (int64_t count = 1; count <= 60; count += 7) {
      for (int64_t i = 0; i < count; i++)
        strings[i] = (struct parquet_bytes){pages + page - (count - i) * size, size};
      check_strings(strings, count);
    }
  munmap(pages, (size_t)(2 * page));
}

static void test_one_long_string(void **state) {
  (void)state;
  struct parquet_bytes strings[3];
  uint8_t *data = malloc(300000);
  memset(data, 'l', 300000);
  for (int i = 0; i < 3; i++) strings[i] = (struct parquet_bytes){data + i * 100000, 100000};
  check_strings(strings, 3);
  check_strings(strings, 1);
  free(data);
}

static void test_strings_as_the_specification_shows(void **state) {
  (void)state;
  static const struct {
    enum parquet_encoding encoding;
    const char *strings[4];
    uint8_t bytes[80];
    int64_t size;
  } cases[] = {
      {PARQUET_PLAIN, {"Hi", "", "you", NULL}, "\2\0\0\0Hi\0\0\0\0\3\0\0\0you", 17},
      {PARQUET_DELTA_LENGTH_BYTE_ARRAY,
       {"Hello", "World", "Foobar", "ABCDEF"},
       /* 5, then 0, 1, 0 more: from 0 on, a bit each */
       "\x80\x01\x04\x04\x0a\0\1\0\0\0\2\0\0\0HelloWorldFoobarABCDEF",
       36},
      {PARQUET_DELTA_BYTE_ARRAY,
       {"axis", "axle", "babble", "babyhood"},
       /* prefixes 0, 2, 0, 3: 2, -2, 3 more: from -2 on 4, 0, 5 in 3 bits; then 4, 2, 6, 5: -2, 4, -1 */
       "\x80\x01\x04\x04\0\3\3\0\0\0\x44\1\0\0\0\0\0\0\0\0\0\0"
       "\x80\x01\x04\x04\x08\3\3\0\0\0\x70\0\0\0\0\0\0\0\0\0\0\0axislebabbleyhood",
       61},
  };
  struct parquet_leaf leaf = {.type = PARQUET_BYTE_ARRAY};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    struct parquet_bytes strings[4];
    struct parquet_values values = {.data = strings};
    for (int i = 0; i < 4 && cases[k].strings[i] != NULL; i++) {
      const char *string = cases[k].strings[i];
      strings[i] = (struct parquet_bytes){(const uint8_t *)string, (int64_t)strlen(string)};
      values.data_bytes += strings[i].size_bytes;
      values.count++;
    }
    uint8_t *end, *out = encode(&leaf, &values, cases[k].encoding, &end);
    assert_int_equal(end - out, cases[k].size);
    assert_memory_equal(out, cases[k].bytes, (size_t)cases[k].size);
    free(out);
  }
}

/* ---- values of one width --------------------------------------------------------------------------- */

static void check_split(const uint8_t *out, const uint8_t *data, int64_t count, int64_t width) {
  for (int64_t stream = 0; stream < width; stream++)
    for (int64_t i = 0; i < count; i++)
      if (out[stream * count + i] != data[i * width + stream])
        fail_msg("byte %d of value %d of %d bytes", (int)stream, (int)i, (int)width);
}

static void check_fixed(const struct parquet_leaf *leaf, int64_t width, int64_t count) {
  uint8_t *data = malloc((size_t)(width * count) + 1), *end;
  static struct parquet_bytes decoded[VALUES_MAX];
  static uint8_t memory[DATA_MAX];
  for (int64_t i = 0; i < width * count; i++) data[i] = (uint8_t)draw();
  struct parquet_values values = {.count = count, .data = data, .data_bytes = width * count};
  uint8_t *plain = encode(leaf, &values, PARQUET_PLAIN, &end);
  assert_int_equal(end - plain, width * count);
  assert_memory_equal(plain, data, (size_t)(width * count));
  uint8_t *split = encode(leaf, &values, PARQUET_BYTE_STREAM_SPLIT, &end);
  assert_int_equal(end - split, width * count);
  check_split(split, data, count, width);
  if (leaf->type == PARQUET_FIXED) {
    uint8_t *delta = encode(leaf, &values, PARQUET_DELTA_BYTE_ARRAY, &end);
    struct decode bytes = {delta, end};
    decode_strings(&bytes, PARQUET_DELTA_BYTE_ARRAY, count, decoded, memory);
    for (int64_t i = 0; i < count; i++) assert_int_equal(decoded[i].size_bytes, width);
    assert_memory_equal(memory, data, (size_t)(width * count));
    free(delta);
  }
  free(data);
  free(plain);
  free(split);
}

static void test_values_of_one_width(void **state) {
  (void)state;
  static const struct {
    enum parquet_type type;
    int64_t width;
  } types[] = {{PARQUET_INT32, 4}, {PARQUET_INT64, 8}, {PARQUET_FLOAT, 4}, {PARQUET_DOUBLE, 8}};
  for (int64_t count = 0; count <= VALUES_MAX; count = count < 70 ? count + 1 : count * 2 + 3) {
    for (size_t k = 0; k < sizeof types / sizeof *types; k++)
      check_fixed(&(struct parquet_leaf){.type = types[k].type}, types[k].width, count);
    for (int32_t width = 1; width <= 40; width++) {
      struct parquet_leaf leaf = {.type = PARQUET_FIXED, .type_length = width};
      check_fixed(&leaf, width, count);
    }
  }
  check_fixed(&(struct parquet_leaf){.type = PARQUET_FIXED, .type_length = 1003}, 1003, 200);
  for (int32_t width = 2; width <= 16; width *= 2) /* several blocks */
    check_fixed(&(struct parquet_leaf){.type = PARQUET_FIXED, .type_length = width}, width, 2999);
}

static void test_streams_as_the_specification_shows(void **state) {
  (void)state;
  static const uint8_t given[] = {0xAA, 0xBB, 0xCC, 0xDD, 0x00, 0x11,
                                  0x22, 0x33, 0xA3, 0xB4, 0xC5, 0xD6};
  static const uint8_t expected[] = {0xAA, 0x00, 0xA3, 0xBB, 0x11, 0xB4,
                                     0xCC, 0x22, 0xC5, 0xDD, 0x33, 0xD6};
  uint8_t out[sizeof given + ENCODE_SLACK_BYTES];
  assert_ptr_equal(encode_split(given, 3, 4, out), out + sizeof given);
  assert_memory_equal(out, expected, sizeof expected);
}

/* The most that differences can take: all bits of every one. */
static void test_numbers_that_differ_most(void **state) {
  (void)state;
  static int64_t numbers[VALUES_MAX], decoded[VALUES_MAX];
  static int32_t small[VALUES_MAX];
  static const int64_t edges[] = {INT64_MIN, INT64_MIN + 1, INT64_MAX, INT64_MAX - 1, -1, 0,
                                  1,         INT32_MIN,     INT32_MAX, INT32_MIN + 1};
  for (int64_t count = 0; count <= VALUES_MAX; count = count < 300 ? count + 1 : count * 2) {
    bool is_edgy = draw() % 2 == 0;
    for (int64_t i = 0; i < count; i++) {
      numbers[i] = is_edgy ? edges[draw() % 10] : (int64_t)draw();
      small[i] = (int32_t)(uint32_t)((uint64_t)numbers[i] >> (draw() % 2 * 32));
    }
    struct parquet_values values = {.count = count, .data = numbers};
    uint8_t *end, *out = encode(&(struct parquet_leaf){.type = PARQUET_INT64}, &values,
                                PARQUET_DELTA_BINARY_PACKED, &end);
    struct decode bytes = {out, end};
    assert_int_equal(decode_delta(&bytes, 64, count, decoded), count);
    assert_ptr_equal(bytes.at, end);
    assert_memory_equal(decoded, numbers, (size_t)count * sizeof *numbers);
    free(out);
    values.data = small;
    out = encode(&(struct parquet_leaf){.type = PARQUET_INT32}, &values,
                 PARQUET_DELTA_BINARY_PACKED, &end);
    bytes = (struct decode){out, end};
    assert_int_equal(decode_delta(&bytes, 32, count, decoded), count);
    assert_ptr_equal(bytes.at, end);
    for (int64_t i = 0; i < count; i++) assert_int_equal(decoded[i], small[i]);
    free(out);
  }
}

/* Bits that the hybrid packs, one group more than a run, as the specification shows them. */
static void test_numbers_packed_as_the_specification_shows(void **state) {
  (void)state;
  static const uint32_t numbers[] = {0, 1, 2, 3, 4, 5, 6, 7};
  static const uint8_t small[] = {0, 1, 2, 3, 4, 5, 6, 7};
  static const uint8_t expected[] = {0x03, 0x88, 0xC6, 0xFA};
  uint8_t out[128];
  assert_ptr_equal(encode_rle_32(numbers, 8, 3, out), out + sizeof expected);
  assert_memory_equal(out, expected, sizeof expected);
  assert_ptr_equal(encode_rle_8(small, 8, 3, out), out + sizeof expected);
  assert_memory_equal(out, expected, sizeof expected);
}

static void test_booleans_fit_their_room(void **state) {
  (void)state;
  static uint8_t bits[VALUES_MAX];
  struct parquet_leaf leaf = {.type = PARQUET_BOOLEAN};
  for (int64_t count = 0; count <= VALUES_MAX; count = count < 300 ? count + 1 : count * 2)
    for (uint64_t patience = 1; patience <= 64; patience *= 2) {
      for (int64_t i = 0; i < count; i++)
        bits[i] = i > 0 && draw() % patience != 0 ? bits[i - 1] : (uint8_t)(draw() & 1);
      struct parquet_values values = {.count = count, .data = bits};
      uint8_t *end;
      free(encode(&leaf, &values, PARQUET_PLAIN, &end));
      free(encode(&leaf, &values, PARQUET_RLE, &end));
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_strings_behind_each_other),
      cmocka_unit_test(test_strings_in_any_order),
      cmocka_unit_test(test_strings_in_several_places),
      cmocka_unit_test(test_strings_up_to_the_end_of_a_page),
      cmocka_unit_test(test_one_long_string),
      cmocka_unit_test(test_strings_as_the_specification_shows),
      cmocka_unit_test(test_values_of_one_width),
      cmocka_unit_test(test_streams_as_the_specification_shows),
      cmocka_unit_test(test_numbers_that_differ_most),
      cmocka_unit_test(test_numbers_packed_as_the_specification_shows),
      cmocka_unit_test(test_booleans_fit_their_room),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
