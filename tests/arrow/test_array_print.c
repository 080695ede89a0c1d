/* Arrays as people see them: the text is compared as a whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/array.h"
#include "arrow/grid.h"
#include "arrow/handmade.h"

#define NODE &(const struct handmade)

static const struct handmade flights = {
    "+s", "", .length = 3,
    .children = {NODE{"i", "id", .length = 3, .buffers = {NONE, I32(7, 1234, -1)}},
                 NODE{"u", "from", .length = 3, .null_count = 1,
                      .buffers = {U8(5), I32(0, 3, 3, 9), CHARS("BERa\nb,\"c")}},
                 NODE{"+r", "price", .length = 3,
                      .children = {NODE{"s", "run_ends", .length = 2, .buffers = {NONE, I16(2, 3)}},
                                   NODE{"d:5,2,32", "values", .length = 2, .null_count = 1,
                                        .buffers = {U8(1), I32(1999, 0)}}}},
                 NODE{"+us:0,1", "any", .length = 3, .buffers = {I8(0, 1, 0)},
                      .children = {NODE{"b", "flag", .length = 3, .buffers = {NONE, U8(1)}},
                                   NODE{"n", "none", .length = 3, .null_count = 3}}}}};

static struct text print(const struct handmade *node, int64_t rows_max, size_t width) {
  struct ArrowSchema schema = handmade_schema(node);
  struct ArrowArray array = handmade_array(node);
  struct text out = TEXT_EMPTY;
  struct error error = {0};
  if (arrow_array_print(&schema, &array, rows_max, width, &out, &error) != STATUS_OK)
    fail_msg("%s", error.text);
  arrow_array_release(&array);
  arrow_schema_release(&schema);
  return out;
}

static void expect(const struct handmade *node, int64_t rows_max, size_t width, const char *want) {
  struct text out = print(node, rows_max, width);
  assert_string_equal(text_get(&out), want);
  text_release(&out);
}

static void a_record_batch_is_a_table_of_its_columns(void **state) {
  (void)state;
  expect(&flights, 10, 0,
         "   id | from    |                    price | any\n"
         "int32 | utf8    | run_end_encoded<run_end… | sparse_union<flag: bool…\n"
         "------+---------+--------------------------+-------------------------\n"
         "    7 | BER     |                    19.99 | {\"flag\":true}\n"
         " 1234 | NULL    |                    19.99 | {\"none\":null}\n"
         "   -1 | a\\nb,\"c |                     NULL | {\"flag\":false}\n"
         "(3 rows)\n");
}

static void more_rows_and_columns_are_counted(void **state) {
  (void)state;
  expect(&flights, 1, 30,
         "   id | from |           price\n"
         "int32 | utf8 | run_end_encode…\n"
         "------+------+----------------\n"
         "    7 | BER  |           19.99\n"
         "(3 rows, the first 1 shown; 1…\n");
  expect(&flights, 2, 45,
         "   id | from |         price | any\n"
         "int32 | utf8 | run_end_enco… | sparse_union<…\n"
         "------+------+---------------+---------------\n"
         "    7 | BER  |         19.99 | {\"flag\":true}\n"
         " 1234 | NULL |         19.99 | {\"none\":null}\n"
         "(3 rows, the first 2 shown)\n");
  expect(&flights, 0, 12,
         "   id | from\n"
         "int32 | utf8\n"
         "------+-----\n"
         "(3 rows, th…\n");
}

static void an_array_of_another_type_is_one_column(void **state) {
  (void)state;
  expect(NODE{"+l", "words", .length = 2, .buffers = {NONE, I32(0, 2, 2)},
              .children = {NODE{"u", "item", .length = 2, .offset = 1,
                                .buffers = {NONE, I32(0, 1, 2, 3), CHARS("xyz")}}}},
         10, 80,
         "words\n"
         "list<item: utf8>\n"
         "----------------\n"
         "[\"y\",\"z\"]\n"
         "[]\n"
         "(2 rows)\n");
  expect(NODE{"n", .length = 1, .null_count = 1}, 10, 80, "\nnull\n----\nNULL\n(1 row)\n");
}

static void structs_that_are_null_are_a_column(void **state) {
  (void)state;
  expect(NODE{"+s", "point", .length = 2, .null_count = 1, .buffers = {U8(2)},
              .children = {NODE{"c", "x", .length = 2, .buffers = {NONE, I8(1, 2)}}}},
         10, 80,
         "point\n"
         "struct<x: int8>\n"
         "---------------\n"
         "NULL\n"
         "{\"x\":2}\n"
         "(2 rows)\n");
}

static void nothing_is_a_table_too(void **state) {
  (void)state;
  expect(NODE{"+s", .length = 1234567}, 10, 80, "(1,234,567 rows)\n");
  expect(NODE{"+s", .length = 0, .children = {NODE{"i", "a", .length = 0}}}, 10, 80,
         "    a\nint32\n-----\n(0 rows)\n");
}

/* Whatever is in the cells: wide characters and those without width, too. */
static void no_line_is_wider_than_it_may_be(void **state) {
  (void)state;
  const struct handmade *batch = NODE{
      "+s", .length = 2,
      .children = {NODE{"u", "\xE5\x90\x8D\xE5\x89\x8D\xE3\x81\xAF", .length = 2,
                        .buffers = {NONE, I32(0, 15, 19),
                                    CHARS("\xE6\x9D\xB1\xE4\xBA\xAC\xE3\x83\x90\xE6\x9D\xB1"
                                          "\xE4\xBA\xAC"
                                          "e\xCC\x81x")}},
                   NODE{"l", "n", .length = 2, .buffers = {NONE, I64(1, INT64_MIN)}},
                   NODE{"z", "bytes", .length = 2,
                        .buffers = {NONE, I32(0, 30, 30), CHARS("012345678901234567890123456789")}},
                   NODE{"tss:Europe/Berlin", "t", .length = 2, .buffers = {NONE, I64(0, 1)}}}};
  for (size_t width = 1; width <= 120; width++) {
    struct text out = print(batch, 1, width);
    for (const char *line = text_get(&out); *line != '\0';) {
      const char *end = strchr(line, '\n');
      size_t columns = 0;
      for (; line < end; line++) {
        uint8_t byte = (uint8_t)*line;
        if (byte == 0xCC) continue; /* the accent takes no room */
        if (byte >= 0xE3)
          columns += 2;
        else if (byte < 0x80 || byte == 0xE2)
          columns++;
      }
      if (columns > width) fail_msg("%zu columns of %zu:\n%s", columns, width, text_get(&out));
      line = end + 1;
    }
    text_release(&out);
  }
}

static void what_is_no_array_of_the_schema_is_refused(void **state) {
  (void)state;
  const struct handmade broken[] = {
      {"+l", "a", .length = 1, .buffers = {NONE, I32(0, 4)},
       .children = {NODE{"i", "item", .length = 1, .buffers = {NONE, I32(1)}}}},
      {"c", "a", .length = 1, .buffers = {NONE, I8(3)},
       .dictionary = NODE{"i", .length = 1, .buffers = {NONE, I32(1)}}},
      {"+us:3", "a", .length = 1, .buffers = {I8(4)},
       .children = {NODE{"i", "item", .length = 1, .buffers = {NONE, I32(1)}}}},
  };
  for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
    struct ArrowSchema schema = handmade_schema(&broken[i]);
    struct ArrowArray array = handmade_array(&broken[i]);
    struct text out = TEXT_EMPTY;
    struct error error = {0};
    assert_int_equal(text_add(&out, "before", NULL), STATUS_OK);
    assert_int_equal(arrow_array_print(&schema, &array, 10, 80, &out, &error), STATUS_INVALID);
    assert_non_null(strstr(error.text, "a"));
    assert_string_equal(text_get(&out), "before");
    text_release(&out);
    arrow_array_release(&array);
    arrow_schema_release(&schema);
  }
}

static void numbers_are_grouped(void **state) {
  (void)state;
  static const struct {
    int64_t number;
    const char *text;
  } cases[] = {{0, "0"},
               {-1, "-1"},
               {999, "999"},
               {1000, "1,000"},
               {-1000, "-1,000"},
               {-100, "-100"},
               {1234567, "1,234,567"},
               {INT64_MIN, "-9,223,372,036,854,775,808"}};
  char text[GRID_NUMBER_BYTES];
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_string_equal(grid_number(cases[i].number, text), cases[i].text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_record_batch_is_a_table_of_its_columns),
      cmocka_unit_test(more_rows_and_columns_are_counted),
      cmocka_unit_test(an_array_of_another_type_is_one_column),
      cmocka_unit_test(structs_that_are_null_are_a_column),
      cmocka_unit_test(nothing_is_a_table_too),
      cmocka_unit_test(no_line_is_wider_than_it_may_be),
      cmocka_unit_test(what_is_no_array_of_the_schema_is_refused),
      cmocka_unit_test(numbers_are_grouped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
