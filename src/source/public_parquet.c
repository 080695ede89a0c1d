/* The writers of include/arrowport/parquet.h: the room's own, with a place for the bytes to go.
 *
 * Invariants:
 * 1. `staged` is the file's, and NULL where bytes are handed to the caller's function.
 * 2. `is_finished` means that the file is whole under its name: a finish that failed is repeated from the
 *    step that failed (`is_written`: the footer was). */
#include "arrowport/parquet.h"

#include <stdlib.h>
#include <string.h>

#include "arrow/schema.h"
#include "base/staged_file.h"
#include "base/workers.h"
#include "parquet/names.h"
#include "parquet/parquet.h"
#include "source/private.h"
#include "source/public.h"

struct arrowport_parquet_writer {
  struct ArrowSchema schema;
  struct budget budget;
  struct workers *workers;
  struct parquet_writer *writer;
  struct staged_file *staged;
  arrowport_parquet_write write;
  void *context;
  bool is_written, is_finished;
};

/* ---- options --------------------------------------------------------------------------------- */

static enum status set_number(int64_t given, const char *name, int64_t *number,
                              struct error *error) {
  if (given < 0)
    return error_set(error, STATUS_INVALID, "%s is %lld, less than nothing", name,
                     (long long)given);
  if (given > 0) *number = given;
  return STATUS_OK;
}

static enum status set_sizes(const struct arrowport_parquet_writer_options *given,
                             struct parquet_options *options, struct error *error) {
  enum status status =
      set_number(given->row_group_rows, "row_group_rows", &options->row_group_rows, error);
  if (status == STATUS_OK)
    status =
        set_number(given->row_group_bytes, "row_group_bytes", &options->row_group_bytes, error);
  if (status == STATUS_OK)
    status = set_number(given->page_values, "page_values", &options->page_values, error);
  if (status == STATUS_OK)
    status = set_number(given->page_bytes, "page_bytes", &options->page_bytes, error);
  if (status == STATUS_OK)
    status =
        set_number(given->bloom_bytes_max, "bloom_bytes_max", &options->bloom_bytes_max, error);
  if (given->dictionary_bytes_max != 0)
    options->dictionary_bytes_max =
        given->dictionary_bytes_max < 0 ? 0 : given->dictionary_bytes_max;
  return status;
}

static enum status set_codec(const struct arrowport_parquet_writer_options *given,
                             struct parquet_options *options, struct error *error) {
  enum { ZSTD_LEVEL_MAX = 22, GZIP_LEVEL_MAX = 9 };
  if (given->compression != NULL && !parquet_codec_parse(given->compression, &options->codec))
    return error_set(error, STATUS_INVALID,
                     "compression is '%.40s'; it must be zstd, snappy, lz4, gzip or none",
                     given->compression);
  int level_max = options->codec == PARQUET_ZSTD   ? ZSTD_LEVEL_MAX
                  : options->codec == PARQUET_GZIP ? GZIP_LEVEL_MAX
                                                   : 0;
  if (given->level < 0 || given->level > level_max)
    return error_set(error, STATUS_INVALID, "level %d is none of %s's; there are %s0", given->level,
                     parquet_codec_name(options->codec),
                     options->codec == PARQUET_ZSTD   ? "1 to 22, and "
                     : options->codec == PARQUET_GZIP ? "1 to 9, and "
                                                      : "no levels, only ");
  options->level = given->level;
  return STATUS_OK;
}

static enum status set_rest(const struct arrowport_parquet_writer_options *given,
                            struct parquet_options *options, struct error *error) {
  if (given->page_version < 0 || given->page_version > 2)
    return error_set(error, STATUS_INVALID, "page_version is %d; there are 1 and 2",
                     given->page_version);
  if (given->bound_bytes_max < 0 || given->bound_bytes_max > options->bound_bytes_max)
    return error_set(error, STATUS_INVALID, "bound_bytes_max is %d; it may be 1 to %d",
                     given->bound_bytes_max, (int)options->bound_bytes_max);
  if (!(given->bloom_false_positives >= 0 && given->bloom_false_positives < 1))
    return error_set(error, STATUS_INVALID,
                     "bloom_false_positives is %g; it is a share between 0 and 1",
                     given->bloom_false_positives);
  if (given->page_version > 0) options->page_version = given->page_version;
  if (given->bound_bytes_max > 0) options->bound_bytes_max = given->bound_bytes_max;
  if (given->bloom_false_positives > 0)
    options->bloom_false_positives = given->bloom_false_positives;
  options->compatible = given->compatible;
  options->always_compress = given->always_compress;
  options->no_checksums = given->no_checksums;
  options->no_statistics = given->no_statistics;
  options->no_page_index = given->no_page_index;
  options->no_arrow_schema = given->no_arrow_schema;
  options->is_checked = given->is_checked;
  return STATUS_OK;
}

/* The lists, in the room's own structs; they are needed until the writer is made. */
struct lists {
  struct parquet_column_options *columns;
  struct parquet_sort_column *sorting;
  struct parquet_metadata_pair *metadata;
};

static void lists_release(struct lists *lists) {
  free(lists->columns);
  free(lists->sorting);
  free(lists->metadata);
}

static enum status set_columns(const struct arrowport_parquet_writer_options *given,
                               struct lists *lists, struct error *error) {
  for (size_t i = 0; i < given->column_count; i++) {
    const struct arrowport_parquet_column_options *from = &given->columns[i];
    struct parquet_column_options *to = &lists->columns[i];
    if (from->path == NULL) return error_set(error, STATUS_INVALID, "columns[%zu] has no path", i);
    *to = (struct parquet_column_options){.path = from->path, .has_bloom = from->bloom};
    to->has_encoding = from->encoding != NULL;
    if (to->has_encoding && !encode_parse(from->encoding, &to->encoding))
      return error_set(
          error, STATUS_INVALID,
          "column '%.200s': there is no encoding '%.40s'; there are plain, dictionary, "
          "delta, delta_length, delta_bytes, split and rle",
          from->path, from->encoding);
  }
  return STATUS_OK;
}

static enum status set_lists(const struct arrowport_parquet_writer_options *given,
                             struct lists *lists, struct parquet_options *options,
                             struct error *error) {
  enum status status = STATUS_OK;
  if (given->column_count > 0) status = public_need(given->columns, "columns", error);
  if (status == STATUS_OK && given->sorting_count > 0)
    status = public_need(given->sorting, "sorting", error);
  if (status == STATUS_OK && given->metadata_count > 0)
    status = public_need(given->metadata, "metadata", error);
  if (status != STATUS_OK) return status;
  lists->columns = calloc(given->column_count + 1, sizeof lists->columns[0]);
  lists->sorting = calloc(given->sorting_count + 1, sizeof lists->sorting[0]);
  lists->metadata = calloc(given->metadata_count + 1, sizeof lists->metadata[0]);
  if (lists->columns == NULL || lists->sorting == NULL || lists->metadata == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for options");
  status = set_columns(given, lists, error);
  for (size_t i = 0; i < given->sorting_count && status == STATUS_OK; i++) {
    const struct arrowport_parquet_sort_column *from = &given->sorting[i];
    if (from->path == NULL)
      status = error_set(error, STATUS_INVALID, "sorting[%zu] has no path", i);
    lists->sorting[i] =
        (struct parquet_sort_column){from->path, from->descending, from->nulls_first};
  }
  for (size_t i = 0; i < given->metadata_count && status == STATUS_OK; i++) {
    const struct arrowport_setting *from = &given->metadata[i];
    if (from->name == NULL || from->value == NULL)
      status = error_set(error, STATUS_INVALID, "metadata[%zu] lacks its name or its value", i);
    lists->metadata[i] = (struct parquet_metadata_pair){from->name, from->value};
  }
  options->columns = lists->columns;
  options->column_count = (int64_t)given->column_count;
  options->sorting = lists->sorting;
  options->sorting_count = (int64_t)given->sorting_count;
  options->metadata = lists->metadata;
  options->metadata_count = (int64_t)given->metadata_count;
  return status;
}

/* ---- opening --------------------------------------------------------------------------------- */

static enum status hand_on(void *context, const void *data, int64_t bytes, struct error *error) {
  struct arrowport_parquet_writer *writer = context;
  if (writer->staged != NULL) return staged_write(writer->staged, data, bytes, error);
  if (writer->write(writer->context, data, bytes) == 0) return STATUS_OK;
  return error_set(error, STATUS_IO, "writing failed");
}

/* `own` are options that all members of are there. */
static enum status start(struct arrowport_parquet_writer *made, const struct ArrowSchema *schema,
                         const struct arrowport_parquet_writer_options *own, struct error *error) {
  struct parquet_options options = PARQUET_OPTIONS_DEFAULT;
  const struct parquet_out out = {.write = hand_on, .context = made};
  struct lists lists = {.columns = NULL};
  int threads = 1;
  enum status status = check_foreign_schema(schema, error);
  if (status == STATUS_OK) status = arrow_schema_copy(schema, &made->schema, error);
  if (status == STATUS_OK) status = set_codec(own, &options, error);
  if (status == STATUS_OK) status = set_sizes(own, &options, error);
  if (status == STATUS_OK) status = set_rest(own, &options, error);
  if (status == STATUS_OK) status = set_lists(own, &lists, &options, error);
  if (status == STATUS_OK)
    status = public_memory(own->memory_bytes_max, &made->budget.limit_bytes, error);
  if (status == STATUS_OK) status = public_threads(own->threads, &threads, error);
  if (status == STATUS_OK && threads > 1) status = workers_new(threads - 1, &made->workers, error);
  options.workers = made->workers;
  if (status == STATUS_OK)
    status = parquet_writer_new(&made->schema, &options, &out, &made->budget, &made->writer, error);
  lists_release(&lists);
  return status;
}

/* `path` NULL: to `write`. */
static enum status open_writer(const struct ArrowSchema *schema, const char *path,
                               arrowport_parquet_write write, void *context,
                               const struct arrowport_parquet_writer_options *options,
                               struct arrowport_parquet_writer **writer, struct error *error) {
  struct arrowport_parquet_writer_options own;
  struct arrowport_parquet_writer *made = NULL;
  enum status status = public_need(writer, "writer", error);
  if (status != STATUS_OK) return status;
  *writer = NULL;
  status = public_need(schema, "schema", error);
  if (status == STATUS_OK)
    status = public_options(options, "arrowport_parquet_writer_open", &own, sizeof own, error);
  if (status != STATUS_OK) return status;
  made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a writer");
  made->write = write;
  made->context = context;
  if (path != NULL) status = staged_open(path, !own.keep_existing, &made->staged, error);
  if (status == STATUS_OK) status = start(made, schema, &own, error);
  if (status == STATUS_OK)
    *writer = made;
  else
    arrowport_parquet_writer_close(made);
  return status;
}

enum arrowport_status
arrowport_parquet_writer_open(const struct ArrowSchema *schema, arrowport_parquet_write write,
                              void *context, const struct arrowport_parquet_writer_options *options,
                              struct arrowport_parquet_writer **writer,
                              struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = write == NULL
                           ? error_set(&why, STATUS_INVALID, "write is NULL")
                           : open_writer(schema, NULL, write, context, options, writer, &why);
  if (status != STATUS_OK && writer != NULL) *writer = NULL;
  return public_status(status, &why, error);
}

enum arrowport_status
arrowport_parquet_writer_open_path(const struct ArrowSchema *schema, const char *path,
                                   const struct arrowport_parquet_writer_options *options,
                                   struct arrowport_parquet_writer **writer,
                                   struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = public_need(path, "path", &why);
  if (status == STATUS_OK) status = open_writer(schema, path, NULL, NULL, options, writer, &why);
  if (status != STATUS_OK && writer != NULL) *writer = NULL;
  return public_status(status, &why, error);
}

/* ---- writing --------------------------------------------------------------------------------- */

static enum status check_open(const struct arrowport_parquet_writer *writer, struct error *error) {
  enum status status = public_need(writer, "writer", error);
  if (status == STATUS_OK && writer->is_written)
    status = error_set(error, STATUS_INVALID, "the writer has written the end");
  return status;
}

enum arrowport_status arrowport_parquet_writer_add(struct arrowport_parquet_writer *writer,
                                                   struct ArrowArray *batch,
                                                   struct arrowport_error *error) {
  struct error why; /* 1 KiB, which is not cleared for each batch */
  why.status = STATUS_OK;
  enum status status = check_open(writer, &why);
  if (status == STATUS_OK) status = public_need(batch, "batch", &why);
  if (status == STATUS_OK && batch->release == NULL)
    status = error_set(&why, STATUS_INVALID, "the batch holds nothing: it was released, or moved");
  if (status == STATUS_OK) status = parquet_writer_add(writer->writer, batch, &why);
  return public_status(status, &why, error);
}

/* Memory that is refused is asked for again after a row group. */
static enum status add_all(struct arrowport_parquet_writer *writer, struct source *source,
                           struct error *error) {
  for (;;) {
    struct ArrowArray batch = {.release = NULL};
    enum status status = source_next(source, &batch, error);
    if (status != STATUS_OK || batch.release == NULL) return status;
    status = parquet_writer_add(writer->writer, &batch, error);
    if (status == STATUS_BUDGET) {
      status = parquet_writer_end_group(writer->writer, error);
      if (status == STATUS_OK) status = parquet_writer_add(writer->writer, &batch, error);
    }
    arrow_array_release(&batch);
    if (status != STATUS_OK) return status;
  }
}

enum arrowport_status arrowport_parquet_writer_add_stream(struct arrowport_parquet_writer *writer,
                                                          struct ArrowArrayStream *stream,
                                                          struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct source *source = NULL;
  enum status status = check_open(writer, &why);
  if (status == STATUS_OK) status = public_need(stream, "stream", &why);
  if (status == STATUS_OK) status = source_open_c_stream(stream, &source, &why);
  if (status == STATUS_OK && !arrow_schema_equal(&writer->schema, source_schema(source), &why)) {
    status = STATUS_SCHEMA;
    error_at(&why, "the stream's schema is not the writer's (here)");
  }
  if (status == STATUS_OK) status = add_all(writer, source, &why);
  source_close(source);
  if (stream != NULL && stream->release != NULL) stream->release(stream);
  return public_status(status, &why, error);
}

enum arrowport_status
arrowport_parquet_writer_end_row_group(struct arrowport_parquet_writer *writer,
                                       struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = check_open(writer, &why);
  if (status == STATUS_OK) status = parquet_writer_end_group(writer->writer, &why);
  return public_status(status, &why, error);
}

enum arrowport_status arrowport_parquet_writer_finish(struct arrowport_parquet_writer *writer,
                                                      struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = public_need(writer, "writer", &why);
  if (status == STATUS_OK && writer->is_finished)
    status = error_set(&why, STATUS_INVALID, "the writer has written the end");
  if (status == STATUS_OK && !writer->is_written) {
    status = parquet_writer_finish(writer->writer, &why);
    writer->is_written = status == STATUS_OK;
  }
  if (status == STATUS_OK && writer->staged != NULL) status = staged_commit(writer->staged, &why);
  if (status == STATUS_OK) writer->is_finished = true;
  return public_status(status, &why, error);
}

void arrowport_parquet_writer_close(struct arrowport_parquet_writer *writer) {
  if (writer == NULL) return;
  parquet_writer_free(writer->writer);
  workers_free(writer->workers);
  staged_free(writer->staged);
  arrow_schema_release(&writer->schema);
  free(writer);
}

/* ---- what was written ---------------------------------------------------------------------- */

/* Into the caller's struct, as far as its version of it goes; `struct_size` stays. */
static enum status give(void *to, const void *from, size_t bytes, struct error *error) {
  size_t given_bytes;
  memcpy(&given_bytes, to, sizeof given_bytes);
  if (given_bytes < sizeof given_bytes)
    return error_set(error, STATUS_INVALID,
                     "struct_size is %zu; it is to be the size of the struct", given_bytes);
  if (given_bytes < bytes) bytes = given_bytes;
  memcpy((char *)to + sizeof given_bytes, (const char *)from + sizeof given_bytes,
         bytes - sizeof given_bytes);
  return STATUS_OK;
}

enum arrowport_status
arrowport_parquet_writer_progress(const struct arrowport_parquet_writer *writer,
                                  struct arrowport_parquet_progress *progress,
                                  struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = public_need(writer, "writer", &why);
  if (status == STATUS_OK) status = public_need(progress, "progress", &why);
  if (status == STATUS_OK) {
    struct parquet_progress now;
    parquet_writer_progress(writer->writer, &now);
    const struct arrowport_parquet_progress own = {.rows = now.rows,
                                                   .row_groups = now.row_groups,
                                                   .bytes = now.bytes,
                                                   .kept_bytes = now.kept_bytes};
    status = give(progress, &own, sizeof own, &why);
  }
  return public_status(status, &why, error);
}

int32_t arrowport_parquet_writer_column_count(const struct arrowport_parquet_writer *writer) {
  return writer == NULL ? 0 : parquet_writer_leaf_count(writer->writer);
}

static const char *type_name(enum parquet_type type) {
  switch (type) {
  case PARQUET_BOOLEAN: return "BOOLEAN";
  case PARQUET_INT32: return "INT32";
  case PARQUET_INT64: return "INT64";
  case PARQUET_FLOAT: return "FLOAT";
  case PARQUET_DOUBLE: return "DOUBLE";
  case PARQUET_BYTE_ARRAY: return "BYTE_ARRAY";
  case PARQUET_FIXED: return "FIXED_LEN_BYTE_ARRAY";
  }
  return "?";
}

enum arrowport_status arrowport_parquet_writer_column(const struct arrowport_parquet_writer *writer,
                                                      int32_t column,
                                                      struct arrowport_parquet_column *about,
                                                      struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = public_need(writer, "writer", &why);
  if (status == STATUS_OK) status = public_need(about, "about", &why);
  if (status == STATUS_OK && !writer->is_written)
    status =
        error_set(&why, STATUS_INVALID, "the file is not finished: what it holds is not known");
  if (status == STATUS_OK && (column < 0 || column >= parquet_writer_leaf_count(writer->writer)))
    status = error_set(&why, STATUS_INVALID, "there is no column %ld; there are %ld", (long)column,
                       (long)parquet_writer_leaf_count(writer->writer));
  if (status == STATUS_OK) {
    struct parquet_summary summary;
    parquet_writer_summary(writer->writer, column, &summary);
    const struct arrowport_parquet_column own = {.path = summary.name,
                                                 .field_id = summary.field_id,
                                                 .type = type_name(summary.type),
                                                 .compressed_bytes = summary.compressed_bytes,
                                                 .values = summary.value_count,
                                                 .nulls = summary.null_count,
                                                 .nans = summary.nan_count,
                                                 .has_bounds = summary.has_bounds,
                                                 .min_is_exact = summary.min_is_exact,
                                                 .max_is_exact = summary.max_is_exact,
                                                 .min = summary.min,
                                                 .max = summary.max,
                                                 .min_bytes = summary.min_bytes,
                                                 .max_bytes = summary.max_bytes};
    status = give(about, &own, sizeof own, &why);
  }
  return public_status(status, &why, error);
}
