/* The part of the suite about what a load's end is worth: many small loads at once, tokens, and
 * what becomes of a schema that is not the table's. */
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

static void open_target(void) {
  struct config *config;
  struct error error = {0};
  rows_ok(config_new(sink_find(target->sink)->config, &config, &error), &error);
  target->configure(config);
  rows_ok(sink_open(target->sink, config, &sink, &error), &error);
  config_free(config);
}

static int setup(void **state) {
  (void)state;
  rows_budget.used_bytes = 0;
  open_target();
  return 0;
}

static int teardown(void **state) {
  (void)state;
  sink_close(sink);
  target->clean();
  return rows_budget.used_bytes == 0 ? 0 : 1;
}

static bool has(enum sink_trait trait) { return (sink->type->traits & (unsigned)trait) != 0; }

/* ---- parcels --------------------------------------------------------------------------------- */

enum { PARCELS_MAX = 64 };

/* A parcel in the making: rows of one batch. */
struct sent {
  const char *columns;
  struct row row; /* the first; `count` rows are made of it, n growing */
  int count;
  const char *token;
  enum status want;
};

struct landed {
  struct parcel parcels[PARCELS_MAX];
  struct error errors[PARCELS_MAX];
  struct ArrowSchema schemas[PARCELS_MAX];
  struct ArrowArray batches[PARCELS_MAX];
};

static struct ArrowArray grow(const struct ArrowSchema *schema, const struct sent *sent) {
  struct row rows[32];
  assert_true(sent->count <= 32);
  for (int i = 0; i < sent->count; i++) {
    rows[i] = sent->row;
    rows[i].n += i;
  }
  return rows_batch(schema, sent->columns, rows, (size_t)sent->count);
}

static struct load_spec spec_of(enum schema_policy policy) {
  struct load_spec spec = {.mode = SINK_APPEND, .create_table = true, .policy = policy};
  memcpy(spec.table.table, "t", 2);
  return spec;
}

/* Lands them together, and asserts what became of each. */
static void land(const struct sent *sent, int count, enum schema_policy policy,
                 struct landed *landed) {
  struct load_spec spec = spec_of(policy);
  memset(landed, 0, sizeof *landed);
  for (int i = 0; i < count; i++) {
    rows_schema(sent[i].columns, &landed->schemas[i]);
    landed->batches[i] = grow(&landed->schemas[i], &sent[i]);
    landed->parcels[i] = (struct parcel){.schema = &landed->schemas[i],
                                         .batches = &landed->batches[i],
                                         .batch_count = 1,
                                         .token = sent[i].token,
                                         .error = &landed->errors[i]};
  }
  sink_land(sink, &spec, landed->parcels, count);
  for (int i = 0; i < count; i++) {
    assert_null(landed->batches[i].release);
    if (landed->parcels[i].status != sent[i].want)
      fail_msg("parcel %d: %s (%s), not %s", i, status_name(landed->parcels[i].status),
               landed->errors[i].text, status_name(sent[i].want));
    if (sent[i].want == STATUS_OK) assert_int_equal(landed->parcels[i].result.rows, sent[i].count);
  }
}

static void done(struct landed *landed, int count) {
  for (int i = 0; i < count; i++) {
    load_result_release(&landed->parcels[i].result);
    arrow_schema_release(&landed->schemas[i]);
  }
}

static void land_all(const struct sent *sent, int count, enum schema_policy policy) {
  struct landed landed;
  land(sent, count, policy, &landed);
  done(&landed, count);
}
#define COUNT(list) ((int)(sizeof(list) / sizeof(list)[0]))

static void expect(const char *want) {
  struct text got = TEXT_EMPTY;
  struct error error = {0};
  struct table_name name = {.table = "t"};
  if (target->read == NULL) return;
  rows_ok(target->read(sink, &name, &got, &error), &error);
  if (strcmp(text_get(&got), want) != 0) fail_msg("it holds\n%s\nnot\n%s", text_get(&got), want);
  text_release(&got);
}

static void parcels_land_together(void **state) {
  (void)state;
  static const struct sent sent[] = {
      {"nab", {1, "one", 1, NULL}, 1, NULL, STATUS_OK},
      {"nab", {2, "two", 2, NULL}, 2, NULL, STATUS_OK},
      {"nb", {4, NULL, 4, NULL}, 1, NULL, STATUS_OK},
      {"nab", {5, NULL, NUL, NULL}, 1, NULL, STATUS_OK},
  };
  land_all(sent, COUNT(sent), SCHEMA_SKIP);
  expect("{\"n\":1,\"a\":\"one\",\"b\":1}\n{\"n\":2,\"a\":\"two\",\"b\":2}\n"
         "{\"n\":3,\"a\":\"two\",\"b\":2}\n{\"n\":4,\"a\":null,\"b\":4}\n"
         "{\"n\":5,\"a\":null,\"b\":null}\n");
}

static void parcels_of_many_schemas_land_together(void **state) {
  (void)state;
  static const char *const columns[] = {"nab", "nba", "abn", "ban", "na", "nb", "an", "bn", "n"};
  struct sent sent[27];
  for (int i = 0; i < 27; i++)
    sent[i] = (struct sent){columns[i % 9], {i, "a", 1, NULL}, 1, NULL, STATUS_OK};
  for (int i = 0; i < 3; i++) land_all(sent, 27, i == 0 ? SCHEMA_SKIP : SCHEMA_MERGE);
}

static void an_empty_parcel_makes_the_table(void **state) {
  (void)state;
  static const struct sent sent[] = {{"nab", {1, "one", 1, NULL}, 0, NULL, STATUS_OK}};
  land_all(sent, 1, SCHEMA_SKIP);
  expect("");
}

static void only_the_guilty_parcel_hears_of_it(void **state) {
  (void)state;
  if (target->read == NULL) return;
  enum { DAY_MS = 86400000 };
  static const struct sent first = {"nd", {0, NULL, 0, NULL}, 1, NULL, STATUS_OK};
  struct ArrowSchema schema;
  rows_schema("nd", &schema);
  struct load_spec spec = spec_of(SCHEMA_SKIP);
  spec.schema = &schema;
  struct load *load;
  struct error error = {0};
  enum status status = load_begin(sink, &spec, &load, &error);
  arrow_schema_release(&schema);
  if (status == STATUS_UNSUPPORTED) return; /* it does not take the type */
  rows_ok(status, &error);
  load_abort(load);
  land_all(&first, 1, SCHEMA_SKIP);
  struct sent sent[40];
  char want[4096] = "{\"n\":0,\"d\":\"1970-01-01\"}\n";
  for (int i = 0; i < 40; i++) {
    bool guilty = i == 7 || i == 8 || i == 39, misfit = i == 20;
    sent[i] = (struct sent){misfit ? "nx" : "nd",
                            {i + 1, "x", guilty ? 1 : DAY_MS, NULL},
                            1,
                            NULL,
                            guilty || misfit ? STATUS_SCHEMA : STATUS_OK};
    size_t at = strlen(want);
    if (!guilty && !misfit)
      snprintf(want + at, sizeof want - at, "{\"n\":%d,\"d\":\"1970-01-02\"}\n", i + 1);
  }
  struct landed landed;
  land(sent, 40, SCHEMA_SKIP, &landed);
  assert_non_null(strstr(landed.errors[7].text, "\"d\""));
  assert_non_null(strstr(landed.errors[20].text, "\"x\""));
  assert_true(landed.parcels[20].schema_refused);
  assert_false(landed.parcels[7].schema_refused);
  done(&landed, 40);
  expect(want);
}

static void *land_often(void *context) {
  int from = *(int *)context;
  for (int i = 0; i < 10; i++) {
    struct sent sent[3];
    for (int k = 0; k < 3; k++)
      sent[k] = (struct sent){"nab", {from + 3 * i + k, "x", 1, NULL}, 1, NULL, STATUS_OK};
    land_all(sent, 3, SCHEMA_SKIP);
  }
  return NULL;
}

static void parcels_of_several_threads_all_land(void **state) {
  (void)state;
  pthread_t threads[4];
  int from[4];
  char want[8192] = "";
  for (int i = 0; i < 4; i++) {
    from[i] = i * 100;
    for (int n = 0; n < 30; n++) {
      size_t at = strlen(want);
      snprintf(want + at, sizeof want - at, "{\"n\":%d,\"a\":\"x\",\"b\":1}\n", i * 100 + n);
    }
    assert_int_equal(pthread_create(&threads[i], NULL, land_often, &from[i]), 0);
  }
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  expect(want);
}

/* ---- tokens ------------------------------------------------------------------------------------ */

/* One load, batch by batch. */
static enum status load_rows(enum sink_mode mode, const struct sent *sent,
                             struct load_result *result, struct error *error) {
  struct ArrowSchema schema;
  static const char *const keys[] = {"n"};
  struct load_spec spec = spec_of(SCHEMA_SKIP);
  struct load *load = NULL;
  rows_schema(sent->columns, &schema);
  spec.schema = &schema;
  spec.mode = mode;
  spec.token = sent->token;
  if (mode == SINK_UPSERT || mode == SINK_MERGE) {
    spec.keys = keys;
    spec.key_count = 1;
  }
  *result = (struct load_result){.version = -1};
  enum status status = load_begin(sink, &spec, &load, error);
  struct ArrowArray batch = grow(&schema, sent);
  if (status == STATUS_OK) status = load_append(load, &batch, error);
  if (batch.release != NULL) arrow_array_release(&batch);
  if (status == STATUS_OK)
    status = load_commit(load, result, error);
  else
    load_abort(load);
  arrow_schema_release(&schema);
  return status;
}

static const char ONE[] = "{\"n\":1,\"a\":\"one\",\"b\":1}\n";

static void a_token_lands_once(void **state) {
  (void)state;
  if (!has(SINK_TOKENS) || target->read == NULL) return;
  static const struct sent one = {"nab", {1, "one", 1, NULL}, 1, "first", STATUS_OK};
  struct load_result result;
  struct error error = {0};
  for (int i = 0; i < 3; i++) {
    rows_ok(load_rows(SINK_APPEND, &one, &result, &error), &error);
    assert_int_equal(result.rows, 1);
    assert_int_equal(result.batches, 1);
    assert_int_equal(result.repeated, i > 0);
    load_result_release(&result);
  }
  land_all(&one, 1, SCHEMA_SKIP);
  expect(ONE);
  if (!target->reopens) return;
  sink_close(sink);
  open_target();
  rows_ok(load_rows(SINK_APPEND, &one, &result, &error), &error);
  assert_true(result.repeated);
  load_result_release(&result);
  expect(ONE);
}

static void a_token_that_belongs_to_other_rows_is_refused(void **state) {
  (void)state;
  if (!has(SINK_TOKENS) || target->read == NULL) return;
  static const struct sent sent[] = {{"nab", {1, "one", 1, NULL}, 1, "first", STATUS_OK},
                                     {"nab", {1, "one", 1, NULL}, 2, "first", STATUS_SCHEMA}};
  struct load_result result;
  struct error error = {0};
  land_all(&sent[0], 1, SCHEMA_SKIP);
  land_all(&sent[1], 1, SCHEMA_SKIP);
  assert_int_equal(load_rows(SINK_APPEND, &sent[1], &result, &error), STATUS_SCHEMA);
  assert_non_null(strstr(error.text, "first"));
  expect(ONE);
}

static void of_parcels_with_one_token_one_lands(void **state) {
  (void)state;
  if (!has(SINK_TOKENS) || target->read == NULL) return;
  static const struct sent sent[] = {{"nab", {1, "one", 1, NULL}, 1, "first", STATUS_OK},
                                     {"nab", {1, "one", 1, NULL}, 1, "first", STATUS_OK},
                                     {"nab", {2, "two", 2, NULL}, 1, "second", STATUS_OK},
                                     {"nab", {1, "one", 1, NULL}, 1, "first", STATUS_OK}};
  struct landed landed;
  land(sent, COUNT(sent), SCHEMA_SKIP, &landed);
  assert_false(landed.parcels[0].result.repeated);
  assert_true(landed.parcels[1].result.repeated);
  assert_true(landed.parcels[3].result.repeated);
  done(&landed, COUNT(sent));
  expect("{\"n\":1,\"a\":\"one\",\"b\":1}\n{\"n\":2,\"a\":\"two\",\"b\":2}\n");
}

static void a_token_that_failed_may_land(void **state) {
  (void)state;
  if (!has(SINK_TOKENS) || target->read == NULL) return;
  static const struct sent table = {"nab", {1, "one", 1, NULL}, 1, NULL, STATUS_OK};
  static const struct sent wrong = {"nx", {2, "two", 2, NULL}, 1, "first", STATUS_SCHEMA};
  static const struct sent right = {"nab", {2, "two", 2, NULL}, 1, "first", STATUS_OK};
  land_all(&table, 1, SCHEMA_SKIP);
  land_all(&wrong, 1, SCHEMA_SKIP);
  land_all(&right, 1, SCHEMA_SKIP);
  expect("{\"n\":1,\"a\":\"one\",\"b\":1}\n{\"n\":2,\"a\":\"two\",\"b\":2}\n");
}

static void tokens_go_with_every_mode(void **state) {
  (void)state;
  static const enum sink_mode modes[] = {SINK_OVERWRITE, SINK_UPSERT, SINK_MERGE};
  if (!has(SINK_TOKENS) || target->read == NULL) return;
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    if ((sink->type->modes & (unsigned)modes[i]) == 0) continue;
    const char *token = sink_mode_name(modes[i]);
    const struct sent mine = {"nab", {1, "mine", 1, NULL}, 1, token, STATUS_OK};
    const struct sent theirs = {"nab", {1, "theirs", 1, NULL}, 1, NULL, STATUS_OK};
    struct load_result result;
    struct error error = {0};
    rows_ok(load_rows(modes[i], &mine, &result, &error), &error);
    rows_ok(load_rows(modes[i], &theirs, &result, &error), &error);
    rows_ok(load_rows(modes[i], &mine, &result, &error), &error);
    assert_true(result.repeated);
    load_result_release(&result);
    expect("{\"n\":1,\"a\":\"theirs\",\"b\":1}\n");
  }
}

static void *load_first(void *context) {
  static const struct sent one = {"nab", {1, "one", 1, NULL}, 1, "first", STATUS_OK};
  struct load_result *result = context;
  struct error error = {0};
  rows_ok(load_rows(SINK_APPEND, &one, result, &error), &error);
  return NULL;
}

static void of_loads_of_one_token_at_once_one_lands(void **state) {
  (void)state;
  if (!has(SINK_TOKENS) || target->read == NULL) return;
  pthread_t threads[8];
  struct load_result results[8];
  int landed = 0;
  for (int i = 0; i < 8; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, load_first, &results[i]), 0);
  for (int i = 0; i < 8; i++) {
    pthread_join(threads[i], NULL);
    landed += !results[i].repeated;
    assert_int_equal(results[i].rows, 1);
    load_result_release(&results[i]);
  }
  assert_int_equal(landed, 1);
  expect(ONE);
}

static void a_token_is_looked_up(void **state) {
  (void)state;
  struct table_name name = {.table = "t"}, other = {.table = "u"};
  struct load_result result;
  struct error error = {0};
  bool found = true;
  if (!has(SINK_TOKENS) || sink->type->lookup == NULL) {
    assert_int_equal(sink_lookup(sink, &name, "first", &found, &result, &error),
                     STATUS_UNSUPPORTED);
    return;
  }
  static const struct sent one = {"nab", {1, "one", 1, NULL}, 2, "first", STATUS_OK};
  rows_ok(sink_lookup(sink, &name, "first", &found, &result, &error), &error);
  assert_false(found);
  land_all(&one, 1, SCHEMA_SKIP);
  rows_ok(sink_lookup(sink, &name, "first", &found, &result, &error), &error);
  assert_true(found);
  assert_int_equal(result.rows, 2);
  load_result_release(&result);
  rows_ok(sink_lookup(sink, &other, "first", &found, &result, &error), &error);
  assert_false(found); /* a token is its table's */
  assert_int_equal(sink_lookup(sink, &name, "", &found, &result, &error), STATUS_INVALID);
}

/* ---- policies ------------------------------------------------------------------------------------ */

static void what_does_not_fit_is_as_the_policy_says(void **state) {
  (void)state;
  if (target->read == NULL) return;
  static const struct sent table = {"nab", {1, "one", 1, NULL}, 1, NULL, STATUS_OK};
  static const struct {
    const char *columns;
    enum status skip, strict, merge;
  } cases[] = {
      {"nab", STATUS_OK, STATUS_OK, STATUS_OK},
      {"nb", STATUS_OK, STATUS_SCHEMA, STATUS_OK},
      {"bna", STATUS_OK, STATUS_SCHEMA, STATUS_OK},
      {"nai", STATUS_OK, STATUS_SCHEMA, STATUS_OK},
      {"nabx", STATUS_SCHEMA, STATUS_SCHEMA, STATUS_OK},
  };
  land_all(&table, 1, SCHEMA_SKIP);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct sent sent = {cases[i].columns, {2, "two", 2, NULL}, 1, NULL, cases[i].strict};
    land_all(&sent, 1, SCHEMA_STRICT);
    sent.want = cases[i].skip;
    land_all(&sent, 1, SCHEMA_SKIP);
    sent.want = cases[i].merge;
    land_all(&sent, 1, SCHEMA_MERGE);
  }
}

static void merging_schemas_adds_and_widens(void **state) {
  (void)state;
  if (target->read == NULL) return;
  static const struct sent narrow = {"ni", {1, NULL, 1, NULL}, 1, NULL, STATUS_OK};
  static const struct sent wide[] = {
      {"ni", {2, NULL, 2, NULL}, 1, NULL, STATUS_OK},
      {"nbx", {3, "three", INT64_C(1) << 40, NULL}, 1, NULL, STATUS_OK}};
  struct landed landed;
  land_all(&narrow, 1, SCHEMA_SKIP);
  land(wide, 2, SCHEMA_MERGE, &landed);
  assert_null(landed.parcels[0].result.changes);
  assert_non_null(landed.parcels[1].result.changes);
  assert_non_null(strstr(landed.parcels[1].result.changes, "\"x\""));
  assert_non_null(strstr(landed.parcels[1].result.changes, "\"b\""));
  done(&landed, 2);
  expect("{\"n\":1,\"b\":1,\"x\":null}\n{\"n\":2,\"b\":2,\"x\":null}\n"
         "{\"n\":3,\"b\":1099511627776,\"x\":\"three\"}\n");
}

/* Also when it has begun to insert before it fails. */
static void an_overwrite_that_changes_columns_and_fails_keeps_the_rows(void **state) {
  (void)state;
  static const struct sent table = {"nab", {1, "one", 1, NULL}, 1, NULL, STATUS_OK};
  static const struct sent more = {"nabx", {2, "two", 2, NULL}, 1, NULL, STATUS_OK};
  if (target->read == NULL || (sink->type->modes & SINK_OVERWRITE) == 0) return;
  struct ArrowSchema schema;
  struct load_spec spec = spec_of(SCHEMA_MERGE);
  struct load *load;
  struct error error = {0};
  land_all(&table, 1, SCHEMA_SKIP);
  rows_schema(more.columns, &schema);
  spec.schema = &schema;
  spec.mode = SINK_OVERWRITE;
  rows_ok(load_begin(sink, &spec, &load, &error), &error);
  struct ArrowArray batch = grow(&schema, &more);
  rows_ok(load_append(load, &batch, &error), &error);
  rows_ok(load_flush(load, &error), &error);
  load_abort(load);
  arrow_schema_release(&schema);
  expect("{\"n\":1,\"a\":\"one\",\"b\":1,\"x\":null}\n");
}

int suite_run_land(const struct suite_target *with) {
  target = with;
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
  const struct CMUnitTest tests[] = {
      EACH(parcels_land_together),
      EACH(parcels_of_many_schemas_land_together),
      EACH(an_empty_parcel_makes_the_table),
      EACH(only_the_guilty_parcel_hears_of_it),
      EACH(parcels_of_several_threads_all_land),
      EACH(a_token_lands_once),
      EACH(a_token_that_belongs_to_other_rows_is_refused),
      EACH(of_parcels_with_one_token_one_lands),
      EACH(a_token_that_failed_may_land),
      EACH(tokens_go_with_every_mode),
      EACH(of_loads_of_one_token_at_once_one_lands),
      EACH(a_token_is_looked_up),
      EACH(what_does_not_fit_is_as_the_policy_says),
      EACH(merging_schemas_adds_and_widens),
      EACH(an_overwrite_that_changes_columns_and_fails_keeps_the_rows),
  };
  return cmocka_run_group_tests_name(with->name, tests, NULL, NULL);
}
