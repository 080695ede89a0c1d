/* A slice of any array has the rows that it should have, is what it says, and holds what
 * it was cut from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/array.h"
#include "arrow/encode.h"
#include "arrow/handmade.h"

#define NODE &(const struct handmade)
#define ITEMS                                                                                      \
  NODE {                                                                                           \
    "i", "item", .length = 4, .null_count = 1, .buffers = { U8(13), I32(7, 0, 8, 9) }              \
  }
#define WORDS                                                                                      \
  NODE {                                                                                           \
    "u", "word", .length = 4, .buffers = { NONE, I32(0, 1, 2, 4, 4), CHARS("abcd") }               \
  }
#define ENDS                                                                                       \
  NODE {                                                                                           \
    "s", "run_ends", .length = 3, .buffers = { NONE, I16(2, 3, 6) }                                \
  }

/* Four rows each. */
static const struct handmade arrays[] = {
    {"n", "a", .length = 4, .null_count = 4},
    {"b", "a", .length = 4, .offset = 6, .buffers = {NONE, U8(0x55, 0x03)}},
    {"l", "a", .length = 4, .null_count = 2, .buffers = {U8(9), I64(1, 2, 3, 4)}},
    {"l", "a", .length = 4, .null_count = 4, .buffers = {U8(0), I64(1, 2, 3, 4)}},
    {"w:0", "a", .length = 4},
    {"u", "a", .length = 4, .offset = 1, .null_count = -1,
     .buffers = {U8(0x16), I32(9, 0, 1, 1, 3, 5), CHARS("abcde")}},
    {"vu", "a", .length = 4,
     .buffers = {NONE, I32(1, 'x', 0, 0, 0, 0, 0, 0, 1, 'y', 0, 0, 1, 'z', 0, 0)}},
    {"+l", "a", .length = 4, .null_count = 1, .buffers = {U8(11), I32(0, 1, 3, 3, 4)},
     .children = {ITEMS}},
    {"+vl", "a", .length = 4, .buffers = {NONE, I32(3, 0, 2, 1), I32(1, 4, 0, 2)},
     .children = {ITEMS}},
    {"+w:1", "a", .length = 4, .children = {WORDS}},
    {"+m", "a", .length = 4, .buffers = {NONE, I32(0, 2, 2, 3, 4)},
     .children = {NODE{"+s", "entries", .length = 4, .children = {WORDS, ITEMS}}}},
    {"+s", "a", .length = 4, .children = {ITEMS, WORDS}},
    {"+s", "a", .length = 3, .offset = 1, .children = {ITEMS, WORDS}},
    {"+s", "a", .length = 4, .null_count = 1, .buffers = {U8(7)}, .children = {ITEMS, WORDS}},
    {"+s", "a", .length = 4, .buffers = {U8(15)}, .children = {ITEMS}},
    {"+ud:5,0", "a", .length = 4, .buffers = {I8(5, 0, 0, 5), I32(1, 0, 3, 2)},
     .children = {ITEMS, WORDS}},
    {"+us:5,0", "a", .length = 4, .buffers = {I8(5, 0, 0, 5)}, .children = {ITEMS, WORDS}},
    {"+r", "a", .length = 4, .offset = 1, .children = {ENDS, WORDS}},
    {"c", "a", .length = 4, .null_count = 1, .buffers = {U8(14), I8(99, 3, 0, 1)},
     .dictionary = WORDS},
};

static struct budget budget = {.limit_bytes = 1 << 20};

/* Each row as a line, whatever the array is; terminated. */
static struct buffer lines_of(struct ArrowSchema *schema, struct ArrowArray *array) {
  struct ArrowSchema *fields[] = {schema};
  struct ArrowSchema batch_schema = {.format = "+s", .n_children = 1, .children = fields};
  struct ArrowArray *columns[] = {array};
  const void *buffers[] = {NULL};
  struct ArrowArray batch = {.length = array->length,
                             .n_buffers = 1,
                             .buffers = buffers,
                             .n_children = 1,
                             .children = columns};
  struct encoder *encoder = NULL;
  struct buffer out = BUFFER_EMPTY;
  assert_int_equal(encoder_new(ENCODE_NDJSON, &batch_schema, &budget, &encoder, NULL), STATUS_OK);
  assert_int_equal(encoder_batch(encoder, &batch, &out, NULL), STATUS_OK);
  assert_int_equal(buffer_append(&out, &budget, "", 1, NULL), STATUS_OK);
  encoder_free(encoder);
  return out;
}

/* Where line `line` begins. */
static const char *line_at(const struct buffer *lines, int64_t line) {
  const char *at = (const char *)lines->data;
  while (line-- > 0) at = strchr(at, '\n') + 1;
  return at;
}

static void check_slice(const struct handmade *node, const struct buffer *want, int64_t offset,
                        int64_t rows) {
  struct ArrowSchema schema = handmade_schema(node);
  struct ArrowArray array = handmade_array(node);
  struct ArrowArray slice = {0};
  struct error error = {0};
  assert_int_equal(arrow_array_slice(&schema, &array, offset, rows, &slice, &error), STATUS_OK);
  assert_null(array.release); /* taken */
  assert_int_equal(slice.length, rows);
  if (arrow_array_check(&schema, &slice, ARRAY_CHECK_FULL, &error) != STATUS_OK)
    fail_msg("%s, %d rows from %d: %s", node->format, (int)rows, (int)offset, error.text);
  struct buffer got = lines_of(&schema, &slice);
  const char *from = line_at(want, offset);
  size_t bytes = (size_t)(line_at(want, offset + rows) - from);
  assert_int_equal(strlen((const char *)got.data), bytes);
  assert_memory_equal(got.data, from, bytes);
  buffer_release(&got);
  arrow_array_release(&slice);
  arrow_schema_release(&schema);
}

static void slices_have_the_rows_that_are_wanted(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
    struct ArrowSchema schema = handmade_schema(&arrays[i]);
    struct ArrowArray array = handmade_array(&arrays[i]);
    struct buffer want = lines_of(&schema, &array);
    for (int64_t offset = 0; offset <= array.length; offset++)
      for (int64_t rows = 0; rows <= array.length - offset; rows++)
        check_slice(&arrays[i], &want, offset, rows);
    buffer_release(&want);
    arrow_array_release(&array);
    arrow_schema_release(&schema);
  }
  assert_int_equal(budget.used_bytes, 0);
}

static void slices_can_be_sliced(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
    if (arrays[i].length < 4) continue;
    struct ArrowSchema schema = handmade_schema(&arrays[i]);
    struct ArrowArray array = handmade_array(&arrays[i]);
    struct ArrowArray first = {0};
    struct ArrowArray again = {0};
    struct buffer want = lines_of(&schema, &array);
    assert_int_equal(arrow_array_slice(&schema, &array, 1, 3, &first, NULL), STATUS_OK);
    assert_int_equal(arrow_array_slice(&schema, &first, 1, 1, &again, NULL), STATUS_OK);
    struct buffer got = lines_of(&schema, &again);
    assert_int_equal(strlen((const char *)got.data), line_at(&want, 3) - line_at(&want, 2));
    assert_memory_equal(got.data, line_at(&want, 2), strlen((const char *)got.data));
    buffer_release(&got);
    buffer_release(&want);
    arrow_array_release(&again);
    arrow_schema_release(&schema);
  }
}

/* Consumers may move a child out and release it last. */
static void a_record_batch_is_sliced_by_its_columns(void **state) {
  (void)state;
  const struct handmade *batch =
      NODE{"+s", "", .length = 3, .offset = 1, .children = {ITEMS, WORDS}};
  struct ArrowSchema schema = handmade_schema(batch);
  struct ArrowArray array = handmade_array(batch);
  struct ArrowArray slice = {0};
  struct ArrowArray child = {0};
  assert_int_equal(arrow_array_slice(&schema, &array, 1, 2, &slice, NULL), STATUS_OK);
  assert_int_equal(slice.offset, 0);
  arrow_array_move(slice.children[1], &child);
  arrow_array_release(&slice);
  assert_int_equal(child.offset, 2);
  assert_int_equal(child.length, 2);
  struct buffer got = lines_of(schema.children[1], &child);
  assert_string_equal((const char *)got.data, "{\"word\":\"cd\"}\n{\"word\":\"\"}\n");
  buffer_release(&got);
  arrow_array_release(&child);
  arrow_schema_release(&schema);
}

static void rows_that_are_not_there_are_refused(void **state) {
  (void)state;
  static const int64_t outside[][2] = {{-1, 1}, {0, -1}, {0, 5}, {5, 0}, {4, 1}, {2, INT64_MAX}};
  struct ArrowSchema schema = handmade_schema(ITEMS);
  struct ArrowArray array = handmade_array(ITEMS);
  for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
    struct ArrowArray slice = {0};
    struct error error = {0};
    assert_int_equal(
        arrow_array_slice(&schema, &array, outside[i][0], outside[i][1], &slice, &error),
        STATUS_INVALID);
    assert_non_null(strstr(error.text, "there are 4"));
    assert_null(slice.release);
    assert_non_null(array.release);
  }
  arrow_array_release(&array);
  arrow_schema_release(&schema);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(slices_have_the_rows_that_are_wanted),
      cmocka_unit_test(slices_can_be_sliced),
      cmocka_unit_test(a_record_batch_is_sliced_by_its_columns),
      cmocka_unit_test(rows_that_are_not_there_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
