/* The writers of include/arrowport/ipc.h: the codec's, with a place for its bytes to go.
 *
 * Invariant: between two calls `out` is empty. Its memory is kept, for batches of one stream
 * are much of one size, unless it is what the next one lacks. */
#include "arrowport/ipc.h"

#include <stdlib.h>

#include "arrow/array.h"
#include "arrow/ipc.h"
#include "arrow/schema.h"
#include "base/workers.h"
#include "source/private.h"
#include "source/public.h"

_Static_assert((int)ARROWPORT_IPC_STREAM == (int)IPC_FORMAT_STREAM, "formats differ");
_Static_assert((int)ARROWPORT_IPC_FILE == (int)IPC_FORMAT_FILE, "formats differ");
_Static_assert((int)ARROWPORT_UNCOMPRESSED == (int)IPC_COMPRESSION_NONE, "methods differ");
_Static_assert((int)ARROWPORT_LZ4 == (int)IPC_COMPRESSION_LZ4, "methods differ");
_Static_assert((int)ARROWPORT_ZSTD == (int)IPC_COMPRESSION_ZSTD, "methods differ");

enum { LZ4_LEVEL_MAX = 12, ZSTD_LEVEL_MAX = 22 };

struct arrowport_writer {
  struct ArrowSchema schema;
  struct budget budget;
  struct workers *workers;
  struct ipc_writer *writer;
  struct buffer out;
  arrowport_write write;
  void *context;
  bool is_finished;
  bool has_failed; /* bytes were lost */
};

/* ---- opening --------------------------------------------------------------------------------- */

static enum status check_options(const struct arrowport_writer_options *options,
                                 struct error *error) {
  int level_max = options->compression == ARROWPORT_LZ4 ? LZ4_LEVEL_MAX : ZSTD_LEVEL_MAX;
  if (options->format != ARROWPORT_IPC_STREAM && options->format != ARROWPORT_IPC_FILE)
    return error_set(error, STATUS_INVALID, "format %d is none", (int)options->format);
  if (options->compression != ARROWPORT_UNCOMPRESSED && options->compression != ARROWPORT_LZ4 &&
      options->compression != ARROWPORT_ZSTD)
    return error_set(error, STATUS_INVALID, "compression %d is none", (int)options->compression);
  if (options->compression != ARROWPORT_UNCOMPRESSED &&
      (options->level < 0 || options->level > level_max))
    return error_set(error, STATUS_INVALID, "level %d is none; there are 1 to %d, and 0",
                     options->level, level_max);
  return STATUS_OK;
}

static enum status start(struct arrowport_writer *made, const struct ArrowSchema *schema,
                         const struct arrowport_writer_options *options, struct error *error) {
  int threads = 1;
  enum status status = check_options(options, error);
  if (status == STATUS_OK) status = check_foreign_schema(schema, error);
  if (status == STATUS_OK) status = arrow_schema_copy(schema, &made->schema, error);
  if (status == STATUS_OK)
    status = public_memory(options->memory_bytes_max, &made->budget.limit_bytes, error);
  if (status == STATUS_OK) status = public_threads(options->threads, &threads, error);
  if (status == STATUS_OK && threads > 1 && options->compression != ARROWPORT_UNCOMPRESSED)
    status = workers_new(threads - 1, &made->workers, error);
  struct ipc_writer_options own = {.compression = (enum ipc_compression)options->compression,
                                   .level = options->level,
                                   .format = (enum ipc_format)options->format,
                                   .dictionary_deltas = options->dictionary_deltas,
                                   .workers = made->workers};
  if (status == STATUS_OK)
    status = ipc_writer_new(&made->schema, &own, &made->budget, &made->writer, error);
  if (status == STATUS_OK) status = ipc_writer_schema(made->writer, &made->out, error);
  return status;
}

/* Hands on what there is, and keeps the room. */
static enum status flush(struct arrowport_writer *writer, struct error *error) {
  int64_t bytes = writer->out.size_bytes;
  writer->out.size_bytes = 0;
  if (bytes == 0 || writer->write(writer->context, writer->out.data, bytes) == 0) return STATUS_OK;
  writer->has_failed = true;
  return error_set(error, STATUS_IO, "writing failed");
}

enum arrowport_status arrowport_writer_open(const struct ArrowSchema *schema, arrowport_write write,
                                            void *context,
                                            const struct arrowport_writer_options *options,
                                            struct arrowport_writer **writer,
                                            struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct arrowport_writer_options own;
  struct arrowport_writer *made = NULL;
  enum status status = public_need(writer, "writer", &why);
  if (status == STATUS_OK) status = public_need(schema, "schema", &why);
  if (status == STATUS_OK && write == NULL)
    status = error_set(&why, STATUS_INVALID, "write is NULL");
  if (status == STATUS_OK)
    status = public_options(options, "arrowport_writer_open", &own, sizeof own, &why);
  if (status == STATUS_OK && (made = calloc(1, sizeof *made)) == NULL)
    status = error_set(&why, STATUS_NOMEM, "no memory for a writer");
  if (made != NULL) {
    made->write = write;
    made->context = context;
    status = start(made, schema, &own, &why);
    if (status == STATUS_OK) status = flush(made, &why);
  }
  if (status != STATUS_OK) {
    arrowport_writer_close(made);
    made = NULL;
  }
  if (writer != NULL) *writer = made;
  return public_status(status, &why, error);
}

/* ---- writing --------------------------------------------------------------------------------- */

static enum status check_open(const struct arrowport_writer *writer, struct error *error) {
  enum status status = public_need(writer, "writer", error);
  if (status != STATUS_OK) return status;
  if (writer->has_failed)
    return error_set(error, STATUS_IO, "writing failed before: what was written is not whole");
  if (writer->is_finished)
    return error_set(error, STATUS_INVALID, "the writer has written the end");
  return STATUS_OK;
}

enum arrowport_status arrowport_writer_write(struct arrowport_writer *writer,
                                             const struct ArrowArray *batch,
                                             struct arrowport_error *error) {
  struct error why; /* 1 KiB, which is not cleared for each batch */
  why.status = STATUS_OK;
  enum status status = check_open(writer, &why);
  if (status == STATUS_OK) status = public_need(batch, "batch", &why);
  if (status == STATUS_OK && batch->release == NULL)
    status = error_set(&why, STATUS_INVALID, "the batch holds nothing: it was released, or moved");
  if (status == STATUS_OK)
    status = arrow_array_check(&writer->schema, batch, ARRAY_CHECK_SHAPE, &why);
  if (status == STATUS_OK) status = ipc_writer_batch(writer->writer, batch, &writer->out, &why);
  if (status == STATUS_BUDGET && writer->out.capacity_bytes > 0) {
    buffer_release(&writer->out);
    status = ipc_writer_batch(writer->writer, batch, &writer->out, &why);
  }
  if (status == STATUS_OK) status = flush(writer, &why);
  return public_status(status, &why, error);
}

enum arrowport_status arrowport_writer_metadata(struct arrowport_writer *writer,
                                                const char *metadata,
                                                struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = check_open(writer, &why);
  if (status == STATUS_OK) status = ipc_writer_metadata(writer->writer, metadata, &why);
  return public_status(status, &why, error);
}

enum arrowport_status arrowport_writer_finish(struct arrowport_writer *writer,
                                              struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = check_open(writer, &why);
  if (status == STATUS_OK) status = ipc_writer_end(writer->writer, &writer->out, &why);
  if (status == STATUS_OK) status = flush(writer, &why);
  if (status == STATUS_OK) writer->is_finished = true;
  return public_status(status, &why, error);
}

void arrowport_writer_close(struct arrowport_writer *writer) {
  if (writer == NULL) return;
  ipc_writer_free(writer->writer);
  workers_free(writer->workers);
  buffer_release(&writer->out);
  arrow_schema_release(&writer->schema);
  free(writer);
}
