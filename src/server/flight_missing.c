/* What stands in for parts of Flight that are not there yet: each is put aside by the real one. */
#include "server/flight.h"
#include "sink/duckdb_session.h"

#define WEAK __attribute__((weak))

WEAK const struct flight_command flight_statement_commands[] = {{.name = NULL}};
WEAK const struct flight_command flight_catalog_commands[] = {{.name = NULL}};
WEAK const struct flight_action flight_statement_actions[] = {{.type = NULL}};

WEAK enum status flight_sessions_new(struct server *server, struct flight_sessions **sessions,
                                     struct error *error) {
  (void)server;
  (void)error;
  *sessions = NULL;
  return STATUS_OK;
}
WEAK void flight_sessions_close(struct flight_sessions *sessions) { (void)sessions; }
WEAK void flight_sessions_free(struct flight_sessions *sessions) { (void)sessions; }
WEAK void flight_sessions_give_up(struct flight_sessions *sessions) { (void)sessions; }
WEAK enum status flight_session_find(struct call *call, struct flight_session **session,
                                     struct error *error) {
  (void)call;
  (void)error;
  *session = NULL;
  return STATUS_OK;
}
WEAK void flight_session_release(struct flight_session *session) { (void)session; }
WEAK void flight_session_mark(const struct flight_session *session,
                              uint8_t mark[FLIGHT_MARK_BYTES]) {
  (void)session;
  for (int i = 0; i < FLIGHT_MARK_BYTES; i++) mark[i] = 0;
}
WEAK int flight_endpoints_asked(const struct call *call) {
  (void)call;
  return 0;
}
WEAK enum status flight_borrow(struct flight_ask *ask, const ProtobufCBinaryData *transaction_id,
                               enum flight_need need, struct flight_loan *loan,
                               struct error *error) {
  (void)ask;
  (void)transaction_id;
  (void)need;
  *loan = (struct flight_loan){.session = NULL};
  return error_set(error, STATUS_UNSUPPORTED, "loads of Flight SQL are not supported yet");
}
WEAK enum status flight_return(struct flight_ask *ask, struct flight_loan *loan, enum status status,
                               struct error *error) {
  (void)ask;
  (void)loan;
  (void)error;
  return status;
}
WEAK enum status sink_session_open(struct engine_session *session,
                                   const struct sink_session_options *options, struct sink **sink,
                                   struct error *error) {
  (void)session;
  (void)options;
  *sink = NULL;
  return error_set(error, STATUS_UNSUPPORTED, "loads of Flight SQL are not supported yet");
}
