/* Asks: what runs on a worker for a call of Flight.
 *
 * An ask stands in line with the statements of /query (query_line.h), runs on a worker when its turn has
 * come, and leaves its answers behind; the loop sends them, then tells who started it. A work of many
 * steps keeps its turn from the first to the last, but no thread in between.
 *
 *   IDLE --flight_ask_run--> WAITS --its turn--> RUNS --over, failed--> DONE --posted to the loop--> IDLE
 *                              \---- stopped, time-out, line full ----> DONE
 *
 * 1. What lies under `asks->lock` is shared between threads: why to stop, the session that an interrupt
 *    may reach, whether the task may still be woken. Everything else is the loop's, or the task's while
 *    it RUNS.
 * 2. A session is guarded under the lock, and let go of under it before it is closed, so that an
 *    interrupt always finds it alive.
 * 3. `done` comes once for each run, on the loop, never from inside the call that started it.
 * 4. The time-out runs while an ask waits for its turn and while it works (flight_ask_clock). */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "server/flight.h"

struct answer_header {
  char *name, *value;
  struct answer_header *next;
};

enum ask_state { ASK_IDLE, ASK_WAITS, ASK_RUNS, ASK_DONE };

struct flight_private {
  struct flight_ask ask; /* what others see of it */
  struct flight_asks *asks;
  struct flight_private *next; /* in asks->first */
  struct flight_private **previous;
  struct request *request;
  struct grpc_call *grpc;

  /* What is run: one of `run` and `step`. */
  enum status (*run)(void *context, struct flight_ask *ask, struct error *error);
  enum status (*step)(void *context, struct flight_ask *ask, bool *over, struct error *error);
  void (*done)(void *context, enum status status, const struct error *error);
  void *context;
  enum ask_state state;
  bool quick;   /* it does not stand in line */
  bool must;    /* nor does anything else keep it from running (flight_ask_must) */
  bool in_line; /* it has a turn to give back */
  struct query_turn turn;
  struct task task;
  struct net_post done_post, retry_post;
  struct net_timer *timeout, *retry;
  int64_t left_ms, since_ms; /* of the time-out; left_ms 0: there is none */
  bool clock_runs;

  /* The task's, then the loop's. */
  enum status status;
  struct error error;
  _Atomic int retry_ms; /* a task that is stopped may be at its next try while the loop reads it */
  struct buffer *answers; /* messages with their prefixes */
  size_t answer_count, answer_room;
  struct answer_header *headers, **headers_end;

  /* Under asks->lock. */
  enum status stop; /* why; STATUS_OK: go on */
  bool awake;       /* the task may be woken */
  struct engine_session *guarded;
  char *id;
  char ticket_id[FLIGHT_ID_BYTES];

  char seal_id[FLIGHT_ID_BYTES]; /* of the tickets that it makes; "": it has made none */
};

struct flight_asks {
  pthread_mutex_t lock;
  struct flight_private *first;
};

enum status flight_asks_new(struct flight_asks **asks, struct error *error) {
  *asks = calloc(1, sizeof **asks);
  if (*asks == NULL) return error_set(error, STATUS_NOMEM, "no memory to start");
  pthread_mutex_init(&(*asks)->lock, NULL);
  return STATUS_OK;
}

void flight_asks_free(struct flight_asks *asks) {
  if (asks == NULL) return;
  pthread_mutex_destroy(&asks->lock);
  free(asks);
}

/* ---- stopping ---------------------------------------------------------------------------------- */

static enum status say_stopped(enum status stop, struct error *error) {
  switch (stop) {
  case STATUS_OK: return STATUS_OK;
  case STATUS_TIMEOUT:
    return error_set(error, stop, "not done within the time allowed (query_timeout_s)");
  case STATUS_UNAVAILABLE:
    return error_set(error, stop, "the database has to be opened anew after a failure: ask again");
  default: return error_set(error, stop, "the call was cancelled");
  }
}

enum status flight_ask_check(struct flight_ask *ask, struct error *error) {
  pthread_mutex_lock(&ask->more->asks->lock);
  enum status stop = ask->more->stop;
  pthread_mutex_unlock(&ask->more->asks->lock);
  return say_stopped(stop, error);
}

enum status flight_guard(struct flight_ask *ask, struct engine_session *session, const char *id,
                         struct error *error) {
  struct flight_private *more = ask->more;
  char *copy = session != NULL && id != NULL ? strdup(id) : NULL;
  if (session != NULL && id != NULL && copy == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for a request");
  pthread_mutex_lock(&more->asks->lock);
  char *before = more->id;
  more->guarded = session;
  more->id = copy;
  enum status stop = session != NULL ? more->stop : STATUS_OK;
  pthread_mutex_unlock(&more->asks->lock);
  free(before);
  return say_stopped(stop, error);
}

void flight_ask_ticket(struct flight_ask *ask, const char id[FLIGHT_ID_BYTES]) {
  pthread_mutex_lock(&ask->more->asks->lock);
  memcpy(ask->more->ticket_id, id, FLIGHT_ID_BYTES);
  pthread_mutex_unlock(&ask->more->asks->lock);
}

enum status flight_ask_seal_id(struct flight_ask *ask, const char **id, struct error *error) {
  *id = ask->more->seal_id;
  return ask->more->seal_id[0] != '\0' ? STATUS_OK : flight_id_make(ask->more->seal_id, error);
}

/* Under the lock. */
static void stop_work(struct flight_private *more, enum status reason) {
  if (more->stop == STATUS_OK) more->stop = reason;
  if (more->guarded != NULL) engine_interrupt(more->guarded, reason);
  if (more->awake) task_wake(&more->task);
}

bool flight_cancel(struct flight_ask *ask, const char *id) {
  struct flight_asks *asks = ask->more->asks;
  bool found = false;
  pthread_mutex_lock(&asks->lock);
  for (struct flight_private *at = asks->first; at != NULL; at = at->next) {
    if (at == ask->more || !at->awake || strcmp(at->ask.who->name, ask->who->name) != 0) continue;
    if (strcmp(at->ticket_id, id) != 0 && (at->id == NULL || strcmp(at->id, id) != 0)) continue;
    stop_work(at, STATUS_CANCELLED);
    found = true;
  }
  pthread_mutex_unlock(&asks->lock);
  return found;
}

void flight_asks_give_up(struct flight_asks *asks) {
  pthread_mutex_lock(&asks->lock);
  for (struct flight_private *at = asks->first; at != NULL; at = at->next)
    if (at->awake) stop_work(at, STATUS_UNAVAILABLE);
  pthread_mutex_unlock(&asks->lock);
}

/* ---- the task's side ----------------------------------------------------------------------------- */

static void ask_task(void *context) {
  struct flight_private *more = context;
  struct net_loop *loop = more->ask.server->loop;
  bool over = true;
  more->error = (struct error){.status = STATUS_OK};
  enum status status;
  if (more->step != NULL) {
    status = more->step(more->context, &more->ask, &over, &more->error);
  } else {
    status = more->must ? STATUS_OK : flight_ask_check(&more->ask, &more->error);
    if (status == STATUS_OK) status = more->run(more->context, &more->ask, &more->error);
  }
  if (status == STATUS_BUDGET && more->error.retry_after_ms > 0 && !more->must) {
    more->retry_ms = more->error.retry_after_ms;
    net_loop_post(loop, &more->retry_post);
    return;
  }
  if (status == STATUS_OK && !over) return;
  pthread_mutex_lock(&more->asks->lock);
  more->awake = false;
  pthread_mutex_unlock(&more->asks->lock);
  more->status = status;
  task_retire(&more->task);
  net_loop_post(loop, &more->done_post);
}

/* A message with its prefix. */
static enum status pack(const ProtobufCMessage *message, struct budget *budget, struct buffer *out,
                        struct error *error) {
  size_t bytes = protobuf_c_message_get_packed_size(message);
  if (bytes > INT32_MAX)
    return error_set(error, STATUS_TOO_LARGE, "the answer is a message of more than 2 GiB");
  enum status status = buffer_reserve(out, budget, (int64_t)bytes + GRPC_PREFIX_BYTES, error);
  if (status != STATUS_OK) return status;
  grpc_prefix(out->data, (uint32_t)bytes);
  protobuf_c_message_pack(message, out->data + GRPC_PREFIX_BYTES);
  out->size_bytes = (int64_t)bytes + GRPC_PREFIX_BYTES;
  return STATUS_OK;
}

enum status flight_answer(struct flight_ask *ask, const ProtobufCMessage *message,
                          struct error *error) {
  struct flight_private *more = ask->more;
  if (more->answer_count == more->answer_room) {
    size_t room = more->answer_room == 0 ? 8 : 2 * more->answer_room;
    struct buffer *grown = realloc(more->answers, room * sizeof *grown);
    if (grown == NULL) return error_set(error, STATUS_NOMEM, "no memory for an answer");
    more->answers = grown;
    more->answer_room = room;
  }
  struct buffer packed = BUFFER_EMPTY;
  enum status status = pack(message, &ask->server->answers, &packed, error);
  if (status == STATUS_OK) more->answers[more->answer_count++] = packed;
  return status;
}

enum status flight_answer_header(struct flight_ask *ask, const char *name, const char *value,
                                 struct error *error) {
  struct flight_private *more = ask->more;
  struct answer_header *made = calloc(1, sizeof *made);
  if (made != NULL) {
    made->name = strdup(name);
    made->value = strdup(value);
    *more->headers_end = made;
    more->headers_end = &made->next;
  }
  if (made != NULL && made->name != NULL && made->value != NULL) return STATUS_OK;
  return error_set(error, STATUS_NOMEM, "no memory for an answer");
}

/* ---- the loop's side ------------------------------------------------------------------------------ */

static void clock_stop(struct flight_private *more) {
  if (!more->clock_runs) return;
  more->clock_runs = false;
  net_timer_stop(more->timeout);
  more->left_ms -= clock_now_ms() - more->since_ms;
  if (more->left_ms < 1) more->left_ms = 1;
}

void flight_ask_clock(struct flight_ask *ask, bool runs) {
  struct flight_private *more = ask->more;
  if (!runs) clock_stop(more);
  if (!runs || more->clock_runs || more->left_ms == 0) return;
  if (more->state != ASK_WAITS && more->state != ASK_RUNS) return;
  more->clock_runs = true;
  more->since_ms = clock_now_ms();
  net_timer_start(more->timeout, more->left_ms);
}

/* It never ran: `done` is told all the same. */
static void give_up(struct flight_private *more, enum status status) {
  more->state = ASK_DONE;
  more->status = status;
  net_loop_post(more->ask.server->loop, &more->done_post);
}

void flight_ask_stop(struct flight_ask *ask, enum status reason) {
  struct flight_private *more = ask->more;
  pthread_mutex_lock(&more->asks->lock);
  stop_work(more, reason);
  pthread_mutex_unlock(&more->asks->lock);
  if (more->state != ASK_WAITS) return;
  query_line_leave(&ask->server->queries, &more->turn);
  if (reason == STATUS_TIMEOUT)
    error_set(&more->error, reason,
              "other statements took all the time allowed before this one's turn came "
              "(query.concurrent_max run at a time)");
  else
    (void)say_stopped(reason, &more->error);
  give_up(more, reason);
}

static void on_timeout(void *context) {
  struct flight_private *more = context;
  more->clock_runs = false;
  flight_ask_stop(&more->ask, STATUS_TIMEOUT);
}

/* Sends what was answered, or only lets go of it. */
static void send_headers(struct flight_private *more, bool told) {
  while (more->headers != NULL) {
    struct answer_header *header = more->headers;
    more->headers = header->next;
    if (told && header->name != NULL && header->value != NULL)
      grpc_header(more->grpc, header->name, header->value);
    free(header->name);
    free(header->value);
    free(header);
  }
  more->headers_end = &more->headers;
}

void flight_ask_headers(struct flight_ask *ask) { send_headers(ask->more, true); }

static void send_answers(struct flight_private *more, bool told) {
  send_headers(more, told);
  for (size_t i = 0; i < more->answer_count; i++) {
    if (told) grpc_write(more->grpc, &more->answers[i]);
    buffer_release(&more->answers[i]);
  }
  more->answer_count = 0;
}

static void on_done(void *context) {
  struct flight_private *more = context;
  clock_stop(more);
  net_timer_stop(more->retry);
  more->state = ASK_IDLE;
  send_answers(more, more->request->exchange != NULL && !grpc_finished(more->grpc));
  if (more->in_line) {
    more->in_line = false;
    query_line_done(&more->ask.server->queries,
                    query_running_max(more->ask.server, more->ask.config));
  }
  more->done(more->context, more->status, &more->error);
}

void flight_ask_wake(struct flight_ask *ask) {
  struct flight_private *more = ask->more;
  pthread_mutex_lock(&more->asks->lock);
  if (more->awake) task_wake(&more->task);
  pthread_mutex_unlock(&more->asks->lock);
}

static void on_retry_over(void *context) { flight_ask_wake(context); }

/* The task wants to be woken later. */
static void on_retry(void *context) {
  struct flight_private *more = context;
  if (more->state == ASK_RUNS) net_timer_start(more->retry, more->retry_ms);
}

static void start_task(void *context) {
  struct flight_private *more = context;
  more->state = ASK_RUNS;
  task_init(&more->task, more->ask.server->workers, ask_task, more);
  pthread_mutex_lock(&more->asks->lock);
  more->awake = true;
  task_wake(&more->task);
  pthread_mutex_unlock(&more->asks->lock);
}

static void on_turn(void *context) {
  struct flight_private *more = context;
  more->in_line = true;
  start_task(more);
}

static void start(struct flight_private *more) {
  struct server *server = more->ask.server;
  more->state = ASK_WAITS;
  more->error = (struct error){.status = STATUS_OK};
  more->left_ms = more->ask.config->query_timeout_ms;
  if (!more->must) flight_ask_clock(&more->ask, true);
  more->turn = (struct query_turn){.start = on_turn, .context = more};
  if (more->quick || more->must)
    start_task(more);
  else if (query_line_enter(&server->queries, query_running_max(server, more->ask.config),
                            &more->turn, &more->error) != STATUS_OK)
    give_up(more, STATUS_UNAVAILABLE);
}

void flight_ask_run(struct flight_ask *ask,
                    enum status (*run)(void *context, struct flight_ask *ask, struct error *error),
                    void (*done)(void *context, enum status status, const struct error *error),
                    void *context) {
  ask->more->run = run;
  ask->more->step = NULL;
  ask->more->done = done;
  ask->more->context = context;
  start(ask->more);
}

void flight_ask_steps(struct flight_ask *ask,
                      enum status (*step)(void *context, struct flight_ask *ask, bool *over,
                                          struct error *error),
                      void (*done)(void *context, enum status status, const struct error *error),
                      void *context) {
  ask->more->run = NULL;
  ask->more->step = step;
  ask->more->done = done;
  ask->more->context = context;
  start(ask->more);
}

void flight_ask_quick(struct flight_ask *ask) { ask->more->quick = true; }

void flight_ask_must(struct flight_ask *ask) { ask->more->must = true; }

/* ---- life ------------------------------------------------------------------------------------------ */

enum status flight_ask_new(struct request *request, struct grpc_call *grpc, struct flight_ask **ask,
                           struct error *error) {
  struct server *server = request->server;
  struct flight_private *made = calloc(1, sizeof *made);
  *ask = NULL;
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a request");
  made->asks = server->flight->asks;
  made->request = request;
  made->grpc = grpc;
  made->headers_end = &made->headers;
  made->done_post = (struct net_post){.run = on_done, .context = made};
  made->retry_post = (struct net_post){.run = on_retry, .context = made};
  made->ask = (struct flight_ask){.server = server,
                                  .config = request->config,
                                  .who = request->who,
                                  .endpoints = flight_endpoints_asked(request->call),
                                  .more = made};
  enum status status = net_timer_new(server->loop, on_timeout, made, &made->timeout, error);
  if (status == STATUS_OK)
    status = net_timer_new(server->loop, on_retry_over, &made->ask, &made->retry, error);
  if (status == STATUS_OK) status = flight_session_find(request->call, &made->ask.session, error);
  if (status != STATUS_OK) {
    net_timer_free(made->timeout);
    net_timer_free(made->retry);
    free(made);
    return status;
  }
  pthread_mutex_lock(&made->asks->lock);
  made->next = made->asks->first;
  made->previous = &made->asks->first;
  if (made->next != NULL) made->next->previous = &made->next;
  made->asks->first = made;
  pthread_mutex_unlock(&made->asks->lock);
  *ask = &made->ask;
  return STATUS_OK;
}

void flight_ask_free(struct flight_ask *ask) {
  if (ask == NULL) return;
  struct flight_private *more = ask->more;
  pthread_mutex_lock(&more->asks->lock);
  *more->previous = more->next;
  if (more->next != NULL) more->next->previous = more->previous;
  pthread_mutex_unlock(&more->asks->lock);
  send_answers(more, false);
  free(more->answers);
  net_timer_free(more->timeout);
  net_timer_free(more->retry);
  flight_session_release(ask->session);
  free(more->id);
  free(more);
}
