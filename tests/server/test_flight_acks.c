#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/flight_acks.h"

static struct budget budget = {.limit_bytes = INT64_MAX};
static const struct flight_acks_about ABOUT = {.stream = "s\"1", .table = "t", .durable = true};

static struct flight_acks *acks_of(void) {
  struct flight_acks *acks = NULL;
  assert_int_equal(flight_acks_new(&acks, NULL), STATUS_OK);
  return acks;
}

static enum status note(struct flight_acks *acks, int64_t batches, int64_t bytes,
                        struct error *error) {
  struct buffer metadata = BUFFER_EMPTY;
  assert_int_equal(buffer_reserve(&metadata, &budget, bytes + 1, NULL), STATUS_OK);
  memset(metadata.data, 'x', (size_t)bytes + 1);
  metadata.size_bytes = bytes;
  enum status status = flight_acks_note(acks, batches, &metadata, error);
  buffer_release(&metadata);
  return status;
}

static void offset(struct flight_acks *acks, int64_t batches, bool resumed, int64_t received) {
  const struct intake_offset made = {.received_batches = received,
                                     .received_rows = 10 * received,
                                     .batches = batches,
                                     .rows = 10 * batches,
                                     .version = -1,
                                     .resumed = resumed};
  flight_acks_offset(acks, &made);
}

static void expect(struct flight_acks *acks, bool all, const char *end) {
  struct text json = TEXT_EMPTY;
  bool there = flight_acks_next(acks, &ABOUT, all, &json);
  assert_int_equal(there, end != NULL);
  if (end != NULL && strstr(text_get(&json), end) == NULL)
    fail_msg("%s is not in %s", end, text_get(&json));
  text_release(&json);
}

static void a_note_comes_back_with_the_commit_that_reaches_it(void **state) {
  (void)state;
  struct flight_acks *acks = acks_of();
  expect(acks, false, NULL);
  for (int k = 1; k <= 3; k++) assert_int_equal(note(acks, k, 2, NULL), STATUS_OK);
  offset(acks, 2, false, 3);
  expect(acks, false,
         "{\"stream\":\"s\\\"1\",\"table\":\"t\",\"received\":{\"batches\":3,\"rows\":30},"
         "\"committed\":{\"batches\":2,\"rows\":20},\"durable\":true,"
         "\"app_metadata\":[\"eHg=\",\"eHg=\"]}");
  offset(acks, 3, false, 3);
  expect(acks, false, "\"rows\":30},\"durable\":true,\"app_metadata\":[\"eHg=\"]}");
  expect(acks, false, NULL);
  flight_acks_free(acks);
}

/* It leaves out what has landed: its first batch is the sixth of the token. */
static void notes_of_a_stream_that_resumes_count_from_where_it_does(void **state) {
  (void)state;
  struct flight_acks *acks = acks_of();
  offset(acks, 5, true, 5);
  expect(acks, false, "\"rows\":50},\"durable\":true,\"resumed\":true}");
  assert_int_equal(note(acks, 1, 2, NULL), STATUS_OK);
  assert_int_equal(note(acks, 2, 2, NULL), STATUS_OK);
  offset(acks, 6, true, 7);
  expect(acks, false, "\"resumed\":true,\"app_metadata\":[\"eHg=\"]}");
  flight_acks_free(acks);
}

static void those_that_wait_are_told_in_one(void **state) {
  (void)state;
  struct flight_acks *acks = acks_of();
  for (int k = 1; k <= 5; k++) offset(acks, k, false, k);
  expect(acks, false, "\"committed\":{\"batches\":1,");
  expect(acks, true, "\"committed\":{\"batches\":5,");
  expect(acks, true, NULL);
  flight_acks_free(acks);
}

/* The last word is right, also of a client that has read none of a hundred thousand; the first one, too,
 * which may say where to go on. */
static void offsets_that_wait_are_bounded(void **state) {
  (void)state;
  struct flight_acks *acks = acks_of();
  struct text json = TEXT_EMPTY;
  int told = 0;
  for (int k = 1; k <= 100000; k++) offset(acks, k, false, k);
  expect(acks, false, "\"committed\":{\"batches\":1,");
  while (flight_acks_next(acks, &ABOUT, false, &json)) {
    told++;
    if (told == 2000) break;
    if (strstr(text_get(&json), "\"committed\":{\"batches\":100000,") != NULL) break;
  }
  assert_in_range(told, 1, 1100);
  expect(acks, false, NULL);
  offset(acks, 100001, false, 100001);
  expect(acks, false, "\"committed\":{\"batches\":100001,");
  text_release(&json);
  flight_acks_free(acks);
}

static void notes_that_wait_are_bounded(void **state) {
  (void)state;
  struct error error = {.status = STATUS_OK};
  static const struct {
    int64_t bytes;
    int at_least, at_most;
  } rows[] = {{1 << 20, 15, 16}, {0, 10000, 1000000}, {100, 10000, 1000000}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct flight_acks *acks = acks_of();
    int taken = 0;
    while (taken <= 1000000 && note(acks, 1, rows[i].bytes, &error) == STATUS_OK) taken++;
    assert_in_range(taken, rows[i].at_least, rows[i].at_most);
    assert_int_equal(error.status, STATUS_TOO_LARGE);
    assert_non_null(strstr(error.text, "app_metadata"));
    offset(acks, 1, false, 1); /* it makes room */
    expect(acks, false, "\"app_metadata\":[\"");
    assert_int_equal(note(acks, 2, rows[i].bytes, &error), STATUS_OK);
    flight_acks_free(acks);
    assert_int_equal(budget.used_bytes, 0);
  }
}

static void the_end_is_told_once(void **state) {
  (void)state;
  const struct load_result result = {.rows = 20, .batches = 2, .version = 7};
  struct text json = TEXT_EMPTY;
  struct flight_acks *acks = acks_of();
  assert_true(flight_acks_last(acks, &ABOUT, &result, &json));
  assert_non_null(strstr(text_get(&json), "\"version\":7}"));
  offset(acks, 2, false, 2);
  expect(acks, false, "\"rows\":20}");
  assert_false(flight_acks_last(acks, &ABOUT, &result, &json));
  assert_int_equal(note(acks, 2, 2, NULL), STATUS_OK); /* behind the last batch */
  assert_true(flight_acks_last(acks, &ABOUT, &result, &json));
  assert_non_null(strstr(text_get(&json), "\"app_metadata\":[\"eHg=\"]}"));
  text_release(&json);
  flight_acks_free(acks);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_note_comes_back_with_the_commit_that_reaches_it),
      cmocka_unit_test(notes_of_a_stream_that_resumes_count_from_where_it_does),
      cmocka_unit_test(those_that_wait_are_told_in_one),
      cmocka_unit_test(offsets_that_wait_are_bounded),
      cmocka_unit_test(notes_that_wait_are_bounded),
      cmocka_unit_test(the_end_is_told_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
