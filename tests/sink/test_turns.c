/* Turns at a table: who may be there beside whom, and who waits for how long. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "sink/turns.h"

static struct turns *turns;
static const struct table_name FLIGHTS = {.table = "flights"};

/* Long enough for what happens without waiting, on any machine. */
enum { LONG_MS = 30000 };

static int setup(void **state) {
  (void)state;
  struct error error = {0};
  return turns_new(&turns, &error) == STATUS_OK ? 0 : 1;
}

static int teardown(void **state) {
  (void)state;
  turns_free(turns);
  return 0;
}

static struct turn take(const struct table_name *table, enum turn_kind kind) {
  struct turn turn;
  struct error error = {0};
  enum status status = turn_take(turns, table, kind, LONG_MS, &turn, &error);
  if (status != STATUS_OK) fail_msg("%s: %s", status_name(status), error.text);
  assert_non_null(turn.at);
  return turn;
}

static bool may_take(const struct table_name *table, enum turn_kind kind) {
  struct turn turn;
  struct error error = {0};
  enum status status = turn_take(turns, table, kind, 0, &turn, &error);
  if (status == STATUS_OK) {
    turn_give(&turn);
    return true;
  }
  assert_int_equal(status, STATUS_CONFLICT);
  assert_int_equal(error.status, STATUS_CONFLICT);
  assert_true(error.retry_after_ms > 0);
  assert_non_null(strstr(error.text, kind == TURN_ALONE ? "other loads" : "being changed"));
  assert_null(turn.at);
  turn_give(&turn); /* nothing */
  return false;
}

/* ---- who beside whom -------------------------------------------------------------------------- */

static void the_table_of_turns(void **state) {
  (void)state;
  static const bool beside[3][3] = {
      [TURN_APPEND] = {[TURN_APPEND] = true, [TURN_BY_KEY] = true},
      [TURN_BY_KEY] = {[TURN_APPEND] = true},
  };
  for (enum turn_kind there = TURN_APPEND; there <= TURN_ALONE; there++)
    for (enum turn_kind comes = TURN_APPEND; comes <= TURN_ALONE; comes++) {
      struct turn turn = take(&FLIGHTS, there);
      if (may_take(&FLIGHTS, comes) != beside[there][comes])
        fail_msg("%d beside %d", (int)comes, (int)there);
      turn_give(&turn);
      assert_null(turn.at);
      turn_give(&turn); /* twice is once */
      assert_true(may_take(&FLIGHTS, comes));
    }
}

static void many_append_and_each_has_to_go(void **state) {
  (void)state;
  struct turn appends[5];
  for (int i = 0; i < 5; i++) appends[i] = take(&FLIGHTS, TURN_APPEND);
  struct turn by_key = take(&FLIGHTS, TURN_BY_KEY);
  for (int i = 0; i < 5; i++) {
    assert_false(may_take(&FLIGHTS, TURN_ALONE));
    turn_give(&appends[i]);
  }
  assert_false(may_take(&FLIGHTS, TURN_ALONE));
  turn_give(&by_key);
  assert_true(may_take(&FLIGHTS, TURN_ALONE));
}

static void names_are_told_apart_as_duckdb_does(void **state) {
  (void)state;
  static const struct {
    struct table_name name;
    bool same;
  } cases[] = {
      {{.table = "FLIGHTS"}, true},
      {{.table = "Flights", .schema = "Main"}, true},
      {{.table = "flight"}, false},
      {{.table = "flights2"}, false},
      {{.table = "flights", .schema = "other"}, false},
  };
  struct turn turn = take(&FLIGHTS, TURN_ALONE);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (enum turn_kind kind = TURN_APPEND; kind <= TURN_ALONE; kind++)
      assert_int_equal(may_take(&cases[i].name, kind), !cases[i].same);
  turn_give(&turn);
}

/* ---- waiting ------------------------------------------------------------------------------------ */

/* Somebody on a thread of his own. */
struct other {
  pthread_t thread;
  enum turn_kind kind;
  int wait_ms;
  enum status status;
  _Atomic int64_t took_ms;
  _Atomic bool has;  /* it has its turn */
  _Atomic bool over; /* it may give it back */
};

static void *wait_for_turn(void *context) {
  struct other *other = context;
  struct turn turn;
  struct error error;
  int64_t begin_ms = clock_now_ms();
  other->status = turn_take(turns, &FLIGHTS, other->kind, other->wait_ms, &turn, &error);
  other->took_ms = clock_now_ms() - begin_ms;
  other->has = other->status == STATUS_OK;
  while (!other->over) clock_sleep_ms(1);
  turn_give(&turn);
  return NULL;
}

static void come(struct other *other) {
  assert_int_equal(pthread_create(&other->thread, NULL, wait_for_turn, other), 0);
}

static void leave(struct other *other) {
  other->over = true;
  pthread_join(other->thread, NULL);
}

static void who_waits_gets_it_when_it_is_given_back(void **state) {
  (void)state;
  static const enum turn_kind kinds[][2] = {{TURN_APPEND, TURN_ALONE},  {TURN_ALONE, TURN_APPEND},
                                            {TURN_BY_KEY, TURN_BY_KEY}, {TURN_ALONE, TURN_ALONE},
                                            {TURN_BY_KEY, TURN_ALONE},  {TURN_ALONE, TURN_BY_KEY}};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    struct turn turn = take(&FLIGHTS, kinds[i][0]);
    struct other other = {.kind = kinds[i][1], .wait_ms = LONG_MS};
    come(&other);
    clock_sleep_ms(30);
    assert_false(other.has);
    turn_give(&turn);
    while (!other.has) clock_sleep_ms(1);
    leave(&other);
    assert_int_equal(other.status, STATUS_OK);
  }
}

static void patience_ends(void **state) {
  (void)state;
  static const enum turn_kind kinds[][2] = {{TURN_APPEND, TURN_ALONE}, {TURN_ALONE, TURN_APPEND}};
  for (size_t i = 0; i < 2; i++) {
    struct turn turn = take(&FLIGHTS, kinds[i][0]);
    struct other other = {.kind = kinds[i][1], .wait_ms = 80, .over = true};
    come(&other);
    leave(&other);
    assert_int_equal(other.status, STATUS_CONFLICT);
    assert_true(other.took_ms >= 75);
    assert_true(other.took_ms < LONG_MS);
    turn_give(&turn);
  }
}

/* Polite for three quarters of its patience; then nobody else comes in. */
static void who_wants_to_be_alone_is_polite_and_then_presses(void **state) {
  (void)state;
  struct turn first = take(&FLIGHTS, TURN_APPEND);
  struct other alone = {.kind = TURN_ALONE, .wait_ms = 1200};
  int64_t begin_ms = clock_now_ms();
  come(&alone);
  clock_sleep_ms(20);
  bool let_in = may_take(&FLIGHTS, TURN_APPEND) && may_take(&FLIGHTS, TURN_BY_KEY);
  if (clock_now_ms() - begin_ms < 850) assert_true(let_in);
  while (may_take(&FLIGHTS, TURN_APPEND)) clock_sleep_ms(5);
  int64_t pressed_ms = clock_now_ms() - begin_ms;
  assert_true(pressed_ms >= 895); /* not before */
  /* A newcomer waits behind it, and comes in after it. */
  struct other newcomer = {.kind = TURN_APPEND, .wait_ms = LONG_MS};
  come(&newcomer);
  clock_sleep_ms(20);
  assert_false(newcomer.has && clock_now_ms() - begin_ms < 1150);
  turn_give(&first);
  while (!alone.has && clock_now_ms() - begin_ms < 1150) clock_sleep_ms(1);
  if (alone.has) assert_false(newcomer.has);
  leave(&alone);
  while (!newcomer.has) clock_sleep_ms(1);
  leave(&newcomer);
  assert_int_equal(newcomer.status, STATUS_OK);
}

static void who_presses_in_vain_lets_the_others_in(void **state) {
  (void)state;
  struct turn first = take(&FLIGHTS, TURN_APPEND);
  struct other alone = {.kind = TURN_ALONE, .wait_ms = 200, .over = true};
  come(&alone);
  while (may_take(&FLIGHTS, TURN_APPEND) && !alone.has && alone.took_ms == 0) clock_sleep_ms(1);
  struct turn second = take(&FLIGHTS, TURN_APPEND); /* not after LONG_MS */
  leave(&alone);
  assert_int_equal(alone.status, STATUS_CONFLICT);
  turn_give(&second);
  turn_give(&first);
  assert_true(may_take(&FLIGHTS, TURN_ALONE));
}

/* ---- a crowd -------------------------------------------------------------------------------------- */

enum { THREADS = 8, VISITS = 400 };

struct crowd {
  _Atomic int appending, by_key, alone;
  _Atomic int wrong, visits;
  _Atomic int begun;
};

static void visit(struct crowd *crowd, const struct table_name *table, enum turn_kind kind) {
  struct turn turn;
  struct error error;
  if (turn_take(turns, table, kind, LONG_MS, &turn, &error) != STATUS_OK) {
    crowd->wrong++;
    return;
  }
  _Atomic int *mine = kind == TURN_APPEND   ? &crowd->appending
                      : kind == TURN_BY_KEY ? &crowd->by_key
                                            : &crowd->alone;
  int there = ++*mine;
  if (kind != TURN_APPEND && there != 1) crowd->wrong++;
  if (kind == TURN_ALONE && (crowd->appending != 0 || crowd->by_key != 0)) crowd->wrong++;
  if (kind != TURN_ALONE && crowd->alone != 0) crowd->wrong++;
  crowd->visits++;
  --*mine;
  turn_give(&turn);
}

static void *visit_often(void *context) {
  static const struct table_name names[] = {{.table = "flights"}, {.table = "FLIGHTS"}};
  struct crowd *crowd = context;
  int number = crowd->begun++;
  for (int i = 0; i < VISITS; i++) {
    int dice = (i * 7 + number * 3) % 10;
    visit(crowd, &names[i % 2], dice == 0 ? TURN_ALONE : dice < 4 ? TURN_BY_KEY : TURN_APPEND);
  }
  return NULL;
}

static void eight_threads_never_meet_where_they_must_not(void **state) {
  (void)state;
  struct crowd crowd = {0};
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, visit_often, &crowd), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  assert_int_equal(crowd.wrong, 0);
  assert_int_equal(crowd.visits, THREADS * VISITS);
  assert_true(may_take(&FLIGHTS, TURN_ALONE));
}

/* ---- without a table, and alone at all of them ---------------------------------------------------- */

static bool may_be_alone(struct turn *turn) {
  struct error error = {0};
  enum status status = turn_take_all(turns, 0, turn, &error);
  if (status == STATUS_OK) return true;
  assert_int_equal(status, STATUS_CONFLICT);
  assert_true(error.retry_after_ms > 0);
  assert_non_null(strstr(error.text, "no table is altered beside them"));
  return false;
}

static void who_joins_keeps_away_who_would_be_alone_everywhere(void **state) {
  (void)state;
  struct error error = {0};
  struct turn one = TURN_NONE, other = TURN_NONE, alone = TURN_NONE;
  assert_int_equal(turn_join(turns, LONG_MS, &one, &error), STATUS_OK);
  assert_int_equal(turn_join(turns, LONG_MS, &other, &error), STATUS_OK);
  assert_true(may_take(&FLIGHTS, TURN_APPEND));
  assert_true(may_take(&FLIGHTS, TURN_ALONE)); /* who knows its table minds itself */
  assert_false(may_be_alone(&alone));
  assert_null(alone.at);
  /* One who has joined is in nobody's way but the other's. */
  assert_false(may_be_alone(&one));
  assert_int_equal(one.kind, TURN_APPEND); /* and stays */
  turn_give(&other);
  assert_true(may_be_alone(&one));
  assert_int_equal(one.kind, TURN_ALONE);
  assert_int_equal(turn_join(turns, 0, &other, &error), STATUS_CONFLICT);
  assert_null(other.at);
  assert_false(may_take(&FLIGHTS, TURN_APPEND));
  turn_give(&one);
  assert_null(one.at);
  assert_true(may_be_alone(&alone));
  turn_give(&alone);
  /* Who has a table takes all of them, and gives all of them back. */
  one = take(&FLIGHTS, TURN_ALONE);
  assert_true(may_be_alone(&one));
  assert_false(may_take(&FLIGHTS, TURN_APPEND));
  turn_give(&one);
  assert_true(may_take(&FLIGHTS, TURN_APPEND));
}

int main(void) {
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
  const struct CMUnitTest tests[] = {
      EACH(the_table_of_turns),
      EACH(many_append_and_each_has_to_go),
      EACH(names_are_told_apart_as_duckdb_does),
      EACH(who_waits_gets_it_when_it_is_given_back),
      EACH(patience_ends),
      EACH(who_wants_to_be_alone_is_polite_and_then_presses),
      EACH(who_presses_in_vain_lets_the_others_in),
      EACH(eight_threads_never_meet_where_they_must_not),
      EACH(who_joins_keeps_away_who_would_be_alone_everywhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
