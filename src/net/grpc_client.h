/* A gRPC client: one HTTP/2 connection, calls on it, over nghttp2. Blocking: a channel and its calls
 * are used by one thread at a time, which waits in them for the network; grpc_client_cancel alone
 * may be called from any thread.
 *
 *   grpc_channel_open -> grpc_client_start -> grpc_client_send ... -> grpc_client_close_sending
 *                                          -> grpc_client_next ... -> (no message) -> status
 *
 * Connections are made when they are needed and made anew when they are gone: a channel can be kept
 * for as long as its owner likes. */
#ifndef ARROWPORT_NET_GRPC_CLIENT_H
#define ARROWPORT_NET_GRPC_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"
#include "net/net.h"

struct grpc_channel_options {
  const char *host; /* name or address */
  int port;
  bool tls;
  const char *ca_path;   /* PEM: who signs the server's certificate; NULL: the system's list */
  const char *cert_path; /* PEM: a client certificate and those that lead to its root; NULL: none */
  const char *key_path;  /* PEM; NULL: in cert_path too */
  const char *server_name;    /* to check the certificate against and to ask for; NULL: host */
  bool insecure;              /* takes whatever certificate is shown */
  int64_t connect_timeout_ms; /* 0: 10 s */
  int64_t keepalive_ms;       /* a ping when nothing came for so long within a call; 0: 60 s */
  int64_t message_bytes_max;  /* of what is received; 0: 2 GiB */
  struct budget *budget;      /* charged for what is received; must outlive it */
};

struct grpc_channel;
/* Copies the options; does not connect yet. STATUS_INVALID, or a file that cannot be read. */
enum status grpc_channel_open(const struct grpc_channel_options *options,
                              struct grpc_channel **channel, struct error *error) WARN_UNUSED;
/* Calls that are under way are cancelled; they are still to be freed. NULL is allowed. */
void grpc_channel_close(struct grpc_channel *channel);

/* Where the bytes of a message go that is received: as struct grpc_handler of net/grpc.h, but called
 * inside grpc_client_next. NULL functions: the message is collected in a buffer. */
struct grpc_receiver {
  void *context;
  enum status (*begin)(void *context, int64_t bytes, struct error *error);
  enum status (*window)(void *context, uint8_t **data, int64_t *bytes, struct error *error);
  enum status (*filled)(void *context, int64_t bytes, struct error *error);
};

struct grpc_client_call;
/* `method`: "/arrow.flight.protocol.FlightService/DoGet". `headers` (lower case; values of names that
 * end in -bin are bytes already in base64) and `deadline_ms` (from now; 0: none) are sent with it.
 * Connects if need be, and waits for that alone: the call itself leaves with the first bytes that do.
 * `receiver` is copied, NULL: messages are collected.
 * STATUS_INVALID: a name or value that cannot be sent. STATUS_UNAVAILABLE: nobody answers;
 * STATUS_DENIED: the server's certificate is not to be trusted; STATUS_BUDGET: the server takes no
 * more calls beside those that are under way. In all of these cases nothing has been done. */
enum status grpc_client_start(struct grpc_channel *channel, const char *method,
                              const struct http_header *headers, size_t header_count,
                              int64_t deadline_ms, const struct grpc_receiver *receiver,
                              struct grpc_client_call **call, struct error *error) WARN_UNUSED;
/* Sends bytes that hold their 5-byte prefixes already, taking them over unless it is STATUS_BUDGET or
 * STATUS_NOMEM. Waits while the server does not take more, receiving what it sends meanwhile; less
 * than 64 KiB wait for more, or for grpc_client_flush, _close_sending, _next and _ready.
 *
 * What is received is held up to the stream's window (16 MiB). When that is full and the server still
 * takes nothing, both sides would wait for ever: a write then returns with its bytes queued, and the
 * one after it is STATUS_BUDGET. Whoever calls grpc_client_next for as long as grpc_client_ready,
 * between writes, never sees that.
 *
 * STATUS_CANCELLED when the call has ended already: grpc_client_next says how. */
enum status grpc_client_write(struct grpc_client_call *call, struct buffer *data,
                              struct error *error) WARN_UNUSED;
/* A whole message; copied. */
enum status grpc_client_send(struct grpc_client_call *call, const void *message, size_t bytes,
                             struct error *error) WARN_UNUSED;
/* Sends what waits for more, so that the server sees it now. Errors as grpc_client_write. */
enum status grpc_client_flush(struct grpc_client_call *call, struct error *error) WARN_UNUSED;
/* There is nothing more to send; does not wait. */
enum status grpc_client_close_sending(struct grpc_client_call *call,
                                      struct error *error) WARN_UNUSED;
/* Waits for the next message. `*got` false: there are no more, and the server's status was OK. Any
 * status of the server's that is not OK is what this returns, with its message; the call is over then,
 * and calling again returns the same. A receiver's failure ends the call, but for STATUS_BUDGET of
 * `window` (and of collecting): then the message goes on where it stopped when this is called again.
 * An empty message is a `begin` alone.
 * `message` (collected; the caller's, what it held is released) may be NULL when the receiver takes
 * them. */
enum status grpc_client_next(struct grpc_client_call *call, struct buffer *message, bool *got,
                             struct error *error) WARN_UNUSED;
/* True when a message, or the end, can be had without waiting; or when no more can come before what is
 * held is taken. Does not wait. */
bool grpc_client_ready(struct grpc_client_call *call);
/* True when a call that failed was not begun with by the server, which is certain: it may be sent
 * again. (What fails in grpc_client_start always may.) */
bool grpc_client_unprocessed(const struct grpc_client_call *call);
/* A header or trailer of the answer, as far as it has come; NULL: none. */
const char *grpc_client_header(const struct grpc_client_call *call, const char *name);
/* The n-th of that name: set-cookie comes more than once. */
const char *grpc_client_header_at(const struct grpc_client_call *call, const char *name, size_t n);
/* Makes the call end with STATUS_CANCELLED as soon as its thread notices. From any thread, while the
 * call is not freed. */
void grpc_client_cancel(struct grpc_client_call *call);
/* Gives it up if it is not over. NULL is allowed. */
void grpc_client_free(struct grpc_client_call *call);

/* One message there, one back, by the calls above. `answer` is the caller's. A call that the server
 * has not begun with (it was leaving) is sent once more. */
enum status grpc_client_unary(struct grpc_channel *channel, const char *method,
                              const struct http_header *headers, size_t header_count,
                              int64_t deadline_ms, const void *message, size_t bytes,
                              struct buffer *answer, struct error *error) WARN_UNUSED;

#endif
