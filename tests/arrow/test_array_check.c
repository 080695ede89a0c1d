/* Arrays that are what they say pass, each wrong one is refused with its field and the
 * reason, and nothing outside is read on the way: buffers are exactly as long as they must
 * be (arrow/handmade.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/array.h"
#include "arrow/handmade.h"

#define NODE &(const struct handmade)

/* An int32 child of so many slots. */
#define ITEMS3                                                                                     \
  NODE {                                                                                           \
    "i", "item", .length = 3, .buffers = { NONE, I32(7, 8, 9) }                                    \
  }
#define INLINE_VIEW 3, 'a' | 'b' << 8 | 'c' << 16, 0, 0 /* "abc" */

static const struct {
  const char *what;
  struct handmade array;
} good[] = {
    {"null", {"n", "a", .length = 3, .null_count = 3}},
    {"null, not counted", {"n", "a", .length = 3, .null_count = -1}},
    {"null with a bitmap, as it was once",
     {"n", "a", .length = 3, .null_count = 3, .n_buffers = 1, .buffers = {NONE}}},
    {"no slots and no buffers", {"u", "a", .length = 0}},
    {"no slots behind an offset", {"+l", "a", .length = 0, .offset = 9, .children = {ITEMS3}}},
    {"bool", {"b", "a", .length = 3, .offset = 7, .buffers = {NONE, U8(255, 1)}}},
    {"bool with nulls",
     {"b", "a", .length = 3, .offset = 7, .null_count = 2, .buffers = {U8(128, 0), U8(255, 1)}}},
    {"int32", {"i", "a", .length = 2, .offset = 1, .buffers = {NONE, I32(-1, 2, 3)}}},
    {"binary of no bytes each", {"w:0", "a", .length = 5}},
    {"decimal", {"d:5,2,32", "a", .length = 1, .buffers = {NONE, I32(7)}}},
    {"text",
     {"u", "a", .length = 2, .offset = 1, .buffers = {NONE, I32(9, 0, 2, 3), CHARS("\xC3\xA9z")}}},
    {"text without a byte", {"u", "a", .length = 2, .buffers = {NONE, I32(0, 0, 0), NONE}}},
    {"broken text where a slot is null",
     {"U", "a", .length = 2, .null_count = 1, .buffers = {U8(2), I64(0, 1, 2), CHARS("\xFFz")}}},
    {"broken text where a slot is null, by an offset",
     {"u", "a", .length = 2, .offset = 9, .null_count = 1,
      .buffers = {U8(0, 4), I32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2), CHARS("\xFFz")}}},
    {"views",
     {"vu", "a", .length = 2, .n_buffers = 4,
      .buffers = {NONE, I32(INLINE_VIEW, 13, '0' | '1' << 8 | '2' << 16 | '3' << 24, 0, 1),
                  CHARS("x0123456789abc"), I64(14)}}},
    {"views that need no data", {"vz", "a", .length = 1, .buffers = {NONE, I32(INLINE_VIEW)}}},
    {"a broken view where a slot is null",
     {"vu", "a", .length = 1, .null_count = 1, .buffers = {U8(0), I32(-1, 0, 99, 99)}}},
    {"list",
     {"+l", "a", .length = 2, .offset = 1, .buffers = {NONE, I32(99, 0, 1, 3)},
      .children = {ITEMS3}}},
    {"large list", {"+L", "a", .length = 1, .buffers = {NONE, I64(1, 3)}, .children = {ITEMS3}}},
    {"fixed-size list", {"+w:3", "a", .length = 1, .children = {ITEMS3}}},
    {"list views that lie over each other, backwards",
     {"+vl", "a", .length = 3, .offset = 1, .buffers = {NONE, I32(99, 2, 0, 3), I32(99, 1, 3, 0)},
      .children = {ITEMS3}}},
    {"large list views",
     {"+vL", "a", .length = 1, .buffers = {NONE, I64(1), I64(2)}, .children = {ITEMS3}}},
    {"struct, shorter than its child", {"+s", "a", .length = 1, .offset = 2, .children = {ITEMS3}}},
    {"map",
     {"+m", "a", .length = 1, .buffers = {NONE, I32(0, 2)},
      .children = {NODE{"+s", "entries", .length = 2,
                        .children = {NODE{"c", "key", .length = 2, .buffers = {NONE, I8(1, 2)}},
                                     NODE{"c", "value", .length = 2, .null_count = 1,
                                          .buffers = {U8(1), I8(1, 2)}}}}}}},
    {"a map whose null entries no slot has",
     {"+m", "a", .length = 1, .buffers = {NONE, I32(1, 2)},
      .children = {NODE{
          "+s", "entries", .length = 2, .null_count = 1, .buffers = {U8(2)},
          .children = {NODE{"c", "key", .length = 2, .null_count = 1, .buffers = {U8(2), I8(1, 2)}},
                       NODE{"c", "value", .length = 2, .buffers = {NONE, I8(1, 2)}}}}}}},
    {"dense union",
     {"+ud:5,0", "a", .length = 3, .offset = 1, .buffers = {I8(99, 5, 0, 5), I32(99, 1, 0, 2)},
      .children = {ITEMS3, NODE{"b", "flag", .length = 1, .buffers = {NONE, U8(1)}}}}},
    {"sparse union",
     {"+us:5,127", "a", .length = 2, .offset = 1, .buffers = {I8(99, 5, 127)},
      .children = {ITEMS3, NODE{"n", "none", .length = 3, .null_count = 3}}}},
    {"runs",
     {"+r", "a", .length = 4, .offset = 3,
      .children = {NODE{"s", "run_ends", .length = 2, .offset = 1, .buffers = {NONE, I16(9, 5, 8)}},
                   ITEMS3}}},
    {"runs without slots",
     {"+r", "a", .length = 0,
      .children = {NODE{"l", "run_ends", .length = 0}, NODE{"i", "values", .length = 0}}}},
    {"dictionary",
     {"c", "a", .length = 3, .null_count = 1, .buffers = {U8(5), I8(0, 99, 2)},
      .dictionary = ITEMS3}},
    {"dictionary without values",
     {"L", "a", .length = 2, .null_count = 2, .buffers = {U8(0), I64(9, 9)},
      .dictionary = NODE{"u", .length = 0}}},
    {"record batch of no columns", {"+s", "", .length = 5}},
};

static void arrays_that_are_what_they_say_pass(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    struct ArrowSchema schema = handmade_schema(&good[i].array);
    struct ArrowArray array = handmade_array(&good[i].array);
    for (int check = ARRAY_CHECK_SHAPE; check <= ARRAY_CHECK_FULL; check++) {
      struct error error = {0};
      if (arrow_array_check(&schema, &array, (enum array_check)check, &error) != STATUS_OK)
        fail_msg("%s: %s", good[i].what, error.text);
    }
    arrow_array_release(&array);
    arrow_schema_release(&schema);
  }
}

/* ---- what is wrong ------------------------------------------------------------------------ */

struct bad {
  struct handmade array;
  const char *where; /* how the message begins */
  const char *why;   /* what is in it */
};

/* Seen without a look at values. */
static const struct bad bad_shapes[] = {
    {{"i", "a", .length = -1, .buffers = {NONE, I32(1)}}, "'a': ", "-1 slots"},
    {{"i", "a", .length = 1, .offset = -1, .buffers = {NONE, I32(1)}}, "'a': ", "offset -1"},
    {{"i", "a", .length = 1, .offset = INT64_MAX, .buffers = {NONE, I32(1)}}, "'a': ", "memory"},
    {{"w:2000000000", "a", .length = INT64_MAX / 1000000000, .buffers = {NONE, I32(1)}},
     "'a': ",
     "memory"},
    {{"i", "a", .length = 1, .null_count = 2, .buffers = {U8(0), I32(1)}}, "'a': ", "2 nulls"},
    {{"i", "a", .length = 1, .null_count = -2, .buffers = {U8(0), I32(1)}}, "'a': ", "-2 nulls"},
    {{"i", "a", .length = 1, .null_count = 1, .buffers = {NONE, I32(1)}},
     "'a': ",
     "1 nulls and does not say which"},
    {{"i", "a", .length = 1}, "'a': ", "no values"},
    {{"b", "a", .length = 1}, "'a': ", "no values"},
    {{"u", "a", .length = 1}, "'a': ", "no values"},
    {{"+vl", "a", .length = 1, .buffers = {NONE, I32(0)}, .children = {ITEMS3}},
     "'a': ",
     "no values"},
    {{"+us:0", "a", .length = 1, .children = {ITEMS3}}, "'a': ", "no values"},
    {{"i", "a", .length = 1, .n_buffers = 1}, "'a': ", "1 buffers; format \"i\" has 2"},
    {{"+us:0", "a", .length = 1, .n_buffers = 2, .buffers = {NONE, I8(0)}, .children = {ITEMS3}},
     "'a': ",
     "2 buffers"},
    {{"vu", "a", .length = 1, .n_buffers = 2, .buffers = {NONE, I32(INLINE_VIEW)}},
     "'a': ",
     "2 buffers"},
    {{"vu", "a", .length = 1, .n_buffers = 4,
      .buffers = {NONE, I32(INLINE_VIEW), CHARS("x"), NONE}},
     "'a': ",
     "lengths"},
    {{"vu", "a", .length = 1, .n_buffers = 4, .buffers = {NONE, I32(INLINE_VIEW), NONE, I64(1)}},
     "'a': ",
     "data buffer 0 of 1 bytes"},
    {{"vu", "a", .length = 1, .n_buffers = 4, .buffers = {NONE, I32(INLINE_VIEW), NONE, I64(-1)}},
     "'a': ",
     "data buffer 0 of -1 bytes"},
    {{"u", "a", .length = 1, .buffers = {NONE, I32(0, 1), NONE}}, "'a': ", "1 bytes of values"},
    {{"u", "a", .length = 1, .buffers = {NONE, I32(-1, 1), CHARS("x")}}, "'a': ", "-1"},
    {{"u", "a", .length = 1, .buffers = {NONE, I32(1, 0), CHARS("x")}}, "'a': ", "fall"},
    {{"+l", "a", .length = 1, .offset = 1, .buffers = {NONE, I32(0, 0, 4)}, .children = {ITEMS3}},
     "'a': ",
     "4, past the 3"},
    {{"+w:2", "a", .length = 1, .offset = 1, .children = {ITEMS3}}, "'a': ", "4 are needed"},
    {{"+w:2000000000", "a", .length = 2, .offset = 4000000000, .children = {ITEMS3}},
     "'a': ",
     "needed"},
    {{"+s", "a", .length = 3, .children = {ITEMS3, NODE{"n", "b", .length = 2}}},
     "",
     "child 1 has 2 slots, and 3 are needed"},
    {{"+s", "", .length = 1,
      .children = {NODE{"+s", "a", .length = 1, .offset = 3, .children = {ITEMS3}}}},
     "'a': ",
     "4 are needed"},
    {{"+us:0", "a", .length = 4, .buffers = {I8(0, 0, 0, 0)}, .children = {ITEMS3}},
     "'a': ",
     "4 are needed"},
    {{"+r", "a", .length = 4, .offset = 3,
      .children = {NODE{"s", "run_ends", .length = 1, .buffers = {NONE, I16(6)}}, ITEMS3}},
     "'a': ",
     "end at 6"},
    {{"+r", "a", .length = 1, .children = {NODE{"s", "run_ends", .length = 0}, ITEMS3}},
     "'a': ",
     "end at 0"},
    {{"+r", "a", .length = 1,
      .children = {NODE{"s", "run_ends", .length = 4, .buffers = {NONE, I16(1, 2, 3, 4)}}, ITEMS3}},
     "'a': ",
     "4 run ends and 3 values"},
    {{"+r", "a", .length = 1,
      .children = {NODE{"s", "run_ends", .length = 1, .null_count = 1, .buffers = {U8(0), I16(1)}},
                   ITEMS3}},
     "'a': ",
     "run ends are null"},
    {{"+r", "a", .length = 1, .null_count = 1,
      .children = {NODE{"s", "run_ends", .length = 1, .buffers = {NONE, I16(1)}}, ITEMS3}},
     "'a': ",
     "does not say which"},
    {{"+l", "a", .length = 1, .buffers = {NONE, I32(0, 0)},
      .children = {NODE{"+l", "item", .length = 1, .buffers = {NONE, I32(0, 1)},
                        .children = {NODE{"u", "word", .length = 1}}}}},
     "'a'.'item'.'word': ",
     "no values"},
    {{"c", "a", .length = 1, .buffers = {NONE, I8(0)},
      .dictionary =
          NODE{"+l", "", .length = 1, .buffers = {NONE, I32(0, 4)}, .children = {ITEMS3}}},
     "'a': ",
     "past the 3"},
};

/* Seen only by who looks at all values. */
static const struct bad bad_values[] = {
    {{"i", "a", .length = 2, .null_count = 1, .buffers = {U8(3), I32(1, 2)}},
     "'a': ",
     "counts 1 nulls, and its bitmap has 0"},
    {{"i", "a", .length = 2, .offset = 7, .buffers = {U8(128, 0), I32(1, 2, 3, 4, 5, 6, 7, 8, 9)}},
     "'a': ",
     "counts 0 nulls, and its bitmap has 1"},
    {{"u", "a", .length = 3, .buffers = {NONE, I32(0, 2, 1, 2), CHARS("xy")}},
     "'a': ",
     "fall at row 1"},
    {{"u", "a", .length = 2, .offset = 1, .buffers = {NONE, I32(0, 0, 1, 2), CHARS("x\xC3")}},
     "'a': ",
     "row 1 is not UTF-8"},
    {{"u", "a", .length = 2, .buffers = {NONE, I32(0, 1, 2), CHARS("\xC3\xA9")}},
     "'a': ",
     "row 0 is not UTF-8"},
    {{"u", "a", .length = 2, .offset = 9, .null_count = 1,
      .buffers = {U8(0, 2), I32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2), CHARS("\xFFz")}},
     "'a': ",
     "row 0 is not UTF-8"},
    {{"vu", "a", .length = 1, .buffers = {NONE, I32(1, 255, 0, 0)}}, "'a': ", "not UTF-8"},
    {{"vz", "a", .length = 1, .n_buffers = 4,
      .buffers = {NONE, I32(13, '0' | '1' << 8 | '2' << 16 | '3' << 24, 0, 1),
                  CHARS("0123456789abc"), I64(13)}},
     "'a': ",
     "view in row 0"},
    {{"vz", "a", .length = 1, .buffers = {NONE, I32(13, 0, 0, 0)}}, "'a': ", "view in row 0"},
    {{"+l", "a", .length = 2, .buffers = {NONE, I32(0, 3, 2)}, .children = {ITEMS3}},
     "'a': ",
     "fall at row 1"},
    {{"+vl", "a", .length = 2, .null_count = 1, .buffers = {U8(1), I32(0, 3), I32(1, 1)},
      .children = {ITEMS3}},
     "'a': ",
     "list in row 1"},
    {{"+vL", "a", .length = 1, .buffers = {NONE, I64(1), I64(INT64_MAX)}, .children = {ITEMS3}},
     "'a': ",
     "list in row 0"},
    {{"+ud:5", "a", .length = 1, .buffers = {I8(0), I32(0)}, .children = {ITEMS3}},
     "'a': ",
     "type id in row 0 is 0"},
    {{"+us:5", "a", .length = 1, .buffers = {I8(-1)}, .children = {ITEMS3}},
     "'a': ",
     "type id in row 0 is -1"},
    {{"+ud:5", "a", .length = 1, .offset = 1, .buffers = {I8(5, 5), I32(0, 3)},
      .children = {ITEMS3}},
     "'a': ",
     "offset in row 0 is 3"},
    {{"+ud:5", "a", .length = 1, .buffers = {I8(5), I32(-1)}, .children = {ITEMS3}},
     "'a': ",
     "offset in row 0 is -1"},
    {{"+r", "a", .length = 4,
      .children = {NODE{"i", "run_ends", .length = 3, .buffers = {NONE, I32(2, 2, 4)}}, ITEMS3}},
     "'a': ",
     "run 1 ends at 2"},
    {{"+r", "a", .length = 4,
      .children = {NODE{"l", "run_ends", .length = 2, .buffers = {NONE, I64(0, 4)}}, ITEMS3}},
     "'a': ",
     "run 0 ends at 0"},
    {{"+r", "a", .length = 0,
      .children = {NODE{"s", "run_ends", .length = 1, .buffers = {NONE, I16(-1)}}, ITEMS3}},
     "'a': ",
     "run 0 ends at -1"},
    {{"+r", "a", .length = 2,
      .children = {NODE{"s", "run_ends", .length = 2, .null_count = -1,
                        .buffers = {U8(2), I16(1, 2)}},
                   ITEMS3}},
     "'a': ",
     "1 of its run ends are null"},
    {{"c", "a", .length = 2, .buffers = {NONE, I8(0, 3)}, .dictionary = ITEMS3},
     "'a': ",
     "index in row 1"},
    {{"c", "a", .length = 2, .offset = 1, .null_count = 1, .buffers = {U8(4), I8(0, 99, -1)},
      .dictionary = ITEMS3},
     "'a': ",
     "index in row 1"},
    {{"c", "a", .length = 1, .buffers = {NONE, I8(0)},
      .dictionary = NODE{"u", "", .length = 1, .buffers = {NONE, I32(0, 1), CHARS("\xFF")}}},
     "'a': ",
     "not UTF-8"},
    {{"+m", "a", .length = 1, .buffers = {NONE, I32(0, 1)},
      .children = {NODE{"+s", "entries", .length = 1, .null_count = 1, .buffers = {U8(0)},
                        .children = {NODE{"c", "key", .length = 1, .buffers = {NONE, I8(1)}},
                                     NODE{"c", "value", .length = 1, .buffers = {NONE, I8(1)}}}}}},
     "'a': ",
     "1 entries of its maps are null"},
    {{"+m", "a", .length = 1, .buffers = {NONE, I32(1, 2)},
      .children = {NODE{
          "+s", "entries", .length = 2, .offset = 1,
          .children = {NODE{"c", "key", .length = 3, .null_count = 1,
                            .buffers = {U8(3), I8(1, 2, 3)}},
                       NODE{"c", "value", .length = 3, .buffers = {NONE, I8(1, 2, 3)}}}}}},
     "'a': ",
     "1 keys of its maps are null"},
    {{"+s", "", .length = 1,
      .children = {NODE{"+w:3", "a", .length = 1,
                        .children = {NODE{"u", "item", .length = 3,
                                          .buffers = {NONE, I32(0, 0, 0, 1), CHARS("\xFF")}}}}}},
     "'a'.'item': ",
     "row 2 is not UTF-8"},
};

static void expect_refusal(const struct bad *bad, enum array_check check) {
  struct ArrowSchema schema = handmade_schema(&bad->array);
  struct ArrowArray array = handmade_array(&bad->array);
  struct error error = {0};
  enum status status = arrow_array_check(&schema, &array, check, &error);
  if (status != STATUS_INVALID || strstr(error.text, bad->why) == NULL ||
      strncmp(error.text, bad->where, strlen(bad->where)) != 0)
    fail_msg("%s\"%s\" is wanted, \"%s\" came", bad->where, bad->why, error.text);
  arrow_array_release(&array);
  arrow_schema_release(&schema);
}

static void wrong_shapes_are_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof bad_shapes / sizeof bad_shapes[0]; i++)
    for (int check = ARRAY_CHECK_SHAPE; check <= ARRAY_CHECK_FULL; check++)
      expect_refusal(&bad_shapes[i], (enum array_check)check);
}

static void wrong_values_are_refused_by_the_full_check_only(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof bad_values / sizeof bad_values[0]; i++) {
    struct ArrowSchema schema = handmade_schema(&bad_values[i].array);
    struct ArrowArray array = handmade_array(&bad_values[i].array);
    struct error error = {0};
    expect_refusal(&bad_values[i], ARRAY_CHECK_FULL);
    if (arrow_array_check(&schema, &array, ARRAY_CHECK_SHAPE, &error) != STATUS_OK)
      fail_msg("\"%s\" by shape: %s", bad_values[i].why, error.text);
    arrow_array_release(&array);
    arrow_schema_release(&schema);
  }
}

/* What a table cannot say: lists that are not there, buffers that are not aligned. */
static void lists_that_are_not_there_are_refused(void **state) {
  (void)state;
  const struct handmade *list =
      NODE{"+l", "a", .length = 1, .buffers = {NONE, I32(0, 3)}, .children = {ITEMS3}};
  struct ArrowSchema schema = handmade_schema(list);
  struct ArrowArray array = handmade_array(list);
  struct ArrowArray broken = array;
  struct error error = {0};
  broken.buffers = NULL;
  assert_int_equal(arrow_array_check(&schema, &broken, ARRAY_CHECK_SHAPE, &error), STATUS_INVALID);
  broken = array;
  broken.children = NULL;
  assert_int_equal(arrow_array_check(&schema, &broken, ARRAY_CHECK_SHAPE, &error), STATUS_INVALID);
  broken = array;
  broken.n_children = 0;
  assert_int_equal(arrow_array_check(&schema, &broken, ARRAY_CHECK_SHAPE, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "0 children"));
  struct ArrowArray *children[] = {NULL};
  broken = array;
  broken.children = children;
  assert_int_equal(arrow_array_check(&schema, &broken, ARRAY_CHECK_SHAPE, &error), STATUS_INVALID);
  struct ArrowArray moved = *array.children[0];
  moved.release = NULL;
  children[0] = &moved;
  assert_int_equal(arrow_array_check(&schema, &broken, ARRAY_CHECK_SHAPE, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "released"));
  const void *buffers[] = {NULL, (const uint8_t *)array.buffers[1] + 1};
  broken = array;
  broken.buffers = buffers;
  assert_int_equal(arrow_array_check(&schema, &broken, ARRAY_CHECK_SHAPE, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "buffer 1 is not aligned"));
  broken = array;
  broken.dictionary = array.children[0];
  assert_int_equal(arrow_array_check(&schema, &broken, ARRAY_CHECK_SHAPE, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "has a dictionary"));
  arrow_array_release(&array);
  arrow_schema_release(&schema);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arrays_that_are_what_they_say_pass),
      cmocka_unit_test(wrong_shapes_are_refused),
      cmocka_unit_test(wrong_values_are_refused_by_the_full_check_only),
      cmocka_unit_test(lists_that_are_not_there_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
