/* One value of an array as text. Inside the room only. */
#ifndef ARROWPORT_ARROW_ENCODE_VALUE_H
#define ARROWPORT_ARROW_ENCODE_VALUE_H

#include <stdint.h>

#include "arrow/encode_columns.h"
#include "arrow/encode_pen.h"
#include "arrow/layout.h"
#include "base/status.h"

enum { VALUE_SCALE_MAX = 1000 }; /* of decimals: 1e9 zeros behind a digit are no text for anybody */

enum value_form {
  VALUE_JSON,
  VALUE_CSV, /* a field: nothing for a null */
  VALUE_CELL /* for people: text as it is, NULL for a null */
};

/* The value at `index`, counted from the array's offset, of a column that is bound to a batch.
 * STATUS_INVALID when it refers to what does not exist. */
enum status value_write(struct columns *columns, const struct layout *layout, int64_t index,
                        enum value_form form, struct pen *pen, struct error *error) WARN_UNUSED;

#endif
