/* An intake is a task (base/workers.h) with a queue in front of it.
 *
 * The event loop pushes messages, says `end` or `cancel`; the task decodes, appends
 * and commits on a worker. What both touch lies under `lock`; what follows it in the
 * struct belongs to the task alone.
 *
 *   OPEN --schema--> LOADING --intake_end, queue empty: finish_load--> DONE
 *    |                  |
 *    +------------------+--error or intake_cancel: give_up-----------> DONE
 *
 * 1. `done` is called once, by the task, on the way into DONE, and the task touches
 *    nothing of the intake after it: whoever is told may free it.
 * 2. In DONE messages are dropped as they come.
 * 3. A load is open exactly in LOADING, so whatever ends the intake ends the load. */
#include "pipeline/pipeline.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "arrow/schema.h"
#include "base/clock.h"

struct queued_message {
  struct ipc_message message;
  struct queued_message *next;
};

struct intake {
  struct intake_options options;
  struct task task;

  pthread_mutex_t lock;
  struct queued_message *first;
  struct queued_message **last;
  int64_t queued_bytes;
  bool was_full; /* somebody waits for `space` */
  bool ended;
  bool cancelled;
  bool relieve;
  enum status push_status; /* a push that found no memory for the queue */
  bool over;               /* DONE */

  struct ipc_decoder *decoder;
  struct load *load;
  struct load_result result;
  struct intake_figures figures;
  int64_t began_us; /* the load */
  enum status status;
  struct error error;
};

static int64_t message_bytes(const struct ipc_message *message) {
  return message->metadata.size_bytes + message->body.size_bytes;
}

static void drop_queue(struct intake *intake) {
  while (intake->first != NULL) {
    struct queued_message *queued = intake->first;
    intake->first = queued->next;
    ipc_message_release(&queued->message);
    free(queued);
  }
  intake->last = &intake->first;
  intake->queued_bytes = 0;
}

/* ---- the task's side ---------------------------------------------------------- */

static enum status begin_load(struct intake *intake) {
  struct pipeline_target *target = &intake->options.target;
  if (target->sink == NULL) {
    enum status status =
        intake->options.open_sink(intake->options.context, &target->sink, &intake->error);
    if (status != STATUS_OK) return status;
  }
  struct load_spec spec = pipeline_load_spec(target, ipc_decoder_schema(intake->decoder));
  enum status status = load_begin(target->sink, &spec, &intake->load, &intake->error);
  if (status != STATUS_OK) return status;
  intake->figures.backend = target->sink->type->name;
  intake->began_us = clock_now_us();
  return STATUS_OK;
}

static enum status take_message(struct intake *intake, struct ipc_message *message) {
  struct ArrowArray batch = {.release = NULL};
  enum ipc_event event;
  enum status status = ipc_decoder_decode(intake->decoder, message, &event, &batch, &intake->error);
  if (status != STATUS_OK) {
    ipc_message_release(message);
    return status;
  }
  if (event == IPC_EVENT_SCHEMA) return begin_load(intake);
  if (event != IPC_EVENT_BATCH) return STATUS_OK;
  int64_t bytes = arrow_array_bytes(ipc_decoder_schema(intake->decoder), &batch);
  status = load_append(intake->load, &batch, &intake->error);
  if (status == STATUS_OK)
    intake->figures.memory_bytes += bytes;
  else
    arrow_array_release(&batch);
  return status;
}

static enum status finish_load(struct intake *intake) {
  if (intake->load == NULL)
    return error_set(&intake->error, STATUS_INVALID, "the stream has no schema message");
  struct load *load = intake->load;
  intake->load = NULL; /* over, whatever the commit says */
  return load_commit(load, &intake->result, &intake->error);
}

/* Into DONE. Nothing of the intake may be touched after it. */
static void finish(struct intake *intake, enum status status) {
  load_abort(intake->load);
  intake->load = NULL;
  if (intake->figures.backend != NULL)
    intake->figures.transaction_us = clock_now_us() - intake->began_us;
  ipc_decoder_free(intake->decoder);
  intake->decoder = NULL;
  intake->status = status;
  pthread_mutex_lock(&intake->lock);
  intake->over = true;
  drop_queue(intake);
  pthread_mutex_unlock(&intake->lock);
  task_retire(&intake->task);
  intake->options.done(intake->options.context);
}

enum intake_step { STEP_WAIT, STEP_MESSAGE, STEP_RELIEVE, STEP_COMMIT, STEP_CANCEL, STEP_NOMEM };

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
  } else if (intake->first != NULL) {
    struct queued_message *queued = intake->first;
    intake->first = queued->next;
    if (intake->first == NULL) intake->last = &intake->first;
    *message = queued->message;
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
    case STEP_COMMIT: finish(intake, finish_load(intake)); return;
    case STEP_CANCEL:
      finish(intake, error_set(&intake->error, STATUS_CANCELLED,
                               "the load was cancelled; nothing "
                               "of it remains"));
      return;
    case STEP_NOMEM:
      finish(intake, error_set(&intake->error, STATUS_NOMEM, "no memory to queue a message"));
      return;
    }
    if (status != STATUS_OK) {
      finish(intake, status);
      return;
    }
  }
}

/* ---- the event loop's side ----------------------------------------------------- */

enum status intake_new(const struct intake_options *options, struct intake **intake,
                       struct error *error) {
  *intake = NULL;
  struct intake *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a request");
  enum status status = ipc_decoder_new(&options->limits, options->budget, &made->decoder, error);
  if (status != STATUS_OK) {
    free(made);
    return status;
  }
  ipc_decoder_use_workers(made->decoder, options->workers);
  made->options = *options;
  made->last = &made->first;
  pthread_mutex_init(&made->lock, NULL);
  task_init(&made->task, options->workers, intake_task, made);
  *intake = made;
  return STATUS_OK;
}

void intake_push(struct intake *intake, struct ipc_message *message) {
  struct queued_message *queued = malloc(sizeof *queued);
  bool wake = false;
  pthread_mutex_lock(&intake->lock);
  if (queued == NULL) intake->push_status = STATUS_NOMEM;
  if (queued != NULL && !intake->over) {
    *queued = (struct queued_message){.message = *message};
    *intake->last = queued;
    intake->last = &queued->next;
    intake->queued_bytes += message_bytes(message);
    queued = NULL;
  } else {
    ipc_message_release(message);
  }
  wake = !intake->over;
  /* Woken under the lock: once the task is DONE the intake may be freed. */
  if (wake) task_wake(&intake->task);
  pthread_mutex_unlock(&intake->lock);
  free(queued);
}

bool intake_full(struct intake *intake) {
  pthread_mutex_lock(&intake->lock);
  bool full = !intake->over && intake->queued_bytes >= intake->options.queue_bytes_max;
  intake->was_full = full;
  pthread_mutex_unlock(&intake->lock);
  return full;
}

/* Raises a flag and wakes the task, unless it is DONE. */
static void tell(struct intake *intake, bool *flag) {
  pthread_mutex_lock(&intake->lock);
  *flag = true;
  if (!intake->over) task_wake(&intake->task);
  pthread_mutex_unlock(&intake->lock);
}

void intake_end(struct intake *intake) { tell(intake, &intake->ended); }
void intake_cancel(struct intake *intake) { tell(intake, &intake->cancelled); }
void intake_relieve(struct intake *intake) { tell(intake, &intake->relieve); }

enum status intake_result(const struct intake *intake, struct load_result *result,
                          struct error *error) {
  assert(intake->over);
  *result = intake->result;
  if (error != NULL && intake->status != STATUS_OK) *error = intake->error;
  return intake->status;
}

void intake_figures(const struct intake *intake, struct intake_figures *figures) {
  assert(intake->over);
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
  assert(intake->over || intake->first == NULL);
  load_abort(intake->load);
  ipc_decoder_free(intake->decoder);
  pthread_mutex_destroy(&intake->lock);
  free(intake);
}
