/* What every exchange has, whatever protocol carries it: the request, who takes its body,
 * how far the answer is. Private to net/.
 *
 * HTTP/1.1 (http1.c) and HTTP/2 (http2.c) each embed this struct at the beginning of one of
 * their own and fill in a `struct http_protocol`. The functions of net.h (http_exchange.c)
 * check what is the same for both and then ask the protocol.
 *
 *   BODY_NEW --http_body_accept--> BODY_TAKEN --handler fails--> BODY_STOPPED
 *      | nobody took it               |  | whole: end                |
 *      v                              |  +--> BODY_DONE              |
 *   BODY_DROPPED <---answer complete--+------------------------------+
 *      +--whole--> BODY_DONE
 *
 *   ANSWER_NONE --http_start--> ANSWER_OPEN --http_end--> ANSWER_ENDED
 *        +------------------http_respond----------------------^
 *        +---------------------http_abort---------------> ANSWER_ABORTED
 *
 * Invariants:
 * 1. Handlers and the service are only called from the protocol's own run (never from
 *    inside a call of theirs): a call into net/ changes state and asks to be run soon.
 * 2. After every call of a handler the exchange may have been answered, paused, stopped, even
 *    finished (http_server_free): the protocol keeps its memory until the call has returned. */
#ifndef ARROWPORT_NET_HTTP_EXCHANGE_H
#define ARROWPORT_NET_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/http_coding.h"
#include "net/http_head.h"
#include "net/net.h"

enum body_state {
  BODY_NEW,     /* the service is being asked */
  BODY_TAKEN,   /* goes to `handler` */
  BODY_STOPPED, /* not read any further */
  BODY_DROPPED, /* read, nobody wants it */
  BODY_DONE     /* whole */
};

enum answer_state {
  ANSWER_NONE,
  ANSWER_OPEN,   /* http_start */
  ANSWER_ENDED,  /* complete, perhaps still queued */
  ANSWER_ABORTED /* http_abort */
};

enum {
  EXCHANGE_ANSWER_HEADERS_MAX = 6,
  /* A body that nobody wants is read, so that its sender sees the answer instead of a
   * reset, up to here and, once answered, no longer than that. */
  HTTP_DROP_BYTES_MAX = 64 * 1024 * 1024,
  HTTP_DROP_MS_MAX = 5000,
};

struct http_exchange;

/* What a protocol does for an exchange. None of these may call the service or a handler. */
struct http_protocol {
  const char *name; /* "HTTP/1.1" */
  /* The body was taken, paused or resumed: go on reading, or stop. */
  void (*body_changed)(struct http_exchange *exchange);
  /* A whole answer; body_bytes of `body`, copied. Headers of the exchange's own come with
   * exchange_each_header. */
  void (*respond)(struct http_exchange *exchange, int code, const struct http_header *headers,
                  size_t header_count, const void *body, size_t body_bytes);
  void (*start)(struct http_exchange *exchange, int code, const struct http_header *headers,
                size_t header_count);
  void (*write)(struct http_exchange *exchange, struct buffer *data); /* takes it over */
  bool (*writable)(const struct http_exchange *exchange);
  void (*end)(struct http_exchange *exchange);
  /* The end with trailers; before `start`: one head with these fields is all. NULL: the protocol
   * has none. */
  void (*end_trailers)(struct http_exchange *exchange, const struct http_header *trailers,
                       size_t trailer_count);
  void (*abort)(struct http_exchange *exchange);
};

struct http_exchange {
  const struct http_protocol *protocol;
  const struct http_service *service;
  struct http_server_stats *stats; /* the server's counters; NULL: nobody counts */
  const struct http_peer *peer;    /* the connection's */
  struct http_head head;
  void *context;

  enum body_state body;
  bool waits; /* BODY_NEW for now: whoever asks is not known yet (http_body_wait) */
  bool asked; /* the service knows of it */
  bool paused;
  bool ending;    /* all bytes have come, the decoder still holds some of them */
  bool unbounded; /* the body may take its time (http_body_unbounded) */
  struct http_body_handler handler;
  struct http_coding *coding; /* Content-Encoding; NULL: identity */
  int64_t body_bytes_max;     /* endless bodies: storage filled by one request; 0: no limit */
  int64_t decoded_bytes;      /* given to the handler */
  int64_t received_bytes;     /* of body, as they came */
  int64_t sent_bytes;         /* of body, as they were written */

  enum answer_state answer;
  int code;          /* of the answer (http_exchange_code); 0: none yet */
  bool over;         /* lost or refused: the service's calls do nothing any more */
  bool without_body; /* of the answer: HEAD, 204, 304 */
  bool blocked;      /* the service waits for `writable` */
  struct http_header answer_headers[EXCHANGE_ANSWER_HEADERS_MAX]; /* malloc'd texts */
  size_t answer_header_count;
  void (*gone)(void *context);
  void *gone_context;
  void (*writable)(void *context);
  void *writable_context;
  struct error why; /* of `over` */
};

/* Fills in what every exchange begins with; the head is taken over (`head` is empty then).
 * The struct was zeroed before. */
void exchange_init(struct http_exchange *exchange, const struct http_protocol *protocol,
                   const struct http_service *service, const struct http_peer *peer,
                   struct http_head *head);
/* Asks the service. A body that nobody took is BODY_DROPPED afterwards, unless the service waits
 * (http_body_wait): then it stays BODY_NEW and is not read. An unknown Content-Encoding and a
 * Content-Length past body_bytes_max are answered here. Counts stats->requests_open. */
void exchange_ask(struct http_exchange *exchange);
/* The client broke the protocol or a limit, or its time is over: tells who takes the body, and
 * answers `code` as application/problem+json where no answer has begun; breaks it off otherwise.
 * A gRPC call gets its status in trailers, either way. */
void exchange_refuse(struct http_exchange *exchange, int code, const struct error *why);
/* Marks it as over, with the reason; nothing is called. */
void exchange_lost(struct http_exchange *exchange, enum status status, const char *why);
/* Tells whoever works for the client that it is gone (the body's handler, or http_on_gone). */
void exchange_tell_gone(struct http_exchange *exchange);
/* Calls `writable` when the service waits for it and the answer is open; false: it does not. */
bool exchange_tell_writable(struct http_exchange *exchange);
/* The last call: tells the service, then releases what exchange_init and the functions
 * here hold. The struct itself is the protocol's to free. */
void exchange_finish(struct http_exchange *exchange);

/* ---- the body, on its way to the handler (http_body.c) ----------------------------------
 * Only while `body` is BODY_TAKEN. */

/* Where the next bytes may be read to directly: true, and at least `bytes_min` of room.
 * False: they are given by exchange_body_give (decoded, too little room, paused, stopped). */
bool exchange_body_window(struct http_exchange *exchange, int64_t bytes_min, uint8_t **data,
                          int64_t *bytes);
/* So many bytes have been put there. Both this and exchange_body_give count received_bytes. */
void exchange_body_filled(struct http_exchange *exchange, int64_t bytes);
/* Hands bytes to the handler; returns how many it took: fewer when it paused or stopped, and
 * none while it is paused. Called again with what is left once `paused` is false. */
size_t exchange_body_give(struct http_exchange *exchange, const uint8_t *data, size_t bytes);
/* All bytes were given. True: the handler was told (BODY_DONE), or stopped; false: the decoder
 * holds bytes that the paused handler must take first: call again once it is not paused. */
bool exchange_body_end(struct http_exchange *exchange);

/* Whether the answer has no body whatever is written (HEAD, 204, 304). */
bool exchange_answers_nothing(const struct http_exchange *exchange, int code);

#endif
