/* What Flight SQL's metadata shows of a database with a lake beside it, and to whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "arrow/schema.h"
#include "ducklake.h"
#include "server/flight_look.h"
#include "source/source.h"

static char folder[64];
static struct engine *engine;
static struct engine_session *session;
static struct budget budget = {.limit_bytes = 1 << 28};
static const struct identity everything = {.name = "all", .scopes = AUTH_READ};

static struct flight_look look_of(const struct identity *who) {
  return (struct flight_look){.engine = engine, .session = session, .who = who, .budget = &budget};
}

static void run(const char *sql) {
  struct engine_result *result = NULL;
  struct error error = {0};
  struct ArrowArray batch = {.release = NULL};
  enum status status =
      engine_query(session, &(struct engine_query){.sql = sql, .own = true}, &result, &error);
  do {
    arrow_array_release(&batch);
    if (status == STATUS_OK) status = engine_result_next(result, &batch, &error);
  } while (status == STATUS_OK && batch.release != NULL);
  engine_result_close(result);
  if (status != STATUS_OK) fail_msg("%s: %s", sql, error.text);
}

static int setup(void **state) {
  (void)state;
  struct error error = {0};
  char path[128];
  const char *extension = ducklake_extension(), *lake = path;
  snprintf(folder, sizeof folder, "/tmp/arrowport-look-XXXXXX");
  if (mkdtemp(folder) == NULL) return 1;
  snprintf(path, sizeof path, "%s/lake.ducklake", folder);
  const struct engine_options options = {.threads = 1,
                                         .extensions = &extension,
                                         .extension_count = 1,
                                         .lakes = &lake,
                                         .lake_count = 1};
  if (engine_open(&options, &engine, &error) != STATUS_OK ||
      engine_session_open(engine, &session, &error) != STATUS_OK) {
    fprintf(stderr, "%s\n", error.text);
    return 1;
  }
  run("CREATE SCHEMA _arrowport; CREATE TABLE _arrowport.tokens (i INTEGER);"
      "CREATE SCHEMA s; CREATE SCHEMA empty;"
      "CREATE TABLE trips (id BIGINT PRIMARY KEY, fare DECIMAL(9,2) NOT NULL, note VARCHAR);"
      "COMMENT ON COLUMN trips.fare IS 'in euro';"
      "CREATE TABLE s.stops (a INTEGER, b INTEGER, name VARCHAR UNIQUE, PRIMARY KEY (b, a));"
      "CREATE TABLE s.Visits (y INTEGER, x INTEGER, n VARCHAR REFERENCES s.STOPS (Name), "
      "FOREIGN KEY (x, y) REFERENCES s.stops (b, a));"
      "CREATE VIEW far AS SELECT id, note FROM trips WHERE fare > 10;"
      "CREATE VIEW s.places AS SELECT name FROM s.stops;"
      "CREATE SEQUENCE numbers;"
      "CREATE TABLE odd (n BIGINT DEFAULT nextval('numbers'), twice BIGINT AS (n * 2), "
      "word VARCHAR DEFAULT 'x', tz TIMETZ, \"a \"\"b\" INTEGER[]);"
      "CREATE TABLE gone (i INTEGER); CREATE VIEW broken AS SELECT i FROM gone; DROP TABLE gone");
  run("CREATE TABLE lake.wells (depth DOUBLE)");
  run("CREATE SCHEMA lake.deep");
  run("CREATE VIEW lake.main.shallow AS SELECT depth FROM lake.main.wells WHERE depth < 1");
  run("CREATE TEMP TABLE scratch (i INTEGER PRIMARY KEY)");
  return 0;
}

static int teardown(void **state) {
  (void)state;
  char command[128];
  engine_session_close(session);
  engine_close(engine);
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return system(command) != 0 || budget.used_bytes != 0;
}

/* ---- rows as text: columns with '|' between them, a line each ------------------------------------ */

static void print_cell(const struct ArrowSchema *field, const struct ArrowArray *column,
                       int64_t row, struct text *out) {
  struct error error;
  const uint8_t *valid = column->buffers[0];
  const int32_t *numbers = column->buffers[1];
  enum status status;
  if (valid != NULL && (valid[row / 8] >> (row % 8) & 1) == 0)
    status = text_add(out, "NULL", &error);
  else if (strcmp(field->format, "u") == 0)
    status = text_add_bytes(out, (const char *)column->buffers[2] + numbers[row],
                            (size_t)(numbers[row + 1] - numbers[row]), &error);
  else if (strcmp(field->format, "C") == 0)
    status = text_add_format(out, &error, "%d", ((const uint8_t *)column->buffers[1])[row]);
  else
    status = text_add_format(out, &error, "%d", numbers[row]);
  assert_int_equal(status, STATUS_OK);
}

static void expect_rows(struct sql_rows *rows, const char *want) {
  struct ArrowSchema schema;
  struct ArrowArray *batches;
  struct error error = {0};
  struct text text = TEXT_EMPTY;
  size_t count;
  assert_int_equal(sql_rows_finish(rows, &schema, &batches, &count, &error), STATUS_OK);
  sql_rows_free(rows);
  for (size_t i = 0; i < count; i++) {
    for (int64_t row = 0; row < batches[i].length; row++)
      for (int64_t column = 0; column < schema.n_children; column++) {
        print_cell(schema.children[column], batches[i].children[column], row, &text);
        assert_int_equal(text_add(&text, column + 1 < schema.n_children ? "|" : "\n", &error),
                         STATUS_OK);
      }
    arrow_array_release(&batches[i]);
  }
  free(batches);
  arrow_schema_release(&schema);
  assert_string_equal(text_get(&text), want);
  text_release(&text);
}

static struct sql_rows *new_rows(enum sql_result result) {
  struct sql_rows *rows;
  struct error error = {0};
  assert_int_equal(sql_rows_new(result, &budget, &rows, &error), STATUS_OK);
  return rows;
}

static void ok(enum status status, const struct error *error) {
  if (status != STATUS_OK) fail_msg("%s", error->text);
}

static void expect_tables(const struct identity *who, const struct look_filter *filter,
                          const char *want) {
  struct error error = {0};
  const struct flight_look look = look_of(who);
  struct sql_rows *rows = new_rows(SQL_RESULT_TABLES);
  ok(look_tables(&look, filter, false, rows, &error), &error);
  expect_rows(rows, want);
}

/* ---- tables ------------------------------------------------------------------------------------- */

static void tables_are_those_that_pass_the_filter(void **state) {
  (void)state;
  char *view[] = {(char *)(uintptr_t) "VIEW"};
  char *both[] = {(char *)(uintptr_t) "nothing", (char *)(uintptr_t) "LOCAL TEMPORARY",
                  (char *)(uintptr_t) "TABLE"};
  const struct {
    struct look_filter filter;
    const char *want;
  } cases[] = {
      {{.catalog = NULL},
       "lake|main|shallow|VIEW\nlake|main|wells|TABLE\n"
       "memory|main|broken|VIEW\nmemory|main|far|VIEW\nmemory|main|odd|TABLE\n"
       "memory|main|trips|TABLE\nmemory|s|Visits|TABLE\nmemory|s|places|VIEW\n"
       "memory|s|stops|TABLE\ntemp|main|scratch|LOCAL TEMPORARY\n"},
      {{.catalog = "LAKE"}, "lake|main|shallow|VIEW\nlake|main|wells|TABLE\n"},
      {{.catalog = ""}, ""},
      {{.catalog = "l%"}, ""}, /* no pattern */
      {{.schema_pattern = "_"},
       "memory|s|Visits|TABLE\nmemory|s|places|VIEW\nmemory|s|stops|TABLE\n"},
      {{.schema_pattern = ""}, ""},
      {{.table_pattern = "%ips"}, "memory|main|trips|TABLE\n"},
      {{.table_pattern = "visit_"}, "memory|s|Visits|TABLE\n"},
      {{.schema_pattern = "main", .types = view, .type_count = 1},
       "lake|main|shallow|VIEW\nmemory|main|broken|VIEW\nmemory|main|far|VIEW\n"},
      {{.table_pattern = "s%", .types = both, .type_count = 3},
       "memory|s|stops|TABLE\ntemp|main|scratch|LOCAL TEMPORARY\n"},
      {{.types = both, .type_count = 1}, ""},
      {{.table_pattern = "tokens"}, ""}, /* of our own schema */
      {{.table_pattern = "ducklake%"}, ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    expect_tables(&everything, &cases[i].filter, cases[i].want);
}

static void only_what_may_be_read_is_shown(void **state) {
  (void)state;
  static const char *const patterns[][2] = {
      {"trips", "far"}, {"s.*", NULL}, {"lake.main.*", NULL}, {"far", "broken"}, {"none", NULL}};
  /* Behind each: one's own temporary table. */
  static const char *const wants[] = {
      "memory|main|far|VIEW\nmemory|main|trips|TABLE\n",
      "memory|s|Visits|TABLE\nmemory|s|places|VIEW\nmemory|s|stops|TABLE\n",
      "lake|main|wells|TABLE\n", /* a lake's view may read what its reader must not */
      "",                        /* the view alone does not let anybody read its table */
      "",
  };
  for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++) {
    const struct identity who = {.name = "some",
                                 .scopes = AUTH_READ,
                                 .tables = patterns[i],
                                 .table_count = patterns[i][1] == NULL ? 1 : 2};
    char want[300];
    snprintf(want, sizeof want, "%stemp|main|scratch|LOCAL TEMPORARY\n", wants[i]);
    expect_tables(&who, &(struct look_filter){.catalog = NULL}, want);
  }
}

static void catalogs_and_schemas_are_those_of_the_tables(void **state) {
  (void)state;
  static const char *const of_s[] = {"s.*"}, *const of_lake[] = {"lake.main.*"};
  const struct identity who[] = {
      everything,
      {.name = "s", .scopes = AUTH_READ, .tables = of_s, .table_count = 1},
      {.name = "lake", .scopes = AUTH_READ, .tables = of_lake, .table_count = 1},
  };
  static const char *const catalogs[] = {"lake\nmemory\ntemp\n", "memory\ntemp\n",
                                         "lake\nmemory\ntemp\n"};
  static const char *const schemas[] = {
      "lake|deep\nlake|main\nmemory|empty\nmemory|main\nmemory|s\ntemp|main\n",
      "memory|s\ntemp|main\n", "lake|main\ntemp|main\n"};
  for (int i = 0; i < 3; i++) {
    struct error error = {0};
    const struct flight_look look = look_of(&who[i]);
    struct sql_rows *rows = new_rows(SQL_RESULT_CATALOGS);
    ok(look_catalogs(&look, rows, &error), &error);
    expect_rows(rows, catalogs[i]);
    rows = new_rows(SQL_RESULT_DB_SCHEMAS);
    ok(look_schemas(&look, NULL, NULL, rows, &error), &error);
    expect_rows(rows, schemas[i]);
  }
  static const struct {
    const char *catalog, *pattern, *want;
  } cases[] = {{"lake", NULL, "lake|deep\nlake|main\n"},
               {NULL, "m%", "lake|main\nmemory|main\ntemp|main\n"},
               {"memory", "e____", "memory|empty\n"},
               {"", NULL, ""},
               {NULL, "", ""},
               {"system", NULL, ""}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    const struct flight_look look = look_of(&everything);
    struct sql_rows *rows = new_rows(SQL_RESULT_DB_SCHEMAS);
    ok(look_schemas(&look, cases[i].catalog, cases[i].pattern, rows, &error), &error);
    expect_rows(rows, cases[i].want);
  }
}

static void temporary_tables_are_the_sessions_own(void **state) {
  (void)state;
  struct error error = {0};
  struct engine_session *kept = session;
  ok(engine_session_open(engine, &session, &error), &error);
  expect_tables(&everything, &(struct look_filter){.catalog = "temp"}, "");
  const struct flight_look look = look_of(&everything);
  struct sql_rows *rows = new_rows(SQL_RESULT_CATALOGS);
  ok(look_catalogs(&look, rows, &error), &error);
  expect_rows(rows, "lake\nmemory\n");
  engine_session_close(session);
  session = kept;
}

/* ---- schemas of tables ----------------------------------------------------------------------------- */

static const char *metadata_of(const struct ArrowSchema *field, const char *name) {
  static char value[200];
  char key[100];
  const char *at = field->metadata;
  int32_t count, bytes;
  if (at == NULL) return "none";
  snprintf(key, sizeof key, "ARROW:FLIGHT:SQL:%s", name);
  memcpy(&count, at, 4);
  at += 4;
  value[0] = '\0';
  for (int32_t i = 0; i < count; i++) {
    memcpy(&bytes, at, 4);
    bool is = strncmp(at + 4, key, (size_t)bytes) == 0 && strlen(key) == (size_t)bytes;
    at += 4 + bytes;
    memcpy(&bytes, at, 4);
    if (is) snprintf(value, sizeof value, "%.*s", (int)bytes, at + 4);
    at += 4 + bytes;
  }
  return value;
}

/* Reads the schema message of the only table that the pattern matches. */
static struct ArrowSchema schema_of(const char *catalog, const char *table) {
  struct error error = {0};
  struct ArrowSchema schema, made;
  struct ArrowArray *batches;
  size_t count;
  const struct flight_look look = look_of(&everything);
  struct sql_rows *rows = new_rows(SQL_RESULT_TABLES_WITH_SCHEMA);
  ok(look_tables(&look, &(struct look_filter){.catalog = catalog, .table_pattern = table}, true,
                 rows, &error),
     &error);
  ok(sql_rows_finish(rows, &schema, &batches, &count, &error), &error);
  sql_rows_free(rows);
  assert_int_equal(count, 1);
  assert_int_equal(batches[0].length, 1);
  const int32_t *offsets = batches[0].children[4]->buffers[1];
  struct source *source;
  struct source_options options = SOURCE_OPTIONS_DEFAULT(&budget);
  struct buffer message = BUFFER_EMPTY;
  options.eos_optional = true;
  ok(buffer_append(&message, &budget, batches[0].children[4]->buffers[2], offsets[1], &error),
     &error);
  ok(source_open_buffer(message, &options, &source, &error), &error);
  ok(arrow_schema_copy(source_schema(source), &made, &error), &error);
  source_close(source);
  arrow_array_release(&batches[0]);
  free(batches);
  arrow_schema_release(&schema);
  return made;
}

static void schemas_of_tables_are_what_a_select_gives(void **state) {
  (void)state;
  static const struct {
    const char *catalog, *table;
    int64_t fields;
    struct {
      const char *name, *format,
          *said; /* nullable|type|precision|scale|auto|case|read only|remarks */
    } want[5];
  } cases[] = {
      {"memory",
       "trips",
       3,
       {{"id", "l", "0|BIGINT|19|0|0|0|0|"},
        {"fare", "d:9,2", "0|DECIMAL(9,2)|9|2|0|0|0|in euro"},
        {"note", "u", "1|VARCHAR|2147483647||0|1|0|"}}},
      {"memory",
       "odd",
       5,
       {{"n", "l", "1|BIGINT|19|0|1|0|0|"},
        {"twice", "l", "1|BIGINT|19|0|0|0|1|"},
        {"word", "u", "1|VARCHAR|2147483647||0|1|0|"},
        {"tz", "u", "1|TIME WITH TIME ZONE|||0|0|0|"}, /* cast, as the refusal says */
        {"a \"b", "+l", "1|INTEGER[]|||0|0|0|"}}},
      {"memory",
       "far",
       2,
       {{"id", "l", "1|BIGINT|19|0|0|0|1|"}, {"note", "u", "1|VARCHAR|2147483647||0|1|1|"}}},
      {"lake", "wells", 1, {{"depth", "g", "1|DOUBLE|53||0|0|0|"}}},
      {"lake", "shallow", 1, {{"depth", "g", "1|DOUBLE|53||0|0|1|"}}},
      {"temp", "scratch", 1, {{"i", "i", "0|INTEGER|10|0|0|0|0|"}}},
      {"memory", "broken", 0, {{NULL, NULL, NULL}}},
  };
  static const char *const keys[] = {
      "TYPE_NAME",         "PRECISION",    "SCALE",  "IS_AUTO_INCREMENT",
      "IS_CASE_SENSITIVE", "IS_READ_ONLY", "REMARKS"};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema schema = schema_of(cases[i].catalog, cases[i].table);
    assert_int_equal(schema.n_children, cases[i].fields);
    for (int64_t k = 0; k < schema.n_children; k++) {
      const struct ArrowSchema *field = schema.children[k];
      struct text said = TEXT_EMPTY;
      struct error error;
      assert_string_equal(field->name, cases[i].want[k].name);
      assert_string_equal(field->format, cases[i].want[k].format);
      ok(text_add(&said, field->flags & ARROW_FLAG_NULLABLE ? "1" : "0", &error), &error);
      for (int key = 0; key < 7; key++)
        ok(text_add_format(&said, &error, "|%s", metadata_of(field, keys[key])), &error);
      assert_string_equal(text_get(&said), cases[i].want[k].said);
      assert_string_equal(metadata_of(field, "TABLE_NAME"), cases[i].table);
      assert_string_equal(metadata_of(field, "CATALOG_NAME"), cases[i].catalog);
      assert_string_equal(metadata_of(field, "DB_SCHEMA_NAME"), "main");
      text_release(&said);
    }
    arrow_schema_release(&schema);
  }
}

/* ---- keys ------------------------------------------------------------------------------------------ */

static void primary_keys_are_in_their_order(void **state) {
  (void)state;
  static const struct {
    struct look_key_table table;
    const char *want;
  } cases[] = {
      {{NULL, NULL, "stops"},
       "memory|s|stops|b|stops_b_a_pkey|1\nmemory|s|stops|a|stops_b_a_pkey|2\n"},
      {{"MEMORY", "S", "STOPS"},
       "memory|s|stops|b|stops_b_a_pkey|1\nmemory|s|stops|a|stops_b_a_pkey|2\n"},
      {{NULL, "main", "stops"}, ""},
      {{"", NULL, "stops"}, ""},
      {{NULL, "", "stops"}, ""},
      {{NULL, NULL, "sto%"}, ""},
      {{NULL, NULL, ""}, ""},
      {{NULL, NULL, "'; DROP TABLE trips; --"}, ""},
      {{"temp", NULL, "scratch"}, "temp|main|scratch|i|scratch_i_pkey|1\n"},
      {{NULL, NULL, "wells"}, ""},
      {{NULL, NULL, "none"}, ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    const struct flight_look look = look_of(&everything);
    struct sql_rows *rows = new_rows(SQL_RESULT_PRIMARY_KEYS);
    ok(look_primary_keys(&look, &cases[i].table, rows, &error), &error);
    expect_rows(rows, cases[i].want);
  }
  static const char *const trips[] = {"trips"};
  const struct identity who = {
      .name = "some", .scopes = AUTH_READ, .tables = trips, .table_count = 1};
  struct error error = {0};
  const struct flight_look look = look_of(&who);
  struct sql_rows *rows = new_rows(SQL_RESULT_PRIMARY_KEYS);
  ok(look_primary_keys(&look, &cases[0].table, rows, &error), &error);
  expect_rows(rows, "");
}

#define TWO                                                                                        \
  "memory|s|stops|b|memory|s|Visits|x|1|Visits_x_y_b_a_fkey|stops_b_a_pkey|3|3\n"                  \
  "memory|s|stops|a|memory|s|Visits|y|2|Visits_x_y_b_a_fkey|stops_b_a_pkey|3|3\n"

static void foreign_keys_are_found_from_both_sides(void **state) {
  (void)state;
  static const struct {
    struct look_key_table primary, foreign;
    bool all;
  } cases[] = {
      {{NULL, NULL, "stops"}, {NULL, NULL, NULL}, true},
      {{NULL, NULL, NULL}, {NULL, NULL, "visits"}, true},
      {{"memory", "s", "stops"}, {"memory", "s", "Visits"}, true},
      {{NULL, NULL, "visits"}, {NULL, NULL, NULL}, false},
      {{NULL, NULL, NULL}, {NULL, NULL, "stops"}, false},
      {{NULL, NULL, "stops"}, {NULL, "main", "visits"}, false},
      {{"", NULL, "stops"}, {NULL, NULL, NULL}, false},
      {{NULL, NULL, "stops"}, {NULL, NULL, "trips"}, false},
  };
  static const char one[] =
      "memory|s|stops|name|memory|s|Visits|n|1|Visits_n_name_fkey|stops_name_key|3|3\n";
  char want[1000];
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (int by_foreign = 0; by_foreign < 2; by_foreign++) {
      struct error error = {0};
      const struct flight_look look = look_of(&everything);
      struct sql_rows *rows = new_rows(SQL_RESULT_FOREIGN_KEYS);
      /* By key: Visits_n.. before Visits_x.., stops_b.. before stops_n.. */
      snprintf(want, sizeof want, "%s%s", by_foreign ? one : TWO, by_foreign ? TWO : one);
      ok(look_foreign_keys(&look, &cases[i].primary, &cases[i].foreign, by_foreign, rows, &error),
         &error);
      expect_rows(rows, cases[i].all ? want : "");
    }
  /* Who may not read one of the tables is not told of it by the other. */
  static const char *const visits[] = {"s.Visits"};
  const struct identity who = {
      .name = "some", .scopes = AUTH_READ, .tables = visits, .table_count = 1};
  struct error error = {0};
  const struct flight_look look = look_of(&who);
  struct sql_rows *rows = new_rows(SQL_RESULT_FOREIGN_KEYS);
  ok(look_foreign_keys(&look, &(struct look_key_table){.table = NULL},
                       &(struct look_key_table){.table = "Visits"}, false, rows, &error),
     &error);
  expect_rows(rows, "");
}

/* ---- lists and memory -------------------------------------------------------------------------------- */

static void lists_are_read(void **state) {
  (void)state;
  for (int list = 0; list < SQL_INFO_LISTS; list++) {
    struct sql_info_strings strings;
    struct error error = {0};
    const struct flight_look look = look_of(&everything);
    ok(look_strings(&look, (enum sql_info_list)list, &strings, &error), &error);
    assert_true(strings.count > 10);
    for (size_t i = 1; i < strings.count; i++)
      assert_true(strcmp(strings.items[i - 1], strings.items[i]) < 0);
    look_strings_release(&strings);
  }
}

static void no_memory_is_told(void **state) {
  (void)state;
  enum status status = STATUS_BUDGET;
  for (int64_t limit = 0; limit < 1 << 22 && status != STATUS_OK; limit += 4096) {
    struct budget small = {.limit_bytes = limit};
    struct sql_rows *rows = NULL;
    struct error error = {0};
    struct flight_look look = look_of(&everything);
    look.budget = &small;
    status = sql_rows_new(SQL_RESULT_TABLES_WITH_SCHEMA, &small, &rows, &error);
    if (status == STATUS_OK)
      status = look_tables(&look, &(struct look_filter){.catalog = NULL}, true, rows, &error);
    if (status != STATUS_OK && status != STATUS_BUDGET) fail_msg("%s", error.text);
    sql_rows_free(rows);
    assert_int_equal(small.used_bytes, 0);
  }
  assert_int_equal(status, STATUS_OK);
}

int main(void) {
  if (ducklake_extension() == NULL) return 0;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tables_are_those_that_pass_the_filter),
      cmocka_unit_test(only_what_may_be_read_is_shown),
      cmocka_unit_test(catalogs_and_schemas_are_those_of_the_tables),
      cmocka_unit_test(temporary_tables_are_the_sessions_own),
      cmocka_unit_test(schemas_of_tables_are_what_a_select_gives),
      cmocka_unit_test(primary_keys_are_in_their_order),
      cmocka_unit_test(foreign_keys_are_found_from_both_sides),
      cmocka_unit_test(lists_are_read),
      cmocka_unit_test(no_memory_is_told),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
