/* The Thrift compact protocol, writing only (Apache Thrift, "Thrift Compact protocol encoding"):
 * what Parquet's headers and footer are written in. Fields of a struct are written in the order of
 * their ids, so that each is one byte of delta and type.
 *
 * A failure sticks: after the first one further calls do nothing, and thrift_end says it. So
 * writing a struct needs no check at every field. Inside the room only. */
#ifndef ARROWPORT_PARQUET_THRIFT_H
#define ARROWPORT_PARQUET_THRIFT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"

enum { THRIFT_DEPTH_MAX = 16 };

enum thrift_type { /* of list elements */
                   THRIFT_BOOL = 1,
                   THRIFT_I32 = 5,
                   THRIFT_I64 = 6,
                   THRIFT_BINARY = 8,
                   THRIFT_STRUCT = 12
};

struct thrift {
  struct buffer *out;  /* appended to */
  int64_t start_bytes; /* what it held before */
  struct budget *budget;
  enum status status;
  struct error error;
  int depth;
  int16_t last_field[THRIFT_DEPTH_MAX];
};

/* Begins to append to `out`, of which nothing else may append until thrift_end; the outermost
 * struct is open. Nothing is asked of `budget` while `out` has room. */
void thrift_start(struct thrift *thrift, struct buffer *out, struct budget *budget);
/* Closes the outermost struct. What failed on the way: STATUS_BUDGET, STATUS_NOMEM, STATUS_TOO_LARGE
 * (a string or a list of more than 2^31 - 1 bytes or elements); `out` then holds what it held at
 * thrift_start, and all may be repeated. */
enum status thrift_end(struct thrift *thrift, struct error *error) WARN_UNUSED;

/* Fields of the open struct; ids rise. */
void thrift_bool(struct thrift *thrift, int16_t field, bool value);
void thrift_i8(struct thrift *thrift, int16_t field, int8_t value);
void thrift_i16(struct thrift *thrift, int16_t field, int16_t value);
void thrift_i32(struct thrift *thrift, int16_t field, int32_t value);
void thrift_i64(struct thrift *thrift, int16_t field, int64_t value);
void thrift_binary(struct thrift *thrift, int16_t field, const void *data, int64_t bytes);
void thrift_string(struct thrift *thrift, int16_t field, const char *string);
/* A field that is a struct: its fields are written until thrift_struct_end. */
void thrift_struct(struct thrift *thrift, int16_t field);
void thrift_struct_end(struct thrift *thrift);
/* A field that is a list of `count` elements, which follow as items; struct items are opened by
 * thrift_item_struct and closed by thrift_struct_end. */
void thrift_list(struct thrift *thrift, int16_t field, enum thrift_type type, int64_t count);
void thrift_item_bool(struct thrift *thrift, bool value);
void thrift_item_i32(struct thrift *thrift, int32_t value);
void thrift_item_i64(struct thrift *thrift, int64_t value);
void thrift_item_binary(struct thrift *thrift, const void *data, int64_t bytes);
void thrift_item_struct(struct thrift *thrift);

#endif
