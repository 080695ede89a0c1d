#include "server/grpc_small.h"

#include <stdlib.h>
#include <string.h>

#include "server/flight.h"

/* Only gRPC has a way to be answered. */
static bool is_call(struct call *call) {
  if (grpc_is_call(call->exchange)) return true;
  respond_problem_code(call->exchange, 415, STATUS_INVALID, NULL,
                       "this is a method of gRPC: it is called over HTTP/2, with the content type "
                       "application/grpc");
  return false;
}

static void stop(struct small_call *small) {
  if (small->kind->stop != NULL) small->kind->stop(small);
}

void small_call_finish(struct small_call *small, enum status status, const struct error *error) {
  stop(small);
  flight_finish(&small->request, small->grpc, status, error);
}

/* ---- messages ---------------------------------------------------------------------------------- */

static enum status on_begin(void *context, int64_t bytes) {
  struct small_call *small = context;
  small->size_bytes = bytes; /* bounded by message_bytes_max */
  small->filled_bytes = 0;
  return STATUS_OK;
}

static enum status on_window(void *context, uint8_t **data, int64_t *bytes) {
  struct small_call *small = context;
  *data = small->message + small->filled_bytes;
  *bytes = small->size_bytes - small->filled_bytes;
  return STATUS_OK;
}

static enum status on_filled(void *context, int64_t bytes) {
  struct small_call *small = context;
  small->filled_bytes += bytes;
  return STATUS_OK;
}

static enum status on_message(void *context) {
  struct small_call *small = context;
  struct error error = {.status = STATUS_OK};
  enum status status = small->kind->message(small, &error);
  if (status != STATUS_OK) small_call_finish(small, status, &error);
  return status;
}

static void on_end(void *context) {
  struct small_call *small = context;
  if (small->kind->end != NULL) small->kind->end(small);
}

static void on_gone(void *context, enum status status, const struct error *why) {
  (void)status, (void)why;
  stop(context);
}

/* ---- life -------------------------------------------------------------------------------------- */

static void small_finished(struct request *request) {
  struct small_call *small = (struct small_call *)request;
  stop(small);
  grpc_call_free(small->grpc);
  *small->previous = small->next;
  if (small->next != NULL) small->next->previous = small->previous;
  request->server->small_call_count--;
  request_end(request);
  free(small);
}

static enum status begin(struct call *call, const struct small_kind *kind,
                         struct small_call **begun, struct error *error) {
  struct server *server = call->server;
  const struct grpc_call_options options = {.message_bytes_max = SMALL_MESSAGE_BYTES_MAX,
                                            .client_streams = kind->client_streams,
                                            .budget = &server->budget};
  if (server->small_call_count >= SMALL_CALLS_MAX)
    return error_set(error, STATUS_BUDGET,
                     "%d health checks and reflections are open; try again later",
                     (int)SMALL_CALLS_MAX);
  struct small_call *small = calloc(1, (size_t)kind->struct_bytes);
  if (small == NULL) return error_set(error, STATUS_NOMEM, "no memory for a request");
  struct grpc_handler handler = {.context = small,
                                 .begin = on_begin,
                                 .window = on_window,
                                 .filled = on_filled,
                                 .message = on_message,
                                 .end = on_end,
                                 .gone = on_gone};
  enum status status =
      grpc_call_new(call->exchange, &options, &handler, server->loop, &small->grpc, error);
  if (status != STATUS_OK) {
    free(small);
    return status;
  }
  small->kind = kind;
  small->next = server->small_calls;
  small->previous = &server->small_calls;
  if (small->next != NULL) small->next->previous = &small->next;
  server->small_calls = small;
  server->small_call_count++;
  request_begin(&small->request, call, small_finished);
  *begun = small;
  return STATUS_OK;
}

struct small_call *small_call_start(struct call *call, const struct small_kind *kind) {
  struct small_call *small = NULL;
  struct error error = {.status = STATUS_OK};
  if (!is_call(call)) return NULL;
  enum status status = begin(call, kind, &small, &error);
  if (status != STATUS_OK) respond_problem(call->exchange, status, &error);
  return small;
}

void small_calls_drain(struct server *server) {
  struct error error;
  error_set(&error, STATUS_UNAVAILABLE, "the server is about to end");
  for (struct small_call *small = server->small_calls; small != NULL;) {
    struct small_call *next =
        small->next; /* an exchange is over later, not inside of grpc_finish */
    if (small->kind->drain != NULL)
      small->kind->drain(small);
    else
      small_call_finish(small, STATUS_UNAVAILABLE, &error);
    small = next;
  }
}
