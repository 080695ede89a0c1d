/* POST /stream/{stream}: the JSON form that clients of earlier servers send (stream_json.h).
 *
 *   body -> chunk -> stream_json -> framer's window -> messages -> spool -> intake
 *
 * The body is read a chunk at a time; what the JSON reader decodes of `data` goes straight into the
 * buffers that the record batches will point into, as in POST /ingest. Messages wait in the spool
 * until it is known where they go and by which schema: `config` may come behind `batch`, and
 * `data` may have no schema message of its own when `arrow_schema` is there.
 *
 * 1. A chunk is used up before the next one is asked for; a chunk that cannot go on (no memory, the
 *    intake is full) keeps its place, and `resume` goes on with it.
 * 2. The spool holds half of the budget at most; with the target known it is empty.
 * 3. The Arrow stream may lack its end-of-stream marker: the end of the JSON says that it is whole,
 *    which a body of POST /ingest cannot say. */
#include <stdlib.h>
#include <string.h>

#include "arrow/ipc_describe.h"
#include "server/ingest.h"
#include "server/stream_config.h"
#include "server/stream_json.h"

enum { CHUNK_BYTES = 64 << 10 };

enum first { FIRST_UNKNOWN, FIRST_SCHEMA, FIRST_OTHER };

struct stream_post {
  struct ingest ingest;
  struct stream_json *json;
  struct buffer chunk;
  int64_t chunk_at; /* what was used of it */
  bool body_ended;

  struct settings settings; /* `config` */
  bool configured;
  struct ipc_message declared; /* `arrow_schema`, until it is pushed */
  struct ArrowSchema declared_schema;
  struct ArrowSchema own_schema; /* of the data */
  enum first first;              /* message of the data */
  bool data_over;
  struct ipc_message *spool;
  size_t spool_count, spool_capacity;
  int64_t spool_bytes;
};

/* ---- answers ------------------------------------------------------------------------ */

static enum status add_result(const struct ingest *ingest, const struct load_result *result,
                              struct text *body, struct error *error) {
  struct text message = TEXT_EMPTY;
  enum status status =
      text_add_format(&message, error, "%lld rows landed in table ", (long long)result->rows);
  if (status == STATUS_OK) status = table_name_print(&ingest->target.table, &message, error);
  if (status == STATUS_OK) status = text_add(body, "{\"status\":\"success\",\"stream\":", error);
  if (status == STATUS_OK)
    status = text_add_json(body, ingest->stream, strlen(ingest->stream), error);
  if (status == STATUS_OK)
    status = text_add_format(
        body, error, ",\"rows_processed\":%lld,\"storage_backend\":", (long long)result->rows);
  if (status == STATUS_OK)
    status = text_add_json(body, ingest->target.backend, strlen(ingest->target.backend), error);
  if (status == STATUS_OK) status = text_add(body, ",\"message\":", error);
  if (status == STATUS_OK)
    status = text_add_json(body, text_get(&message), message.size_bytes, error);
  if (status == STATUS_OK) status = ingest_add_members(ingest, result, body, error);
  if (status == STATUS_OK) status = text_add(body, "}\n", error);
  text_release(&message);
  return status;
}

static void answer(struct ingest *ingest, const struct load_result *result) {
  struct text body = TEXT_EMPTY;
  struct error error;
  enum status status = add_result(ingest, result, &body, &error);
  if (status != STATUS_OK) text_clear(&body); /* the rows are there all the same */
  ingest_respond(ingest, result, &body);
  text_release(&body);
}

static void release(struct ingest *ingest) {
  struct stream_post *post = (struct stream_post *)ingest;
  for (size_t i = 0; i < post->spool_count; i++) ipc_message_release(&post->spool[i]);
  free(post->spool);
  ipc_message_release(&post->declared);
  if (post->declared_schema.release != NULL) arrow_schema_release(&post->declared_schema);
  if (post->own_schema.release != NULL) arrow_schema_release(&post->own_schema);
  settings_release(&post->settings);
  stream_json_free(post->json);
  buffer_release(&post->chunk);
}

/* ---- what the members say --------------------------------------------------------------- */

static enum status open_target(struct stream_post *post, struct error *error) {
  struct ingest *ingest = &post->ingest;
  const struct server_config *config = ingest->request.config;
  const struct stream_config *route = server_config_stream(config, ingest->stream);
  const struct config *given = post->settings.values;
  struct ingest_target target = {.mode = SINK_APPEND};
  const char *table = config_string(given, "target_table");
  enum status status = table_name_parse(table, strlen(table), &target.table, error);
  if (status != STATUS_OK) return status;
  target.backend = config_string(given, "storage_backend");
  if (target.backend == NULL)
    target.backend = route != NULL ? route->backend : config->storage_backend;
  status = server_config_backend(target.backend, error);
  if (status != STATUS_OK) return status;
  target.chunk_rows = route != NULL ? route->chunk_rows : config->chunk_rows;
  target.landing = route != NULL ? route->landing : config->landing;
  if (config_origin(given, "chunk_size") != CONFIG_DEFAULT)
    target.chunk_rows = config_integer(given, "chunk_size");
  return ingest_open(ingest, &target, error);
}

static enum status take_config(struct stream_post *post, struct error *error) {
  char *token = NULL;
  post->configured = true;
  enum status status =
      stream_config_read(&post->settings, stream_json_config(post->json), &token, error);
  if (status == STATUS_OK && token != NULL) status = ingest_set_token(&post->ingest, token, error);
  free(token);
  return status;
}

/* A schema message alone, or a stream that has nothing else. */
static enum status take_declared(struct stream_post *post, struct error *error) {
  const struct buffer *bytes = stream_json_schema(post->json);
  const struct ipc_limits *limits = &post->ingest.limits;
  struct ipc_description description = {.kind = IPC_MESSAGE_UNKNOWN};
  struct ipc_message more = {.offset_bytes = 0};
  int64_t at = 0;
  enum ipc_frame frame;
  enum status status = ipc_cut(bytes, limits, true, &at, &post->declared, &frame, error);
  if (status == STATUS_OK && frame == IPC_FRAME_MESSAGE)
    status = ipc_describe(&post->declared, limits, &description, error);
  if (status == STATUS_OK && description.kind != IPC_MESSAGE_SCHEMA)
    status = error_set(error, STATUS_INVALID, "it is not a schema message");
  if (status == STATUS_OK) status = ipc_cut(bytes, limits, true, &at, &more, &frame, error);
  if (status == STATUS_OK && frame != IPC_FRAME_END)
    status = error_set(error, STATUS_INVALID, "something follows its schema message");
  if (status == STATUS_OK) {
    post->declared_schema = description.schema;
    description.schema.release = NULL;
  } else {
    error_at(error, "\"arrow_schema\"");
  }
  ipc_message_release(&more);
  ipc_description_release(&description);
  return status;
}

/* Both schemas, as soon as both are known: they must be one. */
static enum status compare_schemas(const struct stream_post *post, struct error *error) {
  struct error where = {.status = STATUS_OK};
  if (post->declared_schema.release == NULL || post->own_schema.release == NULL) return STATUS_OK;
  if (arrow_schema_equal(&post->declared_schema, &post->own_schema, &where)) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "\"arrow_schema\" is not the schema of \"data\": %.500s",
                   where.text);
}

/* ---- messages ------------------------------------------------------------------------------- */

/* Hands the spool on once it is known where to; until then it waits. */
static enum status pump(struct stream_post *post, struct error *error) {
  struct ingest *ingest = &post->ingest;
  bool has_schema = post->first == FIRST_SCHEMA || post->declared_schema.release != NULL;
  if (!post->configured || !has_schema || (post->first == FIRST_UNKNOWN && !post->data_over))
    return STATUS_OK;
  if (ingest->intake == NULL) {
    enum status status = open_target(post, error);
    if (status != STATUS_OK) return status;
    if (post->first != FIRST_SCHEMA) {
      ingest_push(ingest, &post->declared);
      post->declared = (struct ipc_message){.offset_bytes = 0};
    }
  }
  for (size_t i = 0; i < post->spool_count; i++) ingest_push(ingest, &post->spool[i]);
  post->spool_count = 0;
  post->spool_bytes = 0;
  return STATUS_OK;
}

/* Is it the schema? */
static enum status look_at_first(struct stream_post *post, const struct ipc_message *message,
                                 struct error *error) {
  struct ipc_description description = {.kind = IPC_MESSAGE_UNKNOWN};
  enum status status = ipc_describe(message, &post->ingest.limits, &description, error);
  if (status == STATUS_OK) {
    post->first = description.kind == IPC_MESSAGE_SCHEMA ? FIRST_SCHEMA : FIRST_OTHER;
    if (post->first == FIRST_SCHEMA) {
      post->own_schema = description.schema;
      description.schema.release = NULL;
    }
  }
  ipc_description_release(&description);
  return status;
}

/* Always takes the message over. */
static enum status take_message(struct stream_post *post, struct ipc_message *message,
                                struct error *error) {
  enum status status = STATUS_OK;
  if (post->spool_count == post->spool_capacity) {
    size_t capacity = post->spool_capacity == 0 ? 8 : 2 * post->spool_capacity;
    struct ipc_message *grown = realloc(post->spool, capacity * sizeof *grown);
    if (grown == NULL) {
      ipc_message_release(message);
      return error_set(error, STATUS_NOMEM, "no memory to queue a message");
    }
    post->spool = grown;
    post->spool_capacity = capacity;
  }
  post->spool[post->spool_count++] = *message;
  post->spool_bytes += message->metadata.size_bytes + message->body.size_bytes;
  if (post->first == FIRST_UNKNOWN) {
    status = look_at_first(post, message, error);
    if (status == STATUS_OK) status = compare_schemas(post, error);
  }
  if (status == STATUS_OK) status = pump(post, error);
  if (status == STATUS_OK &&
      post->spool_bytes > post->ingest.request.server->budget.limit_bytes / 2)
    status = error_set(error, STATUS_TOO_LARGE,
                       "%s comes behind \"data\", of which more has come than is kept until then: "
                       "send it first",
                       post->configured ? "\"arrow_schema\"" : "\"config\"");
  return status;
}

static enum status take_event(struct stream_post *post, enum stream_json_event event,
                              struct error *error) {
  enum status status = STATUS_OK;
  switch (event) {
  case STREAM_JSON_MORE:
  case STREAM_JSON_ROOM: return STATUS_OK;
  case STREAM_JSON_CONFIG: status = take_config(post, error); break;
  case STREAM_JSON_SCHEMA:
    status = take_declared(post, error);
    if (status == STATUS_OK) status = compare_schemas(post, error);
    break;
  case STREAM_JSON_DATA: post->data_over = true; break;
  }
  return status == STATUS_OK ? pump(post, error) : status;
}

/* ---- the body --------------------------------------------------------------------------------- */

static enum status finish(struct stream_post *post, struct error *error) {
  enum status status = stream_json_finish(post->json, error);
  if (status == STATUS_OK && post->ingest.intake == NULL)
    status = error_set(error, STATUS_INVALID,
                       "\"data\" has no schema message, and \"arrow_schema\" is not there");
  return status;
}

/* One step through the chunk; false: not now, or never. */
static bool step(struct stream_post *post) {
  struct ingest *ingest = &post->ingest;
  struct error error = {.status = STATUS_OK};
  uint8_t *out = NULL;
  int64_t room = 0, used = 0, made = 0;
  enum stream_json_event event;
  if (stream_json_in_data(post->json) && ingest_window(ingest, &out, &room) != STATUS_OK)
    return false;
  enum status status = stream_json_feed(post->json, post->chunk.data + post->chunk_at,
                                        post->chunk.size_bytes - post->chunk_at, &used, out, room,
                                        &made, &event, &error);
  post->chunk_at += used;
  if (status == STATUS_OK && made > 0) {
    enum ipc_frame frame;
    if (ingest_filled(ingest, made, &frame) != STATUS_OK) return false;
    struct ipc_message message;
    if (frame == IPC_FRAME_MESSAGE) {
      ipc_framer_take(ingest->framer, &message);
      status = take_message(post, &message, &error);
    }
  }
  if (status == STATUS_OK) status = take_event(post, event, &error);
  if (status != STATUS_OK) ingest_refuse(ingest, status, &error);
  return status == STATUS_OK;
}

/* Goes through the chunk as far as that is possible now. */
static void go_on(struct stream_post *post) {
  struct ingest *ingest = &post->ingest;
  while (!ingest->answered && post->chunk_at < post->chunk.size_bytes)
    if (!step(post)) return;
  if (ingest->answered || !post->body_ended || ingest->body_over) return;
  struct error error = {.status = STATUS_OK};
  enum status status = finish(post, &error);
  if (status == STATUS_OK)
    ingest_end(ingest, true);
  else
    ingest_refuse(ingest, status, &error);
}

static void resume(struct ingest *ingest) {
  struct stream_post *post = (struct stream_post *)ingest;
  go_on(post);
  if (!ingest->answered && post->chunk_at == post->chunk.size_bytes && !post->body_ended)
    http_body_resume(ingest->request.exchange);
}

static const struct ingest_door door = {.answer = answer, .resume = resume, .release = release};

static enum status body_window(void *context, uint8_t **data, int64_t *bytes) {
  struct stream_post *post = context;
  go_on(post);
  if (post->ingest.answered) return STATUS_CANCELLED;
  if (post->chunk_at < post->chunk.size_bytes) return STATUS_BUDGET; /* paused in ingest_window */
  *data = post->chunk.data;
  *bytes = post->chunk.capacity_bytes;
  return STATUS_OK;
}

static enum status body_filled(void *context, int64_t bytes) {
  struct stream_post *post = context;
  post->ingest.body_bytes += bytes;
  if (post->ingest.answered) return STATUS_CANCELLED;
  post->chunk.size_bytes = bytes;
  post->chunk_at = 0;
  go_on(post);
  return post->ingest.answered ? STATUS_CANCELLED : STATUS_OK;
}

static void body_end(void *context) {
  struct stream_post *post = context;
  post->body_ended = true;
  go_on(post);
}

/* ---- start -------------------------------------------------------------------------------------- */

void stream_start(struct call *call) {
  struct http_exchange *exchange = call->exchange;
  const char *type = http_request_header(http_exchange_request(exchange), "content-type");
  if (!media_type_is(type, "application/json")) {
    respond_problem_code(exchange, 415, STATUS_INVALID, NULL,
                         "the body must be JSON (Content-Type: application/json); this one says "
                         "%.100s",
                         type == NULL ? "nothing" : type);
    return;
  }
  struct stream_post *post = (struct stream_post *)ingest_new(call, sizeof *post, &door);
  if (post == NULL) return;
  struct error error;
  struct budget *budget = &call->server->budget;
  enum status status = stream_json_new(budget, &post->json, &error);
  if (status == STATUS_OK) status = buffer_reserve(&post->chunk, budget, CHUNK_BYTES, &error);
  if (status != STATUS_OK) {
    ingest_fail(&post->ingest, status, &error);
    return;
  }
  http_body_accept(exchange, &(struct http_body_handler){
                                 .context = post,
                                 .window = body_window,
                                 .filled = body_filled,
                                 .end = body_end,
                                 .gone = ingest_gone,
                             });
}
