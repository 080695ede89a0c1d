#include "arrow/validate.h"

#include <inttypes.h>
#include <string.h>

#include "arrow/bitmap.h"
#include "arrow/layout.h"
#include "base/text.h"
#include "base/vector.h"

/* ---- offsets --------------------------------------------------------------------------- */

/* The loops only collect what is wrong, so that they become vector instructions; the
 * place is looked for when there is something to tell. */
VECTOR_LOOP static bool falls32(const int32_t *offsets, int64_t length) {
  int32_t wrong = 0;
  for (int64_t i = 0; i < length; i++) wrong |= offsets[i + 1] < offsets[i];
  return wrong != 0;
}

VECTOR_LOOP static bool falls64(const int64_t *offsets, int64_t length) {
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

/* ---- list views ------------------------------------------------------------------------ */

VECTOR_LOOP static bool reaches_out32(const int32_t *offsets, const int32_t *sizes, int64_t length,
                                      int64_t limit) {
  int64_t wrong = 0; /* negative once anything was */
  for (int64_t i = 0; i < length; i++)
    wrong |= (int64_t)offsets[i] | sizes[i] | (limit - offsets[i] - sizes[i]);
  return wrong < 0;
}

VECTOR_LOOP static bool reaches_out64(const int64_t *offsets, const int64_t *sizes, int64_t length,
                                      int64_t limit) {
  bool wrong = false;
  for (int64_t i = 0; i < length; i++)
    wrong |= offsets[i] < 0 || sizes[i] < 0 || offsets[i] > limit || sizes[i] > limit - offsets[i];
  return wrong;
}

static bool reaches_out(const void *offsets, const void *sizes, int64_t width_bytes, int64_t begin,
                        int64_t length, int64_t limit) {
  if (width_bytes == 8)
    return reaches_out64((const int64_t *)offsets + begin, (const int64_t *)sizes + begin, length,
                         limit);
  return reaches_out32((const int32_t *)offsets + begin, (const int32_t *)sizes + begin, length,
                       limit);
}

enum status validate_list_views(const void *offsets, const void *sizes, int64_t width_bytes,
                                int64_t length, int64_t limit, struct error *error) {
  if (length == 0 || !reaches_out(offsets, sizes, width_bytes, 0, length, limit)) return STATUS_OK;
  int64_t row = 0;
  while (!reaches_out(offsets, sizes, width_bytes, row, 1, limit)) row++;
  return error_set(error, STATUS_INVALID,
                   "the list in row %" PRId64 " (%" PRId64 " items from item %" PRId64
                   ") is not inside the %" PRId64 " items that are there",
                   row, layout_offset(sizes, width_bytes, row),
                   layout_offset(offsets, width_bytes, row), limit);
}

/* ---- unions ---------------------------------------------------------------------------- */

enum status validate_union(const int8_t *type_ids, const int32_t *offsets, int64_t length,
                           const int8_t *child_of_code, struct ArrowArray *const *children,
                           struct error *error) {
  int32_t least[UNION_CODES] = {0}; /* by child: what its next offset may not be below */
  for (int64_t row = 0; row < length; row++) {
    int8_t code = type_ids[row];
    int8_t child = code < 0 ? -1 : child_of_code[code];
    if (child < 0)
      return error_set(error, STATUS_INVALID,
                       "the type id in row %" PRId64 " is %d, which stands for no member", row,
                       code);
    if (offsets == NULL) continue;
    if (offsets[row] < 0 || offsets[row] >= children[child]->length)
      return error_set(error, STATUS_INVALID,
                       "the offset in row %" PRId64 " is %" PRId32 "; its member %d has %" PRId64
                       " slots",
                       row, offsets[row], child, children[child]->length);
    if (offsets[row] < least[child])
      return error_set(error, STATUS_INVALID,
                       "the offset in row %" PRId64 " is %" PRId32
                       ", before the one of its member %d that came last, %" PRId32,
                       row, offsets[row], child, least[child]);
    least[child] = offsets[row];
  }
  return STATUS_OK;
}

/* ---- run ends -------------------------------------------------------------------------- */

enum status validate_run_ends(const void *ends, int64_t width_bytes, int64_t count, int64_t length,
                              struct error *error) {
  int64_t last = 0;
  for (int64_t run = 0; run < count; run++) {
    int64_t end = layout_run_end(ends, width_bytes, run);
    if (end <= last)
      return error_set(error, STATUS_INVALID,
                       "run %" PRId64 " ends at %" PRId64 ", and the one before it at %" PRId64,
                       run, end, last);
    last = end;
  }
  if (last >= length) return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "its runs end at %" PRId64 ", before the %" PRId64 " slots that it has", last,
                   length);
}

/* ---- text ------------------------------------------------------------------------------- */

/* Whether the offsets cut valid text only between characters. */
VECTOR_LOOP static bool cuts_characters(const void *offsets, int64_t offset_bytes,
                                        const uint8_t *data, int64_t length) {
  int64_t last = layout_offset(offsets, offset_bytes, length);
  int wrong = 0;
  for (int64_t row = 0; row < length; row++) {
    int64_t begin = layout_offset(offsets, offset_bytes, row);
    if (begin < last) wrong |= (data[begin] & 0xC0) == 0x80;
  }
  return wrong != 0;
}

/* All texts are looked at as one, which is far quicker; what is wrong there may still be
 * what a null points to. */
enum status validate_utf8(const void *offsets, int64_t offset_bytes, const uint8_t *data,
                          const uint8_t *validity, int64_t length, struct error *error) {
  int64_t first = layout_offset(offsets, offset_bytes, 0);
  size_t all_bytes = (size_t)(layout_offset(offsets, offset_bytes, length) - first);
  if (all_bytes == 0 || utf8_is_ascii(data + first, all_bytes)) return STATUS_OK;
  if (utf8_valid_bytes(data + first, all_bytes) == all_bytes &&
      !cuts_characters(offsets, offset_bytes, data, length))
    return STATUS_OK;
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

static const uint64_t high_bits = UINT64_C(0x8080808080808080);

/* What an inline view holds as two numbers: its first 8 bytes, and the other 4. */
struct inlined {
  uint64_t low;
  uint64_t high;
};

static struct inlined load_inlined(const struct view *view) {
  struct inlined value = {0};
  memcpy(&value.low, view->value.inlined, sizeof value.low);
  memcpy(&value.high, view->value.inlined + sizeof value.low,
         sizeof view->value.inlined - sizeof value.low);
  return value;
}

/* By the length of an inline view: the bits behind its value, which must be zero, so that equal
 * values have equal views. */
static const struct inlined padding[VIEW_INLINE_BYTES + 1] = {
    {~UINT64_C(0), ~UINT64_C(0)},
    {~UINT64_C(0) << 8, ~UINT64_C(0)},
    {~UINT64_C(0) << 16, ~UINT64_C(0)},
    {~UINT64_C(0) << 24, ~UINT64_C(0)},
    {~UINT64_C(0) << 32, ~UINT64_C(0)},
    {~UINT64_C(0) << 40, ~UINT64_C(0)},
    {~UINT64_C(0) << 48, ~UINT64_C(0)},
    {~UINT64_C(0) << 56, ~UINT64_C(0)},
    {0, ~UINT64_C(0)},
    {0, ~UINT64_C(0) << 8},
    {0, ~UINT64_C(0) << 16},
    {0, ~UINT64_C(0) << 24},
    {0, 0},
};

struct view_check {
  const uint8_t *const *data;
  const int64_t *sizes;
  int64_t data_count;
  bool text; /* values are to be UTF-8 */
};

/* Where the bytes of a view that is not inline are; NULL with `*fault` when they are nowhere,
 * or begin otherwise than the view says. */
static inline const uint8_t *find_away(const struct view_check *check, const struct view *view,
                                       const char **fault) {
  int64_t bytes = view->size_bytes;
  int64_t buffer = view->value.away.buffer;
  int64_t offset = view->value.away.offset;
  *fault = NULL;
  if (bytes < 0)
    *fault = "has a negative length";
  else if (buffer < 0 || buffer >= check->data_count)
    *fault = "points into a buffer that is not there";
  else if (offset < 0 || offset + bytes > check->sizes[buffer])
    *fault = "points outside its buffer";
  else if (memcmp(check->data[buffer] + offset, view->value.away.prefix,
                  sizeof view->value.away.prefix) != 0)
    *fault = "has a prefix that is not what is there";
  return *fault == NULL ? check->data[buffer] + offset : NULL;
}

static inline bool is_padded(struct inlined value, int32_t bytes) {
  return ((value.low & padding[bytes].low) | (value.high & padding[bytes].high)) == 0;
}

/* NULL when all is well, or else what is wrong with the view. */
static const char *view_fault(const struct view_check *check, const struct view *view) {
  const char *fault = NULL;
  const uint8_t *value = view->value.inlined;
  if ((uint32_t)view->size_bytes > VIEW_INLINE_BYTES)
    value = find_away(check, view, &fault);
  else if (!is_padded(load_inlined(view), view->size_bytes))
    fault = "is not padded with zeros";
  if (fault != NULL || !check->text) return fault;
  size_t bytes = (size_t)view->size_bytes;
  return utf8_valid_bytes(value, bytes) < bytes ? "is not UTF-8" : NULL;
}

/* All bits that occur in `bytes` >= 8 bytes. */
static inline uint64_t seen_bits(const uint8_t *data, size_t bytes) {
  uint64_t words[4];
  uint64_t seen;
  size_t i = 0;
  memcpy(&seen, data + bytes - sizeof seen, sizeof seen); /* the end, again or not */
  for (; i + sizeof words <= bytes; i += sizeof words) {
    memcpy(words, data + i, sizeof words);
    seen |= words[0] | words[1] | words[2] | words[3];
  }
  for (; i + sizeof words[0] <= bytes; i += sizeof words[0]) {
    memcpy(words, data + i, sizeof words[0]);
    seen |= words[0];
  }
  return seen;
}

/* Whether all views are sound and, if they are text, ASCII: what can be said quickly. Each
 * value is looked at once, where its prefix is compared. */
VECTOR_LOOP static bool are_plain(const struct view_check *check, const struct view *views,
                                  const uint8_t *validity, int64_t length) {
  uint64_t seen = 0;
  for (int64_t row = 0; row < length; row++) {
    const struct view *view = &views[row];
    if (validity != NULL && !bitmap_get(validity, row)) continue;
    if ((uint32_t)view->size_bytes <= VIEW_INLINE_BYTES) {
      struct inlined value = load_inlined(view);
      if (!is_padded(value, view->size_bytes)) return false;
      seen |= value.low | value.high;
    } else {
      const char *fault;
      const uint8_t *value = find_away(check, view, &fault);
      if (value == NULL) return false;
      if (check->text) seen |= seen_bits(value, (size_t)view->size_bytes);
    }
  }
  return !check->text || (seen & high_bits) == 0;
}

enum status validate_views(const void *views, const uint8_t *const *data, const int64_t *sizes,
                           int64_t data_count, const uint8_t *validity, int64_t length, bool text,
                           struct error *error) {
  struct view_check check = {data, sizes, data_count, text};
  if (are_plain(&check, views, validity, length)) return STATUS_OK;
  for (int64_t row = 0; row < length; row++) {
    if (validity != NULL && !bitmap_get(validity, row)) continue;
    const char *fault = view_fault(&check, (const struct view *)views + row);
    if (fault != NULL)
      return error_set(error, STATUS_INVALID, "the view in row %" PRId64 " %s", row, fault);
  }
  return STATUS_OK;
}

/* ---- dictionary indices -------------------------------------------------------------------- */

/* Whether all indices, taken as unsigned, are at most `last`. The loops only collect, so that
 * they become vector instructions; those of 32 and 64 bits look at the sign that an index has,
 * or the distance to `last`, for few processors compare vectors of such numbers. */
#define ALL_WITHIN(type)                                                                           \
  VECTOR_LOOP static bool all_within_##type(const void *indices, int64_t length, type last) {      \
    const type *values = indices;                                                                  \
    type most = 0;                                                                                 \
    for (int64_t i = 0; i < length; i++) most = values[i] > most ? values[i] : most;               \
    return most <= last;                                                                           \
  }
ALL_WITHIN(uint8_t)
ALL_WITHIN(uint16_t)
ALL_WITHIN(uint32_t)

VECTOR_LOOP static bool all_within_int32_t(const void *indices, int64_t length, uint32_t last) {
  const uint32_t *values = indices;
  uint32_t signs = 0;
  for (int64_t i = 0; i < length; i++) signs |= values[i] | (last - values[i]);
  return signs >> 31 == 0;
}

VECTOR_LOOP static bool all_within_int64_t(const void *indices, int64_t length, uint64_t last) {
  const uint64_t *values = indices;
  uint64_t signs = 0;
  for (int64_t i = 0; i < length; i++) signs |= values[i] | (last - values[i]);
  return signs >> 63 == 0;
}

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

static int64_t index_max(enum arrow_kind kind) {
  switch (kind) {
  case ARROW_INT8: return INT8_MAX;
  case ARROW_UINT8: return UINT8_MAX;
  case ARROW_INT16: return INT16_MAX;
  case ARROW_UINT16: return UINT16_MAX;
  case ARROW_INT32: return INT32_MAX;
  case ARROW_UINT32: return UINT32_MAX;
  default: return INT64_MAX; /* no dictionary is longer */
  }
}

/* Negative indices are past every dictionary when they are taken as unsigned. */
static bool all_within(const uint8_t *indices, enum arrow_kind kind, int64_t length,
                       int64_t limit) {
  int64_t last = limit - 1 < index_max(kind) ? limit - 1 : index_max(kind);
  if (length == 0) return true;
  if (last < 0) return false;
  switch (index_bytes(kind)) {
  case 1: return all_within_uint8_t(indices, length, (uint8_t)last);
  case 2: return all_within_uint16_t(indices, length, (uint16_t)last);
  case 4:
    return last <= INT32_MAX ? all_within_int32_t(indices, length, (uint32_t)last)
                             : all_within_uint32_t(indices, length, (uint32_t)last);
  default: return all_within_int64_t(indices, length, (uint64_t)last);
  }
}

enum status validate_indices(const void *indices, enum arrow_kind kind, const uint8_t *validity,
                             int64_t length, int64_t limit, struct error *error) {
  if (all_within(indices, kind, length, limit)) return STATUS_OK;
  int bytes = index_bytes(kind);
  for (int64_t row = 0; row < length; row++) {
    if (validity != NULL && !bitmap_get(validity, row)) continue;
    const uint8_t *at = (const uint8_t *)indices + row * bytes;
    if (all_within(at, kind, 1, limit)) continue;
    return error_set(error, STATUS_INVALID,
                     "the index in row %" PRId64 " is not in its dictionary of %" PRId64 " values",
                     row, limit);
  }
  return STATUS_OK;
}
