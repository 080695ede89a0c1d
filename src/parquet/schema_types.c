/* What an Arrow type becomes in Parquet: physical type, annotation, order, and how values are
 * converted. The annotations are those that Arrow's own libraries write, so that a file of ours looks
 * like one of theirs; where a decimal fits an integer it is one, which is smaller and which all
 * readers take. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "parquet/schema_parts.h"

const char parquet_name_list[] = "list";
const char parquet_name_element[] = "element";
const char parquet_name_key_value[] = "key_value";
const char parquet_name_key[] = "key";
const char parquet_name_value[] = "value";

enum { INT32_DIGITS = 9, INT64_DIGITS = 18, UUID_BYTES = 16, HALF_BYTES = 2 };

/* ---- metadata ------------------------------------------------------------------------- */

/* A length or count of the C data interface's encoding of metadata: of the machine's own order. */
static int32_t take_int(const char **at) {
  int32_t number;
  memcpy(&number, *at, sizeof number);
  *at += sizeof number;
  return number;
}

const char *parquet_metadata_get(const struct ArrowSchema *schema, const char *key,
                                 int32_t *bytes) {
  const char *at = schema->metadata;
  if (at == NULL) return NULL;
  size_t wanted_bytes = strlen(key);
  int32_t pairs = take_int(&at);
  for (int32_t i = 0; i < pairs; i++) {
    int32_t key_bytes = take_int(&at);
    const char *name = at;
    at += key_bytes;
    *bytes = take_int(&at);
    if ((size_t)key_bytes == wanted_bytes && memcmp(name, key, wanted_bytes) == 0) return at;
    at += *bytes;
  }
  return NULL;
}

enum status parquet_field_id(const struct ArrowSchema *schema, int32_t *field_id,
                             struct error *error) {
  int32_t bytes = 0;
  *field_id = PARQUET_NO_FIELD_ID;
  const char *value = parquet_metadata_get(schema, "PARQUET:field_id", &bytes);
  if (value == NULL) return STATUS_OK;
  bool is_negative = bytes > 0 && value[0] == '-';
  int64_t number = 0;
  int32_t digits = 0;
  for (int32_t i = is_negative; i < bytes; i++, digits++) {
    if (value[i] < '0' || value[i] > '9' || number > INT32_MAX) break;
    number = 10 * number + (value[i] - '0');
  }
  if (digits == 0 || digits != bytes - is_negative || number > INT32_MAX)
    return error_set(error, STATUS_INVALID,
                     "its metadata has PARQUET:field_id \"%.*s\", which is no number from 0 to "
                     "%" PRId32 ": correct or remove the key",
                     bytes > 60 ? 60 : (int)bytes, value, INT32_MAX);
  if (!is_negative) *field_id = (int32_t)number;
  return STATUS_OK;
}

static bool is_extension(const struct ArrowSchema *schema, const char *name) {
  int32_t bytes = 0;
  const char *value = parquet_metadata_get(schema, "ARROW:extension:name", &bytes);
  return value != NULL && (size_t)bytes == strlen(name) && memcmp(value, name, strlen(name)) == 0;
}

/* ---- types ---------------------------------------------------------------------------- */

struct description {
  bool is_known;
  enum parquet_type type;
  enum parquet_logical_kind logical;
  enum parquet_order order;
  enum parquet_conversion conversion;
};

#define INTEGERS(type, order, conversion)                                                          \
  { true, PARQUET_##type, PARQUET_LOGICAL_INTEGER, PARQUET_ORDER_##order, PARQUET_##conversion }
#define NUMBERS(type, order)                                                                       \
  { true, PARQUET_##type, PARQUET_LOGICAL_NONE, PARQUET_ORDER_##order, PARQUET_AS_IT_IS }
#define TIMES(type, logical)                                                                       \
  { true, PARQUET_##type, PARQUET_LOGICAL_##logical, PARQUET_ORDER_SIGNED, PARQUET_AS_IT_IS }
#define BYTES(logical, conversion)                                                                 \
  { true, PARQUET_BYTE_ARRAY, PARQUET_LOGICAL_##logical, PARQUET_ORDER_BYTES, PARQUET_##conversion }

/* What depends on the kind alone; the rest follows in parquet_describe_leaf. */
static const struct description descriptions[] = {
    [ARROW_NULL] = {true, PARQUET_INT32, PARQUET_LOGICAL_NULL, PARQUET_ORDER_NONE, PARQUET_NOTHING},
    [ARROW_BOOL] = {true, PARQUET_BOOLEAN, PARQUET_LOGICAL_NONE, PARQUET_ORDER_UNSIGNED,
                    PARQUET_BITS},
    [ARROW_INT8] = INTEGERS(INT32, SIGNED, WIDEN),
    [ARROW_UINT8] = INTEGERS(INT32, UNSIGNED, WIDEN),
    [ARROW_INT16] = INTEGERS(INT32, SIGNED, WIDEN),
    [ARROW_UINT16] = INTEGERS(INT32, UNSIGNED, WIDEN),
    [ARROW_INT32] = NUMBERS(INT32, SIGNED),
    [ARROW_UINT32] = INTEGERS(INT32, UNSIGNED, AS_IT_IS),
    [ARROW_INT64] = NUMBERS(INT64, SIGNED),
    [ARROW_UINT64] = INTEGERS(INT64, UNSIGNED, AS_IT_IS),
    [ARROW_FLOAT16] = {true, PARQUET_FIXED, PARQUET_LOGICAL_FLOAT16, PARQUET_ORDER_HALF,
                       PARQUET_AS_IT_IS},
    [ARROW_FLOAT32] = NUMBERS(FLOAT, FLOAT),
    [ARROW_FLOAT64] = NUMBERS(DOUBLE, FLOAT),
    [ARROW_BINARY] = BYTES(NONE, OFFSETS),
    [ARROW_LARGE_BINARY] = BYTES(NONE, OFFSETS),
    [ARROW_UTF8] = BYTES(STRING, OFFSETS),
    [ARROW_LARGE_UTF8] = BYTES(STRING, OFFSETS),
    [ARROW_BINARY_VIEW] = BYTES(NONE, VIEWS),
    [ARROW_UTF8_VIEW] = BYTES(STRING, VIEWS),
    [ARROW_FIXED_SIZE_BINARY] = {true, PARQUET_FIXED, PARQUET_LOGICAL_NONE, PARQUET_ORDER_BYTES,
                                 PARQUET_AS_IT_IS},
    [ARROW_DECIMAL] = {true, PARQUET_FIXED, PARQUET_LOGICAL_DECIMAL, PARQUET_ORDER_BIG_ENDIAN,
                       PARQUET_DECIMAL_BYTES},
    [ARROW_DATE32] = TIMES(INT32, DATE),
    [ARROW_DATE64] = {true, PARQUET_INT32, PARQUET_LOGICAL_DATE, PARQUET_ORDER_SIGNED,
                      PARQUET_DAYS},
    [ARROW_TIME32] = TIMES(INT32, TIME),
    [ARROW_TIME64] = TIMES(INT64, TIME),
    [ARROW_TIMESTAMP] = TIMES(INT64, TIMESTAMP),
    [ARROW_DURATION] = TIMES(INT64, NONE),
    [ARROW_RUN_END_ENCODED] = {false, 0, 0, 0, 0},
};

/* Bytes of two's complement that hold every decimal of so many digits. */
static int32_t decimal_bytes(int32_t precision) {
  /* floor(log10(2^(8n - 1) - 1)) for n bytes */
  static const uint8_t digits[] = {2,  4,  6,  9,  11, 14, 16, 18, 21, 23, 26, 28, 31, 33, 35, 38,
                                   40, 43, 45, 47, 50, 52, 55, 57, 59, 62, 64, 67, 69, 71, 74, 76};
  int32_t bytes = 1;
  while (bytes < (int32_t)sizeof digits && digits[bytes - 1] < precision) bytes++;
  return bytes;
}

static enum status describe_decimal(const struct arrow_type *type, struct parquet_leaf *leaf,
                                    struct error *error) {
  if (type->scale < 0 || type->scale > type->precision)
    return error_set(error, STATUS_UNSUPPORTED,
                     "Parquet has no decimals of %" PRId32 " digits with scale %" PRId32
                     " (0 to the precision): cast it to a decimal that has, or to text",
                     type->precision, type->scale);
  leaf->logical.precision = type->precision;
  leaf->logical.scale = type->scale;
  if (type->precision > INT64_DIGITS) {
    leaf->type_length = decimal_bytes(type->precision);
    return STATUS_OK;
  }
  leaf->type = type->precision > INT32_DIGITS ? PARQUET_INT64 : PARQUET_INT32;
  leaf->order = PARQUET_ORDER_SIGNED;
  leaf->conversion = PARQUET_DECIMAL_INT;
  return STATUS_OK;
}

static void describe_time(const struct arrow_type *type, struct parquet_leaf *leaf) {
  static const enum parquet_time_unit units[] = {[ARROW_SECOND] = PARQUET_MILLIS,
                                                 [ARROW_MILLISECOND] = PARQUET_MILLIS,
                                                 [ARROW_MICROSECOND] = PARQUET_MICROS,
                                                 [ARROW_NANOSECOND] = PARQUET_NANOS};
  leaf->logical.unit = units[type->unit];
  leaf->logical.is_utc = type->kind == ARROW_TIMESTAMP && type->timezone[0] != '\0';
  if (type->unit == ARROW_SECOND) leaf->conversion = PARQUET_TIMES_1000;
}

static enum status refuse(enum arrow_kind kind, struct error *error) {
  switch (kind) {
  case ARROW_INTERVAL_MONTHS:
  case ARROW_INTERVAL_DAY_TIME:
  case ARROW_INTERVAL_MONTH_DAY_NANO:
    return error_set(
        error, STATUS_UNSUPPORTED,
        "Parquet holds no interval exactly: write its parts as integers in a struct, or "
        "cast it to a duration");
  default:
    return error_set(error, STATUS_UNSUPPORTED,
                     "Parquet has no unions: write a struct with a field for each alternative");
  }
}

static void describe_fixed(const struct ArrowSchema *outer, const struct ArrowSchema *inner,
                           struct parquet_leaf *leaf) {
  leaf->type_length = leaf->arrow.fixed_size;
  if (leaf->type_length == UUID_BYTES &&
      (is_extension(outer, "arrow.uuid") || is_extension(inner, "arrow.uuid")))
    leaf->logical.kind = PARQUET_LOGICAL_UUID;
}

enum status parquet_describe_leaf(const struct arrow_type *type, const struct ArrowSchema *outer,
                                  const struct ArrowSchema *inner, struct parquet_leaf *leaf,
                                  struct error *error) {
  if ((size_t)type->kind >= sizeof descriptions / sizeof descriptions[0] ||
      !descriptions[type->kind].is_known)
    return refuse(type->kind, error);
  const struct description *description = &descriptions[type->kind];
  leaf->type = description->type;
  leaf->type_length = 0;
  leaf->logical = (struct parquet_logical){.kind = description->logical};
  leaf->order = description->order;
  leaf->conversion = description->conversion;
  leaf->arrow = *type;
  if (leaf->logical.kind == PARQUET_LOGICAL_INTEGER) {
    leaf->logical.bit_width = type->bit_width;
    leaf->logical.is_signed = leaf->order == PARQUET_ORDER_SIGNED;
  }
  switch (type->kind) {
  case ARROW_DECIMAL: return describe_decimal(type, leaf, error);
  case ARROW_TIME32:
  case ARROW_TIME64:
  case ARROW_TIMESTAMP: describe_time(type, leaf); break;
  case ARROW_FLOAT16: leaf->type_length = HALF_BYTES; break;
  case ARROW_FIXED_SIZE_BINARY:
    if (type->fixed_size == 0)
      return error_set(error, STATUS_UNSUPPORTED,
                       "Parquet has no fixed-size binary of 0 bytes: cast it to binary");
    describe_fixed(outer, inner, leaf);
    break;
  case ARROW_UTF8:
  case ARROW_LARGE_UTF8:
  case ARROW_UTF8_VIEW:
    if (is_extension(outer, "arrow.json") || is_extension(inner, "arrow.json"))
      leaf->logical.kind = PARQUET_LOGICAL_JSON;
    break;
  default: break;
  }
  return STATUS_OK;
}
