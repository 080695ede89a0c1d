#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/table_name.h"

static void names_are_cut_into_parts_at_dots_outside_quotes(void **state) {
  (void)state;
  static const struct {
    const char *given;
    const char *catalog, *schema, *table;
    const char *printed; /* NULL: as given */
  } cases[] = {
      {"events", "", "", "events", NULL},
      {"main.events", "", "main", "events", NULL},
      {"lake.main.events", "lake", "main", "events", NULL},
      {"\"a.b\".c", "", "a.b", "c", NULL},
      {"\"plain\"", "", "", "plain", "plain"},
      {"\"say \"\"hi\"\"\"", "", "", "say \"hi\"", NULL},
      {"x\"; drop table y; --", "", "", "x\"; drop table y; --", "\"x\"\"; drop table y; --\""},
      {"größe \xF0\x9F\x9A\x80", "", "", "größe \xF0\x9F\x9A\x80", NULL},
      {" ", "", "", " ", NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct table_name name;
    struct error error = {0};
    assert_int_equal(table_name_parse(cases[i].given, strlen(cases[i].given), &name, &error),
                     STATUS_OK);
    assert_string_equal(name.catalog, cases[i].catalog);
    assert_string_equal(name.schema, cases[i].schema);
    assert_string_equal(name.table, cases[i].table);

    struct text printed = TEXT_EMPTY;
    assert_int_equal(table_name_print(&name, &printed, NULL), STATUS_OK);
    assert_string_equal(text_get(&printed), cases[i].printed ? cases[i].printed : cases[i].given);
    struct table_name again;
    assert_int_equal(table_name_parse(printed.data, printed.size_bytes, &again, NULL), STATUS_OK);
    assert_memory_equal(&again, &name, sizeof name);
    text_release(&printed);
  }
}

static void a_name_that_could_mean_something_else_is_refused_with_its_place(void **state) {
  (void)state;
  static const struct {
    const char *given;
    size_t bytes;
    const char *why;
  } cases[] = {
      {"", 0, "empty"},
      {"a\nb", 3, "control character at byte 1"},
      {"a\0b", 3, "control character at byte 1"},
      {"a\x7F", 2, "control character at byte 1"},
      {"a\xC2\x85", 3, "control character at byte 1"},
      {"a\xFFz", 3, "not UTF-8 at byte 1"},
      {"a..b", 4, "empty at byte 2"},
      {".a", 2, "empty at byte 0"},
      {"a.", 2, "empty at byte 2"},
      {"\"\"", 2, "empty at byte 0"},
      {"a.b.c.d", 7, "more than three parts"},
      {"\"open", 5, "byte 0 of a table name is not closed"},
      {"\"a\"b", 4, "follows a closing quote"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct table_name name;
    struct error error = {0};
    assert_int_equal(table_name_parse(cases[i].given, cases[i].bytes, &name, &error),
                     STATUS_INVALID);
    assert_non_null(strstr(error.text, cases[i].why));
  }
}

static void names_have_1_to_255_bytes(void **state) {
  (void)state;
  char longest[TABLE_NAME_BYTES_MAX + 1];
  memset(longest, 'n', sizeof longest);
  struct table_name name;
  assert_int_equal(table_name_parse(longest, TABLE_NAME_BYTES_MAX, &name, NULL), STATUS_OK);
  assert_int_equal(strlen(name.table), TABLE_NAME_BYTES_MAX);
  assert_int_equal(table_name_parse(longest, TABLE_NAME_BYTES_MAX + 1, &name, NULL),
                   STATUS_INVALID);
}

static void sql_quotes_every_part(void **state) {
  (void)state;
  static const char given[] = "main.x\"; drop table y; --";
  struct table_name name;
  assert_int_equal(table_name_parse(given, strlen(given), &name, NULL), STATUS_OK);
  struct text sql = TEXT_EMPTY;
  assert_int_equal(table_name_sql(&name, &sql, NULL), STATUS_OK);
  assert_string_equal(text_get(&sql), "\"main\".\"x\"\"; drop table y; --\"");
  text_release(&sql);
}

static void the_same_table_may_be_written_in_several_ways(void **state) {
  (void)state;
  static const struct {
    const char *left, *right;
    bool same;
  } cases[] = {
      {"t", "T", true},           {"t", "main.t", true},
      {"MAIN.t", "Main.T", true}, {"t", "u", false},
      {"a.t", "t", false},        {"a.t", "A.t", true},
      {"c.a.t", "a.t", false},    {"c.main.t", "C.MAIN.t", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct table_name left, right;
    assert_int_equal(table_name_parse(cases[i].left, strlen(cases[i].left), &left, NULL),
                     STATUS_OK);
    assert_int_equal(table_name_parse(cases[i].right, strlen(cases[i].right), &right, NULL),
                     STATUS_OK);
    assert_int_equal(table_name_same(&left, &right), cases[i].same);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_are_cut_into_parts_at_dots_outside_quotes),
      cmocka_unit_test(a_name_that_could_mean_something_else_is_refused_with_its_place),
      cmocka_unit_test(names_have_1_to_255_bytes),
      cmocka_unit_test(sql_quotes_every_part),
      cmocka_unit_test(the_same_table_may_be_written_in_several_ways),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
