/* One walk along the layout. At each node there is a run of slots of each part; the node's
 * buffers are made as long as all of them need, filled part by part, and its children are
 * joined from the runs that the slots refer to. */
#include "arrow/concat.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/bitmap.h"
#include "arrow/tree.h"

/* Slots [start, start + length) of an array, counted from its offset. */
struct run {
  const struct ArrowArray *array;
  int64_t start;
  int64_t length;
};

struct joining {
  struct array_tree *tree;
  struct budget *budget;
  int64_t count; /* of runs, at every node */
};

static int64_t first_slot(const struct run *run) { return run->array->offset + run->start; }

/* ---- measuring ----------------------------------------------------------------------- */

static int64_t data_buffers(const struct ArrowArray *array) { return array->n_buffers - 3; }

/* What the result takes: a node, its buffers and children, at most a buffer to hold for each
 * of its own, and the data buffers of all views. `parts` are the arrays at this node. */
static void measure(const struct layout *layout, const struct ArrowArray *part,
                    struct array_tree_size *size, bool is_first) {
  if (is_first) {
    int64_t buffers = layout_buffer_count(layout->type.kind);
    size->nodes++;
    size->buffers += buffers;
    size->holds += buffers;
    size->children += layout->child_count;
  }
  if (layout_is_view(layout->type.kind)) size->buffers += data_buffers(part);
  for (int64_t i = 0; i < layout->child_count; i++)
    measure(&layout->children[i], part->children[i], size, is_first);
  /* Joined once more, or copied from one part: as large as all of them at most. */
  if (layout->dictionary != NULL) {
    measure(layout->dictionary, part->dictionary, size, is_first);
    array_tree_measure(part->dictionary, size);
  }
}

/* Whether the result points into the parts: views' data, dictionaries. */
static bool shares_parts(const struct layout *layout) {
  bool shares = layout->dictionary != NULL || layout_is_view(layout->type.kind);
  for (int64_t i = 0; i < layout->child_count && !shares; i++)
    shares = shares_parts(&layout->children[i]);
  return shares;
}

/* ---- buffers ------------------------------------------------------------------------- */

/* A zeroed buffer of the tree's. */
static enum status new_buffer(struct joining *joining, int64_t bytes, uint8_t **data,
                              struct error *error) {
  struct buffer buffer = BUFFER_EMPTY;
  enum status status = buffer_reserve(&buffer, joining->budget, bytes > 0 ? bytes : 1, error);
  if (status != STATUS_OK) return status;
  memset(buffer.data, 0, (size_t)buffer.capacity_bytes);
  buffer.size_bytes = bytes;
  array_tree_hold_buffer(joining->tree, buffer);
  *data = buffer.data;
  return STATUS_OK;
}

static void append_bits(uint8_t *to, int64_t at, const uint8_t *from, int64_t start,
                        int64_t count) {
  if (at % 8 == 0) {
    bitmap_copy(to + at / 8, from, start, count);
    return;
  }
  for (int64_t i = 0; i < count; i++)
    if (bitmap_get(from, start + i)) bitmap_set(to, at + i);
}

static enum status join_bits(struct joining *joining, const struct run *runs, int buffer,
                             struct ArrowArray *out, struct error *error) {
  uint8_t *bits = NULL;
  enum status status = new_buffer(joining, bitmap_bytes(out->length), &bits, error);
  if (status != STATUS_OK) return status;
  out->buffers[buffer] = bits;
  int64_t at = 0;
  for (int64_t i = 0; i < joining->count; at += runs[i++].length) {
    const uint8_t *from = runs[i].array->buffers[buffer];
    if (from != NULL) {
      append_bits(bits, at, from, first_slot(&runs[i]), runs[i].length);
    } else { /* a bitmap that is left out: nothing is null */
      for (int64_t k = 0; k < runs[i].length; k++) bitmap_set(bits, at + k);
    }
  }
  return STATUS_OK;
}

static enum status join_validity(struct joining *joining, const struct run *runs,
                                 struct ArrowArray *out, struct error *error) {
  for (int64_t i = 0; i < joining->count; i++) {
    const uint8_t *bits = runs[i].array->buffers[0];
    if (bits == NULL) continue;
    out->null_count += runs[i].length - bitmap_count(bits, first_slot(&runs[i]), runs[i].length);
  }
  return out->null_count > 0 ? join_bits(joining, runs, 0, out, error) : STATUS_OK;
}

static enum status join_fixed(struct joining *joining, const struct run *runs, int buffer,
                              int64_t width_bytes, struct ArrowArray *out, struct error *error) {
  uint8_t *values = NULL;
  enum status status = new_buffer(joining, out->length * width_bytes, &values, error);
  if (status != STATUS_OK) return status;
  out->buffers[buffer] = values;
  for (int64_t i = 0; i < joining->count; i++) {
    size_t bytes = (size_t)(runs[i].length * width_bytes);
    const uint8_t *from = runs[i].array->buffers[buffer];
    if (bytes == 0) continue;
    memcpy(values, from + first_slot(&runs[i]) * width_bytes, bytes);
    values += bytes;
  }
  return STATUS_OK;
}

/* ---- offsets ------------------------------------------------------------------------- */

static enum status too_large(const struct layout *layout, struct error *error) {
  return error_set(error, STATUS_TOO_LARGE,
                   "column \"%s\": a dictionary has grown past what its 32-bit offsets reach",
                   layout_name(layout));
}

static void put_offset(uint8_t *at, int64_t width_bytes, int64_t index, int64_t value) {
  if (width_bytes == 8)
    ((int64_t *)(void *)at)[index] = value;
  else
    ((int32_t *)(void *)at)[index] = (int32_t)value;
}

/* The offsets of all runs from 0 on; `spans` says which items each run refers to. */
static enum status join_offsets(struct joining *joining, const struct layout *layout,
                                const struct run *runs, struct ArrowArray *out, struct run *spans,
                                struct error *error) {
  uint8_t *offsets = NULL;
  int64_t width_bytes = layout_offset_bytes(layout->type.kind);
  enum status status = new_buffer(joining, (out->length + 1) * width_bytes, &offsets, error);
  if (status != STATUS_OK) return status;
  out->buffers[1] = offsets;
  int64_t total = 0;
  int64_t slot = 0;
  for (int64_t i = 0; i < joining->count; i++) {
    const void *from = runs[i].array->buffers[1];
    int64_t begin = first_slot(&runs[i]);
    spans[i].start = spans[i].length = 0;
    if (runs[i].length == 0) continue;
    spans[i].start = layout_offset(from, width_bytes, begin);
    spans[i].length = layout_offset(from, width_bytes, begin + runs[i].length) - spans[i].start;
    if (width_bytes == 4 && spans[i].length > INT32_MAX - total) return too_large(layout, error);
    for (int64_t k = 1; k <= runs[i].length; k++)
      put_offset(offsets, width_bytes, ++slot,
                 total + layout_offset(from, width_bytes, begin + k) - spans[i].start);
    total += spans[i].length;
  }
  return STATUS_OK;
}

static enum status join_bytes(struct joining *joining, const struct layout *layout,
                              const struct run *runs, struct run *spans, struct ArrowArray *out,
                              struct error *error) {
  uint8_t *data = NULL;
  int64_t total = 0;
  enum status status = join_offsets(joining, layout, runs, out, spans, error);
  if (status != STATUS_OK) return status;
  for (int64_t i = 0; i < joining->count; i++) total += spans[i].length;
  status = new_buffer(joining, total, &data, error);
  if (status != STATUS_OK) return status;
  out->buffers[2] = data;
  for (int64_t i = 0; i < joining->count; i++) {
    if (spans[i].length == 0) continue;
    memcpy(data, (const uint8_t *)runs[i].array->buffers[2] + spans[i].start,
           (size_t)spans[i].length);
    data += spans[i].length;
  }
  return STATUS_OK;
}

/* ---- views --------------------------------------------------------------------------- */

/* Views that are not inline name their data buffer, whose number moves; null ones, which may
 * name anything, become empty. */
static void renumber_views(uint8_t *views, const struct run *run, int64_t moved) {
  const uint8_t *validity = run->array->buffers[0];
  for (int64_t i = 0; i < run->length; i++, views += VIEW_BYTES) {
    int32_t numbers[4];
    if (validity != NULL && !bitmap_get(validity, first_slot(run) + i))
      memset(views, 0, VIEW_BYTES);
    memcpy(numbers, views, sizeof numbers);
    if (numbers[0] <= VIEW_INLINE_BYTES) continue;
    numbers[2] = (int32_t)(numbers[2] + moved);
    memcpy(views, numbers, sizeof numbers);
  }
}

static enum status join_views(struct joining *joining, const struct run *runs,
                              struct ArrowArray *out, struct error *error) {
  uint8_t *sizes = NULL;
  enum status status = join_fixed(joining, runs, 1, VIEW_BYTES, out, error);
  int64_t total = data_buffers(out);
  if (status == STATUS_OK)
    status = new_buffer(joining, total * (int64_t)sizeof(int64_t), &sizes, error);
  if (status != STATUS_OK) return status;
  out->buffers[out->n_buffers - 1] = sizes;
  uint8_t *views = (uint8_t *)out->buffers[1];
  int64_t moved = 0;
  for (int64_t i = 0; i < joining->count; i++) {
    const struct ArrowArray *array = runs[i].array;
    int64_t count = data_buffers(array);
    renumber_views(views, &runs[i], moved);
    views += runs[i].length * VIEW_BYTES;
    for (int64_t k = 0; k < count; k++) out->buffers[2 + moved + k] = array->buffers[2 + k];
    if (count > 0)
      memcpy(sizes + moved * (int64_t)sizeof(int64_t), array->buffers[array->n_buffers - 1],
             (size_t)count * sizeof(int64_t));
    moved += count;
  }
  return STATUS_OK;
}

/* ---- children ------------------------------------------------------------------------ */

static enum status join(struct joining *joining, const struct layout *layout,
                        const struct run *runs, struct ArrowArray **out, struct error *error);

/* Child `index` of every run; `spans` says which of its slots. */
static enum status join_child(struct joining *joining, const struct layout *layout,
                              const struct run *runs, int64_t index, struct run *spans,
                              struct ArrowArray *out, struct error *error) {
  for (int64_t i = 0; i < joining->count; i++) spans[i].array = runs[i].array->children[index];
  return join(joining, &layout->children[index], spans, &out->children[index], error);
}

static void span_all(struct joining *joining, const struct run *runs, int64_t index,
                     struct run *spans) {
  for (int64_t i = 0; i < joining->count; i++)
    spans[i] = (struct run){.length = runs[i].array->children[index]->length};
}

/* Structs, sparse unions and fixed-size lists: so many child slots for each slot. */
static enum status join_children(struct joining *joining, const struct layout *layout,
                                 const struct run *runs, int64_t each, struct run *spans,
                                 struct ArrowArray *out, struct error *error) {
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++) {
    for (int64_t k = 0; k < joining->count; k++)
      spans[k] =
          (struct run){.start = first_slot(&runs[k]) * each, .length = runs[k].length * each};
    status = join_child(joining, layout, runs, i, spans, out, error);
  }
  return status;
}

/* Items are taken over whole, so that each list is moved by what came before its part. */
static enum status join_list_views(struct joining *joining, const struct layout *layout,
                                   const struct run *runs, struct run *spans,
                                   struct ArrowArray *out, struct error *error) {
  int64_t width_bytes = layout_list_view_bytes(layout->type.kind);
  enum status status = join_fixed(joining, runs, 1, width_bytes, out, error);
  if (status == STATUS_OK) status = join_fixed(joining, runs, 2, width_bytes, out, error);
  if (status != STATUS_OK) return status;
  uint8_t *offsets = (uint8_t *)out->buffers[1];
  int64_t slot = 0;
  int64_t moved = 0;
  for (int64_t i = 0; i < joining->count; i++) {
    int64_t items = runs[i].array->children[0]->length;
    if (width_bytes == 4 && items > INT32_MAX - moved) return too_large(layout, error);
    for (int64_t k = 0; k < runs[i].length; k++, slot++)
      put_offset(offsets, width_bytes, slot, layout_offset(offsets, width_bytes, slot) + moved);
    moved += items;
  }
  span_all(joining, runs, 0, spans);
  return join_child(joining, layout, runs, 0, spans, out, error);
}

static enum status move_dense_offsets(struct joining *joining, const struct layout *layout,
                                      const struct run *runs, struct ArrowArray *out,
                                      struct error *error) {
  const int8_t *type_ids = out->buffers[0];
  int32_t *offsets = (int32_t *)out->buffers[1];
  int64_t moved[UNION_CODES] = {0}; /* by child */
  int64_t slot = 0;
  for (int64_t i = 0; i < joining->count; i++) {
    for (int64_t k = 0; k < runs[i].length; k++, slot++)
      offsets[slot] = (int32_t)(offsets[slot] + moved[layout->child_of_code[type_ids[slot]]]);
    for (int64_t k = 0; k < layout->child_count; k++) {
      moved[k] += runs[i].array->children[k]->length;
      if (moved[k] > INT32_MAX) return too_large(layout, error);
    }
  }
  return STATUS_OK;
}

static enum status join_union(struct joining *joining, const struct layout *layout,
                              const struct run *runs, struct run *spans, struct ArrowArray *out,
                              struct error *error) {
  enum status status = join_fixed(joining, runs, 0, 1, out, error);
  if (layout->type.kind == ARROW_SPARSE_UNION)
    return status == STATUS_OK ? join_children(joining, layout, runs, 1, spans, out, error)
                               : status;
  if (status == STATUS_OK) status = join_fixed(joining, runs, 1, 4, out, error);
  if (status == STATUS_OK) status = move_dense_offsets(joining, layout, runs, out, error);
  for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++) {
    span_all(joining, runs, i, spans);
    status = join_child(joining, layout, runs, i, spans, out, error);
  }
  return status;
}

/* ---- runs ---------------------------------------------------------------------------- */

/* The physical runs that the slots of a run-end encoded array lie in. */
static struct run find_runs(const struct run *run, int64_t width_bytes) {
  const struct ArrowArray *ends = run->array->children[RUN_ENDS];
  int64_t first = 0;
  int64_t begin = first_slot(run);
  if (run->length == 0) return (struct run){.length = 0};
  while (layout_run_end(ends->buffers[1], width_bytes, ends->offset + first) <= begin) first++;
  int64_t last = first;
  while (layout_run_end(ends->buffers[1], width_bytes, ends->offset + last) < begin + run->length)
    last++;
  return (struct run){.start = first, .length = last - first + 1};
}

static void put_run_end(uint8_t *ends, int64_t width_bytes, int64_t index, int64_t value) {
  if (width_bytes == 2)
    ((int16_t *)(void *)ends)[index] = (int16_t)value;
  else
    put_offset(ends, width_bytes, index, value);
}

/* Run ends of all parts, counted on from one to the next. */
static enum status join_run_ends(struct joining *joining, const struct layout *layout,
                                 const struct run *runs, const struct run *spans,
                                 struct ArrowArray *out, struct error *error) {
  int64_t width_bytes = layout_value_bytes(&layout->children[RUN_ENDS].type);
  int64_t most = width_bytes == 2 ? INT16_MAX : width_bytes == 4 ? INT32_MAX : INT64_MAX;
  uint8_t *ends = NULL;
  struct ArrowArray *child = array_tree_node(joining->tree, 2, 0);
  out->children[RUN_ENDS] = child;
  for (int64_t i = 0; i < joining->count; i++) child->length += spans[i].length;
  if (out->length > most)
    return error_set(error, STATUS_TOO_LARGE,
                     "column \"%s\": a dictionary has grown past what its run ends can say",
                     layout_name(layout));
  enum status status = new_buffer(joining, child->length * width_bytes, &ends, error);
  if (status != STATUS_OK) return status;
  child->buffers[1] = ends;
  int64_t at = 0;
  int64_t before = 0;
  for (int64_t i = 0; i < joining->count; before += runs[i++].length) {
    const struct ArrowArray *from = runs[i].array->children[RUN_ENDS];
    for (int64_t k = 0; k < spans[i].length; k++, at++) {
      int64_t end =
          layout_run_end(from->buffers[1], width_bytes, from->offset + spans[i].start + k) -
          first_slot(&runs[i]);
      put_run_end(ends, width_bytes, at, before + (end < runs[i].length ? end : runs[i].length));
    }
  }
  return STATUS_OK;
}

static enum status join_runs(struct joining *joining, const struct layout *layout,
                             const struct run *runs, struct run *spans, struct ArrowArray *out,
                             struct error *error) {
  int64_t width_bytes = layout_value_bytes(&layout->children[RUN_ENDS].type);
  for (int64_t i = 0; i < joining->count; i++) spans[i] = find_runs(&runs[i], width_bytes);
  enum status status = join_run_ends(joining, layout, runs, spans, out, error);
  if (status != STATUS_OK) return status;
  return join_child(joining, layout, runs, RUN_VALUES, spans, out, error);
}

/* ---- dictionaries -------------------------------------------------------------------- */

static int64_t read_index(const uint8_t *indices, int64_t width_bytes, int64_t at) {
  int64_t index = 0; /* in its dictionary, so not negative */
  memcpy(&index, indices + at * width_bytes, (size_t)width_bytes);
  return index;
}

/* Indices of every part count on from the dictionaries of those before it; those of nulls,
 * which may be anything, become 0. */
static enum status move_indices(struct joining *joining, const struct layout *layout,
                                const struct run *runs, struct ArrowArray *out,
                                struct error *error) {
  int64_t width_bytes = layout_value_bytes(&layout->type);
  enum arrow_kind kind = layout->type.kind;
  bool is_signed =
      kind == ARROW_INT8 || kind == ARROW_INT16 || kind == ARROW_INT32 || kind == ARROW_INT64;
  int64_t bits = 8 * width_bytes - (is_signed ? 1 : 0);
  int64_t most = bits >= 63 ? INT64_MAX : (INT64_C(1) << bits) - 1;
  uint8_t *indices = (uint8_t *)out->buffers[1];
  const uint8_t *validity = out->buffers[0];
  int64_t slot = 0;
  int64_t moved = 0;
  for (int64_t i = 0; i < joining->count; moved += runs[i++].array->dictionary->length) {
    for (int64_t k = 0; k < runs[i].length; k++, slot++) {
      bool is_null = validity != NULL && !bitmap_get(validity, slot);
      int64_t index = is_null ? 0 : moved + read_index(indices, width_bytes, slot);
      if (index > most)
        return error_set(error, STATUS_TOO_LARGE,
                         "column \"%s\": a dictionary has grown past what its indices reach",
                         layout_name(layout));
      memcpy(indices + slot * width_bytes, &index, (size_t)width_bytes);
    }
  }
  return STATUS_OK;
}

/* Parts that were encoded with the same dictionary keep it. */
static enum status join_dictionary(struct joining *joining, const struct layout *layout,
                                   const struct run *runs, struct run *spans,
                                   struct ArrowArray *out, struct error *error) {
  bool same = true;
  for (int64_t i = 1; i < joining->count && same; i++)
    same = array_same_memory(runs[0].array->dictionary, runs[i].array->dictionary);
  if (same) {
    out->dictionary = array_tree_copy(joining->tree, runs[0].array->dictionary);
    return STATUS_OK;
  }
  enum status status = move_indices(joining, layout, runs, out, error);
  if (status != STATUS_OK) return status;
  for (int64_t i = 0; i < joining->count; i++)
    spans[i] = (struct run){runs[i].array->dictionary, 0, runs[i].array->dictionary->length};
  return join(joining, layout->dictionary, spans, &out->dictionary, error);
}

/* ---- nodes --------------------------------------------------------------------------- */

static enum status join_content(struct joining *joining, const struct layout *layout,
                                const struct run *runs, struct run *spans, struct ArrowArray *out,
                                struct error *error) {
  enum arrow_kind kind = layout->type.kind;
  if (kind == ARROW_NULL) {
    out->null_count = out->length;
    return STATUS_OK;
  }
  if (kind == ARROW_RUN_END_ENCODED) return join_runs(joining, layout, runs, spans, out, error);
  if (layout_is_union(kind)) return join_union(joining, layout, runs, spans, out, error);
  enum status status = join_validity(joining, runs, out, error);
  if (status != STATUS_OK) return status;
  if (kind == ARROW_BOOL) return join_bits(joining, runs, 1, out, error);
  if (layout_is_bytes(kind)) return join_bytes(joining, layout, runs, spans, out, error);
  if (layout_is_view(kind)) return join_views(joining, runs, out, error);
  if (layout_is_list_view(kind)) return join_list_views(joining, layout, runs, spans, out, error);
  if (kind == ARROW_STRUCT) return join_children(joining, layout, runs, 1, spans, out, error);
  if (kind == ARROW_FIXED_SIZE_LIST)
    return join_children(joining, layout, runs, layout->type.fixed_size, spans, out, error);
  if (layout_is_list(kind)) {
    status = join_offsets(joining, layout, runs, out, spans, error);
    return status == STATUS_OK ? join_child(joining, layout, runs, 0, spans, out, error) : status;
  }
  status = join_fixed(joining, runs, 1, layout_value_bytes(&layout->type), out, error);
  if (status == STATUS_OK && layout->dictionary != NULL)
    status = join_dictionary(joining, layout, runs, spans, out, error);
  return status;
}

static enum status join(struct joining *joining, const struct layout *layout,
                        const struct run *runs, struct ArrowArray **out, struct error *error) {
  int64_t buffers = layout_buffer_count(layout->type.kind);
  struct run *spans = calloc((size_t)joining->count, sizeof *spans);
  if (spans == NULL) return error_set(error, STATUS_NOMEM, "no memory for a dictionary");
  if (layout_is_view(layout->type.kind))
    for (int64_t i = 0; i < joining->count; i++) buffers += data_buffers(runs[i].array);
  *out = array_tree_node(joining->tree, buffers, layout->child_count);
  for (int64_t i = 0; i < joining->count; i++) (*out)->length += runs[i].length;
  enum status status = join_content(joining, layout, runs, spans, *out, error);
  free(spans);
  return status;
}

enum status arrow_concat(const struct layout *layout, struct arrow_shared *const *parts,
                         int64_t count, struct budget *budget, struct ArrowArray *out,
                         struct error *error) {
  struct array_tree_size size = {.holds = count};
  struct joining joining = {.budget = budget, .count = count};
  assert(count > 0);
  struct run *runs = calloc((size_t)count, sizeof *runs);
  if (runs == NULL) return error_set(error, STATUS_NOMEM, "no memory for a dictionary");
  for (int64_t i = 0; i < count; i++) {
    const struct ArrowArray *array = arrow_shared_array(parts[i]);
    runs[i] = (struct run){array, 0, array->length};
    measure(layout, array, &size, i == 0);
  }
  struct ArrowArray *root = NULL;
  enum status status = array_tree_new(&size, &joining.tree, error);
  if (status == STATUS_OK) {
    for (int64_t i = 0; i < count && shares_parts(layout); i++)
      array_tree_hold_shared(joining.tree, arrow_shared_share(parts[i]));
    status = join(&joining, layout, runs, &root, error);
  }
  if (status == STATUS_OK)
    array_tree_finish(joining.tree, out);
  else
    array_tree_abandon(joining.tree);
  free(runs);
  return status;
}
