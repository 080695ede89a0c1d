/* Listening, accepting, draining; the list of connections.
 *
 * The listening socket is watched, not given to libuv's own accept: when the process
 * has no file descriptors left, libuv accepts and drops clients, whereas here they wait
 * in the kernel's queue until there is room again (ACCEPT_AGAIN_MS).
 *
 * Invariants:
 * 1. A connection is in the list from connection_new to its close, and nothing that
 *    happens after its close touches the server, so that the server's own two handles
 *    alone decide when its memory goes (http_server_free, then the loop's next turn).
 * 2. `drained` is called once, when `draining` and no exchange is left, never from
 *    inside http_server_drain. */
#include "net/http_connection.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

enum {
  ACCEPT_AGAIN_MS = 200,
  ACCEPTS_MAX = 64, /* at once: others want to be served too */
  BACKLOG = 1024
};

const struct http_server_options HTTP_SERVER_DEFAULTS = {
    .host = "127.0.0.1",
    .port = 8888,
    .listen_fd = -1,
    .header_bytes_max = INT64_C(64) * 1024,
    .header_count_max = 100,
    .body_bytes_max = 0,
    .connections_max = 20000,
    .connections_per_address_max = 0,
    .streams_max = 100,
    .window_bytes_max = INT64_C(16) * 1024 * 1024,
    .resets_per_s = 100,
    .settings_per_s = 20,
    .pings_per_s = 20,
    .control_per_s = 10000,
    .empty_frames_per_s = 100,
    .idle_timeout_ms = 60000,
    .header_timeout_ms = 10000,
    .body_timeout_ms = 60000,
    .body_bytes_per_timeout = 1024,
    .write_timeout_ms = 60000,
    .write_bytes_high = INT64_C(4) * 1024 * 1024,
};

int http_server_port(const struct http_server *server) { return server->port; }

const char *server_date(struct http_server *server) {
  time_t now = time(NULL);
  if (now != server->date_s) {
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(server->date, sizeof server->date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    server->date_s = now;
  }
  return server->date;
}

/* ---- accepting ---------------------------------------------------------------------------- */

static void on_listener(uv_poll_t *listener, int failed, int events);

static void watch(struct http_server *server) {
  uv_poll_start(&server->listener, UV_READABLE, on_listener);
}

static void on_accept_again(uv_timer_t *timer) {
  struct http_server *server = timer->data;
  if (server->listen_fd >= 0) watch(server);
}

/* True when there is nothing more to accept now. */
static bool accept_failed(struct http_server *server, int reason) {
  if (reason == EINTR || reason == ECONNABORTED) return false;
  if (reason == EAGAIN || reason == EWOULDBLOCK) return true;
  if (!server->accept_failing)
    log_warning("net",
                "clients have to wait, a connection cannot be accepted: %s (is the limit "
                "on open files, ulimit -n, high enough?)",
                strerror(reason));
  server->accept_failing = true;
  uv_poll_stop(&server->listener);
  uv_timer_start(&server->accept_again, on_accept_again, ACCEPT_AGAIN_MS, 0);
  return true;
}

/* An address with a port in it, of either family. */
union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

/* IPv4 that comes through an IPv6 socket is told as IPv4. */
static void read_peer(const union address *address, struct http_peer *peer) {
  const struct in6_addr *v6 = &address->v6.sin6_addr;
  struct in_addr v4 = address->v4.sin_addr;
  bool is_v4 = address->any.sa_family == AF_INET;
  *peer = (struct http_peer){.address = ""};
  if (address->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(v6)) {
    memcpy(&v4, v6->s6_addr + 12, sizeof v4);
    is_v4 = true;
  }
  if (is_v4) {
    inet_ntop(AF_INET, &v4, peer->address, sizeof peer->address);
    peer->loopback = (ntohl(v4.s_addr) >> 24) == 127;
  } else if (address->any.sa_family == AF_INET6) {
    inet_ntop(AF_INET6, v6, peer->address, sizeof peer->address);
    peer->loopback = IN6_IS_ADDR_LOOPBACK(v6);
  } else {
    peer->loopback = address->any.sa_family == AF_UNIX;
  }
}

static int64_t count_of_address(const struct http_server *server, const char *address) {
  int64_t count = 0;
  for (const struct http_connection *at = server->first; at != NULL; at = at->next)
    count += strcmp(at->peer.address, address) == 0;
  return count;
}

static void admit(struct http_server *server, int fd, const union address *address) {
  const struct http_server_options *options = &server->options;
  struct http_peer peer;
  struct error error;
  read_peer(address, &peer);
  int64_t over = server->stats.connections_open - options->connections_max;
  bool refused = over >= 0;
  if (!refused && options->connections_per_address_max > 0)
    refused = count_of_address(server, peer.address) >= options->connections_per_address_max;
  server->stats.refused_connections += refused;
  if (over >= HTTP_REFUSED_CONNECTIONS_MAX)
    close(fd);
  else if (connection_new(server, fd, &peer, refused, &error) != STATUS_OK)
    log_warning("net", "%s", error.text);
}

static void on_listener(uv_poll_t *listener, int failed, int events) {
  struct http_server *server = listener->data;
  (void)failed; /* accept tells more */
  (void)events;
  for (int i = 0; i < ACCEPTS_MAX && server->listen_fd >= 0; i++) {
    union address address = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t bytes = sizeof address;
    int fd = accept4(server->listen_fd, &address.any, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (accept_failed(server, errno)) return;
      continue;
    }
    server->accept_failing = false;
    admit(server, fd, &address);
  }
}

/* ---- listening ---------------------------------------------------------------------------- */

/* A bound, listening socket. */
static enum status listen_on(const struct addrinfo *address, const char *place, int *fd,
                             struct error *error) {
  static const int on = 1;
  *fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (*fd < 0)
    return error_set(error, STATUS_UNAVAILABLE, "no socket for %s: %s", place, strerror(errno));
  /* A restart must not wait for the last run's connections to be forgotten. */
  (void)setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(*fd, address->ai_addr, address->ai_addrlen) == 0 && listen(*fd, BACKLOG) == 0)
    return STATUS_OK;
  int reason = errno;
  close(*fd);
  *fd = -1;
  if (reason == EADDRINUSE)
    return error_set(error, STATUS_CONFLICT,
                     "cannot listen on %s: the port is taken by another program; stop that or "
                     "choose another port",
                     place);
  enum status status = reason == EACCES ? STATUS_DENIED : STATUS_INVALID;
  return error_set(error, status, "cannot listen on %s: %s", place, strerror(reason));
}

static int bound_port(int fd) {
  union address address = {.v6 = {.sin6_port = 0}};
  socklen_t bytes = sizeof address;
  if (getsockname(fd, &address.any, &bytes) != 0) return 0;
  return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

static enum status open_listener(struct http_server *server, struct error *error) {
  const struct http_server_options *options = &server->options;
  if (options->listen_fd >= 0) { /* somebody else has opened it */
    server->listen_fd = options->listen_fd;
    server->port = bound_port(server->listen_fd);
    return STATUS_OK;
  }
  char port[16];
  char place[256];
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                           .ai_socktype = SOCK_STREAM};
  struct addrinfo *found = NULL;
  snprintf(port, sizeof port, "%d", options->port);
  bool v6 = strchr(options->host, ':') != NULL;
  snprintf(place, sizeof place, v6 ? "[%s]:%d" : "%s:%d", options->host, options->port);
  if (options->port < 0 || options->port > 65535)
    return error_set(error, STATUS_INVALID, "cannot listen on %s: ports go from 0 to 65535", place);
  if (getaddrinfo(options->host, port, &hints, &found) != 0)
    return error_set(error, STATUS_INVALID,
                     "cannot listen on %s: the host must be a numeric address such as 127.0.0.1",
                     place);
  enum status status = listen_on(found, place, &server->listen_fd, error);
  freeaddrinfo(found);
  if (status == STATUS_OK) server->port = bound_port(server->listen_fd);
  return status;
}

static void close_listener(struct http_server *server) {
  if (server->listen_fd < 0) return;
  uv_poll_stop(&server->listener);
  uv_timer_stop(&server->accept_again);
  close(server->listen_fd);
  server->listen_fd = -1;
}

/* ---- the server's life ---------------------------------------------------------------------- */

static void call_drained(void *context) {
  struct http_server *server = context;
  void (*drained)(void *) = server->drained;
  server->drained = NULL;
  if (drained != NULL) drained(server->drained_context);
}

enum status http_server_new(struct net_loop *loop, const struct http_server_options *options,
                            const struct http_service *service, struct http_server **server,
                            struct error *error) {
  *server = NULL;
  struct http_server *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a server");
  made->loop = loop;
  made->options = *options;
  made->service = *service;
  made->listen_fd = -1;
  made->drained_soon = (struct loop_soon){.run = call_drained, .context = made};
  made->scratch = malloc(HTTP2_RECEIVE_BYTES);
  enum status status = made->scratch == NULL
                           ? error_set(error, STATUS_NOMEM, "no memory for a server")
                           : open_listener(made, error);
  if (status != STATUS_OK) goto failed;
  made->options.host = NULL; /* the caller's; not needed again */
  if (options->tls != NULL) made->tls = tls_context_share(options->tls);
  made->options.tls = NULL;
  int reason = uv_poll_init(loop_uv(loop), &made->listener, made->listen_fd);
  if (reason != 0) {
    close(made->listen_fd);
    status = error_set(error, STATUS_UNAVAILABLE, "the event loop cannot watch a socket: %s",
                       uv_strerror(reason));
    goto failed;
  }
  uv_timer_init(loop_uv(loop), &made->accept_again);
  made->listener.data = made;
  made->accept_again.data = made;
  made->open_handles = 2;
  watch(made);
  *server = made;
  return STATUS_OK;
failed:
  tls_context_free(made->tls);
  free(made->scratch);
  free(made);
  return status;
}

const struct http_server_stats *http_server_stats(const struct http_server *server) {
  return &server->stats;
}

void http_server_set_tls(struct http_server *server, struct tls_context *context) {
  struct tls_context *old = server->tls;
  server->tls = context == NULL ? NULL : tls_context_share(context);
  tls_context_free(old);
}

void http_server_set_limits(struct http_server *server, const struct http_server_options *options) {
  struct http_server_options now = *options;
  now.host = NULL;
  now.port = server->options.port;
  now.listen_fd = server->options.listen_fd;
  now.tls = NULL;
  now.budget = server->options.budget;
  server->options = now;
}

/* Drained: no request is open, and no answer waits to be sent. */
void server_look(struct http_server *server) {
  if (!server->draining || server->drained == NULL || server->stats.requests_open > 0) return;
  for (const struct http_connection *at = server->first; at != NULL; at = at->next)
    if (at->phase == PHASE_HTTP2 && connection_has_unsent(at)) return;
  loop_soon(server->loop, &server->drained_soon);
}

void http_server_drain(struct http_server *server, void (*done)(void *), void *context) {
  server->draining = true;
  server->drained = done;
  server->drained_context = context;
  close_listener(server);
  for (struct http_connection *connection = server->first; connection != NULL;
       connection = connection->next) {
    if (connection->http2 != NULL) http2_drain(connection->http2);
    connection_soon(connection); /* the idle ones close */
  }
  server_look(server);
}

void server_let_go(struct http_server *server) {
  if (--server->open_handles > 0) return;
  tls_context_free(server->tls);
  free(server->scratch);
  free(server);
}

static void on_handle_closed(uv_handle_t *handle) { server_let_go(handle->data); }

void http_server_free(struct http_server *server) {
  if (server == NULL) return;
  struct error why;
  error_set(&why, STATUS_CANCELLED, "the server is stopping");
  server->drained = NULL;
  close_listener(server);
  while (server->first != NULL) connection_abandon(server->first, &why);
  assert(server->stats.requests_open == 0);
  loop_soon_cancel(server->loop, &server->drained_soon);
  uv_close((uv_handle_t *)&server->listener, on_handle_closed);
  uv_close((uv_handle_t *)&server->accept_again, on_handle_closed);
}
