/* The choice of an encoding, on columns as there are in the world. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "parquet/choose.h"
#include "parquet/columns.h"
#include "parquet/encode.h"

enum { PAGE = 1 << 16, ROWS = 1 << 20 };

static struct budget budget = {.limit_bytes = INT64_MAX};

static struct parquet_choice choose(enum parquet_type type, const struct parquet_values *values,
                                    const struct parquet_choose_options *options) {
  struct parquet_leaf leaf = {.type = type, .type_length = type == PARQUET_FIXED ? 16 : 0};
  struct parquet_compressor *compressor = NULL;
  struct parquet_choice choice = {.encoding = PARQUET_RLE, .fallback = PARQUET_RLE};
  assert_int_equal(
      parquet_compressor_new(options->codec, options->level, &budget, &compressor, NULL),
      STATUS_OK);
  assert_int_equal(parquet_choose(&leaf, values, options, compressor, 0, &budget, &choice, NULL),
                   STATUS_OK);
  parquet_compressor_free(compressor);
  assert_int_equal(budget.used_bytes, 0);
  assert_true(encode_fits(&leaf, choice.encoding));
  assert_true(encode_fits(&leaf, choice.fallback));
  assert_int_not_equal(choice.fallback, PARQUET_RLE_DICTIONARY);
  return choice;
}

static const struct parquet_choose_options usual = {
    .rows_expected = ROWS, .dictionary_bytes_max = 2 << 20, .codec = PARQUET_ZSTD};

/* ---- choices ------------------------------------------------------------------------------------------ */

#define ANY        (-1)
#define DICTIONARY PARQUET_RLE_DICTIONARY
#define DELTA      PARQUET_DELTA_BINARY_PACKED
#define LENGTHS    PARQUET_DELTA_LENGTH_BYTE_ARRAY
#define PREFIXES   PARQUET_DELTA_BYTE_ARRAY
#define PLAIN      PARQUET_PLAIN

static const struct {
  const char *name;
  enum parquet_type type;
  cell_maker make;
  int with_zstd, with_none; /* encodings */
} choices[] = {
    {"sorted numbers", PARQUET_INT64, cell_id, DELTA, DELTA},
    {"times that increase with jitter", PARQUET_INT64, cell_time, DELTA, DELTA},
    {"random numbers", PARQUET_INT64, cell_random, PLAIN, PLAIN},
    {"one number", PARQUET_INT64, cell_constant, DICTIONARY, DICTIONARY},
    {"one number in every second row", PARQUET_INT64, cell_half_unique, PLAIN, PLAIN},
    {"a thousand numbers", PARQUET_INT32, cell_small, DICTIONARY, DICTIONARY},
    {"days, ten rows each", PARQUET_INT32, cell_day, DELTA, DELTA},
    {"amounts in cents", PARQUET_DOUBLE, cell_cents, DICTIONARY, DICTIONARY},
    {"measurements", PARQUET_DOUBLE, cell_normal, PLAIN, PLAIN},
    {"measurements of 32 bits", PARQUET_FLOAT, cell_normal_32, PLAIN, PLAIN},
    {"noise in doubles", PARQUET_DOUBLE, cell_random, PLAIN, PLAIN},
    {"coins", PARQUET_BOOLEAN, cell_coin, PLAIN, PLAIN},
    {"phases", PARQUET_BOOLEAN, cell_phases, PARQUET_RLE, PARQUET_RLE},
    {"a hundred thousand users", PARQUET_BYTE_ARRAY, cell_user, DICTIONARY, DICTIONARY},
    {"twelve categories", PARQUET_BYTE_ARRAY, cell_category, DICTIONARY, DICTIONARY},
    {"sorted links", PARQUET_BYTE_ARRAY, cell_link, PREFIXES, PREFIXES},
    {"random digits", PARQUET_BYTE_ARRAY, cell_hexadecimal, LENGTHS, LENGTHS},
    {"empty strings", PARQUET_BYTE_ARRAY, cell_nothing, ANY, ANY},
    {"UUIDs", PARQUET_FIXED, cell_uuid, PLAIN, PLAIN},
};
enum { CHOICES = sizeof choices / sizeof *choices };

static void expect(const char *name, int wanted, enum parquet_encoding found) {
  if (wanted != ANY && wanted != (int)found)
    fail_msg("%s: %s, not %s", name, encode_name(found),
             encode_name((enum parquet_encoding)wanted));
}

static void columns_get_what_suits_them(void **state) {
  (void)state;
  for (int i = 0; i < CHOICES; i++) {
    struct column column;
    column_make(&column, choices[i].type, choices[i].make, PAGE);
    struct parquet_choose_options options = usual;
    expect(choices[i].name, choices[i].with_zstd,
           choose(choices[i].type, &column.values, &options).encoding);
    options.codec = PARQUET_UNCOMPRESSED;
    expect(choices[i].name, choices[i].with_none,
           choose(choices[i].type, &column.values, &options).encoding);
    column_release(&column);
  }
}

static void every_codec_can_be_chosen_for(void **state) {
  (void)state;
  static const enum parquet_codec codecs[] = {PARQUET_SNAPPY, PARQUET_GZIP, PARQUET_LZ4_RAW};
  for (size_t c = 0; c < sizeof codecs / sizeof *codecs; c++) {
    struct parquet_choose_options options = usual;
    options.codec = codecs[c];
    struct column column;
    column_make(&column, PARQUET_INT64, cell_id, PAGE);
    expect("sorted numbers", DELTA, choose(PARQUET_INT64, &column.values, &options).encoding);
    column_release(&column);
    column_make(&column, PARQUET_BYTE_ARRAY, cell_category, PAGE);
    expect("categories", DICTIONARY, choose(PARQUET_BYTE_ARRAY, &column.values, &options).encoding);
    column_release(&column);
  }
}

static void old_readers_get_plain_and_dictionaries(void **state) {
  (void)state;
  struct parquet_choose_options options = usual;
  options.compatible = true;
  for (int i = 0; i < CHOICES; i++) {
    struct column column;
    column_make(&column, choices[i].type, choices[i].make, PAGE);
    struct parquet_choice choice = choose(choices[i].type, &column.values, &options);
    assert_int_equal(choice.fallback, PLAIN);
    if (choices[i].with_zstd == DICTIONARY)
      assert_int_equal(choice.encoding, DICTIONARY);
    else
      assert_true(choice.encoding == PLAIN || choice.encoding == DICTIONARY);
    column_release(&column);
  }
}

static void dictionaries_have_a_limit(void **state) {
  (void)state;
  struct column column;
  column_make(&column, PARQUET_BYTE_ARRAY, cell_user, PAGE);
  static const struct {
    int64_t bytes_max;
    bool has_dictionary;
  } limits[] = {{0, false}, {1000, false}, {512 << 10, false}, {3 << 20, true}};
  for (int i = 0; i < 4; i++) {
    struct parquet_choose_options options = usual;
    options.dictionary_bytes_max = limits[i].bytes_max;
    assert_int_equal(choose(PARQUET_BYTE_ARRAY, &column.values, &options).encoding == DICTIONARY,
                     limits[i].has_dictionary);
  }
  column_release(&column);
}

/* Whatever the number of values: something that fits comes of it. */
static void any_number_of_values_will_do(void **state) {
  (void)state;
  static const int64_t counts[] = {0, 1, 2, 3, 31, 32, 33, 128, 1000, 4095, 4096, 4097, 10000};
  for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
    for (int i = 0; i < CHOICES; i++) {
      struct column column;
      column_make(&column, choices[i].type, choices[i].make, counts[c]);
      struct parquet_choose_options options = usual;
      options.rows_expected = c % 2 == 0 ? counts[c] : 0; /* fewer than there are: not believed */
      (void)choose(choices[i].type, &column.values, &options);
      column_release(&column);
    }
  }
}

static void large_values_are_not_tried(void **state) {
  (void)state;
  enum { LARGE = 8 << 20, VALUES = 40 };
  uint8_t *memory = calloc(1, LARGE + VALUES);
  assert_non_null(memory);
  struct parquet_bytes bytes[VALUES];
  struct parquet_values values = {.count = VALUES, .data = bytes, .data_bytes = VALUES * LARGE};
  for (int i = 0; i < VALUES; i++) {
    memory[i] = (uint8_t)i;
    bytes[i] = (struct parquet_bytes){memory + i, LARGE};
  }
  assert_int_equal(choose(PARQUET_BYTE_ARRAY, &values, &usual).encoding, PLAIN);
  for (int i = 0; i < VALUES; i++) bytes[i].data = memory;
  struct parquet_choose_options options = usual;
  options.dictionary_bytes_max = 2 * (int64_t)LARGE;
  assert_int_equal(choose(PARQUET_BYTE_ARRAY, &values, &options).encoding, DICTIONARY);
  /* One among small ones. */
  for (int i = 0; i < VALUES; i++) bytes[i].size_bytes = i == 20 ? LARGE : 3;
  values.data_bytes = LARGE + 3 * (VALUES - 1);
  (void)choose(PARQUET_BYTE_ARRAY, &values, &usual);
  free(memory);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(columns_get_what_suits_them),
      cmocka_unit_test(every_codec_can_be_chosen_for),
      cmocka_unit_test(old_readers_get_plain_and_dictionaries),
      cmocka_unit_test(dictionaries_have_a_limit),
      cmocka_unit_test(any_number_of_values_will_do),
      cmocka_unit_test(large_values_are_not_tried),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
