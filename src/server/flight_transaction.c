/* Transactions: each has a session of the engine in which engine_begin_client was called.
 *
 * It is one of its own, or that of the client's session where that has temporary tables, which are
 * then those of the transaction, too; other statements of the session wait meanwhile. Temporary tables
 * that a transaction has made are the session's when it was committed.
 *
 * A transaction that nobody uses for flight.transaction_idle_s is rolled back, as is one whose client's
 * session ends. A statement that fails ends it where DuckDB says so; then it can only be rolled back,
 * which a COMMIT is told. DuckDB has no savepoints. */
#include <stdlib.h>

#include "base/log.h"
#include "server/flight_handle.h"

/* Gives the session its seat back, in no transaction. `session` NULL: it is lost. */
static void return_seat(struct flight_session *session, struct engine_session *seat) {
  pthread_mutex_lock(&session->handle.sessions->lock);
  session->seat.session = seat;
  session->seat.lost |= seat == NULL;
  session->seat.busy = false;
  pthread_mutex_unlock(&session->handle.sessions->lock);
}

static void transaction_free(struct flight_handle *handle) {
  struct flight_transaction *transaction = (struct flight_transaction *)handle;
  struct engine_session *session = transaction->seat.session;
  if (transaction->lent) {
    if (session != NULL) engine_rollback(session);
    return_seat(handle->session, session);
  } else {
    engine_session_close(session); /* rolls back */
  }
  turn_give(&transaction->alone);
  free(transaction);
}

/* The seat of the client's session, where it has one that is free. */
static enum status take_seat(struct flight_transaction *transaction, struct error *error) {
  struct flight_session *session = transaction->handle.session;
  enum status status = STATUS_OK;
  if (session == NULL) return STATUS_OK;
  pthread_mutex_lock(&session->handle.sessions->lock);
  struct flight_seat *seat = &session->seat;
  if (seat->busy) {
    status = error_set(error, STATUS_BUDGET,
                       "another statement of this session, or a transaction, has its temporary "
                       "tables: they go one at a time");
    if (error != NULL) error->retry_after_ms = 10;
  } else if (seat->session != NULL) {
    transaction->seat = *seat;
    transaction->lent = seat->busy = true;
    seat->session = NULL;
  }
  pthread_mutex_unlock(&session->handle.sessions->lock);
  return status;
}

static bool reads_only(const struct flight_ask *ask) {
  return (ask->who->scopes & (AUTH_WRITE | AUTH_ADMIN)) == 0;
}

static enum status begin(struct flight_ask *ask, struct flight_transaction *transaction,
                         struct error *error) {
  struct flight_seat *seat = &transaction->seat;
  enum status status = take_seat(transaction, error);
  if (status == STATUS_OK && !transaction->lent)
    status = flight_open_session(ask, &seat->session, &seat->generation, &seat->options, error);
  if (status == STATUS_OK) status = engine_begin_client(seat->session, reads_only(ask), error);
  return status;
}

enum status flight_begin_transaction(struct flight_ask *ask, const ProtobufCBinaryData *body,
                                     struct error *error) {
  (void)body; /* ActionBeginTransactionRequest says nothing */
  struct flight_transaction *transaction = calloc(1, sizeof *transaction);
  if (transaction == NULL) return error_set(error, STATUS_NOMEM, "no memory for a transaction");
  transaction->alone = TURN_NONE;
  transaction->handle.seat = &transaction->seat;
  enum status status =
      flight_hold_init(&transaction->handle, FLIGHT_TRANSACTION, ask, transaction_free, error);
  if (status == STATUS_OK) status = begin(ask, transaction, error);
  if (status == STATUS_OK) status = flight_hold_list(ask, &transaction->handle, 0, error);
  if (status == STATUS_OK) {
    Arrow__Flight__Protocol__Sql__ActionBeginTransactionResult result =
        ARROW__FLIGHT__PROTOCOL__SQL__ACTION_BEGIN_TRANSACTION_RESULT__INIT;
    result.transaction_id =
        (ProtobufCBinaryData){.data = (uint8_t *)transaction->handle.id, .len = FLIGHT_ID_CHARS};
    status = flight_action_result(ask, &result.base, true, error);
    if (status != STATUS_OK) flight_hold_drop(&transaction->handle);
  }
  flight_hold_release(&transaction->handle);
  return status;
}

/* ---- the end ------------------------------------------------------------------------------------- */

/* Temporary tables that the transaction has made become the session's. */
static enum status keep_temporary(struct flight_ask *ask, struct flight_transaction *transaction,
                                  struct error *error) {
  if (transaction->lent || !flight_has_temporary(transaction->seat.session)) return STATUS_OK;
  enum status status = STATUS_OK;
  if (ask->session == NULL) status = flight_session_begin(ask, error);
  if (status != STATUS_OK) return status;
  struct flight_seat *seat = &ask->session->seat;
  pthread_mutex_lock(&ask->session->handle.sessions->lock);
  bool empty = seat->session == NULL && !seat->busy;
  if (empty) {
    seat->session = transaction->seat.session;
    seat->generation = transaction->seat.generation;
    seat->options = transaction->seat.options;
    transaction->seat.session = NULL;
  }
  pthread_mutex_unlock(&ask->session->handle.sessions->lock);
  return STATUS_OK; /* another transaction's were first: these are gone with it */
}

/* Ends it, whose engine session the caller has. */
static enum status settle(struct flight_ask *ask, struct flight_transaction *transaction,
                          bool commits, struct error *error) {
  struct error ignored;
  enum status status = STATUS_OK;
  if (commits)
    status = engine_commit(transaction->seat.session, error);
  else
    engine_rollback(transaction->seat.session);
  turn_give(&transaction->alone);
  if (flight_guard(ask, NULL, NULL, &ignored) != STATUS_OK || !commits || status != STATUS_OK)
    return status;
  /* What is committed is committed, also when there cannot be another session. */
  if (keep_temporary(ask, transaction, &ignored) != STATUS_OK)
    log_debug("flight", "temporary tables of a transaction: %s", ignored.text);
  return STATUS_OK;
}

static enum status end(struct flight_ask *ask, struct flight_handle *handle, bool commits,
                       struct error *error) {
  struct flight_transaction *transaction = (struct flight_transaction *)handle;
  const ProtobufCBinaryData id = {.data = (uint8_t *)handle->id, .len = FLIGHT_ID_CHARS};
  struct flight_loan loan;
  enum status status = flight_borrow(ask, &id, FLIGHT_NEED_NOTHING, &loan, error);
  if (status == STATUS_OK) {
    status = settle(ask, transaction, commits, error);
    loan.session = transaction->seat.session; /* NULL: it is the client's session's by now */
    status = flight_return(ask, &loan, status, error);
  } else if (loan.of != NULL || (status != STATUS_CONFLICT && status != STATUS_UNAVAILABLE)) {
    return flight_return(ask, &loan, status, error); /* it goes on */
  } else if (!commits) {
    status = STATUS_OK; /* it has failed before: what is left is rolled back as it goes */
  }
  flight_hold_drop(handle);
  return status;
}

enum status flight_end_transaction(struct flight_ask *ask, const ProtobufCBinaryData *body,
                                   struct error *error) {
  ProtobufCMessage *message = NULL;
  struct flight_handle *handle = NULL;
  enum status status = flight_action_unpack(
      body, &arrow__flight__protocol__sql__action_end_transaction_request__descriptor, &message,
      error);
  if (status != STATUS_OK) return status;
  const Arrow__Flight__Protocol__Sql__ActionEndTransactionRequest *request = (void *)message;
  bool commits =
      request->action ==
      ARROW__FLIGHT__PROTOCOL__SQL__ACTION_END_TRANSACTION_REQUEST__END_TRANSACTION__END_TRANSACTION_COMMIT;
  bool rolls_back =
      request->action ==
      ARROW__FLIGHT__PROTOCOL__SQL__ACTION_END_TRANSACTION_REQUEST__END_TRANSACTION__END_TRANSACTION_ROLLBACK;
  if (!commits && !rolls_back)
    status = error_set(error, STATUS_INVALID, "a transaction ends by COMMIT (1) or ROLLBACK (2)");
  if (status == STATUS_OK)
    status = flight_hold_find(ask, FLIGHT_TRANSACTION, request->transaction_id.data,
                              request->transaction_id.len, &handle, error);
  if (status == STATUS_OK) status = end(ask, handle, commits, error);
  flight_hold_release(handle);
  protobuf_c_message_free_unpacked(message, NULL);
  return status;
}

/* ---- savepoints -------------------------------------------------------------------------------------- */

static enum status no_savepoints(struct error *error) {
  return error_set(error, STATUS_UNSUPPORTED,
                   "there are no savepoints: DuckDB, which runs the transactions, has none");
}

enum status flight_begin_savepoint(struct flight_ask *ask, const ProtobufCBinaryData *body,
                                   struct error *error) {
  (void)ask;
  (void)body;
  return no_savepoints(error);
}

enum status flight_end_savepoint(struct flight_ask *ask, const ProtobufCBinaryData *body,
                                 struct error *error) {
  (void)ask;
  (void)body;
  return no_savepoints(error);
}
