#include "arrow/ipc_plan_pieces.h"

#include <inttypes.h>
#include <string.h>

#include "arrow/bitmap.h"

void ipc_plan_release(struct ipc_plan *plan) {
  buffer_release(&plan->nodes);
  buffer_release(&plan->pieces);
  buffer_release(&plan->variadic);
  buffer_release(&plan->bases);
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

/* ---- adding -------------------------------------------------------------------------- */

enum status ipc_plan_add_node(struct ipc_plan *plan, int64_t length, int64_t null_count,
                              struct error *error) {
  struct ipc_node node = {.length = length, .null_count = null_count};
  return buffer_append(&plan->nodes, plan->budget, &node, sizeof node, error);
}

enum status ipc_plan_add_variadic(struct ipc_plan *plan, int64_t count, struct error *error) {
  return buffer_append(&plan->variadic, plan->budget, &count, sizeof count, error);
}

/* Sums of the pieces' lengths, paddings included, do not overflow anywhere. */
static enum status add_piece(struct ipc_plan *plan, struct ipc_piece piece, struct error *error) {
  enum status status = buffer_append(&plan->pieces, plan->budget, &piece, sizeof piece, error);
  if (status != STATUS_OK) return status;
  if (piece.bytes > INT64_MAX / 4 - plan->body_bytes)
    return error_set(error, STATUS_INVALID, "the batch's buffers are beyond memory");
  plan->body_bytes += piece.bytes;
  return STATUS_OK;
}

enum status ipc_plan_add_nothing(struct ipc_plan *plan, struct error *error) {
  return add_piece(plan, (struct ipc_piece){.kind = IPC_PIECE_BYTES}, error);
}

enum status ipc_plan_add_bits(struct ipc_plan *plan, const void *bits, int64_t start, int64_t count,
                              struct error *error) {
  struct ipc_piece piece = {.kind = IPC_PIECE_BITS,
                            .source = bits,
                            .bytes = bitmap_bytes(count),
                            .start = start,
                            .limit = count};
  return add_piece(plan, piece, error);
}

/* The bytes of slots [begin, begin + length), as they are. */
static enum status cut(const struct layout *layout, const void *values, int64_t begin,
                       int64_t length, int64_t width, struct ipc_piece *piece,
                       struct error *error) {
  int64_t begin_bytes;
  *piece = (struct ipc_piece){.kind = IPC_PIECE_BYTES};
  if (length < 0 || __builtin_mul_overflow(begin, width, &begin_bytes) ||
      __builtin_mul_overflow(length, width, &piece->bytes))
    return error_set(error, STATUS_INVALID,
                     "column \"%s\": %" PRId64 " values of %" PRId64 " bytes are beyond memory",
                     layout_name(layout), length, width);
  if (piece->bytes > 0 && values == NULL)
    return error_set(error, STATUS_INVALID, "column \"%s\" lacks a buffer of %" PRId64 " bytes",
                     layout_name(layout), piece->bytes);
  if (piece->bytes > 0) piece->source = (const uint8_t *)values + begin_bytes;
  return STATUS_OK;
}

enum status ipc_plan_add_values(struct ipc_plan *plan, const struct layout *layout,
                                const void *values, int64_t begin, int64_t length, int64_t width,
                                struct error *error) {
  struct ipc_piece piece;
  enum status status = cut(layout, values, begin, length, width, &piece, error);
  return status == STATUS_OK ? add_piece(plan, piece, error) : status;
}

enum status ipc_plan_add_shifted(struct ipc_plan *plan, const struct layout *layout,
                                 const void *values, int64_t begin, int64_t length, int width,
                                 int64_t less, int64_t limit, bool is_within, struct error *error) {
  struct ipc_piece piece;
  enum status status = cut(layout, values, begin, length, width, &piece, error);
  if (status != STATUS_OK) return status;
  if (less != 0 || !is_within) piece.kind = IPC_PIECE_SHIFTED;
  piece.width = width;
  piece.start = less;
  piece.limit = limit;
  return add_piece(plan, piece, error);
}

enum status ipc_plan_add_union_offsets(struct ipc_plan *plan, const struct layout *layout,
                                       const int32_t *offsets, const int8_t *codes, int64_t begin,
                                       int64_t length, const int32_t *bases, struct error *error) {
  struct ipc_piece piece;
  enum status status = cut(layout, offsets, begin, length, sizeof *offsets, &piece, error);
  if (status != STATUS_OK) return status;
  bool is_shifted = false;
  for (int i = 0; i < UNION_CODES; i++) is_shifted = is_shifted || bases[i] != 0;
  if (is_shifted) {
    piece.kind = IPC_PIECE_UNION_OFFSETS;
    piece.codes = codes + begin;
    piece.start = plan->bases.size_bytes / (int64_t)sizeof *bases;
    status = buffer_append(&plan->bases, plan->budget, bases, UNION_CODES * sizeof *bases, error);
  }
  return status == STATUS_OK ? add_piece(plan, piece, error) : status;
}

/* ---- writing ------------------------------------------------------------------------- */

/* Copied value by value: neither side need be aligned. What wraps around was nowhere near
 * the range, and is brought into it. */
#define WRITE_SHIFTED(type, unsigned_type)                                                         \
  static void write_shifted_##type(const uint8_t *from, uint8_t *to, int64_t bytes, int64_t less,  \
                                   int64_t most) {                                                 \
    const unsigned_type start = (unsigned_type)less;                                               \
    const type limit = (type)most;                                                                 \
    for (int64_t i = 0; i < bytes; i += (int64_t)sizeof(type)) {                                   \
      unsigned_type taken;                                                                         \
      memcpy(&taken, from + i, sizeof taken);                                                      \
      type value = (type)(unsigned_type)(taken - start);                                           \
      value = value < 0 ? 0 : value;                                                               \
      value = value > limit ? limit : value;                                                       \
      memcpy(to + i, &value, sizeof value);                                                        \
    }                                                                                              \
  }
WRITE_SHIFTED(int16_t, uint16_t)
WRITE_SHIFTED(int32_t, uint32_t)
WRITE_SHIFTED(int64_t, uint64_t)

static void write_shifted(const struct ipc_piece *piece, uint8_t *to) {
  switch (piece->width) {
  case 2: write_shifted_int16_t(piece->source, to, piece->bytes, piece->start, piece->limit); break;
  case 4: write_shifted_int32_t(piece->source, to, piece->bytes, piece->start, piece->limit); break;
  default:
    write_shifted_int64_t(piece->source, to, piece->bytes, piece->start, piece->limit);
    break;
  }
}

/* Type ids were checked when the piece was planned. */
static void write_union_offsets(const struct ipc_piece *piece, const int32_t *bases, uint8_t *to) {
  const int32_t *offsets = piece->source;
  int64_t count = piece->bytes / (int64_t)sizeof *offsets;
  for (int64_t i = 0; i < count; i++) {
    int32_t offset = offsets[i] - bases[piece->codes[i]];
    memcpy(to + 4 * i, &offset, sizeof offset);
  }
}

void ipc_piece_write(const struct ipc_plan *plan, const struct ipc_piece *piece, uint8_t *to) {
  if (piece->bytes == 0) return;
  switch (piece->kind) {
  case IPC_PIECE_BYTES: memcpy(to, piece->source, (size_t)piece->bytes); break;
  case IPC_PIECE_BITS: bitmap_copy(to, piece->source, piece->start, piece->limit); break;
  case IPC_PIECE_SHIFTED: write_shifted(piece, to); break;
  case IPC_PIECE_UNION_OFFSETS:
    write_union_offsets(piece, (const int32_t *)plan->bases.data + piece->start, to);
    break;
  }
}
