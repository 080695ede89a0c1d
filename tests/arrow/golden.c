#include "arrow/golden.h"

#include <inttypes.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arrow/bitmap.h"
#include "arrow/layout.h"
#include "arrow/schema.h"
#include "base/text.h"

struct golden {
  char name[256];
  json_t *root;
};

/* ---- reading --------------------------------------------------------------------------- */

struct golden *golden_open(const char *name) {
  struct golden *golden = calloc(1, sizeof *golden);
  struct text text = TEXT_EMPTY;
  char command[1024];
  char block[65536];
  json_error_t error;
  assert_non_null(golden);
  snprintf(golden->name, sizeof golden->name, "%s", name);
  snprintf(command, sizeof command, "gzip -dc '" ARROWPORT_TEST_DATA "/%s'", name);
  FILE *pipe = popen(command, "r"); /* NOLINT(cert-env33-c): a path of our own */
  assert_non_null(pipe);
  size_t got;
  while ((got = fread(block, 1, sizeof block, pipe)) > 0)
    assert_int_equal(text_add_bytes(&text, block, got, NULL), STATUS_OK);
  if (pclose(pipe) != 0) fail_msg("%s cannot be read with gzip", name);
  golden->root = json_loadb(text.data, text.size_bytes, JSON_ALLOW_NUL, &error);
  if (golden->root == NULL) fail_msg("%s: %s", name, error.text);
  text_release(&text);
  return golden;
}

void golden_close(struct golden *golden) {
  json_decref(golden->root);
  free(golden);
}

int64_t golden_batch_count(const struct golden *golden) {
  return (int64_t)json_array_size(json_object_get(golden->root, "batches"));
}

static const char *string_of(const json_t *object, const char *key) {
  const char *string = json_string_value(json_object_get(object, key));
  return string == NULL ? "" : string;
}

/* A number, or, where it has 64 bits, a string of digits. */
static int64_t integer_of(const json_t *value) {
  if (!json_is_string(value)) return json_integer_value(value);
  const char *digits = json_string_value(value);
  return digits[0] == '-' ? strtoll(digits, NULL, 10) : (int64_t)strtoull(digits, NULL, 10);
}

static int64_t integer_at(const json_t *object, const char *key) {
  return integer_of(json_object_get(object, key));
}

/* ---- schema ------------------------------------------------------------------------------ */

/* The letter of a unit's or a precision's name. */
static char letter_of(const char *name) {
  static const struct {
    const char *name;
    char letter;
  } letters[] = {{"SECOND", 's'},     {"MILLISECOND", 'm'},   {"MICROSECOND", 'u'},
                 {"NANOSECOND", 'n'}, {"HALF", 'e'},          {"SINGLE", 'f'},
                 {"DOUBLE", 'g'},     {"DAY", 'D'},           {"YEAR_MONTH", 'M'},
                 {"DAY_TIME", 'D'},   {"MONTH_DAY_NANO", 'n'}};
  for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
    if (strcmp(letters[i].name, name) == 0) return letters[i].letter;
  fail_msg("the golden file has a unit \"%s\"", name);
  return '?';
}

static const char *plain_format(const char *name) {
  static const char *const formats[][2] = {
      {"null", "n"},      {"bool", "b"},        {"utf8", "u"},           {"binary", "z"},
      {"largeutf8", "U"}, {"largebinary", "Z"}, {"utf8view", "vu"},      {"binaryview", "vz"},
      {"list", "+l"},     {"largelist", "+L"},  {"listview", "+vl"},     {"largelistview", "+vL"},
      {"map", "+m"},      {"struct", "+s"},     {"runendencoded", "+r"},
  };
  for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
    if (strcmp(formats[i][0], name) == 0) return formats[i][1];
  return NULL;
}

/* "+us:5,7": the mode, then the type ids of the children. */
static void union_format(const json_t *type, char *format, size_t room) {
  const json_t *ids = json_object_get(type, "typeIds");
  bool is_dense = strcmp(string_of(type, "mode"), "DENSE") == 0;
  int used = snprintf(format, room, "+u%c:", is_dense ? 'd' : 's');
  for (size_t i = 0; i < json_array_size(ids); i++)
    used += snprintf(format + used, room - (size_t)used, "%s%" PRId64, i == 0 ? "" : ",",
                     integer_of(json_array_get(ids, i)));
}

static void format_of(const json_t *type, char *format, size_t room) {
  const char *name = string_of(type, "name");
  const char *unit = string_of(type, "unit");
  int64_t width = integer_at(type, "bitWidth");
  if (plain_format(name) != NULL) {
    snprintf(format, room, "%s", plain_format(name));
  } else if (strcmp(name, "int") == 0) {
    const char *letters = json_is_true(json_object_get(type, "isSigned")) ? "csil" : "CSIL";
    snprintf(format, room, "%c", letters[width == 8 ? 0 : width == 16 ? 1 : width == 32 ? 2 : 3]);
  } else if (strcmp(name, "floatingpoint") == 0) {
    snprintf(format, room, "%c", letter_of(string_of(type, "precision")));
  } else if (strcmp(name, "date") == 0) {
    snprintf(format, room, "td%c", letter_of(unit));
  } else if (strcmp(name, "time") == 0) {
    snprintf(format, room, "tt%c", letter_of(unit));
  } else if (strcmp(name, "timestamp") == 0) {
    snprintf(format, room, "ts%c:%s", letter_of(unit), string_of(type, "timezone"));
  } else if (strcmp(name, "duration") == 0) {
    snprintf(format, room, "tD%c", letter_of(unit));
  } else if (strcmp(name, "interval") == 0) {
    snprintf(format, room, "ti%c", letter_of(unit));
  } else if (strcmp(name, "fixedsizebinary") == 0) {
    snprintf(format, room, "w:%" PRId64, integer_at(type, "byteWidth"));
  } else if (strcmp(name, "fixedsizelist") == 0) {
    snprintf(format, room, "+w:%" PRId64, integer_at(type, "listSize"));
  } else if (strcmp(name, "union") == 0) {
    union_format(type, format, room);
  } else if (strcmp(name, "decimal") == 0) {
    snprintf(format, room,
             width == 0 || width == 128 ? "d:%" PRId64 ",%" PRId64
                                        : "d:%" PRId64 ",%" PRId64 ",%" PRId64,
             integer_at(type, "precision"), integer_at(type, "scale"), width);
  } else {
    fail_msg("the golden file has a type \"%s\"", name);
  }
}

static bool has_pair(const json_t *pairs, const char *key, size_t key_bytes, const char *value,
                     size_t value_bytes) {
  for (size_t i = 0; i < json_array_size(pairs); i++) {
    const char *wanted_key = string_of(json_array_get(pairs, i), "key");
    const char *wanted_value = string_of(json_array_get(pairs, i), "value");
    if (strlen(wanted_key) == key_bytes && memcmp(wanted_key, key, key_bytes) == 0 &&
        strlen(wanted_value) == value_bytes && memcmp(wanted_value, value, value_bytes) == 0)
      return true;
  }
  return false;
}

/* Writers do not keep the order of pairs. */
static void check_metadata(const json_t *pairs, const char *metadata, const char *where) {
  int32_t count = 0;
  if (metadata != NULL) memcpy(&count, metadata, sizeof count);
  if (count != (int32_t)json_array_size(pairs))
    fail_msg("%s: %d pairs of metadata, not %zu", where, count, json_array_size(pairs));
  const char *at = count == 0 ? NULL : metadata + sizeof count;
  for (int32_t i = 0; i < count; i++) {
    const char *parts[2];
    int32_t lengths[2];
    for (int part = 0; part < 2; part++) {
      memcpy(&lengths[part], at, sizeof lengths[part]);
      parts[part] = at + sizeof lengths[part];
      at = parts[part] + lengths[part];
    }
    if (!has_pair(pairs, parts[0], (size_t)lengths[0], parts[1], (size_t)lengths[1]))
      fail_msg("%s: metadata \"%.*s\" is not in the golden file", where, lengths[0], parts[0]);
  }
}

/* A map's children have names that carry no meaning, and not every writer keeps them:
 * `is_named` is false below a map. */
static void check_field(const json_t *field, bool is_named, const struct ArrowSchema *schema) {
  char format[128];
  const char *name = string_of(field, "name");
  const json_t *dictionary = json_object_get(field, "dictionary");
  const struct ArrowSchema *values = schema;
  bool nullable = json_is_true(json_object_get(field, "nullable"));
  if (is_named) assert_string_equal(schema->name, name);
  assert_int_equal((schema->flags & ARROW_FLAG_NULLABLE) != 0, nullable);
  check_metadata(json_object_get(field, "metadata"), schema->metadata, name);
  assert_int_equal(schema->dictionary != NULL, dictionary != NULL);
  if (dictionary != NULL) {
    format_of(json_object_get(dictionary, "indexType"), format, sizeof format);
    assert_string_equal(schema->format, format);
    assert_int_equal((schema->flags & ARROW_FLAG_DICTIONARY_ORDERED) != 0,
                     json_is_true(json_object_get(dictionary, "isOrdered")));
    values = schema->dictionary;
  }
  const json_t *type = json_object_get(field, "type");
  const json_t *children = json_object_get(field, "children");
  format_of(type, format, sizeof format);
  assert_string_equal(values->format, format);
  assert_int_equal((values->flags & ARROW_FLAG_MAP_KEYS_SORTED) != 0,
                   json_is_true(json_object_get(type, "keysSorted")));
  assert_int_equal(values->n_children, json_array_size(children));
  for (int64_t i = 0; i < values->n_children; i++)
    check_field(json_array_get(children, (size_t)i), is_named && strcmp(values->format, "+m") != 0,
                values->children[i]);
}

void golden_check_schema(const struct golden *golden, const struct ArrowSchema *schema) {
  const json_t *wanted = json_object_get(golden->root, "schema");
  const json_t *fields = json_object_get(wanted, "fields");
  assert_string_equal(schema->format, "+s");
  assert_int_equal(schema->n_children, json_array_size(fields));
  check_metadata(json_object_get(wanted, "metadata"), schema->metadata, golden->name);
  for (int64_t i = 0; i < schema->n_children; i++)
    check_field(json_array_get(fields, (size_t)i), true, schema->children[i]);
}

/* ---- values -------------------------------------------------------------------------------- */

/* Decimal digits of a little-endian two's complement number. */
static void decimal_text(const uint8_t *data, int64_t bytes, char *text) {
  uint8_t left[32];
  char digits[100];
  size_t count = 0;
  bool negative = data[bytes - 1] >= 0x80;
  unsigned carry = negative ? 1 : 0;
  for (int64_t i = 0; i < bytes; i++) {
    carry += negative ? (uint8_t)~data[i] : data[i];
    left[i] = (uint8_t)carry;
    carry >>= 8;
  }
  for (bool more = true; more;) {
    unsigned rest = 0;
    more = false;
    for (int64_t i = bytes - 1; i >= 0; i--) {
      rest = rest << 8 | left[i];
      left[i] = (uint8_t)(rest / 10);
      rest %= 10;
      more = more || left[i] != 0;
    }
    digits[count++] = (char)('0' + rest);
  }
  if (negative) *text++ = '-';
  while (count > 0) *text++ = digits[--count];
  *text = '\0';
}

static void hex_text(const uint8_t *data, int64_t bytes, struct text *out) {
  for (int64_t i = 0; i < bytes; i++)
    assert_int_equal(text_add_format(out, NULL, "%02X", data[i]), STATUS_OK);
}

static int64_t stored_integer(const void *values, const struct arrow_type *type, int64_t row) {
  bool is_unsigned =
      type->kind == ARROW_UINT8 || type->kind == ARROW_UINT16 || type->kind == ARROW_UINT32;
  switch (type->bit_width) {
  case 8: return is_unsigned ? ((const uint8_t *)values)[row] : ((const int8_t *)values)[row];
  case 16: return is_unsigned ? ((const uint16_t *)values)[row] : ((const int16_t *)values)[row];
  case 32:
    return is_unsigned ? (int64_t)((const uint32_t *)values)[row] : ((const int32_t *)values)[row];
  default: return ((const int64_t *)values)[row];
  }
}

static bool same_bytes(const json_t *wanted, const struct arrow_type *type, const uint8_t *data,
                       int64_t bytes) {
  if (type->kind == ARROW_UTF8 || type->kind == ARROW_LARGE_UTF8)
    return json_string_length(wanted) == (size_t)bytes &&
           (bytes == 0 || memcmp(json_string_value(wanted), data, (size_t)bytes) == 0);
  struct text hex = TEXT_EMPTY;
  hex_text(data, bytes, &hex);
  bool same = strcmp(json_string_value(wanted), text_get(&hex)) == 0;
  text_release(&hex);
  return same;
}

static bool same_value(const json_t *wanted, const struct arrow_type *type,
                       const struct ArrowArray *array, int64_t row) {
  const uint8_t *values = array->buffers[1];
  int64_t bytes = layout_value_bytes(type);
  char digits[128];
  int32_t parts[2];
  int64_t nanoseconds;
  switch (type->kind) {
  case ARROW_BOOL:
    return bitmap_get(values, row) == (json_is_true(wanted) || json_integer_value(wanted) != 0);
  case ARROW_FLOAT32:
    return ((const float *)array->buffers[1])[row] == (float)json_number_value(wanted);
  case ARROW_FLOAT64: return ((const double *)array->buffers[1])[row] == json_number_value(wanted);
  case ARROW_DECIMAL:
    decimal_text(values + row * bytes, bytes, digits);
    return strcmp(digits, json_string_value(wanted)) == 0;
  case ARROW_FIXED_SIZE_BINARY: return same_bytes(wanted, type, values + row * bytes, bytes);
  case ARROW_INTERVAL_DAY_TIME:
    memcpy(parts, values + row * bytes, sizeof parts);
    return parts[0] == integer_at(wanted, "days") && parts[1] == integer_at(wanted, "milliseconds");
  case ARROW_INTERVAL_MONTH_DAY_NANO:
    memcpy(parts, values + row * bytes, sizeof parts);
    memcpy(&nanoseconds, values + row * bytes + sizeof parts, sizeof nanoseconds);
    return parts[0] == integer_at(wanted, "months") && parts[1] == integer_at(wanted, "days") &&
           nanoseconds == integer_at(wanted, "nanoseconds");
  case ARROW_INT8:
  case ARROW_UINT8:
  case ARROW_INT16:
  case ARROW_UINT16:
  case ARROW_INT32:
  case ARROW_UINT32:
  case ARROW_INT64:
  case ARROW_UINT64:
  case ARROW_DATE32:
  case ARROW_DATE64:
  case ARROW_TIME32:
  case ARROW_TIME64:
  case ARROW_TIMESTAMP:
  case ARROW_DURATION:
  case ARROW_INTERVAL_MONTHS:
    return stored_integer(array->buffers[1], type, row) == integer_of(wanted);
  default: fail_msg("values of kind %d cannot be compared", (int)type->kind); return false;
  }
}

struct place {
  const struct golden *golden;
  int64_t batch;
  const char *column;
};

/* The numbers of a buffer, of `bytes` bytes each: offsets, sizes, type ids. */
static void check_numbers(struct place place, const json_t *wanted, const char *what,
                          const void *buffer, int64_t bytes, int64_t count) {
  if (json_array_size(wanted) != (size_t)count)
    fail_msg("%s, batch %" PRId64 ", column %s: %zu %s in the golden file, not %" PRId64,
             place.golden->name, place.batch, place.column, json_array_size(wanted), what, count);
  for (int64_t i = 0; i < count; i++) {
    int64_t got = bytes == 1 ? ((const int8_t *)buffer)[i] : layout_offset(buffer, bytes, i);
    if (got != integer_of(json_array_get(wanted, (size_t)i)))
      fail_msg("%s, batch %" PRId64 ", column %s: number %" PRId64 " of the %s is %" PRId64,
               place.golden->name, place.batch, place.column, i, what, got);
  }
}

/* Offsets where the type has them. An array of no slots may have no offset at all. */
static void check_layout(struct place place, const json_t *column, const struct arrow_type *type,
                         const struct ArrowArray *array) {
  const json_t *offsets = json_object_get(column, "OFFSET");
  int64_t offset_bytes = layout_offset_bytes(type->kind);
  int64_t view_bytes = layout_list_view_bytes(type->kind);
  if (offset_bytes > 0 && (array->length > 0 || json_array_size(offsets) > 0))
    check_numbers(place, offsets, "offsets", array->buffers[1], offset_bytes, array->length + 1);
  if (view_bytes > 0) {
    check_numbers(place, offsets, "offsets", array->buffers[1], view_bytes, array->length);
    check_numbers(place, json_object_get(column, "SIZE"), "sizes", array->buffers[2], view_bytes,
                  array->length);
  }
  if (layout_is_union(type->kind))
    check_numbers(place, json_object_get(column, "TYPE_ID"), "type ids", array->buffers[0], 1,
                  array->length);
  if (type->kind == ARROW_DENSE_UNION)
    check_numbers(place, offsets, "offsets", array->buffers[1], 4, array->length);
}

static bool is_valid(const struct arrow_type *type, const struct ArrowArray *array, int64_t row) {
  return !layout_has_validity(type->kind) || array->buffers[0] == NULL ||
         bitmap_get(array->buffers[0], row);
}

/* Unions had a bitmap before 1.0, in which nothing was null. */
static void check_nulls(struct place place, const json_t *validity, const struct arrow_type *type,
                        const struct ArrowArray *array) {
  if (validity == NULL && !layout_has_validity(type->kind)) return;
  assert_int_equal(json_array_size(validity), array->length);
  for (int64_t row = 0; row < array->length; row++)
    if (is_valid(type, array, row) != (integer_of(json_array_get(validity, (size_t)row)) != 0))
      fail_msg("%s, batch %" PRId64 ", column %s: row %" PRId64 " is null or not",
               place.golden->name, place.batch, place.column, row);
}

/* The view in the column against the golden file's: its bytes lie in the view, or in one of
 * the file's buffers, in hexadecimal digits. */
static bool same_view(const json_t *column, const struct arrow_type *type,
                      const struct ArrowArray *array, int64_t row) {
  const json_t *wanted = json_array_get(json_object_get(column, "VIEWS"), (size_t)row);
  const json_t *buffers = json_object_get(column, "VARIADIC_DATA_BUFFERS");
  const json_t *inlined = json_object_get(wanted, "INLINED");
  const uint8_t *view = (const uint8_t *)array->buffers[1] + row * VIEW_BYTES;
  struct arrow_type binary = {.kind = ARROW_BINARY};
  struct arrow_type as = {.kind = type->kind == ARROW_UTF8_VIEW ? ARROW_UTF8 : ARROW_BINARY};
  int32_t size, place[2];
  memcpy(&size, view, sizeof size);
  memcpy(place, view + 8, sizeof place);
  if (size != integer_at(wanted, "SIZE")) return false;
  if (size <= VIEW_INLINE_BYTES)
    return inlined != NULL && same_bytes(inlined, &as, view + sizeof size, size);
  const char *hex =
      json_string_value(json_array_get(buffers, (size_t)integer_at(wanted, "BUFFER_INDEX")));
  int64_t from = 2 * integer_at(wanted, "OFFSET");
  if (hex == NULL || strlen(hex) < (size_t)(from + 2 * size)) return false;
  json_t *digits = json_stringn(hex + from, (size_t)size * 2);
  bool same =
      same_bytes(json_object_get(wanted, "PREFIX_HEX"), &binary, view + sizeof size, 4) &&
      same_bytes(digits, &binary, (const uint8_t *)array->buffers[2 + place[0]] + place[1], size);
  json_decref(digits);
  return same;
}

static bool same_slot(const json_t *column, const struct arrow_type *type,
                      const struct ArrowArray *array, int64_t row) {
  int64_t offset_bytes = layout_offset_bytes(type->kind);
  if (layout_is_view(type->kind)) return same_view(column, type, array, row);
  const json_t *wanted = json_array_get(json_object_get(column, "DATA"), (size_t)row);
  if (!layout_is_bytes(type->kind)) return same_value(wanted, type, array, row);
  int64_t from = layout_offset(array->buffers[1], offset_bytes, row);
  int64_t to = layout_offset(array->buffers[1], offset_bytes, row + 1);
  const uint8_t *data = array->buffers[2]; /* NULL where all values are empty */
  return same_bytes(wanted, type, from == to ? NULL : data + from, to - from);
}

static void check_values(struct place place, const json_t *column, const struct arrow_type *type,
                         const struct ArrowArray *array) {
  const json_t *data = json_object_get(column, layout_is_view(type->kind) ? "VIEWS" : "DATA");
  assert_int_equal(json_array_size(data), array->length);
  for (int64_t row = 0; row < array->length; row++)
    if (is_valid(type, array, row) && !same_slot(column, type, array, row))
      fail_msg("%s, batch %" PRId64 ", column %s: row %" PRId64 " has another value",
               place.golden->name, place.batch, place.column, row);
}

static const json_t *dictionary_of(const struct golden *golden, const json_t *field) {
  const json_t *dictionaries = json_object_get(golden->root, "dictionaries");
  int64_t id = integer_at(json_object_get(field, "dictionary"), "id");
  for (size_t i = 0; i < json_array_size(dictionaries); i++) {
    const json_t *one = json_array_get(dictionaries, i);
    if (integer_at(one, "id") == id)
      return json_array_get(json_object_get(json_object_get(one, "data"), "columns"), 0);
  }
  fail_msg("%s has no dictionary %" PRId64, golden->name, id);
  return NULL;
}

static void check_column(struct place place, const json_t *field, const json_t *column,
                         const struct ArrowSchema *schema, const struct ArrowArray *array);

static void check_children(struct place place, const json_t *field, const json_t *column,
                           const struct ArrowSchema *schema, const struct ArrowArray *array) {
  const json_t *fields = json_object_get(field, "children");
  const json_t *columns = json_object_get(column, "children");
  assert_int_equal(array->n_children, schema->n_children);
  for (int64_t i = 0; i < schema->n_children; i++)
    check_column(place, json_array_get(fields, (size_t)i), json_array_get(columns, (size_t)i),
                 schema->children[i], array->children[i]);
}

/* A field with a dictionary has two columns: its indices, and the dictionary's values. */
static void check_column(struct place place, const json_t *field, const json_t *column,
                         const struct ArrowSchema *schema, const struct ArrowArray *array) {
  struct arrow_type type;
  place.column = string_of(column, "name");
  assert_int_equal(arrow_type_parse(schema->format, &type, NULL), STATUS_OK);
  assert_int_equal(array->length, integer_at(column, "count"));
  assert_int_equal(array->offset, 0);
  if (type.kind == ARROW_NULL) return;
  check_nulls(place, json_object_get(column, "VALIDITY"), &type, array);
  check_layout(place, column, &type, array);
  if (schema->n_children == 0 && type.kind != ARROW_STRUCT)
    check_values(place, column, &type, array);
  if (schema->dictionary != NULL)
    check_column(place, field, dictionary_of(place.golden, field), schema->dictionary,
                 array->dictionary);
  else
    check_children(place, field, column, schema, array);
}

void golden_check_batch(const struct golden *golden, int64_t index,
                        const struct ArrowSchema *schema, const struct ArrowArray *batch) {
  const json_t *wanted = json_array_get(json_object_get(golden->root, "batches"), (size_t)index);
  const json_t *fields = json_object_get(json_object_get(golden->root, "schema"), "fields");
  const json_t *columns = json_object_get(wanted, "columns");
  struct place place = {.golden = golden, .batch = index};
  assert_int_equal(batch->length, integer_at(wanted, "count"));
  assert_int_equal(batch->n_children, json_array_size(columns));
  for (int64_t i = 0; i < batch->n_children; i++)
    check_column(place, json_array_get(fields, (size_t)i), json_array_get(columns, (size_t)i),
                 schema->children[i], batch->children[i]);
}
