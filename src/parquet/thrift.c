/* The Thrift compact protocol, written straight into a buffer.
 *
 * Every piece says beforehand how much it writes at most, and room for that is made once (thrift_room):
 * behind it bytes are stored without a check. What makes no room fails, and from then on nothing is
 * written:
 *
 *   1. status != STATUS_OK: nothing more is stored, and thrift_end takes back what was.
 *   2. depth is the number of structs that are open, the outermost counted; last_field[depth - 1] is
 *      the field that was written last in the innermost. It is kept after a failure too, so that a
 *      caller's own mistake (a struct that is not closed) is found whatever fails. */
#include "parquet/thrift.h"

#include <assert.h>
#include <string.h>

enum {
  /* What is on the wire as the type of a field. */
  WIRE_TRUE = 1,
  WIRE_FALSE = 2,
  WIRE_I8 = 3,
  WIRE_I16 = 4,
  WIRE_I32 = 5,
  WIRE_I64 = 6,
  WIRE_BINARY = 8,
  WIRE_LIST = 9,
  WIRE_STRUCT = 12,

  VARINT_BYTES_MAX = 10,
  FIELD_BYTES_MAX = 4, /* the type, and an id that is far from the last */
  SHORT_LIST_MAX = 14, /* elements that are counted in the byte of their type */
};

/* Where to store up to `bytes`; NULL after a failure. */
static uint8_t *thrift_room(struct thrift *thrift, int64_t bytes) {
  struct buffer *out = thrift->out;
  if (thrift->status != STATUS_OK) return NULL;
  if (bytes > out->capacity_bytes - out->size_bytes) {
    int64_t needed_bytes = out->size_bytes + bytes; /* both are at most real memory: no overflow */
    int64_t doubled_bytes = out->capacity_bytes * 2;
    enum status status = STATUS_BUDGET;
    if (doubled_bytes > needed_bytes)
      status = buffer_reserve(out, thrift->budget, doubled_bytes, NULL);
    if (status != STATUS_OK)
      status = buffer_reserve(out, thrift->budget, needed_bytes, &thrift->error);
    thrift->status = status;
    if (status != STATUS_OK) return NULL;
  }
  return out->data + out->size_bytes;
}

/* What was stored ends at `end`. */
static void thrift_stored(struct thrift *thrift, const uint8_t *end) {
  thrift->out->size_bytes = end - thrift->out->data;
}

static uint8_t *store_varint(uint8_t *out, uint64_t number) {
  while (number >= 0x80) {
    *out++ = (uint8_t)(number | 0x80);
    number >>= 7;
  }
  *out++ = (uint8_t)number;
  return out;
}

/* Numbers near 0 become small ones, whatever their sign: 0, -1, 1, -2. */
static uint8_t *store_zigzag(uint8_t *out, int64_t number) {
  return store_varint(out, ((uint64_t)number << 1) ^ (number < 0 ? UINT64_MAX : 0));
}

static uint8_t *store_field(struct thrift *thrift, uint8_t *out, int16_t field, int type) {
  int16_t *last_field = &thrift->last_field[thrift->depth - 1];
  int delta = field - *last_field;
  if (delta <= 15) {
    *out++ = (uint8_t)(delta << 4 | type);
  } else {
    *out++ = (uint8_t)type;
    out = store_zigzag(out, field);
  }
  return out;
}

/* The field's head, and room for `bytes` behind it. */
static uint8_t *begin_field(struct thrift *thrift, int16_t field, int type, int64_t bytes) {
  assert(thrift->depth > 0);
  assert(field > thrift->last_field[thrift->depth - 1]);
  uint8_t *out = thrift_room(thrift, FIELD_BYTES_MAX + bytes);
  if (out != NULL) out = store_field(thrift, out, field, type);
  thrift->last_field[thrift->depth - 1] = field;
  return out;
}

static void open_struct(struct thrift *thrift) {
  assert(thrift->depth < THRIFT_DEPTH_MAX);
  thrift->last_field[thrift->depth++] = 0;
}

static void close_struct(struct thrift *thrift) {
  assert(thrift->depth > 0);
  thrift->depth--;
  uint8_t *out = thrift_room(thrift, 1);
  if (out == NULL) return;
  *out++ = 0;
  thrift_stored(thrift, out);
}

void thrift_start(struct thrift *thrift, struct buffer *out, struct budget *budget) {
  /* Not all of it is zeroed: the error's text alone is as long as several page headers. */
  thrift->out = out;
  thrift->start_bytes = out->size_bytes;
  thrift->budget = budget;
  thrift->status = STATUS_OK;
  thrift->depth = 0;
  open_struct(thrift);
}

enum status thrift_end(struct thrift *thrift, struct error *error) {
  close_struct(thrift);
  assert(thrift->depth == 0);
  if (thrift->status != STATUS_OK) {
    thrift->out->size_bytes = thrift->start_bytes;
    if (error != NULL) *error = thrift->error;
  }
  if (thrift->out->capacity_bytes > 0) buffer_pad(thrift->out);
  return thrift->status;
}

void thrift_bool(struct thrift *thrift, int16_t field, bool value) {
  uint8_t *out = begin_field(thrift, field, value ? WIRE_TRUE : WIRE_FALSE, 0);
  if (out != NULL) thrift_stored(thrift, out);
}

void thrift_i8(struct thrift *thrift, int16_t field, int8_t value) {
  uint8_t *out = begin_field(thrift, field, WIRE_I8, 1);
  if (out == NULL) return;
  *out++ = (uint8_t)value;
  thrift_stored(thrift, out);
}

static void integer_field(struct thrift *thrift, int16_t field, int type, int64_t value) {
  uint8_t *out = begin_field(thrift, field, type, VARINT_BYTES_MAX);
  if (out != NULL) thrift_stored(thrift, store_zigzag(out, value));
}

void thrift_i16(struct thrift *thrift, int16_t field, int16_t value) {
  integer_field(thrift, field, WIRE_I16, value);
}

void thrift_i32(struct thrift *thrift, int16_t field, int32_t value) {
  integer_field(thrift, field, WIRE_I32, value);
}

void thrift_i64(struct thrift *thrift, int16_t field, int64_t value) {
  integer_field(thrift, field, WIRE_I64, value);
}

/* Lengths and counts are i32 in all readers. */
static bool too_large(struct thrift *thrift, const char *what, int64_t count) {
  assert(count >= 0);
  if (count <= INT32_MAX) return false;
  if (thrift->status == STATUS_OK)
    thrift->status = error_set(&thrift->error, STATUS_TOO_LARGE,
                               "%lld %s do not fit into one field of a file's metadata; the most "
                               "is %d",
                               (long long)count, what, INT32_MAX);
  return true;
}

static uint8_t *store_bytes(uint8_t *out, const void *data, int64_t bytes) {
  out = store_varint(out, (uint64_t)bytes);
  if (bytes > 0) memcpy(out, data, (size_t)bytes);
  return out + bytes;
}

void thrift_binary(struct thrift *thrift, int16_t field, const void *data, int64_t bytes) {
  if (too_large(thrift, "bytes", bytes)) return;
  uint8_t *out = begin_field(thrift, field, WIRE_BINARY, VARINT_BYTES_MAX + bytes);
  if (out != NULL) thrift_stored(thrift, store_bytes(out, data, bytes));
}

void thrift_string(struct thrift *thrift, int16_t field, const char *string) {
  thrift_binary(thrift, field, string, (int64_t)strlen(string));
}

void thrift_struct(struct thrift *thrift, int16_t field) {
  uint8_t *out = begin_field(thrift, field, WIRE_STRUCT, 0);
  if (out != NULL) thrift_stored(thrift, out);
  open_struct(thrift);
}

void thrift_struct_end(struct thrift *thrift) {
  assert(thrift->depth > 1); /* the outermost is thrift_end's */
  close_struct(thrift);
}

void thrift_list(struct thrift *thrift, int16_t field, enum thrift_type type, int64_t count) {
  if (too_large(thrift, "elements", count)) return;
  uint8_t *out = begin_field(thrift, field, WIRE_LIST, 1 + VARINT_BYTES_MAX);
  if (out == NULL) return;
  if (count <= SHORT_LIST_MAX) {
    *out++ = (uint8_t)(count << 4 | (int64_t)type);
  } else {
    *out++ = (uint8_t)(0xF0 | type);
    out = store_varint(out, (uint64_t)count);
  }
  thrift_stored(thrift, out);
}

void thrift_item_bool(struct thrift *thrift, bool value) {
  uint8_t *out = thrift_room(thrift, 1);
  if (out == NULL) return;
  *out++ = value ? WIRE_TRUE : WIRE_FALSE;
  thrift_stored(thrift, out);
}

void thrift_item_i32(struct thrift *thrift, int32_t value) { thrift_item_i64(thrift, value); }

void thrift_item_i64(struct thrift *thrift, int64_t value) {
  uint8_t *out = thrift_room(thrift, VARINT_BYTES_MAX);
  if (out != NULL) thrift_stored(thrift, store_zigzag(out, value));
}

void thrift_item_binary(struct thrift *thrift, const void *data, int64_t bytes) {
  if (too_large(thrift, "bytes", bytes)) return;
  uint8_t *out = thrift_room(thrift, VARINT_BYTES_MAX + bytes);
  if (out != NULL) thrift_stored(thrift, store_bytes(out, data, bytes));
}

void thrift_item_struct(struct thrift *thrift) { open_struct(thrift); }
