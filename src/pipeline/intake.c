/* An intake is a queue of messages that somebody works on: its own task, or its group's.
 *
 * The event loop pushes messages, says `end` or `cancel`. What it touches lies under `lock`; what
 * follows it in the struct belongs to whoever works on the intake.
 *
 *   HELD --intake_end, small--------------> GROUPED --group.c: the round is landed--+
 *    |                                                                              v
 *    +--too large, slow, cancelled--> STARTED --intake_end, queue empty: finish--> DONE
 *                                        +------error or intake_cancel-------------^
 *
 * A small append is HELD until it is whole, and then lands with others (group.c). Anything else is
 * STARTED: its task decodes and appends as messages come. Its load is begun by the schema and ends
 * with the intake; under SCHEMA_SKIP a schema that does not fit begins none, and what comes is counted
 * and dropped. With `each_batch` there is a load for each batch (batches.c), until one does not fit.
 *
 * 1. `done` is called once, on the way into DONE, and whoever works on the intake touches nothing of
 *    it after that: whoever is told may free it.
 * 2. In DONE messages are dropped as they come.
 * 3. A load is open only in STARTED, so whatever ends the intake ends the load. */
#include <assert.h>
#include <stdlib.h>

#include "arrow/schema.h"
#include "base/clock.h"
#include "pipeline/private.h"

enum { HELD_PART = 16 }; /* of a group's bytes: more than that is not small */

static int64_t message_bytes(const struct ipc_message *message) {
  return message->metadata.size_bytes + message->body.size_bytes;
}

void queued_messages_free(struct queued_message *message) {
  while (message != NULL) {
    struct queued_message *next = message->next;
    ipc_message_release(&message->message);
    free(message);
    message = next;
  }
}

/* Under the lock. */
static struct queued_message *empty_queue(struct intake *intake) {
  struct queued_message *first = intake->first;
  intake->first = NULL;
  intake->last = &intake->first;
  intake->queued_bytes = 0;
  return first;
}

struct queued_message *intake_take_all(struct intake *intake, bool *cancelled) {
  pthread_mutex_lock(&intake->lock);
  struct queued_message *first = empty_queue(intake);
  *cancelled = intake->cancelled;
  pthread_mutex_unlock(&intake->lock);
  return first;
}

enum status settle_unknown(enum status status, const struct pipeline_target *target,
                           const char *token, struct load_result *result, struct error *error) {
  if (status != STATUS_UNKNOWN || token == NULL) return status;
  bool found;
  struct error why = {.status = STATUS_OK};
  enum status looked = sink_lookup(target->sink, &target->table, token, &found, result, &why);
  if (looked != STATUS_OK) return status; /* still not known: it says so */
  if (found) {
    result->repeated = false; /* it was this load's own commit */
    return STATUS_OK;
  }
  status = error_set(error, STATUS_UNAVAILABLE,
                     "the storage failed during the commit and nothing was kept; send it again");
  if (error != NULL) error->retry_after_ms = 1000;
  return status;
}

/* ---- the task's side ---------------------------------------------------------- */

static enum status begin_load(struct intake *intake) {
  struct pipeline_target *target = &intake->options.target;
  if (target->sink == NULL) {
    enum status status =
        intake->options.open_sink(intake->options.context, &target->sink, &intake->error);
    if (status != STATUS_OK) return status;
  }
  intake->figures.backend = target->sink->type->name;
  intake->began_us = clock_now_us();
  if (intake->options.each_batch) return STATUS_OK;
  if (intake_is_watermarked(intake)) {
    enum status status = intake_find_offset(intake);
    return status == STATUS_OK ? intake_begin_part(intake) : status;
  }
  struct load_spec spec = pipeline_load_spec(target, ipc_decoder_schema(intake->decoder));
  enum status status = load_begin(target->sink, &spec, &intake->load, &intake->error);
  intake->skipping = status == STATUS_SCHEMA && target->policy == SCHEMA_SKIP;
  return intake->skipping ? STATUS_OK : status;
}

/* Takes the batch on STATUS_OK. */
static enum status take_batch(struct intake *intake, struct ArrowArray *batch) {
  if (intake_is_watermarked(intake)) return intake_land_part(intake, batch);
  if (intake->skipping) {
    intake->figures.skipped_rows += batch->length;
    intake->figures.skipped_batches++;
    arrow_array_release(batch);
    return STATUS_OK;
  }
  int64_t bytes = arrow_array_bytes(ipc_decoder_schema(intake->decoder), batch);
  enum status status = intake->options.each_batch
                           ? intake_land_batch(intake, batch)
                           : load_append(intake->load, batch, &intake->error);
  if (status == STATUS_OK && !intake->skipping) intake->figures.memory_bytes += bytes;
  return status;
}

static enum status make_decoder(struct intake *intake) {
  const struct intake_options *options = &intake->options;
  if (intake->decoder != NULL) return STATUS_OK;
  enum status status =
      ipc_decoder_new(&options->limits, options->budget, &intake->decoder, &intake->error);
  if (status == STATUS_OK) ipc_decoder_use_workers(intake->decoder, options->workers);
  return status;
}

static enum status take_message(struct intake *intake, struct ipc_message *message) {
  struct ArrowArray batch = {.release = NULL};
  enum ipc_event event;
  enum status status = make_decoder(intake);
  if (status == STATUS_OK)
    status = ipc_decoder_decode(intake->decoder, message, &event, &batch, &intake->error);
  if (status != STATUS_OK) {
    ipc_message_release(message);
    return status;
  }
  if (event == IPC_EVENT_SCHEMA) return begin_load(intake);
  if (event != IPC_EVENT_BATCH) return STATUS_OK;
  status = take_batch(intake, &batch);
  if (status != STATUS_OK && batch.release != NULL) arrow_array_release(&batch);
  return status;
}

enum status intake_skipped(struct intake *intake) {
  intake->figures.skipped = true;
  return STATUS_SCHEMA; /* the error is that of the schema */
}

static enum status finish_load(struct intake *intake) {
  const struct pipeline_target *target = &intake->options.target;
  if (intake->decoder == NULL || ipc_decoder_schema(intake->decoder) == NULL)
    return error_set(&intake->error, STATUS_INVALID, "the stream has no schema message");
  if (intake_is_watermarked(intake)) return intake_land_rest(intake);
  if (intake->skipping) return intake_skipped(intake);
  if (intake->options.each_batch) return intake_land_end(intake);
  struct load *load = intake->load;
  intake->load = NULL; /* over, whatever the commit says */
  enum status status = load_commit(load, &intake->result, &intake->error);
  return settle_unknown(status, target, target->token, &intake->result, &intake->error);
}

void intake_finish(struct intake *intake, enum status status, bool more) {
  load_abort(intake->load);
  intake->load = NULL;
  if (intake->figures.backend != NULL)
    intake->figures.transaction_us = clock_now_us() - intake->began_us;
  intake->figures.each_batch = intake->options.each_batch || intake_is_watermarked(intake);
  ipc_decoder_free(intake->decoder);
  intake->decoder = NULL;
  intake->status = status;
  bool own = intake->state == INTAKE_STARTED;
  pthread_mutex_lock(&intake->lock);
  intake->state = INTAKE_DONE;
  struct queued_message *left = empty_queue(intake);
  pthread_mutex_unlock(&intake->lock);
  queued_messages_free(left);
  if (own) task_retire(&intake->task);
  intake->options.done(intake->options.context, more);
}

enum intake_step {
  STEP_WAIT,
  STEP_MESSAGE,
  STEP_RELIEVE,
  STEP_PART,
  STEP_COMMIT,
  STEP_CANCEL,
  STEP_NOMEM
};

/* What to do next, and the message to do it with. */
static enum intake_step next_step(struct intake *intake, struct ipc_message *message, bool *space) {
  *space = false;
  enum intake_step step = STEP_WAIT;
  pthread_mutex_lock(&intake->lock);
  if (intake->cancelled) {
    step = STEP_CANCEL;
  } else if (intake->push_status != STATUS_OK) {
    step = STEP_NOMEM;
  } else if (intake->relieve) {
    intake->relieve = false;
    step = STEP_RELIEVE;
  } else if (intake->commit_at > 0 && intake->taken >= intake->commit_at) {
    intake->commit_at = 0;
    step = STEP_PART;
  } else if (intake->first != NULL) {
    struct queued_message *queued = intake->first;
    intake->first = queued->next;
    if (intake->first == NULL) intake->last = &intake->first;
    *message = queued->message;
    intake->taken++;
    intake->queued_bytes -= message_bytes(message);
    free(queued);
    *space = intake->was_full && intake->queued_bytes <= intake->options.queue_bytes_max / 2;
    if (*space) intake->was_full = false;
    step = STEP_MESSAGE;
  } else if (intake->ended) {
    step = STEP_COMMIT;
  }
  pthread_mutex_unlock(&intake->lock);
  return step;
}

static void intake_task(void *context) {
  struct intake *intake = context;
  for (;;) {
    struct ipc_message message = {.offset_bytes = 0};
    bool space;
    enum status status = STATUS_OK;
    switch (next_step(intake, &message, &space)) {
    case STEP_WAIT: return;
    case STEP_MESSAGE:
      if (space) intake->options.space(intake->options.context);
      status = take_message(intake, &message);
      break;
    case STEP_RELIEVE:
      if (intake->load != NULL) status = load_flush(intake->load, &intake->error);
      break;
    case STEP_PART:
      if (intake_is_watermarked(intake)) status = intake_commit_part(intake);
      break;
    case STEP_COMMIT: intake_finish(intake, finish_load(intake), false); return;
    case STEP_CANCEL:
      intake_finish(intake,
                    error_set(&intake->error, STATUS_CANCELLED,
                              "the load was cancelled; nothing of it remains"),
                    false);
      return;
    case STEP_NOMEM:
      intake_finish(intake, error_set(&intake->error, STATUS_NOMEM, "no memory to queue a message"),
                    false);
      return;
    }
    if (status != STATUS_OK) {
      intake_finish(intake, status, false);
      return;
    }
  }
}

/* ---- the event loop's side ----------------------------------------------------- */

static bool may_be_grouped(const struct intake_options *options) {
  return options->groups != NULL && options->target.mode == SINK_APPEND &&
         options->target.key_count == 0 && !options->each_batch && !options->resume;
}

enum status intake_new(const struct intake_options *options, struct intake **intake,
                       struct error *error) {
  *intake = NULL;
  struct intake *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a request");
  made->options = *options;
  if (options->target.mode == SINK_OVERWRITE) made->options.each_batch = false;
  if (options->target.mode == SINK_OVERWRITE || options->target.refuse_duplicates)
    made->options.watermark.rows = 0;
  made->offset.version = -1;
  if (intake_is_watermarked(made) && made->options.target.token != NULL)
    part_token(made->options.target.token, 0, made->first_token, sizeof made->first_token);
  made->state = may_be_grouped(&made->options) ? INTAKE_HELD : INTAKE_STARTED;
  made->result.version = -1;
  made->last = &made->first;
  pthread_mutex_init(&made->lock, NULL);
  task_init(&made->task, options->workers, intake_task, made);
  *intake = made;
  return STATUS_OK;
}

/* Its own task has something to do; under the lock, so that it is not freed meanwhile. */
static void wake(struct intake *intake) {
  if (intake->state == INTAKE_STARTED) task_wake(&intake->task);
}

/* No longer held; under the lock. */
static void start(struct intake *intake) {
  if (intake->state == INTAKE_HELD) intake->state = INTAKE_STARTED;
}

void intake_push(struct intake *intake, struct ipc_message *message) {
  struct queued_message *queued = malloc(sizeof *queued);
  pthread_mutex_lock(&intake->lock);
  if (queued == NULL) {
    intake->push_status = STATUS_NOMEM;
    start(intake);
  }
  if (queued != NULL && intake->state != INTAKE_DONE) {
    *queued = (struct queued_message){.message = *message};
    *intake->last = queued;
    intake->last = &queued->next;
    intake->queued_bytes += message_bytes(message);
    intake->pushed++;
    queued = NULL;
  } else {
    ipc_message_release(message);
  }
  if (intake->queued_bytes > intake->options.group_limits.bytes_max / HELD_PART) start(intake);
  wake(intake);
  pthread_mutex_unlock(&intake->lock);
  free(queued);
}

bool intake_full(struct intake *intake) {
  pthread_mutex_lock(&intake->lock);
  bool full =
      intake->state == INTAKE_STARTED && intake->queued_bytes >= intake->options.queue_bytes_max;
  intake->was_full = full;
  pthread_mutex_unlock(&intake->lock);
  return full;
}

/* Raises a flag and goes on by itself. */
static void tell(struct intake *intake, bool *flag) {
  pthread_mutex_lock(&intake->lock);
  if (flag != NULL) *flag = true;
  start(intake);
  wake(intake);
  pthread_mutex_unlock(&intake->lock);
}

void intake_start(struct intake *intake) { tell(intake, NULL); }
void intake_cancel(struct intake *intake) { tell(intake, &intake->cancelled); }

void intake_commit(struct intake *intake) {
  pthread_mutex_lock(&intake->lock);
  if (intake->commit_at == 0) intake->commit_at = intake->pushed;
  start(intake);
  wake(intake);
  pthread_mutex_unlock(&intake->lock);
}

void intake_relieve(struct intake *intake) { tell(intake, &intake->relieve); }

void intake_work_alone(struct intake *intake) {
  pthread_mutex_lock(&intake->lock);
  intake->state = INTAKE_STARTED;
  wake(intake);
  pthread_mutex_unlock(&intake->lock);
}

void intake_end(struct intake *intake) {
  pthread_mutex_lock(&intake->lock);
  bool held = intake->state == INTAKE_HELD;
  intake->ended = true;
  if (held) intake->state = INTAKE_GROUPED;
  wake(intake);
  pthread_mutex_unlock(&intake->lock);
  if (held && !group_put(intake)) intake_work_alone(intake);
}

enum status intake_result(const struct intake *intake, struct load_result *result,
                          struct error *error) {
  assert(intake->state == INTAKE_DONE);
  *result = intake->result;
  if (error != NULL && intake->status != STATUS_OK) *error = intake->error;
  return intake->status;
}

void intake_figures(const struct intake *intake, struct intake_figures *figures) {
  assert(intake->state == INTAKE_DONE);
  *figures = intake->figures;
}

int64_t intake_queued_bytes(struct intake *intake) {
  pthread_mutex_lock(&intake->lock);
  int64_t bytes = intake->queued_bytes;
  pthread_mutex_unlock(&intake->lock);
  return bytes;
}

void intake_free(struct intake *intake) {
  if (intake == NULL) return;
  assert(intake->state == INTAKE_DONE || intake->first == NULL);
  load_abort(intake->load);
  load_result_release(&intake->result);
  ipc_decoder_free(intake->decoder);
  pthread_mutex_destroy(&intake->lock);
  free(intake);
}
