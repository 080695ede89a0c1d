/* One column of a result on its way into an Arrow array: its buffers, and how each of
 * DuckDB's physical layouts is appended to them. collect.c chooses among them. */
#ifndef ARROWPORT_ENGINE_COLUMN_H
#define ARROWPORT_ENGINE_COLUMN_H

#include "base/buffer.h"
#include "engine/private.h"

/* Bytes that grow, charged to a budget (NULL: none), aligned as Arrow recommends. */
struct block {
  uint8_t *data;
  int64_t size_bytes, capacity_bytes;
};

void block_release(struct block *block, struct budget *budget);
/* Room for `bytes` more; `hint_bytes` is what the last batch needed. Leaves the block
 * as it was on STATUS_BUDGET and STATUS_NOMEM. */
enum status block_reserve(struct block *block, struct budget *budget, int64_t bytes,
                          int64_t hint_bytes, struct error *error) WARN_UNUSED;

struct column;

/* Appends rows [from, from + rows) of a vector; see collector_append for what fails. */
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

column_append append_null, append_boolean, append_fixed, append_date, append_timestamp;
column_append append_interval, append_decimal, append_huge;
column_append append_bytes, append_enum, append_uuid, append_bit;
column_append append_struct, append_array, append_list;

void column_release(struct column *column);
/* Remembers how long the column is, and makes it so again. */
void column_mark(struct column *column);
void column_take_back(struct column *column);
/* Gives an empty column the buffers that readers may point at. */
enum status column_settle(struct column *column, struct error *error) WARN_UNUSED;

#endif
