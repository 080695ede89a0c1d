#include "rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/build.h"

struct budget rows_budget = {.limit_bytes = (int64_t)1 << 31};

void rows_ok(enum status status, const struct error *error) {
  if (status != STATUS_OK) fail_msg("%s: %s", status_name(status), error->text);
}

static const struct letter {
  char letter;
  const char *name, *format;
} letters[] = {
    {'n', "n", "l"},
    {'a', "a", "u"},
    {'b', "b", "l"},
    {'i', "b", "i"},
    {'d', "d", "tdm"},
    {'x', "x", "u"},
    {'_', SINK_OPERATION, "u"},
};

static const struct letter *letter_of(char letter) {
  for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
    if (letters[i].letter == letter) return &letters[i];
  fail_msg("there is no column '%c'", letter);
  return NULL;
}

void rows_schema(const char *columns, struct ArrowSchema *schema) {
  struct error error = {0};
  rows_ok(arrow_schema_init(schema, "+s", "", false, (int64_t)strlen(columns), &error), &error);
  for (size_t i = 0; columns[i] != '\0'; i++) {
    const struct letter *letter = letter_of(columns[i]);
    rows_ok(arrow_schema_init(schema->children[i], letter->format, letter->name, true, 0, &error),
            &error);
  }
}

static void put_text(struct build *build, const char *text) {
  struct error error = {0};
  rows_ok(text == NULL ? build_null(build, &error)
                       : build_bytes(build, text, (int64_t)strlen(text), &error),
          &error);
}

static void put_number(struct build *build, int64_t number) {
  struct error error = {0};
  rows_ok(number == NUL ? build_null(build, &error) : build_integer(build, number, &error), &error);
}

struct ArrowArray rows_batch(const struct ArrowSchema *schema, const char *columns,
                             const struct row *rows, size_t count) {
  struct build *build;
  struct ArrowArray batch;
  struct error error = {0};
  rows_ok(build_new(schema, &rows_budget, &build, &error), &error);
  for (size_t r = 0; r < count; r++) {
    for (size_t i = 0; columns[i] != '\0'; i++) {
      struct build *column = build_child(build, (int64_t)i);
      switch (columns[i]) {
      case 'n': put_number(column, rows[r].n); break;
      case 'b':
      case 'i':
      case 'd': put_number(column, rows[r].b); break;
      case '_': put_text(column, rows[r].op); break;
      default: put_text(column, rows[r].a); break;
      }
    }
    rows_ok(build_slot(build, &error), &error);
  }
  rows_ok(build_finish(build, &batch, &error), &error);
  build_free(build);
  return batch;
}
