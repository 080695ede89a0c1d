/* The bytes of a configuration file, whatever stands under its name.
 *
 * 1. Nothing is waited for without an end: a pipe that nobody writes to is given up.
 * 2. Nothing is read past the limit; a regular file's size says so before a byte is read.
 *
 * Pipes are read because shells make them (`--config <(...)`). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/settings.h"

enum { WAIT_MS = 5000 };

static enum status failed(const char *path, struct error *error) {
  int code = errno;
  if (code == ENOENT || code == ENOTDIR)
    return error_set(error, STATUS_NOT_FOUND, "there is no configuration file '%.200s'", path);
  if (code == EACCES || code == EPERM)
    return error_set(error, STATUS_DENIED,
                     "the configuration file '%.200s' may not be read by this user", path);
  return error_set(error, STATUS_IO, "the configuration file '%.200s' cannot be read: %s", path,
                   strerror(code));
}

static enum status check_kind(const char *path, const struct stat *about, struct error *error) {
  if (S_ISDIR(about->st_mode))
    return error_set(error, STATUS_INVALID,
                     "'%.200s' is a directory; name the configuration file in it", path);
  if (S_ISBLK(about->st_mode))
    return error_set(error, STATUS_INVALID, "'%.200s' is a disk and no configuration file", path);
  if (S_ISREG(about->st_mode) && about->st_size > SETTINGS_FILE_BYTES_MAX)
    return error_set(error, STATUS_TOO_LARGE,
                     "%.200s: the file has %lld bytes, more than %d; is it a configuration?", path,
                     (long long)about->st_size, SETTINGS_FILE_BYTES_MAX);
  return STATUS_OK;
}

/* Returns when there is something to read, or the end. */
static enum status wait_for_bytes(int file, const char *path, int64_t until_ms,
                                  struct error *error) {
  struct pollfd poll_file = {.fd = file, .events = POLLIN};
  for (;;) {
    int64_t left_ms = until_ms - clock_now_ms();
    int ready = poll(&poll_file, 1, left_ms > 0 ? (int)left_ms : 0);
    if (ready > 0) return STATUS_OK;
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return failed(path, error);
    return error_set(error, STATUS_TIMEOUT,
                     "the configuration file '%.200s' is a pipe or a terminal, and nothing came "
                     "from it for %d s",
                     path, WAIT_MS / 1000);
  }
}

/* Reads until the end or one byte past the limit, whichever comes first. */
static enum status read_all(int file, const char *path, char *data, size_t *bytes,
                            struct error *error) {
  int64_t until_ms = clock_now_ms() + WAIT_MS;
  *bytes = 0;
  while (*bytes <= SETTINGS_FILE_BYTES_MAX) {
    enum status status = wait_for_bytes(file, path, until_ms, error);
    if (status != STATUS_OK) return status;
    ssize_t got = read(file, data + *bytes, SETTINGS_FILE_BYTES_MAX + 1 - *bytes);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return failed(path, error);
    if (got == 0) return STATUS_OK;
    *bytes += (size_t)got;
  }
  return STATUS_OK;
}

enum status settings_file_read(const char *path, char **data, size_t *bytes, struct error *error) {
  struct stat about;
  *data = NULL;
  *bytes = 0;
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  enum status status =
      file < 0 || fstat(file, &about) != 0 ? failed(path, error) : check_kind(path, &about, error);
  if (status == STATUS_OK) {
    *data = malloc(SETTINGS_FILE_BYTES_MAX + 1);
    status = *data == NULL ? error_set(error, STATUS_NOMEM, "no memory for the configuration")
                           : read_all(file, path, *data, bytes, error);
  }
  if (file >= 0) close(file);
  return status;
}

void settings_file_free(char *data, size_t bytes) {
  if (data != NULL) explicit_bzero(data, bytes);
  free(data);
}
