/* The shared suite for every sink that is built in: one line each, at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sink/duckdb.h"
#include "suite.h"

static void nothing_to_configure(struct config *config) { (void)config; }
static void nothing_to_clean(void) {}

/* ---- duckdb -------------------------------------------------------------------------- */

static char folder[64], path[96];

static void duckdb_in_a_file(struct config *config) {
  struct error error = {0};
  if (folder[0] == '\0') {
    strcpy(folder, "/tmp/arrowport-sink-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/data.duckdb", folder);
  }
  if (config_set(config, "path", path, CONFIG_FLAG, &error) != STATUS_OK)
    fail_msg("%s", error.text);
}

static void duckdb_clean(void) {
  char wal[128];
  snprintf(wal, sizeof wal, "%s.wal", path);
  unlink(path);
  unlink(wal);
  assert_int_equal(rmdir(folder), 0); /* and nothing else was in it */
  folder[0] = '\0';
}

static enum status duckdb_read(struct sink *sink, const struct table_name *table, struct text *out,
                               struct error *error) {
  return suite_read(sink_duckdb_engine(sink), table, out, error);
}

int main(void) {
  static const struct suite_target targets[] = {
      {"duckdb in memory", "duckdb", nothing_to_configure, nothing_to_clean, false, duckdb_read},
      {"duckdb in a file", "duckdb", duckdb_in_a_file, duckdb_clean, true, duckdb_read},
      {"null", "null", nothing_to_configure, nothing_to_clean, false, NULL},
  };
  int failed = 0;
  for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) failed += suite_run(&targets[i]);
  return failed;
}
