/* What the files of this room share. */
#ifndef ARROWPORT_SOURCE_PRIVATE_H
#define ARROWPORT_SOURCE_PRIVATE_H

#include "source/source.h"

extern const struct source_type SOURCE_IPC_FILE;
extern const struct source_type SOURCE_IPC_STREAM;

/* Over an open file, which is the source's from now on, also after a failure: for the
 * stream at its position, for the file format as a whole. `name` is for messages. */
enum status source_ipc_stream_open(int file, const char *name, struct budget *budget,
                                   struct source **source, struct error *error) WARN_UNUSED;
enum status source_ipc_file_open(int file, const char *name, struct budget *budget,
                                 struct source **source, struct error *error) WARN_UNUSED;

/* Opens a file for reading; "-" is standard input. */
enum status source_open_file(const char *path, int *file, struct error *error) WARN_UNUSED;

#endif
