#include "arrow/validate.h"

#include <inttypes.h>
#include <string.h>

#include "arrow/bitmap.h"
#include "arrow/layout.h"
#include "base/text.h"

/* ---- offsets --------------------------------------------------------------------------- */

/* The loops only collect what is wrong, so that they become vector instructions; the
 * place is looked for when there is something to tell. */
static bool falls32(const int32_t *offsets, int64_t length) {
  int32_t wrong = 0;
  for (int64_t i = 0; i < length; i++) wrong |= offsets[i + 1] < offsets[i];
  return wrong != 0;
}

static bool falls64(const int64_t *offsets, int64_t length) {
  int64_t wrong = 0;
  for (int64_t i = 0; i < length; i++) wrong |= offsets[i + 1] < offsets[i];
  return wrong != 0;
}

enum status validate_offsets(const void *offsets, int64_t offset_bytes, int64_t length,
                             int64_t limit, struct error *error) {
  int64_t first = layout_offset(offsets, offset_bytes, 0);
  int64_t last = layout_offset(offsets, offset_bytes, length);
  if (first < 0) return error_set(error, STATUS_INVALID, "its first offset is %" PRId64, first);
  if (last > limit)
    return error_set(error, STATUS_INVALID,
                     "its offsets reach %" PRId64 ", past the %" PRId64 " that are there", last,
                     limit);
  bool falls = offset_bytes == 8 ? falls64(offsets, length) : falls32(offsets, length);
  if (!falls) return STATUS_OK;
  int64_t row = 0;
  while (layout_offset(offsets, offset_bytes, row) <= layout_offset(offsets, offset_bytes, row + 1))
    row++;
  return error_set(error, STATUS_INVALID, "its offsets fall at row %" PRId64, row);
}

/* ---- text ------------------------------------------------------------------------------- */

enum status validate_utf8(const void *offsets, int64_t offset_bytes, const uint8_t *data,
                          const uint8_t *validity, int64_t length, struct error *error) {
  int64_t first = layout_offset(offsets, offset_bytes, 0);
  int64_t last = layout_offset(offsets, offset_bytes, length);
  if (first == last || utf8_is_ascii(data + first, (size_t)(last - first))) return STATUS_OK;
  for (int64_t row = 0; row < length; row++) {
    int64_t begin = layout_offset(offsets, offset_bytes, row);
    size_t bytes = (size_t)(layout_offset(offsets, offset_bytes, row + 1) - begin);
    if (bytes == 0 || (validity != NULL && !bitmap_get(validity, row))) continue;
    size_t valid = utf8_valid_bytes(data + begin, bytes);
    if (valid < bytes)
      return error_set(error, STATUS_INVALID, "row %" PRId64 " is not UTF-8 at its byte %zu", row,
                       valid);
  }
  return STATUS_OK;
}

/* ---- views -------------------------------------------------------------------------------- */

/* "Variable-size Binary View Layout": inline up to 12 bytes; otherwise 4 bytes of prefix,
 * the number of a data buffer, and an offset into it. */
struct view {
  int32_t size_bytes;
  union {
    uint8_t inlined[VIEW_INLINE_BYTES];
    struct {
      uint8_t prefix[4];
      int32_t buffer;
      int32_t offset;
    } away;
  } value;
};
_Static_assert(sizeof(struct view) == VIEW_BYTES, "a view has 16 bytes");

/* Where the value's bytes are; NULL when they are nowhere, or begin otherwise than the
 * view says. */
static const uint8_t *view_bytes(const struct view *view, const uint8_t *const *data,
                                 const int64_t *sizes, int64_t data_count) {
  if (view->size_bytes < 0) return NULL;
  if (view->size_bytes <= VIEW_INLINE_BYTES) return view->value.inlined;
  int64_t buffer = view->value.away.buffer;
  int64_t offset = view->value.away.offset;
  if (buffer < 0 || buffer >= data_count || offset < 0 || offset > sizes[buffer] ||
      view->size_bytes > sizes[buffer] - offset)
    return NULL;
  const uint8_t *bytes = data[buffer] + offset;
  return memcmp(bytes, view->value.away.prefix, sizeof view->value.away.prefix) == 0 ? bytes : NULL;
}

enum status validate_views(const void *views, const uint8_t *const *data, const int64_t *sizes,
                           int64_t data_count, const uint8_t *validity, int64_t length, bool text,
                           struct error *error) {
  for (int64_t row = 0; row < length; row++) {
    if (validity != NULL && !bitmap_get(validity, row)) continue;
    const struct view *view = (const struct view *)views + row;
    const uint8_t *bytes = view_bytes(view, data, sizes, data_count);
    if (bytes == NULL)
      return error_set(error, STATUS_INVALID,
                       "the view in row %" PRId64 " points outside its %" PRId64
                       " buffers, or its prefix is not what is there",
                       row, data_count);
    size_t size_bytes = (size_t)view->size_bytes;
    if (text && utf8_valid_bytes(bytes, size_bytes) < size_bytes)
      return error_set(error, STATUS_INVALID, "row %" PRId64 " is not UTF-8", row);
  }
  return STATUS_OK;
}

/* ---- dictionary indices -------------------------------------------------------------------- */

/* The largest index, taken as unsigned, so that negative ones are the largest. */
#define LARGEST(type)                                                                              \
  static uint64_t largest_##type(const void *indices, int64_t length) {                            \
    const type *values = indices;                                                                  \
    type most = 0;                                                                                 \
    for (int64_t i = 0; i < length; i++) most = values[i] > most ? values[i] : most;               \
    return most;                                                                                   \
  }
LARGEST(uint8_t)
LARGEST(uint16_t)
LARGEST(uint32_t)
LARGEST(uint64_t)

static int index_bytes(enum arrow_kind kind) {
  switch (kind) {
  case ARROW_INT8:
  case ARROW_UINT8: return 1;
  case ARROW_INT16:
  case ARROW_UINT16: return 2;
  case ARROW_INT32:
  case ARROW_UINT32: return 4;
  default: return 8;
  }
}

static uint64_t largest(const void *indices, int bytes, int64_t length) {
  switch (bytes) {
  case 1: return largest_uint8_t(indices, length);
  case 2: return largest_uint16_t(indices, length);
  case 4: return largest_uint32_t(indices, length);
  default: return largest_uint64_t(indices, length);
  }
}

enum status validate_indices(const void *indices, enum arrow_kind kind, const uint8_t *validity,
                             int64_t length, int64_t limit, struct error *error) {
  int bytes = index_bytes(kind);
  if (length == 0 || largest(indices, bytes, length) < (uint64_t)limit) return STATUS_OK;
  for (int64_t row = 0; row < length; row++) {
    if (validity != NULL && !bitmap_get(validity, row)) continue;
    const uint8_t *at = (const uint8_t *)indices + row * bytes;
    if (largest(at, bytes, 1) < (uint64_t)limit) continue;
    return error_set(error, STATUS_INVALID,
                     "the index in row %" PRId64 " is not in its dictionary of %" PRId64 " values",
                     row, limit);
  }
  return STATUS_OK;
}
