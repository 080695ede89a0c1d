/* Lists. Every kind is brought to one form first, where each open list begins and how many items it has;
 * the rest is the same code for all. Levels of items are written as one run of the list's own, and the first
 * one of each list is corrected. */
#include <inttypes.h>
#include <string.h>

#include "base/vector.h"
#include "parquet/shred_parts.h"

/* What the lists are together. */
struct extent {
  int64_t items;
  int64_t empty;    /* lists without items */
  int64_t first;    /* where the first list that has items begins */
  bool is_piece;    /* each that has items begins where the one before ends */
  bool is_overflow; /* more items than can be counted */
};

/* ---- one form for all -------------------------------------------------------------------------- */

#define BY_OFFSETS(name, type)                                                                     \
  static void name(const struct parquet_slots *at, const type *offsets, int64_t *starts,           \
                   int64_t *lengths) {                                                             \
    if (at->slots == NULL) {                                                                       \
      offsets += at->first;                                                                        \
      for (int64_t i = 0; i < at->count; i++) {                                                    \
        starts[i] = offsets[i];                                                                    \
        lengths[i] = (int64_t)offsets[i + 1] - offsets[i];                                         \
      }                                                                                            \
      return;                                                                                      \
    }                                                                                              \
    for (int64_t i = 0; i < at->count; i++) {                                                      \
      int64_t slot = at->slots[i];                                                                 \
      starts[i] = offsets[slot];                                                                   \
      lengths[i] = (int64_t)offsets[slot + 1] - offsets[slot];                                     \
    }                                                                                              \
  }
BY_OFFSETS(by_offsets_32, int32_t)
BY_OFFSETS(by_offsets_64, int64_t)

#define BY_SIZES(name, type)                                                                       \
  static void name(const struct parquet_slots *at, const type *offsets, const type *sizes,         \
                   int64_t *starts, int64_t *lengths) {                                            \
    for (int64_t i = 0; i < at->count; i++) {                                                      \
      int64_t slot = at->slots == NULL ? at->first + i : at->slots[i];                             \
      starts[i] = offsets[slot];                                                                   \
      lengths[i] = sizes[slot];                                                                    \
    }                                                                                              \
  }
BY_SIZES(by_sizes_32, int32_t)
BY_SIZES(by_sizes_64, int64_t)

static void by_length(const struct parquet_slots *at, int64_t length, int64_t *starts,
                      int64_t *lengths) {
  for (int64_t i = 0; i < at->count; i++) {
    int64_t slot = at->slots == NULL ? at->first + i : at->slots[i];
    starts[i] = slot * length;
    lengths[i] = length;
  }
}

static void find_lists(const struct shred *shred, const struct parquet_step *step) {
  const struct parquet_slots *at = &shred->at;
  const void *const *buffers = shred->array->buffers;
  int64_t *starts = shred_numbers(shred, SHRED_STARTS);
  int64_t *lengths = shred_numbers(shred, SHRED_LENGTHS);
  if (at->count == 0) return;
  switch (step->kind) {
  case PARQUET_STEP_LIST: by_offsets_32(at, buffers[1], starts, lengths); break;
  case PARQUET_STEP_LARGE_LIST: by_offsets_64(at, buffers[1], starts, lengths); break;
  case PARQUET_STEP_LIST_VIEW: by_sizes_32(at, buffers[1], buffers[2], starts, lengths); break;
  case PARQUET_STEP_LARGE_LIST_VIEW:
    by_sizes_64(at, buffers[1], buffers[2], starts, lengths);
    break;
  default: by_length(at, step->type.fixed_size, starts, lengths);
  }
}

static struct extent measure_lists(const struct shred *shred) {
  const int64_t *starts = shred_numbers(shred, SHRED_STARTS);
  const int64_t *lengths = shred_numbers(shred, SHRED_LENGTHS);
  struct extent extent = {.is_piece = true};
  int64_t i = 0;
  while (i < shred->at.count && lengths[i] == 0) i++;
  extent.empty = i;
  if (i == shred->at.count) return extent;
  extent.first = starts[i];
  int64_t end = starts[i];
  bool is_gap = false, is_overflow = false;
  for (; i < shred->at.count; i++) {
    int64_t length = lengths[i];
    bool has_items = length > 0;
    is_gap |= has_items & (starts[i] != end);
    end = has_items ? starts[i] + length : end;
    extent.empty += !has_items;
    is_overflow |= __builtin_add_overflow(extent.items, length, &extent.items);
  }
  extent.is_piece = !is_gap;
  extent.is_overflow = is_overflow;
  return extent;
}

/* ---- entries ----------------------------------------------------------------------------------- */

/* All entries are open. `def` NULL: none is empty. */
static void expand_open(const struct shred *shred, uint8_t empty_def, uint8_t *rep, uint8_t *def) {
  const int64_t *lengths = shred_numbers(shred, SHRED_LENGTHS);
  const uint8_t *old_rep = shred->has_rep ? shred_bytes(shred, SHRED_REP) : NULL;
  int64_t at = 0;
  for (int64_t i = 0; i < shred->count; i++) {
    rep[at] = old_rep == NULL ? 0 : old_rep[i];
    if (def != NULL) def[at] = lengths[i] > 0 ? SHRED_OPEN : empty_def;
    at += lengths[i] > 0 ? lengths[i] : 1;
  }
}

static void expand_some(const struct shred *shred, uint8_t empty_def, uint8_t *rep, uint8_t *def) {
  const int64_t *lengths = shred_numbers(shred, SHRED_LENGTHS);
  const uint8_t *old_rep = shred->has_rep ? shred_bytes(shred, SHRED_REP) : NULL;
  const uint8_t *old_def = shred_bytes(shred, SHRED_DEF);
  int64_t at = 0, next = 0;
  for (int64_t i = 0; i < shred->count; i++) {
    bool is_open = old_def[i] == SHRED_OPEN;
    int64_t length = is_open ? lengths[next] : 0;
    uint8_t closed = is_open ? empty_def : old_def[i];
    next += is_open;
    rep[at] = old_rep == NULL ? 0 : old_rep[i];
    def[at] = length > 0 ? SHRED_OPEN : closed;
    at += length > 0 ? length : 1;
  }
}

static void swap_work(struct parquet_shredder *own, enum shred_work left, enum shred_work right) {
  struct buffer kept = own->work[left];
  own->work[left] = own->work[right];
  own->work[right] = kept;
}

static enum status expand(struct shred *shred, const struct parquet_step *step,
                          const struct extent *extent, struct error *error) {
  int64_t closed = shred->count - shred->at.count;
  int64_t count = closed + extent->empty + extent->items;
  bool had_def = shred->has_def, has_def = had_def || extent->empty > 0;
  enum status status = shred_reserve(shred, SHRED_SPARE_REP, count, error);
  if (status == STATUS_OK && has_def) status = shred_reserve(shred, SHRED_SPARE_DEF, count, error);
  if (status != STATUS_OK) return status;
  uint8_t *rep = shred_bytes(shred, SHRED_SPARE_REP);
  uint8_t *def = has_def ? shred_bytes(shred, SHRED_SPARE_DEF) : NULL;
  memset(rep, step->rep, (size_t)count);
  if (has_def) memset(def, SHRED_OPEN, (size_t)count);
  uint8_t empty_def = (uint8_t)(step->present_def - 1);
  if (had_def)
    expand_some(shred, empty_def, rep, def);
  else
    expand_open(shred, empty_def, rep, def);
  swap_work(shred->own, SHRED_REP, SHRED_SPARE_REP);
  if (has_def) swap_work(shred->own, SHRED_DEF, SHRED_SPARE_DEF);
  shred->has_rep = true;
  shred->has_def = has_def;
  shred->count = count;
  return STATUS_OK;
}

/* ---- slots ------------------------------------------------------------------------------------- */

static void write_slots(const struct shred *shred, int64_t offset, int64_t *slots) {
  const int64_t *starts = shred_numbers(shred, SHRED_STARTS);
  const int64_t *lengths = shred_numbers(shred, SHRED_LENGTHS);
  for (int64_t i = 0; i < shred->at.count; i++) {
    int64_t slot = starts[i] + offset;
    for (int64_t k = 0; k < lengths[i]; k++) slots[k] = slot + k;
    slots += lengths[i];
  }
}

static enum status go_to_items(struct shred *shred, const struct extent *extent,
                               struct error *error) {
  const struct ArrowArray *items = shred->array->children[0];
  struct parquet_slots at = {.count = extent->items, .first = extent->first + items->offset};
  if (!extent->is_piece) {
    enum status status =
        shred_reserve(shred, SHRED_SLOTS, extent->items * (int64_t)sizeof(int64_t), error);
    if (status != STATUS_OK) return status;
    int64_t *slots = shred_numbers(shred, SHRED_SLOTS);
    write_slots(shred, items->offset, slots);
    at.first = 0;
    at.slots = slots;
  }
  shred->at = at;
  shred->array = items;
  return STATUS_OK;
}

enum status shred_lists(struct shred *shred, const struct parquet_step *step, struct error *error) {
  enum status status = shred_to_slots(shred, error);
  int64_t bytes = shred->at.count * (int64_t)sizeof(int64_t);
  if (status == STATUS_OK) status = shred_reserve(shred, SHRED_STARTS, bytes, error);
  if (status == STATUS_OK) status = shred_reserve(shred, SHRED_LENGTHS, bytes, error);
  if (status != STATUS_OK) return status;
  find_lists(shred, step);
  struct extent extent = measure_lists(shred);
  if (extent.is_overflow || extent.items > INT32_MAX - shred->count)
    return error_set(error, STATUS_TOO_LARGE,
                     "column '%.300s' has more than %d items in the rows from %" PRId64
                     " on that go into one page: make its lists shorter",
                     shred->leaf->name, INT32_MAX, shred->row_base + shred->row);
  status = expand(shred, step, &extent, error);
  return status == STATUS_OK ? go_to_items(shred, &extent, error) : status;
}
