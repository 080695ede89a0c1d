/* FlightData when memory runs out: whatever fails, nothing is left, and a batch that could not be written
 * for want of budget, or a window that could not be had, can be asked for again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "flight/data.h"
#include "flight/reflection.h"
#include "nomem/nomem.h"

enum { ROWS = 3000, SPARED_MAX = 64 };

static int64_t numbers[ROWS];
static int32_t indices[ROWS];
static int32_t offsets[] = {0, 1, 3, 6};
static const char words[] = "abbccc";

static struct ArrowSchema number_field = {.format = "l", .name = "n"};
static struct ArrowSchema word_field = {.format = "u", .name = ""};
static struct ArrowSchema index_field = {.format = "i", .name = "w", .dictionary = &word_field};
static struct ArrowSchema *fields[] = {&number_field, &index_field};
static const struct ArrowSchema schema = {.format = "+s", .n_children = 2, .children = fields};

static int alive; /* batches that nobody has let go of */

static void let_go(struct ArrowArray *array) {
  alive--;
  array->release = NULL;
}

static const void *number_buffers[] = {NULL, numbers};
static const void *index_buffers[] = {NULL, indices};
static const void *word_buffers[] = {NULL, offsets, words};
static const void *no_buffers[] = {NULL};
static struct ArrowArray number_array = {.length = ROWS, .n_buffers = 2, .buffers = number_buffers};
static struct ArrowArray word_array = {.length = 3, .n_buffers = 3, .buffers = word_buffers};
static struct ArrowArray index_array = {
    .length = ROWS, .n_buffers = 2, .buffers = index_buffers, .dictionary = &word_array};
static struct ArrowArray *columns[] = {&number_array, &index_array};

static struct ArrowArray new_batch(void) {
  alive++;
  return (struct ArrowArray){.length = ROWS - 1,
                             .offset = 1,
                             .n_buffers = 1,
                             .buffers = no_buffers,
                             .n_children = 2,
                             .children = columns,
                             .release = let_go};
}

/* ---- writing ------------------------------------------------------------------------------------- */

struct sent {
  uint8_t bytes[128 << 10];
  int64_t size;
};

static enum status collect(void *context, struct buffer *piece, struct error *error) {
  struct sent *sent = context;
  (void)error;
  assert_true(piece->size_bytes <= (int64_t)sizeof sent->bytes - sent->size);
  memcpy(sent->bytes + sent->size, piece->data, (size_t)piece->size_bytes);
  sent->size += piece->size_bytes;
  buffer_release(piece);
  return STATUS_OK;
}

static enum status write_twice(struct flight_writer *writer, const struct flight_out *out,
                               const struct sent *sent, struct error *error) {
  enum status status = STATUS_OK;
  for (int i = 0; i < 2 && status == STATUS_OK; i++) {
    struct ArrowArray batch = new_batch();
    int64_t before = sent->size;
    do {
      status = flight_writer_batch(writer, &batch, NULL, out, error);
      if (status != STATUS_OK) assert_int_equal(sent->size, before);
      if (status == STATUS_BUDGET)
        assert_non_null(batch.release);
      else
        assert_null(batch.release);
    } while (nomem_again_budget(status));
    arrow_array_release(&batch);
  }
  return status;
}

static struct sent wanted;

static enum status write_all(void *context, struct error *error) {
  static struct sent sent;
  const struct ipc_writer_options *options = context;
  struct flight_out out = {.piece = collect, .context = &sent};
  struct flight_writer *writer = NULL;
  enum status status;
  sent.size = 0;
  do status = flight_writer_new(&schema, options, &nomem_budget, &writer, error);
  while (nomem_again_budget(status));
  if (status == STATUS_OK) flight_writer_cut(writer, 16 << 10);
  if (status == STATUS_OK) {
    do status = flight_writer_schema(writer, NULL, &out, error);
    while (nomem_again_budget(status));
  }
  if (status == STATUS_OK) status = write_twice(writer, &out, &sent, error);
  flight_writer_free(writer);
  assert_int_equal(alive, 0);
  if (status == STATUS_OK && wanted.size == 0) wanted = sent;
  if (status == STATUS_OK) {
    assert_int_equal(sent.size, wanted.size);
    assert_memory_equal(sent.bytes, wanted.bytes, (size_t)wanted.size);
  }
  return status;
}

static void batches_are_written(void **state) {
  (void)state;
  for (int i = 0; i < ROWS; i++) {
    numbers[i] = i;
    indices[i] = i % 3;
  }
  for (int c = IPC_COMPRESSION_NONE; c <= IPC_COMPRESSION_LZ4; c++) {
    struct ipc_writer_options options = {.compression = (enum ipc_compression)c};
    wanted.size = 0;
    /* A compressed body that cannot be moved into a smaller room stays where it is; lists that
     * cannot be doubled grow by less. */
    assert_true(nomem_run("writing FlightData", write_all, &options, SPARED_MAX) > 10);
    assert_true(wanted.size > 0);
  }
}

/* ---- reading ------------------------------------------------------------------------------------- */

static enum status read_message(struct flight_data_reader *reader, const uint8_t *bytes,
                                int64_t size, struct error *error) {
  bool whole = false;
  enum status status = flight_data_reader_begin(reader, size, error);
  while (status == STATUS_OK && !whole) {
    uint8_t *window = NULL;
    int64_t room = 0;
    do status = flight_data_reader_window(reader, &window, &room, error);
    while (nomem_again(status));
    if (status != STATUS_OK) break;
    memcpy(window, bytes, (size_t)room);
    bytes += room;
    status = flight_data_reader_filled(reader, room, &whole, error);
  }
  if (status != STATUS_OK) return status;
  struct flight_data data;
  flight_data_reader_take(reader, &data);
  flight_data_release(&data);
  return STATUS_OK;
}

static enum status read_all(void *context, struct error *error) {
  const struct sent *sent = context;
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct flight_data_reader *reader = NULL;
  enum status status = STATUS_OK;
  do status = flight_data_reader_new(&limits, &nomem_budget, &reader, error);
  while (nomem_again(status));
  for (int64_t at = 0; at < sent->size && status == STATUS_OK;) {
    const uint8_t *p = sent->bytes + at;
    int64_t bytes = (int64_t)p[1] << 24 | p[2] << 16 | p[3] << 8 | p[4];
    status = read_message(reader, p + 5, bytes, error);
    at += 5 + bytes;
  }
  flight_data_reader_free(reader);
  return status;
}

static void messages_are_read(void **state) {
  (void)state;
  assert_true(nomem_run("reading FlightData", read_all, &wanted, 0) > 5);
}

/* ---- reflection ---------------------------------------------------------------------------------- */

static enum status reflect(void *context, struct error *error) {
  struct buffer answer = BUFFER_EMPTY;
  (void)context;
  enum status status;
  do status = flight_reflect("\x22\x01x", 3, &nomem_budget, &answer, error);
  while (nomem_again_budget(status));
  buffer_release(&answer);
  return status;
}

static void questions_are_answered(void **state) {
  (void)state;
  assert_true(nomem_run("reflection", reflect, NULL, 0) > 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(batches_are_written),
      cmocka_unit_test(messages_are_read),
      cmocka_unit_test(questions_are_answered),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
