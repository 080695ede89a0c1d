/* Whether an array is one of its schema. Children are looked at before what refers to them,
 * so that a node may rely on theirs: their lengths, their bitmaps, their last run end.
 *
 * Nothing is read past slot offset + length of a node, which is all that the interface
 * promises to be there. Each node is checked as a whole, whether or not its parent's slots
 * use all of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "arrow/array.h"
#include "arrow/array_root.h"
#include "arrow/bitmap.h"
#include "arrow/layout.h"
#include "arrow/validate.h"

enum { PLACE_BYTES = 512, SLOT_BYTES_MAX = 32 };

/* ---- shape ---------------------------------------------------------------------------- */

static enum status check_lengths(const struct layout *layout, const struct ArrowArray *array,
                                 struct error *error) {
  int64_t fixed = layout->type.fixed_size;
  int64_t slot_bytes = fixed > SLOT_BYTES_MAX ? fixed : SLOT_BYTES_MAX;
  int64_t end = 0;
  if (array->length < 0 || array->offset < 0 ||
      __builtin_add_overflow(array->offset, array->length, &end) ||
      __builtin_mul_overflow(end, slot_bytes, &end))
    return error_set(error, STATUS_INVALID,
                     "%" PRId64 " slots from offset %" PRId64 " are none that memory holds",
                     array->length, array->offset);
  if (array->null_count < -1 || array->null_count > array->length)
    return error_set(error, STATUS_INVALID, "%" PRId64 " nulls are counted in %" PRId64 " slots",
                     array->null_count, array->length);
  return STATUS_OK;
}

/* The lists of buffers and children, and what must be in them whatever the length. */
static enum status check_lists(const struct layout *layout, const struct ArrowArray *array,
                               struct error *error) {
  enum arrow_kind kind = layout->type.kind;
  int64_t wanted = layout_buffer_count(kind);
  /* Nulls used to have a bitmap, and some still hand it out. */
  bool may_have_more = layout_is_view(kind) || (kind == ARROW_NULL && array->n_buffers == 1);
  if (array->n_buffers != wanted && !(may_have_more && array->n_buffers > wanted))
    return error_set(error, STATUS_INVALID,
                     "it has %" PRId64 " buffers; format \"%s\" has %" PRId64, array->n_buffers,
                     layout->schema->format, wanted);
  if (array->n_children != layout->child_count)
    return error_set(error, STATUS_INVALID,
                     "it has %" PRId64 " children; format \"%s\" has %" PRId64, array->n_children,
                     layout->schema->format, layout->child_count);
  if ((array->dictionary == NULL) != (layout->dictionary == NULL))
    return error_set(error, STATUS_INVALID,
                     array->dictionary == NULL ? "its dictionary is missing"
                                               : "it has a dictionary, and its schema has none");
  if ((array->n_buffers > 0 && array->buffers == NULL) ||
      (array->n_children > 0 && array->children == NULL))
    return error_set(error, STATUS_INVALID, "its list of buffers or children is missing");
  for (int64_t i = 0; i < array->n_children; i++) {
    const struct ArrowArray *child = array->children[i];
    if (child == NULL || (array->release != NULL && child->release == NULL))
      return error_set(error, STATUS_INVALID, "its child %" PRId64 " is missing or released", i);
  }
  return STATUS_OK;
}

/* Buffers whose values are read as integers; consumers may ask for alignment ("Memory
 * allocation" leaves it to them), and compilers do. */
static int64_t alignment_of(const struct layout *layout, int64_t buffer) {
  enum arrow_kind kind = layout->type.kind;
  if (layout_is_view(kind)) return buffer == 1 ? 4 : 8;
  if (layout_is_list_view(kind)) return layout_list_view_bytes(kind);
  if (kind == ARROW_DENSE_UNION) return buffer == 1 ? 4 : 1;
  if (buffer != 1) return 1;
  if (layout_offset_bytes(kind) > 0) return layout_offset_bytes(kind);
  return layout_is_integer(kind) ? layout->type.bit_width / 8 : 1;
}

static enum status check_buffers(const struct layout *layout, const struct ArrowArray *array,
                                 struct error *error) {
  bool counts_nulls = array->null_count > 0 && layout->type.kind != ARROW_NULL;
  if (counts_nulls && !(layout_has_validity(layout->type.kind) && array->buffers[0] != NULL))
    return error_set(error, STATUS_INVALID, "it counts %" PRId64 " nulls and does not say which",
                     array->null_count);
  for (int64_t i = layout_has_validity(layout->type.kind) ? 1 : 0; i < array->n_buffers; i++) {
    bool is_data = layout_is_view(layout->type.kind) && i > 1 && i < array->n_buffers - 1;
    if (!is_data && (uintptr_t)array->buffers[i] % (uintptr_t)alignment_of(layout, i) != 0)
      return error_set(error, STATUS_INVALID, "its buffer %" PRId64 " is not aligned", i);
  }
  return layout_check(layout, array, 0, array->length, error);
}

/* The data buffers of views: as many as are listed, of the lengths that are listed. */
static enum status check_view_data(const struct ArrowArray *array, struct error *error) {
  int64_t data_count = array->n_buffers - 3;
  const int64_t *sizes = array->buffers[array->n_buffers - 1];
  if (data_count > 0 && sizes == NULL)
    return error_set(error, STATUS_INVALID, "the lengths of its %" PRId64 " buffers are missing",
                     data_count);
  for (int64_t i = 0; i < data_count; i++)
    if (sizes[i] < 0 || (sizes[i] > 0 && array->buffers[2 + i] == NULL))
      return error_set(error, STATUS_INVALID,
                       "its data buffer %" PRId64 " of %" PRId64 " bytes is none", i, sizes[i]);
  return STATUS_OK;
}

static enum status check_shape(const struct layout *layout, const struct ArrowArray *array,
                               struct error *error) {
  enum status status = check_lists(layout, array, error);
  if (status == STATUS_OK) status = check_lengths(layout, array, error);
  if (status == STATUS_OK) status = check_buffers(layout, array, error);
  if (status == STATUS_OK && layout_is_view(layout->type.kind))
    status = check_view_data(array, error);
  return status;
}

/* ---- reach: what an array needs of its children ---------------------------------------- */

/* First and last offset, which say how much is needed. */
static enum status check_last_offset(const struct layout *layout, const struct ArrowArray *array,
                                     struct error *error) {
  if (array->length == 0) return STATUS_OK;
  bool is_list = layout_is_list(layout->type.kind);
  int64_t width = layout_offset_bytes(layout->type.kind);
  int64_t ends[2] = {layout_offset(array->buffers[1], width, array->offset),
                     layout_offset(array->buffers[1], width, array->offset + array->length)};
  if (ends[1] < ends[0])
    return error_set(error, STATUS_INVALID, "its offsets fall from %" PRId64 " to %" PRId64,
                     ends[0], ends[1]);
  if (!is_list && ends[1] > ends[0] && array->buffers[2] == NULL)
    return error_set(error, STATUS_INVALID, "its %" PRId64 " bytes of values are missing",
                     ends[1] - ends[0]);
  return validate_offsets(ends, sizeof ends[0], 1, is_list ? array->children[0]->length : INT64_MAX,
                          error);
}

static enum status check_child_lengths(const struct ArrowArray *array, int64_t slots_each,
                                       struct error *error) {
  int64_t needed = 0;
  if (__builtin_mul_overflow(array->offset + array->length, slots_each, &needed))
    return error_set(error, STATUS_INVALID, "its items are more than memory holds");
  for (int64_t i = 0; i < array->n_children; i++)
    if (array->children[i]->length < needed)
      return error_set(error, STATUS_INVALID,
                       "its child %" PRId64 " has %" PRId64 " slots, and %" PRId64 " are needed", i,
                       array->children[i]->length, needed);
  return STATUS_OK;
}

static enum status check_last_run(const struct layout *layout, const struct ArrowArray *array,
                                  struct error *error) {
  const struct ArrowArray *ends = array->children[RUN_ENDS];
  const struct ArrowArray *values = array->children[RUN_VALUES];
  int64_t width = layout->children[RUN_ENDS].type.bit_width / 8;
  if (ends->null_count > 0)
    return error_set(error, STATUS_INVALID, "%" PRId64 " of its run ends are null",
                     ends->null_count);
  if (values->length < ends->length)
    return error_set(error, STATUS_INVALID, "it has %" PRId64 " run ends and %" PRId64 " values",
                     ends->length, values->length);
  if (array->length == 0) return STATUS_OK;
  const uint8_t *last = ends->length == 0 ? NULL
                                          : (const uint8_t *)ends->buffers[1] +
                                                (ends->offset + ends->length - 1) * width;
  return validate_run_ends(last, width, last == NULL ? 0 : 1, array->offset + array->length, error);
}

static enum status check_reach(const struct layout *layout, const struct ArrowArray *array,
                               struct error *error) {
  enum arrow_kind kind = layout->type.kind;
  if (layout_offset_bytes(kind) > 0) return check_last_offset(layout, array, error);
  if (kind == ARROW_STRUCT || kind == ARROW_SPARSE_UNION)
    return check_child_lengths(array, 1, error);
  if (kind == ARROW_FIXED_SIZE_LIST)
    return check_child_lengths(array, layout->type.fixed_size, error);
  return kind == ARROW_RUN_END_ENCODED ? check_last_run(layout, array, error) : STATUS_OK;
}

/* ---- values ---------------------------------------------------------------------------- */

static enum status check_null_count(const struct layout *layout, const struct ArrowArray *array,
                                    struct error *error) {
  if (!layout_has_validity(layout->type.kind) || array->null_count < 0 || array->buffers[0] == NULL)
    return STATUS_OK;
  int64_t nulls = array->length - bitmap_count(array->buffers[0], array->offset, array->length);
  if (nulls == array->null_count) return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "it counts %" PRId64 " nulls, and its bitmap has %" PRId64, array->null_count,
                   nulls);
}

/* The bitmap of slots from the array's offset on; NULL without nulls. `copy`, to be freed,
 * holds it where it does not begin with a byte. */
static enum status find_validity(const struct ArrowArray *array, const uint8_t **validity,
                                 uint8_t **copy, struct error *error) {
  const uint8_t *bitmap = array->null_count == 0 ? NULL : array->buffers[0];
  *copy = NULL;
  *validity = bitmap == NULL ? NULL : bitmap + array->offset / 8;
  if (bitmap == NULL || array->offset % 8 == 0) return STATUS_OK;
  *copy = malloc((size_t)bitmap_bytes(array->length));
  if (*copy == NULL) return error_set(error, STATUS_NOMEM, "no memory to check a bitmap");
  bitmap_copy(*copy, bitmap, array->offset, array->length);
  *validity = *copy;
  return STATUS_OK;
}

static const void *values_at(const struct ArrowArray *array, int64_t buffer, int64_t width) {
  return (const uint8_t *)array->buffers[buffer] + array->offset * width;
}

static enum status check_bytes(const struct layout *layout, const struct ArrowArray *array,
                               const uint8_t *validity, struct error *error) {
  enum arrow_kind kind = layout->type.kind;
  int64_t width = layout_offset_bytes(kind);
  const void *offsets = values_at(array, 1, width);
  enum status status = validate_offsets(offsets, width, array->length, INT64_MAX, error);
  if (status == STATUS_OK && (kind == ARROW_UTF8 || kind == ARROW_LARGE_UTF8))
    status = validate_utf8(offsets, width, array->buffers[2], validity, array->length, error);
  return status;
}

/* What a bitmap decides about: nulls may hold anything. */
static enum status check_nullable(const struct layout *layout, const struct ArrowArray *array,
                                  struct error *error) {
  enum arrow_kind kind = layout->type.kind;
  const uint8_t *validity = NULL;
  uint8_t *copy = NULL;
  enum status status = find_validity(array, &validity, &copy, error);
  if (status != STATUS_OK) return status;
  if (layout->dictionary != NULL)
    status = validate_indices(values_at(array, 1, layout->type.bit_width / 8), kind, validity,
                              array->length, array->dictionary->length, error);
  else if (layout_is_view(kind))
    status =
        validate_views(values_at(array, 1, VIEW_BYTES), (const uint8_t *const *)array->buffers + 2,
                       array->buffers[array->n_buffers - 1], array->n_buffers - 3, validity,
                       array->length, kind == ARROW_UTF8_VIEW, error);
  else
    status = check_bytes(layout, array, validity, error);
  free(copy);
  return status;
}

/* Neither the entries that a map's slots hold nor their keys are null. */
static enum status check_map(const struct layout *layout, const struct ArrowArray *array,
                             struct error *error) {
  const struct layout *entries = &layout->children[0];
  const struct ArrowArray *pairs = array->children[0];
  int64_t first = layout_offset(values_at(array, 1, 4), 4, 0);
  int64_t count = layout_offset(values_at(array, 1, 4), 4, array->length) - first;
  int64_t nulls = 0;
  enum status status = layout_nulls(entries, pairs, first, count, &nulls, error);
  if (status != STATUS_OK) return status;
  if (nulls > 0)
    return error_set(error, STATUS_INVALID, "%" PRId64 " entries of its maps are null", nulls);
  status = layout_nulls(&entries->children[0], pairs->children[0], pairs->offset + first, count,
                        &nulls, error);
  if (status == STATUS_OK && nulls > 0)
    status = error_set(error, STATUS_INVALID, "%" PRId64 " keys of its maps are null", nulls);
  return status;
}

static enum status check_lists_of(const struct layout *layout, const struct ArrowArray *array,
                                  struct error *error) {
  int64_t width = layout_offset_bytes(layout->type.kind);
  enum status status = validate_offsets(values_at(array, 1, width), width, array->length,
                                        array->children[0]->length, error);
  if (status == STATUS_OK && layout->type.kind == ARROW_MAP)
    status = check_map(layout, array, error);
  return status;
}

static enum status check_runs(const struct layout *layout, const struct ArrowArray *array,
                              struct error *error) {
  const struct ArrowArray *ends = array->children[RUN_ENDS];
  int64_t width = layout->children[RUN_ENDS].type.bit_width / 8;
  int64_t nulls = 0;
  enum status status =
      layout_nulls(&layout->children[RUN_ENDS], ends, 0, ends->length, &nulls, error);
  if (status != STATUS_OK || ends->length == 0) return status;
  if (nulls > 0)
    return error_set(error, STATUS_INVALID, "%" PRId64 " of its run ends are null", nulls);
  int64_t reach = array->length == 0 ? 0 : array->offset + array->length;
  return validate_run_ends(values_at(ends, 1, width), width, ends->length, reach, error);
}

/* What an array without slots refers to does not matter, and it may have no buffers. */
static enum status check_values(const struct layout *layout, const struct ArrowArray *array,
                                struct error *error) {
  enum arrow_kind kind = layout->type.kind;
  if (kind == ARROW_RUN_END_ENCODED) return check_runs(layout, array, error);
  if (array->length == 0) return STATUS_OK;
  enum status status = check_null_count(layout, array, error);
  if (status != STATUS_OK) return status;
  if (layout->dictionary != NULL || layout_is_bytes(kind) || layout_is_view(kind))
    return check_nullable(layout, array, error);
  if (layout_is_list(kind)) return check_lists_of(layout, array, error);
  if (layout_is_list_view(kind)) {
    int64_t width = layout_list_view_bytes(kind);
    return validate_list_views(values_at(array, 1, width), values_at(array, 2, width), width,
                               array->length, array->children[0]->length, error);
  }
  if (layout_is_union(kind))
    return validate_union(values_at(array, 0, 1),
                          kind == ARROW_DENSE_UNION ? values_at(array, 1, 4) : NULL, array->length,
                          layout->child_of_code, array->children, error);
  return STATUS_OK;
}

/* ---- trees ----------------------------------------------------------------------------- */

struct place {
  const struct place *above;
  const struct layout *layout; /* NULL: what needs no name */
};

/* "'a'.'item'", from the root on. */
static int print_place(const struct place *place, char text[PLACE_BYTES], int used) {
  if (place == NULL) return used;
  used = print_place(place->above, text, used);
  if (place->layout == NULL || used >= PLACE_BYTES - 1) return used;
  int more = snprintf(text + used, (size_t)(PLACE_BYTES - used), "%s'%s'", used > 0 ? "." : "",
                      layout_name(place->layout));
  return more < 0 ? used : used + more;
}

static void name_place(const struct place *place, struct error *error) {
  char text[PLACE_BYTES] = "";
  if (print_place(place, text, 0) > 0) error_at(error, "%s", text);
}

static enum status check_node(const struct layout *layout, const struct ArrowArray *array,
                              enum array_check check, const struct place *place,
                              struct error *error) {
  enum status status = check_shape(layout, array, error);
  if (status != STATUS_OK) {
    name_place(place, error);
    return status;
  }
  for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++) {
    struct place child = {.above = place, .layout = &layout->children[i]};
    status = check_node(&layout->children[i], array->children[i], check, &child, error);
  }
  if (status == STATUS_OK && layout->dictionary != NULL) {
    struct place values = {.above = place};
    status = check_node(layout->dictionary, array->dictionary, check, &values, error);
  }
  if (status != STATUS_OK) return status;
  status = check_reach(layout, array, error);
  if (status == STATUS_OK && check == ARRAY_CHECK_FULL) status = check_values(layout, array, error);
  if (status == STATUS_INVALID) name_place(place, error);
  return status;
}

enum status arrow_array_check(const struct ArrowSchema *schema, const struct ArrowArray *array,
                              enum array_check check, struct error *error) {
  struct array_root root;
  struct layout *layout = NULL;
  int64_t count = 0;
  enum status status =
      layout_new(array_root_schema(&root, schema, false), NULL, &layout, &count, error);
  if (status != STATUS_OK) return status;
  const struct layout *top = root.is_column ? layout->children : layout;
  struct place place = {.layout = top};
  bool is_named = root.is_column && layout_name(top)[0] != '\0';
  status = check_node(top, array, check, is_named ? &place : NULL, error);
  layout_free(layout);
  return status;
}
