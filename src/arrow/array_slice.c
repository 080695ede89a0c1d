/* A slice refers to what the array refers to, and keeps it. */
#include <inttypes.h>

#include "arrow/array.h"
#include "arrow/layout.h"
#include "arrow/tree.h"

/* Nulls among `rows` of the array's slots: known when all of them are meant, or when there
 * is nothing to count. */
static int64_t null_count_of(const struct arrow_type *type, const struct ArrowArray *array,
                             int64_t rows) {
  if (type->kind == ARROW_NULL) return rows;
  if (rows == 0 || !layout_has_validity(type->kind)) return 0;
  if (rows == array->length || array->null_count == 0) return array->null_count;
  return array->null_count == array->length ? rows : -1;
}

/* A type whose slots are found through the array's own offset: whatever is below, children,
 * runs or a dictionary, stays as it is. `array` is taken on STATUS_OK. */
static enum status slice_by_offset(const struct arrow_type *type, struct ArrowArray *array,
                                   int64_t offset, int64_t rows, struct ArrowArray *out,
                                   struct error *error) {
  struct array_tree_size size = {.holds = 1};
  struct array_tree *tree = NULL;
  struct arrow_shared *shared = NULL;
  array_tree_measure(array, &size);
  enum status status = array_tree_new(&size, &tree, error);
  if (status == STATUS_OK) status = arrow_shared_new(array, &shared, error);
  if (status != STATUS_OK) {
    array_tree_abandon(tree);
    return status;
  }
  array_tree_hold_shared(tree, shared);
  struct ArrowArray *root = array_tree_copy(tree, arrow_shared_array(shared));
  root->null_count = null_count_of(type, root, rows);
  root->offset += offset;
  root->length = rows;
  array_tree_finish(tree, out);
  return STATUS_OK;
}

/* A record batch: its columns are sliced. */
static enum status slice_columns(struct ArrowArray *array, int64_t offset, int64_t rows,
                                 struct ArrowArray *out, struct error *error) {
  struct arrow_shared *shared = NULL;
  enum status status = arrow_shared_new(array, &shared, error);
  if (status != STATUS_OK) return status;
  status = arrow_shared_slice(shared, offset, rows, out, error);
  /* The caller keeps it then, and nobody else has a share. */
  if (status != STATUS_OK) arrow_array_move((struct ArrowArray *)arrow_shared_array(shared), array);
  arrow_shared_release(shared);
  return status;
}

enum status arrow_array_slice(const struct ArrowSchema *schema, struct ArrowArray *array,
                              int64_t offset, int64_t rows, struct ArrowArray *out,
                              struct error *error) {
  struct arrow_type type;
  out->release = NULL;
  enum status status = arrow_type_parse(schema->format, &type, error);
  if (status != STATUS_OK) return status;
  if (offset < 0 || rows < 0 || offset > array->length || rows > array->length - offset)
    return error_set(error, STATUS_INVALID,
                     "%" PRId64 " rows from row %" PRId64 " on are wanted, and there are %" PRId64,
                     rows, offset, array->length);
  /* A bitmap of the struct's own cannot be made to begin at any bit. */
  if (type.kind == ARROW_STRUCT && (array->n_buffers == 0 || array->buffers[0] == NULL))
    return slice_columns(array, offset, rows, out, error);
  return slice_by_offset(&type, array, offset, rows, out, error);
}
