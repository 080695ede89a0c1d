/* What comes as FlightData, and one DoGet.
 *
 * The bytes of a batch's body go from the connection's frames into the aligned buffer that its arrays
 * will point into: the reader of FlightData (data.h) says where each piece of a message goes. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "flight/client_private.h"

void flight_chunk_release(struct flight_chunk *chunk) {
  arrow_array_release(&chunk->batch);
  buffer_release(&chunk->app_metadata);
  *chunk = (struct flight_chunk){.bytes = 0};
}

/* ---- receiving ------------------------------------------------------------------------------------- */

static enum status on_filled(void *context, int64_t bytes, struct error *error) {
  struct flight_inbox *inbox = context;
  bool whole;
  return flight_data_reader_filled(inbox->reader, bytes, &whole, error);
}

static enum status on_begin(void *context, int64_t bytes, struct error *error) {
  struct flight_inbox *inbox = context;
  enum status status = flight_data_reader_begin(inbox->reader, bytes, error);
  return status == STATUS_OK && bytes == 0 ? on_filled(context, 0, error) : status;
}

static enum status on_window(void *context, uint8_t **data, int64_t *bytes, struct error *error) {
  struct flight_inbox *inbox = context;
  return flight_data_reader_window(inbox->reader, data, bytes, error);
}

enum status flight_inbox_open(struct flight_inbox *inbox, struct budget *budget,
                              struct error *error) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  *inbox = (struct flight_inbox){.reader = NULL};
  inbox->receiver = (struct grpc_receiver){
      .context = inbox, .begin = on_begin, .window = on_window, .filled = on_filled};
  enum status status = flight_data_reader_new(&limits, budget, &inbox->reader, error);
  if (status == STATUS_OK) status = ipc_decoder_new(&limits, budget, &inbox->decoder, error);
  return status;
}

void flight_inbox_close(struct flight_inbox *inbox) {
  if (inbox->is_waiting) flight_data_release(&inbox->data);
  flight_data_reader_free(inbox->reader);
  ipc_decoder_free(inbox->decoder);
  *inbox = (struct flight_inbox){.reader = NULL};
}

/* Decodes what waits. It stays when there is no memory for it now. */
static enum status decode(struct flight_inbox *inbox, struct flight_chunk *chunk,
                          enum flight_inbox_event *event, struct error *error) {
  struct flight_data *data = &inbox->data;
  enum ipc_event decoded;
  enum status status = STATUS_OK;
  *chunk =
      (struct flight_chunk){.bytes = data->message.metadata.size_bytes +
                                     data->message.body.size_bytes + data->app_metadata.size_bytes};
  *event = FLIGHT_INBOX_NOTHING;
  if (data->message.metadata.size_bytes > 0) {
    bool is_first = ipc_decoder_schema(inbox->decoder) == NULL;
    status = ipc_decoder_decode(inbox->decoder, &data->message, &decoded, &chunk->batch, error);
    if (status == STATUS_BUDGET) return status;
    if (status == STATUS_OK) data->message = (struct ipc_message){.offset_bytes = 0};
    if (status == STATUS_OK && decoded == IPC_EVENT_SCHEMA) *event = FLIGHT_INBOX_SCHEMA;
    if (status == STATUS_OK && decoded == IPC_EVENT_BATCH) *event = FLIGHT_INBOX_CHUNK;
    if (status == STATUS_OK && decoded == IPC_EVENT_SCHEMA && !is_first)
      status = error_set(error, STATUS_INVALID, "the stream has a second schema");
  } else if (data->has_app_metadata) {
    *event = FLIGHT_INBOX_CHUNK;
  }
  if (status == STATUS_OK && *event == FLIGHT_INBOX_CHUNK) {
    chunk->app_metadata = data->app_metadata;
    chunk->has_app_metadata = data->has_app_metadata;
    data->app_metadata = BUFFER_EMPTY;
  }
  flight_data_release(data);
  inbox->is_waiting = false;
  return status;
}

enum status flight_inbox_next(struct flight_inbox *inbox, struct grpc_client_call *call,
                              bool ready_only, struct flight_chunk *chunk,
                              enum flight_inbox_event *event, bool *over, struct error *error) {
  enum status status = STATUS_OK;
  *event = FLIGHT_INBOX_NOTHING;
  *over = false;
  while (status == STATUS_OK && *event == FLIGHT_INBOX_NOTHING) {
    if (!inbox->is_waiting) {
      bool got = false;
      if (ready_only && !grpc_client_ready(call)) break;
      status = grpc_client_next(call, NULL, &got, error);
      *over = status != STATUS_BUDGET && !got;
      if (status != STATUS_OK || !got) break;
      flight_data_reader_take(inbox->reader, &inbox->data);
      inbox->is_waiting = true;
    }
    status = decode(inbox, chunk, event, error);
  }
  return status;
}

/* ---- DoGet ------------------------------------------------------------------------------------------- */

struct flight_stream {
  struct flight_inbox inbox;
  struct flight_client_call call;
};

void flight_stream_close(struct flight_stream *stream) {
  if (stream == NULL) return;
  flight_client_call_end(&stream->call);
  flight_inbox_close(&stream->inbox);
  free(stream);
}

const struct ArrowSchema *flight_stream_schema(const struct flight_stream *stream) {
  return ipc_decoder_schema(stream->inbox.decoder);
}

enum status flight_stream_next(struct flight_stream *stream, struct flight_chunk *chunk, bool *got,
                               struct error *error) {
  enum flight_inbox_event event;
  bool over;
  *chunk = (struct flight_chunk){.bytes = 0};
  enum status status =
      flight_inbox_next(&stream->inbox, stream->call.call, false, chunk, &event, &over, error);
  *got = status == STATUS_OK && event == FLIGHT_INBOX_CHUNK;
  return status;
}

/* How far one attempt came. */
struct attempt {
  const struct buffer *ticket;
  const struct flight_call_options *options;
  int64_t until_ms;
  bool was_sent;
};

/* Up to the schema. */
static enum status open_at(struct flight_client *client, struct flight_site *site,
                           struct attempt *attempt, struct flight_stream **stream,
                           struct error *error) {
  struct flight_chunk chunk = {.bytes = 0};
  enum flight_inbox_event event = FLIGHT_INBOX_NOTHING;
  bool over = false;
  struct flight_stream *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a stream");
  made->call.client = client;
  made->call.site = site;
  enum status status = flight_inbox_open(&made->inbox, client->budget, error);
  if (status == STATUS_OK)
    status = flight_client_call_start(client, site, FLIGHT_METHOD("DoGet"), attempt->options,
                                      attempt->until_ms, &made->inbox.receiver, &made->call, error);
  if (status != STATUS_OK) goto done;
  attempt->was_sent = true;
  status = grpc_client_send(made->call.call, attempt->ticket->data,
                            (size_t)attempt->ticket->size_bytes, error);
  if (status == STATUS_OK) status = grpc_client_close_sending(made->call.call, error);
  if (status == STATUS_OK || status == STATUS_CANCELLED)
    status = flight_inbox_next(&made->inbox, made->call.call, false, &chunk, &event, &over, error);
  if (status != STATUS_OK && grpc_client_unprocessed(made->call.call)) attempt->was_sent = false;
  if (status == STATUS_OK && over)
    status = error_set(error, STATUS_INVALID, "DoGet: the stream ends before its schema");
  if (status == STATUS_OK && event == FLIGHT_INBOX_CHUNK)
    status = error_set(error, STATUS_INVALID, "DoGet: the stream does not begin with a schema");
  flight_chunk_release(&chunk);
done:
  if (status == STATUS_OK)
    *stream = made;
  else
    flight_stream_close(made);
  return status;
}

/* The locations one after the other: the first that answers. */
static enum status open_somewhere(struct flight_client *client, const FlightEndpoint *endpoint,
                                  struct attempt *attempt, struct flight_stream **stream,
                                  struct error *error) {
  if (endpoint->n_location == 0) return open_at(client, client->site, attempt, stream, error);
  enum status status = STATUS_OK;
  bool was_refused = false; /* by one that was reached or could have been */
  struct error why;
  for (size_t i = 0; i < endpoint->n_location; i++) {
    const char *text = endpoint->location[i]->uri;
    struct flight_uri uri = {.reuse = true};
    struct flight_site *site = NULL;
    status = text[0] == '\0' ? STATUS_OK : flight_uri_parse(text, &uri, &why);
    bool is_spoken = status == STATUS_OK;
    if (status == STATUS_OK) status = flight_client_site(client, &uri, &site, &why);
    if (status == STATUS_OK) status = open_at(client, site, attempt, stream, &why);
    if (status == STATUS_OK) return STATUS_OK;
    if (is_spoken || !was_refused) {
      if (text[0] != '\0') error_at(&why, "location %.100s", text);
      if (error != NULL) *error = why;
      was_refused = is_spoken;
    }
    if (is_spoken && status != STATUS_UNAVAILABLE) return status;
  }
  return was_refused ? STATUS_UNAVAILABLE : status;
}

static bool has_expired(const FlightEndpoint *endpoint) {
  return endpoint->expiration_time != NULL &&
         endpoint->expiration_time->seconds * 1000000 + endpoint->expiration_time->nanos / 1000 <=
             clock_wall_us();
}

enum status flight_stream_open(struct flight_client *client, const FlightEndpoint *endpoint,
                               const struct flight_call_options *options, int64_t until_ms,
                               struct flight_stream **stream, struct error *error) {
  static const FlightTicket none = ARROW__FLIGHT__PROTOCOL__TICKET__INIT;
  struct flight_client_retry retry = flight_client_retry_of(client, options);
  struct buffer ticket = BUFFER_EMPTY;
  struct attempt attempt = {.ticket = &ticket, .options = options, .until_ms = until_ms};
  FlightEndpoint *renewed = NULL;
  *stream = NULL;
  retry.until_ms = until_ms;
  /* Clocks differ, and not every server renews: when it does not, its answer to DoGet decides. */
  if (has_expired(endpoint) &&
      flight_client_renew(client, endpoint, options, &renewed, NULL) == STATUS_OK)
    endpoint = renewed;
  bool is_safe = endpoint->expiration_time != NULL;
  enum status status = flight_client_pack(
      endpoint->ticket == NULL ? &none.base : &endpoint->ticket->base, &ticket, error);
  if (status == STATUS_OK) {
    do {
      attempt.was_sent = false;
      status = open_somewhere(client, endpoint, &attempt, stream, error);
    } while (status != STATUS_OK && (is_safe || !attempt.was_sent) &&
             flight_client_retry_again(&retry, status));
  }
  buffer_release(&ticket);
  if (renewed != NULL) FLIGHT(flight_endpoint__free_unpacked)(renewed, NULL);
  return status;
}
