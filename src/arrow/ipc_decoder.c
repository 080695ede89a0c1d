/* Messages into arrays ("Recursively flattened" record batches: Columnar format, IPC).
 *
 * A schema message makes a layout, the tree that every batch is read along: at each
 * node one FieldNode and the type's buffers are taken from the batch's lists, which
 * must come out even. The arrays point into the message's body, which the batch's tree
 * holds; a dictionary's arrays are shared by the batches that were decoded while it
 * was in force.
 *
 * Nothing of a batch is handed out before all of it has been checked. */
#include "arrow/ipc.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/bitmap.h"
#include "arrow/ipc_body.h"
#include "arrow/ipc_header.h"
#include "arrow/ipc_schema.h"
#include "arrow/layout.h"
#include "arrow/tree.h"
#include "arrow/validate.h"

enum { BATCH_ROWS_MAX = INT32_MAX }; /* as Arrow recommends; rows of no bytes cost a peer nothing */

struct dictionary {
  int64_t id;
  const struct layout *values;
  struct arrow_shared *shared; /* NULL until one has come */
};

struct ipc_decoder {
  struct ipc_limits limits;
  struct budget *budget;
  struct ipc_expander *expander;
  struct ArrowSchema schema;
  struct layout *layout; /* NULL until the schema has come */
  int64_t node_count;
  struct dictionary *dictionaries; /* ordered by id, each once */
  int64_t dictionary_count;
  int32_t *dictionary_of_node; /* by layout index; -1: not encoded */
};

enum status ipc_decoder_new(const struct ipc_limits *limits, struct budget *budget,
                            struct ipc_decoder **decoder, struct error *error) {
  *decoder = NULL;
  struct ipc_decoder *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a stream");
  made->limits = *limits;
  made->budget = budget;
  enum status status = ipc_expander_new(&made->expander, error);
  if (status == STATUS_OK)
    *decoder = made;
  else
    free(made);
  return status;
}

static void forget_schema(struct ipc_decoder *decoder) {
  for (int64_t i = 0; i < decoder->dictionary_count; i++)
    arrow_shared_release(decoder->dictionaries[i].shared);
  free(decoder->dictionaries);
  free(decoder->dictionary_of_node);
  layout_free(decoder->layout);
  arrow_schema_release(&decoder->schema);
  decoder->dictionaries = NULL;
  decoder->dictionary_count = 0;
  decoder->dictionary_of_node = NULL;
  decoder->layout = NULL;
}

void ipc_decoder_free(struct ipc_decoder *decoder) {
  if (decoder == NULL) return;
  forget_schema(decoder);
  ipc_expander_free(decoder->expander);
  free(decoder);
}

const struct ArrowSchema *ipc_decoder_schema(const struct ipc_decoder *decoder) {
  return decoder->layout == NULL ? NULL : &decoder->schema;
}

/* ---- schema ------------------------------------------------------------------------------ */

static int by_id(const void *left, const void *right) {
  int64_t a = *(const int64_t *)left;
  int64_t b = *(const int64_t *)right;
  return (a > b) - (a < b);
}

/* NULL when the schema has no dictionary of that id. */
static struct dictionary *find_dictionary(const struct ipc_decoder *decoder, int64_t id) {
  if (decoder->dictionary_count == 0) return NULL;
  return bsearch(&id, decoder->dictionaries, (size_t)decoder->dictionary_count,
                 sizeof *decoder->dictionaries, by_id); /* a dictionary begins with its id */
}

/* A place for each id, found by halving: a schema may have as many as it has fields. */
static enum status make_dictionaries(struct ipc_decoder *decoder,
                                     const struct ipc_dictionary_ids *ids, struct error *error) {
  if (ids->count == 0) return STATUS_OK;
  int64_t *sorted = malloc((size_t)ids->count * sizeof *sorted);
  decoder->dictionaries = calloc((size_t)ids->count, sizeof *decoder->dictionaries);
  if (sorted == NULL || decoder->dictionaries == NULL) {
    free(sorted);
    return error_set(error, STATUS_NOMEM, "no memory for a schema");
  }
  memcpy(sorted, ids->ids, (size_t)ids->count * sizeof *sorted);
  qsort(sorted, (size_t)ids->count, sizeof *sorted, by_id);
  for (int64_t i = 0; i < ids->count; i++)
    if (i == 0 || sorted[i] != sorted[i - 1])
      decoder->dictionaries[decoder->dictionary_count++].id = sorted[i];
  free(sorted);
  return STATUS_OK;
}

static enum status add_dictionary(struct ipc_decoder *decoder, const struct layout *node,
                                  int64_t id, struct error *error) {
  struct dictionary *dictionary = find_dictionary(decoder, id);
  struct error where;
  assert(dictionary != NULL);
  decoder->dictionary_of_node[node->index] = (int32_t)(dictionary - decoder->dictionaries);
  if (dictionary->values == NULL) dictionary->values = node->dictionary;
  if (arrow_schema_equal(dictionary->values->schema, node->dictionary->schema, &where))
    return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "field '%s' shares dictionary %" PRId64 " with a field of other values",
                   layout_name(node), id);
}

/* Gives each encoded node its dictionary, in the order of ipc_schema_read. */
static enum status assign_dictionaries(struct ipc_decoder *decoder, const struct layout *node,
                                       const int64_t **ids, struct error *error) {
  enum status status = STATUS_OK;
  assert(decoder->dictionary_of_node != NULL);
  decoder->dictionary_of_node[node->index] = -1;
  if (node->dictionary != NULL) {
    status = add_dictionary(decoder, node, *(*ids)++, error);
    if (status == STATUS_OK) status = assign_dictionaries(decoder, node->dictionary, ids, error);
  }
  for (int64_t i = 0; i < node->child_count && status == STATUS_OK; i++)
    status = assign_dictionaries(decoder, &node->children[i], ids, error);
  return status;
}

static enum status take_schema(struct ipc_decoder *decoder, const struct ipc_header *header,
                               struct error *error) {
  if (decoder->layout != NULL)
    return error_set(error, STATUS_INVALID, "the stream has a second schema");
  struct ipc_dictionary_ids ids = {.ids = NULL};
  struct layout *layout = NULL;
  enum status status = ipc_schema_read(header, &decoder->schema, &ids, error);
  if (status == STATUS_OK)
    status =
        layout_new(&decoder->schema, "are not supported yet", &layout, &decoder->node_count, error);
  if (status == STATUS_OK) {
    decoder->dictionary_of_node =
        calloc((size_t)decoder->node_count, sizeof *decoder->dictionary_of_node);
    status = decoder->dictionary_of_node != NULL
                 ? make_dictionaries(decoder, &ids, error)
                 : error_set(error, STATUS_NOMEM, "no memory for a schema");
  }
  const int64_t *next = ids.ids;
  if (status == STATUS_OK) status = assign_dictionaries(decoder, layout, &next, error);
  free(ids.ids);
  if (status == STATUS_OK) {
    decoder->layout = layout;
  } else {
    layout_free(layout);
    forget_schema(decoder);
  }
  return status;
}

/* ---- a batch: sizes -------------------------------------------------------------------------- */

struct batch_reading {
  struct ipc_decoder *decoder;
  struct ipc_body body;
  struct fb_vector nodes;
  int64_t next_node;
  struct fb_vector variadic_counts; /* data buffers of each array of views */
  int64_t next_variadic;
  int64_t length; /* rows */
};

static int64_t buffer_count(enum arrow_kind kind) {
  if (kind == ARROW_NULL) return 0;
  if (kind == ARROW_STRUCT || kind == ARROW_FIXED_SIZE_LIST) return 1;
  /* Views have, after their data buffers, one of those buffers' lengths. */
  return layout_is_bytes(kind) || layout_is_view(kind) ? 3 : 2;
}

/* Adds what the arrays along `node` take; a dictionary that has not come counts as an
 * empty one. */
static void measure(const struct ipc_decoder *decoder, const struct layout *node,
                    struct array_tree_size *size) {
  size->nodes++;
  size->buffers += buffer_count(node->type.kind);
  size->children += node->child_count;
  for (int64_t i = 0; i < node->child_count; i++) measure(decoder, &node->children[i], size);
  if (node->dictionary == NULL) return;
  size->holds++;
  const struct dictionary *dictionary =
      &decoder->dictionaries[decoder->dictionary_of_node[node->index]];
  if (dictionary->shared != NULL)
    array_tree_measure(arrow_shared_array(dictionary->shared), size);
  else
    measure(decoder, node->dictionary, size);
}

/* ---- a batch: nodes --------------------------------------------------------------------------- */

/* What offsets of an array of no slots point to. */
static const int64_t no_offsets[1];

/* An array of no values, for a dictionary that no index refers to. */
static struct ArrowArray *empty_node(struct array_tree *tree, const struct layout *node) {
  struct ArrowArray *array =
      array_tree_node(tree, buffer_count(node->type.kind), node->child_count);
  if (layout_offset_bytes(node->type.kind) > 0) array->buffers[1] = no_offsets;
  if (layout_is_view(node->type.kind)) array->buffers[2] = no_offsets;
  for (int64_t i = 0; i < node->child_count; i++)
    array->children[i] = empty_node(tree, &node->children[i]);
  if (node->dictionary != NULL) array->dictionary = empty_node(tree, node->dictionary);
  return array;
}

static enum status take_validity(struct batch_reading *reading, struct ArrowArray *array,
                                 struct error *error) {
  struct ipc_span span;
  enum status status = ipc_body_next(&reading->body, &span, error);
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
static enum status take_values(struct batch_reading *reading, int64_t needed_bytes,
                               const void **data, struct error *error) {
  struct ipc_span span;
  enum status status = ipc_body_next(&reading->body, &span, error);
  if (status != STATUS_OK) return status;
  *data = span.data;
  if (span.size_bytes >= needed_bytes) return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "its values have %" PRId64 " bytes; its slots need %" PRId64, span.size_bytes,
                   needed_bytes);
}

static enum status take_offsets(struct batch_reading *reading, struct ArrowArray *array,
                                int64_t offset_bytes, struct error *error) {
  if (array->length > 0)
    return take_values(reading, (array->length + 1) * offset_bytes, &array->buffers[1], error);
  /* Older writers leave the one offset of no slots out. */
  struct ipc_span span;
  enum status status = ipc_body_next(&reading->body, &span, error);
  array->buffers[1] = span.size_bytes < offset_bytes ? (const void *)no_offsets : span.data;
  return status;
}

static enum status take_bytes(struct batch_reading *reading, const struct layout *node,
                              struct ArrowArray *array, struct error *error) {
  int64_t offset_bytes = layout_offset_bytes(node->type.kind);
  enum status status = take_offsets(reading, array, offset_bytes, error);
  if (status != STATUS_OK) return status;
  struct ipc_span data;
  status = ipc_body_next(&reading->body, &data, error);
  if (status != STATUS_OK) return status;
  array->buffers[2] = data.data;
  status = validate_offsets(array->buffers[1], offset_bytes, array->length, data.size_bytes, error);
  bool text = node->type.kind == ARROW_UTF8 || node->type.kind == ARROW_LARGE_UTF8;
  if (status == STATUS_OK && text)
    status = validate_utf8(array->buffers[1], offset_bytes, data.data, array->buffers[0],
                           array->length, error);
  return status;
}

/* Views, their data buffers, and the buffer of those buffers' lengths, which the C data
 * interface has and IPC has not. */
static enum status take_views(struct batch_reading *reading, const struct layout *node,
                              struct ArrowArray *array, struct error *error) {
  int64_t data_count = array->n_buffers - 3;
  struct buffer lengths = BUFFER_EMPTY;
  enum status status = take_values(reading, array->length * VIEW_BYTES, &array->buffers[1], error);
  for (int64_t i = 0; i < data_count && status == STATUS_OK; i++) {
    struct ipc_span data;
    status = ipc_body_next(&reading->body, &data, error);
    array->buffers[2 + i] = data.data;
    if (status == STATUS_OK)
      status = buffer_append(&lengths, reading->decoder->budget, &data.size_bytes,
                             sizeof data.size_bytes, error);
  }
  const int64_t *sizes = data_count > 0 ? (const int64_t *)(const void *)lengths.data : no_offsets;
  array->buffers[2 + data_count] = sizes;
  if (status == STATUS_OK)
    status = validate_views(array->buffers[1], (const uint8_t *const *)(array->buffers + 2), sizes,
                            data_count, array->buffers[0], array->length,
                            node->type.kind == ARROW_UTF8_VIEW, error);
  if (status == STATUS_OK && data_count > 0)
    array_tree_hold_buffer(reading->body.tree, lengths);
  else
    buffer_release(&lengths);
  return status;
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
  status = validate_offsets(array->buffers[1], offset_bytes, array->length, items->length, error);
  if (status == STATUS_OK && node->type.kind == ARROW_MAP &&
      (items->null_count != 0 || items->children[0]->null_count != 0))
    status = error_set(error, STATUS_INVALID, "a map has null entries or null keys");
  return status;
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

static enum status take_dictionary(struct batch_reading *reading, const struct layout *node,
                                   struct ArrowArray *array, struct error *error) {
  struct ipc_decoder *decoder = reading->decoder;
  struct array_tree *tree = reading->body.tree;
  struct dictionary *dictionary = &decoder->dictionaries[decoder->dictionary_of_node[node->index]];
  if (dictionary->shared == NULL) {
    if (array->null_count < array->length)
      return error_set(error, STATUS_INVALID, "its dictionary %" PRId64 " has not come",
                       dictionary->id);
    array->dictionary = empty_node(tree, node->dictionary);
    return STATUS_OK;
  }
  const struct ArrowArray *values = arrow_shared_array(dictionary->shared);
  array_tree_hold_shared(tree, arrow_shared_share(dictionary->shared));
  array->dictionary = array_tree_copy(tree, values);
  return validate_indices(array->buffers[1], node->type.kind, array->buffers[0], array->length,
                          values->length, error);
}

static enum status take_content(struct batch_reading *reading, const struct layout *node,
                                struct ArrowArray *array, struct error *error) {
  enum arrow_kind kind = node->type.kind;
  if (kind == ARROW_NULL) {
    array->null_count = array->length;
    return STATUS_OK;
  }
  enum status status = take_validity(reading, array, error);
  if (status != STATUS_OK) return status;
  if (layout_is_bytes(kind)) return take_bytes(reading, node, array, error);
  if (layout_is_view(kind)) return take_views(reading, node, array, error);
  if (layout_is_list(kind)) return take_list(reading, node, array, error);
  if (kind == ARROW_STRUCT || kind == ARROW_FIXED_SIZE_LIST)
    return take_children(reading, node, array, error);
  int64_t needed_bytes = kind == ARROW_BOOL ? bitmap_bytes(array->length)
                                            : array->length * layout_value_bytes(&node->type);
  status = take_values(reading, needed_bytes, &array->buffers[1], error);
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
  int64_t buffers = buffer_count(node->type.kind);
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

/* ---- a batch: as a whole ------------------------------------------------------------------------ */

static enum status read_compression(const struct fb_table *batch, struct ipc_body *body,
                                    struct error *error) {
  struct fb_table compression;
  bool present = false;
  int64_t codec = 0;
  int64_t method = 0;
  enum status status = fb_table_field(batch, BATCH_COMPRESSION, &compression, &present, error);
  if (status != STATUS_OK || !present) return status;
  status = fb_integer_field(&compression, COMPRESSION_CODEC, 1, 0, &codec, error);
  if (status == STATUS_OK)
    status = fb_integer_field(&compression, COMPRESSION_METHOD, 1, 0, &method, error);
  if (status != STATUS_OK) return status;
  if (codec < CODEC_LZ4_FRAME || codec > CODEC_ZSTD || method != 0)
    return error_set(error, STATUS_UNSUPPORTED,
                     "its compression (codec %" PRId64 ", method %" PRId64
                     ") is not supported; LZ4 frames and ZSTD are",
                     codec, method);
  body->compression = codec == CODEC_LZ4_FRAME ? IPC_COMPRESSION_LZ4 : IPC_COMPRESSION_ZSTD;
  return STATUS_OK;
}

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
  if (status == STATUS_OK) status = read_compression(batch, &reading->body, error);
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

/* Reads the arrays along `layout`: the columns of a batch, or a dictionary's values,
 * which are the batch's one column. */
static enum status decode_along(struct ipc_decoder *decoder, const struct layout *layout,
                                bool is_batch, const struct fb_table *table,
                                const struct buffer *bytes, struct array_tree **tree,
                                bool *referred, struct error *error) {
  struct batch_reading reading = {
      .decoder = decoder,
      .body = {.bytes = bytes,
               .limits = &decoder->limits,
               .budget = decoder->budget,
               .expander = decoder->expander},
  };
  *tree = NULL;
  struct array_tree_size size = {.holds = 1};
  enum status status = read_batch(table, &reading, error);
  if (status == STATUS_OK) status = count_variadic(&reading, &size.buffers, error);
  if (status != STATUS_OK) return status;
  assert(layout != NULL); /* a schema has come before what needs one */
  measure(decoder, layout, &size);
  size.holds += size.buffers;
  status = array_tree_new(&size, tree, error);
  if (status != STATUS_OK) return status;
  reading.body.tree = *tree;

  struct ArrowArray *root = NULL;
  if (is_batch) {
    root = array_tree_node(*tree, 1, layout->child_count);
    root->length = reading.length;
    status = take_children(&reading, layout, root, error);
  } else {
    status = take_node(&reading, layout, &root, error);
    if (status == STATUS_OK && root != NULL && root->length != reading.length)
      status = error_set(error, STATUS_INVALID, "a dictionary's values are not as many as it says");
  }
  if (status == STATUS_OK) status = check_even(&reading, error);
  *referred = reading.body.referred;
  if (status == STATUS_OK) return STATUS_OK;
  array_tree_abandon(*tree);
  *tree = NULL;
  return status;
}

/* ---- messages -------------------------------------------------------------------------------------- */

/* The arrays of a tree, which holds the message's body from now on if they need it. */
static void hand_out(struct array_tree *tree, bool referred, struct ipc_message *message,
                     struct ArrowArray *out) {
  if (referred) {
    array_tree_hold_buffer(tree, message->body);
    message->body = BUFFER_EMPTY;
  }
  array_tree_finish(tree, out);
}

static enum status take_batch(struct ipc_decoder *decoder, const struct ipc_header *header,
                              struct ipc_message *message, struct ArrowArray *batch,
                              struct error *error) {
  struct array_tree *tree = NULL;
  bool referred = false;
  enum status status = decode_along(decoder, decoder->layout, true, &header->table, &message->body,
                                    &tree, &referred, error);
  if (status == STATUS_OK) hand_out(tree, referred, message, batch);
  return status;
}

static enum status take_dictionary_batch(struct ipc_decoder *decoder,
                                         const struct ipc_header *header,
                                         struct ipc_message *message, enum ipc_event *event,
                                         struct error *error) {
  int64_t id = 0;
  int64_t is_delta = 0;
  struct fb_table data;
  bool has_data = false;
  enum status status = fb_integer_field(&header->table, DICTIONARY_BATCH_ID, 8, 0, &id, error);
  if (status == STATUS_OK)
    status = fb_integer_field(&header->table, DICTIONARY_BATCH_IS_DELTA, 1, 0, &is_delta, error);
  if (status == STATUS_OK)
    status = fb_table_field(&header->table, DICTIONARY_BATCH_DATA, &data, &has_data, error);
  if (status != STATUS_OK) return status;
  struct dictionary *dictionary = find_dictionary(decoder, id);
  if (dictionary == NULL || !has_data)
    return error_set(error, STATUS_INVALID, "no field of the schema has the dictionary %" PRId64,
                     id);
  if (is_delta != 0)
    return error_set(error, STATUS_UNSUPPORTED,
                     "dictionary %" PRId64 " grows by a delta, which is not supported yet", id);

  struct array_tree *tree = NULL;
  bool referred = false;
  struct ArrowArray values = {.release = NULL};
  struct arrow_shared *shared = NULL;
  status = decode_along(decoder, dictionary->values, false, &data, &message->body, &tree, &referred,
                        error);
  if (status == STATUS_OK) {
    hand_out(tree, referred, message, &values);
    status = arrow_shared_new(&values, &shared, error);
  }
  if (status != STATUS_OK) {
    arrow_array_release(&values);
    error_at(error, "dictionary %" PRId64, id);
    return status;
  }
  *event = dictionary->shared == NULL ? IPC_EVENT_DICTIONARY : IPC_EVENT_REPLACEMENT;
  arrow_shared_release(dictionary->shared);
  dictionary->shared = shared;
  return STATUS_OK;
}

enum status ipc_decoder_decode(struct ipc_decoder *decoder, struct ipc_message *message,
                               enum ipc_event *event, struct ArrowArray *batch,
                               struct error *error) {
  batch->release = NULL;
  *event = IPC_EVENT_DICTIONARY;
  struct ipc_header header;
  enum status status = ipc_header_read(&message->metadata, &header, error);
  if (status == STATUS_OK && header.body_bytes > message->body.size_bytes)
    status = error_set(error, STATUS_INVALID, "its body has %" PRId64 " bytes and says %" PRId64,
                       message->body.size_bytes, header.body_bytes);
  if (status == STATUS_OK && header.type != IPC_HEADER_SCHEMA && decoder->layout == NULL)
    status = error_set(error, STATUS_INVALID, "the stream does not begin with a schema");
  if (status == STATUS_OK && header.type == IPC_HEADER_SCHEMA) {
    *event = IPC_EVENT_SCHEMA;
    status = take_schema(decoder, &header, error);
  } else if (status == STATUS_OK && header.type == IPC_HEADER_DICTIONARY) {
    status = take_dictionary_batch(decoder, &header, message, event, error);
  } else if (status == STATUS_OK) {
    *event = IPC_EVENT_BATCH;
    status = take_batch(decoder, &header, message, batch, error);
  }
  if (status == STATUS_OK)
    ipc_message_release(message);
  else
    error_at(error, "the message at byte %" PRId64, message->offset_bytes);
  return status;
}
