#include "arrow/compress.h"

#define ZSTD_STATIC_LINKING_ONLY /* for memory that is charged to a budget */
#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/charged.h"

/* Buffers begin at multiples of 64 bytes: what fits into the first 64 as it is does not
 * become smaller. */
enum { RAW_BYTES_MAX = 64 - COMPRESS_PREFIX_BYTES };

enum { LZ4_LEVEL_MAX = 12 };

struct lane {
  struct charged charged;
  ZSTD_CCtx *zstd; /* NULL until the lane is used; LZ4 keeps nothing */
};

struct compressor {
  enum ipc_compression method;
  int level;
  LZ4F_preferences_t lz4;
  struct lane lanes[WORKERS_LANES_MAX];
};

/* A context of ZSTD takes 1 MB at its default level and 700 MB at its highest. */
static void *allocate(void *context, size_t bytes) { return charged_alloc(context, bytes); }
static void deallocate(void *context, void *address) { charged_free(context, address); }

static enum status no_memory(const struct lane *lane, struct error *error) {
  return charged_failed(&lane->charged, "compression", error);
}

/* ---- making and freeing ------------------------------------------------------------------ */

static enum status check_level(const struct ipc_writer_options *options, struct error *error) {
  bool is_zstd = options->compression == IPC_COMPRESSION_ZSTD;
  int most = is_zstd ? ZSTD_maxCLevel() : LZ4_LEVEL_MAX;
  if (options->level >= 0 && options->level <= most) return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "%d is not a level of %s compression: 1 to %d, or 0 for the default",
                   options->level, is_zstd ? "ZSTD" : "LZ4", most);
}

enum status compressor_new(const struct ipc_writer_options *options, struct budget *budget,
                           struct compressor **compressor, struct error *error) {
  *compressor = NULL;
  enum status status = check_level(options, error);
  if (status != STATUS_OK) return status;
  struct compressor *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for compression");
  made->method = options->compression;
  made->level = options->level;
  for (int i = 0; i < WORKERS_LANES_MAX; i++) made->lanes[i].charged.budget = budget;
  /* Larger blocks than LZ4's default of 64 KB, each for itself: as small, faster to make, and
   * a reader need not keep what came before. */
  made->lz4.compressionLevel = options->level;
  made->lz4.frameInfo.blockSizeID = LZ4F_max256KB;
  made->lz4.frameInfo.blockMode = LZ4F_blockIndependent;
  *compressor = made;
  return STATUS_OK;
}

void compressor_free(struct compressor *compressor) {
  if (compressor == NULL) return;
  for (int i = 0; i < WORKERS_LANES_MAX; i++) ZSTD_freeCCtx(compressor->lanes[i].zstd);
  free(compressor);
}

/* ---- compressing -------------------------------------------------------------------------- */

/* LZ4 writes only where its worst case fits; ZSTD stops where the room ends. */
int64_t compressor_room(const struct compressor *compressor, int64_t bytes) {
  int64_t room_bytes = bytes;
  if (compressor->method == IPC_COMPRESSION_LZ4 && bytes > RAW_BYTES_MAX)
    room_bytes = (int64_t)LZ4F_compressFrameBound((size_t)bytes, &compressor->lz4);
  return COMPRESS_PREFIX_BYTES + room_bytes;
}

/* The frame's length; 0: there is none that is smaller than what it stands for. */
static enum status make_lz4(const struct compressor *compressor, const struct lane *lane,
                            const void *from, size_t bytes, uint8_t *to, size_t *made_bytes,
                            struct error *error) {
  size_t room_bytes = (size_t)compressor_room(compressor, (int64_t)bytes) - COMPRESS_PREFIX_BYTES;
  size_t made = LZ4F_compressFrame(to, room_bytes, from, bytes, &compressor->lz4);
  if (LZ4F_isError(made)) return no_memory(lane, error); /* it has all the room it can need */
  *made_bytes = made < bytes ? made : 0;
  return STATUS_OK;
}

static enum status make_zstd(const struct compressor *compressor, struct lane *lane,
                             const void *from, size_t bytes, uint8_t *to, size_t *made_bytes,
                             struct error *error) {
  lane->charged.is_refused = false;
  if (lane->zstd == NULL) {
    ZSTD_customMem memory = {allocate, deallocate, &lane->charged};
    lane->zstd = ZSTD_createCCtx_advanced(memory);
    if (lane->zstd == NULL) return no_memory(lane, error);
    ZSTD_CCtx_setParameter(lane->zstd, ZSTD_c_compressionLevel, compressor->level);
  }
  *made_bytes = ZSTD_compress2(lane->zstd, to, bytes - 1, from, bytes);
  if (!ZSTD_isError(*made_bytes)) return STATUS_OK;
  if (ZSTD_getErrorCode(*made_bytes) != ZSTD_error_dstSize_tooSmall) return no_memory(lane, error);
  *made_bytes = 0;
  return STATUS_OK;
}

enum status compressor_run(struct compressor *compressor, int lane, const void *from, int64_t bytes,
                           uint8_t *to, int64_t *made_bytes, struct error *error) {
  int64_t before_bytes = bytes;
  size_t made = 0;
  enum status status = STATUS_OK;
  if (bytes > RAW_BYTES_MAX && compressor->method == IPC_COMPRESSION_LZ4)
    status = make_lz4(compressor, &compressor->lanes[lane], from, (size_t)bytes,
                      to + COMPRESS_PREFIX_BYTES, &made, error);
  else if (bytes > RAW_BYTES_MAX)
    status = make_zstd(compressor, &compressor->lanes[lane], from, (size_t)bytes,
                       to + COMPRESS_PREFIX_BYTES, &made, error);
  if (status != STATUS_OK) return status;
  if (made == 0) {
    before_bytes = -1;
    made = (size_t)bytes;
    memcpy(to + COMPRESS_PREFIX_BYTES, from, (size_t)bytes);
  }
  memcpy(to, &before_bytes, COMPRESS_PREFIX_BYTES);
  *made_bytes = COMPRESS_PREFIX_BYTES + (int64_t)made;
  return STATUS_OK;
}
