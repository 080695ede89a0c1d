/* One client's connection: which protocol it speaks, what comes in, whose turn it is, when it
 * ends.
 *
 *   connection_new --> PHASE_OPENING --preface, ALPN--> PHASE_HTTP2 (http2.c)
 *                          |                                |
 *                          +--> PHASE_HEAD ... (http1.c)    |
 *                                    |                      |
 *   any: connection_close --> PHASE_CLOSED -- transport and timer closed --> freed
 *
 * Invariants:
 * 1. Everything the service or a handler is told is told by connection_run and what it
 *    calls (or by http_server_free), while `running` is set.
 * 2. Anything may be closed inside any callback: after each one the phase is looked at. A
 *    connection's memory lives until transport and timer are closed, which is never before
 *    the callback has returned. */
#include "net/http_connection.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static void connection_run(struct http_connection *connection);

/* ---- beginning and end --------------------------------------------------------------- */

static void handle_closed(struct http_connection *connection) {
  if (--connection->open_handles > 0) return;
  assert(connection->exchange == NULL);
  http2_free(connection->http2);
  http_parser_release(&connection->parser);
  free(connection->finished);
  free(connection->held);
  server_let_go(connection->server);
  free(connection);
}

static void on_timer_closed(uv_handle_t *handle) { handle_closed(handle->data); }
static void on_transport_closed(void *context) { handle_closed(context); }

void connection_close(struct http_connection *connection) {
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
  server->stats.connections_open--;
  uv_close((uv_handle_t *)&connection->timer, on_timer_closed);
  transport_close(connection->transport, connection->broken_off);
  server_look(server);
}

void connection_abandon(struct http_connection *connection, const struct error *why) {
  struct http1_exchange *exchange = connection->exchange;
  if (exchange != NULL) {
    bool told = exchange->base.over;
    if (!told) exchange->base.why = *why;
    /* `over` without a lost client: refused, and told at that time; or aborted. */
    if (!told || connection->lost) exchange_tell_gone(&exchange->base);
    if (connection->exchange == exchange) http1_end_exchange(connection);
  }
  if (connection->http2 != NULL) http2_gone(connection->http2, why);
  connection_close(connection);
}

void connection_soon(struct http_connection *connection) {
  if (connection->running || connection->phase == PHASE_CLOSED) return;
  loop_soon(connection->server->loop, &connection->soon);
}

void connection_lost(struct http_connection *connection, enum status status, const char *why) {
  if (connection->lost || connection->phase == PHASE_CLOSED) return;
  connection->lost = true;
  if (connection->exchange != NULL) exchange_lost(&connection->exchange->base, status, why);
  connection_soon(connection);
}

/* Closing now would reset the connection if the client has sent anything that was not read,
 * and a reset can destroy the answer on its way. */
void connection_linger(struct http_connection *connection) {
  connection->phase = PHASE_LINGER;
  transport_shutdown(connection->transport);
}

bool connection_has_unsent(const struct http_connection *connection) {
  return transport_unsent_bytes(connection->transport) > 0;
}

void connection_used(struct http_connection *connection, size_t bytes) {
  if (bytes == 0) return; /* there may be no buffer to point into */
  connection->in += bytes;
  connection->in_bytes -= bytes;
}

/* ---- HTTP/2 ----------------------------------------------------------------------------- */

static void http2_send(void *context, const void *text, size_t text_bytes, struct buffer *data) {
  struct http_connection *connection = context;
  transport_send(connection->transport, text, text_bytes, data, NULL, 0);
}

static size_t http2_unsent_bytes(void *context) {
  struct http_connection *connection = context;
  return transport_unsent_bytes(connection->transport);
}

/* Also from inside http2_run, which then runs once more. */
static void http2_soon(void *context) {
  struct http_connection *connection = context;
  if (connection->phase == PHASE_CLOSED) return;
  loop_soon(connection->server->loop, &connection->soon);
}

static int64_t http2_now_ms(void *context) {
  struct http_connection *connection = context;
  return (int64_t)uv_now(loop_uv(connection->server->loop));
}

static bool begin_http2(struct http_connection *connection) {
  struct http_server *server = connection->server;
  const struct http2_owner owner = {.context = connection,
                                    .send = http2_send,
                                    .unsent_bytes = http2_unsent_bytes,
                                    .soon = http2_soon,
                                    .now_ms = http2_now_ms};
  struct error error;
  enum status status =
      http2_new(&connection->limits, &owner, &server->service, &connection->peer,
                connection->limits.budget, &server->stats, &connection->http2, &error);
  if (status == STATUS_OK) {
    connection->phase = PHASE_HTTP2;
    if (server->draining) http2_drain(connection->http2);
  } else {
    connection_lost(connection, status, "no memory for an HTTP/2 connection");
  }
  return true;
}

/* A failure ends the connection once what tells the client is sent. */
static void end_http2(struct http_connection *connection, const struct error *why) {
  http2_gone(connection->http2, why);
  connection_linger(connection);
}

static bool step_http2(struct http_connection *connection) {
  struct error error;
  enum status status = STATUS_OK;
  if (connection->in_bytes > 0) {
    size_t bytes = connection->in_bytes;
    status = http2_feed(connection->http2, connection->in, bytes, &error);
    connection_used(connection, bytes);
  }
  if (status == STATUS_OK) status = http2_run(connection->http2, &error);
  if (connection->lost) return true;
  if (status != STATUS_OK) {
    end_http2(connection, &error);
  } else if (http2_over(connection->http2)) {
    error_set(&error, STATUS_CANCELLED, "the connection is over");
    end_http2(connection, &error);
  } else {
    return false;
  }
  return true;
}

/* ---- which protocol? ----------------------------------------------------------------------- */

static void refuse_misfit(struct http_connection *connection) {
  struct error error;
  error_set(&error, STATUS_INVALID,
            "this port speaks TLS: write https:// instead of http:// in the address");
  connection->server->stats.refused_tls++;
  connection->phase = PHASE_HEAD;
  http1_refuse(connection, 400, &error);
}

static bool step_opening(struct http_connection *connection) {
  struct transport *transport = connection->transport;
  if (!transport_ready(transport)) return false;
  if (transport_refusal(transport) != NULL) {
    connection->server->stats.refused_tls++;
    log_info("net", "%s: no TLS: %s", connection->peer.address, transport_refusal(transport));
    connection_linger(connection);
    return true;
  }
  if (transport_is_misfit(transport)) {
    refuse_misfit(connection);
    return true;
  }
  connection->peer.certificate_name = transport_client_name(transport);
  if (strcmp(transport_alpn(transport), "h2") == 0) return begin_http2(connection);
  if (connection->in_bytes == 0) {
    if (!connection->server->draining) return false;
    connection_close(connection);
    return true;
  }
  enum http2_preface found = http2_preface(connection->in, connection->in_bytes);
  if (found == HTTP2_MAYBE && !connection->eof) return false;
  if (found == HTTP2_YES) return begin_http2(connection);
  connection->phase = PHASE_HEAD;
  return true;
}

/* ---- steps ------------------------------------------------------------------------------------ */

static bool step_linger(struct http_connection *connection) {
  connection->dropped_bytes += (int64_t)connection->in_bytes;
  connection_used(connection, connection->in_bytes);
  if (connection->dropped_bytes > HTTP_DROP_BYTES_MAX) connection_close(connection);
  return false;
}

/* Nothing else can be done and nothing more will come. */
static bool step_end_of_input(struct http_connection *connection) {
  switch (connection->phase) {
  case PHASE_EXCHANGE: return http1_step_end_of_input(connection);
  case PHASE_HTTP2:
    connection_lost(connection, STATUS_CANCELLED, "the client ended the connection");
    return true;
  case PHASE_LINGER: /* what is queued goes out first; `sent` comes back here */
    if (connection_has_unsent(connection)) return false;
    break;
  case PHASE_OPENING:
  case PHASE_HEAD:
  case PHASE_DROP:
  case PHASE_CLOSED: break;
  }
  connection_close(connection);
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
  case PHASE_OPENING: done = step_opening(connection); break;
  case PHASE_HEAD:
  case PHASE_EXCHANGE:
  case PHASE_DROP: done = http1_step(connection); break;
  case PHASE_HTTP2: done = step_http2(connection); break;
  case PHASE_LINGER: done = step_linger(connection); break;
  case PHASE_CLOSED: break;
  }
  if (!done && connection->eof && connection->phase != PHASE_CLOSED)
    done = step_end_of_input(connection);
  return done;
}

/* ---- time -------------------------------------------------------------------------------- */

static int64_t timer_ms(const struct http_connection *connection, enum timer_kind kind) {
  const struct http_server_options *limits = &connection->limits;
  switch (kind) {
  case TIMER_IDLE: return limits->idle_timeout_ms;
  case TIMER_HEAD: return limits->header_timeout_ms;
  case TIMER_BODY: return limits->body_timeout_ms;
  case TIMER_WRITE: return limits->write_timeout_ms;
  case TIMER_DROP: return HTTP_DROP_MS_MAX;
  case TIMER_PROBE: return HTTP_PROBE_MS;
  case TIMER_HTTP2:
  case TIMER_NONE: break;
  }
  return 0;
}

static enum timer_kind exchange_timer(const struct http_connection *connection) {
  const struct http1_exchange *exchange = connection->exchange;
  if (connection_has_unsent(connection)) return TIMER_WRITE;
  bool bounded = !exchange->base.unbounded;
  if (exchange->base.body == BODY_TAKEN && !exchange->base.paused && bounded) return TIMER_BODY;
  /* A client that was not told to continue rightly sends nothing. */
  bool waits = exchange->base.head.expects_continue && !exchange->continued;
  if (exchange->base.body == BODY_DROPPED && !waits) return TIMER_BODY;
  return connection->eof ? TIMER_PROBE : TIMER_NONE;
}

/* What the connection waits for that must not take for ever. */
static enum timer_kind wanted_timer(const struct http_connection *connection) {
  switch (connection->phase) {
  case PHASE_OPENING:
    if (!transport_ready(connection->transport) || connection->in_bytes > 0) return TIMER_HEAD;
    return TIMER_IDLE;
  case PHASE_HEAD: {
    bool idle = http_parser_idle(&connection->parser) && connection->in_bytes == 0;
    return idle ? TIMER_IDLE : TIMER_HEAD;
  }
  case PHASE_EXCHANGE: return exchange_timer(connection);
  case PHASE_HTTP2: return TIMER_HTTP2;
  case PHASE_DROP:
  case PHASE_LINGER: return TIMER_DROP;
  case PHASE_CLOSED: break;
  }
  return TIMER_NONE;
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
  return transport_queued_bytes(connection->transport) -
         (int64_t)transport_unsent_bytes(connection->transport);
}

static int64_t body_bytes(const struct http_connection *connection) {
  return connection->exchange == NULL ? 0 : connection->exchange->base.received_bytes;
}

static void start_timer(struct http_connection *connection, enum timer_kind kind) {
  connection->timer_kind = kind;
  connection->deadline_ms = (int64_t)uv_now(connection->timer.loop) + timer_ms(connection, kind);
  connection->sent_bytes = sent_bytes(connection);
  connection->body_bytes = body_bytes(connection);
  arm_timer(connection);
}

/* HTTP/2 knows by itself what it waits for. */
static void follow_http2(struct http_connection *connection) {
  int64_t deadline_ms = http2_deadline_ms(connection->http2);
  connection->timer_kind = deadline_ms < 0 ? TIMER_NONE : TIMER_HTTP2;
  if (deadline_ms < 0) return;
  connection->deadline_ms = deadline_ms;
  arm_timer(connection);
}

/* A client that has ended its side may wait for the answer, or be gone: TCP looks the
 * same until something is sent. An interim answer, which every client has to be able to
 * read (RFC 9110, section 15.2), makes a client that is gone reset the connection. */
static void probe(struct http_connection *connection) {
  struct http1_exchange *exchange = connection->exchange;
  if (transport_is_dead(connection->transport)) {
    connection_lost(connection, STATUS_CANCELLED, "the client is gone");
    return;
  }
  bool can = exchange->base.answer == ANSWER_NONE && exchange->base.head.minor_version == 1;
  if (can && !exchange->probed) {
    exchange->probed = true;
    http1_send_continue(connection);
  }
  start_timer(connection, TIMER_PROBE);
}

static void expire_head(struct http_connection *connection) {
  struct http_server *server = connection->server;
  struct error error;
  server->stats.refused_slow++;
  if (!transport_ready(connection->transport)) {
    server->stats.refused_tls++;
    connection_close(connection);
    return;
  }
  error_set(&error, STATUS_TIMEOUT, "the request's head was not whole after %lld ms",
            (long long)connection->limits.header_timeout_ms);
  connection->phase = PHASE_HEAD;
  http1_refuse(connection, 408, &error);
}

/* Slow bodies: something has to come, and the more the better. */
static void expire_body(struct http_connection *connection) {
  const struct http_server_options *limits = &connection->limits;
  struct error error;
  int64_t came_bytes = body_bytes(connection) - connection->body_bytes;
  if (connection->exchange->base.body == BODY_TAKEN &&
      came_bytes >= limits->body_bytes_per_timeout) {
    start_timer(connection, TIMER_BODY);
    return;
  }
  error_set(&error, STATUS_TIMEOUT,
            "only %lld bytes of the request's body came in %lld ms; at least %lld are expected "
            "(http.body_bytes_per_timeout)",
            (long long)came_bytes, (long long)limits->body_timeout_ms,
            (long long)limits->body_bytes_per_timeout);
  connection->server->stats.refused_slow++;
  http1_refuse(connection, 408, &error);
}

static void expire_write(struct http_connection *connection) {
  if (sent_bytes(connection) != connection->sent_bytes) {
    start_timer(connection, TIMER_WRITE);
    return;
  }
  connection->server->stats.refused_slow++;
  connection->broken_off = true; /* an orderly end would wait for the reader again */
  connection_lost(connection, STATUS_TIMEOUT, "the client did not read its answer in time");
}

static void expire_http2(struct http_connection *connection) {
  struct error error;
  if (http2_tick(connection->http2, &error) != STATUS_OK) end_http2(connection, &error);
}

static void expire(struct http_connection *connection) {
  switch (connection->timer_kind) {
  case TIMER_NONE: break;
  case TIMER_IDLE:
  case TIMER_DROP: connection_close(connection); break;
  case TIMER_HEAD: expire_head(connection); break;
  case TIMER_BODY: expire_body(connection); break;
  case TIMER_WRITE: expire_write(connection); break;
  case TIMER_PROBE: probe(connection); break;
  case TIMER_HTTP2: expire_http2(connection); break;
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
  if (connection->phase == PHASE_HTTP2) return http2_wants_input(connection->http2);
  return http1_wants_input(connection);
}

static size_t receive_bytes(const struct http_connection *connection) {
  return connection->phase == PHASE_HTTP2 ? HTTP2_RECEIVE_BYTES : HTTP_RECEIVE_BYTES;
}

static void on_room(void *context, uint8_t **data, size_t *bytes) {
  struct http_connection *connection = context;
  connection->straight = false;
  *data = NULL;
  *bytes = 0;
  if (connection->phase == PHASE_CLOSED) return;
  connection->running = true;
  connection->straight = http1_offer_window(connection, data, bytes);
  connection->running = false;
  if (connection->straight) return;
  if (connection->in_bytes == 0) {
    *data = connection->server->scratch;
    *bytes = receive_bytes(connection);
    return;
  }
  /* Behind what waits already. */
  const uint8_t *scratch = connection->server->scratch;
  if (connection->held == NULL && connection->in >= scratch &&
      connection->in < scratch + HTTP2_RECEIVE_BYTES) {
    size_t end = (size_t)(connection->in - scratch) + connection->in_bytes;
    *data = connection->server->scratch + end;
    *bytes = receive_bytes(connection) > end ? receive_bytes(connection) - end : 0;
    return;
  }
  assert(connection->held != NULL);
  memmove(connection->held, connection->in, connection->in_bytes);
  connection->in = connection->held;
  *data = connection->held + connection->in_bytes;
  *bytes = HTTP_RECEIVE_BYTES - connection->in_bytes;
}

static void on_came(void *context, size_t bytes) {
  struct http_connection *connection = context;
  if (connection->straight) {
    connection->running = true;
    http_parser_body_took(&connection->parser, (int64_t)bytes);
    exchange_body_filled(&connection->exchange->base, (int64_t)bytes);
    connection->running = false;
    return;
  }
  if (connection->in_bytes == 0) connection->in = connection->server->scratch;
  connection->in_bytes += bytes;
}

static void on_turned(void *context) { connection_run(context); }

static void on_ended(void *context) {
  struct http_connection *connection = context;
  connection->eof = true;
  connection_run(connection);
}

static void on_lost(void *context, enum status status, const char *why) {
  struct http_connection *connection = context;
  if (connection->phase == PHASE_OPENING && status == STATUS_INVALID)
    connection->server->stats.refused_tls++;
  connection_lost(connection, status, why);
  connection_run(connection);
}

static void on_sent(void *context) { connection_run(context); }

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
  free(connection->finished); /* every call has returned */
  connection->finished = NULL;
  keep_input(connection);
  transport_read(connection->transport, wants_input(connection));
  if (connection->phase == PHASE_HTTP2) {
    follow_http2(connection);
    return;
  }
  enum timer_kind kind = wanted_timer(connection);
  if (kind != connection->timer_kind) start_timer(connection, kind);
}

static void connection_run(struct http_connection *connection) {
  if (connection->running || connection->phase == PHASE_CLOSED) return;
  connection->running = true;
  while (connection->phase != PHASE_CLOSED && step(connection)) {
  }
  connection->running = false;
  if (connection->phase == PHASE_CLOSED) return;
  settle(connection);
  if (connection->server->draining) server_look(connection->server);
}

static void run_soon(void *context) { connection_run(context); }

enum status connection_new(struct http_server *server, int fd, const struct http_peer *peer,
                           bool refused, struct error *error) {
  struct http_connection *connection = calloc(1, sizeof *connection);
  if (connection == NULL) {
    close(fd);
    return error_set(error, STATUS_NOMEM, "no memory for a connection");
  }
  const struct transport_owner owner = {.context = connection,
                                        .room = on_room,
                                        .came = on_came,
                                        .turned = on_turned,
                                        .ended = on_ended,
                                        .lost = on_lost,
                                        .sent = on_sent,
                                        .closed = on_transport_closed};
  enum status status =
      transport_new(server->loop, fd, server->tls, &owner, &connection->transport, error);
  if (status != STATUS_OK) {
    free(connection);
    return status;
  }
  connection->limits = server->options;
  struct http_parser_limits limits = {server->options.header_bytes_max,
                                      server->options.header_count_max};
  http_parser_init(&connection->parser, &limits);
  connection->server = server;
  connection->peer = *peer;
  connection->peer.secure = server->tls != NULL;
  connection->soon = (struct loop_soon){.run = run_soon, .context = connection};
  connection->open_handles = 2;
  server->open_handles++; /* it outlives http_server_free until its handles are closed */
  connection->timer.data = connection;
  uv_timer_init(loop_uv(server->loop), &connection->timer);
  connection->next = server->first;
  if (server->first != NULL) server->first->previous = connection;
  server->first = connection;
  server->stats.connections_open++;
  server->stats.connections_accepted++;
  if (refused) {
    const struct http_server_options *options = &server->options;
    bool all = server->stats.connections_open > options->connections_max; /* or one address's */
    struct error full;
    error_set(&full, STATUS_UNAVAILABLE,
              all ? "the server has as many connections as it may have (%lld): try again later"
                  : "this address has as many connections as one may have (%lld): close some",
              (long long)(all ? options->connections_max : options->connections_per_address_max));
    connection->phase = PHASE_HEAD;
    http1_refuse(connection, 503, &full);
  }
  connection_run(connection);
  return STATUS_OK;
}
