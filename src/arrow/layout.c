#include "arrow/layout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/bitmap.h"

/* ---- trees ------------------------------------------------------------------------ */

static bool is_rare(enum arrow_kind kind) {
  return layout_is_list_view(kind) || layout_is_union(kind) || kind == ARROW_RUN_END_ENCODED;
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
  bool has_items =
      layout_is_list(kind) || layout_is_list_view(kind) || kind == ARROW_FIXED_SIZE_LIST;
  int64_t wanted = kind == ARROW_RUN_END_ENCODED ? 2 : has_items ? 1 : 0;
  if (kind != ARROW_STRUCT && !layout_is_union(kind) && schema->n_children != wanted)
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

static enum status check_run_ends(const struct layout *layout, struct error *error) {
  const struct layout *ends = &layout->children[RUN_ENDS];
  enum arrow_kind kind = ends->type.kind;
  if ((kind == ARROW_INT16 || kind == ARROW_INT32 || kind == ARROW_INT64) &&
      ends->dictionary == NULL)
    return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "field \"%s\" has run ends of format \"%s\"; they are int16, int32 or int64",
                   layout_name(layout), ends->schema->format);
}

/* Which child each type id stands for: the format lists the ids, "+ud:0,5". */
static enum status read_codes(struct layout *layout, struct error *error) {
  const char *at = strchr(layout->schema->format, ':') + 1;
  int64_t count = 0;
  layout->child_of_code = malloc(UNION_CODES);
  if (layout->child_of_code == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for a schema");
  memset(layout->child_of_code, -1, UNION_CODES);
  while (*at != '\0') {
    char *end = NULL;
    long code = *at >= '0' && *at <= '9' ? strtol(at, &end, 10) : -1;
    bool is_last = code >= 0 && *end == '\0';
    if (code < 0 || code >= UNION_CODES || layout->child_of_code[code] >= 0 ||
        count == layout->child_count || !(is_last || (*end == ',' && end[1] != '\0')))
      break;
    layout->child_of_code[code] = (int8_t)count++;
    at = is_last ? end : end + 1;
  }
  if (*at == '\0' && count == layout->child_count) return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "union \"%s\" of %" PRId64 " members has the type ids \"%.600s\"",
                   layout_name(layout), layout->child_count, layout->schema->format);
}

/* What only this type asks for, once its children are known. */
static enum status check_kind(struct layout *layout, struct error *error) {
  if (layout->type.kind == ARROW_MAP) return check_map(layout, error);
  if (layout->type.kind == ARROW_RUN_END_ENCODED) return check_run_ends(layout, error);
  return layout_is_union(layout->type.kind) ? read_codes(layout, error) : STATUS_OK;
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
  if (schema->n_children < 0 || schema->n_children > ARROW_FIELDS_MAX + 1 - making->node_count)
    return error_set(error, STATUS_INVALID, "the schema has more than %d fields", ARROW_FIELDS_MAX);
  enum status status = arrow_type_parse(schema->format, &layout->type, error);
  if (status == STATUS_OK && making->cannot != NULL && is_rare(layout->type.kind))
    status = refuse(layout, making->cannot, error);
  if (status == STATUS_OK) status = check_children(layout, error);
  if (status == STATUS_OK && schema->n_children > 0) {
    layout->children = calloc((size_t)schema->n_children, sizeof *layout->children);
    if (layout->children == NULL) return error_set(error, STATUS_NOMEM, "no memory for a schema");
    layout->child_count = schema->n_children;
  }
  for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++)
    status = node_init(&layout->children[i], schema->children[i], making, depth + 1, error);
  if (status == STATUS_OK) status = check_kind(layout, error);
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
  free(layout->child_of_code);
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

int64_t layout_buffer_count(enum arrow_kind kind) {
  switch (kind) {
  case ARROW_NULL:
  case ARROW_RUN_END_ENCODED: return 0;
  case ARROW_STRUCT:
  case ARROW_FIXED_SIZE_LIST:
  case ARROW_SPARSE_UNION: return 1;
  case ARROW_BINARY:
  case ARROW_LARGE_BINARY:
  case ARROW_UTF8:
  case ARROW_LARGE_UTF8:
  case ARROW_BINARY_VIEW: /* the last one lists the lengths of the data buffers */
  case ARROW_UTF8_VIEW:
  case ARROW_LIST_VIEW:
  case ARROW_LARGE_LIST_VIEW: return 3;
  default: return 2;
  }
}

/* Whether the buffers that slots must have (bits, values, offsets, views, sizes, type ids)
 * are there. */
static bool has_values(const struct layout *layout, const struct ArrowArray *array) {
  enum arrow_kind kind = layout->type.kind;
  int64_t first = layout_has_validity(kind) ? 1 : 0;
  int64_t end = layout_is_bytes(kind) || layout_is_view(kind) ? 2 : layout_buffer_count(kind);
  if (kind == ARROW_FIXED_SIZE_BINARY && layout->type.fixed_size == 0) return true;
  for (int64_t i = first; i < end; i++)
    if (array->buffers[i] == NULL) return false;
  return true;
}

enum status layout_check(const struct layout *layout, const struct ArrowArray *array, int64_t start,
                         int64_t length, struct error *error) {
  if (array->n_children != layout->child_count ||
      array->n_buffers < layout_buffer_count(layout->type.kind) ||
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
  if (length > 0 && !has_values(layout, array))
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
  if (array->null_count == 0 || length == 0 || !layout_has_validity(layout->type.kind))
    return STATUS_OK;
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
