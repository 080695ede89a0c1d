#include "flight/sql_types.h"

#include <stdlib.h>
#include <string.h>

#include "flight/messages.h"

enum { NONE = -1 };

struct type {
  const char *name;
  int32_t data_type;
  int32_t size; /* digits, bits or characters, as the specification wants it; NONE: it has none */
  const char *prefix, *suffix;
  const char *params[3];
  int32_t is_unsigned; /* NONE: it is no number */
  int32_t scale_min, scale_max;
  int32_t subcode; /* of dates, times, intervals */
  int32_t radix;
  bool text;
};

#define XDBC(name)   ARROW__FLIGHT__PROTOCOL__SQL__XDBC_DATA_TYPE__XDBC_##name
#define SUB(name)    ARROW__FLIGHT__PROTOCOL__SQL__XDBC_DATETIME_SUBCODE__XDBC_SUBCODE_##name
#define SEARCH(name) ARROW__FLIGHT__PROTOCOL__SQL__SEARCHABLE__SEARCHABLE_##name

#define INTEGRAL(sql, type, digits, no_sign)                                                       \
  {                                                                                                \
    .name = sql, .data_type = XDBC(type), .size = digits, .is_unsigned = no_sign, .scale_min = 0,  \
    .scale_max = 0, .subcode = NONE, .radix = 10                                                   \
  }
#define FLOATING(sql, type, bits)                                                                  \
  {                                                                                                \
    .name = sql, .data_type = XDBC(type), .size = bits, .is_unsigned = 0, .scale_min = NONE,       \
    .scale_max = NONE, .subcode = NONE, .radix = 2                                                 \
  }
#define QUOTED(sql, type, characters, is_text, begin)                                              \
  {                                                                                                \
    .name = sql, .data_type = XDBC(type), .size = characters, .prefix = begin, .suffix = "'",      \
    .is_unsigned = NONE, .scale_min = NONE, .scale_max = NONE, .subcode = NONE, .radix = NONE,     \
    .text = is_text                                                                                \
  }
#define TIMED(sql, type, characters, digits, code, begin)                                          \
  {                                                                                                \
    .name = sql, .data_type = XDBC(type), .size = characters, .prefix = begin, .suffix = "'",      \
    .is_unsigned = NONE, .scale_min = digits, .scale_max = digits, .subcode = SUB(code),           \
    .radix = NONE                                                                                  \
  }

/* Ordered by data_type and name. A value of 2 GiB is the longest that a record batch holds. */
static const struct type types[] = {
    {.name = "BOOLEAN",
     .data_type = XDBC(BIT),
     .size = 1,
     .is_unsigned = NONE,
     .scale_min = NONE,
     .scale_max = NONE,
     .subcode = NONE,
     .radix = NONE},
    INTEGRAL("TINYINT", TINYINT, 3, 0),
    INTEGRAL("UTINYINT", TINYINT, 3, 1),
    INTEGRAL("BIGINT", BIGINT, 19, 0),
    INTEGRAL("UBIGINT", BIGINT, 20, 1),
    QUOTED("BLOB", VARBINARY, INT32_MAX, false, "BLOB '"),
    QUOTED("UUID", CHAR, 36, false, "UUID '"),
    INTEGRAL("HUGEINT", NUMERIC, 38, 0),
    INTEGRAL("UHUGEINT", NUMERIC, 38, 1),
    {.name = "DECIMAL",
     .data_type = XDBC(DECIMAL),
     .size = 38,
     .params = {"precision", "scale"},
     .is_unsigned = 0,
     .scale_min = 0,
     .scale_max = 38,
     .subcode = NONE,
     .radix = 10},
    INTEGRAL("INTEGER", INTEGER, 10, 0),
    INTEGRAL("UINTEGER", INTEGER, 10, 1),
    INTEGRAL("SMALLINT", SMALLINT, 5, 0),
    INTEGRAL("USMALLINT", SMALLINT, 5, 1),
    FLOATING("FLOAT", REAL, 24),
    FLOATING("DOUBLE", DOUBLE, 53),
    TIMED("INTERVAL", INTERVAL, NONE, NONE, UNKNOWN, "INTERVAL '"),
    QUOTED("BIT", VARCHAR, INT32_MAX, false, "BIT '"),
    QUOTED("JSON", VARCHAR, INT32_MAX, true, "JSON '"),
    QUOTED("VARCHAR", VARCHAR, INT32_MAX, true, "'"),
    TIMED("DATE", DATE, 10, NONE, DATE, "DATE '"),
    TIMED("TIME", TIME, 15, 6, TIME, "TIME '"),
    TIMED("TIME_NS", TIME, 18, 9, TIME, "TIME_NS '"),
    TIMED("TIMESTAMP", TIMESTAMP, 26, 6, TIMESTAMP, "TIMESTAMP '"),
    TIMED("TIMESTAMP WITH TIME ZONE", TIMESTAMP, 29, 6, TIMESTAMP_WITH_TIMEZONE, "TIMESTAMPTZ '"),
    TIMED("TIMESTAMP_MS", TIMESTAMP, 23, 3, TIMESTAMP, "TIMESTAMP_MS '"),
    TIMED("TIMESTAMP_NS", TIMESTAMP, 29, 9, TIMESTAMP, "TIMESTAMP_NS '"),
    TIMED("TIMESTAMP_S", TIMESTAMP, 19, 0, TIMESTAMP, "TIMESTAMP_S '"),
};
enum { TYPE_COUNT = sizeof types / sizeof types[0] };

static struct sql_value number_or_null(int32_t number) {
  return number == NONE ? SQL_VALUE_NULL : SQL_VALUE_INTEGER(number);
}

/* Dates, times and intervals are told apart by their subcode there. */
static int32_t generic_type(const struct type *type) {
  bool datetime = type->data_type == XDBC(DATE) || type->data_type == XDBC(TIME) ||
                  type->data_type == XDBC(TIMESTAMP);
  return datetime ? XDBC(DATETIME) : type->data_type;
}

static enum status add_type(struct sql_rows *rows, const struct type *type, struct error *error) {
  bool integral = type->radix == 10 && type->params[0] == NULL;
  struct sql_value params = {.kind = SQL_LIST, .list = type->params};
  const struct sql_value values[] = {
      SQL_VALUE_TEXT(type->name),
      SQL_VALUE_INTEGER(type->data_type),
      number_or_null(type->size),
      SQL_VALUE_TEXT(type->prefix),
      SQL_VALUE_TEXT(type->suffix),
      type->params[0] == NULL ? SQL_VALUE_NULL : params,
      SQL_VALUE_INTEGER(ARROW__FLIGHT__PROTOCOL__SQL__NULLABLE__NULLABILITY_NULLABLE),
      SQL_VALUE_INTEGER(type->text),
      SQL_VALUE_INTEGER(type->text ? SEARCH(FULL) : SEARCH(BASIC)), /* only text has LIKE */
      number_or_null(type->is_unsigned),
      SQL_VALUE_INTEGER(integral),
      type->is_unsigned == NONE ? SQL_VALUE_NULL : SQL_VALUE_INTEGER(0), /* auto_increment */
      SQL_VALUE_NULL,                                                    /* local_type_name */
      number_or_null(type->scale_min),
      number_or_null(type->scale_max),
      SQL_VALUE_INTEGER(generic_type(type)),
      number_or_null(type->subcode),
      number_or_null(type->radix),
      SQL_VALUE_NULL, /* interval_precision: there is no limit */
  };
  return sql_rows_add(rows, values, error);
}

enum status sql_types_add(struct sql_rows *rows, const int32_t *data_type, struct error *error) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < TYPE_COUNT && status == STATUS_OK; i++)
    if (data_type == NULL || *data_type == types[i].data_type)
      status = add_type(rows, &types[i], error);
  return status;
}

void sql_types_describe(struct sql_column *column) {
  column->precision = column->scale = NONE;
  column->case_sensitive = false;
  if (strncmp(column->type, "DECIMAL(", 8) == 0) {
    char *end;
    column->precision = (int32_t)strtol(column->type + 8, &end, 10);
    if (*end == ',') column->scale = (int32_t)strtol(end + 1, &end, 10);
    if (strcmp(end, ")") == 0) return;
    column->precision = column->scale = NONE; /* a list of them, or what we do not know */
    return;
  }
  for (size_t i = 0; i < TYPE_COUNT; i++) {
    if (strcmp(column->type, types[i].name) != 0) continue;
    column->precision = types[i].size;
    column->scale = types[i].scale_max;
    column->case_sensitive = types[i].text;
  }
  /* What is made of others may have text in it; an ENUM has. */
  if (strstr(column->type, "VARCHAR") != NULL || strncmp(column->type, "ENUM(", 5) == 0)
    column->case_sensitive = true;
}
