/* A gRPC call with one request message, which an ask then works on: what the structs of flight.c,
 * flight_get.c begin with. Only the loop's thread. */
#ifndef ARROWPORT_SERVER_FLIGHT_SINGLE_H
#define ARROWPORT_SERVER_FLIGHT_SINGLE_H

#include "server/flight.h"

enum { FLIGHT_REQUEST_BYTES_MAX = 16 << 20 }; /* of its message: SQL, a ticket, an action's body */

struct flight_single {
  struct request request;
  struct grpc_call *grpc; /* NULL once the exchange is over */
  struct flight_ask *ask;
  struct buffer message; /* the request */
  int64_t left_bytes;    /* of it, to come */
  bool runs;             /* the ask does: flight_single_over is to come */
  /* The message is whole: runs the ask (and sets `runs`), or finishes the call. */
  void (*start)(struct flight_single *single);
  /* Lets go of what is its own; the struct is freed behind it. NULL: nothing is. */
  void (*release)(struct flight_single *single);
  /* The exchange is over while it runs; NULL: its ask alone is stopped. */
  void (*over)(struct flight_single *single);
};

/* Takes a call over: `bytes` of the struct that begins with a flight_single, zeroed. NULL: it was
 * answered. */
struct flight_single *flight_single_new(struct call *call, size_t bytes,
                                        void (*start)(struct flight_single *single),
                                        void (*release)(struct flight_single *single));
/* The ask has ended: finishes the call, or frees the struct if the client has gone. */
void flight_single_over(struct flight_single *single, enum status status,
                        const struct error *error);

#endif
