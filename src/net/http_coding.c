/* gzip by zlib, zstd by libzstd: one struct with the state of either.
 *
 * 1. Whether a body is taken does not depend on how it was cut into pieces. libzstd alone has a
 *    short way for a frame that lies in one piece, which looks at no window limit, and takes the
 *    beginning of a piece for a format of its first years when a frame's head is broken. So
 *    heads are gathered here, looked at, and handed over by themselves.
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
  ZSTD_HEAD_BYTES_MAX = 18,   /* RFC 8878, section 3.1.1.1 */
  ZSTD_SKIPPABLE_BYTES = 8,   /* section 3.1.2: magic, size */
  ZSTD_MAGIC_BYTES = 4,
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
  uint8_t head[ZSTD_HEAD_BYTES_MAX]; /* of the frame that begins */
  size_t head_bytes;
  bool head_whole;
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
  case ZSTD_error_memory_allocation:
    return error_set(error, STATUS_NOMEM, "no memory to decompress a body");
  default:
    return error_set(error, STATUS_INVALID, "the body is not whole zstd data: %s",
                     ZSTD_getErrorName(result));
  }
}

/* How long the head is, as far as `bytes` of it say; more than `bytes`: not all is there. */
static size_t head_length(const uint8_t *head, size_t bytes) {
  static const uint8_t dictionary[] = {0, 1, 2, 4}, content[] = {0, 2, 4, 8};
  if (bytes > 0 && (head[0] & 0xF0) == 0x50) return ZSTD_SKIPPABLE_BYTES;
  if (bytes <= ZSTD_MAGIC_BYTES) return ZSTD_MAGIC_BYTES + 1;
  uint8_t flags = head[ZSTD_MAGIC_BYTES];
  bool single = (flags & 0x20) != 0;
  size_t content_bytes = single && flags >> 6 == 0 ? 1 : content[flags >> 6];
  return (size_t)(single ? ZSTD_MAGIC_BYTES + 1 : ZSTD_MAGIC_BYTES + 2) + dictionary[flags & 3] +
         content_bytes;
}

static bool magic_fits(const uint8_t *head, size_t bytes) {
  static const uint8_t frame[] = {0x28, 0xB5, 0x2F, 0xFD}, skippable[] = {0x50, 0x2A, 0x4D, 0x18};
  if (bytes > ZSTD_MAGIC_BYTES) bytes = ZSTD_MAGIC_BYTES;
  return memcmp(head, frame, bytes) == 0 ||
         ((head[0] & 0xF0) == skippable[0] && memcmp(head + 1, skippable + 1, bytes - 1) == 0);
}

static uint64_t little_endian(const uint8_t *data, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = bytes; i > 0; i--) value = value << 8 | data[i - 1];
  return value;
}

/* A whole head: section 3.1.1.1. */
static enum status check_head(const uint8_t *head, size_t bytes, struct error *error) {
  static const uint8_t dictionary[] = {0, 1, 2, 4};
  if (head[0] != 0x28) return STATUS_OK; /* skippable */
  uint8_t flags = head[ZSTD_MAGIC_BYTES];
  bool single = (flags & 0x20) != 0;
  const uint8_t *at = head + ZSTD_MAGIC_BYTES + 1 + (single ? 0 : 1);
  size_t dictionary_bytes = dictionary[flags & 3];
  const uint8_t *content = at + dictionary_bytes;
  size_t content_bytes = (size_t)(head + bytes - content);
  uint64_t window_bytes = little_endian(content, content_bytes) + (content_bytes == 2 ? 256 : 0);
  if (!single) {
    uint8_t window = head[ZSTD_MAGIC_BYTES + 1];
    window_bytes = (uint64_t)1 << (10 + (window >> 3));
    window_bytes += window_bytes / 8 * (window & 7);
  }
  if ((flags & 0x08) != 0)
    return error_set(error, STATUS_INVALID,
                     "the body is not whole zstd data: a reserved bit is set");
  if (little_endian(at, dictionary_bytes) != 0)
    return error_set(error, STATUS_UNSUPPORTED,
                     "the body's zstd frame was made with a dictionary; compress it without one");
  if (window_bytes > HTTP_CODING_WINDOW_BYTES_MAX)
    return error_set(error, STATUS_UNSUPPORTED,
                     "the body's zstd frame needs a window of more than %d MiB to be "
                     "decompressed; compress it at level 19 or below, without --long",
                     HTTP_CODING_WINDOW_BYTES_MAX >> 20);
  return STATUS_OK;
}

/* Gathers the head of a frame, and hands it over when it is whole. */
static enum status zstd_begin(struct http_coding *coding, const uint8_t *in, size_t in_bytes,
                              size_t *used, struct error *error) {
  coding->inside = true;
  while (*used < in_bytes && coding->head_bytes < head_length(coding->head, coding->head_bytes)) {
    coding->head[coding->head_bytes++] = in[(*used)++];
    if (!magic_fits(coding->head, coding->head_bytes))
      return error_set(error, STATUS_INVALID,
                       "the body is not whole zstd data: a frame would begin otherwise");
  }
  if (coding->head_bytes < head_length(coding->head, coding->head_bytes)) return STATUS_OK;
  enum status status = check_head(coding->head, coding->head_bytes, error);
  if (status != STATUS_OK) return status;
  ZSTD_inBuffer input = {.src = coding->head, .size = coding->head_bytes};
  ZSTD_outBuffer output = {.dst = coding->head, .size = 0};
  size_t result = ZSTD_decompressStream(coding->zstd, &output, &input);
  if (ZSTD_isError(result)) return zstd_failure(result, error);
  if (input.pos < input.size)
    return error_set(error, STATUS_INTERNAL, "libzstd does not take the head of a frame");
  coding->head_bytes = 0;
  coding->inside = result != 0; /* 0: a skippable frame of no bytes */
  coding->head_whole = coding->inside;
  return STATUS_OK;
}

static enum status zstd_step(struct http_coding *coding, const uint8_t *in, size_t in_bytes,
                             size_t *used, uint8_t *out, size_t out_bytes, size_t *made,
                             struct error *error) {
  /* libzstd counts calls that change nothing, and fails after a few. */
  if (in_bytes == 0 && coding->idle) return STATUS_OK;
  if (!coding->head_whole) {
    enum status status = zstd_begin(coding, in, in_bytes, used, error);
    if (status != STATUS_OK || !coding->head_whole) return status;
  }
  ZSTD_inBuffer input = {.src = in, .size = in_bytes, .pos = *used};
  ZSTD_outBuffer output = {.dst = out, .size = out_bytes};
  if (input.pos < input.size || !coding->idle) {
    size_t result = ZSTD_decompressStream(coding->zstd, &output, &input);
    if (ZSTD_isError(result)) return zstd_failure(result, error);
    coding->inside = result != 0;
    coding->head_whole = coding->inside;
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
