/* Dictionaries and runs: a slot becomes the slot of the value that it stands for. */
#include "arrow/schema.h"
#include "parquet/shred_parts.h"

/* ---- dictionaries ------------------------------------------------------------------------------ */

#define BY_INDEX(type)                                                                             \
  {                                                                                                \
    const type *indices = (const type *)buffer;                                                    \
    if (at->slots == NULL)                                                                         \
      for (int64_t i = 0; i < at->count; i++) slots[i] = (int64_t)indices[at->first + i] + offset; \
    else                                                                                           \
      for (int64_t i = 0; i < at->count; i++) slots[i] = (int64_t)indices[slots[i]] + offset;      \
    break;                                                                                         \
  }

static void look_up(const struct parquet_slots *at, enum arrow_kind kind, const void *buffer,
                    int64_t offset, int64_t *slots) {
  switch (kind) {
  case ARROW_INT8: BY_INDEX(int8_t)
  case ARROW_UINT8: BY_INDEX(uint8_t)
  case ARROW_INT16: BY_INDEX(int16_t)
  case ARROW_UINT16: BY_INDEX(uint16_t)
  case ARROW_INT32: BY_INDEX(int32_t)
  case ARROW_UINT32: BY_INDEX(uint32_t)
  case ARROW_INT64: BY_INDEX(int64_t)
  default: BY_INDEX(uint64_t)
  }
}

/* The slots are the positions that `at` had; they are written over. */
static enum status prepare(struct shred *shred, struct error *error) {
  enum status status = shred_to_slots(shred, error);
  if (status != STATUS_OK) return status;
  return shred_reserve(shred, SHRED_SLOTS, shred->at.count * (int64_t)sizeof(int64_t), error);
}

static void go_to_values(struct shred *shred, const struct ArrowArray *values) {
  shred->at =
      (struct parquet_slots){.count = shred->at.count, .slots = shred_numbers(shred, SHRED_SLOTS)};
  shred->array = values;
}

enum status shred_dictionary(struct shred *shred, const struct parquet_step *step,
                             struct error *error) {
  enum status status = prepare(shred, error);
  if (status != STATUS_OK) return status;
  const struct ArrowArray *values = shred->array->dictionary;
  if (shred->at.count > 0)
    look_up(&shred->at, step->type.kind, shred->array->buffers[1], values->offset,
            shred_numbers(shred, SHRED_SLOTS));
  go_to_values(shred, values);
  return STATUS_OK;
}

/* ---- runs -------------------------------------------------------------------------------------- */

/* The first of `count` ends that is past `position`. */
#define RUNS(name, type)                                                                           \
  static int64_t find_##name(const type *ends, int64_t count, int64_t position) {                  \
    int64_t low = 0, high = count;                                                                 \
    while (low < high) {                                                                           \
      int64_t middle = low + (high - low) / 2;                                                     \
      if (ends[middle] <= position)                                                                \
        low = middle + 1;                                                                          \
      else                                                                                         \
        high = middle;                                                                             \
    }                                                                                              \
    return low;                                                                                    \
  }                                                                                                \
  static void name(const struct parquet_slots *at, const type *ends, int64_t count,                \
                   int64_t offset, int64_t *slots) {                                               \
    int64_t run = 0, start = 0, end = 0; /* of the run found last, as positions */                 \
    if (at->slots == NULL) {                                                                       \
      run = find_##name(ends, count, at->first);                                                   \
      for (int64_t i = 0; i < at->count; run++) {                                                  \
        end = (int64_t)ends[run] - at->first;                                                      \
        if (end > at->count) end = at->count;                                                      \
        for (; i < end; i++) slots[i] = run + offset;                                              \
      }                                                                                            \
      return;                                                                                      \
    }                                                                                              \
    for (int64_t i = 0; i < at->count; i++) {                                                      \
      if (slots[i] < start || slots[i] >= end) {                                                   \
        bool is_next = end > 0 && slots[i] >= end && run + 1 < count && ends[run + 1] > slots[i];  \
        run = is_next ? run + 1 : find_##name(ends, count, slots[i]);                              \
        start = run == 0 ? 0 : ends[run - 1];                                                      \
        end = ends[run];                                                                           \
      }                                                                                            \
      slots[i] = run + offset;                                                                     \
    }                                                                                              \
  }
RUNS(by_ends_16, int16_t)
RUNS(by_ends_32, int32_t)
RUNS(by_ends_64, int64_t)

enum status shred_runs(struct shred *shred, const struct parquet_step *step, struct error *error) {
  enum status status = prepare(shred, error);
  if (status != STATUS_OK) return status;
  const struct ArrowArray *ends = shred->array->children[0];
  const struct ArrowArray *values = shred->array->children[1];
  const struct parquet_slots *at = &shred->at;
  int64_t *slots = shred_numbers(shred, SHRED_SLOTS);
  if (at->count > 0) {
    int32_t width = step->type.bit_width;
    const void *buffer = ends->buffers[1];
    if (width == 16)
      by_ends_16(at, (const int16_t *)buffer + ends->offset, ends->length, values->offset, slots);
    else if (width == 32)
      by_ends_32(at, (const int32_t *)buffer + ends->offset, ends->length, values->offset, slots);
    else
      by_ends_64(at, (const int64_t *)buffer + ends->offset, ends->length, values->offset, slots);
  }
  go_to_values(shred, values);
  return STATUS_OK;
}
