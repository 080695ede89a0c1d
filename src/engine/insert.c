/* Rows of Arrow batches into a table: INSERT INTO t (...) SELECT * FROM f(handle),
 * where f is a table function of ours.
 *
 * f is registered once a database. Its argument is the number of an open insert; it
 * binds only for the connection that the insert belongs to, so a number that is
 * guessed in SQL from outside opens nothing. It is named in full
 * (system.main.arrowport_rows), so no macro of that name comes before it.
 *
 * A statement's rows are claimed in runs of a row group by the threads that DuckDB
 * gives it: each thread so writes whole row groups of neighbouring rows, and the
 * order of rows inside a run is kept. Chunks are filled across batches, so that many
 * small batches cost little more than one. Only the columns that a statement asks for
 * are filled.
 *
 * Rows can also be shown to statements of somebody else's (insert_show): each of them
 * may scan the function once. */
#include "engine/insert.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/catalog.h"
#include "engine/lake.h"
#include "engine/types.h"

#define FUNCTION_NAME "arrowport_rows"

struct engine_insert {
  struct engine_session *session;
  int64_t handle;
  struct engine_insert *next; /* in engine->inserts */
  struct ArrowSchema schema;  /* the landings point into it */
  struct landing *landings;
  int64_t column_count;
  int64_t operation;     /* the column that the table does not have; -1: none */
  bool numbered;         /* a last column says the row's number in the load */
  struct text table_sql; /* of an insert into a table */
  duckdb_prepared_statement statement;
  int64_t rows_before; /* of earlier statements: rows are counted through the load */
  /* of the statement that runs */
  const struct engine_slice *slices;
  int64_t slice_count;
  int64_t *wanted; /* the columns that it asks for, in the order of the chunk's vectors */
  int64_t wanted_count;
  int64_t *starts; /* slice i holds rows [starts[i], starts[i + 1]) */
  int64_t starts_capacity;
  int64_t total_rows;
  _Atomic int64_t claimed_rows;
  pthread_mutex_t lock; /* guards what follows */
  bool failed;
  struct error failure; /* the first */
};

/* What a thread has claimed and not yet given to DuckDB. */
struct claim {
  int64_t row, end;
  int64_t slice; /* that holds `row` */
};

/* ---- the table function --------------------------------------------------------------- */

static const struct duckdb_api *callback_api(void) {
  const struct duckdb_api *duckdb = NULL;
  struct error ignored;
  enum status status = library_load(&duckdb, &ignored); /* it is loaded: we are called by it */
  return status == STATUS_OK ? duckdb : NULL;
}

static struct engine_insert *insert_find(struct engine *engine, int64_t handle, idx_t connection) {
  pthread_mutex_lock(&engine->lock);
  struct engine_insert *insert = engine->inserts;
  while (insert != NULL &&
         (insert->handle != handle || insert->session->connection_id != connection))
    insert = insert->next;
  pthread_mutex_unlock(&engine->lock);
  return insert;
}

static void rows_bind(duckdb_bind_info info) {
  const struct duckdb_api *duckdb = callback_api();
  struct engine *engine = duckdb->bind_get_extra_info(info);
  duckdb_client_context context = NULL;
  duckdb->table_function_get_client_context(info, &context);
  idx_t connection = duckdb->client_context_get_connection_id(context);
  duckdb->destroy_client_context(&context);
  duckdb_value argument = duckdb->bind_get_parameter(info, 0);
  int64_t handle = duckdb->get_int64(argument);
  duckdb->destroy_value(&argument);
  struct engine_insert *insert = insert_find(engine, handle, connection);
  if (insert == NULL) {
    duckdb->bind_set_error(info, FUNCTION_NAME " is for the server's own use");
    return;
  }
  for (int64_t i = 0; i < insert->column_count; i++) {
    duckdb_logical_type type = landing_logical(&insert->landings[i]);
    char number[24]; /* a stage goes by numbers: no field's name gets in the way */
    snprintf(number, sizeof number, "c%lld", (long long)i);
    duckdb->bind_add_result_column(info, insert->numbered ? number : insert->landings[i].name,
                                   type);
    duckdb->destroy_logical_type(&type);
  }
  if (insert->numbered) {
    duckdb_logical_type type = duckdb->create_logical_type(DUCKDB_TYPE_BIGINT);
    duckdb->bind_add_result_column(info, "number", type);
    duckdb->destroy_logical_type(&type);
  }
  if (insert->slices != NULL) duckdb->bind_set_cardinality(info, (idx_t)insert->total_rows, true);
  duckdb->bind_set_bind_data(info, insert, NULL);
}

/* How many threads a statement is worth. In memory, one a row group. Into a file,
 * each thread's last row group is compressed and written under one lock: n row
 * groups on t threads take n/t steps side by side and t one after the other, which
 * is least for t = sqrt(n). */
static int64_t useful_threads(const struct engine_insert *insert) {
  int64_t runs = (insert->total_rows + ROW_GROUP_ROWS - 1) / ROW_GROUP_ROWS, threads = 1;
  if (insert->session->engine->in_memory) return runs < 1 ? 1 : runs;
  while ((threads + 1) * (threads + 1) <= runs) threads++;
  return threads;
}

static void rows_init(duckdb_init_info info) {
  const struct duckdb_api *duckdb = callback_api();
  struct engine_insert *insert = duckdb->init_get_bind_data(info);
  if (insert->slices == NULL) {
    duckdb->init_set_error(info, FUNCTION_NAME " is for the server's own use");
    return;
  }
  insert->wanted_count = 0;
  for (idx_t i = 0; i < duckdb->init_get_column_count(info); i++) {
    idx_t column = duckdb->init_get_column_index(info, i);
    if (i > (idx_t)insert->column_count) {
      duckdb->init_set_error(info, FUNCTION_NAME " gives each column once");
      return;
    }
    /* What is behind the last column stands for none, as for count(*). */
    insert->wanted[insert->wanted_count++] =
        column <= (idx_t)insert->column_count ? (int64_t)column : -1;
  }
  duckdb->init_set_max_threads(info, (idx_t)useful_threads(insert));
}

static void fail(struct engine_insert *insert, const struct error *error) {
  pthread_mutex_lock(&insert->lock);
  if (!insert->failed) insert->failure = *error;
  insert->failed = true;
  pthread_mutex_unlock(&insert->lock);
}

static void rows_local_init(duckdb_init_info info) {
  const struct duckdb_api *duckdb = callback_api();
  struct claim *claim = calloc(1, sizeof *claim);
  if (claim != NULL) {
    duckdb->init_set_init_data(info, claim, free);
    return;
  }
  struct error error;
  (void)error_set(&error, STATUS_NOMEM, "no memory for a thread of an insert");
  fail(duckdb->init_get_bind_data(info), &error);
  duckdb->init_set_error(info, error.text);
}

/* The slice that holds `row`. */
static int64_t slice_of(const struct engine_insert *insert, int64_t row) {
  int64_t low = 0, high = insert->slice_count;
  while (high - low > 1) {
    int64_t middle = low + (high - low) / 2;
    if (insert->starts[middle] <= row)
      low = middle;
    else
      high = middle;
  }
  return low;
}

static bool claim_more(struct engine_insert *insert, struct claim *claim) {
  if (claim->row < claim->end) return true;
  int64_t row = atomic_fetch_add(&insert->claimed_rows, ROW_GROUP_ROWS);
  if (row >= insert->total_rows) return false;
  int64_t left = insert->total_rows - row;
  claim->row = row;
  claim->end = row + (left < ROW_GROUP_ROWS ? left : ROW_GROUP_ROWS);
  claim->slice = slice_of(insert, row);
  return true;
}

/* `rows` rows of one slice, from its row `from` on, into every column that is wanted, at `at`. */
static enum status put_rows(const struct engine_insert *insert, const struct engine_slice *slice,
                            int64_t from, int64_t rows, duckdb_data_chunk chunk, int64_t at,
                            struct error *error) {
  const struct duckdb_api *duckdb = insert->session->duckdb;
  const struct ArrowArray *batch = arrow_shared_array(slice->batch);
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < insert->wanted_count && status == STATUS_OK; i++) {
    int64_t column = insert->wanted[i];
    if (column < 0 || column == insert->column_count) continue;
    status = landing_put(&insert->landings[column], batch->children[column],
                         batch->offset + slice->offset_rows + from, rows,
                         duckdb->data_chunk_get_vector(chunk, (idx_t)i), at, error);
  }
  return status;
}

/* A piece of a slice was refused: which row was it? Its rows are put one by one. */
static void name_row(struct engine_insert *insert, const struct claim *claim, int64_t rows,
                     duckdb_data_chunk chunk, struct error *error) {
  const struct engine_slice *slice = &insert->slices[claim->slice];
  int64_t from = claim->row - insert->starts[claim->slice];
  for (int64_t i = 0; i < rows; i++) {
    struct error found = {0};
    if (put_rows(insert, slice, from + i, 1, chunk, 0, &found) == STATUS_OK) continue;
    *error = found;
    error_at(error, "row %lld (the first is 0)", (long long)(insert->rows_before + claim->row + i));
    return;
  }
}

/* The numbers of `rows` rows from row `from` of the statement on. */
static void put_numbers(const struct engine_insert *insert, int64_t from, int64_t rows,
                        duckdb_data_chunk chunk, int64_t at) {
  const struct duckdb_api *duckdb = insert->session->duckdb;
  for (int64_t k = 0; k < insert->wanted_count; k++) {
    if (insert->wanted[k] != insert->column_count) continue;
    duckdb_vector vector = duckdb->data_chunk_get_vector(chunk, (idx_t)k);
    int64_t *numbers = (int64_t *)duckdb->vector_get_data(vector) + at;
    for (int64_t i = 0; i < rows; i++) numbers[i] = insert->rows_before + from + i;
  }
}

/* Fills one chunk of DuckDB's; no rows: the thread is done. */
static void rows_next(duckdb_function_info info, duckdb_data_chunk chunk) {
  const struct duckdb_api *duckdb = callback_api();
  struct engine_insert *insert = duckdb->function_get_bind_data(info);
  struct claim *claim = duckdb->function_get_local_init_data(info);
  int64_t filled = 0;
  while (filled < CHUNK_ROWS && claim_more(insert, claim)) {
    while (insert->starts[claim->slice + 1] <= claim->row) claim->slice++;
    int64_t slice_end = insert->starts[claim->slice + 1];
    int64_t rows = (slice_end < claim->end ? slice_end : claim->end) - claim->row;
    if (rows > CHUNK_ROWS - filled) rows = CHUNK_ROWS - filled;
    struct error error = {0};
    if (put_rows(insert, &insert->slices[claim->slice], claim->row - insert->starts[claim->slice],
                 rows, chunk, filled, &error) != STATUS_OK) {
      name_row(insert, claim, rows, chunk, &error);
      fail(insert, &error);
      duckdb->function_set_error(info, error.text);
      return;
    }
    if (insert->numbered) put_numbers(insert, claim->row, rows, chunk, filled);
    filled += rows;
    claim->row += rows;
  }
  duckdb->data_chunk_set_size(chunk, (idx_t)filled);
}

enum status insert_register(struct engine *engine, struct error *error) {
  const struct duckdb_api *duckdb = engine->duckdb;
  duckdb_table_function function = duckdb->create_table_function();
  duckdb_logical_type handle = duckdb->create_logical_type(DUCKDB_TYPE_BIGINT);
  duckdb->table_function_set_name(function, FUNCTION_NAME);
  duckdb->table_function_add_parameter(function, handle);
  duckdb->table_function_set_extra_info(function, engine, NULL);
  duckdb->table_function_set_bind(function, rows_bind);
  duckdb->table_function_set_init(function, rows_init);
  duckdb->table_function_set_local_init(function, rows_local_init);
  duckdb->table_function_set_function(function, rows_next);
  duckdb->table_function_supports_projection_pushdown(function, true);
  duckdb_state state = duckdb->register_table_function(engine->control, function);
  duckdb->destroy_logical_type(&handle);
  duckdb->destroy_table_function(&function);
  if (state == DuckDBSuccess) return STATUS_OK;
  return error_set(error, STATUS_INTERNAL, "DuckDB did not take the function that brings rows");
}

/* ---- opening ------------------------------------------------------------------------------ */

static const struct engine_column *column_of(const struct engine_table *table, const char *name) {
  for (int64_t i = 0; i < table->column_count; i++)
    if (strcasecmp(table->columns[i].name, name) == 0) return &table->columns[i];
  return NULL;
}

/* A column that must be written, and that the schema lacks. */
static enum status check_lacking(const struct engine_table *table, const struct ArrowSchema *schema,
                                 struct error *error) {
  for (int64_t i = 0; i < table->column_count; i++) {
    const struct engine_column *column = &table->columns[i];
    if (column->nullable || column->has_default) continue;
    bool sent = false;
    for (int64_t k = 0; k < schema->n_children && !sent; k++)
      sent = schema->children[k]->name != NULL &&
             strcasecmp(schema->children[k]->name, column->name) == 0;
    if (!sent)
      return error_set(error, STATUS_SCHEMA,
                       "the column \"%s\" is NOT NULL and has no default, but the data lacks it",
                       column->name);
  }
  return STATUS_OK;
}

/* `operation` is the field that is no column (-1: none); with `lacking_allowed` required columns
 * may be missing. */
static enum status check_fields(const struct engine_table *table, const struct ArrowSchema *schema,
                                int64_t operation, bool lacking_allowed, struct error *error) {
  if (schema->n_children <= 0) return error_set(error, STATUS_SCHEMA, "the data has no columns");
  const char *twice = types_name_twice(schema);
  if (twice != NULL)
    return error_set(error, STATUS_SCHEMA,
                     "two columns are named \"%s\": DuckDB does not tell upper from lower case",
                     twice);
  for (int64_t i = 0; i < schema->n_children; i++) {
    const char *name = schema->children[i]->name == NULL ? "" : schema->children[i]->name;
    const struct engine_column *column = column_of(table, name);
    if (i == operation && column != NULL)
      return error_set(error, STATUS_SCHEMA,
                       "it has a column \"%s\" of its own, which in this load says what to do with "
                       "a row: rename the column",
                       name);
    if (i != operation && column == NULL)
      return error_set(error, STATUS_SCHEMA, "it has no column \"%s\", which the data has", name);
  }
  return lacking_allowed ? STATUS_OK : check_lacking(table, schema, error);
}

/* The names of the columns that the table has too. */
static enum status column_list(const struct engine_insert *insert, struct text *sql,
                               struct error *error) {
  enum status status = STATUS_OK;
  bool first = true;
  for (int64_t i = 0; i < insert->column_count && status == STATUS_OK; i++) {
    if (i == insert->operation) continue;
    if (!first) status = text_add(sql, ", ", error);
    if (status == STATUS_OK) status = text_add_identifier(sql, insert->landings[i].name, error);
    first = false;
  }
  return status;
}

static enum status prepare(struct engine_session *session, const char *sql,
                           duckdb_prepared_statement *statement, struct error *error) {
  if (session->duckdb->prepare(session->connection, sql, statement) == DuckDBSuccess)
    return STATUS_OK;
  return failure_set(NULL, error, session->duckdb->prepare_error(*statement));
}

/* A statement whose columns are those that the rows go into, as DuckDB has them now. */
static enum status select_columns(const struct engine_insert *insert, const char *table_sql,
                                  duckdb_prepared_statement *statement, struct error *error) {
  struct text sql = TEXT_EMPTY;
  enum status status = text_add(&sql, "SELECT ", error);
  if (status == STATUS_OK) status = column_list(insert, &sql, error);
  if (status == STATUS_OK) status = text_add_format(&sql, error, " FROM %s", table_sql);
  if (status == STATUS_OK) status = prepare(insert->session, sql.data, statement, error);
  text_release(&sql);
  return status;
}

/* Whether column `i` holds its field; `at` is its place in the statement. */
static bool column_fits(const struct engine_insert *insert, duckdb_prepared_statement statement,
                        int64_t i, idx_t at) {
  const struct duckdb_api *duckdb = insert->session->duckdb;
  duckdb_logical_type type = duckdb->prepared_statement_column_logical_type(statement, at);
  bool fits = landing_fits(&insert->landings[i], type);
  duckdb->destroy_logical_type(&type);
  return fits;
}

/* Every field against the type of its column. */
static enum status check_types(struct engine_insert *insert, const struct engine_table *table,
                               const char *table_sql, const struct ArrowSchema *schema,
                               struct error *error) {
  assert(insert != NULL);
  duckdb_prepared_statement statement = NULL;
  enum status status = select_columns(insert, table_sql, &statement, error);
  idx_t at = 0;
  for (int64_t i = 0; i < insert->column_count && status == STATUS_OK; i++) {
    if (i == insert->operation) continue;
    if (column_fits(insert, statement, i, at++)) {
      if (insert->session->lake != NULL)
        status = lake_check(&insert->landings[i], column_of(table, insert->landings[i].name)->type,
                            error);
      continue;
    }
    struct text arrow = TEXT_EMPTY;
    status = arrow_type_print(schema->children[i], &arrow, error);
    if (status == STATUS_OK)
      status = error_set(error, STATUS_SCHEMA,
                         "its column \"%s\" is %s, which does not hold every %s exactly",
                         insert->landings[i].name, column_of(table, insert->landings[i].name)->type,
                         text_get(&arrow));
    text_release(&arrow);
  }
  insert->session->duckdb->destroy_prepare(&statement);
  return status;
}

void engine_insert_renew(struct engine_insert *insert, bool *current) {
  duckdb_prepared_statement statement = NULL;
  enum status status = select_columns(insert, insert->table_sql.data, &statement, NULL);
  *current = status == STATUS_OK;
  idx_t at = 0;
  for (int64_t i = 0; i < insert->column_count && *current; i++)
    *current = i == insert->operation || column_fits(insert, statement, i, at++);
  insert->session->duckdb->destroy_prepare(&statement);
  insert->rows_before = 0;
}

static enum status init_landings(struct engine_insert *insert, const struct ArrowSchema *original,
                                 struct error *error) {
  enum status copied = arrow_schema_copy(original, &insert->schema, error);
  if (copied != STATUS_OK) return copied;
  const struct ArrowSchema *schema = &insert->schema;
  size_t count = (size_t)schema->n_children; /* check_fields saw one at least */
  insert->landings = calloc(count + 1, sizeof *insert->landings);
  insert->wanted = calloc(count + 1, sizeof *insert->wanted);
  if (insert->landings == NULL || insert->wanted == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for the types of %lld columns",
                     (long long)schema->n_children);
  for (int64_t i = 0; i < schema->n_children; i++) {
    enum status status =
        landing_init(&insert->landings[i], insert->session->duckdb, schema->children[i], error);
    if (status != STATUS_OK) return status;
    insert->column_count = i + 1;
  }
  return STATUS_OK;
}

/* From here on the table function knows the insert. */
static void enlist(struct engine_insert *insert) {
  struct engine *engine = insert->session->engine;
  pthread_mutex_lock(&engine->lock);
  insert->handle = ++engine->insert_last;
  insert->next = engine->inserts;
  engine->inserts = insert;
  pthread_mutex_unlock(&engine->lock);
}

static void delist(struct engine_insert *insert) {
  struct engine *engine = insert->session->engine;
  pthread_mutex_lock(&engine->lock);
  struct engine_insert **at = &engine->inserts;
  while (*at != NULL && *at != insert) at = &(*at)->next;
  if (*at == insert) *at = insert->next;
  pthread_mutex_unlock(&engine->lock);
}

static enum status prepare_insert(struct engine_insert *insert, const char *table_sql,
                                  struct error *error) {
  struct text sql = TEXT_EMPTY;
  enum status status = text_add_format(&sql, error, "INSERT INTO %s", table_sql);
  if (!insert->numbered) {
    if (status == STATUS_OK) status = text_add(&sql, " (", error);
    if (status == STATUS_OK) status = column_list(insert, &sql, error);
    if (status == STATUS_OK) status = text_add(&sql, ")", error);
  }
  if (status == STATUS_OK)
    status = text_add_format(&sql, error, " SELECT * FROM system.main." FUNCTION_NAME "(%lld)",
                             (long long)insert->handle);
  if (status == STATUS_OK) status = prepare(insert->session, sql.data, &insert->statement, error);
  if (status == STATUS_INVALID) { /* a view, a generated column: our own SQL is right */
    status = STATUS_SCHEMA;
    if (error != NULL) error->status = status;
  }
  text_release(&sql);
  return status;
}

/* Lets the session's inserts run on several threads. */
static enum status drop_order(struct engine_session *session, struct error *error) {
  if (session->order_dropped) return STATUS_OK;
  enum status status = session_run(session, "SET SESSION preserve_insertion_order = false", error);
  session->order_dropped = status == STATUS_OK;
  return status;
}

enum status engine_session_order(struct engine_session *session, struct error *error) {
  if (!session->order_dropped) return STATUS_OK;
  enum status status = session_run(session, "RESET SESSION preserve_insertion_order", error);
  session->order_dropped = status != STATUS_OK;
  return status;
}

enum status insert_new(struct engine_session *session, const struct ArrowSchema *schema,
                       struct engine_insert **out, struct error *error) {
  *out = NULL;
  struct engine_insert *insert = calloc(1, sizeof *insert);
  if (insert == NULL) return error_set(error, STATUS_NOMEM, "no memory for an insert");
  insert->session = session;
  insert->operation = -1;
  pthread_mutex_init(&insert->lock, NULL);
  enlist(insert);
  enum status status = init_landings(insert, schema, error);
  if (status != STATUS_OK) {
    engine_insert_close(insert);
    return status;
  }
  *out = insert;
  return STATUS_OK;
}

enum status insert_set_operation(struct engine_insert *insert, int64_t column,
                                 struct error *error) {
  insert->operation = column;
  if (insert->landings[column].duck == DUCKDB_TYPE_VARCHAR) return STATUS_OK;
  return error_set(error, STATUS_SCHEMA, "the column \"%s\" says what to do: it must be text",
                   insert->landings[column].name);
}

enum status insert_check(struct engine_insert *insert, const struct engine_table *table,
                         const char *table_sql, bool lacking_allowed, struct error *error) {
  enum status status =
      check_fields(table, &insert->schema, insert->operation, lacking_allowed, error);
  if (status == STATUS_OK) status = check_types(insert, table, table_sql, &insert->schema, error);
  return status;
}

/* Not so where rows of an upsert go into its stage. */
static bool goes_to_lake(const struct engine_insert *insert) {
  return insert->session->lake != NULL && !insert->numbered;
}

static void drop_statement(struct engine_insert *insert) {
  if (insert->statement != NULL) insert->session->duckdb->destroy_prepare(&insert->statement);
  insert->statement = NULL;
}

enum status insert_prepare(struct engine_insert *insert, const char *into_sql, bool numbered,
                           struct error *error) {
  assert(insert != NULL);
  insert->numbered = numbered;
  enum status status = drop_order(insert->session, error);
  if (status == STATUS_OK) status = prepare_insert(insert, into_sql, error);
  if (goes_to_lake(insert)) drop_statement(insert); /* it was for the errors: see execute */
  return status;
}

enum status insert_columns(const struct engine_insert *insert, struct text *sql,
                           struct error *error) {
  return column_list(insert, sql, error);
}

enum status engine_insert_open(struct engine_session *session, const struct table_name *name,
                               const struct ArrowSchema *schema, struct engine_insert **out,
                               struct error *error) {
  *out = NULL;
  struct engine_insert *insert = NULL;
  struct engine_table table = {0};
  lake_enter(session, name);
  enum status status = catalog_columns(session, name, &table, error);
  if (status != STATUS_OK) goto done; /* it names the table itself */
  status = check_fields(&table, schema, -1, false, error);
  if (status == STATUS_OK) status = insert_new(session, schema, &insert, error);
  assert(status != STATUS_OK || insert != NULL);
  if (status == STATUS_OK)
    status = catalog_table_sql(session->engine, name, &insert->table_sql, error);
  if (status == STATUS_OK)
    status = check_types(insert, &table, insert->table_sql.data, schema, error);
  if (status == STATUS_OK) status = insert_prepare(insert, insert->table_sql.data, false, error);
  if (status != STATUS_OK) catalog_error_at(error, name);

done:
  engine_table_release(&table);
  if (status != STATUS_OK) {
    engine_insert_close(insert);
    insert = NULL;
  }
  *out = insert;
  return status;
}

void engine_insert_close(struct engine_insert *insert) {
  if (insert == NULL) return;
  delist(insert);
  if (insert->statement != NULL) insert->session->duckdb->destroy_prepare(&insert->statement);
  for (int64_t i = 0; i < insert->column_count; i++) landing_release(&insert->landings[i]);
  free(insert->landings);
  free(insert->wanted);
  arrow_schema_release(&insert->schema);
  free(insert->starts);
  text_release(&insert->table_sql);
  pthread_mutex_destroy(&insert->lock);
  free(insert);
}

/* ---- one statement -------------------------------------------------------------------------- */

static enum status lay_out(struct engine_insert *insert, const struct engine_slice *slices,
                           int64_t slice_count, struct error *error) {
  if (slice_count + 1 > insert->starts_capacity) {
    int64_t *starts = realloc(insert->starts, (size_t)(slice_count + 1) * sizeof *starts);
    if (starts == NULL)
      return error_set(error, STATUS_NOMEM, "no memory for %lld slices", (long long)slice_count);
    insert->starts = starts;
    insert->starts_capacity = slice_count + 1;
  }
  int64_t rows = 0;
  for (int64_t i = 0; i < slice_count; i++) {
    insert->starts[i] = rows;
    rows += slices[i].rows;
  }
  insert->starts[slice_count] = rows;
  insert->slices = slices;
  insert->slice_count = slice_count;
  insert->total_rows = rows;
  insert->failed = false;
  atomic_store(&insert->claimed_rows, 0);
  return STATUS_OK;
}

/* What a statement over the rows failed with, if it was they: our own sentence, not DuckDB's about
 * it. */
static enum status own_failure(const struct engine_insert *insert, enum status status,
                               struct error *error) {
  if (insert->failed) { /* by a row */
    status = insert->failure.status;
    if (error != NULL) *error = insert->failure;
  } else if (status == STATUS_INVALID) { /* a cast to the column's type */
    status = STATUS_SCHEMA;
    if (error != NULL) error->status = status;
  }
  return status;
}

/* DuckLake frees what it knows of a table when another transaction has changed its catalog, and a
 * statement that was prepared before then reads freed memory (a crash, or "Column does not exist").
 * So a statement that writes to a lake is prepared in the transaction that runs it, each time. */
static enum status execute(struct engine_insert *insert, duckdb_result *result,
                           struct error *error) {
  if (!goes_to_lake(insert))
    return session_execute(insert->session, insert->statement, result, error);
  enum status status = prepare_insert(insert, insert->table_sql.data, error);
  if (status == STATUS_OK)
    status = session_execute(insert->session, insert->statement, result, error);
  drop_statement(insert);
  return status;
}

enum status engine_insert_rows(struct engine_insert *insert, const struct engine_slice *slices,
                               int64_t slice_count, int64_t *inserted_rows, struct error *error) {
  struct engine_session *session = insert->session;
  const struct duckdb_api *duckdb = session->duckdb;
  *inserted_rows = 0;
  enum status status = lay_out(insert, slices, slice_count, error);
  if (status != STATUS_OK || insert->total_rows == 0) return status;
  duckdb_result result = {0};
  struct error own;
  if (error == NULL) error = &own;
  writers_join(session);
  session_enter(session);
  status = execute(insert, &result, error);
  if (status == STATUS_OK) {
    *inserted_rows = (int64_t)duckdb->rows_changed(&result);
    insert->rows_before += *inserted_rows;
  } else {
    status = own_failure(insert, status, error);
  }
  duckdb->destroy_result(&result);
  session_leave(session);
  insert->slices = NULL;
  return status;
}

/* ---- statements of others ------------------------------------------------------------------- */

int64_t insert_count(const struct engine_insert *insert) { return insert->rows_before; }

enum status insert_show(struct engine_insert *insert, const struct engine_slice *slices,
                        int64_t slice_count, struct error *error) {
  return lay_out(insert, slices, slice_count, error);
}

enum status insert_source(const struct engine_insert *insert, struct text *sql,
                          struct error *error) {
  enum status status = text_add_format(sql, error, "system.main." FUNCTION_NAME "(%lld) AS s(",
                                       (long long)insert->handle);
  for (int64_t i = 0; i < insert->column_count && status == STATUS_OK; i++)
    status = text_add_format(sql, error, "%sc%lld", i == 0 ? "" : ", ", (long long)i);
  return status == STATUS_OK ? text_add(sql, ")", error) : status;
}

enum status insert_run(struct engine_insert *insert, const char *sql, struct error *error) {
  atomic_store(&insert->claimed_rows, 0);
  insert->failed = false;
  enum status status = session_run(insert->session, sql, error);
  return status == STATUS_OK ? STATUS_OK : own_failure(insert, status, error);
}
