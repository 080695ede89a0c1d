/* What the DuckDB sink does beyond the suite: statements of the right size, loads that
 * meet, files that cannot be written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "arrow/build.h"
#include "base/clock.h"
#include "sink/duckdb.h"

static struct budget budget = {.limit_bytes = (int64_t)1 << 31};
static struct sink *sink;
static struct ArrowSchema schema; /* n: int64, v: utf8 */

static void ok(enum status status, const struct error *error) {
  if (status != STATUS_OK) fail_msg("%s: %s", status_name(status), error->text);
}

/* Settings as pairs of name and value, ended by NULL. */
static struct sink *open_with(const char *const *settings) {
  struct config *config;
  struct sink *opened;
  struct error error = {0};
  ok(config_new(SINK_DUCKDB.config, &config, &error), &error);
  for (; settings[0] != NULL; settings += 2)
    ok(config_set(config, settings[0], settings[1], CONFIG_FLAG, &error), &error);
  ok(sink_open("duckdb", config, &opened, &error), &error);
  config_free(config);
  return opened;
}

static int setup(void **state) {
  (void)state;
  struct error error = {0};
  budget.used_bytes = 0;
  ok(arrow_schema_init(&schema, "+s", "", false, 2, &error), &error);
  ok(arrow_schema_init(schema.children[0], "l", "n", true, 0, &error), &error);
  ok(arrow_schema_init(schema.children[1], "u", "v", true, 0, &error), &error);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  arrow_schema_release(&schema);
  return budget.used_bytes == 0 ? 0 : 1;
}

static struct ArrowArray rows_from(int64_t first, int64_t rows, int64_t text_bytes) {
  struct build *build;
  struct ArrowArray batch;
  struct error error = {0};
  char *text = malloc((size_t)text_bytes + 1);
  assert_non_null(text);
  memset(text, 'x', (size_t)text_bytes);
  ok(build_new(&schema, &budget, &build, &error), &error);
  for (int64_t i = first; i < first + rows; i++) {
    ok(build_integer(build_child(build, 0), i, &error), &error);
    ok(build_bytes(build_child(build, 1), text, text_bytes, &error), &error);
    ok(build_slot(build, &error), &error);
  }
  ok(build_finish(build, &batch, &error), &error);
  build_free(build);
  free(text);
  return batch;
}

static enum status begin(const char *table, enum sink_mode mode, struct load **load,
                         struct error *error) {
  struct load_spec spec = {.schema = &schema, .mode = mode, .create_table = true};
  snprintf(spec.table.table, sizeof spec.table.table, "%s", table);
  return load_begin(sink, &spec, load, error);
}

static enum status append(struct load *load, struct ArrowArray batch, struct error *error) {
  enum status status = load_append(load, &batch, error);
  if (status != STATUS_OK) arrow_array_release(&batch); /* it stayed ours */
  return status;
}

/* The only number that `sql` answers with. */
static int64_t ask(const char *sql) {
  struct engine_session *session;
  struct engine_result *result;
  struct ArrowArray batch;
  struct error error = {0};
  ok(engine_session_open(sink_duckdb_engine(sink), &session, &error), &error);
  enum status status = engine_query(session, &(struct engine_query){.sql = sql}, &result, &error);
  if (status != STATUS_OK) fail_msg("%s: %s", sql, error.text);
  ok(engine_result_next(result, &batch, &error), &error);
  int64_t number = -1;
  if (batch.release != NULL) {
    number = ((const int64_t *)batch.children[0]->buffers[1])[0];
    arrow_array_release(&batch);
  }
  engine_result_close(result);
  engine_session_close(session);
  return number;
}

/* Rows wait until they make a statement, and go in whole row groups: so memory is
 * bounded by the statement, and it shows when memory is given back. */
static void rows_wait_for_their_statement_and_no_longer(void **state) {
  (void)state;
  static const struct {
    const char *rows, *bytes;
    int64_t batch_rows, batches, text_bytes, waiting_most;
  } cases[] = {
      {"122880", "1GiB", 10000, 40, 3, 122880 + 2 * 10000},
      {"245760", "1GiB", 50000, 12, 3, 245760 + 2 * 50000},
      {"100000000", "64KB", 1000, 50, 10, 8000},
      {"1", "1GiB", 70000, 5, 3, 3 * 70000},
      {"122880", "1GiB", 400000, 3, 3, 2 * 400000},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    sink = open_with((const char *const[]){"insert_rows", cases[i].rows, "insert_bytes_max",
                                           cases[i].bytes, NULL});
    struct load *load;
    struct load_result result;
    struct error error = {0};
    ok(begin("t", SINK_APPEND, &load, &error), &error);
    int64_t row_bytes = 8 + 4 + cases[i].text_bytes, most_bytes = 0;
    for (int64_t b = 0; b < cases[i].batches; b++) {
      struct ArrowArray batch =
          rows_from(b * cases[i].batch_rows, cases[i].batch_rows, cases[i].text_bytes);
      ok(append(load, batch, &error), &error);
      if (budget.used_bytes > most_bytes) most_bytes = budget.used_bytes;
    }
    /* Builders round up to powers of two, so twice what the rows take. */
    if (most_bytes > 2 * (row_bytes + 1) * cases[i].waiting_most)
      fail_msg("case %zu: %lld bytes waited", i, (long long)most_bytes);
    ok(load_commit(load, &result, &error), &error);
    assert_int_equal(budget.used_bytes, 0);
    int64_t rows = cases[i].batches * cases[i].batch_rows;
    assert_int_equal(result.rows, rows);
    assert_int_equal(ask("SELECT count(DISTINCT n) FROM t"), rows);
    assert_int_equal(ask("SELECT sum(n)::BIGINT FROM t"), rows * (rows - 1) / 2);
    sink_close(sink);
  }
}

/* The second load cannot see the table that the first has not committed, and cannot
 * make it either: it is told so after a while, not kept waiting for a client. */
static void a_table_that_another_load_is_creating_is_a_conflict(void **state) {
  (void)state;
  sink = open_with((const char *const[]){"insert_rows", "1", NULL});
  struct load *first, *second;
  struct load_result result;
  struct error error = {0};
  ok(begin("t", SINK_APPEND, &first, &error), &error);
  ok(append(first, rows_from(0, 10, 3), &error), &error);
  ok(load_flush(first, &error), &error);
  int64_t start_ms = clock_now_ms();
  ok(begin("t", SINK_APPEND, &second, &error), &error);
  ok(append(second, rows_from(10, 10, 3), &error), &error);
  assert_int_equal(load_commit(second, &result, &error), STATUS_CONFLICT);
  assert_true(clock_now_ms() - start_ms < 20000);
  assert_true(error.retry_after_ms > 0);
  ok(load_commit(first, &result, &error), &error);
  assert_int_equal(ask("SELECT count(*) FROM t"), 10);
  sink_close(sink);
}

static void *commit_soon(void *load) {
  struct load_result result;
  struct error error = {0};
  usleep(200000);
  ok(load_commit(load, &result, &error), &error);
  return NULL;
}

static void a_load_waits_a_moment_for_the_table_to_be_there(void **state) {
  (void)state;
  sink = open_with((const char *const[]){NULL});
  struct load *first, *second;
  struct error error = {0};
  pthread_t thread;
  struct load_result result;
  ok(begin("t", SINK_APPEND, &first, &error), &error);
  ok(append(first, rows_from(0, 10, 3), &error), &error);
  ok(load_flush(first, &error), &error);
  assert_int_equal(pthread_create(&thread, NULL, commit_soon, first), 0);
  ok(begin("t", SINK_APPEND, &second, &error), &error);
  ok(append(second, rows_from(10, 10, 3), &error), &error);
  ok(load_commit(second, &result, &error), &error);
  pthread_join(thread, NULL);
  assert_int_equal(ask("SELECT count(*) FROM t"), 20);
  sink_close(sink);
}

static void a_table_that_changes_under_a_load_is_a_conflict(void **state) {
  (void)state;
  sink = open_with((const char *const[]){"insert_rows", "1", NULL});
  struct load *load;
  struct load_result result;
  struct error error = {0};
  ok(begin("t", SINK_APPEND, &load, &error), &error);
  ok(load_commit(load, &result, &error), &error);
  ok(begin("t", SINK_APPEND, &load, &error), &error);
  ok(append(load, rows_from(0, 10, 3), &error), &error);
  ok(load_flush(load, &error), &error);
  ask("ALTER TABLE t ADD COLUMN more INTEGER");
  ok(append(load, rows_from(10, 10, 3), &error), &error);
  assert_int_equal(load_commit(load, &result, &error), STATUS_CONFLICT);
  assert_non_null(strstr(error.text, "altered by a different transaction"));
  assert_int_equal(ask("SELECT count(*) FROM t"), 0);
  sink_close(sink);
}

/* Until its first statement a load holds nothing that a change could break. */
static void a_table_may_change_before_the_rows_are_inserted(void **state) {
  (void)state;
  sink = open_with((const char *const[]){NULL});
  struct load *load;
  struct load_result result;
  struct error error = {0};
  for (int i = 0; i < 2; i++) {
    ok(begin("t", SINK_APPEND, &load, &error), &error);
    ok(append(load, rows_from(0, 10, 3), &error), &error);
    if (i == 1) ask("ALTER TABLE t ADD COLUMN more INTEGER");
    ok(load_commit(load, &result, &error), &error);
  }
  ok(begin("t", SINK_APPEND, &load, &error), &error);
  ok(append(load, rows_from(0, 10, 3), &error), &error);
  ask("ALTER TABLE t ALTER n TYPE TINYINT");
  assert_int_equal(load_commit(load, &result, &error), STATUS_SCHEMA);
  assert_non_null(strstr(error.text, "TINYINT"));
  assert_int_equal(ask("SELECT count(*) FROM t"), 20);
  sink_close(sink);
}

static enum status begin_upsert(struct load **load, struct error *error) {
  static const char *const keys[] = {"n"};
  struct load_spec spec = {.schema = &schema,
                           .mode = SINK_UPSERT,
                           .create_table = true,
                           .keys = keys,
                           .key_count = 1,
                           .table = {.table = "t"}};
  return load_begin(sink, &spec, load, error);
}

/* Somebody's transaction that has deleted the rows of t, and ends after a while. */
struct rival {
  struct engine_session *session;
  int64_t wait_ms;
};

static void *give_way(void *context) {
  struct rival *rival = context;
  clock_sleep_ms((int)rival->wait_ms);
  engine_rollback(rival->session);
  return NULL;
}

static void an_upsert_waits_for_who_changes_the_same_rows_and_not_for_ever(void **state) {
  (void)state;
  sink = open_with((const char *const[]){NULL});
  struct load *load;
  struct load_result result;
  struct error error = {0};
  struct rival rival = {.wait_ms = 100};
  struct table_name name = {.table = "t"};
  pthread_t thread;
  ok(begin_upsert(&load, &error), &error);
  ok(append(load, rows_from(0, 10, 3), &error), &error);
  ok(load_commit(load, &result, &error), &error);
  ok(engine_session_open(sink_duckdb_engine(sink), &rival.session, &error), &error);
  for (int gives_way = 1; gives_way >= 0; gives_way--) {
    ok(begin_upsert(&load, &error), &error);
    ok(append(load, rows_from(5, 10, 3), &error), &error);
    ok(engine_begin(rival.session, &error), &error);
    ok(engine_empty_table(rival.session, &name, &error), &error);
    if (gives_way != 0) assert_int_equal(pthread_create(&thread, NULL, give_way, &rival), 0);
    enum status status = load_commit(load, &result, &error);
    if (gives_way != 0) {
      pthread_join(thread, NULL);
      ok(status, &error);
      assert_int_equal(ask("SELECT count(*) FROM t"), 15);
    } else {
      assert_int_equal(status, STATUS_CONFLICT);
      assert_true(error.retry_after_ms > 0);
      assert_non_null(strstr(error.text, "table t"));
      engine_rollback(rival.session);
    }
  }
  engine_session_close(rival.session);
  assert_int_equal(ask("SELECT count(*) FROM t"), 15);
  sink_close(sink);
}

static void a_table_that_changes_under_an_upsert_is_a_conflict(void **state) {
  (void)state;
  sink = open_with((const char *const[]){NULL});
  struct load *load;
  struct load_result result;
  struct error error = {0};
  ask("CREATE TABLE t (n BIGINT, v VARCHAR)");
  ok(begin_upsert(&load, &error), &error);
  ok(append(load, rows_from(0, 10, 3), &error), &error);
  ask("ALTER TABLE t ALTER COLUMN n TYPE VARCHAR");
  assert_int_equal(load_commit(load, &result, &error), STATUS_CONFLICT);
  assert_non_null(strstr(error.text, "\"n\""));
  assert_int_equal(ask("SELECT count(*) FROM t"), 0);
  /* Another table of that name is used as it is. */
  ask("DROP TABLE t");
  ok(begin_upsert(&load, &error), &error);
  ok(append(load, rows_from(0, 10, 3), &error), &error);
  ask("CREATE TABLE t (more INTEGER DEFAULT 7, v VARCHAR, n BIGINT)");
  ok(load_commit(load, &result, &error), &error);
  assert_int_equal(ask("SELECT sum(more)::BIGINT FROM t"), 70);
  sink_close(sink);
}

static void rows_that_break_a_constraint_take_their_load_along(void **state) {
  (void)state;
  sink = open_with((const char *const[]){"insert_rows", "1", NULL});
  struct load *load;
  struct load_result result;
  struct error error = {0};
  ask("CREATE TABLE t (n BIGINT PRIMARY KEY, v VARCHAR)");
  ok(begin("t", SINK_APPEND, &load, &error), &error);
  ok(append(load, rows_from(0, 5, 3), &error), &error);
  ok(append(load, rows_from(4, 5, 3), &error), &error);
  assert_int_equal(load_commit(load, &result, &error), STATUS_SCHEMA);
  assert_non_null(strstr(error.text, "duplicate key \"4\""));
  assert_int_equal(ask("SELECT count(*) FROM t"), 0);
  /* Two loads that bring the same key: the second commit fails. */
  struct load *other;
  ok(begin("t", SINK_APPEND, &load, &error), &error);
  ok(begin("t", SINK_APPEND, &other, &error), &error);
  ok(append(load, rows_from(0, 5, 3), &error), &error);
  ok(append(other, rows_from(4, 5, 3), &error), &error);
  ok(load_commit(load, &result, &error), &error);
  assert_int_equal(load_commit(other, &result, &error), STATUS_SCHEMA);
  assert_int_equal(ask("SELECT count(*) FROM t"), 5);
  /* An overwrite may bring the keys that it replaces. */
  ok(begin("t", SINK_OVERWRITE, &load, &error), &error);
  ok(append(load, rows_from(3, 4, 3), &error), &error);
  ok(load_commit(load, &result, &error), &error);
  assert_int_equal(ask("SELECT min(n) FROM t"), 3);
  sink_close(sink);
}

static void too_little_memory_ends_the_load_and_nothing_else(void **state) {
  (void)state;
  sink = open_with(
      (const char *const[]){"memory_limit", "32MB", "threads", "1", "insert_rows", "122880", NULL});
  struct load *load;
  struct error error = {0};
  ok(begin("t", SINK_APPEND, &load, &error), &error);
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < 100 && status == STATUS_OK; i++)
    status = append(load, rows_from(i * 20000, 20000, 100), &error);
  assert_int_equal(status, STATUS_NOMEM); /* not STATUS_BUDGET: there is no going on */
  assert_non_null(strstr(error.text, "Out of Memory"));
  load_abort(load);
  struct load_result result;
  ok(begin("t", SINK_APPEND, &load, &error), &error);
  ok(append(load, rows_from(0, 10, 3), &error), &error);
  ok(load_commit(load, &result, &error), &error);
  assert_int_equal(ask("SELECT count(*) FROM t"), 10);
  sink_close(sink);
}

/* ---- what is ours ------------------------------------------------------------------------------ */

static void our_own_schema_is_not_listed_and_takes_no_load(void **state) {
  (void)state;
  sink = open_with((const char *const[]){NULL});
  struct load *load;
  struct error error = {0};
  struct load_spec spec = {.schema = &schema,
                           .mode = SINK_APPEND,
                           .create_table = true,
                           .table = {.schema = "_ARROWport", .table = "t"}};
  assert_int_equal(load_begin(sink, &spec, &load, &error), STATUS_DENIED);
  assert_non_null(strstr(error.text, SINK_DUCKDB_SCHEMA));
  ask("CREATE SCHEMA _arrowport; CREATE TABLE _arrowport.t (n INT); CREATE TABLE u (n INT)");
  struct table_info *tables = NULL;
  int64_t count = 0;
  ok(sink_list_tables(sink, &tables, &count, &error), &error);
  assert_int_equal(count, 1);
  assert_string_equal(tables[0].name.table, "u");
  table_info_release(&tables[0]);
  free(tables);
  sink_close(sink);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void a_file_that_is_open_for_reading_takes_no_load(void **state) {
  (void)state;
  char folder[] = "/tmp/arrowport-sink-XXXXXX", path[96];
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/data.duckdb", folder);
  struct load *load;
  struct load_result result;
  struct error error = {0};
  sink = open_with((const char *const[]){"path", path, NULL});
  ok(begin("t", SINK_APPEND, &load, &error), &error);
  ok(append(load, rows_from(0, 10, 3), &error), &error);
  ok(load_commit(load, &result, &error), &error);
  sink_close(sink);
  sink = open_with((const char *const[]){"path", path, "read_only", "true", NULL});
  assert_int_equal(ask("SELECT count(*) FROM t"), 10);
  assert_int_equal(begin("t", SINK_APPEND, &load, &error), STATUS_UNAVAILABLE);
  assert_int_equal(begin("t", SINK_OVERWRITE, &load, &error), STATUS_UNAVAILABLE);
  assert_int_equal(begin("new", SINK_APPEND, &load, &error), STATUS_UNAVAILABLE);
  assert_non_null(strstr(error.text, "open for reading only"));
  sink_close(sink);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(rmdir(folder), 0);
}

static void a_full_disk_ends_the_load_and_the_next_one_lands(void **state) {
  (void)state;
  char folder[] = "/tmp/arrowport-sink-XXXXXX", path[96];
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/data.duckdb", folder);
  if (mount("tmpfs", folder, "tmpfs", 0, "size=8m") != 0) {
    print_message("no right to mount a small file system: a full disk was not tried\n");
    assert_int_equal(rmdir(folder), 0);
    return;
  }
  sink = open_with((const char *const[]){"path", path, "insert_rows", "122880", NULL});
  struct load *load;
  struct load_result result;
  struct error error = {0};
  ok(begin("t", SINK_APPEND, &load, &error), &error);
  ok(append(load, rows_from(0, 10, 3), &error), &error);
  ok(load_commit(load, &result, &error), &error);
  for (int again = 0; again < 3; again++) {
    ok(begin("t", SINK_APPEND, &load, &error), &error);
    enum status status = STATUS_OK;
    int64_t seed = 1;
    for (int64_t i = 0; i < 40 && status == STATUS_OK; i++) {
      struct ArrowArray batch = rows_from(0, 50000, 3);
      int64_t *values = (int64_t *)(uintptr_t)batch.children[0]->buffers[1];
      for (int64_t k = 0; k < 50000; k++) /* numbers that do not compress */
        values[k] = seed = (int64_t)((uint64_t)seed * 6364136223846793005u + 1442695040888963407u);
      status = append(load, batch, &error);
    }
    if (status == STATUS_OK)
      status = load_commit(load, &result, &error);
    else
      load_abort(load);
    if (status != STATUS_IO) fail_msg("%s: %s", status_name(status), error.text);
    assert_non_null(strstr(error.text, "No space left"));
    assert_int_equal(ask("SELECT count(*) FROM t"), 10 + again);
    ok(begin("t", SINK_APPEND, &load, &error), &error);
    ok(append(load, rows_from(100 + again, 1, 3), &error), &error);
    ok(load_commit(load, &result, &error), &error);
  }
  sink_close(sink);
  sink = open_with((const char *const[]){"path", path, NULL});
  assert_int_equal(ask("SELECT count(*) FROM t"), 13);
  sink_close(sink);
  assert_int_equal(umount(folder), 0);
  assert_int_equal(rmdir(folder), 0);
}

int main(void) {
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
  const struct CMUnitTest tests[] = {
      EACH(rows_wait_for_their_statement_and_no_longer),
      EACH(a_table_that_another_load_is_creating_is_a_conflict),
      EACH(a_load_waits_a_moment_for_the_table_to_be_there),
      EACH(a_table_that_changes_under_a_load_is_a_conflict),
      EACH(a_table_may_change_before_the_rows_are_inserted),
      EACH(an_upsert_waits_for_who_changes_the_same_rows_and_not_for_ever),
      EACH(a_table_that_changes_under_an_upsert_is_a_conflict),
      EACH(rows_that_break_a_constraint_take_their_load_along),
      EACH(too_little_memory_ends_the_load_and_nothing_else),
      EACH(our_own_schema_is_not_listed_and_takes_no_load),
      EACH(a_file_that_is_open_for_reading_takes_no_load),
      EACH(a_full_disk_ends_the_load_and_the_next_one_lands),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
