/* The Flight client of include/arrowport/flight.h: clients, infos, streams, puts, exchanges, actions. */
#include "source/public_flight.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/schema.h"
#include "flight/data.h"
#include "source/flight_source.h"
#include "source/source.h"

_Static_assert((int)FLIGHT_EXISTS_REPLACE == (int)ARROWPORT_FLIGHT_EXISTS_REPLACE, "they differ");
_Static_assert((int)FLIGHT_ABSENT_FAIL == (int)ARROWPORT_FLIGHT_ABSENT_FAIL, "they differ");

/* ---- options ----------------------------------------------------------------------------------------- */

enum status public_settings(const struct arrowport_setting *settings, size_t count,
                            const char *what, struct http_header **copy, struct error *error) {
  *copy = NULL;
  if (count == 0) return STATUS_OK;
  if (settings == NULL) return error_set(error, STATUS_INVALID, "%ss is NULL", what);
  *copy = calloc(count, sizeof **copy);
  if (*copy == NULL) return error_set(error, STATUS_NOMEM, "no memory for %ss", what);
  for (size_t i = 0; i < count; i++) {
    if (settings[i].name == NULL || settings[i].value == NULL) {
      free(*copy);
      *copy = NULL;
      return error_set(error, STATUS_INVALID, "%s %zu lacks its name or value", what, i);
    }
    (*copy)[i] = (struct http_header){settings[i].name, settings[i].value};
  }
  return STATUS_OK;
}

enum status public_call_read(const struct arrowport_flight_call *given, struct public_call *call,
                             struct error *error) {
  struct arrowport_flight_call own;
  *call = (struct public_call){.headers = NULL};
  enum status status = public_options(given, "arrowport_flight_call", &own, sizeof own, error);
  if (status == STATUS_OK && own.timeout_ms < 0)
    status = error_set(error, STATUS_INVALID, "timeout_ms is less than nothing");
  if (status == STATUS_OK)
    status = public_settings(own.headers, own.header_count, "header", &call->headers, error);
  if (status == STATUS_OK)
    call->options = (struct flight_call_options){.timeout_ms = own.timeout_ms,
                                                 .headers = call->headers,
                                                 .header_count = own.header_count,
                                                 .cancel = (struct flight_cancel *)own.cancel};
  return status;
}

void public_call_release(struct public_call *call) {
  free(call->headers);
  call->headers = NULL;
}

enum status public_compression(int compression, int level, struct ipc_writer_options *options,
                               struct error *error) {
  static const enum ipc_compression known[] = {IPC_COMPRESSION_NONE, IPC_COMPRESSION_LZ4,
                                               IPC_COMPRESSION_ZSTD};
  if (compression < 0 || compression > 2)
    return error_set(error, STATUS_INVALID, "compression %d is none", compression);
  *options = (struct ipc_writer_options){.compression = known[compression], .level = level};
  return STATUS_OK;
}

/* ---- clients -------------------------------------------------------------------------------------------- */

void public_flight_hold(struct arrowport_flight *flight) { atomic_fetch_add(&flight->owners, 1); }

void public_flight_release(void *context) {
  struct arrowport_flight *flight = context;
  if (flight == NULL || atomic_fetch_sub(&flight->owners, 1) != 1) return;
  flight_client_close(flight->client);
  public_budget_close(flight->budget);
  free(flight);
}

void arrowport_flight_close(struct arrowport_flight *flight) { public_flight_release(flight); }

static enum status open_client(const char *url, const struct arrowport_flight_options *given,
                               struct arrowport_flight *flight, struct error *error) {
  struct arrowport_flight_options own;
  struct http_header *headers = NULL;
  int64_t memory_bytes = 0;
  enum status status = public_options(given, "arrowport_flight_open", &own, sizeof own, error);
  if (status == STATUS_OK) status = public_memory(own.memory_bytes_max, &memory_bytes, error);
  if (status == STATUS_OK && (own.connect_timeout_ms < 0 || own.timeout_ms < 0))
    status = error_set(error, STATUS_INVALID, "a timeout is less than nothing");
  if (status == STATUS_OK)
    status = public_settings(own.headers, own.header_count, "header", &headers, error);
  if (status == STATUS_OK) status = public_budget_new(memory_bytes, &flight->budget, error);
  struct flight_client_options options = {
      .url = url,
      .token = own.token,
      .user = own.user,
      .password = own.password,
      .ca_path = own.ca_path,
      .cert_path = own.cert_path,
      .key_path = own.key_path,
      .server_name = own.server_name,
      .insecure = own.insecure,
      .headers = headers,
      .header_count = own.header_count,
      .connect_timeout_ms = own.connect_timeout_ms,
      .timeout_ms = own.timeout_ms,
      .retries = own.retries,
      .parallel = own.parallel,
      .share_credentials = own.share_credentials,
      .budget = flight->budget,
  };
  if (status == STATUS_OK) status = flight_client_open(&options, &flight->client, error);
  free(headers);
  return status;
}

enum arrowport_status arrowport_flight_open(const char *url,
                                            const struct arrowport_flight_options *options,
                                            struct arrowport_flight **flight,
                                            struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct arrowport_flight *made = NULL;
  enum status status = public_need(flight, "flight", &why);
  if (status == STATUS_OK) status = public_need(url, "url", &why);
  if (status == STATUS_OK) {
    made = calloc(1, sizeof *made);
    status = made == NULL ? error_set(&why, STATUS_NOMEM, "no memory for a client") : STATUS_OK;
  }
  if (status == STATUS_OK) {
    assert(made != NULL);
    atomic_init(&made->owners, 1);
    status = open_client(url, options, made, &why);
  }
  if (status != STATUS_OK) {
    public_flight_release(made);
    made = NULL;
  }
  if (flight != NULL) *flight = made;
  return public_status(status, &why, error);
}

enum arrowport_status arrowport_flight_cancel_new(struct arrowport_flight_cancel **cancel,
                                                  struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = public_need(cancel, "cancel", &why);
  if (status == STATUS_OK) {
    struct flight_cancel *made = NULL;
    status = flight_cancel_new(&made, &why);
    *cancel = (struct arrowport_flight_cancel *)made;
  }
  return public_status(status, &why, error);
}

void arrowport_flight_cancel_now(struct arrowport_flight_cancel *cancel) {
  flight_cancel_now((struct flight_cancel *)cancel);
}

void arrowport_flight_cancel_free(struct arrowport_flight_cancel *cancel) {
  flight_cancel_free((struct flight_cancel *)cancel);
}

/* ---- descriptors and infos --------------------------------------------------------------------------------- */

static enum status read_descriptor(const struct arrowport_flight_descriptor *given,
                                   FlightDescriptor *descriptor, struct error *error) {
  FlightDescriptor fresh = ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__INIT;
  *descriptor = fresh;
  enum status status = public_need(given, "descriptor", error);
  if (status != STATUS_OK) return status;
  bool is_path = given->path_count > 0;
  if (is_path == (given->command_bytes > 0))
    return error_set(error, STATUS_INVALID, "a descriptor is a path or a command");
  for (size_t i = 0; i < given->path_count; i++)
    if (given->path == NULL || given->path[i] == NULL)
      return error_set(error, STATUS_INVALID, "element %zu of the path is NULL", i);
  if (!is_path) status = public_need(given->command, "command", error);
  descriptor->type = is_path ? ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__DESCRIPTOR_TYPE__PATH
                             : ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__DESCRIPTOR_TYPE__CMD;
  descriptor->n_path = given->path_count;
  memcpy(&descriptor->path, &given->path, sizeof descriptor->path);
  descriptor->cmd.len = given->command_bytes;
  memcpy(&descriptor->cmd.data, &given->command, sizeof descriptor->cmd.data);
  return status;
}

static struct arrowport_flight_info *info_out(FlightInfo *info) {
  return (struct arrowport_flight_info *)(void *)info;
}
static const FlightInfo *info_in(const struct arrowport_flight_info *info) {
  return (const FlightInfo *)(const void *)info;
}

struct progress_of {
  bool (*progress)(void *context, double fraction);
  void *context;
};

static enum status ask_info(struct arrowport_flight *flight,
                            const struct arrowport_flight_descriptor *given,
                            const struct arrowport_flight_call *given_call, bool poll,
                            const struct progress_of *progress, FlightInfo **info,
                            struct error *error) {
  FlightDescriptor descriptor;
  struct public_call call = {.headers = NULL};
  *info = NULL;
  enum status status = public_need(flight, "flight", error);
  if (status == STATUS_OK) status = read_descriptor(given, &descriptor, error);
  if (status == STATUS_OK) status = public_call_read(given_call, &call, error);
  if (status == STATUS_OK)
    status = poll ? flight_client_poll(flight->client, &descriptor, &call.options,
                                       progress->progress, progress->context, info, error)
                  : flight_client_info(flight->client, &descriptor, &call.options, info, error);
  public_call_release(&call);
  return status;
}

enum arrowport_status
arrowport_flight_get_info(struct arrowport_flight *flight,
                          const struct arrowport_flight_descriptor *descriptor,
                          const struct arrowport_flight_call *call,
                          struct arrowport_flight_info **info, struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  FlightInfo *made = NULL;
  enum status status = public_need(info, "info", &why);
  if (status == STATUS_OK) {
    status = ask_info(flight, descriptor, call, false, NULL, &made, &why);
    *info = info_out(made);
  }
  return public_status(status, &why, error);
}

enum arrowport_status arrowport_flight_poll_info(
    struct arrowport_flight *flight, const struct arrowport_flight_descriptor *descriptor,
    const struct arrowport_flight_call *call, bool (*progress)(void *context, double fraction),
    void *context, struct arrowport_flight_info **info, struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct progress_of told = {progress, context};
  FlightInfo *made = NULL;
  enum status status = public_need(info, "info", &why);
  if (status == STATUS_OK) {
    status = ask_info(flight, descriptor, call, true, &told, &made, &why);
    *info = info_out(made);
  }
  return public_status(status, &why, error);
}

void arrowport_flight_info_free(struct arrowport_flight_info *info) {
  if (info != NULL) FLIGHT(flight_info__free_unpacked)((FlightInfo *)(void *)info, NULL);
}

int64_t arrowport_flight_info_rows(const struct arrowport_flight_info *info) {
  return info_in(info)->total_records;
}

int64_t arrowport_flight_info_bytes(const struct arrowport_flight_info *info) {
  return info_in(info)->total_bytes;
}

bool arrowport_flight_info_ordered(const struct arrowport_flight_info *info) {
  return info_in(info)->ordered;
}

size_t arrowport_flight_info_endpoints(const struct arrowport_flight_info *info) {
  return info_in(info)->n_endpoint;
}

enum arrowport_status arrowport_flight_info_schema(const struct arrowport_flight_info *info,
                                                   struct ArrowSchema *schema,
                                                   struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = public_need(info, "info", &why);
  if (status == STATUS_OK) status = public_need(schema, "schema", &why);
  if (status == STATUS_OK && info_in(info)->schema.len == 0)
    status = error_set(&why, STATUS_NOT_FOUND, "the server does not say the schema");
  if (status == STATUS_OK)
    status =
        flight_schema_read(info_in(info)->schema.data, info_in(info)->schema.len, schema, &why);
  return public_status(status, &why, error);
}

void arrowport_flight_info_descriptor(const struct arrowport_flight_info *info,
                                      struct arrowport_flight_descriptor *descriptor) {
  const FlightDescriptor *own = info_in(info)->flight_descriptor;
  *descriptor = (struct arrowport_flight_descriptor){.path_count = 0};
  if (own == NULL) return;
  descriptor->path = (const char *const *)own->path;
  descriptor->path_count = own->n_path;
  descriptor->command = own->cmd.data;
  descriptor->command_bytes = own->cmd.len;
}

bool arrowport_flight_info_endpoint(const struct arrowport_flight_info *info, size_t index,
                                    struct arrowport_flight_endpoint *endpoint) {
  if (index >= info_in(info)->n_endpoint) return false;
  const FlightEndpoint *own = info_in(info)->endpoint[index];
  *endpoint = (struct arrowport_flight_endpoint){.expires_us = -1,
                                                 .app_metadata = own->app_metadata.data,
                                                 .app_metadata_bytes = own->app_metadata.len,
                                                 .location_count = own->n_location};
  if (own->ticket != NULL) {
    endpoint->ticket = own->ticket->ticket.data;
    endpoint->ticket_bytes = own->ticket->ticket.len;
  }
  if (own->expiration_time != NULL)
    endpoint->expires_us =
        own->expiration_time->seconds * 1000000 + own->expiration_time->nanos / 1000;
  return true;
}

const char *arrowport_flight_info_location(const struct arrowport_flight_info *info, size_t index,
                                           size_t location) {
  if (index >= info_in(info)->n_endpoint) return NULL;
  const FlightEndpoint *own = info_in(info)->endpoint[index];
  return location < own->n_location ? own->location[location]->uri : NULL;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

enum status public_stream(struct arrowport_flight *flight, struct flight_reader *reader,
                          struct ArrowArrayStream *stream, struct error *error) {
  struct source *source = NULL;
  public_flight_hold(flight);
  enum status status = source_open_flight(reader, public_flight_release, flight, &source, error);
  if (status == STATUS_OK) source_export(source, stream);
  return status;
}

static enum status read_info(struct arrowport_flight *flight, const FlightInfo *info,
                             const struct arrowport_flight_call *given,
                             struct ArrowArrayStream *stream, struct error *error) {
  struct public_call call = {.headers = NULL};
  struct flight_reader *reader = NULL;
  enum status status = public_need(stream, "stream", error);
  if (status == STATUS_OK) status = public_call_read(given, &call, error);
  if (status == STATUS_OK)
    status = flight_reader_open(flight->client, info, &call.options, &reader, error);
  if (status == STATUS_OK) status = public_stream(flight, reader, stream, error);
  public_call_release(&call);
  return status;
}

enum arrowport_status arrowport_flight_info_read(struct arrowport_flight *flight,
                                                 const struct arrowport_flight_info *info,
                                                 const struct arrowport_flight_call *call,
                                                 struct ArrowArrayStream *stream,
                                                 struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = public_need(flight, "flight", &why);
  if (status == STATUS_OK) status = public_need(info, "info", &why);
  if (status == STATUS_OK) status = read_info(flight, info_in(info), call, stream, &why);
  return public_status(status, &why, error);
}

enum arrowport_status arrowport_flight_get(struct arrowport_flight *flight,
                                           const struct arrowport_flight_descriptor *descriptor,
                                           const struct arrowport_flight_call *call,
                                           struct ArrowArrayStream *stream,
                                           struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  FlightInfo *info = NULL;
  enum status status = ask_info(flight, descriptor, call, false, NULL, &info, &why);
  if (status == STATUS_OK) status = read_info(flight, info, call, stream, &why);
  if (info != NULL) FLIGHT(flight_info__free_unpacked)(info, NULL);
  return public_status(status, &why, error);
}

enum arrowport_status arrowport_flight_get_ticket(struct arrowport_flight *flight,
                                                  const void *ticket, size_t bytes,
                                                  const struct arrowport_flight_call *given,
                                                  struct ArrowArrayStream *stream,
                                                  struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct public_call call = {.headers = NULL};
  struct flight_reader *reader = NULL;
  enum status status = public_need(flight, "flight", &why);
  if (status == STATUS_OK && bytes > 0) status = public_need(ticket, "ticket", &why);
  if (status == STATUS_OK) status = public_need(stream, "stream", &why);
  if (status == STATUS_OK) status = public_call_read(given, &call, &why);
  if (status == STATUS_OK)
    status = flight_reader_open_ticket(flight->client, ticket, bytes, &call.options, &reader, &why);
  if (status == STATUS_OK) status = public_stream(flight, reader, stream, &why);
  public_call_release(&call);
  return public_status(status, &why, error);
}

enum arrowport_status arrowport_flight_get_schema(struct arrowport_flight *flight,
                                                  const struct arrowport_flight_descriptor *given,
                                                  const struct arrowport_flight_call *given_call,
                                                  struct ArrowSchema *schema,
                                                  struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct public_call call = {.headers = NULL};
  FlightDescriptor descriptor;
  enum status status = public_need(flight, "flight", &why);
  if (status == STATUS_OK) status = public_need(schema, "schema", &why);
  if (status == STATUS_OK) status = read_descriptor(given, &descriptor, &why);
  if (status == STATUS_OK) status = public_call_read(given_call, &call, &why);
  if (status == STATUS_OK)
    status = flight_client_schema(flight->client, &descriptor, &call.options, schema, &why);
  public_call_release(&call);
  return public_status(status, &why, error);
}

enum arrowport_status arrowport_flight_info_cancel(struct arrowport_flight *flight,
                                                   const struct arrowport_flight_info *info,
                                                   const struct arrowport_flight_call *given,
                                                   struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct public_call call = {.headers = NULL};
  FlightCancelStatus cancelled = ARROW__FLIGHT__PROTOCOL__CANCEL_STATUS__CANCEL_STATUS_UNSPECIFIED;
  enum status status = public_need(flight, "flight", &why);
  if (status == STATUS_OK) status = public_need(info, "info", &why);
  if (status == STATUS_OK) status = public_call_read(given, &call, &why);
  if (status == STATUS_OK)
    status = flight_client_cancel(flight->client, info_in(info), &call.options, &cancelled, &why);
  if (status == STATUS_OK &&
      cancelled == ARROW__FLIGHT__PROTOCOL__CANCEL_STATUS__CANCEL_STATUS_NOT_CANCELLABLE)
    status = error_set(&why, STATUS_CONFLICT, "the server cannot cancel it: it may be over");
  public_call_release(&call);
  return public_status(status, &why, error);
}

/* ---- lists and actions -------------------------------------------------------------------------------------------- */

/* What a caller's function has to do with ours: it says when it has enough. */
struct listener {
  bool (*info)(void *context, const struct arrowport_flight_info *info);
  bool (*result)(void *context, const void *result, size_t bytes);
  bool (*type)(void *context, const char *type, const char *description);
  void *context;
  bool has_enough;
};

static enum status heard(struct listener *listener, bool goes_on, struct error *error) {
  listener->has_enough = !goes_on;
  return goes_on ? STATUS_OK : error_set(error, STATUS_CANCELLED, "that is enough");
}

static enum status on_info(void *context, const FlightInfo *info, struct error *error) {
  struct listener *listener = context;
  const struct arrowport_flight_info *given = (const void *)info;
  return heard(listener, listener->info == NULL || listener->info(listener->context, given), error);
}

static enum status on_result(void *context, const void *body, size_t bytes, struct error *error) {
  struct listener *listener = context;
  return heard(listener,
               listener->result == NULL || listener->result(listener->context, body, bytes), error);
}

static enum status on_type(void *context, const FlightActionType *type, struct error *error) {
  struct listener *listener = context;
  return heard(listener,
               listener->type == NULL ||
                   listener->type(listener->context, type->type, type->description),
               error);
}

static enum arrowport_status listened(enum status status, const struct listener *listener,
                                      struct public_call *call, const struct error *why,
                                      struct arrowport_error *error) {
  public_call_release(call);
  if (listener->has_enough) status = STATUS_OK;
  return public_status(status, why, error);
}

enum arrowport_status arrowport_flight_list(struct arrowport_flight *flight, const void *expression,
                                            size_t bytes, const struct arrowport_flight_call *given,
                                            bool (*each)(void *context,
                                                         const struct arrowport_flight_info *info),
                                            void *context, struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct public_call call = {.headers = NULL};
  struct listener listener = {.info = each, .context = context};
  enum status status = public_need(flight, "flight", &why);
  if (status == STATUS_OK && bytes > 0) status = public_need(expression, "expression", &why);
  if (status == STATUS_OK) status = public_call_read(given, &call, &why);
  if (status == STATUS_OK)
    status = flight_client_list(flight->client, expression, bytes, &call.options, on_info,
                                &listener, &why);
  return listened(status, &listener, &call, &why, error);
}

enum arrowport_status
arrowport_flight_action(struct arrowport_flight *flight, const char *type, const void *body,
                        size_t bytes, const struct arrowport_flight_call *given,
                        bool (*each)(void *context, const void *result, size_t bytes),
                        void *context, struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct public_call call = {.headers = NULL};
  struct listener listener = {.result = each, .context = context};
  enum status status = public_need(flight, "flight", &why);
  if (status == STATUS_OK) status = public_need(type, "type", &why);
  if (status == STATUS_OK && bytes > 0) status = public_need(body, "body", &why);
  if (status == STATUS_OK) status = public_call_read(given, &call, &why);
  if (status == STATUS_OK)
    status = flight_client_action(flight->client, type, body, bytes, &call.options, on_result,
                                  &listener, &why);
  return listened(status, &listener, &call, &why, error);
}

enum arrowport_status
arrowport_flight_actions(struct arrowport_flight *flight, const struct arrowport_flight_call *given,
                         bool (*each)(void *context, const char *type, const char *description),
                         void *context, struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct public_call call = {.headers = NULL};
  struct listener listener = {.type = each, .context = context};
  enum status status = public_need(flight, "flight", &why);
  if (status == STATUS_OK) status = public_call_read(given, &call, &why);
  if (status == STATUS_OK)
    status = flight_client_actions(flight->client, &call.options, on_type, &listener, &why);
  return listened(status, &listener, &call, &why, error);
}

/* ---- puts and exchanges ------------------------------------------------------------------------------------------------ */

struct put_of {
  struct arrowport_flight_put_options given;
  struct public_call call;
  struct ipc_writer_options compression;
  struct flight_upload_options options;
};

static enum status on_put_result(void *context, const void *data, size_t bytes,
                                 struct error *error) {
  struct put_of *put = context;
  if (put->given.result == NULL || put->given.result(put->given.context, data, bytes))
    return STATUS_OK;
  return error_set(error, STATUS_CANCELLED, "the put was given up");
}

static enum status read_put(const struct arrowport_flight_put_options *given, struct put_of *put,
                            struct error *error) {
  memset(put, 0, sizeof *put);
  enum status status =
      public_options(given, "arrowport_flight_put_options", &put->given, sizeof put->given, error);
  if (status == STATUS_OK) status = public_call_read(put->given.call, &put->call, error);
  if (status == STATUS_OK)
    status = public_compression(put->given.compression, put->given.level, &put->compression, error);
  put->options = (struct flight_upload_options){.call = &put->call.options,
                                                .compression = &put->compression,
                                                .result = on_put_result,
                                                .context = put};
  return status;
}

enum status public_put_rows(struct source *source, struct flight_upload *put, int64_t *rows,
                            struct error *error) {
  for (;;) {
    struct ArrowArray batch = {.release = NULL};
    enum status status = source_next(source, &batch, error);
    if (status == STATUS_OK && batch.release == NULL) return flight_upload_finish(put, error);
    int64_t length = batch.length;
    if (status == STATUS_OK) status = flight_upload_batch(put, &batch, NULL, error);
    if (status != STATUS_OK) return status;
    *rows += length;
  }
}

enum arrowport_status arrowport_flight_put(struct arrowport_flight *flight,
                                           const struct arrowport_flight_descriptor *given,
                                           struct ArrowArrayStream *stream,
                                           const struct arrowport_flight_put_options *options,
                                           int64_t *rows, struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct put_of put = {.call = {.headers = NULL}};
  struct flight_upload *sent = NULL;
  struct source *source = NULL;
  FlightDescriptor descriptor;
  int64_t count = 0;
  enum status status = public_need(flight, "flight", &why);
  if (status == STATUS_OK) status = public_need(stream, "stream", &why);
  if (status == STATUS_OK) status = read_descriptor(given, &descriptor, &why);
  if (status == STATUS_OK) status = read_put(options, &put, &why);
  if (status == STATUS_OK) status = source_open_c_stream(stream, &source, &why);
  if (status == STATUS_OK)
    status = flight_upload_open(flight->client, &descriptor, source_schema(source), &put.options,
                                &sent, &why);
  if (status == STATUS_OK) status = public_put_rows(source, sent, &count, &why);
  flight_upload_free(sent);
  source_close(source);
  if (stream != NULL && stream->release != NULL) stream->release(stream);
  public_call_release(&put.call);
  if (rows != NULL) *rows = count;
  return public_status(status, &why, error);
}

struct arrowport_flight_exchange {
  struct arrowport_flight *flight;
  struct put_of put;
  struct flight_upload *sent;
};

void arrowport_flight_exchange_close(struct arrowport_flight_exchange *exchange) {
  if (exchange == NULL) return;
  flight_upload_free(exchange->sent);
  public_call_release(&exchange->put.call);
  public_flight_release(exchange->flight);
  free(exchange);
}

enum arrowport_status arrowport_flight_exchange_open(
    struct arrowport_flight *flight, const struct arrowport_flight_descriptor *given,
    const struct ArrowSchema *schema, const struct arrowport_flight_put_options *options,
    struct arrowport_flight_exchange **exchange, struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct arrowport_flight_exchange *made = NULL;
  FlightDescriptor descriptor;
  enum status status = public_need(flight, "flight", &why);
  if (status == STATUS_OK) status = public_need(exchange, "exchange", &why);
  if (status == STATUS_OK) status = read_descriptor(given, &descriptor, &why);
  if (status == STATUS_OK) {
    made = calloc(1, sizeof *made);
    status = made == NULL ? error_set(&why, STATUS_NOMEM, "no memory for an exchange") : STATUS_OK;
  }
  if (status == STATUS_OK) {
    assert(made != NULL);
    made->flight = flight;
    public_flight_hold(flight);
    status = read_put(options, &made->put, &why);
  }
  if (status == STATUS_OK)
    status = flight_client_exchange_open(flight->client, &descriptor, schema, &made->put.options,
                                         &made->sent, &why);
  if (status != STATUS_OK) {
    arrowport_flight_exchange_close(made);
    made = NULL;
  }
  if (exchange != NULL) *exchange = made;
  return public_status(status, &why, error);
}

enum arrowport_status arrowport_flight_exchange_write(struct arrowport_flight_exchange *exchange,
                                                      struct ArrowArray *batch,
                                                      struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = public_need(exchange, "exchange", &why);
  if (status == STATUS_OK) status = public_need(batch, "batch", &why);
  if (status == STATUS_OK) status = flight_upload_batch(exchange->sent, batch, NULL, &why);
  return public_status(status, &why, error);
}

enum arrowport_status arrowport_flight_exchange_done(struct arrowport_flight_exchange *exchange,
                                                     struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = public_need(exchange, "exchange", &why);
  if (status == STATUS_OK) status = flight_upload_done(exchange->sent, &why);
  return public_status(status, &why, error);
}

enum arrowport_status arrowport_flight_exchange_next(struct arrowport_flight_exchange *exchange,
                                                     struct ArrowArray *batch,
                                                     struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  bool got = true;
  enum status status = public_need(exchange, "exchange", &why);
  if (status == STATUS_OK) status = public_need(batch, "batch", &why);
  if (status == STATUS_OK) batch->release = NULL;
  while (status == STATUS_OK && got && batch->release == NULL) {
    struct flight_chunk chunk;
    status = flight_client_exchange_next(exchange->sent, &chunk, &got, &why);
    if (status == STATUS_OK && got) arrow_array_move(&chunk.batch, batch);
    if (status == STATUS_OK && got) flight_chunk_release(&chunk);
  }
  return public_status(status, &why, error);
}

enum arrowport_status arrowport_flight_exchange_schema(struct arrowport_flight_exchange *exchange,
                                                       struct ArrowSchema *schema,
                                                       struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = public_need(exchange, "exchange", &why);
  if (status == STATUS_OK) status = public_need(schema, "schema", &why);
  const struct ArrowSchema *own =
      status == STATUS_OK ? flight_client_exchange_schema(exchange->sent) : NULL;
  if (status == STATUS_OK)
    status = own == NULL ? error_set(&why, STATUS_NOT_FOUND, "no schema has come yet")
                         : arrow_schema_copy(own, schema, &why);
  return public_status(status, &why, error);
}
