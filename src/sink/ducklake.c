/* The sink of DuckLake: the DuckDB sink with another catalog.
 *
 * The engine has attached the lake (engine/lake.c), so a table of it is one whose name begins with
 * the lake's: every call here says so, and goes to the DuckDB sink's own function. Tokens are kept
 * in the lake, in the transaction of their rows: DuckDB writes to one attached database in each. */
#include "sink/ducklake.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sink/duckdb_private.h"

static const struct config_field ducklake_config[] = {
    {.name = "path",
     .type = CONFIG_PATH,
     .default_text = "",
     .doc =
         "The catalog file, made when it is not there; its data is in the folder PATH.files. SQL "
         "knows the lake by the file's name without the ending."},
    {.name = "extension",
     .type = CONFIG_PATH,
     .default_text = "",
     .doc = "DuckDB's extension: the file ducklake.duckdb_extension (docs/ducklake.md)."},
    DUCKDB_ENGINE_FIELDS,
    {.name = "insert_rows",
     .type = CONFIG_INTEGER,
     .unit = "rows",
     .default_text = "1228800",
     .min = 1,
     .max = INT64_C(1) << 40,
     .doc = "Rows that one INSERT carries; each writes a file or more."},
    DUCKDB_LANDING_FIELDS,
    CONFIG_FIELD_END,
};

/* ---- opening ----------------------------------------------------------------------------- */

static enum status set_catalog(struct duckdb_sink *sink, const char *path, struct error *error) {
  char name[TABLE_NAME_BYTES_MAX + 1];
  enum status status = engine_lake_name(path, name, error);
  if (status != STATUS_OK) return status;
  sink->catalog = strdup(name);
  return sink->catalog == NULL ? error_set(error, STATUS_NOMEM, "no memory for a lake's name")
                               : STATUS_OK;
}

static enum status open_engine(struct duckdb_sink *sink, const struct config *config,
                               struct error *error) {
  const char *path = config_string(config, "path"), *extension = config_string(config, "extension");
  if (path == NULL || path[0] == '\0')
    return error_set(error, STATUS_INVALID, "path names no catalog file; write ./lake.ducklake");
  return engine_open(
      &(struct engine_options){.extensions = &extension,
                               .extension_count = extension != NULL && extension[0] != '\0',
                               .lakes = &path,
                               .lake_count = 1,
                               .memory_limit_bytes = config_integer(config, "memory_limit"),
                               .threads = (int)config_integer(config, "threads")},
      &sink->engine, error);
}

static enum status ducklake_open(const struct config *config, struct sink **out,
                                 struct error *error) {
  struct duckdb_sink *sink = NULL;
  enum status status = duckdb_new(&SINK_DUCKLAKE, &sink, error);
  if (sink == NULL) return status;
  duckdb_configure(sink, config);
  if (status == STATUS_OK) status = open_engine(sink, config, error);
  if (status == STATUS_OK) engine_on_loss(sink->engine, desk_close_idle, sink);
  if (status == STATUS_OK) status = set_catalog(sink, config_string(config, "path"), error);
  if (status == STATUS_OK) status = duckdb_open_tokens(sink, error);
  if (status != STATUS_OK) {
    duckdb_close(&sink->base);
    return status;
  }
  *out = &sink->base;
  return STATUS_OK;
}

enum status sink_ducklake_on(struct sink *duckdb, const char *path, struct sink **out,
                             struct error *error) {
  const struct duckdb_sink *lender = (const struct duckdb_sink *)duckdb;
  struct duckdb_sink *sink = NULL;
  *out = NULL;
  enum status status = duckdb_new(&SINK_DUCKLAKE, &sink, error);
  if (sink == NULL) return status;
  sink->engine = lender->engine;
  sink->engine_lent = true;
  sink->read_only = lender->read_only;
  sink->insert_rows = lender->insert_rows;
  sink->insert_bytes_max = lender->insert_bytes_max;
  sink->token_retention_s = lender->token_retention_s;
  sink->tokens_max = lender->tokens_max;
  if (status == STATUS_OK) status = set_catalog(sink, path, error);
  if (status == STATUS_OK && !engine_has_lake(sink->engine, sink->catalog))
    status = error_set(error, STATUS_NOT_FOUND, "the lake '%.300s' is not attached", path);
  if (status == STATUS_OK) engine_on_loss(sink->engine, desk_close_idle, sink);
  if (status == STATUS_OK) status = duckdb_open_tokens(sink, error);
  if (status != STATUS_OK) {
    duckdb_close(&sink->base);
    return status;
  }
  *out = &sink->base;
  return STATUS_OK;
}

/* ---- names ------------------------------------------------------------------------------- */

/* The name in full: the lake's catalog, and its schema main where none is said. */
static enum status place(const struct sink *base, const struct table_name *given,
                         struct table_name *name, struct error *error) {
  const char *catalog = ((const struct duckdb_sink *)base)->catalog;
  *name = *given;
  if (name->catalog[0] != '\0' && strcasecmp(name->catalog, catalog) != 0)
    return error_set(error, STATUS_NOT_FOUND, "there is no catalog \"%s\"; this lake is \"%s\"",
                     name->catalog, catalog);
  memcpy(name->catalog, catalog, strlen(catalog) + 1);
  if (name->schema[0] == '\0') memcpy(name->schema, "main", sizeof "main");
  return STATUS_OK;
}

static enum status ducklake_begin(struct sink *sink, const struct load_spec *spec,
                                  struct load **load, struct error *error) {
  struct load_spec placed = *spec;
  enum status status = place(sink, &spec->table, &placed.table, error);
  return status == STATUS_OK ? duckdb_begin(sink, &placed, load, error) : status;
}

static void ducklake_land(struct sink *sink, const struct load_spec *spec, struct parcel *parcels,
                          int64_t count) {
  struct load_spec placed = *spec;
  struct error error = {.status = STATUS_OK};
  enum status status = place(sink, &spec->table, &placed.table, &error);
  if (status == STATUS_OK) {
    duckdb_land(sink, &placed, parcels, count);
    return;
  }
  for (int64_t i = 0; i < count; i++) {
    for (int64_t j = 0; j < parcels[i].batch_count; j++)
      arrow_array_release(&parcels[i].batches[j]);
    parcels[i].status = status;
    if (parcels[i].error != NULL) *parcels[i].error = error;
  }
}

static enum status ducklake_lookup(struct sink *sink, const struct table_name *given,
                                   const char *token, bool *found, struct load_result *result,
                                   struct error *error) {
  struct table_name name;
  enum status status = place(sink, given, &name, error);
  return status == STATUS_OK ? duckdb_lookup(sink, &name, token, found, result, error) : status;
}

static enum status ducklake_table_info(struct sink *sink, const struct table_name *given,
                                       struct table_info *info, struct error *error) {
  struct table_name name;
  enum status status = place(sink, given, &name, error);
  return status == STATUS_OK ? duckdb_table_info(sink, &name, info, error) : status;
}

const struct sink_type SINK_DUCKLAKE = {
    .name = "ducklake",
    .summary = "a DuckLake: Parquet files with snapshots and time travel; read back with SQL",
    .modes = SINK_APPEND | SINK_OVERWRITE | SINK_UPSERT | SINK_MERGE,
    .traits = SINK_TRANSACTIONAL | SINK_DURABLE | SINK_QUERYABLE | SINK_TOKENS,
    .config = ducklake_config,
    .open = ducklake_open,
    .close = duckdb_close,
    .begin = ducklake_begin,
    .append = duckdb_append,
    .flush = duckdb_flush,
    .commit = duckdb_commit,
    .abort = duckdb_abort,
    .land = ducklake_land,
    .lookup = ducklake_lookup,
    .table_info = ducklake_table_info,
    .list_tables = duckdb_list_tables,
};
