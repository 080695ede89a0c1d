#include "ipc_feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/array.h"
#include "../tests/arrow/array_walk.h"

enum { MEMORY_BYTES = 64 << 20, ALIGNMENT_BYTES = 8, THREADS = 2 };

struct budget feed_budget = {.limit_bytes = MEMORY_BYTES};

const struct ipc_limits feed_limits = {
    .metadata_bytes_max = 1 << 20,
    .body_bytes_max = 4 << 20,
    .decoded_bytes_max = 4 << 20,
};

/* ---- promises ------------------------------------------------------------------------------ */

void feed_expect(bool holds, const char *promise) {
  if (holds) return;
  fprintf(stderr, "not so: %s\n", promise);
  abort();
}

void feed_expect_refusal(enum status status, const struct error *error) {
  if (status == STATUS_OK) return;
  bool is_known = status == STATUS_INVALID || status == STATUS_UNSUPPORTED ||
                  status == STATUS_TOO_LARGE || status == STATUS_BUDGET;
  if (!is_known) fprintf(stderr, "%s: %s\n", status_name(status), error->text);
  feed_expect(is_known, "a refusal is one that bytes can cause");
  feed_expect(error->status == status && error->text[0] != '\0', "a refusal says why");
}

void feed_expect_nothing_held(const struct budget *budget) {
  feed_expect(atomic_load(&budget->used_bytes) == 0, "all memory is given back");
}

struct buffer feed_copy(const uint8_t *data, int64_t bytes, int shift) {
  struct buffer copy = BUFFER_EMPTY;
  shift %= ALIGNMENT_BYTES;
  uint8_t *block = malloc((size_t)(bytes + shift));
  if (block == NULL && bytes + shift > 0) abort();
  if (bytes > 0) memcpy(block + shift, data, (size_t)bytes);
  if (buffer_wrap(&copy, block + shift, bytes, free, block, NULL) != STATUS_OK) abort();
  return copy;
}

struct workers *feed_workers(bool wanted) {
  static struct workers *workers = NULL; /* as long as the process */
  if (!wanted) return NULL;
  if (workers == NULL && workers_new(THREADS, &workers, NULL) != STATUS_OK) abort();
  return workers;
}

/* ---- schemas ------------------------------------------------------------------------------- */

/* Bytes of metadata in the encoding of ArrowSchema.metadata; 0: NULL. */
static int64_t metadata_bytes(const char *metadata) {
  int32_t pairs;
  int64_t at = sizeof pairs;
  if (metadata == NULL) return 0;
  memcpy(&pairs, metadata, sizeof pairs);
  feed_expect(pairs >= 0, "metadata has no negative count");
  for (int64_t i = 0; i < 2 * (int64_t)pairs; i++) {
    int32_t length;
    memcpy(&length, metadata + at, sizeof length);
    feed_expect(length >= 0, "metadata has no negative length");
    at += (int64_t)sizeof length + length;
  }
  return at;
}

char *feed_copy_metadata(const char *metadata) {
  int64_t bytes = metadata_bytes(metadata);
  if (bytes == 0) return NULL;
  char *copy = malloc((size_t)bytes);
  if (copy == NULL) abort();
  memcpy(copy, metadata, (size_t)bytes);
  return copy;
}

void feed_expect_same_metadata(const char *left, const char *right) {
  int64_t bytes = metadata_bytes(left);
  feed_expect(metadata_bytes(right) == bytes, "metadata has the same length");
  if (bytes > 0) feed_expect(memcmp(left, right, (size_t)bytes) == 0, "metadata is the same");
}

static void check_field(const struct ArrowSchema *schema) {
  struct arrow_type type;
  feed_expect(schema->release != NULL && schema->format != NULL, "a field is whole");
  feed_expect(arrow_type_parse(schema->format, &type, NULL) == STATUS_OK, "a format is known");
  feed_expect_same_metadata(schema->metadata, schema->metadata);
  if (schema->name != NULL)
    feed_expect(utf8_valid_bytes((const uint8_t *)schema->name, strlen(schema->name)) ==
                    strlen(schema->name),
                "a name is UTF-8");
  for (int64_t i = 0; i < schema->n_children; i++) check_field(schema->children[i]);
  if (schema->dictionary != NULL) check_field(schema->dictionary);
}

void feed_check_schema(const struct ArrowSchema *schema) {
  struct ArrowSchema copy = {.release = NULL};
  struct text text = TEXT_EMPTY;
  check_field(schema);
  feed_expect(arrow_schema_copy(schema, &copy, NULL) == STATUS_OK, "a schema can be copied");
  feed_expect_same_schema(schema, &copy);
  feed_expect(arrow_type_print(schema, &text, NULL) == STATUS_OK, "a schema can be printed");
  feed_expect(text.size_bytes > 0, "a schema has a text");
  text_release(&text);
  arrow_schema_release(&copy);
}

static void expect_same_fields(const struct ArrowSchema *left, const struct ArrowSchema *right) {
  feed_expect_same_metadata(left->metadata, right->metadata);
  feed_expect(left->flags == right->flags, "flags are the same");
  for (int64_t i = 0; i < left->n_children; i++)
    expect_same_fields(left->children[i], right->children[i]);
  if (left->dictionary != NULL) expect_same_fields(left->dictionary, right->dictionary);
}

void feed_expect_same_schema(const struct ArrowSchema *left, const struct ArrowSchema *right) {
  struct error where;
  bool is_same = arrow_schema_equal(left, right, &where);
  feed_expect(is_same, is_same ? "" : where.text);
  expect_same_fields(left, right);
}

/* ---- batches ------------------------------------------------------------------------------- */

uint64_t feed_check_batch(const struct ArrowSchema *schema, const struct ArrowArray *batch) {
  struct error error;
  uint64_t sum = 0;
  const char *broken = array_walk(schema, batch, &sum);
  feed_expect(broken == NULL, broken);
  enum status status = arrow_array_check(schema, batch, ARRAY_CHECK_FULL, &error);
  feed_expect(status == STATUS_OK, error.text);
  return sum;
}

void feed_expect_same_batch(const struct ArrowSchema *schema, const struct ArrowArray *left,
                            const struct ArrowArray *right) {
  struct error where = {.status = STATUS_OK};
  feed_expect(left->length == right->length, "batches have the same rows");
  feed_expect(arrow_array_equal(schema, left, right, &where), where.text);
}

/* ---- messages ------------------------------------------------------------------------------ */

struct ipc_decoder *feed_decoder(const struct ipc_limits *limits, struct budget *budget,
                                 bool threads) {
  struct ipc_decoder *decoder = NULL;
  if (ipc_decoder_new(limits, budget, &decoder, NULL) != STATUS_OK) abort();
  ipc_decoder_use_workers(decoder, feed_workers(threads));
  return decoder;
}

struct feed_event feed_decode(struct ipc_decoder *decoder, struct ipc_message *message) {
  struct feed_event decoded = {.sum = 0};
  struct error error = {.status = STATUS_OK};
  bool had_schema = ipc_decoder_schema(decoder) != NULL;
  decoded.status = ipc_decoder_decode(decoder, message, &decoded.event, &decoded.batch, &error);
  feed_expect_refusal(decoded.status, &error);
  if (decoded.status != STATUS_OK) {
    feed_expect(decoded.batch.release == NULL, "nothing comes out of a refusal");
    feed_expect((ipc_decoder_schema(decoder) != NULL) == had_schema, "a refusal is no schema");
    ipc_message_release(message);
    return decoded;
  }
  const struct ArrowSchema *schema = ipc_decoder_schema(decoder);
  feed_expect(schema != NULL, "the first message is a schema");
  feed_expect((decoded.batch.release != NULL) == (decoded.event == IPC_EVENT_BATCH),
              "a batch comes with its event");
  if (decoded.event == IPC_EVENT_SCHEMA) feed_check_schema(schema);
  if (decoded.event == IPC_EVENT_BATCH) decoded.sum = feed_check_batch(schema, &decoded.batch);
  const char *metadata = ipc_decoder_metadata(decoder);
  feed_expect_same_metadata(metadata, metadata);
  return decoded;
}

struct feed feed_stream(const struct buffer *data, const struct ipc_limits *limits,
                        bool eos_optional) {
  return (struct feed){.data = data, .limits = limits, .eos_optional = eos_optional};
}

bool feed_open(struct feed *feed, const struct buffer *data, const struct ipc_limits *limits,
               bool eos_optional) {
  struct error error = {.status = STATUS_OK};
  *feed = feed_stream(data, limits, eos_optional);
  feed->is_file = ipc_file_magic(data->data, data->size_bytes);
  if (!feed->is_file) return true;
  enum status status = ipc_file_open(data->data, data->size_bytes, limits, &feed->file, &error);
  feed_expect_refusal(status, &error);
  feed_expect_same_metadata(feed->file.metadata, feed->file.metadata);
  return status == STATUS_OK;
}

static enum status next_of_file(struct feed *feed, struct ipc_message *message,
                                struct error *error) {
  const struct ipc_file *file = &feed->file;
  int64_t index = feed->next++;
  const struct ipc_file_block *block = &file->schema;
  if (index > file->dictionary_count)
    block = &file->batches[index - 1 - file->dictionary_count];
  else if (index > 0)
    block = &file->dictionaries[index - 1];
  return ipc_file_message(feed->data, block, message, error);
}

enum status feed_next(struct feed *feed, struct ipc_message *message) {
  struct error error = {.status = STATUS_OK};
  enum ipc_frame frame = IPC_FRAME_MESSAGE;
  enum status status;
  if (feed->is_file) {
    feed->is_over = feed->next > feed->file.dictionary_count + feed->file.batch_count;
    status = feed->is_over ? STATUS_OK : next_of_file(feed, message, &error);
  } else {
    int64_t before = feed->next;
    status =
        ipc_cut(feed->data, feed->limits, feed->eos_optional, &feed->next, message, &frame, &error);
    feed->is_over = status == STATUS_OK && frame == IPC_FRAME_END;
    feed_expect(status != STATUS_OK || frame == IPC_FRAME_END || frame == IPC_FRAME_MESSAGE,
                "what is in memory is never a part");
    feed_expect(frame != IPC_FRAME_MESSAGE || status != STATUS_OK || feed->next > before,
                "a message has bytes");
  }
  feed_expect_refusal(status, &error);
  return status;
}

void feed_close(struct feed *feed) { ipc_file_release(&feed->file); }
