/* Rows by key: those that were staged before and those that come at the end must end alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "engine/keys.h"
#include "fixture.h"

static void ok(enum status status, const struct error *error) {
  if (status != STATUS_OK) fail_msg("%s: %s", status_name(status), error->text);
}

/* What a SELECT answers, as batches of one row each where `apart`, or as one. */
struct rows {
  struct ArrowSchema schema;
  struct arrow_shared *batch;
  struct engine_slice slices[64];
  int64_t count;
};

static struct rows rows_of(const char *sql, bool apart) {
  struct rows rows = {.count = 0};
  struct error error = {0};
  struct engine_result *result = NULL;
  struct ArrowArray batch, end;
  ok(engine_query(fixture_session, &(struct engine_query){.sql = sql}, &result, &error), &error);
  ok(arrow_schema_copy(engine_result_schema(result), &rows.schema, &error), &error);
  ok(engine_result_next(result, &batch, &error), &error);
  assert_non_null(batch.release);
  ok(engine_result_next(result, &end, &error), &error);
  assert_null(end.release);
  engine_result_close(result);
  int64_t length = batch.length;
  ok(arrow_shared_new(&batch, &rows.batch, &error), &error);
  int64_t each = apart ? 1 : length;
  for (int64_t at = 0; at < length; at += each)
    rows.slices[rows.count++] = (struct engine_slice){rows.batch, at, each};
  return rows;
}

static void rows_release(struct rows *rows) {
  arrow_shared_release(rows->batch);
  arrow_schema_release(&rows->schema);
}

struct key {
  const char *names[4];
  size_t count;
};
static struct key key_of(const char *text, char copy[64]) {
  struct key key = {.count = 0};
  char *rest = NULL;
  snprintf(copy, 64, "%s", text);
  for (char *name = strtok_r(copy, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest))
    key.names[key.count++] = name;
  return key;
}

/* Upserts `rows` into table t, the first `staged` slices by way of the stage; twice over, as after
 * a conflict. */
static enum status upsert(struct rows *rows, const char *keys, bool unique, int64_t staged,
                          struct error *error) {
  char copy[64];
  struct key key = key_of(keys, copy);
  struct table_name table = table_named("t");
  struct engine_upsert_options options = {.table = &table,
                                          .schema = &rows->schema,
                                          .keys = key.names,
                                          .key_count = key.count,
                                          .unique = unique,
                                          .create_table = true};
  struct engine_upsert *made = NULL;
  int64_t inserted = 0;
  enum status status = engine_upsert_open(fixture_session, &options, &made, error);
  if (status == STATUS_OK && staged > 0)
    status = engine_insert_rows(engine_upsert_insert(made), rows->slices, staged, &inserted, error);
  if (status == STATUS_OK)
    status = engine_upsert_ready(made, rows->slices + staged, rows->count - staged, error);
  for (int i = 0; i < 2 && status == STATUS_OK; i++) {
    status = engine_begin(fixture_session, error);
    if (status == STATUS_OK) status = engine_upsert_apply(made, error);
    if (status != STATUS_OK || i == 0) engine_rollback(fixture_session);
  }
  if (status == STATUS_OK) status = engine_commit(fixture_session, error);
  engine_upsert_close(made);
  return status;
}

static const struct {
  const char *name;
  bool apart;
  int64_t staged;
} ways[] = {
    {"one batch, at the end", false, 0},
    {"many batches, at the end", true, 0},
    {"all but the first two at the end", true, 2},
    {"staged", false, 1},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

enum { SQL_BYTES = 1024 };

static void make_table(const char *columns, const char *values) {
  char sql[SQL_BYTES];
  snprintf(sql, sizeof sql, "CREATE OR REPLACE TABLE t (%s)", columns);
  run(sql);
  snprintf(sql, sizeof sql, "INSERT INTO t VALUES %s", values);
  run(sql);
}

static struct rows rows_named(const char *names, const char *values, bool apart) {
  char sql[SQL_BYTES];
  snprintf(sql, sizeof sql, "SELECT * FROM (VALUES %s) AS v(%s)", values, names);
  return rows_of(sql, apart);
}

static void expect_table(const char *want) {
  expect_text("SELECT string_agg(line, '|' ORDER BY line) FROM "
              "(SELECT concat_ws(' ', *COLUMNS(*)) AS line FROM t)",
              want);
}

static void rows_replace_those_of_their_key(void **state) {
  (void)state;
  static const struct {
    const char *columns, *before, *names, *rows, *keys, *want;
  } cases[] = {
      {"id BIGINT, name VARCHAR", "(1, 'one'), (2, 'two')", "id, name",
       "(2, 'TWO'), (3, 'THREE'), (4, NULL)", "id", "1 one|2 TWO|3 THREE|4"},
      /* the last one wins, wherever it stands */
      {"id BIGINT, name VARCHAR", "(1, 'one')", "id, name",
       "(1, 'a'), (2, 'b'), (1, 'c'), (2, 'd')", "id", "1 c|2 d"},
      {"id VARCHAR, name VARCHAR", "('a', 'one'), ('b', 'two')", "id, name",
       "('b', 'x'), ('', 'y'), ('B', 'z')", "id", " y|B z|a one|b x"},
      {"id VARCHAR, name VARCHAR", "('a', 'one')", "id, name", "('b', 'x'), ('b', 'y'), ('a', 'z')",
       "id", "a z|b y"},
      {"id INTEGER, name VARCHAR, n INTEGER", "(1, 'a', 7)", "id, name, n",
       "(1, 'a', 8), (1, 'b', 9), (2, 'a', 10)", "id,name", "1 a 8|1 b 9|2 a 10"},
      {"id INTEGER, name VARCHAR, n INTEGER", "(1, 'a', 7)", "id, name, n",
       "(1, 'a', 8), (1, 'b', 9), (1, 'a', 10)", "id,name", "1 a 10|1 b 9"},
      {"id DOUBLE, name VARCHAR", "(1.5, 'one'), (0, 'zero')", "id, name",
       "(1.5::DOUBLE, 'x'), ('nan'::DOUBLE, 'y'), ('-0'::DOUBLE, 'z')", "id", "-0.0 z|1.5 x|nan y"},
      {"id DATE, name VARCHAR", "('2026-01-01', 'one')", "id, name",
       "(DATE '2026-01-01', 'x'), (DATE '2026-01-02', 'y'), (DATE '1969-12-31', 'z')", "id",
       "1969-12-31 z|2026-01-01 x|2026-01-02 y"},
      /* far apart: what is found by a hash, not by a bitmap */
      {"id BIGINT, name VARCHAR", "(-9223372036854775808, 'one')", "id, name",
       "((-9223372036854775808)::BIGINT, 'x'), (9223372036854775807, 'y'), (0, 'z')", "id",
       "-9223372036854775808 x|0 z|9223372036854775807 y"},
      {"id BIGINT, name VARCHAR", "(0, 'one')", "id, name",
       "(4000000000000, 'x'), (0, 'y'), (4000000000000, 'z')", "id", "0 y|4000000000000 z"},
      {"id UBIGINT, name VARCHAR", "(18446744073709551615, 'one')", "id, name",
       "(18446744073709551615::UBIGINT, 'x'), (0, 'y'), (9223372036854775808, 'z')", "id",
       "0 y|18446744073709551615 x|9223372036854775808 z"},
      /* narrower than the column */
      {"id BIGINT, name VARCHAR", "(200, 'one')", "id, name",
       "(200::UTINYINT, 'x'), (1, 'y'), (255, 'z')", "id", "1 y|200 x|255 z"},
      {"id BIGINT, name VARCHAR", "(40000, 'one')", "id, name",
       "(40000::USMALLINT, 'x'), (1, 'y'), (2, 'z')", "id", "1 y|2 z|40000 x"},
      {"id DOUBLE, name VARCHAR", "(7, 'one')", "id, name",
       "(7::SMALLINT, 'x'), (-1, 'y'), (2, 'z')", "id", "-1.0 y|2.0 z|7.0 x"},
      /* columns of our own names */
      {"number BIGINT, c0 VARCHAR", "(1, 'one')", "number, c0", "(1, 'x'), (2, 'y'), (3, 'z')",
       "number", "1 x|2 y|3 z"},
      /* in another order, and columns that did not come */
      {"id BIGINT, name VARCHAR, more INTEGER DEFAULT 9", "(1, 'one', 5)", "name, id",
       "('x', 1), ('y', 2), ('z', 3)", "id", "1 x 9|2 y 9|3 z 9"},
      {"id BIGINT PRIMARY KEY, name VARCHAR", "(1, 'one'), (2, 'two')", "id, name",
       "(2, 'x'), (3, 'y'), (1, 'z')", "id", "1 z|2 x|3 y"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (int way = 0; way < WAYS; way++) {
      struct error error = {0};
      make_table(cases[i].columns, cases[i].before);
      struct rows rows = rows_named(cases[i].names, cases[i].rows, ways[way].apart);
      enum status status = upsert(&rows, cases[i].keys, false, ways[way].staged, &error);
      if (status != STATUS_OK) fail_msg("case %zu, %s: %s", i, ways[way].name, error.text);
      rows_release(&rows);
      expect_table(cases[i].want);
    }
}

static void what_is_refused_names_its_row(void **state) {
  (void)state;
  static const struct {
    const char *names, *rows, *keys, *want;
    bool unique;
  } cases[] = {
      {"id, name", "(1, 'a'), (2, 'b'), (NULL, 'c')", "id",
       "table t: row 2 (the first is 0): the key column \"id\" is NULL, which equals nothing: "
       "every row must have its key",
       false},
      {"id, name", "(1, 'a'), (2, NULL), (3, 'c')", "id,name",
       "table t: row 1 (the first is 0): the key column \"name\" is NULL, which equals "
       "nothing: "
       "every row must have its key",
       false},
      {"id, name", "(1, 'a'), (2, 'b'), (3, 'c'), (2, 'd')", "id",
       "table t: row 3 (the first is 0) has the key of an earlier row of this load", true},
      {"id, name", "(1, 'a'), (2, 'a'), (3, 'a'), (2, 'a')", "id,name",
       "table t: row 3 (the first is 0) has the key of an earlier row of this load", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (int way = 0; way < WAYS; way++) {
      struct error error = {0};
      make_table("id BIGINT, name VARCHAR", "(1, 'one')");
      struct rows rows = rows_named(cases[i].names, cases[i].rows, ways[way].apart);
      enum status status = upsert(&rows, cases[i].keys, cases[i].unique, ways[way].staged, &error);
      rows_release(&rows);
      assert_int_equal(status, STATUS_SCHEMA);
      assert_string_equal(error.text, cases[i].want);
      expect_table("1 one");
    }
}

/* A value that has no place in DuckDB, and one that a constraint refuses. */
static void a_row_that_does_not_fit_leaves_nothing(void **state) {
  (void)state;
  for (int way = 0; way < WAYS; way++) {
    struct error error = {0};
    make_table("id BIGINT, name VARCHAR CHECK (name <> 'bad')", "(1, 'one')");
    struct rows rows =
        rows_named("id, name", "(1, 'a'), (2, 'b'), (3, 'bad'), (4, 'd')", ways[way].apart);
    assert_int_equal(upsert(&rows, "id", false, ways[way].staged, &error), STATUS_SCHEMA);
    assert_non_null(strstr(error.text, "CHECK"));
    rows_release(&rows);
    expect_table("1 one");
  }
}

static void a_table_is_made_for_its_rows(void **state) {
  (void)state;
  for (int way = 0; way < WAYS; way++) {
    struct error error = {0};
    run("DROP TABLE IF EXISTS t");
    struct rows rows = rows_named("id, name", "(1, 'a'), (2, 'b'), (3, 'c')", ways[way].apart);
    ok(upsert(&rows, "id", false, ways[way].staged, &error), &error);
    rows_release(&rows);
    expect_table("1 a|2 b|3 c");
  }
}

/* Many more rows than a chunk, on two threads, half of them there already. */
static void many_rows_are_each_there_once(void **state) {
  (void)state;
  static const char *const keys[] = {"range * 7 % 300007",            /* a bitmap */
                                     "range * 7 % 300007 * 10000000", /* a hash */
                                     "'k' || range * 7 % 300007"};    /* SQL */
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    struct error error = {0};
    char sql[SQL_BYTES];
    snprintf(sql, sizeof sql,
             "CREATE OR REPLACE TABLE t AS SELECT %s AS id, range AS n FROM range(100000)",
             keys[i]);
    run(sql);
    snprintf(sql, sizeof sql, "SELECT %s AS id, -range AS n FROM range(50000, 150000)", keys[i]);
    struct rows rows = {.count = 0};
    rows = rows_of(sql, false);
    ok(upsert(&rows, "id", false, 0, &error), &error);
    rows_release(&rows);
    expect_integer("SELECT count(DISTINCT id) FROM t", 150000);
    expect_integer("SELECT count(*) FROM t", 150000);
    expect_integer("SELECT count(*) FROM t WHERE n < 0", 100000);
    expect_integer("SELECT sum(n)::BIGINT FROM t", 50000LL * 49999 / 2 - 100000LL * 199999 / 2);
  }
}

static void only_what_is_doubtful_is_staged(void **state) {
  (void)state;
  static const struct {
    const char *rows;
    int64_t staged;
  } cases[] = {
      {"(1, 'a'), (2, 'b'), (3, 'c')", 0},
      {"('x', 'a'), ('y', 'b'), ('z', 'c')", 0},
      {"(1, 'a'), (2, 'b'), (1, 'c')", 2},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    struct table_name table = table_named("t");
    struct rows rows = rows_named("id, name", cases[i].rows, false);
    struct engine_upsert_options options = {.table = &table,
                                            .schema = &rows.schema,
                                            .keys = (const char *const[]){"id"},
                                            .key_count = 1,
                                            .create_table = true};
    struct engine_upsert *made = NULL;
    ok(engine_upsert_open(fixture_session, &options, &made, &error), &error);
    ok(engine_upsert_ready(made, rows.slices, rows.count, &error), &error);
    expect_integer("SELECT count(*) FROM temp.main.arrowport_stage", cases[i].staged);
    engine_upsert_close(made);
    rows_release(&rows);
  }
}

/* ---- the look at the keys ---------------------------------------------------------------------- */

static void keys_are_looked_at(void **state) {
  (void)state;
  static const struct {
    const char *values;
    enum keys_verdict want;
  } cases[] = {
      {"(1::BIGINT), (2), (3)", KEYS_DISTINCT},
      {"(1::BIGINT), (2), (1)", KEYS_DOUBTFUL},
      {"(1::BIGINT), (2), (NULL)", KEYS_DOUBTFUL},
      {"(0::BIGINT), (9223372036854775807), (-9223372036854775807)", KEYS_DISTINCT},
      {"(0::BIGINT), (9223372036854775806), (0)", KEYS_DOUBTFUL},
      {"(-1::INTEGER), (2147483647), (-2147483648)", KEYS_DISTINCT},
      {"(-1::INTEGER), (2147483647), (-1)", KEYS_DOUBTFUL},
      {"(-1::SMALLINT), (1), (127)", KEYS_DISTINCT},
      {"(-1::TINYINT), (1), (-1)", KEYS_DOUBTFUL},
      {"(TIMESTAMP '2026-01-01'), ('2026-01-01 00:00:00.000001')", KEYS_DISTINCT},
      {"(TIMESTAMP '2026-01-01'), ('2026-01-01')", KEYS_DOUBTFUL},
      {"(1.5::DOUBLE), (2)", KEYS_DOUBTFUL}, /* what is no whole number is not looked at */
      {"('a'), ('b')", KEYS_DOUBTFUL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (int apart = 0; apart < 2; apart++) {
      struct rows rows = rows_named("id", cases[i].values, apart != 0);
      assert_int_equal(keys_look(&rows.schema, 0, rows.slices, rows.count), cases[i].want);
      rows_release(&rows);
    }
}

int main(void) {
#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
  const struct CMUnitTest tests[] = {
      TEST(rows_replace_those_of_their_key),
      TEST(what_is_refused_names_its_row),
      TEST(a_row_that_does_not_fit_leaves_nothing),
      TEST(a_table_is_made_for_its_rows),
      TEST(many_rows_are_each_there_once),
      TEST(only_what_is_doubtful_is_staged),
      TEST(keys_are_looked_at),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
