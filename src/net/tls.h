/* TLS as bytes in, bytes out (OpenSSL 3): no sockets, no waiting. Private to net/; what the
 * rest of the house needs (tls_context_*) is in net.h.
 *
 *   ciphertext that came -> tls_session_feed -> tls_session_read  -> plaintext
 *   plaintext            -> tls_session_write -> tls_session_take -> ciphertext to send
 *
 * The handshake goes on inside feed and read; whoever calls them sends what
 * tls_session_take then gives, also after a failure (the alert). */
#ifndef ARROWPORT_NET_TLS_H
#define ARROWPORT_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"
#include "net/net.h"

struct tls_session;

/* A server's side of a connection; holds on to the context. */
enum status tls_session_new(struct tls_context *context, struct tls_session **session,
                            struct error *error) WARN_UNUSED;

struct tls_client_options {
  const char *ca_path;   /* PEM: who signs servers' certificates; NULL: the system's list */
  const char *cert_path; /* PEM: a client's certificate; NULL: none */
  const char *key_path;  /* PEM; NULL: in cert_path too */
  bool insecure;         /* takes whatever certificate is shown */
};
/* For clients (tls_client.c): offers h2 alone. Errors as tls_context_new. */
enum status tls_client_context_new(const struct tls_client_options *options,
                                   struct tls_context **context, struct error *error) WARN_UNUSED;
/* A client's side, of such a context: below, "the client" is the server then. `server_name` (a name or
 * an address) is what the certificate has to be for. Begins by having something to be taken. A
 * certificate that is not to be trusted is STATUS_DENIED. */
enum status tls_session_new_client(struct tls_context *context, const char *server_name,
                                   struct tls_session **session, struct error *error) WARN_UNUSED;
void tls_session_free(struct tls_session *session); /* NULL is allowed */

/* [data, data + bytes) came from the client. All of it is kept until tls_session_read has used
 * it: read until it gives nothing before feeding again. */
enum status tls_session_feed(struct tls_session *session, const uint8_t *data, size_t bytes,
                             struct error *error) WARN_UNUSED;
/* Puts up to room_bytes of plaintext at `room`. `*bytes` 0: more has to come first (or the
 * handshake is under way). `*ended`: the client has ended its side (close_notify), what is in
 * `room` was the last; an end of the connection without it may be somebody else's doing.
 * STATUS_INVALID: broken TLS, a certificate that was refused (says why); the connection is
 * over once what tls_session_take gives is sent. */
enum status tls_session_read(struct tls_session *session, uint8_t *room, size_t room_bytes,
                             size_t *bytes, bool *ended, struct error *error) WARN_UNUSED;
/* True while plaintext, unread ciphertext or a failure that nobody heard of waits inside. */
bool tls_session_holds(const struct tls_session *session);

/* Encrypts all of it. Only once established. */
enum status tls_session_write(struct tls_session *session, const void *data, size_t bytes,
                              struct error *error) WARN_UNUSED;
/* Moves the ciphertext that is to be sent out; BUFFER_EMPTY when there is none. */
void tls_session_take(struct tls_session *session, struct buffer *out);
/* Nothing more will be written: close_notify is to be sent. */
void tls_session_shutdown(struct tls_session *session);

bool tls_session_established(const struct tls_session *session);
/* What ALPN chose: "h2", "http/1.1", or "" without ALPN. Once established. */
const char *tls_session_alpn(const struct tls_session *session);
/* The subject's common name (or first DNS name) of a verified client certificate; NULL: none. */
const char *tls_session_client_name(const struct tls_session *session);

/* Whether a connection's first byte is a TLS record's (a handshake). */
static inline bool tls_is_hello(uint8_t first) { return first == 0x16; }

#endif
