#include "arrow/flatbuf_read.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* `bytes` at a position that was checked; little-endian, sign-extended. */
static int64_t load(const uint8_t *at, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; i++) value |= (uint64_t)at[i] << (8 * i);
  int unused_bits = 64 - 8 * bytes;
  return unused_bits == 0 ? (int64_t)value : (int64_t)(value << unused_bits) >> unused_bits;
}

static int64_t load_unsigned(const uint8_t *at, int bytes) {
  int64_t value = load(at, bytes);
  return bytes == 8 ? value : value & ((INT64_C(1) << (8 * bytes)) - 1);
}

static enum status broken(int64_t position, const char *what, struct error *error) {
  return error_set(error, STATUS_INVALID, "the metadata is broken: %s at its byte %" PRId64, what,
                   position);
}

static enum status open_table(const uint8_t *bytes, int64_t size_bytes, int64_t position,
                              struct fb_table *table, struct error *error) {
  if (position < 0 || position > size_bytes - 4)
    return broken(position, "a table lies outside", error);
  int64_t vtable = position - load(bytes + position, 4);
  if (vtable < 0 || vtable > size_bytes - 4)
    return broken(position, "a vtable lies outside", error);
  int64_t vtable_bytes = load_unsigned(bytes + vtable, 2);
  int64_t table_bytes = load_unsigned(bytes + vtable + 2, 2);
  if (vtable_bytes < 4 || vtable_bytes % 2 != 0 || vtable_bytes > size_bytes - vtable)
    return broken(vtable, "a vtable has a wrong size", error);
  if (table_bytes < 4 || table_bytes > size_bytes - position)
    return broken(position, "a table has a wrong size", error);
  *table = (struct fb_table){bytes, size_bytes, position, table_bytes, vtable, vtable_bytes};
  return STATUS_OK;
}

enum status fb_root(const uint8_t *bytes, int64_t size_bytes, struct fb_table *table,
                    struct error *error) {
  if (size_bytes < 8) return broken(0, "it is too short", error);
  return open_table(bytes, size_bytes, load_unsigned(bytes, 4), table, error);
}

/* Where the field lies; 0 when the table lacks it. */
static enum status find_field(const struct fb_table *table, int field, int bytes, int64_t *position,
                              struct error *error) {
  *position = 0;
  int64_t entry = 4 + 2 * (int64_t)field;
  if (entry + 2 > table->vtable_bytes) return STATUS_OK;
  int64_t offset = load_unsigned(table->bytes + table->vtable + entry, 2);
  if (offset == 0) return STATUS_OK;
  if (offset < 4 || offset > table->table_bytes - bytes)
    return broken(table->vtable + entry, "a field lies outside its table", error);
  *position = table->position + offset;
  return STATUS_OK;
}

/* What the reference at `position` points to. */
static enum status follow(const uint8_t *bytes, int64_t size_bytes, int64_t position,
                          int64_t *target, struct error *error) {
  int64_t offset = load_unsigned(bytes + position, 4);
  *target = position + offset;
  if (offset == 0 || *target > size_bytes - 4)
    return broken(position, "a reference points outside", error);
  return STATUS_OK;
}

enum status fb_table_field(const struct fb_table *table, int field, struct fb_table *out,
                           bool *present, struct error *error) {
  *out = (struct fb_table){.bytes = NULL};
  int64_t position;
  int64_t target;
  enum status status = find_field(table, field, 4, &position, error);
  *present = status == STATUS_OK && position > 0;
  if (!*present) return status;
  status = follow(table->bytes, table->size_bytes, position, &target, error);
  if (status != STATUS_OK) return status;
  return open_table(table->bytes, table->size_bytes, target, out, error);
}

enum status fb_vector_field(const struct fb_table *table, int field, int64_t element_bytes,
                            struct fb_vector *out, struct error *error) {
  *out = (struct fb_vector){.bytes = table->bytes, .size_bytes = table->size_bytes};
  int64_t position;
  int64_t target;
  enum status status = find_field(table, field, 4, &position, error);
  if (status != STATUS_OK || position == 0) return status;
  status = follow(table->bytes, table->size_bytes, position, &target, error);
  if (status != STATUS_OK) return status;
  int64_t count = load_unsigned(table->bytes + target, 4);
  if (count > (table->size_bytes - target - 4) / element_bytes)
    return broken(target, "a vector is longer than the metadata", error);
  out->position = target + 4;
  out->count = count;
  return STATUS_OK;
}

enum status fb_string_field(const struct fb_table *table, int field, struct fb_string *out,
                            struct error *error) {
  struct fb_vector characters;
  enum status status = fb_vector_field(table, field, 1, &characters, error);
  *out = (struct fb_string){"", 0};
  if (status == STATUS_OK && characters.count > 0)
    *out = (struct fb_string){(const char *)table->bytes + characters.position, characters.count};
  return status;
}

enum status fb_integer_field(const struct fb_table *table, int field, int bytes, int64_t fallback,
                             int64_t *out, struct error *error) {
  int64_t position;
  enum status status = find_field(table, field, bytes, &position, error);
  *out = status == STATUS_OK && position > 0 ? load(table->bytes + position, bytes) : fallback;
  return status;
}

enum status fb_vector_table(const struct fb_vector *vector, int64_t index, struct fb_table *out,
                            struct error *error) {
  assert(index >= 0 && index < vector->count);
  int64_t target;
  enum status status =
      follow(vector->bytes, vector->size_bytes, vector->position + 4 * index, &target, error);
  if (status != STATUS_OK) return status;
  return open_table(vector->bytes, vector->size_bytes, target, out, error);
}

int64_t fb_vector_int32(const struct fb_vector *vector, int64_t index) {
  assert(index >= 0 && index < vector->count);
  return load(vector->bytes + vector->position + index * 4, 4);
}

int64_t fb_vector_int64(const struct fb_vector *vector, int64_t index, int64_t element_bytes,
                        int64_t at_byte) {
  assert(index >= 0 && index < vector->count);
  return load(vector->bytes + vector->position + index * element_bytes + at_byte, 8);
}
