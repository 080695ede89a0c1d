/* FlightData that is written: what another end reads of it is what was given, what needs no change is
 * not copied, and the batch lives as long as its last piece. */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arrow/array.h"
#include "arrow/schema.h"
#include "flight/flown.h"

/* ---- there and back ---------------------------------------------------------------------------- */

static struct flight_writer *new_writer(const struct ArrowSchema *schema,
                                        const struct ipc_writer_options *options) {
  struct flight_writer *writer = NULL;
  struct error error = {.text = ""};
  if (flight_writer_new(schema, options, &flown_budget, &writer, &error) != STATUS_OK)
    fail_msg("no writer: %s", error.text);
  return writer;
}

static void write_batch(struct flight_writer *writer, struct ArrowArray *batch,
                        const struct buffer *app_metadata, struct flown *flown) {
  struct error error = {.text = ""};
  struct flight_out out = flown_out(flown);
  if (flight_writer_batch(writer, batch, app_metadata, &out, &error) != STATUS_OK)
    fail_msg("it cannot be written: %s", error.text);
  assert_null(batch->release);
}

/* Rows [start, start + rows) of a batch that stays as it is. */
static struct ArrowArray cut_rows(struct arrow_shared *shared, int64_t start, int64_t rows) {
  struct ArrowArray cut;
  assert_int_equal(arrow_shared_slice(shared, start, rows, &cut, NULL), STATUS_OK);
  return cut;
}

/* Whether rows of `right` from `*row` on, in all its batches, are those of `left`. */
static void expect_rows(const char *name, const struct ArrowSchema *schema,
                        struct arrow_shared *left, int64_t start, struct flown_batches *right,
                        int first) {
  struct error where = {.text = ""};
  for (int i = first; i < right->count; i++) {
    int64_t rows = right->batches[i].length;
    if (arrow_array_check(schema, &right->batches[i], ARRAY_CHECK_FULL, &where) != STATUS_OK)
      fail_msg("%s, as read: %s", name, where.text);
    struct ArrowArray want = cut_rows(left, start, rows);
    if (!arrow_array_equal(schema, &want, &right->batches[i], &where))
      fail_msg("%s is another: %s", name, where.text);
    arrow_array_release(&want);
    start += rows;
  }
}

struct way {
  enum ipc_compression compression;
  int64_t cut_bytes; /* 0: not cut */
  int64_t start;     /* rows left out at the beginning, and as many at the end */
  int64_t step_bytes;
};

static int check_way(const char *name, struct flown_batches *loaded, const struct way *way) {
  struct ipc_writer_options options = {.compression = way->compression};
  struct flown flown = {.count = 0};
  struct flight_out out = flown_out(&flown);
  struct flown_batches got;
  struct flight_writer *writer = new_writer(&loaded->schema, &options);
  if (way->cut_bytes > 0) flight_writer_cut(writer, way->cut_bytes);
  assert_int_equal(flight_writer_schema(writer, NULL, &out, NULL), STATUS_OK);
  int read = 0;
  for (int i = 0; i < loaded->count; i++) {
    struct arrow_shared *shared = NULL;
    assert_int_equal(arrow_shared_new(&loaded->batches[i], &shared, NULL), STATUS_OK);
    int64_t length = arrow_shared_array(shared)->length;
    int64_t start = length > 2 * way->start ? way->start : 0;
    struct ArrowArray batch = cut_rows(shared, start, length - 2 * start);
    write_batch(writer, &batch, NULL, &flown);
    struct buffer bytes = flown_bytes(&flown);
    flown_decode(&bytes, way->step_bytes, &got);
    assert_true(arrow_schema_equal(&loaded->schema, &got.schema, NULL));
    assert_true(got.count > read);
    expect_rows(name, &loaded->schema, shared, start, &got, read);
    read = got.count;
    flown_batches_release(&got);
    buffer_release(&bytes);
    loaded->batches[i] = cut_rows(shared, 0, length);
    arrow_shared_release(shared);
  }
  flight_writer_free(writer);
  flown_release(&flown);
  return read;
}

static int check_golden(const char *path) {
  static const struct way ways[] = {
      {IPC_COMPRESSION_NONE, 0, 0, 0}, {IPC_COMPRESSION_NONE, 0, 0, 1},
      {IPC_COMPRESSION_NONE, 0, 1, 7}, {IPC_COMPRESSION_NONE, 0, 3, 0},
      {IPC_COMPRESSION_LZ4, 0, 0, 0},  {IPC_COMPRESSION_ZSTD, 0, 1, 0},
      {IPC_COMPRESSION_NONE, 1, 0, 0},
  };
  int compared = 0;
  for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
    struct flown_batches loaded;
    flown_load(path, &loaded);
    if (loaded.count > 0) compared += check_way(path, &loaded, &ways[w]);
    flown_batches_release(&loaded);
    assert_int_equal(flown_budget.used_bytes, 0);
  }
  return compared;
}

static void golden_streams_fly_and_are_the_same(void **state) {
  (void)state;
  static const struct {
    const char *name;
    size_t streams;
  } families[] = {
      {"0.14.1", 9},
      {"0.17.1", 1},
      {"1.0.0-bigendian", 22},
      {"1.0.0-littleendian", 22},
      {"2.0.0-compression", 4},
      {"4.0.0-shareddict", 1},
      {"cpp-21.0.0", 32},
  };
  int compared = 0;
  for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
    char pattern[1024];
    glob_t found;
    snprintf(pattern, sizeof pattern, ARROWPORT_TEST_DATA "/arrow-ipc/%s/*.stream",
             families[f].name);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, families[f].streams);
    for (size_t i = 0; i < found.gl_pathc; i++) compared += check_golden(found.gl_pathv[i]);
    globfree(&found);
  }
  print_message("%d batches compared\n", compared);
  assert_true(compared > 1000);
}

/* ---- a batch by hand --------------------------------------------------------------------------- */

enum { ROWS = 20000 };

/* int64 with nulls, bool, text: what the test made, and how often it was let go of. */
struct table {
  int64_t numbers[ROWS];
  uint8_t validity[ROWS / 8 + 8];
  uint8_t bits[ROWS / 8 + 8];
  int32_t offsets[ROWS + 1];
  char text[ROWS * 4];
  const void *buffers[4][3];
  struct ArrowArray columns[3];
  struct ArrowArray *list[3];
  int released;
};

static struct ArrowSchema number_field = {.format = "l", .name = "n", .flags = ARROW_FLAG_NULLABLE};
static struct ArrowSchema bool_field = {.format = "b", .name = "b"};
static struct ArrowSchema text_field = {.format = "u", .name = "t"};
static struct ArrowSchema *fields[] = {&number_field, &bool_field, &text_field};
static const struct ArrowSchema schema = {.format = "+s", .n_children = 3, .children = fields};

static void let_go(struct ArrowArray *array) {
  struct table *table = array->private_data;
  table->released++;
  array->release = NULL;
}

static struct table *new_table(void) {
  struct table *table = calloc(1, sizeof *table);
  assert_non_null(table);
  for (int i = 0; i < ROWS; i++) {
    table->numbers[i] = i * 7;
    table->offsets[i + 1] = table->offsets[i] + i % 5;
  }
  memset(table->validity, 0x5D, ROWS / 8);
  memset(table->bits, 0xA7, ROWS / 8);
  memset(table->text, 'x', sizeof table->text);
  return table;
}

static struct ArrowArray table_batch(struct table *table, int64_t start, int64_t rows) {
  const void *buffers[3][3] = {{table->validity, table->numbers, NULL},
                               {NULL, table->bits, NULL},
                               {NULL, table->offsets, table->text}};
  for (int c = 0; c < 3; c++) {
    memcpy(table->buffers[c], buffers[c], sizeof buffers[c]);
    table->columns[c] = (struct ArrowArray){.length = ROWS,
                                            .null_count = c == 0 ? -1 : 0,
                                            .n_buffers = c == 2 ? 3 : 2,
                                            .buffers = table->buffers[c]};
    table->list[c] = &table->columns[c];
  }
  return (struct ArrowArray){.length = rows,
                             .offset = start,
                             .n_buffers = 1,
                             .buffers = table->buffers[3],
                             .n_children = 3,
                             .children = table->list,
                             .release = let_go,
                             .private_data = table};
}

static bool has_piece(const struct flown *flown, const void *data) {
  for (int i = 0; i < flown->count; i++)
    if (flown->pieces[i].data == data) return true;
  return false;
}

static int64_t copied_bytes(const struct flown *flown, const struct table *table) {
  int64_t bytes = 0;
  const uint8_t *begin = (const uint8_t *)table;
  for (int i = 0; i < flown->count; i++)
    if (flown->pieces[i].data < begin || flown->pieces[i].data >= begin + sizeof *table)
      bytes += flown->pieces[i].size_bytes;
  return bytes;
}

static void what_needs_no_change_is_not_copied(void **state) {
  (void)state;
  static const struct {
    int64_t start;
    bool bits_shared;
    bool offsets_shared;
  } cases[] = {
      {0, true, true}, /* all of it */
      {8, true, false},
      {3, false, false}, /* bits begin within a byte */
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct table *table = new_table();
    struct flown flown = {.count = 0};
    struct flight_writer *writer = new_writer(&schema, NULL);
    int64_t start = cases[i].start;
    int64_t rows = ROWS - 16;
    struct ArrowArray batch = table_batch(table, start, rows);
    write_batch(writer, &batch, NULL, &flown);
    assert_true(has_piece(&flown, table->numbers + start));
    assert_true(has_piece(&flown, table->text + table->offsets[start]));
    assert_int_equal(has_piece(&flown, table->validity + start / 8), cases[i].bits_shared);
    assert_int_equal(has_piece(&flown, table->bits + start / 8), cases[i].bits_shared);
    assert_int_equal(has_piece(&flown, table->offsets), cases[i].offsets_shared);
    int64_t made =
        (cases[i].bits_shared ? 0 : 2 * rows / 8) + (cases[i].offsets_shared ? 0 : (rows + 1) * 4);
    assert_in_range(copied_bytes(&flown, table), made, made + 1024);
    flight_writer_free(writer);
    /* The last piece that is of it lets go of the batch. */
    for (int p = flown.count - 1; p >= 0; p--) {
      assert_int_equal(table->released, 0);
      buffer_release(&flown.pieces[p]);
      if (table->released > 0) {
        flown.count = p;
        break;
      }
    }
    assert_int_equal(table->released, 1);
    flown_release(&flown);
    assert_int_equal(flown_budget.used_bytes, 0);
    free(table);
  }
}

static void a_small_batch_is_one_piece(void **state) {
  (void)state;
  struct table *table = new_table();
  struct flown flown = {.count = 0};
  struct flight_writer *writer = new_writer(&schema, NULL);
  struct ArrowArray batch = table_batch(table, 5, 100);
  write_batch(writer, &batch, NULL, &flown);
  assert_int_equal(flown.count, 1);
  assert_int_equal(table->released, 1); /* nothing of it is shared */
  flown_release(&flown);
  flight_writer_free(writer);
  free(table);
}

/* Bits of rows that are not sent stay here. */
static void bits_behind_the_last_row_are_not_sent(void **state) {
  (void)state;
  struct table *table = new_table();
  struct flown flown = {.count = 0};
  struct flight_writer *writer = new_writer(&schema, NULL);
  memset(table->bits, 0xFF, ROWS / 8);
  struct ArrowArray batch = table_batch(table, 0, ROWS - 5);
  write_batch(writer, &batch, NULL, &flown);
  assert_false(has_piece(&flown, table->bits));
  assert_false(has_piece(&flown, table->validity));
  flown_release(&flown);
  flight_writer_free(writer);
  free(table);
}

static void what_is_not_taken_is_let_go_of(void **state) {
  (void)state;
  for (int refuse_at = 1;; refuse_at++) {
    struct table *table = new_table();
    struct flown flown = {.refuse_at = refuse_at};
    struct flight_out out = flown_out(&flown);
    struct error error = {.text = ""};
    struct flight_writer *writer = new_writer(&schema, NULL);
    struct ArrowArray batch = table_batch(table, 0, ROWS);
    enum status status = flight_writer_batch(writer, &batch, NULL, &out, &error);
    assert_null(batch.release);
    flown_release(&flown);
    flight_writer_free(writer);
    assert_int_equal(table->released, 1);
    assert_int_equal(flown_budget.used_bytes, 0);
    free(table);
    if (status == STATUS_OK) {
      assert_true(refuse_at > 4);
      return;
    }
    assert_int_equal(status, STATUS_CANCELLED);
    assert_string_equal(error.text, "nobody wants it");
  }
}

static void a_refusal_by_the_budget_leaves_everything(void **state) {
  (void)state;
  int refused = 0;
  for (int64_t spare_bytes = 0; spare_bytes < 200 << 10; spare_bytes += 512) {
    struct table *table = new_table();
    struct flown flown = {.count = 0};
    struct flight_out out = flown_out(&flown);
    struct flight_writer *writer = new_writer(&schema, NULL);
    flight_writer_cut(writer, 64 << 10);
    struct ArrowArray batch = table_batch(table, 3, ROWS - 3);
    flown_budget.limit_bytes = flown_budget.used_bytes + spare_bytes;
    enum status status = flight_writer_batch(writer, &batch, NULL, &out, NULL);
    flown_budget.limit_bytes = INT64_MAX;
    if (status != STATUS_OK) {
      refused++;
      assert_int_equal(status, STATUS_BUDGET);
      assert_int_equal(flown.count, 0);
      assert_int_equal(table->released, 0);
      assert_non_null(batch.release);
      write_batch(writer, &batch, NULL, &flown);
    }
    flown_release(&flown);
    flight_writer_free(writer);
    assert_int_equal(table->released, 1);
    assert_int_equal(flown_budget.used_bytes, 0);
    free(table);
  }
  assert_in_range(refused, 10, 390);
}

static struct buffer small_buffer(const char *text) {
  struct buffer buffer = BUFFER_EMPTY;
  assert_int_equal(buffer_append(&buffer, &flown_budget, text, (int64_t)strlen(text), NULL),
                   STATUS_OK);
  return buffer;
}

static void batches_are_cut_by_rows_and_metadata_goes_with_the_last(void **state) {
  (void)state;
  struct table *table = new_table();
  struct flown flown = {.count = 0};
  struct flight_out out = flown_out(&flown);
  struct flight_writer *writer = new_writer(&schema, NULL);
  struct buffer app_metadata = small_buffer("{\"batch\":7}");
  struct buffer descriptor = small_buffer("\010\001");
  struct ArrowArray batch = table_batch(table, 0, ROWS);
  flight_writer_cut(writer, 64 << 10);
  assert_int_equal(flight_writer_schema(writer, &descriptor, &out, NULL), STATUS_OK);
  write_batch(writer, &batch, &app_metadata, &flown);
  struct buffer bytes = flown_bytes(&flown);
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct flown_reading reading = {.data = bytes.data, .bytes = bytes.size_bytes};
  struct flight_data data;
  assert_int_equal(flight_data_reader_new(&limits, &flown_budget, &reading.reader, NULL),
                   STATUS_OK);
  assert_true(flown_next(&reading, &data));
  assert_int_equal(data.descriptor.size_bytes, descriptor.size_bytes);
  assert_memory_equal(data.descriptor.data, descriptor.data, (size_t)descriptor.size_bytes);
  flight_data_release(&data);
  int messages = 0;
  while (flown_next(&reading, &data)) {
    messages++;
    assert_true(data.message.body.size_bytes <= 64 << 10);
    assert_int_equal(data.has_app_metadata, reading.bytes == 0);
    if (data.has_app_metadata)
      assert_memory_equal(data.app_metadata.data, app_metadata.data,
                          (size_t)app_metadata.size_bytes);
    flight_data_release(&data);
  }
  assert_in_range(messages, 4, 6); /* some 250 KiB */
  flight_data_reader_free(reading.reader);
  buffer_release(&app_metadata);
  buffer_release(&descriptor);
  buffer_release(&bytes);
  flown_release(&flown);
  flight_writer_free(writer);
  free(table);
}

static void metadata_may_go_alone(void **state) {
  (void)state;
  struct flown flown = {.count = 0};
  struct flight_out out = flown_out(&flown);
  struct buffer app_metadata = small_buffer("ping");
  assert_int_equal(flight_write_metadata(&app_metadata, NULL, &out, NULL), STATUS_OK);
  static const uint8_t want[] = {0, 0, 0, 0, 6, 3 << 3 | 2, 4, 'p', 'i', 'n', 'g'};
  assert_int_equal(flown.count, 1);
  assert_int_equal(flown.pieces[0].size_bytes, sizeof want);
  assert_memory_equal(flown.pieces[0].data, want, sizeof want);
  flown_release(&flown);
  app_metadata.size_bytes = FLIGHT_SMALL_BYTES_MAX + 1;
  assert_int_equal(flight_write_metadata(&app_metadata, NULL, &out, NULL), STATUS_TOO_LARGE);
  buffer_release(&app_metadata);
}

static void a_batch_of_another_schema_is_refused_and_released(void **state) {
  (void)state;
  struct table *table = new_table();
  struct flown flown = {.count = 0};
  struct flight_out out = flown_out(&flown);
  struct flight_writer *writer = new_writer(&schema, NULL);
  struct ArrowArray batch = table_batch(table, 0, ROWS);
  batch.n_children = 2;
  assert_int_equal(flight_writer_batch(writer, &batch, NULL, &out, NULL), STATUS_INVALID);
  assert_int_equal(table->released, 1);
  assert_int_equal(flown.count, 0);
  flight_writer_free(writer);
  free(table);
}

/* ---- schemas ----------------------------------------------------------------------------------- */

static void a_schema_alone_is_read_again(void **state) {
  (void)state;
  struct buffer bytes = BUFFER_EMPTY;
  struct ArrowSchema read;
  struct error error = {.text = ""};
  assert_int_equal(flight_schema_bytes(&schema, &bytes, NULL), STATUS_OK);
  assert_int_equal(flight_schema_read(bytes.data, (size_t)bytes.size_bytes, &read, NULL),
                   STATUS_OK);
  assert_true(arrow_schema_equal(&schema, &read, NULL));
  arrow_schema_release(&read);
  for (int64_t cut = 0; cut < bytes.size_bytes; cut++) {
    assert_int_equal(flight_schema_read(bytes.data, (size_t)cut, &read, &error), STATUS_INVALID);
    assert_null(read.release);
    assert_non_null(strstr(error.text, "the schema: "));
  }
  buffer_release(&bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(golden_streams_fly_and_are_the_same),
      cmocka_unit_test(what_needs_no_change_is_not_copied),
      cmocka_unit_test(a_small_batch_is_one_piece),
      cmocka_unit_test(bits_behind_the_last_row_are_not_sent),
      cmocka_unit_test(what_is_not_taken_is_let_go_of),
      cmocka_unit_test(a_refusal_by_the_budget_leaves_everything),
      cmocka_unit_test(batches_are_cut_by_rows_and_metadata_goes_with_the_last),
      cmocka_unit_test(metadata_may_go_alone),
      cmocka_unit_test(a_batch_of_another_schema_is_refused_and_released),
      cmocka_unit_test(a_schema_alone_is_read_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
