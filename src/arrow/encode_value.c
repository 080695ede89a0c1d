#include "arrow/encode_value.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "arrow/bitmap.h"
#include "arrow/encode_number.h"
#include "arrow/encode_time.h"

enum { SCALAR_TEXT_BYTES = 96 }; /* of everything that has no length of its own, with quotes */

_Static_assert(NUMBER_TEXT_BYTES + 2 <= SCALAR_TEXT_BYTES, "room for every number");
_Static_assert(TIME_TEXT_BYTES + 2 <= SCALAR_TEXT_BYTES, "room for every time");
_Static_assert(DECIMAL_TEXT_BYTES + 2 <= SCALAR_TEXT_BYTES, "room for every decimal");

/* ---- values without a length of their own ------------------------------------------ */

static int32_t int32_at(const uint8_t *values, int64_t index) {
  int32_t value;
  memcpy(&value, values + 4 * index, sizeof value);
  return value;
}

static int64_t int64_at(const uint8_t *values, int64_t index) {
  int64_t value;
  memcpy(&value, values + 8 * index, sizeof value);
  return value;
}

static int16_t int16_at(const uint8_t *values, int64_t index) {
  int16_t value;
  memcpy(&value, values + 2 * index, sizeof value);
  return value;
}

static double double_at(const uint8_t *values, int64_t index) {
  double value;
  memcpy(&value, values + 8 * index, sizeof value);
  return value;
}

static float float_at(const uint8_t *values, int64_t index) {
  float value;
  memcpy(&value, values + 4 * index, sizeof value);
  return value;
}

static char *put_bool(char *at, bool value) {
  memcpy(at, value ? "true" : "false", 5);
  return at + (value ? 4 : 5);
}

static char *put_timestamp(char *at, int64_t value, const struct arrow_type *type) {
  at = encode_timestamp(at, value, type->unit);
  if (type->timezone != NULL && type->timezone[0] != '\0') *at++ = 'Z';
  return at;
}

/* The value at `index` of the values buffer, where SCALAR_TEXT_BYTES less 2 are free
 * (and, for decimals, their scale); NULL for a type that is not such a one. */
static char *put_scalar(char *at, const struct arrow_type *type, const uint8_t *values, int64_t i) {
  switch (type->kind) {
  case ARROW_BOOL: return put_bool(at, bitmap_get(values, i));
  case ARROW_INT8: return encode_integer(at, (int8_t)values[i]);
  case ARROW_UINT8: return encode_unsigned(at, values[i]);
  case ARROW_INT16: return encode_integer(at, int16_at(values, i));
  case ARROW_UINT16: return encode_unsigned(at, (uint16_t)int16_at(values, i));
  case ARROW_INT32: return encode_integer(at, int32_at(values, i));
  case ARROW_UINT32: return encode_unsigned(at, (uint32_t)int32_at(values, i));
  case ARROW_INT64: return encode_integer(at, int64_at(values, i));
  case ARROW_UINT64: return encode_unsigned(at, (uint64_t)int64_at(values, i));
  case ARROW_FLOAT16: return encode_float(at, half_to_float((uint16_t)int16_at(values, i)));
  case ARROW_FLOAT32: return encode_float(at, float_at(values, i));
  case ARROW_FLOAT64: return encode_double(at, double_at(values, i));
  case ARROW_DECIMAL: {
    int64_t bytes = type->bit_width / 8;
    return encode_decimal(at, values + i * bytes, bytes, type->scale);
  }
  case ARROW_DATE32: return encode_date(at, int32_at(values, i));
  case ARROW_DATE64: return encode_date_ms(at, int64_at(values, i));
  case ARROW_TIME32: return encode_time(at, int32_at(values, i), type->unit);
  case ARROW_TIME64: return encode_time(at, int64_at(values, i), type->unit);
  case ARROW_TIMESTAMP: return put_timestamp(at, int64_at(values, i), type);
  case ARROW_DURATION: return encode_duration(at, int64_at(values, i), type->unit);
  case ARROW_INTERVAL_MONTHS: return encode_months(at, int32_at(values, i));
  case ARROW_INTERVAL_DAY_TIME:
    return encode_day_time(at, int32_at(values, 2 * i), int32_at(values, 2 * i + 1));
  case ARROW_INTERVAL_MONTH_DAY_NANO:
    return encode_month_day_nano(at, int32_at(values, 4 * i), int32_at(values, 4 * i + 1),
                                 int64_at(values, 2 * i + 1));
  default: return NULL;
  }
}

static bool is_scalar(enum arrow_kind kind) {
  return (kind >= ARROW_BOOL && kind <= ARROW_FLOAT64) ||
         (kind >= ARROW_DECIMAL && kind <= ARROW_INTERVAL_MONTH_DAY_NANO);
}

/* What JSON has no number for. */
static bool is_special(const struct arrow_type *type, const char *text) {
  if (type->kind < ARROW_FLOAT16 || type->kind > ARROW_FLOAT64) return false;
  return text[0] == 'N' || text[0] == 'I' || text[1] == 'I';
}

static enum status write_scalar(const struct layout *layout, const struct column *column,
                                int64_t place, bool is_json, struct pen *pen, struct error *error) {
  int64_t room_bytes = SCALAR_TEXT_BYTES;
  if (layout->type.kind == ARROW_DECIMAL) room_bytes += VALUE_SCALE_MAX;
  enum status status = pen_room(pen, room_bytes, error);
  if (status != STATUS_OK) return status;
  char *start = pen->at;
  bool is_quoted = is_json && layout->type.kind > ARROW_FLOAT64;
  if (is_quoted) pen_put(pen, '"');
  pen->at = put_scalar(pen->at, &layout->type, column->values, place);
  if (is_json && is_special(&layout->type, start)) {
    memmove(start + 1, start, (size_t)(pen->at - start));
    *start = '"';
    pen->at++;
    is_quoted = true;
  }
  if (is_quoted) pen_put(pen, '"');
  return STATUS_OK;
}

/* ---- text and binary --------------------------------------------------------------- */

struct bytes {
  const uint8_t *data;
  int64_t count;
};

static enum status bad_value(const struct layout *layout, int64_t index, struct error *error) {
  return error_set(error, STATUS_INVALID,
                   "column \"%s\": what slot %" PRId64 " refers to does not exist",
                   layout_name(layout), index);
}

static enum status view_at(const struct layout *layout, const struct column *column, int64_t place,
                           struct bytes *out, struct error *error) {
  const uint8_t *view = column->values + VIEW_BYTES * place;
  const struct ArrowArray *array = column->array;
  out->count = int32_at(view, 0);
  out->data = view + 4;
  if (out->count >= 0 && out->count <= VIEW_INLINE_BYTES) return STATUS_OK;
  int32_t buffer = int32_at(view, 2);
  int32_t start = int32_at(view, 3);
  int64_t buffer_count = array->n_buffers - 3;
  if (out->count < 0 || start < 0 || buffer < 0 || buffer >= buffer_count)
    return bad_value(layout, place, error);
  const int64_t *sizes = array->buffers[array->n_buffers - 1];
  if (out->count > sizes[buffer] - start) return bad_value(layout, place, error);
  out->data = (const uint8_t *)array->buffers[2 + buffer] + start;
  return STATUS_OK;
}

static enum status bytes_at(const struct layout *layout, const struct column *column, int64_t place,
                            struct bytes *out, struct error *error) {
  if (layout_is_view(layout->type.kind)) return view_at(layout, column, place, out, error);
  if (layout->type.kind == ARROW_FIXED_SIZE_BINARY) {
    out->count = layout->type.fixed_size;
    out->data = out->count == 0 ? NULL : column->values + place * out->count;
    return STATUS_OK;
  }
  int64_t width = layout_offset_bytes(layout->type.kind);
  int64_t first = layout_offset(column->values, width, place);
  out->count = layout_offset(column->values, width, place + 1) - first;
  const uint8_t *data = column->array->buffers[2];
  out->data = out->count == 0 ? NULL : data + first;
  return first < 0 || out->count < 0 || (out->count > 0 && data == NULL)
             ? bad_value(layout, place, error)
             : STATUS_OK;
}

static bool is_binary(enum arrow_kind kind) {
  return kind == ARROW_BINARY || kind == ARROW_LARGE_BINARY || kind == ARROW_BINARY_VIEW ||
         kind == ARROW_FIXED_SIZE_BINARY;
}

static enum status write_text(const struct bytes *bytes, enum value_form form, struct pen *pen,
                              struct error *error) {
  const char *data = (const char *)bytes->data;
  if (form == VALUE_JSON) return pen_json(pen, data, bytes->count, error);
  if (form == VALUE_CSV) return pen_csv(pen, data, bytes->count, error);
  return pen_bytes(pen, data, bytes->count, error);
}

static enum status write_bytes(const struct layout *layout, const struct column *column,
                               int64_t place, enum value_form form, struct pen *pen,
                               struct error *error) {
  struct bytes bytes = {0};
  enum status status = bytes_at(layout, column, place, &bytes, error);
  if (status != STATUS_OK) return status;
  if (!is_binary(layout->type.kind)) return write_text(&bytes, form, pen, error);
  bool is_quoted = form == VALUE_JSON || (form == VALUE_CSV && bytes.count == 0);
  if (is_quoted) status = pen_bytes(pen, "\"", 1, error);
  if (status == STATUS_OK) status = pen_base64(pen, bytes.data, bytes.count, error);
  if (status == STATUS_OK && is_quoted) status = pen_bytes(pen, "\"", 1, error);
  return status;
}

/* ---- nested values ----------------------------------------------------------------- */

/* Where the dictionary's value is that slot `place` stands for. */
static enum status dictionary_index(const struct layout *layout, const struct column *column,
                                    int64_t place, int64_t *index, struct error *error) {
  switch (layout->type.kind) {
  case ARROW_INT8: *index = (int8_t)column->values[place]; break;
  case ARROW_UINT8: *index = column->values[place]; break;
  case ARROW_INT16: *index = int16_at(column->values, place); break;
  case ARROW_UINT16: *index = (uint16_t)int16_at(column->values, place); break;
  case ARROW_INT32: *index = int32_at(column->values, place); break;
  case ARROW_UINT32: *index = (uint32_t)int32_at(column->values, place); break;
  default: *index = int64_at(column->values, place); break;
  }
  if (*index < 0 || *index >= column->array->dictionary->length)
    return bad_value(layout, place, error);
  return STATUS_OK;
}

/* The items of a list of any type: [*first, *last) of its child. */
static bool items_at(const struct layout *layout, const struct column *column, int64_t place,
                     int64_t *first, int64_t *last) {
  enum arrow_kind kind = layout->type.kind;
  int64_t length = column->array->children[0]->length;
  if (kind == ARROW_FIXED_SIZE_LIST) {
    *first = place * layout->type.fixed_size;
    *last = *first + layout->type.fixed_size;
  } else if (layout_is_list_view(kind)) {
    int64_t width = layout_list_view_bytes(kind);
    int64_t size = layout_offset(column->array->buffers[2], width, place);
    *first = layout_offset(column->values, width, place);
    if (*first < 0 || *first > length || size < 0 || size > length - *first) return false;
    *last = *first + size;
  } else {
    int64_t width = layout_offset_bytes(kind);
    *first = layout_offset(column->values, width, place);
    *last = layout_offset(column->values, width, place + 1);
  }
  return *first >= 0 && *last >= *first && *last <= length;
}

static enum status write_list(struct columns *columns, const struct layout *layout, int64_t place,
                              struct pen *pen, struct error *error) {
  int64_t first = 0;
  int64_t last = 0;
  if (!items_at(layout, &columns->list[layout->index], place, &first, &last))
    return bad_value(layout, place, error);
  enum status status = pen_bytes(pen, "[", 1, error);
  for (int64_t i = first; i < last && status == STATUS_OK; i++) {
    if (i > first) status = pen_bytes(pen, ",", 1, error);
    if (status == STATUS_OK)
      status = value_write(columns, &layout->children[0], i, VALUE_JSON, pen, error);
  }
  return status == STATUS_OK ? pen_bytes(pen, "]", 1, error) : status;
}

/* `"name":value`, behind a comma where it is not the first. */
static enum status write_field(struct columns *columns, const struct layout *field, int64_t index,
                               bool is_first, struct pen *pen, struct error *error) {
  const struct column *column = &columns->list[field->index];
  enum status status = pen_room(pen, column->key_bytes + 1, error);
  if (status != STATUS_OK) return status;
  if (!is_first) pen_put(pen, ',');
  pen_put_bytes(pen, (const char *)columns->keys.data + column->key_start, column->key_bytes);
  return value_write(columns, field, index, VALUE_JSON, pen, error);
}

static enum status write_object(struct columns *columns, const struct layout *layout, int64_t place,
                                struct pen *pen, struct error *error) {
  enum status status = pen_bytes(pen, "{", 1, error);
  for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++)
    status = write_field(columns, &layout->children[i], place, i == 0, pen, error);
  return status == STATUS_OK ? pen_bytes(pen, "}", 1, error) : status;
}

/* The member that the slot is, under its name. */
static enum status write_union(struct columns *columns, const struct layout *layout, int64_t place,
                               struct pen *pen, struct error *error) {
  const struct ArrowArray *array = columns->list[layout->index].array;
  int8_t code = ((const int8_t *)array->buffers[0])[place];
  int8_t member = code < 0 ? -1 : layout->child_of_code[code];
  if (member < 0) return bad_value(layout, place, error);
  int64_t index = place;
  if (layout->type.kind == ARROW_DENSE_UNION) index = ((const int32_t *)array->buffers[1])[place];
  if (index < 0 || index >= array->children[member]->length) return bad_value(layout, place, error);
  enum status status = pen_bytes(pen, "{", 1, error);
  if (status == STATUS_OK)
    status = write_field(columns, &layout->children[member], index, true, pen, error);
  return status == STATUS_OK ? pen_bytes(pen, "}", 1, error) : status;
}

static enum status write_nested(struct columns *columns, const struct layout *layout, int64_t place,
                                struct pen *pen, struct error *error) {
  if (layout->type.kind == ARROW_STRUCT) return write_object(columns, layout, place, pen, error);
  if (layout_is_union(layout->type.kind)) return write_union(columns, layout, place, pen, error);
  return write_list(columns, layout, place, pen, error);
}

/* A CSV field is its JSON as a text. */
static enum status write_nested_field(struct columns *columns, const struct layout *layout,
                                      int64_t place, struct pen *pen, struct error *error) {
  struct pen json;
  columns->scratch.size_bytes = 0;
  pen_open(&json, &columns->scratch, columns->budget);
  enum status status = write_nested(columns, layout, place, &json, error);
  pen_close(&json);
  if (status != STATUS_OK) return status;
  return pen_csv(pen, (const char *)columns->scratch.data, columns->scratch.size_bytes, error);
}

/* ---- all values -------------------------------------------------------------------- */

static bool is_null(const struct layout *layout, const struct column *column, int64_t place) {
  if (layout->type.kind == ARROW_NULL) return true;
  return column->validity != NULL && !bitmap_get(column->validity, place);
}

static enum status write_null(enum value_form form, struct pen *pen, struct error *error) {
  if (form == VALUE_CSV) return STATUS_OK;
  return pen_bytes(pen, form == VALUE_JSON ? "null" : "NULL", 4, error);
}

enum status value_write(struct columns *columns, const struct layout *layout, int64_t index,
                        enum value_form form, struct pen *pen, struct error *error) {
  struct column *column = &columns->list[layout->index];
  int64_t place = column->offset + index;
  if (is_null(layout, column, place)) return write_null(form, pen, error);
  if (layout->dictionary != NULL) {
    int64_t in_dictionary = 0;
    enum status status = dictionary_index(layout, column, place, &in_dictionary, error);
    if (status != STATUS_OK) return status;
    return value_write(columns, layout->dictionary, in_dictionary, form, pen, error);
  }
  if (layout->type.kind == ARROW_RUN_END_ENCODED) {
    if (!array_runs_find(&column->runs, place)) return bad_value(layout, place, error);
    return value_write(columns, &layout->children[RUN_VALUES], column->runs.run, form, pen, error);
  }
  if (is_scalar(layout->type.kind))
    return write_scalar(layout, column, place, form == VALUE_JSON, pen, error);
  if (layout->type.kind < ARROW_LIST) return write_bytes(layout, column, place, form, pen, error);
  if (form == VALUE_CSV) return write_nested_field(columns, layout, place, pen, error);
  return write_nested(columns, layout, place, pen, error);
}
