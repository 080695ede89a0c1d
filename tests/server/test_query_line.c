#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/query_line.h"

static char started[64];

static void start(void *context) { strncat(started, context, 1); }

static struct query_turn turn_of(const char *name) {
  return (struct query_turn){.start = start, .context = (void *)(uintptr_t)name};
}

static void enter(struct query_line *line, struct query_turn *turn, int64_t max) {
  assert_int_equal(query_line_enter(line, max, turn, NULL), STATUS_OK);
}

static void turns_come_in_order_and_so_many_run(void **state) {
  (void)state;
  struct query_line line = {0};
  struct query_turn a = turn_of("a"), b = turn_of("b"), c = turn_of("c"), d = turn_of("d");
  started[0] = '\0';
  enter(&line, &a, 2);
  enter(&line, &b, 2);
  enter(&line, &c, 2);
  enter(&line, &d, 2);
  assert_string_equal(started, "ab");
  assert_int_equal(line.waiting, 2);
  query_line_done(&line, 2);
  assert_string_equal(started, "abc");
  query_line_done(&line, 2);
  query_line_done(&line, 2);
  query_line_done(&line, 2);
  assert_string_equal(started, "abcd");
  assert_int_equal(line.running, 0);
  assert_int_equal(line.waiting, 0);
}

static void those_who_leave_are_passed_over(void **state) {
  (void)state;
  for (int gone = 0; gone < 3; gone++) {
    struct query_line line = {0};
    struct query_turn a = turn_of("a");
    struct query_turn rest[] = {turn_of("b"), turn_of("c"), turn_of("d")};
    started[0] = '\0';
    enter(&line, &a, 1);
    for (int i = 0; i < 3; i++) enter(&line, &rest[i], 1);
    query_line_leave(&line, &rest[gone]);
    query_line_leave(&line, &rest[gone]); /* twice does nothing */
    query_line_leave(&line, &a);          /* nor for one that runs */
    for (int i = 0; i < 3; i++) query_line_done(&line, 1);
    assert_string_equal(started, gone == 0 ? "acd" : gone == 1 ? "abd" : "abc");
    assert_int_equal(line.running, 0);
    assert_null(line.first);
    assert_null(line.last);
  }
}

/* A limit that was raised meanwhile lets several in at once. */
static void a_raised_limit_holds_from_the_next_one_on(void **state) {
  (void)state;
  struct query_line line = {0};
  struct query_turn a = turn_of("a"), b = turn_of("b"), c = turn_of("c");
  started[0] = '\0';
  enter(&line, &a, 1);
  enter(&line, &b, 1);
  enter(&line, &c, 5); /* not before b */
  assert_string_equal(started, "a");
  query_line_done(&line, 5);
  assert_string_equal(started, "abc");
}

static void a_long_line_takes_no_more(void **state) {
  (void)state;
  struct query_line line = {0};
  struct query_turn *turns = calloc(QUERY_LINE_MAX + 2, sizeof *turns);
  assert_non_null(turns);
  started[0] = '\0';
  for (int i = 0; i <= QUERY_LINE_MAX; i++) {
    turns[i] = turn_of(i == 0 ? "a" : "");
    enter(&line, &turns[i], 1);
  }
  struct error error = {0};
  turns[QUERY_LINE_MAX + 1] = turn_of("z");
  assert_int_equal(query_line_enter(&line, 1, &turns[QUERY_LINE_MAX + 1], &error),
                   STATUS_UNAVAILABLE);
  assert_true(error.retry_after_ms > 0);
  assert_non_null(strstr(error.text, "query.concurrent_max"));
  query_line_leave(&line, &turns[5]);
  enter(&line, &turns[QUERY_LINE_MAX + 1], 1);
  assert_int_equal(line.waiting, QUERY_LINE_MAX);
  free(turns);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(turns_come_in_order_and_so_many_run),
      cmocka_unit_test(those_who_leave_are_passed_over),
      cmocka_unit_test(a_raised_limit_holds_from_the_next_one_on),
      cmocka_unit_test(a_long_line_takes_no_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
