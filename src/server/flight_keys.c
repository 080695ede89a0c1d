/* Primary and foreign keys, of DuckDB's list of constraints. A foreign key of DuckDB is in the schema
 * of the table that it refers to, and refuses what would break it at once: NO ACTION, both ways. */
#include <stdlib.h>
#include <string.h>

#include "server/flight_look.h"

enum { NO_ACTION = ARROW__FLIGHT__PROTOCOL__SQL__UPDATE_DELETE_RULES__NO_ACTION };

static bool is_table(const struct look_key_table *table, const char *catalog, const char *schema,
                     const char *name) {
  return sql_name_matches(table->catalog, catalog) && sql_name_matches(table->schema, schema) &&
         sql_name_matches(table->table, name);
}

/* A cell that is a small number, as a value. */
static struct sql_value number(const struct look_rows *rows, int column) {
  return SQL_VALUE_INTEGER(strtol(look_rows_cell(rows, column), NULL, 10));
}

enum status look_primary_keys(const struct flight_look *look, const struct look_key_table *table,
                              struct sql_rows *rows, struct error *error) {
  static const char sql[] =
      "SELECT database_name, schema_name, table_name, c, constraint_name, seq::VARCHAR FROM "
      "(SELECT database_name, schema_name, table_name, constraint_name, "
      "unnest(constraint_column_names) AS c, generate_subscripts(constraint_column_names, 1) AS "
      "seq "
      "FROM system.main.duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY' "
      "AND lower(table_name) = lower($1)) "
      "ORDER BY database_name, schema_name, table_name, constraint_name, seq";
  enum { CATALOG, SCHEMA, TABLE, COLUMN, KEY, SEQUENCE };
  struct look_rows keys = LOOK_ROWS_EMPTY;
  bool got = true;
  enum status status = look_rows_read(look, sql, table->table, &keys, error);
  while (status == STATUS_OK) {
    status = look_rows_next(&keys, &got, error);
    if (status != STATUS_OK || !got) break;
    const char *catalog = look_rows_cell(&keys, CATALOG);
    const char *schema = look_rows_cell(&keys, SCHEMA);
    const char *name = look_rows_cell(&keys, TABLE);
    bool may = false;
    if (!is_table(table, catalog, schema, name)) continue;
    status = look_may_read(look, catalog, schema, name, true, &may, error);
    if (status == STATUS_OK && may)
      status =
          sql_rows_add(rows,
                       (const struct sql_value[]){
                           SQL_VALUE_TEXT(catalog), SQL_VALUE_TEXT(schema), SQL_VALUE_TEXT(name),
                           SQL_VALUE_TEXT(look_rows_cell(&keys, COLUMN)),
                           SQL_VALUE_TEXT(look_rows_cell(&keys, KEY)), number(&keys, SEQUENCE)},
                       error);
  }
  look_rows_release(&keys);
  return status;
}

/* ---- foreign keys ---------------------------------------------------------------------------------- */

enum { CATALOG, SCHEMA, PK_TABLE, PK_COLUMN, FK_TABLE, FK_COLUMN, SEQUENCE, FK_KEY, PK_KEY };

/* The names of the key and the table that are referred to, as the catalog spells them. */
#define REFERRED(what)                                                                             \
  "(SELECT first(p." what " ORDER BY p.constraint_type) FROM keys p "                              \
  "WHERE p.database_name = f.database_name AND p.schema_name = f.schema_name "                     \
  "AND lower(p.table_name) = lower(f.referenced_table) "                                           \
  "AND p.constraint_type IN ('PRIMARY KEY', 'UNIQUE') "                                            \
  "AND list_transform(p.constraint_column_names, lambda c: lower(c)) = "                           \
  "list_transform(f.referenced_column_names, lambda c: lower(c)))"
#define FOREIGN_KEYS                                                                               \
  "WITH keys AS MATERIALIZED (SELECT * FROM system.main.duckdb_constraints()), "                   \
  "foreign_keys AS (SELECT f.database_name, f.schema_name, "                                       \
  "coalesce(" REFERRED(                                                                            \
      "table_name") ", f.referenced_table) AS pk_table, f.table_name, "                            \
                    "unnest(coalesce(" REFERRED(                                                   \
                        "constraint_column_names") ", f.referenced_column_names)) "                \
                                                   "AS pk_column, "                                \
                                                   "unnest(f.constraint_column_names) AS "         \
                                                   "fk_column, "                                   \
                                                   "generate_subscripts(f.constraint_column_"      \
                                                   "names, 1) AS seq, f.constraint_name AS "       \
                                                   "fk_key, " REFERRED(                            \
                                                       "constraint_name") " AS pk_key FROM keys "  \
                                                                          "f WHERE "               \
                                                                          "f.constraint_type = "   \
                                                                          "'FOREIGN KEY') "        \
                                                                          "SELECT database_name, " \
                                                                          "schema_name, "          \
                                                                          "pk_table, pk_column, "  \
                                                                          "table_name, "           \
                                                                          "fk_column, "            \
                                                                          "seq::VARCHAR, "         \
                                                                          "fk_key, pk_key FROM "   \
                                                                          "foreign_keys WHERE "    \
                                                                          "lower($1) IN "          \
                                                                          "(lower(pk_table), "     \
                                                                          "lower(table_name)) "

static enum status add_foreign(const struct look_rows *keys, struct sql_rows *rows,
                               struct error *error) {
  const struct sql_value values[] = {
      SQL_VALUE_TEXT(look_rows_cell(keys, CATALOG)),
      SQL_VALUE_TEXT(look_rows_cell(keys, SCHEMA)),
      SQL_VALUE_TEXT(look_rows_cell(keys, PK_TABLE)),
      SQL_VALUE_TEXT(look_rows_cell(keys, PK_COLUMN)),
      SQL_VALUE_TEXT(look_rows_cell(keys, CATALOG)),
      SQL_VALUE_TEXT(look_rows_cell(keys, SCHEMA)),
      SQL_VALUE_TEXT(look_rows_cell(keys, FK_TABLE)),
      SQL_VALUE_TEXT(look_rows_cell(keys, FK_COLUMN)),
      number(keys, SEQUENCE),
      SQL_VALUE_TEXT(look_rows_cell(keys, FK_KEY)),
      SQL_VALUE_TEXT(look_rows_cell(keys, PK_KEY)),
      SQL_VALUE_INTEGER(NO_ACTION),
      SQL_VALUE_INTEGER(NO_ACTION),
  };
  return sql_rows_add(rows, values, error);
}

enum status look_foreign_keys(const struct flight_look *look, const struct look_key_table *primary,
                              const struct look_key_table *foreign, bool by_foreign,
                              struct sql_rows *rows, struct error *error) {
  static const char exported[] =
      FOREIGN_KEYS "ORDER BY database_name, schema_name, table_name, fk_key, seq, pk_table";
  static const char imported[] =
      FOREIGN_KEYS "ORDER BY database_name, schema_name, pk_table, pk_key, seq, table_name, fk_key";
  struct look_rows keys = LOOK_ROWS_EMPTY;
  bool got = true;
  const char *one = primary->table != NULL ? primary->table : foreign->table;
  enum status status = look_rows_read(look, by_foreign ? exported : imported, one, &keys, error);
  while (status == STATUS_OK) {
    status = look_rows_next(&keys, &got, error);
    if (status != STATUS_OK || !got) break;
    const char *catalog = look_rows_cell(&keys, CATALOG), *schema = look_rows_cell(&keys, SCHEMA);
    const char *pk = look_rows_cell(&keys, PK_TABLE), *fk = look_rows_cell(&keys, FK_TABLE);
    bool may = false, too = false;
    if (!is_table(primary, catalog, schema, pk) || !is_table(foreign, catalog, schema, fk))
      continue;
    status = look_may_read(look, catalog, schema, pk, true, &may, error);
    if (status == STATUS_OK) status = look_may_read(look, catalog, schema, fk, true, &too, error);
    if (status == STATUS_OK && may && too) status = add_foreign(&keys, rows, error);
  }
  look_rows_release(&keys);
  return status;
}
