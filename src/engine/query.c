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
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/collect.h"
#include "engine/lake.h"
#include "engine/private.h"
#include "engine/tables.h"

enum {
  BATCH_ROWS_DEFAULT = ROW_GROUP_ROWS,
  BATCH_BYTES_DEFAULT = 64 << 20,
  KEEP_OUT_MS = 4000 /* that a CHECKPOINT waits for writers */
};

struct engine_result {
  struct engine_session *session;
  duckdb_prepared_statement statement;
  duckdb_result duck;
  bool has_duck;
  bool own_transaction; /* begun here, to be ended here */
  bool streaming;       /* drawn as DuckDB makes it */
  bool drained;         /* the last chunk was drawn */
  bool ended;           /* and what it did is committed */
  struct collector *collector;
  int64_t batch_rows, batch_bytes;
  int64_t changed_rows;
  duckdb_data_chunk chunk; /* drawn, and gathered up to `chunk_row` */
  int64_t chunk_row;
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

/* True when not every table is the caller's to read, or to write. */
static bool is_restricted(const struct engine_query *query) {
  return query->may_read != NULL || query->may_write != NULL;
}

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
  if (rule->permission == DEFINES && (query->data_only || is_restricted(query)))
    return error_set(error, STATUS_DENIED,
                     "%s needs the scope admin for every table (a load makes its own table)", name);
  if (is_restricted(query) && type == DUCKDB_STATEMENT_TYPE_EXPLAIN)
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

enum status query_bind(const struct duckdb_api *duckdb, duckdb_prepared_statement statement,
                       const struct engine_query *query, struct error *error) {
  idx_t wanted = duckdb->nparams(statement);
  if (wanted != query->parameter_count)
    return error_set(error, STATUS_INVALID, "the statement has %llu parameters, but %zu were given",
                     (unsigned long long)wanted, query->parameter_count);
  enum status status = STATUS_OK;
  for (idx_t i = 0; i < wanted && status == STATUS_OK; i++)
    status = bind_value(duckdb, statement, i + 1, &query->parameters[i], error);
  return status;
}

/* Prepares one of the statements and checks that it may run. */
static enum status prepare(struct engine_session *session, duckdb_extracted_statements statements,
                           idx_t index, const struct engine_query *query,
                           duckdb_prepared_statement *statement, struct error *error) {
  const struct duckdb_api *duckdb = session->duckdb;
  if (duckdb->prepare_extracted_statement(session->connection, statements, index, statement) !=
      DuckDBSuccess)
    return failure_set(session, error, duckdb->prepare_error(*statement));
  duckdb_statement_type type = duckdb->prepared_statement_type(*statement);
  enum status status = check_statement(type, query, error);
  /* What may have written to a lake is committed by lake_commit. */
  if (session->engine->lake_count > 0 && type != DUCKDB_STATEMENT_TYPE_SELECT)
    session->any_lake = true;
  if (status == STATUS_OK) status = query_bind(duckdb, *statement, query, error);
  return status;
}

/* A statement whose answer nobody reads. */
static enum status run_aside(struct engine_session *session, duckdb_extracted_statements statements,
                             idx_t index, const struct engine_query *query, struct error *error) {
  duckdb_prepared_statement statement = NULL;
  duckdb_result result = {0};
  enum status status = prepare(session, statements, index, query, &statement, error);
  if (status == STATUS_OK) status = session_execute(session, statement, &result, error);
  session->duckdb->destroy_result(&result);
  session->duckdb->destroy_prepare(&statement);
  return status;
}

static enum status begin(struct engine_result *result, bool read_only, struct error *error) {
  if (!read_only) writers_enter(result->session);
  enum status status = session_run(
      result->session, read_only ? "BEGIN TRANSACTION READ ONLY" : "BEGIN TRANSACTION", error);
  result->own_transaction = status == STATUS_OK;
  return status;
}

/* The statement whose answer is read. */
static enum status run_last(struct engine_result *result, duckdb_extracted_statements statements,
                            idx_t index, const struct engine_query *query, struct error *error) {
  struct engine_session *session = result->session;
  const struct duckdb_api *duckdb = session->duckdb;
  enum status status = prepare(session, statements, index, query, &result->statement, error);
  if (status != STATUS_OK) return status;
  duckdb_statement_type type = duckdb->prepared_statement_type(result->statement);
  /* EXPLAIN ANALYZE takes BEGIN and COMMIT, too: inside a transaction of ours the one
   * fails, and the other makes ours fail. */
  bool changes = type == DUCKDB_STATEMENT_TYPE_INSERT || type == DUCKDB_STATEMENT_TYPE_UPDATE ||
                 type == DUCKDB_STATEMENT_TYPE_DELETE || type == DUCKDB_STATEMENT_TYPE_MERGE_INTO;
  if ((type == DUCKDB_STATEMENT_TYPE_EXPLAIN || (changes && query->revocable)) &&
      !session->in_transaction && !result->own_transaction)
    status = begin(result, query->read_only, error);
  if (status == STATUS_OK && is_restricted(query)) status = tables_check(session, query, error);
  if (status != STATUS_OK) return status;
  result->has_duck = true;
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

/* Before a transaction begins: loads and writers are kept away from what must not go beside them. The
 * words alone say little; of one statement DuckDB says what it is. */
static enum status make_room(struct engine_session *session, idx_t count,
                             const struct engine_query *query, struct error *error) {
  bool alters = strcasestr(query->sql, "alter") != NULL;
  bool checkpoints = strcasestr(query->sql, "checkpoint") != NULL;
  if (query->read_only || query->data_only || query->own || (!alters && !checkpoints))
    return STATUS_OK;
  if (count == 1) {
    duckdb_statement_type type = type_of_one(session, query->sql);
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
  session->keeps_out = writers_keep_out(session->engine, KEEP_OUT_MS);
  if (session->keeps_out) return STATUS_OK;
  enum status status =
      error_set(error, STATUS_CONFLICT, "others write, and a checkpoint waits for them: try again");
  if (error != NULL) error->retry_after_ms = 1000;
  return status;
}

static enum status run_all(struct engine_result *result, const struct engine_query *query,
                           struct error *error) {
  struct engine_session *session = result->session;
  const struct duckdb_api *duckdb = session->duckdb;
  duckdb_extracted_statements statements = NULL;
  bool changes_lake = false; /* a SELECT may, by a function */
  enum status status = STATUS_OK;
  if (!query->own) status = guard_check(session->engine, query->sql, error);
  if (status == STATUS_OK && !query->own)
    status = lake_guard(session->engine, query, &changes_lake, error);
  session->any_lake = changes_lake;
  if (status != STATUS_OK) return status;
  idx_t count = duckdb->extract_statements(session->connection, query->sql, &statements);
  if (count == 0) {
    const char *message = statements == NULL ? NULL : duckdb->extract_statements_error(statements);
    status = message != NULL ? failure_set(session, error, message)
                             : error_set(error, STATUS_INVALID, "there is no statement to run");
    goto done;
  }
  if (count > 1 && query->parameter_count > 0) {
    status = error_set(error, STATUS_INVALID,
                       "parameters go with one statement, but there are %llu of them",
                       (unsigned long long)count);
    goto done;
  }
  if (count > 1 && is_restricted(query)) {
    status = error_set(error, STATUS_DENIED,
                       "one statement at a time for those who may see only some tables (a PIVOT "
                       "without IN (...) is two)");
    goto done;
  }
  /* A statement on a lake is prepared in the transaction that runs it (insert.c says why). */
  bool lakes = session->engine->lake_count > 0;
  status = make_room(session, count, query, error);
  if (status != STATUS_OK) goto done;
  if ((count > 1 || query->read_only || lakes || is_restricted(query)) && !session->in_transaction)
    status = begin(result, query->read_only, error);
  for (idx_t i = 0; i + 1 < count && status == STATUS_OK; i++) {
    status = run_aside(session, statements, i, query, error);
    if (status != STATUS_OK) error_at(error, "statement %llu", (unsigned long long)i + 1);
  }
  if (status == STATUS_OK) status = run_last(result, statements, count - 1, query, error);

done:
  duckdb->destroy_extracted(&statements);
  return status;
}

/* Ends the transaction that was begun here. */
static enum status finish(struct engine_result *result, struct error *error) {
  enum status status = STATUS_OK;
  result->ended = true;
  if (result->own_transaction) status = session_commit(result->session, error);
  result->own_transaction = false;
  if (!result->session->in_transaction) writers_leave(result->session);
  return status;
}

enum status engine_query(struct engine_session *session, const struct engine_query *query,
                         struct engine_result **out, struct error *error) {
  *out = NULL;
  if (session->open != NULL)
    return error_set(error, STATUS_INTERNAL, "the session's last result is still open");
  struct engine_result *result = calloc(1, sizeof *result);
  if (result == NULL) return error_set(error, STATUS_NOMEM, "no memory for a result");
  result->session = session;
  result->batch_rows = query->batch_rows > 0 ? query->batch_rows : BATCH_ROWS_DEFAULT;
  result->batch_bytes = query->batch_bytes > 0 ? query->batch_bytes : BATCH_BYTES_DEFAULT;
  session->open = result;
  session_enter(session);
  enum status status = run_all(result, query, error);
  if (status == STATUS_OK)
    status =
        collector_new(session->duckdb, &result->duck, query->budget, &result->collector, error);
  /* Nothing to draw: the statement's effects are there when we return. */
  if (status == STATUS_OK && !engine_result_has_rows(result)) status = finish(result, error);
  if (status != STATUS_OK) {
    if (error != NULL) status = failure_conceal(error, query->sql, is_restricted(query));
    engine_result_close(result);
    result = NULL;
  }
  *out = result;
  return status;
}

/* ---- drawing -------------------------------------------------------------------------------- */

const struct ArrowSchema *engine_result_schema(const struct engine_result *result) {
  return collector_schema(result->collector);
}

bool engine_result_has_rows(const struct engine_result *result) {
  return result->session->duckdb->result_return_type(result->duck) ==
         DUCKDB_RESULT_TYPE_QUERY_RESULT;
}

int64_t engine_result_changed_rows(const struct engine_result *result) {
  return result->changed_rows;
}

/* Sees to it that there is a chunk with rows not yet gathered; `*more` false: the end. */
static enum status draw(struct engine_result *result, bool *more, struct error *error) {
  struct engine_session *session = result->session;
  const struct duckdb_api *duckdb = session->duckdb;
  *more = true;
  if (result->chunk != NULL) {
    if (result->chunk_row < (int64_t)duckdb->data_chunk_get_size(result->chunk)) return STATUS_OK;
    duckdb->destroy_data_chunk(&result->chunk);
    result->chunk = NULL;
  }
  if (atomic_load(&session->interrupt) != STATUS_OK) return failure_set(session, error, NULL);
  result->chunk = duckdb->fetch_chunk(result->duck);
  result->chunk_row = 0;
  if (result->chunk != NULL) return STATUS_OK;
  const char *message = duckdb->result_error(&result->duck);
  if (message != NULL && message[0] != '\0') return failure_set(session, error, message);
  *more = false;
  result->drained = true;
  return STATUS_OK;
}

/* Gathers the rest of the chunk, or half of it where a batch holds no more; `*full`
 * when the rows so far must go first. */
static enum status gather(struct engine_result *result, bool *full, struct error *error) {
  int64_t size = (int64_t)result->session->duckdb->data_chunk_get_size(result->chunk);
  int64_t rows = size - result->chunk_row;
  for (;;) {
    enum status status =
        collector_append(result->collector, result->chunk, result->chunk_row, rows, error);
    if (status == STATUS_OK) break;
    if (status != STATUS_TOO_LARGE && status != STATUS_BUDGET) return status;
    *full = collector_rows(result->collector) > 0;
    if (*full) return STATUS_OK;
    if (rows == 1) return status;
    rows /= 2;
  }
  result->chunk_row += rows;
  return STATUS_OK;
}

static enum status next(struct engine_result *result, struct ArrowArray *batch,
                        struct error *error) {
  *batch = (struct ArrowArray){0};
  bool more = !result->drained, full = false;
  while (more && !full) {
    enum status status = draw(result, &more, error);
    if (status == STATUS_OK && more) status = gather(result, &full, error);
    if (status != STATUS_OK) return status;
    if (collector_rows(result->collector) >= result->batch_rows ||
        collector_bytes(result->collector) >= result->batch_bytes)
      full = true;
  }
  if (collector_rows(result->collector) > 0)
    return collector_finish(result->collector, batch, error);
  return result->ended ? STATUS_OK : finish(result, error);
}

enum status engine_result_next(struct engine_result *result, struct ArrowArray *batch,
                               struct error *error) {
  enum status status = next(result, batch, error);
  if (status != STATUS_OK && error != NULL) status = failure_conceal(error, "", false);
  return status;
}

void engine_result_close(struct engine_result *result) {
  if (result == NULL) return;
  struct engine_session *session = result->session;
  const struct duckdb_api *duckdb = session->duckdb;
  if (result->chunk != NULL) duckdb->destroy_data_chunk(&result->chunk);
  if (result->has_duck) duckdb->destroy_result(&result->duck);
  duckdb->destroy_prepare(&result->statement);
  /* A statement that was not drawn to its end runs on until the next one begins:
   * ROLLBACK stops it, and ends the transaction that it may have. */
  if (!result->ended && !session->in_transaction &&
      (result->own_transaction || result->streaming)) {
    struct error ignored;
    if (session_run(session, "ROLLBACK", &ignored) != STATUS_OK)
      log_debug("engine", "closing a result: %s", ignored.text);
  }
  collector_free(result->collector);
  session->open = NULL;
  if (!session->in_transaction) writers_leave(session);
  if (session->keeps_out) writers_let_in(session->engine);
  session->keeps_out = false;
  session_leave(session);
  free(result);
}
