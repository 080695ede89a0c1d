#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

static void ok(enum status status, const struct error *error) {
  if (status != STATUS_OK) fail_msg("%s: %s", status_name(status), error->text);
}

/* ---- values, as a line of text -------------------------------------------------------- */

/* One value from a word: "~" is NULL, "'text" the bytes behind the quote, "0x..."
 * bytes in hexadecimal (little-endian numbers as they lie in memory), a number with a
 * point a double, anything else an integer. */
static void build_word(struct build *build, const char *word) {
  struct error error = {0};
  uint8_t bytes[64];
  size_t count = 0;
  if (strcmp(word, "~") == 0) {
    ok(build_null(build, &error), &error);
  } else if (word[0] == '\'') {
    ok(build_bytes(build, word + 1, (int64_t)strlen(word + 1), &error), &error);
  } else if (strncmp(word, "0x", 2) == 0) {
    for (word += 2; word[0] != '\0'; word += 2) {
      char digits[3] = {word[0], word[1], '\0'};
      bytes[count++] = (uint8_t)strtoul(digits, NULL, 16);
    }
    ok(build_bytes(build, bytes, (int64_t)count, &error), &error);
  } else if (strchr(word, '.') != NULL || strstr(word, "inf") != NULL ||
             strstr(word, "nan") != NULL) {
    ok(build_double(build, strtod(word, NULL), &error), &error);
  } else {
    ok(build_integer(build, strtoll(word, NULL, 10), &error), &error);
  }
}

/* A batch of the columns n (0, 1, 2, ...) and v (the words). */
static struct ArrowArray batch_of(const struct ArrowSchema *schema, const char *words) {
  struct error error = {0};
  struct build *build;
  ok(build_new(schema, &fixture_budget, &build, &error), &error);
  char copy[2048], *rest = NULL;
  snprintf(copy, sizeof copy, "%s", words);
  int64_t row = 0;
  for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
    ok(build_integer(build_child(build, 0), row++, &error), &error);
    build_word(build_child(build, 1), word);
    ok(build_slot(build, &error), &error);
  }
  struct ArrowArray batch;
  ok(build_finish(build, &batch, &error), &error);
  build_free(build);
  return batch;
}

static enum status land_words(const char *table, const char *format, const char *words,
                              struct error *error) {
  struct ArrowSchema schema = schema_of((struct field[]){{"n", "i"}, {"v", format}}, 2);
  struct ArrowArray batch = batch_of(&schema, words);
  enum status status = land(table, &schema, &batch, error);
  arrow_schema_release(&schema);
  return status;
}

/* ---- types ------------------------------------------------------------------------------ */

static void every_type_lands_exactly_at_its_limits(void **state) {
  (void)state;
  static const struct {
    const char *format, *words, *type, *want;
  } cases[] = {
      {"b", "0 1 ~ 1", "BOOLEAN", "false|true|NULL|true"},
      {"c", "-128 127 ~ 0", "TINYINT", "-128|127|NULL|0"},
      {"s", "-32768 32767 ~", "SMALLINT", "-32768|32767|NULL"},
      {"i", "-2147483648 2147483647 ~", "INTEGER", "-2147483648|2147483647|NULL"},
      {"l", "-9223372036854775808 9223372036854775807 ~", "BIGINT",
       "-9223372036854775808|9223372036854775807|NULL"},
      {"C", "0 255 ~", "UTINYINT", "0|255|NULL"},
      {"S", "0 65535 ~", "USMALLINT", "0|65535|NULL"},
      {"I", "0 4294967295 ~", "UINTEGER", "0|4294967295|NULL"},
      {"L", "0 9223372036854775807 ~", "UBIGINT", "0|9223372036854775807|NULL"},
      {"f", "1.5 -inf nan ~ 3.4028234663852886e+38", "FLOAT", "1.5|-inf|nan|NULL|3.4028235e+38"},
      {"g", "1.7976931348623157e+308 4.9406564584124654e-324 ~ inf", "DOUBLE",
       "1.7976931348623157e+308|5e-324|NULL|inf"},
      {"u",
       "' 'a 'abc 'abcd 'abcdefg 'abcdefgh 'abcdefghijkl 'abcdefghijklm ~ 'Z\xc3\xbcrich "
       "'\xf0\x9f\xa6\x86",
       "VARCHAR",
       "|a|abc|abcd|abcdefg|abcdefgh|abcdefghijkl|abcdefghijklm|NULL|Z\xc3\xbcrich|"
       "\xf0\x9f\xa6\x86"},
      {"U", "'large ~", "VARCHAR", "large|NULL"},
      {"z", "0x00ff ' ~", "BLOB", "\\x00\\xFF||NULL"},
      {"Z", "0x0001 ~", "BLOB", "\\x00\\x01|NULL"},
      {"w:3", "0x010203 ~", "BLOB", "\\x01\\x02\\x03|NULL"},
      {"d:4,2", "0x0f270000000000000000000000000000 0xf1d8ffffffffffffffffffffffffffff ~",
       "DECIMAL(4,2)", "99.99|-99.99|NULL"},
      {"d:9,0", "0xffc99a3b000000000000000000000000 ~", "DECIMAL(9,0)", "999999999|NULL"},
      {"d:18,18", "0x01000000000000000000000000000000 ~", "DECIMAL(18,18)",
       ".000000000000000001|NULL"},
      {"d:38,0", "0xffffffff3f228a097ac4865aa84c3b4b ~", "DECIMAL(38,0)",
       "99999999999999999999999999999999999999|NULL"},
      {"d:9,2,32", "0xffc99a3b ~", "DECIMAL(9,2)", "9999999.99|NULL"},
      {"d:18,2,64", "0xfeffffffffffffff ~", "DECIMAL(18,2)", "-0.02|NULL"},
      {"d:10,1,256",
       "0x0a00000000000000000000000000000000000000000000000000000000000000 "
       "0xf6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff ~",
       "DECIMAL(10,1)", "1.0|-1.0|NULL"},
      {"tdD", "0 -1 2147483646 -2147483646 ~", "DATE",
       "1970-01-01|1969-12-31|5881580-07-10|5877642-06-25 (BC)|NULL"},
      {"tdm", "86400000 -86400000 ~", "DATE", "1970-01-02|1969-12-31|NULL"},
      {"tts", "0 86399 ~", "TIME", "00:00:00|23:59:59|NULL"},
      {"ttm", "1 86399999 ~", "TIME", "00:00:00.001|23:59:59.999|NULL"},
      {"ttu", "1 86399999999 ~", "TIME", "00:00:00.000001|23:59:59.999999|NULL"},
      {"ttn", "1 86399999999999 ~", "TIME_NS", "00:00:00.000000001|23:59:59.999999999|NULL"},
      {"tss:", "-1 9223372036854 -9223372022400 ~", "TIMESTAMP_S",
       "1969-12-31 23:59:59|294247-01-10 04:00:54|290309-12-22 (BC) 00:00:00|NULL"},
      {"tsm:", "-1 9223372036854775 -9223372022400000 ~", "TIMESTAMP_MS",
       "1969-12-31 23:59:59.999|294247-01-10 04:00:54.775|290309-12-22 (BC) 00:00:00|NULL"},
      {"tsu:", "-1 9223372036854775806 -9223372022400000000 ~", "TIMESTAMP",
       "1969-12-31 23:59:59.999999|294247-01-10 04:00:54.775806|290309-12-22 (BC) 00:00:00|NULL"},
      {"tsn:", "-1 9223372036854775806 -9223286400000000000 ~", "TIMESTAMP_NS",
       "1969-12-31 23:59:59.999999999|2262-04-11 23:47:16.854775806|"
       "1677-09-22 00:00:00|NULL"},
      {"tss:UTC", "1 ~", "TIMESTAMP WITH TIME ZONE", "1970-01-01 00:00:01+00|NULL"},
      {"tsm:Europe/Berlin", "1 ~", "TIMESTAMP WITH TIME ZONE", "1970-01-01 00:00:00.001+00|NULL"},
      {"tsu:+05:30", "1 ~", "TIMESTAMP WITH TIME ZONE", "1970-01-01 00:00:00.000001+00|NULL"},
      {"tDs", "90061 ~", "INTERVAL", "25:01:01|NULL"},
      {"tDm", "-1 ~", "INTERVAL", "-00:00:00.001|NULL"},
      {"tDu", "1 9223372036854775807 ~", "INTERVAL",
       "00:00:00.000001|2562047788:00:54.775807|NULL"},
      {"tiM", "14 ~", "INTERVAL", "1 year 2 months|NULL"},
      {"tiD", "0x0300000001000000 ~", "INTERVAL", "3 days 00:00:00.001|NULL"},
      {"tin", "0x0100000002000000e803000000000000 ~", "INTERVAL",
       "1 month 2 days 00:00:00.000001|NULL"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    enum status status = land_words("t", cases[i].format, cases[i].words, &error);
    if (status != STATUS_OK) fail_msg("%s: %s", cases[i].format, error.text);
    expect_text("SELECT data_type FROM duckdb_columns() WHERE table_name = 't' AND "
                "column_name = 'v'",
                cases[i].type);
    expect_text("SELECT string_agg(coalesce(v::VARCHAR, 'NULL'), '|' ORDER BY n) FROM t",
                cases[i].want);
    run("DROP TABLE t");
  }
}

static void a_value_that_the_type_does_not_hold_is_refused_with_its_row(void **state) {
  (void)state;
  static const struct {
    const char *format, *words;
    enum status want;
    const char *text;
  } cases[] = {
      {"d:4,2", "~ 0x10270000000000000000000000000000", STATUS_SCHEMA,
       "more than the type's 4 digits"},
      {"d:10,1,256", "~ 0x0000000000000000000000000000000001000000000000000000000000000000",
       STATUS_SCHEMA, "more than the type's 10 digits"},
      {"tdD", "~ 2147483647", STATUS_SCHEMA, "the value 2147483647 is outside"},
      {"tdD", "~ -2147483647", STATUS_SCHEMA, "outside of what DuckDB's type holds"},
      {"tdm", "86400000 86400001", STATUS_SCHEMA, "the value 86400001 is not a multiple"},
      {"tts", "0 86400", STATUS_SCHEMA, "the value 86400 is outside of what one day holds"},
      {"ttn", "0 -1", STATUS_SCHEMA, "the value -1 is outside of what one day holds"},
      {"tss:", "0 9223372036855", STATUS_SCHEMA, "outside of what DuckDB's type holds"},
      {"tsm:UTC", "0 9223372036854776", STATUS_SCHEMA, "outside of what DuckDB's type holds"},
      {"tsu:", "0 9223372036854775807", STATUS_SCHEMA, "outside of what DuckDB's type holds"},
      {"tsn:", "0 -9223286400000000001", STATUS_SCHEMA, "outside of what DuckDB's type holds"},
      {"tDs", "0 9223372036855", STATUS_SCHEMA, "outside of what DuckDB's type holds"},
      {"tin", "~ 0x0100000002000000e903000000000000", STATUS_SCHEMA,
       "1001 nanoseconds is not in whole microseconds"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    enum status status = land_words("t", cases[i].format, cases[i].words, &error);
    if (status != cases[i].want || strstr(error.text, cases[i].text) == NULL)
      fail_msg("%s %s: %s %s", cases[i].format, cases[i].words, status_name(status), error.text);
    if (strstr(error.text, "row 1 (the first is 0): column \"v\": ") == NULL)
      fail_msg("%s: no place in: %s", cases[i].format, error.text);
    run("DROP TABLE t");
  }
}

/* Arrow says nothing about what lies under a NULL, so it is never looked at. */
static void what_lies_under_a_null_is_not_looked_at(void **state) {
  (void)state;
  struct error error = {0};
  struct ArrowSchema schema = schema_of((struct field[]){{"n", "i"}, {"v", "tts"}}, 2);
  struct ArrowArray batch = batch_of(&schema, "1 ~ 3");
  ((int32_t *)(uintptr_t)batch.children[1]->buffers[1])[1] = -5;
  ok(land("t", &schema, &batch, &error), &error);
  expect_text("SELECT string_agg(coalesce(v::VARCHAR, 'NULL'), '|' ORDER BY n) FROM t",
              "00:00:01|NULL|00:00:03");
  arrow_schema_release(&schema);
}

static void text_that_is_not_utf8_is_refused(void **state) {
  (void)state;
  static const char *const broken[] = {"\xff", "abc\xc3", "\xed\xa0\x80", "\xc0\xaf",
                                       "a long text that ends in a broken way \xf0\x9f\xa6"};
  for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
    struct error error = {0};
    struct ArrowSchema schema = schema_of((struct field[]){{"n", "i"}, {"v", "u"}}, 2);
    struct ArrowArray batch =
        batch_of(&schema, "'whole ~ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    int32_t *offsets = (int32_t *)(uintptr_t)batch.children[1]->buffers[1];
    offsets[3] = offsets[2] + (int32_t)strlen(broken[i]);
    memcpy((char *)(uintptr_t)batch.children[1]->buffers[2] + offsets[2], broken[i],
           strlen(broken[i]));
    assert_int_equal(land("t", &schema, &batch, &error), STATUS_INVALID);
    assert_non_null(strstr(error.text, "row 2 (the first is 0): column \"v\": text is not UTF-8"));
    arrow_schema_release(&schema);
    run("DROP TABLE IF EXISTS t");
  }
}

static void unsigned_numbers_past_the_signed_ones_land(void **state) {
  (void)state;
  struct error error = {0};
  struct ArrowSchema schema = schema_of((struct field[]){{"n", "i"}, {"v", "L"}}, 2);
  struct ArrowArray batch = batch_of(&schema, "1 2");
  ((uint64_t *)(uintptr_t)batch.children[1]->buffers[1])[1] = UINT64_MAX;
  ok(land("t", &schema, &batch, &error), &error);
  expect_text("SELECT max(v)::VARCHAR FROM t", "18446744073709551615");
  arrow_schema_release(&schema);
}

static void text_may_hold_zero_bytes(void **state) {
  (void)state;
  struct error error = {0};
  ok(land_words("t", "u", "0x61006200 0x610000000000000000000000000000000000000062", &error),
     &error);
  expect_text("SELECT string_agg(length(v) || ':' || hex(v), '|' ORDER BY n) FROM t",
              "4:61006200|21:610000000000000000000000000000000000000062");
}

/* ---- nested and encoded ------------------------------------------------------------------- */

/* A schema of one column v whose children the caller sets. */
static struct ArrowSchema nested_schema(const char *format, int64_t children) {
  struct ArrowSchema schema;
  struct error error = {0};
  ok(arrow_schema_init(&schema, "+s", "", false, 1, &error), &error);
  ok(arrow_schema_init(schema.children[0], format, "v", true, children, &error), &error);
  return schema;
}

static void child(struct ArrowSchema *parent, int64_t index, const char *format, const char *name,
                  int64_t children) {
  struct error error = {0};
  ok(arrow_schema_init(parent->children[index], format, name, true, children, &error), &error);
}

static void finish_and_land(struct build *build, const struct ArrowSchema *schema) {
  struct error error = {0};
  struct ArrowArray batch;
  ok(build_finish(build, &batch, &error), &error);
  build_free(build);
  ok(land("t", schema, &batch, &error), &error);
}

static struct build *builder(const struct ArrowSchema *schema) {
  struct error error = {0};
  struct build *build;
  ok(build_new(schema, &fixture_budget, &build, &error), &error);
  return build;
}

static void slot(struct build *build) {
  struct error error = {0};
  ok(build_slot(build, &error), &error);
}

static void lists_land_with_empty_and_missing_ones(void **state) {
  (void)state;
  static const char *const formats[] = {"+l", "+L"};
  for (size_t i = 0; i < 2; i++) {
    struct ArrowSchema schema = nested_schema(formats[i], 1);
    child(schema.children[0], 0, "i", "item", 0);
    struct build *build = builder(&schema), *list = build_child(build, 0);
    build_word(build_child(list, 0), "1"), build_word(build_child(list, 0), "~");
    slot(list), slot(build);
    build_word(list, "~"), slot(build);
    slot(list), slot(build);
    build_word(build_child(list, 0), "3"), slot(list), slot(build);
    finish_and_land(build, &schema);
    expect_text("SELECT string_agg(coalesce(v::VARCHAR, 'NULL'), '|' ORDER BY rowid) FROM t",
                "[1, NULL]|NULL|[]|[3]");
    run("DROP TABLE t");
    arrow_schema_release(&schema);
  }
}

static void fixed_size_lists_land_as_arrays(void **state) {
  (void)state;
  struct ArrowSchema schema = nested_schema("+w:2", 1);
  child(schema.children[0], 0, "tts", "item", 0);
  struct build *build = builder(&schema), *list = build_child(build, 0);
  build_word(build_child(list, 0), "1"), build_word(build_child(list, 0), "2");
  slot(list), slot(build);
  build_word(list, "~"), slot(build);
  build_word(build_child(list, 0), "~"), build_word(build_child(list, 0), "4");
  slot(list), slot(build);
  finish_and_land(build, &schema);
  expect_text("SELECT any_value(typeof(v)) FROM t", "TIME[2]");
  expect_text("SELECT string_agg(coalesce(v::VARCHAR, 'NULL'), '|' ORDER BY rowid) FROM t",
              "[00:00:01, 00:00:02]|NULL|[NULL, 00:00:04]");
  arrow_schema_release(&schema);
}

static void structs_and_maps_land_with_what_they_hold(void **state) {
  (void)state;
  struct ArrowSchema schema = nested_schema("+s", 2);
  child(schema.children[0], 0, "u", "a \"b\"", 0);
  child(schema.children[0], 1, "+m", "m", 1);
  struct ArrowSchema *map = schema.children[0]->children[1];
  child(map, 0, "+s", "entries", 2);
  child(map->children[0], 0, "u", "key", 0);
  child(map->children[0], 1, "l", "value", 0);
  struct build *build = builder(&schema), *row = build_child(build, 0);
  struct build *entries = build_child(build_child(row, 1), 0);
  build_word(build_child(row, 0), "'first");
  build_word(build_child(entries, 0), "'k1"), build_word(build_child(entries, 1), "1");
  slot(entries);
  build_word(build_child(entries, 0), "'k2"), build_word(build_child(entries, 1), "~");
  slot(entries), slot(build_child(row, 1)), slot(row), slot(build);
  build_word(row, "~"), slot(build);
  build_word(build_child(row, 0), "~"), build_word(build_child(row, 1), "~");
  slot(row), slot(build);
  finish_and_land(build, &schema);
  expect_text("SELECT any_value(typeof(v)) FROM t",
              "STRUCT(\"a \"\"b\"\"\" VARCHAR, m MAP(VARCHAR, BIGINT))");
  expect_text("SELECT string_agg(coalesce(v::VARCHAR, 'NULL'), '|' ORDER BY rowid) FROM t",
              "{'a \"b\"': first, 'm': {k1=1, k2=NULL}}|NULL|{'a \"b\"': NULL, 'm': NULL}");
  arrow_schema_release(&schema);
}

static void a_map_with_a_key_twice_or_missing_is_refused(void **state) {
  (void)state;
  for (int missing = 0; missing < 2; missing++) {
    struct ArrowSchema schema = nested_schema("+m", 1);
    child(schema.children[0], 0, "+s", "entries", 2);
    child(schema.children[0]->children[0], 0, "u", "key", 0);
    child(schema.children[0]->children[0], 1, "i", "value", 0);
    struct build *build = builder(&schema), *map = build_child(build, 0);
    struct build *entries = build_child(map, 0);
    build_word(build_child(entries, 0), "'other"), build_word(build_child(entries, 1), "0");
    slot(entries), slot(map), slot(build);
    for (int i = 0; i < 40; i++) {
      char word[32];
      snprintf(word, sizeof word, "'a key of some length %d", i % 39);
      build_word(build_child(entries, 0), missing && i == 39 ? "~" : word);
      build_word(build_child(entries, 1), "1"), slot(entries);
    }
    slot(map), slot(build);
    struct ArrowArray batch;
    struct error error = {0};
    ok(build_finish(build, &batch, &error), &error);
    build_free(build);
    assert_int_equal(land("t", &schema, &batch, &error), STATUS_SCHEMA);
    assert_non_null(strstr(error.text, "row 1 (the first is 0): column \"v\""));
    assert_non_null(strstr(error.text, missing ? "NULL key" : "the same key twice"));
    run("DROP TABLE t");
    arrow_schema_release(&schema);
  }
}

static void release_nothing(struct ArrowArray *array) { array->release = NULL; }
static void release_nothing_schema(struct ArrowSchema *schema) { schema->release = NULL; }

/* NULLs of a dictionary-encoded column, counted or not, and of its values. */
static void dictionaries_land_as_their_values(void **state) {
  (void)state;
  static const char *const indices[] = {"c", "C", "s", "S", "i", "I", "l", "L"};
  static const char *const values[] = {"first", "a second value, longer than twelve"};
  for (size_t i = 0; i < 8; i++) {
    const int32_t offsets[] = {0, 5, 5 + 34, 5 + 34};
    char text[64];
    snprintf(text, sizeof text, "%s%s", values[0], values[1]);
    const uint8_t value_validity = 0x3, validity = 0x1d; /* ... NULL, third value NULL */
    int64_t wide[5] = {0};
    size_t width = i / 2 == 0 ? 1 : i / 2 == 1 ? 2 : i / 2 == 2 ? 4 : 8;
    static const uint8_t picks[] = {1, 0, 0, 2, 1};
    for (size_t k = 0; k < 5; k++) memcpy((uint8_t *)wide + k * width, &picks[k], 1);
    const void *value_buffers[] = {&value_validity, offsets, text};
    const void *buffers[] = {&validity, wide};
    struct ArrowArray dictionary = {
        .length = 3, .null_count = -1, .n_buffers = 3, .buffers = value_buffers};
    struct ArrowArray column = {.length = 5,
                                .null_count = -1,
                                .n_buffers = 2,
                                .buffers = buffers,
                                .dictionary = &dictionary};
    struct ArrowSchema dictionary_schema = {.format = "u", .name = ""};
    struct ArrowSchema column_schema = {.format = indices[i],
                                        .name = "v",
                                        .flags = ARROW_FLAG_NULLABLE,
                                        .dictionary = &dictionary_schema};
    struct ArrowSchema *schema_children[] = {&column_schema};
    struct ArrowArray *children[] = {&column};
    struct ArrowSchema schema = {
        .format = "+s", .name = "", .n_children = 1, .children = schema_children};
    const void *none[] = {NULL};
    column.release = dictionary.release = release_nothing;
    schema.release = column_schema.release = dictionary_schema.release = release_nothing_schema;
    struct ArrowArray batch = {.length = 5,
                               .n_buffers = 1,
                               .buffers = none,
                               .n_children = 1,
                               .children = children,
                               .release = release_nothing};
    struct error error = {0};
    ok(land("t", &schema, &batch, &error), &error);
    expect_text("SELECT any_value(typeof(v)) FROM t", "VARCHAR");
    expect_text("SELECT string_agg(coalesce(v, 'NULL'), '|' ORDER BY rowid) FROM t",
                "a second value, longer than twelve|NULL|first|NULL|"
                "a second value, longer than twelve");
    run("DROP TABLE t");
    ((uint8_t *)wide)[4 * width] = 3; /* past the end */
    column.release = batch.release = release_nothing;
    assert_int_equal(land("t", &schema, &batch, &error), STATUS_INVALID);
    assert_non_null(strstr(error.text, "row 4 (the first is 0): column \"v\": dictionary index 3"));
    run("DROP TABLE t");
  }
}

/* ---- many rows ------------------------------------------------------------------------------ */

enum { BIG_ROWS = 700001 };

static struct arrow_shared *big_batch(const struct ArrowSchema *schema, int64_t first,
                                      int64_t rows) {
  struct error error = {0};
  struct build *build = builder(schema);
  for (int64_t i = first; i < first + rows; i++) {
    char text[40];
    int bytes =
        snprintf(text, sizeof text, i % 2 == 0 ? "%lld" : "a rather long text %lld", (long long)i);
    ok(build_integer(build_child(build, 0), i, &error), &error);
    ok(i % 7 == 0 ? build_null(build_child(build, 1), &error)
                  : build_bytes(build_child(build, 1), text, bytes, &error),
       &error);
    slot(build);
  }
  struct ArrowArray batch;
  struct arrow_shared *shared;
  ok(build_finish(build, &batch, &error), &error);
  build_free(build);
  ok(arrow_shared_new(&batch, &shared, &error), &error);
  return shared;
}

/* In one statement on several threads, from slices of any size, and cut anywhere. */
static void every_row_of_many_slices_lands_once(void **state) {
  (void)state;
  struct error error = {0};
  struct ArrowSchema schema = schema_of((struct field[]){{"n", "l"}, {"v", "u"}}, 2);
  struct arrow_shared *batch = big_batch(&schema, 0, BIG_ROWS);
  static struct engine_slice slices[BIG_ROWS / 50];
  int64_t count = 0, row = 0;
  for (unsigned seed = 7; row < BIG_ROWS; count++) {
    seed = seed * 1103515245 + 12345;
    int64_t rows = count % 5 == 0 ? 0 : count % 3 == 0 ? 1 : seed / 65536 % 3000;
    if (rows > BIG_ROWS - row) rows = BIG_ROWS - row;
    slices[count] = (struct engine_slice){batch, row, rows};
    row += rows;
  }
  struct table_name name = table_named("t");
  struct engine_insert *insert;
  ok(engine_create_table(fixture_session, &name, &schema, &error), &error);
  ok(engine_insert_open(fixture_session, &name, &schema, &insert, &error), &error);
  int64_t inserted;
  ok(engine_insert_rows(insert, slices, count, &inserted, &error), &error);
  assert_int_equal(inserted, BIG_ROWS);
  ok(engine_insert_rows(insert, slices, 0, &inserted, &error), &error);
  assert_int_equal(inserted, 0);
  engine_insert_close(insert);
  arrow_shared_release(batch);
  expect_integer("SELECT count(DISTINCT n) FROM t", BIG_ROWS);
  expect_integer("SELECT count(*) FROM t WHERE v IS DISTINCT FROM CASE WHEN n % 7 = 0 THEN NULL "
                 "WHEN n % 2 = 0 THEN n::VARCHAR ELSE 'a rather long text ' || n END",
                 0);
  /* Neighbours stay neighbours, except where a thread's run of a row group begins. */
  expect_integer("SELECT count(*) FROM (SELECT n - lag(n) OVER (ORDER BY rowid) AS step, n FROM t) "
                 "WHERE step <> 1 AND n % 122880 <> 0",
                 0);
  arrow_schema_release(&schema);
}

/* Rows are counted through all statements of an insert. */
static void a_refused_row_of_a_later_statement_is_counted_from_the_first(void **state) {
  (void)state;
  struct error error = {0};
  struct ArrowSchema schema = schema_of((struct field[]){{"n", "i"}, {"v", "tts"}}, 2);
  struct ArrowArray good = batch_of(&schema, "1 2 3"), bad = batch_of(&schema, "4 5 86400 7");
  struct arrow_shared *first, *second;
  ok(arrow_shared_new(&good, &first, &error), &error);
  ok(arrow_shared_new(&bad, &second, &error), &error);
  struct table_name name = table_named("t");
  struct engine_insert *insert;
  int64_t inserted;
  ok(engine_begin(fixture_session, &error), &error);
  ok(engine_create_table(fixture_session, &name, &schema, &error), &error);
  ok(engine_insert_open(fixture_session, &name, &schema, &insert, &error), &error);
  ok(engine_insert_rows(insert, &(struct engine_slice){first, 0, 3}, 1, &inserted, &error), &error);
  struct engine_slice slices[] = {{second, 0, 1}, {second, 1, 3}};
  assert_int_equal(engine_insert_rows(insert, slices, 2, &inserted, &error), STATUS_SCHEMA);
  assert_non_null(strstr(error.text, "row 5 (the first is 0): column \"v\""));
  assert_int_equal(inserted, 0);
  engine_insert_close(insert);
  engine_rollback(fixture_session);
  arrow_shared_release(first);
  arrow_shared_release(second);
  expect_integer("SELECT count(*) FROM duckdb_tables()", 0);
  arrow_schema_release(&schema);
}

/* ---- landing in a table that exists ------------------------------------------------------------ */

static void a_column_holds_what_it_holds_exactly_and_nothing_else(void **state) {
  (void)state;
  static const struct {
    const char *column, *format, *words, *want; /* NULL: refused */
  } cases[] = {
      {"BIGINT", "i", "-5 ~", "-5|NULL"},
      {"HUGEINT", "L", "9223372036854775807", "9223372036854775807"},
      {"BIGINT", "I", "4294967295", "4294967295"},
      {"DOUBLE", "i", "2147483647", "2147483647.0"},
      {"DOUBLE", "f", "0.1", "0.10000000149011612"},
      {"DECIMAL(20,1)", "l", "9223372036854775807", "9223372036854775807.0"},
      {"DECIMAL(10,4)", "d:6,2", "0x01000000000000000000000000000000", "0.0100"},
      {"TIMESTAMP", "tss:", "1", "1970-01-01 00:00:01"},
      {"TIMESTAMP", "tsm:", "1", "1970-01-01 00:00:00.001"},
      {"TIMESTAMP_MS", "tss:", "1", "1970-01-01 00:00:01"},
      {"ENUM('good', 'bad')", "u", "'bad ~", "bad|NULL"},
      {"JSON", "u", "'{\"a\":1}", "{\"a\":1}"},
      {"INTEGER", "n", "~", "NULL"},
      {"INTEGER", "l", "1", NULL},
      {"BIGINT", "L", "1", NULL},
      {"UINTEGER", "i", "1", NULL},
      {"FLOAT", "g", "1.0", NULL},
      {"FLOAT", "i", "1", NULL},
      {"DOUBLE", "l", "1", NULL},
      {"DECIMAL(10,4)", "d:10,2", "0x01000000000000000000000000000000", NULL},
      {"DECIMAL(10,1)", "d:5,2", "0x01000000000000000000000000000000", NULL},
      {"DECIMAL(18,0)", "l", "1", NULL},
      {"TIMESTAMP_S", "tsm:", "1", NULL},
      {"TIMESTAMP", "tsn:", "1", NULL},
      {"TIMESTAMP", "tdD", "1", NULL},
      {"TIMESTAMP", "tsu:UTC", "1", NULL},
      {"TIMESTAMPTZ", "tsu:", "1", NULL},
      {"VARCHAR", "i", "1", NULL},
      {"INTEGER", "u", "'1", NULL},
      {"BLOB", "u", "'1", NULL},
      {"VARCHAR", "z", "'1", NULL},
      {"UUID", "u", "'1", NULL},
      {"BOOLEAN", "c", "1", NULL},
      {"INTEGER[]", "i", "1", NULL},
      {"TIME", "ttn", "1", NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char sql[256];
    snprintf(sql, sizeof sql, "CREATE TABLE t (n INTEGER, v %s)", cases[i].column);
    run(sql);
    struct error error = {0};
    enum status status = land_words("t", cases[i].format, cases[i].words, &error);
    if (cases[i].want == NULL) {
      if (status != STATUS_SCHEMA || strstr(error.text, "column \"v\" is ") == NULL)
        fail_msg("%s into %s: %s %s", cases[i].format, cases[i].column, status_name(status),
                 error.text);
      expect_integer("SELECT count(*) FROM t", 0);
    } else {
      if (status != STATUS_OK)
        fail_msg("%s into %s: %s", cases[i].format, cases[i].column, error.text);
      expect_text("SELECT string_agg(coalesce(v::VARCHAR, 'NULL'), '|' ORDER BY n) FROM t",
                  cases[i].want);
    }
    run("DROP TABLE t");
  }
}

static void nested_columns_are_compared_in_depth(void **state) {
  (void)state;
  struct ArrowSchema schema = nested_schema("+s", 2);
  child(schema.children[0], 0, "i", "a", 0);
  child(schema.children[0], 1, "+l", "b", 1);
  child(schema.children[0]->children[1], 0, "s", "item", 0);
  static const struct {
    const char *type;
    bool fits;
  } cases[] = {
      {"STRUCT(a INTEGER, b SMALLINT[])", true},  {"STRUCT(A BIGINT, b INTEGER[])", true},
      {"STRUCT(b INTEGER, a SMALLINT[])", false}, {"STRUCT(a INTEGER)", false},
      {"STRUCT(a INTEGER, b TINYINT[])", false},  {"STRUCT(a INTEGER, b SMALLINT[3])", false},
      {"STRUCT(a INTEGER, b SMALLINT)", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char sql[256];
    snprintf(sql, sizeof sql, "CREATE TABLE t (v %s)", cases[i].type);
    run(sql);
    struct build *build = builder(&schema), *row = build_child(build, 0);
    build_word(build_child(row, 0), "1");
    build_word(build_child(build_child(row, 1), 0), "2");
    slot(build_child(row, 1)), slot(row), slot(build);
    struct ArrowArray batch;
    struct error error = {0};
    ok(build_finish(build, &batch, &error), &error);
    build_free(build);
    enum status status = land("t", &schema, &batch, &error);
    if (status != (cases[i].fits ? STATUS_OK : STATUS_SCHEMA))
      fail_msg("%s: %s %s", cases[i].type, status_name(status), error.text);
    if (cases[i].fits)
      expect_text("SELECT v::VARCHAR FROM t", i == 1 ? "{'A': 1, 'b': [2]}" : "{'a': 1, 'b': [2]}");
    run("DROP TABLE t");
  }
  arrow_schema_release(&schema);
}

static void columns_are_found_by_name_and_the_missing_ones_named(void **state) {
  (void)state;
  static const struct {
    const char *table;
    enum status want;
    const char *text;
  } cases[] = {
      {"CREATE TABLE t (V INTEGER, extra VARCHAR, d INTEGER DEFAULT 7, N INTEGER)", STATUS_OK, ""},
      {"CREATE TABLE t (v INTEGER)", STATUS_SCHEMA,
       "table t: it has no column \"n\", which the data has"},
      {"CREATE TABLE t (n INTEGER, v INTEGER, need VARCHAR NOT NULL)", STATUS_SCHEMA,
       "the column \"need\" is NOT NULL and has no default"},
      {"CREATE TABLE t (n INTEGER, v INTEGER, need INTEGER NOT NULL DEFAULT 1)", STATUS_OK, ""},
      {"CREATE TABLE t (n INTEGER, id INTEGER PRIMARY KEY, v INTEGER)", STATUS_SCHEMA,
       "the column \"id\" is NOT NULL"},
      {"CREATE TABLE t (n INTEGER, v INTEGER GENERATED ALWAYS AS (n + 1))", STATUS_SCHEMA,
       "Cannot insert into a generated column"},
      {"CREATE TABLE t (n INTEGER, v INTEGER NOT NULL)", STATUS_SCHEMA,
       "NOT NULL constraint failed: t.v"},
      {"CREATE TABLE t (n INTEGER, v INTEGER CHECK (v < 3))", STATUS_SCHEMA, "CHECK constraint"},
      {"CREATE TABLE t (n INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 1)",
       STATUS_SCHEMA, "Duplicate key \"n: 1\""},
      {"CREATE VIEW t AS SELECT 1 AS n, 2 AS v", STATUS_SCHEMA, "t is not an table"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    run(cases[i].table);
    struct error error = {0};
    enum status status = land_words("t", "i", "1 ~ 3", &error);
    if (status != cases[i].want || strstr(error.text, cases[i].text) == NULL)
      fail_msg("%s: %s %s", cases[i].table, status_name(status), error.text);
    if (i == 0)
      expect_text("SELECT string_agg(t::VARCHAR, '|' ORDER BY n) FROM t",
                  "{'V': 1, 'extra': NULL, 'd': 7, 'N': 0}|{'V': NULL, 'extra': NULL, 'd': 7, "
                  "'N': 1}|{'V': 3, 'extra': NULL, 'd': 7, 'N': 2}");
    run(strncmp(cases[i].table, "CREATE VIEW", 11) == 0 ? "DROP VIEW t" : "DROP TABLE t");
  }
}

/* Names are data: whatever they say, they name a table, a column, a field. */
static void hostile_names_are_names(void **state) {
  (void)state;
  static const char *const names[] = {
      "x\"; DROP TABLE keep; --",
      "' OR 1=1 --",
      "a.b.c",
      "select",
      "\\",
      "%s%n",
      "\xf0\x9f\xa6\x86",
      "arrowport_rows",
      "query",
      " lead and trail ",
      "pragma_table_info('keep')",
  };
  run("CREATE TABLE keep AS SELECT 1::BIGINT AS a");
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    struct error error = {0};
    struct ArrowSchema schema = schema_of((struct field[]){{"n", "i"}, {names[i], "i"}}, 2);
    for (int again = 0; again < 2; again++) {
      struct ArrowArray batch = batch_of(&schema, "1 2");
      ok(land(names[i], &schema, &batch, &error), &error);
    }
    struct table_name name = table_named(names[i]);
    struct engine_table table;
    ok(engine_table_info(fixture_session, &name, &table, &error), &error);
    assert_string_equal(table.columns[1].name, names[i]);
    assert_int_equal(table.rows, 4);
    engine_table_release(&table);
    arrow_schema_release(&schema);
  }
  expect_integer("SELECT sum(a)::BIGINT FROM keep", 1);
  expect_integer("SELECT count(*) FROM duckdb_tables()", 1 + sizeof names / sizeof names[0]);
}

/* SQL can make macros and temporary tables that bear the names that we use. */
static void what_sql_named_alike_does_not_come_between(void **state) {
  (void)state;
  run("CREATE MACRO arrowport_rows(x) AS TABLE SELECT 1 AS n, 2 AS v;"
      "CREATE MACRO pragma_table_info(x) AS TABLE SELECT 1 AS n, 2 AS v;"
      "CREATE TEMP TABLE t (x INTEGER)");
  struct error error = {0};
  ok(land_words("t", "tsn:", "1 ~", &error), &error);
  expect_text("SELECT string_agg(coalesce(v::VARCHAR, 'NULL'), '|' ORDER BY n) FROM memory.main.t",
              "1970-01-01 00:00:00.000000001|NULL");
  ok(land_words("b", "z", "0x00 ~", &error), &error);
  expect_text("SELECT any_value(typeof(v)) FROM b", "BLOB");
}

static void tables_say_what_they_are_or_why_they_cannot_be(void **state) {
  (void)state;
  run("CREATE TABLE taken (a INTEGER); CREATE VIEW seen AS SELECT 1; CREATE SCHEMA s");
  static const struct {
    struct table_name name;
    struct field fields[2];
    enum status want;
    const char *text;
  } cases[] = {
      {{.table = "taken"},
       {{"a", "i"}, {"b", "i"}},
       STATUS_CONFLICT,
       "table taken: there is a table"},
      {{.table = "TAKEN"}, {{"a", "i"}, {"b", "i"}}, STATUS_CONFLICT, "there is a table"},
      {{.table = "seen"}, {{"a", "i"}, {"b", "i"}}, STATUS_CONFLICT, "there is a table or view"},
      {{.table = "t"}, {{"a", "i"}, {"A", "i"}}, STATUS_SCHEMA, "two columns are named \"A\""},
      {{.table = "t"},
       {{"a", "i"}, {"", "i"}},
       STATUS_SCHEMA,
       "column 1 (the first is 0) has no name"},
      {{.table = "t"}, {{"a", "i"}, {"b", "n"}}, STATUS_UNSUPPORTED, "column \"b\" of type null"},
      {{.table = "t"}, {{"a", "i"}, {"b", "tsn:UTC"}}, STATUS_UNSUPPORTED, "timestamp[us]"},
      {{.table = "t"}, {{"a", "i"}, {"b", "d:39,0,256"}}, STATUS_UNSUPPORTED, "1 to 38 digits"},
      {{.table = "t"}, {{"a", "i"}, {"b", "d:3,-1"}}, STATUS_UNSUPPORTED, "scale from 0"},
      {{.table = "t"}, {{"a", "i"}, {"b", "tDn"}}, STATUS_UNSUPPORTED, "cast it to duration[us]"},
      {{.table = "t", .schema = "nowhere"},
       {{"a", "i"}, {"b", "i"}},
       STATUS_NOT_FOUND,
       "there is no schema \"nowhere\""},
      {{.table = "t", .schema = "s", .catalog = "nowhere"},
       {{"a", "i"}, {"b", "i"}},
       STATUS_NOT_FOUND,
       "there is no catalog \"nowhere\"; this database is \"memory\""},
      /* The session's own; sinks whose sessions are nobody's refuse it (duckdb_place.c). */
      {{.table = "t", .schema = "main", .catalog = "temp"},
       {{"a", "i"}, {"b", "i"}},
       STATUS_OK,
       ""},
      {{.table = "t", .schema = "S", .catalog = "MEMORY"}, {{"a", "i"}, {"b", "i"}}, STATUS_OK, ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema schema = schema_of(cases[i].fields, 2);
    struct error error = {0};
    enum status status = engine_create_table(fixture_session, &cases[i].name, &schema, &error);
    if (status != cases[i].want || strstr(error.text, cases[i].text) == NULL)
      fail_msg("case %zu: %s %s", i, status_name(status), error.text);
    arrow_schema_release(&schema);
  }
  run("CREATE TABLE made (a INTEGER NOT NULL, b INTEGER DEFAULT 5, c INTEGER GENERATED ALWAYS AS "
      "(a + 1))");
  struct error error = {0};
  struct engine_table table;
  struct table_name made = table_named("made");
  ok(engine_table_info(fixture_session, &made, &table, &error), &error);
  for (int64_t i = 0; i < 3; i++) {
    assert_int_equal(table.columns[i].nullable, i != 0);
    assert_int_equal(table.columns[i].has_default, i == 1);
    assert_int_equal(table.columns[i].generated, i == 2);
    assert_string_equal(table.columns[i].type, "INTEGER");
  }
  engine_table_release(&table);
  struct table_name missing = table_named("missing");
  assert_int_equal(engine_table_info(fixture_session, &missing, &table, &error), STATUS_NOT_FOUND);
  assert_string_equal(error.text, "table missing: there is no such table");
}

static void types_that_do_not_fit_are_refused_by_name(void **state) {
  (void)state;
  static const struct {
    const char *format, *type;
  } cases[] = {{"+ud:0", "union"}, {"+us:0", "union"}, {"+r", "run"}, {"+s", "at least one field"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema schema = nested_schema("+l", 1);
    int64_t children = cases[i].format[1] == 'r' ? 2 : cases[i].format[1] == 'u' ? 1 : 0;
    child(schema.children[0], 0, cases[i].format, "item", children);
    if (children > 0) child(schema.children[0]->children[0], 0, "i", "run_ends", 0);
    if (children > 1) child(schema.children[0]->children[0], 1, "i", "values", 0);
    struct text out = TEXT_EMPTY;
    struct error error = {0};
    assert_int_equal(engine_type_of(schema.children[0], &out, &error), STATUS_UNSUPPORTED);
    if (strstr(error.text, cases[i].type) == NULL || strstr(error.text, "column \"v[]\"") == NULL)
      fail_msg("%s: %s", cases[i].format, error.text);
    text_release(&out);
    arrow_schema_release(&schema);
  }
}

int main(void) {
#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
  const struct CMUnitTest tests[] = {
      IN_MEMORY(every_type_lands_exactly_at_its_limits),
      IN_MEMORY(a_value_that_the_type_does_not_hold_is_refused_with_its_row),
      IN_MEMORY(what_lies_under_a_null_is_not_looked_at),
      IN_MEMORY(text_that_is_not_utf8_is_refused),
      IN_MEMORY(unsigned_numbers_past_the_signed_ones_land),
      IN_MEMORY(text_may_hold_zero_bytes),
      IN_MEMORY(lists_land_with_empty_and_missing_ones),
      IN_MEMORY(fixed_size_lists_land_as_arrays),
      IN_MEMORY(structs_and_maps_land_with_what_they_hold),
      IN_MEMORY(a_map_with_a_key_twice_or_missing_is_refused),
      IN_MEMORY(dictionaries_land_as_their_values),
      IN_MEMORY(every_row_of_many_slices_lands_once),
      IN_MEMORY(a_refused_row_of_a_later_statement_is_counted_from_the_first),
      IN_MEMORY(a_column_holds_what_it_holds_exactly_and_nothing_else),
      IN_MEMORY(nested_columns_are_compared_in_depth),
      IN_MEMORY(columns_are_found_by_name_and_the_missing_ones_named),
      IN_MEMORY(hostile_names_are_names),
      IN_MEMORY(what_sql_named_alike_does_not_come_between),
      IN_MEMORY(tables_say_what_they_are_or_why_they_cannot_be),
      IN_MEMORY(types_that_do_not_fit_are_refused_by_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
