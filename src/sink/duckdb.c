/* The DuckDB sink: its settings, opening and closing, and the tables it keeps. How loads land is in
 * the files that duckdb_private.h lists. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/duckdb_private.h"

/* ---- opening ----------------------------------------------------------------------------- */

static const struct config_field duckdb_config[] = {
    {.name = "path",
     .type = CONFIG_PATH,
     .default_text = "",
     .doc = "The database file; empty or :memory: keeps it in memory."},
    DUCKDB_ENGINE_FIELDS,
    {.name = "read_only",
     .type = CONFIG_BOOLEAN,
     .default_text = "false",
     .doc = "Opens the file for reading: loads are refused."},
    {.name = "extensions",
     .type = CONFIG_LIST,
     .doc =
         "Extensions to load: names of those inside DuckDB, paths of extension files for others."},
    {.name = "lakes",
     .type = CONFIG_LIST,
     .doc = "Catalog files of DuckLake, for SQL; each is made when it is not there. They need the "
            "extension ducklake."},
    {.name = "insert_rows",
     .type = CONFIG_INTEGER,
     .unit = "rows",
     .default_text = "1228800",
     .min = 1,
     .max = INT64_C(1) << 40,
     .doc = "Rows that one INSERT carries; multiples of 122880 suit DuckDB best."},
    DUCKDB_LANDING_FIELDS,
    {.name = "checkpoint_wal_bytes",
     .type = CONFIG_BYTES,
     .default_text = "16MiB",
     .min = 65536,
     .max = INT64_C(1) << 40,
     .doc = "The write-ahead log is folded into the file when it is so long."},
    {.name = "checkpoint_interval_s",
     .type = CONFIG_INTEGER,
     .unit = "seconds",
     .default_text = "0",
     .max = 86400,
     .doc = "And when its oldest change has waited so long; 0: not for that."},
    CONFIG_FIELD_END,
};

void duckdb_close(struct sink *base) {
  struct duckdb_sink *sink = (struct duckdb_sink *)base;
  desk_close_all(sink);
  tokens_close(sink->tokens);
  if (!sink->engine_lent) engine_close(sink->engine);
  turns_free(sink->turns);
  free(sink->catalog);
  pthread_mutex_destroy(&sink->desk_lock);
  free(sink);
}

void duckdb_configure(struct duckdb_sink *sink, const struct config *config) {
  sink->insert_rows = config_integer(config, "insert_rows");
  sink->insert_bytes_max = config_integer(config, "insert_bytes_max");
  sink->token_retention_s = config_integer(config, "token_retention_h") * 3600;
  sink->tokens_max = config_integer(config, "tokens_max");
}

static enum status open_engine(struct duckdb_sink *sink, const struct config *config,
                               struct error *error) {
  const char *path = config_string(config, "path");
  if (path != NULL && (path[0] == '\0' || strcmp(path, ":memory:") == 0)) path = NULL;
  const char *const *extensions = NULL, *const *lakes = NULL;
  size_t extension_count = config_list(config, "extensions", &extensions);
  size_t lake_count = config_list(config, "lakes", &lakes);
  enum status status = engine_open(
      &(struct engine_options){
          .path = path,
          .extensions = extensions,
          .extension_count = extension_count,
          .lakes = lakes,
          .lake_count = lake_count,
          .memory_limit_bytes = config_integer(config, "memory_limit"),
          .threads = (int)config_integer(config, "threads"),
          .read_only = sink->read_only,
          .checkpoint_wal_bytes = config_integer(config, "checkpoint_wal_bytes"),
          .checkpoint_interval_ms = config_integer(config, "checkpoint_interval_s") * 1000},
      &sink->engine, error);
  if (status == STATUS_OK) engine_on_loss(sink->engine, desk_close_idle, sink);
  return status;
}

enum status duckdb_open_tokens(struct duckdb_sink *sink, struct error *error) {
  return tokens_open(sink->engine,
                     &(struct tokens_options){.catalog = sink->catalog,
                                              .retention_s = sink->token_retention_s,
                                              .count_max = sink->tokens_max,
                                              .read_only = sink->read_only},
                     &sink->tokens, error);
}

enum status duckdb_new(const struct sink_type *type, struct duckdb_sink **out,
                       struct error *error) {
  *out = NULL;
  struct duckdb_sink *sink = calloc(1, sizeof *sink);
  if (sink == NULL) return error_set(error, STATUS_NOMEM, "no memory for a sink");
  sink->base.type = type;
  pthread_mutex_init(&sink->desk_lock, NULL);
  *out = sink;
  return turns_new(&sink->turns, error);
}

static enum status duckdb_open(const struct config *config, struct sink **out,
                               struct error *error) {
  struct duckdb_sink *sink = NULL;
  enum status status = duckdb_new(&SINK_DUCKDB, &sink, error);
  if (sink == NULL) return status;
  sink->read_only = config_boolean(config, "read_only");
  duckdb_configure(sink, config);
  if (status == STATUS_OK) status = open_engine(sink, config, error);
  if (status == STATUS_OK) status = duckdb_open_tokens(sink, error);
  if (status != STATUS_OK) {
    duckdb_close(&sink->base);
    return status;
  }
  *out = &sink->base;
  return STATUS_OK;
}

enum status sink_duckdb_alone(struct sink *sink, struct turn *turn, struct error *error) {
  return turn_take_all(((struct duckdb_sink *)sink)->turns, TURN_WAIT_MS, turn, error);
}

enum status sink_duckdb_join(struct sink *sink, struct turn *turn, struct error *error) {
  return turn_join(((struct duckdb_sink *)sink)->turns, TURN_WAIT_MS, turn, error);
}

enum status sink_duckdb_turn(struct sink *sink, const struct table_name *table, enum turn_kind kind,
                             struct turn *turn, struct error *error) {
  return turn_take(((struct duckdb_sink *)sink)->turns, table, kind, TURN_WAIT_MS, turn, error);
}

void sink_duckdb_limit_tokens(struct sink *sink, int64_t retention_s, int64_t count_max) {
  tokens_limit(((struct duckdb_sink *)sink)->tokens, retention_s, count_max);
}

int64_t sink_duckdb_token_count(struct sink *sink) {
  int64_t count, bytes;
  tokens_look(((struct duckdb_sink *)sink)->tokens, &count, &bytes);
  return count;
}

struct engine *sink_duckdb_engine(struct sink *sink) {
  return ((struct duckdb_sink *)sink)->engine;
}

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

enum status duckdb_table_info(struct sink *base, const struct table_name *name,
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

enum status duckdb_lookup(struct sink *base, const struct table_name *name, const char *token,
                          bool *found, struct load_result *result, struct error *error) {
  struct tokens *tokens = ((struct duckdb_sink *)base)->tokens;
  enum token_state state;
  enum status status = tokens_claim(tokens, name, token, TOKEN_WAIT_MS, &state, result, error);
  if (status != STATUS_OK) return status;
  *found = state == TOKEN_LANDED;
  if (!*found) tokens_settle(tokens, name, token, NULL);
  return STATUS_OK;
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

/* One batch of (schema_name, table_name, rows) rows, of a lake's catalog or (NULL) the database. */
static enum status take_tables(const struct ArrowArray *batch, const char *catalog,
                               struct table_info **tables, int64_t *count, struct error *error) {
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
    if (catalog != NULL)
      snprintf(info->name.catalog, sizeof info->name.catalog, "%s", catalog);
    else if (strcmp(info->name.schema, "main") == 0)
      info->name.schema[0] = '\0';
    ++*count;
  }
  return STATUS_OK;
}

enum status duckdb_list_tables(struct sink *base, struct table_info **tables, int64_t *count,
                               struct error *error) {
  static const char sql[] =
      "SELECT schema_name, table_name, estimated_size FROM system.main.duckdb_tables() "
      "WHERE database_name = coalesce(?, current_database()) AND NOT internal AND NOT temporary "
      "AND lower(schema_name) <> '" SINK_DUCKDB_SCHEMA "' "
      "ORDER BY 1, 2";
  const char *catalog = ((struct duckdb_sink *)base)->catalog;
  struct engine_value name = {.kind = ENGINE_NULL};
  if (catalog != NULL)
    name =
        (struct engine_value){.kind = ENGINE_TEXT, .text = catalog, .text_bytes = strlen(catalog)};
  struct engine_session *session;
  struct engine_result *result = NULL;
  enum status status = engine_session_open(((struct duckdb_sink *)base)->engine, &session, error);
  if (status != STATUS_OK) return status;
  status = engine_query(
      session,
      &(struct engine_query){
          .sql = sql, .parameters = &name, .parameter_count = 1, .read_only = true, .own = true},
      &result, error);
  while (status == STATUS_OK) {
    struct ArrowArray batch;
    status = engine_result_next(result, &batch, error);
    if (status != STATUS_OK || batch.release == NULL) break;
    status = take_tables(&batch, catalog, tables, count, error);
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
    .traits = SINK_TRANSACTIONAL | SINK_DURABLE | SINK_QUERYABLE | SINK_TOKENS,
    .config = duckdb_config,
    .open = duckdb_open,
    .close = duckdb_close,
    .begin = duckdb_begin,
    .append = duckdb_append,
    .flush = duckdb_flush,
    .commit = duckdb_commit,
    .abort = duckdb_abort,
    .land = duckdb_land,
    .lookup = duckdb_lookup,
    .table_info = duckdb_table_info,
    .list_tables = duckdb_list_tables,
};
