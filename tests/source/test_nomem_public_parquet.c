/* The public writer of Parquet when memory runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "arrow/schema.h"
#include "arrowport/parquet.h"
#include "nomem/nomem.h"
#include "source/rows.h"
#include "source/source.h"

enum { ROWS = 300 };
static const char path[] = "/tmp/arrowport-nomem.parquet";

static enum status answered(enum arrowport_status status, const struct arrowport_error *said,
                            struct error *error) {
  if (status == ARROWPORT_OK) return STATUS_OK;
  return error_set(error, (enum status)status, "%s", said->text);
}

/* Everything that options point to is copied, too. */
static enum status open_one(const struct ArrowSchema *schema,
                            struct arrowport_parquet_writer **writer, struct error *error) {
  const struct arrowport_parquet_column_options column = {"id", "delta", true};
  const struct arrowport_parquet_sort_column sorting = {.path = "id"};
  const struct arrowport_setting metadata = {"made by", "a test"};
  const struct arrowport_parquet_writer_options options = {.struct_size = sizeof options,
                                                           .columns = &column,
                                                           .column_count = 1,
                                                           .sorting = &sorting,
                                                           .sorting_count = 1,
                                                           .metadata = &metadata,
                                                           .metadata_count = 1,
                                                           .threads = 1};
  struct arrowport_error said;
  return answered(arrowport_parquet_writer_open_path(schema, path, &options, writer, &said), &said,
                  error);
}

static enum status write_file(void *context, struct error *error) {
  struct arrowport_parquet_writer *writer = NULL;
  struct arrowport_error said;
  (void)context;
  nomem_pause();
  struct ArrowSchema schema = rows_schema();
  struct ArrowArray batch = rows_batch(0, ROWS, NULL);
  nomem_resume();
  enum status status = open_one(&schema, &writer, error);
  if (status == STATUS_OK)
    status = answered(arrowport_parquet_writer_add(writer, &batch, &said), &said, error);
  if (status == STATUS_OK)
    status = answered(arrowport_parquet_writer_finish(writer, &said), &said, error);
  arrowport_parquet_writer_close(writer);
  nomem_pause();
  assert_int_equal(access(path, F_OK) == 0, status == STATUS_OK);
  unlink(path);
  arrow_array_release(&batch);
  arrow_schema_release(&schema);
  nomem_resume();
  return status;
}

static void a_file_is_written_or_is_not_there(void **state) {
  (void)state;
  assert_true(nomem_run("writing Parquet", write_file, NULL, 20) > 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_file_is_written_or_is_not_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
