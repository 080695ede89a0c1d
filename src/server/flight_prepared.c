/* Prepared statements: the text, what it answers with, and the parameters that were bound to it.
 *
 * A statement that nobody runs holds no session of the engine: it is prepared anew each time, which
 * costs some microseconds and sees the tables as they are by then. Parameters come by DoPut: for a
 * query they are kept until others come, and the answer consists of the rows for each row of them, one
 * after the other; an update is run once for each, all in one transaction, and answers with the sum.
 *
 * 1. What is bound never changes: who reads holds it (`owners`), and others may be bound meanwhile.
 * 2. A statement that was made in a transaction runs in it, and ends with it. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flight/data.h"
#include "server/flight_handle.h"

enum { BOUND_BYTES_MAX = 16 << 20 }; /* that a statement keeps */

/* Parameters: rows of one schema. */
struct bound {
  int owners; /* under the lock of the sessions */
  struct ArrowSchema schema;
  struct ArrowArray *batches;
  size_t count;
};

struct prepared {
  struct flight_handle handle;
  char *sql;
  char *transaction_id; /* NULL: none */
  bool has_rows;
  struct ArrowSchema schema, parameters;
  struct bound *bound; /* under the lock; NULL: nothing */
};

/* ---- what is bound --------------------------------------------------------------------------------- */

static void bound_free(struct bound *bound) {
  if (bound == NULL) return;
  for (size_t i = 0; i < bound->count; i++) arrow_array_release(&bound->batches[i]);
  free(bound->batches);
  arrow_schema_release(&bound->schema);
  free(bound);
}

/* One owner less; NULL is allowed. */
static void bound_give(struct prepared *prepared, struct bound *bound) {
  if (bound == NULL) return;
  pthread_mutex_lock(&prepared->handle.sessions->lock);
  bool last = --bound->owners == 0;
  pthread_mutex_unlock(&prepared->handle.sessions->lock);
  if (last) bound_free(bound);
}

/* What is bound now, held. */
static struct bound *bound_take(struct prepared *prepared) {
  pthread_mutex_lock(&prepared->handle.sessions->lock);
  struct bound *bound = prepared->bound;
  if (bound != NULL) bound->owners++;
  pthread_mutex_unlock(&prepared->handle.sessions->lock);
  return bound;
}

/* Takes the batches over. */
static enum status bound_new(const struct ArrowSchema *schema, struct ArrowArray *batches,
                             size_t count, struct bound **out, struct error *error) {
  struct bound *bound = calloc(1, sizeof *bound);
  struct ArrowArray *held = calloc(count + 1, sizeof *held);
  *out = NULL;
  if (bound == NULL || held == NULL) {
    free(bound);
    free(held);
    return error_set(error, STATUS_NOMEM, "no memory for parameters");
  }
  bound->owners = 1;
  bound->batches = held;
  enum status status = arrow_schema_copy(schema, &bound->schema, error);
  if (status != STATUS_OK) {
    bound_free(bound);
    return status;
  }
  for (size_t i = 0; i < count; i++) {
    held[i] = batches[i];
    batches[i].release = NULL;
  }
  bound->count = count;
  *out = bound;
  return STATUS_OK;
}

/* ---- making and closing ------------------------------------------------------------------------------ */

static void prepared_free(struct flight_handle *handle) {
  struct prepared *prepared = (struct prepared *)handle;
  bound_free(prepared->bound);
  arrow_schema_release(&prepared->schema);
  arrow_schema_release(&prepared->parameters);
  free(prepared->sql);
  free(prepared->transaction_id);
  free(prepared);
}

static ProtobufCBinaryData transaction_of(const struct prepared *prepared) {
  char *id = prepared->transaction_id;
  return (ProtobufCBinaryData){.data = (uint8_t *)id, .len = id == NULL ? 0 : strlen(id)};
}

static struct flight_text text_of(const struct prepared *prepared,
                                  const ProtobufCBinaryData *transaction_id) {
  return (struct flight_text){.sql = prepared->sql, .transaction_id = transaction_id};
}

/* Times and timestamps of parameters are told in milliseconds: the JDBC driver writes java.sql.Time and
 * Timestamp as such into whatever unit it is told. Values of every unit are taken. */
static enum status tell_milliseconds(struct ArrowSchema *parameters, struct error *error) {
  enum { FORMAT_BYTES_MAX = 128 }; /* a zone's name is the longest part of it */
  for (int64_t i = 0; i < parameters->n_children; i++) {
    struct ArrowSchema *child = parameters->children[i], told = {.release = NULL};
    bool is_time = strncmp(child->format, "tt", 2) == 0;
    char format[FORMAT_BYTES_MAX];
    if (!is_time && strncmp(child->format, "ts", 2) != 0) continue;
    int bytes = snprintf(format, sizeof format, "%.2sm%s", child->format, child->format + 3);
    if (bytes < 0 || (size_t)bytes >= sizeof format) continue;
    enum status status = arrow_schema_init(&told, format, child->name,
                                           (child->flags & ARROW_FLAG_NULLABLE) != 0, 0, error);
    if (status != STATUS_OK) return status;
    arrow_schema_release(child);
    arrow_schema_move(&told, child);
  }
  return STATUS_OK;
}

/* Fills in what the engine says of it. */
static enum status describe(struct flight_ask *ask, struct prepared *prepared,
                            struct error *error) {
  struct flight_loan loan;
  struct engine_query query;
  struct engine_statement *statement = NULL;
  const ProtobufCBinaryData id = transaction_of(prepared);
  enum status status = flight_borrow(ask, &id, FLIGHT_NEED_NOTHING, &loan, error);
  if (status == STATUS_OK) {
    flight_text_query(ask, &loan, prepared->sql, &query);
    status = engine_prepare(loan.session, &query, &statement, error);
    status = flight_text_hint(ask, &loan, status, error);
  }
  if (status == STATUS_OK) {
    prepared->has_rows = engine_statement_has_rows(statement);
    status = arrow_schema_copy(engine_statement_schema(statement), &prepared->schema, error);
  }
  if (status == STATUS_OK)
    status =
        arrow_schema_copy(engine_statement_parameters(statement), &prepared->parameters, error);
  if (status == STATUS_OK) status = tell_milliseconds(&prepared->parameters, error);
  engine_statement_close(statement);
  return flight_return(ask, &loan, status, error);
}

static enum status answer_created(struct flight_ask *ask, struct prepared *prepared,
                                  struct error *error) {
  Arrow__Flight__Protocol__Sql__ActionCreatePreparedStatementResult result =
      ARROW__FLIGHT__PROTOCOL__SQL__ACTION_CREATE_PREPARED_STATEMENT_RESULT__INIT;
  struct buffer schema = BUFFER_EMPTY, parameters = BUFFER_EMPTY;
  enum status status = flight_schema_bytes(&prepared->schema, &schema, error);
  if (status == STATUS_OK) status = flight_schema_bytes(&prepared->parameters, &parameters, error);
  if (status == STATUS_OK) {
    result.prepared_statement_handle =
        (ProtobufCBinaryData){.data = (uint8_t *)prepared->handle.id, .len = FLIGHT_ID_CHARS};
    result.dataset_schema =
        (ProtobufCBinaryData){.data = schema.data, .len = (size_t)schema.size_bytes};
    result.parameter_schema =
        (ProtobufCBinaryData){.data = parameters.data, .len = (size_t)parameters.size_bytes};
    result.optional_is_update_case =
        ARROW__FLIGHT__PROTOCOL__SQL__ACTION_CREATE_PREPARED_STATEMENT_RESULT__OPTIONAL_IS_UPDATE_IS_UPDATE;
    result.is_update = !prepared->has_rows;
    status = flight_action_result(ask, &result.base, true, error);
  }
  buffer_release(&schema);
  buffer_release(&parameters);
  return status;
}

/* An id is text that somebody sent: one with a NUL in it is nobody's. */
static enum status copy_request(struct prepared *prepared, const char *sql,
                                const ProtobufCBinaryData *id, struct error *error) {
  prepared->sql = strdup(sql);
  if (id != NULL && id->len > 0) prepared->transaction_id = strndup((char *)id->data, id->len);
  if (prepared->sql != NULL && (id == NULL || id->len == 0 || prepared->transaction_id != NULL))
    return STATUS_OK;
  return error_set(error, STATUS_NOMEM, "no memory for a statement");
}

enum status flight_create_prepared(struct flight_ask *ask, const ProtobufCBinaryData *body,
                                   struct error *error) {
  ProtobufCMessage *message = NULL;
  enum status status = flight_action_unpack(
      body, &arrow__flight__protocol__sql__action_create_prepared_statement_request__descriptor,
      &message, error);
  if (status != STATUS_OK) return status;
  const Arrow__Flight__Protocol__Sql__ActionCreatePreparedStatementRequest *request =
      (void *)message;
  bool within =
      request->optional_transaction_id_case ==
      ARROW__FLIGHT__PROTOCOL__SQL__ACTION_CREATE_PREPARED_STATEMENT_REQUEST__OPTIONAL_TRANSACTION_ID_TRANSACTION_ID;
  struct prepared *prepared = calloc(1, sizeof *prepared);
  status = prepared == NULL ? error_set(error, STATUS_NOMEM, "no memory for a statement")
                            : flight_text_check(request->query, error);
  if (prepared == NULL || status != STATUS_OK) {
    free(prepared);
    protobuf_c_message_free_unpacked(message, NULL);
    return status;
  }
  status = flight_hold_init(&prepared->handle, FLIGHT_STATEMENT, ask, prepared_free, error);
  if (status == STATUS_OK)
    status =
        copy_request(prepared, request->query, within ? &request->transaction_id : NULL, error);
  protobuf_c_message_free_unpacked(message, NULL);
  if (status == STATUS_OK) status = describe(ask, prepared, error);
  if (status == STATUS_OK) {
    const ProtobufCBinaryData id = transaction_of(prepared);
    status = flight_text_session(ask, prepared->sql, &id, error);
  }
  if (status == STATUS_OK)
    status = flight_hold_list(ask, &prepared->handle, (int64_t)strlen(prepared->sql), error);
  if (status == STATUS_OK) {
    status = answer_created(ask, prepared, error);
    if (status != STATUS_OK) flight_hold_drop(&prepared->handle);
  }
  flight_hold_release(&prepared->handle);
  return status;
}

enum status flight_close_prepared(struct flight_ask *ask, const ProtobufCBinaryData *body,
                                  struct error *error) {
  ProtobufCMessage *message = NULL;
  struct flight_handle *handle = NULL;
  enum status status = flight_action_unpack(
      body, &arrow__flight__protocol__sql__action_close_prepared_statement_request__descriptor,
      &message, error);
  if (status != STATUS_OK) return status;
  const Arrow__Flight__Protocol__Sql__ActionClosePreparedStatementRequest *request =
      (void *)message;
  status = flight_hold_find(ask, FLIGHT_STATEMENT, request->prepared_statement_handle.data,
                            request->prepared_statement_handle.len, &handle, error);
  if (status == STATUS_OK) flight_hold_drop(handle);
  flight_hold_release(handle);
  protobuf_c_message_free_unpacked(message, NULL);
  return status;
}

/* ---- rows for each row of parameters ------------------------------------------------------------------ */

/* A statement that is being run with parameters. */
struct bound_rows {
  struct source source;
  struct flight_ask *ask;
  struct prepared *prepared; /* used */
  struct bound *bound;       /* held */
  struct flight_loan loan;
  struct engine_query query;
  struct engine_statement *statement;
  struct engine_result *result; /* of one row of parameters; NULL: the next one's is to come */
  struct ArrowSchema schema;    /* of the first one's */
  size_t batch;                 /* of the row that comes next */
  int64_t row;
};

/* The next row of parameters; false: there is none. */
static bool next_row(struct bound_rows *rows) {
  while (rows->batch < rows->bound->count &&
         rows->row >= rows->bound->batches[rows->batch].length) {
    rows->batch++;
    rows->row = 0;
  }
  return rows->batch < rows->bound->count;
}

/* Runs the statement with the next row of parameters. */
static enum status run_row(struct bound_rows *rows, struct error *error) {
  struct error where;
  const struct ArrowArray *batch = &rows->bound->batches[rows->batch];
  enum status status = engine_statement_run(rows->statement, &rows->bound->schema, batch,
                                            rows->row++, &rows->result, error);
  if (status != STATUS_OK) return status;
  const struct ArrowSchema *schema = engine_result_schema(rows->result);
  if (rows->schema.release == NULL) return arrow_schema_copy(schema, &rows->schema, error);
  if (arrow_schema_equal(&rows->schema, schema, &where)) return STATUS_OK;
  return error_set(
      error, STATUS_SCHEMA,
      "the rows for one set of parameters have another schema than those before: %.600s",
      where.text);
}

static void bound_rows_close(struct source *source) {
  struct bound_rows *rows = (struct bound_rows *)source;
  struct error ignored;
  engine_result_close(rows->result);
  engine_statement_close(rows->statement);
  enum status status = flight_return(rows->ask, &rows->loan, STATUS_OK, &ignored);
  (void)status; /* a statement with rows leaves no temporary tables */
  bound_give(rows->prepared, rows->bound);
  flight_hold_release(&rows->prepared->handle);
  arrow_schema_release(&rows->schema);
  free(rows);
}

static const struct ArrowSchema *bound_rows_schema(struct source *source) {
  return &((struct bound_rows *)source)->schema;
}

static enum status bound_rows_next(struct source *source, struct ArrowArray *batch,
                                   struct error *error) {
  struct bound_rows *rows = (struct bound_rows *)source;
  for (;;) {
    enum status status = STATUS_OK;
    if (rows->result == NULL && !next_row(rows)) return STATUS_OK;
    if (rows->result == NULL) status = flight_ask_check(rows->ask, error);
    if (rows->result == NULL && status == STATUS_OK) status = run_row(rows, error);
    if (status == STATUS_OK) status = engine_result_next(rows->result, batch, error);
    if (status != STATUS_OK || batch->release != NULL) return status;
    engine_result_close(rows->result);
    rows->result = NULL;
  }
}

static const struct source_type BOUND_ROWS = {
    .name = "prepared",
    .summary = "rows of a prepared statement",
    .close = bound_rows_close,
    .schema = bound_rows_schema,
    .next = bound_rows_next,
};

/* Takes `bound` and the caller's use of the statement, also after a failure. */
static enum status bound_rows_open(struct flight_ask *ask, struct prepared *prepared,
                                   struct bound *bound, struct source **out, struct error *error) {
  struct bound_rows *rows = calloc(1, sizeof *rows);
  if (rows == NULL) {
    bound_give(prepared, bound);
    flight_hold_release(&prepared->handle);
    return error_set(error, STATUS_NOMEM, "no memory for a statement");
  }
  rows->source.type = &BOUND_ROWS;
  rows->ask = ask;
  rows->prepared = prepared;
  rows->bound = bound;
  const ProtobufCBinaryData id = transaction_of(prepared);
  enum status status = flight_borrow(ask, &id, FLIGHT_NEED_NOTHING, &rows->loan, error);
  if (status == STATUS_OK) {
    flight_text_query(ask, &rows->loan, prepared->sql, &rows->query);
    status = engine_prepare(rows->loan.session, &rows->query, &rows->statement, error);
    status = flight_text_hint(ask, &rows->loan, status, error);
  }
  /* The first row says what the schema is; without any, the statement does. */
  if (status == STATUS_OK && next_row(rows)) status = run_row(rows, error);
  if (status == STATUS_OK && rows->schema.release == NULL)
    status = arrow_schema_copy(engine_statement_schema(rows->statement), &rows->schema, error);
  if (status == STATUS_OK)
    *out = &rows->source;
  else
    bound_rows_close(&rows->source);
  return status;
}

/* ---- commands -------------------------------------------------------------------------------------------- */

static enum status find(struct flight_ask *ask, const ProtobufCBinaryData *value,
                        struct prepared **prepared, struct error *error) {
  struct flight_handle *handle = NULL;
  /* CommandPreparedStatementUpdate has the same one field. */
  Arrow__Flight__Protocol__Sql__CommandPreparedStatementQuery *query =
      FLIGHT_SQL(command_prepared_statement_query__unpack)(NULL, value->len, value->data);
  enum status status =
      query == NULL ? error_set(error, STATUS_INVALID, "the command is no valid protobuf message")
                    : flight_hold_find(ask, FLIGHT_STATEMENT, query->prepared_statement_handle.data,
                                       query->prepared_statement_handle.len, &handle, error);
  FLIGHT_SQL(command_prepared_statement_query__free_unpacked)(query, NULL);
  assert(status != STATUS_OK || handle != NULL);
  *prepared = (struct prepared *)handle;
  return status;
}

/* The columns that it answers with for what is bound: their types may depend on it. */
static enum status describe_bound(struct flight_ask *ask, const struct prepared *prepared,
                                  const struct bound *bound, struct ArrowSchema *schema,
                                  struct error *error) {
  struct flight_loan loan;
  struct engine_query query;
  struct engine_statement *statement = NULL;
  const ProtobufCBinaryData id = transaction_of(prepared);
  size_t first = 0;
  while (first < bound->count && bound->batches[first].length == 0) first++;
  if (first == bound->count) return arrow_schema_copy(&prepared->schema, schema, error);
  enum status status = flight_borrow(ask, &id, FLIGHT_NEED_NOTHING, &loan, error);
  if (status == STATUS_OK) {
    flight_text_query(ask, &loan, prepared->sql, &query);
    status = engine_prepare(loan.session, &query, &statement, error);
    status = flight_text_hint(ask, &loan, status, error);
  }
  if (status == STATUS_OK)
    status = engine_statement_describe(statement, &bound->schema, &bound->batches[first], 0, schema,
                                       error);
  engine_statement_close(statement);
  return flight_return(ask, &loan, status, error);
}

enum status flight_statement_about(struct flight_ask *ask, const ProtobufCBinaryData *value,
                                   struct flight_about *about, struct error *error) {
  struct prepared *prepared = NULL;
  struct bound *bound = NULL;
  int endpoints = 1;
  bool done = false;
  about->rows = about->bytes = -1;
  enum status status = find(ask, value, &prepared, error);
  if (status == STATUS_OK) status = flight_session_endpoints(ask, &endpoints, error);
  if (status == STATUS_OK) bound = bound_take(prepared);
  if (status == STATUS_OK && endpoints > 1 && bound == NULL && prepared->transaction_id == NULL &&
      prepared->parameters.n_children == 0)
    status = flight_split_about(ask, prepared->sql, endpoints, about, &done, error);
  if (status == STATUS_OK && !done && bound != NULL && prepared->has_rows)
    status = describe_bound(ask, prepared, bound, &about->schema, error);
  else if (status == STATUS_OK && !done)
    status = arrow_schema_copy(&prepared->schema, &about->schema, error);
  if (prepared != NULL) bound_give(prepared, bound);
  if (prepared != NULL) flight_hold_release(&prepared->handle);
  return status;
}

/* ---- updates ----------------------------------------------------------------------------------------------- */

/* Runs it for each row of the batches, and adds up what they changed. */
static enum status run_each(struct flight_ask *ask, struct engine_statement *statement,
                            const struct ArrowSchema *schema, const struct ArrowArray *batches,
                            size_t count, int64_t *changed, struct error *error) {
  enum status status = STATUS_OK;
  int64_t done = 0;
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    bool at_once = false;
    status = engine_statement_run_all(statement, schema, &batches[i], &at_once, error);
    if (at_once && status == STATUS_OK) *changed += batches[i].length;
    if (at_once) continue;
    for (int64_t row = 0; row < batches[i].length && status == STATUS_OK; row++) {
      struct engine_result *result = NULL;
      int64_t rows = 0;
      status = engine_statement_run(statement, schema, &batches[i], row, &result, error);
      if (status == STATUS_OK) status = flight_result_drain(ask, result, &rows, error);
      engine_result_close(result);
      *changed += rows;
      if (status != STATUS_OK) error_at(error, "parameters of row %lld", (long long)done);
      if (status == STATUS_OK && ++done % 64 == 0) status = flight_ask_check(ask, error);
    }
  }
  return status;
}

/* All of them, or none: in the transaction that there is, or one of their own. */
static enum status update_rows(struct flight_ask *ask, const struct prepared *prepared,
                               const struct ArrowSchema *schema, const struct ArrowArray *batches,
                               size_t count, int64_t *changed, struct error *error) {
  struct flight_loan loan;
  struct engine_query query;
  struct engine_statement *statement = NULL;
  const ProtobufCBinaryData id = transaction_of(prepared);
  enum status status = flight_borrow(ask, &id, FLIGHT_NEED_NOTHING, &loan, error);
  bool own = status == STATUS_OK && !loan.within;
  if (own) status = engine_begin(loan.session, error);
  if (status == STATUS_OK) {
    flight_text_query(ask, &loan, prepared->sql, &query);
    query.within = true;
    query.revocable = false;
    status = engine_prepare(loan.session, &query, &statement, error);
    status = flight_text_hint(ask, &loan, status, error);
  }
  if (status == STATUS_OK)
    status = run_each(ask, statement, schema, batches, count, changed, error);
  engine_statement_close(statement);
  if (own && status == STATUS_OK)
    status = engine_commit(loan.session, error);
  else if (own)
    engine_rollback(loan.session);
  return flight_return(ask, &loan, status, error);
}

enum status flight_statement_get(struct flight_ask *ask, const ProtobufCBinaryData *value,
                                 struct source **rows, struct error *error) {
  struct prepared *prepared = NULL;
  int64_t changed = 0;
  enum status status = find(ask, value, &prepared, error);
  if (status != STATUS_OK) return status;
  struct bound *bound = bound_take(prepared);
  if (bound != NULL && prepared->has_rows)
    return bound_rows_open(ask, prepared, bound, rows, error);
  if (bound != NULL) {
    status =
        update_rows(ask, prepared, &bound->schema, bound->batches, bound->count, &changed, error);
    if (status == STATUS_OK) status = flight_no_rows(rows, error);
  } else {
    const ProtobufCBinaryData id = transaction_of(prepared);
    const struct flight_text sql = text_of(prepared, &id);
    status = flight_text_rows(ask, &sql, rows, error);
  }
  bound_give(prepared, bound);
  flight_hold_release(&prepared->handle);
  return status;
}

enum status flight_statement_update(struct flight_ask *ask, const ProtobufCBinaryData *value,
                                    const struct ArrowSchema *schema, struct ArrowArray *batches,
                                    size_t count, struct error *error) {
  struct prepared *prepared = NULL;
  struct bound *bound = NULL;
  int64_t changed = 0;
  enum status status = find(ask, value, &prepared, error);
  if (status != STATUS_OK) return status;
  const ProtobufCBinaryData id = transaction_of(prepared);
  const struct flight_text sql = text_of(prepared, &id);
  struct ArrowSchema plain;
  status = flight_parameters_plain(&schema, batches, count, &plain, error);
  bool given = schema != NULL && schema->n_children > 0;
  if (!given) bound = bound_take(prepared);
  if (status == STATUS_OK && given)
    status = update_rows(ask, prepared, schema, batches, count, &changed, error);
  else if (status == STATUS_OK && bound != NULL)
    status =
        update_rows(ask, prepared, &bound->schema, bound->batches, bound->count, &changed, error);
  if (status == STATUS_OK && (given || bound != NULL))
    status = flight_answer_count(ask, changed, error);
  else if (status == STATUS_OK)
    status = flight_text_update(ask, &sql, error);
  arrow_schema_release(&plain);
  bound_give(prepared, bound);
  flight_hold_release(&prepared->handle);
  return status;
}

/* ---- binding -------------------------------------------------------------------------------------------------- */

static enum status check_bound(const struct prepared *prepared, const struct ArrowSchema *schema,
                               const struct ArrowArray *batches, size_t count, int64_t *bytes,
                               struct error *error) {
  *bytes = (int64_t)strlen(prepared->sql);
  if (schema->n_children != prepared->parameters.n_children)
    return error_set(error, STATUS_INVALID,
                     "the statement has %lld parameters, but %lld were given",
                     (long long)prepared->parameters.n_children, (long long)schema->n_children);
  for (size_t i = 0; i < count; i++) *bytes += arrow_array_bytes(schema, &batches[i]);
  if (*bytes <= BOUND_BYTES_MAX) return STATUS_OK;
  return error_set(error, STATUS_TOO_LARGE,
                   "the parameters take %lld bytes, and those of a query may take %d: run it for "
                   "fewer rows of them at a time",
                   (long long)*bytes, BOUND_BYTES_MAX);
}

enum status flight_statement_bind(struct flight_ask *ask, const ProtobufCBinaryData *value,
                                  const struct ArrowSchema *schema, struct ArrowArray *batches,
                                  size_t count, struct error *error) {
  struct prepared *prepared = NULL;
  struct bound *bound = NULL;
  int64_t bytes = 0;
  Arrow__Flight__Protocol__Sql__DoPutPreparedStatementResult result;
  FLIGHT_SQL(do_put_prepared_statement_result__init)(&result);
  enum status status = find(ask, value, &prepared, error);
  if (status != STATUS_OK) return status;
  struct ArrowSchema plain;
  status = flight_parameters_plain(&schema, batches, count, &plain, error);
  bool given = schema != NULL && schema->n_children > 0;
  if (status == STATUS_OK && given)
    status = check_bound(prepared, schema, batches, count, &bytes, error);
  if (status == STATUS_OK && given) status = bound_new(schema, batches, count, &bound, error);
  if (status == STATUS_OK && given) status = flight_hold_charge(&prepared->handle, bytes, error);
  if (status == STATUS_OK) {
    pthread_mutex_lock(&prepared->handle.sessions->lock);
    struct bound *before = prepared->bound;
    prepared->bound = bound;
    pthread_mutex_unlock(&prepared->handle.sessions->lock);
    bound_give(prepared, before);
    bound = NULL;
    result.optional_prepared_statement_handle_case =
        ARROW__FLIGHT__PROTOCOL__SQL__DO_PUT_PREPARED_STATEMENT_RESULT__OPTIONAL_PREPARED_STATEMENT_HANDLE_PREPARED_STATEMENT_HANDLE;
    result.prepared_statement_handle =
        (ProtobufCBinaryData){.data = (uint8_t *)prepared->handle.id, .len = FLIGHT_ID_CHARS};
    status = flight_answer_put(ask, &result.base, error);
  }
  arrow_schema_release(&plain);
  bound_free(bound);
  flight_hold_release(&prepared->handle);
  return status;
}
