/* Room for bytes that a peer has announced and that come piece by piece.
 *
 * It grows by doubling with what has arrived, from at most `first_bytes` on: to announce a gigabyte
 * costs a peer nothing, so it must not cost us one. What is no larger is written once, where it stays;
 * so a peer that has sent something large may be given that much at once for the next. */
#ifndef ARROWPORT_BASE_ARRIVING_H
#define ARROWPORT_BASE_ARRIVING_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"

enum {
  ARRIVING_FIRST_BYTES = 4 << 20,
  ARRIVING_FIRST_BYTES_MAX = 64 << 20,
};

/* The first room for a peer whose last one of these had `before_bytes`. */
static inline int64_t arriving_first(int64_t before_bytes) {
  if (before_bytes > ARRIVING_FIRST_BYTES_MAX) return ARRIVING_FIRST_BYTES_MAX;
  return before_bytes > ARRIVING_FIRST_BYTES ? before_bytes : ARRIVING_FIRST_BYTES;
}

/* What the next arriving_room takes from the budget; 0: there is room. */
int64_t arriving_wants(const struct buffer *buffer, int64_t first_bytes, int64_t total_bytes);

/* Room for at least one byte behind what has arrived of `buffer`, which will have `total_bytes` and is
 * not whole yet; whoever fills it adds to `size_bytes`. STATUS_BUDGET, STATUS_NOMEM: the buffer is as
 * it was. */
enum status arriving_room(struct buffer *buffer, struct budget *budget, int64_t first_bytes,
                          int64_t total_bytes, uint8_t **data, int64_t *bytes,
                          struct error *error) WARN_UNUSED;

#endif
