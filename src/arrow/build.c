/* A builder is a tree that has the schema's shape. Each node keeps three buffers:
 *
 *   validity  one bit a slot, always kept, left out of the result when nothing is null
 *   values    bits, fixed-width values, offsets, or views
 *   data      the bytes of text and binary
 *
 * Invariant between calls: each buffer holds exactly what `length` slots need. An
 * append that fails half-way is undone by cutting the buffers to the sizes they had.
 * (An offset buffer is empty until the first slot, whose append brings the zero
 * before it.) */
#include "arrow/build.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/bitmap.h"
#include "arrow/layout.h"

enum { BUFFERS_MAX = 4 };

struct build {
  struct arrow_type type;           /* of the indices, where there is a dictionary */
  const struct ArrowSchema *schema; /* in the root's copy */
  struct ArrowSchema copy;          /* the root's; holds nothing elsewhere */
  struct budget *budget;
  struct build *children;
  int64_t child_count;
  struct build *dictionary;
  int64_t length;
  int64_t null_count;
  struct buffer validity;
  struct buffer values;
  struct buffer data;
};

static const char *column_name(const struct build *build) {
  return build->schema->name == NULL ? "" : build->schema->name;
}

static bool is_text(enum arrow_kind kind) { return layout_is_bytes(kind) || layout_is_view(kind); }

static enum status no_memory(struct error *error) {
  error_set(error, STATUS_NOMEM, "no memory for a record batch");
  return STATUS_NOMEM;
}

/* ---- making and freeing ---------------------------------------------------------- */

static enum status node_init(struct build *build, const struct layout *layout,
                             struct budget *budget, struct error *error) {
  build->schema = layout->schema;
  build->type = layout->type;
  build->budget = budget;
  enum status status = STATUS_OK;
  if (layout->child_count > 0) {
    build->children = calloc((size_t)layout->child_count, sizeof *build->children);
    if (build->children == NULL) return no_memory(error);
    build->child_count = layout->child_count;
  }
  for (int64_t i = 0; i < build->child_count && status == STATUS_OK; i++)
    status = node_init(&build->children[i], &layout->children[i], budget, error);
  if (status == STATUS_OK && layout->dictionary != NULL) {
    build->dictionary = calloc(1, sizeof *build->dictionary);
    if (build->dictionary == NULL) return no_memory(error);
    status = node_init(build->dictionary, layout->dictionary, budget, error);
  }
  return status;
}

static void node_release(struct build *build) {
  for (int64_t i = 0; i < build->child_count; i++) node_release(&build->children[i]);
  free(build->children);
  if (build->dictionary != NULL) node_release(build->dictionary);
  free(build->dictionary);
  buffer_release(&build->validity);
  buffer_release(&build->values);
  buffer_release(&build->data);
}

enum status build_new(const struct ArrowSchema *schema, struct budget *budget, struct build **build,
                      struct error *error) {
  *build = NULL;
  struct layout *layout = NULL;
  int64_t node_count = 0;
  struct build *made = calloc(1, sizeof *made);
  if (made == NULL) return no_memory(error);
  enum status status = arrow_schema_copy(schema, &made->copy, error);
  if (status == STATUS_OK)
    status = layout_new(&made->copy, "cannot be built", &layout, &node_count, error);
  if (status == STATUS_OK) status = node_init(made, layout, budget, error);
  layout_free(layout);
  if (status == STATUS_OK)
    *build = made;
  else
    build_free(made);
  return status;
}

void build_free(struct build *build) {
  if (build == NULL) return;
  node_release(build);
  arrow_schema_release(&build->copy);
  free(build);
}

struct build *build_child(struct build *build, int64_t index) {
  if (build->dictionary != NULL) {
    assert(index == 0);
    return build->dictionary;
  }
  assert(index >= 0 && index < build->child_count);
  return &build->children[index];
}

/* ---- slots ------------------------------------------------------------------------ */

/* A bit at position `length` of a bitmap that has `length` of them. */
static enum status append_bit(struct build *build, struct buffer *bits, bool set,
                              struct error *error) {
  static const uint8_t zero;
  if (build->length % 8 == 0) {
    enum status status = buffer_append(bits, build->budget, &zero, 1, error);
    if (status != STATUS_OK) return status;
  }
  if (set) bitmap_set(bits->data, build->length);
  return STATUS_OK;
}

/* Offsets begin with a zero, which no slot brings. */
static enum status first_offset(struct build *build, struct error *error) {
  static const uint8_t zeros[8];
  if (build->values.size_bytes > 0) return STATUS_OK;
  return buffer_append(&build->values, build->budget, zeros, layout_offset_bytes(build->type.kind),
                       error);
}

static enum status append_offset(struct build *build, int64_t end, struct error *error) {
  enum status status = first_offset(build, error);
  if (status != STATUS_OK) return status;
  if (layout_offset_bytes(build->type.kind) == 8)
    return buffer_append(&build->values, build->budget, &end, 8, error);
  if (end > INT32_MAX)
    return error_set(error, STATUS_SCHEMA,
                     "column \"%s\": %" PRId64 " does not fit its 32-bit offsets",
                     column_name(build), end);
  int32_t narrow = (int32_t)end;
  return buffer_append(&build->values, build->budget, &narrow, 4, error);
}

/* A text's bytes: behind an offset, or in and behind a view. */
static enum status append_text(struct build *build, const void *data, int64_t bytes,
                               struct error *error) {
  int64_t start = build->data.size_bytes;
  bool is_inline = layout_is_view(build->type.kind) && bytes <= VIEW_INLINE_BYTES;
  if (!is_inline) {
    enum status status = buffer_append(&build->data, build->budget, data, bytes, error);
    if (status != STATUS_OK) return status;
  }
  if (!layout_is_view(build->type.kind)) return append_offset(build, build->data.size_bytes, error);
  if (start > INT32_MAX - bytes)
    return error_set(error, STATUS_SCHEMA, "column \"%s\": views reach 2 GiB of text",
                     column_name(build));
  uint8_t view[VIEW_BYTES] = {0};
  int32_t narrow_bytes = (int32_t)bytes;
  int32_t narrow_start = (int32_t)start;
  memcpy(view, &narrow_bytes, 4);
  if (bytes > 0) memcpy(view + 4, data, (size_t)(is_inline ? bytes : 4));
  if (!is_inline) memcpy(view + 12, &narrow_start, 4); /* bytes 8..11: data buffer 0 */
  return buffer_append(&build->values, build->budget, view, sizeof view, error);
}

/* `bytes` zeros. */
static enum status append_zeros(struct build *build, int64_t bytes, struct error *error) {
  static const uint8_t zeros[64];
  enum status status = STATUS_OK;
  while (bytes > 0 && status == STATUS_OK) {
    int64_t step = bytes < (int64_t)sizeof zeros ? bytes : (int64_t)sizeof zeros;
    status = buffer_append(&build->values, build->budget, zeros, step, error);
    bytes -= step;
  }
  return status;
}

/* What lies in `values` and `data` for a slot without value. */
static enum status append_nothing(struct build *build, struct error *error) {
  if (build->type.kind == ARROW_BOOL) return append_bit(build, &build->values, false, error);
  if (is_text(build->type.kind)) return append_text(build, NULL, 0, error);
  if (layout_is_list(build->type.kind))
    return append_offset(build, build->children[0].length, error);
  return append_zeros(build, layout_value_bytes(&build->type), error);
}

struct sizes {
  int64_t validity_bytes;
  int64_t values_bytes;
  int64_t data_bytes;
};

static struct sizes sizes_of(const struct build *build) {
  return (struct sizes){build->validity.size_bytes, build->values.size_bytes,
                        build->data.size_bytes};
}

/* Closes the slot whose value was appended with `status`, or undoes it. */
static enum status close_slot(struct build *build, struct sizes before, bool valid,
                              enum status status, struct error *error) {
  if (status == STATUS_OK) status = append_bit(build, &build->validity, valid, error);
  if (status != STATUS_OK) {
    build->validity.size_bytes = before.validity_bytes;
    build->values.size_bytes = before.values_bytes;
    build->data.size_bytes = before.data_bytes;
    return status;
  }
  build->length++;
  build->null_count += !valid;
  return STATUS_OK;
}

static enum status no_fit(const struct build *build, const char *what, struct error *error) {
  return error_set(error, STATUS_SCHEMA, "column \"%s\": %s does not fit a value of format \"%s\"",
                   column_name(build), what, build->schema->format);
}

/* Items that each slot of the children's owner stands for. */
static int64_t items_per_slot(const struct build *build) {
  return build->type.kind == ARROW_FIXED_SIZE_LIST ? build->type.fixed_size : 1;
}

/* The children of the struct or fixed-size list get nulls as far as they lack values. */
static enum status fill_children(struct build *build, struct error *error) {
  int64_t wanted = (build->length + 1) * items_per_slot(build);
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < build->child_count; i++)
    while (build->children[i].length < wanted && status == STATUS_OK)
      status = build_null(&build->children[i], error);
  return status;
}

/* Every child of the struct or fixed-size list has what one slot more needs. */
static enum status check_children(const struct build *build, struct error *error) {
  int64_t wanted = (build->length + 1) * items_per_slot(build);
  for (int64_t i = 0; i < build->child_count; i++) {
    const struct build *child = &build->children[i];
    if (child->length != wanted)
      return error_set(
          error, STATUS_SCHEMA,
          "column \"%s\" has %" PRId64 " values where slot %" PRId64 " of \"%s\" needs %" PRId64,
          column_name(child), child->length, build->length, column_name(build), wanted);
  }
  return STATUS_OK;
}

static bool has_parallel_children(const struct build *build) {
  return build->type.kind == ARROW_STRUCT || build->type.kind == ARROW_FIXED_SIZE_LIST;
}

enum status build_null(struct build *build, struct error *error) {
  enum status status = STATUS_OK;
  if (has_parallel_children(build)) {
    status = fill_children(build, error);
    if (status == STATUS_OK) status = check_children(build, error);
    if (status != STATUS_OK) return status;
  }
  struct sizes before = sizes_of(build);
  status = append_nothing(build, error);
  return close_slot(build, before, false, status, error);
}

enum status build_slot(struct build *build, struct error *error) {
  struct sizes before = sizes_of(build);
  enum status status;
  if (has_parallel_children(build))
    status = check_children(build, error);
  else if (layout_is_list(build->type.kind))
    status = append_offset(build, build->children[0].length, error);
  else
    return no_fit(build, "a slot", error);
  return close_slot(build, before, true, status, error);
}

/* Smallest and largest integer that the type takes; false where it takes none. */
static bool integer_range(const struct build *build, int64_t *least, int64_t *most) {
  switch (build->type.kind) {
  case ARROW_BOOL: *least = 0, *most = 1; return true;
  case ARROW_INT8: *least = INT8_MIN, *most = INT8_MAX; return true;
  case ARROW_UINT8: *least = 0, *most = UINT8_MAX; return true;
  case ARROW_INT16: *least = INT16_MIN, *most = INT16_MAX; return true;
  case ARROW_UINT16: *least = 0, *most = UINT16_MAX; return true;
  case ARROW_UINT32: *least = 0, *most = UINT32_MAX; return true;
  case ARROW_UINT64: *least = 0, *most = INT64_MAX; return true;
  case ARROW_INT32:
  case ARROW_DATE32:
  case ARROW_TIME32:
  case ARROW_INTERVAL_MONTHS: *least = INT32_MIN, *most = INT32_MAX; return true;
  case ARROW_INT64:
  case ARROW_DATE64:
  case ARROW_TIME64:
  case ARROW_TIMESTAMP:
  case ARROW_DURATION: *least = INT64_MIN, *most = INT64_MAX; return true;
  default: return false;
  }
}

enum status build_integer(struct build *build, int64_t value, struct error *error) {
  int64_t least = 0;
  int64_t most = -1;
  if (!integer_range(build, &least, &most)) return no_fit(build, "an integer", error);
  if (value < least || value > most) {
    no_fit(build, "the integer", error);
    error_at(error, "%" PRId64, value);
    return STATUS_SCHEMA;
  }
  struct sizes before = sizes_of(build);
  enum status status;
  if (build->type.kind == ARROW_BOOL)
    status = append_bit(build, &build->values, value == 1, error);
  else /* the low bytes of a little-endian integer are the narrower integer */
    status = buffer_append(&build->values, build->budget, &value, layout_value_bytes(&build->type),
                           error);
  return close_slot(build, before, true, status, error);
}

enum status build_double(struct build *build, double value, struct error *error) {
  struct sizes before = sizes_of(build);
  float narrow = (float)value;
  enum status status;
  if (build->type.kind == ARROW_FLOAT64)
    status = buffer_append(&build->values, build->budget, &value, 8, error);
  else if (build->type.kind == ARROW_FLOAT32)
    status = buffer_append(&build->values, build->budget, &narrow, 4, error);
  else
    return no_fit(build, "a double", error);
  return close_slot(build, before, true, status, error);
}

enum status build_bytes(struct build *build, const void *data, int64_t bytes, struct error *error) {
  assert(bytes >= 0);
  struct sizes before = sizes_of(build);
  enum status status;
  if (is_text(build->type.kind)) {
    status = append_text(build, data, bytes, error);
  } else {
    if (!layout_is_fixed(&build->type) || bytes != layout_value_bytes(&build->type)) {
      no_fit(build, "such a value", error);
      error_at(error, "%" PRId64 " bytes", bytes);
      return STATUS_SCHEMA;
    }
    status = buffer_append(&build->values, build->budget, data, bytes, error);
  }
  return close_slot(build, before, true, status, error);
}

/* ---- the result ------------------------------------------------------------------- */

struct built {
  struct buffer validity;
  struct buffer values;
  struct buffer data;
  int64_t data_bytes; /* what a view's last buffer lists */
  const void *buffers[BUFFERS_MAX];
  struct ArrowArray *children;
  struct ArrowArray **child_list;
  struct ArrowArray dictionary;
};

static void built_release(struct ArrowArray *array) {
  struct built *built = array->private_data;
  for (int64_t i = 0; i < array->n_children; i++) arrow_array_release(&built->children[i]);
  arrow_array_release(&built->dictionary);
  free(built->children);
  free(built->child_list);
  buffer_release(&built->validity);
  buffer_release(&built->values);
  buffer_release(&built->data);
  free(built);
  array->release = NULL;
}

/* An array for `build` that holds nothing yet but room for its children. */
static enum status built_new(const struct build *build, struct ArrowArray *out,
                             struct error *error) {
  struct built *built = calloc(1, sizeof *built);
  if (built == NULL) return no_memory(error);
  *out = (struct ArrowArray){.release = built_release, .private_data = built};
  if (build->child_count == 0) return STATUS_OK;
  built->children = calloc((size_t)build->child_count, sizeof *built->children);
  built->child_list = calloc((size_t)build->child_count, sizeof(struct ArrowArray *));
  if (built->children == NULL || built->child_list == NULL) {
    arrow_array_release(out);
    return no_memory(error);
  }
  for (int64_t i = 0; i < build->child_count; i++) built->child_list[i] = &built->children[i];
  out->n_children = build->child_count;
  out->children = built->child_list;
  return STATUS_OK;
}

/* The whole tree's empty arrays, and a place for every buffer (consumers may look at
 * the first byte of an empty one): what can fail, before anything moves. */
static enum status prepare(struct build *build, struct ArrowArray *out, struct error *error) {
  enum status status = first_offset(build, error);
  if (status == STATUS_OK) status = buffer_reserve(&build->values, build->budget, 1, error);
  if (status == STATUS_OK && is_text(build->type.kind))
    status = buffer_reserve(&build->data, build->budget, 1, error);
  if (status == STATUS_OK) status = built_new(build, out, error);
  for (int64_t i = 0; i < build->child_count && status == STATUS_OK; i++)
    status = prepare(&build->children[i], out->children[i], error);
  if (status == STATUS_OK && build->dictionary != NULL) {
    struct built *built = out->private_data;
    out->dictionary = &built->dictionary;
    status = prepare(build->dictionary, out->dictionary, error);
  }
  return status;
}

static void list_buffers(const struct build *build, struct ArrowArray *out) {
  struct built *built = out->private_data;
  out->buffers = built->buffers;
  if (build->type.kind == ARROW_NULL) return;
  if (build->null_count > 0) built->buffers[0] = built->validity.data;
  out->n_buffers = 1;
  if (has_parallel_children(build)) return;
  built->buffers[out->n_buffers++] = built->values.data;
  if (is_text(build->type.kind)) built->buffers[out->n_buffers++] = built->data.data;
  if (layout_is_view(build->type.kind)) built->buffers[out->n_buffers++] = &built->data_bytes;
}

static void move_out(struct build *build, struct ArrowArray *out) {
  struct built *built = out->private_data;
  built->validity = build->validity;
  built->values = build->values;
  built->data = build->data;
  built->data_bytes = build->data.size_bytes;
  build->validity = build->values = build->data = BUFFER_EMPTY;
  out->length = build->length;
  out->null_count = build->type.kind == ARROW_NULL ? build->length : build->null_count;
  list_buffers(build, out);
  build->length = 0;
  build->null_count = 0;
  for (int64_t i = 0; i < build->child_count; i++) move_out(&build->children[i], out->children[i]);
  if (build->dictionary != NULL) move_out(build->dictionary, out->dictionary);
}

/* Every column has as many values as its owner's slots need. */
static enum status check_lengths(const struct build *build, struct error *error) {
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < build->child_count && status == STATUS_OK; i++) {
    const struct build *child = &build->children[i];
    int64_t wanted = build->length * items_per_slot(build);
    if (layout_is_list(build->type.kind)) {
      int64_t bytes = build->length == 0 ? 0 : layout_offset_bytes(build->type.kind);
      wanted = 0; /* or the last offset, little-endian */
      if (bytes > 0)
        memcpy(&wanted, build->values.data + build->values.size_bytes - bytes, (size_t)bytes);
    }
    if (child->length != wanted)
      return error_set(error, STATUS_INVALID,
                       "column \"%s\" has %" PRId64
                       " values where the slots of \"%s\" need %" PRId64,
                       column_name(child), child->length, column_name(build), wanted);
    status = check_lengths(child, error);
  }
  if (status == STATUS_OK && build->dictionary != NULL)
    status = check_lengths(build->dictionary, error);
  return status;
}

enum status build_finish(struct build *build, struct ArrowArray *out, struct error *error) {
  struct ArrowArray made = {0};
  enum status status = check_lengths(build, error);
  if (status == STATUS_OK) status = prepare(build, &made, error);
  if (status != STATUS_OK) {
    arrow_array_release(&made);
    return status;
  }
  move_out(build, &made); /* nothing fails from here on */
  arrow_array_move(&made, out);
  return STATUS_OK;
}
