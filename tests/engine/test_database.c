#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

static char folder[] = "/tmp/arrowport-engine-XXXXXX";
static char path[128], secret[128];

static int folder_setup(void **state) {
  (void)state;
  strcpy(folder + strlen(folder) - 6, "XXXXXX");
  if (mkdtemp(folder) == NULL) return 1;
  snprintf(path, sizeof path, "%s/data.duckdb", folder);
  snprintf(secret, sizeof secret, "%s/secret.csv", folder);
  FILE *file = fopen(secret, "w");
  if (file == NULL) return 1;
  fputs("a,b\n1,2\n", file);
  return fclose(file);
}

static int folder_teardown(void **state) {
  (void)state;
  char command[256];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return system(command); /* NOLINT(cert-env33-c): a path of our own making */
}

static struct engine *open_or_fail(const struct engine_options *options) {
  struct engine *engine;
  struct error error = {0};
  if (engine_open(options, &engine, &error) != STATUS_OK) fail_msg("%s", error.text);
  return engine;
}

static struct engine_session *session_or_fail(struct engine *engine) {
  struct engine_session *session;
  struct error error = {0};
  assert_int_equal(engine_session_open(engine, &session, &error), STATUS_OK);
  return session;
}

static int file_setup(void **state) {
  if (folder_setup(state) != 0) return 1;
  fixture_engine = open_or_fail(&(struct engine_options){.path = path, .threads = 2});
  fixture_session = session_or_fail(fixture_engine);
  return 0;
}

static int file_teardown(void **state) {
  if (fixture_teardown(state) != 0) return 1;
  return folder_teardown(state);
}

/* ---- lock-down ----------------------------------------------------------------------- */

/* Statements that reach out of the database. %F is a file that exists, %D its folder.
 * Each must fail, and leave no new file. */
static const char *const escapes[] = {
    "SELECT * FROM read_csv('%F')",
    "SELECT * FROM read_csv_auto('%F')",
    "SELECT * FROM sniff_csv('%F')",
    "SELECT * FROM read_text('%F')",
    "SELECT * FROM read_blob('%F')",
    "SELECT * FROM read_json('%F')",
    "SELECT * FROM read_json_auto('%F')",
    "SELECT * FROM read_ndjson('%F')",
    "SELECT * FROM read_json_objects('%F')",
    "SELECT * FROM read_parquet('%F')",
    "SELECT * FROM parquet_metadata('%F')",
    "SELECT * FROM parquet_schema('%F')",
    "SELECT * FROM parquet_file_metadata('%F')",
    "SELECT * FROM parquet_kv_metadata('%F')",
    "SELECT * FROM read_duckdb('%D/data.duckdb', table_name='t')",
    "SELECT * FROM read_duckdb('%D/other.duckdb', table_name='t')",
    "SELECT * FROM glob('%D/*')",
    "SELECT * FROM glob('%D/data.duckdb')",
    "SELECT * FROM read_blob('%D/data.duckdb')",
    "SELECT * FROM read_blob('%D/data.' || 'duckdb')",
    "SELECT * FROM \"READ_BLOB\"('%D/data.' || 'duckdb.wal')",
    "SELECT * FROM read_text('%D/data.duckdb')",
    "SELECT * FROM read_csv('%D/data.duckdb')",
    "SELECT * FROM read_csv('%D/data.duckdb.wal', header = false, all_varchar = true)",
    "SELECT * FROM sniff_csv('%D/data.duckdb')",
    "SELECT * FROM '%D/data.duckdb'",
    "SELECT * FROM '%D/data.duckdb.wal'",
    "CREATE VIEW v AS SELECT * FROM read_blob('%D/data.duckdb')",
    "CREATE MACRO m(f) AS TABLE SELECT * FROM read_blob(f)",
    "SELECT (SELECT content FROM read_blob('%D/data.duckdb'))",
    "SELECT * FROM query_table('%D/data.' || 'duckdb')",
    "SELECT * FROM '%F'",
    "FROM '%F'",
    "DESCRIBE SELECT * FROM '%F'",
    "SUMMARIZE '%F'",
    "EXPLAIN SELECT * FROM '%F'",
    "CREATE VIEW v AS SELECT * FROM read_csv('%F')",
    "CREATE TABLE x AS SELECT * FROM '%F'",
    "INSERT INTO t SELECT a FROM read_csv('%F')",
    "SELECT * FROM query('SELECT * FROM read_text(''%F'')')",
    "SELECT * FROM query_table('%F')",
    "COPY t FROM '%F'",
    "COPY t TO '%D/out.csv'",
    "COPY (SELECT 1) TO '%D/out.parquet' (FORMAT parquet)",
    "COPY (SELECT 1) TO '/dev/stdout'",
    "EXPLAIN ANALYZE COPY t TO '%D/out.csv'",
    "COPY FROM DATABASE data TO data",
    "EXPORT DATABASE '%D/export'",
    "IMPORT DATABASE '%D'",
    "PRAGMA import_database('%D')",
    "ATTACH '%D/other.duckdb'",
    "ATTACH '%D/other.duckdb' AS o (READ_ONLY)",
    "ATTACH ':memory:' AS o",
    "EXPLAIN ANALYZE ATTACH ':memory:' AS o",
    "ATTACH 'https://localhost/x.duckdb'",
    "DETACH data",
    "USE memory",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '%D/x.duckdb_extension'",
    "FORCE INSTALL httpfs FROM '%D'",
    "UPDATE EXTENSIONS",
    "CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')",
    "CREATE PERSISTENT SECRET s (TYPE http, BEARER_TOKEN 'a')",
    "SELECT getenv('HOME')",
    "SELECT * FROM enable_logging('QueryLog', storage='file', storage_config={'path': '%D/log'})",
    "CALL enable_logging('QueryLog', storage='file', storage_config={'path': '%D/log'})",
    "SELECT * FROM enable_logging(storage_path='%D/log', storage='file')",
    "SELECT * FROM enable_profiling(save_location='%D/profile')",
    "CALL enable_profiling(save_location='%D/profile')",
    "SELECT * FROM Enable_Logging()",
    "SELECT * FROM \"enable_logging\"()",
    "SELECT * FROM disable_logging()",
    "SELECT * FROM truncate_duckdb_logs()",
    "SELECT * FROM disable_profiling()",
    "CREATE VIEW v AS SELECT * FROM enable_logging()",
    "CREATE MACRO m(x) AS TABLE SELECT * FROM query(x)",
    "SELECT * FROM query('SELECT * FROM ena' || 'ble_logging()')",
    "SELECT * FROM QUERY ('SELECT 1')",
    "SELECT 1FROM query('SELECT 1')",
    "SELECT * FROM t, query('SELECT 1')",
    "SELECT * FROM t JOIN\nquery('SELECT 1') ON true",
    "SELECT * FROM t, LATERAL query('SELECT 1')",
    "SELECT * FROM (query('SELECT 1'))",
    "SELECT * FROM main.query('SELECT 1')",
    "SELECT * FROM/**/query('SELECT 1')",
    "SELECT * FROM x: query('SELECT 1')",
    "PIVOT query('SELECT 1 AS a') ON a",
    "UNPIVOT query('SELECT 1 AS a') ON a",
    "DELETE FROM t USING query('SELECT 1')",
    "UPDATE t SET a = 1 FROM query('SELECT 1')",
    "MERGE INTO t USING query('SELECT 1 AS a') n USING (a) WHEN MATCHED THEN DELETE",
    "CALL query('SELECT 1')",
    "SELECT * FROM \"query\"\n('SELECT 1')",
    "SELECT * FROM query/**/('SELECT 1')",
    "SELECT * FROM query--\n('SELECT 1')",
    "SELECT * FROM query\xc2\xa0('SELECT 1')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "PRAGMA json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM arrow_scan(1::POINTER, 2::POINTER, 3::POINTER)",
    "PRAGMA add_parquet_key('a', '0123456789112345')",
    "PRAGMA disable_checkpoint_on_shutdown",
    "PRAGMA disable_optimizer",
    "PRAGMA enable_verification",
    "PRAGMA enable_profiling",
    "PRAGMA enable_logging",
    "SET enable_external_access = true",
    "SET GLOBAL enable_external_access = true",
    "RESET enable_external_access",
    "PRAGMA enable_external_access = true",
    "SET lock_configuration = false",
    "RESET lock_configuration",
    "SET allowed_configs = ['threads']",
    "SET allowed_directories = ['%D']",
    "SET allowed_paths = ['%F']",
    "SET memory_limit = '100GB'",
    "SET threads = 64",
    "PRAGMA threads = 64",
    "PRAGMA memory_limit = '100GB'",
    "SET temp_directory = '%D/spill'",
    "SET home_directory = '%D'",
    "SET secret_directory = '%D'",
    "SET extension_directory = '%D'",
    "SET custom_extension_repository = '%D'",
    "SET autoload_known_extensions = true",
    "SET allow_unsigned_extensions = true",
    "SET file_search_path = '%D'",
    "SET log_query_path = '%D/log'",
    "SET profiling_output = '%D/profile'",
    "SET profile_output = '%D/profile'",
    "SET enable_profiling = 'json'",
    "SET schema = 'information_schema'",
    "SET search_path = 'information_schema'",
    "SET preserve_insertion_order = false",
    "SET GLOBAL preserve_insertion_order = false",
    "PRAGMA preserve_insertion_order = false",
    "SET VARIABLE v = 1",
    "SET TimeZone = 'Europe/Berlin'",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "PREPARE p AS COPY t TO '%D/out.csv'",
    "EXPLAIN ANALYZE EXECUTE p",
    "EXPLAIN ANALYZE SET threads = 64",
    "EXPLAIN ANALYZE BEGIN",
    "EXPLAIN ANALYZE COMMIT",
    "EXPLAIN ANALYZE ROLLBACK",
    "SELECT 1; EXPLAIN ANALYZE COMMIT",
    "BEGIN",
    "BEGIN TRANSACTION",
    "START TRANSACTION",
    "COMMIT",
    "ROLLBACK",
    "ABORT",
    "SELECT * FROM arrowport_rows(1)",
    "SELECT * FROM system.main.arrowport_rows(0)",
    "INSERT INTO t SELECT * FROM arrowport_rows(1)",
    "SELECT 1; COPY t TO '%D/out.csv'",
    "SELECT 1; SET threads = 64",
};

static void fill_in(const char *pattern, char *sql, size_t bytes) {
  size_t at = 0;
  for (; *pattern != '\0' && at + 1 < bytes; pattern++) {
    const char *put = NULL;
    if (pattern[0] == '%' && pattern[1] == 'F') put = secret;
    if (pattern[0] == '%' && pattern[1] == 'D') put = folder;
    if (put == NULL) {
      sql[at++] = *pattern;
      continue;
    }
    at += (size_t)snprintf(sql + at, bytes - at, "%s", put);
    pattern++;
  }
  sql[at] = '\0';
}

static int files_in_folder(void) {
  char command[256];
  snprintf(command, sizeof command, "find '%s' | wc -l", folder);
  FILE *pipe = popen(command, "r"); /* NOLINT(cert-env33-c): a path of our own making */
  assert_non_null(pipe);
  int files = 0;
  assert_int_equal(fscanf(pipe, "%d", &files), 1);
  pclose(pipe);
  return files;
}

static void nothing_reaches_out_of_the_database(void **state) {
  (void)state;
  run("CREATE TABLE t (a INTEGER)");
  int files = files_in_folder();
  int failures = 0;
  for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
    char sql[1024];
    fill_in(escapes[i], sql, sizeof sql);
    struct error error = {0};
    enum status status = run_status(sql, &error);
    if (status == STATUS_OK) print_error("%s: ran\n", sql), failures++;
    if (status == STATUS_INTERNAL || status == STATUS_UNAVAILABLE)
      print_error("%s: %s\n", sql, error.text), failures++;
    if (files_in_folder() != files) print_error("%s: made a file\n", sql), failures++;
    files = files_in_folder();
    if (getenv("SHOW") != NULL)
      print_message("%-60s %s %s\n", sql, status_name(status), error.text);
  }
  assert_int_equal(failures, 0);
  run("INSERT INTO t VALUES (7)");
  expect_integer("SELECT sum(a)::BIGINT FROM t", 7);
  /* Words alone are no calls. */
  run("CREATE TABLE query (query VARCHAR)");
  run("INSERT INTO query VALUES ('a slow query (5 s)')");
  expect_integer("SELECT count(query) FROM query WHERE query LIKE '%slow query (%'", 1);
}

static void a_locked_file_can_be_written_checkpointed_and_reopened(void **state) {
  (void)state;
  run("CREATE TABLE t AS SELECT range AS a, 'text ' || range AS b FROM range(300000)");
  run("CHECKPOINT");
  run("INSERT INTO t SELECT range, 'more' FROM range(5)");
  engine_session_close(fixture_session);
  engine_close(fixture_engine);
  fixture_engine = open_or_fail(&(struct engine_options){.path = path});
  fixture_session = session_or_fail(fixture_engine);
  expect_integer("SELECT count(*) FROM t", 300005);
}

/* Spilling needs the folder beside the file, which external access must not stop. */
static void a_sort_that_exceeds_the_memory_limit_spills(void **state) {
  (void)state;
  engine_session_close(fixture_session);
  engine_close(fixture_engine);
  fixture_engine = open_or_fail(&(struct engine_options){
      .path = path, .threads = 1, .memory_limit_bytes = (int64_t)64 << 20});
  fixture_session = session_or_fail(fixture_engine);
  run("CREATE TABLE t AS SELECT hash(range)::VARCHAR || repeat('x', 50) AS a FROM range(2000000)");
  expect_integer("SELECT count(*) FROM (SELECT a, row_number() OVER (ORDER BY a) AS n FROM t) "
                 "WHERE n % 1000 = 0",
                 2000);
}

/* ---- opening --------------------------------------------------------------------------- */

static void what_cannot_be_opened_says_why(void **state) {
  (void)state;
  char missing[160], readable[160];
  snprintf(missing, sizeof missing, "%s/no/such/folder.duckdb", folder);
  snprintf(readable, sizeof readable, "%s/missing.duckdb", folder);
  const struct {
    struct engine_options options;
    enum status want;
    const char *text;
  } cases[] = {
      {{.path = secret}, STATUS_INVALID, "not a valid DuckDB database file"},
      {{.path = missing}, STATUS_IO, "No such file or directory"},
      {{.path = folder}, STATUS_IO, folder},
      {{.path = readable, .read_only = true}, STATUS_IO, "missing.duckdb"},
      {{.path = path}, STATUS_CONFLICT, "this process has the database file open already"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct engine *engine;
    struct error error = {0};
    enum status status = engine_open(&cases[i].options, &engine, &error);
    if (status != cases[i].want || strstr(error.text, cases[i].text) == NULL)
      fail_msg("%s: %s %s", cases[i].options.path, status_name(status), error.text);
    assert_null(engine);
  }
}

static void extensions_are_those_inside_or_files(void **state) {
  (void)state;
  char missing[160], other[160], folder_named[160];
  snprintf(missing, sizeof missing, "%s/missing.duckdb_extension", folder);
  snprintf(other, sizeof other, "%s/broken.duckdb_extension", folder);
  snprintf(folder_named, sizeof folder_named, "%s/folder.duckdb_extension", folder);
  assert_int_equal(mkdir(folder_named, 0700), 0);
  FILE *file = fopen(other, "w");
  assert_non_null(file);
  fputs("no extension", file);
  assert_int_equal(fclose(file), 0);
  const struct {
    const char *name;
    enum status checked, opened;
    const char *text;
  } cases[] = {
      {"parquet", STATUS_OK, STATUS_OK, ""},
      {"ICU", STATUS_OK, STATUS_OK, ""},
      {"arrow", STATUS_OK, STATUS_OK, ""},
      {"httpfs", STATUS_NOT_FOUND, STATUS_NOT_FOUND, "no extension 'httpfs' inside DuckDB"},
      {missing, STATUS_NOT_FOUND, STATUS_NOT_FOUND, "missing.duckdb_extension"},
      {secret, STATUS_INVALID, STATUS_INVALID, "its name ends in .duckdb_extension"},
      {folder_named, STATUS_DENIED, STATUS_DENIED, "not a file that can be read"},
      {other, STATUS_OK, STATUS_INVALID, "was not loaded"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    enum status status = engine_extension_check(cases[i].name, &error);
    if (status != cases[i].checked) fail_msg("%s: checked: %s", cases[i].name, error.text);
    struct engine *engine = NULL;
    status = engine_open(
        &(struct engine_options){.extensions = &cases[i].name, .extension_count = 1, .threads = 1},
        &engine, &error);
    if ((status == STATUS_OK) != (cases[i].opened == STATUS_OK) ||
        strstr(error.text, cases[i].text) == NULL)
      fail_msg("%s: %s %s", cases[i].name, status_name(status), error.text);
    engine_close(engine);
  }
}

/* For programs of the user who started them. */
static void with_local_files_sql_reads_and_other_limits_stay(void **state) {
  (void)state;
  engine_session_close(fixture_session);
  engine_close(fixture_engine);
  fixture_engine = open_or_fail(&(struct engine_options){.local_files = true, .threads = 2});
  fixture_session = session_or_fail(fixture_engine);
  char sql[400];
  snprintf(sql, sizeof sql, "SELECT sum(a + b)::BIGINT FROM read_csv('%s')", secret);
  expect_integer(sql, 3);
  snprintf(sql, sizeof sql, "SELECT count(*) FROM '%s'", secret);
  expect_integer(sql, 1);
  struct error error = {0};
  assert_int_equal(run_status("COPY (SELECT 1) TO '/dev/null'", &error), STATUS_DENIED);
  assert_int_equal(run_status("SET threads = 1", &error), STATUS_DENIED);
}

static void a_file_that_another_process_holds_is_a_conflict_that_names_it(void **state) {
  (void)state;
  int ready[2], done[2];
  assert_int_equal(pipe(ready), 0);
  assert_int_equal(pipe(done), 0);
  pid_t child = fork();
  if (child == 0) { /* a process of its own, as locks belong to processes */
    struct engine *engine;
    char byte = engine_open(&(struct engine_options){.path = path}, &engine, NULL) == STATUS_OK;
    if (write(ready[1], &byte, 1) != 1 || read(done[0], &byte, 1) != 1) _exit(1);
    _exit(0);
  }
  char byte = 0;
  assert_int_equal(read(ready[0], &byte, 1), 1);
  assert_int_equal(byte, 1);
  struct engine *engine;
  struct error error = {0};
  enum status status = engine_open(&(struct engine_options){.path = path}, &engine, &error);
  assert_int_equal(write(done[1], &byte, 1), 1);
  waitpid(child, NULL, 0);
  assert_int_equal(status, STATUS_CONFLICT);
  char pid[32];
  snprintf(pid, sizeof pid, "PID %d", (int)child);
  assert_non_null(strstr(error.text, pid));
  assert_null(strstr(error.text, "http"));
}

static void a_read_only_file_answers_and_refuses_to_be_written(void **state) {
  (void)state;
  run("CREATE TABLE t AS SELECT 42::BIGINT AS a");
  engine_session_close(fixture_session);
  engine_close(fixture_engine);
  fixture_engine = open_or_fail(&(struct engine_options){.path = path, .read_only = true});
  fixture_session = session_or_fail(fixture_engine);
  expect_integer("SELECT a FROM t", 42);
  struct error error = {0};
  assert_int_equal(run_status("INSERT INTO t VALUES (1)", &error), STATUS_UNAVAILABLE);
  assert_non_null(strstr(error.text, "read-only"));
}

static void a_database_in_memory_leaves_no_files(void **state) {
  (void)state;
  char before[1024];
  assert_non_null(getcwd(before, sizeof before));
  assert_int_equal(chdir(folder), 0);
  int files = files_in_folder();
  fixture_engine =
      open_or_fail(&(struct engine_options){.memory_limit_bytes = (int64_t)32 << 20, .threads = 1});
  fixture_session = session_or_fail(fixture_engine);
  struct error error = {0};
  assert_int_equal(run_status("CREATE TABLE t AS SELECT hash(range)::VARCHAR || repeat('x', 200) "
                              "AS a FROM range(2000000)",
                              &error),
                   STATUS_BUDGET);
  assert_null(strstr(error.text, "Possible solutions"));
  assert_int_equal(files_in_folder(), files);
  expect_integer("SELECT 1::BIGINT", 1);
  engine_session_close(fixture_session);
  engine_close(fixture_engine);
  assert_int_equal(chdir(before), 0);
}

/* ---- transactions ------------------------------------------------------------------------ */

static void what_is_rolled_back_or_left_open_is_gone(void **state) {
  (void)state;
  struct error error = {0};
  run("CREATE TABLE t (a BIGINT)");
  assert_int_equal(engine_begin(fixture_session, &error), STATUS_OK);
  run("INSERT INTO t VALUES (1)");
  engine_rollback(fixture_session);
  expect_integer("SELECT count(*) FROM t", 0);

  struct engine_session *kept = fixture_session;
  fixture_session = session_or_fail(fixture_engine);
  assert_int_equal(engine_begin(fixture_session, &error), STATUS_OK);
  run("INSERT INTO t VALUES (1)");
  engine_session_close(fixture_session);
  fixture_session = kept;
  expect_integer("SELECT count(*) FROM t", 0);

  assert_int_equal(engine_begin(fixture_session, &error), STATUS_OK);
  run("INSERT INTO t VALUES (1)");
  assert_int_equal(engine_commit(fixture_session, &error), STATUS_OK);
  expect_integer("SELECT count(*) FROM t", 1);
  assert_int_equal(engine_commit(fixture_session, &error), STATUS_INTERNAL);
}

static void two_changes_of_one_row_conflict(void **state) {
  (void)state;
  struct error error = {0};
  run("CREATE TABLE t AS SELECT 1::BIGINT AS a");
  struct engine_session *first = fixture_session;
  struct engine_session *second = session_or_fail(fixture_engine);
  assert_int_equal(engine_begin(first, &error), STATUS_OK);
  run("UPDATE t SET a = 2");
  fixture_session = second;
  assert_int_equal(run_status("UPDATE t SET a = 3", &error), STATUS_CONFLICT);
  fixture_session = first;
  engine_session_close(second);
  assert_int_equal(engine_commit(first, &error), STATUS_OK);
  expect_integer("SELECT a FROM t", 2);
}

/* ---- a full disk --------------------------------------------------------------------------- */

/* Writes to `file` until the disk is full. */
static void fill_up(const char *file) {
  static const char zeros[4096];
  FILE *filler = fopen(file, "w");
  assert_non_null(filler);
  setvbuf(filler, NULL, _IONBF, 0);
  while (fwrite(zeros, 1, sizeof zeros, filler) == sizeof zeros) continue;
  fclose(filler);
}

static void a_full_disk_loses_nothing_and_is_survived(void **state) {
  (void)state;
  char mounted[160], file[200], filler[200];
  snprintf(mounted, sizeof mounted, "%s/small", folder);
  snprintf(file, sizeof file, "%s/data.duckdb", mounted);
  snprintf(filler, sizeof filler, "%s/filler", mounted);
  assert_int_equal(mkdir(mounted, 0700), 0);
  if (mount("tmpfs", mounted, "tmpfs", 0, "size=16m") != 0) {
    print_message("no right to mount a small file system: a full disk was not tried\n");
    return;
  }
  struct engine *kept_engine = fixture_engine;
  struct engine_session *kept_session = fixture_session;
  fixture_engine = open_or_fail(&(struct engine_options){.path = file, .threads = 2});
  fixture_session = session_or_fail(fixture_engine);
  run("CREATE TABLE t AS SELECT 1::BIGINT AS a, 'first' AS b");
  struct error error = {0};
  enum status status =
      run_status("INSERT INTO t SELECT range, md5(range::VARCHAR) FROM range(2000000)", &error);
  if (status != STATUS_IO) fail_msg("%s: %s", status_name(status), error.text);
  assert_non_null(strstr(error.text, "No space left"));
  expect_integer("SELECT count(*) FROM t", 1);
  run("INSERT INTO t VALUES (2, 'second')");
  expect_integer("SELECT count(*) FROM t", 2);

  /* Now not a byte is left when the commit is written. */
  fill_up(filler);
  status = run_status("INSERT INTO t VALUES (4, repeat('x', 100000))", &error);
  if (status != STATUS_IO) fail_msg("%s: %s", status_name(status), error.text);
  assert_non_null(strstr(error.text, "No space left"));
  assert_int_equal(remove(filler), 0);
  run("INSERT INTO t VALUES (8, 'third')");
  engine_session_close(fixture_session);
  engine_close(fixture_engine);
  fixture_engine = open_or_fail(&(struct engine_options){.path = file, .threads = 2});
  fixture_session = session_or_fail(fixture_engine);
  expect_integer("SELECT sum(a)::BIGINT FROM t", 11);
  engine_session_close(fixture_session);
  engine_close(fixture_engine);
  fixture_engine = kept_engine;
  fixture_session = kept_session;
  assert_int_equal(umount(mounted), 0);
}

int main(void) {
#define ON_FILE(test) cmocka_unit_test_setup_teardown(test, file_setup, file_teardown)
  const struct CMUnitTest tests[] = {
      /* before DuckDB has threads in this process, which a fork would not copy */
      cmocka_unit_test_setup_teardown(a_file_that_another_process_holds_is_a_conflict_that_names_it,
                                      folder_setup, folder_teardown),
      ON_FILE(nothing_reaches_out_of_the_database),
      ON_FILE(a_locked_file_can_be_written_checkpointed_and_reopened),
      ON_FILE(a_sort_that_exceeds_the_memory_limit_spills),
      ON_FILE(what_cannot_be_opened_says_why),
      ON_FILE(extensions_are_those_inside_or_files),
      ON_FILE(with_local_files_sql_reads_and_other_limits_stay),
      ON_FILE(a_read_only_file_answers_and_refuses_to_be_written),
      cmocka_unit_test_setup_teardown(a_database_in_memory_leaves_no_files, folder_setup,
                                      folder_teardown),
      ON_FILE(what_is_rolled_back_or_left_open_is_gone),
      ON_FILE(two_changes_of_one_row_conflict),
      ON_FILE(a_full_disk_loses_nothing_and_is_survived),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
