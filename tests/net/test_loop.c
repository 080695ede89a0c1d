#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/net.h"

enum { THREADS = 4, POSTS = 20000 };

struct poster {
  struct net_loop *loop;
  pthread_t thread;
  struct net_post shared; /* posted again and again */
  _Atomic int wanted;     /* raised before each post */
  int seen;               /* `wanted` at the last run; the loop's thread alone */
  int runs;
};

/* A post of its own, freed in its run. */
struct single {
  struct net_post post;
  int *runs;
};

static int single_runs;

static void run_shared(void *context) {
  struct poster *poster = context;
  poster->seen = atomic_load(&poster->wanted);
  poster->runs++;
}

static void run_single(void *context) {
  struct single *single = context;
  ++*single->runs;
  free(single);
}

static void *post_many(void *context) {
  struct poster *poster = context;
  for (int i = 0; i < POSTS; i++) {
    atomic_fetch_add(&poster->wanted, 1);
    net_loop_post(poster->loop, &poster->shared);
    struct single *single = calloc(1, sizeof *single);
    if (single == NULL) abort();
    single->runs = &single_runs;
    single->post = (struct net_post){.run = run_single, .context = single};
    net_loop_post(poster->loop, &single->post);
  }
  return NULL;
}

static void stop_loop(void *context) { net_loop_stop(context); }

static void posts_from_many_threads_all_run(void **state) {
  (void)state;
  struct net_loop *loop = NULL;
  assert_int_equal(net_loop_new(&loop, NULL), STATUS_OK);
  struct poster posters[THREADS] = {0};
  single_runs = 0;
  for (int i = 0; i < THREADS; i++) {
    posters[i].loop = loop;
    posters[i].shared = (struct net_post){.run = run_shared, .context = &posters[i]};
    assert_int_equal(pthread_create(&posters[i].thread, NULL, post_many, &posters[i]), 0);
  }
  struct net_post stop = {.run = stop_loop, .context = loop};
  net_loop_post(loop, &stop);
  net_loop_run(loop); /* while they post */
  for (int i = 0; i < THREADS; i++) pthread_join(posters[i].thread, NULL);
  net_loop_post(loop, &stop);
  net_loop_run(loop); /* what is left */
  assert_int_equal(single_runs, THREADS * POSTS);
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(posters[i].seen, POSTS); /* it ran after its last post */
    assert_in_range(posters[i].runs, 1, POSTS);
  }
  net_loop_free(loop);
}

struct order {
  int ran[3];
  int count;
};

struct step {
  struct net_post post;
  struct order *order;
  int number;
};

static void run_step(void *context) {
  struct step *step = context;
  step->order->ran[step->order->count++] = step->number;
}

static void posts_run_in_their_order_and_once(void **state) {
  (void)state;
  struct net_loop *loop = NULL;
  assert_int_equal(net_loop_new(&loop, NULL), STATUS_OK);
  struct order order = {.count = 0};
  struct step steps[3];
  for (int i = 0; i < 3; i++) {
    steps[i] = (struct step){.order = &order, .number = i};
    steps[i].post = (struct net_post){.run = run_step, .context = &steps[i]};
    net_loop_post(loop, &steps[i].post);
  }
  net_loop_post(loop, &steps[0].post); /* queued already */
  struct net_post stop = {.run = stop_loop, .context = loop};
  net_loop_post(loop, &stop);
  net_loop_run(loop);
  assert_int_equal(order.count, 3);
  for (int i = 0; i < 3; i++) assert_int_equal(order.ran[i], i);
  net_loop_free(loop);
}

static void stopping_before_running_is_not_lost(void **state) {
  (void)state;
  struct net_loop *loop = NULL;
  assert_int_equal(net_loop_new(&loop, NULL), STATUS_OK);
  net_loop_stop(loop);
  net_loop_run(loop);
  net_loop_free(loop);
}

static int timer_runs;

static void count_timer(void *context) {
  timer_runs++;
  if (context != NULL) net_loop_stop(context);
}

static void a_timer_runs_once_when_its_time_has_come(void **state) {
  (void)state;
  struct net_loop *loop = NULL;
  struct net_timer *wanted = NULL;
  struct net_timer *stopped = NULL;
  assert_int_equal(net_loop_new(&loop, NULL), STATUS_OK);
  assert_int_equal(net_timer_new(loop, count_timer, loop, &wanted, NULL), STATUS_OK);
  assert_int_equal(net_timer_new(loop, count_timer, NULL, &stopped, NULL), STATUS_OK);
  timer_runs = 0;
  int64_t from_ms = clock_now_ms();
  net_timer_start(stopped, 1);
  net_timer_stop(stopped);
  net_timer_start(wanted, 10000);
  net_timer_start(wanted, 30); /* anew */
  net_loop_run(loop);
  assert_int_equal(timer_runs, 1);
  assert_in_range(clock_now_ms() - from_ms, 29, 5000);
  net_timer_free(wanted);
  net_timer_free(stopped);
  net_timer_free(NULL);
  net_loop_free(loop);
}

static int signals[2];

static void on_signal(void *context, int number) {
  signals[number == SIGTERM]++;
  if (signals[0] + signals[1] == 2)
    net_loop_stop(context);
  else
    kill(getpid(), SIGTERM);
}

static void interrupt_and_terminate_arrive_on_the_loop(void **state) {
  (void)state;
  struct net_loop *loop = NULL;
  assert_int_equal(net_loop_new(&loop, NULL), STATUS_OK);
  assert_int_equal(net_loop_on_signal(loop, on_signal, loop, NULL), STATUS_OK);
  kill(getpid(), SIGINT);
  net_loop_run(loop);
  assert_int_equal(signals[0], 1);
  assert_int_equal(signals[1], 1);
  net_loop_free(loop);
}

static void a_broken_pipe_does_not_end_the_process(void **state) {
  (void)state;
  struct net_loop *loop = NULL;
  assert_int_equal(net_loop_new(&loop, NULL), STATUS_OK);
  assert_int_equal(raise(SIGPIPE), 0); /* would end it */
  net_loop_free(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(posts_from_many_threads_all_run),
      cmocka_unit_test(posts_run_in_their_order_and_once),
      cmocka_unit_test(stopping_before_running_is_not_lost),
      cmocka_unit_test(a_timer_runs_once_when_its_time_has_come),
      cmocka_unit_test(interrupt_and_terminate_arrive_on_the_loop),
      cmocka_unit_test(a_broken_pipe_does_not_end_the_process),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
