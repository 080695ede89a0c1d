/* Catalogs, schemas, tables and views, as DuckDB's own catalog functions list them, without what is
 * nobody's business: DuckDB's internals, our own schema, the tables that lakes are made of, and what
 * the caller may not read. */
#include "server/flight_look.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sink/duckdb.h"

/* ---- rows of text ------------------------------------------------------------------------------- */

static enum status keep_batch(struct look_rows *rows, struct ArrowArray *batch,
                              struct error *error) {
  struct ArrowArray *grown = realloc(rows->batches, (rows->count + 1) * sizeof *grown);
  if (grown == NULL) return error_set(error, STATUS_NOMEM, "no memory for a catalog");
  rows->batches = grown;
  arrow_array_move(batch, &grown[rows->count++]);
  return STATUS_OK;
}

enum status look_rows_read(const struct flight_look *look, const char *sql, const char *parameter,
                           struct look_rows *rows, struct error *error) {
  *rows = LOOK_ROWS_EMPTY;
  struct engine_result *result = NULL;
  const struct engine_value value = {.kind = ENGINE_TEXT,
                                     .text = parameter,
                                     .text_bytes = parameter == NULL ? 0 : strlen(parameter)};
  const struct engine_query query = {.sql = sql,
                                     .parameters = &value,
                                     .parameter_count = parameter == NULL ? 0 : 1,
                                     .read_only = true,
                                     .own = true,
                                     .within = look->within,
                                     .budget = look->budget};
  enum status status = engine_query(look->session, &query, &result, error);
  if (status == STATUS_OK) rows->columns = engine_result_schema(result)->n_children;
  while (status == STATUS_OK) {
    struct ArrowArray batch = {.release = NULL};
    status = engine_result_next(result, &batch, error);
    if (status != STATUS_OK || batch.release == NULL) break;
    status = keep_batch(rows, &batch, error);
    arrow_array_release(&batch);
  }
  engine_result_close(result);
  if (status != STATUS_OK) look_rows_release(rows);
  return status;
}

static enum status take_cell(struct look_rows *rows, const struct ArrowArray *column, int64_t row,
                             int64_t at, struct error *error) {
  const uint8_t *valid = column->buffers[0];
  const int32_t *offsets = column->buffers[1];
  row += column->offset;
  text_clear(&rows->cells[at]);
  rows->nulls[at] = valid != NULL && (valid[row / 8] >> (row % 8) & 1) == 0;
  if (rows->nulls[at]) return STATUS_OK;
  return text_add_bytes(&rows->cells[at], (const char *)column->buffers[2] + offsets[row],
                        (size_t)(offsets[row + 1] - offsets[row]), error);
}

enum status look_rows_next(struct look_rows *rows, bool *got, struct error *error) {
  while (rows->batch < rows->count && rows->row == rows->batches[rows->batch].length) {
    arrow_array_release(&rows->batches[rows->batch++]);
    rows->row = 0;
  }
  *got = rows->batch < rows->count;
  enum status status = STATUS_OK;
  for (int64_t i = 0; *got && i < rows->columns && status == STATUS_OK; i++)
    status = take_cell(rows, rows->batches[rows->batch].children[i], rows->row, i, error);
  rows->row += *got;
  return status;
}

const char *look_rows_cell(const struct look_rows *rows, int column) {
  return rows->nulls[column] ? NULL : text_get(&rows->cells[column]);
}

void look_rows_release(struct look_rows *rows) {
  for (size_t i = 0; i < rows->count; i++) arrow_array_release(&rows->batches[i]);
  for (int i = 0; i < LOOK_COLUMNS_MAX; i++) text_release(&rows->cells[i]);
  free(rows->batches);
  *rows = LOOK_ROWS_EMPTY;
}

/* ---- who may see what ---------------------------------------------------------------------------- */

static bool is_temporary(const char *catalog) { return strcmp(catalog, "temp") == 0; }

bool look_knows(const struct flight_look *look, const char *catalog, const char *schema) {
  return strcasecmp(schema, SINK_DUCKDB_SCHEMA) != 0 && strcmp(schema, "information_schema") != 0 &&
         strcmp(schema, "pg_catalog") != 0 &&
         (is_temporary(catalog) || strcasecmp(catalog, engine_catalog(look->engine)) == 0 ||
          engine_has_lake(look->engine, catalog));
}

static bool set_part(char part[TABLE_NAME_BYTES_MAX + 1], const char *string) {
  size_t bytes = strlen(string);
  if (bytes > TABLE_NAME_BYTES_MAX) return false;
  memcpy(part, string, bytes + 1);
  return true;
}

/* The table as permissions name it; false: none can. */
static bool permission_name(const struct flight_look *look, const char *catalog, const char *schema,
                            const char *table, struct table_name *name) {
  bool ours = strcasecmp(catalog, engine_catalog(look->engine)) == 0;
  return set_part(name->catalog, ours ? "" : catalog) &&
         set_part(name->schema, ours && strcmp(schema, "main") == 0 ? "" : schema) &&
         set_part(name->table, table);
}

enum status look_table_sql(struct text *sql, const char *catalog, const char *schema,
                           const char *table, struct error *error) {
  enum status status = text_add_identifier(sql, catalog, error);
  if (status == STATUS_OK) status = text_add(sql, ".", error);
  if (status == STATUS_OK) status = text_add_identifier(sql, schema, error);
  if (status == STATUS_OK) status = text_add(sql, ".", error);
  return status == STATUS_OK ? text_add_identifier(sql, table, error) : status;
}

static bool may_read(void *context, const struct table_name *table) {
  return auth_allow_table(context, AUTH_READ, table, NULL) == STATUS_OK;
}

/* Whether DuckDB's plan of reading it reads only what may be read. */
static enum status try_plan(const struct flight_look *look, const char *catalog, const char *schema,
                            const char *table, bool *may, struct error *error) {
  struct text sql = TEXT_EMPTY;
  struct engine_result *result = NULL;
  struct error why = {.status = STATUS_OK};
  enum status status = text_add(&sql, "SELECT * FROM ", error);
  if (status == STATUS_OK) status = look_table_sql(&sql, catalog, schema, table, error);
  if (status == STATUS_OK) status = text_add(&sql, " LIMIT 0", error);
  if (status != STATUS_OK) goto done;
  enum status tried =
      engine_query(look->session,
                   &(struct engine_query){.sql = sql.data,
                                          .read_only = true,
                                          .own = true,
                                          .within = look->within,
                                          .may_read = may_read,
                                          .may_context = (void *)(uintptr_t)look->who},
                   &result, &why);
  engine_result_close(result);
  /* What is in it, but cannot be told of (a type that results do not have), may be read. */
  *may = tried == STATUS_OK || tried == STATUS_UNSUPPORTED;
  bool no = tried == STATUS_DENIED || tried == STATUS_INVALID || tried == STATUS_NOT_FOUND;
  if (!*may && !no) {
    status = tried;
    if (error != NULL) *error = why;
  }

done:
  text_release(&sql);
  return status;
}

enum status look_may_read(const struct flight_look *look, const char *catalog, const char *schema,
                          const char *table, bool sure, bool *may, struct error *error) {
  struct table_name name;
  *may = look_knows(look, catalog, schema);
  if (!*may || auth_sees_everything(look->who)) return STATUS_OK;
  if (!is_temporary(catalog))
    *may = permission_name(look, catalog, schema, table, &name) &&
           auth_allow_table(look->who, AUTH_READ, &name, NULL) == STATUS_OK;
  if (!*may || (sure && !is_temporary(catalog))) return STATUS_OK;
  return try_plan(look, catalog, schema, table, may, error);
}

/* ---- tables ------------------------------------------------------------------------------------- */

#define TYPE_TABLE     "TABLE"
#define TYPE_VIEW      "VIEW"
#define TYPE_TEMPORARY "LOCAL TEMPORARY"

const char *const LOOK_TABLE_TYPES[] = {TYPE_TEMPORARY, TYPE_TABLE, TYPE_VIEW, NULL};

enum status look_tables_read(const struct flight_look *look, struct look_rows *tables,
                             struct error *error) {
  static const char sql[] =
      "SELECT database_name, schema_name, table_name, "
      "CASE WHEN temporary THEN '" TYPE_TEMPORARY "' ELSE '" TYPE_TABLE "' END "
      "FROM system.main.duckdb_tables() WHERE NOT internal "
      "UNION ALL SELECT database_name, schema_name, view_name, '" TYPE_VIEW "' "
      "FROM system.main.duckdb_views() WHERE NOT internal ORDER BY 1, 2, 3, 4";
  return look_rows_read(look, sql, NULL, tables, error);
}

static bool passes(const struct look_filter *filter, const struct look_rows *table) {
  bool type = filter->type_count == 0;
  for (size_t i = 0; i < filter->type_count && !type; i++)
    type = strcmp(filter->types[i], look_rows_cell(table, LOOK_TYPE)) == 0;
  return type && sql_name_matches(filter->catalog, look_rows_cell(table, LOOK_CATALOG)) &&
         sql_pattern_matches(filter->schema_pattern, look_rows_cell(table, LOOK_SCHEMA)) &&
         sql_pattern_matches(filter->table_pattern, look_rows_cell(table, LOOK_TABLE));
}

enum status look_tables_next(const struct flight_look *look, const struct look_filter *filter,
                             struct look_rows *tables, bool *got, struct error *error) {
  for (;;) {
    enum status status = look_rows_next(tables, got, error);
    if (status != STATUS_OK || !*got) return status;
    if (!passes(filter, tables)) continue;
    bool may = false;
    bool sure = strcmp(look_rows_cell(tables, LOOK_TYPE), TYPE_VIEW) != 0;
    status = look_may_read(look, look_rows_cell(tables, LOOK_CATALOG),
                           look_rows_cell(tables, LOOK_SCHEMA), look_rows_cell(tables, LOOK_TABLE),
                           sure, &may, error);
    if (status != STATUS_OK || may) return status;
  }
}

static enum status add_table(const struct flight_look *look, const struct look_rows *table,
                             struct look_columns *columns, struct sql_rows *rows,
                             struct error *error) {
  struct buffer message = BUFFER_EMPTY;
  enum status status =
      columns == NULL ? STATUS_OK : look_columns_schema(look, columns, table, &message, error);
  if (status == STATUS_OK)
    status =
        sql_rows_add(rows,
                     (const struct sql_value[]){
                         SQL_VALUE_TEXT(look_rows_cell(table, LOOK_CATALOG)),
                         SQL_VALUE_TEXT(look_rows_cell(table, LOOK_SCHEMA)),
                         SQL_VALUE_TEXT(look_rows_cell(table, LOOK_TABLE)),
                         SQL_VALUE_TEXT(look_rows_cell(table, LOOK_TYPE)),
                         {.kind = SQL_BYTES, .data = message.data, .bytes = message.size_bytes}},
                     error);
  buffer_release(&message);
  return status;
}

enum status look_tables(const struct flight_look *look, const struct look_filter *filter,
                        bool with_schema, struct sql_rows *rows, struct error *error) {
  struct look_rows tables = LOOK_ROWS_EMPTY;
  struct look_columns *columns = NULL;
  bool got = true;
  enum status status = look_tables_read(look, &tables, error);
  if (status == STATUS_OK && with_schema) status = look_columns_read(look, &columns, error);
  while (status == STATUS_OK && got) {
    status = look_tables_next(look, filter, &tables, &got, error);
    if (status == STATUS_OK && got) status = add_table(look, &tables, columns, rows, error);
  }
  look_columns_free(columns);
  look_rows_release(&tables);
  return status;
}

/* ---- catalogs and schemas ------------------------------------------------------------------------- */

/* Where the tables are that the caller may read: told one by one, each place once. */
struct places {
  struct look_rows tables;
  bool got; /* cells of `tables` hold a place that comes next, or comes again */
};

static enum status places_open(const struct flight_look *look, struct places *places,
                               struct error *error) {
  *places = (struct places){.got = false};
  enum status status = look_tables_read(look, &places->tables, error);
  return status == STATUS_OK ? look_tables_next(look, &(struct look_filter){.catalog = NULL},
                                                &places->tables, &places->got, error)
                             : status;
}

static int compare(const struct look_rows *tables, const char *catalog, const char *schema) {
  int order = strcmp(look_rows_cell(tables, LOOK_CATALOG), catalog);
  if (order != 0 || schema == NULL) return order;
  return strcmp(look_rows_cell(tables, LOOK_SCHEMA), schema);
}

/* Whether there is a table in the schema (NULL: in any of the catalog); places are asked for in
 * ascending order. */
static enum status places_have(const struct flight_look *look, struct places *places,
                               const char *catalog, const char *schema, bool *have,
                               struct error *error) {
  const struct look_filter all = {.catalog = NULL};
  enum status status = STATUS_OK;
  while (places->got && status == STATUS_OK && compare(&places->tables, catalog, schema) < 0)
    status = look_tables_next(look, &all, &places->tables, &places->got, error);
  *have = status == STATUS_OK && places->got && compare(&places->tables, catalog, schema) == 0;
  return status;
}

/* Is it shown? What is temporary only when it is there; other things to those who see everything;
 * the database itself to everybody. */
static enum status is_shown(const struct flight_look *look, struct places *places,
                            const char *catalog, const char *schema, bool *shown,
                            struct error *error) {
  *shown = look_knows(look, catalog, schema == NULL ? "" : schema);
  if (!*shown) return STATUS_OK;
  bool always = auth_sees_everything(look->who) ||
                (schema == NULL && strcasecmp(catalog, engine_catalog(look->engine)) == 0);
  if (always && !is_temporary(catalog)) return STATUS_OK;
  return places_have(look, places, catalog, schema, shown, error);
}

enum status look_catalogs(const struct flight_look *look, struct sql_rows *rows,
                          struct error *error) {
  struct look_rows found = LOOK_ROWS_EMPTY;
  struct places places;
  bool got = true, shown = false;
  enum status status = places_open(look, &places, error);
  if (status == STATUS_OK)
    status =
        look_rows_read(look, "SELECT database_name FROM system.main.duckdb_databases() ORDER BY 1",
                       NULL, &found, error);
  while (status == STATUS_OK) {
    status = look_rows_next(&found, &got, error);
    if (status != STATUS_OK || !got) break;
    const char *catalog = look_rows_cell(&found, LOOK_CATALOG);
    status = is_shown(look, &places, catalog, NULL, &shown, error);
    if (status == STATUS_OK && shown)
      status = sql_rows_add(rows, (const struct sql_value[]){SQL_VALUE_TEXT(catalog)}, error);
  }
  look_rows_release(&found);
  look_rows_release(&places.tables);
  return status;
}

enum status look_schemas(const struct flight_look *look, const char *wanted, const char *pattern,
                         struct sql_rows *rows, struct error *error) {
  struct look_rows found = LOOK_ROWS_EMPTY;
  struct places places;
  bool got = true, shown = false;
  enum status status = places_open(look, &places, error);
  if (status == STATUS_OK)
    status = look_rows_read(look,
                            "SELECT database_name, schema_name FROM system.main.duckdb_schemas() "
                            "ORDER BY 1, 2",
                            NULL, &found, error);
  while (status == STATUS_OK) {
    status = look_rows_next(&found, &got, error);
    if (status != STATUS_OK || !got) break;
    const char *catalog = look_rows_cell(&found, LOOK_CATALOG);
    const char *schema = look_rows_cell(&found, LOOK_SCHEMA);
    if (!sql_name_matches(wanted, catalog) || !sql_pattern_matches(pattern, schema)) continue;
    status = is_shown(look, &places, catalog, schema, &shown, error);
    if (status == STATUS_OK && shown)
      status = sql_rows_add(
          rows, (const struct sql_value[]){SQL_VALUE_TEXT(catalog), SQL_VALUE_TEXT(schema)}, error);
  }
  look_rows_release(&found);
  look_rows_release(&places.tables);
  return status;
}

/* ---- lists ---------------------------------------------------------------------------------------- */

enum status look_strings(const struct flight_look *look, enum sql_info_list list,
                         struct sql_info_strings *strings, struct error *error) {
  struct look_rows rows = LOOK_ROWS_EMPTY;
  bool got = true;
  *strings = (struct sql_info_strings){.items = NULL};
  enum status status = look_rows_read(look, sql_info_list_sql(list), NULL, &rows, error);
  while (status == STATUS_OK) {
    status = look_rows_next(&rows, &got, error);
    if (status != STATUS_OK || !got) break;
    char **grown = realloc(strings->items, (strings->count + 1) * sizeof *grown);
    if (grown != NULL) strings->items = grown;
    char *item = grown == NULL ? NULL : strdup(look_rows_cell(&rows, 0));
    if (item == NULL)
      status = error_set(error, STATUS_NOMEM, "no memory for a list");
    else
      strings->items[strings->count++] = item;
  }
  look_rows_release(&rows);
  return status;
}

void look_strings_release(struct sql_info_strings *strings) {
  for (size_t i = 0; i < strings->count; i++) free(strings->items[i]);
  free(strings->items);
  *strings = (struct sql_info_strings){.items = NULL};
}
