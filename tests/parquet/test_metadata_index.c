/* Offset and column indexes: where the pages are, what is in them, in which order. */
#include "parquet/metadata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "parquet/thrift_read.h"

static struct budget budget = {.limit_bytes = INT64_MAX};

enum { PAGES_MAX = 8 };

static struct parquet_bound bound_of(const void *data, int bytes) {
  struct parquet_bound bound = {.size_bytes = (uint8_t)bytes, .is_exact = true};
  memcpy(bound.data, data, (size_t)bytes);
  return bound;
}

static struct parquet_page_entry page_of(int32_t min, int32_t max) {
  return (struct parquet_page_entry){.statistics = {.value_count = 10,
                                                    .nan_count = -1,
                                                    .has_bounds = true,
                                                    .min = bound_of(&min, 4),
                                                    .max = bound_of(&max, 4)}};
}

static struct parquet_page_entry null_page(void) {
  return (struct parquet_page_entry){.statistics = {.null_count = 10, .nan_count = -1}};
}

static struct parquet_leaf leaf_of(enum parquet_type type, enum parquet_order order) {
  return (struct parquet_leaf){.type = type, .order = order, .max_def = 1};
}

static struct thrift_value *offset_index(const struct parquet_leaf *leaf,
                                         const struct parquet_page_entry *pages, int64_t count,
                                         struct buffer *out) {
  assert_int_equal(parquet_offset_index_write(leaf, pages, count, &budget, out, NULL), STATUS_OK);
  return thrift_read(out->data, out->size_bytes, NULL);
}

static struct thrift_value *column_index(const struct parquet_leaf *leaf,
                                         const struct parquet_page_entry *pages, int64_t count,
                                         const int64_t *defs, const int64_t *reps,
                                         struct buffer *out) {
  assert_true(parquet_column_index_allowed(leaf, pages, count));
  assert_int_equal(parquet_column_index_write(leaf, pages, count, defs, reps, &budget, out, NULL),
                   STATUS_OK);
  return thrift_read(out->data, out->size_bytes, NULL);
}

static void assert_numbers(const struct thrift_value *read, const char *path, const int64_t *wanted,
                           int64_t count) {
  assert_int_equal(thrift_count(read, path), count);
  for (int64_t i = 0; i < count; i++)
    assert_int_equal(thrift_find(read, path)->items[i].number, wanted[i]);
}

/* ---- OffsetIndex ------------------------------------------------------------------------- */

static void where_pages_are(void **state) {
  (void)state;
  static const struct parquet_page_entry pages[] = {
      {.offset_bytes = 4, .size_bytes = 100, .first_row = 0, .byte_array_bytes = 77},
      {.offset_bytes = (int64_t)5 << 32, .size_bytes = INT32_MAX, .first_row = 1000}};
  struct parquet_leaf leaf = leaf_of(PARQUET_INT32, PARQUET_ORDER_SIGNED);
  for (int i = 0; i < 2; i++) {
    struct buffer out = BUFFER_EMPTY;
    if (i == 1) leaf.type = PARQUET_BYTE_ARRAY;
    struct thrift_value *read = offset_index(&leaf, pages, 2, &out);
    assert_int_equal(thrift_count(read, "1"), 2);
    for (int j = 0; j < 2; j++) {
      const struct thrift_value *location = &thrift_find(read, "1")->items[j];
      assert_int_equal(thrift_number(location, "1"), pages[j].offset_bytes);
      assert_int_equal(thrift_number(location, "2"), pages[j].size_bytes);
      assert_int_equal(thrift_number(location, "3"), pages[j].first_row);
    }
    assert_int_equal(thrift_has(read, "2"), i == 1);
    if (i == 1) assert_numbers(read, "2", (const int64_t[]){77, 0}, 2);
    thrift_read_free(read);
    buffer_release(&out);
  }
}

static void bytes_of_an_offset_index(void **state) {
  (void)state;
  static const struct parquet_page_entry page = {
      .offset_bytes = 4, .size_bytes = 10, .first_row = 0, .byte_array_bytes = 7};
  struct parquet_leaf leaf = leaf_of(PARQUET_BYTE_ARRAY, PARQUET_ORDER_BYTES);
  struct buffer out = BUFFER_EMPTY;
  assert_int_equal(parquet_offset_index_write(&leaf, &page, 1, &budget, &out, NULL), STATUS_OK);
  static const uint8_t wanted[] = {0x19, 0x1C, 0x16, 8, 0x15, 20, 0x16, 0, 0, 0x19, 0x16, 14, 0};
  assert_int_equal(out.size_bytes, sizeof wanted);
  assert_memory_equal(out.data, wanted, sizeof wanted);
  buffer_release(&out);
}

/* ---- ColumnIndex ------------------------------------------------------------------------- */

static void bounds_and_nulls(void **state) {
  (void)state;
  const struct parquet_page_entry pages[] = {page_of(-5, 3), null_page(), page_of(-4, 900)};
  struct parquet_leaf leaf = leaf_of(PARQUET_INT32, PARQUET_ORDER_SIGNED);
  const int64_t defs[6] = {0, 10, 10, 0, 0, 10};
  struct buffer out = BUFFER_EMPTY;
  struct thrift_value *read = column_index(&leaf, pages, 3, defs, defs, &out);
  assert_int_equal(read->count, 5); /* neither histograms, which say nothing here, nor NaNs */
  assert_int_equal(thrift_find(read, "1")->item_type, 1);
  assert_numbers(read, "1", (const int64_t[]){0, 1, 0}, 3);
  for (int i = 0; i < 2; i++) {
    const struct thrift_value *bounds = thrift_find(read, i == 0 ? "2" : "3");
    assert_int_equal(bounds->count, 3);
    const int32_t wanted[2][3] = {{-5, 0, -4}, {3, 0, 900}};
    for (int j = 0; j < 3; j++) {
      assert_int_equal(bounds->items[j].count, j == 1 ? 0 : 4); /* nulls have one of no bytes */
      if (j != 1) assert_memory_equal(bounds->items[j].data, &wanted[i][j], 4);
    }
  }
  assert_int_equal(thrift_number(read, "4"), PARQUET_ASCENDING);
  assert_numbers(read, "5", (const int64_t[]){0, 10, 0}, 3);
  thrift_read_free(read);
  buffer_release(&out);
}

static void histograms_where_they_say_something(void **state) {
  (void)state;
  const struct parquet_page_entry pages[] = {page_of(1, 2), page_of(3, 4)};
  const int64_t defs[6] = {1, 2, 3, 4, 5, 6}, reps[4] = {7, 8, 9, 10};
  for (int i = 0; i < 8; i++) {
    struct parquet_leaf leaf = leaf_of(PARQUET_INT32, PARQUET_ORDER_SIGNED);
    leaf.max_def = (uint8_t)((i & 1) != 0 ? 2 : 1);
    leaf.max_rep = (uint8_t)((i & 2) != 0 ? 1 : 0);
    bool given = (i & 4) != 0;
    struct buffer out = BUFFER_EMPTY;
    struct thrift_value *read =
        column_index(&leaf, pages, 2, given ? defs : NULL, given ? reps : NULL, &out);
    assert_int_equal(thrift_has(read, "6"), given && (i & 2) != 0);
    assert_int_equal(thrift_has(read, "7"), given && (i & 1) != 0);
    if (thrift_has(read, "6")) assert_numbers(read, "6", reps, 4);
    if (thrift_has(read, "7")) assert_numbers(read, "7", defs, 6);
    thrift_read_free(read);
    buffer_release(&out);
  }
}

static void nans_are_counted(void **state) {
  (void)state;
  static const struct {
    enum parquet_type type;
    enum parquet_order order;
    bool has_nans;
  } cases[] = {{PARQUET_FLOAT, PARQUET_ORDER_FLOAT, true},
               {PARQUET_FIXED, PARQUET_ORDER_HALF, true},
               {PARQUET_INT32, PARQUET_ORDER_SIGNED, false},
               {PARQUET_FIXED, PARQUET_ORDER_BIG_ENDIAN, false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct parquet_leaf leaf = leaf_of(cases[i].type, cases[i].order);
    leaf.type_length = 2;
    struct parquet_page_entry pages[] = {page_of(1, 2), page_of(3, 4)};
    pages[1].statistics.nan_count = 6;
    pages[0].statistics.nan_count = 0;
    struct buffer out = BUFFER_EMPTY;
    struct thrift_value *read = column_index(&leaf, pages, 2, NULL, NULL, &out);
    assert_int_equal(thrift_has(read, "8"), cases[i].has_nans);
    if (cases[i].has_nans) assert_numbers(read, "8", (const int64_t[]){0, 6}, 2);
    thrift_read_free(read);
    buffer_release(&out);
  }
}

static void order_of_pages(void **state) {
  (void)state;
  enum { NULLS = INT32_MIN };
  static const struct {
    int count;
    int32_t bounds[PAGES_MAX][2];
    enum parquet_boundary_order order;
  } cases[] = {
      {1, {{5, 6}}, PARQUET_ASCENDING},
      {1, {{NULLS}}, PARQUET_ASCENDING},
      {2, {{1, 2}, {1, 2}}, PARQUET_ASCENDING},
      {3, {{1, 2}, {2, 2}, {2, 9}}, PARQUET_ASCENDING},
      {3, {{1, 9}, {2, 9}, {3, 10}}, PARQUET_ASCENDING}, /* they may overlap */
      {2, {{1, 9}, {2, 8}}, PARQUET_UNORDERED},          /* one within the other */
      {2, {{2, 8}, {1, 9}}, PARQUET_UNORDERED},
      {2, {{1, 9}, {1, 8}}, PARQUET_DESCENDING},
      {3, {{5, 9}, {5, 9}, {-1, 2}}, PARQUET_DESCENDING},
      {3, {{1, 2}, {3, 4}, {2, 5}}, PARQUET_UNORDERED},
      {3, {{5, 6}, {1, 2}, {3, 4}}, PARQUET_UNORDERED},
      {4, {{NULLS}, {1, 2}, {NULLS}, {3, 4}}, PARQUET_ASCENDING},
      {4, {{3, 4}, {NULLS}, {1, 2}, {NULLS}}, PARQUET_DESCENDING},
      {5, {{1, 2}, {3, 4}, {NULLS}, {0, 1}, {NULLS}}, PARQUET_UNORDERED},
      {2, {{-1, -1}, {1, 1}}, PARQUET_ASCENDING}, /* signed */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct parquet_page_entry pages[PAGES_MAX];
    for (int j = 0; j < cases[i].count; j++)
      pages[j] = cases[i].bounds[j][0] == NULLS
                     ? null_page()
                     : page_of(cases[i].bounds[j][0], cases[i].bounds[j][1]);
    struct parquet_leaf leaf = leaf_of(PARQUET_INT32, PARQUET_ORDER_SIGNED);
    struct buffer out = BUFFER_EMPTY;
    struct thrift_value *read = column_index(&leaf, pages, cases[i].count, NULL, NULL, &out);
    if (thrift_number(read, "4") != cases[i].order)
      fail_msg("case %zu: order %d", i, (int)thrift_number(read, "4"));
    thrift_read_free(read);
    buffer_release(&out);
  }
}

static void the_order_is_that_of_the_type(void **state) {
  (void)state;
  const struct parquet_page_entry pages[] = {page_of(1, 1), page_of(-1, -1)};
  struct buffer out = BUFFER_EMPTY;
  struct parquet_leaf leaf = leaf_of(PARQUET_INT32, PARQUET_ORDER_UNSIGNED);
  struct thrift_value *read = column_index(&leaf, pages, 2, NULL, NULL, &out);
  assert_int_equal(thrift_number(read, "4"), PARQUET_ASCENDING);
  thrift_read_free(read);
  out.size_bytes = 0;
  leaf.order = PARQUET_ORDER_SIGNED;
  read = column_index(&leaf, pages, 2, NULL, NULL, &out);
  assert_int_equal(thrift_number(read, "4"), PARQUET_DESCENDING);
  thrift_read_free(read);
  buffer_release(&out);
}

static void when_there_may_be_none(void **state) {
  (void)state;
  struct parquet_page_entry pages[] = {page_of(1, 2), null_page(), page_of(3, 4)};
  struct parquet_leaf leaf = leaf_of(PARQUET_FLOAT, PARQUET_ORDER_FLOAT);
  assert_true(parquet_column_index_allowed(&leaf, pages, 3));
  assert_true(parquet_column_index_allowed(&leaf, pages + 1, 1));
  assert_false(parquet_column_index_allowed(&leaf, pages, 0));
  pages[2].statistics.has_bounds = false; /* all NaN */
  pages[2].statistics.nan_count = 10;
  assert_false(parquet_column_index_allowed(&leaf, pages, 3));
  assert_true(parquet_column_index_allowed(&leaf, pages, 2));
  leaf.order = PARQUET_ORDER_NONE;
  assert_false(parquet_column_index_allowed(&leaf, pages, 2));
}

/* ---- failure ----------------------------------------------------------------------------- */

static void a_budget_refuses_until_there_is_enough(void **state) {
  (void)state;
  enum { PAGES = 100 };
  static struct parquet_page_entry pages[PAGES];
  for (int i = 0; i < PAGES; i++) pages[i] = page_of(i, i + 1);
  struct parquet_leaf leaf = leaf_of(PARQUET_INT32, PARQUET_ORDER_SIGNED);
  for (int kind = 0; kind < 2; kind++) {
    struct budget small = {.limit_bytes = 0};
    struct buffer out = BUFFER_EMPTY;
    struct error error;
    enum status status;
    int refused = 0;
    do {
      status = kind == 0 ? parquet_offset_index_write(&leaf, pages, PAGES, &small, &out, &error)
                         : parquet_column_index_write(&leaf, pages, PAGES, NULL, NULL, &small, &out,
                                                      &error);
      if (status != STATUS_OK) assert_int_equal(out.size_bytes, 0);
      refused += status == STATUS_BUDGET;
      small.limit_bytes += 64;
    } while (status == STATUS_BUDGET);
    assert_int_equal(status, STATUS_OK);
    assert_true(refused > 10);
    thrift_read_free(thrift_read(out.data, out.size_bytes, NULL));
    buffer_release(&out);
    assert_int_equal(small.used_bytes, 0);
  }
  assert_int_equal(budget.used_bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(where_pages_are),
      cmocka_unit_test(bytes_of_an_offset_index),
      cmocka_unit_test(bounds_and_nulls),
      cmocka_unit_test(histograms_where_they_say_something),
      cmocka_unit_test(nans_are_counted),
      cmocka_unit_test(order_of_pages),
      cmocka_unit_test(the_order_is_that_of_the_type),
      cmocka_unit_test(when_there_may_be_none),
      cmocka_unit_test(a_budget_refuses_until_there_is_enough),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
