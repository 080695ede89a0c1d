/* The network: an event loop, and an HTTP server on it.
 *
 * Everything here happens on the loop's one thread, except `net_loop_post` and
 * `net_loop_stop`, which any thread may call. Handlers must not block: they hand
 * work to base/workers and are called back through net_loop_post. No function of
 * this header calls its caller back before it has returned, except http_server_free.
 *
 * An exchange is one request and its answer. The protocol below it is HTTP/1.1 or HTTP/2,
 * in the clear or through TLS, on one port; hardly anything in this header tells them apart.
 *
 *   request complete up to its headers -> service->request(exchange)
 *       the service either answers at once, or first says who takes the body
 *   body -> window / filled ... -> end      (or gone, when the client vanishes)
 *   answer: http_respond, or http_start, http_write..., http_end
 *   both sides done -> service->finished(exchange): the handle is no more */
#ifndef ARROWPORT_NET_NET_H
#define ARROWPORT_NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"

/* ---- loop ------------------------------------------------------------------- */

struct net_loop;

enum status net_loop_new(struct net_loop **loop, struct error *error) WARN_UNUSED;
void net_loop_run(struct net_loop *loop);  /* until net_loop_stop */
void net_loop_stop(struct net_loop *loop); /* from any thread */
/* NULL is allowed; every server and timer is freed before. Posts still queued are not run. */
void net_loop_free(struct net_loop *loop);

/* A piece of work for the loop's thread. The struct belongs to the caller and must
 * live until `run` is called; posting one that is already queued does nothing. */
struct net_post {
  void (*run)(void *context);
  void *context;
  struct net_post *next; /* private from here on */
  _Atomic bool queued;
};
void net_loop_post(struct net_loop *loop, struct net_post *post); /* from any thread */
/* The same without waking the loop: for whoever posts something else right behind it. */
void net_loop_post_quietly(struct net_loop *loop, struct net_post *post);

/* A timer on the loop. `run` is called once, `after_ms` from now, unless it is
 * stopped or started anew before. */
struct net_timer;
enum status net_timer_new(struct net_loop *loop, void (*run)(void *), void *context,
                          struct net_timer **timer, struct error *error) WARN_UNUSED;
void net_timer_start(struct net_timer *timer, int64_t after_ms);
void net_timer_stop(struct net_timer *timer);
void net_timer_free(struct net_timer *timer); /* NULL is allowed */

/* Calls `run` on the loop's thread when the process gets SIGINT, SIGTERM or SIGHUP. */
enum status net_loop_on_signal(struct net_loop *loop, void (*run)(void *context, int signal_number),
                               void *context, struct error *error) WARN_UNUSED;

/* Watches files by their paths: written in place, replaced by a rename, removed and made anew,
 * reached through links that are turned elsewhere. `run` is called on the loop's thread within
 * a second of a change, once for many changes together, when what the paths lead to differs
 * (identity, size or time of change). A file that is not there yet may be watched. */
struct net_watch;
enum status net_watch_new(struct net_loop *loop, const char *const *paths, size_t count,
                          void (*run)(void *context), void *context, struct net_watch **watch,
                          struct error *error) WARN_UNUSED;
void net_watch_free(struct net_watch *watch); /* NULL is allowed */

/* ---- TLS -------------------------------------------------------------------- */

struct tls_options {
  const char *cert_path;      /* PEM: the server's certificate, then those that lead to its root */
  const char *key_path;       /* PEM */
  const char *client_ca_path; /* PEM: who signs clients' certificates; NULL: none are asked for */
  bool client_required;       /* a client without a certificate is refused */
};

/* Certificates and rules, for many connections; shared by counting owners. */
struct tls_context;
/* STATUS_NOT_FOUND, STATUS_DENIED, STATUS_INVALID name the file and say what is wrong with it
 * (no certificate in it, key of another certificate, expired: still loaded, but logged). */
enum status tls_context_new(const struct tls_options *options, struct tls_context **context,
                            struct error *error) WARN_UNUSED;
struct tls_context *tls_context_share(struct tls_context *context);
void tls_context_free(struct tls_context *context); /* one owner less; NULL is allowed */

/* ---- HTTP server ------------------------------------------------------------ */

struct http_server;
struct http_exchange;

struct http_header {
  const char *name;  /* lower case */
  const char *value; /* without surrounding white space */
};

/* Valid as long as the exchange. All text is NUL-terminated and holds no NUL. */
struct http_request {
  const char *method; /* "POST", as sent */
  const char *target; /* as sent: "/ingest/a%20b?x=1" */
  const char *path;   /* the part before '?', still percent-encoded */
  const char *query;  /* the part after '?', "" without one, still percent-encoded */
  const char *host;   /* the Host header, "" without one */
  const struct http_header *headers;
  size_t header_count;
  int64_t body_bytes; /* Content-Length; -1: chunked; 0: no body */
};

/* Who takes a request's body. All are called on the loop's thread. */
struct http_body_handler {
  void *context;
  /* Where the next body bytes are to be written, at least 1 byte of room; valid until
   * the next call. May be asked again although nothing was filled. To say "not now",
   * return STATUS_BUDGET after calling http_body_pause; any other failure stops the
   * body: no further call comes and the handler answers. */
  enum status (*window)(void *context, uint8_t **data, int64_t *bytes);
  /* So many bytes were written there. Returning a failure stops the body as above. */
  enum status (*filled)(void *context, int64_t bytes);
  /* The body is whole. */
  void (*end)(void *context);
  /* The client vanished or broke the protocol before the body was whole; nothing
   * can be answered any more. The only call after it is service->finished. */
  void (*gone)(void *context, const struct error *why);
};

struct http_service {
  void *context;
  /* The headers are whole. The service calls http_body_accept (now), or answers (now
   * or later); a body that nobody took is read and dropped, so that its sender sees
   * the answer, for at most 64 MiB and, once answered, 5 s; then the connection is
   * closed. */
  void (*request)(void *context, struct http_exchange *exchange);
  /* The answer is sent or the client is gone; `http_context` is handed back and the
   * exchange is freed when this returns. Called exactly once for each request. */
  void (*finished)(void *context, struct http_exchange *exchange);
};

/* Who sent a request. Valid as long as its exchange. */
struct http_peer {
  char address[48];             /* "192.0.2.7", "2001:db8::1"; "" for a local socket */
  bool loopback;                /* this machine, as far as addresses tell */
  bool secure;                  /* through TLS */
  const char *certificate_name; /* of a client certificate that was verified; NULL: none */
};

/* Limits. Each names the attack or the accident that it stops. */
struct http_server_options {
  const char *host;        /* numeric address; "127.0.0.1" */
  int port;                /* 0: any free one */
  int listen_fd;           /* a listening socket that somebody else opened (systemd); -1: none */
  struct tls_context *tls; /* shared; NULL: in the clear */
  struct budget *budget;   /* what bytes that wait in between are charged to; NULL: nothing */

  int64_t header_bytes_max; /* floods of headers, HPACK bombs: all header lines, decoded */
  int64_t header_count_max; /* many tiny headers: time of those who look through them */
  int64_t body_bytes_max;   /* endless bodies, compressed bombs: decoded bytes; 0: no limit */
  int64_t connections_max;  /* floods of connections: more are answered 503 and closed */
  int64_t connections_per_address_max; /* one client that takes them all; 0: no limit */
  int64_t streams_max;                 /* HTTP/2: requests at a time on one connection */
  int64_t window_bytes_max; /* HTTP/2: bytes on their way on one connection that no handler took */
  int64_t resets_per_s;     /* HTTP/2 rapid reset (CVE-2023-44487): streams opened and reset */
  int64_t settings_per_s;   /* HTTP/2 settings flood (CVE-2019-9515): each wants an answer */
  int64_t pings_per_s;      /* HTTP/2 ping flood (CVE-2019-9512): likewise */
  int64_t control_per_s;    /* HTTP/2 PRIORITY, WINDOW_UPDATE, unknown frames (CVE-2019-9511) */
  int64_t empty_frames_per_s; /* HTTP/2 DATA frames of no bytes (CVE-2019-9518) */

  int64_t idle_timeout_ms;   /* idle connections: between requests on a kept-alive one */
  int64_t header_timeout_ms; /* slow loris: from the first byte (of the handshake, of a
                                 * request) to the last header */
  int64_t body_timeout_ms;   /* slow bodies: body_bytes_per_timeout must come in each such
                                 * time. Not counted while paused */
  int64_t body_bytes_per_timeout;
  int64_t write_timeout_ms; /* slow readers: a client that does not read its answer */
  int64_t write_bytes_high; /* answers that nobody reads: http_write queues up to here before
                             * `http_writable` is false */
};

/* What has happened since the server began, for its metrics. Only the loop's thread. */
struct http_server_stats {
  int64_t connections_accepted;
  int64_t connections_open;
  int64_t http2_connections_open;
  int64_t requests_open;
  int64_t received_bytes; /* of bodies */
  int64_t sent_bytes;     /* of bodies */
  /* Refused, by reason. */
  int64_t refused_connections; /* connections_max, connections_per_address_max */
  int64_t refused_tls;         /* handshakes that failed */
  int64_t refused_broken;      /* what is no HTTP */
  int64_t refused_limits;      /* header or body limits */
  int64_t refused_slow;        /* time-outs of heads and bodies, unread answers */
  int64_t refused_floods;      /* HTTP/2 control frames, resets, empty frames */
};

extern const struct http_server_options HTTP_SERVER_DEFAULTS;

/* Listens. STATUS_CONFLICT when the port is taken (the message names address and
 * port). `service` must outlive the server. */
enum status http_server_new(struct net_loop *loop, const struct http_server_options *options,
                            const struct http_service *service, struct http_server **server,
                            struct error *error) WARN_UNUSED;
int http_server_port(const struct http_server *server);
const struct http_server_stats *http_server_stats(const struct http_server *server);
/* From now on new connections use these (shared); those there are keep theirs. */
void http_server_set_tls(struct http_server *server, struct tls_context *context);
/* Takes over limits that may change while it runs: all but host, port, listen_fd, tls, budget.
 * Connections that are open keep what they have begun with. */
void http_server_set_limits(struct http_server *server, const struct http_server_options *options);
/* Accepts no more, closes idle connections, tells HTTP/2 clients (GOAWAY); `done` is called
 * when the last exchange has finished. */
void http_server_drain(struct http_server *server, void (*done)(void *), void *context);
/* Closes everything at once: exchanges see `gone` and `finished`. NULL is allowed. */
void http_server_free(struct http_server *server);

/* ---- exchange: all on the loop's thread, between `request` and `finished` ----- */

const struct http_request *http_exchange_request(const struct http_exchange *exchange);
/* Value of the first header of that name (lower case), or NULL. */
const char *http_request_header(const struct http_request *request, const char *name);
/* How many headers have that name. */
size_t http_request_header_count(const struct http_request *request, const char *name);

const struct http_peer *http_exchange_peer(const struct http_exchange *exchange);
const char *http_exchange_protocol(const struct http_exchange *exchange); /* "HTTP/1.1", "HTTP/2" */
/* A header of whatever answer is sent (a request id); copied. At most 4, before the answer
 * begins. Without memory the answer goes without it. */
void http_exchange_answer_header(struct http_exchange *exchange, const char *name,
                                 const char *value);
/* Of the answer; 0: none yet. A gRPC call that has ended: what its status stands for, although its
 * head says 200. */
int http_exchange_code(const struct http_exchange *exchange);
int64_t http_exchange_received_bytes(const struct http_exchange *exchange); /* of the body */
int64_t http_exchange_sent_bytes(const struct http_exchange *exchange);     /* of the answer's */

/* A pointer of the service's own. */
void http_exchange_set_context(struct http_exchange *exchange, void *context);
void *http_exchange_context(const struct http_exchange *exchange);

/* Called when the client is gone after the body was whole (or when there was none, or
 * nobody took it), before `finished`: stop what works for it. A client that only ends
 * its sending side still gets its answer; that it has closed altogether shows within
 * about a second (HTTP/1.1) or when something is written to it. */
void http_on_gone(struct http_exchange *exchange, void (*gone)(void *context), void *context);
/* Called when queued answer bytes have fallen below half of write_bytes_high. */
void http_on_writable(struct http_exchange *exchange, void (*writable)(void *context),
                      void *context);

/* Takes the body; `handler` is copied. Only inside service->request, or after http_body_wait.
 * Sends "100 Continue" when it was asked for. Without a body, `end` follows. A Content-Encoding
 * of zstd or gzip is decoded on the way; a request with another one is answered 415 before the
 * service hears of it, one whose body is too long or broken hears `gone`. */
void http_body_accept(struct http_exchange *exchange, const struct http_body_handler *handler);
/* Leaves the body unread until it is accepted (then also outside of service->request) or the
 * exchange is answered: for a service that has to find out first who asks. Only inside
 * service->request. */
void http_body_wait(struct http_exchange *exchange);
void http_body_pause(struct http_exchange *exchange); /* stop reading the socket */
void http_body_resume(struct http_exchange *exchange);

/* A whole answer; `headers` and `body` are copied. Date, Content-Length and
 * Connection are added. Allowed while the body is still arriving: the handler hears
 * nothing more, and what is left of it is dropped (see http_service.request).
 * All that follows here does nothing once the client is gone. */
void http_respond(struct http_exchange *exchange, int code, const struct http_header *headers,
                  size_t header_count, const void *body, size_t body_bytes);

/* A streamed answer. */
void http_start(struct http_exchange *exchange, int code, const struct http_header *headers,
                size_t header_count);
/* Takes the buffer's bytes over (`data` is empty afterwards). */
void http_write(struct http_exchange *exchange, struct buffer *data);
bool http_writable(const struct http_exchange *exchange);
void http_end(struct http_exchange *exchange); /* the rest of the body as in http_respond */
/* The same with trailers, copied: HTTP/2 alone (asserted). On an exchange whose answer has not begun
 * it is the whole answer: one head with code 200 and these fields, and nothing behind it. What is
 * left of the body is not waited for: its sender is told to stop (RST_STREAM with NO_ERROR). */
void http_end_trailers(struct http_exchange *exchange, const struct http_header *trailers,
                       size_t trailer_count);
/* From now on the body may be as long and come as slowly as it likes, and what is queued of the answer
 * may lie unread until the client has ended the body: a stream that lives as long as its two ends do.
 * Whoever says so bounds what it queues. */
void http_body_unbounded(struct http_exchange *exchange);
/* The answer cannot be completed: the connection is broken off so that the client
 * notices (no terminating chunk). `finished` follows, without `gone`. */
void http_abort(struct http_exchange *exchange);

/* Decodes %XX in place. False on a bad escape or a decoded NUL; `+` is left alone
 * unless `plus_is_space`. */
bool http_percent_decode(char *text, bool plus_is_space);
/* Copies the decoded value of `name` in a query string to `value` (malloc'd), or
 * sets it to NULL when it is absent. STATUS_INVALID on a bad escape. */
enum status http_query_value(const char *query, const char *name, char **value,
                             struct error *error) WARN_UNUSED;

#endif
