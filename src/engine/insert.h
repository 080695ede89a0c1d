/* What database.c and upsert.c need of insert.c. */
#ifndef ARROWPORT_ENGINE_INSERT_H
#define ARROWPORT_ENGINE_INSERT_H

#include "engine/private.h"

/* Makes the table function known to the database, by its control connection. */
enum status insert_register(struct engine *engine, struct error *error) WARN_UNUSED;

/* An insert in steps: what engine_insert_open does in one go, for rows that wait elsewhere before
 * they go into their table. Freed by engine_insert_close. The names in `schema` are not looked at
 * here. */
enum status insert_new(struct engine_session *session, const struct ArrowSchema *schema,
                       struct engine_insert **insert, struct error *error) WARN_UNUSED;
/* The column of that number is none of the table's: it says what to do. STATUS_SCHEMA unless it
 * is text. */
enum status insert_set_operation(struct engine_insert *insert, int64_t column,
                                 struct error *error) WARN_UNUSED;
/* Every field against the table's columns. STATUS_SCHEMA as engine_insert_open; columns that the
 * data lacks may be required ones with `lacking_allowed`. */
enum status insert_check(struct engine_insert *insert, const struct engine_table *table,
                         const char *table_sql, bool lacking_allowed,
                         struct error *error) WARN_UNUSED;
/* `numbered`: into a table of as many columns in the schema's order, and one more (BIGINT) that
 * takes the row's number in the load; otherwise into columns by name. */
enum status insert_prepare(struct engine_insert *insert, const char *into_sql, bool numbered,
                           struct error *error) WARN_UNUSED;
/* How many rows its statements have inserted. */
int64_t insert_count(const struct engine_insert *insert);

/* Shows rows to statements that read them by insert_source and run by insert_run, until the next
 * insert_show or engine_insert_rows: the slices and their batches stay where they are so long. A
 * statement reads them once. */
enum status insert_show(struct engine_insert *insert, const struct engine_slice *slices,
                        int64_t slice_count, struct error *error) WARN_UNUSED;
/* Appends what stands behind FROM: the rows as `s`, its columns c0, c1, ... */
enum status insert_source(const struct engine_insert *insert, struct text *sql,
                          struct error *error) WARN_UNUSED;
/* Errors as engine_insert_rows. */
enum status insert_run(struct engine_insert *insert, const char *sql,
                       struct error *error) WARN_UNUSED;

/* Appends the names of the columns that the table has too, quoted, separated by commas. */
enum status insert_columns(const struct engine_insert *insert, struct text *sql,
                           struct error *error) WARN_UNUSED;

#endif
