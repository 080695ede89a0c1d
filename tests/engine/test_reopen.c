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
#include "ducklake.h"
#include "engine/private.h"
#include "fixture.h"

static char folder[32], path[64];

/* `local_files` leaves the settings open: the one that makes a checkpoint fail is among them. */
static int setup(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/arrowport-reopen-XXXXXX");
  if (mkdtemp(folder) == NULL) return 1;
  snprintf(path, sizeof path, "%s/data.duckdb", folder);
  struct error error = {0};
  const struct engine_options options = {.path = path, .threads = 2, .local_files = true};
  if (engine_open(&options, &fixture_engine, &error) != STATUS_OK ||
      engine_session_open(fixture_engine, &fixture_session, &error) != STATUS_OK) {
    fprintf(stderr, "%s\n", error.text);
    return 1;
  }
  run("CREATE TABLE t AS SELECT range AS a FROM range(1000)");
  run("CHECKPOINT");
  run("INSERT INTO t VALUES (1000)"); /* in the log alone */
  return 0;
}

static int teardown(void **state) {
  (void)state;
  engine_session_close(fixture_session);
  engine_close(fixture_engine);
  char command[64];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return system(command); /* NOLINT(cert-env33-c): a path of our own making */
}

/* A checkpoint that fails, after which DuckDB refuses everything. */
static void break_database(void) {
  struct error error = {0};
  assert_int_equal(
      session_run(fixture_session, "SET debug_checkpoint_abort = 'before_header'", &error),
      STATUS_OK);
  assert_int_not_equal(run_status("CHECKPOINT", &error), STATUS_OK);
}

static void a_dead_database_is_opened_anew_when_its_sessions_are_closed(void **state) {
  (void)state;
  struct error error = {0};
  struct engine_figures figures;
  assert_int_equal(engine_generation(fixture_engine), 1);
  break_database();
  assert_int_equal(engine_generation(fixture_engine), 2);
  assert_int_equal(engine_generation(fixture_engine), 2);
  assert_int_equal(run_status("SELECT 1", &error), STATUS_UNAVAILABLE);
  assert_true(error.retry_after_ms > 0);
  engine_session_close(fixture_session);
  assert_int_equal(engine_session_open(fixture_engine, &fixture_session, &error), STATUS_OK);
  expect_integer("SELECT count(*) FROM t", 1001);
  run("INSERT INTO t VALUES (1001)");
  run("CHECKPOINT");
  assert_int_equal(engine_generation(fixture_engine), 2);
  engine_look(fixture_engine, &figures);
  assert_int_equal(figures.reopened, 1);
  run("INSERT INTO t VALUES (1002)");
  break_database();
  assert_int_equal(engine_generation(fixture_engine), 3);
}

/* What other databases of the process go through is none of its business. */
static void another_database_goes_on(void **state) {
  (void)state;
  struct engine *other;
  struct error error = {0};
  assert_int_equal(engine_open(&(struct engine_options){0}, &other, &error), STATUS_OK);
  break_database();
  assert_int_equal(engine_generation(other), 1);
  assert_int_equal(engine_generation(fixture_engine), 2);
  engine_close(other);
}

static int asked;

static void close_held(void *context) {
  struct engine_session **held = context;
  asked++;
  engine_session_close(*held);
  *held = NULL;
}

static void who_keeps_a_session_is_asked_for_it(void **state) {
  bool late = *(const bool *)*state;
  struct error error = {0};
  struct engine_session *held;
  asked = 0;
  assert_int_equal(engine_session_open(fixture_engine, &held, &error), STATUS_OK);
  (late ? engine_on_held : engine_on_loss)(fixture_engine, close_held, &held);
  break_database();
  assert_int_equal(asked, 0);
  engine_session_close(fixture_session);
  int64_t began_ms = clock_now_ms();
  assert_int_equal(engine_session_open(fixture_engine, &fixture_session, &error), STATUS_OK);
  assert_int_equal(asked, 1);
  if (late) assert_true(clock_now_ms() - began_ms >= 200);
  expect_integer("SELECT count(*) FROM t", 1001);
}

static void a_session_that_is_not_let_go_of_is_not_waited_for_for_ever(void **state) {
  (void)state;
  struct error error = {0};
  struct engine_session *another;
  break_database();
  assert_int_equal(engine_session_open(fixture_engine, &another, &error), STATUS_UNAVAILABLE);
  assert_true(error.retry_after_ms > 0);
  assert_null(another);
}

static void a_file_that_is_gone_is_not_made_anew(void **state) {
  (void)state;
  struct error error = {0};
  break_database();
  engine_session_close(fixture_session);
  fixture_session = NULL;
  char moved[80];
  snprintf(moved, sizeof moved, "%s.moved", path);
  assert_int_equal(rename(path, moved), 0);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(engine_session_open(fixture_engine, &fixture_session, &error),
                     STATUS_UNAVAILABLE);
    assert_non_null(strstr(error.text, "is gone"));
    assert_int_not_equal(access(path, F_OK), 0);
  }
  assert_int_equal(rename(moved, path), 0);
  enum status status = STATUS_UNAVAILABLE; /* it is tried again after a second */
  for (int i = 0; i < 300 && status == STATUS_UNAVAILABLE; i++) {
    clock_sleep_ms(100);
    status = engine_session_open(fixture_engine, &fixture_session, &error);
  }
  assert_int_equal(status, STATUS_OK);
  expect_integer("SELECT count(*) FROM t", 1001);
}

static void a_commit_that_ends_the_database_is_of_unknown_outcome(void **state) {
  (void)state;
  struct error error = {0};
  /* DuckDB's own checkpoint, in the commit. */
  assert_int_equal(session_run(fixture_session, "SET checkpoint_threshold = '1KB'", &error),
                   STATUS_OK);
  assert_int_equal(
      session_run(fixture_session, "SET debug_checkpoint_abort = 'before_header'", &error),
      STATUS_OK);
  assert_int_equal(engine_begin(fixture_session, &error), STATUS_OK);
  run("INSERT INTO t SELECT 5000 + range FROM range(2000)");
  assert_int_equal(engine_commit(fixture_session, &error), STATUS_UNKNOWN);
  assert_non_null(strstr(error.text, "not known"));
  engine_session_close(fixture_session);
  assert_int_equal(engine_session_open(fixture_engine, &fixture_session, &error), STATUS_OK);
  expect_integer("SELECT count(*) FROM t", 3001); /* here it was kept */
}

static void lakes_are_attached_again(void **state) {
  (void)state;
  const char *extension = ducklake_extension();
  if (extension == NULL) skip();
  struct error error = {0};
  engine_session_close(fixture_session);
  engine_close(fixture_engine);
  fixture_session = NULL;
  fixture_engine = NULL;
  char lake[96];
  snprintf(lake, sizeof lake, "%s/lake.ducklake", folder);
  const char *const lakes[] = {lake};
  const struct engine_options options = {.path = path,
                                         .threads = 2,
                                         .extensions = &extension,
                                         .extension_count = 1,
                                         .lakes = lakes,
                                         .lake_count = 1,
                                         .local_files = true};
  if (engine_open(&options, &fixture_engine, &error) != STATUS_OK ||
      engine_session_open(fixture_engine, &fixture_session, &error) != STATUS_OK)
    fail_msg("%s", error.text);
  run("CREATE TABLE lake.t AS SELECT 7 AS a");
  run("INSERT INTO t VALUES (1001)");
  break_database();
  engine_session_close(fixture_session);
  fixture_session = NULL;
  if (engine_session_open(fixture_engine, &fixture_session, &error) != STATUS_OK)
    fail_msg("%s", error.text);
  expect_integer("SELECT sum(a)::BIGINT FROM lake.t", 7);
  expect_integer("SELECT count(*) FROM t", 1002);
  run("INSERT INTO lake.t VALUES (8)");
  expect_integer("SELECT sum(a)::BIGINT FROM lake.t", 15);
}

int main(void) {
  static bool is_late = true, is_early = false;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_dead_database_is_opened_anew_when_its_sessions_are_closed,
                                      setup, teardown),
      cmocka_unit_test_setup_teardown(another_database_goes_on, setup, teardown),
      cmocka_unit_test_prestate_setup_teardown(who_keeps_a_session_is_asked_for_it, setup, teardown,
                                               &is_early),
      cmocka_unit_test_prestate_setup_teardown(who_keeps_a_session_is_asked_for_it, setup, teardown,
                                               &is_late),
      cmocka_unit_test_setup_teardown(a_session_that_is_not_let_go_of_is_not_waited_for_for_ever,
                                      setup, teardown),
      cmocka_unit_test_setup_teardown(a_file_that_is_gone_is_not_made_anew, setup, teardown),
      cmocka_unit_test_setup_teardown(lakes_are_attached_again, setup, teardown),
      cmocka_unit_test_setup_teardown(a_commit_that_ends_the_database_is_of_unknown_outcome, setup,
                                      teardown),
  };
  return cmocka_run_group_tests_name("reopen", tests, NULL, NULL);
}
