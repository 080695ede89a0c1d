/* Pages are compressed into a lane's own room, which has space for the worst case, and then appended: so what
 * is kept until the end of a row group is as large as what it holds. Contexts are made once a lane: a
 * ZSTD context takes longer to make than a page to compress. */
#include "parquet/codec.h"

#define ZSTD_STATIC_LINKING_ONLY /* for memory that is charged to a budget */
#include <assert.h>
#include <lz4.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>

#include "base/charged.h"
#include "base/workers.h"

enum {
  ZSTD_LEVEL_DEFAULT = 1,
  ZSTD_LEVEL_MAX = 22,
  GZIP_LEVEL_DEFAULT = 6,
  GZIP_LEVEL_MAX = 9,
  GZIP_WINDOW_BITS = 15 + 16, /* the largest window, and gzip's frame */
  GZIP_MEMORY_LEVEL = 8,
  LZ4_ACCELERATION = 1,
  ROOM_KEPT_BYTES_MAX = 8 << 20, /* a lane that had a larger page gives its room back */
};

struct lane {
  struct charged charged;
  struct buffer room;
  ZSTD_CCtx *zstd; /* made when the lane is first used */
  void *lz4;
  z_stream gzip;
  bool has_gzip;
};

struct parquet_compressor {
  enum parquet_codec codec;
  int level;
  struct budget *budget;
  struct lane lanes[WORKERS_LANES_MAX];
};

static const struct {
  enum parquet_codec codec;
  const char *name, *other_name;
  int level_default, level_max; /* 0: has no levels */
} codecs[] = {
    {PARQUET_UNCOMPRESSED, "none", "uncompressed", 0, 0},
    {PARQUET_SNAPPY, "snappy", "snappy", 0, 0},
    {PARQUET_GZIP, "gzip", "gzip", GZIP_LEVEL_DEFAULT, GZIP_LEVEL_MAX},
    {PARQUET_ZSTD, "zstd", "zstd", ZSTD_LEVEL_DEFAULT, ZSTD_LEVEL_MAX},
    {PARQUET_LZ4_RAW, "lz4", "lz4_raw", 0, 0},
};
enum { CODECS = sizeof codecs / sizeof *codecs };

bool parquet_codec_parse(const char *name, enum parquet_codec *codec) {
  for (int i = 0; i < CODECS; i++)
    if (strcasecmp(name, codecs[i].name) == 0 || strcasecmp(name, codecs[i].other_name) == 0) {
      *codec = codecs[i].codec;
      return true;
    }
  return false;
}

const char *parquet_codec_name(enum parquet_codec codec) {
  for (int i = 0; i < CODECS; i++)
    if (codecs[i].codec == codec) return codecs[i].name;
  return "?";
}

/* ---- making and freeing ------------------------------------------------------------------ */

static enum status choose_level(enum parquet_codec codec, int *level, struct error *error) {
  int i = 0;
  while (i < CODECS && codecs[i].codec != codec) i++;
  if (i == CODECS)
    return error_set(error, STATUS_UNSUPPORTED, "%d is no codec that pages are written with",
                     (int)codec);
  if (*level == 0) *level = codecs[i].level_default;
  if (codecs[i].level_max == 0 && *level != 0)
    return error_set(error, STATUS_INVALID, "compression %s has no levels: leave the level %d out",
                     codecs[i].name, *level);
  if (*level < 0 || *level > codecs[i].level_max)
    return error_set(error, STATUS_INVALID,
                     "%d is not a level of %s compression: 1 to %d, or 0 for the default", *level,
                     codecs[i].name, codecs[i].level_max);
  return STATUS_OK;
}

enum status parquet_compressor_new(enum parquet_codec codec, int level, struct budget *budget,
                                   struct parquet_compressor **compressor, struct error *error) {
  *compressor = NULL;
  enum status status = choose_level(codec, &level, error);
  if (status != STATUS_OK) return status;
  struct parquet_compressor *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for compression");
  made->codec = codec;
  made->level = level;
  made->budget = budget;
  for (int i = 0; i < WORKERS_LANES_MAX; i++) made->lanes[i].charged.budget = budget;
  *compressor = made;
  return STATUS_OK;
}

void parquet_compressor_free(struct parquet_compressor *compressor) {
  if (compressor == NULL) return;
  for (int i = 0; i < WORKERS_LANES_MAX; i++) {
    struct lane *lane = &compressor->lanes[i];
    ZSTD_freeCCtx(lane->zstd);
    charged_free(&lane->charged, lane->lz4);
    if (lane->has_gzip) deflateEnd(&lane->gzip);
    buffer_release(&lane->room);
  }
  free(compressor);
}

/* ---- the codecs ---------------------------------------------------------------------------- */

static void *zstd_alloc(void *context, size_t bytes) { return charged_alloc(context, bytes); }
static void zstd_free(void *context, void *address) { charged_free(context, address); }

static void *gzip_alloc(void *context, unsigned items, unsigned bytes) {
  return charged_alloc(context, (size_t)items * bytes); /* 32 bits each */
}
static void gzip_free(void *context, void *address) { charged_free(context, address); }

static enum status no_memory(const struct lane *lane, struct error *error) {
  return charged_failed(&lane->charged, "compression", error);
}

static enum status make_zstd(struct lane *lane, int level, const void *from, size_t bytes,
                             int64_t *made_bytes, struct error *error) {
  lane->charged.is_refused = false;
  if (lane->zstd == NULL) {
    ZSTD_customMem memory = {zstd_alloc, zstd_free, &lane->charged};
    lane->zstd = ZSTD_createCCtx_advanced(memory);
    if (lane->zstd == NULL) return no_memory(lane, error);
    ZSTD_CCtx_setParameter(lane->zstd, ZSTD_c_compressionLevel, level);
  }
  size_t made =
      ZSTD_compress2(lane->zstd, lane->room.data, (size_t)lane->room.capacity_bytes, from, bytes);
  if (ZSTD_isError(made)) return no_memory(lane, error); /* it has all the room it can need */
  *made_bytes = (int64_t)made;
  return STATUS_OK;
}

static enum status make_lz4(struct lane *lane, const void *from, size_t bytes, int64_t *made_bytes,
                            struct error *error) {
  if (lane->lz4 == NULL) lane->lz4 = charged_alloc(&lane->charged, (size_t)LZ4_sizeofState());
  if (lane->lz4 == NULL) return no_memory(lane, error);
  int room_bytes = LZ4_compressBound((int)bytes);
  *made_bytes = LZ4_compress_fast_extState(lane->lz4, from, (char *)lane->room.data, (int)bytes,
                                           room_bytes, LZ4_ACCELERATION);
  assert(*made_bytes > 0);
  return STATUS_OK;
}

static enum status make_snappy(struct lane *lane, const void *from, size_t bytes,
                               int64_t *made_bytes) {
  size_t made = (size_t)lane->room.capacity_bytes;
  snappy_status result = snappy_compress(from, bytes, (char *)lane->room.data, &made);
  assert(result == SNAPPY_OK); /* it has all the room it can need */
  (void)result;
  *made_bytes = (int64_t)made;
  return STATUS_OK;
}

static enum status start_gzip(struct lane *lane, int level, struct error *error) {
  if (lane->has_gzip) {
    deflateReset(&lane->gzip);
    return STATUS_OK;
  }
  lane->gzip = (z_stream){.zalloc = gzip_alloc, .zfree = gzip_free, .opaque = &lane->charged};
  int result = deflateInit2(&lane->gzip, level, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEMORY_LEVEL,
                            Z_DEFAULT_STRATEGY);
  lane->has_gzip = result == Z_OK;
  return lane->has_gzip ? STATUS_OK : no_memory(lane, error);
}

static enum status make_gzip(struct lane *lane, const void *from, size_t bytes,
                             int64_t *made_bytes) {
  z_stream *gzip = &lane->gzip;
  gzip->next_in = (Bytef *)(uintptr_t)from; /* zlib only reads it */
  gzip->avail_in = (uInt)bytes;
  gzip->next_out = lane->room.data;
  gzip->avail_out = (uInt)lane->room.capacity_bytes;
  int result = deflate(gzip, Z_FINISH);
  assert(result == Z_STREAM_END); /* it has all the room it can need */
  (void)result;
  *made_bytes = (int64_t)gzip->total_out;
  return STATUS_OK;
}

/* What the codec may need for its worst case. */
static int64_t room_of(const struct parquet_compressor *compressor, struct lane *lane,
                       size_t bytes) {
  switch (compressor->codec) {
  case PARQUET_UNCOMPRESSED: return 0;
  case PARQUET_SNAPPY: return (int64_t)snappy_max_compressed_length(bytes);
  case PARQUET_GZIP: return (int64_t)deflateBound(&lane->gzip, bytes);
  case PARQUET_ZSTD: return (int64_t)ZSTD_compressBound(bytes);
  case PARQUET_LZ4_RAW: return LZ4_compressBound((int)bytes);
  }
  return 0;
}

static enum status run(struct parquet_compressor *compressor, struct lane *lane, const void *from,
                       size_t bytes, int64_t *made_bytes, struct error *error) {
  enum status status = STATUS_OK;
  if (compressor->codec == PARQUET_GZIP) status = start_gzip(lane, compressor->level, error);
  if (status != STATUS_OK) return status;
  int64_t room_bytes = room_of(compressor, lane, bytes);
  if (room_bytes > lane->room.capacity_bytes) buffer_release(&lane->room); /* holds nothing */
  status = buffer_reserve(&lane->room, compressor->budget, room_bytes, error);
  if (status != STATUS_OK) return status;
  switch (compressor->codec) {
  case PARQUET_UNCOMPRESSED: break;
  case PARQUET_SNAPPY: return make_snappy(lane, from, bytes, made_bytes);
  case PARQUET_GZIP: return make_gzip(lane, from, bytes, made_bytes);
  case PARQUET_ZSTD: return make_zstd(lane, compressor->level, from, bytes, made_bytes, error);
  case PARQUET_LZ4_RAW: return make_lz4(lane, from, bytes, made_bytes, error);
  }
  return STATUS_OK;
}

enum status parquet_compress(struct parquet_compressor *compressor, int lane_index,
                             const void *from, int64_t bytes, struct buffer *out,
                             int64_t *made_bytes, struct error *error) {
  assert(lane_index >= 0 && lane_index < WORKERS_LANES_MAX && bytes >= 0);
  int64_t most_bytes = compressor->codec == PARQUET_LZ4_RAW ? LZ4_MAX_INPUT_SIZE : INT32_MAX;
  if (bytes > most_bytes)
    return error_set(error, STATUS_TOO_LARGE,
                     "a page of %lld bytes: Parquet's pages have at most %lld", (long long)bytes,
                     (long long)most_bytes);
  struct lane *lane = &compressor->lanes[lane_index];
  const void *made = from;
  *made_bytes = bytes;
  if (bytes == 0) from = ""; /* libraries need not take NULL */
  enum status status = STATUS_OK;
  if (compressor->codec != PARQUET_UNCOMPRESSED) {
    status = run(compressor, lane, from, (size_t)bytes, made_bytes, error);
    made = lane->room.data;
  }
  if (status == STATUS_OK && *made_bytes > INT32_MAX)
    status = error_set(error, STATUS_TOO_LARGE,
                       "a page of %lld bytes, which compression does not make smaller: Parquet's "
                       "pages have at most %d",
                       (long long)bytes, INT32_MAX);
  if (status == STATUS_OK)
    status = buffer_append(out, compressor->budget, made, *made_bytes, error);
  if (lane->room.capacity_bytes > ROOM_KEPT_BYTES_MAX) buffer_release(&lane->room);
  return status;
}
