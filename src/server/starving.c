/* Who gets memory when there is none left.
 *
 * If all who find none waited alike, each holding a part of what it was sent, none might ever
 * become whole: all would be refused in the end, and what they have sent would be lost. So they
 * stand in line by age, the oldest first:
 *
 * 1. While somebody waits, nobody newer takes memory: what comes free is for the first in line.
 *    Who has room left in its buffer goes on.
 * 2. All loads are asked to hand on what they have collected, again and again while there is a
 *    line.
 * 3. When the first in line has waited for GIVE_WAY_MS, the newest request that holds anything gives
 *    way with 429, and another one at each tick until the first can go on. One whose body is whole
 *    does not: it needs no memory from here, and its commit gives back what it has.
 * 4. Who has waited for STARVED_MS is refused with 429: the first in line too, when what holds the
 *    memory is nothing that could give way.
 *
 * So there is always a request that gets nearer to its end, and the line gets shorter. */
#include "server/starving.h"

#include <stdlib.h>

#include "base/clock.h"

enum {
  TICK_MS = 20,
  GIVE_WAY_MS = 1000,
  RELIEVE_MS = 500,
  STARVED_MS = 10000,
};

struct starving {
  struct server *server;
  struct net_timer *timer;
  bool ticking;
  struct ingest *first, *last; /* by age */
  int64_t relieved_ms;
};

static int64_t free_bytes(const struct server *server) {
  return server->budget.limit_bytes - atomic_load(&server->budget.used_bytes);
}

static void refuse(struct ingest *ingest, const char *why) {
  struct server *server = ingest->request.server;
  struct error error;
  error_set(&error, STATUS_BUDGET,
            "%s: requests hold %lld of the %lld bytes that memory_limit leaves them", why,
            (long long)atomic_load(&server->budget.used_bytes),
            (long long)server->budget.limit_bytes);
  metrics_refused(server->metrics, METRICS_MEMORY);
  ingest_refuse(ingest, STATUS_BUDGET, &error);
}

/* ---- the line ------------------------------------------------------------------------------- */

static void enter(struct starving *starving, struct ingest *ingest) {
  struct ingest *before = starving->last;
  while (before != NULL && before->number > ingest->number) before = before->line_previous;
  ingest->line_previous = before;
  ingest->line_next = before != NULL ? before->line_next : starving->first;
  *(before != NULL ? &before->line_next : &starving->first) = ingest;
  *(ingest->line_next != NULL ? &ingest->line_next->line_previous : &starving->last) = ingest;
  ingest->in_line = true;
}

void starving_leave(struct ingest *ingest) {
  struct starving *starving = ingest->request.server->starving;
  if (!ingest->in_line) return;
  struct ingest *before = ingest->line_previous;
  struct ingest *after = ingest->line_next;
  *(before != NULL ? &before->line_next : &starving->first) = after;
  *(after != NULL ? &after->line_previous : &starving->last) = before;
  ingest->in_line = false;
}

bool starving_before(const struct ingest *ingest) {
  const struct starving *starving = ingest->request.server->starving;
  return starving->first != NULL && starving->first->number < ingest->number;
}

/* ---- ticks ------------------------------------------------------------------------------------ */

static void relieve(struct starving *starving, int64_t now_ms) {
  if (now_ms - starving->relieved_ms < RELIEVE_MS) return;
  starving->relieved_ms = now_ms;
  ingest_relieve_all(starving->server);
}

/* Begins anew after each: the end of one may be the end of others on its connection. */
static void refuse_late(struct starving *starving, int64_t now_ms) {
  struct ingest *ingest = starving->first;
  while (ingest != NULL) {
    bool late = now_ms - ingest->starved_since_ms > STARVED_MS;
    if (late) refuse(ingest, "no memory came free in 10 seconds");
    ingest = late ? starving->first : ingest->line_next;
  }
}

/* Those for whom there is memory, in order. They ask for it only once this tick is over. */
static void serve(struct starving *starving) {
  int64_t left_bytes = free_bytes(starving->server);
  int64_t before = 0;
  while (starving->first != NULL && starving->first->number > before) {
    struct ingest *ingest = starving->first;
    left_bytes -= ingest_wants(ingest);
    if (left_bytes < 0) return;
    before = ingest->number;
    starving_leave(ingest);
    ingest_resume(ingest);
  }
}

/* The newest of those that hold something, if it is newer than the first in line. */
static void give_way(struct starving *starving, int64_t now_ms) {
  const struct ingest *first = starving->first;
  if (first == NULL || now_ms - first->starved_since_ms < GIVE_WAY_MS) return;
  struct ingest *ingest = starving->server->ingests;
  while (ingest != NULL && ingest->number > first->number &&
         (ingest->answered || ingest->body_over || ingest_held(ingest) == 0))
    ingest = ingest->next;
  if (ingest != NULL && ingest->number > first->number)
    refuse(ingest, "older requests need the memory");
}

static void on_tick(void *context) {
  struct starving *starving = context;
  int64_t now_ms = clock_now_ms();
  serve(starving);
  refuse_late(starving, now_ms);
  give_way(starving, now_ms);
  starving->ticking = starving->first != NULL;
  if (!starving->ticking) return;
  relieve(starving, now_ms);
  net_timer_start(starving->timer, TICK_MS);
}

enum status starving_wait(struct ingest *ingest) {
  struct starving *starving = ingest->request.server->starving;
  int64_t now_ms = clock_now_ms();
  ingest_pause(ingest);
  if (ingest->starved_since_ms == 0) ingest->starved_since_ms = now_ms;
  if (!ingest->in_line) enter(starving, ingest);
  if (starving->ticking) return STATUS_BUDGET;
  starving->ticking = true;
  relieve(starving, now_ms);
  net_timer_start(starving->timer, TICK_MS);
  return STATUS_BUDGET;
}

/* ---- life --------------------------------------------------------------------------------------- */

enum status starving_new(struct server *server, struct starving **starving, struct error *error) {
  *starving = calloc(1, sizeof **starving);
  if (*starving == NULL) return error_set(error, STATUS_NOMEM, "no memory for a line of requests");
  (*starving)->server = server;
  return net_timer_new(server->loop, on_tick, *starving, &(*starving)->timer, error);
}

void starving_free(struct starving *starving) {
  if (starving == NULL) return;
  net_timer_free(starving->timer);
  free(starving);
}
