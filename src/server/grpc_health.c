/* gRPC health checking (grpc/grpc, doc/health-checking.md): what /readyz says, for load balancers that
 * speak gRPC. All services are as the server is; the empty name is the server's own.
 *
 * Check    asked, told (readiness_ask), answered.
 * Watch    WAITS --told--> sends what has changed, SLEEPS --after WATCH_MS--> WAITS
 *          The server is about to end: NOT_SERVING is sent, and the call ends.
 *          An unknown service: SERVICE_UNKNOWN is sent, and nothing more until the client goes. */
#include <stdlib.h>
#include <string.h>

#include "flight/reflection.h"
#include "grpc/health.pb-c.h"
#include "server/grpc_small.h"

enum { WATCH_MS = 1000 };

typedef Grpc__Health__V1__HealthCheckRequest Request;
typedef Grpc__Health__V1__HealthCheckResponse Response;
typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus ServingStatus;

#define SERVING(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

struct health {
  struct small_call small;
  struct readiness_waiter waits;
  struct net_timer *timer; /* of Watch */
  ServingStatus sent;      /* UNKNOWN: nothing was */
};

static void send_status(struct health *health, ServingStatus serving) {
  Response response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
  uint8_t bytes[16];
  response.status = serving;
  grpc_send(health->small.grpc, bytes,
            grpc__health__v1__health_check_response__pack(&response, bytes));
  health->sent = serving;
}

static enum status read_request(struct health *health, bool *known, struct error *error) {
  Request *request = grpc__health__v1__health_check_request__unpack(
      NULL, (size_t)health->small.size_bytes, health->small.message);
  if (request == NULL)
    return error_set(error, STATUS_INVALID, "the message is not a HealthCheckRequest");
  *known = request->service[0] == '\0' || flight_service_known(request->service);
  if (!*known) error_set(error, STATUS_NOT_FOUND, "there is no service %.200s", request->service);
  grpc__health__v1__health_check_request__free_unpacked(request, NULL);
  return STATUS_OK;
}

static void health_stop(struct small_call *small) {
  struct health *health = (struct health *)small;
  readiness_forget(&health->waits);
  net_timer_free(health->timer);
  health->timer = NULL;
}

/* ---- Check ------------------------------------------------------------------------------------- */

static void check_told(void *context, const char *reason) {
  struct health *health = context;
  send_status(health, reason == NULL ? SERVING(SERVING) : SERVING(NOT_SERVING));
  small_call_finish(&health->small, STATUS_OK, NULL);
}

static enum status check_message(struct small_call *small, struct error *error) {
  struct health *health = (struct health *)small;
  bool known = false;
  enum status status = read_request(health, &known, error);
  if (status == STATUS_OK && !known) status = STATUS_NOT_FOUND;
  if (status != STATUS_OK) return status;
  health->waits = (struct readiness_waiter){.told = check_told, .context = health};
  readiness_ask(small->request.server, &health->waits);
  return STATUS_OK;
}

/* What it waits for is told soon, whatever happens. */
static void check_drain(struct small_call *small) { (void)small; }

void grpc_health_check(struct call *call) {
  static const struct small_kind kind = {.struct_bytes = sizeof(struct health),
                                         .message = check_message,
                                         .drain = check_drain,
                                         .stop = health_stop};
  small_call_start(call, &kind);
}

/* ---- Watch ------------------------------------------------------------------------------------- */

static void watch_told(void *context, const char *reason) {
  struct health *health = context;
  ServingStatus serving = reason == NULL ? SERVING(SERVING) : SERVING(NOT_SERVING);
  if (serving != health->sent) send_status(health, serving);
  net_timer_start(health->timer, WATCH_MS);
}

static void watch_again(void *context) {
  struct health *health = context;
  readiness_ask(health->small.request.server, &health->waits);
}

static enum status watch_message(struct small_call *small, struct error *error) {
  struct health *health = (struct health *)small;
  bool known = false;
  enum status status = read_request(health, &known, error);
  if (status != STATUS_OK) return status;
  if (!known) {
    send_status(health, SERVING(SERVICE_UNKNOWN));
    return STATUS_OK;
  }
  health->waits = (struct readiness_waiter){.told = watch_told, .context = health};
  status = net_timer_new(small->request.server->loop, watch_again, health, &health->timer, error);
  if (status == STATUS_OK) readiness_ask(small->request.server, &health->waits);
  return status;
}

static void watch_drain(struct small_call *small) {
  struct health *health = (struct health *)small;
  struct error error;
  if (health->timer != NULL && health->sent != SERVING(NOT_SERVING))
    send_status(health, SERVING(NOT_SERVING));
  error_set(&error, STATUS_UNAVAILABLE, "the server is about to end");
  small_call_finish(small, STATUS_UNAVAILABLE, &error);
}

void grpc_health_watch(struct call *call) {
  static const struct small_kind kind = {.struct_bytes = sizeof(struct health),
                                         .message = watch_message,
                                         .drain = watch_drain,
                                         .stop = health_stop};
  small_call_start(call, &kind);
}
