#include "cli/upload.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "source/source.h"

enum { RAW_BYTES = 1 << 20, MEMORY_KEPT_BYTES = 256 << 20 };

struct upload {
  struct budget *budget;
  struct input *input;
  int64_t rows;
  int64_t bytes;

  /* As it is: bytes lie in `raw` between the two offsets. */
  struct ipc_framer *framer;
  struct ipc_decoder *decoder;
  uint8_t *raw;
  size_t raw_begin;
  size_t raw_end;
  bool file_over;

  /* Written anew: bytes lie in `out` from `out_begin` on. */
  struct source *source;
  struct ipc_writer *writer;
  struct buffer out;
  int64_t out_begin;
  bool written; /* the end of the stream lies in `out` */
};

void upload_close(struct upload *upload) {
  if (upload == NULL) return;
  ipc_framer_free(upload->framer);
  ipc_decoder_free(upload->decoder);
  free(upload->raw);
  ipc_writer_free(upload->writer);
  buffer_release(&upload->out);
  source_close(upload->source);
  free(upload);
}

int64_t upload_rows(const struct upload *upload) { return upload->rows; }
int64_t upload_bytes(const struct upload *upload) { return upload->bytes; }

double upload_fraction(const struct upload *upload) {
  if (upload->source != NULL) return source_fraction(upload->source);
  if (upload->input->size_bytes <= 0) return -1;
  return (double)upload->bytes / (double)upload->input->size_bytes;
}

/* ---- opening ------------------------------------------------------------------------ */

static enum status open_rewrite(struct upload *upload, const struct upload_options *options,
                                struct error *error) {
  enum status status = input_source(upload->input, &options->input, &upload->source, error);
  if (status != STATUS_OK) return status;
  status = ipc_writer_new(source_schema(upload->source), &options->compression, upload->budget,
                          &upload->writer, error);
  if (status != STATUS_OK) return status;
  return ipc_writer_schema(upload->writer, &upload->out, error);
}

static enum status open_as_is(struct upload *upload, struct error *error) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  upload->raw = malloc(RAW_BYTES);
  if (upload->raw == NULL) return error_set(error, STATUS_NOMEM, "no memory for an upload");
  if (upload->input->head_bytes > 0)
    memcpy(upload->raw, upload->input->head, upload->input->head_bytes);
  upload->raw_end = upload->input->head_bytes;
  enum status status = ipc_framer_new(&limits, upload->budget, &upload->framer, error);
  if (status != STATUS_OK) return status;
  return ipc_decoder_new(&limits, upload->budget, &upload->decoder, error);
}

enum status upload_open(struct input *input, const struct upload_options *options,
                        struct upload **upload, struct error *error) {
  struct upload *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for an upload");
  buffer_keep_freed(MEMORY_KEPT_BYTES);
  made->budget = options->input.budget;
  made->input = input;
  enum status status = options->rewrite || input->kind != INPUT_ARROW_STREAM
                           ? open_rewrite(made, options, error)
                           : open_as_is(made, error);
  if (status == STATUS_OK)
    *upload = made;
  else
    upload_close(made);
  return status;
}

/* ---- as it is ------------------------------------------------------------------------ */

static enum status check_message(struct upload *upload, struct error *error) {
  struct ipc_message message;
  struct ArrowArray batch = {.release = NULL};
  enum ipc_event event;
  ipc_framer_take(upload->framer, &message);
  enum status status = ipc_decoder_decode(upload->decoder, &message, &event, &batch, error);
  if (status != STATUS_OK) {
    ipc_message_release(&message);
    return status;
  }
  if (event == IPC_EVENT_BATCH) {
    upload->rows += batch.length;
    arrow_array_release(&batch);
  }
  return STATUS_OK;
}

/* Follows the bytes that were just read with the framer and the decoder. */
static enum status check_raw(struct upload *upload, struct error *error) {
  size_t at = 0;
  while (at < upload->raw_end) {
    uint8_t *window;
    int64_t room;
    enum ipc_frame frame;
    enum status status = ipc_framer_window(upload->framer, &window, &room, error);
    if (status != STATUS_OK) return status;
    size_t bytes = upload->raw_end - at;
    if ((int64_t)bytes > room) bytes = (size_t)room;
    memcpy(window, upload->raw + at, bytes);
    at += bytes;
    status = ipc_framer_filled(upload->framer, (int64_t)bytes, &frame, error);
    if (status == STATUS_OK && frame == IPC_FRAME_MESSAGE) status = check_message(upload, error);
    if (status != STATUS_OK) return status;
  }
  return STATUS_OK;
}

static enum status read_as_is(struct upload *upload, void *room, size_t room_bytes, size_t *bytes,
                              struct error *error) {
  enum status status = STATUS_OK;
  if (upload->bytes == 0 && upload->raw_end > 0) {
    status = check_raw(upload, error); /* what the first look has read */
  } else if (upload->raw_begin == upload->raw_end && !upload->file_over) {
    upload->raw_begin = 0;
    status = file_read(upload->input->file, upload->raw, RAW_BYTES, &upload->raw_end, error);
    upload->file_over = upload->raw_end == 0;
    if (status == STATUS_OK) status = check_raw(upload, error);
  }
  if (status == STATUS_OK && upload->file_over)
    status = ipc_framer_finish(upload->framer, false, error);
  if (status != STATUS_OK) return status;
  *bytes = upload->raw_end - upload->raw_begin;
  if (*bytes > room_bytes) *bytes = room_bytes;
  memcpy(room, upload->raw + upload->raw_begin, *bytes);
  upload->raw_begin += *bytes;
  upload->bytes += (int64_t)*bytes;
  return STATUS_OK;
}

/* ---- written anew ---------------------------------------------------------------------- */

static enum status write_next(struct upload *upload, struct error *error) {
  struct ArrowArray batch = {.release = NULL};
  upload->out.size_bytes = 0;
  upload->out_begin = 0;
  enum status status = source_next(upload->source, &batch, error);
  if (status != STATUS_OK) return status;
  if (batch.release == NULL) {
    upload->written = true;
    return ipc_writer_end(upload->writer, &upload->out, error);
  }
  upload->rows += batch.length;
  status = ipc_writer_batch(upload->writer, &batch, &upload->out, error);
  arrow_array_release(&batch);
  return status;
}

static enum status read_rewritten(struct upload *upload, void *room, size_t room_bytes,
                                  size_t *bytes, struct error *error) {
  enum status status = STATUS_OK;
  while (upload->out_begin == upload->out.size_bytes && !upload->written && status == STATUS_OK)
    status = write_next(upload, error);
  if (status != STATUS_OK) return status;
  *bytes = (size_t)(upload->out.size_bytes - upload->out_begin);
  if (*bytes > room_bytes) *bytes = room_bytes;
  if (*bytes > 0) memcpy(room, upload->out.data + upload->out_begin, *bytes);
  upload->out_begin += (int64_t)*bytes;
  upload->bytes += (int64_t)*bytes;
  return STATUS_OK;
}

enum status upload_read(struct upload *upload, void *room, size_t room_bytes, size_t *bytes,
                        struct error *error) {
  if (upload->source != NULL) return read_rewritten(upload, room, room_bytes, bytes, error);
  enum status status = read_as_is(upload, room, room_bytes, bytes, error);
  if (status != STATUS_OK) error_at(error, "'%s'", upload->input->name);
  return status;
}
