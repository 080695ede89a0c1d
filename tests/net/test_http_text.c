#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/http_connection.h"

static void escapes_are_decoded_or_refused(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool plus_is_space;
    const char *want; /* NULL: refused */
  } cases[] = {
      {"", false, ""},
      {"abc", false, "abc"},
      {"a%20b", false, "a b"},
      {"%41%7a", false, "Az"},
      {"%C3%a4", false, "\xC3\xA4"},
      {"a+b", false, "a+b"},
      {"a+b", true, "a b"},
      {"%2B+", true, "+ "},
      {"%25%32%30", true, "%20"}, /* once, not twice */
      {"%", false, NULL},
      {"%4", false, NULL},
      {"%4g", false, NULL},
      {"%g4", false, NULL},
      {"% 4", false, NULL},
      {"a%00b", false, NULL},
      {"%%41", false, NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[32];
    memcpy(text, cases[i].text, strlen(cases[i].text) + 1);
    bool good = http_percent_decode(text, cases[i].plus_is_space);
    assert_int_equal(good, cases[i].want != NULL);
    if (good) assert_string_equal(text, cases[i].want);
  }
}

static void query_values_are_found_by_their_decoded_name(void **state) {
  (void)state;
  static const struct {
    const char *query, *name, *want;
    enum status status;
  } cases[] = {
      {"", "a", NULL, STATUS_OK},
      {"a=1", "a", "1", STATUS_OK},
      {"a", "a", "", STATUS_OK},
      {"a=", "a", "", STATUS_OK},
      {"b=2&a=1&a=3", "a", "1", STATUS_OK},
      {"ab=2", "a", NULL, STATUS_OK},
      {"&&a=x=y&", "a", "x=y", STATUS_OK},
      {"%61=%31+2", "a", "1 2", STATUS_OK},
      {"sql=SELECT%201%3B&x", "sql", "SELECT 1;", STATUS_OK},
      {"a=%zz", "a", NULL, STATUS_INVALID},
      {"a=%00", "a", NULL, STATUS_INVALID},
      {"%zz=1&b=%zz&a=1", "a", "1", STATUS_OK},
      {"=1", "a", NULL, STATUS_OK},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char *value = NULL;
    struct error error = {0};
    assert_int_equal(http_query_value(cases[i].query, cases[i].name, &value, &error),
                     cases[i].status);
    if (cases[i].want == NULL)
      assert_null(value);
    else
      assert_string_equal(value, cases[i].want);
    if (cases[i].status != STATUS_OK) assert_non_null(strstr(error.text, cases[i].name));
    free(value);
  }
}

static void every_status_has_a_phrase(void **state) {
  (void)state;
#define X(name, http, grpc, exit, meaning) assert_true(http_phrase(http)[0] != '\0');
  STATUS_TABLE(X)
#undef X
  assert_string_equal(http_phrase(799), "");
}

static void the_preface_of_http_2_is_told_from_its_beginnings(void **state) {
  (void)state;
  static const uint8_t preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore";
  for (size_t bytes = 0; bytes < 24; bytes++)
    assert_int_equal(http2_preface(preface, bytes), HTTP2_MAYBE);
  assert_int_equal(http2_preface(preface, 24), HTTP2_YES);
  assert_int_equal(http2_preface(preface, 28), HTTP2_YES);
  assert_int_equal(http2_preface((const uint8_t *)"POST", 4), HTTP2_NO);
  assert_int_equal(http2_preface((const uint8_t *)"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n", 24),
                   HTTP2_NO);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(escapes_are_decoded_or_refused),
      cmocka_unit_test(query_values_are_found_by_their_decoded_name),
      cmocka_unit_test(every_status_has_a_phrase),
      cmocka_unit_test(the_preface_of_http_2_is_told_from_its_beginnings),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
