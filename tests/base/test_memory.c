#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"

#define MIB ((int64_t)1 << 20)
#define V2  "32 31 0:29 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1  "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
#define CPU "33 31 0:30 / /sys/fs/cgroup/cpu rw shared:11 - cgroup cgroup rw,cpu,cpuacct\n"
#define FS  "/sys/fs/cgroup"
#define RAM "MemTotal:       16777216 kB\nMemFree: 1 kB\n" /* 16 GiB */

enum { FILES_MAX = 6 };

struct entry {
  const char *path, *text;
};

struct tree {
  const char *name;
  const char *meminfo, *cgroup, *mountinfo; /* NULL: not there */
  struct entry files[FILES_MAX];
  int64_t bytes;
  enum memory_source source;
  const char *file;
};

static const struct tree trees[] = {
    {"nothing can be read", NULL, NULL, NULL, {{0}}, INT64_MAX, MEMORY_UNKNOWN, ""},
    {"no control groups", RAM, NULL, NULL, {{0}}, 16384 * MIB, MEMORY_MACHINE, ""},
    {"a meminfo of nonsense",
     "MemTotal: -5 kB\n",
     NULL,
     NULL,
     {{0}},
     INT64_MAX,
     MEMORY_UNKNOWN,
     ""},
    {"version 2, the group's own",
     RAM,
     "0::/system.slice/a.service\n",
     V2,
     {{FS "/system.slice/a.service/memory.max", "536870912\n"},
      {FS "/system.slice/memory.max", "1073741824\n"}},
     512 * MIB,
     MEMORY_GROUP,
     FS "/system.slice/a.service/memory.max"},
    {"version 2, one above is less",
     RAM,
     "0::/system.slice/a.service\n",
     V2,
     {{FS "/system.slice/a.service/memory.max", "max\n"},
      {FS "/system.slice/memory.max", "268435456\n"}},
     256 * MIB,
     MEMORY_GROUP,
     FS "/system.slice/memory.max"},
    {"version 2, memory.high is less",
     RAM,
     "0::/a\n",
     V2,
     {{FS "/a/memory.max", "536870912\n"}, {FS "/a/memory.high", "402653184\n"}},
     384 * MIB,
     MEMORY_GROUP,
     FS "/a/memory.high"},
    {"version 2, no limit anywhere",
     RAM,
     "0::/a\n",
     V2,
     {{FS "/a/memory.max", "max\n"}, {FS "/a/memory.high", "max\n"}},
     16384 * MIB,
     MEMORY_MACHINE,
     ""},
    {"more than the machine has is no limit",
     RAM,
     "0::/a\n",
     V2,
     {{FS "/a/memory.max", "1099511627776\n"}},
     16384 * MIB,
     MEMORY_MACHINE,
     ""},
    {"0 is no limit, nor is nonsense",
     RAM,
     "0::/a\n",
     V2,
     {{FS "/a/memory.high", "0\n"}, {FS "/a/memory.max", "12 parsecs\n"}},
     16384 * MIB,
     MEMORY_MACHINE,
     ""},
    {"a number of many digits",
     RAM,
     "0::/a\n",
     V2,
     {{FS "/a/memory.max", "99999999999999999999999999\n"}},
     16384 * MIB,
     MEMORY_MACHINE,
     ""},
    {"an empty file, and one without its end of line",
     RAM,
     "0::/a\n",
     V2,
     {{FS "/a/memory.max", ""}, {FS "/memory.max", "536870912"}},
     512 * MIB,
     MEMORY_GROUP,
     FS "/memory.max"},
    {"a namespace: the group is the root",
     RAM,
     "0::/\n",
     V2,
     {{FS "/memory.max", "536870912\n"}},
     512 * MIB,
     MEMORY_GROUP,
     FS "/memory.max"},
    {"a path of the host that is not to be seen here",
     RAM,
     "0::/docker/0123abcd\n",
     V2,
     {{FS "/memory.max", "536870912\n"}},
     512 * MIB,
     MEMORY_GROUP,
     FS "/memory.max"},
    {"a path outside of the namespace",
     RAM,
     "0::/../../other\n",
     V2,
     {{FS "/memory.max", "536870912\n"}},
     512 * MIB,
     MEMORY_GROUP,
     FS "/memory.max"},
    {"the mount's root is the group",
     RAM,
     "0::/docker/0123\n",
     "32 31 0:29 /docker/0123 " FS " rw - cgroup2 cgroup2 rw\n",
     {{FS "/memory.max", "536870912\n"}},
     512 * MIB,
     MEMORY_GROUP,
     FS "/memory.max"},
    {"the mount's root is above the group",
     RAM,
     "0::/docker/0123/inner\n",
     "32 31 0:29 /docker/0123 " FS " rw - cgroup2 cgroup2 rw\n",
     {{FS "/inner/memory.max", "268435456\n"}, {FS "/memory.max", "536870912\n"}},
     256 * MIB,
     MEMORY_GROUP,
     FS "/inner/memory.max"},
    {"another group's name begins like the mount's root",
     RAM,
     "0::/docker/01234\n",
     "32 31 0:29 /docker/0123 " FS " rw - cgroup2 cgroup2 rw\n",
     {{FS "/4/memory.max", "268435456\n"}, {FS "/memory.max", "536870912\n"}},
     512 * MIB,
     MEMORY_GROUP,
     FS "/memory.max"},
    {"version 1",
     RAM,
     "4:memory:/box/a\n3:cpu,cpuacct:/\n",
     CPU V1,
     {{FS "/memory/box/a/memory.limit_in_bytes", "9223372036854771712\n"},
      {FS "/memory/box/memory.limit_in_bytes", "536870912\n"},
      {FS "/memory/memory.limit_in_bytes", "9223372036854771712\n"}},
     512 * MIB,
     MEMORY_GROUP,
     FS "/memory/box/memory.limit_in_bytes"},
    {"version 1, nothing is limited",
     RAM,
     "4:memory:/\n",
     V1,
     {{FS "/memory/memory.limit_in_bytes", "9223372036854771712\n"}},
     16384 * MIB,
     MEMORY_MACHINE,
     ""},
    {"hybrid: version 1 has the controller",
     RAM,
     "4:cpu,memory:/a\n0::/a\n",
     V1 "41 31 0:38 / " FS "/unified rw - cgroup2 cgroup2 rw\n",
     {{FS "/memory/a/memory.limit_in_bytes", "536870912\n"}, {FS "/unified/a/cgroup.procs", "1\n"}},
     512 * MIB,
     MEMORY_GROUP,
     FS "/memory/a/memory.limit_in_bytes"},
    {"a mount with a space in its name, after one of another kind",
     RAM,
     "0::/\n",
     "1 0 8:1 / / rw - ext4 /dev/sda rw\n32 31 0:29 / /my\\040groups rw master:1 - cgroup2 c rw\n",
     {{"/my groups/memory.max", "536870912\n"}},
     512 * MIB,
     MEMORY_GROUP,
     "/my groups/memory.max"},
    {"lines that are cut short",
     RAM,
     "0:\n0::/\nx\n",
     "32\n32 31 0:29 - cgroup2 cgroup2 rw\n - \n" V2,
     {{FS "/memory.max", "536870912\n"}},
     512 * MIB,
     MEMORY_GROUP,
     FS "/memory.max"},
    {"mounted, but the process is in none",
     RAM,
     "",
     V2,
     {{FS "/memory.max", "536870912\n"}},
     16384 * MIB,
     MEMORY_MACHINE,
     ""},
};

/* ---- a tree of files ------------------------------------------------------------------------ */

static void put(const char *root, const char *path, const char *text) {
  char whole[512];
  if (text == NULL) return;
  snprintf(whole, sizeof whole, "%s%s", root, path);
  for (char *slash = strchr(whole + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    assert_true(mkdir(whole, 0777) == 0 || errno == EEXIST);
    *slash = '/';
  }
  FILE *file = fopen(whole, "we");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  fclose(file);
}

static void remove_tree(const char *root) {
  char command[256];
  snprintf(command, sizeof command, "rm -r '%s'", root);
  assert_int_equal(system(command), 0);
}

static void the_least_of_all_limits_counts(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof trees / sizeof trees[0]; i++) {
    const struct tree *tree = &trees[i];
    char root[] = "/tmp/arrowport-memory-XXXXXX";
    assert_non_null(mkdtemp(root));
    put(root, "/proc/meminfo", tree->meminfo);
    put(root, "/proc/self/cgroup", tree->cgroup);
    put(root, "/proc/self/mountinfo", tree->mountinfo);
    for (int j = 0; j < FILES_MAX && tree->files[j].path != NULL; j++)
      put(root, tree->files[j].path, tree->files[j].text);
    struct memory_bound bound;
    memory_bound_read(root, &bound);
    remove_tree(root);
    if (bound.bytes != tree->bytes || bound.source != tree->source ||
        strcmp(bound.file, tree->file) != 0)
      fail_msg("%s: %lld, source %d, '%s'", tree->name, (long long)bound.bytes, (int)bound.source,
               bound.file);
  }
}

static void this_machine_has_some(void **state) {
  (void)state;
  struct memory_bound bound;
  memory_bound_read("", &bound);
  assert_int_not_equal(bound.source, MEMORY_UNKNOWN);
  assert_true(bound.bytes > 16 * MIB && bound.bytes < INT64_MAX);
}

static void sizes_read_as_people_write_them(void **state) {
  (void)state;
  static const struct {
    int64_t bytes;
    const char *text;
  } cases[] = {
      {1000000000, "1 GB"},          {(int64_t)1 << 30, "1 GiB"},
      {512 << 20, "512 MiB"},        {256000000, "256 MB"},
      {1500000001, "1.5 GB"},        {1234567, "1.2 MB"},
      {(int64_t)24 << 30, "24 GiB"}, {0, "0.0 MB"},
  };
  char text[MEMORY_TEXT_BYTES];
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    memory_print(cases[i].bytes, text);
    assert_string_equal(text, cases[i].text);
  }
}

static void a_bound_says_where_it_stands(void **state) {
  (void)state;
  struct memory_bound bound = {.bytes = 512 * MIB, .source = MEMORY_GROUP, .file = "/x/memory.max"};
  char text[320];
  memory_bound_print(&bound, text, sizeof text);
  assert_string_equal(text, "the control group's 512 MiB (/x/memory.max)");
  bound.source = MEMORY_MACHINE;
  memory_bound_print(&bound, text, sizeof text);
  assert_string_equal(text, "the machine's 512 MiB");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_least_of_all_limits_counts),
      cmocka_unit_test(this_machine_has_some),
      cmocka_unit_test(sizes_read_as_people_write_them),
      cmocka_unit_test(a_bound_says_where_it_stands),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
