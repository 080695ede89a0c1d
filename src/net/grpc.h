/* gRPC over HTTP/2 (grpc/grpc, doc/PROTOCOL-HTTP2.md), the server's side of one call: message framing,
 * deadlines, status and trailers, on an exchange of net.h. Everything happens on the loop's thread.
 *
 *   exchange whose request is grpc_is_call --grpc_call_new--> messages ... --> end
 *   answer: grpc_header ..., grpc_send and grpc_write ..., grpc_finish
 *
 * Every answer of such a request is HTTP 200; errors are trailers (grpc-status by base/status.h,
 * grpc-message percent-encoded). */
#ifndef ARROWPORT_NET_GRPC_H
#define ARROWPORT_NET_GRPC_H

#include "base/text.h"
#include "net/net.h"

/* POST with a content type of application/grpc, or application/grpc+proto, over HTTP/2. */
bool grpc_is_call(const struct http_exchange *exchange);

/* Answers an exchange that has no grpc_call (yet) with a status: the way in for refusals. */
void grpc_refuse(struct http_exchange *exchange, enum status status, const struct error *error);

/* Who takes the messages. As in http_body_handler, `window` may answer with STATUS_BUDGET after
 * grpc_pause: "not now". After another failure of any of them no further call but `gone` comes, and
 * the handler finishes the call. grpc_finish may be called inside all of them. After grpc_pause
 * outside of `window` the message at hand may still be told whole where all its bytes are there. */
struct grpc_handler {
  void *context;
  /* A message of so many bytes begins (after decompression where it is compressed). */
  enum status (*begin)(void *context, int64_t bytes);
  /* Where its next bytes go: at least 1 byte, never more than are left of the message (asserted). Not
   * asked for an empty message. */
  enum status (*window)(void *context, uint8_t **data, int64_t *bytes);
  enum status (*filled)(void *context, int64_t bytes);
  /* It is whole (all its bytes were filled). */
  enum status (*message)(void *context);
  /* The client has sent its last message. */
  void (*end)(void *context);
  /* The client vanished or cancelled (STATUS_CANCELLED), broke the protocol (STATUS_INVALID,
   * STATUS_TOO_LARGE; the client was told), does not read its answer or its deadline has passed
   * (STATUS_TIMEOUT; the latter is told), or there is no memory to expand what it sends
   * (STATUS_BUDGET, STATUS_NOMEM; told): stop what works for it. Called at most once, also after
   * `end`, and never after grpc_finish. */
  void (*gone)(void *context, enum status status, const struct error *why);
};

struct grpc_call_options {
  int64_t message_bytes_max; /* lengths beyond it: STATUS_TOO_LARGE before a byte of it is read */
  bool client_streams;       /* false: a second message is STATUS_INVALID, none at the end too */
  struct budget *budget;     /* charged while a compressed message is expanded */
};

struct grpc_call;
/* Takes the exchange's body: inside service->request or after http_body_wait. The call lives until the
 * service's `finished`, in which grpc_call_free is called. STATUS_INVALID (grpc-timeout),
 * STATUS_UNSUPPORTED (a grpc-encoding that is not identity, gzip or deflate), STATUS_NOMEM: the
 * exchange is still to be refused. The body may then be as long and as slow as it likes. Takes
 * http_on_gone and http_on_writable of the exchange for itself. */
enum status grpc_call_new(struct http_exchange *exchange, const struct grpc_call_options *options,
                          const struct grpc_handler *handler, struct net_loop *loop,
                          struct grpc_call **call, struct error *error) WARN_UNUSED;
void grpc_call_free(struct grpc_call *call); /* NULL is allowed */

void grpc_pause(struct grpc_call *call);
void grpc_resume(struct grpc_call *call);
/* When the client's patience ends (clock_now_ms); -1: never. */
int64_t grpc_deadline_ms(const struct grpc_call *call);

/* The answer. Without memory for a part of it the stream is broken off: grpc_finished is true then,
 * and nothing but `finished` of the service follows.
 *
 * Headers (metadata), before the first message; copied. */
void grpc_header(struct grpc_call *call, const char *name, const char *value);
/* Sends the headers now: for clients that wait for them before they send. Else they go with the first
 * message. */
void grpc_start(struct grpc_call *call);
/* Sends a whole message (copied); its 5-byte prefix is put before it. */
void grpc_send(struct grpc_call *call, const void *message, size_t bytes);
/* Sends bytes that hold their prefixes already, taking them over (flight/data.h makes such). */
void grpc_write(struct grpc_call *call, struct buffer *data);
/* False: the client does not keep up; `writable` is called when it does again. */
bool grpc_writable(const struct grpc_call *call);
void grpc_on_writable(struct grpc_call *call, void (*writable)(void *context), void *context);
/* The end: trailers. STATUS_OK (`error` may be NULL), or what went wrong; an error before any message
 * is a trailers-only answer. What was sent before goes out first. Messages that still come are
 * dropped, and the client is told to stop. Texts of STATUS_INTERNAL are logged by the caller and not
 * told: give one that may be. Does nothing once the client is gone. */
void grpc_finish(struct grpc_call *call, enum status status, const struct error *error);
bool grpc_finished(const struct grpc_call *call); /* grpc_finish was called, or `gone` */

enum { GRPC_PREFIX_BYTES = 5 };
/* The prefix of an uncompressed message. */
void grpc_prefix(uint8_t prefix[GRPC_PREFIX_BYTES], uint32_t bytes);

#endif
