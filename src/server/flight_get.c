/* DoGet: what a ticket stands for, drawn as fast as the client reads (flight_pump.c). */
#include <assert.h>
#include <stdlib.h>

#include "server/flight_methods.h"
#include "server/flight_pump.h"
#include "server/flight_single.h"
#include "server/query_ask.h"

struct get {
  struct flight_single single; /* its message stays until the ask is over */
  struct flight_pump *pump;
};

static enum status open_rows(void *context, struct flight_ask *ask, struct source **rows,
                             struct error *error) {
  const struct get *get = context;
  FlightTicket *ticket = FLIGHT(ticket__unpack)(NULL, (size_t)get->single.message.size_bytes,
                                                get->single.message.data);
  struct flight_request request = {.command = NULL};
  enum status status =
      ticket != NULL
          ? flight_request_ticket(ask, ticket->ticket.data, ticket->ticket.len, &request, error)
          : error_set(error, STATUS_INVALID, "the request is no Ticket");
  const struct flight_command *command = request.command;
  assert(status != STATUS_OK || command != NULL);
  if (status == STATUS_OK)
    status = command->get != NULL
                 ? command->get(ask, &request.any->value, rows, error)
                 : error_set(error, STATUS_UNSUPPORTED, "%s has no rows that DoGet could read",
                             command->name);
  flight_request_release(&request);
  if (ticket != NULL) FLIGHT(ticket__free_unpacked)(ticket, NULL);
  return status;
}

static void get_done(void *context, enum status status, const struct error *error) {
  struct get *get = context;
  struct flight_single *single = &get->single;
  if (single->request.call != NULL) single->request.call->rows = flight_pump_rows(get->pump);
  if (status == STATUS_OK)
    metrics_query(single->request.server->metrics, "flight", flight_pump_rows(get->pump),
                  flight_pump_sent_bytes(get->pump));
  flight_single_over(single, status, error);
}

static void get_release(struct flight_single *single) {
  flight_pump_free(((struct get *)single)->pump);
}

static void get_start(struct flight_single *single) {
  struct get *get = (struct get *)single;
  const struct http_request *request = http_exchange_request(single->request.exchange);
  const char *compression = http_request_header(request, "x-arrowport-compression");
  struct flight_pump_options options = {.request = &single->request,
                                        .ask = single->ask,
                                        .open = open_rows,
                                        .done = get_done,
                                        .context = get};
  struct error error;
  enum status status = STATUS_OK;
  if (compression != NULL) status = query_compression_read(compression, &options.writer, &error);
  single->runs = status == STATUS_OK;
  if (status == STATUS_OK) status = flight_pump_start(&options, single->grpc, &get->pump, &error);
  if (status == STATUS_OK) return;
  single->runs = false;
  flight_finish(&single->request, single->grpc, status, &error);
}

static void get_gone(struct flight_single *single) {
  struct get *get = (struct get *)single;
  if (get->pump != NULL) flight_pump_gone(get->pump);
}

void flight_get_start(struct call *call) {
  if (!flight_is_call(call)) return;
  struct flight_single *single =
      flight_single_new(call, sizeof(struct get), get_start, get_release);
  if (single != NULL) single->over = get_gone;
}
