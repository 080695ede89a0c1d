/* Each result is a table of fields, in the order and with the nullability of FlightSql.proto's
 * comments; nested types alone are made by hand. */
#include "flight/sql_schemas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/build.h"
#include "arrow/ipc.h"
#include "arrow/schema.h"
#include "base/text.h"

enum {
  ROWS_A_BATCH_MAX = 8192,
  BYTES_A_BATCH_MAX = 1 << 20, /* gRPC clients take 4 MiB where nobody has told them otherwise */
};

/* ---- schemas ----------------------------------------------------------------------------------- */

struct field {
  const char *name, *format;
  bool nullable;
};

static const struct field catalogs[] = {{"catalog_name", "u", false}};
static const struct field db_schemas[] = {{"catalog_name", "u", true},
                                          {"db_schema_name", "u", false}};
static const struct field tables[] = {
    {"catalog_name", "u", true}, {"db_schema_name", "u", true}, {"table_name", "u", false},
    {"table_type", "u", false},  {"table_schema", "z", false},
};
static const struct field table_types[] = {{"table_type", "u", false}};
static const struct field primary_keys[] = {
    {"catalog_name", "u", true}, {"db_schema_name", "u", true}, {"table_name", "u", false},
    {"column_name", "u", false}, {"key_name", "u", true},       {"key_sequence", "i", false},
};
static const struct field foreign_keys[] = {
    {"pk_catalog_name", "u", true}, {"pk_db_schema_name", "u", true},
    {"pk_table_name", "u", false},  {"pk_column_name", "u", false},
    {"fk_catalog_name", "u", true}, {"fk_db_schema_name", "u", true},
    {"fk_table_name", "u", false},  {"fk_column_name", "u", false},
    {"key_sequence", "i", false},   {"fk_key_name", "u", true},
    {"pk_key_name", "u", true},     {"update_rule", "C", false},
    {"delete_rule", "C", false},
};
static const struct field type_info[] = {
    {"type_name", "u", false},         {"data_type", "i", false},
    {"column_size", "i", true},        {"literal_prefix", "u", true},
    {"literal_suffix", "u", true},     {"create_params", "+l", true},
    {"nullable", "i", false},          {"case_sensitive", "b", false},
    {"searchable", "i", false},        {"unsigned_attribute", "b", true},
    {"fixed_prec_scale", "b", false},  {"auto_increment", "b", true},
    {"local_type_name", "u", true},    {"minimum_scale", "i", true},
    {"maximum_scale", "i", true},      {"sql_data_type", "i", false},
    {"datetime_subcode", "i", true},   {"num_prec_radix", "i", true},
    {"interval_precision", "i", true},
};

#define FIELDS(of) of, sizeof of / sizeof of[0]
static const struct {
  const struct field *fields;
  size_t count;
} results[] = {
    [SQL_RESULT_CATALOGS] = {FIELDS(catalogs)},
    [SQL_RESULT_DB_SCHEMAS] = {FIELDS(db_schemas)},
    [SQL_RESULT_TABLES] = {tables, sizeof tables / sizeof tables[0] - 1},
    [SQL_RESULT_TABLES_WITH_SCHEMA] = {FIELDS(tables)},
    [SQL_RESULT_TABLE_TYPES] = {FIELDS(table_types)},
    [SQL_RESULT_PRIMARY_KEYS] = {FIELDS(primary_keys)},
    [SQL_RESULT_FOREIGN_KEYS] = {FIELDS(foreign_keys)},
    [SQL_RESULT_TYPE_INFO] = {FIELDS(type_info)},
};

/* The members of a SqlInfo's value, in the order of their type ids. */
static enum status init_members(struct ArrowSchema *value, struct error *error) {
  static const struct field members[] = {
      {"string_value", "u", true}, {"bool_value", "b", true},
      {"bigint_value", "l", true}, {"int32_bitmask", "i", true},
      {"string_list", "+l", true}, {"int32_to_int32_list_map", "+m", true},
  };
  enum status status = arrow_schema_init(value, "+ud:0,1,2,3,4,5", "value", true, 6, error);
  for (size_t i = 0; i < 6 && status == STATUS_OK; i++)
    status = arrow_schema_init(value->children[i], members[i].format, members[i].name, true,
                               i < 4 ? 0 : 1, error);
  if (status != STATUS_OK) return status;
  struct ArrowSchema *list = value->children[4], *map = value->children[5];
  status = arrow_schema_init(list->children[0], "u", "string_data", true, 0, error);
  if (status == STATUS_OK)
    status = arrow_schema_init(map->children[0], "+s", "entries", false, 2, error);
  if (status != STATUS_OK) return status;
  struct ArrowSchema *entries = map->children[0];
  status = arrow_schema_init(entries->children[0], "i", "key", false, 0, error);
  if (status == STATUS_OK)
    status = arrow_schema_init(entries->children[1], "+l", "value", true, 1, error);
  if (status == STATUS_OK)
    status = arrow_schema_init(entries->children[1]->children[0], "i", "$data$", true, 0, error);
  return status;
}

static enum status init_info(struct ArrowSchema *out, struct error *error) {
  enum status status = arrow_schema_init(out, "+s", "", false, 2, error);
  if (status == STATUS_OK)
    status = arrow_schema_init(out->children[0], "I", "info_name", false, 0, error);
  return status == STATUS_OK ? init_members(out->children[1], error) : status;
}

static enum status init_flat(enum sql_result result, struct ArrowSchema *out, struct error *error) {
  size_t count = results[result].count;
  enum status status = arrow_schema_init(out, "+s", "", false, (int64_t)count, error);
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    const struct field *field = &results[result].fields[i];
    bool list = strcmp(field->format, "+l") == 0;
    status = arrow_schema_init(out->children[i], field->format, field->name, field->nullable,
                               list ? 1 : 0, error);
    if (status == STATUS_OK && list)
      status = arrow_schema_init(out->children[i]->children[0], "u", "item", false, 0, error);
  }
  return status;
}

enum status sql_result_schema(enum sql_result result, struct ArrowSchema *out,
                              struct error *error) {
  out->release = NULL;
  enum status status =
      result == SQL_RESULT_INFO ? init_info(out, error) : init_flat(result, out, error);
  if (status != STATUS_OK) arrow_schema_release(out);
  return status;
}

/* ---- rows ------------------------------------------------------------------------------------ */

struct sql_rows {
  struct ArrowSchema schema;
  struct build *build;
  int64_t rows, bytes; /* in the builder */
  struct ArrowArray *batches;
  size_t count;
};

enum status sql_rows_new(enum sql_result result, struct budget *budget, struct sql_rows **rows,
                         struct error *error) {
  *rows = NULL;
  struct sql_rows *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for rows");
  enum status status = sql_result_schema(result, &made->schema, error);
  if (status == STATUS_OK) status = build_new(&made->schema, budget, &made->build, error);
  if (status == STATUS_OK)
    *rows = made;
  else
    sql_rows_free(made);
  return status;
}

void sql_rows_free(struct sql_rows *rows) {
  if (rows == NULL) return;
  for (size_t i = 0; i < rows->count; i++) arrow_array_release(&rows->batches[i]);
  free(rows->batches);
  build_free(rows->build);
  arrow_schema_release(&rows->schema);
  free(rows);
}

/* What is in the builder becomes a batch. */
static enum status close_batch(struct sql_rows *rows, struct error *error) {
  if (rows->rows == 0) return STATUS_OK;
  struct ArrowArray *grown = realloc(rows->batches, (rows->count + 1) * sizeof *grown);
  if (grown == NULL) return error_set(error, STATUS_NOMEM, "no memory for rows");
  rows->batches = grown;
  grown[rows->count].release = NULL;
  enum status status = build_finish(rows->build, &grown[rows->count], error);
  if (status != STATUS_OK) return status;
  rows->count++;
  rows->rows = rows->bytes = 0;
  return STATUS_OK;
}

static enum status add_list(struct sql_rows *rows, struct build *column, const char *const *list,
                            struct error *error) {
  enum status status = STATUS_OK;
  for (; *list != NULL && status == STATUS_OK; list++) {
    status = build_bytes(build_child(column, 0), *list, (int64_t)strlen(*list), error);
    rows->bytes += (int64_t)strlen(*list);
  }
  return status == STATUS_OK ? build_slot(column, error) : status;
}

static enum status add_value(struct sql_rows *rows, struct build *column,
                             const struct sql_value *value, struct error *error) {
  rows->bytes += 4;
  switch (value->kind) {
  case SQL_TEXT:
    rows->bytes += (int64_t)strlen(value->text);
    return build_bytes(column, value->text, (int64_t)strlen(value->text), error);
  case SQL_BYTES:
    rows->bytes += value->bytes;
    return build_bytes(column, value->data, value->bytes, error);
  case SQL_INTEGER: return build_integer(column, value->integer, error);
  case SQL_LIST: return add_list(rows, column, value->list, error);
  case SQL_NULL: break;
  }
  return build_null(column, error);
}

enum status sql_rows_add(struct sql_rows *rows, const struct sql_value *values,
                         struct error *error) {
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < rows->schema.n_children && status == STATUS_OK; i++)
    status = add_value(rows, build_child(rows->build, i), &values[i], error);
  if (status == STATUS_OK) status = build_slot(rows->build, error);
  if (status != STATUS_OK) return status;
  rows->rows++;
  bool full = rows->rows >= ROWS_A_BATCH_MAX || rows->bytes >= BYTES_A_BATCH_MAX;
  return full ? close_batch(rows, error) : STATUS_OK;
}

enum status sql_rows_finish(struct sql_rows *rows, struct ArrowSchema *schema,
                            struct ArrowArray **batches, size_t *count, struct error *error) {
  enum status status = close_batch(rows, error);
  if (status != STATUS_OK) return status;
  arrow_schema_move(&rows->schema, schema);
  *batches = rows->batches;
  *count = rows->count;
  rows->batches = NULL;
  rows->count = 0;
  return STATUS_OK;
}

/* ---- schemas of tables ------------------------------------------------------------------------- */

struct pairs {
  struct text bytes;
  int32_t count;
};

static enum status add_pair(struct pairs *pairs, const char *key, const char *value,
                            struct error *error) {
  if (value == NULL) return STATUS_OK;
  static const char prefix[] = "ARROW:FLIGHT:SQL:";
  int32_t key_bytes = (int32_t)(strlen(prefix) + strlen(key));
  int32_t value_bytes = (int32_t)strlen(value);
  enum status status = text_add_bytes(&pairs->bytes, &key_bytes, 4, error);
  if (status == STATUS_OK) status = text_add(&pairs->bytes, prefix, error);
  if (status == STATUS_OK) status = text_add(&pairs->bytes, key, error);
  if (status == STATUS_OK) status = text_add_bytes(&pairs->bytes, &value_bytes, 4, error);
  if (status == STATUS_OK) status = text_add(&pairs->bytes, value, error);
  pairs->count++;
  return status;
}

static enum status add_number(struct pairs *pairs, const char *key, int32_t value,
                              struct error *error) {
  char text[16];
  snprintf(text, sizeof text, "%d", value);
  return value < 0 ? STATUS_OK : add_pair(pairs, key, text, error);
}

static enum status add_flag(struct pairs *pairs, const char *key, bool value, struct error *error) {
  return add_pair(pairs, key, value ? "1" : "0", error);
}

static enum status add_pairs(struct pairs *pairs, const struct sql_column *column,
                             struct error *error) {
  enum status status = add_pair(pairs, "CATALOG_NAME", column->catalog, error);
  if (status == STATUS_OK) status = add_pair(pairs, "DB_SCHEMA_NAME", column->schema, error);
  /* The specification says DB_SCHEMA_NAME; the libraries of Arrow ask for this one. */
  if (status == STATUS_OK) status = add_pair(pairs, "SCHEMA_NAME", column->schema, error);
  if (status == STATUS_OK) status = add_pair(pairs, "TABLE_NAME", column->table, error);
  if (status == STATUS_OK) status = add_pair(pairs, "TYPE_NAME", column->type, error);
  if (status == STATUS_OK) status = add_number(pairs, "PRECISION", column->precision, error);
  if (status == STATUS_OK) status = add_number(pairs, "SCALE", column->scale, error);
  if (status == STATUS_OK)
    status = add_flag(pairs, "IS_AUTO_INCREMENT", column->auto_increment, error);
  if (status == STATUS_OK)
    status = add_flag(pairs, "IS_CASE_SENSITIVE", column->case_sensitive, error);
  if (status == STATUS_OK) status = add_flag(pairs, "IS_READ_ONLY", column->read_only, error);
  if (status == STATUS_OK) status = add_flag(pairs, "IS_SEARCHABLE", true, error);
  return status == STATUS_OK ? add_pair(pairs, "REMARKS", column->remarks, error) : status;
}

/* The bytes behind the count of an encoded metadata, and the count. */
static size_t encoded_bytes(const char *metadata, int32_t *count) {
  *count = 0;
  if (metadata == NULL) return 0;
  memcpy(count, metadata, sizeof *count);
  size_t at = 4;
  for (int64_t i = 0; i < 2 * (int64_t)*count; i++) {
    int32_t bytes;
    memcpy(&bytes, metadata + at, sizeof bytes);
    at += 4 + (size_t)bytes;
  }
  return at - 4;
}

enum status sql_column_describe(const struct sql_column *column, struct ArrowSchema *field,
                                struct error *error) {
  struct pairs pairs = {.bytes = TEXT_EMPTY};
  int32_t count;
  size_t bytes = encoded_bytes(field->metadata, &count);
  char *made = NULL;
  enum status status = add_pairs(&pairs, column, error);
  if (status != STATUS_OK) goto done;
  made = malloc(4 + bytes + pairs.bytes.size_bytes);
  if (made == NULL) {
    status = error_set(error, STATUS_NOMEM, "no memory for a schema's metadata");
    goto done;
  }
  int32_t all = count + pairs.count;
  memcpy(made, &all, 4);
  if (bytes > 0) memcpy(made + 4, field->metadata + 4, bytes);
  memcpy(made + 4 + bytes, pairs.bytes.data, pairs.bytes.size_bytes);
  free((char *)(uintptr_t)field->metadata);
  field->metadata = made;

done:
  text_release(&pairs.bytes);
  return status;
}

enum status sql_schema_message(const struct ArrowSchema *schema, struct budget *budget,
                               struct buffer *out, struct error *error) {
  struct ipc_writer *writer = NULL;
  *out = BUFFER_EMPTY;
  enum status status = ipc_writer_new(schema, NULL, budget, &writer, error);
  if (status == STATUS_OK) status = ipc_writer_schema(writer, out, error);
  if (status != STATUS_OK) buffer_release(out);
  ipc_writer_free(writer);
  return status;
}

/* ---- names ----------------------------------------------------------------------------------- */

static char fold(char byte) { return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte; }

/* Behind the character that begins here: names are UTF-8. */
static const char *next_character(const char *at) {
  do at++;
  while (((unsigned char)*at & 0xC0) == 0x80);
  return at;
}

bool sql_pattern_matches(const char *pattern, const char *name) {
  if (pattern == NULL) return true;
  const char *star = NULL, *kept = NULL; /* behind the last '%', and where it has come to */
  while (*name != '\0') {
    bool escaped = pattern[0] == '\\' && pattern[1] != '\0';
    if (*pattern == '%') {
      star = ++pattern;
      kept = name;
    } else if (*pattern == '_') {
      pattern++;
      name = next_character(name);
    } else if (*pattern != '\0' && fold(pattern[escaped]) == fold(*name)) {
      pattern += 1 + escaped;
      name++;
    } else if (star != NULL) {
      pattern = star;
      name = kept = next_character(kept);
    } else {
      return false;
    }
  }
  while (*pattern == '%') pattern++;
  return *pattern == '\0';
}

bool sql_name_matches(const char *wanted, const char *name) {
  if (wanted == NULL) return true;
  while (*wanted != '\0' && fold(*wanted) == fold(*name)) wanted++, name++;
  return *wanted == '\0' && *name == '\0';
}
