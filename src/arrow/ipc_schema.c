#include "arrow/ipc_schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/ipc_numbers.h"
#include "arrow/ipc_pairs.h"
#include "arrow/layout.h"
#include "arrow/schema.h"
#include "base/text.h"

struct reading {
  struct ipc_dictionary_ids *ids;
  int64_t field_count;
  struct ipc_copies copies;
};

/* ---- types ----------------------------------------------------------------------------- */

/* One of the characters of `choices`, by a small enum in the type's table. */
static enum status choose(const struct fb_table *type, int field, int64_t fallback,
                          const char *choices, char *chosen, struct error *error) {
  int64_t value;
  enum status status = fb_integer_field(type, field, 2, fallback, &value, error);
  if (status != STATUS_OK) return status;
  if (value < 0 || (size_t)value >= strlen(choices))
    return error_set(error, STATUS_INVALID, "a unit or precision has the unknown number %" PRId64,
                     value);
  *chosen = choices[value];
  return STATUS_OK;
}

static enum status format_int(const struct fb_table *type, struct text *format,
                              struct error *error) {
  static const char letters[2][4] = {{'C', 'S', 'I', 'L'}, {'c', 's', 'i', 'l'}};
  int64_t width = 0;
  int64_t is_signed = 0;
  enum status status = fb_integer_field(type, 0, 4, 0, &width, error);
  if (status == STATUS_OK) status = fb_integer_field(type, 1, 1, 0, &is_signed, error);
  if (status != STATUS_OK) return status;
  int which = width == 8 ? 0 : width == 16 ? 1 : width == 32 ? 2 : width == 64 ? 3 : -1;
  if (which < 0)
    return error_set(error, STATUS_INVALID, "an integer type has %" PRId64 " bits", width);
  return text_add_bytes(format, &letters[is_signed != 0][which], 1, error);
}

static enum status format_decimal(const struct fb_table *type, struct text *format,
                                  struct error *error) {
  int64_t precision = 0;
  int64_t scale = 0;
  int64_t width = 128;
  enum status status = fb_integer_field(type, 0, 4, 0, &precision, error);
  if (status == STATUS_OK) status = fb_integer_field(type, 1, 4, 0, &scale, error);
  if (status == STATUS_OK) status = fb_integer_field(type, 2, 4, 128, &width, error);
  if (status != STATUS_OK) return status;
  if (width == 128)
    return text_add_format(format, error, "d:%" PRId64 ",%" PRId64, precision, scale);
  return text_add_format(format, error, "d:%" PRId64 ",%" PRId64 ",%" PRId64, precision, scale,
                         width);
}

static enum status format_timestamp(const struct fb_table *type, struct text *format,
                                    struct error *error) {
  char unit = 0;
  struct fb_string zone = {"", 0};
  enum status status = choose(type, 0, 0, "smun", &unit, error);
  if (status == STATUS_OK) status = fb_string_field(type, 1, &zone, error);
  if (status != STATUS_OK) return status;
  if (memchr(zone.data, '\0', (size_t)zone.size_bytes) != NULL)
    return error_set(error, STATUS_INVALID, "a time zone holds a NUL character");
  return text_add_format(format, error, "ts%c:%.*s", unit, (int)zone.size_bytes, zone.data);
}

/* A format of `prefix` and one character for a unit. */
static enum status format_unit(const struct fb_table *type, const char *prefix, int64_t fallback,
                               const char *choices, struct text *format, struct error *error) {
  char unit = 0;
  enum status status = choose(type, 0, fallback, choices, &unit, error);
  return status == STATUS_OK ? text_add_format(format, error, "%s%c", prefix, unit) : status;
}

static enum status format_time(const struct fb_table *type, struct text *format,
                               struct error *error) {
  int64_t width = 32;
  char unit = 0;
  enum status status = choose(type, 0, 1, "smun", &unit, error);
  if (status == STATUS_OK) status = fb_integer_field(type, 1, 4, 32, &width, error);
  if (status != STATUS_OK) return status;
  if (width != (unit == 's' || unit == 'm' ? 32 : 64))
    return error_set(error, STATUS_INVALID, "a time type has %" PRId64 " bits and the unit '%c'",
                     width, unit);
  return text_add_format(format, error, "tt%c", unit);
}

static enum status format_size(const struct fb_table *type, const char *prefix, struct text *format,
                               struct error *error) {
  int64_t size = 0;
  enum status status = fb_integer_field(type, 0, 4, 0, &size, error);
  return status == STATUS_OK ? text_add_format(format, error, "%s%" PRId64, prefix, size) : status;
}

/* "+ud:0,5": the type id of each member; without any they are counted from 0 on. */
static enum status format_union(const struct fb_table *type, int64_t member_count,
                                struct text *format, struct error *error) {
  int64_t mode = 0;
  struct fb_vector ids;
  enum status status = fb_integer_field(type, UNION_MODE, 2, UNION_MODE_SPARSE, &mode, error);
  if (status == STATUS_OK) status = fb_vector_field(type, UNION_TYPE_IDS, 4, &ids, error);
  if (status != STATUS_OK) return status;
  if (mode != UNION_MODE_SPARSE && mode != UNION_MODE_DENSE)
    return error_set(error, STATUS_INVALID, "a union has the mode %" PRId64, mode);
  if (member_count > UNION_CODES || (ids.count != 0 && ids.count != member_count))
    return error_set(error, STATUS_INVALID,
                     "a union has %" PRId64 " members and %" PRId64 " type ids", member_count,
                     ids.count);
  status = text_add(format, mode == UNION_MODE_DENSE ? "+ud:" : "+us:", error);
  for (int64_t i = 0; i < member_count && status == STATUS_OK; i++)
    status = text_add_format(format, error, "%s%" PRId64, i == 0 ? "" : ",",
                             ids.count == 0 ? i : fb_vector_int32(&ids, i));
  return status; /* that the ids are different ones is checked where formats are read */
}

static const char *plain_format(enum type_number number) {
  switch (number) {
  case TYPE_NULL: return "n";
  case TYPE_BINARY: return "z";
  case TYPE_UTF8: return "u";
  case TYPE_BOOL: return "b";
  case TYPE_LIST: return "+l";
  case TYPE_STRUCT: return "+s";
  case TYPE_MAP: return "+m";
  case TYPE_LARGE_BINARY: return "Z";
  case TYPE_LARGE_UTF8: return "U";
  case TYPE_LARGE_LIST: return "+L";
  case TYPE_BINARY_VIEW: return "vz";
  case TYPE_UTF8_VIEW: return "vu";
  case TYPE_LIST_VIEW: return "+vl";
  case TYPE_LARGE_LIST_VIEW: return "+vL";
  case TYPE_RUN_END_ENCODED: return "+r";
  default: return NULL;
  }
}

static enum status format_of(int64_t number, const struct fb_table *type, int64_t child_count,
                             struct text *format, struct error *error) {
  const char *plain = plain_format((enum type_number)number);
  if (plain != NULL) return text_add(format, plain, error);
  switch ((enum type_number)number) {
  case TYPE_INT: return format_int(type, format, error);
  case TYPE_FLOATING_POINT: return format_unit(type, "", 0, "efg", format, error);
  case TYPE_DECIMAL: return format_decimal(type, format, error);
  case TYPE_DATE: return format_unit(type, "td", 1, "Dm", format, error);
  case TYPE_TIME: return format_time(type, format, error);
  case TYPE_TIMESTAMP: return format_timestamp(type, format, error);
  case TYPE_INTERVAL: return format_unit(type, "ti", 0, "MDn", format, error);
  case TYPE_FIXED_SIZE_BINARY: return format_size(type, "w:", format, error);
  case TYPE_FIXED_SIZE_LIST: return format_size(type, "+w:", format, error);
  case TYPE_DURATION: return format_unit(type, "tD", 1, "smun", format, error);
  case TYPE_UNION: return format_union(type, child_count, format, error);
  default: break;
  }
  return error_set(error, STATUS_UNSUPPORTED,
                   "its type has the number %" PRId64 ", which this version does not know", number);
}

/* For ArrowSchema.metadata: malloc'd, as arrow_schema_init's schemas want it. */
static enum status read_metadata(const struct fb_table *table, int field, struct reading *reading,
                                 struct ArrowSchema *schema, struct error *error) {
  char *metadata = NULL;
  enum status status = ipc_pairs_read(table, field, &reading->copies, &metadata, error);
  if (status == STATUS_OK) schema->metadata = metadata;
  return status;
}

/* ---- fields --------------------------------------------------------------------------------- */

static enum status read_field(const struct fb_table *field, int depth, struct reading *reading,
                              struct ArrowSchema *out, struct error *error);

static enum status read_children(const struct fb_vector *children, int depth,
                                 struct reading *reading, struct ArrowSchema *out,
                                 struct error *error) {
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < children->count && status == STATUS_OK; i++) {
    struct fb_table child;
    status = fb_vector_table(children, i, &child, error);
    if (status == STATUS_OK)
      status = read_field(&child, depth + 1, reading, out->children[i], error);
  }
  return status;
}

static enum status add_id(struct ipc_dictionary_ids *ids, int64_t id, struct error *error) {
  if (ids->count == ids->capacity) {
    int64_t capacity = ids->capacity == 0 ? 8 : 2 * ids->capacity;
    int64_t *grown = realloc(ids->ids, (size_t)capacity * sizeof *grown);
    if (grown == NULL) return error_set(error, STATUS_NOMEM, "no memory for a schema");
    ids->ids = grown;
    ids->capacity = capacity;
  }
  ids->ids[ids->count++] = id;
  return STATUS_OK;
}

/* The field's own node holds the indices' type; the values' is its dictionary's. */
static enum status read_dictionary(const struct fb_table *encoding, const char *name, bool nullable,
                                   struct reading *reading, struct ArrowSchema *out,
                                   struct error *error) {
  int64_t id = 0;
  int64_t ordered = 0;
  bool has_index = false;
  struct fb_table index;
  struct text format = TEXT_EMPTY;
  enum status status = fb_integer_field(encoding, DICTIONARY_ENCODING_ID, 8, 0, &id, error);
  if (status == STATUS_OK)
    status = fb_integer_field(encoding, DICTIONARY_ENCODING_ORDERED, 1, 0, &ordered, error);
  if (status == STATUS_OK)
    status = fb_table_field(encoding, DICTIONARY_ENCODING_INDEX, &index, &has_index, error);
  if (status == STATUS_OK)
    status = has_index ? format_int(&index, &format, error) : text_add(&format, "i", error);
  if (status == STATUS_OK)
    status = arrow_schema_init(out, text_get(&format), name, nullable, 0, error);
  text_release(&format);
  if (status != STATUS_OK) return status;
  if (ordered != 0) out->flags |= ARROW_FLAG_DICTIONARY_ORDERED;
  out->dictionary = calloc(1, sizeof *out->dictionary);
  if (out->dictionary == NULL) return error_set(error, STATUS_NOMEM, "no memory for a schema");
  return add_id(reading->ids, id, error);
}

struct field_parts {
  struct text format;
  char *name;
  int64_t nullable;
  int64_t type_number;
  struct fb_table type;
  struct fb_table encoding;
  bool is_encoded;
  struct fb_vector children;
};

static enum status read_name(const struct fb_table *field, char **name, struct error *error) {
  struct fb_string given;
  enum status status = fb_string_field(field, FIELD_NAME, &given, error);
  if (status != STATUS_OK) return status;
  if (memchr(given.data, '\0', (size_t)given.size_bytes) != NULL)
    return error_set(error, STATUS_INVALID, "a field's name holds a NUL character");
  if (utf8_valid_bytes((const uint8_t *)given.data, (size_t)given.size_bytes) <
      (size_t)given.size_bytes)
    return error_set(error, STATUS_INVALID, "a field's name is not UTF-8");
  *name = strndup(given.data, (size_t)given.size_bytes);
  return *name != NULL ? STATUS_OK : error_set(error, STATUS_NOMEM, "no memory for a schema");
}

static enum status read_parts(const struct fb_table *field, struct field_parts *parts,
                              struct error *error) {
  bool has_type = false;
  enum status status = read_name(field, &parts->name, error);
  if (status == STATUS_OK)
    status = fb_integer_field(field, FIELD_NULLABLE, 1, 0, &parts->nullable, error);
  if (status == STATUS_OK)
    status = fb_integer_field(field, FIELD_TYPE_TYPE, 1, 0, &parts->type_number, error);
  if (status == STATUS_OK)
    status = fb_table_field(field, FIELD_TYPE, &parts->type, &has_type, error);
  if (status == STATUS_OK)
    status = fb_table_field(field, FIELD_DICTIONARY, &parts->encoding, &parts->is_encoded, error);
  if (status == STATUS_OK)
    status = fb_vector_field(field, FIELD_CHILDREN, 4, &parts->children, error);
  if (status == STATUS_OK)
    status = has_type ? format_of(parts->type_number, &parts->type, parts->children.count,
                                  &parts->format, error)
                      : error_set(error, STATUS_INVALID, "it has no type");
  struct arrow_type type; /* its numbers are checked where a field's name is at hand */
  if (status == STATUS_OK) status = arrow_type_parse(text_get(&parts->format), &type, error);
  if (status != STATUS_OK && parts->name != NULL) error_at(error, "field '%s'", parts->name);
  return status;
}

static enum status fill_field(const struct fb_table *field, struct field_parts *parts, int depth,
                              struct reading *reading, struct ArrowSchema *out,
                              struct error *error) {
  struct ArrowSchema *values = out;
  enum status status = STATUS_OK;
  if (parts->is_encoded) {
    status =
        read_dictionary(&parts->encoding, parts->name, parts->nullable != 0, reading, out, error);
    if (status != STATUS_OK) return status;
    values = out->dictionary;
  }
  status =
      arrow_schema_init(values, text_get(&parts->format), parts->is_encoded ? "" : parts->name,
                        parts->is_encoded || parts->nullable != 0, parts->children.count, error);
  int64_t keys_sorted = 0;
  if (status == STATUS_OK && parts->type_number == TYPE_MAP)
    status = fb_integer_field(&parts->type, 0, 1, 0, &keys_sorted, error);
  if (keys_sorted != 0) values->flags |= ARROW_FLAG_MAP_KEYS_SORTED;
  if (status == STATUS_OK) status = read_metadata(field, FIELD_METADATA, reading, out, error);
  if (status == STATUS_OK) status = read_children(&parts->children, depth, reading, values, error);
  return status;
}

/* What a failure leaves in `out` is released with its root. */
static enum status read_field(const struct fb_table *field, int depth, struct reading *reading,
                              struct ArrowSchema *out, struct error *error) {
  if (depth > ARROW_DEPTH_MAX)
    return error_set(error, STATUS_TOO_LARGE, "fields are nested deeper than %d", ARROW_DEPTH_MAX);
  struct field_parts parts = {.format = TEXT_EMPTY};
  enum status status = read_parts(field, &parts, error);
  if (status == STATUS_OK)
    status =
        ipc_copies_count(&reading->copies, strlen(parts.name) + parts.format.size_bytes, error);
  if (status == STATUS_OK) {
    reading->field_count += parts.children.count; /* itself was counted by its parent */
    if (reading->field_count > ARROW_FIELDS_MAX)
      status = error_set(error, STATUS_TOO_LARGE, "the schema has more than %d fields",
                         ARROW_FIELDS_MAX);
  }
  if (status == STATUS_OK) status = fill_field(field, &parts, depth, reading, out, error);
  text_release(&parts.format);
  free(parts.name);
  return status;
}

enum status ipc_schema_read(const struct ipc_header *header, struct ArrowSchema *schema,
                            struct ipc_dictionary_ids *ids, bool *is_big_endian,
                            struct error *error) {
  int64_t endianness = ENDIANNESS_LITTLE;
  struct fb_vector fields;
  schema->release = NULL;
  enum status status =
      fb_integer_field(&header->table, SCHEMA_ENDIANNESS, 2, ENDIANNESS_LITTLE, &endianness, error);
  if (status == STATUS_OK && endianness != ENDIANNESS_LITTLE && endianness != ENDIANNESS_BIG)
    status = error_set(error, STATUS_INVALID, "the schema has the endianness %" PRId64, endianness);
  *is_big_endian = endianness == ENDIANNESS_BIG;
  if (status == STATUS_OK)
    status = fb_vector_field(&header->table, SCHEMA_FIELDS, 4, &fields, error);
  if (status == STATUS_OK && fields.count > ARROW_FIELDS_MAX)
    status =
        error_set(error, STATUS_TOO_LARGE, "the schema has more than %d fields", ARROW_FIELDS_MAX);
  if (status != STATUS_OK) return status;

  struct reading reading = {
      .ids = ids,
      .field_count = fields.count,
      .copies = ipc_copies_of(&header->table),
  };
  status = arrow_schema_init(schema, "+s", "", false, fields.count, error);
  if (status != STATUS_OK) return status;
  status = read_metadata(&header->table, SCHEMA_METADATA, &reading, schema, error);
  if (status == STATUS_OK) status = read_children(&fields, 0, &reading, schema, error);
  if (status != STATUS_OK) arrow_schema_release(schema);
  return status;
}
