#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "arrow/array.h"
#include "fixture.h"

static void ok(enum status status, const struct error *error) {
  if (status != STATUS_OK) fail_msg("%s: %s", status_name(status), error->text);
}

static struct engine_kept *keep(const char *sql) {
  struct engine_kept *kept;
  struct error error = {0};
  enum status status =
      engine_keep(fixture_session, &(struct engine_query){.sql = sql}, &kept, &error);
  if (status != STATUS_OK) fail_msg("%s: %s", sql, error.text);
  return kept;
}

static struct engine_session *session_new(void) {
  struct engine_session *session;
  struct error error = {0};
  ok(engine_session_open(fixture_engine, &session, &error), &error);
  return session;
}

/* Reads rows of which the first column is a BIGINT that counts from `offset`: how many there are. */
static int64_t read_counting(const struct engine_kept *kept, int64_t offset, int64_t rows) {
  struct engine_session *session = session_new();
  struct engine_result *result;
  struct error error = {0};
  int64_t count = 0;
  enum status status = engine_kept_read(
      session, kept, offset, rows, &(struct engine_query){.batch_rows = 3000}, &result, &error);
  while (status == STATUS_OK) {
    struct ArrowArray batch;
    status = engine_result_next(result, &batch, &error);
    if (status != STATUS_OK || batch.release == NULL) break;
    const int64_t *values = batch.children[0]->buffers[1];
    for (int64_t i = 0; i < batch.length; i++)
      if (values[i] != offset + count + i) count = INT64_MIN / 2; /* asserted by the caller */
    count += batch.length;
    arrow_array_release(&batch);
  }
  engine_result_close(result);
  engine_session_close(session);
  return status == STATUS_OK ? count : -1;
}

static void rows_come_in_order_and_in_parts(void **state) {
  (void)state;
  static const struct {
    int64_t offset, rows, want;
  } parts[] = {{0, 500000, 500000}, {0, 1, 1}, {499999, 5, 1},           {500000, 5, 0},
               {122879, 2, 2},      {7, 0, 0}, {245760, 122880, 122880}, {1, 499999, 499999}};
  struct engine_kept *kept = keep("SELECT range AS n, 'row ' || range AS t FROM range(500000)");
  assert_int_equal(engine_kept_rows(kept), 500000);
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
    assert_int_equal(read_counting(kept, parts[i].offset, parts[i].rows), parts[i].want);
  struct engine_result *result;
  struct error error = {0};
  assert_int_equal(engine_kept_read(fixture_session, kept, 500001, 1, NULL, &result, &error),
                   STATUS_INVALID);
  assert_int_equal(engine_kept_read(fixture_session, kept, -1, 1, NULL, &result, &error),
                   STATUS_INVALID);
  engine_kept_close(kept);
  kept = keep("SELECT (500000 - range)::BIGINT AS n FROM range(1, 500001) ORDER BY n");
  assert_int_equal(read_counting(kept, 250000, 250000), 250000);
  engine_kept_close(kept);
  kept = keep("SELECT 1 AS n WHERE false");
  assert_int_equal(engine_kept_rows(kept), 0);
  assert_int_equal(read_counting(kept, 0, 10), 0);
  engine_kept_close(kept);
}

static void every_type_is_kept_as_the_query_gives_it(void **state) {
  (void)state;
  static const char *const sources[] = {
      "SELECT * EXCLUDE (time_tz, bignum, geometry, \"union\") FROM test_all_types() WHERE "
      "coalesce(isfinite(date) AND isfinite(timestamp), true) AND hugeint IS NULL",
      "SELECT * EXCLUDE (time_tz, bignum, geometry, \"union\", date, timestamp, timestamp_s, "
      "timestamp_ms, timestamp_ns, timestamp_tz, hugeint, uhugeint, date_array, timestamp_array, "
      "timestamptz_array) FROM test_all_types()",
      "SELECT 'b'::ENUM('a', 'b') AS e, NULL AS n, '{}'::JSON AS j, 1 AS n, 2 AS \"a \"\" b\", "
      "{'a': [1, NULL], 'b': MAP {1: 'x'}} AS s, uuid() AS u, '101'::BIT AS bits, [[1], NULL] AS l",
  };
  for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
    struct error error = {0};
    struct engine_result *direct, *again;
    struct engine_kept *kept = keep(sources[i]);
    struct engine_session *session = session_new();
    ok(engine_query(fixture_session, &(struct engine_query){.sql = sources[i]}, &direct, &error),
       &error);
    ok(engine_kept_read(session, kept, 0, 100, NULL, &again, &error), &error);
    if (!arrow_schema_equal(engine_result_schema(direct), engine_result_schema(again), &error) ||
        !arrow_schema_equal(engine_result_schema(direct), engine_kept_schema(kept), &error))
      fail_msg("%s: %s", sources[i], error.text);
    struct ArrowArray left, right;
    ok(engine_result_next(direct, &left, &error), &error);
    ok(engine_result_next(again, &right, &error), &error);
    assert_int_equal(left.release == NULL, right.release == NULL);
    if (left.release != NULL) {
      assert_int_equal(left.length, right.length);
      if (strstr(sources[i], "uuid()") == NULL &&
          !arrow_array_equal(engine_kept_schema(kept), &left, &right, &error))
        fail_msg("%s: %s", sources[i], error.text);
      arrow_array_release(&left);
      arrow_array_release(&right);
    }
    engine_result_close(direct);
    engine_result_close(again);
    engine_session_close(session);
    engine_kept_close(kept);
  }
}

static void it_is_one_snapshot_and_goes_when_it_is_closed(void **state) {
  (void)state;
  static const char tables[] =
      "SELECT count(*) FROM duckdb_tables() WHERE starts_with(database_name, 'arrowport')";
  run("CREATE TABLE t AS SELECT range AS n FROM range(1000)");
  struct engine_kept *kept = keep("SELECT n FROM t");
  run("DELETE FROM t; DROP TABLE t");
  assert_int_equal(read_counting(kept, 0, 1000), 1000);
  expect_integer(tables, 1);
  engine_kept_close(kept);
  expect_integer(tables, 0);
}

static void a_transaction_keeps_what_it_has_changed(void **state) {
  (void)state;
  struct error error = {0};
  struct engine_kept *kept;
  run("CREATE TABLE t (n BIGINT)");
  ok(engine_begin_client(fixture_session, false, &error), &error);
  run("INSERT INTO t SELECT range FROM range(1000)");
  ok(engine_keep(fixture_session, &(struct engine_query){.sql = "SELECT n FROM t", .within = true},
                 &kept, &error),
     &error);
  assert_true(engine_transaction_open(fixture_session));
  run("INSERT INTO t VALUES (1)");
  struct engine_result *result; /* and reads it itself */
  ok(engine_kept_read(fixture_session, kept, 0, 5, NULL, &result, &error), &error);
  engine_result_close(result);
  assert_true(engine_transaction_open(fixture_session));
  engine_rollback(fixture_session);
  assert_int_equal(read_counting(kept, 0, 2000), 1000);
  engine_kept_close(kept);
  ok(engine_begin_client(fixture_session, true, &error), &error);
  kept = keep("SELECT range AS n FROM range(10)");
  assert_int_equal(engine_kept_rows(kept), 10);
  ok(engine_commit(fixture_session, &error), &error);
  engine_kept_close(kept);
}

static bool may_read_open(void *context, const struct table_name *table) {
  (void)context;
  return strcmp(table->table, "open") == 0;
}

static void what_is_not_kept_leaves_nothing(void **state) {
  (void)state;
  static const struct {
    struct engine_query query;
    enum status status;
    const char *text;
  } cases[] = {
      {{.sql = "SELECT nosuch"}, STATUS_INVALID, "nosuch"},
      {{.sql = "INSERT INTO open VALUES (1)"}, STATUS_DENIED, "INSERT writes"},
      {{.sql =
            "SELECT CASE WHEN range = 90000 THEN error('late') ELSE range END FROM range(100000)"},
       STATUS_INVALID,
       "late"},
      {{.sql = "SELECT a FROM hidden", .may_read = may_read_open}, STATUS_DENIED, "hidden"},
      {{.sql = "SELECT '10:00:00+01'::TIMETZ"}, STATUS_UNSUPPORTED, "TIME WITH TIME ZONE"},
  };
  run("CREATE TABLE open AS SELECT 1 AS a; CREATE TABLE hidden AS SELECT 1 AS a");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct engine_kept *kept;
    struct error error = {0};
    enum status status = engine_keep(fixture_session, &cases[i].query, &kept, &error);
    if (status != cases[i].status || strstr(error.text, cases[i].text) == NULL)
      fail_msg("%s: %s: %s", cases[i].query.sql, status_name(status), error.text);
    assert_null(kept);
  }
  expect_integer("SELECT count(*) FROM duckdb_tables()", 2);
}

static void clients_do_not_get_at_it(void **state) {
  (void)state;
  struct engine_kept *kept = keep("SELECT range AS n FROM range(10)");
  static const char *const statements[] = {
      "SELECT * FROM arrowport_kept.main.r1",
      "DROP TABLE \"ARROWPORT_KEPT\".main.r1",
      "CREATE TABLE arrowport_kept.main.mine AS SELECT 1",
      "SELECT * FROM query_table('arrowport_kept.main.r1')",
      "SELECT * FROM system.main.arrowport_answer(1)",
      "CREATE VIEW v AS FROM arrowport_kept.main.r1",
  };
  for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
    struct error error = {0};
    if (run_status(statements[i], &error) == STATUS_OK) fail_msg("%s ran", statements[i]);
  }
  struct error error = {0};
  assert_int_equal(engine_session_use(fixture_session, "arrowport_kept", NULL, &error),
                   STATUS_NOT_FOUND);
  struct engine_result *result;
  struct engine_query query = {.may_read = may_read_open};
  char sql[128], name[32];
  expect_integer("SELECT count(*) FROM duckdb_tables()", 1);
  for (int i = 1; i < 20; i++) { /* whatever its number is */
    snprintf(name, sizeof name, "r%d", i);
    snprintf(sql, sizeof sql, "SELECT * FROM query_table('arrowport' || '_kept.main.%s')", name);
    query.sql = sql;
    assert_int_not_equal(engine_query(fixture_session, &query, &result, &error), STATUS_OK);
  }
  engine_kept_close(kept);
}

/* ---- several at once ------------------------------------------------------------------------ */

struct reader {
  pthread_t thread;
  const struct engine_kept *kept;
  int64_t offset, rows, got;
};

static void *read_part(void *context) {
  struct reader *reader = context;
  reader->got = read_counting(reader->kept, reader->offset, reader->rows);
  return NULL;
}

static void several_sessions_read_at_once(void **state) {
  (void)state;
  enum { READERS = 4, ROWS = 100000 };
  struct engine_kept *kept = keep("SELECT range AS n FROM range(400000)");
  struct reader readers[READERS];
  for (int i = 0; i < READERS; i++) {
    readers[i] = (struct reader){.kept = kept, .offset = (int64_t)i * ROWS, .rows = ROWS};
    assert_int_equal(pthread_create(&readers[i].thread, NULL, read_part, &readers[i]), 0);
  }
  for (int i = 0; i < READERS; i++) {
    pthread_join(readers[i].thread, NULL);
    assert_int_equal(readers[i].got, ROWS);
  }
  engine_kept_close(kept);
}

static void *interrupt(void *context) {
  for (int i = 0; i < 500 && !atomic_load((_Atomic bool *)context); i++) {
    engine_interrupt(fixture_session, STATUS_TIMEOUT);
    usleep(2000);
  }
  return NULL;
}

static void keeping_can_be_interrupted(void **state) {
  (void)state;
  struct engine_kept *kept;
  struct error error = {0};
  _Atomic bool done = false;
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, interrupt, &done), 0);
  enum status status = engine_keep(
      fixture_session, &(struct engine_query){.sql = "SELECT range AS n FROM range(100000000000)"},
      &kept, &error);
  atomic_store(&done, true);
  pthread_join(thread, NULL);
  assert_int_equal(status, STATUS_TIMEOUT);
  expect_integer("SELECT 1::BIGINT", 1);
}

/* ---- memory ------------------------------------------------------------------------------------ */

static void what_memory_does_not_hold_is_spilled(void **state) {
  (void)state;
  enum { ROWS = 3000000 }; /* 32 bytes each */
  char folder[32] = "/tmp/arrowport-kept-XXXXXX", path[64], command[64];
  struct error error = {0};
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/data.duckdb", folder);
  struct engine *memory = fixture_engine;
  struct engine_session *session = fixture_session;
  ok(engine_open(&(struct engine_options){.path = path,
                                          .threads = 2,
                                          .memory_limit_bytes = (int64_t)60 << 20},
                 &fixture_engine, &error),
     &error);
  fixture_session = session_new();
  struct engine_kept *kept =
      keep("SELECT range AS n, range * 2 AS b, hash(range) AS c, hash(range + 1) AS d "
           "FROM range(3000000)");
  assert_int_equal(read_counting(kept, ROWS - 200000, 200000), 200000);
  assert_int_equal(read_counting(kept, 0, ROWS), ROWS);
  engine_kept_close(kept);
  engine_session_close(fixture_session);
  engine_close(fixture_engine);
  fixture_engine = memory;
  fixture_session = session;
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a path of our own making */
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
  const struct CMUnitTest tests[] = {
      TEST(rows_come_in_order_and_in_parts),
      TEST(every_type_is_kept_as_the_query_gives_it),
      TEST(it_is_one_snapshot_and_goes_when_it_is_closed),
      TEST(a_transaction_keeps_what_it_has_changed),
      TEST(what_is_not_kept_leaves_nothing),
      TEST(clients_do_not_get_at_it),
      TEST(several_sessions_read_at_once),
      TEST(keeping_can_be_interrupted),
      TEST(what_memory_does_not_hold_is_spilled),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
