/* A call is a request from its headers to the end of its exchange: who asks, what for, and
 * what the log and the metrics are told when it is over. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/grpc.h"
#include "server/private.h"

/* Sixteen random bytes. They are drawn for many ids at once: to ask for so few costs a tenth of what a
 * small request costs in all. Calls begin on the loop's thread alone. */
static void make_id(char id[CALL_ID_BYTES]) {
  enum { ID_BYTES = 16, IDS = 64 };
  static _Thread_local uint8_t random[IDS * ID_BYTES];
  static _Thread_local size_t used = sizeof random;
  if (used == sizeof random) {
    if (RAND_bytes(random, sizeof random) != 1) memset(random, 0, sizeof random);
    used = 0;
  }
  for (size_t i = 0; i < ID_BYTES; i++) {
    id[2 * i] = "0123456789abcdef"[random[used + i] >> 4];
    id[2 * i + 1] = "0123456789abcdef"[random[used + i] & 15];
  }
  id[(size_t)2 * ID_BYTES] = '\0';
  used += ID_BYTES;
}

/* A client that has an id of its own for what it does wants to find it in the log. Others are taken
 * for none: what is written into the log and into a header is not theirs to choose. */
static bool take_id(struct call *call, const char *given) {
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  if (given == NULL) return false;
  size_t bytes = strnlen(given, CALL_ID_BYTES);
  if (bytes == 0 || bytes == CALL_ID_BYTES || given[strspn(given, allowed)] != '\0') return false;
  memcpy(call->id, given, bytes + 1);
  return true;
}

struct call *call_new(struct server *server, struct http_exchange *exchange) {
  struct call *call = calloc(1, sizeof *call);
  if (call == NULL) {
    struct error error;
    error_set(&error, STATUS_NOMEM, "no memory for a request");
    respond_problem(exchange, STATUS_NOMEM, &error);
    return NULL;
  }
  call->server = server;
  call->exchange = exchange;
  call->config = server_config_share(server->config);
  call->started_us = clock_now_us();
  call->rows = -1;
  const struct http_request *request = http_exchange_request(exchange);
  if (!take_id(call, http_request_header(request, "x-request-id"))) make_id(call->id);
  http_exchange_set_context(exchange, call);
  http_exchange_answer_header(exchange, "x-request-id", call->id);
  return call;
}

void call_stream(struct call *call, const char *stream) {
  free(call->stream);
  call->stream = strdup(stream); /* NULL: the log does without */
}

void call_configure(struct server *server, const struct server_config *config) {
  log_format_set(config->log_format);
  log_level_set(config->log_level);
  for (size_t i = 0; i < config->stream_count; i++)
    metrics_stream(server->metrics, config->streams[i].name);
}

/* ---- the log -------------------------------------------------------------------------------- */

/* Asked every few seconds by machines: their answers are lines of their own only when it matters. */
static bool is_probe(const struct call *call) {
  static const char *const probes[] = {"/healthz", "/readyz", "/metrics",
                                       "/grpc.health.v1.Health/Check"};
  for (size_t i = 0; call->endpoint != NULL && i < sizeof probes / sizeof probes[0]; i++)
    if (strcmp(call->endpoint->path, probes[i]) == 0) return true;
  return false;
}

static enum log_level level_of(const struct call *call, int code) {
  /* That it is not ready is logged when it changes (health.c). */
  if (is_probe(call) && (code < 400 || code == 499 || code == 503)) return LOG_DEBUG;
  return code >= 500 ? LOG_WARNING : LOG_INFO;
}

void call_refused(struct http_exchange *exchange, int code, enum status status, const char *detail,
                  bool quotes_input) {
  struct call *call = http_exchange_context(exchange);
  if (call == NULL) return; /* it was none for want of memory */
  call->status = status;
  enum log_level level = status == STATUS_INTERNAL ? LOG_ERROR : level_of(call, code);
  if (quotes_input && !log_wanted(LOG_DEBUG))
    detail = "refused; the answer says why, and so does this line at the log level debug";
  char code_text[12];
  snprintf(code_text, sizeof code_text, "%d", code);
  const struct log_field fields[] = {{"request_id", call->id, false},
                                     {"status", code_text, true},
                                     {"code", status_name(status), false}};
  log_fields(level, "http", detail, fields, sizeof fields / sizeof fields[0]);
}

static void log_call(const struct call *call, int code, int64_t duration_us) {
  if (!log_wanted(level_of(call, code))) return;
  const struct http_request *request = http_exchange_request(call->exchange);
  char code_text[12], grpc_text[12], duration_ms[32], received[24], sent[24], rows[24];
  snprintf(code_text, sizeof code_text, "%d", code);
  snprintf(grpc_text, sizeof grpc_text, "%d", status_grpc(call->status));
  snprintf(duration_ms, sizeof duration_ms, "%.3f", (double)duration_us / 1e3);
  snprintf(received, sizeof received, "%" PRId64, http_exchange_received_bytes(call->exchange));
  snprintf(sent, sizeof sent, "%" PRId64, http_exchange_sent_bytes(call->exchange));
  snprintf(rows, sizeof rows, "%" PRId64, call->rows);
  struct log_field fields[13] = {
      {"request_id", call->id, false},
      {"client", http_exchange_peer(call->exchange)->address, false},
      {"protocol", http_exchange_protocol(call->exchange), false},
      {"method", request->method, false},
      {"path", request->path, false},
      {"status", code_text, true},
      {"duration_ms", duration_ms, true},
      {"received_bytes", received, true},
      {"sent_bytes", sent, true},
  };
  size_t count = 9;
  if (call->who != NULL) fields[count++] = (struct log_field){"who", call->who->name, false};
  if (call->stream != NULL) fields[count++] = (struct log_field){"stream", call->stream, false};
  if (call->rows >= 0) fields[count++] = (struct log_field){"rows", rows, true};
  if (grpc_is_call(call->exchange) && (code == 200 || call->status != STATUS_OK))
    fields[count++] = (struct log_field){"grpc_status", grpc_text, true};
  log_fields(level_of(call, code), "http", "request", fields, count);
}

void call_over(struct call *call) {
  int code = http_exchange_code(call->exchange);
  if (code == 0) code = status_http(STATUS_CANCELLED);
  int64_t duration_us = clock_now_us() - call->started_us;
  metrics_request(call->server->metrics, call->endpoint == NULL ? "other" : call->endpoint->path,
                  call->stream == NULL ? "" : call->stream, http_exchange_protocol(call->exchange),
                  code, duration_us);
  log_call(call, code, duration_us);
  if (call->finished != NULL) call->finished(call->context);
  server_config_free(call->config);
  free(call->stream);
  free(call->name);
  free(call);
}
