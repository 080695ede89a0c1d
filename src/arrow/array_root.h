/* Trees (layout.h) begin with a struct, as record batches do; an array of another type is
 * walked as the only column of one. Inside the room only. */
#ifndef ARROWPORT_ARROW_ARRAY_ROOT_H
#define ARROWPORT_ARROW_ARRAY_ROOT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "arrow/abi.h"

/* What such a struct is made of; it borrows, and nothing is to be released. It must stay
 * where it is while the schema that array_root_schema returns is in use. */
struct array_root {
  bool is_column; /* the array is a column, and not the batch itself */
  struct ArrowSchema schema;
  struct ArrowSchema *fields[1];
};

struct array_root_batch {
  struct ArrowArray array;
  struct ArrowArray *columns[1];
  const void *no_bitmap[1];
};

/* The struct to walk by: `schema` itself where it is one, unless it is to be a column too. */
static inline const struct ArrowSchema *
array_root_schema(struct array_root *root, const struct ArrowSchema *schema, bool as_column) {
  bool is_struct = schema->format != NULL && strcmp(schema->format, "+s") == 0;
  root->is_column = as_column || !is_struct || schema->dictionary != NULL;
  if (!root->is_column) return schema;
  root->fields[0] = (struct ArrowSchema *)schema;
  root->schema = (struct ArrowSchema){.format = "+s", .n_children = 1, .children = root->fields};
  return &root->schema;
}

/* The rows of `array`, whose schema the root was made of. */
static inline const struct ArrowArray *array_root_array(const struct array_root *root,
                                                        const struct ArrowArray *array,
                                                        struct array_root_batch *batch) {
  if (!root->is_column) return array;
  batch->columns[0] = (struct ArrowArray *)array;
  batch->no_bitmap[0] = NULL;
  batch->array = (struct ArrowArray){.length = array->length,
                                     .n_buffers = 1,
                                     .buffers = batch->no_bitmap,
                                     .n_children = 1,
                                     .children = batch->columns};
  return &batch->array;
}

#endif
