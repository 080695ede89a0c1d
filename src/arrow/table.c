#include "arrow/table.h"

#include <stdlib.h>

#include "arrow/encode_columns.h"
#include "arrow/encode_pen.h"
#include "arrow/encode_value.h"
#include "arrow/grid.h"
#include "arrow/schema.h"

struct table {
  struct table_options options;
  struct ArrowSchema schema;
  struct columns columns;
  struct grid *grid;
  struct buffer cell;
  int64_t kept; /* rows */
  int64_t seen;
};

/* What is written in numbers, however it is encoded. */
static bool is_number(const struct ArrowSchema *field) {
  struct arrow_type type;
  while (arrow_type_parse(field->format, &type, NULL) == STATUS_OK) {
    if (field->dictionary != NULL)
      field = field->dictionary;
    else if (type.kind == ARROW_RUN_END_ENCODED)
      field = field->children[RUN_VALUES];
    else
      return (type.kind >= ARROW_INT8 && type.kind <= ARROW_FLOAT64) || type.kind == ARROW_DECIMAL;
  }
  return false;
}

static enum status add_type(struct grid *grid, const struct ArrowSchema *field,
                            struct error *error) {
  struct text type = TEXT_EMPTY;
  enum status status = arrow_type_print(field, &type, error);
  if (status == STATUS_OK) status = grid_add(grid, text_get(&type), type.size_bytes, error);
  text_release(&type);
  return status;
}

static enum status add_heads(struct table *table, struct error *error) {
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < table->schema.n_children && status == STATUS_OK; i++) {
    status = grid_add_text(table->grid, table->schema.children[i]->name, error);
    if (is_number(table->schema.children[i])) grid_align_right(table->grid, (size_t)i);
  }
  if (!table->options.has_types) return status;
  grid_set_heads(table->grid, 2);
  for (int64_t i = 0; i < table->schema.n_children && status == STATUS_OK; i++)
    status = add_type(table->grid, table->schema.children[i], error);
  return status;
}

enum status table_new(const struct ArrowSchema *schema, const struct table_options *options,
                      struct table **table, struct error *error) {
  *table = NULL;
  struct table *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a table");
  made->options = *options;
  enum status status = arrow_schema_copy(schema, &made->schema, error);
  if (status == STATUS_OK)
    status = columns_init(&made->columns, &made->schema, options->budget, error);
  if (status == STATUS_OK) status = grid_new((size_t)made->schema.n_children, &made->grid, error);
  if (status == STATUS_OK) status = add_heads(made, error);
  if (status == STATUS_OK)
    *table = made;
  else
    table_free(made);
  return status;
}

void table_free(struct table *table) {
  if (table == NULL) return;
  grid_free(table->grid);
  columns_release(&table->columns);
  buffer_release(&table->cell);
  arrow_schema_release(&table->schema);
  free(table);
}

static enum status add_cell(struct table *table, const struct layout *layout, int64_t index,
                            struct error *error) {
  struct pen pen;
  table->cell.size_bytes = 0;
  pen_open(&pen, &table->cell, table->options.budget);
  enum status status = value_write(&table->columns, layout, index, VALUE_CELL, &pen, error);
  pen_close(&pen);
  if (status != STATUS_OK) return status;
  return grid_add(table->grid, (const char *)table->cell.data, (size_t)table->cell.size_bytes,
                  error);
}

enum status table_add(struct table *table, const struct ArrowArray *batch, struct error *error) {
  const struct layout *layout = table->columns.layout;
  int64_t room = table->options.rows_max - table->kept;
  int64_t count = batch->length < room ? batch->length : room;
  table->seen += batch->length;
  if (layout->child_count == 0) {
    table->kept = table->seen; /* there is nothing to show of any */
    return STATUS_OK;
  }
  /* The head of the batch: a struct array may be shorter than its children. */
  struct ArrowArray head = *batch;
  head.length = count;
  if (count < batch->length && head.null_count > 0) head.null_count = -1;
  enum status status = count <= 0 ? STATUS_OK : columns_bind(&table->columns, &head, error);
  for (int64_t row = 0; row < count && status == STATUS_OK; row++) {
    for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++)
      status = add_cell(table, &layout->children[i], batch->offset + row, error);
    if (status == STATUS_OK) table->kept++;
  }
  return status;
}

/* "(1,234 rows, the first 20 shown; 7 more columns)" */
static enum status count_up(const struct table *table, size_t shown, struct text *line,
                            struct error *error) {
  char seen[GRID_NUMBER_BYTES];
  char kept[GRID_NUMBER_BYTES];
  size_t hidden = (size_t)table->schema.n_children - shown;
  grid_number(table->seen, seen);
  grid_number(table->kept, kept);
  enum status status = text_add_format(line, error, "(%s row%s", seen, table->seen == 1 ? "" : "s");
  if (status == STATUS_OK && table->kept < table->seen) {
    status = text_add_format(line, error, ", the first %s shown", kept);
    if (status == STATUS_OK && table->options.hint != NULL)
      status = text_add_format(line, error, "; %s", table->options.hint);
  }
  if (status == STATUS_OK && hidden > 0)
    status = text_add_format(line, error, "; %zu more column%s", hidden, hidden == 1 ? "" : "s");
  return status == STATUS_OK ? text_add(line, ")", error) : status;
}

enum status table_print(struct table *table, size_t width, struct text *out, struct error *error) {
  struct text line = TEXT_EMPTY;
  size_t shown = (size_t)table->schema.n_children;
  enum status status = STATUS_OK;
  if (table->options.fits) status = grid_fit(table->grid, width, &shown, error);
  if (status == STATUS_OK) status = grid_print(table->grid, width, out, error);
  if (status == STATUS_OK) status = count_up(table, shown, &line, error);
  if (status == STATUS_OK)
    status = grid_print_line(text_get(&line), table->options.fits ? width : 0, out, error);
  text_release(&line);
  return status;
}
