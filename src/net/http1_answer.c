/* The answers of HTTP/1.1: heads and chunks. A streamed answer's head waits in `unsent` for the
 * first piece of its body, or until the current callback has returned.
 *
 * None of these functions calls the service back: what follows from them happens in
 * connection_run. */
#include <assert.h>
#include <string.h>
#include <time.h>

#include "net/http_connection.h"

static struct http1_exchange *http1_of(struct http_exchange *exchange) {
  return (struct http1_exchange *)exchange;
}

static struct http_connection *connection_of(const struct http_exchange *exchange) {
  return ((const struct http1_exchange *)exchange)->connection;
}

static void send_text(struct http_connection *connection, const char *text, size_t bytes) {
  transport_send(connection->transport, text, bytes, NULL, NULL, 0);
}

void http1_send_continue(struct http_connection *connection) {
  static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
  send_text(connection, text, sizeof text - 1);
}

/* ---- heads -------------------------------------------------------------------------- */

/* A value with a line break in it would be another header, or another answer. */
static enum status add_header(struct text *out, const struct http_header *header) {
  enum status status = text_add(out, header->name, NULL);
  if (status == STATUS_OK) status = text_add(out, ": ", NULL);
  size_t from = out->size_bytes;
  if (status == STATUS_OK) status = text_add(out, header->value, NULL);
  if (status != STATUS_OK) return status;
  for (size_t i = from; i < out->size_bytes; i++) {
    unsigned char byte = (unsigned char)out->data[i];
    if (byte < 0x20 || byte == 0x7f) out->data[i] = ' ';
  }
  return text_add(out, "\r\n", NULL);
}

/* Status line and the headers that every answer has. */
static enum status add_head(struct http_connection *connection, struct text *out, int code) {
  enum status status = text_add_format(out, NULL, "HTTP/1.1 %d %s\r\ndate: %s\r\n", code,
                                       http_phrase(code), server_date(connection->server));
  if (status == STATUS_OK && !connection->keep)
    status = text_add(out, "connection: close\r\n", NULL);
  return status;
}

/* Whether the connection can go on after an answer that begins now: the rest of the
 * body must be known and small, or not coming. */
static bool can_keep(const struct http_exchange *exchange) {
  const struct http_connection *connection = connection_of(exchange);
  if (!exchange->head.keep_alive || connection->eof || connection->server->draining) return false;
  if (exchange->body == BODY_DONE || exchange->head.request.body_bytes == 0) return true;
  bool continued = ((const struct http1_exchange *)exchange)->continued;
  if (exchange->head.expects_continue && !continued) return false; /* comes or not */
  if (exchange->head.request.body_bytes < 0) return false;
  return http_parser_body_room(&connection->parser) <= HTTP_KEEP_BYTES_MAX;
}

static enum status add_headers(const struct http_exchange *exchange, struct text *out,
                               const struct http_header *headers, size_t header_count) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < header_count && status == STATUS_OK; i++)
    status = add_header(out, &headers[i]);
  for (size_t i = 0; i < exchange->answer_header_count && status == STATUS_OK; i++)
    status = add_header(out, &exchange->answer_headers[i]);
  return status;
}

/* An answer's complete head into `unsent`. body_bytes -1: streamed. */
static enum status make_head(struct http_exchange *exchange, int code,
                             const struct http_header *headers, size_t header_count,
                             int64_t body_bytes) {
  struct http_connection *connection = connection_of(exchange);
  struct http1_exchange *http1 = http1_of(exchange);
  struct text *out = &http1->unsent;
  bool old = exchange->head.minor_version == 0;
  http1->chunked = body_bytes < 0 && !old;
  bool until_close = body_bytes < 0 && old && !exchange->without_body;
  connection->keep = can_keep(exchange) && !until_close;
  enum status status = add_head(connection, out, code);
  if (status == STATUS_OK && old && connection->keep)
    status = text_add(out, "connection: keep-alive\r\n", NULL);
  if (status == STATUS_OK && body_bytes >= 0 && code != 204)
    status = text_add_format(out, NULL, "content-length: %lld\r\n", (long long)body_bytes);
  if (status == STATUS_OK && http1->chunked && code != 204 && code != 304)
    status = text_add(out, "transfer-encoding: chunked\r\n", NULL);
  if (status == STATUS_OK) status = add_headers(exchange, out, headers, header_count);
  if (status == STATUS_OK) status = text_add(out, "\r\n", NULL);
  if (status != STATUS_OK) connection_lost(connection, STATUS_NOMEM, "no memory for an answer");
  return status;
}

void http1_flush_head(struct http_connection *connection) {
  struct text *unsent = &connection->exchange->unsent;
  if (unsent->size_bytes == 0) return;
  send_text(connection, text_get(unsent), unsent->size_bytes);
  text_release(unsent);
}

void http1_send_problem(struct http_connection *connection, int code, const struct error *error) {
  struct text body = TEXT_EMPTY;
  struct text answer = TEXT_EMPTY;
  assert(connection->exchange == NULL);
  connection->keep = false;
  enum status status = http_problem(&body, code, error);
  if (status == STATUS_OK) status = add_head(connection, &answer, code);
  if (status == STATUS_OK)
    status = text_add_format(&answer, NULL,
                             "content-type: application/problem+json\r\n"
                             "content-length: %zu\r\n\r\n",
                             body.size_bytes);
  if (status == STATUS_OK) status = text_add_bytes(&answer, text_get(&body), body.size_bytes, NULL);
  if (status == STATUS_OK)
    send_text(connection, text_get(&answer), answer.size_bytes);
  else
    connection_lost(connection, STATUS_NOMEM, "no memory for an answer");
  text_release(&answer);
  text_release(&body);
}

/* ---- struct http_protocol ---------------------------------------------------------------- */

static void body_changed(struct http_exchange *exchange) {
  struct http_connection *connection = connection_of(exchange);
  struct http1_exchange *http1 = http1_of(exchange);
  if (exchange->body == BODY_TAKEN && !http1->continued) {
    bool awaited = exchange->head.request.body_bytes != 0 && connection->in_bytes == 0;
    if (exchange->head.expects_continue && awaited && exchange->answer == ANSWER_NONE)
      http1_send_continue(connection);
    http1->continued = true; /* the body comes, now or already */
  }
  connection_soon(connection);
}

static void respond(struct http_exchange *exchange, int code, const struct http_header *headers,
                    size_t header_count, const void *body, size_t body_bytes) {
  struct http_connection *connection = connection_of(exchange);
  connection_soon(connection);
  if (make_head(exchange, code, headers, header_count, (int64_t)body_bytes) != STATUS_OK) return;
  struct text *unsent = &http1_of(exchange)->unsent;
  transport_send(connection->transport, text_get(unsent), unsent->size_bytes, NULL, body,
                 exchange->without_body ? 0 : body_bytes);
  text_release(unsent);
}

static void start(struct http_exchange *exchange, int code, const struct http_header *headers,
                  size_t header_count) {
  if (make_head(exchange, code, headers, header_count, -1) != STATUS_OK) return;
  connection_soon(connection_of(exchange)); /* sends the head if no body has come by then */
}

static void write_data(struct http_exchange *exchange, struct buffer *data) {
  struct http_connection *connection = connection_of(exchange);
  struct text *unsent = &http1_of(exchange)->unsent;
  bool chunked = http1_of(exchange)->chunked;
  enum status status = STATUS_OK;
  if (chunked)
    status = text_add_format(unsent, NULL, "%llx\r\n", (unsigned long long)data->size_bytes);
  if (status == STATUS_OK) {
    transport_send(connection->transport, text_get(unsent), unsent->size_bytes, data, "\r\n",
                   chunked ? 2 : 0);
  } else {
    buffer_release(data);
    connection_lost(connection, STATUS_NOMEM, "no memory for an answer");
  }
  text_clear(unsent);
  connection_soon(connection); /* a client that does not read has a time limit now */
}

static bool writable(const struct http_exchange *exchange) {
  const struct http_connection *connection = connection_of(exchange);
  return (int64_t)transport_unsent_bytes(connection->transport) <
         connection->limits.write_bytes_high;
}

static void end(struct http_exchange *exchange) {
  struct http_connection *connection = connection_of(exchange);
  struct text *unsent = &http1_of(exchange)->unsent;
  bool last_chunk = http1_of(exchange)->chunked && !exchange->without_body;
  transport_send(connection->transport, text_get(unsent), unsent->size_bytes, NULL, "0\r\n\r\n",
                 last_chunk ? 5 : 0);
  text_release(unsent);
  connection_soon(connection);
}

/* Where only the connection's end tells the answer's, an orderly end would be a lie. */
static void abort_answer(struct http_exchange *exchange) {
  struct http_connection *connection = connection_of(exchange);
  connection->broken_off = exchange->code != 0 && !http1_of(exchange)->chunked;
  connection_soon(connection);
}

const struct http_protocol HTTP1_PROTOCOL = {
    .name = "HTTP/1.1",
    .body_changed = body_changed,
    .respond = respond,
    .start = start,
    .write = write_data,
    .writable = writable,
    .end = end,
    .abort = abort_answer,
};
