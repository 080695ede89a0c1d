/* How each type lies in memory (Columnar format, "Physical memory layout"), and a
 * schema as the tree that walks over arrays follow. Inside the room only. */
#ifndef ARROWPORT_ARROW_LAYOUT_H
#define ARROWPORT_ARROW_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/schema.h"
#include "base/status.h"

enum { VIEW_BYTES = 16, VIEW_INLINE_BYTES = 12 };
enum { UNION_CODES = 128 };    /* type ids of a union's slots are 0 to 127 */
enum { RUN_ENDS, RUN_VALUES }; /* children of a run-end encoded array */

/* Buffers in the C data interface, without the data buffers of views. */
int64_t layout_buffer_count(enum arrow_kind kind);

/* ---- kinds ------------------------------------------------------------------------ */

/* Text and binary: with offsets, or as views. */
static inline bool layout_is_view(enum arrow_kind kind) {
  return kind == ARROW_BINARY_VIEW || kind == ARROW_UTF8_VIEW;
}
static inline bool layout_is_bytes(enum arrow_kind kind) {
  return kind == ARROW_BINARY || kind == ARROW_UTF8 || kind == ARROW_LARGE_BINARY ||
         kind == ARROW_LARGE_UTF8;
}
/* Items of any number in each slot. */
static inline bool layout_is_list(enum arrow_kind kind) {
  return kind == ARROW_LIST || kind == ARROW_LARGE_LIST || kind == ARROW_MAP;
}
/* An offset and a size for each slot. */
static inline bool layout_is_list_view(enum arrow_kind kind) {
  return kind == ARROW_LIST_VIEW || kind == ARROW_LARGE_LIST_VIEW;
}
static inline bool layout_is_union(enum arrow_kind kind) {
  return kind == ARROW_DENSE_UNION || kind == ARROW_SPARSE_UNION;
}
/* Types whose arrays begin with a validity bitmap. */
static inline bool layout_has_validity(enum arrow_kind kind) {
  return kind != ARROW_NULL && kind != ARROW_RUN_END_ENCODED && !layout_is_union(kind);
}
/* Width of one of `length` + 1 offsets: 4 or 8; 0 where the type has none. */
static inline int64_t layout_offset_bytes(enum arrow_kind kind) {
  if (kind == ARROW_LARGE_BINARY || kind == ARROW_LARGE_UTF8 || kind == ARROW_LARGE_LIST) return 8;
  return layout_is_bytes(kind) || layout_is_list(kind) ? 4 : 0;
}
/* Width of a list view's offsets and sizes: 4 or 8; 0 for other types. */
static inline int64_t layout_list_view_bytes(enum arrow_kind kind) {
  return kind == ARROW_LARGE_LIST_VIEW ? 8 : kind == ARROW_LIST_VIEW ? 4 : 0;
}
/* Width of a value that lies in the values buffer by itself; 0 for other types, and
 * for fixed-size binary of no bytes. */
static inline int64_t layout_value_bytes(const struct arrow_type *type) {
  if (type->kind == ARROW_FIXED_SIZE_BINARY) return type->fixed_size;
  return type->kind == ARROW_BOOL ? 0 : type->bit_width / 8;
}
/* Bytes in the values buffer by themselves, be it none. */
static inline bool layout_is_fixed(const struct arrow_type *type) {
  return type->kind == ARROW_FIXED_SIZE_BINARY || layout_value_bytes(type) > 0;
}
/* An integer type, which may index a dictionary. */
static inline bool layout_is_integer(enum arrow_kind kind) {
  return kind >= ARROW_INT8 && kind <= ARROW_UINT64;
}

/* An offset of `offset_bytes` 4 or 8. */
static inline int64_t layout_offset(const void *offsets, int64_t offset_bytes, int64_t index) {
  return offset_bytes == 8 ? ((const int64_t *)offsets)[index] : ((const int32_t *)offsets)[index];
}

/* A run end of `width_bytes` 2, 4 or 8. */
static inline int64_t layout_run_end(const void *ends, int64_t width_bytes, int64_t index) {
  return width_bytes == 2   ? ((const int16_t *)ends)[index]
         : width_bytes == 4 ? ((const int32_t *)ends)[index]
                            : ((const int64_t *)ends)[index];
}

/* ---- trees ------------------------------------------------------------------------ */

struct layout {
  const struct ArrowSchema *schema;
  struct arrow_type type; /* of the indices, where there is a dictionary */
  struct layout *children;
  int64_t child_count;
  struct layout *dictionary; /* NULL without one */
  int8_t *child_of_code;     /* of a union, by type id: the child, or -1; NULL for other types */
  int64_t index;             /* of the node: in the order of the schema, from 0 on */
};

/* The tree of `schema`, a struct, which must outlive it; `*node_count` nodes.
 * STATUS_INVALID when a field lacks the children its type needs, or nests too deep. With
 * `cannot` ("cannot be built"), STATUS_UNSUPPORTED names a field that is a union, a list
 * view or run-end encoded. */
enum status layout_new(const struct ArrowSchema *schema, const char *cannot, struct layout **layout,
                       int64_t *node_count, struct error *error) WARN_UNUSED;
void layout_free(struct layout *layout); /* NULL is allowed */

/* The field's name, "" without one. */
static inline const char *layout_name(const struct layout *layout) {
  return layout->schema->name == NULL ? "" : layout->schema->name;
}

/* Whether slots [start, start + length) of `array` can be walked by this node: it has
 * the buffers and children that the type needs, and as many slots. Not its children's
 * own, nor what offsets say. STATUS_INVALID names the field. */
enum status layout_check(const struct layout *layout, const struct ArrowArray *array, int64_t start,
                         int64_t length, struct error *error) WARN_UNUSED;

/* Nulls among slots [start, start + length) of a checked array. STATUS_INVALID when
 * it counts nulls and has no bitmap that says which. */
enum status layout_nulls(const struct layout *layout, const struct ArrowArray *array, int64_t start,
                         int64_t length, int64_t *nulls, struct error *error) WARN_UNUSED;

#endif
