/* What the caller wants, checked and kept: columns by their number, texts as copies. */
#include <stdlib.h>
#include <string.h>

#include "parquet/bloom.h"
#include "parquet/encode.h"
#include "parquet/private.h"

static enum status check_range(const char *name, int64_t value, int64_t least, int64_t most,
                               struct error *error) {
  if (value >= least && value <= most) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "%s is %lld: it is from %lld to %lld", name,
                   (long long)value, (long long)least, (long long)most);
}

static enum status check_numbers(const struct parquet_options *options, struct error *error) {
  struct {
    const char *name;
    int64_t value, least, most;
  } all[] = {
      {"row_group_rows", options->row_group_rows, 1, INT64_MAX},
      {"row_group_bytes", options->row_group_bytes, 1, INT64_MAX},
      {"page_values", options->page_values, 1, INT32_MAX},
      {"page_bytes", options->page_bytes, 1, INT32_MAX},
      {"dictionary_bytes_max", options->dictionary_bytes_max, 0, (int64_t)1 << 30},
      {"page_version", options->page_version, 1, 2},
      {"bound_bytes_max", options->bound_bytes_max, 1, PARQUET_BOUND_BYTES_MAX},
      {"bloom_bytes_max", options->bloom_bytes_max, 32, (int64_t)128 << 20},
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    enum status status = check_range(all[i].name, all[i].value, all[i].least, all[i].most, error);
    if (status != STATUS_OK) return status;
  }
  if (!(options->bloom_false_positives > 0 && options->bloom_false_positives < 1))
    return error_set(error, STATUS_INVALID,
                     "bloom_false_positives is %g: it is more than 0 and less than 1",
                     options->bloom_false_positives);
  if (options->compatible && options->page_version != 1)
    return error_set(error, STATUS_INVALID,
                     "page_version 2 is not what old readers take: leave it, or compatible, out");
  return STATUS_OK;
}

static enum status read_encoding(struct parquet_writer *writer, struct parquet_column *column,
                                 enum parquet_encoding encoding, struct error *error) {
  if (!encode_fits(column->leaf, encoding))
    return error_set(error, STATUS_INVALID,
                     "column '%s' cannot be encoded as %s: its type does not fit",
                     column->leaf->name, encode_name(encoding));
  if (writer->options.compatible && encoding != PARQUET_PLAIN && encoding != PARQUET_RLE_DICTIONARY)
    return error_set(error, STATUS_INVALID,
                     "column '%s' as %s is not what old readers take: leave it, or compatible, out",
                     column->leaf->name, encode_name(encoding));
  if (encoding == PARQUET_RLE_DICTIONARY && writer->options.dictionary_bytes_max == 0)
    return error_set(error, STATUS_INVALID,
                     "column '%s' as RLE_DICTIONARY needs a dictionary_bytes_max of more than 0",
                     column->leaf->name);
  column->wants_encoding = true;
  column->wanted = encoding;
  return STATUS_OK;
}

static enum status read_columns(struct parquet_writer *writer,
                                const struct parquet_options *options, struct error *error) {
  for (int64_t i = 0; i < options->column_count; i++) {
    const struct parquet_column_options *given = &options->columns[i];
    int32_t first, count;
    enum status status = parquet_schema_find(writer->schema, given->path, &first, &count, error);
    for (int32_t k = first; status == STATUS_OK && k < first + count; k++) {
      struct parquet_column *column = &writer->columns[k];
      if (given->has_encoding) status = read_encoding(writer, column, given->encoding, error);
      if (status != STATUS_OK) break;
      if (given->has_bloom && !parquet_bloom_allowed(column->leaf))
        status = error_set(error, STATUS_INVALID,
                           "column '%s' can have no Bloom filter: it is of truth values or nulls",
                           column->leaf->name);
      if (given->has_bloom) column->wants_bloom = true;
    }
    if (status != STATUS_OK) return status;
  }
  return STATUS_OK;
}

static enum status read_sorting(struct parquet_writer *writer,
                                const struct parquet_options *options, struct error *error) {
  if (options->sorting_count == 0) return STATUS_OK;
  writer->sorting = calloc((size_t)options->sorting_count, sizeof *writer->sorting);
  if (writer->sorting == NULL) return error_set(error, STATUS_NOMEM, "no memory for options");
  for (int64_t i = 0; i < options->sorting_count; i++) {
    const struct parquet_sort_column *given = &options->sorting[i];
    int32_t first, count;
    enum status status = parquet_schema_find(writer->schema, given->path, &first, &count, error);
    if (status != STATUS_OK) return status;
    if (count != 1 || writer->schema->leaves[first].max_rep > 0)
      return error_set(error, STATUS_INVALID,
                       "rows cannot be in the order of '%s': it has not one value a row",
                       given->path);
    writer->sorting[i] = (struct parquet_sorting){
        .leaf = first, .is_descending = given->is_descending, .nulls_first = given->nulls_first};
  }
  return STATUS_OK;
}

/* ---- key-values ------------------------------------------------------------------------------------ */

static char *copy_text(const char *text, size_t bytes) {
  char *copy = malloc(bytes + 1);
  if (copy == NULL) return NULL;
  memcpy(copy, text, bytes);
  copy[bytes] = '\0';
  return copy;
}

/* Takes `value` (NULL is no memory) over. */
static enum status add_pair(struct parquet_writer *writer, const char *key, size_t key_bytes,
                            char *value, struct error *error) {
  char *name = copy_text(key, key_bytes);
  struct parquet_key_value *grown =
      name == NULL || value == NULL
          ? NULL
          : realloc(writer->key_values, (size_t)(writer->key_value_count + 1) * sizeof *grown);
  if (grown == NULL) {
    free(name);
    free(value);
    return error_set(error, STATUS_NOMEM, "no memory for options");
  }
  grown[writer->key_value_count++] = (struct parquet_key_value){.key = name, .value = value};
  writer->key_values = grown;
  return STATUS_OK;
}

static int32_t load_length(const char *at) {
  int32_t bytes;
  memcpy(&bytes, at, sizeof bytes);
  return bytes;
}

/* The schema's own metadata, as others write it (C data interface, ArrowSchema.metadata). */
static enum status add_schema_metadata(struct parquet_writer *writer, struct error *error) {
  const char *at = writer->arrow.metadata;
  if (at == NULL) return STATUS_OK;
  int32_t count = load_length(at);
  at += sizeof count;
  enum status status = STATUS_OK;
  for (int32_t i = 0; status == STATUS_OK && i < count; i++) {
    int32_t key_bytes = load_length(at);
    const char *key = at + sizeof key_bytes;
    at = key + key_bytes;
    int32_t value_bytes = load_length(at);
    const char *value = at + sizeof value_bytes;
    at = value + value_bytes;
    bool is_ours = key_bytes == 12 && memcmp(key, "ARROW:schema", 12) == 0;
    if (!is_ours)
      status =
          add_pair(writer, key, (size_t)key_bytes, copy_text(value, (size_t)value_bytes), error);
  }
  return status;
}

static enum status read_metadata(struct parquet_writer *writer,
                                 const struct parquet_options *options, struct error *error) {
  enum status status = add_schema_metadata(writer, error);
  for (int64_t i = 0; status == STATUS_OK && i < options->metadata_count; i++) {
    const struct parquet_metadata_pair *given = &options->metadata[i];
    status = add_pair(writer, given->key, strlen(given->key),
                      copy_text(given->value, strlen(given->value)), error);
  }
  if (status != STATUS_OK || options->no_arrow_schema) return status;
  char *text = NULL;
  status = parquet_arrow_schema(&writer->arrow, writer->budget, &text, error);
  if (status != STATUS_OK) return status;
  return add_pair(writer, "ARROW:schema", strlen("ARROW:schema"), text, error);
}

/* ---- all ------------------------------------------------------------------------------------------- */

enum status parquet_options_read(struct parquet_writer *writer,
                                 const struct parquet_options *options, struct error *error) {
  writer->options = *options;
  writer->options.columns = NULL; /* the caller's: not after this call */
  writer->options.sorting = NULL;
  writer->options.metadata = NULL;
  enum status status = check_numbers(options, error);
  if (status == STATUS_OK) status = read_columns(writer, options, error);
  if (status == STATUS_OK) status = read_sorting(writer, options, error);
  if (status == STATUS_OK) status = read_metadata(writer, options, error);
  return status;
}

void parquet_options_release(struct parquet_writer *writer) {
  for (int64_t i = 0; i < writer->key_value_count; i++) {
    free((void *)(uintptr_t)writer->key_values[i].key);
    free((void *)(uintptr_t)writer->key_values[i].value);
  }
  free(writer->key_values);
  free(writer->sorting);
}
