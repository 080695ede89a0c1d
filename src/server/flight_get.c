/* DoGet: what a ticket stands for, drawn as fast as the client reads.
 *
 * The ask's steps draw batches from the command's source and encode them, each into a row of pieces that
 * are the batch's own buffers wherever that is possible; the loop sends them. No more than
 * QUEUE_BATCHES_MAX wait for the loop: a client that reads slowly stops the steps, which hold no thread
 * meanwhile, only the statement, and its time-out stands. While the loop sends, the next batch is drawn.
 *
 *   step: open --> draw, encode, queue ... --queue full--> (woken when one was taken) --> ... --> over
 *   loop: take, send ... --all sent and over--> finish
 *
 * 1. What lies under `lock` is shared with the loop; source, writer and batch are the step's.
 * 2. The source is closed by a step, on a worker, before the ask is over. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "flight/data.h"
#include "server/flight_methods.h"
#include "server/flight_single.h"
#include "server/query_ask.h"

enum {
  QUEUE_BATCHES_MAX = 4, /* encoded and not yet sent */
  STARVED_RETRY_MS = 20, /* while others hold all memory for answers */
};

/* One batch as it goes out. */
struct pieces {
  struct buffer *items;
  size_t count, room;
};

struct get {
  struct flight_single single; /* its message stays until the ask is over */
  struct ipc_writer_options options;
  struct net_post post; /* something was queued */

  struct source *rows;
  struct flight_writer *writer;
  struct ArrowArray batch; /* that there was no memory to encode */
  struct pieces out;       /* what is being encoded */

  pthread_mutex_t lock;
  struct pieces queue[QUEUE_BATCHES_MAX]; /* a ring, oldest at queue_first */
  size_t queue_first, queue_count;
  int64_t drawn_rows;
  bool over; /* no more will be queued, and all is well */

  int64_t sent_bytes; /* the loop's */
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

static bool has_room(struct get *get) {
  pthread_mutex_lock(&get->lock);
  bool room = get->queue_count < QUEUE_BATCHES_MAX;
  pthread_mutex_unlock(&get->lock);
  return room;
}

/* Hands what was encoded to the loop; there is room. */
static void queue_pieces(struct get *get, int64_t rows, bool over) {
  pthread_mutex_lock(&get->lock);
  if (get->out.count > 0)
    get->queue[(get->queue_first + get->queue_count++) % QUEUE_BATCHES_MAX] = get->out;
  get->drawn_rows += rows;
  get->over = over;
  pthread_mutex_unlock(&get->lock);
  get->out = (struct pieces){.items = NULL};
  net_loop_post(get->single.request.server->loop, &get->post);
}

static enum status open_rows(struct get *get, struct flight_ask *ask, struct error *error) {
  FlightTicket *ticket = FLIGHT(ticket__unpack)(NULL, (size_t)get->single.message.size_bytes,
                                                get->single.message.data);
  struct flight_request request = {.command = NULL};
  enum status status =
      ticket != NULL
          ? flight_request_ticket(ask, ticket->ticket.data, ticket->ticket.len, &request, error)
          : error_set(error, STATUS_INVALID, "the request is no Ticket");
  if (status == STATUS_OK && request.command->get == NULL)
    status = error_set(error, STATUS_UNSUPPORTED, "%s has no rows that DoGet could read",
                       request.command->name);
  if (status == STATUS_OK)
    status = request.command->get(ask, &request.any->value, &get->rows, error);
  flight_request_release(&request);
  if (ticket != NULL) FLIGHT(ticket__free_unpacked)(ticket, NULL);
  return status;
}

static enum status begin(struct get *get, struct flight_ask *ask, struct error *error) {
  const struct flight_out out = {.piece = take_piece, .context = &get->out};
  enum status status = open_rows(get, ask, error);
  if (status == STATUS_OK)
    status = flight_writer_new(source_schema(get->rows), &get->options, &ask->server->answers,
                               &get->writer, error);
  if (status == STATUS_OK) flight_writer_cut(get->writer, FLIGHT_MESSAGE_BYTES_MODEST);
  if (status == STATUS_OK) status = flight_writer_schema(get->writer, NULL, &out, error);
  return status;
}

/* The next batch into `out`; `*rows` -1: there is none. */
static enum status draw(struct get *get, int64_t *rows, struct error *error) {
  const struct flight_out out = {.piece = take_piece, .context = &get->out};
  enum status status = STATUS_OK;
  *rows = -1;
  if (get->batch.release == NULL) status = source_next(get->rows, &get->batch, error);
  if (status != STATUS_OK || get->batch.release == NULL) return status;
  *rows = get->batch.length;
  return flight_writer_batch(get->writer, &get->batch, NULL, &out, error);
}

static void close_rows(struct get *get) {
  arrow_array_release(&get->batch);
  flight_writer_free(get->writer);
  source_close(get->rows);
  pieces_release(&get->out);
  get->writer = NULL;
  get->rows = NULL;
}

static enum status get_step(void *context, struct flight_ask *ask, bool *over,
                            struct error *error) {
  struct get *get = context;
  *over = false;
  enum status status = flight_ask_check(ask, error);
  if (status == STATUS_OK && get->rows == NULL) status = begin(get, ask, error);
  bool begun = get->writer != NULL;
  while (status == STATUS_OK && !*over && has_room(get)) {
    int64_t rows = -1;
    status = draw(get, &rows, error);
    if (status != STATUS_OK) break;
    *over = rows < 0;
    queue_pieces(get, *over ? 0 : rows, *over);
    status = flight_ask_check(ask, error);
  }
  if (status == STATUS_BUDGET && begun) {
    error->retry_after_ms = STARVED_RETRY_MS; /* it has begun: it can only wait, or break off */
    return status;
  }
  if (status != STATUS_OK || *over) close_rows(get);
  return status;
}

/* ---- the loop's side --------------------------------------------------------------------------------------- */

/* The oldest queued batch; false when there is none. `last`: nothing comes after. */
static bool take_pieces(struct get *get, struct pieces *out, bool *last) {
  pthread_mutex_lock(&get->lock);
  bool any = get->queue_count > 0;
  if (any) {
    *out = get->queue[get->queue_first];
    get->queue_first = (get->queue_first + 1) % QUEUE_BATCHES_MAX;
    get->queue_count--;
  }
  *last = get->over && get->queue_count == 0;
  pthread_mutex_unlock(&get->lock);
  if (any) flight_ask_wake(get->single.ask);
  return any;
}

static void finish(struct get *get) {
  struct request *request = &get->single.request;
  const struct error none = {.status = STATUS_OK};
  request->call->rows = get->drawn_rows;
  metrics_query(request->server->metrics, "flight", get->drawn_rows, get->sent_bytes);
  flight_finish(request, get->single.grpc, STATUS_OK, &none);
}

/* It is the client's time that passes while it could take more than it does. */
static void follow_clock(struct get *get) {
  pthread_mutex_lock(&get->lock);
  bool waits_for_client = get->queue_count == QUEUE_BATCHES_MAX || get->over;
  pthread_mutex_unlock(&get->lock);
  flight_ask_clock(get->single.ask, !waits_for_client);
}

/* Sends what is queued for as long as the client takes it. */
static void on_queued(void *context) {
  struct get *get = context;
  struct grpc_call *grpc = get->single.grpc;
  if (get->single.request.exchange == NULL || grpc_finished(grpc)) return;
  while (grpc_writable(grpc)) {
    struct pieces out = {.items = NULL};
    bool last;
    if (!take_pieces(get, &out, &last) && !last) break;
    for (size_t i = 0; i < out.count; i++) {
      get->sent_bytes += out.items[i].size_bytes;
      grpc_write(grpc, &out.items[i]);
    }
    pieces_release(&out);
    if (last) {
      finish(get);
      return;
    }
  }
  follow_clock(get);
}

static void get_done(void *context, enum status status, const struct error *error) {
  struct get *get = context;
  struct flight_single *single = &get->single;
  if (status != STATUS_OK || single->request.exchange == NULL) {
    if (single->request.call != NULL) single->request.call->rows = get->drawn_rows;
    flight_single_over(single, status, error);
    return;
  }
  single->runs = false; /* what is queued goes on being sent; the exchange frees */
  on_queued(get);
}

static void get_release(struct flight_single *single) {
  struct get *get = (struct get *)single;
  while (get->queue_count-- > 0) {
    pieces_release(&get->queue[get->queue_first]);
    get->queue_first = (get->queue_first + 1) % QUEUE_BATCHES_MAX;
  }
  pthread_mutex_destroy(&get->lock);
}

static void get_start(struct flight_single *single) {
  struct get *get = (struct get *)single;
  const struct http_request *request = http_exchange_request(single->request.exchange);
  const char *compression = http_request_header(request, "x-arrowport-compression");
  struct error error;
  if (compression != NULL &&
      query_compression_read(compression, &get->options, &error) != STATUS_OK) {
    flight_finish(&single->request, single->grpc, error.status, &error);
    return;
  }
  get->options.workers = single->request.server->workers;
  grpc_on_writable(single->grpc, on_queued, get);
  single->runs = true;
  flight_ask_steps(single->ask, get_step, get_done, get);
}

void flight_get_start(struct call *call) {
  if (!flight_is_call(call)) return;
  struct get *get = (struct get *)flight_single_new(call, sizeof *get, get_start, get_release);
  if (get == NULL) return;
  get->post = (struct net_post){.run = on_queued, .context = get};
  pthread_mutex_init(&get->lock, NULL);
}
