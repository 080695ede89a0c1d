/* Writes an Arrow IPC stream whose two columns are views, which our reader does not
 * take yet: 100 rows and their last 58, of text of 0 to 24 bytes, each fifth null. */
#include <stdio.h>
#include <string.h>

#include "arrow/build.h"
#include "arrow/ipc.h"

enum { ROWS = 100, TAIL_ROWS = 58, BYTES_MAX = 24 };

static enum status make_schema(struct ArrowSchema *schema, struct error *error) {
  enum status status = arrow_schema_init(schema, "+s", "", false, 2, error);
  if (status == STATUS_OK)
    status = arrow_schema_init(schema->children[0], "vu", "text", true, 0, error);
  if (status == STATUS_OK)
    status = arrow_schema_init(schema->children[1], "vz", "binary", true, 0, error);
  return status;
}

static enum status add_row(struct build *build, int row, struct error *error) {
  char text[BYTES_MAX + 1];
  snprintf(text, sizeof text, "%024d", row);
  int bytes = row % (BYTES_MAX + 1);
  for (int i = 0; i < 2; i++) {
    struct build *column = build_child(build, i);
    enum status status = row % 5 == 0 ? build_null(column, error)
                                      : build_bytes(column, text + BYTES_MAX - bytes, bytes, error);
    if (status != STATUS_OK) return status;
  }
  return build_slot(build, error);
}

static enum status write_stream(const struct ArrowSchema *schema, struct build *build,
                                struct budget *budget, struct buffer *out, struct error *error) {
  struct ArrowArray batch = {0};
  struct ipc_writer *writer = NULL;
  enum status status = build_finish(build, &batch, error);
  if (status == STATUS_OK) status = ipc_writer_new(schema, NULL, budget, &writer, error);
  if (status == STATUS_OK) status = ipc_writer_schema(writer, out, error);
  if (status == STATUS_OK) status = ipc_writer_batch(writer, &batch, out, error);
  batch.offset = ROWS - TAIL_ROWS;
  batch.length = TAIL_ROWS;
  if (status == STATUS_OK) status = ipc_writer_batch(writer, &batch, out, error);
  if (status == STATUS_OK) status = ipc_writer_end(writer, out, error);
  ipc_writer_free(writer);
  arrow_array_release(&batch);
  return status;
}

int main(void) {
  struct budget budget = {.limit_bytes = 1 << 20};
  struct ArrowSchema schema = {0};
  struct build *build = NULL;
  struct buffer out = BUFFER_EMPTY;
  struct error error = {0};
  enum status status = make_schema(&schema, &error);
  if (status == STATUS_OK) status = build_new(&schema, &budget, &build, &error);
  for (int row = 0; row < ROWS && status == STATUS_OK; row++) status = add_row(build, row, &error);
  if (status == STATUS_OK) status = write_stream(&schema, build, &budget, &out, &error);
  if (status == STATUS_OK) fwrite(out.data, 1, (size_t)out.size_bytes, stdout);
  build_free(build);
  arrow_schema_release(&schema);
  buffer_release(&out);
  if (status != STATUS_OK) fprintf(stderr, "%s: %s\n", status_name(status), error.text);
  return status_exit(status);
}
