/* Lakes: attached, written, committed; what they refuse, and what SQL from outside may not do. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ducklake.h"
#include "engine/private.h"
#include "fixture.h"

static char folder[64], lake_path[128], second_path[128];

static enum status open_lakes(const char *const *lakes, size_t count, struct error *error) {
  const char *extension = ducklake_extension();
  return engine_open(&(struct engine_options){.threads = 2,
                                              .extensions = &extension,
                                              .extension_count = 1,
                                              .lakes = lakes,
                                              .lake_count = count},
                     &fixture_engine, error);
}

static int setup(void **state) {
  (void)state;
  struct error error = {0};
  snprintf(folder, sizeof folder, "/tmp/arrowport-lake-XXXXXX");
  if (mkdtemp(folder) == NULL) return 1;
  snprintf(lake_path, sizeof lake_path, "%s/lake.ducklake", folder);
  snprintf(second_path, sizeof second_path, "%s/second", folder);
  const char *const lakes[] = {lake_path, second_path};
  if (open_lakes(lakes, 2, &error) != STATUS_OK ||
      engine_session_open(fixture_engine, &fixture_session, &error) != STATUS_OK) {
    fprintf(stderr, "%s\n", error.text);
    return 1;
  }
  return 0;
}

static int teardown(void **state) {
  char command[128];
  int failed = fixture_teardown(state);
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return system(command) != 0 || failed;
}

static struct table_name in_lake(const char *table) {
  struct table_name name = table_named(table);
  snprintf(name.catalog, sizeof name.catalog, "lake");
  return name;
}

/* ---- names ------------------------------------------------------------------------------- */

static void test_names(void **state) {
  (void)state;
  static const struct {
    const char *path, *want; /* NULL: refused */
  } cases[] = {
      {"./lake.ducklake", "lake"},
      {"/a/b/sales.v2.ducklake", "sales.v2"},
      {"lake", "lake"},
      {"x/.hidden", ".hidden"},
      {"a/", NULL},
      {"", NULL},
      {"main.ducklake", NULL},
      {"TEMP.ducklake", NULL},
      {"memory", NULL},
      {"__lake", NULL},
      {"a\tb.ducklake", NULL},
      {"a\"b.ducklake", "a\"b"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char name[TABLE_NAME_BYTES_MAX + 1];
    struct error error = {0};
    enum status status = engine_lake_name(cases[i].path, name, &error);
    if ((status == STATUS_OK) != (cases[i].want != NULL))
      fail_msg("%s: %s", cases[i].path, error.text);
    if (cases[i].want != NULL) assert_string_equal(name, cases[i].want);
  }
}

static void test_extension_missing(void **state) {
  (void)state;
  struct error error = {0};
  const char *const lakes[] = {"/tmp/none/lake.ducklake"};
  struct engine *engine = NULL;
  assert_int_equal(
      engine_open(&(struct engine_options){.lakes = lakes, .lake_count = 1}, &engine, &error),
      STATUS_NOT_FOUND);
  assert_non_null(strstr(error.text, "pip download --no-deps duckdb-extension-ducklake=="));
  assert_null(engine);
}

static void test_same_name(void **state) {
  (void)state;
  struct error error = {0};
  const char *const lakes[] = {"/tmp/lake.ducklake", "/var/Lake.db"};
  assert_int_equal(open_lakes(lakes, 2, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "two lakes have the name"));
}

static void test_one_engine_each(void **state) {
  (void)state;
  struct error error = {0};
  struct engine *first = fixture_engine;
  const char *const lakes[] = {lake_path};
  enum status status = open_lakes(lakes, 1, &error);
  fixture_engine = first;
  assert_int_equal(status, STATUS_CONFLICT);
}

/* ---- loads ------------------------------------------------------------------------------- */

static void test_transactions_make_snapshots(void **state) {
  (void)state;
  struct error error = {0};
  static const struct field fields[] = {{"n", "l"}, {"s", "u"}};
  struct ArrowSchema schema = schema_of(fields, 2);
  struct table_name name = in_lake("t");
  assert_int_equal(engine_committed_version(fixture_session), -1);
  assert_int_equal(engine_begin(fixture_session, &error), STATUS_OK);
  assert_int_equal(engine_create_table(fixture_session, &name, &schema, &error), STATUS_OK);
  assert_int_equal(engine_commit(fixture_session, &error), STATUS_OK);
  assert_int_equal(engine_committed_version(fixture_session), 1);
  run("INSERT INTO lake.t VALUES (1, 'a'), (2, 'b')");
  run("INSERT INTO lake.t SELECT range, 'x' FROM range(1000)");
  run("CREATE TABLE lake.t2(a INT); INSERT INTO lake.t2 VALUES (1); INSERT INTO lake.t SELECT 3, "
      "'c'");
  expect_integer("SELECT max(snapshot_id) FROM ducklake_snapshots('lake')", 4);
  expect_integer("SELECT count(*) FROM lake.main.t", 1003);
  expect_integer("SELECT count(*) FROM lake.main.t AT (VERSION => 2)", 2);
  expect_integer("SELECT count(*) FROM lake.main.t AT (VERSION => 1)", 0);
  struct engine_table table;
  assert_int_equal(engine_table_info(fixture_session, &name, &table, &error), STATUS_OK);
  assert_int_equal(table.column_count, 2);
  assert_string_equal(table.columns[1].type, "VARCHAR");
  assert_false(table.columns[0].has_default);
  assert_false(table.columns[0].generated);
  assert_int_equal(table.rows, 1003);
  engine_table_release(&table);
  struct table_name other = table_named("t");
  assert_int_equal(engine_table_info(fixture_session, &other, &table, &error), STATUS_NOT_FOUND);
  arrow_schema_release(&schema);
}

/* ---- types ------------------------------------------------------------------------------- */

static void test_types_that_a_lake_would_change(void **state) {
  (void)state;
  static const struct {
    const char *format, *why;
  } cases[] = {
      {"ttn", "TIME_NS"}, {"tiM", "INTERVAL"}, {"tDu", "INTERVAL"}, {"tin", "INTERVAL"},
      {"tsn:", NULL},     {"tss:", NULL},      {"ttu", NULL},       {"l", NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    char table[16];
    snprintf(table, sizeof table, "t%zu", i);
    struct table_name name = in_lake(table);
    struct field field = {"c", cases[i].format};
    struct ArrowSchema schema = schema_of(&field, 1);
    enum status status = engine_create_table(fixture_session, &name, &schema, &error);
    if (status != (cases[i].why == NULL ? STATUS_OK : STATUS_UNSUPPORTED))
      fail_msg("%s: %s", cases[i].format, error.text);
    if (cases[i].why != NULL) assert_non_null(strstr(error.text, cases[i].why));
    arrow_schema_release(&schema);
  }
}

static void test_hugeint_is_refused(void **state) {
  (void)state;
  struct error error = {0};
  run("CREATE TABLE lake.h(n HUGEINT)");
  struct table_name name = in_lake("h");
  struct field field = {"n", "l"};
  struct ArrowSchema schema = schema_of(&field, 1);
  struct engine_insert *insert = NULL;
  assert_int_equal(engine_insert_open(fixture_session, &name, &schema, &insert, &error),
                   STATUS_UNSUPPORTED);
  assert_non_null(strstr(error.text, "DOUBLE"));
  arrow_schema_release(&schema);
}

/* ---- SQL from outside --------------------------------------------------------------------- */

static void test_refused(void **state) {
  (void)state;
  static const char *const statements[] = {
      "FROM __ducklake_metadata_lake.ducklake_snapshot",
      "DELETE FROM \"__ducklake_metadata_lake\".main.ducklake_table",
      "CALL ducklake_add_data_files('lake', 't', '/etc/x.parquet')",
      "CALL lake.add_data_files('t', '/etc/x.parquet')",
      "FROM ducklake_delete_orphaned_files('lake', cleanup_all => true)",
      "FROM '%D/lake.ducklake'",
      "FROM '%D/lake.ducklake.files/main/t/*.parquet'",
      "FROM '%D/second.files/main/t/*.parquet'",
      "FROM '%D/x.parquet'",
      "FROM '%D/second.files/../x.parquet'",
      "ATTACH 'ducklake:%D/third.ducklake' AS third",
      "DETACH lake",
      "COPY (SELECT 1) TO '%D/lake.ducklake.files/x.parquet'",
      "SET allowed_directories = ['/']",
      "CREATE TABLE lake.n(c TIME_NS)",
      "USE lake",
  };
  run("CREATE TABLE lake.t(n INT)");
  for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
    char sql[512];
    const char *mark = strstr(statements[i], "%D");
    if (mark == NULL)
      snprintf(sql, sizeof sql, "%s", statements[i]);
    else
      snprintf(sql, sizeof sql, "%.*s%s%s", (int)(mark - statements[i]), statements[i], folder,
               mark + 2);
    struct error error = {0};
    enum status status = run_status(sql, &error);
    if (status != STATUS_DENIED) fail_msg("%s: %d %s", sql, status, error.text);
  }
  expect_integer("SELECT count(*) FROM lake.t", 0);
}

static enum status ask(const struct engine_query *query, struct error *error) {
  struct engine_result *result = NULL;
  enum status status = engine_query(fixture_session, query, &result, error);
  engine_result_close(result);
  return status;
}

static void test_maintenance_is_no_reading(void **state) {
  (void)state;
  static const char *const statements[] = {
      "FROM ducklake_expire_snapshots('lake', older_than => now())",
      "FROM ducklake_cleanup_old_files('lake', cleanup_all => true)",
      "FROM ducklake_merge_adjacent_files('lake')",
      "FROM ducklake_set_option('lake', 'parquet_compression', 'zstd')",
      "FROM lake.set_option('parquet_compression', 'zstd')",
  };
  for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
    struct error error = {0};
    struct engine_query reads = {.sql = statements[i], .read_only = true};
    struct engine_query data = {.sql = statements[i], .data_only = true};
    assert_int_equal(ask(&reads, &error), STATUS_DENIED);
    assert_int_equal(ask(&data, &error), STATUS_DENIED);
  }
  run("CREATE TABLE lake.t(n INT)");
  run("INSERT INTO lake.t VALUES (1)");
  run("CALL lake.set_option('data_inlining_row_limit', 100)");
  run("CALL ducklake_flush_inlined_data('lake')");
  run("CALL ducklake_expire_snapshots('lake', older_than => now())");
  run("CHECKPOINT");
  run("CHECKPOINT lake");
  expect_integer("SELECT count(*) FROM lake.t", 1);
}

/* ---- callers who see only some tables ------------------------------------------------------- */

static bool only_t(void *context, const struct table_name *table) {
  (void)context;
  return table->catalog[0] == '\0' && strcmp(table->table, "t") == 0;
}

static bool only_lake_t(void *context, const struct table_name *table) {
  (void)context;
  return strcmp(table->catalog, "lake") == 0 && strcmp(table->table, "t") == 0;
}

static void test_table_patterns(void **state) {
  (void)state;
  static const struct {
    const char *sql;
    bool (*may)(void *, const struct table_name *);
    enum status want;
  } cases[] = {
      {"SELECT * FROM t", only_t, STATUS_OK},
      {"SELECT * FROM lake.t", only_t, STATUS_DENIED},
      {"SELECT * FROM lake.main.t", only_t, STATUS_DENIED},
      {"SELECT * FROM lake.t AT (VERSION => 1)", only_t, STATUS_DENIED},
      {"SELECT * FROM v", only_t, STATUS_DENIED},
      {"SELECT (SELECT max(n) FROM lake.t)", only_t, STATUS_DENIED},
      {"SELECT count(*) FROM lake.t", only_t, STATUS_DENIED},
      {"INSERT INTO t SELECT 1", only_t, STATUS_OK},
      {"INSERT INTO t SELECT n FROM lake.t", only_t, STATUS_DENIED},
      {"INSERT INTO lake.t SELECT 1", only_t, STATUS_DENIED},
      {"INSERT INTO lake.main.t SELECT 1", only_t, STATUS_DENIED},
      {"INSERT INTO LAKE.t VALUES (1)", only_t, STATUS_DENIED},
      {"INSERT INTO lake.t VALUES (1)", only_lake_t, STATUS_OK},
      {"INSERT INTO lake.main.t VALUES (1)", only_lake_t, STATUS_OK},
      {"INSERT INTO t VALUES (1)", only_lake_t, STATUS_DENIED},
      {"UPDATE lake.t SET n = 2", only_t, STATUS_DENIED},
      {"DELETE FROM lake.t", only_t, STATUS_DENIED},
      {"DELETE FROM lake.t WHERE false", only_t, STATUS_DENIED},
      {"TRUNCATE lake.t", only_t, STATUS_DENIED},
      {"MERGE INTO lake.t USING (SELECT 1 AS n) AS s ON lake.t.n = s.n "
       "WHEN NOT MATCHED THEN INSERT VALUES (s.n)",
       only_t, STATUS_DENIED},
      {"FROM ducklake_snapshots('lake')", only_t, STATUS_DENIED},
      {"FROM lake.table_info()", only_t, STATUS_DENIED},
      {"FROM ducklake_table_changes('lake', 'main', 't', 0, 1)", only_t, STATUS_DENIED},
      {"DESCRIBE lake.t", only_t, STATUS_DENIED},
  };
  run("CREATE TABLE t(n INT)");
  run("CREATE TABLE lake.t(n INT)");
  run("CREATE VIEW v AS FROM lake.t");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    struct engine_query query = {
        .sql = cases[i].sql, .may_read = cases[i].may, .may_write = cases[i].may};
    enum status status = ask(&query, &error);
    if (status != cases[i].want) fail_msg("%s: %d %s", cases[i].sql, status, error.text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_extension_missing),
  };
  const struct CMUnitTest lakes[] = {
      cmocka_unit_test(test_same_name),
      cmocka_unit_test_setup_teardown(test_one_engine_each, setup, teardown),
      cmocka_unit_test_setup_teardown(test_transactions_make_snapshots, setup, teardown),
      cmocka_unit_test_setup_teardown(test_types_that_a_lake_would_change, setup, teardown),
      cmocka_unit_test_setup_teardown(test_hugeint_is_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(test_maintenance_is_no_reading, setup, teardown),
      cmocka_unit_test_setup_teardown(test_table_patterns, setup, teardown),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (ducklake_extension() != NULL) failed += cmocka_run_group_tests(lakes, NULL, NULL);
  return failed;
}
