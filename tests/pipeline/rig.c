#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/build.h"
#include "base/clock.h"

struct budget rig_budget = {.limit_bytes = 256 << 20};

static void ok(enum status status, const struct error *error) {
  if (status != STATUS_OK) fail_msg("%s: %s", status_name(status), error->text);
}

/* ---- streams ----------------------------------------------------------------------------- */

static void add_columns(struct ArrowSchema *schema, enum rig_columns columns) {
  struct error error = {0};
  ok(arrow_schema_init(schema, "+s", "", false, columns == RIG_PLAIN ? 1 : 2, &error), &error);
  ok(arrow_schema_init(schema->children[0], "l", "id", true, 0, &error), &error);
  if (columns == RIG_PLAIN) return;
  if (columns == RIG_OTHER) {
    ok(arrow_schema_init(schema->children[1], "l", "more", true, 0, &error), &error);
    return;
  }
  ok(arrow_schema_init(schema->children[1], "c", "word", true, 0, &error), &error);
  schema->children[1]->dictionary = calloc(1, sizeof(struct ArrowSchema));
  assert_non_null(schema->children[1]->dictionary);
  ok(arrow_schema_init(schema->children[1]->dictionary, "u", "", true, 0, &error), &error);
}

static void add_row(struct build *build, enum rig_columns columns, int64_t id, bool first) {
  struct error error = {0};
  char word[24];
  ok(build_integer(build_child(build, 0), id, &error), &error);
  if (columns == RIG_OTHER) ok(build_integer(build_child(build, 1), id, &error), &error);
  if (columns == RIG_WORDS && first) { /* the only word of this batch's dictionary */
    int bytes = snprintf(word, sizeof word, "%lld", (long long)id);
    ok(build_bytes(build_child(build_child(build, 1), 0), word, bytes, &error), &error);
  }
  if (columns == RIG_WORDS) ok(build_integer(build_child(build, 1), 0, &error), &error);
  ok(build_slot(build, &error), &error);
}

void rig_write(const struct rig_stream *stream, struct buffer *out) {
  struct ArrowSchema schema = {.release = NULL};
  struct ipc_writer *writer = NULL;
  struct build *build = NULL;
  struct error error = {0};
  int64_t id = stream->first;
  add_columns(&schema, stream->columns);
  ok(ipc_writer_new(&schema, NULL, &rig_budget, &writer, &error), &error);
  ok(build_new(&schema, &rig_budget, &build, &error), &error);
  ok(ipc_writer_schema(writer, out, &error), &error);
  for (int i = 0; i < stream->batches; i++) {
    struct ArrowArray batch;
    for (int64_t row = 0; row < stream->rows; row++)
      add_row(build, stream->columns, id++, row == 0);
    ok(build_finish(build, &batch, &error), &error);
    ok(ipc_writer_batch(writer, &batch, out, &error), &error);
    arrow_array_release(&batch);
  }
  ok(ipc_writer_end(writer, out, &error), &error);
  build_free(build);
  ipc_writer_free(writer);
  arrow_schema_release(&schema);
}

/* The next message of `stream` at `*at`; false at its end. */
static bool next_message(struct ipc_framer *framer, const struct buffer *stream, int64_t *at,
                         struct ipc_message *message) {
  struct error error = {0};
  enum ipc_frame frame = IPC_FRAME_PARTIAL;
  while (frame == IPC_FRAME_PARTIAL) {
    uint8_t *data;
    int64_t bytes;
    ok(ipc_framer_window(framer, &data, &bytes, &error), &error);
    if (bytes > stream->size_bytes - *at) bytes = stream->size_bytes - *at;
    assert_true(bytes > 0);
    memcpy(data, stream->data + *at, (size_t)bytes);
    *at += bytes;
    ok(ipc_framer_filled(framer, bytes, &frame, &error), &error);
  }
  if (frame == IPC_FRAME_END) return false;
  ipc_framer_take(framer, message);
  return true;
}

void rig_push_some(struct intake *intake, const struct buffer *stream, int count) {
  struct ipc_framer *framer = NULL;
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_message message;
  struct error error = {0};
  int64_t at = 0;
  ok(ipc_framer_new(&limits, &rig_budget, &framer, &error), &error);
  while (count-- > 0 && next_message(framer, stream, &at, &message)) intake_push(intake, &message);
  ipc_framer_free(framer);
}

void rig_push_after(struct intake *intake, const struct buffer *stream, int skipped) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_framer *framer = NULL;
  struct ipc_message message;
  struct error error = {0};
  int64_t at = 0;
  ok(ipc_framer_new(&limits, &rig_budget, &framer, &error), &error);
  while (next_message(framer, stream, &at, &message)) {
    if (skipped-- > 0)
      ipc_message_release(&message);
    else
      intake_push(intake, &message);
  }
  ipc_framer_free(framer);
}

void rig_push(struct intake *intake, const struct buffer *stream) {
  rig_push_some(intake, stream, INT32_MAX);
}

void rig_push_garbage(struct intake *intake) {
  static const char garbage[] = "this is no flatbuffer, whatever its length may say";
  struct ipc_message message = {.offset_bytes = 0};
  struct error error = {0};
  ok(buffer_append(&message.metadata, &rig_budget, garbage, sizeof garbage, &error), &error);
  intake_push(intake, &message);
}

/* ---- a sink ------------------------------------------------------------------------------- */

struct rig_load {
  struct load base;
  int64_t ids[RIG_IDS_MAX];
  int64_t count, batches;
};

static enum status rig_begin(struct sink *base, const struct load_spec *spec, struct load **load,
                             struct error *error) {
  struct rig_sink *sink = (struct rig_sink *)base;
  (void)spec;
  (void)error;
  *load = calloc(1, sizeof(struct rig_load));
  assert_non_null(*load);
  (*load)->sink = base;
  pthread_mutex_lock(&sink->lock);
  sink->begun++;
  pthread_cond_broadcast(&sink->changed);
  pthread_mutex_unlock(&sink->lock);
  return STATUS_OK;
}

static enum status rig_append(struct load *base, struct ArrowArray *batch, struct error *error) {
  (void)error;
  struct rig_load *load = (struct rig_load *)base;
  const int64_t *ids = batch->children[0]->buffers[1];
  for (int64_t i = 0; i < batch->length && load->count < RIG_IDS_MAX; i++)
    load->ids[load->count++] = ids[batch->offset + batch->children[0]->offset + i];
  load->batches++;
  arrow_array_release(batch);
  return STATUS_OK;
}

static enum status rig_commit(struct load *base, struct load_result *result, struct error *error) {
  (void)error;
  struct rig_load *load = (struct rig_load *)base;
  struct rig_sink *sink = (struct rig_sink *)base->sink;
  pthread_mutex_lock(&sink->lock);
  sink->committed++;
  for (int64_t i = 0; i < load->count && sink->id_count < RIG_IDS_MAX; i++)
    sink->ids[sink->id_count++] = load->ids[i];
  pthread_mutex_unlock(&sink->lock);
  *result = (struct load_result){.rows = load->count, .batches = load->batches, .version = -1};
  free(load);
  return STATUS_OK;
}

static void rig_abort(struct load *load) {
  struct rig_sink *sink = (struct rig_sink *)load->sink;
  pthread_mutex_lock(&sink->lock);
  sink->aborted++;
  pthread_mutex_unlock(&sink->lock);
  free(load);
}

/* The rows of a parcel, noted; false: a word is not its batch's first id. */
static bool note_rows(struct rig_sink *sink, const struct parcel *parcel, int64_t *rows) {
  bool right = true;
  for (int64_t i = 0; i < parcel->batch_count; i++) {
    const struct ArrowArray *batch = &parcel->batches[i], *column = batch->children[0];
    const int64_t *ids = (const int64_t *)column->buffers[1] + column->offset;
    for (int64_t row = 0; row < batch->length && sink->id_count < RIG_IDS_MAX; row++)
      sink->ids[sink->id_count++] = ids[row];
    *rows += batch->length;
    if (batch->n_children != parcel->schema->n_children) right = false;
    if (batch->n_children < 2 || parcel->schema->children[1]->dictionary == NULL) continue;
    const struct ArrowArray *words = batch->children[1]->dictionary;
    const int32_t *offsets = words->buffers[1];
    char word[24];
    int bytes = snprintf(word, sizeof word, "%lld", (long long)ids[0]);
    right &= words->length == 1 && offsets[1] == bytes &&
             memcmp(words->buffers[2], word, (size_t)bytes) == 0;
  }
  return right;
}

static int64_t first_id(const struct parcel *parcel) {
  if (parcel->batch_count == 0 || parcel->batches[0].length == 0) return -1;
  const struct ArrowArray *column = parcel->batches[0].children[0];
  return ((const int64_t *)column->buffers[1])[column->offset];
}

static bool is_known(struct rig_sink *sink, const char *token) {
  for (int i = 0; token != NULL && i < sink->token_count; i++)
    if (strcmp(sink->tokens[i], token) == 0) return true;
  return false;
}

static void land_one(struct rig_sink *sink, struct parcel *parcel) {
  parcel->result = (struct load_result){.batches = parcel->batch_count, .version = -1};
  if (sink->guilty != 0 && first_id(parcel) == sink->guilty) {
    parcel->status = error_set(parcel->error, sink->verdict, "the sink refuses");
    parcel->schema_refused = sink->schema_refused;
    return;
  }
  for (int64_t i = 0; i < parcel->batch_count; i++)
    parcel->result.rows += parcel->batches[i].length;
  parcel->result.repeated = is_known(sink, parcel->token);
  if (parcel->result.repeated) return;
  if (parcel->token != NULL && sink->token_count < RIG_TOKENS_MAX)
    snprintf(sink->tokens[sink->token_count++], sizeof sink->tokens[0], "%s", parcel->token);
  int64_t rows = 0;
  if (!note_rows(sink, parcel, &rows)) sink->words_wrong = 1;
}

static void rig_land(struct sink *base, const struct load_spec *spec, struct parcel *parcels,
                     int64_t count) {
  struct rig_sink *sink = (struct rig_sink *)base;
  int64_t rows = 0;
  for (int64_t i = 0; i < count; i++)
    for (int64_t k = 0; k < parcels[i].batch_count; k++) rows += parcels[i].batches[k].length;
  pthread_mutex_lock(&sink->lock);
  if (sink->lands < RIG_ROUNDS_MAX)
    sink->rounds[sink->lands] = (struct rig_round){
        .table = spec->table, .policy = spec->policy, .parcels = count, .rows = rows};
  sink->lands++;
  pthread_cond_broadcast(&sink->changed);
  while (sink->shut) pthread_cond_wait(&sink->changed, &sink->lock);
  for (int64_t i = 0; i < count; i++) land_one(sink, &parcels[i]);
  pthread_mutex_unlock(&sink->lock);
  if (sink->land_ms > 0) clock_sleep_ms(sink->land_ms);
}

static enum status rig_lookup(struct sink *base, const struct table_name *name, const char *token,
                              bool *found, struct load_result *result, struct error *error) {
  struct rig_sink *sink = (struct rig_sink *)base;
  (void)name;
  (void)token;
  pthread_mutex_lock(&sink->lock);
  sink->lookups++;
  pthread_mutex_unlock(&sink->lock);
  if (sink->lookup_status != STATUS_OK)
    return error_set(error, sink->lookup_status, "the sink cannot tell");
  *found = sink->lookup_found;
  if (*found)
    *result = (struct load_result){.rows = 7, .batches = 1, .version = -1, .repeated = true};
  return STATUS_OK;
}

static const struct sink_type RIG = {
    .name = "rig",
    .summary = "records",
    .modes = SINK_APPEND,
    .traits = SINK_TOKENS,
    .begin = rig_begin,
    .append = rig_append,
    .commit = rig_commit,
    .abort = rig_abort,
    .land = rig_land,
    .lookup = rig_lookup,
};

void rig_sink_init(struct rig_sink *sink) {
  memset(sink, 0, sizeof *sink);
  sink->sink.type = &RIG;
  pthread_mutex_init(&sink->lock, NULL);
  pthread_cond_init(&sink->changed, NULL);
}

void rig_sink_open_gate(struct rig_sink *sink) {
  pthread_mutex_lock(&sink->lock);
  sink->shut = false;
  pthread_cond_broadcast(&sink->changed);
  pthread_mutex_unlock(&sink->lock);
}

void rig_sink_wait_lands(struct rig_sink *sink, int lands) {
  pthread_mutex_lock(&sink->lock);
  while (sink->lands < lands) pthread_cond_wait(&sink->changed, &sink->lock);
  pthread_mutex_unlock(&sink->lock);
}
