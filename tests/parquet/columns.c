#include "parquet/columns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "parquet/random.h"

static uint64_t random_state = 1;
static uint64_t random_number(void) { return random_next(&random_state); }

static double random_part(void) { /* 0 to 1 */
  return (double)(random_number() >> 11) / 9007199254740992.0;
}

/* About normal: what matters is that exponents are few and mantissas are not. */
static double random_normal(void) {
  double sum = -6;
  for (int i = 0; i < 12; i++) sum += random_part();
  return sum;
}

int64_t cell_id(int64_t i, union cell *cell) {
  cell->number_64 = i;
  return 8;
}
int64_t cell_time(int64_t i, union cell *cell) {
  cell->number_64 = 1700000000000000 + i * 1000 + (int64_t)(random_number() % 999);
  return 8;
}
int64_t cell_random(int64_t i, union cell *cell) {
  (void)i;
  cell->number_64 = (int64_t)random_number();
  return 8;
}
int64_t cell_constant(int64_t i, union cell *cell) {
  (void)i;
  cell->number_64 = 7;
  return 8;
}
int64_t cell_cents(int64_t i, union cell *cell) {
  (void)i;
  cell->real = (double)(int64_t)(random_part() * random_part() * 35000) / 100;
  return 8;
}
int64_t cell_normal(int64_t i, union cell *cell) {
  (void)i;
  cell->real = random_normal();
  return 8;
}
int64_t cell_half_unique(int64_t i, union cell *cell) {
  cell->number_64 = i % 2 == 0 ? 5 : (int64_t)random_number();
  return 8;
}
int64_t cell_small(int64_t i, union cell *cell) {
  (void)i;
  cell->number_32 = (int32_t)(random_number() % 1000);
  return 4;
}
int64_t cell_day(int64_t i, union cell *cell) {
  cell->number_32 = (int32_t)(i / 10);
  return 4;
}
int64_t cell_normal_32(int64_t i, union cell *cell) {
  (void)i;
  cell->real_32 = (float)random_normal();
  return 4;
}
int64_t cell_coin(int64_t i, union cell *cell) {
  (void)i;
  cell->flag = random_number() & 1;
  return 1;
}
int64_t cell_phases(int64_t i, union cell *cell) {
  cell->flag = i / 300 & 1;
  return 1;
}
int64_t cell_user(int64_t i, union cell *cell) {
  (void)i;
  return snprintf((char *)cell->bytes, sizeof cell->bytes, "user_%06d",
                  (int)(random_number() % 100000));
}
int64_t cell_category(int64_t i, union cell *cell) {
  static const char *const names[] = {"alpha", "beta",  "gamma", "delta", "epsilon", "zeta",
                                      "eta",   "theta", "iota",  "kappa", "lambda",  "mu"};
  (void)i;
  return snprintf((char *)cell->bytes, sizeof cell->bytes, "%s", names[random_number() % 12]);
}
int64_t cell_link(int64_t i, union cell *cell) {
  return snprintf((char *)cell->bytes, sizeof cell->bytes, "https://example.org/a/%08d",
                  (int)i * 3);
}
int64_t cell_hexadecimal(int64_t i, union cell *cell) {
  (void)i;
  unsigned long long first = random_number(), second = random_number();
  return snprintf((char *)cell->bytes, sizeof cell->bytes, "%016llx%016llx", first, second);
}
int64_t cell_nothing(int64_t i, union cell *cell) {
  (void)i;
  (void)cell;
  return 0;
}
int64_t cell_uuid(int64_t i, union cell *cell) {
  (void)i;
  uint64_t words[2] = {random_number(), random_number()};
  memcpy(cell->bytes, words, sizeof words);
  return 16;
}

int64_t cell_of_16(int64_t i, union cell *cell) {
  cell->number_64 = i % 16;
  return 8;
}
int64_t cell_of_5000(int64_t i, union cell *cell) {
  (void)i;
  cell->number_64 = (int64_t)(random_number() % 5000);
  return 8;
}
int64_t cell_runs(int64_t i, union cell *cell) {
  cell->number_64 = i / 100;
  return 8;
}
int64_t cell_few_and_many(int64_t i, union cell *cell) {
  (void)i;
  uint64_t number = random_number();
  cell->number_64 = (int64_t)(number % 10 < 8 ? number % 20 : number % 60000);
  return 8;
}

void column_make(struct column *column, enum parquet_type type, cell_maker make, int64_t count) {
  random_state = 88172645463325252U;
  *column = (struct column){.memory = malloc((size_t)count * COLUMN_TEXT_BYTES_MAX + 1)};
  column->bytes = calloc((size_t)count + 1, sizeof *column->bytes);
  assert_non_null(column->memory);
  assert_non_null(column->bytes);
  int64_t at = 0;
  for (int64_t i = 0; i < count; i++) {
    union cell cell;
    int64_t size_bytes = make(i, &cell);
    memcpy(column->memory + at, &cell, (size_t)size_bytes);
    column->bytes[i] = (struct parquet_bytes){column->memory + at, size_bytes};
    at += size_bytes;
  }
  column->values = (struct parquet_values){.count = count, .data = column->memory};
  if (type == PARQUET_BYTE_ARRAY) {
    column->values.data = column->bytes;
    column->values.data_bytes = at;
  }
}

void column_release(struct column *column) {
  free(column->memory);
  free(column->bytes);
}
