/* A record batch's arrays in one allocation. Inside the room only.
 *
 * The C data interface lets a consumer move a child out of its parent and release it
 * later, on another thread. So the nodes of a tree, their buffer and child lists and
 * what they hold (message bodies, shared arrays) live until the last node has been
 * released, in whatever order that happens. */
#ifndef ARROWPORT_ARROW_TREE_H
#define ARROWPORT_ARROW_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/schema.h"
#include "base/buffer.h"
#include "base/status.h"

struct array_tree;

struct array_tree_size {
  int64_t nodes;    /* the root and dictionaries included */
  int64_t buffers;  /* of all nodes together */
  int64_t children; /* likewise, without the root and dictionaries */
  int64_t holds;
};

enum status array_tree_new(const struct array_tree_size *size, struct array_tree **tree,
                           struct error *error) WARN_UNUSED;
/* Before the root has been handed out: lets go of what it holds. NULL is allowed. */
void array_tree_abandon(struct array_tree *tree);

/* The next node of the tree, with lists of the given lengths to be filled in. The
 * size told to array_tree_new must not be passed (asserted). */
struct ArrowArray *array_tree_node(struct array_tree *tree, int64_t buffers, int64_t children);

/* The tree owns the buffer, or a share, from now on. */
void array_tree_hold_buffer(struct array_tree *tree, struct buffer buffer);
void array_tree_hold_shared(struct array_tree *tree, struct arrow_shared *shared);

/* Moves the root, the first node that was made, to `out`. */
void array_tree_finish(struct array_tree *tree, struct ArrowArray *out);

/* Adds what a copy of `array`'s nodes takes, nothing held counted. */
void array_tree_measure(const struct ArrowArray *array, struct array_tree_size *size);
/* Copies the nodes, not the values: `array` must be held by the tree. */
struct ArrowArray *array_tree_copy(struct array_tree *tree, const struct ArrowArray *array);

/* Whether two arrays are the same slots of the same memory, all the way down; who holds one
 * of them may then take the other for it. */
bool array_same_memory(const struct ArrowArray *left, const struct ArrowArray *right);

/* The shared array that a node of some tree was copied from, as a dictionary's are; it lives
 * as long as the node. NULL when the node is none of a tree, or not such a copy. */
struct arrow_shared *array_tree_shared(const struct ArrowArray *node);

/* One owner more. */
struct arrow_shared *arrow_shared_share(struct arrow_shared *shared);

#endif
