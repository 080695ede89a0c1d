/* Flatbuffers, verified while they are read ("FlatBuffers Internals"). Inside the
 * room only.
 *
 * Nothing is believed: a table, its vtable, a vector and a string must each lie inside
 * the bytes before anything of them is used. References only point forward, so there
 * are no cycles; who descends limits how deep and how much.
 *
 * A field that a table lacks has its default, as the format wants. */
#ifndef ARROWPORT_ARROW_FLATBUF_READ_H
#define ARROWPORT_ARROW_FLATBUF_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct fb_table {
  const uint8_t *bytes; /* the whole flatbuffer */
  int64_t size_bytes;
  int64_t position;
  int64_t table_bytes;
  int64_t vtable;
  int64_t vtable_bytes;
};

struct fb_vector {
  const uint8_t *bytes;
  int64_t size_bytes;
  int64_t position; /* of the first element */
  int64_t count;
};

struct fb_string {
  const char *data;
  int64_t size_bytes;
};

/* All return STATUS_OK, or STATUS_INVALID with the place in the flatbuffer. */
enum status fb_root(const uint8_t *bytes, int64_t size_bytes, struct fb_table *table,
                    struct error *error) WARN_UNUSED;
/* `present` is false, and the output empty, when the table lacks the field. */
enum status fb_table_field(const struct fb_table *table, int field, struct fb_table *out,
                           bool *present, struct error *error) WARN_UNUSED;
enum status fb_vector_field(const struct fb_table *table, int field, int64_t element_bytes,
                            struct fb_vector *out, struct error *error) WARN_UNUSED;
enum status fb_string_field(const struct fb_table *table, int field, struct fb_string *out,
                            struct error *error) WARN_UNUSED;
/* An integer of 1, 2, 4 or 8 bytes, sign-extended. */
enum status fb_integer_field(const struct fb_table *table, int field, int bytes, int64_t fallback,
                             int64_t *out, struct error *error) WARN_UNUSED;

/* The element of a vector of tables (element_bytes 4). */
enum status fb_vector_table(const struct fb_vector *vector, int64_t index, struct fb_table *out,
                            struct error *error) WARN_UNUSED;
/* The number in a vector of 32-bit ones. */
int64_t fb_vector_int32(const struct fb_vector *vector, int64_t index);
/* A 64-bit number inside a vector of structs. */
int64_t fb_vector_int64(const struct fb_vector *vector, int64_t index, int64_t element_bytes,
                        int64_t at_byte);

#endif
