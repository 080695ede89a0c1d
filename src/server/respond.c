#include "server/private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/grpc.h"

static const char *reason_of(int code) {
  switch (code) {
  case 405: return "the method is not allowed here";
  case 406: return "none of the accepted forms can be made";
  case 415: return "the body's media type is not taken here";
  default: return NULL;
  }
}

static void add_member(struct text *body, const char *name, const char *value) {
  enum status status = text_add_format(body, NULL, ",\"%s\":", name);
  if (status == STATUS_OK) status = text_add_json(body, value, strlen(value), NULL);
  (void)status; /* without memory the answer is shorter; it is still an error */
}

/* Clients of POST /stream/{stream} know errors in this form alone, whoever refuses them. */
static bool wants_detail(const struct http_exchange *exchange) {
  static const char prefix[] = "/stream/";
  return strncmp(http_exchange_request(exchange)->path, prefix, sizeof prefix - 1) == 0;
}

static enum status add_detail(struct text *body, const char *detail, const char *members) {
  enum status status = text_add(body, "{\"detail\":", NULL);
  if (status == STATUS_OK) status = text_add_json(body, detail, strlen(detail), NULL);
  if (status == STATUS_OK) status = text_add(body, members, NULL);
  if (status == STATUS_OK) status = text_add(body, "}\n", NULL);
  return status;
}

static void add_problem(struct text *body, int code, enum status status, const char *detail,
                        const char *members) {
  const char *title = reason_of(code);
  if (text_add_format(body, NULL, "{\"type\":\"about:blank\",\"status\":%d,\"code\":\"%s\"", code,
                      status_name(status)) != STATUS_OK)
    return;
  add_member(body, "title", title != NULL ? title : status_meaning(status));
  add_member(body, "detail", detail);
  if (text_add_format(body, NULL, "%s}\n", members) != STATUS_OK) text_clear(body);
}

/* As a gRPC client gets it. */
static void send_status(struct http_exchange *exchange, enum status status, int retry_after_ms,
                        const char *detail) {
  struct error told;
  error_set(&told, status, "%s", detail);
  told.retry_after_ms = retry_after_ms;
  grpc_refuse(exchange, status, &told);
}

static void send_problem(struct http_exchange *exchange, int code, enum status status,
                         const char *detail, const char *members, const struct http_header *more,
                         size_t more_count) {
  struct text body = TEXT_EMPTY;
  bool plain = wants_detail(exchange);
  if (!plain)
    add_problem(&body, code, status, detail, members);
  else if (add_detail(&body, detail, members) != STATUS_OK)
    text_clear(&body);
  struct http_header headers[4] = {
      {"content-type", plain ? "application/json" : "application/problem+json"}, RESPOND_NOSNIFF};
  size_t count = 2;
  for (size_t i = 0; i < more_count && count < 4; i++) headers[count++] = more[i];
  http_respond(exchange, code, headers, count, text_get(&body), body.size_bytes);
  text_release(&body);
}

void respond_problem(struct http_exchange *exchange, enum status status,
                     const struct error *error) {
  respond_problem_members(exchange, status, error, "");
}

void respond_problem_members(struct http_exchange *exchange, enum status status,
                             const struct error *error, const char *members) {
  const char *detail = error->text;
  /* What is wrong with a statement is told in DuckDB's words, which quote it. */
  struct call *call = http_exchange_context(exchange);
  bool quotes_input = call != NULL && call->endpoint != NULL &&
                      strcmp(call->endpoint->path, "/query") == 0 && call->who != NULL &&
                      status_http(status) < 500;
  call_refused(exchange, status_http(status), status, error->text, quotes_input);
  if (status == STATUS_INTERNAL) {
    detail = "the server met a defect of its own and stopped working on this request; its log "
             "says more";
  }
  if (grpc_is_call(exchange)) {
    send_status(exchange, status, error->retry_after_ms, detail);
    return;
  }
  char seconds[16];
  snprintf(seconds, sizeof seconds, "%d", (error->retry_after_ms + 999) / 1000);
  struct http_header retry = {"retry-after", seconds};
  send_problem(exchange, status_http(status), status, detail, members, &retry,
               error->retry_after_ms > 0 ? 1 : 0);
}

void respond_problem_code(struct http_exchange *exchange, int code, enum status status,
                          const struct http_header *header, const char *format, ...) {
  char detail[ERROR_TEXT_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(detail, sizeof detail, format, arguments);
  va_end(arguments);
  call_refused(exchange, code, status, detail, false);
  if (grpc_is_call(exchange)) {
    /* Wrong credentials too often. */
    if (code == status_http(STATUS_BUDGET)) status = STATUS_BUDGET;
    send_status(exchange, status, 0, detail);
    return;
  }
  send_problem(exchange, code, status, detail, "", header, header != NULL ? 1 : 0);
}

void respond_json(struct http_exchange *exchange, const struct text *body) {
  respond_json_header(exchange, body, NULL);
}

void respond_json_header(struct http_exchange *exchange, const struct text *body,
                         const struct http_header *header) {
  struct http_header headers[3] = {{"content-type", "application/json"}, RESPOND_NOSNIFF};
  if (header != NULL) headers[2] = *header;
  http_respond(exchange, 200, headers, header != NULL ? 3 : 2, text_get(body), body->size_bytes);
}

bool media_type_is(const char *header, const char *type) {
  size_t length = strlen(type);
  if (header == NULL || strncasecmp(header, type, length) != 0) return false;
  const char *rest = header + length + strspn(header + length, " \t");
  return *rest == '\0' || *rest == ';';
}
