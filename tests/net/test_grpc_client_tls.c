/* The client over TLS: whom it trusts, what it says when it does not, and that bytes are the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/certs.h"
#include "net/grpc_client.h"
#include "net/grpc_server.h"

static char folder[64];
static struct cert ca, other_ca;

static const char *path_of(const char *name) {
  static char paths[16][128];
  static int next;
  char *path = paths[next++ % 16];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static void write_cert(const char *name, struct cert_wish wish) {
  char file[64];
  struct cert cert = cert_make(wish);
  const struct cert *one[] = {&cert};
  snprintf(file, sizeof file, "%s.pem", name);
  cert_write(path_of(file), one, 1);
  snprintf(file, sizeof file, "%s.key", name);
  cert_write_key(path_of(file), &cert, 0600, NULL);
  cert_release(&cert);
}

static int make_files(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/arrowport-grpc-XXXXXX");
  assert_non_null(mkdtemp(folder));
  ca = cert_make((struct cert_wish){.cn = "the CA", .ca = true});
  other_ca = cert_make((struct cert_wish){.cn = "another CA", .ca = true});
  const struct cert *one[] = {&ca};
  cert_write(path_of("ca.pem"), one, 1);
  one[0] = &other_ca;
  cert_write(path_of("other-ca.pem"), one, 1);
  write_cert("ip", (struct cert_wish){.cn = "s", .alt = "IP:127.0.0.1", .issuer = &ca});
  write_cert("name", (struct cert_wish){.cn = "s", .alt = "DNS:flight.example", .issuer = &ca});
  write_cert(
      "expired",
      (struct cert_wish){
          .cn = "s", .alt = "IP:127.0.0.1", .issuer = &ca, .from_s = -7200, .until_s = -3600});
  write_cert("client", (struct cert_wish){.cn = "loader", .issuer = &ca});
  write_cert("stranger", (struct cert_wish){.cn = "loader", .issuer = &other_ca});
  return 0;
}

static int remove_files(void **state) {
  (void)state;
  char command[128];
  cert_release(&ca);
  cert_release(&other_ca);
  snprintf(command, sizeof command, "rm -r %s", folder);
  return system(command);
}

struct wish {
  const char *what;
  const char *server_cert;
  bool client_required, no_alpn, plain_server, plain_client;
  const char *ca, *cert, *name; /* of the client */
  bool insecure;
  enum status status;
  const char *text;
};

static struct grpc_test_server *server_of(const struct wish *wish) {
  char cert[64], key[64];
  snprintf(cert, sizeof cert, "%s.pem", wish->server_cert);
  snprintf(key, sizeof key, "%s.key", wish->server_cert);
  const struct grpc_test_options options = {.cert_path = wish->plain_server ? NULL : path_of(cert),
                                            .key_path = path_of(key),
                                            .client_ca_path =
                                                wish->client_required ? path_of("ca.pem") : NULL,
                                            .no_alpn = wish->no_alpn};
  return grpc_test_server_new(&options);
}

static struct grpc_channel *channel_of(const struct wish *wish, struct grpc_test_server *server) {
  char cert[64], key[64];
  struct grpc_channel *channel = NULL;
  struct error error = {0};
  snprintf(cert, sizeof cert, "%s.pem", wish->cert == NULL ? "" : wish->cert);
  snprintf(key, sizeof key, "%s.key", wish->cert == NULL ? "" : wish->cert);
  const struct grpc_channel_options options = {
      .host = "127.0.0.1",
      .port = grpc_test_server_port(server),
      .tls = !wish->plain_client,
      .ca_path = wish->ca == NULL ? NULL : path_of(wish->ca),
      .cert_path = wish->cert == NULL ? NULL : path_of(cert),
      .key_path = wish->cert == NULL ? NULL : path_of(key),
      .server_name = wish->name,
      .insecure = wish->insecure,
      .connect_timeout_ms = 5000};
  if (grpc_channel_open(&options, &channel, &error) != STATUS_OK) fail_msg("%s", error.text);
  return channel;
}

static const struct wish WISHES[] = {
    {.what = "good", .server_cert = "ip", .ca = "ca.pem"},
    {.what = "by name", .server_cert = "name", .ca = "ca.pem", .name = "flight.example"},
    {.what = "with a certificate",
     .server_cert = "ip",
     .ca = "ca.pem",
     .client_required = true,
     .cert = "client"},
    {.what = "insecure", .server_cert = "expired", .insecure = true},
    {.what = "another CA",
     .server_cert = "ip",
     .ca = "other-ca.pem",
     .status = STATUS_DENIED,
     .text = "nobody who is trusted"},
    {.what = "the system's CAs",
     .server_cert = "ip",
     .status = STATUS_DENIED,
     .text = "nobody who is trusted"},
    {.what = "another name",
     .server_cert = "name",
     .ca = "ca.pem",
     .status = STATUS_DENIED,
     .text = "another server"},
    {.what = "another name too",
     .server_cert = "name",
     .ca = "ca.pem",
     .name = "other.example",
     .status = STATUS_DENIED,
     .text = "another server"},
    {.what = "expired",
     .server_cert = "expired",
     .ca = "ca.pem",
     .status = STATUS_DENIED,
     .text = "expired"},
    {.what = "no client certificate",
     .server_cert = "ip",
     .ca = "ca.pem",
     .client_required = true,
     .status = STATUS_DENIED,
     .text = "client certificate"},
    {.what = "a stranger's certificate",
     .server_cert = "ip",
     .ca = "ca.pem",
     .client_required = true,
     .cert = "stranger",
     .status = STATUS_DENIED,
     .text = "client certificate"},
    {.what = "no ALPN",
     .server_cert = "ip",
     .ca = "ca.pem",
     .no_alpn = true,
     .status = STATUS_UNSUPPORTED,
     .text = "ALPN"},
};

static void whom_it_trusts(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof WISHES / sizeof WISHES[0]; i++) {
    const struct wish *wish = &WISHES[i];
    struct grpc_test_server *server = server_of(wish);
    struct grpc_channel *channel = channel_of(wish, server);
    struct buffer answer = BUFFER_EMPTY;
    struct error error = {0};
    enum status status =
        grpc_client_unary(channel, "/t/echo", NULL, 0, 0, "hello", 5, &answer, &error);
    if (status != wish->status || (wish->text != NULL && strstr(error.text, wish->text) == NULL))
      fail_msg("%s: %s, %s", wish->what, status_name(status), error.text);
    if (status == STATUS_OK) assert_memory_equal(answer.data, "hello", 5);
    buffer_release(&answer);
    grpc_channel_close(channel);
    grpc_test_server_free(server);
  }
}

static void files_that_are_wrong(void **state) {
  (void)state;
  static const struct {
    const char *ca, *cert, *key;
    enum status status;
  } cases[] = {
      {"none.pem", NULL, NULL, STATUS_NOT_FOUND},
      {"client.key", NULL, NULL, STATUS_INVALID},
      {"ca.pem", "client.pem", NULL, STATUS_INVALID}, /* no key in it */
      {"ca.pem", "client.pem", "ip.key", STATUS_INVALID},
      {"ca.pem", NULL, "client.key", STATUS_INVALID},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct grpc_channel *channel = NULL;
    struct error error = {0};
    const struct grpc_channel_options options = {
        .host = "127.0.0.1",
        .port = 1,
        .tls = true,
        .ca_path = path_of(cases[i].ca),
        .cert_path = cases[i].cert == NULL ? NULL : path_of(cases[i].cert),
        .key_path = cases[i].key == NULL ? NULL : path_of(cases[i].key)};
    assert_int_equal(grpc_channel_open(&options, &channel, &error), cases[i].status);
    assert_null(channel);
    assert_true(strlen(error.text) > 0);
  }
}

/* Sizes around those of TLS's records and of what is encrypted at once. */
static void bytes_are_the_same(void **state) {
  (void)state;
  static const size_t sizes[] = {0,     1,      100,    16370,  16379,  16380,   16384,
                                 32768, 262000, 262144, 262200, 999999, 1048576, 9000001};
  struct grpc_test_server *server = server_of(&WISHES[0]);
  struct grpc_channel *channel = channel_of(&WISHES[0], server);
  struct grpc_client_call *call = NULL;
  struct buffer message = BUFFER_EMPTY;
  bool got = false;
  uint8_t *data = malloc(9000001);
  for (size_t i = 0; i < 9000001; i++) data[i] = (uint8_t)(i * 31 + i / 257);
  assert_int_equal(grpc_client_start(channel, "/t/echo", NULL, 0, 0, NULL, &call, NULL), STATUS_OK);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    assert_int_equal(grpc_client_send(call, data, sizes[i], NULL), STATUS_OK);
    assert_int_equal(grpc_client_next(call, &message, &got, NULL), STATUS_OK);
    assert_true(got && message.size_bytes == (int64_t)sizes[i]);
    if (sizes[i] > 0) assert_memory_equal(message.data, data, sizes[i]);
  }
  assert_int_equal(grpc_client_close_sending(call, NULL), STATUS_OK);
  assert_int_equal(grpc_client_next(call, &message, &got, NULL), STATUS_OK);
  assert_false(got);
  buffer_release(&message);
  grpc_client_free(call);
  grpc_channel_close(channel);
  grpc_test_server_free(server);
  free(data);
}

/* Plain text to a server of TLS. */
static void tls_is_missing(void **state) {
  (void)state;
  struct wish wish = WISHES[0];
  wish.plain_client = true;
  wish.ca = NULL;
  struct grpc_test_server *server = server_of(&wish);
  struct grpc_channel *channel = channel_of(&wish, server);
  struct buffer answer = BUFFER_EMPTY;
  struct error error = {0};
  assert_int_not_equal(grpc_client_unary(channel, "/t/echo", NULL, 0, 0, "x", 1, &answer, &error),
                       STATUS_OK);
  grpc_channel_close(channel);
  grpc_test_server_free(server);
}

/* The other way round: the server may close before a word of its own has come. */
static void the_server_speaks_no_tls(void **state) {
  (void)state;
  struct wish wish = WISHES[0];
  wish.plain_server = true;
  struct grpc_test_server *server = server_of(&wish);
  struct grpc_channel *channel = channel_of(&wish, server);
  struct buffer answer = BUFFER_EMPTY;
  struct error error = {0};
  enum status status = grpc_client_unary(channel, "/t/echo", NULL, 0, 0, "x", 1, &answer, &error);
  assert_true(status == STATUS_INVALID || status == STATUS_UNAVAILABLE);
  assert_non_null(strstr(error.text, "speak TLS"));
  grpc_channel_close(channel);
  grpc_test_server_free(server);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whom_it_trusts),           cmocka_unit_test(files_that_are_wrong),
      cmocka_unit_test(bytes_are_the_same),       cmocka_unit_test(tls_is_missing),
      cmocka_unit_test(the_server_speaks_no_tls),
  };
  return cmocka_run_group_tests(tests, make_files, remove_files);
}
