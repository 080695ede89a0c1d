/* C streams of others as sources, and sources as C streams: the rows arrive, nonsense is
 * refused, and what was handed over is released exactly once. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/schema.h"
#include "source/rows.h"
#include "source/source.h"

enum { ROWS = 100 };

/* ---- somebody else's stream ------------------------------------------------------------------ */

/* What it does wrong. */
typedef void (*break_schema)(struct ArrowSchema *schema);
typedef void (*break_batch)(struct ArrowArray *batch);

struct foreign {
  int batches;
  int schema_code;
  int next_code; /* after all batches, instead of the end */
  break_schema break_schema;
  break_batch break_batch; /* the last one */
  bool says_nothing;
  int given;
  int released; /* batches */
  int schemas_given;
  int schemas_released;
  int calls; /* of get_next */
};

/* The children and strings are the test's, so that what is broken need not be put right. */
static struct ArrowSchema borrowed;
static struct ArrowSchema *borrowed_child;
static struct foreign *schema_owner;

static void release_schema(struct ArrowSchema *schema) {
  schema_owner->schemas_released++;
  schema->release = NULL;
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out) {
  struct foreign *foreign = stream->private_data;
  if (foreign->schema_code != 0) return foreign->schema_code;
  schema_owner = foreign;
  borrowed_child = borrowed.children[0];
  *out = borrowed;
  out->children = &borrowed_child;
  out->release = release_schema;
  if (foreign->break_schema != NULL) foreign->break_schema(out);
  foreign->schemas_given += out->release != NULL;
  return 0;
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out) {
  struct foreign *foreign = stream->private_data;
  foreign->calls++;
  out->release = NULL;
  if (foreign->given == foreign->batches) return foreign->next_code;
  *out = rows_batch((int64_t)foreign->given * ROWS, ROWS, &foreign->released);
  foreign->given++;
  if (foreign->break_batch != NULL && foreign->given == foreign->batches) foreign->break_batch(out);
  return 0;
}

static const char *get_last_error(struct ArrowArrayStream *stream) {
  const struct foreign *foreign = stream->private_data;
  return foreign->says_nothing ? NULL : "the cable is cut";
}

static void release(struct ArrowArrayStream *stream) { stream->release = NULL; }

static struct ArrowArrayStream open_stream(struct foreign *foreign) {
  return (struct ArrowArrayStream){.get_schema = get_schema,
                                   .get_next = get_next,
                                   .get_last_error = get_last_error,
                                   .release = release,
                                   .private_data = foreign};
}

static int make_schema(void **state) {
  (void)state;
  borrowed = rows_schema();
  return 0;
}

static int release_borrowed(void **state) {
  (void)state;
  arrow_schema_release(&borrowed);
  return 0;
}

/* Reads all; the number of batches that came before `*status`. */
static int drain(struct foreign *foreign, enum status *status, struct error *error) {
  struct ArrowArrayStream stream = open_stream(foreign);
  struct source *source = NULL;
  int batches = 0;
  *status = source_open_c_stream(&stream, &source, error);
  while (*status == STATUS_OK) {
    struct ArrowArray batch;
    *status = source_next(source, &batch, error);
    if (batch.release == NULL) break;
    assert_int_equal(*status, STATUS_OK);
    expect_rows(&batch, (int64_t)batches * ROWS, ROWS);
    batches++;
    arrow_array_release(&batch);
  }
  source_close(source);
  assert_int_equal(foreign->released, foreign->given);
  assert_int_equal(foreign->schemas_released, foreign->schemas_given);
  assert_int_equal(rows_budget.used_bytes, 0);
  return batches;
}

/* ---- in ---------------------------------------------------------------------------------------- */

static void the_batches_of_a_stream_arrive_and_each_is_released_once(void **state) {
  (void)state;
  struct foreign foreign = {.batches = 3};
  enum status status;
  assert_int_equal(drain(&foreign, &status, NULL), 3);
  assert_int_equal(status, STATUS_OK);
  assert_int_equal(foreign.released, 3);
}

static void a_failure_has_the_status_of_its_code_and_the_text_of_the_stream(void **state) {
  (void)state;
  static const struct {
    int code;
    enum status status;
  } codes[] = {{EINVAL, STATUS_INVALID},
               {ENOMEM, STATUS_NOMEM},
               {ENOSYS, STATUS_UNSUPPORTED},
               {EIO, STATUS_IO},
               {12345, STATUS_IO}};
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    struct error error = {0};
    enum status status;
    struct foreign at_schema = {.batches = 1, .schema_code = codes[i].code};
    assert_int_equal(drain(&at_schema, &status, &error), 0);
    assert_int_equal(status, codes[i].status);
    expect_said(error.text, "the cable is cut");
    struct foreign later = {.batches = 2, .next_code = codes[i].code};
    assert_int_equal(drain(&later, &status, &error), 2);
    assert_int_equal(status, codes[i].status);
    expect_said(error.text, "the cable is cut");
  }
  struct foreign silent = {.next_code = ENOSPC, .says_nothing = true};
  struct error error = {0};
  enum status status;
  drain(&silent, &status, &error);
  expect_said(error.text, strerror(ENOSPC));
}

static void a_stream_is_not_asked_again_after_its_end_or_failure(void **state) {
  (void)state;
  for (int code = 0; code <= EIO; code += EIO) {
    struct foreign foreign = {.batches = 1, .next_code = code};
    struct ArrowArrayStream stream = open_stream(&foreign);
    struct source *source = NULL;
    struct ArrowArray batch;
    struct error error = {0};
    assert_int_equal(source_open_c_stream(&stream, &source, NULL), STATUS_OK);
    assert_int_equal(source_next(source, &batch, NULL), STATUS_OK);
    arrow_array_release(&batch);
    for (int i = 0; i < 3; i++) {
      assert_int_equal(source_next(source, &batch, &error), code == 0 ? STATUS_OK : STATUS_IO);
      assert_null(batch.release);
      if (code != 0) expect_said(error.text, "the cable is cut");
    }
    assert_int_equal(foreign.calls, 2);
    source_close(source);
  }
}

static void without_release(struct ArrowSchema *schema) { schema->release = NULL; }
static void without_format(struct ArrowSchema *schema) { schema->format = NULL; }
static void of_no_type(struct ArrowSchema *schema) { schema->format = "what?"; }
static void of_a_column(struct ArrowSchema *schema) {
  schema->format = "l";
  schema->n_children = 0;
}
static void without_list(struct ArrowSchema *schema) { schema->children = NULL; }
static void without_child(struct ArrowSchema *schema) { schema->children[0] = NULL; }
static void of_many_children(struct ArrowSchema *schema) { schema->n_children = INT64_MAX; }
static void of_fewer_than_none(struct ArrowSchema *schema) { schema->n_children = -1; }
static void within_itself(struct ArrowSchema *schema) {
  static struct ArrowSchema round;
  static struct ArrowSchema *around = &round;
  round = *schema;
  round.children = &around;
  schema->children[0] = &round;
}

static void a_schema_that_is_none_is_refused_and_released(void **state) {
  (void)state;
  static const struct {
    break_schema how;
    const char *said;
  } cases[] = {
      {without_release, "holds nothing"},
      {without_format, "holds nothing"},
      {of_no_type, "what?"},
      {of_a_column, "has a struct"},
      {without_list, "list of children"},
      {without_child, "holds nothing"},
      {of_many_children, "children"},
      {of_fewer_than_none, "children"},
      {within_itself, "nested deeper"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct foreign foreign = {.batches = 1, .break_schema = cases[i].how};
    struct error error = {0};
    enum status status;
    assert_int_equal(drain(&foreign, &status, &error), 0);
    assert_int_equal(status, STATUS_INVALID);
    expect_said(error.text, cases[i].said);
    assert_int_equal(foreign.given, 0);
  }
}

static void of_no_children(struct ArrowArray *batch) { batch->n_children = 0; }
static void of_no_buffers(struct ArrowArray *batch) { batch->n_buffers = 0; }
static void of_negative_length(struct ArrowArray *batch) { batch->length = -1; }
static void longer_than_its_column(struct ArrowArray *batch) { batch->length = ROWS + 1; }
static void with_a_dictionary(struct ArrowArray *batch) { batch->dictionary = batch; }
static void of_null_rows(struct ArrowArray *batch) {
  static const uint8_t bits[(ROWS + 7) / 8] = {0xFE};
  static const void *buffers[1] = {bits};
  batch->buffers = buffers;
  batch->null_count = -1;
}

static void a_batch_that_is_none_is_refused_and_released(void **state) {
  (void)state;
  static const break_batch cases[] = {of_no_children,         of_no_buffers,     of_negative_length,
                                      longer_than_its_column, with_a_dictionary, of_null_rows};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct foreign foreign = {.batches = 2, .break_batch = cases[i]};
    struct error error = {0};
    enum status status;
    assert_int_equal(drain(&foreign, &status, &error), 1);
    assert_int_equal(status, STATUS_INVALID);
    expect_said(error.text, "the stream gave a batch that is none");
    assert_int_equal(foreign.released, 2);
  }
}

/* A bitmap that says that all rows are there is none to worry about. */
static void of_counted_rows(struct ArrowArray *batch) {
  static uint8_t bits[(ROWS + 7) / 8];
  static const void *buffers[1] = {bits};
  memset(bits, 0xFF, sizeof bits);
  batch->buffers = buffers;
  batch->null_count = -1;
}

static void rows_that_a_bitmap_says_are_there_are_taken(void **state) {
  (void)state;
  struct foreign foreign = {.batches = 2, .break_batch = of_counted_rows};
  enum status status;
  assert_int_equal(drain(&foreign, &status, NULL), 2);
  assert_int_equal(status, STATUS_OK);
}

static void a_stream_that_was_released_is_refused(void **state) {
  (void)state;
  struct ArrowArrayStream stream = {.release = NULL};
  struct source *source = NULL;
  struct error error = {0};
  assert_int_equal(source_open_c_stream(&stream, &source, &error), STATUS_INVALID);
  assert_null(source);
  expect_said(error.text, "released");
}

/* ---- out --------------------------------------------------------------------------------------- */

static struct ArrowArrayStream exported(struct buffer bytes, struct budget *budget) {
  struct source_options options = SOURCE_OPTIONS_DEFAULT(budget);
  struct source *source = NULL;
  struct ArrowArrayStream stream;
  assert_int_equal(source_open_buffer(bytes, &options, &source, NULL), STATUS_OK);
  source_export(source, &stream);
  return stream;
}

static void a_source_is_read_as_a_c_stream(void **state) {
  (void)state;
  struct ArrowArrayStream stream = exported(rows_written(3, ROWS, NULL), &rows_budget);
  struct ArrowSchema first;
  struct ArrowSchema second;
  struct ArrowArray batch;
  assert_int_equal(stream.get_schema(&stream, &first), 0);
  assert_int_equal(stream.get_schema(&stream, &second), 0);
  assert_true(arrow_schema_equal(&first, &second, NULL));
  assert_string_equal(first.children[0]->name, "id");
  arrow_schema_release(&first); /* each is a copy */
  arrow_schema_release(&second);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(stream.get_next(&stream, &batch), 0);
    expect_rows(&batch, (int64_t)i * ROWS, ROWS);
    arrow_array_release(&batch);
  }
  for (int i = 0; i < 3; i++) {
    batch.release = (void (*)(struct ArrowArray *))1; /* as memory may have it */
    assert_int_equal(stream.get_next(&stream, &batch), 0);
    assert_null(batch.release);
  }
  assert_null(stream.get_last_error(&stream));
  stream.release(&stream);
  assert_null(stream.release);
  assert_int_equal(rows_budget.used_bytes, 0);
}

static void a_batch_outlives_the_c_stream_that_gave_it(void **state) {
  (void)state;
  struct ArrowArrayStream stream = exported(rows_written(1, ROWS, NULL), &rows_budget);
  struct ArrowArray batch;
  assert_int_equal(stream.get_next(&stream, &batch), 0);
  stream.release(&stream);
  expect_rows(&batch, 0, ROWS);
  arrow_array_release(&batch);
  assert_int_equal(rows_budget.used_bytes, 0);
}

static void a_failure_is_a_code_and_a_text_and_stays(void **state) {
  (void)state;
  struct buffer bytes = rows_written(2, ROWS, NULL);
  bytes.size_bytes -= 64; /* the end and some of the last batch */
  struct ArrowArrayStream stream = exported(bytes, &rows_budget);
  struct ArrowSchema schema;
  struct ArrowArray batch;
  assert_int_equal(stream.get_next(&stream, &batch), 0);
  arrow_array_release(&batch);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(stream.get_next(&stream, &batch), EINVAL);
    assert_null(batch.release);
    expect_said(stream.get_last_error(&stream), "truncated");
    assert_int_equal(stream.get_schema(&stream, &schema), 0); /* which does not mend it */
    arrow_schema_release(&schema);
  }
  stream.release(&stream);
}

static void lack_of_memory_is_not_for_good(void **state) {
  (void)state;
  struct budget little = {.limit_bytes = 0};
  struct ipc_writer_options options = {.compression = IPC_COMPRESSION_ZSTD};
  struct ArrowArrayStream stream = exported(rows_written(1, 10000, &options), &little);
  struct ArrowArray batch;
  assert_int_equal(stream.get_next(&stream, &batch), ENOMEM);
  expect_said(stream.get_last_error(&stream), "memory limit");
  little.limit_bytes = 1 << 20;
  assert_int_equal(stream.get_next(&stream, &batch), 0);
  expect_rows(&batch, 0, 10000);
  assert_null(stream.get_last_error(&stream));
  arrow_array_release(&batch);
  stream.release(&stream);
  assert_int_equal(little.used_bytes, 0);
}

static void a_c_stream_passes_through(void **state) {
  (void)state;
  struct foreign foreign = {.batches = 2, .next_code = ENOSYS};
  struct ArrowArrayStream in = open_stream(&foreign);
  struct ArrowArrayStream out;
  struct source *source = NULL;
  struct ArrowArray batch;
  assert_int_equal(source_open_c_stream(&in, &source, NULL), STATUS_OK);
  source_export(source, &out);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(out.get_next(&out, &batch), 0);
    arrow_array_release(&batch);
  }
  assert_int_equal(out.get_next(&out, &batch), ENOSYS);
  expect_said(out.get_last_error(&out), "the cable is cut");
  out.release(&out);
  assert_int_equal(foreign.released, 2);
  assert_int_equal(foreign.schemas_released, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_batches_of_a_stream_arrive_and_each_is_released_once),
      cmocka_unit_test(a_failure_has_the_status_of_its_code_and_the_text_of_the_stream),
      cmocka_unit_test(a_stream_is_not_asked_again_after_its_end_or_failure),
      cmocka_unit_test(a_schema_that_is_none_is_refused_and_released),
      cmocka_unit_test(a_batch_that_is_none_is_refused_and_released),
      cmocka_unit_test(rows_that_a_bitmap_says_are_there_are_taken),
      cmocka_unit_test(a_stream_that_was_released_is_refused),
      cmocka_unit_test(a_source_is_read_as_a_c_stream),
      cmocka_unit_test(a_batch_outlives_the_c_stream_that_gave_it),
      cmocka_unit_test(a_failure_is_a_code_and_a_text_and_stays),
      cmocka_unit_test(lack_of_memory_is_not_for_good),
      cmocka_unit_test(a_c_stream_passes_through),
  };
  return cmocka_run_group_tests(tests, make_schema, release_borrowed);
}
