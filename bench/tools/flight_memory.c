/* A server of the rooms net and flight alone, for what they cost without anything behind them:
 *
 *   flight_memory STREAM
 *
 * DoGet, whatever the ticket: the batches of an Arrow IPC stream that was read into memory when it
 * began. DoPut: cuts the messages as they come, and lets go of them unchecked. Everything happens on
 * the loop's thread. Says where it listens; ends with SIGTERM. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/ipc.h"
#include "arrow/schema.h"
#include "base/buffer.h"
#include "flight/data.h"
#include "net/grpc.h"
#include "net/net.h"
#include "file.h"

/* What the server does when it starts. */
static const int64_t kept_bytes = (int64_t)256 << 20;

struct memory {
  struct net_loop *loop;
  struct budget budget;
  struct ipc_limits limits;
  struct ArrowSchema schema;
  struct arrow_shared **batches;
  size_t batch_count;
};

struct call {
  struct memory *memory;
  struct grpc_call *grpc;
  bool puts;
  /* DoGet */
  struct flight_writer *writer;
  size_t next;
  uint8_t ticket[4096];
  /* DoPut */
  struct flight_data_reader *reader;
};

/* ---- what is sent ------------------------------------------------------------------------------- */

static enum status send_piece(void *context, struct buffer *piece, struct error *error) {
  struct call *call = context;
  (void)error;
  grpc_write(call->grpc, piece);
  return STATUS_OK;
}

static enum status send_batch(struct call *call, struct error *error) {
  const struct flight_out out = {.piece = send_piece, .context = call};
  struct arrow_shared *shared = call->memory->batches[call->next++];
  struct ArrowArray batch = {.release = NULL};
  enum status status =
      arrow_shared_slice(shared, 0, arrow_shared_array(shared)->length, &batch, error);
  if (status == STATUS_OK) status = flight_writer_batch(call->writer, &batch, NULL, &out, error);
  arrow_array_release(&batch);
  return status;
}

static void on_writable(void *context) {
  struct call *call = context;
  struct error error = {.status = STATUS_OK};
  enum status status = STATUS_OK;
  if (call->writer == NULL) return;
  while (status == STATUS_OK && call->next < call->memory->batch_count && grpc_writable(call->grpc))
    status = send_batch(call, &error);
  if (status != STATUS_OK || call->next == call->memory->batch_count)
    grpc_finish(call->grpc, status, &error);
}

static void begin_get(struct call *call) {
  const struct flight_out out = {.piece = send_piece, .context = call};
  struct memory *memory = call->memory;
  struct error error = {.status = STATUS_OK};
  enum status status =
      flight_writer_new(&memory->schema, NULL, &memory->budget, &call->writer, &error);
  if (status == STATUS_OK) flight_writer_cut(call->writer, FLIGHT_MESSAGE_BYTES_MODEST);
  if (status == STATUS_OK) status = flight_writer_schema(call->writer, NULL, &out, &error);
  grpc_on_writable(call->grpc, on_writable, call);
  if (status == STATUS_OK)
    on_writable(call);
  else
    grpc_finish(call->grpc, status, &error);
}

/* ---- what comes ---------------------------------------------------------------------------------- */

static enum status failed(struct call *call, enum status status, const struct error *error) {
  if (status != STATUS_OK) grpc_finish(call->grpc, status, error);
  return status;
}

static enum status on_begin(void *context, int64_t bytes) {
  struct call *call = context;
  struct error error = {.status = STATUS_OK};
  if (!call->puts) return STATUS_OK;
  return failed(call, flight_data_reader_begin(call->reader, bytes, &error), &error);
}

static enum status on_window(void *context, uint8_t **data, int64_t *bytes) {
  struct call *call = context;
  struct error error = {.status = STATUS_OK};
  if (call->puts)
    return failed(call, flight_data_reader_window(call->reader, data, bytes, &error), &error);
  *data = call->ticket;
  *bytes = 1; /* never more than are left */
  return STATUS_OK;
}

static enum status on_filled(void *context, int64_t bytes) {
  struct call *call = context;
  struct error error = {.status = STATUS_OK};
  bool whole = false;
  if (!call->puts) return STATUS_OK;
  return failed(call, flight_data_reader_filled(call->reader, bytes, &whole, &error), &error);
}

static enum status on_message(void *context) {
  struct call *call = context;
  struct flight_data data;
  if (!call->puts) return STATUS_OK;
  flight_data_reader_take(call->reader, &data);
  flight_data_release(&data);
  return STATUS_OK;
}

static void on_end(void *context) {
  struct call *call = context;
  if (call->puts)
    grpc_finish(call->grpc, STATUS_OK, NULL);
  else
    begin_get(call);
}

static void on_gone(void *context, enum status status, const struct error *why) {
  (void)context;
  (void)status;
  (void)why;
}

/* ---- calls ---------------------------------------------------------------------------------------- */

static void on_request(void *context, struct http_exchange *exchange) {
  struct memory *memory = context;
  struct error error = {.status = STATUS_OK};
  struct call *call = calloc(1, sizeof *call);
  const char *path = http_exchange_request(exchange)->path;
  if (call == NULL) abort();
  call->memory = memory;
  call->puts = strcmp(path, "/arrow.flight.protocol.FlightService/DoPut") == 0;
  http_exchange_set_context(exchange, call);
  const struct grpc_call_options options = {
      .message_bytes_max = INT32_MAX, .client_streams = call->puts, .budget = &memory->budget};
  const struct grpc_handler handler = {.context = call,
                                       .begin = on_begin,
                                       .window = on_window,
                                       .filled = on_filled,
                                       .message = on_message,
                                       .end = on_end,
                                       .gone = on_gone};
  enum status status = STATUS_OK;
  if (!call->puts && strcmp(path, "/arrow.flight.protocol.FlightService/DoGet") != 0)
    status = error_set(&error, STATUS_UNSUPPORTED, "DoGet and DoPut alone");
  if (status == STATUS_OK)
    status = flight_data_reader_new(&memory->limits, &memory->budget, &call->reader, &error);
  if (status == STATUS_OK)
    status = grpc_call_new(exchange, &options, &handler, memory->loop, &call->grpc, &error);
  if (status != STATUS_OK) grpc_refuse(exchange, status, &error);
}

static void on_finished(void *context, struct http_exchange *exchange) {
  struct call *call = http_exchange_context(exchange);
  (void)context;
  grpc_call_free(call->grpc);
  flight_writer_free(call->writer);
  flight_data_reader_free(call->reader);
  free(call);
}

/* ---- the data -------------------------------------------------------------------------------------- */

static enum status keep(struct memory *memory, struct ArrowArray *batch, struct error *error) {
  struct arrow_shared **grown = realloc(memory->batches, (memory->batch_count + 1) * sizeof *grown);
  if (grown == NULL) return error_set(error, STATUS_NOMEM, "no memory for the batches");
  memory->batches = grown;
  enum status status = arrow_shared_new(batch, &memory->batches[memory->batch_count], error);
  if (status == STATUS_OK) memory->batch_count++;
  return status;
}

static enum status load(struct memory *memory, const char *path, struct error *error) {
  struct ipc_decoder *decoder = NULL;
  struct buffer stream = BUFFER_EMPTY;
  enum ipc_frame frame = IPC_FRAME_MESSAGE;
  int64_t at = 0;
  enum status status = file_read_whole(path, &memory->budget, &stream, error);
  if (status == STATUS_OK)
    status = ipc_decoder_new(&memory->limits, &memory->budget, &decoder, error);
  while (status == STATUS_OK && frame == IPC_FRAME_MESSAGE) {
    struct ipc_message message = {.offset_bytes = 0};
    struct ArrowArray batch = {.release = NULL};
    enum ipc_event event = IPC_EVENT_SCHEMA;
    status = ipc_cut(&stream, &memory->limits, false, &at, &message, &frame, error);
    if (status == STATUS_OK && frame == IPC_FRAME_MESSAGE)
      status = ipc_decoder_decode(decoder, &message, &event, &batch, error);
    if (status == STATUS_OK && batch.release != NULL) status = keep(memory, &batch, error);
    arrow_array_release(&batch);
    ipc_message_release(&message);
  }
  if (status == STATUS_OK)
    status = arrow_schema_copy(ipc_decoder_schema(decoder), &memory->schema, error);
  ipc_decoder_free(decoder);
  buffer_release(&stream);
  return status;
}

/* ---- life ------------------------------------------------------------------------------------------- */

static void on_signal(void *context, int number) {
  struct memory *memory = context;
  (void)number;
  net_loop_stop(memory->loop);
}

static enum status serve(struct memory *memory, struct error *error) {
  struct http_server_options options = HTTP_SERVER_DEFAULTS;
  struct http_server *server = NULL;
  const struct http_service service = {
      .context = memory, .request = on_request, .finished = on_finished};
  options.port = 0;
  options.budget = &memory->budget;
  enum status status = http_server_new(memory->loop, &options, &service, &server, error);
  if (status == STATUS_OK) status = net_loop_on_signal(memory->loop, on_signal, memory, error);
  if (status == STATUS_OK) {
    printf("listening on http://127.0.0.1:%d\n", http_server_port(server));
    fflush(stdout);
    net_loop_run(memory->loop);
  }
  http_server_free(server);
  return status;
}

int main(int count, char **texts) {
  struct memory memory = {.budget = {.limit_bytes = INT64_MAX}, .limits = IPC_LIMITS_DEFAULT};
  struct error error = {.status = STATUS_OK};
  if (count != 2) {
    fprintf(stderr, "flight_memory STREAM\n");
    return 2;
  }
  buffer_keep_freed(kept_bytes);
  enum status status = net_loop_new(&memory.loop, &error);
  if (status == STATUS_OK) status = load(&memory, texts[1], &error);
  if (status == STATUS_OK) status = serve(&memory, &error);
  if (status != STATUS_OK) fprintf(stderr, "flight_memory: %s\n", error.text);
  net_loop_free(memory.loop);
  for (size_t i = 0; i < memory.batch_count; i++) arrow_shared_release(memory.batches[i]);
  free(memory.batches);
  if (memory.schema.release != NULL) memory.schema.release(&memory.schema);
  return status == STATUS_OK ? 0 : 1;
}
