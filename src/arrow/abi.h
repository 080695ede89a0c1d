/* The structs of the Arrow C data and C stream interfaces, and how one lets go of them or
 * moves them on. */
#ifndef ARROWPORT_ARROW_ABI_H
#define ARROWPORT_ARROW_ABI_H

#include <stddef.h>

#include "arrowport/c_data.h"

/* Lets go of what the struct holds, if anything, and marks it empty. */
static inline void arrow_schema_release(struct ArrowSchema *schema) {
  if (schema->release != NULL) schema->release(schema);
  schema->release = NULL;
}

static inline void arrow_array_release(struct ArrowArray *array) {
  if (array->release != NULL) array->release(array);
  array->release = NULL;
}

/* `to` (which holds nothing) gets what `from` holds; `from` holds nothing then. */
static inline void arrow_schema_move(struct ArrowSchema *from, struct ArrowSchema *to) {
  *to = *from;
  from->release = NULL;
}

static inline void arrow_array_move(struct ArrowArray *from, struct ArrowArray *to) {
  *to = *from;
  from->release = NULL;
}

#endif
