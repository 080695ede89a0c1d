/* The server over TLS: real sockets, our own client, OpenSSL's own where it has to misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "net/certs.h"
#include "net/http_client.h"
#include "net/wire.h"
#include "net/world.h"

static char folder[64];
static struct cert ca, server, client;
static bool http1; /* what our client speaks; else HTTP/2 */

static const char *path_of(const char *name) {
  static char paths[8][128];
  static int next;
  char *path = paths[next++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static int make_files(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/arrowport-https-XXXXXX");
  assert_non_null(mkdtemp(folder));
  ca = cert_make((struct cert_wish){.cn = "the CA", .ca = true});
  server = cert_make((struct cert_wish){.cn = "s", .alt = "IP:127.0.0.1", .issuer = &ca});
  client = cert_make((struct cert_wish){.cn = "loader", .issuer = &ca});
  const struct cert *one[] = {&ca};
  cert_write(path_of("ca.pem"), one, 1);
  one[0] = &server;
  cert_write(path_of("server.pem"), one, 1);
  cert_write_key(path_of("server.key"), &server, 0600, NULL);
  one[0] = &client;
  cert_write(path_of("client.pem"), one, 1);
  cert_write_key(path_of("client.key"), &client, 0600, NULL);
  return 0;
}

static int remove_files(void **state) {
  (void)state;
  char command[128];
  cert_release(&ca);
  cert_release(&server);
  cert_release(&client);
  snprintf(command, sizeof command, "rm -r %s", folder);
  return system(command);
}

static struct world *begin(bool certificates) {
  struct world *world = world_new();
  world->options.header_timeout_ms = 2000;
  struct tls_options options = {.cert_path = path_of("server.pem"),
                                .key_path = path_of("server.key"),
                                .client_ca_path = certificates ? path_of("ca.pem") : NULL,
                                .client_required = certificates};
  struct tls_context *context = NULL;
  assert_int_equal(tls_context_new(&options, &context, NULL), STATUS_OK);
  world->options.tls = context;
  world_start(world);
  world->options.tls = NULL;
  tls_context_free(context); /* the server has a share */
  return world;
}

static int start(void **state) {
  http1 = true;
  *state = begin(false);
  return 0;
}

static int start_http2(void **state) {
  http1 = false;
  *state = begin(false);
  return 0;
}

static int start_with_certificates(void **state) {
  http1 = true;
  *state = begin(true);
  return 0;
}

static int start_http2_with_certificates(void **state) {
  http1 = false;
  *state = begin(true);
  return 0;
}

static int end(void **state) {
  world_end(*state);
  return 0;
}

/* ---- our client ---------------------------------------------------------------------------- */

struct talk {
  int64_t send_bytes, sent_bytes;
  struct text answer;
};

static uint8_t body_byte(int64_t at) { return (uint8_t)(at * 7 + at / 251); }

static enum status give(void *context, void *room, size_t room_bytes, size_t *bytes,
                        struct error *error) {
  struct talk *talk = context;
  (void)error;
  int64_t left = talk->send_bytes - talk->sent_bytes;
  *bytes = (size_t)left < room_bytes ? (size_t)left : room_bytes;
  for (size_t i = 0; i < *bytes; i++)
    ((uint8_t *)room)[i] = body_byte(talk->sent_bytes + (int64_t)i);
  talk->sent_bytes += (int64_t)*bytes;
  return STATUS_OK;
}

static enum status take(void *context, int code, const void *data, size_t bytes,
                        struct error *error) {
  struct talk *talk = context;
  (void)code;
  return text_add_bytes(&talk->answer, data, bytes, error);
}

static struct http_client *client_new(bool with_certificate) {
  struct http_client *made = NULL;
  struct http_client_access access = {.ca_path = path_of("ca.pem"), .http1 = http1};
  if (with_certificate) {
    access.cert_path = path_of("client.pem");
    access.key_path = path_of("client.key");
  }
  assert_int_equal(http_client_new(&made, NULL), STATUS_OK);
  assert_int_equal(http_client_set_access(made, &access, NULL), STATUS_OK);
  return made;
}

static enum status ask(struct http_client *asking, const struct world *world, const char *path,
                       struct talk *talk, int *code, struct error *error) {
  char url[256];
  snprintf(url, sizeof url, "https://127.0.0.1:%d%s", world->port, path);
  struct http_client_request request = {.method = talk->send_bytes > 0 ? "POST" : "GET",
                                        .url = url,
                                        .read_body = talk->send_bytes > 0 ? give : NULL,
                                        .answer = take,
                                        .context = talk,
                                        .timeout_ms = 60000};
  return http_client_send(asking, &request, code, error);
}

static void bodies_of_every_size_go_both_ways(void **state) {
  struct world *world = *state;
  static const int64_t sizes[] = {0, 1, 16383, 16384, 16385, 131072, 1000000, 5000000};
  struct http_client *asking = client_new(false);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct talk talk = {.send_bytes = sizes[i]};
    struct error error = {.text = ""};
    int code = 0;
    if (ask(asking, world, "/echo", &talk, &code, &error) != STATUS_OK) fail_msg("%s", error.text);
    assert_int_equal(code, 200);
    assert_int_equal(talk.answer.size_bytes, sizes[i]);
    for (int64_t at = 0; at < sizes[i]; at++)
      if ((uint8_t)talk.answer.data[at] != body_byte(at)) fail_msg("byte %lld", (long long)at);
    text_release(&talk.answer);
  }
  http_client_free(asking);
}

static void answers_are_streamed_and_bodies_paused(void **state) {
  struct world *world = *state;
  static const struct {
    const char *path;
    int64_t send_bytes;
    int code;
    int64_t answer_bytes; /* -1: any */
  } cases[] = {
      {"/stream?n=200&size=10000", 0, 200, 2000000},
      {"/flood?n=200&size=10000", 0, 200, 2000000},
      {"/pause", 300000, 200, -1},
      {"/slow", 300000, 200, 4},
      {"/none", 300000, 404, 4},
      {"/early?at=1000", 3000000, 413, -1},
      {"/count?window=100", 300000, 200, -1},
  };
  struct http_client *asking = client_new(false);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct talk talk = {.send_bytes = cases[i].send_bytes};
    struct error error = {.text = ""};
    int code = 0;
    if (ask(asking, world, cases[i].path, &talk, &code, &error) != STATUS_OK)
      fail_msg("%s: %s", cases[i].path, error.text);
    assert_int_equal(code, cases[i].code);
    if (cases[i].answer_bytes >= 0) assert_int_equal(talk.answer.size_bytes, cases[i].answer_bytes);
    text_release(&talk.answer);
  }
  http_client_free(asking);
}

static void an_answer_that_breaks_off_is_none(void **state) {
  struct world *world = *state;
  struct http_client *asking = client_new(false);
  struct talk talk = {.send_bytes = 0};
  struct error error = {.text = ""};
  int code = 0;
  assert_int_equal(ask(asking, world, "/abort", &talk, &code, &error), STATUS_UNAVAILABLE);
  text_release(&talk.answer);
  http_client_free(asking);
}

static void a_client_certificate_is_required(void **state) {
  struct world *world = *state;
  struct error error = {.text = ""};
  for (int with = 0; with < 2; with++) {
    struct http_client *asking = client_new(with == 1);
    struct talk talk = {.send_bytes = 1000};
    int code = 0;
    enum status status = ask(asking, world, "/echo", &talk, &code, &error);
    if (status != (with == 1 ? STATUS_OK : STATUS_DENIED)) fail_msg("%d: %s", with, error.text);
    if (with == 0) assert_non_null(strstr(error.text, "wants a client certificate"));
    assert_int_equal(world->requests, with); /* the other one was never looked at */
    text_release(&talk.answer);
    http_client_free(asking);
  }
}

/* ---- clients that misbehave ------------------------------------------------------------------ */

static void who_speaks_in_the_clear_is_told(void **state) {
  struct world *world = *state;
  static const char *const said[] = {"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                                     "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
                                     "hello\r\n\r\n"};
  for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
    int fd = wire_connect(world->port);
    wire_say(fd, said[i]);
    struct wire_answer answer = wire_answer(fd, false);
    assert_int_equal(answer.code, 400);
    assert_non_null(strstr(text_get(&answer.body), "https://"));
    assert_true(wire_ended(fd));
    wire_answer_release(&answer);
    close(fd);
  }
  assert_int_equal(world->requests, 0);
}

struct raw {
  SSL_CTX *context;
  SSL *ssl;
  int fd;
};

static struct raw raw_connect(const struct world *world, int version_max) {
  struct raw raw = {.context = SSL_CTX_new(TLS_client_method()), .fd = wire_connect(world->port)};
  SSL_CTX_set_security_level(raw.context, 0);
  SSL_CTX_set_min_proto_version(raw.context, TLS1_VERSION);
  SSL_CTX_set_max_proto_version(raw.context, version_max);
  raw.ssl = SSL_new(raw.context);
  SSL_set_fd(raw.ssl, raw.fd);
  return raw;
}

static void raw_close(struct raw *raw) {
  SSL_free(raw->ssl);
  SSL_CTX_free(raw->context);
  close(raw->fd);
  ERR_clear_error();
}

static void an_old_version_is_refused_with_an_alert(void **state) {
  struct world *world = *state;
  struct raw raw = raw_connect(world, TLS1_1_VERSION);
  assert_int_not_equal(SSL_connect(raw.ssl), 1);
  assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
  wire_try_send(raw.fd, "what comes afterwards is dropped", 32);
  assert_true(wire_ended(raw.fd));
  raw_close(&raw);
}

static void a_body_that_is_cut_off_is_not_whole(void **state) {
  struct world *world = *state;
  static const char head[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf";
  struct raw raw = raw_connect(world, TLS1_3_VERSION);
  assert_int_equal(SSL_connect(raw.ssl), 1);
  assert_int_equal(SSL_write(raw.ssl, head, sizeof head - 1), sizeof head - 1);
  world_wait(&world->requests, 1);
  raw_close(&raw);
  world_wait(&world->gones, 1);
  assert_int_equal(world->ends, 0);
}

static void one_byte_at_a_time_is_enough(void **state) {
  struct world *world = *state;
  static const char text[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                             "Connection: close\r\n\r\nhello";
  struct raw raw = raw_connect(world, TLS1_2_VERSION);
  char answer[2000];
  size_t used = 0;
  assert_int_equal(SSL_connect(raw.ssl), 1);
  for (size_t i = 0; i < sizeof text - 1; i++) assert_int_equal(SSL_write(raw.ssl, text + i, 1), 1);
  for (;;) {
    int got = SSL_read(raw.ssl, answer + used, (int)(sizeof answer - 1 - used));
    if (got <= 0) break;
    used += (size_t)got;
  }
  answer[used] = '\0';
  assert_non_null(strstr(answer, "\r\n\r\nhello"));
  assert_int_equal(SSL_get_shutdown(raw.ssl), SSL_RECEIVED_SHUTDOWN); /* close_notify came */
  raw_close(&raw);
}

static void a_handshake_that_stops_ends_in_time(void **state) {
  struct world *world = *state;
  int silent = wire_connect(world->port), half = wire_connect(world->port);
  wire_send(half, "\x16\x03\x01\x02\x00\x01\x00", 7);
  assert_true(wire_ended(half)); /* header_timeout_ms */
  close(half);
  close(silent);
  int gone = wire_connect(world->port);
  wire_send(gone, "\x16\x03\x01\x02\x00\x01\x00", 7);
  wire_reset(gone);
  struct http_client *asking = client_new(false); /* and others are served */
  struct talk talk = {.send_bytes = 10};
  struct error error = {.text = ""};
  int code = 0;
  if (ask(asking, world, "/echo", &talk, &code, &error) != STATUS_OK) fail_msg("%s", error.text);
  text_release(&talk.answer);
  http_client_free(asking);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(bodies_of_every_size_go_both_ways, start, end),
      cmocka_unit_test_setup_teardown(bodies_of_every_size_go_both_ways, start_http2, end),
      cmocka_unit_test_setup_teardown(answers_are_streamed_and_bodies_paused, start, end),
      cmocka_unit_test_setup_teardown(answers_are_streamed_and_bodies_paused, start_http2, end),
      cmocka_unit_test_setup_teardown(an_answer_that_breaks_off_is_none, start, end),
      cmocka_unit_test_setup_teardown(an_answer_that_breaks_off_is_none, start_http2, end),
      cmocka_unit_test_setup_teardown(a_client_certificate_is_required,
                                      start_http2_with_certificates, end),
      cmocka_unit_test_setup_teardown(a_client_certificate_is_required, start_with_certificates,
                                      end),
      cmocka_unit_test_setup_teardown(who_speaks_in_the_clear_is_told, start, end),
      cmocka_unit_test_setup_teardown(an_old_version_is_refused_with_an_alert, start, end),
      cmocka_unit_test_setup_teardown(a_body_that_is_cut_off_is_not_whole, start, end),
      cmocka_unit_test_setup_teardown(one_byte_at_a_time_is_enough, start, end),
      cmocka_unit_test_setup_teardown(a_handshake_that_stops_ends_in_time, start, end),
  };
  return cmocka_run_group_tests(tests, make_files, remove_files);
}
