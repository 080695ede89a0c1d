/* Folding the write-ahead log into the file, outside of any commit.
 *
 * DuckDB would do it inside the commit that makes the log too long: that commit's rows are durable
 * by then, but its acknowledgement waits, and when the checkpoint fails (a full disk) the commit
 * fails with it and nobody can say what became of it. So a thread of the engine's watches the log's
 * length and age. Commits that come meanwhile wait; DuckDB's own threshold is left as a backstop
 * several times higher (configure in database.c).
 *
 *   ASLEEP (no log) --a commit--> COUNTING --long or old enough, and room on the disk--> CHECKPOINT
 *
 * 1. A checkpoint is not begun on a disk that has no room for it: one that fails puts the database
 *    out of use (reopen.c).
 * 2. It goes beside transactions that read, and waits for those that write (writers.c): a while for a
 *    moment without any, then it is tried again later.
 * 3. What fails is tried again later, at longer and longer intervals; loads go on meanwhile.
 * 4. The thread's session is open only while a checkpoint runs. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "engine/private.h"

enum {
  KEEP_OUT_MS = 1000,
  BUSY_MS = 250, /* after it met transactions that do not end; doubled each time */
  BUSY_MS_MAX = 4000,
  RETRY_MS = 1000,
  RETRY_MS_MAX = 60000,
  ROOM_BYTES = 4 << 20, /* besides twice the log */
};

static int64_t wal_bytes(const struct keeper *keeper) {
  struct stat file;
  return keeper->wal_path != NULL && stat(keeper->wal_path, &file) == 0 ? (int64_t)file.st_size : 0;
}

bool keeper_has_room(struct engine *engine) {
  struct statvfs disk;
  if (engine->in_memory || statvfs(engine->options.path, &disk) != 0) return true;
  int64_t room_bytes = (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
  return room_bytes >= 2 * wal_bytes(&engine->keeper) + ROOM_BYTES;
}

static enum status fold(struct engine *engine, struct error *error) {
  struct engine_session *session = NULL;
  enum status status = engine_session_open(engine, &session, error);
  if (status != STATUS_OK) return status;
  if (writers_keep_out(engine, KEEP_OUT_MS)) {
    status = session_run(session, "CHECKPOINT", error);
    writers_let_in(engine);
  } else {
    status = error_set(error, STATUS_CONFLICT, "others write");
  }
  engine_session_close(session);
  return status;
}

/* ---- the thread ----------------------------------------------------------------------------- */

/* Under the lock, which is let go meanwhile. */
static void run(struct engine *engine) {
  struct keeper *keeper = &engine->keeper;
  struct error error = {.status = STATUS_OK};
  pthread_mutex_unlock(&keeper->lock);
  int64_t began_us = clock_now_us(), before_bytes = wal_bytes(keeper);
  bool room = keeper_has_room(engine);
  enum status status = STATUS_OK;
  if (room)
    status = fold(engine, &error);
  else
    status = error_set(&error, STATUS_IO, "there is too little room on the disk");
  int64_t took_us = clock_now_us() - began_us;
  pthread_mutex_lock(&keeper->lock);
  if (status == STATUS_OK) {
    keeper->since_ms = 0;
    keeper->checkpoints++;
    keeper->took_us += took_us;
    keeper->retry_at_ms = keeper->retry_wait_ms = keeper->busy_ms = 0;
    log_debug("engine", "checkpoint: %lld bytes of log in %lld ms", (long long)before_bytes,
              (long long)(took_us / 1000));
    return;
  }
  if (status == STATUS_CONFLICT) { /* somebody writes all the time */
    keeper->busy_ms = keeper->busy_ms == 0 ? BUSY_MS : 2 * keeper->busy_ms;
    if (keeper->busy_ms > BUSY_MS_MAX) keeper->busy_ms = BUSY_MS_MAX;
    keeper->retry_at_ms = clock_now_ms() + keeper->busy_ms;
    return;
  }
  keeper->failed++;
  keeper->retry_wait_ms = keeper->retry_wait_ms == 0 ? RETRY_MS : 2 * keeper->retry_wait_ms;
  if (keeper->retry_wait_ms > RETRY_MS_MAX) keeper->retry_wait_ms = RETRY_MS_MAX;
  keeper->retry_at_ms = clock_now_ms() + keeper->retry_wait_ms;
  log_warning("engine", "no checkpoint, the log of %lld bytes stays for now: %s",
              (long long)before_bytes, error.text);
}

static void wait_until(struct keeper *keeper, int64_t at_ms) {
  int64_t left_ms = at_ms - clock_now_ms();
  if (left_ms <= 0) return;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += left_ms / 1000;
  until.tv_nsec += left_ms % 1000 * 1000000;
  if (until.tv_nsec >= 1000000000L) {
    until.tv_nsec -= 1000000000L;
    until.tv_sec++;
  }
  while (!keeper->stop && !keeper->look && clock_now_ms() < at_ms)
    if (pthread_cond_timedwait(&keeper->wake, &keeper->lock, &until) != 0) return;
}

/* When there is something to do next, as it looks now; 0: now, -1: not before a commit. */
static int64_t next_ms(struct keeper *keeper) {
  int64_t bytes = wal_bytes(keeper), now_ms = clock_now_ms();
  atomic_store(&keeper->counting, bytes > 0);
  if (bytes == 0) {
    keeper->since_ms = 0;
    return -1;
  }
  if (keeper->since_ms == 0) keeper->since_ms = now_ms;
  int64_t interval_ms = atomic_load(&keeper->interval_ms);
  int64_t at_ms = interval_ms > 0 ? keeper->since_ms + interval_ms : -1;
  if (bytes >= atomic_load(&keeper->wal_bytes_max)) at_ms = now_ms;
  if (at_ms >= 0 && at_ms < keeper->retry_at_ms) at_ms = keeper->retry_at_ms;
  return at_ms >= 0 && at_ms <= now_ms ? 0 : at_ms;
}

static void *keep(void *context) {
  struct engine *engine = context;
  struct keeper *keeper = &engine->keeper;
  pthread_mutex_lock(&keeper->lock);
  while (!keeper->stop) {
    keeper->look = false;
    int64_t at_ms = next_ms(keeper);
    if (at_ms == 0)
      run(engine);
    else if (at_ms > 0)
      wait_until(keeper, at_ms);
    else
      while (!keeper->stop && !keeper->look) pthread_cond_wait(&keeper->wake, &keeper->lock);
  }
  pthread_mutex_unlock(&keeper->lock);
  return NULL;
}

/* ---- what others ask ------------------------------------------------------------------------ */

static void wake(struct keeper *keeper) {
  pthread_mutex_lock(&keeper->lock);
  keeper->look = true;
  pthread_cond_signal(&keeper->wake);
  pthread_mutex_unlock(&keeper->lock);
}

void keeper_notice(struct engine *engine) {
  struct keeper *keeper = &engine->keeper;
  if (!keeper->runs) return;
  int64_t bytes = wal_bytes(keeper);
  if (bytes >= atomic_load(&keeper->wal_bytes_max) ||
      (bytes > 0 && !atomic_load(&keeper->counting)))
    wake(keeper);
}

void engine_checkpoint_limits(struct engine *engine, int64_t wal_bytes_max, int64_t interval_ms) {
  struct keeper *keeper = &engine->keeper;
  if (!keeper->runs) return;
  atomic_store(&keeper->wal_bytes_max, wal_bytes_max);
  atomic_store(&keeper->interval_ms, interval_ms);
  wake(keeper);
}

void engine_look(struct engine *engine, struct engine_figures *figures) {
  struct keeper *keeper = &engine->keeper;
  *figures = (struct engine_figures){.wal_bytes = wal_bytes(keeper)};
  pthread_mutex_lock(&engine->gate.lock);
  figures->reopened = engine->gate.reopened;
  pthread_mutex_unlock(&engine->gate.lock);
  if (!keeper->runs) return;
  pthread_mutex_lock(&keeper->lock);
  figures->checkpoints = keeper->checkpoints;
  figures->checkpoints_failed = keeper->failed;
  figures->checkpoint_us = keeper->took_us;
  pthread_mutex_unlock(&keeper->lock);
}

/* ---- life ----------------------------------------------------------------------------------- */

enum status keeper_start(struct engine *engine, struct error *error) {
  const struct engine_options *options = &engine->options;
  struct keeper *keeper = &engine->keeper;
  struct text path = TEXT_EMPTY;
  if (options->path == NULL || options->read_only) return STATUS_OK;
  enum status status = text_add_format(&path, error, "%s.wal", options->path);
  if (status != STATUS_OK) return status;
  keeper->wal_path = strdup(text_get(&path));
  text_release(&path);
  if (keeper->wal_path == NULL) return error_set(error, STATUS_NOMEM, "no memory for a path");
  if (options->checkpoint_wal_bytes <= 0) return STATUS_OK;
  atomic_store(&keeper->wal_bytes_max, options->checkpoint_wal_bytes);
  atomic_store(&keeper->interval_ms, options->checkpoint_interval_ms);
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&keeper->lock, NULL);
  pthread_cond_init(&keeper->wake, &monotonic);
  pthread_condattr_destroy(&monotonic);
  sigset_t all, before; /* signals are for the threads that wait for them */
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  keeper->runs = pthread_create(&keeper->thread, NULL, keep, engine) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (keeper->runs) return STATUS_OK;
  pthread_cond_destroy(&keeper->wake);
  pthread_mutex_destroy(&keeper->lock);
  return error_set(error, STATUS_NOMEM, "no thread for checkpoints could be started");
}

void keeper_stop(struct engine *engine) {
  struct keeper *keeper = &engine->keeper;
  if (keeper->runs) {
    pthread_mutex_lock(&keeper->lock);
    keeper->stop = true;
    pthread_cond_signal(&keeper->wake);
    pthread_mutex_unlock(&keeper->lock);
    pthread_join(keeper->thread, NULL);
    keeper->runs = false;
    pthread_mutex_lock(&keeper->lock);
    /* DuckDB would, too, as it closes, and would not say that it failed. */
    if (wal_bytes(keeper) > 0) run(engine);
    pthread_mutex_unlock(&keeper->lock);
    pthread_cond_destroy(&keeper->wake);
    pthread_mutex_destroy(&keeper->lock);
  }
  free(keeper->wal_path);
  keeper->wal_path = NULL;
}
