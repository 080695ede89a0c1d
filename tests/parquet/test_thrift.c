/* The Thrift compact protocol: bytes that are known, and what another reader makes of them. */
#include "parquet/thrift.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "parquet/thrift_read.h"

static struct budget budget = {.limit_bytes = INT64_MAX};

static void assert_written(struct thrift *thrift, struct buffer *out, const uint8_t *wanted,
                           int64_t wanted_bytes) {
  struct error error;
  assert_int_equal(thrift_end(thrift, &error), STATUS_OK);
  assert_int_equal(out->size_bytes, wanted_bytes);
  assert_memory_equal(out->data, wanted, (size_t)wanted_bytes);
  buffer_release(out);
  assert_int_equal(budget.used_bytes, 0);
}
#define ASSERT_WRITTEN(...)                                                                        \
  do {                                                                                             \
    static const uint8_t wanted[] = {__VA_ARGS__};                                                 \
    assert_written(&thrift, &out, wanted, sizeof wanted);                                          \
  } while (0)

static void integers(void **state) {
  (void)state;
  static const struct {
    int64_t value;
    uint8_t bytes[10];
    int count;
  } cases[] = {
      {0, {0}, 1},
      {-1, {1}, 1},
      {1, {2}, 1},
      {-2, {3}, 1},
      {63, {0x7E}, 1},
      {64, {0x80, 0x01}, 2},
      {-64, {0x7F}, 1},
      {-65, {0x81, 0x01}, 2},
      {INT32_MAX, {0xFE, 0xFF, 0xFF, 0xFF, 0x0F}, 5},
      {INT32_MIN, {0xFF, 0xFF, 0xFF, 0xFF, 0x0F}, 5},
      {INT64_MAX, {0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01}, 10},
      {INT64_MIN, {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01}, 10},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct buffer out = BUFFER_EMPTY;
    struct thrift thrift;
    uint8_t wanted[12] = {0x16};
    memcpy(wanted + 1, cases[i].bytes, (size_t)cases[i].count);
    thrift_start(&thrift, &out, &budget);
    thrift_i64(&thrift, 1, cases[i].value);
    assert_written(&thrift, &out, wanted, cases[i].count + 2);
    if (cases[i].value < INT32_MIN || cases[i].value > INT32_MAX) continue;
    wanted[0] = 0x15;
    thrift_start(&thrift, &out, &budget);
    thrift_i32(&thrift, 1, (int32_t)cases[i].value);
    assert_written(&thrift, &out, wanted, cases[i].count + 2);
  }
}

static void small_integers(void **state) {
  (void)state;
  struct buffer out = BUFFER_EMPTY;
  struct thrift thrift;
  thrift_start(&thrift, &out, &budget);
  thrift_i8(&thrift, 1, 64); /* not zigzag: a byte */
  thrift_i8(&thrift, 2, -1);
  thrift_i16(&thrift, 3, -3);
  thrift_i16(&thrift, 4, INT16_MAX);
  ASSERT_WRITTEN(0x13, 64, 0x13, 0xFF, 0x14, 0x05, 0x14, 0xFE, 0xFF, 0x03, 0);
}

static void ids_that_are_far_apart(void **state) {
  (void)state;
  struct buffer out = BUFFER_EMPTY;
  struct thrift thrift;
  thrift_start(&thrift, &out, &budget);
  thrift_bool(&thrift, 15, true);
  thrift_bool(&thrift, 30, false);
  thrift_bool(&thrift, 46, true); /* 16 further: the id is written out, as zigzag */
  thrift_i32(&thrift, INT16_MAX, 1);
  ASSERT_WRITTEN(0xF1, 0xF2, 0x01, 92, 0x05, 0xFE, 0xFF, 0x03, 0x02, 0);
}

static void structs_remember_their_own_ids(void **state) {
  (void)state;
  struct buffer out = BUFFER_EMPTY;
  struct thrift thrift;
  thrift_start(&thrift, &out, &budget);
  thrift_struct(&thrift, 2);
  thrift_struct(&thrift, 3);
  thrift_struct_end(&thrift);
  thrift_bool(&thrift, 4, true);
  thrift_struct_end(&thrift);
  thrift_string(&thrift, 5, "ab");
  thrift_binary(&thrift, 6, NULL, 0);
  ASSERT_WRITTEN(0x2C, 0x3C, 0, 0x11, 0, 0x38, 2, 'a', 'b', 0x18, 0, 0);
}

static void lists(void **state) {
  (void)state;
  struct buffer out = BUFFER_EMPTY;
  struct thrift thrift;
  thrift_start(&thrift, &out, &budget);
  thrift_list(&thrift, 1, THRIFT_BOOL, 2);
  thrift_item_bool(&thrift, true);
  thrift_item_bool(&thrift, false);
  thrift_list(&thrift, 2, THRIFT_I32, 0);
  thrift_list(&thrift, 3, THRIFT_STRUCT, 2);
  thrift_item_struct(&thrift);
  thrift_i32(&thrift, 1, 3);
  thrift_struct_end(&thrift);
  thrift_item_struct(&thrift);
  thrift_struct_end(&thrift);
  thrift_list(&thrift, 4, THRIFT_BINARY, 1);
  thrift_item_binary(&thrift, "x", 1);
  thrift_list(&thrift, 5, THRIFT_I64, 14);
  for (int i = 0; i < 14; i++) thrift_item_i64(&thrift, i);
  thrift_list(&thrift, 6, THRIFT_I32, 15); /* the first with a count of its own */
  for (int i = 0; i < 15; i++) thrift_item_i32(&thrift, -i);
  ASSERT_WRITTEN(0x19, 0x21, 1, 2, 0x19, 0x05, 0x19, 0x2C, 0x15, 6, 0, 0, 0x19, 0x18, 1, 'x', 0x19,
                 0xE6, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 0x19, 0xF5, 15, 0, 1, 3,
                 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 0);
}

static void it_appends_and_pads(void **state) {
  (void)state;
  struct buffer out = BUFFER_EMPTY;
  struct thrift thrift;
  assert_int_equal(buffer_append(&out, &budget, "PAR1", 4, NULL), STATUS_OK);
  memset(out.data + 4, 0xAA, (size_t)(out.capacity_bytes - 4));
  thrift_start(&thrift, &out, &budget);
  thrift_string(&thrift, 1, "text");
  assert_int_equal(thrift_end(&thrift, NULL), STATUS_OK);
  assert_int_equal(out.size_bytes, 11);
  assert_memory_equal(out.data, "PAR1\x18\x04text\0", 11);
  for (int64_t i = out.size_bytes; i < 64; i++) assert_int_equal(out.data[i], 0);
  buffer_release(&out);
}

static void an_empty_struct(void **state) {
  (void)state;
  struct buffer out = BUFFER_EMPTY;
  struct thrift thrift;
  thrift_start(&thrift, &out, &budget);
  ASSERT_WRITTEN(0);
}

/* ---- failure ----------------------------------------------------------------------------- */

static void what_is_too_long_is_refused(void **state) {
  (void)state;
  static const char *const texts[] = {"bytes", "bytes", "elements"};
  for (int i = 0; i < 3; i++) {
    struct buffer out = BUFFER_EMPTY;
    struct thrift thrift;
    struct error error;
    assert_int_equal(buffer_append(&out, &budget, "PAR1", 4, NULL), STATUS_OK);
    thrift_start(&thrift, &out, &budget);
    thrift_bool(&thrift, 1, true);
    int64_t count = (int64_t)INT32_MAX + 1; /* never read */
    if (i == 0) thrift_binary(&thrift, 2, "", count);
    if (i == 1) thrift_item_binary(&thrift, "", count);
    if (i == 2) thrift_list(&thrift, 2, THRIFT_I32, count);
    thrift_struct(&thrift, 3); /* nothing is done, but nothing breaks */
    thrift_string(&thrift, 1, "a");
    thrift_struct_end(&thrift);
    thrift_binary(&thrift, 4, "", count);
    assert_int_equal(thrift_end(&thrift, &error), STATUS_TOO_LARGE);
    assert_non_null(strstr(error.text, "2147483648"));
    assert_non_null(strstr(error.text, texts[i]));
    assert_int_equal(out.size_bytes, 4);
    buffer_release(&out);
  }
}

static enum status write_some(struct buffer *out, struct budget *from, struct error *error) {
  struct thrift thrift;
  thrift_start(&thrift, out, from);
  thrift_i8(&thrift, 1, 1);
  thrift_i64(&thrift, 2, INT64_MAX);
  thrift_list(&thrift, 3, THRIFT_STRUCT, 40);
  for (int i = 0; i < 40; i++) {
    thrift_item_struct(&thrift);
    thrift_string(&thrift, 1, "something that needs room");
    thrift_struct_end(&thrift);
  }
  thrift_list(&thrift, 4, THRIFT_BOOL, 200);
  for (int i = 0; i < 200; i++) thrift_item_bool(&thrift, i % 2 == 0);
  thrift_list(&thrift, 5, THRIFT_I32, 200);
  for (int i = 0; i < 200; i++) thrift_item_i32(&thrift, i);
  thrift_list(&thrift, 6, THRIFT_BINARY, 200);
  for (int i = 0; i < 200; i++) thrift_item_binary(&thrift, "abc", i % 4);
  return thrift_end(&thrift, error);
}

static void a_budget_refuses_until_there_is_enough(void **state) {
  (void)state;
  struct buffer wanted = BUFFER_EMPTY;
  assert_int_equal(write_some(&wanted, &budget, NULL), STATUS_OK);
  int refused = 0;
  for (int64_t limit_bytes = 0;; limit_bytes += 64) {
    struct budget small = {.limit_bytes = limit_bytes};
    struct buffer out = BUFFER_EMPTY;
    struct error error;
    enum status status = write_some(&out, &small, &error);
    if (status != STATUS_OK) {
      refused++;
      assert_int_equal(status, STATUS_BUDGET);
      assert_non_null(strstr(error.text, "memory limit"));
      assert_int_equal(out.size_bytes, 0);
    } else {
      assert_int_equal(out.size_bytes, wanted.size_bytes);
      assert_memory_equal(out.data, wanted.data, (size_t)wanted.size_bytes);
    }
    buffer_release(&out);
    assert_int_equal(small.used_bytes, 0);
    if (status == STATUS_OK) break;
  }
  assert_true(refused > 20);
  buffer_release(&wanted);
}

/* ---- anything, read back ----------------------------------------------------------------- */

static uint64_t random_state;
static uint64_t draw(void) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return random_state >> 33;
}

/* Of all lengths in bits. */
static int64_t draw_number(void) {
  uint64_t number = draw() << 62 ^ draw() << 31 ^ draw();
  return (int64_t)(number >> draw() % 64);
}

static char letters[400];

/* Draws a struct, and either writes it or compares it with what was read. */
static void draw_struct(struct thrift *thrift, const struct thrift_value *read, int depth) {
  int64_t fields = (int64_t)(draw() % 6), at = 0;
  int16_t id = 0;
  for (; at < fields; at++) {
    id = (int16_t)(id + 1 + (int)(draw() % (draw() % 4 == 0 ? 1000 : 20)));
    const struct thrift_value *value = read == NULL ? NULL : &read->items[at];
    if (read != NULL) assert_true(at < read->count && read->fields[at] == id);
    int64_t number = draw_number();
    int64_t count = (int64_t)(draw() % (draw() % 4 == 0 ? 400 : 20));
    int kind = (int)(draw() % (depth < THRIFT_DEPTH_MAX - 1 ? 9 : 7));
    if (kind == 1) number = (int8_t)number;
    if (kind == 2) number = (int16_t)number;
    if (kind == 3) number = (int32_t)number;
    if (kind == 0) number = number & 1;
    if (value != NULL && kind <= 4) assert_int_equal(value->number, number);
    if (value != NULL && kind == 5) assert_int_equal(value->count, count);
    if (value != NULL && kind == 5) assert_memory_equal(value->data, letters, (size_t)count);
    if (value != NULL && kind == 6) assert_int_equal(value->count, count);
    if (thrift != NULL && kind == 0) thrift_bool(thrift, id, number != 0);
    if (thrift != NULL && kind == 1) thrift_i8(thrift, id, (int8_t)number);
    if (thrift != NULL && kind == 2) thrift_i16(thrift, id, (int16_t)number);
    if (thrift != NULL && kind == 3) thrift_i32(thrift, id, (int32_t)number);
    if (thrift != NULL && kind == 4) thrift_i64(thrift, id, number);
    if (thrift != NULL && kind == 5) thrift_binary(thrift, id, letters, count);
    if (thrift != NULL && kind == 6) thrift_list(thrift, id, THRIFT_I64, count);
    if (thrift != NULL && kind == 7) thrift_struct(thrift, id);
    if (kind == 8) count %= 8;
    if (value != NULL && kind == 8) assert_int_equal(value->count, count);
    if (thrift != NULL && kind == 8) thrift_list(thrift, id, THRIFT_STRUCT, count);
    for (int64_t i = 0; kind == 6 && i < count; i++) {
      int64_t item = draw_number();
      if (thrift != NULL) thrift_item_i64(thrift, item);
      if (value != NULL) assert_int_equal(value->items[i].number, item);
    }
    for (int64_t i = 0; kind >= 7 && i < (kind == 7 ? 1 : count); i++) {
      if (thrift != NULL && kind == 8) thrift_item_struct(thrift);
      const struct thrift_value *inner = kind == 7       ? value
                                         : value != NULL ? &value->items[i]
                                                         : NULL;
      draw_struct(thrift, inner, depth + 1);
      if (thrift != NULL) thrift_struct_end(thrift);
    }
  }
  if (read != NULL) assert_int_equal(read->count, fields);
}

static void whatever_is_written_is_read(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof letters; i++) letters[i] = (char)('a' + i % 26);
  for (uint64_t seed = 1; seed <= 500; seed++) {
    struct buffer out = BUFFER_EMPTY;
    struct thrift thrift;
    random_state = seed;
    thrift_start(&thrift, &out, &budget);
    draw_struct(&thrift, NULL, 1);
    assert_int_equal(thrift_end(&thrift, NULL), STATUS_OK);
    struct thrift_value *read = thrift_read(out.data, out.size_bytes, NULL);
    random_state = seed;
    draw_struct(NULL, read, 1);
    thrift_read_free(read);
    buffer_release(&out);
  }
  assert_int_equal(budget.used_bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(integers),
      cmocka_unit_test(small_integers),
      cmocka_unit_test(ids_that_are_far_apart),
      cmocka_unit_test(structs_remember_their_own_ids),
      cmocka_unit_test(lists),
      cmocka_unit_test(it_appends_and_pads),
      cmocka_unit_test(an_empty_struct),
      cmocka_unit_test(what_is_too_long_is_refused),
      cmocka_unit_test(a_budget_refuses_until_there_is_enough),
      cmocka_unit_test(whatever_is_written_is_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
