/* What other implementations wrote is read as they meant it: schema, values, nulls and
 * metadata of every golden file of a supported type, as a stream and as a file. */
#include <glob.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "arrow/array_walk.h"
#include "arrow/golden.h"
#include "arrow/read_all.h"

enum { GOLDEN_CASES = 37, UNSUPPORTED_CASES = 2 };

static struct budget budget = {.limit_bytes = INT64_MAX};

static bool is_supported(const char *name) { return strstr(name, "union") == NULL; }

/* Each golden case by its name without an ending, "0.14.1/generated_map". */
static void each_case(void (*check)(const char *name), int *count) {
  static const char root[] = ARROWPORT_TEST_DATA "/";
  glob_t found;
  *count = 0;
  assert_int_equal(glob(ARROWPORT_TEST_DATA "/arrow-ipc/*/*.json.gz", 0, NULL, &found), 0);
  for (size_t i = 0; i < found.gl_pathc; i++) {
    char name[256];
    snprintf(name, sizeof name, "%s", found.gl_pathv[i] + strlen(root));
    name[strlen(name) - strlen(".json.gz")] = '\0';
    check(name);
    ++*count;
  }
  globfree(&found);
}

static const char *with_ending(const char *name, const char *ending) {
  static char joined[300];
  snprintf(joined, sizeof joined, "%s%s", name, ending);
  return joined;
}

static void check_all(const char *name, const struct read_all *all) {
  struct golden *golden = golden_open(with_ending(name, ".json.gz"));
  assert_int_equal(all->batch_count, golden_batch_count(golden));
  golden_check_schema(golden, &all->schema);
  for (int64_t i = 0; i < all->batch_count; i++) {
    const char *broken = array_walk(&all->schema, &all->batches[i], NULL);
    if (broken != NULL) fail_msg("%s, batch %" PRId64 ": not so: %s", name, i, broken);
    golden_check_batch(golden, i, &all->schema, &all->batches[i]);
  }
  golden_close(golden);
}

static void check_stream(const char *name, int64_t step_bytes) {
  struct buffer data = test_data(with_ending(name, ".stream"), &budget);
  struct read_all_options options = {.step_bytes = step_bytes};
  struct read_all all;
  struct error error = {0};
  enum status status = read_all_stream(data.data, data.size_bytes, &options, &budget, &all, &error);
  if (is_supported(name)) {
    if (status != STATUS_OK) fail_msg("%s: %s", name, error.text);
    check_all(name, &all);
  } else {
    assert_int_equal(status, STATUS_UNSUPPORTED);
    assert_non_null(strstr(error.text, "union"));
  }
  read_all_release(&all);
  buffer_release(&data);
}

static void check_whole_stream(const char *name) { check_stream(name, 0); }

static void check_stream_in_steps(const char *name) {
  check_stream(name, 1);
  check_stream(name, 13);
}

static void check_file(const char *name) {
  struct buffer data = test_data(with_ending(name, ".arrow_file"), &budget);
  struct read_all all;
  struct error error = {0};
  enum status status = read_all_file(data.data, data.size_bytes, &budget, &all, &error);
  if (is_supported(name)) {
    if (status != STATUS_OK) fail_msg("%s: %s", name, error.text);
    check_all(name, &all);
  } else {
    assert_int_equal(status, STATUS_UNSUPPORTED);
  }
  read_all_release(&all);
  buffer_release(&data);
}

static void golden_streams_have_the_values_of_their_json(void **state) {
  (void)state;
  int count;
  each_case(check_whole_stream, &count);
  assert_int_equal(count, GOLDEN_CASES);
  assert_int_equal(budget.used_bytes, 0);
}

static void a_stream_is_the_same_however_its_bytes_arrive(void **state) {
  (void)state;
  int count;
  each_case(check_stream_in_steps, &count);
  assert_int_equal(count, GOLDEN_CASES);
  assert_int_equal(budget.used_bytes, 0);
}

static void golden_files_have_the_values_of_their_json(void **state) {
  (void)state;
  int count;
  each_case(check_file, &count);
  assert_int_equal(count, GOLDEN_CASES);
  assert_int_equal(budget.used_bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(golden_streams_have_the_values_of_their_json),
      cmocka_unit_test(a_stream_is_the_same_however_its_bytes_arrive),
      cmocka_unit_test(golden_files_have_the_values_of_their_json),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
