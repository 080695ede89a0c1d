/* Files that hold a table and are no Arrow: Parquet, CSV, NDJSON. DuckDB reads them, in an
 * engine that this source opens for itself, and its results are the batches.
 *
 * DuckDB makes more of a path than its name: patterns, URLs, a home directory, columns from
 * `key=value` folders, compression by suffix. So the file is opened here and DuckDB is given the
 * descriptor's path in /proc, where nothing of that can be; what it says of that path is told
 * under the file's own name. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/engine.h"
#include "source/private.h"

enum { PATH_BYTES = 64 };

struct table_file {
  struct source source;
  char *name; /* for messages */
  int file;
  char path[PATH_BYTES]; /* "/proc/self/fd/7" */
  struct engine *engine;
  struct engine_session *session;
  struct engine_result *result;
  int64_t rows;     /* read */
  int64_t rows_all; /* in the file; 0: not known */
};

/* ---- errors -------------------------------------------------------------------------------- */

/* What follows is about SQL that the user has not written, and options that it could have. */
static void cut_advice(char *text) {
  static const char *const ends[] = {"\n\nLINE 1: FROM read_",
                                     "\n\nPossible Solution",
                                     "\nPossible Solution",
                                     "\n Try setting records",
                                     "\nThe search space used was",
                                     "\n\n  file = ",
                                     "\nDatabase is launched in in-memory mode"};
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    char *end = strstr(text, ends[i]);
    if (end != NULL) *end = '\0';
  }
  for (size_t bytes = strlen(text); bytes > 0 && strchr(" \n", text[bytes - 1]) != NULL; bytes--)
    text[bytes - 1] = '\0';
}

/* Puts the file's name where DuckDB names the descriptor, and before what is wrong. Whatever is
 * wrong with the file is its fault: where DuckDB sees an I/O error (a Parquet file without its
 * end) the input is broken. */
static enum status failed(const struct table_file *made, enum status status, struct error *error) {
  struct text said = TEXT_EMPTY;
  enum status told = STATUS_OK;
  if (error == NULL) return status;
  for (const char *at = error->text; told == STATUS_OK;) {
    const char *found = strstr(at, made->path);
    told = text_add_bytes(&said, at, found == NULL ? strlen(at) : (size_t)(found - at), NULL);
    if (found == NULL) break;
    if (told == STATUS_OK) told = text_add(&said, made->name, NULL);
    at = found + strlen(made->path);
  }
  if (status == STATUS_IO) status = STATUS_INVALID;
  if (said.data != NULL) cut_advice(said.data);
  if (told == STATUS_OK) error_set(error, status, "%s", text_get(&said));
  error->status = status;
  error_at(error, "'%s'", made->name);
  text_release(&said);
  return status;
}

/* ---- the source ---------------------------------------------------------------------------- */

static void table_file_close(struct source *source) {
  struct table_file *made = (struct table_file *)source;
  engine_result_close(made->result);
  engine_session_close(made->session);
  engine_close(made->engine);
  if (made->file >= 0) close(made->file);
  free(made->name);
  free(made);
}

static const struct ArrowSchema *table_file_schema(struct source *source) {
  return engine_result_schema(((struct table_file *)source)->result);
}

static enum status table_file_next(struct source *source, struct ArrowArray *batch,
                                   struct error *error) {
  struct table_file *made = (struct table_file *)source;
  enum status status = engine_result_next(made->result, batch, error);
  if (status == STATUS_BUDGET) return status; /* to be repeated: nothing is wrong with the file */
  if (status != STATUS_OK) return failed(made, status, error);
  if (batch->release != NULL) made->rows += batch->length;
  return STATUS_OK;
}

static double table_file_fraction(struct source *source) {
  const struct table_file *made = (const struct table_file *)source;
  return made->rows_all > 0 ? (double)made->rows / (double)made->rows_all : -1;
}

static const struct source_type type = {
    .name = "table_file",
    .summary = "a Parquet, CSV or NDJSON file, read by DuckDB",
    .close = table_file_close,
    .schema = table_file_schema,
    .next = table_file_next,
    .fraction = table_file_fraction,
};

/* ---- opening ------------------------------------------------------------------------------- */

static enum status open_file(struct table_file *made, const char *path, struct error *error) {
  struct stat about;
  made->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hold us up */
  if (made->file < 0 || fstat(made->file, &about) != 0) return file_failed(errno, error);
  if (S_ISDIR(about.st_mode)) return error_set(error, STATUS_INVALID, "it is a folder");
  if (!S_ISREG(about.st_mode))
    return error_set(error, STATUS_UNSUPPORTED, "only a regular file can be read here");
  if (about.st_size == 0) return error_set(error, STATUS_INVALID, "it is empty");
  snprintf(made->path, sizeof made->path, "/proc/self/fd/%d", made->file);
  return STATUS_OK;
}

static enum status write_sql(const struct table_file *made,
                             const struct table_file_options *options, struct text *sql,
                             struct error *error) {
  static const char *const functions[] = {"read_parquet", "read_csv", "read_json"};
  enum status status = text_add_format(sql, error, "FROM %s(", functions[options->kind]);
  if (status == STATUS_OK) status = text_add_literal(sql, made->path, error);
  if (status == STATUS_OK) status = text_add(sql, ", hive_partitioning = false", error);
  if (status == STATUS_OK && options->kind == TABLE_FILE_NDJSON)
    status = text_add(sql, ", format = 'newline_delimited', records = 'true'", error);
  if (status == STATUS_OK && options->kind == TABLE_FILE_CSV && options->all_text)
    status = text_add(sql, ", all_varchar = true", error);
  if (status == STATUS_OK && options->kind == TABLE_FILE_CSV && options->delimiter != NULL) {
    status = text_add(sql, ", delim = ", error);
    if (status == STATUS_OK) status = text_add_literal(sql, options->delimiter, error);
  }
  if (status == STATUS_OK && options->kind != TABLE_FILE_PARQUET)
    status = text_add_format(sql, error, ", compression = '%s'",
                             options->compression != NULL         ? options->compression
                             : options->kind == TABLE_FILE_NDJSON ? "uncompressed"
                                                                  : "none");
  return status == STATUS_OK ? text_add(sql, ")", error) : status;
}

static enum status ask(struct table_file *made, const char *sql, struct budget *budget,
                       struct error *error) {
  struct engine_query query = {.sql = sql, .read_only = true, .budget = budget};
  return engine_query(made->session, &query, &made->result, error);
}

/* What the footer of a Parquet file says; 0 when that cannot be told. */
static int64_t count_rows(struct table_file *made) {
  struct text sql = TEXT_EMPTY;
  struct ArrowArray batch = {.release = NULL};
  int64_t rows = 0;
  enum status status = text_add_format(
      &sql, NULL, "SELECT num_rows::BIGINT FROM parquet_file_metadata('%s')", made->path);
  if (status == STATUS_OK) status = ask(made, text_get(&sql), NULL, NULL);
  if (status == STATUS_OK) status = engine_result_next(made->result, &batch, NULL);
  if (status == STATUS_OK && batch.release != NULL && batch.length == 1)
    rows = ((const int64_t *)batch.children[0]->buffers[1])[batch.children[0]->offset];
  if (batch.release != NULL) batch.release(&batch);
  engine_result_close(made->result);
  made->result = NULL;
  text_release(&sql);
  return rows;
}

static enum status open_result(struct table_file *made, const struct table_file_options *options,
                               struct error *error) {
  struct text sql = TEXT_EMPTY;
  struct engine_options engine = {.memory_limit_bytes = options->memory_limit_bytes,
                                  .threads = options->threads,
                                  .local_files = true};
  enum status status = engine_open(&engine, &made->engine, error);
  if (status == STATUS_OK) status = engine_session_open(made->engine, &made->session, error);
  if (status != STATUS_OK) return status; /* not the file's fault */
  if (options->kind == TABLE_FILE_PARQUET) made->rows_all = count_rows(made);
  status = write_sql(made, options, &sql, error);
  if (status == STATUS_OK) {
    status = ask(made, text_get(&sql), options->budget, error);
    if (status != STATUS_OK) status = failed(made, status, error);
  }
  text_release(&sql);
  return status;
}

enum status source_open_table_file(const char *path, const struct table_file_options *options,
                                   struct source **source, struct error *error) {
  struct table_file *made = calloc(1, sizeof *made);
  *source = NULL;
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a source");
  made->source.type = &type;
  made->file = -1;
  made->name = strdup(options->name == NULL ? path : options->name);
  enum status status = made->name == NULL ? error_set(error, STATUS_NOMEM, "no memory for a source")
                                          : open_file(made, path, error);
  if (status != STATUS_OK)
    error_at(error, "'%s'", options->name == NULL ? path : options->name);
  else
    status = open_result(made, options, error);
  if (status == STATUS_OK)
    *source = &made->source;
  else
    table_file_close(&made->source);
  return status;
}
