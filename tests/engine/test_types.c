/* docs/types.md is made from the tables in the code: this test fails when it is stale.
 * ARROWPORT_UPDATE_DOCS=1 in the environment writes it anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/collect.h"
#include "engine/types.h"

#define DOCUMENT ARROWPORT_TEST_DATA "/../../docs/types.md"

static void read_file(const char *path, struct text *out) {
  FILE *file = fopen(path, "r");
  if (file == NULL) fail_msg("%s cannot be opened", path);
  char piece[4096];
  size_t bytes;
  while ((bytes = fread(piece, 1, sizeof piece, file)) > 0)
    assert_int_equal(text_add_bytes(out, piece, bytes, NULL), STATUS_OK);
  fclose(file);
}

/* Puts `table` between the two marks of `name`. */
static void replace(struct text *document, const char *name, const char *table) {
  char begin[64], end[64];
  snprintf(begin, sizeof begin, "<!-- %s -->\n", name);
  snprintf(end, sizeof end, "<!-- end of %s -->", name);
  const char *from = strstr(document->data, begin), *to = strstr(document->data, end);
  if (from == NULL || to == NULL) fail_msg("docs/types.md lacks the marks of %s", name);
  struct text made = TEXT_EMPTY;
  from += strlen(begin);
  assert_int_equal(text_add_bytes(&made, document->data, (size_t)(from - document->data), NULL),
                   STATUS_OK);
  assert_int_equal(text_add(&made, table, NULL), STATUS_OK);
  assert_int_equal(text_add(&made, to, NULL), STATUS_OK);
  text_release(document);
  *document = made;
}

static void the_document_says_what_the_tables_say(void **state) {
  (void)state;
  struct text document = TEXT_EMPTY, made = TEXT_EMPTY, table = TEXT_EMPTY;
  read_file(DOCUMENT, &document);
  assert_int_equal(text_add(&made, document.data, NULL), STATUS_OK);
  assert_int_equal(types_document(&table, NULL), STATUS_OK);
  replace(&made, "arrow to duckdb", table.data);
  text_clear(&table);
  assert_int_equal(collector_document(&table, NULL), STATUS_OK);
  replace(&made, "duckdb to arrow", table.data);
  if (getenv("ARROWPORT_UPDATE_DOCS") != NULL) {
    FILE *file = fopen(DOCUMENT, "w");
    assert_non_null(file);
    assert_true(fputs(made.data, file) >= 0);
    assert_int_equal(fclose(file), 0);
  } else if (strcmp(document.data, made.data) != 0) {
    fail_msg("docs/types.md is stale: run this test with ARROWPORT_UPDATE_DOCS=1");
  }
  text_release(&document);
  text_release(&made);
  text_release(&table);
}

static struct ArrowSchema field_of(const char *format) {
  return (struct ArrowSchema){.format = format, .name = "v"};
}

static void types_are_written_as_sql(void **state) {
  (void)state;
  struct ArrowSchema item = field_of("tsn:"), key = field_of("u"), value = field_of("d:5,2");
  struct ArrowSchema *items[] = {&item}, *pair[] = {&key, &value};
  key.name = "key", value.name = "a \"b\"";
  struct ArrowSchema entries = field_of("+s"), list = field_of("+l"), array = field_of("+w:3");
  struct ArrowSchema map = field_of("+m"), words = field_of("i");
  struct ArrowSchema *map_children[] = {&entries};
  entries.n_children = 2, entries.children = pair;
  list.n_children = array.n_children = 1, list.children = array.children = items;
  map.n_children = 1, map.children = map_children;
  words.dictionary = &key;
  const struct {
    const struct ArrowSchema *field;
    const char *want;
  } cases[] = {
      {&item, "TIMESTAMP_NS"},
      {&value, "DECIMAL(5,2)"},
      {&list, "TIMESTAMP_NS[]"},
      {&array, "TIMESTAMP_NS[3]"},
      {&entries, "STRUCT(\"key\" VARCHAR, \"a \"\"b\"\"\" DECIMAL(5,2))"},
      {&map, "MAP(VARCHAR, DECIMAL(5,2))"},
      {&words, "VARCHAR"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct text out = TEXT_EMPTY;
    struct error error = {0};
    if (engine_type_of(cases[i].field, &out, &error) != STATUS_OK) fail_msg("%s", error.text);
    assert_string_equal(text_get(&out), cases[i].want);
    text_release(&out);
  }
}

static void a_schema_that_is_broken_is_not_followed(void **state) {
  (void)state;
  struct ArrowSchema item = field_of("i"), *items[] = {&item, &item};
  static const struct {
    const char *format;
    int64_t children;
  } cases[] = {{"+l", 0}, {"+l", 2}, {"+m", 1}, {"+m", 0}, {"i", 1}, {"?", 0}, {"+w:2", 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema field = field_of(cases[i].format);
    field.n_children = cases[i].children, field.children = items;
    struct text out = TEXT_EMPTY;
    struct error error = {0};
    assert_int_equal(engine_type_of(&field, &out, &error), STATUS_INVALID);
    assert_int_equal(out.size_bytes, 0);
  }
  /* Deeper than any schema should be. */
  enum { DEEP = ARROW_DEPTH_MAX + 10 };
  struct ArrowSchema deep[DEEP], *next[DEEP];
  for (int i = 0; i < DEEP; i++) {
    deep[i] = field_of(i + 1 < DEEP ? "+l" : "i");
    next[i] = &deep[i];
    if (i > 0) deep[i - 1].n_children = 1, deep[i - 1].children = &next[i];
  }
  struct text out = TEXT_EMPTY;
  struct error error = {0};
  assert_int_equal(engine_type_of(&deep[0], &out, &error), STATUS_UNSUPPORTED);
  assert_non_null(strstr(error.text, "nested too deeply"));
}

static void names_that_differ_in_case_alone_are_one(void **state) {
  (void)state;
  static const char *const names[] = {"a", "b", "\xc3\x84", "\xc3\xa4", "AB", "ab"};
  struct ArrowSchema fields[6], *children[6];
  struct ArrowSchema schema = {.format = "+s", .children = children};
  for (int i = 0; i < 6; i++) {
    fields[i] = (struct ArrowSchema){.format = "i", .name = names[i]};
    children[i] = &fields[i];
  }
  schema.n_children = 5;
  assert_null(types_name_twice(&schema));
  schema.n_children = 6;
  assert_string_equal(types_name_twice(&schema), "ab");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_document_says_what_the_tables_say),
      cmocka_unit_test(types_are_written_as_sql),
      cmocka_unit_test(a_schema_that_is_broken_is_not_followed),
      cmocka_unit_test(names_that_differ_in_case_alone_are_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
