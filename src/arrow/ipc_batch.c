#include "arrow/ipc_batch.h"

#include <inttypes.h>

#include "arrow/bitmap.h"
#include "arrow/ipc_numbers.h"

enum {
  /* Values are looked at by several threads from here on: it takes one some 100 us. */
  THREADED_BYTES_MIN = 4 << 20,
};

enum { BATCH_ROWS_MAX = INT32_MAX }; /* as Arrow recommends; rows of no bytes cost a peer nothing */

struct batch_reading {
  struct ipc_batch_context *context;
  int version;
  struct ipc_body body;
  struct fb_vector nodes;
  int64_t next_node;
  struct fb_vector variadic_counts; /* data buffers of each array of views */
  int64_t next_variadic;
  int64_t length; /* rows */
};

/* Adds what the arrays along `node` take; a dictionary that has not come counts as an
 * empty one. */
static enum status measure(struct ipc_batch_context *context, const struct layout *node,
                           struct array_tree_size *size, struct error *error) {
  enum status status = STATUS_OK;
  size->nodes++;
  size->buffers += layout_buffer_count(node->type.kind);
  size->children += node->child_count;
  if (!layout_has_validity(node->type.kind)) size->holds++; /* see skip_old_validity */
  for (int64_t i = 0; i < node->child_count && status == STATUS_OK; i++)
    status = measure(context, &node->children[i], size, error);
  if (status != STATUS_OK || node->dictionary == NULL) return status;
  struct arrow_shared *values = NULL;
  status = ipc_memo_values(ipc_memo_of(&context->memo, node), context->budget, &values, error);
  if (status != STATUS_OK) return status;
  size->holds++;
  if (values == NULL) return measure(context, node->dictionary, size, error);
  array_tree_measure(arrow_shared_array(values), size);
  return STATUS_OK;
}

/* ---- nodes ---------------------------------------------------------------------------- */

/* What offsets of an array of no slots point to. */
static const int64_t no_offsets[1];

/* An array of no values, for a dictionary that no index refers to. */
static struct ArrowArray *empty_node(struct array_tree *tree, const struct layout *node) {
  struct ArrowArray *array =
      array_tree_node(tree, layout_buffer_count(node->type.kind), node->child_count);
  if (layout_offset_bytes(node->type.kind) > 0) array->buffers[1] = no_offsets;
  if (layout_is_view(node->type.kind)) array->buffers[2] = no_offsets;
  for (int64_t i = 0; i < node->child_count; i++)
    array->children[i] = empty_node(tree, &node->children[i]);
  if (node->dictionary != NULL) array->dictionary = empty_node(tree, node->dictionary);
  return array;
}

/* How the values of a type that are not bytes or bits are laid out. */
static enum ipc_order order_of(const struct arrow_type *type) {
  if (type->kind == ARROW_INTERVAL_DAY_TIME) return IPC_ORDER_4; /* two numbers */
  if (type->kind == ARROW_INTERVAL_MONTH_DAY_NANO) return IPC_ORDER_MONTH_DAY_NANO;
  if (type->kind == ARROW_FIXED_SIZE_BINARY || type->kind == ARROW_BOOL) return IPC_ORDER_NONE;
  return (enum ipc_order)layout_value_bytes(type); /* 1, 2, 4, 8, 16 or 32 */
}

static enum status take_validity(struct batch_reading *reading, struct ArrowArray *array,
                                 struct error *error) {
  struct ipc_span span;
  enum status status = ipc_body_next(&reading->body, IPC_ORDER_NONE, &span, error);
  if (status != STATUS_OK) return status;
  if (span.data == NULL && array->null_count == 0) return STATUS_OK;
  if (span.size_bytes < bitmap_bytes(array->length))
    return error_set(error, STATUS_INVALID,
                     "its validity bitmap has %" PRId64 " bytes for %" PRId64 " slots",
                     span.size_bytes, array->length);
  int64_t nulls = array->length - bitmap_count(span.data, 0, array->length);
  if (nulls != array->null_count)
    return error_set(error, STATUS_INVALID,
                     "it says it has %" PRId64 " nulls; its validity bitmap has %" PRId64,
                     array->null_count, nulls);
  array->buffers[0] = nulls > 0 ? span.data : NULL;
  return STATUS_OK;
}

/* A buffer of at least `needed_bytes`. */
static enum status take_values(struct batch_reading *reading, enum ipc_order order,
                               int64_t needed_bytes, const void **data, struct error *error) {
  struct ipc_span span;
  enum status status = ipc_body_next(&reading->body, order, &span, error);
  if (status != STATUS_OK) return status;
  *data = span.data;
  if (span.size_bytes >= needed_bytes) return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "its values have %" PRId64 " bytes; its slots need %" PRId64, span.size_bytes,
                   needed_bytes);
}

/* The array is complete but for what its values say. */
static enum status check_later(struct batch_reading *reading, const struct layout *node,
                               const struct ArrowArray *array, int64_t data_bytes,
                               struct error *error) {
  return ipc_checks_add(&reading->context->checks, (struct ipc_check){node, array, data_bytes},
                        error);
}

static enum status take_offsets(struct batch_reading *reading, struct ArrowArray *array,
                                int64_t offset_bytes, struct error *error) {
  enum ipc_order order = (enum ipc_order)offset_bytes;
  if (array->length > 0)
    return take_values(reading, order, (array->length + 1) * offset_bytes, &array->buffers[1],
                       error);
  /* Older writers leave the one offset of no slots out; that of a slice's may be any. */
  struct ipc_span span;
  array->buffers[1] = no_offsets;
  return ipc_body_next(&reading->body, order, &span, error);
}

static enum status take_bytes(struct batch_reading *reading, const struct layout *node,
                              struct ArrowArray *array, struct error *error) {
  int64_t offset_bytes = layout_offset_bytes(node->type.kind);
  enum status status = take_offsets(reading, array, offset_bytes, error);
  if (status != STATUS_OK) return status;
  struct ipc_span data;
  status = ipc_body_next(&reading->body, IPC_ORDER_NONE, &data, error);
  if (status != STATUS_OK) return status;
  array->buffers[2] = data.data;
  return check_later(reading, node, array, data.size_bytes, error);
}

/* Views, their data buffers, and the buffer of those buffers' lengths, which the C data
 * interface has and IPC has not. */
static enum status take_views(struct batch_reading *reading, const struct layout *node,
                              struct ArrowArray *array, struct error *error) {
  int64_t data_count = array->n_buffers - 3;
  struct buffer lengths = BUFFER_EMPTY;
  enum status status =
      take_values(reading, IPC_ORDER_VIEWS, array->length * VIEW_BYTES, &array->buffers[1], error);
  for (int64_t i = 0; i < data_count && status == STATUS_OK; i++) {
    struct ipc_span data;
    status = ipc_body_next(&reading->body, IPC_ORDER_NONE, &data, error);
    array->buffers[2 + i] = data.data;
    if (status == STATUS_OK)
      status = buffer_append(&lengths, reading->context->budget, &data.size_bytes,
                             sizeof data.size_bytes, error);
  }
  if (status != STATUS_OK) {
    buffer_release(&lengths);
    return status;
  }
  array->buffers[2 + data_count] = data_count > 0 ? (const void *)lengths.data : no_offsets;
  if (data_count > 0) array_tree_hold_buffer(reading->body.tree, lengths);
  return check_later(reading, node, array, 0, error);
}

static enum status take_node(struct batch_reading *reading, const struct layout *node,
                             struct ArrowArray **out, struct error *error);

static enum status take_child(struct batch_reading *reading, const struct layout *node,
                              struct ArrowArray *array, int64_t index, struct error *error) {
  enum status status = take_node(reading, &node->children[index], &array->children[index], error);
  if (status != STATUS_OK) error_at(error, "'%s'", layout_name(&node->children[index]));
  return status;
}

static enum status take_list(struct batch_reading *reading, const struct layout *node,
                             struct ArrowArray *array, struct error *error) {
  int64_t offset_bytes = layout_offset_bytes(node->type.kind);
  enum status status = take_offsets(reading, array, offset_bytes, error);
  if (status == STATUS_OK) status = take_child(reading, node, array, 0, error);
  if (status != STATUS_OK) return status;
  const struct ArrowArray *items = array->children[0];
  if (node->type.kind == ARROW_MAP &&
      (items->null_count != 0 || items->children[0]->null_count != 0))
    return error_set(error, STATUS_INVALID, "a map has null entries or null keys");
  return check_later(reading, node, array, 0, error);
}

static enum status take_children(struct batch_reading *reading, const struct layout *node,
                                 struct ArrowArray *array, struct error *error) {
  int64_t wanted = array->length;
  if (node->type.kind == ARROW_FIXED_SIZE_LIST) wanted *= node->type.fixed_size;
  for (int64_t i = 0; i < node->child_count; i++) {
    enum status status = take_child(reading, node, array, i, error);
    if (status != STATUS_OK) return status;
    bool same = array->children[i]->length == wanted;
    bool enough = node->type.kind == ARROW_FIXED_SIZE_LIST && array->children[i]->length > wanted;
    if (!same && !enough)
      return error_set(error, STATUS_INVALID,
                       "'%s' has %" PRId64 " slots where its parent needs %" PRId64,
                       layout_name(&node->children[i]), array->children[i]->length, wanted);
  }
  return STATUS_OK;
}

static enum status take_list_views(struct batch_reading *reading, const struct layout *node,
                                   struct ArrowArray *array, struct error *error) {
  int64_t width_bytes = layout_list_view_bytes(node->type.kind);
  int64_t needed_bytes = array->length * width_bytes;
  enum ipc_order order = (enum ipc_order)width_bytes;
  enum status status = take_values(reading, order, needed_bytes, &array->buffers[1], error);
  if (status == STATUS_OK)
    status = take_values(reading, order, needed_bytes, &array->buffers[2], error);
  if (status == STATUS_OK) status = take_child(reading, node, array, 0, error);
  if (status != STATUS_OK) return status;
  return check_later(reading, node, array, 0, error);
}

/* Before V5 unions (and runs, which are younger, where somebody writes them so) had a validity
 * bitmap of their own; since then their children alone say what is null. */
static enum status skip_old_validity(struct batch_reading *reading, const struct ArrowArray *array,
                                     struct error *error) {
  struct ipc_span span;
  if (reading->version >= IPC_METADATA_V5) return STATUS_OK;
  enum status status = ipc_body_next(&reading->body, IPC_ORDER_NONE, &span, error);
  if (status == STATUS_OK && array->null_count > 0)
    status = error_set(error, STATUS_UNSUPPORTED,
                       "it is a union of format version V4 with nulls of its own, which the "
                       "format has no longer; write it with a newer version");
  return status;
}

static enum status take_union(struct batch_reading *reading, const struct layout *node,
                              struct ArrowArray *array, struct error *error) {
  bool is_dense = node->type.kind == ARROW_DENSE_UNION;
  enum status status = skip_old_validity(reading, array, error);
  if (status == STATUS_OK)
    status = take_values(reading, IPC_ORDER_NONE, array->length, &array->buffers[0], error);
  if (status == STATUS_OK && is_dense)
    status = take_values(reading, IPC_ORDER_4, array->length * 4, &array->buffers[1], error);
  for (int64_t i = 0; i < node->child_count && status == STATUS_OK; i++) {
    status = take_child(reading, node, array, i, error);
    if (status != STATUS_OK || is_dense || array->children[i]->length == array->length) continue;
    status = error_set(error, STATUS_INVALID,
                       "'%s' has %" PRId64 " slots where its parent needs %" PRId64,
                       layout_name(&node->children[i]), array->children[i]->length, array->length);
  }
  if (status != STATUS_OK) return status;
  array->null_count = 0;
  return check_later(reading, node, array, 0, error);
}

static enum status take_runs(struct batch_reading *reading, const struct layout *node,
                             struct ArrowArray *array, struct error *error) {
  enum status status = skip_old_validity(reading, array, error);
  if (status == STATUS_OK) status = take_child(reading, node, array, RUN_ENDS, error);
  if (status == STATUS_OK) status = take_child(reading, node, array, RUN_VALUES, error);
  if (status != STATUS_OK) return status;
  const struct ArrowArray *ends = array->children[RUN_ENDS];
  const struct ArrowArray *values = array->children[RUN_VALUES];
  array->null_count = 0;
  if (ends->null_count != 0) return error_set(error, STATUS_INVALID, "its run ends have nulls");
  if (values->length < ends->length)
    return error_set(error, STATUS_INVALID, "it has %" PRId64 " runs and %" PRId64 " values",
                     ends->length, values->length);
  return check_later(reading, node, array, 0, error);
}

static enum status take_dictionary(struct batch_reading *reading, const struct layout *node,
                                   struct ArrowArray *array, struct error *error) {
  struct array_tree *tree = reading->body.tree;
  struct ipc_dictionary *dictionary = ipc_memo_of(&reading->context->memo, node);
  if (dictionary->part_count == 0) {
    if (array->null_count < array->length)
      return error_set(error, STATUS_INVALID, "its dictionary %" PRId64 " has not come",
                       dictionary->id);
    array->dictionary = empty_node(tree, node->dictionary);
    return STATUS_OK;
  }
  struct arrow_shared *shared = dictionary->parts[0]; /* measuring has joined them */
  array_tree_hold_shared(tree, arrow_shared_share(shared));
  array->dictionary = array_tree_copy(tree, arrow_shared_array(shared));
  return check_later(reading, node, array, 0, error);
}

static enum status take_content(struct batch_reading *reading, const struct layout *node,
                                struct ArrowArray *array, struct error *error) {
  enum arrow_kind kind = node->type.kind;
  if (kind == ARROW_NULL) {
    array->null_count = array->length;
    return STATUS_OK;
  }
  if (layout_is_union(kind)) return take_union(reading, node, array, error);
  if (kind == ARROW_RUN_END_ENCODED) return take_runs(reading, node, array, error);
  enum status status = take_validity(reading, array, error);
  if (status != STATUS_OK) return status;
  if (layout_is_bytes(kind)) return take_bytes(reading, node, array, error);
  if (layout_is_view(kind)) return take_views(reading, node, array, error);
  if (layout_is_list(kind)) return take_list(reading, node, array, error);
  if (layout_is_list_view(kind)) return take_list_views(reading, node, array, error);
  if (kind == ARROW_STRUCT || kind == ARROW_FIXED_SIZE_LIST)
    return take_children(reading, node, array, error);
  int64_t needed_bytes = kind == ARROW_BOOL ? bitmap_bytes(array->length)
                                            : array->length * layout_value_bytes(&node->type);
  status = take_values(reading, order_of(&node->type), needed_bytes, &array->buffers[1], error);
  if (status == STATUS_OK && node->dictionary != NULL)
    status = take_dictionary(reading, node, array, error);
  return status;
}

static enum status take_node(struct batch_reading *reading, const struct layout *node,
                             struct ArrowArray **out, struct error *error) {
  if (reading->next_node == reading->nodes.count)
    return error_set(error, STATUS_INVALID,
                     "the batch has %" PRId64 " nodes, fewer than its schema needs",
                     reading->nodes.count);
  int64_t index = reading->next_node++;
  int64_t buffers = layout_buffer_count(node->type.kind);
  if (layout_is_view(node->type.kind)) {
    if (reading->next_variadic == reading->variadic_counts.count)
      return error_set(error, STATUS_INVALID, "the batch does not say how many buffers it has");
    buffers += fb_vector_int64(&reading->variadic_counts, reading->next_variadic++, 8, 0);
  }
  struct ArrowArray *array = array_tree_node(reading->body.tree, buffers, node->child_count);
  *out = array;
  array->length = fb_vector_int64(&reading->nodes, index, NODE_STRUCT_BYTES, 0);
  array->null_count = fb_vector_int64(&reading->nodes, index, NODE_STRUCT_BYTES, 8);
  /* No length may overflow what it is multiplied by: sizes of 31 bits at most. */
  if (array->length < 0 || array->length > INT64_MAX >> 31 || array->null_count < 0 ||
      array->null_count > array->length)
    return error_set(error, STATUS_INVALID,
                     "it says it has %" PRId64 " slots, of which %" PRId64 " are null",
                     array->length, array->null_count);
  return take_content(reading, node, array, error);
}

/* ---- a batch ---------------------------------------------------------------------------- */

static enum status read_batch(const struct fb_table *batch, struct batch_reading *reading,
                              struct error *error) {
  enum status status = fb_integer_field(batch, BATCH_LENGTH, 8, 0, &reading->length, error);
  if (status == STATUS_OK)
    status = fb_vector_field(batch, BATCH_NODES, NODE_STRUCT_BYTES, &reading->nodes, error);
  if (status == STATUS_OK)
    status =
        fb_vector_field(batch, BATCH_BUFFERS, BUFFER_STRUCT_BYTES, &reading->body.buffers, error);
  if (status == STATUS_OK)
    status = fb_vector_field(batch, BATCH_VARIADIC, 8, &reading->variadic_counts, error);
  if (status == STATUS_OK) status = ipc_body_compression(batch, &reading->body.compression, error);
  if (status == STATUS_OK && (reading->length < 0 || reading->length > BATCH_ROWS_MAX))
    status =
        error_set(error, STATUS_INVALID, "the batch says it has %" PRId64 " rows", reading->length);
  return status;
}

/* Data buffers of views, all together: no more than there are buffers. */
static enum status count_variadic(const struct batch_reading *reading, int64_t *total,
                                  struct error *error) {
  *total = 0;
  for (int64_t i = 0; i < reading->variadic_counts.count; i++) {
    int64_t count = fb_vector_int64(&reading->variadic_counts, i, 8, 0);
    if (count < 0 || count > reading->body.buffers.count - *total)
      return error_set(error, STATUS_INVALID,
                       "an array of views says it has %" PRId64 " buffers; the batch has %" PRId64,
                       count, reading->body.buffers.count);
    *total += count;
  }
  return STATUS_OK;
}

static enum status check_even(const struct batch_reading *reading, struct error *error) {
  if (reading->next_node == reading->nodes.count &&
      reading->body.next == reading->body.buffers.count &&
      reading->next_variadic == reading->variadic_counts.count)
    return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "the batch has %" PRId64 " nodes and %" PRId64
                   " buffers; its schema needs %" PRId64 " and %" PRId64,
                   reading->nodes.count, reading->body.buffers.count, reading->next_node,
                   reading->body.next);
}

static enum status read_root(struct batch_reading *reading, const struct layout *layout,
                             bool is_dictionary, struct error *error) {
  struct ArrowArray *root = NULL;
  enum status status;
  if (is_dictionary) {
    status = take_node(reading, layout, &root, error);
    if (status == STATUS_OK && root != NULL && root->length != reading->length)
      status = error_set(error, STATUS_INVALID, "a dictionary's values are not as many as it says");
  } else {
    root = array_tree_node(reading->body.tree, 1, layout->child_count);
    root->length = reading->length;
    status = take_children(reading, layout, root, error);
  }
  return status == STATUS_OK ? check_even(reading, error) : status;
}

enum status ipc_batch_read(struct ipc_batch_context *context, const struct layout *layout,
                           bool is_dictionary, const struct ipc_batch_message *message,
                           struct array_tree **tree, bool *referred, struct error *error) {
  struct batch_reading reading = {
      .context = context,
      .version = message->version,
      .body = {.bytes = message->body,
               .limits = &context->limits,
               .budget = context->budget,
               .expander = context->expander,
               .is_big_endian = context->is_big_endian},
  };
  struct array_tree_size size = {.holds = 1}; /* the body */
  *tree = NULL;
  enum status status = read_batch(&message->table, &reading, error);
  if (status == STATUS_OK) status = count_variadic(&reading, &size.buffers, error);
  if (status == STATUS_OK) status = measure(context, layout, &size, error);
  size.holds += size.buffers;
  if (status == STATUS_OK) status = array_tree_new(&size, tree, error);
  if (status != STATUS_OK) return status;
  reading.body.tree = *tree;
  context->checks.count = 0;
  ipc_body_expand_ahead(&reading.body, context->workers);
  status = read_root(&reading, layout, is_dictionary, error);
  ipc_body_release(&reading.body);
  bool is_large = message->body->size_bytes + reading.body.expanded_bytes >= THREADED_BYTES_MIN;
  if (status == STATUS_OK)
    status = ipc_checks_run(&context->checks, layout, is_large ? context->workers : NULL, error);
  *referred = reading.body.referred;
  if (status == STATUS_OK) return STATUS_OK;
  array_tree_abandon(*tree);
  *tree = NULL;
  return status;
}
