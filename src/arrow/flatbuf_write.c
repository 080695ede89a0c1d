#include "arrow/flatbuf_write.h"

#include <assert.h>
#include <string.h>

enum { FIELD_OFFSETS_START = 4 }; /* in a vtable: its size and its table's come first */

/* Little-endian hosts only: numbers are copied as they are. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a big-endian host needs byte swaps");

static const uint8_t zeros[64];

/* `bytes` zeros at the end. */
static void extend(struct flatbuf *flatbuf, int64_t bytes) {
  if (flatbuf->status == STATUS_OK && bytes > INT32_MAX - flatbuf->bytes.size_bytes)
    flatbuf->status = STATUS_TOO_LARGE;
  while (bytes > 0 && flatbuf->status == STATUS_OK) {
    int64_t step = bytes < (int64_t)sizeof zeros ? bytes : (int64_t)sizeof zeros;
    flatbuf->status = buffer_append(&flatbuf->bytes, flatbuf->budget, zeros, step, NULL);
    bytes -= step;
  }
}

/* Zeros until the position plus `ahead_bytes` is a multiple of `alignment_bytes`. */
static void align(struct flatbuf *flatbuf, int64_t alignment_bytes, int64_t ahead_bytes) {
  int64_t past = (flatbuf->bytes.size_bytes + ahead_bytes) % alignment_bytes;
  if (past != 0) extend(flatbuf, alignment_bytes - past);
}

static void put(struct flatbuf *flatbuf, int64_t position, const void *value, int64_t bytes) {
  if (flatbuf->status != STATUS_OK) return;
  assert(position >= 0 && position <= flatbuf->bytes.size_bytes - bytes);
  memcpy(flatbuf->bytes.data + position, value, (size_t)bytes);
}

static void put16(struct flatbuf *flatbuf, int64_t position, int64_t value) {
  uint16_t narrow = (uint16_t)value;
  put(flatbuf, position, &narrow, sizeof narrow);
}

static void put32(struct flatbuf *flatbuf, int64_t position, int64_t value) {
  int32_t narrow = (int32_t)value;
  put(flatbuf, position, &narrow, sizeof narrow);
}

void flatbuf_put32(struct flatbuf *flatbuf, int64_t position, int32_t value) {
  put(flatbuf, position, &value, sizeof value);
}

void flatbuf_put64(struct flatbuf *flatbuf, int64_t position, int64_t value) {
  put(flatbuf, position, &value, sizeof value);
}

/* The reference to the root comes first; the first table fills it in. */
void flatbuf_begin(struct flatbuf *flatbuf, struct budget *budget) {
  flatbuf->budget = budget;
  flatbuf->status = STATUS_OK;
  flatbuf->bytes.size_bytes = 0;
  extend(flatbuf, 4);
}

/* Fields lie in the table by falling size, so that all are aligned when the first is. */
int64_t flatbuf_table(struct flatbuf *flatbuf, const uint8_t *sizes, int fields) {
  assert(fields <= FLATBUF_FIELDS_MAX);
  bool is_root = flatbuf->bytes.size_bytes == 4;
  int64_t vtable_bytes = FIELD_OFFSETS_START + 2 * (int64_t)fields;
  int64_t offsets[FLATBUF_FIELDS_MAX] = {0};
  int64_t table_bytes = 4; /* the way back to the vtable */
  for (int size = 8; size >= 1; size /= 2) {
    for (int i = 0; i < fields; i++) {
      if (sizes[i] != size) continue;
      if (table_bytes % size != 0) table_bytes += size - table_bytes % size;
      offsets[i] = table_bytes;
      table_bytes += size;
    }
  }
  align(flatbuf, 8, vtable_bytes); /* the table starts at a multiple of 8 */
  int64_t vtable = flatbuf->bytes.size_bytes;
  int64_t table = vtable + vtable_bytes;
  extend(flatbuf, vtable_bytes + table_bytes);
  put16(flatbuf, vtable, vtable_bytes);
  put16(flatbuf, vtable + 2, table_bytes);
  for (int i = 0; i < fields; i++)
    put16(flatbuf, vtable + FIELD_OFFSETS_START + 2 * (int64_t)i, offsets[i]);
  put32(flatbuf, table, vtable_bytes);
  if (is_root) put32(flatbuf, 0, table);
  return table;
}

int64_t flatbuf_position(const struct flatbuf *flatbuf, int64_t table, int field) {
  if (flatbuf->status != STATUS_OK) return 0;
  int32_t vtable_back;
  uint16_t offset;
  memcpy(&vtable_back, flatbuf->bytes.data + table, sizeof vtable_back);
  int64_t slot = table - vtable_back + FIELD_OFFSETS_START + 2 * (int64_t)field;
  memcpy(&offset, flatbuf->bytes.data + slot, sizeof offset);
  assert(offset != 0);
  return table + offset;
}

void flatbuf_set(struct flatbuf *flatbuf, int64_t table, int field, int64_t value, int bytes) {
  if (flatbuf->status != STATUS_OK) return;
  put(flatbuf, flatbuf_position(flatbuf, table, field), &value, bytes);
}

static void refer(struct flatbuf *flatbuf, int64_t position, int64_t target) {
  assert(target > position || flatbuf->status != STATUS_OK);
  put32(flatbuf, position, target - position);
}

void flatbuf_refer(struct flatbuf *flatbuf, int64_t table, int field, int64_t target) {
  if (flatbuf->status != STATUS_OK) return;
  refer(flatbuf, flatbuf_position(flatbuf, table, field), target);
}

int64_t flatbuf_vector(struct flatbuf *flatbuf, int64_t count, int64_t element_bytes,
                       int64_t alignment_bytes) {
  if (count > INT32_MAX / element_bytes) {
    if (flatbuf->status == STATUS_OK) flatbuf->status = STATUS_TOO_LARGE;
    return 0;
  }
  align(flatbuf, alignment_bytes, 4);
  int64_t vector = flatbuf->bytes.size_bytes;
  extend(flatbuf, 4 + count * element_bytes);
  put32(flatbuf, vector, count);
  return vector;
}

void flatbuf_refer_element(struct flatbuf *flatbuf, int64_t vector, int64_t index, int64_t target) {
  if (flatbuf->status != STATUS_OK) return;
  refer(flatbuf, flatbuf_element(vector, index, 4), target);
}

int64_t flatbuf_string(struct flatbuf *flatbuf, const char *data, int64_t bytes) {
  int64_t string = flatbuf_vector(flatbuf, bytes, 1, 4);
  if (bytes > 0) put(flatbuf, string + 4, data, bytes);
  extend(flatbuf, 1); /* strings end with a NUL that is not counted */
  return string;
}

enum status flatbuf_status(const struct flatbuf *flatbuf, struct error *error) {
  switch (flatbuf->status) {
  case STATUS_OK: return STATUS_OK;
  case STATUS_TOO_LARGE:
    return error_set(error, STATUS_TOO_LARGE, "a message's metadata would pass 2 GiB");
  case STATUS_BUDGET:
    return error_set(error, STATUS_BUDGET, "no room for a message's metadata in the memory limit");
  default: return error_set(error, flatbuf->status, "no memory for a message's metadata");
  }
}
