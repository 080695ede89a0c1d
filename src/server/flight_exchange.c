/* DoExchange with a statement: {"sql": "SELECT ... FROM input"}. The rows that come land in a temporary
 * table of a session of their own; when all are there the statement runs in it, and its rows are the
 * answer. What does not fit into DuckDB's memory is on disk meanwhile.
 *
 *   open --ask: prepare (session, sink)--> intake --> settle --pump: the statement's rows--> answered
 *                                                                     \-> ask: conclude (session back)
 *
 * The session is given back by `conclude`, however the call ends. */
#include <stdlib.h>
#include <string.h>

#include "server/flight_pump.h"
#include "server/flight_put.h"
#include "sink/duckdb_session.h"

#define INPUT "input"

struct flight_change {
  struct flight_pump *pump;
  bool pumping;
  /* the worker's */
  struct flight_loan loan;
  struct sink *sink;
  bool borrowed;
  /* what became of it */
  enum status status;
  struct error error;
};

/* ---- the worker's side ------------------------------------------------------------------------------- */

static enum status prepare(void *context, struct flight_ask *ask, struct error *error) {
  struct flight_put *put = context;
  struct flight_change *change = put->change;
  const struct sink_session_options options = {.temporary = true};
  change->borrowed = true; /* to be returned also after a failure */
  enum status status = flight_borrow(ask, NULL, FLIGHT_NEED_NOTHING, &change->loan, error);
  if (status == STATUS_OK)
    status = sink_session_open(change->loan.session, &options, &change->sink, error);
  return status;
}

/* The rows that came are the client's own. */
static bool may_read(void *context, const struct table_name *table) {
  return strcmp(table->catalog, "temp") == 0 || query_may_read(context, table);
}

static enum status open_rows(void *context, struct flight_ask *ask, struct source **rows,
                             struct error *error) {
  struct flight_put *put = context;
  struct flight_change *change = put->change;
  struct engine_query query = {.sql = put->rows.sql};
  struct engine_result *result = NULL;
  flight_query_rights(ask, change->loan.alone, &query);
  if (query.may_read != NULL) query.may_read = may_read;
  enum status status = engine_query(change->loan.session, &query, &result, error);
  return status == STATUS_OK ? flight_result_rows(result, NULL, NULL, rows, error) : status;
}

static enum status conclude(void *context, struct flight_ask *ask, struct error *error) {
  struct flight_put *put = context;
  struct flight_change *change = put->change;
  if (change->status != STATUS_OK) *error = change->error;
  sink_close(change->sink);
  change->sink = NULL;
  enum status status = change->status;
  if (change->borrowed) status = flight_return(ask, &change->loan, status, error);
  change->borrowed = false;
  return status;
}

/* ---- the loop's side ------------------------------------------------------------------------------------ */

static void concluded(void *context, enum status status, const struct error *error) {
  struct flight_put *put = context;
  flight_put_finish(put, status, error);
  ingest_let_go(&put->ingest);
}

/* The hold is taken already. */
static void start_conclude(struct flight_put *put, enum status status, const struct error *error) {
  put->change->status = status;
  if (status != STATUS_OK) put->change->error = *error;
  flight_ask_must(put->ask);
  flight_ask_run(put->ask, conclude, concluded, put);
}

static void pumped(void *context, enum status status, const struct error *error) {
  struct flight_put *put = context;
  put->change->pumping = false;
  if (status == STATUS_OK)
    metrics_query(put->ingest.request.server->metrics, "flight",
                  flight_pump_rows(put->change->pump), flight_pump_sent_bytes(put->change->pump));
  start_conclude(put, status, error);
}

static void prepared(void *context, enum status status, const struct error *error) {
  struct flight_put *put = context;
  struct ingest *ingest = &put->ingest;
  struct error why = {.status = STATUS_OK};
  if (status != STATUS_OK) why = *error;
  if (status == STATUS_OK && (ingest->request.exchange == NULL || ingest->answered))
    status = error_set(&why, STATUS_CANCELLED, "the client is gone");
  if (status == STATUS_OK) {
    struct ingest_target target = {.backend = "duckdb",
                                   .table = {.table = INPUT},
                                   .mode = SINK_APPEND,
                                   .landing = ingest->request.config->landing,
                                   .sink = put->change->sink};
    target.landing.each_batch = false;
    status = ingest_open(ingest, &target, &why);
  }
  if (status != STATUS_OK) {
    start_conclude(put, status, &why);
    return;
  }
  put->kind = FLIGHT_PUT_CHANGE;
  flight_ask_clock(put->ask, false); /* it is the client who is waited for */
  flight_put_go_on(put);
  ingest_let_go(ingest); /* the intake keeps it from here on */
}

enum status flight_change_open(struct flight_put *put, struct error *error) {
  put->change = calloc(1, sizeof *put->change);
  if (put->change == NULL) return error_set(error, STATUS_NOMEM, "no memory for a request");
  enum status status = auth_allow(put->ingest.request.who, AUTH_READ, error);
  if (status == STATUS_OK) status = ingest_name(&put->ingest, INPUT, error);
  if (status == STATUS_OK)
    status = flight_ask_new(&put->ingest.request, put->grpc, &put->ask, error);
  if (status != STATUS_OK) return status;
  put->kind = FLIGHT_PUT_OPENING;
  ingest_hold(&put->ingest);
  flight_ask_run(put->ask, prepare, prepared, put);
  return STATUS_OK;
}

void flight_change_settle(struct flight_put *put, enum status status, const struct error *error) {
  struct error why = {.status = STATUS_OK};
  const struct flight_pump_options options = {.request = &put->ingest.request,
                                              .ask = put->ask,
                                              .open = open_rows,
                                              .done = pumped,
                                              .context = put};
  ingest_hold(&put->ingest);
  if (status != STATUS_OK) {
    start_conclude(put, status, error);
    return;
  }
  if (put->ingest.request.exchange == NULL || put->grpc == NULL)
    status = error_set(&why, STATUS_CANCELLED, "the client is gone");
  put->change->pumping = status == STATUS_OK;
  if (status == STATUS_OK)
    status = flight_pump_start(&options, put->grpc, &put->change->pump, &why);
  if (status != STATUS_OK) start_conclude(put, status, &why);
}

void flight_change_gone(struct flight_put *put) {
  if (put->change->pumping && put->change->pump != NULL) flight_pump_gone(put->change->pump);
}

void flight_change_release(struct flight_put *put) {
  if (put->change == NULL) return;
  flight_pump_free(put->change->pump);
  free(put->change);
  put->change = NULL;
}
