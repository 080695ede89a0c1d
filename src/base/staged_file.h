/* A file that is there as a whole or not at all: written under a name of its own beside the one that
 * it is for, synced, and renamed. What cannot be replaced that way (a pipe, a device) is written
 * straight. Errors name the path. */
#ifndef ARROWPORT_BASE_STAGED_FILE_H
#define ARROWPORT_BASE_STAGED_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct staged_file;

/* Opens the file that is to be `path`. STATUS_CONFLICT when there is one and `replace` is false;
 * STATUS_NOT_FOUND: its folder is not there; STATUS_INVALID: it is a folder itself; STATUS_DENIED,
 * STATUS_IO. A link is followed: what it points to is replaced, and keeps its permissions. */
enum status staged_open(const char *path, bool replace, struct staged_file **staged,
                        struct error *error) WARN_UNUSED;
/* The same for a descriptor that is open and stays the caller's; `name` is for messages. */
enum status staged_open_descriptor(int file, const char *name, struct staged_file **staged,
                                   struct error *error) WARN_UNUSED;

/* What is written lies here until it is whole; NULL: it is written straight. */
const char *staged_path(const struct staged_file *staged);

/* Appends `bytes` >= 0; small pieces are collected. STATUS_IO, after which it fails again. */
enum status staged_write(struct staged_file *staged, const void *data, int64_t bytes,
                         struct error *error) WARN_UNUSED;
int64_t staged_bytes(const struct staged_file *staged); /* taken so far */

/* What was written is on disk, and then `path`: the data is synced, the file renamed, its folder
 * synced. Without `replace` a file that has come to be there meanwhile is left as it is
 * (STATUS_CONFLICT). After a failure there is nothing of it, unless only the last step failed. */
enum status staged_commit(struct staged_file *staged, struct error *error) WARN_UNUSED;

/* Nothing is left of what was not committed. NULL is allowed. */
void staged_free(struct staged_file *staged);

#endif
