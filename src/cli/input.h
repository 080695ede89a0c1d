/* A FILE of `ingest`: what it is, and its rows.
 *
 * What a file is, is found by its first bytes; only text, which has none that say it, is told
 * apart by the file's suffix. `-` is standard input. */
#ifndef ARROWPORT_CLI_INPUT_H
#define ARROWPORT_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"
#include "source/source.h"

enum input_kind { INPUT_ARROW_STREAM, INPUT_ARROW_FILE, INPUT_PARQUET, INPUT_CSV, INPUT_NDJSON };
#define INPUT_FORMATS "arrow|parquet|csv|ndjson"

struct input {
  const char *name; /* for messages */
  const char *path; /* as given */
  enum input_kind kind;
  const char *compression; /* "gzip", "zstd"; NULL: none */
  int file;
  bool is_regular;    /* and stands at its beginning: nothing of it has been read */
  bool is_spooled;    /* `file` is a temporary copy */
  int64_t size_bytes; /* -1: not known */
  uint8_t *head;      /* of a pipe: what has been read already */
  size_t head_bytes;
};

/* `format`, the value of the option `option` ("--format"), NULL: found out. STATUS_INVALID: a folder, an empty file, an unknown format (says which
 * there are and how to name one). `path` must outlive the input, which input_close releases
 * whatever happens. */
enum status input_open(const char *path, const char *format, const char *option,
                       struct input *input, struct error *error) WARN_UNUSED;
void input_close(struct input *input);

struct input_options {
  struct budget *budget;
  const char *delimiter;      /* CSV; NULL: found by looking */
  bool all_text;              /* CSV */
  int64_t memory_limit_bytes; /* of the engine that reads what is no Arrow */
  int threads;                /* its own, or those that expand compressed Arrow */
};

/* Its rows; the input must outlive the source. What comes from a pipe and cannot be read as it
 * comes is put into a temporary file first. */
enum status input_source(struct input *input, const struct input_options *options,
                         struct source **source, struct error *error) WARN_UNUSED;

#endif
