/* DuckDB for the tests that prove what is said of its SQL. */
#ifndef ARROWPORT_TESTS_FLIGHT_SQL_ENGINE_H
#define ARROWPORT_TESTS_FLIGHT_SQL_ENGINE_H

#include "engine/engine.h"

extern struct engine *sql_engine;
extern struct engine_session *sql_session;

/* For a group of tests. */
int sql_engine_setup(void **state);
int sql_engine_teardown(void **state);

/* Runs a statement as a client's; what it returned, and in `error` why. */
enum status sql_try(const char *sql, struct error *error);
void sql_run(const char *sql);
/* The text of the first row's first column, at most `size` bytes; "NULL". */
void sql_text(const char *sql, char *text, size_t size);
/* The same of a statement of ours, which may say what a client's must not. */
void sql_own_text(const char *sql, char *text, size_t size);

#endif
