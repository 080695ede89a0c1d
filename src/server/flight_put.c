/* DoPut: refused until it is there. */
#include "server/flight.h"

void flight_put_start(struct call *call) {
  struct error error;
  error_set(&error, STATUS_UNSUPPORTED, "DoPut is not supported yet");
  respond_problem(call->exchange, STATUS_UNSUPPORTED, &error);
}
