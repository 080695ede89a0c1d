/* Hashes by age: found where they are, forgotten in order, in little memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sink/token_index.h"

enum { HOUR = 3600, SEED = 77 };

static struct token_index *index_;

static int64_t us(int64_t seconds) { return seconds * 1000000; }

static void ok(enum status status, const struct error *error) {
  if (status != STATUS_OK) fail_msg("%s: %s", status_name(status), error->text);
}

static void make(int64_t retention_s, int64_t count_max) {
  struct error error = {0};
  ok(token_index_new(us(retention_s), count_max, SEED, &index_, &error), &error);
}

static int teardown(void **state) {
  (void)state;
  token_index_free(index_);
  index_ = NULL;
  return 0;
}

/* Neighbours, so that nothing but the index spreads them. */
static void add(uint64_t hash, int64_t at_s) {
  struct error error = {0};
  ok(token_index_reserve(index_, &error), &error);
  token_index_add(index_, hash, us(at_s), us(at_s));
}

static bool knows(uint64_t hash) {
  int64_t from_us = 0, to_us = 0;
  return token_index_find(index_, hash, &from_us, &to_us);
}

static int64_t count_of(void) {
  int64_t count, memory_bytes;
  token_index_look(index_, &count, &memory_bytes);
  return count;
}

/* What a sweep at that time does; the hashes forgotten early. */
static int64_t sweep(int64_t at_s, int64_t *before_us) {
  struct token_index_plan plan;
  token_index_plan(index_, us(at_s), &plan);
  token_index_forget(index_, &plan);
  if (before_us != NULL) *before_us = plan.before_us;
  return plan.early;
}

static void what_was_added_is_known_and_nothing_else(void **state) {
  (void)state;
  make(24 * HOUR, 1000000);
  for (uint64_t i = 1; i <= 100000; i++) add(i, 1000 + (int64_t)i);
  for (uint64_t i = 1; i <= 100000; i++)
    if (!knows(i)) fail_msg("%llu is not known", (unsigned long long)i);
  for (uint64_t i = 100001; i < 300000; i++)
    if (knows(i)) fail_msg("%llu is known", (unsigned long long)i);
  assert_int_equal(count_of(), 100000);
  add(7, 200000); /* again: later, and in another generation, where it counts once more */
  add(7, 200001);
  int64_t from_us, to_us;
  assert_true(token_index_find(index_, 7, &from_us, &to_us));
  assert_true(from_us <= us(1007));
  assert_int_equal(to_us, us(200001));
  assert_int_equal(count_of(), 100001);
}

static void a_hash_of_zero_is_one_like_others(void **state) {
  (void)state;
  make(24 * HOUR, 1000);
  assert_false(knows(0));
  add(0, 5);
  assert_true(knows(0));
  assert_int_equal(count_of(), 1);
}

static void the_time_that_is_named_is_short_and_holds_the_token(void **state) {
  (void)state;
  make(24 * HOUR, 1600);
  for (int64_t i = 1; i <= 1500; i++) add((uint64_t)i * 77, i);
  for (int64_t i = 1; i <= 1500; i++) {
    int64_t from_us, to_us;
    assert_true(token_index_find(index_, (uint64_t)i * 77, &from_us, &to_us));
    assert_in_range(us(i), from_us, to_us);
    assert_in_range(to_us - from_us, 0, us(101)); /* a sixteenth of 1,600 */
  }
}

static void a_token_takes_sixteen_bytes_at_most(void **state) {
  (void)state;
  make(24 * HOUR, 4000000);
  for (uint64_t i = 1; i <= 1000000; i++) {
    add(i, (int64_t)i / 12);
    if (i % 5000 != 0 || i < 100000) continue;
    int64_t count, memory_bytes;
    token_index_look(index_, &count, &memory_bytes);
    if (memory_bytes > 16 * count)
      fail_msg("%lld bytes for %lld", (long long)memory_bytes, (long long)count);
  }
}

/* Never before the retention, and a sixteenth of it later at most. */
static void what_is_old_is_forgotten_and_nothing_sooner(void **state) {
  (void)state;
  make(1600, 1000000);
  for (int64_t second = 0; second < 10000; second++) {
    add((uint64_t)second + 1, second);
    int64_t before_us;
    assert_int_equal(sweep(second, &before_us), 0);
    assert_int_equal(before_us, us(second - 1600));
    if (second >= 1600) assert_true(knows((uint64_t)(second - 1600) + 1));
    if (second >= 1703) assert_false(knows((uint64_t)(second - 1703) + 1));
  }
  sweep(10000 + 1600, NULL); /* idle: the last ones go, too */
  sweep(10000 + 1601, NULL);
  assert_int_equal(count_of(), 0);
}

static void what_is_too_many_is_forgotten_from_the_oldest_on(void **state) {
  (void)state;
  make(24 * HOUR, 1600);
  int64_t early = 0;
  for (int64_t i = 1; i <= 10000; i++) {
    add((uint64_t)i, i);
    int64_t before_us, from_us, to_us;
    int64_t now = sweep(i, &before_us);
    early += now;
    assert_true(count_of() <= 1600);
    assert_true(count_of() >= (i < 1400 ? i : 1400));
    assert_true(knows((uint64_t)(i <= 1400 ? 1 : i - 1400)));
    if (now == 0) continue;
    /* All that is remembered did not land before. */
    for (int64_t k = 1; k <= i; k++)
      if (token_index_find(index_, (uint64_t)k, &from_us, &to_us))
        assert_true(us(k) >= before_us);
      else
        assert_true(us(k) < before_us);
  }
  assert_int_equal(early, 10000 - count_of());
}

/* What is reserved has its place, whatever else happens. */
static void what_is_reserved_can_be_added(void **state) {
  (void)state;
  struct error error = {0};
  make(1600, 1600);
  for (int64_t i = 0; i < 5000; i++) ok(token_index_reserve(index_, &error), &error);
  for (int64_t i = 1; i <= 2500; i++) token_index_add(index_, (uint64_t)i, us(i), us(i));
  sweep(2501, NULL);
  for (int64_t i = 2501; i <= 4999; i++) token_index_add(index_, (uint64_t)i, us(i), us(i));
  token_index_unreserve(index_);
  for (int64_t i = 4000; i <= 4999; i++) assert_true(knows((uint64_t)i));
}

static void what_landed_before_is_loaded_in_any_order(void **state) {
  (void)state;
  struct error error = {0};
  make(1600, 100000);
  for (int64_t i = 0; i < 16; i++) ok(token_index_begin(index_, us(i * 100), 100, &error), &error);
  for (int64_t i = 1599; i >= 0; i--)
    ok(token_index_load(index_, (uint64_t)i + 1, us(i), &error), &error);
  assert_int_equal(count_of(), 1600);
  for (int64_t i = 0; i < 1600; i++) {
    int64_t from_us, to_us;
    assert_true(token_index_find(index_, (uint64_t)i + 1, &from_us, &to_us));
    assert_int_equal(from_us, us(i / 100 * 100));
    assert_int_equal(to_us, us(i / 100 * 100 + 99));
  }
  sweep(1600 + 250, NULL);
  assert_int_equal(count_of(), 1400); /* the first two are over */
  assert_false(knows(200));
  assert_true(knows(201));
}

static void limits_may_change(void **state) {
  (void)state;
  make(24 * HOUR, 100000);
  for (int64_t i = 1; i <= 10000; i++) add((uint64_t)i, i * 5);
  sweep(50000, NULL);
  assert_int_equal(count_of(), 10000);
  token_index_limit(index_, us(24 * HOUR), 5000);
  assert_true(sweep(50000, NULL) >= 5000);
  assert_in_range(count_of(), 1, 5000);
  token_index_limit(index_, us(10), 5000);
  assert_int_equal(sweep(50011, NULL), 0);
  assert_int_equal(count_of(), 0);
}

/* Many more generations than there are places for: nothing is lost, and it goes on. */
static void generations_that_have_no_place_share_one(void **state) {
  (void)state;
  make(160, 1000000);
  for (int64_t i = 1; i <= 1000; i++) add((uint64_t)i, i * 20); /* each is old enough for one */
  assert_int_equal(count_of(), 1000);
  for (int64_t i = 1; i <= 1000; i++) assert_true(knows((uint64_t)i));
  sweep(20000 + 400, NULL);
  sweep(20000 + 401, NULL);
  assert_int_equal(count_of(), 0);
  add(5, 20500);
  assert_true(knows(5));
}

int main(void) {
#define EACH(test) cmocka_unit_test_teardown(test, teardown)
  const struct CMUnitTest tests[] = {
      EACH(what_was_added_is_known_and_nothing_else),
      EACH(a_hash_of_zero_is_one_like_others),
      EACH(the_time_that_is_named_is_short_and_holds_the_token),
      EACH(a_token_takes_sixteen_bytes_at_most),
      EACH(what_is_old_is_forgotten_and_nothing_sooner),
      EACH(what_is_too_many_is_forgotten_from_the_oldest_on),
      EACH(what_is_reserved_can_be_added),
      EACH(what_landed_before_is_loaded_in_any_order),
      EACH(limits_may_change),
      EACH(generations_that_have_no_place_share_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
