/* Buffers of a record batch, compressed one by one (Message.fbs,
 * "BodyCompressionMethod"): 8 bytes that give the length before compression, then one
 * LZ4 or ZSTD frame; or -1 and the bytes as they are, where a frame would not be
 * smaller. */
#ifndef ARROWPORT_ARROW_COMPRESS_H
#define ARROWPORT_ARROW_COMPRESS_H

#include <stdint.h>

#include "arrow/ipc.h"
#include "base/status.h"

enum { COMPRESS_PREFIX_BYTES = 8 };

/* Keeps what compressing again and again needs, by lane (workers.h), charged to a budget. */
struct compressor;

/* STATUS_INVALID for a level that the method does not have. */
enum status compressor_new(const struct ipc_writer_options *options, struct budget *budget,
                           struct compressor **compressor, struct error *error) WARN_UNUSED;
void compressor_free(struct compressor *compressor); /* NULL is allowed */

/* Room that compressor_run needs for a buffer of `bytes`; the result takes no more than
 * COMPRESS_PREFIX_BYTES + `bytes`. */
int64_t compressor_room(const struct compressor *compressor, int64_t bytes);

/* Writes prefix and frame to `to`, `*made_bytes` in all: the same ones on every lane. May be
 * called for several lanes at the same time. STATUS_BUDGET, STATUS_NOMEM. */
enum status compressor_run(struct compressor *compressor, int lane, const void *from, int64_t bytes,
                           uint8_t *to, int64_t *made_bytes, struct error *error) WARN_UNUSED;

#endif
