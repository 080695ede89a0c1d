/* The ask's steps draw batches from the source and encode them, each into a row of pieces that are the
 * batch's own buffers wherever that is possible; the loop sends them. No more than QUEUE_BATCHES_MAX wait
 * for the loop: a client that reads slowly stops the steps, which hold no thread meanwhile, only the
 * statement, and its time-out stands. While the loop sends, the next batch is drawn.
 *
 *   step: open --> draw, encode, queue ... --queue full--> (woken when one was taken) --> ... --> over
 *   loop: take, send ... --all sent and over--> done
 *
 * 1. What lies under `lock` is shared with the loop; source, writer and batch are the step's.
 * 2. The source is closed by a step, on a worker, before the ask is over.
 * 3. `done` is called once, when the ask is over and all is sent, or nothing more can be. */
#include "server/flight_pump.h"

#include <pthread.h>
#include <stdlib.h>

enum {
  QUEUE_BATCHES_MAX = 4, /* encoded and not yet sent */
  STARVED_RETRY_MS = 20, /* while others hold all memory for answers */
};

/* One batch as it goes out. */
struct pieces {
  struct buffer *items;
  size_t count, room;
};

struct flight_pump {
  struct flight_pump_options options;
  struct grpc_call *grpc;
  struct net_post post; /* something was queued */

  struct source *rows;
  struct flight_writer *writer;
  struct ArrowArray batch; /* that there was no memory to encode */
  struct pieces out;       /* what is being encoded */
  bool begun;              /* the schema is in it, or on its way */

  pthread_mutex_t lock;
  struct pieces queue[QUEUE_BATCHES_MAX]; /* a ring, oldest at queue_first */
  size_t queue_first, queue_count;
  int64_t drawn_rows;
  bool over; /* no more will be queued, and all is well */

  /* the loop's */
  int64_t sent_bytes;
  bool all_sent, ask_over, told;
};

static void pieces_release(struct pieces *pieces) {
  for (size_t i = 0; i < pieces->count; i++) buffer_release(&pieces->items[i]);
  free(pieces->items);
  *pieces = (struct pieces){.items = NULL};
}

/* ---- the steps' side ----------------------------------------------------------------------------------- */

static enum status take_piece(void *context, struct buffer *piece, struct error *error) {
  struct pieces *out = context;
  if (out->count == out->room) {
    size_t room = out->room == 0 ? 16 : 2 * out->room;
    struct buffer *grown = realloc(out->items, room * sizeof *grown);
    if (grown == NULL) {
      buffer_release(piece);
      return error_set(error, STATUS_NOMEM, "no memory for an answer");
    }
    out->items = grown;
    out->room = room;
  }
  out->items[out->count++] = *piece;
  *piece = BUFFER_EMPTY;
  return STATUS_OK;
}

static bool has_room(struct flight_pump *pump) {
  pthread_mutex_lock(&pump->lock);
  bool room = pump->queue_count < QUEUE_BATCHES_MAX;
  pthread_mutex_unlock(&pump->lock);
  return room;
}

/* Hands what was encoded to the loop; there is room. */
static void queue_pieces(struct flight_pump *pump, int64_t rows, bool over) {
  pthread_mutex_lock(&pump->lock);
  if (pump->out.count > 0)
    pump->queue[(pump->queue_first + pump->queue_count++) % QUEUE_BATCHES_MAX] = pump->out;
  pump->drawn_rows += rows;
  pump->over = over;
  pthread_mutex_unlock(&pump->lock);
  pump->out = (struct pieces){.items = NULL};
  net_loop_post(pump->options.request->server->loop, &pump->post);
}

/* Each of its steps is repeated when there was no memory for it, those before it are not. */
static enum status begin(struct flight_pump *pump, struct flight_ask *ask, struct error *error) {
  const struct flight_out out = {.piece = take_piece, .context = &pump->out};
  enum status status = STATUS_OK;
  if (pump->rows == NULL)
    status = pump->options.open(pump->options.context, ask, &pump->rows, error);
  if (status == STATUS_OK && pump->writer == NULL) {
    status = flight_writer_new(source_schema(pump->rows), &pump->options.writer,
                               &ask->server->answers, &pump->writer, error);
    if (status == STATUS_OK) flight_writer_cut(pump->writer, FLIGHT_MESSAGE_BYTES_MODEST);
  }
  if (status == STATUS_OK) status = flight_writer_schema(pump->writer, NULL, &out, error);
  pump->begun = status == STATUS_OK;
  return status;
}

/* The next batch into `out`; `*rows` -1: there is none. */
static enum status draw(struct flight_pump *pump, int64_t *rows, struct error *error) {
  const struct flight_out out = {.piece = take_piece, .context = &pump->out};
  enum status status = STATUS_OK;
  *rows = -1;
  if (pump->batch.release == NULL) status = source_next(pump->rows, &pump->batch, error);
  if (status != STATUS_OK || pump->batch.release == NULL) return status;
  *rows = pump->batch.length;
  return flight_writer_batch(pump->writer, &pump->batch, NULL, &out, error);
}

static void close_rows(struct flight_pump *pump) {
  arrow_array_release(&pump->batch);
  flight_writer_free(pump->writer);
  source_close(pump->rows);
  pieces_release(&pump->out);
  pump->writer = NULL;
  pump->rows = NULL;
}

static enum status pump_step(void *context, struct flight_ask *ask, bool *over,
                             struct error *error) {
  struct flight_pump *pump = context;
  *over = false;
  enum status status = flight_ask_check(ask, error);
  if (status == STATUS_OK && !pump->begun) status = begin(pump, ask, error);
  while (status == STATUS_OK && !*over && has_room(pump)) {
    int64_t rows = -1;
    status = draw(pump, &rows, error);
    if (status != STATUS_OK) break;
    *over = rows < 0;
    queue_pieces(pump, *over ? 0 : rows, *over);
    status = flight_ask_check(ask, error);
  }
  if (status == STATUS_BUDGET && pump->rows != NULL) {
    error->retry_after_ms = STARVED_RETRY_MS; /* it has begun: it can only wait, or break off */
    return status;
  }
  if (status != STATUS_OK || *over) close_rows(pump);
  return status;
}

/* ---- the loop's side --------------------------------------------------------------------------------------- */

/* The oldest queued batch; false when there is none. `last`: nothing comes after. */
static bool take_pieces(struct flight_pump *pump, struct pieces *out, bool *last) {
  pthread_mutex_lock(&pump->lock);
  bool any = pump->queue_count > 0;
  if (any) {
    *out = pump->queue[pump->queue_first];
    pump->queue_first = (pump->queue_first + 1) % QUEUE_BATCHES_MAX;
    pump->queue_count--;
  }
  *last = pump->over && pump->queue_count == 0;
  pthread_mutex_unlock(&pump->lock);
  if (any) flight_ask_wake(pump->options.ask);
  return any;
}

static void tell(struct flight_pump *pump, enum status status, const struct error *error) {
  if (pump->told) return;
  pump->told = true;
  pump->options.done(pump->options.context, status, error);
}

/* It is the client's time that passes while it could take more than it does. */
static void follow_clock(struct flight_pump *pump) {
  pthread_mutex_lock(&pump->lock);
  bool waits_for_client = pump->queue_count == QUEUE_BATCHES_MAX || pump->over;
  pthread_mutex_unlock(&pump->lock);
  flight_ask_clock(pump->options.ask, !waits_for_client);
}

/* Sends what is queued for as long as the client takes it. */
static void on_queued(void *context) {
  struct flight_pump *pump = context;
  const struct error none = {.status = STATUS_OK};
  bool last = false;
  if (pump->told || pump->options.request->exchange == NULL || grpc_finished(pump->grpc)) return;
  while (!last && grpc_writable(pump->grpc)) {
    struct pieces out = {.items = NULL};
    if (!take_pieces(pump, &out, &last) && !last) break;
    for (size_t i = 0; i < out.count; i++) {
      pump->sent_bytes += out.items[i].size_bytes;
      if (i == 0) flight_ask_headers(pump->options.ask);
      grpc_write(pump->grpc, &out.items[i]);
    }
    pieces_release(&out);
  }
  pump->all_sent = pump->all_sent || last;
  if (pump->all_sent && pump->ask_over)
    tell(pump, STATUS_OK, &none);
  else if (!pump->all_sent)
    follow_clock(pump);
}

static void pump_done(void *context, enum status status, const struct error *error) {
  struct flight_pump *pump = context;
  pump->ask_over = true;
  if (status != STATUS_OK || pump->options.request->exchange == NULL || grpc_finished(pump->grpc)) {
    tell(pump, status, error);
    return;
  }
  on_queued(pump); /* what is queued goes on being sent */
}

enum status flight_pump_start(const struct flight_pump_options *options, struct grpc_call *grpc,
                              struct flight_pump **pump, struct error *error) {
  struct flight_pump *made = calloc(1, sizeof *made);
  *pump = made;
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for an answer");
  made->options = *options;
  made->options.writer.workers = options->request->server->workers;
  made->grpc = grpc;
  made->post = (struct net_post){.run = on_queued, .context = made};
  pthread_mutex_init(&made->lock, NULL);
  grpc_on_writable(grpc, on_queued, made);
  flight_ask_steps(options->ask, pump_step, pump_done, made);
  return STATUS_OK;
}

void flight_pump_gone(struct flight_pump *pump) {
  const struct error gone = {.status = STATUS_CANCELLED};
  if (pump->ask_over) tell(pump, STATUS_CANCELLED, &gone);
}

int64_t flight_pump_rows(const struct flight_pump *pump) { return pump->drawn_rows; }

int64_t flight_pump_sent_bytes(const struct flight_pump *pump) { return pump->sent_bytes; }

void flight_pump_free(struct flight_pump *pump) {
  if (pump == NULL) return;
  while (pump->queue_count-- > 0) {
    pieces_release(&pump->queue[pump->queue_first]);
    pump->queue_first = (pump->queue_first + 1) % QUEUE_BATCHES_MAX;
  }
  pthread_mutex_destroy(&pump->lock);
  free(pump);
}
