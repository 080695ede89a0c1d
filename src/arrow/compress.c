#include "arrow/compress.h"

#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

struct compressor {
  enum ipc_compression method;
  ZSTD_CCtx *zstd; /* NULL for LZ4, which keeps nothing */
};

enum status compressor_new(const struct ipc_writer_options *options, struct compressor **compressor,
                           struct error *error) {
  *compressor = NULL;
  if (options->compression == IPC_COMPRESSION_ZSTD &&
      (options->level < 0 || options->level > ZSTD_maxCLevel()))
    return error_set(error, STATUS_INVALID,
                     "%d is not a ZSTD compression level: 1 to %d, or 0 for the default",
                     options->level, ZSTD_maxCLevel());
  struct compressor *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for compression");
  made->method = options->compression;
  if (made->method == IPC_COMPRESSION_ZSTD) {
    made->zstd = ZSTD_createCCtx();
    if (made->zstd == NULL) {
      free(made);
      return error_set(error, STATUS_NOMEM, "no memory for compression");
    }
    ZSTD_CCtx_setParameter(made->zstd, ZSTD_c_compressionLevel, options->level);
  }
  *compressor = made;
  return STATUS_OK;
}

void compressor_free(struct compressor *compressor) {
  if (compressor == NULL) return;
  ZSTD_freeCCtx(compressor->zstd);
  free(compressor);
}

/* LZ4 writes only where its worst case fits; ZSTD stops where the room ends. */
int64_t compressor_room(const struct compressor *compressor, int64_t bytes) {
  size_t room_bytes = (size_t)bytes;
  if (compressor->method == IPC_COMPRESSION_LZ4)
    room_bytes = LZ4F_compressFrameBound((size_t)bytes, NULL);
  return COMPRESS_PREFIX_BYTES + (int64_t)room_bytes;
}

/* The frame's length; 0: there is none that is smaller than what it stands for. */
static size_t make_frame(struct compressor *compressor, const void *from, size_t bytes,
                         uint8_t *to) {
  size_t made;
  if (compressor->method == IPC_COMPRESSION_LZ4) {
    size_t room_bytes = (size_t)compressor_room(compressor, (int64_t)bytes) - COMPRESS_PREFIX_BYTES;
    made = LZ4F_compressFrame(to, room_bytes, from, bytes, NULL);
    if (LZ4F_isError(made)) return 0;
  } else {
    made = ZSTD_compress2(compressor->zstd, to, bytes, from, bytes);
    if (ZSTD_isError(made)) return 0;
  }
  return made < bytes ? made : 0;
}

int64_t compressor_run(struct compressor *compressor, const void *from, int64_t bytes,
                       uint8_t *to) {
  int64_t before_bytes = bytes;
  size_t made = make_frame(compressor, from, (size_t)bytes, to + COMPRESS_PREFIX_BYTES);
  if (made == 0) {
    before_bytes = -1;
    made = (size_t)bytes;
    memcpy(to + COMPRESS_PREFIX_BYTES, from, (size_t)bytes);
  }
  memcpy(to, &before_bytes, COMPRESS_PREFIX_BYTES);
  return COMPRESS_PREFIX_BYTES + (int64_t)made;
}
