/* The readers of include/arrowport/ipc.h: sources, each with a budget of its own.
 *
 * A reader is a source itself, over the one that it opened, so that it can be exported as any
 * source can. */
#include "arrowport/ipc.h"

#include <stdlib.h>

#include "arrow/schema.h"
#include "source/public.h"
#include "source/source.h"

struct arrowport_reader {
  struct source source;
  struct source *inner;
  struct budget *budget;
  arrowport_read read;
  void *context;
};

/* ---- a source over a source ------------------------------------------------------------------ */

static void reader_close(struct source *source) {
  struct arrowport_reader *reader = (struct arrowport_reader *)source;
  source_close(reader->inner);
  public_budget_close(reader->budget);
  free(reader);
}

static const struct ArrowSchema *reader_schema(struct source *source) {
  return source_schema(((struct arrowport_reader *)source)->inner);
}

static enum status reader_next(struct source *source, struct ArrowArray *batch,
                               struct error *error) {
  return source_next(((struct arrowport_reader *)source)->inner, batch, error);
}

static const char *reader_metadata(struct source *source) {
  return source_metadata(((struct arrowport_reader *)source)->inner);
}

static const struct source_type type = {
    .name = "reader",
    .summary = "a reader of the public API",
    .close = reader_close,
    .schema = reader_schema,
    .next = reader_next,
    .metadata = reader_metadata,
};

/* ---- opening --------------------------------------------------------------------------------- */

static enum status set_limit(int64_t given, const char *name, int64_t *limit, struct error *error) {
  if (given < 0)
    return error_set(error, STATUS_INVALID, "%s is %lld, less than nothing", name,
                     (long long)given);
  if (given > 0) *limit = given;
  return STATUS_OK;
}

static enum status read_options(const struct arrowport_reader_options *given,
                                struct source_options *options, int64_t *memory_bytes,
                                struct error *error) {
  struct arrowport_reader_options own;
  enum status status = public_options(given, "arrowport_reader_open", &own, sizeof own, error);
  if (status != STATUS_OK) return status;
  *options = SOURCE_OPTIONS_DEFAULT(NULL);
  options->eos_optional = own.eos_optional;
  struct ipc_limits *limits = &options->limits;
  status =
      set_limit(own.metadata_bytes_max, "metadata_bytes_max", &limits->metadata_bytes_max, error);
  if (status == STATUS_OK)
    status = set_limit(own.body_bytes_max, "body_bytes_max", &limits->body_bytes_max, error);
  if (status == STATUS_OK)
    status =
        set_limit(own.decoded_bytes_max, "decoded_bytes_max", &limits->decoded_bytes_max, error);
  if (status == STATUS_OK) status = public_memory(own.memory_bytes_max, memory_bytes, error);
  if (status == STATUS_OK) status = public_threads(own.threads, &options->threads, error);
  return status;
}

/* A reader that has its budget, and has not opened anything yet. */
static enum status reader_new(const struct arrowport_reader_options *given,
                              struct arrowport_reader **reader, struct source_options *options,
                              struct error *error) {
  int64_t memory_bytes = 0;
  *reader = NULL;
  enum status status = read_options(given, options, &memory_bytes, error);
  if (status != STATUS_OK) return status;
  struct arrowport_reader *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a reader");
  made->source.type = &type;
  status = public_budget_new(memory_bytes, &made->budget, error);
  options->budget = made->budget;
  if (status == STATUS_OK)
    *reader = made;
  else
    reader_close(&made->source);
  return status;
}

static enum arrowport_status opened(enum status status, const struct error *why,
                                    struct arrowport_reader *made, struct arrowport_reader **reader,
                                    struct arrowport_error *error) {
  if (status != STATUS_OK) {
    arrowport_reader_close(made);
    made = NULL;
  }
  if (reader != NULL) *reader = made;
  return public_status(status, why, error);
}

static enum status read_callback(void *context, void *data, int64_t room_bytes, int64_t *bytes,
                                 struct error *error) {
  struct arrowport_reader *reader = context;
  *bytes = reader->read(reader->context, data, room_bytes);
  if (*bytes < 0) return error_set(error, STATUS_IO, "reading failed");
  if (*bytes > room_bytes)
    return error_set(error, STATUS_IO, "reading gave %lld bytes, of at most %lld",
                     (long long)*bytes, (long long)room_bytes);
  return STATUS_OK;
}

enum arrowport_status arrowport_reader_open(arrowport_read read, void *context,
                                            const struct arrowport_reader_options *options,
                                            struct arrowport_reader **reader,
                                            struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct arrowport_reader *made = NULL;
  struct source_options own;
  enum status status = public_need(reader, "reader", &why);
  if (status == STATUS_OK && read == NULL) status = error_set(&why, STATUS_INVALID, "read is NULL");
  if (status == STATUS_OK) status = reader_new(options, &made, &own, &why);
  if (made != NULL) {
    made->read = read;
    made->context = context;
    struct source_bytes bytes = {.read = read_callback, .context = made};
    status = source_open_bytes(&bytes, NULL, &own, &made->inner, &why);
  }
  return opened(status, &why, made, reader, error);
}

enum arrowport_status arrowport_reader_open_path(const char *path,
                                                 const struct arrowport_reader_options *options,
                                                 struct arrowport_reader **reader,
                                                 struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct arrowport_reader *made = NULL;
  struct source_options own;
  enum status status = public_need(reader, "reader", &why);
  if (status == STATUS_OK) status = public_need(path, "path", &why);
  if (status == STATUS_OK) status = reader_new(options, &made, &own, &why);
  if (status == STATUS_OK) status = source_open_path_with(path, &own, &made->inner, &why);
  return opened(status, &why, made, reader, error);
}

static void release_nothing(void *context) { (void)context; }

enum arrowport_status arrowport_reader_open_memory(const void *data, int64_t bytes,
                                                   void (*release)(void *context), void *context,
                                                   const struct arrowport_reader_options *options,
                                                   struct arrowport_reader **reader,
                                                   struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct arrowport_reader *made = NULL;
  struct source_options own;
  struct buffer buffer = BUFFER_EMPTY;
  if (release == NULL) release = release_nothing;
  enum status status = public_need(reader, "reader", &why);
  if (status == STATUS_OK && bytes != 0) status = public_need(data, "data", &why);
  if (status == STATUS_OK && bytes < 0)
    status =
        error_set(&why, STATUS_INVALID, "data has %lld bytes, less than none", (long long)bytes);
  if (status == STATUS_OK) status = reader_new(options, &made, &own, &why);
  if (status == STATUS_OK) status = buffer_wrap(&buffer, data, bytes, release, context, &why);
  if (status == STATUS_OK)
    status = source_open_buffer(buffer, &own, &made->inner, &why);
  else
    release(context); /* nobody else will */
  return opened(status, &why, made, reader, error);
}

/* ---- reading --------------------------------------------------------------------------------- */

enum arrowport_status arrowport_reader_schema(struct arrowport_reader *reader,
                                              struct ArrowSchema *schema,
                                              struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = public_need(reader, "reader", &why);
  if (status == STATUS_OK) status = public_need(schema, "schema", &why);
  if (status == STATUS_OK) status = arrow_schema_copy(source_schema(&reader->source), schema, &why);
  return public_status(status, &why, error);
}

enum arrowport_status arrowport_reader_next(struct arrowport_reader *reader,
                                            struct ArrowArray *batch,
                                            struct arrowport_error *error) {
  struct error why; /* 1 KiB, which is not cleared for each batch */
  why.status = STATUS_OK;
  enum status status = public_need(reader, "reader", &why);
  if (status == STATUS_OK) status = public_need(batch, "batch", &why);
  if (status == STATUS_OK) status = source_next(&reader->source, batch, &why);
  return public_status(status, &why, error);
}

const char *arrowport_reader_metadata(const struct arrowport_reader *reader) {
  return reader == NULL ? NULL : source_metadata(reader->inner);
}

enum arrowport_status arrowport_reader_export(struct arrowport_reader *reader,
                                              struct ArrowArrayStream *stream,
                                              struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = public_need(reader, "reader", &why);
  if (status == STATUS_OK) status = public_need(stream, "stream", &why);
  if (status == STATUS_OK) source_export(&reader->source, stream);
  return public_status(status, &why, error);
}

void arrowport_reader_close(struct arrowport_reader *reader) {
  if (reader != NULL) source_close(&reader->source);
}
