/* Rows as text: the frame of each format around the values that encode_value.c
 * writes. A call that fails leaves the output as it was. */
#include "arrow/encode.h"

#include <stdlib.h>

#include "arrow/encode_names.h"
#include "arrow/encode_pen.h"
#include "arrow/encode_value.h"

struct encoder {
  enum encode_format format;
  struct ArrowSchema schema;
  struct columns columns;
  struct budget *budget;
  bool has_rows; /* some were written */
};

enum status encoder_new(enum encode_format format, const struct ArrowSchema *schema,
                        struct budget *budget, struct encoder **encoder, struct error *error) {
  *encoder = NULL;
  struct encoder *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for an encoder");
  made->format = format;
  made->budget = budget;
  enum status status = arrow_schema_copy(schema, &made->schema, error);
  if (status == STATUS_OK) status = columns_init(&made->columns, &made->schema, budget, error);
  if (status == STATUS_OK)
    *encoder = made;
  else
    encoder_free(made);
  return status;
}

void encoder_free(struct encoder *encoder) {
  if (encoder == NULL) return;
  columns_release(&encoder->columns);
  arrow_schema_release(&encoder->schema);
  free(encoder);
}

/* ---- CSV --------------------------------------------------------------------------- */

static enum status csv_header(struct encoder *encoder, struct pen *pen, struct error *error) {
  const struct layout *layout = encoder->columns.layout;
  char **names = NULL;
  enum status status = encode_names_new(layout, &names, error);
  for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++) {
    if (i > 0) status = pen_bytes(pen, ",", 1, error);
    if (status == STATUS_OK) status = pen_csv(pen, names[i], (int64_t)strlen(names[i]), error);
  }
  encode_names_free(names, layout->child_count);
  return status == STATUS_OK ? pen_bytes(pen, "\r\n", 2, error) : status;
}

/* Row `index`, counted from where the columns begin. */
static enum status csv_row(struct encoder *encoder, int64_t index, struct pen *pen,
                           struct error *error) {
  const struct layout *layout = encoder->columns.layout;
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++) {
    if (i > 0) status = pen_bytes(pen, ",", 1, error);
    if (status == STATUS_OK)
      status = value_write(&encoder->columns, &layout->children[i], index, VALUE_CSV, pen, error);
  }
  return status == STATUS_OK ? pen_bytes(pen, "\r\n", 2, error) : status;
}

/* ---- JSON -------------------------------------------------------------------------- */

/* A row is the value of the struct that the whole batch is. */
static enum status json_row(struct encoder *encoder, int64_t index, struct pen *pen,
                            struct error *error) {
  enum status status = STATUS_OK;
  if (encoder->format == ENCODE_JSON)
    status = encoder->has_rows ? pen_bytes(pen, ",\n", 2, error) : pen_bytes(pen, "\n", 1, error);
  if (status == STATUS_OK)
    status = value_write(&encoder->columns, encoder->columns.layout, index, VALUE_JSON, pen, error);
  if (status == STATUS_OK && encoder->format == ENCODE_NDJSON)
    status = pen_bytes(pen, "\n", 1, error);
  encoder->has_rows = true;
  return status;
}

/* ---- all formats ------------------------------------------------------------------- */

enum status encoder_begin(struct encoder *encoder, struct buffer *out, struct error *error) {
  struct pen pen;
  int64_t start_bytes = out->size_bytes;
  enum status status = STATUS_OK;
  pen_open(&pen, out, encoder->budget);
  if (encoder->format == ENCODE_CSV) status = csv_header(encoder, &pen, error);
  if (encoder->format == ENCODE_JSON) status = pen_bytes(&pen, "[", 1, error);
  pen_close(&pen);
  if (status != STATUS_OK) out->size_bytes = start_bytes;
  return status;
}

enum status encoder_batch(struct encoder *encoder, const struct ArrowArray *batch,
                          struct buffer *out, struct error *error) {
  struct pen pen;
  int64_t start_bytes = out->size_bytes;
  bool had_rows = encoder->has_rows;
  enum status status = columns_bind(&encoder->columns, batch, error);
  if (status != STATUS_OK) return status;
  pen_open(&pen, out, encoder->budget);
  for (int64_t i = 0; i < batch->length && status == STATUS_OK; i++) {
    if (encoder->format == ENCODE_CSV)
      status = csv_row(encoder, batch->offset + i, &pen, error);
    else
      status = json_row(encoder, i, &pen, error);
  }
  pen_close(&pen);
  if (status != STATUS_OK) {
    out->size_bytes = start_bytes;
    encoder->has_rows = had_rows;
  }
  return status;
}

enum status encoder_end(struct encoder *encoder, struct buffer *out, struct error *error) {
  if (encoder->format != ENCODE_JSON) return STATUS_OK;
  struct pen pen;
  pen_open(&pen, out, encoder->budget);
  enum status status =
      encoder->has_rows ? pen_bytes(&pen, "\n]\n", 3, error) : pen_bytes(&pen, "]\n", 2, error);
  pen_close(&pen);
  return status;
}
