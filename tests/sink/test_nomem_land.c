/* Loads into DuckDB when memory runs out, at each allocation of our own (DuckDB's, which are C++'s,
 * are not seen). Whatever fails: no load is there in part, no token stays claimed, no turn stays
 * taken, and the next load lands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nomem/nomem.h"
#include "rows.h"
#include "sink/duckdb_private.h"

enum { LOADS_MAX = 5, SPARED_MAX = 1 << 20, STEP = 41 };
/* SPARED_MAX: a group is halved, so most can be done without. */

static const struct table_name TABLE = {.table = "t"};

/* The engine is there for all runs; each has a sink of its own. */
struct world {
  struct engine *engine;
  const char *table; /* the statement that makes it, before each run */
  enum schema_policy policy;
  enum sink_mode mode;
  bool flush;
  int number; /* of the run */
  /* of the run */
  struct duckdb_sink sink;
  char tokens[LOADS_MAX][32];
};

/* ---- the world ------------------------------------------------------------------------------------ */

static void run_sql(const struct world *world, const char *sql) {
  struct engine_session *session;
  struct engine_result *result = NULL;
  struct ArrowArray batch = {.release = NULL};
  struct error error = {0};
  rows_ok(engine_session_open(world->engine, &session, &error), &error);
  enum status status =
      engine_query(session, &(struct engine_query){.sql = sql, .own = true}, &result, &error);
  if (status == STATUS_OK) status = engine_result_next(result, &batch, &error);
  if (status != STATUS_OK) fail_msg("%s: %s", sql, error.text);
  if (batch.release != NULL) arrow_array_release(&batch);
  engine_result_close(result);
  engine_session_close(session);
}

static int64_t ask(const struct world *world, const char *sql) {
  struct engine_session *session;
  struct engine_result *result;
  struct ArrowArray batch;
  struct error error = {0};
  rows_ok(engine_session_open(world->engine, &session, &error), &error);
  enum status status = engine_query(session, &(struct engine_query){.sql = sql}, &result, &error);
  if (status != STATUS_OK) fail_msg("%s: %s", sql, error.text);
  rows_ok(engine_result_next(result, &batch, &error), &error);
  int64_t number = ((const int64_t *)batch.children[0]->buffers[1])[0];
  arrow_array_release(&batch);
  engine_result_close(result);
  engine_session_close(session);
  return number;
}

static const struct tokens_options token_options = {.retention_s = 3600, .count_max = 1 << 20};

static enum status open_sink(struct world *world, struct error *error) {
  world->sink = (struct duckdb_sink){.base = {.type = &SINK_DUCKDB},
                                     .engine = world->engine,
                                     .insert_rows = 122880,
                                     .insert_bytes_max = 1 << 26};
  pthread_mutex_init(&world->sink.desk_lock, NULL);
  enum status status = turns_new(&world->sink.turns, error);
  if (status == STATUS_OK)
    status = tokens_open(world->engine, &token_options, &world->sink.tokens, error);
  return status;
}

static void close_sink(struct world *world) {
  desk_close_all(&world->sink);
  tokens_close(world->sink.tokens);
  turns_free(world->sink.turns);
  pthread_mutex_destroy(&world->sink.desk_lock);
}

static void begin_run(struct world *world) {
  world->number++;
  for (int i = 0; i < LOADS_MAX; i++)
    snprintf(world->tokens[i], sizeof world->tokens[i], "run%d-%d", world->number, i);
  run_sql(world, "DROP TABLE IF EXISTS t");
  run_sql(world, world->table);
}

static struct load_spec spec_of(const struct world *world) {
  return (struct load_spec){
      .table = TABLE, .mode = world->mode, .create_table = true, .policy = world->policy};
}

/* Nobody has the token: it has landed, or may. */
static void check_token(const struct world *world, const char *token, bool landed, int64_t rows) {
  enum token_state state;
  struct load_result result;
  struct error error = {0};
  rows_ok(tokens_claim(world->sink.tokens, &TABLE, token, 0, &state, &result, &error), &error);
  assert_int_equal(state, landed ? TOKEN_LANDED : TOKEN_NEW);
  if (landed) assert_int_equal(result.rows, rows);
  if (landed)
    load_result_release(&result);
  else
    tokens_settle(world->sink.tokens, &TABLE, token, NULL);
}

/* The table is free, and a load lands. */
static void check_goes_on(struct world *world, int64_t rows) {
  static const struct row row = {1000000, "x", 1, NULL};
  struct turn turn;
  struct error error = {0};
  struct ArrowSchema schema;
  struct parcel parcel = {.batch_count = 1, .error = &error, .schema = &schema};
  struct load_spec spec = spec_of(world);
  rows_ok(turn_take(world->sink.turns, &TABLE, TURN_ALONE, 0, &turn, &error), &error);
  turn_give(&turn);
  int64_t there = ask(world, "SELECT count(*) FROM t");
  if (there != rows) fail_msg("%lld rows, not %lld", (long long)there, (long long)rows);
  spec.mode = SINK_APPEND;
  rows_schema("n", &schema);
  struct ArrowArray batch = rows_batch(&schema, "n", &row, 1);
  parcel.batches = &batch;
  parcel.token = world->tokens[LOADS_MAX - 1];
  sink_land(&world->sink.base, &spec, &parcel, 1);
  rows_ok(parcel.status, &error);
  assert_int_equal(ask(world, "SELECT count(*) FROM t"), rows + 1);
  load_result_release(&parcel.result);
  arrow_schema_release(&schema);
}

/* ---- groups ------------------------------------------------------------------------------------------ */

/* A load of the group: two rows. */
struct sent {
  const char *columns;
  bool token;
  enum status wanted; /* where memory lasts */
};

struct group {
  struct parcel parcels[LOADS_MAX];
  struct error errors[LOADS_MAX];
  struct ArrowSchema schemas[LOADS_MAX];
  struct ArrowArray batches[LOADS_MAX];
};

static void make_group(const struct world *world, const struct sent *sent, int count,
                       struct group *group) {
  memset(group, 0, sizeof *group);
  for (int i = 0; i < count; i++) {
    struct row rows[2];
    for (int k = 0; k < 2; k++) rows[k] = (struct row){10 * i + k, "x", 7, NULL};
    rows_schema(sent[i].columns, &group->schemas[i]);
    group->batches[i] = rows_batch(&group->schemas[i], sent[i].columns, rows, 2);
    group->parcels[i] = (struct parcel){.schema = &group->schemas[i],
                                        .batches = &group->batches[i],
                                        .batch_count = 1,
                                        .token = sent[i].token ? world->tokens[i] : NULL,
                                        .error = &group->errors[i]};
  }
}

/* Each landed, or there was no memory for it; returns the rows that are there. */
static int64_t check_group(const struct world *world, const struct sent *sent, int count,
                           const struct group *group, enum status *all, struct error *error) {
  int64_t rows = 0;
  for (int i = 0; i < count; i++) {
    const struct parcel *parcel = &group->parcels[i];
    assert_null(group->batches[i].release);
    if (parcel->status == STATUS_NOMEM) {
      *all = STATUS_NOMEM;
      *error = group->errors[i];
    } else if (parcel->status != sent[i].wanted) {
      fail_msg("load %d: %s (%s), not %s", i, status_name(parcel->status), group->errors[i].text,
               status_name(sent[i].wanted));
    }
    if (parcel->status == STATUS_OK) rows += 2;
    if (sent[i].token) check_token(world, world->tokens[i], parcel->status == STATUS_OK, 2);
  }
  return rows;
}

static enum status land_group(struct world *world, const struct sent *sent, int count,
                              struct error *error) {
  struct group group;
  nomem_pause();
  begin_run(world);
  make_group(world, sent, count, &group);
  nomem_resume();
  struct load_spec spec = spec_of(world);
  enum status status = open_sink(world, error);
  bool opened = status == STATUS_OK;
  if (opened) sink_land(&world->sink.base, &spec, group.parcels, count);
  nomem_pause();
  if (opened) {
    int64_t rows = check_group(world, sent, count, &group, &status, error);
    check_goes_on(world, rows);
  }
  for (int i = 0; i < count; i++) {
    if (group.batches[i].release != NULL) arrow_array_release(&group.batches[i]);
    load_result_release(&group.parcels[i].result);
    arrow_schema_release(&group.schemas[i]);
  }
  close_sink(world);
  return status;
}

static enum status land_skipping(void *context, struct error *error) {
  static const struct sent sent[] = {{"nb", true, STATUS_OK},
                                     {"nb", false, STATUS_OK},
                                     {"nx", true, STATUS_SCHEMA},
                                     {"n", true, STATUS_OK}};
  return land_group(context, sent, 4, error);
}

static enum status land_merging(void *context, struct error *error) {
  static const struct sent sent[] = {
      {"n", true, STATUS_OK}, {"nb", false, STATUS_OK}, {"nx", true, STATUS_OK}};
  return land_group(context, sent, 3, error);
}

/* ---- loads ---------------------------------------------------------------------------------------------- */

static const char *const keys[] = {"n"};

static enum status load_batches(struct world *world, const struct ArrowSchema *schema,
                                struct ArrowArray *batches, struct load_result *result,
                                struct error *error) {
  struct load *load = NULL;
  struct load_spec spec = spec_of(world);
  spec.schema = schema;
  spec.token = world->tokens[0];
  if (world->mode == SINK_UPSERT || world->mode == SINK_MERGE) {
    spec.keys = keys;
    spec.key_count = 1;
  }
  enum status status = load_begin(&world->sink.base, &spec, &load, error);
  for (int i = 0; i < 2 && status == STATUS_OK; i++) {
    status = load_append(load, &batches[i], error);
    if (status == STATUS_OK && i == 0 && world->flush) status = load_flush(load, error);
  }
  if (status == STATUS_OK) return load_commit(load, result, error);
  load_abort(load);
  return status;
}

/* Two batches, of the rows 1, 2 and 2, 3 of b = 7, into a table that holds 2 and 9. */
static enum status load_one(void *context, struct error *error) {
  struct world *world = context;
  static const struct row rows[2][2] = {{{1, "x", 7, NULL}, {2, "x", 7, NULL}},
                                        {{2, "x", 7, NULL}, {3, "x", 7, NULL}}};
  struct ArrowSchema schema;
  struct ArrowArray batches[2];
  struct load_result result = {.version = -1};
  nomem_pause();
  begin_run(world);
  run_sql(world, "INSERT INTO t (n) VALUES (2), (9)");
  rows_schema("nb", &schema);
  for (int i = 0; i < 2; i++) batches[i] = rows_batch(&schema, "nb", rows[i], 2);
  nomem_resume();
  enum status status = open_sink(world, error);
  bool opened = status == STATUS_OK;
  if (opened) status = load_batches(world, &schema, batches, &result, error);
  nomem_pause();
  int64_t after =
      world->mode == SINK_APPEND ? 6 : 4; /* overwritten with four; by key: 1, 2, 3, 9 */
  if (opened) {
    check_token(world, world->tokens[0], status == STATUS_OK, 4);
    check_goes_on(world, status == STATUS_OK ? after : 2);
  }
  load_result_release(&result);
  for (int i = 0; i < 2; i++)
    if (batches[i].release != NULL) arrow_array_release(&batches[i]);
  arrow_schema_release(&schema);
  close_sink(world);
  return status;
}

/* ---- tests ----------------------------------------------------------------------------------------------- */

static void run_each(const char *what, nomem_operation operation, struct world *world) {
  struct error error = {0};
  rows_budget.used_bytes = 0;
  rows_ok(engine_open(&(struct engine_options){.threads = 1}, &world->engine, &error), &error);
  rows_ok(operation(world, &error), &error); /* the tables of tokens are there */
  int64_t count = nomem_run_some(what, operation, world, SPARED_MAX, STEP);
  print_message("%s: %lld allocations\n", what, (long long)count);
  assert_true(count > 20);
  engine_close(world->engine);
  assert_int_equal(rows_budget.used_bytes, 0);
}

static void a_group_lands_or_there_is_no_memory(void **state) {
  (void)state;
  struct world world = {.table = "CREATE TABLE t (n BIGINT, b BIGINT)", .mode = SINK_APPEND};
  run_each("a group", land_skipping, &world);
}

static void a_group_changes_its_table_or_there_is_no_memory(void **state) {
  (void)state;
  struct world world = {
      .table = "CREATE TABLE t (n INTEGER)", .mode = SINK_APPEND, .policy = SCHEMA_MERGE};
  run_each("a group that changes its table", land_merging, &world);
}

static void a_load_lands_or_there_is_no_memory(void **state) {
  (void)state;
  static const struct {
    const char *what;
    enum sink_mode mode;
    bool flush;
  } cases[] = {
      {"a merge", SINK_MERGE, false},
      {"an upsert that was flushed", SINK_UPSERT, true},
      {"an upsert", SINK_UPSERT, false},
      {"an overwrite of several statements", SINK_OVERWRITE, true},
      {"an overwrite", SINK_OVERWRITE, false},
      {"a load of several statements", SINK_APPEND, true},
      {"a load of one statement", SINK_APPEND, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct world world = {.table = "CREATE TABLE t (n BIGINT, b BIGINT)",
                          .mode = cases[i].mode,
                          .flush = cases[i].flush};
    run_each(cases[i].what, load_one, &world);
  }
}

static void a_load_changes_its_table_or_there_is_no_memory(void **state) {
  (void)state;
  struct world world = {.table = "CREATE TABLE t (n INTEGER)",
                        .mode = SINK_APPEND,
                        .policy = SCHEMA_MERGE,
                        .flush = true};
  run_each("a load that changes its table", load_one, &world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_load_changes_its_table_or_there_is_no_memory),
      cmocka_unit_test(a_load_lands_or_there_is_no_memory),
      cmocka_unit_test(a_group_changes_its_table_or_there_is_no_memory),
      cmocka_unit_test(a_group_lands_or_there_is_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
