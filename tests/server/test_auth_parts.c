#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "server/auth.h"
#include "server/auth_parts.h"

/* ---- patterns ------------------------------------------------------------------------- */

static void patterns_match_whole_names(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *text;
    bool fold, want;
  } cases[] = {
      {"*", "", false, true},
      {"*", "anything", false, true},
      {"", "", false, true},
      {"", "a", false, false},
      {"a", "", false, false},
      {"abc", "abc", false, true},
      {"abc", "abcd", false, false},
      {"abc", "ab", false, false},
      {"abc", "ABC", false, false},
      {"aBc", "AbC", true, true},
      {"sensor_*", "sensor_", false, true},
      {"sensor_*", "sensor_a", false, true},
      {"sensor_*", "xsensor_a", false, false},
      {"*_raw", "a_raw", false, true},
      {"*_raw", "a_raw_raw", false, true},
      {"*_raw", "a_rawx", false, false},
      {"a*b*c", "axxbyyc", false, true},
      {"a*b*c", "axxbyy", false, false},
      {"a*b*c", "abcbc", false, true},
      {"a?c", "abc", false, true},
      {"a?c", "ac", false, false},
      {"a?c",
       "a\xC3\xA4"
       "c",
       false, true}, /* one character, two bytes */
      {"a??c",
       "a\xC3\xA4"
       "c",
       false, false},
      {"?", "", false, false},
      {"*?", "", false, false},
      {"*?", "a", false, true},
      {"**", "", false, true},
      {"*a*", "bbb", false, false},
      {"[ab]", "a", false, false}, /* nothing else is special */
      {"[ab]", "[ab]", false, true},
      {"a\\*", "a*", false, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    if (auth_pattern_matches(cases[i].pattern, cases[i].text, cases[i].fold) != cases[i].want)
      fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].text);
}

/* Tried in every combination, these would take longer than the universe has. */
static void a_pattern_of_many_stars_takes_no_time(void **state) {
  (void)state;
  char pattern[256];
  char text[256];
  for (size_t i = 0; i < 254; i += 2) memcpy(&pattern[i], "*a", 2);
  memcpy(&pattern[254], "b", 2);
  memset(text, 'a', 255);
  text[255] = '\0';
  int64_t start_ms = clock_now_ms();
  assert_false(auth_pattern_matches(pattern, text, true));
  assert_true(clock_now_ms() - start_ms < 2000);
}

static void table_patterns_match_part_by_part(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *table;
    bool want;
  } cases[] = {
      {"*", "a", true},
      {"*", "s.a", true},
      {"*", "c.s.a", true},
      {"sensor_*", "sensor_a", true},
      {"sensor_*", "SENSOR_A", true}, /* to SQL it is the same table */
      {"sensor_*", "main.sensor_a", true},
      {"sensor_*", "MAIN.sensor_a", true},
      {"sensor_*", "other.sensor_a", false},
      {"sensor_*", "sensor_x.secret", false}, /* the star ends with its part */
      {"sensor_*", "c.main.sensor_a", false}, /* of another database */
      {"sensor_*", "\"sensor_x.y\"", true},
      {"main.a", "a", true},
      {"main.a", "main.a", true},
      {"sales.*", "sales.orders", true},
      {"sales.*", "Sales.orders", true},
      {"sales.*", "sales", false},
      {"sales.*", "sales2.orders", false},
      {"*.*", "orders", true},
      {"*.*", "sales.orders", true},
      {"*.*", "c.sales.orders", false},
      {"*.*.*", "c.sales.orders", true},
      {"*.*.*", "sales.orders", false},
      {"c.sales.*", "c.sales.orders", true},
      {"\"a.b\"", "\"a.b\"", true},
      {"\"a.b\"", "a.b", false},
      {"a.b", "\"a.b\"", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct table_name name;
    assert_int_equal(table_name_parse(cases[i].table, strlen(cases[i].table), &name, NULL),
                     STATUS_OK);
    if (auth_pattern_table(cases[i].pattern, &name) != cases[i].want)
      fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].table);
  }
  struct error error;
  assert_int_equal(auth_pattern_table_check("a..b", &error), STATUS_INVALID);
  assert_int_equal(auth_pattern_table_check("a.*", &error), STATUS_OK);
}

/* ---- base64 and hashes ------------------------------------------------------------------ */

static void base64_has_one_text_for_one_value(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool padded;
    const char *want; /* NULL: refused */
  } cases[] = {
      {"", true, ""},           {"Zg==", true, "f"},        {"Zm8=", true, "fo"},
      {"Zm9v", true, "foo"},    {"Zm9vYg==", true, "foob"}, {"Zg", false, "f"},
      {"Zm8", false, "fo"},     {"Zm9v", false, "foo"},     {"Zg", true, NULL},
      {"Zg=", true, NULL},      {"Zg===", true, NULL},      {"=", true, NULL},
      {"====", true, NULL},     {"Z===", true, NULL},       {"Zg==", false, NULL},
      {"Zh==", true, NULL}, /* bits that mean nothing */
      {"Zm9=", true, NULL},     {"Zm9 ", true, NULL},       {" Zm9", true, NULL},
      {"Zm\n9", true, NULL},    {"Zm-_", true, NULL},       {"Z", false, NULL},
      {"Zg==Zg==", true, NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint8_t out[16];
    size_t bytes = 0;
    bool taken = auth_base64_decode(cases[i].text, strlen(cases[i].text), cases[i].padded, out,
                                    sizeof out, &bytes);
    if (taken != (cases[i].want != NULL)) fail_msg("'%s'", cases[i].text);
    if (!taken) continue;
    assert_int_equal(bytes, strlen(cases[i].want));
    assert_memory_equal(out, cases[i].want, bytes);
  }
  uint8_t small[2];
  size_t bytes;
  assert_false(auth_base64_decode("Zm9v", 4, true, small, 2, &bytes));
  assert_true(auth_base64_decode("Zm8=", 4, true, small, 2, &bytes));
}

static void a_hash_holds_for_its_password_only(void **state) {
  (void)state;
  struct text one = TEXT_EMPTY;
  struct text other = TEXT_EMPTY;
  struct error error;
  assert_int_equal(auth_hash("correct horse", &one, &error), STATUS_OK);
  assert_int_equal(auth_hash("correct horse", &other, &error), STATUS_OK);
  assert_string_not_equal(text_get(&one), text_get(&other)); /* salted */
  assert_true(strncmp(text_get(&one), "$scrypt$ln=15,r=8,p=1$", 22) == 0);
  struct auth_hash hash;
  assert_int_equal(auth_hash_parse(text_get(&one), &hash, &error), STATUS_OK);
  assert_true(auth_hash_matches(&hash, "correct horse"));
  assert_false(auth_hash_matches(&hash, "correct horsf"));
  assert_false(auth_hash_matches(&hash, ""));
  struct auth_hash dummy;
  assert_true(auth_hash_dummy(&hash, &dummy));
  assert_int_equal(dummy.ln, hash.ln);
  assert_memory_not_equal(dummy.hash, hash.hash, hash.hash_bytes);
  text_release(&one);
  text_release(&other);
}

/* RFC 7914, section 12: the vector for "pleaseletmein", N = 2^14, r = 8, p = 1. */
static void the_hash_is_scrypt(void **state) {
  (void)state;
  struct auth_hash hash;
  struct error error;
  assert_int_equal(auth_hash_parse("$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$"
                                   "cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUk"
                                   "Kpr55h6F3A1lHkDfzwF7RVdYhw",
                                   &hash, &error),
                   STATUS_OK);
  assert_true(auth_hash_matches(&hash, "pleaseletmein"));
  assert_false(auth_hash_matches(&hash, "pleaseletmeout"));
}

static void what_is_no_hash_is_refused_without_being_repeated(void **state) {
  (void)state;
  static const char *const cases[] = {
      "",
      "hunter2-in-the-clear",
      "$scrypt$",
      "$scrypt$ln=15,r=8,p=1$",
      "$scrypt$ln=15,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA",
      "$scrypt$ln=15,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$",
      "$scrypt$ln=15,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA",                   /* too short */
      "$scrypt$ln=15,r=8,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",           /* a salt likewise */
      "$scrypt$ln=21,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", /* 2 GiB */
      "$scrypt$ln=20,r=32,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
      "$scrypt$ln=18,r=8,p=32$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", /* minutes */
      "$scrypt$ln=5,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",   /* nothing */
      "$scrypt$ln=-1,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
      "$scrypt$ln=15,r=8$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
      "$scrypt$ln=99999999999,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
      "$argon2id$v=19$m=65536,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
      "$scrypt$ln=15,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA\n",
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct auth_hash hash;
    struct error error = {0};
    if (auth_hash_parse(cases[i], &hash, &error) != STATUS_INVALID) fail_msg("%s", cases[i]);
    assert_non_null(strstr(error.text, "arrowport hash-password"));
    assert_null(strstr(error.text, "hunter2"));
    assert_null(strstr(error.text, "AAAA"));
  }
}

/* ---- logins that were right --------------------------------------------------------------- */

static void a_login_is_known_for_five_minutes(void **state) {
  (void)state;
  static const char anna[] = "anna";
  struct auth_cache *cache = auth_cache_new();
  assert_non_null(cache);
  assert_null(auth_cache_get(cache, "anna", "secret", 0));
  auth_cache_put(cache, "anna", "secret", anna, 0);
  assert_ptr_equal(auth_cache_get(cache, "anna", "secret", AUTH_CACHE_MS - 1), anna);
  assert_null(auth_cache_get(cache, "anna", "secre", 1));
  assert_null(auth_cache_get(cache, "annas", "ecret", 1)); /* the same letters, cut elsewhere */
  assert_null(auth_cache_get(cache, "anna", "", 1));
  assert_null(auth_cache_get(cache, "anna", "secret", AUTH_CACHE_MS)); /* use does not prolong */
  auth_cache_free(cache);
  auth_cache_free(NULL);
}

static void the_login_used_longest_ago_is_forgotten_first(void **state) {
  (void)state;
  static const char value[] = "x";
  struct auth_cache *cache = auth_cache_new();
  assert_non_null(cache);
  char name[16];
  for (int i = 0; i < AUTH_CACHE_ENTRIES; i++) {
    snprintf(name, sizeof name, "u%d", i);
    auth_cache_put(cache, name, "p", value, 0);
  }
  assert_non_null(auth_cache_get(cache, "u0", "p", 1));
  auth_cache_put(cache, "one more", "p", value, 1);
  assert_non_null(auth_cache_get(cache, "u0", "p", 1));
  assert_null(auth_cache_get(cache, "u1", "p", 1));
  assert_non_null(auth_cache_get(cache, "u2", "p", 1));
  assert_non_null(auth_cache_get(cache, "one more", "p", 1));
  auth_cache_free(cache);
}

/* ---- the header ------------------------------------------------------------------------------ */

static void the_header_is_read_strictly(void **state) {
  (void)state;
  static const struct {
    const char *value;
    enum auth_scheme scheme;
    const char *one, *other;
  } cases[] = {
      {NULL, AUTH_SCHEME_NONE, NULL, NULL},
      {"Bearer abc", AUTH_SCHEME_BEARER, "abc", NULL},
      {"bearer  abc", AUTH_SCHEME_BEARER, "abc", NULL},
      {"BEARER a-._~+/=", AUTH_SCHEME_BEARER, "a-._~+/=", NULL},
      {"Bearer", AUTH_SCHEME_BROKEN, NULL, NULL},
      {"Bearer ", AUTH_SCHEME_BROKEN, NULL, NULL},
      {"Bearer a b", AUTH_SCHEME_BROKEN, NULL, NULL},
      {"Bearer a,b", AUTH_SCHEME_BROKEN, NULL, NULL},
      {"Bearer a\xC3\xA4", AUTH_SCHEME_BROKEN, NULL, NULL},
      {"Bearerabc", AUTH_SCHEME_BROKEN, NULL, NULL},
      {"Basic YW5uYTpzZWNyZXQ=", AUTH_SCHEME_BASIC, "anna", "secret"},
      {"basic YW5uYTphOmI=", AUTH_SCHEME_BASIC, "anna", "a:b"},
      {"Basic Og==", AUTH_SCHEME_BASIC, "", ""},
      {"Basic YW5uYTo=", AUTH_SCHEME_BASIC, "anna", ""},
      {"Basic YW5uYQ==", AUTH_SCHEME_BROKEN, NULL, NULL},             /* no colon */
      {"Basic YW5uYTpzZWNyZXQ", AUTH_SCHEME_BASIC, "anna", "secret"}, /* no padding, as from Go */
      {"Basic YW5uYTo", AUTH_SCHEME_BASIC, "anna", ""},
      {"Basic YW5uYQ", AUTH_SCHEME_BROKEN, NULL, NULL},    /* no colon */
      {"Basic YW5uYTp", AUTH_SCHEME_BROKEN, NULL, NULL},   /* bits that mean nothing */
      {"Basic YW5uYTo==", AUTH_SCHEME_BROKEN, NULL, NULL}, /* more padding than it needs */
      {"Basic YQA6Yg==", AUTH_SCHEME_BROKEN, NULL, NULL},  /* a NUL */
      {"Basic", AUTH_SCHEME_BROKEN, NULL, NULL},
      {"Basic ", AUTH_SCHEME_BROKEN, NULL, NULL},
      {"Basic anna:secret", AUTH_SCHEME_BROKEN, NULL, NULL},
      {"Digest username=x", AUTH_SCHEME_BROKEN, NULL, NULL},
      {"", AUTH_SCHEME_BROKEN, NULL, NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct auth_header header;
    struct error error;
    assert_int_equal(auth_header_parse(cases[i].value, &header, &error), STATUS_OK);
    if (header.scheme != cases[i].scheme) fail_msg("'%s'", cases[i].value);
    if (header.scheme == AUTH_SCHEME_BEARER) assert_string_equal(header.token, cases[i].one);
    if (header.scheme == AUTH_SCHEME_BASIC) {
      assert_string_equal(header.name, cases[i].one);
      assert_string_equal(header.password, cases[i].other);
    }
    auth_header_release(&header);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(patterns_match_whole_names),
      cmocka_unit_test(a_pattern_of_many_stars_takes_no_time),
      cmocka_unit_test(table_patterns_match_part_by_part),
      cmocka_unit_test(base64_has_one_text_for_one_value),
      cmocka_unit_test(a_hash_holds_for_its_password_only),
      cmocka_unit_test(the_hash_is_scrypt),
      cmocka_unit_test(what_is_no_hash_is_refused_without_being_repeated),
      cmocka_unit_test(a_login_is_known_for_five_minutes),
      cmocka_unit_test(the_login_used_longest_ago_is_forgotten_first),
      cmocka_unit_test(the_header_is_read_strictly),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
