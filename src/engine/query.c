/* SQL from outside: which statements run, how, and what comes back.
 *
 * A session is not the client's to keep, so statements that change it (transactions,
 * settings, prepared statements) are refused by name, as are those that reach for
 * files, extensions and other databases; the lock-down of database.c stands behind
 * that. A SELECT's rows are drawn as DuckDB makes them; every other statement runs to
 * its end first.
 *
 *   engine_query -> result: DRAWING --last row--> committed --> END
 *                               \--close--> cancelled, rolled back */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/lake.h"
#include "engine/query.h"
#include "engine/tables.h"

enum {
  BATCH_ROWS_DEFAULT = ROW_GROUP_ROWS,
  BATCH_BYTES_DEFAULT = 64 << 20,
  KEEP_OUT_MS = 4000 /* that a CHECKPOINT waits for writers */
};

/* ---- which statements run ------------------------------------------------------------- */

enum permission { REFUSED, READS, WRITES, DEFINES };

static const struct statement_rule {
  enum permission permission;
  const char *name;
} statement_rules[] = {
    [DUCKDB_STATEMENT_TYPE_SELECT] = {READS, "SELECT"},
    [DUCKDB_STATEMENT_TYPE_EXPLAIN] = {READS, "EXPLAIN"},
    [DUCKDB_STATEMENT_TYPE_INSERT] = {WRITES, "INSERT"},
    [DUCKDB_STATEMENT_TYPE_UPDATE] = {WRITES, "UPDATE"},
    [DUCKDB_STATEMENT_TYPE_DELETE] = {WRITES, "DELETE"},
    [DUCKDB_STATEMENT_TYPE_MERGE_INTO] = {WRITES, "MERGE"},
    [DUCKDB_STATEMENT_TYPE_CREATE] = {DEFINES, "CREATE"},
    [DUCKDB_STATEMENT_TYPE_CREATE_FUNC] = {DEFINES, "CREATE"},
    [DUCKDB_STATEMENT_TYPE_ALTER] = {DEFINES, "ALTER"},
    [DUCKDB_STATEMENT_TYPE_DROP] = {DEFINES, "DROP"},
    [DUCKDB_STATEMENT_TYPE_ANALYZE] = {DEFINES, "ANALYZE"},
    [DUCKDB_STATEMENT_TYPE_VACUUM] = {DEFINES, "VACUUM"},
    [DUCKDB_STATEMENT_TYPE_CALL] = {DEFINES, "CALL"}, /* CHECKPOINT, too */
    [DUCKDB_STATEMENT_TYPE_TRANSACTION] = {REFUSED, "BEGIN, COMMIT, ROLLBACK"},
    [DUCKDB_STATEMENT_TYPE_PREPARE] = {REFUSED, "PREPARE"},
    [DUCKDB_STATEMENT_TYPE_EXECUTE] = {REFUSED, "EXECUTE"},
    [DUCKDB_STATEMENT_TYPE_SET] = {REFUSED, "SET"},
    [DUCKDB_STATEMENT_TYPE_VARIABLE_SET] = {REFUSED, "SET VARIABLE"},
    [DUCKDB_STATEMENT_TYPE_PRAGMA] = {REFUSED, "PRAGMA"},
    [DUCKDB_STATEMENT_TYPE_COPY] = {REFUSED, "COPY"},
    [DUCKDB_STATEMENT_TYPE_EXPORT] = {REFUSED, "EXPORT DATABASE"},
    [DUCKDB_STATEMENT_TYPE_COPY_DATABASE] = {REFUSED, "COPY FROM DATABASE"},
    [DUCKDB_STATEMENT_TYPE_ATTACH] = {REFUSED, "ATTACH"},
    [DUCKDB_STATEMENT_TYPE_DETACH] = {REFUSED, "DETACH"},
    [DUCKDB_STATEMENT_TYPE_LOAD] = {REFUSED, "LOAD, INSTALL"},
    [DUCKDB_STATEMENT_TYPE_UPDATE_EXTENSIONS] = {REFUSED, "UPDATE EXTENSIONS"},
};

enum { STATEMENT_RULES = sizeof statement_rules / sizeof statement_rules[0] };

static enum status check_statement(duckdb_statement_type type, const struct engine_query *query,
                                   struct error *error) {
  const struct statement_rule *rule =
      (unsigned)type < STATEMENT_RULES ? &statement_rules[type] : &statement_rules[0];
  const char *name = rule->name == NULL ? "this kind of statement" : rule->name;
  if (rule->permission == REFUSED)
    return error_set(error, STATUS_DENIED,
                     "not available here: %s (statements cannot change the session, reach files "
                     "or load extensions)",
                     name);
  if (rule->permission != READS && query->read_only)
    return error_set(error, STATUS_DENIED, "%s writes, and only statements that read are allowed",
                     name);
  if (rule->permission == DEFINES && (query->data_only || query_is_restricted(query)))
    return error_set(error, STATUS_DENIED,
                     "%s needs the scope admin for every table (a load makes its own table)", name);
  if (query_is_restricted(query) && type == DUCKDB_STATEMENT_TYPE_EXPLAIN)
    return error_set(error, STATUS_DENIED,
                     "EXPLAIN is for those who may see every table, and you may see only some");
  if (type == DUCKDB_STATEMENT_TYPE_CREATE || type == DUCKDB_STATEMENT_TYPE_DROP)
    return guard_check_secret(query->sql, error);
  return STATUS_OK;
}

/* ---- running them ------------------------------------------------------------------------ */

static enum status bind_value(const struct duckdb_api *duckdb, duckdb_prepared_statement statement,
                              idx_t index, const struct engine_value *value, struct error *error) {
  duckdb_state state = DuckDBError;
  switch (value->kind) {
  case ENGINE_NULL: state = duckdb->bind_null(statement, index); break;
  case ENGINE_BOOLEAN: state = duckdb->bind_boolean(statement, index, value->boolean); break;
  case ENGINE_INTEGER: state = duckdb->bind_int64(statement, index, value->integer); break;
  case ENGINE_DOUBLE: state = duckdb->bind_double(statement, index, value->number); break;
  case ENGINE_TEXT:
    if (utf8_valid_bytes((const uint8_t *)value->text, value->text_bytes) != value->text_bytes)
      return error_set(error, STATUS_INVALID, "parameter %llu is not UTF-8",
                       (unsigned long long)index);
    state = duckdb->bind_varchar_length(statement, index, value->text, value->text_bytes);
    break;
  }
  if (state == DuckDBSuccess) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "parameter %llu was not taken",
                   (unsigned long long)index);
}

/* Values that were made of a row of Arrow's (bind.c). */
static enum status bind_values(const struct duckdb_api *duckdb, duckdb_prepared_statement statement,
                               const struct query_values *values, struct error *error) {
  idx_t wanted = duckdb->nparams(statement);
  if (wanted != values->count)
    return error_set(error, STATUS_INTERNAL,
                     "the statement has %llu parameters, and %llu are bound",
                     (unsigned long long)wanted, (unsigned long long)values->count);
  for (idx_t i = 0; i < wanted; i++)
    if ((values->values[i] == NULL
             ? duckdb->bind_null(statement, i + 1)
             : duckdb->bind_value(statement, i + 1, values->values[i])) != DuckDBSuccess)
      return error_set(error, STATUS_INVALID, "parameter %llu was not taken",
                       (unsigned long long)i + 1);
  return STATUS_OK;
}

enum status query_bind(const struct duckdb_api *duckdb, duckdb_prepared_statement statement,
                       const struct engine_query *query, const struct query_values *values,
                       struct error *error) {
  if (values != NULL) return bind_values(duckdb, statement, values, error);
  idx_t wanted = duckdb->nparams(statement);
  if (wanted != query->parameter_count)
    return error_set(error, STATUS_INVALID, "the statement has %llu parameters, but %zu were given",
                     (unsigned long long)wanted, query->parameter_count);
  enum status status = STATUS_OK;
  for (idx_t i = 0; i < wanted && status == STATUS_OK; i++)
    status = bind_value(duckdb, statement, i + 1, &query->parameters[i], error);
  return status;
}

enum status query_prepare(struct engine_session *session, duckdb_extracted_statements statements,
                          idx_t index, const struct engine_query *query,
                          duckdb_prepared_statement *statement, struct error *error) {
  const struct duckdb_api *duckdb = session->duckdb;
  if (duckdb->prepare_extracted_statement(session->connection, statements, index, statement) !=
      DuckDBSuccess)
    return failure_set(session, error, duckdb->prepare_error(*statement));
  duckdb_statement_type type = duckdb->prepared_statement_type(*statement);
  /* What may have written to a lake is committed by lake_commit. */
  if (session->engine->lake_count > 0 && type != DUCKDB_STATEMENT_TYPE_SELECT)
    session->any_lake = true;
  return check_statement(type, query, error);
}

static enum status no_statement(struct engine_session *session,
                                duckdb_extracted_statements statements, struct error *error) {
  const char *message =
      statements == NULL ? NULL : session->duckdb->extract_statements_error(statements);
  return message != NULL ? failure_set(session, error, message)
                         : error_set(error, STATUS_INVALID, "there is no statement to run");
}

enum status query_prepare_one(struct engine_session *session, const struct engine_query *query,
                              duckdb_prepared_statement *statement, struct error *error) {
  const struct duckdb_api *duckdb = session->duckdb;
  duckdb_extracted_statements statements = NULL;
  idx_t count = duckdb->extract_statements(session->connection, query->sql, &statements);
  enum status status =
      count == 0  ? no_statement(session, statements, error)
      : count > 1 ? error_set(error, STATUS_INVALID,
                              "one statement can be prepared, but there are %llu of them (a PIVOT "
                              "without IN (...) is two)",
                              (unsigned long long)count)
                  : query_prepare(session, statements, 0, query, statement, error);
  duckdb->destroy_extracted(&statements);
  return status;
}

static bool is_change(duckdb_statement_type type, const struct engine_query *query) {
  return type == DUCKDB_STATEMENT_TYPE_INSERT || type == DUCKDB_STATEMENT_TYPE_UPDATE ||
         type == DUCKDB_STATEMENT_TYPE_DELETE || type == DUCKDB_STATEMENT_TYPE_MERGE_INTO ||
         (type == DUCKDB_STATEMENT_TYPE_EXPLAIN && guard_says(query->sql, "analyze"));
}

enum status query_before(duckdb_statement_type type, const struct engine_query *query,
                         struct error *error) {
  if (query->before_change == NULL || query->read_only || !is_change(type, query)) return STATUS_OK;
  return query->before_change(query->alter_context, error);
}

/* A statement whose answer nobody reads. */
static enum status run_aside(struct engine_session *session, duckdb_extracted_statements statements,
                             idx_t index, const struct engine_query *query, struct error *error) {
  duckdb_prepared_statement statement = NULL;
  duckdb_result result = {0};
  enum status status = query_prepare(session, statements, index, query, &statement, error);
  if (status == STATUS_OK)
    status = query_before(session->duckdb->prepared_statement_type(statement), query, error);
  if (status == STATUS_OK && !query->read_only &&
      session->duckdb->prepared_statement_type(statement) != DUCKDB_STATEMENT_TYPE_SELECT)
    writers_join(session);
  if (status == STATUS_OK) status = query_bind(session->duckdb, statement, query, NULL, error);
  if (status == STATUS_OK) status = session_execute(session, statement, &result, error);
  session->duckdb->destroy_result(&result);
  session->duckdb->destroy_prepare(&statement);
  return status;
}

enum status query_begin(struct engine_result *result, bool read_only, struct error *error) {
  if (!read_only) writers_enter(result->session);
  enum status status = session_run(
      result->session, read_only ? "BEGIN TRANSACTION READ ONLY" : "BEGIN TRANSACTION", error);
  result->own_transaction = status == STATUS_OK;
  return status;
}

/* EXPLAIN ANALYZE runs what it explains, and takes COMMIT, too. In a transaction that goes on
 * afterwards that is refused by its words; words can be hidden, so DuckDB is asked whether it is still
 * the same transaction. */
static enum status explain_within(struct engine_result *result, const struct engine_query *query,
                                  struct error *error) {
  static const char which[] = "SELECT txid_current()::BIGINT";
  static const char why[] = "a transaction is not ended by SQL, and not by EXPLAIN ANALYZE";
  struct engine_session *session = result->session;
  const char *sql = query->sql;
  int64_t before = 0, after = 0;
  if (guard_says(sql, "commit") || guard_says(sql, "rollback") || guard_says(sql, "abort") ||
      (guard_says(sql, "end") && !guard_says(sql, "case")))
    return error_set(error, STATUS_DENIED, "%s", why);
  if (!query->read_only) writers_join(session);
  enum status status = session_numbers(session, which, &before, 1, error);
  if (status != STATUS_OK) return status;
  status = session_execute(session, result->statement, &result->duck, error);
  if (status != STATUS_OK) return status;
  status = session_numbers(session, which, &after, 1, error);
  if (status != STATUS_OK || before == after) return status;
  session->ended_by_sql = true;
  return error_set(error, STATUS_DENIED, "%s; this one is ended", why);
}

/* The statement whose answer is read. */
enum status query_execute(struct engine_result *result, const struct engine_query *query,
                          const struct query_values *values, struct error *error) {
  struct engine_session *session = result->session;
  const struct duckdb_api *duckdb = session->duckdb;
  enum status status = STATUS_OK;
  duckdb_statement_type type = duckdb->prepared_statement_type(result->statement);
  /* EXPLAIN ANALYZE takes BEGIN and COMMIT, too: inside a transaction of ours the one
   * fails, and the other makes ours fail. */
  bool changes = type == DUCKDB_STATEMENT_TYPE_INSERT || type == DUCKDB_STATEMENT_TYPE_UPDATE ||
                 type == DUCKDB_STATEMENT_TYPE_DELETE || type == DUCKDB_STATEMENT_TYPE_MERGE_INTO;
  status = query_before(type, query, error);
  if (status == STATUS_OK &&
      (type == DUCKDB_STATEMENT_TYPE_EXPLAIN || (changes && query->revocable)) &&
      !session->in_transaction && !result->own_transaction)
    status = query_begin(result, query->read_only, error);
  if (status == STATUS_OK && query_is_restricted(query))
    status = tables_check(session, query, values, error);
  if (status != STATUS_OK) return status;
  result->has_duck = true;
  if (type == DUCKDB_STATEMENT_TYPE_EXPLAIN && session->in_transaction)
    return explain_within(result, query, error);
  if (type != DUCKDB_STATEMENT_TYPE_SELECT) {
    if (!query->read_only) writers_enter(session);
    status = session_execute(session, result->statement, &result->duck, error);
    if (status == STATUS_OK) result->changed_rows = (int64_t)duckdb->rows_changed(&result->duck);
    bool commits = type != DUCKDB_STATEMENT_TYPE_CALL && type != DUCKDB_STATEMENT_TYPE_EXPLAIN &&
                   !session->in_transaction && !result->own_transaction;
    return status != STATUS_OK && commits ? failure_of_commit(status, error) : status;
  }
  result->streaming = true;
  duckdb_pending_result pending = NULL;
  if (duckdb->pending_prepared_streaming(result->statement, &pending) != DuckDBSuccess)
    status = failure_set(session, error, duckdb->pending_error(pending));
  else if (atomic_load(&session->interrupt) != STATUS_OK)
    status = failure_set(session, error, NULL);
  else
    status = session_finish(session, pending, &result->duck, session, error);
  duckdb->destroy_pending(&pending);
  return status;
}

/* ---- statements that must be alone ------------------------------------------------------- */

/* `word`, white space, and then `next` (a letter matches in any case). */
static bool has_words(const char *sql, const char *word, const char *next) {
  for (const char *at = sql; (at = strcasestr(at, word)) != NULL; at++) {
    const char *behind = at + strlen(word);
    behind += strspn(behind, " \t\r\n");
    if (strncasecmp(behind, next, strlen(next)) == 0) return true;
  }
  return false;
}

/* What the one statement in `sql` is; INVALID where that cannot be told, which running it will say. To
 * prepare a statement uses it up, so it is read for this alone. */
static duckdb_statement_type type_of_one(struct engine_session *session, const char *sql) {
  const struct duckdb_api *duckdb = session->duckdb;
  duckdb_extracted_statements statements = NULL;
  duckdb_prepared_statement statement = NULL;
  duckdb_statement_type type = DUCKDB_STATEMENT_TYPE_INVALID;
  if (duckdb->extract_statements(session->connection, sql, &statements) == 1 &&
      duckdb->prepare_extracted_statement(session->connection, statements, 0, &statement) ==
          DuckDBSuccess)
    type = duckdb->prepared_statement_type(statement);
  duckdb->destroy_prepare(&statement);
  duckdb->destroy_extracted(&statements);
  return type;
}

enum status query_make_room(struct engine_session *session, const struct engine_query *query,
                            duckdb_statement_type type, bool several, struct error *error) {
  bool alters = strcasestr(query->sql, "alter") != NULL;
  bool checkpoints = strcasestr(query->sql, "checkpoint") != NULL;
  if (query->read_only || query->data_only || query->own || (!alters && !checkpoints))
    return STATUS_OK;
  if (!several) {
    /* The words alone say little; of one statement DuckDB says what it is. */
    if (type == DUCKDB_STATEMENT_TYPE_INVALID) type = type_of_one(session, query->sql);
    alters = type == DUCKDB_STATEMENT_TYPE_ALTER;
    checkpoints = checkpoints &&
                  (type == DUCKDB_STATEMENT_TYPE_CALL || has_words(query->sql, "checkpoint", "("));
  } else {
    alters = has_words(query->sql, "alter", "table");
  }
  if (alters && query->before_alter != NULL) {
    enum status status = query->before_alter(query->alter_context, error);
    if (status != STATUS_OK) return status;
  }
  if (!checkpoints) return STATUS_OK;
  if (session->in_transaction)
    return error_set(error, STATUS_INVALID,
                     "a checkpoint is made outside of transactions: commit or roll back first");
  session->keeps_out = writers_keep_out(session->engine, KEEP_OUT_MS);
  if (session->keeps_out) return STATUS_OK;
  enum status status =
      error_set(error, STATUS_CONFLICT, "others write, and a checkpoint waits for them: try again");
  if (error != NULL) error->retry_after_ms = 1000;
  return status;
}

enum status query_check_text(struct engine_session *session, const struct engine_query *query,
                             bool *changes_lake, struct error *error) {
  *changes_lake = false;
  if (query->own) return STATUS_OK;
  enum status status = guard_check(session->engine, query->sql, error);
  return status == STATUS_OK ? lake_guard(session, query, changes_lake, error) : status;
}

static enum status run_all(struct engine_result *result, const struct engine_query *query,
                           struct error *error) {
  struct engine_session *session = result->session;
  const struct duckdb_api *duckdb = session->duckdb;
  duckdb_extracted_statements statements = NULL;
  bool changes_lake = false; /* a SELECT may, by a function */
  enum status status = query_check_text(session, query, &changes_lake, error);
  session->any_lake = changes_lake || (session->any_lake && session->in_transaction);
  if (status != STATUS_OK) return status;
  idx_t count = duckdb->extract_statements(session->connection, query->sql, &statements);
  if (count == 0) {
    status = no_statement(session, statements, error);
    goto done;
  }
  if (count > 1 && query->parameter_count > 0) {
    status = error_set(error, STATUS_INVALID,
                       "parameters go with one statement, but there are %llu of them",
                       (unsigned long long)count);
    goto done;
  }
  if (count > 1 && query_is_restricted(query)) {
    status = error_set(error, STATUS_DENIED,
                       "one statement at a time for those who may see only some tables (a PIVOT "
                       "without IN (...) is two)");
    goto done;
  }
  /* A statement on a lake is prepared in the transaction that runs it (insert.c says why). */
  bool lakes = session->engine->lake_count > 0;
  status = query_make_room(session, query, DUCKDB_STATEMENT_TYPE_INVALID, count > 1, error);
  if (status != STATUS_OK) goto done;
  if ((count > 1 || query->read_only || lakes || query_is_restricted(query)) &&
      !session->in_transaction)
    status = query_begin(result, query->read_only, error);
  for (idx_t i = 0; i + 1 < count && status == STATUS_OK; i++) {
    status = run_aside(session, statements, i, query, error);
    if (status != STATUS_OK) error_at(error, "statement %llu", (unsigned long long)i + 1);
  }
  if (status == STATUS_OK)
    status = query_prepare(session, statements, count - 1, query, &result->statement, error);
  if (status == STATUS_OK) status = query_bind(duckdb, result->statement, query, NULL, error);
  if (status == STATUS_OK) status = query_execute(result, query, NULL, error);

done:
  duckdb->destroy_extracted(&statements);
  return status;
}

enum status query_result_new(struct engine_session *session, const struct engine_query *query,
                             struct engine_result **out, struct error *error) {
  *out = NULL;
  if (session->open != NULL)
    return error_set(error, STATUS_INTERNAL, "the session's last result is still open");
  if (query->within && !session->in_transaction)
    return error_set(error, STATUS_INTERNAL, "the session has no transaction to run this in");
  if (session->in_transaction && session->ended_by_sql)
    return error_set(error, STATUS_INVALID, "the transaction has ended: roll it back");
  struct engine_result *result = calloc(1, sizeof *result);
  if (result == NULL) return error_set(error, STATUS_NOMEM, "no memory for a result");
  result->session = session;
  result->batch_rows = query->batch_rows > 0 ? query->batch_rows : BATCH_ROWS_DEFAULT;
  result->batch_bytes = query->batch_bytes > 0 ? query->batch_bytes : BATCH_BYTES_DEFAULT;
  session->open = result;
  session_enter(session);
  *out = result;
  return STATUS_OK;
}

enum status query_answer(struct engine_result *result, const struct engine_query *query,
                         struct error *error) {
  enum status status = collector_new(result->session->duckdb, &result->duck, query->budget,
                                     &result->collector, error);
  /* Nothing to draw: the statement's effects are there when we return. */
  return status == STATUS_OK && !engine_result_has_rows(result) ? query_finish(result, error)
                                                                : status;
}

enum status query_failed(const struct engine_session *session, const struct engine_query *query,
                         enum status status, struct error *error) {
  /* A BEGIN that was interrupted does not know why. */
  int reason = atomic_load(&session->interrupt);
  if (status == STATUS_INVALID && reason != STATUS_OK)
    return failure_set_reason((enum status)reason, error);
  return error == NULL ? status : failure_conceal(error, query->sql, query_is_restricted(query));
}

enum status engine_query(struct engine_session *session, const struct engine_query *query,
                         struct engine_result **out, struct error *error) {
  struct engine_result *result = NULL;
  *out = NULL;
  enum status status = query_result_new(session, query, &result, error);
  if (status != STATUS_OK) return status;
  assert(result != NULL);
  status = run_all(result, query, error);
  if (status == STATUS_OK) status = query_answer(result, query, error);
  if (status != STATUS_OK) {
    status = query_failed(session, query, status, error);
    engine_result_close(result);
    result = NULL;
  }
  *out = result;
  return status;
}
