/* Writes the record batches of an Arrow IPC stream to a Parquet file, once, for bench/parquet:
 *
 *   parquet STREAM OUT [--codec none|snappy|zstd|gzip|lz4] [--level N] [--threads N]
 *           [--row-group-rows N] [--row-group-bytes N] [--dictionary-bytes N] [--page-version 1|2]
 *           [--profile compatible] [--checksums yes] [--page-index no] [--always-compress yes]
 *
 * The stream is read and checked first; the clock runs from making the writer to closing the file.
 * Prints one JSON object: seconds, cpu_seconds, peak_mb (memory at its most in that time, above
 * what was held when it began, the batches among it), file_bytes, rows, row_groups. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "arrow/array.h"
#include "arrow/ipc.h"
#include "arrow/schema.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/workers.h"
#include "parquet/codec.h"
#include "parquet/parquet.h"
#include "file.h"

/* What the loader does when it starts. */
static const int64_t kept_bytes = (int64_t)256 << 20;

struct bench {
  struct budget budget;
  struct workers *workers; /* NULL with one thread */
  struct parquet_options options;
  struct buffer stream;
  struct ArrowSchema schema;
  struct ArrowArray *batches;
  int64_t batch_count;
  int file;
};

struct figures {
  double seconds, cpu_seconds, peak_mb;
  struct parquet_progress progress;
};

/* ---- the rows -------------------------------------------------------------------------- */

static enum status keep(struct bench *bench, struct ArrowArray *batch, struct error *error) {
  struct ArrowArray *grown =
      realloc(bench->batches, (size_t)(bench->batch_count + 1) * sizeof *grown);
  if (grown == NULL) return error_set(error, STATUS_NOMEM, "no memory for the batches");
  bench->batches = grown;
  arrow_array_move(batch, &grown[bench->batch_count++]);
  return STATUS_OK;
}

static enum status decode_message(struct bench *bench, struct ipc_decoder *decoder,
                                  struct ipc_message *message, struct error *error) {
  struct ArrowArray batch = {.release = NULL};
  enum ipc_event event;
  enum status status = ipc_decoder_decode(decoder, message, &event, &batch, error);
  if (status != STATUS_OK) ipc_message_release(message);
  if (status == STATUS_OK && event == IPC_EVENT_BATCH) status = keep(bench, &batch, error);
  arrow_array_release(&batch);
  return status;
}

static enum status decode(struct bench *bench, struct error *error) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_decoder *decoder = NULL;
  enum ipc_frame frame = IPC_FRAME_PARTIAL;
  int64_t at = 0;
  enum status status = ipc_decoder_new(&limits, &bench->budget, &decoder, error);
  while (status == STATUS_OK && frame != IPC_FRAME_END) {
    struct ipc_message message;
    status = ipc_cut(&bench->stream, &limits, false, &at, &message, &frame, error);
    if (status == STATUS_OK && frame == IPC_FRAME_MESSAGE)
      status = decode_message(bench, decoder, &message, error);
  }
  if (status == STATUS_OK)
    status = arrow_schema_copy(ipc_decoder_schema(decoder), &bench->schema, error);
  ipc_decoder_free(decoder);
  return status;
}

/* ---- what is measured ------------------------------------------------------------------- */

static enum status put(void *context, const void *data, int64_t bytes, struct error *error) {
  const struct bench *bench = context;
  const uint8_t *at = data;
  while (bytes > 0) {
    ssize_t done = write(bench->file, at, (size_t)bytes);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return error_set(error, STATUS_IO, "writing failed: %s", strerror(errno));
    at += done;
    bytes -= done;
  }
  return STATUS_OK;
}

static enum status write_all(struct bench *bench, struct parquet_writer *writer,
                             struct error *error) {
  for (int64_t i = 0; i < bench->batch_count; i++) {
    enum status status = parquet_writer_add(writer, &bench->batches[i], error);
    if (status != STATUS_OK) return status;
  }
  return parquet_writer_finish(writer, error);
}

static enum status write_file(struct bench *bench, const char *path,
                              struct parquet_progress *progress, struct error *error) {
  const struct parquet_out out = {.write = put, .context = bench};
  struct parquet_writer *writer = NULL;
  bench->file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (bench->file < 0)
    return error_set(error, STATUS_IO, "%s cannot be made: %s", path, strerror(errno));
  enum status status =
      parquet_writer_new(&bench->schema, &bench->options, &out, &bench->budget, &writer, error);
  if (status == STATUS_OK) status = write_all(bench, writer, error);
  if (status == STATUS_OK) parquet_writer_progress(writer, progress);
  parquet_writer_free(writer);
  if (close(bench->file) != 0 && status == STATUS_OK)
    status = error_set(error, STATUS_IO, "%s cannot be closed: %s", path, strerror(errno));
  return status;
}

/* Megabytes in a line of /proc/self/status. */
static double memory_mb(const char *field) {
  char line[256];
  double mb = 0;
  FILE *status = fopen("/proc/self/status", "r");
  if (status == NULL) return 0;
  while (fgets(line, sizeof line, status) != NULL)
    if (strncmp(line, field, strlen(field)) == 0)
      mb = (double)strtol(line + strlen(field), NULL, 10) / 1024;
  fclose(status);
  return mb;
}

/* VmHWM begins anew. */
static void forget_peak(void) {
  FILE *file = fopen("/proc/self/clear_refs", "w");
  if (file == NULL) return;
  fputs("5", file);
  fclose(file);
}

static double cpu_seconds(void) {
  struct rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static enum status measure(struct bench *bench, const char *path, struct figures *figures,
                           struct error *error) {
  forget_peak();
  double held = memory_mb("VmRSS:");
  double cpu = cpu_seconds();
  int64_t start = clock_now_us();
  enum status status = write_file(bench, path, &figures->progress, error);
  figures->seconds = (double)(clock_now_us() - start) / 1e6;
  figures->cpu_seconds = cpu_seconds() - cpu;
  figures->peak_mb = memory_mb("VmHWM:") - held;
  return status;
}

/* ---- the command line ---------------------------------------------------------------- */

static bool set_number(struct bench *bench, const char *name, long long number) {
  struct parquet_options *options = &bench->options;
  if (strcmp(name, "--level") == 0)
    options->level = (int)number;
  else if (strcmp(name, "--row-group-rows") == 0)
    options->row_group_rows = number;
  else if (strcmp(name, "--row-group-bytes") == 0)
    options->row_group_bytes = number;
  else if (strcmp(name, "--dictionary-bytes") == 0)
    options->dictionary_bytes_max = number;
  else if (strcmp(name, "--page-version") == 0)
    options->page_version = (int)number;
  else
    return false;
  return true;
}

static bool set_switch(struct bench *bench, const char *name, const char *value) {
  struct parquet_options *options = &bench->options;
  bool is_on = strcmp(value, "no") != 0;
  if (strcmp(name, "--profile") == 0)
    options->compatible = strcmp(value, "compatible") == 0;
  else if (strcmp(name, "--checksums") == 0)
    options->no_checksums = !is_on;
  else if (strcmp(name, "--page-index") == 0)
    options->no_page_index = !is_on;
  else if (strcmp(name, "--always-compress") == 0)
    options->always_compress = is_on;
  else
    return false;
  return true;
}

static enum status read_arguments(struct bench *bench, int count, char **arguments,
                                  struct error *error) {
  long threads = 2;
  for (int i = 3; i + 1 < count; i += 2) {
    const char *name = arguments[i];
    const char *value = arguments[i + 1];
    char *end = NULL;
    long long number = strtoll(value, &end, 10);
    if (strcmp(name, "--threads") == 0)
      threads = (long)number;
    else if (strcmp(name, "--codec") == 0 && parquet_codec_parse(value, &bench->options.codec))
      continue;
    else if (!(*end == '\0' && set_number(bench, name, number)) && !set_switch(bench, name, value))
      return error_set(error, STATUS_INVALID, "unknown argument %s %s", name, value);
  }
  if (threads <= 1) return STATUS_OK;
  enum status status = workers_new((int)threads - 1, &bench->workers, error);
  bench->options.workers = bench->workers;
  return status;
}

static void release(struct bench *bench) {
  for (int64_t i = 0; i < bench->batch_count; i++) arrow_array_release(&bench->batches[i]);
  free(bench->batches);
  arrow_schema_release(&bench->schema);
  buffer_release(&bench->stream);
  workers_free(bench->workers);
}

int main(int count, char **arguments) {
  struct bench bench = {.budget = {.limit_bytes = INT64_MAX}, .options = PARQUET_OPTIONS_DEFAULT};
  struct figures figures = {0};
  struct error error = {0};
  if (count < 3) {
    fprintf(stderr, "usage: parquet STREAM OUT [--codec none|snappy|zstd] [--level N] ...\n");
    return 2;
  }
  buffer_keep_freed(kept_bytes);
  bench.options.no_checksums = true; /* most of the others have none */
  bench.options.is_checked = true;
  enum status status = read_arguments(&bench, count, arguments, &error);
  if (status == STATUS_OK)
    status = file_read_whole(arguments[1], &bench.budget, &bench.stream, &error);
  if (status == STATUS_OK) status = decode(&bench, &error);
  if (status == STATUS_OK) status = measure(&bench, arguments[2], &figures, &error);
  if (status == STATUS_OK)
    printf("{\"seconds\": %.6f, \"cpu_seconds\": %.6f, \"peak_mb\": %.1f, \"file_bytes\": %lld, "
           "\"rows\": %lld, \"row_groups\": %lld}\n",
           figures.seconds, figures.cpu_seconds, figures.peak_mb, (long long)figures.progress.bytes,
           (long long)figures.progress.rows, (long long)figures.progress.row_groups);
  else
    fprintf(stderr, "%s: %s\n", status_name(status), error.text);
  release(&bench);
  return status_exit(status);
}
