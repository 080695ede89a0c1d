#include "source/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/build.h"
#include "arrow/schema.h"

struct budget rows_budget = {.limit_bytes = INT64_MAX};

struct ArrowSchema rows_schema(void) {
  struct ArrowSchema schema;
  assert_int_equal(arrow_schema_init(&schema, "+s", "", false, 1, NULL), STATUS_OK);
  assert_int_equal(arrow_schema_init(schema.children[0], "l", "id", true, 0, NULL), STATUS_OK);
  return schema;
}

/* What a counted batch was before it was counted. */
struct counted {
  struct ArrowArray array;
  int *released;
};

static void release_counted(struct ArrowArray *array) {
  struct counted *counted = array->private_data;
  counted->array.release(&counted->array);
  (*counted->released)++;
  free(counted);
  array->release = NULL;
}

struct ArrowArray rows_batch(int64_t first, int64_t rows, int *released) {
  struct ArrowSchema schema = rows_schema();
  struct build *build = NULL;
  struct ArrowArray batch;
  assert_int_equal(build_new(&schema, &rows_budget, &build, NULL), STATUS_OK);
  for (int64_t i = 0; i < rows; i++) {
    assert_int_equal(build_integer(build_child(build, 0), first + i, NULL), STATUS_OK);
    assert_int_equal(build_slot(build, NULL), STATUS_OK);
  }
  assert_int_equal(build_finish(build, &batch, NULL), STATUS_OK);
  build_free(build);
  arrow_schema_release(&schema);
  if (released == NULL) return batch;
  struct counted *counted = malloc(sizeof *counted);
  assert_non_null(counted);
  *counted = (struct counted){batch, released};
  batch.release = release_counted;
  batch.private_data = counted;
  return batch;
}

struct buffer rows_written(int batches, int64_t rows, const struct ipc_writer_options *options) {
  struct ArrowSchema schema = rows_schema();
  struct ipc_writer *writer = NULL;
  struct buffer out = BUFFER_EMPTY;
  assert_int_equal(ipc_writer_new(&schema, options, &rows_budget, &writer, NULL), STATUS_OK);
  assert_int_equal(ipc_writer_schema(writer, &out, NULL), STATUS_OK);
  for (int i = 0; i < batches; i++) {
    struct ArrowArray batch = rows_batch(i * rows, rows, NULL);
    assert_int_equal(ipc_writer_batch(writer, &batch, &out, NULL), STATUS_OK);
    arrow_array_release(&batch);
  }
  assert_int_equal(ipc_writer_end(writer, &out, NULL), STATUS_OK);
  ipc_writer_free(writer);
  arrow_schema_release(&schema);
  return out;
}

void expect_rows(const struct ArrowArray *batch, int64_t first, int64_t rows) {
  assert_non_null(batch->release);
  assert_int_equal(batch->length, rows);
  const struct ArrowArray *column = batch->children[0];
  const int64_t *values = column->buffers[1];
  for (int64_t i = 0; i < rows; i++)
    assert_int_equal(values[column->offset + batch->offset + i], first + i);
}

void expect_said(const char *text, const char *said) {
  if (strstr(text, said) == NULL) fail_msg("\"%s\" does not say \"%s\"", text, said);
}
