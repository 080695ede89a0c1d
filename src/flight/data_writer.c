/* FlightData as it is sent: a small head, and behind it the body in pieces of the arrays' own memory
 * (arrow/ipc_writer_share.c). The body comes last, so that nothing follows what is not ours.
 *
 *   | 0, length | [1: descriptor] 2: data_header [3: app_metadata] 1000: length of the body | body ...
 *     gRPC        FlightData
 *
 * Nothing is sent before all messages of a batch are made: what can be refused is refused before. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "flight/data.h"
#include "flight/wire.h"

enum {
  PREFIX_BYTES = 5,          /* of a gRPC message: not compressed, length */
  IPC_PREFIX_BYTES = 8,      /* of an encapsulated message, which FlightData leaves out */
  FIELD_HEAD_BYTES_MAX = 12, /* tag and length */
  HEAD_BYTES_MAX = 16 << 20, /* what a length leaves to heads: metadata, app_metadata */
};

static const int64_t body_bytes_max = INT32_MAX - HEAD_BYTES_MAX;

/* Of what has no budget to be charged to: a few bytes, a schema. */
static struct budget unlimited = {.limit_bytes = INT64_MAX};

struct flight_writer {
  struct ipc_writer *ipc;
  struct budget *budget;
  struct buffer schema; /* encapsulated */
  int64_t bytes_wanted;
  const struct buffer *app_metadata; /* of the batch that is being written; NULL: none */
};

/* ---- heads ------------------------------------------------------------------------------------ */

/* What stands before a body. */
struct head {
  const struct buffer *descriptor; /* NULL: none, as the others */
  const void *metadata;
  int64_t metadata_bytes;
  const struct buffer *app_metadata;
  int64_t body_bytes; /* -1: no body */
};

static int64_t buffer_field_bytes(int field, const struct buffer *buffer) {
  return buffer == NULL ? 0 : wire_field_bytes(field, buffer->size_bytes);
}

/* Its bytes without the prefix. */
static int64_t head_bytes(const struct head *head) {
  int64_t bytes = buffer_field_bytes(FLIGHT_DATA_DESCRIPTOR, head->descriptor) +
                  buffer_field_bytes(FLIGHT_DATA_APP_METADATA, head->app_metadata);
  if (head->metadata != NULL) bytes += wire_field_bytes(FLIGHT_DATA_HEADER, head->metadata_bytes);
  if (head->body_bytes >= 0) bytes += wire_head_bytes(FLIGHT_DATA_BODY, head->body_bytes);
  return bytes;
}

static void put_head(uint8_t *to, const struct head *head) {
  int64_t body_bytes = head->body_bytes < 0 ? 0 : head->body_bytes;
  uint32_t bytes = (uint32_t)(head_bytes(head) + body_bytes);
  *to++ = 0;
  for (int shift = 24; shift >= 0; shift -= 8) *to++ = (uint8_t)(bytes >> shift);
  if (head->descriptor != NULL)
    to = wire_put_field(to, FLIGHT_DATA_DESCRIPTOR, head->descriptor->data,
                        head->descriptor->size_bytes);
  if (head->metadata != NULL)
    to = wire_put_field(to, FLIGHT_DATA_HEADER, head->metadata, head->metadata_bytes);
  if (head->app_metadata != NULL)
    to = wire_put_field(to, FLIGHT_DATA_APP_METADATA, head->app_metadata->data,
                        head->app_metadata->size_bytes);
  if (head->body_bytes >= 0) wire_put_head(to, FLIGHT_DATA_BODY, head->body_bytes);
}

static enum status check_small(const char *field, const struct buffer *buffer,
                               struct error *error) {
  if (buffer == NULL || buffer->size_bytes <= FLIGHT_SMALL_BYTES_MAX) return STATUS_OK;
  return error_set(error, STATUS_TOO_LARGE, "%s has %" PRId64 " bytes; at most %d are sent", field,
                   buffer->size_bytes, (int)FLIGHT_SMALL_BYTES_MAX);
}

/* Sends a message that is a head alone. */
static enum status send_head(const struct head *head, struct budget *budget,
                             const struct flight_out *out, struct error *error) {
  struct buffer piece = BUFFER_EMPTY;
  int64_t bytes = head_bytes(head);
  enum status status = check_small("flight_descriptor", head->descriptor, error);
  if (status == STATUS_OK) status = check_small("app_metadata", head->app_metadata, error);
  if (status == STATUS_OK && bytes > INT32_MAX)
    status = error_set(error, STATUS_TOO_LARGE,
                       "the schema takes %" PRId64 " bytes, more than a message can have", bytes);
  if (status == STATUS_OK) status = buffer_reserve(&piece, budget, PREFIX_BYTES + bytes, error);
  if (status != STATUS_OK) return status;
  put_head(piece.data, head);
  piece.size_bytes = PREFIX_BYTES + bytes;
  return out->piece(out->context, &piece, error);
}

enum status flight_write_metadata(const struct buffer *app_metadata,
                                  const struct buffer *descriptor, const struct flight_out *out,
                                  struct error *error) {
  struct head head = {.descriptor = descriptor, .app_metadata = app_metadata, .body_bytes = -1};
  return send_head(&head, &unlimited, out, error);
}

/* ---- the writer -------------------------------------------------------------------------------- */

enum status flight_writer_new(const struct ArrowSchema *schema,
                              const struct ipc_writer_options *options, struct budget *budget,
                              struct flight_writer **writer, struct error *error) {
  *writer = NULL;
  struct flight_writer *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a stream");
  made->budget = budget;
  made->bytes_wanted = body_bytes_max;
  enum status status = ipc_writer_new(schema, options, budget, &made->ipc, error);
  if (status == STATUS_OK) status = ipc_writer_schema(made->ipc, &made->schema, error);
  if (status == STATUS_OK)
    *writer = made;
  else
    flight_writer_free(made);
  return status;
}

void flight_writer_free(struct flight_writer *writer) {
  if (writer == NULL) return;
  ipc_writer_free(writer->ipc);
  buffer_release(&writer->schema);
  free(writer);
}

/* A head takes some: 40 bytes a buffer, and app_metadata. */
void flight_writer_cut(struct flight_writer *writer, int64_t message_bytes) {
  int64_t body_bytes = message_bytes - message_bytes / 32;
  writer->bytes_wanted = body_bytes > body_bytes_max ? body_bytes_max : body_bytes;
}

enum status flight_writer_schema(struct flight_writer *writer, const struct buffer *descriptor,
                                 const struct flight_out *out, struct error *error) {
  struct head head = {.descriptor = descriptor,
                      .metadata = writer->schema.data + IPC_PREFIX_BYTES,
                      .metadata_bytes = writer->schema.size_bytes - IPC_PREFIX_BYTES,
                      .body_bytes = -1};
  return send_head(&head, writer->budget, out, error);
}

static int64_t write_batch_head(void *context, const struct ipc_head *ipc, uint8_t *end) {
  const struct flight_writer *writer = context;
  struct head head = {.metadata = ipc->metadata,
                      .metadata_bytes = ipc->metadata_bytes,
                      .app_metadata = ipc->is_last ? writer->app_metadata : NULL,
                      .body_bytes = ipc->body_bytes};
  int64_t bytes = PREFIX_BYTES + head_bytes(&head);
  put_head(end - bytes, &head);
  return bytes;
}

/* Hands the pieces out until one is not taken, and lets go of the rest. */
static enum status send_pieces(struct buffer *pieces, const struct flight_out *out,
                               struct error *error) {
  struct buffer *list = (struct buffer *)pieces->data;
  int64_t count = ipc_piece_count(pieces);
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < count && status == STATUS_OK; i++) {
    struct buffer piece = list[i];
    list[i] = BUFFER_EMPTY;
    status = out->piece(out->context, &piece, error);
    assert(status != STATUS_BUDGET);
  }
  ipc_pieces_release(pieces);
  return status;
}

enum status flight_writer_batch(struct flight_writer *writer, struct ArrowArray *batch,
                                const struct buffer *app_metadata, const struct flight_out *out,
                                struct error *error) {
  struct buffer pieces = BUFFER_EMPTY;
  struct ipc_share_options options = {
      .body_bytes_wanted = writer->bytes_wanted,
      .body_bytes_max = body_bytes_max,
      .head_bytes_max = PREFIX_BYTES + 3 * FIELD_HEAD_BYTES_MAX +
                        (app_metadata == NULL ? 0 : app_metadata->size_bytes),
      .head = write_batch_head,
      .context = writer,
  };
  enum status status = check_small("app_metadata", app_metadata, error);
  writer->app_metadata = app_metadata;
  if (status == STATUS_OK) status = ipc_writer_share(writer->ipc, batch, &options, &pieces, error);
  writer->app_metadata = NULL;
  if (status == STATUS_OK) return send_pieces(&pieces, out, error);
  if (status != STATUS_BUDGET) arrow_array_release(batch);
  buffer_release(&pieces);
  return status;
}

/* ---- schemas alone ------------------------------------------------------------------------------- */

enum status flight_schema_bytes(const struct ArrowSchema *schema, struct buffer *out,
                                struct error *error) {
  struct ipc_writer *writer = NULL;
  struct buffer made = BUFFER_EMPTY;
  enum status status = ipc_writer_new(schema, NULL, &unlimited, &writer, error);
  if (status == STATUS_OK) status = ipc_writer_schema(writer, &made, error);
  ipc_writer_free(writer);
  if (status == STATUS_OK) *out = made;
  return status;
}

/* An encapsulated message, with or without an end-of-stream marker behind it. */
static enum status decode_schema(struct ipc_decoder *decoder, const struct buffer *bytes,
                                 struct ArrowSchema *schema, struct error *error) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_message message = {.offset_bytes = 0};
  struct ArrowArray batch = {.release = NULL};
  enum ipc_frame frame = IPC_FRAME_END;
  enum ipc_event event = IPC_EVENT_BATCH;
  int64_t position_bytes = 0;
  enum status status = ipc_cut(bytes, &limits, true, &position_bytes, &message, &frame, error);
  if (status == STATUS_OK && frame == IPC_FRAME_MESSAGE)
    status = ipc_decoder_decode(decoder, &message, &event, &batch, error);
  if (status == STATUS_OK && event != IPC_EVENT_SCHEMA)
    status = error_set(error, STATUS_INVALID, "there is no schema in it");
  if (status == STATUS_OK) status = arrow_schema_copy(ipc_decoder_schema(decoder), schema, error);
  arrow_array_release(&batch);
  ipc_message_release(&message);
  return status;
}

static void nobody_lets_go(void *context) { (void)context; }

enum status flight_schema_read(const void *data, size_t bytes, struct ArrowSchema *schema,
                               struct error *error) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_decoder *decoder = NULL;
  struct buffer wrapped = BUFFER_EMPTY;
  schema->release = NULL;
  enum status status = buffer_wrap(&wrapped, data, (int64_t)bytes, nobody_lets_go, NULL, error);
  if (status == STATUS_OK) status = ipc_decoder_new(&limits, &unlimited, &decoder, error);
  if (status == STATUS_OK) status = decode_schema(decoder, &wrapped, schema, error);
  if (status != STATUS_OK) error_at(error, "the schema");
  ipc_decoder_free(decoder);
  buffer_release(&wrapped);
  return status;
}
