#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/array.h"
#include "arrow/ipc.h"
#include "arrow/schema.h"
#include "flight/sql_schemas.h"

static struct budget budget = {.limit_bytes = 1 << 28};

/* "name: type[!], ...": what is not nullable has a "!". */
static void print(const struct ArrowSchema *schema, struct text *out) {
  struct error error;
  for (int64_t i = 0; i < schema->n_children; i++) {
    const struct ArrowSchema *field = schema->children[i];
    const char *mark = field->flags & ARROW_FLAG_NULLABLE ? "" : "!";
    assert_int_equal(text_add_format(out, &error, "%s%s%s ", i > 0 ? ", " : "", field->name, mark),
                     STATUS_OK);
    assert_int_equal(arrow_type_print(field, out, &error), STATUS_OK);
  }
}

static void schemas_are_as_the_specification_gives_them(void **state) {
  (void)state;
  static const struct {
    enum sql_result result;
    const char *want;
  } cases[] = {
      {SQL_RESULT_CATALOGS, "catalog_name! utf8"},
      {SQL_RESULT_DB_SCHEMAS, "catalog_name utf8, db_schema_name! utf8"},
      {SQL_RESULT_TABLES,
       "catalog_name utf8, db_schema_name utf8, table_name! utf8, table_type! utf8"},
      {SQL_RESULT_TABLES_WITH_SCHEMA,
       "catalog_name utf8, db_schema_name utf8, table_name! utf8, table_type! utf8, "
       "table_schema! binary"},
      {SQL_RESULT_TABLE_TYPES, "table_type! utf8"},
      {SQL_RESULT_PRIMARY_KEYS,
       "catalog_name utf8, db_schema_name utf8, table_name! utf8, column_name! utf8, "
       "key_name utf8, key_sequence! int32"},
      {SQL_RESULT_FOREIGN_KEYS,
       "pk_catalog_name utf8, pk_db_schema_name utf8, pk_table_name! utf8, pk_column_name! utf8, "
       "fk_catalog_name utf8, fk_db_schema_name utf8, fk_table_name! utf8, fk_column_name! utf8, "
       "key_sequence! int32, fk_key_name utf8, pk_key_name utf8, update_rule! uint8, "
       "delete_rule! uint8"},
      {SQL_RESULT_TYPE_INFO,
       "type_name! utf8, data_type! int32, column_size int32, literal_prefix utf8, "
       "literal_suffix utf8, create_params list<item: utf8>, nullable! int32, "
       "case_sensitive! bool, searchable! int32, unsigned_attribute bool, fixed_prec_scale! bool, "
       "auto_increment bool, local_type_name utf8, minimum_scale int32, maximum_scale int32, "
       "sql_data_type! int32, datetime_subcode int32, num_prec_radix int32, "
       "interval_precision int32"},
      {SQL_RESULT_INFO,
       "info_name! uint32, value dense_union<string_value: utf8, bool_value: bool, "
       "bigint_value: int64, int32_bitmask: int32, string_list: list<string_data: utf8>, "
       "int32_to_int32_list_map: map<entries: struct<key: int32, value: list<$data$: int32>>>>"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema schema;
    struct error error;
    struct text text = TEXT_EMPTY;
    assert_int_equal(sql_result_schema(cases[i].result, &schema, &error), STATUS_OK);
    print(&schema, &text);
    assert_string_equal(text_get(&text), cases[i].want);
    if (cases[i].result == SQL_RESULT_INFO)
      assert_string_equal(schema.children[1]->format, "+ud:0,1,2,3,4,5");
    if (cases[i].result == SQL_RESULT_TYPE_INFO)
      assert_int_equal(schema.children[5]->children[0]->flags & ARROW_FLAG_NULLABLE, 0);
    text_release(&text);
    arrow_schema_release(&schema);
  }
}

static void rows_become_batches_that_are_small_enough(void **state) {
  (void)state;
  struct sql_rows *rows;
  struct error error = {0};
  struct ArrowSchema schema;
  struct ArrowArray *batches;
  size_t count;
  char *blob = calloc(1, 300000);
  assert_non_null(blob);
  assert_int_equal(sql_rows_new(SQL_RESULT_TABLES_WITH_SCHEMA, &budget, &rows, &error), STATUS_OK);
  for (int i = 0; i < 10; i++)
    assert_int_equal(
        sql_rows_add(rows,
                     (const struct sql_value[]){i % 2 == 0 ? SQL_VALUE_NULL : SQL_VALUE_TEXT("c"),
                                                SQL_VALUE_TEXT("s"),
                                                SQL_VALUE_TEXT("t"),
                                                SQL_VALUE_TEXT("TABLE"),
                                                {.kind = SQL_BYTES, .data = blob, .bytes = 300000}},
                     &error),
        STATUS_OK);
  assert_int_equal(sql_rows_finish(rows, &schema, &batches, &count, &error), STATUS_OK);
  sql_rows_free(rows);
  assert_int_equal(count, 3); /* 4, 4 and 2 rows: each ends with the row that passes 1 MiB */
  int64_t all = 0, nulls = 0;
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(arrow_array_check(&schema, &batches[i], ARRAY_CHECK_FULL, &error), STATUS_OK);
    all += batches[i].length;
    nulls += batches[i].children[0]->null_count;
    arrow_array_release(&batches[i]);
  }
  assert_int_equal(all, 10);
  assert_int_equal(nulls, 5);
  free(batches);
  arrow_schema_release(&schema);
  free(blob);
  assert_int_equal(budget.used_bytes, 0);
}

static void no_rows_are_no_batches_and_no_memory_is_told(void **state) {
  (void)state;
  struct budget small = {.limit_bytes = 4096};
  struct sql_rows *rows;
  struct error error = {0};
  struct ArrowSchema schema;
  struct ArrowArray *batches;
  size_t count = 7;
  assert_int_equal(sql_rows_new(SQL_RESULT_CATALOGS, &budget, &rows, &error), STATUS_OK);
  assert_int_equal(sql_rows_finish(rows, &schema, &batches, &count, &error), STATUS_OK);
  assert_int_equal(count, 0);
  sql_rows_free(rows);
  free(batches);
  arrow_schema_release(&schema);

  assert_int_equal(sql_rows_new(SQL_RESULT_CATALOGS, &small, &rows, &error), STATUS_OK);
  enum status status = STATUS_OK;
  for (int i = 0; i < 10000 && status == STATUS_OK; i++)
    status = sql_rows_add(rows, &SQL_VALUE_TEXT("a catalog of some length"), &error);
  assert_int_equal(status, STATUS_BUDGET);
  sql_rows_free(rows);
  assert_int_equal(small.used_bytes, 0);
}

/* The value of a key in encoded metadata; "" when it is not there. */
static void metadata_of(const char *metadata, const char *key, char value[100]) {
  int32_t count, bytes;
  memcpy(&count, metadata, 4);
  metadata += 4;
  value[0] = '\0';
  for (int32_t i = 0; i < count; i++) {
    memcpy(&bytes, metadata, 4);
    bool is = (size_t)bytes == strlen(key) && memcmp(metadata + 4, key, strlen(key)) == 0;
    metadata += 4 + bytes;
    memcpy(&bytes, metadata, 4);
    if (is) snprintf(value, 100, "%.*s", (int)bytes, metadata + 4);
    metadata += 4 + bytes;
  }
}

static void a_column_is_described_beside_what_was_said_of_it(void **state) {
  (void)state;
  struct ArrowSchema schema, copy;
  struct error error = {0};
  struct buffer message = BUFFER_EMPTY;
  static const char kept[] = "\x01\0\0\0\x01\0\0\0k\x02\0\0\0vw";
  const struct sql_column column = {.catalog = "c",
                                    .schema = "s",
                                    .table = "t",
                                    .type = "DECIMAL(9,2)",
                                    .precision = 9,
                                    .scale = 2,
                                    .case_sensitive = true,
                                    .remarks = "what it costs"};
  assert_int_equal(arrow_schema_init(&schema, "+s", "", false, 1, &error), STATUS_OK);
  assert_int_equal(arrow_schema_init(schema.children[0], "d:9,2", "x", true, 0, &error), STATUS_OK);
  schema.children[0]->metadata = kept;
  assert_int_equal(arrow_schema_copy(&schema, &copy, &error), STATUS_OK);
  schema.children[0]->metadata = NULL;
  arrow_schema_release(&schema);
  assert_int_equal(sql_column_describe(&column, copy.children[0], &error), STATUS_OK);
  static const struct {
    const char *key, *want;
  } wants[] = {
      {"k", "vw"},
      {"ARROW:FLIGHT:SQL:CATALOG_NAME", "c"},
      {"ARROW:FLIGHT:SQL:DB_SCHEMA_NAME", "s"},
      {"ARROW:FLIGHT:SQL:SCHEMA_NAME", "s"},
      {"ARROW:FLIGHT:SQL:TABLE_NAME", "t"},
      {"ARROW:FLIGHT:SQL:TYPE_NAME", "DECIMAL(9,2)"},
      {"ARROW:FLIGHT:SQL:PRECISION", "9"},
      {"ARROW:FLIGHT:SQL:SCALE", "2"},
      {"ARROW:FLIGHT:SQL:IS_AUTO_INCREMENT", "0"},
      {"ARROW:FLIGHT:SQL:IS_CASE_SENSITIVE", "1"},
      {"ARROW:FLIGHT:SQL:IS_READ_ONLY", "0"},
      {"ARROW:FLIGHT:SQL:IS_SEARCHABLE", "1"},
      {"ARROW:FLIGHT:SQL:REMARKS", "what it costs"},
      {"ARROW:FLIGHT:SQL:NOTHING", ""},
  };
  for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++) {
    char value[100];
    metadata_of(copy.children[0]->metadata, wants[i].key, value);
    assert_string_equal(value, wants[i].want);
  }
  assert_int_equal(sql_schema_message(&copy, &budget, &message, &error), STATUS_OK);
  assert_true(message.size_bytes > 8 && message.size_bytes % 8 == 0);
  assert_memory_equal(message.data, "\xFF\xFF\xFF\xFF", 4);
  buffer_release(&message);
  arrow_schema_release(&copy);
}

static void patterns_match_whole_names(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *name;
    bool want;
  } cases[] = {
      {NULL, "anything", true},
      {"", "", true},
      {"", "a", false},
      {"%", "", true},
      {"%", "anything", true},
      {"_", "", false},
      {"_", "a", true},
      {"_", "ab", false},
      {"_", "\xC3\xA4", true}, /* one character, two bytes */
      {"__", "\xC3\xA4", false},
      {"%\xA4", "\xC3\xA4", false}, /* no half of one */
      {"a%", "abc", true},
      {"a%", "bc", false},
      {"%c", "abcc", true},
      {"%b%d%", "abcde", true},
      {"%b%d", "abcde", false},
      {"a_c", "abc", true},
      {"a_c", "a_c", true},
      {"a\\_c", "a_c", true},
      {"a\\_c", "abc", false},
      {"50\\%", "50%", true},
      {"50\\%", "50 per cent", false},
      {"a\\\\b", "a\\b", true},
      {"a\\", "a\\", true}, /* nothing is escaped: it is itself */
      {"Trips", "tRIPS", true},
      {"\xC3\x84", "\xC3\xA4", false}, /* letters beyond ASCII keep their case */
      {"trip", "trips", false},
      {"trips_", "trips", false},
      {"%%%a%%", "ba", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    if (sql_pattern_matches(cases[i].pattern, cases[i].name) != cases[i].want)
      fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].name);
}

static void names_match_as_identifiers_do(void **state) {
  (void)state;
  assert_true(sql_name_matches(NULL, "a"));
  assert_true(sql_name_matches("A", "a"));
  assert_false(sql_name_matches("", "a"));
  assert_false(sql_name_matches("a%", "ab"));
  assert_false(sql_name_matches("ab", "a"));
  assert_false(sql_name_matches("a", "ab"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(schemas_are_as_the_specification_gives_them),
      cmocka_unit_test(rows_become_batches_that_are_small_enough),
      cmocka_unit_test(no_rows_are_no_batches_and_no_memory_is_told),
      cmocka_unit_test(a_column_is_described_beside_what_was_said_of_it),
      cmocka_unit_test(patterns_match_whole_names),
      cmocka_unit_test(names_match_as_identifiers_do),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
