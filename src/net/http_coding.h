/* Content-Encoding of requests' bodies (RFC 9110, section 8.4.1): gzip and zstd, from bytes to
 * bytes, without I/O. Private to net/.
 *
 * Memory: a decoder's window, at most HTTP_CODING_WINDOW_BYTES_MAX. A small body that expands
 * without end meets the limits of whoever takes what comes out: nothing is collected here. */
#ifndef ARROWPORT_NET_HTTP_CODING_H
#define ARROWPORT_NET_HTTP_CODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
  /* A zstd frame may ask for a window of 2 GiB and more: memory. RFC 8878 recommends 8 MiB. */
  HTTP_CODING_WINDOW_BYTES_MAX = 8 << 20,
};

struct http_coding;

/* What a client may send: for Accept-Encoding and for messages. */
#define HTTP_CODINGS "zstd, gzip"

/* `name`: the value of Content-Encoding (NULL, "" and "identity": `*coding` is NULL).
 * STATUS_UNSUPPORTED for an unknown coding or more than one, with those there are. */
enum status http_coding_new(const char *name, struct http_coding **coding,
                            struct error *error) WARN_UNUSED;
void http_coding_free(struct http_coding *coding); /* NULL is allowed */

/* Decodes from [in, in + in_bytes) into [out, out + out_bytes). `*used` and `*made` say how
 * many bytes of each; nothing used and nothing made means that it needs more input.
 * STATUS_INVALID for broken data, STATUS_UNSUPPORTED for a window past the limit. */
enum status http_coding_step(struct http_coding *coding, const uint8_t *in, size_t in_bytes,
                             size_t *used, uint8_t *out, size_t out_bytes, size_t *made,
                             struct error *error) WARN_UNUSED;
/* The input is over. STATUS_INVALID when the last frame or member is not whole; an empty body
 * is. Checksums have been checked by then. */
enum status http_coding_finish(struct http_coding *coding, struct error *error) WARN_UNUSED;

#endif
