#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/private.h"

#include "duckdb_numbers.h" /* our declarations against the table of numbers */

/* Runs first: a library that was loaded stays loaded. */
static void a_root_without_the_library_is_named(void **state) {
  (void)state;
  const char *root = getenv("DUCKDB_ROOT");
  char *kept = root == NULL ? NULL : strdup(root);
  assert_int_equal(setenv("DUCKDB_ROOT", "/nowhere", 1), 0);
  struct error error = {0};
  const char *version = "";
  assert_int_equal(engine_version(&version, &error), STATUS_NOT_FOUND);
  assert_null(version);
  assert_non_null(strstr(error.text, "/nowhere/libduckdb.so, /nowhere/lib/libduckdb.so"));
  assert_non_null(strstr(error.text, "Set DUCKDB_ROOT"));
  if (kept == NULL)
    unsetenv("DUCKDB_ROOT");
  else
    setenv("DUCKDB_ROOT", kept, 1);
  free(kept);
}

static void another_library_of_that_name_is_refused(void **state) {
  (void)state;
  char folder[] = "/tmp/arrowport-test-XXXXXX", path[64];
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/libduckdb.so", folder);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_true(fputs("not a library", file) >= 0);
  assert_int_equal(fclose(file), 0);
  const char *root = getenv("DUCKDB_ROOT");
  char *kept = root == NULL ? NULL : strdup(root);
  setenv("DUCKDB_ROOT", folder, 1);
  struct error error = {0};
  const char *version;
  assert_int_equal(engine_version(&version, &error), STATUS_NOT_FOUND);
  assert_non_null(strstr(error.text, "is there but cannot be loaded"));
  if (kept == NULL)
    unsetenv("DUCKDB_ROOT");
  else
    setenv("DUCKDB_ROOT", kept, 1);
  free(kept);
  remove(path);
  remove(folder);
}

static void the_version_is_the_one_we_declare(void **state) {
  (void)state;
  struct error error = {0};
  const char *version;
  assert_int_equal(engine_version(&version, &error), STATUS_OK);
  assert_int_equal(strncmp(version, "v1.5.", 5), 0);
}

static void every_function_is_there(void **state) {
  (void)state;
  const struct duckdb_api *duckdb;
  struct error error = {0};
  assert_int_equal(library_load(&duckdb, &error), STATUS_OK);
#define X(result, name, arguments) assert_non_null(duckdb->name);
  DUCKDB_FUNCTIONS(X)
#undef X
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_root_without_the_library_is_named),
      cmocka_unit_test(another_library_of_that_name_is_refused),
      cmocka_unit_test(the_version_is_the_one_we_declare),
      cmocka_unit_test(every_function_is_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
