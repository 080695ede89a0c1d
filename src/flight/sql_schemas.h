/* What Flight SQL's metadata commands answer with: the Arrow schemas that FlightSql.proto gives in its
 * comments, rows of them, what is said of a table's column, and the patterns that filter names. No
 * I/O; nothing here knows a database. */
#ifndef ARROWPORT_FLIGHT_SQL_SCHEMAS_H
#define ARROWPORT_FLIGHT_SQL_SCHEMAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "base/buffer.h"
#include "base/status.h"

enum sql_result {
  SQL_RESULT_CATALOGS,
  SQL_RESULT_DB_SCHEMAS,
  SQL_RESULT_TABLES,
  SQL_RESULT_TABLES_WITH_SCHEMA,
  SQL_RESULT_TABLE_TYPES,
  SQL_RESULT_PRIMARY_KEYS,
  SQL_RESULT_FOREIGN_KEYS, /* exported and imported keys, cross references */
  SQL_RESULT_TYPE_INFO,
  SQL_RESULT_INFO,
};

/* The schema of a result: a struct, which the caller releases. STATUS_NOMEM. */
enum status sql_result_schema(enum sql_result result, struct ArrowSchema *out,
                              struct error *error) WARN_UNUSED;

/* ---- rows ------------------------------------------------------------------------------------ */

enum sql_value_kind { SQL_NULL, SQL_TEXT, SQL_BYTES, SQL_INTEGER, SQL_LIST };
struct sql_value {
  enum sql_value_kind kind;
  const char *text;        /* NULL: as SQL_NULL */
  const void *data;        /* of SQL_BYTES, `bytes` long */
  int64_t bytes;           /* likewise */
  int64_t integer;         /* also of bool columns */
  const char *const *list; /* of text; ends with NULL */
};
#define SQL_VALUE_NULL ((struct sql_value){.kind = SQL_NULL})
#define SQL_VALUE_TEXT(string)                                                                     \
  ((struct sql_value){.kind = (string) == NULL ? SQL_NULL : SQL_TEXT, .text = (string)})
#define SQL_VALUE_INTEGER(number) ((struct sql_value){.kind = SQL_INTEGER, .integer = (number)})

struct sql_rows;

/* For every result but SQL_RESULT_INFO. `budget` is charged for the batches until they are released. */
enum status sql_rows_new(enum sql_result result, struct budget *budget, struct sql_rows **rows,
                         struct error *error) WARN_UNUSED;
/* One row more: a value for each column, in their order; nothing of it is kept. After a failure the
 * rows are of no use. STATUS_BUDGET, STATUS_NOMEM; STATUS_SCHEMA for a value that is not the column's. */
enum status sql_rows_add(struct sql_rows *rows, const struct sql_value *values,
                         struct error *error) WARN_UNUSED;
/* Moves out what was added, as batches that are small enough for every client's message limit; none
 * when there are no rows. All is the caller's: the schema, the batches and their list (free). */
enum status sql_rows_finish(struct sql_rows *rows, struct ArrowSchema *schema,
                            struct ArrowArray **batches, size_t *count,
                            struct error *error) WARN_UNUSED;
void sql_rows_free(struct sql_rows *rows); /* NULL is allowed */

/* ---- schemas of tables ------------------------------------------------------------------------- */

/* What the metadata of a table_schema's field says (the keys ARROW:FLIGHT:SQL:*). */
struct sql_column {
  const char *catalog, *schema, *table;
  const char *type;         /* as the database writes it: "DECIMAL(18,3)" */
  int32_t precision, scale; /* -1: not said */
  bool auto_increment, case_sensitive, read_only;
  const char *remarks; /* NULL: none */
};
/* Adds it to what the field's metadata says already. `field` was made by arrow_schema_init or
 * arrow_schema_copy. */
enum status sql_column_describe(const struct sql_column *column, struct ArrowSchema *field,
                                struct error *error) WARN_UNUSED;

/* The schema as an encapsulated IPC message; `out` is the caller's. */
enum status sql_schema_message(const struct ArrowSchema *schema, struct budget *budget,
                               struct buffer *out, struct error *error) WARN_UNUSED;

/* ---- names ----------------------------------------------------------------------------------- */

/* What is put before '%', '_' and itself in a pattern where they stand for themselves. */
#define SQL_PATTERN_ESCAPE "\\"

/* Whether a pattern matches the whole name: '%' is any characters, '_' is one. Upper and lower case
 * of ASCII letters are the same, as they are in the database's identifiers. NULL matches everything. */
bool sql_pattern_matches(const char *pattern, const char *name);
/* Whether the names are the same identifier; a `wanted` of NULL is every name, "" is none. */
bool sql_name_matches(const char *wanted, const char *name);

#endif
