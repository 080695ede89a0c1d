/* Reads an Arrow IPC stream and writes it again:
 *
 *   ipc_roundtrip [--compression none|lz4|zstd] [--slice ROWS] [--empty] <stream >stream
 *
 * --slice cuts each batch into slices of so many rows and writes those; --empty
 * writes an empty slice behind each batch. Exits with the status table's
 * code, after one line on standard error. */
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
};

static enum status begin(void *context, const struct ArrowSchema *schema, struct error *error) {
  struct roundtrip *trip = context;
  enum status status = ipc_writer_new(schema, &trip->options, &trip->budget, &trip->writer, error);
  if (status == STATUS_OK) status = ipc_writer_schema(trip->writer, &trip->out, error);
  return status == STATUS_OK ? stream_in_print(&trip->out, error) : status;
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

static enum status read_arguments(struct roundtrip *trip, int count, char **arguments,
                                  struct error *error) {
  for (int i = 1; i < count; i++) {
    const char *value = i + 1 < count ? arguments[i + 1] : "";
    if (strcmp(arguments[i], "--empty") == 0) {
      trip->adds_empty = true;
      continue;
    }
    if (strcmp(arguments[i], "--slice") == 0)
      trip->slice_rows = strtol(value, NULL, 10);
    else if (strcmp(arguments[i], "--compression") == 0 && strcmp(value, "lz4") == 0)
      trip->options.compression = IPC_COMPRESSION_LZ4;
    else if (strcmp(arguments[i], "--compression") == 0 && strcmp(value, "zstd") == 0)
      trip->options.compression = IPC_COMPRESSION_ZSTD;
    else if (strcmp(arguments[i], "--compression") != 0 || strcmp(value, "none") != 0)
      return error_set(error, STATUS_INVALID, "unknown argument %s %s", arguments[i], value);
    i++;
  }
  return STATUS_OK;
}

int main(int count, char **arguments) {
  struct roundtrip trip = {.budget = {.limit_bytes = (int64_t)4 << 30}};
  struct stream_in in = {&trip.budget, begin, write_batch, &trip};
  struct error error = {0};
  enum status status = read_arguments(&trip, count, arguments, &error);
  if (status == STATUS_OK) status = stream_in_run(&in, &error);
  if (status == STATUS_OK) status = ipc_writer_end(trip.writer, &trip.out, &error);
  if (status == STATUS_OK) status = stream_in_print(&trip.out, &error);
  ipc_writer_free(trip.writer);
  buffer_release(&trip.out);
  if (status == STATUS_OK && trip.budget.used_bytes != 0)
    status = error_set(&error, STATUS_INTERNAL, "%lld bytes were not given back",
                       (long long)trip.budget.used_bytes);
  if (status != STATUS_OK) fprintf(stderr, "%s: %s\n", status_name(status), error.text);
  return status_exit(status);
}
