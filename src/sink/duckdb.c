/* The DuckDB sink: a load is one transaction on a session of its own.
 *
 *   begin:  BEGIN; the table is created in the transaction when it is missing
 *   append: batches are kept until they make a statement (insert_rows or
 *           insert_bytes_max), then inserted: whole row groups, the rest waits
 *   commit: the rest, COMMIT
 *   abort:  ROLLBACK
 *
 * A load by key (upsert, merge) collects its rows in a temporary table of its session; the
 * transaction is that of the commit alone, which puts them into the table and is repeated when
 * somebody else changed the same rows. Loads of this sink do that one after the other for each
 * table, so that they do not conflict among themselves.
 *
 * Invariants: a batch that append took is inserted or dropped with the load, never
 * given back; the statement that earlier batches make runs before the next batch is
 * taken, so a failure leaves that batch with its caller; after a failed statement
 * nothing but abort is possible. */
#include "sink/duckdb.h"

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

enum {
  ROW_GROUP_ROWS = 122880, /* DuckDB's: statements carry multiples of it */
  BEGIN_TRIES = 40,        /* when another load creates the same table meanwhile */
  BEGIN_WAIT_MS = 25,
  APPLY_TRIES = 12, /* when SQL from elsewhere changes the rows of an upsert */
  APPLY_WAIT_MS = 10,
  APPLY_WAIT_MS_MAX = 200,
  TURN_COUNT = 16
};

struct duckdb_sink {
  struct sink base;
  struct engine *engine;
  bool read_only;
  int64_t insert_rows;
  int64_t insert_bytes_max;
  pthread_mutex_t turns[TURN_COUNT]; /* whose turn it is to change rows of a table, by its name */
};

/* A batch that waits, from `offset_rows` on. */
struct duckdb_load {
  struct load base;
  struct engine_session *session;
  struct engine_insert *insert; /* by key: the upsert's */
  struct engine_upsert *upsert; /* NULL: not by key */
  pthread_mutex_t *turn;        /* by key: the table's, held for the commit */
  struct ArrowSchema schema;
  struct engine_slice *slices; /* what waits, in order */
  int64_t *slice_bytes;
  int64_t slice_count, slice_capacity;
  int64_t waiting_rows, waiting_bytes;
  int64_t chunk_rows; /* statements carry multiples of it */
  bool failed;
  struct load_result result;
};

/* ---- opening ----------------------------------------------------------------------------- */

static const struct config_field duckdb_config[] = {
    {.name = "path",
     .type = CONFIG_PATH,
     .default_text = "",
     .doc = "The database file; empty or :memory: keeps it in memory."},
    {.name = "memory_limit",
     .type = CONFIG_BYTES,
     .default_text = "0",
     .doc = "Memory that DuckDB may use; 0 leaves its own default, 80% of the machine's."},
    {.name = "threads",
     .type = CONFIG_INTEGER,
     .default_text = "0",
     .max = 1024,
     .doc = "Threads that DuckDB may use; 0 takes as many as the machine has."},
    {.name = "read_only",
     .type = CONFIG_BOOLEAN,
     .default_text = "false",
     .doc = "Opens the file for reading: loads are refused."},
    {.name = "extensions",
     .type = CONFIG_LIST,
     .doc =
         "Extensions to load: names of those inside DuckDB, paths of extension files for others."},
    {.name = "insert_rows",
     .type = CONFIG_INTEGER,
     .unit = "rows",
     .default_text = "1228800",
     .min = 1,
     .max = INT64_C(1) << 40,
     .doc = "Rows that one INSERT carries; multiples of 122880 suit DuckDB best."},
    {.name = "insert_bytes_max",
     .type = CONFIG_BYTES,
     .default_text = "64MiB",
     .min = 1,
     .max = INT64_C(1) << 40,
     .doc = "A load inserts what it has gathered once it is this large, however few rows."},
    CONFIG_FIELD_END,
};

static void sink_free(struct duckdb_sink *sink) {
  for (int i = 0; i < TURN_COUNT; i++) pthread_mutex_destroy(&sink->turns[i]);
  free(sink);
}

static enum status duckdb_open(const struct config *config, struct sink **out,
                               struct error *error) {
  struct duckdb_sink *sink = calloc(1, sizeof *sink);
  if (sink == NULL) return error_set(error, STATUS_NOMEM, "no memory for a sink");
  sink->base.type = &SINK_DUCKDB;
  for (int i = 0; i < TURN_COUNT; i++) pthread_mutex_init(&sink->turns[i], NULL);
  sink->read_only = config_boolean(config, "read_only");
  sink->insert_rows = config_integer(config, "insert_rows");
  sink->insert_bytes_max = config_integer(config, "insert_bytes_max");
  const char *path = config_string(config, "path");
  if (path != NULL && (path[0] == '\0' || strcmp(path, ":memory:") == 0)) path = NULL;
  const char *const *extensions = NULL;
  size_t extension_count = config_list(config, "extensions", &extensions);
  enum status status = engine_open(
      &(struct engine_options){.path = path,
                               .extensions = extensions,
                               .extension_count = extension_count,
                               .memory_limit_bytes = config_integer(config, "memory_limit"),
                               .threads = (int)config_integer(config, "threads"),
                               .read_only = sink->read_only},
      &sink->engine, error);
  if (status != STATUS_OK) {
    sink_free(sink);
    return status;
  }
  *out = &sink->base;
  return STATUS_OK;
}

static void duckdb_close(struct sink *base) {
  struct duckdb_sink *sink = (struct duckdb_sink *)base;
  engine_close(sink->engine);
  sink_free(sink);
}

struct engine *sink_duckdb_engine(struct sink *sink) {
  return ((struct duckdb_sink *)sink)->engine;
}

/* ---- a load -------------------------------------------------------------------------------- */

static void drop_slices(struct duckdb_load *load) {
  for (int64_t i = 0; i < load->slice_count; i++) arrow_shared_release(load->slices[i].batch);
  load->slice_count = 0;
  load->waiting_rows = load->waiting_bytes = 0;
}

static void load_free(struct duckdb_load *load) {
  if (load->upsert == NULL) engine_insert_close(load->insert);
  engine_upsert_close(load->upsert);
  engine_session_close(load->session); /* rolls back what is not committed */
  drop_slices(load);
  free(load->slices);
  free(load->slice_bytes);
  arrow_schema_release(&load->schema);
  free(load);
}

/* The transaction, the table, the insert; everything is undone by load_free. */
static enum status try_begin(struct duckdb_load *load, const struct load_spec *spec,
                             struct error *error) {
  enum status status = engine_begin(load->session, error);
  if (status != STATUS_OK) return status;
  status = engine_insert_open(load->session, &spec->table, spec->schema, &load->insert, error);
  if (status == STATUS_OK && spec->mode == SINK_OVERWRITE)
    return engine_empty_table(load->session, &spec->table, error);
  if (status != STATUS_NOT_FOUND || !spec->create_table) return status;
  status = engine_create_table(load->session, &spec->table, spec->schema, error);
  if (status != STATUS_OK) return status;
  return engine_insert_open(load->session, &spec->table, spec->schema, &load->insert, error);
}

/* Tables of one name, however it is written, have one turn; others may share it. */
static pthread_mutex_t *turn_of(struct duckdb_sink *sink, const struct table_name *table) {
  unsigned hash = 0;
  for (const char *at = table->table; *at != '\0'; at++)
    hash = hash * 31 + (unsigned)tolower((unsigned char)*at);
  return &sink->turns[hash % TURN_COUNT];
}

static enum status begin_by_key(struct duckdb_load *load, const struct load_spec *spec,
                                struct error *error) {
  struct engine_upsert_options options = {
      .table = &spec->table,
      .schema = &load->schema,
      .keys = spec->keys,
      .key_count = spec->key_count,
      .partial = spec->mode == SINK_MERGE,
      .unique = spec->refuse_duplicates,
      .create_table = spec->create_table,
  };
  for (int64_t i = 0; i < load->schema.n_children && options.partial; i++)
    if (load->schema.children[i]->name != NULL &&
        strcasecmp(load->schema.children[i]->name, SINK_OPERATION) == 0)
      options.operation = SINK_OPERATION;
  load->turn = turn_of((struct duckdb_sink *)load->base.sink, &spec->table);
  enum status status = engine_upsert_open(load->session, &options, &load->upsert, error);
  if (status == STATUS_OK) load->insert = engine_upsert_insert(load->upsert);
  return status;
}

/* What is in our own schema is changed by us alone. */
static enum status check_schema(const struct table_name *table, struct error *error) {
  if (strcasecmp(table->schema, SINK_DUCKDB_SCHEMA) != 0) return STATUS_OK;
  return error_set(error, STATUS_DENIED,
                   "the schema " SINK_DUCKDB_SCHEMA
                   " holds what the server itself remembers; load into another one");
}

static enum status duckdb_begin(struct sink *base, const struct load_spec *spec, struct load **out,
                                struct error *error) {
  struct duckdb_sink *sink = (struct duckdb_sink *)base;
  if (sink->read_only)
    return error_set(error, STATUS_UNAVAILABLE, "the database is open for reading only");
  enum status refused = check_schema(&spec->table, error);
  if (refused != STATUS_OK) return refused;
  struct duckdb_load *load = calloc(1, sizeof *load);
  if (load == NULL) return error_set(error, STATUS_NOMEM, "no memory for a load");
  load->base.sink = base;
  load->result.version = -1;
  load->chunk_rows = spec->chunk_rows > 0 ? spec->chunk_rows : ROW_GROUP_ROWS;
  enum status status = arrow_schema_copy(spec->schema, &load->schema, error);
  if (status == STATUS_OK) status = engine_session_open(sink->engine, &load->session, error);
  if (status != STATUS_OK) goto done;
  if (spec->key_count > 0) {
    status = begin_by_key(load, spec, error);
    goto done;
  }
  for (int i = 0; i < BEGIN_TRIES; i++) {
    status = try_begin(load, spec, error);
    if (status != STATUS_CONFLICT) break;
    /* Nothing of this load is written yet: it may begin again. */
    engine_insert_close(load->insert);
    load->insert = NULL;
    engine_rollback(load->session);
    clock_sleep_ms(BEGIN_WAIT_MS);
  }
  if (status == STATUS_CONFLICT && error != NULL) error->retry_after_ms = 1000;

done:
  if (status != STATUS_OK) {
    load_free(load);
    return status;
  }
  *out = &load->base;
  return STATUS_OK;
}

/* Inserts the first `rows` of what waits. */
static enum status insert_waiting(struct duckdb_load *load, int64_t rows, struct error *error) {
  if (rows == 0) return STATUS_OK;
  /* The last slice may be cut: `cut` of its rows stay. */
  int64_t count = 0, seen = 0;
  while (seen < rows) seen += load->slices[count++].rows;
  int64_t cut = seen - rows, inserted = 0;
  struct engine_slice *last = &load->slices[count - 1];
  last->rows -= cut;
  enum status status = engine_insert_rows(load->insert, load->slices, count, &inserted, error);
  if (status != STATUS_OK) {
    load->failed = true;
    return status;
  }
  if (inserted != rows) {
    load->failed = true;
    return error_set(error, STATUS_INTERNAL, "DuckDB inserted %lld of %lld rows",
                     (long long)inserted, (long long)rows);
  }
  int64_t gone = cut > 0 ? count - 1 : count;
  for (int64_t i = 0; i < gone; i++) {
    load->waiting_bytes -= load->slice_bytes[i];
    arrow_shared_release(load->slices[i].batch);
  }
  if (cut > 0) {
    last->offset_rows += last->rows;
    last->rows = cut;
  }
  load->slice_count -= gone;
  load->waiting_rows -= rows;
  memmove(load->slices, load->slices + gone, (size_t)load->slice_count * sizeof *load->slices);
  memmove(load->slice_bytes, load->slice_bytes + gone,
          (size_t)load->slice_count * sizeof *load->slice_bytes);
  return STATUS_OK;
}

/* Runs a statement when what waits is enough for one. */
static enum status insert_when_due(struct duckdb_load *load, struct error *error) {
  const struct duckdb_sink *sink = (const struct duckdb_sink *)load->base.sink;
  int64_t due_rows = load->chunk_rows > sink->insert_rows ? load->chunk_rows : sink->insert_rows;
  if (load->waiting_rows < due_rows && load->waiting_bytes < sink->insert_bytes_max)
    return STATUS_OK;
  int64_t rows = load->waiting_rows;
  if (rows > load->chunk_rows) rows -= rows % load->chunk_rows;
  return insert_waiting(load, rows, error);
}

/* DuckDB's memory ran out within the transaction, which is over: not a call that may be
 * repeated, as STATUS_BUDGET would say. */
static enum status settle(enum status status, struct error *error) {
  if (status != STATUS_BUDGET) return status;
  if (error != NULL) error->status = STATUS_NOMEM;
  return STATUS_NOMEM;
}

static enum status slices_grow(struct duckdb_load *load, struct error *error) {
  if (load->slice_count < load->slice_capacity) return STATUS_OK;
  int64_t capacity = load->slice_capacity == 0 ? 16 : load->slice_capacity * 2;
  struct engine_slice *slices = realloc(load->slices, (size_t)capacity * sizeof *slices);
  if (slices != NULL) load->slices = slices;
  int64_t *bytes = realloc(load->slice_bytes, (size_t)capacity * sizeof *bytes);
  if (bytes != NULL) load->slice_bytes = bytes;
  if (slices == NULL || bytes == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for a load's batches");
  load->slice_capacity = capacity;
  return STATUS_OK;
}

static enum status duckdb_append(struct load *base, struct ArrowArray *batch, struct error *error) {
  struct duckdb_load *load = (struct duckdb_load *)base;
  if (load->failed)
    return error_set(error, STATUS_INTERNAL, "the load failed before and can only be aborted");
  if (batch->n_children != load->schema.n_children)
    return error_set(error, STATUS_SCHEMA, "the batch has %lld columns, its schema %lld",
                     (long long)batch->n_children, (long long)load->schema.n_children);
  enum status status = settle(insert_when_due(load, error), error);
  if (status == STATUS_OK) status = slices_grow(load, error);
  if (status != STATUS_OK) return status;
  int64_t rows = batch->length, bytes = arrow_array_bytes(&load->schema, batch);
  struct arrow_shared *shared;
  status = arrow_shared_new(batch, &shared, error);
  if (status != STATUS_OK) return status;
  load->result.batches++;
  load->result.rows += rows;
  if (rows == 0) {
    arrow_shared_release(shared);
    return STATUS_OK;
  }
  load->slices[load->slice_count] = (struct engine_slice){shared, 0, rows};
  load->slice_bytes[load->slice_count] = bytes;
  load->slice_count++;
  load->waiting_rows += rows;
  load->waiting_bytes += bytes;
  return STATUS_OK;
}

static enum status duckdb_flush(struct load *base, struct error *error) {
  struct duckdb_load *load = (struct duckdb_load *)base;
  if (load->failed)
    return error_set(error, STATUS_INTERNAL, "the load failed before and can only be aborted");
  return settle(insert_waiting(load, load->waiting_rows, error), error);
}

static enum status try_apply(struct duckdb_load *load, struct error *error) {
  enum status status = engine_begin(load->session, error);
  if (status != STATUS_OK) return status;
  status = engine_upsert_apply(load->upsert, error);
  if (status == STATUS_OK) return engine_commit(load->session, error);
  engine_rollback(load->session);
  return status;
}

/* Puts the rows that were collected by key into their table, and commits. */
static enum status commit_by_key(struct duckdb_load *load, struct error *error) {
  enum status status = engine_upsert_ready(load->upsert, error);
  if (status != STATUS_OK) return status;
  int wait_ms = APPLY_WAIT_MS;
  pthread_mutex_lock(load->turn);
  for (int i = 0; i < APPLY_TRIES; i++) {
    status = try_apply(load, error);
    if (status != STATUS_CONFLICT || engine_upsert_outdated(load->upsert)) break;
    clock_sleep_ms(wait_ms);
    if (wait_ms < APPLY_WAIT_MS_MAX) wait_ms *= 2;
  }
  pthread_mutex_unlock(load->turn);
  if (status == STATUS_CONFLICT && error != NULL) error->retry_after_ms = 1000;
  return status;
}

static enum status duckdb_commit(struct load *base, struct load_result *result,
                                 struct error *error) {
  struct duckdb_load *load = (struct duckdb_load *)base;
  enum status status = STATUS_OK;
  if (load->failed)
    status = error_set(error, STATUS_INTERNAL, "the load failed before and cannot be committed");
  if (status == STATUS_OK) status = insert_waiting(load, load->waiting_rows, error);
  if (status == STATUS_OK)
    status =
        load->upsert != NULL ? commit_by_key(load, error) : engine_commit(load->session, error);
  status = settle(status, error);
  if (status == STATUS_OK) *result = load->result;
  load_free(load);
  return status;
}

static void duckdb_abort(struct load *load) { load_free((struct duckdb_load *)load); }

/* ---- tables --------------------------------------------------------------------------------- */

/* Moves the engine's words into the sink's. */
static enum status take_columns(struct engine_table *table, struct table_info *info,
                                struct error *error) {
  info->rows = table->rows;
  info->columns = calloc((size_t)table->column_count + 1, sizeof *info->columns);
  if (info->columns == NULL) return error_set(error, STATUS_NOMEM, "no memory for columns");
  for (int64_t i = 0; i < table->column_count; i++) {
    info->columns[i] = (struct table_column){.name = table->columns[i].name,
                                             .type = table->columns[i].type,
                                             .nullable = table->columns[i].nullable};
    table->columns[i].name = table->columns[i].type = NULL;
  }
  info->column_count = table->column_count;
  return STATUS_OK;
}

static enum status duckdb_table_info(struct sink *base, const struct table_name *name,
                                     struct table_info *info, struct error *error) {
  struct engine_session *session;
  struct engine_table table = {0};
  enum status status = engine_session_open(((struct duckdb_sink *)base)->engine, &session, error);
  if (status != STATUS_OK) return status;
  status = engine_table_info(session, name, &table, error);
  if (status == STATUS_OK) status = take_columns(&table, info, error);
  if (status == STATUS_OK) info->name = *name;
  engine_table_release(&table);
  engine_session_close(session);
  return status;
}

/* A text of a utf8 column into a name's part; false when it does not fit. */
static bool take_part(const struct ArrowArray *column, int64_t row,
                      char part[TABLE_NAME_BYTES_MAX + 1]) {
  const int32_t *offsets = (const int32_t *)column->buffers[1] + column->offset;
  int32_t bytes = offsets[row + 1] - offsets[row];
  if (bytes > TABLE_NAME_BYTES_MAX) return false;
  memcpy(part, (const char *)column->buffers[2] + offsets[row], (size_t)bytes);
  part[bytes] = '\0';
  return true;
}

/* One batch of (schema_name, table_name, rows) rows. */
static enum status take_tables(const struct ArrowArray *batch, struct table_info **tables,
                               int64_t *count, struct error *error) {
  struct table_info *grown = realloc(*tables, (size_t)(*count + batch->length) * sizeof **tables);
  if (grown == NULL) return error_set(error, STATUS_NOMEM, "no memory for a list of tables");
  *tables = grown;
  for (int64_t row = 0; row < batch->length; row++) {
    struct table_info *info = &grown[*count];
    *info = (struct table_info){.rows = ((const int64_t *)batch->children[2]->buffers[1])[row]};
    /* One that no table_name can say was made by SQL, and is reached by it alone. */
    if (!take_part(batch->children[0], row, info->name.schema) ||
        !take_part(batch->children[1], row, info->name.table))
      continue;
    if (strcmp(info->name.schema, "main") == 0) info->name.schema[0] = '\0';
    ++*count;
  }
  return STATUS_OK;
}

static enum status duckdb_list_tables(struct sink *base, struct table_info **tables, int64_t *count,
                                      struct error *error) {
  static const char sql[] =
      "SELECT schema_name, table_name, estimated_size FROM system.main.duckdb_tables() "
      "WHERE database_name = current_database() AND NOT internal AND NOT temporary "
      "AND lower(schema_name) <> '" SINK_DUCKDB_SCHEMA "' "
      "ORDER BY 1, 2";
  struct engine_session *session;
  struct engine_result *result = NULL;
  enum status status = engine_session_open(((struct duckdb_sink *)base)->engine, &session, error);
  if (status != STATUS_OK) return status;
  status =
      engine_query(session, &(struct engine_query){.sql = sql, .read_only = true}, &result, error);
  while (status == STATUS_OK) {
    struct ArrowArray batch;
    status = engine_result_next(result, &batch, error);
    if (status != STATUS_OK || batch.release == NULL) break;
    status = take_tables(&batch, tables, count, error);
    arrow_array_release(&batch);
  }
  engine_result_close(result);
  engine_session_close(session);
  if (status != STATUS_OK) {
    free(*tables);
    *tables = NULL;
    *count = 0;
  }
  return status;
}

const struct sink_type SINK_DUCKDB = {
    .name = "duckdb",
    .summary = "an embedded DuckDB database, in a file or in memory; read back with SQL",
    .modes = SINK_APPEND | SINK_OVERWRITE | SINK_UPSERT | SINK_MERGE,
    .traits = SINK_TRANSACTIONAL | SINK_DURABLE | SINK_QUERYABLE,
    .config = duckdb_config,
    .open = duckdb_open,
    .close = duckdb_close,
    .begin = duckdb_begin,
    .append = duckdb_append,
    .flush = duckdb_flush,
    .commit = duckdb_commit,
    .abort = duckdb_abort,
    .table_info = duckdb_table_info,
    .list_tables = duckdb_list_tables,
};
