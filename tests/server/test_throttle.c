#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/throttle.h"

static struct throttle *made(void) {
  struct throttle *throttle = NULL;
  struct error error;
  assert_int_equal(throttle_new(&throttle, &error), STATUS_OK);
  return throttle;
}

static void fail_times(struct throttle *throttle, const char *address, int times, int64_t now_ms) {
  for (int i = 0; i < times; i++) throttle_failed(throttle, address, now_ms);
}

static void each_wrong_try_after_the_fifth_costs_more(void **state) {
  (void)state;
  struct throttle *throttle = made();
  int64_t now_ms = 1000000;
  for (int i = 0; i < THROTTLE_FREE; i++) {
    assert_int_equal(throttle_wait_ms(throttle, "192.0.2.1", now_ms), 0);
    throttle_failed(throttle, "192.0.2.1", now_ms);
  }
  static const int64_t waits_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
  for (size_t i = 0; i < sizeof waits_ms / sizeof waits_ms[0]; i++) {
    assert_int_equal(throttle_wait_ms(throttle, "192.0.2.1", now_ms), waits_ms[i]);
    assert_int_equal(throttle_wait_ms(throttle, "192.0.2.1", now_ms + 400), waits_ms[i] - 400);
    assert_int_equal(throttle_wait_ms(throttle, "192.0.2.2", now_ms), 0); /* others are free */
    now_ms += waits_ms[i];
    assert_int_equal(throttle_wait_ms(throttle, "192.0.2.1", now_ms), 0);
    throttle_failed(throttle, "192.0.2.1", now_ms);
  }
  throttle_free(throttle);
}

static void a_right_one_makes_good(void **state) {
  (void)state;
  struct throttle *throttle = made();
  fail_times(throttle, "192.0.2.1", THROTTLE_FREE + 3, 0);
  assert_true(throttle_wait_ms(throttle, "192.0.2.1", 0) > 0);
  throttle_succeeded(throttle, "192.0.2.1");
  assert_int_equal(throttle_wait_ms(throttle, "192.0.2.1", 0), 0);
  fail_times(throttle, "192.0.2.1", THROTTLE_FREE - 1, 0);
  assert_int_equal(throttle_wait_ms(throttle, "192.0.2.1", 0), 0);
  throttle_succeeded(throttle, "198.51.100.1"); /* not there */
  throttle_free(throttle);
}

static void tries_that_are_far_apart_are_free(void **state) {
  (void)state;
  struct throttle *throttle = made();
  for (int minute = 0; minute < 30; minute++) {
    fail_times(throttle, "192.0.2.1", THROTTLE_FREE - 1, minute * (int64_t)THROTTLE_WINDOW_MS);
    assert_int_equal(throttle_wait_ms(throttle, "192.0.2.1", minute * (int64_t)THROTTLE_WINDOW_MS),
                     0);
  }
  throttle_free(throttle);
}

static void after_ten_minutes_all_is_forgotten(void **state) {
  (void)state;
  struct throttle *throttle = made();
  fail_times(throttle, "192.0.2.1", THROTTLE_FREE + 6, 0); /* 60 s by now */
  throttle_failed(throttle, "192.0.2.1", THROTTLE_FORGET_MS - 1);
  assert_int_equal(throttle_wait_ms(throttle, "192.0.2.1", THROTTLE_FORGET_MS), 59999);
  fail_times(throttle, "192.0.2.1", THROTTLE_FREE - 1, 3 * (int64_t)THROTTLE_FORGET_MS);
  assert_int_equal(throttle_wait_ms(throttle, "192.0.2.1", 3 * (int64_t)THROTTLE_FORGET_MS), 0);
  throttle_free(throttle);
}

static void addresses_of_one_client_count_together(void **state) {
  (void)state;
  static const struct {
    const char *one, *other;
    bool same;
  } cases[] = {
      {"192.0.2.1", "192.0.2.1", true},
      {"192.0.2.1", "192.0.2.2", false},
      {"192.0.2.1", "::ffff:192.0.2.1", true},
      {"2001:db8::1", "2001:db8::ffff:1", true}, /* a /64 is one client's */
      {"2001:db8::1", "2001:db8:0:1::1", false},
      {"fe80::1%eth0", "fe80::2", true},
      {"", "", true},
      {"", "127.0.0.1", false},
      {"127.0.0.1", "::1", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct throttle *throttle = made();
    fail_times(throttle, cases[i].one, THROTTLE_FREE, 0);
    if ((throttle_wait_ms(throttle, cases[i].other, 0) > 0) != cases[i].same)
      fail_msg("'%s' and '%s'", cases[i].one, cases[i].other);
    throttle_free(throttle);
  }
}

/* A flood of addresses takes no memory: those that failed longest ago are forgotten. */
static void the_table_is_bounded(void **state) {
  (void)state;
  struct throttle *throttle = made();
  char address[32];
  fail_times(throttle, "192.0.2.1", THROTTLE_FREE, 0);
  fail_times(throttle, "192.0.2.2", THROTTLE_FREE, 0);
  for (int i = 0; i < THROTTLE_ADDRESSES - 2; i++) {
    snprintf(address, sizeof address, "10.0.%d.%d", i / 256, i % 256);
    throttle_failed(throttle, address, 1);
  }
  assert_true(throttle_wait_ms(throttle, "192.0.2.1", 1) > 0);
  throttle_failed(throttle, "192.0.2.1", 1); /* now the other one is the oldest */
  throttle_failed(throttle, "10.99.0.1", 1);
  assert_true(throttle_wait_ms(throttle, "192.0.2.1", 1) > 0);
  assert_int_equal(throttle_wait_ms(throttle, "192.0.2.2", 1), 0);
  for (int i = 0; i < 10 * THROTTLE_ADDRESSES; i++) {
    snprintf(address, sizeof address, "11.%d.%d.%d", i / 65536, i / 256 % 256, i % 256);
    throttle_failed(throttle, address, 2);
    if (i % 3 == 0) throttle_succeeded(throttle, address);
  }
  assert_int_equal(throttle_wait_ms(throttle, "192.0.2.1", 2), 0);
  fail_times(throttle, address, THROTTLE_FREE, 3); /* it still works */
  assert_true(throttle_wait_ms(throttle, address, 3) > 0);
  throttle_free(throttle);
  throttle_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_wrong_try_after_the_fifth_costs_more),
      cmocka_unit_test(a_right_one_makes_good),
      cmocka_unit_test(tries_that_are_far_apart_are_free),
      cmocka_unit_test(after_ten_minutes_all_is_forgotten),
      cmocka_unit_test(addresses_of_one_client_count_together),
      cmocka_unit_test(the_table_is_bounded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
