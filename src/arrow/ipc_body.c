#include "arrow/ipc_body.h"

#include <inttypes.h>
#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "arrow/ipc_numbers.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "bodies are read in this order");

enum {
  LENGTH_PREFIX_BYTES = 8,
  VALUE_ALIGNMENT_BYTES = 8,
  /* A compressed buffer that says it is larger than this, and than so many times what
   * came, gets its room as it expands: a lie of a few bytes must not take gigabytes. LZ4
   * cannot expand further than 255 times, and ZSTD seldom does. */
  TRUSTED_BYTES = 1 << 20,
  TRUSTED_RATIO = 255,
  /* A body is worth several threads when its buffers have this many bytes in all: waking
   * one takes some 20 us, in which a thread expands 40 KiB. */
  AHEAD_BYTES_MIN = 512 << 10,
};

struct ipc_expander {
  struct expand_lane {
    ZSTD_DCtx *zstd;
    LZ4F_dctx *lz4;
  } lanes[WORKERS_LANES_MAX];
};

enum status ipc_expander_new(struct ipc_expander **expander, struct error *error) {
  *expander = calloc(1, sizeof **expander);
  if (*expander == NULL) return error_set(error, STATUS_NOMEM, "no memory for a stream");
  return STATUS_OK;
}

void ipc_expander_free(struct ipc_expander *expander) {
  if (expander == NULL) return;
  for (int i = 0; i < WORKERS_LANES_MAX; i++) {
    ZSTD_freeDCtx(expander->lanes[i].zstd);
    if (expander->lanes[i].lz4 != NULL) LZ4F_freeDecompressionContext(expander->lanes[i].lz4);
  }
  free(expander);
}

enum status ipc_body_compression(const struct fb_table *batch, enum ipc_compression *compression,
                                 struct error *error) {
  struct fb_table table;
  bool present = false;
  int64_t codec = 0;
  int64_t method = 0;
  enum status status = fb_table_field(batch, BATCH_COMPRESSION, &table, &present, error);
  if (status != STATUS_OK || !present) return status;
  status = fb_integer_field(&table, COMPRESSION_CODEC, 1, 0, &codec, error);
  if (status == STATUS_OK)
    status = fb_integer_field(&table, COMPRESSION_METHOD, 1, 0, &method, error);
  if (status != STATUS_OK) return status;
  if (codec < CODEC_LZ4_FRAME || codec > CODEC_ZSTD || method != 0)
    return error_set(error, STATUS_UNSUPPORTED,
                     "its compression (codec %" PRId64 ", method %" PRId64
                     ") is not supported; LZ4 frames and ZSTD are",
                     codec, method);
  *compression = codec == CODEC_LZ4_FRAME ? IPC_COMPRESSION_LZ4 : IPC_COMPRESSION_ZSTD;
  return STATUS_OK;
}

/* ---- expanding ------------------------------------------------------------------------- */

/* One step of a decompressor into the `to_bytes` at `to`: moves `*used` and `*made` on; `*ended`
 * at the frame's end. With `whole` all that will come out fits there. */
typedef enum status (*expand_step)(struct expand_lane *lane, const uint8_t *from, size_t from_bytes,
                                   size_t *used, uint8_t *to, size_t to_bytes, size_t *made,
                                   bool whole, bool *ended, struct error *error);

static enum status step_zstd(struct expand_lane *lane, const uint8_t *from, size_t from_bytes,
                             size_t *used, uint8_t *to, size_t to_bytes, size_t *made, bool whole,
                             bool *ended, struct error *error) {
  (void)whole; /* it sees for itself, and then writes where it is told to at once */
  ZSTD_inBuffer in = {from, from_bytes, 0};
  ZSTD_outBuffer out = {to, to_bytes, 0};
  size_t result = ZSTD_decompressStream(lane->zstd, &out, &in);
  if (ZSTD_isError(result))
    return error_set(error, STATUS_INVALID, "a ZSTD buffer is broken: %s",
                     ZSTD_getErrorName(result));
  *used = in.pos;
  *made = out.pos;
  *ended = result == 0;
  return STATUS_OK;
}

static enum status step_lz4(struct expand_lane *lane, const uint8_t *from, size_t from_bytes,
                            size_t *used, uint8_t *to, size_t to_bytes, size_t *made, bool whole,
                            bool *ended, struct error *error) {
  LZ4F_decompressOptions_t options = {.stableDst = whole}; /* no copy is kept of what was made */
  *used = from_bytes;
  *made = to_bytes;
  size_t result = LZ4F_decompress(lane->lz4, to, made, from, used, &options);
  if (LZ4F_isError(result))
    return error_set(error, STATUS_INVALID, "an LZ4 buffer is broken: %s",
                     LZ4F_getErrorName(result));
  *ended = result == 0;
  return STATUS_OK;
}

static enum status prepare(struct expand_lane *lane, enum ipc_compression compression,
                           expand_step *step, struct error *error) {
  *step = compression == IPC_COMPRESSION_ZSTD ? step_zstd : step_lz4;
  if (compression == IPC_COMPRESSION_ZSTD) {
    if (lane->zstd == NULL) lane->zstd = ZSTD_createDCtx();
    if (lane->zstd == NULL) return error_set(error, STATUS_NOMEM, "no memory for ZSTD");
    ZSTD_DCtx_reset(lane->zstd, ZSTD_reset_session_only);
    return STATUS_OK;
  }
  if (lane->lz4 == NULL && LZ4F_isError(LZ4F_createDecompressionContext(&lane->lz4, LZ4F_VERSION)))
    return error_set(error, STATUS_NOMEM, "no memory for LZ4");
  LZ4F_resetDecompressionContext(lane->lz4);
  return STATUS_OK;
}

/* A compressed buffer without its prefix. */
struct frame {
  int64_t index; /* of the buffer */
  const uint8_t *from;
  int64_t from_bytes;
  int64_t size_bytes; /* that it says it expands to */
};

/* More room, up to `size_bytes` in all; STATUS_INVALID when all of it is full. */
static enum status grow(struct ipc_body *body, struct buffer *out, int64_t size_bytes,
                        struct error *error) {
  if (out->size_bytes == size_bytes)
    return error_set(error, STATUS_INVALID,
                     "a compressed buffer expands to more than the %" PRId64 " bytes it says",
                     size_bytes);
  int64_t wanted = out->size_bytes * 2;
  return buffer_reserve(out, body->budget, wanted < size_bytes ? wanted : size_bytes, error);
}

static int64_t first_room(const struct frame *frame) {
  int64_t trusted = frame->from_bytes * TRUSTED_RATIO; /* of bytes that are here: no overflow */
  if (trusted < TRUSTED_BYTES) trusted = TRUSTED_BYTES;
  return frame->size_bytes < trusted ? frame->size_bytes : trusted;
}

static enum status expand(struct ipc_body *body, struct expand_lane *lane,
                          const struct frame *frame, struct buffer *out, struct error *error) {
  expand_step step = NULL;
  const uint8_t *from = frame->from;
  int64_t from_bytes = frame->from_bytes;
  int64_t size_bytes = frame->size_bytes;
  enum status status = prepare(lane, body->compression, &step, error);
  if (status == STATUS_OK) status = buffer_reserve(out, body->budget, first_room(frame), error);
  bool whole = out->capacity_bytes >= size_bytes;
  bool ended = false;
  while (status == STATUS_OK && !ended) {
    size_t used = 0;
    size_t made = 0;
    int64_t room_bytes =
        (out->capacity_bytes < size_bytes ? out->capacity_bytes : size_bytes) - out->size_bytes;
    status = step(lane, from, (size_t)from_bytes, &used, out->data + out->size_bytes,
                  (size_t)room_bytes, &made, whole, &ended, error);
    if (status != STATUS_OK) break;
    from += used;
    from_bytes -= (int64_t)used;
    out->size_bytes += (int64_t)made;
    if (ended || used > 0 || made > 0) continue;
    if (from_bytes == 0 && room_bytes > 0)
      status = error_set(error, STATUS_INVALID, "a compressed buffer is cut short");
    else
      status = grow(body, out, size_bytes, error);
  }
  if (status == STATUS_OK && out->size_bytes != size_bytes)
    status = error_set(error, STATUS_INVALID,
                       "a compressed buffer expands to %" PRId64 " bytes and says %" PRId64,
                       out->size_bytes, size_bytes);
  if (status == STATUS_OK)
    buffer_pad(out);
  else
    buffer_release(out);
  return status;
}

/* ---- buffers ----------------------------------------------------------------------------- */

/* Where a buffer lies in the body. */
static enum status locate(const struct ipc_body *body, int64_t index, struct ipc_span *span,
                          struct error *error) {
  int64_t offset = fb_vector_int64(&body->buffers, index, BUFFER_STRUCT_BYTES, 0);
  int64_t length = fb_vector_int64(&body->buffers, index, BUFFER_STRUCT_BYTES, 8);
  *span = (struct ipc_span){NULL, 0};
  if (offset < 0 || length < 0 || offset > body->bytes->size_bytes ||
      length > body->bytes->size_bytes - offset)
    return error_set(error, STATUS_INVALID,
                     "buffer %" PRId64 " (%" PRId64 " bytes from byte %" PRId64
                     ") lies outside the body of %" PRId64 " bytes",
                     index, length, offset, body->bytes->size_bytes);
  if (length > 0) *span = (struct ipc_span){body->bytes->data + offset, length};
  return STATUS_OK;
}

/* What the prefix of a compressed buffer says; a `size_bytes` of -1: the rest was not
 * compressed. */
static enum status read_frame(const struct ipc_body *body, const struct ipc_span *span,
                              struct frame *frame, struct error *error) {
  if (span->size_bytes < LENGTH_PREFIX_BYTES)
    return error_set(error, STATUS_INVALID, "a compressed buffer has no length");
  memcpy(&frame->size_bytes, span->data, LENGTH_PREFIX_BYTES); /* little-endian in every stream */
  frame->from = span->data + LENGTH_PREFIX_BYTES;
  frame->from_bytes = span->size_bytes - LENGTH_PREFIX_BYTES;
  if (frame->size_bytes < -1)
    return error_set(error, STATUS_INVALID, "a compressed buffer says it has %" PRId64 " bytes",
                     frame->size_bytes);
  if (frame->size_bytes > body->limits->decoded_bytes_max - body->expanded_bytes)
    return error_set(error, STATUS_TOO_LARGE,
                     "the batch expands to more than %" PRId64 " bytes; send smaller batches",
                     body->limits->decoded_bytes_max);
  return STATUS_OK;
}

/* What a compressed buffer expands to; `*expanded` is the caller's. */
static enum status take_expanded(struct ipc_body *body, int64_t index, struct ipc_span *span,
                                 struct buffer *expanded, struct error *error) {
  struct frame frame = {.size_bytes = 0};
  enum status status = read_frame(body, span, &frame, error);
  if (status != STATUS_OK) return status;
  if (frame.size_bytes == -1) { /* it did not shrink and came as it is */
    *span = (struct ipc_span){frame.from_bytes > 0 ? frame.from : NULL, frame.from_bytes};
    return STATUS_OK;
  }
  body->expanded_bytes += frame.size_bytes;
  *span = (struct ipc_span){NULL, 0};
  if (frame.size_bytes == 0) return STATUS_OK;
  if (body->expanded != NULL && body->expanded[index].data != NULL) {
    *expanded = body->expanded[index];
    body->expanded[index] = BUFFER_EMPTY;
  } else {
    status = expand(body, &body->expander->lanes[0], &frame, expanded, error);
  }
  if (status == STATUS_OK) *span = (struct ipc_span){expanded->data, expanded->size_bytes};
  return status;
}

/* A copy of the span's bytes in a buffer that is the caller's. */
static enum status copy(struct ipc_body *body, struct ipc_span *span, struct buffer *own,
                        struct error *error) {
  enum status status = buffer_append(own, body->budget, span->data, span->size_bytes, error);
  if (status == STATUS_OK) span->data = own->data;
  return status;
}

enum status ipc_body_next(struct ipc_body *body, enum ipc_order order, struct ipc_span *span,
                          struct error *error) {
  *span = (struct ipc_span){NULL, 0};
  if (body->next == body->buffers.count)
    return error_set(error, STATUS_INVALID,
                     "the batch has %" PRId64 " buffers, fewer than its schema needs",
                     body->buffers.count);
  int64_t index = body->next++;
  struct buffer own = BUFFER_EMPTY; /* what was expanded or copied */
  enum status status = locate(body, index, span, error);
  if (status == STATUS_OK && span->data != NULL && body->compression != IPC_COMPRESSION_NONE)
    status = take_expanded(body, index, span, &own, error);
  if (status != STATUS_OK || span->data == NULL) return status;

  /* Arrow asks writers for 8 bytes at least; those who do not care cost a copy. */
  bool is_aligned = (uintptr_t)span->data % VALUE_ALIGNMENT_BYTES == 0;
  bool is_turned = body->is_big_endian && order != IPC_ORDER_NONE;
  if (own.data == NULL && (!is_aligned || is_turned)) status = copy(body, span, &own, error);
  if (status != STATUS_OK) return status;
  if (is_turned) ipc_swap(own.data, own.data, own.size_bytes, order);
  if (own.data != NULL)
    array_tree_hold_buffer(body->tree, own);
  else
    body->referred = true;
  return STATUS_OK;
}

/* ---- ahead of time ----------------------------------------------------------------------- */

struct ahead {
  struct ipc_body *body;
  struct frame *frames;
};

static void expand_one(void *context, int64_t index, int lane) {
  struct ahead *ahead = context;
  const struct frame *frame = &ahead->frames[index];
  struct ipc_body *body = ahead->body;
  struct buffer *expanded = &body->expanded[frame->index];
  enum status status = expand(body, &body->expander->lanes[lane], frame, expanded, NULL);
  (void)status; /* what is missing is tried again, and then fails, when it is asked for */
}

/* The frames of the body that expand to something, `*count` of them, and how many bytes they
 * expand to; 0 when something about them is wrong, which is found again in its turn. */
static int64_t read_frames(struct ipc_body *body, struct frame *frames, int64_t *count) {
  int64_t total_bytes = 0;
  *count = 0;
  for (int64_t i = 0; i < body->buffers.count; i++) {
    struct ipc_span span;
    struct frame *frame = &frames[*count];
    if (locate(body, i, &span, NULL) != STATUS_OK) return 0;
    if (span.data == NULL) continue;
    if (read_frame(body, &span, frame, NULL) != STATUS_OK) return 0;
    if (frame->size_bytes > body->limits->decoded_bytes_max - total_bytes) return 0;
    if (frame->size_bytes <= 0) continue;
    frame->index = i;
    total_bytes += frame->size_bytes;
    (*count)++;
  }
  return total_bytes;
}

/* The largest first, so that no thread begins with one when the others are done. */
static int by_size(const void *left, const void *right) {
  int64_t a = ((const struct frame *)left)->size_bytes;
  int64_t b = ((const struct frame *)right)->size_bytes;
  return (a < b) - (a > b);
}

void ipc_body_expand_ahead(struct ipc_body *body, struct workers *workers) {
  int64_t count = body->buffers.count;
  if (workers == NULL || body->compression == IPC_COMPRESSION_NONE || count < 2) return;
  struct frame *frames = calloc((size_t)count, sizeof *frames);
  body->expanded = calloc((size_t)count, sizeof *body->expanded);
  if (frames != NULL && body->expanded != NULL &&
      read_frames(body, frames, &count) >= AHEAD_BYTES_MIN) {
    struct ahead ahead = {body, frames};
    qsort(frames, (size_t)count, sizeof *frames, by_size);
    workers_each(workers, count, expand_one, &ahead);
  }
  free(frames);
}

void ipc_body_release(struct ipc_body *body) {
  if (body->expanded == NULL) return;
  for (int64_t i = 0; i < body->buffers.count; i++) buffer_release(&body->expanded[i]);
  free(body->expanded);
  body->expanded = NULL;
}
