/* Sources, C streams and the public readers and writers when memory runs out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arrow/array_walk.h"
#include "arrowport/ipc.h"
#include "nomem/nomem.h"
#include "source/source.h"

#define GOLDEN ARROWPORT_TEST_DATA "/arrow-ipc/"

/* Of each layout, compressed and of the other byte order. */
static const char *const PATHS[] = {
    GOLDEN "0.14.1/generated_nested.stream",
    GOLDEN "0.14.1/generated_map.arrow_file",
    GOLDEN "1.0.0-bigendian/generated_nested_dictionary.stream",
    GOLDEN "1.0.0-littleendian/generated_nested_dictionary.arrow_file",
    GOLDEN "2.0.0-compression/generated_zstd.stream",
    GOLDEN "2.0.0-compression/generated_lz4.arrow_file",
    GOLDEN "cpp-21.0.0/generated_custom_metadata.stream",
    GOLDEN "cpp-21.0.0/generated_run_end_encoded.arrow_file",
    GOLDEN "cpp-21.0.0/generated_run_end_encoded.stream",
    GOLDEN "cpp-21.0.0/generated_union.stream",
};
enum { PATH_COUNT = sizeof PATHS / sizeof PATHS[0] };

/* What is read. */
struct input {
  const char *path;
  uint8_t *data;
  int64_t bytes;
  int64_t position_bytes; /* of the callbacks */
  int releases;
  bool is_foreign; /* a C stream, which cannot say that it may be asked again */
  bool is_known;   /* the sum is: of a run that nothing disturbed */
  uint64_t sum;
};

static struct input load(const char *path) {
  struct input input = {.path = path};
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail_msg("%s: %s", path, strerror(errno));
  assert_int_equal(fseek(file, 0, SEEK_END), 0);
  input.bytes = ftell(file);
  rewind(file);
  input.data = malloc((size_t)input.bytes);
  assert_non_null(input.data);
  assert_int_equal(fread(input.data, 1, (size_t)input.bytes, file), input.bytes);
  fclose(file);
  return input;
}

/* A sum of a run that went well is that of the first. */
static void check_sum(struct input *input, enum status status, uint64_t sum) {
  if (status != STATUS_OK) return;
  if (input->is_known && input->sum != sum) fail_msg("%s: the values differ", input->path);
  input->is_known = true;
  input->sum = sum;
}

static uint64_t add_sum(uint64_t sum, const struct ArrowSchema *schema,
                        const struct ArrowArray *batch) {
  uint64_t of_batch = 0;
  const char *broken = array_walk(schema, batch, &of_batch);
  if (broken != NULL) fail_msg("not so: %s", broken);
  return sum * 31 + of_batch;
}

static void count_release(void *context) { ((struct input *)context)->releases++; }

/* Up to 100 bytes more. */
static int64_t read_some(struct input *input, void *data, int64_t room_bytes) {
  int64_t bytes = input->bytes - input->position_bytes;
  if (bytes > room_bytes) bytes = room_bytes;
  if (bytes > 100) bytes = 100;
  memcpy(data, input->data + input->position_bytes, (size_t)bytes);
  input->position_bytes += bytes;
  return bytes;
}

/* ---- sources ------------------------------------------------------------------------------- */

/* Reads all and closes. A source that has failed says so again. */
static enum status drain(struct input *input, struct source *source, struct error *error) {
  uint64_t sum = 1;
  enum status status = STATUS_OK;
  for (;;) {
    struct ArrowArray batch;
    do status = source_next(source, &batch, error);
    while (!input->is_foreign && nomem_again_budget(status));
    if (status != STATUS_OK) {
      struct error again = {.status = STATUS_OK};
      assert_null(batch.release);
      assert_int_equal(source_next(source, &batch, &again), status);
      assert_string_equal(again.text, error->text);
    }
    if (batch.release == NULL) break;
    sum = add_sum(sum, source_schema(source), &batch);
    arrow_array_release(&batch);
  }
  source_close(source);
  check_sum(input, status, sum);
  return status;
}

static enum status read_path(void *context, struct error *error) {
  struct input *input = context;
  struct source *source = NULL;
  enum status status = source_open_path(input->path, &nomem_budget, &source, error);
  if (status == STATUS_OK) return drain(input, source, error);
  assert_null(source);
  return status;
}

static enum status read_buffer(void *context, struct error *error) {
  struct input *input = context;
  struct source_options options = SOURCE_OPTIONS_DEFAULT(&nomem_budget);
  struct source *source = NULL;
  struct buffer data = BUFFER_EMPTY;
  input->releases = 0;
  enum status status = buffer_wrap(&data, input->data, input->bytes, count_release, input, error);
  if (status != STATUS_OK) return status;
  status = source_open_buffer(data, &options, &source, error);
  if (status == STATUS_OK) status = drain(input, source, error);
  assert_int_equal(input->releases, 1);
  return status;
}

static enum status callback(void *context, void *data, int64_t room_bytes, int64_t *bytes,
                            struct error *error) {
  (void)error;
  *bytes = read_some(context, data, room_bytes);
  return STATUS_OK;
}

static enum status read_bytes(void *context, struct error *error) {
  struct input *input = context;
  struct source_options options = SOURCE_OPTIONS_DEFAULT(&nomem_budget);
  struct source_bytes bytes = {callback, count_release, input};
  struct source *source = NULL;
  input->position_bytes = 0;
  input->releases = 0;
  enum status status = source_open_bytes(&bytes, "input", &options, &source, error);
  if (status == STATUS_OK) status = drain(input, source, error);
  assert_int_equal(input->releases, 1);
  return status;
}

/* ---- C streams ----------------------------------------------------------------------------- */

/* A source over the C stream of a source. */
static enum status read_exported(void *context, struct error *error) {
  struct input *input = context;
  struct source *inner = NULL;
  struct source *outer = NULL;
  struct ArrowArrayStream stream = {.release = NULL};
  enum status status = source_open_path(input->path, &nomem_budget, &inner, error);
  if (status != STATUS_OK) return status;
  source_export(inner, &stream);
  input->is_foreign = true;
  status = source_open_c_stream(&stream, &outer, error);
  if (status == STATUS_OK) status = drain(input, outer, error);
  stream.release(&stream);
  return status;
}

/* ---- readers and writers for C programs -------------------------------------------------------- */

static enum status told(enum arrowport_status status, const struct arrowport_error *said,
                        struct error *error) {
  return status == ARROWPORT_OK ? STATUS_OK
                                : error_set(error, (enum status)status, "%s", said->text);
}

static const struct arrowport_reader_options reader_options = {.struct_size = sizeof reader_options,
                                                               .threads = 1};

/* Reads all as a C stream, which takes the reader. */
static enum status drain_reader(struct input *input, struct arrowport_reader *reader,
                                struct error *error) {
  struct arrowport_error said = {""};
  struct ArrowSchema schema = {.release = NULL};
  struct ArrowArrayStream stream = {.release = NULL};
  struct ArrowArray batch = {.release = NULL};
  uint64_t sum = 1;
  enum arrowport_status status;
  do status = arrowport_reader_schema(reader, &schema, &said);
  while (nomem_again((enum status)status));
  if (status == ARROWPORT_OK) {
    status = arrowport_reader_next(reader, &batch, &said);
    if (status != ARROWPORT_OK) assert_null(batch.release);
  }
  if (batch.release != NULL) sum = add_sum(sum, &schema, &batch);
  arrow_array_release(&batch);
  if (status == ARROWPORT_OK) status = arrowport_reader_export(reader, &stream, &said);
  while (status == ARROWPORT_OK) {
    int code = stream.get_next(&stream, &batch);
    if (code != 0) {
      assert_int_equal(code, ENOMEM);
      snprintf(said.text, sizeof said.text, "%s", stream.get_last_error(&stream));
      status = ARROWPORT_NOMEM;
    }
    if (code != 0 || batch.release == NULL) break;
    sum = add_sum(sum, &schema, &batch);
    arrow_array_release(&batch);
  }
  if (stream.release != NULL)
    stream.release(&stream);
  else
    arrowport_reader_close(reader);
  arrow_schema_release(&schema);
  check_sum(input, (enum status)status, sum);
  return told(status, &said, error);
}

static enum status reader_of_path(void *context, struct error *error) {
  struct input *input = context;
  struct arrowport_reader *reader = NULL;
  struct arrowport_error said = {""};
  enum arrowport_status status =
      arrowport_reader_open_path(input->path, &reader_options, &reader, &said);
  if (status == ARROWPORT_OK) return drain_reader(input, reader, error);
  assert_null(reader);
  return told(status, &said, error);
}

static enum status reader_of_memory(void *context, struct error *error) {
  struct input *input = context;
  struct arrowport_reader *reader = NULL;
  struct arrowport_error said = {""};
  input->releases = 0;
  enum arrowport_status status = arrowport_reader_open_memory(
      input->data, input->bytes, count_release, input, &reader_options, &reader, &said);
  enum status outcome =
      status == ARROWPORT_OK ? drain_reader(input, reader, error) : told(status, &said, error);
  assert_int_equal(input->releases, 1);
  return outcome;
}

static int64_t reader_callback(void *context, void *data, int64_t bytes) {
  return read_some(context, data, bytes);
}

static enum status reader_of_callback(void *context, struct error *error) {
  struct input *input = context;
  struct arrowport_reader *reader = NULL;
  struct arrowport_error said = {""};
  input->position_bytes = 0;
  enum arrowport_status status =
      arrowport_reader_open(reader_callback, input, &reader_options, &reader, &said);
  return status == ARROWPORT_OK ? drain_reader(input, reader, error) : told(status, &said, error);
}

/* What is written, and what must come of it. */
struct output {
  struct ArrowSchema schema;
  struct ArrowArray batch;
  struct arrowport_writer_options options;
  bool is_known; /* the sum is: of a run that nothing disturbed */
  uint64_t sum;
  uint64_t sum_now; /* of the bytes of this run */
};

static int write_callback(void *context, const void *data, int64_t bytes) {
  struct output *output = context;
  const uint8_t *from = data;
  for (int64_t i = 0; i < bytes; i++) output->sum_now = output->sum_now * 31 + from[i];
  return 0;
}

static enum status write_all(void *context, struct error *error) {
  static const char metadata[] = "\1\0\0\0\3\0\0\0key\5\0\0\0value";
  struct output *output = context;
  struct arrowport_writer *writer = NULL;
  struct arrowport_error said = {""};
  output->sum_now = 1;
  enum arrowport_status status = arrowport_writer_open(&output->schema, write_callback, output,
                                                       &output->options, &writer, &said);
  if (status != ARROWPORT_OK) assert_null(writer);
  if (status == ARROWPORT_OK) status = arrowport_writer_metadata(writer, metadata, &said);
  for (int i = 0; i < 2 && status == ARROWPORT_OK; i++)
    status = arrowport_writer_write(writer, &output->batch, &said);
  if (status == ARROWPORT_OK) status = arrowport_writer_finish(writer, &said);
  arrowport_writer_close(writer);
  if (status == ARROWPORT_OK) {
    if (output->is_known) assert_int_equal(output->sum, output->sum_now);
    output->is_known = true;
    output->sum = output->sum_now;
  }
  return told(status, &said, error);
}

static enum status use_array(void *context, struct error *error) {
  struct output *output = context;
  struct arrowport_error said = {""};
  char *text = NULL;
  enum arrowport_status status =
      arrowport_array_check(&output->schema, &output->batch, true, &said);
  if (status == ARROWPORT_OK)
    status = arrowport_array_print(&output->schema, &output->batch, 4, 80, &text, &said);
  if (status != ARROWPORT_OK) assert_null(text);
  free(text);
  return told(status, &said, error);
}

/* ---- tests --------------------------------------------------------------------------------- */

static void each_input(nomem_operation operation, bool only_streams) {
  for (int i = 0; i < PATH_COUNT; i++) {
    if (only_streams && strstr(PATHS[i], ".stream") == NULL) continue;
    struct input input = load(PATHS[i]);
    /* Where a buffer cannot be doubled it grows by what it takes. */
    assert_true(nomem_run(PATHS[i], operation, &input, INT64_MAX) > 8);
    free(input.data);
  }
  assert_int_equal(nomem_budget.used_bytes, 0);
}

static void paths_are_read_or_there_is_no_memory(void **state) {
  (void)state;
  each_input(read_path, false);
}

static void buffers_are_read_or_there_is_no_memory(void **state) {
  (void)state;
  each_input(read_buffer, false);
}

static void streams_are_read_as_they_come_or_there_is_no_memory(void **state) {
  (void)state;
  each_input(read_bytes, true);
}

static void c_streams_are_read_or_there_is_no_memory(void **state) {
  (void)state;
  each_input(read_exported, false);
}

static void readers_read_or_there_is_no_memory(void **state) {
  (void)state;
  each_input(reader_of_path, false);
  each_input(reader_of_memory, false);
  each_input(reader_of_callback, true);
}

static void writers_write_or_there_is_no_memory(void **state) {
  (void)state;
  static const enum arrowport_compression compressions[] = {ARROWPORT_UNCOMPRESSED, ARROWPORT_LZ4,
                                                            ARROWPORT_ZSTD};
  for (int i = 0; i < PATH_COUNT; i++) {
    struct arrowport_reader *reader = NULL;
    struct output output = {
        .options = {.struct_size = sizeof output.options,
                    .format = i % 2 == 0 ? ARROWPORT_IPC_FILE : ARROWPORT_IPC_STREAM,
                    .compression = compressions[i % 3],
                    .threads = 1}};
    assert_int_equal(arrowport_reader_open_path(PATHS[i], NULL, &reader, NULL), ARROWPORT_OK);
    assert_int_equal(arrowport_reader_schema(reader, &output.schema, NULL), ARROWPORT_OK);
    assert_int_equal(arrowport_reader_next(reader, &output.batch, NULL), ARROWPORT_OK);
    arrowport_reader_close(reader);
    assert_true(nomem_run(PATHS[i], write_all, &output, INT64_MAX) > 8);
    assert_true(nomem_run(PATHS[i], use_array, &output, INT64_MAX) > 2);
    arrow_array_release(&output.batch);
    arrow_schema_release(&output.schema);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(paths_are_read_or_there_is_no_memory),
      cmocka_unit_test(buffers_are_read_or_there_is_no_memory),
      cmocka_unit_test(streams_are_read_as_they_come_or_there_is_no_memory),
      cmocka_unit_test(c_streams_are_read_or_there_is_no_memory),
      cmocka_unit_test(readers_read_or_there_is_no_memory),
      cmocka_unit_test(writers_write_or_there_is_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
