/* Dictionaries: whatever comes, an index leads to the value it was given for, no value is there twice,
 * and numbers are given in the order in which values come. That is all there is to say of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "parquet/dictionary_table.h"
#include "parquet/random.h"

static struct budget budget = {.limit_bytes = INT64_MAX};

static uint64_t random_state = 1;
static uint64_t random_number(void) { return random_next(&random_state); }

static struct parquet_dictionary *new_dictionary(enum parquet_type type, int32_t type_length) {
  struct parquet_leaf leaf = {.type = type, .type_length = type_length};
  struct parquet_dictionary *dictionary = NULL;
  assert_int_equal(parquet_dictionary_new(&leaf, &budget, &dictionary, NULL), STATUS_OK);
  return dictionary;
}

/* ---- values to put in ------------------------------------------------------------------------- */

enum layout { ONE_PIECE, SCATTERED, PAGE_END };

/* Values as arrays have them; `bytes` of value i at offsets[i]. */
struct input {
  enum parquet_type type;
  int32_t width_bytes; /* 0: BYTE_ARRAY */
  int64_t count;
  uint8_t *mapped; /* PAGE_END: what lies there, with a page behind it that cannot be read */
  size_t mapped_bytes;
  uint8_t *piece; /* ONE_PIECE, and where PAGE_END's begin */
  struct parquet_bytes *values;
  struct parquet_values given;
};

static uint8_t *end_of_page(struct input *input, size_t bytes) {
  size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
  size_t whole_bytes = (bytes / page_bytes + 1) * page_bytes;
  input->mapped_bytes = whole_bytes + page_bytes;
  input->mapped =
      mmap(NULL, input->mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(input->mapped, MAP_FAILED);
  assert_int_equal(mprotect(input->mapped + whole_bytes, page_bytes, PROT_NONE), 0);
  return input->mapped + whole_bytes - bytes;
}

/* `distinct` different values at most, of `size_bytes`, or of up to that many where they may differ. */
static void make_value(const struct input *input, uint64_t number, int size_bytes_max,
                       uint8_t data[], int64_t *size_bytes) {
  uint64_t kept = random_state;
  random_state = number * 0x9e3779b97f4a7c15U + 1;
  for (int i = 0; i < 3; i++) (void)random_number();
  *size_bytes = input->width_bytes > 0
                    ? input->width_bytes
                    : (int64_t)(random_number() % (uint64_t)(size_bytes_max + 1));
  /* Half of the values begin alike and differ at the end only; bytes are few, so that many meet. */
  bool is_alike = number % 2 == 0;
  for (int64_t i = 0; i < *size_bytes; i++)
    data[i] =
        is_alike && i < 16 && *size_bytes > 16 ? (uint8_t)'a' : (uint8_t)(random_number() % 5);
  random_state = kept;
}

static void input_make(struct input *input, enum parquet_type type, int32_t width_bytes,
                       int size_bytes_max, int64_t count, uint64_t distinct, enum layout layout) {
  *input = (struct input){.type = type, .width_bytes = width_bytes, .count = count};
  input->values = calloc((size_t)count, sizeof *input->values);
  assert_non_null(input->values);
  uint8_t value[64];
  uint64_t first_state = random_state;
  int64_t bytes = 0;
  for (int64_t i = 0; i < count; i++) {
    make_value(input, random_number() % distinct, size_bytes_max, value,
               &input->values[i].size_bytes);
    bytes += input->values[i].size_bytes;
  }
  random_state = first_state;
  if (layout == ONE_PIECE) input->piece = malloc((size_t)bytes + 1);
  if (layout == PAGE_END) input->piece = end_of_page(input, (size_t)bytes);
  uint8_t *at = input->piece;
  for (int64_t i = 0; i < count; i++) {
    uint8_t *data = at;
    make_value(input, random_number() % distinct, size_bytes_max, value,
               &input->values[i].size_bytes);
    if (layout == SCATTERED) data = malloc((size_t)input->values[i].size_bytes);
    if (input->values[i].size_bytes > 0) memcpy(data, value, (size_t)input->values[i].size_bytes);
    input->values[i].data = data;
    if (layout != SCATTERED) at += input->values[i].size_bytes;
  }
  input->given = (struct parquet_values){.count = count, .data_bytes = bytes};
  input->given.data = width_bytes > 0 ? (const void *)input->piece : input->values;
}

static void input_release(struct input *input) {
  if (input->piece == NULL)
    for (int64_t i = 0; i < input->count; i++) free((void *)(uintptr_t)input->values[i].data);
  if (input->mapped != NULL)
    assert_int_equal(munmap(input->mapped, input->mapped_bytes), 0);
  else
    free(input->piece);
  free(input->values);
}

/* ---- what must hold -------------------------------------------------------------------------------- */

/* The entries of a dictionary page. */
static struct parquet_bytes *entries_of(const struct parquet_dictionary *dictionary,
                                        int32_t width_bytes, struct buffer *page) {
  assert_int_equal(parquet_dictionary_write(dictionary, page, &budget, NULL), STATUS_OK);
  assert_int_equal(page->size_bytes, parquet_dictionary_bytes(dictionary));
  int64_t count = parquet_dictionary_count(dictionary);
  struct parquet_bytes *entries = calloc((size_t)count + 1, sizeof *entries);
  assert_non_null(entries);
  int64_t at = 0;
  for (int64_t i = 0; i < count; i++) {
    int64_t size_bytes = width_bytes;
    if (width_bytes == 0) {
      assert_true(at + 4 <= page->size_bytes);
      size_bytes = (int64_t)page->data[at] | (int64_t)page->data[at + 1] << 8 |
                   (int64_t)page->data[at + 2] << 16 | (int64_t)page->data[at + 3] << 24;
      at += 4;
    }
    assert_true(at + size_bytes <= page->size_bytes);
    entries[i] = (struct parquet_bytes){page->data + at, size_bytes};
    at += size_bytes;
  }
  assert_int_equal(at, page->size_bytes);
  return entries;
}

static int compare_bytes(const void *left, const void *right) {
  const struct parquet_bytes *a = left, *b = right;
  int64_t shared = a->size_bytes < b->size_bytes ? a->size_bytes : b->size_bytes;
  int order = shared > 0 ? memcmp(a->data, b->data, (size_t)shared) : 0;
  if (order != 0) return order;
  return (a->size_bytes > b->size_bytes) - (a->size_bytes < b->size_bytes);
}

/* `known`: how many there were before the values came. */
static void check(const struct parquet_dictionary *dictionary, const struct input *input,
                  const uint32_t *indices, int64_t known) {
  struct buffer page = BUFFER_EMPTY;
  struct parquet_bytes *entries = entries_of(dictionary, input->width_bytes, &page);
  int64_t count = parquet_dictionary_count(dictionary);
  for (int64_t i = 0; i < input->count; i++) {
    assert_true(indices[i] < count);
    assert_true(indices[i] <= known);
    if (indices[i] == known) known++;
    assert_int_equal(compare_bytes(&entries[indices[i]], &input->values[i]), 0);
  }
  assert_int_equal(known, count);

  struct parquet_values values = {.count = 0};
  assert_int_equal(parquet_dictionary_values(dictionary, &budget, &values, NULL), STATUS_OK);
  assert_int_equal(values.count, count);
  int64_t bytes = 0;
  for (int64_t i = 0; i < count && input->width_bytes == 0; i++) {
    const struct parquet_bytes *value = (const struct parquet_bytes *)values.data + i;
    assert_int_equal(compare_bytes(value, &entries[i]), 0);
    bytes += value->size_bytes;
  }
  assert_int_equal(values.data_bytes, bytes);
  if (input->width_bytes > 0 && count > 0)
    assert_memory_equal(values.data, page.data, (size_t)page.size_bytes);
  buffer_release(&values.own);

  qsort(entries, (size_t)count, sizeof *entries, compare_bytes);
  for (int64_t i = 1; i < count; i++) assert_true(compare_bytes(&entries[i - 1], &entries[i]) < 0);
  free(entries);
  buffer_release(&page);
}

static uint32_t *add(struct parquet_dictionary *dictionary, const struct input *input) {
  uint32_t *indices = malloc((size_t)input->count * sizeof *indices + 1);
  assert_non_null(indices);
  assert_int_equal(parquet_dictionary_add(dictionary, &input->given, indices, NULL), STATUS_OK);
  return indices;
}

static void add_and_check(struct parquet_dictionary *dictionary, const struct input *input) {
  int64_t known = parquet_dictionary_count(dictionary);
  uint32_t *indices = add(dictionary, input);
  check(dictionary, input, indices, known);
  free(indices);
}

/* ---- tests -------------------------------------------------------------------------------------- */

static const struct {
  enum parquet_type type;
  int32_t width_bytes;
} fixed_types[] = {{PARQUET_INT32, 4},  {PARQUET_FLOAT, 4},  {PARQUET_INT64, 8},
                   {PARQUET_DOUBLE, 8}, {PARQUET_FIXED, 1},  {PARQUET_FIXED, 2},
                   {PARQUET_FIXED, 5},  {PARQUET_FIXED, 12}, {PARQUET_FIXED, 16},
                   {PARQUET_FIXED, 17}, {PARQUET_FIXED, 40}};
enum { FIXED_TYPES = sizeof fixed_types / sizeof *fixed_types };

static const int64_t counts[] = {0, 1, 2, 63, 64, 65, 1000, 6000};
enum { COUNTS = sizeof counts / sizeof *counts };
static const uint64_t distincts[] = {1, 2, 12, 700, 1 << 20};
enum { DISTINCTS = sizeof distincts / sizeof *distincts };

static void values_of_fixed_width_get_their_numbers(void **state) {
  (void)state;
  for (int t = 0; t < FIXED_TYPES; t++) {
    struct parquet_dictionary *dictionary =
        new_dictionary(fixed_types[t].type, fixed_types[t].width_bytes);
    for (int c = 0; c < COUNTS * DISTINCTS; c++) {
      struct input input;
      input_make(&input, fixed_types[t].type, fixed_types[t].width_bytes, 0, counts[c / DISTINCTS],
                 distincts[c % DISTINCTS], c % 2 == 0 ? ONE_PIECE : PAGE_END);
      if (c % 3 == 0) parquet_dictionary_clear(dictionary); /* otherwise more of the same */
      add_and_check(dictionary, &input);
      input_release(&input);
    }
    parquet_dictionary_free(dictionary);
  }
  assert_int_equal(budget.used_bytes, 0);
}

static void strings_get_their_numbers(void **state) {
  (void)state;
  static const int sizes[] = {0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 18, 24, 31, 32, 33, 40};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    struct parquet_dictionary *dictionary = new_dictionary(PARQUET_BYTE_ARRAY, 0);
    for (int c = 0; c < COUNTS * DISTINCTS; c++) {
      struct input input;
      input_make(&input, PARQUET_BYTE_ARRAY, 0, sizes[s], counts[c / DISTINCTS],
                 distincts[c % DISTINCTS], (enum layout)(c % 3));
      if (c % 4 == 0) parquet_dictionary_clear(dictionary);
      add_and_check(dictionary, &input);
      input_release(&input);
    }
    parquet_dictionary_free(dictionary);
  }
  assert_int_equal(budget.used_bytes, 0);
}

/* What differs in one byte only, in each place in turn, and what differs in how many zeros end it. */
static void close_neighbours_are_told_apart(void **state) {
  (void)state;
  enum { SIZE_MAX_BYTES = 40, VALUES = 2 * SIZE_MAX_BYTES + 1 };
  static uint8_t memory[VALUES][SIZE_MAX_BYTES];
  struct parquet_bytes values[VALUES];
  for (int size = 1; size <= SIZE_MAX_BYTES; size++) {
    memset(memory, 0, sizeof memory);
    int count = 0;
    for (int i = 0; i < size; i++) {
      memory[count][i] = 1;
      values[count] = (struct parquet_bytes){memory[count], size};
      count++;
    }
    for (int zeros = 0; zeros <= size; zeros++, count++)
      values[count] = (struct parquet_bytes){memory[count], zeros};
    struct parquet_dictionary *dictionary = new_dictionary(PARQUET_BYTE_ARRAY, 0);
    struct parquet_values given = {.count = count, .data = values};
    uint32_t indices[VALUES];
    for (int round = 0; round < 2; round++) {
      assert_int_equal(parquet_dictionary_add(dictionary, &given, indices, NULL), STATUS_OK);
      for (int i = 0; i < count; i++) assert_int_equal(indices[i], i);
    }
    parquet_dictionary_free(dictionary);
  }
}

/* Bits make a value, not what they mean. */
static void zeros_and_nans_are_values_by_their_bits(void **state) {
  (void)state;
  static const uint64_t bits[] = {0, 0x8000000000000000U, 0x7ff8000000000000U, 0x7ff8000000000001U,
                                  0, 0x7ff8000000000000U, UINT64_MAX};
  static const uint32_t wanted[] = {0, 1, 2, 3, 0, 2, 4};
  struct parquet_dictionary *dictionary = new_dictionary(PARQUET_DOUBLE, 0);
  struct parquet_values given = {.count = 7, .data = bits};
  uint32_t indices[7];
  assert_int_equal(parquet_dictionary_add(dictionary, &given, indices, NULL), STATUS_OK);
  assert_memory_equal(indices, wanted, sizeof wanted);
  assert_int_equal(parquet_dictionary_bytes(dictionary), 5 * 8);
  parquet_dictionary_free(dictionary);
}

static void few_values_take_little_memory(void **state) {
  (void)state;
  struct input input;
  input_make(&input, PARQUET_BYTE_ARRAY, 0, 9, 6000, 12, ONE_PIECE);
  struct parquet_dictionary *dictionary = new_dictionary(PARQUET_BYTE_ARRAY, 0);
  assert_int_equal(budget.used_bytes, 0); /* of columns without a value, nothing */
  add_and_check(dictionary, &input);
  assert_true(budget.used_bytes <= 8 << 10);
  parquet_dictionary_free(dictionary);
  input_release(&input);
}

static void a_large_dictionary_is_given_back(void **state) {
  (void)state;
  enum { MANY = 400000, FEW = 1000 };
  int64_t *numbers = calloc(MANY, sizeof *numbers);
  uint32_t *indices = calloc(MANY, sizeof *indices);
  assert_true(numbers != NULL && indices != NULL);
  for (int64_t i = 0; i < MANY; i++) numbers[i] = i * i;
  struct parquet_values given = {.count = MANY, .data = numbers};
  struct parquet_dictionary *dictionary = new_dictionary(PARQUET_INT64, 0);
  assert_int_equal(parquet_dictionary_add(dictionary, &given, indices, NULL), STATUS_OK);
  assert_int_equal(parquet_dictionary_count(dictionary), MANY);
  assert_true(budget.used_bytes > 16 << 20);
  parquet_dictionary_clear(dictionary);
  assert_true(budget.used_bytes <= 8 << 20);
  given.count = FEW;
  given.data = numbers + FEW;
  assert_int_equal(parquet_dictionary_add(dictionary, &given, indices, NULL), STATUS_OK);
  for (uint32_t i = 0; i < FEW; i++) assert_int_equal(indices[i], i);
  parquet_dictionary_free(dictionary);
  free(numbers);
  free(indices);
}

/* Keys that all hash to one place, made by somebody who knows the seed. */
static void keys_made_to_meet_are_hashed_anew(void **state) {
  (void)state;
  enum { KEYS = 50000 };
  static const uint64_t seeds[DICTIONARY_SEEDS] = {0x8000000000001235U, 0x8123456789abcdefU,
                                                   0x8000000700000001U};
  struct input input = {.type = PARQUET_FIXED, .width_bytes = 16, .count = KEYS};
  input.piece = malloc(16 * KEYS);
  input.values = calloc(KEYS, sizeof *input.values);
  for (uint64_t i = 0; i < KEYS; i++) {
    /* The first factor is zero, whatever the other is. */
    memcpy(input.piece + 16 * i, &seeds[0], 8);
    memcpy(input.piece + 16 * i + 8, &i, 8);
    input.values[i] = (struct parquet_bytes){input.piece + 16 * i, 16};
  }
  input.given = (struct parquet_values){.count = KEYS, .data = input.piece};
  struct parquet_dictionary *dictionary = new_dictionary(PARQUET_FIXED, 16);
  dictionary_seed(dictionary, seeds);
  add_and_check(dictionary, &input);
  assert_memory_not_equal(dictionary->seeds, seeds, sizeof seeds);
  assert_true(dictionary->far > DICTIONARY_FAR_AT_FIRST);
  assert_true(dictionary->far <= 8 * DICTIONARY_FAR_AT_FIRST); /* that was all it took */
  parquet_dictionary_free(dictionary);
  input_release(&input);
}

static void refused_memory_leaves_it_whole(void **state) {
  (void)state;
  static const struct {
    enum parquet_type type;
    int32_t width_bytes;
  } types[] = {
      {PARQUET_INT32, 4}, {PARQUET_INT64, 8}, {PARQUET_FIXED, 12}, {PARQUET_BYTE_ARRAY, 0}};
  for (int t = 0; t < 4; t++) {
    struct input input;
    input_make(&input, types[t].type, types[t].width_bytes, 30, 5000, 1 << 20, ONE_PIECE);
    struct parquet_dictionary *dictionary = new_dictionary(types[t].type, types[t].width_bytes);
    uint32_t *indices = malloc((size_t)input.count * sizeof *indices);
    int refused = 0;
    budget.limit_bytes = 0;
    struct error error;
    enum status status;
    while ((status = parquet_dictionary_add(dictionary, &input.given, indices, &error)) !=
           STATUS_OK) {
      assert_int_equal(status, STATUS_BUDGET);
      refused++;
      budget.limit_bytes = budget.used_bytes;
      budget.limit_bytes += 1 << (8 + refused / 2);
    }
    assert_true(refused > 3);
    budget.limit_bytes = INT64_MAX;
    check(dictionary, &input, indices, 0);
    free(indices);
    parquet_dictionary_free(dictionary);
    input_release(&input);
  }
  assert_int_equal(budget.used_bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_of_fixed_width_get_their_numbers),
      cmocka_unit_test(strings_get_their_numbers),
      cmocka_unit_test(close_neighbours_are_told_apart),
      cmocka_unit_test(zeros_and_nans_are_values_by_their_bits),
      cmocka_unit_test(few_values_take_little_memory),
      cmocka_unit_test(a_large_dictionary_is_given_back),
      cmocka_unit_test(keys_made_to_meet_are_hashed_anew),
      cmocka_unit_test(refused_memory_leaves_it_whole),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
