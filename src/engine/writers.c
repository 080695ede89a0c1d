/* Transactions that write, and checkpoints, which do not go beside them.
 *
 * DuckDB 1.5.5 runs a CHECKPOINT beside transactions that write, into a second log. A process that is
 * killed in that time can leave a file that does not open any more ("checkpoint WAL cannot contain a
 * checkpoint marker", wrong checksums): docs/internals/commit-failures.md has the experiment. Checkpoints
 * that DuckDB starts itself, inside a commit, find their own moment when nobody else writes. So ours
 * wait for such a moment, and nobody begins to write until they are over.
 *
 * A client's transaction may wait for its client for long, so it enters with its first change
 * (writers_join), and keeps checkpoints waiting from then on until it ends. It waits then, with what it
 * has read, while a checkpoint runs: a checkpoint does not wait for readers.
 *
 *   engine_begin, statements of engine_query that change something --writers_enter--> ... --writers_leave
 *   the keeper, CHECKPOINT by SQL --writers_keep_out--> ... --writers_let_in
 *
 * Who keeps out first looks for a moment without writers, then for a short while lets nobody begin: a
 * transaction that waits for its client would otherwise stop everybody else for as long. */
#include <time.h>

#include "base/clock.h"
#include "engine/private.h"

enum { PRESS_MS = 100 };

void writers_init(struct writers *writers) {
  *writers = (struct writers){.count = 0};
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&writers->lock, NULL);
  pthread_cond_init(&writers->changed, &monotonic);
  pthread_condattr_destroy(&monotonic);
}

void writers_destroy(struct writers *writers) {
  pthread_cond_destroy(&writers->changed);
  pthread_mutex_destroy(&writers->lock);
}

void writers_enter(struct engine_session *session) {
  struct writers *writers = &session->engine->writers;
  if (session->writes || session->keeps_out) return;
  session->writes = true;
  pthread_mutex_lock(&writers->lock);
  while (writers->alone || writers->pressing > 0)
    pthread_cond_wait(&writers->changed, &writers->lock);
  writers->count++;
  pthread_mutex_unlock(&writers->lock);
}

void writers_join(struct engine_session *session) {
  if (session->in_transaction) writers_enter(session);
}

void writers_leave(struct engine_session *session) {
  struct writers *writers = &session->engine->writers;
  if (!session->writes) return;
  session->writes = false;
  pthread_mutex_lock(&writers->lock);
  if (--writers->count == 0) pthread_cond_broadcast(&writers->changed);
  pthread_mutex_unlock(&writers->lock);
}

/* Under the lock: until nobody writes, or that time; true: nobody does. */
static bool wait_until(struct writers *writers, int64_t until_ms) {
  struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                           .tv_nsec = (long)(until_ms % 1000) * 1000000};
  while (writers->count > 0 || writers->alone)
    if (pthread_cond_timedwait(&writers->changed, &writers->lock, &until) != 0)
      return writers->count == 0 && !writers->alone;
  return true;
}

bool writers_keep_out(struct engine *engine, int wait_ms) {
  struct writers *writers = &engine->writers;
  int64_t until_ms = clock_now_ms() + wait_ms;
  pthread_mutex_lock(&writers->lock);
  bool alone = wait_until(writers, until_ms - PRESS_MS);
  if (!alone) {
    writers->pressing++;
    alone = wait_until(writers, until_ms);
    writers->pressing--;
  }
  writers->alone |= alone;
  if (!alone)
    pthread_cond_broadcast(&writers->changed); /* who waited behind the one that pressed */
  pthread_mutex_unlock(&writers->lock);
  return alone;
}

void writers_let_in(struct engine *engine) {
  struct writers *writers = &engine->writers;
  pthread_mutex_lock(&writers->lock);
  writers->alone = false;
  pthread_cond_broadcast(&writers->changed);
  pthread_mutex_unlock(&writers->lock);
}
