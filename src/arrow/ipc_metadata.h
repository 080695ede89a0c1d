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

/* Positions in a batch's metadata that are filled in once the body is laid out. */
struct ipc_batch_metadata {
  int64_t body_length; /* 8 bytes */
  int64_t buffers;     /* the first element of the vector: offset and length, 8 bytes each */
};

enum { IPC_NO_DICTIONARY = -1 };

/* A record batch, or the values of the dictionary `dictionary_id` when that is not
 * IPC_NO_DICTIONARY. */
struct ipc_batch_metadata ipc_metadata_batch(struct flatbuf *flatbuf, struct budget *budget,
                                             const struct ipc_plan *plan,
                                             enum ipc_compression compression,
                                             int64_t dictionary_id);

#endif
