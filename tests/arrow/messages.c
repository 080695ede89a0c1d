#include "arrow/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

struct budget messages_budget = {.limit_bytes = (int64_t)1 << 40};

/* ---- making ---------------------------------------------------------------------------- */

/* A schema of one column "speed". */
struct ArrowSchema one_column(const char *format) {
  struct ArrowSchema schema = {.release = NULL};
  assert_int_equal(arrow_schema_init(&schema, "+s", "", false, 1, NULL), STATUS_OK);
  assert_int_equal(arrow_schema_init(schema.children[0], format, "speed", true, 0, NULL),
                   STATUS_OK);
  return schema;
}

/* One whose values are looked up. */
struct ArrowSchema one_dictionary(void) {
  struct ArrowSchema values = {.format = "u", .flags = ARROW_FLAG_NULLABLE};
  struct ArrowSchema column = {
      .format = "c", .name = "speed", .flags = ARROW_FLAG_NULLABLE, .dictionary = &values};
  struct ArrowSchema *columns[] = {&column};
  struct ArrowSchema schema = {.format = "+s", .n_children = 1, .children = columns};
  struct ArrowSchema copy = {.release = NULL};
  assert_int_equal(arrow_schema_copy(&schema, &copy, NULL), STATUS_OK);
  return copy;
}

struct build *new_build(const struct ArrowSchema *schema) {
  struct build *build = NULL;
  assert_int_equal(build_new(schema, &messages_budget, &build, NULL), STATUS_OK);
  return build;
}

void end_row(struct build *build) { assert_int_equal(build_slot(build, NULL), STATUS_OK); }

struct ArrowArray finish_batch(struct build *build) {
  struct ArrowArray batch = {.release = NULL};
  assert_int_equal(build_finish(build, &batch, NULL), STATUS_OK);
  build_free(build);
  return batch;
}

struct ArrowArray texts(const struct ArrowSchema *schema, const char *const *words, int count) {
  struct build *build = new_build(schema);
  for (int i = 0; i < count; i++) {
    struct build *column = build_child(build, 0);
    assert_int_equal(words[i] == NULL
                         ? build_null(column, NULL)
                         : build_bytes(column, words[i], (int64_t)strlen(words[i]), NULL),
                     STATUS_OK);
    end_row(build);
  }
  return finish_batch(build);
}

/* Numbers from 0 on; every tenth is null. */
struct ArrowArray numbers(const struct ArrowSchema *schema, int64_t rows) {
  struct build *build = new_build(schema);
  for (int64_t i = 0; i < rows; i++) {
    struct build *column = build_child(build, 0);
    assert_int_equal(i % 10 == 9 ? build_null(column, NULL) : build_integer(column, i, NULL),
                     STATUS_OK);
    end_row(build);
  }
  return finish_batch(build);
}

struct ArrowArray looked_up(const struct ArrowSchema *schema, const char *const *values,
                            int value_count, const int *indices, int count) {
  struct build *build = new_build(schema);
  struct build *column = build_child(build, 0);
  for (int i = 0; i < value_count; i++)
    assert_int_equal(
        build_bytes(build_child(column, 0), values[i], (int64_t)strlen(values[i]), NULL),
        STATUS_OK);
  for (int i = 0; i < count; i++) {
    assert_int_equal(build_integer(column, indices[i], NULL), STATUS_OK);
    end_row(build);
  }
  return finish_batch(build);
}

/* ---- messages --------------------------------------------------------------------------- */

static struct messages cut(const struct buffer *stream) {
  struct messages messages = {.count = 0};
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_framer *framer = NULL;
  assert_int_equal(ipc_framer_new(&limits, &messages_budget, &framer, NULL), STATUS_OK);
  for (int64_t at = 0; at < stream->size_bytes;) {
    uint8_t *window = NULL;
    int64_t bytes = 0;
    enum ipc_frame frame = IPC_FRAME_PARTIAL;
    assert_int_equal(ipc_framer_window(framer, &window, &bytes, NULL), STATUS_OK);
    assert_true(bytes <= stream->size_bytes - at);
    memcpy(window, stream->data + at, (size_t)bytes);
    assert_int_equal(ipc_framer_filled(framer, bytes, &frame, NULL), STATUS_OK);
    at += bytes;
    if (frame != IPC_FRAME_MESSAGE) continue;
    assert_true(messages.count < MESSAGES_MAX);
    ipc_framer_take(framer, &messages.list[messages.count++]);
  }
  ipc_framer_free(framer);
  return messages;
}

/* What the writer makes of the batches, which are released. */
struct messages write_messages(const struct ArrowSchema *schema, struct ArrowArray *batches,
                               int count, enum ipc_compression compression) {
  struct ipc_writer_options options = {.compression = compression};
  struct ipc_writer *writer = NULL;
  struct buffer stream = BUFFER_EMPTY;
  assert_int_equal(ipc_writer_new(schema, &options, &messages_budget, &writer, NULL), STATUS_OK);
  assert_int_equal(ipc_writer_schema(writer, &stream, NULL), STATUS_OK);
  for (int i = 0; i < count; i++) {
    assert_int_equal(ipc_writer_batch(writer, &batches[i], &stream, NULL), STATUS_OK);
    arrow_array_release(&batches[i]);
  }
  ipc_writer_free(writer);
  struct messages messages = cut(&stream);
  buffer_release(&stream);
  return messages;
}

void release_messages(struct messages *messages) {
  for (int i = 0; i < messages->count; i++) ipc_message_release(&messages->list[i]);
}

/* Where `pattern` lies in the buffer, at a multiple of 4; it must be there once. */
uint8_t *find_in(const struct buffer *buffer, const void *pattern, size_t bytes) {
  uint8_t *found = NULL;
  for (int64_t at = 0; at + (int64_t)bytes <= buffer->size_bytes; at += 4) {
    if (memcmp(buffer->data + at, pattern, bytes) != 0) continue;
    assert_null(found);
    found = buffer->data + at;
  }
  assert_non_null(found);
  return found;
}
