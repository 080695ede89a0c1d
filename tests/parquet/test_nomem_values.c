/* Values brought together when memory runs out: a part that failed may be given again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "nomem/nomem.h"
#include "parquet/values.h"

enum { VALUES = 500, PARTS = 3 };

static int16_t data[VALUES];

static int64_t row_of(const void *context, int64_t value) {
  (void)context;
  return value;
}

static enum status add(void *context, struct error *error) {
  (void)context;
  const void *buffers[2] = {NULL, data};
  struct ArrowArray array = {.length = VALUES, .n_buffers = 2, .buffers = buffers};
  struct parquet_leaf leaf = {.name = (char *)(uintptr_t) "a",
                              .type = PARQUET_INT32,
                              .conversion = PARQUET_WIDEN,
                              .arrow = {.kind = ARROW_INT16}};
  struct parquet_slots slots = {.array = &array, .count = VALUES};
  struct parquet_where where = {row_of, NULL};
  struct parquet_values values = {0};
  enum status status = STATUS_OK;
  for (int part = 0; part < PARTS && status == STATUS_OK; part++) {
    int64_t count = values.count;
    do {
      status = parquet_values_add(&leaf, &slots, false, &where, &nomem_budget, &values, error);
      assert_int_equal(values.count, status == STATUS_OK ? count + VALUES : count);
    } while (nomem_again(status));
  }
  for (int64_t i = 0; i < values.count; i++)
    assert_int_equal(((const int32_t *)values.data)[i], data[i % VALUES]);
  parquet_values_release(&values);
  return status;
}

static void nothing_is_left_of_values(void **state) {
  (void)state;
  for (int i = 0; i < VALUES; i++) data[i] = (int16_t)(i * 77 - 20000);
  /* Growing by doubling is tried first, and done without. */
  assert_true(nomem_run("values", add, NULL, 2 * PARTS) >= PARTS);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_left_of_values)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
