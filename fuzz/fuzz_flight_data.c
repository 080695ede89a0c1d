/* FlightData messages of any bytes, and the decoder behind them: read in steps, by two readers side by
 * side, which must see the same messages and refuse the same. Nothing may be held afterwards.
 *
 * The first byte is the step (0: as much as there is room for); then messages follow as gRPC frames
 * them, with a prefix whose last four bytes are the length. What is cut off at the end is left out. */
#include <string.h>

#include "flight/data.h"
#include "ipc_feed.h"

enum { PREFIX_BYTES = 5 };

struct reading {
  struct flight_data_reader *reader;
  const uint8_t *data;
  int64_t bytes;
  int64_t step_bytes;
};

static enum status fill(struct reading *reading, int64_t left, struct error *error) {
  enum status status = STATUS_OK;
  bool whole = false;
  if (left == 0) status = flight_data_reader_filled(reading->reader, 0, &whole, error);
  while (left > 0 && status == STATUS_OK) {
    uint8_t *window = NULL;
    int64_t bytes = 0;
    status = flight_data_reader_window(reading->reader, &window, &bytes, error);
    if (status != STATUS_OK) return status;
    feed_expect(bytes >= 1 && bytes <= left, "a window is within the message");
    if (bytes > reading->step_bytes) bytes = reading->step_bytes;
    memcpy(window, reading->data, (size_t)bytes);
    reading->data += bytes;
    reading->bytes -= bytes;
    left -= bytes;
    status = flight_data_reader_filled(reading->reader, bytes, &whole, error);
    feed_expect(status != STATUS_OK || whole == (left == 0), "it is whole when all has come");
  }
  return status;
}

/* False: there is nothing more to read, or it was refused. */
static bool next(struct reading *reading, struct flight_data *data, enum status *status) {
  struct error error = {.status = STATUS_OK};
  *status = STATUS_OK;
  if (reading->bytes < PREFIX_BYTES) return false;
  const uint8_t *p = reading->data;
  int64_t bytes = (int64_t)p[1] << 24 | p[2] << 16 | p[3] << 8 | p[4];
  reading->data += PREFIX_BYTES;
  reading->bytes -= PREFIX_BYTES;
  *status = flight_data_reader_begin(reading->reader, bytes, &error);
  if (*status == STATUS_OK && bytes > reading->bytes) return false;
  if (*status == STATUS_OK) *status = fill(reading, bytes, &error);
  feed_expect_refusal(*status, &error);
  if (*status == STATUS_OK) flight_data_reader_take(reading->reader, data);
  return *status == STATUS_OK;
}

static void expect_same(const struct buffer *left, const struct buffer *right) {
  feed_expect(left->size_bytes == right->size_bytes, "fields have the same length");
  if (left->size_bytes > 0)
    feed_expect(memcmp(left->data, right->data, (size_t)left->size_bytes) == 0,
                "fields have the same bytes");
}

static bool decode(struct ipc_decoder *decoder, struct flight_data *data) {
  if (data->message.metadata.size_bytes == 0) return true;
  struct feed_event event = feed_decode(decoder, &data->message);
  data->message = (struct ipc_message){.offset_bytes = 0};
  arrow_array_release(&event.batch);
  return event.status == STATUS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  struct reading readings[2] = {
      {.data = data + 1, .bytes = (int64_t)size - 1, .step_bytes = data[0]},
      {.data = data + 1, .bytes = (int64_t)size - 1, .step_bytes = INT64_MAX}};
  struct ipc_decoder *decoder = feed_decoder(&feed_limits, &feed_budget, false);
  if (readings[0].step_bytes == 0) readings[0].step_bytes = INT64_MAX;
  for (int i = 0; i < 2; i++)
    if (flight_data_reader_new(&feed_limits, &feed_budget, &readings[i].reader, NULL) != STATUS_OK)
      return 0;
  for (bool goes_on = true; goes_on;) {
    struct flight_data left;
    struct flight_data right;
    enum status statuses[2];
    bool has_left = next(&readings[0], &left, &statuses[0]);
    bool has_right = next(&readings[1], &right, &statuses[1]);
    goes_on = has_left && has_right;
    if (statuses[0] != STATUS_BUDGET && statuses[1] != STATUS_BUDGET)
      feed_expect(has_left == has_right && statuses[0] == statuses[1], "steps change nothing");
    if (goes_on) {
      expect_same(&left.descriptor, &right.descriptor);
      expect_same(&left.app_metadata, &right.app_metadata);
      expect_same(&left.message.metadata, &right.message.metadata);
      expect_same(&left.message.body, &right.message.body);
      feed_expect(left.has_app_metadata == right.has_app_metadata, "fields are there in both");
      goes_on = decode(decoder, &left);
    }
    if (has_left) flight_data_release(&left);
    if (has_right) flight_data_release(&right);
  }
  for (int i = 0; i < 2; i++) flight_data_reader_free(readings[i].reader);
  ipc_decoder_free(decoder);
  feed_expect_nothing_held(&feed_budget);
  return 0;
}
