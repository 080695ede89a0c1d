/* Record batches as a grid. The cells' text is that of the CSV encoder, which knows every
 * type: a batch is encoded and its fields are cut out again. */
#include <stdlib.h>

#include "arrow/encode.h"
#include "arrow/schema.h"
#include "cli/cli.h"

struct rows {
  struct grid *grid;
  struct encoder *encoder;
  struct budget *budget;
  size_t columns;
  int64_t rows_max;
  int64_t kept;
  int64_t seen;
};

static bool is_number(const struct ArrowSchema *field) {
  struct arrow_type type;
  if (field->dictionary != NULL || arrow_type_parse(field->format, &type, NULL) != STATUS_OK)
    return false;
  return (type.kind >= ARROW_INT8 && type.kind <= ARROW_FLOAT64) || type.kind == ARROW_DECIMAL;
}

enum status rows_new(const struct ArrowSchema *schema, int64_t rows_max, struct budget *budget,
                     struct rows **rows, struct error *error) {
  struct rows *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a result");
  made->rows_max = rows_max;
  made->columns = (size_t)schema->n_children;
  made->budget = budget;
  enum status status = grid_new(made->columns, &made->grid, error);
  if (status == STATUS_OK) status = encoder_new(ENCODE_CSV, schema, budget, &made->encoder, error);
  for (size_t i = 0; i < made->columns && status == STATUS_OK; i++) {
    status = grid_add_text(made->grid, schema->children[i]->name, error);
    if (status == STATUS_OK && is_number(schema->children[i])) grid_align_right(made->grid, i);
  }
  if (status == STATUS_OK)
    *rows = made;
  else
    rows_free(made);
  return status;
}

void rows_free(struct rows *rows) {
  if (rows == NULL) return;
  grid_free(rows->grid);
  encoder_free(rows->encoder);
  free(rows);
}

/* The field of a CSV line at `*at`, unquoted in place; moves on past its separator. An
 * empty one without quotes is NULL (encode.h). */
static enum status add_field(struct grid *grid, char **at, const char *end, struct error *error) {
  char *from = *at;
  if (from < end && *from == '"') {
    char *to = ++from;
    char *begin = to;
    while (from < end && (*from != '"' || (from + 1 < end && from[1] == '"'))) {
      if (*from == '"') from++;
      *to++ = *from++;
    }
    from++; /* the closing quote */
    *at = from;
    return grid_add(grid, begin, (size_t)(to - begin), error);
  }
  while (from < end && *from != ',' && *from != '\r' && *from != '\n') from++;
  size_t bytes = (size_t)(from - *at);
  enum status status =
      bytes == 0 ? grid_add(grid, "NULL", 4, error) : grid_add(grid, *at, bytes, error);
  *at = from;
  return status;
}

static enum status add_lines(struct rows *rows, struct buffer *csv, int64_t count,
                             struct error *error) {
  char *at = (char *)csv->data;
  const char *end = at + csv->size_bytes;
  enum status status = STATUS_OK;
  for (int64_t row = 0; row < count; row++) {
    for (size_t column = 0; column < rows->columns && status == STATUS_OK; column++) {
      status = add_field(rows->grid, &at, end, error);
      if (at < end && *at == ',') at++;
    }
    if (at < end && *at == '\r') at++;
    if (at < end && *at == '\n') at++;
  }
  return status;
}

enum status rows_add(struct rows *rows, const struct ArrowArray *batch, struct error *error) {
  int64_t room = rows->rows_max - rows->kept;
  int64_t count = batch->length < room ? batch->length : room;
  rows->seen += batch->length;
  if (count == 0 || rows->columns == 0) return STATUS_OK;
  /* The head of the batch: a struct array may be shorter than its children. */
  struct ArrowArray head = *batch;
  head.length = count;
  if (count < batch->length && head.null_count > 0) head.null_count = -1;
  struct buffer csv = BUFFER_EMPTY;
  enum status status = encoder_batch(rows->encoder, &head, &csv, error);
  if (status == STATUS_OK) status = add_lines(rows, &csv, count, error);
  if (status == STATUS_OK) rows->kept += count;
  buffer_release(&csv);
  return status;
}

enum status rows_print(const struct rows *rows, struct text *out, struct error *error) {
  if (rows->columns == 0) return text_add(out, "done\n", error); /* CREATE, INSERT, ... */
  char seen[CLI_NUMBER_BYTES];
  char kept[CLI_NUMBER_BYTES];
  cli_number(rows->seen, seen);
  cli_number(rows->kept, kept);
  enum status status = grid_print(rows->grid, cli_terminal_width(), out, error);
  if (status != STATUS_OK) return status;
  if (rows->kept < rows->seen)
    return text_add_format(out, error, "(%s rows, the first %s shown; --rows shows more)\n", seen,
                           kept);
  return text_add_format(out, error, "(%s row%s)\n", seen, rows->seen == 1 ? "" : "s");
}
