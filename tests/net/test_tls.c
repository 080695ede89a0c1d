/* The server's side against OpenSSL's own client, in one process, through memory. */
#include "net/tls.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/log.h"
#include "net/certs.h"

/* ---- certificates and files -------------------------------------------------------- */

static char folder[64];
static struct cert ca, server, client, other_ca, stranger, expired, early, middle, under_middle,
    nameless;

static const char *path_of(const char *name) {
  static char paths[4][128];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static void write_text(const char *name, const char *text) {
  FILE *file = fopen(path_of(name), "w");
  assert_non_null(file);
  fputs(text, file);
  assert_int_equal(fclose(file), 0);
}

static int make_files(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/arrowport-tls-XXXXXX");
  assert_non_null(mkdtemp(folder));
  ca = cert_make((struct cert_wish){.cn = "the CA", .ca = true});
  other_ca = cert_make((struct cert_wish){.cn = "another CA", .ca = true});
  server = cert_make((struct cert_wish){.cn = "localhost", .alt = "DNS:localhost", .issuer = &ca});
  client = cert_make((struct cert_wish){.cn = "loader", .alt = "DNS:x.example", .issuer = &ca});
  stranger = cert_make((struct cert_wish){.cn = "loader", .issuer = &other_ca});
  expired = cert_make(
      (struct cert_wish){.cn = "loader", .issuer = &ca, .from_s = -7200, .until_s = -3600});
  early =
      cert_make((struct cert_wish){.cn = "loader", .issuer = &ca, .from_s = 3600, .until_s = 7200});
  middle = cert_make((struct cert_wish){.cn = "middle", .issuer = &ca, .ca = true});
  under_middle = cert_make((struct cert_wish){.cn = "under", .issuer = &middle});
  nameless = cert_make((struct cert_wish){.alt = "DNS:a.example,DNS:b.example", .issuer = &ca});
  const struct cert *server_chain[] = {&server, &ca};
  const struct cert *one[] = {&ca};
  cert_write(path_of("server.pem"), server_chain, 2);
  cert_write_key(path_of("server.key"), &server, 0600, NULL);
  cert_write(path_of("ca.pem"), one, 1);
  one[0] = &middle;
  cert_write(path_of("middle.pem"), one, 1);
  return 0;
}

static int remove_files(void **state) {
  (void)state;
  struct cert *all[] = {&ca,      &server, &client, &other_ca,     &stranger,
                        &expired, &early,  &middle, &under_middle, &nameless};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) cert_release(all[i]);
  char command[128];
  snprintf(command, sizeof command, "rm -r %s", folder);
  return system(command);
}

/* ---- both ends ----------------------------------------------------------------------- */

struct pair {
  struct tls_context *context;
  struct tls_session *session;
  SSL_CTX *client_context;
  SSL *client;
  size_t piece_bytes; /* of ciphertext on its way to the server */
  enum status status; /* of the server */
  struct error error;
  struct buffer got; /* by the server */
  bool ended;
};

static struct budget budget = {.limit_bytes = INT64_MAX};

static struct tls_context *context_new(const char *client_ca, bool required) {
  struct tls_options options = {.cert_path = path_of("server.pem"),
                                .key_path = path_of("server.key"),
                                .client_ca_path = client_ca == NULL ? NULL : path_of(client_ca),
                                .client_required = required};
  struct tls_context *context = NULL;
  struct error error = {.text = ""};
  if (tls_context_new(&options, &context, &error) != STATUS_OK) fail_msg("%s", error.text);
  return context;
}

/* Takes the context over. */
static struct pair pair_new(struct tls_context *context) {
  struct pair pair = {.context = context, .piece_bytes = 1 << 20};
  assert_int_equal(tls_session_new(context, &pair.session, NULL), STATUS_OK);
  pair.client_context = SSL_CTX_new(TLS_client_method());
  assert_non_null(pair.client_context);
  X509_STORE_add_cert(SSL_CTX_get_cert_store(pair.client_context), ca.x509);
  SSL_CTX_set_verify(pair.client_context, SSL_VERIFY_PEER, NULL);
  return pair;
}

static void client_new(struct pair *pair) {
  pair->client = SSL_new(pair->client_context);
  SSL_set_bio(pair->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  BIO_set_mem_eof_return(SSL_get_rbio(pair->client), -1);
  SSL_set1_host(pair->client, "localhost");
  SSL_set_connect_state(pair->client);
}

static void client_uses(struct pair *pair, const struct cert *cert, const struct cert *above) {
  SSL_CTX_use_certificate(pair->client_context, cert->x509);
  SSL_CTX_use_PrivateKey(pair->client_context, cert->key);
  if (above != NULL) SSL_CTX_add1_chain_cert(pair->client_context, above->x509);
}

static void pair_release(struct pair *pair) {
  tls_session_free(pair->session);
  tls_context_free(pair->context);
  SSL_free(pair->client);
  SSL_CTX_free(pair->client_context);
  buffer_release(&pair->got);
  ERR_clear_error();
}

/* Feeds, and reads until nothing comes, as the transport does. */
static void server_gets(struct pair *pair, const uint8_t *data, size_t bytes) {
  if (pair->status != STATUS_OK) return;
  uint8_t *copy = malloc(bytes); /* gone when feed has returned */
  assert_non_null(copy);
  memcpy(copy, data, bytes);
  pair->status = tls_session_feed(pair->session, copy, bytes, &pair->error);
  free(copy);
  uint8_t room[5000];
  size_t got = 1;
  while (pair->status == STATUS_OK && got > 0) {
    pair->status =
        tls_session_read(pair->session, room, sizeof room, &got, &pair->ended, &pair->error);
    if (got > 0)
      assert_int_equal(buffer_append(&pair->got, &budget, room, (int64_t)got, NULL), STATUS_OK);
  }
  assert_false(tls_session_holds(pair->session));
}

static bool server_sends(struct pair *pair) {
  struct buffer out = BUFFER_EMPTY;
  tls_session_take(pair->session, &out);
  bool any = out.size_bytes > 0;
  if (any)
    assert_int_equal(BIO_write(SSL_get_rbio(pair->client), out.data, (int)out.size_bytes),
                     out.size_bytes);
  buffer_release(&out);
  return any;
}

static bool client_sends(struct pair *pair) {
  uint8_t *data = NULL;
  long bytes = BIO_get_mem_data(SSL_get_wbio(pair->client), &data);
  for (long at = 0; at < bytes; at += (long)pair->piece_bytes) {
    size_t piece = (size_t)(bytes - at);
    server_gets(pair, data + at, piece < pair->piece_bytes ? piece : pair->piece_bytes);
  }
  (void)BIO_reset(SSL_get_wbio(pair->client));
  return bytes > 0;
}

/* The client's SSL_do_handshake, until neither side has anything to say. */
static int shake_hands(struct pair *pair) {
  int result;
  bool more;
  if (pair->client == NULL) client_new(pair);
  do {
    ERR_clear_error();
    result = SSL_do_handshake(pair->client);
    more = client_sends(pair);
    more = server_sends(pair) || more;
  } while (more);
  return result;
}

static void connect_both(struct pair *pair) {
  if (shake_hands(pair) != 1) fail_msg("server: %s", pair->error.text);
  assert_int_equal(pair->status, STATUS_OK);
  assert_true(tls_session_established(pair->session));
}

/* What the client reads until nothing more comes; -1: TLS ended, -2: an error. */
static int client_reads(struct pair *pair, struct buffer *got) {
  uint8_t room[5000];
  for (;;) {
    ERR_clear_error();
    int bytes = SSL_read(pair->client, room, sizeof room);
    if (bytes > 0) {
      assert_int_equal(buffer_append(got, &budget, room, bytes, NULL), STATUS_OK);
      continue;
    }
    int why = SSL_get_error(pair->client, bytes);
    return why == SSL_ERROR_WANT_READ ? 0 : why == SSL_ERROR_ZERO_RETURN ? -1 : -2;
  }
}

/* What the server says of itself when a handshake fails, and that the client was told. */
static void expect_refusal(struct pair *pair, enum status status, const char *text) {
  if (pair->status != status || strstr(pair->error.text, text) == NULL)
    fail_msg("%s: '%s', not '%s'", status_name(pair->status), pair->error.text, text);
  struct error again = {.text = ""}; /* a failure is final */
  assert_int_equal(tls_session_feed(pair->session, (const uint8_t *)"x", 1, &again), status);
  assert_string_equal(again.text, pair->error.text);
  assert_false(tls_session_holds(pair->session));
}

/* ---- what comes through --------------------------------------------------------------- */

static void data_goes_both_ways_in_pieces_of_any_size(void **state) {
  (void)state;
  static const struct {
    int version;
    size_t piece_bytes, data_bytes;
  } cases[] = {
      {TLS1_2_VERSION, 1, 40000},         {TLS1_3_VERSION, 1, 40000},
      {TLS1_2_VERSION, 1000, 1 << 20},    {TLS1_3_VERSION, 1000, 1 << 20},
      {TLS1_2_VERSION, 1 << 20, 1 << 20}, {TLS1_3_VERSION, 1 << 20, 1 << 20},
  };
  uint8_t *data = malloc(1 << 20);
  assert_non_null(data);
  for (size_t i = 0; i < 1 << 20; i++) data[i] = (uint8_t)(i * 7 + i / 251);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct pair pair = pair_new(context_new(NULL, false));
    struct buffer back = BUFFER_EMPTY;
    size_t bytes = cases[i].data_bytes;
    pair.piece_bytes = cases[i].piece_bytes;
    SSL_CTX_set_max_proto_version(pair.client_context, cases[i].version);
    connect_both(&pair);
    assert_int_equal(SSL_version(pair.client), cases[i].version);
    assert_string_equal(tls_session_alpn(pair.session), "");
    assert_null(tls_session_client_name(pair.session));

    assert_int_equal(SSL_write(pair.client, data, (int)bytes), bytes);
    client_sends(&pair);
    assert_int_equal(pair.status, STATUS_OK);
    assert_int_equal(pair.got.size_bytes, bytes);
    assert_memory_equal(pair.got.data, data, bytes);

    assert_int_equal(tls_session_write(pair.session, data, bytes - 2000, NULL), STATUS_OK);
    for (size_t at = bytes - 2000; at < bytes; at++)
      assert_int_equal(tls_session_write(pair.session, data + at, 1, NULL), STATUS_OK);
    server_sends(&pair);
    assert_int_equal(client_reads(&pair, &back), 0);
    assert_int_equal(back.size_bytes, bytes);
    assert_memory_equal(back.data, data, bytes);
    buffer_release(&back);
    pair_release(&pair);
  }
  free(data);
}

static void records_are_as_large_as_they_may_be(void **state) {
  (void)state;
  struct pair pair = pair_new(context_new(NULL, false));
  connect_both(&pair);
  uint8_t *data = calloc(1, 1 << 20);
  assert_non_null(data);
  struct buffer out = BUFFER_EMPTY;
  assert_int_equal(tls_session_write(pair.session, data, 1 << 20, NULL), STATUS_OK);
  tls_session_take(pair.session, &out);
  int records = 0;
  for (int64_t at = 0; at < out.size_bytes; records++)
    at += 5 + (out.data[at + 3] << 8 | out.data[at + 4]);
  assert_int_equal(records, 64);
  buffer_release(&out);
  tls_session_take(pair.session, &out);
  assert_int_equal(out.size_bytes, 0);
  free(data);
  pair_release(&pair);
}

/* A slow reader takes what there is when it likes; nothing is lost. */
static void what_is_not_read_yet_is_kept(void **state) {
  (void)state;
  struct pair pair = pair_new(context_new(NULL, false));
  connect_both(&pair);
  uint8_t data[40000], room[1000];
  memset(data, 'x', sizeof data);
  assert_int_equal(SSL_write(pair.client, data, sizeof data), sizeof data);
  uint8_t *wire = NULL;
  long bytes = BIO_get_mem_data(SSL_get_wbio(pair.client), &wire);
  for (long at = 0; at < bytes; at += 10) /* fed, not read */
    assert_int_equal(tls_session_feed(pair.session, wire + at,
                                      (size_t)(bytes - at < 10 ? bytes - at : 10), NULL),
                     STATUS_OK);
  size_t total = 0, got = 1;
  bool ended = false;
  while (got > 0) {
    assert_true(tls_session_holds(pair.session) == (total < sizeof data));
    assert_int_equal(tls_session_read(pair.session, room, sizeof room, &got, &ended, NULL),
                     STATUS_OK);
    total += got;
  }
  assert_int_equal(total, sizeof data);
  assert_false(ended);
  pair_release(&pair);
}

static void alpn_is_the_servers_choice(void **state) {
  (void)state;
  static const struct {
    const char *offered; /* NULL: no ALPN */
    const char *chosen;  /* NULL: refused */
  } cases[] = {
      {NULL, ""},
      {"\x02h2", "h2"},
      {"\x08http/1.1", "http/1.1"},
      {"\x08http/1.1\x02h2", "h2"},
      {"\x08http/1.0\x08http/1.1", "http/1.1"},
      {"\x02h3", NULL},
      {"\x03h2c\x04imap", NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct pair pair = pair_new(context_new(NULL, false));
    if (cases[i].offered != NULL)
      SSL_CTX_set_alpn_protos(pair.client_context, (const uint8_t *)cases[i].offered,
                              (unsigned)strlen(cases[i].offered));
    int result = shake_hands(&pair);
    if (cases[i].chosen == NULL) {
      assert_int_not_equal(result, 1);
      assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
      expect_refusal(&pair, STATUS_INVALID, "the client offers neither h2 nor http/1.1");
    } else {
      assert_int_equal(result, 1);
      assert_string_equal(tls_session_alpn(pair.session), cases[i].chosen);
    }
    pair_release(&pair);
  }
}

static void old_versions_and_weak_ciphers_are_refused(void **state) {
  (void)state;
  static const struct {
    int version;
    const char *ciphers;
    int alert;
    const char *text;
  } cases[] = {
      {TLS1_1_VERSION, NULL, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "speaks TLS 1.1 or older"},
      {TLS1_VERSION, NULL, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "speaks TLS 1.1 or older"},
      {TLS1_2_VERSION, "AES128-GCM-SHA256:AES256-SHA", SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE,
       "none of the ciphers"},
      {TLS1_2_VERSION, "aNULL", SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, "none of the ciphers"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct pair pair = pair_new(context_new(NULL, false));
    SSL_CTX_set_security_level(pair.client_context, 0);
    SSL_CTX_set_min_proto_version(pair.client_context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(pair.client_context, cases[i].version);
    SSL_CTX_set_cipher_list(pair.client_context,
                            cases[i].ciphers == NULL ? "ALL:@SECLEVEL=0" : cases[i].ciphers);
    assert_int_not_equal(shake_hands(&pair), 1);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), cases[i].alert);
    expect_refusal(&pair, STATUS_INVALID, cases[i].text);
    pair_release(&pair);
  }
}

/* ---- clients' certificates ------------------------------------------------------------ */

static void certificates_of_clients(void **state) {
  (void)state;
  static const struct {
    const char *client_ca; /* NULL: not asked for */
    bool required;
    const struct cert *cert, *above;
    const char *name; /* what the server calls it */
    const char *refusal;
  } cases[] = {
      {NULL, false, &client, NULL, NULL, NULL},
      {"ca.pem", false, NULL, NULL, NULL, NULL},
      {"ca.pem", false, &client, NULL, "loader", NULL},
      {"ca.pem", true, &client, NULL, "loader", NULL},
      {"ca.pem", true, &nameless, NULL, "a.example", NULL},
      {"ca.pem", true, &under_middle, &middle, "under", NULL},
      {"middle.pem", true, &under_middle, NULL, "under", NULL},
      {"ca.pem", true, NULL, NULL, NULL, "the client sent no certificate, and one is required"},
      {"ca.pem", true, &stranger, NULL, NULL, "nobody in tls.client_ca has signed it"},
      {"ca.pem", false, &stranger, NULL, NULL, "nobody in tls.client_ca has signed it"},
      {"middle.pem", true, &client, NULL, NULL, "nobody in tls.client_ca has signed it"},
      {"ca.pem", true, &expired, NULL, NULL, "refused: certificate has expired"},
      {"ca.pem", false, &expired, NULL, NULL, "refused: certificate has expired"},
      {"ca.pem", true, &early, NULL, NULL, "refused: certificate is not yet valid"},
      {"ca.pem", true, &under_middle, NULL, NULL, "nobody in tls.client_ca has signed it"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
      struct pair pair = pair_new(context_new(cases[i].client_ca, cases[i].required));
      SSL_CTX_set_max_proto_version(pair.client_context, version);
      if (cases[i].cert != NULL) client_uses(&pair, cases[i].cert, cases[i].above);
      shake_hands(&pair);
      if (cases[i].refusal != NULL) {
        struct buffer none = BUFFER_EMPTY;
        assert_false(tls_session_established(pair.session));
        assert_int_not_equal(client_reads(&pair, &none), 0); /* the alert */
        expect_refusal(&pair, STATUS_INVALID, cases[i].refusal);
      } else {
        if (pair.status != STATUS_OK) fail_msg("case %zu: %s", i, pair.error.text);
        assert_true(tls_session_established(pair.session));
        const char *name = tls_session_client_name(pair.session);
        if (cases[i].name == NULL)
          assert_null(name);
        else
          assert_string_equal(name, cases[i].name);
      }
      pair_release(&pair);
    }
}

static void names_with_control_characters_are_none(void **state) {
  (void)state;
  struct cert odd = cert_make((struct cert_wish){.cn = "a\nb", .issuer = &ca});
  struct pair pair = pair_new(context_new("ca.pem", true));
  client_uses(&pair, &odd, NULL);
  connect_both(&pair);
  assert_null(tls_session_client_name(pair.session));
  pair_release(&pair);
  cert_release(&odd);
}

/* Two connections of one client; the second with the first one's ticket. */
static void resume(struct tls_context *first, struct tls_context *second, bool resumed) {
  struct pair pair = pair_new(first);
  client_uses(&pair, &client, NULL);
  connect_both(&pair);
  struct buffer none = BUFFER_EMPTY;
  assert_int_equal(client_reads(&pair, &none), 0); /* takes the tickets in */
  SSL_SESSION *ticket = SSL_get1_session(pair.client);
  struct pair again = pair_new(second);
  client_uses(&again, &client, NULL);
  client_new(&again);
  SSL_set_session(again.client, ticket);
  connect_both(&again);
  assert_int_equal(SSL_session_reused(again.client), resumed);
  assert_string_equal(tls_session_client_name(again.session), "loader");
  SSL_SESSION_free(ticket);
  pair_release(&pair);
  pair_release(&again);
}

static void tickets_are_good_for_their_own_context(void **state) {
  (void)state;
  struct tls_context *one = context_new("ca.pem", true);
  resume(tls_context_share(one), tls_context_share(one), true);
  resume(tls_context_share(one), context_new("ca.pem", true), false);
  tls_context_free(one);
}

static void a_context_lives_as_long_as_its_sessions(void **state) {
  (void)state;
  struct pair pair = pair_new(context_new(NULL, false));
  tls_context_free(pair.context);
  pair.context = NULL;
  connect_both(&pair);
  pair_release(&pair);
  tls_context_free(NULL);
  tls_session_free(NULL);
}

/* ---- the end ---------------------------------------------------------------------------- */

static void the_end_of_the_clients_side_is_no_truncation(void **state) {
  (void)state;
  for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
    struct pair pair = pair_new(context_new(NULL, false));
    struct buffer got = BUFFER_EMPTY;
    SSL_CTX_set_max_proto_version(pair.client_context, version);
    connect_both(&pair);
    assert_int_equal(SSL_write(pair.client, "last", 4), 4);
    client_sends(&pair);
    assert_false(pair.ended); /* if the connection ended here, it would be cut off */
    SSL_shutdown(pair.client);
    client_sends(&pair);
    assert_true(pair.ended);
    assert_int_equal(pair.status, STATUS_OK);
    assert_memory_equal(pair.got.data, "last", 4);
    /* What follows does not count, and an answer can still be sent. */
    server_gets(&pair, (const uint8_t *)"garbage", 7);
    assert_int_equal(pair.status, STATUS_OK);
    assert_true(pair.ended);
    assert_int_equal(tls_session_write(pair.session, "answer", 6, NULL), STATUS_OK);
    tls_session_shutdown(pair.session);
    tls_session_shutdown(pair.session);
    server_sends(&pair);
    assert_int_equal(client_reads(&pair, &got), -1);
    assert_memory_equal(got.data, "answer", 6);
    buffer_release(&got);
    pair_release(&pair);
  }
}

static void data_and_the_end_may_come_together(void **state) {
  (void)state;
  struct pair pair = pair_new(context_new(NULL, false));
  connect_both(&pair);
  assert_int_equal(SSL_write(pair.client, "last", 4), 4);
  SSL_shutdown(pair.client);
  uint8_t *wire = NULL, room[100];
  size_t got = 0;
  bool ended = false;
  long bytes = BIO_get_mem_data(SSL_get_wbio(pair.client), &wire);
  assert_int_equal(tls_session_feed(pair.session, wire, (size_t)bytes, NULL), STATUS_OK);
  assert_true(tls_session_holds(pair.session));
  assert_int_equal(tls_session_read(pair.session, room, sizeof room, &got, &ended, NULL),
                   STATUS_OK);
  assert_int_equal(got, 4);
  assert_true(ended);
  assert_false(tls_session_holds(pair.session));
  pair_release(&pair);
}

static void a_shutdown_before_the_handshake_is_over_says_nothing(void **state) {
  (void)state;
  struct pair pair = pair_new(context_new(NULL, false));
  struct buffer out = BUFFER_EMPTY;
  tls_session_shutdown(pair.session);
  tls_session_take(pair.session, &out);
  assert_int_equal(out.size_bytes, 0);
  pair_release(&pair);
}

/* ---- hostile clients ---------------------------------------------------------------------- */

static void what_is_no_tls_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *data;
    size_t bytes;
    const char *text;
  } cases[] = {
      {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, "spoke HTTP without TLS"},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24, "what came is not TLS"},
      {"SSH-2.0-OpenSSH_9.2\r\n", 21, "what came is not TLS"},
      {"\0\0\0\0\0\0\0\0\0\0\0\0", 12, "what came is not TLS"},
      {"\x16\x03\x01\xFF\xFF\x01\0\0\0\0\0\0", 12, "no TLS handshake"},
      {"\x16\x03\x01\0\x04\x01\0\0\0\0\0\0", 12, "no TLS handshake"},
      {"\x17\x03\x03\0\x04\x01\0\0\0\0\0\0", 12, "no TLS handshake"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (size_t piece = 1; piece < 30; piece += 28) {
      struct pair pair = pair_new(context_new(NULL, false));
      for (size_t at = 0; at < cases[i].bytes; at += piece)
        server_gets(&pair, (const uint8_t *)cases[i].data + at,
                    cases[i].bytes - at < piece ? cases[i].bytes - at : piece);
      expect_refusal(&pair, STATUS_INVALID, cases[i].text);
      pair_release(&pair);
    }
}

static void a_changed_byte_ends_the_connection(void **state) {
  (void)state;
  for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
    struct pair pair = pair_new(context_new(NULL, false));
    SSL_CTX_set_max_proto_version(pair.client_context, version);
    connect_both(&pair);
    assert_int_equal(SSL_write(pair.client, "first", 5), 5);
    assert_int_equal(SSL_write(pair.client, "second", 6), 6);
    uint8_t *wire = NULL;
    long bytes = BIO_get_mem_data(SSL_get_wbio(pair.client), &wire);
    wire[bytes - 1] ^= 1;
    client_sends(&pair);
    assert_int_equal(pair.got.size_bytes, 5); /* what came before it is whole */
    expect_refusal(&pair, STATUS_INVALID, "the TLS connection broke: ");
    assert_int_equal(tls_session_write(pair.session, "x", 1, NULL), STATUS_INVALID);
    server_sends(&pair);
    struct buffer none = BUFFER_EMPTY;
    assert_int_equal(client_reads(&pair, &none), -2);
    pair_release(&pair);
  }
}

static void every_changed_byte_of_a_hello_is_survived(void **state) {
  (void)state;
  struct tls_context *context = context_new("ca.pem", false);
  struct pair model = pair_new(tls_context_share(context));
  client_new(&model);
  SSL_do_handshake(model.client);
  uint8_t *hello = NULL;
  long bytes = BIO_get_mem_data(SSL_get_wbio(model.client), &hello);
  for (long i = 0; i < bytes; i++) {
    struct tls_session *session = NULL;
    struct buffer out = BUFFER_EMPTY;
    assert_int_equal(tls_session_new(context, &session, NULL), STATUS_OK);
    hello[i] ^= 0x41;
    (void)!tls_session_feed(session, hello, (size_t)bytes, NULL);
    hello[i] ^= 0x41;
    assert_false(tls_session_established(session));
    tls_session_take(session, &out);
    buffer_release(&out);
    tls_session_free(session);
  }
  pair_release(&model);
  tls_context_free(context);
}

static void a_renegotiation_ends_the_connection(void **state) {
  (void)state;
  struct pair pair = pair_new(context_new(NULL, false));
  SSL_CTX_set_max_proto_version(pair.client_context, TLS1_2_VERSION);
  connect_both(&pair);
  assert_int_equal(SSL_renegotiate(pair.client), 1);
  SSL_do_handshake(pair.client);
  client_sends(&pair);
  expect_refusal(&pair, STATUS_INVALID, "asked for a renegotiation, which is refused");
  pair_release(&pair);
}

static void changes_of_keys_are_counted(void **state) {
  (void)state;
  struct pair pair = pair_new(context_new(NULL, false));
  connect_both(&pair);
  for (int i = 0; i < 1000; i++) {
    assert_int_equal(SSL_key_update(pair.client, SSL_KEY_UPDATE_REQUESTED), 1);
    SSL_do_handshake(pair.client);
    client_sends(&pair);
    assert_int_equal(pair.status, STATUS_OK);
  }
  assert_int_equal(SSL_write(pair.client, "x", 1), 1);
  client_sends(&pair);
  assert_memory_equal(pair.got.data, "x", 1);
  assert_int_equal(SSL_key_update(pair.client, SSL_KEY_UPDATE_REQUESTED), 1);
  SSL_do_handshake(pair.client);
  client_sends(&pair);
  expect_refusal(&pair, STATUS_INVALID, "changed its keys more than 1000 times");
  pair_release(&pair);
}

static void a_client_that_does_not_trust_us_is_understood(void **state) {
  (void)state;
  struct pair pair = pair_new(context_new(NULL, false));
  SSL_CTX_set_cert_store(pair.client_context, X509_STORE_new());
  assert_int_not_equal(shake_hands(&pair), 1);
  expect_refusal(&pair, STATUS_INVALID, "does not trust who signed this server's certificate");
  pair_release(&pair);
}

/* ---- contexts ------------------------------------------------------------------------------- */

/* What is written to standard error meanwhile. */
static int log_begin(void) {
  int saved = dup(STDERR_FILENO);
  int file = open(path_of("log"), O_RDWR | O_CREAT | O_TRUNC, 0600);
  assert_true(saved >= 0 && file >= 0);
  dup2(file, STDERR_FILENO);
  close(file);
  return saved;
}

static void log_end(int saved, char *text, size_t room_bytes) {
  dup2(saved, STDERR_FILENO);
  close(saved);
  FILE *file = fopen(path_of("log"), "r");
  assert_non_null(file);
  text[fread(text, 1, room_bytes - 1, file)] = '\0';
  fclose(file);
}

static void make_bad_files(void) {
  const struct cert *one[] = {&server};
  struct cert weak = cert_make((struct cert_wish){.cn = "weak"});
  EVP_PKEY_free(weak.key);
  weak.key = EVP_RSA_gen(1024);
  X509_set_pubkey(weak.x509, weak.key);
  assert_true(X509_sign(weak.x509, weak.key, EVP_sha256()) > 0);
  const struct cert *weak_one[] = {&weak};
  cert_write(path_of("weak.pem"), weak_one, 1);
  cert_write_key(path_of("weak.key"), &weak, 0600, NULL);
  cert_release(&weak);
  cert_write_key(path_of("client.key"), &client, 0600, NULL);
  cert_write_key(path_of("encrypted.key"), &server, 0600, "secret");
  write_text("empty", "");
  write_text("text", "this is not PEM\n");
  write_text("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  write_text("broken.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
  cert_write(path_of("half.pem"), one, 1);
  assert_int_equal(truncate(path_of("half.pem"), 300), 0);
  write_text("large", "");
  assert_int_equal(truncate(path_of("large"), 1 << 30), 0);
  assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
}

static void files_that_do_not_serve_are_named_with_the_reason(void **state) {
  (void)state;
  static const struct {
    const char *cert, *key, *client_ca;
    enum status status;
    const char *text;
  } cases[] = {
      {"none", "server.key", NULL, STATUS_NOT_FOUND, "certificate '%s/none': "},
      {"server.pem", "none", NULL, STATUS_NOT_FOUND, "private key '%s/none': "},
      {"server.pem", "server.key", "none", STATUS_NOT_FOUND, "client CA '%s/none': "},
      {"", "server.key", NULL, STATUS_INVALID, "certificate '%s/' is no file but a folder"},
      {"pipe", "server.key", NULL, STATUS_INVALID, "certificate '%s/pipe' is no file but a"},
      {"large", "server.key", NULL, STATUS_INVALID, "'%s/large' is larger than 1024 KiB"},
      {"empty", "server.key", NULL, STATUS_INVALID, "certificate '%s/empty' holds no certificate"},
      {"text", "server.key", NULL, STATUS_INVALID, "certificate '%s/text' holds no certificate"},
      {"server.key", "server.key", NULL, STATUS_INVALID,
       "certificate '%s/server.key' holds no certificate in PEM form"},
      {"broken.pem", "server.key", NULL, STATUS_INVALID,
       "certificate '%s/broken.pem' holds a broken certificate (number 1): "},
      {"half.pem", "server.key", NULL, STATUS_INVALID,
       "certificate '%s/half.pem' holds a broken certificate (number 1): "},
      {"weak.pem", "weak.key", NULL, STATUS_INVALID,
       "certificate '%s/weak.pem' cannot be used (certificate number 1): ee key too small"},
      {"server.pem", "empty", NULL, STATUS_INVALID, "private key '%s/empty' holds no private key"},
      {"server.pem", "text", NULL, STATUS_INVALID, "private key '%s/text' holds no private key"},
      {"server.pem", "ca.pem", NULL, STATUS_INVALID,
       "private key '%s/ca.pem' holds no private key in PEM form"},
      {"server.pem", "broken.key", NULL, STATUS_INVALID,
       "private key '%s/broken.key' holds a brok"},
      {"server.pem", "encrypted.key", NULL, STATUS_INVALID,
       "private key '%s/encrypted.key' is encrypted with a passphrase"},
      {"server.pem", "client.key", NULL, STATUS_INVALID,
       "private key '%s/client.key' is not the key of the certificate '"},
      {"server.pem", "server.key", "text", STATUS_INVALID,
       "client CA '%s/text' holds no certificate"},
  };
  make_bad_files();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tls_options options = {
        .cert_path = path_of(cases[i].cert),
        .key_path = path_of(cases[i].key),
        .client_ca_path = cases[i].client_ca == NULL ? NULL : path_of(cases[i].client_ca)};
    struct tls_context *context = (struct tls_context *)(void *)&options;
    struct error error = {.text = ""};
    char want[200];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(want, sizeof want, cases[i].text, folder);
#pragma GCC diagnostic pop
    enum status status = tls_context_new(&options, &context, &error);
    if (status != cases[i].status || strstr(error.text, want) == NULL)
      fail_msg("case %zu: %s: '%s', not '%s'", i, status_name(status), error.text, want);
    assert_null(context);
    assert_int_equal(ERR_peek_error(), 0);
  }
}

static void options_that_do_not_go_together(void **state) {
  (void)state;
  struct tls_context *context = NULL;
  struct error error;
  struct tls_options half = {.cert_path = path_of("server.pem")};
  assert_int_equal(tls_context_new(&half, &context, &error), STATUS_INVALID);
  assert_string_equal(error.text, "TLS needs both a certificate and its private key");
  struct tls_options no_ca = {.cert_path = path_of("server.pem"),
                              .key_path = path_of("server.key"),
                              .client_required = true};
  assert_int_equal(tls_context_new(&no_ca, &context, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "cannot be required"));
}

static void what_clients_will_refuse_is_loaded_with_a_warning(void **state) {
  (void)state;
  static const struct {
    const struct cert *cert;
    int key_mode;
    const char *warning; /* NULL: none */
  } cases[] = {
      {&expired, 0600, "' (CN=loader) expired on 20"},
      {&early, 0600, "' (CN=loader) is not valid before 20"},
      {&server, 0644, "can be read or written by every user"},
      {&server, 0640, NULL},
      {&server, 0600, NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char log[2000];
    struct error error = {.text = ""};
    cert_write(path_of("odd.pem"), &cases[i].cert, 1);
    cert_write_key(path_of("odd.key"), cases[i].cert, cases[i].key_mode, NULL);
    struct tls_options options = {.cert_path = path_of("odd.pem"), .key_path = path_of("odd.key")};
    struct tls_context *context = NULL;
    int saved = log_begin();
    enum status status = tls_context_new(&options, &context, &error);
    log_end(saved, log, sizeof log);
    if (status != STATUS_OK) fail_msg("%s", error.text);
    tls_context_free(context);
    if (cases[i].warning == NULL)
      assert_string_equal(log, "");
    else if (strstr(log, cases[i].warning) == NULL)
      fail_msg("case %zu: %s", i, log);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(data_goes_both_ways_in_pieces_of_any_size),
      cmocka_unit_test(records_are_as_large_as_they_may_be),
      cmocka_unit_test(what_is_not_read_yet_is_kept),
      cmocka_unit_test(alpn_is_the_servers_choice),
      cmocka_unit_test(old_versions_and_weak_ciphers_are_refused),
      cmocka_unit_test(certificates_of_clients),
      cmocka_unit_test(names_with_control_characters_are_none),
      cmocka_unit_test(tickets_are_good_for_their_own_context),
      cmocka_unit_test(a_context_lives_as_long_as_its_sessions),
      cmocka_unit_test(the_end_of_the_clients_side_is_no_truncation),
      cmocka_unit_test(data_and_the_end_may_come_together),
      cmocka_unit_test(a_shutdown_before_the_handshake_is_over_says_nothing),
      cmocka_unit_test(what_is_no_tls_is_refused),
      cmocka_unit_test(a_changed_byte_ends_the_connection),
      cmocka_unit_test(every_changed_byte_of_a_hello_is_survived),
      cmocka_unit_test(a_renegotiation_ends_the_connection),
      cmocka_unit_test(changes_of_keys_are_counted),
      cmocka_unit_test(a_client_that_does_not_trust_us_is_understood),
      cmocka_unit_test(files_that_do_not_serve_are_named_with_the_reason),
      cmocka_unit_test(options_that_do_not_go_together),
      cmocka_unit_test(what_clients_will_refuse_is_loaded_with_a_warning),
  };
  return cmocka_run_group_tests(tests, make_files, remove_files);
}
