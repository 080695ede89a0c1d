#include "arrow/handmade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/layout.h"
#include "arrow/schema.h"

static int64_t child_count(const struct handmade *node) {
  int64_t count = 0;
  while (count < HANDMADE_CHILDREN_MAX && node->children[count] != NULL) count++;
  return count;
}

static void fill_schema(const struct handmade *node, struct ArrowSchema *schema) {
  int64_t children = child_count(node);
  assert_int_equal(arrow_schema_init(schema, node->format, node->name == NULL ? "" : node->name,
                                     true, children, NULL),
                   STATUS_OK);
  for (int64_t i = 0; i < children; i++) fill_schema(node->children[i], schema->children[i]);
  if (node->dictionary == NULL) return;
  schema->dictionary = calloc(1, sizeof *schema->dictionary);
  assert_non_null(schema->dictionary);
  fill_schema(node->dictionary, schema->dictionary);
}

struct ArrowSchema handmade_schema(const struct handmade *node) {
  struct ArrowSchema schema = {0};
  fill_schema(node, &schema);
  return schema;
}

static void release(struct ArrowArray *array) {
  for (int64_t i = 0; i < HANDMADE_BUFFERS_MAX; i++) free((void *)array->buffers[i]);
  for (int64_t i = 0; i < array->n_children; i++) {
    arrow_array_release(array->children[i]);
    free(array->children[i]);
  }
  if (array->dictionary != NULL) arrow_array_release(array->dictionary);
  free(array->dictionary);
  free(array->buffers);
  free(array->children);
  array->release = NULL;
}

static void fill_array(const struct handmade *node, struct ArrowArray *array) {
  struct arrow_type type;
  assert_int_equal(arrow_type_parse(node->format, &type, NULL), STATUS_OK);
  int64_t buffers = node->n_buffers == 0 ? layout_buffer_count(type.kind) : node->n_buffers;
  *array = (struct ArrowArray){.length = node->length,
                               .offset = node->offset,
                               .null_count = node->null_count,
                               .n_buffers = buffers < 0 ? 0 : buffers,
                               .n_children = child_count(node),
                               .release = release};
  array->buffers = calloc(HANDMADE_BUFFERS_MAX, sizeof array->buffers[0]);
  array->children = calloc(HANDMADE_CHILDREN_MAX, sizeof array->children[0]);
  assert_true(array->buffers != NULL && array->children != NULL);
  for (int64_t i = 0; i < HANDMADE_BUFFERS_MAX; i++) {
    const struct handmade_buffer *buffer = &node->buffers[i];
    if (buffer->data == NULL) continue;
    void *copy = malloc((size_t)buffer->bytes);
    assert_non_null(copy);
    memcpy(copy, buffer->data, (size_t)buffer->bytes);
    array->buffers[i] = copy;
  }
  for (int64_t i = 0; i < array->n_children; i++) {
    array->children[i] = calloc(1, sizeof *array->children[i]);
    assert_non_null(array->children[i]);
    fill_array(node->children[i], array->children[i]);
  }
  if (node->dictionary == NULL) return;
  array->dictionary = calloc(1, sizeof *array->dictionary);
  assert_non_null(array->dictionary);
  fill_array(node->dictionary, array->dictionary);
}

struct ArrowArray handmade_array(const struct handmade *node) {
  struct ArrowArray array = {0};
  fill_array(node, &array);
  return array;
}
