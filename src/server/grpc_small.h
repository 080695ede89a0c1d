/* gRPC calls whose messages are small and answered on the loop at once: health checks, reflection. Only
 * the loop's thread. */
#ifndef ARROWPORT_SERVER_GRPC_SMALL_H
#define ARROWPORT_SERVER_GRPC_SMALL_H

#include <stdbool.h>
#include <stdint.h>

#include "net/grpc.h"
#include "server/private.h"

enum {
  SMALL_MESSAGE_BYTES_MAX = 4096, /* of a request; names take less */
  SMALL_CALLS_MAX = 1024,         /* at a time; most need no credentials: more are refused */
};

struct small_call;

/* What the calls of a method do. */
struct small_kind {
  int64_t struct_bytes; /* of a struct that begins with struct small_call */
  bool client_streams;  /* more than one message may come */
  /* One is whole. What fails ends the call. */
  enum status (*message)(struct small_call *small, struct error *error);
  void (*end)(struct small_call *small);   /* the client has sent its last; NULL: nothing is done */
  void (*drain)(struct small_call *small); /* the server is about to end; NULL: the call is ended */
  void (*stop)(
      struct small_call *small); /* it is over or the client is gone; may come twice; NULL */
};

struct small_call {
  struct request request;
  const struct small_kind *kind;
  struct grpc_call *grpc;
  struct small_call *next; /* in server->small_calls */
  struct small_call **previous;
  int64_t size_bytes; /* of the message */
  int64_t filled_bytes;
  uint8_t message[SMALL_MESSAGE_BYTES_MAX];
};

/* NULL: it cannot be begun, and was answered. The struct is zeroed, and freed when the exchange is over.
 * No message comes before this returns. */
struct small_call *small_call_start(struct call *call, const struct small_kind *kind);
/* Ends the call, and logs why where it is no success. */
void small_call_finish(struct small_call *small, enum status status, const struct error *error);

/* The server is about to end. */
void small_calls_drain(struct server *server);

void grpc_health_check(struct call *call);
void grpc_health_watch(struct call *call);
void grpc_reflection_start(struct call *call);

#endif
