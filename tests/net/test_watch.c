/* Files are changed in each way that editors, tools and orchestrators do it. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/net.h"

enum {
  SOON_MS = 8000,  /* a change is told of before this, on the slowest machine */
  QUIET_MS = 1500, /* nothing is told of for so long: longer than the poll's second */
};

struct scene {
  char folder[64];
  struct net_loop *loop;
  struct net_timer *stop;
  struct net_watch *watch;
  int runs;
  bool free_in_run;
};

static char *in(const struct scene *scene, const char *name) {
  static char paths[8][200];
  static int next;
  char *path = paths[next++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", scene->folder, name);
  return path;
}

static void put(const struct scene *scene, const char *name, const char *text) {
  FILE *file = fopen(in(scene, name), "w");
  assert_non_null(file);
  fputs(text, file);
  assert_int_equal(fclose(file), 0);
}

static void on_stop(void *context) { net_loop_stop(((struct scene *)context)->loop); }

static void on_change(void *context) {
  struct scene *scene = context;
  scene->runs++;
  net_loop_stop(scene->loop);
  if (!scene->free_in_run) return;
  net_watch_free(scene->watch);
  scene->watch = NULL;
}

static int begin(void **state) {
  struct scene *scene = calloc(1, sizeof *scene);
  assert_non_null(scene);
  snprintf(scene->folder, sizeof scene->folder, "/tmp/arrowport-watch-XXXXXX");
  assert_non_null(mkdtemp(scene->folder));
  assert_int_equal(net_loop_new(&scene->loop, NULL), STATUS_OK);
  assert_int_equal(net_timer_new(scene->loop, on_stop, scene, &scene->stop, NULL), STATUS_OK);
  *state = scene;
  return 0;
}

static int end(void **state) {
  struct scene *scene = *state;
  char command[128];
  snprintf(command, sizeof command, "rm -r %s", scene->folder);
  net_watch_free(scene->watch);
  net_timer_free(scene->stop);
  net_loop_free(scene->loop);
  free(scene);
  return system(command);
}

static void watch(struct scene *scene, const char *first, const char *second) {
  const char *paths[] = {first, second};
  assert_int_equal(net_watch_new(scene->loop, paths, second == NULL ? 1 : 2, on_change, scene,
                                 &scene->watch, NULL),
                   STATUS_OK);
}

static void run_for(struct scene *scene, int64_t ms) {
  net_timer_start(scene->stop, ms);
  net_loop_run(scene->loop);
}

/* Exactly one call comes. */
static void expect_told(struct scene *scene, const char *of) {
  scene->runs = 0;
  run_for(scene, SOON_MS);
  if (scene->runs != 1) fail_msg("%s: told %d times", of, scene->runs);
  run_for(scene, 300);
  if (scene->runs != 1) fail_msg("%s: told %d times", of, scene->runs);
}

static void expect_quiet(struct scene *scene, const char *of) {
  scene->runs = 0;
  run_for(scene, QUIET_MS);
  if (scene->runs != 0) fail_msg("%s: told", of);
}

static void a_file_that_is_changed_in_each_way(void **state) {
  struct scene *scene = *state;
  put(scene, "file", "one");
  watch(scene, in(scene, "file"), NULL);
  expect_quiet(scene, "nothing");
  put(scene, "file", "two");
  expect_told(scene, "written in place");
  put(scene, "new", "ten");
  assert_int_equal(rename(in(scene, "new"), in(scene, "file")), 0);
  expect_told(scene, "replaced by a rename");
  put(scene, "file", "eleven");
  expect_told(scene, "the replacement is written in place");
  assert_int_equal(unlink(in(scene, "file")), 0);
  expect_told(scene, "removed");
  put(scene, "file", "eleven");
  expect_told(scene, "made anew");
  put(scene, "neighbour", "x");
  expect_quiet(scene, "a neighbour");
}

static void a_file_that_is_not_there_yet_nor_its_folder(void **state) {
  struct scene *scene = *state;
  watch(scene, in(scene, "a/b/file"), NULL);
  assert_int_equal(mkdir(in(scene, "a"), 0700), 0);
  expect_quiet(scene, "a folder");
  assert_int_equal(mkdir(in(scene, "a/b"), 0700), 0);
  put(scene, "a/b/file", "one");
  expect_told(scene, "made");
  assert_int_equal(rename(in(scene, "a"), in(scene, "old")), 0);
  expect_told(scene, "its folder is gone");
  assert_int_equal(rename(in(scene, "old"), in(scene, "a")), 0);
  expect_told(scene, "its folder is back");
  put(scene, "a/b/file", "two");
  expect_told(scene, "written there");
}

/* As Kubernetes lays secrets out. */
static void a_folder_that_is_a_link_which_is_turned(void **state) {
  struct scene *scene = *state;
  assert_int_equal(mkdir(in(scene, "..1"), 0700), 0);
  assert_int_equal(mkdir(in(scene, "..2"), 0700), 0);
  put(scene, "..1/tls.crt", "one");
  put(scene, "..1/tls.key", "one");
  put(scene, "..2/tls.crt", "two");
  put(scene, "..2/tls.key", "two");
  assert_int_equal(symlink("..1", in(scene, "..data")), 0);
  assert_int_equal(symlink("..data/tls.crt", in(scene, "tls.crt")), 0);
  assert_int_equal(symlink("..data/tls.key", in(scene, "tls.key")), 0);
  watch(scene, in(scene, "tls.crt"), in(scene, "tls.key"));
  expect_quiet(scene, "nothing");
  assert_int_equal(symlink("..2", in(scene, "..tmp")), 0);
  assert_int_equal(rename(in(scene, "..tmp"), in(scene, "..data")), 0);
  expect_told(scene, "turned");
  put(scene, "..1/tls.crt", "what nobody looks at any more");
  expect_quiet(scene, "the old folder");
  put(scene, "..2/tls.crt", "three");
  expect_told(scene, "written in the new folder");
}

static void links_to_elsewhere(void **state) {
  struct scene *scene = *state;
  char target[200];
  assert_int_equal(mkdir(in(scene, "here"), 0700), 0);
  assert_int_equal(mkdir(in(scene, "there"), 0700), 0);
  put(scene, "there/real", "one");
  snprintf(target, sizeof target, "%s", in(scene, "there/real"));
  assert_int_equal(symlink(target, in(scene, "there/link")), 0);
  assert_int_equal(symlink("../there/./link", in(scene, "here/file")), 0);
  assert_int_equal(symlink("loop", in(scene, "loop")), 0);
  watch(scene, in(scene, "here/file"), in(scene, "loop"));
  put(scene, "there/real", "two");
  expect_told(scene, "written behind two links");
  assert_int_equal(unlink(in(scene, "loop")), 0);
  expect_quiet(scene, "a loop that led nowhere");
  put(scene, "loop", "a file");
  expect_told(scene, "a file instead of the loop");
}

static void many_changes_are_told_of_once(void **state) {
  struct scene *scene = *state;
  put(scene, "cert", "1");
  put(scene, "key", "1");
  watch(scene, in(scene, "cert"), in(scene, "key"));
  for (int i = 0; i < 20; i++) {
    char text[16];
    snprintf(text, sizeof text, "text %d", i);
    put(scene, "cert", text);
    put(scene, "key", text);
    assert_int_equal(unlink(in(scene, "cert")), 0);
  }
  put(scene, "cert", "last");
  expect_told(scene, "many changes");
}

static void a_file_that_never_rests_is_told_of_meanwhile(void **state) {
  struct scene *scene = *state;
  put(scene, "file", "");
  watch(scene, in(scene, "file"), NULL);
  int64_t until_ms = clock_now_ms() + SOON_MS;
  for (int i = 0; scene->runs == 0 && clock_now_ms() < until_ms; i++) {
    char text[16];
    snprintf(text, sizeof text, "text %d", i);
    put(scene, "file", text);
    run_for(scene, 20);
  }
  assert_int_equal(scene->runs, 1);
}

static void a_relative_path_stays_where_it_was(void **state) {
  struct scene *scene = *state;
  char before[200];
  assert_non_null(getcwd(before, sizeof before));
  assert_int_equal(chdir(scene->folder), 0);
  put(scene, "file", "one");
  watch(scene, "file", "./none");
  assert_int_equal(chdir(before), 0);
  expect_quiet(scene, "another working directory");
  put(scene, "file", "two");
  expect_told(scene, "written");
  put(scene, "none", "two");
  expect_told(scene, "made");
}

static void a_watch_may_be_freed_when_it_calls(void **state) {
  struct scene *scene = *state;
  put(scene, "file", "one");
  watch(scene, in(scene, "file"), NULL);
  scene->free_in_run = true;
  put(scene, "file", "two");
  expect_told(scene, "written");
  put(scene, "file", "three");
  expect_quiet(scene, "nobody watches");
  net_watch_free(NULL);
}

/* No descriptor is left for inotify. */
static void without_inotify_the_poll_sees_it(void **state) {
  struct scene *scene = *state;
  struct rlimit before, none;
  put(scene, "file", "one");
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = before;
  int next = dup(0);
  assert_true(next > 0);
  close(next);
  none.rlim_cur = (rlim_t)next;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  watch(scene, in(scene, "file"), NULL);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  put(scene, "file", "two");
  expect_told(scene, "written");
  put(scene, "file", "three");
  expect_told(scene, "written again");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_file_that_is_changed_in_each_way, begin, end),
      cmocka_unit_test_setup_teardown(a_file_that_is_not_there_yet_nor_its_folder, begin, end),
      cmocka_unit_test_setup_teardown(a_folder_that_is_a_link_which_is_turned, begin, end),
      cmocka_unit_test_setup_teardown(links_to_elsewhere, begin, end),
      cmocka_unit_test_setup_teardown(many_changes_are_told_of_once, begin, end),
      cmocka_unit_test_setup_teardown(a_file_that_never_rests_is_told_of_meanwhile, begin, end),
      cmocka_unit_test_setup_teardown(a_relative_path_stays_where_it_was, begin, end),
      cmocka_unit_test_setup_teardown(a_watch_may_be_freed_when_it_calls, begin, end),
      cmocka_unit_test_setup_teardown(without_inotify_the_poll_sees_it, begin, end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
