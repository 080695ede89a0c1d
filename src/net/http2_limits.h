/* What a client may do how often on one HTTP/2 connection: its frames are counted as they come,
 * before nghttp2 looks at them, so that also those count that it would ignore. No memory, no
 * clock, no I/O. Private to net/. */
#ifndef ARROWPORT_NET_HTTP2_LIMITS_H
#define ARROWPORT_NET_HTTP2_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "net/net.h"

enum {
  HTTP2_PREFACE_BYTES = 24,
  HTTP2_FRAME_HEAD_BYTES = 9,
  /* What we announce as SETTINGS_MAX_FRAME_SIZE: bodies come in large frames. */
  HTTP2_FRAME_BYTES_MAX = 1024 * 1024,
  /* A frame that is neither body nor header: nghttp2 allocates room for some of them (GOAWAY)
   * by the length they claim. */
  HTTP2_CONTROL_BYTES_MAX = 16 * 1024,
  /* A header block in endless pieces (CVE-2024-28182). As nghttp2 has it since 1.61. */
  HTTP2_CONTINUATIONS_MAX = 8,
  /* A header block may be so many times larger than header_bytes_max, as it came: what lies
   * between is answered 431, for which it must be decoded (HPACK has one state a connection). */
  HTTP2_BLOCK_FACTOR = 4,
  /* And so many times as it is decoded: one byte can mean 4 KiB (an HPACK bomb). */
  HTTP2_BOMB_FACTOR = 16,
  /* A client acknowledges what it gets by WINDOW_UPDATE, and measures the line by PING: so many
   * bytes of body bring one more of them beyond the limit per second. */
  HTTP2_BYTES_PER_CONTROL = 1024,
  HTTP2_BYTES_PER_PING = 16 * 1024,
};

/* `limit` a second, and so many at once. */
struct http2_bucket {
  int64_t limit;
  int64_t thousandths; /* of a token, there now */
  int64_t filled_ms;
};
void http2_bucket_init(struct http2_bucket *bucket, int64_t limit, int64_t now_ms);
/* One more has happened; false: one too many. */
bool http2_bucket_take(struct http2_bucket *bucket, int64_t now_ms);

struct http2_limits {
  struct http2_bucket resets, settings, pings, control, empty_frames;
  int64_t block_bytes_max;

  /* Where in the client's bytes we are. */
  size_t preface_bytes; /* of it, come */
  uint8_t head[HTTP2_FRAME_HEAD_BYTES];
  size_t head_bytes;
  uint32_t payload_bytes; /* of the current frame, still to come */
  uint8_t type;
  bool padded; /* a DATA frame whose first byte says how much of it is padding */
  bool in_block;
  int64_t block_bytes;
  int continuations;
  uint32_t highest_id;               /* of streams that HEADERS have opened */
  uint32_t skipped_from, skipped_to; /* numbers that were left out last: from <= number < to */
  int64_t units;                     /* frames, and whole header blocks, that are complete */
};

void http2_limits_init(struct http2_limits *limits, const struct http_server_options *options,
                       int64_t now_ms);
/* These bytes came. STATUS_TOO_LARGE: more than is allowed of something; says of what.
 * STATUS_INVALID: a stream is opened whose number was passed over (RFC 9113, section 5.1.1), which
 * nghttp2 does not see. */
enum status http2_limits_look(struct http2_limits *limits, const uint8_t *data, size_t bytes,
                              int64_t now_ms, struct error *error) WARN_UNUSED;
/* So many bytes of body went either way: what acknowledges them is no flood. */
void http2_limits_moved(struct http2_limits *limits, int64_t bytes);
/* A DATA frame was sent: a PING may come for it, for gRPC's libraries (Go, Java, C++) measure the line
 * whenever one arrives while no measurement is under way. Small calls one after the other bring one
 * each. */
void http2_limits_sent(struct http2_limits *limits);
/* A stream was reset, by the client or because of what it sent (rapid reset, and its sister
 * that provokes the resets: CVE-2025-8671). */
enum status http2_limits_reset(struct http2_limits *limits, int64_t now_ms,
                               struct error *error) WARN_UNUSED;
/* Whether something other than a body has begun and is not whole (the preface, a frame, a
 * header block); `units` tells one such thing from the next. */
bool http2_limits_midway(const struct http2_limits *limits);

#endif
