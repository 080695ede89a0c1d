/* One client's connection: what comes in, whose turn it is, when it ends.
 *
 *                                   begin_exchange
 *   connection_new --> PHASE_HEAD ------------------> PHASE_EXCHANGE
 *                        ^    ^                            | answered: exchange_end
 *                        |    | body whole, keep           |
 *                        |    +----------------------------+-- keep, body small --> PHASE_DROP
 *                        +------------------------------------- rest was read ---------+  |
 *                                                          |                              |
 *                  refuse (a broken head)                  | otherwise            too long |
 *   PHASE_HEAD --------------------> PHASE_LINGER <--------+                              |
 *                                         | client's end, or too long                     |
 *   any: connection_close <---------------+-----------------------------------------------+
 *        PHASE_CLOSED -- both handles closed --> freed
 *
 * Within PHASE_EXCHANGE the body and the answer go their own ways:
 *
 *   BODY_NEW --http_body_accept--> BODY_TAKEN --handler fails--> BODY_STOPPED
 *      | nobody took it               |  | whole: end                |
 *      v                              |  +--> BODY_DONE              |
 *   BODY_DROPPED <---answer complete--+------------------------------+
 *      +--whole--> BODY_DONE
 *
 *   ANSWER_NONE --http_start--> ANSWER_OPEN --http_end--> ANSWER_ENDED
 *        +------------------http_respond----------------------^
 *
 * Invariants:
 * 1. `exchange` is set exactly in PHASE_EXCHANGE; exchange_end and connection_abandon
 *    are the only two that call `finished`, once, after taking it off.
 * 2. Everything the service or a handler is told is told by connection_run and what it
 *    calls (or by http_server_free). A call of theirs back into net/ only changes state
 *    and tries to send; connection_soon sees to the rest. So no handler is entered from
 *    inside its own calls.
 * 3. Anything may be closed inside any callback: after each one the phase is looked at
 *    before the exchange is touched. A connection's memory lives until libuv has closed
 *    both of its handles, which is never before the callback has returned.
 * 4. Inside on_alloc no handle is closed or stopped (libuv would call on_read through a
 *    cleared pointer); connection_close leaves that to the on_read that follows.
 * 5. Bytes of a next request are not parsed before the exchange has ended. They wait in
 *    `held`, and the socket is not read while that is full. */
#include "net/http_connection.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void connection_run(struct http_connection *connection);

/* ---- beginning and end --------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle) {
  struct http_connection *connection = handle->data;
  if (--connection->open_handles > 0) return;
  assert(connection->exchange == NULL && connection->first_write == NULL);
  http_parser_release(&connection->parser);
  free(connection->held);
  free(connection);
}

static void close_handles(struct http_connection *connection) {
  uv_close((uv_handle_t *)&connection->timer, on_closed);
  bool reset = connection->broken_off && uv_tcp_close_reset(&connection->tcp, on_closed) == 0;
  if (!reset) uv_close((uv_handle_t *)&connection->tcp, on_closed);
  connection_drop_writes(connection);
}

static void connection_close(struct http_connection *connection) {
  if (connection->phase == PHASE_CLOSED) return;
  assert(connection->exchange == NULL);
  struct http_server *server = connection->server;
  connection->phase = PHASE_CLOSED;
  loop_soon_cancel(server->loop, &connection->soon);
  if (connection->previous != NULL)
    connection->previous->next = connection->next;
  else
    server->first = connection->next;
  if (connection->next != NULL) connection->next->previous = connection->previous;
  server->connection_count--;
  if (!connection->in_alloc) close_handles(connection);
}

static void exchange_free(struct http_exchange *exchange) {
  http_head_release(&exchange->head);
  text_release(&exchange->unsent);
  text_release(&exchange->extra);
  free(exchange);
}

/* Tells the service that the exchange is over and frees it. The phase is whatever the
 * caller left; the service may have closed the connection when this returns. */
static void exchange_end(struct http_connection *connection) {
  struct http_exchange *exchange = connection->exchange;
  struct http_server *server = connection->server;
  connection->exchange = NULL;
  server->exchange_count--;
  exchange->over = true;
  server->service.finished(server->service.context, exchange);
  exchange_free(exchange);
  server_exchange_ended(server);
}

/* Tells whoever works for the client that it is gone. */
static void tell_gone(struct http_exchange *exchange) {
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

void connection_abandon(struct http_connection *connection, const struct error *why) {
  struct http_exchange *exchange = connection->exchange;
  if (exchange != NULL) {
    bool told = exchange->over;
    if (!told) exchange->why = *why;
    /* `over` without a lost client: refused, and told at that time; or aborted. */
    if (!told || connection->lost) tell_gone(exchange);
    if (connection->exchange == exchange) exchange_end(connection);
  }
  connection_close(connection);
}

void connection_soon(struct http_connection *connection) {
  if (connection->running || connection->phase == PHASE_CLOSED) return;
  loop_soon(connection->server->loop, &connection->soon);
}

void connection_lost(struct http_connection *connection, enum status status, const char *why) {
  if (connection->lost || connection->phase == PHASE_CLOSED) return;
  connection->lost = true;
  struct http_exchange *exchange = connection->exchange;
  if (exchange != NULL && !exchange->over) {
    exchange->over = true;
    error_set(&exchange->why, status, "%s", why);
  }
  connection_soon(connection);
}

static void on_shutdown(uv_shutdown_t *request, int failed) {
  struct http_connection *connection = request->data;
  if (connection->phase == PHASE_CLOSED) return;
  if (failed != 0) connection->lost = true;
  connection_run(connection);
}

/* Nothing more will be sent. Closing now would reset the connection if the client has
 * sent anything that was not read, and a reset can destroy the answer on its way. */
static void linger(struct http_connection *connection) {
  connection->phase = PHASE_LINGER;
  connection->shutdown.data = connection;
  int failed = uv_shutdown(&connection->shutdown, (uv_stream_t *)&connection->tcp, on_shutdown);
  if (failed != 0) connection->lost = true;
}

/* The client broke the protocol, or its time is over: a last answer, if one can still
 * be sent, and no more requests. */
static void refuse(struct http_connection *connection, int code, const struct error *why) {
  struct http_exchange *exchange = connection->exchange;
  connection->keep = false;
  if (exchange == NULL) {
    connection_send_problem(connection, code, why);
    linger(connection);
    return;
  }
  if (exchange->over || exchange->answer == ANSWER_ENDED) { /* it has its answer */
    exchange->body = BODY_STOPPED;
    return;
  }
  exchange->why = *why;
  tell_gone(exchange);
  if (connection->exchange != exchange) return;
  exchange->body = BODY_STOPPED;
  if (exchange->answer == ANSWER_NONE) {
    connection_send_problem(connection, code, why);
    exchange->answer = ANSWER_ENDED;
  } else {
    exchange->answer = ANSWER_ABORTED;
    connection->broken_off = !exchange->chunked;
  }
}

/* ---- steps: each does one thing that can be done, and says whether it did ------------ */

static void used(struct http_connection *connection, size_t bytes) {
  if (bytes == 0) return; /* there may be no buffer to point into */
  connection->in += bytes;
  connection->in_bytes -= bytes;
}

static void begin_exchange(struct http_connection *connection) {
  struct http_server *server = connection->server;
  struct http_exchange *exchange = calloc(1, sizeof *exchange);
  struct error error;
  if (exchange == NULL) {
    error_set(&error, STATUS_NOMEM, "no memory for a request");
    refuse(connection, status_http(STATUS_NOMEM), &error);
    return;
  }
  http_parser_take_head(&connection->parser, &exchange->head);
  exchange->connection = connection;
  connection->exchange = exchange;
  connection->phase = PHASE_EXCHANGE;
  connection->dropped_bytes = 0;
  connection->timer_kind = TIMER_NONE; /* the next head has its own time */
  server->exchange_count++;
  server->service.request(server->service.context, exchange);
  if (connection->exchange == exchange && exchange->body == BODY_NEW) exchange->body = BODY_DROPPED;
}

/* True when the first bytes are still to be told from an HTTP/2 preface, or are one. */
static bool is_other_protocol(struct http_connection *connection) {
  enum http2_preface found = http2_preface(connection->in, connection->in_bytes);
  connection->protocol_known = found != HTTP2_MAYBE;
  if (found == HTTP2_YES) {
    struct error error;
    error_set(&error, STATUS_UNSUPPORTED,
              "HTTP/2 is not spoken here: use HTTP/1.1 (curl: --http1.1)");
    refuse(connection, 505, &error);
  }
  return found != HTTP2_NO;
}

static bool step_head(struct http_connection *connection) {
  struct http_parser *parser = &connection->parser;
  if (connection->server->draining) {
    connection_close(connection);
    return true;
  }
  if (connection->in_bytes == 0) return false;
  if (!connection->protocol_known && is_other_protocol(connection))
    return connection->phase != PHASE_HEAD;
  size_t bytes = 0;
  enum http_event event;
  struct error error;
  enum status status =
      http_parser_feed(parser, connection->in, connection->in_bytes, &bytes, &event, &error);
  used(connection, bytes);
  if (status != STATUS_OK) {
    refuse(connection, http_parser_code(parser), &error);
  } else if (event == HTTP_EVENT_HEAD && parser->head.expects_unknown) {
    error_set(&error, STATUS_UNSUPPORTED, "the only expectation met here is 100-continue");
    refuse(connection, 417, &error);
  } else if (event == HTTP_EVENT_HEAD) {
    begin_exchange(connection);
  } else {
    return false;
  }
  return true;
}

/* Between two pieces of body: chunk lines, the end. */
static bool step_framing(struct http_connection *connection, enum http_event *event) {
  size_t bytes = 0;
  struct error error;
  enum status status = http_parser_feed(&connection->parser, connection->in, connection->in_bytes,
                                        &bytes, event, &error);
  used(connection, bytes);
  if (status == STATUS_OK) return *event != HTTP_EVENT_MORE;
  *event = HTTP_EVENT_MORE;
  if (connection->phase == PHASE_EXCHANGE)
    refuse(connection, http_parser_code(&connection->parser), &error);
  else
    connection->lost = true; /* it has its answer */
  return true;
}

/* The handler has returned from window or filled. */
static bool handler_goes_on(struct http_exchange *exchange, enum status status) {
  if (status == STATUS_BUDGET)
    exchange->paused = true;
  else if (status != STATUS_OK && exchange->body == BODY_TAKEN)
    exchange->body = BODY_STOPPED;
  return status == STATUS_OK && exchange->body == BODY_TAKEN;
}

/* What came along with other things is copied to where the handler wants it. */
static void fill_from_buffer(struct http_connection *connection) {
  struct http_exchange *exchange = connection->exchange;
  struct http_body_handler *handler = &exchange->handler;
  int64_t room_bytes = http_parser_body_room(&connection->parser);
  uint8_t *window = NULL;
  int64_t bytes = 0;
  enum status status = handler->window(handler->context, &window, &bytes);
  if (connection->exchange != exchange || !handler_goes_on(exchange, status)) return;
  assert(bytes > 0);
  if (bytes > room_bytes) bytes = room_bytes;
  if (bytes > (int64_t)connection->in_bytes) bytes = (int64_t)connection->in_bytes;
  memcpy(window, connection->in, (size_t)bytes);
  used(connection, (size_t)bytes);
  http_parser_body_took(&connection->parser, bytes);
  status = handler->filled(handler->context, bytes);
  if (connection->exchange == exchange) handler_goes_on(exchange, status);
}

static bool step_taken(struct http_connection *connection) {
  struct http_exchange *exchange = connection->exchange;
  if (exchange->paused) return false;
  if (http_parser_body_room(&connection->parser) > 0) {
    if (connection->in_bytes == 0) return false;
    fill_from_buffer(connection);
    return true;
  }
  enum http_event event;
  if (!step_framing(connection, &event)) return false;
  if (event == HTTP_EVENT_END) {
    exchange->body = BODY_DONE;
    exchange->handler.end(exchange->handler.context);
  }
  return true;
}

/* A body that nobody wants. */
static bool step_dropped(struct http_connection *connection) {
  struct http_exchange *exchange = connection->exchange;
  int64_t room_bytes = http_parser_body_room(&connection->parser);
  if (room_bytes == 0) {
    enum http_event event;
    if (!step_framing(connection, &event)) return false;
    if (event != HTTP_EVENT_END) return true;
    if (exchange != NULL) {
      exchange->body = BODY_DONE;
    } else {
      http_parser_reset(&connection->parser);
      connection->phase = PHASE_HEAD;
    }
    return true;
  }
  if (connection->in_bytes == 0) return false;
  size_t bytes = connection->in_bytes;
  if ((int64_t)bytes > room_bytes) bytes = (size_t)room_bytes;
  used(connection, bytes);
  http_parser_body_took(&connection->parser, (int64_t)bytes);
  connection->dropped_bytes += (int64_t)bytes;
  if (connection->dropped_bytes <= HTTP_DROP_BYTES_MAX) return true;
  connection->keep = false;
  if (exchange != NULL)
    exchange->body = BODY_STOPPED; /* until it is answered */
  else
    connection_close(connection);
  return true;
}

/* The answer is sent, or was given up: the exchange ends, the connection perhaps too. */
static void step_answered(struct http_connection *connection) {
  struct http_exchange *exchange = connection->exchange;
  bool aborted = exchange->answer == ANSWER_ABORTED;
  bool whole = exchange->body == BODY_DONE;
  exchange_end(connection);
  if (connection->phase == PHASE_CLOSED) return;
  if (aborted) {
    connection_close(connection);
  } else if (!connection->keep) {
    linger(connection);
  } else if (whole) {
    http_parser_reset(&connection->parser);
    connection->phase = PHASE_HEAD;
  } else {
    connection->phase = PHASE_DROP;
  }
}

static bool step_exchange(struct http_connection *connection) {
  struct http_exchange *exchange = connection->exchange;
  if (exchange->answer == ANSWER_OPEN) connection_flush_head(connection);
  if (connection->lost) return true; /* seen to at the beginning of the next step */
  size_t unsent_bytes = connection_unsent_bytes(connection);
  if (exchange->answer == ANSWER_ABORTED ||
      (exchange->answer == ANSWER_ENDED && unsent_bytes == 0)) {
    step_answered(connection);
    return true;
  }
  if (exchange->blocked &&
      (int64_t)unsent_bytes <= connection->server->options.write_bytes_high / 2) {
    exchange->blocked = false;
    if (exchange->writable != NULL && exchange->answer == ANSWER_OPEN && !exchange->over) {
      exchange->writable(exchange->writable_context);
      return true;
    }
  }
  switch (exchange->body) {
  case BODY_TAKEN: return step_taken(connection);
  case BODY_DROPPED: return step_dropped(connection);
  case BODY_NEW:
  case BODY_STOPPED:
  case BODY_DONE: break;
  }
  return false;
}

/* Nothing else can be done and nothing more will come. */
static bool step_end_of_input(struct http_connection *connection) {
  struct http_exchange *exchange = connection->exchange;
  bool answered = exchange != NULL && exchange->answer == ANSWER_ENDED;
  if (exchange == NULL) {
    /* In PHASE_LINGER what is queued goes out first; on_shutdown comes back here. */
    if (connection->phase == PHASE_LINGER && connection_unsent_bytes(connection) > 0) return false;
    connection_close(connection);
    return true;
  }
  bool wanting =
      (exchange->body == BODY_TAKEN && !exchange->paused) || exchange->body == BODY_DROPPED;
  if (!wanting || answered) return false;
  connection_lost(connection, STATUS_CANCELLED,
                  "the client ended the connection before its request was whole");
  return true;
}

static bool step(struct http_connection *connection) {
  bool done = false;
  if (connection->lost) {
    struct error why;
    error_set(&why, STATUS_CANCELLED, "the client is gone");
    connection_abandon(connection, &why);
    return true;
  }
  switch (connection->phase) {
  case PHASE_HEAD: done = step_head(connection); break;
  case PHASE_EXCHANGE: done = step_exchange(connection); break;
  case PHASE_DROP: done = step_dropped(connection); break;
  case PHASE_LINGER:
    connection->dropped_bytes += (int64_t)connection->in_bytes;
    used(connection, connection->in_bytes);
    if (connection->dropped_bytes > HTTP_DROP_BYTES_MAX) connection_close(connection);
    break;
  case PHASE_CLOSED: break;
  }
  if (!done && connection->eof && connection->phase != PHASE_CLOSED)
    done = step_end_of_input(connection);
  return done;
}

/* ---- time -------------------------------------------------------------------------------- */

static int64_t timer_ms(const struct http_server_options *options, enum timer_kind kind) {
  switch (kind) {
  case TIMER_IDLE: return options->idle_timeout_ms;
  case TIMER_HEAD: return options->header_timeout_ms;
  case TIMER_BODY: return options->body_timeout_ms;
  case TIMER_WRITE: return options->write_timeout_ms;
  case TIMER_DROP: return HTTP_DROP_MS_MAX;
  case TIMER_PROBE: return HTTP_PROBE_MS;
  case TIMER_NONE: break;
  }
  return 0;
}

/* What the connection waits for that must not take for ever. */
static enum timer_kind wanted_timer(const struct http_connection *connection) {
  const struct http_exchange *exchange = connection->exchange;
  switch (connection->phase) {
  case PHASE_HEAD: {
    bool idle = http_parser_idle(&connection->parser) && connection->in_bytes == 0;
    return idle ? TIMER_IDLE : TIMER_HEAD;
  }
  case PHASE_DROP:
  case PHASE_LINGER: return TIMER_DROP;
  case PHASE_CLOSED: return TIMER_NONE;
  case PHASE_EXCHANGE: break;
  }
  if (connection_unsent_bytes(connection) > 0) return TIMER_WRITE;
  if (exchange->body == BODY_TAKEN && !exchange->paused) return TIMER_BODY;
  /* A client that was not told to continue rightly sends nothing. */
  bool waits = exchange->head.expects_continue && !exchange->continued;
  if (exchange->body == BODY_DROPPED && !waits) return TIMER_BODY;
  return connection->eof ? TIMER_PROBE : TIMER_NONE;
}

static void on_timer(uv_timer_t *timer);

/* The timer is not moved with each piece that comes: it fires at some earlier deadline,
 * finds that there is time left, and is set anew. */
static void arm_timer(struct http_connection *connection) {
  if (connection->timer_kind == TIMER_NONE) return;
  if (connection->alarm_ms != 0 && connection->alarm_ms <= connection->deadline_ms) return;
  int64_t now_ms = (int64_t)uv_now(connection->timer.loop);
  int64_t after_ms = connection->deadline_ms - now_ms;
  if (after_ms < 1) after_ms = 1;
  connection->alarm_ms = now_ms + after_ms;
  uv_timer_start(&connection->timer, on_timer, (uint64_t)after_ms, 0);
}

static int64_t sent_bytes(const struct http_connection *connection) {
  return connection->queued_bytes - (int64_t)connection_unsent_bytes(connection);
}

static void start_timer(struct http_connection *connection, enum timer_kind kind) {
  connection->timer_kind = kind;
  connection->deadline_ms =
      (int64_t)uv_now(connection->timer.loop) + timer_ms(&connection->server->options, kind);
  connection->sent_bytes = sent_bytes(connection);
  arm_timer(connection);
}

/* A client that has ended its side may wait for the answer, or be gone: TCP looks the
 * same until something is sent. An interim answer, which every client has to be able to
 * read (RFC 9110, section 15.2), makes a client that is gone reset the connection. */
static void probe(struct http_connection *connection) {
  struct http_exchange *exchange = connection->exchange;
  uv_os_fd_t fd;
  if (uv_fileno((uv_handle_t *)&connection->tcp, &fd) != 0) return;
  struct pollfd watched = {.fd = fd};
  if (poll(&watched, 1, 0) > 0) {
    connection_lost(connection, STATUS_CANCELLED, "the client is gone");
    return;
  }
  if (exchange->answer == ANSWER_NONE && exchange->head.minor_version == 1 && !exchange->probed) {
    exchange->probed = true;
    connection_send_continue(connection);
  }
  start_timer(connection, TIMER_PROBE);
}

static void expire(struct http_connection *connection) {
  enum timer_kind kind = connection->timer_kind;
  long long waited_ms = (long long)timer_ms(&connection->server->options, kind);
  struct error error;
  switch (kind) {
  case TIMER_NONE: break;
  case TIMER_IDLE:
  case TIMER_DROP: connection_close(connection); break;
  case TIMER_HEAD:
    error_set(&error, STATUS_TIMEOUT, "the request's head was not whole after %lld ms", waited_ms);
    refuse(connection, 408, &error);
    break;
  case TIMER_BODY:
    error_set(&error, STATUS_TIMEOUT, "nothing of the request's body came for %lld ms", waited_ms);
    refuse(connection, 408, &error);
    break;
  case TIMER_WRITE:
    if (sent_bytes(connection) != connection->sent_bytes) {
      start_timer(connection, TIMER_WRITE);
      break;
    }
    connection->broken_off = true; /* an orderly end would wait for the reader again */
    connection_lost(connection, STATUS_TIMEOUT, "the client did not read its answer in time");
    break;
  case TIMER_PROBE: probe(connection); break;
  }
}

static void on_timer(uv_timer_t *timer) {
  struct http_connection *connection = timer->data;
  if (connection->phase == PHASE_CLOSED) return;
  connection->alarm_ms = 0;
  if ((int64_t)uv_now(timer->loop) < connection->deadline_ms) {
    arm_timer(connection);
    return;
  }
  connection->running = true;
  expire(connection);
  connection->running = false;
  connection_run(connection);
}

/* ---- reading --------------------------------------------------------------------------- */

static bool wants_input(const struct http_connection *connection) {
  if (connection->eof || connection->lost) return false;
  if (connection->phase != PHASE_EXCHANGE) return true;
  switch (connection->exchange->body) {
  case BODY_TAKEN: return !connection->exchange->paused;
  case BODY_DROPPED: return true;
  case BODY_DONE: return connection->in_bytes < HTTP_RECEIVE_BYTES; /* to see the client go */
  case BODY_NEW:
  case BODY_STOPPED: break;
  }
  return false;
}

/* The handler's window, when the next bytes are all body, nothing is before them, and
 * it is worth it. False: the receive buffer is to be used. */
static bool offer_window(struct http_connection *connection, uv_buf_t *memory) {
  struct http_exchange *exchange = connection->exchange;
  int64_t room_bytes = http_parser_body_room(&connection->parser);
  if (exchange == NULL || exchange->body != BODY_TAKEN || exchange->paused) return false;
  if (connection->in_bytes > 0 || room_bytes < HTTP_STRAIGHT_BYTES_MIN) return false;
  uint8_t *window = NULL;
  int64_t bytes = 0;
  connection->running = true;
  connection->in_alloc = true;
  enum status status = exchange->handler.window(exchange->handler.context, &window, &bytes);
  connection->in_alloc = false;
  connection->running = false;
  if (connection->exchange != exchange || !handler_goes_on(exchange, status))
    return true; /* no memory: on_read sees what has become of the exchange */
  if (bytes < HTTP_STRAIGHT_BYTES_MIN) return false;
  if (bytes > room_bytes) bytes = room_bytes;
  if (bytes > HTTP_STRAIGHT_BYTES_MAX) bytes = HTTP_STRAIGHT_BYTES_MAX;
  connection->straight = true;
  *memory = uv_buf_init((char *)window, (unsigned)bytes);
  return true;
}

static void on_alloc(uv_handle_t *handle, size_t suggested_bytes, uv_buf_t *memory) {
  struct http_connection *connection = handle->data;
  (void)suggested_bytes;
  connection->straight = false;
  *memory = uv_buf_init(NULL, 0);
  if (offer_window(connection, memory)) return;
  if (connection->in_bytes == 0) {
    *memory = uv_buf_init((char *)connection->server->scratch, HTTP_RECEIVE_BYTES);
    return;
  }
  /* Behind what waits already. */
  memmove(connection->held, connection->in, connection->in_bytes);
  connection->in = connection->held;
  size_t room_bytes = HTTP_RECEIVE_BYTES - connection->in_bytes;
  *memory = uv_buf_init((char *)connection->held + connection->in_bytes, (unsigned)room_bytes);
}

/* `bytes` of body have been read straight into the handler's window. */
static void filled_straight(struct http_connection *connection, int64_t bytes) {
  struct http_exchange *exchange = connection->exchange;
  http_parser_body_took(&connection->parser, bytes);
  connection->running = true;
  enum status status = exchange->handler.filled(exchange->handler.context, bytes);
  connection->running = false;
  if (connection->exchange == exchange) handler_goes_on(exchange, status);
}

static void on_read(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *memory) {
  struct http_connection *connection = stream->data;
  if (connection->phase == PHASE_CLOSED) { /* closed in on_alloc */
    close_handles(connection);
    return;
  }
  if (bytes == UV_EOF) {
    connection->eof = true;
    connection->reading = false;
  } else if (bytes < 0 && bytes != UV_ENOBUFS) {
    connection_lost(connection, STATUS_CANCELLED, "the client broke off the connection");
  } else if (bytes > 0) {
    if (connection->timer_kind == TIMER_BODY) start_timer(connection, TIMER_BODY);
    if (connection->straight) {
      filled_straight(connection, bytes);
    } else {
      if (connection->in_bytes == 0) connection->in = (const uint8_t *)memory->base;
      connection->in_bytes += (size_t)bytes;
    }
  }
  connection_run(connection);
}

/* ---- running ------------------------------------------------------------------------------ */

/* What was not parsed has to outlive the scratch buffer. */
static void keep_input(struct http_connection *connection) {
  if (connection->in_bytes == 0) {
    free(connection->held);
    connection->held = NULL;
    connection->in = NULL;
  } else if (connection->held == NULL) {
    connection->held = malloc(HTTP_RECEIVE_BYTES);
    if (connection->held == NULL) {
      connection->in_bytes = 0;
      connection_lost(connection, STATUS_NOMEM, "no memory for what the client has sent");
      return;
    }
    memcpy(connection->held, connection->in, connection->in_bytes);
    connection->in = connection->held;
  }
}

static void settle(struct http_connection *connection) {
  keep_input(connection);
  bool wanted = wants_input(connection);
  if (wanted && !connection->reading) {
    int failed = uv_read_start((uv_stream_t *)&connection->tcp, on_alloc, on_read);
    if (failed != 0) connection_lost(connection, STATUS_CANCELLED, "the client is gone");
  } else if (!wanted && connection->reading) {
    uv_read_stop((uv_stream_t *)&connection->tcp);
  }
  connection->reading = wanted;
  enum timer_kind kind = wanted_timer(connection);
  if (kind != connection->timer_kind) start_timer(connection, kind);
}

static void connection_run(struct http_connection *connection) {
  if (connection->running || connection->phase == PHASE_CLOSED) return;
  connection->running = true;
  while (connection->phase != PHASE_CLOSED && step(connection)) {
  }
  connection->running = false;
  if (connection->phase != PHASE_CLOSED) settle(connection);
}

static void run_soon(void *context) { connection_run(context); }

enum status connection_new(struct http_server *server, int fd, bool refused, struct error *error) {
  struct http_connection *connection = calloc(1, sizeof *connection);
  if (connection == NULL) {
    close(fd);
    return error_set(error, STATUS_NOMEM, "no memory for a connection");
  }
  uv_loop_t *loop = loop_uv(server->loop);
  struct http_parser_limits limits = {server->options.header_bytes_max,
                                      server->options.header_count_max};
  http_parser_init(&connection->parser, &limits);
  connection->server = server;
  connection->soon = (struct loop_soon){.run = run_soon, .context = connection};
  connection->open_handles = 2;
  connection->tcp.data = connection;
  connection->timer.data = connection;
  uv_timer_init(loop, &connection->timer);
  int failed = uv_tcp_init(loop, &connection->tcp); /* opens nothing: cannot fail */
  if (failed == 0) failed = uv_tcp_open(&connection->tcp, fd);
  if (failed != 0) {
    close(fd);
    connection->phase = PHASE_CLOSED;
    close_handles(connection);
    return error_set(error, STATUS_UNAVAILABLE, "a connection could not be set up: %s",
                     uv_strerror(failed));
  }
  uv_tcp_nodelay(&connection->tcp, 1); /* answers are written whole */
  connection->next = server->first;
  if (server->first != NULL) server->first->previous = connection;
  server->first = connection;
  server->connection_count++;
  if (refused) {
    struct error full;
    error_set(&full, STATUS_UNAVAILABLE,
              "the server has as many connections as it may have (%lld): try again later",
              (long long)server->options.connections_max);
    refuse(connection, 503, &full);
  }
  connection_run(connection);
  return STATUS_OK;
}

/* ---- what the service calls about a request's body ---------------------------------------- */

const struct http_request *http_exchange_request(const struct http_exchange *exchange) {
  return &exchange->head.request;
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

void http_body_accept(struct http_exchange *exchange, const struct http_body_handler *handler) {
  if (exchange->over) return;
  assert(exchange->body == BODY_NEW);
  struct http_connection *connection = exchange->connection;
  exchange->handler = *handler;
  exchange->body = BODY_TAKEN;
  bool awaited = exchange->head.request.body_bytes != 0 && connection->in_bytes == 0;
  if (exchange->head.expects_continue && awaited && exchange->answer == ANSWER_NONE)
    connection_send_continue(connection);
  exchange->continued = true; /* the body comes, now or already */
  connection_soon(connection);
}

void http_body_pause(struct http_exchange *exchange) {
  exchange->paused = true;
  connection_soon(exchange->connection);
}

void http_body_resume(struct http_exchange *exchange) {
  exchange->paused = false;
  connection_soon(exchange->connection);
}

const struct http_peer *http_exchange_peer(const struct http_exchange *exchange) {
  return &exchange->connection->peer;
}

const char *http_exchange_protocol(const struct http_exchange *exchange) {
  (void)exchange;
  return "HTTP/1.1";
}

void http_exchange_answer_header(struct http_exchange *exchange, const char *name,
                                 const char *value) {
  if (text_add_format(&exchange->extra, NULL, "%s: %s\r\n", name, value) != STATUS_OK) return;
}

int http_exchange_code(const struct http_exchange *exchange) { return exchange->code; }
int64_t http_exchange_received_bytes(const struct http_exchange *exchange) {
  return exchange->received_bytes;
}
int64_t http_exchange_sent_bytes(const struct http_exchange *exchange) {
  return exchange->sent_bytes;
}
