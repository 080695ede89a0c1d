/* Certificates and rules of TLS, for many connections.
 *
 * A file is read whole, once, and checked before anything of it is used: a context is made of
 * what was there at one moment, or not made at all. Whoever replaces certificate and key one
 * after the other is refused in between (the key does not belong to the certificate), and
 * keeps what he had.
 *
 * What TLS allows here:
 * 1. Versions 1.2 and 1.3. Ciphers and groups are OpenSSL's own choice at security level 2 (no
 *    RSA key below 2048 bits, no SHA-1 signatures), less those without ephemeral keys; the server's
 *    order counts, so that one with authenticated encryption comes before any other.
 * 2. No renegotiation, no compression, no early data.
 * 3. Sessions are resumed by tickets alone; nothing is kept here. Their keys belong to the
 *    context, so a client whose certificate was verified by an older one is verified anew. */
#include "net/tls_context.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/file.h"
#include "base/log.h"

enum {
  FILE_BYTES_MAX = 1 << 20, /* a wrong path (a log, a device) must not fill the memory */
  REASON_BYTES = 200,
};

#define CIPHERS "DEFAULT:!kRSA:@SECLEVEL=2" /* of TLS 1.2; all of 1.3 are fine */
static const uint8_t SESSION_GROUP[] = "arrowport";

struct tls_context {
  SSL_CTX *openssl;
  atomic_int owners;
};

SSL_CTX *tls_context_openssl(const struct tls_context *context) { return context->openssl; }

void tls_openssl_reason(char *reason, size_t room_bytes) {
  unsigned long code = ERR_peek_last_error();
  const char *text = code == 0 ? NULL : ERR_reason_error_string(code);
  if (text != NULL)
    snprintf(reason, room_bytes, "%s", text);
  else if (code != 0)
    snprintf(reason, room_bytes, "OpenSSL error %lX", code);
  else
    snprintf(reason, room_bytes, "OpenSSL does not say why");
  ERR_clear_error();
}

static enum status no_memory(struct error *error) {
  ERR_clear_error();
  return error_set(error, STATUS_NOMEM, "no memory for TLS");
}

/* ---- files -------------------------------------------------------------------------- */

/* A PEM file's bytes; wiped when it is released, for it may be a key. */
struct pem {
  const char *path;
  const char *what; /* "certificate" */
  char *data;
  size_t bytes;
  mode_t mode;
};

static void pem_release(struct pem *pem) {
  if (pem->data != NULL) OPENSSL_cleanse(pem->data, pem->bytes);
  free(pem->data);
  pem->data = NULL;
}

static enum status pem_failed(const struct pem *pem, enum status status, struct error *error,
                              const char *format, ...) PRINTF_LIKE(4, 5);
static enum status pem_failed(const struct pem *pem, enum status status, struct error *error,
                              const char *format, ...) {
  char text[ERROR_TEXT_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  ERR_clear_error();
  return error_set(error, status, "%s '%.300s' %s", pem->what, pem->path, text);
}

static enum status read_all(int file, size_t bytes, struct pem *pem, struct error *error) {
  pem->data = malloc(bytes + 1);
  if (pem->data == NULL) return no_memory(error);
  size_t got = 1;
  while (pem->bytes < bytes && got > 0) {
    enum status status = file_read(file, pem->data + pem->bytes, bytes - pem->bytes, &got, error);
    if (status != STATUS_OK) {
      error_at(error, "%s '%.300s'", pem->what, pem->path);
      return status;
    }
    pem->bytes += got;
  }
  return STATUS_OK;
}

static enum status pem_read(struct pem *pem, const char *what, const char *path,
                            struct error *error) {
  *pem = (struct pem){.what = what, .path = path};
  struct stat about;
  /* A pipe without a writer would block the open. */
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0 || fstat(file, &about) != 0) {
    enum status status = file_failed(errno, error);
    error_at(error, "%s '%.300s'", what, path);
    if (file >= 0) close(file);
    return status;
  }
  enum status status = STATUS_OK;
  pem->mode = about.st_mode;
  if (!S_ISREG(about.st_mode))
    status = pem_failed(pem, STATUS_INVALID, error, "is no file but a %s",
                        S_ISDIR(about.st_mode) ? "folder" : "device or pipe");
  else if (about.st_size > FILE_BYTES_MAX)
    status = pem_failed(pem, STATUS_INVALID, error, "is larger than %d KiB: it is no PEM file",
                        FILE_BYTES_MAX >> 10);
  else
    status = read_all(file, (size_t)about.st_size, pem, error);
  close(file);
  return status;
}

/* ---- certificates ------------------------------------------------------------------- */

static void subject_text(X509 *certificate, char *text, size_t room_bytes) {
  X509_NAME *name = X509_get_subject_name(certificate);
  BIO *out = BIO_new(BIO_s_mem());
  char *data = NULL;
  long bytes = 0;
  /* RFC 2253 escapes what is not printable. */
  if (out != NULL && X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253) >= 0)
    bytes = BIO_get_mem_data(out, &data);
  snprintf(text, room_bytes, "%.*s", (int)bytes, bytes > 0 ? data : "");
  BIO_free(out);
}

static void time_text(const ASN1_TIME *time, char *text, size_t room_bytes) {
  struct tm parts = {0};
  if (ASN1_TIME_to_tm(time, &parts) != 1 ||
      strftime(text, room_bytes, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
    snprintf(text, room_bytes, "a time that cannot be read");
}

/* Clients will refuse it, but a server that does not start helps nobody. */
static void warn_of_its_time(const struct pem *pem, X509 *certificate) {
  char subject[REASON_BYTES], when[64];
  const ASN1_TIME *begin = X509_get0_notBefore(certificate);
  const ASN1_TIME *end = X509_get0_notAfter(certificate);
  subject_text(certificate, subject, sizeof subject);
  if (X509_cmp_current_time(end) < 0) {
    time_text(end, when, sizeof when);
    log_warning("tls", "%s '%s' (%s) expired on %s: clients will refuse it", pem->what, pem->path,
                subject, when);
  } else if (X509_cmp_current_time(begin) > 0) {
    time_text(begin, when, sizeof when);
    log_warning("tls", "%s '%s' (%s) is not valid before %s: clients will refuse it", pem->what,
                pem->path, subject, when);
  }
}

/* All certificates of the file, at least one. */
static enum status certificates_of(const struct pem *pem, STACK_OF(X509) * *certificates,
                                   struct error *error) {
  enum status status = STATUS_OK;
  char reason[REASON_BYTES];
  STACK_OF(X509) *found = sk_X509_new_null();
  BIO *in = BIO_new_mem_buf(pem->data, (int)pem->bytes);
  if (found == NULL || in == NULL) {
    status = no_memory(error);
    goto done;
  }
  for (;;) {
    X509 *certificate = PEM_read_bio_X509_AUX(in, NULL, NULL, NULL);
    if (certificate == NULL) break;
    if (sk_X509_push(found, certificate) <= 0) {
      X509_free(certificate);
      status = no_memory(error);
      goto done;
    }
  }
  /* NO_START_LINE: no more of them; anything else is one that is broken. */
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
    tls_openssl_reason(reason, sizeof reason);
    status = pem_failed(pem, STATUS_INVALID, error, "holds a broken certificate (number %d): %s",
                        sk_X509_num(found) + 1, reason);
  } else if (sk_X509_num(found) == 0) {
    status = pem_failed(pem, STATUS_INVALID, error,
                        "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
  }
done:
  ERR_clear_error();
  BIO_free(in);
  if (status != STATUS_OK) {
    sk_X509_pop_free(found, X509_free);
    found = NULL;
  }
  *certificates = found;
  return status;
}

static enum status use_certificates(SSL_CTX *openssl, const struct pem *pem, struct error *error) {
  STACK_OF(X509) *certificates = NULL;
  char reason[REASON_BYTES];
  enum status status = certificates_of(pem, &certificates, error);
  if (status != STATUS_OK) return status;
  for (int i = 0; i < sk_X509_num(certificates) && status == STATUS_OK; i++) {
    X509 *certificate = sk_X509_value(certificates, i);
    warn_of_its_time(pem, certificate);
    long used = i == 0 ? SSL_CTX_use_certificate(openssl, certificate)
                       : SSL_CTX_add1_chain_cert(openssl, certificate);
    if (used == 1) continue;
    tls_openssl_reason(reason, sizeof reason);
    status = pem_failed(pem, STATUS_INVALID, error, "cannot be used (certificate number %d): %s",
                        i + 1, reason);
  }
  sk_X509_pop_free(certificates, X509_free);
  return status;
}

/* ---- the key ------------------------------------------------------------------------ */

static int on_passphrase(char *room, int room_bytes, int writing, void *context) {
  (void)room, (void)room_bytes, (void)writing;
  *(bool *)context = true;
  return -1;
}

static enum status use_key(SSL_CTX *openssl, const struct pem *pem, const char *cert_path,
                           struct error *error) {
  assert(pem->data != NULL);
  bool encrypted = false;
  char reason[REASON_BYTES];
  BIO *in = BIO_new_mem_buf(pem->data, (int)pem->bytes);
  if (in == NULL) return no_memory(error);
  EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, on_passphrase, &encrypted);
  BIO_free(in);
  if (key == NULL) {
    static const char MARK[] = "PRIVATE KEY-----"; /* OpenSSL says "unsupported" without it */
    bool none = memmem(pem->data, pem->bytes, MARK, sizeof MARK - 1) == NULL;
    if (encrypted)
      return pem_failed(pem, STATUS_INVALID, error,
                        "is encrypted with a passphrase, and nobody is there to type it: write it "
                        "without one (`openssl pkey -in OLD -out NEW`) and guard the file");
    if (none)
      return pem_failed(pem, STATUS_INVALID, error,
                        "holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)");
    tls_openssl_reason(reason, sizeof reason);
    return pem_failed(pem, STATUS_INVALID, error, "holds a broken private key: %s", reason);
  }
  enum status status = STATUS_OK;
  if (X509_check_private_key(SSL_CTX_get0_certificate(openssl), key) != 1)
    status = pem_failed(pem, STATUS_INVALID, error,
                        "is not the key of the certificate '%.300s': they belong to different "
                        "pairs",
                        cert_path);
  else if (SSL_CTX_use_PrivateKey(openssl, key) != 1) {
    tls_openssl_reason(reason, sizeof reason);
    status = pem_failed(pem, STATUS_INVALID, error, "cannot be used: %s", reason);
  }
  EVP_PKEY_free(key);
  if (status == STATUS_OK && (pem->mode & S_IRWXO) != 0)
    log_warning("tls",
                "%s '%s' can be read or written by every user of this machine: `chmod o= FILE`",
                pem->what, pem->path);
  return status;
}

/* ---- clients' certificates ---------------------------------------------------------- */

static enum status trust(SSL_CTX *openssl, const struct pem *pem, bool name_them,
                         struct error *error) {
  STACK_OF(X509) *certificates = NULL;
  enum status status = certificates_of(pem, &certificates, error);
  if (status != STATUS_OK) return status;
  X509_STORE *store = SSL_CTX_get_cert_store(openssl);
  for (int i = 0; i < sk_X509_num(certificates) && status == STATUS_OK; i++) {
    X509 *certificate = sk_X509_value(certificates, i);
    warn_of_its_time(pem, certificate);
    if (X509_STORE_add_cert(store, certificate) != 1 ||
        (name_them && SSL_CTX_add_client_CA(openssl, certificate) != 1))
      status = no_memory(error);
  }
  sk_X509_pop_free(certificates, X509_free);
  /* Whoever is named in the file is trusted, be it a root or not. */
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(openssl), X509_V_FLAG_PARTIAL_CHAIN);
  return status;
}

static enum status use_client_ca(SSL_CTX *openssl, const struct pem *pem, bool required,
                                 struct error *error) {
  enum status status = trust(openssl, pem, true, error);
  if (status != STATUS_OK) return status;
  SSL_CTX_set_verify(openssl, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                     NULL);
  return STATUS_OK;
}

enum status tls_use_trusted(SSL_CTX *openssl, const char *what, const char *path,
                            struct error *error) {
  struct pem pem = {0};
  enum status status = pem_read(&pem, what, path, error);
  if (status == STATUS_OK) status = trust(openssl, &pem, false, error);
  pem_release(&pem);
  return status;
}

enum status tls_use_pair(SSL_CTX *openssl, const char *cert_path, const char *key_path,
                         struct error *error) {
  struct pem cert = {0}, key = {0};
  enum status status = pem_read(&cert, "certificate", cert_path, error);
  if (status == STATUS_OK) status = pem_read(&key, "private key", key_path, error);
  if (status == STATUS_OK) status = use_certificates(openssl, &cert, error);
  if (status == STATUS_OK) status = use_key(openssl, &key, cert_path, error);
  pem_release(&cert);
  pem_release(&key);
  return status;
}

/* ---- the context --------------------------------------------------------------------- */

/* The server's order, not the client's. */
static int on_alpn(SSL *ssl, const uint8_t **chosen, uint8_t *chosen_bytes, const uint8_t *offered,
                   unsigned offered_bytes, void *context) {
  static const uint8_t ours[] = "\x02h2\x08http/1.1";
  (void)ssl, (void)context;
  uint8_t *found = NULL;
  if (SSL_select_next_proto(&found, chosen_bytes, ours, sizeof ours - 1, offered, offered_bytes) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol */
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

static enum status set_rules(SSL_CTX *openssl, struct error *error) {
  SSL_CTX_set_security_level(openssl, 2);
  SSL_CTX_set_options(openssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  /* A connection that waits holds no 16 KiB for each direction. */
  SSL_CTX_set_mode(openssl, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(openssl, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_alpn_select_cb(openssl, on_alpn, NULL);
  if (SSL_CTX_set_min_proto_version(openssl, TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(openssl, CIPHERS) != 1 ||
      SSL_CTX_set_session_id_context(openssl, SESSION_GROUP, sizeof SESSION_GROUP - 1) != 1) {
    char reason[REASON_BYTES];
    tls_openssl_reason(reason, sizeof reason);
    return error_set(error, STATUS_UNAVAILABLE, "OpenSSL does not take our rules for TLS: %s",
                     reason);
  }
  return STATUS_OK;
}

static enum status load(SSL_CTX *openssl, const struct tls_options *options, struct error *error) {
  struct pem cert = {0}, key = {0}, client_ca = {0};
  enum status status = pem_read(&cert, "certificate", options->cert_path, error);
  if (status == STATUS_OK) status = pem_read(&key, "private key", options->key_path, error);
  if (status == STATUS_OK && options->client_ca_path != NULL)
    status = pem_read(&client_ca, "client CA", options->client_ca_path, error);
  if (status == STATUS_OK) status = set_rules(openssl, error);
  if (status == STATUS_OK) status = use_certificates(openssl, &cert, error);
  if (status == STATUS_OK) status = use_key(openssl, &key, options->cert_path, error);
  if (status == STATUS_OK && options->client_ca_path != NULL)
    status = use_client_ca(openssl, &client_ca, options->client_required, error);
  pem_release(&cert);
  pem_release(&key);
  pem_release(&client_ca);
  return status;
}

enum status tls_context_new(const struct tls_options *options, struct tls_context **context,
                            struct error *error) {
  *context = NULL;
  if (options->cert_path == NULL || options->key_path == NULL)
    return error_set(error, STATUS_INVALID, "TLS needs both a certificate and its private key");
  if (options->client_required && options->client_ca_path == NULL)
    return error_set(error, STATUS_INVALID,
                     "clients' certificates cannot be required without the certificates of those "
                     "who sign them");
  ERR_clear_error();
  struct tls_context *made = calloc(1, sizeof *made);
  if (made == NULL) return no_memory(error);
  atomic_init(&made->owners, 1);
  made->openssl = SSL_CTX_new(TLS_server_method());
  enum status status =
      made->openssl == NULL ? no_memory(error) : load(made->openssl, options, error);
  if (status != STATUS_OK) {
    tls_context_free(made);
    return status;
  }
  *context = made;
  return STATUS_OK;
}

struct tls_context *tls_context_of(SSL_CTX *openssl) {
  struct tls_context *made = calloc(1, sizeof *made);
  if (made == NULL) {
    SSL_CTX_free(openssl);
    return NULL;
  }
  atomic_init(&made->owners, 1);
  made->openssl = openssl;
  return made;
}

struct tls_context *tls_context_share(struct tls_context *context) {
  atomic_fetch_add(&context->owners, 1);
  return context;
}

void tls_context_free(struct tls_context *context) {
  if (context == NULL || atomic_fetch_sub(&context->owners, 1) > 1) return;
  SSL_CTX_free(context->openssl);
  free(context);
}
