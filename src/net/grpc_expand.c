/* zlib, fed piece by piece. A message is exactly one gzip member or zlib stream. */
#include "net/grpc_expand.h"

#include <stdlib.h>

#include <zlib.h>

enum {
  WINDOW_BITS = 15,
  GZIP_WINDOW_BITS = WINDOW_BITS + 16, /* 16: gzip's header, no other */
  FIRST_BYTES = 16 * 1024,
};

struct grpc_expand {
  z_stream zlib;
  struct budget *budget;
  int64_t bytes_max;
  bool whole; /* the data's own end has come */
  struct buffer made;
  uint8_t piece[GRPC_EXPAND_PIECE_BYTES];
};
_Static_assert(sizeof(struct grpc_expand) + (size_t)48 * 1024 <= GRPC_EXPAND_BYTES, "charged");

enum status grpc_expand_new(enum grpc_encoding encoding, struct budget *budget, int64_t bytes_max,
                            struct grpc_expand **expand, struct error *error) {
  *expand = NULL;
  if (budget != NULL) {
    enum status status = budget_take(budget, GRPC_EXPAND_BYTES, error);
    if (status != STATUS_OK) return status;
  }
  struct grpc_expand *made = calloc(1, sizeof *made);
  int bits = encoding == GRPC_GZIP ? GZIP_WINDOW_BITS : WINDOW_BITS;
  if (made == NULL || inflateInit2(&made->zlib, bits) != Z_OK) {
    free(made);
    if (budget != NULL) budget_give(budget, GRPC_EXPAND_BYTES);
    return error_set(error, STATUS_NOMEM, "no memory to decompress a message");
  }
  made->budget = budget;
  made->bytes_max = bytes_max;
  *expand = made;
  return STATUS_OK;
}

void grpc_expand_free(struct grpc_expand *expand) {
  if (expand == NULL) return;
  inflateEnd(&expand->zlib);
  buffer_release(&expand->made);
  if (expand->budget != NULL) budget_give(expand->budget, GRPC_EXPAND_BYTES);
  free(expand);
}

uint8_t *grpc_expand_piece(struct grpc_expand *expand) { return expand->piece; }
struct buffer *grpc_expand_made(struct grpc_expand *expand) {
  return &expand->made;
}

enum status grpc_expand_begin(struct grpc_expand *expand, struct error *error) {
  expand->whole = false;
  expand->made.size_bytes = 0;
  if (inflateReset(&expand->zlib) == Z_OK) return STATUS_OK;
  return error_set(error, STATUS_INTERNAL, "zlib cannot begin a message");
}

/* Room for at least one more byte, up to one byte past the limit: that there is one more shows by it. */
static enum status make_room(struct grpc_expand *expand, struct error *error) {
  struct buffer *made = &expand->made;
  if (made->size_bytes < made->capacity_bytes) return STATUS_OK;
  int64_t wanted = made->capacity_bytes < FIRST_BYTES / 2 ? FIRST_BYTES : made->capacity_bytes * 2;
  if (wanted > expand->bytes_max + 1) wanted = expand->bytes_max + 1;
  return buffer_reserve(made, expand->budget, wanted, error);
}

static enum status step(struct grpc_expand *expand, struct error *error) {
  struct buffer *made = &expand->made;
  z_stream *zlib = &expand->zlib;
  enum status status = make_room(expand, error);
  if (status != STATUS_OK) return status;
  int64_t room = made->capacity_bytes - made->size_bytes;
  if (room > expand->bytes_max + 1 - made->size_bytes)
    room = expand->bytes_max + 1 - made->size_bytes;
  unsigned offered = room > INT32_MAX ? INT32_MAX : (unsigned)room;
  zlib->next_out = made->data + made->size_bytes;
  zlib->avail_out = offered;
  int result = inflate(zlib, Z_NO_FLUSH);
  made->size_bytes += offered - zlib->avail_out;
  if (made->size_bytes > expand->bytes_max)
    return error_set(error, STATUS_TOO_LARGE,
                     "a message expands to more than %lld bytes, which is the most that is taken",
                     (long long)expand->bytes_max);
  if (result == Z_STREAM_END) expand->whole = true;
  if (result == Z_STREAM_END || result == Z_OK || result == Z_BUF_ERROR) return STATUS_OK;
  if (result == Z_MEM_ERROR)
    return error_set(error, STATUS_NOMEM, "no memory to decompress a message");
  return error_set(error, STATUS_INVALID, "a compressed message is broken: %s",
                   zlib->msg != NULL ? zlib->msg : "no such data");
}

enum status grpc_expand_add(struct grpc_expand *expand, size_t bytes, struct error *error) {
  z_stream *zlib = &expand->zlib;
  enum status status = STATUS_OK;
  zlib->next_in = expand->piece;
  zlib->avail_in = (unsigned)bytes;
  do {
    if (expand->whole && zlib->avail_in > 0)
      return error_set(error, STATUS_INVALID,
                       "a compressed message has %u bytes behind its data's end", zlib->avail_in);
    if (expand->whole) break;
    status = step(expand, error);
  } while (status == STATUS_OK && (zlib->avail_in > 0 || zlib->avail_out == 0));
  return status;
}

enum status grpc_expand_end(struct grpc_expand *expand, struct error *error) {
  if (expand->whole) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "a compressed message ends in the middle of its data");
}
