/* DuckDB's result chunks gathered into Arrow record batches.
 *
 * DuckDB's own conversion makes an array of each chunk of 2,048 rows, which would
 * have to be copied again into batches of a useful size. Here values go from DuckDB's
 * vectors into the growing buffers of the batch, once.
 *
 * Invariants: a column's buffers hold exactly its `rows`; an append that fails is
 * taken back (`mark`), so that the rows before it still make a batch; what a batch
 * holds is charged to the budget until it is released. */
#include "engine/collect.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/column.h"

/* ---- types ------------------------------------------------------------------------------------------ */

static const struct collect_rule {
  duckdb_type type;
  const char *sql;
  const char *format; /* NULL: made up from parameters */
  column_append *append;
  int width;
  bool offsets;
  const char *arrow, *note;
} rules[] = {
    {DUCKDB_TYPE_SQLNULL, "NULL", "n", append_null, 0, false, "null", ""},
    {DUCKDB_TYPE_BOOLEAN, "BOOLEAN", "b", append_boolean, 0, false, "bool", ""},
    {DUCKDB_TYPE_TINYINT, "TINYINT", "c", append_fixed, 1, false, "int8", ""},
    {DUCKDB_TYPE_SMALLINT, "SMALLINT", "s", append_fixed, 2, false, "int16", ""},
    {DUCKDB_TYPE_INTEGER, "INTEGER", "i", append_fixed, 4, false, "int32", ""},
    {DUCKDB_TYPE_BIGINT, "BIGINT", "l", append_fixed, 8, false, "int64", ""},
    {DUCKDB_TYPE_UTINYINT, "UTINYINT", "C", append_fixed, 1, false, "uint8", ""},
    {DUCKDB_TYPE_USMALLINT, "USMALLINT", "S", append_fixed, 2, false, "uint16", ""},
    {DUCKDB_TYPE_UINTEGER, "UINTEGER", "I", append_fixed, 4, false, "uint32", ""},
    {DUCKDB_TYPE_UBIGINT, "UBIGINT", "L", append_fixed, 8, false, "uint64", ""},
    {DUCKDB_TYPE_HUGEINT, "HUGEINT", "d:38,0", append_huge, 16, false, "decimal128(38, 0)",
     "a value of 39 digits is refused"},
    {DUCKDB_TYPE_UHUGEINT, "UHUGEINT", "d:38,0", append_huge, 16, false, "decimal128(38, 0)",
     "a value of 39 digits is refused"},
    {DUCKDB_TYPE_FLOAT, "FLOAT", "f", append_fixed, 4, false, "float32", ""},
    {DUCKDB_TYPE_DOUBLE, "DOUBLE", "g", append_fixed, 8, false, "float64", ""},
    {DUCKDB_TYPE_DECIMAL, "DECIMAL(p,s)", NULL, append_decimal, 16, false, "decimal128(p, s)", ""},
    {DUCKDB_TYPE_VARCHAR, "VARCHAR", "u", append_bytes, 0, true, "utf8", "also JSON"},
    {DUCKDB_TYPE_BLOB, "BLOB", "z", append_bytes, 0, true, "binary", ""},
    {DUCKDB_TYPE_ENUM, "ENUM", "u", append_enum, 0, true, "utf8", "the words"},
    {DUCKDB_TYPE_UUID, "UUID", "u", append_uuid, 0, true, "utf8", "36 characters"},
    {DUCKDB_TYPE_BIT, "BIT", "u", append_bit, 0, true, "utf8", "a 0 or 1 for each bit"},
    {DUCKDB_TYPE_DATE, "DATE", "tdD", append_date, 4, false, "date32", "infinity is refused"},
    {DUCKDB_TYPE_TIME, "TIME", "ttu", append_fixed, 8, false, "time64[us]", ""},
    {DUCKDB_TYPE_TIME_NS, "TIME_NS", "ttn", append_fixed, 8, false, "time64[ns]", ""},
    {DUCKDB_TYPE_TIMESTAMP_S, "TIMESTAMP_S", "tss:", append_timestamp, 8, false, "timestamp[s]",
     "infinity is refused"},
    {DUCKDB_TYPE_TIMESTAMP_MS, "TIMESTAMP_MS", "tsm:", append_timestamp, 8, false, "timestamp[ms]",
     "infinity is refused"},
    {DUCKDB_TYPE_TIMESTAMP, "TIMESTAMP", "tsu:", append_timestamp, 8, false, "timestamp[us]",
     "infinity is refused"},
    {DUCKDB_TYPE_TIMESTAMP_NS, "TIMESTAMP_NS", "tsn:", append_timestamp, 8, false, "timestamp[ns]",
     "infinity is refused"},
    {DUCKDB_TYPE_TIMESTAMP_TZ, "TIMESTAMP WITH TIME ZONE", "tsu:UTC", append_timestamp, 8, false,
     "timestamp[us, UTC]", "infinity is refused"},
    {DUCKDB_TYPE_INTERVAL, "INTERVAL", "tin", append_interval, 16, false,
     "interval[month_day_nano]", "more than 292 years of microseconds are refused"},
    {DUCKDB_TYPE_LIST, "T[]", "+l", append_list, 0, true, "list<T>", ""},
    {DUCKDB_TYPE_ARRAY, "T[n]", NULL, append_array, 0, false, "fixed_size_list<T>[n]", ""},
    {DUCKDB_TYPE_STRUCT, "STRUCT(...)", "+s", append_struct, 0, false, "struct<...>", ""},
    {DUCKDB_TYPE_MAP, "MAP(K, V)", "+m", append_list, 0, true, "map<K, V>", ""},
    {DUCKDB_TYPE_TIME_TZ, "TIME WITH TIME ZONE", NULL, NULL, 0, false, NULL, "cast it to VARCHAR"},
    {DUCKDB_TYPE_UNION, "UNION", NULL, NULL, 0, false, NULL, "cast it to VARCHAR"},
    {DUCKDB_TYPE_BIGNUM, "BIGNUM", NULL, NULL, 0, false, NULL, "cast it to VARCHAR"},
    {DUCKDB_TYPE_VARIANT, "VARIANT", NULL, NULL, 0, false, NULL, "cast it to VARCHAR"},
    {DUCKDB_TYPE_GEOMETRY, "GEOMETRY", NULL, NULL, 0, false, NULL, "cast it to VARCHAR"},
};

enum { RULE_COUNT = sizeof rules / sizeof rules[0] };

static const struct collect_rule *rule_of(duckdb_type type) {
  for (int i = 0; i < RULE_COUNT; i++)
    if (rules[i].type == type) return &rules[i];
  return NULL;
}

static enum status column_init(struct column *column, const struct duckdb_api *duckdb,
                               struct budget *budget, duckdb_logical_type type, const char *name,
                               bool nullable, struct ArrowSchema *schema, struct error *error);

static enum status init_enum(struct column *column, duckdb_logical_type type, struct error *error) {
  const struct duckdb_api *duckdb = column->duckdb;
  uint32_t count = duckdb->enum_dictionary_size(type);
  column->internal = duckdb->enum_internal_type(type);
  column->word_offsets = calloc((size_t)count + 1, sizeof *column->word_offsets);
  if (column->word_offsets == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for the %u words of an ENUM", count);
  for (uint32_t i = 0; i < count; i++) {
    char *word = duckdb->enum_dictionary_value(type, i);
    int64_t bytes = word == NULL ? 0 : (int64_t)strlen(word);
    enum status status = block_reserve(&column->words, NULL, bytes + 1, 0, error);
    if (status == STATUS_OK && bytes > 0) {
      memcpy(column->words.data + column->words.size_bytes, word, (size_t)bytes);
      column->words.size_bytes += bytes;
    }
    duckdb->free(word);
    if (status != STATUS_OK) return status;
    column->word_offsets[i + 1] = (uint32_t)column->words.size_bytes;
  }
  return STATUS_OK;
}

/* Takes the child's handle. */
static enum status init_child(struct column *column, int64_t index, duckdb_logical_type type,
                              const char *name, bool nullable, struct ArrowSchema *schema,
                              struct error *error) {
  enum status status = column_init(&column->children[index], column->duckdb, column->budget, type,
                                   name, nullable, schema->children[index], error);
  column->duckdb->destroy_logical_type(&type);
  return status;
}

static enum status init_map(struct column *column, duckdb_logical_type type,
                            struct ArrowSchema *schema, struct error *error) {
  /* Its entries: a struct that exists only in Arrow's words, so made by hand. */
  struct column *entries = &column->children[0];
  struct ArrowSchema *entries_schema = schema->children[0];
  enum status status = arrow_schema_init(entries_schema, "+s", "entries", false, 2, error);
  if (status != STATUS_OK) return status;
  *entries = (struct column){.duckdb = column->duckdb,
                             .budget = column->budget,
                             .type = DUCKDB_TYPE_STRUCT,
                             .append = append_struct,
                             .name = column->name,
                             .has_validity_buffer = true};
  entries->children = calloc(2, sizeof *entries->children);
  if (entries->children == NULL) return error_set(error, STATUS_NOMEM, "no memory for a map");
  entries->child_count = 2;
  status = init_child(entries, 0, column->duckdb->map_type_key_type(type), "key", false,
                      entries_schema, error);
  if (status == STATUS_OK)
    status = init_child(entries, 1, column->duckdb->map_type_value_type(type), "value", true,
                        entries_schema, error);
  return status;
}

static enum status init_children(struct column *column, duckdb_logical_type type,
                                 struct ArrowSchema *schema, struct error *error) {
  const struct duckdb_api *duckdb = column->duckdb;
  int64_t count = schema->n_children;
  if (count == 0) return STATUS_OK;
  column->children = calloc((size_t)count, sizeof *column->children);
  if (column->children == NULL) return error_set(error, STATUS_NOMEM, "no memory for columns");
  column->child_count = count;
  switch (column->type) {
  case DUCKDB_TYPE_LIST:
    return init_child(column, 0, duckdb->list_type_child_type(type), "item", true, schema, error);
  case DUCKDB_TYPE_ARRAY:
    return init_child(column, 0, duckdb->array_type_child_type(type), "item", true, schema, error);
  case DUCKDB_TYPE_MAP: return init_map(column, type, schema, error);
  default: break;
  }
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < count && status == STATUS_OK; i++) {
    char *name = duckdb->struct_type_child_name(type, (idx_t)i);
    status = init_child(column, i, duckdb->struct_type_child_type(type, (idx_t)i), name, true,
                        schema, error);
    duckdb->free(name);
  }
  return status;
}

static enum status column_init(struct column *column, const struct duckdb_api *duckdb,
                               struct budget *budget, duckdb_logical_type type, const char *name,
                               bool nullable, struct ArrowSchema *schema, struct error *error) {
  duckdb_type id = duckdb->get_type_id(type);
  const struct collect_rule *rule = rule_of(id);
  if (rule == NULL || rule->append == NULL)
    return error_set(error, STATUS_UNSUPPORTED,
                     "column \"%s\" has the type %s, which has no Arrow type here: %s", name,
                     rule == NULL ? "?" : rule->sql, rule == NULL ? "cast it" : rule->note);
  *column = (struct column){.duckdb = duckdb,
                            .budget = budget,
                            .type = id,
                            .append = rule->append,
                            .width = rule->width,
                            .has_validity_buffer = id != DUCKDB_TYPE_SQLNULL,
                            .has_offsets = rule->offsets};
  char made[48];
  const char *format = rule->format != NULL ? rule->format : made;
  int64_t children = 0;
  if (id == DUCKDB_TYPE_DECIMAL) {
    column->internal = duckdb->decimal_internal_type(type);
    snprintf(made, sizeof made, "d:%d,%d", duckdb->decimal_width(type),
             duckdb->decimal_scale(type));
  } else if (id == DUCKDB_TYPE_ARRAY) {
    column->width = (int)duckdb->array_type_array_size(type);
    snprintf(made, sizeof made, "+w:%d", column->width);
    children = 1;
  } else if (id == DUCKDB_TYPE_LIST || id == DUCKDB_TYPE_MAP) {
    children = 1;
  } else if (id == DUCKDB_TYPE_STRUCT) {
    children = (int64_t)duckdb->struct_type_child_count(type);
  }
  enum status status = arrow_schema_init(schema, format, name, nullable, children, error);
  if (status != STATUS_OK) return status;
  column->name = schema->name;
  if (id == DUCKDB_TYPE_ENUM) return init_enum(column, type, error);
  return init_children(column, type, schema, error);
}

/* ---- the collector ------------------------------------------------------------------------------------- */

struct collector {
  const struct duckdb_api *duckdb;
  struct budget *budget;
  struct ArrowSchema schema;
  struct column *columns;
  int64_t column_count;
  int64_t rows;        /* of the batch */
  int64_t rows_before; /* of earlier batches */
};

enum status collector_new(const struct duckdb_api *duckdb, duckdb_result *result,
                          struct budget *budget, struct collector **out, struct error *error) {
  *out = NULL;
  struct collector *collector = calloc(1, sizeof *collector);
  if (collector == NULL) return error_set(error, STATUS_NOMEM, "no memory for a result");
  collector->duckdb = duckdb;
  collector->budget = budget;
  int64_t count = duckdb->result_return_type(*result) != DUCKDB_RESULT_TYPE_NOTHING
                      ? (int64_t)duckdb->column_count(result)
                      : 0;
  enum status status = arrow_schema_init(&collector->schema, "+s", "", false, count, error);
  if (status != STATUS_OK) goto done;
  collector->columns = calloc((size_t)count + 1, sizeof *collector->columns);
  if (collector->columns == NULL) {
    status = error_set(error, STATUS_NOMEM, "no memory for a result's columns");
    goto done;
  }
  for (int64_t i = 0; i < count && status == STATUS_OK; i++) {
    collector->column_count = i + 1;
    duckdb_logical_type type = duckdb->column_logical_type(result, (idx_t)i);
    status = column_init(&collector->columns[i], duckdb, budget, type,
                         duckdb->column_name(result, (idx_t)i), true, collector->schema.children[i],
                         error);
    duckdb->destroy_logical_type(&type);
  }

done:
  if (status != STATUS_OK) {
    collector_free(collector);
    collector = NULL;
  }
  *out = collector;
  return status;
}

enum status collector_field(const struct duckdb_api *duckdb, duckdb_logical_type type,
                            const char *name, struct ArrowSchema *schema, struct error *error) {
  struct column column = {0};
  *schema = (struct ArrowSchema){0};
  enum status status = column_init(&column, duckdb, NULL, type, name, true, schema, error);
  column_release(&column);
  if (status != STATUS_OK) arrow_schema_release(schema);
  return status;
}

void collector_free(struct collector *collector) {
  if (collector == NULL) return;
  for (int64_t i = 0; i < collector->column_count; i++) column_release(&collector->columns[i]);
  free(collector->columns);
  arrow_schema_release(&collector->schema);
  free(collector);
}

const struct ArrowSchema *collector_schema(const struct collector *collector) {
  return &collector->schema;
}

int64_t collector_rows(const struct collector *collector) { return collector->rows; }

static int64_t column_bytes(const struct column *column) {
  int64_t bytes = column->data.size_bytes + (column->has_offsets ? column->rows * 4 : 0);
  for (int64_t i = 0; i < column->child_count; i++) bytes += column_bytes(&column->children[i]);
  return bytes;
}

int64_t collector_bytes(const struct collector *collector) {
  int64_t bytes = 0;
  for (int64_t i = 0; i < collector->column_count; i++)
    bytes += column_bytes(&collector->columns[i]);
  return bytes;
}

static enum status try_append(struct collector *collector, duckdb_data_chunk chunk, int64_t from,
                              int64_t rows, struct error *error) {
  for (int64_t i = 0; i < collector->column_count; i++) column_mark(&collector->columns[i]);
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < collector->column_count && status == STATUS_OK; i++) {
    struct column *column = &collector->columns[i];
    duckdb_vector vector = collector->duckdb->data_chunk_get_vector(chunk, (idx_t)i);
    status = column->append(column, vector, from, rows, error);
  }
  if (status != STATUS_OK)
    for (int64_t i = 0; i < collector->column_count; i++) column_take_back(&collector->columns[i]);
  return status;
}

enum status collector_append(struct collector *collector, duckdb_data_chunk chunk, int64_t from,
                             int64_t rows, struct error *error) {
  enum status status = try_append(collector, chunk, from, rows, error);
  if (status == STATUS_OK) collector->rows += rows;
  if (status != STATUS_SCHEMA) return status;
  for (int64_t i = 0; i < rows; i++) { /* which row was it? */
    struct error found = {0};
    if (try_append(collector, chunk, from + i, 1, &found) == STATUS_OK) continue;
    if (error != NULL) *error = found;
    error_at(error, "row %lld (the first is 0)",
             (long long)(collector->rows_before + collector->rows + i));
    break;
  }
  return status;
}

/* ---- batches ------------------------------------------------------------------------------------------ */

/* What an array of a batch owns. */
struct owned {
  struct budget *budget;
  struct block blocks[3];
  const void *buffers[3];
  struct ArrowArray *arrays; /* the children */
  struct ArrowArray **pointers;
  int64_t child_count;
};

static void owned_release(struct ArrowArray *array) {
  struct owned *owned = array->private_data;
  for (int64_t i = 0; i < owned->child_count; i++) arrow_array_release(&owned->arrays[i]);
  free(owned->arrays);
  free(owned->pointers);
  for (int i = 0; i < 3; i++) block_release(&owned->blocks[i], owned->budget);
  free(owned);
  array->release = NULL;
}

/* An array without buffers, with room for its children; NULL without memory. */
static struct owned *owned_new(struct ArrowArray *array, struct budget *budget, int64_t children) {
  struct owned *owned = calloc(1, sizeof *owned);
  if (owned == NULL) return NULL;
  owned->budget = budget;
  owned->child_count = children;
  if (children > 0) {
    owned->arrays = calloc((size_t)children, sizeof *owned->arrays);
    owned->pointers = calloc((size_t)children, sizeof *owned->pointers);
    if (owned->arrays == NULL || owned->pointers == NULL) {
      free(owned->arrays);
      free(owned->pointers);
      free(owned);
      return NULL;
    }
  }
  for (int64_t i = 0; i < children; i++) owned->pointers[i] = &owned->arrays[i];
  *array = (struct ArrowArray){.n_children = children,
                               .buffers = owned->buffers,
                               .children = owned->pointers,
                               .release = owned_release,
                               .private_data = owned};
  return owned;
}

/* All arrays first, so that nothing is moved when memory runs out. */
static enum status arrays_new(const struct column *column, struct ArrowArray *array,
                              struct error *error) {
  struct owned *owned = owned_new(array, column->budget, column->child_count);
  if (owned == NULL) return error_set(error, STATUS_NOMEM, "no memory for a batch");
  for (int64_t i = 0; i < column->child_count; i++) {
    enum status status = arrays_new(&column->children[i], &owned->arrays[i], error);
    if (status != STATUS_OK) return status;
  }
  return STATUS_OK;
}

static void column_move(struct column *column, struct ArrowArray *array) {
  struct owned *owned = array->private_data; /* made by arrays_new */
  assert(owned != NULL);
  int count = 0;
  array->length = column->rows;
  array->null_count = column->null_count;
  column->hint_rows = column->rows;
  column->data_hint_bytes = column->data.size_bytes + column->data.size_bytes / 16;
  if (column->has_validity_buffer) {
    owned->blocks[0] = column->validity;
    owned->buffers[count++] = column->null_count > 0 ? column->validity.data : NULL;
  }
  if (column->has_offsets) {
    owned->blocks[1] = column->offsets;
    owned->buffers[count++] = column->offsets.data;
  }
  bool nested = column->child_count > 0 || column->type == DUCKDB_TYPE_SQLNULL;
  if (!nested) {
    owned->blocks[2] = column->data;
    owned->buffers[count++] = column->data.data;
  }
  array->n_buffers = count;
  column->validity = column->offsets = column->data = (struct block){0};
  column->rows = column->null_count = 0;
  for (int64_t i = 0; i < column->child_count; i++)
    column_move(&column->children[i], &owned->arrays[i]);
}

enum status collector_finish(struct collector *collector, struct ArrowArray *batch,
                             struct error *error) {
  *batch = (struct ArrowArray){0};
  struct owned *owned = owned_new(batch, collector->budget, collector->column_count);
  if (owned == NULL) return error_set(error, STATUS_NOMEM, "no memory for a batch");
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < collector->column_count && status == STATUS_OK; i++) {
    status = column_settle(&collector->columns[i], error);
    if (status == STATUS_OK) status = arrays_new(&collector->columns[i], &owned->arrays[i], error);
  }
  if (status != STATUS_OK) {
    arrow_array_release(batch);
    return status;
  }
  for (int64_t i = 0; i < collector->column_count; i++)
    column_move(&collector->columns[i], &owned->arrays[i]);
  batch->length = collector->rows;
  batch->n_buffers = 1; /* no validity: a record batch has none */
  collector->rows_before += collector->rows;
  collector->rows = 0;
  return STATUS_OK;
}

enum status collector_document(struct text *out, struct error *error) {
  enum status status = text_add(out, "| DuckDB | Arrow | |\n|---|---|---|\n", error);
  for (int i = 0; i < RULE_COUNT && status == STATUS_OK; i++)
    status = text_add_format(out, error, "| `%s` | %s%s%s | %s |\n", rules[i].sql,
                             rules[i].arrow != NULL ? "`" : "",
                             rules[i].arrow != NULL ? rules[i].arrow : "**refused**",
                             rules[i].arrow != NULL ? "`" : "", rules[i].note);
  return status;
}
