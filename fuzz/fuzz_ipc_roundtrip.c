/* What the reader lets through is written again and read back, and must be the same: schema,
 * metadata, batches. A batch of the reader's is never one that the writer refuses.
 *
 * Two bytes come before the stream or file. The first says how it is written: bits 0 and 1
 * the compression, bit 2 the format, bit 3 deltas, bit 4 slices of the batches instead of
 * whole ones, bit 5 threads. The second is the level of compression. */
#include <stdlib.h>

#include "arrow/array.h"
#include "ipc_feed.h"

enum {
  COMPRESSION_BITS = 0x03,
  FILE_BIT = 0x04,
  DELTAS_BIT = 0x08,
  SLICES_BIT = 0x10,
  THREADS_BIT = 0x20,
  OPTION_BYTES = 2,
  BATCHES_MAX = 64,
  SLOW_BYTES = 1 << 16 /* of more than this, nothing is compressed with all care */
};

/* What is written is padded, and is not to be refused for that. */
static struct budget writing_budget = {.limit_bytes = INT64_MAX};
static const struct ipc_limits writing_limits = {
    .metadata_bytes_max = INT32_MAX, .body_bytes_max = INT32_MAX, .decoded_bytes_max = INT32_MAX};

struct trip {
  struct ipc_writer_options options;
  bool slices;
  struct ipc_decoder *decoder;
  struct ipc_writer *writer; /* NULL until there is a schema */
  struct buffer out;
  struct ArrowArray batches[BATCHES_MAX]; /* that were written */
  char *metadata[BATCHES_MAX];
  int64_t batch_count;
};

static struct ipc_writer_options options_of(const uint8_t *data, int64_t bytes) {
  static const int levels_max[] = {0, 12, 22, 0}; /* by enum ipc_compression */
  static const enum ipc_compression compressions[] = {IPC_COMPRESSION_NONE, IPC_COMPRESSION_LZ4,
                                                      IPC_COMPRESSION_ZSTD, IPC_COMPRESSION_NONE};
  int compression = data[0] & COMPRESSION_BITS;
  int level = data[1] % (levels_max[compression] + 1);
  return (struct ipc_writer_options){
      .compression = compressions[compression],
      .level = bytes > SLOW_BYTES && level > 1 ? 1 : level,
      .format = (data[0] & FILE_BIT) != 0 ? IPC_FORMAT_FILE : IPC_FORMAT_STREAM,
      .dictionary_deltas = (data[0] & DELTAS_BIT) != 0,
      .workers = feed_workers((data[0] & THREADS_BIT) != 0),
  };
}

/* ---- there --------------------------------------------------------------------------------- */

static void begin_writing(struct trip *trip) {
  struct error error = {.status = STATUS_OK};
  enum status status = ipc_writer_new(ipc_decoder_schema(trip->decoder), &trip->options,
                                      &writing_budget, &trip->writer, &error);
  if (status == STATUS_OK) status = ipc_writer_schema(trip->writer, &trip->out, &error);
  feed_expect(status == STATUS_OK, error.text);
}

/* The last two thirds of its rows. */
static void slice(const struct ArrowSchema *schema, struct ArrowArray *batch) {
  struct ArrowArray part = {.release = NULL};
  struct error error = {.status = STATUS_OK};
  int64_t offset = batch->length / 3;
  enum status status =
      arrow_array_slice(schema, batch, offset, batch->length - offset, &part, &error);
  feed_expect(status == STATUS_OK, error.text);
  *batch = part;
  feed_check_batch(schema, batch);
}

/* Writes the batch and keeps it; false when the format cannot hold it. */
static bool write_batch(struct trip *trip, struct ArrowArray *batch, const char *metadata) {
  const struct ArrowSchema *schema = ipc_decoder_schema(trip->decoder);
  struct error error = {.status = STATUS_OK};
  if (trip->slices) slice(schema, batch);
  int64_t before_bytes = trip->out.size_bytes;
  enum status status = ipc_writer_metadata(trip->writer, metadata, &error);
  if (status == STATUS_OK) status = ipc_writer_batch(trip->writer, batch, &trip->out, &error);
  if (status == STATUS_OK) {
    trip->metadata[trip->batch_count] = feed_copy_metadata(metadata);
    trip->batches[trip->batch_count++] = *batch;
    return true;
  }
  /* A file cannot replace a dictionary; what a stream says may be too much for one message. */
  bool may_be = (status == STATUS_UNSUPPORTED && trip->options.format == IPC_FORMAT_FILE) ||
                status == STATUS_TOO_LARGE;
  feed_expect(may_be, error.text);
  feed_expect(trip->out.size_bytes == before_bytes, "a refusal leaves what was written");
  arrow_array_release(batch);
  return false;
}

static void read_and_write(struct trip *trip, const struct buffer *data) {
  struct feed feed;
  bool goes_on = feed_open(&feed, data, &feed_limits, true);
  while (goes_on && trip->batch_count < BATCHES_MAX) {
    struct ipc_message message = {.offset_bytes = 0};
    goes_on = feed_next(&feed, &message) == STATUS_OK && !feed.is_over;
    if (!goes_on) break;
    struct feed_event decoded = feed_decode(trip->decoder, &message);
    goes_on = decoded.status == STATUS_OK;
    if (goes_on && decoded.event == IPC_EVENT_SCHEMA) begin_writing(trip);
    if (decoded.batch.release != NULL)
      goes_on = write_batch(trip, &decoded.batch, ipc_decoder_metadata(trip->decoder));
  }
  feed_close(&feed);
}

/* ---- and back ------------------------------------------------------------------------------- */

static void read_back(const struct trip *trip) {
  struct ipc_decoder *decoder =
      feed_decoder(&writing_limits, &writing_budget, trip->options.workers != NULL);
  struct feed feed;
  int64_t count = 0;
  bool is_open = feed_open(&feed, &trip->out, &writing_limits, false);
  feed_expect(is_open, "what was written can be opened");
  feed_expect(feed.is_file == (trip->options.format == IPC_FORMAT_FILE), "the format is right");
  for (;;) {
    struct ipc_message message = {.offset_bytes = 0};
    enum status status = feed_next(&feed, &message);
    feed_expect(status == STATUS_OK, "what was written can be cut");
    if (feed.is_over) break;
    struct feed_event decoded = feed_decode(decoder, &message);
    feed_expect(decoded.status == STATUS_OK, "what was written can be read");
    if (decoded.event != IPC_EVENT_BATCH) continue;
    feed_expect(count < trip->batch_count, "no batch more is there");
    feed_expect_same_batch(ipc_decoder_schema(decoder), &trip->batches[count], &decoded.batch);
    feed_expect_same_metadata(trip->metadata[count], ipc_decoder_metadata(decoder));
    arrow_array_release(&decoded.batch);
    count++;
  }
  feed_expect(count == trip->batch_count, "every batch is there");
  feed_expect_same_schema(ipc_decoder_schema(trip->decoder), ipc_decoder_schema(decoder));
  feed_close(&feed);
  ipc_decoder_free(decoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < OPTION_BYTES) return 0;
  int64_t bytes = (int64_t)size - OPTION_BYTES;
  struct buffer copy = feed_copy(data + OPTION_BYTES, bytes, 0);
  struct trip trip = {.options = options_of(data, bytes),
                      .slices = (data[0] & SLICES_BIT) != 0,
                      .decoder = feed_decoder(&feed_limits, &feed_budget, false)};
  read_and_write(&trip, &copy);
  if (trip.writer != NULL) {
    struct error error = {.status = STATUS_OK};
    enum status status = ipc_writer_end(trip.writer, &trip.out, &error);
    feed_expect(status == STATUS_OK, error.text);
    read_back(&trip);
  }
  for (int64_t i = 0; i < trip.batch_count; i++) {
    arrow_array_release(&trip.batches[i]);
    free(trip.metadata[i]);
  }
  ipc_writer_free(trip.writer);
  ipc_decoder_free(trip.decoder);
  buffer_release(&trip.out);
  buffer_release(&copy);
  feed_expect_nothing_held(&feed_budget);
  feed_expect_nothing_held(&writing_budget);
  return 0;
}
