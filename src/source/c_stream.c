/* The Arrow C stream interface, both ways: what another library in this process hands in as a
 * source, and a source as what another library reads.
 *
 * What is handed in is its maker's word, and its values are not read here. But what can be
 * told from the structs alone is: a stream that gives nonsense is refused rather than
 * followed. Only a call that succeeds hands something over, so only that is released. */
#include "source/source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/array.h"
#include "arrow/bitmap.h"
#include "arrow/schema.h"
#include "source/private.h"

/* ---- in --------------------------------------------------------------------------------------- */

struct c_stream {
  struct source source;
  struct ArrowArrayStream *stream; /* the caller's */
  struct ArrowSchema schema;
  bool is_over; /* nobody says what happens to who asks a stream again after its end */
};

/* What the stream says of its failure, by its errno-like code. */
static enum status failed(struct ArrowArrayStream *stream, int code, struct error *error) {
  const char *said = stream->get_last_error == NULL ? NULL : stream->get_last_error(stream);
  enum status status = code == ENOMEM   ? STATUS_NOMEM
                       : code == EINVAL ? STATUS_INVALID
                       : code == ENOSYS ? STATUS_UNSUPPORTED
                                        : STATUS_IO;
  return error_set(error, status, "the stream failed: %s", said != NULL ? said : strerror(code));
}

static enum status check_field(const struct ArrowSchema *field, int depth, int64_t *fields,
                               struct error *error) {
  if (depth > ARROW_DEPTH_MAX)
    return error_set(error, STATUS_INVALID, "the schema is nested deeper than %d", ARROW_DEPTH_MAX);
  if (field == NULL || field->release == NULL || field->format == NULL)
    return error_set(error, STATUS_INVALID, "the schema has a field that holds nothing");
  const char *name = field->name == NULL ? "" : field->name;
  struct arrow_type type;
  enum status status = arrow_type_parse(field->format, &type, error);
  if (status != STATUS_OK) {
    error_at(error, "field \"%s\"", name);
    return status;
  }
  if (field->n_children < 0 || field->n_children > ARROW_FIELDS_MAX - *fields)
    return error_set(error, STATUS_INVALID,
                     "field \"%s\" has %" PRId64 " children; a schema has "
                     "at most %d fields",
                     name, field->n_children, ARROW_FIELDS_MAX);
  if (field->n_children > 0 && field->children == NULL)
    return error_set(error, STATUS_INVALID, "field \"%s\" lacks its list of children", name);
  *fields += field->n_children;
  for (int64_t i = 0; i < field->n_children && status == STATUS_OK; i++)
    status = check_field(field->children[i], depth + 1, fields, error);
  if (status == STATUS_OK && field->dictionary != NULL)
    status = check_field(field->dictionary, depth + 1, fields, error);
  return status;
}

enum status check_foreign_schema(const struct ArrowSchema *schema, struct error *error) {
  int64_t fields = 0;
  return check_field(schema, 0, &fields, error);
}

static enum status check_schema(const struct ArrowSchema *schema, struct error *error) {
  enum status status = check_foreign_schema(schema, error);
  if (status == STATUS_OK && strcmp(schema->format, "+s") != 0)
    status = error_set(error, STATUS_INVALID,
                       "the stream's schema is '%s'; a stream of record batches has a struct",
                       schema->format);
  return status;
}

/* Columns have nulls, rows have not. */
static enum status check_rows(const struct ArrowArray *batch, struct error *error) {
  const uint8_t *bits = batch->buffers[0];
  if (bits == NULL || batch->null_count == 0 ||
      bitmap_count(bits, batch->offset, batch->length) == batch->length)
    return STATUS_OK;
  return error_set(error, STATUS_INVALID, "the batch has rows that are null as a whole");
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
  if (made->is_over) return STATUS_OK;
  struct ArrowArray given = {.release = NULL};
  int code = made->stream->get_next(made->stream, &given);
  if (code != 0) return failed(made->stream, code, error);
  made->is_over = given.release == NULL;
  if (made->is_over) return STATUS_OK;
  enum status status = arrow_array_check(&made->schema, &given, ARRAY_CHECK_SHAPE, error);
  if (status == STATUS_OK) status = check_rows(&given, error);
  if (status == STATUS_OK) {
    arrow_array_move(&given, batch);
  } else {
    error_at(error, "the stream gave a batch that is none");
    arrow_array_release(&given);
  }
  return status;
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
  if (stream->release == NULL || stream->get_schema == NULL || stream->get_next == NULL)
    return error_set(error, STATUS_INVALID, "the stream holds nothing: it was released, or moved");
  struct c_stream *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a stream");
  made->source.type = &type;
  made->stream = stream;
  struct ArrowSchema given = {.release = NULL};
  int code = stream->get_schema(stream, &given);
  enum status status = STATUS_OK;
  if (code == 0) {
    made->schema = given; /* and is released with the source, whatever it is */
    status = check_schema(&made->schema, error);
  } else {
    status = failed(stream, code, error);
  }
  if (status == STATUS_OK)
    *source = &made->source;
  else
    c_stream_close(&made->source);
  return status;
}

/* ---- out -------------------------------------------------------------------------------------- */

/* "The error code should be interpreted like errno"; that is all that the interface says. */
static int errno_of(enum status status) {
  switch (status) {
  case STATUS_OK: return 0;
  case STATUS_INVALID:
  case STATUS_SCHEMA:
  case STATUS_CONFLICT: return EINVAL;
  case STATUS_NOT_FOUND: return ENOENT;
  case STATUS_DENIED:
  case STATUS_UNAUTHENTICATED: return EACCES;
  case STATUS_BUDGET:
  case STATUS_NOMEM: return ENOMEM;
  case STATUS_UNAVAILABLE: return EAGAIN;
  case STATUS_UNSUPPORTED: return ENOSYS;
  case STATUS_TOO_LARGE: return E2BIG;
  case STATUS_TIMEOUT: return ETIMEDOUT;
  case STATUS_CANCELLED: return ECANCELED;
  case STATUS_UNKNOWN:
  case STATUS_IO:
  case STATUS_INTERNAL: return EIO;
  }
  return EIO;
}

/* A failure of source_next stays what the source last said. */
static int export_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out) {
  struct source *source = stream->private_data;
  struct error error;
  enum status status = arrow_schema_copy(source_schema(source), out, &error);
  if (status != STATUS_OK && !source->has_failed) source->error = error;
  return errno_of(status);
}

static int export_next(struct ArrowArrayStream *stream, struct ArrowArray *out) {
  return errno_of(source_next(stream->private_data, out, NULL));
}

static const char *export_last_error(struct ArrowArrayStream *stream) {
  const struct source *source = stream->private_data;
  return source->error.status == STATUS_OK ? NULL : source->error.text;
}

static void export_release(struct ArrowArrayStream *stream) {
  source_close(stream->private_data);
  stream->private_data = NULL;
  stream->release = NULL;
}

void source_export(struct source *source, struct ArrowArrayStream *stream) {
  *stream = (struct ArrowArrayStream){.get_schema = export_schema,
                                      .get_next = export_next,
                                      .get_last_error = export_last_error,
                                      .release = export_release,
                                      .private_data = source};
}
