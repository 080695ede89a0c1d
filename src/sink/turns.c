#include "sink/turns.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

enum { RETRY_AFTER_MS = 1000 };

/* A table at which somebody is or waits. */
struct turn_table {
  struct turn_table *next;
  struct table_name name;
  int users; /* that have a turn or wait for one: nobody, and it is forgotten */
  int appending;
  bool by_key, alone;
  int pressing; /* wait to be alone, and let nobody else in any more */
};

struct turns {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct turn_table *tables;
  struct turn_table
      all; /* whoever is at a table appends here; who is alone at all tables, is here */
};

enum status turns_new(struct turns **turns, struct error *error) {
  *turns = calloc(1, sizeof **turns);
  if (*turns == NULL) return error_set(error, STATUS_NOMEM, "no memory for the turns of tables");
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&(*turns)->lock, NULL);
  pthread_cond_init(&(*turns)->changed, &monotonic);
  pthread_condattr_destroy(&monotonic);
  return STATUS_OK;
}

void turns_free(struct turns *turns) {
  if (turns == NULL) return;
  pthread_cond_destroy(&turns->changed);
  pthread_mutex_destroy(&turns->lock);
  free(turns);
}

/* ---- the tables that are in use; all of it under the lock ---------------------------------- */

/* The catalog is the same one, whether it is named or not. */
static struct turn_table *use(struct turns *turns, const struct table_name *name) {
  struct turn_table *table = turns->tables;
  struct table_name plain = *name;
  plain.catalog[0] = '\0';
  while (table != NULL && !table_name_same(&table->name, &plain)) table = table->next;
  if (table == NULL) {
    table = calloc(1, sizeof *table);
    if (table == NULL) return NULL;
    table->name = plain;
    table->next = turns->tables;
    turns->tables = table;
  }
  table->users++;
  return table;
}

static void leave(struct turns *turns, struct turn_table *table) {
  if (--table->users > 0) return;
  struct turn_table **at = &turns->tables;
  while (*at != table) at = &(*at)->next;
  *at = table->next;
  free(table);
}

/* `mine`: of those that append, who asks is so many. */
static bool may_enter(const struct turn_table *table, enum turn_kind kind, int mine) {
  if (table->alone) return false;
  switch (kind) {
  case TURN_APPEND: return table->pressing == 0;
  case TURN_BY_KEY: return table->pressing == 0 && !table->by_key;
  case TURN_ALONE: return table->appending == mine && !table->by_key;
  }
  return false;
}

static void enter(struct turn_table *table, enum turn_kind kind) {
  table->appending += kind == TURN_APPEND;
  table->by_key |= kind == TURN_BY_KEY;
  table->alone |= kind == TURN_ALONE;
}

/* Until the table lets `kind` in, or that time on the monotonic clock; true: it does. */
static bool wait_until(struct turns *turns, const struct turn_table *table, enum turn_kind kind,
                       int mine, int64_t until_ms) {
  struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                           .tv_nsec = (long)(until_ms % 1000) * 1000000};
  while (!may_enter(table, kind, mine))
    if (pthread_cond_timedwait(&turns->changed, &turns->lock, &until) != 0)
      return may_enter(table, kind, mine);
  return true;
}

/* Lets `kind` in at the table until that time; false: it does not come to its turn. Who wants to be
 * alone presses from `press_ms` on. */
static bool enter_until(struct turns *turns, struct turn_table *table, enum turn_kind kind,
                        int mine, int64_t press_ms, int64_t until_ms) {
  bool may = wait_until(turns, table, kind, mine, kind == TURN_ALONE ? press_ms : until_ms);
  if (!may && kind == TURN_ALONE) {
    table->pressing++;
    may = wait_until(turns, table, kind, mine, until_ms);
    table->pressing--;
  }
  if (may)
    enter(table, kind);
  else
    pthread_cond_broadcast(&turns->changed); /* who waited behind the one that pressed */
  return may;
}

static void go(struct turn_table *table, enum turn_kind kind) {
  if (kind == TURN_APPEND) table->appending--;
  if (kind == TURN_BY_KEY) table->by_key = false;
  if (kind == TURN_ALONE) table->alone = false;
}

static enum status conflict(enum turn_kind kind, struct error *error) {
  enum status status = error_set(
      error, STATUS_CONFLICT,
      kind == TURN_ALONE ? "other loads into the table are under way and it must be changed first"
                         : "the table is being changed by somebody else");
  if (error != NULL) error->retry_after_ms = RETRY_AFTER_MS;
  return status;
}

/* ---- turns ------------------------------------------------------------------------------------ */

enum status turn_take(struct turns *turns, const struct table_name *name, enum turn_kind kind,
                      int wait_ms, struct turn *turn, struct error *error) {
  *turn = TURN_NONE;
  int64_t until_ms = clock_now_ms() + wait_ms, press_ms = until_ms - wait_ms / 4;
  enum status status = STATUS_OK;
  pthread_mutex_lock(&turns->lock);
  struct turn_table *table = use(turns, name);
  if (table == NULL) {
    status = error_set(error, STATUS_NOMEM, "no memory for a turn at a table");
  } else if (!enter_until(turns, &turns->all, TURN_APPEND, 0, press_ms, until_ms)) {
    leave(turns, table);
    status = conflict(TURN_APPEND, error);
  } else if (!enter_until(turns, table, kind, 0, press_ms, until_ms)) {
    go(&turns->all, TURN_APPEND);
    leave(turns, table);
    status = conflict(kind, error);
  } else {
    *turn = (struct turn){.turns = turns, .at = table, .kind = kind};
  }
  pthread_mutex_unlock(&turns->lock);
  return status;
}

enum status turn_join(struct turns *turns, int wait_ms, struct turn *turn, struct error *error) {
  int64_t until_ms = clock_now_ms() + wait_ms;
  *turn = TURN_NONE;
  pthread_mutex_lock(&turns->lock);
  bool may = enter_until(turns, &turns->all, TURN_APPEND, 0, until_ms, until_ms);
  if (may) *turn = (struct turn){.turns = turns, .at = &turns->all, .kind = TURN_APPEND};
  pthread_mutex_unlock(&turns->lock);
  return may ? STATUS_OK : conflict(TURN_APPEND, error);
}

enum status turn_take_all(struct turns *turns, int wait_ms, struct turn *turn,
                          struct error *error) {
  int64_t until_ms = clock_now_ms() + wait_ms;
  int mine = turn->at != NULL;
  pthread_mutex_lock(&turns->lock);
  bool may = enter_until(turns, &turns->all, TURN_ALONE, mine, until_ms - wait_ms / 4, until_ms);
  if (may && mine) go(&turns->all, TURN_APPEND);
  if (may && mine && turn->at != &turns->all) {
    go(turn->at, turn->kind);
    leave(turns, turn->at);
  }
  if (may) *turn = (struct turn){.turns = turns, .at = &turns->all, .kind = TURN_ALONE};
  pthread_mutex_unlock(&turns->lock);
  if (may) return STATUS_OK;
  enum status status = error_set(error, STATUS_CONFLICT,
                                 "loads, or transactions that have changed something, are under "
                                 "way, and no table is altered beside them");
  if (error != NULL) error->retry_after_ms = RETRY_AFTER_MS;
  return status;
}

void turn_give(struct turn *turn) {
  if (turn->at == NULL) return;
  struct turns *turns = turn->turns;
  pthread_mutex_lock(&turns->lock);
  go(turn->at, turn->kind);
  if (turn->at != &turns->all) {
    go(&turns->all, TURN_APPEND);
    leave(turns, turn->at);
  }
  pthread_cond_broadcast(&turns->changed);
  pthread_mutex_unlock(&turns->lock);
  *turn = TURN_NONE;
}
