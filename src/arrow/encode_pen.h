/* Text appended to a buffer, with few checks: room is asked for once for what is
 * written next, and then written without asking. Inside the room only. */
#ifndef ARROWPORT_ARROW_ENCODE_PEN_H
#define ARROWPORT_ARROW_ENCODE_PEN_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/buffer.h"
#include "base/status.h"

struct pen {
  struct buffer *out;
  struct budget *budget;
  char *at;
  char *end; /* of the room */
};

/* The buffer is the pen's until pen_close, which sets its size. */
void pen_open(struct pen *pen, struct buffer *out, struct budget *budget);
void pen_close(struct pen *pen);

enum status pen_grow(struct pen *pen, int64_t bytes, struct error *error) WARN_UNUSED;

/* Room for `bytes` more. STATUS_BUDGET and STATUS_NOMEM leave what was written. */
static inline enum status pen_room(struct pen *pen, int64_t bytes, struct error *error) {
  return bytes <= pen->end - pen->at ? STATUS_OK : pen_grow(pen, bytes, error);
}

/* These two write without asking for room. */
static inline void pen_put(struct pen *pen, char byte) {
  assert(pen->at != NULL && pen->at < pen->end);
  *pen->at++ = byte;
}
static inline void pen_put_bytes(struct pen *pen, const char *bytes, int64_t count) {
  if (count == 0) return; /* there may be no memory yet */
  memcpy(pen->at, bytes, (size_t)count);
  pen->at += count;
}

/* These ask. */
enum status pen_bytes(struct pen *pen, const char *bytes, int64_t count,
                      struct error *error) WARN_UNUSED;
/* A string in quotes, with what JSON needs escaped (RFC 8259, section 7). */
enum status pen_json(struct pen *pen, const char *data, int64_t bytes,
                     struct error *error) WARN_UNUSED;
/* A CSV field (RFC 4180): in quotes when it needs them or is empty. */
enum status pen_csv(struct pen *pen, const char *data, int64_t bytes,
                    struct error *error) WARN_UNUSED;
/* RFC 4648, section 4, with padding. */
enum status pen_base64(struct pen *pen, const uint8_t *data, int64_t bytes,
                       struct error *error) WARN_UNUSED;

#endif
