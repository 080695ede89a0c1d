#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/array.h"
#include "flight/sql_types.h"
#include "sql_engine.h"

static struct budget budget = {.limit_bytes = 1 << 28};

/* The rows, in one batch. */
static struct ArrowArray read_types(const int32_t *data_type, struct ArrowSchema *schema) {
  struct sql_rows *rows;
  struct error error = {0};
  struct ArrowArray *batches, batch;
  size_t count;
  assert_int_equal(sql_rows_new(SQL_RESULT_TYPE_INFO, &budget, &rows, &error), STATUS_OK);
  assert_int_equal(sql_types_add(rows, data_type, &error), STATUS_OK);
  assert_int_equal(sql_rows_finish(rows, schema, &batches, &count, &error), STATUS_OK);
  sql_rows_free(rows);
  if (count == 0) {
    batch = (struct ArrowArray){.length = 0};
  } else {
    assert_int_equal(count, 1);
    assert_int_equal(arrow_array_check(schema, &batches[0], ARRAY_CHECK_FULL, &error), STATUS_OK);
    batch = batches[0];
  }
  free(batches);
  return batch;
}

static bool text_at(const struct ArrowArray *batch, int column, int64_t row, char text[100]) {
  const struct ArrowArray *array = batch->children[column];
  const uint8_t *valid = array->buffers[0];
  const int32_t *offsets = array->buffers[1];
  text[0] = '\0';
  if (valid != NULL && (valid[row / 8] >> (row % 8) & 1) == 0) return false;
  snprintf(text, 100, "%.*s", (int)(offsets[row + 1] - offsets[row]),
           (const char *)array->buffers[2] + offsets[row]);
  return true;
}

static int32_t number_at(const struct ArrowArray *batch, int column, int64_t row) {
  return ((const int32_t *)batch->children[column]->buffers[1])[row];
}

static void types_are_ordered_and_filtered(void **state) {
  (void)state;
  struct ArrowSchema schema;
  struct ArrowArray all = read_types(NULL, &schema);
  assert_int_equal(all.length, 28);
  for (int64_t row = 1; row < all.length; row++) {
    char before[100], name[100];
    text_at(&all, 0, row - 1, before);
    text_at(&all, 0, row, name);
    int32_t left = number_at(&all, 1, row - 1), right = number_at(&all, 1, row);
    assert_true(left < right || (left == right && strcmp(before, name) < 0));
  }
  arrow_array_release(&all);
  arrow_schema_release(&schema);

  static const struct {
    int32_t data_type;
    int64_t rows;
  } cases[] = {{-5, 2}, {93, 5}, {12, 3}, {0, 0}, {4711, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowArray some = read_types(&cases[i].data_type, &schema);
    assert_int_equal(some.length, cases[i].rows);
    for (int64_t row = 0; row < some.length; row++)
      assert_int_equal(number_at(&some, 1, row), cases[i].data_type);
    arrow_array_release(&some);
    arrow_schema_release(&schema);
  }
}

/* Every name makes a column, and the column is of that type; every literal is of it. */
static void names_and_literals_are_the_databases(void **state) {
  (void)state;
  static const struct {
    const char *type, *value;
  } values[] = {{"BLOB", "\\xAA"},     {"UUID", "00112233-4455-6677-8899-aabbccddeeff"},
                {"BIT", "0101"},       {"JSON", "{}"},
                {"INTERVAL", "1 day"}, {"DATE", "2020-02-29"},
                {"TIME", "01:02:03"},  {"TIME_NS", "01:02:03"}};
  struct ArrowSchema schema;
  struct ArrowArray all = read_types(NULL, &schema);
  for (int64_t row = 0; row < all.length; row++) {
    char name[100], prefix[100], suffix[100], sql[500], got[100];
    text_at(&all, 0, row, name);
    snprintf(sql, sizeof sql, "CREATE OR REPLACE TABLE t (c %s)", name);
    sql_run(sql);
    sql_text("SELECT data_type FROM duckdb_columns() WHERE table_name = 't'", got, sizeof got);
    if (strcmp(name, "DECIMAL") == 0)
      assert_string_equal(got, "DECIMAL(18,3)");
    else
      assert_string_equal(got, name);
    if (!text_at(&all, 3, row, prefix)) continue;
    assert_true(text_at(&all, 4, row, suffix));
    const char *value = strncmp(name, "TIMESTAMP", 9) == 0 ? "2020-02-29 01:02:03" : "text";
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
      if (strcmp(values[i].type, name) == 0) value = values[i].value;
    snprintf(sql, sizeof sql, "SELECT typeof(%s%s%s)", prefix, value, suffix);
    sql_text(sql, got, sizeof got);
    assert_string_equal(got, name);
  }
  arrow_array_release(&all);
  arrow_schema_release(&schema);
}

/* Only text has LIKE; numbers without a sign refuse one; precision is what DuckDB says. */
static void what_is_said_of_types_holds(void **state) {
  (void)state;
  struct ArrowSchema schema;
  struct ArrowArray all = read_types(NULL, &schema);
  for (int64_t row = 0; row < all.length; row++) {
    char name[100], sql[500], got[100];
    struct error error;
    text_at(&all, 0, row, name);
    snprintf(sql, sizeof sql, "SELECT NULL::%s LIKE 'a'", name);
    assert_int_equal(sql_try(sql, &error) == STATUS_OK, number_at(&all, 8, row) == 3);
    const uint8_t *known = all.children[9]->buffers[0], *is = all.children[9]->buffers[1];
    if ((known[row / 8] >> (row % 8) & 1) == 0) continue; /* no number */
    snprintf(sql, sizeof sql, "SELECT (-1)::%s", name);
    assert_int_equal(sql_try(sql, &error) != STATUS_OK, is[row / 8] >> (row % 8) & 1);
    if (number_at(&all, 17, row) == 2) { /* bits of a floating-point number's fraction */
      int32_t bits = number_at(&all, 2, row);
      snprintf(sql, sizeof sql,
               "SELECT ((2::DECIMAL(38,0) ^ %d)::%s + 1 = (2::DECIMAL(38,0) ^ %d)::%s)::VARCHAR",
               bits, name, bits, name);
      sql_text(sql, got, sizeof got);
      assert_string_equal(got, "true");
    } else if (strcmp(name, "DECIMAL") != 0) { /* so many digits fit, if the first is a 1 */
      snprintf(sql, sizeof sql, "SELECT (repeat('0', 40) || '1' || repeat('0', %d))::%s",
               number_at(&all, 2, row) - 1, name);
      sql_run(sql);
    }
  }
  arrow_array_release(&all);
  arrow_schema_release(&schema);
}

static void columns_are_described_by_their_type(void **state) {
  (void)state;
  static const struct {
    const char *type;
    int32_t precision, scale;
    bool case_sensitive;
  } cases[] = {
      {"DECIMAL(18,3)", 18, 3, false},
      {"DECIMAL(38,0)", 38, 0, false},
      {"DECIMAL(18,3)[]", -1, -1, false},
      {"INTEGER", 10, 0, false},
      {"INTEGER[]", -1, -1, false},
      {"VARCHAR", INT32_MAX, -1, true},
      {"VARCHAR[]", -1, -1, true},
      {"ENUM('a', 'b')", -1, -1, true},
      {"TIMESTAMP WITH TIME ZONE", 29, 6, false},
      {"DOUBLE", 53, -1, false},
      {"STRUCT(a INTEGER)", -1, -1, false},
      {"", -1, -1, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct sql_column column = {.type = cases[i].type};
    sql_types_describe(&column);
    assert_int_equal(column.precision, cases[i].precision);
    assert_int_equal(column.scale, cases[i].scale);
    assert_int_equal(column.case_sensitive, cases[i].case_sensitive);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(types_are_ordered_and_filtered),
      cmocka_unit_test(names_and_literals_are_the_databases),
      cmocka_unit_test(what_is_said_of_types_holds),
      cmocka_unit_test(columns_are_described_by_their_type),
  };
  return cmocka_run_group_tests(tests, sql_engine_setup, sql_engine_teardown);
}
