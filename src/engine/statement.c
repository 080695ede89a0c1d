/* Statements that are prepared once and run often, with parameters from Arrow arrays.
 *
 * A statement is checked as engine_query checks one: its text and kind when it is prepared, the tables
 * that it touches (for callers who may touch only some) then and again with each run, in the
 * transaction that runs it and with the values that go with it, because a value may be a table's name.
 * DuckDB binds a statement anew by itself when the catalog has changed. Not so that of a lake, which
 * is therefore prepared in the transaction that runs it (insert.c says why).
 *
 * Types. What DuckDB can tell of the answer and the parameters it tells when the statement is prepared.
 * Where a parameter can be of any type (SELECT ?) the answer depends on it: DESCRIBE is asked then, at
 * first with text in the place of such parameters, and with the values themselves when they are
 * there (engine_statement_describe). */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/bind.h"
#include "engine/insert.h"
#include "engine/query.h"
#include "engine/tables.h"
#include "engine/types.h"

struct engine_statement {
  struct engine_session *session;
  struct engine_query query; /* its text is ours */
  char *sql;
  duckdb_prepared_statement prepared; /* NULL: it is prepared by each run (lakes) */
  duckdb_statement_type type;
  bool changes_lake; /* by a function */
  bool has_rows;
  struct ArrowSchema schema, parameters_schema;
  struct parameter *parameters;
  struct query_values values; /* of the last row */
  struct binding *binding;    /* of the parameters that came last */
};

static bool has_lakes(const struct engine_statement *statement) {
  return statement->session->engine->lake_count > 0;
}

static bool is_change(duckdb_statement_type type) {
  return type == DUCKDB_STATEMENT_TYPE_INSERT || type == DUCKDB_STATEMENT_TYPE_UPDATE ||
         type == DUCKDB_STATEMENT_TYPE_DELETE || type == DUCKDB_STATEMENT_TYPE_MERGE_INTO;
}

/* ---- what it answers with ------------------------------------------------------------------ */

/* DuckDB says before a statement is run what its columns are, but not whether they are an answer: each
 * change has a column "Count", everything else that answers with nothing a "Count" or "Success". */
static bool answers(const struct engine_statement *statement) {
  switch (statement->type) {
  case DUCKDB_STATEMENT_TYPE_SELECT:
  case DUCKDB_STATEMENT_TYPE_EXPLAIN: return true;
  case DUCKDB_STATEMENT_TYPE_CALL: break;
  default: return is_change(statement->type) && guard_says(statement->sql, "returning");
  }
  const struct duckdb_api *duckdb = statement->session->duckdb;
  if (duckdb->prepared_statement_column_count(statement->prepared) != 1) return true;
  const char *name = duckdb->prepared_statement_column_name(statement->prepared, 0);
  bool nothing = name != NULL && strcmp(name, "Success") == 0;
  duckdb->free((void *)(uintptr_t)name);
  return !nothing;
}

/* The columns that DuckDB told when it prepared the statement; `*known` false: it could not. */
static enum status told_schema(const struct engine_session *session,
                               duckdb_prepared_statement prepared, struct ArrowSchema *schema,
                               bool *known, struct error *error) {
  const struct duckdb_api *duckdb = session->duckdb;
  idx_t count = duckdb->prepared_statement_column_count(prepared);
  enum status status = arrow_schema_init(schema, "+s", "", false, (int64_t)count, error);
  *known = true;
  for (idx_t i = 0; i < count && status == STATUS_OK && *known; i++) {
    const char *name = duckdb->prepared_statement_column_name(prepared, i);
    duckdb_logical_type type = duckdb->prepared_statement_column_logical_type(prepared, i);
    *known = type != NULL && duckdb->get_type_id(type) != DUCKDB_TYPE_INVALID;
    if (*known)
      status = collector_field(duckdb, type, name == NULL ? "" : name, schema->children[i], error);
    duckdb->destroy_logical_type(&type);
    duckdb->free((void *)(uintptr_t)name);
  }
  if (status != STATUS_OK || !*known) arrow_schema_release(schema);
  return status;
}

/* ---- DESCRIBE -------------------------------------------------------------------------------- */

static enum status add_cell(const struct duckdb_api *duckdb, duckdb_data_chunk chunk, idx_t column,
                            idx_t row, bool quoted, struct text *out, struct error *error) {
  const duckdb_string_t *string = (const duckdb_string_t *)duckdb->vector_get_data(
                                      duckdb->data_chunk_get_vector(chunk, column)) +
                                  row;
  uint32_t bytes = string->value.inlined.length;
  const char *data = bytes <= 12 ? string->value.inlined.inlined : string->value.pointer.ptr;
  struct text cell = TEXT_EMPTY;
  enum status status = text_add_bytes(&cell, data, bytes, error);
  if (status == STATUS_OK)
    status = quoted ? text_add_identifier(out, text_get(&cell), error)
                    : text_add(out, text_get(&cell), error);
  text_release(&cell);
  return status;
}

/* DESCRIBE gives types as text: a statement whose columns have them. */
static enum status columns_sql(const struct duckdb_api *duckdb, duckdb_result described,
                               struct text *sql, struct error *error) {
  enum status status = text_add(sql, "SELECT ", error);
  duckdb_data_chunk chunk;
  bool first = true;
  while ((chunk = duckdb->fetch_chunk(described)) != NULL) {
    for (idx_t row = 0; row < duckdb->data_chunk_get_size(chunk) && status == STATUS_OK; row++) {
      status = text_add(sql, first ? "CAST(NULL AS " : ", CAST(NULL AS ", error);
      first = false;
      if (status == STATUS_OK) status = add_cell(duckdb, chunk, 1, row, false, sql, error);
      if (status == STATUS_OK) status = text_add(sql, ") AS ", error);
      if (status == STATUS_OK) status = add_cell(duckdb, chunk, 0, row, true, sql, error);
    }
    duckdb->destroy_data_chunk(&chunk);
  }
  return status;
}

/* The answer's columns with these values as parameters. */
static enum status described_schema(struct engine_statement *statement,
                                    const struct query_values *values, struct ArrowSchema *schema,
                                    struct error *error) {
  struct engine_session *session = statement->session;
  const struct duckdb_api *duckdb = session->duckdb;
  struct text sql = TEXT_EMPTY;
  duckdb_prepared_statement prepared = NULL;
  duckdb_result result = {0};
  bool known = false;
  enum status status = text_add_format(&sql, error, "DESCRIBE %s", statement->sql);
  if (status != STATUS_OK) goto done;
  if (duckdb->prepare(session->connection, text_get(&sql), &prepared) != DuckDBSuccess)
    status = failure_set(session, error, duckdb->prepare_error(prepared));
  if (status == STATUS_OK) status = query_bind(duckdb, prepared, NULL, values, error);
  if (status == STATUS_OK) status = session_execute(session, prepared, &result, error);
  text_clear(&sql);
  if (status == STATUS_OK) status = columns_sql(duckdb, result, &sql, error);
  if (status != STATUS_OK) goto done;
  duckdb->destroy_prepare(&prepared);
  if (duckdb->prepare(session->connection, text_get(&sql), &prepared) != DuckDBSuccess)
    status = failure_set(session, error, duckdb->prepare_error(prepared));
  if (status == STATUS_OK) status = told_schema(session, prepared, schema, &known, error);
  if (status == STATUS_OK && !known)
    status = error_set(error, STATUS_INTERNAL, "DuckDB does not tell what the statement answers");

done:
  duckdb->destroy_result(&result);
  duckdb->destroy_prepare(&prepared);
  text_release(&sql);
  return status;
}

/* A guess where the answer depends on parameters of any type: as if they were text, else NULL. Where
 * DuckDB takes neither, one column of no type. */
static enum status guessed_schema(struct engine_statement *statement, struct error *error) {
  const struct duckdb_api *duckdb = statement->session->duckdb;
  struct query_values *values = &statement->values;
  enum status status = STATUS_INVALID;
  for (int text = 1; text >= 0 && status != STATUS_OK; text--) {
    for (idx_t i = 0; text == 1 && i < values->count; i++)
      if (statement->parameters[i].type == DUCKDB_TYPE_INVALID)
        values->values[i] = duckdb->create_varchar_length("", 0);
    status = statement->type == DUCKDB_STATEMENT_TYPE_SELECT
                 ? described_schema(statement, values, &statement->schema, NULL)
                 : STATUS_UNSUPPORTED;
    values_clear(duckdb, values);
  }
  if (status == STATUS_OK) return STATUS_OK;
  status = arrow_schema_init(&statement->schema, "+s", "", false, 1, error);
  return status == STATUS_OK
             ? arrow_schema_init(statement->schema.children[0], "n", "unknown", true, 0, error)
             : status;
}

static enum status learn_answer(struct engine_statement *statement, struct error *error) {
  bool known = false;
  statement->has_rows = answers(statement);
  if (!statement->has_rows) return arrow_schema_init(&statement->schema, "+s", "", false, 0, error);
  enum status status =
      told_schema(statement->session, statement->prepared, &statement->schema, &known, error);
  return status == STATUS_OK && !known ? guessed_schema(statement, error) : status;
}

/* ---- parameters ---------------------------------------------------------------------------------- */

static enum status learn_parameter(struct engine_statement *statement, idx_t index,
                                   struct error *error) {
  const struct duckdb_api *duckdb = statement->session->duckdb;
  struct parameter *parameter = &statement->parameters[index];
  struct ArrowSchema *field = statement->parameters_schema.children[index];
  const char *name = duckdb->parameter_name(statement->prepared, index + 1);
  parameter->name = strdup(name == NULL ? "" : name);
  duckdb->free((void *)(uintptr_t)name);
  if (parameter->name == NULL) return error_set(error, STATUS_NOMEM, "no memory for a parameter");
  duckdb_logical_type type = duckdb->param_logical_type(statement->prepared, index + 1);
  parameter->type = type == NULL ? DUCKDB_TYPE_INVALID : duckdb->get_type_id(type);
  /* What has no Arrow type (TIME WITH TIME ZONE) can be given as text. */
  enum status status = STATUS_UNSUPPORTED;
  if (parameter->type != DUCKDB_TYPE_INVALID)
    status = collector_field(duckdb, type, parameter->name, field, NULL);
  if (status == STATUS_UNSUPPORTED) {
    arrow_schema_release(field);
    status = arrow_schema_init(field, "n", parameter->name, true, 0, error);
  }
  duckdb->destroy_logical_type(&type);
  return status;
}

static enum status learn_parameters(struct engine_statement *statement, struct error *error) {
  idx_t count = statement->session->duckdb->nparams(statement->prepared);
  statement->parameters = calloc(count + 1, sizeof *statement->parameters);
  statement->values.values = calloc(count + 1, sizeof(duckdb_value));
  if (statement->parameters == NULL || statement->values.values == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for %llu parameters",
                     (unsigned long long)count);
  statement->values.count = count;
  enum status status =
      arrow_schema_init(&statement->parameters_schema, "+s", "", false, (int64_t)count, error);
  for (idx_t i = 0; i < count && status == STATUS_OK; i++)
    status = learn_parameter(statement, i, error);
  return status;
}

/* ---- preparing ------------------------------------------------------------------------------------ */

static enum status copy_query(struct engine_statement *statement, const struct engine_query *query,
                              struct error *error) {
  statement->sql = strdup(query->sql);
  if (statement->sql == NULL) return error_set(error, STATUS_NOMEM, "no memory for a statement");
  statement->query = *query;
  statement->query.sql = statement->sql;
  statement->query.parameters = NULL;
  statement->query.parameter_count = 0;
  return STATUS_OK;
}

/* Who may not read a table must not learn its columns. */
static enum status check_tables(struct engine_statement *statement, struct error *error) {
  if (!query_is_restricted(&statement->query)) return STATUS_OK;
  return tables_check(statement->session, &statement->query, &statement->values, error);
}

static enum status prepare(struct engine_statement *statement, struct error *error) {
  struct engine_session *session = statement->session;
  const struct duckdb_api *duckdb = session->duckdb;
  const struct engine_query *query = &statement->query;
  bool any_lake = session->any_lake;
  /* Nothing is changed, and whoever asks for tables asks in the transaction in which they are. */
  bool begins = !session->in_transaction && (query_is_restricted(query) || has_lakes(statement));
  enum status status = query_check_text(session, query, &statement->changes_lake, error);
  if (status == STATUS_OK && begins && !query->read_only) writers_enter(session);
  if (status == STATUS_OK && begins)
    status = session_run(
        session, query->read_only ? "BEGIN TRANSACTION READ ONLY" : "BEGIN TRANSACTION", error);
  if (status != STATUS_OK) {
    if (begins) writers_leave(session);
    return status;
  }
  status = query_prepare_one(session, query, &statement->prepared, error);
  session->any_lake = any_lake;
  if (status == STATUS_OK) {
    statement->type = duckdb->prepared_statement_type(statement->prepared);
    status = learn_parameters(statement, error);
  }
  if (status == STATUS_OK) status = check_tables(statement, error);
  if (status == STATUS_OK) status = learn_answer(statement, error);
  if (has_lakes(statement)) {
    duckdb->destroy_prepare(&statement->prepared);
    statement->prepared = NULL;
  }
  struct error ignored;
  if (begins && session_run(session, "ROLLBACK", &ignored) != STATUS_OK && status == STATUS_OK)
    status = error_set(error, STATUS_INTERNAL, "%s", ignored.text);
  if (begins) writers_leave(session);
  return status;
}

enum status engine_prepare(struct engine_session *session, const struct engine_query *query,
                           struct engine_statement **out, struct error *error) {
  *out = NULL;
  if (session->open != NULL)
    return error_set(error, STATUS_INTERNAL, "the session's last result is still open");
  struct engine_statement *statement = calloc(1, sizeof *statement);
  if (statement == NULL) return error_set(error, STATUS_NOMEM, "no memory for a statement");
  statement->session = session;
  enum status status = copy_query(statement, query, error);
  if (status == STATUS_OK) {
    session_enter(session);
    status = prepare(statement, error);
    if (status != STATUS_OK) status = query_failed(session, &statement->query, status, error);
    session_leave(session);
  }
  if (status != STATUS_OK) {
    engine_statement_close(statement);
    statement = NULL;
  }
  *out = statement;
  return status;
}

const struct ArrowSchema *engine_statement_schema(const struct engine_statement *statement) {
  return &statement->schema;
}

const struct ArrowSchema *engine_statement_parameters(const struct engine_statement *statement) {
  return &statement->parameters_schema;
}

bool engine_statement_has_rows(const struct engine_statement *statement) {
  return statement->has_rows;
}

void engine_statement_close(struct engine_statement *statement) {
  if (statement == NULL) return;
  const struct duckdb_api *duckdb = statement->session->duckdb;
  assert(statement->session->open == NULL || !statement->session->open->borrowed ||
         statement->session->open->statement != statement->prepared);
  values_clear(duckdb, &statement->values);
  for (idx_t i = 0; i < statement->values.count; i++) free(statement->parameters[i].name);
  free(statement->values.values);
  free(statement->parameters);
  binding_free(statement->binding);
  arrow_schema_release(&statement->schema);
  arrow_schema_release(&statement->parameters_schema);
  if (statement->prepared != NULL) duckdb->destroy_prepare(&statement->prepared);
  free(statement->sql);
  free(statement);
}

/* ---- running ---------------------------------------------------------------------------------------- */

/* The values of a row: statement->values. */
static enum status take_row(struct engine_statement *statement, const struct ArrowSchema *schema,
                            const struct ArrowArray *parameters, int64_t row, struct error *error) {
  const struct duckdb_api *duckdb = statement->session->duckdb;
  values_clear(duckdb, &statement->values);
  if (schema == NULL) {
    if (statement->values.count == 0) return STATUS_OK;
    return error_set(error, STATUS_INVALID, "the statement has %llu parameters, and none is bound",
                     (unsigned long long)statement->values.count);
  }
  if (!binding_is_of(statement->binding, schema)) {
    binding_free(statement->binding);
    statement->binding = NULL;
    enum status status = binding_new(duckdb, schema, &statement->binding, error);
    if (status != STATUS_OK) return status;
  }
  /* The type of an answer may follow that of a parameter, so those of a SELECT stay what they are. */
  return binding_values(statement->binding, parameters, row, statement->parameters,
                        is_change(statement->type), &statement->values, error);
}

static enum status run(struct engine_statement *statement, struct engine_result *result,
                       struct error *error) {
  struct engine_session *session = statement->session;
  const struct engine_query *query = &statement->query;
  session->any_lake = statement->changes_lake ||
                      (has_lakes(statement) && statement->type != DUCKDB_STATEMENT_TYPE_SELECT) ||
                      (session->any_lake && session->in_transaction);
  enum status status = query_make_room(session, query, statement->type, false, error);
  if (status == STATUS_OK && !session->in_transaction &&
      (query->read_only || has_lakes(statement) || query_is_restricted(query)))
    status = query_begin(result, query->read_only, error);
  if (status != STATUS_OK) return status;
  if (statement->prepared == NULL) {
    status = query_prepare_one(session, query, &result->statement, error);
  } else {
    result->statement = statement->prepared;
    result->borrowed = true;
  }
  if (status == STATUS_OK)
    status = query_bind(session->duckdb, result->statement, query, &statement->values, error);
  if (status == STATUS_OK) status = query_execute(result, query, &statement->values, error);
  return status == STATUS_OK ? query_answer(result, query, error) : status;
}

enum status engine_statement_run(struct engine_statement *statement,
                                 const struct ArrowSchema *schema,
                                 const struct ArrowArray *parameters, int64_t row,
                                 struct engine_result **out, struct error *error) {
  const struct engine_query *query = &statement->query;
  struct engine_result *result = NULL;
  *out = NULL;
  enum status status = query_result_new(statement->session, query, &result, error);
  if (status != STATUS_OK) return status;
  status = take_row(statement, schema, parameters, row, error);
  if (status == STATUS_OK) status = run(statement, result, error);
  if (status != STATUS_OK) {
    status = query_failed(statement->session, query, status, error);
    engine_result_close(result);
    result = NULL;
  }
  *out = result;
  return status;
}

/* ---- many rows at once --------------------------------------------------------------------------------- */

/* Behind `(name, name)`, with what may be a name told by `skip`; NULL when it does not stand there. */
static const char *skip_list(const char *at, const char *(*skip)(const char *), idx_t *count) {
  *count = 0;
  if (*at != '(') return NULL;
  do {
    at = skip(tables_skip_space(at + 1));
    if (at == NULL) return NULL;
    at = tables_skip_space(at);
    ++*count;
  } while (*at == ',');
  return *at == ')' ? tables_skip_space(at + 1) : NULL;
}

static const char *skip_question(const char *at) { return *at == '?' ? at + 1 : NULL; }

/* Where the values begin of `INSERT INTO name [(columns)] VALUES (?, ...)`, with nothing in it that
 * could be read in another way; NULL for every other statement. */
static const char *plain_values(const char *sql, idx_t wanted) {
  idx_t count = 0;
  const char *at = tables_skip_word(tables_skip_space(sql), "insert");
  if (at != NULL) at = tables_skip_word(at, "into");
  if (at != NULL) at = tables_skip_identifier(at);
  while (at != NULL && *at == '.') at = tables_skip_identifier(at + 1);
  if (at == NULL) return NULL;
  at = tables_skip_space(at);
  if (*at == '(') at = skip_list(at, tables_skip_identifier, &count);
  if (at == NULL || strncasecmp(at, "values", 6) != 0) return NULL;
  const char *values = at;
  at = skip_list(tables_skip_space(at + 6), skip_question, &count);
  if (at != NULL && *at == ';') at = tables_skip_space(at + 1);
  return at != NULL && *at == '\0' && count == wanted ? values : NULL;
}

static void leave_to_its_owner(struct ArrowArray *array) { array->release = NULL; }

/* The same rows by one INSERT ... SELECT, as loads land them. */
static enum status insert_all(struct engine_statement *statement, const char *values,
                              const struct ArrowSchema *schema, const struct ArrowArray *parameters,
                              struct error *error) {
  struct engine_session *session = statement->session;
  struct engine_insert *insert = NULL;
  struct arrow_shared *shared = NULL;
  struct ArrowArray rows = *parameters;
  struct text sql = TEXT_EMPTY;
  rows.release = leave_to_its_owner;
  enum status status = check_tables(statement, error);
  if (status == STATUS_OK) status = insert_new(session, schema, &insert, error);
  if (status == STATUS_OK) status = arrow_shared_new(&rows, &shared, error);
  if (status == STATUS_OK)
    status = text_add_bytes(&sql, statement->sql, (size_t)(values - statement->sql), error);
  if (status == STATUS_OK) status = text_add(&sql, "SELECT * FROM ", error);
  if (status == STATUS_OK) status = insert_source(insert, &sql, error);
  const struct engine_slice slice = {shared, 0, parameters->length};
  if (status == STATUS_OK) status = insert_show(insert, &slice, 1, error);
  if (status == STATUS_OK) status = query_before(statement->type, &statement->query, error);
  writers_join(session);
  if (status == STATUS_OK) status = insert_run(insert, text_get(&sql), error);
  engine_insert_close(insert);
  if (shared != NULL) arrow_shared_release(shared);
  text_release(&sql);
  return status;
}

enum status engine_statement_run_all(struct engine_statement *statement,
                                     const struct ArrowSchema *schema,
                                     const struct ArrowArray *parameters, bool *done,
                                     struct error *error) {
  struct engine_session *session = statement->session;
  *done = false;
  if (schema == NULL || !session->in_transaction || session->open != NULL || has_lakes(statement) ||
      schema->n_children == 0 || (idx_t)schema->n_children != statement->values.count ||
      parameters->n_children != schema->n_children || parameters->length == 0)
    return STATUS_OK;
  const char *values = plain_values(statement->sql, statement->values.count);
  if (values == NULL || types_check_names(schema, NULL) != STATUS_OK) return STATUS_OK;
  *done = true;
  values_clear(session->duckdb, &statement->values);
  session_enter(session);
  struct error own;
  if (error == NULL) error = &own;
  enum status status = insert_all(statement, values, schema, parameters, error);
  if (status != STATUS_OK) status = query_failed(session, &statement->query, status, error);
  session_leave(session);
  return status;
}

/* ---- describing ----------------------------------------------------------------------------------------- */

enum status engine_statement_describe(struct engine_statement *statement,
                                      const struct ArrowSchema *schema,
                                      const struct ArrowArray *parameters, int64_t row,
                                      struct ArrowSchema *answer, struct error *error) {
  struct engine_session *session = statement->session;
  *answer = (struct ArrowSchema){0};
  if (session->open != NULL)
    return error_set(error, STATUS_INTERNAL, "the session's last result is still open");
  enum status status = take_row(statement, schema, parameters, row, error);
  if (status != STATUS_OK) return status;
  if (statement->type != DUCKDB_STATEMENT_TYPE_SELECT || statement->values.count == 0)
    return arrow_schema_copy(&statement->schema, answer, error);
  session_enter(session);
  if (query_is_restricted(&statement->query)) {
    bool begins = !session->in_transaction;
    if (begins) status = session_run(session, "BEGIN TRANSACTION READ ONLY", error);
    if (status == STATUS_OK) status = check_tables(statement, error);
    struct error ignored;
    if (begins && session_run(session, "ROLLBACK", &ignored) != STATUS_OK && status == STATUS_OK)
      status = error_set(error, STATUS_INTERNAL, "%s", ignored.text);
  }
  if (status == STATUS_OK) status = described_schema(statement, &statement->values, answer, error);
  if (status != STATUS_OK) status = query_failed(session, &statement->query, status, error);
  session_leave(session);
  return status;
}
