/* Format strings of the C data interface ("Data type description -- format
 * strings"), read and printed. */
#include "arrow/schema.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { PRINT_CHILDREN_MAX = 20 }; /* of a struct: a name is for people */

/* ---- reading ------------------------------------------------------------------------ */

static const struct {
  char letter;
  enum arrow_kind kind;
  int32_t bit_width;
} letters[] = {
    {'n', ARROW_NULL, 0},     {'b', ARROW_BOOL, 1},       {'c', ARROW_INT8, 8},
    {'C', ARROW_UINT8, 8},    {'s', ARROW_INT16, 16},     {'S', ARROW_UINT16, 16},
    {'i', ARROW_INT32, 32},   {'I', ARROW_UINT32, 32},    {'l', ARROW_INT64, 64},
    {'L', ARROW_UINT64, 64},  {'e', ARROW_FLOAT16, 16},   {'f', ARROW_FLOAT32, 32},
    {'g', ARROW_FLOAT64, 64}, {'z', ARROW_BINARY, 0},     {'Z', ARROW_LARGE_BINARY, 0},
    {'u', ARROW_UTF8, 0},     {'U', ARROW_LARGE_UTF8, 0},
};

static const struct {
  const char *text;
  enum arrow_kind kind;
  enum arrow_unit unit;
  int32_t bit_width;
} words[] = {
    {"vz", ARROW_BINARY_VIEW, ARROW_SECOND, 0},
    {"vu", ARROW_UTF8_VIEW, ARROW_SECOND, 0},
    {"tdD", ARROW_DATE32, ARROW_SECOND, 32},
    {"tdm", ARROW_DATE64, ARROW_MILLISECOND, 64},
    {"tts", ARROW_TIME32, ARROW_SECOND, 32},
    {"ttm", ARROW_TIME32, ARROW_MILLISECOND, 32},
    {"ttu", ARROW_TIME64, ARROW_MICROSECOND, 64},
    {"ttn", ARROW_TIME64, ARROW_NANOSECOND, 64},
    {"tDs", ARROW_DURATION, ARROW_SECOND, 64},
    {"tDm", ARROW_DURATION, ARROW_MILLISECOND, 64},
    {"tDu", ARROW_DURATION, ARROW_MICROSECOND, 64},
    {"tDn", ARROW_DURATION, ARROW_NANOSECOND, 64},
    {"tiM", ARROW_INTERVAL_MONTHS, ARROW_SECOND, 32},
    {"tiD", ARROW_INTERVAL_DAY_TIME, ARROW_SECOND, 64},
    {"tin", ARROW_INTERVAL_MONTH_DAY_NANO, ARROW_SECOND, 128},
    {"+l", ARROW_LIST, ARROW_SECOND, 0},
    {"+L", ARROW_LARGE_LIST, ARROW_SECOND, 0},
    {"+vl", ARROW_LIST_VIEW, ARROW_SECOND, 0},
    {"+vL", ARROW_LARGE_LIST_VIEW, ARROW_SECOND, 0},
    {"+s", ARROW_STRUCT, ARROW_SECOND, 0},
    {"+m", ARROW_MAP, ARROW_SECOND, 0},
    {"+r", ARROW_RUN_END_ENCODED, ARROW_SECOND, 0},
};

static bool starts_with(const char *text, const char *prefix, const char **rest) {
  size_t length = strlen(prefix);
  if (strncmp(text, prefix, length) != 0) return false;
  *rest = text + length;
  return true;
}

/* A whole number at `*text`, which is left behind it. */
static bool take_number(const char **text, int32_t least, int32_t *number) {
  char *end = NULL;
  const char *digits = **text == '-' ? *text + 1 : *text;
  if (*digits < '0' || *digits > '9') return false;
  long long value = strtoll(*text, &end, 10);
  if (value < least || value > INT32_MAX) return false;
  *text = end;
  *number = (int32_t)value;
  return true;
}

/* "P,S" or "P,S,W" */
static bool parse_decimal(const char *text, struct arrow_type *type) {
  type->kind = ARROW_DECIMAL;
  type->bit_width = 128;
  if (!take_number(&text, 1, &type->precision) || *text++ != ',') return false;
  if (!take_number(&text, INT32_MIN, &type->scale)) return false;
  if (*text == ',') {
    text++;
    if (!take_number(&text, 32, &type->bit_width)) return false;
  }
  if (*text != '\0') return false;
  int32_t most = type->bit_width == 32    ? 9
                 : type->bit_width == 64  ? 18
                 : type->bit_width == 128 ? 38
                 : type->bit_width == 256 ? 76
                                          : 0;
  return type->precision <= most;
}

/* "s:", "m:UTC" */
static bool parse_timestamp(const char *text, struct arrow_type *type) {
  static const char units[] = "smun";
  const char *unit = *text == '\0' ? NULL : strchr(units, *text);
  if (unit == NULL || text[1] != ':') return false;
  type->kind = ARROW_TIMESTAMP;
  type->unit = (enum arrow_unit)(unit - units);
  type->bit_width = 64;
  type->timezone = text + 2;
  return true;
}

static bool parse_parameterised(const char *format, struct arrow_type *type) {
  const char *rest;
  if (starts_with(format, "d:", &rest)) return parse_decimal(rest, type);
  if (starts_with(format, "ts", &rest)) return parse_timestamp(rest, type);
  if (starts_with(format, "w:", &rest)) {
    type->kind = ARROW_FIXED_SIZE_BINARY;
    return take_number(&rest, 0, &type->fixed_size) && *rest == '\0';
  }
  if (starts_with(format, "+w:", &rest)) {
    type->kind = ARROW_FIXED_SIZE_LIST;
    return take_number(&rest, 0, &type->fixed_size) && *rest == '\0';
  }
  type->kind = ARROW_DENSE_UNION;
  if (starts_with(format, "+ud:", &rest)) return true;
  type->kind = ARROW_SPARSE_UNION;
  return starts_with(format, "+us:", &rest);
}

enum status arrow_type_parse(const char *format, struct arrow_type *type, struct error *error) {
  *type = (struct arrow_type){.timezone = ""};
  if (format == NULL) return error_set(error, STATUS_INVALID, "a field has no format string");
  if (format[0] != '\0' && format[1] == '\0') {
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
      if (format[0] != letters[i].letter) continue;
      type->kind = letters[i].kind;
      type->bit_width = letters[i].bit_width;
      return STATUS_OK;
    }
  }
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    if (strcmp(format, words[i].text) != 0) continue;
    type->kind = words[i].kind;
    type->unit = words[i].unit;
    type->bit_width = words[i].bit_width;
    return STATUS_OK;
  }
  if (parse_parameterised(format, type)) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "the format string \"%.60s\" is not one of Arrow's",
                   format);
}

/* ---- printing ------------------------------------------------------------------------ */

static const char *const unit_names[] = {"s", "ms", "us", "ns"};

/* Names of kinds that say all about the type. */
static const char *const kind_names[] = {
    [ARROW_NULL] = "null",
    [ARROW_BOOL] = "bool",
    [ARROW_INT8] = "int8",
    [ARROW_UINT8] = "uint8",
    [ARROW_INT16] = "int16",
    [ARROW_UINT16] = "uint16",
    [ARROW_INT32] = "int32",
    [ARROW_UINT32] = "uint32",
    [ARROW_INT64] = "int64",
    [ARROW_UINT64] = "uint64",
    [ARROW_FLOAT16] = "float16",
    [ARROW_FLOAT32] = "float32",
    [ARROW_FLOAT64] = "float64",
    [ARROW_BINARY] = "binary",
    [ARROW_LARGE_BINARY] = "large_binary",
    [ARROW_UTF8] = "utf8",
    [ARROW_LARGE_UTF8] = "large_utf8",
    [ARROW_BINARY_VIEW] = "binary_view",
    [ARROW_UTF8_VIEW] = "utf8_view",
    [ARROW_FIXED_SIZE_BINARY] = "fixed_size_binary",
    [ARROW_DECIMAL] = "decimal",
    [ARROW_DATE32] = "date32",
    [ARROW_DATE64] = "date64",
    [ARROW_TIME32] = "time32",
    [ARROW_TIME64] = "time64",
    [ARROW_TIMESTAMP] = "timestamp",
    [ARROW_DURATION] = "duration",
    [ARROW_INTERVAL_MONTHS] = "interval_months",
    [ARROW_INTERVAL_DAY_TIME] = "interval_day_time",
    [ARROW_INTERVAL_MONTH_DAY_NANO] = "interval_month_day_nano",
    [ARROW_LIST] = "list",
    [ARROW_LARGE_LIST] = "large_list",
    [ARROW_LIST_VIEW] = "list_view",
    [ARROW_LARGE_LIST_VIEW] = "large_list_view",
    [ARROW_FIXED_SIZE_LIST] = "fixed_size_list",
    [ARROW_STRUCT] = "struct",
    [ARROW_MAP] = "map",
    [ARROW_DENSE_UNION] = "dense_union",
    [ARROW_SPARSE_UNION] = "sparse_union",
    [ARROW_RUN_END_ENCODED] = "run_end_encoded",
};

static enum status print(const struct ArrowSchema *schema, int depth, struct text *out,
                         struct error *error);

/* "<name: type, name: type>" */
static enum status print_children(const struct ArrowSchema *schema, int depth, struct text *out,
                                  struct error *error) {
  enum status status = text_add(out, "<", error);
  for (int64_t i = 0; i < schema->n_children && status == STATUS_OK; i++) {
    const struct ArrowSchema *child = schema->children[i];
    if (i > 0) status = text_add(out, ", ", error);
    if (status == STATUS_OK && i == PRINT_CHILDREN_MAX) {
      status = text_add_format(out, error, "%" PRId64 " more", schema->n_children - i);
      break;
    }
    if (status == STATUS_OK)
      status = text_add_format(out, error, "%s: ", child->name == NULL ? "" : child->name);
    if (status == STATUS_OK) status = print(child, depth + 1, out, error);
  }
  return status == STATUS_OK ? text_add(out, ">", error) : status;
}

static enum status print_dictionary(const struct ArrowSchema *schema, const char *indices,
                                    int depth, struct text *out, struct error *error) {
  enum status status = text_add(out, "dictionary<values=", error);
  if (status == STATUS_OK) status = print(schema->dictionary, depth + 1, out, error);
  if (status == STATUS_OK) status = text_add_format(out, error, ", indices=%s>", indices);
  return status;
}

static enum status print(const struct ArrowSchema *schema, int depth, struct text *out,
                         struct error *error) {
  struct arrow_type type;
  if (depth > ARROW_DEPTH_MAX) return text_add(out, "...", error);
  if (arrow_type_parse(schema->format, &type, NULL) != STATUS_OK)
    return text_add_format(out, error, "\"%.60s\"", schema->format == NULL ? "" : schema->format);
  const char *name = kind_names[type.kind];
  if (schema->dictionary != NULL) return print_dictionary(schema, name, depth, out, error);
  const char *unit = unit_names[type.unit];
  switch (type.kind) {
  case ARROW_TIMESTAMP:
    if (type.timezone[0] != '\0')
      return text_add_format(out, error, "timestamp[%s, %s]", unit, type.timezone);
    return text_add_format(out, error, "timestamp[%s]", unit);
  case ARROW_TIME32:
  case ARROW_TIME64:
  case ARROW_DURATION: return text_add_format(out, error, "%s[%s]", name, unit);
  case ARROW_DECIMAL:
    return text_add_format(out, error, "decimal%d(%d, %d)", type.bit_width, type.precision,
                           type.scale);
  case ARROW_FIXED_SIZE_BINARY: return text_add_format(out, error, "%s[%d]", name, type.fixed_size);
  default: break;
  }
  enum status status = text_add(out, name, error);
  if (status == STATUS_OK && (schema->n_children > 0 || type.kind == ARROW_STRUCT))
    status = print_children(schema, depth, out, error);
  if (status == STATUS_OK && type.kind == ARROW_FIXED_SIZE_LIST)
    status = text_add_format(out, error, "[%d]", type.fixed_size);
  return status;
}

enum status arrow_type_print(const struct ArrowSchema *schema, struct text *out,
                             struct error *error) {
  return print(schema, 0, out, error);
}
