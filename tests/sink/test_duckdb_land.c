/* Many small loads in one transaction, beyond the suite: the guilty one is found wherever it is, SQL
 * from elsewhere changes the table meanwhile, and tokens meet in every order. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "engine/private.h" /* session_run: to break a database */
#include "rows.h"
#include "sink/duckdb_private.h"

enum { PARCELS_MAX = 64, BATCHES_MAX = 3, ROWS_MAX = 64, DAY_MS = 86400000, SPOILED = -1 };

static struct sink *sink;

/* Settings as pairs of name and value, ended by NULL. */
static void open_with(const char *const *settings) {
  struct config *config;
  struct error error = {0};
  rows_ok(config_new(SINK_DUCKDB.config, &config, &error), &error);
  for (; settings[0] != NULL; settings += 2)
    rows_ok(config_set(config, settings[0], settings[1], CONFIG_FLAG, &error), &error);
  rows_ok(sink_open("duckdb", config, &sink, &error), &error);
  config_free(config);
}

static int setup(void **state) {
  (void)state;
  rows_budget.used_bytes = 0;
  open_with((const char *const[]){NULL});
  return 0;
}

static int teardown(void **state) {
  (void)state;
  sink_close(sink);
  return rows_budget.used_bytes == 0 ? 0 : 1;
}

/* ---- SQL from elsewhere ------------------------------------------------------------------------ */

static void run_on(struct engine_session *session, const char *sql) {
  struct engine_result *result = NULL;
  struct ArrowArray batch = {.release = NULL};
  struct error error = {0};
  enum status status =
      engine_query(session, &(struct engine_query){.sql = sql, .own = true}, &result, &error);
  if (status == STATUS_OK) status = engine_result_next(result, &batch, &error);
  if (status != STATUS_OK) fail_msg("%s: %s", sql, error.text);
  if (batch.release != NULL) arrow_array_release(&batch);
  engine_result_close(result);
}

static struct engine_session *open_session(void) {
  struct engine_session *session;
  struct error error = {0};
  rows_ok(engine_session_open(sink_duckdb_engine(sink), &session, &error), &error);
  return session;
}

static void run(const char *sql) {
  struct engine_session *session = open_session();
  run_on(session, sql);
  engine_session_close(session);
}

/* The only number that `sql` answers with. */
static int64_t ask(const char *sql) {
  struct engine_session *session = open_session();
  struct engine_result *result;
  struct ArrowArray batch;
  struct error error = {0};
  enum status status = engine_query(session, &(struct engine_query){.sql = sql}, &result, &error);
  if (status != STATUS_OK) fail_msg("%s: %s", sql, error.text);
  rows_ok(engine_result_next(result, &batch, &error), &error);
  assert_non_null(batch.release);
  int64_t number = ((const int64_t *)batch.children[0]->buffers[1])[0];
  arrow_array_release(&batch);
  engine_result_close(result);
  engine_session_close(session);
  return number;
}

static void expect_number(const char *sql, int64_t wanted) {
  int64_t number = ask(sql);
  if (number != wanted) fail_msg("%s: %lld, not %lld", sql, (long long)number, (long long)wanted);
}

/* ---- parcels -------------------------------------------------------------------------------------- */

/* A load in the making: `rows` rows in each batch, n counting up from `first`; see rows.h for
 * `columns`. b is SPOILED in row `spoiled` of the load, which is no whole day: 0 is for none. */
struct sent {
  const char *columns;
  int64_t first;
  int rows, batches; /* 0: 1 */
  int spoiled;
  const char *token;
};

struct group {
  struct parcel parcels[PARCELS_MAX];
  struct error errors[PARCELS_MAX];
  struct ArrowSchema schemas[PARCELS_MAX];
  struct ArrowArray batches[PARCELS_MAX][BATCHES_MAX];
  int count;
};

static struct ArrowArray make_batch(const struct ArrowSchema *schema, const struct sent *sent,
                                    int number) {
  struct row rows[ROWS_MAX];
  int count = sent->rows == 0 ? 1 : sent->rows;
  assert_true(count <= ROWS_MAX);
  for (int i = 0; i < count; i++) {
    int at = number * count + i;
    rows[i] = (struct row){.n = sent->first + at, .a = "x", .b = DAY_MS};
    if (sent->spoiled != 0 && at == sent->spoiled) rows[i].b = SPOILED;
  }
  return rows_batch(schema, sent->columns, rows, (size_t)count);
}

static void land_as(const struct load_spec *spec, const struct sent *sent, int count,
                    struct group *group) {
  assert_true(count <= PARCELS_MAX);
  memset(group, 0, sizeof *group);
  group->count = count;
  for (int i = 0; i < count; i++) {
    int batches = sent[i].batches == 0 ? 1 : sent[i].batches;
    rows_schema(sent[i].columns, &group->schemas[i]);
    for (int k = 0; k < batches; k++)
      group->batches[i][k] = make_batch(&group->schemas[i], &sent[i], k);
    group->parcels[i] = (struct parcel){.schema = &group->schemas[i],
                                        .batches = group->batches[i],
                                        .batch_count = batches,
                                        .token = sent[i].token,
                                        .error = &group->errors[i]};
  }
  sink_land(sink, spec, group->parcels, count);
}

static struct load_spec spec_of(enum schema_policy policy) {
  return (struct load_spec){
      .table = {.table = "t"}, .mode = SINK_APPEND, .create_table = true, .policy = policy};
}

static void land(const struct sent *sent, int count, enum schema_policy policy,
                 struct group *group) {
  struct load_spec spec = spec_of(policy);
  land_as(&spec, sent, count, group);
}

static void release(struct group *group) {
  for (int i = 0; i < group->count; i++) {
    for (int k = 0; k < BATCHES_MAX; k++) assert_null(group->batches[i][k].release);
    load_result_release(&group->parcels[i].result);
    arrow_schema_release(&group->schemas[i]);
  }
}

static void expect_status(const struct group *group, int index, enum status wanted,
                          const char *words) {
  const struct parcel *parcel = &group->parcels[index];
  if (parcel->status != wanted)
    fail_msg("load %d: %s (%s), not %s", index, status_name(parcel->status),
             group->errors[index].text, status_name(wanted));
  if (words != NULL && strstr(group->errors[index].text, words) == NULL)
    fail_msg("\"%s\" is not in: %s", words, group->errors[index].text);
  if (wanted != STATUS_OK) assert_int_equal(group->errors[index].status, wanted);
}

/* One load by itself; its status. */
static enum status land_one(const struct sent *sent, enum schema_policy policy) {
  struct group group;
  land(sent, 1, policy, &group);
  enum status status = group.parcels[0].status;
  if (status != STATUS_OK) assert_int_equal(group.errors[0].status, status);
  release(&group);
  return status;
}

/* Whoever wants to be alone at the table gets it: no turn was left behind. */
static void expect_no_turn_held(void) {
  static const struct table_name name = {.table = "t"};
  struct turn turn;
  struct error error = {0};
  rows_ok(turn_take(((struct duckdb_sink *)sink)->turns, &name, TURN_ALONE, 0, &turn, &error),
          &error);
  turn_give(&turn);
}

/* ---- the guilty one ------------------------------------------------------------------------------- */

static void the_guilty_one_is_found_wherever_it_is(void **state) {
  (void)state;
  static const int sizes[] = {1, 2, 3, 7, 33};
  struct sent sent[33];
  struct group group;
  int64_t rows = 0, sum = 0;
  for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
    for (int at = 0; at < sizes[s]; at++) {
      for (int i = 0; i < sizes[s]; i++)
        sent[i] = (struct sent){"nd", 100 * i, 2, 2, i == at ? 3 : 0, NULL};
      land(sent, sizes[s], SCHEMA_SKIP, &group);
      for (int i = 0; i < sizes[s]; i++) {
        expect_status(&group, i, i == at ? STATUS_SCHEMA : STATUS_OK, NULL);
        if (i == at) continue;
        rows += 4;
        sum += 4 * 100 * i + 6;
      }
      /* The row is counted in its own load: the second one of its second batch. */
      expect_status(&group, at, STATUS_SCHEMA, "row 3 (the first is 0)");
      expect_status(&group, at, STATUS_SCHEMA, "\"d\"");
      assert_false(group.parcels[at].schema_refused);
      release(&group);
    }
  expect_number("SELECT count(*) FROM t", rows);
  expect_number("SELECT sum(n)::BIGINT FROM t", sum);
  expect_no_turn_held();
}

static void all_may_be_guilty(void **state) {
  (void)state;
  struct sent sent[13];
  struct group group;
  char words[32];
  for (int i = 0; i < 13; i++) sent[i] = (struct sent){"nd", 10 * i, 8, 2, 1 + i, NULL};
  assert_int_equal(land_one(&(struct sent){.columns = "nd", .first = 7}, SCHEMA_SKIP), STATUS_OK);
  land(sent, 13, SCHEMA_SKIP, &group);
  for (int i = 0; i < 13; i++) {
    snprintf(words, sizeof words, "row %d (", 1 + i);
    expect_status(&group, i, STATUS_SCHEMA, words);
  }
  release(&group);
  expect_number("SELECT count(*) FROM t", 1);
}

/* Its token is free again, and the others' are taken. */
static void tokens_of_a_halved_group_are_settled(void **state) {
  (void)state;
  static const struct sent bad[] = {{"nd", 10, 2, 1, 0, "a"},
                                    {"nd", 20, 2, 1, 1, "b"},
                                    {"nx", 30, 2, 1, 0, "c"},
                                    {"nd", 40, 2, 1, 0, "d"}};
  static const struct sent good[] = {{"nd", 10, 2, 1, 0, "a"},
                                     {"nd", 20, 2, 1, 0, "b"},
                                     {"nd", 30, 2, 1, 0, "c"},
                                     {"nd", 40, 2, 1, 0, "d"}};
  struct group group;
  assert_int_equal(land_one(&(struct sent){.columns = "nd", .first = 1}, SCHEMA_SKIP), STATUS_OK);
  land(bad, 4, SCHEMA_SKIP, &group);
  for (int i = 0; i < 4; i++)
    expect_status(&group, i, i == 1 || i == 2 ? STATUS_SCHEMA : STATUS_OK, NULL);
  assert_true(group.parcels[2].schema_refused);
  release(&group);
  land(good, 4, SCHEMA_SKIP, &group);
  for (int i = 0; i < 4; i++) {
    expect_status(&group, i, STATUS_OK, NULL);
    assert_int_equal(group.parcels[i].result.repeated, i == 0 || i == 3);
  }
  release(&group);
  expect_number("SELECT count(*) FROM t", 9);
  expect_number("SELECT count(DISTINCT n) FROM t", 9);
  expect_number("SELECT count(*) FROM _arrowport.tokens", 4);
}

/* Somebody else's tables are where tokens would be: whoever has none lands. */
static void where_tokens_are_refused_the_others_land(void **state) {
  (void)state;
  static const struct sent sent[] = {
      {"nab", 1, 2, 1, 0, NULL}, {"nab", 10, 2, 1, 0, "key"}, {"nab", 20, 2, 1, 0, NULL}};
  struct group group;
  run("CREATE SCHEMA _arrowport");
  run("CREATE TABLE _arrowport.tokens (mine INTEGER)");
  for (int i = 0; i < 2; i++) {
    land(sent, 3, SCHEMA_SKIP, &group);
    expect_status(&group, 0, STATUS_OK, NULL);
    expect_status(&group, 1, STATUS_UNSUPPORTED, "_arrowport");
    expect_status(&group, 2, STATUS_OK, NULL);
    release(&group);
  }
  expect_number("SELECT count(*) FROM t", 8);
}

static void what_no_load_may_be_is_refused_here_too(void **state) {
  (void)state;
  static char long_token[SINK_TOKEN_BYTES_MAX + 2];
  memset(long_token, 'k', sizeof long_token - 1);
  const struct sent sent[] = {{"nab", 1, 2, 1, 0, NULL},
                              {"nab", 10, 2, 1, 0, ""},
                              {"", 20, 2, 1, 0, NULL},
                              {"nab", 30, 2, 1, 0, long_token},
                              {"nab", 40, 2, 1, 0, long_token + 1}};
  struct group group;
  for (int i = 0; i < 2; i++) { /* without the table, and with it */
    land(sent, 5, SCHEMA_SKIP, &group);
    expect_status(&group, 0, STATUS_OK, NULL);
    expect_status(&group, 1, STATUS_INVALID, "token");
    expect_status(&group, 2, STATUS_SCHEMA, "column");
    expect_status(&group, 3, STATUS_INVALID, "token");
    expect_status(&group, 4, STATUS_OK, NULL);
    release(&group);
  }
  expect_number("SELECT count(*) FROM t", 6);
}

/* ---- SQL meanwhile ---------------------------------------------------------------------------------- */

static void a_conflict_that_does_not_end_is_everybodys(void **state) {
  (void)state;
  static const struct sent sent[] = {{"nab", 1, 2, 1, 0, "one"}, {"nab", 10, 2, 1, 0, NULL}};
  struct group group;
  struct error error = {0};
  assert_int_equal(land_one(&sent[1], SCHEMA_SKIP), STATUS_OK);
  struct engine_session *other = open_session();
  rows_ok(engine_begin(other, &error), &error);
  run_on(other, "ALTER TABLE t ADD COLUMN more INTEGER");
  land(sent, 2, SCHEMA_SKIP, &group);
  for (int i = 0; i < 2; i++) {
    expect_status(&group, i, STATUS_CONFLICT, NULL);
    assert_true(group.errors[i].retry_after_ms > 0);
  }
  release(&group);
  engine_rollback(other);
  engine_session_close(other);
  land(sent, 2, SCHEMA_SKIP, &group);
  for (int i = 0; i < 2; i++) expect_status(&group, i, STATUS_OK, NULL);
  assert_false(group.parcels[0].result.repeated);
  release(&group);
  expect_number("SELECT count(*) FROM t", 6);
  expect_no_turn_held();
}

static void *end_soon(void *session) {
  struct error error = {0};
  clock_sleep_ms(150);
  rows_ok(engine_commit(session, &error), &error);
  return NULL;
}

static void a_conflict_that_ends_is_not_told(void **state) {
  (void)state;
  static const struct sent sent[] = {{"nab", 1, 2, 1, 0, "one"}, {"nab", 10, 2, 1, 0, NULL}};
  struct group group;
  struct error error = {0};
  pthread_t thread;
  assert_int_equal(land_one(&sent[1], SCHEMA_SKIP), STATUS_OK);
  struct engine_session *other = open_session();
  rows_ok(engine_begin(other, &error), &error);
  run_on(other, "ALTER TABLE t ADD COLUMN more INTEGER");
  assert_int_equal(pthread_create(&thread, NULL, end_soon, other), 0);
  land(sent, 2, SCHEMA_SKIP, &group);
  pthread_join(thread, NULL);
  engine_session_close(other);
  for (int i = 0; i < 2; i++) expect_status(&group, i, STATUS_OK, NULL);
  release(&group);
  expect_number("SELECT count(*) FROM t WHERE more IS NULL", 6);
}

/* What is kept prepared is not believed. */
static void a_table_that_changed_between_two_groups_is_looked_at_again(void **state) {
  (void)state;
  static const struct {
    const char *sql;
    enum status status; /* of rows with n = 300 */
    const char *words;
  } cases[] = {
      {"ALTER TABLE t ALTER n TYPE TINYINT", STATUS_SCHEMA, "\"n\""},
      {"ALTER TABLE t ALTER n TYPE INTEGER", STATUS_SCHEMA, "\"n\""},
      {"ALTER TABLE t ALTER n TYPE DOUBLE", STATUS_SCHEMA, "\"n\""},
      {"ALTER TABLE t ALTER n TYPE VARCHAR", STATUS_SCHEMA, "\"n\""},
      {"ALTER TABLE t ALTER n TYPE HUGEINT", STATUS_OK, NULL},
      {"ALTER TABLE t RENAME n TO m", STATUS_SCHEMA, "\"n\""},
      {"ALTER TABLE t DROP n", STATUS_SCHEMA, "\"n\""},
      {"ALTER TABLE t ADD COLUMN more INTEGER", STATUS_OK, NULL},
      {"ALTER TABLE t ADD COLUMN more INTEGER DEFAULT 7", STATUS_OK, NULL},
      {"DROP TABLE t", STATUS_OK, NULL},
      {"DROP TABLE t; CREATE TABLE t (b BIGINT, a VARCHAR, n BIGINT)", STATUS_OK, NULL},
      {"DROP TABLE t; CREATE TABLE t (n TINYINT, a VARCHAR, b BIGINT)", STATUS_SCHEMA, "\"n\""},
      {"DROP TABLE t; CREATE VIEW t AS SELECT 1 AS n", STATUS_SCHEMA, NULL},
      {"CREATE OR REPLACE TABLE t (n BIGINT CHECK (n < 5), a VARCHAR, b BIGINT)", STATUS_SCHEMA,
       NULL},
  };
  static const struct sent small = {.columns = "nab", .first = 1, .rows = 3};
  static const struct sent large = {.columns = "nab", .first = 300, .rows = 2};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct group group;
    for (int again = 0; again < 3; again++)
      assert_int_equal(land_one(&small, SCHEMA_SKIP), STATUS_OK);
    run(cases[i].sql);
    int64_t before =
        strstr(cases[i].sql, "DROP TABLE t") == NULL ? ask("SELECT count(*) FROM t") : 0;
    for (int again = 0; again < 2; again++) {
      land(&large, 1, SCHEMA_SKIP, &group);
      if (group.parcels[0].status != cases[i].status)
        fail_msg("after %s: %s (%s)", cases[i].sql, status_name(group.parcels[0].status),
                 group.errors[0].text);
      expect_status(&group, 0, cases[i].status, cases[i].words);
      release(&group);
    }
    if (cases[i].status == STATUS_OK) {
      expect_number("SELECT count(*) FROM t", before + 4);
      expect_number("SELECT count(*) FROM t WHERE n IN (300, 301) AND a = 'x'", 4);
    } else if (strstr(cases[i].sql, "VIEW") == NULL) {
      expect_number("SELECT count(*) FROM t", before);
    }
    run(strstr(cases[i].sql, "VIEW") != NULL ? "DROP VIEW t" : "DROP TABLE t");
  }
}

/* The table of tokens is made again, and what was forgotten with it is new. */
static void a_table_of_tokens_that_was_dropped_is_made_again(void **state) {
  (void)state;
  static const struct sent sent[] = {{"nab", 1, 2, 1, 0, "one"}, {"nab", 10, 2, 1, 0, "two"}};
  static const struct sent more = {"nab", 20, 2, 1, 0, "three"};
  struct group group;
  land(sent, 2, SCHEMA_SKIP, &group);
  release(&group);
  run("DROP SCHEMA _arrowport CASCADE");
  assert_int_equal(land_one(&more, SCHEMA_SKIP), STATUS_OK);
  expect_number("SELECT count(*) FROM _arrowport.tokens", 1);
  assert_int_equal(land_one(&more, SCHEMA_SKIP), STATUS_OK);
  expect_number("SELECT count(*) FROM t WHERE n >= 20", 2);
}

/* ---- a full disk --------------------------------------------------------------------------------------- */

static void what_fits_lands_on_a_full_disk_and_the_rest_is_told(void **state) {
  (void)state;
  char folder[] = "/tmp/arrowport-land-XXXXXX", path[96];
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/data.duckdb", folder);
  if (mount("tmpfs", folder, "tmpfs", 0, "size=4m") != 0) {
    print_message("no right to mount a small file system: a full disk was not tried\n");
    assert_int_equal(rmdir(folder), 0);
    return;
  }
  sink_close(sink);
  open_with((const char *const[]){"path", path, NULL});
  struct sent sent[PARCELS_MAX];
  char tokens[PARCELS_MAX][16], ballast[64];
  struct group group;
  int64_t landed = 0, refused = 0;
  assert_int_equal(land_one(&(struct sent){"nab", 0, 1, 1, 0, "first"}, SCHEMA_SKIP), STATUS_OK);
  snprintf(ballast, sizeof ballast, "%s/ballast", folder);
  FILE *file = fopen(ballast, "w");
  assert_non_null(file);
  for (int i = 0; i < PARCELS_MAX; i++) {
    snprintf(tokens[i], sizeof tokens[i], "t%d", i);
    sent[i] = (struct sent){"nab", 100 * (i + 1), 60, 3, 0, tokens[i]};
  }
  while (fputc('x', file) != EOF && fflush(file) == 0) { /* until there is no room at all */
    char page[4096] = {1};
    if (fwrite(page, 1, sizeof page, file) != sizeof page) break;
  }
  fclose(file);
  land(sent, PARCELS_MAX, SCHEMA_SKIP, &group);
  for (int i = 0; i < PARCELS_MAX; i++) {
    enum status status = group.parcels[i].status;
    landed += status == STATUS_OK;
    refused += status == STATUS_IO || status == STATUS_UNAVAILABLE || status == STATUS_UNKNOWN;
  }
  assert_int_equal(landed + refused, PARCELS_MAX);
  assert_true(refused > 0);
  release(&group);
  unlink(ballast);
  expect_no_turn_held();
  /* With room again every one of them lands, once. */
  for (int again = 0; again < 2; again++) {
    land(sent, PARCELS_MAX, SCHEMA_SKIP, &group);
    for (int i = 0; i < PARCELS_MAX; i++) {
      expect_status(&group, i, STATUS_OK, NULL);
      if (again == 1) assert_true(group.parcels[i].result.repeated);
    }
    release(&group);
  }
  expect_number("SELECT count(*) FROM t", 1 + PARCELS_MAX * 180);
  expect_number("SELECT count(*) FROM _arrowport.tokens", 1 + PARCELS_MAX);
  sink_close(sink);
  assert_int_equal(umount(folder), 0);
  assert_int_equal(rmdir(folder), 0);
  open_with((const char *const[]){NULL});
}

/* ---- tables that follow -------------------------------------------------------------------------------- */

static void a_group_of_many_schemas_changes_the_table_for_all(void **state) {
  (void)state;
  static const struct sent sent[] = {
      {"ni", 1, 2, 1, 0, "1"},  {"na", 10, 2, 1, 0, "2"}, {"nb", 20, 2, 1, 0, "3"},
      {"nx", 30, 2, 1, 0, "4"}, {"ni", 40, 2, 1, 0, "5"}, {"nax", 50, 2, 1, 0, "6"},
      {"xn", 60, 2, 1, 0, "7"}, {"nd", 70, 2, 1, 0, "8"}, {"n", 80, 2, 1, 0, NULL},
      {"nd", 90, 3, 1, 2, "9"}, /* guilty: the group is halved, and each half changes the table */
  };
  enum { COUNT = sizeof sent / sizeof sent[0] };
  struct group group;
  run("CREATE TABLE t (n SMALLINT, b INTEGER)");
  land(sent, COUNT, SCHEMA_MERGE, &group);
  int told = 0;
  for (int i = 0; i < COUNT; i++) {
    expect_status(&group, i, i == COUNT - 1 ? STATUS_SCHEMA : STATUS_OK, NULL);
    if (i == COUNT - 1) continue;
    told += group.parcels[i].result.changes != NULL;
  }
  assert_true(told >= 4);
  release(&group);
  expect_number("SELECT count(*) FROM t", 2 * (COUNT - 1));
  expect_number("SELECT count(*) FROM t WHERE b = 86400000", 6);
  expect_number("SELECT count(*) FROM t WHERE x = 'x'", 6);
  expect_number("SELECT count(*) FROM t WHERE a = 'x'", 4);
  expect_number("SELECT count(*) FROM t WHERE d = DATE '1970-01-02'", 2);
  expect_number("SELECT count(*) FROM duckdb_columns() WHERE table_name = 't' AND data_type IN "
                "('BIGINT', 'DATE', 'VARCHAR')",
                5);
  land(sent, COUNT - 1, SCHEMA_MERGE, &group);
  for (int i = 0; i < COUNT - 1; i++)
    assert_int_equal(group.parcels[i].result.repeated, sent[i].token != NULL);
  release(&group);
  expect_no_turn_held();
}

static void an_overwrite_is_a_parcel_too(void **state) {
  (void)state;
  static const struct sent first = {"nab", 1, 5, 2, 0, NULL};
  static const struct sent second[] = {{"nab", 100, 3, 1, 0, "key"}};
  static const struct sent wrong[] = {{"nabx", 200, 3, 1, 0, NULL}};
  struct load_spec spec = spec_of(SCHEMA_SKIP);
  struct group group;
  spec.mode = SINK_OVERWRITE;
  assert_int_equal(land_one(&first, SCHEMA_SKIP), STATUS_OK);
  for (int i = 0; i < 2; i++) {
    land_as(&spec, second, 1, &group);
    expect_status(&group, 0, STATUS_OK, NULL);
    assert_int_equal(group.parcels[0].result.repeated, i == 1);
    release(&group);
    land_as(&spec, wrong, 1, &group);
    expect_status(&group, 0, STATUS_SCHEMA, "\"x\"");
    release(&group);
    expect_number("SELECT count(*) FROM t WHERE n >= 100", 3);
    expect_number("SELECT count(*) FROM t", 3 + i); /* the appended one of the first turn */
    if (i == 0)
      assert_int_equal(land_one(&(struct sent){.columns = "nab", .first = 7}, SCHEMA_SKIP),
                       STATUS_OK);
  }
  spec.policy = SCHEMA_MERGE;
  land_as(&spec, wrong, 1, &group);
  expect_status(&group, 0, STATUS_OK, NULL);
  assert_non_null(group.parcels[0].result.changes);
  release(&group);
  expect_number("SELECT count(*) FROM t", 3);
  expect_number("SELECT count(*) FROM t WHERE x = 'x'", 3);
}

/* ---- tokens that meet ------------------------------------------------------------------------------------ */

struct meeting {
  const struct sent *sent;
  struct group group;
  pthread_barrier_t *barrier;
};

static void *land_in_thread(void *context) {
  struct meeting *meeting = context;
  pthread_barrier_wait(meeting->barrier);
  land(meeting->sent, 3, SCHEMA_SKIP, &meeting->group);
  return NULL;
}

static void groups_of_the_same_tokens_at_once(void **state) {
  (void)state;
  static struct meeting meetings[2];
  char tokens[2][16];
  for (int turn = 0; turn < 25; turn++) {
    pthread_barrier_t barrier;
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) snprintf(tokens[i], sizeof tokens[i], "%d-%d", turn, i);
    const struct sent there[] = {{"nab", 10, 2, 1, 0, tokens[0]},
                                 {"nab", 20, 2, 1, 0, NULL},
                                 {"nab", 30, 2, 1, 0, tokens[1]}};
    const struct sent back[] = {{"nab", 30, 2, 1, 0, tokens[1]},
                                {"nab", 20, 2, 1, 0, NULL},
                                {"nab", 10, 2, 1, 0, tokens[0]}};
    pthread_barrier_init(&barrier, NULL, 2);
    for (int i = 0; i < 2; i++) {
      meetings[i].sent = i == 0 ? there : back;
      meetings[i].barrier = &barrier;
      assert_int_equal(pthread_create(&threads[i], NULL, land_in_thread, &meetings[i]), 0);
    }
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++)
      for (int k = 0; k < 3; k++) expect_status(&meetings[i].group, k, STATUS_OK, NULL);
    for (int k = 0; k < 3; k += 2) /* each token landed by one of the two */
      assert_int_equal(meetings[0].group.parcels[k].result.repeated +
                           meetings[1].group.parcels[2 - k].result.repeated,
                       1);
    for (int i = 0; i < 2; i++) release(&meetings[i].group);
    pthread_barrier_destroy(&barrier);
  }
  expect_number("SELECT count(*) FROM t WHERE n < 20", 25 * 2);
  expect_number("SELECT count(*) FROM t WHERE n >= 30", 25 * 2);
  expect_number("SELECT count(*) FROM t", 25 * 8);
}

/* A load with a token that is in a transaction: its rows were flushed. */
static struct load *stream(const struct sent *sent) {
  struct load_spec spec = spec_of(SCHEMA_SKIP);
  struct ArrowSchema schema;
  struct load *load;
  struct error error = {0};
  rows_schema(sent->columns, &schema);
  spec.schema = &schema;
  spec.token = sent->token;
  rows_ok(load_begin(sink, &spec, &load, &error), &error);
  struct ArrowArray batch = make_batch(&schema, sent, 0);
  rows_ok(load_append(load, &batch, &error), &error);
  rows_ok(load_flush(load, &error), &error);
  arrow_schema_release(&schema);
  return load;
}

static void a_token_that_lands_while_the_same_streams_in(void **state) {
  (void)state;
  static const struct sent sent = {"nab", 10, 2, 1, 0, "one"};
  static const struct sent other = {"nab", 10, 2, 1, 0, "two"};
  static const struct sent fewer = {"nab", 10, 1, 1, 0, "two"};
  struct load_result result;
  struct error error = {0};
  assert_int_equal(land_one(&(struct sent){.columns = "nab"}, SCHEMA_SKIP), STATUS_OK);
  /* The small one is first. */
  struct load *load = stream(&sent);
  assert_int_equal(land_one(&sent, SCHEMA_SKIP), STATUS_OK);
  rows_ok(load_commit(load, &result, &error), &error);
  assert_true(result.repeated);
  expect_number("SELECT count(*) FROM t", 3);
  /* The streamed one is. */
  struct group group;
  load = stream(&other);
  rows_ok(load_commit(load, &result, &error), &error);
  assert_false(result.repeated);
  land(&other, 1, SCHEMA_SKIP, &group);
  expect_status(&group, 0, STATUS_OK, NULL);
  assert_true(group.parcels[0].result.repeated);
  release(&group);
  expect_number("SELECT count(*) FROM t", 5);
  /* Other data under the same token. */
  land(&fewer, 1, SCHEMA_SKIP, &group);
  expect_status(&group, 0, STATUS_SCHEMA, "\"two\" has landed before with 2 rows");
  assert_false(group.parcels[0].schema_refused);
  release(&group);
  /* One that is given up leaves nothing behind. */
  static const struct sent third = {"nab", 30, 2, 1, 0, "three"};
  load_abort(stream(&third));
  assert_int_equal(land_one(&third, SCHEMA_SKIP), STATUS_OK);
  expect_number("SELECT count(*) FROM t", 7);
  expect_no_turn_held();
}

static void *commit_in_thread(void *load) {
  struct load_result result;
  struct error error = {0};
  rows_ok(load_commit(load, &result, &error), &error);
  return (void *)(uintptr_t)result.repeated;
}

static void a_token_that_lands_and_streams_at_once(void **state) {
  (void)state;
  char token[16];
  assert_int_equal(land_one(&(struct sent){.columns = "nab"}, SCHEMA_SKIP), STATUS_OK);
  for (int turn = 0; turn < 25; turn++) {
    struct group group;
    pthread_t thread;
    void *repeated;
    snprintf(token, sizeof token, "%d", turn);
    const struct sent sent = {"nab", 10, 2, 1, 0, token};
    struct load *load = stream(&sent);
    assert_int_equal(pthread_create(&thread, NULL, commit_in_thread, load), 0);
    land(&sent, 1, SCHEMA_SKIP, &group);
    pthread_join(thread, &repeated);
    expect_status(&group, 0, STATUS_OK, NULL);
    assert_int_equal(group.parcels[0].result.repeated + (repeated != NULL), 1);
    release(&group);
  }
  expect_number("SELECT count(*) FROM t", 1 + 25 * 2);
}

/* A sink whose database may be broken by SQL. */
static void open_breakable(const char *path) {
  struct error error = {0};
  struct duckdb_sink *made = calloc(1, sizeof *made);
  assert_non_null(made);
  made->base.type = &SINK_DUCKDB;
  pthread_mutex_init(&made->desk_lock, NULL);
  rows_ok(turns_new(&made->turns, &error), &error);
  rows_ok(engine_open(&(struct engine_options){.path = path, .threads = 2, .local_files = true},
                      &made->engine, &error),
          &error);
  engine_on_loss(made->engine, desk_close_idle, made);
  rows_ok(tokens_open(made->engine,
                      &(struct tokens_options){.retention_s = 3600, .count_max = 1000},
                      &made->tokens, &error),
          &error);
  sink = &made->base;
}

static void *land_two(void *group) {
  static const struct sent sent[] = {{"nab", 1, 1, 1, 0, NULL}, {"nab", 2, 1, 1, 0, "one"}};
  land(sent, 2, SCHEMA_SKIP, group);
  return NULL;
}

/* Who waits for a token has no session of a database that dies meanwhile: it is opened anew. */
static void a_token_is_waited_for_while_the_database_dies(void **state) {
  (void)state;
  char folder[] = "/tmp/arrowport-land-XXXXXX", path[96], command[64];
  static const struct table_name name = {.table = "t"};
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/data.duckdb", folder);
  sink_close(sink);
  open_breakable(path);
  struct tokens *tokens = ((struct duckdb_sink *)sink)->tokens;
  struct group group;
  struct error error = {0};
  enum token_state claimed;
  struct load_result result;
  pthread_t thread;
  run("CREATE TABLE t (n BIGINT, a VARCHAR, b BIGINT)");
  rows_ok(tokens_claim(tokens, &name, "one", 0, &claimed, &result, &error), &error);
  assert_int_equal(claimed, TOKEN_NEW);
  assert_int_equal(pthread_create(&thread, NULL, land_two, &group), 0);
  while (ask("SELECT count(*) FROM t") == 0) clock_sleep_ms(5);
  clock_sleep_ms(50);
  struct engine_session *breaking = open_session();
  rows_ok(session_run(breaking, "SET debug_checkpoint_abort = 'before_header'", &error), &error);
  assert_int_not_equal(session_run(breaking, "CHECKPOINT", &error), STATUS_OK);
  engine_session_close(breaking);
  tokens_settle(tokens, &name, "one", NULL);
  pthread_join(thread, NULL);
  for (int i = 0; i < 2; i++) expect_status(&group, i, STATUS_OK, NULL);
  release(&group);
  expect_number("SELECT sum(n)::BIGINT FROM t", 3);
  sink_close(sink);
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a path of our own making */
  open_with((const char *const[]){NULL});
}

int main(void) {
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
  const struct CMUnitTest tests[] = {
      EACH(the_guilty_one_is_found_wherever_it_is),
      EACH(all_may_be_guilty),
      EACH(tokens_of_a_halved_group_are_settled),
      EACH(where_tokens_are_refused_the_others_land),
      EACH(what_no_load_may_be_is_refused_here_too),
      EACH(a_conflict_that_does_not_end_is_everybodys),
      EACH(a_conflict_that_ends_is_not_told),
      EACH(a_table_that_changed_between_two_groups_is_looked_at_again),
      EACH(a_table_of_tokens_that_was_dropped_is_made_again),
      EACH(what_fits_lands_on_a_full_disk_and_the_rest_is_told),
      EACH(a_group_of_many_schemas_changes_the_table_for_all),
      EACH(an_overwrite_is_a_parcel_too),
      EACH(groups_of_the_same_tokens_at_once),
      EACH(a_token_that_lands_while_the_same_streams_in),
      EACH(a_token_that_lands_and_streams_at_once),
      EACH(a_token_is_waited_for_while_the_database_dies),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
