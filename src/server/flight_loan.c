/* Engine sessions, lent for the time of a statement or a load.
 *
 *   transaction given       the transaction's, which its statements and loads use one after the other
 *   temporary tables        the client's session's, likewise
 *   otherwise               a new one, closed behind its user
 *
 * 1. A seat is busy from borrow to return; who finds it so comes again and holds no thread meanwhile.
 * 2. A statement that may make a temporary table runs in the client's session, or in a new one; when
 *    there is a temporary table behind it the engine session stays, and a client without a session is
 *    told the cookie of one. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/flight_handle.h"

enum { BUSY_RETRY_MS = 10 };

static enum status busy(const char *whose, struct error *error) {
  enum status status = error_set(error, STATUS_BUDGET,
                                 "another statement of this %s runs, or its rows are still being "
                                 "read: they go one at a time",
                                 whose);
  if (error != NULL) error->retry_after_ms = BUSY_RETRY_MS;
  return status;
}

/* Tells the engine session what the client's session says names mean; `now`: its count of changes. */
static enum status use_options(struct flight_ask *ask, struct engine_session *session, int64_t *now,
                               struct error *error) {
  char *catalog = NULL, *schema = NULL;
  bool all = true;
  *now = 0;
  if (ask->session == NULL) return STATUS_OK;
  pthread_mutex_t *lock = &ask->session->handle.sessions->lock;
  pthread_mutex_lock(lock);
  *now = ask->session->options;
  if (ask->session->catalog != NULL) all = (catalog = strdup(ask->session->catalog)) != NULL;
  if (ask->session->schema != NULL && all) all = (schema = strdup(ask->session->schema)) != NULL;
  pthread_mutex_unlock(lock);
  enum status status = all ? STATUS_OK : error_set(error, STATUS_NOMEM, "no memory for a session");
  if (all && *now > 0) status = engine_session_use(session, catalog, schema, error);
  free(catalog);
  free(schema);
  return status;
}

enum status flight_open_session(struct flight_ask *ask, struct engine_session **session,
                                int64_t *generation, int64_t *options, struct error *error) {
  struct engine *engine = NULL;
  enum status status = storage_engine(ask->server->storage, &engine, error);
  if (status != STATUS_OK) return status;
  atomic_store(&ask->server->flight->sessions->engine, engine);
  *generation = engine_generation(engine);
  status = engine_session_open(engine, session, error);
  if (status == STATUS_OK) status = use_options(ask, *session, options, error);
  return status;
}

/* ---- borrowing ----------------------------------------------------------------------------------- */

/* The seat of the client's session: `*taken` false when it has none and none is needed. */
static enum status take_seat(struct flight_ask *ask, struct flight_loan *loan, bool *taken,
                             struct error *error) {
  struct flight_session *session = ask->session;
  struct flight_seat *seat = &session->seat;
  enum status status = STATUS_OK;
  int64_t told = 0, options = 0;
  *taken = false;
  pthread_mutex_lock(&session->handle.sessions->lock);
  if (seat->lost) {
    seat->lost = false;
    status = error_set(error, STATUS_UNAVAILABLE,
                       "the database was opened anew after a failure, and the temporary tables of "
                       "this session are gone: make them again");
  } else if (seat->busy) {
    status = busy("session, which has temporary tables, or a transaction in it", error);
  } else if (seat->session != NULL || loan->need != FLIGHT_NEED_NOTHING) {
    seat->busy = *taken = true;
    loan->of = &session->handle;
    loan->session = seat->session;
    loan->generation = seat->generation;
    options = seat->options;
  }
  pthread_mutex_unlock(&session->handle.sessions->lock);
  if (status != STATUS_OK || !*taken) return status;
  if (loan->session == NULL) {
    status = flight_open_session(ask, &loan->session, &loan->generation, &told, error);
  } else {
    told = options;
    pthread_mutex_lock(&session->handle.sessions->lock);
    bool changed = session->options != options;
    pthread_mutex_unlock(&session->handle.sessions->lock);
    if (changed) status = use_options(ask, loan->session, &told, error);
  }
  if (status == STATUS_OK) seat->options = told; /* it is ours while busy */
  return status;
}

static enum status take_transaction(struct flight_ask *ask, const ProtobufCBinaryData *id,
                                    struct flight_loan *loan, struct error *error) {
  struct flight_handle *handle = NULL;
  enum status status = flight_hold_find(ask, FLIGHT_TRANSACTION, id->data, id->len, &handle, error);
  if (status != STATUS_OK) return status;
  struct flight_transaction *transaction = (struct flight_transaction *)handle;
  pthread_mutex_lock(&handle->sessions->lock);
  if (transaction->seat.lost)
    status =
        error_set(error, STATUS_UNAVAILABLE,
                  "the database was opened anew after a failure, and the transaction is rolled "
                  "back: begin another one");
  else if (transaction->failed)
    status = error_set(error, STATUS_CONFLICT,
                       "the transaction has failed and can only be rolled back; what failed was: "
                       "%.600s",
                       transaction->error.text);
  else if (transaction->seat.busy)
    status = busy("transaction", error);
  else
    transaction->seat.busy = true;
  pthread_mutex_unlock(&handle->sessions->lock);
  if (status != STATUS_OK) {
    flight_hold_release(handle);
    return status;
  }
  loan->of = handle;
  loan->session = transaction->seat.session;
  loan->generation = transaction->seat.generation;
  loan->within = true;
  loan->alone = &transaction->alone;
  return STATUS_OK;
}

enum status flight_borrow(struct flight_ask *ask, const ProtobufCBinaryData *transaction_id,
                          enum flight_need need, struct flight_loan *loan, struct error *error) {
  *loan = (struct flight_loan){.own = TURN_NONE, .need = need};
  enum status status = STATUS_OK;
  int64_t options;
  bool taken = false;
  if (transaction_id != NULL && transaction_id->len > 0) {
    status = take_transaction(ask, transaction_id, loan, error);
  } else {
    if (need == FLIGHT_NEED_SESSION && ask->session == NULL)
      status = flight_session_begin(ask, error);
    if (status == STATUS_OK && ask->session != NULL) status = take_seat(ask, loan, &taken, error);
    if (status == STATUS_OK && !taken)
      status = flight_open_session(ask, &loan->session, &loan->generation, &options, error);
  }
  if (loan->alone == NULL) loan->alone = &loan->own;
  if (status == STATUS_OK) status = flight_guard(ask, loan->session, NULL, error);
  return status;
}

/* ---- giving back ----------------------------------------------------------------------------------- */

/* Whether there are temporary objects; true where it cannot be told. */
bool flight_has_temporary(struct engine_session *session) {
  static const char sql[] =
      "SELECT 1 FROM duckdb_tables() WHERE database_name = 'temp' UNION ALL "
      "SELECT 1 FROM duckdb_views() WHERE database_name = 'temp' AND NOT internal UNION ALL "
      "SELECT 1 FROM duckdb_sequences() WHERE database_name = 'temp' UNION ALL "
      "SELECT 1 FROM duckdb_types() WHERE database_name = 'temp' AND NOT internal UNION ALL "
      "SELECT 1 FROM duckdb_functions() WHERE database_name = 'temp' AND NOT internal LIMIT 1";
  const struct engine_query query = {.sql = sql, .own = true, .read_only = true};
  struct engine_result *result = NULL;
  struct ArrowArray batch = {0};
  struct error error;
  enum status status = engine_query(session, &query, &result, &error);
  if (status == STATUS_OK) status = engine_result_next(result, &batch, &error);
  bool any = status != STATUS_OK || (batch.release != NULL && batch.length > 0);
  if (status != STATUS_OK) log_debug("flight", "temporary tables: %s", error.text);
  arrow_array_release(&batch);
  engine_result_close(result);
  return any;
}

/* Lets others at the seat. `session` is closed unless it is to stay. */
static void leave_seat(struct flight_loan *loan, bool stays) {
  struct flight_handle *handle = loan->of;
  struct flight_seat *seat = handle->seat;
  struct engine *engine = atomic_load(&handle->sessions->engine);
  bool lost = loan->session != NULL && engine_generation(engine) != loan->generation;
  bool had = seat->session != NULL; /* ours while busy */
  struct turn alone = TURN_NONE;
  if (!stays || lost) engine_session_close(loan->session);
  pthread_mutex_lock(&handle->sessions->lock);
  seat->session = stays && !lost ? loan->session : NULL;
  seat->generation = loan->generation;
  seat->lost |= lost && (had || stays);
  seat->busy = false;
  if (lost && handle->kind == FLIGHT_TRANSACTION) {
    alone = ((struct flight_transaction *)handle)->alone;
    ((struct flight_transaction *)handle)->alone = TURN_NONE;
  }
  pthread_mutex_unlock(&handle->sessions->lock);
  turn_give(&alone);
}

static void return_transaction(struct flight_loan *loan, enum status status,
                               const struct error *error) {
  struct flight_transaction *transaction = (struct flight_transaction *)loan->of;
  bool open = loan->session != NULL && engine_transaction_open(loan->session);
  pthread_mutex_lock(&loan->of->sessions->lock);
  if (!open && !transaction->failed) {
    transaction->failed = true;
    transaction->error = (struct error){.status = STATUS_CANCELLED};
    if (status != STATUS_OK && error != NULL) transaction->error = *error;
    if (transaction->error.text[0] == '\0')
      error_set(&transaction->error, STATUS_CANCELLED, "a statement was given up");
  }
  pthread_mutex_unlock(&loan->of->sessions->lock);
  leave_seat(loan, true);
  flight_hold_release(loan->of);
}

/* A statement of a client without a session has left temporary tables. */
static enum status adopt(struct flight_ask *ask, struct flight_loan *loan, struct error *error) {
  enum status status = flight_session_begin(ask, error);
  if (status != STATUS_OK) return status;
  struct flight_seat *seat = &ask->session->seat;
  pthread_mutex_lock(&ask->session->handle.sessions->lock);
  seat->session = loan->session;
  seat->generation = loan->generation;
  pthread_mutex_unlock(&ask->session->handle.sessions->lock);
  loan->session = NULL;
  return STATUS_OK;
}

enum status flight_return(struct flight_ask *ask, struct flight_loan *loan, enum status status,
                          struct error *error) {
  struct error ignored;
  if (loan->session != NULL && flight_guard(ask, NULL, NULL, &ignored) != STATUS_OK)
    log_debug("flight", "%s", ignored.text);
  if (loan->of != NULL && loan->of->kind == FLIGHT_TRANSACTION) {
    return_transaction(loan, status, error);
  } else if (loan->of != NULL) {
    bool stays = loan->session != NULL &&
                 (loan->need == FLIGHT_NEED_NOTHING || flight_has_temporary(loan->session));
    leave_seat(loan, stays);
  } else if (loan->session != NULL) {
    if (loan->need == FLIGHT_NEED_PERHAPS && status == STATUS_OK &&
        flight_has_temporary(loan->session))
      status = adopt(ask, loan, error);
    engine_session_close(loan->session);
  }
  turn_give(&loan->own);
  *loan = (struct flight_loan){.own = TURN_NONE};
  return status;
}
