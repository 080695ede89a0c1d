/* Writers of the public API: what they write can be read, and what they refuse harms nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/schema.h"
#include "arrowport/ipc.h"
#include "source/rows.h"

enum { ROWS = 10000, SIZE = sizeof(struct arrowport_writer_options) };

/* ---- where bytes go ---------------------------------------------------------------------------- */

struct output {
  struct buffer bytes;
  int calls;
  int fail_at; /* the call that fails; 0: none */
};

static int write_output(void *context, const void *data, int64_t bytes) {
  struct output *output = context;
  if (++output->calls == output->fail_at) return 1;
  assert_true(bytes > 0);
  assert_int_equal(buffer_append(&output->bytes, &rows_budget, data, bytes, NULL), STATUS_OK);
  return 0;
}

static struct arrowport_writer *open_writer(struct output *output,
                                            const struct arrowport_writer_options *options) {
  struct ArrowSchema schema = rows_schema();
  struct arrowport_writer *writer = NULL;
  struct arrowport_error error;
  if (arrowport_writer_open(&schema, write_output, output, options, &writer, &error) !=
      ARROWPORT_OK)
    fail_msg("%s", error.text);
  arrow_schema_release(&schema); /* it was copied */
  return writer;
}

static enum arrowport_status write_rows(struct arrowport_writer *writer, int64_t first,
                                        int64_t rows, struct arrowport_error *error) {
  int released = 0;
  struct ArrowArray batch = rows_batch(first, rows, &released);
  enum arrowport_status status = arrowport_writer_write(writer, &batch, error);
  assert_non_null(batch.release); /* it stayed ours */
  assert_int_equal(released, 0);
  arrow_array_release(&batch);
  return status;
}

/* The rows of what was written, which is released; `*status` is how it ended. */
static int64_t read_back(struct output *output, enum arrowport_status *status) {
  struct arrowport_reader *reader = NULL;
  int64_t rows = 0;
  *status = arrowport_reader_open_memory(output->bytes.data, output->bytes.size_bytes, NULL, NULL,
                                         NULL, &reader, NULL);
  while (*status == ARROWPORT_OK) {
    struct ArrowArray batch;
    *status = arrowport_reader_next(reader, &batch, NULL);
    if (batch.release == NULL) break;
    expect_rows(&batch, rows, batch.length);
    rows += batch.length;
    arrow_array_release(&batch);
  }
  arrowport_reader_close(reader);
  buffer_release(&output->bytes);
  return rows;
}

/* ---- what is written ------------------------------------------------------------------------------ */

static void streams_and_files_of_each_compression_are_read_back(void **state) {
  (void)state;
  for (int i = 0; i < 12; i++) {
    struct arrowport_writer_options options = {
        .struct_size = sizeof options,
        .format = i % 2 == 0 ? ARROWPORT_IPC_STREAM : ARROWPORT_IPC_FILE,
        .compression = (enum arrowport_compression)(i / 2 % 3),
        .level = i < 6 ? 0 : 2,
        .threads = i < 6 ? 1 : 3};
    struct output output = {.calls = 0};
    struct arrowport_writer *writer = open_writer(&output, &options);
    enum arrowport_status status;
    for (int64_t j = 0; j < 3; j++)
      assert_int_equal(write_rows(writer, j * 20 * ROWS, 20 * ROWS, NULL), ARROWPORT_OK);
    assert_int_equal(arrowport_writer_finish(writer, NULL), ARROWPORT_OK);
    arrowport_writer_close(writer);
    assert_int_equal(output.calls, 5); /* schema, batches, end */
    assert_int_equal(memcmp(output.bytes.data, "ARROW1", 6) == 0, i % 2);
    assert_int_equal(read_back(&output, &status), 60 * ROWS);
    assert_int_equal(status, ARROWPORT_OK);
  }
}

static void compression_makes_less_of_it_and_more_so_at_a_higher_level(void **state) {
  (void)state;
  int64_t bytes[3];
  for (int i = 0; i < 3; i++) {
    struct arrowport_writer_options options = {.struct_size = sizeof options,
                                               .compression =
                                                   i == 0 ? ARROWPORT_UNCOMPRESSED : ARROWPORT_ZSTD,
                                               .level = i == 2 ? 19 : 1};
    struct output output = {.calls = 0};
    struct arrowport_writer *writer = open_writer(&output, &options);
    assert_int_equal(write_rows(writer, 0, ROWS, NULL), ARROWPORT_OK);
    arrowport_writer_close(writer);
    bytes[i] = output.bytes.size_bytes;
    buffer_release(&output.bytes);
  }
  assert_true(bytes[0] > bytes[1]);
  assert_true(bytes[1] > bytes[2]);
}

static void what_is_closed_before_its_end_is_no_whole_stream_and_no_file(void **state) {
  (void)state;
  for (int format = ARROWPORT_IPC_STREAM; format <= ARROWPORT_IPC_FILE; format++) {
    struct arrowport_writer_options options = {.struct_size = SIZE,
                                               .format = (enum arrowport_ipc_format)format};
    struct output output = {.calls = 0};
    struct arrowport_writer *writer = open_writer(&output, &options);
    enum arrowport_status status;
    assert_int_equal(write_rows(writer, 0, ROWS, NULL), ARROWPORT_OK);
    arrowport_writer_close(writer);
    assert_int_equal(read_back(&output, &status), format == ARROWPORT_IPC_STREAM ? ROWS : 0);
    assert_int_equal(status, ARROWPORT_INVALID);
  }
}

static void metadata_travels_with_its_batch_alone(void **state) {
  (void)state;
  /* One pair, "key" and "value", as ArrowSchema.metadata has it. */
  static const struct {
    int32_t pairs, key_bytes;
    char key[3], value_bytes[4], value[5];
  } metadata = {1, 3, {'k', 'e', 'y'}, {5, 0, 0, 0}, {'v', 'a', 'l', 'u', 'e'}};
  enum { METADATA_BYTES = 4 + 4 + 3 + 4 + 5 };
  struct output output = {.calls = 0};
  struct arrowport_writer *writer = open_writer(&output, NULL);
  assert_int_equal(write_rows(writer, 0, 10, NULL), ARROWPORT_OK);
  assert_int_equal(arrowport_writer_metadata(writer, (const char *)&metadata, NULL), ARROWPORT_OK);
  assert_int_equal(write_rows(writer, 10, 10, NULL), ARROWPORT_OK);
  assert_int_equal(write_rows(writer, 20, 10, NULL), ARROWPORT_OK);
  assert_int_equal(arrowport_writer_finish(writer, NULL), ARROWPORT_OK);
  arrowport_writer_close(writer);

  struct arrowport_reader *reader = NULL;
  struct ArrowArray batch;
  assert_int_equal(arrowport_reader_open_memory(output.bytes.data, output.bytes.size_bytes, NULL,
                                                NULL, NULL, &reader, NULL),
                   ARROWPORT_OK);
  assert_null(arrowport_reader_metadata(reader));
  for (int i = 0; i < 4; i++) {
    assert_int_equal(arrowport_reader_next(reader, &batch, NULL), ARROWPORT_OK);
    const char *found = arrowport_reader_metadata(reader);
    if (i == 1)
      assert_memory_equal(found, &metadata, METADATA_BYTES);
    else
      assert_null(found);
    arrow_array_release(&batch);
  }
  arrowport_reader_close(reader);
  buffer_release(&output.bytes);
}

/* ---- what is wrong ----------------------------------------------------------------------------------- */

static void a_batch_of_another_schema_is_refused_and_nothing_is_written(void **state) {
  (void)state;
  struct output output = {.calls = 0};
  struct arrowport_writer *writer = open_writer(&output, NULL);
  struct arrowport_error error;
  enum arrowport_status status;
  assert_int_equal(write_rows(writer, 0, 10, NULL), ARROWPORT_OK);
  int64_t before = output.bytes.size_bytes;
  struct ArrowArray batch = rows_batch(10, 10, NULL);
  batch.n_children = 0;
  assert_int_equal(arrowport_writer_write(writer, &batch, &error), ARROWPORT_INVALID);
  expect_said(error.text, "children");
  batch.n_children = 1;
  assert_int_equal(output.bytes.size_bytes, before);
  assert_int_equal(arrowport_writer_write(writer, &batch, &error), ARROWPORT_OK);
  arrow_array_release(&batch);
  assert_int_equal(arrowport_writer_write(writer, &batch, &error), ARROWPORT_INVALID);
  expect_said(error.text, "released");
  assert_int_equal(arrowport_writer_finish(writer, NULL), ARROWPORT_OK);
  arrowport_writer_close(writer);
  assert_int_equal(read_back(&output, &status), 20);
  assert_int_equal(status, ARROWPORT_OK);
}

static void a_failure_to_write_is_for_good(void **state) {
  (void)state;
  struct output output = {.fail_at = 2};
  struct arrowport_writer *writer = open_writer(&output, NULL);
  struct arrowport_error error;
  assert_int_equal(write_rows(writer, 0, 10, &error), ARROWPORT_IO);
  expect_said(error.text, "writing failed");
  assert_int_equal(write_rows(writer, 0, 10, &error), ARROWPORT_IO);
  assert_int_equal(arrowport_writer_finish(writer, &error), ARROWPORT_IO);
  assert_int_equal(output.calls, 2);
  arrowport_writer_close(writer);
  buffer_release(&output.bytes);

  struct output at_once = {.fail_at = 1};
  struct ArrowSchema schema = rows_schema();
  writer = (struct arrowport_writer *)&at_once; /* anything: it is set to NULL */
  assert_int_equal(arrowport_writer_open(&schema, write_output, &at_once, NULL, &writer, NULL),
                   ARROWPORT_IO);
  assert_null(writer);
  arrow_schema_release(&schema);
}

static void nothing_follows_the_end(void **state) {
  (void)state;
  struct output output = {.calls = 0};
  struct arrowport_writer *writer = open_writer(&output, NULL);
  assert_int_equal(arrowport_writer_finish(writer, NULL), ARROWPORT_OK);
  int64_t before = output.bytes.size_bytes;
  assert_int_equal(write_rows(writer, 0, 10, NULL), ARROWPORT_INVALID);
  assert_int_equal(arrowport_writer_finish(writer, NULL), ARROWPORT_INVALID);
  assert_int_equal(arrowport_writer_metadata(writer, NULL, NULL), ARROWPORT_INVALID);
  assert_int_equal(output.bytes.size_bytes, before);
  arrowport_writer_close(writer);
  buffer_release(&output.bytes);
}

static void memory_is_limited_and_a_smaller_batch_still_fits(void **state) {
  (void)state;
  struct arrowport_writer_options options = {.struct_size = SIZE, .memory_bytes_max = 10 * ROWS};
  struct output output = {.calls = 0};
  struct arrowport_writer *writer = open_writer(&output, &options);
  struct arrowport_error error;
  enum arrowport_status status;
  assert_int_equal(write_rows(writer, 0, ROWS / 2, &error), ARROWPORT_OK);
  int64_t before = output.bytes.size_bytes;
  assert_int_equal(write_rows(writer, ROWS / 2, 2 * ROWS, &error), ARROWPORT_BUDGET);
  expect_said(error.text, "memory limit");
  assert_int_equal(output.bytes.size_bytes, before);
  /* As large as may be, whatever room the one before it was given. */
  assert_int_equal(write_rows(writer, ROWS / 2, ROWS, &error), ARROWPORT_OK);
  assert_int_equal(arrowport_writer_finish(writer, NULL), ARROWPORT_OK);
  arrowport_writer_close(writer);
  assert_int_equal(read_back(&output, &status), ROWS / 2 + ROWS);
}

static void options_that_make_no_sense_are_refused(void **state) {
  (void)state;
  const struct arrowport_writer_options cases[] = {
      {.struct_size = 0},
      {.struct_size = SIZE, .format = (enum arrowport_ipc_format)2},
      {.struct_size = SIZE, .compression = (enum arrowport_compression)3},
      {.struct_size = SIZE, .compression = ARROWPORT_ZSTD, .level = 23},
      {.struct_size = SIZE, .compression = ARROWPORT_ZSTD, .level = -1},
      {.struct_size = SIZE, .compression = ARROWPORT_LZ4, .level = 13},
      {.struct_size = SIZE, .threads = -1},
      {.struct_size = SIZE, .memory_bytes_max = -1},
  };
  struct ArrowSchema schema = rows_schema();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct output output = {.calls = 0};
    struct arrowport_writer *writer = NULL;
    struct arrowport_error error;
    assert_int_equal(
        arrowport_writer_open(&schema, write_output, &output, &cases[i], &writer, &error),
        ARROWPORT_INVALID);
    assert_null(writer);
    assert_true(strlen(error.text) > 0);
    assert_int_equal(output.calls, 0);
  }
  arrow_schema_release(&schema);
}

static void what_is_null_or_no_schema_is_refused(void **state) {
  (void)state;
  struct output output = {.calls = 0};
  struct ArrowSchema schema = rows_schema();
  struct ArrowSchema column = *schema.children[0]; /* not a struct */
  struct ArrowSchema none = {.release = NULL};
  struct arrowport_writer *writer = NULL;
  const struct ArrowSchema *const schemas[] = {NULL, &none, &column};
  for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++)
    assert_int_equal(arrowport_writer_open(schemas[i], write_output, &output, NULL, &writer, NULL),
                     ARROWPORT_INVALID);
  assert_int_equal(arrowport_writer_open(&schema, NULL, NULL, NULL, &writer, NULL),
                   ARROWPORT_INVALID);
  assert_int_equal(arrowport_writer_open(&schema, write_output, &output, NULL, NULL, NULL),
                   ARROWPORT_INVALID);
  arrow_schema_release(&schema);
  assert_int_equal(arrowport_writer_write(NULL, NULL, NULL), ARROWPORT_INVALID);
  assert_int_equal(arrowport_writer_metadata(NULL, NULL, NULL), ARROWPORT_INVALID);
  assert_int_equal(arrowport_writer_finish(NULL, NULL), ARROWPORT_INVALID);
  arrowport_writer_close(NULL);
  writer = open_writer(&output, NULL);
  assert_int_equal(arrowport_writer_write(writer, NULL, NULL), ARROWPORT_INVALID);
  arrowport_writer_close(writer);
  buffer_release(&output.bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(streams_and_files_of_each_compression_are_read_back),
      cmocka_unit_test(compression_makes_less_of_it_and_more_so_at_a_higher_level),
      cmocka_unit_test(what_is_closed_before_its_end_is_no_whole_stream_and_no_file),
      cmocka_unit_test(metadata_travels_with_its_batch_alone),
      cmocka_unit_test(a_batch_of_another_schema_is_refused_and_nothing_is_written),
      cmocka_unit_test(a_failure_to_write_is_for_good),
      cmocka_unit_test(nothing_follows_the_end),
      cmocka_unit_test(memory_is_limited_and_a_smaller_batch_still_fits),
      cmocka_unit_test(options_that_make_no_sense_are_refused),
      cmocka_unit_test(what_is_null_or_no_schema_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
