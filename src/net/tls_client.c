/* TLS for clients: what is trusted, what is offered, and what its failures mean to a person.
 * Sessions are those of tls.c. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "net/tls.h"
#include "net/tls_context.h"

/* Failures with a text of their own. The server's alerts come as reasons, too. */
static const struct {
  int reason;
  enum status status;
  const char *text;
} REASONS[] = {
    {SSL_R_WRONG_VERSION_NUMBER, STATUS_INVALID, "the server does not speak TLS on this port"},
    {SSL_R_HTTP_REQUEST, STATUS_INVALID, "the server does not speak TLS on this port"},
    {SSL_R_UNSUPPORTED_PROTOCOL, STATUS_UNSUPPORTED,
     "the server speaks TLS 1.1 or older; 1.2 and 1.3 are spoken here"},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, STATUS_UNSUPPORTED,
     "the server speaks neither TLS 1.2 nor 1.3"},
    {SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, STATUS_UNSUPPORTED,
     "the server does not speak HTTP/2 (ALPN)"},
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, STATUS_DENIED,
     "the server requires a client certificate, and none was given"},
    {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, STATUS_DENIED,
     "the server refused the handshake: it may require a client certificate, or ciphers that are "
     "not allowed here"},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, STATUS_DENIED,
     "the server does not trust who signed the client certificate"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, STATUS_DENIED,
     "the server found the client certificate expired or not yet valid"},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, STATUS_DENIED,
     "the server refused the client certificate, or requires one"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, STATUS_DENIED,
     "the server refused the client certificate"},
    {SSL_R_UNEXPECTED_EOF_WHILE_READING, STATUS_UNAVAILABLE, "the server ended the connection"},
};

static const char *hint_of(long verified) {
  switch (verified) {
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
  case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
  case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
  case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    return " (nobody who is trusted here has signed it: give the CA's certificate)";
  case X509_V_ERR_HOSTNAME_MISMATCH:
  case X509_V_ERR_IP_ADDRESS_MISMATCH: return " (it is for another server)";
  default: return "";
  }
}

enum status tls_client_reason(const SSL *ssl, unsigned long code, char *reason, size_t room_bytes) {
  long verified = SSL_get_verify_result(ssl);
  if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED &&
      verified != X509_V_OK) {
    snprintf(reason, room_bytes, "the server's certificate is not to be trusted: %s%s",
             X509_verify_cert_error_string(verified), hint_of(verified));
    return STATUS_DENIED;
  }
  for (size_t i = 0; i < sizeof REASONS / sizeof REASONS[0]; i++)
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == REASONS[i].reason) {
      snprintf(reason, room_bytes, "%s", REASONS[i].text);
      return REASONS[i].status;
    }
  char words[200];
  tls_openssl_reason(words, sizeof words);
  snprintf(reason, room_bytes, "the TLS connection failed: %s", words);
  return STATUS_UNAVAILABLE;
}

/* ---- the context ----------------------------------------------------------------------------- */

static enum status set_rules(SSL_CTX *openssl, const struct tls_client_options *options,
                             struct error *error) {
  static const uint8_t H2[] = "\x02h2";
  SSL_CTX_set_security_level(openssl, options->insecure ? 1 : 2);
  SSL_CTX_set_options(openssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(openssl, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(openssl, options->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
  /* The list of protocols: 0 is success there. */
  if (SSL_CTX_set_min_proto_version(openssl, TLS1_2_VERSION) == 1 &&
      SSL_CTX_set_alpn_protos(openssl, H2, sizeof H2 - 1) == 0)
    return STATUS_OK;
  return error_set(error, STATUS_UNAVAILABLE, "OpenSSL does not take our rules for TLS");
}

static enum status load(SSL_CTX *openssl, const struct tls_client_options *options,
                        struct error *error) {
  enum status status = set_rules(openssl, options, error);
  if (status == STATUS_OK && options->ca_path != NULL)
    status = tls_use_trusted(openssl, "CA file", options->ca_path, error);
  else if (status == STATUS_OK && !options->insecure)
    (void)SSL_CTX_set_default_verify_paths(
        openssl); /* none: every server is refused, with reason */
  if (status == STATUS_OK && options->cert_path != NULL)
    status =
        tls_use_pair(openssl, options->cert_path,
                     options->key_path == NULL ? options->cert_path : options->key_path, error);
  return status;
}

enum status tls_client_context_new(const struct tls_client_options *options,
                                   struct tls_context **context, struct error *error) {
  *context = NULL;
  if (options->key_path != NULL && options->cert_path == NULL)
    return error_set(error, STATUS_INVALID, "a private key needs its certificate beside it");
  ERR_clear_error();
  SSL_CTX *openssl = SSL_CTX_new(TLS_client_method());
  if (openssl == NULL) return error_set(error, STATUS_NOMEM, "no memory for TLS");
  enum status status = load(openssl, options, error);
  ERR_clear_error();
  if (status != STATUS_OK) {
    SSL_CTX_free(openssl);
    return status;
  }
  *context = tls_context_of(openssl);
  return *context == NULL ? error_set(error, STATUS_NOMEM, "no memory for TLS") : STATUS_OK;
}
