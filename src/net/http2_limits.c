/* Counts frames by their nine-byte heads; payloads are passed over, except the first byte of a
 * padded DATA frame. What is wrong with a frame is nghttp2's to find.
 *
 * Invariants:
 * 1. `payload_bytes` > 0 only while the current frame's head is whole and its end has not come.
 * 2. `in_block` from a HEADERS frame without END_HEADERS to the CONTINUATION frame with it. */
#include "net/http2_limits.h"

enum {
  FRAME_DATA = 0,
  FRAME_HEADERS = 1,
  FRAME_RST_STREAM = 3,
  FRAME_SETTINGS = 4,
  FRAME_PING = 6,
  FRAME_CONTINUATION = 9,
  FRAME_ID_AT = 5, /* in a frame's head */
  FLAG_END_STREAM = 0x1,
  FLAG_END_HEADERS = 0x4,
  FLAG_PADDED = 0x8,
  THOUSAND = 1000,
};

/* ---- buckets ------------------------------------------------------------------------------ */

void http2_bucket_init(struct http2_bucket *bucket, int64_t limit, int64_t now_ms) {
  *bucket = (struct http2_bucket){limit, limit * THOUSAND, now_ms};
}

static void give(struct http2_bucket *bucket, int64_t thousandths) {
  int64_t full = bucket->limit * THOUSAND;
  bucket->thousandths += thousandths;
  if (bucket->thousandths > full) bucket->thousandths = full;
}

bool http2_bucket_take(struct http2_bucket *bucket, int64_t now_ms) {
  int64_t passed_ms = now_ms - bucket->filled_ms;
  if (passed_ms > THOUSAND) passed_ms = THOUSAND; /* full by then */
  if (passed_ms > 0) {
    give(bucket, bucket->limit * passed_ms); /* `limit` a second: thousandths a millisecond */
    bucket->filled_ms = now_ms;
  }
  if (bucket->thousandths < THOUSAND) return false;
  bucket->thousandths -= THOUSAND;
  return true;
}

void http2_limits_init(struct http2_limits *limits, const struct http_server_options *options,
                       int64_t now_ms) {
  *limits = (struct http2_limits){0};
  http2_bucket_init(&limits->resets, options->resets_per_s, now_ms);
  http2_bucket_init(&limits->settings, options->settings_per_s, now_ms);
  http2_bucket_init(&limits->pings, options->pings_per_s, now_ms);
  http2_bucket_init(&limits->control, options->control_per_s, now_ms);
  http2_bucket_init(&limits->empty_frames, options->empty_frames_per_s, now_ms);
  limits->block_bytes_max = options->header_bytes_max * HTTP2_BLOCK_FACTOR;
}

void http2_limits_moved(struct http2_limits *limits, int64_t bytes) {
  give(&limits->control, bytes * THOUSAND / HTTP2_BYTES_PER_CONTROL);
  give(&limits->pings, bytes * THOUSAND / HTTP2_BYTES_PER_PING);
}

void http2_limits_sent(struct http2_limits *limits) { give(&limits->pings, THOUSAND); }

static enum status take(struct http2_bucket *bucket, int64_t now_ms, const char *what,
                        struct error *error) {
  if (http2_bucket_take(bucket, now_ms)) return STATUS_OK;
  return error_set(error, STATUS_TOO_LARGE, "more than %lld %s a second", (long long)bucket->limit,
                   what);
}

enum status http2_limits_reset(struct http2_limits *limits, int64_t now_ms, struct error *error) {
  return take(&limits->resets, now_ms, "requests reset", error);
}

/* ---- frames ------------------------------------------------------------------------------- */

/* Streams are opened in order: one that was left out when a later one was opened stays closed. */
static enum status look_at_order(struct http2_limits *limits, struct error *error) {
  const uint8_t *at = limits->head + FRAME_ID_AT;
  uint32_t id =
      (uint32_t)(at[0] & 0x7f) << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
  if (id % 2 == 0) return STATUS_OK; /* wrong in another way */
  if (id > limits->highest_id) {
    uint32_t next = limits->highest_id == 0 ? 1 : limits->highest_id + 2;
    if (id > next) limits->skipped_from = next;
    limits->skipped_to = id > next ? id : limits->skipped_to;
    limits->highest_id = id;
  } else if (id >= limits->skipped_from && id < limits->skipped_to) {
    return error_set(error, STATUS_INVALID, "the client opens stream %u after stream %u",
                     (unsigned)id, (unsigned)limits->highest_id);
  }
  return STATUS_OK;
}

static enum status look_at_block(struct http2_limits *limits, uint8_t flags, struct error *error) {
  if (limits->type == FRAME_HEADERS) {
    enum status status = look_at_order(limits, error);
    if (status != STATUS_OK) return status;
    limits->block_bytes = 0;
    limits->continuations = 0;
  } else if (++limits->continuations > HTTP2_CONTINUATIONS_MAX) {
    return error_set(error, STATUS_TOO_LARGE, "more than %d CONTINUATION frames for one request",
                     HTTP2_CONTINUATIONS_MAX);
  }
  limits->block_bytes += (int64_t)limits->payload_bytes;
  limits->in_block = (flags & FLAG_END_HEADERS) == 0;
  if (limits->block_bytes > limits->block_bytes_max)
    return error_set(error, STATUS_TOO_LARGE, "more than %lld bytes of header fields",
                     (long long)limits->block_bytes_max);
  return STATUS_OK;
}

/* The current frame's head is whole. */
static enum status look_at_frame(struct http2_limits *limits, int64_t now_ms, struct error *error) {
  const uint8_t *head = limits->head;
  uint8_t flags = head[4];
  limits->payload_bytes = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
  limits->type = head[3];
  limits->padded = false;
  /* What is too large for any frame ends the connection anyway (FRAME_SIZE_ERROR). */
  if (limits->payload_bytes > HTTP2_FRAME_BYTES_MAX) return STATUS_OK;
  switch (limits->type) {
  case FRAME_DATA:
    limits->padded = (flags & FLAG_PADDED) != 0 && limits->payload_bytes > 0;
    if (limits->payload_bytes > 0 || (flags & FLAG_END_STREAM) != 0) return STATUS_OK;
    return take(&limits->empty_frames, now_ms, "empty DATA frames", error);
  case FRAME_HEADERS:
  case FRAME_CONTINUATION: return look_at_block(limits, flags, error);
  default: break;
  }
  if (limits->payload_bytes > HTTP2_CONTROL_BYTES_MAX)
    return error_set(error, STATUS_TOO_LARGE, "a frame of type %u with more than %d bytes",
                     (unsigned)limits->type, HTTP2_CONTROL_BYTES_MAX);
  switch (limits->type) {
  case FRAME_RST_STREAM: return http2_limits_reset(limits, now_ms, error);
  case FRAME_SETTINGS: return take(&limits->settings, now_ms, "SETTINGS frames", error);
  case FRAME_PING: return take(&limits->pings, now_ms, "PING frames", error);
  default: return take(&limits->control, now_ms, "control frames", error);
  }
}

/* Where the current frame ends. */
static void end_frame(struct http2_limits *limits) {
  if (limits->head_bytes < HTTP2_FRAME_HEAD_BYTES || limits->payload_bytes > 0) return;
  limits->head_bytes = 0;
  if (!limits->in_block) limits->units++;
}

/* The first byte of a padded frame: with nothing but padding behind it, it is an empty one. */
static enum status look_at_padding(struct http2_limits *limits, uint8_t padding_bytes,
                                   int64_t now_ms, struct error *error) {
  limits->padded = false;
  bool ends = (limits->head[4] & FLAG_END_STREAM) != 0;
  if (ends || limits->payload_bytes != (uint32_t)padding_bytes + 1) return STATUS_OK;
  return take(&limits->empty_frames, now_ms, "empty DATA frames", error);
}

enum status http2_limits_look(struct http2_limits *limits, const uint8_t *data, size_t bytes,
                              int64_t now_ms, struct error *error) {
  const uint8_t *end = data + bytes;
  enum status status = STATUS_OK;
  while (data < end && status == STATUS_OK) {
    size_t left = (size_t)(end - data);
    if (limits->preface_bytes < HTTP2_PREFACE_BYTES) {
      size_t skipped = HTTP2_PREFACE_BYTES - limits->preface_bytes;
      if (skipped > left) skipped = left;
      limits->preface_bytes += skipped;
      data += skipped;
    } else if (limits->head_bytes < HTTP2_FRAME_HEAD_BYTES) {
      limits->head[limits->head_bytes++] = *data++;
      if (limits->head_bytes < HTTP2_FRAME_HEAD_BYTES) continue;
      status = look_at_frame(limits, now_ms, error);
      end_frame(limits);
    } else {
      if (limits->padded) status = look_at_padding(limits, *data, now_ms, error);
      size_t skipped = limits->payload_bytes < left ? limits->payload_bytes : left;
      limits->payload_bytes -= (uint32_t)skipped;
      data += skipped;
      end_frame(limits);
    }
  }
  return status;
}

bool http2_limits_midway(const struct http2_limits *limits) {
  if (limits->units == 0 || limits->in_block) return true; /* units 0: the first SETTINGS */
  if (limits->head_bytes == 0) return false;
  return limits->head_bytes < HTTP2_FRAME_HEAD_BYTES || limits->type != FRAME_DATA;
}
