/* /query: SQL in, rows out, drawn as fast as the client reads.
 *
 * A task runs the statement and encodes its result, a batch at a time, into buffers
 * that the loop sends. No more than QUEUE_BUFFERS_MAX of them wait for the loop: a
 * client that reads slowly stops the task, which holds no thread meanwhile, only the
 * statement. A small answer goes out whole, with its length.
 *
 *   STARTING --engine_query--> ROWS --last batch--> DONE
 *       |                       |
 *       +---- error, time-out, client gone: ------> DONE
 *
 * 1. What lies under `lock` is shared with the loop; session, result and encoder are
 *    the task's.
 * 2. The session is there, under the lock, from before the statement starts until
 *    the task has finished with it, so that an interrupt always finds it alive.
 * 3. The struct lives until the exchange is over (`request.exchange` NULL) and the
 *    task has retired (`retired`); both are told on the loop's thread. */
#include "server/private.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/encode.h"
#include "arrow/ipc.h"
#include "base/clock.h"
#include "engine/engine.h"
#include "server/query_ask.h"

enum {
  SQL_BYTES_MAX = 4 << 20, /* of a statement: parsing must not take memory for ever */
  QUEUE_BUFFERS_MAX = 4,   /* encoded and not yet sent */
  WHOLE_ANSWER_BYTES_MAX = 64 << 10,
  STARVED_RETRY_MS = 20, /* as an ingest waits for memory: 10 seconds in all */
  STARVED_TRIES = 500,
};

struct query {
  struct request request;
  enum query_output output;
  bool read_only;
  struct query_ask ask;
  struct buffer body; /* of the request, while it arrives */
  bool answered;      /* an answer was begun, or nobody is left to get one */

  struct task task;
  struct net_post post;      /* something was queued */
  struct net_post done_post; /* the task has retired: the last word it sends */
  struct net_timer *timeout;

  pthread_mutex_t lock;
  struct engine_session *session;
  enum status stop;                       /* why to stop; STATUS_OK: go on */
  struct buffer queue[QUEUE_BUFFERS_MAX]; /* a ring, oldest at queue_first */
  size_t queue_first, queue_count;
  bool over; /* no more will be queued; see status */
  enum status status;
  struct error error;

  struct engine_result *result;
  struct ArrowArray batch;   /* drawn and not yet encoded */
  struct ipc_writer *writer; /* QUERY_ARROW */
  struct encoder *encoder;   /* the others */

  _Atomic int64_t rows; /* encoded */

  bool streaming; /* http_start was called */
  int64_t sent_bytes;
  bool retired; /* the task will not run again */
};

/* ---- the task's side --------------------------------------------------------------- */

static enum status encode_begin(struct query *query, struct buffer *out, struct error *error) {
  struct budget *budget = &query->request.server->budget;
  const struct ArrowSchema *schema = engine_result_schema(query->result);
  enum status status;
  if (query->output == QUERY_ARROW) {
    /* Not compressed: it goes to this machine, whose loopback is faster than ZSTD. */
    status = ipc_writer_new(schema, NULL, budget, &query->writer, error);
    return status == STATUS_OK ? ipc_writer_schema(query->writer, out, error) : status;
  }
  static const enum encode_format formats[] = {
      [QUERY_JSON] = ENCODE_JSON, [QUERY_NDJSON] = ENCODE_NDJSON, [QUERY_CSV] = ENCODE_CSV};
  status = encoder_new(formats[query->output], schema, budget, &query->encoder, error);
  return status == STATUS_OK ? encoder_begin(query->encoder, out, error) : status;
}

static enum status encode_batch(struct query *query, const struct ArrowArray *batch,
                                struct buffer *out, struct error *error) {
  return query->writer != NULL ? ipc_writer_batch(query->writer, batch, out, error)
                               : encoder_batch(query->encoder, batch, out, error);
}

static enum status encode_end(struct query *query, struct buffer *out, struct error *error) {
  return query->writer != NULL ? ipc_writer_end(query->writer, out, error)
                               : encoder_end(query->encoder, out, error);
}

/* Opens a session and runs the statement up to its first row. */
static enum status start(struct query *query, struct buffer *out, struct error *error) {
  struct engine *engine = NULL;
  enum status status = storage_engine(query->request.server->storage, &engine, error);
  if (status != STATUS_OK) return status;
  struct engine_session *session = NULL;
  status = engine_session_open(engine, &session, error);
  if (status != STATUS_OK) return status;

  pthread_mutex_lock(&query->lock);
  query->session = session;
  enum status stop = query->stop;
  pthread_mutex_unlock(&query->lock);
  if (stop != STATUS_OK) return error_set(error, stop, "the query was given up before it began");

  struct engine_query asked = {
      .sql = query->ask.sql,
      .parameters = query->ask.parameters,
      .parameter_count = query->ask.parameter_count,
      .read_only = query->read_only,
      .budget = &query->request.server->budget,
  };
  status = engine_query(session, &asked, &query->result, error);
  return status == STATUS_OK ? encode_begin(query, out, error) : status;
}

/* The next batch, or the end, encoded into `out`. After STATUS_BUDGET it may be
 * repeated: a batch that was drawn stays until it is encoded. */
static enum status step(struct query *query, struct buffer *out, bool *ended, struct error *error) {
  if (query->batch.release == NULL) {
    enum status status = engine_result_next(query->result, &query->batch, error);
    if (status != STATUS_OK) return status;
  }
  *ended = query->batch.release == NULL;
  if (*ended) return encode_end(query, out, error);
  int64_t rows = query->batch.length;
  enum status status = encode_batch(query, &query->batch, out, error);
  if (status != STATUS_OK) return status;
  query->rows += rows;
  arrow_array_release(&query->batch);
  return STATUS_OK;
}

static bool stopped(struct query *query) {
  pthread_mutex_lock(&query->lock);
  bool stop = query->stop != STATUS_OK;
  pthread_mutex_unlock(&query->lock);
  return stop;
}

/* While others hold all memory, waits for some: an answer that has begun can only be
 * broken off. Holds its worker meanwhile. */
static enum status step_patiently(struct query *query, struct buffer *out, bool *ended,
                                  struct error *error) {
  enum status status = step(query, out, ended, error);
  for (int tries = 0; status == STATUS_BUDGET && tries < STARVED_TRIES && !stopped(query);
       tries++) {
    clock_sleep_ms(STARVED_RETRY_MS);
    status = step(query, out, ended, error);
  }
  return status;
}

/* Lets go of the session, which interrupts could reach until now. */
static void close_session(struct query *query) {
  engine_result_close(query->result);
  query->result = NULL;
  pthread_mutex_lock(&query->lock);
  struct engine_session *session = query->session;
  query->session = NULL;
  pthread_mutex_unlock(&query->lock);
  engine_session_close(session);
}

/* Hands what was encoded to the loop; true when there is room for more. */
static bool queue_buffer(struct query *query, struct buffer *out) {
  pthread_mutex_lock(&query->lock);
  if (out->size_bytes > 0) {
    size_t at = (query->queue_first + query->queue_count++) % QUEUE_BUFFERS_MAX;
    query->queue[at] = *out;
    *out = BUFFER_EMPTY;
  }
  bool room = query->queue_count < QUEUE_BUFFERS_MAX;
  pthread_mutex_unlock(&query->lock);
  return room;
}

static bool may_go_on(struct query *query, struct error *error, enum status *status) {
  pthread_mutex_lock(&query->lock);
  *status = query->stop;
  bool room = query->queue_count < QUEUE_BUFFERS_MAX;
  pthread_mutex_unlock(&query->lock);
  if (*status != STATUS_OK) error_set(error, *status, "the query was given up");
  return room || *status != STATUS_OK;
}

static void finish(struct query *query, enum status status, const struct error *error) {
  close_session(query);
  pthread_mutex_lock(&query->lock);
  query->over = true;
  query->status = status;
  if (status != STATUS_OK) query->error = *error;
  pthread_mutex_unlock(&query->lock);
  struct net_loop *loop = query->request.server->loop;
  task_retire(&query->task);
  net_loop_post(loop, &query->done_post);
}

static void query_task(void *context) {
  struct query *query = context;
  for (;;) {
    struct error error = {.status = STATUS_OK};
    enum status status;
    if (!may_go_on(query, &error, &status)) return;
    struct buffer out = BUFFER_EMPTY;
    bool ended = false;
    if (status == STATUS_OK && query->result == NULL) status = start(query, &out, &error);
    /* What a small answer consists of, up to its end, goes into one buffer. */
    while (status == STATUS_OK && !ended && out.size_bytes < WHOLE_ANSWER_BYTES_MAX)
      status = step_patiently(query, &out, &ended, &error);
    if (status != STATUS_OK || ended) {
      if (status == STATUS_OK) queue_buffer(query, &out);
      buffer_release(&out);
      finish(query, status, &error);
      return;
    }
    queue_buffer(query, &out);
    net_loop_post(query->request.server->loop, &query->post);
  }
}

/* ---- the loop's side ----------------------------------------------------------------- */

static void query_free(struct query *query) {
  request_end(&query->request);
  net_timer_free(query->timeout);
  while (query->queue_count-- > 0) {
    buffer_release(&query->queue[query->queue_first]);
    query->queue_first = (query->queue_first + 1) % QUEUE_BUFFERS_MAX;
  }
  arrow_array_release(&query->batch);
  engine_result_close(query->result);
  ipc_writer_free(query->writer);
  encoder_free(query->encoder);
  buffer_release(&query->body);
  query_ask_release(&query->ask);
  pthread_mutex_destroy(&query->lock);
  free(query);
}

/* Stops the statement, wherever it is. */
static void stop(struct query *query, enum status reason) {
  pthread_mutex_lock(&query->lock);
  if (query->stop == STATUS_OK) query->stop = reason;
  if (query->session != NULL) engine_interrupt(query->session, reason);
  if (!query->over) task_wake(&query->task); /* under the lock: not after it has retired */
  pthread_mutex_unlock(&query->lock);
}

static void on_timeout(void *context) { stop(context, STATUS_TIMEOUT); }
static void on_gone(void *context) { stop(context, STATUS_CANCELLED); }

/* The oldest queued buffer; false when there is none. `last`: nothing comes after. */
static bool take_buffer(struct query *query, struct buffer *out, bool *last) {
  pthread_mutex_lock(&query->lock);
  bool any = query->queue_count > 0;
  if (any) {
    *out = query->queue[query->queue_first];
    query->queue[query->queue_first] = BUFFER_EMPTY;
    query->queue_first = (query->queue_first + 1) % QUEUE_BUFFERS_MAX;
    query->queue_count--;
  }
  *last = query->over && query->queue_count == 0 && query->status == STATUS_OK;
  if (any && !query->over) task_wake(&query->task);
  pthread_mutex_unlock(&query->lock);
  return any;
}

/* The answer is whole, as far as the server can tell: `last_bytes` of it go out now. */
static void count(struct query *query, int64_t last_bytes) {
  static const char *const formats[] = {[QUERY_ARROW] = "arrow",
                                        [QUERY_JSON] = "json",
                                        [QUERY_NDJSON] = "ndjson",
                                        [QUERY_CSV] = "csv"};
  query->request.call->rows = query->rows;
  metrics_query(query->request.server->metrics, formats[query->output], query->rows,
                query->sent_bytes + last_bytes);
}

/* Sends what is queued for as long as the client takes it. */
static void send_queued(struct query *query) {
  struct http_exchange *exchange = query->request.exchange;
  const struct http_header headers[] = {{"content-type", query_output_type(query->output)},
                                        RESPOND_NOSNIFF};
  while (!query->streaming || http_writable(exchange)) {
    struct buffer out = BUFFER_EMPTY;
    bool last;
    bool any = take_buffer(query, &out, &last);
    if (!any && !last) return;
    query->answered = last;
    if (last) count(query, out.size_bytes);
    if (last && !query->streaming) {
      http_respond(exchange, 200, headers, 2, out.data, (size_t)out.size_bytes);
      buffer_release(&out);
      return;
    }
    if (!query->streaming) http_start(exchange, 200, headers, 2);
    query->streaming = true;
    query->sent_bytes += out.size_bytes;
    if (any) http_write(exchange, &out);
    if (last) {
      http_end(exchange);
      return;
    }
  }
}

static void on_queued(void *context) {
  struct query *query = context;
  if (query->request.exchange != NULL && !query->answered) send_queued(query);
}

static void on_done(void *context) {
  struct query *query = context;
  query->retired = true;
  query->request.server->queries_running--;
  net_timer_stop(query->timeout);
  if (query->request.exchange == NULL) {
    query_free(query);
  } else if (query->answered) {
    return;
  } else if (query->status == STATUS_OK) {
    send_queued(query);
  } else {
    query->answered = true;
    if (query->streaming)
      http_abort(query->request.exchange);
    else
      respond_problem(query->request.exchange, query->status, &query->error);
  }
}

static void query_finished(struct request *request) {
  struct query *query = (struct query *)request;
  bool started = query->ask.sql != NULL;
  query->answered = true;
  if (!started || query->retired)
    query_free(query);
  else
    stop(query, STATUS_CANCELLED);
}

static void query_run(struct query *query) {
  struct server *server = query->request.server;
  http_on_gone(query->request.exchange, on_gone, query);
  http_on_writable(query->request.exchange, on_queued, query);
  task_init(&query->task, server->workers, query_task, query);
  server->queries_running++;
  query->post = (struct net_post){.run = on_queued, .context = query};
  query->done_post = (struct net_post){.run = on_done, .context = query};
  int64_t timeout_ms = query->request.config->query_timeout_ms;
  if (timeout_ms > 0) net_timer_start(query->timeout, timeout_ms);
  task_wake(&query->task);
}

static void refuse(struct query *query, enum status status, const struct error *error) {
  query->answered = true;
  respond_problem(query->request.exchange, status, error);
}

/* ---- the request's body ------------------------------------------------------------------ */

static enum status body_window(void *context, uint8_t **data, int64_t *bytes) {
  struct query *query = context;
  if (query->answered) return STATUS_CANCELLED;
  struct error error;
  struct buffer *body = &query->body;
  if (body->size_bytes == body->capacity_bytes) {
    int64_t wanted = body->capacity_bytes == 0 ? 4096 : body->capacity_bytes * 2;
    enum status status = wanted > SQL_BYTES_MAX
                             ? error_set(&error, STATUS_TOO_LARGE,
                                         "the statement is longer than %d bytes", SQL_BYTES_MAX)
                             : buffer_reserve(body, &query->request.server->budget, wanted, &error);
    if (status != STATUS_OK) {
      refuse(query, status, &error);
      return STATUS_CANCELLED;
    }
  }
  *data = body->data + body->size_bytes;
  *bytes = body->capacity_bytes - body->size_bytes;
  return STATUS_OK;
}

static enum status body_filled(void *context, int64_t bytes) {
  struct query *query = context;
  query->body.size_bytes += bytes;
  return STATUS_OK;
}

/* Runs what was asked, or says why not. */
static void ask_and_run(struct query *query,
                        enum status (*ask)(struct query_ask *ask, const void *data, size_t bytes,
                                           struct error *error)) {
  if (query->answered) return;
  struct error error;
  enum status status = ask(&query->ask, query->body.data, (size_t)query->body.size_bytes, &error);
  if (status == STATUS_OK)
    query_run(query);
  else
    refuse(query, status, &error);
}

static void body_end_sql(void *context) { ask_and_run(context, query_ask_sql); }
static void body_end_json(void *context) { ask_and_run(context, query_ask_json); }

static void body_gone(void *context, const struct error *why) {
  struct query *query = context;
  (void)why;
  query->answered = true;
}

/* ---- start ---------------------------------------------------------------------------------- */

static struct query *query_new(struct call *call, enum query_output output, struct error *error) {
  struct query *query = calloc(1, sizeof *query);
  if (query == NULL) {
    error_set(error, STATUS_NOMEM, "no memory for a request");
    return NULL;
  }
  if (net_timer_new(call->server->loop, on_timeout, query, &query->timeout, error) != STATUS_OK) {
    free(query);
    return NULL;
  }
  pthread_mutex_init(&query->lock, NULL);
  query->output = output;
  request_begin(&query->request, call, query_finished);
  return query;
}

/* GET /query?sql=: only statements that read. */
static void start_get(struct query *query) {
  struct error error;
  char *sql = NULL;
  const struct http_request *request = http_exchange_request(query->request.exchange);
  enum status status = http_query_value(request->query, "sql", &sql, &error);
  query->read_only = true;
  if (status == STATUS_OK && sql != NULL && sql[0] != '\0')
    status = query_ask_sql(&query->ask, sql, strlen(sql), &error);
  else if (status == STATUS_OK)
    status = error_set(&error, STATUS_INVALID, "give a statement: /query?sql=SELECT%%201");
  free(sql);
  if (status == STATUS_OK)
    query_run(query);
  else
    refuse(query, status, &error);
}

void query_start(struct call *call) {
  struct http_exchange *exchange = call->exchange;
  const struct http_request *request = http_exchange_request(exchange);
  bool get = strcmp(request->method, "POST") != 0;
  const char *type = http_request_header(request, "content-type");
  bool json = media_type_is(type, "application/json");
  /* A page can make a browser send text/plain or a form without asking first. */
  if (!get && !json && !media_type_is(type, "application/sql")) {
    respond_problem_code(exchange, 415, STATUS_INVALID, NULL,
                         "send SQL as application/sql, or {\"sql\", \"params\"} as "
                         "application/json; this body says %.100s",
                         type == NULL ? "nothing" : type);
    return;
  }
  enum query_output output;
  if (!query_ask_output(http_request_header(request, "accept"), &output)) {
    respond_problem_code(exchange, 406, STATUS_INVALID, NULL,
                         "answers are application/vnd.apache.arrow.stream, application/json, "
                         "application/x-ndjson or text/csv; Accept names none of them");
    return;
  }
  struct error error;
  struct query *query = query_new(call, output, &error);
  if (query == NULL) {
    respond_problem(exchange, STATUS_NOMEM, &error);
    return;
  }
  if (get) {
    start_get(query);
    return;
  }
  struct http_body_handler handler = {
      .context = query,
      .window = body_window,
      .filled = body_filled,
      .end = json ? body_end_json : body_end_sql,
      .gone = body_gone,
  };
  http_body_accept(exchange, &handler);
}
