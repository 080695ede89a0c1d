/* An Arrow IPC stream that is read as it comes: from a pipe, a socket, somebody's callback. */
#include <stdlib.h>

#include "source/private.h"

struct ipc_bytes_source {
  struct ipc_source ipc;
  struct source_bytes bytes;
  struct ipc_framer *framer;
};

static void bytes_close(struct ipc_source *source) {
  struct ipc_bytes_source *made = (struct ipc_bytes_source *)source;
  ipc_framer_free(made->framer);
  if (made->bytes.close != NULL) made->bytes.close(made->bytes.context);
}

/* Bytes go where the framer wants them, which is where the batch will point to. What follows
 * the end-of-stream marker is not ours to read. */
static enum status bytes_next(struct ipc_source *source, struct ipc_message *message,
                              enum ipc_frame *frame, struct error *error) {
  struct ipc_bytes_source *made = (struct ipc_bytes_source *)source;
  enum status status = STATUS_OK;
  *frame = IPC_FRAME_PARTIAL;
  while (status == STATUS_OK && *frame == IPC_FRAME_PARTIAL) {
    uint8_t *data = NULL;
    int64_t room_bytes = 0;
    int64_t bytes = 0;
    status = ipc_framer_window(made->framer, &data, &room_bytes, error);
    if (status == STATUS_OK)
      status = made->bytes.read(made->bytes.context, data, room_bytes, &bytes, error);
    if (status != STATUS_OK) return status;
    if (bytes == 0) {
      *frame = IPC_FRAME_END;
      return ipc_framer_finish(made->framer, source->options.eos_optional, error);
    }
    status = ipc_framer_filled(made->framer, bytes, frame, error);
  }
  if (status == STATUS_OK && *frame == IPC_FRAME_MESSAGE) ipc_framer_take(made->framer, message);
  return status;
}

static const struct ipc_origin origin = {.next = bytes_next, .close = bytes_close};

enum status source_open_bytes(const struct source_bytes *bytes, const char *name,
                              const struct source_options *options, struct source **source,
                              struct error *error) {
  *source = NULL;
  struct ipc_bytes_source *made = calloc(1, sizeof *made);
  if (made == NULL) {
    if (bytes->close != NULL) bytes->close(bytes->context);
    return error_set(error, STATUS_NOMEM, "no memory for a source");
  }
  made->bytes = *bytes;
  enum status status = ipc_framer_new(&options->limits, options->budget, &made->framer, error);
  if (status == STATUS_OK)
    return ipc_source_start(&made->ipc, &SOURCE_IPC_STREAM, &origin, name, options, source, error);
  bytes_close(&made->ipc);
  free(made);
  return status;
}
