/* Arrow files and streams as sources: the same rows from both, and what is wrong said
 * with its place. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "arrow/array_walk.h"
#include "arrow/ipc.h"
#include "base/clock.h"
#include "source/rows.h"
#include "source/source.h"

static const char flights[] = ARROWPORT_TEST_DATA "/flights/flights-200k.arrow";

static struct budget budget = {.limit_bytes = INT64_MAX};

/* ---- files of the tests -------------------------------------------------------------------- */

struct bytes {
  uint8_t *data;
  size_t count;
};

static struct bytes load(const char *path) {
  struct bytes bytes = {NULL, 0};
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail_msg("%s: %s", path, strerror(errno));
  assert_int_equal(fseek(file, 0, SEEK_END), 0);
  bytes.count = (size_t)ftell(file);
  rewind(file);
  bytes.data = malloc(bytes.count + 1);
  assert_non_null(bytes.data);
  assert_int_equal(fread(bytes.data, 1, bytes.count, file), bytes.count);
  fclose(file);
  return bytes;
}

/* Writes a file that remove_temporary takes away; its name is good until the next. */
static char temporary[64];

static const char *store(const void *data, size_t bytes) {
  strcpy(temporary, "/tmp/arrowport-test-XXXXXX"); /* NOLINT: the array is larger */
  int file = mkstemp(temporary);
  assert_true(file >= 0);
  assert_int_equal(write(file, data, bytes), (ssize_t)bytes);
  close(file);
  return temporary;
}

static void remove_temporary(void) { assert_int_equal(unlink(temporary), 0); }

/* ---- reading ------------------------------------------------------------------------------- */

struct outcome {
  enum status status;
  struct error error;
  int64_t rows;
  int64_t batches;
  uint64_t sum; /* of all values */
};

static struct outcome drain(enum status opened, struct source *source, struct error error) {
  struct outcome outcome = {.status = opened, .error = error, .sum = 1};
  while (outcome.status == STATUS_OK) {
    struct ArrowArray batch;
    uint64_t sum = 0;
    outcome.status = source_next(source, &batch, &outcome.error);
    if (outcome.status != STATUS_OK || batch.release == NULL) break;
    assert_null(array_walk(source_schema(source), &batch, &sum));
    outcome.rows += batch.length;
    outcome.batches++;
    outcome.sum = outcome.sum * 31 + sum;
    arrow_array_release(&batch);
  }
  source_close(source);
  assert_int_equal(budget.used_bytes, 0);
  return outcome;
}

static struct outcome read_path(const char *path) {
  struct source *source = NULL;
  struct error error = {0};
  enum status status = source_open_path(path, &budget, &source, &error);
  return drain(status, source, error);
}

static struct outcome open_named(const char *name, const char *path) {
  struct config *config = NULL;
  struct source *source = NULL;
  struct error error = {0};
  assert_int_equal(config_new(source_find(name)->config, &config, NULL), STATUS_OK);
  assert_int_equal(config_set(config, "path", path, CONFIG_FLAG, NULL), STATUS_OK);
  enum status status = source_open(name, config, &budget, &source, &error);
  config_free(config);
  return drain(status, source, error);
}

static void expect_refusal(struct outcome outcome, enum status status, const char *said) {
  assert_int_equal(outcome.status, status);
  expect_said(outcome.error.text, said);
}

/* ---- the same rows --------------------------------------------------------------------------- */

/* The rows of an Arrow file as a stream, written anew. */
static struct buffer as_stream(const char *path, enum ipc_compression compression) {
  struct source *source = NULL;
  struct ipc_writer *writer = NULL;
  struct buffer out = BUFFER_EMPTY;
  struct ipc_writer_options options = {.compression = compression};
  struct ArrowArray batch;
  assert_int_equal(source_open_path(path, &budget, &source, NULL), STATUS_OK);
  assert_int_equal(ipc_writer_new(source_schema(source), &options, &budget, &writer, NULL),
                   STATUS_OK);
  assert_int_equal(ipc_writer_schema(writer, &out, NULL), STATUS_OK);
  for (;;) {
    assert_int_equal(source_next(source, &batch, NULL), STATUS_OK);
    if (batch.release == NULL) break;
    assert_int_equal(ipc_writer_batch(writer, &batch, &out, NULL), STATUS_OK);
    arrow_array_release(&batch);
  }
  assert_int_equal(ipc_writer_end(writer, &out, NULL), STATUS_OK);
  ipc_writer_free(writer);
  source_close(source);
  return out;
}

static void flights_are_the_same_from_a_file_and_from_a_stream(void **state) {
  (void)state;
  static const enum ipc_compression compressions[] = {IPC_COMPRESSION_NONE, IPC_COMPRESSION_ZSTD,
                                                      IPC_COMPRESSION_LZ4};
  struct outcome file = read_path(flights);
  assert_int_equal(file.status, STATUS_OK);
  assert_int_equal(file.rows, 200000);
  for (size_t i = 0; i < sizeof compressions / sizeof compressions[0]; i++) {
    struct buffer bytes = as_stream(flights, compressions[i]);
    const char *path = store(bytes.data, (size_t)bytes.size_bytes);
    buffer_release(&bytes);
    struct outcome stream = read_path(path);
    assert_int_equal(stream.status, STATUS_OK);
    assert_int_equal(stream.rows, file.rows);
    assert_int_equal(stream.sum, file.sum);
    remove_temporary();
  }
}

static void golden_files_are_the_same_from_a_file_and_from_a_stream(void **state) {
  (void)state;
  glob_t found;
  int compared = 0;
  assert_int_equal(glob(ARROWPORT_TEST_DATA "/arrow-ipc/*/*.stream", 0, NULL, &found), 0);
  for (size_t i = 0; i < found.gl_pathc; i++) {
    char path[1024];
    snprintf(path, sizeof path, "%.*s.arrow_file",
             (int)(strlen(found.gl_pathv[i]) - strlen(".stream")), found.gl_pathv[i]);
    struct outcome stream = read_path(found.gl_pathv[i]);
    struct outcome file = read_path(path);
    if (stream.status != STATUS_OK) fail_msg("%s: %s", path, stream.error.text);
    assert_int_equal(stream.status, file.status);
    assert_int_equal(stream.rows, file.rows);
    assert_int_equal(stream.batches, file.batches);
    /* Of 0.14.1 they were written apart, with other bytes where there is null. */
    if (stream.sum != file.sum && strstr(path, "/0.14.1/") == NULL)
      fail_msg("%s differs from its stream", path);
    compared += stream.status == STATUS_OK;
  }
  assert_int_equal(compared, found.gl_pathc); /* and nothing was refused */
  globfree(&found);
}

/* ---- standard input ---------------------------------------------------------------------------- */

struct writing {
  int file;
  struct bytes bytes;
};

/* In small pieces, as a pipe may bring them. */
static void *write_slowly(void *context) {
  struct writing *writing = context;
  for (size_t at = 0; at < writing->bytes.count;) {
    size_t piece = writing->bytes.count - at < 7 ? writing->bytes.count - at : 7;
    ssize_t written = write(writing->file, writing->bytes.data + at, piece);
    if (written <= 0) break;
    at += (size_t)written;
  }
  close(writing->file);
  return NULL;
}

static struct outcome read_standard_input(struct bytes bytes) {
  int ends[2];
  pthread_t thread;
  int kept = dup(STDIN_FILENO);
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
  close(ends[0]);
  struct writing writing = {ends[1], bytes};
  assert_int_equal(pthread_create(&thread, NULL, write_slowly, &writing), 0);
  struct outcome outcome = read_path("-");
  if (kept >= 0) {
    dup2(kept, STDIN_FILENO);
    close(kept);
  } else {
    close(STDIN_FILENO);
  }
  pthread_join(thread, NULL);
  return outcome;
}

static void a_stream_is_read_from_standard_input(void **state) {
  (void)state;
  static const char path[] =
      ARROWPORT_TEST_DATA "/arrow-ipc/1.0.0-littleendian/generated_nested_dictionary.stream";
  struct bytes bytes = load(path);
  struct outcome file = read_path(path);
  struct outcome piped = read_standard_input(bytes);
  assert_int_equal(piped.status, STATUS_OK);
  assert_true(piped.rows > 0);
  assert_int_equal(piped.sum, file.sum);
  free(bytes.data);
}

static void an_arrow_file_on_standard_input_is_refused_by_name(void **state) {
  (void)state;
  struct bytes bytes =
      load(ARROWPORT_TEST_DATA "/arrow-ipc/1.0.0-littleendian/generated_map.arrow_file");
  expect_refusal(read_standard_input(bytes), STATUS_INVALID, "ARROW1");
  free(bytes.data);
}

/* ---- what is wrong ------------------------------------------------------------------------------- */

static void a_truncated_stream_is_an_error_and_not_an_end(void **state) {
  (void)state;
  struct bytes bytes =
      load(ARROWPORT_TEST_DATA "/arrow-ipc/1.0.0-littleendian/generated_primitive.stream");
  const char *path = store(bytes.data, bytes.count - 100);
  struct outcome inside = read_path(path);
  expect_refusal(inside, STATUS_INVALID, "truncated");
  expect_refusal(inside, STATUS_INVALID, path);
  remove_temporary();
  path = store(bytes.data, bytes.count - 8); /* the end-of-stream marker */
  struct outcome between = read_path(path);
  expect_refusal(between, STATUS_INVALID, "end-of-stream marker");
  assert_true(between.rows > 0);
  remove_temporary();
  free(bytes.data);
}

static void a_truncated_file_is_refused_when_it_is_opened(void **state) {
  (void)state;
  struct bytes bytes = load(flights);
  const char *path = store(bytes.data, bytes.count / 2);
  struct outcome outcome = read_path(path);
  expect_refusal(outcome, STATUS_INVALID, "truncated");
  expect_refusal(outcome, STATUS_INVALID, path);
  assert_int_equal(outcome.rows, 0);
  remove_temporary();
  free(bytes.data);
}

/* Where the footer, which comes last, names a block. */
static uint8_t *find_block(const struct bytes *bytes, const struct ipc_file_block *block) {
  enum { BLOCK_BYTES = 24 };
  uint8_t *found = NULL;
  for (uint8_t *at = bytes->data; at + BLOCK_BYTES <= bytes->data + bytes->count; at++)
    if (memcmp(at, &block->offset_bytes, 8) == 0 && memcmp(at + 16, &block->body_bytes, 8) == 0)
      found = at;
  assert_non_null(found);
  return found;
}

/* Lets the footer name the first dictionary twice. */
static void a_file_that_replaces_a_dictionary_is_refused(void **state) {
  (void)state;
  struct bytes bytes =
      load(ARROWPORT_TEST_DATA "/arrow-ipc/1.0.0-littleendian/generated_dictionary.arrow_file");
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_file file;
  assert_int_equal(ipc_file_open(bytes.data, (int64_t)bytes.count, &limits, &file, NULL),
                   STATUS_OK);
  assert_true(file.dictionary_count >= 2);
  memcpy(find_block(&bytes, &file.dictionaries[1]), find_block(&bytes, &file.dictionaries[0]), 24);
  ipc_file_release(&file);
  const char *path = store(bytes.data, bytes.count);
  expect_refusal(read_path(path), STATUS_INVALID, "replaces a dictionary");
  remove_temporary();
  free(bytes.data);
}

/* The footer's list of dictionaries becomes that of batches, and the other way round: two
 * entries of its table of fields (File.fbs). */
static void swap_lists(const struct bytes *bytes) {
  int32_t footer_bytes;
  uint32_t root;
  int32_t back;
  memcpy(&footer_bytes, bytes->data + bytes->count - 10, 4);
  uint8_t *footer = bytes->data + bytes->count - 10 - footer_bytes;
  memcpy(&root, footer, 4);
  memcpy(&back, footer + root, 4);
  uint8_t *fields = footer + root - back + 4;
  uint8_t dictionaries[2];
  memcpy(dictionaries, fields + 4, 2);
  memcpy(fields + 4, fields + 6, 2);
  memcpy(fields + 6, dictionaries, 2);
}

/* The last dictionary is named as the first batch instead. */
static void move_dictionary(const struct bytes *bytes) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_file file;
  assert_int_equal(ipc_file_open(bytes->data, (int64_t)bytes->count, &limits, &file, NULL),
                   STATUS_OK);
  uint8_t *last = find_block(bytes, &file.dictionaries[file.dictionary_count - 1]);
  memcpy(find_block(bytes, &file.batches[0]), last, 24);
  find_block(bytes, &file.dictionaries[0])[-4]--; /* how many there are */
  ipc_file_release(&file);
}

static void a_message_in_the_place_of_another_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *path;
    void (*damage)(const struct bytes *bytes);
    const char *said;
  } cases[] = {
      {ARROWPORT_TEST_DATA "/arrow-ipc/1.0.0-littleendian/generated_primitive.arrow_file",
       swap_lists, "is not a dictionary"},
      {ARROWPORT_TEST_DATA "/arrow-ipc/1.0.0-littleendian/generated_dictionary.arrow_file",
       move_dictionary, "is not a record batch"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct bytes bytes = load(cases[i].path);
    cases[i].damage(&bytes);
    const char *broken = store(bytes.data, bytes.count);
    struct outcome outcome = read_path(broken);
    expect_refusal(outcome, STATUS_INVALID, cases[i].said);
    expect_refusal(outcome, STATUS_INVALID, broken);
    assert_int_equal(outcome.batches, 0);
    remove_temporary();
    free(bytes.data);
  }
}

static void what_is_not_arrow_is_refused_with_its_name_and_place(void **state) {
  (void)state;
  static const char csv[] = "id,name\n1,one\n2,two\n";
  static const char parquet[] = "PAR1\x15\x04\x15 and so on, PAR1";
  static const char *const texts[] = {csv, parquet};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    const char *path = store(texts[i], strlen(texts[i]));
    struct outcome outcome = read_path(path);
    expect_refusal(outcome, STATUS_INVALID, path);
    expect_refusal(outcome, STATUS_INVALID, "byte 0");
    remove_temporary();
  }
  const char *path = store("", 0);
  expect_refusal(read_path(path), STATUS_INVALID, "empty");
  expect_refusal(read_path(path), STATUS_INVALID, path);
  expect_refusal(open_named("ipc_file", path), STATUS_INVALID, "it is empty");
  remove_temporary();
}

static void what_cannot_be_opened_is_refused_with_the_reason(void **state) {
  (void)state;
  expect_refusal(read_path("/nonexistent/rows.arrow"), STATUS_NOT_FOUND, "/nonexistent/rows.arrow");
  expect_refusal(read_path("/tmp"), STATUS_IO, "'/tmp'");
  expect_refusal(read_path("/tmp"), STATUS_IO, "directory");
  expect_refusal(open_named("ipc_file", "/dev/null"), STATUS_INVALID, "regular file");
}

/* ---- lives of batches ---------------------------------------------------------------------------- */

static void a_batch_outlives_its_source(void **state) {
  (void)state;
  struct source *source = NULL;
  struct ArrowArray batch;
  struct ArrowSchema schema = {.release = NULL};
  uint64_t before = 0;
  uint64_t after = 0;
  assert_int_equal(source_open_path(flights, &budget, &source, NULL), STATUS_OK);
  assert_int_equal(arrow_schema_copy(source_schema(source), &schema, NULL), STATUS_OK);
  assert_int_equal(source_next(source, &batch, NULL), STATUS_OK);
  assert_null(array_walk(&schema, &batch, &before));
  source_close(source);
  assert_null(array_walk(&schema, &batch, &after));
  assert_int_equal(before, after);
  arrow_array_release(&batch);
  arrow_schema_release(&schema);
}

static void mapped_files_and_streams_take_nothing_from_the_budget(void **state) {
  (void)state;
  struct buffer bytes = as_stream(flights, IPC_COMPRESSION_NONE);
  const char *stream = store(bytes.data, (size_t)bytes.size_bytes);
  const char *const paths[] = {flights, stream};
  buffer_release(&bytes);
  for (size_t i = 0; i < 2; i++) {
    struct source *source = NULL;
    struct ArrowArray batch;
    struct budget none = {.limit_bytes = 0};
    assert_int_equal(source_open_path(paths[i], &none, &source, NULL), STATUS_OK);
    assert_int_equal(source_next(source, &batch, NULL), STATUS_OK);
    assert_int_equal(batch.length, 200000);
    arrow_array_release(&batch);
    source_close(source);
  }
  remove_temporary();
}

/* What is cut off a mapped file must not be touched any more. */
static void a_file_that_is_cut_short_while_it_is_open_is_an_error(void **state) {
  (void)state;
  for (int format = IPC_FORMAT_STREAM; format <= IPC_FORMAT_FILE; format++) {
    struct ipc_writer_options options = {.format = (enum ipc_format)format};
    struct buffer bytes = rows_written(3, 10000, &options);
    const char *path = store(bytes.data, (size_t)bytes.size_bytes);
    buffer_release(&bytes);
    struct source *source = NULL;
    struct ArrowArray batch;
    struct error error = {0};
    assert_int_equal(source_open_path(path, &budget, &source, NULL), STATUS_OK);
    assert_int_equal(source_next(source, &batch, NULL), STATUS_OK);
    arrow_array_release(&batch);
    assert_int_equal(truncate(path, 100), 0);
    clock_sleep_ms(5);
    for (int i = 0; i < 2; i++) {
      assert_int_equal(source_next(source, &batch, &error), STATUS_IO);
      expect_said(error.text, "cut short");
      expect_said(error.text, path);
    }
    source_close(source);
    remove_temporary();
  }
}

/* ---- by name --------------------------------------------------------------------------------------- */

static void a_source_is_opened_by_its_name_and_settings(void **state) {
  (void)state;
  size_t count = 0;
  const struct source_type *const *types = source_all(&count);
  assert_true(count >= 2);
  for (size_t i = 0; i < count; i++) assert_ptr_equal(source_find(types[i]->name), types[i]);
  struct outcome outcome = open_named("ipc_file", flights);
  assert_int_equal(outcome.status, STATUS_OK);
  assert_int_equal(outcome.rows, 200000);
  expect_refusal(open_named("ipc_stream", flights), STATUS_INVALID, "ARROW1");
  assert_null(source_find("parchment"));
  struct source *source = NULL;
  struct error error = {0};
  assert_int_equal(source_open("parchment", NULL, &budget, &source, &error), STATUS_NOT_FOUND);
  expect_said(error.text, "parchment");
}

int main(void) {
  signal(SIGPIPE, SIG_IGN); /* whoever refuses standard input stops reading it */
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(flights_are_the_same_from_a_file_and_from_a_stream),
      cmocka_unit_test(golden_files_are_the_same_from_a_file_and_from_a_stream),
      cmocka_unit_test(a_stream_is_read_from_standard_input),
      cmocka_unit_test(an_arrow_file_on_standard_input_is_refused_by_name),
      cmocka_unit_test(a_truncated_stream_is_an_error_and_not_an_end),
      cmocka_unit_test(a_truncated_file_is_refused_when_it_is_opened),
      cmocka_unit_test(a_file_that_replaces_a_dictionary_is_refused),
      cmocka_unit_test(a_message_in_the_place_of_another_is_refused),
      cmocka_unit_test(what_is_not_arrow_is_refused_with_its_name_and_place),
      cmocka_unit_test(what_cannot_be_opened_is_refused_with_the_reason),
      cmocka_unit_test(a_batch_outlives_its_source),
      cmocka_unit_test(mapped_files_and_streams_take_nothing_from_the_budget),
      cmocka_unit_test(a_file_that_is_cut_short_while_it_is_open_is_an_error),
      cmocka_unit_test(a_source_is_opened_by_its_name_and_settings),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
