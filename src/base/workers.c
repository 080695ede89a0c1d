/* A queue of tasks, a lock, a condition, some threads.
 *
 * Invariants:
 * 1. A task is in the queue exactly when its state is QUEUED.
 * 2. Only the thread that moved a task from QUEUED to RUNNING moves it out of
 *    RUNNING or RUNNING_AGAIN, so `run` is never entered twice.
 * 3. After `run` the task is touched only if it has not retired: it may be gone. */
#include "base/workers.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <string.h>

enum task_state { TASK_IDLE, TASK_QUEUED, TASK_RUNNING, TASK_RUNNING_AGAIN };

struct workers {
  pthread_mutex_t lock;
  pthread_cond_t wanted;
  struct task *first;
  struct task **last;
  int64_t waiting; /* tasks in the queue */
  bool ending;
  int thread_count;
  pthread_t threads[];
};

/* The task that this thread runs; NULL once it has retired. */
static _Thread_local struct task *running;

static void enqueue(struct workers *workers, struct task *task) {
  pthread_mutex_lock(&workers->lock);
  task->next = NULL;
  *workers->last = task;
  workers->last = &task->next;
  workers->waiting++;
  pthread_cond_signal(&workers->wanted);
  pthread_mutex_unlock(&workers->lock);
}

/* The next task, or NULL when the pool ends and nothing is queued. */
static struct task *dequeue(struct workers *workers) {
  pthread_mutex_lock(&workers->lock);
  while (workers->first == NULL && !workers->ending)
    pthread_cond_wait(&workers->wanted, &workers->lock);
  struct task *task = workers->first;
  if (task != NULL) {
    workers->first = task->next;
    workers->waiting--;
    if (workers->first == NULL) workers->last = &workers->first;
  }
  pthread_mutex_unlock(&workers->lock);
  return task;
}

static void run_once(struct workers *workers, struct task *task) {
  atomic_store(&task->state, TASK_RUNNING);
  running = task;
  task->run(task->context);
  if (running == NULL) return; /* retired: the struct may be gone */
  running = NULL;
  int state = TASK_RUNNING;
  if (atomic_compare_exchange_strong(&task->state, &state, TASK_IDLE)) return;
  assert(state == TASK_RUNNING_AGAIN);
  atomic_store(&task->state, TASK_QUEUED);
  enqueue(workers, task);
}

static void *worker_main(void *argument) {
  struct workers *workers = argument;
  for (struct task *task = dequeue(workers); task != NULL; task = dequeue(workers))
    run_once(workers, task);
  return NULL;
}

static void end_threads(struct workers *workers, int count) {
  pthread_mutex_lock(&workers->lock);
  workers->ending = true;
  pthread_cond_broadcast(&workers->wanted);
  pthread_mutex_unlock(&workers->lock);
  for (int i = 0; i < count; i++) pthread_join(workers->threads[i], NULL);
}

enum status workers_new(int threads, struct workers **workers, struct error *error) {
  assert(threads > 0);
  *workers = NULL;
  struct workers *made = calloc(1, sizeof *made + (size_t)threads * sizeof made->threads[0]);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for %d threads", threads);
  made->last = &made->first;
  pthread_mutex_init(&made->lock, NULL);
  pthread_cond_init(&made->wanted, NULL);

  /* Signals are the event loop's: no worker takes them. */
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = 0;
  while (made->thread_count < threads && failed == 0) {
    failed = pthread_create(&made->threads[made->thread_count], NULL, worker_main, made);
    if (failed == 0) made->thread_count++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (failed != 0) {
    workers_free(made);
    return error_set(error, STATUS_NOMEM, "a worker thread could not be started: %s",
                     strerror(failed));
  }
  *workers = made;
  return STATUS_OK;
}

void workers_free(struct workers *workers) {
  if (workers == NULL) return;
  end_threads(workers, workers->thread_count);
  pthread_mutex_destroy(&workers->lock);
  pthread_cond_destroy(&workers->wanted);
  free(workers);
}

int64_t workers_waiting(struct workers *workers) {
  pthread_mutex_lock(&workers->lock);
  int64_t waiting = workers->waiting;
  pthread_mutex_unlock(&workers->lock);
  return waiting;
}

void task_init(struct task *task, struct workers *workers, void (*run)(void *), void *context) {
  task->run = run;
  task->context = context;
  task->workers = workers;
  task->next = NULL;
  atomic_init(&task->state, TASK_IDLE);
}

void task_wake(struct task *task) {
  int state = atomic_load(&task->state);
  for (;;) {
    switch ((enum task_state)state) {
    case TASK_IDLE:
      if (!atomic_compare_exchange_weak(&task->state, &state, TASK_QUEUED)) continue;
      enqueue(task->workers, task);
      return;
    case TASK_RUNNING:
      if (!atomic_compare_exchange_weak(&task->state, &state, TASK_RUNNING_AGAIN)) continue;
      return;
    case TASK_QUEUED:
    case TASK_RUNNING_AGAIN: return;
    }
  }
}

void task_retire(struct task *task) {
  assert(running == task);
  (void)task;
  running = NULL;
}

/* ---- the same for many ----------------------------------------------------------------- */

/* Lives until the last of its tasks has run, which may be long after the call: a task that
 * starts late finds nothing left to do. */
struct each_job {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool is_over; /* the call returns: nobody may begin */
  int active;   /* tasks that make calls */
  int owners;   /* tasks that have not run, and the call */
  int64_t count;
  _Atomic int64_t next;
  void (*each)(void *context, int64_t index, int lane);
  void *context;
  struct each_task {
    struct task task;
    struct each_job *job;
    int lane;
  } tasks[];
};

static void each_release(struct each_job *job) {
  pthread_mutex_lock(&job->lock);
  bool is_last = --job->owners == 0;
  pthread_mutex_unlock(&job->lock);
  if (!is_last) return;
  pthread_mutex_destroy(&job->lock);
  pthread_cond_destroy(&job->changed);
  free(job);
}

static void each_work(struct each_job *job, int lane) {
  for (;;) {
    int64_t index = atomic_fetch_add(&job->next, 1);
    if (index >= job->count) return;
    job->each(job->context, index, lane);
  }
}

static void each_run(void *context) {
  struct each_task *task = context;
  struct each_job *job = task->job;
  pthread_mutex_lock(&job->lock);
  bool may_begin = !job->is_over;
  if (may_begin) job->active++;
  pthread_mutex_unlock(&job->lock);
  if (may_begin) {
    each_work(job, task->lane);
    pthread_mutex_lock(&job->lock);
    job->active--;
    pthread_cond_signal(&job->changed);
    pthread_mutex_unlock(&job->lock);
  }
  task_retire(&task->task);
  each_release(job);
}

/* NULL when it is not worth it, or there is no memory. */
static struct each_job *each_begin(struct workers *workers, int64_t count,
                                   void (*each)(void *, int64_t, int), void *context) {
  if (workers == NULL || count < 2) return NULL;
  int tasks =
      workers->thread_count < WORKERS_LANES_MAX ? workers->thread_count : WORKERS_LANES_MAX - 1;
  if (tasks > count - 1) tasks = (int)(count - 1);
  struct each_job *job = calloc(1, sizeof *job + (size_t)tasks * sizeof job->tasks[0]);
  if (job == NULL) return NULL;
  pthread_mutex_init(&job->lock, NULL);
  pthread_cond_init(&job->changed, NULL);
  job->count = count;
  job->each = each;
  job->context = context;
  job->owners = 1 + tasks;
  for (int i = 0; i < tasks; i++) {
    struct each_task *task = &job->tasks[i];
    task->job = job;
    task->lane = i + 1;
    task_init(&task->task, workers, each_run, task);
    task_wake(&task->task);
  }
  return job;
}

void workers_each(struct workers *workers, int64_t count,
                  void (*each)(void *context, int64_t index, int lane), void *context) {
  struct each_job *job = each_begin(workers, count, each, context);
  if (job == NULL) {
    for (int64_t i = 0; i < count; i++) each(context, i, 0);
    return;
  }
  each_work(job, 0);
  pthread_mutex_lock(&job->lock);
  job->is_over = true;
  while (job->active > 0) pthread_cond_wait(&job->changed, &job->lock);
  pthread_mutex_unlock(&job->lock);
  each_release(job);
}

int workers_cores(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  long online = sysconf(_SC_NPROCESSORS_ONLN); /* more than a cpu_set_t has */
  return online > 0 && online < WORKERS_LANES_MAX ? (int)online : WORKERS_LANES_MAX;
}
