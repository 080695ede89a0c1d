/* What the files of `arrowport inspect` share.
 *
 *   inspect.c        the command: options, input, which report
 *   inspect_walk.c   goes through the messages of a stream or a file, one by one
 *   inspect_text.c   the report for people        \
 *   inspect_json.c   the report for programs       > struct inspect_report
 *   inspect_values.c the rows                     /
 *
 * A defect of the input is a result, not a failure: it is kept in `problem`, told by the
 * report, and becomes the exit code at the end. Functions fail only for what keeps the
 * report itself from being made. */
#ifndef ARROWPORT_CLI_INSPECT_H
#define ARROWPORT_CLI_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/ipc.h"
#include "arrow/ipc_describe.h"
#include "base/buffer.h"
#include "base/status.h"
#include "base/text.h"
#include "cli/cli.h"

/* ---- what is found --------------------------------------------------------------------- */

enum inspect_verdict { INSPECT_UNCHECKED, INSPECT_GOOD, INSPECT_BROKEN };

struct inspect_message {
  int64_t index; /* in the order of reading, the schema being 0 */
  int64_t offset_bytes;
  int64_t prefix_bytes; /* 8, or 4 before format 0.15 */
  int64_t body_offset_bytes;
  const struct ipc_description *description;
  bool replaces; /* a dictionary that was known is another from here on */
  enum inspect_verdict verdict;
  const char *why; /* what is broken; NULL otherwise */
};

/* What is wrong; `status` STATUS_OK: nothing. */
struct inspect_problem {
  enum status status;
  int64_t offset_bytes; /* of the message, or of what else is broken */
  char text[ERROR_TEXT_BYTES];
};

/* Where the message lies that the problem is in; `end_bytes` 0: in none, or none that is
 * whole. */
struct inspect_place {
  int64_t index;
  int64_t offset_bytes;
  int64_t metadata_offset_bytes;
  int64_t body_offset_bytes;
  int64_t end_bytes;
};

struct inspect_totals {
  int64_t messages;
  int64_t dictionaries; /* deltas and replacements counted */
  int64_t deltas;
  int64_t replacements;
  int64_t batches;
  int64_t rows;
  int64_t broken; /* messages */
  int64_t metadata_bytes;
  int64_t body_bytes;
  int64_t buffer_bytes;
  int64_t expanded_bytes;
  int64_t compressed_messages;
  int alignment_bytes; /* the smallest */
};

/* How much of a file can be read without its footer. */
struct inspect_salvage {
  bool done;
  int64_t batches; /* whole ones */
  int64_t end_bytes;
  char stop[ERROR_TEXT_BYTES]; /* what is there; "": the end-of-stream marker, or the footer */
};

struct inspect_options {
  bool check;
  bool eos_optional;
  int64_t messages_max; /* that are listed */
  int64_t rows_max;
  int64_t fields_max;
};

struct inspect_report;

struct inspect {
  const char *name;
  struct inspect_options options;
  struct ipc_limits limits;
  struct budget budget;
  struct ipc_decoder *decoder;
  struct inspect_report *report;

  bool is_file;
  bool piped;         /* it is read as it comes; else it is mapped as a whole */
  int64_t size_bytes; /* of the input; of a pipe: as far as it was read */
  /* The first message when it is a schema that can be read; `schema.schema.release` is NULL
   * until then. */
  struct ipc_description schema;
  bool legacy; /* its prefix has 4 bytes */
  struct inspect_totals totals;
  bool has_end;      /* the end-of-stream marker was seen */
  int64_t end_bytes; /* where the last whole message, or the marker, ends */

  /* A file. */
  struct ipc_file file;
  struct ipc_footer_description footer;
  struct inspect_salvage salvage; /* when the footer is of no use */

  struct inspect_problem problem; /* the first */
  struct inspect_place place;
  char hint[ERROR_TEXT_BYTES]; /* what it may come from; "" when nothing is known */
  char note[ERROR_TEXT_BYTES]; /* what is odd without being a defect */
  bool checking;               /* the decoder is in step with the messages */
  bool over;                   /* the report has what it wants */
};

/* ---- reports --------------------------------------------------------------------------- */

struct inspect_report_type {
  /* Each message, in order. */
  enum status (*message)(struct inspect_report *report, const struct inspect *inspect,
                         const struct inspect_message *message, struct error *error);
  /* A batch that is good, behind its message; NULL: values are not wanted. May move the
   * batch away. `*enough` ends the reading. */
  enum status (*batch)(struct inspect_report *report, const struct inspect *inspect,
                       struct ArrowArray *batch, bool *enough, struct error *error);
  enum status (*end)(struct inspect_report *report, const struct inspect *inspect,
                     struct error *error);
  void (*free)(struct inspect_report *report);
};

struct inspect_report { /* every report begins with it */
  const struct inspect_report_type *type;
};

enum status inspect_text_new(struct inspect_report **report, struct error *error) WARN_UNUSED;
enum status inspect_json_new(struct inspect_report **report, struct error *error) WARN_UNUSED;
enum status inspect_values_new(struct budget *budget, struct inspect_report **report,
                               struct error *error) WARN_UNUSED;

/* ---- walks: each to the end, or to the first defect that hides what follows it ------------ */

/* All of it in memory: a stream, or a file when `is_file`. */
enum status inspect_mapped(struct inspect *inspect, const struct buffer *bytes,
                           struct error *error) WARN_UNUSED;
/* A stream, as it can be read from `file`; `head` is what was read of it before. */
enum status inspect_piped(struct inspect *inspect, int file, const uint8_t *head, size_t head_bytes,
                          struct error *error) WARN_UNUSED;

/* ---- for the reports --------------------------------------------------------------------- */

/* Goes through pairs in the encoding of ArrowSchema.metadata. */
struct inspect_pairs {
  const char *at;
  int32_t left;
  const char *key;
  int32_t key_bytes;
  const char *value;
  int32_t value_bytes;
};

struct inspect_pairs inspect_pairs(const char *metadata); /* NULL: none */
bool inspect_pair_next(struct inspect_pairs *pairs);

/* "schema", "dictionary", "delta", "batch", "unknown" */
const char *inspect_kind_name(const struct ipc_description *description);
const char *inspect_codec_name(enum ipc_compression compression); /* "none", "lz4", "zstd" */
#endif
