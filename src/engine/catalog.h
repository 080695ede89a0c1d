/* What the other files of the engine need of catalog.c. */
#ifndef ARROWPORT_ENGINE_CATALOG_H
#define ARROWPORT_ENGINE_CATALOG_H

#include "engine/private.h"

/* Appends the table's full name in SQL: a name that says its catalog and schema means
 * the same whatever temporary tables and search paths there are. STATUS_NOT_FOUND
 * when it is said to lie in another catalog. */
enum status catalog_table_sql(const struct engine *engine, const struct table_name *name,
                              struct text *out, struct error *error) WARN_UNUSED;

/* The columns of a table; its rows are not counted, nor is it said which columns are
 * generated. */
enum status catalog_columns(struct engine_session *session, const struct table_name *name,
                            struct engine_table *table, struct error *error) WARN_UNUSED;

/* The same of a table whose name is SQL already; errors do not name it. */
enum status catalog_columns_sql(struct engine_session *session, const char *table_sql,
                                struct engine_table *table, struct error *error) WARN_UNUSED;

/* STATUS_UNSUPPORTED names a field whose values a lake does not hold. */
enum status catalog_check_lake(const struct ArrowSchema *schema, struct error *error) WARN_UNUSED;

/* A copy of a text cell that is not NULL; NULL without memory. The caller frees it. */
char *catalog_cell_text(const struct duckdb_api *duckdb, duckdb_data_chunk chunk, idx_t column,
                        idx_t row);

/* Puts the table's name, as people write it, before the error's text. */
void catalog_error_at(struct error *error, const struct table_name *name);

#endif
