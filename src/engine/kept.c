/* Results that are kept, so that several readers draw parts of them.
 *
 * Each is a table in an in-memory database of its own beside that of the engine, attached when the
 * first is kept. So it counts towards DuckDB's memory limit and is spilled to disk beyond it (a
 * database in memory spills nothing, and says then that memory is out). The query runs on the caller's
 * session, with all that engine_query checks and in whatever transaction is there; its chunks become
 * the table by a table function of ours, on a session of our own, whose transaction has nothing to do
 * with the caller's: DuckDB writes to one database in a transaction, and to none in one that reads.
 *
 *   session:  SELECT ... --chunks, as they come--> arrowport_answer(handle)
 *   store:    CREATE TABLE arrowport_kept.main.r7 AS SELECT * FROM arrowport_answer(handle)
 *
 * The function runs on one thread, and DuckDB keeps the order of what such a function gives: row n of
 * the answer is row n of the table, and parts are asked for by rowid, which skips row groups.
 *
 * Who may see it. No statement from outside may say the catalog's name (guard.c), and for callers who
 * may touch only some tables the plan would tell (tables.c). Who may see every table can put the name
 * together in text, query_table('arrowport' || '_kept.main.r7'), and read what others have kept. A
 * kept result is as good as a temporary table of another client is to him.
 *
 * The table is dropped when the result is closed. When the database had to be opened anew meanwhile it
 * is gone: its readers hear that it expired. */
#include "engine/kept.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/query.h"

#define FUNCTION_NAME "arrowport_answer"

struct engine_kept {
  struct engine *engine;
  int64_t generation; /* of the engine's database that has the table */
  int64_t handle;     /* its number, which is in its name */
  int64_t rows;
  struct ArrowSchema schema;
};

/* An answer that becomes a table. */
struct keeping {
  struct keeping *next; /* in engine->keepings */
  struct engine_result *result;
  int64_t handle;
  idx_t connection; /* of the store */
  idx_t columns;
  int64_t rows;       /* so far */
  enum status status; /* of drawing it */
  struct error error;
};

/* ---- the table function ------------------------------------------------------------------- */

static const struct duckdb_api *callback_api(void) {
  const struct duckdb_api *duckdb = NULL;
  struct error ignored;
  enum status status = library_load(&duckdb, &ignored); /* it is loaded: we are called by it */
  return status == STATUS_OK ? duckdb : NULL;
}

static struct keeping *keeping_find(struct engine *engine, int64_t handle, idx_t connection) {
  pthread_mutex_lock(&engine->lock);
  struct keeping *keeping = engine->keepings;
  while (keeping != NULL && (keeping->handle != handle || keeping->connection != connection))
    keeping = keeping->next;
  pthread_mutex_unlock(&engine->lock);
  return keeping;
}

static void answer_bind(duckdb_bind_info info) {
  const struct duckdb_api *duckdb = callback_api();
  struct engine *engine = duckdb->bind_get_extra_info(info);
  duckdb_client_context context = NULL;
  duckdb->table_function_get_client_context(info, &context);
  idx_t connection = duckdb->client_context_get_connection_id(context);
  duckdb->destroy_client_context(&context);
  duckdb_value argument = duckdb->bind_get_parameter(info, 0);
  struct keeping *keeping = keeping_find(engine, duckdb->get_int64(argument), connection);
  duckdb->destroy_value(&argument);
  if (keeping == NULL) {
    duckdb->bind_set_error(info, FUNCTION_NAME " is for the server's own use");
    return;
  }
  for (idx_t i = 0; i < keeping->columns; i++) {
    duckdb_logical_type type = duckdb->column_logical_type(&keeping->result->duck, i);
    char number[24]; /* an answer may have two columns of one name */
    snprintf(number, sizeof number, "c%llu", (unsigned long long)i);
    duckdb->bind_add_result_column(info, number, type);
    duckdb->destroy_logical_type(&type);
  }
  duckdb->bind_set_bind_data(info, keeping, NULL);
}

static void answer_init(duckdb_init_info info) { callback_api()->init_set_max_threads(info, 1); }

/* The next chunk, without copying: its vectors are shared. No rows: the end. */
static void answer_next(duckdb_function_info info, duckdb_data_chunk out) {
  const struct duckdb_api *duckdb = callback_api();
  struct keeping *keeping = duckdb->function_get_bind_data(info);
  duckdb_data_chunk chunk = NULL;
  idx_t rows = 0;
  do {
    if (chunk != NULL) duckdb->destroy_data_chunk(&chunk);
    keeping->status = query_fetch(keeping->result, &chunk, &keeping->error);
    if (keeping->status != STATUS_OK) {
      duckdb->function_set_error(info, keeping->error.text);
      return;
    }
    if (chunk != NULL) rows = duckdb->data_chunk_get_size(chunk);
  } while (chunk != NULL && rows == 0);
  for (idx_t i = 0; i < keeping->columns && rows > 0; i++)
    duckdb->vector_reference_vector(duckdb->data_chunk_get_vector(out, i),
                                    duckdb->data_chunk_get_vector(chunk, i));
  duckdb->data_chunk_set_size(out, rows);
  keeping->rows += (int64_t)rows;
  if (chunk != NULL) duckdb->destroy_data_chunk(&chunk);
}

enum status kept_register(struct engine *engine, struct error *error) {
  const struct duckdb_api *duckdb = engine->duckdb;
  duckdb_table_function function = duckdb->create_table_function();
  duckdb_logical_type handle = duckdb->create_logical_type(DUCKDB_TYPE_BIGINT);
  duckdb->table_function_set_name(function, FUNCTION_NAME);
  duckdb->table_function_add_parameter(function, handle);
  duckdb->table_function_set_extra_info(function, engine, NULL);
  duckdb->table_function_set_bind(function, answer_bind);
  duckdb->table_function_set_init(function, answer_init);
  duckdb->table_function_set_function(function, answer_next);
  duckdb_state state = duckdb->register_table_function(engine->control, function);
  duckdb->destroy_logical_type(&handle);
  duckdb->destroy_table_function(&function);
  if (state == DuckDBSuccess) return STATUS_OK;
  return error_set(error, STATUS_INTERNAL, "DuckDB did not take the function that keeps answers");
}

/* ---- keeping -------------------------------------------------------------------------------- */

static void enlist(struct engine *engine, struct keeping *keeping) {
  pthread_mutex_lock(&engine->lock);
  keeping->handle = ++engine->insert_last;
  keeping->next = engine->keepings;
  engine->keepings = keeping;
  pthread_mutex_unlock(&engine->lock);
}

static void delist(struct engine *engine, struct keeping *keeping) {
  pthread_mutex_lock(&engine->lock);
  struct keeping **at = &engine->keepings;
  while (*at != NULL && *at != keeping) at = &(*at)->next;
  if (*at == keeping) *at = keeping->next;
  pthread_mutex_unlock(&engine->lock);
}

/* Two at once would both attach it. */
static enum status attach(struct engine_session *store, struct error *error) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&lock);
  enum status status =
      session_run(store, "ATTACH IF NOT EXISTS ':memory:' AS " KEPT_CATALOG " (READ_WRITE)", error);
  pthread_mutex_unlock(&lock);
  return status;
}

static enum status fill(struct engine_session *store, struct keeping *keeping,
                        struct engine_kept *kept, struct error *error) {
  const struct duckdb_api *duckdb = store->duckdb;
  struct text sql = TEXT_EMPTY;
  duckdb_prepared_statement statement = NULL;
  duckdb_result result = {0};
  enum status status =
      text_add_format(&sql, error,
                      "CREATE TABLE " KEPT_CATALOG
                      ".main.r%lld AS SELECT * FROM system.main." FUNCTION_NAME "(%lld)",
                      (long long)keeping->handle, (long long)keeping->handle);
  if (status != STATUS_OK) return status;
  if (duckdb->prepare(store->connection, text_get(&sql), &statement) != DuckDBSuccess)
    status = failure_set(NULL, error, duckdb->prepare_error(statement));
  if (status == STATUS_OK) status = session_execute(store, statement, &result, error);
  if (status == STATUS_OK) kept->rows = keeping->rows;
  if (status != STATUS_OK &&
      keeping->status != STATUS_OK) { /* the query's failure, as it said it */
    status = keeping->status;
    if (error != NULL) *error = keeping->error;
  }
  duckdb->destroy_result(&result);
  duckdb->destroy_prepare(&statement);
  text_release(&sql);
  return status;
}

/* Draws the whole answer into a table. */
static enum status keep(struct engine_kept *kept, struct engine_result *result,
                        struct error *error) {
  struct engine *engine = kept->engine;
  struct engine_session *store = NULL;
  struct keeping keeping = {.result = result,
                            .columns = engine->duckdb->column_count(&result->duck)};
  kept->generation = engine_generation(engine);
  enum status status = arrow_schema_copy(engine_result_schema(result), &kept->schema, error);
  if (status == STATUS_OK) status = engine_session_open(engine, &store, error);
  if (status != STATUS_OK) return status;
  keeping.connection = store->connection_id;
  enlist(engine, &keeping);
  kept->handle = keeping.handle;
  status = attach(store, error);
  if (status == STATUS_OK) status = fill(store, &keeping, kept, error);
  delist(engine, &keeping);
  engine_session_close(store);
  return status == STATUS_OK ? query_finish(result, error) : status;
}

enum status engine_keep(struct engine_session *session, const struct engine_query *query,
                        struct engine_kept **out, struct error *error) {
  struct engine_query reading = *query;
  struct engine_result *result = NULL;
  struct engine_kept *kept = calloc(1, sizeof *kept);
  *out = NULL;
  if (kept == NULL) return error_set(error, STATUS_NOMEM, "no memory for a result");
  kept->engine = session->engine;
  reading.read_only = true;
  enum status status = engine_query(session, &reading, &result, error);
  if (status == STATUS_OK && !engine_result_has_rows(result))
    status = error_set(error, STATUS_INVALID, "the statement answers with no rows to keep");
  if (status == STATUS_OK) {
    status = keep(kept, result, error);
    if (status != STATUS_OK) status = query_failed(session, query, status, error);
  }
  engine_result_close(result);
  if (status != STATUS_OK) {
    arrow_schema_release(&kept->schema);
    free(kept);
    kept = NULL;
  }
  *out = kept;
  return status;
}

/* ---- reading ----------------------------------------------------------------------------------- */

int64_t engine_kept_rows(const struct engine_kept *kept) { return kept->rows; }

const struct ArrowSchema *engine_kept_schema(const struct engine_kept *kept) {
  return &kept->schema;
}

static enum status part_sql(const struct engine_kept *kept, int64_t offset, int64_t rows,
                            struct text *sql, struct error *error) {
  enum status status = text_add(sql, "SELECT ", error);
  for (int64_t i = 0; i < kept->schema.n_children && status == STATUS_OK; i++) {
    status = text_add_format(sql, error, "%sc%lld AS ", i == 0 ? "" : ", ", (long long)i);
    if (status == STATUS_OK)
      status = text_add_identifier(sql, kept->schema.children[i]->name, error);
  }
  if (status != STATUS_OK) return status;
  return text_add_format(sql, error,
                         " FROM " KEPT_CATALOG ".main.r%lld WHERE rowid >= %lld AND rowid < %lld",
                         (long long)kept->handle, (long long)offset, (long long)(offset + rows));
}

enum status engine_kept_read(struct engine_session *session, const struct engine_kept *kept,
                             int64_t offset, int64_t rows, const struct engine_query *query,
                             struct engine_result **result, struct error *error) {
  struct text sql = TEXT_EMPTY;
  *result = NULL;
  assert(session->engine == kept->engine);
  if (offset < 0 || rows < 0 || offset > kept->rows)
    return error_set(error, STATUS_INVALID,
                     "rows %lld and on are not among the %lld that were kept", (long long)offset,
                     (long long)kept->rows);
  if (engine_generation(kept->engine) != kept->generation)
    return error_set(error, STATUS_NOT_FOUND,
                     "the result was lost when the database was opened anew: ask again");
  if (rows > kept->rows - offset) rows = kept->rows - offset;
  enum status status = part_sql(kept, offset, rows, &sql, error);
  if (status == STATUS_OK) {
    struct engine_query part = {.sql = text_get(&sql), .own = true, .read_only = true};
    if (query != NULL) {
      part.batch_rows = query->batch_rows;
      part.batch_bytes = query->batch_bytes;
      part.budget = query->budget;
    }
    status = engine_query(session, &part, result, error);
  }
  text_release(&sql);
  return status;
}

void engine_kept_close(struct engine_kept *kept) {
  if (kept == NULL) return;
  struct engine_session *store = NULL;
  struct error error = {.status = STATUS_OK};
  if (engine_generation(kept->engine) == kept->generation) {
    char sql[96];
    snprintf(sql, sizeof sql, "DROP TABLE IF EXISTS " KEPT_CATALOG ".main.r%lld",
             (long long)kept->handle);
    enum status status = engine_session_open(kept->engine, &store, &error);
    /* Another database by now does not have it. */
    if (status == STATUS_OK && engine_generation(kept->engine) == kept->generation)
      status = session_run(store, sql, &error);
    if (status != STATUS_OK) log_warning("engine", "dropping a kept result: %s", error.text);
    engine_session_close(store);
  }
  arrow_schema_release(&kept->schema);
  free(kept);
}
