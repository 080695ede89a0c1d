/* A Parquet file as it is made here is read back by DuckDB; other readers: tests/e2e. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

static char path[64];

struct feed {
  struct engine_result *result;
  int64_t fail_after; /* batches; -1: never */
};

static enum status next(void *context, struct ArrowArray *batch, struct error *error) {
  struct feed *feed = context;
  if (feed->fail_after == 0) return error_set(error, STATUS_TOO_LARGE, "that is enough");
  if (feed->fail_after > 0) feed->fail_after--;
  return engine_result_next(feed->result, batch, error);
}

/* Writes what `sql` answers to the file `path`. */
static enum status write_parquet(const char *sql, enum ipc_compression compression,
                                 int64_t fail_after, struct error *error) {
  snprintf(path, sizeof path, "/tmp/arrowport-parquet-XXXXXX");
  int file = mkstemp(path);
  assert_true(file >= 0);
  struct feed feed = {.fail_after = fail_after};
  struct engine_query query = {.sql = sql, .batch_rows = 5000};
  enum status status = engine_query(fixture_session, &query, &feed.result, error);
  if (status != STATUS_OK) fail_msg("%s: %s", sql, error->text);
  struct engine_parquet parquet = {.schema = engine_result_schema(feed.result),
                                   .next = next,
                                   .context = &feed,
                                   .compression = compression,
                                   .memory_limit_bytes = (int64_t)64 << 20};
  status = engine_parquet_write(&parquet, file, error);
  engine_result_close(feed.result);
  close(file);
  return status;
}

/* The fixture's engine reaches no file: another one reads it back. */
static void expect_back(const char *sql, int64_t want) {
  struct engine *engine;
  struct engine_session *session, *kept = fixture_session;
  struct error error = {0};
  char filled[512];
  snprintf(filled, sizeof filled, sql, path);
  assert_int_equal(
      engine_open(&(struct engine_options){.local_files = true, .threads = 1}, &engine, &error),
      STATUS_OK);
  assert_int_equal(engine_session_open(engine, &session, &error), STATUS_OK);
  fixture_session = session;
  expect_integer(filled, want);
  fixture_session = kept;
  engine_session_close(session);
  engine_close(engine);
}

static void rows_come_back_in_order(void **state) {
  (void)state;
  static const enum ipc_compression methods[] = {IPC_COMPRESSION_NONE, IPC_COMPRESSION_LZ4,
                                                 IPC_COMPRESSION_ZSTD};
  for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
    struct error error = {0};
    if (write_parquet("SELECT range AS a, 'text ' || range AS b FROM range(300000)", methods[i], -1,
                      &error) != STATUS_OK)
      fail_msg("%s", error.text);
    expect_back("SELECT count(*) FROM (SELECT a, file_row_number AS n, b FROM read_parquet('%s', "
                "file_row_number = true)) WHERE a = n AND b = 'text ' || n",
                300000);
    expect_back("SELECT max(row_group_id) FROM parquet_metadata('%s')", 2);
    unlink(path);
  }
}

/* Wide rows would not fit in the writer's memory as whole row groups. */
static void wide_rows_are_written_in_little_memory(void **state) {
  (void)state;
  struct error error = {0};
  if (write_parquet(
          "SELECT range AS a, repeat(chr(65 + (range % 26)::INTEGER), 2000) || range AS b "
          "FROM range(100000)",
          IPC_COMPRESSION_ZSTD, -1, &error) != STATUS_OK)
    fail_msg("%s", error.text);
  expect_back("SELECT count(*) FROM (SELECT a, file_row_number AS n, b FROM read_parquet('%s', "
              "file_row_number = true)) WHERE a = n AND length(b) > 2000",
              100000);
  unlink(path);
}

static void types_keep_their_values_or_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *value;
    const char *type; /* in the file, as DuckDB reads it; NULL: refused */
    const char *why;
  } cases[] = {
      {"true", "BOOLEAN", NULL},
      {"(-128)::TINYINT", "TINYINT", NULL},
      {"255::UTINYINT", "UTINYINT", NULL},
      {"65535::USMALLINT", "USMALLINT", NULL},
      {"4294967295::UINTEGER", "UINTEGER", NULL},
      {"18446744073709551615::UBIGINT", "UBIGINT", NULL},
      {"(-9223372036854775808)::BIGINT", "BIGINT", NULL},
      {"99999999999999999999999999999999999999::HUGEINT", "DECIMAL(38,0)", NULL},
      {"12.34::DECIMAL(4,2)", "DECIMAL(4,2)", NULL},
      {"1.5::FLOAT", "FLOAT", NULL},
      {"'nan'::DOUBLE", "DOUBLE", NULL},
      {"'x'", "VARCHAR", NULL},
      {"'\\x00\\xFF'::BLOB", "BLOB", NULL},
      {"DATE '0001-01-01'", "DATE", NULL},
      {"TIME '23:59:59.999999'", "TIME", NULL},
      {"TIMESTAMP_S '2020-02-03 04:05:06'", "TIMESTAMP", NULL},
      {"TIMESTAMP_MS '2020-02-03 04:05:06.007'", "TIMESTAMP", NULL},
      {"TIMESTAMP '2020-02-03 04:05:06.000007'", "TIMESTAMP", NULL},
      {"TIMESTAMP_NS '2020-02-03 04:05:06.000000007'", "TIMESTAMP_NS", NULL},
      {"TIMESTAMPTZ '2020-02-03 04:05:06.000007+01'", "TIMESTAMP WITH TIME ZONE", NULL},
      {"[1, NULL, 3]", "INTEGER[]", NULL},
      {"[TIMESTAMP_MS '2020-02-03 04:05:06.007']", "TIMESTAMP[]", NULL},
      {"{'a': 1, 'b': [{'c': 'x'}]}", "STRUCT(a INTEGER, b STRUCT(c VARCHAR)[])", NULL},
      {"MAP {'k': 1}", "MAP(VARCHAR, INTEGER)", NULL},
      {"NULL::DECIMAL(9,3)", "DECIMAL(9,3)", NULL},
      {"INTERVAL 1 DAY", NULL, "the column v is an interval"},
      {"[INTERVAL 1 DAY]", NULL, "is an interval"},
      {"{'a': '01:02:03'::TIME_NS}", NULL, "a time in nanoseconds"},
      {"1 AS V, 2", NULL, "two columns are named"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char sql[512], back[512];
    struct error error = {0};
    snprintf(sql, sizeof sql, "SELECT %s AS v", cases[i].value);
    enum status status = write_parquet(sql, IPC_COMPRESSION_ZSTD, -1, &error);
    if (cases[i].type == NULL) {
      if (status != STATUS_UNSUPPORTED || strstr(error.text, cases[i].why) == NULL)
        fail_msg("%s: %s %s", sql, status_name(status), error.text);
    } else {
      if (status != STATUS_OK) fail_msg("%s: %s", sql, error.text);
      snprintf(back, sizeof back,
               "SELECT count(*) FROM read_parquet('%%s') WHERE v IS NOT DISTINCT FROM (%s)::%s AND "
               "typeof(v) = '%s'",
               cases[i].value, cases[i].type, cases[i].type);
      if (getenv("SHOW") != NULL) print_message("%s\n", back);
      expect_back(back, 1);
    }
    unlink(path);
  }
}

static void a_failure_of_the_feed_is_told_as_it_is(void **state) {
  (void)state;
  struct error error = {0};
  assert_int_equal(write_parquet("FROM range(50000)", IPC_COMPRESSION_ZSTD, 3, &error),
                   STATUS_TOO_LARGE);
  assert_string_equal(error.text, "that is enough");
  unlink(path);
  error = (struct error){0};
  enum status status =
      write_parquet("SELECT CASE WHEN range = 450000 THEN error('broken') END AS a "
                    "FROM range(500000)",
                    IPC_COMPRESSION_ZSTD, -1, &error);
  if (status != STATUS_INVALID ||
      (strstr(error.text, "broken") == NULL && strstr(error.text, "threads") == NULL))
    fail_msg("%s: %s", status_name(status), error.text);
  unlink(path);
  expect_integer("SELECT 1::BIGINT", 1); /* the session goes on */
}

int main(void) {
#define ON_ENGINE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
  const struct CMUnitTest tests[] = {
      ON_ENGINE(rows_come_back_in_order),
      ON_ENGINE(wide_rows_are_written_in_little_memory),
      ON_ENGINE(types_keep_their_values_or_are_refused),
      ON_ENGINE(a_failure_of_the_feed_is_told_as_it_is),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
