/* When a dictionary is sent, and how much of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/array.h"
#include "arrow/messages.h"
#include "arrow/read_all.h"
#include "arrow/written.h"

static const struct ipc_writer_options plain = {.format = IPC_FORMAT_STREAM};
static const struct ipc_writer_options deltas = {.dictionary_deltas = true};
static const struct ipc_writer_options file = {.format = IPC_FORMAT_FILE};

/* ---- words ------------------------------------------------------------------------------- */

static const char *const words[] = {"red", "blue", "", "yellow and green", "black", "white"};

enum { BATCHES_MAX = 5 };

/* A batch for each count: so many of the words in its dictionary, all of them looked up. */
static int make_batches(const struct ArrowSchema *schema, const int *counts, int count,
                        struct ArrowArray *made, const struct ArrowArray **batches) {
  static const int indices[] = {0, 1, 2, 3, 4, 5};
  for (int i = 0; i < count; i++) {
    made[i] = looked_up(schema, words, counts[i], indices, counts[i]);
    batches[i] = &made[i];
  }
  return count;
}

static void release_batches(struct ArrowArray *made, int count) {
  for (int i = 0; i < count; i++) arrow_array_release(&made[i]);
}

static void what_a_dictionary_has_grown_by_is_sent(void **state) {
  (void)state;
  static const struct {
    int counts[BATCHES_MAX];
    int count;
    const char *plain;
    const char *deltas; /* and in files */
  } cases[] = {
      {{2, 2, 2}, 3, "sdbbb.", "sdbbb."},
      {{1, 2, 5, 5, 6}, 5, "sdbdbdbbdb.", "sdb+b+bb+b."},
      {{3, 2, 3, 1, 4}, 5, "sdbdbdbdbdb.", "sdbbbb+b."}, /* one that has shrunk is there already */
      {{0, 0, 3}, 3, "sdbbdb.", "sdbb+b."},              /* all of it is new, and still a delta */
      {{6, 0}, 2, "sdbdb.", "sdbb."},
  };
  struct ArrowSchema schema = one_dictionary();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowArray made[BATCHES_MAX];
    const struct ArrowArray *batches[BATCHES_MAX];
    int count = make_batches(&schema, cases[i].counts, cases[i].count, made, batches);
    struct buffer stream = written(&schema, batches, count, &plain);
    struct buffer grown = written(&schema, batches, count, &deltas);
    struct buffer whole = written(&schema, batches, count, &file);
    assert_string_equal(written_messages(&stream), cases[i].plain);
    assert_string_equal(written_messages(&grown), cases[i].deltas);
    assert_string_equal(written_messages(&whole), cases[i].deltas);
    buffer_release(&stream);
    buffer_release(&grown);
    buffer_release(&whole);
    expect_same(&schema, batches, count);
    release_batches(made, count);
  }
  arrow_schema_release(&schema);
}

static void expect_messages(const struct ArrowSchema *schema,
                            const struct ArrowArray *const *batches, int count,
                            const struct ipc_writer_options *options, const char *messages) {
  struct buffer bytes = written(schema, batches, count, options);
  assert_string_equal(written_messages(&bytes), messages);
  buffer_release(&bytes);
}

/* Arrays that were decoded are held rather than compared; those of others come between. */
static void what_was_read_is_written_as_what_was_made(void **state) {
  (void)state;
  enum { COUNT = 6 };
  static const int counts[COUNT] = {2, 2, 4, 4, 3, 3};
  static const char *const plain_messages = "sdbbdbbdbb.";
  static const char *const delta_messages = "sdbb+bbbb.";
  struct ArrowSchema schema = one_dictionary();
  struct ArrowArray made[COUNT];
  const struct ArrowArray *batches[COUNT];
  for (int i = 0; i < COUNT; i++) make_batches(&schema, &counts[i], 1, &made[i], &batches[i]);
  struct buffer stream = written(&schema, batches, COUNT, &plain);
  struct read_all all;
  struct read_all_options options = {.step_bytes = 0};
  assert_int_equal(
      read_all_stream(stream.data, stream.size_bytes, &options, &messages_budget, &all, NULL),
      STATUS_OK);
  buffer_release(&stream);
  for (unsigned mask = 0; mask < 1U << COUNT; mask++) { /* whose batch is which */
    const struct ArrowArray *mixed[COUNT];
    for (int i = 0; i < COUNT; i++) mixed[i] = (mask >> i & 1) != 0 ? &made[i] : &all.batches[i];
    expect_messages(&schema, mixed, COUNT, &plain, plain_messages);
    expect_messages(&schema, mixed, COUNT, &deltas, delta_messages);
    expect_messages(&schema, mixed, COUNT, &file, delta_messages);
    if (mask % 21 == 0) expect_same(&schema, mixed, COUNT);
  }
  read_all_release(&all);
  release_batches(made, COUNT);
  arrow_schema_release(&schema);
  assert_int_equal(written_budget.used_bytes, 0);
}

static void a_delta_has_only_what_is_new(void **state) {
  (void)state;
  struct ArrowSchema schema = one_dictionary();
  struct ArrowArray made[2];
  const struct ArrowArray *batches[2];
  static const int counts[] = {3, 5};
  make_batches(&schema, counts, 2, made, batches);
  struct buffer stream = written(&schema, batches, 2, &deltas);
  assert_non_null(find_in(&stream,
                          "yellow and green"
                          "blac",
                          20));                 /* side by side */
  assert_non_null(find_in(&stream, "redb", 4)); /* once */
  buffer_release(&stream);
  release_batches(made, 2);
  arrow_schema_release(&schema);
}

/* ---- values of every kind ------------------------------------------------------------------ */

static const int8_t some_indices[] = {0, 1, 1, 0, 3, 2, 4, 5};

/* A dictionary of the first 2, then 4, then all 6 values: what is new has its offsets, bits
 * and runs cut, whatever the type. */
static void expect_growth(struct ArrowSchema *values_schema, const struct ArrowArray *values) {
  struct ArrowSchema column = {.format = "c", .name = "c", .dictionary = values_schema};
  struct ArrowSchema schema = {.format = "+s", HAND_FIELDS(&column)};
  struct ArrowArray dictionaries[3];
  struct ArrowArray columns[3];
  struct ArrowArray *children[3];
  struct ArrowArray made[3];
  const struct ArrowArray *batches[3];
  const void *no_buffers[] = {NULL};
  const void *buffers[3][2];
  for (int i = 0; i < 3; i++) {
    dictionaries[i] = *values;
    dictionaries[i].length = 2 + 2 * i;
    dictionaries[i].null_count = values->null_count == 0 ? 0 : -1;
    buffers[i][0] = NULL;
    buffers[i][1] = some_indices + 2 * i;
    columns[i] = (struct ArrowArray){
        .length = 2, .n_buffers = 2, .buffers = buffers[i], .dictionary = &dictionaries[i]};
    children[i] = &columns[i];
    made[i] = (struct ArrowArray){.length = 2,
                                  .n_buffers = 1,
                                  .buffers = no_buffers,
                                  .n_children = 1,
                                  .children = &children[i]};
    batches[i] = &made[i];
  }
  struct buffer stream = written(&schema, batches, 3, &deltas);
  assert_string_equal(written_messages(&stream), "sdb+b+b.");
  buffer_release(&stream);
  expect_same(&schema, batches, 3);
}

static const int32_t falling_numbers[] = {5, 4, 3, 2, 1, 0};
static const int32_t offsets[] = {0, 1, 1, 3, 4, 4, 6};
static const uint8_t validity[] = {0x2F};

static void dictionaries_of_any_type_grow(void **state) {
  (void)state;
  static const int32_t run_ends[] = {1, 3, 4, 6};
  static const int8_t codes[] = {0, 1, 1, 0, 0, 1};
  static const int32_t sizes[] = {1, 0, 2, 1, 2, 0};
  static const int32_t union_offsets[] = {0, 1, 2, 2, 3, 4};
  struct ArrowSchema number = {.format = "i", .name = "n", .flags = ARROW_FLAG_NULLABLE};
  struct ArrowSchema other = {.format = "i", .name = "o"};
  struct ArrowSchema text = {.format = "u", .name = ""};
  struct ArrowSchema bits = {.format = "b", .name = ""};
  struct ArrowSchema list = {.format = "+l", .name = "", HAND_FIELDS(&number)};
  struct ArrowSchema view = {.format = "+vl", .name = "", HAND_FIELDS(&number)};
  struct ArrowSchema structure = {.format = "+s", .name = "", HAND_FIELDS(&number)};
  struct ArrowSchema runs = {.format = "+r", .name = "", HAND_FIELDS(&other, &number)};
  struct ArrowSchema dense = {.format = "+ud:0,1", .name = "", HAND_FIELDS(&number, &other)};
  struct ArrowArray integers = {
      .length = 6, .null_count = 1, HAND_BUFFERS(validity, falling_numbers)};
  struct ArrowArray others = {.length = 6, HAND_BUFFERS(NULL, falling_numbers)};
  struct ArrowArray texts = {.length = 6, HAND_BUFFERS(NULL, offsets, "abcdef")};
  struct ArrowArray truths = {.length = 6, HAND_BUFFERS(NULL, "\x15")};
  struct ArrowArray lists = {.length = 6, HAND_BUFFERS(NULL, offsets), HAND_CHILDREN(&integers)};
  struct ArrowArray views = {
      .length = 6, HAND_BUFFERS(NULL, offsets, sizes), HAND_CHILDREN(&integers)};
  struct ArrowArray structs = {.length = 6, HAND_BUFFERS(NULL), HAND_CHILDREN(&integers)};
  struct ArrowArray ends = {.length = 4, HAND_BUFFERS(NULL, run_ends)};
  struct ArrowArray run_array = {.length = 6, HAND_CHILDREN(&ends, &integers)};
  struct ArrowArray unions = {
      .length = 6, HAND_BUFFERS(codes, union_offsets), HAND_CHILDREN(&integers, &others)};
  expect_growth(&number, &integers);
  expect_growth(&text, &texts);
  expect_growth(&bits, &truths);
  expect_growth(&list, &lists);
  expect_growth(&view, &views);
  expect_growth(&structure, &structs);
  expect_growth(&runs, &run_array);
  expect_growth(&dense, &unions);
}

/* ---- the same values, laid out in another way ------------------------------------------------ */

/* Two batches whose dictionaries are these; what a writer that knows deltas makes of them. */
static const char *second_of(struct ArrowSchema *values_schema, struct ArrowArray *first,
                             struct ArrowArray *second, const struct ipc_writer_options *options) {
  static char types[16];
  struct ArrowSchema column = {.format = "c", .name = "c", .dictionary = values_schema};
  struct ArrowSchema schema = {.format = "+s", HAND_FIELDS(&column)};
  struct ArrowArray columns[] = {
      {.length = 1, HAND_BUFFERS(NULL, some_indices), .dictionary = first},
      {.length = 1, HAND_BUFFERS(NULL, some_indices), .dictionary = second}};
  struct ArrowArray one = {.length = 1, HAND_BUFFERS(NULL), HAND_CHILDREN(&columns[0])};
  struct ArrowArray two = {.length = 1, HAND_BUFFERS(NULL), HAND_CHILDREN(&columns[1])};
  const struct ArrowArray *batches[] = {&one, &two};
  struct buffer bytes = written(&schema, batches, 2, options);
  strncpy(types, written_messages(&bytes), sizeof types - 1);
  buffer_release(&bytes);
  return types;
}

static void the_same_values_laid_out_otherwise_are_the_same_dictionary(void **state) {
  (void)state;
  static const int32_t other_numbers[] = {5, 4, 3, 2, 99, 0}; /* 99 is null */
  static const char long_text[] = "12 bytes are not enough";
  static const int64_t first_sizes[] = {23};
  static const int64_t second_sizes[] = {0, 30};
  struct {
    int32_t length;
    char prefix[4];
    int32_t buffer;
    int32_t offset;
  } first_view[] = {{23, "12 b", 0, 0}}, second_view[] = {{23, "12 b", 1, 7}};
  struct ArrowSchema number = {.format = "i", .name = "", .flags = ARROW_FLAG_NULLABLE};
  struct ArrowArray one = {.length = 6, .null_count = 1, HAND_BUFFERS(validity, falling_numbers)};
  struct ArrowArray two = {.length = 6, .null_count = 1, HAND_BUFFERS(validity, other_numbers)};
  assert_string_equal(second_of(&number, &one, &two, &plain), "sdbdb."); /* bytes differ */
  assert_string_equal(second_of(&number, &one, &two, &deltas), "sdbb.");
  assert_string_equal(second_of(&number, &one, &two, &file), "sdbb.");
  one.length = 5;
  assert_string_equal(second_of(&number, &one, &two, &deltas), "sdb+b."); /* and one more */

  char padded[31] = "before ";
  memcpy(padded + 7, long_text, sizeof long_text);
  struct ArrowSchema view = {.format = "vu", .name = ""};
  struct ArrowArray near = {.length = 1, HAND_BUFFERS(NULL, first_view, long_text, first_sizes)};
  struct ArrowArray far = {.length = 1,
                           HAND_BUFFERS(NULL, second_view, padded, padded, second_sizes)};
  assert_string_equal(second_of(&view, &near, &far, &plain), "sdbdb.");
  assert_string_equal(second_of(&view, &near, &far, &deltas), "sdbb.");
}

/* A dictionary of other values would be looked up wrongly: it is checked before it is
 * compared value by value. */
static void a_broken_dictionary_is_not_compared(void **state) {
  (void)state;
  static const int32_t falling[] = {0, 5, 1, 3, 4, 4, 6};
  struct ArrowSchema text = {.format = "u", .name = ""};
  struct ArrowSchema column = {.format = "c", .name = "c", .dictionary = &text};
  struct ArrowSchema schema = {.format = "+s", HAND_FIELDS(&column)};
  struct ArrowArray texts = {.length = 6, HAND_BUFFERS(NULL, offsets, "abcdef")};
  struct ArrowArray looked = {.length = 1, HAND_BUFFERS(NULL, some_indices), .dictionary = &texts};
  struct ArrowArray batch = {.length = 1, HAND_BUFFERS(NULL), HAND_CHILDREN(&looked)};
  struct ipc_writer *writer = NULL;
  struct buffer out = BUFFER_EMPTY;
  assert_int_equal(ipc_writer_new(&schema, &deltas, &written_budget, &writer, NULL), STATUS_OK);
  assert_int_equal(ipc_writer_schema(writer, &out, NULL), STATUS_OK);
  assert_int_equal(ipc_writer_batch(writer, &batch, &out, NULL), STATUS_OK);
  texts.buffers[1] = falling;
  assert_int_equal(ipc_writer_batch(writer, &batch, &out, NULL), STATUS_INVALID);
  texts.buffers[1] = offsets;
  assert_int_equal(ipc_writer_batch(writer, &batch, &out, NULL), STATUS_OK);
  assert_string_equal(written_messages(&out), "sdbb");
  buffer_release(&out);
  ipc_writer_free(writer);
  assert_int_equal(written_budget.used_bytes, 0);
}

/* ---- files --------------------------------------------------------------------------------- */

static void a_file_does_not_replace_a_dictionary(void **state) {
  (void)state;
  static const char *const others[] = {"red", "green"};
  static const int indices[] = {0, 1};
  struct ArrowSchema schema = one_dictionary();
  struct ArrowArray first = looked_up(&schema, words, 2, indices, 2);
  struct ArrowArray second = looked_up(&schema, others, 2, indices, 2);
  struct ArrowArray third = looked_up(&schema, words, 3, indices, 2);
  struct ipc_writer *writer = NULL;
  struct buffer out = BUFFER_EMPTY;
  struct error error = {.text = ""};
  assert_int_equal(ipc_writer_new(&schema, &file, &written_budget, &writer, NULL), STATUS_OK);
  assert_int_equal(ipc_writer_schema(writer, &out, NULL), STATUS_OK);
  assert_int_equal(ipc_writer_batch(writer, &first, &out, NULL), STATUS_OK);
  int64_t before_bytes = out.size_bytes;
  assert_int_equal(ipc_writer_batch(writer, &second, &out, &error), STATUS_UNSUPPORTED);
  assert_non_null(strstr(error.text, "\"speed\""));
  assert_non_null(strstr(error.text, "write a stream"));
  assert_int_equal(out.size_bytes, before_bytes);
  assert_int_equal(ipc_writer_batch(writer, &third, &out, NULL), STATUS_OK); /* it goes on */
  assert_int_equal(ipc_writer_end(writer, &out, NULL), STATUS_OK);
  struct read_all all = {0};
  assert_int_equal(read_all_file(out.data, out.size_bytes, &written_budget, &all, NULL), STATUS_OK);
  assert_int_equal(all.batch_count, 2);
  assert_true(arrow_array_equal(&schema, &third, &all.batches[1], NULL));
  read_all_release(&all);
  buffer_release(&out);
  ipc_writer_free(writer);
  arrow_array_release(&first);
  arrow_array_release(&second);
  arrow_array_release(&third);
  arrow_schema_release(&schema);
  assert_int_equal(written_budget.used_bytes, 0);
}

/* ---- dictionaries inside dictionaries --------------------------------------------------------- */

/* Lists of words that are looked up themselves. */
struct lists {
  struct ArrowArray words;
  struct ArrowArray items;
  struct ArrowArray lists;
  struct ArrowArray column;
  struct ArrowArray batch;
  struct ArrowArray *list_children[1];
  struct ArrowArray *batch_children[1];
  const void *word_buffers[3];
  const void *item_buffers[2];
  const void *list_buffers[2];
  const void *column_buffers[2];
  const void *batch_buffers[1];
};

static void make_lists(struct lists *made, const char *text, int64_t word_count,
                       int64_t list_count) {
  static const int32_t letters[] = {0, 1, 2, 3, 4, 5};
  static const int32_t list_offsets[] = {0, 2, 3, 3};
  static const int8_t item_indices[] = {0, 1, 1};
  *made = (struct lists){
      .word_buffers = {NULL, letters, text},
      .item_buffers = {NULL, item_indices},
      .list_buffers = {NULL, list_offsets},
      .column_buffers = {NULL, some_indices},
  };
  made->words =
      (struct ArrowArray){.length = word_count, .n_buffers = 3, .buffers = made->word_buffers};
  made->items = (struct ArrowArray){
      .length = 3, .n_buffers = 2, .buffers = made->item_buffers, .dictionary = &made->words};
  made->list_children[0] = &made->items;
  made->lists = (struct ArrowArray){.length = list_count,
                                    .n_buffers = 2,
                                    .buffers = made->list_buffers,
                                    .n_children = 1,
                                    .children = made->list_children};
  made->column = (struct ArrowArray){
      .length = 2, .n_buffers = 2, .buffers = made->column_buffers, .dictionary = &made->lists};
  made->batch_children[0] = &made->column;
  made->batch = (struct ArrowArray){.length = 2,
                                    .n_buffers = 1,
                                    .buffers = made->batch_buffers,
                                    .n_children = 1,
                                    .children = made->batch_children};
}

static void a_dictionary_is_sent_again_when_one_inside_it_is_another(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t words;
    int64_t lists;
    const char *plain;
    const char *deltas;
    const char *file; /* NULL: a file cannot say it */
  } cases[] = {
      {"abcde", 2, 2, "b", "b", "b"},
      {"abcde", 3, 2, "ddb", "+b", "+b"}, /* what is inside has grown */
      {"abcde", 2, 3, "db", "db", "+b"},  /* the outer one has */
      {"abcde", 3, 3, "ddb", "+db", "++b"},
      {"xbcde", 2, 2, "ddb", "ddb", NULL},
  };
  struct ArrowSchema word = {.format = "u", .name = ""};
  struct ArrowSchema item = {.format = "c", .name = "item", .dictionary = &word};
  struct ArrowSchema list = {.format = "+l", .name = "", HAND_FIELDS(&item)};
  struct ArrowSchema column = {.format = "c", .name = "lists", .dictionary = &list};
  struct ArrowSchema schema = {.format = "+s", HAND_FIELDS(&column)};
  struct lists first;
  make_lists(&first, "abcde", 2, 2);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct ipc_writer_options *options[] = {&plain, &deltas, &file};
    const char *const wants[] = {cases[i].plain, cases[i].deltas, cases[i].file};
    struct lists second;
    make_lists(&second, cases[i].text, cases[i].words, cases[i].lists);
    const struct ArrowArray *batches[] = {&first.batch, &second.batch};
    for (int o = 0; o < 3; o++) {
      char want[16] = "sddb";
      if (wants[o] == NULL) continue;
      strcat(strcat(want, wants[o]), ".");
      struct buffer bytes = written(&schema, batches, 2, options[o]);
      assert_string_equal(written_messages(&bytes), want);
      buffer_release(&bytes);
    }
    if (cases[i].file != NULL) expect_same(&schema, batches, 2);
  }
}

static void a_dictionary_of_a_dictionary_is_refused(void **state) {
  (void)state;
  struct ArrowSchema word = {.format = "u", .name = ""};
  struct ArrowSchema inner = {.format = "c", .name = "", .dictionary = &word};
  struct ArrowSchema outer = {.format = "c", .name = "twice", .dictionary = &inner};
  struct ArrowSchema list = {.format = "+l", .name = "list", HAND_FIELDS(&outer)};
  struct ArrowSchema schema = {.format = "+s", HAND_FIELDS(&list)};
  struct ipc_writer *writer = NULL;
  struct error error = {.text = ""};
  assert_int_equal(ipc_writer_new(&schema, NULL, &written_budget, &writer, &error),
                   STATUS_UNSUPPORTED);
  assert_non_null(strstr(error.text, "\"twice\""));
  assert_null(writer);
}

/* ---- too little memory -------------------------------------------------------------------------- */

/* A call that is refused and repeated leaves what one leaves that was not: what was sent
 * before still counts, and what was not is not taken for sent. */
static void a_refused_delta_can_be_repeated(void **state) {
  (void)state;
  static const int counts[] = {2, 4, 4, 6};
  struct ArrowSchema schema = one_dictionary();
  struct ArrowArray made[4];
  const struct ArrowArray *batches[4];
  int refusals = 0;
  make_batches(&schema, counts, 4, made, batches);
  struct buffer want = written(&schema, batches, 4, &file);
  int64_t held_bytes = written_budget.used_bytes;
  int64_t limit_bytes = written_budget.limit_bytes;
  for (int64_t spare_bytes = 0; spare_bytes < 8192; spare_bytes += 64) {
    struct ipc_writer *writer = NULL;
    struct buffer out = BUFFER_EMPTY;
    assert_int_equal(ipc_writer_new(&schema, &file, &written_budget, &writer, NULL), STATUS_OK);
    assert_int_equal(ipc_writer_schema(writer, &out, NULL), STATUS_OK);
    for (int i = 0; i < 4; i++) {
      int64_t before_bytes = out.size_bytes;
      written_budget.limit_bytes = written_budget.used_bytes + spare_bytes;
      enum status status = ipc_writer_batch(writer, batches[i], &out, NULL);
      written_budget.limit_bytes = limit_bytes;
      if (status == STATUS_OK) continue;
      refusals++;
      assert_int_equal(status, STATUS_BUDGET);
      assert_int_equal(out.size_bytes, before_bytes);
      assert_int_equal(ipc_writer_batch(writer, batches[i], &out, NULL), STATUS_OK);
    }
    assert_int_equal(ipc_writer_end(writer, &out, NULL), STATUS_OK);
    assert_int_equal(out.size_bytes, want.size_bytes);
    assert_memory_equal(out.data, want.data, (size_t)want.size_bytes);
    buffer_release(&out);
    ipc_writer_free(writer);
    assert_int_equal(written_budget.used_bytes, held_bytes);
  }
  assert_true(refusals > 40);
  buffer_release(&want);
  release_batches(made, 4);
  arrow_schema_release(&schema);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_a_dictionary_has_grown_by_is_sent),
      cmocka_unit_test(what_was_read_is_written_as_what_was_made),
      cmocka_unit_test(a_delta_has_only_what_is_new),
      cmocka_unit_test(dictionaries_of_any_type_grow),
      cmocka_unit_test(the_same_values_laid_out_otherwise_are_the_same_dictionary),
      cmocka_unit_test(a_broken_dictionary_is_not_compared),
      cmocka_unit_test(a_file_does_not_replace_a_dictionary),
      cmocka_unit_test(a_dictionary_is_sent_again_when_one_inside_it_is_another),
      cmocka_unit_test(a_dictionary_of_a_dictionary_is_refused),
      cmocka_unit_test(a_refused_delta_can_be_repeated),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
