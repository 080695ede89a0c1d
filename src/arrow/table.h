/* Record batches as a table for people. */
#ifndef ARROWPORT_ARROW_TABLE_H
#define ARROWPORT_ARROW_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "base/buffer.h"
#include "base/status.h"
#include "base/text.h"

struct table_options {
  int64_t rows_max; /* as many are kept to be shown, the first ones */
  bool has_types;   /* under the names */
  bool fits;        /* columns for which there is no room are left out, and counted */
  const char *hint; /* how to see more rows: "--rows shows more"; NULL: no word of it */
  struct budget *budget;
};

struct table;

/* `schema` is a struct; it is copied. STATUS_UNSUPPORTED as encoder_new (encode.h). */
enum status table_new(const struct ArrowSchema *schema, const struct table_options *options,
                      struct table **table, struct error *error) WARN_UNUSED;
void table_free(struct table *table); /* NULL is allowed */

/* Keeps as many of the batch's rows as there is room for, counts all. STATUS_INVALID when the
 * batch is not of the schema; STATUS_BUDGET, STATUS_NOMEM. */
enum status table_add(struct table *table, const struct ArrowArray *batch,
                      struct error *error) WARN_UNUSED;

/* The rows, and a line that counts them; `width` as grid_print (grid.h). */
enum status table_print(struct table *table, size_t width, struct text *out,
                        struct error *error) WARN_UNUSED;

#endif
