/* The Arrow C stream interface as a source: what another library in this process
 * hands in. Its arrays are its own word; they are not checked as bytes from a file
 * or a peer are. */
#include "source/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct c_stream {
  struct source source;
  struct ArrowArrayStream *stream; /* the caller's */
  struct ArrowSchema schema;
};

/* What the stream says of its failure, by its errno-like code. */
static enum status failed(struct ArrowArrayStream *stream, int code, struct error *error) {
  const char *said = stream->get_last_error(stream);
  enum status status = code == ENOMEM   ? STATUS_NOMEM
                       : code == EINVAL ? STATUS_INVALID
                       : code == ENOSYS ? STATUS_UNSUPPORTED
                                        : STATUS_IO;
  return error_set(error, status, "the stream failed: %s", said != NULL ? said : strerror(code));
}

static void c_stream_close(struct source *source) {
  struct c_stream *made = (struct c_stream *)source;
  arrow_schema_release(&made->schema);
  free(made);
}

static const struct ArrowSchema *c_stream_schema(struct source *source) {
  return &((struct c_stream *)source)->schema;
}

static enum status c_stream_next(struct source *source, struct ArrowArray *batch,
                                 struct error *error) {
  struct c_stream *made = (struct c_stream *)source;
  batch->release = NULL;
  int code = made->stream->get_next(made->stream, batch);
  return code == 0 ? STATUS_OK : failed(made->stream, code, error);
}

static const struct source_type type = {
    .name = "c_stream",
    .summary = "the Arrow C stream interface of a library in the same process",
    .close = c_stream_close,
    .schema = c_stream_schema,
    .next = c_stream_next,
};

enum status source_open_c_stream(struct ArrowArrayStream *stream, struct source **source,
                                 struct error *error) {
  *source = NULL;
  struct c_stream *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a stream");
  made->source.type = &type;
  made->stream = stream;
  int code = stream->get_schema(stream, &made->schema);
  enum status status = code == 0 ? STATUS_OK : failed(stream, code, error);
  if (status == STATUS_OK && strcmp(made->schema.format, "+s") != 0)
    status = error_set(error, STATUS_INVALID,
                       "the stream's schema is '%s'; a stream of record batches has a struct",
                       made->schema.format);
  if (status != STATUS_OK) {
    c_stream_close(&made->source);
    return status;
  }
  *source = &made->source;
  return STATUS_OK;
}
