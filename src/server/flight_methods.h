/* Methods of FlightService with one request message, as flight.c runs them: on a worker, `message` as it
 * came, answers by flight_answer. */
#ifndef ARROWPORT_SERVER_FLIGHT_METHODS_H
#define ARROWPORT_SERVER_FLIGHT_METHODS_H

#include "server/flight.h"

/* flight_info.c, flight_list.c */
enum status flight_list_flights(struct flight_ask *ask, const struct buffer *message,
                                struct error *error) WARN_UNUSED;
enum status flight_get_info(struct flight_ask *ask, const struct buffer *message,
                            struct error *error) WARN_UNUSED;
enum status flight_poll_info(struct flight_ask *ask, const struct buffer *message,
                             struct error *error) WARN_UNUSED;
enum status flight_get_schema(struct flight_ask *ask, const struct buffer *message,
                              struct error *error) WARN_UNUSED;
/* flight_actions.c */
enum status flight_do_action(struct flight_ask *ask, const struct buffer *message,
                             struct error *error) WARN_UNUSED;
/* Stops what reads a FlightInfo's endpoints, lets go of what is kept for them, and makes their tickets
 * of no use. Errors as flight_unseal. */
enum status flight_cancel_info(struct flight_ask *ask, const FlightInfo *info,
                               struct error *error) WARN_UNUSED;
bool flight_action_is_quick(const struct buffer *message);
enum status flight_list_actions(struct flight_ask *ask, const struct buffer *message,
                                struct error *error) WARN_UNUSED;
bool flight_list_actions_is_quick(const struct buffer *message);

/* ---- what a request means (flight_info.c) ------------------------------------------------------- */

/* A command with its Any. */
struct flight_request {
  const struct flight_command *command;
  Google__Protobuf__Any *any;
  struct buffer bytes; /* the Any's, where it was made here */
};
void flight_request_release(struct flight_request *request);
/* What {"table": ..., "version": ...}, {"stream_name": ...} or {"sql": ...} means; names are looked up,
 * rights are not. STATUS_INVALID. */
enum status flight_request_json(struct flight_ask *ask, const void *json, size_t bytes,
                                struct flight_request *request, struct error *error) WARN_UNUSED;
/* What a DoGet's ticket means: it is sealed, or JSON. */
enum status flight_request_ticket(struct flight_ask *ask, const void *ticket, size_t bytes,
                                  struct flight_request *request, struct error *error) WARN_UNUSED;
/* The table that a path means: a stream's, or that of the name. */
enum status flight_request_path(struct flight_ask *ask, char *const *path, size_t count,
                                struct flight_request *request, struct error *error) WARN_UNUSED;
/* A table's schema, and its rows where they can be counted at once (-1). Rights are looked at. */
enum status flight_table_about(struct flight_ask *ask, const struct table_name *table,
                               int64_t version, struct flight_about *about,
                               struct error *error) WARN_UNUSED;
/* The FlightInfo of a request, answered. */
enum status flight_answer_info(struct flight_ask *ask, const struct flight_request *request,
                               FlightDescriptor *descriptor, bool poll,
                               struct error *error) WARN_UNUSED;

#endif
