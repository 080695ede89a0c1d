/* Rows that arrive by a request: one request, one load, one transaction.
 *
 * On the loop the stream's bytes go through the framer straight into the buffers that
 * the record batches will point into, and whole messages into an intake
 * (pipeline/pipeline.h); decoding and landing happen on workers.
 *
 * Reading stops while the intake is full, and while the budget has no memory for
 * what comes next (starving.c).
 *
 * A small append is held by its intake until it is whole, and shares a commit with others then.
 *
 * 1. The struct lives until both ends are over: the exchange (`request.exchange` is
 *    NULL) and the intake (`done`), where one was readied. Both are told on the loop's thread.
 * 2. 200 is answered only from `done`, after the commit.
 * 3. An answer given before `done` has cancelled the intake first: it is an error,
 *    and nothing of the request remains. */
#include "server/ingest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/starving.h"

enum {
  QUEUE_BYTES_MAX = 32 << 20, /* about one insert statement of typical rows ahead */
  GIVEN_UP_RETRY_MS = 1000,
  HELD_MS = 50, /* a request that is not whole by then lands by itself, as it comes */
  MEMBERS_BYTES = 256,
  KEY_BYTES_MAX = 255, /* of an Idempotency-Key: the number of a batch may follow in its token */
};

static void ingest_free(struct ingest *ingest) {
  if (ingest->previous != NULL) {
    *ingest->previous = ingest->next;
    if (ingest->next != NULL) ingest->next->previous = ingest->previous;
  }
  starving_leave(ingest);
  ingest->door->release(ingest);
  net_timer_free(ingest->held_timer);
  ipc_framer_free(ingest->framer);
  intake_free(ingest->intake);
  free(ingest->stream);
  free(ingest->token);
  free(ingest->refusal);
  request_end(&ingest->request);
  free(ingest);
}

/* Both ends are over, and nobody holds it. */
static void free_if_over(struct ingest *ingest) {
  bool busy = ingest->holds > 0 || (ingest->intake != NULL && !ingest->done);
  if (ingest->request.exchange == NULL && !busy) ingest_free(ingest);
}

void ingest_hold(struct ingest *ingest) { ingest->holds++; }

void ingest_let_go(struct ingest *ingest) {
  ingest->holds--;
  free_if_over(ingest);
}

/* ---- answers ------------------------------------------------------------------- */

/* What an error leaves behind, or has set aside; "": nothing that is not said. */
static void print_figures(const struct ingest *ingest, char *members, size_t bytes) {
  struct intake_figures figures;
  members[0] = '\0';
  if (!ingest->done) return;
  intake_figures(ingest->intake, &figures);
  size_t at = 0;
  if (figures.skipped)
    at = (size_t)snprintf(members, bytes,
                          ",\"rows\":%lld,\"rows_skipped\":%lld,\"batches_skipped\":%lld",
                          (long long)figures.committed_rows, (long long)figures.skipped_rows,
                          (long long)figures.skipped_batches);
  if (figures.each_batch && at < bytes)
    snprintf(members + at, bytes - at,
             ",\"commits\":%lld,\"batches_committed\":%lld,\"rows_committed\":%lld",
             (long long)figures.commits, (long long)figures.committed_batches,
             (long long)figures.committed_rows);
}

static void answer_error(struct ingest *ingest, enum status status, struct error *error) {
  char members[MEMBERS_BYTES];
  ingest->answered = true;
  if (ingest->request.call != NULL) ingest->request.call->status = status;
  if (ingest->stream != NULL) error_at(error, "stream '%s'", ingest->stream);
  if (ingest->door->fail != NULL) {
    struct intake_figures figures;
    if (ingest->done) intake_figures(ingest->intake, &figures);
    ingest->door->fail(ingest, status, error, ingest->done ? &figures : NULL);
    return;
  }
  print_figures(ingest, members, sizeof members);
  respond_problem_members(ingest->request.exchange, status, error, members);
}

enum status ingest_add_changes(const char *changes, struct text *body, struct error *error) {
  enum status status = text_add(body, ",\"schema_changes\":[", error);
  for (const char *at = changes; *at != '\0' && status == STATUS_OK;) {
    size_t bytes = strcspn(at, "\n");
    if (at != changes) status = text_add(body, ",", error);
    if (status == STATUS_OK) status = text_add_json(body, at, bytes, error);
    at += bytes + (at[bytes] == '\n');
  }
  return status == STATUS_OK ? text_add(body, "]", error) : status;
}

enum status ingest_add_members(const struct ingest *ingest, const struct load_result *result,
                               struct text *body, struct error *error) {
  struct intake_figures figures;
  enum status status = STATUS_OK;
  intake_figures(ingest->intake, &figures);
  if (result->version >= 0)
    status = text_add_format(body, error, ",\"version\":%lld", (long long)result->version);
  if (status == STATUS_OK && figures.each_batch)
    status = text_add_format(body, error, ",\"commits\":%lld", (long long)figures.commits);
  if (status == STATUS_OK && result->changes != NULL)
    status = ingest_add_changes(result->changes, body, error);
  return status;
}

void ingest_respond(struct ingest *ingest, const struct load_result *result,
                    const struct text *body) {
  static const struct http_header replayed = {"idempotent-replayed", "true"};
  respond_json_header(ingest->request.exchange, body, result->repeated ? &replayed : NULL);
}

void ingest_refuse(struct ingest *ingest, enum status status, struct error *error) {
  net_timer_stop(ingest->held_timer);
  starving_leave(ingest);
  if (ingest->intake != NULL) intake_cancel(ingest->intake);
  if (ingest->answered) return;
  bool later = ingest->intake != NULL && !ingest->done &&
               (ingest->target.landing.each_batch || ingest->target.watermark.rows > 0);
  if (later) ingest->refusal = malloc(sizeof *ingest->refusal);
  if (ingest->refusal != NULL) {
    *ingest->refusal = *error;
    ingest->refusal->status = status;
    ingest->answered = true; /* as good as */
    return;
  }
  answer_error(ingest, status, error);
}

/* ---- what the intake says: from a worker, then on the loop ----------------------- */

static void intake_has_space(void *context) {
  struct ingest *ingest = context;
  net_loop_post(ingest->request.server->loop, &ingest->space_post);
}

static void intake_is_done(void *context, bool more) {
  struct ingest *ingest = context;
  struct net_loop *loop = ingest->request.server->loop;
  if (more)
    net_loop_post_quietly(loop, &ingest->done_post);
  else
    net_loop_post(loop, &ingest->done_post);
}

static void pass_offset(void *context, const struct intake_offset *offset) {
  struct ingest *ingest = context;
  ingest->door->offset(ingest, offset);
}

void ingest_resume(struct ingest *ingest) {
  if (ingest->request.exchange != NULL && !ingest->answered) ingest->door->resume(ingest);
}

static void on_space(void *context) {
  struct ingest *ingest = context;
  if (!ingest->in_line) ingest_resume(ingest);
}

static void on_held(void *context) {
  struct ingest *ingest = context;
  if (ingest->held && ingest->intake != NULL) intake_start(ingest->intake);
}

/* What it came to, also when nobody is left to be told. */
static void count(struct ingest *ingest, enum status status, const struct load_result *result) {
  struct metrics *metrics = ingest->request.server->metrics;
  struct intake_figures figures;
  intake_figures(ingest->intake, &figures);
  if (figures.backend != NULL)
    metrics_transaction(metrics, figures.backend, status == STATUS_OK, figures.transaction_us);
  if (status == STATUS_SCHEMA) metrics_schema_mismatch(metrics, ingest->stream);
  if (figures.skipped)
    log_warning("ingest",
                "stream '%s': %lld rows in %lld batches were set aside: their schema is not "
                "contained in the table's",
                ingest->stream, (long long)figures.skipped_rows,
                (long long)figures.skipped_batches);
  if (status != STATUS_OK) return;
  if (result->changes != NULL && !result->repeated)
    log_info("ingest", "stream '%s': the table's columns were changed: %s", ingest->stream,
             result->changes);
  if (result->repeated) return;
  int64_t wire_bytes = ingest->request.exchange != NULL
                           ? http_exchange_received_bytes(ingest->request.exchange)
                           : ingest->body_bytes;
  metrics_landed(metrics, ingest->stream, figures.backend, result->rows, result->batches,
                 wire_bytes, figures.memory_bytes);
  if (ingest->request.call != NULL) ingest->request.call->rows = result->rows;
}

static void on_done(void *context) {
  struct ingest *ingest = context;
  struct load_result result;
  struct error error = {.status = STATUS_OK};
  enum status status = intake_result(ingest->intake, &result, &error);
  ingest->done = true;
  count(ingest, status, &result);
  if (ingest->door->settle != NULL && ingest->door->settle(ingest, status, &result, &error)) return;
  if (ingest->request.exchange == NULL) {
    free_if_over(ingest);
    return;
  }
  if (ingest->refusal != NULL) answer_error(ingest, ingest->refusal->status, ingest->refusal);
  if (ingest->answered) return;
  if (status != STATUS_OK) {
    answer_error(ingest, status, &error);
    return;
  }
  ingest->answered = true;
  ingest->door->answer(ingest, &result);
}

static enum status open_sink(void *context, struct sink **sink, struct error *error) {
  struct ingest *ingest = context;
  return storage_sink(ingest->request.server->storage, ingest->target.backend, sink, error);
}

/* ---- the stream -------------------------------------------------------------------- */

void ingest_relieve_all(struct server *server) {
  for (struct ingest *ingest = server->ingests; ingest != NULL; ingest = ingest->next)
    if (ingest->intake != NULL && !ingest->done) intake_relieve(ingest->intake);
}

void ingest_give_up_all(struct server *server) {
  struct ingest *next;
  for (struct ingest *ingest = server->ingests; ingest != NULL; ingest = next) {
    next = ingest->next; /* the one that is refused may be gone then */
    if (ingest->intake == NULL || ingest->done || ingest->body_over || ingest->answered ||
        ingest->request.exchange == NULL)
      continue;
    struct error error;
    enum status status = error_set(&error, STATUS_UNAVAILABLE,
                                   "the database has to be opened anew after a failure; nothing of "
                                   "this request was kept, send it again");
    error.retry_after_ms = GIVEN_UP_RETRY_MS;
    ingest_refuse(ingest, status, &error);
  }
}

void ingest_look(const struct server *server, int64_t *count, int64_t *queued_bytes) {
  *count = 0;
  *queued_bytes = 0;
  for (struct ingest *ingest = server->ingests; ingest != NULL; ingest = ingest->next) {
    if (ingest->done) continue;
    ++*count;
    if (ingest->intake != NULL) *queued_bytes += intake_queued_bytes(ingest->intake);
  }
}

int64_t ingest_wants(const struct ingest *ingest) {
  return ingest->door->wants != NULL ? ingest->door->wants(ingest)
                                     : ipc_framer_wants(ingest->framer);
}

int64_t ingest_held(const struct ingest *ingest) {
  int64_t bytes =
      ingest->door->held != NULL ? ingest->door->held(ingest) : ipc_framer_held(ingest->framer);
  return ingest->intake == NULL ? bytes : bytes + intake_queued_bytes(ingest->intake);
}

void ingest_pause(struct ingest *ingest) {
  if (ingest->door->pause != NULL)
    ingest->door->pause(ingest);
  else
    http_body_pause(ingest->request.exchange);
}

enum status ingest_window(struct ingest *ingest, uint8_t **data, int64_t *bytes) {
  if (ingest->answered) return STATUS_CANCELLED;
  if (ingest->intake != NULL && intake_full(ingest->intake)) {
    ingest->starved_since_ms = 0;
    ingest_pause(ingest);
    return STATUS_BUDGET;
  }
  struct error error = {.status = STATUS_OK};
  int64_t wanted_bytes = ingest_wants(ingest);
  if (wanted_bytes > 0 && starving_before(ingest)) return starving_wait(ingest);
  enum status status = ingest->door->window != NULL
                           ? ingest->door->window(ingest, data, bytes, &error)
                           : ipc_framer_window(ingest->framer, data, bytes, &error);
  if (status == STATUS_BUDGET) return starving_wait(ingest);
  if (wanted_bytes > 0) ingest->starved_since_ms = 0;
  if (status != STATUS_OK) ingest_refuse(ingest, status, &error);
  return status;
}

enum status ingest_filled(struct ingest *ingest, int64_t bytes, enum ipc_frame *frame) {
  struct error error = {.status = STATUS_OK};
  enum status status = ipc_framer_filled(ingest->framer, bytes, frame, &error);
  if (status != STATUS_OK) ingest_refuse(ingest, status, &error);
  return status;
}

void ingest_end(struct ingest *ingest, bool eos_optional) {
  if (ingest->answered) return;
  struct error error = {.status = STATUS_OK};
  enum status status = ipc_framer_finish(ingest->framer, eos_optional, &error);
  if (status != STATUS_OK) {
    ingest_refuse(ingest, status, &error);
    return;
  }
  ingest_complete(ingest);
}

void ingest_complete(struct ingest *ingest) {
  ingest->body_over = true;
  net_timer_stop(ingest->held_timer);
  intake_end(ingest->intake);
}

void ingest_push(struct ingest *ingest, struct ipc_message *message) {
  intake_push(ingest->intake, message);
  if (ingest->held) return;
  ingest->held = true;
  net_timer_start(ingest->held_timer, HELD_MS);
}

void ingest_gone(void *context, const struct error *why) {
  struct ingest *ingest = context;
  (void)why; /* nobody is left to be told */
  ingest->answered = true;
  if (ingest->intake != NULL) intake_cancel(ingest->intake);
}

/* The exchange is over. An intake that still works on it was cancelled, or commits
 * and has nobody to tell. */
static void ingest_finished(struct request *request) {
  struct ingest *ingest = (struct ingest *)request;
  net_timer_stop(ingest->held_timer);
  starving_leave(ingest);
  if (ingest->door->over != NULL) ingest->door->over(ingest);
  if (ingest->intake != NULL && !ingest->body_over) intake_cancel(ingest->intake);
  free_if_over(ingest);
}

/* ---- start ----------------------------------------------------------------------- */

enum status ingest_route(const struct server_config *config, const char *stream,
                         struct ingest_target *target, struct error *error) {
  const struct stream_config *route = server_config_stream(config, stream);
  *target = (struct ingest_target){.mode = SINK_APPEND};
  if (route != NULL) {
    target->backend = route->backend;
    target->table = route->table;
    target->chunk_rows = route->chunk_rows;
    target->landing = route->landing;
    return STATUS_OK;
  }
  target->backend = config->storage_backend;
  target->chunk_rows = config->chunk_rows;
  target->landing = config->landing;
  return table_name_parse(stream, strlen(stream), &target->table, error);
}

/* One message may take half of what there is: while it is collected, grown and
 * decoded, others must go on. */
struct ipc_limits ingest_limits(const struct server *server) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  int64_t message_bytes_max = server->budget.limit_bytes / 2;
  if (limits.body_bytes_max > message_bytes_max) limits.body_bytes_max = message_bytes_max;
  if (limits.decoded_bytes_max > message_bytes_max) limits.decoded_bytes_max = message_bytes_max;
  return limits;
}

enum status ingest_set_token(struct ingest *ingest, const char *token, struct error *error) {
  size_t bytes = strlen(token);
  /* As a structured field (RFC 8941) it is in double quotes. */
  bool quoted = bytes >= 2 && token[0] == '"' && token[bytes - 1] == '"';
  if (quoted) {
    token++;
    bytes -= 2;
  }
  if (bytes == 0 || bytes > KEY_BYTES_MAX)
    return error_set(error, STATUS_INVALID,
                     "the idempotency key has %zu characters; 1 to %d may be", bytes,
                     (int)KEY_BYTES_MAX);
  for (size_t i = 0; i < bytes; i++)
    if (token[i] <= 0x20 || token[i] >= 0x7f)
      return error_set(error, STATUS_INVALID,
                       "the idempotency key holds something else than visible ASCII characters at "
                       "byte %zu",
                       i);
  if (ingest->token != NULL &&
      (strlen(ingest->token) != bytes || memcmp(ingest->token, token, bytes) != 0))
    return error_set(error, STATUS_INVALID, "two different idempotency keys are given");
  free(ingest->token);
  ingest->token = strndup(token, bytes);
  return ingest->token != NULL ? STATUS_OK
                               : error_set(error, STATUS_NOMEM, "no memory for a request");
}

enum status ingest_name(struct ingest *ingest, const char *stream, struct error *error) {
  ingest->stream = strdup(stream);
  if (ingest->stream == NULL) return error_set(error, STATUS_NOMEM, "no memory for a request");
  if (ingest->request.call != NULL) call_stream(ingest->request.call, stream);
  return STATUS_OK;
}

static enum status prepare(struct ingest *ingest, struct server *server, const char *name,
                           struct error *error) {
  const char *token =
      http_request_header(http_exchange_request(ingest->request.exchange), "idempotency-key");
  enum status status =
      name != NULL && name[0] != '\0' ? ingest_name(ingest, name, error) : STATUS_OK;
  if (status != STATUS_OK) return status;
  if (token != NULL) {
    if (http_request_header_count(http_exchange_request(ingest->request.exchange),
                                  "idempotency-key") > 1)
      return error_set(error, STATUS_INVALID, "the header Idempotency-Key is given twice");
    status = ingest_set_token(ingest, token, error);
    if (status != STATUS_OK) return status;
  }
  ingest->limits = ingest_limits(server);
  if (ingest->door->window == NULL)
    status = ipc_framer_new(&ingest->limits, &server->budget, &ingest->framer, error);
  if (status == STATUS_OK)
    status = net_timer_new(server->loop, on_held, ingest, &ingest->held_timer, error);
  return status;
}

void ingest_fail(struct ingest *ingest, enum status status, const struct error *error) {
  struct call *call = ingest->request.call;
  struct http_exchange *exchange = ingest->request.exchange;
  call->status = status;
  request_untie(&ingest->request);
  ingest_free(ingest);
  respond_problem(exchange, status, error);
}

struct ingest *ingest_new(struct call *call, size_t bytes, const struct ingest_door *door) {
  struct server *server = call->server;
  struct error error;
  struct ingest *ingest = calloc(1, bytes);
  if (ingest == NULL) {
    error_set(&error, STATUS_NOMEM, "no memory for a request");
    respond_problem(call->exchange, STATUS_NOMEM, &error);
    return NULL;
  }
  request_begin(&ingest->request, call, ingest_finished);
  ingest->door = door;
  ingest->started_us = clock_now_us();
  ingest->space_post = (struct net_post){.run = on_space, .context = ingest};
  ingest->done_post = (struct net_post){.run = on_done, .context = ingest};
  enum status status = prepare(ingest, server, call->name, &error);
  if (status != STATUS_OK) {
    ingest_fail(ingest, status, &error);
    return NULL;
  }
  ingest->next = server->ingests;
  ingest->previous = &server->ingests;
  if (ingest->next != NULL) ingest->next->previous = &ingest->next;
  server->ingests = ingest;
  ingest->number = ++server->ingest_count;
  return ingest;
}

enum status ingest_open(struct ingest *ingest, const struct ingest_target *asked,
                        struct error *error) {
  struct server *server = ingest->request.server;
  struct ingest_target placed = *asked;
  const struct ingest_target *target = &placed;
  enum status status =
      placed.sink != NULL
          ? STATUS_OK
          : server_config_place(ingest->request.config, &placed.table, &placed.backend, error);
  if (status == STATUS_OK && placed.sink == NULL)
    status =
        auth_allow_stream(ingest->request.who, AUTH_WRITE, ingest->stream, &target->table, error);
  if (status == STATUS_DENIED) metrics_refused(server->metrics, METRICS_SCOPE);
  if (status != STATUS_OK) return status;
  ingest->target = *target;
  struct intake_options options = {
      .workers = server->workers,
      .budget = &server->budget,
      .limits = ingest->limits,
      .target = {.sink = target->sink,
                 .table = target->table,
                 .mode = target->mode,
                 .create_table = true,
                 .chunk_rows = target->chunk_rows,
                 .keys = (const char *const *)target->keys,
                 .key_count = target->key_count,
                 .refuse_duplicates = target->refuse_duplicates,
                 .policy = target->landing.policy,
                 .token = ingest->token},
      .each_batch = target->landing.each_batch,
      .watermark = target->watermark,
      .resume = target->resume,
      .offset = ingest->door->offset == NULL ? NULL : pass_offset,
      .groups = target->sink == NULL && target->watermark.rows != 1 ? server->groups : NULL,
      .backend = target->backend,
      .group_limits = {.rows_max = target->landing.group_rows_max,
                       .bytes_max = target->landing.group_bytes_max,
                       .time_ms = target->landing.group_time_ms},
      .open_sink = open_sink,
      .queue_bytes_max = QUEUE_BYTES_MAX,
      .space = intake_has_space,
      .done = intake_is_done,
      .context = ingest,
  };
  return intake_new(&options, &ingest->intake, error);
}
