#include "arrow/layout.h"

#include <inttypes.h>
#include <stdlib.h>

#include "arrow/bitmap.h"

/* ---- trees ------------------------------------------------------------------------ */

static bool is_supported(enum arrow_kind kind) {
  return kind != ARROW_LIST_VIEW && kind != ARROW_LARGE_LIST_VIEW && kind != ARROW_DENSE_UNION &&
         kind != ARROW_SPARSE_UNION && kind != ARROW_RUN_END_ENCODED;
}

static enum status refuse(const struct layout *layout, const char *cannot, struct error *error) {
  struct text type = TEXT_EMPTY;
  enum status status = arrow_type_print(layout->schema, &type, error);
  if (status == STATUS_OK)
    status = error_set(error, STATUS_UNSUPPORTED, "column \"%s\": values of type %s %s",
                       layout_name(layout), text_get(&type), cannot);
  text_release(&type);
  return status;
}

/* Whether the field has as many children as its type needs, and an index for its
 * dictionary. */
static enum status check_children(const struct layout *layout, struct error *error) {
  const struct ArrowSchema *schema = layout->schema;
  enum arrow_kind kind = layout->type.kind;
  bool has_items = layout_is_list(kind) || kind == ARROW_FIXED_SIZE_LIST;
  if (kind != ARROW_STRUCT && schema->n_children != (has_items ? 1 : 0))
    return error_set(error, STATUS_INVALID,
                     "field \"%s\" of format \"%s\" has %" PRId64 " children", layout_name(layout),
                     schema->format, schema->n_children);
  if (schema->dictionary != NULL && !layout_is_integer(kind))
    return error_set(error, STATUS_INVALID,
                     "field \"%s\" has a dictionary, and indices of format \"%s\"",
                     layout_name(layout), schema->format);
  return STATUS_OK;
}

static enum status check_map(const struct layout *layout, struct error *error) {
  const struct layout *entries = &layout->children[0];
  if (entries->type.kind == ARROW_STRUCT && entries->child_count == 2) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "map \"%s\" needs entries of a key and a value each",
                   layout_name(layout));
}

struct making {
  const char *cannot;
  int64_t node_count;
};

static enum status node_init(struct layout *layout, const struct ArrowSchema *schema,
                             struct making *making, int depth, struct error *error) {
  layout->schema = schema;
  layout->index = making->node_count++;
  if (depth > ARROW_DEPTH_MAX)
    return error_set(error, STATUS_INVALID, "the schema is nested deeper than %d", ARROW_DEPTH_MAX);
  if (schema->n_children < 0 || schema->n_children > ARROW_FIELDS_MAX - making->node_count)
    return error_set(error, STATUS_INVALID, "the schema has more than %d fields", ARROW_FIELDS_MAX);
  enum status status = arrow_type_parse(schema->format, &layout->type, error);
  if (status == STATUS_OK && !is_supported(layout->type.kind))
    status = refuse(layout, making->cannot, error);
  if (status == STATUS_OK) status = check_children(layout, error);
  if (status == STATUS_OK && schema->n_children > 0) {
    layout->children = calloc((size_t)schema->n_children, sizeof *layout->children);
    if (layout->children == NULL) return error_set(error, STATUS_NOMEM, "no memory for a schema");
    layout->child_count = schema->n_children;
  }
  for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++)
    status = node_init(&layout->children[i], schema->children[i], making, depth + 1, error);
  if (status == STATUS_OK && layout->type.kind == ARROW_MAP) status = check_map(layout, error);
  if (status == STATUS_OK && schema->dictionary != NULL) {
    layout->dictionary = calloc(1, sizeof *layout->dictionary);
    if (layout->dictionary == NULL) return error_set(error, STATUS_NOMEM, "no memory for a schema");
    status = node_init(layout->dictionary, schema->dictionary, making, depth + 1, error);
  }
  return status;
}

static void node_release(struct layout *layout) {
  for (int64_t i = 0; i < layout->child_count; i++) node_release(&layout->children[i]);
  free(layout->children);
  layout_free(layout->dictionary);
}

enum status layout_new(const struct ArrowSchema *schema, const char *cannot, struct layout **layout,
                       int64_t *node_count, struct error *error) {
  *layout = NULL;
  struct making making = {.cannot = cannot};
  struct layout *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a schema");
  enum status status = node_init(made, schema, &making, 0, error);
  if (status == STATUS_OK && (made->type.kind != ARROW_STRUCT || schema->dictionary != NULL))
    status = error_set(error, STATUS_INVALID,
                       "the schema of record batches must be a struct, and has format \"%s\"",
                       schema->format);
  if (status != STATUS_OK) {
    layout_free(made);
    return status;
  }
  *layout = made;
  *node_count = making.node_count;
  return STATUS_OK;
}

void layout_free(struct layout *layout) {
  if (layout == NULL) return;
  node_release(layout);
  free(layout);
}

/* ---- arrays ----------------------------------------------------------------------- */

/* The least number of buffers of the type in the C data interface. */
static int64_t buffers_min(const struct layout *layout) {
  enum arrow_kind kind = layout->type.kind;
  if (kind == ARROW_NULL) return 0;
  if (kind == ARROW_STRUCT || kind == ARROW_FIXED_SIZE_LIST) return 1;
  return layout_is_bytes(kind) || layout_is_view(kind) ? 3 : 2;
}

/* Whether the main buffer (bits, values, offsets, views) may be missing. */
static bool may_lack_values(const struct layout *layout, int64_t length) {
  enum arrow_kind kind = layout->type.kind;
  return length == 0 || buffers_min(layout) < 2 ||
         (kind == ARROW_FIXED_SIZE_BINARY && layout->type.fixed_size == 0);
}

enum status layout_check(const struct layout *layout, const struct ArrowArray *array, int64_t start,
                         int64_t length, struct error *error) {
  if (array->n_children != layout->child_count || array->n_buffers < buffers_min(layout) ||
      (array->dictionary == NULL) != (layout->dictionary == NULL))
    return error_set(error, STATUS_INVALID,
                     "column \"%s\": the array (%" PRId64 " buffers, %" PRId64
                     " children) has not the shape of format \"%s\"",
                     layout_name(layout), array->n_buffers, array->n_children,
                     layout->schema->format);
  if (start < 0 || length < 0 || array->offset < 0 || start > array->length ||
      length > array->length - start || array->offset > INT64_MAX - array->length)
    return error_set(error, STATUS_INVALID,
                     "column \"%s\": rows %" PRId64 " to %" PRId64 " are wanted of %" PRId64
                     " from offset %" PRId64,
                     layout_name(layout), start, start + length, array->length, array->offset);
  if (!may_lack_values(layout, length) && array->buffers[1] == NULL)
    return error_set(error, STATUS_INVALID,
                     "column \"%s\": the array has %" PRId64 " slots and no values",
                     layout_name(layout), array->length);
  return STATUS_OK;
}

enum status layout_nulls(const struct layout *layout, const struct ArrowArray *array, int64_t start,
                         int64_t length, int64_t *nulls, struct error *error) {
  *nulls = 0;
  if (layout->type.kind == ARROW_NULL) {
    *nulls = length;
    return STATUS_OK;
  }
  if (array->null_count == 0 || length == 0) return STATUS_OK;
  const uint8_t *validity = array->buffers[0];
  if (validity == NULL) {
    if (array->null_count < 0) return STATUS_OK;
    return error_set(error, STATUS_INVALID,
                     "column \"%s\" counts %" PRId64 " nulls and does not say which",
                     layout_name(layout), array->null_count);
  }
  if (array->null_count > 0 && length == array->length)
    *nulls = array->null_count;
  else
    *nulls = length - bitmap_count(validity, array->offset + start, length);
  return STATUS_OK;
}
