/* Channels of a gRPC client: where the server is, the connection to it, and how a call begins.
 *
 * A channel has one connection for new calls. When that is gone, or the server is leaving (GOAWAY), the
 * next call makes another; calls that run on the old one keep it until they are freed. */
#include "net/grpc_client_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrowport_version.h"
#include "base/clock.h"
#include "net/tls.h"

enum {
  CONNECT_TIMEOUT_MS = 10000,
  KEEPALIVE_MS = 60000,
  OWN_FIELDS = 9,
  FIELDS_MAX = 256,
};
#define MESSAGE_BYTES_MAX ((int64_t)2 << 30)

static struct budget unlimited = {.limit_bytes = INT64_MAX};

/* ---- channels -------------------------------------------------------------------------------- */

static char *format_new(const char *format, ...) PRINTF_LIKE(1, 2);
static char *format_new(const char *format, ...) {
  struct text text = TEXT_EMPTY;
  char part[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(part, sizeof part, format, arguments);
  va_end(arguments);
  return text_add(&text, part, NULL) == STATUS_OK ? text.data : NULL;
}

static void target_release(struct grpc_target *target) {
  tls_context_free(target->tls);
  free(target->host);
  free(target->server_name);
  free(target->authority);
  free(target->label);
  *target = (struct grpc_target){0};
}

static enum status check_host(const char *what, const char *host, struct error *error) {
  bool good = host[0] != '\0' && strlen(host) < 256;
  for (const char *at = host; *at != '\0' && good; at++)
    good = *at > 0x20 && *at != 0x7f && strchr("/@?#\"\\", *at) == NULL;
  return good ? STATUS_OK : error_set(error, STATUS_INVALID, "'%.300s' is no %s", host, what);
}

static enum status target_init(struct grpc_target *target,
                               const struct grpc_channel_options *options, struct error *error) {
  const char *host = options->host == NULL ? "" : options->host;
  const char *name = options->server_name == NULL ? host : options->server_name;
  enum status status = check_host("name or address of a server", host, error);
  if (status == STATUS_OK) status = check_host("name of a server", name, error);
  if (status != STATUS_OK) return status;
  if (options->port < 1 || options->port > 65535)
    return error_set(error, STATUS_INVALID, "%d is no port", options->port);
  size_t bytes = strlen(host);
  bool bracketed = host[0] == '[' && host[bytes - 1] == ']';
  target->port = options->port;
  target->host = bracketed ? strndup(host + 1, bytes - 2) : strdup(host);
  bracketed = name[0] == '[' && name[strlen(name) - 1] == ']';
  target->server_name = bracketed ? strndup(name + 1, strlen(name) - 2) : strdup(name);
  if (target->host != NULL && target->server_name != NULL) {
    target->label = strchr(target->host, ':') != NULL
                        ? format_new("[%s]:%d", target->host, target->port)
                        : format_new("%s:%d", target->host, target->port);
    target->authority = strchr(target->server_name, ':') != NULL
                            ? format_new("[%s]:%d", target->server_name, target->port)
                            : format_new("%s:%d", target->server_name, target->port);
  }
  if (target->label == NULL || target->authority == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for a channel");
  return STATUS_OK;
}

enum status grpc_channel_open(const struct grpc_channel_options *options,
                              struct grpc_channel **channel, struct error *error) {
  *channel = NULL;
  struct grpc_channel *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a channel");
  made->connect_timeout_ms =
      options->connect_timeout_ms > 0 ? options->connect_timeout_ms : CONNECT_TIMEOUT_MS;
  made->keepalive_ms = options->keepalive_ms > 0 ? options->keepalive_ms : KEEPALIVE_MS;
  made->message_bytes_max =
      options->message_bytes_max > 0 ? options->message_bytes_max : MESSAGE_BYTES_MAX;
  made->budget = options->budget == NULL ? &unlimited : options->budget;
  enum status status = target_init(&made->target, options, error);
  if (status == STATUS_OK && options->tls) {
    const struct tls_client_options tls = {.ca_path = options->ca_path,
                                           .cert_path = options->cert_path,
                                           .key_path = options->key_path,
                                           .insecure = options->insecure};
    status = tls_client_context_new(&tls, &made->target.tls, error);
  }
  if (status == STATUS_OK)
    *channel = made;
  else
    grpc_channel_close(made);
  return status;
}

void grpc_channel_close(struct grpc_channel *channel) {
  if (channel == NULL) return;
  for (struct grpc_client_call *call = channel->calls; call != NULL; call = call->beside) {
    grpc_client_cancel(call);
    grpc_connection_note_cancelled(call->connection);
    grpc_connection_turn(call->connection);
    call->channel = NULL;
  }
  grpc_connection_free(channel->connection);
  target_release(&channel->target);
  free(channel);
}

/* The one that new calls go to, made if there is none. */
static enum status connection_of(struct grpc_channel *channel, int64_t deadline_ms,
                                 struct error *error) {
  struct grpc_connection *connection = channel->connection;
  if (connection != NULL) {
    grpc_connection_look(connection); /* the server may have left while nobody looked */
    if (grpc_core_usable(&connection->core)) return STATUS_OK;
    channel->connection = NULL;
    grpc_connection_free(connection);
  }
  int64_t until_ms = clock_now_ms() + channel->connect_timeout_ms;
  bool sooner = deadline_ms != 0 && deadline_ms < until_ms;
  enum status status =
      grpc_connection_open(&channel->target, channel->keepalive_ms, sooner ? deadline_ms : until_ms,
                           &channel->connection, error);
  if (status == STATUS_UNAVAILABLE && sooner && clock_now_ms() >= deadline_ms) {
    error_at(error, "the deadline of the call has passed");
    if (error != NULL) error->status = STATUS_TIMEOUT;
    status = STATUS_TIMEOUT;
  }
  return status;
}

/* ---- how a call begins ------------------------------------------------------------------------- */

struct fields {
  nghttp2_nv list[FIELDS_MAX];
  size_t count;
};

static void add(struct fields *fields, const char *name, const char *value) {
  fields->list[fields->count++] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                                               .value = (uint8_t *)(uintptr_t)value,
                                               .namelen = strlen(name),
                                               .valuelen = strlen(value)};
}

/* Fields that are the protocol's, not the caller's. */
static bool is_reserved(const char *name) {
  static const char *const names[] = {"te",
                                      "content-type",
                                      "grpc-timeout",
                                      "grpc-encoding",
                                      "connection",
                                      "host",
                                      "keep-alive",
                                      "upgrade",
                                      "transfer-encoding",
                                      "proxy-connection",
                                      "content-length",
                                      "grpc-accept-encoding"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp(name, names[i]) == 0) return true;
  return false;
}

static enum status add_headers(struct fields *fields, const struct http_header *headers,
                               size_t count, struct error *error) {
  if (count > FIELDS_MAX - OWN_FIELDS)
    return error_set(error, STATUS_INVALID, "%zu headers are too many: at most %d are sent", count,
                     FIELDS_MAX - OWN_FIELDS);
  for (size_t i = 0; i < count; i++) {
    const char *name = headers[i].name, *value = headers[i].value;
    bool upper = false;
    for (const char *at = name; *at != '\0'; at++) upper |= *at >= 'A' && *at <= 'Z';
    if (upper || name[0] == ':' ||
        nghttp2_check_header_name((const uint8_t *)name, strlen(name)) == 0)
      return error_set(error, STATUS_INVALID, "'%.100s' is no name of a header (in lower case)",
                       name);
    if (is_reserved(name))
      return error_set(error, STATUS_INVALID, "the header '%s' is gRPC's own", name);
    if (nghttp2_check_header_value((const uint8_t *)value, strlen(value)) == 0)
      return error_set(error, STATUS_INVALID,
                       "the value of the header '%.100s' holds characters that cannot be sent",
                       name);
    add(fields, name, value);
  }
  return STATUS_OK;
}

/* At most eight digits and a unit (doc/PROTOCOL-HTTP2.md). */
static void print_timeout(int64_t left_ms, char *text, size_t room_bytes) {
  const int64_t most = 99999999;
  if (left_ms < 1) left_ms = 1;
  if (left_ms <= most)
    snprintf(text, room_bytes, "%lldm", (long long)left_ms);
  else
    snprintf(text, room_bytes, "%lldS", (long long)(left_ms / 1000 < most ? left_ms / 1000 : most));
}

static enum status begin_call(struct grpc_channel *channel, struct grpc_client_call *call,
                              const char *method, const struct http_header *headers,
                              size_t header_count, struct error *error) {
  struct fields fields = {.count = 0};
  char timeout[32];
  add(&fields, ":method", "POST");
  add(&fields, ":scheme", channel->target.tls != NULL ? "https" : "http");
  add(&fields, ":path", method);
  add(&fields, ":authority", channel->target.authority);
  add(&fields, "te", "trailers");
  add(&fields, "content-type", "application/grpc");
  add(&fields, "user-agent", "grpc-c-arrowport/" ARROWPORT_VERSION);
  add(&fields, "grpc-accept-encoding", "identity");
  enum status status = add_headers(&fields, headers, header_count, error);
  if (status == STATUS_OK) status = connection_of(channel, call->deadline_ms, error);
  if (status != STATUS_OK) return status;
  if (call->deadline_ms != 0) {
    int64_t left_ms = call->deadline_ms - clock_now_ms();
    if (left_ms <= 0)
      return error_set(error, STATUS_TIMEOUT, "the call's deadline passed before it was sent");
    print_timeout(left_ms, timeout, sizeof timeout);
    add(&fields, "grpc-timeout", timeout);
  }
  return grpc_core_request(&channel->connection->core, call, fields.list, fields.count, error);
}

enum status grpc_client_start(struct grpc_channel *channel, const char *method,
                              const struct http_header *headers, size_t header_count,
                              int64_t deadline_ms, const struct grpc_receiver *receiver,
                              struct grpc_client_call **call, struct error *error) {
  *call = NULL;
  if (method[0] != '/' || nghttp2_check_path((const uint8_t *)method, strlen(method)) == 0)
    return error_set(error, STATUS_INVALID, "'%.200s' is no path of a method", method);
  struct grpc_client_call *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a call");
  if (receiver != NULL) made->receiver = *receiver;
  made->budget = channel->budget;
  made->message_bytes_max = channel->message_bytes_max;
  if (deadline_ms > 0) made->deadline_ms = clock_now_ms() + deadline_ms;
  enum status status = begin_call(channel, made, method, headers, header_count, error);
  if (status != STATUS_OK) {
    grpc_client_free(made);
    return status;
  }
  assert(channel->connection != NULL); /* begin_call saw to it */
  made->connection = channel->connection;
  made->connection->owners++;
  made->channel = channel;
  made->beside = channel->calls;
  channel->calls = made;
  *call = made;
  return STATUS_OK;
}

/* ---- one message there, one back ------------------------------------------------------------------ */

static enum status exchange(struct grpc_client_call *call, const void *message, size_t bytes,
                            struct buffer *answer, struct error *error) {
  bool got = false;
  enum status status = grpc_client_send(call, message, bytes, error);
  if (status == STATUS_OK) status = grpc_client_close_sending(call, error);
  /* Ended before all was sent: the server says why. */
  if (status == STATUS_OK || status == STATUS_CANCELLED)
    status = grpc_client_next(call, answer, &got, error);
  if (status != STATUS_OK) return status;
  if (!got) return error_set(error, STATUS_INVALID, "the server answered OK, but with no message");
  status = grpc_client_next(call, NULL, &got, error);
  if (status == STATUS_OK && got)
    status = error_set(error, STATUS_INVALID,
                       "the server answered with more messages than the one that was asked for");
  return status;
}

enum status grpc_client_unary(struct grpc_channel *channel, const char *method,
                              const struct http_header *headers, size_t header_count,
                              int64_t deadline_ms, const void *message, size_t bytes,
                              struct buffer *answer, struct error *error) {
  enum status status = STATUS_OK;
  int64_t until_ms = deadline_ms > 0 ? clock_now_ms() + deadline_ms : 0;
  bool again = false;
  for (int tries = 0; tries == 0 || again; tries++) {
    struct grpc_client_call *call = NULL;
    status =
        grpc_client_start(channel, method, headers, header_count, deadline_ms, NULL, &call, error);
    if (status != STATUS_OK) return status;
    status = exchange(call, message, bytes, answer, error);
    again = tries == 0 && status == STATUS_UNAVAILABLE && grpc_client_unprocessed(call);
    grpc_client_free(call);
    if (until_ms > 0) deadline_ms = until_ms - clock_now_ms();
    again = again && (until_ms == 0 || deadline_ms > 0);
  }
  if (status != STATUS_OK) buffer_release(answer);
  return status;
}
