/* The flatbuffers of the messages that are written (Schema.fbs, Message.fbs). Inside
 * the room only. Each call begins the flatbuffer anew; failures are in
 * flatbuf_status. */
#ifndef ARROWPORT_ARROW_IPC_METADATA_H
#define ARROWPORT_ARROW_IPC_METADATA_H

#include <stdint.h>

#include "arrow/flatbuf_write.h"
#include "arrow/ipc.h"
#include "arrow/ipc_plan.h"
#include "arrow/layout.h"

void ipc_metadata_schema(struct flatbuf *flatbuf, struct budget *budget,
                         const struct layout *layout);

/* The footer of a file (File.fbs): the schema once more, and where the messages lie. */
void ipc_metadata_footer(struct flatbuf *flatbuf, struct budget *budget,
                         const struct layout *layout, const struct ipc_file_block *dictionaries,
                         int64_t dictionary_count, const struct ipc_file_block *batches,
                         int64_t batch_count);

enum { IPC_NO_DICTIONARY = -1 };

/* What a message with values is. */
struct ipc_batch_kind {
  enum ipc_compression compression;
  int64_t dictionary_id; /* whose values these are; IPC_NO_DICTIONARY: a record batch */
  bool is_delta;         /* more values of it */
  const char *metadata;  /* custom, encoded as ArrowSchema.metadata; NULL: none */
};

/* Positions in a batch's metadata that are filled in once the body is laid out. */
struct ipc_batch_metadata {
  int64_t body_length; /* 8 bytes */
  int64_t buffers;     /* the first element of the vector: offset and length, 8 bytes each */
};

struct ipc_batch_metadata ipc_metadata_batch(struct flatbuf *flatbuf, struct budget *budget,
                                             const struct ipc_plan *plan,
                                             const struct ipc_batch_kind *kind);

/* Bytes of custom metadata in the encoding of ArrowSchema.metadata, which is not NULL.
 * STATUS_INVALID when it counts less than nothing. */
enum status ipc_metadata_size(const char *metadata, int64_t *bytes,
                              struct error *error) WARN_UNUSED;

#endif
