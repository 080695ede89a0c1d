/* Schemas, builders, arrays and their text when memory runs out. */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arrow/array.h"
#include "arrow/build.h"
#include "arrow/encode.h"
#include "arrow/read_all.h"
#include "arrow/schema.h"
#include "nomem/nomem.h"

/* Golden streams that are larger have no other types, and would take minutes. */
enum { GOLDEN_BYTES_MAX = 32 << 10, PRINTED_ROWS = 5, PRINTED_WIDTH = 80 };

struct batch {
  const struct ArrowSchema *schema;
  struct ArrowArray *array;
  enum encode_format format;
  struct buffer wanted; /* its text */
};

/* ---- schemas ------------------------------------------------------------------------------- */

static enum status copy_schema(void *context, struct error *error) {
  const struct ArrowSchema *schema = context;
  struct ArrowSchema copy = {.release = NULL};
  enum status status;
  do {
    status = arrow_schema_copy(schema, &copy, error);
    if (status != STATUS_OK) assert_null(copy.release);
  } while (nomem_again(status));
  if (status == STATUS_OK) assert_true(arrow_schema_equal(schema, &copy, NULL));
  arrow_schema_release(&copy);
  return status;
}

static enum status print_schema(void *context, struct error *error) {
  const struct ArrowSchema *schema = context;
  struct text text = TEXT_EMPTY;
  enum status status = arrow_type_print(schema, &text, error);
  text_release(&text);
  return status;
}

/* ---- arrays -------------------------------------------------------------------------------- */

static enum status check_array(void *context, struct error *error) {
  const struct batch *batch = context;
  enum status status = arrow_array_check(batch->schema, batch->array, ARRAY_CHECK_SHAPE, error);
  return status == STATUS_OK
             ? arrow_array_check(batch->schema, batch->array, ARRAY_CHECK_FULL, error)
             : status;
}

/* That nothing could be compared is told by the status alone. */
static enum status compare_array(void *context, struct error *error) {
  const struct batch *batch = context;
  return arrow_array_equal(batch->schema, batch->array, batch->array, error) ? STATUS_OK
                                                                             : error->status;
}

/* A slice of a slice; what could not be sliced is the caller's. */
static enum status slice_array(void *context, struct error *error) {
  const struct batch *batch = context;
  struct ArrowArray whole = {.release = NULL};
  struct ArrowArray part = {.release = NULL};
  struct arrow_shared *shared = NULL;
  enum status status;
  do {
    status = arrow_shared_new(batch->array, &shared, error);
    assert_true((batch->array->release == NULL) == (status == STATUS_OK));
  } while (nomem_again(status));
  if (status != STATUS_OK) return status;
  int64_t rows = arrow_shared_array(shared)->length;
  do status = arrow_shared_slice(shared, 0, rows, &whole, error);
  while (nomem_again(status));
  if (status == STATUS_OK) {
    do {
      status = arrow_array_slice(batch->schema, &whole, rows / 3, rows - rows / 3, &part, error);
      assert_true((whole.release == NULL) == (status == STATUS_OK));
      assert_true((part.release == NULL) == (status != STATUS_OK));
    } while (nomem_again(status));
  }
  if (status == STATUS_OK) assert_int_equal(part.length, rows - rows / 3);
  arrow_array_release(&whole);
  arrow_array_release(&part);
  /* The batch is needed again: nobody else holds it now. */
  *batch->array = *arrow_shared_array(shared);
  ((struct ArrowArray *)(uintptr_t)arrow_shared_array(shared))->release = NULL;
  arrow_shared_release(shared);
  return status;
}

static enum status print_array(void *context, struct error *error) {
  const struct batch *batch = context;
  struct text text = TEXT_EMPTY;
  enum status status =
      arrow_array_print(batch->schema, batch->array, PRINTED_ROWS, PRINTED_WIDTH, &text, error);
  text_release(&text);
  return status;
}

/* ---- text ---------------------------------------------------------------------------------- */

static enum status encode_step(struct encoder *encoder, const struct batch *batch, int step,
                               struct buffer *out, struct error *error) {
  switch (step) {
  case 0: return encoder_begin(encoder, out, error);
  case 1: return encoder_batch(encoder, batch->array, out, error);
  default: return encoder_end(encoder, out, error);
  }
}

/* A call that fails leaves what was written as it was. */
static enum status encode_batch(void *context, struct error *error) {
  struct batch *batch = context;
  struct encoder *encoder = NULL;
  struct buffer out = BUFFER_EMPTY;
  enum status status;
  do {
    status = encoder_new(batch->format, batch->schema, &nomem_budget, &encoder, error);
    if (status != STATUS_OK) assert_null(encoder);
  } while (nomem_again(status));
  for (int step = 0; step < 3 && status == STATUS_OK; step++) {
    do {
      int64_t before_bytes = out.size_bytes;
      status = encode_step(encoder, batch, step, &out, error);
      if (status != STATUS_OK) assert_int_equal(out.size_bytes, before_bytes);
    } while (nomem_again(status));
  }
  encoder_free(encoder);
  if (status == STATUS_OK && batch->wanted.data != NULL) {
    assert_int_equal(out.size_bytes, batch->wanted.size_bytes);
    assert_memory_equal(out.data, batch->wanted.data, (size_t)out.size_bytes);
  }
  buffer_release(&out);
  return status;
}

static struct buffer encoded(const struct batch *batch) {
  struct encoder *encoder = NULL;
  struct buffer out = BUFFER_EMPTY;
  assert_int_equal(encoder_new(batch->format, batch->schema, &nomem_budget, &encoder, NULL),
                   STATUS_OK);
  for (int step = 0; step < 3; step++)
    assert_int_equal(encode_step(encoder, batch, step, &out, NULL), STATUS_OK);
  encoder_free(encoder);
  return out;
}

/* ---- golden streams ------------------------------------------------------------------------ */

static void try_text(const char *name, struct batch *batch) {
  static const enum encode_format formats[] = {ENCODE_JSON, ENCODE_NDJSON, ENCODE_CSV};
  for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
    batch->format = formats[i];
    batch->wanted = encoded(batch);
    /* What cannot be doubled grows by what it takes. */
    nomem_run(name, encode_batch, batch, INT64_MAX);
    buffer_release(&batch->wanted);
  }
}

static void try_batch(const char *name, struct batch *batch) {
  assert_true(nomem_run(name, check_array, batch, 0) > 0);
  assert_true(nomem_run(name, compare_array, batch, 0) > 0);
  assert_true(nomem_run(name, slice_array, batch, 0) >= 3);
  assert_true(nomem_run(name, print_array, batch, INT64_MAX) > 0);
  try_text(name, batch);
}

static void arrays_of_golden_streams_are_used_or_there_is_no_memory(void **state) {
  (void)state;
  static const char root[] = ARROWPORT_TEST_DATA "/";
  glob_t found;
  int count = 0;
  assert_int_equal(glob(ARROWPORT_TEST_DATA "/arrow-ipc/*/*.stream", 0, NULL, &found), 0);
  for (size_t i = 0; i < found.gl_pathc; i++) {
    const char *name = found.gl_pathv[i] + sizeof root - 1;
    struct buffer data = test_data(name, &nomem_budget);
    struct read_all all = {.batches = NULL};
    struct error error = {0};
    if (data.size_bytes <= GOLDEN_BYTES_MAX) {
      if (read_all_memory(&data, &nomem_budget, &all, &error) != STATUS_OK)
        fail_msg("%s: %s", name, error.text);
      assert_true(nomem_run(name, copy_schema, &all.schema, 0) > 3);
      assert_true(nomem_run(name, print_schema, &all.schema, 0) > 0);
      if (all.batch_count > 0) {
        struct batch batch = {.schema = &all.schema, .array = &all.batches[0]};
        try_batch(name, &batch);
        count++;
      }
    }
    read_all_release(&all);
    buffer_release(&data);
  }
  globfree(&found);
  assert_true(count > 70);
  assert_int_equal(nomem_budget.used_bytes, 0);
}

/* ---- builders ------------------------------------------------------------------------------- */

/* Numbers, lists of text, and a dictionary. */
static struct ArrowSchema built_schema(void) {
  struct ArrowSchema item = {.format = "u", .name = "item", .flags = ARROW_FLAG_NULLABLE};
  struct ArrowSchema *items[] = {&item};
  struct ArrowSchema values = {.format = "vu", .flags = ARROW_FLAG_NULLABLE};
  struct ArrowSchema number = {.format = "l", .name = "number", .flags = ARROW_FLAG_NULLABLE};
  struct ArrowSchema list = {.format = "+l",
                             .name = "list",
                             .flags = ARROW_FLAG_NULLABLE,
                             .n_children = 1,
                             .children = items};
  struct ArrowSchema word = {
      .format = "i", .name = "word", .flags = ARROW_FLAG_NULLABLE, .dictionary = &values};
  struct ArrowSchema *columns[] = {&number, &list, &word};
  struct ArrowSchema schema = {.format = "+s", .n_children = 3, .children = columns};
  struct ArrowSchema copy = {.release = NULL};
  assert_int_equal(arrow_schema_copy(&schema, &copy, NULL), STATUS_OK);
  return copy;
}

enum { BUILT_ROWS = 70, ROW_STEPS = 6 };

static const char WORD[] = "a word that is longer than a view";

/* One step of a row; each leaves its column as it was when it fails. */
static enum status build_step(struct build *build, int64_t row, int step, struct error *error) {
  struct build *number = build_child(build, 0);
  struct build *list = build_child(build, 1);
  struct build *word = build_child(build, 2);
  switch (step) {
  case 0: return row % 5 == 0 ? build_null(number, error) : build_integer(number, row, error);
  case 1: return build_bytes(build_child(list, 0), WORD, row % (int64_t)sizeof WORD, error);
  case 2: return row % 7 == 3 ? build_null(list, error) : build_slot(list, error);
  case 3: return build_bytes(build_child(word, 0), WORD, row % (int64_t)sizeof WORD, error);
  case 4: return build_integer(word, row, error);
  default: return build_slot(build, error);
  }
}

static enum status build_rows(void *context, struct error *error) {
  const struct batch *wanted = context;
  struct build *build = NULL;
  struct ArrowArray array = {.release = NULL};
  enum status status = build_new(wanted->schema, &nomem_budget, &build, error);
  if (status != STATUS_OK) assert_null(build);
  for (int64_t i = 0; i < (int64_t)BUILT_ROWS * ROW_STEPS && status == STATUS_OK; i++) {
    do status = build_step(build, i / ROW_STEPS, (int)(i % ROW_STEPS), error);
    while (nomem_again(status));
  }
  if (status == STATUS_OK) {
    do {
      status = build_finish(build, &array, error);
      if (status != STATUS_OK) assert_null(array.release);
    } while (nomem_again(status));
  }
  build_free(build);
  if (status == STATUS_OK && wanted->array->release != NULL) {
    /* Comparing needs memory too, and is not what is tried here. */
    assert_int_equal(array.length, BUILT_ROWS);
    const struct ArrowArray *left = array.children[1]->children[0];
    const struct ArrowArray *right = wanted->array->children[1]->children[0];
    const int32_t *ends = left->buffers[1];
    assert_memory_equal(ends, right->buffers[1], (BUILT_ROWS + 1) * sizeof *ends);
    assert_memory_equal(left->buffers[2], right->buffers[2], (size_t)ends[BUILT_ROWS]);
    assert_memory_equal(array.children[0]->buffers[1], wanted->array->children[0]->buffers[1],
                        BUILT_ROWS * sizeof(int64_t));
  }
  arrow_array_release(&array);
  return status;
}

static void rows_are_built_or_there_is_no_memory(void **state) {
  (void)state;
  struct ArrowSchema schema = built_schema();
  struct ArrowArray array = {.release = NULL};
  struct batch batch = {.schema = &schema, .array = &array};
  struct build *build = NULL;
  assert_int_equal(build_new(&schema, &nomem_budget, &build, NULL), STATUS_OK);
  for (int64_t i = 0; i < (int64_t)BUILT_ROWS * ROW_STEPS; i++)
    assert_int_equal(build_step(build, i / ROW_STEPS, (int)(i % ROW_STEPS), NULL), STATUS_OK);
  assert_int_equal(build_finish(build, &array, NULL), STATUS_OK);
  build_free(build);
  assert_true(nomem_run("a builder", build_rows, &batch, INT64_MAX) > 30);
  arrow_array_release(&array);
  arrow_schema_release(&schema);
  assert_int_equal(nomem_budget.used_bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arrays_of_golden_streams_are_used_or_there_is_no_memory),
      cmocka_unit_test(rows_are_built_or_there_is_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
