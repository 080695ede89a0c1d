/* Array functions of the public API: what tests/arrow/test_array_*.c prove of the room's own
 * reaches callers, and what is not there is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/schema.h"
#include "arrowport/ipc.h"
#include "source/rows.h"

static struct ArrowSchema schema;

static int make_schema(void **state) {
  (void)state;
  schema = rows_schema();
  return 0;
}

static int release_schema(void **state) {
  (void)state;
  arrow_schema_release(&schema);
  return 0;
}

static void an_array_is_checked_by_its_shape_or_in_full(void **state) {
  (void)state;
  struct arrowport_error error;
  struct ArrowArray batch = rows_batch(0, 10, NULL);
  assert_int_equal(arrowport_array_check(&schema, &batch, true, &error), ARROWPORT_OK);
  assert_string_equal(error.text, "");
  batch.children[0]->null_count = 1; /* and no bitmap that says which */
  assert_int_equal(arrowport_array_check(&schema, &batch, true, &error), ARROWPORT_INVALID);
  expect_said(error.text, "id");
  batch.children[0]->null_count = 0;
  static const uint8_t bits[] = {0xFF, 0x01};
  batch.children[0]->buffers[0] = bits; /* one of ten is null */
  assert_int_equal(arrowport_array_check(&schema, &batch, false, NULL), ARROWPORT_OK);
  assert_int_equal(arrowport_array_check(&schema, &batch, true, NULL), ARROWPORT_INVALID);
  arrow_array_release(&batch);
}

static void arrays_are_compared_and_the_difference_is_told(void **state) {
  (void)state;
  struct arrowport_error error;
  struct ArrowArray left = rows_batch(0, 10, NULL);
  struct ArrowArray same = rows_batch(0, 10, NULL);
  struct ArrowArray other = rows_batch(1, 10, NULL);
  assert_true(arrowport_array_equal(&schema, &left, &same, &error));
  assert_string_equal(error.text, "");
  assert_false(arrowport_array_equal(&schema, &left, &other, &error));
  expect_said(error.text, "id");
  assert_false(arrowport_array_equal(&schema, &left, &other, NULL));
  arrow_array_release(&left);
  arrow_array_release(&same);
  arrow_array_release(&other);
}

static void a_slice_takes_the_array_when_it_succeeds(void **state) {
  (void)state;
  int released = 0;
  struct arrowport_error error;
  struct ArrowArray batch = rows_batch(0, 10, &released);
  struct ArrowArray slice = {.release = NULL};
  assert_int_equal(arrowport_array_slice(&schema, &batch, 5, 6, &slice, &error), ARROWPORT_INVALID);
  assert_non_null(batch.release);
  assert_int_equal(arrowport_array_slice(&schema, &batch, 4, 3, &slice, &error), ARROWPORT_OK);
  assert_null(batch.release);
  expect_rows(&slice, 4, 3);
  assert_int_equal(released, 0);
  arrow_array_release(&slice);
  assert_int_equal(released, 1);
}

static void an_array_is_printed_as_text_to_be_freed(void **state) {
  (void)state;
  char *text = NULL;
  struct ArrowArray batch = rows_batch(100, 10, NULL);
  assert_int_equal(arrowport_array_print(&schema, &batch, 3, 40, &text, NULL), ARROWPORT_OK);
  expect_said(text, "id");
  expect_said(text, "102");
  assert_null(strstr(text, "103"));
  free(text);
  assert_int_equal(arrowport_array_print(&schema, &batch, 0, 40, &text, NULL), ARROWPORT_OK);
  free(text);
  arrow_array_release(&batch);
}

static void what_is_not_there_is_refused(void **state) {
  (void)state;
  struct ArrowArray batch = rows_batch(0, 10, NULL);
  struct ArrowArray none = {.release = NULL};
  struct ArrowSchema no_schema = {.release = NULL};
  struct ArrowArray slice;
  char *text = (char *)1; /* anything: it is set to NULL */
  const struct {
    const struct ArrowSchema *schema;
    struct ArrowArray *array;
  } cases[] = {
      {NULL, &batch}, {&no_schema, &batch}, {&schema, NULL}, {&schema, &none}, {NULL, NULL}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct arrowport_error error;
    assert_int_equal(arrowport_array_check(cases[i].schema, cases[i].array, true, &error),
                     ARROWPORT_INVALID);
    assert_true(strlen(error.text) > 0);
    assert_false(arrowport_array_equal(cases[i].schema, cases[i].array, &batch, &error));
    assert_true(strlen(error.text) > 0);
    assert_false(arrowport_array_equal(cases[i].schema, &batch, cases[i].array, NULL) &&
                 cases[i].array != &batch);
    assert_int_equal(arrowport_array_slice(cases[i].schema, cases[i].array, 0, 1, &slice, NULL),
                     ARROWPORT_INVALID);
    assert_int_equal(arrowport_array_print(cases[i].schema, cases[i].array, 1, 80, &text, NULL),
                     ARROWPORT_INVALID);
    assert_null(text);
  }
  assert_int_equal(arrowport_array_slice(&schema, &batch, 0, 1, NULL, NULL), ARROWPORT_INVALID);
  assert_int_equal(arrowport_array_print(&schema, &batch, 1, 80, NULL, NULL), ARROWPORT_INVALID);
  arrow_array_release(&batch);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_array_is_checked_by_its_shape_or_in_full),
      cmocka_unit_test(arrays_are_compared_and_the_difference_is_told),
      cmocka_unit_test(a_slice_takes_the_array_when_it_succeeds),
      cmocka_unit_test(an_array_is_printed_as_text_to_be_freed),
      cmocka_unit_test(what_is_not_there_is_refused),
  };
  return cmocka_run_group_tests(tests, make_schema, release_schema);
}
