#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/bitmap.h"
#include "arrow/build.h"
#include "arrow/layout.h"

static struct budget budget = {.limit_bytes = 16 << 20};

/* A record batch's schema: columns "0", "1", ... of the formats. */
static struct ArrowSchema schema_of(const char *const *formats, int64_t count) {
  static const char *const names[] = {"0", "1", "2", "3"};
  struct ArrowSchema schema = {0};
  assert_int_equal(arrow_schema_init(&schema, "+s", "", false, count, NULL), STATUS_OK);
  for (int64_t i = 0; i < count; i++)
    assert_int_equal(arrow_schema_init(schema.children[i], formats[i], names[i], true, 0, NULL),
                     STATUS_OK);
  return schema;
}

static struct build *new_build(struct ArrowSchema *schema) {
  struct build *build = NULL;
  assert_int_equal(build_new(schema, &budget, &build, NULL), STATUS_OK);
  arrow_schema_release(schema);
  return build;
}

static struct build *one_column(const char *format) {
  struct ArrowSchema schema = schema_of(&format, 1);
  return new_build(&schema);
}

/* A column of lists of int32, or of what `format` says. */
static struct build *list_column(const char *format) {
  struct ArrowSchema schema = {0};
  assert_int_equal(arrow_schema_init(&schema, "+s", "", false, 1, NULL), STATUS_OK);
  assert_int_equal(arrow_schema_init(schema.children[0], format, "list", true, 1, NULL), STATUS_OK);
  assert_int_equal(arrow_schema_init(schema.children[0]->children[0], "i", "item", true, 0, NULL),
                   STATUS_OK);
  return new_build(&schema);
}

static void end_row(struct build *build) { assert_int_equal(build_slot(build, NULL), STATUS_OK); }

static struct ArrowArray finish(struct build *build) {
  struct ArrowArray array = {0};
  assert_int_equal(build_finish(build, &array, NULL), STATUS_OK);
  return array;
}

/* Lets go of both; nothing is left behind. */
static void end(struct build *build, struct ArrowArray *array) {
  build_free(build);
  arrow_array_release(array);
  assert_int_equal(budget.used_bytes, 0);
}

static void integers_land_in_their_width(void **state) {
  (void)state;
  static const struct {
    const char *format;
    int64_t least, most;
    int bytes;
  } cases[] = {{"c", INT8_MIN, INT8_MAX, 1},         {"C", 0, UINT8_MAX, 1},
               {"s", INT16_MIN, INT16_MAX, 2},       {"S", 0, UINT16_MAX, 2},
               {"i", INT32_MIN, INT32_MAX, 4},       {"I", 0, UINT32_MAX, 4},
               {"l", INT64_MIN, INT64_MAX, 8},       {"L", 0, INT64_MAX, 8},
               {"tdD", INT32_MIN, INT32_MAX, 4},     {"tdm", INT64_MIN, INT64_MAX, 8},
               {"tts", INT32_MIN, INT32_MAX, 4},     {"ttn", INT64_MIN, INT64_MAX, 8},
               {"tsu:UTC", INT64_MIN, INT64_MAX, 8}, {"tDn", INT64_MIN, INT64_MAX, 8},
               {"tiM", INT32_MIN, INT32_MAX, 4}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct build *build = one_column(cases[i].format);
    struct build *column = build_child(build, 0);
    assert_int_equal(build_integer(column, cases[i].least, NULL), STATUS_OK);
    end_row(build);
    assert_int_equal(build_integer(column, cases[i].most, NULL), STATUS_OK);
    end_row(build);
    if (cases[i].most < INT64_MAX)
      assert_int_equal(build_integer(column, cases[i].most + 1, NULL), STATUS_SCHEMA);
    if (cases[i].least > INT64_MIN)
      assert_int_equal(build_integer(column, cases[i].least - 1, NULL), STATUS_SCHEMA);
    struct ArrowArray batch = finish(build);
    assert_int_equal(batch.length, 2);
    const uint8_t *values = batch.children[0]->buffers[1];
    assert_memory_equal(values, &cases[i].least, (size_t)cases[i].bytes);
    assert_memory_equal(values + cases[i].bytes, &cases[i].most, (size_t)cases[i].bytes);
    assert_null(batch.children[0]->buffers[0]);
    end(build, &batch);
  }
}

static void nulls_are_counted_and_marked(void **state) {
  (void)state;
  struct build *build = one_column("b");
  for (int i = 0; i < 20; i++) {
    struct build *column = build_child(build, 0);
    enum status status = i % 3 == 0 ? build_null(column, NULL) : build_integer(column, i % 2, NULL);
    assert_int_equal(status, STATUS_OK);
    end_row(build);
  }
  struct ArrowArray batch = finish(build);
  const struct ArrowArray *column = batch.children[0];
  assert_int_equal(column->null_count, 7);
  for (int i = 0; i < 20; i++) {
    assert_int_equal(bitmap_get(column->buffers[0], i), i % 3 != 0);
    if (i % 3 != 0) assert_int_equal(bitmap_get(column->buffers[1], i), i % 2);
  }
  end(build, &batch);
}

static void text_gets_offsets_or_views(void **state) {
  (void)state;
  static const char *const formats[] = {"u", "Z", "vu", "w:3"};
  struct ArrowSchema schema = schema_of(formats, 4);
  struct build *build = new_build(&schema);
  static const char *const words[] = {"abc", "thirteen long", ""};
  for (int row = 0; row < 3; row++) {
    for (int i = 0; i < 3; i++)
      assert_int_equal(
          build_bytes(build_child(build, i), words[row], (int64_t)strlen(words[row]), NULL),
          STATUS_OK);
    assert_int_equal(build_bytes(build_child(build, 3), "xyz", 3, NULL), STATUS_OK);
    end_row(build);
  }
  assert_int_equal(build_bytes(build_child(build, 3), "xy", 2, NULL), STATUS_SCHEMA);
  struct ArrowArray batch = finish(build);
  static const int32_t narrow[] = {0, 3, 16, 16};
  static const int64_t wide[] = {0, 3, 16, 16};
  assert_memory_equal(batch.children[0]->buffers[1], narrow, sizeof narrow);
  assert_memory_equal(batch.children[1]->buffers[1], wide, sizeof wide);
  assert_memory_equal(batch.children[0]->buffers[2], "abcthirteen long", 16);
  static const uint8_t views[2][VIEW_BYTES] = {
      {3, 0, 0, 0, 'a', 'b', 'c'}, {13, 0, 0, 0, 't', 'h', 'i', 'r', 0, 0, 0, 0, 0, 0, 0, 0}};
  assert_int_equal(batch.children[2]->n_buffers, 4);
  assert_memory_equal(batch.children[2]->buffers[1], views, sizeof views);
  assert_int_equal(*(const int64_t *)batch.children[2]->buffers[3], 13);
  assert_memory_equal(batch.children[3]->buffers[1], "xyzxyzxyz", 9);
  end(build, &batch);
}

static void lists_take_what_their_items_got(void **state) {
  (void)state;
  struct build *build = list_column("+l");
  struct build *list = build_child(build, 0);
  for (int row = 0; row < 4; row++) {
    for (int i = 0; i < row; i++)
      assert_int_equal(build_integer(build_child(list, 0), i, NULL), STATUS_OK);
    assert_int_equal(row == 0 ? build_null(list, NULL) : build_slot(list, NULL), STATUS_OK);
    end_row(build);
  }
  struct ArrowArray batch = finish(build);
  static const int32_t offsets[] = {0, 0, 1, 3, 6};
  assert_memory_equal(batch.children[0]->buffers[1], offsets, sizeof offsets);
  assert_int_equal(batch.children[0]->children[0]->length, 6);
  assert_int_equal(batch.children[0]->null_count, 1);
  end(build, &batch);
}

static void a_null_fixed_size_list_has_null_items(void **state) {
  (void)state;
  struct build *build = list_column("+w:2");
  struct build *list = build_child(build, 0);
  assert_int_equal(build_null(list, NULL), STATUS_OK);
  end_row(build);
  assert_int_equal(build_integer(build_child(list, 0), 7, NULL), STATUS_OK);
  assert_int_equal(build_slot(list, NULL), STATUS_SCHEMA);
  assert_int_equal(build_integer(build_child(list, 0), 8, NULL), STATUS_OK);
  assert_int_equal(build_slot(list, NULL), STATUS_OK);
  end_row(build);
  struct ArrowArray batch = finish(build);
  assert_int_equal(batch.children[0]->length, 2);
  assert_int_equal(batch.children[0]->children[0]->length, 4);
  assert_int_equal(batch.children[0]->children[0]->null_count, 2);
  end(build, &batch);
}

static void a_row_needs_every_column(void **state) {
  (void)state;
  static const char *const formats[] = {"i", "g"};
  struct ArrowSchema schema = schema_of(formats, 2);
  struct build *build = new_build(&schema);
  struct error error = {0};
  assert_int_equal(build_integer(build_child(build, 0), 1, NULL), STATUS_OK);
  assert_int_equal(build_slot(build, &error), STATUS_SCHEMA);
  assert_non_null(strstr(error.text, "\"1\""));
  struct ArrowArray batch = {0};
  assert_int_equal(build_finish(build, &batch, &error), STATUS_INVALID);
  assert_int_equal(build_double(build_child(build, 1), 1.5, NULL), STATUS_OK);
  end_row(build);
  batch = finish(build);
  assert_int_equal(batch.length, 1);
  end(build, &batch);
}

static void a_builder_starts_anew_after_each_batch(void **state) {
  (void)state;
  struct build *build = one_column("u");
  for (int round = 0; round < 3; round++) {
    struct ArrowArray batch = finish(build);
    assert_int_equal(batch.length, 0);
    arrow_array_release(&batch);
    assert_int_equal(build_bytes(build_child(build, 0), "one", 3, NULL), STATUS_OK);
    end_row(build);
    batch = finish(build);
    static const int32_t offsets[] = {0, 3};
    assert_int_equal(batch.length, 1);
    assert_memory_equal(batch.children[0]->buffers[1], offsets, sizeof offsets);
    arrow_array_release(&batch);
  }
  build_free(build);
  assert_int_equal(budget.used_bytes, 0);
}

static void dictionaries_have_indices_and_values(void **state) {
  (void)state;
  struct ArrowSchema values = {.format = "u"};
  struct ArrowSchema column = {.format = "c", .name = "d", .dictionary = &values};
  struct ArrowSchema *columns[] = {&column};
  struct ArrowSchema schema = {.format = "+s", .n_children = 1, .children = columns};
  struct build *build = NULL;
  assert_int_equal(build_new(&schema, &budget, &build, NULL), STATUS_OK);
  struct build *indices = build_child(build, 0);
  assert_int_equal(build_bytes(build_child(indices, 0), "red", 3, NULL), STATUS_OK);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(build_integer(indices, 0, NULL), STATUS_OK);
    end_row(build);
  }
  struct ArrowArray batch = finish(build);
  assert_int_equal(batch.children[0]->length, 2);
  assert_int_equal(batch.children[0]->dictionary->length, 1);
  assert_memory_equal(batch.children[0]->dictionary->buffers[2], "red", 3);
  end(build, &batch);
}

static void values_of_another_type_are_refused(void **state) {
  (void)state;
  struct build *build = one_column("u");
  struct build *column = build_child(build, 0);
  assert_int_equal(build_integer(column, 1, NULL), STATUS_SCHEMA);
  assert_int_equal(build_double(column, 1, NULL), STATUS_SCHEMA);
  assert_int_equal(build_slot(column, NULL), STATUS_SCHEMA);
  struct ArrowArray batch = finish(build);
  assert_int_equal(batch.length, 0);
  end(build, &batch);
}

static void types_that_cannot_be_built_are_named(void **state) {
  (void)state;
  static const char *const formats[] = {"i", "+us:"};
  struct ArrowSchema schema = schema_of(formats, 2);
  struct build *build = NULL;
  struct error error = {0};
  assert_int_equal(build_new(&schema, &budget, &build, &error), STATUS_UNSUPPORTED);
  assert_non_null(strstr(error.text, "\"1\""));
  assert_null(build);
  arrow_schema_release(&schema);
}

/* An append that is refused for lack of memory has done nothing: with more of it the
 * same call goes on, whichever allocation it was that failed. */
static void a_refused_append_can_be_repeated(void **state) {
  (void)state;
  enum { ROWS = 200 };
  int refusals = 0;
  for (int64_t limit_bytes = 0; limit_bytes < 4096; limit_bytes += 64) {
    struct build *build = list_column("+l");
    struct build *list = build_child(build, 0);
    budget.limit_bytes = limit_bytes;
    for (int row = 0; row < ROWS; row++) {
      while (build_integer(build_child(list, 0), row, NULL) != STATUS_OK) {
        budget.limit_bytes += 64;
        refusals++;
      }
      while (build_slot(list, NULL) != STATUS_OK) budget.limit_bytes += 64;
      while (build_slot(build, NULL) != STATUS_OK) budget.limit_bytes += 64;
    }
    budget.limit_bytes = 16 << 20;
    struct ArrowArray batch = finish(build);
    const int32_t *offsets = batch.children[0]->buffers[1];
    const int32_t *items = batch.children[0]->children[0]->buffers[1];
    for (int row = 0; row < ROWS; row++) {
      assert_int_equal(offsets[row], row);
      assert_int_equal(items[row], row);
    }
    end(build, &batch);
  }
  assert_true(refusals > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(integers_land_in_their_width),
      cmocka_unit_test(nulls_are_counted_and_marked),
      cmocka_unit_test(text_gets_offsets_or_views),
      cmocka_unit_test(lists_take_what_their_items_got),
      cmocka_unit_test(a_null_fixed_size_list_has_null_items),
      cmocka_unit_test(a_row_needs_every_column),
      cmocka_unit_test(a_builder_starts_anew_after_each_batch),
      cmocka_unit_test(dictionaries_have_indices_and_values),
      cmocka_unit_test(values_of_another_type_are_refused),
      cmocka_unit_test(types_that_cannot_be_built_are_named),
      cmocka_unit_test(a_refused_append_can_be_repeated),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
