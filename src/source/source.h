/* Where rows come from: the other end of the spine. */
#ifndef ARROWPORT_SOURCE_SOURCE_H
#define ARROWPORT_SOURCE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/ipc.h"
#include "base/buffer.h"
#include "base/config.h"
#include "base/status.h"

struct source; /* what every implementation's struct begins with */

struct source_type {
  const char *name;    /* "ipc_file" */
  const char *summary; /* one line for help and docs */
  const struct config_field *config;
  enum status (*open)(const struct config *config, struct budget *budget, struct source **source,
                      struct error *error);
  void (*close)(struct source *source);
  const struct ArrowSchema *(*schema)(struct source *source);
  /* `batch` holds nothing before, and nothing after a failure or the last batch; `error` is
   * given. Not called again after a failure other than STATUS_BUDGET. */
  enum status (*next)(struct source *source, struct ArrowArray *batch, struct error *error);
  const char *(*metadata)(struct source *source); /* NULL: it never has any */
  double (*fraction)(struct source *source);      /* NULL: it is never known */
};

struct source {
  const struct source_type *type;
  bool has_failed;    /* for good */
  struct error error; /* of the last call of source_next */
};

const struct source_type *source_find(const char *name); /* NULL: none of that name */
const struct source_type *const *source_all(size_t *count);

/* Opens a source and reads its schema. */
enum status source_open(const char *name, const struct config *config, struct budget *budget,
                        struct source **source, struct error *error) WARN_UNUSED;
void source_close(struct source *source); /* NULL is allowed */

const struct ArrowSchema *source_schema(struct source *source); /* the source's own */

/* The next batch; `batch->release` is NULL after the last one, and after a failure. A
 * truncated stream is an error, not an end. After STATUS_BUDGET the call may be repeated;
 * after another failure it fails again. */
enum status source_next(struct source *source, struct ArrowArray *batch,
                        struct error *error) WARN_UNUSED;

/* How much of the source has been read, 0 to 1; negative: it is not known. */
double source_fraction(struct source *source);

/* Custom metadata that came with the last batch, encoded as ArrowSchema.metadata; NULL
 * without any. The source's, until the next call. */
const char *source_metadata(struct source *source);

/* ---- Arrow IPC ------------------------------------------------------------------------ */

struct source_options {
  struct budget *budget; /* of what is copied or expanded; it must outlive the batches */
  struct ipc_limits limits;
  int threads;       /* that expand large compressed bodies, the caller's counted; 0, 1: it alone */
  bool eos_optional; /* a stream may end between two messages */
};

#define SOURCE_OPTIONS_DEFAULT(of_budget)                                                          \
  ((struct source_options){.budget = (of_budget), .limits = IPC_LIMITS_DEFAULT})

/* Opens an Arrow file or stream by path, "-" for standard input, told apart by its
 * first bytes. A regular file is mapped and its batches point into the mapping, which lives
 * until the last of them is released. STATUS_INVALID says what is wrong and at which byte. */
enum status source_open_path(const char *path, struct budget *budget, struct source **source,
                             struct error *error) WARN_UNUSED;
enum status source_open_path_with(const char *path, const struct source_options *options,
                                  struct source **source, struct error *error) WARN_UNUSED;

/* An Arrow file or stream in memory; batches share the bytes. The buffer is the source's
 * from now on, also after a failure. */
enum status source_open_buffer(struct buffer data, const struct source_options *options,
                               struct source **source, struct error *error) WARN_UNUSED;

/* Where the bytes of a stream come from. `read` puts up to `room_bytes` (>= 1) at `data` and
 * says in `*bytes` how many; 0 is the end. `close` (NULL is allowed) comes last, once. */
struct source_bytes {
  enum status (*read)(void *context, void *data, int64_t room_bytes, int64_t *bytes,
                      struct error *error);
  void (*close)(void *context);
  void *context;
};

/* An Arrow stream that is read as it comes. `bytes` is closed by the source, and also after
 * a failure. `name` (NULL is allowed) is put before what is wrong with it. */
enum status source_open_bytes(const struct source_bytes *bytes, const char *name,
                              const struct source_options *options, struct source **source,
                              struct error *error) WARN_UNUSED;

/* ---- files that the SQL engine reads ------------------------------------------------------ */

enum table_file_kind { TABLE_FILE_PARQUET, TABLE_FILE_CSV, TABLE_FILE_NDJSON };

struct table_file_options {
  enum table_file_kind kind;
  const char *compression;    /* "gzip", "zstd" (CSV, NDJSON); NULL: none */
  const char *delimiter;      /* CSV; NULL: found by looking */
  bool all_text;              /* CSV: every column is text; otherwise types are found by looking */
  const char *name;           /* for messages, in place of the path; NULL: the path */
  int64_t memory_limit_bytes; /* the engine's; 0: its default */
  int threads;                /* 0: as many as the machine has */
  struct budget *budget;      /* of the batches */
};

/* Opens a Parquet, CSV or NDJSON file with an engine of its own, which reads it as batches are
 * asked for: rows in the file's order, memory bounded by the options. `path` is a regular file
 * and nothing else: no pattern, no URL, no folder, no columns out of its name.
 * STATUS_INVALID names the file, and the line where DuckDB knows it; STATUS_NOT_FOUND also
 * without libduckdb.so. */
enum status source_open_table_file(const char *path, const struct table_file_options *options,
                                   struct source **source, struct error *error) WARN_UNUSED;

/* ---- sorted rows -------------------------------------------------------------------------- */

struct source_sort_key {
  const char *path; /* a column, or a field of a struct column: "address.city" */
  bool is_descending, nulls_first;
};

struct source_sort_options {
  const struct source_sort_key *keys; /* the first one decides, then the second, ... */
  size_t key_count;
  const char *spill_folder;   /* takes what does not fit the memory; NULL: it fails */
  int64_t memory_limit_bytes; /* the engine's; 0: its default */
  int threads;                /* 0: as many as the machine has */
  struct budget *budget;      /* of the batches on their way into the engine and out of it */
  /* How far reading is, as source_fraction has it; NULL: nobody asks. False: STATUS_CANCELLED. */
  bool (*progress)(void *context, int64_t rows, double fraction);
  void *context;
};

/* Reads all of `inner` and sorts it, by an engine of its own; rows whose keys are equal stay in their
 * order. Text is ordered by its bytes, NaN is more than every number. `inner` stays the caller's and is
 * not needed any more. Values come back as they were; the types docs/parquet.md lists come back in
 * another layout. STATUS_UNSUPPORTED names a column that the engine does not hold exactly, or a key that
 * has no order (a list, a map); STATUS_NOT_FOUND a key that is not there, and the nearest;
 * STATUS_SCHEMA a value that the engine's type does not hold; STATUS_BUDGET; what `inner` says. */
enum status source_open_sorted(struct source *inner, const struct source_sort_options *options,
                               struct source **source, struct error *error) WARN_UNUSED;

/* ---- the C stream interface -------------------------------------------------------------- */

/* A source over a C stream, which stays the caller's and must outlive it. */
enum status source_open_c_stream(struct ArrowArrayStream *stream, struct source **source,
                                 struct error *error) WARN_UNUSED;

/* Makes a C stream of the batches that are left. The source is the stream's from then on, and
 * closed with it. Cannot fail. */
void source_export(struct source *source, struct ArrowArrayStream *stream);

#endif
