/* What the tests of tables that follow their data share. */
#ifndef ARROWPORT_TESTS_ENGINE_EVOLVING_H
#define ARROWPORT_TESTS_ENGINE_EVOLVING_H

#include "fixture.h"

/* Fails the test unless the status is STATUS_OK. */
void ok(enum status status, const struct error *error);

/* The schema of a query's answer: Arrow's types by DuckDB's names for them. */
struct ArrowSchema schema_by_sql(const char *sql);

#endif
