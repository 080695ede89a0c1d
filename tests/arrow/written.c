#include "arrow/written.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/array.h"
#include "arrow/read_all.h"

struct budget written_budget = {.limit_bytes = (int64_t)256 << 20};

struct buffer written(const struct ArrowSchema *schema, const struct ArrowArray *const *batches,
                      int count, const struct ipc_writer_options *options) {
  struct ipc_writer *writer = NULL;
  struct buffer out = BUFFER_EMPTY;
  struct error error = {.status = STATUS_OK};
  enum status status = ipc_writer_new(schema, options, &written_budget, &writer, &error);
  if (status == STATUS_OK) status = ipc_writer_schema(writer, &out, &error);
  for (int i = 0; i < count && status == STATUS_OK; i++)
    status = ipc_writer_batch(writer, batches[i], &out, &error);
  if (status == STATUS_OK) status = ipc_writer_end(writer, &out, &error);
  if (status != STATUS_OK) fail_msg("it cannot be written: %s", error.text);
  ipc_writer_free(writer);
  return out;
}

/* ---- messages -------------------------------------------------------------------------- */

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

enum { MESSAGE_TYPE = 1, MESSAGE_CONTENT = 2, MESSAGE_BODY = 3, DICTIONARY_DELTA = 2 };
enum { MESSAGES_MAX = 63, MAGIC_BYTES = 8 };

static char message_letter(const uint8_t *message) {
  static const char letters[] = "?sdb";
  char letter = letters[*table_field(message, MESSAGE_TYPE) % 4];
  if (letter != 'd') return letter;
  const uint8_t *content = table_field(message, MESSAGE_CONTENT);
  const uint8_t *is_delta = table_field(content + little_endian(content, 4), DICTIONARY_DELTA);
  return is_delta != NULL && *is_delta != 0 ? '+' : 'd';
}

const char *written_messages(const struct buffer *bytes) {
  static char types[MESSAGES_MAX + 1];
  int count = 0;
  int64_t at = ipc_file_magic(bytes->data, bytes->size_bytes) ? MAGIC_BYTES : 0;
  while (at < bytes->size_bytes && count < MESSAGES_MAX) {
    const uint8_t *prefix = bytes->data + at;
    assert_int_equal(little_endian(prefix, 4), UINT32_MAX);
    int64_t metadata_bytes = little_endian(prefix + 4, 4);
    if (metadata_bytes == 0) {
      types[count++] = '.';
      break;
    }
    const uint8_t *message = prefix + 8 + little_endian(prefix + 8, 4);
    types[count++] = message_letter(message);
    int64_t body_bytes = little_endian(table_field(message, MESSAGE_BODY), 8);
    at += 8 + metadata_bytes;
    assert_int_equal(at % 64, 0);
    assert_int_equal(body_bytes % 64, 0);
    at += body_bytes;
  }
  types[count] = '\0';
  return types;
}

/* ---- there and back ---------------------------------------------------------------------- */

static void expect_same_bytes(const struct ArrowSchema *schema,
                              const struct ArrowArray *const *batches, int count,
                              const struct buffer *bytes) {
  struct read_all_options whole = {0};
  struct read_all all = {0};
  struct error error = {.status = STATUS_OK};
  enum status status =
      ipc_file_magic(bytes->data, bytes->size_bytes)
          ? read_all_file(bytes->data, bytes->size_bytes, &written_budget, &all, &error)
          : read_all_stream(bytes->data, bytes->size_bytes, &whole, &written_budget, &all, &error);
  if (status != STATUS_OK) fail_msg("it cannot be read: %s", error.text);
  if (!arrow_schema_equal(schema, &all.schema, &error)) fail_msg("the schema: %s", error.text);
  assert_int_equal(all.batch_count, count);
  for (int i = 0; i < count; i++) {
    if (arrow_array_check(schema, &all.batches[i], ARRAY_CHECK_FULL, &error) != STATUS_OK)
      fail_msg("batch %d as read: %s", i, error.text);
    if (!arrow_array_equal(schema, batches[i], &all.batches[i], &error))
      fail_msg("batch %d is another: %s", i, error.text);
  }
  read_all_release(&all);
}

void expect_same(const struct ArrowSchema *schema, const struct ArrowArray *const *batches,
                 int count) {
  struct error error = {.status = STATUS_OK};
  for (int i = 0; i < count; i++)
    if (arrow_array_check(schema, batches[i], ARRAY_CHECK_FULL, &error) != STATUS_OK)
      fail_msg("the test's batch %d: %s", i, error.text);
  for (int c = IPC_COMPRESSION_NONE; c <= IPC_COMPRESSION_ZSTD; c++) {
    for (int f = IPC_FORMAT_STREAM; f <= IPC_FORMAT_FILE; f++) {
      struct ipc_writer_options options = {.compression = (enum ipc_compression)c,
                                           .format = (enum ipc_format)f};
      struct buffer bytes = written(schema, batches, count, &options);
      expect_same_bytes(schema, batches, count, &bytes);
      buffer_release(&bytes);
    }
  }
  assert_int_equal(written_budget.used_bytes, 0);
}

void expect_same_slices(struct ArrowSchema *column, const struct ArrowArray *array) {
  struct ArrowSchema schema = {.format = "+s", HAND_FIELDS(column)};
  for (int64_t start = 0; start <= array->length; start++) {
    for (int64_t length = 0; length <= array->length - start; length++) {
      struct ArrowArray whole = *array;
      struct ArrowArray cut = *array;
      cut.offset += start;
      cut.length = length;
      if (length < array->length && cut.null_count > 0) cut.null_count = -1;
      struct ArrowArray by_parent = {
          .length = length, .offset = start, HAND_BUFFERS(NULL), HAND_CHILDREN(&whole)};
      struct ArrowArray by_itself = {.length = length, HAND_BUFFERS(NULL), HAND_CHILDREN(&cut)};
      const struct ArrowArray *batches[] = {&by_parent, &by_itself};
      expect_same(&schema, batches, 2);
    }
  }
}

void expect_refused(struct ArrowSchema *column, struct ArrowArray *array, const char *text) {
  struct ArrowSchema schema = {.format = "+s", HAND_FIELDS(column)};
  struct ArrowArray batch = {.length = array->length, HAND_BUFFERS(NULL), HAND_CHILDREN(array)};
  struct ipc_writer *writer = NULL;
  struct buffer out = BUFFER_EMPTY;
  struct error error = {.text = ""};
  char name[64];
  snprintf(name, sizeof name, "\"%s\"", column->name);
  assert_int_equal(ipc_writer_new(&schema, NULL, &written_budget, &writer, NULL), STATUS_OK);
  assert_int_equal(ipc_writer_schema(writer, &out, NULL), STATUS_OK);
  int64_t before_bytes = out.size_bytes;
  assert_int_equal(ipc_writer_batch(writer, &batch, &out, &error), STATUS_INVALID);
  assert_int_equal(out.size_bytes, before_bytes);
  if (strstr(error.text, text) == NULL || strstr(error.text, name) == NULL)
    fail_msg("it says: %s", error.text);
  buffer_release(&out);
  ipc_writer_free(writer);
}
