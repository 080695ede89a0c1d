/* Where the values of a record batch are, for those that write them. Inside the room only.
 *
 * A `columns` follows a schema; bound to a batch it knows where each column's memory
 * is. */
#ifndef ARROWPORT_ARROW_ENCODE_COLUMNS_H
#define ARROWPORT_ARROW_ENCODE_COLUMNS_H

#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/array_runs.h"
#include "arrow/layout.h"
#include "base/buffer.h"
#include "base/status.h"

struct column {
  const struct ArrowArray *array;
  const uint8_t *validity; /* NULL when nothing is null */
  const uint8_t *values;   /* the array's second buffer */
  int64_t offset;
  struct array_runs runs; /* run-end encoded: at the run that was written last */
  int64_t key_start;      /* in the keys: `"name":` where the field is in an object */
  int64_t key_bytes;
};

struct columns {
  struct layout *layout;
  struct column *list; /* by layout index */
  int64_t count;
  struct budget *budget;
  struct buffer keys;    /* of all columns, one behind the other */
  struct buffer scratch; /* what is written twice */
};

/* `schema` must outlive it. Errors as encoder_new. */
enum status columns_init(struct columns *columns, const struct ArrowSchema *schema,
                         struct budget *budget, struct error *error) WARN_UNUSED;
void columns_release(struct columns *columns);

/* Points the columns at a batch, which must live while values are written.
 * STATUS_INVALID when it is not of the schema. */
enum status columns_bind(struct columns *columns, const struct ArrowArray *batch,
                         struct error *error) WARN_UNUSED;

#endif
