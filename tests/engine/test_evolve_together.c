/* A table that follows its data, with others at work on it, and after a crash. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ducklake.h"
#include "evolving.h"

/* ---- several at once ------------------------------------------------------------------------ */

static struct engine_session *session_new(void) {
  struct engine_session *session;
  struct error error = {0};
  ok(engine_session_open(fixture_engine, &session, &error), &error);
  return session;
}

/* Whatever others changed since the plan was made is a conflict, also where the change would go. */
static void a_plan_that_is_outdated_conflicts(void **state) {
  (void)state;
  static const char *const others[] = {
      "ALTER TABLE t ALTER v SET DATA TYPE DECIMAL(18,6)", "ALTER TABLE t ADD COLUMN n INTEGER",
      "ALTER TABLE t DROP COLUMN v", "DROP TABLE t",
      "CREATE OR REPLACE TABLE t AS SELECT 1.5::DECIMAL(18,6) AS v, 1 AS k"};
  struct table_name name = table_named("t");
  struct ArrowSchema schema = schema_of((struct field[]){{"v", "d:6,2"}}, 1);
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    struct error error = {0};
    struct engine_evolution evolution = {0};
    run("CREATE OR REPLACE TABLE t AS SELECT 1.25::DECIMAL(5,2) AS v, 1 AS k");
    struct engine_session *late = session_new();
    ok(engine_begin(late, &error), &error);
    ok(engine_evolution_plan(late, &name, &schema, NULL, &evolution, &error), &error);
    run(others[i]);
    enum status status = engine_evolution_apply(late, &evolution, &error);
    if (status != STATUS_CONFLICT)
      fail_msg("%s: %s %s", others[i], status_name(status), error.text);
    engine_rollback(late);
    engine_evolution_release(&evolution);
    engine_session_close(late);
  }
  arrow_schema_release(&schema);
}

/* DuckDB 1.5.5 takes up updates that were not committed, and loses some that were. */
static void updates_of_others_are_neither_taken_up_nor_lost(void **state) {
  (void)state;
  static const struct {
    const char *update;
    bool after_plan, commits; /* before the change is applied */
    enum status want;
  } cases[] = {
      {"UPDATE t SET v = 7 WHERE k = 1", false, false, STATUS_CONFLICT},
      {"UPDATE t SET v = NULL WHERE k = 1", false, false, STATUS_CONFLICT},
      {"UPDATE t SET v = 7 WHERE k = 1", true, true, STATUS_CONFLICT},
      {"UPDATE t SET v = 7 WHERE k = 1", false, true, STATUS_OK},
      {"SELECT 1", false, false, STATUS_OK},
  };
  struct table_name name = table_named("t");
  struct ArrowSchema schema = schema_of((struct field[]){{"v", "l"}}, 1);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    struct engine_evolution evolution = {0};
    run("CREATE OR REPLACE TABLE t AS SELECT range AS k, 1::INTEGER AS v FROM range(1000)");
    struct engine_session *widens = session_new();
    ok(engine_begin(widens, &error), &error);
    ok(engine_begin(fixture_session, &error), &error);
    if (!cases[i].after_plan) run(cases[i].update);
    if (!cases[i].after_plan && cases[i].commits)
      ok(engine_commit(fixture_session, &error), &error);
    ok(engine_evolution_plan(widens, &name, &schema, NULL, &evolution, &error), &error);
    if (cases[i].after_plan) run(cases[i].update);
    if (cases[i].after_plan && cases[i].commits) ok(engine_commit(fixture_session, &error), &error);
    enum status status = engine_evolution_apply(widens, &evolution, &error);
    if (status != cases[i].want)
      fail_msg("%zu: %s %s", i, status_name(status), status == STATUS_OK ? "" : error.text);
    if (status == STATUS_OK)
      ok(engine_commit(widens, &error), &error);
    else
      engine_rollback(widens);
    engine_rollback(fixture_session);
    bool there = cases[i].commits;
    expect_integer("SELECT sum(v)::BIGINT FROM t", there ? 1006 : 1000);
    engine_evolution_release(&evolution);
    engine_session_close(widens);
  }
  arrow_schema_release(&schema);
}

enum { SESSIONS = 8, ROUNDS = 6, ROUND_ROWS = 5 };

struct worker {
  pthread_t thread;
  int number;
  int conflicts;
  struct error error;
  enum status status;
};

static int64_t sent(int number, int round, int row) {
  int64_t value = (number * ROUNDS + round) * ROUND_ROWS + row;
  return round < ROUNDS / 2 ? value : value + INT64_C(9000000000);
}

/* Rows whose k is wider in later rounds, with a column of this session and round alone. */
static enum status insert_round(struct engine_session *session, const struct ArrowSchema *schema,
                                const struct worker *worker, int round, struct error *error) {
  struct build *build = NULL;
  struct ArrowArray batch = {0};
  struct arrow_shared *shared = NULL;
  struct engine_insert *insert = NULL;
  struct table_name name = table_named("t");
  int64_t inserted;
  enum status status = build_new(schema, &fixture_budget, &build, error);
  for (int row = 0; row < ROUND_ROWS && status == STATUS_OK; row++) {
    status = build_integer(build_child(build, 0), sent(worker->number, round, row), error);
    if (status == STATUS_OK) status = build_integer(build_child(build, 1), row, error);
    if (status == STATUS_OK) status = build_slot(build, error);
  }
  if (status == STATUS_OK) status = build_finish(build, &batch, error);
  if (status == STATUS_OK) status = arrow_shared_new(&batch, &shared, error);
  if (status == STATUS_OK) status = engine_insert_open(session, &name, schema, &insert, error);
  if (status == STATUS_OK)
    status = engine_insert_rows(insert, &(struct engine_slice){shared, 0, ROUND_ROWS}, 1, &inserted,
                                error);
  engine_insert_close(insert);
  if (shared != NULL) arrow_shared_release(shared);
  build_free(build);
  return status;
}

static enum status one_try(struct engine_session *session, const struct ArrowSchema *schema,
                           const struct worker *worker, int round, struct error *error) {
  struct engine_evolution evolution = {0};
  struct table_name name = table_named("t");
  enum status status = engine_begin(session, error);
  if (status != STATUS_OK) return status;
  status = engine_evolution_plan(session, &name, schema, NULL, &evolution, error);
  if (status == STATUS_OK) status = engine_evolution_apply(session, &evolution, error);
  if (status == STATUS_OK) status = insert_round(session, schema, worker, round, error);
  if (status == STATUS_OK)
    status = engine_commit(session, error);
  else
    engine_rollback(session);
  engine_evolution_release(&evolution);
  return status;
}

static void *work(void *argument) {
  struct worker *worker = argument;
  struct engine_session *session = NULL;
  int64_t deadline_ms = clock_now_ms() + 120000;
  worker->status = engine_session_open(fixture_engine, &session, &worker->error);
  for (int round = 0; round < ROUNDS && worker->status == STATUS_OK; round++) {
    char own[32];
    snprintf(own, sizeof own, "own_%d_%d", worker->number, round);
    struct ArrowSchema schema =
        schema_of((struct field[]){{"k", round < ROUNDS / 2 ? "i" : "l"}, {own, "i"}}, 2);
    do {
      worker->status = one_try(session, &schema, worker, round, &worker->error);
      if (worker->status != STATUS_CONFLICT) break;
      worker->conflicts++;
      clock_sleep_ms(1 + (worker->number + worker->conflicts) % SESSIONS);
    } while (clock_now_ms() < deadline_ms);
    arrow_schema_release(&schema);
  }
  engine_session_close(session);
  return NULL;
}

static void eight_sessions_bring_in_their_columns_at_once(void **state) {
  (void)state;
  struct worker workers[SESSIONS] = {0};
  run("CREATE TABLE t AS SELECT -1::INTEGER AS k FROM range(10)");
  for (int i = 0; i < SESSIONS; i++) {
    workers[i].number = i;
    assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
  }
  for (int i = 0; i < SESSIONS; i++) pthread_join(workers[i].thread, NULL);
  int64_t sum = -10;
  for (int i = 0; i < SESSIONS; i++) {
    if (workers[i].status != STATUS_OK)
      fail_msg("%d: %s %s", i, status_name(workers[i].status), workers[i].error.text);
    for (int round = 0; round < ROUNDS; round++)
      for (int row = 0; row < ROUND_ROWS; row++) sum += sent(i, round, row);
  }
  expect_integer("SELECT count(*) FROM t", 10 + SESSIONS * ROUNDS * ROUND_ROWS);
  expect_integer("SELECT count(DISTINCT k) FROM t", 1 + SESSIONS * ROUNDS * ROUND_ROWS);
  expect_integer("SELECT sum(k)::BIGINT FROM t", sum);
  expect_integer("SELECT count(*) FROM (DESCRIBE t)", 1 + SESSIONS * ROUNDS);
  for (int i = 0; i < SESSIONS; i++)
    for (int round = 0; round < ROUNDS; round++) {
      char sql[128];
      snprintf(sql, sizeof sql, "SELECT sum(own_%d_%d)::BIGINT FROM t", i, round);
      expect_integer(sql, ROUND_ROWS * (ROUND_ROWS - 1) / 2);
    }
}

/* ---- after a crash ------------------------------------------------------------------------- */

static char crash_folder[32];
static char crash_path[64];

static void open_file(void) {
  struct error error = {0};
  struct engine_options options = {.path = crash_path, .threads = 2};
  ok(engine_open(&options, &fixture_engine, &error), &error);
  ok(engine_session_open(fixture_engine, &fixture_session, &error), &error);
}

static const struct {
  const char *create, *select, *insert, *want; /* what the rows say in the end */
} crashes[] = {
    {"TABLE t AS SELECT range::INTEGER AS v FROM range(3)", "SELECT 1 AS v, 'a' AS n",
     "INSERT INTO t VALUES (9, 'x')", "0 ~, 1 ~, 2 ~, 9 x"},
    {"TABLE t AS SELECT range::INTEGER AS v, 'o' AS n FROM range(3)", "SELECT 1::BIGINT AS v",
     "INSERT INTO t VALUES (9000000000, 'x')", "0 o, 1 o, 2 o, 9000000000 x"},
    {"TABLE t AS SELECT range::INTEGER AS v FROM range(3)", "SELECT 1::BIGINT AS v, 'a' AS n",
     "DELETE FROM t; INSERT INTO t VALUES (9000000000, 'x')", "9000000000 x"},
    {"TABLE t (v FLOAT, n VARCHAR PRIMARY KEY); INSERT INTO t VALUES (0.5, 'a')",
     "SELECT 1::DOUBLE AS v, true AS m", "INSERT INTO t (v, n) VALUES (1e300, 'b')",
     "0.5 a, 1e+300 b"},
    {"TABLE t AS SELECT [range::INTEGER] AS v, 'o' AS n FROM range(2)",
     "SELECT [1::BIGINT] AS v, {'b': 1} AS m", "INSERT INTO t (v) VALUES ([9000000000])",
     "[0] o, [1] o, [9000000000] ~"},
    {"TABLE t AS SELECT TIMESTAMP_S '2020-01-01 00:00:01' AS v, 1.5::DECIMAL(4,1) AS n",
     "SELECT TIMESTAMP '2020-01-01' AS v, 1::DECIMAL(18,3) AS n",
     "INSERT INTO t VALUES ('2020-01-01 00:00:01.000001', 1.125)",
     "2020-01-01 00:00:01 1.500, 2020-01-01 00:00:01.000001 1.125"},
};

enum { CRASH_COUNT = sizeof crashes / sizeof crashes[0] };

/* The child's part: what is there when the plug is pulled, with and without a checkpoint before. */
static void change_and_die(size_t at) {
  size_t number = at / 2;
  bool checkpoint = at % 2 == 1;
  char sql[512];
  struct error error = {0};
  struct engine_evolution evolution = {0};
  struct table_name name = table_named("t");
  open_file();
  snprintf(sql, sizeof sql, "CREATE %s", crashes[number].create);
  run(sql);
  if (checkpoint) run("CHECKPOINT");
  struct ArrowSchema schema = schema_by_sql(crashes[number].select);
  ok(engine_begin(fixture_session, &error), &error);
  ok(engine_evolution_plan(fixture_session, &name, &schema, NULL, &evolution, &error), &error);
  ok(engine_evolution_apply(fixture_session, &evolution, &error), &error);
  run(crashes[number].insert); /* within the transaction */
  ok(engine_commit(fixture_session, &error), &error);
  _exit(0);
}

/* Runs `part` in a child: this process gets no threads of DuckDB's, which a fork would not copy. */
static void in_child(void (*part)(size_t), size_t number, const char *what) {
  int code = 0;
  pid_t child = fork();
  if (child == 0) {
    part(number);
    _exit(0);
  }
  assert_int_equal(waitpid(child, &code, 0), child);
  if (code != 0) fail_msg("%s: %d", what, code);
}

static void expect_crash_survived(size_t number) {
  open_file();
  expect_text("SELECT string_agg(concat_ws(' ', v, coalesce(n::VARCHAR, '~')), ', ' "
              "ORDER BY v) FROM t",
              crashes[number / 2].want);
  fixture_teardown(NULL);
}

static void with_crash_folder(void (*before)(size_t), void (*after)(size_t), size_t count) {
  char wal[80];
  snprintf(crash_folder, sizeof crash_folder, "/tmp/arrowport-evolve-XXXXXX");
  assert_non_null(mkdtemp(crash_folder));
  snprintf(crash_path, sizeof crash_path, "%s/d.duckdb", crash_folder);
  snprintf(wal, sizeof wal, "%s.wal", crash_path);
  for (size_t i = 0; i < count; i++) {
    in_child(before, i, "before the crash");
    assert_int_equal(access(wal, F_OK), 0);
    in_child(after, i, "after the crash");
    unlink(wal);
    assert_int_equal(unlink(crash_path), 0);
  }
  rmdir(crash_folder);
}

static void a_change_and_its_rows_survive_a_crash(void **state) {
  (void)state;
  with_crash_folder(change_and_die, expect_crash_survived, (size_t)CRASH_COUNT * 2);
}

/* What SQL can do to a table, and DuckDB alone could not open again. */
static const struct {
  const char *create, *alter, *want;
} unreadable[] = {
    {"SEQUENCE q START 5; CREATE TABLE t (k INTEGER, v INTEGER DEFAULT nextval('q'))",
     "ALTER TABLE t ADD COLUMN n INTEGER", "1 5, 2 6, 3 7"},
    {"TABLE t (k INTEGER CHECK (k % 10 <> 5), v VARCHAR DEFAULT lower('A'), x INTEGER)",
     "ALTER TABLE t ALTER x SET DATA TYPE BIGINT", "1 a, 2 a, 3 a"},
    {"TABLE t (k INTEGER, v STRUCT(a INTEGER))", "ALTER TABLE t ADD COLUMN v.b INTEGER", "1, 2, 3"},
};

static void alter_by_sql_and_die(size_t number) {
  char sql[512];
  open_file();
  snprintf(sql, sizeof sql, "CREATE %s", unreadable[number].create);
  run(sql);
  run("INSERT INTO t (k) VALUES (1)");
  run(unreadable[number].alter);
  run("INSERT INTO t (k) VALUES (2)");
  _exit(0);
}

static void expect_read_all_the_same(size_t number) {
  open_file(); /* the healing; its engine is the one that is used */
  run("INSERT INTO t (k) VALUES (3)");
  fixture_teardown(NULL);
  open_file();
  expect_text("SELECT string_agg(concat_ws(' ', k, v), ', ' ORDER BY k) FROM t",
              unreadable[number].want);
  fixture_teardown(NULL);
}

static void a_log_that_duckdb_cannot_read_is_read_all_the_same(void **state) {
  (void)state;
  with_crash_folder(alter_by_sql_and_die, expect_read_all_the_same,
                    sizeof unreadable / sizeof unreadable[0]);
}

/* ---- in a lake ------------------------------------------------------------------------------ */

static char lake_folder[32];

static int lake_setup(void **state) {
  (void)state;
  struct error error = {0};
  char path[64];
  snprintf(lake_folder, sizeof lake_folder, "/tmp/arrowport-evolve-XXXXXX");
  if (mkdtemp(lake_folder) == NULL) return 1;
  snprintf(path, sizeof path, "%s/lake.ducklake", lake_folder);
  const char *extension = ducklake_extension(), *lake = path;
  struct engine_options options = {.threads = 2,
                                   .extensions = &extension,
                                   .extension_count = 1,
                                   .lakes = &lake,
                                   .lake_count = 1};
  ok(engine_open(&options, &fixture_engine, &error), &error);
  ok(engine_session_open(fixture_engine, &fixture_session, &error), &error);
  return 0;
}

static int lake_teardown(void **state) {
  char command[64];
  int failed = fixture_teardown(state);
  snprintf(command, sizeof command, "rm -rf '%s'", lake_folder);
  return system(command) != 0 || failed;
}

static void a_lakes_table_follows_too(void **state) {
  (void)state;
  struct error error = {0};
  struct engine_evolution evolution = {0};
  struct table_name name = table_named("t");
  snprintf(name.catalog, sizeof name.catalog, "lake");
  run("CREATE TABLE lake.main.t AS SELECT range::INTEGER AS v, 0.5::FLOAT AS f FROM range(3)");
  struct ArrowSchema schema = schema_by_sql("SELECT 1::BIGINT AS v, 1::DOUBLE AS f, 'a' AS n");
  ok(engine_begin(fixture_session, &error), &error);
  ok(engine_evolution_plan(fixture_session, &name, &schema, NULL, &evolution, &error), &error);
  ok(engine_evolution_apply(fixture_session, &evolution, &error), &error);
  run("INSERT INTO lake.main.t VALUES (9000000000, 1e300, 'x')");
  ok(engine_commit(fixture_session, &error), &error);
  engine_evolution_release(&evolution);
  arrow_schema_release(&schema);
  expect_text("SELECT string_agg(concat_ws(' ', v, f, n), ', ' ORDER BY v) FROM lake.main.t",
              "0 0.5, 1 0.5, 2 0.5, 9000000000 1e+300 x");
  /* What would put the whole database out of use. */
  schema = schema_of((struct field[]){{"t", "ttn"}}, 1);
  assert_int_equal(engine_evolution_plan(fixture_session, &name, &schema, NULL, &evolution, &error),
                   STATUS_UNSUPPORTED);
  arrow_schema_release(&schema);
}

int main(void) {
#define ON_ENGINE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
  const struct CMUnitTest tests[] = {
      /* before DuckDB has threads in this process, which a fork would not copy */
      cmocka_unit_test(a_change_and_its_rows_survive_a_crash),
      cmocka_unit_test(a_log_that_duckdb_cannot_read_is_read_all_the_same),
      ON_ENGINE(a_plan_that_is_outdated_conflicts),
      ON_ENGINE(updates_of_others_are_neither_taken_up_nor_lost),
      ON_ENGINE(eight_sessions_bring_in_their_columns_at_once),
      cmocka_unit_test_setup_teardown(a_lakes_table_follows_too, lake_setup, lake_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
