/* Bloom filters against the specification's description of them, written down once more here. */
#include "parquet/bloom.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "parquet/thrift_read.h"

static struct budget budget = {.limit_bytes = INT64_MAX};

/* ---- hashes ------------------------------------------------------------------------------ */

static struct parquet_leaf leaf_of(enum parquet_type type, int32_t type_length) {
  return (struct parquet_leaf){.type = type, .type_length = type_length};
}

static void hash(const struct parquet_leaf *leaf, const void *data, int64_t count,
                 struct buffer *hashes) {
  struct parquet_values values = {.count = count, .data = data};
  assert_int_equal(parquet_bloom_hash(leaf, &values, &budget, hashes, NULL), STATUS_OK);
}

static uint64_t hash_at(const struct buffer *hashes, int64_t number) {
  uint64_t value;
  assert_true((number + 1) * 8 <= hashes->size_bytes);
  memcpy(&value, hashes->data + number * 8, sizeof value);
  return value;
}

/* What other implementations of XXH64 make of the same bytes. */
static void known_hashes(void **state) {
  (void)state;
  const int32_t int32 = 1;
  const int64_t int64 = 1;
  const float float32 = 1.5f;
  const double float64 = 1.5;
  const struct parquet_bytes bytes[] = {{NULL, 0},
                                        {(const uint8_t *)"a", 1},
                                        {(const uint8_t *)"abc", 3},
                                        {(const uint8_t *)"0123456789abcdef0123456789abcdef!", 33}};
  static const uint64_t of_bytes[] = {0xEF46DB3751D8E999, 0xD24EC4F1A98C6E5B, 0x44BC2CF5AD770999,
                                      0x8AFFF4DAAC4E677E};
  const struct {
    struct parquet_leaf leaf;
    const void *data;
    int64_t count;
    uint64_t hashes[4];
  } cases[] = {
      {leaf_of(PARQUET_INT32, 0), &int32, 1, {0xF42F94001FCB5351}},
      {leaf_of(PARQUET_INT64, 0), &int64, 1, {0x9F29CB17A2A49995}},
      {leaf_of(PARQUET_FLOAT, 0), &float32, 1, {0x4F2D82595C483A0D}},
      {leaf_of(PARQUET_DOUBLE, 0), &float64, 1, {0x49F7B96B6B5CCAF9}},
      {leaf_of(PARQUET_FIXED, 3), "abcabd", 2, {0x44BC2CF5AD770999, 0x6A8740CB78D5C8D2}},
      {leaf_of(PARQUET_BYTE_ARRAY, 0),
       bytes,
       4,
       {of_bytes[0], of_bytes[1], of_bytes[2], of_bytes[3]}},
  };
  struct buffer hashes = BUFFER_EMPTY;
  int64_t before = 0;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    hash(&cases[i].leaf, cases[i].data, cases[i].count, &hashes); /* behind the last ones */
    assert_int_equal(hashes.size_bytes, (before + cases[i].count) * 8);
    for (int64_t j = 0; j < cases[i].count; j++)
      assert_int_equal(hash_at(&hashes, before + j), cases[i].hashes[j]);
    before += cases[i].count;
  }
  buffer_release(&hashes);
}

static bool holds(const struct buffer *hashes, uint64_t wanted) {
  for (int64_t i = 0; i < hashes->size_bytes / 8; i++)
    if (hash_at(hashes, i) == wanted) return true;
  return false;
}

/* Whoever looks for 0.0 or NaN finds those of the other sign and of other bits too. */
static void zeros_and_nans_are_found_as_any(void **state) {
  (void)state;
  static const struct {
    int64_t width_bytes;
    uint64_t zero[2], nans[2], odd_nan, number, infinity;
  } cases[] = {
      {2, {0, 0x8000}, {0x7E00, 0xFE00}, 0x7C01, 0x3C00, 0xFC00},
      {4, {0, 0x80000000}, {0x7FC00000, 0xFFC00000}, 0xFF800001, 0x3F800000, 0x7F800000},
      {8,
       {0, 0x8000000000000000},
       {0x7FF8000000000000, 0xFFF8000000000000},
       0x7FF0000000000001,
       0x3FF0000000000000,
       0xFFF0000000000000},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const int64_t width = cases[i].width_bytes;
    struct parquet_leaf plain = leaf_of(PARQUET_FIXED, (int32_t)width);
    struct parquet_leaf leaf = leaf_of(width == 8   ? PARQUET_DOUBLE
                                       : width == 4 ? PARQUET_FLOAT
                                                    : PARQUET_FIXED,
                                       (int32_t)width);
    leaf.logical.kind = width == 2 ? PARQUET_LOGICAL_FLOAT16 : PARQUET_LOGICAL_NONE;
    for (int kind = 0; kind < 4; kind++) {
      const uint64_t value = kind < 2    ? cases[i].zero[kind]
                             : kind == 2 ? cases[i].odd_nan
                                         : cases[i].infinity;
      uint64_t values[8] = {0};
      for (int j = 0; j < 7; j++)
        memcpy((uint8_t *)values + j * width, j == 5 ? &value : &cases[i].number, (size_t)width);
      struct buffer hashes = BUFFER_EMPTY, wanted = BUFFER_EMPTY;
      hash(&leaf, values, 7, &hashes);
      hash(&plain, &cases[i].zero[0], 1, &wanted);
      hash(&plain, &cases[i].zero[1], 1, &wanted);
      hash(&plain, &cases[i].nans[0], 1, &wanted);
      hash(&plain, &cases[i].nans[1], 1, &wanted);
      hash(&plain, &value, 1, &wanted);
      hash(&plain, &cases[i].number, 1, &wanted);
      assert_int_equal(hashes.size_bytes, (kind == 3 ? 7 : 9) * 8);
      for (int j = 0; j < 2; j++) {
        assert_int_equal(holds(&hashes, hash_at(&wanted, j)), kind < 2);
        assert_int_equal(holds(&hashes, hash_at(&wanted, 2 + j)), kind == 2);
      }
      assert_true(holds(&hashes, hash_at(&wanted, 4)) && holds(&hashes, hash_at(&wanted, 5)));
      buffer_release(&hashes);
      buffer_release(&wanted);
    }
  }
}

/* Pages come one by one: what is kept of them is their hashes, and no more than as much again. */
static void hashes_take_no_more_room_than_they_need(void **state) {
  (void)state;
  struct parquet_leaf leaf = leaf_of(PARQUET_INT32, 0);
  struct buffer hashes = BUFFER_EMPTY;
  for (int32_t i = 0; i < 1000; i++) {
    hash(&leaf, &i, 1, &hashes);
    assert_int_equal(hashes.size_bytes, (i + 1) * 8);
    assert_true(hashes.capacity_bytes <= 2 * (hashes.size_bytes + 4 * 8 + 64));
  }
  buffer_release(&hashes);
}

static void what_may_have_a_filter(void **state) {
  (void)state;
  struct parquet_leaf leaf = leaf_of(PARQUET_BOOLEAN, 0);
  assert_false(parquet_bloom_allowed(&leaf));
  leaf = leaf_of(PARQUET_INT32, 0);
  assert_true(parquet_bloom_allowed(&leaf));
  leaf.conversion = PARQUET_NOTHING;
  assert_false(parquet_bloom_allowed(&leaf));
  struct buffer hashes = BUFFER_EMPTY;
  leaf = leaf_of(PARQUET_DOUBLE, 0);
  hash(&leaf, NULL, 0, &hashes); /* no values: nothing is asked for */
  assert_null(hashes.block);
}

/* ---- filters ----------------------------------------------------------------------------- */

/* As BloomFilter.md has it. */
static bool filter_check(const uint8_t *filter, int64_t filter_bytes, uint64_t h) {
  static const uint32_t salt[8] = {0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d,
                                   0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31};
  uint64_t z = (uint64_t)filter_bytes / 32;
  uint64_t i = ((h >> 32) * z) >> 32;
  for (int word = 0; word < 8; word++) {
    uint32_t y = (uint32_t)h * salt[word];
    uint32_t bit = y >> 27;
    uint8_t byte = filter[i * 32 + (uint64_t)word * 4 + bit / 8];
    if ((byte >> bit % 8 & 1) == 0) return false;
  }
  return true;
}

static uint64_t mixed(uint64_t number) {
  number = (number + 0x9E3779B97F4A7C15) * 0xBF58476D1CE4E5B9;
  number = (number ^ number >> 27) * 0x94D049BB133111EB;
  return number ^ number >> 31;
}

static struct buffer hashes_of_numbers(int64_t count) {
  struct buffer hashes = BUFFER_EMPTY;
  assert_int_equal(buffer_reserve(&hashes, &budget, count * 8 + 8, NULL), STATUS_OK);
  for (int64_t i = 0; i < count; i++) {
    uint64_t value = mixed((uint64_t)i);
    memcpy(hashes.data + i * 8, &value, 8);
  }
  hashes.size_bytes = count * 8;
  return hashes;
}

/* Writes a filter and says what it answers of values that are not in it, in percent. */
static double measured(int64_t distinct, int64_t filter_bytes) {
  struct buffer hashes = hashes_of_numbers(distinct), out = BUFFER_EMPTY;
  assert_int_equal(parquet_bloom_write(&hashes, filter_bytes, &budget, &out, NULL), STATUS_OK);
  int64_t header_bytes;
  struct thrift_value *header = thrift_read(out.data, out.size_bytes, &header_bytes);
  assert_int_equal(thrift_number(header, "1"), filter_bytes);
  assert_int_equal(out.size_bytes, header_bytes + filter_bytes);
  thrift_read_free(header);
  const uint8_t *filter = out.data + header_bytes;
  for (int64_t i = 0; i < distinct; i++)
    assert_true(filter_check(filter, filter_bytes, hash_at(&hashes, i)));
  int64_t wrong = 0;
  const int64_t asked = 200000;
  for (int64_t i = 0; i < asked; i++)
    wrong += filter_check(filter, filter_bytes, mixed((uint64_t)(1000000000 + i)));
  buffer_release(&hashes);
  buffer_release(&out);
  return 100.0 * (double)wrong / (double)asked;
}

/* "Sizing an SBBF": 1024 blocks with so many values. */
static void the_specifications_rates(void **state) {
  (void)state;
  static const struct {
    int64_t distinct;
    double least, most; /* percent */
  } cases[] = {{26214, 1.1, 1.4}, {52428, 17, 19}, {13107, 0.02, 0.06}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    double percent = measured(cases[i].distinct, 32768);
    assert_true(percent >= cases[i].least && percent <= cases[i].most);
  }
}

static void sizes_keep_what_they_promise(void **state) {
  (void)state;
  static const double rates[] = {0.3, 0.1, 0.05, 0.01, 0.001};
  for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
    for (int64_t distinct = 1; distinct < 100000; distinct = distinct * 3 + 1) {
      int64_t bytes = parquet_bloom_bytes(distinct, rates[i], INT64_MAX);
      assert_true(bytes >= 32 && (bytes & (bytes - 1)) == 0);
      /* the common formula is the least that it takes, and never twice too little */
      double bits = -8.0 * (double)distinct / log(1 - pow(rates[i], 1.0 / 8));
      assert_true((double)bytes * 8 >= bits);
      assert_true(bytes == 32 || (double)bytes * 8 < 4 * bits);
      if (distinct < 1000) continue;
      double percent = measured(distinct, bytes);
      assert_true(percent <= 100 * rates[i] * 1.1 + 0.03); /* chance counted in */
    }
}

static void known_sizes(void **state) {
  (void)state;
  static const struct {
    int64_t distinct;
    double false_positives;
    int64_t bytes_max, bytes;
  } cases[] = {
      {0, 0.01, INT64_MAX, 32},
      {1, 0.01, INT64_MAX, 32},
      {26214, 0.0127, INT64_MAX, 32768},
      {26214, 0.0125, INT64_MAX, 65536}, /* the specification: "around 1.26 %" */
      {99000, 0.01, INT64_MAX, 131072},  /* 10.6 bits a value; the table: 10.5 */
      {100000, 0.01, INT64_MAX, 262144},
      {1000000, 0.01, INT64_MAX, 2097152},
      {1000000, 0.01, 1048576, 1048576},
      {1000000, 0.01, 1000000, 524288}, /* a power of two below */
      {1000000, 0.01, 0, 32},
      {INT64_MAX, 0.000001, 1048576, 1048576},
      {1000, 0.999999, INT64_MAX, 128},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t bytes =
        parquet_bloom_bytes(cases[i].distinct, cases[i].false_positives, cases[i].bytes_max);
    if (bytes != cases[i].bytes) fail_msg("case %zu: %lld bytes", i, (long long)bytes);
  }
}

static void a_filter_of_one_value(void **state) {
  (void)state;
  /* Lower half 1: the bits are the salts' own upper five. */
  const uint64_t value = 0xFFFFFFFF00000001;
  struct buffer hashes = BUFFER_EMPTY, out = BUFFER_EMPTY;
  assert_int_equal(buffer_append(&hashes, &budget, &value, 8, NULL), STATUS_OK);
  assert_int_equal(buffer_append(&out, &budget, "before", 6, NULL), STATUS_OK);
  assert_int_equal(parquet_bloom_write(&hashes, 64, &budget, &out, NULL), STATUS_OK);
  static const uint8_t header[] = {0x15, 0x80, 0x01, 0x1C, 0x1C, 0, 0, 0x1C,
                                   0x1C, 0,    0,    0x1C, 0x1C, 0, 0, 0};
  static const uint32_t bits[8] = {8, 8, 17, 20, 14, 5, 19, 11};
  uint32_t words[16] = {0}; /* the first block has nothing */
  for (int i = 0; i < 8; i++) words[8 + i] = (uint32_t)1 << bits[i];
  assert_int_equal(out.size_bytes, 6 + (int64_t)sizeof header + 64);
  assert_memory_equal(out.data, "before", 6);
  assert_memory_equal(out.data + 6, header, sizeof header);
  assert_memory_equal(out.data + 6 + sizeof header, words, sizeof words);
  buffer_release(&hashes);
  buffer_release(&out);
}

static void a_filter_of_nothing(void **state) {
  (void)state;
  assert_true(measured(0, 32) == 0);
}

static void a_budget_that_refuses(void **state) {
  (void)state;
  const int64_t numbers[16] = {1, 2, 3};
  struct parquet_leaf leaf = leaf_of(PARQUET_INT64, 0);
  struct parquet_values values = {.count = 16, .data = numbers};
  struct budget none = {.limit_bytes = 64};
  struct buffer hashes = BUFFER_EMPTY, out = BUFFER_EMPTY;
  struct error error;
  assert_int_equal(parquet_bloom_hash(&leaf, &values, &none, &hashes, &error), STATUS_BUDGET);
  assert_int_equal(hashes.size_bytes, 0);
  assert_int_equal(parquet_bloom_hash(&leaf, &values, &budget, &hashes, &error), STATUS_OK);
  assert_int_equal(parquet_bloom_write(&hashes, 64, &none, &out, &error), STATUS_BUDGET);
  assert_int_equal(out.size_bytes, 0);
  none.limit_bytes = 192;
  assert_int_equal(parquet_bloom_write(&hashes, 64, &none, &out, &error), STATUS_OK);
  buffer_release(&out);
  buffer_release(&hashes);
  assert_int_equal(none.used_bytes, 0);
  assert_int_equal(budget.used_bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_hashes),
      cmocka_unit_test(zeros_and_nans_are_found_as_any),
      cmocka_unit_test(hashes_take_no_more_room_than_they_need),
      cmocka_unit_test(what_may_have_a_filter),
      cmocka_unit_test(the_specifications_rates),
      cmocka_unit_test(sizes_keep_what_they_promise),
      cmocka_unit_test(known_sizes),
      cmocka_unit_test(a_filter_of_one_value),
      cmocka_unit_test(a_filter_of_nothing),
      cmocka_unit_test(a_budget_that_refuses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
