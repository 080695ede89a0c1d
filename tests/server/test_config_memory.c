#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "server/config.h"

#define MIB ((int64_t)1 << 20)

static void memory_limit_follows_what_there_is(void **state) {
  (void)state;
  static const struct {
    const char *yaml;
    enum memory_source source;
    int64_t bound_bytes, limit_bytes;
    const char *why, *shown, *warning; /* "": none */
  } cases[] = {
      {"", MEMORY_UNKNOWN, INT64_MAX, 1000000000, "", "1GB ", ""},
      {"", MEMORY_MACHINE, 16384 * MIB, 1000000000, "", "1GB ", ""},
      {"", MEMORY_GROUP, 2000000000, 1000000000, "", "1GB ", ""},
      {"", MEMORY_GROUP, 1024 * MIB, 512 * MIB, "half of the control group's 1 GiB (/g)", "512MiB ",
       ""},
      {"", MEMORY_GROUP, 512 * MIB, 256 * MIB, "half of the control group's 512 MiB (/g)",
       "256MiB ", ""},
      {"", MEMORY_GROUP, 900000000, 450000000, "half of the control group's 900 MB (/g)",
       "450000000 ", ""},
      {"", MEMORY_MACHINE, 256 * MIB, 128 * MIB, "half of the machine's 256 MiB", "128MiB ", ""},
      {"", MEMORY_GROUP, 100 * MIB, 64 * MIB, "the least, more than half of the control group's",
       "64MiB ", ""},
      {"memory_limit: 300MB\n", MEMORY_GROUP, 512 * MIB, 300000000, "", "300MB ", ""},
      {"memory_limit: 1GB\n", MEMORY_GROUP, 512 * MIB, 1000000000, "", "1GB ",
       "memory_limit: 1 GB and the 192 MiB that the process takes besides are more than the "
       "control group's 512 MiB (/g)"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct server_config *config = NULL;
    const struct memory_bound bound = {
        .bytes = cases[i].bound_bytes, .source = cases[i].source, .file = "/g"};
    struct text shown = TEXT_EMPTY;
    struct error error = {0};
    assert_int_equal(
        server_config_parse(cases[i].yaml, strlen(cases[i].yaml), "a", &config, &error), STATUS_OK);
    assert_int_equal(server_config_bound(config, &bound, &error), STATUS_OK);
    assert_int_equal(config->memory_limit_bytes, cases[i].limit_bytes);
    assert_non_null(strstr(config->memory_why, cases[i].why));
    assert_int_equal(config->memory_why[0] == '\0', cases[i].why[0] == '\0');
    assert_ptr_equal(strstr(config->memory_warning, cases[i].warning), config->memory_warning);
    assert_int_equal(config->memory_warning[0] == '\0', cases[i].warning[0] == '\0');
    assert_int_equal(server_config_show(config, false, &shown, &error), STATUS_OK);
    const char *line = strstr(text_get(&shown), "\nmemory_limit ");
    assert_non_null(line);
    const char *end = strchr(line + 1, '\n');
    const char *value = strstr(line, cases[i].shown);
    assert_true(value != NULL && value < end);
    const char *why = strstr(line, cases[i].why);
    assert_true(why != NULL && why < end);
    text_release(&shown);
    server_config_free(config);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(memory_limit_follows_what_there_is)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
