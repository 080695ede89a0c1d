/* Dictionaries when memory runs out: what failed may be repeated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "nomem/nomem.h"
#include "parquet/dictionary.h"

enum { VALUES = 3000 };
static uint8_t text[VALUES][24];
static struct parquet_bytes strings[VALUES];
static int64_t numbers[VALUES];

static enum status use(const struct parquet_leaf *leaf, const void *data, struct error *error) {
  struct parquet_dictionary *dictionary = NULL;
  struct parquet_values given = {.count = VALUES, .data = data};
  struct parquet_values distinct = {.count = 0};
  struct buffer page = BUFFER_EMPTY;
  uint32_t indices[VALUES];
  enum status status;
  do status = parquet_dictionary_new(leaf, &nomem_budget, &dictionary, error);
  while (nomem_again(status));
  if (status != STATUS_OK) goto done;
  do status = parquet_dictionary_add(dictionary, &given, indices, error);
  while (nomem_again(status));
  if (status != STATUS_OK) goto done;
  for (uint32_t i = 0; i < VALUES; i++) assert_int_equal(indices[i], i / 2);
  do status = parquet_dictionary_write(dictionary, &page, &nomem_budget, error);
  while (nomem_again(status));
  if (status != STATUS_OK) goto done;
  assert_int_equal(page.size_bytes, parquet_dictionary_bytes(dictionary));
  do status = parquet_dictionary_values(dictionary, &nomem_budget, &distinct, error);
  while (nomem_again(status));
  if (status == STATUS_OK) assert_int_equal(distinct.count, VALUES / 2);
done:
  buffer_release(&page);
  buffer_release(&distinct.own);
  parquet_dictionary_free(dictionary);
  return status;
}

static enum status use_numbers(void *context, struct error *error) {
  (void)context;
  struct parquet_leaf leaf = {.type = PARQUET_INT64};
  return use(&leaf, numbers, error);
}

static enum status use_strings(void *context, struct error *error) {
  (void)context;
  struct parquet_leaf leaf = {.type = PARQUET_BYTE_ARRAY};
  return use(&leaf, strings, error);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  for (uint32_t i = 0; i < VALUES; i++) {
    uint32_t number = i / 2;
    numbers[i] = number;
    memcpy(text[i], &number, sizeof number);
    strings[i] = (struct parquet_bytes){text[i], 4 + number % 20};
  }
  /* Where twice the room is refused, as much as is needed will do. */
  nomem_run("a dictionary of numbers", use_numbers, NULL, 20);
  nomem_run("a dictionary of strings", use_strings, NULL, 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
