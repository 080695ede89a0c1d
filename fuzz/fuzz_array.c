/* Arrays of the C data interface as another library may hand them in, right or wrong
 * (make_array.h). What the full check lets through can be used: walked, compared, sliced, printed,
 * written and read back. */
#include <stdlib.h>

#include "arrow/array.h"
#include "arrow/encode.h"
#include "ipc_feed.h"
#include "make_array.h"

enum {
  ROWS_MAX = 64,
  PRINTED_ROWS = 8,
  PRINTED_WIDTH = 60,
};

static int releases;

static void write_and_read(const struct ArrowSchema *schema, const struct ArrowArray *array) {
  struct ipc_writer *writer = NULL;
  struct buffer out = BUFFER_EMPTY;
  struct error error = {.status = STATUS_OK};
  enum status status = ipc_writer_new(schema, NULL, &feed_budget, &writer, &error);
  /* A dictionary of dictionaries is none that the format can say. */
  if (status == STATUS_UNSUPPORTED) return;
  if (status == STATUS_OK) status = ipc_writer_schema(writer, &out, &error);
  if (status == STATUS_OK) status = ipc_writer_batch(writer, array, &out, &error);
  if (status == STATUS_OK) status = ipc_writer_end(writer, &out, &error);
  feed_expect(status == STATUS_OK, error.text);
  struct ipc_decoder *decoder = feed_decoder(&feed_limits, &feed_budget, false);
  struct feed feed = feed_stream(&out, &feed_limits, false);
  for (;;) {
    struct ipc_message message = {.offset_bytes = 0};
    feed_expect(feed_next(&feed, &message) == STATUS_OK, "what was written can be cut");
    if (feed.is_over) break;
    struct feed_event decoded = feed_decode(decoder, &message);
    feed_expect(decoded.status == STATUS_OK, "what was written can be read");
    if (decoded.event == IPC_EVENT_BATCH) feed_expect_same_batch(schema, array, &decoded.batch);
    arrow_array_release(&decoded.batch);
  }
  ipc_decoder_free(decoder);
  ipc_writer_free(writer);
  buffer_release(&out);
}

static void encode_all(const struct ArrowSchema *schema, const struct ArrowArray *array) {
  static const enum encode_format formats[] = {ENCODE_JSON, ENCODE_NDJSON, ENCODE_CSV};
  for (int i = 0; i < (int)(sizeof formats / sizeof formats[0]); i++) {
    struct encoder *encoder = NULL;
    struct buffer out = BUFFER_EMPTY;
    struct error error = {.status = STATUS_OK};
    enum status status = encoder_new(formats[i], schema, &feed_budget, &encoder, &error);
    if (status == STATUS_OK) status = encoder_begin(encoder, &out, &error);
    if (status == STATUS_OK) status = encoder_batch(encoder, array, &out, &error);
    if (status == STATUS_OK) status = encoder_end(encoder, &out, &error);
    feed_expect(status == STATUS_OK || status == STATUS_BUDGET, error.text);
    encoder_free(encoder);
    buffer_release(&out);
  }
}

/* Takes the array, which has passed the full check. */
static void use(const struct ArrowSchema *schema, struct ArrowArray *array, struct maker *maker) {
  struct error error = {.status = STATUS_OK};
  struct text text = TEXT_EMPTY;
  struct ArrowArray slice = {.release = NULL};
  feed_check_batch(schema, array);
  feed_expect_same_batch(schema, array, array);
  feed_expect(arrow_array_bytes(schema, array) >= 0, "an array has bytes");
  enum status status = arrow_array_print(schema, array, PRINTED_ROWS, PRINTED_WIDTH, &text, &error);
  feed_expect(status == STATUS_OK, error.text);
  text_release(&text);
  encode_all(schema, array);
  write_and_read(schema, array);
  int64_t offset = maker_byte(maker) % (array->length + 1);
  status = arrow_array_slice(schema, array, offset, array->length - offset, &slice, &error);
  feed_expect(status == STATUS_OK, error.text);
  feed_expect(array->release == NULL && releases == 0, "a slice takes the array");
  feed_check_batch(schema, &slice);
  write_and_read(schema, &slice);
  arrow_array_release(&slice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct maker maker = {.at = data, .end = data + size};
  struct error error = {.status = STATUS_OK};
  struct ArrowArray array = {.release = NULL};
  struct ArrowSchema *schema = maker_schema(&maker);
  releases = 0;
  int64_t rows = maker_byte(&maker) % ROWS_MAX;
  if (schema != NULL && maker_batch(&maker, schema, rows, &releases, &array)) {
    enum status shape = arrow_array_check(schema, &array, ARRAY_CHECK_SHAPE, &error);
    feed_expect_refusal(shape, &error);
    enum status full = arrow_array_check(schema, &array, ARRAY_CHECK_FULL, &error);
    feed_expect_refusal(full, &error);
    feed_expect(full != STATUS_OK || shape == STATUS_OK, "what is right has its shape");
    if (full == STATUS_OK) use(schema, &array, &maker);
    arrow_array_release(&array);
    feed_expect(releases == 1, "an array is released once");
  }
  maker_end(&maker);
  feed_expect_nothing_held(&feed_budget);
  return 0;
}
