/* What is done with file descriptors in more than one place. Errors say what failed and why,
 * not which file: who knows its name puts it before them. */
#ifndef ARROWPORT_BASE_FILE_H
#define ARROWPORT_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"

/* Opening or reading failed with this errno: STATUS_NOT_FOUND, STATUS_DENIED or STATUS_IO. */
enum status file_failed(int code, struct error *error);

/* At most `room` >= 1 bytes; `*bytes` is 0 at the end. Blocks. STATUS_IO. */
enum status file_read(int file, void *data, size_t room, size_t *bytes,
                      struct error *error) WARN_UNUSED;

/* `size_bytes` >= 1 bytes from the file's beginning, mapped for reading until the last owner
 * of `out` lets go; the file may be closed. Whoever truncates it meanwhile ends this process
 * (SIGBUS), as with every mapped file. STATUS_IO, STATUS_NOMEM. */
enum status file_map(int file, int64_t size_bytes, struct buffer *out,
                     struct error *error) WARN_UNUSED;

/* A file without a name in `folder`, for reading and writing, which is gone once it is closed;
 * -1 with errno. */
int file_nameless(const char *folder);

/* A pipe's `head`, which has been read, and the rest of it in a temporary file without a name
 * (in $TMPDIR, else /tmp), positioned at its beginning; `*copy` is the caller's to close.
 * STATUS_IO, STATUS_NOMEM. */
enum status file_spool(int pipe, const void *head, size_t head_bytes, int *copy,
                       struct error *error) WARN_UNUSED;

#endif
