/* The rows of all endpoints of a FlightInfo.
 *
 * One endpoint, or one at a time, is read on the caller's thread. Of several, each is read by a thread
 * that puts what comes into the endpoint's own queue and waits while that is full. Threads take
 * endpoints in their order, so the one whose rows are due next is always under way or over, and a full
 * queue of another cannot hold it up.
 *
 * Invariants, all under `lock`:
 *   1. endpoints [0, next) were taken by a thread; a queue is filled by one thread.
 *   2. A queue that is `done` gets nothing more; `status` says how its endpoint ended.
 *   3. Ordered: queues [0, current) are done and empty. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/schema.h"
#include "flight/client_private.h"

enum { QUEUE_BYTES_MAX = 32 << 20, THREADS_MAX = 64, ENDPOINTS_MAX = 1000000 };
enum { MEMORY_WAIT_MS = 20, MEMORY_WAITS_MAX = 500 };

struct queued {
  struct flight_chunk chunk;
  struct queued *next;
};

struct queue {
  struct queued *first;
  struct queued **last;
  int64_t bytes;
  bool done;
  enum status status;
  struct error *error; /* NULL: none */
};

struct flight_reader {
  struct flight_client *client;
  FlightInfo *info; /* a copy */
  struct flight_client_headers headers;
  struct flight_call_options options; /* with the reader's own cancel, and copied headers */
  int64_t until_ms;
  struct ArrowSchema schema;
  struct flight_cancel *cancel;
  struct flight_cancel_entry outer; /* in what the caller gave */
  struct flight_cancel_entry inner; /* in ours: wakes those who wait for a queue */
  struct flight_stream *stream;     /* the first one, until a thread takes it; or the current one */
  size_t at;                        /* read here: the endpoint that comes next */

  pthread_mutex_t lock;
  pthread_cond_t more;
  pthread_cond_t room;
  pthread_t threads[THREADS_MAX];
  int thread_count; /* 0: read on the caller's thread */
  struct queue *queues;
  size_t next;
  size_t current;
  bool stopped;
};

/* ---- one endpoint ---------------------------------------------------------------------------------- */

static enum status open_endpoint(struct flight_reader *reader, size_t index,
                                 struct flight_stream **stream, struct error *error) {
  struct error where = {.status = STATUS_OK};
  enum status status = flight_stream_open(reader->client, reader->info->endpoint[index],
                                          &reader->options, reader->until_ms, stream, error);
  if (status != STATUS_OK || index == 0) return status;
  if (arrow_schema_equal(&reader->schema, flight_stream_schema(*stream), &where)) return STATUS_OK;
  flight_stream_close(*stream);
  *stream = NULL;
  return error_set(error, STATUS_SCHEMA,
                   "endpoint %zu has another schema than the first one: %.600s", index, where.text);
}

/* ---- threads ------------------------------------------------------------------------------------------ */

/* False: nobody wants any more. Takes the chunk in any case. */
static bool put_chunk(struct flight_reader *reader, struct queue *queue, struct flight_chunk *chunk,
                      struct error *error, enum status *status) {
  struct queued *queued = calloc(1, sizeof *queued);
  if (queued == NULL) {
    flight_chunk_release(chunk);
    *status = error_set(error, STATUS_NOMEM, "no memory for a batch");
    return false;
  }
  queued->chunk = *chunk;
  pthread_mutex_lock(&reader->lock);
  while (queue->first != NULL && queue->bytes >= QUEUE_BYTES_MAX && !reader->stopped)
    pthread_cond_wait(&reader->room, &reader->lock);
  bool goes_on = !reader->stopped;
  if (goes_on) {
    *queue->last = queued;
    queue->last = &queued->next;
    queue->bytes += chunk->bytes;
    pthread_cond_signal(&reader->more);
  }
  pthread_mutex_unlock(&reader->lock);
  if (goes_on) return true;
  flight_chunk_release(&queued->chunk);
  free(queued);
  return false;
}

/* Others hold what we need: their batches are released by whoever reads, if not soon, never. */
static bool wait_for_memory(struct flight_reader *reader, int *waits) {
  return (*waits)++ < MEMORY_WAITS_MAX && flight_cancel_wait(reader->cancel, MEMORY_WAIT_MS);
}

static enum status read_endpoint(struct flight_reader *reader, size_t index, struct error *error) {
  struct flight_stream *stream = NULL;
  struct flight_chunk chunk;
  bool got = true;
  int waits = 0;
  enum status status = STATUS_OK;
  if (index == 0) {
    stream = reader->stream;
    reader->stream = NULL;
  } else {
    status = open_endpoint(reader, index, &stream, error);
  }
  while (status == STATUS_OK) {
    status = flight_stream_next(stream, &chunk, &got, error);
    if (status == STATUS_BUDGET && wait_for_memory(reader, &waits)) {
      status = STATUS_OK;
      continue;
    }
    waits = 0;
    if (status != STATUS_OK || !got) break;
    if (!put_chunk(reader, &reader->queues[index], &chunk, error, &status)) break;
  }
  flight_stream_close(stream);
  return status;
}

static void *run(void *context) {
  struct flight_reader *reader = context;
  struct error *error = calloc(1, sizeof *error);
  pthread_mutex_lock(&reader->lock);
  while (!reader->stopped && reader->next < reader->info->n_endpoint) {
    size_t index = reader->next++;
    struct queue *queue = &reader->queues[index];
    pthread_mutex_unlock(&reader->lock);
    enum status status = read_endpoint(reader, index, error);
    pthread_mutex_lock(&reader->lock);
    queue->done = true;
    queue->status = status;
    if (status != STATUS_OK) {
      queue->error = error;
      error = NULL;
    }
    pthread_cond_signal(&reader->more);
    if (status != STATUS_OK) break;
  }
  pthread_mutex_unlock(&reader->lock);
  free(error);
  return NULL;
}

static enum status start_threads(struct flight_reader *reader, struct error *error) {
  size_t count = reader->info->n_endpoint;
  if (count <= 1 || reader->client->parallel <= 1) return STATUS_OK;
  reader->queues = calloc(count, sizeof reader->queues[0]);
  if (reader->queues == NULL) return error_set(error, STATUS_NOMEM, "no memory for endpoints");
  for (size_t i = 0; i < count; i++) reader->queues[i].last = &reader->queues[i].first;
  int wanted = reader->client->parallel;
  if ((size_t)wanted > count) wanted = (int)count;
  /* Those that could be started do the work of all. */
  while (reader->thread_count < wanted &&
         pthread_create(&reader->threads[reader->thread_count], NULL, run, reader) == 0)
    reader->thread_count++;
  return STATUS_OK;
}

/* ---- opening ----------------------------------------------------------------------------------------------- */

static void fire_outer(void *context) { flight_cancel_now(context); }

static void fire_inner(void *context) {
  struct flight_reader *reader = context;
  pthread_mutex_lock(&reader->lock);
  reader->stopped = true;
  pthread_cond_broadcast(&reader->more);
  pthread_cond_broadcast(&reader->room);
  pthread_mutex_unlock(&reader->lock);
}

static enum status copy_info(const FlightInfo *info, FlightInfo **copy, struct error *error) {
  struct buffer packed = BUFFER_EMPTY;
  if (info->n_endpoint > ENDPOINTS_MAX)
    return error_set(error, STATUS_TOO_LARGE, "the FlightInfo has %zu endpoints, more than %d",
                     info->n_endpoint, ENDPOINTS_MAX);
  enum status status = flight_client_pack(&info->base, &packed, error);
  if (status == STATUS_OK)
    status = flight_client_unpack(&FLIGHT(flight_info__descriptor), packed.data,
                                  (size_t)packed.size_bytes, (ProtobufCMessage **)copy, error);
  buffer_release(&packed);
  return status;
}

static enum status copy_options(struct flight_reader *reader,
                                const struct flight_call_options *options, struct error *error) {
  enum status status = STATUS_OK;
  for (size_t i = 0; options != NULL && i < options->header_count && status == STATUS_OK; i++)
    status = flight_client_headers_add(&reader->headers, options->headers[i].name,
                                       options->headers[i].value, error);
  reader->options = (struct flight_call_options){
      .timeout_ms = options == NULL ? 0 : options->timeout_ms,
      .headers = reader->headers.list,
      .header_count = reader->headers.count,
      .cancel = reader->cancel,
  };
  reader->until_ms = flight_client_until_ms(reader->client, options);
  return status;
}

/* The schema is the first stream's; without one, what the info says. */
static enum status open_first(struct flight_reader *reader, struct error *error) {
  const ProtobufCBinaryData *said = &reader->info->schema;
  if (reader->info->n_endpoint == 0)
    return said->len > 0 ? flight_schema_read(said->data, said->len, &reader->schema, error)
                         : arrow_schema_init(&reader->schema, "+s", "", false, 0, error);
  enum status status = open_endpoint(reader, 0, &reader->stream, error);
  reader->at = 1;
  if (status == STATUS_OK)
    status = arrow_schema_copy(flight_stream_schema(reader->stream), &reader->schema, error);
  return status;
}

enum status flight_reader_open(struct flight_client *client, const FlightInfo *info,
                               const struct flight_call_options *options,
                               struct flight_reader **reader, struct error *error) {
  struct flight_reader *made = calloc(1, sizeof *made);
  *reader = NULL;
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a reader");
  made->client = client;
  pthread_mutex_init(&made->lock, NULL);
  pthread_cond_init(&made->more, NULL);
  pthread_cond_init(&made->room, NULL);
  enum status status = flight_cancel_new(&made->cancel, error);
  if (status == STATUS_OK) {
    flight_cancel_add(options == NULL ? NULL : options->cancel, &made->outer, fire_outer,
                      made->cancel);
    flight_cancel_add(made->cancel, &made->inner, fire_inner, made);
    status = copy_info(info, &made->info, error);
  }
  if (status == STATUS_OK) status = copy_options(made, options, error);
  if (status == STATUS_OK) status = open_first(made, error);
  if (status == STATUS_OK) status = start_threads(made, error);
  if (status == STATUS_OK)
    *reader = made;
  else
    flight_reader_close(made);
  return status;
}

enum status flight_reader_open_ticket(struct flight_client *client, const void *ticket,
                                      size_t bytes, const struct flight_call_options *options,
                                      struct flight_reader **reader, struct error *error) {
  FlightTicket one = ARROW__FLIGHT__PROTOCOL__TICKET__INIT;
  FlightEndpoint endpoint = ARROW__FLIGHT__PROTOCOL__FLIGHT_ENDPOINT__INIT;
  FlightEndpoint *endpoints[] = {&endpoint};
  FlightInfo info = ARROW__FLIGHT__PROTOCOL__FLIGHT_INFO__INIT;
  one.ticket.len = bytes;
  memcpy(&one.ticket.data, &ticket, sizeof one.ticket.data);
  endpoint.ticket = &one;
  info.n_endpoint = 1;
  info.endpoint = endpoints;
  return flight_reader_open(client, &info, options, reader, error);
}

const struct ArrowSchema *flight_reader_schema(const struct flight_reader *reader) {
  return &reader->schema;
}

void flight_reader_cancel(struct flight_reader *reader) { flight_cancel_now(reader->cancel); }

void flight_reader_close(struct flight_reader *reader) {
  if (reader == NULL) return;
  flight_cancel_remove(&reader->outer);
  flight_cancel_now(reader->cancel);
  for (int i = 0; i < reader->thread_count; i++) pthread_join(reader->threads[i], NULL);
  flight_stream_close(reader->stream);
  for (size_t i = 0; reader->queues != NULL && i < reader->info->n_endpoint; i++) {
    for (struct queued *queued = reader->queues[i].first, *next; queued != NULL; queued = next) {
      next = queued->next;
      flight_chunk_release(&queued->chunk);
      free(queued);
    }
    free(reader->queues[i].error);
  }
  free(reader->queues);
  flight_cancel_remove(&reader->inner);
  flight_cancel_free(reader->cancel);
  flight_client_headers_release(&reader->headers);
  if (reader->info != NULL) FLIGHT(flight_info__free_unpacked)(reader->info, NULL);
  arrow_schema_release(&reader->schema);
  pthread_cond_destroy(&reader->more);
  pthread_cond_destroy(&reader->room);
  pthread_mutex_destroy(&reader->lock);
  free(reader);
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

static enum status next_here(struct flight_reader *reader, struct flight_chunk *chunk, bool *got,
                             struct error *error) {
  enum status status = STATUS_OK;
  *got = false;
  while (status == STATUS_OK) {
    if (reader->stream == NULL && reader->at == reader->info->n_endpoint) return STATUS_OK;
    if (reader->stream == NULL)
      status = open_endpoint(reader, reader->at++, &reader->stream, error);
    if (status == STATUS_OK) status = flight_stream_next(reader->stream, chunk, got, error);
    if (status != STATUS_OK || *got) break;
    flight_stream_close(reader->stream);
    reader->stream = NULL;
  }
  return status;
}

/* The queue to take from, or that failed; NULL: wait. `*over`: there is no more. Locked. */
static struct queue *find_queue(struct flight_reader *reader, bool *over) {
  size_t count = reader->info->n_endpoint;
  while (reader->current < count && reader->queues[reader->current].done &&
         reader->queues[reader->current].first == NULL &&
         reader->queues[reader->current].status == STATUS_OK)
    reader->current++;
  *over = reader->current == count;
  if (*over) return NULL;
  size_t end = reader->info->ordered ? reader->current + 1 : reader->next;
  for (size_t i = reader->current; i < end; i++) {
    struct queue *queue = &reader->queues[i];
    if (queue->first != NULL || (queue->done && queue->status != STATUS_OK)) return queue;
  }
  return NULL;
}

static enum status next_queued(struct flight_reader *reader, struct flight_chunk *chunk, bool *got,
                               struct error *error) {
  struct queue *queue = NULL;
  struct queued *queued = NULL;
  enum status status = STATUS_OK;
  bool over = false;
  pthread_mutex_lock(&reader->lock);
  while (!reader->stopped && (queue = find_queue(reader, &over)) == NULL && !over)
    pthread_cond_wait(&reader->more, &reader->lock);
  if (reader->stopped) {
    status = error_set(error, STATUS_CANCELLED, "the reader was cancelled");
  } else if (queue != NULL && queue->first != NULL) {
    queued = queue->first;
    queue->first = queued->next;
    if (queue->first == NULL) queue->last = &queue->first;
    queue->bytes -= queued->chunk.bytes;
    pthread_cond_broadcast(&reader->room);
  } else if (queue != NULL) {
    status = queue->status;
    if (error != NULL && queue->error != NULL) *error = *queue->error;
  }
  pthread_mutex_unlock(&reader->lock);
  *got = queued != NULL;
  if (queued != NULL) *chunk = queued->chunk;
  free(queued);
  return status;
}

enum status flight_reader_next(struct flight_reader *reader, struct flight_chunk *chunk, bool *got,
                               struct error *error) {
  *chunk = (struct flight_chunk){.bytes = 0};
  return reader->thread_count > 0 ? next_queued(reader, chunk, got, error)
                                  : next_here(reader, chunk, got, error);
}
