/* An Arrow IPC stream from a file, a pipe or standard input, read as it comes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arrow/ipc.h"
#include "source/private.h"

struct ipc_stream {
  struct source source;
  int file;
  char *name;
  struct ipc_framer *framer;
  struct ipc_decoder *decoder;
  bool over;
};

static const struct config_field fields[] = {
    {.name = "path",
     .type = CONFIG_PATH,
     .required = true,
     .doc = "The file that holds an Arrow IPC stream; `-` is standard input."},
    {.name = NULL},
};

static void stream_close(struct source *source) {
  struct ipc_stream *stream = (struct ipc_stream *)source;
  ipc_framer_free(stream->framer);
  ipc_decoder_free(stream->decoder);
  if (stream->file >= 0) close(stream->file);
  free(stream->name);
  free(stream);
}

static const struct ArrowSchema *stream_schema(struct source *source) {
  return ipc_decoder_schema(((struct ipc_stream *)source)->decoder);
}

/* Reads what there is into the framer's window; 0 bytes is the end. */
static enum status read_some(struct ipc_stream *stream, int64_t *bytes, struct error *error) {
  uint8_t *data = NULL;
  int64_t room_bytes = 0;
  enum status status = ipc_framer_window(stream->framer, &data, &room_bytes, error);
  if (status != STATUS_OK) return status;
  ssize_t got;
  do got = read(stream->file, data, (size_t)room_bytes);
  while (got < 0 && errno == EINTR);
  if (got < 0) return error_set(error, STATUS_IO, "reading failed: %s", strerror(errno));
  *bytes = got;
  return STATUS_OK;
}

/* The next whole message; `over` is set at the end instead. */
static enum status next_message(struct ipc_stream *stream, struct ipc_message *message,
                                struct error *error) {
  for (;;) {
    int64_t bytes = 0;
    enum ipc_frame frame = IPC_FRAME_PARTIAL;
    enum status status = read_some(stream, &bytes, error);
    if (status != STATUS_OK) return status;
    if (bytes == 0) {
      stream->over = true;
      return ipc_framer_finish(stream->framer, false, error);
    }
    status = ipc_framer_filled(stream->framer, bytes, &frame, error);
    if (status != STATUS_OK) return status;
    if (frame == IPC_FRAME_END) {
      stream->over = true; /* what follows in a pipe is not ours to read */
      return STATUS_OK;
    }
    if (frame == IPC_FRAME_MESSAGE) {
      ipc_framer_take(stream->framer, message);
      return STATUS_OK;
    }
  }
}

/* Decodes messages until one is a `wanted` event, or the stream is over. */
static enum status advance(struct ipc_stream *stream, enum ipc_event wanted,
                           struct ArrowArray *batch, struct error *error) {
  while (!stream->over) {
    struct ipc_message message = {.offset_bytes = 0};
    enum ipc_event event = IPC_EVENT_DICTIONARY;
    enum status status = next_message(stream, &message, error);
    if (status != STATUS_OK) error_at(error, "'%s'", stream->name);
    if (status != STATUS_OK || stream->over) return status;
    status = ipc_decoder_decode(stream->decoder, &message, &event, batch, error);
    if (status != STATUS_OK) {
      ipc_message_release(&message);
      error_at(error, "'%s'", stream->name);
      return status;
    }
    if (event == wanted) return STATUS_OK;
  }
  return STATUS_OK;
}

static enum status stream_next(struct source *source, struct ArrowArray *batch,
                               struct error *error) {
  return advance((struct ipc_stream *)source, IPC_EVENT_BATCH, batch, error);
}

static enum status start(struct ipc_stream *stream, struct budget *budget, struct error *error) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ArrowArray none = {.release = NULL};
  enum status status = ipc_framer_new(&limits, budget, &stream->framer, error);
  if (status == STATUS_OK) status = ipc_decoder_new(&limits, budget, &stream->decoder, error);
  if (status == STATUS_OK) status = advance(stream, IPC_EVENT_SCHEMA, &none, error);
  if (status == STATUS_OK && ipc_decoder_schema(stream->decoder) == NULL)
    status = error_set(error, STATUS_INVALID, "'%s': the stream has no schema", stream->name);
  return status;
}

enum status source_ipc_stream_open(int file, const char *name, struct budget *budget,
                                   struct source **source, struct error *error) {
  struct ipc_stream *stream = calloc(1, sizeof *stream);
  if (stream == NULL) {
    close(file);
    return error_set(error, STATUS_NOMEM, "no memory for a source");
  }
  stream->source.type = &SOURCE_IPC_STREAM;
  stream->file = file;
  stream->name = strdup(strcmp(name, "-") == 0 ? "standard input" : name);
  enum status status = stream->name != NULL
                           ? start(stream, budget, error)
                           : error_set(error, STATUS_NOMEM, "no memory for a source");
  if (status == STATUS_OK)
    *source = &stream->source;
  else
    stream_close(&stream->source);
  return status;
}

static enum status stream_open(const struct config *config, struct budget *budget,
                               struct source **source, struct error *error) {
  const char *path = config_string(config, "path");
  int file = -1;
  enum status status = source_open_file(path, &file, error);
  return status == STATUS_OK ? source_ipc_stream_open(file, path, budget, source, error) : status;
}

const struct source_type SOURCE_IPC_STREAM = {
    .name = "ipc_stream",
    .summary = "an Arrow IPC stream in a file, a pipe or standard input",
    .config = fields,
    .open = stream_open,
    .close = stream_close,
    .schema = stream_schema,
    .next = stream_next,
};
