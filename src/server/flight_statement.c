/* Flight SQL: statements that come as text, and the tables of what goes where.
 *
 * GetFlightInfo prepares a statement and tells its schema; it is run by the DoGet of its ticket (a
 * client that has it twice has it run twice). A statement without rows answers a DoGet with no column
 * once its effects are durable. DoPut with CommandStatementUpdate runs it to its end and tells how many
 * rows it changed. */
#include <stdlib.h>
#include <string.h>

#include "server/flight_handle.h"
#include "server/flight_methods.h"

enum { SQL_BYTES_MAX = 4 << 20 }; /* of a statement: parsing must not take memory for ever */

typedef Arrow__Flight__Protocol__Sql__CommandStatementQuery Query;
typedef Arrow__Flight__Protocol__Sql__CommandStatementUpdate Update;

/* ---- answers ------------------------------------------------------------------------------------ */

enum status flight_answer_put(struct flight_ask *ask, const ProtobufCMessage *message,
                              struct error *error) {
  Arrow__Flight__Protocol__PutResult result = ARROW__FLIGHT__PROTOCOL__PUT_RESULT__INIT;
  size_t bytes = protobuf_c_message_get_packed_size(message);
  uint8_t *packed = malloc(bytes + 1);
  if (packed == NULL) return error_set(error, STATUS_NOMEM, "no memory for an answer");
  protobuf_c_message_pack(message, packed);
  result.app_metadata = (ProtobufCBinaryData){.data = packed, .len = bytes};
  enum status status = flight_answer(ask, &result.base, error);
  free(packed);
  return status;
}

enum status flight_answer_count(struct flight_ask *ask, int64_t rows, struct error *error) {
  Arrow__Flight__Protocol__Sql__DoPutUpdateResult result =
      ARROW__FLIGHT__PROTOCOL__SQL__DO_PUT_UPDATE_RESULT__INIT;
  result.record_count = rows;
  return flight_answer_put(ask, &result.base, error);
}

enum status flight_no_rows(struct source **rows, struct error *error) {
  struct ArrowSchema schema = {0};
  enum status status = arrow_schema_init(&schema, "+s", "", false, 0, error);
  return status == STATUS_OK ? flight_memory_rows(&schema, NULL, 0, rows, error) : status;
}

/* ---- running text ---------------------------------------------------------------------------------- */

enum status flight_text_check(const char *sql, struct error *error) {
  size_t bytes = strlen(sql);
  if (bytes > SQL_BYTES_MAX)
    return error_set(error, STATUS_TOO_LARGE, "the statement is longer than %d bytes",
                     SQL_BYTES_MAX);
  if (utf8_valid_bytes((const uint8_t *)sql, bytes) != bytes)
    return error_set(error, STATUS_INVALID, "the statement is not UTF-8");
  return STATUS_OK;
}

enum flight_need flight_text_need(const char *sql) {
  return strcasestr(sql, "create") != NULL && strcasestr(sql, "temp") != NULL ? FLIGHT_NEED_PERHAPS
                                                                              : FLIGHT_NEED_NOTHING;
}

/* Behind white space and the word; NULL when it does not stand there. */
static const char *behind_word(const char *at, const char *word) {
  size_t bytes = strlen(word);
  at += strspn(at, " \t\r\n");
  if (strncasecmp(at, word, bytes) != 0) return NULL;
  return strchr(" \t\r\n", at[bytes]) != NULL ? at + bytes : NULL;
}

/* It begins with CREATE [OR REPLACE] TEMP. */
static bool makes_temporary(const char *sql) {
  const char *at = behind_word(sql, "create");
  const char * or = at == NULL ? NULL : behind_word(at, "or");
  if (or != NULL) at = behind_word(or, "replace");
  return at != NULL && (behind_word(at, "temp") != NULL || behind_word(at, "temporary") != NULL);
}

static bool needs_session(const struct flight_ask *ask, const char *sql,
                          const ProtobufCBinaryData *transaction_id) {
  bool within = transaction_id != NULL && transaction_id->len > 0;
  return ask->session == NULL && !within && makes_temporary(sql);
}

enum status flight_text_session(struct flight_ask *ask, const char *sql,
                                const ProtobufCBinaryData *transaction_id, struct error *error) {
  if (!needs_session(ask, sql, transaction_id)) return STATUS_OK;
  return flight_session_begin(ask, error);
}

/* Before it is run: who does not keep the cookie would lose what it makes without a word. */
static enum status check(const struct flight_ask *ask, const struct flight_text *sql,
                         struct error *error) {
  enum status status = flight_text_check(sql->sql, error);
  if (status != STATUS_OK || !needs_session(ask, sql->sql, sql->transaction_id)) return status;
  return error_set(error, STATUS_NOT_FOUND,
                   "a temporary table belongs to a session, which this request's cookies do not "
                   "name: have the client keep cookies (ADBC: "
                   "adbc.flight.sql.rpc.with_cookie_middleware=true), and begin a session by "
                   "SetSessionOptions, by GetFlightInfo of the statement or by preparing it");
}

void flight_text_query(struct flight_ask *ask, const struct flight_loan *loan, const char *sql,
                       struct engine_query *query) {
  *query = (struct engine_query){.sql = sql, .within = loan->within, .revocable = !loan->within};
  flight_query_rights(ask, loan->alone, query);
}

enum status flight_text_hint(struct flight_ask *ask, const struct flight_loan *loan,
                             enum status status, struct error *error) {
  if (status == STATUS_OK || error == NULL || loan->of != NULL) return status;
  if (strstr(error->text, "does not exist") == NULL || !flight_session_ignored(ask)) return status;
  static const char hint[] =
      "; a temporary table belongs to a session, which this request's cookies do not name: have "
      "the "
      "client keep cookies (ADBC: adbc.flight.sql.rpc.with_cookie_middleware=true)";
  size_t bytes = strlen(error->text);
  if (bytes + sizeof hint <= sizeof error->text) memcpy(error->text + bytes, hint, sizeof hint);
  return status;
}

enum status flight_result_drain(struct flight_ask *ask, struct engine_result *result, int64_t *rows,
                                struct error *error) {
  enum status status = STATUS_OK;
  bool more = engine_result_has_rows(result);
  *rows = more ? 0 : engine_result_changed_rows(result);
  while (more && status == STATUS_OK) {
    struct ArrowArray batch = {0};
    status = engine_result_next(result, &batch, error);
    more = batch.release != NULL;
    if (more) *rows += batch.length;
    arrow_array_release(&batch);
    if (status == STATUS_OK && more) status = flight_ask_check(ask, error);
  }
  return status;
}

static enum status describe(struct flight_ask *ask, const struct flight_loan *loan, const char *sql,
                            struct ArrowSchema *schema, struct error *error) {
  struct engine_query query;
  struct engine_statement *statement = NULL;
  flight_text_query(ask, loan, sql, &query);
  enum status status = engine_prepare(loan->session, &query, &statement, error);
  if (status == STATUS_OK)
    status = arrow_schema_copy(engine_statement_schema(statement), schema, error);
  engine_statement_close(statement);
  return status;
}

enum status flight_text_about(struct flight_ask *ask, const struct flight_text *sql,
                              struct flight_about *about, struct error *error) {
  int endpoints = 1;
  bool done = false;
  struct flight_loan loan;
  enum status status = flight_text_check(sql->sql, error);
  if (status == STATUS_OK) status = flight_session_endpoints(ask, &endpoints, error);
  if (status == STATUS_OK && endpoints > 1 && sql->parameter_count == 0 &&
      (sql->transaction_id == NULL || sql->transaction_id->len == 0))
    status = flight_split_about(ask, sql->sql, endpoints, about, &done, error);
  if (status != STATUS_OK || done) return status;
  status = flight_borrow(ask, sql->transaction_id, FLIGHT_NEED_NOTHING, &loan, error);
  if (status == STATUS_OK) status = describe(ask, &loan, sql->sql, &about->schema, error);
  status = flight_text_hint(ask, &loan, status, error);
  about->rows = about->bytes = -1;
  status = flight_return(ask, &loan, status, error);
  if (status == STATUS_OK) status = flight_text_session(ask, sql->sql, sql->transaction_id, error);
  return status;
}

/* A statement whose rows are being read. */
struct running {
  struct flight_ask *ask;
  struct flight_loan loan;
};

static void running_end(void *context) {
  struct running *running = context;
  struct error ignored;
  enum status status = flight_return(running->ask, &running->loan, STATUS_OK, &ignored);
  (void)status; /* a statement with rows leaves no temporary tables */
  free(running);
}

enum status flight_text_rows(struct flight_ask *ask, const struct flight_text *sql,
                             struct source **rows, struct error *error) {
  enum status status = check(ask, sql, error);
  if (status != STATUS_OK) return status;
  struct running *running = calloc(1, sizeof *running);
  if (running == NULL) return error_set(error, STATUS_NOMEM, "no memory for a statement");
  running->ask = ask;
  struct engine_result *result = NULL;
  struct engine_query query;
  status =
      flight_borrow(ask, sql->transaction_id, flight_text_need(sql->sql), &running->loan, error);
  if (status == STATUS_OK) {
    flight_text_query(ask, &running->loan, sql->sql, &query);
    query.parameters = sql->parameters;
    query.parameter_count = sql->parameter_count;
    status = engine_query(running->loan.session, &query, &result, error);
    status = flight_text_hint(ask, &running->loan, status, error);
  }
  if (status == STATUS_OK && engine_result_has_rows(result))
    return flight_result_rows(result, running_end, running, rows, error);
  engine_result_close(result);
  status = flight_return(ask, &running->loan, status, error);
  free(running);
  return status == STATUS_OK ? flight_no_rows(rows, error) : status;
}

enum status flight_text_update(struct flight_ask *ask, const struct flight_text *sql,
                               struct error *error) {
  int64_t changed = 0;
  struct flight_loan loan;
  struct engine_query query;
  struct engine_result *result = NULL;
  enum status status = check(ask, sql, error);
  if (status != STATUS_OK) return status;
  status = flight_borrow(ask, sql->transaction_id, flight_text_need(sql->sql), &loan, error);
  if (status == STATUS_OK) {
    flight_text_query(ask, &loan, sql->sql, &query);
    status = engine_query(loan.session, &query, &result, error);
    status = flight_text_hint(ask, &loan, status, error);
  }
  if (status == STATUS_OK) status = flight_result_drain(ask, result, &changed, error);
  engine_result_close(result);
  status = flight_return(ask, &loan, status, error);
  return status == STATUS_OK ? flight_answer_count(ask, changed, error) : status;
}

/* ---- commands ---------------------------------------------------------------------------------------- */

static enum status broken(const char *name, struct error *error) {
  return error_set(error, STATUS_INVALID, "the %s is no valid protobuf message", name);
}

static struct flight_text of_query(const Query *query) {
  bool within =
      query->optional_transaction_id_case ==
      ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_STATEMENT_QUERY__OPTIONAL_TRANSACTION_ID_TRANSACTION_ID;
  return (struct flight_text){.sql = query->query,
                              .transaction_id = within ? &query->transaction_id : NULL};
}

static enum status query_about(struct flight_ask *ask, const ProtobufCBinaryData *value,
                               struct flight_about *about, struct error *error) {
  Query *query = FLIGHT_SQL(command_statement_query__unpack)(NULL, value->len, value->data);
  if (query == NULL) return broken("CommandStatementQuery", error);
  const struct flight_text sql = of_query(query);
  enum status status = flight_text_about(ask, &sql, about, error);
  FLIGHT_SQL(command_statement_query__free_unpacked)(query, NULL);
  return status;
}

static enum status query_get(struct flight_ask *ask, const ProtobufCBinaryData *value,
                             struct source **rows, struct error *error) {
  Query *query = FLIGHT_SQL(command_statement_query__unpack)(NULL, value->len, value->data);
  if (query == NULL) return broken("CommandStatementQuery", error);
  const struct flight_text sql = of_query(query);
  enum status status = flight_text_rows(ask, &sql, rows, error);
  FLIGHT_SQL(command_statement_query__free_unpacked)(query, NULL);
  return status;
}

static enum status update_put(struct flight_ask *ask, const ProtobufCBinaryData *value,
                              const struct ArrowSchema *schema, struct ArrowArray *batches,
                              size_t count, struct error *error) {
  (void)schema; /* clients send one without columns, or none */
  (void)batches;
  (void)count;
  Update *update = FLIGHT_SQL(command_statement_update__unpack)(NULL, value->len, value->data);
  if (update == NULL) return broken("CommandStatementUpdate", error);
  bool within =
      update->optional_transaction_id_case ==
      ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_STATEMENT_UPDATE__OPTIONAL_TRANSACTION_ID_TRANSACTION_ID;
  const struct flight_text sql = {.sql = update->query,
                                  .transaction_id = within ? &update->transaction_id : NULL};
  enum status status = flight_text_update(ask, &sql, error);
  FLIGHT_SQL(command_statement_update__free_unpacked)(update, NULL);
  return status;
}

static enum status no_substrait(struct error *error) {
  return error_set(error, STATUS_UNSUPPORTED,
                   "Substrait plans are not supported: send the statement as SQL");
}

static enum status substrait_about(struct flight_ask *ask, const ProtobufCBinaryData *value,
                                   struct flight_about *about, struct error *error) {
  (void)ask;
  (void)value;
  (void)about;
  return no_substrait(error);
}

static enum status substrait_get(struct flight_ask *ask, const ProtobufCBinaryData *value,
                                 struct source **rows, struct error *error) {
  (void)ask;
  (void)value;
  (void)rows;
  return no_substrait(error);
}

static enum status substrait_put(struct flight_ask *ask, const ProtobufCBinaryData *value,
                                 const struct ArrowSchema *schema, struct ArrowArray *batches,
                                 size_t count, struct error *error) {
  (void)ask;
  (void)value;
  (void)schema;
  (void)batches;
  (void)count;
  return no_substrait(error);
}

enum status flight_create_prepared_plan(struct flight_ask *ask, const ProtobufCBinaryData *body,
                                        struct error *error) {
  (void)ask;
  (void)body;
  return no_substrait(error);
}

static enum status cancel_query(struct flight_ask *ask, const ProtobufCBinaryData *body,
                                struct error *error) {
  ProtobufCMessage *message = NULL;
  enum status status = flight_action_unpack(
      body, &arrow__flight__protocol__sql__action_cancel_query_request__descriptor, &message,
      error);
  if (status != STATUS_OK) return status;
  const Arrow__Flight__Protocol__Sql__ActionCancelQueryRequest *request = (void *)message;
  FlightInfo *info = FLIGHT(flight_info__unpack)(NULL, request->info.len, request->info.data);
  status = info == NULL ? error_set(error, STATUS_INVALID,
                                    "the ActionCancelQueryRequest holds no FlightInfo")
                        : flight_cancel_info(ask, info, error);
  if (status == STATUS_OK) {
    Arrow__Flight__Protocol__Sql__ActionCancelQueryResult result =
        ARROW__FLIGHT__PROTOCOL__SQL__ACTION_CANCEL_QUERY_RESULT__INIT;
    result.result =
        ARROW__FLIGHT__PROTOCOL__SQL__ACTION_CANCEL_QUERY_RESULT__CANCEL_RESULT__CANCEL_RESULT_CANCELLED;
    status = flight_action_result(ask, &result.base, true, error);
  }
  if (info != NULL) FLIGHT(flight_info__free_unpacked)(info, NULL);
  protobuf_c_message_free_unpacked(message, NULL);
  return status;
}

const struct flight_command flight_statement_commands[] = {
    {.name = "CommandStatementQuery", .about = query_about, .get = query_get},
    {.name = "CommandStatementUpdate", .put = update_put},
    {.name = "CommandStatementSubstraitPlan",
     .about = substrait_about,
     .get = substrait_get,
     .put = substrait_put},
    {.name = "CommandPreparedStatementQuery",
     .about = flight_statement_about,
     .get = flight_statement_get,
     .put = flight_statement_bind},
    {.name = "CommandPreparedStatementUpdate", .put = flight_statement_update},
    {.name = "TicketStatementQuery", .get = flight_split_get, .cancel = flight_split_cancel},
    {.name = NULL}};

const struct flight_action flight_statement_actions[] = {
    {.type = "CreatePreparedStatement",
     .description = "Prepares a statement.\n"
                    "Request Message: ActionCreatePreparedStatementRequest\n"
                    "Response Message: ActionCreatePreparedStatementResult",
     .scope = AUTH_READ,
     .run = flight_create_prepared},
    {.type = "CreatePreparedSubstraitPlan",
     .description = "Substrait plans are not supported.",
     .scope = AUTH_READ,
     .quick = true,
     .run = flight_create_prepared_plan},
    {.type = "ClosePreparedStatement",
     .description = "Closes a prepared statement.\n"
                    "Request Message: ActionClosePreparedStatementRequest\n"
                    "Response Message: N/A",
     .scope = AUTH_READ,
     .quick = true,
     .run = flight_close_prepared},
    {.type = "CancelQuery",
     .description = "Stops a query, as CancelFlightInfo does.\n"
                    "Request Message: ActionCancelQueryRequest\n"
                    "Response Message: ActionCancelQueryResult",
     .scope = AUTH_READ,
     .quick = true,
     .run = cancel_query},
    {.type = "BeginTransaction",
     .description = "Begins a transaction.\n"
                    "Request Message: ActionBeginTransactionRequest\n"
                    "Response Message: ActionBeginTransactionResult",
     .scope = AUTH_READ,
     .run = flight_begin_transaction},
    {.type = "EndTransaction",
     .description = "Commits a transaction or rolls it back.\n"
                    "Request Message: ActionEndTransactionRequest\n"
                    "Response Message: N/A",
     .scope = AUTH_READ,
     .quick = true,
     .run = flight_end_transaction},
    {.type = "BeginSavepoint",
     .description = "Savepoints are not supported.",
     .scope = AUTH_READ,
     .quick = true,
     .run = flight_begin_savepoint},
    {.type = "EndSavepoint",
     .description = "Savepoints are not supported.",
     .scope = AUTH_READ,
     .quick = true,
     .run = flight_end_savepoint},
    {.type = "SetSessionOptions",
     .description = "Sets options of the session, which begins if there is none.\n"
                    "Request Message: SetSessionOptionsRequest\n"
                    "Response Message: SetSessionOptionsResult",
     .scope = AUTH_READ,
     .run = flight_set_options},
    {.type = "GetSessionOptions",
     .description = "Tells the options of the session.\n"
                    "Request Message: GetSessionOptionsRequest\n"
                    "Response Message: GetSessionOptionsResult",
     .scope = AUTH_READ,
     .quick = true,
     .run = flight_get_options},
    {.type = "CloseSession",
     .description = "Ends the session with everything that belongs to it.\n"
                    "Request Message: CloseSessionRequest\n"
                    "Response Message: CloseSessionResult",
     .scope = AUTH_READ,
     .quick = true,
     .run = flight_close_session},
    {.type = NULL}};
