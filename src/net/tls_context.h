/* What a session needs of its context. Private to tls.c and tls_context.c. */
#ifndef ARROWPORT_NET_TLS_CONTEXT_H
#define ARROWPORT_NET_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "net/net.h"

SSL_CTX *tls_context_openssl(const struct tls_context *context);

/* What OpenSSL's queue of errors says of the last failure, in words; empties it. */
void tls_openssl_reason(char *reason, size_t room_bytes);

/* One owner of `openssl`, which it takes over; NULL: no memory, it is freed. */
struct tls_context *tls_context_of(SSL_CTX *openssl);

/* Reads and uses a certificate, what leads to its root, and its key; or those who are trusted to sign
 * the other side's. Errors as tls_context_new. */
enum status tls_use_pair(SSL_CTX *openssl, const char *cert_path, const char *key_path,
                         struct error *error) WARN_UNUSED;
enum status tls_use_trusted(SSL_CTX *openssl, const char *what, const char *path,
                            struct error *error) WARN_UNUSED;

/* What OpenSSL's last failure means to a client, in words; `ssl` is asked what it found wrong with the
 * server's certificate. STATUS_DENIED, STATUS_INVALID or STATUS_UNSUPPORTED. */
enum status tls_client_reason(const SSL *ssl, unsigned long code, char *reason, size_t room_bytes);

#endif
