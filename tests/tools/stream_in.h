/* Standard input as an Arrow IPC stream or file, message by message, for the programs here:
 * what comes is given to two functions. A stream is read as it arrives, a file as a whole. */
#ifndef ARROWPORT_TESTS_TOOLS_STREAM_IN_H
#define ARROWPORT_TESTS_TOOLS_STREAM_IN_H

#include <stdio.h>

#include "arrow/abi.h"
#include "arrow/ipc.h"
#include "base/buffer.h"
#include "base/status.h"

struct stream_in {
  struct budget *budget;
  enum status (*schema)(void *context, const struct ArrowSchema *schema, struct error *error);
  /* The batch stays the caller's, unless it is moved away. */
  enum status (*batch)(void *context, struct ArrowArray *batch, struct error *error);
  /* Before each batch, what its message carries, or NULL; NULL: nobody wants to know. */
  enum status (*metadata)(void *context, const char *metadata, struct error *error);
  void *context;
  struct workers *workers; /* that help to expand what is compressed; NULL: none */
};

static enum status stream_in_message(const struct stream_in *in, struct ipc_decoder *decoder,
                                     struct ipc_message *message, struct error *error) {
  struct ArrowArray batch = {0};
  enum ipc_event event;
  enum status status = ipc_decoder_decode(decoder, message, &event, &batch, error);
  if (status != STATUS_OK)
    ipc_message_release(message);
  else if (event == IPC_EVENT_SCHEMA)
    status = in->schema(in->context, ipc_decoder_schema(decoder), error);
  else if (event == IPC_EVENT_BATCH && in->metadata != NULL)
    status = in->metadata(in->context, ipc_decoder_metadata(decoder), error);
  if (status == STATUS_OK && event == IPC_EVENT_BATCH)
    status = in->batch(in->context, &batch, error);
  arrow_array_release(&batch);
  return status;
}

static enum status stream_in_stream(const struct stream_in *in, struct ipc_decoder *decoder,
                                    struct error *error) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_framer *framer = NULL;
  enum status status = ipc_framer_new(&limits, in->budget, &framer, error);
  while (status == STATUS_OK) {
    uint8_t *data;
    int64_t room_bytes;
    enum ipc_frame frame;
    struct ipc_message message = {0};
    status = ipc_framer_window(framer, &data, &room_bytes, error);
    if (status != STATUS_OK) break;
    size_t got = fread(data, 1, (size_t)room_bytes, stdin);
    if (got == 0) break;
    status = ipc_framer_filled(framer, (int64_t)got, &frame, error);
    if (status != STATUS_OK || frame != IPC_FRAME_MESSAGE) continue;
    ipc_framer_take(framer, &message);
    status = stream_in_message(in, decoder, &message, error);
  }
  if (status == STATUS_OK) status = ipc_framer_finish(framer, false, error);
  ipc_framer_free(framer);
  return status;
}

static enum status stream_in_block(const struct stream_in *in, struct ipc_decoder *decoder,
                                   const struct buffer *data, const struct ipc_file_block *block,
                                   struct error *error) {
  struct ipc_message message = {0};
  enum status status = ipc_file_message(data, block, &message, error);
  return status == STATUS_OK ? stream_in_message(in, decoder, &message, error) : status;
}

static enum status stream_in_file(const struct stream_in *in, struct ipc_decoder *decoder,
                                  struct error *error) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct buffer data = BUFFER_EMPTY;
  struct ipc_file file = {.batches = NULL};
  enum status status = STATUS_OK;
  char block[65536];
  size_t got;
  while (status == STATUS_OK && (got = fread(block, 1, sizeof block, stdin)) > 0)
    status = buffer_append(&data, in->budget, block, (int64_t)got, error);
  if (status == STATUS_OK)
    status = ipc_file_open(data.data, data.size_bytes, &limits, &file, error);
  if (status == STATUS_OK) status = stream_in_block(in, decoder, &data, &file.schema, error);
  for (int64_t i = 0; i < file.dictionary_count && status == STATUS_OK; i++)
    status = stream_in_block(in, decoder, &data, &file.dictionaries[i], error);
  for (int64_t i = 0; i < file.batch_count && status == STATUS_OK; i++)
    status = stream_in_block(in, decoder, &data, &file.batches[i], error);
  ipc_file_release(&file);
  buffer_release(&data);
  return status;
}

/* Reads all of it; the first failure ends it. A file begins with "ARROW1", a stream with no
 * letter: its first message would be a gigabyte long. */
static enum status stream_in_run(const struct stream_in *in, struct error *error) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_decoder *decoder = NULL;
  int first = ungetc(getc(stdin), stdin);
  enum status status = ipc_decoder_new(&limits, in->budget, &decoder, error);
  if (status == STATUS_OK)
    status =
        first == 'A' ? stream_in_file(in, decoder, error) : stream_in_stream(in, decoder, error);
  ipc_decoder_free(decoder);
  return status;
}

/* Writes the buffer to standard output and empties it. */
static inline enum status stream_in_print(struct buffer *buffer, struct error *error) {
  size_t bytes = (size_t)buffer->size_bytes;
  buffer->size_bytes = 0;
  if (bytes > 0 && fwrite(buffer->data, 1, bytes, stdout) != bytes)
    return error_set(error, STATUS_IO, "standard output takes no more");
  return STATUS_OK;
}

#endif
