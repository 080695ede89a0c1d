/* A column's values, copied out of a plan: a dictionary as it was sent. Inside the room
 * only. */
#ifndef ARROWPORT_ARROW_IPC_KEPT_H
#define ARROWPORT_ARROW_IPC_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/ipc_plan.h"
#include "arrow/layout.h"
#include "base/buffer.h"
#include "base/status.h"

struct ipc_kept {
  bool is_there;
  int64_t length; /* slots */
  int64_t node_count;
  int64_t variadic_count;
  int64_t piece_count;
  struct buffer shape;  /* nodes, counts of data buffers, lengths of pieces */
  struct buffer values; /* the pieces, each at a multiple of 64 bytes */
};

void ipc_kept_release(struct ipc_kept *kept); /* leaves nothing there */

/* Copies what is planned. STATUS_BUDGET or STATUS_NOMEM: nothing is there. */
enum status ipc_kept_take(struct ipc_kept *kept, const struct ipc_plan *plan, struct budget *budget,
                          struct error *error) WARN_UNUSED;

/* Whether what is planned has the same bytes. `scratch` is the caller's to keep; STATUS_BUDGET,
 * STATUS_NOMEM. */
enum status ipc_kept_same(const struct ipc_kept *kept, const struct ipc_plan *plan,
                          struct buffer *scratch, bool *same, struct error *error) WARN_UNUSED;

/* The values as an array of the layout, the caller's, which points into what is kept. A
 * dictionary inside it is found by the layout of its values. STATUS_NOMEM. */
typedef const struct ipc_kept *(*ipc_kept_find)(const void *context, const struct layout *values);
enum status ipc_kept_array(const struct ipc_kept *kept, const struct layout *layout,
                           ipc_kept_find find, const void *context, struct ArrowArray *out,
                           struct error *error) WARN_UNUSED;

#endif
