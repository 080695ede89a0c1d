/* What all sources of Arrow IPC messages do, wherever the messages come from: decode them
 * one after the other until one is a batch.
 *
 * Invariant: a message that could not be decoded for lack of memory waits in `message`, so
 * that the next call goes on where the last one stopped. */
#include <stdlib.h>
#include <string.h>

#include "arrow/ipc_describe.h"
#include "base/workers.h"
#include "source/private.h"

/* Threads are started for the first body that they make a difference to. */
enum { BODY_BYTES_MIN = 64 << 10, EXPANDED_BYTES_MIN = 512 << 10 };

void ipc_source_close(struct source *source) {
  struct ipc_source *made = (struct ipc_source *)source;
  made->origin->close(made);
  ipc_message_release(&made->message);
  ipc_decoder_free(made->decoder);
  workers_free(made->workers);
  free(made->name);
  free(made);
}

const struct ArrowSchema *ipc_source_schema(struct source *source) {
  return ipc_decoder_schema(((struct ipc_source *)source)->decoder);
}

const char *ipc_source_metadata(struct source *source) {
  const struct ipc_source *made = (const struct ipc_source *)source;
  return made->is_batch ? ipc_decoder_metadata(made->decoder) : NULL;
}

/* Few streams are compressed, and a thread costs more than a small batch. Without threads,
 * because there are no more to be had, the caller's does the work. */
static void start_workers(struct ipc_source *source) {
  if (source->options.threads < 2 || source->workers != NULL ||
      source->message.body.size_bytes < BODY_BYTES_MIN)
    return;
  struct ipc_description description;
  bool is_worth_it =
      ipc_describe(&source->message, &source->options.limits, &description, NULL) == STATUS_OK &&
      description.compression != IPC_COMPRESSION_NONE &&
      description.expanded_bytes >= EXPANDED_BYTES_MIN;
  ipc_description_release(&description);
  if (!is_worth_it) return;
  if (workers_new(source->options.threads - 1, &source->workers, NULL) == STATUS_OK)
    ipc_decoder_use_workers(source->decoder, source->workers);
  else
    source->options.threads = 1;
}

/* Decodes the next message; `is_over` is set at the end instead. */
static enum status decode_next(struct ipc_source *source, enum ipc_event *event,
                               struct ArrowArray *batch, struct error *error) {
  enum status status = STATUS_OK;
  if (!source->is_waiting) {
    enum ipc_frame frame = IPC_FRAME_PARTIAL;
    status = source->origin->next(source, &source->message, &frame, error);
    if (status != STATUS_OK) return status;
    source->is_over = frame == IPC_FRAME_END;
    if (source->is_over) return STATUS_OK;
    source->is_waiting = true;
    start_workers(source);
  }
  status = ipc_decoder_decode(source->decoder, &source->message, event, batch, error);
  if (status != STATUS_OK) return status;
  source->is_waiting = false;
  source->message = (struct ipc_message){.offset_bytes = 0};
  if (source->origin->accept != NULL) status = source->origin->accept(source, *event, error);
  if (status != STATUS_OK) arrow_array_release(batch);
  return status;
}

/* Decodes messages until one is the `wanted` event, or they are over. */
static enum status advance(struct ipc_source *source, enum ipc_event wanted,
                           struct ArrowArray *batch, struct error *error) {
  enum ipc_event event = IPC_EVENT_DICTIONARY;
  enum status status = STATUS_OK;
  batch->release = NULL;
  do status = decode_next(source, &event, batch, error);
  while (status == STATUS_OK && !source->is_over && event != wanted);
  if (status != STATUS_OK && source->name != NULL) error_at(error, "'%s'", source->name);
  return status;
}

enum status ipc_source_next(struct source *source, struct ArrowArray *batch, struct error *error) {
  struct ipc_source *made = (struct ipc_source *)source;
  enum status status = made->is_over ? STATUS_OK : advance(made, IPC_EVENT_BATCH, batch, error);
  made->is_batch = batch->release != NULL;
  return status;
}

static enum status start(struct ipc_source *made, const char *name, struct error *error) {
  struct ArrowArray none;
  if (name != NULL && (made->name = strdup(name)) == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for a source");
  enum status status =
      ipc_decoder_new(&made->options.limits, made->options.budget, &made->decoder, error);
  if (status == STATUS_OK) status = advance(made, IPC_EVENT_SCHEMA, &none, error);
  if (status == STATUS_OK && ipc_decoder_schema(made->decoder) == NULL) {
    status = error_set(error, STATUS_INVALID, "the stream has no schema");
    if (name != NULL) error_at(error, "'%s'", name);
  }
  return status;
}

enum status ipc_source_start(struct ipc_source *made, const struct source_type *type,
                             const struct ipc_origin *origin, const char *name,
                             const struct source_options *options, struct source **source,
                             struct error *error) {
  *source = NULL;
  made->source.type = type;
  made->origin = origin;
  made->options = *options;
  enum status status = start(made, name, error);
  if (status == STATUS_OK)
    *source = &made->source;
  else
    ipc_source_close(&made->source);
  return status;
}

double ipc_source_fraction(struct source *source) {
  struct ipc_source *made = (struct ipc_source *)source;
  return made->origin->fraction == NULL ? -1 : made->origin->fraction(made);
}
