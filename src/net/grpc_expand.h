/* Compressed messages of gRPC: gzip and zlib data, a message at a time, expanded into one buffer.
 * No I/O. Private to net/.
 *
 * Memory: GRPC_EXPAND_BYTES for the decoder, and a buffer that grows with what is expanded up to the
 * largest message that is taken; both are charged to the budget. */
#ifndef ARROWPORT_NET_GRPC_EXPAND_H
#define ARROWPORT_NET_GRPC_EXPAND_H

#include "net/grpc_status.h"

enum {
  GRPC_EXPAND_PIECE_BYTES = 8 * 1024,
  GRPC_EXPAND_BYTES = 64 * 1024, /* zlib's window and tables, the piece */
};

struct grpc_expand;

/* `encoding` is not GRPC_IDENTITY. STATUS_BUDGET, STATUS_NOMEM. */
enum status grpc_expand_new(enum grpc_encoding encoding, struct budget *budget, int64_t bytes_max,
                            struct grpc_expand **expand, struct error *error) WARN_UNUSED;
void grpc_expand_free(struct grpc_expand *expand); /* NULL is allowed */

/* Where compressed bytes go: GRPC_EXPAND_PIECE_BYTES of room. */
uint8_t *grpc_expand_piece(struct grpc_expand *expand);
/* A message begins. */
enum status grpc_expand_begin(struct grpc_expand *expand, struct error *error) WARN_UNUSED;
/* So many bytes are in the piece. STATUS_INVALID: broken data, or more behind its end;
 * STATUS_TOO_LARGE: it expands to more than bytes_max; STATUS_BUDGET, STATUS_NOMEM. */
enum status grpc_expand_add(struct grpc_expand *expand, size_t bytes,
                            struct error *error) WARN_UNUSED;
/* All bytes of the message were added. STATUS_INVALID: they are not whole. */
enum status grpc_expand_end(struct grpc_expand *expand, struct error *error) WARN_UNUSED;
/* What was expanded; the caller may release it. */
struct buffer *grpc_expand_made(struct grpc_expand *expand);

#endif
