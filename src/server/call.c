/* A call is a request from its headers to the end of its exchange: who asks, what for, and
 * what the log and the metrics are told when it is over. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/private.h"

static void make_id(char id[CALL_ID_BYTES]) {
  uint8_t random[(CALL_ID_BYTES - 1) / 2];
  if (RAND_bytes(random, sizeof random) != 1) memset(random, 0, sizeof random);
  for (size_t i = 0; i < sizeof random; i++) snprintf(id + 2 * i, 3, "%02x", random[i]);
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
  make_id(call->id);
  http_exchange_set_context(exchange, call);
  http_exchange_answer_header(exchange, "x-request-id", call->id);
  return call;
}

void call_stream(struct call *call, const char *stream) {
  free(call->stream);
  call->stream = strdup(stream); /* NULL: the log does without */
}

static void log_call(const struct call *call, int code, int64_t duration_us) {
  const struct http_request *request = http_exchange_request(call->exchange);
  char code_text[12], duration_ms[32], received[24], sent[24], rows[24];
  snprintf(code_text, sizeof code_text, "%d", code);
  snprintf(duration_ms, sizeof duration_ms, "%.3f", (double)duration_us / 1e3);
  snprintf(received, sizeof received, "%" PRId64, http_exchange_received_bytes(call->exchange));
  snprintf(sent, sizeof sent, "%" PRId64, http_exchange_sent_bytes(call->exchange));
  snprintf(rows, sizeof rows, "%" PRId64, call->rows);
  struct log_field fields[12] = {
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
  log_fields(code >= 500 ? LOG_WARNING : LOG_INFO, "http", "request", fields, count);
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
