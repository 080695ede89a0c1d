/* A database that is out of use, opened anew under the same engine.
 *
 * DuckDB invalidates a database when a sync, or a write at the wrong moment, failed: it no longer
 * knows what is on the disk. Every later statement fails. What is on the disk is whole all the same
 * (the log is replayed when the file is opened), so the cure is to close it and to open it again.
 *
 *   OPEN --DuckDB says that it is invalid--> DEAD --the last session is closed--> OPENING --> OPEN
 *                                             ^                                      |
 *                                             +-----it cannot be opened, for now-----+
 *
 * Failures are noticed in one place, failure_set, which only counts what may mean the end: the texts
 * do not say whose database it was. Whoever opens a session, or asks for the generation, finds the
 * count changed and asks the database itself.
 *
 * 1. The old database is closed, with every connection to it, before it is opened again: two of one
 *    process would write into one file, and the lock on a file is lost when either is closed.
 * 2. `sessions` counts those of the present generation; while it is not 0, or the state is not OPEN,
 *    the database stays what it is.
 * 3. `generation` grows in the step OPEN -> DEAD and never else.
 * 4. A database in memory is not opened anew: its rows are lost, and an empty one that takes their
 *    place would look like one that never had any. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/lake.h"
#include "engine/private.h"

enum {
  ENTER_WAIT_MS = 3000, /* for the sessions of a dead database to end */
  HELD_MS = 250,        /* those that do not end by themselves by then are helped */
  WAIT_STEP_MS = 50,
  WAITING_MAX = 2, /* threads: others are needed to close what they wait for */
  RETRY_MS = 1000, /* after it could not be opened */
};

/* ---- options -------------------------------------------------------------------------------- */

static char **copy_list(const char *const *list, size_t count) {
  char **copy = calloc(count + 1, sizeof *copy);
  for (size_t i = 0; copy != NULL && i < count; i++) {
    copy[i] = strdup(list[i]);
    if (copy[i] != NULL) continue;
    while (i > 0) free(copy[--i]);
    free(copy);
    return NULL;
  }
  return copy;
}

static void free_list(const char *const *list, size_t count) {
  for (size_t i = 0; list != NULL && i < count; i++) free((void *)(uintptr_t)list[i]);
  free((void *)(uintptr_t)list);
}

enum status options_copy(const struct engine_options *options, struct engine_options *copy,
                         struct error *error) {
  *copy = *options;
  copy->path = copy->spill_folder = NULL;
  copy->extensions = copy->lakes = NULL;
  if (options->path != NULL) copy->path = strdup(options->path);
  copy->extensions = (const char *const *)copy_list(options->extensions, options->extension_count);
  copy->lakes = (const char *const *)copy_list(options->lakes, options->lake_count);
  if (options->spill_folder != NULL) copy->spill_folder = strdup(options->spill_folder);
  if ((options->path == NULL || copy->path != NULL) &&
      (options->spill_folder == NULL || copy->spill_folder != NULL) && copy->extensions != NULL &&
      copy->lakes != NULL)
    return STATUS_OK;
  options_release(copy);
  return error_set(error, STATUS_NOMEM, "no memory for the engine's settings");
}

void options_release(struct engine_options *options) {
  free_list(options->extensions, options->extension_count);
  free_list(options->lakes, options->lake_count);
  free((void *)(uintptr_t)options->path);
  free((void *)(uintptr_t)options->spill_folder);
  *options = (struct engine_options){0};
}

/* ---- the gate ------------------------------------------------------------------------------- */

void gate_init(struct gate *gate) {
  *gate = (struct gate){.state = GATE_OPEN};
  atomic_store(&gate->generation, 1);
  atomic_store(&gate->suspicions, failure_suspicions());
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&gate->lock, NULL);
  pthread_cond_init(&gate->changed, &monotonic);
  pthread_condattr_destroy(&monotonic);
}

void gate_destroy(struct gate *gate) {
  pthread_cond_destroy(&gate->changed);
  pthread_mutex_destroy(&gate->lock);
}

/* Under the lock. Asks the database, where something has happened since it was asked last. */
static void look(struct engine *engine) {
  struct gate *gate = &engine->gate;
  int64_t suspicions = failure_suspicions();
  if (gate->state != GATE_OPEN || suspicions == atomic_load(&gate->suspicions)) return;
  struct error error = {.status = STATUS_OK};
  enum status status = control_run(engine, "SELECT 1", &error);
  /* What it says itself is no news. Two at once may look twice. */
  atomic_store(&gate->suspicions, status == STATUS_OK ? suspicions : failure_suspicions());
  if (status != STATUS_UNAVAILABLE) return;
  gate->state = GATE_DEAD;
  gate->retry_at_ms = 0;
  atomic_fetch_add(&gate->generation, 1);
  log_error("engine",
            "%s: DuckDB has put the database out of use; %lld sessions end, then it is "
            "opened anew",
            engine->file_name == NULL ? "in memory" : engine->file_name, (long long)gate->sessions);
}

int64_t engine_generation(struct engine *engine) {
  struct gate *gate = &engine->gate;
  if (atomic_load(&gate->suspicions) != failure_suspicions()) {
    pthread_mutex_lock(&gate->lock);
    look(engine);
    pthread_mutex_unlock(&gate->lock);
  }
  return atomic_load(&gate->generation);
}

static void add_helper(struct engine *engine, void (*help)(void *context), void *context,
                       bool late) {
  struct gate *gate = &engine->gate;
  pthread_mutex_lock(&gate->lock);
  assert(gate->helper_count < GATE_HELPERS_MAX);
  gate->helpers[gate->helper_count++] = (struct gate_helper){help, context, late};
  pthread_mutex_unlock(&gate->lock);
}

void engine_on_loss(struct engine *engine, void (*release)(void *context), void *context) {
  add_helper(engine, release, context, false);
}

void engine_on_held(struct engine *engine, void (*urge)(void *context), void *context) {
  add_helper(engine, urge, context, true);
}

/* ---- opening anew --------------------------------------------------------------------------- */

/* The catalog of a lake is a DuckDB file, which the extension has attached under a name of its own. */
static enum status fold_lake(struct engine *engine, const struct lake *lake, struct error *error) {
  struct text sql = TEXT_EMPTY, catalog = TEXT_EMPTY;
  enum status status = text_add_format(&catalog, error, "__ducklake_metadata_%s", lake->name);
  if (status == STATUS_OK) status = text_add(&sql, "CHECKPOINT ", error);
  if (status == STATUS_OK) status = text_add_identifier(&sql, text_get(&catalog), error);
  if (status == STATUS_OK) status = control_run(engine, text_get(&sql), error);
  text_release(&catalog);
  text_release(&sql);
  return status;
}

/* Nothing but this thread knows the database meanwhile. */
static enum status open_anew(struct engine *engine, struct error *error) {
  database_close(engine);
  if (access(engine->options.path, F_OK) != 0)
    return error_set(error, STATUS_IO, "the file '%s' is gone", engine->options.path);
  enum status status = database_open(engine, error);
  if (status != STATUS_OK || engine->options.read_only || !keeper_has_room(engine)) return status;
  /* After a sync that failed, the log's pages in memory say nothing about the disk: what was
   * replayed is written elsewhere, and so made to last. */
  status = control_run(engine, "CHECKPOINT", error);
  for (size_t i = 0; i < engine->lake_count && status == STATUS_OK; i++)
    status = fold_lake(engine, &engine->lakes[i], error);
  if (status != STATUS_OK) database_close(engine);
  return status;
}

/* Under the lock, which is let go meanwhile: the state OPENING keeps everybody else away. */
static void reopen(struct engine *engine) {
  struct gate *gate = &engine->gate;
  struct error error = {.status = STATUS_OK};
  gate->state = GATE_OPENING;
  pthread_mutex_unlock(&gate->lock);
  int64_t began_ms = clock_now_ms();
  enum status status = open_anew(engine, &error);
  pthread_mutex_lock(&gate->lock);
  gate->state = status == STATUS_OK ? GATE_OPEN : GATE_DEAD;
  if (status == STATUS_OK) {
    gate->reopened++;
    atomic_store(&gate->suspicions, failure_suspicions());
    log_info("engine", "%s: the database was opened anew in %lld ms", engine->file_name,
             (long long)(clock_now_ms() - began_ms));
  } else {
    gate->retry_at_ms = clock_now_ms() + RETRY_MS;
    gate->retry_why = error;
    log_error("engine", "the database cannot be opened anew: %s", error.text);
  }
  pthread_cond_broadcast(&gate->changed);
}

static void wait_step(struct gate *gate) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += WAIT_STEP_MS * 1000000L;
  if (until.tv_nsec >= 1000000000L) {
    until.tv_nsec -= 1000000000L;
    until.tv_sec++;
  }
  pthread_cond_timedwait(&gate->changed, &gate->lock, &until);
}

static void call_helpers(struct gate *gate, bool late) {
  struct gate_helper helpers[GATE_HELPERS_MAX];
  int count = gate->helper_count;
  memcpy(helpers, gate->helpers, sizeof helpers);
  pthread_mutex_unlock(&gate->lock);
  for (int i = 0; i < count; i++)
    if (helpers[i].late == late) helpers[i].help(helpers[i].context);
  pthread_mutex_lock(&gate->lock);
}

static enum status out_of_use(struct error *error, const char *format, const char *why) {
  enum status status = error_set(error, STATUS_UNAVAILABLE, format, why);
  if (error != NULL) error->retry_after_ms = RETRY_MS;
  return status;
}

/* Under the lock; the state is not OPEN. One step towards it. */
static enum status step(struct engine *engine, int64_t began_ms, int64_t *urged_ms,
                        struct error *error) {
  struct gate *gate = &engine->gate;
  int64_t now_ms = clock_now_ms();
  if (engine->in_memory)
    return error_set(error, STATUS_UNAVAILABLE,
                     "the database in memory is out of use after a failure, and its rows are lost: "
                     "start the program again");
  if (gate->state == GATE_DEAD && gate->sessions == 0) {
    if (now_ms < gate->retry_at_ms)
      return out_of_use(error, "the database is out of use and cannot be opened again now: %s",
                        gate->retry_why.text);
    reopen(engine);
    return STATUS_OK;
  }
  if (gate->state == GATE_OPENING) { /* which needs nobody else's thread */
    wait_step(gate);
    return STATUS_OK;
  }
  if (now_ms - began_ms > ENTER_WAIT_MS || gate->waiting >= WAITING_MAX)
    return out_of_use(error, "the database is out of use until %s", "what used it has ended");
  bool late = now_ms - began_ms > HELD_MS && now_ms - *urged_ms > HELD_MS;
  gate->waiting++;
  if (*urged_ms == 0 || late) {
    *urged_ms = now_ms;
    call_helpers(gate, late);
  } else {
    wait_step(gate);
  }
  gate->waiting--;
  return STATUS_OK;
}

enum status gate_enter(struct engine *engine, struct error *error) {
  struct gate *gate = &engine->gate;
  enum status status = STATUS_OK;
  int64_t began_ms = 0, urged_ms = 0;
  pthread_mutex_lock(&gate->lock);
  look(engine);
  while (gate->state != GATE_OPEN && status == STATUS_OK) {
    if (began_ms == 0) began_ms = clock_now_ms();
    status = step(engine, began_ms, &urged_ms, error);
    if (status == STATUS_OK) look(engine);
  }
  if (status == STATUS_OK) gate->sessions++;
  pthread_mutex_unlock(&gate->lock);
  return status;
}

void gate_leave(struct engine *engine) {
  struct gate *gate = &engine->gate;
  pthread_mutex_lock(&gate->lock);
  assert(gate->sessions > 0);
  gate->sessions--;
  if (gate->sessions == 0 && gate->state != GATE_OPEN) pthread_cond_broadcast(&gate->changed);
  pthread_mutex_unlock(&gate->lock);
}
