/* The columns of a result: DuckDB's vectors appended to Arrow's buffers.
 *
 * Invariants: a column's buffers hold exactly its `rows`; what a failed append left
 * half done is taken back by its mark; whatever is allocated is charged to the
 * budget. There is no validity buffer until the first NULL comes. */
#include "engine/column.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES_MIN = 256, INLINE_BYTES_MAX = 12, UUID_TEXT_BYTES = 36 };

/* ---- memory --------------------------------------------------------------------------- */

void block_release(struct block *block, struct budget *budget) {
  if (budget != NULL && block->capacity_bytes > 0) budget_give(budget, block->capacity_bytes);
  free(block->data);
  *block = (struct block){0};
}

static int64_t round_up(int64_t bytes) {
  return (bytes + BUFFER_ALIGNMENT_BYTES - 1) / BUFFER_ALIGNMENT_BYTES * BUFFER_ALIGNMENT_BYTES;
}

/* Room for `bytes` more. `hint_bytes` is what the last batch needed. */
enum status block_reserve(struct block *block, struct budget *budget, int64_t bytes,
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
  if (size > 0 && block->data != NULL) memcpy(data, block->data, (size_t)size);
  block_release(block, budget);
  *block = (struct block){data, size, capacity};
  return STATUS_OK;
}

/* ---- columns ---------------------------------------------------------------------------- */

void column_release(struct column *column) {
  for (int64_t i = 0; i < column->child_count; i++) column_release(&column->children[i]);
  free(column->children);
  block_release(&column->validity, column->budget);
  block_release(&column->offsets, column->budget);
  block_release(&column->data, column->budget);
  block_release(&column->words, NULL);
  free(column->word_offsets);
}

void column_mark(struct column *column) {
  column->mark.rows = column->rows;
  column->mark.null_count = column->null_count;
  column->mark.data_bytes = column->data.size_bytes;
  for (int64_t i = 0; i < column->child_count; i++) column_mark(&column->children[i]);
}

void column_take_back(struct column *column) {
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

enum status append_null(struct column *column, duckdb_vector vector, int64_t from, int64_t rows,
                        struct error *error) {
  (void)vector, (void)from, (void)error;
  column->rows += rows;
  column->null_count += rows;
  return STATUS_OK;
}

enum status append_fixed(struct column *column, duckdb_vector vector, int64_t from, int64_t rows,
                         struct error *error) {
  BEGIN_VALUES(uint8_t, column->width);
  const uint8_t *values = column->duckdb->vector_get_data(vector);
  memcpy(out, values + from * column->width, (size_t)(rows * column->width));
  return STATUS_OK;
}

/* Eight bytes, each 0 or not, as the bits of one: each byte's lowest bit is moved by the product to the
 * highest byte, where no two of them meet. */
static inline uint8_t pack_booleans(const uint8_t values[8]) {
  const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
  uint64_t bytes;
  memcpy(&bytes, values, sizeof bytes);
  uint64_t set = ((((bytes & low) + low) | bytes) & ~low) >> 7;
  return (uint8_t)((set * UINT64_C(0x0102040810204080)) >> 56);
}

enum status append_boolean(struct column *column, duckdb_vector vector, int64_t from, int64_t rows,
                           struct error *error) {
  const uint64_t *bits = column->duckdb->vector_get_validity(vector);
  enum status status = put_validity(column, bits, from, rows, error);
  if (status != STATUS_OK) return status;
  int64_t size = (column->rows + rows + 7) / 8;
  status = block_reserve(&column->data, column->budget, size - column->data.size_bytes,
                         column->data_hint_bytes, error);
  if (status != STATUS_OK) return status;
  const uint8_t *values = (const uint8_t *)column->duckdb->vector_get_data(vector) + from;
  uint8_t *out = column->data.data;
  int64_t packed = 0; /* rows that went in by eights */
  if (((column->rows | from) & 7) == 0) {
    for (; packed + 8 <= rows; packed += 8) {
      int64_t row = from + packed;
      uint64_t valid = bits == NULL ? 0xff : bits[row >> 6] >> (row & 63);
      out[(column->rows + packed) >> 3] = (uint8_t)(pack_booleans(values + packed) & valid);
    }
  }
  for (int64_t i = packed, at = column->rows + packed; i < rows; i++, at++) {
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
enum status append_date(struct column *column, duckdb_vector vector, int64_t from, int64_t rows,
                        struct error *error) {
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

enum status append_timestamp(struct column *column, duckdb_vector vector, int64_t from,
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

enum status append_interval(struct column *column, duckdb_vector vector, int64_t from, int64_t rows,
                            struct error *error) {
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

enum status append_decimal(struct column *column, duckdb_vector vector, int64_t from, int64_t rows,
                           struct error *error) {
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
enum status append_huge(struct column *column, duckdb_vector vector, int64_t from, int64_t rows,
                        struct error *error) {
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
  if (status == STATUS_OK && block->size_bytes == 0 && block->data != NULL)
    memset(block->data, 0, 4); /* the first offset */
  return status;
}

static enum status batch_full(const struct column *column, struct error *error) {
  return refuse(column, error, STATUS_TOO_LARGE, "more than 2 GB of values in one batch");
}

static inline const char *string_data(const duckdb_string_t *string) {
  return string->value.inlined.length <= INLINE_BYTES_MAX ? string->value.inlined.inlined
                                                          : string->value.pointer.ptr;
}

enum status append_bytes(struct column *column, duckdb_vector vector, int64_t from, int64_t rows,
                         struct error *error) {
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

enum status append_enum(struct column *column, duckdb_vector vector, int64_t from, int64_t rows,
                        struct error *error) {
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
enum status append_uuid(struct column *column, duckdb_vector vector, int64_t from, int64_t rows,
                        struct error *error) {
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
enum status append_bit(struct column *column, duckdb_vector vector, int64_t from, int64_t rows,
                       struct error *error) {
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

enum status append_struct(struct column *column, duckdb_vector vector, int64_t from, int64_t rows,
                          struct error *error) {
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

enum status append_array(struct column *column, duckdb_vector vector, int64_t from, int64_t rows,
                         struct error *error) {
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
enum status append_list(struct column *column, duckdb_vector vector, int64_t from, int64_t rows,
                        struct error *error) {
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

/* Buffers that consumers may point at even where there are no values. */
enum status column_settle(struct column *column, struct error *error) {
  enum status status = STATUS_OK;
  if (column->has_offsets) status = offsets_reserve(column, 0, error);
  if (status == STATUS_OK && column->data.data == NULL && column->child_count == 0 &&
      column->type != DUCKDB_TYPE_SQLNULL)
    status = block_reserve(&column->data, column->budget, 1, 0, error);
  for (int64_t i = 0; i < column->child_count && status == STATUS_OK; i++)
    status = column_settle(&column->children[i], error);
  return status;
}
