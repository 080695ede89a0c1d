/* Callers who may touch only some tables: what is asked about, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "fixture.h"

/* Everything but `secret`, `s.hidden` may be read; only `mine` and s.mine may be written. */
static char asked[512];

static void note(char kind, const struct table_name *name) {
  size_t at = strlen(asked);
  snprintf(asked + at, sizeof asked - at, "%s%c:%s%s%s%s%s", at > 0 ? " " : "", kind, name->catalog,
           name->catalog[0] != '\0' ? "." : "", name->schema, name->schema[0] != '\0' ? "." : "",
           name->table);
}

static bool may_read(void *context, const struct table_name *name) {
  (void)context;
  note('r', name);
  return strcasecmp(name->table, "secret") != 0 && strcasecmp(name->table, "hidden") != 0;
}

static bool may_write(void *context, const struct table_name *name) {
  (void)context;
  note('w', name);
  return strcasecmp(name->table, "mine") == 0;
}

static enum status run_restricted(const char *sql, bool read_only, struct error *error) {
  asked[0] = '\0';
  struct engine_query query = {.sql = sql,
                               .read_only = read_only,
                               .data_only = true,
                               .may_read = may_read,
                               .may_write = may_write};
  struct engine_result *result = NULL;
  enum status status = engine_query(fixture_session, &query, &result, error);
  struct ArrowArray batch = {0};
  while (status == STATUS_OK && result != NULL) {
    status = engine_result_next(result, &batch, error);
    if (batch.release == NULL) break;
    batch.release(&batch);
  }
  engine_result_close(result);
  return status;
}

static int tables_setup(void **state) {
  if (fixture_setup(state) != 0) return 1;
  run("CREATE SCHEMA s");
  run("CREATE TABLE open (a INTEGER, b INTEGER)");
  run("CREATE TABLE \"We.ird\" (a INTEGER)");
  run("CREATE TABLE mine (a INTEGER)");
  run("CREATE TABLE secret (a INTEGER, private_column INTEGER)");
  run("CREATE TABLE s.open (a INTEGER, b INTEGER)");
  run("CREATE TABLE s.mine (a INTEGER PRIMARY KEY)");
  run("CREATE TABLE s.hidden (a INTEGER)");
  run("CREATE VIEW shows AS SELECT * FROM secret");
  run("CREATE VIEW deeper AS SELECT a FROM shows");
  run("CREATE VIEW harmless AS SELECT a FROM open");
  run("CREATE MACRO steal() AS TABLE FROM secret");
  run("CREATE MACRO peek() AS (SELECT max(a) FROM secret)");
  run("CREATE SEQUENCE q");
  run("INSERT INTO secret VALUES (42, 1)");
  run("INSERT INTO open VALUES (1, 2)");
  return 0;
}

static const struct {
  const char *sql;
  const char *asked;
} allowed[] = {
    {"SELECT 1", ""},
    {"SELECT * FROM open", "r:open"},
    {"FROM OPEN", "r:open"},
    {"FROM main.open", "r:open"},
    {"FROM memory.main.open", "r:open"},
    {"FROM s.open", "r:s.open"},
    {"FROM memory.S.Open", "r:s.open"},
    {"FROM \"We.ird\"", "r:We.ird"},
    {"FROM harmless", "r:open"},
    {"WITH secret AS (SELECT 1) FROM secret", ""},
    {"WITH x AS MATERIALIZED (FROM open) FROM x, x y", "r:open"},
    {"SELECT * FROM open JOIN s.open USING (a)", "r:open r:s.open"},
    {"SELECT a, count(*) FROM open GROUP BY CUBE (a) ORDER BY ALL LIMIT 10%", "r:open"},
    {"SELECT row_number() OVER (ORDER BY a) FROM open QUALIFY true", "r:open"},
    {"FROM open UNION ALL FROM open EXCEPT FROM s.open", NULL},
    {"FROM open x ASOF JOIN s.open y ON x.a >= y.a", "r:open r:s.open"},
    {"SELECT (SELECT max(u.a) FROM s.open u WHERE u.a = t.a) FROM open t", "r:open r:s.open"},
    {"FROM range(3), generate_series(1, 2), unnest([1, 2]), repeat('x', 2)", ""},
    {"FROM (VALUES (1), (2)) v(a)", ""},
    {"UNPIVOT open ON a, b", "r:open"},
    {"SUMMARIZE open", "r:open"},
    {"FROM query_table('open')", "r:open"},
    {"WITH RECURSIVE r AS (SELECT 1 AS a UNION ALL SELECT r.a + 1 FROM r, open WHERE r.a < 3) FROM "
     "r",
     "r:open"},
    {"FROM open TABLESAMPLE 50%", "r:open"},
    {"INSERT INTO mine VALUES (1)", "w:mine"},
    {" insert\tinto \"mine\"(a) SELECT a FROM open", "w:mine r:open"},
    {"INSERT INTO MAIN.MINE VALUES (1)", "w:MINE"},
    {"INSERT INTO memory.mine VALUES (1)", "w:mine"},
    {"INSERT INTO s.mine SELECT 1", "w:s.mine"},
    {"INSERT OR REPLACE INTO s.mine SELECT 1", NULL},
    {"INSERT OR IGNORE INTO s.mine SELECT 1", NULL},
    {"UPDATE mine SET a = 2", "r:mine w:mine"},
    {"DELETE FROM mine WHERE a = 1", "r:mine w:mine"},
    {"TRUNCATE mine", "r:mine w:mine"},
    {"DELETE FROM mine USING s.mine x WHERE mine.a = x.a", NULL},
};

static void statements_over_allowed_tables_run(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
    struct error error = {0};
    if (run_restricted(allowed[i].sql, false, &error) != STATUS_OK)
      fail_msg("%s: %s", allowed[i].sql, error.text);
    if (allowed[i].asked != NULL && strcmp(asked, allowed[i].asked) != 0)
      fail_msg("%s: asked about \"%s\", not \"%s\"", allowed[i].sql, asked, allowed[i].asked);
  }
}

static const struct {
  const char *sql;
  const char *text;
} refused[] = {
    {"FROM secret", "you may not read the table \"secret\", or there is none of that name"},
    {"FROM SECRET", "\"secret\", or there is none"},
    {"FROM Nothing", "you may not read the table \"nothing\", or there is none of that name"},
    {"INSERT INTO nothing VALUES (1)", "\"nothing\", or there is none"},
    {"UPDATE nothing SET a = 1", "\"nothing\", or there is none"},
    {"FROM \"secret\"", "not read"},
    {"FROM memory.secret", "not read"},
    {"FROM s.hidden", "not read the table \"hidden\", or"},
    {"FROM open t, secret t2", "not read"},
    {"SELECT count(*) FROM secret", "not read"},
    {"SELECT 1 WHERE false AND EXISTS (FROM secret)", "not read"},
    {"SELECT CASE WHEN false THEN (SELECT max(a) FROM secret) END", "not read"},
    {"SELECT a FROM open LIMIT (SELECT max(a) FROM secret)", "not read"},
    {"SELECT a FROM open ORDER BY (SELECT max(a) FROM secret)", "not read"},
    {"WITH x AS (FROM secret) FROM x", "not read"},
    {"FROM shows", "not read"},
    {"FROM deeper", "not read"},
    {"FROM steal()", "not read"},
    {"SELECT peek()", "not read"},
    {"FROM query_table('secret')", "not read"},
    {"FROM query_table(['open', 'secret'])", "not read"},
    {"FROM open, LATERAL (SELECT (SELECT max(secret.a) FROM secret WHERE secret.a = open.a))",
     "not read"},
    {"SELECT (SELECT (SELECT max(secret.a) FROM secret WHERE secret.a = t.a AND secret.a = u.a) "
     "FROM s.open u WHERE u.a = t.a) FROM open t",
     "not read"},
    {"SELECT list_transform([1], x -> x + peek())", ""},
    {"SUMMARIZE secret", "not read"},
    {"DESCRIBE secret", "some"},
    {"DESCRIBE open", "DESCRIBE or SHOW is for those who may see every table"},
    {"SHOW TABLES", "some"},
    {"SHOW ALL TABLES", "some"},
    {"FROM (SHOW TABLES)", "some"},
    {"SHOW DATABASES", "some"},
    {"FROM duckdb_tables()", "DUCKDB_TABLES is for those who may see every table"},
    {"FROM duckdb_columns", "some"},
    {"FROM information_schema.columns", "some"},
    {"FROM pg_catalog.pg_class", "some"},
    {"FROM sqlite_master", "some"},
    {"FROM pragma_storage_info('secret')", "some"},
    {"FROM pragma_table_info('secret')", "some"},
    {"PRAGMA table_info('secret')", ""},
    {"PRAGMA storage_info('secret')", ""},
    {"CALL pragma_table_info('secret')", ""},
    {"FROM duckdb_table_sample('secret')", "some"},
    {"FROM duckdb_settings()", "some"},
    {"FROM test_all_types()", "some"},
    {"FROM seq_scan('secret')", ""},
    {"SELECT json_serialize_plan('SELECT count(*) FROM secret', optimize := true)", "json_"},
    {"EXPLAIN FROM secret", "EXPLAIN is for"},
    {"EXPLAIN ANALYZE FROM secret", "EXPLAIN is for"},
    {"FROM open; FROM secret", "one statement at a time"},
    {"PIVOT open ON a USING count(*)", "one statement at a time"},
    {"INSERT INTO open VALUES (1, 2)", "you may not write the table open"},
    {"INSERT INTO secret VALUES (1, 2)", "\"secret\", or there is none"},
    {"INSERT INTO mine SELECT a FROM secret", "not read"},
    {"INSERT INTO mine.open VALUES (1)", ""},
    {"INSERT INTO memory.open VALUES (1, 2)", "not write"},
    {"INSERT INTO mine /* no, */ .secret VALUES (1)", ""},
    {"INSERT INTO s /**/ . /**/ mine VALUES (1)", "where the rows go"},
    {"INSERT INTO s . mine VALUES (1)", "where the rows go"},
    {"INSERT /**/ INTO mine VALUES (1)", "where the rows go"},
    {"/**/ INSERT INTO mine VALUES (1)", "where the rows go"},
    {"WITH x AS (SELECT 1) INSERT INTO mine FROM x", "some"},
    {"INSERT INTO mine VALUES ((SELECT max(a) FROM secret))", "not read"},
    {"UPDATE open SET a = 1", "not write"},
    {"UPDATE mine SET a = (SELECT max(a) FROM secret)", "not read"},
    {"UPDATE secret SET a = 1", "not read"},
    {"DELETE FROM open", "not write"},
    {"DELETE FROM secret", "not read"},
    {"TRUNCATE open", "not write"},
    {"MERGE INTO open USING mine ON open.a = mine.a WHEN MATCHED THEN DELETE", "not write"},
    {"CREATE TABLE x (a INTEGER)", "needs the scope admin"},
    {"CREATE TABLE x AS FROM secret", "needs the scope admin"},
    {"CREATE OR REPLACE TABLE mine AS SELECT 1", "needs the scope admin"},
    {"CREATE VIEW x AS FROM secret", "needs the scope admin"},
    {"CREATE TEMP TABLE x AS FROM secret", "needs the scope admin"},
    {"CREATE MACRO x() AS TABLE FROM secret", "needs the scope admin"},
    {"ALTER TABLE mine ADD COLUMN z INTEGER", "needs the scope admin"},
    {"COMMENT ON TABLE mine IS 'x'", "needs the scope admin"},
    {"DROP TABLE mine", "needs the scope admin"},
    {"CREATE INDEX i ON mine (a)", "needs the scope admin"},
    {"VACUUM mine", "needs the scope admin"},
    {"ANALYZE mine", "needs the scope admin"},
    {"CHECKPOINT", "needs the scope admin"},
    {"COPY secret TO '/tmp/x'", ""},
};

static void what_is_not_allowed_or_cannot_be_told_is_refused(void **state) {
  (void)state;
  int failures = 0;
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    struct error error = {0};
    enum status status = run_restricted(refused[i].sql, false, &error);
    bool kind = status == STATUS_DENIED || (status == STATUS_INVALID && refused[i].text[0] == '\0');
    if (kind && strstr(error.text, refused[i].text) != NULL) continue;
    print_error("%s: %s %s\n", refused[i].sql, status_name(status), error.text);
    failures++;
  }
  assert_int_equal(failures, 0);
  expect_integer("SELECT count(*) FROM open", 1);
  expect_integer("SELECT count(*) FROM secret", 1);
}

/* A statement whose binding fails must not tell what other tables there are. */
static void errors_suggest_no_names(void **state) {
  (void)state;
  static const char *const statements[] = {"FROM secrat", "SELECT nothing FROM open, secret",
                                           "SELECT private_colum FROM secret", "FROM s.hiden"};
  for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
    struct error error = {0};
    assert_int_not_equal(run_restricted(statements[i], true, &error), STATUS_OK);
    const char *line = strstr(error.text, "\n\nLINE ");
    if (line != NULL) error.text[line - error.text] = '\0';
    if (strstr(error.text, "private_column") != NULL || strstr(error.text, "hidden") != NULL ||
        strstr(error.text, "\"secret\"") != NULL)
      fail_msg("%s: %s", statements[i], error.text);
  }
}

static void parameters_go_to_statements_that_are_looked_at(void **state) {
  (void)state;
  struct engine_value value = {.kind = ENGINE_INTEGER, .integer = 1};
  for (int secret = 0; secret < 2; secret++) {
    struct engine_query query = {.sql = secret ? "SELECT a FROM secret WHERE a > ?"
                                               : "SELECT a FROM open WHERE a = ?",
                                 .parameters = &value,
                                 .parameter_count = 1,
                                 .read_only = true,
                                 .may_read = may_read};
    struct engine_result *result = NULL;
    struct error error = {0};
    assert_int_equal(engine_query(fixture_session, &query, &result, &error),
                     secret ? STATUS_DENIED : STATUS_OK);
    engine_result_close(result);
  }
}

static void the_session_is_as_before_afterwards(void **state) {
  (void)state;
  struct error error = {0};
  assert_int_equal(run_restricted("FROM open", true, &error), STATUS_OK);
  expect_text("SELECT current_setting('explain_output')", "PHYSICAL_ONLY");
  assert_int_equal(run_restricted("FROM secret", true, &error), STATUS_DENIED);
  expect_text("SELECT current_setting('explain_output')", "PHYSICAL_ONLY");
}

/* The scope write: rows, no tables. */
static void those_who_only_write_rows_define_nothing(void **state) {
  (void)state;
  static const struct {
    const char *sql;
    enum status want;
  } cases[] = {
      {"INSERT INTO open VALUES (5, 5)", STATUS_OK},
      {"UPDATE open SET b = 1", STATUS_OK},
      {"DELETE FROM open", STATUS_OK},
      {"SELECT nextval('q')", STATUS_OK},
      {"CREATE TABLE n (a INTEGER)", STATUS_DENIED},
      {"DROP TABLE open", STATUS_DENIED},
      {"ALTER TABLE open DROP COLUMN a", STATUS_DENIED},
      {"INSERT INTO open VALUES (5, 5); DROP TABLE open", STATUS_DENIED},
      {"CHECKPOINT", STATUS_DENIED},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    struct engine_query query = {.sql = cases[i].sql, .data_only = true};
    struct engine_result *result = NULL;
    enum status status = engine_query(fixture_session, &query, &result, &error);
    if (status != cases[i].want) fail_msg("%s: %s", cases[i].sql, error.text);
    engine_result_close(result);
  }
  expect_integer("SELECT count(*) FROM open", 0);
}

int main(void) {
#define ON_TABLES(test) cmocka_unit_test_setup_teardown(test, tables_setup, fixture_teardown)
  const struct CMUnitTest tests[] = {
      ON_TABLES(statements_over_allowed_tables_run),
      ON_TABLES(what_is_not_allowed_or_cannot_be_told_is_refused),
      ON_TABLES(errors_suggest_no_names),
      ON_TABLES(parameters_go_to_statements_that_are_looked_at),
      ON_TABLES(the_session_is_as_before_afterwards),
      ON_TABLES(those_who_only_write_rows_define_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
