/* Byte arrays by offsets and by views, as pointers and sizes. Every loop is compiled once a form of
 * slots and a layout of the array, so that a value costs a few instructions and no question. */
#include <stddef.h>

#include "parquet/values_gather.h"

#define INLINE static inline __attribute__((always_inline))

enum { VIEW_BYTES = 16, VIEW_INLINE_BYTES_MAX = 12, VIEW_BUFFERS_FIRST = 2 };

enum layout { BY_OFFSETS, BY_LARGE_OFFSETS, BY_VIEWS };

struct source {
  const void *ends;    /* offsets or views */
  const uint8_t *data; /* of offsets */
  const void *const *buffers;
};

static const uint8_t nothing[1];

INLINE struct parquet_bytes of_view(const struct source *source, int64_t position) {
  const uint8_t *view = (const uint8_t *)source->ends + position * VIEW_BYTES;
  uint32_t size_bytes, index, offset;
  memcpy(&size_bytes, view, sizeof size_bytes);
  memcpy(&index, view + 8, sizeof index);
  memcpy(&offset, view + 12, sizeof offset);
  uint32_t mask = size_bytes > VIEW_INLINE_BYTES_MAX ? UINT32_MAX : 0;
  /* The buffer is looked up for short ones too, as there always is a first one: in arrays without
   * data it is that of their sizes. */
  const uint8_t *data = source->buffers[VIEW_BUFFERS_FIRST + (index & mask)];
  uintptr_t is_far =
      -(uintptr_t)(mask & 1); /* a mask too: guessing wrong costs ten times as much */
  uintptr_t begin = ((uintptr_t)data & is_far) | ((uintptr_t)(view + 4) & ~is_far);
  return (struct parquet_bytes){(const uint8_t *)begin + (offset & mask), size_bytes};
}

INLINE struct parquet_bytes value_at(const struct source *source, int64_t position,
                                     enum layout layout) {
  if (layout == BY_VIEWS) return of_view(source, position);
  if (layout == BY_OFFSETS) {
    const int32_t *ends = (const int32_t *)source->ends + position;
    return (struct parquet_bytes){source->data + ends[0], ends[1] - ends[0]};
  }
  const int64_t *ends = (const int64_t *)source->ends + position;
  return (struct parquet_bytes){source->data + ends[0], ends[1] - ends[0]};
}

INLINE int64_t of_range(const struct source *source, int64_t first, int64_t count,
                        struct parquet_bytes *to, enum layout layout) {
  int64_t bytes = 0;
  for (int64_t i = 0; i < count; i++) {
    to[i] = value_at(source, first + i, layout);
    bytes += to[i].size_bytes;
  }
  return bytes;
}

INLINE int64_t of_list(const struct source *source, const struct parquet_slots *slots,
                       struct parquet_bytes *to, enum layout layout) {
  int64_t bytes = 0;
  for (int64_t i = 0; i < slots->count; i++) {
    to[i] = value_at(source, slots->slots[i], layout);
    bytes += to[i].size_bytes;
  }
  return bytes;
}

/* A null's offsets are in order too, so they can be followed; a null's view can say anything, so
 * views are only read where there is a value. */
INLINE int64_t of_word(const struct source *source, int64_t position, int64_t bits, uint64_t word,
                       struct parquet_bytes *to, int64_t *made, enum layout layout) {
  int64_t bytes = 0, at = *made;
  if (layout == BY_VIEWS || __builtin_popcountll(word) <= SPARSE_BITS_MAX) {
    for (; word != 0; word &= word - 1, at++) {
      to[at] = value_at(source, position + __builtin_ctzll(word), layout);
      bytes += to[at].size_bytes;
    }
  } else {
    for (int64_t k = 0; k < bits; k++) {
      int64_t there = (int64_t)(word >> k & 1);
      struct parquet_bytes value = value_at(source, position + k, layout);
      to[at] = value;
      bytes += value.size_bytes & -there;
      at += there;
    }
  }
  *made = at;
  return bytes;
}

INLINE int64_t of_bitmap(const struct source *source, const struct parquet_slots *slots,
                         struct parquet_bytes *to, enum layout layout) {
  int64_t bytes = 0, made = 0;
  for (int64_t i = 0; i < slots->span; i += WORD_BITS) {
    int64_t bits = slots->span - i < WORD_BITS ? slots->span - i : WORD_BITS;
    int64_t position = slots->first + i;
    uint64_t word = word_of(slots->validity, position, bits);
    if (word == UINT64_MAX) {
      bytes += of_range(source, position, WORD_BITS, to + made, layout);
      made += WORD_BITS;
    } else if (word != 0) {
      bytes += of_word(source, position, bits, word, to, &made, layout);
    }
  }
  return bytes;
}

INLINE int64_t of_slots(const struct source *source, const struct parquet_slots *slots,
                        struct parquet_bytes *to, enum layout layout) {
  if (slots->slots != NULL) return of_list(source, slots, to, layout);
  if (slots->validity != NULL) return of_bitmap(source, slots, to, layout);
  return of_range(source, slots->first, slots->count, to, layout);
}

int64_t values_gather_bytes(const struct parquet_leaf *leaf, const struct parquet_slots *slots,
                            struct parquet_bytes *to) {
  const void *const *buffers = slots->array->buffers;
  struct source source = {buffers[1], nothing, buffers};
  if (leaf->conversion == PARQUET_VIEWS) return of_slots(&source, slots, to, BY_VIEWS);
  if (buffers[2] != NULL) source.data = buffers[2]; /* none where all are empty */
  enum arrow_kind kind = leaf->arrow.kind;
  if (kind == ARROW_LARGE_BINARY || kind == ARROW_LARGE_UTF8)
    return of_slots(&source, slots, to, BY_LARGE_OFFSETS);
  return of_slots(&source, slots, to, BY_OFFSETS);
}
