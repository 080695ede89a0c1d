/* Reads an Arrow IPC stream or file and writes it again:
 *
 *   ipc_roundtrip [--format stream|file] [--compression none|lz4|zstd] [--level N] [--deltas]
 *                 [--threads N] [--slice ROWS] [--empty] <in >out
 *
 * --deltas sends of a dictionary that has grown what is new; --slice cuts each batch into
 * slices of so many rows and writes those; --empty writes an empty slice behind each batch.
 * Exits with the status table's code, after one line on standard error. */
#include <stdlib.h>
#include <string.h>

#include "arrow/schema.h"
#include "stream_in.h"

struct roundtrip {
  struct budget budget;
  struct ipc_writer_options options;
  struct ipc_writer *writer;
  struct buffer out;
  int64_t slice_rows; /* 0: batches as they are */
  bool adds_empty;
  int threads;
};

static enum status begin(void *context, const struct ArrowSchema *schema, struct error *error) {
  struct roundtrip *trip = context;
  enum status status = ipc_writer_new(schema, &trip->options, &trip->budget, &trip->writer, error);
  if (status == STATUS_OK) status = ipc_writer_schema(trip->writer, &trip->out, error);
  return status == STATUS_OK ? stream_in_print(&trip->out, error) : status;
}

/* What came with the batch goes with what is written next. */
static enum status pass_metadata(void *context, const char *metadata, struct error *error) {
  struct roundtrip *trip = context;
  return ipc_writer_metadata(trip->writer, metadata, error);
}

static enum status write_slice(struct roundtrip *trip, struct arrow_shared *shared, int64_t start,
                               int64_t rows, struct error *error) {
  struct ArrowArray slice = {0};
  enum status status = arrow_shared_slice(shared, start, rows, &slice, error);
  if (status == STATUS_OK) status = ipc_writer_batch(trip->writer, &slice, &trip->out, error);
  arrow_array_release(&slice);
  return status == STATUS_OK ? stream_in_print(&trip->out, error) : status;
}

static enum status write_batch(void *context, struct ArrowArray *batch, struct error *error) {
  struct roundtrip *trip = context;
  int64_t rows = batch->length;
  if (trip->slice_rows == 0 && !trip->adds_empty) {
    enum status status = ipc_writer_batch(trip->writer, batch, &trip->out, error);
    return status == STATUS_OK ? stream_in_print(&trip->out, error) : status;
  }
  struct arrow_shared *shared = NULL;
  enum status status = arrow_shared_new(batch, &shared, error);
  if (status != STATUS_OK) return status;
  int64_t step = trip->slice_rows == 0 ? rows + 1 : trip->slice_rows;
  for (int64_t i = 0; i < rows && status == STATUS_OK; i += step)
    status = write_slice(trip, shared, i, rows - i < step ? rows - i : step, error);
  if (status == STATUS_OK && trip->adds_empty)
    status = write_slice(trip, shared, rows / 2, 0, error);
  arrow_shared_release(shared);
  return status;
}

/* True when the word is one that says what it is set to: index in `words`. */
static bool read_word(const char *value, const char *const *words, int count, int *index) {
  for (*index = 0; *index < count; ++*index)
    if (strcmp(value, words[*index]) == 0) return true;
  return false;
}

/* One argument and, where it takes one, its value; false when it is unknown. */
static bool read_argument(struct roundtrip *trip, const char *name, const char *value, int *taken) {
  static const char *const compressions[] = {"none", "lz4", "zstd"};
  static const char *const formats[] = {"stream", "file"};
  int index = 0;
  *taken = 1;
  if (strcmp(name, "--empty") == 0) return trip->adds_empty = true;
  if (strcmp(name, "--deltas") == 0) return trip->options.dictionary_deltas = true;
  *taken = 2;
  if (strcmp(name, "--slice") == 0) return (trip->slice_rows = strtol(value, NULL, 10)) > 0;
  if (strcmp(name, "--threads") == 0) return (trip->threads = (int)strtol(value, NULL, 10)) > 1;
  if (strcmp(name, "--level") == 0) return (trip->options.level = (int)strtol(value, NULL, 10)) > 0;
  if (strcmp(name, "--compression") == 0 && read_word(value, compressions, 3, &index)) {
    trip->options.compression = (enum ipc_compression)index;
    return true;
  }
  if (strcmp(name, "--format") == 0 && read_word(value, formats, 2, &index)) {
    trip->options.format = (enum ipc_format)index;
    return true;
  }
  return false;
}

static enum status read_arguments(struct roundtrip *trip, int count, char **arguments,
                                  struct error *error) {
  int taken;
  for (int i = 1; i < count; i += taken) {
    const char *value = i + 1 < count ? arguments[i + 1] : "";
    if (!read_argument(trip, arguments[i], value, &taken))
      return error_set(error, STATUS_INVALID, "unknown argument %s %s", arguments[i], value);
  }
  return STATUS_OK;
}

int main(int count, char **arguments) {
  struct roundtrip trip = {.budget = {.limit_bytes = (int64_t)4 << 30}};
  struct stream_in in = {.budget = &trip.budget,
                         .schema = begin,
                         .batch = write_batch,
                         .metadata = pass_metadata,
                         .context = &trip};
  struct error error = {0};
  enum status status = read_arguments(&trip, count, arguments, &error);
  if (status == STATUS_OK && trip.threads > 1)
    status = workers_new(trip.threads - 1, &in.workers, &error);
  trip.options.workers = in.workers;
  if (status == STATUS_OK) status = stream_in_run(&in, &error);
  if (status == STATUS_OK) status = ipc_writer_end(trip.writer, &trip.out, &error);
  if (status == STATUS_OK) status = stream_in_print(&trip.out, &error);
  ipc_writer_free(trip.writer);
  workers_free(in.workers);
  buffer_release(&trip.out);
  if (status == STATUS_OK && trip.budget.used_bytes != 0)
    status = error_set(&error, STATUS_INTERNAL, "%lld bytes were not given back",
                       (long long)trip.budget.used_bytes);
  if (status != STATUS_OK) fprintf(stderr, "%s: %s\n", status_name(status), error.text);
  return status_exit(status);
}
