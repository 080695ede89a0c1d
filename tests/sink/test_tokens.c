/* Tokens: each lands once, whoever asks, whenever, and is forgotten in time. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "engine/private.h" /* session_run: to break a database */
#include "sink/tokens.h"

enum { HOUR = 3600, START_S = 1800000000 };

static char folder[64], path[96];
static struct engine *engine;
static struct engine_session *session;
static struct tokens *tokens;
static struct token_writer *writer;
static int64_t wall_s, monotonic_s; /* what the clocks say */

static int64_t fake_wall_us(void) { return wall_s * 1000000; }
static int64_t fake_monotonic_us(void) { return monotonic_s * 1000000; }

/* Time goes by. */
static void pass(int64_t seconds) {
  wall_s += seconds;
  monotonic_s += seconds;
}

static void ok(enum status status, const struct error *error) {
  if (status != STATUS_OK) fail_msg("%s: %s", status_name(status), error->text);
}

static void expect(enum status status, enum status wanted, const struct error *error,
                   const char *words) {
  if (status != wanted) fail_msg("%s: %s", status_name(status), error->text);
  if (strstr(error->text, words) == NULL) fail_msg("\"%s\" is not in: %s", words, error->text);
}

/* ---- the world ----------------------------------------------------------------------------- */

static struct tokens_options options;

static void open_engine(bool read_only) {
  struct error error = {0};
  ok(engine_open(&(struct engine_options){.path = path, .threads = 2, .read_only = read_only},
                 &engine, &error),
     &error);
  ok(engine_session_open(engine, &session, &error), &error);
}

static void open_tokens(void) {
  struct error error = {0};
  ok(tokens_open(engine, &options, &tokens, &error), &error);
}

static void close_all(void) {
  token_writer_close(writer);
  tokens_close(tokens);
  engine_session_close(session);
  engine_close(engine);
  writer = NULL;
  tokens = NULL;
  session = NULL;
  engine = NULL;
}

static void restart(void) {
  close_all();
  open_engine(false);
  open_tokens();
}

static int setup(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/arrowport-tokens-XXXXXX");
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/data.duckdb", folder);
  wall_s = START_S;
  monotonic_s = 1000;
  options = (struct tokens_options){.retention_s = 24 * HOUR,
                                    .count_max = 1000000,
                                    .wall_us = fake_wall_us,
                                    .monotonic_us = fake_monotonic_us};
  open_engine(false);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  close_all();
  char wal[128];
  snprintf(wal, sizeof wal, "%s.wal", path);
  unlink(wal);
  unlink(path);
  return rmdir(folder);
}

static enum status sql_status(struct engine_session *on, const char *sql, struct error *error) {
  struct engine_result *result = NULL;
  enum status status = engine_query(on, &(struct engine_query){.sql = sql}, &result, error);
  while (status == STATUS_OK) {
    struct ArrowArray batch;
    status = engine_result_next(result, &batch, error);
    if (status != STATUS_OK || batch.release == NULL) break;
    arrow_array_release(&batch);
  }
  engine_result_close(result);
  return status;
}

static void run(const char *sql) {
  struct error error = {0};
  if (sql_status(session, sql, &error) != STATUS_OK) fail_msg("%s: %s", sql, error.text);
}

/* The only number that `sql` answers with. */
static int64_t ask(const char *sql) {
  struct engine_result *result;
  struct ArrowArray batch;
  struct error error = {0};
  if (engine_query(session, &(struct engine_query){.sql = sql}, &result, &error) != STATUS_OK)
    fail_msg("%s: %s", sql, error.text);
  ok(engine_result_next(result, &batch, &error), &error);
  assert_non_null(batch.release);
  int64_t number = ((const int64_t *)batch.children[0]->buffers[1])[0];
  arrow_array_release(&batch);
  engine_result_close(result);
  return number;
}

/* ---- tokens --------------------------------------------------------------------------------- */

static const struct table_name FLIGHTS = {.table = "flights"};

static enum status claim_in(const struct table_name *table, const char *token,
                            enum token_state *state, struct load_result *result,
                            struct error *error) {
  return tokens_claim(tokens, table, token, 0, state, result, error);
}

/* What a claim finds; what is claimed is given up again. */
static enum token_state state_of(const char *token) {
  enum token_state state;
  struct load_result result;
  struct error error = {0};
  ok(claim_in(&FLIGHTS, token, &state, &result, &error), &error);
  if (state == TOKEN_NEW) tokens_settle(tokens, &FLIGHTS, token, NULL);
  load_result_release(&result);
  return state;
}

static void open_writer(void) {
  struct error error = {0};
  if (writer == NULL) ok(token_writer_open(tokens, session, &writer, &error), &error);
}

static enum status try_put(const struct table_name *table, const char *token,
                           const struct load_result *result, struct error *error) {
  const struct token_record record = {table,           token,           result->rows,
                                      result->batches, result->version, result->changes};
  enum status status = engine_begin(session, error);
  if (status != STATUS_OK) return status;
  status = token_writer_put(writer, &record, 1, error);
  if (status == STATUS_OK) return engine_commit(session, error);
  engine_rollback(session);
  return status;
}

static void land_in(const struct table_name *table, const char *token, struct load_result landed) {
  enum token_state state;
  struct load_result result;
  struct error error = {0};
  open_writer();
  ok(claim_in(table, token, &state, &result, &error), &error);
  assert_int_equal(state, TOKEN_NEW);
  ok(try_put(table, token, &landed, &error), &error);
  tokens_settle(tokens, table, token, &landed);
}

static void land(const char *token) {
  land_in(&FLIGHTS, token, (struct load_result){.rows = 7, .batches = 2, .version = -1});
}

/* `count` tokens of a name and a number, in one commit. */
static void land_many(const char *name, int64_t count) {
  enum { MANY = 1000 };
  struct error error = {0};
  struct token_record records[MANY];
  static char names[MANY][32];
  assert_in_range(count, 1, MANY);
  open_writer();
  for (int64_t i = 0; i < count; i++) {
    enum token_state state;
    struct load_result result;
    snprintf(names[i], sizeof names[i], "%s-%lld", name, (long long)i);
    ok(claim_in(&FLIGHTS, names[i], &state, &result, &error), &error);
    assert_int_equal(state, TOKEN_NEW);
    records[i] = (struct token_record){&FLIGHTS, names[i], i, 1, -1, NULL};
  }
  ok(engine_begin(session, &error), &error);
  ok(token_writer_put(writer, records, count, &error), &error);
  ok(engine_commit(session, &error), &error);
  for (int64_t i = 0; i < count; i++)
    tokens_settle(tokens, &FLIGHTS, names[i], &(struct load_result){.rows = i, .batches = 1});
}

static int64_t remembered(void) {
  int64_t count, memory_bytes;
  tokens_look(tokens, &count, &memory_bytes);
  return count;
}

static int64_t sweep(void) {
  int64_t forgotten = -1;
  struct error error = {0};
  ok(tokens_sweep(tokens, &forgotten, &error), &error);
  return forgotten;
}

static void expect_landed(const struct table_name *table, const char *token,
                          struct load_result wanted) {
  enum token_state state;
  struct load_result result;
  struct error error = {0};
  ok(claim_in(table, token, &state, &result, &error), &error);
  assert_int_equal(state, TOKEN_LANDED);
  assert_true(result.repeated);
  assert_int_equal(result.rows, wanted.rows);
  assert_int_equal(result.batches, wanted.batches);
  assert_int_equal(result.version, wanted.version);
  if (wanted.changes == NULL)
    assert_null(result.changes);
  else
    assert_string_equal(result.changes, wanted.changes);
  load_result_release(&result);
}

/* ---- what landed ------------------------------------------------------------------------------ */

static void a_token_lands_once_and_is_answered_as_the_first_time(void **state) {
  (void)state;
  static char words[] = "added column \"gate\" VARCHAR\nadded column \"ö\" BIGINT";
  static char long_words[3000];
  memset(long_words, 'x', sizeof long_words - 1);
  struct load_result results[] = {
      {.rows = 7, .batches = 2, .version = -1},
      {.rows = 0, .batches = 0, .version = INT64_C(1) << 40},
      {.rows = INT64_MAX, .batches = 1, .version = 3, .changes = words},
      {.rows = 1, .batches = 1, .version = 4, .changes = long_words},
  };
  enum { COUNT = sizeof results / sizeof results[0] };
  char names[COUNT][16];
  open_tokens();
  for (int i = 0; i < COUNT; i++) {
    snprintf(names[i], sizeof names[i], "t%d", i);
    land_in(&FLIGHTS, names[i], results[i]);
  }
  for (int again = 0; again < 2; again++) { /* of what was last, then of the table */
    for (int i = 0; i < COUNT; i++) expect_landed(&FLIGHTS, names[i], results[i]);
    for (int i = 0; i < COUNT; i++) expect_landed(&FLIGHTS, names[i], results[i]);
    assert_int_equal(remembered(), COUNT);
    restart();
  }
  assert_int_equal(state_of("t9"), TOKEN_NEW);
}

/* More than the last ones that are kept with their answers. */
static void many_are_answered_from_the_table(void **state) {
  (void)state;
  open_tokens();
  for (int i = 0; i < 6; i++) {
    char name[16];
    snprintf(name, sizeof name, "m%d", i);
    land_many(name, 1000);
    pass(2 * HOUR);
  }
  assert_int_equal(remembered(), 6000);
  for (int i = 0; i < 6000; i += 237) {
    char name[32];
    snprintf(name, sizeof name, "m%d-%d", i / 1000, i % 1000);
    struct load_result wanted = {.rows = i % 1000, .batches = 1};
    if (i < 2000) wanted.version = -1; /* as it was recorded: pushed out of the last ones */
    if (i < 1000) expect_landed(&FLIGHTS, name, wanted);
    assert_int_equal(state_of(name), TOKEN_LANDED);
  }
}

static void nothing_is_made_before_the_first_token(void **state) {
  (void)state;
  static const char schemas[] =
      "SELECT count(*) FROM duckdb_schemas() WHERE schema_name = '_arrowport'";
  open_tokens();
  assert_int_equal(state_of("a"), TOKEN_NEW);
  assert_int_equal(sweep(), 0);
  restart();
  assert_int_equal(ask(schemas), 0);
  open_writer();
  assert_int_equal(ask(schemas), 1);
  assert_int_equal(ask("SELECT version::BIGINT FROM _arrowport.format WHERE part = 'tokens'"), 1);
  assert_int_equal(ask("SELECT count(*) FROM _arrowport.tokens"), 0);
  restart();
  assert_int_equal(state_of("a"), TOKEN_NEW);
}

static void what_is_rolled_back_has_not_landed(void **state) {
  (void)state;
  enum token_state found;
  struct load_result result;
  struct error error = {0};
  struct token_record record = {&FLIGHTS, "a", 1, 1, -1, NULL};
  open_tokens();
  open_writer();
  for (int i = 0; i < 3; i++) {
    ok(claim_in(&FLIGHTS, "a", &found, &result, &error), &error);
    assert_int_equal(found, TOKEN_NEW);
    ok(engine_begin(session, &error), &error);
    ok(token_writer_put(writer, &record, 1, &error), &error);
    engine_rollback(session);
    tokens_settle(tokens, &FLIGHTS, "a", NULL);
    assert_int_equal(remembered(), 0);
  }
  land("a");
  assert_int_equal(ask("SELECT count(*) FROM _arrowport.tokens"), 1);
  /* Rolled back and put again under the same claim. */
  ok(claim_in(&FLIGHTS, "b", &found, &result, &error), &error);
  record.token = "b";
  ok(engine_begin(session, &error), &error);
  ok(token_writer_put(writer, &record, 1, &error), &error);
  engine_rollback(session);
  pass(HOUR);
  ok(try_put(&FLIGHTS, "b", &result, &error), &error);
  tokens_settle(tokens, &FLIGHTS, "b", &result);
  restart();
  assert_int_equal(state_of("a"), TOKEN_LANDED);
  assert_int_equal(state_of("b"), TOKEN_LANDED);
}

static void a_token_that_nobody_claimed_is_not_recorded(void **state) {
  (void)state;
  struct error error = {0};
  const struct token_record record = {&FLIGHTS, "a", 1, 1, -1, NULL};
  open_tokens();
  open_writer();
  ok(engine_begin(session, &error), &error);
  expect(token_writer_put(writer, &record, 1, &error), STATUS_INTERNAL, &error, "claimed");
  engine_rollback(session);
  land("a"); /* the writer goes on */
}

/* Names are compared as DuckDB does; what is stored is what table_name_print gives. */
static void tokens_are_those_of_a_table(void **state) {
  (void)state;
  static const struct {
    const char *name, *same, *other, *stored;
  } cases[] = {
      {"flights", "FLIGHTS", "flight", "flights"},
      {"flights", "main.Flights", "s.flights", "flights"},
      {"S.Flights", "s.flights", "flights", "s.flights"},
      {"data.main.x", "MAIN.x", "main.main", "x"},
      {"\"a.b\"", "\"A.B\"", "a.b", "\"a.b\""},
      {"\"a\"\"b\".c", "\"A\"\"B\".C", "\"a\"\"b\".d", "\"a\"\"b\".c"},
      {"Ö", "Ö", "ö", "Ö"}, /* DuckDB folds ASCII alone */
  };
  open_tokens();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct table_name name, same, other;
    struct error error = {0};
    char token[16], sql[256];
    snprintf(token, sizeof token, "case%zu", i);
    ok(table_name_parse(cases[i].name, strlen(cases[i].name), &name, &error), &error);
    ok(table_name_parse(cases[i].same, strlen(cases[i].same), &same, &error), &error);
    ok(table_name_parse(cases[i].other, strlen(cases[i].other), &other, &error), &error);
    struct load_result result = {.rows = (int64_t)i, .version = -1};
    land_in(&name, token, result);
    expect_landed(&same, token, result);
    land_in(&other, token, result);
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM _arrowport.tokens WHERE token = '%s' AND table_name = '%s'",
             token, cases[i].stored);
    if (ask(sql) != 1) fail_msg("%s is not stored as %s", cases[i].name, cases[i].stored);
  }
}

static void tokens_that_are_none_are_refused(void **state) {
  (void)state;
  char long_token[TOKEN_BYTES_MAX + 2] = "";
  enum token_state found;
  struct load_result result;
  struct error error = {0};
  open_tokens();
  memset(long_token, 'x', TOKEN_BYTES_MAX + 1);
  expect(claim_in(&FLIGHTS, "", &found, &result, &error), STATUS_INVALID, &error, "none");
  expect(claim_in(&FLIGHTS, long_token, &found, &result, &error), STATUS_INVALID, &error, "287");
  expect(claim_in(&FLIGHTS, "\xFF", &found, &result, &error), STATUS_INVALID, &error, "UTF-8");
  long_token[TOKEN_BYTES_MAX] = '\0';
  land(long_token);
  land("it's \"odd\"; -- \x1F"
       "7 ö");
  restart();
  assert_int_equal(state_of(long_token), TOKEN_LANDED);
  assert_int_equal(state_of("it's \"odd\"; -- \x1F"
                            "7 ö"),
                   TOKEN_LANDED);
}

/* Two tokens of one hash: the one that landed is not taken for the other. */
static void a_hash_that_is_known_is_looked_at(void **state) {
  (void)state;
  open_tokens();
  land("a");
  run("UPDATE _arrowport.tokens SET token = 'b'");
  restart();
  assert_int_equal(remembered(), 1);
  assert_int_equal(state_of("a"), TOKEN_NEW);
  land("a");
  restart();
  assert_int_equal(ask("SELECT count(*) FROM _arrowport.tokens"), 2);
  assert_int_equal(state_of("a"), TOKEN_LANDED);
}

/* ---- who waits -------------------------------------------------------------------------------- */

static void a_token_under_way_is_busy_or_a_conflict(void **state) {
  (void)state;
  enum token_state found;
  struct load_result result;
  struct error error = {0};
  open_tokens();
  ok(claim_in(&FLIGHTS, "a", &found, &result, &error), &error);
  assert_int_equal(found, TOKEN_NEW);
  ok(claim_in(&FLIGHTS, "a", &found, &result, &error), &error);
  assert_int_equal(found, TOKEN_BUSY);
  int64_t began_ms = clock_now_ms();
  expect(tokens_claim(tokens, &FLIGHTS, "a", 60, &found, &result, &error), STATUS_CONFLICT, &error,
         "60 ms");
  assert_in_range(clock_now_ms() - began_ms, 59, 20000);
  assert_true(error.retry_after_ms > 0);
  ok(claim_in(&FLIGHTS, "b", &found, &result, &error), &error); /* others are not in its way */
  assert_int_equal(found, TOKEN_NEW);
  tokens_settle(tokens, &FLIGHTS, "a", NULL);
  tokens_settle(tokens, &FLIGHTS, "b", NULL);
}

struct waiter {
  enum token_state state;
  enum status status;
  int64_t rows;
  struct error error;
};

static void *wait_for_it(void *context) {
  struct waiter *waiter = context;
  struct load_result result;
  waiter->status = tokens_claim(tokens, &FLIGHTS, "a", 20000, &waiter->state, &result, NULL);
  waiter->rows = result.rows;
  load_result_release(&result);
  return NULL;
}

static void who_waits_hears_how_it_ended(void **state) {
  (void)state;
  enum { WAITERS = 4 };
  pthread_t threads[WAITERS];
  struct waiter waiters[WAITERS];
  enum token_state found;
  struct load_result result;
  struct error error = {0};
  open_tokens();
  for (int landed = 0; landed < 2; landed++) {
    ok(claim_in(&FLIGHTS, "a", &found, &result, &error), &error);
    assert_int_equal(found, TOKEN_NEW);
    int count = landed ? WAITERS : 1; /* what did not land, the next one lands */
    for (int i = 0; i < count; i++)
      assert_int_equal(pthread_create(&threads[i], NULL, wait_for_it, &waiters[i]), 0);
    clock_sleep_ms(30);
    tokens_settle(tokens, &FLIGHTS, "a", landed ? &(struct load_result){.rows = 9} : NULL);
    for (int i = 0; i < count; i++) {
      pthread_join(threads[i], NULL);
      assert_int_equal(waiters[i].status, STATUS_OK);
      assert_int_equal(waiters[i].state, landed ? TOKEN_LANDED : TOKEN_NEW);
      if (landed) assert_int_equal(waiters[i].rows, 9);
    }
    if (!landed) tokens_settle(tokens, &FLIGHTS, "a", NULL);
  }
}

/* ---- many at once -------------------------------------------------------------------------------- */

enum { THREADS = 8, ROUNDS = 60, NAMES = 150 };

struct racer {
  pthread_t thread;
  unsigned seed;
  char said[256];
};

static unsigned dice(struct racer *racer, unsigned sides) {
  racer->seed = racer->seed * 1103515245u + 12345u;
  return (racer->seed >> 16) % sides;
}

/* A load of one row under the token; STATUS_OK: it is committed. */
static enum status race_commit(struct engine_session *on, struct token_writer *with,
                               const char *token, bool give_up, struct error *error) {
  const struct token_record record = {&FLIGHTS, token, 1, 1, -1, NULL};
  char sql[128];
  enum status status = engine_begin(on, error);
  if (status != STATUS_OK) return status;
  snprintf(sql, sizeof sql, "INSERT INTO flights VALUES ('%s')", token);
  status = sql_status(on, sql, error);
  if (status == STATUS_OK) status = token_writer_put(with, &record, 1, error);
  if (status == STATUS_OK && give_up) status = error_set(error, STATUS_CANCELLED, "given up");
  if (status == STATUS_OK) return engine_commit(on, error);
  engine_rollback(on);
  return status;
}

static enum status race(struct racer *racer, struct error *error) {
  struct engine_session *on = NULL;
  struct token_writer *with = NULL;
  enum status status = engine_session_open(engine, &on, error);
  if (status == STATUS_OK) status = token_writer_open(tokens, on, &with, error);
  for (int i = 0; i < ROUNDS && status == STATUS_OK; i++) {
    char token[32];
    enum token_state found;
    struct load_result result;
    snprintf(token, sizeof token, "race-%u", dice(racer, NAMES));
    status = tokens_claim(tokens, &FLIGHTS, token, 60000, &found, &result, error);
    if (status == STATUS_OK && found == TOKEN_NEW) {
      status = race_commit(on, with, token, dice(racer, 4) == 0, error);
      tokens_settle(tokens, &FLIGHTS, token,
                    status == STATUS_OK ? &(struct load_result){.rows = 1} : NULL);
      if (status == STATUS_CANCELLED) status = STATUS_OK;
    }
    load_result_release(&result);
  }
  token_writer_close(with);
  engine_session_close(on);
  return status;
}

static void *run_racer(void *context) {
  struct racer *racer = context;
  struct error error = {0};
  if (race(racer, &error) != STATUS_OK)
    snprintf(racer->said, sizeof racer->said, "%s: %.200s", status_name(error.status), error.text);
  return NULL;
}

static void threads_that_race_land_each_token_once(void **state) {
  (void)state;
  struct racer racers[THREADS] = {0};
  run("CREATE TABLE flights (token VARCHAR)");
  open_tokens();
  for (unsigned i = 0; i < THREADS; i++) {
    racers[i].seed = i * 7919 + 1;
    assert_int_equal(pthread_create(&racers[i].thread, NULL, run_racer, &racers[i]), 0);
  }
  for (int i = 0; i < 20; i++) {
    sweep();
    clock_sleep_ms(2);
  }
  for (int i = 0; i < THREADS; i++) pthread_join(racers[i].thread, NULL);
  for (int i = 0; i < THREADS; i++)
    if (racers[i].said[0] != '\0') fail_msg("thread %d: %s", i, racers[i].said);
  int64_t landed = ask("SELECT count(*) FROM flights");
  assert_true(landed > NAMES / 2);
  assert_int_equal(ask("SELECT count(DISTINCT token) FROM flights"), landed);
  assert_int_equal(ask("SELECT count(*) FROM _arrowport.tokens"), landed);
  assert_int_equal(remembered(), landed);
  restart();
  for (int i = 0; i < NAMES; i++) {
    char token[32], sql[128];
    snprintf(token, sizeof token, "race-%d", i);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM flights WHERE token = '%s'", token);
    assert_int_equal(state_of(token) == TOKEN_LANDED, ask(sql));
  }
}

/* Tokens that are looked for while they are forgotten: one or the other, and nothing breaks. */
static void *look_for_old_ones(void *context) {
  struct waiter *waiter = context;
  for (int i = 0; i < 300 && waiter->status == STATUS_OK; i++) {
    char token[32];
    struct load_result result;
    snprintf(token, sizeof token, "old-%d", i % 500);
    waiter->status =
        tokens_claim(tokens, &FLIGHTS, token, 20000, &waiter->state, &result, &waiter->error);
    if (waiter->status == STATUS_OK && waiter->state == TOKEN_NEW)
      tokens_settle(tokens, &FLIGHTS, token, NULL);
    load_result_release(&result);
  }
  return NULL;
}

static void tokens_are_looked_for_while_they_are_forgotten(void **state) {
  (void)state;
  pthread_t threads[2];
  struct waiter waiters[2] = {{.status = STATUS_OK}, {.status = STATUS_OK}};
  open_tokens();
  land_many("old", 500);
  restart(); /* so that the table is asked */
  pass(25 * HOUR);
  for (int i = 0; i < 2; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, look_for_old_ones, &waiters[i]), 0);
  clock_sleep_ms(20);
  assert_int_equal(sweep(), 0);
  for (int i = 0; i < 2; i++) {
    pthread_join(threads[i], NULL);
    ok(waiters[i].status, &waiters[i].error);
  }
  sweep();
  assert_int_equal(remembered(), 0);
  assert_int_equal(ask("SELECT count(*) FROM _arrowport.tokens"), 0);
  assert_int_equal(state_of("old-1"), TOKEN_NEW);
}

/* ---- forgetting ---------------------------------------------------------------------------------- */

static void what_is_too_old_is_forgotten_and_its_rows_are_removed(void **state) {
  (void)state;
  open_tokens();
  for (int i = 0; i < 48; i++) { /* one an hour, for two days */
    char token[32];
    snprintf(token, sizeof token, "hour-%d", i);
    land(token);
    assert_int_equal(sweep(), 0);
    pass(HOUR);
  }
  for (int again = 0; again < 2; again++) {
    assert_int_equal(state_of("hour-0"), TOKEN_NEW);
    assert_int_equal(state_of("hour-20"), TOKEN_NEW);
    assert_int_equal(state_of("hour-24"), TOKEN_LANDED); /* 24 hours old */
    assert_int_equal(state_of("hour-47"), TOKEN_LANDED);
    assert_in_range(remembered(), 24, 26);
    assert_in_range(ask("SELECT count(*) FROM _arrowport.tokens"), 24, 26);
    restart();
  }
  pass(26 * HOUR); /* it was off for so long, or nobody came */
  restart();
  assert_int_equal(remembered(), 0);
  assert_int_equal(sweep(), 0);
  assert_int_equal(ask("SELECT count(*) FROM _arrowport.tokens"), 0);
  land("hour-0");
}

static void what_is_too_many_is_forgotten_before_its_time(void **state) {
  (void)state;
  options.count_max = 1600;
  open_tokens();
  int64_t forgotten = 0;
  for (int i = 0; i < 40; i++) {
    char name[16];
    snprintf(name, sizeof name, "n%d", i);
    land_many(name, 100);
    pass(1);
    forgotten += sweep();
  }
  assert_in_range(remembered(), 1400, 1600);
  assert_int_equal(forgotten, 4000 - remembered());
  /* The rows of one commit landed at one time, and go together. */
  assert_in_range(ask("SELECT count(*) FROM _arrowport.tokens"), remembered(), remembered() + 100);
  assert_int_equal(state_of("n39-99"), TOKEN_LANDED);
  assert_int_equal(state_of("n26-0"), TOKEN_LANDED);
  assert_int_equal(state_of("n20-0"), TOKEN_NEW);
  options.count_max = 500; /* only the newest are read */
  restart();
  assert_in_range(remembered(), 400, 600);
  assert_int_equal(state_of("n39-0"), TOKEN_LANDED);
  assert_int_equal(state_of("n30-0"), TOKEN_NEW);
  tokens_limit(tokens, 24 * HOUR, 100);
  assert_in_range(sweep(), 300, 600);
  tokens_limit(tokens, 10, 100);
  pass(12);
  assert_int_equal(sweep(), 0);
  assert_int_equal(remembered(), 0);
  assert_int_equal(ask("SELECT count(*) FROM _arrowport.tokens"), 0);
}

/* What is under way is not forgotten with its neighbours, however small the limits. */
static void what_is_recorded_and_not_settled_is_not_forgotten(void **state) {
  (void)state;
  enum token_state found;
  struct load_result result;
  struct error error = {0};
  options.count_max = 1;
  open_tokens();
  open_writer();
  land("a");
  ok(claim_in(&FLIGHTS, "slow", &found, &result, &error), &error);
  ok(try_put(&FLIGHTS, "slow", &result, &error), &error);
  pass(1);
  land("b");
  land("c");
  assert_int_equal(sweep(), 2);
  tokens_settle(tokens, &FLIGHTS, "slow", &result);
  restart();
  assert_int_equal(ask("SELECT count(*) FROM _arrowport.tokens WHERE token = 'slow'"), 1);
}

/* ---- clocks ---------------------------------------------------------------------------------------- */

static void a_clock_that_is_set_changes_nothing_while_the_program_runs(void **state) {
  (void)state;
  static const int64_t jumps_s[] = {-10 * 365 * 24 * HOUR, 20 * 365 * 24 * HOUR,
                                    -10 * 365 * 24 * HOUR};
  open_tokens();
  land("a");
  for (size_t i = 0; i < sizeof jumps_s / sizeof jumps_s[0]; i++) {
    char token[16];
    wall_s += jumps_s[i];
    pass(HOUR);
    snprintf(token, sizeof token, "jump%zu", i);
    land(token);
    sweep();
    assert_int_equal(remembered(), (int64_t)i + 2);
  }
  assert_int_equal(ask("SELECT (epoch(max(landed)) - epoch(min(landed)))::BIGINT "
                       "FROM _arrowport.tokens"),
                   3 * HOUR);
  pass(24 * HOUR - 1);
  sweep();
  assert_int_equal(state_of("jump2"), TOKEN_LANDED);
}

static void a_clock_that_was_set_back_makes_tokens_live_longer(void **state) {
  (void)state;
  open_tokens();
  land("a");
  pass(HOUR);
  wall_s = 0; /* a machine without a clock of its own, before it has heard what time it is */
  restart();
  assert_int_equal(state_of("a"), TOKEN_LANDED);
  land("b");
  sweep();
  wall_s = START_S + 2 * HOUR;
  restart();
  assert_int_equal(state_of("a"), TOKEN_LANDED);
  assert_int_equal(state_of("b"), TOKEN_LANDED);
  assert_int_equal(ask("SELECT count(*) FROM _arrowport.tokens WHERE landed < '2020-01-01'"), 0);
}

static void a_clock_that_was_far_ahead_does_not_stop_forgetting(void **state) {
  (void)state;
  wall_s += 10 * 365 * 24 * HOUR;
  open_tokens();
  land("a");
  wall_s = START_S; /* put right */
  restart();
  pass(25 * HOUR);
  land("b");
  pass(25 * HOUR);
  sweep();
  assert_int_equal(remembered(), 0);
  assert_int_equal(ask("SELECT count(*) FROM _arrowport.tokens"), 0);
}

/* ---- what others did to the tables ------------------------------------------------------------------- */

static void a_schema_of_somebody_else_is_left_alone(void **state) {
  (void)state;
  static const char *const theirs[] = {
      "CREATE SCHEMA _arrowport; CREATE TABLE _arrowport.things AS SELECT 7 n",
      "CREATE SCHEMA _arrowport; CREATE TABLE _arrowport.tokens AS SELECT 7 n",
      "CREATE SCHEMA _arrowport; CREATE TABLE _arrowport.format AS SELECT 7 n",
      "CREATE SCHEMA _arrowport; CREATE VIEW _arrowport.format AS SELECT 7 n",
      "CREATE SCHEMA _arrowport; CREATE TABLE _arrowport.format AS SELECT 'x' AS part, "
      "1::INTEGER AS version; CREATE TABLE _arrowport.tokens AS SELECT 7 n",
      "CREATE SCHEMA _arrowport; CREATE TABLE _arrowport.format AS SELECT 'tokens' AS part, "
      "1::INTEGER AS version; CREATE TABLE _arrowport.tokens AS SELECT 7 n",
  };
  for (size_t i = 0; i < sizeof theirs / sizeof theirs[0]; i++) {
    enum token_state found;
    struct load_result result;
    struct error error = {0};
    run(theirs[i]);
    int64_t tables = ask("SELECT count(*) FROM duckdb_tables()");
    open_tokens();
    expect(claim_in(&FLIGHTS, "a", &found, &result, &error), STATUS_UNSUPPORTED, &error,
           "_arrowport");
    expect(token_writer_open(tokens, session, &writer, &error), STATUS_UNSUPPORTED, &error,
           "another schema");
    assert_null(writer);
    assert_int_equal(sweep(), 0);
    assert_int_equal(ask("SELECT count(*) FROM duckdb_tables()"), tables);
    tokens_close(tokens);
    tokens = NULL;
    run("DROP SCHEMA _arrowport CASCADE");
  }
  run("CREATE SCHEMA _arrowport"); /* an empty one is no trouble */
  open_tokens();
  land("a");
}

static void a_table_that_was_dropped_is_made_again(void **state) {
  (void)state;
  enum token_state found;
  struct load_result result;
  struct error error = {0};
  static const char *const drops[] = {"DROP TABLE _arrowport.tokens",
                                      "DROP SCHEMA _arrowport CASCADE"};
  open_tokens();
  for (size_t i = 0; i < 2; i++) {
    land("a");
    restart();
    assert_int_equal(state_of("a"), TOKEN_LANDED);
    restart();
    open_writer();
    run(drops[i]);
    assert_int_equal(state_of("a"), TOKEN_NEW); /* its row is gone */
    ok(claim_in(&FLIGHTS, "b", &found, &result, &error), &error);
    expect(try_put(&FLIGHTS, "b", &result, &error), STATUS_CONFLICT, &error, "dropped");
    ok(try_put(&FLIGHTS, "b", &result, &error), &error);
    tokens_settle(tokens, &FLIGHTS, "b", &result);
    land("a");
    token_writer_close(writer);
    writer = NULL;
    run(drops[i]);
    pass(25 * HOUR);
    assert_int_equal(sweep(), 0);
    open_writer();
    land("c");
    assert_int_equal(ask("SELECT count(*) FROM _arrowport.tokens"), 1);
    restart();
    assert_int_equal(state_of("c"), TOKEN_LANDED);
    run("DELETE FROM _arrowport.tokens");
    restart();
  }
}

static void a_table_that_was_replaced_is_refused_and_left_alone(void **state) {
  (void)state;
  enum token_state found;
  struct load_result result;
  struct error error = {0};
  open_tokens();
  land("a");
  ok(claim_in(&FLIGHTS, "b", &found, &result, &error), &error);
  run("DROP TABLE _arrowport.tokens; CREATE TABLE _arrowport.tokens AS SELECT 7 n");
  expect(try_put(&FLIGHTS, "b", &result, &error), STATUS_UNSUPPORTED, &error, "another schema");
  tokens_settle(tokens, &FLIGHTS, "b", NULL);
  expect(claim_in(&FLIGHTS, "c", &found, &result, &error), STATUS_UNSUPPORTED, &error,
         "_arrowport");
  assert_int_equal(ask("SELECT n::BIGINT FROM _arrowport.tokens"), 7);
}

static void a_database_that_is_only_read_answers_and_records_nothing(void **state) {
  (void)state;
  struct error error = {0};
  open_tokens();
  land("a");
  close_all();
  open_engine(true);
  options.read_only = true;
  open_tokens();
  assert_int_equal(state_of("a"), TOKEN_LANDED);
  assert_int_equal(state_of("b"), TOKEN_NEW);
  expect(token_writer_open(tokens, session, &writer, &error), STATUS_UNAVAILABLE, &error,
         "reading");
  pass(26 * HOUR);
  assert_int_equal(sweep(), 0);
  sweep();
  assert_int_equal(remembered(), 0);
  assert_int_equal(ask("SELECT count(*) FROM _arrowport.tokens"), 1);
}

/* A commit that ended without saying how, and of which the database died: opened anew, it knows. */
static void what_landed_unheard_is_known_when_the_database_is_opened_anew(void **state) {
  (void)state;
  enum token_state found;
  struct load_result result;
  struct error error = {0};
  close_all();
  ok(engine_open(&(struct engine_options){.path = path, .threads = 2, .local_files = true}, &engine,
                 &error),
     &error);
  ok(engine_session_open(engine, &session, &error), &error);
  open_tokens();
  land("a");
  ok(claim_in(&FLIGHTS, "unheard", &found, &result, &error), &error);
  ok(try_put(&FLIGHTS, "unheard", &result, &error), &error);
  tokens_settle(tokens, &FLIGHTS, "unheard", NULL);
  ok(claim_in(&FLIGHTS, "held", &found, &result, &error), &error); /* across it */
  ok(session_run(session, "SET debug_checkpoint_abort = 'before_header'", &error), &error);
  assert_int_not_equal(sql_status(session, "CHECKPOINT", &error), STATUS_OK);
  assert_int_equal(engine_generation(engine), 2);
  token_writer_close(writer);
  writer = NULL;
  engine_session_close(session);
  session = NULL;
  assert_int_equal(state_of("unheard"), TOKEN_LANDED);
  assert_int_equal(state_of("a"), TOKEN_LANDED);
  assert_int_equal(remembered(), 2);
  ok(engine_session_open(engine, &session, &error), &error);
  open_writer();
  assert_int_equal(state_of("held"), TOKEN_BUSY);
  ok(try_put(&FLIGHTS, "held", &result, &error), &error);
  tokens_settle(tokens, &FLIGHTS, "held", &result);
  land("b");
  assert_int_equal(remembered(), 4);
  assert_int_equal(ask("SELECT count(*) FROM _arrowport.tokens"), 4);
}

/* The default name of a database, and the one of the schema. */
static void a_database_may_have_any_name(void **state) {
  (void)state;
  static const char *const names[] = {"arrowport.duckdb", "_arrowport.duckdb", "tokens.duckdb",
                                      "read_csv", "a.b.c"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    close_all();
    unlink(path);
    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    open_engine(false);
    open_tokens();
    land("a");
    restart();
    assert_int_equal(state_of("a"), TOKEN_LANDED);
    if (i == 0) {
      run("CREATE TABLE x (n INTEGER)");
      assert_int_equal(ask("SELECT count(*) FROM arrowport.x"), 0);
    }
  }
}

/* Writers that make the tables at the same time. */
static void *open_a_writer(void *context) {
  struct waiter *waiter = context;
  struct engine_session *on = NULL;
  struct token_writer *made = NULL;
  waiter->status = engine_session_open(engine, &on, NULL);
  if (waiter->status == STATUS_OK) waiter->status = token_writer_open(tokens, on, &made, NULL);
  token_writer_close(made);
  engine_session_close(on);
  return NULL;
}

static void writers_may_come_at_once(void **state) {
  (void)state;
  pthread_t threads[6];
  struct waiter waiters[6] = {0};
  open_tokens();
  for (int i = 0; i < 6; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, open_a_writer, &waiters[i]), 0);
  for (int i = 0; i < 6; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(waiters[i].status, STATUS_OK);
  }
  assert_int_equal(ask("SELECT count(*) FROM _arrowport.format"), 1);
}

/* Somebody's open transaction makes the same schema: it is waited for. */
static void tables_that_somebody_else_makes_are_waited_for(void **state) {
  (void)state;
  struct error error = {0};
  struct engine_session *other;
  pthread_t thread;
  struct waiter waiter = {0};
  open_tokens();
  ok(engine_session_open(engine, &other, &error), &error);
  ok(engine_begin(other, &error), &error);
  ok(sql_status(other, "CREATE SCHEMA _arrowport", &error), &error);
  assert_int_equal(pthread_create(&thread, NULL, open_a_writer, &waiter), 0);
  clock_sleep_ms(100);
  engine_rollback(other);
  pthread_join(thread, NULL);
  engine_session_close(other);
  assert_int_equal(waiter.status, STATUS_OK);
}

int main(void) {
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
  const struct CMUnitTest tests[] = {
      EACH(a_token_lands_once_and_is_answered_as_the_first_time),
      EACH(many_are_answered_from_the_table),
      EACH(nothing_is_made_before_the_first_token),
      EACH(what_is_rolled_back_has_not_landed),
      EACH(a_token_that_nobody_claimed_is_not_recorded),
      EACH(tokens_are_those_of_a_table),
      EACH(tokens_that_are_none_are_refused),
      EACH(a_hash_that_is_known_is_looked_at),
      EACH(a_token_under_way_is_busy_or_a_conflict),
      EACH(who_waits_hears_how_it_ended),
      EACH(threads_that_race_land_each_token_once),
      EACH(tokens_are_looked_for_while_they_are_forgotten),
      EACH(what_is_too_old_is_forgotten_and_its_rows_are_removed),
      EACH(what_is_too_many_is_forgotten_before_its_time),
      EACH(what_is_recorded_and_not_settled_is_not_forgotten),
      EACH(a_clock_that_is_set_changes_nothing_while_the_program_runs),
      EACH(a_clock_that_was_set_back_makes_tokens_live_longer),
      EACH(a_clock_that_was_far_ahead_does_not_stop_forgetting),
      EACH(a_schema_of_somebody_else_is_left_alone),
      EACH(a_table_that_was_dropped_is_made_again),
      EACH(a_table_that_was_replaced_is_refused_and_left_alone),
      EACH(a_database_that_is_only_read_answers_and_records_nothing),
      EACH(what_landed_unheard_is_known_when_the_database_is_opened_anew),
      EACH(a_database_may_have_any_name),
      EACH(writers_may_come_at_once),
      EACH(tables_that_somebody_else_makes_are_waited_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
