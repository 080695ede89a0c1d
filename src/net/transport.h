/* A client's connection as bytes, in the clear or through TLS. Private to net/.
 *
 * The owner says where the next bytes go (`room`) and hears how many came (`came`), so that a
 * body can be read from the socket straight into the memory where it stays. What the socket
 * does not take at once waits here (transport_unsent_bytes).
 *
 * No function calls the owner back, except transport_read when TLS holds bytes already: that
 * is done soon, when the callback that is running now has returned. */
#ifndef ARROWPORT_NET_TRANSPORT_H
#define ARROWPORT_NET_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "net/loop.h"
#include "net/net.h"

struct transport;

struct transport_owner {
  void *context;
  /* Where the next bytes are to go. No room (NULL, 0): not now; transport_read(false) or
   * transport_close was called, or is about to be. */
  void (*room)(void *context, uint8_t **data, size_t *bytes);
  /* So many bytes were put there; at least 1. */
  void (*came)(void *context, size_t bytes);
  /* All bytes of this turn were told by `came`: time to see what follows from them. Also
   * called when a handshake has moved on. */
  void (*turned)(void *context);
  /* The client has ended its side: nothing more comes, it may still read. */
  void (*ended)(void *context);
  /* Nothing can be sent or received any more; transport_close is still to be called. */
  void (*lost)(void *context, enum status status, const char *why);
  /* Something that was waiting has been sent, or the end of our side. */
  void (*sent)(void *context);
  /* The last call, after transport_close: the transport is freed. */
  void (*closed)(void *context);
};

/* Takes over the connected socket `fd`, also on failure. With `tls` (shared by the transport
 * for its life; NULL: in the clear) the handshake begins with the first bytes. Reading is off. */
enum status transport_new(struct net_loop *loop, int fd, struct tls_context *tls,
                          const struct transport_owner *owner, struct transport **transport,
                          struct error *error) WARN_UNUSED;

void transport_read(struct transport *transport, bool wanted);
/* Sends `before`, `data` (NULL: none), `after`. Takes `data` over in any case. */
void transport_send(struct transport *transport, const void *before, size_t before_bytes,
                    struct buffer *data, const void *after, size_t after_bytes);
size_t transport_unsent_bytes(const struct transport *transport);
int64_t transport_queued_bytes(const struct transport *transport); /* ever given to the socket */
/* Ends our side once all is sent; `sent` or `lost` follows. */
void transport_shutdown(struct transport *transport);
/* At once; `reset`: so that the client sees a failure. */
void transport_close(struct transport *transport, bool reset);

/* False while a TLS handshake is under way. */
bool transport_ready(const struct transport *transport);
/* "h2" or "http/1.1" as ALPN chose, "" otherwise. */
const char *transport_alpn(const struct transport *transport);
const char *transport_client_name(const struct transport *transport); /* NULL: no certificate */
/* The client speaks in the clear although TLS is spoken here: it can be told so. */
bool transport_is_misfit(const struct transport *transport);
/* Why the TLS handshake failed: the client has been sent an alert, and what still comes from it is
 * to be dropped. NULL: it did not. */
const char *transport_refusal(const struct transport *transport);
/* The socket has an error or both its sides are closed. */
bool transport_is_dead(const struct transport *transport);

#endif
