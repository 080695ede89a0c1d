#include "net/grpc_server.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/clock.h"

enum { CONNECTIONS_MAX = 64, READ_BYTES = 256 << 10 };

struct grpc_test_server {
  struct grpc_test_options options;
  SSL_CTX *openssl;
  int listener, port;
  pthread_t thread;
  pthread_t threads[CONNECTIONS_MAX];
  _Atomic int connections;
  _Atomic bool stop, saw_cancel;
};

struct stream {
  struct stream *next;
  int32_t id;
  char path[64];
  char meta[16][2][64];
  size_t meta_count;
  uint8_t *in; /* the first bytes that came */
  size_t in_bytes;
  uint64_t took_bytes;
  uint8_t *out;
  size_t out_at, out_bytes, out_room;
  uint64_t source_left; /* bytes of /t/source that are not in `out` yet */
  uint64_t source_bytes;
  size_t unread_bytes; /* /t/answerfirst */
  int status;          /* of the trailers; -1: none */
  bool started, over, deferred;
};

struct connection {
  struct grpc_test_server *server;
  int file;
  SSL *ssl;
  nghttp2_session *session;
  struct stream *streams;
  bool close;
};

/* ---- bytes ------------------------------------------------------------------------------------ */

static ssize_t put(struct connection *connection, const void *data, size_t bytes) {
  if (connection->ssl != NULL) return SSL_write(connection->ssl, data, (int)bytes);
  return send(connection->file, data, bytes, MSG_NOSIGNAL);
}

static bool put_all(struct connection *connection, const uint8_t *data, size_t bytes) {
  while (bytes > 0) {
    ssize_t done = put(connection, data, bytes);
    if (done <= 0) return false;
    data += done;
    bytes -= (size_t)done;
  }
  return true;
}

/* ---- answers ---------------------------------------------------------------------------------- */

static nghttp2_nv field(const char *name, const char *value) {
  return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                      .value = (uint8_t *)(uintptr_t)value,
                      .namelen = strlen(name),
                      .valuelen = strlen(value)};
}

static bool is(const struct stream *stream, const char *path) {
  return strncmp(stream->path, path, strlen(path)) == 0;
}

static void out(struct stream *stream, const void *data, size_t bytes) {
  if (stream->out_at == stream->out_bytes) stream->out_at = stream->out_bytes = 0;
  if (stream->out_room - stream->out_bytes < bytes) {
    stream->out_room = 2 * stream->out_room + bytes;
    stream->out = realloc(stream->out, stream->out_room);
  }
  if (bytes > 0) memcpy(stream->out + stream->out_bytes, data, bytes);
  stream->out_bytes += bytes;
}

static void out_message(struct stream *stream, const void *data, uint32_t bytes) {
  const uint8_t prefix[5] = {0, (uint8_t)(bytes >> 24), (uint8_t)(bytes >> 16),
                             (uint8_t)(bytes >> 8), (uint8_t)bytes};
  out(stream, prefix, 5);
  out(stream, data, bytes);
}

static void more_source(struct stream *stream) {
  static uint8_t zeros[1 << 16];
  while (stream->source_left > 0 && stream->out_bytes - stream->out_at < sizeof zeros) {
    uint64_t within = stream->source_left % (stream->source_bytes + 5);
    if (within == 0) {
      out_message(stream, NULL, 0);
      uint32_t bytes = (uint32_t)stream->source_bytes;
      uint8_t *length = stream->out + stream->out_bytes - 4;
      for (int i = 0; i < 4; i++) length[i] = (uint8_t)(bytes >> (24 - 8 * i));
      stream->source_left -= 5;
    } else {
      size_t part = within < sizeof zeros ? (size_t)within : sizeof zeros;
      out(stream, zeros, part);
      stream->source_left -= part;
    }
  }
}

static void submit_trailers(nghttp2_session *session, const struct stream *stream) {
  char text[16];
  snprintf(text, sizeof text, "%d", stream->status);
  const nghttp2_nv trailers[] = {field("grpc-status", text),
                                 field("grpc-message", "after%20all %zz"), field("x-trailer", "t")};
  nghttp2_submit_trailer(session, stream->id, trailers, 3);
}

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *room, size_t room_bytes,
                       uint32_t *flags, nghttp2_data_source *source, void *context) {
  struct stream *stream = source->ptr;
  (void)context;
  more_source(stream);
  size_t bytes = stream->out_bytes - stream->out_at;
  if (bytes == 0 && !stream->over) {
    stream->deferred = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  if (bytes > room_bytes) bytes = room_bytes;
  if (bytes > 0) memcpy(room, stream->out + stream->out_at, bytes);
  stream->out_at += bytes;
  if (stream->out_at == stream->out_bytes && stream->unread_bytes > 0) {
    nghttp2_session_consume(session, id, stream->unread_bytes);
    stream->unread_bytes = 0;
  }
  if (stream->over && stream->source_left == 0 && stream->out_at == stream->out_bytes) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream->status >= 0) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      submit_trailers(session, stream);
    }
  }
  return (ssize_t)bytes;
}

static void start(struct connection *connection, struct stream *stream) {
  nghttp2_nv fields[24] = {field(":status", "200"),
                           field("content-type", "application/grpc+proto")};
  size_t count = 2;
  nghttp2_data_provider provider = {.source = {.ptr = stream}, .read_callback = on_read};
  if (!stream->started) {
    for (size_t i = 0; i < stream->meta_count; i++)
      fields[count++] = field(stream->meta[i][0], stream->meta[i][1]);
    nghttp2_submit_response(connection->session, stream->id, fields, count, &provider);
  }
  stream->started = true;
  if (stream->deferred) nghttp2_session_resume_data(connection->session, stream->id);
  stream->deferred = false;
}

/* nghttp2 sends no more than 64 KiB in one block. */
static void many_headers(struct connection *connection, struct stream *stream) {
  static char value[8000];
  memset(value, 'v', sizeof value - 1);
  nghttp2_nv fields[7] = {field(":status", "200"), field("content-type", "application/grpc")};
  for (size_t i = 2; i < 7; i++) fields[i] = field("x-filler", value);
  nghttp2_submit_headers(connection->session, 0, stream->id, NULL, fields, 7, NULL);
  nghttp2_submit_headers(connection->session, NGHTTP2_FLAG_END_STREAM, stream->id, NULL, fields + 2,
                         5, NULL);
}

/* What is answered as soon as the request's headers have come. */
static void answer_head(struct connection *connection, struct stream *stream) {
  nghttp2_session *session = connection->session;
  const char *last = strrchr(stream->path, '/') + 1;
  if (is(stream, "/t/fail/")) {
    const nghttp2_nv fields[] = {field(":status", "200"), field("content-type", "application/grpc"),
                                 field("grpc-status", last), field("grpc-message", "no%20luck%21"),
                                 field("grpc-retry-pushback-ms", "7")};
    nghttp2_submit_response(session, stream->id, fields, 5, NULL);
  } else if (is(stream, "/t/http/")) {
    const nghttp2_nv fields[] = {field(":status", last), field("content-type", "text/html")};
    nghttp2_submit_response(session, stream->id, fields, 2, NULL);
  } else if (is(stream, "/t/type")) {
    const nghttp2_nv fields[] = {field(":status", "200"), field("content-type", "text/html")};
    nghttp2_submit_headers(session, 0, stream->id, NULL, fields, 2, NULL);
  } else if (is(stream, "/t/reset/")) {
    nghttp2_submit_rst_stream(session, 0, stream->id, (uint32_t)strtoul(last, NULL, 10));
  } else if (is(stream, "/t/goaway")) {
    nghttp2_submit_goaway(session, 0, stream->id - 2 > 0 ? stream->id - 2 : 0, NGHTTP2_NO_ERROR,
                          NULL, 0);
  } else if (is(stream, "/t/close")) {
    connection->close = true;
  } else if (is(stream, "/t/headers")) {
    many_headers(connection, stream);
  } else if (is(stream, "/t/late/") || is(stream, "/t/nostatus") || is(stream, "/t/meta")) {
    out_message(stream, "well", 4);
    stream->status = is(stream, "/t/nostatus") ? -1
                     : is(stream, "/t/meta")   ? 0
                                               : (int)strtol(last, NULL, 10);
    stream->over = true;
    start(connection, stream);
  } else if (is(stream, "/t/echo") || is(stream, "/t/answerfirst")) {
    start(connection, stream);
  }
}

static void answer_first(struct connection *connection, struct stream *stream) {
  if (stream->started || stream->in_bytes < 5) return;
  size_t bytes = (size_t)stream->in[3] << 8 | stream->in[4];
  if (stream->in_bytes < 5 + bytes) return;
  if (is(stream, "/t/raw")) {
    out(stream, stream->in + 5, bytes);
    stream->over = true;
    start(connection, stream);
  } else if (is(stream, "/t/source")) {
    char text[64] = "", *rest = NULL;
    memcpy(text, stream->in + 5, bytes < 63 ? bytes : 63);
    uint64_t count = strtoull(text, &rest, 10);
    stream->source_bytes = strtoull(rest, NULL, 10);
    stream->source_left = count * (stream->source_bytes + 5);
    stream->over = true;
    start(connection, stream);
  }
}

static void answer_end(struct connection *connection, struct stream *stream) {
  if (is(stream, "/t/sink")) out_message(stream, &stream->took_bytes, 8);
  if (is(stream, "/t/sink") || is(stream, "/t/echo") || is(stream, "/t/answerfirst")) {
    stream->over = true;
    start(connection, stream);
  }
}

/* ---- what comes -------------------------------------------------------------------------------- */

static struct stream *stream_of(struct connection *connection, int32_t id) {
  struct stream *stream = connection->streams;
  while (stream != NULL && stream->id != id) stream = stream->next;
  return stream;
}

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  struct connection *connection = context;
  (void)session;
  struct stream *stream = calloc(1, sizeof *stream);
  stream->id = frame->hd.stream_id;
  stream->next = connection->streams;
  connection->streams = stream;
  return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
                     void *context) {
  struct stream *stream = stream_of(context, frame->hd.stream_id);
  (void)session, (void)flags, (void)name_bytes, (void)value_bytes;
  if (stream == NULL) return 0;
  const char *text = (const char *)name;
  if (strcmp(text, ":path") == 0)
    snprintf(stream->path, sizeof stream->path, "%s", (const char *)value);
  else if (stream->meta_count < 16 && text[0] != ':' && is(stream, "/t/meta")) {
    snprintf(stream->meta[stream->meta_count][0], 64, "x-%s", text);
    snprintf(stream->meta[stream->meta_count++][1], 64, "%s", (const char *)value);
  }
  return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  struct connection *connection = context;
  struct stream *stream = stream_of(connection, frame->hd.stream_id);
  (void)session;
  if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code == NGHTTP2_CANCEL)
    connection->server->saw_cancel = true;
  if (stream == NULL) return 0;
  if (frame->hd.type == NGHTTP2_HEADERS) answer_head(connection, stream);
  if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
      (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
    answer_end(connection, stream);
  return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t bytes, void *context) {
  struct connection *connection = context;
  struct stream *stream = stream_of(connection, id);
  (void)flags;
  if (stream == NULL || is(stream, "/t/deaf")) return 0;
  stream->took_bytes += bytes;
  if (is(stream, "/t/echo") || is(stream, "/t/answerfirst")) {
    out(stream, data, bytes);
    start(connection, stream);
  } else if (stream->in_bytes < (1 << 17)) {
    stream->in = realloc(stream->in, stream->in_bytes + bytes);
    memcpy(stream->in + stream->in_bytes, data, bytes);
    stream->in_bytes += bytes;
    answer_first(connection, stream);
  }
  if (is(stream, "/t/answerfirst"))
    stream->unread_bytes += bytes;
  else
    nghttp2_session_consume(session, id, bytes);
  return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *context) {
  struct connection *connection = context;
  struct stream **at = &connection->streams;
  (void)session, (void)code;
  while (*at != NULL && (*at)->id != id) at = &(*at)->next;
  if (*at == NULL) return 0;
  struct stream *stream = *at;
  *at = stream->next;
  free(stream->in);
  free(stream->out);
  free(stream);
  return 0;
}

static ssize_t on_length(nghttp2_session *session, uint8_t type, int32_t id, int32_t connection,
                         int32_t stream, uint32_t frame, void *context) {
  (void)session, (void)type, (void)id, (void)connection, (void)stream, (void)context;
  return frame < (1 << 18) ? (ssize_t)frame : 1 << 18;
}

/* ---- connections ------------------------------------------------------------------------------- */

static void begin_session(struct connection *connection) {
  nghttp2_session_callbacks *callbacks = NULL;
  nghttp2_option *option = NULL;
  int streams = connection->server->options.streams_max;
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams == 0 ? 100 : (uint32_t)streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 1 << 20}};
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
  nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, on_length);
  nghttp2_option_new(&option);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_session_server_new2(&connection->session, callbacks, connection, option);
  nghttp2_submit_settings(connection->session, 0, settings, 3);
  nghttp2_session_set_local_window_size(connection->session, 0, 0, 1 << 24);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
}

static bool send_some(struct connection *connection) {
  const uint8_t *data = NULL;
  ssize_t bytes = 0;
  struct pollfd one = {.fd = connection->file, .events = POLLIN};
  for (;;) {
    bytes = nghttp2_session_mem_send(connection->session, &data);
    if (bytes <= 0) return bytes == 0;
    if (!put_all(connection, data, (size_t)bytes)) return false;
    if (poll(&one, 1, 0) > 0) return true; /* neither side may wait for the other */
  }
}

static void flood(struct connection *connection) {
  static const uint8_t ping[17] = {0, 0, 8, 6};
  while (!connection->server->stop && put_all(connection, ping, sizeof ping)) continue;
}

static void serve(struct connection *connection) {
  struct grpc_test_server *server = connection->server;
  uint8_t *room = malloc(READ_BYTES);
  bool writing = true;
  begin_session(connection);
  while (!server->stop && !connection->close) {
    struct pollfd one = {.fd = connection->file, .events = POLLIN};
    bool held = connection->ssl != NULL && SSL_pending(connection->ssl) > 0;
    writing = nghttp2_session_want_write(connection->session) != 0;
    int ready = held ? 1 : poll(&one, 1, writing ? 0 : 20);
    if (ready > 0) {
      ssize_t bytes = connection->ssl != NULL ? SSL_read(connection->ssl, room, READ_BYTES)
                                              : recv(connection->file, room, READ_BYTES, 0);
      if (bytes <= 0) break;
      if (nghttp2_session_mem_recv(connection->session, room, (size_t)bytes) < 0) break;
    }
    if (!send_some(connection)) break;
    for (struct stream *at = connection->streams; at != NULL; at = at->next)
      if (is(at, "/t/pings"))
        flood(connection);
      else if (is(at, "/t/frozen"))
        while (!server->stop) clock_sleep_ms(5);
    if (nghttp2_session_want_read(connection->session) == 0 &&
        nghttp2_session_want_write(connection->session) == 0)
      break;
  }
  while (connection->streams != NULL)
    on_close(connection->session, connection->streams->id, 0, connection);
  nghttp2_session_del(connection->session);
  free(room);
}

static void *run_connection(void *context) {
  struct connection *connection = context;
  struct grpc_test_server *server = connection->server;
  bool good = true;
  if (server->openssl != NULL) {
    connection->ssl = SSL_new(server->openssl);
    SSL_set_fd(connection->ssl, connection->file);
    good = SSL_accept(connection->ssl) == 1;
  }
  if (good && server->options.greeting != NULL) {
    put_all(connection, server->options.greeting, server->options.greeting_bytes);
    shutdown(connection->file, SHUT_WR);
  }
  if (server->options.mute || server->options.greeting != NULL)
    while (!server->stop) clock_sleep_ms(5);
  else if (good)
    serve(connection);
  ERR_clear_error();
  SSL_free(connection->ssl);
  close(connection->file);
  free(connection);
  return NULL;
}

static void *run_server(void *context) {
  struct grpc_test_server *server = context;
  while (!server->stop) {
    struct pollfd one = {.fd = server->listener, .events = POLLIN};
    if (poll(&one, 1, 20) <= 0) continue;
    int file = accept(server->listener, NULL, NULL);
    if (file < 0 || server->connections == CONNECTIONS_MAX) continue;
    struct connection *connection = calloc(1, sizeof *connection);
    int yes = 1;
    setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    connection->server = server;
    connection->file = file;
    pthread_create(&server->threads[server->connections], NULL, run_connection, connection);
    server->connections++;
  }
  return NULL;
}

static int choose_h2(SSL *ssl, const uint8_t **chosen, uint8_t *chosen_bytes,
                     const uint8_t *offered, unsigned bytes, void *context) {
  (void)ssl, (void)context, (void)offered, (void)bytes;
  *chosen = (const uint8_t *)"h2";
  *chosen_bytes = 2;
  return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *make_context(const struct grpc_test_options *options) {
  SSL_CTX *openssl = SSL_CTX_new(TLS_server_method());
  assert_int_equal(SSL_CTX_use_certificate_chain_file(openssl, options->cert_path), 1);
  assert_int_equal(SSL_CTX_use_PrivateKey_file(openssl, options->key_path, SSL_FILETYPE_PEM), 1);
  if (!options->no_alpn) SSL_CTX_set_alpn_select_cb(openssl, choose_h2, NULL);
  if (options->client_ca_path != NULL) {
    assert_int_equal(SSL_CTX_load_verify_locations(openssl, options->client_ca_path, NULL), 1);
    SSL_CTX_set_verify(openssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  }
  return openssl;
}

struct grpc_test_server *grpc_test_server_new(const struct grpc_test_options *options) {
  struct grpc_test_server *server = calloc(1, sizeof *server);
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t bytes = sizeof address;
  assert_non_null(server);
  if (options != NULL) server->options = *options;
  if (server->options.cert_path != NULL) {
    server->openssl = make_context(&server->options);
    signal(SIGPIPE,
           SIG_IGN); /* OpenSSL's own sockets raise it when a client has left; ours does not */
  }
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(server->listener, 64), 0);
  assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &bytes), 0);
  server->port = ntohs(address.sin_port);
  assert_int_equal(pthread_create(&server->thread, NULL, run_server, server), 0);
  return server;
}

int grpc_test_server_port(const struct grpc_test_server *server) { return server->port; }

int grpc_test_server_connections(const struct grpc_test_server *server) {
  return server->connections;
}

bool grpc_test_server_saw_cancel(struct grpc_test_server *server) {
  for (int i = 0; i < 1000 && !server->saw_cancel; i++) clock_sleep_ms(5);
  return server->saw_cancel;
}

void grpc_test_server_free(struct grpc_test_server *server) {
  server->stop = true;
  pthread_join(server->thread, NULL);
  for (int i = 0; i < server->connections; i++) pthread_join(server->threads[i], NULL);
  close(server->listener);
  SSL_CTX_free(server->openssl);
  free(server);
}
