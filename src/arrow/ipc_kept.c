#include "arrow/ipc_kept.h"

#include <assert.h>
#include <string.h>

#include "arrow/ipc_writer_body.h"
#include "arrow/tree.h"

void ipc_kept_release(struct ipc_kept *kept) {
  buffer_release(&kept->shape);
  buffer_release(&kept->values);
  *kept = (struct ipc_kept){.is_there = false};
}

/* ---- the shape --------------------------------------------------------------------------- */

static const struct ipc_node *kept_nodes(const struct ipc_kept *kept) {
  return (const struct ipc_node *)kept->shape.data;
}

static const int64_t *kept_variadic(const struct ipc_kept *kept) {
  return (const int64_t *)(kept_nodes(kept) + kept->node_count);
}

static const int64_t *kept_lengths(const struct ipc_kept *kept) {
  return kept_variadic(kept) + kept->variadic_count;
}

static enum status take_shape(struct ipc_kept *kept, const struct ipc_plan *plan,
                              struct budget *budget, struct error *error) {
  kept->length = plan->length;
  kept->node_count = ipc_plan_node_count(plan);
  kept->variadic_count = ipc_plan_variadic_count(plan);
  kept->piece_count = ipc_plan_piece_count(plan);
  int64_t bytes = plan->nodes.size_bytes + plan->variadic.size_bytes +
                  kept->piece_count * (int64_t)sizeof(int64_t);
  enum status status = buffer_reserve(&kept->shape, budget, bytes, error);
  if (status == STATUS_OK)
    status = buffer_append(&kept->shape, budget, plan->nodes.data, plan->nodes.size_bytes, error);
  if (status == STATUS_OK)
    status =
        buffer_append(&kept->shape, budget, plan->variadic.data, plan->variadic.size_bytes, error);
  const struct ipc_piece *pieces = ipc_plan_pieces(plan);
  for (int64_t i = 0; i < kept->piece_count && status == STATUS_OK; i++)
    status = buffer_append(&kept->shape, budget, &pieces[i].bytes, sizeof pieces[i].bytes, error);
  return status;
}

static bool same_bytes(const void *left, const void *right, int64_t bytes) {
  return bytes == 0 || memcmp(left, right, (size_t)bytes) == 0;
}

static bool same_shape(const struct ipc_kept *kept, const struct ipc_plan *plan) {
  if (kept->length != plan->length || kept->node_count != ipc_plan_node_count(plan) ||
      kept->variadic_count != ipc_plan_variadic_count(plan) ||
      kept->piece_count != ipc_plan_piece_count(plan) ||
      !same_bytes(kept_nodes(kept), plan->nodes.data, plan->nodes.size_bytes) ||
      !same_bytes(kept_variadic(kept), plan->variadic.data, plan->variadic.size_bytes))
    return false;
  const struct ipc_piece *pieces = ipc_plan_pieces(plan);
  const int64_t *lengths = kept_lengths(kept);
  for (int64_t i = 0; i < kept->piece_count; i++)
    if (pieces[i].bytes != lengths[i]) return false;
  return true;
}

/* ---- the values -------------------------------------------------------------------------- */

enum status ipc_kept_take(struct ipc_kept *kept, const struct ipc_plan *plan, struct budget *budget,
                          struct error *error) {
  const struct ipc_piece *pieces = ipc_plan_pieces(plan);
  int64_t bytes = 0;
  ipc_kept_release(kept);
  enum status status = take_shape(kept, plan, budget, error);
  for (int64_t i = 0; i < kept->piece_count; i++) bytes += ipc_body_round_up(pieces[i].bytes);
  if (bytes == 0) bytes = 1; /* so that the values are somewhere */
  if (status == STATUS_OK) status = buffer_reserve(&kept->values, budget, bytes, error);
  if (status != STATUS_OK) {
    ipc_kept_release(kept);
    return status;
  }
  for (int64_t i = 0; i < kept->piece_count; i++) {
    ipc_piece_write(plan, &pieces[i], kept->values.data + kept->values.size_bytes);
    kept->values.size_bytes += ipc_body_round_up(pieces[i].bytes);
  }
  kept->is_there = true;
  return STATUS_OK;
}

enum status ipc_kept_same(const struct ipc_kept *kept, const struct ipc_plan *plan,
                          struct buffer *scratch, bool *same, struct error *error) {
  const struct ipc_piece *pieces = ipc_plan_pieces(plan);
  const uint8_t *at = kept->values.data;
  enum status status = STATUS_OK;
  *same = same_shape(kept, plan);
  for (int64_t i = 0; i < kept->piece_count && *same; i++) {
    const void *bytes = pieces[i].source;
    if (pieces[i].kind != IPC_PIECE_BYTES) {
      status = buffer_reserve(scratch, plan->budget, pieces[i].bytes, error);
      if (status != STATUS_OK) break;
      ipc_piece_write(plan, &pieces[i], scratch->data);
      bytes = scratch->data;
    }
    *same = same_bytes(at, bytes, pieces[i].bytes);
    at += ipc_body_round_up(pieces[i].bytes);
  }
  if (status != STATUS_OK) *same = false;
  return status;
}

/* ---- as an array ------------------------------------------------------------------------- */

struct unpacking {
  const struct ipc_kept *kept;
  ipc_kept_find find;
  const void *context;
  struct array_tree *tree;
  int64_t node;
  int64_t variadic;
  int64_t piece;
  const uint8_t *at;
};

static void measure(const struct ipc_kept *kept, const struct layout *layout, ipc_kept_find find,
                    const void *context, struct array_tree_size *size);

static void measure_below(const struct layout *layout, ipc_kept_find find, const void *context,
                          struct array_tree_size *size) {
  size->nodes++;
  size->children += layout->child_count;
  size->buffers += layout_buffer_count(layout->type.kind);
  for (int64_t i = 0; i < layout->child_count; i++)
    measure_below(&layout->children[i], find, context, size);
  if (layout->dictionary != NULL)
    measure(find(context, layout->dictionary), layout->dictionary, find, context, size);
}

static void measure(const struct ipc_kept *kept, const struct layout *layout, ipc_kept_find find,
                    const void *context, struct array_tree_size *size) {
  for (int64_t i = 0; i < kept->variadic_count; i++) size->buffers += kept_variadic(kept)[i];
  measure_below(layout, find, context, size);
}

static const void *next_piece(struct unpacking *unpacking) {
  int64_t bytes = kept_lengths(unpacking->kept)[unpacking->piece++];
  const uint8_t *at = unpacking->at;
  unpacking->at += ipc_body_round_up(bytes);
  return bytes == 0 ? NULL : at;
}

static struct ArrowArray *unpack(struct unpacking *unpacking, const struct layout *layout) {
  bool is_view = layout_is_view(layout->type.kind);
  int64_t pieces = layout_buffer_count(layout->type.kind);
  if (is_view) pieces += kept_variadic(unpacking->kept)[unpacking->variadic++] - 1;
  const struct ipc_node *node = &kept_nodes(unpacking->kept)[unpacking->node++];
  struct ArrowArray *array =
      array_tree_node(unpacking->tree, pieces + is_view, layout->child_count);
  array->length = node->length;
  array->null_count = node->null_count;
  for (int64_t i = 0; i < pieces; i++) array->buffers[i] = next_piece(unpacking);
  /* The lengths of the data buffers lie side by side, as the C data interface has them. */
  if (is_view) {
    int64_t data_count = pieces - 2;
    array->buffers[pieces] = kept_lengths(unpacking->kept) + unpacking->piece - data_count;
  }
  for (int64_t i = 0; i < layout->child_count; i++)
    array->children[i] = unpack(unpacking, &layout->children[i]);
  if (layout->dictionary != NULL) {
    const struct ipc_kept *inside = unpacking->find(unpacking->context, layout->dictionary);
    struct unpacking other = {.kept = inside,
                              .find = unpacking->find,
                              .context = unpacking->context,
                              .tree = unpacking->tree,
                              .at = inside->values.data};
    array->dictionary = unpack(&other, layout->dictionary);
  }
  return array;
}

enum status ipc_kept_array(const struct ipc_kept *kept, const struct layout *layout,
                           ipc_kept_find find, const void *context, struct ArrowArray *out,
                           struct error *error) {
  struct unpacking unpacking = {
      .kept = kept, .find = find, .context = context, .at = kept->values.data};
  struct array_tree_size size = {.nodes = 0};
  assert(kept->is_there);
  measure(kept, layout, find, context, &size);
  enum status status = array_tree_new(&size, &unpacking.tree, error);
  if (status != STATUS_OK) return status;
  unpack(&unpacking, layout);
  array_tree_finish(unpacking.tree, out);
  return STATUS_OK;
}
