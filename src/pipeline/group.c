/* Small loads that share commits.
 *
 * A group is a place, a table of a backend under one schema policy, with a queue in front of it and a
 * task. The task takes what has queued, within the limits, decodes it, lands it with one sink_land and
 * tells each; what queued meanwhile is the next round.
 *
 *   group_put --> queue --take_member--> unpack --> sink_land --> intake_finish
 *
 * 1. Members are taken in the order in which they were put, and the queue is one: what came first is
 *    committed first, or with it.
 * 2. A member is told after sink_land has returned: its rows are durable where the sink is, or none of
 *    them is there.
 * 3. A group whose task runs or waits to run is never freed; an idle one is kept for the next load, and
 *    the one that was idle for longest ends itself when there are too many (its task frees it). */
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "pipeline/private.h"

enum { IDLE_MAX = 64, ROWS_MIN = 1000 };

struct group {
  struct groups *groups;
  struct group *next; /* of all */
  struct task task;
  char *backend;
  struct table_name table;
  enum schema_policy policy;
  /* under groups->lock */
  struct intake *first, **last; /* the queue */
  bool active;                  /* the task has something to do */
  bool ending;                  /* it is to free the group */
  int64_t idle_since_us;
  /* the task's */
  struct sink *sink;
  struct unpacker *unpacker;
  int64_t rows_per_ms; /* that the last rounds landed; 0: not known */
};

struct groups {
  struct workers *workers;
  pthread_mutex_t lock;
  struct group *list;
  int idle_count;
  _Atomic int64_t commits, loads;
};

/* A member of the round that runs. */
struct member {
  struct intake *intake;
  int64_t rows;
};

struct round {
  struct member *members;
  struct parcel *parcels;
  int64_t count, capacity;
  int64_t rows, bytes;
};

enum status groups_new(struct workers *workers, struct groups **groups, struct error *error) {
  *groups = calloc(1, sizeof **groups);
  if (*groups == NULL) return error_set(error, STATUS_NOMEM, "no memory for groups of loads");
  (*groups)->workers = workers;
  pthread_mutex_init(&(*groups)->lock, NULL);
  return STATUS_OK;
}

static void group_free(struct group *group) {
  unpacker_free(group->unpacker);
  free(group->backend);
  free(group);
}

void groups_free(struct groups *groups) {
  if (groups == NULL) return;
  while (groups->list != NULL) {
    struct group *group = groups->list;
    groups->list = group->next;
    group_free(group);
  }
  pthread_mutex_destroy(&groups->lock);
  free(groups);
}

void groups_look(const struct groups *groups, int64_t *commits, int64_t *loads) {
  *commits = atomic_load(&groups->commits);
  *loads = atomic_load(&groups->loads);
}

/* ---- a round ---------------------------------------------------------------------------------- */

static int64_t max_of(int64_t left, int64_t right) { return left > right ? left : right; }

/* The rows that a round may have: what the limits say, and what lands in their time. */
static int64_t rows_max(const struct group *group, const struct group_limits *limits) {
  if (group->rows_per_ms == 0) return limits->rows_max;
  int64_t in_time = max_of(group->rows_per_ms * limits->time_ms, ROWS_MIN);
  return in_time < limits->rows_max ? in_time : limits->rows_max;
}

/* The next member, unless the round has enough; NULL: none now. */
static struct intake *take_member(struct group *group, const struct round *round) {
  struct intake *intake = NULL;
  pthread_mutex_lock(&group->groups->lock);
  if (group->first != NULL) {
    const struct group_limits *limits = &group->first->options.group_limits;
    bool fits = round->rows < rows_max(group, limits) &&
                round->bytes + group->first->queued_bytes <= limits->bytes_max;
    if (fits || round->count == 0) {
      intake = group->first;
      group->first = intake->next_in_group;
      if (group->first == NULL) group->last = &group->first;
    }
  }
  pthread_mutex_unlock(&group->groups->lock);
  return intake;
}

static enum status round_grow(struct round *round, struct error *error) {
  if (round->count < round->capacity) return STATUS_OK;
  int64_t capacity = round->capacity == 0 ? 64 : round->capacity * 2;
  struct member *members = realloc(round->members, (size_t)capacity * sizeof *members);
  if (members != NULL) round->members = members;
  struct parcel *parcels = realloc(round->parcels, (size_t)capacity * sizeof *parcels);
  if (parcels != NULL) round->parcels = parcels;
  if (members == NULL || parcels == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for a group of loads");
  round->capacity = capacity;
  return STATUS_OK;
}

static void parcel_release(struct parcel *parcel) {
  for (int64_t i = 0; i < parcel->batch_count; i++)
    if (parcel->batches[i].release != NULL) arrow_array_release(&parcel->batches[i]);
  free(parcel->batches);
}

/* The group's sink, found by the first member that has one to find. */
static enum status find_sink(struct group *group, struct intake *intake, struct error *error) {
  if (group->sink != NULL) return STATUS_OK;
  if (intake->options.target.sink != NULL) {
    group->sink = intake->options.target.sink;
    return STATUS_OK;
  }
  return intake->options.open_sink(intake->options.context, &group->sink, error);
}

/* One that commits on the way, of whose token an earlier stream has landed a part: it goes on where that
 * one has ended, by itself. */
static bool goes_on(const struct group *group, const struct intake *intake) {
  bool found = false;
  struct load_result result;
  if (intake->first_token[0] == '\0') return false;
  enum status status = sink_lookup(group->sink, &intake->options.target.table, intake->first_token,
                                   &found, &result, NULL);
  if (status != STATUS_OK) return false; /* the load will say why */
  load_result_release(&result);
  return found;
}

/* Decodes a member into a parcel; one that fails is told at once. */
static void add_member(struct group *group, struct round *round, struct intake *intake) {
  bool parts = intake->first_token[0] != '\0';
  struct parcel parcel = {.token = parts ? intake->first_token : intake->options.target.token,
                          .error = &intake->error};
  int64_t bytes = intake->queued_bytes, rows = 0;
  intake->began_us = clock_now_us();
  enum status status = round_grow(round, &intake->error);
  if (status == STATUS_OK) status = find_sink(group, intake, &intake->error);
  if (status == STATUS_OK && goes_on(group, intake)) {
    intake_work_alone(intake);
    return;
  }
  if (status == STATUS_OK) status = unpack(group->unpacker, intake, &parcel, &intake->error);
  if (status != STATUS_OK) {
    parcel_release(&parcel);
    intake_finish(intake, status, false);
    return;
  }
  intake->figures.backend = group->sink->type->name;
  for (int64_t i = 0; i < parcel.batch_count; i++) rows += parcel.batches[i].length;
  assert(round->members != NULL && round->parcels != NULL); /* round_grow made them */
  round->members[round->count] = (struct member){.intake = intake, .rows = rows};
  round->parcels[round->count++] = parcel;
  round->rows += rows;
  round->bytes += bytes;
}

static void tell_members(struct round *round) {
  for (int64_t i = 0; i < round->count; i++) {
    struct intake *intake = round->members[i].intake;
    struct parcel *parcel = &round->parcels[i];
    const struct pipeline_target *target = &intake->options.target;
    enum status status =
        settle_unknown(parcel->status, target, parcel->token, &parcel->result, parcel->error);
    intake->result = parcel->result;
    if (parcel->schema_refused && target->policy == SCHEMA_SKIP) {
      intake->figures.skipped = true;
      intake->figures.skipped_rows = round->members[i].rows;
      intake->figures.skipped_batches = parcel->batch_count;
    }
    parcel_release(parcel);
    intake_finish(intake, status, i + 1 < round->count);
  }
}

static void measure(struct group *group, const struct round *round, int64_t began_us) {
  int64_t us = max_of(clock_now_us() - began_us, 1);
  int64_t rate = max_of(round->rows * 1000 / us, 1);
  group->rows_per_ms = group->rows_per_ms == 0 ? rate : (3 * group->rows_per_ms + rate) / 4;
}

static void land_round(struct group *group, struct round *round) {
  int64_t began_us = clock_now_us();
  struct pipeline_target *target = &round->members[0].intake->options.target;
  struct load_spec spec = pipeline_load_spec(target, NULL);
  for (int64_t i = 0; i < round->count; i++)
    round->members[i].intake->options.target.sink = group->sink;
  sink_land(group->sink, &spec, round->parcels, round->count);
  atomic_fetch_add(&group->groups->commits, 1);
  atomic_fetch_add(&group->groups->loads, round->count);
  measure(group, round, began_us);
  tell_members(round);
}

/* ---- the task ------------------------------------------------------------------------------------ */

/* Goes idle unless something has queued meanwhile; `*ended`: it is to be freed. */
static bool rest(struct group *group, bool *ended) {
  struct groups *groups = group->groups;
  pthread_mutex_lock(&groups->lock);
  bool idle = group->first == NULL;
  *ended = group->ending;
  if (idle && !group->ending) {
    group->active = false;
    group->idle_since_us = clock_now_us();
    groups->idle_count++;
  }
  pthread_mutex_unlock(&groups->lock);
  return idle;
}

static void group_task(void *context) {
  struct group *group = context;
  struct round round = {.count = 0};
  struct intake *intake;
  unpacker_turn(group->unpacker);
  while ((intake = take_member(group, &round)) != NULL) add_member(group, &round, intake);
  if (round.count > 0) land_round(group, &round);
  free(round.members);
  free(round.parcels);
  bool ended;
  bool idle = rest(group, &ended);
  if (idle && ended) {
    task_retire(&group->task);
    group_free(group);
  } else if (!idle) {
    task_wake(&group->task); /* others have their turn on this thread before */
  }
}

/* ---- the queue ------------------------------------------------------------------------------------ */

static bool is_for(const struct group *group, const struct intake *intake) {
  return group->policy == intake->options.target.policy &&
         strcmp(group->backend, intake->options.backend) == 0 &&
         table_name_same(&group->table, &intake->options.target.table);
}

static struct group *group_new(struct groups *groups, const struct intake *intake) {
  struct group *group = calloc(1, sizeof *group);
  if (group == NULL) return NULL;
  group->groups = groups;
  group->backend = strdup(intake->options.backend);
  group->unpacker = unpacker_new();
  group->table = intake->options.target.table;
  group->policy = intake->options.target.policy;
  group->last = &group->first;
  group->idle_since_us = clock_now_us();
  task_init(&group->task, groups->workers, group_task, group);
  if (group->backend != NULL && group->unpacker != NULL) return group;
  group_free(group);
  return NULL;
}

/* Out of the list, and to its end; under the lock. */
static void end_oldest_idle(struct groups *groups) {
  struct group **oldest = NULL;
  for (struct group **at = &groups->list; *at != NULL; at = &(*at)->next)
    if (!(*at)->active && (oldest == NULL || (*at)->idle_since_us < (*oldest)->idle_since_us))
      oldest = at;
  if (oldest == NULL) return;
  struct group *group = *oldest;
  *oldest = group->next;
  groups->idle_count--;
  group->active = group->ending = true;
  task_wake(&group->task);
}

/* That of the intake, made when there is none; under the lock. */
static struct group *find_group(struct groups *groups, const struct intake *intake) {
  struct group *group = groups->list;
  while (group != NULL && !is_for(group, intake)) group = group->next;
  if (group != NULL) return group;
  group = group_new(groups, intake);
  if (group == NULL) return NULL;
  group->next = groups->list;
  groups->list = group;
  groups->idle_count++;
  if (groups->idle_count > IDLE_MAX) end_oldest_idle(groups);
  return group;
}

bool group_put(struct intake *intake) {
  struct groups *groups = intake->options.groups;
  pthread_mutex_lock(&groups->lock);
  struct group *group = find_group(groups, intake);
  if (group != NULL) {
    intake->next_in_group = NULL;
    *group->last = intake;
    group->last = &intake->next_in_group;
    if (!group->active) {
      group->active = true;
      groups->idle_count--;
      task_wake(&group->task);
    }
  }
  pthread_mutex_unlock(&groups->lock);
  return group != NULL;
}
