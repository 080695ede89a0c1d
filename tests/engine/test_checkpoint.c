#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fixture.h"

enum { WAIT_MS = 30000, LONG_BYTES = 1 << 20 };

static char folder[32], path[64], wal[72];

static int setup(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/arrowport-wal-XXXXXX");
  if (mkdtemp(folder) == NULL) return 1;
  snprintf(path, sizeof path, "%s/data.duckdb", folder);
  snprintf(wal, sizeof wal, "%s.wal", path);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  engine_session_close(fixture_session);
  engine_close(fixture_engine);
  fixture_session = NULL;
  fixture_engine = NULL;
  char command[64];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return system(command); /* NOLINT(cert-env33-c): a path of our own making */
}

static void open_with(int64_t wal_bytes, int64_t interval_ms) {
  struct error error = {0};
  const struct engine_options options = {.path = path,
                                         .threads = 2,
                                         .checkpoint_wal_bytes = wal_bytes,
                                         .checkpoint_interval_ms = interval_ms};
  if (engine_open(&options, &fixture_engine, &error) != STATUS_OK ||
      engine_session_open(fixture_engine, &fixture_session, &error) != STATUS_OK)
    fail_msg("%s", error.text);
}

static int64_t wal_bytes(void) {
  struct stat file;
  return stat(wal, &file) == 0 ? (int64_t)file.st_size : 0;
}

static struct engine_figures figures(void) {
  struct engine_figures now;
  engine_look(fixture_engine, &now);
  return now;
}

static void insert(int rows) {
  struct error error = {0};
  char sql[128];
  snprintf(sql, sizeof sql, "INSERT INTO t SELECT range, range::VARCHAR FROM range(%d)", rows);
  assert_int_equal(engine_begin(fixture_session, &error), STATUS_OK);
  run(sql);
  assert_int_equal(engine_commit(fixture_session, &error), STATUS_OK);
}

static void wait_for_checkpoints(int64_t count) {
  int64_t until_ms = clock_now_ms() + WAIT_MS;
  while (figures().checkpoints < count) {
    if (clock_now_ms() > until_ms) fail_msg("no checkpoint within %d ms", WAIT_MS);
    clock_sleep_ms(5);
  }
}

static void a_long_log_is_folded_in_and_a_short_one_stays(void **state) {
  (void)state;
  open_with(LONG_BYTES, 0);
  run("CREATE TABLE t (a BIGINT, b VARCHAR)");
  insert(100);
  int64_t short_bytes = wal_bytes();
  assert_true(short_bytes > 0 && short_bytes < LONG_BYTES);
  assert_int_equal(figures().wal_bytes, short_bytes);
  clock_sleep_ms(100);
  assert_int_equal(figures().checkpoints, 0);
  assert_int_equal(wal_bytes(), short_bytes);
  insert(100000);
  wait_for_checkpoints(1);
  assert_int_equal(wal_bytes(), 0);
  assert_true(figures().checkpoint_us > 0);
  insert(100000);
  wait_for_checkpoints(2);
  expect_integer("SELECT count(*) FROM t", 200100);
}

static void an_old_log_is_folded_in_however_short(void **state) {
  (void)state;
  open_with(LONG_BYTES, 50);
  run("CREATE TABLE t (a BIGINT, b VARCHAR)");
  insert(1);
  wait_for_checkpoints(1);
  insert(1);
  wait_for_checkpoints(2);
  clock_sleep_ms(150); /* there is nothing to fold in */
  assert_true(figures().checkpoints <= 3);
  assert_int_equal(wal_bytes(), 0);
}

static void limits_change_while_it_runs(void **state) {
  (void)state;
  open_with(INT64_C(1) << 40, 0);
  run("CREATE TABLE t (a BIGINT, b VARCHAR)");
  insert(100000);
  clock_sleep_ms(100);
  assert_int_equal(figures().checkpoints, 0);
  engine_checkpoint_limits(fixture_engine, LONG_BYTES, 0);
  wait_for_checkpoints(1);
  insert(1);
  engine_checkpoint_limits(fixture_engine, LONG_BYTES, 50);
  wait_for_checkpoints(2);
}

static void a_log_that_was_left_behind_is_folded_in(void **state) {
  (void)state;
  open_with(INT64_C(1) << 40, 0);
  run("CREATE TABLE t (a BIGINT, b VARCHAR)");
  insert(10);
  char command[300]; /* what a kill leaves behind */
  snprintf(command, sizeof command, "cp '%s' '%s.kept' && cp '%s' '%s.kept'", path, path, wal, wal);
  assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
  engine_session_close(fixture_session);
  engine_close(fixture_engine);
  assert_int_equal(wal_bytes(), 0); /* closing folds it in */
  snprintf(command, sizeof command, "mv '%s.kept' '%s' && mv '%s.kept' '%s'", path, path, wal, wal);
  assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
  open_with(LONG_BYTES, 50);
  wait_for_checkpoints(1);
  assert_int_equal(wal_bytes(), 0);
  expect_integer("SELECT count(*) FROM t", 10);
}

/* None is made beside a transaction that writes, which goes on, as others do: a process that is killed
 * in such a checkpoint may leave a file that DuckDB does not open any more. */
static void wait_beside(const char *sql, int rows) {
  struct error error = {0};
  struct engine_session *writer;
  open_with(LONG_BYTES, 0);
  run("CREATE TABLE t (a BIGINT, b VARCHAR)");
  assert_int_equal(engine_session_open(fixture_engine, &writer, &error), STATUS_OK);
  struct engine_session *other = fixture_session;
  fixture_session = writer;
  assert_int_equal(engine_begin(writer, &error), STATUS_OK);
  run(sql);
  fixture_session = other;
  insert(100000);
  clock_sleep_ms(1500);
  assert_int_equal(figures().checkpoints, 0);
  assert_int_equal(figures().checkpoints_failed, 0);
  insert(10); /* nobody is stopped */
  expect_integer("SELECT count(*) FROM t", 100010);
  assert_int_equal(engine_commit(writer, &error), STATUS_OK);
  engine_session_close(writer);
  wait_for_checkpoints(1);
  assert_int_equal(wal_bytes(), 0);
  expect_integer("SELECT count(*) FROM t", 100010 + rows);
  engine_session_close(fixture_session);
  engine_close(fixture_engine);
  open_with(LONG_BYTES, 0);
  expect_integer("SELECT count(*) FROM t", 100010 + rows);
}

static void a_transaction_that_writes_is_waited_for(void **state) {
  (void)state;
  wait_beside("INSERT INTO t VALUES (-1, 'open')", 1);
}

static void a_transaction_that_alters_a_table_is_waited_for(void **state) {
  (void)state;
  wait_beside("CREATE TABLE another (a BIGINT)", 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_long_log_is_folded_in_and_a_short_one_stays, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(an_old_log_is_folded_in_however_short, setup, teardown),
      cmocka_unit_test_setup_teardown(limits_change_while_it_runs, setup, teardown),
      cmocka_unit_test_setup_teardown(a_log_that_was_left_behind_is_folded_in, setup, teardown),
      cmocka_unit_test_setup_teardown(a_transaction_that_writes_is_waited_for, setup, teardown),
      cmocka_unit_test_setup_teardown(a_transaction_that_alters_a_table_is_waited_for, setup,
                                      teardown),
  };
  return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
