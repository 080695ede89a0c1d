#include "arrow/ipc_body.h"

#include <inttypes.h>
#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "arrow/ipc_numbers.h"

enum {
  LENGTH_PREFIX_BYTES = 8,
  VALUE_ALIGNMENT_BYTES = 8,
  /* A compressed buffer that says it is larger than this, and than so many times what
   * came, gets its room as it expands: a lie of a few bytes must not take gigabytes. */
  TRUSTED_BYTES = 1 << 20,
  TRUSTED_RATIO = 32,
};

struct ipc_expander {
  ZSTD_DCtx *zstd;
  LZ4F_dctx *lz4;
};

enum status ipc_expander_new(struct ipc_expander **expander, struct error *error) {
  *expander = calloc(1, sizeof **expander);
  if (*expander == NULL) return error_set(error, STATUS_NOMEM, "no memory for a stream");
  return STATUS_OK;
}

void ipc_expander_free(struct ipc_expander *expander) {
  if (expander == NULL) return;
  ZSTD_freeDCtx(expander->zstd);
  if (expander->lz4 != NULL) LZ4F_freeDecompressionContext(expander->lz4);
  free(expander);
}

/* ---- expanding ------------------------------------------------------------------------- */

/* One step of a decompressor: moves `*used` and `*made` on; `*ended` at the frame's end. */
typedef enum status (*expand_step)(struct ipc_expander *expander, const uint8_t *from,
                                   size_t from_bytes, size_t *used, uint8_t *to, size_t to_bytes,
                                   size_t *made, bool *ended, struct error *error);

static enum status step_zstd(struct ipc_expander *expander, const uint8_t *from, size_t from_bytes,
                             size_t *used, uint8_t *to, size_t to_bytes, size_t *made, bool *ended,
                             struct error *error) {
  ZSTD_inBuffer in = {from, from_bytes, 0};
  ZSTD_outBuffer out = {to, to_bytes, 0};
  size_t result = ZSTD_decompressStream(expander->zstd, &out, &in);
  if (ZSTD_isError(result))
    return error_set(error, STATUS_INVALID, "a ZSTD buffer is broken: %s",
                     ZSTD_getErrorName(result));
  *used = in.pos;
  *made = out.pos;
  *ended = result == 0;
  return STATUS_OK;
}

static enum status step_lz4(struct ipc_expander *expander, const uint8_t *from, size_t from_bytes,
                            size_t *used, uint8_t *to, size_t to_bytes, size_t *made, bool *ended,
                            struct error *error) {
  *used = from_bytes;
  *made = to_bytes;
  size_t result = LZ4F_decompress(expander->lz4, to, made, from, used, NULL);
  if (LZ4F_isError(result))
    return error_set(error, STATUS_INVALID, "an LZ4 buffer is broken: %s",
                     LZ4F_getErrorName(result));
  *ended = result == 0;
  return STATUS_OK;
}

static enum status prepare(struct ipc_expander *expander, enum ipc_compression compression,
                           expand_step *step, struct error *error) {
  *step = compression == IPC_COMPRESSION_ZSTD ? step_zstd : step_lz4;
  if (compression == IPC_COMPRESSION_ZSTD) {
    if (expander->zstd == NULL) expander->zstd = ZSTD_createDCtx();
    if (expander->zstd == NULL) return error_set(error, STATUS_NOMEM, "no memory for ZSTD");
    ZSTD_DCtx_reset(expander->zstd, ZSTD_reset_session_only);
    return STATUS_OK;
  }
  if (expander->lz4 == NULL &&
      LZ4F_isError(LZ4F_createDecompressionContext(&expander->lz4, LZ4F_VERSION)))
    return error_set(error, STATUS_NOMEM, "no memory for LZ4");
  LZ4F_resetDecompressionContext(expander->lz4);
  return STATUS_OK;
}

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

static int64_t first_room(int64_t size_bytes, int64_t from_bytes) {
  int64_t trusted = from_bytes * TRUSTED_RATIO; /* of bytes that are here: no overflow */
  if (trusted < TRUSTED_BYTES) trusted = TRUSTED_BYTES;
  return size_bytes < trusted ? size_bytes : trusted;
}

static enum status expand(struct ipc_body *body, const uint8_t *from, int64_t from_bytes,
                          int64_t size_bytes, struct buffer *out, struct error *error) {
  expand_step step = NULL;
  enum status status = prepare(body->expander, body->compression, &step, error);
  if (status == STATUS_OK)
    status = buffer_reserve(out, body->budget, first_room(size_bytes, from_bytes), error);
  bool ended = false;
  while (status == STATUS_OK && !ended) {
    size_t used = 0;
    size_t made = 0;
    int64_t room_bytes =
        (out->capacity_bytes < size_bytes ? out->capacity_bytes : size_bytes) - out->size_bytes;
    status = step(body->expander, from, (size_t)from_bytes, &used, out->data + out->size_bytes,
                  (size_t)room_bytes, &made, &ended, error);
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
  if (status == STATUS_OK) buffer_pad(out);
  return status;
}

/* ---- buffers ----------------------------------------------------------------------------- */

static enum status take_expanded(struct ipc_body *body, struct ipc_span *span,
                                 struct error *error) {
  if (span->size_bytes < LENGTH_PREFIX_BYTES)
    return error_set(error, STATUS_INVALID, "a compressed buffer has no length");
  uint64_t announced = 0;
  for (int i = 0; i < LENGTH_PREFIX_BYTES; i++) announced |= (uint64_t)span->data[i] << (8 * i);
  int64_t size_bytes = (int64_t)announced;
  const uint8_t *from = span->data + LENGTH_PREFIX_BYTES;
  int64_t from_bytes = span->size_bytes - LENGTH_PREFIX_BYTES;
  if (size_bytes == -1) { /* it did not shrink and came as it is */
    *span = (struct ipc_span){from_bytes > 0 ? from : NULL, from_bytes};
    return STATUS_OK;
  }
  if (size_bytes < 0)
    return error_set(error, STATUS_INVALID, "a compressed buffer says it has %" PRId64 " bytes",
                     size_bytes);
  if (size_bytes > body->limits->decoded_bytes_max - body->expanded_bytes)
    return error_set(error, STATUS_TOO_LARGE,
                     "the batch expands to more than %" PRId64 " bytes; send smaller batches",
                     body->limits->decoded_bytes_max);
  body->expanded_bytes += size_bytes;
  if (size_bytes == 0) {
    *span = (struct ipc_span){NULL, 0};
    return STATUS_OK;
  }
  struct buffer expanded = BUFFER_EMPTY;
  enum status status = expand(body, from, from_bytes, size_bytes, &expanded, error);
  if (status != STATUS_OK) {
    buffer_release(&expanded);
    return status;
  }
  *span = (struct ipc_span){expanded.data, expanded.size_bytes};
  array_tree_hold_buffer(body->tree, expanded);
  return STATUS_OK;
}

/* Arrow asks writers for 8 bytes at least; those who do not care cost a copy. */
static enum status align(struct ipc_body *body, struct ipc_span *span, struct error *error) {
  if (span->data == NULL || (uintptr_t)span->data % VALUE_ALIGNMENT_BYTES == 0) return STATUS_OK;
  struct buffer aligned = BUFFER_EMPTY;
  enum status status = buffer_append(&aligned, body->budget, span->data, span->size_bytes, error);
  if (status != STATUS_OK) return status;
  span->data = aligned.data;
  array_tree_hold_buffer(body->tree, aligned);
  return STATUS_OK;
}

enum status ipc_body_next(struct ipc_body *body, struct ipc_span *span, struct error *error) {
  *span = (struct ipc_span){NULL, 0};
  if (body->next == body->buffers.count)
    return error_set(error, STATUS_INVALID,
                     "the batch has %" PRId64 " buffers, fewer than its schema needs",
                     body->buffers.count);
  int64_t index = body->next++;
  int64_t offset = fb_vector_int64(&body->buffers, index, BUFFER_STRUCT_BYTES, 0);
  int64_t length = fb_vector_int64(&body->buffers, index, BUFFER_STRUCT_BYTES, 8);
  if (offset < 0 || length < 0 || offset > body->bytes->size_bytes ||
      length > body->bytes->size_bytes - offset)
    return error_set(error, STATUS_INVALID,
                     "buffer %" PRId64 " (%" PRId64 " bytes from byte %" PRId64
                     ") lies outside the body of %" PRId64 " bytes",
                     index, length, offset, body->bytes->size_bytes);
  if (length == 0) return STATUS_OK;
  *span = (struct ipc_span){body->bytes->data + offset, length};
  enum status status = STATUS_OK;
  if (body->compression != IPC_COMPRESSION_NONE) status = take_expanded(body, span, error);
  if (status == STATUS_OK) status = align(body, span, error);
  uintptr_t at = (uintptr_t)span->data - (uintptr_t)body->bytes->data;
  if (span->data != NULL && at < (uintptr_t)body->bytes->size_bytes) body->referred = true;
  return status;
}
