/* The server's life.
 *
 *   server_run: storage checked -> workers -> listening -> loop
 *   SIGTERM or SIGINT: drain (no new connections, requests in flight finish)
 *     all finished  -> loop ends
 *     time is over, or a second signal -> connections are broken off, what works for
 *     them is cancelled, and when the last request is gone the loop ends
 *
 * Whatever way it ends, no request struct is alive when the storage is closed. */
#include "server/server.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "server/flight.h"
#include "server/grpc_small.h"
#include "server/private.h"
#include "server/starving.h"

enum {
  WORKERS_MIN = 8,        /* some wait for storage while others compute */
  WORKERS_MIN_SCARCE = 4, /* each statement takes memory that nobody counts */
  SCARCE_BYTES = 512 << 20,
  BUDGET_BYTES_MIN = 64 << 20,
  ANSWERS_BYTES_MIN = 16 << 20,
  FREED_BYTES_MAX = 128 << 20,
  OTHER_FILES = 128, /* open besides connections: database, log, answers on their way */
};

/* ---- requests ------------------------------------------------------------------------ */

static void request_over(void *context) {
  struct request *request = context;
  request->exchange = NULL;
  request->call = NULL;
  request->finished(request);
}

void request_begin(struct request *request, struct call *call,
                   void (*finished)(struct request *request)) {
  request->server = call->server;
  request->config = server_config_share(call->config);
  request->who = call->who;
  request->call = call;
  request->exchange = call->exchange;
  request->finished = finished;
  call->finished = request_over;
  call->context = request;
  request->server->active_requests++;
}

void request_untie(struct request *request) {
  request->call->finished = NULL;
  request->call = NULL;
  request->exchange = NULL;
}

static void stop_when_drained(struct server *server) {
  if (server->draining && server->http == NULL && server->active_requests == 0)
    net_loop_stop(server->loop);
}

void request_end(struct request *request) {
  server_config_free(request->config);
  request->server->active_requests--;
  stop_when_drained(request->server);
}

static void on_finished(void *context, struct http_exchange *exchange) {
  (void)context;
  struct call *call = http_exchange_context(exchange);
  if (call != NULL) call_over(call);
}

static void on_request(void *context, struct http_exchange *exchange) {
  struct call *call = call_new(context, exchange);
  if (call != NULL) route_start(call);
}

/* ---- life ------------------------------------------------------------------------------- */

static void close_network(struct server *server) {
  struct http_server *http = server->http;
  server->http = NULL;
  net_timer_stop(server->drain_timer);
  http_server_free(http);
  stop_when_drained(server);
}

static void on_drained(void *context) {
  struct server *server = context;
  if (server->http != NULL) close_network(server);
}

static void on_drain_timeout(void *context) {
  struct server *server = context;
  if (server->http == NULL) return;
  log_warning("server", "%lld requests were not done in time and are broken off",
              (long long)server->active_requests);
  close_network(server);
}

static void on_signal(void *context, int signal_number) {
  struct server *server = context;
  if (signal_number == SIGHUP) {
    if (server->reload != NULL) reload_start(server->reload, true);
    return;
  }
  if (server->draining) {
    on_drain_timeout(server);
    return;
  }
  log_info("server", "%s: no new requests; %lld in flight finish first",
           signal_number == SIGINT ? "interrupted" : "terminated",
           (long long)server->active_requests);
  server->draining = true;
  notify_stopping(&server->notify);
  net_timer_start(server->drain_timer, server->config->drain_timeout_ms);
  small_calls_drain(server);
  http_server_drain(server->http, on_drained, server);
}

/* The database is to be opened anew, and requests that wait for their clients hold sessions of the
 * old one. */
static void on_held(void *context) {
  ingest_give_up_all(context);
  query_give_up_all(context);
  flight_give_up_all(context);
}

static void storage_held(void *context) {
  struct server *server = context;
  net_loop_post(server->loop, &server->held_post);
}

/* Once the loop is over, closing the storage is all that is left. A second SIGTERM would
 * end the process in the middle of it, with the exit code of a failure: nobody listens
 * to signals any more, and the loop gives them back their default as it goes. */
static void free_loop(struct net_loop *loop) {
  sigset_t signals;
  sigset_t before;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, &before);
  net_loop_free(loop);
  signal(SIGTERM, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static int worker_count(const struct server_config *config) {
  long cores = config->threads > 0 ? config->threads : sysconf(_SC_NPROCESSORS_ONLN);
  int wanted = cores < 1 ? 1 : cores > 64 ? 64 : (int)cores;
  if (config->memory_limit_bytes < SCARCE_BYTES)
    return wanted < WORKERS_MIN_SCARCE ? WORKERS_MIN_SCARCE : wanted;
  return 2 * wanted < WORKERS_MIN ? WORKERS_MIN : 2 * wanted;
}

static void on_watchdog(void *context) {
  struct server *server = context;
  notify_watchdog(&server->notify);
  net_timer_start(server->watchdog, server->notify.watchdog_ms);
}

/* A shell's limit of 1,024 open files is meant for programs that use select(2); the hard limit is
 * what the administrator allows. */
static void raise_file_limit(const struct server_config *config) {
  struct rlimit files;
  int64_t wanted = config->http.connections_max + OTHER_FILES;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY) return;
  if ((int64_t)files.rlim_cur >= wanted) return;
  files.rlim_cur = files.rlim_max;
  if (files.rlim_max == RLIM_INFINITY || (int64_t)files.rlim_max > wanted)
    files.rlim_cur = (rlim_t)wanted;
  if (setrlimit(RLIMIT_NOFILE, &files) == 0 &&
      (int64_t)files.rlim_cur < config->http.connections_max)
    log_info("server",
             "at most %lld files can be open (ulimit -Hn), so fewer connections than "
             "http.connections_max (%lld): more have to wait",
             (long long)files.rlim_cur, (long long)config->http.connections_max);
}

/* What a service manager has prepared. */
static enum status open_notify(struct server *server, struct error *error) {
  if (notify_open(&server->notify, error) != STATUS_OK)
    log_warning("server", "the service manager is not told how things are: %s", error->text);
  return notify_listen_fd(&server->listen_fd, error);
}

static enum status open_http(struct server *server, const struct http_service *service,
                             struct error *error) {
  const struct server_config *config = server->config;
  struct http_server_options options = config->http;
  struct tls_context *tls = NULL;
  enum status status = STATUS_OK;
  if (config->tls.cert_path != NULL) status = tls_context_new(&config->tls, &tls, error);
  options.listen_fd = server->listen_fd;
  options.budget = &server->budget;
  options.tls = tls;
  if (status == STATUS_OK)
    status = http_server_new(server->loop, &options, service, &server->http, error);
  tls_context_free(tls);
  return status;
}

static enum status server_open(struct server *server, const struct server_hooks *hooks,
                               const struct http_service *service, struct error *error) {
  const struct server_config *config = server->config;
  enum status status = metrics_new(&server->metrics, error);
  if (status == STATUS_OK) call_configure(server, config);
  if (status == STATUS_OK) status = admission_new(&server->admission, error);
  if (status == STATUS_OK) status = storage_new(config, &server->storage, error);
  server->held_post = (struct net_post){.run = on_held, .context = server};
  if (status == STATUS_OK) storage_on_held(server->storage, storage_held, server);
  server->worker_count = worker_count(config);
  if (status == STATUS_OK) status = workers_new(server->worker_count, &server->workers, error);
  if (status == STATUS_OK) status = groups_new(server->workers, &server->groups, error);
  if (status == STATUS_OK) status = net_loop_new(&server->loop, error);
  if (status == STATUS_OK)
    status = net_timer_new(server->loop, on_drain_timeout, server, &server->drain_timer, error);
  if (status == STATUS_OK) status = starving_new(server, &server->starving, error);
  if (status == STATUS_OK) status = readiness_new(server, error);
  if (status == STATUS_OK) status = flight_new(server, &server->flight, error);
  if (status == STATUS_OK)
    status = net_timer_new(server->loop, on_watchdog, server, &server->watchdog, error);
  if (status == STATUS_OK) status = net_loop_on_signal(server->loop, on_signal, server, error);
  if (status == STATUS_OK && hooks != NULL && hooks->load != NULL)
    status = reload_new(server, hooks, &server->reload, error);
  if (status == STATUS_OK) status = open_http(server, service, error);
  return status;
}

/* The order in which everything is put down: network, workers, loop, storage. */
static void server_close(struct server *server) {
  http_server_free(server->http);
  readiness_stop(server);
  flight_close(server->flight);
  workers_free(server->workers);
  groups_free(server->groups);
  readiness_free(server);
  flight_free(server->flight);
  reload_close(server->reload);
  starving_free(server->starving);
  net_timer_free(server->drain_timer);
  net_timer_free(server->watchdog);
  free_loop(server->loop);
  reload_free(server->reload);
  storage_free(server->storage);
  admission_free(server->admission);
  metrics_free(server->metrics);
  notify_close(&server->notify);
  server_config_free(server->config);
  log_stop();
}

/* A quarter for what comes in, an eighth for what goes out; half is the engine's (storage.c), a
 * sixteenth a Parquet answer's (query.c). What is left is for what none of them counts, and for
 * freed memory that is kept. docs/internals/memory.md has the whole table. */
static void share_memory(struct server *server, int64_t limit_bytes) {
  int64_t kept_bytes = limit_bytes / 16;
  server->budget.limit_bytes = limit_bytes / 4;
  if (server->budget.limit_bytes < BUDGET_BYTES_MIN) server->budget.limit_bytes = BUDGET_BYTES_MIN;
  server->answers.limit_bytes = limit_bytes / 8;
  if (server->answers.limit_bytes < ANSWERS_BYTES_MIN)
    server->answers.limit_bytes = ANSWERS_BYTES_MIN;
  buffer_keep_freed(kept_bytes < FREED_BYTES_MAX ? kept_bytes : FREED_BYTES_MAX);
}

static void say_memory(const struct server_config *config) {
  char limit[MEMORY_TEXT_BYTES];
  memory_print(config->memory_limit_bytes, limit);
  const char *why = config->memory_why[0] != '\0' ? config->memory_why : NULL;
  log_info("server", "memory limit %s%s%s", limit, why == NULL ? "" : ", by ",
           why == NULL ? "" : why);
  if (config->memory_warning[0] != '\0') log_warning("server", "%s", config->memory_warning);
}

enum status server_run(struct server_config *config, const struct server_hooks *hooks,
                       struct error *error) {
  struct server server = {
      .config = server_config_share(config), .notify = NOTIFY_NONE, .listen_fd = -1};
  share_memory(&server, config->memory_limit_bytes);
  const struct http_service service = {
      .context = &server, .request = on_request, .finished = on_finished};

  enum status status = open_notify(&server, error); /* before there are threads */
  if (status == STATUS_OK) status = log_start(error);
  if (status == STATUS_OK) raise_file_limit(config);
  if (status == STATUS_OK) status = server_open(&server, hooks, &service, error);
  if (status == STATUS_OK) {
    say_memory(config);
    int port = http_server_port(server.http);
    if (hooks != NULL && hooks->ready != NULL) hooks->ready(hooks->context, config->host, port);
    notify_ready(&server.notify);
    notify_status(&server.notify, "listening on %s port %d", config->host, port);
    if (server.notify.watchdog_ms > 0) on_watchdog(&server);
    net_loop_run(server.loop);
  }
  server_close(&server);
  return status;
}
