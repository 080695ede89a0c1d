/* Files that appear whole.
 *
 * 1. Until the commit nothing lies under the path: bytes go into ".NAME.PID-N.tmp" beside it, on the same
 *    file system, so that a rename is one step.
 * 2. The data is synced before the rename and the folder after it: who finds the file after a crash
 *    finds all of it.
 * 3. `temporary` is set exactly as long as the file under that name is ours to remove. */
#include "base/staged_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEPT_BYTES = 256 << 10, TRIES = 100, MODE_BITS = 07777 };

struct staged_file {
  char *name;      /* for messages */
  char *path;      /* that it will have; NULL: written straight */
  char *temporary; /* that it has; NULL: none */
  int file;
  bool is_ours; /* the descriptor is closed with it */
  bool replace;
  bool has_failed;
  int64_t bytes;
  uint8_t *kept; /* bytes that are still to be written */
  int64_t kept_bytes;
};

static enum status failed(const char *name, int code, struct error *error) {
  enum status status = code == ENOENT || code == ENOTDIR                  ? STATUS_NOT_FOUND
                       : code == EACCES || code == EPERM || code == EROFS ? STATUS_DENIED
                       : code == ENOMEM                                   ? STATUS_NOMEM
                                                                          : STATUS_IO;
  return error_set(error, status, "'%s' cannot be written: %s", name,
                   code == ENOENT ? "its folder is not there" : strerror(code));
}

static enum status refuse_existing(const char *name, struct error *error) {
  return error_set(error, STATUS_CONFLICT, "'%s' is there already", name);
}

/* ---- opening --------------------------------------------------------------------------------- */

/* NULL: no memory. */
static struct staged_file *staged_new(const char *name) {
  struct staged_file *made = calloc(1, sizeof *made);
  if (made == NULL) return NULL;
  made->file = -1;
  made->name = strdup(name);
  made->kept = malloc(KEPT_BYTES);
  if (made->name != NULL && made->kept != NULL) return made;
  staged_free(made);
  return NULL;
}

/* Bytes of the folder in `path`, its slash included. */
static int folder_bytes(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash == NULL ? 0 : (int)(slash - path + 1);
}

static enum status open_temporary(struct staged_file *staged, struct error *error) {
  static _Atomic unsigned count;
  size_t room = strlen(staged->path) + 64;
  int folder = folder_bytes(staged->path);
  staged->temporary = malloc(room);
  if (staged->temporary == NULL) return error_set(error, STATUS_NOMEM, "no memory for a file");
  for (int i = 0; i < TRIES && staged->file < 0; i++) {
    snprintf(staged->temporary, room, "%.*s.%.200s.%ld-%u.tmp", folder, staged->path,
             staged->path + folder, (long)getpid(), atomic_fetch_add(&count, 1));
    staged->file = open(staged->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (staged->file < 0 && errno != EEXIST) break;
  }
  if (staged->file >= 0) return STATUS_OK;
  free(staged->temporary);
  staged->temporary = NULL;
  return failed(staged->name, errno, error);
}

static enum status open_there(struct staged_file *staged, const struct stat *about,
                              struct error *error) {
  if (S_ISDIR(about->st_mode))
    return error_set(error, STATUS_INVALID, "'%s' is a folder; name a file in it", staged->name);
  if (S_ISREG(about->st_mode) && !staged->replace) return refuse_existing(staged->name, error);
  staged->path = realpath(staged->name, NULL);
  if (staged->path == NULL) return failed(staged->name, errno, error);
  if (S_ISREG(about->st_mode)) {
    enum status status = open_temporary(staged, error);
    /* Where another's permissions cannot be kept, ours will do. */
    if (status == STATUS_OK && fchmod(staged->file, about->st_mode & MODE_BITS) != 0) errno = 0;
    return status;
  }
  free(staged->path);
  staged->path = NULL;
  staged->file = open(staged->name, O_WRONLY | O_CLOEXEC);
  return staged->file < 0 ? failed(staged->name, errno, error) : STATUS_OK;
}

enum status staged_open(const char *path, bool replace, struct staged_file **staged,
                        struct error *error) {
  struct stat about;
  enum status status;
  struct staged_file *made = staged_new(path);
  *staged = NULL;
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a file");
  made->is_ours = true;
  made->replace = replace;
  if (path[0] == '\0') {
    status = error_set(error, STATUS_INVALID, "the file to be written has no name");
  } else if (stat(path, &about) == 0) {
    status = open_there(made, &about, error);
  } else if (path[strlen(path) - 1] == '/') {
    status = error_set(error, STATUS_INVALID, "'%s' is a folder; name a file in it", path);
  } else {
    made->path = strdup(path);
    status = made->path == NULL ? error_set(error, STATUS_NOMEM, "no memory for a file")
                                : open_temporary(made, error);
  }
  if (status == STATUS_OK)
    *staged = made;
  else
    staged_free(made);
  return status;
}

enum status staged_open_descriptor(int file, const char *name, struct staged_file **staged,
                                   struct error *error) {
  *staged = staged_new(name);
  if (*staged == NULL) return error_set(error, STATUS_NOMEM, "no memory for a file");
  (*staged)->file = file;
  return STATUS_OK;
}

const char *staged_path(const struct staged_file *staged) { return staged->temporary; }
int64_t staged_bytes(const struct staged_file *staged) { return staged->bytes; }

/* ---- writing --------------------------------------------------------------------------------- */

static enum status write_all(struct staged_file *staged, const uint8_t *data, int64_t bytes,
                             struct error *error) {
  while (bytes > 0 && !staged->has_failed) {
    ssize_t written = write(staged->file, data, (size_t)bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      staged->has_failed = true;
      return failed(staged->name, errno, error);
    }
    data += written;
    bytes -= written;
  }
  if (!staged->has_failed) return STATUS_OK;
  return error_set(error, STATUS_IO, "'%s' cannot be written: it failed before", staged->name);
}

static enum status flush(struct staged_file *staged, struct error *error) {
  int64_t bytes = staged->kept_bytes;
  staged->kept_bytes = 0;
  return write_all(staged, staged->kept, bytes, error);
}

enum status staged_write(struct staged_file *staged, const void *data, int64_t bytes,
                         struct error *error) {
  enum status status = STATUS_OK;
  if (bytes > KEPT_BYTES - staged->kept_bytes || staged->has_failed) status = flush(staged, error);
  if (status == STATUS_OK && bytes >= KEPT_BYTES) {
    status = write_all(staged, data, bytes, error);
  } else if (status == STATUS_OK && bytes > 0) {
    memcpy(staged->kept + staged->kept_bytes, data, (size_t)bytes);
    staged->kept_bytes += bytes;
  }
  if (status == STATUS_OK) staged->bytes += bytes;
  return status;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* Where the system cannot rename without replacing, a look before it has to do. */
static int rename_beside(const char *from, const char *to) {
  int code = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
  if (code == 0 || (errno != EINVAL && errno != ENOSYS)) return code;
  if (access(to, F_OK) == 0) {
    errno = EEXIST;
    return -1;
  }
  return rename(from, to);
}

/* Allocates nothing: what is renamed is not to fail for want of memory. */
static enum status sync_folder(struct staged_file *staged, struct error *error) {
  int bytes = folder_bytes(staged->path);
  char kept = staged->path[bytes];
  staged->path[bytes] = '\0';
  int file = open(bytes == 0 ? "." : staged->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int code = file < 0 ? errno : fsync(file) != 0 ? errno : 0;
  staged->path[bytes] = kept;
  if (file >= 0) close(file);
  /* A folder that may be written but not read cannot be synced, and some systems sync none. */
  if (code == 0 || code == EACCES || code == EINVAL) return STATUS_OK;
  return error_set(error, STATUS_IO, "'%s' is written, but its folder cannot be synced: %s",
                   staged->name, strerror(code));
}

enum status staged_commit(struct staged_file *staged, struct error *error) {
  enum status status = flush(staged, error);
  if (status != STATUS_OK || staged->path == NULL) return status;
  if (staged->temporary == NULL)
    return sync_folder(staged, error); /* again: the last step failed */
  if (fsync(staged->file) != 0) return failed(staged->name, errno, error);
  int code = staged->replace ? rename(staged->temporary, staged->path)
                             : rename_beside(staged->temporary, staged->path);
  if (code != 0 && errno == EEXIST) return refuse_existing(staged->name, error);
  if (code != 0) return failed(staged->name, errno, error);
  free(staged->temporary);
  staged->temporary = NULL;
  return sync_folder(staged, error);
}

void staged_free(struct staged_file *staged) {
  if (staged == NULL) return;
  if (staged->temporary != NULL) unlink(staged->temporary);
  if (staged->is_ours && staged->file >= 0) close(staged->file);
  free(staged->temporary);
  free(staged->path);
  free(staged->name);
  free(staged->kept);
  free(staged);
}
