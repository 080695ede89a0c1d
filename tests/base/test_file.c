#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

static void a_pipe_becomes_a_file_that_begins_with_what_was_read(void **state) {
  (void)state;
  int ends[2];
  int copy = -1;
  uint8_t bytes[16];
  size_t got = 0;
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(write(ends[1], "456789", 6), 6);
  close(ends[1]);
  assert_int_equal(file_spool(ends[0], "0123", 4, &copy, NULL), STATUS_OK);
  assert_int_equal(file_read(copy, bytes, sizeof bytes, &got, NULL), STATUS_OK);
  assert_int_equal(got, 10);
  assert_memory_equal(bytes, "0123456789", 10);
  assert_int_equal(file_read(copy, bytes, sizeof bytes, &got, NULL), STATUS_OK);
  assert_int_equal(got, 0);
  struct buffer mapped = BUFFER_EMPTY;
  assert_int_equal(file_map(copy, 10, &mapped, NULL), STATUS_OK);
  close(copy);
  assert_memory_equal(mapped.data, "0123456789", 10);
  buffer_release(&mapped);
  close(ends[0]);
}

static void a_folder_for_temporary_files_that_is_not_there_is_named_as_the_reason(void **state) {
  (void)state;
  struct error error = {0};
  int copy = 7;
  int ends[2];
  const char *given = getenv("TMPDIR");
  char *before = given == NULL ? NULL : strdup(given);
  assert_int_equal(pipe(ends), 0);
  close(ends[1]);
  setenv("TMPDIR", "/nowhere/at/all", 1);
  assert_int_equal(file_spool(ends[0], "", 0, &copy, &error), STATUS_IO);
  assert_int_equal(copy, -1);
  assert_non_null(strstr(error.text, "TMPDIR"));
  if (before != NULL)
    setenv("TMPDIR", before, 1);
  else
    unsetenv("TMPDIR");
  free(before);
  close(ends[0]);
}

static void failures_to_open_have_their_status(void **state) {
  (void)state;
  assert_int_equal(file_failed(ENOENT, NULL), STATUS_NOT_FOUND);
  assert_int_equal(file_failed(EACCES, NULL), STATUS_DENIED);
  assert_int_equal(file_failed(EIO, NULL), STATUS_IO);
}

static void what_cannot_be_mapped_or_read_is_an_error(void **state) {
  (void)state;
  int ends[2];
  struct buffer mapped = BUFFER_EMPTY;
  uint8_t byte;
  size_t got = 0;
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(file_map(ends[0], 10, &mapped, NULL), STATUS_IO);
  assert_int_equal(file_read(ends[1], &byte, 1, &got, NULL), STATUS_IO);
  close(ends[0]);
  close(ends[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_pipe_becomes_a_file_that_begins_with_what_was_read),
      cmocka_unit_test(a_folder_for_temporary_files_that_is_not_there_is_named_as_the_reason),
      cmocka_unit_test(failures_to_open_have_their_status),
      cmocka_unit_test(what_cannot_be_mapped_or_read_is_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
