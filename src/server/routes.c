/* Which request goes where: who asks is found out first (admission.c), then whether there is
 * something at the path, whether the method is one of its, whether the caller may. */
#include <stdlib.h>
#include <string.h>

#include "net/grpc.h"
#include "server/flight.h"
#include "server/grpc_small.h"
#include "server/private.h"

#define FLIGHT_SERVICE "/arrow.flight.protocol.FlightService/"

static const struct endpoint endpoints[] = {
    {"/ingest/", "POST", AUTH_WRITE, false, false, ingest_start, NULL},
    {"/stream/", "POST", AUTH_WRITE, false, false, stream_start, NULL},
    {"/query", "GET, HEAD, POST", AUTH_READ, false, false, query_start, NULL},
    {"/streams", "GET, HEAD", AUTH_READ, false, false, catalog_streams, NULL},
    {"/tables", "GET, HEAD", AUTH_READ, false, false, catalog_tables, NULL},
    {"/tables/", "GET, HEAD", AUTH_READ, false, false, catalog_table, NULL},
    {"/tables/", "GET, HEAD", AUTH_READ, false, false, rows_start, "/rows"},
    {"/tables/", "GET, HEAD", AUTH_READ, false, false, versions_start, "/versions"},
    {"/healthz", "GET, HEAD", 0, true, false, service_health, NULL},
    {"/readyz", "GET, HEAD", 0, true, false, service_ready, NULL},
    {"/metrics", "GET, HEAD", AUTH_READ, false, false, service_metrics, NULL},
    {"/version", "GET, HEAD", 0, false, false, service_version, NULL},
    {FLIGHT_SERVICE "Handshake", "POST", 0, false, true, flight_handshake_start, NULL},
    {FLIGHT_SERVICE "ListFlights", "POST", AUTH_READ, false, false, flight_ask_start, NULL},
    /* What they need depends on what they are asked for. */
    {FLIGHT_SERVICE "GetFlightInfo", "POST", 0, false, false, flight_ask_start, NULL},
    {FLIGHT_SERVICE "PollFlightInfo", "POST", 0, false, false, flight_ask_start, NULL},
    {FLIGHT_SERVICE "GetSchema", "POST", 0, false, false, flight_ask_start, NULL},
    {FLIGHT_SERVICE "DoGet", "POST", 0, false, false, flight_get_start, NULL},
    {FLIGHT_SERVICE "DoPut", "POST", 0, false, false, flight_put_start, NULL},
    {FLIGHT_SERVICE "DoExchange", "POST", 0, false, false, flight_exchange_start, NULL},
    {FLIGHT_SERVICE "DoAction", "POST", 0, false, false, flight_ask_start, NULL},
    {FLIGHT_SERVICE "ListActions", "POST", 0, false, false, flight_ask_start, NULL},
    {"/grpc.health.v1.Health/Check", "POST", 0, true, false, grpc_health_check, NULL},
    {"/grpc.health.v1.Health/Watch", "POST", 0, true, false, grpc_health_watch, NULL},
    {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "POST", 0, false, false,
     grpc_reflection_start, NULL},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "POST", 0, false, false,
     grpc_reflection_start, NULL},
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

/* Is it a name, and then the suffix (NULL: nothing)? */
static bool ends(const char *rest, const char *suffix) {
  size_t name = strcspn(rest, "/");
  return name > 0 && strcmp(rest + name, suffix == NULL ? "" : suffix) == 0;
}

/* The endpoint of a path; `name` is set to what follows its prefix. */
static const struct endpoint *find_endpoint(const char *path, const char **name) {
  for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
    const char *prefix = endpoints[i].path;
    size_t length = strlen(prefix);
    bool named = prefix[length - 1] == '/';
    /* A slash that belongs to a name is sent as %2F. */
    const char *rest = path + length;
    bool matches = named ? strncmp(path, prefix, length) == 0 && ends(rest, endpoints[i].suffix)
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
  call->name[strcspn(call->name, "/")] = '\0'; /* where the endpoint's suffix begins */
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
  bool found = find_endpoint(request->path, &name) != NULL;
  if (!found && grpc_is_call(exchange)) {
    error_set(&error, STATUS_UNSUPPORTED,
              "there is no method %.200s here; server reflection lists those that are there",
              request->path);
    respond_problem(exchange, STATUS_UNSUPPORTED, &error);
  } else if (!found) {
    error_set(&error, STATUS_NOT_FOUND,
              "there is nothing at this path; /ingest/{stream}, /stream/{stream}, /query, "
              "/streams, /tables, /tables/{table}, /tables/{table}/rows, /tables/{table}/versions, "
              "/healthz, /readyz, /metrics and /version are "
              "there");
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

void route_start(struct call *call) {
  const char *name = NULL;
  call->endpoint = find_endpoint(http_exchange_request(call->exchange)->path, &name);
  admission_start(call, on_admitted);
}
