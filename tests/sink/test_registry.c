#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sink/sink.h"

static void every_sink_is_found_by_its_name(void **state) {
  (void)state;
  size_t count;
  const struct sink_type *const *types = sink_all(&count);
  assert_true(count >= 2);
  for (size_t i = 0; i < count; i++) {
    assert_ptr_equal(sink_find(types[i]->name), types[i]);
    for (size_t k = 0; k < i; k++) assert_string_not_equal(types[i]->name, types[k]->name);
  }
  assert_null(sink_find("nothing"));
}

static void an_unknown_sink_is_answered_with_those_there_are(void **state) {
  (void)state;
  struct config *config;
  struct error error = {0};
  assert_int_equal(config_new(sink_find("null")->config, &config, &error), STATUS_OK);
  struct sink *sink;
  assert_int_equal(sink_open("duckbd", config, &sink, &error), STATUS_NOT_FOUND);
  assert_null(sink);
  assert_string_equal(
      error.text,
      "there is no sink \"duckbd\" (did you mean duckdb?); there are duckdb, ducklake, null");
  assert_int_equal(sink_open("redshift", config, &sink, &error), STATUS_NOT_FOUND);
  assert_string_equal(error.text,
                      "there is no sink \"redshift\"; there are duckdb, ducklake, null");
  /* settings of another sink */
  assert_int_equal(sink_open("duckdb", config, &sink, &error), STATUS_INTERNAL);
  config_free(config);
  sink_close(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_sink_is_found_by_its_name),
      cmocka_unit_test(an_unknown_sink_is_answered_with_those_there_are),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
