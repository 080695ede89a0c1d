#include "net/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/text.h"

enum { WINDOW_BYTES = 64 * 1024, WAIT_MS = 10000, LATE_MS = 20 };

enum act {
  ACT_ECHO,
  ACT_COUNT,
  ACT_SLOW,
  ACT_NEVER,
  ACT_EARLY,
  ACT_FAIL,
  ACT_BUDGET,
  ACT_LEAVE,
  ACT_WAIT,
  ACT_BOTH,
  ACT_PAUSE,
  ACT_STREAM,
  ACT_FLOOD,
  ACT_ADMIT
};

/* One request, in the service's eyes. Freed when it has finished and no thread is left
 * that will post for it. */
struct visit {
  struct world *world;
  struct http_exchange *exchange; /* NULL once finished */
  enum act act;
  uint8_t *window;
  int64_t window_bytes;
  struct text body;
  int64_t body_bytes;
  uint64_t sum;
  int64_t at;
  bool over;   /* the handler must not be called any more */
  bool waited; /* for a window */
  int64_t pieces;
  int64_t piece_bytes;
  struct net_post late;
  struct net_timer *timer;
  int users;
};

static int64_t number(const struct http_request *request, const char *name, int64_t otherwise) {
  char *value = NULL;
  if (http_query_value(request->query, name, &value, NULL) != STATUS_OK || value == NULL)
    return otherwise;
  int64_t result = strtoll(value, NULL, 10);
  free(value);
  return result;
}

static void visit_leave(struct visit *visit) {
  if (--visit->users > 0) return;
  net_timer_free(visit->timer);
  free(visit->window);
  text_release(&visit->body);
  free(visit);
}

static void answer_text(struct http_exchange *exchange, int code, const char *text) {
  static const struct http_header type = {"content-type", "text/plain"};
  http_respond(exchange, code, &type, 1, text, strlen(text));
}

static void accept_late(struct visit *visit);

/* ---- answers from another thread -------------------------------------------------------- */

/* The loop ends when the server is freed and no thread will post any more. */
static void stop_when_done(struct world *world) {
  if (world->stopping && world->threads == 0) net_loop_stop(world->loop);
}

static void answer_late(void *context) {
  struct visit *visit = context;
  struct world *world = visit->world;
  if (visit->exchange != NULL && visit->act == ACT_ADMIT)
    accept_late(visit);
  else if (visit->exchange != NULL)
    answer_text(visit->exchange, visit->act == ACT_FAIL ? 422 : 200,
                visit->act == ACT_FAIL ? "failed" : "slow");
  visit_leave(visit);
  world->threads--;
  stop_when_done(world);
}

static void *sleep_and_post(void *context) {
  struct visit *visit = context;
  struct timespec time = {.tv_nsec = LATE_MS * 1000000L};
  nanosleep(&time, NULL);
  net_loop_post(visit->world->loop, &visit->late);
  return NULL;
}

static void begin_late(struct visit *visit) {
  pthread_t thread;
  visit->late = (struct net_post){.run = answer_late, .context = visit};
  visit->users++;
  visit->world->threads++;
  if (pthread_create(&thread, NULL, sleep_and_post, visit) != 0) abort();
  pthread_detach(thread);
}

/* ---- bodies ------------------------------------------------------------------------------ */

static void write_text(struct visit *visit, const char *text) {
  struct buffer piece = BUFFER_EMPTY;
  if (buffer_append(&piece, &visit->world->budget, text, (int64_t)strlen(text), NULL)) abort();
  http_write(visit->exchange, &piece);
}

static enum status take_window(void *context, uint8_t **data, int64_t *bytes) {
  struct visit *visit = context;
  if (visit->over) visit->world->windows_after_end++;
  if (visit->act == ACT_BUDGET && !visit->waited) {
    visit->waited = true;
    http_body_pause(visit->exchange);
    net_timer_start(visit->timer, 1);
    return STATUS_BUDGET;
  }
  if (visit->act == ACT_LEAVE && visit->body_bytes >= visit->at) {
    struct world *world = visit->world;
    http_server_free(world->server);
    world->server = NULL;
    return STATUS_CANCELLED;
  }
  *data = visit->window;
  *bytes = visit->window_bytes;
  return STATUS_OK;
}

static void resume(void *context) {
  struct visit *visit = context;
  if (visit->exchange != NULL) http_body_resume(visit->exchange);
}

static enum status take_filled(void *context, int64_t bytes) {
  struct visit *visit = context;
  if (visit->over) visit->world->windows_after_end++;
  for (int64_t i = 0; i < bytes; i++) visit->sum = visit->sum * 31 + visit->window[i];
  visit->body_bytes += bytes;
  visit->waited = false;
  bool reached = visit->body_bytes >= visit->at;
  if (visit->act == ACT_ECHO && text_add_bytes(&visit->body, visit->window, (size_t)bytes, NULL))
    abort();
  if (visit->act == ACT_PAUSE) {
    http_body_pause(visit->exchange);
    net_timer_start(visit->timer, 1);
  }
  if (visit->act == ACT_EARLY && reached) {
    visit->over = true;
    answer_text(visit->exchange, 413, "too much");
  }
  if (visit->act == ACT_FAIL && reached) {
    visit->over = true;
    begin_late(visit);
    return STATUS_INVALID;
  }
  return STATUS_OK;
}

static void take_end(void *context) {
  struct visit *visit = context;
  char text[64];
  if (visit->over) visit->world->windows_after_end++;
  visit->over = true;
  visit->world->ends++;
  switch (visit->act) {
  case ACT_ECHO:
    http_respond(visit->exchange, 200, NULL, 0, text_get(&visit->body), visit->body.size_bytes);
    break;
  case ACT_SLOW: begin_late(visit); break;
  case ACT_NEVER: break;
  case ACT_BOTH:
    write_text(visit, " end");
    http_end(visit->exchange);
    break;
  default:
    snprintf(text, sizeof text, "%lld %llx", (long long)visit->body_bytes,
             (unsigned long long)visit->sum);
    answer_text(visit->exchange, 200, text);
  }
}

static void take_gone(void *context, const struct error *why) {
  struct visit *visit = context;
  if (visit->over) visit->world->windows_after_end++;
  visit->over = true;
  visit->world->gones++;
  if (why->status == STATUS_OK || why->text[0] == '\0') abort();
  answer_text(visit->exchange, 500, "nobody hears this");
}

/* It is known now who asks. */
static void accept_late(struct visit *visit) {
  struct http_body_handler handler = {visit, take_window, take_filled, take_end, take_gone};
  http_body_accept(visit->exchange, &handler);
}

/* ---- streams ------------------------------------------------------------------------------- */

static void write_on(void *context) {
  struct visit *visit = context;
  while (visit->pieces > 0 && (visit->act == ACT_FLOOD || http_writable(visit->exchange))) {
    struct buffer piece = BUFFER_EMPTY;
    if (buffer_reserve(&piece, &visit->world->budget, visit->piece_bytes, NULL) != STATUS_OK)
      abort();
    memset(piece.data, 'a' + (int)(visit->pieces % 26), (size_t)visit->piece_bytes);
    piece.size_bytes = visit->piece_bytes;
    visit->pieces--;
    http_write(visit->exchange, &piece);
    if (piece.data != NULL) abort(); /* taken over */
    int64_t used = atomic_load(&visit->world->budget.used_bytes);
    if (used > visit->world->queued_bytes_max) visit->world->queued_bytes_max = used;
    if (visit->pieces == 0) http_end(visit->exchange);
  }
}

static void count_gone(void *context) {
  struct visit *visit = context;
  visit->world->clients_gone++;
}

/* ---- the service ------------------------------------------------------------------------------ */

static void begin_visit(struct world *world, struct http_exchange *exchange, enum act act) {
  const struct http_request *request = http_exchange_request(exchange);
  struct visit *visit = calloc(1, sizeof *visit);
  if (visit == NULL) abort();
  visit->world = world;
  visit->exchange = exchange;
  visit->act = act;
  visit->users = 1;
  visit->window_bytes = number(request, "window", WINDOW_BYTES);
  visit->at = number(request, "at", INT64_MAX);
  visit->pieces = number(request, "n", 1);
  visit->piece_bytes = number(request, "size", 1);
  visit->window = malloc((size_t)visit->window_bytes);
  if (visit->window == NULL) abort();
  if (net_timer_new(world->loop, resume, visit, &visit->timer, NULL) != STATUS_OK) abort();
  http_exchange_set_context(exchange, visit);
  http_on_gone(exchange, count_gone, visit);
  if (act == ACT_STREAM || act == ACT_FLOOD) {
    http_on_writable(exchange, write_on, visit);
    http_start(exchange, 200, NULL, 0);
    write_on(visit);
    return;
  }
  if (act == ACT_ADMIT) {
    http_body_wait(exchange);
    begin_late(visit);
    return;
  }
  if (act == ACT_WAIT) {
    begin_late(visit);
    return;
  }
  if (act == ACT_BOTH) {
    http_start(exchange, 200, NULL, 0);
    write_text(visit, "begin");
  }
  struct http_body_handler handler = {visit, take_window, take_filled, take_end, take_gone};
  http_body_accept(exchange, &handler);
}

static void abort_answer(struct world *world, struct http_exchange *exchange) {
  struct buffer piece = BUFFER_EMPTY;
  if (buffer_append(&piece, &world->budget, "half", 4, NULL) != STATUS_OK) abort();
  http_start(exchange, 200, NULL, 0);
  http_write(exchange, &piece);
  http_abort(exchange);
}

static void on_request(void *context, struct http_exchange *exchange) {
  static const struct {
    const char *path;
    enum act act;
  } acts[] = {{"/echo", ACT_ECHO},     {"/count", ACT_COUNT}, {"/slow", ACT_SLOW},
              {"/never", ACT_NEVER},   {"/early", ACT_EARLY}, {"/fail", ACT_FAIL},
              {"/budget", ACT_BUDGET}, {"/leave", ACT_LEAVE}, {"/wait", ACT_WAIT},
              {"/both", ACT_BOTH},     {"/pause", ACT_PAUSE}, {"/stream", ACT_STREAM},
              {"/flood", ACT_FLOOD},   {"/admit", ACT_ADMIT}};
  struct world *world = context;
  const struct http_request *request = http_exchange_request(exchange);
  world->requests++;
  for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
    if (strcmp(request->path, acts[i].path) != 0) continue;
    begin_visit(world, exchange, acts[i].act);
    return;
  }
  if (strcmp(request->path, "/none") == 0) {
    answer_text(exchange, 404, "none");
  } else if (strcmp(request->path, "/abort") == 0) {
    abort_answer(world, exchange);
  } else if (strcmp(request->path, "/header") == 0) {
    char *value = NULL;
    if (http_query_value(request->query, "v", &value, NULL) != STATUS_OK || value == NULL) abort();
    struct http_header header = {"x-v", value};
    http_respond(exchange, 200, &header, 1, "", 0);
    free(value);
  } else if (strcmp(request->path, "/free") == 0) {
    http_server_free(world->server);
    world->server = NULL;
  } else {
    struct text text = TEXT_EMPTY;
    if (text_add_format(&text, NULL, "%s %s", request->method, request->target) != STATUS_OK)
      abort();
    answer_text(exchange, 200, text.data);
    text_release(&text);
  }
}

static void on_finished(void *context, struct http_exchange *exchange) {
  struct world *world = context;
  struct visit *visit = http_exchange_context(exchange);
  if (visit != NULL) {
    visit->exchange = NULL;
    visit->over = true;
    visit_leave(visit);
  }
  world->finished++;
}

/* ---- the world --------------------------------------------------------------------------------- */

static void stop(void *context) {
  struct world *world = context;
  http_server_free(world->server);
  world->server = NULL;
  world->stopping = true;
  stop_when_done(world);
}

static void on_drained(void *context) {
  struct world *world = context;
  world->drained++;
}

static void drain(void *context) {
  struct world *world = context;
  http_server_drain(world->server, on_drained, world);
}

static void *run(void *context) {
  struct world *world = context;
  net_loop_run(world->loop);
  return NULL;
}

struct world *world_new(void) {
  struct world *world = calloc(1, sizeof *world);
  assert_non_null(world);
  world->options = HTTP_SERVER_DEFAULTS;
  world->options.port = 0;
  world->options.write_bytes_high = INT64_C(256) * 1024;
  world->budget.limit_bytes = (int64_t)1 << 30;
  world->stop = (struct net_post){.run = stop, .context = world};
  world->drain = (struct net_post){.run = drain, .context = world};
  return world;
}

void world_start(struct world *world) {
  struct http_service service = {world, on_request, on_finished};
  struct error error = {0};
  assert_int_equal(net_loop_new(&world->loop, &error), STATUS_OK);
  if (http_server_new(world->loop, &world->options, &service, &world->server, &error) != STATUS_OK)
    fail_msg("%s", error.text);
  world->port = http_server_port(world->server);
  assert_true(world->port > 0);
  assert_int_equal(pthread_create(&world->thread, NULL, run, world), 0);
}

void world_end(struct world *world) {
  net_loop_post(world->loop, &world->stop);
  assert_int_equal(pthread_join(world->thread, NULL), 0);
  assert_int_equal(world->budget.used_bytes, 0); /* before the loop turns again */
  net_loop_free(world->loop);
  assert_int_equal(world->finished, world->requests);
  assert_int_equal(world->windows_after_end, 0);
  free(world);
}

void world_wait(const _Atomic int *counter, int wanted) {
  for (int waited_ms = 0; atomic_load(counter) < wanted; waited_ms++) {
    if (waited_ms > WAIT_MS) fail_msg("only %d of %d came", atomic_load(counter), wanted);
    struct timespec time = {.tv_nsec = 1000000};
    nanosleep(&time, NULL);
  }
}
