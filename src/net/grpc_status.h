/* How gRPC says things in HTTP/2 fields (grpc/grpc, doc/PROTOCOL-HTTP2.md): which requests are calls,
 * time-outs, percent-encoded messages, the fields of an end. No I/O, no clock. Private to net/. */
#ifndef ARROWPORT_NET_GRPC_STATUS_H
#define ARROWPORT_NET_GRPC_STATUS_H

#include "net/grpc.h"

/* The message encodings that are understood, as grpc-accept-encoding has them. */
#define GRPC_ENCODINGS  "identity,gzip,deflate"
#define GRPC_MEDIA_TYPE "application/grpc"

/* Whether a content type is one of gRPC's with protobuf messages; not gRPC-Web. */
bool grpc_is_media_type(const char *value);

enum grpc_encoding { GRPC_IDENTITY, GRPC_GZIP, GRPC_DEFLATE };
/* NULL: identity. STATUS_UNSUPPORTED with those there are. */
enum status grpc_encoding_parse(const char *value, enum grpc_encoding *encoding,
                                struct error *error) WARN_UNUSED;

/* grpc-timeout ("100m"), in milliseconds, parts of one rounded up; NULL: -1. STATUS_INVALID. */
enum status grpc_timeout_parse(const char *value, int64_t *timeout_ms,
                               struct error *error) WARN_UNUSED;

enum { GRPC_END_FIELDS_MAX = 5 };
/* The fields of an answer's end: those of a head in front, for an answer that is nothing but its
 * end, then grpc-status, grpc-message, grpc-retry-pushback-ms. Without memory it has no message. */
struct grpc_end {
  struct http_header fields[GRPC_END_FIELDS_MAX]; /* `head_count`, then `count` - `head_count` */
  size_t head_count, count;
  char number[12], pushback[12];
  struct text message;
};
void grpc_end_init(struct grpc_end *end, enum status status, const struct error *error);
void grpc_end_release(struct grpc_end *end);

#endif
