/* An Arrow IPC file of any bytes: the schema, all dictionaries, then its batches, first in
 * their order and then backwards, as a reader does that looks for one of them. A batch must
 * be the same both times.
 *
 * The first byte says how: bits 0 to 2 are the alignment in memory, bit 3 whether threads
 * help. */
#include <stdlib.h>

#include "ipc_feed.h"

enum { SHIFT_BITS = 0x07, THREADS_BIT = 0x08, BATCHES_MAX = 64 };

/* Of one block; false when it is refused, or replaces a dictionary, which a file cannot. */
static bool decode_block(struct ipc_decoder *decoder, const struct buffer *data,
                         const struct ipc_file_block *block, struct feed_event *decoded) {
  struct error error = {.status = STATUS_OK};
  struct ipc_message message;
  enum status status = ipc_file_message(data, block, &message, &error);
  feed_expect_refusal(status, &error);
  if (status != STATUS_OK) {
    feed_expect(message.metadata.block == NULL && message.body.block == NULL,
                "nothing comes out of a refusal");
    return false;
  }
  *decoded = feed_decode(decoder, &message);
  return decoded->status == STATUS_OK && decoded->event != IPC_EVENT_REPLACEMENT;
}

static void read_batches(struct ipc_decoder *decoder, const struct buffer *data,
                         const struct ipc_file *file) {
  struct feed_event first[BATCHES_MAX];
  int64_t count = file->batch_count < BATCHES_MAX ? file->batch_count : BATCHES_MAX;
  int64_t read = 0;
  bool goes_on = true;
  while (read < count && goes_on) {
    first[read] = (struct feed_event){.sum = 0};
    goes_on = decode_block(decoder, data, &file->batches[read], &first[read]) &&
              first[read].event == IPC_EVENT_BATCH;
    read++;
  }
  for (int64_t i = read - 1; i >= 0; i--) {
    struct feed_event again = {.sum = 0};
    /* What is kept of the others may have taken the room. */
    if (goes_on && decode_block(decoder, data, &file->batches[i], &again))
      feed_expect_same_batch(ipc_decoder_schema(decoder), &first[i].batch, &again.batch);
    else if (goes_on)
      feed_expect(again.status == STATUS_BUDGET, "what could be read can be read again");
    arrow_array_release(&again.batch);
    arrow_array_release(&first[i].batch);
  }
}

static void read_file(struct ipc_decoder *decoder, const struct buffer *data,
                      const struct ipc_file *file) {
  struct feed_event decoded = {.sum = 0};
  bool goes_on =
      decode_block(decoder, data, &file->schema, &decoded) && decoded.event == IPC_EVENT_SCHEMA;
  for (int64_t i = 0; i < file->dictionary_count && goes_on; i++)
    goes_on = decode_block(decoder, data, &file->dictionaries[i], &decoded) &&
              decoded.event == IPC_EVENT_DICTIONARY;
  arrow_array_release(&decoded.batch);
  if (goes_on) read_batches(decoder, data, file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  struct buffer copy = feed_copy(data + 1, (int64_t)size - 1, data[0] & SHIFT_BITS);
  struct ipc_decoder *decoder =
      feed_decoder(&feed_limits, &feed_budget, (data[0] & THREADS_BIT) != 0);
  struct ipc_file file;
  struct error error = {.status = STATUS_OK};
  enum status status = ipc_file_open(copy.data, copy.size_bytes, &feed_limits, &file, &error);
  feed_expect_refusal(status, &error);
  if (status == STATUS_OK) {
    feed_expect_same_metadata(file.metadata, file.metadata);
    read_file(decoder, &copy, &file);
  } else {
    feed_expect(file.dictionaries == NULL && file.batches == NULL && file.metadata == NULL,
                "nothing comes out of a refusal");
  }
  ipc_file_release(&file);
  ipc_decoder_free(decoder);
  buffer_release(&copy);
  feed_expect_nothing_held(&feed_budget);
  return 0;
}
