#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include <cmocka.h>

#include "arrow/build.h"
#include "base/text.h"
#include "fixture.h"

static void ok(enum status status, const struct error *error) {
  if (status != STATUS_OK) fail_msg("%s: %s", status_name(status), error->text);
}

static struct engine_statement *prepared(const char *sql) {
  struct engine_statement *statement;
  struct error error = {0};
  enum status status =
      engine_prepare(fixture_session, &(struct engine_query){.sql = sql}, &statement, &error);
  if (status != STATUS_OK) fail_msg("%s: %s", sql, error.text);
  return statement;
}

/* Formats and names of a schema's fields: "i x, u name". */
static const char *words(const struct ArrowSchema *schema) {
  static char out[512];
  size_t at = 0;
  out[0] = '\0';
  for (int64_t i = 0; i < schema->n_children && at < sizeof out; i++)
    at += (size_t)snprintf(out + at, sizeof out - at, "%s%s %s", i == 0 ? "" : ", ",
                           schema->children[i]->format, schema->children[i]->name);
  return out;
}

/* ---- what is told when it is prepared -------------------------------------------------- */

static void the_answer_and_the_parameters_are_told_before_it_runs(void **state) {
  (void)state;
  static const struct {
    const char *sql, *schema, *parameters;
    bool rows;
  } cases[] = {
      {"SELECT 1 AS x, a FROM t", "i x, l a", "", true},
      {"SELECT * FROM t WHERE a = ?", "l a, u b, d:9,2 c, tsu: d, u e", "l 1", true},
      {"SELECT a FROM t WHERE b = $name AND a > $low", "l a", "u name, l low", true},
      {"SELECT a FROM t WHERE e = ?", "l a", "u 1", true},
      {"SELECT ?::INT AS v", "i v", "i 1", true},
      {"SELECT ? AS v", "u v", "n 1", true},
      {"SELECT ? + 1 AS v, a FROM t", "i v, l a", "n 1", true},
      {"SELECT * FROM query_table(?)", "n unknown", "n 1", true},
      {"SELECT TIMETZ '10:00:00+01' = ? AS v", "b v", "n 1", true},
      {"SELECT a FROM t LIMIT ?", "l a", "l 1", true},
      {"EXPLAIN SELECT 1", "u explain_key, u explain_value", "", true},
      {"DESCRIBE t", "u column_name, u column_type, u null, u key, u default, u extra", "", true},
      {"INSERT INTO t (a, b) VALUES (?, ?)", "", "l 1, u 2", false},
      {"INSERT INTO t (b) VALUES ('returning') -- returning", "", "", false},
      {"INSERT INTO t (a) VALUES (?) RETURNING a, b", "l a, u b", "l 1", true},
      {"INSERT INTO t (a) VALUES (?) RETURNING a AS \"Count\"", "l Count", "l 1", true},
      {"UPDATE t SET b = ? WHERE a = ?", "", "u 1, l 2", false},
      {"DELETE FROM t", "", "", false},
      {"DELETE FROM t RETURNING b", "u b", "", true},
      {"CREATE TABLE u AS SELECT a FROM t", "", "", false},
      {"DROP TABLE t", "", "", false},
      {"CHECKPOINT", "", "", false},
  };
  run("CREATE TABLE t (a BIGINT, b VARCHAR, c DECIMAL(9, 2), d TIMESTAMP, e ENUM('x', 'y'))");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct engine_statement *statement = prepared(cases[i].sql);
    if (strcmp(words(engine_statement_schema(statement)), cases[i].schema) != 0)
      fail_msg("%s: answers %s", cases[i].sql, words(engine_statement_schema(statement)));
    if (strcmp(words(engine_statement_parameters(statement)), cases[i].parameters) != 0)
      fail_msg("%s: takes %s", cases[i].sql, words(engine_statement_parameters(statement)));
    if (engine_statement_has_rows(statement) != cases[i].rows) fail_msg("%s: rows", cases[i].sql);
    engine_statement_close(statement);
  }
  expect_integer("SELECT count(*) FROM duckdb_tables()", 1); /* nothing was run */
}

static void the_schema_that_was_told_is_that_of_the_result(void **state) {
  (void)state;
  static const char *const sources[] = {
      "SELECT * EXCLUDE (time_tz, bignum, geometry, \"union\") FROM test_all_types()",
      "SELECT 'b'::ENUM('a', 'b') AS e, NULL AS n, 1::HUGEINT AS h, '{}'::JSON AS j, "
      "{'a': [1, NULL], 'b': MAP {1: 'x'}} AS s, uuid() AS u, '101'::BIT AS bits, 1 AS n",
  };
  for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
    struct error error = {0};
    struct engine_result *result;
    struct engine_statement *statement;
    enum status status = engine_prepare(fixture_session, &(struct engine_query){.sql = sources[i]},
                                        &statement, &error);
    ok(status, &error);
    ok(engine_query(fixture_session, &(struct engine_query){.sql = sources[i]}, &result, &error),
       &error);
    if (!arrow_schema_equal(engine_result_schema(result), engine_statement_schema(statement),
                            &error))
      fail_msg("%s: %s", sources[i], error.text);
    engine_result_close(result);
    engine_statement_close(statement);
  }
}

static void what_a_query_must_not_say_is_not_prepared(void **state) {
  (void)state;
  static const struct {
    struct engine_query query;
    enum status status;
    const char *text;
  } cases[] = {
      {{.sql = "BEGIN"}, STATUS_DENIED, "BEGIN, COMMIT, ROLLBACK"},
      {{.sql = "COMMIT"}, STATUS_DENIED, "BEGIN, COMMIT, ROLLBACK"},
      {{.sql = "SET threads = 1"}, STATUS_DENIED, "SET"},
      {{.sql = "ATTACH 'x'"}, STATUS_DENIED, "ATTACH"},
      {{.sql = "SELECT * FROM read_csv(?)"}, STATUS_DENIED, "read_csv"},
      {{.sql = "INSERT INTO t VALUES (?)", .read_only = true}, STATUS_DENIED, "INSERT writes"},
      {{.sql = "CREATE TABLE u (a INT)", .data_only = true}, STATUS_DENIED, "CREATE"},
      {{.sql = "SELECT 1; SELECT 2"}, STATUS_INVALID, "one statement can be prepared"},
      {{.sql = "SELECT nosuch FROM t"}, STATUS_INVALID, "nosuch"},
      {{.sql = ""}, STATUS_INVALID, "there is no statement"},
  };
  run("CREATE TABLE t (a BIGINT)");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct engine_statement *statement;
    struct error error = {0};
    enum status status = engine_prepare(fixture_session, &cases[i].query, &statement, &error);
    if (status != cases[i].status || strstr(error.text, cases[i].text) == NULL)
      fail_msg("%s: %s: %s", cases[i].query.sql, status_name(status), error.text);
    assert_null(statement);
  }
}

/* ---- parameters ------------------------------------------------------------------------------ */

/* The first batch of an answer, of which the schema is kept. */
static struct ArrowArray first_batch(const char *sql, struct ArrowSchema *schema) {
  struct error error = {0};
  struct engine_result *result;
  struct ArrowArray batch;
  ok(engine_query(fixture_session, &(struct engine_query){.sql = sql, .budget = &fixture_budget},
                  &result, &error),
     &error);
  ok(engine_result_next(result, &batch, &error), &error);
  ok(arrow_schema_copy(engine_result_schema(result), schema, &error), &error);
  engine_result_close(result);
  return batch;
}

static int64_t run_row(struct engine_statement *statement, const struct ArrowSchema *schema,
                       const struct ArrowArray *parameters, int64_t row) {
  struct error error = {0};
  struct engine_result *result;
  ok(engine_statement_run(statement, schema, parameters, row, &result, &error), &error);
  int64_t changed = engine_result_changed_rows(result);
  engine_result_close(result);
  return changed;
}

/* Rows are read, bound one by one to an INSERT, and DuckDB says whether anything differs. */
static void every_value_survives_as_a_parameter(void **state) {
  (void)state;
  static const char *const sources[] = {
      "SELECT bool, tinyint, smallint, int, bigint, utinyint, usmallint, uint, ubigint, float, "
      "double, dec_4_1, dec_9_4, dec_18_6, dec38_10, varchar, blob, interval FROM test_all_types()",
      "SELECT CASE WHEN isfinite(date) THEN date END AS date, time, time_ns, "
      "CASE WHEN isfinite(timestamp) THEN timestamp END AS ts, "
      "CASE WHEN isfinite(timestamp_s) THEN timestamp_s END AS ts_s, "
      "CASE WHEN isfinite(timestamp_ms) THEN timestamp_ms END AS ts_ms, "
      "CASE WHEN isfinite(timestamp_ns) THEN timestamp_ns END AS ts_ns, "
      "CASE WHEN isfinite(timestamp_tz) THEN timestamp_tz END AS ts_tz "
      "FROM test_all_types() WHERE coalesce(time < '24:00:00', true) "
      "AND coalesce(time_ns < '24:00:00', true)",
      "SELECT int_array, double_array, varchar_array, nested_int_array, struct, struct_of_arrays, "
      "array_of_structs, map, fixed_int_array, fixed_varchar_array, fixed_nested_int_array, "
      "fixed_struct_array, struct_of_fixed_array, fixed_array_of_int_list, "
      "list_of_fixed_int_array FROM test_all_types()",
      "SELECT range AS n, CASE WHEN range % 3 = 0 THEN NULL ELSE range::VARCHAR END AS v, "
      "CASE WHEN range % 5 = 0 THEN NULL ELSE [range, NULL, range + 1] END AS l, "
      "CASE WHEN range % 7 = 0 THEN NULL ELSE {'a': range, 'b': ['x' || range]} END AS s, "
      "CASE WHEN range % 6 = 0 THEN NULL ELSE MAP {range: 'v' || range, -1: NULL} END AS m, "
      "[range, NULL]::BIGINT[2] AS a FROM range(50)",
  };
  for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
    char sql[2048];
    struct ArrowSchema schema;
    snprintf(sql, sizeof sql,
             "CREATE TABLE source AS %s; CREATE TABLE bound AS FROM source LIMIT 0", sources[i]);
    run(sql);
    struct ArrowArray batch = first_batch("SELECT * FROM source", &schema);
    size_t at = (size_t)snprintf(sql, sizeof sql, "INSERT INTO bound VALUES (");
    for (int64_t k = 0; k < schema.n_children; k++)
      at += (size_t)snprintf(sql + at, sizeof sql - at, k == 0 ? "?" : ", ?");
    snprintf(sql + at, sizeof sql - at, ")");
    struct engine_statement *statement = prepared(sql);
    for (int64_t row = 0; row < batch.length; row++)
      assert_int_equal(run_row(statement, &schema, &batch, row), 1);
    engine_statement_close(statement);
    arrow_array_release(&batch);
    arrow_schema_release(&schema);
    expect_integer("SELECT (SELECT count(*) FROM source) - (SELECT count(*) FROM bound)", 0);
    expect_integer("SELECT count(*) FROM (SELECT * FROM source EXCEPT ALL SELECT * FROM bound)", 0);
    run("DROP TABLE source; DROP TABLE bound");
  }
}

/* A batch of one row of integers and texts: "name=1" or "name:text". */
static struct ArrowArray row_of(const char *const *cells, int64_t count,
                                struct ArrowSchema *schema) {
  struct error error = {0};
  struct build *build;
  struct ArrowArray batch;
  ok(arrow_schema_init(schema, "+s", "", false, count, &error), &error);
  for (int64_t i = 0; i < count; i++) {
    char name[32];
    size_t bytes = strcspn(cells[i], "=:");
    snprintf(name, sizeof name, "%.*s", (int)bytes, cells[i]);
    ok(arrow_schema_init(schema->children[i], cells[i][bytes] == '=' ? "l" : "u", name, true, 0,
                         &error),
       &error);
  }
  ok(build_new(schema, &fixture_budget, &build, &error), &error);
  for (int64_t i = 0; i < count; i++) {
    const char *value = cells[i] + strcspn(cells[i], "=:");
    if (value[0] == '=')
      ok(build_integer(build_child(build, i), strtoll(value + 1, NULL, 10), &error), &error);
    else
      ok(build_bytes(build_child(build, i), value + 1, (int64_t)strlen(value + 1), &error), &error);
  }
  ok(build_slot(build, &error), &error);
  ok(build_finish(build, &batch, &error), &error);
  build_free(build);
  return batch;
}

/* The text that a statement answers with, one row of one column; "" for no row. */
static enum status ask(struct engine_statement *statement, const struct ArrowSchema *schema,
                       const struct ArrowArray *parameters, char answer[64], struct error *error) {
  struct engine_result *result;
  struct ArrowArray batch = {0};
  enum status status = engine_statement_run(statement, schema, parameters, 0, &result, error);
  if (status != STATUS_OK) return status;
  answer[0] = '\0';
  status = engine_result_next(result, &batch, error);
  if (status == STATUS_OK && batch.release != NULL) {
    const int32_t *offsets = batch.children[0]->buffers[1];
    snprintf(answer, 64, "%.*s", (int)offsets[1], (const char *)batch.children[0]->buffers[2]);
    arrow_array_release(&batch);
  }
  engine_result_close(result);
  return status;
}

static void parameters_go_by_name_where_all_have_one(void **state) {
  (void)state;
  static const struct {
    const char *sql, *first, *second, *want;
  } cases[] = {
      {"SELECT $low || '-' || $high", "high:z", "low:a", "a-z"},
      {"SELECT $low || '-' || $high", "LOW:a", "High:z", "a-z"},
      {"SELECT $low || '-' || $high", "0:a", "1:z", "a-z"},    /* no such names */
      {"SELECT $low || '-' || $high", "high:a", "1:z", "a-z"}, /* not all of them */
      {"SELECT ? || '-' || ?", "2:a", "1:z", "a-z"},           /* numbers are positions */
      {"SELECT $2 || '-' || $1", "0:a", "1:z", "z-a"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema schema;
    struct error error = {0};
    char got[64];
    struct ArrowArray row =
        row_of((const char *const[]){cases[i].first, cases[i].second}, 2, &schema);
    struct engine_statement *statement = prepared(cases[i].sql);
    ok(ask(statement, &schema, &row, got, &error), &error);
    if (strcmp(got, cases[i].want) != 0) fail_msg("%s: %s", cases[i].sql, got);
    engine_statement_close(statement);
    arrow_array_release(&row);
    arrow_schema_release(&schema);
  }
}

static void values_are_cast_to_what_the_statement_expects_or_refused(void **state) {
  (void)state;
  static const struct {
    const char *sql, *cell;
    enum status status;
    const char *want;
  } cases[] = {
      {"SELECT (d = ?)::VARCHAR FROM t", "0:2024-02-29", STATUS_OK, "true"},
      {"SELECT (s = ?)::VARCHAR FROM t", "0=7", STATUS_OK, "true"},
      {"SELECT (s = ?)::VARCHAR FROM t", "0=70000", STATUS_OK, "false"}, /* not in a SMALLINT */
      {"SELECT typeof(?)", "0=7", STATUS_OK, "BIGINT"},
      {"SELECT typeof(s + ?) FROM t", "0=7", STATUS_OK, "BIGINT"},
      {"SELECT (d = ?)::VARCHAR FROM t", "0:yesterday", STATUS_INVALID, "yesterday"},
      {"UPDATE t SET s = ?", "0=70000", STATUS_INVALID, "INT16"},
      {"UPDATE t SET s = ?", "0=-32768", STATUS_OK, ""},
  };
  run("CREATE TABLE t (d DATE, s SMALLINT)");
  run("INSERT INTO t VALUES ('2024-02-29', 7)");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema schema;
    struct error error = {0};
    char got[64] = "";
    struct ArrowArray row = row_of(&cases[i].cell, 1, &schema);
    struct engine_statement *statement = prepared(cases[i].sql);
    enum status status = engine_statement_has_rows(statement)
                             ? ask(statement, &schema, &row, got, &error)
                             : STATUS_OK;
    if (!engine_statement_has_rows(statement)) {
      struct engine_result *result;
      status = engine_statement_run(statement, &schema, &row, 0, &result, &error);
      engine_result_close(result);
    }
    const char *text = status == STATUS_OK ? got : error.text;
    if (status != cases[i].status || strstr(text, cases[i].want) == NULL)
      fail_msg("%s with %s: %s: %s", cases[i].sql, cases[i].cell, status_name(status), text);
    engine_statement_close(statement);
    arrow_array_release(&row);
    arrow_schema_release(&schema);
  }
  expect_integer("SELECT s::BIGINT FROM t", -32768);
}

static void parameters_that_cannot_be_bound_are_refused_by_name(void **state) {
  (void)state;
  struct engine_statement *statement = prepared("SELECT ?::VARCHAR");
  struct engine_result *result;
  struct error error = {0};
  struct ArrowSchema schema;
  assert_int_equal(engine_statement_run(statement, NULL, NULL, 0, &result, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "1 parameters, and none is bound"));
  struct ArrowArray two = row_of((const char *const[]){"a=1", "b=2"}, 2, &schema);
  assert_int_equal(engine_statement_run(statement, &schema, &two, 0, &result, &error),
                   STATUS_INVALID);
  assert_non_null(strstr(error.text, "1 parameters, but 2 were given"));
  arrow_schema_release(&schema);
  struct ArrowArray one = row_of((const char *const[]){"a=1"}, 1, &schema);
  assert_int_equal(engine_statement_run(statement, &schema, &one, 1, &result, &error),
                   STATUS_INVALID);
  assert_non_null(strstr(error.text, "no row 1"));
  arrow_schema_release(&schema);
  static const struct {
    const char *format;
    enum status status;
    const char *text;
  } cases[] = {
      {"tsn:Europe/Berlin", STATUS_UNSUPPORTED, "microseconds"},
      {"tDn", STATUS_UNSUPPORTED, "microseconds"},
      {"d:50,2,256", STATUS_UNSUPPORTED, "38 digits"},
      {"ttu", STATUS_SCHEMA, "one day"}, /* -1 */
  };
  one.n_children = 1;
  static int64_t minus_one = -1;
  static const void *buffers[2] = {NULL, &minus_one};
  struct ArrowArray child = {.length = 1, .n_buffers = 2, .buffers = buffers};
  struct ArrowArray *children[1] = {&child};
  struct ArrowArray batch = {.length = 1, .n_children = 1, .children = children};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    schema = schema_of(&(struct field){"when", cases[i].format}, 1);
    enum status status = engine_statement_run(statement, &schema, &batch, 0, &result, &error);
    if (status != cases[i].status || strstr(error.text, cases[i].text) == NULL ||
        strstr(error.text, "\"when\"") == NULL)
      fail_msg("%s: %s: %s", cases[i].format, status_name(status), error.text);
    arrow_schema_release(&schema);
  }
  arrow_array_release(&one);
  arrow_array_release(&two);
  /* and it is of use all the same */
  char got[64];
  one = row_of((const char *const[]){"a=1"}, 1, &schema);
  ok(ask(statement, &schema, &one, got, &error), &error);
  assert_string_equal(got, "1");
  arrow_array_release(&one);
  arrow_schema_release(&schema);
  engine_statement_close(statement);
}

static void the_answer_to_a_row_can_be_described_before_it_runs(void **state) {
  (void)state;
  static const struct {
    const char *sql, *cell, *want;
  } cases[] = {
      {"SELECT ? AS v", "0=7", "l v"},
      {"SELECT ? AS v", "0:x", "u v"},
      {"SELECT s + $1 AS v, [$1] AS \"w \"\" w\" FROM t", "0=7", "l v, +l w \" w"},
      {"SELECT * FROM query_table(?)", "0:t", "s s"},
      {"INSERT INTO t VALUES (?)", "0=7", ""},
  };
  run("CREATE TABLE t (s SMALLINT)");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema schema, answer;
    struct error error = {0};
    struct ArrowArray row = row_of(&cases[i].cell, 1, &schema);
    struct engine_statement *statement = prepared(cases[i].sql);
    ok(engine_statement_describe(statement, &schema, &row, 0, &answer, &error), &error);
    if (strcmp(words(&answer), cases[i].want) != 0)
      fail_msg("%s: %s", cases[i].sql, words(&answer));
    if (engine_statement_has_rows(statement)) {
      struct engine_result *result;
      ok(engine_statement_run(statement, &schema, &row, 0, &result, &error), &error);
      if (!arrow_schema_equal(engine_result_schema(result), &answer, &error))
        fail_msg("%s: %s", cases[i].sql, error.text);
      engine_result_close(result);
    }
    engine_statement_close(statement);
    arrow_schema_release(&answer);
    arrow_array_release(&row);
    arrow_schema_release(&schema);
  }
  expect_integer("SELECT count(*) FROM t", 0);
}

/* ---- running -------------------------------------------------------------------------------------- */

static void a_statement_follows_its_table(void **state) {
  (void)state;
  run("CREATE TABLE t (a VARCHAR)");
  run("INSERT INTO t VALUES ('one')");
  struct engine_statement *statement = prepared("SELECT a FROM t");
  struct error error = {0};
  char got[64];
  ok(ask(statement, NULL, NULL, got, &error), &error);
  assert_string_equal(got, "one");
  run("DROP TABLE t; CREATE TABLE t (b INT, a VARCHAR)");
  run("INSERT INTO t VALUES (2, 'two')");
  ok(ask(statement, NULL, NULL, got, &error), &error);
  assert_string_equal(got, "two");
  run("DROP TABLE t");
  assert_int_equal(ask(statement, NULL, NULL, got, &error), STATUS_INVALID);
  engine_statement_close(statement);
}

static bool may_read_open(void *context, const struct table_name *table) {
  (void)context;
  return strncmp(table->table, "open", 4) == 0;
}

static void tables_are_asked_about_with_each_run_and_its_values(void **state) {
  (void)state;
  run("CREATE TABLE open1 AS SELECT 'mine' AS a; CREATE TABLE hidden AS SELECT 'theirs' AS a");
  const struct engine_query query = {.sql = "SELECT a FROM query_table(?)",
                                     .read_only = true,
                                     .may_read = may_read_open,
                                     .may_write = may_read_open};
  struct engine_query asked = query;
  struct engine_statement *statement;
  struct error error = {0};
  /* Not even the columns of a table that may not be read are told. */
  asked.sql = "SELECT * FROM hidden WHERE a = ?";
  assert_int_equal(engine_prepare(fixture_session, &asked, &statement, &error), STATUS_DENIED);
  asked.sql = "SELECT a FROM open1 WHERE a = ?";
  ok(engine_prepare(fixture_session, &asked, &statement, &error), &error);
  struct ArrowSchema schema;
  const char *cell = "0:mine";
  char got[64];
  struct ArrowArray row = row_of(&cell, 1, &schema);
  ok(ask(statement, &schema, &row, got, &error), &error);
  assert_string_equal(got, "mine");
  run("DROP TABLE open1; CREATE VIEW open1 AS SELECT a FROM hidden");
  assert_int_equal(ask(statement, &schema, &row, got, &error), STATUS_DENIED);
  engine_statement_close(statement);
  arrow_array_release(&row);
  arrow_schema_release(&schema);
  /* A table's name as a value cannot be asked about beforehand. */
  assert_int_not_equal(engine_prepare(fixture_session, &query, &statement, &error), STATUS_OK);
}

static void returning_answers_rows_and_leaves_nothing_when_it_is_given_up(void **state) {
  (void)state;
  run("CREATE TABLE t (a VARCHAR)");
  struct engine_statement *statement;
  struct error error = {0};
  ok(engine_prepare(
         fixture_session,
         &(struct engine_query){.sql = "INSERT INTO t VALUES (?) RETURNING a", .revocable = true},
         &statement, &error),
     &error);
  struct ArrowSchema schema;
  const char *cell = "0:x";
  struct ArrowArray row = row_of(&cell, 1, &schema);
  struct engine_result *result;
  ok(engine_statement_run(statement, &schema, &row, 0, &result, &error), &error);
  engine_result_close(result);
  expect_integer("SELECT count(*) FROM t", 0);
  ok(engine_statement_run(statement, &schema, &row, 0, &result, &error), &error);
  for (struct ArrowArray batch;;) {
    ok(engine_result_next(result, &batch, &error), &error);
    if (batch.release == NULL) break;
    arrow_array_release(&batch);
  }
  engine_result_close(result);
  expect_integer("SELECT count(*) FROM t", 1);
  engine_statement_close(statement);
  arrow_array_release(&row);
  arrow_schema_release(&schema);
}

static void ten_thousand_rows_of_parameters_are_bound_in_one_transaction(void **state) {
  (void)state;
  enum { ROWS = 10000 };
  struct ArrowSchema schema;
  struct error error = {0};
  run("CREATE TABLE t (a SMALLINT, b VARCHAR)");
  struct ArrowArray batch =
      first_batch("SELECT range AS a, 'row ' || range AS b FROM range(10000)", &schema);
  struct engine_statement *statement = prepared("INSERT INTO t VALUES (?, ?)");
  ok(engine_begin(fixture_session, &error), &error);
  for (int64_t row = 0; row < ROWS; row++) run_row(statement, &schema, &batch, row);
  ok(engine_commit(fixture_session, &error), &error);
  engine_statement_close(statement);
  arrow_array_release(&batch);
  arrow_schema_release(&schema);
  expect_integer("SELECT count(*) FROM t WHERE b = 'row ' || a", ROWS);
}

static void plain_inserts_take_all_rows_at_once(void **state) {
  (void)state;
  static const struct {
    const char *sql;
    bool done;
  } cases[] = {
      {"INSERT INTO t VALUES (?, ?)", true},
      {"insert into main.\"t\" ( a , \"b\" ) values ( ? , ? ) ; ", true},
      {"INSERT INTO t (b, a) VALUES (?, ?)", true},
      {"INSERT INTO t VALUES ($1, $2)", false},
      {"INSERT INTO t VALUES (?, upper(?))", false},
      {"INSERT INTO t VALUES (?, ?) RETURNING a", false},
      {"INSERT INTO u VALUES (?, ?) ON CONFLICT DO NOTHING", false},
      {"INSERT OR IGNORE INTO u VALUES (?, ?)", false},
      {"INSERT INTO t SELECT 1, 'x' UNION VALUES (?, ?)", false},
      {"INSERT INTO t /* */ VALUES (?, ?)", false},
      {"UPDATE t SET a = ?, b = ?", false},
  };
  struct error error = {0};
  struct ArrowSchema schema;
  run("CREATE TABLE t (a VARCHAR, b VARCHAR); CREATE TABLE u (a VARCHAR PRIMARY KEY, b VARCHAR)");
  struct ArrowArray batch = first_batch(
      "SELECT range AS x, CASE WHEN range % 2 = 0 THEN 'row ' || range END AS y FROM range(10000)",
      &schema);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct engine_statement *statement = prepared(cases[i].sql);
    bool done = true;
    ok(engine_statement_run_all(statement, &schema, &batch, &done, &error), &error);
    assert_false(done); /* there is no transaction */
    ok(engine_begin_client(fixture_session, false, &error), &error);
    ok(engine_statement_run_all(statement, &schema, &batch, &done, &error), &error);
    if (done != cases[i].done) fail_msg("%s: %s", cases[i].sql, done ? "at once" : "not at once");
    bool turned = strstr(cases[i].sql, "(b, a)") != NULL;
    if (done)
      expect_integer(turned ? "SELECT count(*) FROM t WHERE b::BIGINT % 2 = 1 OR a = 'row ' || b"
                            : "SELECT count(*) FROM t WHERE a::BIGINT % 2 = 1 OR b = 'row ' || a",
                     10000);
    engine_rollback(fixture_session);
    engine_statement_close(statement);
  }
  arrow_array_release(&batch);
  arrow_schema_release(&schema);
}

static void rows_that_do_not_fit_are_refused_all_together(void **state) {
  (void)state;
  struct error error = {0};
  struct ArrowSchema schema;
  struct engine_statement *statement;
  bool done;
  run("CREATE TABLE t (a SMALLINT, d DATE)");
  struct ArrowArray batch =
      first_batch("SELECT range AS x, '2024-01-01' AS y FROM range(32760, 32770)", &schema);
  statement = prepared("INSERT INTO t VALUES (?, ?)");
  ok(engine_begin_client(fixture_session, false, &error), &error);
  assert_int_equal(engine_statement_run_all(statement, &schema, &batch, &done, &error),
                   STATUS_SCHEMA);
  assert_true(done);
  assert_non_null(strstr(error.text, "32768"));
  assert_false(engine_transaction_open(fixture_session));
  engine_rollback(fixture_session);
  engine_statement_close(statement);
  /* Who may write only some tables is asked here, too. */
  run("CREATE TABLE open1 (a BIGINT, d DATE)");
  ok(engine_prepare(fixture_session,
                    &(struct engine_query){.sql = "INSERT INTO open1 VALUES (?, ?)",
                                           .may_read = may_read_open,
                                           .may_write = may_read_open},
                    &statement, &error),
     &error);
  run("DROP TABLE open1; CREATE VIEW open1 AS SELECT 1 AS a, 2 AS d");
  ok(engine_begin_client(fixture_session, false, &error), &error);
  assert_int_not_equal(engine_statement_run_all(statement, &schema, &batch, &done, &error),
                       STATUS_OK);
  engine_rollback(fixture_session);
  run("DROP VIEW open1; CREATE TABLE open1 (a BIGINT, d DATE)");
  ok(engine_begin_client(fixture_session, false, &error), &error);
  ok(engine_statement_run_all(statement, &schema, &batch, &done, &error), &error);
  ok(engine_commit(fixture_session, &error), &error);
  expect_integer("SELECT count(*) FROM open1 WHERE d = '2024-01-01'", 10);
  engine_statement_close(statement);
  arrow_array_release(&batch);
  arrow_schema_release(&schema);
}

static void *interrupt(void *context) {
  for (int i = 0; i < 200 && !*(_Atomic bool *)context; i++) {
    engine_interrupt(fixture_session, STATUS_CANCELLED);
    usleep(2000);
  }
  return NULL;
}

static void a_run_can_be_interrupted_from_another_thread(void **state) {
  (void)state;
  struct engine_statement *statement =
      prepared("SELECT count(*)::VARCHAR FROM range(100000000) a, range(100000) b WHERE a.range + "
               "b.range < 0");
  struct error error = {0};
  _Atomic bool done = false;
  pthread_t thread;
  char got[64];
  assert_int_equal(pthread_create(&thread, NULL, interrupt, &done), 0);
  assert_int_equal(ask(statement, NULL, NULL, got, &error), STATUS_CANCELLED);
  atomic_store(&done, true);
  pthread_join(thread, NULL);
  engine_statement_close(statement);
  expect_integer("SELECT 1::BIGINT", 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
  const struct CMUnitTest tests[] = {
      TEST(the_answer_and_the_parameters_are_told_before_it_runs),
      TEST(the_schema_that_was_told_is_that_of_the_result),
      TEST(what_a_query_must_not_say_is_not_prepared),
      TEST(every_value_survives_as_a_parameter),
      TEST(parameters_go_by_name_where_all_have_one),
      TEST(values_are_cast_to_what_the_statement_expects_or_refused),
      TEST(parameters_that_cannot_be_bound_are_refused_by_name),
      TEST(the_answer_to_a_row_can_be_described_before_it_runs),
      TEST(a_statement_follows_its_table),
      TEST(tables_are_asked_about_with_each_run_and_its_values),
      TEST(returning_answers_rows_and_leaves_nothing_when_it_is_given_up),
      TEST(ten_thousand_rows_of_parameters_are_bound_in_one_transaction),
      TEST(plain_inserts_take_all_rows_at_once),
      TEST(rows_that_do_not_fit_are_refused_all_together),
      TEST(a_run_can_be_interrupted_from_another_thread),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
