/* Names that tell the fields of an object apart. Inside the room only. */
#ifndef ARROWPORT_ARROW_ENCODE_NAMES_H
#define ARROWPORT_ARROW_ENCODE_NAMES_H

#include "arrow/layout.h"
#include "base/status.h"

/* The names of a struct's children: the first of equal names stays as it is, later
 * ones get "_1", "_2", ... unless another field has that name itself. `*names` is an
 * array of `child_count` strings (NULL when there are none), all freed by
 * encode_names_free. STATUS_NOMEM. */
enum status encode_names_new(const struct layout *layout, char ***names,
                             struct error *error) WARN_UNUSED;
void encode_names_free(char **names, int64_t count); /* NULL is allowed */

#endif
