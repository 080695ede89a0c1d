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

void request_begin(struct request *request, struct server *server, struct http_exchange *exchange,
                   void (*finished)(struct request *request)) {
  request->server = server;
  request->exchange = exchange;
  request->finished = finished;
  http_exchange_set_context(exchange, request);
  server->active_requests++;
}

static void stop_when_drained(struct server *server) {
  if (server->draining && server->http == NULL && server->active_requests == 0)
    net_loop_stop(server->loop);
}

void request_end(struct request *request) {
  request->server->active_requests--;
  stop_when_drained(request->server);
}

static void on_finished(void *context, struct http_exchange *exchange) {
  (void)context;
  struct request *request = http_exchange_context(exchange);
  if (request == NULL) return;
  request->exchange = NULL;
  request->finished(request);
}

/* ---- routing -------------------------------------------------------------------------- */

static const struct endpoint {
  const char *path; /* ending in '/': a name follows */
  const char *methods;
  void (*start)(struct server *server, struct http_exchange *exchange, const char *name);
} endpoints[] = {
    {"/ingest/", "POST", ingest_start},         {"/query", "GET, HEAD, POST", query_start},
    {"/streams", "GET, HEAD", catalog_streams}, {"/tables", "GET, HEAD", catalog_tables},
    {"/tables/", "GET, HEAD", catalog_table},   {"/healthz", "GET, HEAD", service_health},
    {"/version", "GET, HEAD", service_version},
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

static void start_endpoint(struct server *server, struct http_exchange *exchange,
                           const struct endpoint *endpoint, const char *encoded_name) {
  struct error error;
  char *name = strdup(encoded_name);
  if (name == NULL) {
    error_set(&error, STATUS_NOMEM, "no memory for a request");
    respond_problem(exchange, STATUS_NOMEM, &error);
  } else if (!http_percent_decode(name, false)) {
    error_set(
        &error, STATUS_INVALID,
        "the path has a bad percent escape or an encoded NUL; write %%XX with two hex digits");
    respond_problem(exchange, STATUS_INVALID, &error);
  } else {
    endpoint->start(server, exchange, name);
  }
  free(name);
}

static void on_request(void *context, struct http_exchange *exchange) {
  struct server *server = context;
  const struct http_request *request = http_exchange_request(exchange);
  struct error error;
  enum status status = access_check(request, http_server_port(server->http), &error);
  if (status != STATUS_OK) {
    respond_problem(exchange, status, &error);
    return;
  }
  const char *name = NULL;
  const struct endpoint *endpoint = find_endpoint(request->path, &name);
  if (endpoint == NULL) {
    error_set(&error, STATUS_NOT_FOUND,
              "there is nothing at this path; /ingest/{stream}, /query, /streams, /tables, "
              "/tables/{table}, /healthz and /version are there");
    respond_problem(exchange, STATUS_NOT_FOUND, &error);
  } else if (!method_allowed(endpoint->methods, request->method)) {
    struct http_header allow = {"allow", endpoint->methods};
    respond_problem_code(exchange, 405, STATUS_INVALID, &allow,
                         "%.40s is not a method of %s; %s is", request->method, endpoint->path,
                         endpoint->methods);
  } else {
    start_endpoint(server, exchange, endpoint, name);
  }
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
  if (server->draining) {
    on_drain_timeout(server);
    return;
  }
  log_info("server", "%s: no new requests; %lld in flight finish first",
           signal_number == SIGINT ? "interrupted" : "terminated",
           (long long)server->active_requests);
  server->draining = true;
  net_timer_start(server->drain_timer, SERVER_DRAIN_TIMEOUT_MS);
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
  pthread_sigmask(SIG_BLOCK, &signals, &before);
  net_loop_free(loop);
  signal(SIGTERM, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static int worker_count(const struct server_config *config) {
  long cores = config->threads > 0 ? config->threads : sysconf(_SC_NPROCESSORS_ONLN);
  int wanted = cores < 1 ? 1 : cores > 64 ? 64 : (int)cores;
  return 2 * wanted < WORKERS_MIN ? WORKERS_MIN : 2 * wanted;
}

static enum status server_open(struct server *server, const struct http_service *service,
                               struct error *error) {
  const struct server_config *config = server->config;
  enum status status = storage_new(config, &server->storage, error);
  if (status == STATUS_OK) status = workers_new(worker_count(config), &server->workers, error);
  if (status == STATUS_OK) status = net_loop_new(&server->loop, error);
  if (status == STATUS_OK)
    status = net_timer_new(server->loop, on_drain_timeout, server, &server->drain_timer, error);
  if (status == STATUS_OK) status = net_loop_on_signal(server->loop, on_signal, server, error);
  if (status == STATUS_OK)
    status = http_server_new(server->loop, &config->http, service, &server->http, error);
  return status;
}

enum status server_run(const struct server_config *config, const struct server_hooks *hooks,
                       struct error *error) {
  struct server server = {.config = config};
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

  enum status status = server_open(&server, &service, error);
  if (status == STATUS_OK) {
    if (hooks != NULL && hooks->ready != NULL)
      hooks->ready(hooks->context, config->host, http_server_port(server.http));
    net_loop_run(server.loop);
  }
  http_server_free(server.http);
  workers_free(server.workers);
  net_timer_free(server.drain_timer);
  free_loop(server.loop);
  storage_free(server.storage);
  return status;
}
