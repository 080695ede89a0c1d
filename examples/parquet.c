/* Writes any Arrow stream or file as a Parquet file, and says what each column takes.
 *
 * cc examples/parquet.c -o parquet $(pkg-config --cflags --libs arrowport)
 * ./parquet tests/data/flights/flights-200k.arrow flights.parquet */
#include <arrowport/ipc.h>
#include <arrowport/parquet.h>
#include <inttypes.h>
#include <stdio.h>

/* All batches of `reader` into the file, which is there once it is whole. */
static enum arrowport_status convert(struct arrowport_reader *reader, const char *path,
                                     struct arrowport_error *error) {
  struct arrowport_parquet_writer_options options = {
      .struct_size = sizeof options, .compression = "zstd", .is_checked = true};
  struct arrowport_parquet_writer *writer = NULL;
  struct ArrowArrayStream stream;
  struct ArrowSchema schema;
  enum arrowport_status status = arrowport_reader_schema(reader, &schema, error);
  if (status == ARROWPORT_OK) {
    status = arrowport_parquet_writer_open_path(&schema, path, &options, &writer, error);
    schema.release(&schema);
  }
  if (status != ARROWPORT_OK) {
    arrowport_reader_close(reader);
    return status;
  }
  arrowport_reader_export(reader, &stream, error); /* the reader is closed with it */
  status = arrowport_parquet_writer_add_stream(writer, &stream, error);
  if (status == ARROWPORT_OK) status = arrowport_parquet_writer_finish(writer, error);
  int32_t columns = status == ARROWPORT_OK ? arrowport_parquet_writer_column_count(writer) : 0;
  for (int32_t i = 0; i < columns; i++) {
    struct arrowport_parquet_column column = {.struct_size = sizeof column};
    if (arrowport_parquet_writer_column(writer, i, &column, error) == ARROWPORT_OK)
      printf("%s: %s, %" PRId64 " values, %" PRId64 " nulls, %" PRId64 " bytes\n", column.path,
             column.type, column.values, column.nulls, column.compressed_bytes);
  }
  arrowport_parquet_writer_close(writer);
  return status;
}

int main(int count, char **arguments) {
  struct arrowport_error error = {"two paths are wanted: FROM TO"};
  struct arrowport_reader *reader = NULL;
  enum arrowport_status status = ARROWPORT_INVALID;
  if (count == 3) status = arrowport_reader_open_path(arguments[1], NULL, &reader, &error);
  if (status == ARROWPORT_OK) status = convert(reader, arguments[2], &error);
  if (status != ARROWPORT_OK) fprintf(stderr, "%s\n", error.text);
  return status == ARROWPORT_OK ? 0 : 1;
}
