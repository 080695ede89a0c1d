/* Readers of the public API: what they read and refuse, and that what they gave away lives on
 * without them. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "arrow/schema.h"
#include "arrowport/ipc.h"
#include "source/rows.h"

enum { ROWS = 10000 };

static const struct ipc_writer_options zstd = {.compression = IPC_COMPRESSION_ZSTD};

/* ---- where bytes come from ------------------------------------------------------------------- */

struct input {
  struct buffer bytes;
  int64_t at;
  int64_t piece_bytes; /* a call; 0: as many as it asks for */
  int64_t fail_at;     /* 0: never */
  int64_t lie_bytes;   /* too many, which it says it has read */
};

static int64_t read_input(void *context, void *data, int64_t bytes) {
  struct input *input = context;
  if (input->fail_at > 0 && input->at >= input->fail_at) return -1;
  int64_t left = input->bytes.size_bytes - input->at;
  if (input->piece_bytes > 0 && bytes > input->piece_bytes) bytes = input->piece_bytes;
  if (bytes > left) bytes = left;
  memcpy(data, input->bytes.data + input->at, (size_t)bytes);
  input->at += bytes;
  return bytes + input->lie_bytes;
}

/* Reads all, and closes; the number of rows before the failure that `*status` is. */
static int64_t drain(struct arrowport_reader *reader, enum arrowport_status *status,
                     struct arrowport_error *error) {
  int64_t rows = 0;
  while (*status == ARROWPORT_OK) {
    struct ArrowArray batch;
    *status = arrowport_reader_next(reader, &batch, error);
    if (batch.release == NULL) break;
    expect_rows(&batch, rows, batch.length);
    rows += batch.length;
    arrow_array_release(&batch);
  }
  arrowport_reader_close(reader);
  return rows;
}

static int64_t read_all(struct input *input, const struct arrowport_reader_options *options,
                        enum arrowport_status *status, struct arrowport_error *error) {
  struct arrowport_reader *reader = NULL;
  *status = arrowport_reader_open(read_input, input, options, &reader, error);
  return drain(reader, status, error);
}

static void release_bytes(void *context) { buffer_release(context); }

static struct arrowport_reader *open_memory(struct buffer *bytes,
                                            const struct arrowport_reader_options *options) {
  struct arrowport_reader *reader = NULL;
  struct arrowport_error error;
  if (arrowport_reader_open_memory(bytes->data, bytes->size_bytes, release_bytes, bytes, options,
                                   &reader, &error) != ARROWPORT_OK)
    fail_msg("%s", error.text);
  return reader;
}

/* ---- the same rows, from wherever -------------------------------------------------------------- */

static void a_stream_is_read_through_a_callback_in_pieces_of_any_size(void **state) {
  (void)state;
  static const int64_t pieces[] = {1, 7, 4096, 0};
  for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
    struct input input = {.bytes = rows_written(3, 1000, &zstd), .piece_bytes = pieces[i]};
    struct arrowport_error error;
    enum arrowport_status status;
    assert_int_equal(read_all(&input, NULL, &status, &error), 3000);
    assert_int_equal(status, ARROWPORT_OK);
    assert_string_equal(error.text, "");
    buffer_release(&input.bytes);
  }
}

static void streams_and_files_are_read_from_memory(void **state) {
  (void)state;
  for (int format = IPC_FORMAT_STREAM; format <= IPC_FORMAT_FILE; format++) {
    struct ipc_writer_options options = {.format = (enum ipc_format)format};
    struct buffer bytes = rows_written(3, ROWS, &options);
    enum arrowport_status status = ARROWPORT_OK;
    assert_int_equal(drain(open_memory(&bytes, NULL), &status, NULL), 3 * ROWS);
    assert_int_equal(status, ARROWPORT_OK);
    assert_null(bytes.data); /* it was let go of */
  }
}

static void batches_point_into_the_memory_that_was_given(void **state) {
  (void)state;
  struct buffer bytes = rows_written(1, ROWS, NULL);
  const uint8_t *begin = bytes.data;
  const uint8_t *end = bytes.data + bytes.size_bytes;
  struct arrowport_reader_options options = {.struct_size = sizeof options, .memory_bytes_max = 1};
  struct arrowport_reader *reader = open_memory(&bytes, &options);
  struct ArrowArray batch;
  assert_int_equal(arrowport_reader_next(reader, &batch, NULL), ARROWPORT_OK);
  const uint8_t *values = batch.children[0]->buffers[1];
  assert_true(values >= begin && values < end);
  arrowport_reader_close(reader);
  arrow_array_release(&batch);
}

static void memory_that_is_not_aligned_is_read_too(void **state) {
  (void)state;
  struct buffer bytes = rows_written(2, ROWS, NULL);
  uint8_t *shifted = malloc((size_t)bytes.size_bytes + 8);
  assert_non_null(shifted);
  for (int shift = 1; shift < 8; shift++) {
    struct arrowport_reader *reader = NULL;
    memcpy(shifted + shift, bytes.data, (size_t)bytes.size_bytes);
    enum arrowport_status status = arrowport_reader_open_memory(shifted + shift, bytes.size_bytes,
                                                                NULL, NULL, NULL, &reader, NULL);
    assert_int_equal(drain(reader, &status, NULL), 2 * ROWS);
    assert_int_equal(status, ARROWPORT_OK);
  }
  free(shifted);
  buffer_release(&bytes);
}

static void a_path_is_read_as_what_it_holds(void **state) {
  (void)state;
  for (int format = IPC_FORMAT_STREAM; format <= IPC_FORMAT_FILE; format++) {
    char path[] = "/tmp/arrowport-reader-XXXXXX";
    struct ipc_writer_options options = {.format = (enum ipc_format)format};
    struct buffer bytes = rows_written(2, ROWS, &options);
    struct arrowport_reader *reader = NULL;
    int file = mkstemp(path);
    assert_int_equal(write(file, bytes.data, (size_t)bytes.size_bytes), bytes.size_bytes);
    close(file);
    buffer_release(&bytes);
    enum arrowport_status status = arrowport_reader_open_path(path, NULL, &reader, NULL);
    assert_int_equal(drain(reader, &status, NULL), 2 * ROWS);
    assert_int_equal(status, ARROWPORT_OK);
    assert_int_equal(unlink(path), 0);
  }
}

static void large_compressed_bodies_are_the_same_on_one_thread_and_on_several(void **state) {
  (void)state;
  enum { MANY_ROWS = 400000 };
  for (int threads = 0; threads <= 40; threads = threads == 3 ? 40 : threads + 1) {
    struct arrowport_reader_options options = {.struct_size = sizeof options, .threads = threads};
    struct buffer bytes = rows_written(2, MANY_ROWS, &zstd);
    enum arrowport_status status = ARROWPORT_OK;
    assert_int_equal(drain(open_memory(&bytes, &options), &status, NULL), 2 * MANY_ROWS);
    assert_int_equal(status, ARROWPORT_OK);
  }
}

static void the_schema_is_a_copy_for_each_who_asks(void **state) {
  (void)state;
  struct buffer bytes = rows_written(0, 1, NULL);
  struct arrowport_reader *reader = open_memory(&bytes, NULL);
  struct ArrowSchema first;
  struct ArrowSchema second;
  assert_int_equal(arrowport_reader_schema(reader, &first, NULL), ARROWPORT_OK);
  assert_int_equal(arrowport_reader_schema(reader, &second, NULL), ARROWPORT_OK);
  arrowport_reader_close(reader);
  assert_true(arrow_schema_equal(&first, &second, NULL));
  arrow_schema_release(&first);
  assert_string_equal(second.children[0]->format, "l");
  arrow_schema_release(&second);
}

/* ---- lives ------------------------------------------------------------------------------------- */

static void *release_batch(void *context) {
  struct ArrowArray *batch = context;
  expect_rows(batch, 0, ROWS);
  arrow_array_release(batch);
  return NULL;
}

/* Expanded batches are charged to the reader's budget, which must be there to take it back. */
static void a_batch_is_released_after_its_reader_and_on_another_thread(void **state) {
  (void)state;
  for (int round = 0; round < 3; round++) {
    struct buffer bytes = rows_written(1, ROWS, &zstd);
    struct arrowport_reader *reader = open_memory(&bytes, NULL);
    struct ArrowArray batch;
    pthread_t thread;
    assert_int_equal(arrowport_reader_next(reader, &batch, NULL), ARROWPORT_OK);
    arrowport_reader_close(reader);
    assert_int_equal(pthread_create(&thread, NULL, release_batch, &batch), 0);
    pthread_join(thread, NULL);
  }
}

/* "Moving child arrays": the parent is released, the child lives. */
static void a_column_outlives_its_batch_and_its_reader(void **state) {
  (void)state;
  struct buffer bytes = rows_written(1, ROWS, &zstd);
  struct arrowport_reader *reader = open_memory(&bytes, NULL);
  struct ArrowArray batch;
  struct ArrowArray column;
  assert_int_equal(arrowport_reader_next(reader, &batch, NULL), ARROWPORT_OK);
  arrow_array_move(batch.children[0], &column);
  arrow_array_release(&batch);
  arrowport_reader_close(reader);
  assert_int_equal(((const int64_t *)column.buffers[1])[ROWS - 1], ROWS - 1);
  arrow_array_release(&column);
}

/* As the memory of a reader is looked at when another is closed, in whatever order. */
static void many_readers_are_gone_before_their_batches(void **state) {
  (void)state;
  enum { READERS = 50 };
  struct ArrowArray batches[READERS];
  for (int i = 0; i < READERS; i++) {
    struct buffer bytes = rows_written(1, 100, &zstd);
    struct arrowport_reader *reader = open_memory(&bytes, NULL);
    assert_int_equal(arrowport_reader_next(reader, &batches[i], NULL), ARROWPORT_OK);
    arrowport_reader_close(reader);
    if (i % 3 == 0) arrow_array_release(&batches[i / 2]);
  }
  for (int i = 0; i < READERS; i++) arrow_array_release(&batches[i]);
  for (int i = 0; i < READERS; i++) {
    struct buffer bytes = rows_written(0, 1, NULL);
    arrowport_reader_close(open_memory(&bytes, NULL));
  }
}

static void count(void *context) { (*(int *)context)++; }

static void memory_is_let_go_of_once_and_after_the_last_batch(void **state) {
  (void)state;
  int released = 0;
  struct buffer bytes = rows_written(2, ROWS, NULL);
  struct arrowport_reader *reader = NULL;
  struct ArrowArray batches[2];
  assert_int_equal(arrowport_reader_open_memory(bytes.data, bytes.size_bytes, count, &released,
                                                NULL, &reader, NULL),
                   ARROWPORT_OK);
  for (int i = 0; i < 2; i++)
    assert_int_equal(arrowport_reader_next(reader, &batches[i], NULL), ARROWPORT_OK);
  arrow_array_release(&batches[0]);
  arrowport_reader_close(reader);
  assert_int_equal(released, 0);
  arrow_array_release(&batches[1]);
  assert_int_equal(released, 1);
  buffer_release(&bytes);
}

static void memory_is_let_go_of_when_it_cannot_be_opened(void **state) {
  (void)state;
  static const char text[] = "id,name\n1,one\n";
  struct arrowport_reader *reader = NULL;
  struct arrowport_reader_options sizeless = {.struct_size = 0};
  const struct {
    const void *data;
    int64_t bytes;
    const struct arrowport_reader_options *options;
    struct arrowport_reader **reader;
  } cases[] = {{text, sizeof text, NULL, &reader},
               {text, 0, NULL, &reader},
               {NULL, 5, NULL, &reader},
               {NULL, 0, NULL, &reader},
               {text, -1, NULL, &reader},
               {text, sizeof text, &sizeless, &reader},
               {text, sizeof text, NULL, NULL},
               {"ARROW1", 6, NULL, &reader},
               {"ARROW1\0\0ARROW1", 14, NULL, &reader}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int released = 0;
    struct arrowport_error error;
    assert_int_equal(arrowport_reader_open_memory(cases[i].data, cases[i].bytes, count, &released,
                                                  cases[i].options, cases[i].reader, &error),
                     ARROWPORT_INVALID);
    assert_int_equal(released, 1);
    assert_null(reader);
    assert_true(strlen(error.text) > 0);
  }
}

static void what_is_left_is_exported_and_the_reader_goes_with_it(void **state) {
  (void)state;
  int released = 0;
  struct buffer bytes = rows_written(3, ROWS, NULL);
  struct arrowport_reader *reader = NULL;
  struct ArrowArray batch;
  struct ArrowArrayStream stream;
  assert_int_equal(arrowport_reader_open_memory(bytes.data, bytes.size_bytes, count, &released,
                                                NULL, &reader, NULL),
                   ARROWPORT_OK);
  assert_int_equal(arrowport_reader_next(reader, &batch, NULL), ARROWPORT_OK);
  arrow_array_release(&batch);
  assert_int_equal(arrowport_reader_export(reader, &stream, NULL), ARROWPORT_OK);
  for (int i = 1; i < 3; i++) {
    assert_int_equal(stream.get_next(&stream, &batch), 0);
    expect_rows(&batch, (int64_t)i * ROWS, ROWS);
    arrow_array_release(&batch);
  }
  stream.release(&stream);
  assert_int_equal(released, 1);
  buffer_release(&bytes);
}

/* ---- limits ------------------------------------------------------------------------------------ */

static void memory_is_limited_and_the_call_may_be_repeated(void **state) {
  (void)state;
  struct arrowport_reader_options options = {.struct_size = sizeof options,
                                             .memory_bytes_max = 12 * ROWS};
  struct buffer bytes = rows_written(3, ROWS, &zstd);
  struct arrowport_reader *reader = open_memory(&bytes, &options);
  struct ArrowArray first;
  struct ArrowArray second;
  struct arrowport_error error;
  assert_int_equal(arrowport_reader_next(reader, &first, &error), ARROWPORT_OK);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(arrowport_reader_next(reader, &second, &error), ARROWPORT_BUDGET);
    assert_null(second.release);
    expect_said(error.text, "memory limit");
  }
  arrow_array_release(&first);
  assert_int_equal(arrowport_reader_next(reader, &second, &error), ARROWPORT_OK);
  expect_rows(&second, ROWS, ROWS); /* none was lost */
  arrowport_reader_close(reader);
  arrow_array_release(&second);
}

/* A reader that has got half a message when there is no more room. */
static void a_stream_goes_on_where_memory_ended(void **state) {
  (void)state;
  struct arrowport_reader_options options = {.struct_size = sizeof options,
                                             .memory_bytes_max = 15 * ROWS};
  struct input input = {.bytes = rows_written(6, ROWS, NULL), .piece_bytes = 1000};
  struct arrowport_reader *reader = NULL;
  struct ArrowArray kept = {.release = NULL};
  int refused = 0;
  assert_int_equal(arrowport_reader_open(read_input, &input, &options, &reader, NULL),
                   ARROWPORT_OK);
  for (int64_t rows = 0; rows < 6 * ROWS;) {
    struct ArrowArray batch;
    enum arrowport_status status = arrowport_reader_next(reader, &batch, NULL);
    if (status == ARROWPORT_BUDGET) {
      refused++;
      assert_non_null(kept.release);
      arrow_array_release(&kept);
      continue;
    }
    assert_int_equal(status, ARROWPORT_OK);
    expect_rows(&batch, rows, ROWS);
    rows += ROWS;
    if (kept.release == NULL)
      kept = batch;
    else
      arrow_array_release(&batch);
  }
  assert_true(refused > 0);
  arrow_array_release(&kept);
  arrowport_reader_close(reader);
  buffer_release(&input.bytes);
}

/* A first message that is too large is taken for a sign that this is something else. */
static void each_limit_refuses_what_passes_it(void **state) {
  (void)state;
  enum { SIZE = sizeof(struct arrowport_reader_options) };
  const struct {
    struct arrowport_reader_options options;
    enum arrowport_status status;
    const char *said;
  } cases[] = {
      {{.struct_size = SIZE, .metadata_bytes_max = 64}, ARROWPORT_INVALID, "at most 64"},
      {{.struct_size = SIZE, .body_bytes_max = 64}, ARROWPORT_TOO_LARGE, "at most 64"},
      {{.struct_size = SIZE, .decoded_bytes_max = 1000}, ARROWPORT_TOO_LARGE, "1000"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct input input = {.bytes = rows_written(1, ROWS, &zstd)};
    struct arrowport_error error;
    enum arrowport_status status;
    assert_int_equal(read_all(&input, &cases[i].options, &status, &error), 0);
    assert_int_equal(status, cases[i].status);
    expect_said(error.text, cases[i].said);
    buffer_release(&input.bytes);
  }
}

/* ---- what is wrong ------------------------------------------------------------------------------ */

static void a_stream_that_was_cut_is_invalid_and_stays_so(void **state) {
  (void)state;
  struct buffer bytes = rows_written(2, ROWS, NULL);
  bytes.size_bytes -= 100;
  struct arrowport_reader *reader = open_memory(&bytes, NULL);
  struct ArrowArray batch;
  struct arrowport_error error;
  assert_int_equal(arrowport_reader_next(reader, &batch, &error), ARROWPORT_OK);
  arrow_array_release(&batch);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(arrowport_reader_next(reader, &batch, &error), ARROWPORT_INVALID);
    assert_null(batch.release);
    expect_said(error.text, "truncated");
  }
  arrowport_reader_close(reader);
}

static void the_end_of_stream_marker_is_optional_for_who_says_so(void **state) {
  (void)state;
  for (int optional = 0; optional < 2; optional++) {
    for (int from_memory = 0; from_memory < 2; from_memory++) {
      struct arrowport_reader_options options = {.struct_size = sizeof options,
                                                 .eos_optional = optional};
      struct input input = {.bytes = rows_written(1, 10, NULL)};
      enum arrowport_status status = ARROWPORT_OK;
      int64_t rows = 0;
      /* Messages end at multiples of 64 bytes, the marker has 8. */
      while (input.bytes.size_bytes % 64 != 0) input.bytes.size_bytes -= 8;
      if (from_memory != 0)
        rows = drain(open_memory(&input.bytes, &options), &status, NULL);
      else
        rows = read_all(&input, &options, &status, NULL);
      assert_int_equal(rows, 10);
      assert_int_equal(status, optional != 0 ? ARROWPORT_OK : ARROWPORT_INVALID);
      buffer_release(&input.bytes);
    }
  }
}

static void reading_that_fails_is_an_io_error(void **state) {
  (void)state;
  struct arrowport_error error;
  enum arrowport_status status;
  struct input failing = {.bytes = rows_written(2, ROWS, NULL), .piece_bytes = 100, .fail_at = 50};
  assert_int_equal(read_all(&failing, NULL, &status, &error), 0);
  assert_int_equal(status, ARROWPORT_IO);
  struct input later = {.bytes = failing.bytes, .piece_bytes = 1000, .fail_at = 10 * ROWS};
  assert_int_equal(read_all(&later, NULL, &status, &error), ROWS);
  assert_int_equal(status, ARROWPORT_IO);
  struct input lying = {.bytes = failing.bytes, .lie_bytes = 1};
  assert_int_equal(read_all(&lying, NULL, &status, &error), 0);
  assert_int_equal(status, ARROWPORT_IO);
  expect_said(error.text, "at most");
  buffer_release(&failing.bytes);
}

static void a_path_that_cannot_be_read_is_named(void **state) {
  (void)state;
  struct arrowport_reader *reader = NULL;
  struct arrowport_error error;
  assert_int_equal(arrowport_reader_open_path("/nonexistent/a.arrow", NULL, &reader, &error),
                   ARROWPORT_NOT_FOUND);
  expect_said(error.text, "/nonexistent/a.arrow");
  assert_int_equal(arrowport_reader_open_path("/tmp", NULL, &reader, &error), ARROWPORT_IO);
  expect_said(error.text, "directory");
  assert_int_equal(arrowport_reader_open_path("/dev/null", NULL, &reader, &error),
                   ARROWPORT_INVALID);
  expect_said(error.text, "'/dev/null'");
  expect_said(error.text, "empty");
}

static void what_is_null_is_refused(void **state) {
  (void)state;
  struct input input = {.bytes = rows_written(1, 10, NULL)};
  struct arrowport_reader *reader = NULL;
  struct ArrowSchema schema;
  struct ArrowArray batch;
  struct ArrowArrayStream stream;
  struct arrowport_error error;
  assert_int_equal(arrowport_reader_open(NULL, NULL, NULL, &reader, &error), ARROWPORT_INVALID);
  expect_said(error.text, "read is NULL");
  assert_int_equal(arrowport_reader_open(read_input, &input, NULL, NULL, NULL), ARROWPORT_INVALID);
  assert_int_equal(arrowport_reader_open_path(NULL, NULL, &reader, NULL), ARROWPORT_INVALID);
  assert_int_equal(arrowport_reader_open_path("-", NULL, NULL, NULL), ARROWPORT_INVALID);
  assert_int_equal(arrowport_reader_schema(NULL, &schema, NULL), ARROWPORT_INVALID);
  assert_int_equal(arrowport_reader_next(NULL, &batch, NULL), ARROWPORT_INVALID);
  assert_int_equal(arrowport_reader_export(NULL, &stream, NULL), ARROWPORT_INVALID);
  assert_null(arrowport_reader_metadata(NULL));
  arrowport_reader_close(NULL);
  reader = open_memory(&input.bytes, NULL);
  assert_int_equal(arrowport_reader_schema(reader, NULL, NULL), ARROWPORT_INVALID);
  assert_int_equal(arrowport_reader_next(reader, NULL, NULL), ARROWPORT_INVALID);
  assert_int_equal(arrowport_reader_export(reader, NULL, NULL), ARROWPORT_INVALID);
  assert_int_equal(arrowport_reader_next(reader, &batch, NULL), ARROWPORT_OK); /* none harmed it */
  arrow_array_release(&batch);
  arrowport_reader_close(reader);
}

/* ---- options of other versions -------------------------------------------------------------------- */

static void options_of_an_earlier_header_are_completed_with_defaults(void **state) {
  (void)state;
  struct arrowport_reader_options options;
  memset(&options, 0xFF, sizeof options); /* what lies behind is not the caller's */
  options.struct_size = offsetof(struct arrowport_reader_options, metadata_bytes_max);
  options.memory_bytes_max = 1 << 20;
  struct input input = {.bytes = rows_written(1, 10, NULL)};
  enum arrowport_status status;
  assert_int_equal(read_all(&input, &options, &status, NULL), 10);
  assert_int_equal(status, ARROWPORT_OK);
  buffer_release(&input.bytes);
}

static void options_of_a_later_header_are_taken_while_nothing_new_is_set(void **state) {
  (void)state;
  struct {
    struct arrowport_reader_options known;
    int64_t news;
  } options = {.known = {.struct_size = sizeof options}};
  struct input input = {.bytes = rows_written(1, 10, NULL)};
  struct arrowport_error error;
  enum arrowport_status status;
  assert_int_equal(read_all(&input, &options.known, &status, NULL), 10);
  options.news = 1;
  input.at = 0;
  read_all(&input, &options.known, &status, &error);
  assert_int_equal(status, ARROWPORT_UNSUPPORTED);
  expect_said(error.text, "does not know");
  buffer_release(&input.bytes);
}

static void options_that_make_no_sense_are_refused(void **state) {
  (void)state;
  const struct arrowport_reader_options cases[] = {
      {.struct_size = 0},
      {.struct_size = 1},
      {.struct_size = sizeof cases[0], .memory_bytes_max = -1},
      {.struct_size = sizeof cases[0], .metadata_bytes_max = -1},
      {.struct_size = sizeof cases[0], .body_bytes_max = -1},
      {.struct_size = sizeof cases[0], .decoded_bytes_max = -1},
      {.struct_size = sizeof cases[0], .threads = -1},
  };
  struct input input = {.bytes = rows_written(1, 10, NULL)};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    enum arrowport_status status;
    read_all(&input, &cases[i], &status, NULL);
    assert_int_equal(status, ARROWPORT_INVALID);
  }
  assert_int_equal(input.at, 0); /* nothing was read for them */
  buffer_release(&input.bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_stream_is_read_through_a_callback_in_pieces_of_any_size),
      cmocka_unit_test(streams_and_files_are_read_from_memory),
      cmocka_unit_test(batches_point_into_the_memory_that_was_given),
      cmocka_unit_test(memory_that_is_not_aligned_is_read_too),
      cmocka_unit_test(a_path_is_read_as_what_it_holds),
      cmocka_unit_test(large_compressed_bodies_are_the_same_on_one_thread_and_on_several),
      cmocka_unit_test(the_schema_is_a_copy_for_each_who_asks),
      cmocka_unit_test(a_batch_is_released_after_its_reader_and_on_another_thread),
      cmocka_unit_test(a_column_outlives_its_batch_and_its_reader),
      cmocka_unit_test(many_readers_are_gone_before_their_batches),
      cmocka_unit_test(memory_is_let_go_of_once_and_after_the_last_batch),
      cmocka_unit_test(memory_is_let_go_of_when_it_cannot_be_opened),
      cmocka_unit_test(what_is_left_is_exported_and_the_reader_goes_with_it),
      cmocka_unit_test(memory_is_limited_and_the_call_may_be_repeated),
      cmocka_unit_test(a_stream_goes_on_where_memory_ended),
      cmocka_unit_test(each_limit_refuses_what_passes_it),
      cmocka_unit_test(a_stream_that_was_cut_is_invalid_and_stays_so),
      cmocka_unit_test(the_end_of_stream_marker_is_optional_for_who_says_so),
      cmocka_unit_test(reading_that_fails_is_an_io_error),
      cmocka_unit_test(a_path_that_cannot_be_read_is_named),
      cmocka_unit_test(what_is_null_is_refused),
      cmocka_unit_test(options_of_an_earlier_header_are_completed_with_defaults),
      cmocka_unit_test(options_of_a_later_header_are_taken_while_nothing_new_is_set),
      cmocka_unit_test(options_that_make_no_sense_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
