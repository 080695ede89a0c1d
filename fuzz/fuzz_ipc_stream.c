/* An Arrow IPC stream of any bytes, read twice side by side: by the framer, as it arrives in
 * steps, and cut in memory, at any alignment. Both must see the same messages, the same end
 * and the same refusals, and what their decoders let through must be the same values.
 *
 * The first byte says how: bits 0 to 3 are the step (0: as much as there is room for), bit 4
 * whether the end-of-stream marker may be missing, bits 5 to 7 the alignment in memory, in
 * which case threads help. */
#include <string.h>

#include "ipc_feed.h"

enum { STEP_BITS = 0x0F, EOS_BIT = 0x10, SHIFT_LOWEST_BIT = 5 };

struct arriving {
  struct ipc_framer *framer;
  const uint8_t *data;
  int64_t bytes;
  int64_t step_bytes;
  bool eos_optional;
};

/* Up to a step more. */
static enum status arrive(struct arriving *arriving, enum ipc_frame *frame, struct error *error) {
  uint8_t *window = NULL;
  int64_t bytes = 0;
  enum status status = ipc_framer_window(arriving->framer, &window, &bytes, error);
  if (status != STATUS_OK) return status;
  feed_expect(bytes >= 1, "a window has room");
  if (bytes > arriving->bytes) bytes = arriving->bytes;
  if (bytes > arriving->step_bytes) bytes = arriving->step_bytes;
  memcpy(window, arriving->data, (size_t)bytes);
  arriving->data += bytes;
  arriving->bytes -= bytes;
  return ipc_framer_filled(arriving->framer, bytes, frame, error);
}

/* As feed_next, over the framer. */
static enum status next_arrival(struct arriving *arriving, struct ipc_message *message,
                                bool *is_over) {
  struct error error = {.status = STATUS_OK};
  enum ipc_frame frame = IPC_FRAME_PARTIAL;
  enum status status = STATUS_OK;
  while (status == STATUS_OK && frame != IPC_FRAME_MESSAGE && arriving->bytes > 0)
    status = arrive(arriving, &frame, &error);
  *is_over = status == STATUS_OK && frame != IPC_FRAME_MESSAGE;
  if (*is_over) status = ipc_framer_finish(arriving->framer, arriving->eos_optional, &error);
  if (status == STATUS_OK && frame == IPC_FRAME_MESSAGE) ipc_framer_take(arriving->framer, message);
  feed_expect_refusal(status, &error);
  return status;
}

static void expect_same_message(const struct ipc_message *left, const struct ipc_message *right) {
  feed_expect(left->offset_bytes == right->offset_bytes, "messages begin at the same byte");
  feed_expect(left->metadata.size_bytes == right->metadata.size_bytes &&
                  left->body.size_bytes == right->body.size_bytes,
              "messages have the same length");
  if (left->metadata.size_bytes > 0)
    feed_expect(
        memcmp(left->metadata.data, right->metadata.data, (size_t)left->metadata.size_bytes) == 0,
        "messages have the same metadata");
  if (left->body.size_bytes > 0)
    feed_expect(memcmp(left->body.data, right->body.data, (size_t)left->body.size_bytes) == 0,
                "messages have the same body");
}

/* Decodes the message as it arrived and as it lay; false: both are refused. */
static bool decode_both(struct ipc_decoder *const *decoders, struct ipc_message *messages) {
  struct feed_event left = feed_decode(decoders[0], &messages[0]);
  struct feed_event right = feed_decode(decoders[1], &messages[1]);
  /* Copies of what is not aligned may find no room where the other needs none. */
  if (left.status != STATUS_BUDGET && right.status != STATUS_BUDGET) {
    feed_expect(left.status == right.status, "decoders agree");
    feed_expect(left.event == right.event || left.status != STATUS_OK, "decoders see the same");
    feed_expect(left.sum == right.sum, "values have the same sum");
  }
  bool is_batch = left.batch.release != NULL && right.batch.release != NULL;
  if (is_batch) feed_expect_same_batch(ipc_decoder_schema(decoders[0]), &left.batch, &right.batch);
  arrow_array_release(&left.batch);
  arrow_array_release(&right.batch);
  return left.status == STATUS_OK && right.status == STATUS_OK;
}

/* Takes messages from both until both are over or one cannot go on. */
static void read_both(struct arriving *arriving, struct feed *lying,
                      struct ipc_decoder *const *decoders) {
  for (bool goes_on = true; goes_on;) {
    struct ipc_message messages[2] = {{.offset_bytes = 0}, {.offset_bytes = 0}};
    bool is_over = false;
    enum status arrived = next_arrival(arriving, &messages[0], &is_over);
    enum status lay = feed_next(lying, &messages[1]);
    feed_expect(arrived == lay || arrived == STATUS_BUDGET, "framer and cut refuse the same");
    goes_on = arrived == STATUS_OK && lay == STATUS_OK;
    if (goes_on) feed_expect(is_over == lying->is_over, "framer and cut end at the same place");
    goes_on = goes_on && !is_over;
    if (goes_on) {
      expect_same_message(&messages[0], &messages[1]);
      goes_on = decode_both(decoders, messages);
    } else {
      ipc_message_release(&messages[0]);
      ipc_message_release(&messages[1]);
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  int64_t bytes = (int64_t)size - 1;
  int shift = data[0] >> SHIFT_LOWEST_BIT;
  struct arriving arriving = {.data = data + 1,
                              .bytes = bytes,
                              .step_bytes = data[0] & STEP_BITS,
                              .eos_optional = (data[0] & EOS_BIT) != 0};
  struct buffer copy = feed_copy(data + 1, bytes, shift);
  struct ipc_decoder *decoders[] = {feed_decoder(&feed_limits, &feed_budget, false),
                                    feed_decoder(&feed_limits, &feed_budget, shift != 0)};
  if (arriving.step_bytes == 0) arriving.step_bytes = INT64_MAX;
  if (ipc_framer_new(&feed_limits, &feed_budget, &arriving.framer, NULL) != STATUS_OK) return 0;
  struct feed lying = feed_stream(&copy, &feed_limits, arriving.eos_optional);
  read_both(&arriving, &lying, decoders);
  feed_close(&lying);
  ipc_framer_free(arriving.framer);
  ipc_decoder_free(decoders[0]);
  ipc_decoder_free(decoders[1]);
  buffer_release(&copy);
  feed_expect_nothing_held(&feed_budget);
  return 0;
}
