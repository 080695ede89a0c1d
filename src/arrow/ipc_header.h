/* The flatbuffer `Message` (Message.fbs) that every encapsulated message begins with.
 * Inside the room only. */
#ifndef ARROWPORT_ARROW_IPC_HEADER_H
#define ARROWPORT_ARROW_IPC_HEADER_H

#include <stdint.h>

#include "arrow/flatbuf_read.h"
#include "arrow/ipc_numbers.h"
#include "base/buffer.h"
#include "base/status.h"

struct ipc_header {
  int version; /* IPC_METADATA_V4 or _V5 */
  enum ipc_header_type type;
  struct fb_table message; /* around it */
  struct fb_table table;   /* the header itself */
  int64_t body_bytes;
};

/* STATUS_INVALID, or STATUS_UNSUPPORTED for metadata versions before V4 and for
 * tensors. */
enum status ipc_header_read(const struct buffer *metadata, struct ipc_header *header,
                            struct error *error) WARN_UNUSED;

#endif
