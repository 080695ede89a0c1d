/* Whether the server lives (/healthz), whether it can work (/readyz), what it is (/version).
 *
 * /readyz, and gRPC's health checks (grpc_health.c), ask the storage a question on a worker, at most once
 * a second: who asks meanwhile gets the last answer, or waits for the one that is under way.
 *
 *   IDLE --a request, nothing known for a second--> ASKING --the task is over--> IDLE
 *                                                     | READY_TIMEOUT_MS: those who wait are told
 *                                                     v that it does not answer, as are later ones
 *                                                   LATE --the task is over--> IDLE
 *
 * 1. Everything but `session` and what the task leaves (`status`, `error`) belongs to the loop; the
 *    task leaves them before it posts, and the loop reads them after.
 * 2. `session` is there, under the lock, while an interrupt may reach it.
 * 3. Who waits is in `waiters` until it is told or its client is gone (readiness_forget). */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "arrowport_version.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/private.h"

enum {
  READY_TIMEOUT_MS = 5000,
  READY_KEPT_MS = 1000,
};

/* Of /readyz. */
struct waiter {
  struct request request;
  struct readiness_waiter waits;
};

struct readiness {
  struct server *server;
  struct task task;
  struct net_post post;
  struct net_timer *timer;
  struct readiness_waiter *waiters;
  enum { IDLE, ASKING, LATE } state;
  bool is_known; /* something was asked, ever */
  int64_t known_ms;
  const char *reason; /* why it is not ready, in a few words; NULL: it is */

  pthread_mutex_t lock;
  struct engine_session *session;
  bool stopped; /* ask no more */

  enum status status;
  struct error error;
};

/* ---- the task ------------------------------------------------------------------------------- */

static enum status select_one(struct engine_session *session, struct error *error) {
  const struct engine_query query = {.sql = "SELECT 1", .read_only = true};
  struct engine_result *result = NULL;
  struct ArrowArray batch = {.release = NULL};
  enum status status = engine_query(session, &query, &result, error);
  if (status == STATUS_OK) status = engine_result_next(result, &batch, error);
  arrow_array_release(&batch);
  engine_result_close(result);
  return status;
}

/* False: it is to end. */
static bool show_session(struct readiness *readiness, struct engine_session *session) {
  pthread_mutex_lock(&readiness->lock);
  bool go_on = !readiness->stopped;
  readiness->session = session;
  pthread_mutex_unlock(&readiness->lock);
  return go_on;
}

static enum status ask(struct readiness *readiness, struct error *error) {
  struct engine *engine = NULL;
  struct engine_session *session = NULL;
  enum status status = storage_engine(readiness->server->storage, &engine, error);
  if (status == STATUS_OK) status = engine_session_open(engine, &session, error);
  if (status == STATUS_OK && show_session(readiness, session)) status = select_one(session, error);
  show_session(readiness, NULL);
  engine_session_close(session);
  return status;
}

static void readiness_task(void *context) {
  struct readiness *readiness = context;
  readiness->status = ask(readiness, &readiness->error);
  net_loop_post(readiness->server->loop, &readiness->post);
}

static void interrupt(struct readiness *readiness, bool stop) {
  pthread_mutex_lock(&readiness->lock);
  readiness->stopped = readiness->stopped || stop;
  if (readiness->session != NULL) engine_interrupt(readiness->session, STATUS_TIMEOUT);
  pthread_mutex_unlock(&readiness->lock);
}

/* ---- answers -------------------------------------------------------------------------------- */

static void respond_word(struct http_exchange *exchange, const char *word) {
  struct text body = TEXT_EMPTY;
  if (text_add_format(&body, NULL, "{\"status\":\"%s\"}\n", word) != STATUS_OK) text_clear(&body);
  respond_json(exchange, &body);
  text_release(&body);
}

static void answer(struct http_exchange *exchange, const char *reason) {
  if (reason == NULL)
    respond_word(exchange, "ready");
  else
    respond_problem_code(exchange, 503, STATUS_UNAVAILABLE, NULL, "%s", reason);
}

void readiness_forget(struct readiness_waiter *waiter) {
  if (waiter->previous == NULL) return;
  *waiter->previous = waiter->next;
  if (waiter->next != NULL) waiter->next->previous = waiter->previous;
  waiter->previous = NULL;
}

/* What is known from now on; tells those who wait. */
static void conclude(struct readiness *readiness, const char *reason, const char *why) {
  bool was_ready = !readiness->is_known || readiness->reason == NULL;
  if (reason != NULL && was_ready) log_warning("server", "not ready: %s: %s", reason, why);
  if (reason == NULL && !was_ready) log_info("server", "ready again: the storage answers");
  readiness->is_known = true;
  readiness->known_ms = clock_now_ms();
  readiness->reason = reason;
  while (readiness->waiters != NULL) {
    struct readiness_waiter *waiter = readiness->waiters;
    readiness_forget(waiter);
    waiter->told(waiter->context, reason); /* it may be gone after this */
  }
}

static void on_asked(void *context) {
  struct readiness *readiness = context;
  bool is_late = readiness->state == LATE;
  readiness->state = IDLE;
  net_timer_stop(readiness->timer);
  /* What was interrupted for being late says nothing new; the next one asks again. */
  if (is_late && readiness->status == STATUS_TIMEOUT) return;
  conclude(readiness, readiness->status == STATUS_OK ? NULL : "the storage cannot be used",
           readiness->error.text);
}

static void on_late(void *context) {
  struct readiness *readiness = context;
  readiness->state = LATE;
  interrupt(readiness, false);
  conclude(readiness, "the storage does not answer", "it has taken more than 5 s");
}

/* ---- asking --------------------------------------------------------------------------------- */

static void wait_for_answer(struct readiness *readiness, struct readiness_waiter *waiter) {
  waiter->next = readiness->waiters;
  waiter->previous = &readiness->waiters;
  if (waiter->next != NULL) waiter->next->previous = &waiter->next;
  readiness->waiters = waiter;
  if (readiness->state == ASKING) return;
  readiness->state = ASKING;
  net_timer_start(readiness->timer, READY_TIMEOUT_MS);
  task_wake(&readiness->task);
}

void readiness_ask(struct server *server, struct readiness_waiter *waiter) {
  struct readiness *readiness = server->readiness;
  bool is_fresh = readiness->is_known && clock_now_ms() - readiness->known_ms < READY_KEPT_MS;
  if (server->draining)
    waiter->told(waiter->context, "the server is about to end");
  else if (readiness->state == LATE || (is_fresh && readiness->state == IDLE))
    waiter->told(waiter->context, readiness->reason);
  else
    wait_for_answer(readiness, waiter);
}

/* ---- GET /readyz ---------------------------------------------------------------------------- */

static void waiter_told(void *context, const char *reason) {
  struct waiter *waiter = context;
  answer(waiter->request.exchange, reason);
}

static void waiter_finished(struct request *request) {
  struct waiter *waiter = (struct waiter *)request;
  readiness_forget(&waiter->waits);
  request_end(request);
  free(waiter);
}

void service_ready(struct call *call) {
  struct waiter *waiter = calloc(1, sizeof *waiter);
  if (waiter == NULL) {
    answer(call->exchange, "there is no memory");
    return;
  }
  request_begin(&waiter->request, call, waiter_finished);
  waiter->waits = (struct readiness_waiter){.told = waiter_told, .context = waiter};
  readiness_ask(call->server, &waiter->waits);
}

enum status readiness_new(struct server *server, struct error *error) {
  struct readiness *readiness = calloc(1, sizeof *readiness);
  if (readiness == NULL) return error_set(error, STATUS_NOMEM, "no memory for the server");
  enum status status = net_timer_new(server->loop, on_late, readiness, &readiness->timer, error);
  if (status != STATUS_OK) {
    free(readiness);
    return status;
  }
  readiness->server = server;
  readiness->post = (struct net_post){.run = on_asked, .context = readiness};
  pthread_mutex_init(&readiness->lock, NULL);
  task_init(&readiness->task, server->workers, readiness_task, readiness);
  server->readiness = readiness;
  return STATUS_OK;
}

void readiness_stop(struct server *server) {
  if (server->readiness != NULL) interrupt(server->readiness, true);
}

void readiness_free(struct server *server) {
  struct readiness *readiness = server->readiness;
  if (readiness == NULL) return;
  net_timer_free(readiness->timer);
  pthread_mutex_destroy(&readiness->lock);
  free(readiness);
  server->readiness = NULL;
}

/* ---- GET /healthz, /version ------------------------------------------------------------------- */

void service_health(struct call *call) { respond_word(call->exchange, "ok"); }

enum status service_version_json(struct text *body, struct error *error) {
  const char *duckdb = NULL;
  enum status status = engine_version(&duckdb, error);
  if (status != STATUS_OK) return status;
  return text_add_format(body, error,
                         "{\"name\":\"arrowport\",\"version\":\"%s\",\"duckdb\":\"%s\"}\n",
                         ARROWPORT_VERSION, duckdb);
}

static enum status work_version(struct job *job, struct error *error) {
  return service_version_json(&job->body, error);
}

void service_version(struct call *call) { job_start(call, NULL, work_version); }
