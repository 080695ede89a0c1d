/* Schemas of tables, as a SELECT of them would give them, with what DuckDB's catalog says of each
 * column in its field's metadata.
 *
 * The columns of all tables are read once, in the order in which the tables come, and both are
 * walked side by side: a question for each table would cost the square of them. */
#include <stdlib.h>
#include <string.h>

#include "arrow/schema.h"
#include "flight/sql_types.h"
#include "server/flight_look.h"

enum { CATALOG, SCHEMA, TABLE, COLUMN, TYPE, NULLABLE, DEFAULT, COMMENT };

struct look_columns {
  struct look_rows rows;
  bool got; /* the row's cells are a column that no table has taken yet */
};

enum status look_columns_read(const struct flight_look *look, struct look_columns **columns,
                              struct error *error) {
  static const char sql[] =
      "SELECT database_name, schema_name, table_name, column_name, data_type, "
      "is_nullable::VARCHAR, column_default, comment FROM system.main.duckdb_columns() "
      "WHERE NOT internal ORDER BY 1, 2, 3, column_index";
  *columns = calloc(1, sizeof **columns);
  if (*columns == NULL) return error_set(error, STATUS_NOMEM, "no memory for a catalog");
  enum status status = look_rows_read(look, sql, NULL, &(*columns)->rows, error);
  return status == STATUS_OK ? look_rows_next(&(*columns)->rows, &(*columns)->got, error) : status;
}

void look_columns_free(struct look_columns *columns) {
  if (columns == NULL) return;
  look_rows_release(&columns->rows);
  free(columns);
}

/* ---- what a SELECT gives ------------------------------------------------------------------------- */

static bool is_gone(enum status status) {
  return status == STATUS_INVALID || status == STATUS_NOT_FOUND || status == STATUS_DENIED;
}

/* The schema of `SELECT what FROM table`; `what` NULL: everything. */
static enum status select_schema(const struct flight_look *look, const struct look_rows *table,
                                 const char *what, struct ArrowSchema *out, struct error *error) {
  struct text sql = TEXT_EMPTY;
  struct engine_result *result = NULL;
  enum status status = text_add_format(&sql, error, "SELECT %s FROM ", what == NULL ? "*" : what);
  if (status == STATUS_OK)
    status = look_table_sql(&sql, look_rows_cell(table, LOOK_CATALOG),
                            look_rows_cell(table, LOOK_SCHEMA), look_rows_cell(table, LOOK_TABLE),
                            error);
  if (status == STATUS_OK) status = text_add(&sql, " LIMIT 0", error);
  if (status == STATUS_OK)
    status =
        engine_query(look->session,
                     &(struct engine_query){
                         .sql = sql.data, .read_only = true, .own = true, .within = look->within},
                     &result, error);
  if (status == STATUS_OK) status = arrow_schema_copy(engine_result_schema(result), out, error);
  engine_result_close(result);
  text_release(&sql);
  return status;
}

/* One column, which is text where a result cannot hold its type: what a client gets when it does
 * what the refusal says, cast it to VARCHAR. */
static enum status select_column(const struct flight_look *look, const struct look_rows *table,
                                 const char *name, struct ArrowSchema *out, struct error *error) {
  struct text what = TEXT_EMPTY;
  struct ArrowSchema one = {.release = NULL};
  enum status status = text_add_identifier(&what, name, error);
  if (status == STATUS_OK) status = select_schema(look, table, text_get(&what), &one, error);
  if (status == STATUS_OK) {
    arrow_schema_move(one.children[0], out);
    arrow_schema_release(&one);
  } else if (status == STATUS_UNSUPPORTED || is_gone(status)) {
    status = arrow_schema_init(out, "u", name, true, 0, error);
  }
  text_release(&what);
  return status;
}

/* The names of the table's columns that the walk stands at. */
static enum status column_names(const struct flight_look *look, const struct look_rows *table,
                                struct look_rows *names, struct error *error) {
  struct text sql = TEXT_EMPTY;
  enum status status = text_add(&sql, "SELECT column_name FROM (DESCRIBE ", error);
  if (status == STATUS_OK)
    status = look_table_sql(&sql, look_rows_cell(table, LOOK_CATALOG),
                            look_rows_cell(table, LOOK_SCHEMA), look_rows_cell(table, LOOK_TABLE),
                            error);
  if (status == STATUS_OK) status = text_add(&sql, ")", error);
  if (status == STATUS_OK) status = look_rows_read(look, text_get(&sql), NULL, names, error);
  text_release(&sql);
  return status;
}

static enum status select_each(const struct flight_look *look, const struct look_rows *table,
                               struct ArrowSchema *out, struct error *error) {
  struct look_rows names = LOOK_ROWS_EMPTY;
  int64_t count = 0;
  bool got = true;
  enum status status = column_names(look, table, &names, error);
  for (size_t i = 0; i < names.count; i++) count += names.batches[i].length;
  if (status == STATUS_OK) status = arrow_schema_init(out, "+s", "", false, count, error);
  for (int64_t i = 0; i < count && status == STATUS_OK; i++) {
    status = look_rows_next(&names, &got, error);
    if (status == STATUS_OK)
      status = select_column(look, table, look_rows_cell(&names, 0), out->children[i], error);
  }
  look_rows_release(&names);
  return status;
}

static enum status read_schema(const struct flight_look *look, const struct look_rows *table,
                               struct ArrowSchema *out, struct error *error) {
  enum status status = select_schema(look, table, NULL, out, error);
  if (status == STATUS_UNSUPPORTED) status = select_each(look, table, out, error);
  if (!is_gone(status)) return status;
  arrow_schema_release(out);
  return arrow_schema_init(out, "+s", "", false, 0, error);
}

/* ---- what the catalog says ------------------------------------------------------------------------ */

/* Which columns are computed: the catalog calls their expression a default, DESCRIBE does not. */
static enum status is_generated(const struct flight_look *look, const struct look_rows *column,
                                bool *generated, struct error *error) {
  struct text sql = TEXT_EMPTY;
  struct look_rows found = LOOK_ROWS_EMPTY;
  *generated = false;
  enum status status = text_add(&sql, "SELECT \"default\" FROM (DESCRIBE ", error);
  if (status == STATUS_OK)
    status = look_table_sql(&sql, look_rows_cell(column, CATALOG), look_rows_cell(column, SCHEMA),
                            look_rows_cell(column, TABLE), error);
  if (status == STATUS_OK) status = text_add(&sql, ") WHERE column_name = $1", error);
  if (status == STATUS_OK)
    status = look_rows_read(look, text_get(&sql), look_rows_cell(column, COLUMN), &found, error);
  bool got = false;
  if (status == STATUS_OK) status = look_rows_next(&found, &got, error);
  if (status == STATUS_OK && got) *generated = look_rows_cell(&found, 0) == NULL;
  look_rows_release(&found);
  text_release(&sql);
  return is_gone(status) ? STATUS_OK : status;
}

static enum status describe(const struct flight_look *look, const struct look_rows *row, bool view,
                            struct ArrowSchema *field, struct error *error) {
  const char *value = look_rows_cell(row, DEFAULT), *nullable = look_rows_cell(row, NULLABLE);
  struct sql_column column = {.catalog = look_rows_cell(row, CATALOG),
                              .schema = look_rows_cell(row, SCHEMA),
                              .table = look_rows_cell(row, TABLE),
                              .type = look_rows_cell(row, TYPE),
                              .read_only = view,
                              .remarks = look_rows_cell(row, COMMENT)};
  enum status status = STATUS_OK;
  if (value != NULL && strcmp(value, "NULL") != 0 && !view)
    status = is_generated(look, row, &column.read_only, error);
  column.auto_increment = value != NULL && strncmp(value, "nextval(", 8) == 0;
  if (nullable != NULL && strcmp(nullable, "false") == 0) field->flags &= ~ARROW_FLAG_NULLABLE;
  sql_types_describe(&column);
  return status == STATUS_OK ? sql_column_describe(&column, field, error) : status;
}

static int compare(const struct look_rows *column, const struct look_rows *table) {
  static const int both[][2] = {
      {CATALOG, LOOK_CATALOG}, {SCHEMA, LOOK_SCHEMA}, {TABLE, LOOK_TABLE}};
  int order = 0;
  for (int i = 0; i < 3 && order == 0; i++)
    order = strcmp(look_rows_cell(column, both[i][0]), look_rows_cell(table, both[i][1]));
  return order;
}

/* Describes the fields that the columns at the walk's place are of, and walks past them. */
static enum status describe_all(const struct flight_look *look, struct look_columns *columns,
                                const struct look_rows *table, struct ArrowSchema *schema,
                                struct error *error) {
  bool view = strcmp(look_rows_cell(table, LOOK_TYPE), "VIEW") == 0;
  enum status status = STATUS_OK;
  int64_t field = 0;
  while (columns->got && status == STATUS_OK) {
    int order = compare(&columns->rows, table);
    if (order > 0) break;
    const char *name = look_rows_cell(&columns->rows, COLUMN);
    int64_t at = field;
    while (at < schema->n_children && strcmp(schema->children[at]->name, name) != 0) at++;
    if (order == 0 && at < schema->n_children) {
      status = describe(look, &columns->rows, view, schema->children[at], error);
      field = at + 1;
    }
    if (status == STATUS_OK) status = look_rows_next(&columns->rows, &columns->got, error);
  }
  return status;
}

enum status look_columns_schema(const struct flight_look *look, struct look_columns *columns,
                                const struct look_rows *table, struct buffer *message,
                                struct error *error) {
  struct ArrowSchema schema = {.release = NULL};
  enum status status = read_schema(look, table, &schema, error);
  if (status == STATUS_OK) status = describe_all(look, columns, table, &schema, error);
  if (status == STATUS_OK) status = sql_schema_message(&schema, look->budget, message, error);
  arrow_schema_release(&schema);
  return status;
}
