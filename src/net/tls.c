/* One side of a TLS connection, a server's most often: OpenSSL between two pieces of memory.
 *
 *        feed                                     read
 *   client ──► input ──► BIO ──► OpenSSL's record ──► caller's room
 *   client ◄── output ◄─ BIO ◄── OpenSSL's record ◄── caller's data
 *        take                                     write
 *
 * The BIO is our own: it reads from `input` and appends to `output`, a struct buffer that is
 * handed out as it is. OpenSSL's memory BIO would copy once more on the way out, and move what
 * is left on the way in.
 *
 * 1. `input` [input_at, input_end) is what came and OpenSSL has not seen. It is freed when it
 *    is used up, and OpenSSL lets go of its own buffers then: a connection that waits holds
 *    neither.
 * 2. A failure is final: OpenSSL is not called again, later calls give the same error. What
 *    was written until then (an alert) can still be taken.
 * 3. What a client may make us do without sending data is bounded: renegotiation ends the
 *    connection, and so does the KEY_UPDATES_MAX + 1st change of keys. OpenSSL itself bounds empty
 *    records and warnings. */
#include "net/tls.h"

#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "net/tls_context.h"

enum {
  REASON_BYTES = 400,
  /* TLS 1.3 KeyUpdate floods: each costs us a key derivation and an answer. An honest client
   * sends one each some hundred GB. */
  KEY_UPDATES_MAX = 1000,
  RECORD_BYTES = SSL3_RT_MAX_PLAIN_LENGTH,
  RECORD_MORE_BYTES = 64, /* head, nonce, tag, padding of any cipher: to make room at once */
};

struct tls_session {
  struct tls_context *context;
  SSL *ssl;
  uint8_t *input;
  size_t input_at, input_end, input_room;
  struct buffer output;
  struct error failure;
  int key_updates;
  bool established;
  bool renegotiating; /* was asked for */
  bool no_memory;
  bool failure_told;
  bool ended;     /* the client's side */
  bool shut_down; /* ours */
  char alpn[16];
  char *client_name;
};

/* What waits to be sent is bounded by who writes; the transport counts it. */
static struct budget unlimited = {.limit_bytes = INT64_MAX};

static enum status no_memory(struct error *error) {
  return error_set(error, STATUS_NOMEM, "no memory for TLS");
}

/* ---- the BIO ------------------------------------------------------------------------ */

static BIO_METHOD *bio_method;
static pthread_once_t bio_once = PTHREAD_ONCE_INIT;

static int bio_read(BIO *bio, char *room, size_t room_bytes, size_t *got) {
  struct tls_session *session = BIO_get_data(bio);
  size_t bytes = session->input_end - session->input_at;
  BIO_clear_retry_flags(bio);
  *got = 0;
  if (bytes == 0) {
    BIO_set_retry_read(bio);
    return 0;
  }
  if (bytes > room_bytes) bytes = room_bytes;
  memcpy(room, session->input + session->input_at, bytes);
  session->input_at += bytes;
  *got = bytes;
  return 1;
}

static int bio_write(BIO *bio, const char *data, size_t bytes, size_t *put) {
  struct tls_session *session = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  *put = 0;
  struct error ignored;
  if (buffer_append(&session->output, &unlimited, data, (int64_t)bytes, &ignored) != STATUS_OK) {
    session->no_memory = true;
    return 0;
  }
  *put = bytes;
  return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
  (void)bio, (void)number, (void)pointer;
  return command == BIO_CTRL_FLUSH; /* everything else is not known here */
}

static void make_bio_method(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "arrowport");
  if (method == NULL) return;
  if (BIO_meth_set_read_ex(method, bio_read) == 1 &&
      BIO_meth_set_write_ex(method, bio_write) == 1 && BIO_meth_set_ctrl(method, bio_control) == 1)
    bio_method = method;
  else
    BIO_meth_free(method);
}

/* ---- what clients ask for ------------------------------------------------------------ */

static void on_info(const SSL *ssl, int where, int value) {
  struct tls_session *session = SSL_get_app_data(ssl);
  if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT &&
      (value & 0xFF) == SSL_AD_NO_RENEGOTIATION)
    session->renegotiating = true;
}

static void on_message(int writing, int version, int type, const void *data, size_t bytes, SSL *ssl,
                       void *context) {
  (void)version, (void)ssl;
  struct tls_session *session = context;
  if (!writing && type == SSL3_RT_HANDSHAKE && bytes > 0 &&
      *(const uint8_t *)data == SSL3_MT_KEY_UPDATE)
    session->key_updates++;
}

/* ---- failures ------------------------------------------------------------------------ */

static enum status fail(struct tls_session *session, enum status status, const char *format, ...)
    PRINTF_LIKE(3, 4);
static enum status fail(struct tls_session *session, enum status status, const char *format, ...) {
  char text[ERROR_TEXT_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  session->input_at = session->input_end;
  return error_set(&session->failure, status, "%s", text);
}

static enum status failure_again(struct tls_session *session, struct error *error) {
  session->failure_told = true;
  return error_set(error, session->failure.status, "%s", session->failure.text);
}

/* The reasons that a person meets, in words that say what to do. */
static const struct {
  int reason;
  const char *text;
} REASONS[] = {
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE,
     "the client sent no certificate, and one is required (tls.client_certificates)"},
    {SSL_R_HTTP_REQUEST, "the client spoke HTTP without TLS: the address begins with https://"},
    {SSL_R_HTTPS_PROXY_REQUEST, "the client took this server for a proxy"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "the client speaks TLS 1.1 or older; 1.2 and 1.3 are spoken here"},
    {SSL_R_WRONG_VERSION_NUMBER, "what came is not TLS"},
    {SSL_R_NO_SHARED_CIPHER, "the client has none of the ciphers that are allowed here"},
    {SSL_R_NO_APPLICATION_PROTOCOL,
     "the client offers neither h2 nor http/1.1 (ALPN): it is no HTTP client"},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA,
     "the client does not trust who signed this server's certificate (unknown CA)"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED,
     "the client found this server's certificate expired or not yet valid"},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "the client refused this server's certificate"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "the client refused this server's certificate"},
};

static bool is_of_a_stranger(long verified) {
  return verified == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
         verified == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
         verified == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE ||
         verified == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
         verified == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
}

static enum status fail_by_queue(struct tls_session *session) {
  unsigned long code = ERR_peek_last_error();
  long verified = SSL_get_verify_result(session->ssl);
  char reason[REASON_BYTES];
  if (session->no_memory || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE) {
    ERR_clear_error();
    return fail(session, STATUS_NOMEM, "no memory for TLS");
  }
  if (!SSL_is_server(session->ssl)) {
    enum status status = tls_client_reason(session->ssl, code, reason, sizeof reason);
    ERR_clear_error();
    return fail(session, status, "%s", reason);
  }
  if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK) {
    ERR_clear_error();
    return fail(session, STATUS_INVALID, "the client's certificate was refused: %s%s",
                X509_verify_cert_error_string(verified),
                is_of_a_stranger(verified) ? " (nobody in tls.client_ca has signed it)" : "");
  }
  if (ERR_GET_LIB(code) == ERR_LIB_SSL)
    for (size_t i = 0; i < sizeof REASONS / sizeof REASONS[0]; i++)
      if (ERR_GET_REASON(code) == REASONS[i].reason) {
        ERR_clear_error();
        return fail(session, STATUS_INVALID, "%s", REASONS[i].text);
      }
  tls_openssl_reason(reason, sizeof reason);
  return fail(session, STATUS_INVALID, "%s: %s",
              session->established ? "the TLS connection broke" : "no TLS handshake", reason);
}

/* After each call of OpenSSL's that did not go well. STATUS_OK: it needs more input, or the client
 * has ended its side. */
static enum status after(struct tls_session *session, int result) {
  switch (SSL_get_error(session->ssl, result)) {
  case SSL_ERROR_WANT_READ: break;
  case SSL_ERROR_ZERO_RETURN:
    session->ended = true;
    session->input_at = session->input_end; /* nothing that follows counts */
    break;
  default: return fail_by_queue(session);
  }
  return STATUS_OK;
}

static enum status check_what_was_asked(struct tls_session *session) {
  if (session->renegotiating)
    return fail(session, STATUS_INVALID, "the client asked for a renegotiation, which is refused");
  if (session->key_updates > KEY_UPDATES_MAX)
    return fail(session, STATUS_INVALID,
                "the client has changed its keys more than %d times on one connection",
                KEY_UPDATES_MAX);
  return STATUS_OK;
}

/* ---- the handshake ------------------------------------------------------------------- */

/* A name that can be compared and logged: no NUL, no control characters. */
static char *plain_name(const ASN1_STRING *string) {
  unsigned char *text = NULL;
  int bytes = ASN1_STRING_to_UTF8(&text, string);
  char *name = NULL;
  bool plain = bytes > 0;
  for (int i = 0; i < bytes && plain; i++) plain = text[i] >= 0x20 && text[i] != 0x7F;
  if (plain) name = strndup((const char *)text, (size_t)bytes);
  if (bytes >= 0) OPENSSL_free(text);
  return name;
}

static char *common_name(X509 *certificate) {
  X509_NAME *subject = X509_get_subject_name(certificate);
  int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return NULL;
  return plain_name(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

static char *dns_name(X509 *certificate) {
  char *name = NULL;
  GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; i < sk_GENERAL_NAME_num(names) && name == NULL; i++) {
    int type = 0;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
    if (type == GEN_DNS) name = plain_name(value);
  }
  GENERAL_NAMES_free(names);
  return name;
}

static void note_established(struct tls_session *session) {
  const uint8_t *alpn = NULL;
  unsigned alpn_bytes = 0;
  session->established = true;
  SSL_get0_alpn_selected(session->ssl, &alpn, &alpn_bytes);
  if (alpn_bytes > 0 && alpn_bytes < sizeof session->alpn) memcpy(session->alpn, alpn, alpn_bytes);
  X509 *certificate = SSL_get0_peer_certificate(session->ssl);
  if (certificate == NULL || SSL_get_verify_result(session->ssl) != X509_V_OK) return;
  session->client_name = common_name(certificate);
  if (session->client_name == NULL) session->client_name = dns_name(certificate);
}

static enum status shake_hands(struct tls_session *session) {
  ERR_clear_error();
  int result = SSL_do_handshake(session->ssl);
  if (result != 1) return after(session, result);
  note_established(session);
  return STATUS_OK;
}

/* ---- sessions ------------------------------------------------------------------------ */

static enum status session_make(struct tls_context *context, struct tls_session **session,
                                struct error *error) {
  *session = NULL;
  pthread_once(&bio_once, make_bio_method);
  ERR_clear_error();
  struct tls_session *made = calloc(1, sizeof *made);
  if (made == NULL || bio_method == NULL) {
    free(made);
    return no_memory(error);
  }
  made->context = tls_context_share(context);
  made->ssl = SSL_new(tls_context_openssl(context));
  BIO *bio = made->ssl == NULL ? NULL : BIO_new(bio_method);
  if (bio == NULL) {
    ERR_clear_error();
    tls_session_free(made);
    return no_memory(error);
  }
  BIO_set_data(bio, made);
  BIO_set_init(bio, 1);
  SSL_set_bio(made->ssl, bio, bio);
  SSL_set_app_data(made->ssl, made);
  SSL_set_info_callback(made->ssl, on_info);
  SSL_set_msg_callback(made->ssl, on_message);
  SSL_set_msg_callback_arg(made->ssl, made);
  *session = made;
  return STATUS_OK;
}

enum status tls_session_new(struct tls_context *context, struct tls_session **session,
                            struct error *error) {
  enum status status = session_make(context, session, error);
  assert(status != STATUS_OK || *session != NULL);
  if (status == STATUS_OK) SSL_set_accept_state((*session)->ssl);
  return status;
}

static bool expect_server(SSL *ssl, const char *server_name) {
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), server_name) == 1) return true;
  return SSL_set1_host(ssl, server_name) == 1 && SSL_set_tlsext_host_name(ssl, server_name) == 1;
}

enum status tls_session_new_client(struct tls_context *context, const char *server_name,
                                   struct tls_session **session, struct error *error) {
  enum status status = session_make(context, session, error);
  if (status != STATUS_OK) return status;
  assert(*session != NULL);
  SSL_set_connect_state((*session)->ssl);
  bool good = expect_server((*session)->ssl, server_name);
  ERR_clear_error();
  status = good ? shake_hands(*session) : STATUS_NOMEM;
  if (status == STATUS_OK) return STATUS_OK;
  tls_session_free(*session);
  *session = NULL;
  return error_set(error, status, "no TLS connection to '%.200s' can be begun", server_name);
}

void tls_session_free(struct tls_session *session) {
  if (session == NULL) return;
  SSL_free(session->ssl);
  tls_context_free(session->context);
  buffer_release(&session->output);
  free(session->client_name);
  free(session->input);
  free(session);
}

/* Appends; grows by doubling, so that many small pieces cost no more than one large one. */
static bool keep_input(struct tls_session *session, const uint8_t *data, size_t bytes) {
  size_t left = session->input_end - session->input_at;
  if (bytes > SIZE_MAX / 4 || left > SIZE_MAX / 4) return false;
  if (session->input_room - session->input_end < bytes) {
    size_t room = left + bytes > 2 * left ? left + bytes : 2 * left;
    uint8_t *input = malloc(room);
    if (input == NULL) return false;
    if (left > 0) memcpy(input, session->input + session->input_at, left);
    free(session->input);
    session->input = input;
    session->input_room = room;
    session->input_at = 0;
    session->input_end = left;
  }
  memcpy(session->input + session->input_end, data, bytes);
  session->input_end += bytes;
  return true;
}

static void drop_used_input(struct tls_session *session) {
  if (session->input_at < session->input_end) return;
  free(session->input);
  session->input = NULL;
  session->input_at = session->input_end = session->input_room = 0;
}

enum status tls_session_feed(struct tls_session *session, const uint8_t *data, size_t bytes,
                             struct error *error) {
  if (session->failure.status != STATUS_OK) return failure_again(session, error);
  if (bytes == 0 || session->ended) return STATUS_OK;
  enum status status = STATUS_OK;
  if (!keep_input(session, data, bytes))
    status = fail(session, STATUS_NOMEM, "no memory for TLS");
  else if (!session->established)
    status = shake_hands(session);
  drop_used_input(session);
  return status == STATUS_OK ? STATUS_OK : failure_again(session, error);
}

enum status tls_session_read(struct tls_session *session, uint8_t *room, size_t room_bytes,
                             size_t *bytes, bool *ended, struct error *error) {
  *bytes = 0;
  *ended = session->ended;
  if (session->failure.status != STATUS_OK) return failure_again(session, error);
  if (session->ended) return STATUS_OK;
  enum status status = session->established ? STATUS_OK : shake_hands(session);
  int result = session->established ? 1 : 0;
  while (status == STATUS_OK && result == 1 && *bytes < room_bytes) {
    size_t got = 0;
    ERR_clear_error();
    result = SSL_read_ex(session->ssl, room + *bytes, room_bytes - *bytes, &got);
    *bytes += got;
    if (result != 1) status = after(session, result);
    if (status == STATUS_OK) status = check_what_was_asked(session);
  }
  drop_used_input(session);
  *ended = session->ended;
  /* What was read before a failure is handed out first. */
  return status == STATUS_OK || *bytes > 0 ? STATUS_OK : failure_again(session, error);
}

bool tls_session_holds(const struct tls_session *session) {
  if (session->failure.status != STATUS_OK) return !session->failure_told;
  if (session->ended) return false;
  return session->input_at < session->input_end || SSL_pending(session->ssl) > 0;
}

/* Room for all records at once, at least twice what there was: neither one large piece nor many
 * small ones move what is there again and again. */
static enum status make_output_room(struct tls_session *session, size_t bytes,
                                    struct error *error) {
  struct buffer *output = &session->output;
  if (bytes > INT64_MAX / 4) return no_memory(error);
  int64_t records = (int64_t)(bytes / RECORD_BYTES) + 1;
  int64_t room_bytes = output->size_bytes + (int64_t)bytes + records * RECORD_MORE_BYTES;
  if (room_bytes <= output->capacity_bytes) return STATUS_OK;
  if (room_bytes < 2 * output->capacity_bytes) room_bytes = 2 * output->capacity_bytes;
  return buffer_reserve(output, &unlimited, room_bytes, error);
}

enum status tls_session_write(struct tls_session *session, const void *data, size_t bytes,
                              struct error *error) {
  assert(session->established && !session->shut_down);
  if (session->failure.status != STATUS_OK) return failure_again(session, error);
  if (bytes == 0) return STATUS_OK;
  enum status status = make_output_room(session, bytes, error);
  if (status != STATUS_OK) return status;
  size_t put = 0;
  ERR_clear_error();
  if (SSL_write_ex(session->ssl, data, bytes, &put) == 1) return STATUS_OK;
  fail_by_queue(session);
  return failure_again(session, error);
}

void tls_session_take(struct tls_session *session, struct buffer *out) {
  *out = session->output;
  session->output = BUFFER_EMPTY;
}

void tls_session_shutdown(struct tls_session *session) {
  if (!session->established || session->shut_down || session->failure.status != STATUS_OK) return;
  session->shut_down = true;
  ERR_clear_error();
  SSL_shutdown(session->ssl); /* only writes; the client's own close_notify is not waited for */
  ERR_clear_error();
}

bool tls_session_established(const struct tls_session *session) { return session->established; }

const char *tls_session_alpn(const struct tls_session *session) { return session->alpn; }

const char *tls_session_client_name(const struct tls_session *session) {
  return session->client_name;
}
