/* Standard input as an Arrow IPC stream, message by message, for the programs here:
 * what comes is given to two functions. */
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
  void *context;
};

static enum status stream_in_message(const struct stream_in *in, struct ipc_framer *framer,
                                     struct ipc_decoder *decoder, struct error *error) {
  struct ipc_message message = {0};
  struct ArrowArray batch = {0};
  enum ipc_event event;
  ipc_framer_take(framer, &message);
  enum status status = ipc_decoder_decode(decoder, &message, &event, &batch, error);
  if (status != STATUS_OK)
    ipc_message_release(&message);
  else if (event == IPC_EVENT_SCHEMA)
    status = in->schema(in->context, ipc_decoder_schema(decoder), error);
  else if (event == IPC_EVENT_BATCH)
    status = in->batch(in->context, &batch, error);
  arrow_array_release(&batch);
  return status;
}

static enum status stream_in_loop(const struct stream_in *in, struct ipc_framer *framer,
                                  struct ipc_decoder *decoder, struct error *error) {
  enum status status = STATUS_OK;
  while (status == STATUS_OK) {
    uint8_t *data;
    int64_t room_bytes;
    enum ipc_frame frame;
    status = ipc_framer_window(framer, &data, &room_bytes, error);
    if (status != STATUS_OK) break;
    size_t got = fread(data, 1, (size_t)room_bytes, stdin);
    if (got == 0) break;
    status = ipc_framer_filled(framer, (int64_t)got, &frame, error);
    if (status == STATUS_OK && frame == IPC_FRAME_MESSAGE)
      status = stream_in_message(in, framer, decoder, error);
  }
  return status == STATUS_OK ? ipc_framer_finish(framer, false, error) : status;
}

/* Reads all of it; the first failure ends it. */
static enum status stream_in_run(const struct stream_in *in, struct error *error) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_framer *framer = NULL;
  struct ipc_decoder *decoder = NULL;
  enum status status = ipc_framer_new(&limits, in->budget, &framer, error);
  if (status == STATUS_OK) status = ipc_decoder_new(&limits, in->budget, &decoder, error);
  if (status == STATUS_OK) status = stream_in_loop(in, framer, decoder, error);
  ipc_framer_free(framer);
  ipc_decoder_free(decoder);
  return status;
}

/* Writes the buffer to standard output and empties it. */
static enum status stream_in_print(struct buffer *buffer, struct error *error) {
  size_t bytes = (size_t)buffer->size_bytes;
  buffer->size_bytes = 0;
  if (bytes > 0 && fwrite(buffer->data, 1, bytes, stdout) != bytes)
    return error_set(error, STATUS_IO, "standard output takes no more");
  return STATUS_OK;
}

#endif
