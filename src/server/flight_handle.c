/* The list of what is kept for clients: who owns it, how long, how much of it.
 *
 *   init -> list -> find ... release -> drop -> (last owner gone) ended -> freed by the reaper
 *
 * 1. Everything here is under one lock; nothing under it blocks or calls the engine.
 * 2. A handle is owned by the list while it is listed, by each of its users, and a session by each of
 *    its handles. The last one puts it on `ended`; the reaper, a task, frees it.
 * 3. What is used does not become idle. A session that ends takes its handles off the list, used or
 *    not; those who use them go on to their end.
 * 4. The timer runs while anything is listed. */
#include "server/flight_handle.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

enum {
  BUCKETS = 4096,
  SWEEP_MS = 500,
  BUDGET_SHARE = 16, /* of memory_limit */
  BUDGET_BYTES_MIN = 4 << 20,
  HANDLE_BYTES = 4096 /* that each is charged for, besides what it says */
};

/* An identity that has handles without a session. */
struct flight_owner {
  struct flight_owner *next;
  char *who;
  int64_t count;
};

static const char *const kind_names[] = {[FLIGHT_SESSION] = "session",
                                         [FLIGHT_STATEMENT] = "prepared statement",
                                         [FLIGHT_TRANSACTION] = "transaction",
                                         [FLIGHT_SPLIT] = "result"};

/* ---- under the lock ------------------------------------------------------------------------------ */

static struct flight_handle **bucket(struct flight_sessions *sessions, const char *id) {
  uint64_t hash = 14695981039346656037u;
  for (const char *at = id; *at != '\0'; at++) hash = (hash ^ (uint8_t)*at) * 1099511628211u;
  return &sessions->buckets[hash % BUCKETS];
}

static struct flight_handle *look_up(struct flight_sessions *sessions, const char *id) {
  struct flight_handle *handle = *bucket(sessions, id);
  while (handle != NULL && strcmp(handle->id, id) != 0) handle = handle->same_hash;
  return handle;
}

/* One owner less. The reaper is woken by the caller, without the lock. */
static void disown(struct flight_handle *handle) {
  if (--handle->owners > 0) return;
  handle->next = handle->sessions->ended;
  handle->sessions->ended = handle;
}

static void leave_owner(struct flight_handle *handle) {
  struct flight_sessions *sessions = handle->sessions;
  struct flight_owner *owner = handle->owner;
  handle->owner = NULL;
  if (handle->session != NULL && handle->kind != FLIGHT_SESSION) handle->session->handle_count--;
  if (owner == NULL || --owner->count > 0) return;
  struct flight_owner **at = &sessions->owners;
  while (*at != owner) at = &(*at)->next;
  *at = owner->next;
  free(owner->who);
  free(owner);
}

static void unlist(struct flight_handle *handle) {
  struct flight_sessions *sessions = handle->sessions;
  if (!handle->listed) return;
  handle->listed = false;
  *handle->previous = handle->next;
  if (handle->next != NULL) handle->next->previous = handle->previous;
  struct flight_handle **at = bucket(sessions, handle->id);
  while (*at != handle) at = &(*at)->same_hash;
  *at = handle->same_hash;
  handle->next = NULL;
  sessions->counts[handle->kind]--;
  leave_owner(handle);
  disown(handle);
}

/* With what belongs to it; `next` is what the caller's walk of the list goes on with. */
static void unlist_all_of(struct flight_handle *handle) {
  if (handle->kind == FLIGHT_SESSION && handle->listed) {
    struct flight_session *session = (struct flight_session *)handle;
    struct flight_handle *at = handle->sessions->first;
    while (at != NULL && session->handle_count > 0) {
      struct flight_handle *next = at->next;
      if (at->session == session) unlist(at);
      at = next;
    }
  }
  unlist(handle);
}

/* ---- ends ------------------------------------------------------------------------------------------ */

static void wake_reaper(struct flight_sessions *sessions) {
  pthread_mutex_lock(&sessions->lock);
  if (!sessions->closed) task_wake(&sessions->reaper);
  pthread_mutex_unlock(&sessions->lock);
}

/* Frees what has ended, and what that was the last owner of. */
static void free_ended(struct flight_sessions *sessions) {
  pthread_mutex_lock(&sessions->lock);
  while (sessions->ended != NULL) {
    struct flight_handle *handle = sessions->ended;
    sessions->ended = handle->next;
    pthread_mutex_unlock(&sessions->lock);
    struct flight_session *session = handle->session;
    budget_give(&sessions->budget, handle->charged_bytes);
    free(handle->who);
    handle->free(handle);
    pthread_mutex_lock(&sessions->lock);
    if (session != NULL) disown(&session->handle);
  }
  pthread_mutex_unlock(&sessions->lock);
}

/* Closes the engine's sessions that are kept for a database that is out of use. */
static void close_lost(struct flight_sessions *sessions) {
  struct engine *engine = atomic_load(&sessions->engine);
  if (engine == NULL) return;
  int64_t generation = engine_generation(engine);
  pthread_mutex_lock(&sessions->lock);
  struct flight_handle *handle = sessions->first;
  while (handle != NULL) {
    struct flight_seat *seat = handle->seat;
    bool lost =
        seat != NULL && !seat->busy && seat->session != NULL && seat->generation != generation;
    if (!lost) {
      handle = handle->next;
      continue;
    }
    struct engine_session *session = seat->session;
    struct turn alone = TURN_NONE;
    if (handle->kind == FLIGHT_TRANSACTION) {
      alone = ((struct flight_transaction *)handle)->alone;
      ((struct flight_transaction *)handle)->alone = TURN_NONE;
    }
    seat->session = NULL;
    seat->lost = true;
    pthread_mutex_unlock(&sessions->lock);
    engine_session_close(session);
    turn_give(&alone);
    pthread_mutex_lock(&sessions->lock);
    handle = sessions->first; /* the list may be another one */
  }
  pthread_mutex_unlock(&sessions->lock);
}

static void reap(void *context) {
  close_lost(context);
  free_ended(context);
}

/* ---- the loop ---------------------------------------------------------------------------------------- */

static int64_t patience_ms(const struct flight_limits *limits, enum flight_handle_kind kind) {
  if (kind == FLIGHT_SESSION) return limits->session_idle_ms;
  return kind == FLIGHT_TRANSACTION ? limits->transaction_idle_ms : limits->handle_idle_ms;
}

static void on_sweep(void *context) {
  struct flight_sessions *sessions = context;
  const struct flight_limits *limits = &sessions->server->config->flight;
  int64_t now_ms = clock_now_ms();
  int64_t ended[FLIGHT_KINDS] = {0};
  pthread_mutex_lock(&sessions->lock);
  struct flight_handle *next;
  for (struct flight_handle *handle = sessions->first; handle != NULL; handle = next) {
    next = handle->next;
    if (handle->users > 0 || now_ms - handle->used_ms < patience_ms(limits, handle->kind)) continue;
    ended[handle->kind]++;
    unlist_all_of(handle);
    if (handle->kind == FLIGHT_SESSION) next = sessions->first; /* others have gone with it */
  }
  bool any = sessions->first != NULL;
  pthread_mutex_unlock(&sessions->lock);
  for (int kind = 0; kind < FLIGHT_KINDS; kind++)
    if (ended[kind] > 0)
      log_debug("flight", "%lld %s%s idle for too long: ended", (long long)ended[kind],
                kind_names[kind], ended[kind] == 1 ? "" : "s");
  wake_reaper(sessions);
  sessions->timer_runs = any;
  if (any) net_timer_start(sessions->timer, SWEEP_MS);
}

static void on_listed(void *context) {
  struct flight_sessions *sessions = context;
  if (sessions->timer_runs || sessions->timer == NULL) return;
  sessions->timer_runs = true;
  net_timer_start(sessions->timer, SWEEP_MS);
}

enum status flight_sessions_new(struct server *server, struct flight_sessions **out,
                                struct error *error) {
  struct flight_sessions *sessions = calloc(1, sizeof *sessions);
  *out = sessions;
  if (sessions != NULL) sessions->buckets = calloc(BUCKETS, sizeof(struct flight_handle *));
  if (sessions == NULL || sessions->buckets == NULL) {
    free(sessions);
    *out = NULL;
    return error_set(error, STATUS_NOMEM, "no memory for sessions");
  }
  sessions->server = server;
  sessions->budget.limit_bytes = server->config->memory_limit_bytes / BUDGET_SHARE;
  if (sessions->budget.limit_bytes < BUDGET_BYTES_MIN)
    sessions->budget.limit_bytes = BUDGET_BYTES_MIN;
  pthread_mutex_init(&sessions->lock, NULL);
  task_init(&sessions->reaper, server->workers, reap, sessions);
  sessions->post = (struct net_post){.run = on_listed, .context = sessions};
  enum status status = net_timer_new(server->loop, on_sweep, sessions, &sessions->timer, error);
  if (status == STATUS_OK) return STATUS_OK;
  flight_sessions_free(sessions);
  *out = NULL;
  return status;
}

void flight_sessions_close(struct flight_sessions *sessions) {
  if (sessions == NULL) return;
  pthread_mutex_lock(&sessions->lock);
  sessions->closed = true;
  while (sessions->first != NULL) unlist(sessions->first);
  pthread_mutex_unlock(&sessions->lock);
  net_timer_free(sessions->timer);
  sessions->timer = NULL;
}

void flight_sessions_free(struct flight_sessions *sessions) {
  if (sessions == NULL) return;
  flight_sessions_close(sessions);
  free_ended(sessions);
  pthread_mutex_destroy(&sessions->lock);
  free(sessions->buckets);
  free(sessions);
}

void flight_sessions_give_up(struct flight_sessions *sessions) {
  struct engine *engine = atomic_load(&sessions->engine);
  if (engine == NULL) return;
  /* Split results are of no use with the database that they lie in. */
  pthread_mutex_lock(&sessions->lock);
  struct flight_handle *next;
  for (struct flight_handle *handle = sessions->first; handle != NULL; handle = next) {
    next = handle->next;
    if (handle->kind == FLIGHT_SPLIT) unlist(handle);
  }
  pthread_mutex_unlock(&sessions->lock);
  wake_reaper(sessions);
}

/* ---- handles --------------------------------------------------------------------------------------------- */

enum status flight_hold_init(struct flight_handle *handle, enum flight_handle_kind kind,
                             struct flight_ask *ask, void (*free_it)(struct flight_handle *),
                             struct error *error) {
  struct flight_sessions *sessions = ask->server->flight->sessions;
  handle->kind = kind;
  handle->sessions = sessions;
  handle->free = free_it;
  handle->owners = handle->users = 1;
  handle->who = strdup(ask->who->name);
  if (ask->session != NULL && kind != FLIGHT_SESSION) {
    handle->session = ask->session;
    pthread_mutex_lock(&sessions->lock);
    handle->session->handle.owners++;
    pthread_mutex_unlock(&sessions->lock);
  }
  if (handle->who == NULL) return error_set(error, STATUS_NOMEM, "no memory for a handle");
  return flight_id_make(handle->id, error);
}

/* The identity's entry among those who have handles without a session. NULL: no memory. */
static struct flight_owner *owner_of(struct flight_sessions *sessions, const char *who) {
  struct flight_owner *owner = sessions->owners;
  while (owner != NULL && strcmp(owner->who, who) != 0) owner = owner->next;
  if (owner != NULL) return owner;
  owner = calloc(1, sizeof *owner);
  if (owner != NULL) owner->who = strdup(who);
  if (owner == NULL || owner->who == NULL) {
    free(owner);
    return NULL;
  }
  owner->next = sessions->owners;
  sessions->owners = owner;
  return owner;
}

/* Counts it where its limit is. */
static enum status count_in(const struct flight_limits *limits, struct flight_handle *handle,
                            struct error *error) {
  struct flight_sessions *sessions = handle->sessions;
  if (handle->kind == FLIGHT_SESSION)
    return sessions->counts[FLIGHT_SESSION] < limits->sessions_max
               ? STATUS_OK
               : error_set(error, STATUS_BUDGET,
                           "%lld sessions are open, as many as flight.sessions_max allows: close "
                           "those that are not needed, or try again when others have ended",
                           (long long)limits->sessions_max);
  struct flight_owner *owner = NULL;
  if (handle->session == NULL && (owner = owner_of(sessions, handle->who)) == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for a handle");
  int64_t *count = handle->session != NULL ? &handle->session->handle_count : &owner->count;
  if (handle->session != NULL && !handle->session->handle.listed)
    return error_set(error, STATUS_NOT_FOUND, "the session has been closed");
  if (*count >= limits->handles_max)
    return error_set(error, STATUS_BUDGET,
                     "%lld prepared statements, transactions and split results are open, as many "
                     "as flight.handles_max allows: close those that are not needed",
                     (long long)*count);
  ++*count;
  handle->owner = owner;
  return STATUS_OK;
}

enum status flight_hold_list(struct flight_ask *ask, struct flight_handle *handle, int64_t bytes,
                             struct error *error) {
  struct flight_sessions *sessions = handle->sessions;
  enum status status = flight_hold_charge(handle, bytes, error);
  if (status != STATUS_OK) return status;
  pthread_mutex_lock(&sessions->lock);
  if (sessions->closed)
    status = error_set(error, STATUS_UNAVAILABLE, "the server is being stopped");
  if (status == STATUS_OK) status = count_in(&ask->config->flight, handle, error);
  if (status == STATUS_OK) {
    struct flight_handle **at = bucket(sessions, handle->id);
    handle->same_hash = *at;
    *at = handle;
    handle->next = sessions->first;
    handle->previous = &sessions->first;
    if (handle->next != NULL) handle->next->previous = &handle->next;
    sessions->first = handle;
    sessions->counts[handle->kind]++;
    handle->listed = true;
    handle->owners++;
    handle->used_ms = clock_now_ms();
    net_loop_post(sessions->server->loop, &sessions->post);
  }
  pthread_mutex_unlock(&sessions->lock);
  if (status != STATUS_OK && error != NULL) error->retry_after_ms = 0; /* nobody waits for room */
  return status;
}

enum status flight_hold_charge(struct flight_handle *handle, int64_t bytes, struct error *error) {
  struct budget *budget = &handle->sessions->budget;
  enum status status = budget_take(budget, bytes + HANDLE_BYTES, error);
  if (status != STATUS_OK) {
    error_set(error, STATUS_BUDGET,
              "prepared statements, their parameters and sessions take all the memory that they "
              "may (a sixteenth of memory_limit): close those that are not needed");
    if (error != NULL) error->retry_after_ms = 0; /* to wait here is of no use */
    return STATUS_BUDGET;
  }
  budget_give(budget, handle->charged_bytes);
  handle->charged_bytes = bytes + HANDLE_BYTES;
  return STATUS_OK;
}

enum status flight_hold_find(struct flight_ask *ask, enum flight_handle_kind kind, const void *id,
                             size_t id_bytes, struct flight_handle **out, struct error *error) {
  struct flight_sessions *sessions = ask->server->flight->sessions;
  char text[FLIGHT_ID_CHARS + 1] = {0};
  *out = NULL;
  if (id_bytes == FLIGHT_ID_CHARS) memcpy(text, id, FLIGHT_ID_CHARS);
  pthread_mutex_lock(&sessions->lock);
  struct flight_handle *handle = look_up(sessions, text);
  if (handle != NULL && handle->kind == kind && strcmp(handle->who, ask->who->name) == 0 &&
      (kind == FLIGHT_SPLIT || handle->session == NULL || handle->session == ask->session)) {
    handle->owners++;
    handle->users++;
    *out = handle;
  }
  pthread_mutex_unlock(&sessions->lock);
  if (*out != NULL) return STATUS_OK;
  return error_set(error, STATUS_NOT_FOUND,
                   "there is no such %s: it was closed, was not used for %lld s (%s), or is not "
                   "this client's",
                   kind_names[kind], (long long)(patience_ms(&ask->config->flight, kind) / 1000),
                   kind == FLIGHT_TRANSACTION ? "flight.transaction_idle_s: rolled back"
                                              : "flight.handle_idle_s");
}

void flight_hold_release(struct flight_handle *handle) {
  if (handle == NULL) return;
  struct flight_sessions *sessions = handle->sessions;
  pthread_mutex_lock(&sessions->lock);
  handle->used_ms = clock_now_ms();
  handle->users--;
  disown(handle);
  if (sessions->ended != NULL && !sessions->closed) task_wake(&sessions->reaper);
  pthread_mutex_unlock(&sessions->lock);
}

void flight_hold_drop(struct flight_handle *handle) {
  struct flight_sessions *sessions = handle->sessions;
  pthread_mutex_lock(&sessions->lock);
  unlist_all_of(handle);
  if (sessions->ended != NULL && !sessions->closed) task_wake(&sessions->reaper);
  pthread_mutex_unlock(&sessions->lock);
}

struct flight_session *flight_session_by_id(struct flight_sessions *sessions, const char *id) {
  pthread_mutex_lock(&sessions->lock);
  struct flight_handle *handle = look_up(sessions, id);
  if (handle != NULL && handle->kind != FLIGHT_SESSION) handle = NULL;
  if (handle != NULL) {
    handle->owners++;
    handle->users++;
    ((struct flight_session *)handle)->confirmed = true;
  }
  pthread_mutex_unlock(&sessions->lock);
  return (struct flight_session *)handle;
}

bool flight_session_ignored(struct flight_ask *ask) {
  struct flight_sessions *sessions = ask->server->flight->sessions;
  bool ignored = false;
  if (ask->session != NULL) return false;
  pthread_mutex_lock(&sessions->lock);
  for (struct flight_handle *at = sessions->first; at != NULL && !ignored; at = at->next)
    ignored = at->kind == FLIGHT_SESSION && !((struct flight_session *)at)->confirmed &&
              strcmp(at->who, ask->who->name) == 0;
  pthread_mutex_unlock(&sessions->lock);
  return ignored;
}
