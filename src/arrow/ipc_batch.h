/* A record batch's arrays (Message.fbs, "RecordBatch"; Columnar format, "Recursively
 * flattened"), read along a layout. Inside the room only. */
#ifndef ARROWPORT_ARROW_IPC_BATCH_H
#define ARROWPORT_ARROW_IPC_BATCH_H

#include <stdbool.h>

#include "arrow/ipc.h"
#include "arrow/ipc_body.h"
#include "arrow/ipc_check.h"
#include "arrow/ipc_memo.h"
#include "arrow/layout.h"
#include "arrow/tree.h"

/* What all batches of a stream are read with. */
struct ipc_batch_context {
  struct ipc_limits limits;
  struct budget *budget;
  struct ipc_expander *expander;
  struct workers *workers; /* NULL: none */
  struct ipc_memo memo;
  struct ipc_checks checks; /* of the batch that is being read */
  bool is_big_endian;
};

/* One of them, as it came. */
struct ipc_batch_message {
  struct fb_table table;
  int version;
  const struct buffer *body;
};

/* The arrays of a batch (`layout` is its schema's struct) or of a dictionary's values, which
 * are their batch's one column, all of them checked. The caller finishes or abandons the
 * tree, which must hold the body if it is `*referred` to. */
enum status ipc_batch_read(struct ipc_batch_context *context, const struct layout *layout,
                           bool is_dictionary, const struct ipc_batch_message *message,
                           struct array_tree **tree, bool *referred,
                           struct error *error) WARN_UNUSED;

#endif
