/* The request of a call that has one message is collected whole, since it is small, and then worked on.
 *
 * The struct has two ends, the exchange on the loop and the ask on a worker; both are told on the loop's
 * thread, and the second one frees. */
#include "server/flight_single.h"

#include <stdlib.h>

static void single_free(struct flight_single *single) {
  if (single->release != NULL) single->release(single);
  flight_ask_free(single->ask);
  buffer_release(&single->message);
  request_end(&single->request);
  free(single);
}

static enum status single_window(void *context, uint8_t **data, int64_t *bytes) {
  struct flight_single *single = context;
  struct buffer *message = &single->message;
  struct error error;
  if (message->size_bytes == message->capacity_bytes) {
    int64_t wanted = message->capacity_bytes == 0 ? 4096 : 2 * message->capacity_bytes;
    enum status status = buffer_reserve(message, &single->request.server->budget, wanted, &error);
    if (status != STATUS_OK) {
      flight_finish(&single->request, single->grpc, status, &error);
      return STATUS_CANCELLED;
    }
  }
  *data = message->data + message->size_bytes;
  int64_t room = message->capacity_bytes - message->size_bytes;
  *bytes = room < single->left_bytes ? room : single->left_bytes;
  return STATUS_OK;
}

static enum status single_filled(void *context, int64_t bytes) {
  struct flight_single *single = context;
  single->message.size_bytes += bytes;
  single->left_bytes -= bytes;
  return STATUS_OK;
}

static enum status single_begin(void *context, int64_t bytes) {
  struct flight_single *single = context;
  single->left_bytes = bytes;
  return STATUS_OK;
}

static enum status single_message(void *context) {
  (void)context;
  return STATUS_OK;
}

static void single_end(void *context) {
  struct flight_single *single = context;
  if (!grpc_finished(single->grpc)) single->start(single);
}

static void single_gone(void *context, enum status status, const struct error *why) {
  struct flight_single *single = context;
  (void)why;
  if (single->request.call != NULL) single->request.call->status = status;
  if (single->ask != NULL) flight_ask_stop(single->ask, status);
}

static void single_finished(struct request *request) {
  struct flight_single *single = (struct flight_single *)request;
  grpc_call_free(single->grpc);
  single->grpc = NULL;
  if (!single->runs) {
    single_free(single);
    return;
  }
  flight_ask_stop(single->ask, STATUS_CANCELLED);
  if (single->over != NULL) single->over(single); /* it may be freed by this */
}

void flight_single_over(struct flight_single *single, enum status status,
                        const struct error *error) {
  single->runs = false;
  if (single->request.exchange == NULL)
    single_free(single);
  else
    flight_finish(&single->request, single->grpc, status, error);
}

struct flight_single *flight_single_new(struct call *call, size_t bytes,
                                        void (*start)(struct flight_single *single),
                                        void (*release)(struct flight_single *single)) {
  struct error error;
  struct flight_single *single = calloc(1, bytes);
  if (single == NULL) {
    error_set(&error, STATUS_NOMEM, "no memory for a request");
    respond_problem(call->exchange, STATUS_NOMEM, &error);
    return NULL;
  }
  request_begin(&single->request, call, single_finished);
  single->start = start;
  single->release = release;
  int64_t bytes_max = call->config->flight.message_bytes_max;
  const struct grpc_call_options options = {
      .message_bytes_max =
          bytes_max < FLIGHT_REQUEST_BYTES_MAX ? bytes_max : FLIGHT_REQUEST_BYTES_MAX,
      .budget = &call->server->budget,
  };
  const struct grpc_handler handler = {
      .context = single,
      .begin = single_begin,
      .window = single_window,
      .filled = single_filled,
      .message = single_message,
      .end = single_end,
      .gone = single_gone,
  };
  enum status status =
      grpc_call_new(call->exchange, &options, &handler, call->server->loop, &single->grpc, &error);
  if (status == STATUS_OK) {
    status = flight_ask_new(&single->request, single->grpc, &single->ask, &error);
    if (status == STATUS_OK) return single;
    flight_finish(&single->request, single->grpc, status, &error); /* freed with its exchange */
    return NULL;
  }
  request_untie(&single->request);
  single_free(single);
  respond_problem(call->exchange, status, &error);
  return NULL;
}
