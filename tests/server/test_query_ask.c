#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/query_ask.h"

static void accept_chooses_by_quality_and_refuses_what_cannot_be_made(void **state) {
  (void)state;
  static const struct {
    const char *accept;
    bool want;
    enum query_output output;
  } cases[] = {
      {NULL, true, QUERY_JSON},
      {"*/*", true, QUERY_JSON},
      {"application/*", true, QUERY_JSON},
      {"text/*", true, QUERY_CSV},
      {"text/csv", true, QUERY_CSV},
      {"Text/CSV; charset=utf-8", true, QUERY_CSV},
      {"application/vnd.apache.arrow.stream", true, QUERY_ARROW},
      {"text/html, application/x-ndjson;q=0.9, */*;q=0.1", true, QUERY_NDJSON},
      {"application/json;q=0.5,text/csv;q=0.8", true, QUERY_CSV},
      {"text/csv;q=0, */*", true, QUERY_JSON},
      {"text/csv;q=0", false, QUERY_JSON},
      {"text/html", false, QUERY_JSON},
      {"application/jsonx", false, QUERY_JSON},
      {"", false, QUERY_JSON},
      {",,,", false, QUERY_JSON},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    enum query_output output;
    assert_int_equal(query_ask_output(cases[i].accept, &output), cases[i].want);
    if (cases[i].want) assert_int_equal(output, cases[i].output);
  }
}

static void json_gives_a_statement_and_typed_parameters(void **state) {
  (void)state;
  static const char json[] =
      "{\"sql\": \"SELECT ?\", \"params\": [null, true, -5, 1.5, \"a\\u0000b\"]}";
  struct query_ask ask;
  assert_int_equal(query_ask_json(&ask, json, strlen(json), NULL), STATUS_OK);
  assert_string_equal(ask.sql, "SELECT ?");
  assert_int_equal(ask.parameter_count, 5);
  assert_int_equal(ask.parameters[0].kind, ENGINE_NULL);
  assert_true(ask.parameters[1].boolean);
  assert_int_equal(ask.parameters[2].integer, -5);
  assert_true(ask.parameters[3].number > 1.4 && ask.parameters[3].number < 1.6);
  assert_int_equal(ask.parameters[4].text_bytes, 3);
  assert_memory_equal(ask.parameters[4].text, "a\0b", 3);
  query_ask_release(&ask);
}

static void what_is_not_a_question_is_refused_with_the_reason(void **state) {
  (void)state;
  static const struct {
    const char *json, *why;
  } cases[] = {
      {"", "not JSON"},
      {"{", "not JSON"},
      {"[]", "must be an object"},
      {"{}", "no \"sql\""},
      {"{\"sql\": 1}", "no \"sql\""},
      {"{\"sql\": \"\"}", "empty"},
      {"{\"sql\": \"SELECT 1\\u0000\"}", "NUL"},
      {"{\"sql\": \"SELECT 1\", \"sql\": \"SELECT 2\"}", "duplicate"},
      {"{\"sql\": \"SELECT 1\", \"parms\": []}", "'parms' is not known"},
      {"{\"sql\": \"SELECT 1\", \"params\": {}}", "must be an array"},
      {"{\"sql\": \"SELECT 1\", \"params\": null}", "must be an array"},
      {"{\"sql\": \"SELECT 1\", \"params\": [1, []]}", "params[1]"},
      {"{\"sql\": \"SELECT 1\", \"params\": [1e999]}", "not JSON"},
      {"{\"sql\": \"SELECT 1\", \"params\": [99999999999999999999]}", "not JSON"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct query_ask ask;
    struct error error = {.status = STATUS_OK};
    assert_int_equal(query_ask_json(&ask, cases[i].json, strlen(cases[i].json), &error),
                     STATUS_INVALID);
    if (strstr(error.text, cases[i].why) == NULL) fail_msg("%s: %s", cases[i].json, error.text);
    assert_null(ask.sql);
    assert_null(ask.parsed);
  }
}

static void sql_must_be_text(void **state) {
  (void)state;
  struct query_ask ask;
  struct error error;
  assert_int_equal(query_ask_sql(&ask, "SELECT 1", 8, &error), STATUS_OK);
  assert_string_equal(ask.sql, "SELECT 1");
  query_ask_release(&ask);
  assert_int_equal(query_ask_sql(&ask, "", 0, &error), STATUS_INVALID);
  assert_int_equal(query_ask_sql(&ask, "SELECT '\xFF'", 10, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "byte 8"));
  assert_int_equal(query_ask_sql(&ask, "SELECT\0 1", 9, &error), STATUS_INVALID);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(accept_chooses_by_quality_and_refuses_what_cannot_be_made),
      cmocka_unit_test(json_gives_a_statement_and_typed_parameters),
      cmocka_unit_test(what_is_not_a_question_is_refused_with_the_reason),
      cmocka_unit_test(sql_must_be_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
