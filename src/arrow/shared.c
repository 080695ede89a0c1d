#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "arrow/bitmap.h"
#include "arrow/layout.h"
#include "arrow/schema.h"
#include "arrow/tree.h"

struct arrow_shared {
  _Atomic int64_t owners;
  struct ArrowArray array;
};

enum status arrow_shared_new(struct ArrowArray *array, struct arrow_shared **shared,
                             struct error *error) {
  *shared = malloc(sizeof **shared);
  if (*shared == NULL) return error_set(error, STATUS_NOMEM, "no memory to share a record batch");
  atomic_init(&(*shared)->owners, 1);
  arrow_array_move(array, &(*shared)->array);
  return STATUS_OK;
}

const struct ArrowArray *arrow_shared_array(const struct arrow_shared *shared) {
  return &shared->array;
}

struct arrow_shared *arrow_shared_share(struct arrow_shared *shared) {
  atomic_fetch_add(&shared->owners, 1);
  return shared;
}

void arrow_shared_release(struct arrow_shared *shared) {
  if (shared == NULL || atomic_fetch_sub(&shared->owners, 1) != 1) return;
  arrow_array_release(&shared->array);
  free(shared);
}

/* Nulls of a slice: none of none, all where there can be nothing else, else unknown. */
static int64_t slice_null_count(const struct ArrowArray *array, int64_t rows) {
  if (rows == array->length) return array->null_count;
  return array->null_count == 0 ? 0 : array->null_count == array->length ? rows : -1;
}

enum status arrow_shared_slice(struct arrow_shared *shared, int64_t offset, int64_t rows,
                               struct ArrowArray *out, struct error *error) {
  const struct ArrowArray *array = &shared->array;
  assert(offset >= 0 && rows >= 0 && rows <= array->length - offset);
  out->release = NULL;
  struct array_tree_size size = {.holds = 1};
  array_tree_measure(array, &size);
  struct array_tree *tree = NULL;
  enum status status = array_tree_new(&size, &tree, error);
  if (status != STATUS_OK) return status;
  array_tree_hold_shared(tree, arrow_shared_share(shared));

  struct ArrowArray *root = array_tree_copy(tree, array);
  for (int64_t i = 0; i < root->n_children; i++) {
    struct ArrowArray *child = root->children[i];
    child->null_count = slice_null_count(array->children[i], rows);
    child->offset += array->offset + offset;
    child->length = rows;
  }
  root->null_count = slice_null_count(array, rows);
  root->offset = 0;
  root->length = rows;
  array_tree_finish(tree, out);
  return STATUS_OK;
}

/* ---- sizes ---------------------------------------------------------------------------- */

/* What the slots [first, first + length) have in the node's own buffers. */
static int64_t own_bytes(const struct arrow_type *type, const struct ArrowArray *array,
                         int64_t first, int64_t length) {
  enum arrow_kind kind = type->kind;
  int64_t bytes = layout_has_validity(kind) && array->buffers[0] != NULL ? bitmap_bytes(length) : 0;
  int64_t offset_bytes = layout_offset_bytes(kind);
  if (offset_bytes > 0) bytes += (length + 1) * offset_bytes;
  if (layout_is_bytes(kind))
    bytes += layout_offset(array->buffers[1], offset_bytes, first + length) -
             layout_offset(array->buffers[1], offset_bytes, first);
  if (kind == ARROW_BOOL) bytes += bitmap_bytes(length);
  if (layout_is_fixed(type)) bytes += length * layout_value_bytes(type);
  if (layout_is_list_view(kind)) bytes += 2 * length * layout_list_view_bytes(kind);
  if (layout_is_union(kind)) bytes += length * (kind == ARROW_DENSE_UNION ? 5 : 1);
  if (!layout_is_view(kind)) return bytes;
  const int32_t *views = array->buffers[1];
  for (int64_t i = first; i < first + length; i++) {
    int32_t view_bytes = views[i * (VIEW_BYTES / 4)];
    bytes += VIEW_BYTES + (view_bytes > VIEW_INLINE_BYTES ? view_bytes : 0);
  }
  return bytes;
}

static int64_t node_bytes(const struct ArrowSchema *schema, const struct ArrowArray *array,
                          int64_t start, int64_t length) {
  struct arrow_type type;
  if (length == 0 || arrow_type_parse(schema->format, &type, NULL) != STATUS_OK) return 0;
  int64_t first = array->offset + start;
  int64_t bytes = own_bytes(&type, array, first, length);
  /* Slots of list views, dense unions and runs are anywhere in their children. */
  bool is_whole = layout_is_list_view(type.kind) || type.kind == ARROW_DENSE_UNION ||
                  type.kind == ARROW_RUN_END_ENCODED;
  int64_t item_start = first;
  int64_t item_length = length;
  if (layout_is_list(type.kind)) {
    int64_t offset_bytes = layout_offset_bytes(type.kind);
    item_start = layout_offset(array->buffers[1], offset_bytes, first);
    item_length = layout_offset(array->buffers[1], offset_bytes, first + length) - item_start;
  } else if (type.kind == ARROW_FIXED_SIZE_LIST) {
    item_start = first * type.fixed_size;
    item_length = length * type.fixed_size;
  }
  for (int64_t i = 0; i < array->n_children; i++) {
    const struct ArrowArray *child = array->children[i];
    bytes += is_whole ? node_bytes(schema->children[i], child, 0, child->length)
                      : node_bytes(schema->children[i], child, item_start, item_length);
  }
  if (array->dictionary != NULL)
    bytes += node_bytes(schema->dictionary, array->dictionary, 0, array->dictionary->length);
  return bytes;
}

int64_t arrow_array_bytes(const struct ArrowSchema *schema, const struct ArrowArray *array) {
  return node_bytes(schema, array, 0, array->length);
}
