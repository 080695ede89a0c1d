/* POST /ingest/{stream}: one request, one load, one transaction.
 *
 * On the loop the body's bytes go through the framer straight into the buffers that
 * the record batches will point into, and whole messages into an intake
 * (pipeline/pipeline.h); decoding and landing happen on workers.
 *
 * Reading stops while the intake is full, and while the budget has no memory for
 * what comes next; then every ingest is asked to hand on what it has collected, and
 * when nothing came free for STARVED_MS the request is refused with 429.
 *
 * 1. The struct lives until both ends are over: the exchange (`request.exchange` is
 *    NULL) and the intake (`done`). Both are told on the loop's thread.
 * 2. 200 is answered only from `done`, after the commit.
 * 3. An answer given before `done` has cancelled the intake first: it is an error,
 *    and nothing of the request remains. */
#include "server/private.h"

#include <stdlib.h>
#include <string.h>

#include "arrow/ipc.h"
#include "base/clock.h"
#include "pipeline/pipeline.h"

enum {
  QUEUE_BYTES_MAX = 32 << 20, /* about one insert statement of typical rows ahead */
  STARVED_RETRY_MS = 20,
  STARVED_MS = 10000,
};

struct ingest {
  struct request request;
  struct ingest *next; /* in server->ingests */
  struct ingest **previous;

  char *stream;
  const struct stream_config *route; /* NULL: by name */
  struct table_name table;
  struct ipc_framer *framer;
  struct intake *intake;
  struct net_post space_post;
  struct net_post done_post;
  struct net_timer *starved_timer;
  int64_t starved_since_ms; /* 0: not starved */

  bool eos_optional;
  bool body_over;
  bool answered;
  bool done;
  int64_t body_bytes;
  int64_t started_us;
};

static void ingest_free(struct ingest *ingest) {
  if (ingest->previous != NULL) {
    *ingest->previous = ingest->next;
    if (ingest->next != NULL) ingest->next->previous = ingest->previous;
  }
  request_end(&ingest->request);
  net_timer_free(ingest->starved_timer);
  ipc_framer_free(ingest->framer);
  intake_free(ingest->intake);
  free(ingest->stream);
  free(ingest);
}

/* ---- answers ------------------------------------------------------------------- */

static enum status add_result(const struct ingest *ingest, const struct load_result *result,
                              struct text *body, struct error *error) {
  struct text table = TEXT_EMPTY;
  enum status status = table_name_print(&ingest->table, &table, error);
  if (status == STATUS_OK) status = text_add(body, "{\"stream\":", error);
  if (status == STATUS_OK)
    status = text_add_json(body, ingest->stream, strlen(ingest->stream), error);
  if (status == STATUS_OK) status = text_add(body, ",\"table\":", error);
  if (status == STATUS_OK) status = text_add_json(body, text_get(&table), table.size_bytes, error);
  if (status == STATUS_OK)
    status = text_add_format(body, error, ",\"rows\":%lld,\"batches\":%lld,\"bytes\":%lld",
                             (long long)result->rows, (long long)result->batches,
                             (long long)ingest->body_bytes);
  if (status == STATUS_OK && result->version >= 0)
    status = text_add_format(body, error, ",\"version\":%lld", (long long)result->version);
  if (status == STATUS_OK)
    status = text_add_format(body, error, ",\"duration_ms\":%lld}\n",
                             (long long)((clock_now_us() - ingest->started_us) / 1000));
  text_release(&table);
  return status;
}

static void answer_result(struct ingest *ingest, const struct load_result *result) {
  struct text body = TEXT_EMPTY;
  struct error error;
  enum status status = add_result(ingest, result, &body, &error);
  /* Without memory the rows are there all the same: 200 says so, with an empty body. */
  if (status != STATUS_OK) text_clear(&body);
  respond_json(ingest->request.exchange, &body);
  text_release(&body);
}

/* Refuses the request while its body arrives: nothing of it will remain. */
static void refuse(struct ingest *ingest, enum status status, struct error *error) {
  net_timer_stop(ingest->starved_timer);
  intake_cancel(ingest->intake);
  if (ingest->answered) return;
  ingest->answered = true;
  error_at(error, "stream '%s'", ingest->stream);
  respond_problem(ingest->request.exchange, status, error);
}

/* ---- what the intake says: from a worker, then on the loop ----------------------- */

static void intake_has_space(void *context) {
  struct ingest *ingest = context;
  net_loop_post(ingest->request.server->loop, &ingest->space_post);
}

static void intake_is_done(void *context) {
  struct ingest *ingest = context;
  net_loop_post(ingest->request.server->loop, &ingest->done_post);
}

static void on_space(void *context) {
  struct ingest *ingest = context;
  if (ingest->request.exchange != NULL && !ingest->answered)
    http_body_resume(ingest->request.exchange);
}

/* What it came to, also when nobody is left to be told. */
static void count(struct ingest *ingest) {
  struct metrics *metrics = ingest->request.server->metrics;
  struct load_result result;
  struct intake_figures figures;
  enum status status = intake_result(ingest->intake, &result, NULL);
  intake_figures(ingest->intake, &figures);
  if (figures.backend != NULL)
    metrics_transaction(metrics, figures.backend, status == STATUS_OK, figures.transaction_us);
  if (status == STATUS_SCHEMA) metrics_schema_mismatch(metrics, ingest->stream);
  if (status != STATUS_OK) return;
  metrics_landed(metrics, ingest->stream, figures.backend, result.rows, result.batches,
                 ingest->body_bytes, figures.memory_bytes);
  if (ingest->request.call != NULL) ingest->request.call->rows = result.rows;
}

static void on_done(void *context) {
  struct ingest *ingest = context;
  ingest->done = true;
  count(ingest);
  if (ingest->request.exchange == NULL) {
    ingest_free(ingest);
    return;
  }
  if (ingest->answered) return;
  ingest->answered = true;
  struct load_result result;
  struct error error = {.status = STATUS_OK};
  enum status status = intake_result(ingest->intake, &result, &error);
  if (status == STATUS_OK) {
    answer_result(ingest, &result);
  } else {
    error_at(&error, "stream '%s'", ingest->stream);
    respond_problem(ingest->request.exchange, status, &error);
  }
}

static enum status open_sink(void *context, struct sink **sink, struct error *error) {
  struct ingest *ingest = context;
  const char *backend =
      ingest->route != NULL ? ingest->route->backend : ingest->request.config->storage_backend;
  return storage_sink(ingest->request.server->storage, backend, sink, error);
}

/* ---- the body -------------------------------------------------------------------- */

void ingest_relieve_all(struct server *server) {
  for (struct ingest *ingest = server->ingests; ingest != NULL; ingest = ingest->next)
    if (!ingest->done) intake_relieve(ingest->intake);
}

void ingest_look(const struct server *server, int64_t *count, int64_t *queued_bytes) {
  *count = 0;
  *queued_bytes = 0;
  for (struct ingest *ingest = server->ingests; ingest != NULL; ingest = ingest->next) {
    if (ingest->done) continue;
    ++*count;
    *queued_bytes += intake_queued_bytes(ingest->intake);
  }
}

/* No memory now: wait a little, as others give back, but not for ever. */
static enum status starve(struct ingest *ingest, struct error *error) {
  int64_t now_ms = clock_now_ms();
  if (ingest->starved_since_ms == 0) {
    ingest->starved_since_ms = now_ms;
    ingest_relieve_all(ingest->request.server);
  }
  if (now_ms - ingest->starved_since_ms > STARVED_MS) {
    metrics_refused(ingest->request.server->metrics, METRICS_MEMORY);
    refuse(ingest, STATUS_BUDGET, error);
    return STATUS_CANCELLED;
  }
  http_body_pause(ingest->request.exchange);
  net_timer_start(ingest->starved_timer, STARVED_RETRY_MS);
  return STATUS_BUDGET;
}

static void on_starved_timer(void *context) {
  struct ingest *ingest = context;
  if (ingest->request.exchange != NULL && !ingest->answered)
    http_body_resume(ingest->request.exchange);
}

static enum status body_window(void *context, uint8_t **data, int64_t *bytes) {
  struct ingest *ingest = context;
  if (ingest->answered) return STATUS_CANCELLED;
  if (intake_full(ingest->intake)) {
    http_body_pause(ingest->request.exchange);
    return STATUS_BUDGET;
  }
  struct error error = {.status = STATUS_OK};
  enum status status = ipc_framer_window(ingest->framer, data, bytes, &error);
  if (status == STATUS_BUDGET) return starve(ingest, &error);
  ingest->starved_since_ms = 0;
  if (status != STATUS_OK) refuse(ingest, status, &error);
  return status;
}

static enum status body_filled(void *context, int64_t bytes) {
  struct ingest *ingest = context;
  ingest->body_bytes += bytes;
  if (ingest->answered) return STATUS_CANCELLED;
  enum ipc_frame frame;
  struct error error = {.status = STATUS_OK};
  enum status status = ipc_framer_filled(ingest->framer, bytes, &frame, &error);
  if (status != STATUS_OK) {
    refuse(ingest, status, &error);
  } else if (frame == IPC_FRAME_MESSAGE) {
    struct ipc_message message;
    ipc_framer_take(ingest->framer, &message);
    intake_push(ingest->intake, &message);
  }
  return status;
}

static void body_end(void *context) {
  struct ingest *ingest = context;
  ingest->body_over = true;
  if (ingest->answered) return;
  struct error error = {.status = STATUS_OK};
  enum status status = ipc_framer_finish(ingest->framer, ingest->eos_optional, &error);
  if (status == STATUS_OK)
    intake_end(ingest->intake);
  else
    refuse(ingest, status, &error);
}

static void body_gone(void *context, const struct error *why) {
  struct ingest *ingest = context;
  (void)why; /* nobody is left to be told */
  ingest->answered = true;
  intake_cancel(ingest->intake);
}

/* The exchange is over. An intake that still works on it was cancelled, or commits
 * and has nobody to tell. */
static void ingest_finished(struct request *request) {
  struct ingest *ingest = (struct ingest *)request;
  net_timer_stop(ingest->starved_timer);
  if (!ingest->body_over) intake_cancel(ingest->intake);
  if (ingest->done) ingest_free(ingest);
}

/* ---- start ----------------------------------------------------------------------- */

/* True when the headers are those of an Arrow stream; answers otherwise. */
static bool check_headers(struct http_exchange *exchange, bool *eos_optional) {
  const struct http_request *request = http_exchange_request(exchange);
  const char *type = http_request_header(request, "content-type");
  if (!media_type_is(type, "application/vnd.apache.arrow.stream")) {
    respond_problem_code(exchange, 415, STATUS_INVALID, NULL,
                         "the body must be an Arrow IPC stream (Content-Type: "
                         "application/vnd.apache.arrow.stream); this one says %.100s",
                         type == NULL ? "nothing" : type);
    return false;
  }
  const char *encoding = http_request_header(request, "content-encoding");
  if (encoding != NULL && strcasecmp(encoding, "identity") != 0) {
    respond_problem_code(exchange, 415, STATUS_UNSUPPORTED, NULL,
                         "Content-Encoding %.100s is not supported yet; compress the record "
                         "batches themselves (Arrow IPC body compression, ZSTD or LZ4)",
                         encoding);
    return false;
  }
  struct error error;
  char *eos = NULL;
  enum status status = http_query_value(request->query, "eos", &eos, &error);
  if (status == STATUS_OK && eos != NULL) {
    *eos_optional = strcmp(eos, "optional") == 0;
    if (!*eos_optional && strcmp(eos, "required") != 0)
      status =
          error_set(&error, STATUS_INVALID, "eos is '%.40s'; it must be required or optional", eos);
  }
  free(eos);
  if (status != STATUS_OK) respond_problem(exchange, status, &error);
  return status == STATUS_OK;
}

/* Which table the stream lands in: the route's, or the one of its name. */
static enum status find_route(struct ingest *ingest, struct error *error) {
  ingest->route = server_config_stream(ingest->request.config, ingest->stream);
  if (ingest->route == NULL)
    return table_name_parse(ingest->stream, strlen(ingest->stream), &ingest->table, error);
  ingest->table = ingest->route->table;
  return STATUS_OK;
}

static enum status ingest_prepare(struct ingest *ingest, struct server *server, const char *name,
                                  struct error *error) {
  ingest->stream = strdup(name);
  if (ingest->stream == NULL) return error_set(error, STATUS_NOMEM, "no memory for a request");
  enum status status = find_route(ingest, error);
  if (status != STATUS_OK) return status;

  struct intake_options options = {
      .workers = server->workers,
      .budget = &server->budget,
      .limits = IPC_LIMITS_DEFAULT,
      .target = {.table = ingest->table, .mode = SINK_APPEND, .create_table = true},
      .open_sink = open_sink,
      .queue_bytes_max = QUEUE_BYTES_MAX,
      .space = intake_has_space,
      .done = intake_is_done,
      .context = ingest,
  };
  options.target.chunk_rows =
      ingest->route != NULL ? ingest->route->chunk_rows : ingest->request.config->chunk_rows;
  /* One message may take half of what there is: while it is collected, grown and
   * decoded, others must go on. */
  int64_t message_bytes_max = server->budget.limit_bytes / 2;
  if (options.limits.body_bytes_max > message_bytes_max)
    options.limits.body_bytes_max = message_bytes_max;
  if (options.limits.decoded_bytes_max > message_bytes_max)
    options.limits.decoded_bytes_max = message_bytes_max;

  status = ipc_framer_new(&options.limits, &server->budget, &ingest->framer, error);
  if (status == STATUS_OK)
    status = net_timer_new(server->loop, on_starved_timer, ingest, &ingest->starved_timer, error);
  if (status == STATUS_OK) status = intake_new(&options, &ingest->intake, error);
  return status;
}

void ingest_start(struct call *call) {
  struct server *server = call->server;
  struct http_exchange *exchange = call->exchange;
  bool eos_optional = false;
  if (!check_headers(exchange, &eos_optional)) return;

  struct error error;
  struct ingest *ingest = calloc(1, sizeof *ingest);
  if (ingest == NULL) {
    error_set(&error, STATUS_NOMEM, "no memory for a request");
    respond_problem(exchange, STATUS_NOMEM, &error);
    return;
  }
  request_begin(&ingest->request, call, ingest_finished);
  call_stream(call, call->name);
  ingest->eos_optional = eos_optional;
  ingest->started_us = clock_now_us();
  ingest->space_post = (struct net_post){.run = on_space, .context = ingest};
  ingest->done_post = (struct net_post){.run = on_done, .context = ingest};

  enum status status = ingest_prepare(ingest, server, call->name, &error);
  if (status != STATUS_OK) {
    request_untie(&ingest->request);
    ingest_free(ingest);
    respond_problem(exchange, status, &error);
    return;
  }
  ingest->next = server->ingests;
  ingest->previous = &server->ingests;
  if (ingest->next != NULL) ingest->next->previous = &ingest->next;
  server->ingests = ingest;

  struct http_body_handler handler = {
      .context = ingest,
      .window = body_window,
      .filled = body_filled,
      .end = body_end,
      .gone = body_gone,
  };
  http_body_accept(exchange, &handler);
}
