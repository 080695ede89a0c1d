/* A DoPut whose command of Flight SQL takes few rows: a statement's parameters, or none. Messages are
 * collected as they came, and decoded by the worker that runs the command.
 *
 * CommandStatementUpdate takes none and is run as soon as it has come: some clients wait for its answer
 * before they end their stream. */
#include <stdlib.h>
#include <string.h>

#include "server/flight_put.h"

struct few_message {
  struct few_message *next;
  struct ipc_message message;
};

struct flight_few {
  struct few_message *first, **last;
  int64_t bytes;
  bool at_once, running;
  /* the worker's */
  struct ipc_decoder *decoder;
  struct ArrowArray *batches;
  size_t count, capacity;
};

static bool takes_no_rows(const char *type_url) {
  static const char *const names[] = {FLIGHT_SQL_TYPE_PREFIX "CommandStatementUpdate",
                                      FLIGHT_SQL_TYPE_PREFIX "CommandStatementSubstraitPlan"};
  return strcmp(type_url, names[0]) == 0 || strcmp(type_url, names[1]) == 0;
}

/* ---- the worker's side ---------------------------------------------------------------------------- */

static enum status keep_batch(struct flight_few *few, struct ArrowArray *batch,
                              struct error *error) {
  if (few->count == few->capacity) {
    size_t capacity = few->capacity == 0 ? 4 : few->capacity * 2;
    struct ArrowArray *batches = realloc(few->batches, capacity * sizeof *batches);
    if (batches == NULL) return error_set(error, STATUS_NOMEM, "no memory for parameters");
    few->batches = batches;
    few->capacity = capacity;
  }
  few->batches[few->count++] = *batch;
  return STATUS_OK;
}

static enum status decode(struct flight_put *put, struct flight_few *few, struct error *error) {
  enum status status = STATUS_OK;
  while (few->first != NULL && status == STATUS_OK) {
    struct ArrowArray batch = {.release = NULL};
    enum ipc_event event;
    struct few_message *at = few->first;
    if (few->decoder == NULL)
      status = ipc_decoder_new(&put->ingest.limits, &put->ingest.request.server->budget,
                               &few->decoder, error);
    if (status == STATUS_OK)
      status = ipc_decoder_decode(few->decoder, &at->message, &event, &batch, error);
    if (status != STATUS_OK) return status; /* may be run again: the message stays */
    if (event == IPC_EVENT_BATCH) status = keep_batch(few, &batch, error);
    if (status != STATUS_OK) arrow_array_release(&batch);
    few->first = at->next;
    free(at);
  }
  return status;
}

static enum status run(void *context, struct flight_ask *ask, struct error *error) {
  struct flight_put *put = context;
  struct flight_few *few = put->few;
  enum status status = decode(put, few, error);
  if (status != STATUS_OK) return status;
  const struct ArrowSchema *schema = few->decoder == NULL ? NULL : ipc_decoder_schema(few->decoder);
  return put->command->put(ask, &put->any->value, schema, few->batches, few->count, error);
}

static void done(void *context, enum status status, const struct error *error) {
  struct flight_put *put = context;
  put->few->running = false;
  if (!put->ingest.answered) flight_put_finish(put, status, error);
  ingest_let_go(&put->ingest);
}

/* ---- the loop's side ------------------------------------------------------------------------------- */

static void start(struct flight_put *put) {
  put->few->running = true;
  ingest_hold(&put->ingest);
  flight_ask_run(put->ask, run, done, put);
}

enum status flight_few_open(struct flight_put *put, struct error *error) {
  put->few = calloc(1, sizeof *put->few);
  if (put->few == NULL) return error_set(error, STATUS_NOMEM, "no memory for a request");
  put->few->last = &put->few->first;
  put->few->at_once = takes_no_rows(put->any->type_url);
  if (put->few->at_once) start(put);
  return STATUS_OK;
}

enum status flight_few_take(struct flight_put *put, struct ipc_message *message,
                            struct error *error) {
  struct flight_few *few = put->few;
  if (few->at_once || message->metadata.size_bytes == 0) return STATUS_OK; /* dropped */
  few->bytes += message->metadata.size_bytes + message->body.size_bytes;
  if (few->bytes > put->ingest.limits.body_bytes_max)
    return error_set(error, STATUS_TOO_LARGE,
                     "a statement's parameters have more than %lld bytes; use bulk ingest",
                     (long long)put->ingest.limits.body_bytes_max);
  struct few_message *kept = malloc(sizeof *kept);
  if (kept == NULL) return error_set(error, STATUS_NOMEM, "no memory for a request");
  *kept = (struct few_message){.message = *message};
  *message = (struct ipc_message){.offset_bytes = 0};
  *few->last = kept;
  few->last = &kept->next;
  return STATUS_OK;
}

void flight_few_end(struct flight_put *put) {
  put->ingest.body_over = true;
  if (!put->few->at_once) start(put);
}

void flight_few_release(struct flight_put *put) {
  struct flight_few *few = put->few;
  if (few == NULL) return;
  while (few->first != NULL) {
    struct few_message *next = few->first->next;
    ipc_message_release(&few->first->message);
    free(few->first);
    few->first = next;
  }
  for (size_t i = 0; i < few->count; i++)
    if (few->batches[i].release != NULL) arrow_array_release(&few->batches[i]);
  free(few->batches);
  ipc_decoder_free(few->decoder);
  free(few);
  put->few = NULL;
}
