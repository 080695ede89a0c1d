/* DoPut, and DoExchange up to its answer. What the first message's descriptor says decides what becomes of the rest:
 *
 *   path, JSON command             rows into a stream's table: messages go to an intake, as those of
 *                                  POST /ingest do; each commit is acknowledged (flight_acks.c)
 *   JSON command with "sql"        DoExchange: rows through a statement (flight_exchange.c)
 *   CommandStatementIngest         rows into a table, in one transaction (flight_ingest.c readies it)
 *   other commands of Flight SQL   few rows (parameters) or none: collected, then asked (flight_few.c)
 *
 *   NEW --first message--> ROWS --------------------------------> intake done -> finish
 *    |                     OPENING --ask: it is ready--> INGEST -> intake done -> ask: commit -> finish
 *    +-------------------> FEW --end, or at once--> ask -> finish
 *
 * 1. The struct begins with an ingest, whose rules hold: memory, the line of those who find none,
 *    relief, who frees. It goes on living after the exchange while intake or ask work.
 * 2. Message bytes go from the HTTP/2 frames to where the batch's arrays point (flight/data.h).
 * 3. The client's half-close says that the stream is whole; anything else ends in a roll-back of what
 *    was not acknowledged. */
#include "server/flight_put.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/flight_acks.h"

/* ---- ends -------------------------------------------------------------------------------------- */

void flight_put_finish(struct flight_put *put, enum status status, const struct error *error) {
  put->ingest.answered = true;
  net_timer_stop(put->commit_timer);
  if (put->grpc != NULL) flight_finish(&put->ingest.request, put->grpc, status, error);
}

static void fail(struct ingest *ingest, enum status status, const struct error *error,
                 const struct intake_figures *figures) {
  struct flight_put *put = (struct flight_put *)ingest;
  struct error told = *error;
  if (figures != NULL && figures->each_batch && figures->committed_batches > 0)
    error_at(&told, "%" PRId64 " rows in %" PRId64 " batches were committed before this failed",
             figures->committed_rows, figures->committed_batches);
  if (figures != NULL && figures->skipped)
    error_at(&told, "%" PRId64 " rows in %" PRId64 " batches were set aside", figures->skipped_rows,
             figures->skipped_batches);
  flight_put_finish(put, status, &told);
}

/* What goes wrong on the loop before there is an intake, or in what comes for it. */
static enum status refuse(struct flight_put *put, enum status status, struct error *error) {
  ingest_refuse(&put->ingest, status, error);
  return status;
}

/* ---- acknowledgements ---------------------------------------------------------------------------- */

static struct flight_acks_about about(const struct flight_put *put) {
  return (struct flight_acks_about){
      .stream = put->ingest.stream, .table = text_get(&put->table), .durable = put->durable};
}

static enum status send_piece(void *context, struct buffer *piece, struct error *error) {
  struct flight_put *put = context;
  (void)error;
  grpc_write(put->grpc, piece);
  return STATUS_OK;
}

/* As FlightData without data. */
static void send_exchange_ack(struct flight_put *put, const struct text *json) {
  const struct flight_out out = {.piece = send_piece, .context = put};
  struct buffer metadata = BUFFER_EMPTY;
  enum status status = buffer_append(&metadata, &put->ingest.request.server->answers,
                                     text_get(json), (int64_t)json->size_bytes, NULL);
  if (status == STATUS_OK) status = flight_write_metadata(&metadata, NULL, &out, NULL);
  (void)status; /* without memory the next one tells more */
  buffer_release(&metadata);
}

static void send_ack(struct flight_put *put, const struct text *json) {
  if (put->exchange) {
    send_exchange_ack(put, json);
    return;
  }
  Arrow__Flight__Protocol__PutResult result;
  FLIGHT(put_result__init)(&result);
  result.app_metadata.data = (uint8_t *)(uintptr_t)text_get(json);
  result.app_metadata.len = json->size_bytes;
  size_t bytes = FLIGHT(put_result__get_packed_size)(&result);
  uint8_t *packed = malloc(bytes);
  if (packed == NULL) return; /* the next one tells more */
  FLIGHT(put_result__pack)(&result, packed);
  grpc_send(put->grpc, packed, bytes);
  free(packed);
}

/* On the loop: tells what has been committed. While the client does not read, nothing more is queued
 * for it; what has come together meanwhile is told in one. */
static void tell_offsets(void *context) {
  struct flight_put *put = context;
  struct flight_acks_about what = about(put);
  struct text json = TEXT_EMPTY;
  while (put->grpc != NULL && !put->ingest.answered && grpc_writable(put->grpc) &&
         flight_acks_next(put->acks, &what, put->held_back, &json)) {
    send_ack(put, &json);
    put->held_back = false;
  }
  if (put->grpc != NULL && !grpc_writable(put->grpc)) put->held_back = true;
  text_release(&json);
}

static void on_offset(struct ingest *ingest, const struct intake_offset *offset) {
  struct flight_put *put = (struct flight_put *)ingest;
  flight_acks_offset(put->acks, offset);
  net_loop_post(ingest->request.server->loop, &put->offset_post);
}

/* Everything is committed. */
static void answer(struct ingest *ingest, const struct load_result *result) {
  struct flight_put *put = (struct flight_put *)ingest;
  struct flight_acks_about what = about(put);
  struct text json = TEXT_EMPTY;
  while (flight_acks_next(put->acks, &what, put->held_back, &json)) send_ack(put, &json);
  if (flight_acks_last(put->acks, &what, result, &json)) send_ack(put, &json);
  text_release(&json);
  flight_put_finish(put, STATUS_OK, NULL);
}

static bool settle(struct ingest *ingest, enum status status, const struct load_result *result,
                   const struct error *error) {
  struct flight_put *put = (struct flight_put *)ingest;
  if (put->kind == FLIGHT_PUT_INGEST) flight_ingest_settle(put, status, result, error);
  if (put->kind == FLIGHT_PUT_CHANGE) flight_change_settle(put, status, error);
  return put->kind == FLIGHT_PUT_INGEST || put->kind == FLIGHT_PUT_CHANGE;
}

/* ---- the first message ----------------------------------------------------------------------------- */

static enum status open_rows(struct flight_put *put, const FlightDescriptor *descriptor,
                             struct error *error) {
  struct ingest *ingest = &put->ingest;
  struct flight_rows *rows = &put->rows;
  const struct server_config *config = ingest->request.config;
  struct ingest_target target;
  put->kind = FLIGHT_PUT_ROWS;
  enum status status = flight_rows_read(rows, descriptor, error);
  if (status == STATUS_OK && rows->sql != NULL) {
    if (put->exchange) return flight_change_open(put, error);
    return error_set(error, STATUS_INVALID, "\"sql\" goes with DoExchange, not with DoPut");
  }
  if (status == STATUS_OK) status = ingest_name(ingest, rows->stream, error);
  if (status == STATUS_OK) status = ingest_route(config, rows->stream, &target, error);
  if (status == STATUS_OK && rows->token != NULL)
    status = ingest_set_token(ingest, rows->token, error);
  if (status != STATUS_OK) return status;
  target.mode = rows->ask.mode;
  target.keys = rows->ask.keys;
  target.key_count = rows->ask.key_count;
  target.refuse_duplicates = rows->ask.refuse_duplicates;
  target.landing.each_batch = false;
  target.resume = rows->resume;
  if (rows->commit == FLIGHT_COMMIT_BATCH)
    target.watermark = (struct intake_watermark){.rows = 1};
  else if (rows->commit == FLIGHT_COMMIT_WATERMARK)
    target.watermark = (struct intake_watermark){.rows = config->flight.commit_rows,
                                                 .bytes = config->flight.commit_bytes};
  status = ingest_open(ingest, &target, error);
  if (status != STATUS_OK) return status;
  put->durable =
      strcmp(ingest->target.backend, "null") != 0 &&
      (strcmp(ingest->target.backend, "duckdb") != 0 || strcmp(config->db_path, ":memory:") != 0);
  return table_name_print(&ingest->target.table, &put->table, error);
}

static enum status open_command(struct flight_put *put, const ProtobufCBinaryData *cmd,
                                struct error *error) {
  const struct flight_command *command = NULL;
  if (put->exchange)
    return error_set(error, STATUS_UNSUPPORTED,
                     "DoExchange takes a path or a JSON command, none of Flight SQL");
  enum status status = flight_command_read(cmd->data, cmd->len, &command, &put->any, error);
  if (status == STATUS_OK)
    status = flight_ask_new(&put->ingest.request, put->grpc, &put->ask, error);
  if (status != STATUS_OK) return status;
  if (strcmp(put->any->type_url, FLIGHT_INGEST) == 0) return flight_ingest_open(put, error);
  status =
      flight_command_allow(put->ingest.request.server, put->ingest.request.who, command, error);
  if (status != STATUS_OK) return status;
  if (command->put == NULL)
    return error_set(error, STATUS_UNSUPPORTED, "DoPut does not go with %s", put->any->type_url);
  put->kind = FLIGHT_PUT_FEW;
  put->command = command;
  return flight_few_open(put, error);
}

static enum status open_first(struct flight_put *put, const struct buffer *bytes,
                              struct error *error) {
  if (bytes->size_bytes == 0)
    return error_set(error, STATUS_INVALID,
                     "the first message has no descriptor: where do the rows go?");
  FlightDescriptor *descriptor =
      FLIGHT(flight_descriptor__unpack)(NULL, (size_t)bytes->size_bytes, bytes->data);
  if (descriptor == NULL)
    return error_set(error, STATUS_INVALID, "the first message's descriptor is broken");
  bool command =
      descriptor->type == ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__DESCRIPTOR_TYPE__CMD &&
      !flight_rows_is_json(&descriptor->cmd);
  enum status status =
      command ? open_command(put, &descriptor->cmd, error) : open_rows(put, descriptor, error);
  FLIGHT(flight_descriptor__free_unpacked)(descriptor, NULL);
  return status;
}

/* ---- messages --------------------------------------------------------------------------------------- */

static void on_commit_timer(void *context) {
  struct flight_put *put = context;
  put->clock_runs = false;
  if (put->ingest.intake != NULL && !put->ingest.body_over && !put->ingest.answered)
    intake_commit(put->ingest.intake);
}

/* Rows have come that nobody has committed: in a while somebody does. */
static void grow_clock(struct flight_put *put) {
  if (put->clock_runs || put->rows.commit != FLIGHT_COMMIT_WATERMARK) return;
  put->clock_runs = true;
  net_timer_start(put->commit_timer, put->ingest.request.config->flight.commit_interval_ms);
}

static enum status take_rows(struct flight_put *put, struct flight_data *data,
                             struct error *error) {
  enum status status = STATUS_OK;
  if (data->message.metadata.size_bytes > 0) {
    put->batches += ipc_message_is_batch(&data->message);
    ingest_push(&put->ingest, &data->message);
    data->message = (struct ipc_message){.offset_bytes = 0};
    if (put->kind == FLIGHT_PUT_ROWS) grow_clock(put);
  }
  if (data->has_app_metadata && put->kind == FLIGHT_PUT_ROWS)
    status = flight_acks_note(put->acks, put->batches, &data->app_metadata, error);
  return status;
}

static enum status take(struct flight_put *put, struct flight_data *data, struct error *error) {
  if (put->kind == FLIGHT_PUT_NEW) {
    enum status status = open_first(put, &data->descriptor, error);
    if (status != STATUS_OK) return status;
  }
  if (put->kind == FLIGHT_PUT_FEW) return flight_few_take(put, &data->message, error);
  if (put->kind == FLIGHT_PUT_OPENING) { /* the schema, which may come with the descriptor */
    put->first = data->message;
    data->message = (struct ipc_message){.offset_bytes = 0};
    return STATUS_OK;
  }
  return take_rows(put, data, error);
}

void flight_put_go_on(struct flight_put *put) {
  if (put->first.metadata.size_bytes > 0) {
    ingest_push(&put->ingest, &put->first);
    put->first = (struct ipc_message){.offset_bytes = 0};
  }
  if (put->ended && !put->ingest.body_over && !put->ingest.answered)
    ingest_complete(&put->ingest);
  else if (put->grpc != NULL)
    grpc_resume(put->grpc);
}

static enum status on_begin(void *context, int64_t bytes) {
  struct flight_put *put = context;
  struct error error = {.status = STATUS_OK};
  if (put->ingest.answered) return STATUS_CANCELLED;
  enum status status = flight_data_reader_begin(put->reader, bytes, &error);
  bool whole;
  if (status == STATUS_OK && bytes == 0) /* no window will be asked for */
    status = flight_data_reader_filled(put->reader, 0, &whole, &error);
  return status == STATUS_OK ? STATUS_OK : refuse(put, status, &error);
}

static enum status on_window(void *context, uint8_t **data, int64_t *bytes) {
  struct flight_put *put = context;
  if (put->kind == FLIGHT_PUT_OPENING) {
    grpc_pause(put->grpc);
    return STATUS_BUDGET;
  }
  return ingest_window(&put->ingest, data, bytes);
}

static enum status on_filled(void *context, int64_t bytes) {
  struct flight_put *put = context;
  struct error error = {.status = STATUS_OK};
  bool whole;
  put->ingest.body_bytes += bytes;
  if (put->ingest.answered) return STATUS_CANCELLED;
  enum status status = flight_data_reader_filled(put->reader, bytes, &whole, &error);
  return status == STATUS_OK ? STATUS_OK : refuse(put, status, &error);
}

static enum status on_message(void *context) {
  struct flight_put *put = context;
  struct error error = {.status = STATUS_OK};
  struct flight_data data;
  if (put->ingest.answered) return STATUS_CANCELLED;
  flight_data_reader_take(put->reader, &data);
  enum status status = take(put, &data, &error);
  flight_data_release(&data);
  return status == STATUS_OK ? STATUS_OK : refuse(put, status, &error);
}

static void on_end(void *context) {
  struct flight_put *put = context;
  struct error error;
  put->ended = true;
  if (put->ingest.answered) return;
  switch (put->kind) {
  case FLIGHT_PUT_NEW:
    error_set(&error, STATUS_INVALID, "the stream has no message: nothing says where rows go");
    refuse(put, STATUS_INVALID, &error);
    return;
  case FLIGHT_PUT_FEW: flight_few_end(put); return;
  case FLIGHT_PUT_OPENING: return; /* flight_put_go_on sees it */
  case FLIGHT_PUT_ROWS:
  case FLIGHT_PUT_CHANGE:
  case FLIGHT_PUT_INGEST: ingest_complete(&put->ingest); return;
  }
}

static void on_gone(void *context, enum status status, const struct error *why) {
  struct flight_put *put = context;
  if (put->ask != NULL) flight_ask_stop(put->ask, status);
  if (put->ingest.request.call != NULL) put->ingest.request.call->status = status;
  ingest_gone(&put->ingest, why);
}

/* ---- the door ------------------------------------------------------------------------------------------ */

static void resume(struct ingest *ingest) {
  struct flight_put *put = (struct flight_put *)ingest;
  if (put->grpc != NULL) grpc_resume(put->grpc);
}

static void pause_body(struct ingest *ingest) { grpc_pause(((struct flight_put *)ingest)->grpc); }

static enum status window(struct ingest *ingest, uint8_t **data, int64_t *bytes,
                          struct error *error) {
  return flight_data_reader_window(((struct flight_put *)ingest)->reader, data, bytes, error);
}

static int64_t wants(const struct ingest *ingest) {
  return flight_data_reader_wants(((const struct flight_put *)ingest)->reader);
}

static int64_t held(const struct ingest *ingest) {
  return flight_data_reader_held(((const struct flight_put *)ingest)->reader);
}

static void over(struct ingest *ingest) {
  struct flight_put *put = (struct flight_put *)ingest;
  net_timer_stop(put->commit_timer);
  grpc_call_free(put->grpc);
  put->grpc = NULL;
  if (put->ask != NULL) flight_ask_stop(put->ask, STATUS_CANCELLED);
  if (put->change != NULL) flight_change_gone(put);
}

static void release(struct ingest *ingest) {
  struct flight_put *put = (struct flight_put *)ingest;
  net_timer_free(put->commit_timer);
  flight_few_release(put);
  flight_ingest_release(put);
  flight_change_release(put);
  flight_ask_free(put->ask);
  flight_data_reader_free(put->reader);
  flight_acks_free(put->acks);
  flight_rows_release(&put->rows);
  ipc_message_release(&put->first);
  text_release(&put->table);
  if (put->any != NULL) google__protobuf__any__free_unpacked(put->any, NULL);
}

static const struct ingest_door door = {
    .answer = answer,
    .resume = resume,
    .release = release,
    .fail = fail,
    .window = window,
    .wants = wants,
    .held = held,
    .pause = pause_body,
    .offset = on_offset,
    .over = over,
    .settle = settle,
};

/* ---- start --------------------------------------------------------------------------------------------- */

static enum status begin(struct flight_put *put, struct call *call, struct error *error) {
  struct server *server = call->server;
  put->offset_post = (struct net_post){.run = tell_offsets, .context = put};
  enum status status =
      flight_data_reader_new(&put->ingest.limits, &server->budget, &put->reader, error);
  if (status == STATUS_OK) status = flight_acks_new(&put->acks, error);
  if (status == STATUS_OK)
    status = net_timer_new(server->loop, on_commit_timer, put, &put->commit_timer, error);
  if (status != STATUS_OK) return status;
  const struct grpc_call_options options = {
      .message_bytes_max = call->config->flight.message_bytes_max,
      .client_streams = true,
      .budget = &server->budget,
  };
  const struct grpc_handler handler = {
      .context = put,
      .begin = on_begin,
      .window = on_window,
      .filled = on_filled,
      .message = on_message,
      .end = on_end,
      .gone = on_gone,
  };
  status = grpc_call_new(call->exchange, &options, &handler, server->loop, &put->grpc, error);
  if (status == STATUS_OK) grpc_on_writable(put->grpc, tell_offsets, put);
  return status;
}

void flight_put_begin(struct call *call, bool exchange) {
  if (!flight_is_call(call)) return;
  struct flight_put *put = (struct flight_put *)ingest_new(call, sizeof *put, &door);
  struct error error;
  if (put == NULL) return;
  put->exchange = exchange;
  enum status status = begin(put, call, &error);
  if (status != STATUS_OK) ingest_fail(&put->ingest, status, &error);
}

void flight_put_start(struct call *call) { flight_put_begin(call, false); }
void flight_exchange_start(struct call *call) { flight_put_begin(call, true); }
