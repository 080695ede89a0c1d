/* Indices, list views, unions and runs: what is inside, what is one past it, and what only
 * looks as if it were inside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "arrow/layout.h"
#include "arrow/validate.h"

static void indices_are_within_their_dictionary(void **state) {
  (void)state;
  static const struct {
    enum arrow_kind kind;
    int64_t index;
    int64_t limit;
    enum status status;
  } cases[] = {
      {ARROW_INT8, 0, 1, STATUS_OK},
      {ARROW_INT8, 1, 1, STATUS_INVALID},
      {ARROW_INT8, 0, 0, STATUS_INVALID},
      {ARROW_INT8, 127, 128, STATUS_OK},
      /* -1 and -128 as unsigned bytes are below 300 */
      {ARROW_INT8, -1, 300, STATUS_INVALID},
      {ARROW_INT8, -128, 300, STATUS_INVALID},
      {ARROW_UINT8, 255, 256, STATUS_OK},
      {ARROW_UINT8, 255, 300, STATUS_OK},
      {ARROW_UINT8, 255, 255, STATUS_INVALID},
      {ARROW_INT16, -1, 70000, STATUS_INVALID},
      {ARROW_INT16, INT16_MAX, 70000, STATUS_OK},
      {ARROW_UINT16, UINT16_MAX, 70000, STATUS_OK},
      {ARROW_UINT16, UINT16_MAX, UINT16_MAX, STATUS_INVALID},
      {ARROW_INT32, -1, INT32_MAX, STATUS_INVALID},
      {ARROW_INT32, INT32_MIN, INT32_MAX, STATUS_INVALID},
      {ARROW_INT32, INT32_MAX - 1, INT32_MAX, STATUS_OK},
      {ARROW_INT32, INT32_MAX, INT32_MAX, STATUS_INVALID},
      {ARROW_UINT32, UINT32_MAX, INT32_MAX, STATUS_INVALID},
      {ARROW_UINT32, 5, 6, STATUS_OK},
      {ARROW_UINT32, UINT32_MAX, (int64_t)1 << 32, STATUS_OK},
      {ARROW_INT32, -1, (int64_t)1 << 32, STATUS_INVALID},
      {ARROW_INT64, (int64_t)1 << 40, (int64_t)1 << 41, STATUS_OK},
      {ARROW_INT64, -1, 10, STATUS_INVALID},
      {ARROW_INT64, INT64_MAX, 10, STATUS_INVALID},
      {ARROW_INT64, INT64_MIN, 10, STATUS_INVALID},
      {ARROW_UINT64, INT64_MIN, 10, STATUS_INVALID},
      {ARROW_UINT64, 9, 10, STATUS_OK},
      {ARROW_INT64, (int64_t)1 << 32, 10, STATUS_INVALID},
  };
  enum { ROWS = 67, AT = 61 };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    static const int widths[] = {
        [ARROW_INT8] = 1,  [ARROW_UINT8] = 1,  [ARROW_INT16] = 2, [ARROW_UINT16] = 2,
        [ARROW_INT32] = 4, [ARROW_UINT32] = 4, [ARROW_INT64] = 8, [ARROW_UINT64] = 8};
    int width = widths[cases[i].kind];
    uint64_t indices[ROWS] = {0};
    uint8_t validity[ROWS / 8 + 1];
    struct error error = {0};
    memset(validity, 0xFF, sizeof validity);
    memcpy((uint8_t *)indices + (ptrdiff_t)AT * width, &cases[i].index, (size_t)width);
    enum status status =
        validate_indices(indices, cases[i].kind, validity, ROWS, cases[i].limit, &error);
    if (status != cases[i].status) fail_msg("case %zu: %s", i, status_name(status));
    if (status == STATUS_OK || cases[i].limit == 0) continue;
    assert_non_null(strstr(error.text, "row 61"));
    validity[AT / 8] = (uint8_t)(validity[AT / 8] & ~(1 << AT % 8)); /* null: it may be anything */
    assert_int_equal(validate_indices(indices, cases[i].kind, validity, ROWS, cases[i].limit, NULL),
                     STATUS_OK);
  }
}

static void list_views_lie_inside_their_items(void **state) {
  (void)state;
  static const struct {
    int64_t offset;
    int64_t size;
    enum status status;
  } cases[] = {
      {0, 10, STATUS_OK},
      {10, 0, STATUS_OK},
      {3, 7, STATUS_OK},
      {3, 8, STATUS_INVALID},
      {11, 0, STATUS_INVALID},
      {-1, 1, STATUS_INVALID},
      {1, -1, STATUS_INVALID},
      {INT32_MAX, 1, STATUS_INVALID},
      {1, INT32_MAX, STATUS_INVALID},
      {INT32_MIN, INT32_MAX, STATUS_INVALID},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int32_t offsets32[3] = {0, (int32_t)cases[i].offset, 0};
    int32_t sizes32[3] = {0, (int32_t)cases[i].size, 0};
    int64_t offsets64[3] = {0, cases[i].offset, 0};
    int64_t sizes64[3] = {0, cases[i].size, 0};
    struct error error = {0};
    assert_int_equal(validate_list_views(offsets32, sizes32, 4, 3, 10, &error), cases[i].status);
    if (cases[i].status != STATUS_OK) assert_non_null(strstr(error.text, "row 1"));
    assert_int_equal(validate_list_views(offsets64, sizes64, 8, 3, 10, NULL), cases[i].status);
  }
  int64_t offsets[] = {1};
  int64_t sizes[] = {INT64_MAX};
  assert_int_equal(validate_list_views(offsets, sizes, 8, 1, 10, NULL), STATUS_INVALID);
}

static void a_union_names_members_and_their_slots(void **state) {
  (void)state;
  struct ArrowArray members[] = {{.length = 2}, {.length = 0}};
  struct ArrowArray *children[] = {&members[0], &members[1]};
  int8_t child_of_code[UNION_CODES];
  memset(child_of_code, -1, sizeof child_of_code);
  child_of_code[5] = 0;
  child_of_code[127] = 1;
  static const struct {
    int8_t code;
    int32_t offset;
    enum status dense;
    enum status sparse;
  } cases[] = {
      {5, 1, STATUS_OK, STATUS_OK},
      {5, 2, STATUS_INVALID, STATUS_OK},
      {5, -1, STATUS_INVALID, STATUS_OK},
      {127, 0, STATUS_INVALID, STATUS_OK},
      {0, 0, STATUS_INVALID, STATUS_INVALID},
      {-1, 0, STATUS_INVALID, STATUS_INVALID},
      {-128, 0, STATUS_INVALID, STATUS_INVALID},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int8_t codes[] = {5, cases[i].code};
    int32_t offsets[] = {0, cases[i].offset};
    assert_int_equal(validate_union(codes, offsets, 2, child_of_code, children, NULL),
                     cases[i].dense);
    assert_int_equal(validate_union(codes, NULL, 2, child_of_code, children, NULL),
                     cases[i].sparse);
  }
}

static void offsets_of_a_dense_union_are_in_order_for_each_member(void **state) {
  (void)state;
  struct ArrowArray members[] = {{.length = 3}, {.length = 3}};
  struct ArrowArray *children[] = {&members[0], &members[1]};
  int8_t child_of_code[UNION_CODES] = {0, 1};
  static const int8_t codes[] = {0, 1, 0, 1};
  static const int32_t good[] = {1, 0, 1, 2}; /* one slot may be named twice */
  static const int32_t falls[] = {1, 0, 0, 2};
  struct error error = {0};
  assert_int_equal(validate_union(codes, good, 4, child_of_code, children, NULL), STATUS_OK);
  assert_int_equal(validate_union(codes, falls, 4, child_of_code, children, &error),
                   STATUS_INVALID);
  assert_non_null(strstr(error.text, "row 2"));
}

static void runs_rise_and_reach_the_end(void **state) {
  (void)state;
  static const struct {
    int count;
    int16_t ends[3];
    int64_t length;
    enum status status;
  } cases[] = {
      {3, {1, 5, 9}, 9, STATUS_OK},       {3, {1, 5, 9}, 4, STATUS_OK},
      {3, {1, 5, 9}, 10, STATUS_INVALID}, {3, {0, 5, 9}, 9, STATUS_INVALID},
      {3, {-1, 5, 9}, 9, STATUS_INVALID}, {3, {1, 1, 9}, 9, STATUS_INVALID},
      {3, {5, 1, 9}, 9, STATUS_INVALID},  {0, {0}, 0, STATUS_OK},
      {0, {0}, 1, STATUS_INVALID},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int32_t ends32[3];
    int64_t ends64[3];
    for (int k = 0; k < 3; k++) ends64[k] = ends32[k] = cases[i].ends[k];
    const void *all[] = {cases[i].ends, ends32, ends64};
    for (int k = 0; k < 3; k++)
      assert_int_equal(validate_run_ends(all[k], 2 << k, cases[i].count, cases[i].length, NULL),
                       cases[i].status);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(indices_are_within_their_dictionary),
      cmocka_unit_test(list_views_lie_inside_their_items),
      cmocka_unit_test(a_union_names_members_and_their_slots),
      cmocka_unit_test(offsets_of_a_dense_union_are_in_order_for_each_member),
      cmocka_unit_test(runs_rise_and_reach_the_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
