/* Writes a Parquet file of an Arrow IPC stream or file:
 *
 *   parquet_write out=PATH [NAME=VALUE]... <in
 *
 * A name is a field of struct parquet_options, the codec by its name, truth as 0 or 1; or
 *   encoding=COLUMN:NAME   a column's encoding
 *   bloom=COLUMN           a column's Bloom filter
 *   sort=COLUMN[:desc][:nulls_first]
 *   metadata=KEY:VALUE
 *   threads=N              that encode, this one counted
 *   slice=ROWS             batches are cut into slices of so many rows, and those are written
 *   groups=1               a row group ends behind every batch
 *   budget=BYTES           that the writer may hold (4 GiB)
 *   fail_at=N              the sink fails at its N-th call, from 1 on, and must not be called again
 *
 * Without `out` the bytes go nowhere. What the writer says of the file comes out as a line of JSON, also
 * how often the sink was called; after a failure only that. Exits with the status table's code, after a
 * line on standard error. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/schema.h"
#include "base/text.h"
#include "parquet/codec.h"
#include "parquet/encode.h"
#include "parquet/parquet.h"
#include "stream_in.h"

enum { SAID_MAX = 4096 }; /* of columns, sort columns and key-values, each */

struct writing {
  struct budget in_budget; /* of what is read */
  struct budget budget;    /* of the writer */
  struct parquet_options options;
  struct parquet_column_options columns[SAID_MAX];
  struct parquet_sort_column sorting[SAID_MAX];
  struct parquet_metadata_pair metadata[SAID_MAX];
  struct parquet_writer *writer;
  FILE *out;
  int64_t slice_rows; /* 0: batches as they are */
  int64_t threads;
  int64_t ends_groups;
  int64_t fail_at;
  int64_t calls; /* of the sink */
  int64_t bytes;
};

static enum status take(void *context, const void *data, int64_t bytes, struct error *error) {
  struct writing *writing = context;
  writing->calls++;
  if (writing->fail_at > 0 && writing->calls > writing->fail_at)
    return error_set(error, STATUS_INTERNAL, "the sink was called after it had failed");
  if (writing->calls == writing->fail_at)
    return error_set(error, STATUS_IO, "the sink fails at call %" PRId64, writing->calls);
  if (bytes < 1) return error_set(error, STATUS_INTERNAL, "the sink got %" PRId64 " bytes", bytes);
  writing->bytes += bytes;
  if (writing->out != NULL && fwrite(data, 1, (size_t)bytes, writing->out) != (size_t)bytes)
    return error_set(error, STATUS_IO, "cannot write: %s", strerror(errno));
  return STATUS_OK;
}

/* ---- batches --------------------------------------------------------------------------------- */

static enum status begin(void *context, const struct ArrowSchema *schema, struct error *error) {
  struct writing *writing = context;
  struct parquet_out out = {.write = take, .context = writing};
  return parquet_writer_new(schema, &writing->options, &out, &writing->budget, &writing->writer,
                            error);
}

static enum status add(struct writing *writing, struct ArrowArray *batch, struct error *error) {
  enum status status = parquet_writer_add(writing->writer, batch, error);
  if (status == STATUS_OK && writing->ends_groups != 0)
    status = parquet_writer_end_group(writing->writer, error);
  return status;
}

static enum status write_batch(void *context, struct ArrowArray *batch, struct error *error) {
  struct writing *writing = context;
  int64_t rows = batch->length;
  int64_t step = writing->slice_rows;
  if (step == 0) return add(writing, batch, error);
  struct arrow_shared *shared = NULL;
  enum status status = arrow_shared_new(batch, &shared, error);
  if (status != STATUS_OK) return status;
  for (int64_t i = 0; i < rows && status == STATUS_OK; i += step) {
    struct ArrowArray slice = {0};
    status = arrow_shared_slice(shared, i, rows - i < step ? rows - i : step, &slice, error);
    if (status == STATUS_OK) status = add(writing, &slice, error);
    arrow_array_release(&slice);
  }
  arrow_shared_release(shared);
  return status;
}

/* ---- arguments ------------------------------------------------------------------------------- */

static bool read_number(const char *value, int64_t *number) {
  char *end;
  errno = 0;
  *number = strtoll(value, &end, 10);
  return errno == 0 && end != value && *end == '\0';
}

/* The fields that are numbers or truths. */
static bool read_numbers(struct writing *writing, const char *name, const char *value) {
  struct parquet_options *options = &writing->options;
  int64_t number = 0;
  if (!read_number(value, &number)) return false;
  const struct {
    const char *name;
    int64_t *wide;
    int *narrow;
    bool *truth;
  } fields[] = {
      {"level", NULL, &options->level, NULL},
      {"row_group_rows", &options->row_group_rows, NULL, NULL},
      {"row_group_bytes", &options->row_group_bytes, NULL, NULL},
      {"page_values", &options->page_values, NULL, NULL},
      {"page_bytes", &options->page_bytes, NULL, NULL},
      {"dictionary_bytes_max", &options->dictionary_bytes_max, NULL, NULL},
      {"compatible", NULL, NULL, &options->compatible},
      {"page_version", NULL, &options->page_version, NULL},
      {"always_compress", NULL, NULL, &options->always_compress},
      {"no_checksums", NULL, NULL, &options->no_checksums},
      {"no_statistics", NULL, NULL, &options->no_statistics},
      {"no_page_index", NULL, NULL, &options->no_page_index},
      {"no_arrow_schema", NULL, NULL, &options->no_arrow_schema},
      {"bound_bytes_max", NULL, &options->bound_bytes_max, NULL},
      {"bloom_bytes_max", &options->bloom_bytes_max, NULL, NULL},
      {"is_checked", NULL, NULL, &options->is_checked},
      {"threads", &writing->threads, NULL, NULL},
      {"slice", &writing->slice_rows, NULL, NULL},
      {"groups", &writing->ends_groups, NULL, NULL},
      {"budget", &writing->budget.limit_bytes, NULL, NULL},
      {"fail_at", &writing->fail_at, NULL, NULL},
  };
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    if (strcmp(name, fields[i].name) != 0) continue;
    if (fields[i].wide != NULL) *fields[i].wide = number;
    if (fields[i].narrow != NULL) *fields[i].narrow = (int)number;
    if (fields[i].truth != NULL) *fields[i].truth = number != 0;
    return true;
  }
  return false;
}

/* Cuts `value` at its last colon: what stands behind it, or NULL. */
static char *cut(char *value) {
  char *colon = strrchr(value, ':');
  if (colon == NULL) return NULL;
  *colon = '\0';
  return colon + 1;
}

static bool read_column(struct writing *writing, const char *name, char *value) {
  struct parquet_options *options = &writing->options;
  if (options->column_count == SAID_MAX) return false;
  struct parquet_column_options *column = &writing->columns[options->column_count];
  if (strcmp(name, "bloom") == 0) {
    *column = (struct parquet_column_options){.path = value, .has_bloom = true};
  } else {
    const char *encoding = cut(value);
    *column = (struct parquet_column_options){.path = value, .has_encoding = true};
    if (encoding == NULL || !encode_parse(encoding, &column->encoding)) return false;
  }
  options->column_count++;
  return true;
}

static bool read_sort(struct writing *writing, char *value) {
  struct parquet_options *options = &writing->options;
  if (options->sorting_count == SAID_MAX) return false;
  struct parquet_sort_column *column = &writing->sorting[options->sorting_count++];
  char *said = strrchr(value, ':');
  if (said != NULL && strcmp(said, ":nulls_first") == 0) {
    column->nulls_first = true;
    *said = '\0';
    said = strrchr(value, ':');
  }
  if (said != NULL && strcmp(said, ":desc") == 0) {
    column->is_descending = true;
    *said = '\0';
  }
  column->path = value;
  return true;
}

static bool read_metadata(struct writing *writing, char *value) {
  struct parquet_options *options = &writing->options;
  char *colon = strchr(value, ':');
  if (options->metadata_count == SAID_MAX || colon == NULL) return false;
  *colon = '\0';
  writing->metadata[options->metadata_count++] =
      (struct parquet_metadata_pair){.key = value, .value = colon + 1};
  return true;
}

static bool read_argument(struct writing *writing, const char *name, char *value) {
  if (strcmp(name, "out") == 0) return (writing->out = fopen(value, "wb")) != NULL;
  if (strcmp(name, "codec") == 0) return parquet_codec_parse(value, &writing->options.codec);
  if (strcmp(name, "encoding") == 0 || strcmp(name, "bloom") == 0)
    return read_column(writing, name, value);
  if (strcmp(name, "sort") == 0) return read_sort(writing, value);
  if (strcmp(name, "metadata") == 0) return read_metadata(writing, value);
  if (strcmp(name, "bloom_false_positives") == 0) {
    writing->options.bloom_false_positives = strtod(value, NULL);
    return true;
  }
  return read_numbers(writing, name, value);
}

static enum status read_arguments(struct writing *writing, int count, char **arguments,
                                  struct error *error) {
  for (int i = 1; i < count; i++) {
    char *value = strchr(arguments[i], '=');
    if (value != NULL) *value++ = '\0';
    if (value == NULL || !read_argument(writing, arguments[i], value))
      return error_set(error, STATUS_INVALID, "unknown argument %s %s", arguments[i],
                       value == NULL ? "" : value);
  }
  writing->options.columns = writing->columns;
  writing->options.sorting = writing->sorting;
  writing->options.metadata = writing->metadata;
  return STATUS_OK;
}

/* ---- the summary ----------------------------------------------------------------------------- */

static enum status tell_bound(struct text *text, const char *name, const uint8_t *data,
                              int32_t bytes, bool is_exact, struct error *error) {
  enum status status = text_add_format(text, error, ", \"%s_is_exact\": %s, \"%s\": \"", name,
                                       is_exact ? "true" : "false", name);
  for (int32_t i = 0; i < bytes && status == STATUS_OK; i++)
    status = text_add_format(text, error, "%02x", data[i]);
  return status == STATUS_OK ? text_add(text, "\"", error) : status;
}

static enum status tell_leaf(const struct writing *writing, int32_t leaf, struct text *text,
                             struct error *error) {
  struct parquet_summary summary;
  parquet_writer_summary(writing->writer, leaf, &summary);
  enum status status = text_add(text, leaf == 0 ? "{\"name\": " : ", {\"name\": ", error);
  if (status == STATUS_OK) status = text_add_json(text, summary.name, strlen(summary.name), error);
  if (status == STATUS_OK && summary.field_id != INT32_MIN)
    status = text_add_format(text, error, ", \"field_id\": %" PRId32, summary.field_id);
  if (status == STATUS_OK)
    status = text_add_format(text, error,
                             ", \"type\": %d, \"compressed_bytes\": %" PRId64
                             ", \"value_count\": %" PRId64 ", \"null_count\": %" PRId64
                             ", \"nan_count\": %" PRId64,
                             (int)summary.type, summary.compressed_bytes, summary.value_count,
                             summary.null_count, summary.nan_count);
  if (status == STATUS_OK && summary.has_bounds)
    status = tell_bound(text, "min", summary.min, summary.min_bytes, summary.min_is_exact, error);
  if (status == STATUS_OK && summary.has_bounds)
    status = tell_bound(text, "max", summary.max, summary.max_bytes, summary.max_is_exact, error);
  return status == STATUS_OK ? text_add(text, "}", error) : status;
}

static enum status tell(const struct writing *writing, struct error *error) {
  struct text text = TEXT_EMPTY;
  struct parquet_progress progress;
  parquet_writer_progress(writing->writer, &progress);
  enum status status =
      text_add_format(&text, error,
                      "{\"rows\": %" PRId64 ", \"row_groups\": %" PRId64 ", \"bytes\": %" PRId64
                      ", \"kept_bytes\": %" PRId64 ", \"taken_bytes\": %" PRId64
                      ", \"calls\": %" PRId64 ", \"columns\": [",
                      progress.rows, progress.row_groups, progress.bytes, progress.kept_bytes,
                      writing->bytes, writing->calls);
  int32_t count = parquet_writer_leaf_count(writing->writer);
  for (int32_t i = 0; i < count && status == STATUS_OK; i++)
    status = tell_leaf(writing, i, &text, error);
  if (status == STATUS_OK) status = text_add(&text, "]}", error);
  if (status == STATUS_OK) puts(text_get(&text));
  text_release(&text);
  return status;
}

/* What failed fails again in the same way, and the sink is not called. */
static void finish_again(struct writing *writing, enum status first, const struct error *said) {
  struct error error = {0};
  int64_t calls = writing->calls;
  enum status status = parquet_writer_finish(writing->writer, &error);
  if (status != first || strcmp(said->text, error.text) != 0 || writing->calls != calls)
    fprintf(stderr, "after %s (%s) finishing gave %s (%s) and %" PRId64 " calls\n",
            status_name(first), said->text, status_name(status), error.text,
            writing->calls - calls);
}

static enum status run(struct writing *writing, struct error *error) {
  struct stream_in in = {
      .budget = &writing->in_budget, .schema = begin, .batch = write_batch, .context = writing};
  enum status status = stream_in_run(&in, error);
  if (status == STATUS_OK) status = parquet_writer_finish(writing->writer, error);
  if (status == STATUS_OK) return tell(writing, error);
  printf("{\"calls\": %" PRId64 "}\n", writing->calls);
  if (status == STATUS_IO && writing->fail_at > 0 && writing->writer != NULL)
    finish_again(writing, status, error);
  return status;
}

int main(int count, char **arguments) {
  static struct writing writing;
  struct error error = {0};
  writing.in_budget.limit_bytes = (int64_t)8 << 30;
  writing.budget.limit_bytes = (int64_t)4 << 30;
  writing.options = PARQUET_OPTIONS_DEFAULT;
  enum status status = read_arguments(&writing, count, arguments, &error);
  if (status == STATUS_OK && writing.threads > 1)
    status = workers_new((int)writing.threads - 1, &writing.options.workers, &error);
  if (status == STATUS_OK) status = run(&writing, &error);
  parquet_writer_free(writing.writer);
  workers_free(writing.options.workers);
  int64_t left = writing.budget.used_bytes + writing.in_budget.used_bytes;
  if (left != 0) fprintf(stderr, "%" PRId64 " bytes were not given back\n", left);
  if (left != 0 && status == STATUS_OK) status = STATUS_INTERNAL;
  if (writing.out != NULL && fclose(writing.out) != 0 && status == STATUS_OK)
    status = error_set(&error, STATUS_IO, "cannot write: %s", strerror(errno));
  if (status != STATUS_OK) fprintf(stderr, "%s: %s\n", status_name(status), error.text);
  return status_exit(status);
}
