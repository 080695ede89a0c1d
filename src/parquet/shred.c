/* Shredding goes from node to node, from the record batch to the leaf, and at each handles all entries
 * at once: arrays of levels and of open slots are made into the next node's. Nothing is called for
 * a single value, and nothing goes down for one.
 *
 * What is simple stays cheap: as long as there are no nulls and no lists, an entry is a position, and there
 * are no arrays at all; the nulls of a leaf are unpacked from its bitmap straight into the levels; slots
 * are written down one by one only where they lie neither in a piece nor in one under a bitmap.
 *
 * 1. Entries keep their order: that of the rows, and of the items in them.
 * 2. An entry that is closed (null, or an empty list) has its definition level, and no slot any more.
 * 3. Where there are no definition levels (has_def false), every entry is open.
 * 4. An entry that is open has SHRED_OPEN for a level until the leaf is reached. */
#include "parquet/shred.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "arrow/bitmap.h"
#include "base/vector.h"
#include "parquet/shred_parts.h"

void parquet_levels_clear(struct parquet_levels *levels) {
  levels->count = levels->rows = levels->present_count = 0;
  levels->has_def = false;
  levels->def.size_bytes = levels->rep.size_bytes = 0;
}

void parquet_levels_release(struct parquet_levels *levels) {
  buffer_release(&levels->def);
  buffer_release(&levels->rep);
  *levels = (struct parquet_levels){0};
}

void parquet_shredder_release(struct parquet_shredder *shredder) {
  for (size_t i = 0; i < sizeof shredder->work / sizeof shredder->work[0]; i++)
    buffer_release(&shredder->work[i]);
}

enum status shred_reserve(struct shred *shred, enum shred_work work, int64_t bytes,
                          struct error *error) {
  struct buffer *buffer = &shred->own->work[work];
  bytes += SHRED_SLACK_BYTES;
  if (buffer->capacity_bytes < bytes) {
    enum status status = buffer_reserve(buffer, shred->own->budget, bytes, error);
    if (status != STATUS_OK) return status;
  }
  buffer->size_bytes = bytes; /* it is kept when the buffer grows */
  return STATUS_OK;
}

/* ---- structs -------------------------------------------------------------------------------- */

static enum status go_to_child(struct shred *shred, int32_t child, struct error *error) {
  shred->array = shred->array->children[child];
  int64_t offset = shred->array->offset;
  if (offset == 0) return STATUS_OK;
  enum status status = shred_to_slots(shred, error);
  if (status != STATUS_OK) return status;
  if (shred->at.slots == NULL) {
    shred->at.first += offset;
    return STATUS_OK;
  }
  int64_t *slots = shred_numbers(shred, SHRED_SLOTS);
  for (int64_t i = 0; i < shred->at.count; i++) slots[i] += offset;
  return STATUS_OK;
}

/* ---- the leaf ------------------------------------------------------------------------------- */

static bool is_in_one_piece(const struct parquet_slots *at) {
  return at->slots == NULL && at->validity == NULL;
}

/* Closes the nulls of the leaf. Where they may go to the levels at once, that is left to add_levels. */
static enum status close_leaf(struct shred *shred, const struct parquet_step *step,
                              struct error *error) {
  struct parquet_slots *at = &shred->at;
  bool is_plain = is_in_one_piece(at) && !shred->has_def && step->is_nullable &&
                  step->type.kind != ARROW_NULL && shred->array->null_count != 0 &&
                  shred->array->buffers[0] != NULL;
  if (!is_plain) return shred_nulls(shred, step, error);
  const uint8_t *bits = shred->array->buffers[0];
  int64_t present = bitmap_count(bits, at->first, at->count);
  if (present == at->count) return STATUS_OK;
  shred->direct = bits;
  shred->direct_null_def = step->null_def;
  at->validity = bits;
  at->span = at->count;
  at->count = present;
  return STATUS_OK;
}

VECTOR_LOOP static void copy_levels(const uint8_t *from, int64_t count, uint8_t most,
                                    uint8_t *restrict to) {
  for (int64_t i = 0; i < count; i++) to[i] = from[i] < most ? from[i] : most;
}

static enum status levels_reserve(struct buffer *buffer, int64_t bytes, struct budget *budget,
                                  struct error *error) {
  bytes += SHRED_SLACK_BYTES;
  if (buffer->capacity_bytes >= bytes) return STATUS_OK;
  int64_t twice = 2 * buffer->capacity_bytes;
  return buffer_reserve(buffer, budget, bytes > twice ? bytes : twice, error);
}

static enum status add_def(const struct shred *shred, struct parquet_levels *levels,
                           struct error *error) {
  uint8_t max_def = shred->leaf->max_def;
  bool has_def = shred->has_def || shred->direct != NULL;
  if (!has_def && !levels->has_def) return STATUS_OK;
  int64_t count = levels->count + shred->count;
  enum status status = levels_reserve(&levels->def, count, shred->own->budget, error);
  if (status != STATUS_OK) return status;
  if (!levels->has_def) memset(levels->def.data, max_def, (size_t)levels->count);
  levels->has_def = true;
  levels->def.size_bytes = count;
  uint8_t *to = levels->def.data + levels->count;
  if (shred->direct != NULL)
    shred_unpack(shred->direct, shred->at.first, shred->count, shred->direct_null_def, max_def, to);
  else if (has_def)
    copy_levels(shred_bytes(shred, SHRED_DEF), shred->count, max_def, to);
  else
    memset(to, max_def, (size_t)shred->count);
  return STATUS_OK;
}

static enum status add_rep(const struct shred *shred, struct parquet_levels *levels,
                           struct error *error) {
  if (shred->leaf->max_rep == 0) return STATUS_OK;
  assert(shred->has_rep);
  int64_t count = levels->count + shred->count;
  enum status status = levels_reserve(&levels->rep, count, shred->own->budget, error);
  if (status != STATUS_OK) return status;
  if (shred->count > 0)
    memcpy(levels->rep.data + levels->count, shred_bytes(shred, SHRED_REP), (size_t)shred->count);
  levels->rep.size_bytes = count;
  return STATUS_OK;
}

/* ---- the way -------------------------------------------------------------------------------- */

/* A record batch is a struct, but its rows are not nullable. */
static enum status check_rows(const struct shred *shred, const struct ArrowArray *batch,
                              int64_t rows, struct error *error) {
  if (batch->null_count == 0 || batch->n_buffers < 1 || batch->buffers[0] == NULL) return STATUS_OK;
  for (int64_t i = 0; i < rows; i++) {
    int64_t row = shred->row + i;
    if (bitmap_get(batch->buffers[0], batch->offset + row)) continue;
    return error_set(error, STATUS_SCHEMA,
                     "row %" PRId64 " is null as a whole, and rows of a Parquet file have columns: "
                     "give its columns nulls instead",
                     shred->row_base + row);
  }
  return STATUS_OK;
}

static enum status take_step(struct shred *shred, const struct parquet_step *step,
                             struct error *error) {
  if (step->kind == PARQUET_STEP_LEAF) return close_leaf(shred, step, error);
  if (step->kind == PARQUET_STEP_RUNS) return shred_runs(shred, step, error);
  enum status status = shred_nulls(shred, step, error);
  if (status != STATUS_OK) return status;
  switch (step->kind) {
  case PARQUET_STEP_STRUCT: return go_to_child(shred, step->child, error);
  case PARQUET_STEP_DICTIONARY: return shred_dictionary(shred, step, error);
  default: return shred_lists(shred, step, error);
  }
}

enum status parquet_shred(const struct parquet_leaf *leaf, const struct ArrowArray *batch,
                          int64_t row, int64_t rows, int64_t row_base,
                          struct parquet_shredder *shredder, struct parquet_levels *levels,
                          struct parquet_slots *slots, struct error *error) {
  struct shred shred = {.leaf = leaf,
                        .own = shredder,
                        .row = row,
                        .row_base = row_base,
                        .count = rows,
                        .array = batch->children[leaf->top_level]};
  shred.at.count = rows;
  shred.at.first = batch->offset + row + shred.array->offset;
  enum status status = check_rows(&shred, batch, rows, error);
  for (int32_t i = 0; i < leaf->step_count && status == STATUS_OK; i++)
    status = take_step(&shred, &leaf->steps[i], error);
  if (status == STATUS_OK) status = add_def(&shred, levels, error);
  if (status == STATUS_OK) status = add_rep(&shred, levels, error);
  if (status != STATUS_OK) return status;
  levels->count += shred.count;
  levels->rows += rows;
  levels->present_count += shred.at.count;
  *slots = shred.at;
  slots->array = shred.array;
  return STATUS_OK;
}
