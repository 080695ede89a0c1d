#include "arrow/encode_columns.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/encode_names.h"
#include "arrow/encode_pen.h"
#include "arrow/encode_value.h"

/* ---- schemas ------------------------------------------------------------------------- */

static enum status check_scale(const struct layout *layout, struct error *error) {
  if (layout->type.kind != ARROW_DECIMAL ||
      (layout->type.scale <= VALUE_SCALE_MAX && layout->type.scale >= -VALUE_SCALE_MAX))
    return STATUS_OK;
  return error_set(error, STATUS_UNSUPPORTED,
                   "column \"%s\": decimals of scale %" PRId32 " are not written as text",
                   layout_name(layout), layout->type.scale);
}

/* `"name":`, once for all rows. */
static enum status make_key(struct columns *columns, const struct layout *layout, const char *name,
                            struct error *error) {
  struct pen pen;
  struct column *column = &columns->list[layout->index];
  column->key_start = columns->keys.size_bytes;
  pen_open(&pen, &columns->keys, columns->budget);
  enum status status = pen_json(&pen, name, (int64_t)strlen(name), error);
  if (status == STATUS_OK) status = pen_bytes(&pen, ":", 1, error);
  pen_close(&pen);
  column->key_bytes = columns->keys.size_bytes - column->key_start;
  return status;
}

/* The keys of a struct's fields or a union's members, and of those below. The entries of a map have "key"
 * and "value" whatever the schema calls them. */
static enum status make_keys(struct columns *columns, const struct layout *layout, bool is_entries,
                             struct error *error) {
  static const char *const entry_names[] = {"key", "value"};
  char **names = NULL;
  enum status status = check_scale(layout, error);
  if (status == STATUS_OK &&
      (layout->type.kind == ARROW_STRUCT || layout_is_union(layout->type.kind)))
    status = encode_names_new(layout, &names, error);
  for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++) {
    const struct layout *child = &layout->children[i];
    if (names != NULL)
      status = make_key(columns, child, is_entries ? entry_names[i] : names[i], error);
    if (status == STATUS_OK)
      status = make_keys(columns, child, layout->type.kind == ARROW_MAP, error);
  }
  if (status == STATUS_OK && layout->dictionary != NULL)
    status = make_keys(columns, layout->dictionary, false, error);
  encode_names_free(names, layout->child_count);
  return status;
}

enum status columns_init(struct columns *columns, const struct ArrowSchema *schema,
                         struct budget *budget, struct error *error) {
  *columns = (struct columns){.budget = budget};
  int64_t count = 0;
  enum status status = layout_new(schema, NULL, &columns->layout, &count, error);
  if (status != STATUS_OK) return status;
  columns->list = calloc((size_t)count, sizeof *columns->list);
  if (columns->list == NULL) {
    columns_release(columns);
    return error_set(error, STATUS_NOMEM, "no memory for columns");
  }
  columns->count = count;
  status = make_keys(columns, columns->layout, false, error);
  if (status != STATUS_OK) columns_release(columns);
  return status;
}

void columns_release(struct columns *columns) {
  free(columns->list);
  buffer_release(&columns->keys);
  layout_free(columns->layout);
  buffer_release(&columns->scratch);
  *columns = (struct columns){0};
}

/* ---- batches ------------------------------------------------------------------------- */

static enum status bind(struct columns *columns, const struct layout *layout,
                        const struct ArrowArray *array, int64_t start, int64_t length,
                        struct error *error);

/* The items that the lists of slots [begin, begin + length) hold; whether each list
 * lies among them is seen when it is written. */
static enum status bind_items(struct columns *columns, const struct layout *layout,
                              const struct ArrowArray *array, int64_t begin, int64_t length,
                              struct error *error) {
  int64_t first = 0;
  int64_t last = 0;
  if (layout->type.kind == ARROW_FIXED_SIZE_LIST) {
    if (__builtin_mul_overflow(begin, layout->type.fixed_size, &first) ||
        __builtin_mul_overflow(begin + length, layout->type.fixed_size, &last))
      return error_set(error, STATUS_INVALID, "column \"%s\": %" PRId64 " lists are beyond memory",
                       layout_name(layout), length);
  } else if (length > 0) {
    int64_t width = layout_offset_bytes(layout->type.kind);
    first = layout_offset(array->buffers[1], width, begin);
    last = layout_offset(array->buffers[1], width, begin + length);
  }
  return bind(columns, &layout->children[0], array->children[0], first, last - first, error);
}

/* Any slot of the children may be referred to; whether one is there is seen when it is
 * written. */
static enum status bind_whole(struct columns *columns, const struct layout *layout,
                              const struct ArrowArray *array, struct error *error) {
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++)
    status = bind(columns, &layout->children[i], array->children[i], 0, array->children[i]->length,
                  error);
  return status;
}

static enum status bind_runs(struct columns *columns, const struct layout *layout,
                             const struct ArrowArray *array, struct error *error) {
  enum status status = bind_whole(columns, layout, array, error);
  if (status != STATUS_OK) return status;
  columns->list[layout->index].runs = array_runs_of(layout, array);
  if (array->children[RUN_VALUES]->length >= array->children[RUN_ENDS]->length) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "column \"%s\" has more run ends than values",
                   layout_name(layout));
}

static enum status bind_children(struct columns *columns, const struct layout *layout,
                                 const struct ArrowArray *array, int64_t begin, int64_t length,
                                 struct error *error) {
  enum arrow_kind kind = layout->type.kind;
  if (layout_is_list(kind) || kind == ARROW_FIXED_SIZE_LIST)
    return bind_items(columns, layout, array, begin, length, error);
  if (kind == ARROW_RUN_END_ENCODED) return bind_runs(columns, layout, array, error);
  if (layout_is_list_view(kind) || kind == ARROW_DENSE_UNION)
    return bind_whole(columns, layout, array, error);
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++)
    status = bind(columns, &layout->children[i], array->children[i], begin, length, error);
  return status;
}

static enum status bind(struct columns *columns, const struct layout *layout,
                        const struct ArrowArray *array, int64_t start, int64_t length,
                        struct error *error) {
  int64_t nulls = 0;
  enum status status = layout_check(layout, array, start, length, error);
  if (status == STATUS_OK) status = layout_nulls(layout, array, start, length, &nulls, error);
  if (status != STATUS_OK) return status;
  struct column *column = &columns->list[layout->index];
  bool has_bitmap = nulls > 0 && layout->type.kind != ARROW_NULL;
  column->array = array;
  column->offset = array->offset;
  column->validity = has_bitmap ? array->buffers[0] : NULL;
  column->values = array->n_buffers > 1 ? array->buffers[1] : NULL;
  if (layout->dictionary != NULL)
    return bind(columns, layout->dictionary, array->dictionary, 0, array->dictionary->length,
                error);
  return bind_children(columns, layout, array, array->offset + start, length, error);
}

enum status columns_bind(struct columns *columns, const struct ArrowArray *batch,
                         struct error *error) {
  enum status status = bind(columns, columns->layout, batch, 0, batch->length, error);
  if (status == STATUS_OK && columns->list[0].validity != NULL)
    status = error_set(error, STATUS_INVALID, "rows of a record batch are null as a whole");
  return status;
}
