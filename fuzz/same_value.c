#include "same_value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/bitmap.h"
#include "arrow/layout.h"

enum { DECIMAL_DIGITS_MAX = 38, NANOS = 1000, MILLIS_A_DAY = 86400000 };

/* ---- slots --------------------------------------------------------------------------------- */

static int64_t place_of(const struct slot *slot) { return slot->array->offset + slot->index; }

static __int128 load(const void *values, int64_t width, int64_t index, bool is_signed) {
  const uint8_t *value = (const uint8_t *)values + index * width;
  int64_t bytes = width < 16 ? width : 16;
  __int128 number = is_signed && (value[bytes - 1] & 0x80) != 0 ? -1 : 0;
  memcpy(&number, value, (size_t)bytes);
  return number;
}

static int64_t run_of(const struct slot *slot) {
  const struct ArrowArray *ends = slot->array->children[RUN_ENDS];
  const char *format = slot->schema->children[RUN_ENDS]->format;
  int64_t width = format[0] == 's' ? 2 : format[0] == 'i' ? 4 : 8;
  int64_t run = 0;
  while (layout_run_end(ends->buffers[1], width, ends->offset + run) <= place_of(slot)) run++;
  return run;
}

bool slot_resolve(struct slot *slot, struct arrow_type *type) {
  for (;;) {
    if (arrow_type_parse(slot->schema->format, type, NULL) != STATUS_OK) abort();
    if (type->kind == ARROW_NULL) return false;
    if (type->kind == ARROW_RUN_END_ENCODED) {
      slot->index = run_of(slot);
      slot->schema = slot->schema->children[RUN_VALUES];
      slot->array = slot->array->children[RUN_VALUES];
      continue;
    }
    const uint8_t *bits = slot->array->buffers[0];
    if (bits != NULL && !bitmap_get(bits, place_of(slot))) return false;
    if (slot->schema->dictionary == NULL) return true;
    slot->index = (int64_t)slot_number(slot, type);
    slot->schema = slot->schema->dictionary;
    slot->array = slot->array->dictionary;
  }
}

__int128 slot_number(const struct slot *slot, const struct arrow_type *type) {
  const void *values = slot->array->buffers[1];
  if (type->kind == ARROW_BOOL) return bitmap_get(values, place_of(slot));
  bool is_signed = type->kind != ARROW_UINT8 && type->kind != ARROW_UINT16 &&
                   type->kind != ARROW_UINT32 && type->kind != ARROW_UINT64;
  return load(values, type->bit_width / 8, place_of(slot), is_signed);
}

const uint8_t *slot_bytes(const struct slot *slot, const struct arrow_type *type, int64_t *bytes) {
  int64_t place = place_of(slot);
  const void *const *buffers = slot->array->buffers;
  if (layout_is_view(type->kind)) {
    const uint8_t *view = (const uint8_t *)buffers[1] + place * VIEW_BYTES;
    int32_t parts[4]; /* length, four bytes, buffer, offset */
    memcpy(parts, view, sizeof parts);
    *bytes = parts[0];
    return parts[0] <= VIEW_INLINE_BYTES ? view + 4
                                         : (const uint8_t *)buffers[2 + parts[2]] + parts[3];
  }
  if (type->kind == ARROW_FIXED_SIZE_BINARY) {
    *bytes = type->fixed_size;
    return (const uint8_t *)buffers[1] + place * type->fixed_size;
  }
  int64_t width = layout_offset_bytes(type->kind);
  int64_t start = layout_offset(buffers[1], width, place);
  *bytes = layout_offset(buffers[1], width, place + 1) - start;
  return *bytes == 0 ? NULL : (const uint8_t *)buffers[2] + start;
}

/* The items of a list or map: the first one, and how many. False: it is none. */
static bool items_of(const struct slot *slot, const struct arrow_type *type, struct slot *first,
                     int64_t *count) {
  const struct ArrowArray *array = slot->array;
  int64_t place = place_of(slot);
  int64_t start;
  if (layout_is_list(type->kind)) {
    int64_t width = layout_offset_bytes(type->kind);
    start = layout_offset(array->buffers[1], width, place);
    *count = layout_offset(array->buffers[1], width, place + 1) - start;
  } else if (layout_is_list_view(type->kind)) {
    int64_t width = layout_list_view_bytes(type->kind);
    start = layout_offset(array->buffers[1], width, place);
    *count = layout_offset(array->buffers[2], width, place);
  } else if (type->kind == ARROW_FIXED_SIZE_LIST) {
    start = place * type->fixed_size;
    *count = type->fixed_size;
  } else {
    return false;
  }
  *first = (struct slot){slot->schema->children[0], array->children[0], start};
  return true;
}

/* ---- values -------------------------------------------------------------------------------- */

static bool is_bytes(enum arrow_kind kind) {
  return layout_is_bytes(kind) || layout_is_view(kind) || kind == ARROW_FIXED_SIZE_BINARY;
}

static bool is_float(enum arrow_kind kind) {
  return kind == ARROW_FLOAT16 || kind == ARROW_FLOAT32 || kind == ARROW_FLOAT64;
}

static double half_value(uint16_t bits) {
  int exponent = bits >> 10 & 0x1F;
  double fraction = bits & 0x3FF;
  double value = exponent == 0x1F ? (fraction == 0 ? INFINITY : NAN)
                 : exponent == 0  ? ldexp(fraction, -24)
                                  : ldexp(fraction + 1024, exponent - 25);
  return (bits & 0x8000) != 0 ? -value : value;
}

static double float_value(const struct slot *slot, const struct arrow_type *type) {
  const void *values = slot->array->buffers[1];
  if (type->kind == ARROW_FLOAT16) return half_value(((const uint16_t *)values)[place_of(slot)]);
  if (type->kind == ARROW_FLOAT32) return (double)((const float *)values)[place_of(slot)];
  return ((const double *)values)[place_of(slot)];
}

static bool same_float(double left, double right) {
  if (isnan(left) || isnan(right)) return isnan(left) && isnan(right);
  return memcmp(&left, &right, sizeof left) == 0; /* zeros have signs */
}

static bool same_bytes(const struct slot *left, const struct arrow_type *left_type,
                       const struct slot *right, const struct arrow_type *right_type) {
  int64_t left_bytes, right_bytes;
  const uint8_t *left_data = slot_bytes(left, left_type, &left_bytes);
  const uint8_t *right_data = slot_bytes(right, right_type, &right_bytes);
  return left_bytes == right_bytes &&
         (left_bytes == 0 || memcmp(left_data, right_data, (size_t)left_bytes) == 0);
}

static bool same_decimal(const struct slot *written, const struct arrow_type *written_type,
                         const struct slot *read, const struct arrow_type *type) {
  __int128 number = slot_number(written, written_type);
  if (type->kind == ARROW_DECIMAL)
    return number == slot_number(read, type) && written_type->scale == type->scale;
  return type->kind == ARROW_FLOAT64 && written_type->precision > DECIMAL_DIGITS_MAX;
}

/* What comparing is done in: nanoseconds for all that has a unit, days for dates. */
static __int128 common_number(const struct slot *slot, const struct arrow_type *type) {
  static const int64_t nanos[] = {1000000000, 1000000, 1000, 1};
  __int128 number = slot_number(slot, type);
  if (type->kind == ARROW_DATE64) return number / MILLIS_A_DAY;
  bool has_unit =
      type->kind == ARROW_TIME32 || type->kind == ARROW_TIME64 || type->kind == ARROW_TIMESTAMP;
  return has_unit ? number * nanos[type->unit] : number;
}

static bool same_number(const struct slot *written, const struct arrow_type *written_type,
                        const struct slot *read, const struct arrow_type *type) {
  __int128 number = common_number(written, written_type);
  __int128 other = common_number(read, type);
  bool is_fine = written_type->kind == ARROW_TIME64 ||
                 (written_type->kind == ARROW_TIMESTAMP && written_type->timezone[0] != '\0');
  if (is_fine && written_type->unit == ARROW_NANOSECOND)
    return number - other < NANOS && other - number < NANOS;
  return number == other;
}

bool same_value(struct slot written, struct slot read) {
  struct arrow_type left, right;
  struct slot left_items, right_items;
  int64_t left_count, right_count;
  bool is_there = slot_resolve(&written, &left);
  if (slot_resolve(&read, &right) != is_there) return false;
  if (!is_there) return true;
  bool same = true;
  if (items_of(&written, &left, &left_items, &left_count)) {
    same = items_of(&read, &right, &right_items, &right_count) && left_count == right_count;
    for (int64_t i = 0; same && i < left_count; i++, left_items.index++, right_items.index++)
      same = same_value(left_items, right_items);
    return same;
  }
  if (left.kind == ARROW_STRUCT) {
    same = right.kind == ARROW_STRUCT && written.schema->n_children == read.schema->n_children;
    for (int64_t i = 0; same && i < written.schema->n_children; i++)
      same = same_value(
          (struct slot){written.schema->children[i], written.array->children[i],
                        place_of(&written)},
          (struct slot){read.schema->children[i], read.array->children[i], place_of(&read)});
    return same;
  }
  if (is_bytes(left.kind) || is_bytes(right.kind))
    return is_bytes(left.kind) && is_bytes(right.kind) &&
           same_bytes(&written, &left, &read, &right);
  if (left.kind == ARROW_DECIMAL) return same_decimal(&written, &left, &read, &right);
  if (is_float(left.kind) || is_float(right.kind))
    return is_float(left.kind) && is_float(right.kind) &&
           same_float(float_value(&written, &left), float_value(&read, &right));
  return same_number(&written, &left, &read, &right);
}
