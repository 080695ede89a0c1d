/* The public writer of Parquet as C programs use it: who owns what, and what is refused. What it writes is
 * read by others in tests/e2e/test_c_api_parquet.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/schema.h"
#include "arrowport/parquet.h"
#include "source/rows.h"
#include "source/source.h"

enum { ROWS = 1000 };

struct output {
  struct buffer bytes;
  int fails_at; /* the call that fails; 0: none */
  int calls;
};

static int take(void *context, const void *data, int64_t bytes) {
  struct output *output = context;
  if (++output->calls == output->fails_at) return 1;
  return buffer_append(&output->bytes, &rows_budget, data, bytes, NULL) != STATUS_OK;
}

static struct arrowport_parquet_writer *open_to(struct output *output, int threads) {
  struct arrowport_parquet_writer_options options = {.struct_size = sizeof options,
                                                     .threads = threads};
  struct arrowport_parquet_writer *writer = NULL;
  struct arrowport_error error;
  struct ArrowSchema schema = rows_schema();
  if (arrowport_parquet_writer_open(&schema, take, output, &options, &writer, &error) !=
      ARROWPORT_OK)
    fail_msg("%s", error.text);
  arrow_schema_release(&schema); /* it was copied */
  return writer;
}

static void a_batch_is_taken_and_released_once(void **state) {
  (void)state;
  for (int threads = 1; threads <= 3; threads++) {
    struct output output = {.fails_at = 0};
    struct arrowport_error error;
    int released = 0;
    struct arrowport_parquet_writer *writer = open_to(&output, threads);
    for (int i = 0; i < 4; i++) {
      struct ArrowArray batch = rows_batch((int64_t)i * ROWS, ROWS, &released);
      if (arrowport_parquet_writer_add(writer, &batch, &error) != ARROWPORT_OK)
        fail_msg("%s", error.text);
      assert_null(batch.release);
    }
    if (arrowport_parquet_writer_finish(writer, &error) != ARROWPORT_OK) fail_msg("%s", error.text);
    struct arrowport_parquet_column column = {.struct_size = sizeof column};
    assert_int_equal(arrowport_parquet_writer_column_count(writer), 1);
    assert_int_equal(arrowport_parquet_writer_column(writer, 0, &column, NULL), ARROWPORT_OK);
    assert_int_equal(column.values, 4 * ROWS);
    assert_string_equal(column.path, "id");
    assert_string_equal(column.type, "INT64");
    arrowport_parquet_writer_close(writer);
    assert_int_equal(released, 4);
    assert_true(output.bytes.size_bytes > 12);
    assert_memory_equal(output.bytes.data, "PAR1", 4);
    assert_memory_equal(output.bytes.data + output.bytes.size_bytes - 4, "PAR1", 4);
    buffer_release(&output.bytes);
  }
}

static void batches_of_a_writer_that_is_given_up_are_released(void **state) {
  (void)state;
  struct output output = {.fails_at = 0};
  int released = 0;
  struct arrowport_parquet_writer *writer = open_to(&output, 1);
  struct ArrowArray batch = rows_batch(0, ROWS, &released);
  assert_int_equal(arrowport_parquet_writer_add(writer, &batch, NULL), ARROWPORT_OK);
  arrowport_parquet_writer_close(writer);
  arrowport_parquet_writer_close(NULL);
  assert_int_equal(released, 1);
  buffer_release(&output.bytes);
}

static void each_call_of_a_function_that_fails_ends_the_writer(void **state) {
  (void)state;
  bool is_whole = false;
  for (int at = 1; !is_whole; at++) {
    struct output output = {.fails_at = at};
    struct arrowport_error error;
    int released = 0;
    struct arrowport_parquet_writer *writer = open_to(&output, 2);
    struct ArrowArray batch = rows_batch(0, ROWS, &released);
    enum arrowport_status status = arrowport_parquet_writer_add(writer, &batch, &error);
    if (status == ARROWPORT_OK) status = arrowport_parquet_writer_end_row_group(writer, &error);
    if (status == ARROWPORT_OK) status = arrowport_parquet_writer_finish(writer, &error);
    is_whole = status == ARROWPORT_OK;
    assert_int_equal(is_whole, output.calls < at);
    if (!is_whole) {
      assert_int_equal(status, ARROWPORT_IO);
      expect_said(error.text, "writing failed");
      assert_int_equal(arrowport_parquet_writer_finish(writer, &error), ARROWPORT_IO);
      assert_int_equal(output.calls, at); /* it is not called again */
    }
    arrow_array_release(&batch);
    arrowport_parquet_writer_close(writer);
    assert_int_equal(released, 1);
    buffer_release(&output.bytes);
    assert_true(at < 100);
  }
}

static void what_is_missing_is_named(void **state) {
  (void)state;
  struct ArrowSchema schema = rows_schema();
  struct output output = {.fails_at = 0};
  struct arrowport_error error;
  struct arrowport_parquet_writer *writer = NULL;
  struct ArrowArray none = {.release = NULL};
  struct arrowport_parquet_progress progress = {.struct_size = 0};
  struct arrowport_parquet_column column = {.struct_size = 4};
  assert_int_equal(arrowport_parquet_writer_open(NULL, take, &output, NULL, &writer, &error),
                   ARROWPORT_INVALID);
  expect_said(error.text, "schema is NULL");
  assert_int_equal(arrowport_parquet_writer_open(&schema, NULL, NULL, NULL, &writer, &error),
                   ARROWPORT_INVALID);
  expect_said(error.text, "write is NULL");
  assert_int_equal(arrowport_parquet_writer_open_path(&schema, NULL, NULL, &writer, &error),
                   ARROWPORT_INVALID);
  expect_said(error.text, "path is NULL");
  assert_int_equal(arrowport_parquet_writer_open(&schema, take, &output, NULL, NULL, &error),
                   ARROWPORT_INVALID);
  expect_said(error.text, "writer is NULL");
  assert_int_equal(arrowport_parquet_writer_add(NULL, &none, &error), ARROWPORT_INVALID);
  assert_int_equal(arrowport_parquet_writer_finish(NULL, NULL), ARROWPORT_INVALID);
  assert_int_equal(arrowport_parquet_writer_column_count(NULL), 0);
  writer = open_to(&output, 1);
  assert_int_equal(arrowport_parquet_writer_add(writer, NULL, &error), ARROWPORT_INVALID);
  assert_int_equal(arrowport_parquet_writer_add(writer, &none, &error), ARROWPORT_INVALID);
  expect_said(error.text, "holds nothing");
  assert_int_equal(arrowport_parquet_writer_add_stream(writer, NULL, &error), ARROWPORT_INVALID);
  assert_int_equal(arrowport_parquet_writer_progress(writer, &progress, &error), ARROWPORT_INVALID);
  expect_said(error.text, "struct_size");
  assert_int_equal(arrowport_parquet_writer_column(writer, 0, &column, &error), ARROWPORT_INVALID);
  expect_said(error.text, "not finished");
  assert_int_equal(arrowport_parquet_writer_finish(writer, &error), ARROWPORT_OK);
  assert_int_equal(arrowport_parquet_writer_column(writer, 0, &column, &error), ARROWPORT_INVALID);
  expect_said(error.text, "struct_size");
  arrowport_parquet_writer_close(writer);
  arrow_schema_release(&schema);
  buffer_release(&output.bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_batch_is_taken_and_released_once),
      cmocka_unit_test(batches_of_a_writer_that_is_given_up_are_released),
      cmocka_unit_test(each_call_of_a_function_that_fails_ends_the_writer),
      cmocka_unit_test(what_is_missing_is_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
