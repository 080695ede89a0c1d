/* The body of a message that is written: the pieces of a plan one behind the other, each at
 * a multiple of 64 bytes, compressed if so. Inside the room only. */
#ifndef ARROWPORT_ARROW_IPC_WRITER_BODY_H
#define ARROWPORT_ARROW_IPC_WRITER_BODY_H

#include <stdint.h>

#include "arrow/compress.h"
#include "arrow/ipc_plan.h"
#include "base/buffer.h"
#include "base/status.h"
#include "base/workers.h"

enum { IPC_BODY_ALIGNMENT_BYTES = 64 };

static inline int64_t ipc_body_round_up(int64_t bytes) {
  return (bytes + IPC_BODY_ALIGNMENT_BYTES - 1) / IPC_BODY_ALIGNMENT_BYTES *
         IPC_BODY_ALIGNMENT_BYTES;
}

/* Kept from message to message. */
struct ipc_body_maker {
  struct budget *budget;
  struct compressor *compressor; /* NULL without compression; the maker's */
  struct workers *workers;       /* NULL: none */
  struct buffer scratch;         /* pieces as they are before they are compressed */
  struct buffer parts;           /* of struct part: what the threads make */
  bool is_shared;                /* the body is made by several threads */
};

void ipc_body_maker_release(struct ipc_body_maker *maker);

/* Gets ready; `*room_bytes` is the most that the body may take while it is made. STATUS_BUDGET,
 * STATUS_NOMEM. */
enum status ipc_body_prepare(struct ipc_body_maker *maker, const struct ipc_plan *plan,
                             int64_t *room_bytes, struct error *error) WARN_UNUSED;

/* Makes the body of the plan that ipc_body_prepare was called with, at `body`. Where each
 * piece lies is written to `buffers`: a struct Buffer each. STATUS_BUDGET, STATUS_NOMEM. */
enum status ipc_body_make(struct ipc_body_maker *maker, const struct ipc_plan *plan,
                          uint8_t *buffers, uint8_t *body, int64_t *body_bytes,
                          struct error *error) WARN_UNUSED;

#endif
