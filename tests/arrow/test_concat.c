/* Arrays that are cut in two and joined again hold what they held: every golden stream's
 * batches, which have every layout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arrow/array.h"
#include "arrow/concat.h"
#include "arrow/layout.h"
#include "arrow/read_all.h"
#include "arrow/schema.h"

static struct budget budget = {.limit_bytes = 64 << 20};

static const char *const streams[] = {
    "cpp-21.0.0/generated_binary_view",
    "cpp-21.0.0/generated_list_view",
    "cpp-21.0.0/generated_run_end_encoded",
    "cpp-21.0.0/generated_union",
    "cpp-21.0.0/generated_nested",
    "cpp-21.0.0/generated_primitive",
    "cpp-21.0.0/generated_map",
    "cpp-21.0.0/generated_nested_dictionary",
    "cpp-21.0.0/generated_dictionary",
    "cpp-21.0.0/generated_interval_mdn",
    "cpp-21.0.0/generated_decimal256",
    "cpp-21.0.0/generated_large_binary",
    "cpp-21.0.0/generated_recursive_nested",
    "cpp-21.0.0/generated_null",
    "1.0.0-littleendian/generated_nested_large_offsets",
    "cpp-21.0.0/generated_binary_zerolength",
    "cpp-21.0.0/generated_duplicate_fieldnames",
};
enum { STREAM_COUNT = sizeof streams / sizeof streams[0] };

static struct read_all read_stream(const char *name) {
  char path[128];
  struct read_all all;
  snprintf(path, sizeof path, "arrow-ipc/%s.stream", name);
  struct buffer data = test_data(path, &budget);
  assert_int_equal(read_all_stream(data.data, data.size_bytes, &(struct read_all_options){0},
                                   &budget, &all, NULL),
                   STATUS_OK);
  buffer_release(&data);
  return all;
}

/* Joins `count` parts and compares with `whole`; lets go of the parts. */
static void join_and_compare(const struct layout *layout, const struct ArrowSchema *schema,
                             struct arrow_shared **parts, int count,
                             const struct ArrowArray *whole) {
  struct ArrowArray joined = {.release = NULL};
  struct error error = {0};
  assert_int_equal(arrow_concat(layout, parts, count, &budget, &joined, &error), STATUS_OK);
  for (int i = 0; i < count; i++) arrow_shared_release(parts[i]);
  if (arrow_array_check(schema, &joined, ARRAY_CHECK_FULL, &error) != STATUS_OK ||
      !arrow_array_equal(schema, &joined, whole, &error))
    fail_msg("%s", error.text);
  arrow_array_release(&joined);
}

/* Cuts a batch at every row and joins what came of it. */
static void cut_and_join(const struct layout *layout, const struct ArrowSchema *schema,
                         struct ArrowArray *batch) {
  struct arrow_shared *shared = NULL;
  int64_t rows = batch->length;
  assert_int_equal(arrow_shared_new(batch, &shared, NULL), STATUS_OK);
  for (int64_t at = 0; at <= rows; at++) {
    struct arrow_shared *parts[3] = {NULL};
    int64_t ends[] = {0, at / 2, at, rows};
    for (int i = 0; i < 3; i++) {
      struct ArrowArray slice;
      assert_int_equal(arrow_shared_slice(shared, ends[i], ends[i + 1] - ends[i], &slice, NULL),
                       STATUS_OK);
      assert_int_equal(arrow_shared_new(&slice, &parts[i], NULL), STATUS_OK);
    }
    join_and_compare(layout, schema, parts, 3, arrow_shared_array(shared));
  }
  arrow_shared_release(shared);
}

static void what_was_cut_and_joined_is_what_it_was(void **state) {
  (void)state;
  for (size_t i = 0; i < STREAM_COUNT; i++) {
    struct read_all all = read_stream(streams[i]);
    struct layout *layout = NULL;
    int64_t nodes = 0;
    assert_int_equal(layout_new(&all.schema, NULL, &layout, &nodes, NULL), STATUS_OK);
    for (int64_t k = 0; k < all.batch_count; k++)
      cut_and_join(layout, &all.schema, &all.batches[k]);
    layout_free(layout);
    read_all_release(&all);
    assert_int_equal(budget.used_bytes, 0);
  }
}

/* Batches of one stream may have different dictionaries: each row keeps its value. */
static void batches_with_other_dictionaries_keep_their_values(void **state) {
  (void)state;
  for (size_t i = 0; i < STREAM_COUNT; i++) {
    struct read_all all = read_stream(streams[i]);
    struct layout *layout = NULL;
    struct ArrowArray joined = {.release = NULL};
    int64_t nodes = 0;
    int64_t rows = 0;
    assert_int_equal(layout_new(&all.schema, NULL, &layout, &nodes, NULL), STATUS_OK);
    assert_true(all.batch_count > 0);
    struct arrow_shared **parts = calloc((size_t)all.batch_count, sizeof *parts);
    assert_non_null(parts);
    for (int64_t k = 0; k < all.batch_count; k++)
      assert_int_equal(arrow_shared_new(&all.batches[k], &parts[k], NULL), STATUS_OK);
    assert_int_equal(arrow_concat(layout, parts, all.batch_count, &budget, &joined, NULL),
                     STATUS_OK);
    assert_int_equal(arrow_array_check(&all.schema, &joined, ARRAY_CHECK_FULL, NULL), STATUS_OK);
    struct arrow_shared *whole = NULL;
    assert_int_equal(arrow_shared_new(&joined, &whole, NULL), STATUS_OK);
    for (int64_t k = 0; k < all.batch_count; k++) {
      const struct ArrowArray *part = arrow_shared_array(parts[k]);
      struct ArrowArray slice;
      struct error error = {0};
      assert_int_equal(arrow_shared_slice(whole, rows, part->length, &slice, NULL), STATUS_OK);
      if (!arrow_array_equal(&all.schema, &slice, part, &error)) fail_msg("%s", error.text);
      arrow_array_release(&slice);
      rows += part->length;
      arrow_shared_release(parts[k]);
    }
    arrow_shared_release(whole);
    free(parts);
    layout_free(layout);
    read_all_release(&all);
    assert_int_equal(budget.used_bytes, 0);
  }
}

static void no_memory_left_is_an_error_and_leaks_nothing(void **state) {
  (void)state;
  struct read_all all = read_stream("cpp-21.0.0/generated_primitive");
  struct layout *layout = NULL;
  int64_t nodes = 0;
  assert_int_equal(layout_new(&all.schema, NULL, &layout, &nodes, NULL), STATUS_OK);
  assert_true(all.batch_count > 1);
  struct arrow_shared *parts[2];
  for (int k = 0; k < 2; k++)
    assert_int_equal(arrow_shared_new(&all.batches[k], &parts[k], NULL), STATUS_OK);
  struct budget small = {.limit_bytes = 0};
  enum status status = STATUS_BUDGET;
  for (; status == STATUS_BUDGET; small.limit_bytes += 64) {
    struct ArrowArray joined = {.release = NULL};
    status = arrow_concat(layout, parts, 2, &small, &joined, NULL);
    arrow_array_release(&joined);
    assert_int_equal(small.used_bytes, 0);
  }
  assert_int_equal(status, STATUS_OK);
  assert_true(small.limit_bytes > 640);
  for (int k = 0; k < 2; k++) arrow_shared_release(parts[k]);
  layout_free(layout);
  read_all_release(&all);
  assert_int_equal(budget.used_bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_cut_and_joined_is_what_it_was),
      cmocka_unit_test(batches_with_other_dictionaries_keep_their_values),
      cmocka_unit_test(no_memory_left_is_an_error_and_leaks_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
