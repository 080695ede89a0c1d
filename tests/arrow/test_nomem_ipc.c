/* The codec when memory runs out, over all golden streams and files: whatever fails, nothing
 * is left, and a message or a batch that could not be taken can be given again.
 *
 * Values are compared by the sum that a walk over them makes. */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "arrow/array_walk.h"
#include "arrow/ipc.h"
#include "arrow/messages.h"
#include "arrow/read_all.h"
#include "nomem/nomem.h"

/* Golden files that are larger have no other types, and would take minutes. */
enum { GOLDEN_BYTES_MAX = 32 << 10 };

static const struct ipc_limits limits = {
    .metadata_bytes_max = 1 << 20, .body_bytes_max = 64 << 20, .decoded_bytes_max = 64 << 20};

/* ---- reading ------------------------------------------------------------------------------- */

/* What is read, how, and what must come of it. */
struct reading {
  struct buffer data;
  int threads;
  bool is_known; /* the sum is: of a run that nothing disturbed */
  uint64_t sum;
};

/* A sum of a run that went well is that of the first. */
static void check_sum(struct reading *reading, enum status status, uint64_t sum) {
  if (status != STATUS_OK) return;
  if (reading->is_known && reading->sum != sum) fail_msg("the values are not those of before");
  reading->is_known = true;
  reading->sum = sum;
}

/* A message that was not taken is the caller's as it was, and is given again. */
static enum status decode(struct ipc_decoder *decoder, struct ipc_message *message, uint64_t *sum,
                          struct error *error) {
  struct ArrowArray batch = {.release = NULL};
  enum ipc_event event = IPC_EVENT_DICTIONARY;
  enum status status;
  do {
    int64_t metadata_bytes = message->metadata.size_bytes;
    int64_t body_bytes = message->body.size_bytes;
    status = ipc_decoder_decode(decoder, message, &event, &batch, error);
    if (status == STATUS_OK) break;
    assert_null(batch.release);
    assert_int_equal(message->metadata.size_bytes, metadata_bytes);
    assert_int_equal(message->body.size_bytes, body_bytes);
  } while (nomem_again(status));
  if (status != STATUS_OK) ipc_message_release(message);
  if (batch.release == NULL) return status;
  uint64_t batch_sum = 0;
  assert_int_equal(event, IPC_EVENT_BATCH);
  const char *broken = array_walk(ipc_decoder_schema(decoder), &batch, &batch_sum);
  if (broken != NULL) fail_msg("not so: %s", broken);
  *sum = *sum * 31 + batch_sum;
  arrow_array_release(&batch);
  return status;
}

/* Threads are ended with each run: what they let go of late is let go of by then. */
static enum status make_decoder(const struct reading *reading, struct workers **workers,
                                struct ipc_decoder **decoder, struct error *error) {
  enum status status = STATUS_OK;
  if (reading->threads > 0) status = workers_new(reading->threads, workers, error);
  if (status != STATUS_OK) return status;
  do {
    status = ipc_decoder_new(&limits, &nomem_budget, decoder, error);
    if (status != STATUS_OK) assert_null(*decoder);
  } while (nomem_again(status));
  if (status == STATUS_OK) ipc_decoder_use_workers(*decoder, *workers);
  return status;
}

/* One message more, or the end of the bytes. */
static enum status frame_message(struct ipc_framer *framer, const struct buffer *data, int64_t *at,
                                 enum ipc_frame *frame, struct error *error) {
  enum status status = STATUS_OK;
  *frame = IPC_FRAME_PARTIAL;
  while (status == STATUS_OK && *frame == IPC_FRAME_PARTIAL && *at < data->size_bytes) {
    uint8_t *window = NULL;
    int64_t bytes = 0;
    do status = ipc_framer_window(framer, &window, &bytes, error);
    while (nomem_again(status));
    if (status != STATUS_OK) break;
    if (bytes > data->size_bytes - *at) bytes = data->size_bytes - *at;
    memcpy(window, data->data + *at, (size_t)bytes);
    *at += bytes;
    status = ipc_framer_filled(framer, bytes, frame, error);
  }
  return status;
}

static enum status read_framed(void *context, struct error *error) {
  struct reading *reading = context;
  struct ipc_framer *framer = NULL;
  struct ipc_decoder *decoder = NULL;
  struct workers *workers = NULL;
  enum ipc_frame frame = IPC_FRAME_MESSAGE;
  uint64_t sum = 1;
  int64_t at = 0;
  enum status status = ipc_framer_new(&limits, &nomem_budget, &framer, error);
  if (status != STATUS_OK) assert_null(framer);
  if (status == STATUS_OK) status = make_decoder(reading, &workers, &decoder, error);
  while (status == STATUS_OK && frame == IPC_FRAME_MESSAGE) {
    struct ipc_message message;
    status = frame_message(framer, &reading->data, &at, &frame, error);
    if (status != STATUS_OK || frame != IPC_FRAME_MESSAGE) break;
    ipc_framer_take(framer, &message);
    status = decode(decoder, &message, &sum, error);
  }
  if (status == STATUS_OK) status = ipc_framer_finish(framer, false, error);
  ipc_framer_free(framer);
  ipc_decoder_free(decoder);
  workers_free(workers);
  check_sum(reading, status, sum);
  return status;
}

static enum status read_cut(void *context, struct error *error) {
  struct reading *reading = context;
  struct ipc_decoder *decoder = NULL;
  struct workers *workers = NULL;
  uint64_t sum = 1;
  int64_t at = 0;
  enum status status = make_decoder(reading, &workers, &decoder, error);
  while (status == STATUS_OK) {
    struct ipc_message message = {.offset_bytes = 0};
    enum ipc_frame frame = IPC_FRAME_PARTIAL;
    status = ipc_cut(&reading->data, &limits, false, &at, &message, &frame, error);
    if (status != STATUS_OK || frame == IPC_FRAME_END) break;
    status = decode(decoder, &message, &sum, error);
  }
  ipc_decoder_free(decoder);
  workers_free(workers);
  check_sum(reading, status, sum);
  return status;
}

static enum status decode_block(const struct reading *reading, struct ipc_decoder *decoder,
                                const struct ipc_file_block *block, uint64_t *sum,
                                struct error *error) {
  struct ipc_message message;
  enum status status = ipc_file_message(&reading->data, block, &message, error);
  return status == STATUS_OK ? decode(decoder, &message, sum, error) : status;
}

static enum status read_file(void *context, struct error *error) {
  struct reading *reading = context;
  struct ipc_decoder *decoder = NULL;
  struct workers *workers = NULL;
  struct ipc_file file;
  uint64_t sum = 1;
  enum status status;
  do {
    status = ipc_file_open(reading->data.data, reading->data.size_bytes, &limits, &file, error);
    if (status != STATUS_OK)
      assert_true(file.batches == NULL && file.dictionaries == NULL && file.metadata == NULL);
  } while (nomem_again(status));
  if (status == STATUS_OK) status = make_decoder(reading, &workers, &decoder, error);
  if (status == STATUS_OK) status = decode_block(reading, decoder, &file.schema, &sum, error);
  for (int64_t i = 0; i < file.dictionary_count && status == STATUS_OK; i++)
    status = decode_block(reading, decoder, &file.dictionaries[i], &sum, error);
  for (int64_t i = 0; i < file.batch_count && status == STATUS_OK; i++)
    status = decode_block(reading, decoder, &file.batches[i], &sum, error);
  ipc_file_release(&file);
  ipc_decoder_free(decoder);
  workers_free(workers);
  check_sum(reading, status, sum);
  return status;
}

/* ---- writing ------------------------------------------------------------------------------- */

static const char metadata[] = "\1\0\0\0\3\0\0\0key\5\0\0\0value";

/* What is written, how, and what must come of it. */
struct writing {
  const struct ArrowSchema *schema;
  const struct ArrowArray *batches;
  int64_t batch_count;
  struct ipc_writer_options options;
  int threads;
  struct buffer wanted; /* of a run that nothing disturbed */
};

/* A call that fails leaves what was written as it was. */
static enum status write_next(struct ipc_writer *writer, const struct writing *writing, int64_t i,
                              struct buffer *out, struct error *error) {
  enum status status;
  do {
    int64_t before_bytes = out->size_bytes;
    if (i < 0)
      status = ipc_writer_schema(writer, out, error);
    else if (i < writing->batch_count)
      status = ipc_writer_batch(writer, &writing->batches[i], out, error);
    else
      status = ipc_writer_end(writer, out, error);
    if (status != STATUS_OK) assert_int_equal(out->size_bytes, before_bytes);
  } while (nomem_again(status));
  return status;
}

static enum status write_all(void *context, struct error *error) {
  struct writing *writing = context;
  struct ipc_writer *writer = NULL;
  struct ipc_writer_options options = writing->options;
  struct buffer out = BUFFER_EMPTY;
  enum status status = STATUS_OK;
  if (writing->threads > 0) status = workers_new(writing->threads, &options.workers, error);
  if (status == STATUS_OK)
    status = ipc_writer_new(writing->schema, &options, &nomem_budget, &writer, error);
  if (status != STATUS_OK) assert_null(writer);
  for (int64_t i = -1; i <= writing->batch_count && status == STATUS_OK; i++) {
    if (i == 0) {
      do status = ipc_writer_metadata(writer, metadata, error);
      while (nomem_again(status));
    }
    if (status == STATUS_OK) status = write_next(writer, writing, i, &out, error);
  }
  if (status == STATUS_OK && writing->wanted.data != NULL) {
    assert_int_equal(out.size_bytes, writing->wanted.size_bytes);
    assert_memory_equal(out.data, writing->wanted.data, (size_t)out.size_bytes);
  }
  ipc_writer_free(writer);
  workers_free(options.workers);
  buffer_release(&out);
  return status;
}

/* What the writer makes of it when nothing fails. */
static struct buffer written(const struct writing *writing) {
  struct ipc_writer *writer = NULL;
  struct buffer out = BUFFER_EMPTY;
  struct error error = {0};
  enum status status =
      ipc_writer_new(writing->schema, &writing->options, &nomem_budget, &writer, &error);
  if (status == STATUS_OK) status = ipc_writer_schema(writer, &out, &error);
  if (status == STATUS_OK) status = ipc_writer_metadata(writer, metadata, &error);
  for (int64_t i = 0; i < writing->batch_count && status == STATUS_OK; i++)
    status = ipc_writer_batch(writer, &writing->batches[i], &out, &error);
  if (status == STATUS_OK) status = ipc_writer_end(writer, &out, &error);
  if (status != STATUS_OK) fail_msg("%s", error.text);
  ipc_writer_free(writer);
  return out;
}

static void try_writing(const char *name, struct writing *writing) {
  writing->wanted = written(writing);
  /* What cannot be doubled grows by what it takes. */
  assert_true(nomem_run(name, write_all, writing, INT64_MAX) > 5);
  buffer_release(&writing->wanted);
}

/* ---- golden files ---------------------------------------------------------------------------- */

/* Calls `each` for every golden file of that ending which is not too large. */
static void each_golden(const char *ending, void (*each)(const char *name, struct buffer *data)) {
  static const char root[] = ARROWPORT_TEST_DATA "/";
  char pattern[1024];
  glob_t found;
  int count = 0;
  snprintf(pattern, sizeof pattern, "%sarrow-ipc/*/*.%s", root, ending);
  assert_int_equal(glob(pattern, 0, NULL, &found), 0);
  for (size_t i = 0; i < found.gl_pathc; i++) {
    const char *name = found.gl_pathv[i] + sizeof root - 1;
    struct buffer data = test_data(name, &nomem_budget);
    if (data.size_bytes <= GOLDEN_BYTES_MAX) {
      each(name, &data);
      count++;
    }
    buffer_release(&data);
  }
  globfree(&found);
  assert_true(count > 80);
  assert_int_equal(nomem_budget.used_bytes, 0);
}

static void try_stream(const char *name, struct buffer *data) {
  struct reading reading = {.data = *data};
  assert_true(nomem_run(name, read_framed, &reading, 0) > 10);
  assert_true(nomem_run(name, read_cut, &reading, 0) > 5);
}

static void golden_streams_are_read_or_there_is_no_memory(void **state) {
  (void)state;
  each_golden("stream", try_stream);
}

static void try_file(const char *name, struct buffer *data) {
  struct reading reading = {.data = *data};
  assert_true(nomem_run(name, read_file, &reading, 0) > 5);
}

static void golden_files_are_read_or_there_is_no_memory(void **state) {
  (void)state;
  each_golden("arrow_file", try_file);
}

/* Each stream in one of the ways in which it can be written. */
static void try_writing_stream(const char *name, struct buffer *data) {
  static const struct ipc_writer_options options[] = {
      {.compression = IPC_COMPRESSION_NONE},
      {.compression = IPC_COMPRESSION_LZ4},
      {.compression = IPC_COMPRESSION_ZSTD, .format = IPC_FORMAT_FILE},
      {.compression = IPC_COMPRESSION_LZ4, .level = 9, .format = IPC_FORMAT_FILE},
      {.compression = IPC_COMPRESSION_ZSTD, .level = 3, .dictionary_deltas = true},
  };
  static size_t next = 0;
  struct read_all all;
  struct error error = {0};
  enum status status = read_all_memory(data, &nomem_budget, &all, &error);
  if (status != STATUS_OK) fail_msg("%s: %s", name, error.text);
  struct writing writing = {.schema = &all.schema,
                            .batches = all.batches,
                            .batch_count = all.batch_count,
                            .options = options[next++ % (sizeof options / sizeof options[0])]};
  try_writing(name, &writing);
  read_all_release(&all);
}

static void golden_streams_are_written_or_there_is_no_memory(void **state) {
  (void)state;
  each_golden("stream", try_writing_stream);
}

/* ---- dictionaries that change ------------------------------------------------------------------ */

/* A dictionary that grows, and one that is another: what is new is sent, or all of it. */
static void growing_dictionaries_are_written_and_read_or_there_is_no_memory(void **state) {
  (void)state;
  static const char *const words[] = {"red", "green", "blue, longer than a view holds", "grey"};
  static const int indices[] = {1, 0, 1};
  struct ArrowSchema schema = one_dictionary();
  struct ArrowArray batches[] = {
      looked_up(&schema, words, 2, indices, 3), looked_up(&schema, words, 4, indices, 3),
      looked_up(&schema, words, 4, indices, 3), looked_up(&schema, words + 1, 3, indices, 3)};
  for (int i = 0; i < 3; i++) {
    struct writing writing = {.schema = &schema, .batches = batches, .batch_count = 4};
    writing.options.dictionary_deltas = i > 0;
    writing.options.compression = i == 2 ? IPC_COMPRESSION_ZSTD : IPC_COMPRESSION_NONE;
    struct reading reading = {.data = written(&writing)};
    assert_true(nomem_run("dictionaries are read", read_framed, &reading, 0) > 10);
    buffer_release(&reading.data);
    try_writing("dictionaries are written", &writing);
    writing.batch_count = 3; /* a file cannot replace one */
    writing.options.format = IPC_FORMAT_FILE;
    reading = (struct reading){.data = written(&writing)};
    assert_true(nomem_run("a file's dictionaries are read", read_file, &reading, 0) > 10);
    buffer_release(&reading.data);
    try_writing("a file's dictionaries are written", &writing);
  }
  for (int i = 0; i < 4; i++) arrow_array_release(&batches[i]);
  arrow_schema_release(&schema);
  assert_int_equal(nomem_budget.used_bytes, 0);
}

/* ---- threads ----------------------------------------------------------------------------------- */

enum { WIDE_COLUMNS = 6, WIDE_ROWS = 40000, THREADS = 3 };

static struct ArrowSchema wide_schema(void) {
  struct ArrowSchema schema = {.release = NULL};
  assert_int_equal(arrow_schema_init(&schema, "+s", "", false, WIDE_COLUMNS, NULL), STATUS_OK);
  for (int i = 0; i < WIDE_COLUMNS; i++)
    assert_int_equal(arrow_schema_init(schema.children[i], "l", "number", true, 0, NULL),
                     STATUS_OK);
  return schema;
}

static struct ArrowArray wide_batch(const struct ArrowSchema *schema) {
  struct build *build = new_build(schema);
  for (int64_t row = 0; row < WIDE_ROWS; row++) {
    for (int64_t i = 0; i < WIDE_COLUMNS; i++)
      assert_int_equal(build_integer(build_child(build, i), row * i, NULL), STATUS_OK);
    end_row(build);
  }
  return finish_batch(build);
}

/* Which thread does what is not known before: a thread's context that cannot be made is a
 * failure, a thread that cannot be asked is none. */
static void large_bodies_are_compressed_on_threads_or_there_is_no_memory(void **state) {
  (void)state;
  static const enum ipc_compression compressions[] = {IPC_COMPRESSION_LZ4, IPC_COMPRESSION_ZSTD};
  struct ArrowSchema schema = wide_schema();
  struct ArrowArray batch = wide_batch(&schema);
  for (size_t i = 0; i < 2; i++) {
    struct writing writing = {.schema = &schema,
                              .batches = &batch,
                              .batch_count = 1,
                              .options = {.compression = compressions[i], .level = 1},
                              .threads = THREADS};
    writing.wanted = written(&writing);
    struct reading reading = {.data = writing.wanted, .threads = THREADS};
    nomem_run("writing on threads", write_all, &writing, INT64_MAX);
    nomem_run("reading on threads", read_framed, &reading, INT64_MAX);
    nomem_run("cutting on threads", read_cut, &reading, INT64_MAX);
    buffer_release(&writing.wanted);
  }
  arrow_array_release(&batch);
  arrow_schema_release(&schema);
  assert_int_equal(nomem_budget.used_bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(golden_streams_are_read_or_there_is_no_memory),
      cmocka_unit_test(golden_files_are_read_or_there_is_no_memory),
      cmocka_unit_test(golden_streams_are_written_or_there_is_no_memory),
      cmocka_unit_test(growing_dictionaries_are_written_and_read_or_there_is_no_memory),
      cmocka_unit_test(large_bodies_are_compressed_on_threads_or_there_is_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
