/* One request: its head, its body on the way to the handler, its end.
 *
 *   HEADERS --> fields --> begin_request --> exchange_ask
 *   DATA    --> take_data: the handler takes it at once; or it is held (paused); or dropped
 *   END_STREAM, and nothing held --> exchange_body_end
 *
 * Flow control. What the handler takes is given back to the client's windows at once, what is
 * held is not: a paused handler stops its sender after one window. Before a request with a body
 * is asked, its window is charged to the budget, and a window is only raised together with that
 * charge: so what a client may send can always be held, and a budget that is used up refuses
 * requests before their first byte instead of breaking them off in the middle.
 *
 * Invariants:
 * 1. held_bytes <= reserved_bytes, where there is a budget.
 * 2. Each byte that came is consumed exactly once on the connection's window: when it is taken,
 *    or dropped, or when its stream has closed.
 * 3. Handlers are called inside nghttp2's callbacks for what is received, where submitting is
 *    allowed and sending is not. A stream is freed by http2_stream_step, which only http2_run
 *    calls, or at the connection's end. A handler may end the connection (http2_gone): its
 *    exchange is finished then, and its stream still there when the handler returns. */
#include "net/http2_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct http2_stream *find_stream(struct http2 *http2, int32_t id) {
  return nghttp2_session_get_stream_user_data(http2->session, id);
}

/* What a callback of nghttp2 returns to end the connection: see http2_feed. */
static int nomem(struct http2 *http2) {
  http2->fatal = error_set(&http2->why, STATUS_NOMEM, "no memory for an HTTP/2 connection");
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static struct http2_stream *stream_new(struct http2 *http2, int32_t id) {
  struct http2_stream *stream = calloc(1, sizeof *stream);
  if (stream == NULL) return NULL;
  stream->http2 = http2;
  stream->id = id;
  stream->window_bytes = HTTP2_WINDOW_BYTES;
  stream->next = http2->first;
  if (http2->first != NULL) http2->first->previous = stream;
  http2->first = stream;
  http2->stream_count++;
  return stream;
}

static void give_reserved_back(struct http2_stream *stream) {
  struct http2 *http2 = stream->http2;
  if (stream->reserved_bytes > 0 && http2->budget != NULL)
    budget_give(http2->budget, stream->reserved_bytes);
  stream->reserved_bytes = 0;
  http2->raised_bytes -= stream->window_bytes - HTTP2_WINDOW_BYTES;
  stream->window_bytes = HTTP2_WINDOW_BYTES;
}

/* Forgets bytes that were held; the connection's window gets them back. */
static void drop_held(struct http2_stream *stream) {
  while (stream->first_held != NULL) {
    struct http2_held *held = stream->first_held;
    stream->first_held = held->next;
    free(held);
  }
  stream->last_held = NULL;
  if (stream->held_bytes > 0)
    (void)nghttp2_session_consume_connection(stream->http2->session, (size_t)stream->held_bytes);
  stream->withheld_bytes += stream->held_bytes;
  stream->dropped_bytes += stream->held_bytes;
  stream->held_bytes = 0;
}

void http2_stream_free(struct http2_stream *stream) {
  struct http2 *http2 = stream->http2;
  assert(!stream->begun || stream->finished);
  if (!stream->closed) nghttp2_session_set_stream_user_data(http2->session, stream->id, NULL);
  drop_held(stream);
  http2_drop_pieces(stream);
  http2_block_release(&stream->trailers);
  give_reserved_back(stream);
  http2_fields_release(&stream->fields);
  if (stream->previous != NULL)
    stream->previous->next = stream->next;
  else
    http2->first = stream->next;
  if (stream->next != NULL) stream->next->previous = stream->previous;
  http2->stream_count--;
  free(stream);
}

static void finish(struct http2_stream *stream) {
  if (!stream->begun || stream->finished) return;
  stream->finished = true;
  stream->http2->exchange_count--;
  exchange_finish(&stream->exchange);
}

void http2_stream_abandon(struct http2_stream *stream, const struct error *why) {
  struct http_exchange *exchange = &stream->exchange;
  if (stream->begun && !stream->finished && !exchange->over) {
    exchange->why = *why;
    exchange_tell_gone(exchange);
  }
  finish(stream);
  http2_drop_pieces(stream);
  give_reserved_back(stream);
}

/* ---- heads --------------------------------------------------------------------------------------- */

int http2_on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  struct http2 *http2 = context;
  if (frame->hd.type != NGHTTP2_HEADERS) return 0;
  if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
    struct http2_stream *known = find_stream(http2, frame->hd.stream_id);
    if (known != NULL) known->fields.bytes = 0; /* of the trailer */
    return 0;
  }
  struct http2_stream *stream = stream_new(http2, frame->hd.stream_id);
  if (stream == NULL) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets it */
  nghttp2_session_set_stream_user_data(session, stream->id, stream);
  return 0;
}

/* One byte of HPACK can mean thousands: there is an end to what is decoded. */
static int bomb(struct http2 *http2) {
  http2->fatal =
      error_set(&http2->why, STATUS_TOO_LARGE, "a request's head of more than %lld bytes, decoded",
                (long long)http2->options.header_bytes_max * HTTP2_BOMB_FACTOR);
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

int http2_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                    size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
                    void *context) {
  struct http2 *http2 = context;
  struct http2_stream *stream = find_stream(http2, frame->hd.stream_id);
  (void)session;
  (void)flags;
  if (stream == NULL) return 0;
  struct http2_fields *fields = &stream->fields;
  if (fields->bytes > http2->options.header_bytes_max * HTTP2_BOMB_FACTOR) return bomb(http2);
  if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) { /* a trailer: nobody asks for it */
    fields->bytes += (int64_t)(name_bytes + value_bytes);
    return 0;
  }
  /* Past the limits nothing is kept, but the block must be read to its end. */
  enum status status = http2_fields_add(fields, &http2->options, name, name_bytes, value,
                                        value_bytes, &stream->exchange.why);
  if (status == STATUS_NOMEM) return nomem(http2);
  if (status != STATUS_OK) stream->refused = status;
  return 0;
}

/* Charges the window to the budget: what the client may send is held if it has to be. */
static enum status reserve(struct http2_stream *stream, struct error *error) {
  struct budget *budget = stream->http2->budget;
  int64_t body_bytes = stream->exchange.head.request.body_bytes;
  int64_t bytes = stream->window_bytes;
  if (body_bytes >= 0 && body_bytes < bytes) bytes = body_bytes;
  if (budget == NULL || bytes == 0) return STATUS_OK;
  enum status status = budget_take(budget, bytes, error);
  if (status == STATUS_OK) stream->reserved_bytes = bytes;
  return status;
}

static void begin_exchange(struct http2_stream *stream, struct http_head *head) {
  struct http2 *http2 = stream->http2;
  struct http_exchange *exchange = &stream->exchange;
  exchange_init(exchange, &HTTP2_PROTOCOL, http2->service, http2->peer, head);
  exchange->stats = http2->stats;
  exchange->body_bytes_max = http2->options.body_bytes_max;
  stream->begun = true;
  http2->exchange_count++;
}

/* Answers a request of which the service never hears. */
static enum status refuse_head(struct http2_stream *stream, int code, struct error *why) {
  struct http_head head = HTTP_HEAD_EMPTY;
  enum status status = http2_fields_stub(&stream->fields, &head, why);
  if (status != STATUS_OK) {
    http_head_release(&head);
    return status;
  }
  if (code == 431)
    stream->http2->stats->refused_limits++;
  else
    stream->http2->stats->refused_broken++;
  begin_exchange(stream, &head);
  exchange_refuse(&stream->exchange, code, why);
  return STATUS_OK;
}

/* The head is whole. STATUS_NOMEM alone fails. */
static enum status begin_request(struct http2_stream *stream, bool has_body) {
  struct http_head head = HTTP_HEAD_EMPTY;
  struct error error = stream->exchange.why;
  int code = 431;
  enum status status = stream->refused;
  if (status == STATUS_OK)
    status = http2_fields_finish(&stream->fields, has_body, &head, &code, &error);
  if (status != STATUS_OK) {
    http_head_release(&head);
    status = refuse_head(stream, code, &error);
    http2_fields_release(&stream->fields);
    return status;
  }
  http2_fields_release(&stream->fields);
  begin_exchange(stream, &head);
  stream->continued = !stream->exchange.head.expects_continue;
  status = reserve(stream, &error);
  if (status == STATUS_OK) {
    exchange_ask(&stream->exchange);
  } else {
    exchange_refuse(&stream->exchange, status_http(status), &error);
  }
  return STATUS_OK;
}

/* ---- bodies ----------------------------------------------------------------------------------- */

static void consume(struct http2_stream *stream, size_t bytes) {
  if (bytes > 0) (void)nghttp2_session_consume(stream->http2->session, stream->id, bytes);
}

/* Nobody wants them. The connection's window is for others too; the stream's own is opened only
 * while the sender is to come to an end. */
static void drop(struct http2_stream *stream, size_t bytes) {
  nghttp2_session *session = stream->http2->session;
  stream->dropped_bytes += (int64_t)bytes;
  stream->withheld_bytes += (int64_t)bytes;
  (void)nghttp2_session_consume_connection(session, bytes);
}

/* A body that is read to be dropped: its sender may go on. */
static void open_dropped(struct http2_stream *stream) {
  bool wanted = stream->exchange.body == BODY_DROPPED || stream->exchange.answer == ANSWER_ENDED;
  if (stream->cut) wanted = false; /* it is told to stop instead */
  if (!wanted || stream->withheld_bytes == 0 || stream->closed) return;
  (void)nghttp2_session_consume_stream(stream->http2->session, stream->id,
                                       (size_t)stream->withheld_bytes);
  stream->withheld_bytes = 0;
}

/* Doubles the window of a stream whose handler keeps up, as far as half of the connection's is
 * left to others and the budget is not near its end. */
static void raise_window(struct http2_stream *stream) {
  struct http2 *http2 = stream->http2;
  if (stream->flowed_bytes < stream->window_bytes || stream->ended || stream->closed) return;
  stream->flowed_bytes = 0;
  int64_t more = stream->window_bytes;
  int64_t room = (http2->options.window_bytes_max - http2->raised_bytes) / 2;
  if (more > room) more = room;
  if (more > HTTP2_WINDOW_BYTES_MAX - stream->window_bytes)
    more = HTTP2_WINDOW_BYTES_MAX - stream->window_bytes;
  if (more < HTTP2_WINDOW_BYTES / 2) return;
  struct budget *budget = http2->budget;
  if (budget != NULL) {
    int64_t used = atomic_load(&budget->used_bytes);
    if (used >= budget->limit_bytes / 4 * 3) return;
    if (budget_take(budget, more, NULL) != STATUS_OK) return;
    stream->reserved_bytes += more;
  }
  int32_t window = (int32_t)(stream->window_bytes + more);
  stream->window_bytes += more;
  http2->raised_bytes += more;
  if (nghttp2_session_set_local_window_size(http2->session, NGHTTP2_FLAG_NONE, stream->id,
                                            window) != 0)
    stream->flowed_bytes = INT64_MIN / 2; /* no memory: the window stays as it is */
}

static void taken(struct http2_stream *stream, size_t bytes) {
  consume(stream, bytes);
  http2_limits_moved(&stream->http2->limits, (int64_t)bytes);
  stream->flowed_bytes += (int64_t)bytes;
  if (stream->exchange.paused) stream->flowed_bytes = 0;
  raise_window(stream);
}

static enum status hold(struct http2_stream *stream, const uint8_t *data, size_t bytes) {
  while (bytes > 0) {
    struct http2_held *last = stream->last_held;
    if (last == NULL || last->to == sizeof last->bytes) {
      last = malloc(sizeof *last);
      if (last == NULL) return STATUS_NOMEM;
      last->next = NULL;
      last->from = last->to = 0;
      if (stream->last_held != NULL)
        stream->last_held->next = last;
      else
        stream->first_held = last;
      stream->last_held = last;
    }
    size_t piece = sizeof last->bytes - last->to;
    if (piece > bytes) piece = bytes;
    memcpy(last->bytes + last->to, data, piece);
    last->to += piece;
    stream->held_bytes += (int64_t)piece;
    data += piece;
    bytes -= piece;
  }
  return STATUS_OK;
}

static bool is_dropping(const struct http2_stream *stream) {
  enum body_state body = stream->exchange.body;
  return stream->finished || (body != BODY_TAKEN && body != BODY_NEW);
}

/* The handler takes what was held before. */
static void give_held(struct http2_stream *stream) {
  struct http_exchange *exchange = &stream->exchange;
  while (stream->first_held != NULL && exchange->body == BODY_TAKEN && !exchange->paused) {
    struct http2_held *held = stream->first_held;
    size_t used = exchange_body_give(exchange, held->bytes + held->from, held->to - held->from);
    held->from += used;
    stream->held_bytes -= (int64_t)used;
    taken(stream, used);
    if (held->from < held->to) break;
    stream->first_held = held->next;
    if (held->next == NULL) stream->last_held = NULL;
    free(held);
  }
  if (stream->first_held != NULL && is_dropping(stream)) drop_held(stream);
}

int http2_on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                  size_t bytes, void *context) {
  struct http2 *http2 = context;
  struct http2_stream *stream = find_stream(http2, id);
  (void)flags;
  if (stream == NULL || !stream->begun) {
    (void)nghttp2_session_consume(session, id, bytes);
    return 0;
  }
  struct http_exchange *exchange = &stream->exchange;
  stream->came_bytes += (int64_t)bytes;
  stream->continued = true; /* it has begun without waiting */
  size_t used = 0;
  if (!is_dropping(stream) && stream->first_held == NULL && exchange->body == BODY_TAKEN &&
      !exchange->paused) {
    used = exchange_body_give(exchange, data, bytes);
    if (http2->broken) return NGHTTP2_ERR_CALLBACK_FAILURE;
    taken(stream, used);
  }
  size_t left = bytes - used;
  if (left == 0) return 0;
  if (is_dropping(stream)) {
    drop(stream, left);
    open_dropped(stream);
  } else if (hold(stream, data + used, left) != STATUS_OK) {
    return nomem(http2);
  }
  return 0;
}

/* All has come. */
static void step_end(struct http2_stream *stream) {
  struct http_exchange *exchange = &stream->exchange;
  if (!stream->ended || stream->first_held != NULL || stream->finished) return;
  if (exchange->body == BODY_TAKEN && !exchange->paused) {
    if (exchange_body_end(exchange)) give_reserved_back(stream);
  } else if (exchange->body == BODY_DROPPED) {
    exchange->body = BODY_DONE;
  }
}

int http2_stream_frame(struct http2 *http2, const nghttp2_frame *frame) {
  struct http2_stream *stream = find_stream(http2, frame->hd.stream_id);
  if (stream == NULL) return 0;
  bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
    stream->ended = ends;
    if (begin_request(stream, !ends) != STATUS_OK) return nomem(http2);
  } else if (ends) {
    stream->ended = true;
  }
  if (ends) step_end(stream);
  http2->changed = true;
  return http2->broken ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

bool http2_stream_awaits_body(const struct http2_stream *stream) {
  const struct http_exchange *exchange = &stream->exchange;
  if (!stream->begun || stream->finished || stream->ended || stream->closed) return false;
  if (exchange->answer == ANSWER_ENDED || exchange->answer == ANSWER_ABORTED) return false;
  if (exchange->unbounded) return false;
  if (exchange->body == BODY_TAKEN) return !exchange->paused;
  /* A client that was not told to continue rightly sends nothing. */
  return exchange->body == BODY_DROPPED && stream->continued;
}

/* ---- what can be done for a stream -------------------------------------------------------------- */

int http2_on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *context) {
  struct http2 *http2 = context;
  struct http2_stream *stream = find_stream(http2, id);
  (void)session;
  if (stream == NULL) return 0;
  stream->closed = true;
  stream->close_code = code;
  http2->changed = true;
  return 0;
}

/* nghttp2 knows it no more: it is whole, or the client has reset it, or broke its rules. */
static void step_closed(struct http2_stream *stream) {
  struct http_exchange *exchange = &stream->exchange;
  if (stream->begun && !stream->finished && !stream->answer_sent && !exchange->over) {
    char why[128];
    (void)snprintf(why, sizeof why, "the client is gone: its request was reset (%s)",
                   nghttp2_http2_strerror(stream->close_code));
    exchange_lost(exchange, STATUS_CANCELLED, why);
    exchange_tell_gone(exchange);
  }
  finish(stream);
  http2_stream_free(stream);
}

/* The answer is out. RFC 9113, section 8.1: the rest of the request may be cut off then. */
static void step_answered(struct http2_stream *stream) {
  struct http_exchange *exchange = &stream->exchange;
  if (!stream->finished) {
    int64_t body_bytes = exchange->head.request.body_bytes;
    bool late = exchange->why.status == STATUS_TIMEOUT;
    bool long_rest = body_bytes - stream->came_bytes > HTTP_DROP_BYTES_MAX;
    drop_held(stream);
    give_reserved_back(stream);
    finish(stream);
    stream->cut = late || long_rest || stream->cut;
  }
  if (stream->ended || stream->resetting) return; /* closed by and by */
  open_dropped(stream);
  if (stream->cut || stream->dropped_bytes > HTTP_DROP_BYTES_MAX)
    http2_stream_reset(stream, NGHTTP2_NO_ERROR);
}

void http2_stream_step(struct http2_stream *stream) {
  struct http_exchange *exchange = &stream->exchange;
  if (stream->closed) {
    step_closed(stream);
    return;
  }
  if (!stream->begun) return;
  if (stream->answer_sent) {
    step_answered(stream);
    return;
  }
  if (stream->finished) return;
  give_held(stream);
  open_dropped(stream);
  step_end(stream);
  if (exchange->body == BODY_DROPPED && exchange->answer == ANSWER_NONE &&
      stream->dropped_bytes > HTTP_DROP_BYTES_MAX)
    exchange->body = BODY_STOPPED; /* until it is answered */
  if (exchange->blocked && stream->queued_bytes <= stream->http2->options.write_bytes_high / 2 &&
      exchange_tell_writable(exchange))
    stream->http2->changed = true;
}
