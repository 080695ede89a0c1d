/* Arrow values into DuckDB's vectors.
 *
 * DuckDB has such a conversion of its own. It is not used, because it changes values
 * without a word (a dictionary whose NULLs are not counted loses them, days and
 * intervals are truncated, decimals are not checked against their precision) and ties
 * the life of a batch to the first column's vector alone. Here each value is checked
 * in the pass that moves it, fixed-width values are copied in runs, and text is
 * pointed to.
 *
 * Invariants: only values that are valid are looked at, whatever lies under a NULL;
 * what is under a NULL struct or array is NULL in DuckDB too; a list's items are
 * appended to what its vector holds already. */
#include "engine/fill.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "text is packed for little-endian");

enum { INLINE_BYTES_MAX = 12, PREFIX_BYTES = 4 };

/* ---- validity ------------------------------------------------------------------- */

/* Which of the values are there; `bits` NULL: all. */
struct validity {
  const uint8_t *bits;
  int64_t offset; /* of value `from` */
};

static struct validity validity_of(const struct ArrowArray *array, int64_t from) {
  const uint8_t *bits = NULL;
  if (array->null_count != 0 && array->n_buffers > 0) bits = array->buffers[0];
  return (struct validity){bits, array->offset + from};
}

static inline bool bit_get(const uint8_t *bits, int64_t index) {
  return (bits[index >> 3] >> (index & 7)) & 1;
}

static inline bool is_valid(struct validity validity, int64_t row) {
  return validity.bits == NULL || bit_get(validity.bits, validity.offset + row);
}

static uint64_t *writable_validity(const struct landing *landing, duckdb_vector vector) {
  landing->duckdb->vector_ensure_validity_writable(vector);
  return landing->duckdb->vector_get_validity(vector);
}

static inline void set_invalid(uint64_t *bits, int64_t row) {
  bits[row >> 6] &= ~(UINT64_C(1) << (row & 63));
}

/* Says NULL for `rows` values; below structs and arrays as well. */
static void nullify(const struct landing *landing, duckdb_vector vector, int64_t at, int64_t rows) {
  const struct duckdb_api *duckdb = landing->duckdb;
  uint64_t *bits = writable_validity(landing, vector);
  for (int64_t i = 0; i < rows; i++) set_invalid(bits, at + i);
  if (landing->duck == DUCKDB_TYPE_LIST || landing->duck == DUCKDB_TYPE_MAP) {
    duckdb_list_entry *entries = duckdb->vector_get_data(vector);
    memset(entries + at, 0, (size_t)rows * sizeof *entries);
  } else if (landing->duck == DUCKDB_TYPE_STRUCT) {
    for (int64_t i = 0; i < landing->child_count; i++)
      nullify(&landing->children[i], duckdb->struct_vector_get_child(vector, (idx_t)i), at, rows);
  } else if (landing->duck == DUCKDB_TYPE_ARRAY) {
    int64_t items = landing->type.fixed_size;
    nullify(&landing->children[0], duckdb->array_vector_get_child(vector), at * items,
            rows * items);
  }
}

/* For leaves: marks the NULLs. */
static struct validity put_validity(const struct landing *landing, const struct ArrowArray *array,
                                    int64_t from, int64_t rows, duckdb_vector vector, int64_t at) {
  struct validity validity = validity_of(array, from);
  if (validity.bits == NULL) return validity;
  uint64_t *bits = NULL;
  for (int64_t i = 0; i < rows; i++) {
    if (bit_get(validity.bits, validity.offset + i)) continue;
    if (bits == NULL) bits = writable_validity(landing, vector);
    set_invalid(bits, at + i);
  }
  if (bits == NULL) validity.bits = NULL; /* none here: the faster ways below */
  return validity;
}

static enum status refuse(const struct landing *landing, struct error *error, enum status status,
                          const char *format, ...) PRINTF_LIKE(4, 5);

static enum status refuse(const struct landing *landing, struct error *error, enum status status,
                          const char *format, ...) {
  char reason[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason, sizeof reason, format, arguments);
  va_end(arguments);
  return error_set(error, status, "column \"%s\": %s", landing->path, reason);
}

/* ---- fixed width ------------------------------------------------------------------ */

enum status fill_null(const struct landing *landing, const struct ArrowArray *array, int64_t from,
                      int64_t rows, duckdb_vector vector, int64_t at, struct error *error) {
  (void)array, (void)from, (void)error;
  nullify(landing, vector, at, rows);
  return STATUS_OK;
}

enum status fill_boolean(const struct landing *landing, const struct ArrowArray *array,
                         int64_t from, int64_t rows, duckdb_vector vector, int64_t at,
                         struct error *error) {
  (void)error;
  put_validity(landing, array, from, rows, vector, at);
  const uint8_t *bits = array->buffers[1];
  uint8_t *out = (uint8_t *)landing->duckdb->vector_get_data(vector) + at;
  for (int64_t i = 0; i < rows; i++) out[i] = bit_get(bits, array->offset + from + i);
  return STATUS_OK;
}

enum status fill_fixed(const struct landing *landing, const struct ArrowArray *array, int64_t from,
                       int64_t rows, duckdb_vector vector, int64_t at, struct error *error) {
  (void)error;
  put_validity(landing, array, from, rows, vector, at);
  size_t width = (size_t)landing->type.bit_width / 8;
  const uint8_t *values = array->buffers[1];
  uint8_t *out = landing->duckdb->vector_get_data(vector);
  memcpy(out + (size_t)at * width, values + (size_t)(array->offset + from) * width,
         (size_t)rows * width);
  return STATUS_OK;
}

/* IEEE 754 binary16; every value is a float's. */
static float half_to_float(uint16_t half) {
  int exponent = (half >> 10) & 31, fraction = half & 1023;
  float value = exponent == 31  ? (fraction != 0 ? NAN : INFINITY)
                : exponent == 0 ? ldexpf((float)fraction, -24)
                                : ldexpf((float)(fraction + 1024), exponent - 25);
  return half & 0x8000 ? -value : value;
}

enum status fill_half(const struct landing *landing, const struct ArrowArray *array, int64_t from,
                      int64_t rows, duckdb_vector vector, int64_t at, struct error *error) {
  (void)error;
  put_validity(landing, array, from, rows, vector, at);
  const uint16_t *values = (const uint16_t *)array->buffers[1] + array->offset + from;
  float *out = (float *)landing->duckdb->vector_get_data(vector) + at;
  for (int64_t i = 0; i < rows; i++) out[i] = half_to_float(values[i]);
  return STATUS_OK;
}

/* ---- decimals ---------------------------------------------------------------------- */

/* A decimal as Arrow stores it, as 128 bits; false when it needs more. */
static bool decimal_read(const uint8_t *value, int bits, __int128 *out) {
  int32_t v32;
  int64_t v64;
  switch (bits) {
  case 32:
    memcpy(&v32, value, sizeof v32);
    *out = v32;
    return true;
  case 64:
    memcpy(&v64, value, sizeof v64);
    *out = v64;
    return true;
  case 128: memcpy(out, value, sizeof *out); return true;
  default: break;
  }
  __int128 high;
  memcpy(out, value, sizeof *out);
  memcpy(&high, value + sizeof *out, sizeof high);
  return high == (*out < 0 ? -1 : 0);
}

static inline void decimal_write(void *out, int64_t row, int width, __int128 value) {
  if (width <= 4)
    ((int16_t *)out)[row] = (int16_t)value;
  else if (width <= 9)
    ((int32_t *)out)[row] = (int32_t)value;
  else if (width <= 18)
    ((int64_t *)out)[row] = (int64_t)value;
  else
    memcpy((uint8_t *)out + (size_t)row * sizeof value, &value, sizeof value);
}

enum status fill_decimal(const struct landing *landing, const struct ArrowArray *array,
                         int64_t from, int64_t rows, duckdb_vector vector, int64_t at,
                         struct error *error) {
  struct validity validity = put_validity(landing, array, from, rows, vector, at);
  int bits = landing->type.bit_width;
  const uint8_t *values = (const uint8_t *)array->buffers[1] + (array->offset + from) * (bits / 8);
  void *out = landing->duckdb->vector_get_data(vector);
  __int128 limit = 1;
  for (int i = 0; i < landing->width; i++) limit *= 10;
  for (int64_t i = 0; i < rows; i++) {
    if (!is_valid(validity, i)) continue;
    __int128 value;
    if (!decimal_read(values + i * (bits / 8), bits, &value) || value >= limit || value <= -limit)
      return refuse(landing, error, STATUS_SCHEMA, "a value has more than the type's %d digits",
                    landing->width);
    decimal_write(out, at + i, landing->width, value);
  }
  return STATUS_OK;
}

/* ---- dates, times, intervals --------------------------------------------------------- */

static enum status refuse_value(const struct landing *landing, struct error *error, int64_t value) {
  if (value < landing->value_min || value > landing->value_max)
    return refuse(landing, error, STATUS_SCHEMA, "the value %lld is outside of what %s holds",
                  (long long)value,
                  landing->duck == DUCKDB_TYPE_TIME || landing->duck == DUCKDB_TYPE_TIME_NS
                      ? "one day"
                      : "DuckDB's type");
  return refuse(landing, error, STATUS_SCHEMA, "the value %lld is not a multiple of %lld (one day)",
                (long long)value, (long long)landing->divisor);
}

/* First over all values without branches, which is vectorised; values under NULLs
 * may fail that, so a failure is looked at one by one. */
#define TEMPORAL_FILL(name, in_type, out_type)                                                     \
  enum status name(const struct landing *landing, const struct ArrowArray *array, int64_t from,    \
                   int64_t rows, duckdb_vector vector, int64_t at, struct error *error) {          \
    struct validity validity = put_validity(landing, array, from, rows, vector, at);               \
    const in_type *values = (const in_type *)array->buffers[1] + array->offset + from;             \
    out_type *out = (out_type *)landing->duckdb->vector_get_data(vector) + at;                     \
    int64_t min = landing->value_min, max = landing->value_max;                                    \
    int64_t divisor = landing->divisor, factor = landing->factor;                                  \
    int bad = 0;                                                                                   \
    for (int64_t i = 0; i < rows; i++) bad |= (values[i] < min) | (values[i] > max);               \
    if (!bad && divisor == 1 && factor == 1) {                                                     \
      for (int64_t i = 0; i < rows; i++) out[i] = (out_type)values[i];                             \
      return STATUS_OK;                                                                            \
    }                                                                                              \
    for (int64_t i = 0; i < rows; i++) {                                                           \
      if (!is_valid(validity, i)) continue;                                                        \
      int64_t value = values[i];                                                                   \
      if (value < min || value > max || value % divisor != 0)                                      \
        return refuse_value(landing, error, value);                                                \
      out[i] = (out_type)(value / divisor * factor);                                               \
    }                                                                                              \
    return STATUS_OK;                                                                              \
  }

TEMPORAL_FILL(fill_int32_to_int32, int32_t, int32_t)
TEMPORAL_FILL(fill_int32_to_int64, int32_t, int64_t)
TEMPORAL_FILL(fill_int64_to_int32, int64_t, int32_t)
TEMPORAL_FILL(fill_int64_to_int64, int64_t, int64_t)

enum status fill_duration(const struct landing *landing, const struct ArrowArray *array,
                          int64_t from, int64_t rows, duckdb_vector vector, int64_t at,
                          struct error *error) {
  struct validity validity = put_validity(landing, array, from, rows, vector, at);
  const int64_t *values = (const int64_t *)array->buffers[1] + array->offset + from;
  duckdb_interval *out = (duckdb_interval *)landing->duckdb->vector_get_data(vector) + at;
  for (int64_t i = 0; i < rows; i++) {
    if (!is_valid(validity, i)) continue;
    if (values[i] < landing->value_min || values[i] > landing->value_max)
      return refuse_value(landing, error, values[i]);
    out[i] = (duckdb_interval){0, 0, values[i] * landing->factor};
  }
  return STATUS_OK;
}

enum status fill_interval_months(const struct landing *landing, const struct ArrowArray *array,
                                 int64_t from, int64_t rows, duckdb_vector vector, int64_t at,
                                 struct error *error) {
  (void)error;
  put_validity(landing, array, from, rows, vector, at);
  const int32_t *months = (const int32_t *)array->buffers[1] + array->offset + from;
  duckdb_interval *out = (duckdb_interval *)landing->duckdb->vector_get_data(vector) + at;
  for (int64_t i = 0; i < rows; i++) out[i] = (duckdb_interval){months[i], 0, 0};
  return STATUS_OK;
}

enum status fill_interval_day_time(const struct landing *landing, const struct ArrowArray *array,
                                   int64_t from, int64_t rows, duckdb_vector vector, int64_t at,
                                   struct error *error) {
  (void)error;
  put_validity(landing, array, from, rows, vector, at);
  const int32_t *pairs = (const int32_t *)array->buffers[1] + 2 * (array->offset + from);
  duckdb_interval *out = (duckdb_interval *)landing->duckdb->vector_get_data(vector) + at;
  for (int64_t i = 0; i < rows; i++)
    out[i] = (duckdb_interval){0, pairs[2 * i], (int64_t)pairs[2 * i + 1] * 1000};
  return STATUS_OK;
}

enum status fill_interval_month_day(const struct landing *landing, const struct ArrowArray *array,
                                    int64_t from, int64_t rows, duckdb_vector vector, int64_t at,
                                    struct error *error) {
  struct validity validity = put_validity(landing, array, from, rows, vector, at);
  const uint8_t *values = (const uint8_t *)array->buffers[1] + 16 * (array->offset + from);
  duckdb_interval *out = (duckdb_interval *)landing->duckdb->vector_get_data(vector) + at;
  for (int64_t i = 0; i < rows; i++) {
    if (!is_valid(validity, i)) continue;
    duckdb_interval value; /* the same layout, but for the last member's unit */
    memcpy(&value, values + 16 * i, sizeof value);
    if (value.micros % 1000 != 0)
      return refuse(landing, error, STATUS_SCHEMA,
                    "an interval of %lld nanoseconds is not in whole microseconds",
                    (long long)value.micros);
    value.micros /= 1000;
    out[i] = value;
  }
  return STATUS_OK;
}

/* ---- text and binary ------------------------------------------------------------------ */

static inline uint32_t load32(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

/* Up to 12 bytes as three words, zeros behind them, without reading past the end. */
static inline void pack_inline(uint8_t *out, const uint8_t *data, uint32_t bytes) {
  uint64_t low = 0;
  uint32_t high = 0;
  if (bytes >= 8) {
    memcpy(&low, data, sizeof low);
    if (bytes > 8) high = load32(data + bytes - 4) >> ((12 - bytes) * 8);
  } else if (bytes >= 4) {
    uint64_t tail = load32(data + bytes - 4);
    low = load32(data) | (tail >> ((8 - bytes) * 8)) << 32;
  } else if (bytes > 0) {
    low = data[0] | (uint64_t)data[bytes / 2] << (bytes / 2 * 8) |
          (uint64_t)data[bytes - 1] << ((bytes - 1) * 8);
  }
  memcpy(out, &low, sizeof low);
  memcpy(out + sizeof low, &high, sizeof high);
}

static inline void put_string(duckdb_string_t *out, const uint8_t *data, uint32_t bytes) {
  out->value.inlined.length = bytes;
  if (bytes <= INLINE_BYTES_MAX) {
    pack_inline((uint8_t *)out->value.inlined.inlined, data, bytes);
  } else {
    memcpy(out->value.pointer.prefix, data, PREFIX_BYTES);
    /* DuckDB only reads it. */
    out->value.pointer.ptr = (char *)(uintptr_t)data;
  }
}

/* One text or binary value, checked. */
static enum status put_checked(const struct landing *landing, duckdb_string_t *out,
                               const uint8_t *data, int64_t bytes, bool checked,
                               struct error *error) {
  if (bytes > UINT32_MAX)
    return refuse(landing, error, STATUS_SCHEMA, "a value of %lld bytes; DuckDB holds 4 GB",
                  (long long)bytes);
  if (!checked && landing->duck == DUCKDB_TYPE_VARCHAR && !utf8_is_ascii(data, (size_t)bytes)) {
    size_t valid = utf8_valid_bytes(data, (size_t)bytes);
    if (valid != (size_t)bytes)
      return refuse(landing, error, STATUS_INVALID, "text is not UTF-8 at its byte %zu", valid);
  }
  put_string(out, data, (uint32_t)bytes);
  return STATUS_OK;
}

#define BYTES_FILL(name, offset_type)                                                              \
  enum status name(const struct landing *landing, const struct ArrowArray *array, int64_t from,    \
                   int64_t rows, duckdb_vector vector, int64_t at, struct error *error) {          \
    struct validity validity = put_validity(landing, array, from, rows, vector, at);               \
    const offset_type *offsets = (const offset_type *)array->buffers[1] + array->offset + from;    \
    const uint8_t *data = array->buffers[2];                                                       \
    duckdb_string_t *out = (duckdb_string_t *)landing->duckdb->vector_get_data(vector) + at;       \
    if (rows == 0) return STATUS_OK;                                                               \
    bool checked = landing->duck != DUCKDB_TYPE_VARCHAR || (offsets[rows] - offsets[0] == 0) ||    \
                   utf8_is_ascii(data + offsets[0], (size_t)(offsets[rows] - offsets[0]));         \
    for (int64_t i = 0; i < rows; i++) {                                                           \
      if (!is_valid(validity, i)) continue;                                                        \
      int64_t bytes = (int64_t)offsets[i + 1] - (int64_t)offsets[i];                               \
      enum status status = put_checked(landing, &out[i], bytes == 0 ? data : data + offsets[i],    \
                                       bytes, checked, error);                                     \
      if (status != STATUS_OK) return status;                                                      \
    }                                                                                              \
    return STATUS_OK;                                                                              \
  }

BYTES_FILL(fill_bytes, int32_t)
BYTES_FILL(fill_large_bytes, int64_t)

/* A view is 4 bytes of length, then the bytes, or prefix, buffer and offset. */
enum status fill_view(const struct landing *landing, const struct ArrowArray *array, int64_t from,
                      int64_t rows, duckdb_vector vector, int64_t at, struct error *error) {
  struct validity validity = put_validity(landing, array, from, rows, vector, at);
  const uint8_t *views = (const uint8_t *)array->buffers[1] + 16 * (array->offset + from);
  duckdb_string_t *out = (duckdb_string_t *)landing->duckdb->vector_get_data(vector) + at;
  for (int64_t i = 0; i < rows; i++) {
    if (!is_valid(validity, i)) continue;
    int32_t view[4];
    memcpy(view, views + 16 * i, sizeof view);
    const uint8_t *data = views + 16 * i + 4;
    if (view[0] > INLINE_BYTES_MAX) data = (const uint8_t *)array->buffers[2 + view[2]] + view[3];
    enum status status = put_checked(landing, &out[i], data, view[0], false, error);
    if (status != STATUS_OK) return status;
  }
  return STATUS_OK;
}

enum status fill_fixed_bytes(const struct landing *landing, const struct ArrowArray *array,
                             int64_t from, int64_t rows, duckdb_vector vector, int64_t at,
                             struct error *error) {
  (void)error;
  put_validity(landing, array, from, rows, vector, at);
  int64_t bytes = landing->type.fixed_size;
  const uint8_t *data = (const uint8_t *)array->buffers[1] + (array->offset + from) * bytes;
  duckdb_string_t *out = (duckdb_string_t *)landing->duckdb->vector_get_data(vector) + at;
  for (int64_t i = 0; i < rows; i++) put_string(&out[i], data + i * bytes, (uint32_t)bytes);
  return STATUS_OK;
}

/* ---- nested --------------------------------------------------------------------------- */

/* How many rows from `row` on are all there, or all missing. */
static int64_t run_rows(struct validity validity, int64_t row, int64_t rows, bool *valid) {
  *valid = is_valid(validity, row);
  if (validity.bits == NULL) return rows - row;
  int64_t end = row + 1;
  while (end < rows && is_valid(validity, end) == *valid) end++;
  return end - row;
}

/* Room for `rows` more items; tells where they begin. */
static enum status grow_items(const struct landing *landing, duckdb_vector vector, int64_t rows,
                              int64_t *at, struct error *error) {
  const struct duckdb_api *duckdb = landing->duckdb;
  *at = (int64_t)duckdb->list_vector_get_size(vector);
  if (duckdb->list_vector_reserve(vector, (idx_t)(*at + rows)) != DuckDBSuccess ||
      duckdb->list_vector_set_size(vector, (idx_t)(*at + rows)) != DuckDBSuccess)
    return error_set(error, STATUS_NOMEM, "no memory for %lld items of a list", (long long)rows);
  return STATUS_OK;
}

static int physical_bytes(const struct landing *landing) {
  switch (landing->duck) {
  case DUCKDB_TYPE_BOOLEAN:
  case DUCKDB_TYPE_TINYINT:
  case DUCKDB_TYPE_UTINYINT: return 1;
  case DUCKDB_TYPE_SMALLINT:
  case DUCKDB_TYPE_USMALLINT: return 2;
  case DUCKDB_TYPE_INTEGER:
  case DUCKDB_TYPE_UINTEGER:
  case DUCKDB_TYPE_FLOAT:
  case DUCKDB_TYPE_DATE: return 4;
  case DUCKDB_TYPE_DECIMAL:
    return landing->width <= 4 ? 2 : landing->width <= 9 ? 4 : landing->width <= 18 ? 8 : 16;
  case DUCKDB_TYPE_INTERVAL:
  case DUCKDB_TYPE_VARCHAR:
  case DUCKDB_TYPE_BLOB: return 16;
  default: return 8;
  }
}

/* The bytes by which keys are told apart. */
static const uint8_t *key_bytes(const struct landing *key, const uint8_t *values, int64_t row,
                                size_t *bytes) {
  const uint8_t *value = values + row * physical_bytes(key);
  *bytes = (size_t)physical_bytes(key);
  if (key->duck != DUCKDB_TYPE_VARCHAR && key->duck != DUCKDB_TYPE_BLOB) return value;
  duckdb_string_t string;
  memcpy(&string, value, sizeof string);
  *bytes = string.value.inlined.length;
  return *bytes <= INLINE_BYTES_MAX ? value + PREFIX_BYTES
                                    : (const uint8_t *)string.value.pointer.ptr;
}

/* Looks for a key that occurs twice among `rows` keys from `at`. `slots` has room for
 * `slot_count` (a power of two, at least twice `rows`) and is used up. */
static bool key_twice(const struct landing *key, const uint8_t *values, int64_t at, int64_t rows,
                      int64_t *slots, int64_t slot_count) {
  for (int64_t i = 0; i < slot_count; i++) slots[i] = -1;
  for (int64_t row = at; row < at + rows; row++) {
    size_t bytes, other_bytes;
    const uint8_t *data = key_bytes(key, values, row, &bytes);
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ data[i]) * UINT64_C(1099511628211);
    int64_t slot = (int64_t)((hash ^ hash >> 32) & (uint64_t)(slot_count - 1));
    for (; slots[slot] >= 0; slot = (slot + 1) & (slot_count - 1)) {
      const uint8_t *other = key_bytes(key, values, slots[slot], &other_bytes);
      if (bytes == other_bytes && memcmp(data, other, bytes) == 0) return true;
    }
    slots[slot] = row;
  }
  return false;
}

/* DuckDB's maps have keys that are there and differ; it does not look itself. */
static enum status check_keys(const struct landing *landing, duckdb_vector vector, int64_t at,
                              int64_t rows, struct error *error) {
  const struct duckdb_api *duckdb = landing->duckdb;
  const struct landing *key = &landing->children[0].children[0];
  duckdb_vector keys = duckdb->struct_vector_get_child(duckdb->list_vector_get_child(vector), 0);
  const uint64_t *validity = duckdb->vector_get_validity(keys);
  const uint8_t *values = duckdb->vector_get_data(keys);
  const duckdb_list_entry *entries = (duckdb_list_entry *)duckdb->vector_get_data(vector) + at;
  int64_t on_stack[64], slot_count = 64, *slots = on_stack;
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < rows && status == STATUS_OK; i++) {
    int64_t first = (int64_t)entries[i].offset, count = (int64_t)entries[i].length;
    for (int64_t k = first; validity != NULL && k < first + count; k++)
      if (!((validity[k >> 6] >> (k & 63)) & 1)) {
        status = refuse(landing, error, STATUS_SCHEMA, "a map has a NULL key");
        goto done;
      }
    if (count < 2) continue;
    int64_t wanted = slot_count;
    while (wanted < 2 * count) wanted *= 2;
    if (wanted > slot_count) {
      if (slots != on_stack) free(slots);
      slots = calloc((size_t)wanted, sizeof *slots);
      if (slots == NULL) return error_set(error, STATUS_NOMEM, "no memory to check a map's keys");
      slot_count = wanted;
    }
    if (key_twice(key, values, first, count, slots, slot_count))
      status = refuse(landing, error, STATUS_SCHEMA, "a map has the same key twice");
  }

done:
  if (slots != on_stack) free(slots);
  return status;
}

/* One row's items: `first` counted in the child. */
static enum status put_items(const struct landing *landing, const struct ArrowArray *array,
                             int64_t first, int64_t items, duckdb_vector vector,
                             duckdb_list_entry *entry, struct error *error) {
  int64_t at;
  enum status status = grow_items(landing, vector, items, &at, error);
  if (status != STATUS_OK) return status;
  *entry = (duckdb_list_entry){(uint64_t)at, (uint64_t)items};
  if (items == 0) return STATUS_OK;
  const struct landing *child = &landing->children[0];
  duckdb_vector into = landing->duckdb->list_vector_get_child(vector);
  return landing_put(child, array->children[0], first, items, into, at, error);
}

/* Rows [row, row + rows) are there and lie one behind the other: one call for all. */
#define LIST_FILL(name, offset_type)                                                               \
  enum status name(const struct landing *landing, const struct ArrowArray *array, int64_t from,    \
                   int64_t rows, duckdb_vector vector, int64_t at, struct error *error) {          \
    struct validity validity = validity_of(array, from);                                           \
    const offset_type *offsets = (const offset_type *)array->buffers[1] + array->offset + from;    \
    duckdb_list_entry *entries =                                                                   \
        (duckdb_list_entry *)landing->duckdb->vector_get_data(vector) + at;                        \
    enum status status = STATUS_OK;                                                                \
    for (int64_t row = 0, run; row < rows && status == STATUS_OK; row += run) {                    \
      bool valid;                                                                                  \
      run = run_rows(validity, row, rows, &valid);                                                 \
      if (!valid) {                                                                                \
        nullify(landing, vector, at + row, run);                                                   \
        continue;                                                                                  \
      }                                                                                            \
      duckdb_list_entry whole = {0};                                                               \
      status = put_items(landing, array, offsets[row], offsets[row + run] - offsets[row], vector,  \
                         &whole, error);                                                           \
      for (int64_t i = row; i < row + run; i++)                                                    \
        entries[i] = (duckdb_list_entry){whole.offset + (uint64_t)(offsets[i] - offsets[row]),     \
                                         (uint64_t)(offsets[i + 1] - offsets[i])};                 \
    }                                                                                              \
    if (status == STATUS_OK && landing->duck == DUCKDB_TYPE_MAP)                                   \
      status = check_keys(landing, vector, at, rows, error);                                       \
    return status;                                                                                 \
  }

LIST_FILL(fill_list, int32_t)
LIST_FILL(fill_large_list, int64_t)

#define LIST_VIEW_FILL(name, offset_type)                                                          \
  enum status name(const struct landing *landing, const struct ArrowArray *array, int64_t from,    \
                   int64_t rows, duckdb_vector vector, int64_t at, struct error *error) {          \
    struct validity validity = validity_of(array, from);                                           \
    const offset_type *offsets = (const offset_type *)array->buffers[1] + array->offset + from;    \
    const offset_type *sizes = (const offset_type *)array->buffers[2] + array->offset + from;      \
    duckdb_list_entry *entries =                                                                   \
        (duckdb_list_entry *)landing->duckdb->vector_get_data(vector) + at;                        \
    enum status status = STATUS_OK;                                                                \
    for (int64_t i = 0; i < rows && status == STATUS_OK; i++) {                                    \
      if (is_valid(validity, i))                                                                   \
        status = put_items(landing, array, offsets[i], sizes[i], vector, &entries[i], error);      \
      else                                                                                         \
        nullify(landing, vector, at + i, 1);                                                       \
    }                                                                                              \
    return status;                                                                                 \
  }

LIST_VIEW_FILL(fill_list_view, int32_t)
LIST_VIEW_FILL(fill_large_list_view, int64_t)

enum status fill_fixed_list(const struct landing *landing, const struct ArrowArray *array,
                            int64_t from, int64_t rows, duckdb_vector vector, int64_t at,
                            struct error *error) {
  struct validity validity = validity_of(array, from);
  duckdb_vector into = landing->duckdb->array_vector_get_child(vector);
  int64_t items = landing->type.fixed_size;
  enum status status = STATUS_OK;
  for (int64_t row = 0, run; row < rows && status == STATUS_OK; row += run) {
    bool valid;
    run = run_rows(validity, row, rows, &valid);
    if (valid)
      status = landing_put(&landing->children[0], array->children[0],
                           (array->offset + from + row) * items, run * items, into,
                           (at + row) * items, error);
    else
      nullify(landing, vector, at + row, run);
  }
  return status;
}

enum status fill_struct(const struct landing *landing, const struct ArrowArray *array, int64_t from,
                        int64_t rows, duckdb_vector vector, int64_t at, struct error *error) {
  const struct duckdb_api *duckdb = landing->duckdb;
  struct validity validity = validity_of(array, from);
  enum status status = STATUS_OK;
  for (int64_t row = 0, run; row < rows && status == STATUS_OK; row += run) {
    bool valid;
    run = run_rows(validity, row, rows, &valid);
    if (!valid) {
      nullify(landing, vector, at + row, run);
      continue;
    }
    for (int64_t i = 0; i < landing->child_count && status == STATUS_OK; i++)
      status = landing_put(&landing->children[i], array->children[i], array->offset + from + row,
                           run, duckdb->struct_vector_get_child(vector, (idx_t)i), at + row, error);
  }
  return status;
}

/* ---- dictionaries ----------------------------------------------------------------------- */

static int64_t index_get(enum arrow_kind kind, const void *indices, int64_t at) {
  switch (kind) {
  case ARROW_INT8: return ((const int8_t *)indices)[at];
  case ARROW_UINT8: return ((const uint8_t *)indices)[at];
  case ARROW_INT16: return ((const int16_t *)indices)[at];
  case ARROW_UINT16: return ((const uint16_t *)indices)[at];
  case ARROW_INT32: return ((const int32_t *)indices)[at];
  case ARROW_UINT32: return ((const uint32_t *)indices)[at];
  /* An unsigned index past INT64_MAX becomes negative, and is refused as such. */
  default: return ((const int64_t *)indices)[at];
  }
}

/* The value of row `i`; its index must lie inside the dictionary. */
static enum status index_of(const struct landing *landing, const struct ArrowArray *array,
                            int64_t at, int64_t *index, struct error *error) {
  *index = index_get(landing->index, array->buffers[1], array->offset + at);
  if (*index >= 0 && *index < array->dictionary->length) return STATUS_OK;
  return refuse(landing, error, STATUS_INVALID,
                "dictionary index %lld is outside of the dictionary's %lld values",
                (long long)*index, (long long)array->dictionary->length);
}

/* Text and binary, which is what dictionaries are mostly made of. */
static enum status fill_words(const struct landing *landing, const struct ArrowArray *array,
                              int64_t from, int64_t rows, duckdb_vector vector, int64_t at,
                              struct error *error) {
  const struct ArrowArray *values = array->dictionary;
  struct validity present = put_validity(landing, array, from, rows, vector, at);
  struct validity valid = validity_of(values, 0);
  const int32_t *offsets = (const int32_t *)values->buffers[1] + values->offset;
  const uint8_t *data = values->buffers[2];
  duckdb_string_t *out = (duckdb_string_t *)landing->duckdb->vector_get_data(vector) + at;
  for (int64_t i = 0; i < rows; i++) {
    if (!is_valid(present, i)) continue;
    int64_t index;
    enum status status = index_of(landing, array, from + i, &index, error);
    if (status != STATUS_OK) return status;
    if (!is_valid(valid, index)) {
      nullify(landing, vector, at + i, 1);
      continue;
    }
    int64_t bytes = (int64_t)offsets[index + 1] - offsets[index];
    status = put_checked(landing, &out[i], bytes == 0 ? data : data + offsets[index], bytes, false,
                         error);
    if (status != STATUS_OK) return status;
  }
  return STATUS_OK;
}

enum status fill_dictionary(const struct landing *landing, const struct ArrowArray *array,
                            int64_t from, int64_t rows, duckdb_vector vector, int64_t at,
                            struct error *error) {
  if (landing->fill == fill_bytes) return fill_words(landing, array, from, rows, vector, at, error);
  struct validity validity = validity_of(array, from);
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < rows && status == STATUS_OK; i++) {
    int64_t index;
    if (!is_valid(validity, i)) {
      nullify(landing, vector, at + i, 1);
      continue;
    }
    status = index_of(landing, array, from + i, &index, error);
    if (status == STATUS_OK)
      status = landing->fill(landing, array->dictionary, index, 1, vector, at + i, error);
  }
  return status;
}
