/* Tables of a lake as they were: which versions there are, and SQL that reads one.
 *
 * A version is a snapshot of the whole lake; a table is there in those from the one that made it
 * on. What the lake knows of itself is in tables of its own, in the catalog __ducklake_metadata_NAME,
 * which statements from outside do not reach (lake.c). */
#include <stdlib.h>
#include <string.h>

#include <assert.h>

#include "engine/catalog.h"
#include "engine/lake.h"

enum { VERSIONS_MAX = 10000 };

static enum status add_metadata(struct text *sql, const struct lake *lake, const char *table,
                                struct error *error) {
  struct text catalog = TEXT_EMPTY;
  assert(lake != NULL);
  enum status status = text_add_format(&catalog, error, "__ducklake_metadata_%s", lake->name);
  if (status == STATUS_OK) status = text_add_identifier(sql, text_get(&catalog), error);
  if (status == STATUS_OK) status = text_add_format(sql, error, ".main.%s", table);
  text_release(&catalog);
  return status;
}

/* " FROM tables t JOIN schemas c": the rows that say from when to when there was such a table. */
static enum status add_tables(struct text *sql, const struct lake *lake,
                              const struct table_name *name, struct error *error) {
  enum status status = add_metadata(sql, lake, "ducklake_table t JOIN ", error);
  if (status == STATUS_OK) status = add_metadata(sql, lake, "ducklake_schema c", error);
  if (status == STATUS_OK)
    status =
        text_add(sql, " ON c.schema_id = t.schema_id WHERE lower(c.schema_name) = lower(", error);
  if (status == STATUS_OK)
    status = text_add_literal(sql, name->schema[0] != '\0' ? name->schema : "main", error);
  if (status == STATUS_OK) status = text_add(sql, ") AND lower(t.table_name) = lower(", error);
  if (status == STATUS_OK) status = text_add_literal(sql, name->table, error);
  return status == STATUS_OK ? text_add(sql, ")", error) : status;
}

/* The first and the last version that holds the table (-1: none does), and how many rows of the
 * catalog say that `version` does (that it is there now, with -1). */
static enum status ask_range(struct engine_session *session, const struct lake *lake,
                             const struct table_name *name, int64_t version, int64_t numbers[3],
                             struct error *error) {
  struct text sql = TEXT_EMPTY;
  enum status status = text_add(&sql, "SELECT min(s.snapshot_id), max(s.snapshot_id), ", error);
  if (status == STATUS_OK)
    status = version < 0 ? text_add(&sql, "count(*) FILTER (t.end_snapshot IS NULL)", error)
                         : text_add_format(&sql, error, "count(*) FILTER (s.snapshot_id = %lld)",
                                           (long long)version);
  if (status == STATUS_OK) status = text_add(&sql, " FROM ", error);
  if (status == STATUS_OK)
    status = add_metadata(&sql, lake, "ducklake_snapshot s, (SELECT t.* FROM ", error);
  if (status == STATUS_OK) status = add_tables(&sql, lake, name, error);
  if (status == STATUS_OK)
    status = text_add(&sql,
                      ") t WHERE s.snapshot_id >= t.begin_snapshot AND "
                      "(t.end_snapshot IS NULL OR s.snapshot_id < t.end_snapshot)",
                      error);
  if (status == STATUS_OK) status = session_numbers(session, text_get(&sql), numbers, 3, error);
  text_release(&sql);
  return status;
}

/* Is there such a table in that version (-1: now), not a view? */
static enum status check_version(struct engine_session *session, const struct table_name *name,
                                 int64_t version, struct error *error) {
  const struct lake *lake = lake_find(session->engine, name->catalog);
  int64_t numbers[3] = {-1, -1, 0};
  if (lake == NULL)
    return error_set(error, STATUS_INVALID,
                     "it keeps no versions; the tables of a lake do (docs/ducklake.md)");
  enum status status = ask_range(session, lake, name, version, numbers, error);
  if (status != STATUS_OK || numbers[2] > 0) return status;
  if (numbers[0] < 0) return error_set(error, STATUS_NOT_FOUND, "there is no such table");
  if (version < 0) return error_set(error, STATUS_NOT_FOUND, "there is no such table any more");
  return error_set(
      error, STATUS_NOT_FOUND,
      "there is no version %lld of it; there are %lld to %lld, as far as they were not "
      "expired",
      (long long)version, (long long)numbers[0], (long long)numbers[1]);
}

/* "lake"."main"."t" AT (VERSION => 3) */
static enum status add_table_at(struct engine_session *session, const struct table_name *name,
                                int64_t version, struct text *sql, struct error *error) {
  enum status status = catalog_table_sql(session->engine, name, sql, error);
  if (status == STATUS_OK && version >= 0)
    status = text_add_format(sql, error, " AT (VERSION => %lld)", (long long)version);
  return status;
}

enum status engine_rows_sql(struct engine_session *session, const struct table_name *name,
                            const struct engine_rows *rows, struct text *sql, struct error *error) {
  enum status status = STATUS_OK;
  bool lake = lake_find(session->engine, name->catalog) != NULL;
  if (rows->version >= 0 || (lake && rows->table_only))
    status = check_version(session, name, rows->version, error);
  else {
    struct engine_table table = {0};
    status = engine_table_info(session, name, &table, error);
    engine_table_release(&table);
    if (status != STATUS_OK) return status; /* it names the table */
  }
  if (status == STATUS_OK) status = text_add(sql, "SELECT * FROM ", error);
  if (status == STATUS_OK) status = add_table_at(session, name, rows->version, sql, error);
  if (status == STATUS_OK && rows->limit >= 0)
    status = text_add_format(sql, error, " LIMIT %lld", (long long)rows->limit);
  if (status != STATUS_OK) catalog_error_at(error, name);
  return status;
}

enum status engine_table_info_at(struct engine_session *session, const struct table_name *name,
                                 int64_t version, struct engine_table *table, struct error *error) {
  struct text at = TEXT_EMPTY, sql = TEXT_EMPTY;
  *table = (struct engine_table){0};
  enum status status = check_version(session, name, version, error);
  if (status == STATUS_OK) status = add_table_at(session, name, version, &at, error);
  if (status == STATUS_OK) status = text_add_format(&sql, error, "SELECT * FROM %s", text_get(&at));
  if (status == STATUS_OK) status = catalog_columns_sql(session, text_get(&sql), table, error);
  text_clear(&sql);
  if (status == STATUS_OK)
    status = text_add_format(&sql, error, "SELECT count(*) FROM %s", text_get(&at));
  if (status == STATUS_OK)
    status = session_numbers(session, text_get(&sql), &table->rows, 1, error);
  if (status != STATUS_OK) {
    engine_table_release(table);
    catalog_error_at(error, name);
  }
  text_release(&at);
  text_release(&sql);
  return status;
}

/* ---- what changed a table ------------------------------------------------------------------ */

/* Each version that did something to the table that is there now, or was there last: what a lake
 * calls its changes is said in plain words. */
static enum status add_changes_sql(const struct lake *lake, const struct table_name *name,
                                   int64_t limit, struct text *sql, struct error *error) {
  enum status status = text_add(sql, "WITH t AS (SELECT t.table_id, t.begin_snapshot FROM ", error);
  if (status == STATUS_OK) status = add_tables(sql, lake, name, error);
  if (status == STATUS_OK)
    status = text_add(sql,
                      " ORDER BY t.begin_snapshot DESC LIMIT 1), e AS (SELECT snapshot_id, "
                      "snapshot_time, unnest(map_entries(changes)) AS e FROM ducklake_snapshots(",
                      error);
  if (status == STATUS_OK) status = text_add_literal(sql, lake->name, error);
  if (status == STATUS_OK)
    status = text_add(
        sql,
        ")), k AS (SELECT snapshot_id, snapshot_time, CASE e.key WHEN 'tables_created' THEN "
        "'created' "
        "WHEN 'tables_inserted_into' THEN 'inserted' WHEN 'inlined_insert' THEN 'inserted' "
        "WHEN 'tables_deleted_from' THEN 'deleted' WHEN 'inlined_delete' THEN 'deleted' "
        "WHEN 'tables_altered' THEN 'altered' WHEN 'tables_dropped' THEN 'dropped' "
        "ELSE e.key END AS what FROM e, t WHERE list_contains(e.value, t.table_id::VARCHAR) "
        "OR (e.key = 'tables_created' AND snapshot_id = t.begin_snapshot)) "
        "SELECT snapshot_id, epoch_us(any_value(snapshot_time)), "
        "string_agg(DISTINCT what, ',' ORDER BY what) FROM k "
        "GROUP BY snapshot_id ORDER BY snapshot_id DESC",
        error);
  if (status == STATUS_OK) status = text_add_format(sql, error, " LIMIT %lld", (long long)limit);
  return status;
}

static enum status take_versions(const struct duckdb_api *duckdb, duckdb_data_chunk chunk,
                                 struct engine_version **versions, int64_t *count,
                                 struct error *error) {
  idx_t rows = duckdb->data_chunk_get_size(chunk);
  struct engine_version *grown = realloc(*versions, ((size_t)*count + rows) * sizeof *grown);
  if (grown == NULL) return error_set(error, STATUS_NOMEM, "no memory for a table's versions");
  *versions = grown;
  const int64_t *ids = duckdb->vector_get_data(duckdb->data_chunk_get_vector(chunk, 0));
  const int64_t *times = duckdb->vector_get_data(duckdb->data_chunk_get_vector(chunk, 1));
  for (idx_t row = 0; row < rows; row++) {
    char *changes = catalog_cell_text(duckdb, chunk, 2, row);
    if (changes == NULL) return error_set(error, STATUS_NOMEM, "no memory for a table's versions");
    grown[(*count)++] =
        (struct engine_version){.version = ids[row], .time_us = times[row], .changes = changes};
  }
  return STATUS_OK;
}

enum status engine_versions(struct engine_session *session, const struct table_name *name,
                            int64_t limit, struct engine_version **versions, int64_t *count,
                            struct error *error) {
  const struct duckdb_api *duckdb = session->duckdb;
  const struct lake *lake = lake_find(session->engine, name->catalog);
  struct text sql = TEXT_EMPTY;
  duckdb_result result = {0};
  int64_t numbers[3] = {-1, -1, 0};
  *versions = NULL;
  *count = 0;
  if (limit > VERSIONS_MAX || limit < 0) limit = VERSIONS_MAX;
  enum status status = lake == NULL ? check_version(session, name, -1, error)
                                    : ask_range(session, lake, name, -1, numbers, error);
  if (status == STATUS_OK && numbers[0] < 0)
    status = error_set(error, STATUS_NOT_FOUND, "there is no such table");
  if (status == STATUS_OK) status = add_changes_sql(lake, name, limit, &sql, error);
  if (status != STATUS_OK) goto done;
  if (duckdb->query(session->connection, text_get(&sql), &result) != DuckDBSuccess)
    status = failure_set(NULL, error, duckdb->result_error(&result));
  duckdb_data_chunk chunk;
  while (status == STATUS_OK && (chunk = duckdb->fetch_chunk(result)) != NULL) {
    status = take_versions(duckdb, chunk, versions, count, error);
    duckdb->destroy_data_chunk(&chunk);
  }
  duckdb->destroy_result(&result);

done:
  if (status != STATUS_OK) {
    engine_versions_release(*versions, *count);
    *versions = NULL;
    *count = 0;
    catalog_error_at(error, name);
  }
  text_release(&sql);
  return status;
}

void engine_versions_release(struct engine_version *versions, int64_t count) {
  for (int64_t i = 0; i < count; i++) free(versions[i].changes);
  free(versions);
}
