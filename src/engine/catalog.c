/* Tables: what they look like, and making one from an Arrow schema. */
#include "engine/catalog.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/lake.h"
#include "engine/types.h"

void catalog_error_at(struct error *error, const struct table_name *name) {
  struct text text = TEXT_EMPTY;
  struct error ignored;
  if (table_name_print(name, &text, &ignored) == STATUS_OK)
    error_at(error, "table %s", text_get(&text));
  text_release(&text);
}

/* The catalog that a name says: this database, a lake, or where the session's temporary tables are.
 * NULL: there is none of that name. */
static const char *catalog_of(const struct engine *engine, const struct table_name *name) {
  const struct lake *lake = lake_find(engine, name->catalog);
  if (lake != NULL) return lake->name;
  if (name->catalog[0] == '\0' || strcasecmp(name->catalog, engine->name) == 0) return engine->name;
  return strcasecmp(name->catalog, "temp") == 0 ? "temp" : NULL;
}

enum status catalog_table_sql(const struct engine *engine, const struct table_name *name,
                              struct text *out, struct error *error) {
  const char *catalog = catalog_of(engine, name);
  if (catalog == NULL)
    return error_set(error, STATUS_NOT_FOUND, "there is no catalog \"%s\"; this database is \"%s\"",
                     name->catalog, engine->name);
  enum status status = text_add_identifier(out, catalog, error);
  if (status == STATUS_OK) status = text_add(out, ".", error);
  if (status == STATUS_OK)
    status = text_add_identifier(out, name->schema[0] != '\0' ? name->schema : "main", error);
  if (status == STATUS_OK) status = text_add(out, ".", error);
  if (status == STATUS_OK) status = text_add_identifier(out, name->table, error);
  return status;
}

/* ---- reading DuckDB's answers ------------------------------------------------------ */

static bool cell_is_valid(const struct duckdb_api *duckdb, duckdb_vector vector, idx_t row) {
  const uint64_t *bits = duckdb->vector_get_validity(vector);
  return bits == NULL || ((bits[row >> 6] >> (row & 63)) & 1);
}

char *catalog_cell_text(const struct duckdb_api *duckdb, duckdb_data_chunk chunk, idx_t column,
                        idx_t row) {
  duckdb_vector vector = duckdb->data_chunk_get_vector(chunk, column);
  const duckdb_string_t *string = (duckdb_string_t *)duckdb->vector_get_data(vector) + row;
  uint32_t bytes = string->value.inlined.length;
  const char *data = bytes <= 12 ? string->value.inlined.inlined : string->value.pointer.ptr;
  return strndup(data, bytes);
}

/* One row of DESCRIBE: column_name, column_type, null, key, default, extra. */
static enum status read_column(const struct duckdb_api *duckdb, duckdb_data_chunk chunk, idx_t row,
                               struct engine_column *column, struct error *error) {
  column->name = catalog_cell_text(duckdb, chunk, 0, row);
  column->type = catalog_cell_text(duckdb, chunk, 1, row);
  char *null = catalog_cell_text(duckdb, chunk, 2, row);
  column->nullable = null != NULL && strcmp(null, "YES") == 0;
  free(null);
  if (column->name == NULL || column->type == NULL || null == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for a table's columns");
  /* A lake says NULL where a column has no default: it is what becomes of it, either way. */
  char *value = cell_is_valid(duckdb, duckdb->data_chunk_get_vector(chunk, 4), row)
                    ? catalog_cell_text(duckdb, chunk, 4, row)
                    : NULL;
  column->has_default = value != NULL && strcmp(value, "NULL") != 0;
  free(value);
  return STATUS_OK;
}

static enum status read_columns(struct engine_session *session, duckdb_result result,
                                struct engine_table *table, struct error *error) {
  const struct duckdb_api *duckdb = session->duckdb;
  enum status status = STATUS_OK;
  duckdb_data_chunk chunk;
  while (status == STATUS_OK && (chunk = duckdb->fetch_chunk(result)) != NULL) {
    idx_t rows = duckdb->data_chunk_get_size(chunk);
    size_t wanted = (size_t)table->column_count + rows;
    struct engine_column *grown = realloc(table->columns, wanted * sizeof *grown);
    if (grown == NULL) {
      status = error_set(error, STATUS_NOMEM, "no memory for a table's columns");
    } else {
      table->columns = grown;
      for (idx_t row = 0; row < rows && status == STATUS_OK; row++) {
        struct engine_column *column = &table->columns[table->column_count];
        *column = (struct engine_column){0};
        table->column_count++;
        status = read_column(duckdb, chunk, row, column, error);
      }
    }
    duckdb->destroy_data_chunk(&chunk);
  }
  return status;
}

enum status catalog_columns_sql(struct engine_session *session, const char *table_sql,
                                struct engine_table *table, struct error *error) {
  struct text sql = TEXT_EMPTY;
  const struct duckdb_api *duckdb = session->duckdb;
  duckdb_result result = {0};
  *table = (struct engine_table){0};
  enum status status = text_add_format(&sql, error, "DESCRIBE %s", table_sql);
  if (status != STATUS_OK) goto done;
  if (duckdb->query(session->connection, sql.data, &result) != DuckDBSuccess) {
    const char *message = duckdb->result_error(&result);
    status = message != NULL && strncmp(message, "Catalog Error", 13) == 0
                 ? error_set(error, STATUS_NOT_FOUND, "there is no such table")
                 : failure_set(NULL, error, message);
    goto done;
  }
  status = read_columns(session, result, table, error);

done:
  if (status != STATUS_OK) engine_table_release(table);
  duckdb->destroy_result(&result);
  text_release(&sql);
  return status;
}

enum status catalog_columns(struct engine_session *session, const struct table_name *name,
                            struct engine_table *table, struct error *error) {
  struct text table_sql = TEXT_EMPTY;
  *table = (struct engine_table){0};
  enum status status = catalog_table_sql(session->engine, name, &table_sql, error);
  if (status == STATUS_OK) status = catalog_columns_sql(session, table_sql.data, table, error);
  if (status != STATUS_OK) catalog_error_at(error, name);
  text_release(&table_sql);
  return status;
}

void engine_table_release(struct engine_table *table) {
  for (int64_t i = 0; i < table->column_count; i++) {
    free(table->columns[i].name);
    free(table->columns[i].type);
  }
  free(table->columns);
  *table = (struct engine_table){0};
}

/* Appends a condition on the catalog's functions that only the table's row meets. */
static enum status add_condition(const struct engine *engine, struct text *sql,
                                 const struct table_name *name, struct error *error) {
  const char *catalog = catalog_of(engine, name);
  enum status status = text_add(sql, " WHERE database_name = ", error);
  if (status == STATUS_OK)
    status = text_add_literal(sql, catalog != NULL ? catalog : engine->name, error);
  if (status == STATUS_OK) status = text_add(sql, " AND lower(schema_name) = lower(", error);
  if (status == STATUS_OK)
    status = text_add_literal(sql, name->schema[0] != '\0' ? name->schema : "main", error);
  if (status == STATUS_OK) status = text_add(sql, ") AND lower(table_name) = lower(", error);
  if (status == STATUS_OK) status = text_add_literal(sql, name->table, error);
  if (status == STATUS_OK) status = text_add(sql, ")", error);
  return status;
}

/* How many rows there are. A view has no such row in the catalog. */
static void read_count(const struct duckdb_api *duckdb, duckdb_result result,
                       struct engine_table *table) {
  duckdb_data_chunk chunk = duckdb->fetch_chunk(result);
  if (chunk == NULL) return;
  if (duckdb->data_chunk_get_size(chunk) > 0)
    table->rows = ((int64_t *)duckdb->vector_get_data(duckdb->data_chunk_get_vector(chunk, 0)))[0];
  duckdb->destroy_data_chunk(&chunk);
}

/* Which columns are generated: the catalog lists their expression as a default, which
 * DESCRIBE does not. */
static void read_generated(const struct duckdb_api *duckdb, duckdb_result result,
                           struct engine_table *table) {
  duckdb_data_chunk chunk;
  while ((chunk = duckdb->fetch_chunk(result)) != NULL) {
    for (idx_t row = 0; row < duckdb->data_chunk_get_size(chunk); row++) {
      char *name = catalog_cell_text(duckdb, chunk, 0, row);
      for (int64_t i = 0; name != NULL && i < table->column_count; i++)
        if (strcmp(name, table->columns[i].name) == 0 && !table->columns[i].has_default)
          table->columns[i].generated = true;
      free(name);
    }
    duckdb->destroy_data_chunk(&chunk);
  }
}

static enum status
ask(struct engine_session *session, const char *select, const struct table_name *name,
    const char *rest, void (*read)(const struct duckdb_api *, duckdb_result, struct engine_table *),
    struct engine_table *table, struct error *error) {
  const struct duckdb_api *duckdb = session->duckdb;
  struct text sql = TEXT_EMPTY;
  duckdb_result result = {0};
  enum status status = text_add(&sql, select, error);
  if (status == STATUS_OK) status = add_condition(session->engine, &sql, name, error);
  if (status == STATUS_OK) status = text_add(&sql, rest, error);
  if (status == STATUS_OK) {
    if (duckdb->query(session->connection, sql.data, &result) == DuckDBSuccess)
      read(duckdb, result, table);
    else
      status = failure_set(NULL, error, duckdb->result_error(&result));
    duckdb->destroy_result(&result);
  }
  text_release(&sql);
  return status;
}

enum status engine_table_info(struct engine_session *session, const struct table_name *name,
                              struct engine_table *table, struct error *error) {
  enum status status = catalog_columns(session, name, table, error);
  if (status != STATUS_OK) return status;
  status = ask(session, "SELECT estimated_size FROM system.main.duckdb_tables()", name, "",
               read_count, table, error);
  if (status == STATUS_OK)
    status = ask(session, "SELECT column_name FROM system.main.duckdb_columns()", name,
                 " AND column_default IS NOT NULL AND column_default <> 'NULL'", read_generated,
                 table, error);
  if (status != STATUS_OK) engine_table_release(table);
  return status;
}

/* ---- creating ------------------------------------------------------------------------ */

static enum status add_columns(struct text *sql, const struct ArrowSchema *schema,
                               struct error *error) {
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < schema->n_children && status == STATUS_OK; i++) {
    if (i > 0) status = text_add(sql, ", ", error);
    if (status == STATUS_OK) status = text_add_identifier(sql, schema->children[i]->name, error);
    if (status == STATUS_OK) status = text_add(sql, " ", error);
    if (status == STATUS_OK) status = engine_type_of(schema->children[i], sql, error);
  }
  return status;
}

enum status catalog_check_lake(const struct ArrowSchema *schema, struct error *error) {
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < schema->n_children && status == STATUS_OK; i++) {
    struct landing landing;
    status = landing_init(&landing, NULL, schema->children[i], error);
    if (status != STATUS_OK) break;
    status = lake_check(&landing, NULL, error);
    landing_release(&landing);
  }
  return status;
}

enum status engine_create_check(struct engine_session *session, const struct table_name *name,
                                const struct ArrowSchema *schema, struct error *error) {
  struct text sql = TEXT_EMPTY;
  enum status status = types_check_names(schema, error);
  if (status == STATUS_OK && lake_find(session->engine, name->catalog) != NULL)
    status = catalog_check_lake(schema, error);
  if (status == STATUS_OK) status = add_columns(&sql, schema, error);
  text_release(&sql);
  return status;
}

enum status engine_create_table(struct engine_session *session, const struct table_name *name,
                                const struct ArrowSchema *schema, struct error *error) {
  struct text sql = TEXT_EMPTY;
  enum status status = types_check_names(schema, error);
  writers_join(session);
  lake_enter(session, name);
  if (status == STATUS_OK && session->lake != NULL) status = catalog_check_lake(schema, error);
  bool temporary = strcasecmp(name->catalog, "temp") == 0;
  if (status == STATUS_OK)
    status = text_add(&sql, temporary ? "CREATE TEMPORARY TABLE " : "CREATE TABLE ", error);
  if (status == STATUS_OK) status = catalog_table_sql(session->engine, name, &sql, error);
  if (status == STATUS_OK) status = text_add(&sql, " (", error);
  if (status == STATUS_OK) status = add_columns(&sql, schema, error);
  if (status == STATUS_OK) status = text_add(&sql, ")", error);
  if (status != STATUS_OK) goto done;
  status = session_run(session, sql.data, error);
  if (status == STATUS_INVALID && error != NULL) {
    if (strstr(error->text, "already exists") != NULL)
      status = error_set(error, STATUS_CONFLICT, "there is a table or view of that name already");
    else if (strstr(error->text, "Schema with name") != NULL)
      status = error_set(error, STATUS_NOT_FOUND,
                         "there is no schema \"%s\"; make it with CREATE SCHEMA", name->schema);
  }

done:
  if (status != STATUS_OK) catalog_error_at(error, name);
  text_release(&sql);
  return status;
}

enum status engine_empty_table(struct engine_session *session, const struct table_name *name,
                               struct error *error) {
  struct text sql = TEXT_EMPTY;
  writers_join(session);
  lake_enter(session, name);
  enum status status = text_add(&sql, "DELETE FROM ", error);
  if (status == STATUS_OK) status = catalog_table_sql(session->engine, name, &sql, error);
  if (status == STATUS_OK) status = session_run(session, sql.data, error);
  if (status != STATUS_OK) catalog_error_at(error, name);
  text_release(&sql);
  return status;
}
