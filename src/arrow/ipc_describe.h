/* What a message of an IPC stream or file is, for people who want to know why somebody
 * refuses it: read off its metadata and the heads of its buffers, without decoding. Nothing
 * is believed here either, but what is described may still be broken where only the decoder
 * looks. No I/O. */
#ifndef ARROWPORT_ARROW_IPC_DESCRIBE_H
#define ARROWPORT_ARROW_IPC_DESCRIBE_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/ipc.h"
#include "base/status.h"

enum ipc_message_kind {
  IPC_MESSAGE_UNKNOWN, /* nothing could be read */
  IPC_MESSAGE_SCHEMA,
  IPC_MESSAGE_DICTIONARY,
  IPC_MESSAGE_BATCH
};

/* One buffer in a body, in the order of the metadata. */
struct ipc_buffer_description {
  int64_t offset_bytes;   /* in the body */
  int64_t size_bytes;     /* as it lies there */
  int64_t expanded_bytes; /* as its arrays need it: before compression */
  bool compressed;        /* false also for one that came as it is in a compressed body */
};

struct ipc_description {
  enum ipc_message_kind kind;
  int version;            /* of the metadata: 4 or 5 */
  int64_t metadata_bytes; /* with its padding, without the prefix */
  int64_t body_bytes;
  char *metadata; /* custom metadata of the message, encoded as ArrowSchema.metadata; or NULL */

  /* A schema; `schema.release` is NULL for others. */
  struct ArrowSchema schema;
  bool big_endian;
  /* Of its dictionary-encoded fields: each field before its children, and a dictionary's
   * values after the field that they are of. */
  int64_t *dictionary_ids;
  int64_t dictionary_count;

  /* A dictionary. */
  int64_t dictionary_id;
  bool is_delta;

  /* A dictionary or a batch. */
  int64_t rows;
  int64_t node_count;
  struct ipc_buffer_description *buffers;
  int64_t buffer_count;
  enum ipc_compression compression;
  int64_t buffer_bytes;   /* of all buffers, without padding between them */
  int64_t expanded_bytes; /* likewise, before compression */
  /* The largest power of two, 64 at most, at whose multiples all buffers begin in the body;
   * Arrow asks for 8 and recommends 64. */
  int alignment_bytes;
};

/* STATUS_INVALID, STATUS_UNSUPPORTED and STATUS_TOO_LARGE in the words of the decoder;
 * STATUS_NOMEM. `description` holds what was read until then, and is to be released in any
 * case. The message stays the caller's. */
enum status ipc_describe(const struct ipc_message *message, const struct ipc_limits *limits,
                         struct ipc_description *description, struct error *error) WARN_UNUSED;
void ipc_description_release(struct ipc_description *description);

/* The footer of a file (File.fbs), which other readers go by. */
struct ipc_footer_description {
  int version;
  int64_t offset_bytes; /* of its flatbuffer in the file; 0 while that is not known */
  int64_t size_bytes;
  struct ArrowSchema schema; /* release NULL: it has none, or none that can be read */
  bool big_endian;
};

/* STATUS_INVALID when the file has no whole footer. Released like a description. */
enum status ipc_describe_footer(const struct buffer *file, struct ipc_footer_description *footer,
                                struct error *error) WARN_UNUSED;
void ipc_footer_description_release(struct ipc_footer_description *footer);

#endif
