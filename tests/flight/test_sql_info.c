/* What the server says of its SQL, proved by running it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/array.h"
#include "flight/messages.h"
#include "flight/sql_info.h"
#include "flight/sql_schemas.h"
#include "sql_engine.h"

#define ID(name) ((uint32_t)ARROW__FLIGHT__PROTOCOL__SQL__SQL_INFO__##name)

static struct budget budget = {.limit_bytes = 1 << 28};

static const struct sql_info_facts facts = {.version = "9.8.7",
                                            .may_write = true,
                                            .may_define = true,
                                            .sees_everything = true,
                                            .handle_idle_ms = 600000,
                                            .transaction_idle_ms = INT64_C(90000000000),
                                            .statement_bytes_max = 4096,
                                            .statements_max = 12};

static struct ArrowArray info(const struct sql_info_facts *from, const uint32_t *ids,
                              size_t count) {
  struct ArrowSchema schema;
  struct ArrowArray batch;
  struct error error = {0};
  assert_int_equal(sql_result_schema(SQL_RESULT_INFO, &schema, &error), STATUS_OK);
  assert_int_equal(sql_info_batch(from, ids, count, &budget, &batch, &error), STATUS_OK);
  if (arrow_array_check(&schema, &batch, ARRAY_CHECK_FULL, &error) != STATUS_OK)
    fail_msg("%s", error.text);
  arrow_schema_release(&schema);
  return batch;
}

/* Where the value of a row lies in its member. */
static const struct ArrowArray *value_of(const struct ArrowArray *batch, int64_t row, int *type,
                                         int32_t *at) {
  const struct ArrowArray *value = batch->children[1];
  *type = ((const int8_t *)value->buffers[0])[row];
  *at = ((const int32_t *)value->buffers[1])[row];
  return value->children[*type];
}

/* The number of one id: a bool, an int64 or an int32. */
static int64_t number(const struct sql_info_facts *from, uint32_t id) {
  struct ArrowArray batch = info(from, &id, 1);
  int type;
  int32_t at;
  assert_int_equal(batch.length, 1);
  const void *values = value_of(&batch, 0, &type, &at)->buffers[1];
  int64_t got = type == 1   ? ((const uint8_t *)values)[at / 8] >> (at % 8) & 1
                : type == 2 ? ((const int64_t *)values)[at]
                            : ((const int32_t *)values)[at];
  assert_in_range(type, 1, 3);
  arrow_array_release(&batch);
  return got;
}

static void everything_there_is_comes_in_order(void **state) {
  (void)state;
  struct ArrowArray batch = info(&facts, NULL, 0);
  const uint32_t *ids = batch.children[0]->buffers[1];
  assert_int_equal(batch.length, 12 + 2 + 77);
  for (int64_t i = 0; i < batch.length; i++) {
    uint32_t want = i < 12 ? (uint32_t)i : i < 14 ? (uint32_t)(88 + i) : (uint32_t)(486 + i);
    assert_int_equal(ids[i], want);
  }
  arrow_array_release(&batch);
  assert_int_equal(budget.used_bytes, 0);
}

static void only_what_is_asked_for_and_known_comes_once(void **state) {
  (void)state;
  static const uint32_t ids[] = {576, 4711, 8, 0, 8, 12, UINT32_MAX};
  struct ArrowArray batch = info(&facts, ids, sizeof ids / sizeof ids[0]);
  const uint32_t *got = batch.children[0]->buffers[1];
  assert_int_equal(batch.length, 3);
  assert_int_equal(got[0], 0);
  assert_int_equal(got[1], 8);
  assert_int_equal(got[2], 576);
  arrow_array_release(&batch);
  batch = info(&facts, &ids[1], 1);
  assert_int_equal(batch.length, 0);
  arrow_array_release(&batch);
}

static void values_are_in_the_members_that_drivers_read(void **state) {
  (void)state;
  static const struct {
    uint32_t id;
    int type;
  } cases[] = {
      {ID(FLIGHT_SQL_SERVER_NAME), 0},
      {ID(FLIGHT_SQL_SERVER_SUBSTRAIT_MIN_VERSION), 0},
      {ID(FLIGHT_SQL_SERVER_READ_ONLY), 1},
      {ID(FLIGHT_SQL_SERVER_TRANSACTION), 3}, /* ADBC asks for it to begin one */
      {ID(FLIGHT_SQL_SERVER_STATEMENT_TIMEOUT), 3},
      {ID(SQL_IDENTIFIER_CASE), 2},
      {ID(SQL_NULL_ORDERING), 2},
      {ID(SQL_KEYWORDS), 4},
      {ID(SQL_SUPPORTS_CONVERT), 5},
      {ID(SQL_OUTER_JOINS_SUPPORT_LEVEL), 3},
      {ID(SQL_MAX_ROW_SIZE), 2},
      {ID(SQL_DEFAULT_TRANSACTION_ISOLATION), 2},
      {ID(SQL_SUPPORTED_TRANSACTIONS_ISOLATION_LEVELS), 3},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int type;
    int32_t at;
    struct ArrowArray batch = info(&facts, &cases[i].id, 1);
    value_of(&batch, 0, &type, &at);
    assert_int_equal(type, cases[i].type);
    arrow_array_release(&batch);
  }
}

static void facts_are_told(void **state) {
  (void)state;
  const struct sql_info_facts reader = {.version = "1"};
  static const uint32_t strings[] = {ID(FLIGHT_SQL_SERVER_VERSION),
                                     ID(FLIGHT_SQL_SERVER_SUBSTRAIT_MAX_VERSION)};
  struct ArrowArray batch = info(&facts, strings, 2);
  const struct ArrowArray *texts = batch.children[1]->children[0];
  assert_int_equal(texts->length, 2);
  assert_int_equal(texts->null_count, 1); /* of Substrait there is none */
  assert_memory_equal(texts->buffers[2], "9.8.7", 5);
  arrow_array_release(&batch);

  assert_int_equal(number(&facts, ID(FLIGHT_SQL_SERVER_READ_ONLY)), 0);
  assert_int_equal(number(&reader, ID(FLIGHT_SQL_SERVER_READ_ONLY)), 1);
  assert_int_equal(number(&facts, ID(FLIGHT_SQL_SERVER_BULK_INGESTION)), 1);
  assert_int_equal(number(&reader, ID(FLIGHT_SQL_SERVER_BULK_INGESTION)), 0);
  assert_int_equal(number(&facts, ID(SQL_DDL_TABLE)), 1);
  assert_int_equal(number(&reader, ID(SQL_DDL_TABLE)), 0);
  assert_int_equal(number(&facts, ID(SQL_ALL_TABLES_ARE_SELECTABLE)), 1);
  assert_int_equal(number(&reader, ID(SQL_ALL_TABLES_ARE_SELECTABLE)), 0);
  assert_int_equal(number(&facts, ID(FLIGHT_SQL_SERVER_STATEMENT_TIMEOUT)), 600000);
  assert_int_equal(number(&facts, ID(FLIGHT_SQL_SERVER_TRANSACTION_TIMEOUT)), INT32_MAX);
  assert_int_equal(number(&facts, ID(SQL_MAX_STATEMENT_LENGTH)), 4096);
  assert_int_equal(number(&facts, ID(SQL_MAX_STATEMENTS)), 12);
}

/* ---- claims about SQL ------------------------------------------------------------------------------ */

static void make_tables(void) {
  sql_run("CREATE OR REPLACE TABLE t (a INTEGER, b INTEGER, s VARCHAR)");
  sql_run("INSERT INTO t VALUES (1, 3, 'x'), (2, 2, 'y'), (3, 1, NULL)");
  sql_run("CREATE OR REPLACE TABLE u (a INTEGER)");
  sql_run("INSERT INTO u VALUES (1), (4)");
}

/* A claim holds exactly if the statement runs. */
static void statements_run_where_it_is_claimed(void **state) {
  (void)state;
  static const struct {
    uint32_t id;
    int64_t bit; /* of a bitmask; 0: the number is the claim */
    const char *sql;
  } cases[] = {
      {ID(FLIGHT_SQL_SERVER_SQL), 0, "SELECT 1"},
      {ID(SQL_DDL_CATALOG), 0, "ATTACH ':memory:' AS other"},
      {ID(SQL_DDL_SCHEMA), 0, "CREATE SCHEMA w; DROP SCHEMA w"},
      {ID(SQL_DDL_TABLE), 0, "CREATE TABLE w (a INTEGER); DROP TABLE w"},
      {ID(SQL_SUPPORTS_COLUMN_ALIASING), 0, "SELECT a AS b FROM u"},
      {ID(SQL_SUPPORTS_TABLE_CORRELATION_NAMES), 0, "SELECT v.a FROM u AS v"},
      {ID(SQL_SUPPORTS_EXPRESSIONS_IN_ORDER_BY), 0, "SELECT a FROM t ORDER BY a + b"},
      {ID(SQL_SUPPORTS_ORDER_BY_UNRELATED), 0, "SELECT a FROM t ORDER BY b"},
      {ID(SQL_SUPPORTED_GROUP_BY), 1, "SELECT count(*) FROM t GROUP BY b"},
      {ID(SQL_SUPPORTED_GROUP_BY), 2, "SELECT a, count(*) FROM t GROUP BY a, b"},
      {ID(SQL_SUPPORTS_LIKE_ESCAPE_CLAUSE), 0, "SELECT s LIKE 'a!%' ESCAPE '!' FROM t"},
      {ID(SQL_SUPPORTS_NON_NULLABLE_COLUMNS), 0,
       "CREATE TABLE w (a INTEGER NOT NULL); DROP TABLE w"},
      {ID(SQL_SUPPORTED_GRAMMAR), 1, "SELECT a FROM t WHERE a IN (1, 2) AND NOT s IS NULL"},
      {ID(SQL_SUPPORTED_GRAMMAR), 2, "GRANT SELECT ON t TO somebody"},
      {ID(SQL_ANSI92_SUPPORTED_LEVEL), 1,
       "SELECT b, count(DISTINCT a) FROM t GROUP BY b HAVING count(*) > 0 ORDER BY 1"},
      {ID(SQL_ANSI92_SUPPORTED_LEVEL), 2, "CREATE DOMAIN d AS INTEGER"},
      {ID(SQL_ANSI92_SUPPORTED_LEVEL), 4, "CREATE ASSERTION c CHECK (1 = 1)"},
      {ID(SQL_SUPPORTS_INTEGRITY_ENHANCEMENT_FACILITY), 0,
       "CREATE TABLE w (a INTEGER PRIMARY KEY, b INTEGER DEFAULT 1 CHECK (b > 0), c INTEGER "
       "UNIQUE); "
       "CREATE TABLE w2 (a INTEGER REFERENCES w (a)); DROP TABLE w2; DROP TABLE w"},
      {ID(SQL_OUTER_JOINS_SUPPORT_LEVEL), 2, "SELECT * FROM t LEFT JOIN u ON t.a = u.a"},
      {ID(SQL_OUTER_JOINS_SUPPORT_LEVEL), 4, "SELECT * FROM t FULL OUTER JOIN u ON t.a = u.a"},
      {ID(SQL_CATALOG_AT_START), 0, "SELECT * FROM memory.main.t"},
      {ID(SQL_SCHEMAS_SUPPORTED_ACTIONS), 2, "CREATE INDEX i ON main.t (a); DROP INDEX main.i"},
      {ID(SQL_SCHEMAS_SUPPORTED_ACTIONS), 4, "GRANT SELECT ON main.t TO somebody"},
      {ID(SQL_CATALOGS_SUPPORTED_ACTIONS), 2, "CREATE INDEX i ON memory.main.t (a); DROP INDEX i"},
      {ID(SQL_SUPPORTED_POSITIONED_COMMANDS), 1, "DELETE FROM t WHERE CURRENT OF c"},
      {ID(SQL_SUPPORTED_POSITIONED_COMMANDS), 2, "UPDATE t SET a = 1 WHERE CURRENT OF c"},
      {ID(SQL_SELECT_FOR_UPDATE_SUPPORTED), 0, "SELECT * FROM t FOR UPDATE"},
      {ID(SQL_STORED_PROCEDURES_SUPPORTED), 0, "CREATE PROCEDURE p() AS SELECT 1"},
      {ID(SQL_SUPPORTED_SUBQUERIES), 1, "SELECT * FROM t WHERE a = (SELECT max(a) FROM u)"},
      {ID(SQL_SUPPORTED_SUBQUERIES), 2, "SELECT * FROM t WHERE EXISTS (SELECT * FROM u)"},
      {ID(SQL_SUPPORTED_SUBQUERIES), 4, "SELECT * FROM t WHERE a IN (SELECT a FROM u)"},
      {ID(SQL_SUPPORTED_SUBQUERIES), 8, "SELECT * FROM t WHERE a >= ALL (SELECT a FROM u)"},
      {ID(SQL_CORRELATED_SUBQUERIES_SUPPORTED), 0,
       "SELECT * FROM t WHERE EXISTS (SELECT * FROM u WHERE u.a = t.a)"},
      {ID(SQL_SUPPORTED_UNIONS), 1, "SELECT a FROM t UNION SELECT a FROM u"},
      {ID(SQL_SUPPORTED_UNIONS), 2, "SELECT a FROM t UNION ALL SELECT a FROM u"},
      {ID(SQL_SAVEPOINTS_SUPPORTED), 0, "SAVEPOINT s"},
  };
  make_tables();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    int64_t claim = number(&facts, cases[i].id);
    if (cases[i].bit != 0) claim &= cases[i].bit;
    bool runs = sql_try(cases[i].sql, &error) == STATUS_OK;
    if (runs != (claim != 0))
      fail_msg("%u is %d, and '%s': %s", cases[i].id, (int)claim, cases[i].sql, error.text);
  }
}

/* A claim holds exactly if the statement's answer is the one that is wanted. */
static void answers_are_as_it_is_claimed(void **state) {
  (void)state;
  static const struct {
    uint32_t id;
    int64_t claim;
    const char *sql, *want;
  } cases[] = {
      {ID(SQL_IDENTIFIER_CASE), 1, "SELECT S FROM T WHERE A = 1", "x"},
      {ID(SQL_QUOTED_IDENTIFIER_CASE), 1, "SELECT \"S\" FROM \"T\" WHERE \"A\" = 1", "x"},
      {ID(SQL_NULL_ORDERING), 3, "SELECT s FROM t ORDER BY s LIMIT 1", "x"},
      {ID(SQL_NULL_ORDERING), 3, "SELECT s FROM t ORDER BY s DESC LIMIT 1", "y"},
      {ID(SQL_NULL_PLUS_NULL_IS_NULL), 1, "SELECT ('a' || NULL)::VARCHAR", "NULL"},
      {ID(SQL_SUPPORTS_DIFFERENT_TABLE_CORRELATION_NAMES), 0,
       "SELECT t.s FROM t AS t WHERE t.a = 1", "x"},
  };
  make_tables();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char got[100];
    assert_int_equal(number(&facts, cases[i].id), cases[i].claim);
    sql_text(cases[i].sql, got, sizeof got);
    assert_string_equal(got, cases[i].want);
  }
  sql_run("SELECT 1 AS a$b"); /* SQL_EXTRA_NAME_CHARACTERS */
}

static void drain(struct engine_session *session, const char *sql) {
  struct engine_session *kept = sql_session;
  sql_session = session;
  sql_run(sql);
  sql_session = kept;
}

/* REPEATABLE_READ: no phantoms, and yet not serializable. DDL in a transaction is undone with it.
 * What runs in a transaction is not said by `within` yet where it need not be: engine_begin alone
 * makes it one for statements of ours. */
static void transactions_are_snapshots(void **state) {
  (void)state;
  struct engine_session *other;
  struct error error = {0};
  assert_int_equal(number(&facts, ID(SQL_DEFAULT_TRANSACTION_ISOLATION)), 3);
  assert_int_equal(number(&facts, ID(SQL_SUPPORTED_TRANSACTIONS_ISOLATION_LEVELS)), 1 << 3);
  assert_int_equal(number(&facts, ID(SQL_TRANSACTIONS_SUPPORTED)), 1);
  make_tables();
  assert_int_equal(engine_session_open(sql_engine, &other, &error), STATUS_OK);
  assert_int_equal(engine_begin(sql_session, &error), STATUS_OK);
  char before[100], after[100];
  struct engine_result *result;
  for (int i = 0; i < 2; i++) {
    const struct engine_query count = {
        .sql = "SELECT count(*)::VARCHAR FROM t", .own = true, .within = true};
    struct ArrowArray batch;
    assert_int_equal(engine_query(sql_session, &count, &result, &error), STATUS_OK);
    assert_int_equal(engine_result_next(result, &batch, &error), STATUS_OK);
    snprintf(i == 0 ? before : after, 100, "%.1s", (const char *)batch.children[0]->buffers[2]);
    arrow_array_release(&batch);
    engine_result_close(result);
    if (i == 0) drain(other, "INSERT INTO t VALUES (9, 9, 'z')");
  }
  engine_rollback(sql_session);
  assert_string_equal(before, "3");
  assert_string_equal(after, before);
  sql_text("SELECT count(*)::VARCHAR FROM t", after, sizeof after);
  assert_string_equal(after, "4");
  engine_session_close(other);
}

static void casts_are_those_that_the_database_does(void **state) {
  (void)state;
  static const struct {
    const char *type, *value;
  } types[SQL_INFO_CONVERT_TYPES] = {
      {"BIGINT", "1"},
      {"BLOB", "'a'"},
      {"BOOLEAN", "true"},
      {"VARCHAR", "'1'"},
      {"DATE", "'2020-02-29'"},
      {"DECIMAL(18,3)", "1"},
      {"DOUBLE", "1"},
      {"INTEGER", "1"},
      {"INTERVAL", "'1 day'"},
      {"INTERVAL", "'1 year'"},
      {"BLOB", "'a'"},
      {"VARCHAR", "'1'"},
      {"DECIMAL(18,3)", "1"},
      {"FLOAT", "1"},
      {"SMALLINT", "1"},
      {"TIME", "'01:02:03'"},
      {"TIMESTAMP", "'2020-02-29 01:02:03'"},
      {"TINYINT", "1"},
      {"BLOB", "'a'"},
      {"VARCHAR", "'1'"},
  };
  for (int from = 0; from < SQL_INFO_CONVERT_TYPES; from++) {
    char sql[300];
    snprintf(sql, sizeof sql, "CREATE OR REPLACE TABLE w (c %s)", types[from].type);
    sql_run(sql);
    for (int to = 0; to < SQL_INFO_CONVERT_TYPES; to++) {
      struct error error = {0};
      /* Text is cast where it says a value of the type. */
      bool text = strcmp(types[from].type, "VARCHAR") == 0;
      const char *value = text ? types[to].value : types[from].value;
      snprintf(sql, sizeof sql, "SELECT (%s%s%s::%s)::%s", text && value[0] != '\'' ? "'" : "",
               value, text && value[0] != '\'' ? "'" : "", types[from].type, types[to].type);
      bool runs = sql_try(sql, &error) == STATUS_OK;
      if (runs != (sql_info_converts(from) >> to & 1)) fail_msg("%s: %s", sql, error.text);
    }
  }
  uint32_t id = ID(SQL_SUPPORTS_CONVERT);
  struct ArrowArray batch = info(&facts, &id, 1);
  int type;
  int32_t at;
  const struct ArrowArray *map = value_of(&batch, 0, &type, &at);
  assert_int_equal(map->children[0]->length, SQL_INFO_CONVERT_TYPES);
  arrow_array_release(&batch);
}

/* ---- lists ----------------------------------------------------------------------------------------- */

/* The list as the database gives it, separated by commas. */
static void list_text(enum sql_info_list list, char *text, size_t size) {
  char sql[4096];
  const char *inner = sql_info_list_sql(list);
  snprintf(sql, sizeof sql, "SELECT ',' || string_agg(name, ',') || ',' FROM (%s) AS l(name)",
           inner);
  sql_own_text(sql, text, size);
}

static void lists_hold_what_a_client_expects(void **state) {
  (void)state;
  static const struct {
    enum sql_info_list list;
    const char *has, *has_not;
  } cases[] = {
      {SQL_INFO_KEYWORDS, "SELECT PIVOT QUALIFY", "select FLIGHT"},
      {SQL_INFO_NUMERIC_FUNCTIONS, "abs sqrt ln pi round mod", "upper + now"},
      {SQL_INFO_STRING_FUNCTIONS, "upper substring concat regexp_replace lpad",
       "write_log abs icu_sort_key"},
      {SQL_INFO_SYSTEM_FUNCTIONS, "version current_user typeof", "abs upper"},
      {SQL_INFO_DATETIME_FUNCTIONS, "year date_trunc now strptime", "add upper"},
  };
  static char text[32768];
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    list_text(cases[i].list, text, sizeof text);
    for (int k = 0; k < 2; k++) {
      const char *at = k == 0 ? cases[i].has : cases[i].has_not;
      while (*at != '\0') {
        char word[100];
        size_t bytes = strcspn(at, " ");
        snprintf(word, sizeof word, ",%.*s,", (int)bytes, at);
        if ((strstr(text, word) != NULL) != (k == 0)) fail_msg("%s in %s", word, text);
        at += bytes + (at[bytes] == ' ');
      }
    }
  }
}

/* A name that no statement may say would be of no use. */
static void functions_of_the_lists_may_be_said(void **state) {
  (void)state;
  static char text[32768];
  for (int list = SQL_INFO_NUMERIC_FUNCTIONS; list < SQL_INFO_LISTS; list++) {
    list_text((enum sql_info_list)list, text, sizeof text);
    for (char *at = text + 1; *at != '\0';) {
      char sql[200];
      struct error error = {0};
      size_t bytes = strcspn(at, ",");
      snprintf(sql, sizeof sql, "SELECT 1 AS \"%.*s\"", (int)bytes, at);
      if (sql_try(sql, &error) != STATUS_OK) fail_msg("%s: %s", sql, error.text);
      at += bytes + 1;
    }
  }
}

static void lists_are_told_as_they_are(void **state) {
  (void)state;
  char *words[] = {(char *)(uintptr_t) "ALPHA", (char *)(uintptr_t) "BETA"};
  struct sql_info_facts some = facts;
  some.lists[SQL_INFO_KEYWORDS] = (struct sql_info_strings){words, 2};
  static const uint32_t ids[] = {ID(SQL_KEYWORDS), ID(SQL_STRING_FUNCTIONS)};
  assert_true(sql_info_wants(SQL_INFO_KEYWORDS, ids, 2));
  assert_true(sql_info_wants(SQL_INFO_STRING_FUNCTIONS, ids, 2));
  assert_false(sql_info_wants(SQL_INFO_NUMERIC_FUNCTIONS, ids, 2));
  assert_true(sql_info_wants(SQL_INFO_DATETIME_FUNCTIONS, NULL, 0));
  struct ArrowArray batch = info(&some, ids, 2);
  const struct ArrowArray *lists = batch.children[1]->children[4];
  const int32_t *offsets = lists->buffers[1];
  assert_int_equal(lists->length, 2);
  assert_int_equal(offsets[1], 2);
  assert_int_equal(offsets[2], 2);
  assert_memory_equal(lists->children[0]->buffers[2], "ALPHABETA", 9);
  arrow_array_release(&batch);
}

static void no_memory_is_told(void **state) {
  (void)state;
  struct ArrowArray batch;
  struct error error = {0};
  enum status status = STATUS_BUDGET;
  for (int64_t limit = 0; limit < 1 << 20 && status != STATUS_OK; limit += 512) {
    struct budget small = {.limit_bytes = limit};
    batch.release = NULL;
    status = sql_info_batch(&facts, NULL, 0, &small, &batch, &error);
    assert_true(status == STATUS_OK || status == STATUS_BUDGET);
    if (status == STATUS_OK) arrow_array_release(&batch);
    assert_int_equal(small.used_bytes, 0);
  }
  assert_int_equal(status, STATUS_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(everything_there_is_comes_in_order),
      cmocka_unit_test(only_what_is_asked_for_and_known_comes_once),
      cmocka_unit_test(values_are_in_the_members_that_drivers_read),
      cmocka_unit_test(facts_are_told),
      cmocka_unit_test(statements_run_where_it_is_claimed),
      cmocka_unit_test(answers_are_as_it_is_claimed),
      cmocka_unit_test(transactions_are_snapshots),
      cmocka_unit_test(casts_are_those_that_the_database_does),
      cmocka_unit_test(lists_hold_what_a_client_expects),
      cmocka_unit_test(functions_of_the_lists_may_be_said),
      cmocka_unit_test(lists_are_told_as_they_are),
      cmocka_unit_test(no_memory_is_told),
  };
  return cmocka_run_group_tests(tests, sql_engine_setup, sql_engine_teardown);
}
