/* POST /ingest/{stream}: the body is an Arrow IPC stream. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "server/ingest.h"
#include "server/ingest_ask.h"

struct ingest_post {
  struct ingest ingest;
  struct ingest_ask ask;
};

/* ---- answers ------------------------------------------------------------------- */

static enum status add_result(const struct ingest *ingest, const struct load_result *result,
                              struct text *body, struct error *error) {
  struct text table = TEXT_EMPTY;
  enum status status = table_name_print(&ingest->target.table, &table, error);
  if (status == STATUS_OK) status = text_add(body, "{\"stream\":", error);
  if (status == STATUS_OK)
    status = text_add_json(body, ingest->stream, strlen(ingest->stream), error);
  if (status == STATUS_OK) status = text_add(body, ",\"table\":", error);
  if (status == STATUS_OK) status = text_add_json(body, text_get(&table), table.size_bytes, error);
  if (status == STATUS_OK)
    status = text_add_format(body, error, ",\"rows\":%lld,\"batches\":%lld,\"bytes\":%lld",
                             (long long)result->rows, (long long)result->batches,
                             (long long)ingest->body_bytes);
  if (status == STATUS_OK) status = ingest_add_members(ingest, result, body, error);
  if (status == STATUS_OK)
    status = text_add_format(body, error, ",\"duration_ms\":%lld}\n",
                             (long long)((clock_now_us() - ingest->started_us) / 1000));
  text_release(&table);
  return status;
}

static void answer(struct ingest *ingest, const struct load_result *result) {
  struct text body = TEXT_EMPTY;
  struct error error;
  enum status status = add_result(ingest, result, &body, &error);
  /* Without memory the rows are there all the same: 200 says so, with an empty body. */
  if (status != STATUS_OK) text_clear(&body);
  ingest_respond(ingest, result, &body);
  text_release(&body);
}

static void resume(struct ingest *ingest) { http_body_resume(ingest->request.exchange); }

static void release(struct ingest *ingest) {
  ingest_ask_release(&((struct ingest_post *)ingest)->ask);
}

static const struct ingest_door door = {.answer = answer, .resume = resume, .release = release};

/* ---- the body -------------------------------------------------------------------- */

static enum status body_window(void *context, uint8_t **data, int64_t *bytes) {
  return ingest_window(context, data, bytes);
}

static enum status body_filled(void *context, int64_t bytes) {
  struct ingest *ingest = context;
  ingest->body_bytes += bytes;
  if (ingest->answered) return STATUS_CANCELLED;
  enum ipc_frame frame;
  enum status status = ingest_filled(ingest, bytes, &frame);
  if (status == STATUS_OK && frame == IPC_FRAME_MESSAGE) {
    struct ipc_message message;
    ipc_framer_take(ingest->framer, &message);
    ingest_push(ingest, &message);
  }
  return status;
}

static void body_end(void *context) {
  struct ingest_post *post = context;
  ingest_end(&post->ingest, post->ask.eos_optional);
}

/* ---- start ----------------------------------------------------------------------- */

/* True when the headers are those of an Arrow stream; answers otherwise. */
static bool check_headers(struct http_exchange *exchange) {
  const char *type = http_request_header(http_exchange_request(exchange), "content-type");
  if (media_type_is(type, "application/vnd.apache.arrow.stream")) return true;
  respond_problem_code(exchange, 415, STATUS_INVALID, NULL,
                       "the body must be an Arrow IPC stream (Content-Type: "
                       "application/vnd.apache.arrow.stream); this one says %.100s",
                       type == NULL ? "nothing" : type);
  return false;
}

static enum status begin(struct ingest_post *post, const char *query, struct error *error) {
  struct ingest_target target;
  struct ingest *ingest = &post->ingest;
  enum status status = ingest_ask_read(&post->ask, query, error);
  if (status == STATUS_OK)
    status = ingest_route(ingest->request.config, ingest->stream, &target, error);
  if (status != STATUS_OK) return status;
  target.mode = post->ask.mode;
  target.keys = post->ask.keys;
  target.key_count = post->ask.key_count;
  target.refuse_duplicates = post->ask.refuse_duplicates;
  return ingest_open(ingest, &target, error);
}

void ingest_start(struct call *call) {
  struct http_exchange *exchange = call->exchange;
  if (!check_headers(exchange)) return;
  struct ingest_post *post = (struct ingest_post *)ingest_new(call, sizeof *post, &door);
  if (post == NULL) return;
  struct error error;
  enum status status = begin(post, http_exchange_request(exchange)->query, &error);
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
