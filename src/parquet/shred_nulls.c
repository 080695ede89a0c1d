/* Entries whose slot is null are closed: their definition level is the one of a null in that node. A
 * bitmap is looked at for all open slots in one pass that makes a level for each (unpacked where they lie in
 * one piece), and a second one brings these to the entries. No pass branches on a bit. */
#include <inttypes.h>
#include <string.h>

#include "arrow/bitmap.h"
#include "base/vector.h"
#include "parquet/shred_parts.h"
#include "parquet/words.h"

enum { UNPACK_CHUNK = 64 };

/* ---- bits to bytes ---------------------------------------------------------------------------- */

/* Eight bytes that are `clear`, or that and `more` where the bit is set; for the lowest bit the first. */
static inline uint64_t spread(uint64_t byte, uint64_t clear, uint64_t more) {
  uint64_t bits = (byte * 0x0101010101010101U) & 0x8040201008040201U;
  uint64_t ones = ((bits + 0x7f7f7f7f7f7f7f7fU) >> 7) & 0x0101010101010101U;
  return clear + ones * more;
}

void shred_unpack(const uint8_t *bits, int64_t first, int64_t count, uint8_t clear, uint8_t set,
                  uint8_t *out) {
  const uint8_t *byte = bits + first / 8;
  int shift = (int)(first % 8);
  uint64_t clears = clear * 0x0101010101010101U, more = (uint64_t)(set - clear);
  int64_t i = 0;
  for (; i + 64 <= count; i += 64, byte += 8) {
    uint64_t word = words_load_8(byte);
    if (shift != 0) word = word >> shift | (uint64_t)byte[8] << (64 - shift);
    for (int64_t k = 0; k < 8; k++) {
      uint64_t bytes = spread(word >> 8 * k & 0xFF, clears, more);
      memcpy(out + i + 8 * k, &bytes, sizeof bytes);
    }
  }
  for (; i < count; i++) out[i] = bitmap_get(bits, first + i) ? set : clear;
}

/* ---- levels of open slots to entries ---------------------------------------------------------- */

/* `levels`, one for each open entry, in order. */
static void bring_levels(const uint8_t *levels, int64_t count, uint8_t *def) {
  int64_t next = 0;
  for (int64_t i = 0; i < count; i++) {
    bool is_open = def[i] == SHRED_OPEN;
    def[i] = is_open ? levels[next] : def[i];
    next += is_open;
  }
}

/* The levels are in SHRED_SPARE_DEF. */
static void close_entries(struct shred *shred) {
  if (shred->has_def) {
    bring_levels(shred_bytes(shred, SHRED_SPARE_DEF), shred->count, shred_bytes(shred, SHRED_DEF));
    return;
  }
  struct buffer *work = shred->own->work;
  struct buffer def = work[SHRED_SPARE_DEF];
  work[SHRED_SPARE_DEF] = work[SHRED_DEF];
  work[SHRED_DEF] = def;
  shred->has_def = true;
}

/* ---- what must not be null -------------------------------------------------------------------- */

static const uint8_t *validity_of(const struct shred *shred) {
  const struct ArrowArray *array = shred->array;
  if (array->null_count == 0 || array->n_buffers < 1) return NULL;
  return array->buffers[0];
}

/* The row of the open entry number `wanted`. */
static int64_t row_of(const struct shred *shred, int64_t wanted) {
  const uint8_t *def = shred_bytes(shred, SHRED_DEF), *rep = shred_bytes(shred, SHRED_REP);
  int64_t row = -1;
  for (int64_t i = 0, open = 0; i < shred->count; i++) {
    row += !shred->has_rep || rep[i] == 0;
    if (shred->has_def && def[i] != SHRED_OPEN) continue;
    if (open++ == wanted) break;
  }
  return shred->row_base + shred->row + row;
}

/* The first open entry that is null. `bits` NULL: all are. */
static int64_t first_null(const struct shred *shred, const uint8_t *bits) {
  const struct parquet_slots *at = &shred->at;
  if (bits == NULL) return 0;
  int64_t open = 0;
  int64_t positions = at->validity == NULL ? at->count : at->span;
  for (int64_t i = 0; i < positions; i++) {
    int64_t position = at->slots == NULL ? at->first + i : at->slots[i];
    if (at->validity != NULL && !bitmap_get(at->validity, position)) continue;
    if (!bitmap_get(bits, position)) break;
    open++;
  }
  return open;
}

static enum status refuse_null(const struct shred *shred, const struct parquet_step *step,
                               const uint8_t *bits, struct error *error) {
  const struct parquet_leaf *leaf = shred->leaf;
  int64_t row = row_of(shred, first_null(shred, bits));
  int64_t index = step - leaf->steps;
  while (index > 0 &&
         (step[-1].kind == PARQUET_STEP_DICTIONARY || step[-1].kind == PARQUET_STEP_RUNS))
    step--, index--;
  if (index >= 2 && step[-2].type.kind == ARROW_MAP && step[-1].child == 0)
    return error_set(error, STATUS_SCHEMA,
                     "column '%.300s': a map's key must not be null, but row %" PRId64 " has one "
                     "that is",
                     leaf->name, row);
  if (step->present_def == leaf->max_def &&
      leaf->steps[leaf->step_count - 1].null_def == step->null_def &&
      step->kind != PARQUET_STEP_STRUCT)
    return error_set(error, STATUS_SCHEMA,
                     "column '%.300s' must have a value (the field is not nullable), but row "
                     "%" PRId64 " has none",
                     leaf->name, row);
  return error_set(
      error, STATUS_SCHEMA,
      "column '%.300s' must have a value in its field '%.100s' (which is not nullable), "
      "but row %" PRId64 " has none",
      leaf->name, step->schema->name == NULL ? "" : step->schema->name, row);
}

/* ---- the forms -------------------------------------------------------------------------------- */

enum status shred_to_slots(struct shred *shred, struct error *error) {
  struct parquet_slots *at = &shred->at;
  if (at->validity == NULL) return STATUS_OK;
  enum status status =
      shred_reserve(shred, SHRED_SLOTS, at->count * (int64_t)sizeof(int64_t), error);
  if (status != STATUS_OK) return status;
  int64_t *slots = shred_numbers(shred, SHRED_SLOTS);
  int64_t next = 0;
  for (int64_t i = 0; i < at->span; i++) {
    slots[next] = at->first + i;
    next += bitmap_get(at->validity, at->first + i);
  }
  at->validity = NULL;
  at->slots = slots;
  return STATUS_OK;
}

static enum status close_all(struct shred *shred, const struct parquet_step *step,
                             struct error *error) {
  if (shred->at.count == 0) return STATUS_OK;
  if (!step->is_nullable) return refuse_null(shred, step, NULL, error);
  enum status status = shred_reserve(shred, SHRED_SPARE_DEF, shred->at.count, error);
  if (status != STATUS_OK) return status;
  memset(shred_bytes(shred, SHRED_SPARE_DEF), step->null_def, (size_t)shred->at.count);
  close_entries(shred);
  shred->at = (struct parquet_slots){.count = 0};
  return STATUS_OK;
}

static enum status close_piece(struct shred *shred, const struct parquet_step *step,
                               const uint8_t *bits, struct error *error) {
  struct parquet_slots *at = &shred->at;
  int64_t present = bitmap_count(bits, at->first, at->count);
  if (present == at->count) return STATUS_OK;
  if (!step->is_nullable) return refuse_null(shred, step, bits, error);
  enum status status = shred_reserve(shred, SHRED_SPARE_DEF, at->count, error);
  if (status != STATUS_OK) return status;
  shred_unpack(bits, at->first, at->count, step->null_def, SHRED_OPEN,
               shred_bytes(shred, SHRED_SPARE_DEF));
  shred->is_aligned = !shred->has_def;
  close_entries(shred);
  at->validity = bits;
  at->span = at->count;
  at->count = present;
  return STATUS_OK;
}

/* Entries that are closed have a lower level than `null_def` and keep it. */
VECTOR_LOOP static void lower_levels(const uint8_t *levels, int64_t count, uint8_t *restrict def) {
  for (int64_t i = 0; i < count; i++) def[i] = def[i] < levels[i] ? def[i] : levels[i];
}

/* Both bitmaps count the same positions, so their bytes match. */
VECTOR_LOOP static void both_bits(const uint8_t *left, const uint8_t *right, int64_t bytes,
                                  uint8_t *out) {
  for (int64_t i = 0; i < bytes; i++) out[i] = left[i] & right[i];
}

/* Under a bitmap that is the entries', in order. */
static enum status close_aligned(struct shred *shred, const struct parquet_step *step,
                                 const uint8_t *bits, struct error *error) {
  struct parquet_slots *at = &shred->at;
  int64_t skipped = at->first / 8;
  int64_t bytes = bitmap_bytes(at->first % 8 + at->span);
  enum status status = shred_reserve(shred, SHRED_BITS, bytes, error);
  if (status != STATUS_OK) return status;
  uint8_t *made = shred_bytes(shred, SHRED_BITS);
  both_bits(at->validity + skipped, bits + skipped, bytes, made);
  int64_t present = bitmap_count(made, at->first % 8, at->span);
  if (present == at->count) return STATUS_OK;
  if (!step->is_nullable) return refuse_null(shred, step, bits, error);
  uint8_t levels[UNPACK_CHUNK];
  uint8_t *def = shred_bytes(shred, SHRED_DEF);
  for (int64_t i = 0; i < at->span; i += UNPACK_CHUNK) {
    int64_t chunk = at->span - i < UNPACK_CHUNK ? at->span - i : UNPACK_CHUNK;
    shred_unpack(bits, at->first + i, chunk, step->null_def, SHRED_OPEN, levels);
    lower_levels(levels, chunk, def + i);
  }
  at->count = present;
  /* The bit of position p is bit p: the bitmap begins where one of all positions would. */
  at->validity = (const uint8_t *)((uintptr_t)made - (uintptr_t)skipped);
  return STATUS_OK;
}

static enum status close_slots(struct shred *shred, const struct parquet_step *step,
                               const uint8_t *bits, struct error *error) {
  enum status status = shred_to_slots(shred, error);
  if (status == STATUS_OK) status = shred_reserve(shred, SHRED_SPARE_DEF, shred->at.count, error);
  if (status != STATUS_OK) return status;
  uint8_t *levels = shred_bytes(shred, SHRED_SPARE_DEF);
  const int64_t *slots = shred->at.slots;
  int64_t present = 0;
  for (int64_t i = 0; i < shred->at.count; i++) {
    bool is_present = bitmap_get(bits, slots[i]);
    levels[i] = is_present ? SHRED_OPEN : step->null_def;
    present += is_present;
  }
  if (present == shred->at.count) return STATUS_OK;
  if (!step->is_nullable) return refuse_null(shred, step, bits, error);
  int64_t *kept = shred_numbers(shred, SHRED_SLOTS);
  int64_t next = 0;
  for (int64_t i = 0; i < shred->at.count; i++) {
    kept[next] = kept[i];
    next += levels[i] == SHRED_OPEN;
  }
  close_entries(shred);
  shred->at.count = present;
  return STATUS_OK;
}

enum status shred_nulls(struct shred *shred, const struct parquet_step *step, struct error *error) {
  if (step->kind == PARQUET_STEP_LEAF && step->type.kind == ARROW_NULL)
    return close_all(shred, step, error);
  const uint8_t *bits = validity_of(shred);
  if (bits == NULL || shred->at.count == 0) return STATUS_OK;
  if (shred->at.slots == NULL && shred->at.validity == NULL)
    return close_piece(shred, step, bits, error);
  if (shred->at.slots == NULL && shred->is_aligned) return close_aligned(shred, step, bits, error);
  return close_slots(shred, step, bits, error);
}
