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
  IPC_PIECE_BYTES,        /* as they are */
  IPC_PIECE_BITS,         /* `limit` bits, from bit `start` on */
  IPC_PIECE_SHIFTED,      /* integers, `start` taken off each, and then kept in [0, limit] */
  IPC_PIECE_UNION_OFFSETS /* int32; taken off each is what its slot's type id has in the
                             plan's bases, from the one at `start` on */
};

struct ipc_piece {
  enum ipc_piece_kind kind;
  int width;          /* of integers, in bytes: 2, 4 or 8 */
  const void *source; /* may be NULL when `bytes` is 0 */
  int64_t bytes;      /* in the body */
  int64_t start;
  int64_t limit;
  const int8_t *codes; /* type ids of a dense union's slots */
};

struct ipc_plan {
  struct budget *budget;
  int64_t length;
  int64_t body_bytes;     /* of all pieces together, without padding */
  int64_t whole_bytes;    /* of those that have any rows' bytes, however few rows there are */
  struct buffer nodes;    /* of struct ipc_node */
  struct buffer pieces;   /* of struct ipc_piece; one for each buffer of the body */
  struct buffer variadic; /* of int64_t: data buffers of each column of views */
  struct buffer bases;    /* of int32_t: UNION_CODES for each dense union that is a slice */
};

void ipc_plan_release(struct ipc_plan *plan);

int64_t ipc_plan_node_count(const struct ipc_plan *plan);
int64_t ipc_plan_piece_count(const struct ipc_plan *plan);
int64_t ipc_plan_variadic_count(const struct ipc_plan *plan);
const struct ipc_piece *ipc_plan_pieces(const struct ipc_plan *plan);

/* Forgets what was planned, and plans a batch (a struct's children), or slots
 * [start, start + length) of a single column: a dictionary. The plan points into the array.
 * STATUS_INVALID when the array is not one of the layout, or contradicts itself. */
enum status ipc_plan_batch(struct ipc_plan *plan, const struct layout *layout,
                           const struct ArrowArray *batch, struct error *error) WARN_UNUSED;
enum status ipc_plan_column(struct ipc_plan *plan, const struct layout *layout,
                            const struct ArrowArray *array, int64_t start, int64_t length,
                            struct error *error) WARN_UNUSED;

/* Writes the `bytes` of a piece of the plan to `to`. */
void ipc_piece_write(const struct ipc_plan *plan, const struct ipc_piece *piece, uint8_t *to);

#endif
