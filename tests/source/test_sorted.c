/* Rows sorted by the engine: their order, what becomes of their types, what is refused, and memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "arrow/build.h"
#include "source/rows.h"
#include "source/source.h"

enum { BATCHES_MAX = 64, NONE = -1000, SPILL_ROWS = 50000, SPILL_BATCHES = 24 };

static struct budget budget = {.limit_bytes = 64 << 20};
static char folder[] = "/tmp/arrowport-sorted-XXXXXX";

/* ---- a source of batches that are made here -------------------------------------------------- */

struct made {
  struct source source;
  struct ArrowSchema schema;
  struct ArrowArray batches[BATCHES_MAX];
  int count, given, budget_at; /* the batch before which memory is refused once */
};

static void made_close(struct source *source) {
  struct made *made = (struct made *)source;
  for (int i = made->given; i < made->count; i++) made->batches[i].release(&made->batches[i]);
  arrow_schema_release(&made->schema);
}

static const struct ArrowSchema *made_schema(struct source *source) {
  return &((struct made *)source)->schema;
}

static enum status made_next(struct source *source, struct ArrowArray *batch, struct error *error) {
  struct made *made = (struct made *)source;
  if (made->given == made->count) return STATUS_OK;
  if (made->budget_at == made->given) {
    made->budget_at = -1;
    return error_set(error, STATUS_BUDGET, "not now");
  }
  arrow_array_move(&made->batches[made->given++], batch);
  return STATUS_OK;
}

static const struct source_type type = {.name = "made",
                                        .summary = "of a test",
                                        .close = made_close,
                                        .schema = made_schema,
                                        .next = made_next};

/* Columns by name and format. */
static void begin(struct made *made, const char *const (*fields)[2], int count) {
  *made = (struct made){.source = {.type = &type}, .budget_at = -1};
  assert_int_equal(arrow_schema_init(&made->schema, "+s", "", false, count, NULL), STATUS_OK);
  for (int i = 0; i < count; i++)
    assert_int_equal(
        arrow_schema_init(made->schema.children[i], fields[i][1], fields[i][0], true, 0, NULL),
        STATUS_OK);
}

/* A batch of one more column of integers for each row, NONE being NULL. */
static void add_integers(struct made *made, const int *values, int rows) {
  struct build *build = NULL;
  int64_t columns = made->schema.n_children;
  assert_int_equal(build_new(&made->schema, &budget, &build, NULL), STATUS_OK);
  for (int row = 0; row < rows; row++) {
    for (int64_t i = 0; i < columns; i++) {
      int value = values[row * columns + i];
      assert_int_equal(value == NONE ? build_null(build_child(build, i), NULL)
                                     : build_integer(build_child(build, i), value, NULL),
                       STATUS_OK);
    }
    assert_int_equal(build_slot(build, NULL), STATUS_OK);
  }
  assert_int_equal(build_finish(build, &made->batches[made->count++], NULL), STATUS_OK);
  build_free(build);
}

static enum status sort(struct made *made, const struct source_sort_key *keys, size_t count,
                        struct source **sorted, struct error *error) {
  const struct source_sort_options options = {
      .keys = keys, .key_count = count, .threads = 2, .budget = &budget};
  return source_open_sorted(&made->source, &options, sorted, error);
}

/* The values of an int64 column, from beginning to end. */
static int read_all(struct source *source, int64_t column, int *values, int room) {
  struct error error = {.status = STATUS_OK};
  int count = 0;
  for (;;) {
    struct ArrowArray batch = {.release = NULL};
    if (source_next(source, &batch, &error) != STATUS_OK) fail_msg("%s", error.text);
    if (batch.release == NULL) return count;
    const struct ArrowArray *child = batch.children[column];
    for (int64_t i = 0; i < batch.length && count < room; i++)
      values[count++] = (int)((const int64_t *)child->buffers[1])[child->offset + i];
    batch.release(&batch);
  }
}

/* ---- order ----------------------------------------------------------------------------------- */

static void rows_come_in_the_order_asked_for_and_equal_ones_in_theirs(void **state) {
  (void)state;
  static const char *const fields[][2] = {{"k", "i"}, {"k2", "i"}, {"K", "l"}};
  static const struct {
    struct source_sort_key keys[2];
    size_t count;
    int want[7];
  } cases[] = {
      {{{"k", false, false}}, 1, {1, 4, 6, 0, 3, 2, 5}},
      {{{"k", true, false}}, 1, {0, 3, 1, 4, 6, 2, 5}},
      {{{"k", false, true}}, 1, {2, 5, 1, 4, 6, 0, 3}},
      {{{"k", true, true}}, 1, {2, 5, 0, 3, 1, 4, 6}},
      {{{"k", false, false}, {"k2", true, false}}, 2, {4, 1, 6, 3, 0, 5, 2}},
      {{{"K", true, false}}, 1, {6, 5, 4, 3, 2, 1, 0}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct made made;
    struct source *sorted = NULL;
    struct error error = {.status = STATUS_OK};
    int values[8];
    begin(&made, fields, 3);
    add_integers(&made, (const int[]){2, 1, 0, 1, 5, 1, NONE, 1, 2}, 3);
    add_integers(&made, (const int[]){2, 7, 3}, 1);
    add_integers(&made, (const int[]){1, 9, 4, NONE, 3, 5, 1, 0, 6}, 3);
    made.budget_at = 1;
    if (sort(&made, cases[i].keys, cases[i].count, &sorted, &error) != STATUS_OK)
      fail_msg("%s", error.text);
    assert_string_equal(source_schema(sorted)->children[2]->name, "K");
    assert_int_equal(read_all(sorted, 2, values, 8), 7);
    assert_memory_equal(values, cases[i].want, sizeof cases[i].want);
    source_close(sorted);
    source_close(&made.source);
    assert_int_equal(atomic_load(&budget.used_bytes), 0);
  }
}

static void no_rows_are_sorted_too(void **state) {
  (void)state;
  static const char *const fields[][2] = {{"k", "l"}};
  struct made made;
  struct source *sorted = NULL;
  int values[1];
  begin(&made, fields, 1);
  assert_int_equal(sort(&made, &(struct source_sort_key){.path = "k"}, 1, &sorted, NULL),
                   STATUS_OK);
  assert_int_equal(read_all(sorted, 0, values, 1), 0);
  source_close(sorted);
  source_close(&made.source);
}

/* ---- types ----------------------------------------------------------------------------------- */

static void types_are_the_same_or_told(void **state) {
  (void)state;
  static const struct {
    const char *from, *to; /* NULL: refused */
  } cases[] = {{"l", "l"},       {"C", "C"},         {"u", "u"},
               {"U", "u"},       {"vu", "u"},        {"Z", "z"},
               {"vz", "z"},      {"w:4", "z"},       {"e", "f"},
               {"tdD", "tdD"},   {"tdm", "tdD"},     {"tts", "ttu"},
               {"ttn", "ttn"},   {"d:9,2", "d:9,2"}, {"tsu:Europe/Paris", "tsu:Europe/Paris"},
               {"tss:", "tss:"}, {"tsn:", "tsn:"},   {"tsm:Asia/Tokyo", "tsu:Asia/Tokyo"},
               {"tDu", NULL},    {"tiM", NULL},      {"tsn:UTC", NULL},
               {"n", NULL}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *const fields[][2] = {{"k", "i"}, {"value", cases[i].from}};
    struct made made;
    struct source *sorted = NULL;
    struct error error = {.status = STATUS_OK};
    begin(&made, fields, 2);
    made.schema.children[1]->flags = 0;
    enum status status = sort(&made, &(struct source_sort_key){.path = "k"}, 1, &sorted, &error);
    if (cases[i].to == NULL) {
      assert_int_equal(status, STATUS_UNSUPPORTED);
      expect_said(error.text, "value");
    } else {
      if (status != STATUS_OK) fail_msg("%s: %s", cases[i].from, error.text);
      assert_string_equal(source_schema(sorted)->children[1]->format, cases[i].to);
      assert_string_equal(source_schema(sorted)->children[1]->name, "value");
      assert_int_equal(source_schema(sorted)->children[1]->flags, 0); /* not nullable, as it was */
    }
    source_close(sorted);
    source_close(&made.source);
  }
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void keys_are_columns_and_fields_of_structs(void **state) {
  (void)state;
  static const struct {
    const char *path;
    enum status status;
    const char *said;
  } cases[] = {{"plain", STATUS_OK, NULL},
               {"a.b", STATUS_OK, NULL},
               {"a.c.d", STATUS_OK, NULL},
               {"a.x", STATUS_OK, NULL}, /* a column of that name, dot and all */
               {"plian", STATUS_NOT_FOUND, "no column 'plian'; did you mean 'plain'?"},
               {"a.z", STATUS_NOT_FOUND, "no column 'a.z'"},
               {"a.b.c", STATUS_NOT_FOUND, "no column 'a.b.c'"},
               {"plain.a", STATUS_NOT_FOUND, "no column 'plain.a'"},
               {"a", STATUS_UNSUPPORTED, "'a' is struct<"},
               {"l", STATUS_UNSUPPORTED, "'l' is list<"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct made made = {.source = {.type = &type}, .budget_at = -1};
    struct ArrowSchema *schema = &made.schema;
    struct source *sorted = NULL;
    struct error error = {.status = STATUS_OK};
    assert_int_equal(arrow_schema_init(schema, "+s", "", false, 4, NULL), STATUS_OK);
    struct ArrowSchema *a = schema->children[0];
    assert_int_equal(arrow_schema_init(a, "+s", "a", true, 2, NULL), STATUS_OK);
    assert_int_equal(arrow_schema_init(a->children[0], "u", "b", true, 0, NULL), STATUS_OK);
    assert_int_equal(arrow_schema_init(a->children[1], "+s", "c", true, 1, NULL), STATUS_OK);
    assert_int_equal(arrow_schema_init(a->children[1]->children[0], "l", "d", true, 0, NULL),
                     STATUS_OK);
    assert_int_equal(arrow_schema_init(schema->children[1], "l", "plain", true, 0, NULL),
                     STATUS_OK);
    assert_int_equal(arrow_schema_init(schema->children[2], "l", "a.x", true, 0, NULL), STATUS_OK);
    assert_int_equal(arrow_schema_init(schema->children[3], "+l", "l", true, 1, NULL), STATUS_OK);
    assert_int_equal(
        arrow_schema_init(schema->children[3]->children[0], "l", "item", true, 0, NULL), STATUS_OK);
    assert_int_equal(
        sort(&made, &(struct source_sort_key){.path = cases[i].path}, 1, &sorted, &error),
        cases[i].status);
    if (cases[i].said != NULL) expect_said(error.text, cases[i].said);
    source_close(sorted);
    source_close(&made.source);
  }
}

/* ---- memory and giving up -------------------------------------------------------------------- */

static void add_long_texts(struct made *made, int first, int rows) {
  struct build *build = NULL;
  char text[64];
  assert_int_equal(build_new(&made->schema, &budget, &build, NULL), STATUS_OK);
  for (int i = first; i < first + rows; i++) {
    uint32_t mixed = (uint32_t)i * 2654435761u;
    int bytes = snprintf(text, sizeof text, "%010u the rest of a text that is long", mixed);
    assert_int_equal(build_bytes(build_child(build, 0), text, bytes, NULL), STATUS_OK);
    assert_int_equal(build_integer(build_child(build, 1), i, NULL), STATUS_OK);
    assert_int_equal(build_slot(build, NULL), STATUS_OK);
  }
  assert_int_equal(build_finish(build, &made->batches[made->count++], NULL), STATUS_OK);
  build_free(build);
}

static bool give_up(void *context, int64_t rows, double fraction) {
  int64_t *limit = context;
  assert_true(fraction < 0);
  return rows < *limit;
}

static void more_than_the_memory_goes_into_the_folder(void **state) {
  (void)state;
  static const char *const fields[][2] = {{"k", "u"}, {"n", "l"}};
  const struct source_sort_key key = {.path = "k"};
  for (int spills = 0; spills < 2; spills++) {
    struct made made;
    struct source *sorted = NULL;
    struct error error = {.status = STATUS_OK};
    struct budget wide = {.limit_bytes = 64 << 20};
    const struct source_sort_options options = {.keys = &key,
                                                .key_count = 1,
                                                .threads = 1,
                                                .budget = &wide,
                                                .memory_limit_bytes = 32 << 20,
                                                .spill_folder = spills ? folder : NULL};
    begin(&made, fields, 2);
    budget.limit_bytes = INT64_MAX;
    for (int i = 0; i < SPILL_BATCHES; i++) add_long_texts(&made, i * SPILL_ROWS, SPILL_ROWS);
    enum status status = source_open_sorted(&made.source, &options, &sorted, &error);
    uint32_t before = 0;
    int64_t rows = 0;
    while (status == STATUS_OK) {
      struct ArrowArray batch = {.release = NULL};
      status = source_next(sorted, &batch, &error);
      if (status != STATUS_OK || batch.release == NULL) break;
      const int64_t *numbers = batch.children[1]->buffers[1];
      for (int64_t i = 0; i < batch.length; i++) {
        uint32_t mixed = (uint32_t)numbers[batch.children[1]->offset + i] * 2654435761u;
        if (rows + i > 0) assert_true(mixed > before);
        before = mixed;
      }
      rows += batch.length;
      batch.release(&batch);
    }
    if (spills && status != STATUS_OK) fail_msg("%s", error.text);
    if (!spills) assert_int_equal(status, STATUS_BUDGET);
    if (spills) assert_int_equal(rows, (int64_t)SPILL_ROWS * SPILL_BATCHES);
    source_close(sorted);
    source_close(&made.source);
    budget.limit_bytes = 64 << 20;
  }
}

static void sorting_can_be_given_up(void **state) {
  (void)state;
  static const char *const fields[][2] = {{"k", "l"}};
  const struct source_sort_key key = {.path = "k"};
  int64_t limit = 2;
  struct made made;
  struct source *sorted = NULL;
  struct error error = {.status = STATUS_OK};
  const struct source_sort_options options = {
      .keys = &key, .key_count = 1, .budget = &budget, .progress = give_up, .context = &limit};
  begin(&made, fields, 1);
  for (int i = 0; i < 4; i++) add_integers(&made, &i, 1);
  assert_int_equal(source_open_sorted(&made.source, &options, &sorted, &error), STATUS_CANCELLED);
  assert_null(sorted);
  assert_int_equal(made.given, 2);
  source_close(&made.source);
  assert_int_equal(atomic_load(&budget.used_bytes), 0);
}

static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state) {
  (void)state;
  DIR *listed = opendir(folder);
  if (listed == NULL) return 0; /* DuckDB takes it away with the last file */
  for (const struct dirent *entry = readdir(listed); entry != NULL; entry = readdir(listed))
    unlinkat(dirfd(listed), entry->d_name, 0);
  closedir(listed);
  return rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_come_in_the_order_asked_for_and_equal_ones_in_theirs),
      cmocka_unit_test(no_rows_are_sorted_too),
      cmocka_unit_test(types_are_the_same_or_told),
      cmocka_unit_test(keys_are_columns_and_fields_of_structs),
      cmocka_unit_test(more_than_the_memory_goes_into_the_folder),
      cmocka_unit_test(sorting_can_be_given_up),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
