#include "arrow/ipc_check.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "arrow/validate.h"

void ipc_checks_release(struct ipc_checks *checks) {
  free(checks->list);
  *checks = (struct ipc_checks){.list = NULL};
}

enum status ipc_checks_add(struct ipc_checks *checks, struct ipc_check check, struct error *error) {
  if (checks->count == checks->capacity) {
    int64_t capacity = checks->capacity == 0 ? 8 : 2 * checks->capacity;
    struct ipc_check *grown = realloc(checks->list, (size_t)capacity * sizeof *grown);
    if (grown == NULL) return error_set(error, STATUS_NOMEM, "no memory for a record batch");
    checks->list = grown;
    checks->capacity = capacity;
  }
  checks->list[checks->count++] = check;
  return STATUS_OK;
}

/* ---- one ------------------------------------------------------------------------------- */

static enum status check_bytes(const struct ipc_check *check, struct error *error) {
  const struct ArrowArray *array = check->array;
  enum arrow_kind kind = check->node->type.kind;
  int64_t offset_bytes = layout_offset_bytes(kind);
  enum status status =
      validate_offsets(array->buffers[1], offset_bytes, array->length, check->data_bytes, error);
  if (status != STATUS_OK || (kind != ARROW_UTF8 && kind != ARROW_LARGE_UTF8)) return status;
  return validate_utf8(array->buffers[1], offset_bytes, array->buffers[2], array->buffers[0],
                       array->length, error);
}

static enum status check_views(const struct ipc_check *check, struct error *error) {
  const struct ArrowArray *array = check->array;
  int64_t data_count = array->n_buffers - 3;
  return validate_views(array->buffers[1], (const uint8_t *const *)array->buffers + 2,
                        array->buffers[2 + data_count], data_count, array->buffers[0],
                        array->length, check->node->type.kind == ARROW_UTF8_VIEW, error);
}

static enum status check_one(const struct ipc_check *check, struct error *error) {
  const struct layout *node = check->node;
  const struct ArrowArray *array = check->array;
  enum arrow_kind kind = node->type.kind;
  if (node->dictionary != NULL)
    return validate_indices(array->buffers[1], kind, array->buffers[0], array->length,
                            array->dictionary->length, error);
  if (layout_is_bytes(kind)) return check_bytes(check, error);
  if (layout_is_view(kind)) return check_views(check, error);
  if (layout_is_list(kind))
    return validate_offsets(array->buffers[1], layout_offset_bytes(kind), array->length,
                            array->children[0]->length, error);
  if (layout_is_list_view(kind))
    return validate_list_views(array->buffers[1], array->buffers[2], layout_list_view_bytes(kind),
                               array->length, array->children[0]->length, error);
  if (layout_is_union(kind))
    return validate_union(array->buffers[0], kind == ARROW_DENSE_UNION ? array->buffers[1] : NULL,
                          array->length, node->child_of_code, array->children, error);
  const struct ArrowArray *ends = array->children[RUN_ENDS]; /* no other kind has values to check */
  return validate_run_ends(ends->buffers[1], layout_value_bytes(&node->children[RUN_ENDS].type),
                           ends->length, array->length, error);
}

/* ---- all ------------------------------------------------------------------------------- */

/* Puts the names of the fields on the way from `root` down to `node` before the error. */
static bool name_path(const struct layout *root, const struct layout *node, struct error *error) {
  if (root == node) return true;
  for (int64_t i = 0; i < root->child_count; i++) {
    const struct layout *child = &root->children[i];
    /* Nodes are numbered in their order: it is below the last child that is not after it. */
    if (i + 1 < root->child_count && root->children[i + 1].index <= node->index) continue;
    if (!name_path(child, node, error)) return false;
    error_at(error, "'%s'", layout_name(child));
    return true;
  }
  return false;
}

struct making_checks {
  const struct ipc_checks *checks;
  _Atomic int64_t failed; /* the first of those that did */
};

static void make_check(void *context, int64_t index, int lane) {
  struct making_checks *making = context;
  (void)lane;
  int64_t failed = atomic_load(&making->failed);
  if (index > failed || check_one(&making->checks->list[index], NULL) == STATUS_OK) return;
  while (index < failed && !atomic_compare_exchange_weak(&making->failed, &failed, index)) {
  }
}

enum status ipc_checks_run(const struct ipc_checks *checks, const struct layout *root,
                           struct workers *workers, struct error *error) {
  struct making_checks making = {checks, checks->count};
  workers_each(workers, checks->count, make_check, &making);
  int64_t failed = atomic_load(&making.failed);
  if (failed == checks->count) return STATUS_OK;
  const struct ipc_check *check = &checks->list[failed];
  enum status status = check_one(check, error); /* again, for what it says */
  name_path(root, check->node, error);
  return status;
}
