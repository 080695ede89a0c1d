/* Makes a program's file operations fail: preloaded (LD_PRELOAD) into one that is under test.
 *
 * IO_FAIL_CONTROL names a file of sizeof(struct control) bytes, mapped shared: a test arms a fault
 * there while the program runs, and reads what came of it (tests/e2e/io_fail.py). Only calls on
 * files whose path holds IO_FAIL_PATH (".duckdb") are counted, and only while something is armed.
 *
 * The calls that are counted are those that change a file or its folder, in the order in which they
 * begin; `at` is the first that fails, `count` how many do from there on. A short write writes half
 * of what it was given and says so, as a disk does on which a part fitted. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

struct control {
  _Atomic int64_t armed; /* 0: nothing is counted */
  _Atomic int64_t at;    /* the first call that fails, from 1; 0: none does */
  _Atomic int64_t count; /* so many fail */
  _Atomic int64_t error; /* an errno */
  _Atomic int64_t half;  /* a write that fails first writes half */
  _Atomic int64_t kinds; /* a bit for each enum kind that is counted */
  _Atomic int64_t calls; /* counted so far */
  _Atomic int64_t failed;
  _Atomic int64_t log_bytes;
  char log[64 * 1024]; /* a line for each counted call: "write test.duckdb.wal 512" */
};

enum kind { WRITE, SYNC, TRUNCATE, OPEN, RENAME, UNLINK, ALLOCATE };
enum fault { NONE, FAIL, HALF };

static struct control *control;
static const char *wanted;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("IO_FAIL_CONTROL");
  if (path == NULL) return;
  wanted = getenv("IO_FAIL_PATH");
  if (wanted == NULL) wanted = ".duckdb";
  int file = REAL(open)(path, O_RDWR | O_CLOEXEC);
  if (file < 0) abort();
  void *map = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (map == MAP_FAILED) abort();
  control = map;
}

static void note(const char *name, const char *path, int64_t bytes, enum fault fault) {
  char line[512];
  const char *slash = strrchr(path, '/');
  int length =
      snprintf(line, sizeof line, "%s %.200s %lld%s\n", name, slash == NULL ? path : slash + 1,
               (long long)bytes, fault == NONE ? "" : " FAILS");
  int64_t at = atomic_fetch_add(&control->log_bytes, length);
  if (length > 0 && at + length <= (int64_t)sizeof control->log)
    memcpy(control->log + at, line, (size_t)length);
}

static enum fault judge_path(enum kind kind, const char *name, const char *path, int64_t bytes) {
  if (control == NULL || atomic_load(&control->armed) == 0) return NONE;
  if ((atomic_load(&control->kinds) >> kind & 1) == 0) return NONE;
  if (path == NULL || strstr(path, wanted) == NULL) return NONE;
  int64_t call = atomic_fetch_add(&control->calls, 1) + 1;
  int64_t at = atomic_load(&control->at);
  enum fault fault = NONE;
  if (at > 0 && call >= at && call - at < atomic_load(&control->count)) {
    fault =
        kind == WRITE && call == at && atomic_load(&control->half) != 0 && bytes > 1 ? HALF : FAIL;
    atomic_fetch_add(&control->failed, 1);
  }
  note(name, path, bytes, fault);
  if (fault == FAIL) errno = (int)atomic_load(&control->error);
  return fault;
}

static enum fault judge(enum kind kind, const char *name, int file, int64_t bytes) {
  if (control == NULL || atomic_load(&control->armed) == 0) return NONE;
  int before = errno;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  errno = before;
  if (length <= 0) return NONE;
  path[length] = '\0';
  return judge_path(kind, name, path, bytes);
}

/* ---- what is preloaded ---------------------------------------------------------------- */

ssize_t write(int file, const void *data, size_t bytes) {
  enum fault fault = judge(WRITE, "write", file, (int64_t)bytes);
  if (fault == FAIL) return -1;
  return REAL(write)(file, data, fault == HALF ? bytes / 2 : bytes);
}

ssize_t pwrite(int file, const void *data, size_t bytes, off_t at) {
  enum fault fault = judge(WRITE, "pwrite", file, (int64_t)bytes);
  if (fault == FAIL) return -1;
  return REAL(pwrite)(file, data, fault == HALF ? bytes / 2 : bytes, at);
}

ssize_t pwrite64(int file, const void *data, size_t bytes, off64_t at) {
  enum fault fault = judge(WRITE, "pwrite", file, (int64_t)bytes);
  if (fault == FAIL) return -1;
  return REAL(pwrite64)(file, data, fault == HALF ? bytes / 2 : bytes, at);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
  if (judge(WRITE, "writev", file, count) != NONE) return -1;
  return REAL(writev)(file, parts, count);
}

int fsync(int file) { return judge(SYNC, "fsync", file, 0) != NONE ? -1 : REAL(fsync)(file); }

int fdatasync(int file) {
  return judge(SYNC, "fdatasync", file, 0) != NONE ? -1 : REAL(fdatasync)(file);
}

int ftruncate(int file, off_t bytes) {
  return judge(TRUNCATE, "ftruncate", file, bytes) != NONE ? -1 : REAL(ftruncate)(file, bytes);
}

int ftruncate64(int file, off64_t bytes) {
  return judge(TRUNCATE, "ftruncate", file, bytes) != NONE ? -1 : REAL(ftruncate64)(file, bytes);
}

#define OPENS(name)                                                                                \
  int name(const char *path, int flags, ...) {                                                     \
    va_list more;                                                                                  \
    va_start(more, flags);                                                                         \
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;                 \
    va_end(more);                                                                                  \
    if (judge_path(OPEN, "open", path, flags) != NONE) return -1;                                  \
    return REAL(name)(path, flags, mode);                                                          \
  }
OPENS(open)
OPENS(open64)

int rename(const char *from, const char *to) {
  return judge_path(RENAME, "rename", from, 0) != NONE ? -1 : REAL(rename)(from, to);
}

int unlink(const char *path) {
  return judge_path(UNLINK, "unlink", path, 0) != NONE ? -1 : REAL(unlink)(path);
}

int remove(const char *path) {
  return judge_path(UNLINK, "remove", path, 0) != NONE ? -1 : REAL(remove)(path);
}

int fallocate(int file, int mode, off_t at, off_t bytes) {
  return judge(ALLOCATE, "fallocate", file, bytes) != NONE ? -1
                                                           : REAL(fallocate)(file, mode, at, bytes);
}

int fallocate64(int file, int mode, off64_t at, off64_t bytes) {
  return judge(ALLOCATE, "fallocate", file, bytes) != NONE
             ? -1
             : REAL(fallocate64)(file, mode, at, bytes);
}

int posix_fallocate(int file, off_t at, off_t bytes) { /* gives the error, not errno */
  return judge(ALLOCATE, "fallocate", file, bytes) != NONE ? errno
                                                           : REAL(posix_fallocate)(file, at, bytes);
}

int posix_fallocate64(int file, off64_t at, off64_t bytes) {
  return judge(ALLOCATE, "fallocate", file, bytes) != NONE
             ? errno
             : REAL(posix_fallocate64)(file, at, bytes);
}
