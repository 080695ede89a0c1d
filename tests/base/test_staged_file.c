#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/staged_file.h"

enum { PIECE_BYTES = 100000, PIECES = 13, NAME_BYTES = 512 };

static char folder[] = "/tmp/arrowport-staged-XXXXXX";

static const char *at(const char *name) {
  static char path[NAME_BYTES];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static int files(void) {
  int count = -2; /* . and .. */
  DIR *listed = opendir(folder);
  assert_non_null(listed);
  while (readdir(listed) != NULL) count++;
  closedir(listed);
  return count;
}

static void store(const char *name, const char *text, mode_t mode) {
  FILE *file = fopen(at(name), "w");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
  assert_int_equal(chmod(at(name), mode), 0);
}

static void expect_text(const char *name, const char *text) {
  char read[64] = "";
  FILE *file = fopen(at(name), "r");
  assert_non_null(file);
  assert_int_equal(fread(read, 1, sizeof read - 1, file), strlen(text));
  fclose(file);
  assert_string_equal(read, text);
}

static int clean(void **state) {
  (void)state;
  DIR *listed = opendir(folder);
  assert_non_null(listed);
  for (const struct dirent *entry = readdir(listed); entry != NULL; entry = readdir(listed))
    unlinkat(dirfd(listed), entry->d_name, 0);
  closedir(listed);
  return 0;
}

static struct staged_file *opened(const char *name, bool replace) {
  struct staged_file *staged = NULL;
  struct error error = {.status = STATUS_OK};
  if (staged_open(at(name), replace, &staged, &error) != STATUS_OK) fail_msg("%s", error.text);
  return staged;
}

static void write_text(struct staged_file *staged, const char *text) {
  assert_int_equal(staged_write(staged, text, (int64_t)strlen(text), NULL), STATUS_OK);
}

static void nothing_is_there_until_it_is_whole(void **state) {
  (void)state;
  struct staged_file *staged = opened("new", false);
  write_text(staged, "one ");
  write_text(staged, "two");
  assert_int_equal(staged_bytes(staged), 7);
  assert_int_not_equal(access(at("new"), F_OK), 0);
  assert_int_equal(access(staged_path(staged), F_OK), 0);
  assert_int_equal(staged_commit(staged, NULL), STATUS_OK);
  assert_null(staged_path(staged));
  assert_int_equal(staged_commit(staged, NULL), STATUS_OK); /* again does no harm */
  staged_free(staged);
  expect_text("new", "one two");
  assert_int_equal(files(), 1);
}

static void what_is_given_up_leaves_nothing(void **state) {
  (void)state;
  store("old", "old", 0640);
  struct staged_file *staged = opened("old", true);
  write_text(staged, "new");
  staged_free(staged);
  staged = opened("other", true);
  staged_free(staged);
  staged_free(NULL);
  expect_text("old", "old");
  assert_int_equal(files(), 1);
}

static void large_and_small_pieces_stay_in_their_order(void **state) {
  (void)state;
  uint8_t *piece = malloc(4 * PIECE_BYTES);
  assert_non_null(piece);
  struct staged_file *staged = opened("pieces", false);
  int64_t bytes = 0;
  for (int i = 0; i < PIECES; i++) {
    int64_t count = i % 4 == 0 ? 4 * PIECE_BYTES : i % 4 == 1 ? 1 : PIECE_BYTES;
    memset(piece, 'a' + i, 4 * PIECE_BYTES);
    assert_int_equal(staged_write(staged, piece, count, NULL), STATUS_OK);
    bytes += count;
  }
  assert_int_equal(staged_bytes(staged), bytes);
  assert_int_equal(staged_commit(staged, NULL), STATUS_OK);
  staged_free(staged);
  FILE *file = fopen(at("pieces"), "r");
  assert_non_null(file);
  for (int i = 0; i < PIECES; i++) {
    int64_t count = i % 4 == 0 ? 4 * PIECE_BYTES : i % 4 == 1 ? 1 : PIECE_BYTES;
    for (int64_t k = 0; k < count; k++) assert_int_equal(fgetc(file), 'a' + i);
  }
  assert_int_equal(fgetc(file), EOF);
  fclose(file);
  free(piece);
}

static void one_that_is_there_is_replaced_only_on_demand(void **state) {
  (void)state;
  struct staged_file *staged = NULL;
  struct error error = {.status = STATUS_OK};
  store("old", "old", 0640);
  assert_int_equal(staged_open(at("old"), false, &staged, &error), STATUS_CONFLICT);
  assert_null(staged);
  assert_non_null(strstr(error.text, "there already"));
  staged = opened("old", true);
  write_text(staged, "new");
  assert_int_equal(staged_commit(staged, NULL), STATUS_OK);
  staged_free(staged);
  struct stat about;
  assert_int_equal(stat(at("old"), &about), 0);
  assert_int_equal(about.st_mode & 0777, 0640);
  expect_text("old", "new");
}

static void one_that_has_come_meanwhile_is_left(void **state) {
  (void)state;
  struct error error = {.status = STATUS_OK};
  struct staged_file *staged = opened("late", false);
  write_text(staged, "ours");
  store("late", "theirs", 0644);
  assert_int_equal(staged_commit(staged, &error), STATUS_CONFLICT);
  staged_free(staged);
  expect_text("late", "theirs");
  assert_int_equal(files(), 1);
}

static void a_link_stays_and_its_end_is_replaced(void **state) {
  (void)state;
  char link[NAME_BYTES];
  snprintf(link, sizeof link, "%s", at("link"));
  store("target", "old", 0644);
  assert_int_equal(symlink("target", link), 0);
  struct staged_file *staged = opened("link", true);
  write_text(staged, "new");
  assert_int_equal(staged_commit(staged, NULL), STATUS_OK);
  staged_free(staged);
  struct stat about;
  assert_int_equal(lstat(link, &about), 0);
  assert_true(S_ISLNK(about.st_mode));
  expect_text("target", "new");
}

static void a_device_is_written_straight(void **state) {
  (void)state;
  struct staged_file *staged = NULL;
  struct error error = {.status = STATUS_OK};
  assert_int_equal(staged_open("/dev/null", false, &staged, NULL), STATUS_OK);
  assert_null(staged_path(staged));
  write_text(staged, "text");
  assert_int_equal(staged_commit(staged, NULL), STATUS_OK);
  staged_free(staged);
  assert_int_equal(staged_open("/dev/full", false, &staged, NULL), STATUS_OK);
  write_text(staged, "text");
  assert_int_equal(staged_commit(staged, &error), STATUS_IO);
  assert_non_null(strstr(error.text, "'/dev/full' cannot be written: No space left"));
  assert_int_equal(staged_write(staged, "more", 4, NULL), STATUS_IO); /* for good */
  assert_int_equal(staged_commit(staged, &error), STATUS_IO);
  staged_free(staged);
}

static void a_descriptor_stays_open(void **state) {
  (void)state;
  int ends[2];
  char read_text[8] = "";
  struct staged_file *staged = NULL;
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(staged_open_descriptor(ends[1], "a pipe", &staged, NULL), STATUS_OK);
  write_text(staged, "text");
  assert_int_equal(staged_commit(staged, NULL), STATUS_OK);
  staged_free(staged);
  assert_int_equal(read(ends[0], read_text, sizeof read_text - 1), 4);
  assert_string_equal(read_text, "text");
  assert_int_equal(close(ends[1]), 0);
  close(ends[0]);
}

static void what_cannot_be_written_is_named(void **state) {
  (void)state;
  static const struct {
    const char *path;
    enum status status;
    const char *said;
  } cases[] = {{"", STATUS_INVALID, "no name"},
               {"/tmp", STATUS_INVALID, "'/tmp' is a folder"},
               {"/tmp/none-such/", STATUS_INVALID, "is a folder"},
               {"/none-such/file", STATUS_NOT_FOUND, "its folder is not there"},
               {"/proc/file", STATUS_NOT_FOUND, "'/proc/file' cannot be written"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct staged_file *staged = NULL;
    struct error error = {.status = STATUS_OK};
    assert_int_equal(staged_open(cases[i].path, true, &staged, &error), cases[i].status);
    assert_null(staged);
    assert_non_null(strstr(error.text, cases[i].said));
  }
}

static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state) {
  clean(state);
  return rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(nothing_is_there_until_it_is_whole, clean),
      cmocka_unit_test_teardown(what_is_given_up_leaves_nothing, clean),
      cmocka_unit_test_teardown(large_and_small_pieces_stay_in_their_order, clean),
      cmocka_unit_test_teardown(one_that_is_there_is_replaced_only_on_demand, clean),
      cmocka_unit_test_teardown(one_that_has_come_meanwhile_is_left, clean),
      cmocka_unit_test_teardown(a_link_stays_and_its_end_is_replaced, clean),
      cmocka_unit_test(a_device_is_written_straight),
      cmocka_unit_test(a_descriptor_stays_open),
      cmocka_unit_test(what_cannot_be_written_is_named),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
