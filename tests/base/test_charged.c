#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/charged.h"

static void what_is_taken_is_charged_until_it_is_freed(void **state) {
  (void)state;
  struct budget budget = {.limit_bytes = 1000};
  struct charged charged = {.budget = &budget};
  uint8_t *piece = charged_alloc(&charged, 500);
  assert_non_null(piece);
  assert_int_equal((uintptr_t)piece % _Alignof(max_align_t), 0);
  memset(piece, 1, 500);
  assert_true(budget.used_bytes >= 500);
  charged_free(&charged, piece);
  charged_free(&charged, NULL);
  assert_int_equal(budget.used_bytes, 0);
}

static void what_is_too_much_is_refused(void **state) {
  (void)state;
  static const size_t sizes[] = {1000, SIZE_MAX, (size_t)INT64_MAX};
  struct budget budget = {.limit_bytes = 1000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    struct charged charged = {.budget = &budget};
    struct error error = {.text = ""};
    assert_null(charged_alloc(&charged, sizes[i]));
    assert_int_equal(charged_failed(&charged, "a thing", &error), STATUS_BUDGET);
    assert_string_equal(error.text, "no room for a thing in the memory limit");
  }
  assert_int_equal(budget.used_bytes, 0);
  struct charged charged = {.budget = &budget};
  struct error error = {.text = ""};
  assert_int_equal(charged_failed(&charged, "a thing", &error), STATUS_NOMEM);
  assert_string_equal(error.text, "no memory for a thing");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_taken_is_charged_until_it_is_freed),
      cmocka_unit_test(what_is_too_much_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
