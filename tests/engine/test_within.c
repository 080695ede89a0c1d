#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "engine/private.h"
#include "fixture.h"

static void ok(enum status status, const struct error *error) {
  if (status != STATUS_OK) fail_msg("%s: %s", status_name(status), error->text);
}

/* Runs a client's statement within the transaction and draws its answer: how many rows. */
static enum status ask(struct engine_session *session, struct engine_query query, int64_t *rows,
                       struct error *error) {
  struct engine_result *result = NULL;
  query.within = true;
  *rows = 0;
  enum status status = engine_query(session, &query, &result, error);
  while (status == STATUS_OK) {
    struct ArrowArray batch;
    status = engine_result_next(result, &batch, error);
    if (status != STATUS_OK || batch.release == NULL) break;
    *rows += batch.length;
    arrow_array_release(&batch);
  }
  engine_result_close(result);
  return status;
}

static int64_t within(const char *sql) {
  struct error error = {0};
  int64_t rows;
  enum status status = ask(fixture_session, (struct engine_query){.sql = sql}, &rows, &error);
  if (status != STATUS_OK) fail_msg("%s: %s", sql, error.text);
  return rows;
}

static enum status within_fails(const char *sql, struct error *error) {
  int64_t rows;
  return ask(fixture_session, (struct engine_query){.sql = sql}, &rows, error);
}

static void begin(bool read_only) {
  struct error error = {0};
  ok(engine_begin_client(fixture_session, read_only, &error), &error);
  assert_true(engine_transaction_open(fixture_session));
}

static void commit(void) {
  struct error error = {0};
  ok(engine_commit(fixture_session, &error), &error);
  assert_false(engine_transaction_open(fixture_session));
}

static int64_t seen_by_others(const char *sql) {
  struct engine_session *mine = fixture_session, *other;
  struct error error = {0};
  ok(engine_session_open(fixture_engine, &other, &error), &error);
  fixture_session = other;
  struct engine_result *result;
  struct ArrowArray batch;
  ok(engine_query(other, &(struct engine_query){.sql = sql}, &result, &error), &error);
  ok(engine_result_next(result, &batch, &error), &error);
  int64_t number = ((const int64_t *)batch.children[0]->buffers[1])[0];
  arrow_array_release(&batch);
  engine_result_close(result);
  engine_session_close(other);
  fixture_session = mine;
  return number;
}

static const char count_sql[] = "SELECT count(*) FROM t";

/* ---- what a transaction does ------------------------------------------------------------- */

static void statements_of_one_transaction_are_committed_together(void **state) {
  (void)state;
  run("CREATE TABLE t (a BIGINT)");
  begin(false);
  within("INSERT INTO t SELECT range FROM range(1000)");
  assert_int_equal(within("SELECT * FROM t"), 1000);
  within("UPDATE t SET a = a + 1; DELETE FROM t WHERE a > 900");
  assert_int_equal(within("INSERT INTO t VALUES (5000) RETURNING a"), 1);
  within("CREATE TABLE u AS SELECT * FROM t");
  within("ALTER TABLE u ADD COLUMN b VARCHAR");
  assert_int_equal(within("EXPLAIN SELECT * FROM t"), 1);
  assert_int_equal(within("EXPLAIN ANALYZE SELECT CASE WHEN a > 1 THEN 1 END FROM t"), 1);
  assert_int_equal(seen_by_others(count_sql), 0);
  commit();
  assert_int_equal(seen_by_others(count_sql), 901);
  assert_int_equal(seen_by_others("SELECT count(*) FROM u"), 901);
}

static void what_is_rolled_back_leaves_nothing(void **state) {
  (void)state;
  run("CREATE TABLE t (a BIGINT)");
  begin(false);
  within("INSERT INTO t VALUES (1)");
  within("CREATE TABLE u (a INT)");
  engine_rollback(fixture_session);
  assert_int_equal(seen_by_others(count_sql), 0);
  assert_int_equal(seen_by_others("SELECT count(*) FROM duckdb_tables()"), 1);
  struct error error = {0};
  int64_t rows;
  assert_int_equal(ask(fixture_session, (struct engine_query){.sql = "SELECT 1"}, &rows, &error),
                   STATUS_INTERNAL); /* there is no transaction */
}

static void an_answer_that_is_given_up_leaves_the_transaction(void **state) {
  (void)state;
  struct error error = {0};
  run("CREATE TABLE t (a BIGINT)");
  begin(false);
  within("INSERT INTO t SELECT range FROM range(2000000)");
  for (int i = 0; i < 3; i++) {
    struct engine_result *result;
    struct ArrowArray batch;
    ok(engine_query(
           fixture_session,
           &(struct engine_query){.sql = "SELECT * FROM t", .within = true, .batch_rows = 2048},
           &result, &error),
       &error);
    ok(engine_result_next(result, &batch, &error), &error);
    assert_true(engine_transaction_open(fixture_session));
    arrow_array_release(&batch);
    engine_result_close(result);
    assert_true(engine_transaction_open(fixture_session));
  }
  within("INSERT INTO t VALUES (1)");
  commit();
  assert_int_equal(seen_by_others(count_sql), 2000001);
}

static void failures_tell_whether_the_transaction_goes_on(void **state) {
  (void)state;
  static const struct {
    const char *sql;
    enum status status;
    bool open;
  } cases[] = {
      {"SELEC 1", STATUS_INVALID, true},
      {"SELECT nosuch FROM t", STATUS_INVALID, true},
      {"SELECT * FROM nosuch", STATUS_INVALID, true},
      {"BEGIN", STATUS_DENIED, true},
      {"COMMIT", STATUS_DENIED, true},
      {"ROLLBACK", STATUS_DENIED, true},
      {"ABORT", STATUS_DENIED, true},
      {"EXPLAIN ANALYZE COMMIT", STATUS_DENIED, true},
      {"EXPLAIN (ANALYZE) ROLLBACK", STATUS_DENIED, true},
      {"EXPLAIN ANALYZE END", STATUS_DENIED, true},
      {"CHECKPOINT", STATUS_INVALID, true},
      {"FORCE CHECKPOINT", STATUS_INVALID, true},
      {"SET threads = 1", STATUS_DENIED, true},
      {"SELECT 1; SELECT nosuch", STATUS_INVALID, true},
      {"SELECT 'x'::INT", STATUS_INVALID, false},
      {"INSERT INTO t VALUES (1)", STATUS_SCHEMA, false}, /* the key is there */
      {"SELECT error('own') FROM t", STATUS_INVALID, false},
      {"EXPLAIN ANALYZE BEGIN", STATUS_CONFLICT, false},
      /* Hidden from the look at its words. */
      {"EXPLAIN ANALYZE /* /* */ ' */ COMMIT -- '", STATUS_DENIED, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    run("CREATE OR REPLACE TABLE t (a BIGINT PRIMARY KEY)");
    run("INSERT INTO t VALUES (1)");
    begin(false);
    within("INSERT INTO t VALUES (2)");
    enum status status = within_fails(cases[i].sql, &error);
    bool open = engine_transaction_open(fixture_session);
    if (status != cases[i].status)
      fail_msg("%s: %s: %s", cases[i].sql, status_name(status), error.text);
    if (open != cases[i].open)
      fail_msg("%s: the transaction is %s: %s", cases[i].sql, open ? "open" : "ended", error.text);
    if (open) {
      commit();
      expect_integer(count_sql, 2);
    } else {
      assert_int_not_equal(engine_commit(fixture_session, &error), STATUS_OK);
    }
    engine_rollback(fixture_session);
    expect_integer("SELECT 1::BIGINT", 1);
  }
}

static void a_transaction_that_reads_refuses_changes(void **state) {
  (void)state;
  run("CREATE TABLE t (a BIGINT); CREATE SEQUENCE s");
  static const char *const changes[] = {"INSERT INTO t VALUES (1)", "SELECT nextval('s')",
                                        "CREATE TABLE u (a INT)"};
  for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
    struct error error = {0};
    begin(true);
    assert_int_equal(within("SELECT 1"), 1);
    if (within_fails(changes[i], &error) == STATUS_OK) fail_msg("%s ran", changes[i]);
    engine_rollback(fixture_session);
  }
  begin(true);
  within("CREATE TEMP TABLE mine AS SELECT 1 AS a"); /* is the session's alone */
  assert_int_equal(within("SELECT * FROM mine"), 1);
  commit();
}

/* ---- beside others --------------------------------------------------------------------------- */

static enum status count_calls(void *context, struct error *error) {
  int *calls = context;
  return ++*calls > 1 ? error_set(error, STATUS_BUDGET, "not now") : STATUS_OK;
}

static void the_turn_for_an_alter_is_asked_for_within(void **state) {
  (void)state;
  struct error error = {0};
  int calls = 0;
  int64_t rows;
  struct engine_query query = {.before_alter = count_calls, .alter_context = &calls};
  run("CREATE TABLE t (a BIGINT)");
  begin(false);
  query.sql = "SELECT 'alter table t'";
  ok(ask(fixture_session, query, &rows, &error), &error);
  assert_int_equal(calls, 0);
  query.sql = "ALTER TABLE t ADD COLUMN b INT";
  ok(ask(fixture_session, query, &rows, &error), &error);
  assert_int_equal(calls, 1);
  query.sql = "ALTER TABLE t ADD COLUMN c INT";
  assert_int_equal(ask(fixture_session, query, &rows, &error), STATUS_BUDGET);
  assert_true(engine_transaction_open(fixture_session));
  commit();
  expect_integer("SELECT count(*) FROM duckdb_columns() WHERE table_name = 't'", 2);
}

static enum status checkpoint_of_another(struct error *error) {
  struct engine_session *mine = fixture_session;
  ok(engine_session_open(fixture_engine, &fixture_session, error), error);
  enum status status = run_status("CHECKPOINT", error);
  engine_session_close(fixture_session);
  fixture_session = mine;
  return status;
}

static void checkpoints_wait_for_transactions_that_have_changed_something(void **state) {
  (void)state;
  struct error error = {0};
  struct ArrowSchema schema = schema_of(&(struct field){"a", "l"}, 1);
  run("CREATE TABLE t (a BIGINT)");
  begin(false);
  within(count_sql);
  ok(checkpoint_of_another(&error), &error);
  within("INSERT INTO t VALUES (1)");
  assert_false(writers_keep_out(fixture_engine, 0));
  commit();
  ok(checkpoint_of_another(&error), &error);
  /* rows that land without SQL */
  struct table_name name = table_named("v");
  begin(false);
  ok(engine_create_table(fixture_session, &name, &schema, &error), &error);
  assert_false(writers_keep_out(fixture_engine, 0));
  engine_rollback(fixture_session);
  ok(checkpoint_of_another(&error), &error);
  arrow_schema_release(&schema);
}

/* ---- which schema ---------------------------------------------------------------------------- */

static bool may_main_only(void *context, const struct table_name *table) {
  (void)context;
  return table->catalog[0] == '\0' && table->schema[0] == '\0';
}

static bool may_all(void *context, const struct table_name *table) {
  (void)context, (void)table;
  return true;
}

static void names_mean_the_schema_that_is_used(void **state) {
  (void)state;
  struct error error = {0};
  run("CREATE SCHEMA other; CREATE TABLE t AS SELECT 1::BIGINT AS a; "
      "CREATE TABLE other.t AS SELECT 2::BIGINT AS a");
  expect_integer("SELECT a FROM t", 1);
  ok(engine_session_use(fixture_session, NULL, "other", &error), &error);
  expect_integer("SELECT a FROM t", 2);
  begin(false);
  ok(engine_session_use(fixture_session, "memory", "OTHER", &error), &error);
  within("CREATE TABLE u AS SELECT * FROM t");
  commit();
  expect_integer("SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'other'", 2);
  assert_int_equal(engine_session_use(fixture_session, NULL, "nosuch", &error), STATUS_NOT_FOUND);
  assert_non_null(strstr(error.text, "no schema \"nosuch\""));
  assert_int_equal(engine_session_use(fixture_session, "nosuch", NULL, &error), STATUS_NOT_FOUND);
  assert_int_equal(engine_session_use(fixture_session, "system", NULL, &error), STATUS_NOT_FOUND);
  expect_integer("SELECT a FROM t", 2); /* still */
  /* What callers name is where it was. */
  struct engine_table table;
  struct table_name name = table_named("u");
  assert_int_equal(engine_table_info(fixture_session, &name, &table, &error), STATUS_NOT_FOUND);
  ok(engine_session_use(fixture_session, NULL, NULL, &error), &error);
  expect_integer("SELECT a FROM t", 1);
}

static void rights_are_those_of_the_table_that_is_meant(void **state) {
  (void)state;
  static const struct {
    const char *sql;
    enum status status;
  } cases[] = {
      {"SELECT a FROM t", STATUS_DENIED},
      {"SELECT a FROM memory.main.t", STATUS_OK},
      {"INSERT INTO t VALUES (1)", STATUS_DENIED},
      {"INSERT INTO other.t VALUES (1)", STATUS_DENIED},
      {"INSERT INTO main.t VALUES (1)", STATUS_OK},
      {"DELETE FROM t", STATUS_DENIED},
      {"SELECT a FROM m", STATUS_OK}, /* found in main, where it is looked for next */
  };
  struct error error = {0};
  run("CREATE SCHEMA other; CREATE TABLE t AS SELECT 1::BIGINT AS a; "
      "CREATE TABLE other.t AS SELECT 2::BIGINT AS a; CREATE TABLE m AS SELECT 3::BIGINT AS a");
  ok(engine_session_use(fixture_session, NULL, "other", &error), &error);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int64_t rows;
    begin(false);
    enum status status =
        ask(fixture_session,
            (struct engine_query){
                .sql = cases[i].sql, .may_read = may_main_only, .may_write = may_main_only},
            &rows, &error);
    if (status != cases[i].status)
      fail_msg("%s: %s: %s", cases[i].sql, status_name(status), error.text);
    engine_rollback(fixture_session);
  }
  /* even for those who may everything there is to be asked about */
  int64_t rows;
  begin(false);
  assert_int_equal(ask(fixture_session,
                       (struct engine_query){.sql = "INSERT INTO t VALUES (1)",
                                             .may_read = may_all,
                                             .may_write = may_all},
                       &rows, &error),
                   STATUS_DENIED);
  assert_non_null(strstr(error.text, "name its catalog and schema"));
  engine_rollback(fixture_session);
}

static bool may_nothing(void *context, const struct table_name *table) {
  (void)context, (void)table;
  return false;
}

static void temporary_tables_are_their_sessions_own(void **state) {
  (void)state;
  struct error error = {0};
  run("CREATE TEMP TABLE mine (a BIGINT)");
  run("INSERT INTO mine VALUES (7)");
  expect_integer("SELECT count(*) FROM duckdb_tables() WHERE temporary", 1);
  assert_int_equal(seen_by_others("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'mine'"),
                   0);
  static const char *const statements[] = {"SELECT a FROM mine", "DELETE FROM mine",
                                           "INSERT INTO temp.main.mine VALUES (8)"};
  for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
    int64_t rows;
    begin(false);
    enum status status =
        ask(fixture_session,
            (struct engine_query){
                .sql = statements[i], .may_read = may_nothing, .may_write = may_nothing},
            &rows, &error);
    if (status != STATUS_OK) fail_msg("%s: %s", statements[i], error.text);
    commit();
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
  const struct CMUnitTest tests[] = {
      TEST(statements_of_one_transaction_are_committed_together),
      TEST(what_is_rolled_back_leaves_nothing),
      TEST(an_answer_that_is_given_up_leaves_the_transaction),
      TEST(failures_tell_whether_the_transaction_goes_on),
      TEST(a_transaction_that_reads_refuses_changes),
      TEST(the_turn_for_an_alter_is_asked_for_within),
      TEST(checkpoints_wait_for_transactions_that_have_changed_something),
      TEST(names_mean_the_schema_that_is_used),
      TEST(rights_are_those_of_the_table_that_is_meant),
      TEST(temporary_tables_are_their_sessions_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
