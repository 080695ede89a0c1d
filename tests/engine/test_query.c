#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <pthread.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fixture.h"

static void ok(enum status status, const struct error *error) {
  if (status != STATUS_OK) fail_msg("%s: %s", status_name(status), error->text);
}

static struct engine_result *query(const struct engine_query *query) {
  struct engine_result *result;
  struct error error = {0};
  enum status status = engine_query(fixture_session, query, &result, &error);
  if (status != STATUS_OK) fail_msg("%s: %s", query->sql, error.text);
  return result;
}

static struct ArrowArray next(struct engine_result *result) {
  struct ArrowArray batch;
  struct error error = {0};
  ok(engine_result_next(result, &batch, &error), &error);
  return batch;
}

/* ---- types -------------------------------------------------------------------------- */

/* What is queried is landed again, and DuckDB says whether anything differs. */
static void every_value_survives_the_way_out_and_in(void **state) {
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
      "CASE WHEN range % 4 = 0 THEN NULL ELSE range % 2 = 0 END AS b, "
      "CASE WHEN range % 6 = 0 THEN NULL ELSE MAP {range: 'v' || range, -1: NULL} END AS m, "
      "[range, NULL]::BIGINT[2] AS a "
      "FROM range(300007)",
      /* items that do not lie one behind the other in DuckDB's vectors */
      "SELECT l, list_filter(l, lambda x: x % 2 = 0) AS f FROM (SELECT list_sort([(hash(range) % "
      "10)::BIGINT, range, range % 3]) AS l FROM range(10000)) ORDER BY l[1], l[2], l[3]",
  };
  for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
    char sql[2048];
    snprintf(sql, sizeof sql, "CREATE TABLE source AS %s", sources[i]);
    run(sql);
    struct engine_session *landing = fixture_session;
    struct engine_session *asking;
    struct error error = {0};
    ok(engine_session_open(fixture_engine, &asking, &error), &error);
    fixture_session = asking;
    struct engine_result *result = query(&(struct engine_query){
        .sql = "SELECT * FROM source", .batch_rows = 5000, .budget = &fixture_budget});
    fixture_session = landing;
    for (;;) {
      struct ArrowArray batch = next(result);
      if (batch.release == NULL) break;
      ok(land("landed", engine_result_schema(result), &batch, &error), &error);
    }
    engine_result_close(result);
    engine_session_close(asking);
    run("CREATE TABLE types AS SELECT s.data_type AS a, l.data_type AS b FROM duckdb_columns() s "
        "JOIN duckdb_columns() l USING (column_name) WHERE s.table_name = 'source' AND "
        "l.table_name = 'landed'");
    expect_text("SELECT string_agg(a || ' became ' || b, ', ') FROM types WHERE a <> b", "NULL");
    expect_integer("SELECT (SELECT count(*) FROM source) - (SELECT count(*) FROM landed)", 0);
    expect_integer("SELECT count(*) FROM (SELECT * FROM source EXCEPT ALL SELECT * FROM landed)",
                   0);
    run("DROP TABLE source; DROP TABLE landed; DROP TABLE types");
  }
}

static void types_that_arrow_words_differently_come_as_documented(void **state) {
  (void)state;
  static const struct {
    const char *value, *format, *want; /* of utf8 columns the text, of others its hexadecimal */
  } cases[] = {
      {"'b'::ENUM('a', 'b')", "u", "b"},
      {"'00112233-4455-6677-8899-aabbccddeeff'::UUID", "u", "00112233-4455-6677-8899-aabbccddeeff"},
      {"'ffffffff-ffff-ffff-ffff-ffffffffffff'::UUID", "u", "ffffffff-ffff-ffff-ffff-ffffffffffff"},
      {"'0101100111'::BIT", "u", "0101100111"},
      {"'{\"a\": 1}'::JSON", "u", "{\"a\": 1}"},
      {"-1::HUGEINT", "d:38,0", "ffffffffffffffffffffffffffffffff"},
      {"99999999999999999999999999999999999999::UHUGEINT", "d:38,0",
       "ffffffff3f228a097ac4865aa84c3b4b"},
      {"1.5::DECIMAL(3, 1)", "d:3,1", "0f000000000000000000000000000000"},
      {"TIMESTAMPTZ '1970-01-01 00:00:00.000001+00'", "tsu:UTC", "0100000000000000"},
      {"INTERVAL '1 month 2 days 3 microseconds'", "tin", "0100000002000000b80b000000000000"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char sql[256], got[128] = "";
    snprintf(sql, sizeof sql, "SELECT %s AS v UNION ALL SELECT NULL ORDER BY 1 NULLS LAST",
             cases[i].value);
    struct engine_result *result = query(&(struct engine_query){.sql = sql});
    assert_string_equal(engine_result_schema(result)->children[0]->format, cases[i].format);
    struct ArrowArray batch = next(result);
    assert_int_equal(batch.length, 2);
    const struct ArrowArray *column = batch.children[0];
    assert_int_equal(column->null_count, 1);
    assert_int_equal(*(const uint8_t *)column->buffers[0] & 3, 1);
    if (cases[i].format[0] == 'u') {
      const int32_t *offsets = column->buffers[1];
      snprintf(got, sizeof got, "%.*s", (int)offsets[1], (const char *)column->buffers[2]);
    } else {
      for (size_t k = 0; k < strlen(cases[i].want) / 2; k++)
        snprintf(got + 2 * k, 3, "%02x", ((const uint8_t *)column->buffers[1])[k]);
    }
    assert_string_equal(got, cases[i].want);
    arrow_array_release(&batch);
    engine_result_close(result);
  }
}

static void what_arrow_cannot_say_is_refused_by_name(void **state) {
  (void)state;
  static const struct {
    const char *sql;
    enum status want;
    const char *text;
  } cases[] = {
      {"SELECT 1 AS a, 'infinity'::DATE AS d", STATUS_SCHEMA,
       "row 0 (the first is 0): column \"d\": an infinite date"},
      {"SELECT CASE WHEN range = 3000 THEN '-infinity'::TIMESTAMP END AS t FROM range(5000)",
       STATUS_SCHEMA, "row 3000 (the first is 0): column \"t\": an infinite timestamp"},
      {"SELECT 170141183460469231731687303715884105727::HUGEINT AS h", STATUS_SCHEMA,
       "column \"h\": an integer of 39 digits"},
      {"SELECT INTERVAL '300 years' + INTERVAL '1000000000 seconds' * 100 AS i", STATUS_SCHEMA,
       "column \"i\": an interval of more than 292 years"},
      {"SELECT '12:00:00+02'::TIMETZ AS t", STATUS_UNSUPPORTED,
       "column \"t\" has the type TIME WITH TIME ZONE, which has no Arrow type here: cast it"},
      {"SELECT union_value(a := 1) AS u", STATUS_UNSUPPORTED, "UNION"},
      {"SELECT [1::BIGNUM] AS b", STATUS_UNSUPPORTED, "BIGNUM"},
      {"SELECT 1::VARIANT AS v", STATUS_UNSUPPORTED, "VARIANT"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    enum status status = run_status(cases[i].sql, &error);
    if (status != cases[i].want || strstr(error.text, cases[i].text) == NULL)
      fail_msg("%s: %s %s", cases[i].sql, status_name(status), error.text);
  }
  expect_integer("SELECT 1::BIGINT", 1);
}

/* ---- batches ------------------------------------------------------------------------- */

static void rows_come_in_batches_of_the_size_asked_for(void **state) {
  (void)state;
  static const int64_t asked[] = {0, 1, 2048, 50000, 10000000};
  run("CREATE TABLE t AS SELECT range AS n, 'row ' || range AS v FROM range(400001)");
  for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
    struct engine_result *result = query(&(struct engine_query){
        .sql = "SELECT * FROM t", .batch_rows = asked[i], .budget = &fixture_budget});
    assert_true(engine_result_has_rows(result));
    int64_t wanted = asked[i] == 0 ? 122880 : asked[i], rows = 0, sum = 0;
    for (bool last = false;;) {
      struct ArrowArray batch = next(result);
      if (batch.release == NULL) break;
      assert_false(last);
      last = batch.length < wanted;
      assert_in_range(batch.length, 1, wanted + 2047);
      const int64_t *numbers = batch.children[0]->buffers[1];
      for (int64_t k = 0; k < batch.length; k++) sum += numbers[k];
      rows += batch.length;
      assert_true(fixture_budget.used_bytes > 0);
      arrow_array_release(&batch);
    }
    engine_result_close(result);
    assert_int_equal(rows, 400001);
    assert_int_equal(sum, (int64_t)400001 * 400000 / 2);
    assert_int_equal(fixture_budget.used_bytes, 0);
  }
}

/* They go by eights where the batch and DuckDB's chunk begin with whole bytes, else one by one. */
static void booleans_are_the_same_at_every_place(void **state) {
  (void)state;
  static const int64_t asked[] = {1, 3000, 122880};
  run("CREATE TABLE flags AS SELECT range AS n, range % 3 = 0 AS whole, "
      "CASE WHEN range % 5 = 2 THEN NULL ELSE range % 7 < 4 END AS holed FROM range(70003)");
  for (size_t i = 0; i < 2 * sizeof asked / sizeof asked[0]; i++) {
    struct engine_result *result = query(&(struct engine_query){
        .sql = i % 2 == 0 ? "SELECT * FROM flags" : "SELECT * FROM flags WHERE n % 11 <> 6",
        .batch_rows = asked[i / 2],
        .budget = &fixture_budget});
    int64_t rows = 0;
    for (;;) {
      struct ArrowArray batch = next(result);
      if (batch.release == NULL) break;
      const int64_t *n = batch.children[0]->buffers[1];
      const uint8_t *whole = batch.children[1]->buffers[1];
      const uint8_t *there = batch.children[2]->buffers[0], *holed = batch.children[2]->buffers[1];
      for (int64_t k = 0; k < batch.length; k++) {
        bool is_there = there == NULL || ((there[k >> 3] >> (k & 7)) & 1) != 0;
        assert_int_equal((whole[k >> 3] >> (k & 7)) & 1, n[k] % 3 == 0);
        assert_int_equal(is_there, n[k] % 5 != 2);
        assert_int_equal((holed[k >> 3] >> (k & 7)) & 1, is_there && n[k] % 7 < 4);
      }
      rows += batch.length;
      arrow_array_release(&batch);
    }
    engine_result_close(result);
    assert_int_equal(rows, i % 2 == 0 ? 70003 : 70003 - 6364);
  }
}

static void wide_rows_make_smaller_batches(void **state) {
  (void)state;
  struct engine_result *result = query(&(struct engine_query){
      .sql = "SELECT repeat('x', 100000) AS v FROM range(3000)", .batch_rows = 100000});
  int64_t rows = 0, batches = 0;
  for (;; batches++) {
    struct ArrowArray batch = next(result);
    if (batch.release == NULL) break;
    rows += batch.length;
    const int32_t *offsets = batch.children[0]->buffers[1];
    assert_int_equal(offsets[batch.length], batch.length * 100000);
    arrow_array_release(&batch);
  }
  engine_result_close(result);
  assert_int_equal(rows, 3000);
  assert_true(batches >= 2);
}

static void a_batch_that_memory_is_missing_for_can_be_asked_for_again(void **state) {
  (void)state;
  struct budget budget = {.limit_bytes = 200000};
  struct engine_result *result = query(
      &(struct engine_query){.sql = "SELECT range AS n FROM range(100000)", .budget = &budget});
  struct ArrowArray held[64], batch;
  struct error error = {0};
  int64_t rows = 0, count = 0, sum = 0;
  bool refused = false;
  for (;;) {
    enum status status = engine_result_next(result, &batch, &error);
    if (status == STATUS_BUDGET) { /* nothing is lost: give memory back and go on */
      refused = true;
      assert_true(count > 0);
      while (count > 0) arrow_array_release(&held[--count]);
      continue;
    }
    ok(status, &error);
    if (batch.release == NULL) break;
    rows += batch.length;
    for (int64_t i = 0; i < batch.length; i++)
      sum += ((const int64_t *)batch.children[0]->buffers[1])[i];
    assert_in_range(count, 0, 63);
    held[count++] = batch;
  }
  while (count > 0) arrow_array_release(&held[--count]);
  engine_result_close(result);
  assert_true(refused);
  assert_int_equal(rows, 100000);
  assert_int_equal(sum, (int64_t)100000 * 99999 / 2);
  assert_int_equal(budget.used_bytes, 0);
}

static void an_empty_answer_has_a_schema_and_no_batch(void **state) {
  (void)state;
  struct engine_result *result =
      query(&(struct engine_query){.sql = "SELECT 1 AS a, 'x' AS \"b\"\"c\" WHERE false"});
  const struct ArrowSchema *schema = engine_result_schema(result);
  assert_int_equal(schema->n_children, 2);
  assert_string_equal(schema->children[1]->name, "b\"c");
  for (int i = 0; i < 2; i++) {
    struct ArrowArray batch = next(result);
    assert_null(batch.release);
  }
  engine_result_close(result);
}

/* ---- statements ----------------------------------------------------------------------- */

static void statements_without_rows_say_how_many_they_changed(void **state) {
  (void)state;
  static const struct {
    const char *sql;
    int64_t changed;
  } cases[] = {
      {"CREATE TABLE t (a INTEGER)", 0},
      {"INSERT INTO t SELECT * FROM range(5000)", 5000},
      {"UPDATE t SET a = a WHERE a < 10", 10},
      {"DELETE FROM t WHERE a >= 4000", 1000},
      {"ALTER TABLE t ADD COLUMN b INTEGER", 0},
      {"CHECKPOINT", 0},
      {"DROP TABLE t", 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct engine_result *result = query(&(struct engine_query){.sql = cases[i].sql});
    assert_int_equal(engine_result_changed_rows(result), cases[i].changed);
    if (strcmp(cases[i].sql, "CHECKPOINT") != 0) assert_false(engine_result_has_rows(result));
    const struct ArrowSchema *schema = engine_result_schema(result);
    struct ArrowArray batch = next(result);
    if (cases[i].changed > 0) {
      assert_string_equal(schema->children[0]->name, "Count");
      assert_int_equal(batch.length, 1);
      assert_int_equal(((const int64_t *)batch.children[0]->buffers[1])[0], cases[i].changed);
    }
    if (batch.release != NULL) arrow_array_release(&batch);
    engine_result_close(result);
  }
  run("CREATE TABLE t (a BIGINT)");
  expect_integer("INSERT INTO t VALUES (7) RETURNING a", 7);
}

static void parameters_are_values_whatever_they_hold(void **state) {
  (void)state;
  const char text[] = "'; DROP TABLE t; --\0\xc3\xbc";
  const struct engine_value values[] = {
      {.kind = ENGINE_INTEGER, .integer = INT64_MIN},
      {.kind = ENGINE_DOUBLE, .number = 0.5},
      {.kind = ENGINE_TEXT, .text = text, .text_bytes = sizeof text - 1},
      {.kind = ENGINE_BOOLEAN, .boolean = true},
      {.kind = ENGINE_NULL},
  };
  struct engine_result *result = query(&(struct engine_query){
      .sql = "SELECT ($1 = -9223372036854775808 AND $2 = 0.5 AND length($3) = 21 AND $4 AND $5 IS "
             "NULL)::BIGINT",
      .parameters = values,
      .parameter_count = 5});
  struct ArrowArray batch = next(result);
  assert_int_equal(((const int64_t *)batch.children[0]->buffers[1])[0], 1);
  arrow_array_release(&batch);
  engine_result_close(result);
  static const struct {
    const char *sql;
    size_t count;
    const char *text;
  } cases[] = {
      {"SELECT ?", 0, "the statement has 1 parameters, but 0 were given"},
      {"SELECT ?", 2, "the statement has 1 parameters, but 2 were given"},
      {"SELECT 1", 1, "the statement has 0 parameters, but 1 were given"},
      {"SELECT ?; SELECT ?", 2, "parameters go with one statement"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    assert_int_equal(engine_query(fixture_session,
                                  &(struct engine_query){.sql = cases[i].sql,
                                                         .parameters = values,
                                                         .parameter_count = cases[i].count},
                                  &result, &error),
                     STATUS_INVALID);
    assert_non_null(strstr(error.text, cases[i].text));
  }
  const struct engine_value broken = {.kind = ENGINE_TEXT, .text = "\xff", .text_bytes = 1};
  struct error error = {0};
  assert_int_equal(engine_query(fixture_session,
                                &(struct engine_query){
                                    .sql = "SELECT ?", .parameters = &broken, .parameter_count = 1},
                                &result, &error),
                   STATUS_INVALID);
  assert_string_equal(error.text, "parameter 1 is not UTF-8");
}

static void sql_that_is_wrong_is_answered_with_the_place(void **state) {
  (void)state;
  static const struct {
    const char *sql, *text, *more;
  } cases[] = {
      {"SELEC 1", "Parser Error: syntax error at or near \"SELEC\"", "LINE 1: SELEC 1\n        ^"},
      {"SELECT 1 +\n 2 2 FROM", "Parser Error", "LINE 2:  2 2 FROM"},
      {"SELECT nothing FROM t", "Table with name t does not exist", "LINE 1:"},
      {"SELECT nothing", "Binder Error: Referenced column \"nothing\"", "LINE 1: SELECT nothing"},
      {"SELECT 'x'::INTEGER", "Conversion Error: Could not convert string 'x' to INT32", "LINE 1"},
      {"SELECT error('my words')", "my words", ""},
      {"", "there is no statement to run", ""},
      {" ; -- nothing", "there is no statement to run", ""},
      {"SELECT 1; SELEC 2", "Parser Error", "LINE 1"},
      {"SELECT 1; SELECT nothing", "Binder Error: Referenced column \"nothing\"", ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    enum status status = run_status(cases[i].sql, &error);
    if (status != STATUS_INVALID || strstr(error.text, cases[i].text) == NULL ||
        strstr(error.text, cases[i].more) == NULL || strstr(error.text, "Stack Trace") != NULL)
      fail_msg("%s: %s %s", cases[i].sql, status_name(status), error.text);
  }
}

static void several_statements_are_one_transaction(void **state) {
  (void)state;
  struct error error = {0};
  expect_integer("CREATE TABLE t (a BIGINT); INSERT INTO t VALUES (1), (2); SELECT sum(a)::BIGINT "
                 "FROM t",
                 3);
  assert_int_equal(run_status("INSERT INTO t VALUES (4); INSERT INTO t VALUES ('x')", &error),
                   STATUS_INVALID);
  assert_int_equal(run_status("INSERT INTO t VALUES (4); SELECT a // (a - a) ^ 'x' FROM t", &error),
                   STATUS_INVALID);
  assert_int_equal(run_status("INSERT INTO t VALUES (4); COMMIT; SELECT 1", &error), STATUS_DENIED);
  assert_non_null(strstr(error.text, "statement 2: not available here: BEGIN, COMMIT, ROLLBACK"));
  expect_integer("SELECT sum(a)::BIGINT FROM t", 3);
  /* A result that is closed before its end takes everything back. */
  struct engine_result *result = query(
      &(struct engine_query){.sql = "INSERT INTO t VALUES (4); SELECT * FROM range(10000000)"});
  struct ArrowArray batch = next(result);
  arrow_array_release(&batch);
  engine_result_close(result);
  expect_integer("SELECT sum(a)::BIGINT FROM t", 3);
}

static void what_only_reads_cannot_write(void **state) {
  (void)state;
  run("CREATE TABLE t (a BIGINT); CREATE SEQUENCE s");
  static const char *const writes[] = {
      "INSERT INTO t VALUES (1)",
      "DELETE FROM t",
      "UPDATE t SET a = 1",
      "CREATE TABLE x (a INTEGER)",
      "CREATE TEMP TABLE x (a INTEGER)",
      "DROP TABLE t",
      "ALTER TABLE t RENAME TO u",
      "CHECKPOINT",
      "CREATE VIEW v AS SELECT 1",
      "INSERT INTO t VALUES (1) RETURNING a",
      "VACUUM",
      "CREATE MACRO m(x) AS x",
      "SELECT 1; INSERT INTO t VALUES (1)",
      "SELECT nextval('s')",
      "EXPLAIN ANALYZE INSERT INTO t VALUES (1)",
      "SET threads = 1",
      "CALL checkpoint()",
      "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
      "EXPLAIN ANALYZE CREATE TABLE x (a INTEGER)",
      "MERGE INTO t USING (SELECT 1 AS a) n USING (a) WHEN NOT MATCHED THEN INSERT",
  };
  for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
    struct engine_result *result = NULL;
    struct error error = {0};
    enum status status =
        engine_query(fixture_session, &(struct engine_query){.sql = writes[i], .read_only = true},
                     &result, &error);
    struct ArrowArray batch = {0};
    if (status == STATUS_OK) status = engine_result_next(result, &batch, &error);
    if (batch.release != NULL) arrow_array_release(&batch);
    engine_result_close(result);
    if (status != STATUS_DENIED)
      print_error("%s: %s %s\n", writes[i], status_name(status), error.text);
  }
  expect_integer("SELECT count(*) FROM t", 0);
  expect_integer("SELECT count(*) FROM duckdb_tables()", 1);
  expect_integer("SELECT nextval('s')", 1);
  static const char *const reads[] = {"SELECT 1",
                                      "WITH a AS (SELECT 1) FROM a",
                                      "DESCRIBE t",
                                      "SHOW TABLES",
                                      "EXPLAIN SELECT * FROM t",
                                      "SUMMARIZE t",
                                      "VALUES (1)",
                                      "FROM t",
                                      "SELECT 1; SELECT 2",
                                      "PRAGMA table_info('t')"};
  for (size_t i = 0; i < sizeof reads / sizeof reads[0]; i++) {
    struct engine_result *result =
        query(&(struct engine_query){.sql = reads[i], .read_only = true});
    struct ArrowArray batch = next(result);
    if (batch.release != NULL) arrow_array_release(&batch);
    engine_result_close(result);
  }
}

/* ---- interrupts and early ends ----------------------------------------------------------- */

static const char endless[] = "SELECT count(*) FROM range(1000000000) a, range(1000000) b "
                              "WHERE a.range + b.range < 0";

struct interruption {
  enum status reason;
  int wait_ms;
  _Atomic bool over;
};

/* An interrupt before the statement begins means nothing, so it is sent until one has
 * met it. */
static void *interrupt_later(void *context) {
  struct interruption *interruption = context;
  usleep((useconds_t)interruption->wait_ms * 1000);
  while (!interruption->over) {
    engine_interrupt(fixture_session, interruption->reason);
    usleep(10000);
  }
  return NULL;
}

static void a_statement_is_stopped_with_the_reason(void **state) {
  (void)state;
  static const struct {
    const char *sql;
    enum status reason;
    int wait_ms;
    const char *text;
  } cases[] = {
      {endless, STATUS_TIMEOUT, 50, "did not end within the time allowed"},
      {endless, STATUS_CANCELLED, 100, "the statement was cancelled"},
      {endless, STATUS_TIMEOUT, 0, "did not end within"},
      {"CREATE TABLE t AS SELECT * FROM range(100000000000)", STATUS_TIMEOUT, 50, "did not end"},
      {"SELECT * FROM range(100000000000)", STATUS_CANCELLED, 50, "cancelled"},
      {"SELECT sleep_ms(100000)", STATUS_TIMEOUT, 50, "did not end"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    pthread_t thread;
    struct interruption interruption = {.reason = cases[i].reason, .wait_ms = cases[i].wait_ms};
    struct error error = {0};
    int64_t start_ms = clock_now_ms();
    assert_int_equal(pthread_create(&thread, NULL, interrupt_later, &interruption), 0);
    struct engine_result *result = NULL;
    enum status status =
        engine_query(fixture_session, &(struct engine_query){.sql = cases[i].sql}, &result, &error);
    while (status == STATUS_OK) {
      struct ArrowArray batch;
      status = engine_result_next(result, &batch, &error);
      if (status == STATUS_OK && batch.release == NULL) break;
      if (status == STATUS_OK) arrow_array_release(&batch);
    }
    interruption.over = true;
    pthread_join(thread, NULL);
    engine_result_close(result);
    if (status != interruption.reason || strstr(error.text, cases[i].text) == NULL)
      fail_msg("%s: %s %s", cases[i].sql, status_name(status), error.text);
    assert_true(clock_now_ms() - start_ms < 5000);
    expect_integer("SELECT 42::BIGINT", 42); /* the session goes on */
  }
  expect_integer("SELECT count(*) FROM duckdb_tables()", 0);
  engine_interrupt(fixture_session, STATUS_CANCELLED); /* nothing runs: nothing happens */
  expect_integer("SELECT 42::BIGINT", 42);
}

static void a_result_that_is_closed_early_is_over(void **state) {
  (void)state;
  for (int batches = 0; batches < 3; batches++) {
    struct engine_result *result = query(&(struct engine_query){
        .sql = "SELECT range, 'some text of some length ' || range FROM range(1000000000)"});
    for (int i = 0; i < batches; i++) {
      struct ArrowArray batch = next(result);
      arrow_array_release(&batch);
    }
    struct engine_result *second;
    struct error error = {0};
    assert_int_equal(
        engine_query(fixture_session, &(struct engine_query){.sql = "SELECT 1"}, &second, &error),
        STATUS_INTERNAL);
    int64_t start_ms = clock_now_ms();
    engine_result_close(result);
    assert_true(clock_now_ms() - start_ms < 2000);
    expect_integer("SELECT 42::BIGINT", 42);
  }
}

static void an_error_in_the_middle_of_an_answer_is_told(void **state) {
  (void)state;
  struct error error = {0};
  run("CREATE TABLE t AS SELECT CASE WHEN range = 900000 THEN 'x' ELSE range::VARCHAR END AS v "
      "FROM range(1000000)");
  struct engine_result *result = query(&(struct engine_query){.sql = "SELECT v::BIGINT FROM t"});
  enum status status = STATUS_OK;
  int64_t rows = 0;
  while (status == STATUS_OK) {
    struct ArrowArray batch;
    status = engine_result_next(result, &batch, &error);
    if (status != STATUS_OK) break;
    assert_non_null(batch.release);
    rows += batch.length;
    arrow_array_release(&batch);
  }
  engine_result_close(result);
  assert_int_equal(status, STATUS_INVALID);
  assert_non_null(strstr(error.text, "Could not convert string 'x' to INT64"));
  assert_true(rows < 1000000);
}

/* ---- what must be alone ------------------------------------------------------------------- */

static enum status count_asked(void *context, struct error *error) {
  (void)error;
  ++*(int *)context;
  return STATUS_OK;
}

static void only_statements_that_alter_ask_before(void **state) {
  (void)state;
  static const struct {
    const char *sql;
    int asked;
  } cases[] = {
      {"CREATE TABLE t (a INT)", 0},
      {"SELECT 'alter table t' AS alteration", 0},
      {"ALTER TABLE t ADD COLUMN b INT", 1},
      {"/* x */ alter\n table t ADD COLUMN c INT", 1},
      {"SELECT 1; ALTER TABLE t ADD COLUMN d INT", 1},
      {"SELECT 1; SELECT 'alter it'", 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct engine_result *result = NULL;
    struct error error = {0};
    int asked = 0;
    struct engine_query query = {
        .sql = cases[i].sql, .before_alter = count_asked, .alter_context = &asked};
    if (engine_query(fixture_session, &query, &result, &error) != STATUS_OK)
      fail_msg("%s: %s", cases[i].sql, error.text);
    engine_result_close(result);
    if (asked != cases[i].asked) fail_msg("%s asked %d times", cases[i].sql, asked);
  }
}

static void a_checkpoint_goes_beside_nobody_who_writes(void **state) {
  (void)state;
  struct engine_session *writer;
  struct error error = {0};
  run("CREATE TABLE t (a INT)");
  assert_int_equal(engine_session_open(fixture_engine, &writer, &error), STATUS_OK);
  assert_int_equal(engine_begin(writer, &error), STATUS_OK);
  assert_int_equal(run_status("CHECKPOINT", &error), STATUS_CONFLICT);
  assert_int_equal(run_status("SELECT 'checkpoint' AS checkpoint", &error), STATUS_OK);
  engine_rollback(writer);
  engine_session_close(writer);
  run("CHECKPOINT");
  run("INSERT INTO t VALUES (1)"); /* and writers are let in again */
}

int main(void) {
#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
  const struct CMUnitTest tests[] = {
      IN_MEMORY(only_statements_that_alter_ask_before),
      IN_MEMORY(a_checkpoint_goes_beside_nobody_who_writes),
      IN_MEMORY(every_value_survives_the_way_out_and_in),
      IN_MEMORY(types_that_arrow_words_differently_come_as_documented),
      IN_MEMORY(what_arrow_cannot_say_is_refused_by_name),
      IN_MEMORY(rows_come_in_batches_of_the_size_asked_for),
      IN_MEMORY(booleans_are_the_same_at_every_place),
      IN_MEMORY(wide_rows_make_smaller_batches),
      IN_MEMORY(a_batch_that_memory_is_missing_for_can_be_asked_for_again),
      IN_MEMORY(an_empty_answer_has_a_schema_and_no_batch),
      IN_MEMORY(statements_without_rows_say_how_many_they_changed),
      IN_MEMORY(parameters_are_values_whatever_they_hold),
      IN_MEMORY(sql_that_is_wrong_is_answered_with_the_place),
      IN_MEMORY(several_statements_are_one_transaction),
      IN_MEMORY(what_only_reads_cannot_write),
      IN_MEMORY(a_statement_is_stopped_with_the_reason),
      IN_MEMORY(a_result_that_is_closed_early_is_over),
      IN_MEMORY(an_error_in_the_middle_of_an_answer_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
