/* A row of Arrow arrays as the parameters of a statement.
 *
 * The row is put into a chunk of DuckDB's by the same functions that land rows (fill.c), so what is
 * exact there is exact here, and what is refused there is refused here, in the same words; values are
 * then made of the chunk. A value has the type that its Arrow field lands in. Where the statement
 * expects another one DuckDB casts it, as it does with any parameter.
 *
 * DuckDB binds a statement again when a parameter's type is not the one that it expected (170 us
 * instead of 40 for a small INSERT), so whole numbers are given the expected type where the caller
 * says that this changes nothing. */
#include "engine/bind.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/types.h"

struct binding {
  const struct duckdb_api *duckdb;
  struct ArrowSchema schema; /* the landings point into it */
  struct landing *landings;
  duckdb_logical_type *types;
  int64_t count;
  duckdb_data_chunk chunk;
};

void binding_free(struct binding *binding) {
  if (binding == NULL) return;
  const struct duckdb_api *duckdb = binding->duckdb;
  if (binding->chunk != NULL) duckdb->destroy_data_chunk(&binding->chunk);
  for (int64_t i = 0; i < binding->count; i++) {
    duckdb->destroy_logical_type(&binding->types[i]);
    landing_release(&binding->landings[i]);
  }
  free(binding->types);
  free(binding->landings);
  arrow_schema_release(&binding->schema);
  free(binding);
}

enum status binding_new(const struct duckdb_api *duckdb, const struct ArrowSchema *schema,
                        struct binding **out, struct error *error) {
  *out = NULL;
  struct binding *binding = calloc(1, sizeof *binding);
  if (binding == NULL) return error_set(error, STATUS_NOMEM, "no memory for parameters");
  binding->duckdb = duckdb;
  enum status status = arrow_schema_copy(schema, &binding->schema, error);
  if (status != STATUS_OK) goto done;
  size_t count = (size_t)binding->schema.n_children;
  binding->landings = calloc(count + 1, sizeof *binding->landings);
  binding->types = calloc(count + 1, sizeof(duckdb_logical_type));
  if (binding->landings == NULL || binding->types == NULL) {
    status = error_set(error, STATUS_NOMEM, "no memory for %zu parameters", count);
    goto done;
  }
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    status = landing_init(&binding->landings[i], duckdb, binding->schema.children[i], error);
    if (status != STATUS_OK) break;
    binding->types[i] = landing_logical(&binding->landings[i]);
    binding->count = (int64_t)i + 1;
  }
  if (status != STATUS_OK) {
    error_at(error, "the parameters");
    goto done;
  }
  binding->chunk = duckdb->create_data_chunk(binding->types, (idx_t)count);
  if (binding->chunk == NULL)
    status = error_set(error, STATUS_NOMEM, "no memory for %zu parameters", count);

done:
  if (status != STATUS_OK) {
    binding_free(binding);
    binding = NULL;
  }
  *out = binding;
  return status;
}

bool binding_is_of(const struct binding *binding, const struct ArrowSchema *schema) {
  return binding != NULL && arrow_schema_equal(&binding->schema, schema, NULL);
}

/* ---- values --------------------------------------------------------------------------- */

/* Whole numbers, in the type that is wanted where it is one that holds them. */
static duckdb_value signed_value(const struct duckdb_api *duckdb, duckdb_type type, int64_t value) {
  switch (type) {
  case DUCKDB_TYPE_TINYINT: return duckdb->create_int8((int8_t)value);
  case DUCKDB_TYPE_SMALLINT: return duckdb->create_int16((int16_t)value);
  case DUCKDB_TYPE_INTEGER: return duckdb->create_int32((int32_t)value);
  case DUCKDB_TYPE_UTINYINT: return duckdb->create_uint8((uint8_t)value);
  case DUCKDB_TYPE_USMALLINT: return duckdb->create_uint16((uint16_t)value);
  case DUCKDB_TYPE_UINTEGER: return duckdb->create_uint32((uint32_t)value);
  case DUCKDB_TYPE_UBIGINT: return duckdb->create_uint64((uint64_t)value);
  default: return duckdb->create_int64(value);
  }
}

static bool holds(duckdb_type type, int64_t value) {
  bool is_signed;
  int bits = types_integer_bits(type, &is_signed);
  if (bits == 0 || (value < 0 && !is_signed)) return false;
  int64_t max = bits >= 63 ? INT64_MAX : (INT64_C(1) << bits) - 1;
  return value <= max && value >= -max - 1;
}

static duckdb_value integer_value(const struct duckdb_api *duckdb, duckdb_type type,
                                  const void *data, duckdb_type wanted) {
  int64_t value = 0;
  switch (type) {
  case DUCKDB_TYPE_TINYINT: value = *(const int8_t *)data; break;
  case DUCKDB_TYPE_SMALLINT: value = *(const int16_t *)data; break;
  case DUCKDB_TYPE_INTEGER: value = *(const int32_t *)data; break;
  case DUCKDB_TYPE_UTINYINT: value = *(const uint8_t *)data; break;
  case DUCKDB_TYPE_USMALLINT: value = *(const uint16_t *)data; break;
  case DUCKDB_TYPE_UINTEGER: value = *(const uint32_t *)data; break;
  case DUCKDB_TYPE_UBIGINT: {
    uint64_t large = *(const uint64_t *)data;
    if (large > INT64_MAX) return duckdb->create_uint64(large);
    value = (int64_t)large;
    break;
  }
  default: value = *(const int64_t *)data; break;
  }
  return signed_value(duckdb, holds(wanted, value) ? wanted : type, value);
}

static duckdb_value decimal_value(const struct duckdb_api *duckdb, duckdb_logical_type type,
                                  const void *data, int64_t row) {
  duckdb_decimal decimal = {.width = duckdb->decimal_width(type),
                            .scale = duckdb->decimal_scale(type)};
  duckdb_type internal = duckdb->decimal_internal_type(type);
  if (internal == DUCKDB_TYPE_HUGEINT) {
    decimal.value = ((const duckdb_hugeint *)data)[row];
    return duckdb->create_decimal(decimal);
  }
  int64_t value = internal == DUCKDB_TYPE_SMALLINT  ? ((const int16_t *)data)[row]
                  : internal == DUCKDB_TYPE_INTEGER ? ((const int32_t *)data)[row]
                                                    : ((const int64_t *)data)[row];
  decimal.value = (duckdb_hugeint){.lower = (uint64_t)value, .upper = value < 0 ? -1 : 0};
  return duckdb->create_decimal(decimal);
}

static duckdb_value bytes_value(const struct duckdb_api *duckdb, const duckdb_string_t *string,
                                bool text) {
  uint32_t bytes = string->value.inlined.length;
  const char *data = bytes <= 12 ? string->value.inlined.inlined : string->value.pointer.ptr;
  return text ? duckdb->create_varchar_length(data, bytes)
              : duckdb->create_blob((const uint8_t *)data, bytes);
}

static duckdb_value value_at(const struct duckdb_api *duckdb, duckdb_logical_type type,
                             duckdb_vector vector, int64_t row, duckdb_type wanted);

static void destroy_values(const struct duckdb_api *duckdb, duckdb_value *values, int64_t count) {
  for (int64_t i = 0; values != NULL && i < count; i++)
    if (values[i] != NULL) duckdb->destroy_value(&values[i]);
  free(values);
}

/* Items [from, from + count) of a vector; takes the type. NULL without memory. */
static duckdb_value *values_of(const struct duckdb_api *duckdb, duckdb_logical_type type,
                               duckdb_vector vector, int64_t from, int64_t count) {
  duckdb_value *values = calloc((size_t)count + 1, sizeof(duckdb_value));
  bool made = values != NULL;
  for (int64_t i = 0; i < count && made; i++) {
    values[i] = value_at(duckdb, type, vector, from + i, DUCKDB_TYPE_INVALID);
    made = values[i] != NULL;
  }
  duckdb->destroy_logical_type(&type);
  if (made) return values;
  destroy_values(duckdb, values, count);
  return NULL;
}

static duckdb_value list_value(const struct duckdb_api *duckdb, duckdb_logical_type type,
                               duckdb_vector vector, int64_t row) {
  bool list = duckdb->get_type_id(type) == DUCKDB_TYPE_LIST;
  int64_t from, count;
  duckdb_vector items;
  duckdb_logical_type item;
  if (list) {
    duckdb_list_entry entry = ((const duckdb_list_entry *)duckdb->vector_get_data(vector))[row];
    from = (int64_t)entry.offset;
    count = (int64_t)entry.length;
    items = duckdb->list_vector_get_child(vector);
    item = duckdb->list_type_child_type(type);
  } else {
    count = (int64_t)duckdb->array_type_array_size(type);
    from = row * count;
    items = duckdb->array_vector_get_child(vector);
    item = duckdb->array_type_child_type(type);
  }
  duckdb_logical_type again =
      list ? duckdb->list_type_child_type(type) : duckdb->array_type_child_type(type);
  duckdb_value *values = values_of(duckdb, again, items, from, count);
  duckdb_value made = values == NULL ? NULL
                      : list         ? duckdb->create_list_value(item, values, (idx_t)count)
                                     : duckdb->create_array_value(item, values, (idx_t)count);
  destroy_values(duckdb, values, count);
  duckdb->destroy_logical_type(&item);
  return made;
}

static duckdb_value map_value(const struct duckdb_api *duckdb, duckdb_logical_type type,
                              duckdb_vector vector, int64_t row) {
  duckdb_list_entry entry = ((const duckdb_list_entry *)duckdb->vector_get_data(vector))[row];
  int64_t from = (int64_t)entry.offset, count = (int64_t)entry.length;
  duckdb_vector entries = duckdb->list_vector_get_child(vector);
  duckdb_value *keys = values_of(duckdb, duckdb->map_type_key_type(type),
                                 duckdb->struct_vector_get_child(entries, 0), from, count);
  duckdb_value *values = values_of(duckdb, duckdb->map_type_value_type(type),
                                   duckdb->struct_vector_get_child(entries, 1), from, count);
  duckdb_value made = keys == NULL || values == NULL
                          ? NULL
                          : duckdb->create_map_value(type, keys, values, (idx_t)count);
  destroy_values(duckdb, keys, count);
  destroy_values(duckdb, values, count);
  return made;
}

static duckdb_value struct_value(const struct duckdb_api *duckdb, duckdb_logical_type type,
                                 duckdb_vector vector, int64_t row) {
  int64_t count = (int64_t)duckdb->struct_type_child_count(type);
  duckdb_value *values = calloc((size_t)count + 1, sizeof(duckdb_value));
  bool made = values != NULL;
  for (int64_t i = 0; i < count && made; i++) {
    duckdb_logical_type child = duckdb->struct_type_child_type(type, (idx_t)i);
    values[i] = value_at(duckdb, child, duckdb->struct_vector_get_child(vector, (idx_t)i), row,
                         DUCKDB_TYPE_INVALID);
    made = values[i] != NULL;
    duckdb->destroy_logical_type(&child);
  }
  duckdb_value value = made ? duckdb->create_struct_value(type, values) : NULL;
  destroy_values(duckdb, values, count);
  return value;
}

/* NULL when there is no memory, or DuckDB does not make it. */
static duckdb_value value_at(const struct duckdb_api *duckdb, duckdb_logical_type type,
                             duckdb_vector vector, int64_t row, duckdb_type wanted) {
  const uint64_t *valid = duckdb->vector_get_validity(vector);
  const void *data = duckdb->vector_get_data(vector);
  duckdb_type id = duckdb->get_type_id(type);
  if (id == DUCKDB_TYPE_SQLNULL || (valid != NULL && !((valid[row >> 6] >> (row & 63)) & 1)))
    return duckdb->create_null_value();
#define AT(ctype) (((const ctype *)data)[row])
  switch (id) {
  case DUCKDB_TYPE_BOOLEAN: return duckdb->create_bool(AT(uint8_t) != 0);
  case DUCKDB_TYPE_TINYINT:
  case DUCKDB_TYPE_UTINYINT: return integer_value(duckdb, id, &AT(int8_t), wanted);
  case DUCKDB_TYPE_SMALLINT:
  case DUCKDB_TYPE_USMALLINT: return integer_value(duckdb, id, &AT(int16_t), wanted);
  case DUCKDB_TYPE_INTEGER:
  case DUCKDB_TYPE_UINTEGER: return integer_value(duckdb, id, &AT(int32_t), wanted);
  case DUCKDB_TYPE_BIGINT:
  case DUCKDB_TYPE_UBIGINT: return integer_value(duckdb, id, &AT(int64_t), wanted);
  case DUCKDB_TYPE_FLOAT: return duckdb->create_float(AT(float));
  case DUCKDB_TYPE_DOUBLE: return duckdb->create_double(AT(double));
  case DUCKDB_TYPE_DECIMAL: return decimal_value(duckdb, type, data, row);
  case DUCKDB_TYPE_VARCHAR: return bytes_value(duckdb, &AT(duckdb_string_t), true);
  case DUCKDB_TYPE_BLOB: return bytes_value(duckdb, &AT(duckdb_string_t), false);
  case DUCKDB_TYPE_DATE: return duckdb->create_date(AT(duckdb_date));
  case DUCKDB_TYPE_TIME: return duckdb->create_time(AT(duckdb_time));
  case DUCKDB_TYPE_TIME_NS: return duckdb->create_time_ns(AT(duckdb_time_ns));
  case DUCKDB_TYPE_TIMESTAMP_S: return duckdb->create_timestamp_s(AT(duckdb_timestamp_s));
  case DUCKDB_TYPE_TIMESTAMP_MS: return duckdb->create_timestamp_ms(AT(duckdb_timestamp_ms));
  case DUCKDB_TYPE_TIMESTAMP: return duckdb->create_timestamp(AT(duckdb_timestamp));
  case DUCKDB_TYPE_TIMESTAMP_NS: return duckdb->create_timestamp_ns(AT(duckdb_timestamp_ns));
  case DUCKDB_TYPE_TIMESTAMP_TZ: return duckdb->create_timestamp_tz(AT(duckdb_timestamp));
  case DUCKDB_TYPE_INTERVAL: return duckdb->create_interval(AT(duckdb_interval));
  case DUCKDB_TYPE_LIST:
  case DUCKDB_TYPE_ARRAY: return list_value(duckdb, type, vector, row);
  case DUCKDB_TYPE_MAP: return map_value(duckdb, type, vector, row);
  case DUCKDB_TYPE_STRUCT: return struct_value(duckdb, type, vector, row);
  default: return NULL; /* types.c lands in none of these */
  }
#undef AT
}

/* ---- a row ------------------------------------------------------------------------------ */

void values_clear(const struct duckdb_api *duckdb, struct query_values *values) {
  for (idx_t i = 0; i < values->count; i++)
    if (values->values[i] != NULL) duckdb->destroy_value(&values->values[i]);
}

static bool is_number(const char *name) {
  return name[0] != '\0' && strspn(name, "0123456789") == strlen(name);
}

/* The field of that name; NULL names and case do not matter. -1: none. */
static int64_t field_named(const struct binding *binding, const char *name) {
  for (int64_t i = 0; i < binding->count; i++)
    if (strcasecmp(binding->landings[i].name, name) == 0) return i;
  return -1;
}

/* By name where every parameter has one and a field of it; else by position. */
static bool goes_by_name(const struct binding *binding, const struct parameter *parameters,
                         idx_t count) {
  for (idx_t i = 0; i < count; i++)
    if (is_number(parameters[i].name) || field_named(binding, parameters[i].name) < 0) return false;
  return true;
}

enum status binding_values(struct binding *binding, const struct ArrowArray *array, int64_t row,
                           const struct parameter *parameters, bool fit,
                           struct query_values *values, struct error *error) {
  const struct duckdb_api *duckdb = binding->duckdb;
  values_clear(duckdb, values);
  if ((idx_t)binding->count != values->count)
    return error_set(error, STATUS_INVALID,
                     "the statement has %llu parameters, but %lld were given",
                     (unsigned long long)values->count, (long long)binding->count);
  if (array->n_children != binding->count || row < 0 || row >= array->length)
    return error_set(error, STATUS_INVALID, "there is no row %lld of parameters", (long long)row);
  bool by_name = goes_by_name(binding, parameters, values->count);
  duckdb->data_chunk_reset(binding->chunk);
  for (idx_t i = 0; i < values->count; i++) {
    int64_t field = by_name ? field_named(binding, parameters[i].name) : (int64_t)i;
    const struct landing *landing = &binding->landings[field];
    duckdb_vector vector = duckdb->data_chunk_get_vector(binding->chunk, (idx_t)field);
    if (landing->duck != DUCKDB_TYPE_SQLNULL) {
      enum status status =
          landing_put(landing, array->children[field], array->offset + row, 1, vector, 0, error);
      if (status != STATUS_OK) {
        error_at(error, "row %lld of the parameters (the first is 0)", (long long)row);
        return status;
      }
    }
    values->values[i] = value_at(duckdb, binding->types[field], vector, 0,
                                 fit ? parameters[i].type : DUCKDB_TYPE_INVALID);
    if (values->values[i] == NULL)
      return error_set(error, STATUS_NOMEM, "no memory for the parameter \"%s\"", landing->name);
  }
  return STATUS_OK;
}
