/* Dense values of a leaf. What lies in one piece as Parquet has it is pointed to; byte arrays are pointers and
 * sizes; the rest is brought together, converted on the way. The loops are elsewhere: values_gather.c,
 * values_bytes.c, values_convert.c.
 *
 * Invariants:
 *  1. `data` is `own.data`, or, after one call with `is_whole`, somewhere in an array.
 *  2. `own.size_bytes` is `count` values where `data` is `own.data`: what growing keeps.
 *  3. A call that fails leaves the values as they were. */
#include "parquet/values.h"

#include <assert.h>

#include "parquet/values_gather.h"

void parquet_values_clear(struct parquet_values *values) {
  values->count = 0;
  values->data = NULL;
  values->data_bytes = 0;
  values->own.size_bytes = 0;
}

void parquet_values_release(struct parquet_values *values) {
  buffer_release(&values->own);
  *values = (struct parquet_values){0};
}

int64_t parquet_values_width(const struct parquet_leaf *leaf) {
  switch (leaf->type) {
  case PARQUET_BOOLEAN: return 1;
  case PARQUET_INT32:
  case PARQUET_FLOAT: return 4;
  case PARQUET_INT64:
  case PARQUET_DOUBLE: return 8;
  case PARQUET_FIXED: return leaf->type_length;
  case PARQUET_BYTE_ARRAY: return sizeof(struct parquet_bytes);
  }
  return 0;
}

/* Integers of the same width only have to be looked at. */
static bool is_decimal_to_check(const struct parquet_leaf *leaf) {
  return leaf->conversion == PARQUET_DECIMAL_INT &&
         values_source_width(leaf) == parquet_values_width(leaf);
}

static enum status fails_at(const struct parquet_leaf *leaf, const struct parquet_where *where,
                            int64_t value, enum status status, const char *why,
                            struct error *error) {
  return error_set(error, status, "column \"%s\", row %lld (the first is 0): %s", leaf->name,
                   (long long)where->row_of(where->context, value), why);
}

/* Room for `count` values more: twice as much as there is, where the budget allows. */
static enum status make_room(struct parquet_values *values, int64_t count, int64_t width,
                             struct budget *budget, struct error *error) {
  int64_t needed_bytes = (values->count + count) * width + VALUES_SLACK_BYTES;
  int64_t capacity_bytes = values->own.capacity_bytes;
  if (needed_bytes <= capacity_bytes) return STATUS_OK;
  if (values->count > 0 && 2 * capacity_bytes > needed_bytes &&
      buffer_reserve(&values->own, budget, 2 * capacity_bytes, NULL) == STATUS_OK)
    return STATUS_OK;
  return buffer_reserve(&values->own, budget, needed_bytes, error);
}

/* What array memory may be taken for: its values lie at multiples of their width. */
static const uint8_t *pointed_to(const struct parquet_leaf *leaf, const struct parquet_slots *slots,
                                 int64_t width) {
  bool is_as_it_is = leaf->conversion == PARQUET_AS_IT_IS || is_decimal_to_check(leaf);
  if (!is_as_it_is || !slots_are_contiguous(slots)) return NULL;
  const uint8_t *data = (const uint8_t *)slots->array->buffers[1] + slots->first * width;
  bool is_aligned = leaf->type == PARQUET_FIXED || (uintptr_t)data % (uintptr_t)width == 0;
  return is_aligned ? data : NULL;
}

/* Past 2 GiB only large offsets go; most parts are small as a whole. */
static int64_t find_too_large(const struct parquet_bytes *bytes, int64_t count, int64_t sum_bytes) {
  if (sum_bytes <= INT32_MAX) return -1;
  for (int64_t i = 0; i < count; i++)
    if (bytes[i].size_bytes > INT32_MAX) return i;
  return -1;
}

static enum status add_bytes(const struct parquet_leaf *leaf, const struct parquet_slots *slots,
                             const struct parquet_where *where, struct parquet_values *values,
                             uint8_t *to, struct error *error) {
  struct parquet_bytes *bytes = (struct parquet_bytes *)(void *)to;
  int64_t sum_bytes = values_gather_bytes(leaf, slots, bytes);
  int64_t wrong = find_too_large(bytes, slots->count, sum_bytes);
  if (wrong >= 0)
    return fails_at(leaf, where, wrong, STATUS_TOO_LARGE,
                    "a value of 2 GiB or more: Parquet's byte arrays end at 2 GiB", error);
  values->data_bytes += sum_bytes;
  return STATUS_OK;
}

static enum status add_converted(const struct parquet_leaf *leaf, const struct parquet_slots *slots,
                                 const struct parquet_where *where, const uint8_t *pointed,
                                 uint8_t *to, struct error *error) {
  char why[VALUES_WHY_BYTES];
  int64_t wrong = -1;
  if (leaf->conversion == PARQUET_AS_IT_IS || is_decimal_to_check(leaf)) {
    if (pointed == NULL)
      values_gather(slots, slots->array->buffers[1], parquet_values_width(leaf), 0,
                    slots_units(slots), to);
    if (leaf->conversion == PARQUET_DECIMAL_INT)
      wrong = values_check_decimals(leaf, pointed != NULL ? pointed : to, slots->count, why);
  } else if (leaf->conversion == PARQUET_BITS) {
    values_gather_bits(slots, slots->array->buffers[1], to);
  } else {
    wrong = values_convert(leaf, slots, to, why);
  }
  if (wrong >= 0) return fails_at(leaf, where, wrong, STATUS_SCHEMA, why, error);
  return STATUS_OK;
}

enum status parquet_values_add(const struct parquet_leaf *leaf, const struct parquet_slots *slots,
                               bool is_whole, const struct parquet_where *where,
                               struct budget *budget, struct parquet_values *values,
                               struct error *error) {
  assert(values->count == 0 || values->data == values->own.data);
  if (slots->count == 0) return STATUS_OK;
  assert(leaf->conversion != PARQUET_NOTHING);
  int64_t width = parquet_values_width(leaf);
  const uint8_t *pointed = NULL;
  if (is_whole && values->count == 0) pointed = pointed_to(leaf, slots, width);
  enum status status = STATUS_OK;
  if (pointed == NULL) status = make_room(values, slots->count, width, budget, error);
  if (status != STATUS_OK) return status;
  if (pointed == NULL) values->data = values->own.data; /* which may have moved */

  uint8_t *to = pointed == NULL ? values->own.data + values->count * width : NULL;
  if (leaf->type == PARQUET_BYTE_ARRAY)
    status = add_bytes(leaf, slots, where, values, to, error);
  else
    status = add_converted(leaf, slots, where, pointed, to, error);
  if (status != STATUS_OK) return status;
  values->count += slots->count;
  if (pointed != NULL)
    values->data = pointed;
  else
    values->own.size_bytes = values->count * width;
  return STATUS_OK;
}
