/* DuckDB's result chunks gathered into Arrow record batches.
 *
 * DuckDB's own conversion makes an array of each chunk of 2,048 rows, which would
 * have to be copied again into batches of a useful size. Here values go from DuckDB's
 * vectors into the growing buffers of the batch, once.
 *
 * Invariants: a column's buffers hold exactly its `rows`; an append that fails is
 * taken back (`mark`), so that the rows before it still make a batch; what a batch
 * holds is charged to the budget until it is released. */
#include "engine/collect.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

enum { BLOCK_BYTES_MIN = 256, INLINE_BYTES_MAX = 12, UUID_TEXT_BYTES = 36 };

/* ---- memory --------------------------------------------------------------------------- */

struct block {
  uint8_t *data;
  int64_t size_bytes, capacity_bytes;
};

static void block_release(struct block *block, struct budget *budget) {
  if (budget != NULL && block->capacity_bytes > 0) budget_give(budget, block->capacity_bytes);
  free(block->data);
  *block = (struct block){0};
}

static int64_t round_up(int64_t bytes) {
  return (bytes + BUFFER_ALIGNMENT_BYTES - 1) / BUFFER_ALIGNMENT_BYTES * BUFFER_ALIGNMENT_BYTES;
}

/* Room for `bytes` more. `hint_bytes` is what the last batch needed. */
static enum status block_reserve(struct block *block, struct budget *budget, int64_t bytes,
                                 int64_t hint_bytes, struct error *error) {
  int64_t needed = block->size_bytes + bytes;
  if (needed <= block->capacity_bytes) return STATUS_OK;
  int64_t capacity = block->capacity_bytes * 2;
  if (capacity < BLOCK_BYTES_MIN) capacity = BLOCK_BYTES_MIN;
  if (block->capacity_bytes == 0 && capacity < hint_bytes) capacity = hint_bytes;
  capacity = round_up(capacity < needed ? needed : capacity);
  enum status status = budget == NULL ? STATUS_OK : budget_take(budget, capacity, error);
  if (status == STATUS_BUDGET) { /* not with room to grow, then */
    capacity = round_up(needed);
    status = budget_take(budget, capacity, error);
  }
  if (status != STATUS_OK) return status;
  uint8_t *data = aligned_alloc(BUFFER_ALIGNMENT_BYTES, (size_t)capacity);
  if (data == NULL) {
    if (budget != NULL) budget_give(budget, capacity);
    return error_set(error, STATUS_NOMEM, "no memory for %lld bytes", (long long)capacity);
  }
  int64_t size = block->size_bytes;
  if (size > 0) memcpy(data, block->data, (size_t)size);
  block_release(block, budget);
  *block = (struct block){data, size, capacity};
  return STATUS_OK;
}

/* ---- columns ---------------------------------------------------------------------------- */

struct column;

typedef enum status column_append(struct column *column, duckdb_vector vector, int64_t from,
                                  int64_t rows, struct error *error);

struct column {
  const struct duckdb_api *duckdb;
  struct budget *budget;
  duckdb_type type;
  duckdb_type internal; /* of DECIMAL and ENUM */
  column_append *append;
  const char *name; /* the schema's */
  int width;        /* bytes of a value; items of an array */
  bool has_validity_buffer, has_offsets;
  int64_t rows, null_count;
  struct block validity, offsets, data;
  int64_t hint_rows, data_hint_bytes; /* what the last batch needed */
  struct {
    int64_t rows, null_count, data_bytes;
  } mark;
  int64_t child_count;
  struct column *children;
  struct block words; /* ENUM: its words, one behind the other */
  uint32_t *word_offsets;
};

static void column_release(struct column *column) {
  for (int64_t i = 0; i < column->child_count; i++) column_release(&column->children[i]);
  free(column->children);
  block_release(&column->validity, column->budget);
  block_release(&column->offsets, column->budget);
  block_release(&column->data, column->budget);
  block_release(&column->words, NULL);
  free(column->word_offsets);
}

static void column_mark(struct column *column) {
  column->mark.rows = column->rows;
  column->mark.null_count = column->null_count;
  column->mark.data_bytes = column->data.size_bytes;
  for (int64_t i = 0; i < column->child_count; i++) column_mark(&column->children[i]);
}

static void column_take_back(struct column *column) {
  column->rows = column->mark.rows;
  column->null_count = column->mark.null_count;
  column->data.size_bytes = column->mark.data_bytes;
  for (int64_t i = 0; i < column->child_count; i++) column_take_back(&column->children[i]);
}

static enum status refuse(const struct column *column, struct error *error, enum status status,
                          const char *reason) {
  return error_set(error, status, "column \"%s\": %s", column->name, reason);
}

/* ---- validity ----------------------------------------------------------------------------- */

static inline bool bit_get(const uint64_t *bits, int64_t row) {
  return bits == NULL || ((bits[row >> 6] >> (row & 63)) & 1);
}

/* The bitmap, all of what came before being valid, with room for `rows` more. */
static enum status validity_reserve(struct column *column, int64_t rows, struct error *error) {
  struct block *block = &column->validity;
  block->size_bytes = column->null_count == 0 && block->data == NULL ? 0 : (column->rows + 7) / 8;
  bool fresh = block->data == NULL;
  int64_t bytes = (column->rows + rows + 7) / 8 + 8; /* whole words may be written */
  enum status status =
      block_reserve(block, column->budget, bytes - block->size_bytes, column->hint_rows / 8, error);
  if (status == STATUS_OK && fresh && column->rows > 0)
    memset(block->data, 0xff, (size_t)(column->rows + 7) / 8);
  return status;
}

static int64_t count_nulls(const uint64_t *bits, int64_t from, int64_t rows) {
  int64_t nulls = 0, row = from;
  for (; row < from + rows && (row & 63) != 0; row++) nulls += !bit_get(bits, row);
  for (; row + 64 <= from + rows; row += 64) nulls += 64 - __builtin_popcountll(bits[row >> 6]);
  for (; row < from + rows; row++) nulls += !bit_get(bits, row);
  return nulls;
}

/* Appends `rows` bits; `bits` NULL: all valid. Counts the NULLs, not the rows. */
static enum status put_validity(struct column *column, const uint64_t *bits, int64_t from,
                                int64_t rows, struct error *error) {
  int64_t nulls = bits == NULL ? 0 : count_nulls(bits, from, rows);
  if (nulls == 0 && column->validity.data == NULL) return STATUS_OK;
  enum status status = validity_reserve(column, rows, error);
  if (status != STATUS_OK) return status;
  uint8_t *out = column->validity.data;
  if (((column->rows | from) & 63) == 0) {
    int64_t words = (rows + 63) / 64;
    if (bits != NULL)
      memcpy(out + column->rows / 8, bits + from / 64, (size_t)words * 8);
    else
      memset(out + column->rows / 8, 0xff, (size_t)words * 8);
  } else {
    for (int64_t i = 0, at = column->rows; i < rows; i++, at++) {
      uint8_t bit = (uint8_t)(1u << (at & 7));
      if (bit_get(bits, from + i))
        out[at >> 3] |= bit;
      else
        out[at >> 3] &= (uint8_t)~bit;
    }
  }
  column->null_count += nulls;
  return STATUS_OK;
}

/* ---- fixed width ---------------------------------------------------------------------------- */

/* Room for `rows` values of `width` bytes; where they go. */
static enum status put_values(struct column *column, const uint64_t *bits, int64_t from,
                              int64_t rows, int64_t width, void **out, struct error *error) {
  enum status status = put_validity(column, bits, from, rows, error);
  if (status != STATUS_OK) return status;
  status =
      block_reserve(&column->data, column->budget, rows * width, column->data_hint_bytes, error);
  if (status != STATUS_OK) return status;
  *out = column->data.data + column->data.size_bytes;
  column->data.size_bytes += rows * width;
  column->rows += rows;
  return STATUS_OK;
}

#define BEGIN_VALUES(out_type, width)                                                              \
  const uint64_t *bits = column->duckdb->vector_get_validity(vector);                              \
  out_type *out = NULL;                                                                            \
  enum status status = put_values(column, bits, from, rows, width, (void **)&out, error);          \
  if (status != STATUS_OK) return status

static enum status append_null(struct column *column, duckdb_vector vector, int64_t from,
                               int64_t rows, struct error *error) {
  (void)vector, (void)from, (void)error;
  column->rows += rows;
  column->null_count += rows;
  return STATUS_OK;
}

static enum status append_fixed(struct column *column, duckdb_vector vector, int64_t from,
                                int64_t rows, struct error *error) {
  BEGIN_VALUES(uint8_t, column->width);
  const uint8_t *values = column->duckdb->vector_get_data(vector);
  memcpy(out, values + from * column->width, (size_t)(rows * column->width));
  return STATUS_OK;
}

static enum status append_boolean(struct column *column, duckdb_vector vector, int64_t from,
                                  int64_t rows, struct error *error) {
  const uint64_t *bits = column->duckdb->vector_get_validity(vector);
  enum status status = put_validity(column, bits, from, rows, error);
  if (status != STATUS_OK) return status;
  int64_t size = (column->rows + rows + 7) / 8;
  status = block_reserve(&column->data, column->budget, size - column->data.size_bytes,
                         column->data_hint_bytes, error);
  if (status != STATUS_OK) return status;
  const uint8_t *values = (const uint8_t *)column->duckdb->vector_get_data(vector) + from;
  uint8_t *out = column->data.data;
  for (int64_t i = 0, at = column->rows; i < rows; i++, at++) {
    if ((at & 7) == 0) out[at >> 3] = 0;
    uint8_t bit = (uint8_t)(1u << (at & 7));
    if (bit_get(bits, from + i) && values[i])
      out[at >> 3] |= bit;
    else
      out[at >> 3] &= (uint8_t)~bit;
  }
  column->data.size_bytes = size;
  column->rows += rows;
  return STATUS_OK;
}

/* Dates and timestamps whose outermost values mean infinity, which Arrow lacks. */
static enum status append_date(struct column *column, duckdb_vector vector, int64_t from,
                               int64_t rows, struct error *error) {
  BEGIN_VALUES(int32_t, 4);
  const int32_t *values = (const int32_t *)column->duckdb->vector_get_data(vector) + from;
  int infinite = 0;
  for (int64_t i = 0; i < rows; i++) {
    infinite |= (values[i] == INT32_MAX) | (values[i] == -INT32_MAX);
    out[i] = values[i];
  }
  for (int64_t i = 0; infinite && i < rows; i++)
    if (bit_get(bits, from + i) && (values[i] == INT32_MAX || values[i] == -INT32_MAX))
      return refuse(column, error, STATUS_SCHEMA, "an infinite date has no Arrow value");
  return STATUS_OK;
}

static enum status append_timestamp(struct column *column, duckdb_vector vector, int64_t from,
                                    int64_t rows, struct error *error) {
  BEGIN_VALUES(int64_t, 8);
  const int64_t *values = (const int64_t *)column->duckdb->vector_get_data(vector) + from;
  int infinite = 0;
  for (int64_t i = 0; i < rows; i++) {
    infinite |= (values[i] == INT64_MAX) | (values[i] == -INT64_MAX);
    out[i] = values[i];
  }
  for (int64_t i = 0; infinite && i < rows; i++)
    if (bit_get(bits, from + i) && (values[i] == INT64_MAX || values[i] == -INT64_MAX))
      return refuse(column, error, STATUS_SCHEMA, "an infinite timestamp has no Arrow value");
  return STATUS_OK;
}

static enum status append_interval(struct column *column, duckdb_vector vector, int64_t from,
                                   int64_t rows, struct error *error) {
  BEGIN_VALUES(duckdb_interval, 16); /* the same layout, nanoseconds for microseconds */
  const duckdb_interval *values =
      (const duckdb_interval *)column->duckdb->vector_get_data(vector) + from;
  for (int64_t i = 0; i < rows; i++) {
    out[i] = (duckdb_interval){0};
    if (!bit_get(bits, from + i)) continue;
    out[i] = values[i];
    if (__builtin_mul_overflow(values[i].micros, INT64_C(1000), &out[i].micros))
      return refuse(column, error, STATUS_SCHEMA,
                    "an interval of more than 292 years does not fit in nanoseconds");
  }
  return STATUS_OK;
}

static enum status append_decimal(struct column *column, duckdb_vector vector, int64_t from,
                                  int64_t rows, struct error *error) {
  BEGIN_VALUES(uint8_t, 16);
  const void *values = column->duckdb->vector_get_data(vector);
  for (int64_t i = 0; i < rows; i++) {
    __int128 value = 0;
    if (bit_get(bits, from + i)) switch (column->internal) {
      case DUCKDB_TYPE_SMALLINT: value = ((const int16_t *)values)[from + i]; break;
      case DUCKDB_TYPE_INTEGER: value = ((const int32_t *)values)[from + i]; break;
      case DUCKDB_TYPE_BIGINT: value = ((const int64_t *)values)[from + i]; break;
      default: memcpy(&value, (const uint8_t *)values + (from + i) * 16, sizeof value);
      }
    memcpy(out + i * 16, &value, sizeof value);
  }
  return STATUS_OK;
}

/* HUGEINT and UHUGEINT as decimal128(38, 0), which holds all but their outermost. */
static enum status append_huge(struct column *column, duckdb_vector vector, int64_t from,
                               int64_t rows, struct error *error) {
  BEGIN_VALUES(uint8_t, 16);
  const uint8_t *values = column->duckdb->vector_get_data(vector);
  unsigned __int128 limit = 1;
  for (int i = 0; i < 38; i++) limit *= 10;
  for (int64_t i = 0; i < rows; i++) {
    unsigned __int128 value = 0;
    if (bit_get(bits, from + i)) memcpy(&value, values + (from + i) * 16, sizeof value);
    bool negative = column->type == DUCKDB_TYPE_HUGEINT && (__int128)value < 0;
    if ((negative ? -value : value) >= limit)
      return refuse(column, error, STATUS_SCHEMA,
                    "an integer of 39 digits has no Arrow value: cast the column to VARCHAR");
    memcpy(out + i * 16, &value, sizeof value);
  }
  return STATUS_OK;
}

/* ---- text and binary --------------------------------------------------------------------------- */

static enum status offsets_reserve(struct column *column, int64_t rows, struct error *error) {
  struct block *block = &column->offsets;
  block->size_bytes = block->data == NULL ? 0 : (column->rows + 1) * 4;
  enum status status =
      block_reserve(block, column->budget, (rows + 1) * 4, (column->hint_rows + 1) * 4, error);
  if (status == STATUS_OK && block->size_bytes == 0) memset(block->data, 0, 4);
  return status;
}

static enum status batch_full(const struct column *column, struct error *error) {
  return refuse(column, error, STATUS_TOO_LARGE, "more than 2 GB of values in one batch");
}

static inline const char *string_data(const duckdb_string_t *string) {
  return string->value.inlined.length <= INLINE_BYTES_MAX ? string->value.inlined.inlined
                                                          : string->value.pointer.ptr;
}

static enum status append_bytes(struct column *column, duckdb_vector vector, int64_t from,
                                int64_t rows, struct error *error) {
  const uint64_t *bits = column->duckdb->vector_get_validity(vector);
  const duckdb_string_t *values =
      (const duckdb_string_t *)column->duckdb->vector_get_data(vector) + from;
  enum status status = put_validity(column, bits, from, rows, error);
  if (status == STATUS_OK) status = offsets_reserve(column, rows, error);
  if (status != STATUS_OK) return status;
  int32_t *offsets = (int32_t *)column->offsets.data + column->rows + 1;
  int64_t total = column->data.size_bytes;
  for (int64_t i = 0; i < rows; i++) {
    if (bit_get(bits, from + i)) total += values[i].value.inlined.length;
    offsets[i] = (int32_t)total;
  }
  if (total > INT32_MAX) return batch_full(column, error);
  /* Short values are copied as 12 bytes at once, so there is room behind the last. */
  status = block_reserve(&column->data, column->budget,
                         total - column->data.size_bytes + INLINE_BYTES_MAX,
                         column->data_hint_bytes, error);
  if (status != STATUS_OK) return status;
  uint8_t *out = column->data.data + column->data.size_bytes;
  for (int64_t i = 0; i < rows; i++) {
    if (!bit_get(bits, from + i)) continue;
    uint32_t bytes = values[i].value.inlined.length;
    if (bytes <= INLINE_BYTES_MAX)
      memcpy(out, values[i].value.inlined.inlined, INLINE_BYTES_MAX);
    else
      memcpy(out, values[i].value.pointer.ptr, bytes);
    out += bytes;
  }
  column->data.size_bytes = total;
  column->rows += rows;
  return STATUS_OK;
}

/* One value of a text column, `text` NULL: NULL. */
static enum status append_text(struct column *column, const char *text, int64_t bytes,
                               struct error *error) {
  uint64_t bit = text != NULL;
  enum status status = put_validity(column, &bit, 0, 1, error);
  if (status == STATUS_OK) status = offsets_reserve(column, 1, error);
  if (status == STATUS_OK && column->data.size_bytes + bytes > INT32_MAX)
    status = batch_full(column, error);
  if (status == STATUS_OK)
    status =
        block_reserve(&column->data, column->budget, bytes + 1, column->data_hint_bytes, error);
  if (status != STATUS_OK) return status;
  if (bytes > 0) memcpy(column->data.data + column->data.size_bytes, text, (size_t)bytes);
  column->data.size_bytes += bytes;
  column->rows++;
  ((int32_t *)column->offsets.data)[column->rows] = (int32_t)column->data.size_bytes;
  return STATUS_OK;
}

static enum status append_enum(struct column *column, duckdb_vector vector, int64_t from,
                               int64_t rows, struct error *error) {
  const uint64_t *bits = column->duckdb->vector_get_validity(vector);
  const void *values = column->duckdb->vector_get_data(vector);
  enum status status = STATUS_OK;
  for (int64_t i = from; i < from + rows && status == STATUS_OK; i++) {
    if (!bit_get(bits, i)) {
      status = append_text(column, NULL, 0, error);
      continue;
    }
    uint32_t word = column->internal == DUCKDB_TYPE_UTINYINT    ? ((const uint8_t *)values)[i]
                    : column->internal == DUCKDB_TYPE_USMALLINT ? ((const uint16_t *)values)[i]
                                                                : ((const uint32_t *)values)[i];
    uint32_t start = column->word_offsets[word];
    status = append_text(column, (const char *)column->words.data + start,
                         column->word_offsets[word + 1] - start, error);
  }
  return status;
}

/* DuckDB keeps a UUID as 128 bits with the first one flipped. */
static enum status append_uuid(struct column *column, duckdb_vector vector, int64_t from,
                               int64_t rows, struct error *error) {
  const uint64_t *bits = column->duckdb->vector_get_validity(vector);
  const duckdb_hugeint *values = (const duckdb_hugeint *)column->duckdb->vector_get_data(vector);
  enum status status = STATUS_OK;
  for (int64_t i = from; i < from + rows && status == STATUS_OK; i++) {
    uint64_t high = (uint64_t)values[i].upper ^ UINT64_C(1) << 63, low = values[i].lower;
    char text[UUID_TEXT_BYTES + 1];
    snprintf(text, sizeof text, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(high >> 32),
             (unsigned)(high >> 16) & 0xffff, (unsigned)high & 0xffff, (unsigned)(low >> 48),
             (unsigned long long)(low & UINT64_C(0xffffffffffff)));
    bool valid = bit_get(bits, i);
    status = append_text(column, valid ? text : NULL, valid ? UUID_TEXT_BYTES : 0, error);
  }
  return status;
}

/* A BIT is a byte that says how many bits of the next are padding, then the bits. */
static enum status append_bit(struct column *column, duckdb_vector vector, int64_t from,
                              int64_t rows, struct error *error) {
  const uint64_t *bits = column->duckdb->vector_get_validity(vector);
  const duckdb_string_t *values = (const duckdb_string_t *)column->duckdb->vector_get_data(vector);
  enum status status = STATUS_OK;
  for (int64_t i = from; i < from + rows && status == STATUS_OK; i++) {
    if (!bit_get(bits, i)) {
      status = append_text(column, NULL, 0, error);
      continue;
    }
    const uint8_t *data = (const uint8_t *)string_data(&values[i]);
    int64_t padding = data[0], count = ((int64_t)values[i].value.inlined.length - 1) * 8 - padding;
    char *text = malloc((size_t)count + 1);
    if (text == NULL) return error_set(error, STATUS_NOMEM, "no memory for a BIT value");
    for (int64_t k = 0; k < count; k++) {
      int64_t bit = padding + k;
      text[k] = (data[1 + bit / 8] >> (7 - bit % 8)) & 1 ? '1' : '0';
    }
    status = append_text(column, text, count, error);
    free(text);
  }
  return status;
}

/* ---- nested --------------------------------------------------------------------------------------- */

static enum status append_struct(struct column *column, duckdb_vector vector, int64_t from,
                                 int64_t rows, struct error *error) {
  const uint64_t *bits = column->duckdb->vector_get_validity(vector);
  enum status status = put_validity(column, bits, from, rows, error);
  for (int64_t i = 0; i < column->child_count && status == STATUS_OK; i++) {
    struct column *child = &column->children[i];
    status = child->append(child, column->duckdb->struct_vector_get_child(vector, (idx_t)i), from,
                           rows, error);
  }
  column->rows += rows;
  return status;
}

static enum status append_array(struct column *column, duckdb_vector vector, int64_t from,
                                int64_t rows, struct error *error) {
  const uint64_t *bits = column->duckdb->vector_get_validity(vector);
  enum status status = put_validity(column, bits, from, rows, error);
  struct column *child = &column->children[0];
  if (status == STATUS_OK)
    status = child->append(child, column->duckdb->array_vector_get_child(vector),
                           from * column->width, rows * column->width, error);
  column->rows += rows;
  return status;
}

/* Lists and maps. Items that lie one behind the other are taken in one go. */
static enum status append_list(struct column *column, duckdb_vector vector, int64_t from,
                               int64_t rows, struct error *error) {
  const uint64_t *bits = column->duckdb->vector_get_validity(vector);
  const duckdb_list_entry *entries =
      (const duckdb_list_entry *)column->duckdb->vector_get_data(vector) + from;
  duckdb_vector items = column->duckdb->list_vector_get_child(vector);
  struct column *child = &column->children[0];
  enum status status = put_validity(column, bits, from, rows, error);
  if (status == STATUS_OK) status = offsets_reserve(column, rows, error);
  if (status != STATUS_OK) return status;
  int32_t *offsets = (int32_t *)column->offsets.data + column->rows + 1;
  int64_t total = child->rows, run_from = 0, run_rows = 0;
  for (int64_t i = 0; i < rows && status == STATUS_OK; i++) {
    int64_t length = bit_get(bits, from + i) ? (int64_t)entries[i].length : 0;
    if (length > 0 && run_rows > 0 && (int64_t)entries[i].offset != run_from + run_rows) {
      status = child->append(child, items, run_from, run_rows, error);
      run_rows = 0;
    }
    if (length > 0 && run_rows == 0) run_from = (int64_t)entries[i].offset;
    run_rows += length;
    total += length;
    if (status == STATUS_OK && total > INT32_MAX) status = batch_full(column, error);
    offsets[i] = (int32_t)total;
  }
  if (status == STATUS_OK && run_rows > 0)
    status = child->append(child, items, run_from, run_rows, error);
  column->rows += rows;
  return status;
}

/* ---- types ------------------------------------------------------------------------------------------ */

static const struct collect_rule {
  duckdb_type type;
  const char *sql;
  const char *format; /* NULL: made up from parameters */
  column_append *append;
  int width;
  bool offsets;
  const char *arrow, *note;
} rules[] = {
    {DUCKDB_TYPE_SQLNULL, "NULL", "n", append_null, 0, false, "null", ""},
    {DUCKDB_TYPE_BOOLEAN, "BOOLEAN", "b", append_boolean, 0, false, "bool", ""},
    {DUCKDB_TYPE_TINYINT, "TINYINT", "c", append_fixed, 1, false, "int8", ""},
    {DUCKDB_TYPE_SMALLINT, "SMALLINT", "s", append_fixed, 2, false, "int16", ""},
    {DUCKDB_TYPE_INTEGER, "INTEGER", "i", append_fixed, 4, false, "int32", ""},
    {DUCKDB_TYPE_BIGINT, "BIGINT", "l", append_fixed, 8, false, "int64", ""},
    {DUCKDB_TYPE_UTINYINT, "UTINYINT", "C", append_fixed, 1, false, "uint8", ""},
    {DUCKDB_TYPE_USMALLINT, "USMALLINT", "S", append_fixed, 2, false, "uint16", ""},
    {DUCKDB_TYPE_UINTEGER, "UINTEGER", "I", append_fixed, 4, false, "uint32", ""},
    {DUCKDB_TYPE_UBIGINT, "UBIGINT", "L", append_fixed, 8, false, "uint64", ""},
    {DUCKDB_TYPE_HUGEINT, "HUGEINT", "d:38,0", append_huge, 16, false, "decimal128(38, 0)",
     "a value of 39 digits is refused"},
    {DUCKDB_TYPE_UHUGEINT, "UHUGEINT", "d:38,0", append_huge, 16, false, "decimal128(38, 0)",
     "a value of 39 digits is refused"},
    {DUCKDB_TYPE_FLOAT, "FLOAT", "f", append_fixed, 4, false, "float32", ""},
    {DUCKDB_TYPE_DOUBLE, "DOUBLE", "g", append_fixed, 8, false, "float64", ""},
    {DUCKDB_TYPE_DECIMAL, "DECIMAL(p,s)", NULL, append_decimal, 16, false, "decimal128(p, s)", ""},
    {DUCKDB_TYPE_VARCHAR, "VARCHAR", "u", append_bytes, 0, true, "utf8", "also JSON"},
    {DUCKDB_TYPE_BLOB, "BLOB", "z", append_bytes, 0, true, "binary", ""},
    {DUCKDB_TYPE_ENUM, "ENUM", "u", append_enum, 0, true, "utf8", "the words"},
    {DUCKDB_TYPE_UUID, "UUID", "u", append_uuid, 0, true, "utf8", "36 characters"},
    {DUCKDB_TYPE_BIT, "BIT", "u", append_bit, 0, true, "utf8", "a 0 or 1 for each bit"},
    {DUCKDB_TYPE_DATE, "DATE", "tdD", append_date, 4, false, "date32", "infinity is refused"},
    {DUCKDB_TYPE_TIME, "TIME", "ttu", append_fixed, 8, false, "time64[us]", ""},
    {DUCKDB_TYPE_TIME_NS, "TIME_NS", "ttn", append_fixed, 8, false, "time64[ns]", ""},
    {DUCKDB_TYPE_TIMESTAMP_S, "TIMESTAMP_S", "tss:", append_timestamp, 8, false, "timestamp[s]",
     "infinity is refused"},
    {DUCKDB_TYPE_TIMESTAMP_MS, "TIMESTAMP_MS", "tsm:", append_timestamp, 8, false, "timestamp[ms]",
     "infinity is refused"},
    {DUCKDB_TYPE_TIMESTAMP, "TIMESTAMP", "tsu:", append_timestamp, 8, false, "timestamp[us]",
     "infinity is refused"},
    {DUCKDB_TYPE_TIMESTAMP_NS, "TIMESTAMP_NS", "tsn:", append_timestamp, 8, false, "timestamp[ns]",
     "infinity is refused"},
    {DUCKDB_TYPE_TIMESTAMP_TZ, "TIMESTAMP WITH TIME ZONE", "tsu:UTC", append_timestamp, 8, false,
     "timestamp[us, UTC]", "infinity is refused"},
    {DUCKDB_TYPE_INTERVAL, "INTERVAL", "tin", append_interval, 16, false,
     "interval[month_day_nano]", "more than 292 years of microseconds are refused"},
    {DUCKDB_TYPE_LIST, "T[]", "+l", append_list, 0, true, "list<T>", ""},
    {DUCKDB_TYPE_ARRAY, "T[n]", NULL, append_array, 0, false, "fixed_size_list<T>[n]", ""},
    {DUCKDB_TYPE_STRUCT, "STRUCT(...)", "+s", append_struct, 0, false, "struct<...>", ""},
    {DUCKDB_TYPE_MAP, "MAP(K, V)", "+m", append_list, 0, true, "map<K, V>", ""},
    {DUCKDB_TYPE_TIME_TZ, "TIME WITH TIME ZONE", NULL, NULL, 0, false, NULL, "cast it to VARCHAR"},
    {DUCKDB_TYPE_UNION, "UNION", NULL, NULL, 0, false, NULL, "cast it to VARCHAR"},
    {DUCKDB_TYPE_BIGNUM, "BIGNUM", NULL, NULL, 0, false, NULL, "cast it to VARCHAR"},
    {DUCKDB_TYPE_VARIANT, "VARIANT", NULL, NULL, 0, false, NULL, "cast it to VARCHAR"},
    {DUCKDB_TYPE_GEOMETRY, "GEOMETRY", NULL, NULL, 0, false, NULL, "cast it to VARCHAR"},
};

enum { RULE_COUNT = sizeof rules / sizeof rules[0] };

static const struct collect_rule *rule_of(duckdb_type type) {
  for (int i = 0; i < RULE_COUNT; i++)
    if (rules[i].type == type) return &rules[i];
  return NULL;
}

static enum status column_init(struct column *column, const struct duckdb_api *duckdb,
                               struct budget *budget, duckdb_logical_type type, const char *name,
                               bool nullable, struct ArrowSchema *schema, struct error *error);

static enum status init_enum(struct column *column, duckdb_logical_type type, struct error *error) {
  const struct duckdb_api *duckdb = column->duckdb;
  uint32_t count = duckdb->enum_dictionary_size(type);
  column->internal = duckdb->enum_internal_type(type);
  column->word_offsets = calloc((size_t)count + 1, sizeof *column->word_offsets);
  if (column->word_offsets == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for the %u words of an ENUM", count);
  for (uint32_t i = 0; i < count; i++) {
    char *word = duckdb->enum_dictionary_value(type, i);
    int64_t bytes = word == NULL ? 0 : (int64_t)strlen(word);
    enum status status = block_reserve(&column->words, NULL, bytes + 1, 0, error);
    if (status == STATUS_OK && bytes > 0) {
      memcpy(column->words.data + column->words.size_bytes, word, (size_t)bytes);
      column->words.size_bytes += bytes;
    }
    duckdb->free(word);
    if (status != STATUS_OK) return status;
    column->word_offsets[i + 1] = (uint32_t)column->words.size_bytes;
  }
  return STATUS_OK;
}

/* Takes the child's handle. */
static enum status init_child(struct column *column, int64_t index, duckdb_logical_type type,
                              const char *name, bool nullable, struct ArrowSchema *schema,
                              struct error *error) {
  enum status status = column_init(&column->children[index], column->duckdb, column->budget, type,
                                   name, nullable, schema->children[index], error);
  column->duckdb->destroy_logical_type(&type);
  return status;
}

static enum status init_map(struct column *column, duckdb_logical_type type,
                            struct ArrowSchema *schema, struct error *error) {
  /* Its entries: a struct that exists only in Arrow's words, so made by hand. */
  struct column *entries = &column->children[0];
  struct ArrowSchema *entries_schema = schema->children[0];
  enum status status = arrow_schema_init(entries_schema, "+s", "entries", false, 2, error);
  if (status != STATUS_OK) return status;
  *entries = (struct column){.duckdb = column->duckdb,
                             .budget = column->budget,
                             .type = DUCKDB_TYPE_STRUCT,
                             .append = append_struct,
                             .name = column->name,
                             .has_validity_buffer = true};
  entries->children = calloc(2, sizeof *entries->children);
  if (entries->children == NULL) return error_set(error, STATUS_NOMEM, "no memory for a map");
  entries->child_count = 2;
  status = init_child(entries, 0, column->duckdb->map_type_key_type(type), "key", false,
                      entries_schema, error);
  if (status == STATUS_OK)
    status = init_child(entries, 1, column->duckdb->map_type_value_type(type), "value", true,
                        entries_schema, error);
  return status;
}

static enum status init_children(struct column *column, duckdb_logical_type type,
                                 struct ArrowSchema *schema, struct error *error) {
  const struct duckdb_api *duckdb = column->duckdb;
  int64_t count = schema->n_children;
  if (count == 0) return STATUS_OK;
  column->children = calloc((size_t)count, sizeof *column->children);
  if (column->children == NULL) return error_set(error, STATUS_NOMEM, "no memory for columns");
  column->child_count = count;
  switch (column->type) {
  case DUCKDB_TYPE_LIST:
    return init_child(column, 0, duckdb->list_type_child_type(type), "item", true, schema, error);
  case DUCKDB_TYPE_ARRAY:
    return init_child(column, 0, duckdb->array_type_child_type(type), "item", true, schema, error);
  case DUCKDB_TYPE_MAP: return init_map(column, type, schema, error);
  default: break;
  }
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < count && status == STATUS_OK; i++) {
    char *name = duckdb->struct_type_child_name(type, (idx_t)i);
    status = init_child(column, i, duckdb->struct_type_child_type(type, (idx_t)i), name, true,
                        schema, error);
    duckdb->free(name);
  }
  return status;
}

static enum status column_init(struct column *column, const struct duckdb_api *duckdb,
                               struct budget *budget, duckdb_logical_type type, const char *name,
                               bool nullable, struct ArrowSchema *schema, struct error *error) {
  duckdb_type id = duckdb->get_type_id(type);
  const struct collect_rule *rule = rule_of(id);
  if (rule == NULL || rule->append == NULL)
    return error_set(error, STATUS_UNSUPPORTED,
                     "column \"%s\" has the type %s, which has no Arrow type here: %s", name,
                     rule == NULL ? "?" : rule->sql, rule == NULL ? "cast it" : rule->note);
  *column = (struct column){.duckdb = duckdb,
                            .budget = budget,
                            .type = id,
                            .append = rule->append,
                            .width = rule->width,
                            .has_validity_buffer = id != DUCKDB_TYPE_SQLNULL,
                            .has_offsets = rule->offsets};
  char made[48];
  const char *format = rule->format != NULL ? rule->format : made;
  int64_t children = 0;
  if (id == DUCKDB_TYPE_DECIMAL) {
    column->internal = duckdb->decimal_internal_type(type);
    snprintf(made, sizeof made, "d:%d,%d", duckdb->decimal_width(type),
             duckdb->decimal_scale(type));
  } else if (id == DUCKDB_TYPE_ARRAY) {
    column->width = (int)duckdb->array_type_array_size(type);
    snprintf(made, sizeof made, "+w:%d", column->width);
    children = 1;
  } else if (id == DUCKDB_TYPE_LIST || id == DUCKDB_TYPE_MAP) {
    children = 1;
  } else if (id == DUCKDB_TYPE_STRUCT) {
    children = (int64_t)duckdb->struct_type_child_count(type);
  }
  enum status status = arrow_schema_init(schema, format, name, nullable, children, error);
  if (status != STATUS_OK) return status;
  column->name = schema->name;
  if (id == DUCKDB_TYPE_ENUM) return init_enum(column, type, error);
  return init_children(column, type, schema, error);
}

/* ---- the collector ------------------------------------------------------------------------------------- */

struct collector {
  const struct duckdb_api *duckdb;
  struct budget *budget;
  struct ArrowSchema schema;
  struct column *columns;
  int64_t column_count;
  int64_t rows;        /* of the batch */
  int64_t rows_before; /* of earlier batches */
};

enum status collector_new(const struct duckdb_api *duckdb, duckdb_result *result,
                          struct budget *budget, struct collector **out, struct error *error) {
  *out = NULL;
  struct collector *collector = calloc(1, sizeof *collector);
  if (collector == NULL) return error_set(error, STATUS_NOMEM, "no memory for a result");
  collector->duckdb = duckdb;
  collector->budget = budget;
  int64_t count = duckdb->result_return_type(*result) == DUCKDB_RESULT_TYPE_QUERY_RESULT
                      ? (int64_t)duckdb->column_count(result)
                      : 0;
  enum status status = arrow_schema_init(&collector->schema, "+s", "", false, count, error);
  if (status != STATUS_OK) goto done;
  collector->columns = calloc((size_t)count + 1, sizeof *collector->columns);
  if (collector->columns == NULL) {
    status = error_set(error, STATUS_NOMEM, "no memory for a result's columns");
    goto done;
  }
  for (int64_t i = 0; i < count && status == STATUS_OK; i++) {
    collector->column_count = i + 1;
    duckdb_logical_type type = duckdb->column_logical_type(result, (idx_t)i);
    status = column_init(&collector->columns[i], duckdb, budget, type,
                         duckdb->column_name(result, (idx_t)i), true, collector->schema.children[i],
                         error);
    duckdb->destroy_logical_type(&type);
  }

done:
  if (status != STATUS_OK) {
    collector_free(collector);
    collector = NULL;
  }
  *out = collector;
  return status;
}

void collector_free(struct collector *collector) {
  if (collector == NULL) return;
  for (int64_t i = 0; i < collector->column_count; i++) column_release(&collector->columns[i]);
  free(collector->columns);
  arrow_schema_release(&collector->schema);
  free(collector);
}

const struct ArrowSchema *collector_schema(const struct collector *collector) {
  return &collector->schema;
}

int64_t collector_rows(const struct collector *collector) { return collector->rows; }

static int64_t column_bytes(const struct column *column) {
  int64_t bytes = column->data.size_bytes + (column->has_offsets ? column->rows * 4 : 0);
  for (int64_t i = 0; i < column->child_count; i++) bytes += column_bytes(&column->children[i]);
  return bytes;
}

int64_t collector_bytes(const struct collector *collector) {
  int64_t bytes = 0;
  for (int64_t i = 0; i < collector->column_count; i++)
    bytes += column_bytes(&collector->columns[i]);
  return bytes;
}

static enum status try_append(struct collector *collector, duckdb_data_chunk chunk, int64_t from,
                              int64_t rows, struct error *error) {
  for (int64_t i = 0; i < collector->column_count; i++) column_mark(&collector->columns[i]);
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < collector->column_count && status == STATUS_OK; i++) {
    struct column *column = &collector->columns[i];
    duckdb_vector vector = collector->duckdb->data_chunk_get_vector(chunk, (idx_t)i);
    status = column->append(column, vector, from, rows, error);
  }
  if (status != STATUS_OK)
    for (int64_t i = 0; i < collector->column_count; i++) column_take_back(&collector->columns[i]);
  return status;
}

enum status collector_append(struct collector *collector, duckdb_data_chunk chunk, int64_t from,
                             int64_t rows, struct error *error) {
  enum status status = try_append(collector, chunk, from, rows, error);
  if (status == STATUS_OK) collector->rows += rows;
  if (status != STATUS_SCHEMA) return status;
  for (int64_t i = 0; i < rows; i++) { /* which row was it? */
    struct error found = {0};
    if (try_append(collector, chunk, from + i, 1, &found) == STATUS_OK) continue;
    if (error != NULL) *error = found;
    error_at(error, "row %lld (the first is 0)",
             (long long)(collector->rows_before + collector->rows + i));
    break;
  }
  return status;
}

/* ---- batches ------------------------------------------------------------------------------------------ */

/* What an array of a batch owns. */
struct owned {
  struct budget *budget;
  struct block blocks[3];
  const void *buffers[3];
  struct ArrowArray *arrays; /* the children */
  struct ArrowArray **pointers;
  int64_t child_count;
};

static void owned_release(struct ArrowArray *array) {
  struct owned *owned = array->private_data;
  for (int64_t i = 0; i < owned->child_count; i++) arrow_array_release(&owned->arrays[i]);
  free(owned->arrays);
  free(owned->pointers);
  for (int i = 0; i < 3; i++) block_release(&owned->blocks[i], owned->budget);
  free(owned);
  array->release = NULL;
}

/* An array without buffers, with room for its children; NULL without memory. */
static struct owned *owned_new(struct ArrowArray *array, struct budget *budget, int64_t children) {
  struct owned *owned = calloc(1, sizeof *owned);
  if (owned == NULL) return NULL;
  owned->budget = budget;
  owned->child_count = children;
  if (children > 0) {
    owned->arrays = calloc((size_t)children, sizeof *owned->arrays);
    owned->pointers = calloc((size_t)children, sizeof *owned->pointers);
    if (owned->arrays == NULL || owned->pointers == NULL) {
      free(owned->arrays);
      free(owned->pointers);
      free(owned);
      return NULL;
    }
  }
  for (int64_t i = 0; i < children; i++) owned->pointers[i] = &owned->arrays[i];
  *array = (struct ArrowArray){.n_children = children,
                               .buffers = owned->buffers,
                               .children = owned->pointers,
                               .release = owned_release,
                               .private_data = owned};
  return owned;
}

/* All arrays first, so that nothing is moved when memory runs out. */
static enum status arrays_new(const struct column *column, struct ArrowArray *array,
                              struct error *error) {
  struct owned *owned = owned_new(array, column->budget, column->child_count);
  if (owned == NULL) return error_set(error, STATUS_NOMEM, "no memory for a batch");
  for (int64_t i = 0; i < column->child_count; i++) {
    enum status status = arrays_new(&column->children[i], &owned->arrays[i], error);
    if (status != STATUS_OK) return status;
  }
  return STATUS_OK;
}

static void column_move(struct column *column, struct ArrowArray *array) {
  struct owned *owned = array->private_data;
  int count = 0;
  array->length = column->rows;
  array->null_count = column->null_count;
  column->hint_rows = column->rows;
  column->data_hint_bytes = column->data.size_bytes + column->data.size_bytes / 16;
  if (column->has_validity_buffer) {
    owned->blocks[0] = column->validity;
    owned->buffers[count++] = column->null_count > 0 ? column->validity.data : NULL;
  }
  if (column->has_offsets) {
    owned->blocks[1] = column->offsets;
    owned->buffers[count++] = column->offsets.data;
  }
  bool nested = column->child_count > 0 || column->type == DUCKDB_TYPE_SQLNULL;
  if (!nested) {
    owned->blocks[2] = column->data;
    owned->buffers[count++] = column->data.data;
  }
  array->n_buffers = count;
  column->validity = column->offsets = column->data = (struct block){0};
  column->rows = column->null_count = 0;
  for (int64_t i = 0; i < column->child_count; i++)
    column_move(&column->children[i], &owned->arrays[i]);
}

/* Buffers that consumers may point at even where there are no values. */
static enum status columns_settle(struct column *column, struct error *error) {
  enum status status = STATUS_OK;
  if (column->has_offsets) status = offsets_reserve(column, 0, error);
  if (status == STATUS_OK && column->data.data == NULL && column->child_count == 0 &&
      column->type != DUCKDB_TYPE_SQLNULL)
    status = block_reserve(&column->data, column->budget, 1, 0, error);
  for (int64_t i = 0; i < column->child_count && status == STATUS_OK; i++)
    status = columns_settle(&column->children[i], error);
  return status;
}

enum status collector_finish(struct collector *collector, struct ArrowArray *batch,
                             struct error *error) {
  *batch = (struct ArrowArray){0};
  struct owned *owned = owned_new(batch, collector->budget, collector->column_count);
  if (owned == NULL) return error_set(error, STATUS_NOMEM, "no memory for a batch");
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < collector->column_count && status == STATUS_OK; i++) {
    status = columns_settle(&collector->columns[i], error);
    if (status == STATUS_OK) status = arrays_new(&collector->columns[i], &owned->arrays[i], error);
  }
  if (status != STATUS_OK) {
    arrow_array_release(batch);
    return status;
  }
  for (int64_t i = 0; i < collector->column_count; i++)
    column_move(&collector->columns[i], &owned->arrays[i]);
  batch->length = collector->rows;
  batch->n_buffers = 1; /* no validity: a record batch has none */
  collector->rows_before += collector->rows;
  collector->rows = 0;
  return STATUS_OK;
}

enum status collector_document(struct text *out, struct error *error) {
  enum status status = text_add(out, "| DuckDB | Arrow | |\n|---|---|---|\n", error);
  for (int i = 0; i < RULE_COUNT && status == STATUS_OK; i++)
    status = text_add_format(out, error, "| `%s` | %s%s%s | %s |\n", rules[i].sql,
                             rules[i].arrow != NULL ? "`" : "",
                             rules[i].arrow != NULL ? rules[i].arrow : "**refused**",
                             rules[i].arrow != NULL ? "`" : "", rules[i].note);
  return status;
}
