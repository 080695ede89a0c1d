#include "parquet/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arrow/build.h"
#include "arrow/schema.h"

static void make(struct ArrowSchema *out, const char *format, const char *name, bool nullable,
                 int64_t children) {
  struct error error = {0};
  if (arrow_schema_init(out, format, name, nullable, children, &error) != STATUS_OK)
    fail_msg("%s", error.text);
}

enum { ID, WORD, AMOUNT, TAGS, KIND, PLACE, FLAG, FIELDS };

void rows_schema(struct ArrowSchema *schema) {
  make(schema, "+s", "", false, FIELDS);
  make(schema->children[ID], "l", "id", false, 0);
  make(schema->children[WORD], "u", "word", true, 0);
  make(schema->children[AMOUNT], "g", "amount", true, 0);
  make(schema->children[TAGS], "+l", "tags", true, 1);
  make(schema->children[TAGS]->children[0], "u", "item", true, 0);
  make(schema->children[KIND], "c", "kind", true, 0);
  schema->children[KIND]->dictionary = calloc(1, sizeof(struct ArrowSchema));
  make(schema->children[KIND]->dictionary, "u", "", true, 0);
  make(schema->children[PLACE], "+s", "place", true, 2);
  make(schema->children[PLACE]->children[0], "i", "x", true, 0);
  make(schema->children[PLACE]->children[1], "f", "y", false, 0);
  make(schema->children[FLAG], "b", "flag", false, 0);
}

static void must(enum status status, const struct error *error) {
  if (status != STATUS_OK) fail_msg("%s", error->text);
}

static void add_text(struct build *build, const char *format, int64_t number) {
  char text[64];
  struct error error = {0};
  int bytes = snprintf(text, sizeof text, format, (long long)number);
  must(build_bytes(build, text, bytes, &error), &error);
}

static void add_row(struct build *rows, int64_t row) {
  struct error error = {0};
  bool is_null = row % 7 == 3;
  must(build_integer(build_child(rows, ID), row, &error), &error);
  struct build *word = build_child(rows, WORD), *tags = build_child(rows, TAGS);
  struct build *amount = build_child(rows, AMOUNT), *kind = build_child(rows, KIND);
  struct build *place = build_child(rows, PLACE);
  if (is_null) {
    must(build_null(word, &error), &error);
    must(build_null(amount, &error), &error);
    must(build_null(tags, &error), &error);
    must(build_null(kind, &error), &error);
    must(build_null(place, &error), &error);
  } else {
    add_text(word, "word %lld", row % 97 == 0 ? row : row % 50);
    must(build_double(amount, (double)row / 8, &error), &error);
    for (int64_t i = 0; i < row % 4; i++) add_text(build_child(tags, 0), "tag %lld", i);
    must(build_slot(tags, &error), &error);
    must(build_integer(kind, row % 3, &error), &error);
    must(build_integer(build_child(place, 0), row % 1000, &error), &error);
    must(build_double(build_child(place, 1), 0.5, &error), &error);
    must(build_slot(place, &error), &error);
  }
  must(build_integer(build_child(rows, FLAG), row % 2, &error), &error);
  must(build_slot(rows, &error), &error);
}

void rows_batch(int64_t first, int64_t count, struct budget *budget, struct ArrowArray *batch) {
  struct ArrowSchema schema;
  struct build *rows = NULL;
  struct error error = {0};
  rows_schema(&schema);
  must(build_new(&schema, budget, &rows, &error), &error);
  static const char *const kinds[] = {"alpha", "beta", "gamma"};
  struct build *values = build_child(build_child(rows, KIND), 0);
  for (int i = 0; i < 3; i++)
    must(build_bytes(values, kinds[i], (int64_t)strlen(kinds[i]), &error), &error);
  for (int64_t i = 0; i < count; i++) add_row(rows, first + i);
  must(build_finish(rows, batch, &error), &error);
  build_free(rows);
  arrow_schema_release(&schema);
}
