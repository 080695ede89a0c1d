/* Compression of pages (Compression.md). Inside the room only. */
#ifndef ARROWPORT_PARQUET_CODEC_H
#define ARROWPORT_PARQUET_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"
#include "parquet/format.h"
#include "parquet/names.h"

/* Keeps a codec's context for each lane (workers.h), made when it is first used. */
struct parquet_compressor;

/* `level` 0: the codec's default here (ZSTD 1, GZIP 6); ZSTD 1 to 22, GZIP 1 to 9; others have none.
 * STATUS_INVALID for a level that there is not. */
enum status parquet_compressor_new(enum parquet_codec codec, int level, struct budget *budget,
                                   struct parquet_compressor **compressor,
                                   struct error *error) WARN_UNUSED;
void parquet_compressor_free(struct parquet_compressor *compressor); /* NULL is allowed */

/* Appends `bytes` of `from`, compressed, to `out`, and says how many that were. May be called on several
 * lanes at a time. STATUS_TOO_LARGE past 2^31 - 1 bytes; STATUS_BUDGET, STATUS_NOMEM leave `out` as it
 * was. PARQUET_UNCOMPRESSED copies. */
enum status parquet_compress(struct parquet_compressor *compressor, int lane, const void *from,
                             int64_t bytes, struct buffer *out, int64_t *made_bytes,
                             struct error *error) WARN_UNUSED;

/* CRC-32 as gzip has it, of bytes that follow what `crc` is of (0 to begin with). */
uint32_t parquet_crc32(uint32_t crc, const void *data, int64_t bytes);

#endif
