/* A record batch's body: the buffers that its metadata names, found, expanded where
 * they are compressed, and aligned. Inside the room only. */
#ifndef ARROWPORT_ARROW_IPC_BODY_H
#define ARROWPORT_ARROW_IPC_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/flatbuf_read.h"
#include "arrow/ipc.h"
#include "arrow/ipc_swap.h"
#include "arrow/tree.h"

/* Kept from message to message by a decoder: decompression contexts are costly. */
struct ipc_expander;
enum status ipc_expander_new(struct ipc_expander **expander, struct error *error) WARN_UNUSED;
void ipc_expander_free(struct ipc_expander *expander); /* NULL is allowed */

struct ipc_body {
  const struct buffer *bytes;
  const struct ipc_limits *limits;
  struct budget *budget;
  struct ipc_expander *expander;
  struct array_tree *tree;  /* holds what was expanded or copied */
  struct fb_vector buffers; /* of struct Buffer */
  int64_t next;             /* the buffer that comes next */
  enum ipc_compression compression;
  bool is_big_endian;
  int64_t expanded_bytes;  /* of the message so far */
  bool referred;           /* a span points into `bytes` itself */
  struct buffer *expanded; /* ahead of time, by buffer, on several threads; or NULL */
};

/* The compression that a RecordBatch names; not changed when it names none.
 * STATUS_UNSUPPORTED when it is not one of ours. */
enum status ipc_body_compression(const struct fb_table *batch, enum ipc_compression *compression,
                                 struct error *error) WARN_UNUSED;

struct ipc_span {
  const uint8_t *data; /* NULL when it is empty; otherwise aligned to 8 bytes */
  int64_t size_bytes;
};

/* Expands the buffers of a large compressed body on the threads of `workers` before they are
 * asked for one by one. What cannot be expanded now fails when it is asked for. */
void ipc_body_expand_ahead(struct ipc_body *body, struct workers *workers);

/* Lets go of what was expanded and not asked for. */
void ipc_body_release(struct ipc_body *body);

/* The next buffer, in this machine's order. STATUS_INVALID when there is none, or it lies outside the body or
 * does not expand to what it says; STATUS_TOO_LARGE past the limit; STATUS_BUDGET. */
enum status ipc_body_next(struct ipc_body *body, enum ipc_order order, struct ipc_span *span,
                          struct error *error) WARN_UNUSED;

#endif
