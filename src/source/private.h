/* What the files of this room share. */
#ifndef ARROWPORT_SOURCE_PRIVATE_H
#define ARROWPORT_SOURCE_PRIVATE_H

#include "source/source.h"

extern const struct source_type SOURCE_IPC_FILE;
extern const struct source_type SOURCE_IPC_STREAM;
extern const struct source_type SOURCE_FLIGHT_SQL;

/* ---- what sources of IPC messages have in common (ipc_source.c) ---------------------------- */

struct ipc_source;

/* Where the messages come from. */
struct ipc_origin {
  /* The next message, or IPC_FRAME_END instead. STATUS_BUDGET may be repeated. */
  enum status (*next)(struct ipc_source *source, struct ipc_message *message, enum ipc_frame *frame,
                      struct error *error);
  /* Whether what the message turned out to be may stand in its place; NULL: anything may. */
  enum status (*accept)(struct ipc_source *source, enum ipc_event event, struct error *error);
  void (*close)(struct ipc_source *source);      /* lets go of what the origin added */
  double (*fraction)(struct ipc_source *source); /* NULL: it is not known how much there is */
};

struct ipc_source {
  struct source source;
  const struct ipc_origin *origin;
  char *name; /* for messages; NULL without one */
  struct source_options options;
  struct ipc_decoder *decoder;
  struct workers *workers; /* NULL until a message is worth them */
  struct ipc_message message;
  bool is_waiting; /* the message is still to be decoded */
  bool is_batch;   /* the last call of `next` gave one */
  bool is_over;
};

/* The last step of opening: reads the schema, and hands the source out or closes it. All that
 * the origin needs is there; `name` is copied. */
enum status ipc_source_start(struct ipc_source *made, const struct source_type *type,
                             const struct ipc_origin *origin, const char *name,
                             const struct source_options *options, struct source **source,
                             struct error *error) WARN_UNUSED;

/* What `source_type` asks for. */
void ipc_source_close(struct source *source);
const struct ArrowSchema *ipc_source_schema(struct source *source);
enum status ipc_source_next(struct source *source, struct ArrowArray *batch, struct error *error);
const char *ipc_source_metadata(struct source *source);
double ipc_source_fraction(struct source *source);

/* ---- from bytes (ipc_buffer.c) ---------------------------------------------------------- */

/* A file or a stream that is in memory or mapped, as `type` says. `file` is the mapping's, -1
 * without one; it and `data` are the source's from now on, also after a failure. */
enum status ipc_buffer_open(struct buffer data, int file, const struct source_type *type,
                            const char *name, const struct source_options *options,
                            struct source **source, struct error *error) WARN_UNUSED;

/* ---- C streams (c_stream.c) ---------------------------------------------------------------- */

/* Whether a schema that somebody else made can be walked at all. */
enum status check_foreign_schema(const struct ArrowSchema *schema, struct error *error) WARN_UNUSED;

#endif
