/* What Flight SQL's metadata commands see of the database: only what the caller may read. Private to
 * server/; knows no gRPC and no asks, so that tests can look with an engine of their own. All of it
 * runs on a worker. */
#ifndef ARROWPORT_SERVER_FLIGHT_LOOK_H
#define ARROWPORT_SERVER_FLIGHT_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "engine/engine.h"
#include "flight/messages.h"
#include "flight/sql_info.h"
#include "flight/sql_schemas.h"
#include "server/auth.h"

struct flight_look {
  struct engine *engine;
  struct engine_session *session; /* which has the client's temporary tables */
  const struct identity *who;
  struct budget *budget; /* of what is read and built */
  bool within;           /* in a transaction that is the client's */
};

/* ---- what a statement of ours answers with: rows of text (flight_look.c) ----------------------- */

enum { LOOK_COLUMNS_MAX = 10 };

/* Read to the end before they are looked at: the session is free meanwhile. */
struct look_rows {
  struct ArrowArray *batches;
  size_t count, batch; /* the next row is in that one */
  int64_t row;
  int64_t columns;
  struct text cells[LOOK_COLUMNS_MAX]; /* of the row that was taken last */
  bool nulls[LOOK_COLUMNS_MAX];
};
#define LOOK_ROWS_EMPTY ((struct look_rows){.batches = NULL})

/* Every column of the statement is text. `parameter` NULL: it has none. */
enum status look_rows_read(const struct flight_look *look, const char *sql, const char *parameter,
                           struct look_rows *rows, struct error *error) WARN_UNUSED;
/* The next row; false: there is none, or (see `error`'s status) no memory for it. */
enum status look_rows_next(struct look_rows *rows, bool *got, struct error *error) WARN_UNUSED;
const char *look_rows_cell(const struct look_rows *rows, int column); /* NULL: null */
void look_rows_release(struct look_rows *rows);

/* ---- tables (flight_look.c) ------------------------------------------------------------------- */

/* Whether a catalog, a schema, is one of those that clients know: the database, lakes, what is
 * temporary; without DuckDB's internals and our own. */
bool look_knows(const struct flight_look *look, const char *catalog, const char *schema);
/* Whether the caller may read a table; `sure` false: it is a view, or temporary, and only its plan
 * tells. STATUS_OK also for no; a failure is the engine's. */
enum status look_may_read(const struct flight_look *look, const char *catalog, const char *schema,
                          const char *table, bool sure, bool *may, struct error *error) WARN_UNUSED;
/* Appends "catalog"."schema"."table". */
enum status look_table_sql(struct text *sql, const char *catalog, const char *schema,
                           const char *table, struct error *error) WARN_UNUSED;

/* Tables and views that the caller may read, by catalog, schema and name; the row's cells are: */
enum look_table { LOOK_CATALOG, LOOK_SCHEMA, LOOK_TABLE, LOOK_TYPE };
struct look_filter {
  const char *catalog, *schema_pattern, *table_pattern; /* NULL: all */
  char *const *types;                                   /* type_count 0: all */
  size_t type_count;
};
enum status look_tables_read(const struct flight_look *look, struct look_rows *tables,
                             struct error *error) WARN_UNUSED;
enum status look_tables_next(const struct flight_look *look, const struct look_filter *filter,
                             struct look_rows *tables, bool *got, struct error *error) WARN_UNUSED;
extern const char *const LOOK_TABLE_TYPES[]; /* ascending; ends with NULL */

/* ---- rows of the results ---------------------------------------------------------------------- */

enum status look_catalogs(const struct flight_look *look, struct sql_rows *rows,
                          struct error *error) WARN_UNUSED;
enum status look_schemas(const struct flight_look *look, const char *catalog, const char *pattern,
                         struct sql_rows *rows, struct error *error) WARN_UNUSED;
/* With the tables' schemas (flight_columns.c) where `with_schema`. */
enum status look_tables(const struct flight_look *look, const struct look_filter *filter,
                        bool with_schema, struct sql_rows *rows, struct error *error) WARN_UNUSED;

/* Keys (flight_keys.c). A table as a command names it: catalog and schema NULL where they are not said. */
struct look_key_table {
  const char *catalog, *schema, *table; /* `table` NULL: any, where the other one is said */
};
enum status look_primary_keys(const struct flight_look *look, const struct look_key_table *table,
                              struct sql_rows *rows, struct error *error) WARN_UNUSED;
/* `by_foreign`: ordered as exported keys are, otherwise as imported ones and cross references. */
enum status look_foreign_keys(const struct flight_look *look, const struct look_key_table *primary,
                              const struct look_key_table *foreign, bool by_foreign,
                              struct sql_rows *rows, struct error *error) WARN_UNUSED;

/* A list of SqlInfo; look_strings_release frees it, also after a failure. */
enum status look_strings(const struct flight_look *look, enum sql_info_list list,
                         struct sql_info_strings *strings, struct error *error) WARN_UNUSED;
void look_strings_release(struct sql_info_strings *strings);

/* ---- schemas of tables (flight_columns.c) ------------------------------------------------------- */

struct look_columns;

/* Reads the columns of everything that is there. */
enum status look_columns_read(const struct flight_look *look, struct look_columns **columns,
                              struct error *error) WARN_UNUSED;
/* The schema of a table as an IPC message; tables come in ascending order. One that is not there any
 * more, and a view that its tables have left behind, have no fields. */
enum status look_columns_schema(const struct flight_look *look, struct look_columns *columns,
                                const struct look_rows *table, struct buffer *message,
                                struct error *error) WARN_UNUSED;
void look_columns_free(struct look_columns *columns); /* NULL is allowed */

#endif
