/* Loads into an engine session that goes on: in its transaction, into its temporary tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sink/duckdb_session.h"
#include "rows.h"

static struct engine *engine;
static struct engine_session *session;
static struct ArrowSchema schema; /* n: int64, a: text */

static void ok(enum status status, const struct error *error) {
  if (status != STATUS_OK) fail_msg("%s: %s", status_name(status), error->text);
}

static int setup(void **state) {
  (void)state;
  struct error error = {0};
  ok(engine_open(&(struct engine_options){.threads = 2}, &engine, &error), &error);
  ok(engine_session_open(engine, &session, &error), &error);
  rows_schema("na", &schema);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  engine_session_close(session);
  engine_close(engine);
  arrow_schema_release(&schema);
  return rows_budget.used_bytes == 0 ? 0 : 1;
}

/* The first number that a statement answers with. */
static int64_t number(struct engine_session *in, const char *sql) {
  struct error error = {0};
  struct engine_result *result = NULL;
  struct ArrowArray batch;
  const struct engine_query query = {.sql = sql};
  ok(engine_query(in, &query, &result, &error), &error);
  ok(engine_result_next(result, &batch, &error), &error);
  int64_t value = ((const int64_t *)batch.children[0]->buffers[1])[0];
  arrow_array_release(&batch);
  engine_result_close(result);
  return value;
}

static void run(struct engine_session *in, const char *sql) {
  struct error error = {0};
  struct engine_result *result = NULL;
  const struct engine_query query = {.sql = sql};
  ok(engine_query(in, &query, &result, &error), &error);
  engine_result_close(result);
}

static enum status load(const struct sink_session_options *options, const char *table,
                        enum sink_mode mode, bool create, bool commits, int64_t first,
                        struct error *error) {
  struct sink *sink = NULL;
  struct load *load = NULL;
  struct load_result result;
  struct load_spec spec = {.schema = &schema, .mode = mode, .create_table = create};
  const struct row rows[2] = {{.n = first, .a = "x"}, {.n = first + 1, .a = "y"}};
  snprintf(spec.table.table, sizeof spec.table.table, "%s", table);
  ok(sink_session_open(session, options, &sink, error), error);
  enum status status = load_begin(sink, &spec, &load, error);
  if (status == STATUS_OK) {
    struct ArrowArray batch = rows_batch(&schema, "na", rows, 2);
    status = load_append(load, &batch, error);
    if (status != STATUS_OK) arrow_array_release(&batch);
    if (status == STATUS_OK) status = load_flush(load, error);
    if (status == STATUS_OK && commits) {
      status = load_commit(load, &result, error);
      if (status == STATUS_OK) assert_int_equal(result.rows, 2);
    } else {
      load_abort(load);
    }
  }
  sink_close(sink);
  return status;
}

static void test_rows_are_in_the_transaction_and_go_with_it(void **state) {
  (void)state;
  struct error error = {0};
  struct engine_session *other = NULL;
  const struct sink_session_options within = {.within = true};
  ok(engine_session_open(engine, &other, &error), &error);
  run(session, "CREATE TABLE t (n BIGINT, a VARCHAR)");
  ok(engine_begin(session, &error), &error);
  ok(load(&within, "t", SINK_APPEND, false, true, 1, &error), &error);
  ok(load(&within, "t", SINK_APPEND, false, true, 3, &error), &error);
  assert_int_equal(number(other, "SELECT count(*) FROM t"), 0);
  ok(engine_commit(session, &error), &error);
  assert_int_equal(number(other, "SELECT count(*) FROM t"), 4);
  ok(engine_begin(session, &error), &error);
  ok(load(&within, "t", SINK_OVERWRITE, false, true, 5, &error), &error);
  ok(load(&within, "made", SINK_APPEND, true, true, 5, &error), &error);
  engine_rollback(session);
  assert_int_equal(number(other, "SELECT count(*) FROM t"), 4);
  assert_int_equal(number(other, "SELECT count(*) FROM duckdb_tables()"), 1);
  engine_session_close(other);
}

static void test_a_load_that_is_given_up_within_ends_the_transaction(void **state) {
  (void)state;
  struct error error = {0};
  const struct sink_session_options within = {.within = true};
  run(session, "CREATE TABLE t (n BIGINT, a VARCHAR)");
  ok(engine_begin(session, &error), &error);
  assert_int_equal(load(&within, "missing", SINK_APPEND, false, true, 1, &error), STATUS_NOT_FOUND);
  ok(load(&within, "t", SINK_APPEND, false, false, 1, &error), &error);
  assert_int_equal(number(session, "SELECT count(*) FROM t"), 0);
}

static void test_temporary_tables_are_the_sessions(void **state) {
  (void)state;
  struct error error = {0};
  struct engine_session *other = NULL;
  const struct sink_session_options temporary = {.temporary = true};
  ok(engine_session_open(engine, &other, &error), &error);
  run(session, "CREATE TABLE t (n BIGINT, a VARCHAR)");
  ok(load(&temporary, "t", SINK_APPEND, true, true, 1, &error), &error);
  ok(load(&temporary, "t", SINK_APPEND, true, true, 3, &error), &error);
  ok(load(&temporary, "t", SINK_APPEND, true, false, 5, &error), &error); /* aborted */
  assert_int_equal(number(session, "SELECT count(*) FROM temp.t"), 4);
  assert_int_equal(number(other, "SELECT count(*) FROM t"), 0);
  ok(load(&temporary, "t", SINK_OVERWRITE, true, true, 9, &error), &error);
  assert_int_equal(number(session, "SELECT min(n) FROM temp.t"), 9);
  assert_int_equal(number(session, "SELECT value = 'true' FROM duckdb_settings() "
                                   "WHERE name = 'preserve_insertion_order'") &
                       1,
                   1);
  engine_session_close(other);
}

static void test_what_is_refused(void **state) {
  (void)state;
  struct error error = {0};
  struct sink *sink = NULL;
  struct load *load = NULL;
  static const struct {
    bool temporary;
    const char *catalog, *schema;
    enum schema_policy policy;
    enum sink_mode mode;
    enum status status;
  } cases[] = {
      {false, "", "_arrowport", SCHEMA_SKIP, SINK_APPEND, STATUS_DENIED},
      {false, "temp", "main", SCHEMA_SKIP, SINK_APPEND, STATUS_INVALID},
      {true, "memory", "main", SCHEMA_SKIP, SINK_APPEND, STATUS_INVALID},
      {true, "", "other", SCHEMA_SKIP, SINK_APPEND, STATUS_INVALID},
      {true, "", "", SCHEMA_MERGE, SINK_APPEND, STATUS_UNSUPPORTED},
      {true, "", "", SCHEMA_SKIP, SINK_UPSERT, STATUS_UNSUPPORTED},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct sink_session_options options = {.temporary = cases[i].temporary};
    struct load_spec spec = {.schema = &schema,
                             .mode = cases[i].mode,
                             .policy = cases[i].policy,
                             .create_table = true,
                             .table = {.table = "t"}};
    snprintf(spec.table.catalog, sizeof spec.table.catalog, "%s", cases[i].catalog);
    snprintf(spec.table.schema, sizeof spec.table.schema, "%s", cases[i].schema);
    ok(sink_session_open(session, &options, &sink, &error), &error);
    assert_int_equal(load_begin(sink, &spec, &load, &error), cases[i].status);
    sink_close(sink);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_rows_are_in_the_transaction_and_go_with_it, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_a_load_that_is_given_up_within_ends_the_transaction,
                                      setup, teardown),
      cmocka_unit_test_setup_teardown(test_temporary_tables_are_the_sessions, setup, teardown),
      cmocka_unit_test_setup_teardown(test_what_is_refused, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
