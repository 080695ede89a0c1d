/* A source's batches on their way to a client: drawn and encoded on a worker, sent by the loop as fast as
 * the client reads. What DoGet and DoExchange share: see flight_pump.c. */
#ifndef ARROWPORT_SERVER_FLIGHT_PUMP_H
#define ARROWPORT_SERVER_FLIGHT_PUMP_H

#include "flight/data.h"
#include "server/flight.h"

struct flight_pump;

struct flight_pump_options {
  struct request *request; /* they outlive the pump */
  struct flight_ask *ask;
  struct ipc_writer_options writer;
  /* Opens the source: called once, on a worker. STATUS_BUDGET with retry_after_ms: again later. */
  enum status (*open)(void *context, struct flight_ask *ask, struct source **rows,
                      struct error *error);
  /* The loop: everything is sent, or it failed (before `over`: the call is to be finished here), with
   * the ask over. Also when the client has gone. Called once. */
  void (*done)(void *context, enum status status, const struct error *error);
  void *context;
};

/* Draws and sends, by flight_ask_steps. `grpc` is used while request->exchange is there.
 * STATUS_NOMEM: nothing is called. */
enum status flight_pump_start(const struct flight_pump_options *options, struct grpc_call *grpc,
                              struct flight_pump **pump, struct error *error) WARN_UNUSED;
/* The exchange has finished: nothing more is sent, and `done` comes when the ask is over (flight_ask_stop
 * it), unless it has come. */
void flight_pump_gone(struct flight_pump *pump);
int64_t flight_pump_rows(const struct flight_pump *pump); /* drawn so far; in and after `done` */
int64_t flight_pump_sent_bytes(const struct flight_pump *pump);
void flight_pump_free(struct flight_pump *pump); /* in or after `done`; NULL is allowed */

#endif
