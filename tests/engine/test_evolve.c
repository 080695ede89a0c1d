/* A table that follows its data: what is added, widened and refused, and that nothing that is there
 * changes. The table of widenings in docs/internals/schema-evolution.md is made from the cases here:
 * ARROWPORT_UPDATE_DOCS=1 in the environment writes it anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "evolving.h"

#define DOCUMENT ARROWPORT_TEST_DATA "/../../docs/internals/schema-evolution.md"

/* ---- schemas and plans ------------------------------------------------------------------ */

/* A field v of one type: a format of the C data interface behind ':', or a type of DuckDB's. */
static struct ArrowSchema schema_of_type(const char *type) {
  if (type[0] == ':') return schema_of((struct field[]){{"v", type + 1}}, 1);
  char sql[512];
  snprintf(sql, sizeof sql, "SELECT CAST(NULL AS %s) AS v", type);
  return schema_by_sql(sql);
}

static enum status plan(const char *table, const struct ArrowSchema *schema, const char *operation,
                        struct engine_evolution *evolution, struct error *error) {
  struct table_name name = table_named(table);
  return engine_evolution_plan(fixture_session, &name, schema, operation, evolution, error);
}

/* Plans and applies in a transaction; what the changes said is in `changes`, if given. */
static enum status evolve(const char *table, const struct ArrowSchema *schema, struct text *changes,
                          struct error *error) {
  struct engine_evolution evolution = {0};
  ok(engine_begin(fixture_session, error), error);
  enum status status = plan(table, schema, NULL, &evolution, error);
  if (status == STATUS_OK) status = engine_evolution_apply(fixture_session, &evolution, error);
  if (status == STATUS_OK && changes != NULL)
    ok(text_add(changes, text_get(&evolution.changes), error), error);
  if (status == STATUS_OK)
    status = engine_commit(fixture_session, error);
  else
    engine_rollback(fixture_session);
  engine_evolution_release(&evolution);
  return status;
}

static void expect_evolved(const char *table, const char *select, const char *changes) {
  struct ArrowSchema schema = schema_by_sql(select);
  struct text said = TEXT_EMPTY;
  struct error error = {0};
  if (evolve(table, &schema, &said, &error) != STATUS_OK) fail_msg("%s: %s", select, error.text);
  assert_string_equal(text_get(&said), changes);
  arrow_schema_release(&schema);
  text_release(&said);
}

static void expect_refused(const char *table, const char *select, enum status want,
                           const char *why) {
  struct ArrowSchema schema = schema_by_sql(select);
  struct error error = {0};
  enum status status = evolve(table, &schema, NULL, &error);
  if (status != want || strstr(error.text, why) == NULL)
    fail_msg("%s into %s: %s %s\nnot %s ...%s", select, table, status_name(status), error.text,
             status_name(want), why);
  arrow_schema_release(&schema);
}

/* Does a field of that type land in the column v? */
static enum status fits(const char *type, struct error *error) {
  struct ArrowSchema schema = schema_of_type(type);
  struct table_name name = table_named("t");
  struct engine_insert *insert = NULL;
  enum status status = engine_insert_open(fixture_session, &name, &schema, &insert, error);
  engine_insert_close(insert);
  arrow_schema_release(&schema);
  return status;
}

/* ---- widening ----------------------------------------------------------------------------- */

#define HUGE_REASON "only HUGEINT holds both"
#define KIND_REASON "no type of the column's kind holds both"
#define NANO_REASON "TIMESTAMP_NS holds the years 1677 to 2262 only"

/* The column's type, the field's, what the column becomes (NULL: refused; "" nothing changes), the
 * column's values as SQL and as text before and after; for a refusal the reason. */
static const struct widening {
  const char *column, *field, *becomes, *values, *before, *after;
} widenings[] = {
    {"TINYINT", "TINYINT", "", "(-128),(127)", "-128 127", "-128 127"},
    {"TINYINT", "SMALLINT", "SMALLINT", "(-128),(127)", "-128 127", "-128 127"},
    {"TINYINT", "BIGINT", "BIGINT", "(-128),(127)", "-128 127", "-128 127"},
    {"TINYINT", "UTINYINT", "SMALLINT", "(-128),(127)", "-128 127", "-128 127"},
    {"SMALLINT", "USMALLINT", "INTEGER", "(-32768),(32767)", "-32768 32767", "-32768 32767"},
    {"INTEGER", "BIGINT", "BIGINT", "(-2147483648),(2147483647)", "-2147483648 2147483647",
     "-2147483648 2147483647"},
    {"INTEGER", "UINTEGER", "BIGINT", "(-2147483648),(2147483647)", "-2147483648 2147483647",
     "-2147483648 2147483647"},
    {"INTEGER", "USMALLINT", "", "(-2147483648)", "-2147483648", "-2147483648"},
    {"INTEGER", "UBIGINT", NULL, "(-2147483648)", "-2147483648", HUGE_REASON},
    {"BIGINT", "UBIGINT", NULL, "(-9223372036854775808)", "-9223372036854775808", HUGE_REASON},
    {"BIGINT", "INTEGER", "", "(9223372036854775807)", "9223372036854775807",
     "9223372036854775807"},
    {"HUGEINT", "UBIGINT", "", "(1)", "1", "1"},
    {"UHUGEINT", "TINYINT", NULL, "(1)", "1", KIND_REASON},
    {"UTINYINT", "TINYINT", "SMALLINT", "(0),(255)", "0 255", "0 255"},
    {"UTINYINT", "UINTEGER", "UINTEGER", "(0),(255)", "0 255", "0 255"},
    {"USMALLINT", "TINYINT", "INTEGER", "(0),(65535)", "0 65535", "0 65535"},
    {"UINTEGER", "TINYINT", "BIGINT", "(0),(4294967295)", "0 4294967295", "0 4294967295"},
    {"UINTEGER", "UBIGINT", "UBIGINT", "(0),(4294967295)", "0 4294967295", "0 4294967295"},
    {"UBIGINT", "TINYINT", NULL, "(18446744073709551615)", "18446744073709551615", HUGE_REASON},
    {"INTEGER", "DOUBLE", NULL, "(1)", "1", KIND_REASON},
    {"INTEGER", "FLOAT", NULL, "(1)", "1", KIND_REASON},
    {"INTEGER", "DECIMAL(18,2)", NULL, "(1)", "1", KIND_REASON},
    {"INTEGER", "VARCHAR", NULL, "(1)", "1", KIND_REASON},
    {"INTEGER", "BOOLEAN", NULL, "(1)", "1", KIND_REASON},
    {"BOOLEAN", "TINYINT", NULL, "(true)", "true", KIND_REASON},
    {"FLOAT", "DOUBLE", "DOUBLE", "(0.1),('-0'),('nan'),('-inf'),(3.4028235e38),(1e-45)",
     "0.1 -0.0 nan -inf 3.4028235e+38 1e-45",
     "0.10000000149011612 -0.0 nan -inf 3.4028234663852886e+38 1.401298464324817e-45"},
    {"FLOAT", ":e", "", "(0.1)", "0.1", "0.1"},
    {"FLOAT", "SMALLINT", "", "(0.1)", "0.1", "0.1"},
    {"FLOAT", "INTEGER", "DOUBLE", "(0.5)", "0.5", "0.5"},
    {"FLOAT", "BIGINT", NULL, "(0.5)", "0.5", KIND_REASON},
    {"DOUBLE", "FLOAT", "", "(0.1)", "0.1", "0.1"},
    {"DOUBLE", "BIGINT", NULL, "(0.1)", "0.1", KIND_REASON},
    {"DOUBLE", "DECIMAL(18,2)", NULL, "(0.1)", "0.1", KIND_REASON},
    {"DECIMAL(4,1)", "DECIMAL(9,3)", "DECIMAL(9,3)", "(999.9),(-999.9)", "999.9 -999.9",
     "999.900 -999.900"},
    {"DECIMAL(9,0)", "DECIMAL(9,9)", "DECIMAL(18,9)", "(999999999),(-999999999)",
     "999999999 -999999999", "999999999.000000000 -999999999.000000000"},
    {"DECIMAL(18,9)", "DECIMAL(38,20)", "DECIMAL(38,20)", "(-999999999.999999999)",
     "-999999999.999999999", "-999999999.99999999900000000000"},
    {"DECIMAL(38,2)", "DECIMAL(10,4)", NULL, "(0.01)", "0.01", "a DECIMAL of 38 digits"},
    {"DECIMAL(18,2)", "DECIMAL(4,1)", "", "(0.01)", "0.01", "0.01"},
    {"DECIMAL(5,2)", "INTEGER", "DECIMAL(12,2)", "(999.99),(-999.99)", "999.99 -999.99",
     "999.99 -999.99"},
    {"DECIMAL(38,20)", "BIGINT", NULL, "(1.5)", "1.50000000000000000000", "a DECIMAL of 38 digits"},
    {"DECIMAL(5,2)", "DOUBLE", NULL, "(1.5)", "1.50", KIND_REASON},
    {"TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_MS",
     "('290309-12-22 (BC) 00:00:00'),('294247-01-10 04:00:54'),('infinity')",
     "290309-12-22 (BC) 00:00:00 294247-01-10 04:00:54 infinity",
     "290309-12-22 (BC) 00:00:00 294247-01-10 04:00:54 infinity"},
    {"TIMESTAMP_S", "TIMESTAMP", "TIMESTAMP",
     "('290309-12-22 (BC) 00:00:00'),('294247-01-10 04:00:54'),('-infinity')",
     "290309-12-22 (BC) 00:00:00 294247-01-10 04:00:54 -infinity",
     "290309-12-22 (BC) 00:00:00 294247-01-10 04:00:54 -infinity"},
    {"TIMESTAMP_MS", "TIMESTAMP", "TIMESTAMP",
     "('290309-12-22 (BC) 00:00:00.001'),('294247-01-10 04:00:54.774')",
     "290309-12-22 (BC) 00:00:00.001 294247-01-10 04:00:54.774",
     "290309-12-22 (BC) 00:00:00.001 294247-01-10 04:00:54.774"},
    {"TIMESTAMP", "TIMESTAMP_S", "", "('2020-01-01')", "2020-01-01 00:00:00",
     "2020-01-01 00:00:00"},
    {"TIMESTAMP", "TIMESTAMP_NS", NULL, "('2020-01-01')", "2020-01-01 00:00:00", NANO_REASON},
    {"TIMESTAMP_NS", "TIMESTAMP", NULL, "('2020-01-01')", "2020-01-01 00:00:00", NANO_REASON},
    {"TIMESTAMP", "TIMESTAMP WITH TIME ZONE", NULL, "('2020-01-01')", "2020-01-01 00:00:00",
     KIND_REASON},
    {"DATE", "TIMESTAMP", NULL, "('2020-01-01')", "2020-01-01", KIND_REASON},
    {"TIME", "TIME_NS", NULL, "('23:59:59.999999')", "23:59:59.999999",
     "DuckDB does not turn TIME into TIME_NS"},
    {"VARCHAR", "BLOB", NULL, "('a')", "a", KIND_REASON},
    {"BLOB", "VARCHAR", NULL, "('a')", "a", KIND_REASON},
    {"VARCHAR", "INTEGER", NULL, "('1')", "1", KIND_REASON},
    {"UUID", "VARCHAR", NULL, "('00000000-0000-0000-0000-000000000001')",
     "00000000-0000-0000-0000-000000000001", KIND_REASON},
    {"VARCHAR", ":n", "", "('a')", "a", "a"},
    {"INTEGER[]", "BIGINT[]", "BIGINT[]", "([1, NULL]),([])", "[1, NULL] []", "[1, NULL] []"},
    {"FLOAT[2]", "DOUBLE[2]", "DOUBLE[2]", "([1.5, NULL])", "[1.5, NULL]", "[1.5, NULL]"},
    {"FLOAT[2]", "DOUBLE[3]", NULL, "([1.5, NULL])", "[1.5, NULL]", "lists of a fixed size"},
    {"INTEGER[]", "BIGINT", NULL, "([1])", "[1]", KIND_REASON},
    {"INTEGER", "INTEGER[]", NULL, "(1)", "1", KIND_REASON},
    {"MAP(VARCHAR, TINYINT)", "MAP(VARCHAR, INTEGER)", "MAP(VARCHAR, INTEGER)",
     "(MAP {'a': 1, 'b': NULL}),(MAP {})", "{a=1, b=NULL} {}", "{a=1, b=NULL} {}"},
    {"STRUCT(a INTEGER, b STRUCT(c FLOAT)[])", "STRUCT(a TINYINT, b STRUCT(c DOUBLE)[])",
     "STRUCT(a INTEGER, b STRUCT(c DOUBLE)[])", "({'a': 7, 'b': [{'c': 1.5}, NULL]})",
     "{'a': 7, 'b': [{'c': 1.5}, NULL]}", "{'a': 7, 'b': [{'c': 1.5}, NULL]}"},
    {"STRUCT(a INTEGER)", "STRUCT(a INTEGER, b VARCHAR)", NULL, "({'a': 7})", "{'a': 7}",
     "nothing is added inside a STRUCT"},
    {"STRUCT(a INTEGER)", "STRUCT(b INTEGER)", NULL, "({'a': 7})", "{'a': 7}",
     "nothing is added inside a STRUCT"},
    {"STRUCT(a INTEGER, e ENUM('x'))", "STRUCT(a BIGINT, e VARCHAR)", NULL, "({'a': 7, 'e': 'x'})",
     "{'a': 7, 'e': x}", "made or named by hand"},
    {"STRUCT(a INTEGER, j JSON)", "STRUCT(a BIGINT, j VARCHAR)", NULL, "({'a': 7, 'j': '1'})",
     "{'a': 7, 'j': 1}", "made or named by hand"},
};

enum { WIDENING_COUNT = sizeof widenings / sizeof widenings[0] };

static void set_up_column(const struct widening *widening) {
  char sql[1024];
  snprintf(sql, sizeof sql, "CREATE OR REPLACE TABLE t (v %s)", widening->column);
  run(sql);
  snprintf(sql, sizeof sql, "INSERT INTO t VALUES %s, (NULL)", widening->values);
  run(sql);
  expect_text("SELECT string_agg(v::VARCHAR, ' ' ORDER BY rowid) FROM t", widening->before);
}

static void columns_widen_to_what_holds_both_or_not_at_all(void **state) {
  (void)state;
  for (int i = 0; i < WIDENING_COUNT; i++) {
    const struct widening *widening = &widenings[i];
    bool refused = widening->becomes == NULL;
    struct error error = {0};
    set_up_column(widening);
    struct ArrowSchema schema = schema_of_type(widening->field);
    struct text changes = TEXT_EMPTY;
    enum status status = evolve("t", &schema, &changes, &error);
    arrow_schema_release(&schema);
    if (status != (refused ? STATUS_SCHEMA : STATUS_OK))
      fail_msg("%s, %s: %s %s", widening->column, widening->field, status_name(status), error.text);
    if (refused && (strstr(error.text, widening->after) == NULL ||
                    strstr(error.text, "table t: its column \"v\" is ") != error.text))
      fail_msg("%s, %s: %s", widening->column, widening->field, error.text);
    bool same = refused || widening->becomes[0] == '\0';
    assert_int_equal(changes.size_bytes == 0, same);
    text_release(&changes);
    /* The column, its values and its NULL, and that both kinds of producers are welcome. */
    char sql[256];
    snprintf(sql, sizeof sql, "SELECT typeof(CAST(NULL AS %s))",
             same ? widening->column : widening->becomes);
    struct error ignored = {0};
    expect_text("SELECT string_agg(v::VARCHAR, ' ' ORDER BY rowid) FROM t",
                refused ? widening->before : widening->after);
    expect_integer("SELECT count(*) FROM t WHERE v IS NULL", 1);
    char equal[512];
    snprintf(equal, sizeof equal, "SELECT count(*) FROM (DESCRIBE t) WHERE column_type = (%s)",
             sql);
    expect_integer(equal, 1);
    if (refused) continue;
    if (fits(widening->field, &error) != STATUS_OK) fail_msg("%s", error.text);
    bool has_arrow = strstr(widening->column, "HUGEINT") == NULL;
    if (has_arrow && fits(widening->column, &ignored) != STATUS_OK)
      fail_msg("%s, %s: the old type lands no more: %s", widening->column, widening->field,
               ignored.text);
  }
}

/* ---- the document ------------------------------------------------------------------------- */

static void read_file(const char *path, struct text *out) {
  FILE *file = fopen(path, "r");
  if (file == NULL) fail_msg("%s cannot be opened", path);
  char piece[4096];
  size_t bytes;
  while ((bytes = fread(piece, 1, sizeof piece, file)) > 0)
    assert_int_equal(text_add_bytes(out, piece, bytes, NULL), STATUS_OK);
  fclose(file);
}

static void the_document_says_what_is_tested(void **state) {
  (void)state;
  static const char begin[] = "<!-- widening -->\n", end[] = "<!-- end of widening -->";
  struct text document = TEXT_EMPTY, made = TEXT_EMPTY;
  struct error error = {0};
  read_file(DOCUMENT, &document);
  const char *from = strstr(document.data, begin), *to = strstr(document.data, end);
  if (from == NULL || to == NULL) fail_msg("%s lacks its marks", DOCUMENT);
  size_t head = (size_t)(from - document.data) + strlen(begin);
  ok(text_add_bytes(&made, document.data, head, &error), &error);
  ok(text_add(&made, "| column | rows of | becomes |\n|---|---|---|\n", &error), &error);
  for (int i = 0; i < WIDENING_COUNT; i++) {
    struct ArrowSchema schema = schema_of_type(widenings[i].field);
    struct text arrow = TEXT_EMPTY;
    const char *becomes = widenings[i].becomes;
    ok(arrow_type_print(schema.children[0], &arrow, &error), &error);
    ok(text_add_format(&made, &error, "| `%s` | `%s` | %s%s%s |\n", widenings[i].column,
                       text_get(&arrow),
                       becomes == NULL      ? "**refused**: "
                       : becomes[0] == '\0' ? ""
                                            : "`",
                       becomes == NULL      ? widenings[i].after
                       : becomes[0] == '\0' ? "holds them already"
                                            : becomes,
                       becomes == NULL || becomes[0] == '\0' ? "" : "`"),
       &error);
    text_release(&arrow);
    arrow_schema_release(&schema);
  }
  ok(text_add(&made, to, &error), &error);
  if (getenv("ARROWPORT_UPDATE_DOCS") != NULL) {
    FILE *file = fopen(DOCUMENT, "w");
    assert_non_null(file);
    assert_true(fputs(made.data, file) >= 0);
    assert_int_equal(fclose(file), 0);
  } else if (strcmp(document.data, made.data) != 0) {
    fail_msg("docs/internals/schema-evolution.md is stale: run this test with "
             "ARROWPORT_UPDATE_DOCS=1");
  }
  text_release(&document);
  text_release(&made);
}

/* ---- adding --------------------------------------------------------------------------------- */

static void columns_that_lack_are_added_and_may_be_null(void **state) {
  (void)state;
  run("CREATE TABLE t AS SELECT range::INTEGER AS k FROM range(3)");
  struct ArrowSchema schema;
  struct error error = {0};
  ok(arrow_schema_init(&schema, "+s", "", false, 3, &error), &error);
  ok(arrow_schema_init(schema.children[0], "u", "gate", false, 0, &error), &error); /* not null */
  ok(arrow_schema_init(schema.children[1], "i", "K", true, 0, &error), &error);
  ok(arrow_schema_init(schema.children[2], "d:9,2", "Price", true, 0, &error), &error);
  struct text changes = TEXT_EMPTY;
  ok(evolve("t", &schema, &changes, &error), &error);
  assert_string_equal(text_get(&changes),
                      "added column \"gate\" VARCHAR\nadded column \"Price\" DECIMAL(9,2)\n");
  expect_text("SELECT string_agg(column_name || ' ' || column_type || ' ' || \"null\", ', ') "
              "FROM (DESCRIBE t)",
              "k INTEGER YES, gate VARCHAR YES, Price DECIMAL(9,2) YES");
  expect_integer("SELECT count(*) FROM t WHERE k < 3 AND gate IS NULL AND Price IS NULL", 3);
  text_clear(&changes);
  ok(evolve("t", &schema, &changes, &error), &error); /* nothing is left to do */
  assert_string_equal(text_get(&changes), "");
  text_release(&changes);
  arrow_schema_release(&schema);
  expect_evolved("t", "SELECT 1::BIGINT AS K, [{'a b': 1}] AS n",
                 "widened column \"k\" from INTEGER to BIGINT\n"
                 "added column \"n\" STRUCT(\"a b\" INTEGER)[]\n");
}

static void the_operation_is_no_column(void **state) {
  (void)state;
  run("CREATE TABLE t (k INTEGER)");
  struct ArrowSchema schema = schema_by_sql("SELECT 1 AS k, 'd' AS _op, 2 AS n");
  struct engine_evolution evolution = {0};
  struct error error = {0};
  ok(plan("t", &schema, "_OP", &evolution, &error), &error);
  assert_string_equal(text_get(&evolution.changes), "added column \"n\" INTEGER\n");
  engine_evolution_release(&evolution);
  arrow_schema_release(&schema);
}

static void hostile_names_are_names(void **state) {
  (void)state;
  static const char *const names[] = {
      "a.b",
      "\"",
      "\"\"",
      "s.x",
      "\xc3\xa9",
      "\xc3\x89",
      "rowid",
      "select",
      "; DROP TABLE t; --",
      "'",
      "\n",
      "\\",
      "%s",
      "t",
      "main",
      " ",
      "$1",
      "?",
      "/*",
      "a\" INTEGER; DROP TABLE t; --",
  };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    struct error error = {0};
    run("CREATE OR REPLACE TABLE t AS SELECT 1 AS k, {'x': 1} AS s");
    struct ArrowSchema narrow = schema_of((struct field[]){{names[i], "i"}}, 1);
    struct ArrowSchema wide = schema_of((struct field[]){{names[i], "l"}}, 1);
    struct text changes = TEXT_EMPTY;
    if (evolve("t", &narrow, &changes, &error) != STATUS_OK ||
        evolve("t", &wide, &changes, &error) != STATUS_OK)
      fail_msg("%s: %s", names[i], error.text);
    /* two lines, whatever the name */
    size_t lines = 0;
    for (const char *at = changes.data; *at != '\0'; at++) lines += *at == '\n';
    assert_int_equal(lines, 2);
    struct engine_table table;
    struct table_name name = table_named("t");
    ok(engine_table_info(fixture_session, &name, &table, &error), &error);
    assert_int_equal(table.column_count, 3);
    assert_string_equal(table.columns[2].name, names[i]);
    assert_string_equal(table.columns[2].type, "BIGINT");
    engine_table_release(&table);
    text_release(&changes);
    arrow_schema_release(&narrow);
    arrow_schema_release(&wide);
  }
  /* The table's own name. */
  run("CREATE TABLE \"a\"\"; DROP TABLE t; --\" (k INTEGER)");
  expect_evolved("a\"; DROP TABLE t; --", "SELECT 1 AS n", "added column \"n\" INTEGER\n");
  expect_integer("SELECT count(*) FROM t", 1);
}

/* ---- what the table is made of ---------------------------------------------------------------- */

static void constraints_and_defaults_stay(void **state) {
  (void)state;
  run("CREATE TABLE p (a INTEGER PRIMARY KEY)");
  run("INSERT INTO p VALUES (1), (2)");
  run("CREATE TABLE t (k INTEGER PRIMARY KEY, v INTEGER NOT NULL DEFAULT 7, u INTEGER UNIQUE, "
      "f INTEGER REFERENCES p (a), d DATE DEFAULT '2020-01-01'::DATE, b BOOLEAN DEFAULT true, "
      "x VARCHAR DEFAULT 'it''s')");
  run("COMMENT ON COLUMN t.v IS 'kept'");
  run("INSERT INTO t (k, u, f) VALUES (1, 1, 1)");
  run("CREATE VIEW w AS SELECT k, v FROM t");
  expect_evolved("t", "SELECT 1 AS k, 9000000000 AS v, 'a' AS n",
                 "widened column \"v\" from INTEGER to BIGINT\nadded column \"n\" VARCHAR\n");
  run("INSERT INTO t (k, n) VALUES (2, 'x')");
  expect_text("SELECT string_agg(concat_ws(' ', k, v, n, d, b, x), ', ' ORDER BY k) FROM t",
              "1 7 2020-01-01 true it's, 2 7 x 2020-01-01 true it's");
  expect_text("SELECT comment FROM duckdb_columns() WHERE table_name = 't' AND column_name = 'v'",
              "kept");
  expect_integer("SELECT sum(v)::BIGINT FROM w", 14);
  static const char *const refused[] = {
      "INSERT INTO t (k) VALUES (1)",
      "INSERT INTO t (k, v) VALUES (3, NULL)",
      "INSERT INTO t (k, u) VALUES (3, 1)",
      "INSERT INTO t (k, f) VALUES (3, 9)",
  };
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    struct error error = {0};
    if (run_status(refused[i], &error) != STATUS_SCHEMA) fail_msg("%s: %s", refused[i], error.text);
  }
}

/* What DuckDB does not do, and what it does but could not read from its log again. */
static void tables_that_must_not_be_altered_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *create, *why_added, *why_widened; /* NULL: it goes */
  } cases[] = {
      {"TABLE t (k INTEGER, v INTEGER PRIMARY KEY)", NULL, "UNIQUE or PRIMARY KEY"},
      {"TABLE t (k INTEGER, v INTEGER, PRIMARY KEY (k, v))", NULL, "UNIQUE or PRIMARY KEY"},
      {"TABLE t (k INTEGER PRIMARY KEY, v INTEGER)", NULL, NULL},
      {"TABLE t (k INTEGER, v INTEGER UNIQUE)", NULL, "UNIQUE or PRIMARY KEY"},
      {"TABLE t (k INTEGER, v INTEGER); CREATE INDEX i ON t (v)", NULL, "an index depends on it"},
      {"TABLE t (k INTEGER, v INTEGER); CREATE INDEX i ON t (k)", NULL, "depend on it"},
      {"TABLE p (a INTEGER PRIMARY KEY); CREATE TABLE t (k INTEGER, v INTEGER REFERENCES p (a))",
       NULL, "FOREIGN KEY"},
      {"TABLE t (k INTEGER PRIMARY KEY, v INTEGER); CREATE TABLE p (a INTEGER REFERENCES t (k))",
       NULL, "depend on it"},
      {"TABLE t (k INTEGER DEFAULT -1, v INTEGER DEFAULT 7)", NULL, NULL},
      {"TABLE t (k DOUBLE DEFAULT 1.5e10, v INTEGER DEFAULT NULL)", NULL, NULL},
      {"TABLE t (k VARCHAR DEFAULT 'now()', v INTEGER)", NULL, NULL},
      {"TABLE t (k TIMESTAMPTZ DEFAULT TIMESTAMPTZ '2020-01-01 00:00:00Z', v INTEGER)", NULL, NULL},
      {"SEQUENCE q; CREATE TABLE t (k INTEGER DEFAULT nextval('q'), v INTEGER)",
       "its column \"k\" is computed (nextval('q'))", "is computed"},
      {"TABLE t (k TIMESTAMP DEFAULT now(), v INTEGER)", "\"k\" is computed", "is computed"},
      {"TABLE t (k DATE DEFAULT current_date, v INTEGER)", "\"k\" is computed", "is computed"},
      {"TABLE t (k VARCHAR DEFAULT 'a' || 'b', v INTEGER)", "\"k\" is computed", "is computed"},
      {"TABLE t (k INTEGER[] DEFAULT [1], v INTEGER)", "\"k\" is computed", "is computed"},
      {"TABLE t (v INTEGER, k INTEGER GENERATED ALWAYS AS (v % 10))", "\"k\" is computed",
       "is computed"},
      {"TABLE t (k INTEGER CHECK (k <> 5), v INTEGER)", "it has a CHECK((k != 5))",
       "it has a CHECK"},
      {"TABLE t (k VARCHAR CHECK (k LIKE 'a%'), v INTEGER)", "it has a CHECK", "it has a CHECK"},
      {"TABLE u (v INTEGER); CREATE VIEW t AS FROM u", "it is a view", "it is a view"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    for (int widen = 0; widen < 2; widen++) {
      struct error error = {0};
      char sql[512];
      fixture_teardown(NULL);
      assert_int_equal(fixture_setup(NULL), 0);
      snprintf(sql, sizeof sql, "CREATE %s", cases[i].create);
      run(sql);
      const char *why = widen ? cases[i].why_widened : cases[i].why_added;
      const char *select = widen ? "SELECT 1::BIGINT AS v" : "SELECT 1::INTEGER AS v, 'a' AS n";
      if (why != NULL) {
        expect_refused("t", select, STATUS_SCHEMA, why);
        expect_integer("SELECT count(*) FROM (DESCRIBE t) WHERE column_type = 'BIGINT' OR "
                       "column_name = 'n'",
                       0);
        continue;
      }
      struct ArrowSchema schema = schema_by_sql(select);
      if (evolve("t", &schema, NULL, &error) != STATUS_OK)
        fail_msg("%s: %s", cases[i].create, error.text);
      arrow_schema_release(&schema);
    }
  }
}

static void what_cannot_be_brought_in_is_named(void **state) {
  (void)state;
  struct error error = {0};
  struct engine_evolution evolution = {0};
  run("CREATE TABLE t (k INTEGER, v INTEGER)");
  run("CREATE TABLE g (k INTEGER, g INTEGER GENERATED ALWAYS AS (k))");
  expect_refused("nothing", "SELECT 1 AS k", STATUS_NOT_FOUND, "table nothing: there is no such");
  expect_refused("g", "SELECT 1 AS k, 9000000000 AS g", STATUS_SCHEMA, "\"g\" is computed");
  struct {
    struct field fields[2];
    enum status status;
    const char *why;
  } cases[] = {
      {{{"k", "i"}, {"n", "n"}}, STATUS_UNSUPPORTED, "column \"n\" of type null"},
      {{{"k", "i"}, {"n", "tDn"}}, STATUS_UNSUPPORTED, "column \"n\" of type duration[ns]"},
      {{{"k", "i"}, {"v", "tsn:UTC"}}, STATUS_UNSUPPORTED, "column \"v\" of type timestamp[ns"},
      {{{"k", "i"}, {"", "i"}}, STATUS_SCHEMA, "column 1 (the first is 0) has no name"},
      {{{"n", "i"}, {"N", "i"}}, STATUS_SCHEMA, "two columns are named"},
      {{{"n", "i"}, {"v", "g"}}, STATUS_SCHEMA, "\"v\" is INTEGER, which does not hold every"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema schema = schema_of(cases[i].fields, 2);
    enum status status = plan("t", &schema, NULL, &evolution, &error);
    if (status != cases[i].status || strstr(error.text, cases[i].why) == NULL)
      fail_msg("%s: %s", status_name(status), error.text);
    assert_null(evolution.sql.data);
    assert_null(evolution.changes.data);
    arrow_schema_release(&schema);
  }
}

/* ---- strict --------------------------------------------------------------------------------- */

static void strict_is_number_order_names_and_types(void **state) {
  (void)state;
  run("CREATE TABLE t (k INTEGER NOT NULL, \"Name\" VARCHAR, s STRUCT(\"A\" INTEGER, b VARCHAR), "
      "d DECIMAL(9,2), z TIMESTAMPTZ)");
  run("CREATE TABLE j (k INTEGER, n JSON)");
  run("CREATE TABLE e (k INTEGER, n ENUM('a'))");
#define SAME                                                                                       \
  "SELECT 1::INTEGER AS k, 'a' AS \"Name\", {'A': 1::INTEGER, 'b': 'x'} AS s, "                    \
  "1::DECIMAL(9,2) AS d, now() AS z"
#define EXCEPT(from, to) "SELECT " from " FROM (" SAME ") AS x" to
  static const struct {
    const char *table, *select, *why; /* NULL: it is the same */
  } cases[] = {
      {"t", SAME, NULL},
      {"nothing", SAME, "table nothing: there is no such table"},
      {"t", EXCEPT("* EXCLUDE z", ""), "it has 5 columns, the data has 4 (\"z\" is in one of"},
      {"t", EXCEPT("*, 1 AS y", ""), "it has 5 columns, the data has 6 (\"y\" is in one of"},
      {"t", EXCEPT("\"Name\", k, s, d, z", ""), "its column 0 (the first is 0) is \"k\", the data"},
      {"t", EXCEPT("k AS \"K\", \"Name\", s, d, z", ""), "the data has \"K\" there"},
      {"t", EXCEPT("* REPLACE (k::SMALLINT AS k)", ""),
       "its column \"k\" is INTEGER, the data's would be SMALLINT"},
      {"t", EXCEPT("* REPLACE (k::BIGINT AS k)", ""), "would be BIGINT"},
      {"t", EXCEPT("* REPLACE (d::DECIMAL(9,1) AS d)", ""),
       "is DECIMAL(9,2), the data's would be DECIMAL(9,1)"},
      {"t", EXCEPT("* REPLACE ({'a': 1::INTEGER, 'b': 'x'} AS s)", ""), "its column \"s\" is"},
      {"t", EXCEPT("* REPLACE ({'b': 'x', 'A': 1::INTEGER} AS s)", ""), "its column \"s\" is"},
      {"t", EXCEPT("* REPLACE (z::TIMESTAMP AS z)", ""), "would be TIMESTAMP, and"},
      {"j", "SELECT 1::INTEGER AS k, 'a' AS n", "\"n\" is JSON, the data's would be VARCHAR"},
      {"e", "SELECT 1::INTEGER AS k, 'a' AS n", "\"n\" is ENUM('a'), the data's would be VARCHAR"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema schema = schema_by_sql(cases[i].select);
    struct table_name name = table_named(cases[i].table);
    struct error error = {0};
    enum status status = engine_check_same(fixture_session, &name, &schema, &error);
    arrow_schema_release(&schema);
    if (cases[i].why == NULL) {
      ok(status, &error);
      continue;
    }
    if (status != (i == 1 ? STATUS_NOT_FOUND : STATUS_SCHEMA) ||
        strstr(error.text, cases[i].why) == NULL)
      fail_msg("%s: %s %s", cases[i].select, status_name(status), error.text);
  }
  /* A table that was made for a schema is the same as it. */
  struct ArrowSchema schema =
      schema_of((struct field[]){{"a", "tsm:"}, {"b", "tdD"}, {"c", "e"}}, 3);
  struct table_name name = table_named("made");
  struct error error = {0};
  ok(engine_create_table(fixture_session, &name, &schema, &error), &error);
  ok(engine_check_same(fixture_session, &name, &schema, &error), &error);
  arrow_schema_release(&schema);
}

int main(void) {
#define ON_ENGINE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
  const struct CMUnitTest tests[] = {
      ON_ENGINE(columns_widen_to_what_holds_both_or_not_at_all),
      ON_ENGINE(the_document_says_what_is_tested),
      ON_ENGINE(columns_that_lack_are_added_and_may_be_null),
      ON_ENGINE(the_operation_is_no_column),
      ON_ENGINE(hostile_names_are_names),
      ON_ENGINE(constraints_and_defaults_stay),
      ON_ENGINE(tables_that_must_not_be_altered_are_refused),
      ON_ENGINE(what_cannot_be_brought_in_is_named),
      ON_ENGINE(strict_is_number_order_names_and_types),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
