#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/workers.h"

enum { WAKES = 20000, TASKS = 8 };

struct counter {
  struct task task;
  _Atomic int inside;     /* how many threads are in `run` */
  _Atomic int overlapped; /* how often there were two */
  _Atomic int wanted;     /* raised by who wakes */
  int done;               /* written by `run` alone */
};

static void count(void *context) {
  struct counter *counter = context;
  if (atomic_fetch_add(&counter->inside, 1) != 0) atomic_fetch_add(&counter->overlapped, 1);
  counter->done = atomic_load(&counter->wanted);
  atomic_fetch_sub(&counter->inside, 1);
}

static void a_task_runs_after_its_last_wake_and_never_twice_at_once(void **state) {
  (void)state;
  struct workers *workers = NULL;
  assert_int_equal(workers_new(4, &workers, NULL), STATUS_OK);
  struct counter counters[TASKS] = {0};
  for (int i = 0; i < TASKS; i++) task_init(&counters[i].task, workers, count, &counters[i]);
  for (int i = 0; i < WAKES; i++) {
    struct counter *counter = &counters[i % TASKS];
    atomic_fetch_add(&counter->wanted, 1);
    task_wake(&counter->task);
  }
  workers_free(workers);
  for (int i = 0; i < TASKS; i++) {
    assert_int_equal(counters[i].done, WAKES / TASKS);
    assert_int_equal(counters[i].overlapped, 0);
  }
}

struct again {
  struct task task;
  int runs;
};

static void wake_itself(void *context) {
  struct again *again = context;
  if (++again->runs < 100) task_wake(&again->task);
}

static void a_task_that_wakes_itself_runs_again(void **state) {
  (void)state;
  struct workers *workers = NULL;
  assert_int_equal(workers_new(2, &workers, NULL), STATUS_OK);
  struct again again = {0};
  task_init(&again.task, workers, wake_itself, &again);
  task_wake(&again.task);
  workers_free(workers);
  assert_int_equal(again.runs, 100);
}

static _Atomic int freed;

static void free_itself(void *context) {
  struct task *task = context;
  task_retire(task);
  free(task);
  atomic_fetch_add(&freed, 1);
}

static void a_retired_task_may_free_itself(void **state) {
  (void)state;
  struct workers *workers = NULL;
  assert_int_equal(workers_new(2, &workers, NULL), STATUS_OK);
  for (int i = 0; i < 1000; i++) {
    struct task *task = malloc(sizeof *task);
    assert_non_null(task);
    task_init(task, workers, free_itself, task);
    task_wake(task);
  }
  workers_free(workers);
  assert_int_equal(freed, 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_task_runs_after_its_last_wake_and_never_twice_at_once),
      cmocka_unit_test(a_task_that_wakes_itself_runs_again),
      cmocka_unit_test(a_retired_task_may_free_itself),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
