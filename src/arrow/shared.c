#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

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

static int64_t bits_to_bytes(int64_t bits) { return (bits + 7) / 8; }

static int64_t node_bytes(const struct ArrowSchema *schema, const struct ArrowArray *array,
                          int64_t start, int64_t length) {
  struct arrow_type type;
  if (length == 0 || arrow_type_parse(schema->format, &type, NULL) != STATUS_OK) return 0;
  int64_t first = array->offset + start;
  int64_t bytes = array->n_buffers > 0 && array->buffers[0] != NULL ? bits_to_bytes(length) : 0;
  int64_t offset_bytes = layout_offset_bytes(type.kind);
  int64_t item_start = start;
  int64_t item_length = length;
  if (offset_bytes > 0) {
    const void *offsets = array->buffers[1];
    item_start = layout_offset(offsets, offset_bytes, first);
    item_length = layout_offset(offsets, offset_bytes, first + length) - item_start;
    bytes += (length + 1) * offset_bytes;
    if (layout_is_bytes(type.kind)) bytes += item_length;
  } else if (type.kind == ARROW_FIXED_SIZE_LIST) {
    item_start = first * type.fixed_size;
    item_length = length * type.fixed_size;
  } else if (type.kind == ARROW_STRUCT) {
    item_start = first;
  } else if (layout_is_view(type.kind)) {
    const int32_t *views = array->buffers[1];
    for (int64_t i = first; i < first + length; i++) {
      int32_t view_bytes = views[i * (VIEW_BYTES / 4)];
      bytes += VIEW_BYTES + (view_bytes > VIEW_INLINE_BYTES ? view_bytes : 0);
    }
  } else {
    bytes += type.kind == ARROW_BOOL ? bits_to_bytes(length) : length * layout_value_bytes(&type);
  }
  for (int64_t i = 0; i < array->n_children; i++)
    bytes += node_bytes(schema->children[i], array->children[i], item_start, item_length);
  if (array->dictionary != NULL)
    bytes += node_bytes(schema->dictionary, array->dictionary, 0, array->dictionary->length);
  return bytes;
}

int64_t arrow_array_bytes(const struct ArrowSchema *schema, const struct ArrowArray *array) {
  return node_bytes(schema, array, 0, array->length);
}
