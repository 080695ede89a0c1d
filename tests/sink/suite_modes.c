/* The part of the suite about loads by key: upsert and merge. Sinks without these modes refuse
 * them by name, which suite.c tests. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rows.h"
#include "suite.h"

static const struct suite_target *target;
static struct sink *sink;

static int setup(void **state) {
  (void)state;
  struct config *config;
  struct error error = {0};
  rows_budget.used_bytes = 0;
  rows_ok(config_new(sink_find(target->sink)->config, &config, &error), &error);
  target->configure(config);
  rows_ok(sink_open(target->sink, config, &sink, &error), &error);
  config_free(config);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  sink_close(sink);
  target->clean();
  return rows_budget.used_bytes == 0 ? 0 : 1;
}

static bool takes(enum sink_mode mode) { return (sink->type->modes & (unsigned)mode) != 0; }

/* ---- data ------------------------------------------------------------------------------------ */

struct keyed {
  enum sink_mode mode;
  const char *columns;
  const char *keys[3];
  bool refuse_duplicates;
};

/* Lands the rows, each in a batch of its own when `apart`. */
static enum status land(const struct keyed *how, const struct row *rows, size_t count, bool apart,
                        struct error *error) {
  struct ArrowSchema schema;
  struct load *load = NULL;
  struct load_result result;
  rows_schema(how->columns, &schema);
  struct load_spec spec = {.schema = &schema,
                           .mode = how->mode,
                           .create_table = true,
                           .keys = how->keys,
                           .refuse_duplicates = how->refuse_duplicates};
  memcpy(spec.table.table, "t", 2);
  while (spec.key_count < 3 && how->keys[spec.key_count] != NULL) spec.key_count++;
  enum status status = load_begin(sink, &spec, &load, error);
  size_t step = apart ? 1 : count;
  for (size_t i = 0; i < count && status == STATUS_OK; i += step) {
    struct ArrowArray batch = rows_batch(&schema, how->columns, rows + i, step);
    status = load_append(load, &batch, error);
    if (status != STATUS_OK) arrow_array_release(&batch);
  }
  if (status == STATUS_OK) {
    status = load_commit(load, &result, error);
    if (status == STATUS_OK) assert_int_equal(result.rows, count);
  } else {
    load_abort(load);
  }
  arrow_schema_release(&schema);
  return status;
}

static void expect(const char *want) {
  struct text got = TEXT_EMPTY;
  struct error error = {0};
  struct table_name name = {.table = "t"};
  rows_ok(target->read(sink, &name, &got, &error), &error);
  if (strcmp(text_get(&got), want) != 0) fail_msg("it holds\n%s\nnot\n%s", text_get(&got), want);
  text_release(&got);
}

#define LAND(how, ...)                                                                             \
  do {                                                                                             \
    struct error land_error = {0};                                                                 \
    const struct row land_rows[] = {__VA_ARGS__};                                                  \
    rows_ok(land(&(how), land_rows, sizeof land_rows / sizeof land_rows[0], false, &land_error),   \
            &land_error);                                                                          \
  } while (0)

static const struct keyed append = {SINK_APPEND, "nab", {NULL}, false};
static const struct keyed upsert = {SINK_UPSERT, "nab", {"n"}, false};
static const struct keyed merge = {SINK_MERGE, "nab", {"n"}, false};

/* ---- upsert ---------------------------------------------------------------------------------- */

static void upserting_replaces_whole_rows_and_adds_new_ones(void **state) {
  (void)state;
  if (!takes(SINK_UPSERT)) return;
  LAND(upsert, {1, "one", 10, NULL}, {2, "two", 20, NULL}); /* there is no table yet */
  LAND(append, {3, "three", 30, NULL});
  LAND(upsert, {2, "TWO", 21, NULL}, {4, NULL, 40, NULL});
  expect("{\"n\":1,\"a\":\"one\",\"b\":10}\n{\"n\":2,\"a\":\"TWO\",\"b\":21}\n"
         "{\"n\":3,\"a\":\"three\",\"b\":30}\n{\"n\":4,\"a\":null,\"b\":40}\n");
  /* What does not come is gone. */
  const struct keyed narrow = {SINK_UPSERT, "bn", {"n"}, false};
  LAND(narrow, {1, NULL, 11, NULL});
  expect("{\"n\":1,\"a\":null,\"b\":11}\n{\"n\":2,\"a\":\"TWO\",\"b\":21}\n"
         "{\"n\":3,\"a\":\"three\",\"b\":30}\n{\"n\":4,\"a\":null,\"b\":40}\n");
}

static void of_two_rows_of_one_key_the_last_one_wins(void **state) {
  (void)state;
  static const struct row rows[] = {
      {1, "first", 1, NULL}, {2, "only", 2, NULL}, {1, "second", 3, NULL}, {1, "last", 4, NULL}};
  for (int apart = 0; apart < 2; apart++)
    for (int i = 0; i < 2; i++) {
      const struct keyed *how = i == 0 ? &upsert : &merge;
      struct error error = {0};
      if (!takes(how->mode)) continue;
      rows_ok(land(how, rows, 4, apart != 0, &error), &error);
      expect("{\"n\":1,\"a\":\"last\",\"b\":4}\n{\"n\":2,\"a\":\"only\",\"b\":2}\n");
    }
}

static void two_rows_of_one_key_are_refused_when_asked(void **state) {
  (void)state;
  static const struct row rows[] = {{1, "a", 1, NULL}, {2, "b", 2, NULL}, {1, "c", 3, NULL}};
  for (int i = 0; i < 2; i++) {
    struct keyed how = i == 0 ? upsert : merge;
    how.refuse_duplicates = true;
    struct error error = {0};
    if (!takes(how.mode)) continue;
    assert_int_equal(land(&how, rows, 3, false, &error), STATUS_SCHEMA);
    assert_non_null(strstr(error.text, "row 2"));
    rows_ok(land(&how, rows, 2, false, &error), &error);
    expect("{\"n\":1,\"a\":\"a\",\"b\":1}\n{\"n\":2,\"a\":\"b\",\"b\":2}\n");
  }
}

static void a_key_may_have_several_columns(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    struct keyed how = {i == 0 ? SINK_UPSERT : SINK_MERGE, "nab", {"a", "n"}, false};
    if (!takes(how.mode)) continue;
    LAND(how, {1, "x", 1, NULL}, {1, "y", 2, NULL}, {2, "x", 3, NULL});
    LAND(how, {1, "y", 20, NULL}, {2, "x", 30, NULL});
    struct text got = TEXT_EMPTY;
    struct error error = {0};
    struct table_name name = {.table = "t"};
    rows_ok(target->read(sink, &name, &got, &error), &error);
    assert_non_null(strstr(text_get(&got), "{\"n\":1,\"a\":\"x\",\"b\":1}"));
    assert_non_null(strstr(text_get(&got), "{\"n\":1,\"a\":\"y\",\"b\":20}"));
    assert_non_null(strstr(text_get(&got), "{\"n\":2,\"a\":\"x\",\"b\":30}"));
    text_release(&got);
  }
}

/* ---- merge ----------------------------------------------------------------------------------- */

static void merging_changes_the_columns_that_come(void **state) {
  (void)state;
  if (!takes(SINK_MERGE)) return;
  LAND(append, {1, "one", 10, NULL}, {2, "two", 20, NULL});
  const struct keyed narrow = {SINK_MERGE, "bn", {"n"}, false};
  LAND(narrow, {2, NULL, 22, NULL}, {3, NULL, 33, NULL});
  expect("{\"n\":1,\"a\":\"one\",\"b\":10}\n{\"n\":2,\"a\":\"two\",\"b\":22}\n"
         "{\"n\":3,\"a\":null,\"b\":33}\n");
  const struct keyed null = {SINK_MERGE, "na", {"n"}, false};
  LAND(null, {2, NULL, 0, NULL}); /* NULL that comes is a value like others */
  const struct keyed keys = {SINK_MERGE, "n", {"n"}, false};
  LAND(keys, {1, NULL, 0, NULL}, {9, NULL, 0, NULL});
  expect("{\"n\":1,\"a\":\"one\",\"b\":10}\n{\"n\":2,\"a\":null,\"b\":22}\n"
         "{\"n\":3,\"a\":null,\"b\":33}\n{\"n\":9,\"a\":null,\"b\":null}\n");
}

static void an_operation_column_deletes(void **state) {
  (void)state;
  if (!takes(SINK_MERGE)) return;
  const struct keyed how = {SINK_MERGE, "nab_", {"n"}, false};
  LAND(how, {1, "one", 1, NULL}, {2, "two", 2, "u"}, {3, "three", 3, "i"}, {4, "no", 4, "d"});
  expect("{\"n\":1,\"a\":\"one\",\"b\":1}\n{\"n\":2,\"a\":\"two\",\"b\":2}\n"
         "{\"n\":3,\"a\":\"three\",\"b\":3}\n");
  /* The last row of a key decides. */
  const struct keyed narrow = {SINK_MERGE, "_n", {"n"}, false};
  LAND(narrow, {1, NULL, 0, "DELETE"}, {7, NULL, 0, "d"}, {2, NULL, 0, "d"}, {2, NULL, 0, "u"},
       {3, NULL, 0, NULL}, {3, NULL, 0, "d"});
  expect("{\"n\":2,\"a\":\"two\",\"b\":2}\n");
}

/* ---- what is refused --------------------------------------------------------------------------- */

static void a_null_key_is_refused_by_row_and_column(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    struct keyed how = {i == 0 ? SINK_UPSERT : SINK_MERGE, "nab", {"n", "a"}, false};
    static const struct row rows[] = {{1, "x", 1, NULL}, {2, "y", 2, NULL}, {3, NULL, 3, NULL}};
    struct error error = {0};
    if (!takes(how.mode)) continue;
    LAND(append, {5, "five", 5, NULL});
    assert_int_equal(land(&how, rows, 3, false, &error), STATUS_SCHEMA);
    assert_non_null(strstr(error.text, "row 2"));
    assert_non_null(strstr(error.text, "\"a\""));
    expect(i == 0 ? "{\"n\":5,\"a\":\"five\",\"b\":5}\n"
                  : "{\"n\":5,\"a\":\"five\",\"b\":5}\n{\"n\":5,\"a\":\"five\",\"b\":5}\n");
  }
}

static void keys_that_mean_nothing_are_refused(void **state) {
  (void)state;
  static const struct {
    struct keyed how;
    enum status status;
    const char *text;
  } cases[] = {
      {{SINK_UPSERT, "nab", {NULL}, false}, STATUS_INVALID, "upsert"},
      {{SINK_MERGE, "nab", {NULL}, false}, STATUS_INVALID, "merge"},
      {{SINK_UPSERT, "nab", {"id"}, false}, STATUS_SCHEMA, "\"id\""},
      {{SINK_MERGE, "nab", {"n", "id"}, false}, STATUS_SCHEMA, "\"id\""},
      {{SINK_UPSERT, "nab", {"n", "N"}, false}, STATUS_INVALID, "twice"},
      {{SINK_APPEND, "nab", {"n"}, false}, STATUS_INVALID, "append"},
      {{SINK_MERGE, "n_", {"_op"}, false}, STATUS_INVALID, "_op"},
  };
  static const struct row row = {1, "a", 1, "u"};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    if (!takes(cases[i].how.mode)) continue;
    assert_int_equal(land(&cases[i].how, &row, 1, false, &error), cases[i].status);
    if (strstr(error.text, cases[i].text) == NULL) fail_msg("%s", error.text);
  }
}

static void a_column_that_the_table_lacks_is_refused_here_too(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    struct keyed how = {i == 0 ? SINK_UPSERT : SINK_MERGE, "nab", {"n"}, false};
    const struct keyed narrow = {SINK_APPEND, "nb", {NULL}, false};
    static const struct row row = {1, "a", 1, NULL};
    struct error error = {0};
    if (!takes(how.mode)) continue;
    if (i == 0) LAND(narrow, {5, NULL, 5, NULL});
    assert_int_equal(land(&how, &row, 1, false, &error), STATUS_SCHEMA);
    assert_non_null(strstr(error.text, "\"a\""));
    expect("{\"n\":5,\"b\":5}\n");
  }
}

/* ---- loads that meet ----------------------------------------------------------------------------- */

enum { LOADERS = 4, LOADS = 6, LOAD_ROWS = 200 };

static void *upsert_often(void *context) {
  int64_t loader = (int64_t)(intptr_t)context;
  struct row rows[LOAD_ROWS];
  for (int64_t i = 0; i < LOADS; i++) {
    for (int64_t n = 0; n < LOAD_ROWS; n++)
      rows[n] = (struct row){n, "x", loader * LOADS + i, NULL};
    struct error error = {0};
    rows_ok(land(i % 2 == 0 ? &upsert : &merge, rows, LOAD_ROWS, false, &error), &error);
  }
  return NULL;
}

/* They all change the same rows; each load is seen whole: all rows have the same b. */
static void loads_of_the_same_keys_at_once_all_land(void **state) {
  (void)state;
  if (!takes(SINK_UPSERT) || !takes(SINK_MERGE)) return;
  pthread_t threads[LOADERS];
  for (intptr_t i = 0; i < LOADERS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, upsert_often, (void *)i), 0);
  for (int i = 0; i < LOADERS; i++) pthread_join(threads[i], NULL);
  struct text got = TEXT_EMPTY;
  struct error error = {0};
  struct table_name name = {.table = "t"};
  rows_ok(target->read(sink, &name, &got, &error), &error);
  int64_t lines = 0, b = -1;
  for (const char *at = text_get(&got); *at != '\0'; at = strchr(at, '\n') + 1, lines++) {
    int64_t found = strtoll(strstr(at, "\"b\":") + 4, NULL, 10);
    if (b < 0) b = found;
    assert_int_equal(found, b);
  }
  assert_int_equal(lines, LOAD_ROWS);
  text_release(&got);
}

static void an_abandoned_upsert_leaves_nothing(void **state) {
  (void)state;
  if (!takes(SINK_UPSERT)) return;
  LAND(append, {1, "one", 1, NULL});
  struct ArrowSchema schema;
  struct load *load;
  struct error error = {0};
  rows_schema("nab", &schema);
  const char *keys[] = {"n"};
  struct load_spec spec = {
      .schema = &schema, .mode = SINK_UPSERT, .create_table = true, .keys = keys, .key_count = 1};
  memcpy(spec.table.table, "t", 2);
  rows_ok(load_begin(sink, &spec, &load, &error), &error);
  const struct row row = {1, "other", 2, NULL};
  struct ArrowArray batch = rows_batch(&schema, "nab", &row, 1);
  rows_ok(load_append(load, &batch, &error), &error);
  rows_ok(load_flush(load, &error), &error);
  assert_int_equal(rows_budget.used_bytes, 0);
  load_abort(load);
  expect("{\"n\":1,\"a\":\"one\",\"b\":1}\n");
  arrow_schema_release(&schema);
}

int suite_run_modes(const struct suite_target *with) {
  target = with;
  if (with->read == NULL) return 0;
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
  const struct CMUnitTest tests[] = {
      EACH(upserting_replaces_whole_rows_and_adds_new_ones),
      EACH(of_two_rows_of_one_key_the_last_one_wins),
      EACH(two_rows_of_one_key_are_refused_when_asked),
      EACH(a_key_may_have_several_columns),
      EACH(merging_changes_the_columns_that_come),
      EACH(an_operation_column_deletes),
      EACH(a_null_key_is_refused_by_row_and_column),
      EACH(keys_that_mean_nothing_are_refused),
      EACH(a_column_that_the_table_lacks_is_refused_here_too),
      EACH(loads_of_the_same_keys_at_once_all_land),
      EACH(an_abandoned_upsert_leaves_nothing),
  };
  return cmocka_run_group_tests_name(with->name, tests, NULL, NULL);
}
