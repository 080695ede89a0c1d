/* gzip by zlib, zstd by libzstd: one struct with the state of either.
 *
 * 1. Whether a body is taken does not depend on how it was cut into pieces. libzstd has a short
 *    way for a frame that lies in one piece, and it looks at no window limit; a frame's first
 *    byte is therefore handed over by itself, which keeps it on the long way. That byte also
 *    tells the formats that libzstd still reads from its first years: they are refused.
 * 2. `inside` is true from the first byte of a frame or member to its last, checksum included.
 *    Between two of them only another one may begin: zeros or garbage behind the last are an error.
 * 3. A failure is final: every later call gives it again. */
#include "net/http_coding.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
  ZSTD_WINDOW_LOG_MAX = 23,
  GZIP_WINDOW_BITS = 15 + 16, /* the largest window there is; 16: gzip's header, no other */
  ZSTD_MAGIC_FIRST = 0x28,    /* of 28 B5 2F FD (RFC 8878, section 3.1.1) */
  ZSTD_SKIPPABLE_FIRST = 0x50 /* to 0x5F (section 3.1.2) */
};
_Static_assert(1 << ZSTD_WINDOW_LOG_MAX == HTTP_CODING_WINDOW_BYTES_MAX, "one limit");

enum kind { KIND_GZIP, KIND_ZSTD };

struct http_coding {
  enum kind kind;
  bool inside;
  bool idle; /* zstd: without more input nothing comes */
  struct error failure;
  z_stream gzip;
  ZSTD_DCtx *zstd;
};

/* ---- making one ------------------------------------------------------------------ */

static enum status make(enum kind kind, struct http_coding **coding, struct error *error) {
  struct http_coding *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory to decompress a body");
  made->kind = kind;
  made->idle = true;
  bool ready;
  if (kind == KIND_GZIP) {
    ready = inflateInit2(&made->gzip, GZIP_WINDOW_BITS) == Z_OK;
  } else {
    made->zstd = ZSTD_createDCtx();
    ready =
        made->zstd != NULL &&
        !ZSTD_isError(ZSTD_DCtx_setParameter(made->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX));
  }
  if (!ready) {
    http_coding_free(made);
    return error_set(error, STATUS_NOMEM, "no memory to decompress a body");
  }
  *coding = made;
  return STATUS_OK;
}

enum status http_coding_new(const char *name, struct http_coding **coding, struct error *error) {
  *coding = NULL;
  if (name == NULL || *name == '\0' || strcasecmp(name, "identity") == 0) return STATUS_OK;
  if (strcasecmp(name, "zstd") == 0) return make(KIND_ZSTD, coding, error);
  if (strcasecmp(name, "gzip") == 0 || strcasecmp(name, "x-gzip") == 0)
    return make(KIND_GZIP, coding, error);
  if (strchr(name, ',') != NULL)
    return error_set(error, STATUS_UNSUPPORTED,
                     "Content-Encoding names more than one coding; send the body with one of "
                     "them (" HTTP_CODINGS ") or with none");
  return error_set(error, STATUS_UNSUPPORTED,
                   "Content-Encoding is one that is not known here; there are: " HTTP_CODINGS);
}

void http_coding_free(struct http_coding *coding) {
  if (coding == NULL) return;
  if (coding->kind == KIND_GZIP) inflateEnd(&coding->gzip); /* also of one that never began */
  ZSTD_freeDCtx(coding->zstd);
  free(coding);
}

/* ---- gzip ------------------------------------------------------------------------ */

static unsigned limited(size_t bytes) { return bytes > UINT_MAX ? UINT_MAX : (unsigned)bytes; }

static enum status gzip_step(struct http_coding *coding, const uint8_t *in, size_t in_bytes,
                             size_t *used, uint8_t *out, size_t out_bytes, size_t *made,
                             struct error *error) {
  z_stream *stream = &coding->gzip;
  if (!coding->inside) {
    if (in_bytes == 0) return STATUS_OK;
    if (inflateReset(stream) != Z_OK)
      return error_set(error, STATUS_INTERNAL, "zlib cannot begin a gzip member");
    coding->inside = true;
  }
  unsigned in_before = limited(in_bytes), out_before = limited(out_bytes);
  stream->next_in = (z_const Bytef *)in;
  stream->avail_in = in_before;
  stream->next_out = out;
  stream->avail_out = out_before;
  int result = inflate(stream, Z_NO_FLUSH);
  *used = in_before - stream->avail_in;
  *made = out_before - stream->avail_out;
  if (result == Z_STREAM_END) coding->inside = false;
  if (result == Z_STREAM_END || result == Z_OK || result == Z_BUF_ERROR) return STATUS_OK;
  if (result == Z_MEM_ERROR)
    return error_set(error, STATUS_NOMEM, "no memory to decompress a body");
  return error_set(error, STATUS_INVALID, "the body is not whole gzip data: %s",
                   stream->msg != NULL ? stream->msg : "broken");
}

/* ---- zstd ------------------------------------------------------------------------ */

static enum status zstd_failure(size_t result, struct error *error) {
  switch (ZSTD_getErrorCode(result)) {
  case ZSTD_error_frameParameter_windowTooLarge:
    return error_set(error, STATUS_UNSUPPORTED,
                     "the body's zstd frame needs a window of more than %d MiB to be "
                     "decompressed; compress it at level 19 or below, without --long",
                     HTTP_CODING_WINDOW_BYTES_MAX >> 20);
  case ZSTD_error_dictionary_wrong:
    return error_set(error, STATUS_UNSUPPORTED,
                     "the body's zstd frame was made with a dictionary; compress it without one");
  case ZSTD_error_memory_allocation:
    return error_set(error, STATUS_NOMEM, "no memory to decompress a body");
  default:
    return error_set(error, STATUS_INVALID, "the body is not whole zstd data: %s",
                     ZSTD_getErrorName(result));
  }
}

static enum status zstd_begin(struct http_coding *coding, uint8_t first, struct error *error) {
  if (first != ZSTD_MAGIC_FIRST && (first & 0xF0) != ZSTD_SKIPPABLE_FIRST)
    return error_set(error, STATUS_INVALID,
                     "the body is not whole zstd data: no frame begins with byte 0x%02X", first);
  ZSTD_inBuffer input = {.src = &first, .size = 1};
  ZSTD_outBuffer output = {.dst = &first, .size = 0};
  size_t result = ZSTD_decompressStream(coding->zstd, &output, &input);
  if (ZSTD_isError(result)) return zstd_failure(result, error);
  coding->inside = true;
  return STATUS_OK;
}

static enum status zstd_step(struct http_coding *coding, const uint8_t *in, size_t in_bytes,
                             size_t *used, uint8_t *out, size_t out_bytes, size_t *made,
                             struct error *error) {
  /* libzstd counts calls that change nothing, and fails after a few. */
  if (in_bytes == 0 && coding->idle) return STATUS_OK;
  if (!coding->inside) {
    enum status status = zstd_begin(coding, *in, error);
    if (status != STATUS_OK) return status;
    *used = 1;
  }
  ZSTD_inBuffer input = {.src = in, .size = in_bytes, .pos = *used};
  ZSTD_outBuffer output = {.dst = out, .size = out_bytes};
  if (input.pos < input.size || !coding->idle) {
    size_t result = ZSTD_decompressStream(coding->zstd, &output, &input);
    if (ZSTD_isError(result)) return zstd_failure(result, error);
    coding->inside = result != 0;
    coding->idle = result == 0 || output.pos < output.size;
  }
  *used = input.pos;
  *made = output.pos;
  return STATUS_OK;
}

/* ---- both ------------------------------------------------------------------------ */

static enum status keep(struct http_coding *coding, enum status status, const struct error *why) {
  if (status != STATUS_OK) coding->failure = *why;
  return status;
}

enum status http_coding_step(struct http_coding *coding, const uint8_t *in, size_t in_bytes,
                             size_t *used, uint8_t *out, size_t out_bytes, size_t *made,
                             struct error *error) {
  *used = 0;
  *made = 0;
  if (coding->failure.status != STATUS_OK)
    return error_set(error, coding->failure.status, "%s", coding->failure.text);
  if (out_bytes == 0) return STATUS_OK;
  struct error why = {.status = STATUS_OK};
  enum status status = coding->kind == KIND_GZIP
                           ? gzip_step(coding, in, in_bytes, used, out, out_bytes, made, &why)
                           : zstd_step(coding, in, in_bytes, used, out, out_bytes, made, &why);
  if (keep(coding, status, &why) != STATUS_OK) return error_set(error, status, "%s", why.text);
  return STATUS_OK;
}

enum status http_coding_finish(struct http_coding *coding, struct error *error) {
  if (coding->failure.status != STATUS_OK)
    return error_set(error, coding->failure.status, "%s", coding->failure.text);
  if (!coding->inside) return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "the body ends in the middle of its %s data: it was cut off on the way",
                   coding->kind == KIND_GZIP ? "gzip" : "zstd");
}
