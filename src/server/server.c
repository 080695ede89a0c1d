/* The server's life, and which request goes where.
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
#include <unistd.h>

#include "base/log.h"
#include "server/private.h"

enum {
  WORKERS_MIN = 8, /* some wait for storage while others compute */
  NETWORK_BUDGET_BYTES_MIN = 64 << 20,
  FREED_BYTES_MAX = 128 << 20,
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

/* ---- routing -------------------------------------------------------------------------- */

static const struct endpoint endpoints[] = {
    {"/ingest/", "POST", AUTH_WRITE, false, ingest_start},
    {"/stream/", "POST", AUTH_WRITE, false, stream_start},
    {"/query", "GET, HEAD, POST", AUTH_READ, false, query_start},
    {"/streams", "GET, HEAD", AUTH_READ, false, catalog_streams},
    {"/tables", "GET, HEAD", AUTH_READ, false, catalog_tables},
    {"/tables/", "GET, HEAD", AUTH_READ, false, catalog_table},
    {"/healthz", "GET, HEAD", 0, true, service_health},
    {"/readyz", "GET, HEAD", 0, true, service_ready},
    {"/metrics", "GET, HEAD", AUTH_READ, false, service_metrics},
    {"/version", "GET, HEAD", 0, false, service_version},
};

static bool method_allowed(const char *methods, const char *method) {
  size_t length = strlen(method);
  for (const char *at = methods; *at != '\0';) {
    size_t word = strcspn(at, ",");
    if (word == length && strncmp(at, method, length) == 0) return true;
    at += word;
    at += strspn(at, ", ");
  }
  return false;
}

/* The endpoint of a path; `name` is set to what follows its prefix. */
static const struct endpoint *find_endpoint(const char *path, const char **name) {
  for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
    const char *prefix = endpoints[i].path;
    size_t length = strlen(prefix);
    bool named = prefix[length - 1] == '/';
    /* A slash that belongs to a name is sent as %2F. */
    const char *rest = path + length;
    bool matches =
        named ? strncmp(path, prefix, length) == 0 && *rest != '\0' && strchr(rest, '/') == NULL
              : strcmp(path, prefix) == 0;
    if (!matches) continue;
    *name = path + length;
    return &endpoints[i];
  }
  return NULL;
}

/* What follows the endpoint's prefix, decoded. */
static enum status read_name(struct call *call, const char *encoded, struct error *error) {
  call->name = strdup(encoded);
  if (call->name == NULL) return error_set(error, STATUS_NOMEM, "no memory for a request");
  if (http_percent_decode(call->name, false)) return STATUS_OK;
  return error_set(
      error, STATUS_INVALID,
      "the path has a bad percent escape or an encoded NUL; write %%XX with two hex digits");
}

/* Nobody learns what there is before it is known who asks. */
static void on_admitted(struct call *call) {
  struct http_exchange *exchange = call->exchange;
  const struct http_request *request = http_exchange_request(exchange);
  const char *name = NULL;
  struct error error;
  if (find_endpoint(request->path, &name) == NULL) {
    error_set(&error, STATUS_NOT_FOUND,
              "there is nothing at this path; /ingest/{stream}, /stream/{stream}, /query, /streams, /tables, "
              "/tables/{table}, /healthz, /readyz, /metrics and /version are there");
    respond_problem(exchange, STATUS_NOT_FOUND, &error);
  } else if (!method_allowed(call->endpoint->methods, request->method)) {
    struct http_header allow = {"allow", call->endpoint->methods};
    respond_problem_code(exchange, 405, STATUS_INVALID, &allow,
                         "%.40s is not a method of %s; %s is", request->method,
                         call->endpoint->path, call->endpoint->methods);
  } else if (read_name(call, name, &error) != STATUS_OK) {
    respond_problem(exchange, error.status, &error);
  } else if (auth_allow(call->who, call->endpoint->scope, &error) != STATUS_OK) {
    metrics_refused(call->server->metrics, METRICS_SCOPE);
    respond_problem(exchange, error.status, &error);
  } else {
    call->endpoint->start(call);
  }
}

static void on_request(void *context, struct http_exchange *exchange) {
  struct call *call = call_new(context, exchange);
  if (call == NULL) return;
  const char *name = NULL;
  call->endpoint = find_endpoint(http_exchange_request(exchange)->path, &name);
  admission_start(call, on_admitted);
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
  http_server_drain(server->http, on_drained, server);
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
  return 2 * wanted < WORKERS_MIN ? WORKERS_MIN : 2 * wanted;
}

static void on_watchdog(void *context) {
  struct server *server = context;
  notify_watchdog(&server->notify);
  net_timer_start(server->watchdog, server->notify.watchdog_ms);
}

/* What a service manager has prepared. */
static enum status open_notify(struct server *server, struct error *error) {
  enum status status = notify_open(&server->notify, error);
  if (status == STATUS_OK) status = notify_listen_fd(&server->listen_fd, error);
  return status;
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
  server->worker_count = worker_count(config);
  if (status == STATUS_OK) status = workers_new(server->worker_count, &server->workers, error);
  if (status == STATUS_OK) status = net_loop_new(&server->loop, error);
  if (status == STATUS_OK)
    status = net_timer_new(server->loop, on_drain_timeout, server, &server->drain_timer, error);
  if (status == STATUS_OK) status = readiness_new(server, error);
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
  workers_free(server->workers);
  readiness_free(server);
  reload_close(server->reload);
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

enum status server_run(struct server_config *config, const struct server_hooks *hooks,
                       struct error *error) {
  struct server server = {
      .config = server_config_share(config), .notify = NOTIFY_NONE, .listen_fd = -1};
  /* A quarter is for what is on its way, the rest is the engine's (storage.c) and slack
   * for what neither counts. */
  server.budget.limit_bytes = config->memory_limit_bytes / 4;
  if (server.budget.limit_bytes < NETWORK_BUDGET_BYTES_MIN)
    server.budget.limit_bytes = NETWORK_BUDGET_BYTES_MIN;
  /* An eighth: the share that neither the budget nor the engine has. */
  int64_t kept_bytes = config->memory_limit_bytes / 8;
  buffer_keep_freed(kept_bytes < FREED_BYTES_MAX ? kept_bytes : FREED_BYTES_MAX);
  const struct http_service service = {
      .context = &server, .request = on_request, .finished = on_finished};

  enum status status = open_notify(&server, error); /* before there are threads */
  if (status == STATUS_OK) status = log_start(error);
  if (status == STATUS_OK) status = server_open(&server, hooks, &service, error);
  if (status == STATUS_OK) {
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
