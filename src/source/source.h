/* Where rows come from: the other end of the spine. */
#ifndef ARROWPORT_SOURCE_SOURCE_H
#define ARROWPORT_SOURCE_SOURCE_H

#include <stdint.h>

#include "arrow/abi.h"
#include "base/buffer.h"
#include "base/config.h"
#include "base/status.h"

struct source; /* begins, in every implementation, with `const struct source_type *type` */

struct source_type {
  const char *name;    /* "ipc_file" */
  const char *summary; /* one line for help and docs */
  const struct config_field *config;
  enum status (*open)(const struct config *config, struct budget *budget, struct source **source,
                      struct error *error);
  void (*close)(struct source *source);
  const struct ArrowSchema *(*schema)(struct source *source);
  enum status (*next)(struct source *source, struct ArrowArray *batch, struct error *error);
};

struct source {
  const struct source_type *type;
};

const struct source_type *source_find(const char *name); /* NULL: none of that name */
const struct source_type *const *source_all(size_t *count);

/* Opens a source and reads its schema. */
enum status source_open(const char *name, const struct config *config, struct budget *budget,
                        struct source **source, struct error *error) WARN_UNUSED;
/* Opens an Arrow file or stream by path, "-" for standard input, told apart by its
 * first bytes. STATUS_INVALID says what is wrong and at which byte. */
enum status source_open_path(const char *path, struct budget *budget, struct source **source,
                             struct error *error) WARN_UNUSED;
/* A source over a C stream, which stays the caller's and must outlive it. */
enum status source_open_c_stream(struct ArrowArrayStream *stream, struct source **source,
                                 struct error *error) WARN_UNUSED;
void source_close(struct source *source); /* NULL is allowed */

const struct ArrowSchema *source_schema(struct source *source); /* the source's own */
/* The next batch; `batch->release` is NULL after the last one. A truncated stream
 * is an error, not an end. */
enum status source_next(struct source *source, struct ArrowArray *batch,
                        struct error *error) WARN_UNUSED;

#endif
