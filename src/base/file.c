#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { COPY_BYTES = 1 << 20, PATH_BYTES = 4096 };

enum status file_failed(int code, struct error *error) {
  enum status status = code == ENOENT || code == ENOTDIR ? STATUS_NOT_FOUND
                       : code == EACCES || code == EPERM ? STATUS_DENIED
                                                         : STATUS_IO;
  return error_set(error, status, "it cannot be read: %s", strerror(code));
}

enum status file_read(int file, void *data, size_t room, size_t *bytes, struct error *error) {
  ssize_t got;
  assert(room > 0);
  do got = read(file, data, room);
  while (got < 0 && errno == EINTR);
  if (got < 0) return error_set(error, STATUS_IO, "reading failed: %s", strerror(errno));
  *bytes = (size_t)got;
  return STATUS_OK;
}

/* ---- mapping ----------------------------------------------------------------------------- */

struct mapping {
  void *data;
  size_t bytes;
};

static void unmap(void *context) {
  struct mapping *mapping = context;
  munmap(mapping->data, mapping->bytes);
  free(mapping);
}

enum status file_map(int file, int64_t size_bytes, struct buffer *out, struct error *error) {
  struct mapping *mapping = calloc(1, sizeof *mapping);
  if (mapping == NULL) return error_set(error, STATUS_NOMEM, "no memory for a file");
  mapping->bytes = (size_t)size_bytes;
  mapping->data = mmap(NULL, mapping->bytes, PROT_READ, MAP_PRIVATE, file, 0);
  enum status status = STATUS_OK;
  if (mapping->data == MAP_FAILED) {
    status = error_set(error, errno == ENOMEM ? STATUS_NOMEM : STATUS_IO, "it cannot be mapped: %s",
                       strerror(errno));
    free(mapping);
    return status;
  }
  status = buffer_wrap(out, mapping->data, size_bytes, unmap, mapping, error);
  if (status != STATUS_OK) unmap(mapping);
  return status;
}

/* ---- temporary copies -------------------------------------------------------------------- */

static enum status temporary_failed(struct error *error) {
  return error_set(error, STATUS_IO, "a temporary file (in $TMPDIR or /tmp) cannot be written: %s",
                   strerror(errno));
}

static enum status write_all(int file, const uint8_t *data, size_t bytes, struct error *error) {
  while (bytes > 0) {
    ssize_t written = write(file, data, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return temporary_failed(error);
    data += written;
    bytes -= (size_t)written;
  }
  return STATUS_OK;
}

int file_nameless(const char *folder) {
  int file = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0) return file;
  char path[PATH_BYTES]; /* file systems that have no files without a name */
  int bytes = snprintf(path, sizeof path, "%s/.arrowport-XXXXXX", folder);
  if (bytes < 0 || (size_t)bytes >= sizeof path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  file = mkostemp(path, O_CLOEXEC);
  if (file >= 0) unlink(path);
  return file;
}

static enum status open_temporary(int *file, struct error *error) {
  const char *folder = getenv("TMPDIR");
  if (folder == NULL || folder[0] == '\0') folder = "/tmp";
  *file = file_nameless(folder);
  return *file < 0 ? temporary_failed(error) : STATUS_OK;
}

enum status file_spool(int pipe, const void *head, size_t head_bytes, int *copy,
                       struct error *error) {
  uint8_t *bytes = malloc(COPY_BYTES);
  size_t got = 0;
  *copy = -1;
  if (bytes == NULL) return error_set(error, STATUS_NOMEM, "no memory for a pipe");
  enum status status = open_temporary(copy, error);
  if (status == STATUS_OK) status = write_all(*copy, head, head_bytes, error);
  if (status == STATUS_OK) status = file_read(pipe, bytes, COPY_BYTES, &got, error);
  while (status == STATUS_OK && got > 0) {
    status = write_all(*copy, bytes, got, error);
    if (status == STATUS_OK) status = file_read(pipe, bytes, COPY_BYTES, &got, error);
  }
  if (status == STATUS_OK && lseek(*copy, 0, SEEK_SET) != 0) status = temporary_failed(error);
  if (status != STATUS_OK && *copy >= 0) {
    close(*copy);
    *copy = -1;
  }
  free(bytes);
  return status;
}
