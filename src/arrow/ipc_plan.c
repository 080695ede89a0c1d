#include "arrow/ipc_plan.h"

#include <inttypes.h>
#include <string.h>

#include "arrow/bitmap.h"

void ipc_plan_release(struct ipc_plan *plan) {
  buffer_release(&plan->nodes);
  buffer_release(&plan->pieces);
  buffer_release(&plan->variadic);
}

int64_t ipc_plan_node_count(const struct ipc_plan *plan) {
  return plan->nodes.size_bytes / (int64_t)sizeof(struct ipc_node);
}

int64_t ipc_plan_piece_count(const struct ipc_plan *plan) {
  return plan->pieces.size_bytes / (int64_t)sizeof(struct ipc_piece);
}

int64_t ipc_plan_variadic_count(const struct ipc_plan *plan) {
  return plan->variadic.size_bytes / (int64_t)sizeof(int64_t);
}

const struct ipc_piece *ipc_plan_pieces(const struct ipc_plan *plan) {
  return (const struct ipc_piece *)plan->pieces.data;
}

/* ---- pieces ------------------------------------------------------------------------ */

static enum status add_piece(struct ipc_plan *plan, struct ipc_piece piece, struct error *error) {
  return buffer_append(&plan->pieces, plan->budget, &piece, sizeof piece, error);
}

static enum status add_bytes(struct ipc_plan *plan, const void *source, int64_t bytes,
                             struct error *error) {
  return add_piece(plan, (struct ipc_piece){.source = source, .bytes = bytes}, error);
}

static enum status add_bits(struct ipc_plan *plan, const void *bits, int64_t start, int64_t count,
                            struct error *error) {
  struct ipc_piece piece = {.kind = IPC_PIECE_BITS,
                            .source = bits,
                            .bytes = bitmap_bytes(count),
                            .start = start,
                            .count = count};
  return add_piece(plan, piece, error);
}

/* The values of slots [begin, begin + length), `width` bytes each. */
static enum status add_values(struct ipc_plan *plan, const struct layout *layout,
                              const void *values, int64_t begin, int64_t length, int64_t width,
                              struct error *error) {
  int64_t begin_bytes;
  int64_t bytes;
  if (__builtin_mul_overflow(begin, width, &begin_bytes) ||
      __builtin_mul_overflow(length, width, &bytes))
    return error_set(error, STATUS_INVALID, "column \"%s\": %" PRId64 " values are beyond memory",
                     layout_name(layout), length);
  const uint8_t *source = bytes == 0 ? NULL : (const uint8_t *)values + begin_bytes;
  return add_bytes(plan, source, bytes, error);
}

/* The offsets of slots [begin, begin + length), from 0 on; what they span is
 * [*first, *last). */
static enum status add_offsets(struct ipc_plan *plan, const struct layout *layout,
                               const void *offsets, int64_t begin, int64_t length, int64_t *first,
                               int64_t *last, struct error *error) {
  static const int64_t zero;
  int64_t width = layout_offset_bytes(layout->type.kind);
  *first = *last = 0;
  if (length == 0) return add_bytes(plan, &zero, width, error);
  *first = layout_offset(offsets, width, begin);
  *last = layout_offset(offsets, width, begin + length);
  if (*first < 0 || *last < *first)
    return error_set(error, STATUS_INVALID,
                     "column \"%s\": its offsets go from %" PRId64 " to %" PRId64,
                     layout_name(layout), *first, *last);
  if (*first == 0) return add_values(plan, layout, offsets, begin, length + 1, width, error);
  struct ipc_piece piece = {.kind = width == 8 ? IPC_PIECE_OFFSETS64 : IPC_PIECE_OFFSETS32,
                            .source = (const uint8_t *)offsets + begin * width,
                            .bytes = (length + 1) * width,
                            .start = *first};
  return add_piece(plan, piece, error);
}

/* Copied value by value: neither side need be aligned. */
static void write_offsets32(const uint8_t *from, uint8_t *to, int64_t bytes, int32_t less) {
  for (int64_t i = 0; i < bytes; i += 4) {
    int32_t offset;
    memcpy(&offset, from + i, 4);
    offset -= less;
    memcpy(to + i, &offset, 4);
  }
}

static void write_offsets64(const uint8_t *from, uint8_t *to, int64_t bytes, int64_t less) {
  for (int64_t i = 0; i < bytes; i += 8) {
    int64_t offset;
    memcpy(&offset, from + i, 8);
    offset -= less;
    memcpy(to + i, &offset, 8);
  }
}

void ipc_piece_write(const struct ipc_piece *piece, uint8_t *to) {
  if (piece->bytes == 0) return;
  switch (piece->kind) {
  case IPC_PIECE_BYTES: memcpy(to, piece->source, (size_t)piece->bytes); break;
  case IPC_PIECE_BITS: bitmap_copy(to, piece->source, piece->start, piece->count); break;
  case IPC_PIECE_OFFSETS32:
    write_offsets32(piece->source, to, piece->bytes, (int32_t)piece->start);
    break;
  case IPC_PIECE_OFFSETS64: write_offsets64(piece->source, to, piece->bytes, piece->start); break;
  }
}

/* ---- walking ----------------------------------------------------------------------- */

static enum status plan_slots(struct ipc_plan *plan, const struct layout *layout,
                              const struct ArrowArray *array, int64_t start, int64_t length,
                              struct error *error);

static enum status plan_bytes(struct ipc_plan *plan, const struct layout *layout,
                              const struct ArrowArray *array, int64_t begin, int64_t length,
                              struct error *error) {
  int64_t first;
  int64_t last;
  enum status status =
      add_offsets(plan, layout, array->buffers[1], begin, length, &first, &last, error);
  if (status != STATUS_OK) return status;
  if (last > first && array->buffers[2] == NULL)
    return error_set(error, STATUS_INVALID, "column \"%s\" has offsets and no data",
                     layout_name(layout));
  return add_values(plan, layout, array->buffers[2], first, last - first, 1, error);
}

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
      add_values(plan, layout, array->buffers[1], begin, length, VIEW_BYTES, error);
  for (int64_t i = 0; i < count && status == STATUS_OK; i++)
    status = add_values(plan, layout, array->buffers[2 + i], 0, sizes[i], 1, error);
  if (status == STATUS_OK)
    status = buffer_append(&plan->variadic, plan->budget, &count, sizeof count, error);
  return status;
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

static enum status plan_values(struct ipc_plan *plan, const struct layout *layout,
                               const struct ArrowArray *array, int64_t begin, int64_t length,
                               struct error *error) {
  enum arrow_kind kind = layout->type.kind;
  if (kind == ARROW_BOOL) return add_bits(plan, array->buffers[1], begin, length, error);
  if (layout_is_bytes(kind)) return plan_bytes(plan, layout, array, begin, length, error);
  if (layout_is_view(kind)) return plan_views(plan, layout, array, begin, length, error);
  if (layout_is_list(kind)) return plan_list(plan, layout, array, begin, length, error);
  if (kind == ARROW_FIXED_SIZE_LIST)
    return plan_fixed_size_list(plan, layout, array, begin, length, error);
  enum status status = STATUS_OK;
  if (kind == ARROW_STRUCT) {
    for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++)
      status = plan_slots(plan, &layout->children[i], array->children[i], begin, length, error);
    return status;
  }
  return add_values(plan, layout, array->buffers[1], begin, length,
                    layout_value_bytes(&layout->type), error);
}

/* Slots [start, start + length) of the array, counted from its own offset; recursion
 * follows the layout, whose depth is bounded. */
static enum status plan_slots(struct ipc_plan *plan, const struct layout *layout,
                              const struct ArrowArray *array, int64_t start, int64_t length,
                              struct error *error) {
  enum status status = layout_check(layout, array, start, length, error);
  if (status != STATUS_OK) return status;
  struct ipc_node node = {.length = length};
  status = layout_nulls(layout, array, start, length, &node.null_count, error);
  if (status == STATUS_OK)
    status = buffer_append(&plan->nodes, plan->budget, &node, sizeof node, error);
  if (status != STATUS_OK || layout->type.kind == ARROW_NULL) return status;
  int64_t begin = array->offset + start;
  if (node.null_count > 0)
    status = add_bits(plan, array->buffers[0], begin, length, error);
  else
    status = add_bytes(plan, NULL, 0, error);
  if (status != STATUS_OK) return status;
  return plan_values(plan, layout, array, begin, length, error);
}

static void start_anew(struct ipc_plan *plan, int64_t length) {
  plan->length = length;
  plan->nodes.size_bytes = plan->pieces.size_bytes = plan->variadic.size_bytes = 0;
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
                            const struct ArrowArray *array, struct error *error) {
  start_anew(plan, array->length);
  return plan_slots(plan, layout, array, 0, array->length, error);
}
