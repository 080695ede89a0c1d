/* A round: as many pending rows as keep all threads busy, made into pages.
 *
 * Each column is opened first, by one thread: its rows are cut into pages, a new chunk's encoding and codec
 * are chosen, and where there is a dictionary the pages are made in order, for it grows with each. What
 * is left of an open column, compressing, or all of a page without a dictionary, is done page by page by
 * whoever has nothing else to do. Columns are opened before pages are taken, the slow ones first: so no
 * thread has to wait for the last one's dictionary while there is other work.
 *
 * The pages join their chunks when all of the round has succeeded (private.h, invariant 1). */
#include "parquet/private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum { GAIN_PERCENT_MIN = 5 }; /* of compressing, or the column stays as it is */

struct job {
  struct parquet_column *column;
  struct parquet_rows *rows; /* of each page */
  struct parquet_page *pages;
  int64_t page_count, page_capacity;
  int64_t next; /* page to be taken */
};

struct round {
  struct parquet_writer *writer;
  int64_t rows;
  bool is_last;
  struct job *jobs;
  int32_t job_count;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  /* under the lock */
  int32_t opened;      /* jobs that were taken to be opened */
  int32_t opening;     /* of these, are still being opened */
  int32_t *ready;      /* jobs that are open, in the order in which they became so */
  int32_t ready_count; /* from `ready_first` on they may have pages to take */
  int32_t ready_first;
  struct error failure;
};

/* ---- opening a column ------------------------------------------------------------------------------ */

static enum status add_page(struct job *job, struct parquet_rows rows, struct error *error) {
  if (job->page_count == job->page_capacity) {
    int64_t capacity = job->page_capacity * 2 + 4;
    struct parquet_rows *grown = realloc(job->rows, (size_t)capacity * sizeof *grown);
    if (grown == NULL) return error_set(error, STATUS_NOMEM, "no memory for a row group's pages");
    job->rows = grown;
    job->page_capacity = capacity;
  }
  job->rows[job->page_count++] = rows;
  return STATUS_OK;
}

/* Cuts the round's rows into pages. */
static enum status plan_pages(const struct round *round, struct job *job, struct error *error) {
  const struct parquet_writer *writer = round->writer;
  const struct parquet_options *options = &writer->options;
  int64_t part = 0, row = writer->pending[0].next_row, left = round->rows;
  int64_t row_base = writer->rows_done + writer->group_rows;
  while (left > 0) {
    struct parquet_rows page = {.part = part, .row = row, .row_base = row_base};
    int64_t values = options->page_values, bytes = options->page_bytes;
    while (left > 0 && values > 0 && bytes > 0) {
      const struct ArrowArray *batch = &writer->pending[part].batch;
      int64_t there = batch->length - row < left ? batch->length - row : left;
      if (there == 0) {
        part++;
        row = 0;
        continue;
      }
      struct parquet_extent extent =
          parquet_measure(job->column->leaf, batch, row, there, values, bytes, page.rows == 0);
      page.rows += extent.rows;
      row += extent.rows;
      left -= extent.rows;
      values -= extent.values;
      bytes -= extent.bytes;
      if (extent.rows < there) break;
    }
    row_base += page.rows;
    enum status status = add_page(job, page, error);
    if (status != STATUS_OK) return status;
  }
  job->pages = calloc((size_t)job->page_count, sizeof *job->pages);
  if (job->pages == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for a row group's pages");
  return STATUS_OK;
}

/* How many values the chunk will have, as far as its first page tells. */
static int64_t values_expected(const struct round *round, const struct parquet_lane *lane,
                               const struct parquet_values *values) {
  int64_t rows = round->is_last ? round->rows : round->writer->options.row_group_rows;
  if (lane->levels.rows == 0) return values->count;
  double each = (double)values->count / (double)lane->levels.rows;
  return (int64_t)((double)rows * each) + 1;
}

/* Whether it is a dictionary without being looked at: asked for, or one in Arrow already. */
static bool is_dictionary_given(const struct parquet_writer *writer,
                                const struct parquet_column *column) {
  if (column->wants_encoding) return column->wanted == PARQUET_RLE_DICTIONARY;
  return parquet_page_is_translated(column->leaf) && writer->options.dictionary_bytes_max > 0;
}

/* ARROW:schema says that it is an Arrow dictionary of texts or bytes: Arrow's own reader makes one of
 * such pages, and knows how from these two encodings only. */
static bool is_read_as_dictionary(const struct parquet_writer *writer,
                                  const struct parquet_leaf *leaf) {
  return leaf->type == PARQUET_BYTE_ARRAY && !writer->options.no_arrow_schema &&
         leaf->step_count >= 2 && leaf->steps[leaf->step_count - 2].kind == PARQUET_STEP_DICTIONARY;
}

static enum status choose_encoding(struct round *round, int lane_index, struct job *job,
                                   struct error *error) {
  struct parquet_writer *writer = round->writer;
  struct parquet_column *column = job->column;
  struct parquet_lane *lane = &writer->lanes[lane_index];
  enum status status = parquet_page_read(writer, lane, column, &job->rows[0], error);
  if (status != STATUS_OK) return status;
  struct parquet_choose_options options = {
      .compatible = writer->options.compatible || is_read_as_dictionary(writer, column->leaf),
      .rows_expected = values_expected(round, lane, &lane->values),
      .dictionary_bytes_max = writer->options.dictionary_bytes_max,
      .codec = writer->options.codec,
      .level = writer->options.level,
  };
  bool is_asked = column->wants_encoding && column->wanted != PARQUET_RLE_DICTIONARY;
  struct parquet_choice choice = {.encoding = column->wanted, .fallback = column->wanted};
  bool is_dictionary = is_dictionary_given(writer, column);
  if (is_dictionary) options.dictionary_bytes_max = 0; /* what it falls back to is chosen */
  if (!is_asked)
    status = parquet_choose(column->leaf, &lane->values, &options, writer->compressor, lane_index,
                            writer->budget, &choice, error);
  if (status != STATUS_OK) return status;
  if (is_dictionary) {
    choice.fallback = choice.encoding;
    choice.encoding = PARQUET_RLE_DICTIONARY;
  }
  column->choice = choice;
  column->has_dictionary = choice.encoding == PARQUET_RLE_DICTIONARY;
  column->is_chosen = true;
  return STATUS_OK;
}

/* Pages by the dictionary, until it is full. */
static enum status make_indices(struct round *round, struct parquet_lane *lane, struct job *job,
                                struct error *error) {
  struct parquet_writer *writer = round->writer;
  struct parquet_column *column = job->column;
  enum status status = STATUS_OK;
  if (column->dictionary == NULL)
    status = parquet_dictionary_new(column->leaf, writer->budget, &column->dictionary, error);
  for (int64_t i = 0; status == STATUS_OK && i < job->page_count; i++) {
    int64_t bytes = parquet_dictionary_bytes(column->dictionary);
    bool is_first = i == 0 && parquet_column_page_count(column) == 0;
    if (!is_first && bytes >= writer->options.dictionary_bytes_max)
      column->is_dictionary_full = true;
    if (column->is_dictionary_full) break;
    status = parquet_page_make_indices(writer, lane, column, &job->rows[i], &job->pages[i], error);
  }
  return status;
}

/* What compressing a chunk would leave of 100, told by its first page; of dictionaries, which are values and
 * compress as such, half is taken to be left. */
static bool is_worth_compressing(const struct round *round, const struct parquet_column *column,
                                 const struct parquet_page *first, int64_t raw_bytes,
                                 int64_t made_bytes) {
  if (!column->has_dictionary) return made_bytes * 100 <= raw_bytes * (100 - GAIN_PERCENT_MIN);
  int64_t rows = round->is_last ? round->rows : round->writer->options.row_group_rows;
  double pages = (double)rows / (double)(first->rows > 0 ? first->rows : 1);
  double dictionary = (double)parquet_dictionary_bytes(column->dictionary);
  double all = pages * (double)raw_bytes + dictionary;
  double left = pages * (double)made_bytes + dictionary / 2;
  return left * 100 <= all * (100 - GAIN_PERCENT_MIN);
}

/* Seals the chunk's first page with the writer's codec, and again without if that gains nothing. */
static enum status choose_codec(struct round *round, int lane_index, struct job *job,
                                struct error *error) {
  struct parquet_writer *writer = round->writer;
  struct parquet_lane *lane = &writer->lanes[lane_index];
  struct parquet_column *column = job->column;
  struct parquet_page *page = &job->pages[0];
  enum status status = STATUS_OK;
  bool is_made = page->raw.size_bytes > 0;
  if (!is_made) status = parquet_page_make(writer, lane, column, &job->rows[0], page, error);
  if (status != STATUS_OK) return status;
  const struct buffer *raw = is_made ? &page->raw : &lane->raw;
  column->codec = writer->options.codec;
  status = parquet_page_seal(writer, lane_index, column, raw, page, error);
  if (status != STATUS_OK) return status;
  if (!is_worth_compressing(round, column, page, raw->size_bytes, parquet_page_size(page))) {
    buffer_release(&page->bytes);
    column->codec = PARQUET_UNCOMPRESSED;
    status = parquet_page_seal(writer, lane_index, column, raw, page, error);
    if (status != STATUS_OK) return status;
  }
  column->is_codec_known = true;
  buffer_release(&page->raw);
  job->next = 1;
  return STATUS_OK;
}

static enum status open_column(struct round *round, int lane_index, struct job *job,
                               struct error *error) {
  struct parquet_writer *writer = round->writer;
  struct parquet_column *column = job->column;
  int64_t start_us = clock_now_us();
  enum status status = plan_pages(round, job, error);
  if (status == STATUS_OK && !column->is_chosen)
    status = choose_encoding(round, lane_index, job, error);
  if (status == STATUS_OK && column->has_dictionary)
    status = make_indices(round, &writer->lanes[lane_index], job, error);
  if (status != STATUS_OK) return status;
  bool is_tried = writer->options.codec != PARQUET_UNCOMPRESSED && !writer->options.always_compress;
  if (!column->is_codec_known && is_tried) {
    status = choose_codec(round, lane_index, job, error);
  } else if (!column->is_codec_known) {
    column->codec = writer->options.codec;
    column->is_codec_known = true;
  }
  column->open_us = clock_now_us() - start_us;
  return status;
}

/* ---- its pages ------------------------------------------------------------------------------------- */

static enum status finish_page(struct round *round, int lane_index, struct job *job, int64_t index,
                               struct error *error) {
  struct parquet_writer *writer = round->writer;
  struct parquet_lane *lane = &writer->lanes[lane_index];
  struct parquet_page *page = &job->pages[index];
  enum status status = STATUS_OK;
  bool is_made = page->raw.size_bytes > 0;
  if (!is_made)
    status = parquet_page_make(writer, lane, job->column, &job->rows[index], page, error);
  if (status == STATUS_OK)
    status = parquet_page_seal(writer, lane_index, job->column, is_made ? &page->raw : &lane->raw,
                               page, error);
  buffer_release(&page->raw);
  return status;
}

/* An open column that has a page to take; NULL: none has. */
static struct job *job_with_page(struct round *round) {
  while (round->ready_first < round->ready_count) {
    struct job *job = &round->jobs[round->ready[round->ready_first]];
    if (job->next < job->page_count) return job;
    round->ready_first++;
  }
  return NULL;
}

/* What one thread does until nothing is left. */
static void work(void *context, int64_t index, int lane_index) {
  struct round *round = context;
  (void)index;
  pthread_mutex_lock(&round->lock);
  while (round->failure.status == STATUS_OK) {
    struct error error = {0};
    enum status status;
    struct job *job;
    if (round->opened < round->job_count) {
      int32_t number = round->opened++;
      round->opening++;
      pthread_mutex_unlock(&round->lock);
      status = open_column(round, lane_index, &round->jobs[number], &error);
      pthread_mutex_lock(&round->lock);
      round->opening--;
      round->ready[round->ready_count++] = number;
      pthread_cond_broadcast(&round->changed);
    } else if ((job = job_with_page(round)) != NULL) {
      int64_t page = job->next++;
      pthread_mutex_unlock(&round->lock);
      status = finish_page(round, lane_index, job, page, &error);
      pthread_mutex_lock(&round->lock);
    } else if (round->opening > 0) {
      pthread_cond_wait(&round->changed, &round->lock);
      continue;
    } else {
      break;
    }
    if (status != STATUS_OK && round->failure.status == STATUS_OK) {
      round->failure = error;
      round->failure.status = status;
      pthread_cond_broadcast(&round->changed);
    }
  }
  pthread_mutex_unlock(&round->lock);
}

/* ---- the round ------------------------------------------------------------------------------------- */

static int slowest_first(const void *left, const void *right) {
  const struct job *a = left, *b = right;
  if (a->column->open_us != b->column->open_us)
    return a->column->open_us < b->column->open_us ? 1 : -1;
  return a->column < b->column ? -1 : a->column > b->column;
}

/* A chunk without pages forgets what a round that failed has taught its dictionary: an Arrow dictionary is
 * kept in its order only by one that knows nothing yet. */
static void forget(struct parquet_writer *writer) {
  for (int32_t i = 0; i < writer->schema->leaf_count; i++) {
    struct parquet_column *column = &writer->columns[i];
    if (parquet_column_page_count(column) == 0) parquet_column_clear(column);
  }
}

static void free_jobs(struct round *round) {
  for (int32_t i = 0; i < round->job_count; i++) {
    struct job *job = &round->jobs[i];
    for (int64_t k = 0; job->pages != NULL && k < job->page_count; k++)
      parquet_page_release(&job->pages[k]);
    free(job->pages);
    free(job->rows);
  }
  free(round->jobs);
  free(round->ready);
}

/* What the dictionaries take, which grow until the row group ends, like the pages. */
static void count_dictionaries(struct parquet_writer *writer) {
  writer->kept_bytes -= writer->dictionary_bytes;
  writer->dictionary_bytes = 0;
  for (int32_t i = 0; i < writer->schema->leaf_count; i++)
    if (writer->columns[i].has_dictionary)
      writer->dictionary_bytes += parquet_dictionary_bytes(writer->columns[i].dictionary);
  writer->kept_bytes += writer->dictionary_bytes;
}

/* Moves the pages to their chunks: room first, so that all of them go or none. */
static enum status keep_pages(struct round *round, struct error *error) {
  struct parquet_writer *writer = round->writer;
  for (int32_t i = 0; i < round->job_count; i++) {
    struct buffer *pages = &round->jobs[i].column->pages;
    int64_t bytes = round->jobs[i].page_count * (int64_t)sizeof(struct parquet_page);
    int64_t room = pages->size_bytes + bytes;
    if (room > pages->capacity_bytes && pages->size_bytes > 0) room += pages->size_bytes;
    enum status status = buffer_reserve(pages, writer->budget, room, error);
    if (status != STATUS_OK) return status;
  }
  for (int32_t i = 0; i < round->job_count; i++) {
    struct job *job = &round->jobs[i];
    struct buffer *pages = &job->column->pages;
    int64_t bytes = job->page_count * (int64_t)sizeof(struct parquet_page);
    memcpy(pages->data + pages->size_bytes, job->pages, (size_t)bytes);
    pages->size_bytes += bytes;
    for (int64_t k = 0; k < job->page_count; k++) {
      int64_t page_bytes = parquet_page_size(&job->pages[k]);
      job->column->kept_bytes += page_bytes;
      writer->kept_bytes += page_bytes;
    }
    job->page_count = 0; /* theirs no longer */
  }
  count_dictionaries(writer);
  return STATUS_OK;
}

/* The rows are in pages: batches without any others are let go. */
static void drop_rows(struct parquet_writer *writer, int64_t rows) {
  int64_t done = 0, left = rows;
  while (done < writer->pending_count) {
    struct parquet_pending *pending = &writer->pending[done];
    int64_t there = pending->batch.length - pending->next_row;
    int64_t taken = there < left ? there : left;
    pending->next_row += taken;
    left -= taken;
    if (pending->next_row < pending->batch.length) break;
    writer->pending_bytes -= pending->bytes;
    if (writer->adding != NULL && done + 1 == writer->pending_count)
      arrow_array_move(&pending->batch, writer->adding);
    else
      arrow_array_release(&pending->batch);
    done++;
  }
  assert(left == 0);
  writer->pending_count -= done;
  if (writer->pending_count > 0)
    memmove(writer->pending, writer->pending + done,
            (size_t)writer->pending_count * sizeof *writer->pending);
  writer->pending_rows -= rows;
  writer->group_rows += rows;
}

enum status parquet_round_run(struct parquet_writer *writer, int64_t rows, bool is_last,
                              struct error *error) {
  struct round round = {.writer = writer,
                        .rows = rows,
                        .is_last = is_last,
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .changed = PTHREAD_COND_INITIALIZER};
  assert(rows > 0 && rows <= writer->pending_rows);
  enum status status = STATUS_OK;
  int32_t count = writer->schema->leaf_count;
  round.jobs = calloc((size_t)count + 1, sizeof *round.jobs);
  round.ready = calloc((size_t)count + 1, sizeof *round.ready);
  if (round.jobs == NULL || round.ready == NULL) {
    status = error_set(error, STATUS_NOMEM, "no memory for %d columns", (int)count);
    goto done;
  }
  round.job_count = count;
  for (int32_t i = 0; i < count; i++) round.jobs[i].column = &writer->columns[i];
  qsort(round.jobs, (size_t)count, sizeof *round.jobs, slowest_first);
  workers_each(writer->options.workers, WORKERS_LANES_MAX, work, &round);
  status = round.failure.status;
  if (status != STATUS_OK) {
    if (error != NULL) *error = round.failure;
    goto done;
  }
  status = keep_pages(&round, error);
  if (status != STATUS_OK) goto done;
  drop_rows(writer, rows);
done:
  free_jobs(&round);
  if (status != STATUS_OK) forget(writer);
  pthread_cond_destroy(&round.changed);
  pthread_mutex_destroy(&round.lock);
  return status;
}
