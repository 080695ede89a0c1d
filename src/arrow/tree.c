#include "arrow/tree.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

struct hold {
  struct buffer buffer;
  struct arrow_shared *shared;
};

struct array_tree {
  _Atomic int64_t live; /* nodes that were made and not yet released */
  struct array_tree_size size;
  struct array_tree_size used;
  struct ArrowArray *nodes;
  const void **buffers;
  struct ArrowArray **children;
  struct hold holds[];
};

enum status array_tree_new(const struct array_tree_size *size, struct array_tree **tree,
                           struct error *error) {
  *tree = NULL;
  struct array_tree *made = calloc(1, sizeof *made + (size_t)size->holds * sizeof made->holds[0] +
                                          (size_t)size->nodes * sizeof made->nodes[0] +
                                          (size_t)size->buffers * sizeof made->buffers[0] +
                                          (size_t)size->children * sizeof made->children[0]);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a record batch");
  made->size = *size;
  made->nodes = (struct ArrowArray *)(made->holds + size->holds);
  made->buffers = (const void **)(made->nodes + size->nodes);
  made->children = (struct ArrowArray **)(made->buffers + size->buffers);
  *tree = made;
  return STATUS_OK;
}

void array_tree_abandon(struct array_tree *tree) {
  if (tree == NULL) return;
  for (int64_t i = 0; i < tree->used.holds; i++) {
    buffer_release(&tree->holds[i].buffer);
    if (tree->holds[i].shared != NULL) arrow_shared_release(tree->holds[i].shared);
  }
  free(tree);
}

static void release_node(struct ArrowArray *array) {
  struct array_tree *tree = array->private_data;
  for (int64_t i = 0; i < array->n_children; i++) arrow_array_release(array->children[i]);
  if (array->dictionary != NULL) arrow_array_release(array->dictionary);
  array->release = NULL;
  if (atomic_fetch_sub(&tree->live, 1) == 1) array_tree_abandon(tree);
}

struct ArrowArray *array_tree_node(struct array_tree *tree, int64_t buffers, int64_t children) {
  assert(tree->used.nodes < tree->size.nodes);
  assert(buffers <= tree->size.buffers - tree->used.buffers);
  assert(children <= tree->size.children - tree->used.children);
  struct ArrowArray *node = &tree->nodes[tree->used.nodes++];
  *node = (struct ArrowArray){
      .n_buffers = buffers,
      .n_children = children,
      .buffers = tree->buffers + tree->used.buffers,
      .children = tree->children + tree->used.children,
      .release = release_node,
      .private_data = tree,
  };
  tree->used.buffers += buffers;
  tree->used.children += children;
  atomic_fetch_add(&tree->live, 1);
  return node;
}

void array_tree_hold_buffer(struct array_tree *tree, struct buffer buffer) {
  assert(tree->used.holds < tree->size.holds);
  tree->holds[tree->used.holds++].buffer = buffer;
}

void array_tree_hold_shared(struct array_tree *tree, struct arrow_shared *shared) {
  assert(tree->used.holds < tree->size.holds);
  tree->holds[tree->used.holds++].shared = shared;
}

void array_tree_finish(struct array_tree *tree, struct ArrowArray *out) {
  assert(tree->used.nodes > 0);
  arrow_array_move(&tree->nodes[0], out);
}

void array_tree_measure(const struct ArrowArray *array, struct array_tree_size *size) {
  size->nodes++;
  size->buffers += array->n_buffers;
  size->children += array->n_children;
  for (int64_t i = 0; i < array->n_children; i++) array_tree_measure(array->children[i], size);
  if (array->dictionary != NULL) array_tree_measure(array->dictionary, size);
}

struct ArrowArray *array_tree_copy(struct array_tree *tree, const struct ArrowArray *array) {
  struct ArrowArray *node = array_tree_node(tree, array->n_buffers, array->n_children);
  node->length = array->length;
  node->null_count = array->null_count;
  node->offset = array->offset;
  for (int64_t i = 0; i < array->n_buffers; i++) node->buffers[i] = array->buffers[i];
  for (int64_t i = 0; i < array->n_children; i++)
    node->children[i] = array_tree_copy(tree, array->children[i]);
  if (array->dictionary != NULL) node->dictionary = array_tree_copy(tree, array->dictionary);
  return node;
}

bool array_same_memory(const struct ArrowArray *left, const struct ArrowArray *right) {
  if (left->length != right->length || left->offset != right->offset ||
      left->n_buffers != right->n_buffers || left->n_children != right->n_children ||
      (left->dictionary == NULL) != (right->dictionary == NULL))
    return false;
  for (int64_t i = 0; i < left->n_buffers; i++)
    if (left->buffers[i] != right->buffers[i]) return false;
  for (int64_t i = 0; i < left->n_children; i++)
    if (!array_same_memory(left->children[i], right->children[i])) return false;
  return left->dictionary == NULL || array_same_memory(left->dictionary, right->dictionary);
}

struct arrow_shared *array_tree_shared(const struct ArrowArray *node) {
  if (node->release != release_node) return NULL;
  const struct array_tree *tree = node->private_data;
  for (int64_t i = 0; i < tree->used.holds; i++) {
    struct arrow_shared *shared = tree->holds[i].shared;
    if (shared != NULL && array_same_memory(arrow_shared_array(shared), node)) return shared;
  }
  return NULL;
}
