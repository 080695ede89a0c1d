/* Threads that do what must not block the event loop, and tasks that run on them.
 *
 * A task is a small actor: `task_wake` says that there is something for it to do,
 * and its `run` is then called on some worker, never twice at the same time, and
 * at least once after the last wake. So what a task owns needs no lock between
 * its own runs; only what it shares with those who wake it does.
 *
 *   IDLE --wake--> QUEUED --worker--> RUNNING --run returns--> IDLE
 *                                        | wake            ^
 *                                        v                 |
 *                                  RUNNING_AGAIN --run returns--> QUEUED */
#ifndef ARROWPORT_BASE_WORKERS_H
#define ARROWPORT_BASE_WORKERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct workers;

enum status workers_new(int threads, struct workers **workers, struct error *error) WARN_UNUSED;
/* Waits until every woken task has run, then ends the threads. NULL is allowed. */
void workers_free(struct workers *workers);

/* The processors that this process may use, 1 at least: what "as many threads as there are" means. */
int workers_cores(void);

/* Tasks that were woken and wait for a thread. */
int64_t workers_waiting(struct workers *workers);

enum { WORKERS_LANES_MAX = 16 };

/* Calls each(context, index, lane) once for every index in [0, count) and returns when all
 * calls have: some of them on this thread, others on threads of `workers` that have nothing
 * else to do. Two calls at the same time have different lanes, in [0, WORKERS_LANES_MAX), so
 * that what a thread needs for itself can be kept by lane. May be called by a task. Never
 * fails; `workers` NULL: all calls are made here, with lane 0. */
void workers_each(struct workers *workers, int64_t count,
                  void (*each)(void *context, int64_t index, int lane), void *context);

struct task {
  void (*run)(void *context);
  void *context;
  /* private to workers.c */
  struct workers *workers;
  struct task *next;
  _Atomic int state;
};

/* The struct must outlive its last run: a task that frees itself does so as the
 * very last thing in `run`, and nobody wakes it after that: see task_retire. */
void task_init(struct task *task, struct workers *workers, void (*run)(void *), void *context);

/* From any thread, also from inside `run`. Never blocks, never fails. */
void task_wake(struct task *task);

/* Called inside `run` by a task that will free itself before returning: later
 * wakes are a defect, and workers.c does not touch the struct after `run`. */
void task_retire(struct task *task);

#endif
