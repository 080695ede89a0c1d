/* The writer: collects record batches, and says when a round is run and when a row group ends.
 *
 * Rows are pending, then in pages of the current row group, then written; a row is in one of the three.
 * A call that is refused memory leaves each row where it was, or has moved it on: so it may be
 * repeated. What `write` refuses, or a value that cannot be written, is kept in `failure` and ends it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/array.h"
#include "parquet/private.h"

enum { ROUND_PAGES = 4 }; /* of each column in a round: enough that two threads end together */
static const int64_t ROUND_BYTES = (int64_t)64 << 20; /* of rows that are wide */

/* ---- making one ------------------------------------------------------------------------------------ */

static enum status make_columns(struct parquet_writer *writer, struct error *error) {
  int32_t count = writer->schema->leaf_count;
  writer->columns = calloc((size_t)count + 1, sizeof *writer->columns);
  if (writer->columns == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for %d columns", (int)count);
  for (int32_t i = 0; i < count; i++) {
    writer->columns[i].leaf = &writer->schema->leaves[i];
    parquet_statistics_start(writer->columns[i].leaf, &writer->columns[i].statistics);
  }
  return STATUS_OK;
}

enum status parquet_writer_new(const struct ArrowSchema *schema,
                               const struct parquet_options *options, const struct parquet_out *out,
                               struct budget *budget, struct parquet_writer **writer,
                               struct error *error) {
  struct parquet_options defaults = PARQUET_OPTIONS_DEFAULT;
  if (options == NULL) options = &defaults;
  struct parquet_writer *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a Parquet writer");
  made->out = *out;
  made->budget = budget;
  for (int i = 0; i < WORKERS_LANES_MAX; i++) made->lanes[i].shredder.budget = budget;
  enum status status = arrow_schema_copy(schema, &made->arrow, error);
  if (status != STATUS_OK) goto done;
  status = parquet_schema_new(&made->arrow, &made->schema, error);
  if (status == STATUS_OK) status = make_columns(made, error);
  if (status == STATUS_OK) status = parquet_options_read(made, options, error);
  if (status == STATUS_OK)
    status =
        parquet_compressor_new(options->codec, options->level, budget, &made->compressor, error);
  if (status == STATUS_OK)
    status = parquet_compressor_new(PARQUET_UNCOMPRESSED, 0, budget, &made->no_compressor, error);
  if (status != STATUS_OK) goto done;
  *writer = made;
  made = NULL;
done:
  parquet_writer_free(made);
  return status;
}

static void release_lane(struct parquet_lane *lane) {
  parquet_shredder_release(&lane->shredder);
  parquet_levels_release(&lane->levels);
  parquet_values_release(&lane->values);
  parquet_values_release(&lane->entries);
  struct buffer *all[] = {&lane->indices, &lane->work,    &lane->raw,
                          &lane->map,     &lane->unknown, &lane->seen};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) buffer_release(all[i]);
}

void parquet_writer_free(struct parquet_writer *writer) {
  if (writer == NULL) return;
  for (int64_t i = 0; i < writer->pending_count; i++)
    arrow_array_release(&writer->pending[i].batch);
  free(writer->pending);
  for (int32_t i = 0; writer->columns != NULL && i < writer->schema->leaf_count; i++)
    parquet_column_release(&writer->columns[i]);
  free(writer->columns);
  for (int64_t i = 0; i < parquet_group_count(writer); i++)
    parquet_group_release(&parquet_groups(writer)[i]);
  buffer_release(&writer->groups);
  for (int i = 0; i < WORKERS_LANES_MAX; i++) release_lane(&writer->lanes[i]);
  parquet_compressor_free(writer->compressor);
  parquet_compressor_free(writer->no_compressor);
  parquet_options_release(writer);
  parquet_schema_free(writer->schema);
  arrow_schema_release(&writer->arrow);
  free(writer);
}

/* ---- rounds and row groups ------------------------------------------------------------------------- */

/* Whether the call may be repeated when memory has come free. */
static bool is_for_want_of_memory(enum status status) {
  return status == STATUS_BUDGET || status == STATUS_NOMEM;
}

static enum status fail(struct parquet_writer *writer, enum status status,
                        const struct error *error) {
  if (is_for_want_of_memory(status) || writer->failure.status != STATUS_OK) return status;
  if (error != NULL) writer->failure = *error;
  writer->failure.status = status;
  return status;
}

static enum status check_usable(const struct parquet_writer *writer, struct error *error) {
  if (writer->is_finished)
    return error_set(error, STATUS_INVALID, "the Parquet file is finished: it takes no more");
  if (writer->failure.status != STATUS_OK && error != NULL) *error = writer->failure;
  return writer->failure.status;
}

/* Rows that a round has. */
static int64_t round_rows(const struct parquet_writer *writer) {
  int64_t page = writer->options.page_values;
  int64_t rows = page * ROUND_PAGES;
  int64_t row_bytes = writer->pending_bytes / (writer->pending_rows > 0 ? writer->pending_rows : 1);
  int64_t bytes = writer->options.row_group_bytes; /* a round more is no more than as much again */
  if (bytes > ROUND_BYTES) bytes = ROUND_BYTES;
  if (row_bytes > 0 && rows > bytes / row_bytes) rows = bytes / row_bytes;
  if (rows > page) rows -= rows % page;
  return rows > 0 ? rows : 1;
}

/* Memory runs short, and pending rows hold a good part of it: they become pages, which are smaller. */
static bool is_short(const struct parquet_writer *writer) {
  const struct budget *budget = writer->budget;
  return budget->used_bytes > budget->limit_bytes / 2 &&
         writer->pending_bytes > budget->limit_bytes / 16;
}

/* How many pending rows are to become pages now; 0: none yet. */
static int64_t rows_due(const struct parquet_writer *writer, bool all) {
  int64_t left_in_group = writer->options.row_group_rows - writer->group_rows;
  int64_t rows = round_rows(writer);
  if (rows > left_in_group) rows = left_in_group;
  if (writer->pending_rows >= rows) return rows;
  return all || is_short(writer) ? writer->pending_rows : 0;
}

static bool is_group_full(const struct parquet_writer *writer) {
  return writer->group_rows >= writer->options.row_group_rows ||
         writer->kept_bytes >= writer->options.row_group_bytes ||
         (writer->group_rows > 0 && writer->kept_bytes > writer->budget->limit_bytes / 4);
}

/* Makes pages of what is due, and ends row groups that are full. */
static enum status work_off(struct parquet_writer *writer, bool all, struct error *error) {
  for (;;) {
    if (is_group_full(writer)) {
      enum status status = parquet_group_write(writer, error);
      if (status != STATUS_OK) return fail(writer, status, error);
    }
    int64_t rows = rows_due(writer, all);
    if (rows == 0) return STATUS_OK;
    bool is_last = all && rows == writer->pending_rows && writer->group_rows == 0;
    enum status status = parquet_round_run(writer, rows, is_last, error);
    if (status != STATUS_OK) return fail(writer, status, error);
  }
}

/* ---- adding ---------------------------------------------------------------------------------------- */

struct checking {
  struct parquet_writer *writer;
  const struct ArrowArray *batch;
  pthread_mutex_t lock;
  struct error failure;
};

static void check_column(void *context, int64_t index, int lane) {
  struct checking *checking = context;
  (void)lane;
  struct error error = {0};
  enum status status =
      arrow_array_check(checking->writer->arrow.children[index], checking->batch->children[index],
                        ARRAY_CHECK_FULL, &error);
  if (status == STATUS_OK) return;
  pthread_mutex_lock(&checking->lock);
  checking->failure = error;
  checking->failure.status = status;
  pthread_mutex_unlock(&checking->lock);
}

/* That the batch is one of the schema, and keeps its own contract. */
static enum status check_batch(struct parquet_writer *writer, const struct ArrowArray *batch,
                               struct error *error) {
  enum status status = arrow_array_check(&writer->arrow, batch, ARRAY_CHECK_SHAPE, error);
  if (status != STATUS_OK || writer->options.is_checked) return status;
  if (batch->null_count != 0 && batch->n_buffers > 0 && batch->buffers[0] != NULL)
    return error_set(error, STATUS_INVALID, "a record batch's rows cannot be null themselves");
  struct checking checking = {.writer = writer, .batch = batch, .lock = PTHREAD_MUTEX_INITIALIZER};
  workers_each(writer->options.workers, batch->n_children, check_column, &checking);
  pthread_mutex_destroy(&checking.lock);
  if (checking.failure.status != STATUS_OK && error != NULL) *error = checking.failure;
  return checking.failure.status;
}

static enum status push(struct parquet_writer *writer, struct ArrowArray *batch,
                        struct error *error) {
  if (writer->pending_count == writer->pending_capacity) {
    int64_t capacity = writer->pending_capacity * 2 + 8;
    struct parquet_pending *grown = realloc(writer->pending, (size_t)capacity * sizeof *grown);
    if (grown == NULL) return error_set(error, STATUS_NOMEM, "no memory for a record batch");
    writer->pending = grown;
    writer->pending_capacity = capacity;
  }
  struct parquet_pending *pending = &writer->pending[writer->pending_count++];
  *pending = (struct parquet_pending){.bytes = arrow_array_bytes(&writer->arrow, batch)};
  arrow_array_move(batch, &pending->batch);
  writer->pending_rows += pending->batch.length;
  writer->pending_bytes += pending->bytes;
  return STATUS_OK;
}

enum status parquet_writer_add(struct parquet_writer *writer, struct ArrowArray *batch,
                               struct error *error) {
  enum status status = check_usable(writer, error);
  if (status != STATUS_OK) return status;
  /* What an earlier call was refused memory for comes first; until it is done nothing is taken. */
  status = work_off(writer, false, error);
  if (status == STATUS_OK) status = check_batch(writer, batch, error);
  if (status != STATUS_OK) return status;
  if (batch->length == 0) {
    arrow_array_release(batch);
    return STATUS_OK;
  }
  status = push(writer, batch, error);
  if (status != STATUS_OK) return status;
  writer->adding = batch; /* it may be in pages by the time that they cannot be written */
  status = work_off(writer, false, error);
  writer->adding = NULL;
  if (status == STATUS_OK || is_for_want_of_memory(status)) { /* it is taken */
    arrow_array_release(batch);
    return STATUS_OK;
  }
  if (batch->release == NULL) {
    struct parquet_pending *last = &writer->pending[--writer->pending_count];
    arrow_array_move(&last->batch, batch);
  }
  return status;
}

enum status parquet_writer_end_group(struct parquet_writer *writer, struct error *error) {
  enum status status = check_usable(writer, error);
  if (status == STATUS_OK) status = work_off(writer, true, error);
  if (status == STATUS_OK && writer->group_rows > 0)
    status = fail(writer, parquet_group_write(writer, error), error);
  return status;
}

enum status parquet_writer_finish(struct parquet_writer *writer, struct error *error) {
  enum status status = parquet_writer_end_group(writer, error);
  if (status == STATUS_OK) status = fail(writer, parquet_end_write(writer, error), error);
  if (status == STATUS_OK) writer->is_finished = true;
  return status;
}

/* ---- what is told of it ---------------------------------------------------------------------------- */

void parquet_writer_progress(const struct parquet_writer *writer,
                             struct parquet_progress *progress) {
  *progress = (struct parquet_progress){.rows = writer->rows_done + writer->group_rows +
                                                writer->pending_rows,
                                        .row_groups = parquet_group_count(writer),
                                        .bytes = writer->position_bytes,
                                        .kept_bytes = writer->kept_bytes};
}

int32_t parquet_writer_leaf_count(const struct parquet_writer *writer) {
  return writer->schema->leaf_count;
}

void parquet_writer_summary(const struct parquet_writer *writer, int32_t leaf,
                            struct parquet_summary *summary) {
  assert(leaf >= 0 && leaf < writer->schema->leaf_count);
  const struct parquet_column *column = &writer->columns[leaf];
  const struct parquet_statistics *statistics = &column->statistics;
  *summary = (struct parquet_summary){.name = column->leaf->name,
                                      .field_id = column->leaf->field_id,
                                      .type = column->leaf->type,
                                      .logical = column->leaf->logical,
                                      .compressed_bytes = column->compressed_bytes,
                                      .value_count = column->value_count,
                                      .null_count = statistics->null_count,
                                      .nan_count = statistics->nan_count,
                                      .has_bounds = statistics->has_bounds,
                                      .min_is_exact = statistics->min.is_exact,
                                      .max_is_exact = statistics->max.is_exact,
                                      .min = statistics->min.data,
                                      .max = statistics->max.data,
                                      .min_bytes = statistics->min.size_bytes,
                                      .max_bytes = statistics->max.size_bytes};
}
