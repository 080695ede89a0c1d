/* One HTTP/2 connection (RFC 9113) over nghttp2: bytes in, bytes out, no sockets, no clock.
 * Private to net/. The connection that owns it (http_connection.c) has socket, TLS and timer.
 *
 * Each stream is a struct http_exchange. Flow control: a stream's window is opened only by what
 * its handler has taken, so a paused handler stops its sender; what lies between (at most a
 * window a stream, and the connection's window in all) is charged to `budget`. A stream
 * begins with a small window and gets a large one once its handler takes what comes. */
#ifndef ARROWPORT_NET_HTTP2_H
#define ARROWPORT_NET_HTTP2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"
#include "net/net.h"

struct http2;

/* What it asks of its connection. None of these calls back into it. */
struct http2_owner {
  void *context;
  /* Bytes to be sent: `text` is copied, `data` (NULL: none) follows it and is taken over. */
  void (*send)(void *context, const void *text, size_t text_bytes, struct buffer *data);
  /* Bytes given to `send` that are still waiting. */
  size_t (*unsent_bytes)(void *context);
  /* There is something to do: call http2_run when the current callback has returned. */
  void (*soon)(void *context);
  int64_t (*now_ms)(void *context); /* monotonic */
};

/* All pointers must outlive it. `options`: limits, see net.h. */
enum status http2_new(const struct http_server_options *options, const struct http2_owner *owner,
                      const struct http_service *service, const struct http_peer *peer,
                      struct budget *budget, struct http_server_stats *stats, struct http2 **http2,
                      struct error *error) WARN_UNUSED;
/* Every exchange is over (http2_gone), and no call is under way. NULL is allowed. */
void http2_free(struct http2 *http2);

/* [data, data + bytes) came. All of it is used. A failure is the connection's end: what
 * tells the client (GOAWAY) has been given to `send`; http2_gone follows. */
enum status http2_feed(struct http2 *http2, const uint8_t *data, size_t bytes,
                       struct error *error) WARN_UNUSED;
/* Tells handlers and services what there is to tell, and sends what there is to send, as far
 * as unsent_bytes allows. Called after http2_feed, when `soon` was called, and when
 * unsent_bytes has fallen. */
enum status http2_run(struct http2 *http2, struct error *error) WARN_UNUSED;
/* GOAWAY: no new streams; those there are finish. */
void http2_drain(struct http2 *http2);
/* The connection is gone: every exchange is told and finished. Also from inside a handler. */
void http2_gone(struct http2 *http2, const struct error *why);

/* When http2_tick is to be called at the latest (owner's clock); -1: never. */
int64_t http2_deadline_ms(const struct http2 *http2);
/* Time-outs: of streams' heads, bodies and unread answers (the stream ends), of an idle or
 * silent connection (STATUS_TIMEOUT: it is to be closed). */
enum status http2_tick(struct http2 *http2, struct error *error) WARN_UNUSED;

int64_t http2_exchange_count(const struct http2 *http2);
/* Nothing more will be sent or read: close. */
bool http2_over(const struct http2 *http2);
/* False while what has come already must be taken first: do not read the socket. */
bool http2_wants_input(const struct http2 *http2);

#endif
