/* Where the extension of DuckLake is, for tests that need it: ARROWPORT_TEST_DUCKLAKE, or what the
 * tests' Python environment holds (tests/requirements.txt). */
#ifndef ARROWPORT_TESTS_DUCKLAKE_H
#define ARROWPORT_TESTS_DUCKLAKE_H

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

/* NULL: there is none, and the tests of lakes are left out. */
static inline const char *ducklake_extension(void) {
  static char path[4096];
  const char *named = getenv("ARROWPORT_TEST_DUCKLAKE");
  if (named != NULL) return named;
  glob_t found;
  if (glob(ARROWPORT_TEST_DATA "/../../.deps/venv/lib/python3*/site-packages/"
                               "duckdb_extension_ducklake/extensions/*/ducklake.duckdb_extension",
           0, NULL, &found) == 0)
    snprintf(path, sizeof path, "%s", found.gl_pathv[0]);
  globfree(&found);
  if (path[0] == '\0') fprintf(stderr, "no DuckLake extension: its tests are left out\n");
  return path[0] == '\0' ? NULL : path;
}

#endif
