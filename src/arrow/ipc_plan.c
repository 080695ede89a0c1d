#include "arrow/ipc_plan.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "arrow/bitmap.h"
#include "arrow/ipc_plan_pieces.h"

static enum status plan_slots(struct ipc_plan *plan, const struct layout *layout,
                              const struct ArrowArray *array, int64_t start, int64_t length,
                              struct error *error);

/* ---- offsets ------------------------------------------------------------------------ */

/* The offsets of slots [begin, begin + length), from 0 on; what they span is
 * [*first, *last). Those between are not looked at, and do not leave the span. */
static enum status add_offsets(struct ipc_plan *plan, const struct layout *layout,
                               const void *offsets, int64_t begin, int64_t length, int64_t *first,
                               int64_t *last, struct error *error) {
  static const int64_t zero;
  int64_t width = layout_offset_bytes(layout->type.kind);
  *first = *last = 0;
  if (length == 0) return ipc_plan_add_values(plan, layout, &zero, 0, 1, width, error);
  *first = layout_offset(offsets, width, begin);
  *last = layout_offset(offsets, width, begin + length);
  if (*first < 0 || *last < *first)
    return error_set(error, STATUS_INVALID,
                     "column \"%s\": its offsets go from %" PRId64 " to %" PRId64,
                     layout_name(layout), *first, *last);
  return ipc_plan_add_shifted(plan, layout, offsets, begin, length + 1, (int)width, *first,
                              *last - *first, true, error);
}

static enum status plan_bytes(struct ipc_plan *plan, const struct layout *layout,
                              const struct ArrowArray *array, int64_t begin, int64_t length,
                              struct error *error) {
  int64_t first;
  int64_t last;
  enum status status =
      add_offsets(plan, layout, array->buffers[1], begin, length, &first, &last, error);
  if (status != STATUS_OK) return status;
  return ipc_plan_add_values(plan, layout, array->buffers[2], first, last - first, 1, error);
}

static enum status plan_list(struct ipc_plan *plan, const struct layout *layout,
                             const struct ArrowArray *array, int64_t begin, int64_t length,
                             struct error *error) {
  int64_t first;
  int64_t last;
  enum status status =
      add_offsets(plan, layout, array->buffers[1], begin, length, &first, &last, error);
  if (status != STATUS_OK) return status;
  return plan_slots(plan, &layout->children[0], array->children[0], first, last - first, error);
}

static enum status plan_fixed_size_list(struct ipc_plan *plan, const struct layout *layout,
                                        const struct ArrowArray *array, int64_t begin,
                                        int64_t length, struct error *error) {
  int64_t first;
  int64_t items;
  if (__builtin_mul_overflow(begin, layout->type.fixed_size, &first) ||
      __builtin_mul_overflow(length, layout->type.fixed_size, &items))
    return error_set(error, STATUS_INVALID, "column \"%s\": %" PRId64 " lists are beyond memory",
                     layout_name(layout), length);
  return plan_slots(plan, &layout->children[0], array->children[0], first, items, error);
}

/* ---- views -------------------------------------------------------------------------- */

/* Views are cut to the rows; the data buffers, which they reach into anywhere, are
 * written whole. In the C data interface the last buffer lists their lengths. */
static enum status plan_views(struct ipc_plan *plan, const struct layout *layout,
                              const struct ArrowArray *array, int64_t begin, int64_t length,
                              struct error *error) {
  int64_t count = array->n_buffers - 3;
  const int64_t *sizes = array->buffers[array->n_buffers - 1];
  if (count > 0 && sizes == NULL)
    return error_set(error, STATUS_INVALID, "column \"%s\" does not say how long its data is",
                     layout_name(layout));
  enum status status =
      ipc_plan_add_values(plan, layout, array->buffers[1], begin, length, VIEW_BYTES, error);
  for (int64_t i = 0; i < count && status == STATUS_OK; i++) {
    status = ipc_plan_add_values(plan, layout, array->buffers[2 + i], 0, sizes[i], 1, error);
    if (status == STATUS_OK) plan->whole_bytes += sizes[i];
  }
  if (status == STATUS_OK) status = ipc_plan_add_variadic(plan, count, error);
  return status;
}

/* What a list view's slots reach. */
struct reach {
  int64_t first; /* [first, end): items of slots that have any */
  int64_t end;
  int64_t last_offset; /* the largest, of any slot */
};

/* Every slot is checked, null ones too: the format has them in bounds. */
static enum status measure_reach(const struct layout *layout, const struct ArrowArray *array,
                                 int64_t begin, int64_t length, struct reach *reach,
                                 struct error *error) {
  int64_t width = layout_list_view_bytes(layout->type.kind);
  int64_t items = array->children[0]->length;
  *reach = (struct reach){.first = items};
  for (int64_t i = begin; i < begin + length; i++) {
    int64_t offset = layout_offset(array->buffers[1], width, i);
    int64_t size = layout_offset(array->buffers[2], width, i);
    if (offset < 0 || size < 0 || offset > items || size > items - offset)
      return error_set(error, STATUS_INVALID,
                       "column \"%s\": slot %" PRId64 " has %" PRId64 " items from %" PRId64
                       " on; its child has %" PRId64,
                       layout_name(layout), i, size, offset, items);
    if (offset > reach->last_offset) reach->last_offset = offset;
    if (size > 0 && offset < reach->first) reach->first = offset;
    if (size > 0 && offset + size > reach->end) reach->end = offset + size;
  }
  if (reach->end == 0) reach->first = 0; /* no items */
  return STATUS_OK;
}

/* The child is cut to what the slots reach; a slot without items may point outside that, and
 * then comes to point to an end of it. */
static enum status plan_list_view(struct ipc_plan *plan, const struct layout *layout,
                                  const struct ArrowArray *array, int64_t begin, int64_t length,
                                  struct error *error) {
  struct reach reach;
  int width = (int)layout_list_view_bytes(layout->type.kind);
  enum status status = measure_reach(layout, array, begin, length, &reach, error);
  if (status != STATUS_OK) return status;
  int64_t span = reach.end - reach.first;
  int64_t limit = width == 4 && span > INT32_MAX ? INT32_MAX : span;
  status = ipc_plan_add_shifted(plan, layout, array->buffers[1], begin, length, width, reach.first,
                                limit, reach.last_offset <= reach.end, error);
  if (status == STATUS_OK)
    status = ipc_plan_add_values(plan, layout, array->buffers[2], begin, length, width, error);
  if (status != STATUS_OK) return status;
  return plan_slots(plan, &layout->children[0], array->children[0], reach.first, span, error);
}

/* ---- unions ------------------------------------------------------------------------- */

static enum status refuse_code(const struct layout *layout, int64_t slot, int code,
                               struct error *error) {
  return error_set(error, STATUS_INVALID,
                   "column \"%s\": slot %" PRId64 " has the type id %d, which is none of format "
                   "\"%.600s\"",
                   layout_name(layout), slot, code, layout->schema->format);
}

/* The child that the slot's type id stands for, or -1. */
static int child_of(const struct layout *layout, int8_t code) {
  return code < 0 ? -1 : layout->child_of_code[code];
}

static enum status plan_sparse_union(struct ipc_plan *plan, const struct layout *layout,
                                     const struct ArrowArray *array, int64_t begin, int64_t length,
                                     struct error *error) {
  const int8_t *codes = array->buffers[0];
  for (int64_t i = begin; i < begin + length; i++)
    if (child_of(layout, codes[i]) < 0) return refuse_code(layout, i, codes[i], error);
  enum status status = ipc_plan_add_values(plan, layout, codes, begin, length, 1, error);
  for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++)
    status = plan_slots(plan, &layout->children[i], array->children[i], begin, length, error);
  return status;
}

/* What a dense union's slots reach, by their type ids: [first, end) of the child. */
struct union_reach {
  int32_t first[UNION_CODES];
  int64_t end[UNION_CODES]; /* 0: no slot has the id */
};

/* Offsets into a child never fall ("Dense Union"), so the first one is the smallest. */
static enum status measure_union(const struct layout *layout, const struct ArrowArray *array,
                                 int64_t begin, int64_t length, struct union_reach *reach,
                                 struct error *error) {
  const int8_t *codes = length == 0 ? NULL : array->buffers[0];
  const int32_t *offsets = length == 0 ? NULL : array->buffers[1];
  *reach = (struct union_reach){.first = {0}};
  for (int64_t i = begin; i < begin + length; i++) {
    int child = child_of(layout, codes[i]);
    if (child < 0) return refuse_code(layout, i, codes[i], error);
    int64_t offset = offsets[i];
    int64_t *end = &reach->end[codes[i]];
    if (offset < 0 || offset >= array->children[child]->length || offset + 1 < *end)
      return error_set(error, STATUS_INVALID,
                       "column \"%s\": slot %" PRId64 " points to value %" PRId64
                       " of \"%s\", which has %" PRId64 "; the slot before it pointed to %" PRId64,
                       layout_name(layout), i, offset, layout_name(&layout->children[child]),
                       array->children[child]->length, *end - 1);
    if (*end == 0) reach->first[codes[i]] = (int32_t)offset;
    *end = offset + 1;
  }
  return STATUS_OK;
}

static enum status plan_dense_union(struct ipc_plan *plan, const struct layout *layout,
                                    const struct ArrowArray *array, int64_t begin, int64_t length,
                                    struct error *error) {
  struct union_reach reach;
  enum status status = measure_union(layout, array, begin, length, &reach, error);
  if (status == STATUS_OK)
    status = ipc_plan_add_values(plan, layout, array->buffers[0], begin, length, 1, error);
  if (status == STATUS_OK)
    status = ipc_plan_add_union_offsets(plan, layout, array->buffers[1], array->buffers[0], begin,
                                        length, reach.first, error);
  int8_t code_of_child[UNION_CODES] = {0};
  for (int code = 0; code < UNION_CODES; code++)
    if (layout->child_of_code[code] >= 0) code_of_child[layout->child_of_code[code]] = (int8_t)code;
  for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++) {
    int code = code_of_child[i];
    int64_t used = reach.end[code] - reach.first[code];
    status =
        plan_slots(plan, &layout->children[i], array->children[i], reach.first[code], used, error);
  }
  return status;
}

/* ---- runs --------------------------------------------------------------------------- */

static int64_t run_end(const void *ends, int64_t width, int64_t index) {
  return width == 2 ? ((const int16_t *)ends)[index] : layout_offset(ends, width, index);
}

/* The first of `count` ends that is behind `slot`; `count` when none is. */
static int64_t find_run(const void *ends, int64_t width, int64_t count, int64_t slot) {
  int64_t low = 0;
  int64_t high = count;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (run_end(ends, width, middle) > slot)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

/* The runs [*first, *first + *count) that slots [begin, begin + length) are of. What a search
 * among ends that are not in order finds is not relied upon: the ends are checked. */
static enum status find_runs(const struct layout *layout, const struct ArrowArray *runs,
                             int64_t begin, int64_t length, int64_t *first, int64_t *count,
                             struct error *error) {
  *first = *count = 0;
  if (length == 0) return STATUS_OK;
  int64_t width = layout_value_bytes(&layout->children[RUN_ENDS].type);
  const void *ends =
      runs->length == 0 ? NULL : (const uint8_t *)runs->buffers[1] + runs->offset * width;
  *first = find_run(ends, width, runs->length, begin);
  int64_t run = *first;
  int64_t before = run > 0 ? run_end(ends, width, run - 1) : 0;
  for (; run < runs->length && before < begin + length; run++) {
    int64_t end = run_end(ends, width, run);
    if (end <= before)
      return error_set(error, STATUS_INVALID,
                       "column \"%s\": run %" PRId64 " ends at %" PRId64
                       ", the one before at %" PRId64,
                       layout_name(layout), run, end, before);
    before = end;
  }
  if (before < begin + length)
    return error_set(error, STATUS_INVALID,
                     "column \"%s\": its runs end at %" PRId64 ", its slots at %" PRId64,
                     layout_name(layout), before, begin + length);
  *count = run - *first;
  return STATUS_OK;
}

static enum status plan_runs(struct ipc_plan *plan, const struct layout *layout,
                             const struct ArrowArray *array, int64_t begin, int64_t length,
                             struct error *error) {
  const struct layout *ends = &layout->children[RUN_ENDS];
  const struct ArrowArray *runs = array->children[RUN_ENDS];
  int64_t first = 0;
  int64_t count = 0;
  int64_t nulls = 0;
  enum status status = layout_check(ends, runs, 0, runs->length, error);
  if (status == STATUS_OK) status = layout_nulls(ends, runs, 0, runs->length, &nulls, error);
  if (status == STATUS_OK && nulls > 0)
    status = error_set(error, STATUS_INVALID, "column \"%s\": %" PRId64 " of its run ends are null",
                       layout_name(layout), nulls);
  if (status == STATUS_OK) status = find_runs(layout, runs, begin, length, &first, &count, error);
  if (status == STATUS_OK) status = ipc_plan_add_node(plan, count, 0, error);
  if (status == STATUS_OK) status = ipc_plan_add_nothing(plan, error);
  if (status == STATUS_OK)
    status =
        ipc_plan_add_shifted(plan, ends, runs->buffers[1], runs->offset + first, count,
                             (int)layout_value_bytes(&ends->type), begin, length, false, error);
  if (status != STATUS_OK) return status;
  return plan_slots(plan, &layout->children[RUN_VALUES], array->children[RUN_VALUES], first, count,
                    error);
}

/* ---- walking ------------------------------------------------------------------------- */

static enum status plan_struct(struct ipc_plan *plan, const struct layout *layout,
                               const struct ArrowArray *array, int64_t begin, int64_t length,
                               struct error *error) {
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++)
    status = plan_slots(plan, &layout->children[i], array->children[i], begin, length, error);
  return status;
}

/* What comes behind the validity bitmap, of the array's slots [begin, begin + length), from
 * the beginning of its buffers. */
static enum status plan_values(struct ipc_plan *plan, const struct layout *layout,
                               const struct ArrowArray *array, int64_t begin, int64_t length,
                               struct error *error) {
  switch (layout->type.kind) {
  case ARROW_NULL: return STATUS_OK;
  case ARROW_BOOL: return ipc_plan_add_bits(plan, array->buffers[1], begin, length, error);
  case ARROW_BINARY:
  case ARROW_LARGE_BINARY:
  case ARROW_UTF8:
  case ARROW_LARGE_UTF8: return plan_bytes(plan, layout, array, begin, length, error);
  case ARROW_BINARY_VIEW:
  case ARROW_UTF8_VIEW: return plan_views(plan, layout, array, begin, length, error);
  case ARROW_LIST:
  case ARROW_LARGE_LIST:
  case ARROW_MAP: return plan_list(plan, layout, array, begin, length, error);
  case ARROW_LIST_VIEW:
  case ARROW_LARGE_LIST_VIEW: return plan_list_view(plan, layout, array, begin, length, error);
  case ARROW_FIXED_SIZE_LIST:
    return plan_fixed_size_list(plan, layout, array, begin, length, error);
  case ARROW_STRUCT: return plan_struct(plan, layout, array, begin, length, error);
  case ARROW_SPARSE_UNION: return plan_sparse_union(plan, layout, array, begin, length, error);
  case ARROW_DENSE_UNION: return plan_dense_union(plan, layout, array, begin, length, error);
  case ARROW_RUN_END_ENCODED: return plan_runs(plan, layout, array, begin, length, error);
  default:
    return ipc_plan_add_values(plan, layout, array->buffers[1], begin, length,
                               layout_value_bytes(&layout->type), error);
  }
}

/* Slots [start, start + length) of the array, counted from its own offset; recursion
 * follows the layout, whose depth is bounded. */
static enum status plan_slots(struct ipc_plan *plan, const struct layout *layout,
                              const struct ArrowArray *array, int64_t start, int64_t length,
                              struct error *error) {
  int64_t nulls = 0;
  enum status status = layout_check(layout, array, start, length, error);
  if (status == STATUS_OK) status = layout_nulls(layout, array, start, length, &nulls, error);
  if (status != STATUS_OK) return status;
  int64_t begin = array->offset + start;
  bool has_validity = layout_has_validity(layout->type.kind);
  /* A reader compares: what the array says of itself is not taken for it. */
  if (has_validity && nulls > 0 && nulls == array->null_count)
    nulls = length - bitmap_count(array->buffers[0], begin, length);
  status = ipc_plan_add_node(plan, length, nulls, error);
  if (status == STATUS_OK && has_validity)
    status = nulls > 0 ? ipc_plan_add_bits(plan, array->buffers[0], begin, length, error)
                       : ipc_plan_add_nothing(plan, error);
  return status == STATUS_OK ? plan_values(plan, layout, array, begin, length, error) : status;
}

static void start_anew(struct ipc_plan *plan, int64_t length) {
  plan->length = length;
  plan->body_bytes = plan->whole_bytes = 0;
  plan->nodes.size_bytes = plan->pieces.size_bytes = 0;
  plan->variadic.size_bytes = plan->bases.size_bytes = 0;
}

enum status ipc_plan_batch(struct ipc_plan *plan, const struct layout *layout,
                           const struct ArrowArray *batch, struct error *error) {
  start_anew(plan, batch->length);
  int64_t nulls = 0;
  enum status status = layout_check(layout, batch, 0, batch->length, error);
  if (status == STATUS_OK) status = layout_nulls(layout, batch, 0, batch->length, &nulls, error);
  if (status == STATUS_OK && nulls > 0)
    status = error_set(
        error, STATUS_INVALID,
        "%" PRId64 " rows of a record batch are null as a whole, which it cannot say", nulls);
  for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++)
    status = plan_slots(plan, &layout->children[i], batch->children[i], batch->offset,
                        batch->length, error);
  return status;
}

enum status ipc_plan_column(struct ipc_plan *plan, const struct layout *layout,
                            const struct ArrowArray *array, int64_t start, int64_t length,
                            struct error *error) {
  start_anew(plan, length);
  return plan_slots(plan, layout, array, start, length, error);
}
