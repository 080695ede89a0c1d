/* The writer as a whole, without a reader: what it tells, when it writes, how it ends. That others read what
 * it wrote is for tests/e2e/test_parquet_*.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arrow/schema.h"
#include "parquet/parquet.h"
#include "parquet/rows.h"

static struct budget budget = {.limit_bytes = (int64_t)1 << 30};

/* Bytes that were written, and the call that fails. */
struct taken {
  struct buffer bytes;
  int64_t calls, failing_call; /* from 1; 0: none */
};

static enum status take(void *context, const void *data, int64_t bytes, struct error *error) {
  struct taken *taken = context;
  assert_true(bytes > 0);
  if (++taken->calls == taken->failing_call) return error_set(error, STATUS_IO, "the disk is full");
  if (taken->failing_call > 0 && taken->calls > taken->failing_call) fail_msg("called again");
  return buffer_append(&taken->bytes, &budget, data, bytes, error);
}

static struct parquet_writer *new_writer(const struct parquet_options *options,
                                         struct taken *taken) {
  struct ArrowSchema schema;
  struct parquet_writer *writer = NULL;
  struct error error = {0};
  struct parquet_out out = {take, taken};
  rows_schema(&schema);
  if (parquet_writer_new(&schema, options, &out, &budget, &writer, &error) != STATUS_OK)
    fail_msg("%s", error.text);
  arrow_schema_release(&schema);
  return writer;
}

static enum status add_rows(struct parquet_writer *writer, int64_t first, int64_t count,
                            struct error *error) {
  struct ArrowArray batch;
  rows_batch(first, count, &budget, &batch);
  enum status status = parquet_writer_add(writer, &batch, error);
  /* On failure it stays the caller's, also when all of it was in pages that could not be written. */
  assert_true((status == STATUS_OK) == (batch.release == NULL));
  arrow_array_release(&batch);
  return status;
}

static bool ends_well(const struct taken *taken) {
  const uint8_t *data = taken->bytes.data;
  int64_t bytes = taken->bytes.size_bytes;
  return bytes > 12 && memcmp(data, "PAR1", 4) == 0 && memcmp(data + bytes - 4, "PAR1", 4) == 0;
}

static void test_row_groups_leave_memory_when_they_are_complete(void **state) {
  (void)state;
  struct parquet_options options = PARQUET_OPTIONS_DEFAULT;
  options.row_group_rows = 1000;
  options.page_values = 100;
  struct taken taken = {0};
  struct error error = {0};
  struct parquet_writer *writer = new_writer(&options, &taken);
  int64_t most_kept = 0;
  for (int64_t i = 0; i < 100; i++) {
    assert_int_equal(add_rows(writer, i * 130, 130, &error), STATUS_OK);
    struct parquet_progress progress;
    parquet_writer_progress(writer, &progress);
    assert_int_equal(progress.rows, (i + 1) * 130);
    assert_int_equal(progress.bytes, taken.bytes.size_bytes);
    assert_true(progress.row_groups >= (i + 1) * 130 / 1000 - 1);
    if (progress.kept_bytes > most_kept) most_kept = progress.kept_bytes;
  }
  assert_int_equal(parquet_writer_finish(writer, &error), STATUS_OK);
  assert_true(ends_well(&taken));
  assert_true(most_kept < taken.bytes.size_bytes / 8);
  struct parquet_progress progress;
  parquet_writer_progress(writer, &progress);
  assert_int_equal(progress.row_groups, 13);
  assert_int_equal(add_rows(writer, 0, 1, &error), STATUS_INVALID);
  parquet_writer_free(writer);
  buffer_release(&taken.bytes);
  assert_int_equal(budget.used_bytes, 0);
}

static void test_what_it_tells_of_columns(void **state) {
  (void)state;
  struct taken taken = {0};
  struct error error = {0};
  struct parquet_writer *writer = new_writer(NULL, &taken);
  assert_int_equal(add_rows(writer, 0, 700, &error), STATUS_OK);
  assert_int_equal(parquet_writer_finish(writer, &error), STATUS_OK);
  static const struct {
    const char *name;
    int64_t values, nulls;
  } expected[] = {{"id", 700, 0},     {"word", 700, 100},    {"amount", 700, 100},
                  {"kind", 700, 100}, {"place.x", 700, 100}, {"flag", 700, 0}};
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
    bool is_found = false;
    for (int32_t k = 0; k < parquet_writer_leaf_count(writer); k++) {
      struct parquet_summary summary;
      parquet_writer_summary(writer, k, &summary);
      if (strcmp(summary.name, expected[i].name) != 0) continue;
      is_found = true;
      assert_int_equal(summary.value_count, expected[i].values);
      assert_int_equal(summary.null_count, expected[i].nulls);
      assert_true(summary.has_bounds && summary.min_is_exact && summary.max_is_exact);
      assert_true(summary.compressed_bytes > 0);
    }
    if (!is_found) fail_msg("no column %s", expected[i].name);
  }
  struct parquet_summary id;
  parquet_writer_summary(writer, 0, &id);
  int64_t least, most;
  memcpy(&least, id.min, sizeof least);
  memcpy(&most, id.max, sizeof most);
  assert_int_equal(least, 0);
  assert_int_equal(most, 699);
  parquet_writer_free(writer);
  buffer_release(&taken.bytes);
}

/* Writes 2,000 rows to a destination that fails at a call; false: it did not come to that call. */
static bool fails_at(int64_t call) {
  struct parquet_options options = PARQUET_OPTIONS_DEFAULT;
  options.row_group_rows = 500;
  options.page_values = 200;
  struct parquet_column_options bloom = {.path = "word", .has_bloom = true};
  options.columns = &bloom;
  options.column_count = 1;
  struct taken taken = {.failing_call = call};
  struct error error = {0};
  struct parquet_writer *writer = new_writer(&options, &taken);
  enum status status = STATUS_OK;
  for (int64_t i = 0; status == STATUS_OK && i < 8; i++)
    status = add_rows(writer, i * 250, 250, &error);
  if (status == STATUS_OK) status = parquet_writer_finish(writer, &error);
  bool has_failed = taken.calls >= call;
  if (has_failed) {
    assert_int_equal(status, STATUS_IO);
    assert_string_equal(error.text, "the disk is full");
    struct error again = {0};
    assert_int_equal(add_rows(writer, 0, 1, &again), STATUS_IO);
    assert_int_equal(parquet_writer_finish(writer, &again), STATUS_IO);
    assert_string_equal(again.text, "the disk is full");
    assert_int_equal(taken.calls, call);
    assert_false(ends_well(&taken));
  } else {
    assert_int_equal(status, STATUS_OK);
  }
  parquet_writer_free(writer);
  buffer_release(&taken.bytes);
  assert_int_equal(budget.used_bytes, 0);
  return has_failed;
}

static void test_a_destination_that_fails_at_every_call_in_turn(void **state) {
  (void)state;
  int64_t call = 1;
  while (fails_at(call)) call++;
  assert_true(call > 20);
}

/* As many threads as there are: the bytes are the same. */
static void test_threads_do_not_change_a_byte(void **state) {
  (void)state;
  struct taken all[2] = {0};
  for (int k = 0; k < 2; k++) {
    struct parquet_options options = PARQUET_OPTIONS_DEFAULT;
    struct error error = {0};
    struct workers *workers = NULL;
    options.row_group_rows = 3000;
    options.page_values = 300;
    if (k == 1) assert_int_equal(workers_new(4, &workers, &error), STATUS_OK);
    options.workers = workers;
    struct parquet_writer *writer = new_writer(&options, &all[k]);
    for (int64_t i = 0; i < 20; i++)
      assert_int_equal(add_rows(writer, i * 777, 777, &error), STATUS_OK);
    assert_int_equal(parquet_writer_finish(writer, &error), STATUS_OK);
    parquet_writer_free(writer);
    workers_free(workers);
  }
  assert_int_equal(all[0].bytes.size_bytes, all[1].bytes.size_bytes);
  assert_memory_equal(all[0].bytes.data, all[1].bytes.data, (size_t)all[0].bytes.size_bytes);
  for (int k = 0; k < 2; k++) buffer_release(&all[k].bytes);
}

static void test_options_that_cannot_be(void **state) {
  (void)state;
  static const struct parquet_column_options delta = {
      .path = "word", .has_encoding = true, .encoding = PARQUET_DELTA_BINARY_PACKED};
  static const struct parquet_column_options missing = {.path = "wird", .has_bloom = true};
  static const struct parquet_column_options truth = {.path = "flag", .has_bloom = true};
  static const struct parquet_sort_column list = {.path = "tags"};
  struct {
    enum status status;
    const char *text;
    struct parquet_options options;
  } cases[8];
  for (size_t i = 0; i < 8; i++) cases[i].options = PARQUET_OPTIONS_DEFAULT;
  cases[0].options.row_group_rows = 0, cases[0].text = "row_group_rows";
  cases[1].options.page_version = 3, cases[1].text = "page_version";
  cases[2].options.columns = &delta, cases[2].options.column_count = 1;
  cases[2].text = "cannot be encoded as DELTA_BINARY_PACKED";
  cases[3].options.columns = &missing, cases[3].options.column_count = 1, cases[3].text = "word";
  cases[4].options.columns = &truth, cases[4].options.column_count = 1, cases[4].text = "flag";
  cases[5].options.sorting = &list, cases[5].options.sorting_count = 1, cases[5].text = "tags";
  cases[6].options.compatible = true, cases[6].options.page_version = 2,
  cases[6].text = "compatible";
  cases[7].options.level = 99, cases[7].text = "99";
  for (size_t i = 0; i < 8; i++) {
    cases[i].status = i == 3 ? STATUS_NOT_FOUND : STATUS_INVALID;
    struct ArrowSchema schema;
    rows_schema(&schema);
    struct taken taken = {0};
    struct parquet_out out = {take, &taken};
    struct parquet_writer *writer = NULL;
    struct error error = {0};
    assert_int_equal(parquet_writer_new(&schema, &cases[i].options, &out, &budget, &writer, &error),
                     cases[i].status);
    if (strstr(error.text, cases[i].text) == NULL) fail_msg("%zu: %s", i, error.text);
    assert_null(writer);
    arrow_schema_release(&schema);
  }
  assert_int_equal(budget.used_bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_row_groups_leave_memory_when_they_are_complete),
      cmocka_unit_test(test_what_it_tells_of_columns),
      cmocka_unit_test(test_a_destination_that_fails_at_every_call_in_turn),
      cmocka_unit_test(test_threads_do_not_change_a_byte),
      cmocka_unit_test(test_options_that_cannot_be),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
