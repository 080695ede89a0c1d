/* Reads every value of an array as a consumer does that trusts what the reader let
 * through: offsets are followed, indices looked up, and each byte that a value has is
 * touched, so that a sanitizer sees a step outside. What many slots may point to at once
 * (a dictionary's values, items of list views, children of dense unions, values of runs)
 * is looked up for each slot and touched once, with the node that it lies in: else a few
 * bytes would make work for hours. A header, because the fuzz targets walk too. */
#ifndef ARROWPORT_TESTS_ARROW_ARRAY_WALK_H
#define ARROWPORT_TESTS_ARROW_ARRAY_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "arrow/abi.h"
#include "arrow/bitmap.h"
#include "arrow/layout.h"
#include "arrow/schema.h"
#include "base/text.h"

struct array_walk {
  uint64_t sum;       /* of all that was touched: nothing may be optimised away */
  const char *broken; /* the first promise that does not hold; NULL: all do */
  const char *field;
};

static void walk_slots(struct array_walk *walk, const struct ArrowSchema *schema,
                       const struct ArrowArray *array, int64_t start, int64_t length);

static inline void walk_expect(struct array_walk *walk, const struct ArrowSchema *schema,
                               bool holds, const char *promise) {
  if (holds || walk->broken != NULL) return;
  walk->broken = promise;
  walk->field = schema->name == NULL ? "" : schema->name;
}

static inline void walk_touch(struct array_walk *walk, const void *data, int64_t bytes) {
  const uint8_t *from = data;
  for (int64_t i = 0; i < bytes; i++) walk->sum = walk->sum * 31 + from[i];
}

/* Of slot `slot`, counted from the beginning of the buffers, of a type with validity. */
static inline bool walk_is_valid(const struct ArrowArray *array, int64_t slot) {
  const uint8_t *validity = array->n_buffers > 0 ? array->buffers[0] : NULL;
  return validity == NULL || bitmap_get(validity, slot);
}

static void walk_nulls(struct array_walk *walk, const struct ArrowSchema *schema,
                       const struct ArrowArray *array, const struct arrow_type *type) {
  if (type->kind == ARROW_NULL || array->null_count < 0) return;
  int64_t nulls = 0;
  bool has_bitmap =
      layout_has_validity(type->kind) && array->n_buffers > 0 && array->buffers[0] != NULL;
  for (int64_t i = 0; has_bitmap && i < array->length; i++)
    nulls += !walk_is_valid(array, array->offset + i);
  walk_expect(walk, schema, nulls == array->null_count, "the count of nulls is the bitmap's");
}

static void walk_bytes(struct array_walk *walk, const struct ArrowSchema *schema,
                       const struct ArrowArray *array, const struct arrow_type *type, int64_t slot,
                       int64_t length) {
  int64_t offset_bytes = layout_offset_bytes(type->kind);
  bool is_text = type->kind == ARROW_UTF8 || type->kind == ARROW_LARGE_UTF8;
  const uint8_t *data = array->buffers[2];
  for (int64_t end = slot + length; slot < end && walk->broken == NULL; slot++) {
    int64_t from = layout_offset(array->buffers[1], offset_bytes, slot);
    int64_t to = layout_offset(array->buffers[1], offset_bytes, slot + 1);
    walk_expect(walk, schema, from >= 0 && to >= from, "offsets do not fall");
    if (walk->broken != NULL || from == to) continue;
    walk_touch(walk, data + from, to - from);
    if (is_text && walk_is_valid(array, slot))
      walk_expect(walk, schema,
                  utf8_valid_bytes(data + from, (size_t)(to - from)) == (size_t)(to - from),
                  "text is UTF-8");
  }
}

/* Where a view's bytes lie; NULL when the view is broken. */
static inline const uint8_t *walk_view_data(const struct ArrowArray *array, const uint8_t *view,
                                            int32_t length) {
  int64_t data_count = array->n_buffers - 3;
  const int64_t *sizes = array->buffers[array->n_buffers - 1];
  int32_t place[2]; /* data buffer, offset in it */
  if (length < 0) return NULL;
  if (length <= VIEW_INLINE_BYTES) return view + sizeof length;
  memcpy(place, view + 8, sizeof place);
  if (place[0] < 0 || place[0] >= data_count || place[1] < 0 || place[1] > sizes[place[0]] ||
      length > sizes[place[0]] - place[1])
    return NULL;
  const uint8_t *data = (const uint8_t *)array->buffers[2 + place[0]] + place[1];
  return memcmp(data, view + sizeof length, 4) == 0 ? data : NULL;
}

static void walk_views(struct array_walk *walk, const struct ArrowSchema *schema,
                       const struct ArrowArray *array, const struct arrow_type *type, int64_t slot,
                       int64_t length) {
  for (int64_t end = slot + length; slot < end && walk->broken == NULL; slot++) {
    const uint8_t *view = (const uint8_t *)array->buffers[1] + slot * VIEW_BYTES;
    int32_t bytes;
    if (!walk_is_valid(array, slot)) continue;
    memcpy(&bytes, view, sizeof bytes);
    const uint8_t *data = walk_view_data(array, view, bytes);
    walk_expect(walk, schema, data != NULL, "a view's bytes are there, and begin as it says");
    if (walk->broken != NULL) continue;
    walk_touch(walk, data, bytes);
    if (type->kind == ARROW_UTF8_VIEW)
      walk_expect(walk, schema, utf8_valid_bytes(data, (size_t)bytes) == (size_t)bytes,
                  "text is UTF-8");
  }
}

static void walk_list(struct array_walk *walk, const struct ArrowSchema *schema,
                      const struct ArrowArray *array, const struct arrow_type *type, int64_t slot,
                      int64_t length) {
  int64_t offset_bytes = layout_offset_bytes(type->kind);
  for (int64_t end = slot + length; slot < end && walk->broken == NULL; slot++) {
    int64_t from = layout_offset(array->buffers[1], offset_bytes, slot);
    int64_t to = layout_offset(array->buffers[1], offset_bytes, slot + 1);
    walk_expect(walk, schema, from >= 0 && to >= from && to <= array->children[0]->length,
                "a list's items are there");
    if (walk->broken == NULL)
      walk_slots(walk, schema->children[0], array->children[0], from, to - from);
  }
}

static void walk_list_views(struct array_walk *walk, const struct ArrowSchema *schema,
                            const struct ArrowArray *array, const struct arrow_type *type,
                            int64_t slot, int64_t length) {
  int64_t width = layout_list_view_bytes(type->kind);
  int64_t items = array->children[0]->length;
  for (int64_t end = slot + length; slot < end && walk->broken == NULL; slot++) {
    int64_t from = layout_offset(array->buffers[1], width, slot);
    int64_t size = layout_offset(array->buffers[2], width, slot);
    walk_expect(walk, schema, from >= 0 && size >= 0 && from <= items && size <= items - from,
                "a list view's items are there");
    walk->sum = walk->sum * 31 + (uint64_t)size;
  }
}

/* The child of a union's slot; -1 when no child has its type id. The ids stand in the format
 * behind its colon, "+ud:4,2". */
static inline int64_t walk_union_child(const struct ArrowSchema *schema, int8_t code) {
  const char *at = strchr(schema->format, ':');
  for (int64_t i = 0; at != NULL && i < schema->n_children; i++, at = strchr(at, ',')) {
    int id = 0;
    for (at++; *at >= '0' && *at <= '9'; at++) id = id * 10 + (*at - '0');
    if (id == code) return i;
  }
  return -1;
}

static void walk_union(struct array_walk *walk, const struct ArrowSchema *schema,
                       const struct ArrowArray *array, const struct arrow_type *type, int64_t slot,
                       int64_t length) {
  bool is_sparse = type->kind == ARROW_SPARSE_UNION;
  const int8_t *codes = array->buffers[0];
  int64_t child_of_code[UNION_CODES];
  for (int8_t code = 0;; code++) {
    child_of_code[code] = walk_union_child(schema, code);
    if (code == UNION_CODES - 1) break;
  }
  for (int64_t i = 0; is_sparse && i < array->n_children; i++)
    walk_slots(walk, schema->children[i], array->children[i], slot, length);
  for (int64_t end = slot + length; slot < end && walk->broken == NULL; slot++) {
    int64_t child = codes[slot] < 0 ? -1 : child_of_code[codes[slot]];
    walk_expect(walk, schema, child >= 0, "a type id is one of the union's");
    if (walk->broken != NULL || is_sparse) continue;
    int32_t place = ((const int32_t *)array->buffers[1])[slot];
    walk_expect(walk, schema, place >= 0 && place < array->children[child]->length,
                "a union's value is there");
    walk->sum = walk->sum * 31 + (uint64_t)place;
  }
}

/* Run `run` of a checked array of run ends. */
static inline int64_t walk_run_end(const struct ArrowArray *ends, enum arrow_kind kind,
                                   int64_t run) {
  run += ends->offset;
  return kind == ARROW_INT16   ? ((const int16_t *)ends->buffers[1])[run]
         : kind == ARROW_INT32 ? ((const int32_t *)ends->buffers[1])[run]
                               : ((const int64_t *)ends->buffers[1])[run];
}

static void walk_runs(struct array_walk *walk, const struct ArrowSchema *schema,
                      const struct ArrowArray *array, int64_t slot, int64_t length) {
  const struct ArrowArray *ends = array->children[RUN_ENDS];
  struct arrow_type type;
  walk_expect(
      walk, schema,
      arrow_type_parse(schema->children[RUN_ENDS]->format, &type, NULL) == STATUS_OK &&
          (type.kind == ARROW_INT16 || type.kind == ARROW_INT32 || type.kind == ARROW_INT64),
      "run ends are signed integers");
  walk_expect(walk, schema, ends->null_count == 0, "no run end is null");
  walk_expect(walk, schema, ends->length <= array->children[RUN_VALUES]->length,
              "each run has a value");
  int64_t before = 0;
  for (int64_t i = 0; i < ends->length && walk->broken == NULL; i++) {
    int64_t end = walk_run_end(ends, type.kind, i);
    walk_expect(walk, schema, end > before, "run ends rise");
    before = end;
  }
  walk_expect(walk, schema, before >= slot + length, "runs reach to the last slot");
}

static int64_t walk_index(const struct ArrowArray *array, enum arrow_kind kind, int64_t slot) {
  switch (kind) {
  case ARROW_INT8: return ((const int8_t *)array->buffers[1])[slot];
  case ARROW_UINT8: return ((const uint8_t *)array->buffers[1])[slot];
  case ARROW_INT16: return ((const int16_t *)array->buffers[1])[slot];
  case ARROW_UINT16: return ((const uint16_t *)array->buffers[1])[slot];
  case ARROW_INT32: return ((const int32_t *)array->buffers[1])[slot];
  case ARROW_UINT32: return ((const uint32_t *)array->buffers[1])[slot];
  default: return ((const int64_t *)array->buffers[1])[slot];
  }
}

static void walk_indices(struct array_walk *walk, const struct ArrowSchema *schema,
                         const struct ArrowArray *array, const struct arrow_type *type,
                         int64_t slot, int64_t length) {
  for (int64_t end = slot + length; slot < end && walk->broken == NULL; slot++) {
    if (!walk_is_valid(array, slot)) continue;
    int64_t index = walk_index(array, type->kind, slot);
    walk_expect(walk, schema, index >= 0 && index < array->dictionary->length,
                "an index is one of the dictionary's");
    walk->sum += (uint64_t)index;
  }
}

/* Slots [slot, slot + length) of a node whose length has been checked. */
static void walk_values(struct array_walk *walk, const struct ArrowSchema *schema,
                        const struct ArrowArray *array, const struct arrow_type *type, int64_t slot,
                        int64_t length) {
  if (length == 0) return;
  if (schema->dictionary != NULL) {
    walk_indices(walk, schema, array, type, slot, length);
  } else if (layout_is_bytes(type->kind)) {
    walk_bytes(walk, schema, array, type, slot, length);
  } else if (layout_is_view(type->kind)) {
    walk_views(walk, schema, array, type, slot, length);
  } else if (layout_is_list(type->kind)) {
    walk_list(walk, schema, array, type, slot, length);
  } else if (layout_is_list_view(type->kind)) {
    walk_list_views(walk, schema, array, type, slot, length);
  } else if (layout_is_union(type->kind)) {
    walk_union(walk, schema, array, type, slot, length);
  } else if (type->kind == ARROW_RUN_END_ENCODED) {
    walk_runs(walk, schema, array, slot, length);
  } else if (type->kind == ARROW_STRUCT) {
    for (int64_t i = 0; i < array->n_children; i++)
      walk_slots(walk, schema->children[i], array->children[i], slot, length);
  } else if (type->kind == ARROW_FIXED_SIZE_LIST) {
    walk_slots(walk, schema->children[0], array->children[0], slot * type->fixed_size,
               length * type->fixed_size);
  } else if (type->kind == ARROW_BOOL) {
    for (int64_t i = slot; i < slot + length; i++)
      walk->sum = walk->sum * 31 + bitmap_get(array->buffers[1], i);
  } else if (layout_is_fixed(type)) {
    int64_t bytes = layout_value_bytes(type);
    if (bytes > 0)
      walk_touch(walk, (const uint8_t *)array->buffers[1] + slot * bytes, length * bytes);
  } else {
    walk_expect(walk, schema, type->kind == ARROW_NULL, "the type is one that can be walked");
  }
}

static void walk_slots(struct array_walk *walk, const struct ArrowSchema *schema,
                       const struct ArrowArray *array, int64_t start, int64_t length) {
  struct arrow_type type;
  if (walk->broken != NULL) return;
  walk_expect(walk, schema, arrow_type_parse(schema->format, &type, NULL) == STATUS_OK,
              "the format is known");
  walk_expect(walk, schema,
              array->n_children == schema->n_children &&
                  (array->dictionary == NULL) == (schema->dictionary == NULL),
              "the array has its schema's shape");
  walk_expect(walk, schema, start >= 0 && length >= 0 && length <= array->length - start,
              "the slots are there");
  if (walk->broken == NULL) walk_values(walk, schema, array, &type, array->offset + start, length);
}

/* Every node once for itself: its nulls, and its values from end to end, whether or
 * not a parent refers to them. */
static void walk_nodes(struct array_walk *walk, const struct ArrowSchema *schema,
                       const struct ArrowArray *array) {
  struct arrow_type type;
  walk_slots(walk, schema, array, 0, array->length);
  if (walk->broken != NULL || arrow_type_parse(schema->format, &type, NULL) != STATUS_OK) return;
  walk_nulls(walk, schema, array, &type);
  for (int64_t i = 0; i < array->n_children; i++)
    walk_nodes(walk, schema->children[i], array->children[i]);
  if (array->dictionary != NULL) walk_nodes(walk, schema->dictionary, array->dictionary);
}

/* NULL when every promise holds, else which does not. */
static inline const char *array_walk(const struct ArrowSchema *schema,
                                     const struct ArrowArray *array, uint64_t *sum) {
  struct array_walk walk = {.sum = 1};
  walk_nodes(&walk, schema, array);
  if (sum != NULL) *sum = walk.sum;
  return walk.broken;
}

#endif
