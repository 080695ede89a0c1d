/* Columns as there are in the world, made up; the same ones each time. */
#ifndef ARROWPORT_TESTS_PARQUET_COLUMNS_H
#define ARROWPORT_TESTS_PARQUET_COLUMNS_H

#include <stdint.h>

#include "parquet/values.h"

enum { COLUMN_TEXT_BYTES_MAX = 48 };

/* A value of a row: of a byte array its bytes. */
union cell {
  int32_t number_32;
  int64_t number_64;
  double real;
  float real_32;
  uint8_t flag;
  uint8_t bytes[COLUMN_TEXT_BYTES_MAX];
};

/* Makes the value of row `i`, and returns its size. */
typedef int64_t (*cell_maker)(int64_t i, union cell *cell);
int64_t cell_id(int64_t i, union cell *cell);
int64_t cell_time(int64_t i, union cell *cell);
int64_t cell_random(int64_t i, union cell *cell);
int64_t cell_constant(int64_t i, union cell *cell);
int64_t cell_cents(int64_t i, union cell *cell);
int64_t cell_normal(int64_t i, union cell *cell);
int64_t cell_half_unique(int64_t i, union cell *cell);
int64_t cell_small(int64_t i, union cell *cell);
int64_t cell_day(int64_t i, union cell *cell);
int64_t cell_normal_32(int64_t i, union cell *cell);
int64_t cell_coin(int64_t i, union cell *cell);
int64_t cell_phases(int64_t i, union cell *cell);
int64_t cell_user(int64_t i, union cell *cell);
int64_t cell_category(int64_t i, union cell *cell);
int64_t cell_link(int64_t i, union cell *cell);
int64_t cell_hexadecimal(int64_t i, union cell *cell);
int64_t cell_nothing(int64_t i, union cell *cell);
int64_t cell_uuid(int64_t i, union cell *cell);
int64_t cell_of_16(int64_t i, union cell *cell);
int64_t cell_of_5000(int64_t i, union cell *cell);
int64_t cell_runs(int64_t i, union cell *cell);
int64_t cell_few_and_many(int64_t i, union cell *cell);

struct column {
  struct parquet_values values;
  uint8_t *memory;
  struct parquet_bytes *bytes;
};
void column_make(struct column *column, enum parquet_type type, cell_maker make, int64_t count);
void column_release(struct column *column);

#endif
