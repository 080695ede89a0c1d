/* The Arrow schema as text in the file's metadata, as Arrow's own libraries put it there.
 *
 * Of run-end encoded fields it says the type of the values, which is what the file holds: no reader makes
 * runs of it again, and some read nothing of a file that says so. */
#include <stdlib.h>
#include <string.h>

#include "arrow/ipc.h"
#include "base/base64.h"
#include "parquet/schema.h"

/* ---- runs ------------------------------------------------------------------------------- */

static bool is_runs(const struct ArrowSchema *schema) {
  return schema->format != NULL && strcmp(schema->format, "+r") == 0 && schema->n_children == 2;
}

static bool has_runs(const struct ArrowSchema *schema, int depth) {
  if (is_runs(schema)) return true;
  if (depth > ARROW_DEPTH_MAX) return false; /* the writer refuses it */
  for (int64_t i = 0; i < schema->n_children; i++)
    if (has_runs(schema->children[i], depth + 1)) return true;
  return schema->dictionary != NULL && has_runs(schema->dictionary, depth + 1);
}

/* The field gets the type of its values; name, nullability and, if it has any, metadata are its own. */
static enum status take_values(struct ArrowSchema *schema, struct error *error) {
  struct ArrowSchema *values = schema->children[1];
  struct ArrowSchema made = {.release = NULL};
  enum status status = arrow_schema_init(&made, values->format,
                                         schema->name == NULL ? "" : schema->name, true, 0, error);
  if (status != STATUS_OK) return status;
  made.flags = (schema->flags & ARROW_FLAG_NULLABLE) | (values->flags & ~ARROW_FLAG_NULLABLE);
  struct ArrowSchema *told = schema->metadata != NULL ? schema : values;
  made.metadata = told->metadata;
  told->metadata = NULL;
  made.children = values->children;
  made.n_children = values->n_children;
  made.dictionary = values->dictionary;
  values->children = NULL;
  values->n_children = 0;
  values->dictionary = NULL;
  arrow_schema_release(schema);
  arrow_schema_move(&made, schema);
  return STATUS_OK;
}

/* `schema` is a copy of ours, nested no deeper than ARROW_DEPTH_MAX. */
static enum status drop_runs(struct ArrowSchema *schema, struct error *error) {
  enum status status = STATUS_OK;
  while (status == STATUS_OK && is_runs(schema)) status = take_values(schema, error);
  for (int64_t i = 0; i < schema->n_children && status == STATUS_OK; i++)
    status = drop_runs(schema->children[i], error);
  if (status == STATUS_OK && schema->dictionary != NULL)
    status = drop_runs(schema->dictionary, error);
  return status;
}

/* ---- the text --------------------------------------------------------------------------- */

enum status parquet_arrow_schema(const struct ArrowSchema *arrow, struct budget *budget,
                                 char **text, struct error *error) {
  struct ipc_writer *writer = NULL;
  struct buffer message = BUFFER_EMPTY;
  struct ArrowSchema copy = {.release = NULL};
  char *made = NULL;
  enum status status = STATUS_OK;
  *text = NULL;
  if (has_runs(arrow, 0)) {
    status = arrow_schema_copy(arrow, &copy, error);
    if (status == STATUS_OK) status = drop_runs(&copy, error);
    if (status != STATUS_OK) goto done;
    arrow = &copy;
  }
  status = ipc_writer_new(arrow, NULL, budget, &writer, error);
  if (status == STATUS_OK) status = ipc_writer_schema(writer, &message, error);
  if (status != STATUS_OK) goto done;
  size_t room = base64_text_bytes((size_t)message.size_bytes);
  made = malloc(room + 1);
  if (made == NULL) {
    status = error_set(error, STATUS_NOMEM, "no memory for the text of a schema");
    goto done;
  }
  base64_encode(message.data, (size_t)message.size_bytes, made);
  made[room] = '\0';
  *text = made;
done:
  arrow_schema_release(&copy);
  buffer_release(&message);
  ipc_writer_free(writer);
  return status;
}
