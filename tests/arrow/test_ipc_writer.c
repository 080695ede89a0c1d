/* What the writer does that a reader does not see, or only by accident: the form of
 * the stream, failures, and that nothing is left behind. That the values are right is
 * shown by other readers, in tests/e2e/test_ipc_roundtrip.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/build.h"
#include "arrow/ipc.h"
#include "arrow/read_all.h"
#include "arrow/written.h"

enum { MEMORY_BYTES = 64 << 20 };

static struct budget budget = {.limit_bytes = MEMORY_BYTES};

/* Columns "number" (int64), "word" (utf8) and "colour" (dictionary of utf8). */
static struct ArrowSchema make_schema(void) {
  struct ArrowSchema colours = {.format = "u", .flags = ARROW_FLAG_NULLABLE};
  struct ArrowSchema number = {.format = "l", .name = "number", .flags = ARROW_FLAG_NULLABLE};
  struct ArrowSchema word = {.format = "u", .name = "word", .flags = ARROW_FLAG_NULLABLE};
  struct ArrowSchema colour = {
      .format = "c", .name = "colour", .flags = ARROW_FLAG_NULLABLE, .dictionary = &colours};
  struct ArrowSchema *columns[] = {&number, &word, &colour};
  struct ArrowSchema schema = {.format = "+s", .n_children = 3, .children = columns};
  struct ArrowSchema copy = {0};
  assert_int_equal(arrow_schema_copy(&schema, &copy, NULL), STATUS_OK);
  return copy;
}

/* `rows` rows; the dictionary holds `colour` and "blue". */
static struct ArrowArray make_batch(const struct ArrowSchema *schema, int64_t rows,
                                    const char *colour) {
  struct build *build = NULL;
  struct ArrowArray batch = {0};
  assert_int_equal(build_new(schema, &budget, &build, NULL), STATUS_OK);
  struct build *indices = build_child(build, 2);
  assert_int_equal(build_bytes(build_child(indices, 0), colour, (int64_t)strlen(colour), NULL),
                   STATUS_OK);
  assert_int_equal(build_bytes(build_child(indices, 0), "blue", 4, NULL), STATUS_OK);
  for (int64_t i = 0; i < rows; i++) {
    struct build *number = build_child(build, 0);
    assert_int_equal(i % 7 == 0 ? build_null(number, NULL) : build_integer(number, i, NULL),
                     STATUS_OK);
    assert_int_equal(build_bytes(build_child(build, 1), "a few words", i % 12, NULL), STATUS_OK);
    assert_int_equal(build_integer(indices, i % 2, NULL), STATUS_OK);
    assert_int_equal(build_slot(build, NULL), STATUS_OK);
  }
  assert_int_equal(build_finish(build, &batch, NULL), STATUS_OK);
  build_free(build);
  return batch;
}

static struct ipc_writer *new_writer(const struct ArrowSchema *schema,
                                     enum ipc_compression compression) {
  struct ipc_writer_options options = {.compression = compression};
  struct ipc_writer *writer = NULL;
  assert_int_equal(ipc_writer_new(schema, &options, &budget, &writer, NULL), STATUS_OK);
  return writer;
}

/* ---- tests ------------------------------------------------------------------------- */

static void a_stream_reads_back_as_it_was(void **state) {
  (void)state;
  static const enum ipc_compression compressions[] = {IPC_COMPRESSION_NONE, IPC_COMPRESSION_LZ4,
                                                      IPC_COMPRESSION_ZSTD};
  for (size_t c = 0; c < sizeof compressions / sizeof compressions[0]; c++) {
    struct ArrowSchema schema = make_schema();
    struct ArrowArray batch = make_batch(&schema, 1000, "red");
    struct ipc_writer *writer = new_writer(&schema, compressions[c]);
    struct buffer stream = BUFFER_EMPTY;
    assert_int_equal(ipc_writer_schema(writer, &stream, NULL), STATUS_OK);
    assert_int_equal(ipc_writer_batch(writer, &batch, &stream, NULL), STATUS_OK);
    assert_int_equal(ipc_writer_end(writer, &stream, NULL), STATUS_OK);
    assert_string_equal(written_messages(&stream), "sdb.");

    struct read_all_options options = {0};
    struct read_all all = {0};
    assert_int_equal(read_all_stream(stream.data, stream.size_bytes, &options, &budget, &all, NULL),
                     STATUS_OK);
    assert_true(arrow_schema_equal(&schema, &all.schema, NULL));
    assert_int_equal(all.rows, 1000);
    const struct ArrowArray *number = all.batches[0].children[0];
    const int64_t *numbers = number->buffers[1];
    assert_int_equal(number->null_count, 143);
    for (int64_t i = 0; i < 1000; i++)
      if (i % 7 != 0) assert_int_equal(numbers[i], i);
    assert_memory_equal(all.batches[0].children[1]->buffers[1], batch.children[1]->buffers[1],
                        1001 * sizeof(int32_t));
    read_all_release(&all);
    buffer_release(&stream);
    ipc_writer_free(writer);
    arrow_array_release(&batch);
    arrow_schema_release(&schema);
    assert_int_equal(budget.used_bytes, 0);
  }
}

static void dictionaries_are_sent_when_they_change(void **state) {
  (void)state;
  struct ArrowSchema schema = make_schema();
  struct ipc_writer *writer = new_writer(&schema, IPC_COMPRESSION_NONE);
  struct buffer stream = BUFFER_EMPTY;
  assert_int_equal(ipc_writer_schema(writer, &stream, NULL), STATUS_OK);
  static const char *const colours[] = {"red", "red", "green", "green", "red"};
  for (int i = 0; i < 5; i++) { /* each in memory of its own, perhaps where the last one was */
    struct ArrowArray batch = make_batch(&schema, 10, colours[i]);
    assert_int_equal(ipc_writer_batch(writer, &batch, &stream, NULL), STATUS_OK);
    arrow_array_release(&batch);
  }
  assert_int_equal(ipc_writer_end(writer, &stream, NULL), STATUS_OK);
  assert_string_equal(written_messages(&stream), "sdbbdbbdb.");
  buffer_release(&stream);
  ipc_writer_free(writer);
  arrow_schema_release(&schema);
  assert_int_equal(budget.used_bytes, 0);
}

/* With any limit a call either succeeds, or leaves the output as it was and may be
 * repeated; the stream is the same in the end. */
static void a_refused_batch_can_be_repeated(void **state) {
  (void)state;
  struct ArrowSchema schema = make_schema();
  struct ArrowArray batch = make_batch(&schema, 500, "red");
  int64_t held_bytes = budget.used_bytes;
  int refusals = 0;
  for (int c = IPC_COMPRESSION_NONE; c <= IPC_COMPRESSION_ZSTD; c++) {
    for (int64_t spare_bytes = 0; spare_bytes < 32768; spare_bytes += 512) {
      struct ipc_writer *writer = new_writer(&schema, (enum ipc_compression)c);
      struct buffer stream = BUFFER_EMPTY;
      assert_int_equal(ipc_writer_schema(writer, &stream, NULL), STATUS_OK);
      int64_t before_bytes = stream.size_bytes;
      budget.limit_bytes = budget.used_bytes + spare_bytes;
      enum status status = ipc_writer_batch(writer, &batch, &stream, NULL);
      budget.limit_bytes = MEMORY_BYTES;
      if (status != STATUS_OK) {
        refusals++;
        assert_int_equal(status, STATUS_BUDGET);
        assert_int_equal(stream.size_bytes, before_bytes);
        assert_int_equal(ipc_writer_batch(writer, &batch, &stream, NULL), STATUS_OK);
      }
      assert_string_equal(written_messages(&stream), "sdb");
      buffer_release(&stream);
      ipc_writer_free(writer);
      assert_int_equal(budget.used_bytes, held_bytes);
    }
  }
  assert_true(refusals > 10);
  arrow_array_release(&batch);
  arrow_schema_release(&schema);
}

static void output_is_reserved_once_and_exactly(void **state) {
  (void)state;
  struct ArrowSchema schema = make_schema();
  struct ArrowArray batch = make_batch(&schema, 5000, "red");
  struct ipc_writer *writer = new_writer(&schema, IPC_COMPRESSION_NONE);
  struct buffer stream = BUFFER_EMPTY;
  assert_int_equal(ipc_writer_schema(writer, &stream, NULL), STATUS_OK);
  assert_int_equal(stream.capacity_bytes, stream.size_bytes);
  buffer_release(&stream);
  assert_int_equal(ipc_writer_batch(writer, &batch, &stream, NULL), STATUS_OK);
  buffer_release(&stream); /* the dictionary went with it */
  assert_int_equal(ipc_writer_batch(writer, &batch, &stream, NULL), STATUS_OK);
  assert_string_equal(written_messages(&stream), "b");
  assert_int_equal(stream.capacity_bytes, stream.size_bytes);
  buffer_release(&stream);
  ipc_writer_free(writer);
  arrow_array_release(&batch);
  arrow_schema_release(&schema);
}

static void appending_keeps_what_was_there(void **state) {
  (void)state;
  struct ArrowSchema schema = make_schema();
  struct ipc_writer *writer = new_writer(&schema, IPC_COMPRESSION_NONE);
  struct buffer out = BUFFER_EMPTY;
  assert_int_equal(buffer_append(&out, &budget, "odd", 3, NULL), STATUS_OK);
  assert_int_equal(ipc_writer_schema(writer, &out, NULL), STATUS_OK);
  struct ArrowArray batch = make_batch(&schema, 100, "red");
  batch.offset = 3; /* bitmaps and offsets are made, at an odd place */
  batch.length = 90;
  assert_int_equal(ipc_writer_batch(writer, &batch, &out, NULL), STATUS_OK);
  assert_memory_equal(out.data, "odd", 3);
  struct buffer stream = buffer_slice(&out, 3, out.size_bytes - 3);
  assert_string_equal(written_messages(&stream), "sdb");
  buffer_release(&stream);
  buffer_release(&out);
  arrow_array_release(&batch);
  ipc_writer_free(writer);
  arrow_schema_release(&schema);
  assert_int_equal(budget.used_bytes, 0);
}

/* Arrays that are not of the schema, or contradict themselves. */
static void broken_arrays_are_refused(void **state) {
  (void)state;
  struct ArrowSchema schema = make_schema();
  struct ipc_writer *writer = new_writer(&schema, IPC_COMPRESSION_NONE);
  struct buffer out = BUFFER_EMPTY;
  assert_int_equal(ipc_writer_schema(writer, &out, NULL), STATUS_OK);
  int64_t before_bytes = out.size_bytes;
  for (int broken = 0; broken < 7; broken++) {
    struct ArrowArray batch = make_batch(&schema, 20, "red");
    struct ArrowArray *number = batch.children[0];
    struct ArrowArray *word = batch.children[1];
    struct ArrowArray kept = *number;
    struct ArrowArray *dictionary = batch.children[2]->dictionary;
    const void *buffer = NULL;
    int32_t *offsets = (int32_t *)(uintptr_t)word->buffers[1];
    switch (broken) {
    case 0: batch.length = 21; break;
    case 1: number->length = 19; break;
    case 2: number->n_buffers = 1; break;
    case 3: buffer = number->buffers[0], number->buffers[0] = NULL; break;
    case 4: offsets[20] = -1; break;
    case 5: batch.children[2]->dictionary = NULL; break;
    default: number->offset = INT64_MAX; break;
    }
    struct error error = {0};
    assert_int_equal(ipc_writer_batch(writer, &batch, &out, &error), STATUS_INVALID);
    assert_true(strlen(error.text) > 0);
    assert_int_equal(out.size_bytes, before_bytes);
    *number = kept;
    if (broken == 3) number->buffers[0] = buffer;
    batch.children[2]->dictionary = dictionary;
    arrow_array_release(&batch);
  }
  buffer_release(&out);
  ipc_writer_free(writer);
  arrow_schema_release(&schema);
  assert_int_equal(budget.used_bytes, 0);
}

/* ---- custom metadata ------------------------------------------------------------------- */

/* What the decoder says came with each batch of the stream, "" for nothing: the first value. */
static void read_values(const struct buffer *stream, char values[][8], int count) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_decoder *decoder = NULL;
  int64_t at = 0;
  int batch_count = 0;
  assert_int_equal(ipc_decoder_new(&limits, &budget, &decoder, NULL), STATUS_OK);
  for (;;) {
    struct ipc_message message = {.offset_bytes = 0};
    struct ArrowArray batch = {.release = NULL};
    enum ipc_frame frame;
    enum ipc_event event;
    assert_int_equal(ipc_cut(stream, &limits, false, &at, &message, &frame, NULL), STATUS_OK);
    if (frame == IPC_FRAME_END) break;
    assert_int_equal(ipc_decoder_decode(decoder, &message, &event, &batch, NULL), STATUS_OK);
    const char *metadata = ipc_decoder_metadata(decoder);
    if (event != IPC_EVENT_BATCH) {
      assert_null(metadata);
      continue;
    }
    assert_true(batch_count < count);
    strcpy(values[batch_count], "");
    if (metadata != NULL) { /* one pair, the key of one character */
      assert_memory_equal(metadata, "\1\0\0\0\1\0\0\0k", 9);
      memcpy(values[batch_count], metadata + 13, (size_t)metadata[9]);
      values[batch_count][(int)metadata[9]] = '\0';
    }
    batch_count++;
    arrow_array_release(&batch);
  }
  assert_int_equal(batch_count, count);
  ipc_decoder_free(decoder);
}

static void metadata_comes_with_the_next_batch_only(void **state) {
  (void)state;
  char given[] = "\1\0\0\0\1\0\0\0k\5\0\0\0value";
  struct ArrowSchema schema = make_schema();
  struct ArrowArray batch = make_batch(&schema, 10, "red");
  struct ipc_writer *writer = new_writer(&schema, IPC_COMPRESSION_NONE);
  struct buffer stream = BUFFER_EMPTY;
  assert_int_equal(ipc_writer_schema(writer, &stream, NULL), STATUS_OK);
  assert_int_equal(ipc_writer_metadata(writer, "\0\0\0\0", NULL), STATUS_OK); /* no pairs */
  assert_int_equal(ipc_writer_metadata(writer, given, NULL), STATUS_OK);
  memset(given, 'x', sizeof given - 1); /* it has been copied */
  budget.limit_bytes = budget.used_bytes;
  assert_int_equal(ipc_writer_batch(writer, &batch, &stream, NULL), STATUS_BUDGET);
  budget.limit_bytes = MEMORY_BYTES;
  assert_int_equal(ipc_writer_batch(writer, &batch, &stream, NULL), STATUS_OK);
  assert_int_equal(ipc_writer_batch(writer, &batch, &stream, NULL), STATUS_OK);
  assert_int_equal(ipc_writer_metadata(writer, "\1\0\0\0\1\0\0\0k\3\0\0\0one", NULL), STATUS_OK);
  assert_int_equal(ipc_writer_metadata(writer, "\1\0\0\0\1\0\0\0k\3\0\0\0two", NULL), STATUS_OK);
  assert_int_equal(ipc_writer_batch(writer, &batch, &stream, NULL), STATUS_OK);
  assert_int_equal(ipc_writer_metadata(writer, "\1\0\0\0\1\0\0\0k\3\0\0\0not", NULL), STATUS_OK);
  assert_int_equal(ipc_writer_metadata(writer, NULL, NULL), STATUS_OK);
  assert_int_equal(ipc_writer_batch(writer, &batch, &stream, NULL), STATUS_OK);
  assert_int_equal(ipc_writer_end(writer, &stream, NULL), STATUS_OK);
  assert_string_equal(written_messages(&stream), "sdbbbb.");
  static const char *const want[] = {"value", "", "two", ""};
  char values[4][8];
  read_values(&stream, values, 4);
  for (int i = 0; i < 4; i++) assert_string_equal(values[i], want[i]);
  buffer_release(&stream);
  ipc_writer_free(writer);
  arrow_array_release(&batch);
  arrow_schema_release(&schema);
  assert_int_equal(budget.used_bytes, 0);
}

static void metadata_that_counts_below_zero_is_refused(void **state) {
  (void)state;
  struct ArrowSchema schema = make_schema();
  struct ipc_writer *writer = new_writer(&schema, IPC_COMPRESSION_NONE);
  assert_int_equal(ipc_writer_metadata(writer, "\xFF\xFF\xFF\xFF", NULL), STATUS_INVALID);
  assert_int_equal(ipc_writer_metadata(writer, "\1\0\0\0\xFE\xFF\xFF\xFF", NULL), STATUS_INVALID);
  ipc_writer_free(writer);
  arrow_schema_release(&schema);
  assert_int_equal(budget.used_bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_stream_reads_back_as_it_was),
      cmocka_unit_test(dictionaries_are_sent_when_they_change),
      cmocka_unit_test(a_refused_batch_can_be_repeated),
      cmocka_unit_test(output_is_reserved_once_and_exactly),
      cmocka_unit_test(appending_keeps_what_was_there),
      cmocka_unit_test(broken_arrays_are_refused),
      cmocka_unit_test(metadata_comes_with_the_next_batch_only),
      cmocka_unit_test(metadata_that_counts_below_zero_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
