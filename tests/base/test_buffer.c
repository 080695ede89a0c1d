#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"

static void append_keeps_bytes_and_pads_with_zeros(void **state) {
  (void)state;
  struct budget budget = {.limit_bytes = 1 << 20};
  struct buffer buffer = BUFFER_EMPTY;
  for (int i = 0; i < 1000; i++)
    assert_int_equal(buffer_append(&buffer, &budget, "abcde", 5, NULL), STATUS_OK);
  assert_int_equal(buffer.size_bytes, 5000);
  assert_int_equal((uintptr_t)buffer.data % BUFFER_ALIGNMENT_BYTES, 0);
  assert_memory_equal(buffer.data + 4995, "abcde", 5);
  for (int64_t i = buffer.size_bytes; i % BUFFER_ALIGNMENT_BYTES != 0; i++)
    assert_int_equal(buffer.data[i], 0);
  buffer_release(&buffer);
  assert_int_equal(budget.used_bytes, 0);
}

static void the_last_owner_frees(void **state) {
  (void)state;
  struct budget budget = {.limit_bytes = 4096};
  struct buffer whole = BUFFER_EMPTY;
  assert_int_equal(buffer_append(&whole, &budget, "0123456789", 10, NULL), STATUS_OK);
  struct buffer part = buffer_slice(&whole, 3, 4);
  buffer_release(&whole);
  assert_null(whole.data);
  assert_memory_equal(part.data, "3456", 4);
  assert_true(budget.used_bytes > 0);
  buffer_release(&part);
  assert_int_equal(budget.used_bytes, 0);
}

/* A refusal leaves everything as it was and says what was asked and what is left. */
static void passing_the_limit_is_refused(void **state) {
  (void)state;
  static const struct {
    int64_t ask_bytes;
    enum status want;
  } cases[] = {
      {64, STATUS_OK}, {1024, STATUS_OK}, {1025, STATUS_BUDGET}, {INT64_MAX, STATUS_BUDGET}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct budget budget = {.limit_bytes = 1024};
    struct buffer buffer = BUFFER_EMPTY;
    struct error error = {0};
    assert_int_equal(buffer_reserve(&buffer, &budget, cases[i].ask_bytes, &error), cases[i].want);
    if (cases[i].want != STATUS_OK) {
      assert_null(buffer.data);
      assert_int_equal(budget.used_bytes, 0);
      assert_true(strlen(error.text) > 0);
    }
    buffer_release(&buffer);
  }
}

/* Near the limit growth falls back from doubling to what is needed. */
static void the_last_bytes_can_be_used(void **state) {
  (void)state;
  struct budget budget = {.limit_bytes = 64 + 128};
  struct buffer buffer = BUFFER_EMPTY;
  char bytes[128] = {1};
  assert_int_equal(buffer_append(&buffer, &budget, bytes, 64, NULL), STATUS_OK);
  assert_int_equal(buffer_append(&buffer, &budget, bytes, 64, NULL), STATUS_OK);
  assert_int_equal(buffer.size_bytes, 128);
  buffer_release(&buffer);
  assert_int_equal(budget.used_bytes, 0);
}

static void a_growing_buffer_survives_refusal(void **state) {
  (void)state;
  struct budget budget = {.limit_bytes = 192};
  struct buffer buffer = BUFFER_EMPTY;
  assert_int_equal(buffer_append(&buffer, &budget, "kept", 4, NULL), STATUS_OK);
  char more[256] = {0};
  struct error error = {0};
  assert_int_equal(buffer_append(&buffer, &budget, more, sizeof more, &error), STATUS_BUDGET);
  assert_int_equal(buffer_append(&buffer, &budget, more, INT64_MAX, &error), STATUS_BUDGET);
  assert_int_equal(buffer.size_bytes, 4);
  assert_memory_equal(buffer.data, "kept", 4);
  buffer_release(&buffer);
}

static void count_release(void *context) { ++*(int *)context; }

static void wrapped_bytes_are_given_back_once_by_the_last_owner(void **state) {
  (void)state;
  static const char bytes[] = "somebody else's";
  int released = 0;
  struct buffer whole = BUFFER_EMPTY;
  assert_int_equal(buffer_wrap(&whole, bytes, sizeof bytes, count_release, &released, NULL),
                   STATUS_OK);
  struct buffer part = buffer_slice(&whole, 9, 4);
  buffer_release(&whole);
  assert_int_equal(released, 0);
  assert_memory_equal(part.data, "else", 4);
  buffer_release(&part);
  assert_int_equal(released, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(append_keeps_bytes_and_pads_with_zeros),
      cmocka_unit_test(the_last_owner_frees),
      cmocka_unit_test(passing_the_limit_is_refused),
      cmocka_unit_test(the_last_bytes_can_be_used),
      cmocka_unit_test(a_growing_buffer_survives_refusal),
      cmocka_unit_test(wrapped_bytes_are_given_back_once_by_the_last_owner),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
