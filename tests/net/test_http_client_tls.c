/* The client over TLS, against OpenSSL's own server side. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "base/text.h"
#include "net/certs.h"
#include "net/http_client.h"

static char folder[64];
static struct cert ca, other_ca, server, elsewhere, expired, client, stranger;

static const char *path_of(const char *name) {
  static char paths[8][128];
  static int next;
  char *path = paths[next++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static void put(const char *name, const struct cert *cert) {
  char file[64];
  snprintf(file, sizeof file, "%s.pem", name);
  cert_write(path_of(file), &cert, 1);
  snprintf(file, sizeof file, "%s.key", name);
  cert_write_key(path_of(file), cert, 0600, NULL);
}

static int make_files(void **state) {
  (void)state;
  signal(SIGPIPE, SIG_IGN);
  snprintf(folder, sizeof folder, "/tmp/arrowport-client-XXXXXX");
  assert_non_null(mkdtemp(folder));
  ca = cert_make((struct cert_wish){.cn = "the CA", .ca = true});
  other_ca = cert_make((struct cert_wish){.cn = "another CA", .ca = true});
  server = cert_make((struct cert_wish){.cn = "s", .alt = "IP:127.0.0.1", .issuer = &ca});
  elsewhere = cert_make((struct cert_wish){.cn = "s", .alt = "DNS:else.example", .issuer = &ca});
  expired = cert_make((struct cert_wish){
      .cn = "s", .alt = "IP:127.0.0.1", .issuer = &ca, .from_s = -7200, .until_s = -3600});
  client = cert_make((struct cert_wish){.cn = "loader", .issuer = &ca});
  stranger = cert_make((struct cert_wish){.cn = "loader", .issuer = &other_ca});
  put("ca", &ca);
  put("other", &other_ca);
  put("client", &client);
  put("stranger", &stranger);
  cert_write_key(path_of("encrypted.key"), &client, 0600, "secret");
  return 0;
}

static int remove_files(void **state) {
  (void)state;
  struct cert *all[] = {&ca, &other_ca, &server, &elsewhere, &expired, &client, &stranger};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) cert_release(all[i]);
  char command[128];
  snprintf(command, sizeof command, "rm -r %s", folder);
  return system(command);
}

/* ---- a server for one connection ------------------------------------------------------ */

struct peer {
  const struct cert *cert; /* NULL: no TLS, HTTP in the clear */
  bool wants_certificate;
  int version_max;
  int listener, port;
  pthread_t thread;
  char head[4096]; /* of the request; "" when none came */
};

static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

static void serve_tls(struct peer *peer, int fd) {
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  SSL_CTX_use_certificate(context, peer->cert->x509);
  SSL_CTX_use_PrivateKey(context, peer->cert->key);
  SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_security_level(context, 0);
  SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
  SSL_CTX_set_max_proto_version(context, peer->version_max);
  if (peer->version_max < TLS1_2_VERSION) SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0");
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca.x509);
  if (peer->wants_certificate)
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  SSL *ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  size_t used = 0;
  if (SSL_accept(ssl) == 1) {
    while (strstr(peer->head, "\r\n\r\n") == NULL && used < sizeof peer->head - 1) {
      int got = SSL_read(ssl, peer->head + used, (int)(sizeof peer->head - 1 - used));
      if (got <= 0) break;
      used += (size_t)got;
    }
    if (used > 0) SSL_write(ssl, ANSWER, sizeof ANSWER - 1);
    SSL_shutdown(ssl);
  }
  SSL_free(ssl);
  SSL_CTX_free(context);
}

static void *serve(void *context) {
  struct peer *peer = context;
  int fd = accept(peer->listener, NULL, NULL);
  if (fd < 0) return NULL;
  char rest[4096];
  if (peer->cert != NULL) {
    serve_tls(peer, fd);
  } else if (recv(fd, rest, sizeof rest, 0) > 0) {
    static const char refusal[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    send(fd, refusal, sizeof refusal - 1, MSG_NOSIGNAL);
  }
  shutdown(fd, SHUT_WR); /* and no reset, which would swallow an alert */
  while (recv(fd, rest, sizeof rest, 0) > 0) {
  }
  close(fd);
  return NULL;
}

static void peer_begin(struct peer *peer) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t address_bytes = sizeof address;
  peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(peer->listener, 1), 0);
  assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &address_bytes), 0);
  peer->port = ntohs(address.sin_port);
  assert_int_equal(pthread_create(&peer->thread, NULL, serve, peer), 0);
}

static void peer_end(struct peer *peer) {
  assert_int_equal(pthread_join(peer->thread, NULL), 0);
  close(peer->listener);
}

/* ---- one request -------------------------------------------------------------------------- */

static struct http_client *client_with(const struct http_client_access *access) {
  struct http_client *made = NULL;
  struct error error = {.text = ""};
  if (http_client_new(&made, &error) != STATUS_OK ||
      http_client_set_access(made, access, &error) != STATUS_OK)
    fail_msg("%s", error.text);
  return made;
}

static enum status ask(struct peer *peer, const struct http_client_access *access,
                       struct error *error) {
  char url[64];
  int code = 0;
  peer_begin(peer);
  snprintf(url, sizeof url, "https://127.0.0.1:%d/x", peer->port);
  struct http_client *asking = client_with(access);
  struct http_client_request request = {
      .method = "POST", .url = url, .body = "body", .body_bytes = 4, .timeout_ms = 10000};
  enum status status = http_client_send(asking, &request, &code, error);
  http_client_free(asking);
  peer_end(peer);
  if (status == STATUS_OK) assert_int_equal(code, 200);
  return status;
}

static void whom_the_client_trusts(void **state) {
  (void)state;
  const struct {
    const struct cert *cert;
    const char *ca_path;
    bool insecure;
    enum status status;
    const char *text;
  } cases[] = {
      {&server, path_of("ca.pem"), false, STATUS_OK, ""},
      {&server, NULL, true, STATUS_OK, ""},
      {&expired, NULL, true, STATUS_OK, ""},
      {&elsewhere, NULL, true, STATUS_OK, ""},
      {&server, NULL, false, STATUS_DENIED,
       "is not to be trusted: SSL certificate problem: unable"},
      {&server, path_of("other.pem"), false, STATUS_DENIED, "is not to be trusted: "},
      {&expired, path_of("ca.pem"), false, STATUS_DENIED, "certificate has expired"},
      {&elsewhere, path_of("ca.pem"), false, STATUS_DENIED,
       "subject name matches target host name '127.0.0.1'"},
      {NULL, path_of("ca.pem"), false, STATUS_UNAVAILABLE, "does not speak TLS"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct peer peer = {.cert = cases[i].cert, .version_max = TLS1_3_VERSION};
    struct http_client_access access = {.ca_path = cases[i].ca_path, .insecure = cases[i].insecure};
    struct error error = {.text = ""};
    enum status status = ask(&peer, &access, &error);
    if (status != cases[i].status || strstr(error.text, cases[i].text) == NULL)
      fail_msg("case %zu: %s: '%s'", i, status_name(status), error.text);
    if (status != STATUS_OK) assert_string_equal(peer.head, "");
  }
}

static void tls_below_1_2_is_not_spoken(void **state) {
  (void)state;
  struct peer peer = {.cert = &server, .version_max = TLS1_1_VERSION};
  struct http_client_access access = {.ca_path = path_of("ca.pem")};
  struct error error = {.text = ""};
  assert_int_equal(ask(&peer, &access, &error), STATUS_UNAVAILABLE);
  assert_non_null(strstr(error.text, "no TLS handshake with https://127.0.0.1:"));
}

static void the_clients_own_certificate(void **state) {
  (void)state;
  const struct {
    const char *cert, *key;
    enum status status;
    const char *text;
  } cases[] = {
      {"client.pem", "client.key", STATUS_OK, ""},
      {NULL, NULL, STATUS_DENIED, "wants a client certificate, and none was given"},
      {"stranger.pem", "stranger.key", STATUS_DENIED, "does not take the client certificate"},
      {"client.pem", "stranger.key", STATUS_INVALID,
       "the client certificate or its key cannot be used: "},
      {"client.pem", NULL, STATUS_INVALID, "the client certificate or its key cannot be used: "},
      {"client.pem", "encrypted.key", STATUS_INVALID,
       "the client certificate or its key cannot be used: "},
  };
  for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++)
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
      struct peer peer = {.cert = &server, .wants_certificate = true, .version_max = version};
      struct http_client_access access = {.ca_path = path_of("ca.pem")};
      if (cases[i].cert != NULL) access.cert_path = path_of(cases[i].cert);
      if (cases[i].key != NULL) access.key_path = path_of(cases[i].key);
      struct error error = {.text = ""};
      enum status status = ask(&peer, &access, &error);
      /* In TLS 1.2 there is no alert of its own for a certificate that is missing. */
      bool vague = version == TLS1_2_VERSION && cases[i].cert == NULL;
      if (vague && status == STATUS_UNAVAILABLE) continue;
      if (status != cases[i].status || strstr(error.text, cases[i].text) == NULL)
        fail_msg("case %zu, %x: %s: '%s'", i, (unsigned)version, status_name(status), error.text);
    }
}

static void secrets_are_sent_and_nowhere_else(void **state) {
  (void)state;
  static const struct {
    struct http_client_access access;
    const char *line;
  } cases[] = {
      {{.token = "s3cret-t0ken"}, "authorization: bearer s3cret-t0ken\r\n"},
      {{.user = "me", .password = "a:b c"}, "authorization: basic bwu6ytpiigm=\r\n"},
      {{.user = "me"}, "authorization: basic bwu6\r\n"},
      {{.insecure = false}, NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct peer peer = {.cert = &server, .version_max = TLS1_3_VERSION};
    struct http_client_access access = cases[i].access;
    struct error error = {.text = ""};
    access.ca_path = path_of("ca.pem");
    if (ask(&peer, &access, &error) != STATUS_OK) fail_msg("%s", error.text);
    for (char *at = peer.head; *at != '\0'; at++)
      if (*at >= 'A' && *at <= 'Z') *at = (char)(*at + 'a' - 'A');
    if (cases[i].line == NULL)
      assert_null(strstr(peer.head, "authorization"));
    else if (strstr(peer.head, cases[i].line) == NULL)
      fail_msg("%s", peer.head);
    /* A server that is not trusted does not see it, nor does the error. */
    struct peer wrong = {.cert = &elsewhere, .version_max = TLS1_3_VERSION};
    assert_int_equal(ask(&wrong, &access, &error), STATUS_DENIED);
    assert_string_equal(wrong.head, "");
    assert_null(strstr(error.text, "s3cret"));
    assert_null(strstr(error.text, "a:b c"));
  }
}

static void access_that_cannot_be_had_is_refused(void **state) {
  (void)state;
  const struct {
    struct http_client_access access;
    enum status status;
    const char *text;
  } cases[] = {
      {{.token = "s3cret", .user = "me"}, STATUS_INVALID, "a token or a user, not both"},
      {{.token = ""}, STATUS_INVALID, "the token is empty"},
      {{.token = "s3cret\r\nx: y"}, STATUS_INVALID, "spaces or control characters"},
      {{.token = "s3cret s3cret"}, STATUS_INVALID, "spaces or control characters"},
      {{.user = "", .password = "s3cret"}, STATUS_INVALID, "the user is empty"},
      {{.user = "a:b", .password = "s3cret"}, STATUS_INVALID, "holds a colon"},
      {{.user = "a", .password = "s3cret\n"}, STATUS_INVALID, "control characters"},
      {{.key_path = "k"}, STATUS_INVALID, "a private key needs its certificate"},
      {{.ca_path = "/none/ca.pem"}, STATUS_NOT_FOUND, "CA file '/none/ca.pem': "},
      {{.cert_path = "/none/c.pem"}, STATUS_NOT_FOUND, "certificate '/none/c.pem': "},
      {{.cert_path = path_of("client.pem"), .key_path = "/none/k"},
       STATUS_NOT_FOUND,
       "private key '/none/k': "},
  };
  struct http_client *asking = NULL;
  assert_int_equal(http_client_new(&asking, NULL), STATUS_OK);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {.text = ""};
    enum status status = http_client_set_access(asking, &cases[i].access, &error);
    if (status != cases[i].status || strstr(error.text, cases[i].text) == NULL)
      fail_msg("case %zu: %s: '%s'", i, status_name(status), error.text);
    assert_null(strstr(error.text, "s3cret"));
  }
  http_client_free(asking);
}

static void a_ca_file_without_certificates_is_named(void **state) {
  (void)state;
  struct peer peer = {.cert = &server, .version_max = TLS1_3_VERSION};
  struct http_client_access access = {.ca_path = path_of("ca.key")};
  struct error error = {.text = ""};
  assert_int_equal(ask(&peer, &access, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "the CA file holds no certificates: "));
  assert_non_null(strstr(error.text, "ca.key"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whom_the_client_trusts),
      cmocka_unit_test(tls_below_1_2_is_not_spoken),
      cmocka_unit_test(the_clients_own_certificate),
      cmocka_unit_test(secrets_are_sent_and_nowhere_else),
      cmocka_unit_test(access_that_cannot_be_had_is_refused),
      cmocka_unit_test(a_ca_file_without_certificates_is_named),
  };
  return cmocka_run_group_tests(tests, make_files, remove_files);
}
