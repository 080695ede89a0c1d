/* gRPC calls over an HTTP/2 core and a client in memory (h2_world.h), with an event loop for what
 * has to do with time. What a handler hears is written down, a word and a semicolon each:
 * "begin 5;hello;message;end;". The service does what the path says:
 *
 *   /log         takes messages; at the end finishes with OK
 *   /one         takes one message, sends it back at the end
 *   /echo        sends each message back
 *   /metadata    as /log, with a header of its own
 *   /step        as /log, pausing after each piece
 *   /budget      as /log; its window says "not now" before each piece
 *   /fail?WHERE  as /log; WHERE (begin, window, filled, message) fails; grpc_go_on finishes
 *   /early?N     finishes with SCHEMA at the Nth message
 *   /never       takes messages, never finishes
 *   /leave?WHERE ends the connection from inside of begin, window, filled, message or end
 *   /refuse      is refused with UNAUTHENTICATED
 *   /stream?N    N messages of 1000 bytes, as long as it is writable */
#ifndef ARROWPORT_TESTS_NET_GRPC_WORLD_H
#define ARROWPORT_TESTS_NET_GRPC_WORLD_H

#include "base/text.h"
#include "net/grpc.h"
#include "net/h2_world.h"

enum { GRPC_SEEN_MAX = 64 };

struct grpc_seen {
  struct grpc_world *world;
  struct http_exchange *exchange; /* NULL: finished */
  struct grpc_call *call;         /* NULL: refused, or finished */
  uint8_t window[4096];
  int64_t begun_bytes, had_bytes; /* of the current message */
  int64_t to_send;
  int messages, gones;
  int code;         /* http_exchange_code at the end */
  bool stepped;     /* /budget: has said "not now" for this piece */
  struct text body; /* of the current message */
  struct text log;
};

struct grpc_world {
  struct h2_world *h2;
  struct net_loop *loop;
  struct net_timer *timer;
  struct grpc_call_options options; /* client_streams goes by the path */
  int64_t window_bytes;             /* how much room the handler gives at a time */
  struct grpc_seen *seen[GRPC_SEEN_MAX];
  int count;
};

struct grpc_world *grpc_world_new(void);
void grpc_world_start(struct grpc_world *world);
void grpc_world_end(struct grpc_world *world); /* also checks that all is given back */

/* The loop turns for so long, then both sides exchange what they have. */
void grpc_world_pass(struct grpc_world *world, int64_t ms);
/* A call; `fields` beside those that every call has (NULL: none). */
struct h2_call *grpc_ask(struct grpc_world *world, const char *path, const char *fields,
                         const void *body, int64_t body_bytes);
/* Appends prefix and message. */
void grpc_frame(struct text *out, uint8_t flag, const void *message, size_t bytes);
/* Resumes, or finishes: what the path says; then the loop turns once. */
void grpc_go_on(struct grpc_world *world, int nth);
const char *grpc_log(struct grpc_world *world, int nth);

#endif
