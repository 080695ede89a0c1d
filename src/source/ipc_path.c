/* Arrow files and streams by their path: regular files are mapped, whatever else is read as
 * it comes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "source/private.h"

/* ---- file descriptors ------------------------------------------------------------------------ */

static enum status read_file(void *context, void *data, int64_t room_bytes, int64_t *bytes,
                             struct error *error) {
  size_t got = 0;
  enum status status = file_read(*(const int *)context, data, (size_t)room_bytes, &got, error);
  *bytes = (int64_t)got;
  return status;
}

static void close_file(void *context) {
  int *file = context;
  close(*file);
  free(file);
}

static enum status open_bytes(int file, const char *name, const struct source_options *options,
                              struct source **source, struct error *error) {
  int *kept = malloc(sizeof *kept);
  if (kept == NULL) {
    close(file);
    return error_set(error, STATUS_NOMEM, "no memory for a source");
  }
  *kept = file;
  struct source_bytes bytes = {read_file, close_file, kept};
  return source_open_bytes(&bytes, name, options, source, error);
}

/* ---- paths ------------------------------------------------------------------------------------ */

static bool is_standard_input(const char *path) { return strcmp(path, "-") == 0; }

static enum status open_file(const char *path, int *file, struct stat *stat, struct error *error) {
  *stat = (struct stat){.st_size = 0};
  *file = is_standard_input(path) ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                  : open(path, O_RDONLY | O_CLOEXEC);
  int failed = *file < 0 || fstat(*file, stat) != 0 ? errno : 0;
  if (failed == 0 && S_ISDIR(stat->st_mode)) failed = EISDIR;
  if (failed == 0) return STATUS_OK;
  if (*file >= 0) close(*file);
  enum status status = file_failed(failed, error);
  error_at(error, "'%s'", path);
  return status;
}

/* A pipe cannot be looked at without taking from it, and cannot hold a file, which is read
 * from its end; the stream's own reader says so when it meets one. */
static bool has_magic(int file) {
  uint8_t head[8];
  ssize_t bytes = pread(file, head, sizeof head, 0);
  return bytes > 0 && ipc_file_magic(head, bytes);
}

/* `type` NULL: what its first bytes say. Standard input may stand in the middle of something
 * longer, of which a stream is what comes next; so it is never mapped as one. */
static enum status open_path(const char *path, const struct source_type *type,
                             const struct source_options *options, struct source **source,
                             struct error *error) {
  *source = NULL;
  int file = -1;
  struct stat stat;
  enum status status = open_file(path, &file, &stat, error);
  if (status != STATUS_OK) return status;
  const char *name = is_standard_input(path) ? "standard input" : path;
  bool is_mappable = S_ISREG(stat.st_mode) && stat.st_size > 0;
  if (type == NULL) type = is_mappable && has_magic(file) ? &SOURCE_IPC_FILE : &SOURCE_IPC_STREAM;
  if (type == &SOURCE_IPC_STREAM && (!is_mappable || is_standard_input(path)))
    return open_bytes(file, name, options, source, error);
  struct buffer mapping = BUFFER_EMPTY;
  if (is_mappable)
    status = file_map(file, stat.st_size, &mapping, error);
  else
    status = error_set(error, STATUS_INVALID, "%s",
                       S_ISREG(stat.st_mode) ? "it is empty"
                                             : "an Arrow file is read from its end, which only "
                                               "a regular file lets one do");
  if (status == STATUS_OK)
    return ipc_buffer_open(mapping, file, type, name, options, source, error);
  error_at(error, "'%s'", name);
  close(file);
  return status;
}

enum status source_open_path_with(const char *path, const struct source_options *options,
                                  struct source **source, struct error *error) {
  return open_path(path, NULL, options, source, error);
}

enum status source_open_path(const char *path, struct budget *budget, struct source **source,
                             struct error *error) {
  struct source_options options = SOURCE_OPTIONS_DEFAULT(budget);
  return open_path(path, NULL, &options, source, error);
}

/* ---- by name ------------------------------------------------------------------------------------ */

static const struct config_field file_fields[] = {
    {.name = "path", .type = CONFIG_PATH, .required = true, .doc = "The Arrow IPC file."},
    {.name = NULL},
};

static const struct config_field stream_fields[] = {
    {.name = "path",
     .type = CONFIG_PATH,
     .required = true,
     .doc = "The file that holds an Arrow IPC stream; `-` is standard input."},
    {.name = NULL},
};

static enum status open_type(const struct source_type *type, const struct config *config,
                             struct budget *budget, struct source **source, struct error *error) {
  struct source_options options = SOURCE_OPTIONS_DEFAULT(budget);
  return open_path(config_string(config, "path"), type, &options, source, error);
}

static enum status open_ipc_file(const struct config *config, struct budget *budget,
                                 struct source **source, struct error *error) {
  return open_type(&SOURCE_IPC_FILE, config, budget, source, error);
}

static enum status open_ipc_stream(const struct config *config, struct budget *budget,
                                   struct source **source, struct error *error) {
  return open_type(&SOURCE_IPC_STREAM, config, budget, source, error);
}

const struct source_type SOURCE_IPC_FILE = {
    .name = "ipc_file",
    .summary = "an Arrow IPC file (Feather V2), mapped into memory",
    .config = file_fields,
    .open = open_ipc_file,
    .close = ipc_source_close,
    .schema = ipc_source_schema,
    .next = ipc_source_next,
    .metadata = ipc_source_metadata,
    .fraction = ipc_source_fraction,
};

const struct source_type SOURCE_IPC_STREAM = {
    .name = "ipc_stream",
    .summary = "an Arrow IPC stream in a file, a pipe or standard input",
    .config = stream_fields,
    .open = open_ipc_stream,
    .close = ipc_source_close,
    .schema = ipc_source_schema,
    .next = ipc_source_next,
    .metadata = ipc_source_metadata,
    .fraction = ipc_source_fraction,
};
