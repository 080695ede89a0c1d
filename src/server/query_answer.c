/* Rows are counted as they are drawn and bytes as they are encoded, so that a limit stops the
 * statement and not only its answer. What is passed before the first bytes were handed out is an
 * error that the client can read; what is passed later breaks the answer off.
 *
 * Parquet has its index at the end and its sizes in it, so the file is written before it is
 * sent: into a file without a name, which is gone when it is closed, however that comes about. */
#include "server/query_answer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

enum {
  STARVED_RETRY_MS = 20, /* as an ingest waits for memory: 10 seconds in all */
  STARVED_TRIES = 500,
  FILE_READ_BYTES = 1 << 20,
};

void query_answer_init(struct query_answer *answer) { answer->file = -1; }

void query_answer_close(struct query_answer *answer) {
  engine_result_close(answer->result);
  answer->result = NULL;
}

void query_answer_release(struct query_answer *answer) {
  query_answer_close(answer);
  arrow_array_release(&answer->batch);
  ipc_writer_free(answer->writer);
  encoder_free(answer->encoder);
  if (answer->file >= 0) close(answer->file);
  answer->writer = NULL;
  answer->encoder = NULL;
  answer->file = -1;
}

/* ---- limits --------------------------------------------------------------------------- */

static enum status check_rows(const struct query_answer *answer, struct error *error) {
  if (answer->options.rows_max == 0 || answer->drawn_rows <= answer->options.rows_max)
    return STATUS_OK;
  return error_set(
      error, STATUS_TOO_LARGE, "the answer has more than %" PRId64 " rows, the limit of %s",
      answer->options.rows_max,
      answer->options.rows_asked ? "the request's rows_max"
                                 : "the setting query.rows_max; ask for less with LIMIT or WHERE");
}

static enum status check_bytes(const struct query_answer *answer, int64_t bytes,
                               struct error *error) {
  if (answer->bytes_max == 0 || bytes <= answer->bytes_max) return STATUS_OK;
  return error_set(
      error, STATUS_TOO_LARGE,
      "the answer is larger than %" PRId64
      " bytes, the limit of the setting query.bytes_max; ask for fewer rows or columns",
      answer->bytes_max);
}

static enum status draw(struct query_answer *answer, struct ArrowArray *batch,
                        struct error *error) {
  enum status status = engine_result_next(answer->result, batch, error);
  if (status != STATUS_OK || batch->release == NULL) return status;
  answer->drawn_rows += batch->length;
  status = check_rows(answer, error);
  if (status != STATUS_OK) arrow_array_release(batch);
  return status;
}

/* Calls `step` again while others hold all memory: an answer that has begun can only be broken
 * off. Holds its worker meanwhile. */
static bool try_again(const struct query_answer *answer, enum status status, int *tries) {
  if (status != STATUS_BUDGET || *tries == STARVED_TRIES || answer->stopped(answer->context))
    return false;
  ++*tries;
  clock_sleep_ms(STARVED_RETRY_MS);
  return true;
}

/* ---- Parquet -------------------------------------------------------------------------- */

static enum status open_file(struct query_answer *answer, struct error *error) {
  const char *temporary = getenv("TMPDIR");
  if (temporary == NULL || temporary[0] != '/') temporary = "/tmp";
  if (answer->folder != NULL) answer->file = file_nameless(answer->folder);
  if (answer->file < 0) answer->file = file_nameless(temporary);
  if (answer->file >= 0) return STATUS_OK;
  return error_set(error, STATUS_IO, "no file can be made for a Parquet answer: %s",
                   strerror(errno));
}

static int64_t file_size(int file) {
  struct stat found;
  return fstat(file, &found) == 0 ? found.st_size : 0;
}

static enum status draw_for_file(void *context, struct ArrowArray *batch, struct error *error) {
  struct query_answer *answer = context;
  enum status status = check_bytes(answer, file_size(answer->file), error);
  if (status != STATUS_OK) return status;
  int tries = 0;
  do {
    status = draw(answer, batch, error);
  } while (try_again(answer, status, &tries));
  return status;
}

/* Each file is written by an engine with memory of its own: there is one at a time. */
static enum status wait_turn(const struct query_answer *answer, struct error *error) {
  while (atomic_exchange(answer->parquet_busy, true)) {
    if (answer->stopped(answer->context))
      return error_set(error, STATUS_TIMEOUT, "other Parquet answers took all the time allowed");
    clock_sleep_ms(STARVED_RETRY_MS);
  }
  return STATUS_OK;
}

static enum status write_file(struct query_answer *answer, struct error *error) {
  /* What CREATE and the like answer with: a file has columns, and this one no rows. */
  struct ArrowSchema count = {.format = "l", .name = "Count", .flags = ARROW_FLAG_NULLABLE};
  struct ArrowSchema *children[] = {&count};
  const struct ArrowSchema nothing = {
      .format = "+s", .name = "", .n_children = 1, .children = children};
  const struct ArrowSchema *schema = engine_result_schema(answer->result);
  enum status status = open_file(answer, error);
  const struct engine_parquet parquet = {
      .schema = schema->n_children == 0 ? &nothing : schema,
      .next = draw_for_file,
      .context = answer,
      .compression = answer->options.compression.compression,
      .level = answer->options.compression.level,
      .memory_limit_bytes = answer->parquet_memory_bytes,
  };
  if (status == STATUS_OK) status = wait_turn(answer, error);
  if (status != STATUS_OK) return status;
  status = engine_parquet_write(&parquet, answer->file, error);
  atomic_store(answer->parquet_busy, false);
  if (status != STATUS_OK) return status;
  answer->rows = answer->drawn_rows;
  answer->file_bytes = file_size(answer->file);
  return check_bytes(answer, answer->file_bytes, error);
}

static enum status read_file(struct query_answer *answer, struct buffer *out, bool *ended,
                             struct error *error) {
  int64_t left = answer->file_bytes - answer->file_read_bytes;
  int64_t bytes = left < FILE_READ_BYTES ? left : FILE_READ_BYTES;
  enum status status = buffer_reserve(out, answer->budget, out->size_bytes + bytes, error);
  if (status != STATUS_OK) return status;
  ssize_t got = bytes == 0 ? 0
                           : pread(answer->file, out->data + out->size_bytes, (size_t)bytes,
                                   (off_t)answer->file_read_bytes);
  if (got < 0 || (got == 0 && bytes > 0))
    return error_set(error, STATUS_IO, "a Parquet answer cannot be read back: %s",
                     got < 0 ? strerror(errno) : "it has become shorter");
  out->size_bytes += got;
  answer->file_read_bytes += got;
  *ended = answer->file_read_bytes == answer->file_bytes;
  return STATUS_OK;
}

/* ---- all forms ------------------------------------------------------------------------- */

enum status query_answer_begin(struct query_answer *answer, struct buffer *out,
                               struct error *error) {
  static const enum encode_format formats[] = {
      [QUERY_JSON] = ENCODE_JSON, [QUERY_NDJSON] = ENCODE_NDJSON, [QUERY_CSV] = ENCODE_CSV};
  const struct ArrowSchema *schema = engine_result_schema(answer->result);
  if (answer->output == QUERY_PARQUET) return write_file(answer, error);
  enum status status;
  if (answer->output == QUERY_ARROW) {
    status = ipc_writer_new(schema, &answer->options.compression, answer->budget, &answer->writer,
                            error);
    return status == STATUS_OK ? ipc_writer_schema(answer->writer, out, error) : status;
  }
  status = encoder_new(formats[answer->output], schema, answer->budget, &answer->encoder, error);
  return status == STATUS_OK ? encoder_begin(answer->encoder, out, error) : status;
}

static enum status encode(struct query_answer *answer, struct buffer *out, bool *ended,
                          struct error *error) {
  *ended = answer->batch.release == NULL;
  if (*ended)
    return answer->writer != NULL ? ipc_writer_end(answer->writer, out, error)
                                  : encoder_end(answer->encoder, out, error);
  enum status status = answer->writer != NULL
                           ? ipc_writer_batch(answer->writer, &answer->batch, out, error)
                           : encoder_batch(answer->encoder, &answer->batch, out, error);
  if (status != STATUS_OK) return status;
  answer->rows += answer->batch.length;
  arrow_array_release(&answer->batch);
  return STATUS_OK;
}

/* After STATUS_BUDGET it may be repeated: a batch that was drawn stays until it is encoded. */
static enum status step(struct query_answer *answer, struct buffer *out, bool *ended,
                        struct error *error) {
  if (answer->output == QUERY_PARQUET) return read_file(answer, out, ended, error);
  if (answer->batch.release == NULL) {
    enum status status = draw(answer, &answer->batch, error);
    if (status != STATUS_OK) return status;
  }
  return encode(answer, out, ended, error);
}

enum status query_answer_step(struct query_answer *answer, struct buffer *out, bool *ended,
                              struct error *error) {
  int64_t before = out->size_bytes;
  int tries = 0;
  enum status status;
  do {
    status = step(answer, out, ended, error);
  } while (try_again(answer, status, &tries));
  if (status != STATUS_OK) return status;
  answer->encoded_bytes += out->size_bytes - before;
  return check_bytes(answer, answer->encoded_bytes, error);
}
