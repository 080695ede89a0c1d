/* Protobuf messages of Flight, Flight SQL, gRPC health checking and reflection: made by protoc-c from
 * flight/proto when the program is built. FlightData alone is read and written by hand (flight/data.h).
 *
 * Made names are long: FLIGHT(ticket__unpack) and FLIGHT_SQL(command_get_tables__unpack) are their
 * functions, and the types have the short names below where they are used often. What is unpacked
 * is freed with its free_unpacked. The bytes of an unpacked message come from a peer: a string holds no
 * NUL (it ends there), but need not be UTF-8. */
#ifndef ARROWPORT_FLIGHT_MESSAGES_H
#define ARROWPORT_FLIGHT_MESSAGES_H

#include <stddef.h>

#include "Flight.pb-c.h"
#include "FlightSql.pb-c.h"
#include "google/protobuf/any.pb-c.h"

#define FLIGHT(function)     arrow__flight__protocol__##function
#define FLIGHT_SQL(function) arrow__flight__protocol__sql__##function

typedef Arrow__Flight__Protocol__Action FlightAction;
typedef Arrow__Flight__Protocol__FlightDescriptor FlightDescriptor;
typedef Arrow__Flight__Protocol__FlightEndpoint FlightEndpoint;
typedef Arrow__Flight__Protocol__FlightInfo FlightInfo;
typedef Arrow__Flight__Protocol__PollInfo FlightPollInfo;
typedef Arrow__Flight__Protocol__Ticket FlightTicket;
typedef Arrow__Flight__Protocol__Location FlightLocation;

/* Every command of Flight SQL is a google.protobuf.Any: this, and the message's name. */
#define FLIGHT_SQL_TYPE_PREFIX "type.googleapis.com/arrow.flight.protocol.sql."

/* A google.protobuf.FileDescriptorSet of all of flight/proto, with what they import. */
extern const unsigned char flight_descriptors[];
extern const size_t flight_descriptors_bytes;

#endif
