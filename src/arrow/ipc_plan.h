/* What a record batch's message will hold, known before a byte of it is written.
 *
 * Walking an array gives its field nodes and the pieces of memory that its body is
 * made of, cut to the rows that are wanted: a slice's bitmaps are shifted and its
 * offsets begin with 0 again. Then all lengths are known, the output is reserved in
 * one step, and most pieces are one memcpy. Inside the room only. */
#ifndef ARROWPORT_ARROW_IPC_PLAN_H
#define ARROWPORT_ARROW_IPC_PLAN_H

#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/layout.h"
#include "base/buffer.h"
#include "base/status.h"

/* As the format has it (Message.fbs, "FieldNode"). */
struct ipc_node {
  int64_t length;
  int64_t null_count;
};

enum ipc_piece_kind {
  IPC_PIECE_BYTES,     /* as they are */
  IPC_PIECE_BITS,      /* from bit `start` on */
  IPC_PIECE_OFFSETS32, /* less `start` each */
  IPC_PIECE_OFFSETS64
};

struct ipc_piece {
  enum ipc_piece_kind kind;
  const void *source; /* may be NULL when `bytes` is 0 */
  int64_t bytes;      /* in the body */
  int64_t start;      /* bits: where they begin; offsets: what is taken off */
  int64_t count;      /* bits */
};

struct ipc_plan {
  struct budget *budget;
  int64_t length;
  struct buffer nodes;    /* of struct ipc_node */
  struct buffer pieces;   /* of struct ipc_piece; one for each buffer of the body */
  struct buffer variadic; /* of int64_t: data buffers of each column of views */
};

void ipc_plan_release(struct ipc_plan *plan);

int64_t ipc_plan_node_count(const struct ipc_plan *plan);
int64_t ipc_plan_piece_count(const struct ipc_plan *plan);
int64_t ipc_plan_variadic_count(const struct ipc_plan *plan);
const struct ipc_piece *ipc_plan_pieces(const struct ipc_plan *plan);

/* Forgets what was planned, and plans a batch (a struct's children) or a single
 * column: a dictionary. The plan points into the array. STATUS_INVALID when the
 * array is not one of the layout. */
enum status ipc_plan_batch(struct ipc_plan *plan, const struct layout *layout,
                           const struct ArrowArray *batch, struct error *error) WARN_UNUSED;
enum status ipc_plan_column(struct ipc_plan *plan, const struct layout *layout,
                            const struct ArrowArray *array, struct error *error) WARN_UNUSED;

/* Writes the piece's `bytes` to `to`. */
void ipc_piece_write(const struct ipc_piece *piece, uint8_t *to);

#endif
