/* Reads any Arrow stream or file, says what is in it, and writes it again as an Arrow file
 * compressed with ZSTD.
 *
 * cc examples/ipc.c -o ipc $(pkg-config --cflags --libs arrowport)
 * ./ipc tests/data/flights/flights-200k.arrow flights.arrow */
#include <arrowport/ipc.h>
#include <inttypes.h>
#include <stdio.h>

static int write_file(void *file, const void *data, int64_t bytes) {
  return fwrite(data, 1, (size_t)bytes, file) != (size_t)bytes;
}

/* All batches of `reader` into `file`; the first failure ends it. */
static enum arrowport_status copy(struct arrowport_reader *reader, FILE *file,
                                  struct arrowport_error *error) {
  struct arrowport_writer_options options = {
      .struct_size = sizeof options, .format = ARROWPORT_IPC_FILE, .compression = ARROWPORT_ZSTD};
  struct arrowport_writer *writer = NULL;
  struct ArrowArray batch = {.release = NULL};
  struct ArrowSchema schema;
  enum arrowport_status status = arrowport_reader_schema(reader, &schema, error);
  if (status != ARROWPORT_OK) return status;
  for (int64_t i = 0; i < schema.n_children; i++)
    printf("%s: %s\n", schema.children[i]->name, schema.children[i]->format);
  status = arrowport_writer_open(&schema, write_file, file, &options, &writer, error);
  while (status == ARROWPORT_OK) {
    status = arrowport_reader_next(reader, &batch, error);
    if (status != ARROWPORT_OK || batch.release == NULL) break;
    printf("%" PRId64 " rows\n", batch.length);
    status = arrowport_writer_write(writer, &batch, error);
    batch.release(&batch);
  }
  if (status == ARROWPORT_OK) status = arrowport_writer_finish(writer, error);
  arrowport_writer_close(writer);
  schema.release(&schema);
  return status;
}

int main(int count, char **arguments) {
  struct arrowport_error error = {"two paths are wanted: FROM TO"};
  struct arrowport_reader *reader = NULL;
  enum arrowport_status status = ARROWPORT_INVALID;
  if (count == 3) status = arrowport_reader_open_path(arguments[1], NULL, &reader, &error);
  FILE *file = status == ARROWPORT_OK ? fopen(arguments[2], "wb") : NULL;
  if (file != NULL) status = copy(reader, file, &error);
  bool is_written = file != NULL && fclose(file) == 0;
  if (status != ARROWPORT_OK)
    fprintf(stderr, "%s\n", error.text);
  else if (!is_written)
    perror(arguments[2]);
  arrowport_reader_close(reader);
  return status == ARROWPORT_OK && is_written ? 0 : 1;
}
