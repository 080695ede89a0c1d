/* /proc/self/cgroup names the process's group in each hierarchy, /proc/self/mountinfo where a
 * hierarchy is mounted, and which of its groups is the mount's root. From both follows a folder.
 * In a container the two may not fit: the group's path is one that the host sees, or begins with
 * "/.." (cgroup_namespaces(7)), and the mount shows the container's own group as its root. Then
 * the mount's root is as near as one can get, and it is the right one.
 *
 * Hybrid machines mount both versions, and only one of them has the memory controller: every
 * hierarchy is looked at, and files that are not there say nothing. */
#include "base/memory.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  LINE_BYTES_MAX = 8192, /* a mount's line; longer ones are not looked at */
  PATH_BYTES_MAX = 4096,
  LEVELS_MAX = 64,
};

struct look {
  const char *root;
  struct memory_bound *bound;
};

/* ---- files ------------------------------------------------------------------------------ */

static FILE *open_file(const char *root, const char *path) {
  char whole[PATH_BYTES_MAX + 256];
  int bytes = snprintf(whole, sizeof whole, "%s%s", root, path);
  return bytes < 0 || (size_t)bytes >= sizeof whole ? NULL : fopen(whole, "re");
}

/* The next line without its end; one that does not fit is skipped. */
static bool next_line(FILE *file, char line[LINE_BYTES_MAX]) {
  while (fgets(line, LINE_BYTES_MAX, file) != NULL) {
    size_t bytes = strlen(line);
    if (bytes > 0 && line[bytes - 1] == '\n') {
      line[bytes - 1] = '\0';
      return true;
    }
    if (feof(file)) return true;
    for (int c = 0; c != '\n' && c != EOF;) c = fgetc(file);
  }
  return false;
}

/* Digits and nothing else; "max", and what no machine has, is no limit: false. */
static bool parse_limit(const char *text, int64_t *bytes) {
  *bytes = 0;
  if (*text == '\0') return false;
  for (; *text >= '0' && *text <= '9'; text++) {
    if (*bytes > (INT64_MAX - 9) / 10) return false;
    *bytes = *bytes * 10 + (*text - '0');
  }
  /* 0 stands in memory.high while a group is being emptied: nothing could run by it. */
  return *text == '\0' && *bytes > 0;
}

/* One limit's file. */
static void look_at(const struct look *look, const char *folder, const char *name) {
  char path[PATH_BYTES_MAX + 64];
  char line[LINE_BYTES_MAX];
  int64_t bytes;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = open_file(look->root, path);
  if (file == NULL) return;
  if (next_line(file, line) && parse_limit(line, &bytes) && bytes < look->bound->bytes) {
    struct memory_bound *bound = look->bound;
    bound->bytes = bytes;
    bound->source = MEMORY_GROUP;
    snprintf(bound->file, sizeof bound->file, "%.*s", (int)sizeof bound->file - 1, path);
  }
  fclose(file);
}

static bool is_folder(const char *root, const char *path) {
  char whole[PATH_BYTES_MAX + 256];
  struct stat about;
  int bytes = snprintf(whole, sizeof whole, "%s%s", root, path);
  return bytes > 0 && (size_t)bytes < sizeof whole && stat(whole, &about) == 0 &&
         S_ISDIR(about.st_mode);
}

/* ---- the machine -------------------------------------------------------------------------- */

static void look_at_machine(const struct look *look) {
  char line[LINE_BYTES_MAX];
  long long kib;
  FILE *file = open_file(look->root, "/proc/meminfo");
  if (file == NULL) return;
  while (next_line(file, line)) {
    if (strncmp(line, "MemTotal:", 9) != 0) continue;
    kib = strtoll(line + 9, NULL, 10);
    if (kib <= 0 || kib > INT64_MAX / 1024) break;
    look->bound->bytes = kib * 1024;
    look->bound->source = MEMORY_MACHINE;
    break;
  }
  fclose(file);
}

/* ---- groups --------------------------------------------------------------------------------- */

/* Whether `word` is one of those that commas part. */
static bool has_word(const char *list, const char *word) {
  size_t bytes = strlen(word);
  while (list != NULL && *list != '\0') {
    if (strncmp(list, word, bytes) == 0 && (list[bytes] == ',' || list[bytes] == '\0')) return true;
    list = strchr(list, ',');
    if (list != NULL) list++;
  }
  return false;
}

/* The process's group in the hierarchy of version 2, or in that of version 1 with the memory
 * controller; false when it has none. */
static bool find_group(const char *root, int version, char group[PATH_BYTES_MAX]) {
  char line[LINE_BYTES_MAX];
  bool found = false;
  FILE *file = open_file(root, "/proc/self/cgroup");
  if (file == NULL) return false;
  while (!found && next_line(file, line)) {
    char *controllers = strchr(line, ':');
    char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (path == NULL) continue;
    *path++ = '\0';
    controllers++;
    found = version == 2 ? strncmp(line, "0:", 2) == 0 && *controllers == '\0'
                         : has_word(controllers, "memory");
    if (found) snprintf(group, PATH_BYTES_MAX, "%.*s", PATH_BYTES_MAX - 1, path);
  }
  fclose(file);
  return found;
}

/* Spaces and the like stand as \040 in mountinfo. */
static void unescape(char *text) {
  char *to = text;
  for (const char *at = text; *at != '\0'; to++) {
    bool escaped = at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' &&
                   at[3] >= '0' && at[3] <= '7';
    *to = escaped ? (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0')) : *at;
    at += escaped ? 4 : 1;
  }
  *to = '\0';
}

struct mount {
  char *root;  /* which group is mounted */
  char *place; /* where */
  int version;
};

/* "31 23 0:28 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate"; false when it is no
 * hierarchy that may have the memory controller. */
static bool parse_mount(char *line, struct mount *mount) {
  char *rest = strstr(line, " - ");
  if (rest == NULL) return false;
  *rest = '\0';
  rest += 3;
  char *fields[5];
  char *at = line;
  for (int i = 0; i < 5; i++) {
    fields[i] = at;
    at = strchr(at, ' ');
    if (at == NULL) return false;
    *at++ = '\0';
  }
  mount->root = fields[3];
  mount->place = fields[4];
  unescape(mount->root);
  unescape(mount->place);
  const char *options = strrchr(rest, ' ');
  bool second = strncmp(rest, "cgroup2 ", 8) == 0;
  bool first =
      strncmp(rest, "cgroup ", 7) == 0 && options != NULL && has_word(options + 1, "memory");
  mount->version = second ? 2 : 1;
  return second || first;
}

/* What of the group's path lies below the mount's root; NULL: it is not to be seen there. */
static const char *below(const char *group, const char *root) {
  size_t bytes = strlen(root);
  if (strncmp(group, "/..", 3) == 0) return NULL;
  if (bytes > 0 && root[bytes - 1] == '/') bytes--; /* "/" */
  if (strncmp(group, root, bytes) != 0) return NULL;
  return group[bytes] == '/' || group[bytes] == '\0' ? group + bytes : NULL;
}

/* All levels from the group to the mount's root. */
static void look_at_mount(const struct look *look, const struct mount *mount) {
  static const char *const files[3][2] = {
      {NULL, NULL}, {"memory.limit_in_bytes", NULL}, {"memory.max", "memory.high"}};
  char group[PATH_BYTES_MAX] = "";
  char folder[2 * PATH_BYTES_MAX];
  size_t place_bytes = strlen(mount->place);
  if (!find_group(look->root, mount->version, group)) return;
  const char *rest = below(group, mount->root);
  snprintf(folder, PATH_BYTES_MAX, "%s%s", mount->place, rest == NULL ? "" : rest);
  if (!is_folder(look->root, folder)) folder[place_bytes] = '\0';
  for (int level = 0; level < LEVELS_MAX && strlen(folder) >= place_bytes; level++) {
    size_t bytes = strlen(folder);
    if (bytes > place_bytes && folder[bytes - 1] == '/') folder[bytes - 1] = '\0';
    for (int i = 0; i < 2 && files[mount->version][i] != NULL; i++)
      look_at(look, folder, files[mount->version][i]);
    char *slash = strrchr(folder, '/');
    if (slash == NULL) break;
    *slash = '\0';
  }
}

void memory_bound_read(const char *root, struct memory_bound *bound) {
  *bound = (struct memory_bound){.bytes = INT64_MAX, .source = MEMORY_UNKNOWN};
  const struct look look = {.root = root, .bound = bound};
  look_at_machine(&look);
  char line[LINE_BYTES_MAX];
  FILE *file = open_file(root, "/proc/self/mountinfo");
  if (file == NULL) return;
  while (next_line(file, line)) {
    struct mount mount;
    if (strlen(line) < PATH_BYTES_MAX && parse_mount(line, &mount)) look_at_mount(&look, &mount);
  }
  fclose(file);
}

/* ---- words ---------------------------------------------------------------------------------- */

void memory_print(int64_t bytes, char text[MEMORY_TEXT_BYTES]) {
  static const struct {
    const char *name;
    int64_t bytes;
  } units[] = {{"GiB", 1 << 30}, {"GB", 1000000000}, {"MiB", 1 << 20}, {"MB", 1000000}};
  for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
    if (bytes >= units[i].bytes && bytes % units[i].bytes == 0) {
      snprintf(text, MEMORY_TEXT_BYTES, "%" PRId64 " %s", bytes / units[i].bytes, units[i].name);
      return;
    }
  if (bytes >= 1000000000)
    snprintf(text, MEMORY_TEXT_BYTES, "%.1f GB", (double)bytes / 1e9);
  else
    snprintf(text, MEMORY_TEXT_BYTES, "%.1f MB", (double)bytes / 1e6);
}

void memory_bound_print(const struct memory_bound *bound, char *text, size_t text_bytes) {
  char size[MEMORY_TEXT_BYTES];
  memory_print(bound->bytes, size);
  switch (bound->source) {
  case MEMORY_UNKNOWN: snprintf(text, text_bytes, "an unknown amount of memory"); break;
  case MEMORY_MACHINE: snprintf(text, text_bytes, "the machine's %s", size); break;
  case MEMORY_GROUP:
    snprintf(text, text_bytes, "the control group's %s (%s)", size, bound->file);
    break;
  }
}
