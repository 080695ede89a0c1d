/* CSV and NDJSON as sources: rows in order, what is wrong with its line, and names that are
 * nothing but names. Parquet comes from others' writers: tests/e2e/test_cli_ingest.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "source/rows.h"
#include "source/source.h"

enum { ROWS = 300000 };

static struct budget budget = {.limit_bytes = 64 << 20};
static char folder[] = "/tmp/arrowport-table-file-XXXXXX";

static const char *path_of(const char *name) {
  static char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static const char *store(const char *name, const char *text) {
  FILE *file = fopen(path_of(name), "w");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
  return path_of(name);
}

static enum status open_as(const char *path, struct table_file_options options,
                           struct source **source, struct error *error) {
  options.budget = &budget;
  options.threads = 2;
  return source_open_table_file(path, &options, source, error);
}

static void rows_come_in_the_order_of_the_file_in_bounded_memory(void **state) {
  (void)state;
  FILE *file = fopen(path_of("many.csv"), "w");
  assert_non_null(file);
  fputs("id,name\n", file);
  for (int i = 0; i < ROWS; i++) fprintf(file, "%d,name %d\n", i, i);
  assert_int_equal(fclose(file), 0);
  struct source *source = NULL;
  struct error error = {.status = STATUS_OK};
  struct table_file_options options = {.kind = TABLE_FILE_CSV};
  if (open_as(path_of("many.csv"), options, &source, &error) != STATUS_OK)
    fail_msg("%s", error.text);
  assert_string_equal(source_schema(source)->children[0]->name, "id");
  assert_string_equal(source_schema(source)->children[0]->format, "l");
  assert_true(source_fraction(source) < 0); /* how many rows there are is not known */
  int64_t rows = 0;
  int batches = 0;
  for (;; batches++) {
    struct ArrowArray batch = {.release = NULL};
    if (source_next(source, &batch, &error) != STATUS_OK) fail_msg("%s", error.text);
    if (batch.release == NULL) break;
    const struct ArrowArray *ids = batch.children[0];
    const int64_t *values = (const int64_t *)ids->buffers[1] + ids->offset;
    for (int64_t i = 0; i < batch.length; i++) assert_int_equal(values[i], rows + i);
    rows += batch.length;
    batch.release(&batch);
  }
  assert_int_equal(rows, ROWS);
  assert_true(batches > 1);
  source_close(source);
}

static void columns_are_text_and_separated_as_asked(void **state) {
  (void)state;
  struct source *source = NULL;
  struct error error = {.status = STATUS_OK};
  struct table_file_options options = {.kind = TABLE_FILE_CSV, .all_text = true, .delimiter = ";"};
  assert_int_equal(open_as(store("a.csv", "a;b,c\n1;2\n"), options, &source, &error), STATUS_OK);
  assert_int_equal(source_schema(source)->n_children, 2);
  assert_string_equal(source_schema(source)->children[1]->name, "b,c");
  assert_string_equal(source_schema(source)->children[0]->format, "u");
  source_close(source);
}

static void what_is_wrong_names_the_file_and_nothing_of_ours(void **state) {
  (void)state;
  static const struct {
    const char *name, *text;
    enum table_file_kind kind;
    enum status status;
    const char *said;
  } cases[] = {
      {"empty.csv", "", TABLE_FILE_CSV, STATUS_INVALID, "it is empty"},
      {"cut.ndjson", "{\"a\":1}\n{\"a\":\n", TABLE_FILE_NDJSON, STATUS_INVALID, "line"},
      {"list.ndjson", "[1]\n", TABLE_FILE_NDJSON, STATUS_INVALID, "record"},
      {"no.parquet", "PAR1 and no more than that", TABLE_FILE_PARQUET, STATUS_INVALID,
       "no.parquet"},
      {"latin.csv", "a,b\n1,\xff\n", TABLE_FILE_CSV, STATUS_INVALID, "utf-8"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct source *source = NULL;
    struct error error = {.status = STATUS_OK};
    struct table_file_options options = {.kind = cases[i].kind, .name = cases[i].name};
    enum status status = open_as(store(cases[i].name, cases[i].text), options, &source, &error);
    if (status == STATUS_OK) {
      struct ArrowArray batch = {.release = NULL};
      status = source_next(source, &batch, &error);
      source_close(source);
    }
    assert_int_equal(status, cases[i].status);
    expect_said(error.text, cases[i].name);
    expect_said(error.text, cases[i].said);
    assert_null(strstr(error.text, "/proc/"));
    assert_null(strstr(error.text, "read_"));
  }
}

static void only_a_regular_file_is_read(void **state) {
  (void)state;
  struct table_file_options options = {.kind = TABLE_FILE_CSV};
  struct source *source = NULL;
  struct error error = {.status = STATUS_OK};
  assert_int_equal(open_as(folder, options, &source, &error), STATUS_INVALID);
  expect_said(error.text, "folder");
  assert_int_equal(open_as(path_of("none*"), options, &source, &error), STATUS_NOT_FOUND);
  assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
  assert_int_equal(open_as(path_of("fifo"), options, &source, &error), STATUS_UNSUPPORTED);
  assert_null(source);
}

static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state) {
  (void)state;
  static const char *const names[] = {"many.csv",    "a.csv",      "empty.csv", "cut.ndjson",
                                      "list.ndjson", "no.parquet", "latin.csv", "fifo"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) unlink(path_of(names[i]));
  return rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_come_in_the_order_of_the_file_in_bounded_memory),
      cmocka_unit_test(columns_are_text_and_separated_as_asked),
      cmocka_unit_test(what_is_wrong_names_the_file_and_nothing_of_ours),
      cmocka_unit_test(only_a_regular_file_is_read),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
