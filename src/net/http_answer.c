/* The sending side of an exchange: heads, chunks, and what the socket does not take.
 *
 * Everything is tried at once without queueing (uv_try_write); only what the socket
 * refuses is kept, in a `struct http_write` that owns it until libuv has sent it. The
 * pieces of one call go out together, and a streamed answer's head waits in `unsent`
 * for the first piece of its body, or until the current callback has returned.
 *
 * None of these functions calls the service back: what follows from them happens in
 * connection_run. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net/http_connection.h"

/* Text before the data, the data, text after it. */
enum { PARTS_MAX = 3 };

struct http_write {
  uv_write_t request;
  struct http_connection *connection; /* NULL once its connection has closed */
  struct http_write *next, *previous;
  struct buffer data;
  char text[]; /* what is to be sent before and after the data */
};

/* ---- sending ------------------------------------------------------------------------ */

size_t connection_unsent_bytes(const struct http_connection *connection) {
  return uv_stream_get_write_queue_size((const uv_stream_t *)&connection->tcp);
}

static void unlink_write(struct http_write *write) {
  struct http_connection *connection = write->connection;
  if (write->previous != NULL)
    write->previous->next = write->next;
  else
    connection->first_write = write->next;
  if (write->next != NULL)
    write->next->previous = write->previous;
  else
    connection->last_write = write->previous;
}

static void on_written(uv_write_t *request, int failed) {
  struct http_write *write = request->data;
  struct http_connection *connection = write->connection;
  if (connection != NULL) unlink_write(write);
  buffer_release(&write->data);
  free(write);
  if (connection == NULL) return;
  if (failed != 0)
    connection_lost(connection, STATUS_CANCELLED, "the client does not take its answer");
  connection_soon(connection);
}

/* After the handle has begun to close, libuv does not look at the bytes again, and a
 * budget that they are charged to may be gone when it reports the writes' end. */
void connection_drop_writes(struct http_connection *connection) {
  while (connection->first_write != NULL) {
    struct http_write *write = connection->first_write;
    unlink_write(write);
    write->connection = NULL;
    buffer_release(&write->data);
  }
}

/* Leaves out the first `sent` bytes. */
static void skip_sent(uv_buf_t parts[PARTS_MAX], size_t sent) {
  for (int i = 0; i < PARTS_MAX && sent > 0; i++) {
    size_t skipped = sent < parts[i].len ? sent : parts[i].len;
    if (skipped == 0) continue; /* a part that is not there */
    parts[i].base += skipped;
    parts[i].len -= skipped;
    sent -= skipped;
  }
}

/* Queues what is left; takes `data` (NULL: there is none) over. */
static void queue_parts(struct http_connection *connection, uv_buf_t parts[PARTS_MAX],
                        struct buffer *data) {
  struct http_write *write = malloc(sizeof *write + parts[0].len + parts[2].len);
  if (write == NULL) {
    if (data != NULL) buffer_release(data);
    connection_lost(connection, STATUS_NOMEM, "no memory for an answer");
    return;
  }
  *write = (struct http_write){.connection = connection, .previous = connection->last_write};
  write->request.data = write;
  if (data != NULL) {
    write->data = *data;
    *data = BUFFER_EMPTY;
  }
  if (parts[0].len > 0) memcpy(write->text, parts[0].base, parts[0].len);
  if (parts[2].len > 0) memcpy(write->text + parts[0].len, parts[2].base, parts[2].len);
  parts[2].base = write->text + parts[0].len;
  parts[0].base = write->text;
  for (int i = 0; i < PARTS_MAX; i++) connection->queued_bytes += (int64_t)parts[i].len;
  if (connection->last_write != NULL)
    connection->last_write->next = write;
  else
    connection->first_write = write;
  connection->last_write = write;
  int failed =
      uv_write(&write->request, (uv_stream_t *)&connection->tcp, parts, PARTS_MAX, on_written);
  if (failed == 0) {
    connection_soon(connection); /* a client that does not read has a time limit now */
    return;
  }
  unlink_write(write);
  buffer_release(&write->data);
  free(write);
  connection_lost(connection, STATUS_CANCELLED, "the client does not take its answer");
}

/* Sends `before`, `data` (NULL: none), `after`. Takes `data` over in any case. */
static void send_parts(struct http_connection *connection, const char *before, size_t before_bytes,
                       struct buffer *data, const char *after, size_t after_bytes) {
  uv_buf_t parts[PARTS_MAX] = {
      {.base = (char *)(uintptr_t)before, .len = before_bytes},
      {.base = data == NULL ? NULL : (char *)data->data,
       .len = data == NULL ? 0 : (size_t)data->size_bytes},
      {.base = (char *)(uintptr_t)after, .len = after_bytes},
  };
  size_t left = parts[0].len + parts[1].len + parts[2].len;
  bool open = connection->phase != PHASE_CLOSED && !connection->lost;
  if (open && left > 0) {
    int sent = uv_try_write((uv_stream_t *)&connection->tcp, parts, PARTS_MAX);
    if (sent == UV_EAGAIN) sent = 0;
    if (sent < 0) {
      connection_lost(connection, STATUS_CANCELLED, "the client does not take its answer");
    } else if ((size_t)sent < left) {
      skip_sent(parts, (size_t)sent);
      queue_parts(connection, parts, data);
    }
  }
  if (data != NULL) buffer_release(data);
}

void connection_send(struct http_connection *connection, const char *text, size_t bytes) {
  send_parts(connection, text, bytes, NULL, NULL, 0);
}

void connection_send_continue(struct http_connection *connection) {
  static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
  connection_send(connection, text, sizeof text - 1);
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
  const struct http_connection *connection = exchange->connection;
  if (!exchange->head.keep_alive || connection->eof || connection->server->draining) return false;
  if (exchange->body == BODY_DONE || exchange->head.request.body_bytes == 0) return true;
  if (exchange->head.expects_continue && !exchange->continued) return false; /* comes or not */
  if (exchange->head.request.body_bytes < 0) return false;
  return http_parser_body_room(&connection->parser) <= HTTP_KEEP_BYTES_MAX;
}

static bool has_no_body(const struct http_exchange *exchange, int code) {
  return code == 204 || code == 304 || strcmp(exchange->head.request.method, "HEAD") == 0;
}

/* An answer's complete head into `unsent`. body_bytes -1: streamed. */
static enum status make_head(struct http_exchange *exchange, int code,
                             const struct http_header *headers, size_t header_count,
                             int64_t body_bytes) {
  struct http_connection *connection = exchange->connection;
  struct text *out = &exchange->unsent;
  bool old = exchange->head.minor_version == 0;
  exchange->without_body = has_no_body(exchange, code);
  exchange->chunked = body_bytes < 0 && !old;
  bool until_close = body_bytes < 0 && old && !exchange->without_body;
  connection->keep = can_keep(exchange) && !until_close;
  enum status status = add_head(connection, out, code);
  if (status == STATUS_OK && old && connection->keep)
    status = text_add(out, "connection: keep-alive\r\n", NULL);
  if (status == STATUS_OK && body_bytes >= 0 && code != 204)
    status = text_add_format(out, NULL, "content-length: %lld\r\n", (long long)body_bytes);
  if (status == STATUS_OK && exchange->chunked && code != 204 && code != 304)
    status = text_add(out, "transfer-encoding: chunked\r\n", NULL);
  for (size_t i = 0; i < header_count && status == STATUS_OK; i++)
    status = add_header(out, &headers[i]);
  exchange->code = code;
  if (status == STATUS_OK) status = text_add(out, text_get(&exchange->extra), NULL);
  if (status == STATUS_OK) status = text_add(out, "\r\n", NULL);
  if (status != STATUS_OK) connection_lost(connection, STATUS_NOMEM, "no memory for an answer");
  return status;
}

void connection_flush_head(struct http_connection *connection) {
  struct text *unsent = &connection->exchange->unsent;
  if (unsent->size_bytes == 0) return;
  connection_send(connection, text_get(unsent), unsent->size_bytes);
  text_release(unsent);
}

static enum status add_problem(struct text *out, int code, const struct error *error) {
  enum status status = text_add_format(
      out, NULL,
      "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\",\"detail\":",
      http_phrase(code), code, status_name(error->status));
  if (status == STATUS_OK) status = text_add_json(out, error->text, strlen(error->text), NULL);
  if (status == STATUS_OK) status = text_add(out, "}\n", NULL);
  return status;
}

void connection_send_problem(struct http_connection *connection, int code,
                             const struct error *error) {
  struct text body = TEXT_EMPTY;
  struct text answer = TEXT_EMPTY;
  connection->keep = false;
  enum status status = add_problem(&body, code, error);
  if (status == STATUS_OK) status = add_head(connection, &answer, code);
  if (status == STATUS_OK)
    status = text_add_format(&answer, NULL,
                             "content-type: application/problem+json\r\n"
                             "content-length: %zu\r\n\r\n",
                             body.size_bytes);
  bool head_only = connection->exchange != NULL &&
                   strcmp(connection->exchange->head.request.method, "HEAD") == 0;
  if (status == STATUS_OK && !head_only)
    status = text_add_bytes(&answer, text_get(&body), body.size_bytes, NULL);
  if (status == STATUS_OK)
    connection_send(connection, text_get(&answer), answer.size_bytes);
  else
    connection_lost(connection, STATUS_NOMEM, "no memory for an answer");
  text_release(&answer);
  text_release(&body);
}

/* ---- what the service calls ------------------------------------------------------------ */

/* The answer is complete: nobody hears of the rest of the body. */
static void end_answer(struct http_exchange *exchange) {
  exchange->answer = ANSWER_ENDED;
  if (exchange->body != BODY_DONE) exchange->body = BODY_DROPPED;
  connection_soon(exchange->connection);
}

void http_respond(struct http_exchange *exchange, int code, const struct http_header *headers,
                  size_t header_count, const void *body, size_t body_bytes) {
  if (exchange->over) return;
  assert(exchange->answer == ANSWER_NONE);
  if (make_head(exchange, code, headers, header_count, (int64_t)body_bytes) != STATUS_OK) return;
  struct text *unsent = &exchange->unsent;
  send_parts(exchange->connection, text_get(unsent), unsent->size_bytes, NULL, body,
             exchange->without_body ? 0 : body_bytes);
  text_release(unsent);
  end_answer(exchange);
}

void http_start(struct http_exchange *exchange, int code, const struct http_header *headers,
                size_t header_count) {
  if (exchange->over) return;
  assert(exchange->answer == ANSWER_NONE);
  exchange->answer = ANSWER_OPEN;
  if (make_head(exchange, code, headers, header_count, -1) != STATUS_OK) return;
  connection_soon(exchange->connection); /* sends the head if no body has come by then */
}

void http_write(struct http_exchange *exchange, struct buffer *data) {
  if (exchange->over || exchange->without_body || data->size_bytes == 0) {
    buffer_release(data);
    return;
  }
  assert(exchange->answer == ANSWER_OPEN);
  struct text *unsent = &exchange->unsent;
  enum status status = STATUS_OK;
  if (exchange->chunked)
    status = text_add_format(unsent, NULL, "%llx\r\n", (unsigned long long)data->size_bytes);
  if (status == STATUS_OK) {
    send_parts(exchange->connection, text_get(unsent), unsent->size_bytes, data, "\r\n",
               exchange->chunked ? 2 : 0);
  } else {
    buffer_release(data);
    connection_lost(exchange->connection, STATUS_NOMEM, "no memory for an answer");
  }
  text_clear(unsent);
  if (!http_writable(exchange)) exchange->blocked = true;
}

bool http_writable(const struct http_exchange *exchange) {
  const struct http_connection *connection = exchange->connection;
  return !exchange->over && (int64_t)connection_unsent_bytes(connection) <
                                connection->server->options.write_bytes_high;
}

void http_end(struct http_exchange *exchange) {
  if (exchange->over) return;
  assert(exchange->answer == ANSWER_OPEN);
  struct text *unsent = &exchange->unsent;
  bool last_chunk = exchange->chunked && !exchange->without_body;
  send_parts(exchange->connection, text_get(unsent), unsent->size_bytes, NULL, "0\r\n\r\n",
             last_chunk ? 5 : 0);
  text_release(unsent);
  end_answer(exchange);
}

void http_abort(struct http_exchange *exchange) {
  if (exchange->over) return;
  struct http_connection *connection = exchange->connection;
  exchange->over = true;
  /* Where only the connection's end tells the answer's, an orderly end would be a lie. */
  connection->broken_off = exchange->answer == ANSWER_OPEN && !exchange->chunked;
  exchange->answer = ANSWER_ABORTED;
  if (exchange->body != BODY_DONE) exchange->body = BODY_STOPPED;
  connection_soon(connection);
}
