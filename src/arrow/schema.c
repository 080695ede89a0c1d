/* Schemas that we own: each field is one allocation with its strings, and its
 * children belong to it. */
#include "arrow/schema.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static enum status no_memory(struct error *error) {
  error_set(error, STATUS_NOMEM, "no memory for a schema");
  return STATUS_NOMEM;
}

static void release_owned(struct ArrowSchema *schema) {
  assert(schema->n_children == 0 || schema->children != NULL);
  for (int64_t i = 0; i < schema->n_children; i++) {
    arrow_schema_release(schema->children[i]);
    free(schema->children[i]);
  }
  if (schema->dictionary != NULL) {
    arrow_schema_release(schema->dictionary);
    free(schema->dictionary);
  }
  free(schema->children);
  free((char *)schema->metadata);
  free(schema->private_data); /* format and name */
  schema->release = NULL;
}

static char *join(const char *format, const char *name) {
  size_t format_bytes = strlen(format) + 1;
  size_t name_bytes = strlen(name) + 1;
  char *strings = malloc(format_bytes + name_bytes);
  if (strings == NULL) return NULL;
  memcpy(strings, format, format_bytes);
  memcpy(strings + format_bytes, name, name_bytes);
  return strings;
}

static void set_strings(struct ArrowSchema *schema, char *strings) {
  schema->format = strings;
  schema->name = strings + strlen(strings) + 1;
  schema->private_data = strings;
}

enum status arrow_schema_set(struct ArrowSchema *field, const char *format, const char *name,
                             struct error *error) {
  assert(field->release == release_owned);
  char *strings = join(format != NULL ? format : field->format, name != NULL ? name : field->name);
  if (strings == NULL) return no_memory(error);
  free(field->private_data);
  set_strings(field, strings);
  return STATUS_OK;
}

/* Format and name in one allocation, the children's places in another. */
enum status arrow_schema_init(struct ArrowSchema *out, const char *format, const char *name,
                              bool nullable, int64_t children, struct error *error) {
  *out = (struct ArrowSchema){.flags = nullable ? ARROW_FLAG_NULLABLE : 0};
  char *strings = join(format, name);
  struct ArrowSchema **places =
      children > 0 ? calloc((size_t)children, sizeof(struct ArrowSchema *)) : NULL;
  if (strings == NULL || (children > 0 && places == NULL)) {
    free(strings);
    free(places);
    return no_memory(error);
  }
  set_strings(out, strings);
  out->children = places;
  out->release = release_owned;
  for (; places != NULL && out->n_children < children; out->n_children++) {
    places[out->n_children] = calloc(1, sizeof(struct ArrowSchema));
    if (places[out->n_children] != NULL) continue;
    release_owned(out);
    return no_memory(error);
  }
  return STATUS_OK;
}

/* Bytes of the C data interface's metadata encoding; 0 for NULL. */
static size_t metadata_bytes(const char *metadata) {
  if (metadata == NULL) return 0;
  int32_t pairs;
  memcpy(&pairs, metadata, sizeof pairs);
  size_t at = sizeof pairs;
  for (int64_t i = 0; i < 2 * (int64_t)pairs; i++) {
    int32_t length;
    memcpy(&length, metadata + at, sizeof length);
    at += sizeof length + (size_t)length;
  }
  return at;
}

static enum status copy_metadata(const char *metadata, struct ArrowSchema *out,
                                 struct error *error) {
  size_t bytes = metadata_bytes(metadata);
  if (bytes == 0) return STATUS_OK;
  char *copy = malloc(bytes);
  if (copy == NULL) return error_set(error, STATUS_NOMEM, "no memory for a schema's metadata");
  memcpy(copy, metadata, bytes);
  out->metadata = copy;
  return STATUS_OK;
}

static enum status copy(const struct ArrowSchema *schema, int depth, struct ArrowSchema *out,
                        struct error *error) {
  assert(out != NULL);
  out->release = NULL;
  if (depth > ARROW_DEPTH_MAX)
    return error_set(error, STATUS_INVALID, "the schema is nested deeper than %d", ARROW_DEPTH_MAX);
  enum status status =
      arrow_schema_init(out, schema->format, schema->name == NULL ? "" : schema->name, false,
                        schema->n_children, error);
  if (status != STATUS_OK) return status;
  out->flags = schema->flags;
  status = copy_metadata(schema->metadata, out, error);
  for (int64_t i = 0; i < schema->n_children && status == STATUS_OK; i++)
    status = copy(schema->children[i], depth + 1, out->children[i], error);
  if (status == STATUS_OK && schema->dictionary != NULL) {
    out->dictionary = calloc(1, sizeof *out->dictionary);
    status = out->dictionary == NULL ? error_set(error, STATUS_NOMEM, "no memory for a schema")
                                     : copy(schema->dictionary, depth + 1, out->dictionary, error);
  }
  if (status != STATUS_OK) arrow_schema_release(out);
  return status;
}

enum status arrow_schema_copy(const struct ArrowSchema *schema, struct ArrowSchema *out,
                              struct error *error) {
  return copy(schema, 0, out, error);
}

/* ---- comparing ------------------------------------------------------------------------- */

static const char *name_of(const struct ArrowSchema *schema) {
  return schema->name == NULL ? "" : schema->name;
}

static bool differ(struct error *where, const struct ArrowSchema *left,
                   const struct ArrowSchema *right) {
  struct text left_type = TEXT_EMPTY;
  struct text right_type = TEXT_EMPTY;
  if (arrow_type_print(left, &left_type, NULL) != STATUS_OK ||
      arrow_type_print(right, &right_type, NULL) != STATUS_OK)
    error_set(where, STATUS_SCHEMA, "field \"%s\" differs", name_of(left));
  else
    error_set(where, STATUS_SCHEMA, "field \"%s\" is %s%s here and \"%s\" is %s%s there",
              name_of(left), text_get(&left_type),
              (left->flags & ARROW_FLAG_NULLABLE) != 0 ? "" : " not null", name_of(right),
              text_get(&right_type), (right->flags & ARROW_FLAG_NULLABLE) != 0 ? "" : " not null");
  text_release(&left_type);
  text_release(&right_type);
  return false;
}

static bool equal(const struct ArrowSchema *left, const struct ArrowSchema *right, bool root,
                  struct error *where) {
  if (strcmp(left->format, right->format) != 0 || left->n_children != right->n_children ||
      (left->dictionary == NULL) != (right->dictionary == NULL))
    return differ(where, left, right);
  if (!root && (strcmp(name_of(left), name_of(right)) != 0 || left->flags != right->flags))
    return differ(where, left, right);
  for (int64_t i = 0; i < left->n_children; i++)
    if (!equal(left->children[i], right->children[i], false, where)) return false;
  /* A dictionary's values have a type and no name that means anything. */
  return left->dictionary == NULL || equal(left->dictionary, right->dictionary, true, where);
}

bool arrow_schema_equal(const struct ArrowSchema *left, const struct ArrowSchema *right,
                        struct error *where) {
  return equal(left, right, true, where);
}
