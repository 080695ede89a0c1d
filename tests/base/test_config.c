#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/config.h"

static enum status lower_case(const char *value, struct error *error) {
  for (const char *at = value; *at != '\0'; at++)
    if (*at >= 'A' && *at <= 'Z')
      return error_set(error, STATUS_INVALID, "write '%s' small", value);
  return STATUS_OK;
}

static const struct config_field FIELDS[] = {
    {.name = "name", .type = CONFIG_STRING, .required = true, .doc = "Who it is."},
    {.name = "folder", .type = CONFIG_PATH, .default_text = "data", .doc = "Where it is."},
    {.name = "port",
     .type = CONFIG_INTEGER,
     .default_text = "8888",
     .max = 65535,
     .environment = "TEST_CONFIG_PORT",
     .doc = "Where it listens."},
    {.name = "offset", .type = CONFIG_INTEGER, .doc = "Any number."},
    {.name = "wait", .type = CONFIG_INTEGER, .unit = "ms", .min = 1, .max = 10, .doc = "How long."},
    {.name = "memory", .type = CONFIG_BYTES, .default_text = "1GB", .doc = "How much."},
    {.name = "safe", .type = CONFIG_BOOLEAN, .default_text = "yes", .doc = "Whether."},
    {.name = "codec",
     .type = CONFIG_CHOICE,
     .default_text = "zstd",
     .choices = "zstd|lz4|none",
     .doc = "Which."},
    {.name = "parts",
     .type = CONFIG_LIST,
     .default_text = "a, b",
     .doc = "What of.",
     .check = lower_case},
    {.name = "password",
     .type = CONFIG_CHOICE,
     .choices = "right",
     .secret = true,
     .doc = "What nobody may see."},
    CONFIG_FIELD_END};

static struct config *fresh(void) {
  struct config *config = NULL;
  assert_int_equal(config_new(FIELDS, &config, NULL), STATUS_OK);
  return config;
}

static void every_field_starts_at_its_default(void **state) {
  (void)state;
  struct config *config = fresh();
  const char *const *items;
  assert_null(config_string(config, "name"));
  assert_false(config_has(config, "name"));
  assert_string_equal(config_string(config, "folder"), "data");
  assert_int_equal(config_integer(config, "port"), 8888);
  assert_int_equal(config_integer(config, "offset"), 0);
  assert_int_equal(config_integer(config, "memory"), 1000000000);
  assert_true(config_boolean(config, "safe"));
  assert_string_equal(config_string(config, "codec"), "zstd");
  assert_int_equal(config_list(config, "parts", &items), 2);
  assert_string_equal(items[0], "a");
  assert_string_equal(items[1], "b");
  assert_int_equal(config_origin(config, "port"), CONFIG_DEFAULT);
  config_free(config);
}

/* What is read back as text; `want` NULL: refused with `why`. */
static void values_are_read_exactly_or_refused_by_name(void **state) {
  (void)state;
  static const struct {
    const char *name, *given, *want, *why;
    int64_t integer;
  } cases[] = {
      {"port", "0", "0", NULL, 0},
      {"port", "65535", "65535", NULL, 65535},
      {"port", "65536", NULL, "'port' must be from 0 to 65535, not '65536'", 0},
      {"port", "-1", NULL, "'port' must be from 0 to 65535, not '-1'", 0},
      {"port", "", NULL, "'port' must be a whole number, not ''", 0},
      {"port", "80 ", NULL, "'port' must be a whole number, not '80 '", 0},
      {"port", "0x50", NULL, "'port' must be a whole number, not '0x50'", 0},
      {"wait", "ten", NULL, "'wait' must be a whole number of ms, not 'ten'", 0},
      {"wait", "11", NULL, "'wait' must be from 1 to 10 ms, not '11'", 0},
      {"offset", "9223372036854775807", "9223372036854775807", NULL, INT64_MAX},
      {"offset", "-9223372036854775808", "-9223372036854775808", NULL, INT64_MIN},
      {"offset", "9223372036854775808", NULL, "'offset' must be a whole number", 0},
      {"offset", "-9223372036854775809", NULL, "'offset' must be a whole number", 0},
      {"memory", "512MiB", "512MiB", NULL, 512 << 20},
      {"memory", "2 gb", "2 gb", NULL, 2000000000},
      {"memory", "1048576", "1048576", NULL, 1 << 20},
      {"memory", "1.5GB", NULL, "'memory' must be a number of bytes such as", 0},
      {"memory", "GB", NULL, "'memory' must be a number of bytes such as", 0},
      {"memory", "9000000000TB", NULL, "'memory' must be fewer bytes than 2^63, not '9000", 0},
      {"memory", "-1", NULL, "'memory' must be a number of bytes such as", 0},
      {"safe", "OFF", "OFF", NULL, 0},
      {"safe", "maybe", NULL, "'safe' must be true or false, not 'maybe'", 0},
      {"codec", "none", "none", NULL, 0},
      {"codec", "zst", NULL, "'codec' must be one of zstd|lz4|none, not 'zst'", 0},
      {"codec", "lz4|none", NULL, "'codec' must be one of", 0},
      {"codec", "", NULL, "'codec' must be one of", 0},
      {"folder", "", "", NULL, 0},
      {"folder", "~root/x", NULL, "write it out", 0},
      {"parts", "x , y,z", "x,y,z", NULL, 0},
      {"parts", " ", "", NULL, 0},
      {"parts", "x,,y", NULL, "'parts' has an empty item", 0},
      {"parts", "x,Y", NULL, "'parts': write 'Y' small", 0},
      {"parts", "x,", NULL, "'parts' has an empty item", 0},
      {"password", "wrong", NULL, "not '(hidden)'", 0},
      {"pasword", "1", NULL, "there is no setting 'pasword'; did you mean 'password'?", 0},
      {"zzz", "1", NULL, "there is no setting 'zzz'", 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct config *config = fresh();
    struct text text = TEXT_EMPTY;
    struct error error = {0};
    enum status status = config_set(config, cases[i].name, cases[i].given, CONFIG_FLAG, &error);
    if (cases[i].want == NULL) {
      assert_int_equal(status, STATUS_INVALID);
      if (strstr(error.text, cases[i].why) == NULL) fail_msg("%s", error.text);
    } else {
      assert_int_equal(status, STATUS_OK);
      assert_int_equal(config_print(config, cases[i].name, &text, NULL), STATUS_OK);
      assert_string_equal(text_get(&text), cases[i].want);
      assert_int_equal(config_integer(config, cases[i].name), cases[i].integer);
      assert_int_equal(config_origin(config, cases[i].name), CONFIG_FLAG);
    }
    text_release(&text);
    config_free(config);
  }
}

static void the_stronger_origin_wins_in_any_order(void **state) {
  (void)state;
  for (int first = CONFIG_FILE; first <= CONFIG_FLAG; first++)
    for (int second = CONFIG_FILE; second <= CONFIG_FLAG; second++) {
      struct config *config = fresh();
      assert_int_equal(config_set(config, "port", "1", (enum config_origin)first, NULL), 0);
      assert_int_equal(config_set(config, "port", "2", (enum config_origin)second, NULL), 0);
      assert_int_equal(config_integer(config, "port"), second >= first ? 2 : 1);
      /* A value that loses is checked all the same. */
      assert_int_equal(config_set(config, "port", "x", CONFIG_FILE, NULL), STATUS_INVALID);
      config_free(config);
    }
}

static void the_first_item_that_is_added_replaces_the_default(void **state) {
  (void)state;
  struct config *config = fresh();
  const char *const *items;
  assert_int_equal(config_add(config, "parts", "x, y", CONFIG_FILE, NULL), STATUS_OK);
  assert_int_equal(config_add(config, "parts", "z", CONFIG_FILE, NULL), STATUS_OK);
  assert_int_equal(config_list(config, "parts", &items), 2);
  assert_string_equal(items[0], "x, y"); /* an item may hold what separates items in text */
  assert_string_equal(items[1], "z");
  assert_int_equal(config_add(config, "parts", "flag", CONFIG_FLAG, NULL), STATUS_OK);
  assert_int_equal(config_add(config, "parts", "file", CONFIG_FILE, NULL), STATUS_OK);
  assert_int_equal(config_list(config, "parts", &items), 1);
  assert_string_equal(items[0], "flag");
  assert_int_equal(config_add(config, "parts", "", CONFIG_FLAG, NULL), STATUS_INVALID);
  config_free(config);
}

static void a_list_that_is_set_empty_is_empty(void **state) {
  (void)state;
  struct config *config = fresh();
  const char *const *items;
  assert_int_equal(config_set(config, "parts", "", CONFIG_FILE, NULL), STATUS_OK);
  assert_int_equal(config_list(config, "parts", &items), 0);
  assert_true(config_has(config, "parts"));
  config_free(config);
}

static void the_environment_is_read_and_named_in_errors(void **state) {
  (void)state;
  struct config *config = fresh();
  struct error error = {0};
  setenv("TEST_CONFIG_PORT", "1234", 1);
  assert_int_equal(config_environment(config, NULL), STATUS_OK);
  assert_int_equal(config_integer(config, "port"), 1234);
  assert_int_equal(config_origin(config, "port"), CONFIG_ENVIRONMENT);
  setenv("TEST_CONFIG_PORT", "http", 1);
  assert_int_equal(config_environment(config, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "environment variable TEST_CONFIG_PORT: 'port' must be"));
  assert_int_equal(config_integer(config, "port"), 1234);
  unsetenv("TEST_CONFIG_PORT");
  config_free(config);
}

static void a_home_path_is_written_out(void **state) {
  (void)state;
  struct config *config = fresh();
  setenv("HOME", "/home/somebody", 1);
  assert_int_equal(config_set(config, "folder", "~/data", CONFIG_FILE, NULL), STATUS_OK);
  assert_string_equal(config_string(config, "folder"), "/home/somebody/data");
  assert_int_equal(config_set(config, "folder", "a/~/b", CONFIG_FILE, NULL), STATUS_OK);
  assert_string_equal(config_string(config, "folder"), "a/~/b");
  config_free(config);
}

static void a_required_field_without_value_is_named(void **state) {
  (void)state;
  struct config *config = fresh();
  struct error error = {0};
  assert_int_equal(config_check(config, &error), STATUS_INVALID);
  assert_string_equal(error.text, "'name' is required: Who it is.");
  assert_int_equal(config_set(config, "name", "x", CONFIG_FILE, NULL), STATUS_OK);
  assert_int_equal(config_check(config, &error), STATUS_OK);
  config_free(config);
}

static void a_secret_is_never_printed(void **state) {
  (void)state;
  struct config *config = fresh();
  struct text text = TEXT_EMPTY;
  assert_int_equal(config_print(config, "password", &text, NULL), STATUS_OK);
  assert_string_equal(text_get(&text), "");
  assert_int_equal(config_set(config, "password", "right", CONFIG_FILE, NULL), STATUS_OK);
  assert_int_equal(config_print(config, "password", &text, NULL), STATUS_OK);
  assert_string_equal(text_get(&text), "(hidden)");
  assert_string_equal(config_string(config, "password"), "right");
  text_release(&text);
  config_free(config);
}

static void a_secret_that_was_taken_is_overwritten(void **state) {
  (void)state;
  struct config *config = fresh();
  struct text text = TEXT_EMPTY;
  assert_int_equal(config_set(config, "password", "right", CONFIG_FILE, NULL), STATUS_OK);
  const char *held = config_string(config, "password");
  config_wipe(config, "password");
  static const char nothing[sizeof "right"] = "";
  assert_memory_equal(held, nothing, sizeof nothing);
  assert_true(config_has(config, "password")); /* it is set, and shown as such */
  assert_int_equal(config_print(config, "password", &text, NULL), STATUS_OK);
  assert_string_equal(text_get(&text), "(hidden)");
  config_wipe(config, "name"); /* unset: nothing to do */
  text_release(&text);
  config_free(config);
}

static void a_value_without_measure_is_refused(void **state) {
  (void)state;
  struct config *config = fresh();
  char *huge = malloc(100000);
  assert_non_null(huge);
  memset(huge, 'x', 99999);
  huge[99999] = '\0';
  assert_int_equal(config_set(config, "name", huge, CONFIG_FILE, NULL), STATUS_TOO_LARGE);
  memset(huge, ',', 99999);
  assert_int_not_equal(config_set(config, "parts", huge, CONFIG_FILE, NULL), STATUS_OK);
  for (int i = 0; i < 5000; i++) memcpy(huge + 2 * i, "a,", 2);
  memcpy(huge + 10000, "a", 2);
  assert_int_equal(config_set(config, "parts", huge, CONFIG_FILE, NULL), STATUS_TOO_LARGE);
  free(huge);
  config_free(config);
}

static void help_says_all_that_a_row_says(void **state) {
  (void)state;
  struct text text = TEXT_EMPTY;
  assert_int_equal(config_help(FIELDS, &text, NULL), STATUS_OK);
  static const char *const parts[] = {
      "name      text; required\n            Who it is.\n",
      "port      number; default 8888; TEST_CONFIG_PORT\n            Where it listens.\n",
      "wait      number, ms\n", "codec     zstd|lz4|none; default zstd\n"};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
    if (strstr(text_get(&text), parts[i]) == NULL)
      fail_msg("no '%s' in:\n%s", parts[i], text_get(&text));
  text_release(&text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_field_starts_at_its_default),
      cmocka_unit_test(values_are_read_exactly_or_refused_by_name),
      cmocka_unit_test(the_stronger_origin_wins_in_any_order),
      cmocka_unit_test(the_first_item_that_is_added_replaces_the_default),
      cmocka_unit_test(a_list_that_is_set_empty_is_empty),
      cmocka_unit_test(the_environment_is_read_and_named_in_errors),
      cmocka_unit_test(a_home_path_is_written_out),
      cmocka_unit_test(a_required_field_without_value_is_named),
      cmocka_unit_test(a_secret_is_never_printed),
      cmocka_unit_test(a_secret_that_was_taken_is_overwritten),
      cmocka_unit_test(a_value_without_measure_is_refused),
      cmocka_unit_test(help_says_all_that_a_row_says),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
