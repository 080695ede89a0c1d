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

/* ---- looking at a stream ----------------------------------------------------------- */

static int64_t little_endian(const uint8_t *at, int bytes) {
  int64_t value = 0;
  memcpy(&value, at, (size_t)bytes);
  return value;
}

/* Field `field` of the flatbuffer table at `table`, or NULL. */
static const uint8_t *table_field(const uint8_t *table, int field) {
  int32_t back;
  memcpy(&back, table, sizeof back);
  const uint8_t *vtable = table - back;
  int64_t offset = little_endian(vtable + 4 + 2 * (int64_t)field, 2);
  return 4 + 2 * field >= little_endian(vtable, 2) || offset == 0 ? NULL : table + offset;
}

enum { MESSAGE_HEADER_TYPE = 1, MESSAGE_BODY_LENGTH = 3, MESSAGES_MAX = 16 };

/* The messages' header types (1 schema, 2 dictionary, 3 batch), one a character; "." at
 * the end-of-stream marker. Every message takes a multiple of 64 bytes. */
static const char *message_types(const struct buffer *stream) {
  static char types[MESSAGES_MAX + 1];
  int count = 0;
  int64_t at = 0;
  while (at < stream->size_bytes && count < MESSAGES_MAX) {
    const uint8_t *prefix = stream->data + at;
    assert_int_equal(little_endian(prefix, 4), UINT32_MAX);
    int64_t metadata_bytes = little_endian(prefix + 4, 4);
    if (metadata_bytes == 0) {
      types[count++] = '.';
      at += 8;
      continue;
    }
    const uint8_t *message = prefix + 8 + little_endian(prefix + 8, 4);
    types[count++] = (char)('0' + *table_field(message, MESSAGE_HEADER_TYPE));
    int64_t body_bytes = little_endian(table_field(message, MESSAGE_BODY_LENGTH), 8);
    assert_int_equal((8 + metadata_bytes) % 64, 0);
    assert_int_equal(body_bytes % 64, 0);
    at += 8 + metadata_bytes + body_bytes;
  }
  assert_int_equal(at, stream->size_bytes);
  types[count] = '\0';
  return types;
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
    assert_string_equal(message_types(&stream), "123.");

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
  assert_string_equal(message_types(&stream), "123323323.");
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
      assert_string_equal(message_types(&stream), "123");
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
  assert_string_equal(message_types(&stream), "3");
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
  assert_string_equal(message_types(&stream), "123");
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

static void levels_that_zstd_lacks_are_refused(void **state) {
  (void)state;
  struct ArrowSchema schema = make_schema();
  static const struct {
    int level;
    enum status want;
  } cases[] = {
      {0, STATUS_OK}, {1, STATUS_OK}, {22, STATUS_OK}, {23, STATUS_INVALID}, {-1, STATUS_INVALID}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ipc_writer_options options = {.compression = IPC_COMPRESSION_ZSTD,
                                         .level = cases[i].level};
    struct ipc_writer *writer = NULL;
    assert_int_equal(ipc_writer_new(&schema, &options, &budget, &writer, NULL), cases[i].want);
    ipc_writer_free(writer);
  }
  arrow_schema_release(&schema);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_stream_reads_back_as_it_was),
      cmocka_unit_test(dictionaries_are_sent_when_they_change),
      cmocka_unit_test(a_refused_batch_can_be_repeated),
      cmocka_unit_test(output_is_reserved_once_and_exactly),
      cmocka_unit_test(appending_keeps_what_was_there),
      cmocka_unit_test(broken_arrays_are_refused),
      cmocka_unit_test(levels_that_zstd_lacks_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
