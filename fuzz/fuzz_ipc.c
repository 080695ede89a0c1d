/* An Arrow IPC stream or file of any bytes: whatever the reader lets through can be
 * walked to its last value. The first byte says how the rest arrives. */
#include <stdlib.h>
#include <string.h>

#include "arrow/ipc.h"
#include "../tests/arrow/array_walk.h"

enum { STEPS_MAX = 15 };

static struct budget budget = {.limit_bytes = 32 << 20};

static const struct ipc_limits limits = {
    .metadata_bytes_max = 1 << 20,
    .body_bytes_max = 8 << 20,
    .decoded_bytes_max = 8 << 20,
};

/* The decoder's schema is known once there is a batch. */
static void decode(struct ipc_decoder *decoder, struct ipc_message *message, bool *failed) {
  enum ipc_event event;
  struct ArrowArray batch = {.release = NULL};
  struct error error;
  enum status status = ipc_decoder_decode(decoder, message, &event, &batch, &error);
  *failed = status != STATUS_OK;
  if (status == STATUS_INTERNAL || (*failed && batch.release != NULL)) abort();
  if (*failed) ipc_message_release(message);
  if (batch.release == NULL) return;
  if (array_walk(ipc_decoder_schema(decoder), &batch, NULL) != NULL) abort();
  arrow_array_release(&batch);
}

/* Reads messages until the bytes are over, or, when `limit` is not 0, that many came. */
static void read_messages(struct ipc_decoder *decoder, const uint8_t *data, int64_t bytes,
                          int64_t step_bytes, int limit, bool *failed) {
  struct ipc_framer *framer = NULL;
  struct error error;
  int count = 0;
  if (ipc_framer_new(&limits, &budget, &framer, &error) != STATUS_OK) return;
  while (bytes > 0 && !*failed && (limit == 0 || count < limit)) {
    uint8_t *window = NULL;
    int64_t taken = 0;
    enum ipc_frame frame = IPC_FRAME_PARTIAL;
    *failed = ipc_framer_window(framer, &window, &taken, &error) != STATUS_OK;
    if (*failed) break;
    if (taken > bytes) taken = bytes;
    if (taken > step_bytes) taken = step_bytes;
    memcpy(window, data, (size_t)taken);
    data += taken;
    bytes -= taken;
    *failed = ipc_framer_filled(framer, taken, &frame, &error) != STATUS_OK;
    if (*failed || frame != IPC_FRAME_MESSAGE) continue;
    struct ipc_message message;
    ipc_framer_take(framer, &message);
    decode(decoder, &message, failed);
    count++;
  }
  ipc_framer_free(framer);
}

static void read_file(struct ipc_decoder *decoder, const uint8_t *data, int64_t bytes) {
  enum { STREAM_START = 8 };
  struct ipc_file file;
  struct error error;
  bool failed = false;
  if (ipc_file_open(data, bytes, &limits, &file, &error) != STATUS_OK) return;
  read_messages(decoder, data + STREAM_START, bytes - STREAM_START, bytes, 1, &failed);
  int64_t count = file.dictionary_count + file.batch_count;
  for (int64_t i = 0; i < count && !failed; i++) {
    const struct ipc_file_block *block = i < file.dictionary_count
                                             ? &file.dictionaries[i]
                                             : &file.batches[i - file.dictionary_count];
    read_messages(decoder, data + block->offset_bytes, block->metadata_bytes + block->body_bytes,
                  bytes, 1, &failed);
  }
  ipc_file_release(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct ipc_decoder *decoder = NULL;
  struct error error;
  bool failed = false;
  if (size == 0) return 0;
  if (ipc_decoder_new(&limits, &budget, &decoder, &error) != STATUS_OK) return 0;
  uint8_t step = data[0] & STEPS_MAX;
  data++;
  int64_t bytes = (int64_t)size - 1;
  if (ipc_file_magic(data, bytes))
    read_file(decoder, data, bytes);
  else
    read_messages(decoder, data, bytes, step == 0 ? bytes : step, 0, &failed);
  ipc_decoder_free(decoder);
  if (atomic_load(&budget.used_bytes) != 0) abort();
  return 0;
}
