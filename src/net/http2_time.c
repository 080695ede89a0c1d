/* What may take how long, on a connection and on each of its streams.
 *
 * A wait begins when something is first seen to be waited for, and ends when it is not any more
 * (http2_waits, after each piece of work); http2_tick looks at those whose time has come. */
#include "net/http2_private.h"

/* Starts or stops a wait; `mark`: what has moved so far. */
static void wait_for(struct http2_wait *wait, bool wanted, int64_t now_ms, int64_t after_ms,
                     int64_t mark) {
  if (!wanted) {
    wait->deadline_ms = 0;
  } else if (wait->deadline_ms == 0) {
    wait->deadline_ms = now_ms + after_ms;
    wait->mark = mark;
  }
}

/* Anew, whatever has been waited already. */
static void wait_again(struct http2_wait *wait, int64_t now_ms, int64_t after_ms, int64_t mark) {
  wait->deadline_ms = 0;
  wait_for(wait, true, now_ms, after_ms, mark);
}

static bool is_due(const struct http2_wait *wait, int64_t now_ms) {
  return wait->deadline_ms != 0 && wait->deadline_ms <= now_ms;
}

static int64_t unsent_bytes(const struct http2 *http2) {
  return (int64_t)http2->owner.unsent_bytes(http2->owner.context);
}

/* ---- what is waited for ----------------------------------------------------------------------- */

/* Not where both sides may take their time, and the client has not ended its own yet: one that sends
 * for days may read what it was told at the end. */
static bool awaits_reader(const struct http2_stream *stream) {
  if (stream->exchange.unbounded && !stream->ended && !stream->whole) return false;
  return stream->started && !stream->answer_sent && !stream->resetting && !stream->closed &&
         (stream->queued_bytes > 0 || stream->whole);
}

void http2_stream_waits(struct http2_stream *stream, int64_t now_ms) {
  const struct http_server_options *limits = &stream->http2->options;
  bool dropping = stream->finished && !stream->ended && !stream->closed && !stream->resetting;
  wait_for(&stream->body_wait, http2_stream_awaits_body(stream), now_ms, limits->body_timeout_ms,
           stream->came_bytes);
  wait_for(&stream->write_wait, awaits_reader(stream), now_ms, limits->write_timeout_ms,
           stream->sent_bytes);
  wait_for(&stream->drop_wait, dropping, now_ms, HTTP_DROP_MS_MAX, 0);
}

void http2_waits(struct http2 *http2, int64_t now_ms) {
  const struct http_server_options *limits = &http2->options;
  bool midway = http2_limits_midway(&http2->limits);
  bool unsent = unsent_bytes(http2) > 0;
  for (struct http2_stream *stream = http2->first; stream != NULL; stream = stream->next)
    http2_stream_waits(stream, now_ms);
  if (midway && http2->head_wait.mark != http2->limits.units) http2->head_wait.deadline_ms = 0;
  wait_for(&http2->head_wait, midway, now_ms, limits->header_timeout_ms, http2->limits.units);
  wait_for(&http2->settings_wait, !http2->settings_acked, now_ms, limits->header_timeout_ms, 0);
  wait_for(&http2->idle_wait, http2->first == NULL && !unsent, now_ms, limits->idle_timeout_ms, 0);
  wait_for(&http2->socket_wait, unsent, now_ms, limits->write_timeout_ms,
           http2->given_bytes - unsent_bytes(http2));
  if (http2->drained) http2->drain_wait.deadline_ms = 0;
}

static void sooner(int64_t *deadline_ms, const struct http2_wait *wait) {
  if (wait->deadline_ms == 0) return;
  if (*deadline_ms < 0 || wait->deadline_ms < *deadline_ms) *deadline_ms = wait->deadline_ms;
}

int64_t http2_deadline_ms(const struct http2 *http2) {
  int64_t deadline_ms = -1;
  if (http2->broken) return -1;
  sooner(&deadline_ms, &http2->head_wait);
  sooner(&deadline_ms, &http2->settings_wait);
  sooner(&deadline_ms, &http2->idle_wait);
  sooner(&deadline_ms, &http2->socket_wait);
  sooner(&deadline_ms, &http2->drain_wait);
  for (const struct http2_stream *stream = http2->first; stream != NULL; stream = stream->next) {
    sooner(&deadline_ms, &stream->body_wait);
    sooner(&deadline_ms, &stream->write_wait);
    sooner(&deadline_ms, &stream->drop_wait);
  }
  return deadline_ms;
}

/* ---- when the time has come ---------------------------------------------------------------------- */

static void expire_body(struct http2_stream *stream, int64_t now_ms) {
  struct http2 *http2 = stream->http2;
  const struct http_server_options *limits = &http2->options;
  struct http2_wait *wait = &stream->body_wait;
  /* Others' bodies fill the connection's window: this client can send nothing. */
  bool stuck = nghttp2_session_get_local_window_size(http2->session) <= 0;
  if (stuck || stream->came_bytes - wait->mark >= limits->body_bytes_per_timeout) {
    wait_again(wait, now_ms, limits->body_timeout_ms, stream->came_bytes);
    return;
  }
  struct error error;
  error_set(&error, STATUS_TIMEOUT,
            "of the request's body only %lld bytes came in %lld ms (http.body_timeout)",
            (long long)(stream->came_bytes - wait->mark), (long long)limits->body_timeout_ms);
  http2->stats->refused_slow++;
  exchange_refuse(&stream->exchange, 408, &error);
  http2_soon(http2);
}

static void expire_write(struct http2_stream *stream, int64_t now_ms) {
  struct http2 *http2 = stream->http2;
  struct http_exchange *exchange = &stream->exchange;
  struct http2_wait *wait = &stream->write_wait;
  /* Moved, or the socket is what does not move: the connection's own wait sees to that. */
  bool window = nghttp2_session_get_stream_remote_window_size(http2->session, stream->id) > 0 &&
                nghttp2_session_get_remote_window_size(http2->session) > 0;
  if (stream->sent_bytes != wait->mark || window) {
    wait_again(wait, now_ms, http2->options.write_timeout_ms, stream->sent_bytes);
    return;
  }
  http2->stats->refused_slow++;
  if (!exchange->over) {
    exchange_lost(exchange, STATUS_TIMEOUT, "the client did not read its answer in time");
    exchange_tell_gone(exchange);
  }
  http2_stream_reset(stream, NGHTTP2_CANCEL);
}

static void expire_stream(struct http2_stream *stream, int64_t now_ms) {
  if (is_due(&stream->body_wait, now_ms)) expire_body(stream, now_ms);
  if (is_due(&stream->write_wait, now_ms)) expire_write(stream, now_ms);
  if (is_due(&stream->drop_wait, now_ms)) http2_stream_reset(stream, NGHTTP2_NO_ERROR);
}

static enum status end(struct http2 *http2, uint32_t code, const char *why, struct error *error) {
  struct error reason;
  error_set(&reason, STATUS_TIMEOUT, "%s", why);
  (void)http2_break(http2, code, &reason);
  return error_set(error, STATUS_TIMEOUT, "%s", why);
}

static enum status expire_connection(struct http2 *http2, int64_t now_ms, struct error *error) {
  if (is_due(&http2->drain_wait, now_ms)) http2_leave(http2);
  if (is_due(&http2->idle_wait, now_ms))
    return end(http2, NGHTTP2_NO_ERROR, "the connection was idle", error);
  if (is_due(&http2->head_wait, now_ms)) {
    http2->stats->refused_slow++;
    return end(http2, NGHTTP2_ENHANCE_YOUR_CALM,
               "a frame or a request's head was not whole in time", error);
  }
  if (is_due(&http2->settings_wait, now_ms)) {
    http2->stats->refused_slow++;
    return end(http2, NGHTTP2_SETTINGS_TIMEOUT, "the client did not acknowledge our SETTINGS",
               error);
  }
  if (is_due(&http2->socket_wait, now_ms)) {
    int64_t moved_bytes = http2->given_bytes - unsent_bytes(http2);
    if (moved_bytes == http2->socket_wait.mark) {
      http2->stats->refused_slow++;
      return end(http2, NGHTTP2_NO_ERROR, "the client did not read its answers in time", error);
    }
    wait_again(&http2->socket_wait, now_ms, http2->options.write_timeout_ms, moved_bytes);
  }
  return STATUS_OK;
}

enum status http2_tick(struct http2 *http2, struct error *error) {
  if (http2->broken) return error_set(error, http2->why.status, "%s", http2->why.text);
  int64_t now_ms = http2->owner.now_ms(http2->owner.context);
  http2_waits(http2, now_ms);
  for (struct http2_stream *stream = http2->first; stream != NULL; stream = stream->next)
    expire_stream(stream, now_ms);
  enum status status = expire_connection(http2, now_ms, error);
  if (status != STATUS_OK) return status;
  return http2_run(http2, error);
}
