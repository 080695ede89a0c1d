/* How many distinct values there are, from some of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "parquet/choose_sample.h"
#include "parquet/columns.h"

enum { PAGE = 1 << 16, ROWS = 1 << 20 };

static struct budget budget = {.limit_bytes = INT64_MAX};

static const struct {
  const char *name;
  cell_maker make;
  enum parquet_type type;
  double least, most; /* of ROWS rows */
} estimates[] = {
    {"one", cell_constant, PARQUET_INT64, 1, 1},
    {"12", cell_category, PARQUET_BYTE_ARRAY, 12, 12},
    {"every 16 rows the same", cell_of_16, PARQUET_INT64, 16, 16},
    {"5,000", cell_of_5000, PARQUET_INT64, 4500, 5500},
    {"100,000", cell_user, PARQUET_BYTE_ARRAY, 70000, 130000},
    {"all distinct", cell_id, PARQUET_INT64, ROWS * 0.8, ROWS},
    {"runs of 100", cell_runs, PARQUET_INT64, ROWS / 150, ROWS / 60},
    {"half one, half distinct", cell_half_unique, PARQUET_INT64, ROWS * 0.35, ROWS * 0.6},
    {"20 often, 60,000 seldom", cell_few_and_many, PARQUET_INT64, 25000, 120000},
};
enum { ESTIMATES = sizeof estimates / sizeof *estimates };

static void distinct_values_are_estimated(void **state) {
  (void)state;
  for (int i = 0; i < ESTIMATES; i++) {
    struct column column;
    column_make(&column, estimates[i].type, estimates[i].make, PAGE);
    struct parquet_leaf leaf = {.type = estimates[i].type};
    struct sample sample;
    assert_int_equal(sample_take(&sample, &leaf, &column.values, ROWS, false, &budget, NULL),
                     STATUS_OK);
    double found = sample.distinct_expected;
    if (found < estimates[i].least || found > estimates[i].most)
      fail_msg("%s: %.0f", estimates[i].name, found);
    sample_release(&sample);
    column_release(&column);
  }
}

static void estimates_end_at_what_there_is(void **state) {
  (void)state;
  /* 100 values seen once each: nothing is known but that there are many. */
  struct sample_counts once = {.values = 100, .distinct = 100, .seen = {0, 100}};
  assert_true(sample_distinct(&once, 100) == 100);
  assert_true(sample_distinct(&once, 1000) > 800);
  assert_true(sample_distinct(&once, 1000) <= 1000);
  /* 50 seen twice each: there are not many others. */
  struct sample_counts twice = {.values = 100, .distinct = 50, .seen = {0, 0, 50}};
  assert_true(sample_distinct(&twice, 1e6) == 50);
  /* Very many of one: the estimate stays with it. */
  struct sample_counts one = {.values = 4096, .distinct = 1};
  assert_true(sample_distinct(&one, 1e9) == 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(distinct_values_are_estimated),
      cmocka_unit_test(estimates_end_at_what_there_is),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
