/* List views, unions and runs: whatever part of them a batch is, what is written is that
 * part; and whoever hands in one that contradicts itself is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arrow/read_all.h"
#include "arrow/written.h"

static struct ArrowArray numbers32(const int32_t *values, int64_t length, const void **buffers) {
  buffers[0] = NULL;
  buffers[1] = values;
  return (struct ArrowArray){.length = length, .n_buffers = 2, .buffers = buffers};
}

static const int32_t counting[] = {0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110};

/* ---- list views ------------------------------------------------------------------------ */

static void list_views_are_written_in_any_part(void **state) {
  (void)state;
  static const uint8_t validity[] = {0x6D}; /* 1, 4 and 7 are null */
  static const int32_t offsets[] = {7, 3, 3, 10, 0, 5, 12, 4};
  static const int32_t sizes[] = {3, 0, 4, 2, 0, 6, 0, 1};
  const void *item_buffers[2];
  struct ArrowArray items = numbers32(counting, 12, item_buffers);
  struct ArrowSchema item = {.format = "i", .name = "item"};
  struct ArrowSchema column = {
      .format = "+vl", .name = "views", .flags = ARROW_FLAG_NULLABLE, HAND_FIELDS(&item)};
  struct ArrowArray array = {
      .length = 8, .null_count = 3, HAND_BUFFERS(validity, offsets, sizes), HAND_CHILDREN(&items)};
  expect_same_slices(&column, &array);
}

static void large_list_views_of_lists_are_written_in_any_part(void **state) {
  (void)state;
  static const int64_t offsets[] = {2, 0, 4, 1};
  static const int64_t sizes[] = {1, 2, 0, 3};
  static const int32_t list_offsets[] = {1, 3, 3, 8, 12};
  const void *item_buffers[2];
  struct ArrowArray items = numbers32(counting, 12, item_buffers);
  struct ArrowArray lists = {.length = 4, HAND_BUFFERS(NULL, list_offsets), HAND_CHILDREN(&items)};
  struct ArrowSchema item = {.format = "i", .name = "item"};
  struct ArrowSchema list = {.format = "+l", .name = "list", HAND_FIELDS(&item)};
  struct ArrowSchema column = {.format = "+vL", .name = "views", HAND_FIELDS(&list)};
  struct ArrowArray array = {
      .length = 4, HAND_BUFFERS(NULL, offsets, sizes), HAND_CHILDREN(&lists)};
  expect_same_slices(&column, &array);
}

/* Of a child that a million slots share, a slice writes what it reaches. */
static void only_items_that_are_reached_are_written(void **state) {
  (void)state;
  static const int32_t offsets[] = {0, 6, 0, 11};
  static const int32_t sizes[] = {12, 2, 0, 0};
  const void *item_buffers[2];
  struct ArrowArray items = numbers32(counting, 12, item_buffers);
  struct ArrowSchema item = {.format = "i", .name = "item"};
  struct ArrowSchema column = {.format = "+vl", .name = "views", HAND_FIELDS(&item)};
  struct ArrowArray array = {
      .length = 4, HAND_BUFFERS(NULL, offsets, sizes), HAND_CHILDREN(&items)};
  struct ArrowSchema schema = {.format = "+s", HAND_FIELDS(&column)};
  struct ArrowArray batch = {.length = 3, .offset = 1, HAND_BUFFERS(NULL), HAND_CHILDREN(&array)};
  const struct ArrowArray *batches[] = {&batch};
  struct buffer bytes = written(&schema, batches, 1, NULL);
  struct read_all_options whole = {0};
  struct read_all all = {0};
  assert_int_equal(
      read_all_stream(bytes.data, bytes.size_bytes, &whole, &written_budget, &all, NULL),
      STATUS_OK);
  const struct ArrowArray *read = all.batches[0].children[0];
  const int32_t *read_offsets = read->buffers[1];
  assert_int_equal(read->children[0]->length, 2);
  assert_int_equal(read_offsets[0], 0);
  assert_int_equal(read_offsets[1], 0); /* it was before what is reached, */
  assert_int_equal(read_offsets[2], 2); /* and this one behind */
  read_all_release(&all);
  buffer_release(&bytes);
}

static void list_views_out_of_bounds_are_refused(void **state) {
  (void)state;
  static const struct {
    int64_t offset;
    int64_t size;
  } cases[] = {{-1, 1}, {0, -1}, {13, 0}, {12, 1}, {0, 13}, {INT32_MAX, INT32_MAX}};
  const uint8_t validity[] = {0x01}; /* the broken slot is null, which does not help it */
  const void *item_buffers[2];
  struct ArrowArray items = numbers32(counting, 12, item_buffers);
  struct ArrowSchema item = {.format = "i", .name = "item"};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int32_t offsets[] = {0, (int32_t)cases[i].offset};
    int32_t sizes[] = {1, (int32_t)cases[i].size};
    int64_t large_offsets[] = {0, cases[i].offset == INT32_MAX ? INT64_MAX : cases[i].offset};
    int64_t large_sizes[] = {1, cases[i].size == INT32_MAX ? INT64_MAX : cases[i].size};
    struct ArrowSchema column = {.format = "+vl", .name = "views", HAND_FIELDS(&item)};
    struct ArrowArray array = {.length = 2,
                               .null_count = 1,
                               HAND_BUFFERS(validity, offsets, sizes),
                               HAND_CHILDREN(&items)};
    expect_refused(&column, &array, "slot 1");
    column.format = "+vL";
    array.buffers[1] = large_offsets;
    array.buffers[2] = large_sizes;
    expect_refused(&column, &array, "slot 1");
  }
}

/* ---- unions ---------------------------------------------------------------------------- */

static const int32_t text_offsets[] = {0, 1, 1, 4, 6, 7, 12, 12, 15};
static const char text_data[] = "abcdefghijklmno";

static void sparse_unions_are_written_in_any_part(void **state) {
  (void)state;
  static const int8_t codes[] = {5, 0, 0, 5, 127, 5, 0, 127};
  static const uint8_t validity[] = {0xD7};
  const void *number_buffers[2];
  struct ArrowArray numbers = numbers32(counting, 8, number_buffers);
  struct ArrowArray texts = {
      .length = 8, .null_count = 2, HAND_BUFFERS(validity, text_offsets, text_data)};
  struct ArrowArray nothing = {.length = 8, .null_count = 8};
  struct ArrowSchema number = {.format = "i", .name = "number"};
  struct ArrowSchema text = {.format = "u", .name = "text", .flags = ARROW_FLAG_NULLABLE};
  struct ArrowSchema none = {.format = "n", .name = "none", .flags = ARROW_FLAG_NULLABLE};
  struct ArrowSchema column = {
      .format = "+us:5,0,127", .name = "sparse", HAND_FIELDS(&text, &number, &none)};
  struct ArrowArray array = {
      .length = 8, HAND_BUFFERS(codes), HAND_CHILDREN(&texts, &numbers, &nothing)};
  expect_same_slices(&column, &array);
}

static void dense_unions_are_written_in_any_part(void **state) {
  (void)state;
  static const int8_t codes[] = {5, 0, 0, 5, 5, 5, 0, 5};
  static const int32_t offsets[] = {1, 3, 4, 1, 2, 6, 9, 7};
  const void *number_buffers[2];
  struct ArrowArray numbers = numbers32(counting + 1, 10, number_buffers);
  struct ArrowArray texts = {.length = 8, HAND_BUFFERS(NULL, text_offsets, text_data)};
  struct ArrowArray unused = {.length = 0, HAND_BUFFERS(NULL, NULL, NULL)};
  struct ArrowSchema number = {.format = "i", .name = "number"};
  struct ArrowSchema text = {.format = "u", .name = "text"};
  struct ArrowSchema rest = {.format = "z", .name = "rest"};
  struct ArrowSchema column = {
      .format = "+ud:5,0,1", .name = "dense", HAND_FIELDS(&text, &number, &rest)};
  struct ArrowArray array = {
      .length = 8, HAND_BUFFERS(codes, offsets), HAND_CHILDREN(&texts, &numbers, &unused)};
  expect_same_slices(&column, &array);

  /* Several of them side by side: each has its own way to begin with 0. */
  struct ArrowSchema other = column;
  other.name = "other";
  struct ArrowSchema schema = {.format = "+s", HAND_FIELDS(&column, &other)};
  struct ArrowArray later = array;
  later.offset = 3;
  later.length = 5;
  struct ArrowArray batch = {
      .length = 3, .offset = 2, HAND_BUFFERS(NULL), HAND_CHILDREN(&array, &later)};
  const struct ArrowArray *batches[] = {&batch};
  expect_same(&schema, batches, 1);
}

static void broken_unions_are_refused(void **state) {
  (void)state;
  static const struct {
    int8_t code;
    int32_t offset;
    bool sparse_too;
  } cases[] = {{-1, 0, true},  {3, 0, true},  {127, 0, true},
               {5, -1, false}, {5, 4, false}, {5, 0, false} /* falls */};
  const void *number_buffers[2];
  struct ArrowArray numbers = numbers32(counting, 4, number_buffers);
  struct ArrowSchema number = {.format = "i", .name = "number"};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int8_t codes[] = {5, cases[i].code};
    int32_t offsets[] = {1, cases[i].offset};
    struct ArrowSchema column = {.format = "+ud:5", .name = "union", HAND_FIELDS(&number)};
    struct ArrowArray array = {.length = 2, HAND_BUFFERS(codes, offsets), HAND_CHILDREN(&numbers)};
    expect_refused(&column, &array, "slot 1");
    if (!cases[i].sparse_too) continue;
    column.format = "+us:5";
    expect_refused(&column, &array, "slot 1");
  }
}

static void members_of_a_sparse_union_that_are_too_short_are_refused(void **state) {
  (void)state;
  static const int8_t codes[] = {5, 5, 5, 5, 5};
  const void *number_buffers[2];
  struct ArrowArray numbers = numbers32(counting, 4, number_buffers);
  struct ArrowSchema number = {.format = "i", .name = "number"};
  struct ArrowSchema column = {.format = "+us:5", .name = "union", HAND_FIELDS(&number)};
  struct ArrowArray array = {.length = 5, HAND_BUFFERS(codes), HAND_CHILDREN(&numbers)};
  struct ArrowSchema schema = {.format = "+s", HAND_FIELDS(&column)};
  struct ArrowArray batch = {.length = 5, HAND_BUFFERS(NULL), HAND_CHILDREN(&array)};
  struct ipc_writer *writer = NULL;
  struct buffer out = BUFFER_EMPTY;
  assert_int_equal(ipc_writer_new(&schema, NULL, &written_budget, &writer, NULL), STATUS_OK);
  assert_int_equal(ipc_writer_schema(writer, &out, NULL), STATUS_OK);
  assert_int_equal(ipc_writer_batch(writer, &batch, &out, NULL), STATUS_INVALID);
  buffer_release(&out);
  ipc_writer_free(writer);
}

/* ---- runs ------------------------------------------------------------------------------ */

static void runs_are_written_in_any_part(void **state) {
  (void)state;
  static const uint8_t validity[] = {0x15}; /* the second and fourth are null */
  static const int16_t ends16[] = {0, 2, 3, 7, 8, 11};
  static const int32_t ends32[] = {0, 2, 3, 7, 8, 11};
  static const int64_t ends64[] = {0, 2, 3, 7, 8, 11};
  static const char *const formats[] = {"s", "i", "l"};
  const void *const ends_of[] = {ends16, ends32, ends64};
  for (int width = 0; width < 3; width++) {
    struct ArrowArray ends = {
        .length = 5, .offset = 1, HAND_BUFFERS(NULL, ends_of[width])}; /* not the first */
    struct ArrowArray texts = {
        .length = 5, .null_count = 2, HAND_BUFFERS(validity, text_offsets, text_data)};
    struct ArrowSchema run_ends = {.format = formats[width], .name = "run_ends"};
    struct ArrowSchema values = {.format = "u", .name = "values", .flags = ARROW_FLAG_NULLABLE};
    struct ArrowSchema column = {.format = "+r", .name = "runs", HAND_FIELDS(&run_ends, &values)};
    struct ArrowArray array = {.length = 9, HAND_CHILDREN(&ends, &texts)};
    expect_same_slices(&column, &array); /* of the 11 slots that the runs have */
  }
}

static void a_slice_takes_its_runs_along_and_no_more(void **state) {
  (void)state;
  static const int32_t run_end_values[] = {2, 3, 7, 8, 11};
  const void *end_buffers[2];
  const void *value_buffers[2];
  struct ArrowArray ends = numbers32(run_end_values, 5, end_buffers);
  struct ArrowArray numbers = numbers32(counting, 5, value_buffers);
  struct ArrowSchema run_ends = {.format = "i", .name = "run_ends"};
  struct ArrowSchema values = {.format = "i", .name = "values"};
  struct ArrowSchema column = {.format = "+r", .name = "runs", HAND_FIELDS(&run_ends, &values)};
  struct ArrowArray array = {.length = 11, HAND_CHILDREN(&ends, &numbers)};
  struct ArrowSchema schema = {.format = "+s", HAND_FIELDS(&column)};
  struct ArrowArray batch = {.length = 3, .offset = 2, HAND_BUFFERS(NULL), HAND_CHILDREN(&array)};
  const struct ArrowArray *batches[] = {&batch};
  struct buffer bytes = written(&schema, batches, 1, NULL);
  struct read_all_options whole = {0};
  struct read_all all = {0};
  assert_int_equal(
      read_all_stream(bytes.data, bytes.size_bytes, &whole, &written_budget, &all, NULL),
      STATUS_OK);
  const struct ArrowArray *read = all.batches[0].children[0];
  const int32_t *read_ends = read->children[0]->buffers[1];
  const int32_t *read_values = read->children[1]->buffers[1];
  assert_int_equal(read->children[0]->length, 2);
  assert_int_equal(read->children[1]->length, 2);
  assert_int_equal(read_ends[0], 1);
  assert_int_equal(read_ends[1], 3); /* the run goes on, the slice does not */
  assert_int_equal(read_values[0], 10);
  assert_int_equal(read_values[1], 20);
  read_all_release(&all);
  buffer_release(&bytes);
}

static void broken_runs_are_refused(void **state) {
  (void)state;
  static const int32_t cases[][3] = {{0, 2, 4}, {-1, 2, 4}, {2, 2, 4},
                                     {3, 2, 4}, {1, 2, 3},  {1, 4, 4}};
  static const uint8_t validity[] = {0x05};
  const void *end_buffers[2];
  const void *value_buffers[2];
  struct ArrowArray numbers = numbers32(counting, 3, value_buffers);
  struct ArrowSchema run_ends = {.format = "i", .name = "run_ends"};
  struct ArrowSchema values = {.format = "i", .name = "values"};
  struct ArrowSchema column = {.format = "+r", .name = "runs", HAND_FIELDS(&run_ends, &values)};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowArray ends = numbers32(cases[i], 3, end_buffers);
    struct ArrowArray array = {.length = 5, HAND_CHILDREN(&ends, &numbers)};
    expect_refused(&column, &array, "");
  }
  static const int32_t good[] = {1, 2, 5};
  struct ArrowArray ends = numbers32(good, 3, end_buffers);
  struct ArrowArray array = {.length = 5, HAND_CHILDREN(&ends, &numbers)};
  ends.null_count = 1;
  ends.buffers[0] = validity;
  expect_refused(&column, &array, "null");
}

/* ---- all together ------------------------------------------------------------------------ */

/* Lists of dense unions of runs of structs of list views: each cuts what the one above wants. */
static void parts_of_parts_are_cut_right(void **state) {
  (void)state;
  static const int32_t view_offsets[] = {5, 0, 2, 11, 3};
  static const int32_t view_sizes[] = {2, 3, 0, 1, 4};
  static const int64_t ends_data[] = {1, 4, 6, 7, 10};
  static const int8_t codes[] = {1, 0, 0, 1, 0, 0, 0, 1, 0};
  static const int32_t union_offsets[] = {0, 0, 2, 1, 3, 5, 9, 4, 9};
  static const int32_t list_offsets[] = {1, 4, 4, 6, 9};
  const void *item_buffers[2];
  const void *number_buffers[2];
  struct ArrowArray items = numbers32(counting, 12, item_buffers);
  struct ArrowArray views = {
      .length = 5, HAND_BUFFERS(NULL, view_offsets, view_sizes), HAND_CHILDREN(&items)};
  struct ArrowArray structs = {.length = 5, HAND_BUFFERS(NULL), HAND_CHILDREN(&views)};
  struct ArrowArray ends = {.length = 5, HAND_BUFFERS(NULL, ends_data)};
  struct ArrowArray runs = {.length = 10, HAND_CHILDREN(&ends, &structs)};
  struct ArrowArray numbers = numbers32(counting + 3, 5, number_buffers);
  struct ArrowArray unions = {
      .length = 9, HAND_BUFFERS(codes, union_offsets), HAND_CHILDREN(&runs, &numbers)};
  struct ArrowArray array = {.length = 4, HAND_BUFFERS(NULL, list_offsets), HAND_CHILDREN(&unions)};

  struct ArrowSchema item = {.format = "i", .name = "item"};
  struct ArrowSchema view = {.format = "+vl", .name = "view", HAND_FIELDS(&item)};
  struct ArrowSchema structure = {.format = "+s", .name = "values", HAND_FIELDS(&view)};
  struct ArrowSchema run_ends = {.format = "l", .name = "run_ends"};
  struct ArrowSchema run = {.format = "+r", .name = "run", HAND_FIELDS(&run_ends, &structure)};
  struct ArrowSchema number = {.format = "i", .name = "number"};
  struct ArrowSchema either = {.format = "+ud:0,1", .name = "either", HAND_FIELDS(&run, &number)};
  struct ArrowSchema column = {.format = "+l", .name = "lists", HAND_FIELDS(&either)};
  expect_same_slices(&column, &array);
}

/* Lengths of data buffers come from whoever made the array. */
static void views_whose_data_has_no_length_are_refused(void **state) {
  (void)state;
  static const uint8_t views[16] = {0};
  static const char data[] = "data";
  int64_t sizes[] = {-1};
  struct ArrowSchema column = {.format = "vu", .name = "words"};
  struct ArrowArray array = {.length = 1, HAND_BUFFERS(NULL, views, data, sizes)};
  expect_refused(&column, &array, "beyond memory");
  sizes[0] = INT64_MAX;
  array.buffers[2] = data;
  struct ArrowSchema schema = {.format = "+s", HAND_FIELDS(&column)};
  struct ArrowArray batch = {.length = 1, HAND_BUFFERS(NULL), HAND_CHILDREN(&array)};
  struct ipc_writer *writer = NULL;
  struct buffer out = BUFFER_EMPTY;
  assert_int_equal(ipc_writer_new(&schema, NULL, &written_budget, &writer, NULL), STATUS_OK);
  assert_int_equal(ipc_writer_schema(writer, &out, NULL), STATUS_OK);
  assert_int_equal(ipc_writer_batch(writer, &batch, &out, NULL), STATUS_INVALID);
  sizes[0] = 4;
  array.buffers[2] = NULL;
  assert_int_equal(ipc_writer_batch(writer, &batch, &out, NULL), STATUS_INVALID);
  array.buffers[3] = NULL;
  assert_int_equal(ipc_writer_batch(writer, &batch, &out, NULL), STATUS_INVALID);
  buffer_release(&out);
  ipc_writer_free(writer);
}

/* A reader compares the count of nulls with the bitmap. */
static void a_wrong_count_of_nulls_is_put_right(void **state) {
  (void)state;
  static const uint8_t validity[] = {0x0B};
  struct ArrowSchema column = {.format = "i", .name = "n", .flags = ARROW_FLAG_NULLABLE};
  struct ArrowArray array = {.length = 4, .null_count = 3, HAND_BUFFERS(validity, counting)};
  struct ArrowSchema schema = {.format = "+s", HAND_FIELDS(&column)};
  struct ArrowArray batch = {.length = 4, HAND_BUFFERS(NULL), HAND_CHILDREN(&array)};
  const struct ArrowArray *batches[] = {&batch};
  struct buffer bytes = written(&schema, batches, 1, NULL);
  struct read_all_options whole = {0};
  struct read_all all = {0};
  assert_int_equal(
      read_all_stream(bytes.data, bytes.size_bytes, &whole, &written_budget, &all, NULL),
      STATUS_OK);
  assert_int_equal(all.batches[0].children[0]->null_count, 1);
  read_all_release(&all);
  buffer_release(&bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(list_views_are_written_in_any_part),
      cmocka_unit_test(large_list_views_of_lists_are_written_in_any_part),
      cmocka_unit_test(only_items_that_are_reached_are_written),
      cmocka_unit_test(list_views_out_of_bounds_are_refused),
      cmocka_unit_test(sparse_unions_are_written_in_any_part),
      cmocka_unit_test(dense_unions_are_written_in_any_part),
      cmocka_unit_test(broken_unions_are_refused),
      cmocka_unit_test(members_of_a_sparse_union_that_are_too_short_are_refused),
      cmocka_unit_test(runs_are_written_in_any_part),
      cmocka_unit_test(a_slice_takes_its_runs_along_and_no_more),
      cmocka_unit_test(broken_runs_are_refused),
      cmocka_unit_test(parts_of_parts_are_cut_right),
      cmocka_unit_test(views_whose_data_has_no_length_are_refused),
      cmocka_unit_test(a_wrong_count_of_nulls_is_put_right),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
