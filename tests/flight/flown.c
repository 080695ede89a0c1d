#include "flight/flown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/ipc.h"

struct budget flown_budget = {.limit_bytes = INT64_MAX};

static const struct ipc_limits limits = IPC_LIMITS_DEFAULT;

/* ---- pieces ---------------------------------------------------------------------------------- */

static enum status keep_piece(void *context, struct buffer *piece, struct error *error) {
  struct flown *flown = context;
  if (flown->refuse_at > 0 && flown->count + 1 == flown->refuse_at) {
    buffer_release(piece);
    return error_set(error, STATUS_CANCELLED, "nobody wants it");
  }
  assert_true(flown->count < FLOWN_PIECES_MAX);
  assert_true(piece->size_bytes > 0);
  flown->pieces[flown->count++] = *piece;
  return STATUS_OK;
}

struct flight_out flown_out(struct flown *flown) {
  return (struct flight_out){.piece = keep_piece, .context = flown};
}

struct buffer flown_bytes(const struct flown *flown) {
  struct buffer bytes = BUFFER_EMPTY;
  for (int i = 0; i < flown->count; i++)
    assert_int_equal(buffer_append(&bytes, &flown_budget, flown->pieces[i].data,
                                   flown->pieces[i].size_bytes, NULL),
                     STATUS_OK);
  return bytes;
}

void flown_release(struct flown *flown) {
  for (int i = 0; i < flown->count; i++) buffer_release(&flown->pieces[i]);
  flown->count = 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum status fill(struct flown_reading *reading, int64_t left, bool *whole,
                        struct error *error) {
  enum status status = STATUS_OK;
  if (left == 0) return flight_data_reader_filled(reading->reader, 0, whole, error);
  while (left > 0 && status == STATUS_OK) {
    uint8_t *window = NULL;
    int64_t bytes = 0;
    int64_t wants = flight_data_reader_wants(reading->reader);
    int64_t held = flight_data_reader_held(reading->reader);
    status = flight_data_reader_window(reading->reader, &window, &bytes, error);
    if (status != STATUS_OK) break;
    assert_in_range(bytes, 1, left);
    int64_t took = flight_data_reader_held(reading->reader) - held;
    assert_true(wants == 0 ? took == 0 : took >= wants || held > 0);
    if (reading->step_bytes > 0 && bytes > reading->step_bytes) bytes = reading->step_bytes;
    memcpy(window, reading->data, (size_t)bytes);
    reading->data += bytes;
    reading->bytes -= bytes;
    left -= bytes;
    status = flight_data_reader_filled(reading->reader, bytes, whole, error);
    if (status == STATUS_OK) assert_int_equal(*whole, left == 0);
  }
  return status;
}

enum status flown_try_next(struct flown_reading *reading, struct flight_data *data,
                           struct error *error) {
  bool whole = false;
  assert_true(reading->bytes >= 5);
  const uint8_t *p = reading->data;
  assert_int_equal(p[0], 0);
  int64_t bytes = (int64_t)p[1] << 24 | p[2] << 16 | p[3] << 8 | p[4];
  reading->data += 5;
  reading->bytes -= 5;
  assert_true(bytes <= reading->bytes);
  enum status status = flight_data_reader_begin(reading->reader, bytes, error);
  if (status == STATUS_OK) status = fill(reading, bytes, &whole, error);
  if (status == STATUS_OK) flight_data_reader_take(reading->reader, data);
  return status;
}

bool flown_next(struct flown_reading *reading, struct flight_data *data) {
  struct error error = {.text = ""};
  if (reading->bytes == 0) return false;
  if (flown_try_next(reading, data, &error) != STATUS_OK)
    fail_msg("it cannot be read: %s", error.text);
  return true;
}

/* ---- decoding -------------------------------------------------------------------------------- */

static void decode(struct ipc_decoder *decoder, struct ipc_message *message,
                   struct flown_batches *batches) {
  struct error error = {.text = ""};
  struct ArrowArray batch;
  enum ipc_event event;
  if (ipc_decoder_decode(decoder, message, &event, &batch, &error) != STATUS_OK)
    fail_msg("it cannot be decoded: %s", error.text);
  if (event == IPC_EVENT_SCHEMA)
    assert_int_equal(arrow_schema_copy(ipc_decoder_schema(decoder), &batches->schema, NULL),
                     STATUS_OK);
  if (event != IPC_EVENT_BATCH) return;
  assert_true(batches->count < FLOWN_BATCHES_MAX);
  batches->batches[batches->count++] = batch;
}

static void read_file(const char *path, struct buffer *bytes) {
  char chunk[4096];
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail_msg("%s cannot be opened", path);
  for (size_t got; (got = fread(chunk, 1, sizeof chunk, file)) > 0;)
    assert_int_equal(buffer_append(bytes, &flown_budget, chunk, (int64_t)got, NULL), STATUS_OK);
  fclose(file);
}

void flown_load(const char *path, struct flown_batches *batches) {
  struct buffer bytes = BUFFER_EMPTY;
  struct ipc_decoder *decoder = NULL;
  struct ipc_message message;
  enum ipc_frame frame = IPC_FRAME_MESSAGE;
  int64_t position_bytes = 0;
  *batches = (struct flown_batches){.count = 0};
  read_file(path, &bytes);
  assert_int_equal(ipc_decoder_new(&limits, &flown_budget, &decoder, NULL), STATUS_OK);
  while (frame == IPC_FRAME_MESSAGE) {
    assert_int_equal(ipc_cut(&bytes, &limits, true, &position_bytes, &message, &frame, NULL),
                     STATUS_OK);
    if (frame == IPC_FRAME_MESSAGE) decode(decoder, &message, batches);
  }
  ipc_decoder_free(decoder);
  buffer_release(&bytes);
}

void flown_decode(const struct buffer *bytes, int64_t step_bytes, struct flown_batches *batches) {
  struct ipc_decoder *decoder = NULL;
  struct flown_reading reading = {
      .data = bytes->data, .bytes = bytes->size_bytes, .step_bytes = step_bytes};
  struct flight_data data;
  *batches = (struct flown_batches){.count = 0};
  assert_int_equal(ipc_decoder_new(&limits, &flown_budget, &decoder, NULL), STATUS_OK);
  assert_int_equal(flight_data_reader_new(&limits, &flown_budget, &reading.reader, NULL),
                   STATUS_OK);
  while (flown_next(&reading, &data)) {
    assert_int_equal((uintptr_t)data.message.body.data % 64, 0);
    if (data.message.metadata.size_bytes > 0) decode(decoder, &data.message, batches);
    flight_data_release(&data);
  }
  flight_data_reader_free(reading.reader);
  ipc_decoder_free(decoder);
}

void flown_batches_release(struct flown_batches *batches) {
  for (int i = 0; i < batches->count; i++) arrow_array_release(&batches->batches[i]);
  arrow_schema_release(&batches->schema);
  batches->count = 0;
}
