/* The choice of an encoding when memory runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "nomem/nomem.h"
#include "parquet/choose.h"

enum { VALUES = 6000 };
static int64_t numbers[VALUES];
static struct parquet_bytes strings[VALUES];

struct column {
  struct parquet_leaf leaf;
  struct parquet_values values;
  enum parquet_encoding wanted;
};

static enum status choose(void *context, struct error *error) {
  const struct column *column = context;
  struct parquet_choose_options options = {
      .rows_expected = VALUES, .dictionary_bytes_max = 1 << 20, .codec = PARQUET_ZSTD};
  struct parquet_compressor *compressor = NULL;
  struct parquet_choice choice = {.encoding = PARQUET_RLE};
  enum status status;
  do status = parquet_compressor_new(options.codec, 0, &nomem_budget, &compressor, error);
  while (nomem_again(status));
  if (status != STATUS_OK) return status;
  do
    status = parquet_choose(&column->leaf, &column->values, &options, compressor, 0, &nomem_budget,
                            &choice, error);
  while (nomem_again(status));
  assert_int_equal(choice.encoding, status == STATUS_OK ? column->wanted : PARQUET_RLE);
  parquet_compressor_free(compressor);
  return status;
}

static void a_choice_can_be_repeated(void **state) {
  (void)state;
  for (int i = 0; i < VALUES; i++) {
    numbers[i] = i;
    uint32_t random = (uint32_t)i * 2654435769U >> 7;
    strings[i] = (struct parquet_bytes){(const uint8_t *)"abcdefgh" + random % 5, 3};
  }
  struct column columns[] = {
      {{.type = PARQUET_INT64}, {.count = VALUES, .data = numbers}, PARQUET_DELTA_BINARY_PACKED},
      {{.type = PARQUET_BYTE_ARRAY},
       {.count = VALUES, .data = strings, .data_bytes = 3 * VALUES},
       PARQUET_RLE_DICTIONARY},
  };
  /* The compressor may double its room, and does with less. */
  for (int i = 0; i < 2; i++) nomem_run("choosing an encoding", choose, &columns[i], 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_choice_can_be_repeated)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
