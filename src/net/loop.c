/* A libuv loop, and three ways to get something done on its thread.
 *
 * Posts come from any thread through a lock-free stack: whoever sets `queued` pushes,
 * the loop takes the whole stack at once and runs it oldest first. `queued` is cleared
 * before `run` is called, so a post made meanwhile is not lost, and a post may free
 * itself in `run`.
 *
 * libuv's handles are freed in their close callbacks, which need the loop to turn once
 * more. What belongs to a handle may therefore outlive net_timer_free or
 * http_server_free until the loop runs again; net_loop_free turns it until all are
 * closed. */
#include "net/loop.h"

#include <assert.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct signal_watch {
  uv_signal_t interrupt;
  uv_signal_t terminate;
  uv_signal_t hangup;
  void (*run)(void *context, int signal_number);
  void *context;
  struct signal_watch *next;
};

struct net_loop {
  uv_loop_t uv;
  uv_async_t wake;
  uv_idle_t idle;                   /* active exactly while `first_soon` is not NULL */
  _Atomic(struct net_post *) posts; /* newest first */
  atomic_bool stopping;
  struct loop_soon *first_soon, *last_soon;
  size_t soon_count;
  struct signal_watch *watches;
  uint8_t *scratch; /* grows to the largest that was asked for */
  size_t scratch_bytes;
};

uv_loop_t *loop_uv(struct net_loop *loop) { return &loop->uv; }

/* ---- posts ---------------------------------------------------------------------- */

void net_loop_post_quietly(struct net_loop *loop, struct net_post *post) {
  if (atomic_exchange(&post->queued, true)) return;
  struct net_post *newest = atomic_load(&loop->posts);
  do {
    post->next = newest;
  } while (!atomic_compare_exchange_weak(&loop->posts, &newest, post));
}

void net_loop_post(struct net_loop *loop, struct net_post *post) {
  net_loop_post_quietly(loop, post);
  uv_async_send(&loop->wake);
}

static void run_posts(struct net_loop *loop) {
  struct net_post *newest = atomic_exchange(&loop->posts, NULL);
  struct net_post *oldest = NULL;
  while (newest != NULL) { /* turn the stack around */
    struct net_post *next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  while (oldest != NULL) {
    struct net_post *post = oldest;
    oldest = post->next;
    void (*run)(void *) = post->run;
    void *context = post->context;
    atomic_store(&post->queued, false); /* from here on it may be posted again, or gone */
    run(context);
  }
}

static void on_wake(uv_async_t *wake) {
  struct net_loop *loop = wake->data;
  run_posts(loop);
  if (atomic_load(&loop->stopping)) uv_stop(&loop->uv);
}

/* ---- soon ------------------------------------------------------------------------ */

static void on_idle(uv_idle_t *idle) {
  struct net_loop *loop = idle->data;
  /* Only as many as are queued now: what these queue runs in the next turn, after I/O. */
  for (size_t left = loop->soon_count; left > 0 && loop->first_soon != NULL; left--) {
    struct loop_soon *soon = loop->first_soon;
    loop_soon_cancel(loop, soon);
    soon->run(soon->context);
  }
}

void loop_soon(struct net_loop *loop, struct loop_soon *soon) {
  if (soon->queued) return;
  soon->queued = true;
  loop->soon_count++;
  soon->next = NULL;
  soon->previous = loop->last_soon;
  if (loop->last_soon != NULL)
    loop->last_soon->next = soon;
  else
    loop->first_soon = soon;
  loop->last_soon = soon;
  if (soon->previous == NULL) uv_idle_start(&loop->idle, on_idle);
}

void loop_soon_cancel(struct net_loop *loop, struct loop_soon *soon) {
  if (!soon->queued) return;
  soon->queued = false;
  loop->soon_count--;
  if (soon->previous != NULL)
    soon->previous->next = soon->next;
  else
    loop->first_soon = soon->next;
  if (soon->next != NULL)
    soon->next->previous = soon->previous;
  else
    loop->last_soon = soon->previous;
  if (loop->first_soon == NULL) uv_idle_stop(&loop->idle);
}

/* ---- scratch memory --------------------------------------------------------------- */

uint8_t *loop_scratch(struct net_loop *loop, size_t bytes_min, size_t *bytes) {
  if (loop->scratch_bytes < bytes_min) {
    free(loop->scratch);
    loop->scratch = malloc(bytes_min);
    loop->scratch_bytes = loop->scratch == NULL ? 0 : bytes_min;
  }
  *bytes = loop->scratch_bytes;
  return loop->scratch;
}

/* ---- timers ---------------------------------------------------------------------- */

struct net_timer {
  uv_timer_t uv;
  void (*run)(void *);
  void *context;
};

static void on_timer(uv_timer_t *uv) {
  struct net_timer *timer = uv->data;
  timer->run(timer->context);
}

enum status net_timer_new(struct net_loop *loop, void (*run)(void *), void *context,
                          struct net_timer **timer, struct error *error) {
  *timer = calloc(1, sizeof **timer);
  if (*timer == NULL) return error_set(error, STATUS_NOMEM, "no memory for a timer");
  uv_timer_init(&loop->uv, &(*timer)->uv); /* never fails */
  (*timer)->uv.data = *timer;
  (*timer)->run = run;
  (*timer)->context = context;
  return STATUS_OK;
}

void net_timer_start(struct net_timer *timer, int64_t after_ms) {
  uv_update_time(timer->uv.loop); /* the callback that asks may have taken long */
  uv_timer_start(&timer->uv, on_timer, after_ms < 0 ? 0 : (uint64_t)after_ms, 0);
}

void net_timer_stop(struct net_timer *timer) { uv_timer_stop(&timer->uv); }

static void on_timer_closed(uv_handle_t *handle) { free(handle->data); }

void net_timer_free(struct net_timer *timer) {
  if (timer != NULL) uv_close((uv_handle_t *)&timer->uv, on_timer_closed);
}

/* ---- signals --------------------------------------------------------------------- */

static void on_signal(uv_signal_t *uv, int number) {
  struct signal_watch *watch = uv->data;
  watch->run(watch->context, number);
}

enum status net_loop_on_signal(struct net_loop *loop, void (*run)(void *context, int signal_number),
                               void *context, struct error *error) {
  struct signal_watch *watch = calloc(1, sizeof *watch);
  if (watch == NULL) return error_set(error, STATUS_NOMEM, "no memory to wait for signals");
  watch->run = run;
  watch->context = context;
  int failed = uv_signal_init(&loop->uv, &watch->interrupt);
  if (failed != 0) {
    free(watch);
    return error_set(error, STATUS_UNAVAILABLE, "cannot wait for signals: %s", uv_strerror(failed));
  }
  uv_signal_init(&loop->uv, &watch->terminate); /* the second one on a loop cannot fail */
  uv_signal_init(&loop->uv, &watch->hangup);
  watch->interrupt.data = watch;
  watch->terminate.data = watch;
  watch->hangup.data = watch;
  watch->next = loop->watches;
  loop->watches = watch; /* from here on the loop frees it */
  failed = uv_signal_start(&watch->interrupt, on_signal, SIGINT);
  if (failed == 0) failed = uv_signal_start(&watch->terminate, on_signal, SIGTERM);
  if (failed == 0) failed = uv_signal_start(&watch->hangup, on_signal, SIGHUP);
  if (failed != 0)
    return error_set(error, STATUS_UNAVAILABLE, "cannot wait for signals: %s", uv_strerror(failed));
  return STATUS_OK;
}

/* ---- the loop -------------------------------------------------------------------- */

/* A client that goes away while it is being written to must not end the process. A
 * program that embeds us and has a handler of its own keeps it. */
static void ignore_broken_pipes(void) {
  struct sigaction action;
  if (sigaction(SIGPIPE, NULL, &action) != 0 || action.sa_handler != SIG_DFL) return;
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, NULL);
}

enum status net_loop_new(struct net_loop **loop, struct error *error) {
  *loop = NULL;
  struct net_loop *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for an event loop");
  int failed = uv_loop_init(&made->uv);
  if (failed != 0) {
    free(made);
    return error_set(error, STATUS_UNAVAILABLE, "no event loop: %s", uv_strerror(failed));
  }
  failed = uv_async_init(&made->uv, &made->wake, on_wake);
  if (failed != 0) {
    uv_loop_close(&made->uv);
    free(made);
    return error_set(error, STATUS_UNAVAILABLE, "no event loop: %s", uv_strerror(failed));
  }
  uv_idle_init(&made->uv, &made->idle); /* never fails */
  made->wake.data = made;
  made->idle.data = made;
  ignore_broken_pipes();
  *loop = made;
  return STATUS_OK;
}

void net_loop_run(struct net_loop *loop) {
  /* The wake handle keeps the loop alive, so uv_run returns only when it is stopped. */
  while (!atomic_load(&loop->stopping)) uv_run(&loop->uv, UV_RUN_DEFAULT);
  atomic_store(&loop->stopping, false);
}

void net_loop_stop(struct net_loop *loop) {
  atomic_store(&loop->stopping, true);
  uv_async_send(&loop->wake);
}

static void close_signals(struct net_loop *loop) {
  for (struct signal_watch *watch = loop->watches; watch != NULL; watch = watch->next) {
    uv_close((uv_handle_t *)&watch->interrupt, NULL);
    uv_close((uv_handle_t *)&watch->terminate, NULL);
    uv_close((uv_handle_t *)&watch->hangup, NULL);
  }
}

void net_loop_free(struct net_loop *loop) {
  if (loop == NULL) return;
  assert(loop->first_soon == NULL); /* a server is left */
  close_signals(loop);
  uv_close((uv_handle_t *)&loop->wake, NULL);
  uv_close((uv_handle_t *)&loop->idle, NULL);
  uv_run(&loop->uv, UV_RUN_DEFAULT); /* close callbacks of all that was freed before */
  while (loop->watches != NULL) {
    struct signal_watch *watch = loop->watches;
    loop->watches = watch->next;
    free(watch);
  }
  int failed = uv_loop_close(&loop->uv);
  assert(failed == 0); /* a timer or a server was not freed */
  (void)failed;
  free(loop->scratch);
  free(loop);
}
