/* Record batches into a Parquet file, by DuckDB's COPY.
 *
 * SQL from outside runs where no file can be reached, so the file is written elsewhere: by an
 * engine of its own in memory, which is not locked, lives as long as the file is written, and
 * runs one statement of ours. Its rows come out of a table function over the batches that the
 * caller draws; a name or a value of theirs never becomes SQL.
 *
 * It has one thread, the caller's: the batches are drawn on it and stay in order.
 *
 * What Parquet, or DuckDB's writer of it, does not keep is refused by name before a byte is
 * written. Timestamps in seconds and milliseconds become microseconds, the same instants:
 * Parquet has no seconds, and DuckDB 1.5.5 reads its own milliseconds wrongly. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/private.h"
#include "engine/types.h"

#define FUNCTION_NAME "arrowport_batches"

enum { ROW_GROUP_BYTES_MAX = 8 << 20 }; /* in memory: wide rows make smaller row groups */

struct parquet_writer {
  const struct engine_parquet *ask;
  const struct duckdb_api *duckdb;
  struct landing *landings;
  int64_t column_count;
  struct ArrowArray batch; /* rows before `row` were written */
  int64_t row;
  bool ended;
  bool failed;
  struct error failure; /* of ours, rather than what DuckDB says about it */
};

/* ---- which types ------------------------------------------------------------------------ */

static enum status refuse(const struct landing *landing, const char *what, const char *instead,
                          struct error *error) {
  return error_set(error, STATUS_UNSUPPORTED, "the column %s is %s in Parquet; %s",
                   landing->path != NULL ? landing->path : landing->name, what, instead);
}

/* Checks a column and what is in it, and widens timestamps. */
static enum status settle(struct landing *landing, struct error *error) {
  enum { MS_US = 1000, S_US = 1000000 };
  switch (landing->duck) {
  case DUCKDB_TYPE_INTERVAL:
    return refuse(landing, "an interval, which ends at milliseconds",
                  "select its parts (epoch_us(x), or months and days apart)", error);
  case DUCKDB_TYPE_TIME_NS:
    return refuse(landing, "a time in nanoseconds, which would be text",
                  "cast it to TIME or VARCHAR", error);
  case DUCKDB_TYPE_SQLNULL:
    return refuse(landing, "of no type but NULL, which has none", "cast it", error);
  case DUCKDB_TYPE_TIMESTAMP_S:
    landing->duck = DUCKDB_TYPE_TIMESTAMP;
    landing->factor *= S_US;
    break;
  case DUCKDB_TYPE_TIMESTAMP_MS:
    landing->duck = DUCKDB_TYPE_TIMESTAMP;
    landing->factor *= MS_US;
    break;
  default: break;
  }
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < landing->child_count && status == STATUS_OK; i++)
    status = settle(&landing->children[i], error);
  return status;
}

static enum status make_landings(struct parquet_writer *writer, struct error *error) {
  const struct ArrowSchema *schema = writer->ask->schema;
  if (schema->n_children == 0)
    return error_set(error, STATUS_UNSUPPORTED,
                     "the statement has no columns, and a Parquet file needs one");
  const char *twice = types_name_twice(schema);
  if (twice != NULL)
    return error_set(error, STATUS_UNSUPPORTED,
                     "two columns are named \"%s\", upper and lower case aside, and one would get "
                     "another name in Parquet; name them differently with AS",
                     twice);
  writer->landings = calloc((size_t)schema->n_children, sizeof *writer->landings);
  if (writer->landings == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for the types of %lld columns",
                     (long long)schema->n_children);
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < schema->n_children && status == STATUS_OK; i++) {
    status = landing_init(&writer->landings[i], writer->duckdb, schema->children[i], error);
    if (status != STATUS_OK) break;
    writer->column_count = i + 1;
    status = settle(&writer->landings[i], error);
  }
  return status;
}

/* ---- the table function ------------------------------------------------------------------ */

static const struct duckdb_api *callback_api(void) {
  const struct duckdb_api *duckdb = NULL;
  struct error ignored;
  enum status status = library_load(&duckdb, &ignored); /* it is loaded: we are called by it */
  return status == STATUS_OK ? duckdb : NULL;
}

static void batches_bind(duckdb_bind_info info) {
  const struct duckdb_api *duckdb = callback_api();
  struct parquet_writer *writer = duckdb->bind_get_extra_info(info);
  for (int64_t i = 0; i < writer->column_count; i++) {
    duckdb_logical_type type = landing_logical(&writer->landings[i]);
    duckdb->bind_add_result_column(info, writer->landings[i].name, type);
    duckdb->destroy_logical_type(&type);
  }
  duckdb->bind_set_bind_data(info, writer, NULL);
}

static void batches_init(duckdb_init_info info) { callback_api()->init_set_max_threads(info, 1); }

/* Sees to it that there are rows to write; false at the end and after a failure. */
static bool has_rows(struct parquet_writer *writer) {
  while (!writer->ended && !writer->failed &&
         (writer->batch.release == NULL || writer->row == writer->batch.length)) {
    if (writer->batch.release != NULL) writer->batch.release(&writer->batch);
    writer->batch = (struct ArrowArray){0};
    writer->row = 0;
    writer->failed =
        writer->ask->next(writer->ask->context, &writer->batch, &writer->failure) != STATUS_OK;
    writer->ended = !writer->failed && writer->batch.release == NULL;
  }
  return !writer->ended && !writer->failed;
}

static void batches_next(duckdb_function_info info, duckdb_data_chunk chunk) {
  const struct duckdb_api *duckdb = callback_api();
  struct parquet_writer *writer = duckdb->function_get_bind_data(info);
  int64_t rows = 0;
  if (has_rows(writer)) {
    const struct ArrowArray *batch = &writer->batch;
    rows = batch->length - writer->row < CHUNK_ROWS ? batch->length - writer->row : CHUNK_ROWS;
    enum status status = STATUS_OK;
    for (int64_t i = 0; i < writer->column_count && status == STATUS_OK; i++)
      status =
          landing_put(&writer->landings[i], batch->children[i], batch->offset + writer->row, rows,
                      duckdb->data_chunk_get_vector(chunk, (idx_t)i), 0, &writer->failure);
    writer->failed = status != STATUS_OK;
    writer->row += rows;
  }
  if (writer->failed) {
    duckdb->function_set_error(info, writer->failure.text);
    return;
  }
  duckdb->data_chunk_set_size(chunk, (idx_t)rows);
}

static enum status register_function(struct parquet_writer *writer, struct engine *engine,
                                     struct error *error) {
  const struct duckdb_api *duckdb = writer->duckdb;
  duckdb_table_function function = duckdb->create_table_function();
  duckdb->table_function_set_name(function, FUNCTION_NAME);
  duckdb->table_function_set_extra_info(function, writer, NULL);
  duckdb->table_function_set_bind(function, batches_bind);
  duckdb->table_function_set_init(function, batches_init);
  duckdb->table_function_set_function(function, batches_next);
  duckdb_state state = duckdb->register_table_function(engine->control, function);
  duckdb->destroy_table_function(&function);
  if (state == DuckDBSuccess) return STATUS_OK;
  return error_set(error, STATUS_INTERNAL, "DuckDB did not take the function that brings batches");
}

/* ---- writing -------------------------------------------------------------------------------- */

static enum status add_options(const struct engine_parquet *ask, struct text *sql,
                               struct error *error) {
  switch (ask->compression) {
  case IPC_COMPRESSION_NONE: return text_add(sql, ", COMPRESSION uncompressed", error);
  case IPC_COMPRESSION_LZ4: return text_add(sql, ", COMPRESSION lz4_raw", error);
  case IPC_COMPRESSION_ZSTD: break;
  }
  return text_add_format(sql, error, ", COMPRESSION zstd, COMPRESSION_LEVEL %d",
                         ask->level > 0 ? ask->level : 3);
}

static enum status copy(struct parquet_writer *writer, struct engine *engine, int file,
                        struct error *error) {
  struct engine_session *session = NULL;
  struct text sql = TEXT_EMPTY;
  enum status status = engine_session_open(engine, &session, error);
  /* DuckDB cuts row groups by bytes only where it need not keep an order; with one thread there
   * is no other. */
  if (status == STATUS_OK)
    status = session_run(session, "SET SESSION preserve_insertion_order = false", error);
  if (status == STATUS_OK)
    status = text_add_format(&sql, error,
                             "COPY (SELECT * FROM system.main." FUNCTION_NAME
                             "()) TO '/proc/self/fd/%d' (FORMAT parquet, USE_TMP_FILE false, "
                             "ROW_GROUP_SIZE %d, ROW_GROUP_SIZE_BYTES %d",
                             file, (int)ROW_GROUP_ROWS, (int)ROW_GROUP_BYTES_MAX);
  if (status == STATUS_OK) status = add_options(writer->ask, &sql, error);
  if (status == STATUS_OK) status = text_add(&sql, ")", error);
  if (status == STATUS_OK) {
    status = session_run(session, text_get(&sql), error);
    if (status != STATUS_OK && error != NULL) status = failure_conceal(error, "", false);
  }
  engine_session_close(session);
  text_release(&sql);
  return status;
}

enum status engine_parquet_write(const struct engine_parquet *ask, int file, struct error *error) {
  struct parquet_writer writer = {.ask = ask};
  struct engine *engine = NULL;
  enum status status = library_load(&writer.duckdb, error);
  if (status == STATUS_OK) status = make_landings(&writer, error);
  const struct engine_options options = {
      .local_files = true, .threads = 1, .memory_limit_bytes = ask->memory_limit_bytes};
  if (status == STATUS_OK) status = engine_open(&options, &engine, error);
  if (status == STATUS_OK) status = register_function(&writer, engine, error);
  if (status == STATUS_OK) status = copy(&writer, engine, file, error);
  if (status != STATUS_OK && writer.failed) {
    status = writer.failure.status;
    if (error != NULL) *error = writer.failure;
  }
  engine_close(engine);
  if (writer.batch.release != NULL) writer.batch.release(&writer.batch);
  for (int64_t i = 0; i < writer.column_count; i++) landing_release(&writer.landings[i]);
  free(writer.landings);
  return status;
}
