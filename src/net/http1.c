/* HTTP/1.1 on a connection: one exchange at a time.
 *
 *                     begin_exchange
 *   PHASE_HEAD ------------------> PHASE_EXCHANGE
 *    ^    ^                            | answered: http1_end_exchange
 *    |    | body whole, keep           |
 *    |    +----------------------------+-- keep, body small --> PHASE_DROP
 *    +------------------------------------- rest was read ---------+  |
 *                                      |                              |
 *     refuse (a broken head)           | otherwise            too long |
 *   HEAD ----------------> PHASE_LINGER <--------+                    |
 *                              | client's end, or too long            |
 *   any: connection_close <----+--------------------------------------+
 *
 * Within PHASE_EXCHANGE the body and the answer go their own ways (http_exchange.h).
 *
 * Invariants:
 * 1. `exchange` is set exactly in PHASE_EXCHANGE; http1_end_exchange is the only one that
 *    finishes it, once, after taking it off.
 * 2. Everything the service or a handler is told is told by connection_run and what it
 *    calls (or by http_server_free). A call of theirs back into net/ only changes state
 *    and tries to send; connection_soon sees to the rest.
 * 3. A handler may end its own exchange (http_server_free): its memory stays as `finished`
 *    until the next one has ended or the connection is closed.
 * 4. Bytes of a next request are not parsed before the exchange has ended. They wait in
 *    `held`, and the socket is not read while that is full. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/http_connection.h"

void http1_end_exchange(struct http_connection *connection) {
  struct http1_exchange *exchange = connection->exchange;
  connection->exchange = NULL;
  exchange_finish(&exchange->base);
  text_release(&exchange->unsent);
  free(connection->finished);
  connection->finished = exchange;
  server_look(connection->server);
}

void http1_refuse(struct http_connection *connection, int code, const struct error *why) {
  struct http1_exchange *exchange = connection->exchange;
  connection->keep = false;
  if (exchange == NULL) {
    http1_send_problem(connection, code, why);
    connection_linger(connection);
    return;
  }
  exchange->base.head.keep_alive = false;
  exchange_refuse(&exchange->base, code, why);
}

/* ---- steps: each does one thing that can be done, and says whether it did ------------ */

static void begin_exchange(struct http_connection *connection) {
  struct http_server *server = connection->server;
  struct http1_exchange *exchange = calloc(1, sizeof *exchange);
  struct error error;
  if (exchange == NULL) {
    error_set(&error, STATUS_NOMEM, "no memory for a request");
    http1_refuse(connection, status_http(STATUS_NOMEM), &error);
    return;
  }
  struct http_head head = HTTP_HEAD_EMPTY;
  http_parser_take_head(&connection->parser, &head);
  exchange_init(&exchange->base, &HTTP1_PROTOCOL, &server->service, &connection->peer, &head);
  exchange->base.stats = &server->stats;
  exchange->base.body_bytes_max = connection->limits.body_bytes_max;
  exchange->connection = connection;
  connection->exchange = exchange;
  connection->phase = PHASE_EXCHANGE;
  connection->dropped_bytes = 0;
  connection->timer_kind = TIMER_NONE; /* the next head has its own time */
  exchange_ask(&exchange->base);
}

static bool step_head(struct http_connection *connection) {
  struct http_parser *parser = &connection->parser;
  if (connection->server->draining) {
    connection_close(connection);
    return true;
  }
  if (connection->in_bytes == 0) return false;
  size_t bytes = 0;
  enum http_event event;
  struct error error;
  enum status status =
      http_parser_feed(parser, connection->in, connection->in_bytes, &bytes, &event, &error);
  connection_used(connection, bytes);
  if (status != STATUS_OK) {
    int code = http_parser_code(parser);
    bool limit = code == 413 || code == 414 || code == 431;
    int64_t *counter = limit ? &connection->server->stats.refused_limits
                             : &connection->server->stats.refused_broken;
    *counter += 1;
    http1_refuse(connection, code, &error);
  } else if (event == HTTP_EVENT_HEAD && parser->head.expects_unknown) {
    error_set(&error, STATUS_UNSUPPORTED, "the only expectation met here is 100-continue");
    http1_refuse(connection, 417, &error);
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
  connection_used(connection, bytes);
  if (status == STATUS_OK) return *event != HTTP_EVENT_MORE;
  *event = HTTP_EVENT_MORE;
  connection->server->stats.refused_broken++;
  if (connection->phase == PHASE_EXCHANGE)
    http1_refuse(connection, http_parser_code(&connection->parser), &error);
  else
    connection->lost = true; /* it has its answer */
  return true;
}

static bool step_taken(struct http_connection *connection) {
  struct http_exchange *exchange = &connection->exchange->base;
  if (exchange->paused) return false;
  if (exchange->ending) {
    exchange_body_end(exchange);
    return true;
  }
  int64_t room_bytes = http_parser_body_room(&connection->parser);
  if (room_bytes > 0) {
    if (connection->in_bytes == 0) return false;
    size_t bytes = connection->in_bytes;
    if ((int64_t)bytes > room_bytes) bytes = (size_t)room_bytes;
    size_t took = exchange_body_give(exchange, connection->in, bytes);
    connection_used(connection, took);
    http_parser_body_took(&connection->parser, (int64_t)took);
    return true;
  }
  enum http_event event;
  if (!step_framing(connection, &event)) return false;
  if (event == HTTP_EVENT_END) exchange_body_end(exchange);
  return true;
}

/* A body that nobody wants. */
static bool step_dropped(struct http_connection *connection) {
  struct http_exchange *exchange =
      connection->exchange == NULL ? NULL : &connection->exchange->base;
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
  connection_used(connection, bytes);
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
  struct http_exchange *exchange = &connection->exchange->base;
  bool aborted = exchange->answer == ANSWER_ABORTED;
  bool whole = exchange->body == BODY_DONE;
  http1_end_exchange(connection);
  if (connection->phase == PHASE_CLOSED) return;
  if (aborted) {
    connection_close(connection);
  } else if (!connection->keep) {
    connection_linger(connection);
  } else if (whole) {
    http_parser_reset(&connection->parser);
    connection->phase = PHASE_HEAD;
  } else {
    connection->phase = PHASE_DROP;
  }
}

static bool step_exchange(struct http_connection *connection) {
  struct http_exchange *exchange = &connection->exchange->base;
  if (exchange->answer == ANSWER_OPEN) http1_flush_head(connection);
  if (connection->lost) return true; /* seen to at the beginning of the next step */
  size_t unsent_bytes = transport_unsent_bytes(connection->transport);
  if (exchange->answer == ANSWER_ABORTED ||
      (exchange->answer == ANSWER_ENDED && unsent_bytes == 0)) {
    step_answered(connection);
    return true;
  }
  if (exchange->blocked && (int64_t)unsent_bytes <= connection->limits.write_bytes_high / 2) {
    if (exchange_tell_writable(exchange)) return true;
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

bool http1_step_end_of_input(struct http_connection *connection) {
  struct http_exchange *exchange =
      connection->exchange == NULL ? NULL : &connection->exchange->base;
  bool answered = exchange != NULL && exchange->answer == ANSWER_ENDED;
  if (exchange == NULL) {
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

bool http1_step(struct http_connection *connection) {
  switch (connection->phase) {
  case PHASE_HEAD: return step_head(connection);
  case PHASE_EXCHANGE: return step_exchange(connection);
  case PHASE_DROP: return step_dropped(connection);
  case PHASE_OPENING:
  case PHASE_HTTP2:
  case PHASE_LINGER:
  case PHASE_CLOSED: break;
  }
  return false;
}

/* ---- reading --------------------------------------------------------------------------- */

bool http1_wants_input(const struct http_connection *connection) {
  if (connection->phase != PHASE_EXCHANGE) return true;
  const struct http_exchange *exchange = &connection->exchange->base;
  switch (exchange->body) {
  case BODY_TAKEN: return !exchange->paused;
  case BODY_DROPPED: return true;
  case BODY_DONE: return connection->in_bytes < HTTP_RECEIVE_BYTES; /* to see the client go */
  case BODY_NEW:
  case BODY_STOPPED: break;
  }
  return false;
}

/* The handler's window, when the next bytes are all body, nothing is before them, and
 * it is worth it. False: the receive buffer is to be used. */
bool http1_offer_window(struct http_connection *connection, uint8_t **data, size_t *bytes) {
  struct http1_exchange *exchange = connection->exchange;
  int64_t room_bytes = http_parser_body_room(&connection->parser);
  if (exchange == NULL || connection->in_bytes > 0 || room_bytes < HTTP_STRAIGHT_BYTES_MIN)
    return false;
  if (exchange->base.body != BODY_TAKEN || exchange->base.paused) return false;
  int64_t window_bytes = 0;
  uint8_t *window = NULL;
  bool offered =
      exchange_body_window(&exchange->base, HTTP_STRAIGHT_BYTES_MIN, &window, &window_bytes);
  if (!offered) /* with no room: what has become of the exchange is seen soon */
    return exchange->base.body != BODY_TAKEN || exchange->base.paused;
  if (window_bytes > room_bytes) window_bytes = room_bytes;
  if (window_bytes > HTTP_STRAIGHT_BYTES_MAX) window_bytes = HTTP_STRAIGHT_BYTES_MAX;
  *data = window;
  *bytes = (size_t)window_bytes;
  return true;
}
