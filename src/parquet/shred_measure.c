/* How many rows a page takes. Where positions of one node are one range of the next (structs, lists by
 * offsets, fixed-size lists), the values and bytes of a range of rows are found from its two ends, so
 * the number of rows is found by halves. Elsewhere rows are added up one by one.
 *
 * An upper bound: every list is taken to be without items, and to have the items that it has. Where there is
 * one list only, that by offsets, its empty ones are counted. */
#include <assert.h>
#include <string.h>

#include "arrow/bitmap.h"
#include "parquet/shred.h"

enum { CODE_BYTES = 4, LENGTH_BYTES = 4, ROWS_TOGETHER = 128 };

struct amount {
  int64_t values, bytes;
};

struct range {
  int64_t first, count; /* positions */
};

static int64_t add_most(int64_t left, int64_t right) {
  int64_t sum;
  return __builtin_add_overflow(left, right, &sum) ? INT64_MAX : sum;
}

static int64_t times_most(int64_t left, int64_t right) {
  int64_t product;
  return __builtin_mul_overflow(left, right, &product) ? INT64_MAX : product;
}

static struct amount both(struct amount left, struct amount right) {
  return (struct amount){add_most(left.values, right.values), add_most(left.bytes, right.bytes)};
}

/* ---- leaves ------------------------------------------------------------------------------- */

static int64_t fixed_width(const struct parquet_leaf *leaf) {
  switch (leaf->type) {
  case PARQUET_BOOLEAN: return 1;
  case PARQUET_INT64:
  case PARQUET_DOUBLE: return 8;
  case PARQUET_FIXED: return leaf->type_length;
  default: return 4;
  }
}

static const uint8_t *validity_of(const struct ArrowArray *array) {
  return array->null_count == 0 || array->n_buffers < 1 ? NULL : array->buffers[0];
}

/* Lengths lie in the first four bytes of a view. */
static int64_t view_bytes(const struct ArrowArray *array, struct range range) {
  const uint8_t *views = array->buffers[1], *validity = validity_of(array);
  int64_t bytes = 0;
  for (int64_t i = range.first; i < range.first + range.count; i++) {
    int32_t length;
    memcpy(&length, views + 16 * i, sizeof length);
    bytes += validity == NULL || bitmap_get(validity, i) ? length : 0;
  }
  return bytes;
}

static int64_t leaf_bytes(const struct parquet_leaf *leaf, const struct ArrowArray *array,
                          struct range range) {
  if (range.count == 0) return 0;
  if (leaf->is_coded) return times_most(range.count, CODE_BYTES);
  if (leaf->type != PARQUET_BYTE_ARRAY) return times_most(range.count, fixed_width(leaf));
  int64_t bytes = LENGTH_BYTES * range.count;
  if (leaf->conversion == PARQUET_VIEWS) return bytes + view_bytes(array, range);
  int64_t end = range.first + range.count;
  if (leaf->arrow.kind == ARROW_LARGE_BINARY || leaf->arrow.kind == ARROW_LARGE_UTF8) {
    const int64_t *offsets = array->buffers[1];
    return bytes + offsets[end] - offsets[range.first];
  }
  const int32_t *offsets = array->buffers[1];
  return bytes + offsets[end] - offsets[range.first];
}

/* ---- the way down --------------------------------------------------------------------------- */

static struct amount amount_of(const struct parquet_leaf *leaf, int32_t step,
                               const struct ArrowArray *array, struct range range);

static int64_t number_at(const void *numbers, bool is_large, int64_t index) {
  return is_large ? ((const int64_t *)numbers)[index] : ((const int32_t *)numbers)[index];
}

static int64_t code_at(enum arrow_kind kind, const void *codes, int64_t index) {
  switch (kind) {
  case ARROW_INT8: return ((const int8_t *)codes)[index];
  case ARROW_UINT8: return ((const uint8_t *)codes)[index];
  case ARROW_INT16: return ((const int16_t *)codes)[index];
  case ARROW_UINT16: return ((const uint16_t *)codes)[index];
  case ARROW_INT32: return ((const int32_t *)codes)[index];
  case ARROW_UINT32: return ((const uint32_t *)codes)[index];
  default: return ((const int64_t *)codes)[index];
  }
}

static int64_t run_end_at(const struct parquet_step *step, const struct ArrowArray *ends,
                          int64_t index) {
  const void *buffer = ends->buffers[1];
  if (step->type.bit_width == 16) return ((const int16_t *)buffer)[ends->offset + index];
  return number_at(buffer, step->type.bit_width == 64, ends->offset + index);
}

static struct amount amount_of_runs(const struct parquet_leaf *leaf, int32_t step,
                                    const struct ArrowArray *array, struct range range) {
  const struct ArrowArray *ends = array->children[0], *values = array->children[1];
  struct amount amount = {0, 0};
  int64_t low = 0, high = ends->length;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (run_end_at(&leaf->steps[step], ends, middle) <= range.first)
      low = middle + 1;
    else
      high = middle;
  }
  int64_t at = range.first;
  for (; at < range.first + range.count; low++) {
    int64_t end = run_end_at(&leaf->steps[step], ends, low);
    if (end > range.first + range.count) end = range.first + range.count;
    struct amount one = amount_of(leaf, step + 1, values, (struct range){low + values->offset, 1});
    one.values = times_most(one.values, end - at);
    one.bytes = times_most(one.bytes, end - at);
    amount = both(amount, one);
    at = end;
  }
  return amount;
}

/* Slots that may be anywhere: list views and dictionaries. What is null may have any number there. */
static struct amount amount_of_each(const struct parquet_leaf *leaf, int32_t step,
                                    const struct ArrowArray *array, struct range range) {
  const struct parquet_step *node = &leaf->steps[step];
  const uint8_t *validity = validity_of(array);
  bool is_code = node->kind == PARQUET_STEP_DICTIONARY;
  bool is_large = node->kind == PARQUET_STEP_LARGE_LIST_VIEW;
  const struct ArrowArray *below = is_code ? array->dictionary : array->children[0];
  struct amount amount = {is_code ? 0 : range.count, 0};
  for (int64_t i = range.first; i < range.first + range.count; i++) {
    if (validity != NULL && !bitmap_get(validity, i)) {
      amount.values = add_most(amount.values, is_code);
      continue;
    }
    struct range slots = {below->offset, 1};
    if (is_code) {
      slots.first += code_at(node->type.kind, array->buffers[1], i);
    } else {
      slots.first += number_at(array->buffers[1], is_large, i);
      slots.count = number_at(array->buffers[2], is_large, i);
    }
    amount = both(amount, amount_of(leaf, step + 1, below, slots));
  }
  return amount;
}

/* At most what the leaf has below the positions `range` of the node. */
static struct amount amount_of(const struct parquet_leaf *leaf, int32_t step,
                               const struct ArrowArray *array, struct range range) {
  if (range.count == 0) return (struct amount){0, 0};
  const struct parquet_step *node = &leaf->steps[step];
  bool is_coded_leaf = leaf->is_coded && step == leaf->step_count - 2;
  if (node->kind == PARQUET_STEP_LEAF || is_coded_leaf)
    return (struct amount){range.count, leaf_bytes(leaf, array, range)};
  const struct ArrowArray *below = array->n_children > 0 ? array->children[0] : NULL;
  struct range slots = range;
  switch (node->kind) {
  case PARQUET_STEP_STRUCT:
    below = array->children[node->child];
    slots.first += below->offset;
    return amount_of(leaf, step + 1, below, slots);
  case PARQUET_STEP_LIST:
  case PARQUET_STEP_LARGE_LIST: {
    bool is_large = node->kind == PARQUET_STEP_LARGE_LIST;
    slots.first = number_at(array->buffers[1], is_large, range.first);
    slots.count = number_at(array->buffers[1], is_large, range.first + range.count) - slots.first;
    break;
  }
  case PARQUET_STEP_FIXED_LIST:
    slots.first *= node->type.fixed_size;
    slots.count *= node->type.fixed_size;
    break;
  case PARQUET_STEP_RUNS: return amount_of_runs(leaf, step, array, range);
  default: return amount_of_each(leaf, step, array, range);
  }
  assert(below != NULL); /* a list's: arrays are checked before */
  slots.first += below->offset;
  return both((struct amount){range.count, 0}, amount_of(leaf, step + 1, below, slots));
}

/* ---- rows ----------------------------------------------------------------------------------- */

struct rows {
  const struct parquet_leaf *leaf;
  const struct ArrowArray *array; /* the top-level one */
  int64_t first;                  /* position in it */
  int64_t values_max, bytes_max;
};

static struct amount amount_of_rows(const struct rows *rows, int64_t first, int64_t count) {
  return amount_of(rows->leaf, 0, rows->array, (struct range){rows->first + first, count});
}

static bool fits(const struct rows *rows, struct amount amount) {
  return amount.values <= rows->values_max && amount.bytes <= rows->bytes_max;
}

/* Whether a range of rows costs as little to look at as a row. Views are added up. */
static bool is_found_by_ends(const struct parquet_leaf *leaf) {
  for (int32_t i = 0; i < leaf->step_count; i++) {
    enum parquet_step_kind kind = leaf->steps[i].kind;
    if (kind == PARQUET_STEP_LIST_VIEW || kind == PARQUET_STEP_LARGE_LIST_VIEW) return false;
    if (kind == PARQUET_STEP_DICTIONARY || kind == PARQUET_STEP_RUNS)
      return leaf->is_coded && i == leaf->step_count - 2;
  }
  return leaf->conversion != PARQUET_VIEWS;
}

static int64_t by_halves(const struct rows *rows, int64_t most) {
  int64_t fitting = 0;
  while (fitting < most) {
    int64_t tried = most - (most - fitting) / 2;
    if (fits(rows, amount_of_rows(rows, 0, tried)))
      fitting = tried;
    else
      most = tried - 1;
  }
  return fitting;
}

/* Some rows at once as long as they fit. */
static int64_t by_rows(const struct rows *rows, int64_t most) {
  struct amount amount = {0, 0};
  int64_t at = 0, together = ROWS_TOGETHER;
  while (at < most) {
    int64_t tried = most - at < together ? most - at : together;
    struct amount with = both(amount, amount_of_rows(rows, at, tried));
    if (fits(rows, with)) {
      amount = with;
      at += tried;
    } else if (together == 1) {
      break;
    } else {
      together = 1;
    }
  }
  return at;
}

/* ---- one list by offsets ---------------------------------------------------------------------- */

/* The list's array, with `*first` the position of the first row in it, where the leaf has one list, by
 * offsets, and on the way to it and from it only what is a position each; else NULL. */
static const struct ArrowArray *only_list(const struct rows *rows, int64_t *first, bool *is_large) {
  const struct parquet_leaf *leaf = rows->leaf;
  const struct ArrowArray *array = rows->array, *list = NULL;
  int64_t position = rows->first;
  for (int32_t i = 0; i < leaf->step_count; i++) {
    enum parquet_step_kind kind = leaf->steps[i].kind;
    if (kind == PARQUET_STEP_LEAF || (leaf->is_coded && i == leaf->step_count - 2)) break;
    if (kind == PARQUET_STEP_STRUCT) {
      array = array->children[leaf->steps[i].child];
      position += array->offset;
      continue;
    }
    bool is_list = kind == PARQUET_STEP_LIST || kind == PARQUET_STEP_LARGE_LIST;
    if (!is_list || list != NULL) return NULL;
    list = array;
    *first = position;
    *is_large = kind == PARQUET_STEP_LARGE_LIST;
    array = array->children[0];
  }
  return list;
}

/* Rows, of `most`, whose lists take at most `values_max` levels: exactly, but for lists that are null by a
 * struct above them and have items. */
static struct parquet_extent count_items(const struct ArrowArray *list, int64_t first,
                                         bool is_large, int64_t most, int64_t values_max) {
  const void *offsets = list->buffers[1];
  const uint8_t *validity = validity_of(list);
  struct parquet_extent extent = {0, 0, 0};
  for (; extent.rows < most; extent.rows++) {
    int64_t at = first + extent.rows;
    int64_t items = number_at(offsets, is_large, at + 1) - number_at(offsets, is_large, at);
    bool is_null = validity != NULL && !bitmap_get(validity, at);
    int64_t values = add_most(extent.values, items < 1 || is_null ? 1 : items);
    if (values > values_max) break;
    extent.values = values;
  }
  return extent;
}

struct parquet_extent parquet_measure(const struct parquet_leaf *leaf,
                                      const struct ArrowArray *batch, int64_t row, int64_t rows,
                                      int64_t values_max, int64_t bytes_max, bool one_at_least) {
  struct rows measured = {.leaf = leaf,
                          .array = batch->children[leaf->top_level],
                          .values_max = values_max,
                          .bytes_max = bytes_max};
  measured.first = batch->offset + row + measured.array->offset;
  if (rows > values_max) rows = values_max > 0 ? values_max : one_at_least;
  if (rows == 0) return (struct parquet_extent){0, 0, 0};
  int64_t first = 0;
  bool is_large = false;
  const struct ArrowArray *list = only_list(&measured, &first, &is_large);
  struct parquet_extent extent = {.rows = rows};
  if (list != NULL) {
    extent = count_items(list, first, is_large, rows, values_max);
    measured.values_max = INT64_MAX;
  }
  bool is_by_ends = is_found_by_ends(leaf) || (list != NULL && leaf->conversion != PARQUET_VIEWS);
  extent.rows = is_by_ends ? by_halves(&measured, extent.rows) : by_rows(&measured, extent.rows);
  if (extent.rows == 0 && one_at_least) extent.rows = 1;
  struct amount amount = amount_of_rows(&measured, 0, extent.rows);
  extent.values = list == NULL ? amount.values
                               : count_items(list, first, is_large, extent.rows, INT64_MAX).values;
  extent.bytes = amount.bytes;
  return extent;
}
