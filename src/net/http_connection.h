/* What the files of the HTTP server share: the server, its connections and their
 * exchanges. Private to net/. The states are drawn in http_connection.c. */
#ifndef ARROWPORT_NET_HTTP_CONNECTION_H
#define ARROWPORT_NET_HTTP_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/text.h"
#include "net/http_parser.h"
#include "net/loop.h"
#include "net/net.h"

enum {
  /* One read of the socket, where it cannot go straight to the handler; also the most
   * that a connection holds of what it may not parse yet (pipelining without end). */
  HTTP_RECEIVE_BYTES = 64 * 1024,
  /* A window smaller than this is filled from the receive buffer. */
  HTTP_STRAIGHT_BYTES_MIN = 4 * 1024,
  /* One read straight into a handler's window: more would starve other connections. */
  HTTP_STRAIGHT_BYTES_MAX = 1024 * 1024,
  /* A body that nobody wants is read, so that its sender sees the answer instead of a
   * reset, up to here and no longer than that. */
  HTTP_DROP_BYTES_MAX = 64 * 1024 * 1024,
  HTTP_DROP_MS_MAX = 5000,
  /* So much of an unwanted body is read to keep the connection. */
  HTTP_KEEP_BYTES_MAX = 64 * 1024,
  /* How often it is looked whether a client that has ended its side is there at all. */
  HTTP_PROBE_MS = 500,
  /* Connections beyond the limit that are told so; any further ones are just closed. */
  HTTP_REFUSED_CONNECTIONS_MAX = 64,
};

enum connection_phase {
  PHASE_HEAD,     /* between requests, or in the head of one */
  PHASE_EXCHANGE, /* `exchange` is set */
  PHASE_DROP,     /* answered; the rest of the body is read and dropped, then HEAD */
  PHASE_LINGER,   /* nothing more will be sent; what comes is dropped until it ends */
  PHASE_CLOSED    /* its handles are closing */
};

enum body_state {
  BODY_NEW,     /* the service is being asked */
  BODY_TAKEN,   /* goes to `handler` */
  BODY_STOPPED, /* not read any further */
  BODY_DROPPED, /* read, nobody wants it */
  BODY_DONE     /* whole */
};

enum answer_state {
  ANSWER_NONE,
  ANSWER_OPEN,   /* http_start */
  ANSWER_ENDED,  /* complete, perhaps still queued */
  ANSWER_ABORTED /* http_abort */
};

struct http_exchange {
  struct http_connection *connection;
  struct http_head head;
  void *context;

  enum body_state body;
  bool paused;
  bool continued; /* the client knows that its body is wanted */
  bool probed;    /* see `probe` */
  struct http_body_handler handler;

  enum answer_state answer;
  bool over;          /* lost or refused: the service's calls do nothing any more */
  bool chunked;       /* framing of the answer */
  bool without_body;  /* HEAD, 204, 304 */
  bool blocked;       /* the service waits for `writable` */
  struct text unsent; /* an answer's head, to be sent together with what follows it */
  void (*gone)(void *context);
  void *gone_context;
  void (*writable)(void *context);
  void *writable_context;
  struct error why; /* of `over` */
  int code;
  int64_t received_bytes, sent_bytes;
  struct text extra; /* header lines of every answer */
};

enum timer_kind {
  TIMER_NONE,
  TIMER_IDLE,
  TIMER_HEAD,
  TIMER_BODY,
  TIMER_WRITE,
  TIMER_DROP,
  TIMER_PROBE
};

struct http_connection {
  struct http_server *server;
  struct http_connection *next, *previous;
  uv_tcp_t tcp;
  uv_timer_t timer;
  uv_shutdown_t shutdown;
  int open_handles;
  struct loop_soon soon; /* connection_run */

  enum connection_phase phase;
  struct http_parser parser;
  struct http_exchange *exchange;

  const uint8_t *in; /* come, not parsed: in the server's scratch, or in `held` */
  size_t in_bytes;
  uint8_t *held; /* HTTP_RECEIVE_BYTES; NULL while nothing waits */
  bool straight; /* the read under way goes into the handler's window */
  int64_t dropped_bytes;

  struct http_peer peer;
  bool running;        /* connection_run or a handler is on the stack */
  bool in_alloc;       /* libuv asks for memory: no handle may be closed */
  bool protocol_known; /* the first bytes were no HTTP/2 preface */
  bool keep;           /* another request may follow this exchange */
  bool eof;            /* the client has ended its side */
  bool lost;           /* nothing can be sent any more */
  bool broken_off;     /* close with a reset */
  bool reading;

  struct http_write *first_write, *last_write;
  int64_t queued_bytes; /* ever given to uv_write */

  enum timer_kind timer_kind;
  int64_t deadline_ms; /* of timer_kind */
  int64_t alarm_ms;    /* when `timer` fires; 0: it does not */
  int64_t sent_bytes;  /* at the last look of TIMER_WRITE */
};

struct http_server {
  struct net_loop *loop;
  struct http_server_options options;
  struct http_service service;
  int port;
  int listen_fd;
  uv_poll_t listener;
  uv_timer_t accept_again;
  int open_handles;
  bool accept_failing; /* logged already */
  struct http_connection *first;
  int64_t connection_count;
  int64_t exchange_count;
  struct http_server_stats stats;
  bool draining;
  void (*drained)(void *);
  void *drained_context;
  struct loop_soon drained_soon;
  int64_t date_s;
  char date[32];
  uint8_t scratch[HTTP_RECEIVE_BYTES];
};

/* ---- http_connection.c ---------------------------------------------------------- */

/* Takes over `fd`; `refused`: it is one too many and only told so. On failure the fd
 * is closed. */
enum status connection_new(struct http_server *server, int fd, bool refused,
                           struct error *error) WARN_UNUSED;
/* Calls connection_run when the callback that is running now has returned. */
void connection_soon(struct http_connection *connection);
/* The client is gone: handlers are told soon. */
void connection_lost(struct http_connection *connection, enum status status, const char *why);
/* Ends the exchange, if there is one (gone, finished), and closes. */
void connection_abandon(struct http_connection *connection, const struct error *why);

/* ---- http_answer.c -------------------------------------------------------------- */

/* Sends text: now what the socket takes, the rest by and by. */
void connection_send(struct http_connection *connection, const char *text, size_t bytes);
/* A small problem+json answer; the connection ends with it. `exchange` may be NULL. */
void connection_send_problem(struct http_connection *connection, int code,
                             const struct error *error);
/* Answer bytes that the socket has not taken. */
size_t connection_unsent_bytes(const struct http_connection *connection);
void connection_flush_head(struct http_connection *connection);
void connection_drop_writes(struct http_connection *connection);
void connection_send_continue(struct http_connection *connection);

/* ---- http_server.c --------------------------------------------------------------- */

void server_exchange_ended(struct http_server *server);
const char *server_date(struct http_server *server);

/* ---- http_text.c ------------------------------------------------------------------ */

const char *http_phrase(int code); /* "Not Found"; "" for an unknown code */

enum http2_preface { HTTP2_NO, HTTP2_MAYBE, HTTP2_YES };
/* Whether a connection's first bytes are HTTP/2's (RFC 9113, section 3.4). */
enum http2_preface http2_preface(const uint8_t *data, size_t bytes);

#endif
