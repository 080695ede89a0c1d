#include "arrow/array.h"
#include "arrow/array_root.h"
#include "arrow/table.h"

static const int64_t values_max_bytes = (int64_t)1 << 30; /* of one cell, before it is cut */

enum status arrow_array_print(const struct ArrowSchema *schema, const struct ArrowArray *array,
                              int64_t rows_max, size_t width, struct text *out,
                              struct error *error) {
  struct budget budget = {.limit_bytes = values_max_bytes};
  struct table_options options = {
      .rows_max = rows_max, .has_types = true, .fits = true, .budget = &budget};
  struct array_root root;
  struct array_root_batch batch;
  struct table *table = NULL;
  struct text text = TEXT_EMPTY;
  enum status status = arrow_array_check(schema, array, ARRAY_CHECK_SHAPE, error);
  if (status != STATUS_OK) return status;
  /* Rows that are null as a whole have no columns to be shown in. */
  bool has_nulls = array->n_buffers > 0 && array->buffers[0] != NULL && array->null_count != 0;
  const struct ArrowSchema *rows = array_root_schema(&root, schema, has_nulls);
  status = table_new(rows, &options, &table, error);
  if (status == STATUS_OK) status = table_add(table, array_root_array(&root, array, &batch), error);
  if (status == STATUS_OK) status = table_print(table, width, &text, error);
  if (status == STATUS_OK) status = text_add_bytes(out, text_get(&text), text.size_bytes, error);
  text_release(&text);
  table_free(table);
  return status;
}
