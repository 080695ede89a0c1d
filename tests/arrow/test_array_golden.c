/* What is written for arrays of any kind holds for those of every golden stream: they are
 * what they say, equal to what is read again, and can be cut and shown. */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/array.h"
#include "arrow/read_all.h"

enum { STREAMS_MIN = 91, MEMORY_BYTES = 512 << 20, ROWS_SHOWN = 3, FRAME_LINES = 4 };

static struct budget budget = {.limit_bytes = MEMORY_BYTES};

static void expect_equal(const char *path, const struct ArrowSchema *schema,
                         const struct ArrowArray *left, const struct ArrowArray *right) {
  struct error where = {0};
  if (!arrow_array_equal(schema, left, right, &where)) fail_msg("%s: %s", path, where.text);
}

/* The rows from the second on, once as C producers slice, once by the struct's offset. */
static void check_slice(const char *path, const struct ArrowSchema *schema,
                        struct ArrowArray *taken, const struct ArrowArray *kept) {
  struct ArrowArray slice = {0};
  struct ArrowArray rest = *kept;
  struct error error = {0};
  rest.offset++;
  rest.length--;
  assert_int_equal(arrow_array_slice(schema, taken, 1, rest.length, &slice, NULL), STATUS_OK);
  if (arrow_array_check(schema, &slice, ARRAY_CHECK_FULL, &error) != STATUS_OK)
    fail_msg("%s: a slice: %s", path, error.text);
  expect_equal(path, schema, &slice, &rest);
  expect_equal(path, schema, &rest, &slice);
  arrow_array_release(&slice);
}

static void check_print(const char *path, const struct ArrowSchema *schema,
                        const struct ArrowArray *batch) {
  struct text out = TEXT_EMPTY;
  struct error error = {0};
  int64_t lines = 0;
  if (arrow_array_print(schema, batch, ROWS_SHOWN, 100, &out, &error) != STATUS_OK)
    fail_msg("%s: %s", path, error.text);
  for (const char *at = text_get(&out); *at != '\0'; at++) lines += *at == '\n';
  int64_t shown = batch->length < ROWS_SHOWN ? batch->length : ROWS_SHOWN;
  assert_int_equal(lines, schema->n_children == 0 ? 1 : shown + FRAME_LINES);
  text_release(&out);
}

static void check_stream(const char *path) {
  struct buffer stream = test_data(path + strlen(ARROWPORT_TEST_DATA) + 1, &budget);
  const struct read_all_options options = {0};
  struct read_all once = {0};
  struct read_all again = {0};
  struct error error = {0};
  if (read_all_stream(stream.data, stream.size_bytes, &options, &budget, &once, &error) !=
          STATUS_OK ||
      read_all_stream(stream.data, stream.size_bytes, &options, &budget, &again, &error) !=
          STATUS_OK)
    fail_msg("%s: %s", path, error.text);
  assert_int_equal(once.batch_count, again.batch_count);
  for (int64_t i = 0; i < once.batch_count; i++) {
    struct ArrowArray *batch = &once.batches[i];
    for (int check = ARRAY_CHECK_SHAPE; check <= ARRAY_CHECK_FULL; check++)
      if (arrow_array_check(&once.schema, batch, (enum array_check)check, &error) != STATUS_OK)
        fail_msg("%s: %s", path, error.text);
    expect_equal(path, &once.schema, batch, &again.batches[i]);
    check_print(path, &once.schema, batch);
    if (batch->length > 0) check_slice(path, &once.schema, batch, &again.batches[i]);
  }
  read_all_release(&once);
  read_all_release(&again);
  buffer_release(&stream);
}

static void golden_arrays_are_checked_compared_cut_and_shown(void **state) {
  (void)state;
  glob_t paths;
  assert_int_equal(glob(ARROWPORT_TEST_DATA "/arrow-ipc/*/*.stream", 0, NULL, &paths), 0);
  assert_true(paths.gl_pathc >= STREAMS_MIN);
  for (size_t i = 0; i < paths.gl_pathc; i++) check_stream(paths.gl_pathv[i]);
  globfree(&paths);
  assert_int_equal(budget.used_bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(golden_arrays_are_checked_compared_cut_and_shown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
