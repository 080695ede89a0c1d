/* Which Arrow type lands in which DuckDB type.
 *
 * One table says it all: the mapping, the range of values that DuckDB's type holds,
 * the function that moves them, and the sentences of docs/types.md. The rule is that
 * a type maps exactly or is refused by name; a value that the mapped type does not
 * hold is refused when it comes. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/fill.h"
#include "engine/private.h"
#include "engine/types.h"

enum { ANY = -1, DUCK_DECIMAL_DIGITS_MAX = 38, DUCK_ARRAY_ITEMS_MAX = 100000 };

#define DAY_MS INT64_C(86400000)
#define DAY_US INT64_C(86400000000)
#define DAY_NS INT64_C(86400000000000)

/* The largest finite values; what lies beyond means infinity to DuckDB, or nothing. */
#define DATE_MIN         INT64_C(-2147483646)
#define DATE_MAX         INT64_C(2147483646)
#define TIMESTAMP_MIN    INT64_C(-9223372022400000000)
#define TIMESTAMP_MAX    (INT64_MAX - 1)
#define TIMESTAMP_NS_MIN INT64_C(-9223286400000000000)

struct rule {
  enum arrow_kind kind;
  int unit; /* ANY, or an enum arrow_unit */
  int zone; /* timestamps: ANY, 0 without, 1 with a time zone */
  const char *arrow;
  duckdb_type duck; /* DUCKDB_TYPE_INVALID: refused */
  const char *sql;  /* NULL where parameters make it up */
  landing_fill *fill;
  int64_t value_min, value_max, divisor, factor;
  const char *note; /* for the document; for a refused type the reason */
};

#define PLAIN(kind, arrow, duck, fill, note)                                                       \
  { kind, ANY, ANY, arrow, DUCKDB_TYPE_##duck, #duck, fill, 0, 0, 1, 1, note }
#define TEMPORAL(kind, unit, zone, arrow, duck, sql, fill, min, max, divisor, factor, note)        \
  { kind, unit, zone, arrow, DUCKDB_TYPE_##duck, sql, fill, min, max, divisor, factor, note }
#define NESTED(kind, arrow, duck, fill, note)                                                      \
  { kind, ANY, ANY, arrow, DUCKDB_TYPE_##duck, NULL, fill, 0, 0, 1, 1, note }
#define REFUSED(kind, unit, zone, arrow, reason)                                                   \
  { kind, unit, zone, arrow, DUCKDB_TYPE_INVALID, NULL, NULL, 0, 0, 1, 1, reason }

static const struct rule rules[] = {
    {ARROW_NULL, ANY, ANY, "null", DUCKDB_TYPE_SQLNULL, NULL, fill_null, 0, 0, 1, 1,
     "lands in any nullable column that exists; no column can be created of it"},
    PLAIN(ARROW_BOOL, "bool", BOOLEAN, fill_boolean, ""),
    PLAIN(ARROW_INT8, "int8", TINYINT, fill_fixed, ""),
    PLAIN(ARROW_INT16, "int16", SMALLINT, fill_fixed, ""),
    PLAIN(ARROW_INT32, "int32", INTEGER, fill_fixed, ""),
    PLAIN(ARROW_INT64, "int64", BIGINT, fill_fixed, ""),
    PLAIN(ARROW_UINT8, "uint8", UTINYINT, fill_fixed, ""),
    PLAIN(ARROW_UINT16, "uint16", USMALLINT, fill_fixed, ""),
    PLAIN(ARROW_UINT32, "uint32", UINTEGER, fill_fixed, ""),
    PLAIN(ARROW_UINT64, "uint64", UBIGINT, fill_fixed, ""),
    PLAIN(ARROW_FLOAT16, "float16", FLOAT, fill_half, "widened, which is exact"),
    PLAIN(ARROW_FLOAT32, "float32", FLOAT, fill_fixed, ""),
    PLAIN(ARROW_FLOAT64, "float64", DOUBLE, fill_fixed, ""),
    {ARROW_DECIMAL, ANY, ANY, "decimal32/64/128/256(p, s)", DUCKDB_TYPE_DECIMAL, NULL, fill_decimal,
     0, 0, 1, 1,
     "`DECIMAL(p,s)` for p up to 38 and s from 0 to p; other precisions and scales are refused, "
     "and a value of more than p digits is"},
    PLAIN(ARROW_UTF8, "utf8", VARCHAR, fill_bytes, "text that is not UTF-8 is refused"),
    PLAIN(ARROW_LARGE_UTF8, "large_utf8", VARCHAR, fill_large_bytes, "as utf8"),
    PLAIN(ARROW_UTF8_VIEW, "utf8_view", VARCHAR, fill_view, "as utf8"),
    PLAIN(ARROW_BINARY, "binary", BLOB, fill_bytes, ""),
    PLAIN(ARROW_LARGE_BINARY, "large_binary", BLOB, fill_large_bytes, ""),
    PLAIN(ARROW_BINARY_VIEW, "binary_view", BLOB, fill_view, ""),
    PLAIN(ARROW_FIXED_SIZE_BINARY, "fixed_size_binary(n)", BLOB, fill_fixed_bytes, ""),
    TEMPORAL(ARROW_DATE32, ANY, ANY, "date32", DATE, "DATE", fill_int32_to_int32, DATE_MIN,
             DATE_MAX, 1, 1,
             "the three outermost values, which mean infinity to DuckDB, are refused"),
    TEMPORAL(ARROW_DATE64, ANY, ANY, "date64", DATE, "DATE", fill_int64_to_int32, DATE_MIN *DAY_MS,
             DATE_MAX *DAY_MS, DAY_MS, 1, "a value that is not a whole day is refused"),
    TEMPORAL(ARROW_TIME32, ARROW_SECOND, ANY, "time32[s]", TIME, "TIME", fill_int32_to_int64, 0,
             DAY_MS / 1000 - 1, 1, 1000000, "a value outside of one day is refused"),
    TEMPORAL(ARROW_TIME32, ARROW_MILLISECOND, ANY, "time32[ms]", TIME, "TIME", fill_int32_to_int64,
             0, DAY_MS - 1, 1, 1000, "as time32[s]"),
    TEMPORAL(ARROW_TIME64, ARROW_MICROSECOND, ANY, "time64[us]", TIME, "TIME", fill_int64_to_int64,
             0, DAY_US - 1, 1, 1, "as time32[s]"),
    TEMPORAL(ARROW_TIME64, ARROW_NANOSECOND, ANY, "time64[ns]", TIME_NS, "TIME_NS",
             fill_int64_to_int64, 0, DAY_NS - 1, 1, 1, "as time32[s]"),
    TEMPORAL(ARROW_TIMESTAMP, ARROW_SECOND, 0, "timestamp[s]", TIMESTAMP_S, "TIMESTAMP_S",
             fill_int64_to_int64, TIMESTAMP_MIN / 1000000, TIMESTAMP_MAX / 1000000, 1, 1,
             "years -290308 to 294247; a value beyond is refused"),
    TEMPORAL(ARROW_TIMESTAMP, ARROW_MILLISECOND, 0, "timestamp[ms]", TIMESTAMP_MS, "TIMESTAMP_MS",
             fill_int64_to_int64, TIMESTAMP_MIN / 1000, TIMESTAMP_MAX / 1000, 1, 1,
             "as timestamp[s]"),
    TEMPORAL(ARROW_TIMESTAMP, ARROW_MICROSECOND, 0, "timestamp[us]", TIMESTAMP, "TIMESTAMP",
             fill_int64_to_int64, TIMESTAMP_MIN, TIMESTAMP_MAX, 1, 1, "as timestamp[s]"),
    TEMPORAL(ARROW_TIMESTAMP, ARROW_NANOSECOND, 0, "timestamp[ns]", TIMESTAMP_NS, "TIMESTAMP_NS",
             fill_int64_to_int64, TIMESTAMP_NS_MIN, INT64_MAX - 1, 1, 1,
             "1677-09-22 to 2262-04-11; a value beyond is refused"),
    TEMPORAL(ARROW_TIMESTAMP, ARROW_SECOND, 1, "timestamp[s, zone]", TIMESTAMP_TZ,
             "TIMESTAMP WITH TIME ZONE", fill_int64_to_int64, TIMESTAMP_MIN / 1000000,
             TIMESTAMP_MAX / 1000000, 1, 1000000,
             "the instant is kept, the zone's name is not: it comes back in UTC"),
    TEMPORAL(ARROW_TIMESTAMP, ARROW_MILLISECOND, 1, "timestamp[ms, zone]", TIMESTAMP_TZ,
             "TIMESTAMP WITH TIME ZONE", fill_int64_to_int64, TIMESTAMP_MIN / 1000,
             TIMESTAMP_MAX / 1000, 1, 1000, "as timestamp[s, zone]"),
    TEMPORAL(ARROW_TIMESTAMP, ARROW_MICROSECOND, 1, "timestamp[us, zone]", TIMESTAMP_TZ,
             "TIMESTAMP WITH TIME ZONE", fill_int64_to_int64, TIMESTAMP_MIN, TIMESTAMP_MAX, 1, 1,
             "as timestamp[s, zone]"),
    REFUSED(ARROW_TIMESTAMP, ARROW_NANOSECOND, 1, "timestamp[ns, zone]",
            "DuckDB keeps instants in microseconds; cast it to timestamp[us] or drop the zone"),
    TEMPORAL(ARROW_DURATION, ARROW_SECOND, ANY, "duration[s]", INTERVAL, "INTERVAL", fill_duration,
             -INT64_MAX / 1000000, INT64_MAX / 1000000, 1, 1000000,
             "a value of more than 292,277 years is refused"),
    TEMPORAL(ARROW_DURATION, ARROW_MILLISECOND, ANY, "duration[ms]", INTERVAL, "INTERVAL",
             fill_duration, -INT64_MAX / 1000, INT64_MAX / 1000, 1, 1000, "as duration[s]"),
    TEMPORAL(ARROW_DURATION, ARROW_MICROSECOND, ANY, "duration[us]", INTERVAL, "INTERVAL",
             fill_duration, -INT64_MAX, INT64_MAX, 1, 1, ""),
    REFUSED(ARROW_DURATION, ARROW_NANOSECOND, ANY, "duration[ns]",
            "DuckDB's INTERVAL ends at microseconds; cast it to duration[us]"),
    PLAIN(ARROW_INTERVAL_MONTHS, "interval[months]", INTERVAL, fill_interval_months, ""),
    PLAIN(ARROW_INTERVAL_DAY_TIME, "interval[day_time]", INTERVAL, fill_interval_day_time, ""),
    PLAIN(ARROW_INTERVAL_MONTH_DAY_NANO, "interval[month_day_nano]", INTERVAL,
          fill_interval_month_day, "a value that is not in whole microseconds is refused"),
    NESTED(ARROW_LIST, "list<T>", LIST, fill_list, "`T[]`"),
    NESTED(ARROW_LARGE_LIST, "large_list<T>", LIST, fill_large_list, "`T[]`"),
    NESTED(ARROW_LIST_VIEW, "list_view<T>", LIST, fill_list_view, "`T[]`"),
    NESTED(ARROW_LARGE_LIST_VIEW, "large_list_view<T>", LIST, fill_large_list_view, "`T[]`"),
    NESTED(ARROW_FIXED_SIZE_LIST, "fixed_size_list<T>[n]", ARRAY, fill_fixed_list,
           "`T[n]`, n from 1 to 100,000"),
    NESTED(ARROW_STRUCT, "struct<...>", STRUCT, fill_struct,
           "`STRUCT(...)`; one without fields, or with names that differ only in case, is refused"),
    NESTED(
        ARROW_MAP, "map<K, V>", MAP, fill_list,
        "`MAP(K, V)`; a nested K, a NULL key and a key that occurs twice in a value are refused"),
    REFUSED(ARROW_DENSE_UNION, ANY, ANY, "dense_union",
            "unions are not supported yet; send one column for each member"),
    REFUSED(ARROW_SPARSE_UNION, ANY, ANY, "sparse_union",
            "unions are not supported yet; send one column for each member"),
    REFUSED(ARROW_RUN_END_ENCODED, ANY, ANY, "run_end_encoded",
            "run-end encoding is not supported yet; decode it before sending"),
};

enum { RULE_COUNT = sizeof rules / sizeof rules[0] };

static const struct rule *rule_of(const struct arrow_type *type) {
  int zone = type->timezone != NULL && type->timezone[0] != '\0';
  for (int i = 0; i < RULE_COUNT; i++)
    if (rules[i].kind == type->kind && (rules[i].unit == ANY || rules[i].unit == (int)type->unit) &&
        (rules[i].zone == ANY || rules[i].zone == zone))
      return &rules[i];
  return NULL;
}

/* ---- building ----------------------------------------------------------------- */

static enum status refuse(const struct landing *landing, const struct ArrowSchema *schema,
                          struct error *error, const char *reason) {
  struct text type = TEXT_EMPTY;
  struct error ignored;
  if (arrow_type_print(schema, &type, &ignored) != STATUS_OK) text_clear(&type);
  error_set(error, STATUS_UNSUPPORTED, "column \"%s\" of type %s cannot land in DuckDB: %s",
            landing->path, type.size_bytes > 0 ? type.data : schema->format, reason);
  text_release(&type);
  return STATUS_UNSUPPORTED;
}

/* `parent` NULL: a column. */
static enum status path_set(struct landing *landing, const struct landing *parent,
                            const struct ArrowSchema *schema, struct error *error) {
  struct text path = TEXT_EMPTY;
  enum status status = STATUS_OK;
  landing->name = schema->name == NULL ? "" : schema->name;
  if (parent == NULL)
    status = text_add_format(&path, error, "%s", landing->name);
  else if (parent->type.kind == ARROW_STRUCT)
    status = text_add_format(&path, error, "%s.%s", parent->path, landing->name);
  else if (parent->type.kind == ARROW_MAP)
    status = text_add_format(&path, error, "%s", parent->path);
  else
    status = text_add_format(&path, error, "%s[]", parent->path);
  landing->path = path.data;
  return status;
}

static enum status init(struct landing *landing, const struct duckdb_api *duckdb,
                        const struct landing *parent, const struct ArrowSchema *schema, int depth,
                        struct error *error);

/* Children that the type must have; ANY: as many as there are. */
static int64_t children_wanted(enum arrow_kind kind) {
  switch (kind) {
  case ARROW_LIST:
  case ARROW_LARGE_LIST:
  case ARROW_LIST_VIEW:
  case ARROW_LARGE_LIST_VIEW:
  case ARROW_FIXED_SIZE_LIST:
  case ARROW_MAP: return 1;
  case ARROW_STRUCT: return ANY;
  default: return 0;
  }
}

static enum status init_children(struct landing *landing, const struct ArrowSchema *schema,
                                 int depth, struct error *error) {
  int64_t wanted = children_wanted(landing->type.kind);
  bool broken = wanted != ANY && schema->n_children != wanted;
  if (!broken && landing->type.kind == ARROW_MAP)
    broken = strcmp(schema->children[0]->format, "+s") != 0 || schema->children[0]->n_children != 2;
  if (broken)
    return error_set(error, STATUS_INVALID, "column \"%s\": a type of format %s has other children",
                     landing->path, schema->format);
  if (schema->n_children == 0) return STATUS_OK;
  landing->children = calloc((size_t)schema->n_children, sizeof *landing->children);
  if (landing->children == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for the types of %lld columns",
                     (long long)schema->n_children);
  for (int64_t i = 0; i < schema->n_children; i++) {
    landing->child_count = i + 1;
    enum status status = init(&landing->children[i], landing->duckdb, landing, schema->children[i],
                              depth + 1, error);
    if (status != STATUS_OK) return status;
  }
  return STATUS_OK;
}

/* Names of a struct's fields that differ only in case: DuckDB would mix them up. */
static enum status check_names(const struct landing *landing, const struct ArrowSchema *schema,
                               struct error *error) {
  const char *twice = types_name_twice(schema);
  if (twice == NULL) return STATUS_OK;
  struct text reason = TEXT_EMPTY;
  enum status status = text_add_format(
      &reason, error, "two of its fields are named \"%s\" (case does not count)", twice);
  if (status == STATUS_OK) status = refuse(landing, schema, error, reason.data);
  text_release(&reason);
  return status;
}

/* What the table cannot say: parameters. */
static enum status check_parameters(struct landing *landing, const struct ArrowSchema *schema,
                                    struct error *error) {
  const struct arrow_type *type = &landing->type;
  switch (type->kind) {
  case ARROW_DECIMAL:
    if (type->precision < 1 || type->precision > DUCK_DECIMAL_DIGITS_MAX)
      return refuse(landing, schema, error, "DuckDB's DECIMAL has 1 to 38 digits");
    if (type->scale < 0 || type->scale > type->precision)
      return refuse(landing, schema, error, "DuckDB's DECIMAL has a scale from 0 to its precision");
    landing->width = (uint8_t)type->precision;
    landing->scale = (uint8_t)type->scale;
    return STATUS_OK;
  case ARROW_FIXED_SIZE_LIST:
    if (type->fixed_size < 1 || type->fixed_size > DUCK_ARRAY_ITEMS_MAX)
      return refuse(landing, schema, error, "DuckDB's arrays have 1 to 100,000 items");
    return STATUS_OK;
  case ARROW_STRUCT:
    if (schema->n_children == 0)
      return refuse(landing, schema, error, "DuckDB's STRUCT has at least one field");
    return check_names(landing, schema, error);
  case ARROW_MAP:
    if (landing->children[0].children[0].child_count > 0)
      return refuse(landing, schema, error, "a map's key must not be nested");
    return STATUS_OK;
  default: return STATUS_OK;
  }
}

static enum status init(struct landing *landing, const struct duckdb_api *duckdb,
                        const struct landing *parent, const struct ArrowSchema *schema, int depth,
                        struct error *error) {
  landing->duckdb = duckdb;
  enum status status = path_set(landing, parent, schema, error);
  if (status != STATUS_OK) return status;
  if (depth > ARROW_DEPTH_MAX) return refuse(landing, schema, error, "it is nested too deeply");
  const struct ArrowSchema *values = schema;
  if (schema->dictionary != NULL) {
    status = arrow_type_parse(schema->format, &landing->type, error);
    if (status != STATUS_OK) return status;
    landing->dictionary = true;
    landing->index = landing->type.kind;
    values = schema->dictionary;
    if (values->dictionary != NULL)
      return refuse(landing, schema, error, "its dictionary is itself dictionary-encoded");
  }
  status = arrow_type_parse(values->format, &landing->type, error);
  if (status != STATUS_OK) return status;
  const struct rule *rule = rule_of(&landing->type);
  if (rule == NULL || rule->duck == DUCKDB_TYPE_INVALID)
    return refuse(landing, schema, error, rule == NULL ? "it has no counterpart" : rule->note);
  landing->duck = rule->duck;
  landing->fill = rule->fill;
  landing->put = landing->dictionary ? fill_dictionary : rule->fill;
  landing->divisor = rule->divisor;
  landing->factor = rule->factor;
  landing->value_min = rule->value_min;
  landing->value_max = rule->value_max;
  status = init_children(landing, values, depth, error);
  if (status == STATUS_OK) status = check_parameters(landing, schema, error);
  return status;
}

enum status landing_init(struct landing *landing, const struct duckdb_api *duckdb,
                         const struct ArrowSchema *schema, struct error *error) {
  *landing = (struct landing){0};
  enum status status = init(landing, duckdb, NULL, schema, 0, error);
  if (status != STATUS_OK) landing_release(landing);
  return status;
}

void landing_release(struct landing *landing) {
  for (int64_t i = 0; i < landing->child_count; i++) landing_release(&landing->children[i]);
  free(landing->children);
  free(landing->path);
  *landing = (struct landing){0};
}

const char *types_name_twice(const struct ArrowSchema *schema) {
  /* Sorted pointers would be faster; a sort that ignores case is not worth it for a
   * few names, and many names are checked by hashing. */
  int64_t count = schema->n_children;
  uint64_t slots = 16;
  while (slots < (uint64_t)count * 2) slots *= 2;
  const char **table = calloc(slots, sizeof *table);
  const char *twice = NULL;
  for (int64_t i = 0; i < count && twice == NULL && table != NULL; i++) {
    const char *name = schema->children[i]->name == NULL ? "" : schema->children[i]->name;
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a over ASCII lower case */
    for (const char *at = name; *at != '\0'; at++) {
      unsigned char byte = (unsigned char)*at;
      if (byte >= 'A' && byte <= 'Z') byte = (unsigned char)(byte + ('a' - 'A'));
      hash = (hash ^ byte) * UINT64_C(1099511628211);
    }
    uint64_t slot = hash & (slots - 1);
    while (table[slot] != NULL && strcasecmp(table[slot], name) != 0)
      slot = (slot + 1) & (slots - 1);
    if (table[slot] != NULL) twice = name;
    table[slot] = name;
  }
  free(table);
  return twice;
}

/* ---- as SQL and as DuckDB's handle ---------------------------------------------- */

static enum status struct_sql(const struct landing *landing, struct text *out,
                              struct error *error) {
  enum status status = text_add(out, "STRUCT(", error);
  for (int64_t i = 0; i < landing->child_count && status == STATUS_OK; i++) {
    if (i > 0) status = text_add(out, ", ", error);
    if (status == STATUS_OK) status = text_add_identifier(out, landing->children[i].name, error);
    if (status == STATUS_OK) status = text_add(out, " ", error);
    if (status == STATUS_OK) status = landing_sql(&landing->children[i], out, error);
  }
  if (status == STATUS_OK) status = text_add(out, ")", error);
  return status;
}

enum status landing_sql(const struct landing *landing, struct text *out, struct error *error) {
  enum status status = STATUS_OK;
  const struct landing *children = landing->children;
  switch (landing->duck) {
  case DUCKDB_TYPE_DECIMAL:
    return text_add_format(out, error, "DECIMAL(%d,%d)", landing->width, landing->scale);
  case DUCKDB_TYPE_LIST:
    status = landing_sql(&children[0], out, error);
    return status == STATUS_OK ? text_add(out, "[]", error) : status;
  case DUCKDB_TYPE_ARRAY:
    status = landing_sql(&children[0], out, error);
    return status == STATUS_OK ? text_add_format(out, error, "[%d]", landing->type.fixed_size)
                               : status;
  case DUCKDB_TYPE_STRUCT: return struct_sql(landing, out, error);
  case DUCKDB_TYPE_MAP:
    status = text_add(out, "MAP(", error);
    if (status == STATUS_OK) status = landing_sql(&children[0].children[0], out, error);
    if (status == STATUS_OK) status = text_add(out, ", ", error);
    if (status == STATUS_OK) status = landing_sql(&children[0].children[1], out, error);
    return status == STATUS_OK ? text_add(out, ")", error) : status;
  case DUCKDB_TYPE_SQLNULL: return text_add(out, "\"NULL\"", error);
  default: return text_add(out, rule_of(&landing->type)->sql, error);
  }
}

static duckdb_logical_type struct_logical(const struct landing *landing) {
  const struct duckdb_api *duckdb = landing->duckdb;
  size_t count = (size_t)landing->child_count;
  duckdb_logical_type *types = calloc(count, sizeof *types);
  const char **names = calloc(count, sizeof *names);
  duckdb_logical_type logical = NULL;
  for (size_t i = 0; types != NULL && names != NULL && i < count; i++) {
    types[i] = landing_logical(&landing->children[i]);
    names[i] = landing->children[i].name;
  }
  if (types != NULL && names != NULL) logical = duckdb->create_struct_type(types, names, count);
  for (size_t i = 0; types != NULL && i < count; i++) duckdb->destroy_logical_type(&types[i]);
  free(types);
  free(names);
  return logical;
}

duckdb_logical_type landing_logical(const struct landing *landing) {
  const struct duckdb_api *duckdb = landing->duckdb;
  duckdb_logical_type child = NULL, value = NULL, logical = NULL;
  switch (landing->duck) {
  case DUCKDB_TYPE_DECIMAL: return duckdb->create_decimal_type(landing->width, landing->scale);
  case DUCKDB_TYPE_LIST:
    child = landing_logical(&landing->children[0]);
    logical = duckdb->create_list_type(child);
    break;
  case DUCKDB_TYPE_ARRAY:
    child = landing_logical(&landing->children[0]);
    logical = duckdb->create_array_type(child, (idx_t)landing->type.fixed_size);
    break;
  case DUCKDB_TYPE_MAP:
    child = landing_logical(&landing->children[0].children[0]);
    value = landing_logical(&landing->children[0].children[1]);
    logical = duckdb->create_map_type(child, value);
    break;
  case DUCKDB_TYPE_STRUCT: return struct_logical(landing);
  default: return duckdb->create_logical_type(landing->duck);
  }
  duckdb->destroy_logical_type(&child);
  duckdb->destroy_logical_type(&value);
  return logical;
}

/* ---- landing in a column that exists --------------------------------------------- */

int types_integer_digits(duckdb_type type) {
  switch (type) {
  case DUCKDB_TYPE_TINYINT:
  case DUCKDB_TYPE_UTINYINT: return 3;
  case DUCKDB_TYPE_SMALLINT:
  case DUCKDB_TYPE_USMALLINT: return 5;
  case DUCKDB_TYPE_INTEGER:
  case DUCKDB_TYPE_UINTEGER: return 10;
  case DUCKDB_TYPE_BIGINT: return 19;
  case DUCKDB_TYPE_UBIGINT: return 20;
  default: return 0;
  }
}

int types_integer_bits(duckdb_type type, bool *is_signed) {
  *is_signed = true;
  switch (type) {
  case DUCKDB_TYPE_TINYINT: return 7;
  case DUCKDB_TYPE_SMALLINT: return 15;
  case DUCKDB_TYPE_INTEGER: return 31;
  case DUCKDB_TYPE_BIGINT: return 63;
  case DUCKDB_TYPE_HUGEINT: return 127;
  default: break;
  }
  *is_signed = false;
  switch (type) {
  case DUCKDB_TYPE_UTINYINT: return 8;
  case DUCKDB_TYPE_USMALLINT: return 16;
  case DUCKDB_TYPE_UINTEGER: return 32;
  case DUCKDB_TYPE_UBIGINT: return 64;
  case DUCKDB_TYPE_UHUGEINT: return 128;
  default: return 0;
  }
}

/* Does DuckDB widen every value of `from` to `to` without changing it? */
static bool widens(const struct landing *landing, duckdb_type to, duckdb_logical_type column) {
  const struct duckdb_api *duckdb = landing->duckdb;
  duckdb_type from = landing->duck;
  bool from_signed, to_signed;
  int from_bits = types_integer_bits(from, &from_signed),
      to_bits = types_integer_bits(to, &to_signed);
  if (from_bits > 0 && to_bits > 0) return to_bits >= from_bits && (to_signed || !from_signed);
  if (from_bits > 0 && to == DUCKDB_TYPE_DECIMAL)
    return duckdb->decimal_width(column) - duckdb->decimal_scale(column) >=
           types_integer_digits(from);
  if (from_bits > 0 && to == DUCKDB_TYPE_DOUBLE) return from_bits <= 53;
  if (from_bits > 0 && to == DUCKDB_TYPE_FLOAT) return from_bits <= 24;
  if (from == DUCKDB_TYPE_DECIMAL && to == DUCKDB_TYPE_DECIMAL) {
    int scale = duckdb->decimal_scale(column), width = duckdb->decimal_width(column);
    return scale >= landing->scale && width - scale >= landing->width - landing->scale;
  }
  if (from == DUCKDB_TYPE_FLOAT) return to == DUCKDB_TYPE_DOUBLE;
  /* Seconds and milliseconds are kept within what microseconds hold (see the table). */
  if (from == DUCKDB_TYPE_TIMESTAMP_S)
    return to == DUCKDB_TYPE_TIMESTAMP_MS || to == DUCKDB_TYPE_TIMESTAMP;
  if (from == DUCKDB_TYPE_TIMESTAMP_MS) return to == DUCKDB_TYPE_TIMESTAMP;
  /* An ENUM holds its own words exactly; another one fails when it comes. */
  if (from == DUCKDB_TYPE_VARCHAR) return to == DUCKDB_TYPE_ENUM;
  return false;
}

static bool struct_fits(const struct landing *landing, duckdb_logical_type column) {
  const struct duckdb_api *duckdb = landing->duckdb;
  if (duckdb->struct_type_child_count(column) != (idx_t)landing->child_count) return false;
  bool fits = true;
  for (idx_t i = 0; i < (idx_t)landing->child_count && fits; i++) {
    char *name = duckdb->struct_type_child_name(column, i);
    duckdb_logical_type child = duckdb->struct_type_child_type(column, i);
    fits = strcasecmp(name, landing->children[i].name) == 0 &&
           landing_fits(&landing->children[i], child);
    duckdb->free(name);
    duckdb->destroy_logical_type(&child);
  }
  return fits;
}

/* Takes the child's handle. */
static bool child_fits(const struct landing *landing, duckdb_logical_type child) {
  bool fits = landing_fits(landing, child);
  landing->duckdb->destroy_logical_type(&child);
  return fits;
}

bool landing_fits(const struct landing *landing, duckdb_logical_type column) {
  const struct duckdb_api *duckdb = landing->duckdb;
  duckdb_type to = duckdb->get_type_id(column);
  if (landing->duck == DUCKDB_TYPE_SQLNULL) return true;
  if (landing->duck != to || to == DUCKDB_TYPE_DECIMAL) return widens(landing, to, column);
  switch (to) {
  case DUCKDB_TYPE_LIST:
    return child_fits(&landing->children[0], duckdb->list_type_child_type(column));
  case DUCKDB_TYPE_ARRAY:
    return duckdb->array_type_array_size(column) == (idx_t)landing->type.fixed_size &&
           child_fits(&landing->children[0], duckdb->array_type_child_type(column));
  case DUCKDB_TYPE_MAP:
    return child_fits(&landing->children[0].children[0], duckdb->map_type_key_type(column)) &&
           child_fits(&landing->children[0].children[1], duckdb->map_type_value_type(column));
  case DUCKDB_TYPE_STRUCT: return struct_fits(landing, column);
  default: return true;
  }
}

enum status engine_type_of(const struct ArrowSchema *field, struct text *out, struct error *error) {
  struct landing landing;
  enum status status = landing_init(&landing, NULL, field, error);
  if (status != STATUS_OK) return status;
  status = types_check_column(&landing, field, error);
  if (status == STATUS_OK) status = landing_sql(&landing, out, error);
  landing_release(&landing);
  return status;
}

/* A column of nothing but NULL has no type, on whatever level. */
enum status types_check_column(const struct landing *landing, const struct ArrowSchema *field,
                               struct error *error) {
  if (landing->duck == DUCKDB_TYPE_SQLNULL)
    return refuse(landing, field, error,
                  "a column cannot be created of type null; create the table first, or cast it");
  const struct ArrowSchema *values = field->dictionary == NULL ? field : field->dictionary;
  for (int64_t i = 0; i < landing->child_count; i++) {
    enum status status = types_check_column(&landing->children[i], values->children[i], error);
    if (status != STATUS_OK) return status;
  }
  return STATUS_OK;
}

enum status types_check_names(const struct ArrowSchema *schema, struct error *error) {
  if (schema->n_children == 0)
    return error_set(error, STATUS_SCHEMA, "the schema has no columns, and a table needs one");
  for (int64_t i = 0; i < schema->n_children; i++)
    if (schema->children[i]->name == NULL || schema->children[i]->name[0] == '\0')
      return error_set(error, STATUS_SCHEMA, "column %lld (the first is 0) has no name",
                       (long long)i);
  const char *twice = types_name_twice(schema);
  if (twice != NULL)
    return error_set(error, STATUS_SCHEMA,
                     "two columns are named \"%s\": DuckDB does not tell upper from lower case",
                     twice);
  return STATUS_OK;
}

/* ---- the document ----------------------------------------------------------------- */

enum status types_document(struct text *out, struct error *error) {
  enum status status = text_add(out, "| Arrow | DuckDB | |\n|---|---|---|\n", error);
  for (int i = 0; i < RULE_COUNT && status == STATUS_OK; i++) {
    const struct rule *rule = &rules[i];
    bool refused = rule->duck == DUCKDB_TYPE_INVALID;
    const char *named = rule->sql != NULL                   ? rule->sql
                        : rule->duck == DUCKDB_TYPE_LIST    ? "LIST"
                        : rule->duck == DUCKDB_TYPE_ARRAY   ? "ARRAY"
                        : rule->duck == DUCKDB_TYPE_STRUCT  ? "STRUCT"
                        : rule->duck == DUCKDB_TYPE_MAP     ? "MAP"
                        : rule->duck == DUCKDB_TYPE_DECIMAL ? "DECIMAL"
                                                            : NULL;
    status = text_add_format(out, error, "| `%s` | %s%s%s | %s |\n", rule->arrow,
                             named != NULL ? "`" : "",
                             named != NULL ? named
                             : refused     ? "**refused**"
                                           : "-",
                             named != NULL ? "`" : "", rule->note);
  }
  return status;
}
