/* What the files of the HTTP server share: the server and its connections. Private to net/.
 *
 *   http_server.c       listening, accepting, draining
 *   http_connection.c   one connection: which protocol it speaks, time, whose turn it is
 *   http1.c             HTTP/1.1 on it: one exchange at a time (states drawn there)
 *   http1_answer.c      its answers
 *   http2.c             HTTP/2 on it (http2.h), many exchanges */
#ifndef ARROWPORT_NET_HTTP_CONNECTION_H
#define ARROWPORT_NET_HTTP_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/text.h"
#include "net/http2.h"
#include "net/http_exchange.h"
#include "net/http_parser.h"
#include "net/http_text.h"
#include "net/loop.h"
#include "net/net.h"
#include "net/transport.h"

enum {
  /* One read of the socket, where it cannot go straight to the handler; also the most
   * that a connection holds of what it may not parse yet (pipelining without end). */
  HTTP_RECEIVE_BYTES = 64 * 1024,
  /* One read of an HTTP/2 connection: frames of up to 1 MiB come in few calls. */
  HTTP2_RECEIVE_BYTES = 512 * 1024,
  /* A window smaller than this is filled from the receive buffer. */
  HTTP_STRAIGHT_BYTES_MIN = 4 * 1024,
  /* One read straight into a handler's window: more would starve other connections. */
  HTTP_STRAIGHT_BYTES_MAX = 1024 * 1024,
  /* So much of an unwanted body is read to keep the connection. */
  HTTP_KEEP_BYTES_MAX = 64 * 1024,
  /* How often it is looked whether a client that has ended its side is there at all. */
  HTTP_PROBE_MS = 500,
  /* Connections beyond the limit that are told so; any further ones are just closed. */
  HTTP_REFUSED_CONNECTIONS_MAX = 64,
};

enum connection_phase {
  PHASE_OPENING,  /* the handshake, or the first bytes, which tell the protocol */
  PHASE_HEAD,     /* HTTP/1.1: between requests, or in the head of one */
  PHASE_EXCHANGE, /* HTTP/1.1: `exchange` is set */
  PHASE_DROP,     /* HTTP/1.1: answered; the rest of the body is read and dropped, then HEAD */
  PHASE_HTTP2,    /* `http2` is set */
  PHASE_LINGER,   /* nothing more will be sent; what comes is dropped until it ends */
  PHASE_CLOSED    /* its transport is closing */
};

/* An exchange of HTTP/1.1. */
struct http1_exchange {
  struct http_exchange base; /* first */
  struct http_connection *connection;
  bool continued;     /* the client knows that its body is wanted */
  bool probed;        /* see connection_probe */
  bool chunked;       /* framing of the answer */
  struct text unsent; /* an answer's head, to be sent together with what follows it */
};

enum timer_kind {
  TIMER_NONE,
  TIMER_IDLE,
  TIMER_HEAD,
  TIMER_BODY,
  TIMER_WRITE,
  TIMER_DROP,
  TIMER_PROBE,
  TIMER_HTTP2
};

struct http_connection {
  struct http_server *server;
  struct http_connection *next, *previous;
  struct transport *transport;
  uv_timer_t timer;
  int open_handles;      /* transport and timer */
  struct loop_soon soon; /* connection_run */
  struct http_peer peer;
  struct http_server_options limits; /* as they were when it came */

  enum connection_phase phase;
  struct http_parser parser;
  struct http1_exchange *exchange;
  struct http1_exchange *finished; /* the last one: a call of its handler may not have returned */
  struct http2 *http2;

  const uint8_t *in; /* come, not parsed: in the server's scratch, or in `held` */
  size_t in_bytes;
  uint8_t *held; /* HTTP_RECEIVE_BYTES; NULL while nothing waits */
  bool straight; /* the read under way goes into the handler's window */
  int64_t dropped_bytes;

  bool running;    /* connection_run or a handler is on the stack */
  bool keep;       /* another request may follow this exchange */
  bool eof;        /* the client has ended its side */
  bool lost;       /* nothing can be sent any more */
  bool broken_off; /* close with a reset */

  enum timer_kind timer_kind;
  int64_t deadline_ms; /* of timer_kind */
  int64_t alarm_ms;    /* when `timer` fires; 0: it does not */
  int64_t sent_bytes;  /* at the last look of TIMER_WRITE */
  int64_t body_bytes;  /* received at the last look of TIMER_BODY */
};

struct http_server {
  struct net_loop *loop;
  struct http_server_options options;
  struct http_service service;
  struct http_server_stats stats;
  struct tls_context *tls; /* of new connections; NULL: in the clear */
  int port;
  int listen_fd;
  uv_poll_t listener;
  uv_timer_t accept_again;
  int open_handles;    /* of its own, and connections that are not freed yet */
  bool accept_failing; /* logged already */
  struct http_connection *first;
  bool draining;
  void (*drained)(void *);
  void *drained_context;
  struct loop_soon drained_soon;
  int64_t date_s;
  char date[32];
  uint8_t *scratch; /* HTTP2_RECEIVE_BYTES */
};

/* ---- http_connection.c ---------------------------------------------------------- */

/* Takes over `fd`; `refused`: it is one too many and only told so. On failure the fd
 * is closed. */
enum status connection_new(struct http_server *server, int fd, const struct http_peer *peer,
                           bool refused, struct error *error) WARN_UNUSED;
/* Calls connection_run when the callback that is running now has returned. */
void connection_soon(struct http_connection *connection);
/* The client is gone: handlers are told soon. */
void connection_lost(struct http_connection *connection, enum status status, const char *why);
/* Ends the exchanges, if there are any (gone, finished), and closes. */
void connection_abandon(struct http_connection *connection, const struct error *why);
void connection_close(struct http_connection *connection);
/* Nothing more will be sent; what comes is dropped until the client ends its side. */
void connection_linger(struct http_connection *connection);
/* Bytes at the beginning of `in` have been used. */
void connection_used(struct http_connection *connection, size_t bytes);
bool connection_has_unsent(const struct http_connection *connection);

/* ---- http1.c --------------------------------------------------------------------- */

/* Does one thing that can be done, and says whether it did. */
bool http1_step(struct http_connection *connection);
/* The client has ended its side and nothing else can be done. */
bool http1_step_end_of_input(struct http_connection *connection);
/* The client broke the protocol, or its time is over: a last answer, if one can still be sent,
 * and no more requests. */
void http1_refuse(struct http_connection *connection, int code, const struct error *why);
/* Where the next bytes may go straight to: see transport_owner.room. */
bool http1_offer_window(struct http_connection *connection, uint8_t **data, size_t *bytes);
bool http1_wants_input(const struct http_connection *connection);
void http1_end_exchange(struct http_connection *connection);

/* ---- http1_answer.c --------------------------------------------------------------- */

extern const struct http_protocol HTTP1_PROTOCOL;

/* A small problem+json answer outside of an exchange; the connection ends with it. */
void http1_send_problem(struct http_connection *connection, int code, const struct error *error);
void http1_flush_head(struct http_connection *connection);
void http1_send_continue(struct http_connection *connection);

/* ---- http_server.c --------------------------------------------------------------- */

/* Called when something may have ended: drained? */
void server_look(struct http_server *server);
/* One that holds the server less: a handle, or a connection with all that it frees at its end. */
void server_let_go(struct http_server *server);
const char *server_date(struct http_server *server);

#endif
