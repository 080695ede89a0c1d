/* /query: SQL in, rows out, drawn as fast as the client reads.
 *
 * A task runs the statement and encodes its result, a batch at a time, into buffers
 * that the loop sends. No more than QUEUE_BUFFERS_MAX of them wait for the loop: a
 * client that reads slowly stops the task, which holds no thread meanwhile, only the
 * statement. A small answer goes out whole, with its length.
 *
 *   ASKED --its turn--> STARTING --engine_query--> ROWS --last batch--> DONE
 *     |                     |                       |
 *     |                     +---- error, time-out, client gone: ------> DONE
 *     +---- time-out, client gone: answered or freed, no task was there
 *
 * 1. What lies under `lock` is shared with the loop; session and answer are the task's.
 * 2. The session is there, under the lock, from before the statement starts until
 *    the task has finished with it, so that an interrupt always finds it alive.
 * 3. The struct lives until the exchange is over (`request.exchange` NULL) and the
 *    task, if its turn came (`started`), has retired (`retired`); both are told on the
 *    loop's thread.
 * 4. The time-out runs while the statement waits for its turn and while it works; it stands
 *    while the answer waits for its client, whom http.write_timeout_ms watches. */
#include "server/private.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/engine.h"
#include "server/query_answer.h"
#include "server/query_ask.h"

enum {
  SQL_BYTES_MAX = 4 << 20, /* of a statement: parsing must not take memory for ever */
  QUEUE_BUFFERS_MAX = 4,   /* encoded and not yet sent */
  WHOLE_ANSWER_BYTES_MAX = 64 << 10,
  BATCH_ROWS = 122880,
  PARQUET_MEMORY_BYTES_MIN = 64 << 20,
  BATCH_BYTES_MIN = 256 << 10,
  BATCH_BYTES_MAX = 16 << 20,
};

struct query {
  struct request request;
  struct query *next; /* in server->query_list */
  struct query **previous;
  bool read_only;
  struct query_rows {
    struct table_name
        table; /* of GET /tables/{table}/rows; its name is "": a statement was given */
    struct engine_rows which;
  } rows;
  struct query_ask ask;
  struct buffer body; /* of the request, while it arrives */
  bool answered;      /* an answer was begun, or nobody is left to get one */

  struct query_turn turn;
  struct task task;
  struct net_post post;      /* something was queued */
  struct net_post done_post; /* the task has retired: the last word it sends */
  struct net_timer *timeout;
  int64_t timeout_left_ms; /* when it was started last; 0: there is none */
  int64_t timeout_since_ms;
  bool timeout_runs;

  pthread_mutex_t lock;
  struct engine_session *session;
  struct turn alone;                      /* of a statement that alters tables */
  enum status stop;                       /* why to stop; STATUS_OK: go on */
  struct buffer queue[QUEUE_BUFFERS_MAX]; /* a ring, oldest at queue_first */
  size_t queue_first, queue_count;
  bool over; /* no more will be queued; see status */
  enum status status;
  struct error error;

  struct query_answer answer;
  char *folder; /* the answer's */

  bool started;   /* its turn has come: the task is there */
  bool streaming; /* http_start was called */
  int64_t sent_bytes;
  bool retired; /* the task will not run again */
};

/* ---- the task's side --------------------------------------------------------------- */

/* Only those who may not see everything are asked for what they see. */
bool query_may_read(void *context, const struct table_name *table) {
  return auth_allow_table(context, AUTH_READ, table, NULL) == STATUS_OK;
}

bool query_may_write(void *context, const struct table_name *table) {
  return auth_allow_table(context, AUTH_WRITE, table, NULL) == STATUS_OK;
}

/* No load is under way while a statement alters tables. */
static enum status before_alter(void *context, struct error *error) {
  struct query *query = context;
  if (query->alone.at != NULL && query->alone.kind == TURN_ALONE) return STATUS_OK;
  return storage_alone(query->request.server->storage, &query->alone, error);
}

/* No table is altered by SQL while rows are changed. */
static enum status before_change(void *context, struct error *error) {
  struct query *query = context;
  if (query->alone.at != NULL) return STATUS_OK;
  return storage_join(query->request.server->storage, &query->alone, error);
}

int64_t query_running_max(const struct server *server, const struct server_config *config) {
  int64_t asked = config->query.concurrent_max;
  int64_t half = server->worker_count / 2;
  return asked > 0 ? asked : half < 1 ? 1 : half;
}

static int64_t running_max(const struct query *query) {
  return query_running_max(query->request.server, query->request.config);
}

/* One batch is drawn while its encoded form and those before it are queued: all statements
 * together stay within the answers' share, also if their clients hardly read. */
int64_t query_batch_bytes(const struct server *server, const struct server_config *config) {
  int64_t bytes =
      server->answers.limit_bytes / (query_running_max(server, config) * (QUEUE_BUFFERS_MAX + 2));
  if (bytes < BATCH_BYTES_MIN) return BATCH_BYTES_MIN;
  return bytes > BATCH_BYTES_MAX ? BATCH_BYTES_MAX : bytes;
}

static struct engine_query what_to_run(struct query *query, const struct engine *engine) {
  const struct identity *who = query->request.who;
  const struct query_options *options = &query->answer.options;
  bool rows = query->rows.table.table[0] != '\0';
  /* A lake's table: its name was looked at, and it is no view. The rest goes by the plan. */
  bool known = rows && engine_has_lake(engine, query->rows.table.catalog);
  bool restricted = !auth_sees_everything(who) && !known;
  return (struct engine_query){
      .sql = query->ask.sql,
      .parameters = query->ask.parameters,
      .parameter_count = query->ask.parameter_count,
      .read_only = query->read_only || (who->scopes & (AUTH_WRITE | AUTH_ADMIN)) == 0,
      .data_only = (who->scopes & AUTH_ADMIN) == 0,
      .revocable = options->rows_max > 0 || query->answer.bytes_max > 0 ||
                   query->answer.output == QUERY_PARQUET,
      /* One row too many shows in the first batch, before anything was sent. */
      .batch_rows = options->rows_max > 0 && options->rows_max < BATCH_ROWS ? options->rows_max + 1
                                                                            : BATCH_ROWS,
      .batch_bytes = query_batch_bytes(query->request.server, query->request.config),
      .budget = &query->request.server->answers,
      .before_alter = before_alter,
      .before_change = before_change,
      .alter_context = query,
      .own = rows,
      .may_read = restricted ? query_may_read : NULL,
      .may_write = restricted ? query_may_write : NULL,
      .may_context = (void *)(uintptr_t)who,
  };
}

/* The statement that reads what /tables/{table}/rows was asked for. */
static enum status ask_for_rows(struct query *query, struct engine_session *session,
                                struct error *error) {
  struct text sql = TEXT_EMPTY;
  query->rows.which.table_only = !auth_sees_everything(query->request.who);
  enum status status =
      engine_rows_sql(session, &query->rows.table, &query->rows.which, &sql, error);
  if (status == STATUS_OK)
    status = query_ask_sql(&query->ask, text_get(&sql), sql.size_bytes, error);
  text_release(&sql);
  return status;
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

  if (query->rows.table.table[0] != '\0') status = ask_for_rows(query, session, error);
  if (status != STATUS_OK) return status;
  const struct engine_query asked = what_to_run(query, engine);
  status = engine_query(session, &asked, &query->answer.result, error);
  return status == STATUS_OK ? query_answer_begin(&query->answer, out, error) : status;
}

static bool stopped(void *context) {
  struct query *query = context;
  pthread_mutex_lock(&query->lock);
  bool stop = query->stop != STATUS_OK;
  pthread_mutex_unlock(&query->lock);
  return stop;
}

/* Lets go of the session, which interrupts could reach until now. */
static void close_session(struct query *query) {
  query_answer_close(&query->answer);
  pthread_mutex_lock(&query->lock);
  struct engine_session *session = query->session;
  query->session = NULL;
  pthread_mutex_unlock(&query->lock);
  engine_session_close(session);
  turn_give(&query->alone);
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
  if (*status != STATUS_OK)
    error_set(error, *status,
              *status == STATUS_UNAVAILABLE
                  ? "the database has to be opened anew after a failure: ask again"
                  : "the query was given up");
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
    if (status == STATUS_OK && query->answer.result == NULL) status = start(query, &out, &error);
    /* What a small answer consists of, up to its end, goes into one buffer. */
    while (status == STATUS_OK && !ended && out.size_bytes < WHOLE_ANSWER_BYTES_MAX)
      status = query_answer_step(&query->answer, &out, &ended, &error);
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
  *query->previous = query->next;
  if (query->next != NULL) query->next->previous = query->previous;
  request_end(&query->request);
  net_timer_free(query->timeout);
  while (query->queue_count-- > 0) {
    buffer_release(&query->queue[query->queue_first]);
    query->queue_first = (query->queue_first + 1) % QUEUE_BUFFERS_MAX;
  }
  query_answer_release(&query->answer);
  buffer_release(&query->body);
  query_ask_release(&query->ask);
  free(query->folder);
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

static void give_up(struct query *query, enum status reason) {
  if (query->started) {
    stop(query, reason);
    return;
  }
  query_line_leave(&query->request.server->queries, &query->turn);
  if (query->answered || reason != STATUS_TIMEOUT) return;
  struct error error;
  error_set(&error, STATUS_TIMEOUT,
            "other statements took all the time allowed before this one's turn came "
            "(query.concurrent_max run at a time)");
  query->answered = true;
  respond_problem(query->request.exchange, STATUS_TIMEOUT, &error);
}

static void on_timeout(void *context) {
  struct query *query = context;
  query->timeout_runs = false;
  give_up(query, STATUS_TIMEOUT);
}

void query_give_up_all(struct server *server) {
  for (struct query *query = server->query_list; query != NULL; query = query->next)
    if (query->started && !query->retired) stop(query, STATUS_UNAVAILABLE);
}

static void on_gone(void *context) { give_up(context, STATUS_CANCELLED); }

static void timeout_resume(struct query *query) {
  if (query->timeout_left_ms == 0 || query->timeout_runs || query->retired) return;
  query->timeout_runs = true;
  query->timeout_since_ms = clock_now_ms();
  net_timer_start(query->timeout, query->timeout_left_ms);
}

static void timeout_pause(struct query *query) {
  if (!query->timeout_runs) return;
  query->timeout_runs = false;
  net_timer_stop(query->timeout);
  query->timeout_left_ms -= clock_now_ms() - query->timeout_since_ms;
  if (query->timeout_left_ms < 1) query->timeout_left_ms = 1;
}

/* It is the client's time that passes while it could take more than it does. */
static void timeout_follow(struct query *query) {
  pthread_mutex_lock(&query->lock);
  bool waits_for_client = query->queue_count == QUEUE_BUFFERS_MAX || query->over;
  pthread_mutex_unlock(&query->lock);
  if (waits_for_client)
    timeout_pause(query);
  else
    timeout_resume(query);
}

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
                                        [QUERY_CSV] = "csv",
                                        [QUERY_PARQUET] = "parquet"};
  query->request.call->rows = query->answer.rows;
  metrics_query(query->request.server->metrics, formats[query->answer.output], query->answer.rows,
                query->sent_bytes + last_bytes);
}

/* Sends what is queued for as long as the client takes it. */
static void send_queued(struct query *query) {
  struct http_exchange *exchange = query->request.exchange;
  const struct http_header headers[] = {{"content-type", query_output_type(query->answer.output)},
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
  if (query->request.exchange == NULL || query->answered) return;
  send_queued(query);
  if (!query->answered) timeout_follow(query);
}

static void on_done(void *context) {
  struct query *query = context;
  query->retired = true;
  timeout_pause(query);
  query_line_done(&query->request.server->queries, running_max(query));
  if (query->request.exchange == NULL) {
    query_free(query);
  } else if (query->answered) {
    return;
  } else if (query->status == STATUS_OK) {
    send_queued(query);
  } else {
    query->answered = true;
    query->request.call->rows = query->answer.rows;
    if (query->streaming)
      http_abort(query->request.exchange);
    else
      respond_problem(query->request.exchange, query->status, &query->error);
  }
}

static void query_finished(struct request *request) {
  struct query *query = (struct query *)request;
  query->answered = true;
  if (!query->started) query_line_leave(&query->request.server->queries, &query->turn);
  if (!query->started || query->retired)
    query_free(query);
  else
    stop(query, STATUS_CANCELLED);
}

static void refuse(struct query *query, enum status status, const struct error *error) {
  query->answered = true;
  respond_problem(query->request.exchange, status, error);
}

/* Its turn has come. */
static void query_start_task(void *context) {
  struct query *query = context;
  query->started = true;
  task_wake(&query->task);
}

static void query_run(struct query *query) {
  struct server *server = query->request.server;
  struct error error;
  http_on_gone(query->request.exchange, on_gone, query);
  http_on_writable(query->request.exchange, on_queued, query);
  task_init(&query->task, server->workers, query_task, query);
  query->post = (struct net_post){.run = on_queued, .context = query};
  query->done_post = (struct net_post){.run = on_done, .context = query};
  query->turn = (struct query_turn){.start = query_start_task, .context = query};
  query->timeout_left_ms = query->answer.options.timeout_ms;
  timeout_resume(query);
  if (query_line_enter(&server->queries, running_max(query), &query->turn, &error) == STATUS_OK)
    return;
  timeout_pause(query);
  refuse(query, STATUS_UNAVAILABLE, &error);
}

/* ---- the request's body ------------------------------------------------------------------ */

static enum status body_window(void *context, uint8_t **data, int64_t *bytes) {
  struct query *query = context;
  if (query->answered) return STATUS_CANCELLED;
  struct error error;
  struct buffer *body = &query->body;
  if (body->size_bytes == body->capacity_bytes) {
    int64_t wanted = body->capacity_bytes == 0 ? 4096 : body->capacity_bytes * 2;
    enum status status =
        wanted > SQL_BYTES_MAX
            ? error_set(&error, STATUS_TOO_LARGE, "the statement is longer than %d bytes",
                        SQL_BYTES_MAX)
            : buffer_reserve(body, &query->request.server->answers, wanted, &error);
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

/* Where a Parquet file may lie: beside the database, whose disk is the one for data. */
static char *folder_of(const char *db_path) {
  const char *slash = strrchr(db_path, '/');
  if (strcmp(db_path, ":memory:") == 0) return NULL;
  if (slash == NULL) return strdup(".");
  return slash == db_path ? strdup("/") : strndup(db_path, (size_t)(slash - db_path));
}

static void answer_init(struct query *query, enum query_output output,
                        const struct query_options *options) {
  struct server *server = query->request.server;
  const struct server_config *config = query->request.config;
  int64_t memory_bytes = config->memory_limit_bytes / 16;
  query->folder = folder_of(config->db_path);
  query->answer = (struct query_answer){
      .output = output,
      .options = *options,
      .bytes_max = config->query.bytes_max,
      .folder = query->folder,
      .parquet_memory_bytes =
          memory_bytes < PARQUET_MEMORY_BYTES_MIN ? PARQUET_MEMORY_BYTES_MIN : memory_bytes,
      .parquet_busy = &server->parquet_busy,
      .budget = &server->answers,
      .stopped = stopped,
      .context = query,
  };
  query->answer.options.compression.workers = server->workers;
  query_answer_init(&query->answer);
}

static struct query *query_new(struct call *call, enum query_output output,
                               const struct query_options *options, struct error *error) {
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
  request_begin(&query->request, call, query_finished);
  query->next = call->server->query_list;
  query->previous = &call->server->query_list;
  if (query->next != NULL) query->next->previous = &query->next;
  call->server->query_list = query;
  answer_init(query, output, options);
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

/* A query whose answer's form is settled; NULL: it was answered. */
static struct query *query_open(struct call *call) {
  struct http_exchange *exchange = call->exchange;
  const struct http_request *request = http_exchange_request(exchange);
  enum query_output output;
  unsigned codecs;
  if (!query_ask_output(http_request_header(request, "accept"), &output, &codecs)) {
    respond_problem_code(exchange, 406, STATUS_INVALID, NULL,
                         "answers are application/vnd.apache.arrow.stream, "
                         "application/vnd.apache.parquet, application/json, application/x-ndjson "
                         "or text/csv; Accept names none of them");
    return NULL;
  }
  struct error error;
  struct query_options options;
  if (query_options_read(request->query, call->config, output, codecs, &options, &error) !=
      STATUS_OK) {
    respond_problem(exchange, error.status, &error);
    return NULL;
  }
  struct query *query = query_new(call, output, &options, &error);
  if (query == NULL) respond_problem(exchange, STATUS_NOMEM, &error);
  return query;
}

/* GET /tables/{table}/rows */
void rows_start(struct call *call) {
  struct table_name table;
  struct engine_rows which = {.version = -1, .limit = -1};
  struct error error;
  if (!catalog_name(call, &table)) return;
  enum status status = catalog_number(call, "version", &which.version, &error);
  if (status == STATUS_OK) status = catalog_number(call, "limit", &which.limit, &error);
  if (status != STATUS_OK) {
    respond_problem(call->exchange, status, &error);
    return;
  }
  struct query *query = query_open(call);
  if (query == NULL) return;
  query->read_only = true;
  query->rows = (struct query_rows){.table = table, .which = which};
  query_run(query);
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
  struct query *query = query_open(call);
  if (query == NULL) return;
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
