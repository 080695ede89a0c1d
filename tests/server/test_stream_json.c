#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stream_json_read.h"

static struct budget budget = {.limit_bytes = 64 << 20};

static void read_in_pieces(const char *body, size_t step, size_t room,
                           struct stream_json_read *read) {
  stream_json_read((const uint8_t *)body, strlen(body), step, room, &budget, read);
}

static const size_t steps[] = {1, 2, 3, 5, 7, 16, 1000};
static const size_t rooms[] = {1, 2, 4, 5, 100};
enum { STEP_COUNT = sizeof steps / sizeof steps[0], ROOM_COUNT = sizeof rooms / sizeof rooms[0] };

static void bodies_are_read_however_they_are_cut(void **state) {
  (void)state;
  static const struct {
    const char *body, *events, *config, *schema, *data;
  } cases[] = {
      {"{\"config\":{},\"batch\":{\"arrow_schema\":\"Zm9v\",\"data\":\"YmFy\"}}", "csd", "{}",
       "foo", "bar"},
      {"{\"batch\":{\"data\":\"YmFyYmFy\",\"arrow_schema\":\"Zg==\"},\"config\":{\"a\":1}}", "dsc",
       "{\"a\":1}", "f", "barbar"},
      {" {\n \"config\" :\t{ \"a\" : [1, {\"}\" : \"\\\"}]\"} ] }\r\n, \"batch\" : { \"data\" : "
       "\"Zm9vYg==\" } } \n",
       "cd", "{ \"a\" : [1, {\"}\" : \"\\\"}]\"} ] }", "", "foob"},
      {"{\"config\":{},\"batch\":{\"data\":\"\"}}", "cd", "{}", "", ""},
      {"{\"\\u0063onfig\":{},\"b\\u0061tch\":{\"d\\u0061t\\u0061\":\"Zm9v\"}}", "cd", "{}", "",
       "foo"},
      {"{\"config\":{},\"batch\":{\"data\":\"\\/+\\/+Zm9v\\u005aA\\u003D\\u003d\"}}", "cd", "{}",
       "",
       "\xff\xef\xfe"
       "food"},
      {"{\"config\":{},\"batch\":{\"data\":\"Zm\\n9v\\r\\n Zm9v\\t\"}}", "cd", "{}", "", "foofoo"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (size_t s = 0; s < STEP_COUNT; s++)
      for (size_t r = 0; r < ROOM_COUNT; r++) {
        struct stream_json_read read;
        read_in_pieces(cases[i].body, steps[s], rooms[r], &read);
        if (read.status != STATUS_OK) fail_msg("%s: %s", cases[i].body, read.error.text);
        assert_string_equal(read.events, cases[i].events);
        assert_string_equal(text_get(&read.config), cases[i].config);
        assert_int_equal(read.schema.size_bytes, strlen(cases[i].schema));
        if (read.schema.size_bytes > 0)
          assert_memory_equal(read.schema.data, cases[i].schema, strlen(cases[i].schema));
        assert_int_equal(read.data.size_bytes, strlen(cases[i].data));
        if (read.data.size_bytes > 0)
          assert_memory_equal(read.data.data, cases[i].data, strlen(cases[i].data));
        stream_json_read_release(&read);
      }
  assert_int_equal(budget.used_bytes, 0);
}

#define BATCH "\"batch\":{\"data\":\"Zm9v\"}"

static void what_is_wrong_is_refused_with_its_place(void **state) {
  (void)state;
  static const struct {
    const char *body, *word;
  } cases[] = {
      {"", "empty"},
      {" ", "ends before"},
      {"{", "ends before"},
      {"[]", "byte 0"},
      {"\xef\xbb\xbf{}", "byte 0"},
      {"null", "byte 0"},
      {"{}", "\"config\""},
      {"{\"config\":{}}", "\"batch\""},
      {"{\"config\":{},\"batch\":{}}", "\"batch.data\""},
      {"{" BATCH "}", "\"config\""},
      {"{\"config\":{}," BATCH "}x", "byte 37"},
      {"{\"config\":{}," BATCH "}}", "byte 37"},
      {"{\"config\":{}," BATCH, "ends before"},
      {"{\"config\":{}," BATCH ",}", "the begin of a name"},
      {"{,\"config\":{}}", "byte 1"},
      {"{\"config\" {}}", "a colon"},
      {"{\"config\":{} " BATCH "}", "a comma"},
      {"{\"config\":1}", "\"config\""},
      {"{\"config\":null}", "\"config\""},
      {"{\"config\":\"{}\"}", "\"config\""},
      {"{\"batch\":[]}", "\"batch\""},
      {"{\"batch\":{\"data\":1}}", "base64"},
      {"{\"batch\":{\"data\":null}}", "base64"},
      {"{\"confg\":{}}", "did you mean config?"},
      {"{\"batch\":{\"datas\":\"\"}}", "did you mean data?"},
      {"{\"data\":\"Zm9v\"}", "\"data\" is not known in the body"},
      {"{\"batch\":{\"config\":{}}}", "\"config\" is not known in \"batch\""},
      {"{\"config\":{},\"config\":{}}", "\"config\" twice"},
      {"{\"batch\":{\"data\":\"Zm9v\",\"d\\u0061ta\":\"Zm9v\"}}", "\"data\" twice"},
      {"{\"\\x\":1}", "an escape"},
      {"{\"\\u00g0\":1}", "an escape"},
      {"{\"\\u0000config\":1}", "not known"},
      {"{\"con\nfig\":{}}", "byte 5"},
      {"{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":"
       "1}",
       "byte 66"},
      {"{\"batch\":{\"data\":\"Zm9\"}}", "padding is missing"},
      {"{\"batch\":{\"data\":\"Zm9vZg=\"}}", "padding is missing"},
      {"{\"batch\":{\"data\":\"Zm9vZg==Zg==\"}}", "byte 26"},
      {"{\"batch\":{\"data\":\"Zm9v-_\"}}", "byte 22"},
      {"{\"batch\":{\"data\":\"Zm9v\nZm9v\"}}", "byte 22"},
      {"{\"batch\":{\"data\":\"Zm9v\\f\"}}", "base64"},
      {"{\"batch\":{\"data\":\"Zm9v\\u015a\"}}", "base64"},
      {"{\"batch\":{\"data\":\"Zm9v\\u000a\\u000b\"}}", "base64"},
      {"{\"batch\":{\"data\":\"Zm9v\\q\"}}", "an escape"},
      {"{\"batch\":{\"data\":\"Zm9v", "ends before"},
      {"{\"config\":{\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}}", "16 deep"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (size_t s = 0; s < STEP_COUNT; s++) {
      struct stream_json_read read;
      read_in_pieces(cases[i].body, steps[s], 3, &read);
      if (read.status != STATUS_INVALID) fail_msg("%s was taken", cases[i].body);
      if (strstr(read.error.text, cases[i].word) == NULL)
        fail_msg("%s: %s", cases[i].body, read.error.text);
      stream_json_read_release(&read);
    }
  assert_int_equal(budget.used_bytes, 0);
}

static void a_config_and_a_schema_have_an_end(void **state) {
  (void)state;
  size_t bytes = 24 << 20;
  char *body = malloc(bytes + 64);
  assert_non_null(body);
  struct stream_json_read read;
  int head = snprintf(body, bytes + 64, "{\"config\":{\"a\":\"");
  memset(body + head, 'x', 70000);
  memcpy(body + head + 70000, "\"}", 3);
  read_in_pieces(body, 4096, 4096, &read);
  assert_int_equal(read.status, STATUS_TOO_LARGE);
  assert_non_null(strstr(read.error.text, "config"));
  stream_json_read_release(&read);

  head = sprintf(body, "{\"batch\":{\"arrow_schema\":\"");
  memset(body + head, 'A', bytes);
  body[(size_t)head + bytes] = '\0';
  read_in_pieces(body, 1 << 16, 4096, &read);
  assert_int_equal(read.status, STATUS_TOO_LARGE);
  assert_non_null(strstr(read.error.text, "arrow_schema"));
  stream_json_read_release(&read);
  assert_int_equal(budget.used_bytes, 0);

  struct budget small = {.limit_bytes = 1 << 20};
  stream_json_read((const uint8_t *)body, strlen(body), 1 << 16, 4096, &small, &read);
  assert_int_equal(read.status, STATUS_BUDGET);
  stream_json_read_release(&read);
  assert_int_equal(small.used_bytes, 0);
  free(body);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bodies_are_read_however_they_are_cut),
      cmocka_unit_test(what_is_wrong_is_refused_with_its_place),
      cmocka_unit_test(a_config_and_a_schema_have_an_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
