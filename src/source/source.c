#include "source/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "arrow/ipc.h"
#include "source/private.h"

static const struct source_type *const types[] = {&SOURCE_IPC_FILE, &SOURCE_IPC_STREAM};
enum { TYPE_COUNT = sizeof types / sizeof types[0] };

const struct source_type *const *source_all(size_t *count) {
  *count = TYPE_COUNT;
  return types;
}

const struct source_type *source_find(const char *name) {
  for (size_t i = 0; i < TYPE_COUNT; i++)
    if (strcmp(types[i]->name, name) == 0) return types[i];
  return NULL;
}

enum status source_open(const char *name, const struct config *config, struct budget *budget,
                        struct source **source, struct error *error) {
  *source = NULL;
  const struct source_type *type = source_find(name);
  if (type == NULL)
    return error_set(error, STATUS_NOT_FOUND,
                     "there is no source '%s'; ipc_file and ipc_stream are there", name);
  return type->open(config, budget, source, error);
}

enum status source_open_file(const char *path, int *file, struct error *error) {
  if (strcmp(path, "-") == 0) {
    *file = dup(STDIN_FILENO);
  } else {
    *file = open(path, O_RDONLY | O_CLOEXEC);
  }
  if (*file >= 0) return STATUS_OK;
  enum status status = errno == ENOENT   ? STATUS_NOT_FOUND
                       : errno == EACCES ? STATUS_DENIED
                                         : STATUS_IO;
  return error_set(error, status, "'%s' cannot be read: %s", path, strerror(errno));
}

enum status source_open_path(const char *path, struct budget *budget, struct source **source,
                             struct error *error) {
  *source = NULL;
  int file = -1;
  enum status status = source_open_file(path, &file, error);
  if (status != STATUS_OK) return status;
  /* A pipe cannot be looked at without taking from it, and cannot hold a file, which is
   * read from its end; the stream's own reader says so when it meets one. */
  uint8_t head[8];
  ssize_t bytes = pread(file, head, sizeof head, 0);
  return bytes > 0 && ipc_file_magic(head, bytes)
             ? source_ipc_file_open(file, path, budget, source, error)
             : source_ipc_stream_open(file, path, budget, source, error);
}

void source_close(struct source *source) {
  if (source != NULL) source->type->close(source);
}

const struct ArrowSchema *source_schema(struct source *source) {
  return source->type->schema(source);
}

enum status source_next(struct source *source, struct ArrowArray *batch, struct error *error) {
  batch->release = NULL;
  return source->type->next(source, batch, error);
}
