#include "arrow/read_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "arrow/schema.h"

static enum status keep(struct read_all *all, struct ArrowArray *batch, struct error *error) {
  struct ArrowArray *grown =
      realloc(all->batches, (size_t)(all->batch_count + 1) * sizeof all->batches[0]);
  if (grown == NULL) {
    arrow_array_release(batch);
    return error_set(error, STATUS_NOMEM, "no memory for a test's batches");
  }
  all->batches = grown;
  all->rows += batch->length;
  arrow_array_move(batch, &all->batches[all->batch_count++]);
  return STATUS_OK;
}

static enum status decode(struct ipc_decoder *decoder, struct ipc_message *message,
                          struct read_all *all, struct error *error) {
  enum ipc_event event;
  struct ArrowArray batch = {.release = NULL};
  enum status status = ipc_decoder_decode(decoder, message, &event, &batch, error);
  if (status != STATUS_OK) {
    if (batch.release != NULL) abort(); /* nothing comes out of a failure */
    ipc_message_release(message);
    return status;
  }
  if (event == IPC_EVENT_SCHEMA)
    status = arrow_schema_copy(ipc_decoder_schema(decoder), &all->schema, error);
  if (event == IPC_EVENT_BATCH) status = keep(all, &batch, error);
  return status;
}

/* Copies the next bytes into the framer's window. */
static enum status feed(struct ipc_framer *framer, const uint8_t *data, int64_t bytes,
                        int64_t step_bytes, int64_t *taken, enum ipc_frame *frame,
                        struct error *error) {
  uint8_t *window = NULL;
  enum status status = ipc_framer_window(framer, &window, taken, error);
  if (status != STATUS_OK) return status;
  if (*taken > bytes) *taken = bytes;
  if (step_bytes > 0 && *taken > step_bytes) *taken = step_bytes;
  memcpy(window, data, (size_t)*taken);
  return ipc_framer_filled(framer, *taken, frame, error);
}

enum status read_all_stream(const void *data, int64_t bytes, const struct read_all_options *options,
                            struct budget *budget, struct read_all *all, struct error *error) {
  struct ipc_limits limits =
      options->limits.body_bytes_max > 0 ? options->limits : IPC_LIMITS_DEFAULT;
  struct ipc_framer *framer = NULL;
  struct ipc_decoder *decoder = NULL;
  *all = (struct read_all){.batches = NULL};
  enum status status = ipc_framer_new(&limits, budget, &framer, error);
  if (status == STATUS_OK) status = ipc_decoder_new(&limits, budget, &decoder, error);
  for (int64_t at = 0; at < bytes && status == STATUS_OK;) {
    int64_t taken = 0;
    enum ipc_frame frame = IPC_FRAME_PARTIAL;
    status = feed(framer, (const uint8_t *)data + at, bytes - at, options->step_bytes, &taken,
                  &frame, error);
    at += taken;
    if (status != STATUS_OK || frame != IPC_FRAME_MESSAGE) continue;
    struct ipc_message message;
    ipc_framer_take(framer, &message);
    status = decode(decoder, &message, all, error);
  }
  if (status == STATUS_OK) status = ipc_framer_finish(framer, options->eos_optional, error);
  ipc_framer_free(framer);
  ipc_decoder_free(decoder);
  return status;
}

void read_all_release(struct read_all *all) {
  for (int64_t i = 0; i < all->batch_count; i++) arrow_array_release(&all->batches[i]);
  free(all->batches);
  arrow_schema_release(&all->schema);
  *all = (struct read_all){.batches = NULL};
}

struct buffer test_data(const char *name, struct budget *budget) {
  char path[1024];
  struct buffer bytes = BUFFER_EMPTY;
  struct error error = {0};
  char block[65536];
  snprintf(path, sizeof path, ARROWPORT_TEST_DATA "/%s", name);
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail_msg("%s cannot be opened", path);
  size_t got;
  while ((got = fread(block, 1, sizeof block, file)) > 0)
    if (buffer_append(&bytes, budget, block, (int64_t)got, &error) != STATUS_OK)
      fail_msg("%s", error.text);
  fclose(file);
  return bytes;
}

/* The message that begins at `data`. */
static enum status decode_range(struct ipc_decoder *decoder, const uint8_t *data, int64_t bytes,
                                struct budget *budget, struct read_all *all, struct error *error) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_framer *framer = NULL;
  enum ipc_frame frame = IPC_FRAME_PARTIAL;
  enum status status = ipc_framer_new(&limits, budget, &framer, error);
  for (int64_t at = 0; at < bytes && status == STATUS_OK && frame == IPC_FRAME_PARTIAL;) {
    int64_t taken = 0;
    status = feed(framer, data + at, bytes - at, 0, &taken, &frame, error);
    at += taken;
  }
  if (status == STATUS_OK && frame != IPC_FRAME_MESSAGE)
    status = error_set(error, STATUS_INVALID, "a block of the file holds no message");
  if (status == STATUS_OK) {
    struct ipc_message message;
    ipc_framer_take(framer, &message);
    status = decode(decoder, &message, all, error);
  }
  ipc_framer_free(framer);
  return status;
}

enum status read_all_file(const void *data, int64_t bytes, struct budget *budget,
                          struct read_all *all, struct error *error) {
  enum { STREAM_START = 8 }; /* behind the magic */
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_decoder *decoder = NULL;
  struct ipc_file file = {.batches = NULL};
  const uint8_t *from = data;
  *all = (struct read_all){.batches = NULL};
  enum status status = ipc_file_open(from, bytes, &limits, &file, error);
  if (status == STATUS_OK) status = ipc_decoder_new(&limits, budget, &decoder, error);
  if (status == STATUS_OK)
    status = decode_range(decoder, from + STREAM_START, bytes - STREAM_START, budget, all, error);
  for (int64_t i = 0; i < file.dictionary_count + file.batch_count && status == STATUS_OK; i++) {
    const struct ipc_file_block *block = i < file.dictionary_count
                                             ? &file.dictionaries[i]
                                             : &file.batches[i - file.dictionary_count];
    status = decode_range(decoder, from + block->offset_bytes,
                          block->metadata_bytes + block->body_bytes, budget, all, error);
  }
  ipc_file_release(&file);
  ipc_decoder_free(decoder);
  return status;
}

/* ---- where it lies --------------------------------------------------------------------- */

static enum status cut_stream(const struct buffer *data, struct ipc_decoder *decoder,
                              struct read_all *all, struct error *error) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  enum ipc_frame frame = IPC_FRAME_PARTIAL;
  enum status status = STATUS_OK;
  for (int64_t at = 0; status == STATUS_OK && frame != IPC_FRAME_END;) {
    struct ipc_message message;
    status = ipc_cut(data, &limits, false, &at, &message, &frame, error);
    if (status == STATUS_OK && frame == IPC_FRAME_MESSAGE)
      status = decode(decoder, &message, all, error);
  }
  return status;
}

static enum status decode_block(const struct buffer *data, const struct ipc_file_block *block,
                                struct ipc_decoder *decoder, struct read_all *all,
                                struct error *error) {
  struct ipc_message message;
  enum status status = ipc_file_message(data, block, &message, error);
  return status == STATUS_OK ? decode(decoder, &message, all, error) : status;
}

static enum status cut_file(const struct buffer *data, struct ipc_decoder *decoder,
                            struct read_all *all, struct error *error) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_file file = {.batches = NULL};
  enum status status = ipc_file_open(data->data, data->size_bytes, &limits, &file, error);
  if (status == STATUS_OK) status = decode_block(data, &file.schema, decoder, all, error);
  for (int64_t i = 0; i < file.dictionary_count && status == STATUS_OK; i++)
    status = decode_block(data, &file.dictionaries[i], decoder, all, error);
  for (int64_t i = 0; i < file.batch_count && status == STATUS_OK; i++)
    status = decode_block(data, &file.batches[i], decoder, all, error);
  ipc_file_release(&file);
  return status;
}

enum status read_all_memory(const struct buffer *data, struct budget *budget, struct read_all *all,
                            struct error *error) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_decoder *decoder = NULL;
  *all = (struct read_all){.batches = NULL};
  enum status status = ipc_decoder_new(&limits, budget, &decoder, error);
  if (status == STATUS_OK)
    status = ipc_file_magic(data->data, data->size_bytes) ? cut_file(data, decoder, all, error)
                                                          : cut_stream(data, decoder, all, error);
  ipc_decoder_free(decoder);
  return status;
}
