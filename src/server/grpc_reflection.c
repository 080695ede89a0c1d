/* gRPC server reflection: each message is answered by flight/reflection.h. A client that does not read its
 * answers is not read either. */
#include "flight/reflection.h"
#include "server/grpc_small.h"

static void go_on(void *context) {
  struct small_call *small = context;
  grpc_resume(small->grpc);
}

static enum status reflection_message(struct small_call *small, struct error *error) {
  struct buffer answer = BUFFER_EMPTY;
  enum status status = flight_reflect(small->message, small->size_bytes,
                                      &small->request.server->answers, &answer, error);
  if (status != STATUS_OK) return status;
  grpc_send(small->grpc, answer.data, (size_t)answer.size_bytes);
  buffer_release(&answer);
  if (!grpc_finished(small->grpc) && !grpc_writable(small->grpc)) grpc_pause(small->grpc);
  return STATUS_OK;
}

static void reflection_end(struct small_call *small) { small_call_finish(small, STATUS_OK, NULL); }

void grpc_reflection_start(struct call *call) {
  static const struct small_kind kind = {.struct_bytes = sizeof(struct small_call),
                                         .client_streams = true,
                                         .message = reflection_message,
                                         .end = reflection_end};
  struct small_call *small = small_call_start(call, &kind);
  if (small != NULL) grpc_on_writable(small->grpc, go_on, small);
}
