/* Whether two arrays hold the same values. They are compared by ranges of slots as long as
 * can be: the bitmaps of both, then each stretch of slots without nulls, whose values, and
 * whose children's slots, lie one behind the other.
 *
 * A comparison only says whether a range is the same. Where it is not, the first row that
 * differs is searched by halves, and looked at once more by itself to name the field. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arrow/array.h"
#include "arrow/array_root.h"
#include "arrow/array_runs.h"
#include "arrow/bitmap.h"
#include "arrow/encode_columns.h"
#include "arrow/encode_value.h"
#include "arrow/layout.h"

enum { PLACE_BYTES = 512, VALUE_BYTES = 64 };

static const int64_t texts_max_bytes =
    1 << 20; /* of two values that are shown, before they are cut */

/* Slots of a node in both arrays: `length` from `left_start` and `right_start` on, counted
 * from the offsets of the arrays. */
struct range {
  const struct ArrowArray *left;
  const struct ArrowArray *right;
  int64_t left_start;
  int64_t right_start;
  int64_t length;
};

/* How a single row that differs is looked at. */
struct comparing {
  bool names_place;            /* a field puts its name before those below it */
  char place[PLACE_BYTES];     /* "'a'.'item'" */
  const struct layout *layout; /* of the deepest node that differs; NULL: none yet */
  struct range slot;           /* where it does */
};

static bool node_equal(struct comparing *comparing, const struct layout *layout,
                       const struct range *range);

/* ---- bitmaps ----------------------------------------------------------------------------- */

/* `count` <= 64 bits from bit `start` on; no byte without one of them is read. */
static uint64_t load_bits(const uint8_t *bits, int64_t start, int64_t count) {
  const uint8_t *from = bits + start / 8;
  int shift = (int)(start % 8);
  int64_t bytes = bitmap_bytes(shift + count);
  uint64_t word = 0;
  memcpy(&word, from, bytes < 8 ? (size_t)bytes : 8);
  word >>= shift;
  if (bytes > 8) word |= (uint64_t)from[8] << (64 - shift);
  return count == 64 ? word : word & ((UINT64_C(1) << count) - 1);
}

static bool bits_equal(const uint8_t *left, int64_t left_start, const uint8_t *right,
                       int64_t right_start, int64_t count) {
  if (left_start % 8 == 0 && right_start % 8 == 0) {
    int64_t whole = count / 8;
    if (memcmp(left + left_start / 8, right + right_start / 8, (size_t)whole) != 0) return false;
    left_start += whole * 8;
    right_start += whole * 8;
    count -= whole * 8;
  }
  for (; count > 0; left_start += 64, right_start += 64, count -= 64) {
    int64_t step = count < 64 ? count : 64;
    if (load_bits(left, left_start, step) != load_bits(right, right_start, step)) return false;
  }
  return true;
}

/* How many of the `count` bits from `start` on are as `wanted` before the first that is not. */
static int64_t bits_alike(const uint8_t *bits, int64_t start, int64_t count, bool wanted) {
  for (int64_t seen = 0; seen < count; seen += 64) {
    int64_t step = count - seen < 64 ? count - seen : 64;
    uint64_t word = load_bits(bits, start + seen, step);
    if (wanted) word = ~word;
    if (step < 64) word |= UINT64_C(1) << step;
    if (word != 0) return seen + __builtin_ctzll(word);
  }
  return count;
}

/* The bitmap that says which slots are null; NULL when none is. */
static const uint8_t *validity_of(const struct layout *layout, const struct ArrowArray *array) {
  if (!layout_has_validity(layout->type.kind) || array->null_count == 0) return NULL;
  return array->buffers[0];
}

static bool is_valid(const uint8_t *validity, const struct ArrowArray *array, int64_t slot) {
  return validity == NULL || bitmap_get(validity, array->offset + slot);
}

/* ---- ranges of children ------------------------------------------------------------------ */

static void put_name(struct comparing *comparing, const struct layout *layout) {
  char below[PLACE_BYTES];
  memcpy(below, comparing->place, sizeof below);
  snprintf(comparing->place, sizeof comparing->place, "'%.*s'%s%.*s", PLACE_BYTES / 2,
           layout_name(layout), below[0] == '\0' ? "" : ".", PLACE_BYTES / 2 - 8, below);
}

/* The first of the slots that differ. */
static struct range first_that_differs(struct comparing *comparing, const struct layout *layout,
                                       const struct range *range) {
  struct range rest = *range; /* the first one is in it */
  while (rest.length > 1) {
    struct range half = rest;
    half.length = rest.length / 2;
    if (node_equal(comparing, layout, &half)) {
      rest.left_start += half.length;
      rest.right_start += half.length;
      rest.length -= half.length;
    } else {
      rest.length = half.length;
    }
  }
  return rest;
}

/* Slots of child `child`, counted from the offsets of the children. */
static bool child_equal(struct comparing *comparing, const struct layout *layout,
                        const struct range *range, int64_t child, int64_t left_start,
                        int64_t right_start, int64_t length) {
  const struct layout *below = &layout->children[child];
  struct range slots = {range->left->children[child], range->right->children[child], left_start,
                        right_start, length};
  bool names_place = comparing->names_place;
  comparing->names_place = false;
  bool same = node_equal(comparing, below, &slots);
  comparing->names_place = names_place;
  if (same || !names_place) return same;
  comparing->names_place = false;
  slots = first_that_differs(comparing, below, &slots);
  comparing->names_place = true;
  same = node_equal(comparing, below, &slots);
  put_name(comparing, below);
  return same;
}

static bool dictionary_equal(struct comparing *comparing, const struct layout *layout,
                             const struct range *range, int64_t left_index, int64_t right_index,
                             int64_t length) {
  const struct range slots = {range->left->dictionary, range->right->dictionary, left_index,
                              right_index, length};
  return node_equal(comparing, layout->dictionary, &slots);
}

/* ---- values without nulls ---------------------------------------------------------------- */

/* Where the range begins in the buffers. */
static int64_t left_slot(const struct range *range) {
  return range->left->offset + range->left_start;
}
static int64_t right_slot(const struct range *range) {
  return range->right->offset + range->right_start;
}

static const void *left_at(const struct range *range, int64_t buffer, int64_t width) {
  return (const uint8_t *)range->left->buffers[buffer] + left_slot(range) * width;
}
static const void *right_at(const struct range *range, int64_t buffer, int64_t width) {
  return (const uint8_t *)range->right->buffers[buffer] + right_slot(range) * width;
}

static bool fixed_equal(const struct layout *layout, const struct range *range) {
  int64_t width = layout_value_bytes(&layout->type);
  if (width == 0) return true;
  return memcmp(left_at(range, 1, width), right_at(range, 1, width),
                (size_t)(range->length * width)) == 0;
}

/* Whether both offsets cut pieces of the same lengths. */
static bool lengths_equal32(const int32_t *left, const int32_t *right, int64_t length) {
  uint32_t between = (uint32_t)right[0] - (uint32_t)left[0];
  uint32_t differs = 0;
  for (int64_t i = 1; i <= length; i++) differs |= (uint32_t)right[i] - (uint32_t)left[i] - between;
  return differs == 0;
}

static bool lengths_equal64(const int64_t *left, const int64_t *right, int64_t length) {
  uint64_t between = (uint64_t)right[0] - (uint64_t)left[0];
  uint64_t differs = 0;
  for (int64_t i = 1; i <= length; i++) differs |= (uint64_t)right[i] - (uint64_t)left[i] - between;
  return differs == 0;
}

/* Text, binary, lists: pieces of the same lengths, and what they are pieces of. */
static bool pieces_equal(struct comparing *comparing, const struct layout *layout,
                         const struct range *range) {
  int64_t width = layout_offset_bytes(layout->type.kind);
  const void *left = left_at(range, 1, width);
  const void *right = right_at(range, 1, width);
  if (!(width == 8 ? lengths_equal64(left, right, range->length)
                   : lengths_equal32(left, right, range->length)))
    return false;
  int64_t left_first = layout_offset(left, width, 0);
  int64_t right_first = layout_offset(right, width, 0);
  int64_t count = layout_offset(left, width, range->length) - left_first;
  if (count == 0) return true;
  if (layout_is_list(layout->type.kind))
    return child_equal(comparing, layout, range, 0, left_first, right_first, count);
  return memcmp((const uint8_t *)range->left->buffers[2] + left_first,
                (const uint8_t *)range->right->buffers[2] + right_first, (size_t)count) == 0;
}

static const uint8_t *view_data(const struct ArrowArray *array, const uint8_t *view,
                                int32_t bytes) {
  int32_t place[2]; /* data buffer, offset in it */
  if (bytes <= VIEW_INLINE_BYTES) return view + sizeof bytes;
  memcpy(place, view + 8, sizeof place);
  return (const uint8_t *)array->buffers[2 + place[0]] + place[1];
}

static bool views_equal(const struct range *range) {
  const uint8_t *left = left_at(range, 1, VIEW_BYTES);
  const uint8_t *right = right_at(range, 1, VIEW_BYTES);
  for (int64_t i = 0; i < range->length; i++, left += VIEW_BYTES, right += VIEW_BYTES) {
    int32_t bytes;
    int32_t right_bytes;
    memcpy(&bytes, left, sizeof bytes);
    memcpy(&right_bytes, right, sizeof right_bytes);
    if (bytes != right_bytes) return false;
    if (memcmp(view_data(range->left, left, bytes), view_data(range->right, right, bytes),
               (size_t)bytes) != 0)
      return false;
  }
  return true;
}

/* List by list, those whose items lie one behind the other at once. */
static bool list_views_equal(struct comparing *comparing, const struct layout *layout,
                             const struct range *range) {
  int64_t width = layout_list_view_bytes(layout->type.kind);
  const void *left_offsets = left_at(range, 1, width);
  const void *right_offsets = right_at(range, 1, width);
  const void *left_sizes = left_at(range, 2, width);
  const void *right_sizes = right_at(range, 2, width);
  int64_t left_first = 0;
  int64_t right_first = 0;
  int64_t count = 0; /* items that are still to be compared */
  for (int64_t i = 0; i < range->length; i++) {
    int64_t size = layout_offset(left_sizes, width, i);
    if (size != layout_offset(right_sizes, width, i)) return false;
    if (size == 0) continue;
    int64_t left = layout_offset(left_offsets, width, i);
    int64_t right = layout_offset(right_offsets, width, i);
    if (left != left_first + count || right != right_first + count) {
      if (!child_equal(comparing, layout, range, 0, left_first, right_first, count)) return false;
      left_first = left;
      right_first = right;
      count = 0;
    }
    count += size;
  }
  return child_equal(comparing, layout, range, 0, left_first, right_first, count);
}

static bool structs_equal(struct comparing *comparing, const struct layout *layout,
                          const struct range *range) {
  for (int64_t i = 0; i < layout->child_count; i++)
    if (!child_equal(comparing, layout, range, i, left_slot(range), right_slot(range),
                     range->length))
      return false;
  return true;
}

/* The slots of one type id, as long as the child's slots follow each other too. */
static bool unions_equal(struct comparing *comparing, const struct layout *layout,
                         const struct range *range) {
  const int8_t *codes = left_at(range, 0, 1);
  bool is_dense = layout->type.kind == ARROW_DENSE_UNION;
  const int32_t *left = is_dense ? left_at(range, 1, sizeof *left) : NULL;
  const int32_t *right = is_dense ? right_at(range, 1, sizeof *right) : NULL;
  if (memcmp(codes, right_at(range, 0, 1), (size_t)range->length) != 0) return false;
  for (int64_t first = 0; first < range->length;) {
    int64_t end = first + 1;
    while (end < range->length && codes[end] == codes[first] &&
           (!is_dense ||
            (left[end] - left[first] == end - first && right[end] - right[first] == end - first)))
      end++;
    int64_t left_start = is_dense ? left[first] : left_slot(range) + first;
    int64_t right_start = is_dense ? right[first] : right_slot(range) + first;
    if (!child_equal(comparing, layout, range, layout->child_of_code[codes[first]], left_start,
                     right_start, end - first))
      return false;
    first = end;
  }
  return true;
}

/* `range` has no nulls of its own. */
static bool values_equal(struct comparing *comparing, const struct layout *layout,
                         const struct range *range) {
  enum arrow_kind kind = layout->type.kind;
  if (layout_offset_bytes(kind) > 0) return pieces_equal(comparing, layout, range);
  if (layout_is_list_view(kind)) return list_views_equal(comparing, layout, range);
  if (layout_is_union(kind)) return unions_equal(comparing, layout, range);
  if (layout_is_view(kind)) return views_equal(range);
  switch (kind) {
  case ARROW_NULL: return true;
  case ARROW_BOOL:
    return bits_equal(range->left->buffers[1], left_slot(range), range->right->buffers[1],
                      right_slot(range), range->length);
  case ARROW_STRUCT: return structs_equal(comparing, layout, range);
  case ARROW_FIXED_SIZE_LIST: {
    int64_t size = layout->type.fixed_size;
    return child_equal(comparing, layout, range, 0, left_slot(range) * size,
                       right_slot(range) * size, range->length * size);
  }
  default: return fixed_equal(layout, range);
  }
}

/* ---- run ends ---------------------------------------------------------------------------- */

/* At the run where slot `slot` lies, counted from the beginning of the runs. */
static struct array_runs runs_at(const struct layout *layout, const struct ArrowArray *array,
                                 int64_t slot) {
  struct array_runs runs = array_runs_of(layout, array);
  bool found = array_runs_find(&runs, slot);
  assert(found);
  (void)found;
  return runs;
}

static bool runs_equal(struct comparing *comparing, const struct layout *layout,
                       const struct range *range) {
  int64_t left = left_slot(range);
  int64_t right = right_slot(range);
  struct array_runs left_runs = runs_at(layout, range->left, left);
  struct array_runs right_runs = runs_at(layout, range->right, right);
  for (int64_t seen = 0; seen < range->length;) {
    if (!child_equal(comparing, layout, range, RUN_VALUES, left_runs.run, right_runs.run, 1))
      return false;
    int64_t left_rest = array_runs_end(&left_runs) - left - seen;
    int64_t right_rest = array_runs_end(&right_runs) - right - seen;
    int64_t step = left_rest < right_rest ? left_rest : right_rest;
    seen += step;
    left_runs.run += left_rest == step;
    right_runs.run += right_rest == step;
  }
  return true;
}

/* ---- dictionaries ------------------------------------------------------------------------ */

static int64_t index_at(enum arrow_kind kind, const void *values, int64_t i) {
  switch (kind) {
  case ARROW_INT8: return ((const int8_t *)values)[i];
  case ARROW_UINT8: return ((const uint8_t *)values)[i];
  case ARROW_INT16: return ((const int16_t *)values)[i];
  case ARROW_UINT16: return ((const uint16_t *)values)[i];
  case ARROW_INT32: return ((const int32_t *)values)[i];
  case ARROW_UINT32: return ((const uint32_t *)values)[i];
  default: return ((const int64_t *)values)[i];
  }
}

/* Whether slot `slot` reads as a null: its own, or that of the value it stands for. */
static bool reads_null(const struct layout *layout, const struct ArrowArray *array, int64_t slot) {
  for (;;) {
    if (layout->type.kind == ARROW_NULL) return true;
    if (!is_valid(validity_of(layout, array), array, slot)) return true;
    if (layout->dictionary != NULL) {
      slot = index_at(layout->type.kind, array->buffers[1], array->offset + slot);
      layout = layout->dictionary;
      array = array->dictionary;
    } else if (layout->type.kind == ARROW_RUN_END_ENCODED) {
      slot = runs_at(layout, array, array->offset + slot).run;
      layout = &layout->children[RUN_VALUES];
      array = array->children[RUN_VALUES];
    } else {
      return false;
    }
  }
}

/* Slot by slot; a null index is the same as an index of a null. */
static bool looked_up_equal(struct comparing *comparing, const struct layout *layout,
                            const struct range *range) {
  const uint8_t *left_validity = validity_of(layout, range->left);
  const uint8_t *right_validity = validity_of(layout, range->right);
  const void *left_indices = left_at(range, 1, layout->type.bit_width / 8);
  const void *right_indices = right_at(range, 1, layout->type.bit_width / 8);
  int64_t left_known = -1; /* the pair that was found to be the same last */
  int64_t right_known = -1;
  for (int64_t i = 0; i < range->length; i++) {
    bool has_left = is_valid(left_validity, range->left, range->left_start + i);
    bool has_right = is_valid(right_validity, range->right, range->right_start + i);
    int64_t left = has_left ? index_at(layout->type.kind, left_indices, i) : 0;
    int64_t right = has_right ? index_at(layout->type.kind, right_indices, i) : 0;
    bool same;
    if (has_left && has_right) {
      same = (left == left_known && right == right_known) ||
             dictionary_equal(comparing, layout, range, left, right, 1);
      left_known = left;
      right_known = right;
    } else {
      same = (!has_left || reads_null(layout->dictionary, range->left->dictionary, left)) &&
             (!has_right || reads_null(layout->dictionary, range->right->dictionary, right));
    }
    if (!same) return false;
  }
  return true;
}

/* Both arrays have the very same dictionary: slices of one array, batches of one stream. */
static bool is_shared(const struct ArrowArray *left, const struct ArrowArray *right) {
  if (left == right) return true;
  if (left->n_buffers != right->n_buffers || left->offset != right->offset ||
      left->n_children != right->n_children || left->n_buffers == 0 ||
      left->length != right->length || left->null_count != right->null_count)
    return false;
  for (int64_t i = 0; i < left->n_buffers; i++)
    if (left->buffers[i] != right->buffers[i]) return false;
  for (int64_t i = 0; i < left->n_children; i++)
    if (!is_shared(left->children[i], right->children[i])) return false;
  return (left->dictionary == NULL) == (right->dictionary == NULL) &&
         (left->dictionary == NULL || is_shared(left->dictionary, right->dictionary));
}

/* ---- nodes ------------------------------------------------------------------------------- */

/* Whether the same slots are null, and the others the same. */
static bool slots_equal(struct comparing *comparing, const struct layout *layout,
                        const struct range *range) {
  const uint8_t *left = validity_of(layout, range->left);
  const uint8_t *right = validity_of(layout, range->right);
  if (left == NULL && right == NULL) return values_equal(comparing, layout, range);
  if (left != NULL && right != NULL) {
    if (!bits_equal(left, left_slot(range), right, right_slot(range), range->length)) return false;
  } else {
    int64_t valid = left != NULL ? bitmap_count(left, left_slot(range), range->length)
                                 : bitmap_count(right, right_slot(range), range->length);
    return valid == range->length && values_equal(comparing, layout, range);
  }
  for (int64_t i = 0; i < range->length;) {
    i += bits_alike(left, left_slot(range) + i, range->length - i, false);
    int64_t valid = bits_alike(left, left_slot(range) + i, range->length - i, true);
    const struct range part = {range->left, range->right, range->left_start + i,
                               range->right_start + i, valid};
    if (valid > 0 && !values_equal(comparing, layout, &part)) return false;
    i += valid;
  }
  return true;
}

static bool range_equal(struct comparing *comparing, const struct layout *layout,
                        const struct range *range) {
  if (layout->type.kind == ARROW_RUN_END_ENCODED) return runs_equal(comparing, layout, range);
  if (layout->dictionary == NULL) return slots_equal(comparing, layout, range);
  /* Equal indices into one dictionary are equal values; others may be, too. */
  if (is_shared(range->left->dictionary, range->right->dictionary) &&
      slots_equal(comparing, layout, range))
    return true;
  return looked_up_equal(comparing, layout, range);
}

static bool node_equal(struct comparing *comparing, const struct layout *layout,
                       const struct range *range) {
  if (range->length == 0 || range_equal(comparing, layout, range)) return true;
  if (comparing->names_place && comparing->layout == NULL) {
    comparing->layout = layout;
    comparing->slot = *range;
  }
  return false;
}

/* ---- telling ----------------------------------------------------------------------------- */

/* The value as JSON, cut where it is long. */
static enum status print_value(struct columns *columns, const struct ArrowArray *batch,
                               const struct layout *layout, int64_t slot, char text[VALUE_BYTES]) {
  struct buffer json = BUFFER_EMPTY;
  struct pen pen;
  enum status status = columns_bind(columns, batch, NULL);
  pen_open(&pen, &json, columns->budget);
  if (status == STATUS_OK) status = value_write(columns, layout, slot, VALUE_JSON, &pen, NULL);
  pen_close(&pen);
  if (status == STATUS_OK) {
    bool is_cut = json.size_bytes >= VALUE_BYTES;
    int bytes = (int)(is_cut ? VALUE_BYTES - 4 : json.size_bytes);
    while (is_cut && bytes > 0 && (json.data[bytes] & 0xC0) == 0x80) bytes--;
    snprintf(text, VALUE_BYTES, "%.*s%s", bytes, (const char *)json.data, is_cut ? "..." : "");
  }
  buffer_release(&json);
  return status;
}

/* Says which row of `range`, the whole arrays, differs, in which field, and what is there as
 * far as there is memory for that. */
static void tell(struct comparing *comparing, const struct layout *layout,
                 const struct range *range, struct error *where) {
  struct range row = first_that_differs(comparing, layout, range);
  comparing->names_place = true;
  bool same = node_equal(comparing, layout, &row);
  assert(!same && comparing->layout != NULL);
  (void)same;
  char left[VALUE_BYTES];
  char right[VALUE_BYTES];
  struct budget budget = {.limit_bytes = texts_max_bytes};
  struct columns columns = {0};
  const struct range *slot = &comparing->slot;
  enum status status = columns_init(&columns, layout->schema, &budget, NULL);
  if (status == STATUS_OK)
    status = print_value(&columns, range->left, comparing->layout, slot->left_start, left);
  if (status == STATUS_OK)
    status = print_value(&columns, range->right, comparing->layout, slot->right_start, right);
  columns_release(&columns);
  error_set(where, STATUS_INVALID, "row %" PRId64 " differs", row.left_start);
  if (status == STATUS_OK && strcmp(left, right) != 0)
    error_set(where, STATUS_INVALID, "row %" PRId64 " differs: %s and %s", row.left_start, left,
              right);
  if (comparing->place[0] != '\0') error_at(where, "%s", comparing->place);
}

bool arrow_array_equal(const struct ArrowSchema *schema, const struct ArrowArray *left,
                       const struct ArrowArray *right, struct error *where) {
  struct array_root root;
  struct array_root_batch left_batch;
  struct array_root_batch right_batch;
  struct layout *layout = NULL;
  int64_t count = 0;
  if (left->length != right->length) {
    error_set(where, STATUS_INVALID, "one has %" PRId64 " rows, the other %" PRId64, left->length,
              right->length);
    return false;
  }
  if (layout_new(array_root_schema(&root, schema, false), NULL, &layout, &count, where) !=
      STATUS_OK)
    return false;
  struct comparing comparing = {0};
  const struct range range = {.left = array_root_array(&root, left, &left_batch),
                              .right = array_root_array(&root, right, &right_batch),
                              .length = left->length};
  bool same = node_equal(&comparing, layout, &range);
  if (!same && where != NULL) tell(&comparing, layout, &range, where);
  layout_free(layout);
  return same;
}
