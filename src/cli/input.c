#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

enum { HEAD_BYTES = 4096, HEAD_BYTES_MIN = 8, PATH_BYTES = 32 };

/* ---- what it is ------------------------------------------------------------------------------ */

static bool begins_with(const struct input *input, const char *magic, size_t bytes) {
  return input->head_bytes >= bytes && memcmp(input->head, magic, bytes) == 0;
}

/* Text has no NUL and hardly any other control character; what is no text here is left to the
 * reader of Arrow streams, which says at which byte it stops being one. */
static bool is_text(const struct input *input) {
  for (size_t i = 0; i < input->head_bytes; i++) {
    uint8_t byte = input->head[i];
    if (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r' && byte != '\f') return false;
  }
  return input->head_bytes > 0 && input->head[0] != 0xFF;
}

static bool begins_with_brace(const struct input *input) {
  size_t at = begins_with(input, "\xEF\xBB\xBF", 3) ? 3 : 0;
  while (at < input->head_bytes && strchr(" \t\r\n", input->head[at]) != NULL) at++;
  return at < input->head_bytes && input->head[at] == '{';
}

struct suffix {
  const char *text;
  enum input_kind kind;
};

/* The kind that the path's suffix names; false: none. `.gz` and `.zst` are looked past. */
static bool kind_of_suffix(const char *path, enum input_kind *kind) {
  static const struct suffix suffixes[] = {{".csv", INPUT_CSV},
                                           {".tsv", INPUT_CSV},
                                           {".ndjson", INPUT_NDJSON},
                                           {".jsonl", INPUT_NDJSON},
                                           {".json", INPUT_NDJSON},
                                           {".parquet", INPUT_PARQUET},
                                           {".arrow", INPUT_ARROW_STREAM},
                                           {".arrows", INPUT_ARROW_STREAM},
                                           {".ipc", INPUT_ARROW_STREAM},
                                           {".feather", INPUT_ARROW_STREAM}};
  size_t bytes = strlen(path);
  if (bytes > 3 && strcasecmp(path + bytes - 3, ".gz") == 0) bytes -= 3;
  if (bytes > 4 && strcasecmp(path + bytes - 4, ".zst") == 0) bytes -= 4;
  for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
    size_t suffix_bytes = strlen(suffixes[i].text);
    if (bytes < suffix_bytes ||
        strncasecmp(path + bytes - suffix_bytes, suffixes[i].text, suffix_bytes) != 0)
      continue;
    *kind = suffixes[i].kind;
    return true;
  }
  return false;
}

/* --format; `arrow` leaves open which of the two. */
static enum status kind_of_format(const char *format, const char *option, enum input_kind *kind,
                                  struct error *error) {
  static const struct suffix formats[] = {{"arrow", INPUT_ARROW_STREAM},
                                          {"parquet", INPUT_PARQUET},
                                          {"csv", INPUT_CSV},
                                          {"ndjson", INPUT_NDJSON}};
  for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
    if (strcmp(formats[i].text, format) != 0) continue;
    *kind = formats[i].kind;
    return STATUS_OK;
  }
  return error_set(error, STATUS_INVALID, "%s is '%.40s'; it must be one of %s", option, format,
                   INPUT_FORMATS);
}

static enum status find_kind(struct input *input, const char *format, const char *option,
                             struct error *error) {
  enum status status =
      format == NULL ? STATUS_OK : kind_of_format(format, option, &input->kind, error);
  if (status != STATUS_OK) return status;
  if (begins_with(input, "\x1F\x8B", 2)) input->compression = "gzip";
  if (begins_with(input, "\x28\xB5\x2F\xFD", 4)) input->compression = "zstd";
  bool arrow_file = begins_with(input, "ARROW1", 6);
  if (format != NULL) {
    if (input->kind == INPUT_ARROW_STREAM && arrow_file) input->kind = INPUT_ARROW_FILE;
    return STATUS_OK;
  }
  enum input_kind suffix = INPUT_ARROW_STREAM;
  bool has_suffix = kind_of_suffix(input->path, &suffix);
  input->kind = INPUT_ARROW_STREAM;
  if (arrow_file) {
    input->kind = INPUT_ARROW_FILE;
  } else if (begins_with(input, "PAR1", 4)) {
    input->kind = INPUT_PARQUET;
  } else if (begins_with(input, "\xFF\xFF\xFF\xFF", 4)) {
    input->kind = INPUT_ARROW_STREAM;
  } else if (has_suffix) {
    input->kind = suffix;
  } else if (input->compression != NULL || is_text(input)) {
    if (begins_with_brace(input))
      input->kind = INPUT_NDJSON;
    else
      return error_set(error, STATUS_INVALID,
                       "what it holds cannot be told from its first bytes nor from its name; say "
                       "%s csv or %s ndjson",
                       option, option);
  }
  return STATUS_OK;
}

/* ---- opening --------------------------------------------------------------------------------- */

static enum status read_head(struct input *input, struct error *error) {
  input->head = calloc(1, HEAD_BYTES);
  if (input->head == NULL) return error_set(error, STATUS_NOMEM, "no memory for a file");
  if (input->is_regular) {
    ssize_t got = pread(input->file, input->head, HEAD_BYTES, 0);
    if (got < 0) return file_failed(errno, error);
    input->head_bytes = (size_t)got;
    return STATUS_OK;
  }
  enum status status = STATUS_OK;
  for (size_t got = 1; got > 0 && input->head_bytes < HEAD_BYTES_MIN && status == STATUS_OK;
       input->head_bytes += got)
    status = file_read(input->file, input->head + input->head_bytes, HEAD_BYTES - input->head_bytes,
                       &got, error);
  return status;
}

static enum status open_input(struct input *input, const char *format, const char *option,
                              struct error *error) {
  struct stat about;
  bool standard = strcmp(input->path, "-") == 0;
  input->file =
      standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : open(input->path, O_RDONLY | O_CLOEXEC);
  if (input->file < 0 || fstat(input->file, &about) != 0) return file_failed(errno, error);
  if (S_ISDIR(about.st_mode))
    return error_set(error, STATUS_INVALID, "it is a folder; name the files in it");
  input->is_regular = S_ISREG(about.st_mode) && lseek(input->file, 0, SEEK_CUR) == 0;
  if (input->is_regular) input->size_bytes = about.st_size;
  enum status status = read_head(input, error);
  if (status == STATUS_OK && input->head_bytes == 0)
    status = error_set(error, STATUS_INVALID, "is empty: not even a schema is in it");
  if (status == STATUS_OK) status = find_kind(input, format, option, error);
  if (status == STATUS_OK && input->is_regular) input->head_bytes = 0; /* it is still to be read */
  return status;
}

enum status input_open(const char *path, const char *format, const char *option,
                       struct input *input, struct error *error) {
  *input = (struct input){.path = path,
                          .name = strcmp(path, "-") == 0 ? "standard input" : path,
                          .file = -1,
                          .size_bytes = -1};
  enum status status = open_input(input, format, option, error);
  if (status != STATUS_OK) error_at(error, "'%s'", input->name);
  return status;
}

void input_close(struct input *input) {
  if (input->file >= 0) close(input->file);
  free(input->head);
  input->file = -1;
  input->head = NULL;
}

/* ---- its rows -------------------------------------------------------------------------------- */

/* Bytes of a pipe: what has been read already, then the rest. */
static enum status read_pipe(void *context, void *data, int64_t room_bytes, int64_t *bytes,
                             struct error *error) {
  struct input *input = context;
  size_t got = input->head_bytes < (size_t)room_bytes ? input->head_bytes : (size_t)room_bytes;
  *bytes = (int64_t)got;
  if (got > 0) {
    memcpy(data, input->head, got);
    input->head_bytes -= got;
    memmove(input->head, input->head + got, input->head_bytes);
    return STATUS_OK;
  }
  enum status status = file_read(input->file, data, (size_t)room_bytes, &got, error);
  *bytes = (int64_t)got;
  return status;
}

static enum status spool(struct input *input, struct error *error) {
  struct stat about;
  int copy = -1;
  enum status status = file_spool(input->file, input->head, input->head_bytes, &copy, error);
  if (status != STATUS_OK) return status;
  close(input->file);
  input->file = copy;
  input->is_spooled = true;
  input->head_bytes = 0;
  if (fstat(copy, &about) == 0) input->size_bytes = about.st_size;
  return STATUS_OK;
}

static enum status map_spooled(struct input *input, const struct source_options *options,
                               struct source **source, struct error *error) {
  struct buffer mapping = BUFFER_EMPTY;
  enum status status = file_map(input->file, input->size_bytes, &mapping, error);
  return status == STATUS_OK ? source_open_buffer(mapping, options, source, error) : status;
}

static enum status open_arrow(struct input *input, const struct input_options *asked,
                              struct source **source, struct error *error) {
  struct source_options options = SOURCE_OPTIONS_DEFAULT(asked->budget);
  options.threads = asked->threads;
  if (input->is_regular) return source_open_path_with(input->path, &options, source, error);
  if (input->kind == INPUT_ARROW_STREAM) {
    struct source_bytes bytes = {.read = read_pipe, .context = input};
    return source_open_bytes(&bytes, input->name, &options, source, error);
  }
  enum status status = spool(input, error);
  if (status == STATUS_OK) status = map_spooled(input, &options, source, error);
  if (status != STATUS_OK) error_at(error, "'%s'", input->name);
  return status;
}

enum status input_source(struct input *input, const struct input_options *options,
                         struct source **source, struct error *error) {
  *source = NULL;
  if (input->kind == INPUT_ARROW_STREAM || input->kind == INPUT_ARROW_FILE)
    return open_arrow(input, options, source, error);
  enum status status = input->is_regular ? STATUS_OK : spool(input, error);
  if (status != STATUS_OK) {
    error_at(error, "'%s'", input->name);
    return status;
  }
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "/proc/self/fd/%d", input->file);
  struct table_file_options file = {
      .kind = input->kind == INPUT_PARQUET ? TABLE_FILE_PARQUET
              : input->kind == INPUT_CSV   ? TABLE_FILE_CSV
                                           : TABLE_FILE_NDJSON,
      .compression = input->compression,
      .delimiter = options->delimiter,
      .all_text = options->all_text,
      .name = input->name,
      .memory_limit_bytes = options->memory_limit_bytes,
      .threads = options->threads,
      .budget = options->budget,
  };
  return source_open_table_file(path, &file, source, error);
}
