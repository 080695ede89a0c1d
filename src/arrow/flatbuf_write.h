/* Flatbuffers, written front to back ("FlatBuffers Internals").
 *
 * An object is begun with its size, all fields zero, and filled in afterwards; what
 * it refers to is written behind it, so that every reference points forward. That is
 * the reverse of what generated code does, and just as valid.
 *
 * Objects are known by their position, in bytes from the start. The first failure is
 * kept: after it every call does nothing, and flatbuf_status says what happened. */
#ifndef ARROWPORT_ARROW_FLATBUF_WRITE_H
#define ARROWPORT_ARROW_FLATBUF_WRITE_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"

struct flatbuf {
  struct buffer bytes; /* the caller's to release or to reuse */
  struct budget *budget;
  enum status status;
};

/* Starts anew in the memory that is already there, with the reference to the root,
 * which is the next object to be written. */
void flatbuf_begin(struct flatbuf *flatbuf, struct budget *budget);

enum { FLATBUF_FIELDS_MAX = 8 };

/* A table: `sizes` gives, field by field, how many bytes the field takes (1, 2, 4 or
 * 8; a reference 4) or 0 when it is left out. */
int64_t flatbuf_table(struct flatbuf *flatbuf, const uint8_t *sizes, int fields);

/* Sets a field of a table, which was not left out, to a number of the size it was
 * given, or to refer to the object at `target`, which is behind the table. */
void flatbuf_set(struct flatbuf *flatbuf, int64_t table, int field, int64_t value, int bytes);
void flatbuf_refer(struct flatbuf *flatbuf, int64_t table, int field, int64_t target);
/* Where a field is that was not left out; 0 after a failure. */
int64_t flatbuf_position(const struct flatbuf *flatbuf, int64_t table, int field);

/* A vector of zeroed elements; its position is that of the length before them.
 * Elements are aligned to `alignment_bytes` (4 or 8). */
int64_t flatbuf_vector(struct flatbuf *flatbuf, int64_t count, int64_t element_bytes,
                       int64_t alignment_bytes);
/* Where the element is. */
static inline int64_t flatbuf_element(int64_t vector, int64_t index, int64_t element_bytes) {
  return vector + 4 + index * element_bytes;
}
/* Makes the element of a vector of references refer to `target`. */
void flatbuf_refer_element(struct flatbuf *flatbuf, int64_t vector, int64_t index, int64_t target);

int64_t flatbuf_string(struct flatbuf *flatbuf, const char *data, int64_t bytes);

/* Overwrites 4 or 8 bytes at a position: numbers in vectors, members of structs. */
void flatbuf_put32(struct flatbuf *flatbuf, int64_t position, int32_t value);
void flatbuf_put64(struct flatbuf *flatbuf, int64_t position, int64_t value);

/* STATUS_OK, or the first failure: STATUS_BUDGET, STATUS_NOMEM, or STATUS_TOO_LARGE
 * past 2 GiB, which references cannot cross. */
enum status flatbuf_status(const struct flatbuf *flatbuf, struct error *error) WARN_UNUSED;

#endif
