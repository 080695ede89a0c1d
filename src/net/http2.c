/* An HTTP/2 connection: nghttp2 between the bytes and the streams.
 *
 *   http2_feed: bytes --> http2_limits_look --> nghttp2 --> http2_stream.c --> handlers
 *   http2_run:  streams' steps <--> nghttp2 --> http2_answer.c --> owner.send
 *
 *        SETTINGS, window              drain: GOAWAY(2^31-1), PING
 *   new ----------------> serving ---------------------------------> leaving
 *                            |                      its answer, or 1 s |  GOAWAY(last stream)
 *                            | broken rules, floods, time-outs         v
 *                            +--> broken (GOAWAY sent, failure)     drained --> over, when the
 *                                                                               last stream is
 * Invariants:
 * 1. Frames are written to the owner whole and in nghttp2's order: `out` collects the small ones
 *    and is flushed before anything else is sent, and before http2_feed and http2_run return.
 * 2. Once `broken` nothing is read, and nothing sent; http2_gone is what is left to do.
 * 3. Nothing here waits: output stops (NGHTTP2_ERR_WOULDBLOCK) while the owner has more than
 *    write_bytes_high unsent, and goes on with the http2_run that follows.
 *
 * Priorities: nghttp2 serves streams in turn, by bytes and by the weights of RFC 7540. */
#include "net/http2_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  RUN_ROUNDS_MAX = 16, /* others want to be served too */
  GOAWAY_BYTES = 17,
  SETTINGS_COUNT = 5,
  MAX_SETTINGS = 32, /* in one frame */
  NO_CODE = -1,
};

/* Not in every libnghttp2 1.52 (where it is missing there is no such limit to be set): our own
 * limit on resets is the one that was configured, and must be the one that holds. */
__attribute__((weak)) void
nghttp2_option_set_stream_reset_rate_limit(nghttp2_option *option, uint64_t burst, uint64_t rate);

/* ---- sending ------------------------------------------------------------------------------------ */

bool http2_is_blocked(const struct http2 *http2) {
  int64_t unsent = (int64_t)http2->owner.unsent_bytes(http2->owner.context);
  return unsent + (int64_t)http2->out.size_bytes > http2->options.write_bytes_high;
}

void http2_flush(struct http2 *http2, struct buffer *data) {
  struct text *out = &http2->out;
  if (out->size_bytes == 0 && data == NULL) return;
  http2->given_bytes += (int64_t)out->size_bytes + (data == NULL ? 0 : data->size_bytes);
  http2->owner.send(http2->owner.context, text_get(out), out->size_bytes, data);
  text_clear(out);
}

void http2_soon(struct http2 *http2) {
  http2->changed = true;
  if (!http2->running) http2->owner.soon(http2->owner.context);
}

static ssize_t on_send(nghttp2_session *session, const uint8_t *data, size_t bytes, int flags,
                       void *context) {
  struct http2 *http2 = context;
  (void)session;
  (void)flags;
  if (http2_is_blocked(http2)) return NGHTTP2_ERR_WOULDBLOCK;
  if (text_add_bytes(&http2->out, data, bytes, NULL) != STATUS_OK)
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  if (http2->out.size_bytes >= HTTP2_COLLECT_BYTES) http2_flush(http2, NULL);
  return (ssize_t)bytes;
}

/* RST_STREAM that the client's frames have provoked is as good to a flood as one of its own. */
static void count_provoked(struct http2 *http2, uint32_t code) {
  if (code == NGHTTP2_NO_ERROR || code == NGHTTP2_INTERNAL_ERROR || code == NGHTTP2_CANCEL) return;
  int64_t now_ms = http2->owner.now_ms(http2->owner.context);
  struct error error;
  if (http2->fatal == STATUS_OK &&
      http2_limits_reset(&http2->limits, now_ms, &error) != STATUS_OK) {
    http2->fatal = error.status;
    http2->why = error;
  }
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  struct http2 *http2 = context;
  struct http2_stream *stream;
  switch (frame->hd.type) {
  case NGHTTP2_HEADERS:
  case NGHTTP2_DATA:
    stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (stream == NULL || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) break;
    stream->answer_sent = true;
    http2->changed = true;
    break;
  case NGHTTP2_RST_STREAM: count_provoked(http2, frame->rst_stream.error_code); break;
  case NGHTTP2_GOAWAY:
    if (frame->goaway.error_code != NGHTTP2_NO_ERROR) {
      http2->goaway_code = frame->goaway.error_code;
      (void)snprintf(http2->goaway_reason, sizeof http2->goaway_reason, "%.*s",
                     (int)frame->goaway.opaque_data_len, (const char *)frame->goaway.opaque_data);
    }
    break;
  default: break;
  }
  return 0;
}

static void put_u32(uint8_t *at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* Written here: nghttp2 sends nothing any more after a callback has failed. It sends whole
 * frames, so that this one cannot come into the middle of another. */
enum status http2_break(struct http2 *http2, uint32_t code, const struct error *why) {
  if (http2->broken) return why->status;
  uint8_t frame[GOAWAY_BYTES] = {0, 0, GOAWAY_BYTES - HTTP2_FRAME_HEAD_BYTES, NGHTTP2_GOAWAY};
  put_u32(frame + HTTP2_FRAME_HEAD_BYTES,
          (uint32_t)nghttp2_session_get_last_proc_stream_id(http2->session));
  put_u32(frame + HTTP2_FRAME_HEAD_BYTES + 4, code);
  http2_flush(http2, NULL);
  http2->owner.send(http2->owner.context, frame, sizeof frame, NULL);
  http2->given_bytes += GOAWAY_BYTES;
  http2->broken = true;
  if (&http2->why != why) http2->why = *why;
  return why->status;
}

static enum status broken(const struct http2 *http2, struct error *error) {
  enum status status = http2->why.status == STATUS_OK ? STATUS_CANCELLED : http2->why.status;
  return error_set(error, status, "%s", http2->why.text);
}

/* A flood, or no memory: found by us. */
static enum status stop(struct http2 *http2, struct error *error) {
  bool flood = http2->why.status != STATUS_NOMEM;
  if (flood) http2->stats->refused_floods++;
  (void)http2_break(http2, flood ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_INTERNAL_ERROR, &http2->why);
  return broken(http2, error);
}

/* Sends what nghttp2 has; finds out whether it has ended the connection. */
static enum status send_frames(struct http2 *http2, struct error *error) {
  if (http2->broken) return broken(http2, error);
  int failed = nghttp2_session_send(http2->session);
  http2_flush(http2, NULL);
  if (http2->fatal != STATUS_OK) return stop(http2, error);
  if (failed != 0) {
    struct error why;
    error_set(&why, STATUS_NOMEM, "an HTTP/2 connection could not go on: %s",
              nghttp2_strerror(failed));
    (void)http2_break(http2, NGHTTP2_INTERNAL_ERROR, &why);
    return broken(http2, error);
  }
  if (http2->goaway_code == NO_CODE) return STATUS_OK;
  http2->broken = true;
  bool flood = http2->goaway_code == NGHTTP2_ENHANCE_YOUR_CALM;
  if (flood)
    http2->stats->refused_floods++;
  else
    http2->stats->refused_broken++;
  error_set(&http2->why, STATUS_INVALID, "the client broke HTTP/2's rules: %s%s%s",
            nghttp2_http2_strerror((uint32_t)http2->goaway_code),
            http2->goaway_reason[0] == '\0' ? "" : ": ", http2->goaway_reason);
  return broken(http2, error);
}

/* ---- receiving ------------------------------------------------------------------------------------ */

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  struct http2 *http2 = context;
  (void)session;
  switch (frame->hd.type) {
  case NGHTTP2_HEADERS:
  case NGHTTP2_DATA: return http2_stream_frame(http2, frame);
  case NGHTTP2_SETTINGS:
    if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) http2->settings_acked = true;
    break;
  case NGHTTP2_PING: /* the answer to http2_drain's */
    if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 && http2->draining) http2_leave(http2);
    break;
  default: break;
  }
  return 0;
}

/* A field that may not be there makes the request malformed; nghttp2 would just leave it out. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             const uint8_t *name, size_t name_bytes, const uint8_t *value,
                             size_t value_bytes, uint8_t flags, void *context) {
  (void)session;
  (void)frame;
  (void)name;
  (void)name_bytes;
  (void)value;
  (void)value_bytes;
  (void)flags;
  (void)context;
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* nghttp2 could not go on with what came. */
static enum status refuse_input(struct http2 *http2, int failed, struct error *error) {
  if (http2->broken) return broken(http2, error); /* by a handler: http2_gone */
  struct error why;
  uint32_t code = NGHTTP2_PROTOCOL_ERROR;
  if (http2->fatal != STATUS_OK) return stop(http2, error);
  if (failed == NGHTTP2_ERR_FLOODED) {
    code = NGHTTP2_ENHANCE_YOUR_CALM;
    http2->stats->refused_floods++;
  } else if (failed == NGHTTP2_ERR_NOMEM) {
    code = NGHTTP2_INTERNAL_ERROR;
  } else {
    http2->stats->refused_broken++;
  }
  error_set(&why, failed == NGHTTP2_ERR_NOMEM ? STATUS_NOMEM : STATUS_INVALID,
            "the client does not speak HTTP/2: %s", nghttp2_strerror(failed));
  (void)http2_break(http2, code, &why);
  return broken(http2, error);
}

enum status http2_feed(struct http2 *http2, const uint8_t *data, size_t bytes,
                       struct error *error) {
  if (http2->broken) return broken(http2, error);
  int64_t now_ms = http2->owner.now_ms(http2->owner.context);
  http2->running = true;
  enum status status = http2_limits_look(&http2->limits, data, bytes, now_ms, &http2->why);
  if (status == STATUS_INVALID) {
    http2->stats->refused_broken++;
    (void)http2_break(http2, NGHTTP2_PROTOCOL_ERROR, &http2->why);
    status = broken(http2, error);
  } else if (status != STATUS_OK) {
    status = stop(http2, error);
  } else {
    ssize_t used = nghttp2_session_mem_recv(http2->session, data, bytes);
    if (used < 0)
      status = refuse_input(http2, (int)used, error);
    else
      status = send_frames(http2, error);
  }
  http2_waits(http2, now_ms);
  http2->running = false;
  return status;
}

/* ---- running ------------------------------------------------------------------------------------ */

static void step_streams(struct http2 *http2) {
  struct http2_stream *next;
  for (struct http2_stream *stream = http2->first; stream != NULL; stream = next) {
    next = stream->next; /* a step may free its own stream, and no other */
    http2_stream_step(stream);
    if (http2->broken) break; /* by a handler: http2_gone */
  }
}

enum status http2_run(struct http2 *http2, struct error *error) {
  if (http2->broken) return broken(http2, error);
  enum status status = STATUS_OK;
  http2->running = true;
  http2->changed = true;
  for (int i = 0; http2->changed && status == STATUS_OK && i < RUN_ROUNDS_MAX; i++) {
    http2->changed = false;
    step_streams(http2);
    status = send_frames(http2, error);
  }
  http2_waits(http2, http2->owner.now_ms(http2->owner.context));
  http2->running = false;
  if (http2->changed && status == STATUS_OK) http2->owner.soon(http2->owner.context);
  return status;
}

bool http2_wants_input(const struct http2 *http2) {
  if (http2->broken) return false;
  size_t waiting = nghttp2_session_get_outbound_queue_size(http2->session);
  return waiting < HTTP2_QUEUE_FRAMES || !http2_is_blocked(http2);
}

int64_t http2_exchange_count(const struct http2 *http2) { return http2->exchange_count; }

bool http2_over(const struct http2 *http2) {
  if (http2->broken) return true;
  if (http2->first != NULL) return false;
  if (http2->draining && !http2->drained) return false;
  return nghttp2_session_want_read(http2->session) == 0 &&
         nghttp2_session_want_write(http2->session) == 0;
}

/* ---- leaving ------------------------------------------------------------------------------------ */

void http2_leave(struct http2 *http2) {
  if (http2->drained || http2->broken) return;
  http2->drained = true;
  (void)nghttp2_submit_goaway(http2->session, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(http2->session),
                              NGHTTP2_NO_ERROR, NULL, 0);
  http2_soon(http2);
}

/* RFC 9113, section 6.8: requests may be on their way while we say that we go. */
void http2_drain(struct http2 *http2) {
  if (http2->draining || http2->broken) return;
  http2->draining = true;
  http2->drain_wait.deadline_ms = http2->owner.now_ms(http2->owner.context) + HTTP2_DRAIN_MS;
  if (nghttp2_submit_shutdown_notice(http2->session) != 0 ||
      nghttp2_submit_ping(http2->session, NGHTTP2_FLAG_NONE, NULL) != 0)
    http2_leave(http2);
  http2_soon(http2);
}

void http2_gone(struct http2 *http2, const struct error *why) {
  http2->broken = true;
  http2->why = *why;
  for (struct http2_stream *stream = http2->first; stream != NULL; stream = stream->next)
    http2_stream_abandon(stream, why);
}

/* ---- beginning and end ------------------------------------------------------------------------------ */

static void set_callbacks(nghttp2_session_callbacks *callbacks) {
  nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, http2_on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, http2_on_header);
  nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, http2_on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, http2_on_stream_close);
  nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, http2_on_read_length);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, http2_on_send_data);
}

static void set_options(nghttp2_option *option, const struct http_server_options *limits) {
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_max_settings(option, MAX_SETTINGS);
  if (nghttp2_option_set_stream_reset_rate_limit != NULL)
    nghttp2_option_set_stream_reset_rate_limit(option, (uint64_t)limits->resets_per_s * 2,
                                               (uint64_t)limits->resets_per_s);
}

static uint32_t to_u32(int64_t value, uint32_t max) {
  return value > (int64_t)max ? max : (uint32_t)value;
}

static int greet(struct http2 *http2) {
  const struct http_server_options *limits = &http2->options;
  const nghttp2_settings_entry settings[SETTINGS_COUNT] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, to_u32(limits->streams_max, INT32_MAX)},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_WINDOW_BYTES},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, HTTP2_FRAME_BYTES_MAX},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, to_u32(limits->header_bytes_max, INT32_MAX)},
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
  };
  int failed = nghttp2_submit_settings(http2->session, NGHTTP2_FLAG_NONE, settings, SETTINGS_COUNT);
  int32_t window = (int32_t)to_u32(limits->window_bytes_max, INT32_MAX);
  if (failed == 0)
    failed = nghttp2_session_set_local_window_size(http2->session, NGHTTP2_FLAG_NONE, 0, window);
  return failed;
}

static int session_new(struct http2 *http2) {
  nghttp2_session_callbacks *callbacks = NULL;
  nghttp2_option *option = NULL;
  int failed = nghttp2_session_callbacks_new(&callbacks);
  if (failed == 0) failed = nghttp2_option_new(&option);
  if (failed == 0) {
    set_callbacks(callbacks);
    set_options(option, &http2->options);
    failed = nghttp2_session_server_new2(&http2->session, callbacks, http2, option);
  }
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_option_del(option);
  if (failed == 0) failed = greet(http2);
  return failed;
}

enum status http2_new(const struct http_server_options *options, const struct http2_owner *owner,
                      const struct http_service *service, const struct http_peer *peer,
                      struct budget *budget, struct http_server_stats *stats, struct http2 **http2,
                      struct error *error) {
  *http2 = NULL;
  struct http2 *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for an HTTP/2 connection");
  made->options = *options;
  made->owner = *owner;
  made->service = service;
  made->peer = peer;
  made->budget = budget;
  made->stats = stats;
  made->goaway_code = NO_CODE;
  int64_t now_ms = owner->now_ms(owner->context);
  http2_limits_init(&made->limits, options, now_ms);
  if (session_new(made) != 0) {
    nghttp2_session_del(made->session);
    free(made);
    return error_set(error, STATUS_NOMEM, "no memory for an HTTP/2 connection");
  }
  http2_waits(made, now_ms);
  stats->http2_connections_open++;
  *http2 = made;
  http2_soon(made);
  return STATUS_OK;
}

void http2_free(struct http2 *http2) {
  if (http2 == NULL) return;
  while (http2->first != NULL) http2_stream_free(http2->first);
  http2->stats->http2_connections_open--;
  nghttp2_session_del(http2->session);
  text_release(&http2->out);
  free(http2);
}
