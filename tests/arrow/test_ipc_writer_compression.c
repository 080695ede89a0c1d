/* Levels, and several threads that make the same bytes as one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/array.h"
#include "arrow/read_all.h"
#include "arrow/written.h"
#include "base/workers.h"

enum { COLUMNS = 8, ROWS = 40000 };

/* Columns of different sizes, some of which shrink and some of which do not; validity, bits
 * and offsets of a slice have to be made before they are compressed. */
struct table {
  struct ArrowSchema fields[COLUMNS];
  struct ArrowSchema *field_list[COLUMNS];
  struct ArrowSchema schema;
  struct ArrowArray columns[COLUMNS];
  struct ArrowArray *column_list[COLUMNS];
  const void *buffers[COLUMNS][3];
  const void *batch_buffers[1];
  struct ArrowArray batch;
  uint8_t validity[ROWS / 8 + 1];
  int64_t counting[ROWS];
  uint64_t random[ROWS];
  int32_t offsets[ROWS + 1];
  char text[ROWS * 8];
};

static struct table *make_table(void) {
  static const char *const formats[COLUMNS] = {"l", "L", "u", "b", "l", "L", "u", "c"};
  static const char *const names[COLUMNS] = {"a", "b", "c", "d", "e", "f", "g", "h"};
  struct table *table = calloc(1, sizeof *table);
  assert_non_null(table);
  uint64_t seed = 1;
  for (int64_t i = 0; i < ROWS; i++) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    table->random[i] = seed ^ seed >> 31;
    table->counting[i] = i / 3;
    table->offsets[i + 1] = table->offsets[i] + (int32_t)(seed >> 61);
    table->validity[i / 8] = (uint8_t)(seed >> 40);
  }
  for (size_t i = 0; i < sizeof table->text; i++)
    table->text[i] = (char)('a' + i % 7 + i / 999 % 5);
  for (int c = 0; c < COLUMNS; c++) {
    bool is_text = formats[c][0] == 'u';
    table->fields[c] =
        (struct ArrowSchema){.format = formats[c], .name = names[c], .flags = ARROW_FLAG_NULLABLE};
    table->field_list[c] = &table->fields[c];
    table->buffers[c][0] = c % 2 == 0 ? table->validity : NULL;
    table->buffers[c][1] = is_text                ? (const void *)table->offsets
                           : formats[c][0] == 'L' ? (const void *)table->random
                                                  : (const void *)table->counting;
    table->buffers[c][2] = table->text;
    table->columns[c] = (struct ArrowArray){.length = ROWS,
                                            .null_count = c % 2 == 0 ? -1 : 0,
                                            .n_buffers = is_text ? 3 : 2,
                                            .buffers = table->buffers[c]};
    table->column_list[c] = &table->columns[c];
  }
  table->schema =
      (struct ArrowSchema){.format = "+s", .n_children = COLUMNS, .children = table->field_list};
  table->batch = (struct ArrowArray){.length = ROWS - 3,
                                     .offset = 3,
                                     .n_buffers = 1,
                                     .buffers = table->batch_buffers,
                                     .n_children = COLUMNS,
                                     .children = table->column_list};
  return table;
}

static void levels_that_a_method_lacks_are_refused(void **state) {
  (void)state;
  static const struct {
    enum ipc_compression method;
    int level;
    const char *refusal;
  } cases[] = {
      {IPC_COMPRESSION_ZSTD, 0, NULL},
      {IPC_COMPRESSION_ZSTD, 1, NULL},
      {IPC_COMPRESSION_ZSTD, 22, NULL},
      {IPC_COMPRESSION_ZSTD, 23, "23 is not a level of ZSTD compression: 1 to 22"},
      {IPC_COMPRESSION_ZSTD, -1, "-1 is not a level of ZSTD"},
      {IPC_COMPRESSION_LZ4, 0, NULL},
      {IPC_COMPRESSION_LZ4, 1, NULL},
      {IPC_COMPRESSION_LZ4, 12, NULL},
      {IPC_COMPRESSION_LZ4, 13, "13 is not a level of LZ4 compression: 1 to 12"},
      {IPC_COMPRESSION_LZ4, -1, "-1 is not a level of LZ4"},
      {IPC_COMPRESSION_NONE, 99, NULL}, /* nobody asks */
  };
  struct ArrowSchema schema = {.format = "+s"};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ipc_writer_options options = {.compression = cases[i].method, .level = cases[i].level};
    struct ipc_writer *writer = NULL;
    struct error error = {.text = ""};
    enum status want = cases[i].refusal == NULL ? STATUS_OK : STATUS_INVALID;
    assert_int_equal(ipc_writer_new(&schema, &options, &written_budget, &writer, &error), want);
    if (want != STATUS_OK) assert_non_null(strstr(error.text, cases[i].refusal));
    ipc_writer_free(writer);
  }
}

static int64_t size_at(const struct table *table, enum ipc_compression method, int level) {
  const struct ArrowArray *batches[] = {&table->batch};
  struct ipc_writer_options options = {.compression = method, .level = level};
  struct buffer bytes = written(&table->schema, batches, 1, &options);
  int64_t size_bytes = bytes.size_bytes;
  buffer_release(&bytes);
  return size_bytes;
}

static void a_higher_level_makes_less(void **state) {
  (void)state;
  struct table *table = make_table();
  int64_t raw_bytes = size_at(table, IPC_COMPRESSION_NONE, 0);
  assert_true(size_at(table, IPC_COMPRESSION_LZ4, 0) < raw_bytes);
  assert_true(size_at(table, IPC_COMPRESSION_LZ4, 12) < size_at(table, IPC_COMPRESSION_LZ4, 1));
  assert_true(size_at(table, IPC_COMPRESSION_ZSTD, 1) < size_at(table, IPC_COMPRESSION_LZ4, 0));
  assert_true(size_at(table, IPC_COMPRESSION_ZSTD, 19) < size_at(table, IPC_COMPRESSION_ZSTD, 1));
  free(table);
}

static void several_threads_write_what_one_writes(void **state) {
  (void)state;
  struct table *table = make_table();
  const struct ArrowArray *batches[] = {&table->batch, &table->batch};
  struct workers *workers = NULL;
  assert_int_equal(workers_new(3, &workers, NULL), STATUS_OK);
  for (int method = IPC_COMPRESSION_NONE; method <= IPC_COMPRESSION_ZSTD; method++) {
    for (int format = IPC_FORMAT_STREAM; format <= IPC_FORMAT_FILE; format++) {
      struct ipc_writer_options options = {.compression = (enum ipc_compression)method,
                                           .format = (enum ipc_format)format};
      struct buffer alone = written(&table->schema, batches, 2, &options);
      options.workers = workers;
      struct buffer together = written(&table->schema, batches, 2, &options);
      assert_int_equal(alone.size_bytes, together.size_bytes);
      assert_memory_equal(alone.data, together.data, (size_t)alone.size_bytes);
      buffer_release(&alone);
      buffer_release(&together);
    }
  }
  workers_free(workers);
  expect_same(&table->schema, batches, 2);
  free(table);
}

/* Writes the batch with so much memory to spare; after a refusal once more with all of it. */
static bool write_within(const struct table *table, const struct ipc_writer_options *options,
                         int64_t spare_bytes, const struct buffer *want) {
  int64_t limit_bytes = written_budget.limit_bytes;
  int64_t held_bytes = written_budget.used_bytes;
  struct ipc_writer *writer = NULL;
  struct buffer out = BUFFER_EMPTY;
  struct error error = {.text = ""};
  assert_int_equal(ipc_writer_new(&table->schema, options, &written_budget, &writer, NULL),
                   STATUS_OK);
  assert_int_equal(ipc_writer_schema(writer, &out, NULL), STATUS_OK);
  int64_t before_bytes = out.size_bytes;
  written_budget.limit_bytes = written_budget.used_bytes + spare_bytes;
  enum status status = ipc_writer_batch(writer, &table->batch, &out, &error);
  assert_true(written_budget.used_bytes <= written_budget.limit_bytes);
  written_budget.limit_bytes = limit_bytes;
  if (status != STATUS_OK) {
    assert_int_equal(status, STATUS_BUDGET);
    assert_true(strlen(error.text) > 0);
    assert_int_equal(out.size_bytes, before_bytes);
    assert_int_equal(ipc_writer_batch(writer, &table->batch, &out, NULL), STATUS_OK);
  }
  assert_int_equal(ipc_writer_end(writer, &out, NULL), STATUS_OK);
  assert_int_equal(out.size_bytes, want->size_bytes);
  assert_memory_equal(out.data, want->data, (size_t)want->size_bytes);
  buffer_release(&out);
  ipc_writer_free(writer);
  assert_int_equal(written_budget.used_bytes, held_bytes);
  return status == STATUS_OK;
}

/* The contexts of ZSTD are charged, each thread's own; where there is room for one only, that
 * one does it all. */
static void compression_stays_within_the_budget(void **state) {
  (void)state;
  struct table *table = make_table();
  const struct ArrowArray *batches[] = {&table->batch};
  struct workers *workers = NULL;
  assert_int_equal(workers_new(2, &workers, NULL), STATUS_OK);
  for (int method = IPC_COMPRESSION_LZ4; method <= IPC_COMPRESSION_ZSTD; method++) {
    struct ipc_writer_options options = {.compression = (enum ipc_compression)method};
    struct buffer want = written(&table->schema, batches, 1, &options);
    int done = 0;
    int refused = 0;
    for (int64_t spare_bytes = 0; spare_bytes < 8 << 20; spare_bytes += 256 << 10) {
      options.workers = spare_bytes % (512 << 10) == 0 ? workers : NULL;
      bool is_done = write_within(table, &options, spare_bytes, &want);
      done += is_done;
      refused += !is_done;
    }
    assert_true(done > 8);
    assert_true(refused > 4);
    buffer_release(&want);
  }
  workers_free(workers);
  free(table);
}

/* What is smaller than the 64 bytes that every buffer takes stays as it is. */
static void small_buffers_are_not_compressed(void **state) {
  (void)state;
  static const int64_t zeros[64];
  struct ArrowSchema column = {.format = "l", .name = "n"};
  struct ArrowSchema schema = {.format = "+s", HAND_FIELDS(&column)};
  for (int64_t rows = 0; rows <= 64; rows++) {
    struct ArrowArray array = {.length = rows, HAND_BUFFERS(NULL, zeros)};
    struct ArrowArray batch = {.length = rows, HAND_BUFFERS(NULL), HAND_CHILDREN(&array)};
    const struct ArrowArray *batches[] = {&batch};
    struct ipc_writer_options options = {.compression = IPC_COMPRESSION_ZSTD};
    struct buffer bytes = written(&schema, batches, 1, &options);
    int64_t minus_one = -1;
    const uint8_t *body = bytes.data + bytes.size_bytes - 8 - 64;
    if (rows > 0) assert_true((memcmp(body, &minus_one, 8) == 0) == (rows <= 7));
    buffer_release(&bytes);
    expect_same(&schema, batches, 1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(levels_that_a_method_lacks_are_refused),
      cmocka_unit_test(a_higher_level_makes_less),
      cmocka_unit_test(several_threads_write_what_one_writes),
      cmocka_unit_test(compression_stays_within_the_budget),
      cmocka_unit_test(small_buffers_are_not_compressed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
