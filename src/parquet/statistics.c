/* Bounds and counts. What finds the extremes is in statistics_extremes.c (numbers) and statistics_bytes.c (byte
 * strings), what makes bounds of long ones in statistics_bounds.c.
 *
 * Invariants:
 *  1. With `has_bounds`, every value that compares lies between them: they are given up
 *     (never guessed) where one cannot be said.
 *  2. Where there is a NaN there are no bounds: the specification would leave NaNs out of them, but DuckDB and
 *     Spark have NaN above all numbers, and would skip it with what its page's maximum excludes.
 *  3. A minimum of zero is -0.0, a maximum +0.0: readers that tell the two apart find both of them within. */
#include "parquet/statistics.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "parquet/statistics_bounds.h"
#include "parquet/statistics_extremes.h"

static bool counts_nans(const struct parquet_leaf *leaf) {
  return leaf->type == PARQUET_FLOAT || leaf->type == PARQUET_DOUBLE ||
         leaf->logical.kind == PARQUET_LOGICAL_FLOAT16;
}

static bool is_text(const struct parquet_leaf *leaf) {
  return leaf->logical.kind == PARQUET_LOGICAL_STRING || leaf->logical.kind == PARQUET_LOGICAL_JSON;
}

void parquet_statistics_start(const struct parquet_leaf *leaf,
                              struct parquet_statistics *statistics) {
  *statistics = (struct parquet_statistics){.nan_count = counts_nans(leaf) ? 0 : -1};
}

/* ---- of values ------------------------------------------------------------------------------------ */

/* A zero that compares as the other one does. */
static void bound_float(struct parquet_bound *bound, float value, float sign) {
  if (value == 0) value = copysignf(0, sign);
  bound_exact(bound, &value, sizeof value);
}
static void bound_double(struct parquet_bound *bound, double value, double sign) {
  if (value == 0) value = copysign(0, sign);
  bound_exact(bound, &value, sizeof value);
}

static int64_t of_floats(const struct parquet_values *values, struct parquet_statistics *made) {
  float min, max;
  int64_t nan_count = extremes_float(values->data, values->count, &min, &max);
  bound_float(&made->min, min, -1);
  bound_float(&made->max, max, 1);
  return nan_count;
}

static int64_t of_doubles(const struct parquet_values *values, struct parquet_statistics *made) {
  double min, max;
  int64_t nan_count = extremes_double(values->data, values->count, &min, &max);
  bound_double(&made->min, min, -1);
  bound_double(&made->max, max, 1);
  return nan_count;
}

/* Keys of -0 and +0 are -1 and 0 (half_key). */
static int64_t of_halves(const struct parquet_values *values, struct parquet_statistics *made) {
  int16_t min, max;
  int64_t nan_count = extremes_half(values->data, values->count, &min, &max);
  uint16_t least = half_of_key(min == 0 ? -1 : min), most = half_of_key(max == -1 ? 0 : max);
  bound_exact(&made->min, &least, sizeof least);
  bound_exact(&made->max, &most, sizeof most);
  return nan_count;
}

#define OF_INTEGERS(name, type, extremes)                                                          \
  static void name(const struct parquet_values *values, struct parquet_statistics *made) {         \
    type min, max;                                                                                 \
    extremes(values->data, values->count, &min, &max);                                             \
    bound_exact(&made->min, &min, sizeof min);                                                     \
    bound_exact(&made->max, &max, sizeof max);                                                     \
  }
OF_INTEGERS(of_booleans, uint8_t, extremes_uint8)
OF_INTEGERS(of_int32s, int32_t, extremes_int32)
OF_INTEGERS(of_uint32s, uint32_t, extremes_uint32)
OF_INTEGERS(of_int64s, int64_t, extremes_int64)
OF_INTEGERS(of_uint64s, uint64_t, extremes_uint64)

static bool of_byte_arrays(const struct parquet_leaf *leaf, const struct parquet_values *values,
                           int32_t bytes_max, struct parquet_statistics *made) {
  const struct parquet_bytes *bytes = values->data;
  struct extremes found = extremes_of_bytes(bytes, values->count);
  bound_below(&made->min, bytes[found.min], bytes_max, is_text(leaf));
  return bound_above(&made->max, bytes[found.max], bytes_max, is_text(leaf));
}

/* Not cut: a shorter one were none of its type. */
static bool of_fixed(const struct parquet_leaf *leaf, const struct parquet_values *values,
                     struct parquet_statistics *made) {
  const uint8_t *data = values->data;
  int64_t width = leaf->type_length;
  if (width > PARQUET_BOUND_BYTES_MAX) return false;
  bool is_signed = leaf->order == PARQUET_ORDER_BIG_ENDIAN;
  struct extremes found = extremes_of_fixed(data, values->count, width, is_signed);
  bound_exact(&made->min, data + found.min * width, width);
  bound_exact(&made->max, data + found.max * width, width);
  return true;
}

void parquet_statistics_of(const struct parquet_leaf *leaf, const struct parquet_values *values,
                           int32_t bound_bytes_max, struct parquet_statistics *statistics) {
  assert(bound_bytes_max >= 0 && bound_bytes_max <= PARQUET_BOUND_BYTES_MAX);
  parquet_statistics_start(leaf, statistics);
  statistics->value_count = values->count;
  if (values->count == 0) return;
  bool is_unsigned = leaf->order == PARQUET_ORDER_UNSIGNED;
  bool has_bounds = true;
  int64_t nan_count = 0;
  switch (leaf->type) {
  case PARQUET_BOOLEAN: of_booleans(values, statistics); break;
  case PARQUET_INT32: (is_unsigned ? of_uint32s : of_int32s)(values, statistics); break;
  case PARQUET_INT64: (is_unsigned ? of_uint64s : of_int64s)(values, statistics); break;
  case PARQUET_FLOAT: nan_count = of_floats(values, statistics); break;
  case PARQUET_DOUBLE: nan_count = of_doubles(values, statistics); break;
  case PARQUET_BYTE_ARRAY:
    has_bounds = of_byte_arrays(leaf, values, bound_bytes_max, statistics);
    break;
  case PARQUET_FIXED:
    if (counts_nans(leaf))
      nan_count = of_halves(values, statistics);
    else
      has_bounds = of_fixed(leaf, values, statistics);
    break;
  }
  if (statistics->nan_count >= 0) statistics->nan_count = nan_count;
  statistics->has_bounds = has_bounds && nan_count == 0 && leaf->order != PARQUET_ORDER_NONE;
}

/* ---- together --------------------------------------------------------------------------------------- */

#define COMPARE_AS(type)                                                                           \
  do {                                                                                             \
    type one, other;                                                                               \
    assert(left->size_bytes == sizeof one && right->size_bytes == sizeof other);                   \
    memcpy(&one, left->data, sizeof one);                                                          \
    memcpy(&other, right->data, sizeof other);                                                     \
    return (one > other) - (one < other);                                                          \
  } while (0)

static int compare_halves(const struct parquet_bound *left, const struct parquet_bound *right) {
  uint16_t one, other;
  memcpy(&one, left->data, sizeof one);
  memcpy(&other, right->data, sizeof other);
  int low = half_key(one), high = half_key(other);
  if (low == -1) low = 0; /* zeros are equal */
  if (high == -1) high = 0;
  return (low > high) - (low < high);
}

static int compare_bytes(const struct parquet_bound *left, const struct parquet_bound *right,
                         bool is_signed) {
  int shorter = left->size_bytes < right->size_bytes ? left->size_bytes : right->size_bytes;
  if (is_signed && shorter > 0 && (left->data[0] ^ right->data[0]) >= 0x80)
    return left->data[0] >= 0x80 ? -1 : 1;
  int order = memcmp(left->data, right->data, (size_t)shorter);
  if (order == 0) order = left->size_bytes - right->size_bytes;
  return (order > 0) - (order < 0);
}

int parquet_bound_compare(const struct parquet_leaf *leaf, const struct parquet_bound *left,
                          const struct parquet_bound *right) {
  bool is_unsigned = leaf->order == PARQUET_ORDER_UNSIGNED;
  switch (leaf->type) {
  case PARQUET_BOOLEAN: COMPARE_AS(uint8_t);
  case PARQUET_INT32:
    if (is_unsigned) COMPARE_AS(uint32_t);
    COMPARE_AS(int32_t);
  case PARQUET_INT64:
    if (is_unsigned) COMPARE_AS(uint64_t);
    COMPARE_AS(int64_t);
  case PARQUET_FLOAT: COMPARE_AS(float);
  case PARQUET_DOUBLE: COMPARE_AS(double);
  case PARQUET_BYTE_ARRAY: break;
  case PARQUET_FIXED:
    if (counts_nans(leaf)) return compare_halves(left, right);
    break;
  }
  return compare_bytes(left, right, leaf->order == PARQUET_ORDER_BIG_ENDIAN);
}

/* Where two bounds are equal and one of them is a value, it is the least or greatest of all: the other one is on
 * the far side of what it was cut from. */
static void take(const struct parquet_leaf *leaf, struct parquet_bound *into,
                 const struct parquet_bound *from, int sign) {
  int order = sign * parquet_bound_compare(leaf, from, into);
  if (order > 0) *into = *from;
  if (order == 0) into->is_exact |= from->is_exact;
}

/* There are values, and nothing is known of them. */
static bool is_unbounded(const struct parquet_statistics *statistics) {
  return !statistics->has_bounds && statistics->value_count > 0;
}

void parquet_statistics_merge(const struct parquet_leaf *leaf, struct parquet_statistics *into,
                              const struct parquet_statistics *from) {
  bool has_bounds =
      (into->has_bounds || from->has_bounds) && !is_unbounded(into) && !is_unbounded(from);
  if (has_bounds && !into->has_bounds) {
    into->min = from->min;
    into->max = from->max;
  } else if (has_bounds && from->has_bounds) {
    take(leaf, &into->min, &from->min, -1);
    take(leaf, &into->max, &from->max, 1);
  }
  into->has_bounds = has_bounds;
  into->null_count += from->null_count;
  into->value_count += from->value_count;
  if (into->nan_count >= 0 && from->nan_count >= 0) into->nan_count += from->nan_count;
}
