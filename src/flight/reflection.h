/* gRPC server reflection (grpc/grpc, doc/server-reflection.md): what the messages and services of
 * flight/proto look like, asked by those who do not know them (grpcurl). Bytes in, bytes out. */
#ifndef ARROWPORT_FLIGHT_REFLECTION_H
#define ARROWPORT_FLIGHT_REFLECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"

/* Answers a ServerReflectionRequest with a ServerReflectionResponse, which is the caller's. Versions v1 and
 * v1alpha have the same bytes. What is not there is an answer too (ErrorResponse). STATUS_INVALID: these
 * are not the bytes of a request; STATUS_BUDGET, STATUS_NOMEM. */
enum status flight_reflect(const void *request, int64_t bytes, struct budget *budget,
                           struct buffer *answer, struct error *error) WARN_UNUSED;

/* Whether a service of this full name ("arrow.flight.protocol.FlightService") is described, as those are
 * that the server has. */
bool flight_service_known(const char *name);

#endif
