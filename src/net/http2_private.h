/* What the files of the HTTP/2 core share. The picture is in http2.c. */
#ifndef ARROWPORT_NET_HTTP2_PRIVATE_H
#define ARROWPORT_NET_HTTP2_PRIVATE_H

#include <time.h>

#include <nghttp2/nghttp2.h>

#include "base/text.h"
#include "net/http2.h"
#include "net/http2_limits.h"
#include "net/http_exchange.h"

enum {
  /* A stream's window to begin with, and the most that it grows to. */
  HTTP2_WINDOW_BYTES = 256 * 1024,
  HTTP2_WINDOW_BYTES_MAX = 8 * 1024 * 1024,
  /* While several answers are being sent, none has the line for longer than this. */
  HTTP2_FAIR_FRAME_BYTES = 64 * 1024,
  /* Pieces of answers up to here are copied behind their frame's head. */
  HTTP2_COPY_BYTES_MAX = 2 * 1024,
  /* Small frames are collected up to here. */
  HTTP2_COLLECT_BYTES = 16 * 1024,
  /* Held bodies are kept in blocks of: */
  HTTP2_HELD_BYTES = 16 * 1024,
  /* Frames waiting because the client does not read: from here on it is not read either. */
  HTTP2_QUEUE_FRAMES = 100,
  /* How long a client has to see that we are going before requests are refused. */
  HTTP2_DRAIN_MS = 1000,
};

/* The time that something may take; 0: it is not being waited for. */
struct http2_wait {
  int64_t deadline_ms;
  int64_t mark; /* a count at the beginning, to see whether anything has moved */
};

/* A request's fields as they come; released when the request is asked. */
struct http2_fields {
  struct text method, target, authority, cookie;
  struct text pairs; /* name, NUL, value, NUL... */
  int64_t count;     /* of pairs */
  int64_t fields;    /* that came */
  int64_t bytes;     /* of all, decoded */
  bool has_host;
  bool is_grpc;             /* by its content type, kept or not: refusals are gRPC's then */
  const char *host_differs; /* why the request is refused for its host; NULL: it is not */
};

/* Bytes of a body that the handler did not take yet. */
struct http2_held {
  struct http2_held *next;
  size_t from, to;
  uint8_t bytes[HTTP2_HELD_BYTES];
};

/* Bytes of an answer that are not sent. */
struct http2_piece {
  struct http2_piece *next;
  struct buffer data;
  int64_t sent_bytes;
};

/* Fields in an order, with their texts in memory of their own. */
struct http2_block {
  nghttp2_nv *fields; /* NULL: none */
  size_t count;
  struct text text;
};

struct http2_stream {
  struct http_exchange exchange; /* first: protocol functions are given its address */
  struct http2 *http2;
  struct http2_stream *next, *previous;
  int32_t id;
  bool begun;          /* exchange_init was called */
  bool finished;       /* exchange_finish was called; the rest of the body is being dropped */
  bool closed;         /* nghttp2 knows it no more */
  bool ended;          /* all of the request has come */
  bool continued;      /* 100 was sent, or there is no need to */
  bool resetting;      /* RST_STREAM is queued */
  bool cut;            /* the rest of the body is not waited for */
  enum status refused; /* past a limit of heads; STATUS_OK: not */
  uint32_t close_code;
  struct http2_fields fields;

  /* The body. */
  struct http2_held *first_held, *last_held;
  int64_t held_bytes;
  int64_t reserved_bytes; /* charged to the budget: what the window lets the client send */
  int64_t window_bytes;
  int64_t flowed_bytes;   /* taken since the window was last raised or the handler paused */
  int64_t came_bytes;     /* in all */
  int64_t dropped_bytes;  /* that nobody wanted */
  int64_t withheld_bytes; /* dropped, but not given back to the client's window */

  /* The answer. */
  struct http2_piece *first_piece, *last_piece;
  int64_t queued_bytes;
  int64_t sent_bytes;
  bool started;                /* HEADERS are submitted */
  bool whole;                  /* nothing more will be queued */
  struct http2_block trailers; /* that follow it; empty: none */
  bool answer_sent;            /* END_STREAM is on its way */

  struct http2_wait body_wait, write_wait, drop_wait;
};

struct http2 {
  struct http_server_options options;
  struct http2_owner owner;
  const struct http_service *service;
  const struct http_peer *peer;
  struct budget *budget; /* NULL: nothing is charged */
  struct http_server_stats *stats;
  nghttp2_session *session;
  struct http2_limits limits;
  struct http2_stream *first;
  int64_t stream_count;   /* in the list */
  int64_t exchange_count; /* begun and not finished */
  int64_t sending_count;  /* streams with queued bytes */
  int64_t raised_bytes;   /* windows beyond HTTP2_WINDOW_BYTES, in all */

  struct text out;     /* frames to be sent, collected */
  int64_t given_bytes; /* to owner.send, in all */
  bool running;
  bool changed; /* something to do in http2_run */
  bool broken;  /* no more requests, no more frames: GOAWAY has been sent */
  struct error why;
  enum status fatal;   /* found inside a callback of nghttp2, see `why`; STATUS_OK: none */
  int64_t goaway_code; /* that nghttp2 has sent; -1: none */
  char goaway_reason[128];
  bool draining, drained; /* GOAWAY is announced; is sent */
  bool settings_acked;

  int64_t midway_unit;
  struct http2_wait head_wait, settings_wait, idle_wait, socket_wait, drain_wait;
  time_t date_s;
  char date[32];
};

/* ---- http2.c ------------------------------------------------------------------------------- */

/* Sees to it that http2_run is called. */
void http2_soon(struct http2 *http2);
/* Ends the connection: GOAWAY with `code`. Returns `why->status`. */
enum status http2_break(struct http2 *http2, uint32_t code, const struct error *why);
/* The last GOAWAY of http2_drain: requests that come from now on are not served. */
void http2_leave(struct http2 *http2);
/* Gives what is collected to the owner, `data` (NULL: none) behind it. */
void http2_flush(struct http2 *http2, struct buffer *data);
/* True while the owner has more than it can send. */
bool http2_is_blocked(const struct http2 *http2);

/* ---- http2_fields.c ------------------------------------------------------------------------- */

void http2_fields_release(struct http2_fields *fields);
/* One decoded field. STATUS_TOO_LARGE: past the limits. */
enum status http2_fields_add(struct http2_fields *fields, const struct http_server_options *limits,
                             const uint8_t *name, size_t name_bytes, const uint8_t *value,
                             size_t value_bytes, struct error *error) WARN_UNUSED;
/* The head that they make. On failure `*code` is the answer's; `head` is then of no use. */
enum status http2_fields_finish(struct http2_fields *fields, bool has_body, struct http_head *head,
                                int *code, struct error *error) WARN_UNUSED;
/* A head that can be answered, of which nothing but the method is known. */
enum status http2_fields_stub(const struct http2_fields *fields, struct http_head *head,
                              struct error *error) WARN_UNUSED;

/* ---- http2_stream.c ------------------------------------------------------------------------- */

/* Callbacks of nghttp2 for requests. */
int http2_on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context);
int http2_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                    size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
                    void *context);
int http2_on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                  size_t bytes, void *context);
int http2_on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *context);
/* HEADERS or DATA of a stream were whole. */
int http2_stream_frame(struct http2 *http2, const nghttp2_frame *frame);

/* Does what can be done for it; it may be freed when this returns. */
void http2_stream_step(struct http2_stream *stream);
/* The connection is gone: tells everybody, and lets go of what is charged. */
void http2_stream_abandon(struct http2_stream *stream, const struct error *why);
void http2_stream_free(struct http2_stream *stream);
/* True while bytes of its body are awaited. */
bool http2_stream_awaits_body(const struct http2_stream *stream);

/* ---- http2_answer.c ------------------------------------------------------------------------- */

extern const struct http_protocol HTTP2_PROTOCOL;

void http2_stream_reset(struct http2_stream *stream, uint32_t code);
void http2_drop_pieces(struct http2_stream *stream);
void http2_block_release(struct http2_block *block);
/* Callbacks of nghttp2 for answers. */
ssize_t http2_on_read_length(nghttp2_session *session, uint8_t type, int32_t id,
                             int32_t session_window, int32_t stream_window, uint32_t frame_max,
                             void *context);
int http2_on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                       size_t bytes, nghttp2_data_source *source, void *context);

/* ---- http2_time.c --------------------------------------------------------------------------- */

/* Starts and stops the waits of a stream, of the connection, by what they wait for now. */
void http2_stream_waits(struct http2_stream *stream, int64_t now_ms);
void http2_waits(struct http2 *http2, int64_t now_ms);

#endif
