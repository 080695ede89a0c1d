/* A database in memory, SQL by the line, and batches from columns: what the tests of
 * the engine share. */
#ifndef ARROWPORT_TESTS_ENGINE_FIXTURE_H
#define ARROWPORT_TESTS_ENGINE_FIXTURE_H

#include "arrow/build.h"
#include "engine/engine.h"

extern struct engine *fixture_engine; /* in memory, made for each test */
extern struct engine_session *fixture_session;
extern struct budget fixture_budget;

int fixture_setup(void **state);
int fixture_teardown(void **state);

struct table_name table_named(const char *table);

/* Runs `sql` and fails the test when it fails. */
void run(const char *sql);
/* Runs `sql`; what it returned, and its text in `error`. */
enum status run_status(const char *sql, struct error *error);
/* Asserts that `sql` answers with one row of one integer or text column. */
void expect_integer(const char *sql, int64_t want);
void expect_text(const char *sql, const char *want);

/* A schema of one field, or of `count` fields; formats as in the C data interface. */
struct field {
  const char *name, *format;
};
struct ArrowSchema schema_of(const struct field *fields, int64_t count);

/* Lands one batch (which it takes) in a table that is created when missing. */
enum status land(const char *table, const struct ArrowSchema *schema, struct ArrowArray *batch,
                 struct error *error);

#endif
