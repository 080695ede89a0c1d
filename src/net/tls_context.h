/* What a session needs of its context. Private to tls.c and tls_context.c. */
#ifndef ARROWPORT_NET_TLS_CONTEXT_H
#define ARROWPORT_NET_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "net/net.h"

SSL_CTX *tls_context_openssl(const struct tls_context *context);

/* What OpenSSL's queue of errors says of the last failure, in words; empties it. */
void tls_openssl_reason(char *reason, size_t room_bytes);

#endif
