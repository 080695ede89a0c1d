/* The writer when memory runs out: what is refused may be repeated, and the file is then the same, byte for
 * byte, as one that was written without any trouble; nothing is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "nomem/nomem.h"
#include "parquet/parquet.h"
#include "parquet/rows.h"

enum { BATCHES = 3, BATCH_ROWS = 150, FILE_BYTES_MAX = 1 << 20 };

static struct budget apart = {.limit_bytes = (int64_t)1 << 30}; /* of what is not under test */

struct file {
  uint8_t data[FILE_BYTES_MAX];
  int64_t bytes;
};
static struct file expected, written;
static bool is_known;

static enum status take(void *context, const void *data, int64_t bytes, struct error *error) {
  struct file *file = context;
  (void)error;
  assert_true(file->bytes + bytes <= FILE_BYTES_MAX);
  memcpy(file->data + file->bytes, data, (size_t)bytes);
  file->bytes += bytes;
  return STATUS_OK;
}

static enum status write_file(void *context, struct error *error) {
  (void)context;
  struct parquet_options options = PARQUET_OPTIONS_DEFAULT;
  options.row_group_rows = 300;
  options.page_values = 100;
  options.is_checked = true;
  struct parquet_column_options bloom = {.path = "word", .has_bloom = true};
  options.columns = &bloom;
  options.column_count = 1;
  struct parquet_metadata_pair pair = {"key", "value"};
  options.metadata = &pair;
  options.metadata_count = 1;
  struct ArrowSchema schema;
  struct ArrowArray batches[BATCHES];
  nomem_pause();
  rows_schema(&schema);
  for (int i = 0; i < BATCHES; i++) rows_batch(i * BATCH_ROWS, BATCH_ROWS, &apart, &batches[i]);
  written.bytes = 0;
  nomem_resume();

  struct parquet_out out = {take, &written};
  struct parquet_writer *writer = NULL;
  enum status status = parquet_writer_new(&schema, &options, &out, &nomem_budget, &writer, error);
  for (int i = 0; status == STATUS_OK && i < BATCHES; i++) do
      status = parquet_writer_add(writer, &batches[i], error);
    while (nomem_again(status));
  if (status == STATUS_OK) do
      status = parquet_writer_finish(writer, error);
    while (nomem_again(status));
  parquet_writer_free(writer);

  nomem_pause();
  for (int i = 0; i < BATCHES; i++) arrow_array_release(&batches[i]);
  arrow_schema_release(&schema);
  if (status == STATUS_OK) {
    if (!is_known) expected = written;
    is_known = true;
    assert_int_equal(written.bytes, expected.bytes);
    assert_memory_equal(written.data, expected.data, (size_t)expected.bytes);
  }
  nomem_resume();
  return status;
}

static void test_writing_when_memory_runs_out(void **state) {
  (void)state;
  assert_true(nomem_run_some("writing a Parquet file", write_file, NULL, 1000, 7) > 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_writing_when_memory_runs_out)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
