/* Reads or writes an Arrow IPC stream again and again, in memory, for bench/codec:
 *
 *   codec copy   STREAM
 *   codec decode STREAM [--threads N]
 *   codec encode STREAM [--threads N] [--compression none|lz4|zstd] [--level N]
 *
 * `copy` is the limit: the stream's bytes copied into memory that is there already. `decode`
 * cuts, checks and expands each message and lets go of it before the next, as a consumer
 * does that is done with a batch. `encode` writes all batches into room that is there
 * already. Passes follow each other for `--seconds` (0.5) and at least three times. Prints one
 * JSON object: seconds of the best pass, rows, batches, bytes of the stream and of what was
 * written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/ipc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/workers.h"
#include "file.h"

enum { PASSES_MIN = 3 };

/* What the server and the loader do when they start. */
static const int64_t kept_bytes = (int64_t)256 << 20;

struct bench {
  struct budget budget;
  struct workers *workers; /* NULL with one thread */
  struct ipc_writer_options options;
  double seconds_min;
  struct buffer stream;
  struct buffer out; /* of `copy` and `encode` */
  struct ArrowSchema schema;
  struct ArrowArray *batches; /* to be encoded */
  int64_t batch_count;
  int64_t rows;
  bool keeps_batches;
};

typedef enum status pass(struct bench *bench, struct error *error);

/* ---- passes -------------------------------------------------------------------------- */

static enum status copy(struct bench *bench, struct error *error) {
  (void)error;
  memcpy(bench->out.data, bench->stream.data, (size_t)bench->stream.size_bytes);
  __asm__ volatile("" : : "r"(bench->out.data) : "memory"); /* nobody may leave it out */
  return STATUS_OK;
}

static enum status keep(struct bench *bench, struct ArrowArray *batch, struct error *error) {
  struct ArrowArray *grown =
      realloc(bench->batches, (size_t)(bench->batch_count + 1) * sizeof *grown);
  if (grown == NULL) return error_set(error, STATUS_NOMEM, "no memory for the batches");
  bench->batches = grown;
  arrow_array_move(batch, &grown[bench->batch_count]);
  return STATUS_OK;
}

static enum status decode_message(struct bench *bench, struct ipc_decoder *decoder,
                                  struct ipc_message *message, struct error *error) {
  struct ArrowArray batch = {.release = NULL};
  enum ipc_event event;
  enum status status = ipc_decoder_decode(decoder, message, &event, &batch, error);
  if (status != STATUS_OK) ipc_message_release(message);
  if (status != STATUS_OK || event != IPC_EVENT_BATCH) return status;
  bench->rows += batch.length;
  if (bench->keeps_batches) status = keep(bench, &batch, error);
  bench->batch_count++;
  arrow_array_release(&batch);
  return status;
}

static enum status decode(struct bench *bench, struct error *error) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_decoder *decoder = NULL;
  enum ipc_frame frame = IPC_FRAME_PARTIAL;
  int64_t at = 0;
  bench->rows = 0;
  bench->batch_count = 0;
  enum status status = ipc_decoder_new(&limits, &bench->budget, &decoder, error);
  if (status == STATUS_OK) ipc_decoder_use_workers(decoder, bench->workers);
  while (status == STATUS_OK && frame != IPC_FRAME_END) {
    struct ipc_message message;
    status = ipc_cut(&bench->stream, &limits, false, &at, &message, &frame, error);
    if (status == STATUS_OK && frame == IPC_FRAME_MESSAGE)
      status = decode_message(bench, decoder, &message, error);
  }
  if (status == STATUS_OK && bench->keeps_batches)
    status = arrow_schema_copy(ipc_decoder_schema(decoder), &bench->schema, error);
  ipc_decoder_free(decoder);
  return status;
}

static enum status encode(struct bench *bench, struct error *error) {
  struct ipc_writer *writer = NULL;
  bench->out.size_bytes = 0;
  enum status status =
      ipc_writer_new(&bench->schema, &bench->options, &bench->budget, &writer, error);
  if (status == STATUS_OK) status = ipc_writer_schema(writer, &bench->out, error);
  for (int64_t i = 0; i < bench->batch_count && status == STATUS_OK; i++)
    status = ipc_writer_batch(writer, &bench->batches[i], &bench->out, error);
  if (status == STATUS_OK) status = ipc_writer_end(writer, &bench->out, error);
  ipc_writer_free(writer);
  return status;
}

/* ---- the clock ----------------------------------------------------------------------- */

static enum status measure(struct bench *bench, pass *once, double *best, struct error *error) {
  double total = 0;
  *best = 0;
  for (int passes = 0; passes < PASSES_MIN || total < bench->seconds_min; passes++) {
    int64_t start = clock_now_us();
    enum status status = once(bench, error);
    double seconds = (double)(clock_now_us() - start) / 1e6;
    if (status != STATUS_OK) return status;
    if (passes == 0 || seconds < *best) *best = seconds;
    total += seconds;
  }
  return STATUS_OK;
}

/* Room for what is written, each page of it touched: compression may also make it larger. */
static enum status make_room(struct bench *bench, struct error *error) {
  int64_t bytes = bench->stream.size_bytes + bench->stream.size_bytes / 8 + (1 << 20);
  enum status status = buffer_reserve(&bench->out, &bench->budget, bytes, error);
  if (status == STATUS_OK) memset(bench->out.data, 1, (size_t)bytes);
  return status;
}

/* ---- the command line ---------------------------------------------------------------- */

static bool read_compression(const char *name, enum ipc_compression *compression) {
  static const char *const names[] = {"none", "lz4", "zstd"};
  for (int i = 0; i < 3; i++) {
    if (strcmp(name, names[i]) != 0) continue;
    *compression = (enum ipc_compression)i;
    return true;
  }
  return false;
}

static enum status read_arguments(struct bench *bench, int count, char **arguments,
                                  struct error *error) {
  long threads = 1;
  for (int i = 3; i + 1 < count; i += 2) {
    const char *name = arguments[i];
    const char *value = arguments[i + 1];
    if (strcmp(name, "--threads") == 0)
      threads = strtol(value, NULL, 10);
    else if (strcmp(name, "--level") == 0)
      bench->options.level = (int)strtol(value, NULL, 10);
    else if (strcmp(name, "--seconds") == 0)
      bench->seconds_min = strtod(value, NULL);
    else if (strcmp(name, "--compression") != 0 ||
             !read_compression(value, &bench->options.compression))
      return error_set(error, STATUS_INVALID, "unknown argument %s %s", name, value);
  }
  if (threads <= 1) return STATUS_OK;
  enum status status = workers_new((int)threads - 1, &bench->workers, error);
  bench->options.workers = bench->workers;
  return status;
}

static enum status run(struct bench *bench, const char *mode, double *best, struct error *error) {
  enum status status = STATUS_OK;
  if (strcmp(mode, "decode") == 0) return measure(bench, decode, best, error);
  if (strcmp(mode, "copy") != 0 && strcmp(mode, "encode") != 0)
    return error_set(error, STATUS_INVALID, "say copy, decode or encode");
  status = make_room(bench, error);
  if (status == STATUS_OK && strcmp(mode, "encode") == 0) {
    bench->keeps_batches = true;
    status = decode(bench, error);
  }
  if (status != STATUS_OK) return status;
  return measure(bench, strcmp(mode, "copy") == 0 ? copy : encode, best, error);
}

static void release(struct bench *bench) {
  for (int64_t i = 0; bench->keeps_batches && i < bench->batch_count; i++)
    arrow_array_release(&bench->batches[i]);
  free(bench->batches);
  arrow_schema_release(&bench->schema);
  buffer_release(&bench->out);
  buffer_release(&bench->stream);
  workers_free(bench->workers);
}

int main(int count, char **arguments) {
  struct bench bench = {.budget = {.limit_bytes = INT64_MAX}, .seconds_min = 0.5};
  struct error error = {0};
  double best = 0;
  if (count < 3) {
    fprintf(stderr, "usage: codec copy|decode|encode STREAM [--threads N] [--compression "
                    "none|lz4|zstd] [--level N] [--seconds S]\n");
    return 2;
  }
  buffer_keep_freed(kept_bytes);
  enum status status = read_arguments(&bench, count, arguments, &error);
  if (status == STATUS_OK)
    status = file_read_whole(arguments[2], &bench.budget, &bench.stream, &error);
  if (status == STATUS_OK) status = run(&bench, arguments[1], &best, &error);
  if (status == STATUS_OK)
    printf("{\"seconds\": %.6f, \"rows\": %lld, \"batches\": %lld, \"stream_bytes\": %lld, "
           "\"out_bytes\": %lld}\n",
           best, (long long)bench.rows, (long long)bench.batch_count,
           (long long)bench.stream.size_bytes, (long long)bench.out.size_bytes);
  else
    fprintf(stderr, "%s: %s\n", status_name(status), error.text);
  release(&bench);
  return status_exit(status);
}
