/* Tells when what paths lead to has become something else.
 *
 * What counts is what stat says of a path, links followed: device, inode, size, time of change,
 * or that there is nothing. inotify only says when to look: each folder is watched whose entries
 * lead from a path to its file, which are the file's own folder and those that hold a link on
 * the way. (Kubernetes keeps tls.crt -> ..data/tls.crt, ..data -> ..2026_01_31, and turns the
 * second one.) When nothing is there, it is the nearest folder that is. A poll looks once a
 * second besides: network file systems tell nothing, a queue can overflow, the number of watches
 * is limited.
 *
 *            event, poll: differs from `told`
 *   quiet ─────────────────────────────────────► settling: every SETTLE_MS
 *     ▲                                             │  as the last time, or SETTLE_MAX_MS are over
 *     └────────────── told = seen, run() ◄──────────┘
 *
 * 1. `run` is called only when `told` has changed, so never for a neighbour in the same folder.
 * 2. After each look that followed an event, the folders are those that the paths need now; a
 *    folder that was replaced by another one of its name is told apart by its inode. */
#include "net/loop.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum {
  SETTLE_MS = 100,     /* an editor's several steps are one change */
  SETTLE_MAX_MS = 500, /* a file that is written all the time is told of meanwhile */
  POLL_MS = 1000,
  LINKS_MAX = 40, /* as the kernel has it */
};

struct stamp {
  bool there;
  dev_t device;
  ino_t inode;
  off_t size;
  struct timespec modified, changed;
};

struct place { /* a folder that is needed */
  char *path;
  dev_t device;
  ino_t inode;
};

struct places {
  struct place *items;
  size_t count;
};

struct net_watch {
  struct net_loop *loop;
  void (*run)(void *context);
  void *context;
  char **paths;
  struct stamp *told, *seen, *now; /* one for each path */
  size_t count;
  struct places places;
  uv_fs_event_t **events; /* one for each place; NULL: the system gave none */
  struct net_timer *settle, *poll;
  bool settling;
  int64_t settling_since_ms;
};

/* ---- what paths lead to ------------------------------------------------------------ */

static struct stamp look_at(const char *path) {
  struct stat about;
  if (stat(path, &about) != 0) return (struct stamp){.there = false};
  return (struct stamp){.there = true,
                        .device = about.st_dev,
                        .inode = about.st_ino,
                        .size = about.st_size,
                        .modified = about.st_mtim,
                        .changed = about.st_ctim};
}

static bool same_time(struct timespec a, struct timespec b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_stamps(const struct stamp *a, const struct stamp *b, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (a[i].there != b[i].there || a[i].device != b[i].device || a[i].inode != b[i].inode ||
        a[i].size != b[i].size || !same_time(a[i].modified, b[i].modified) ||
        !same_time(a[i].changed, b[i].changed))
      return false;
  return true;
}

static void look(const struct net_watch *watch, struct stamp *stamps) {
  for (size_t i = 0; i < watch->count; i++) stamps[i] = look_at(watch->paths[i]);
}

/* ---- the folders on the way ---------------------------------------------------------- */

static void places_release(struct places *places) {
  for (size_t i = 0; i < places->count; i++) free(places->items[i].path);
  free(places->items);
  *places = (struct places){0};
}

/* Without memory the poll does. */
static void add_place(struct places *places, const char *path) {
  struct stat about;
  if (*path == '\0') path = "/";
  for (size_t i = 0; i < places->count; i++)
    if (strcmp(places->items[i].path, path) == 0) return;
  if (stat(path, &about) != 0) return;
  struct place *items = realloc(places->items, (places->count + 1) * sizeof *items);
  if (items == NULL) return;
  places->items = items;
  char *copy = strdup(path);
  if (copy == NULL) return;
  items[places->count++] =
      (struct place){.path = copy, .device = about.st_dev, .inode = about.st_ino};
}

/* A path that is being followed: `done` is free of links ("" for the root), `rest` is not yet. */
struct walk {
  char done[PATH_MAX], rest[PATH_MAX];
  int links;
};

/* Puts what the link `done`/name leads to before the rest. */
static bool follow_link(struct walk *walk, const char *link, const char *after) {
  char target[PATH_MAX], rest[PATH_MAX];
  ssize_t bytes = readlink(link, target, sizeof target - 1);
  if (bytes <= 0 || ++walk->links > LINKS_MAX) return false;
  target[bytes] = '\0';
  int length = snprintf(rest, sizeof rest, "%s/%s", target, after);
  if (length < 0 || (size_t)length >= sizeof rest) return false;
  memcpy(walk->rest, rest, (size_t)length + 1);
  if (target[0] == '/') walk->done[0] = '\0';
  return true;
}

/* One name further. False: the end, or nothing is there. */
static bool step(struct walk *walk, struct places *places) {
  char candidate[PATH_MAX];
  struct stat about;
  const char *name = walk->rest + strspn(walk->rest, "/");
  size_t name_bytes = strcspn(name, "/");
  const char *after = name + name_bytes + strspn(name + name_bytes, "/");
  if (name_bytes == 0) return false;
  int length = snprintf(candidate, sizeof candidate, "%s/%.*s", walk->done, (int)name_bytes, name);
  if (length < 0 || (size_t)length >= sizeof candidate) return false;
  if (name_bytes == 2 && memcmp(name, "..", 2) == 0) {
    char *slash = strrchr(walk->done, '/');
    if (slash != NULL) *slash = '\0';
  } else if (name_bytes != 1 || *name != '.') {
    if (lstat(candidate, &about) != 0) {
      add_place(places, walk->done);
      return false;
    }
    bool link = S_ISLNK(about.st_mode);
    if (link || *after == '\0') add_place(places, walk->done);
    if (link) return follow_link(walk, candidate, after);
    memcpy(walk->done, candidate, (size_t)length + 1);
  }
  memmove(walk->rest, after, strlen(after) + 1);
  return true;
}

static void find_places(const char *path, struct places *places) {
  struct walk walk = {.links = 0};
  size_t bytes = strlen(path);
  if (bytes >= sizeof walk.rest) return;
  memcpy(walk.rest, path, bytes + 1);
  while (step(&walk, places)) {
  }
}

static bool same_places(const struct places *a, const struct places *b) {
  if (a->count != b->count) return false;
  for (size_t i = 0; i < a->count; i++)
    if (strcmp(a->items[i].path, b->items[i].path) != 0 ||
        a->items[i].device != b->items[i].device || a->items[i].inode != b->items[i].inode)
      return false;
  return true;
}

/* ---- inotify -------------------------------------------------------------------------- */

static void look_again(struct net_watch *watch);

static void on_event(uv_fs_event_t *event, const char *name, int events, int failed) {
  (void)name, (void)events, (void)failed; /* whatever it was, stat knows */
  struct net_watch *watch = event->data;
  if (!watch->settling) look_again(watch);
}

static void on_event_closed(uv_handle_t *handle) { free(handle); }

static uv_fs_event_t *watch_place(struct net_watch *watch, const struct place *place) {
  uv_fs_event_t *event = calloc(1, sizeof *event);
  if (event == NULL) return NULL;
  if (uv_fs_event_init(loop_uv(watch->loop), event) != 0) {
    free(event);
    return NULL;
  }
  event->data = watch;
  int failed = uv_fs_event_start(event, on_event, place->path, 0);
  if (failed == 0) return event;
  log_info("net", "changes in the folder '%s' are looked for once a second: %s", place->path,
           uv_strerror(failed));
  uv_close((uv_handle_t *)event, on_event_closed);
  return NULL;
}

static void drop_events(struct net_watch *watch) {
  for (size_t i = 0; i < watch->places.count && watch->events != NULL; i++)
    if (watch->events[i] != NULL) uv_close((uv_handle_t *)watch->events[i], on_event_closed);
  free(watch->events);
  watch->events = NULL;
  places_release(&watch->places);
}

static void follow_places(struct net_watch *watch) {
  struct places places = {0};
  for (size_t i = 0; i < watch->count; i++) find_places(watch->paths[i], &places);
  if (same_places(&places, &watch->places)) {
    places_release(&places);
    return;
  }
  drop_events(watch);
  watch->places = places;
  watch->events = calloc(places.count + 1, sizeof(uv_fs_event_t *));
  if (watch->events == NULL) return; /* the poll does */
  for (size_t i = 0; i < places.count; i++) watch->events[i] = watch_place(watch, &places.items[i]);
}

/* ---- settling --------------------------------------------------------------------------- */

static bool differs(const struct net_watch *watch, const struct stamp *stamps) {
  return !same_stamps(stamps, watch->told, watch->count);
}

/* Something may have changed: looks, and if it has, waits for it to settle. */
static void look_again(struct net_watch *watch) {
  look(watch, watch->seen);
  watch->settling = true;
  watch->settling_since_ms = clock_now_ms();
  net_timer_start(watch->settle, SETTLE_MS);
}

static void on_settle(void *context) {
  struct net_watch *watch = context;
  /* Folders first: what changes after this raises an event, what did before is seen below. */
  follow_places(watch);
  look(watch, watch->now);
  bool still = same_stamps(watch->now, watch->seen, watch->count) ||
               clock_now_ms() - watch->settling_since_ms >= SETTLE_MAX_MS;
  memcpy(watch->seen, watch->now, watch->count * sizeof *watch->seen);
  if (!still) {
    net_timer_start(watch->settle, SETTLE_MS);
    return;
  }
  watch->settling = false;
  if (!differs(watch, watch->now)) return;
  memcpy(watch->told, watch->now, watch->count * sizeof *watch->told);
  watch->run(watch->context); /* may free the watch */
}

static void on_poll(void *context) {
  struct net_watch *watch = context;
  net_timer_start(watch->poll, POLL_MS);
  if (watch->settling) return;
  look(watch, watch->now);
  if (differs(watch, watch->now)) look_again(watch);
}

/* ---- watches ------------------------------------------------------------------------------ */

/* `path` from the root, for the working directory may change. */
static char *absolute(const char *path) {
  char folder[PATH_MAX], *whole = NULL;
  if (*path == '/' || getcwd(folder, sizeof folder) == NULL) return strdup(path);
  size_t bytes = strlen(folder) + strlen(path) + 2;
  whole = malloc(bytes);
  if (whole != NULL) snprintf(whole, bytes, "%s/%s", folder, path);
  return whole;
}

static bool copy_paths(struct net_watch *watch, const char *const *paths, size_t count) {
  watch->paths = calloc(count + 1, sizeof *watch->paths);
  watch->told = calloc(count + 1, sizeof *watch->told);
  watch->seen = calloc(count + 1, sizeof *watch->seen);
  watch->now = calloc(count + 1, sizeof *watch->now);
  if (watch->paths == NULL || watch->told == NULL || watch->seen == NULL || watch->now == NULL)
    return false;
  for (; watch->count < count; watch->count++) {
    watch->paths[watch->count] = absolute(paths[watch->count]);
    if (watch->paths[watch->count] == NULL) return false;
  }
  return true;
}

enum status net_watch_new(struct net_loop *loop, const char *const *paths, size_t count,
                          void (*run)(void *context), void *context, struct net_watch **watch,
                          struct error *error) {
  *watch = NULL;
  struct net_watch *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory to watch files");
  made->loop = loop;
  made->run = run;
  made->context = context;
  enum status status = STATUS_OK;
  if (!copy_paths(made, paths, count))
    status = error_set(error, STATUS_NOMEM, "no memory to watch files");
  if (status == STATUS_OK) status = net_timer_new(loop, on_settle, made, &made->settle, error);
  if (status == STATUS_OK) status = net_timer_new(loop, on_poll, made, &made->poll, error);
  if (status != STATUS_OK) {
    net_watch_free(made);
    return status;
  }
  follow_places(made);
  look(made, made->told);
  net_timer_start(made->poll, POLL_MS);
  *watch = made;
  return STATUS_OK;
}

void net_watch_free(struct net_watch *watch) {
  if (watch == NULL) return;
  drop_events(watch);
  net_timer_free(watch->settle);
  net_timer_free(watch->poll);
  for (size_t i = 0; i < watch->count; i++) free(watch->paths[i]);
  free(watch->paths);
  free(watch->told);
  free(watch->seen);
  free(watch->now);
  free(watch);
}
