/* FileMetaData: what a reader reads first. Its structs in the order of parquet.thrift, leaves first. */
#include <string.h>

#include "parquet/metadata.h"
#include "parquet/metadata_parts.h"

enum {
  /* The specification asks for 1 whatever is in the file; readers take 1 and 2 alike. */
  FILE_VERSION = 1,
  /* RowGroup.ordinal is an i16. */
  ORDINALS = INT16_MAX + 1,
};

/* ---- schema ------------------------------------------------------------------------------ */

/* The annotations that old readers know, which come beside LogicalType; -1: there is none. */
enum {
  CONVERTED_NONE = -1,
  CONVERTED_UTF8 = 0,
  CONVERTED_MAP = 1,
  CONVERTED_LIST = 3,
  CONVERTED_DECIMAL = 5,
  CONVERTED_DATE = 6,
  CONVERTED_TIME_MILLIS = 7,
  CONVERTED_TIME_MICROS = 8,
  CONVERTED_TIMESTAMP_MILLIS = 9,
  CONVERTED_TIMESTAMP_MICROS = 10,
  CONVERTED_UINT_8 = 11, /* UINT_16, 32, 64 follow */
  CONVERTED_INT_8 = 15,  /* likewise */
  CONVERTED_JSON = 19,
};

static int converted_integer(const struct parquet_logical *logical) {
  int first = logical->is_signed ? CONVERTED_INT_8 : CONVERTED_UINT_8;
  switch (logical->bit_width) {
  case 8: return first;
  case 16: return first + 1;
  case 32: return first + 2;
  case 64: return first + 3;
  default: return CONVERTED_NONE; /* there are no others */
  }
}

/* Times that are not UTC have the old annotation too: "writer implementations must annotate local
 * time with legacy annotations too" (LogicalTypes.md, "Deprecated time ConvertedType"). */
static int converted_time(const struct parquet_logical *logical, int millis) {
  if (logical->unit == PARQUET_MILLIS) return millis;
  return logical->unit == PARQUET_MICROS ? millis + 1 : CONVERTED_NONE;
}

static int converted_type(const struct parquet_logical *logical) {
  switch (logical->kind) {
  case PARQUET_LOGICAL_STRING: return CONVERTED_UTF8;
  case PARQUET_LOGICAL_MAP: return CONVERTED_MAP;
  case PARQUET_LOGICAL_LIST: return CONVERTED_LIST;
  case PARQUET_LOGICAL_DECIMAL: return CONVERTED_DECIMAL;
  case PARQUET_LOGICAL_DATE: return CONVERTED_DATE;
  case PARQUET_LOGICAL_TIME: return converted_time(logical, CONVERTED_TIME_MILLIS);
  case PARQUET_LOGICAL_TIMESTAMP: return converted_time(logical, CONVERTED_TIMESTAMP_MILLIS);
  case PARQUET_LOGICAL_INTEGER: return converted_integer(logical);
  case PARQUET_LOGICAL_JSON: return CONVERTED_JSON;
  case PARQUET_LOGICAL_NONE:
  case PARQUET_LOGICAL_NULL:
  case PARQUET_LOGICAL_UUID:
  case PARQUET_LOGICAL_FLOAT16: break;
  }
  return CONVERTED_NONE;
}

/* TimeType and TimestampType. */
static void time_type(struct thrift *thrift, const struct parquet_logical *logical) {
  thrift_bool(thrift, 1, logical->is_utc);
  thrift_struct(thrift, 2);
  thrift_struct(thrift, (int16_t)logical->unit);
  thrift_struct_end(thrift);
  thrift_struct_end(thrift);
}

/* A union: a struct with one field, whose id is the kind. */
static void logical_type(struct thrift *thrift, const struct parquet_logical *logical) {
  thrift_struct(thrift, 10);
  thrift_struct(thrift, (int16_t)logical->kind);
  switch (logical->kind) {
  case PARQUET_LOGICAL_DECIMAL:
    thrift_i32(thrift, 1, logical->scale);
    thrift_i32(thrift, 2, logical->precision);
    break;
  case PARQUET_LOGICAL_TIME:
  case PARQUET_LOGICAL_TIMESTAMP: time_type(thrift, logical); break;
  case PARQUET_LOGICAL_INTEGER:
    thrift_i8(thrift, 1, (int8_t)logical->bit_width);
    thrift_bool(thrift, 2, logical->is_signed);
    break;
  default: break; /* the others are empty */
  }
  thrift_struct_end(thrift);
  thrift_struct_end(thrift);
}

static void schema_element(struct thrift *thrift, const struct parquet_element *element,
                           bool is_root) {
  const struct parquet_logical *logical = &element->logical;
  thrift_item_struct(thrift);
  if (element->is_leaf) {
    thrift_i32(thrift, 1, (int32_t)element->type);
    if (element->type == PARQUET_FIXED) thrift_i32(thrift, 2, element->type_length);
  }
  if (!is_root) thrift_i32(thrift, 3, (int32_t)element->repetition);
  thrift_string(thrift, 4, element->name);
  if (!element->is_leaf) thrift_i32(thrift, 5, element->child_count);
  int converted = converted_type(logical);
  if (converted != CONVERTED_NONE) thrift_i32(thrift, 6, converted);
  if (logical->kind == PARQUET_LOGICAL_DECIMAL) {
    thrift_i32(thrift, 7, logical->scale);
    thrift_i32(thrift, 8, logical->precision);
  }
  if (element->field_id != PARQUET_NO_FIELD_ID && !is_root)
    thrift_i32(thrift, 9, element->field_id);
  if (logical->kind != PARQUET_LOGICAL_NONE) logical_type(thrift, logical);
  thrift_struct_end(thrift);
}

/* ---- column chunks ----------------------------------------------------------------------- */

/* The old min and max are compared as signed numbers by whoever reads them, so they are only of types
 * whose order that is, and never of byte arrays: old readers compare those as signed bytes. */
static bool has_old_bounds(const struct parquet_leaf *leaf) {
  return leaf->order == PARQUET_ORDER_SIGNED || leaf->order == PARQUET_ORDER_FLOAT;
}

static void put_bound(struct thrift *thrift, int16_t field, const struct parquet_bound *bound) {
  thrift_binary(thrift, field, bound->data, bound->size_bytes);
}

static void statistics_of_chunk(struct thrift *thrift, const struct parquet_leaf *leaf,
                                const struct parquet_chunk_info *chunk) {
  const struct parquet_statistics *statistics = &chunk->statistics;
  bool has_bounds = statistics->has_bounds && leaf->order != PARQUET_ORDER_NONE;
  thrift_struct(thrift, 12);
  if (has_bounds && has_old_bounds(leaf)) {
    put_bound(thrift, 1, &statistics->max);
    put_bound(thrift, 2, &statistics->min);
  }
  thrift_i64(thrift, 3, statistics->null_count);
  if (chunk->distinct_count >= 0) thrift_i64(thrift, 4, chunk->distinct_count);
  if (has_bounds) {
    put_bound(thrift, 5, &statistics->max);
    put_bound(thrift, 6, &statistics->min);
    thrift_bool(thrift, 7, statistics->max.is_exact);
    thrift_bool(thrift, 8, statistics->min.is_exact);
  }
  if (parquet_has_nans(leaf)) thrift_i64(thrift, 9, statistics->nan_count);
  thrift_struct_end(thrift);
}

/* All that is used: by data pages, by the dictionary page, and RLE, which every data page's header
 * names as the encoding of its levels. */
static bool uses_encoding(const struct parquet_chunk_info *chunk, int encoding) {
  if (chunk->pages_of_encoding[encoding] > 0 || encoding == PARQUET_RLE) return true;
  return encoding == PARQUET_PLAIN && chunk->dictionary_page_offset_bytes >= 0;
}

static void encodings(struct thrift *thrift, const struct parquet_chunk_info *chunk) {
  int count = 0;
  for (int i = 0; i < PARQUET_ENCODINGS; i++) count += uses_encoding(chunk, i);
  thrift_list(thrift, 2, THRIFT_I32, count);
  for (int i = 0; i < PARQUET_ENCODINGS; i++)
    if (uses_encoding(chunk, i)) thrift_item_i32(thrift, i);
}

static void encoding_stat(struct thrift *thrift, enum parquet_page_type type, int encoding,
                          int64_t pages) {
  thrift_item_struct(thrift);
  thrift_i32(thrift, 1, (int32_t)type);
  thrift_i32(thrift, 2, encoding);
  thrift_i32(thrift, 3, pages > INT32_MAX ? INT32_MAX : (int32_t)pages);
  thrift_struct_end(thrift);
}

/* Readers take from it that a dictionary holds all values, and then skip by the dictionary alone. */
static void encoding_stats(struct thrift *thrift, const struct parquet_chunk_info *chunk) {
  bool has_dictionary = chunk->dictionary_page_offset_bytes >= 0;
  int count = has_dictionary;
  for (int i = 0; i < PARQUET_ENCODINGS; i++) count += chunk->pages_of_encoding[i] > 0;
  if (count == 0) return;
  thrift_list(thrift, 13, THRIFT_STRUCT, count);
  if (has_dictionary) encoding_stat(thrift, PARQUET_DICTIONARY_PAGE, PARQUET_PLAIN, 1);
  for (int i = 0; i < PARQUET_ENCODINGS; i++)
    if (chunk->pages_of_encoding[i] > 0)
      encoding_stat(thrift, chunk->data_page_type, i, chunk->pages_of_encoding[i]);
}

static void size_statistics(struct thrift *thrift, const struct parquet_leaf *leaf,
                            const struct parquet_chunk_info *chunk) {
  bool has_bytes = leaf->type == PARQUET_BYTE_ARRAY && chunk->byte_array_bytes >= 0;
  bool has_rep = parquet_tells_repetition(leaf) && chunk->rep_histogram != NULL;
  bool has_def = parquet_tells_definition(leaf) && chunk->def_histogram != NULL;
  if (!has_bytes && !has_rep && !has_def) return;
  thrift_struct(thrift, 16);
  if (has_bytes) thrift_i64(thrift, 1, chunk->byte_array_bytes);
  if (has_rep) parquet_put_counts(thrift, 2, chunk->rep_histogram, leaf->max_rep + 1);
  if (has_def) parquet_put_counts(thrift, 3, chunk->def_histogram, leaf->max_def + 1);
  thrift_struct_end(thrift);
}

static void column_metadata(struct thrift *thrift, const struct parquet_leaf *leaf,
                            const struct parquet_chunk_info *chunk) {
  thrift_struct(thrift, 3);
  thrift_i32(thrift, 1, (int32_t)leaf->type);
  encodings(thrift, chunk);
  thrift_list(thrift, 3, THRIFT_BINARY, leaf->path_count);
  for (int32_t i = 0; i < leaf->path_count; i++)
    thrift_item_binary(thrift, leaf->path[i], (int64_t)strlen(leaf->path[i]));
  thrift_i32(thrift, 4, (int32_t)chunk->codec);
  thrift_i64(thrift, 5, chunk->value_count);
  thrift_i64(thrift, 6, chunk->uncompressed_bytes);
  thrift_i64(thrift, 7, chunk->compressed_bytes);
  thrift_i64(thrift, 9, chunk->data_page_offset_bytes);
  if (chunk->dictionary_page_offset_bytes >= 0)
    thrift_i64(thrift, 11, chunk->dictionary_page_offset_bytes);
  if (chunk->has_statistics) statistics_of_chunk(thrift, leaf, chunk);
  encoding_stats(thrift, chunk);
  if (chunk->bloom_offset_bytes >= 0) {
    thrift_i64(thrift, 14, chunk->bloom_offset_bytes);
    thrift_i32(thrift, 15, chunk->bloom_bytes);
  }
  size_statistics(thrift, leaf, chunk);
  thrift_struct_end(thrift);
}

static void column_chunk(struct thrift *thrift, const struct parquet_leaf *leaf,
                         const struct parquet_chunk_info *chunk) {
  thrift_item_struct(thrift);
  thrift_i64(thrift, 2, 0); /* deprecated, required: no ColumnMetaData but the footer's */
  column_metadata(thrift, leaf, chunk);
  if (chunk->offset_index_offset_bytes >= 0) {
    thrift_i64(thrift, 4, chunk->offset_index_offset_bytes);
    thrift_i32(thrift, 5, chunk->offset_index_bytes);
  }
  if (chunk->column_index_offset_bytes >= 0) {
    thrift_i64(thrift, 6, chunk->column_index_offset_bytes);
    thrift_i32(thrift, 7, chunk->column_index_bytes);
  }
  thrift_struct_end(thrift);
}

/* ---- row groups, the file ---------------------------------------------------------------- */

static void sorting_columns(struct thrift *thrift, const struct parquet_footer *footer) {
  if (footer->sorting_count == 0) return;
  thrift_list(thrift, 4, THRIFT_STRUCT, footer->sorting_count);
  for (int64_t i = 0; i < footer->sorting_count; i++) {
    thrift_item_struct(thrift);
    thrift_i32(thrift, 1, footer->sorting[i].leaf);
    thrift_bool(thrift, 2, footer->sorting[i].is_descending);
    thrift_bool(thrift, 3, footer->sorting[i].nulls_first);
    thrift_struct_end(thrift);
  }
}

static void row_group(struct thrift *thrift, const struct parquet_footer *footer, int64_t number) {
  const struct parquet_group_info *group = &footer->groups[number];
  const struct parquet_schema *schema = footer->schema;
  int64_t uncompressed_bytes = 0, compressed_bytes = 0;
  thrift_item_struct(thrift);
  thrift_list(thrift, 1, THRIFT_STRUCT, schema->leaf_count);
  for (int32_t i = 0; i < schema->leaf_count; i++) {
    column_chunk(thrift, &schema->leaves[i], &group->chunks[i]);
    uncompressed_bytes += group->chunks[i].uncompressed_bytes;
    compressed_bytes += group->chunks[i].compressed_bytes;
  }
  thrift_i64(thrift, 2, uncompressed_bytes);
  thrift_i64(thrift, 3, group->row_count);
  sorting_columns(thrift, footer);
  thrift_i64(thrift, 5, group->offset_bytes);
  thrift_i64(thrift, 6, compressed_bytes);
  if (footer->group_count <= ORDINALS) thrift_i16(thrift, 7, (int16_t)number);
  thrift_struct_end(thrift);
}

static void key_values(struct thrift *thrift, const struct parquet_footer *footer) {
  if (footer->key_value_count == 0) return;
  thrift_list(thrift, 5, THRIFT_STRUCT, footer->key_value_count);
  for (int64_t i = 0; i < footer->key_value_count; i++) {
    thrift_item_struct(thrift);
    thrift_string(thrift, 1, footer->key_values[i].key);
    if (footer->key_values[i].value != NULL) thrift_string(thrift, 2, footer->key_values[i].value);
    thrift_struct_end(thrift);
  }
}

/* TYPE_ORDER for every leaf: without it min_value and max_value mean nothing. (IEEE_754_TOTAL_ORDER
 * for floats would make readers that do not know it yet pass over their bounds.) */
static void column_orders(struct thrift *thrift, int32_t leaf_count) {
  thrift_list(thrift, 7, THRIFT_STRUCT, leaf_count);
  for (int32_t i = 0; i < leaf_count; i++) {
    thrift_item_struct(thrift);
    thrift_struct(thrift, 1);
    thrift_struct_end(thrift);
    thrift_struct_end(thrift);
  }
}

enum status parquet_footer_write(const struct parquet_footer *footer, struct budget *budget,
                                 struct buffer *out, struct error *error) {
  const struct parquet_schema *schema = footer->schema;
  int64_t start_bytes = out->size_bytes;
  struct thrift thrift;
  thrift_start(&thrift, out, budget);
  thrift_i32(&thrift, 1, FILE_VERSION);
  thrift_list(&thrift, 2, THRIFT_STRUCT, schema->element_count);
  for (int32_t i = 0; i < schema->element_count; i++)
    schema_element(&thrift, &schema->elements[i], i == 0);
  thrift_i64(&thrift, 3, footer->row_count);
  thrift_list(&thrift, 4, THRIFT_STRUCT, footer->group_count);
  for (int64_t i = 0; i < footer->group_count; i++) row_group(&thrift, footer, i);
  key_values(&thrift, footer);
  if (footer->created_by != NULL) thrift_string(&thrift, 6, footer->created_by);
  column_orders(&thrift, schema->leaf_count);
  enum status status = thrift_end(&thrift, error);
  if (status != STATUS_OK) return status;

  int64_t bytes = out->size_bytes - start_bytes;
  if (bytes <= INT32_MAX) return STATUS_OK;
  out->size_bytes = start_bytes;
  return error_set(error, STATUS_TOO_LARGE,
                   "the file's footer would be of %lld bytes and the most is %d: make larger row "
                   "groups (%lld of %d columns now), or several files",
                   (long long)bytes, INT32_MAX, (long long)footer->group_count,
                   (int)schema->leaf_count);
}
