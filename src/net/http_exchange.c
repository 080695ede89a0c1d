/* What net.h says about exchanges, for both protocols. */
#include "net/http_exchange.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "net/grpc_status.h"
#include "net/http_text.h"

/* ---- life -------------------------------------------------------------------------------- */

void exchange_init(struct http_exchange *exchange, const struct http_protocol *protocol,
                   const struct http_service *service, const struct http_peer *peer,
                   struct http_head *head) {
  exchange->protocol = protocol;
  exchange->service = service;
  exchange->peer = peer;
  exchange->head = *head;
  *head = HTTP_HEAD_EMPTY;
}

/* True when the request cannot be served whatever it asks for: answered. */
static bool is_refused(struct http_exchange *exchange) {
  const struct http_request *request = &exchange->head.request;
  struct error error;
  if (request->body_bytes == 0) return false;
  if (exchange->body_bytes_max > 0 && request->body_bytes > exchange->body_bytes_max) {
    error_set(&error, STATUS_TOO_LARGE,
              "the body has %lld bytes; at most %lld are taken (http.body_bytes_max)",
              (long long)request->body_bytes, (long long)exchange->body_bytes_max);
    if (exchange->stats != NULL) exchange->stats->refused_limits++;
    exchange_refuse(exchange, 413, &error);
    return true;
  }
  const char *name = http_request_header(request, "content-encoding");
  enum status status = http_coding_new(name, &exchange->coding, &error);
  if (status == STATUS_OK) return false;
  exchange_refuse(exchange, status == STATUS_UNSUPPORTED ? 415 : status_http(status), &error);
  return true;
}

void exchange_ask(struct http_exchange *exchange) {
  if (!is_refused(exchange)) {
    exchange->asked = true;
    if (exchange->stats != NULL) exchange->stats->requests_open++;
    exchange->service->request(exchange->service->context, exchange);
  }
  if (exchange->body == BODY_NEW && !exchange->waits) exchange->body = BODY_DROPPED;
}

void exchange_lost(struct http_exchange *exchange, enum status status, const char *why) {
  if (exchange->over) return;
  exchange->over = true;
  error_set(&exchange->why, status, "%s", why);
}

void exchange_tell_gone(struct http_exchange *exchange) {
  exchange->over = true;
  if (exchange->body == BODY_TAKEN) {
    exchange->body = BODY_STOPPED;
    if (exchange->handler.gone != NULL)
      exchange->handler.gone(exchange->handler.context, &exchange->why);
  } else if (exchange->gone != NULL && exchange->answer < ANSWER_ENDED) {
    void (*gone)(void *) = exchange->gone;
    exchange->gone = NULL;
    gone(exchange->gone_context);
  }
}

bool exchange_tell_writable(struct http_exchange *exchange) {
  if (!exchange->blocked) return false;
  exchange->blocked = false;
  if (exchange->writable == NULL || exchange->answer != ANSWER_OPEN || exchange->over) return false;
  exchange->writable(exchange->writable_context);
  return true;
}

void exchange_finish(struct http_exchange *exchange) {
  exchange->over = true;
  if (exchange->asked) {
    if (exchange->stats != NULL) exchange->stats->requests_open--;
    exchange->service->finished(exchange->service->context, exchange);
  }
  for (size_t i = 0; i < exchange->answer_header_count; i++) {
    free((void *)(uintptr_t)exchange->answer_headers[i].name);
    free((void *)(uintptr_t)exchange->answer_headers[i].value);
  }
  exchange->answer_header_count = 0;
  http_coding_free(exchange->coding);
  exchange->coding = NULL;
  http_head_release(&exchange->head);
  if (exchange->body == BODY_TAKEN) exchange->body = BODY_STOPPED; /* see http_exchange.h, 2 */
}

/* ---- answers ------------------------------------------------------------------------------- */

bool exchange_answers_nothing(const struct http_exchange *exchange, int code) {
  return code == 204 || code == 304 || strcmp(exchange->head.request.method, "HEAD") == 0;
}

/* Nobody hears of the rest of the body. */
static void answered(struct http_exchange *exchange) {
  exchange->answer = ANSWER_ENDED;
  if (exchange->body != BODY_DONE) exchange->body = BODY_DROPPED;
}

static void begin_answer(struct http_exchange *exchange, int code) {
  exchange->code = code;
  exchange->without_body = exchange_answers_nothing(exchange, code);
}

static void count_sent(struct http_exchange *exchange, int64_t bytes) {
  exchange->sent_bytes += bytes;
  if (exchange->stats != NULL) exchange->stats->sent_bytes += bytes;
}

static void respond(struct http_exchange *exchange, int code, const struct http_header *headers,
                    size_t header_count, const void *body, size_t body_bytes) {
  begin_answer(exchange, code);
  if (!exchange->without_body) count_sent(exchange, (int64_t)body_bytes);
  exchange->protocol->respond(exchange, code, headers, header_count, body, body_bytes);
  answered(exchange);
}

static void end_trailers(struct http_exchange *exchange, const struct http_header *trailers,
                         size_t trailer_count) {
  assert(exchange->protocol->end_trailers != NULL);
  if (exchange->answer == ANSWER_NONE) begin_answer(exchange, 200);
  exchange->protocol->end_trailers(exchange, trailers, trailer_count);
  answered(exchange);
}

void exchange_refuse(struct http_exchange *exchange, int code, const struct error *why) {
  if (exchange->over || exchange->answer == ANSWER_ENDED) { /* it has its answer */
    exchange->body = BODY_STOPPED;
    return;
  }
  exchange->why = *why;
  exchange_tell_gone(exchange);
  if (grpc_is_call(exchange) && exchange->answer <= ANSWER_OPEN) {
    struct grpc_end end;
    grpc_end_init(&end, why->status, why);
    size_t skipped = exchange->answer == ANSWER_NONE ? 0 : end.head_count;
    end_trailers(exchange, end.fields + skipped, end.count - skipped);
    exchange->code = code;
    grpc_end_release(&end);
  } else if (exchange->answer == ANSWER_NONE) {
    struct text body = TEXT_EMPTY;
    if (http_problem(&body, code, why) != STATUS_OK) text_clear(&body);
    struct http_header headers[2] = {{"content-type", "application/problem+json"}};
    size_t count = 1;
    if (code == 415) headers[count++] = (struct http_header){"accept-encoding", HTTP_CODINGS};
    if (code == 429 || code == 503) headers[count++] = (struct http_header){"retry-after", "1"};
    respond(exchange, code, headers, count, text_get(&body), body.size_bytes);
    text_release(&body);
  } else {
    exchange->answer = ANSWER_ABORTED;
    exchange->protocol->abort(exchange);
  }
  exchange->body = BODY_STOPPED;
}

/* ---- what the service asks ------------------------------------------------------------------ */

const struct http_request *http_exchange_request(const struct http_exchange *exchange) {
  return &exchange->head.request;
}

const struct http_peer *http_exchange_peer(const struct http_exchange *exchange) {
  return exchange->peer;
}

const char *http_exchange_protocol(const struct http_exchange *exchange) {
  return exchange->protocol->name;
}

int http_exchange_code(const struct http_exchange *exchange) { return exchange->code; }

int64_t http_exchange_received_bytes(const struct http_exchange *exchange) {
  return exchange->received_bytes;
}

int64_t http_exchange_sent_bytes(const struct http_exchange *exchange) {
  return exchange->sent_bytes;
}

void http_exchange_set_context(struct http_exchange *exchange, void *context) {
  exchange->context = context;
}

void *http_exchange_context(const struct http_exchange *exchange) { return exchange->context; }

void http_on_gone(struct http_exchange *exchange, void (*gone)(void *context), void *context) {
  exchange->gone = gone;
  exchange->gone_context = context;
}

void http_on_writable(struct http_exchange *exchange, void (*writable)(void *context),
                      void *context) {
  exchange->writable = writable;
  exchange->writable_context = context;
}

void http_exchange_answer_header(struct http_exchange *exchange, const char *name,
                                 const char *value) {
  assert(exchange->answer == ANSWER_NONE || exchange->over);
  assert(exchange->answer_header_count < EXCHANGE_ANSWER_HEADERS_MAX);
  struct http_header copy = {strdup(name), strdup(value)};
  if (copy.name != NULL && copy.value != NULL) {
    exchange->answer_headers[exchange->answer_header_count++] = copy;
    return;
  }
  free((void *)(uintptr_t)copy.name);
  free((void *)(uintptr_t)copy.value);
}

/* ---- what the service does ------------------------------------------------------------------- */

void http_body_accept(struct http_exchange *exchange, const struct http_body_handler *handler) {
  if (exchange->over) return;
  assert(exchange->body == BODY_NEW);
  exchange->handler = *handler;
  exchange->body = BODY_TAKEN;
  exchange->waits = false;
  exchange->protocol->body_changed(exchange);
}

void http_body_wait(struct http_exchange *exchange) {
  if (exchange->body == BODY_NEW) exchange->waits = true;
}

void http_body_pause(struct http_exchange *exchange) {
  exchange->paused = true;
  exchange->protocol->body_changed(exchange);
}

void http_body_resume(struct http_exchange *exchange) {
  exchange->paused = false;
  exchange->protocol->body_changed(exchange);
}

void http_respond(struct http_exchange *exchange, int code, const struct http_header *headers,
                  size_t header_count, const void *body, size_t body_bytes) {
  if (exchange->over) return;
  assert(exchange->answer == ANSWER_NONE);
  respond(exchange, code, headers, header_count, body, body_bytes);
}

void http_start(struct http_exchange *exchange, int code, const struct http_header *headers,
                size_t header_count) {
  if (exchange->over) return;
  assert(exchange->answer == ANSWER_NONE);
  exchange->answer = ANSWER_OPEN;
  begin_answer(exchange, code);
  exchange->protocol->start(exchange, code, headers, header_count);
}

void http_write(struct http_exchange *exchange, struct buffer *data) {
  if (exchange->over || exchange->without_body || data->size_bytes == 0) {
    buffer_release(data);
    return;
  }
  assert(exchange->answer == ANSWER_OPEN);
  count_sent(exchange, data->size_bytes);
  exchange->protocol->write(exchange, data);
  if (!http_writable(exchange)) exchange->blocked = true;
}

bool http_writable(const struct http_exchange *exchange) {
  return !exchange->over && exchange->protocol->writable(exchange);
}

void http_end(struct http_exchange *exchange) {
  if (exchange->over) return;
  assert(exchange->answer == ANSWER_OPEN);
  exchange->protocol->end(exchange);
  answered(exchange);
}

void http_end_trailers(struct http_exchange *exchange, const struct http_header *trailers,
                       size_t trailer_count) {
  if (exchange->over) return;
  assert(exchange->answer <= ANSWER_OPEN);
  end_trailers(exchange, trailers, trailer_count);
}

void http_body_unbounded(struct http_exchange *exchange) {
  exchange->unbounded = true;
  exchange->body_bytes_max = 0;
  if (!exchange->over) exchange->protocol->body_changed(exchange);
}

void http_abort(struct http_exchange *exchange) {
  if (exchange->over) return;
  exchange->over = true;
  exchange->answer = ANSWER_ABORTED;
  if (exchange->body != BODY_DONE) exchange->body = BODY_STOPPED;
  exchange->protocol->abort(exchange);
}
