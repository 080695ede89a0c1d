#include "parquet/field.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/schema.h"

/* One pair in the encoding of ArrowSchema.metadata. */
static char *encode_pair(const char *key, const char *value) {
  int32_t pairs = 1, key_bytes = (int32_t)strlen(key), value_bytes = (int32_t)strlen(value);
  char *encoded = malloc(3 * sizeof pairs + (size_t)key_bytes + (size_t)value_bytes);
  assert_non_null(encoded);
  char *at = encoded;
  memcpy(at, &pairs, sizeof pairs);
  memcpy(at += sizeof pairs, &key_bytes, sizeof key_bytes);
  memcpy(at += sizeof key_bytes, key, (size_t)key_bytes);
  memcpy(at += key_bytes, &value_bytes, sizeof value_bytes);
  memcpy(at + sizeof value_bytes, value, (size_t)value_bytes);
  return encoded;
}

static void fill(const struct field *field, struct ArrowSchema *schema) {
  int64_t children = 0;
  while (children < FIELD_CHILDREN_MAX && field->children[children] != NULL) children++;
  assert_int_equal(arrow_schema_init(schema, field->format, field->name == NULL ? "" : field->name,
                                     !field->is_required, children, NULL),
                   STATUS_OK);
  for (int64_t i = 0; i < children; i++) fill(field->children[i], schema->children[i]);
  if (field->key != NULL) schema->metadata = encode_pair(field->key, field->value);
  if (field->dictionary == NULL) return;
  schema->dictionary = calloc(1, sizeof *schema->dictionary);
  assert_non_null(schema->dictionary);
  fill(field->dictionary, schema->dictionary);
}

struct ArrowSchema field_schema(const struct field *field) {
  struct ArrowSchema schema = {0};
  fill(field, &schema);
  return schema;
}

struct ArrowSchema field_batch_schema(const struct field *column) {
  return field_schema(FIELD("+s", "", {column}));
}
