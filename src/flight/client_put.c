/* DoPut and DoExchange: batches there, and what the server says meanwhile.
 *
 * Results are looked for after each batch, without waiting, so that a server that acknowledges every
 * batch is never held up by ours. When the server ends the call while we send, what it says is what the
 * next call returns. */
#include <stdlib.h>
#include <string.h>

#include "arrow/schema.h"
#include "flight/client_private.h"

struct flight_upload {
  struct flight_client *client;
  struct flight_client_call call;
  struct flight_cancel *cancel;     /* its own */
  struct flight_cancel_entry outer; /* in what the caller gave */
  struct flight_upload_options options;
  struct flight_writer *writer; /* NULL: no schema */
  struct flight_out out;
  bool is_exchange;
  bool is_done; /* nothing more is sent */
  bool is_over; /* the server has ended it */
  struct flight_inbox inbox;
  struct queued_chunk *first; /* DoExchange: came while we sent */
  struct queued_chunk **last;
};

struct queued_chunk {
  struct flight_chunk chunk;
  struct queued_chunk *next;
};

static enum status send_piece(void *context, struct buffer *piece, struct error *error) {
  struct flight_upload *put = context;
  return grpc_client_write(put->call.call, piece, error);
}

/* ---- opening --------------------------------------------------------------------------------------- */

static void fire_outer(void *context) { flight_cancel_now(context); }

static enum status start(struct flight_upload *put, struct error *error) {
  struct flight_call_options options = {.cancel = put->cancel};
  if (put->options.call != NULL) options = *put->options.call;
  options.cancel = put->cancel;
  struct flight_client_retry retry = flight_client_retry_of(put->client, &options);
  enum status status;
  do
    status = flight_client_call_start(
        put->client, put->client->site,
        put->is_exchange ? FLIGHT_METHOD("DoExchange") : FLIGHT_METHOD("DoPut"), &options,
        retry.until_ms, put->is_exchange ? &put->inbox.receiver : NULL, &put->call, error);
  while (status != STATUS_OK && flight_client_retry_again(&retry, status));
  put->options.call = NULL; /* not ours beyond this */
  return status;
}

/* Why the call is over although we were not done with it. */
static enum status why_over(struct flight_upload *put, struct error *error);

static enum status send_head(struct flight_upload *put, const FlightDescriptor *descriptor,
                             const struct ArrowSchema *schema, struct error *error) {
  struct buffer packed = BUFFER_EMPTY;
  enum status status = flight_client_pack(&descriptor->base, &packed, error);
  if (status == STATUS_OK && schema != NULL)
    status = flight_writer_new(schema, put->options.compression, put->client->budget, &put->writer,
                               error);
  if (status == STATUS_OK) status = start(put, error);
  if (status == STATUS_OK) {
    status = schema != NULL ? flight_writer_schema(put->writer, &packed, &put->out, error)
                            : flight_write_metadata(NULL, &packed, &put->out, error);
    if (status == STATUS_CANCELLED) status = why_over(put, error);
  }
  buffer_release(&packed);
  return status;
}

static enum status open_put(struct flight_client *client, bool is_exchange,
                            const FlightDescriptor *descriptor, const struct ArrowSchema *schema,
                            const struct flight_upload_options *options, struct flight_upload **put,
                            struct error *error) {
  struct flight_upload *made = calloc(1, sizeof *made);
  *put = NULL;
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a put");
  made->client = client;
  made->call.client = client;
  made->call.site = client->site;
  made->is_exchange = is_exchange;
  if (options != NULL) made->options = *options;
  made->out = (struct flight_out){.piece = send_piece, .context = made};
  made->last = &made->first;
  enum status status = flight_cancel_new(&made->cancel, error);
  if (status == STATUS_OK)
    flight_cancel_add(made->options.call == NULL ? NULL : made->options.call->cancel, &made->outer,
                      fire_outer, made->cancel);
  if (status == STATUS_OK && is_exchange)
    status = flight_inbox_open(&made->inbox, client->budget, error);
  if (status == STATUS_OK) status = send_head(made, descriptor, schema, error);
  if (status == STATUS_OK)
    *put = made;
  else
    flight_upload_free(made);
  return status;
}

enum status flight_upload_open(struct flight_client *client, const FlightDescriptor *descriptor,
                               const struct ArrowSchema *schema,
                               const struct flight_upload_options *options,
                               struct flight_upload **put, struct error *error) {
  return open_put(client, false, descriptor, schema, options, put, error);
}

enum status flight_client_exchange_open(struct flight_client *client,
                                        const FlightDescriptor *descriptor,
                                        const struct ArrowSchema *schema,
                                        const struct flight_upload_options *options,
                                        struct flight_upload **put, struct error *error) {
  return open_put(client, true, descriptor, schema, options, put, error);
}

void flight_upload_cancel(struct flight_upload *put) { flight_cancel_now(put->cancel); }

void flight_upload_free(struct flight_upload *put) {
  if (put == NULL) return;
  flight_client_call_end(&put->call);
  flight_cancel_remove(&put->outer);
  flight_cancel_free(put->cancel);
  flight_writer_free(put->writer);
  flight_inbox_close(&put->inbox);
  for (struct queued_chunk *queued = put->first, *next; queued != NULL; queued = next) {
    next = queued->next;
    flight_chunk_release(&queued->chunk);
    free(queued);
  }
  free(put);
}

/* ---- what comes back ---------------------------------------------------------------------------------- */

static enum status take_result(struct flight_upload *put, const struct buffer *message,
                               struct error *error) {
  ProtobufCMessage *unpacked = NULL;
  enum status status = flight_client_unpack(&FLIGHT(put_result__descriptor), message->data,
                                            (size_t)message->size_bytes, &unpacked, error);
  if (status != STATUS_OK) return status;
  const Arrow__Flight__Protocol__PutResult *result = (void *)unpacked;
  if (put->options.result != NULL)
    status = put->options.result(put->options.context, result->app_metadata.data,
                                 result->app_metadata.len, error);
  protobuf_c_message_free_unpacked(unpacked, NULL);
  return status;
}

enum status flight_upload_result(struct flight_upload *put, bool *got, struct error *error) {
  struct buffer message = BUFFER_EMPTY;
  *got = false;
  if (put->is_over) return STATUS_OK;
  enum status status = grpc_client_next(put->call.call, &message, got, error);
  if (status != STATUS_OK || !*got) put->is_over = true;
  if (status == STATUS_OK && *got) status = take_result(put, &message, error);
  buffer_release(&message);
  return status;
}

/* The next chunk from the connection; a schema is passed over. */
static enum status next_chunk(struct flight_upload *put, bool ready_only,
                              struct flight_chunk *chunk, bool *got, struct error *error) {
  enum flight_inbox_event event = FLIGHT_INBOX_SCHEMA;
  enum status status = STATUS_OK;
  bool over = false;
  *got = false;
  while (status == STATUS_OK && !put->is_over && event == FLIGHT_INBOX_SCHEMA) {
    status =
        flight_inbox_next(&put->inbox, put->call.call, ready_only, chunk, &event, &over, error);
    put->is_over = over;
  }
  *got = status == STATUS_OK && event == FLIGHT_INBOX_CHUNK;
  return status;
}

static enum status keep_chunk(struct flight_upload *put, bool ready_only, struct error *error) {
  struct flight_chunk chunk = {.bytes = 0};
  bool got;
  enum status status = next_chunk(put, ready_only, &chunk, &got, error);
  if (status != STATUS_OK || !got) return status;
  struct queued_chunk *queued = calloc(1, sizeof *queued);
  if (queued == NULL) {
    flight_chunk_release(&chunk);
    return error_set(error, STATUS_NOMEM, "no memory for a batch");
  }
  queued->chunk = chunk;
  *put->last = queued;
  put->last = &queued->next;
  return STATUS_OK;
}

/* All that can be had without waiting. */
static enum status look(struct flight_upload *put, struct error *error) {
  enum status status = STATUS_OK;
  bool got;
  while (status == STATUS_OK && !put->is_over && grpc_client_ready(put->call.call))
    status =
        put->is_exchange ? keep_chunk(put, true, error) : flight_upload_result(put, &got, error);
  return status;
}

static enum status why_over(struct flight_upload *put, struct error *error) {
  enum status status = STATUS_OK;
  bool got = true;
  while (status == STATUS_OK && !put->is_over)
    status =
        put->is_exchange ? keep_chunk(put, false, error) : flight_upload_result(put, &got, error);
  if (status != STATUS_OK) return status;
  return error_set(error, STATUS_UNAVAILABLE,
                   "the server ended the stream before all of it was sent");
}

/* ---- sending -------------------------------------------------------------------------------------------- */

static enum status sent(struct flight_upload *put, enum status status, struct error *error) {
  if (status == STATUS_CANCELLED) return why_over(put, error);
  return status == STATUS_OK ? look(put, error) : status;
}

enum status flight_upload_batch(struct flight_upload *put, struct ArrowArray *batch,
                                const struct buffer *app_metadata, struct error *error) {
  enum status status = STATUS_OK;
  if (put->writer == NULL || put->is_done)
    status = error_set(error, STATUS_INVALID,
                       put->is_done ? "nothing more can be sent" : "a batch goes with a schema");
  else if (put->is_over)
    status = why_over(put, error);
  if (status == STATUS_OK)
    status =
        sent(put, flight_writer_batch(put->writer, batch, app_metadata, &put->out, error), error);
  arrow_array_release(batch);
  return status;
}

enum status flight_upload_metadata(struct flight_upload *put, const struct buffer *app_metadata,
                                   struct error *error) {
  if (put->is_done) return error_set(error, STATUS_INVALID, "nothing more can be sent");
  if (put->is_over) return why_over(put, error);
  return sent(put, flight_write_metadata(app_metadata, NULL, &put->out, error), error);
}

enum status flight_upload_done(struct flight_upload *put, struct error *error) {
  if (put->is_done) return STATUS_OK;
  put->is_done = true;
  enum status status = put->is_over ? STATUS_OK : grpc_client_close_sending(put->call.call, error);
  return status == STATUS_CANCELLED ? STATUS_OK : status; /* what comes next says how it ended */
}

enum status flight_upload_finish(struct flight_upload *put, struct error *error) {
  bool got = true;
  enum status status = flight_upload_done(put, error);
  while (status == STATUS_OK && got) status = flight_upload_result(put, &got, error);
  return status;
}

/* ---- DoExchange -------------------------------------------------------------------------------------------- */

const struct ArrowSchema *flight_client_exchange_schema(const struct flight_upload *put) {
  return ipc_decoder_schema(put->inbox.decoder);
}

enum status flight_client_exchange_next(struct flight_upload *put, struct flight_chunk *chunk,
                                        bool *got, struct error *error) {
  struct queued_chunk *queued = put->first;
  *chunk = (struct flight_chunk){.bytes = 0};
  if (queued != NULL) {
    *chunk = queued->chunk;
    put->first = queued->next;
    if (put->first == NULL) put->last = &put->first;
    free(queued);
    *got = true;
    return STATUS_OK;
  }
  return next_chunk(put, false, chunk, got, error);
}
