/* Compressed pieces have no length before they are made. One thread makes each where the last
 * one ended. Several make them in any order, each where there is room for it in any case, and
 * they are moved together afterwards: the bytes are the same. */
#include "arrow/ipc_writer_body.h"

#include <stdlib.h>
#include <string.h>

#include "arrow/ipc_numbers.h"

/* Below this, waking a thread costs more than it brings. */
enum { SHARED_BYTES_MIN = 256 << 10 };

/* A piece that a thread makes. */
struct part {
  int64_t index; /* in the plan */
  int64_t bytes;
  int64_t scratch_bytes; /* where in the scratch it lies before it is compressed; or -1 */
  int64_t room_bytes;    /* where in the body there is room for it */
  int64_t made_bytes;    /* 0: not made */
};

void ipc_body_maker_release(struct ipc_body_maker *maker) {
  compressor_free(maker->compressor);
  buffer_release(&maker->scratch);
  buffer_release(&maker->parts);
}

/* ---- room ------------------------------------------------------------------------------- */

static bool needs_scratch(const struct ipc_piece *piece) {
  return piece->kind != IPC_PIECE_BYTES && piece->bytes > 0;
}

/* Not when one piece is nearly all of the body. */
static bool is_worth_sharing(const struct ipc_body_maker *maker, const struct ipc_plan *plan) {
  if (maker->workers == NULL || maker->compressor == NULL || plan->body_bytes < SHARED_BYTES_MIN)
    return false;
  const struct ipc_piece *pieces = ipc_plan_pieces(plan);
  int64_t count = ipc_plan_piece_count(plan);
  int64_t most_bytes = 0;
  for (int64_t i = 0; i < count; i++)
    if (pieces[i].bytes > most_bytes) most_bytes = pieces[i].bytes;
  return plan->body_bytes - most_bytes >= SHARED_BYTES_MIN / 4;
}

static int64_t plain_room(const struct ipc_plan *plan) {
  const struct ipc_piece *pieces = ipc_plan_pieces(plan);
  int64_t count = ipc_plan_piece_count(plan);
  int64_t room_bytes = 0;
  for (int64_t i = 0; i < count; i++) room_bytes += ipc_body_round_up(pieces[i].bytes);
  return room_bytes;
}

/* All pieces at their largest, and what one needs beyond what it leaves behind. */
static enum status prepare_compression(struct ipc_body_maker *maker, const struct ipc_plan *plan,
                                       int64_t *room_bytes, struct error *error) {
  const struct ipc_piece *pieces = ipc_plan_pieces(plan);
  int64_t count = ipc_plan_piece_count(plan);
  int64_t scratch_bytes = 0;
  int64_t spare_bytes = 0;
  *room_bytes = 0;
  for (int64_t i = 0; i < count; i++) {
    if (pieces[i].bytes == 0) continue;
    int64_t bytes = COMPRESS_PREFIX_BYTES + pieces[i].bytes;
    int64_t over_bytes = compressor_room(maker->compressor, pieces[i].bytes) - bytes;
    *room_bytes += ipc_body_round_up(bytes);
    if (over_bytes > spare_bytes) spare_bytes = over_bytes;
    if (needs_scratch(&pieces[i]) && pieces[i].bytes > scratch_bytes)
      scratch_bytes = pieces[i].bytes;
  }
  *room_bytes += spare_bytes;
  return buffer_reserve(&maker->scratch, maker->budget, scratch_bytes, error);
}

static int by_size(const void *left, const void *right) {
  const struct part *a = left;
  const struct part *b = right;
  if (a->bytes != b->bytes) return a->bytes > b->bytes ? -1 : 1;
  return (a->index > b->index) - (a->index < b->index);
}

static int by_index(const void *left, const void *right) {
  const struct part *a = left;
  const struct part *b = right;
  return (a->index > b->index) - (a->index < b->index);
}

static int64_t part_count(const struct ipc_body_maker *maker) {
  return maker->parts.size_bytes / (int64_t)sizeof(struct part);
}

/* A place of its own for each piece, in the body and in the scratch; the largest pieces
 * come first, so that no thread is left alone with one at the end. */
static enum status prepare_parts(struct ipc_body_maker *maker, const struct ipc_plan *plan,
                                 int64_t *room_bytes, struct error *error) {
  const struct ipc_piece *pieces = ipc_plan_pieces(plan);
  int64_t count = ipc_plan_piece_count(plan);
  int64_t scratch_bytes = 0;
  *room_bytes = 0;
  maker->parts.size_bytes = 0;
  enum status status =
      buffer_reserve(&maker->parts, maker->budget, count * (int64_t)sizeof(struct part), error);
  if (status != STATUS_OK) return status;
  struct part *parts = (struct part *)maker->parts.data;
  for (int64_t i = 0; i < count; i++) {
    parts[i] = (struct part){
        .index = i, .bytes = pieces[i].bytes, .scratch_bytes = -1, .room_bytes = *room_bytes};
    if (needs_scratch(&pieces[i])) {
      parts[i].scratch_bytes = scratch_bytes;
      scratch_bytes += ipc_body_round_up(pieces[i].bytes);
    }
    if (pieces[i].bytes > 0)
      *room_bytes += ipc_body_round_up(compressor_room(maker->compressor, pieces[i].bytes));
  }
  maker->parts.size_bytes = count * (int64_t)sizeof *parts;
  qsort(parts, (size_t)count, sizeof *parts, by_size);
  return buffer_reserve(&maker->scratch, maker->budget, scratch_bytes, error);
}

enum status ipc_body_prepare(struct ipc_body_maker *maker, const struct ipc_plan *plan,
                             int64_t *room_bytes, struct error *error) {
  maker->is_shared = is_worth_sharing(maker, plan);
  if (maker->is_shared) return prepare_parts(maker, plan, room_bytes, error);
  if (maker->compressor != NULL) return prepare_compression(maker, plan, room_bytes, error);
  *room_bytes = plain_room(plan);
  return STATUS_OK;
}

/* ---- by one thread ----------------------------------------------------------------------- */

static void put64(uint8_t *at, int64_t value) { memcpy(at, &value, sizeof value); }

/* Says where the piece lies, and fills up behind it; returns where the next one begins. */
static int64_t end_piece(uint8_t *buffers, int64_t index, uint8_t *body, int64_t offset_bytes,
                         int64_t bytes) {
  put64(buffers + BUFFER_STRUCT_BYTES * index, offset_bytes);
  put64(buffers + BUFFER_STRUCT_BYTES * index + 8, bytes);
  int64_t end_bytes = ipc_body_round_up(bytes);
  if (end_bytes > bytes) memset(body + offset_bytes + bytes, 0, (size_t)(end_bytes - bytes));
  return offset_bytes + end_bytes;
}

/* The piece as it stands in the body. */
static enum status make_piece(struct ipc_body_maker *maker, const struct ipc_plan *plan,
                              const struct ipc_piece *piece, int lane, uint8_t *scratch,
                              uint8_t *to, int64_t *made_bytes, struct error *error) {
  *made_bytes = piece->bytes;
  if (piece->bytes == 0) return STATUS_OK;
  if (maker->compressor == NULL) {
    ipc_piece_write(plan, piece, to);
    return STATUS_OK;
  }
  const void *from = piece->source;
  if (needs_scratch(piece)) {
    ipc_piece_write(plan, piece, scratch);
    from = scratch;
  }
  return compressor_run(maker->compressor, lane, from, piece->bytes, to, made_bytes, error);
}

static enum status make_alone(struct ipc_body_maker *maker, const struct ipc_plan *plan,
                              uint8_t *buffers, uint8_t *body, int64_t *body_bytes,
                              struct error *error) {
  const struct ipc_piece *pieces = ipc_plan_pieces(plan);
  int64_t count = ipc_plan_piece_count(plan);
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < count && status == STATUS_OK; i++) {
    int64_t made_bytes = 0;
    status = make_piece(maker, plan, &pieces[i], 0, maker->scratch.data, body + *body_bytes,
                        &made_bytes, error);
    if (status == STATUS_OK) *body_bytes = end_piece(buffers, i, body, *body_bytes, made_bytes);
  }
  return status;
}

/* ---- by several ---------------------------------------------------------------------------- */

struct making {
  struct ipc_body_maker *maker;
  const struct ipc_plan *plan;
  uint8_t *body;
};

static enum status make_part(const struct making *making, struct part *part, int lane,
                             struct error *error) {
  struct ipc_body_maker *maker = making->maker;
  uint8_t *scratch = part->scratch_bytes < 0 ? NULL : maker->scratch.data + part->scratch_bytes;
  enum status status =
      make_piece(maker, making->plan, &ipc_plan_pieces(making->plan)[part->index], lane, scratch,
                 making->body + part->room_bytes, &part->made_bytes, error);
  if (status != STATUS_OK) part->made_bytes = 0;
  return status;
}

/* A lane that gets no memory leaves the part for later: the others may manage. */
static void make_on_lane(void *context, int64_t index, int lane) {
  const struct making *making = context;
  struct part *part = (struct part *)making->maker->parts.data + index;
  if (make_part(making, part, lane, NULL) != STATUS_OK) part->made_bytes = 0;
}

static enum status make_together(struct ipc_body_maker *maker, const struct ipc_plan *plan,
                                 uint8_t *buffers, uint8_t *body, int64_t *body_bytes,
                                 struct error *error) {
  struct making making = {maker, plan, body};
  struct part *parts = (struct part *)maker->parts.data;
  int64_t count = part_count(maker);
  enum status status = STATUS_OK;
  workers_each(maker->workers, count, make_on_lane, &making);
  for (int64_t i = 0; i < count && status == STATUS_OK; i++)
    if (parts[i].made_bytes == 0) status = make_part(&making, &parts[i], 0, error);
  if (status != STATUS_OK) return status;
  qsort(parts, (size_t)count, sizeof *parts, by_index);
  for (int64_t i = 0; i < count; i++) {
    uint8_t *to = body + *body_bytes;
    const uint8_t *from = body + parts[i].room_bytes;
    if (from != to) memmove(to, from, (size_t)parts[i].made_bytes);
    *body_bytes = end_piece(buffers, i, body, *body_bytes, parts[i].made_bytes);
  }
  return STATUS_OK;
}

enum status ipc_body_make(struct ipc_body_maker *maker, const struct ipc_plan *plan,
                          uint8_t *buffers, uint8_t *body, int64_t *body_bytes,
                          struct error *error) {
  *body_bytes = 0;
  return maker->is_shared ? make_together(maker, plan, buffers, body, body_bytes, error)
                          : make_alone(maker, plan, buffers, body, body_bytes, error);
}
