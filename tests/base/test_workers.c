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

enum { CALLS = 1000 };

struct each {
  _Atomic int calls[CALLS];
  _Atomic int inside[WORKERS_LANES_MAX];
  _Atomic int overlapped;
};

static void note_call(void *context, int64_t index, int lane) {
  struct each *each = context;
  if (atomic_fetch_add(&each->inside[lane], 1) != 0) atomic_fetch_add(&each->overlapped, 1);
  atomic_fetch_add(&each->calls[index], 1);
  atomic_fetch_sub(&each->inside[lane], 1);
}

static void each_index_is_called_once_and_no_lane_twice_at_once(void **state) {
  (void)state;
  static const int threads[] = {0, 1, 3, 20};
  for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
    struct workers *workers = NULL;
    if (threads[i] > 0) assert_int_equal(workers_new(threads[i], &workers, NULL), STATUS_OK);
    for (int64_t count = 0; count <= CALLS; count = count * 3 + 1) {
      struct each each = {0};
      workers_each(workers, count, note_call, &each);
      for (int64_t k = 0; k < CALLS; k++) assert_int_equal(each.calls[k], k < count);
      assert_int_equal(each.overlapped, 0);
    }
    workers_free(workers);
  }
}

struct nested {
  struct task task;
  struct each each;
  struct workers *workers;
  _Atomic int *done;
};

static void call_each(void *context) {
  struct nested *nested = context;
  workers_each(nested->workers, CALLS, note_call, &nested->each);
  atomic_fetch_add(nested->done, 1);
}

static void tasks_that_share_all_threads_do_not_wait_for_each_other(void **state) {
  (void)state;
  static struct nested nested[TASKS];
  _Atomic int done = 0;
  struct workers *workers = NULL;
  assert_int_equal(workers_new(2, &workers, NULL), STATUS_OK);
  for (int i = 0; i < TASKS; i++) {
    nested[i].workers = workers;
    nested[i].done = &done;
    task_init(&nested[i].task, workers, call_each, &nested[i]);
    task_wake(&nested[i].task);
  }
  workers_free(workers);
  assert_int_equal(done, TASKS);
  for (int i = 0; i < TASKS; i++)
    for (int k = 0; k < CALLS; k++) assert_int_equal(nested[i].each.calls[k], 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_task_runs_after_its_last_wake_and_never_twice_at_once),
      cmocka_unit_test(a_task_that_wakes_itself_runs_again),
      cmocka_unit_test(a_retired_task_may_free_itself),
      cmocka_unit_test(each_index_is_called_once_and_no_lane_twice_at_once),
      cmocka_unit_test(tasks_that_share_all_threads_do_not_wait_for_each_other),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
