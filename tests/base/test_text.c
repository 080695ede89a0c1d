#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

static void text_grows_and_stays_terminated(void **state) {
  (void)state;
  struct text text = TEXT_EMPTY;
  assert_string_equal(text_get(&text), "");
  for (int i = 0; i < 1000; i++)
    assert_int_equal(text_add_format(&text, NULL, "%d,", i % 10), STATUS_OK);
  assert_int_equal(text.size_bytes, 2000);
  assert_int_equal(strlen(text_get(&text)), 2000);
  text_clear(&text);
  assert_string_equal(text_get(&text), "");
  text_release(&text);
}

static void quotes_inside_quotes_are_doubled(void **state) {
  (void)state;
  struct text text = TEXT_EMPTY;
  assert_int_equal(text_add_identifier(&text, "a\"b", NULL), STATUS_OK);
  assert_int_equal(text_add_literal(&text, "it's", NULL), STATUS_OK);
  assert_string_equal(text_get(&text), "\"a\"\"b\"'it''s'");
  text_release(&text);
}

static void json_strings_are_escaped_and_always_valid(void **state) {
  (void)state;
  static const struct {
    const char *given;
    size_t bytes;
    const char *want;
  } cases[] = {
      {"plain", 5, "\"plain\""},
      {"", 0, "\"\""},
      {"q\" b\\ n\n t\t r\r", 14, "\"q\\\" b\\\\ n\\n t\\t r\\r\""},
      {"\x01\x1F", 2, "\"\\u0001\\u001f\""},
      {"a\0b", 3, "\"a\\u0000b\""},
      {"\xC3\xA9", 2, "\"\xC3\xA9\""},
      {"\xC3(\xFF", 3, "\"\xEF\xBF\xBD(\xEF\xBF\xBD\""},
      {"\xED\xA0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct text text = TEXT_EMPTY;
    assert_int_equal(text_add_json(&text, cases[i].given, cases[i].bytes, NULL), STATUS_OK);
    assert_string_equal(text_get(&text), cases[i].want);
    text_release(&text);
  }
}

static void a_misspelt_word_finds_the_one_that_was_meant(void **state) {
  (void)state;
  static const char *const names[] = {"storage_backend", "streams", "port", "host"};
  static const struct {
    const char *word, *want;
  } cases[] = {
      {"storage_backnd", "storage_backend"},
      {"stream", "streams"},
      {"prot", NULL}, /* two of four letters: too little is left to be sure */
      {"ports", "port"},
      {"completely_else", NULL},
      {"", NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *got = text_nearest(cases[i].word, names, 4);
    if (cases[i].want == NULL)
      assert_null(got);
    else
      assert_string_equal(got, cases[i].want);
  }
}

static void only_bytes_up_to_127_are_ascii_wherever_they_stand(void **state) {
  (void)state;
  uint8_t bytes[200];
  memset(bytes, 'a', sizeof bytes);
  bytes[7] = 0x7F;
  for (size_t length = 0; length <= sizeof bytes; length++)
    assert_true(utf8_is_ascii(bytes, length));
  for (size_t at = 0; at < sizeof bytes; at++) {
    uint8_t before = bytes[at];
    bytes[at] = 0x80;
    assert_false(utf8_is_ascii(bytes, sizeof bytes));
    assert_true(utf8_is_ascii(bytes, at));
    bytes[at] = before;
  }
}

static void text_for_a_terminal_shows_what_would_move_it(void **state) {
  (void)state;
  static const struct {
    const char *given;
    bool keep_lines;
    const char *want;
  } cases[] = {
      {"plain \xC3\xA9 \xF0\x9F\x98\x80", false, "plain \xC3\xA9 \xF0\x9F\x98\x80"},
      {"a\tb\nc", false, "a\\tb\\nc"},
      {"a\tb\nc", true, "a\tb\nc"},
      {"\x1B[2J\x7F\r", true, "\\x1B[2J\\x7F\\x0D"},
      {"\xC2\x9B"
       "1m",
       false,
       "\\x9B"
       "1m"},
      {"\xE2\x80\xAE"
       "abc",
       false, "\\u202Eabc"},
      {"\xFF\xE2\x82", false, "\\xFF\\xE2\\x82"},
      {"", false, ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct text text = TEXT_EMPTY;
    assert_int_equal(
        text_add_visible(&text, cases[i].given, strlen(cases[i].given), cases[i].keep_lines, NULL),
        STATUS_OK);
    assert_string_equal(text_get(&text), cases[i].want);
    text_release(&text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_grows_and_stays_terminated),
      cmocka_unit_test(quotes_inside_quotes_are_doubled),
      cmocka_unit_test(json_strings_are_escaped_and_always_valid),
      cmocka_unit_test(only_bytes_up_to_127_are_ascii_wherever_they_stand),
      cmocka_unit_test(a_misspelt_word_finds_the_one_that_was_meant),
      cmocka_unit_test(text_for_a_terminal_shows_what_would_move_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
