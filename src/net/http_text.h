/* Small texts of HTTP (http_text.c). Private to net/. */
#ifndef ARROWPORT_NET_HTTP_TEXT_H
#define ARROWPORT_NET_HTTP_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

const char *http_phrase(int code); /* "Not Found"; "" for an unknown code */

/* Appends an error as application/problem+json (RFC 9457). */
enum status http_problem(struct text *out, int code, const struct error *error) WARN_UNUSED;

enum http2_preface { HTTP2_NO, HTTP2_MAYBE, HTTP2_YES };
/* Whether a connection's first bytes are HTTP/2's (RFC 9113, section 3.4). */
enum http2_preface http2_preface(const uint8_t *data, size_t bytes);

#endif
