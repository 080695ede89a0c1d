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
      {"application/vnd.apache.parquet", true, QUERY_PARQUET},
      {"application/vnd.apache.arrow.stream; codecs=\"zstd, lz4\", text/csv", true, QUERY_ARROW},
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
    unsigned codecs;
    assert_int_equal(query_ask_output(cases[i].accept, &output, &codecs), cases[i].want);
    if (cases[i].want) assert_int_equal(output, cases[i].output);
  }
}

static void codecs_say_what_a_reader_can_expand(void **state) {
  (void)state;
#define ARROW_TYPE "application/vnd.apache.arrow.stream"
  static const struct {
    const char *accept;
    unsigned want;
  } cases[] = {
      {NULL, 0},
      {"*/*", 0},
      {ARROW_TYPE, 0},
      {ARROW_TYPE "; codecs=zstd", QUERY_ZSTD},
      {ARROW_TYPE ";codecs=\"zstd, lz4\"", QUERY_ZSTD | QUERY_LZ4},
      {ARROW_TYPE ";q=0.5; Codecs=\"LZ4\"", QUERY_LZ4},
      {ARROW_TYPE ";codecs=\"lz4,zstd\", text/csv;q=0.1", QUERY_ZSTD | QUERY_LZ4},
      {"text/csv;q=0.1, " ARROW_TYPE ";codecs=zstd;q=0.9", QUERY_ZSTD},
      {ARROW_TYPE ";codecs=zstd;q=0.1, text/csv", 0}, /* of the one that is chosen */
      {ARROW_TYPE ";codecs=gzip", 0},
      {ARROW_TYPE ";codecs=zstdx", 0},
      {ARROW_TYPE ";xcodecs=zstd", 0},
      {ARROW_TYPE ";codecs=", 0},
      {ARROW_TYPE ";codecs=\"zstd", QUERY_ZSTD},
      {ARROW_TYPE ";codecs=\"zs\\", 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    enum query_output output;
    unsigned codecs;
    assert_true(query_ask_output(cases[i].accept, &output, &codecs));
    if (codecs != cases[i].want) fail_msg("%s: %u", cases[i].accept, codecs);
  }
}

static void a_request_lowers_limits_and_chooses_a_compression(void **state) {
  (void)state;
  static const struct {
    const char *query_string;
    enum query_output output;
    unsigned codecs;
    int64_t rows_max, timeout_ms;
    enum ipc_compression compression;
    int level;
    const char *why; /* NULL: it is read */
  } cases[] = {
      {"", QUERY_ARROW, 0, 100, 5000, IPC_COMPRESSION_NONE, 0, NULL},
      {"", QUERY_ARROW, QUERY_ZSTD | QUERY_LZ4, 100, 5000, IPC_COMPRESSION_ZSTD, 7, NULL},
      {"", QUERY_ARROW, QUERY_LZ4, 100, 5000, IPC_COMPRESSION_LZ4, 0, NULL},
      {"", QUERY_PARQUET, 0, 100, 5000, IPC_COMPRESSION_ZSTD, 7, NULL},
      {"compression=none", QUERY_PARQUET, 0, 100, 5000, IPC_COMPRESSION_NONE, 0, NULL},
      {"compression=none", QUERY_ARROW, QUERY_ZSTD, 100, 5000, IPC_COMPRESSION_NONE, 0, NULL},
      {"compression=zstd", QUERY_ARROW, 0, 100, 5000, IPC_COMPRESSION_ZSTD, 0, NULL},
      {"compression=zstd:22", QUERY_ARROW, 0, 100, 5000, IPC_COMPRESSION_ZSTD, 22, NULL},
      {"compression=lz4:12", QUERY_ARROW, 0, 100, 5000, IPC_COMPRESSION_LZ4, 12, NULL},
      {"compression=none", QUERY_CSV, 0, 100, 5000, IPC_COMPRESSION_NONE, 0, NULL},
      {"rows_max=7&timeout_s=2", QUERY_CSV, 0, 7, 2000, IPC_COMPRESSION_NONE, 0, NULL},
      {"rows_max=101&timeout_s=6", QUERY_CSV, 0, 100, 5000, IPC_COMPRESSION_NONE, 0, NULL},
      {"timeout_s=999999999999999999", QUERY_CSV, 0, 100, 5000, IPC_COMPRESSION_NONE, 0, NULL},
      {"rows_max=0", QUERY_CSV, 0, 0, 0, IPC_COMPRESSION_NONE, 0, "rows_max=0"},
      {"rows_max=-1", QUERY_CSV, 0, 0, 0, IPC_COMPRESSION_NONE, 0, "rows_max=-1"},
      {"rows_max=1e3", QUERY_CSV, 0, 0, 0, IPC_COMPRESSION_NONE, 0, "rows_max=1e3"},
      {"rows_max=", QUERY_CSV, 0, 0, 0, IPC_COMPRESSION_NONE, 0, "rows_max="},
      {"timeout_s=1.5", QUERY_CSV, 0, 0, 0, IPC_COMPRESSION_NONE, 0, "timeout_s=1.5"},
      {"rows_max=9999999999999999999", QUERY_CSV, 0, 0, 0, IPC_COMPRESSION_NONE, 0, "rows_max"},
      {"compression=gzip", QUERY_ARROW, 0, 0, 0, IPC_COMPRESSION_NONE, 0, "compression=gzip"},
      {"compression=zstd:23", QUERY_ARROW, 0, 0, 0, IPC_COMPRESSION_NONE, 0, "zstd:23"},
      {"compression=zstd:", QUERY_ARROW, 0, 0, 0, IPC_COMPRESSION_NONE, 0, "zstd:"},
      {"compression=none:1", QUERY_ARROW, 0, 0, 0, IPC_COMPRESSION_NONE, 0, "none:1"},
      {"compression=lz4:13", QUERY_ARROW, 0, 0, 0, IPC_COMPRESSION_NONE, 0, "lz4:13"},
      {"compression=zstd", QUERY_CSV, 0, 0, 0, IPC_COMPRESSION_NONE, 0, "this one is text/csv"},
      {"rows_max=%zz", QUERY_CSV, 0, 0, 0, IPC_COMPRESSION_NONE, 0, "percent"},
  };
  static const struct server_config config = {
      .query = {.rows_max = 100},
      .query_timeout_ms = 5000,
      .compression = {.compression = IPC_COMPRESSION_ZSTD, .level = 7},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct query_options options;
    struct error error = {0};
    enum status status = query_options_read(cases[i].query_string, &config, cases[i].output,
                                            cases[i].codecs, &options, &error);
    if (cases[i].why != NULL) {
      assert_int_equal(status, STATUS_INVALID);
      if (strstr(error.text, cases[i].why) == NULL) fail_msg("%s", error.text);
      continue;
    }
    if (status != STATUS_OK) fail_msg("%s: %s", cases[i].query_string, error.text);
    assert_int_equal(options.rows_max, cases[i].rows_max);
    assert_int_equal(options.rows_asked, cases[i].rows_max != 100);
    assert_int_equal(options.timeout_ms, cases[i].timeout_ms);
    assert_int_equal(options.compression.compression, cases[i].compression);
    assert_int_equal(options.compression.level, cases[i].level);
  }
  static const struct server_config open = {.query = {.rows_max = 0}};
  struct query_options options;
  assert_int_equal(
      query_options_read("rows_max=5&timeout_s=9", &open, QUERY_CSV, 0, &options, NULL), STATUS_OK);
  assert_int_equal(options.rows_max, 5);
  assert_int_equal(options.timeout_ms, 9000);
  assert_int_equal(query_options_read("", &open, QUERY_ARROW, QUERY_ZSTD, &options, NULL),
                   STATUS_OK);
  assert_int_equal(options.compression.compression, IPC_COMPRESSION_NONE); /* as configured */
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
      cmocka_unit_test(codecs_say_what_a_reader_can_expand),
      cmocka_unit_test(a_request_lowers_limits_and_chooses_a_compression),
      cmocka_unit_test(json_gives_a_statement_and_typed_parameters),
      cmocka_unit_test(what_is_not_a_question_is_refused_with_the_reason),
      cmocka_unit_test(sql_must_be_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
