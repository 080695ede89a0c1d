#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/bitmap.h"

enum { BITS = 300, BYTES = (BITS + 7) / 8 };

static void fill(uint8_t bits[BYTES]) {
  uint32_t seed = 12345;
  for (int i = 0; i < BYTES; i++) {
    seed = seed * 1664525 + 1013904223;
    bits[i] = (uint8_t)(seed >> 24);
  }
}

static void any_range_is_counted(void **state) {
  (void)state;
  uint8_t bits[BYTES];
  fill(bits);
  for (int64_t start = 0; start < BITS; start++) {
    int64_t set = 0;
    for (int64_t end = start; end < BITS; end++) {
      assert_int_equal(bitmap_count(bits, start, end - start), set);
      set += bitmap_get(bits, end);
    }
  }
}

/* Words are counted in blocks: as many bits as there can be, and no more than asked for. */
static void long_ranges_are_counted(void **state) {
  (void)state;
  enum { LONG_BYTES = 3000 };
  uint8_t *ones = malloc(LONG_BYTES);
  assert_non_null(ones);
  memset(ones, 0xFF, LONG_BYTES);
  for (int64_t start = 0; start < 70; start++)
    for (int64_t count = 1800; count <= 8 * LONG_BYTES - start; count += 61)
      assert_int_equal(bitmap_count(ones, start, count), count);
  for (int i = 0; i < LONG_BYTES; i++) ones[i] = i % 2 == 0 ? 0x80 : 0x13;
  assert_int_equal(bitmap_count(ones, 0, 8 * LONG_BYTES), 2 * LONG_BYTES);
  free(ones);
}

/* From memory that ends with the last bit, so that a sanitizer sees a step past it. */
static void any_range_is_copied_and_zeros_follow(void **state) {
  (void)state;
  uint8_t bits[BYTES];
  fill(bits);
  for (int64_t start = 0; start < 80; start++) {
    for (int64_t count = 1; count < 200; count++) {
      int64_t from_bytes = bitmap_bytes(start + count);
      uint8_t *from = malloc((size_t)from_bytes);
      uint8_t *to = malloc((size_t)bitmap_bytes(count));
      assert_non_null(from);
      assert_non_null(to);
      memcpy(from, bits, (size_t)from_bytes);
      bitmap_copy(to, from, start, count);
      for (int64_t i = 0; i < count; i++)
        assert_int_equal(bitmap_get(to, i), bitmap_get(bits, start + i));
      for (int64_t i = count; i < 8 * bitmap_bytes(count); i++) assert_false(bitmap_get(to, i));
      free(from);
      free(to);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(any_range_is_counted),
      cmocka_unit_test(long_ranges_are_counted),
      cmocka_unit_test(any_range_is_copied_and_zeros_follow),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
