/* Types by their format strings and names, schemas compared and copied, and arrays with
 * several owners. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "arrow/array_walk.h"
#include "arrow/build.h"
#include "arrow/schema.h"

static struct budget budget = {.limit_bytes = 64 << 20};

/* ---- types ------------------------------------------------------------------------------- */

static struct ArrowSchema field(const char *format) {
  struct ArrowSchema schema = {.release = NULL};
  assert_int_equal(arrow_schema_init(&schema, format, "item", true, 0, NULL), STATUS_OK);
  return schema;
}

static void formats_are_printed_as_people_write_types(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"n", "null"},
      {"b", "bool"},
      {"c", "int8"},
      {"L", "uint64"},
      {"e", "float16"},
      {"g", "float64"},
      {"u", "utf8"},
      {"U", "large_utf8"},
      {"vz", "binary_view"},
      {"w:16", "fixed_size_binary[16]"},
      {"d:10,2", "decimal128(10, 2)"},
      {"d:76,-3,256", "decimal256(76, -3)"},
      {"d:9,0,32", "decimal32(9, 0)"},
      {"tdD", "date32"},
      {"ttu", "time64[us]"},
      {"tsm:", "timestamp[ms]"},
      {"tsu:UTC", "timestamp[us, UTC]"},
      {"tsn:America/New_York", "timestamp[ns, America/New_York]"},
      {"tDs", "duration[s]"},
      {"tin", "interval_month_day_nano"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema schema = field(cases[i][0]);
    struct text text = TEXT_EMPTY;
    assert_int_equal(arrow_type_print(&schema, &text, NULL), STATUS_OK);
    assert_string_equal(text_get(&text), cases[i][1]);
    text_release(&text);
    arrow_schema_release(&schema);
  }
}

static void formats_that_are_not_arrows_are_refused(void **state) {
  (void)state;
  static const char *const cases[] = {
      "",          "q",      "nn",      "d:",         "d:10",          "d:10,",
      "d:0,0",     "d:39,0", "d:10,2,", "d:10,2,64x", "d:77,0,256",    "d:10,0,32",
      "d:5,0,100", "w:",     "w:-1",    "w:4x",       "w:99999999999", "ts",
      "tsx:",      "tsu",    "tss",     "+",          "+w:",           "+x",
      "tD",        "tDx",    "ti",      "v",          "tdd",           "d:10,2 ",
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct arrow_type type;
    struct error error = {0};
    if (arrow_type_parse(cases[i], &type, &error) != STATUS_INVALID)
      fail_msg("\"%s\" was taken", cases[i]);
    assert_non_null(strstr(error.text, cases[i]));
  }
}

static void nested_types_are_printed_with_what_they_hold(void **state) {
  (void)state;
  struct ArrowSchema item = {.format = "i", .name = "item"};
  struct ArrowSchema values = {.format = "u"};
  struct ArrowSchema code = {.format = "c", .name = "code", .dictionary = &values};
  struct ArrowSchema *items[] = {&item};
  struct ArrowSchema list = {.format = "+l", .name = "list", .n_children = 1, .children = items};
  struct ArrowSchema *columns[] = {&list, &code};
  struct ArrowSchema schema = {.format = "+s", .n_children = 2, .children = columns};
  struct text text = TEXT_EMPTY;
  assert_int_equal(arrow_type_print(&schema, &text, NULL), STATUS_OK);
  assert_string_equal(text_get(&text), "struct<list: list<item: int32>, code: "
                                       "dictionary<values=utf8, indices=int8>>");
  text_release(&text);
}

/* ---- schemas ------------------------------------------------------------------------------- */

/* "id" (int64, not null), "tags" (list of utf8), "colour" (dictionary of utf8). */
static struct ArrowSchema make_schema(void) {
  static const char pair[] = "\1\0\0\0\3\0\0\0key\5\0\0\0value";
  struct ArrowSchema item = {.format = "u", .name = "item", .flags = ARROW_FLAG_NULLABLE};
  struct ArrowSchema *items[] = {&item};
  struct ArrowSchema values = {.format = "u", .flags = ARROW_FLAG_NULLABLE};
  struct ArrowSchema id = {.format = "l", .name = "id", .metadata = pair};
  struct ArrowSchema tags = {.format = "+l",
                             .name = "tags",
                             .flags = ARROW_FLAG_NULLABLE,
                             .n_children = 1,
                             .children = items};
  struct ArrowSchema colour = {
      .format = "c", .name = "colour", .flags = ARROW_FLAG_NULLABLE, .dictionary = &values};
  struct ArrowSchema *columns[] = {&id, &tags, &colour};
  struct ArrowSchema schema = {
      .format = "+s", .metadata = pair, .n_children = 3, .children = columns};
  struct ArrowSchema copy = {.release = NULL};
  assert_int_equal(arrow_schema_copy(&schema, &copy, NULL), STATUS_OK);
  return copy;
}

static void a_copy_is_equal_and_owns_everything(void **state) {
  (void)state;
  struct ArrowSchema schema = make_schema();
  struct ArrowSchema copy = {.release = NULL};
  assert_int_equal(arrow_schema_copy(&schema, &copy, NULL), STATUS_OK);
  assert_true(arrow_schema_equal(&schema, &copy, NULL));
  arrow_schema_release(&schema);
  assert_string_equal(copy.children[1]->children[0]->name, "item");
  assert_string_equal(copy.children[2]->dictionary->format, "u");
  assert_memory_equal(copy.children[0]->metadata, "\1\0\0\0\3\0\0\0key\5\0\0\0value", 20);
  assert_memory_equal(copy.metadata, "\1\0\0\0\3\0\0\0key\5\0\0\0value", 20);
  arrow_schema_release(&copy);
}

/* One change each to the schema above. */
static void a_field_gets_another_format_and_name(void **state) {
  (void)state;
  struct ArrowSchema schema;
  assert_int_equal(arrow_schema_init(&schema, "tsu:UTC", "time", true, 0, NULL), STATUS_OK);
  assert_int_equal(arrow_schema_set(&schema, NULL, "when", NULL), STATUS_OK);
  assert_string_equal(schema.format, "tsu:UTC");
  assert_string_equal(schema.name, "when");
  assert_int_equal(arrow_schema_set(&schema, "tsu:", NULL, NULL), STATUS_OK);
  assert_string_equal(schema.format, "tsu:");
  assert_string_equal(schema.name, "when");
  assert_int_equal(schema.flags, ARROW_FLAG_NULLABLE);
  arrow_schema_release(&schema);
}

static void rename_id(struct ArrowSchema *schema) { schema->children[0]->name = "ID"; }
static void widen_id(struct ArrowSchema *schema) { schema->children[0]->format = "d:20,0"; }
static void nullable_id(struct ArrowSchema *schema) {
  schema->children[0]->flags = ARROW_FLAG_NULLABLE;
}
static void other_items(struct ArrowSchema *schema) {
  schema->children[1]->children[0]->format = "z";
}
static void other_indices(struct ArrowSchema *schema) { schema->children[2]->format = "s"; }
static void other_values(struct ArrowSchema *schema) {
  schema->children[2]->dictionary->format = "U";
}
static void one_column_less(struct ArrowSchema *schema) {
  arrow_schema_release(schema->children[2]);
  schema->n_children = 2;
}

static void schemas_that_differ_say_where(void **state) {
  (void)state;
  static const struct {
    void (*change)(struct ArrowSchema *schema);
    const char *said;
  } cases[] = {
      {rename_id, "\"ID\""},       {widen_id, "decimal128(20, 0)"},  {nullable_id, "not null"},
      {other_items, "binary"},     {other_indices, "indices=int16"}, {other_values, "large_utf8"},
      {one_column_less, "struct"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema schema = make_schema();
    struct ArrowSchema other = make_schema();
    struct ArrowSchema *dropped = other.children[2];
    struct error where = {0};
    cases[i].change(&other);
    assert_false(arrow_schema_equal(&schema, &other, &where));
    if (strstr(where.text, cases[i].said) == NULL)
      fail_msg("\"%s\" does not say \"%s\"", where.text, cases[i].said);
    other.n_children = 3; /* so that its place is released too */
    other.children[2] = dropped;
    arrow_schema_release(&schema);
    arrow_schema_release(&other);
  }
}

static void metadata_does_not_make_schemas_different(void **state) {
  (void)state;
  struct ArrowSchema schema = make_schema();
  struct ArrowSchema *id = schema.children[0];
  struct ArrowSchema copy = {.release = NULL};
  const char *metadata = id->metadata;
  id->metadata = NULL;
  assert_int_equal(arrow_schema_copy(&schema, &copy, NULL), STATUS_OK);
  id->metadata = metadata;
  assert_true(arrow_schema_equal(&schema, &copy, NULL));
  arrow_schema_release(&schema);
  arrow_schema_release(&copy);
}

static void a_schema_that_is_nested_too_deep_is_not_copied(void **state) {
  (void)state;
  enum { DEPTH = ARROW_DEPTH_MAX + 5 };
  static struct ArrowSchema levels[DEPTH];
  static struct ArrowSchema *children[DEPTH];
  for (int i = 0; i < DEPTH; i++) {
    bool is_leaf = i == DEPTH - 1;
    if (!is_leaf) children[i] = &levels[i + 1];
    levels[i] = (struct ArrowSchema){.format = is_leaf ? "i" : "+l",
                                     .name = "item",
                                     .n_children = is_leaf ? 0 : 1,
                                     .children = is_leaf ? NULL : &children[i]};
  }
  struct ArrowSchema copy;
  assert_int_equal(arrow_schema_copy(&levels[0], &copy, NULL), STATUS_INVALID);
  assert_null(copy.release);
}

/* ---- shared arrays --------------------------------------------------------------------------- */

/* Row i: id i, i % 3 tags "t" (row 4 null), colour i % 2. */
static struct ArrowArray make_batch(const struct ArrowSchema *schema, int64_t rows) {
  struct build *build = NULL;
  struct ArrowArray batch = {.release = NULL};
  assert_int_equal(build_new(schema, &budget, &build, NULL), STATUS_OK);
  struct build *tags = build_child(build, 1);
  struct build *colour = build_child(build, 2);
  assert_int_equal(build_bytes(build_child(colour, 0), "red", 3, NULL), STATUS_OK);
  assert_int_equal(build_bytes(build_child(colour, 0), "blue", 4, NULL), STATUS_OK);
  for (int64_t i = 0; i < rows; i++) {
    assert_int_equal(build_integer(build_child(build, 0), i, NULL), STATUS_OK);
    for (int64_t k = 0; k < i % 3 && i != 4; k++)
      assert_int_equal(build_bytes(build_child(tags, 0), "t", 1, NULL), STATUS_OK);
    assert_int_equal(i == 4 ? build_null(tags, NULL) : build_slot(tags, NULL), STATUS_OK);
    assert_int_equal(build_integer(colour, i % 2, NULL), STATUS_OK);
    assert_int_equal(build_slot(build, NULL), STATUS_OK);
  }
  assert_int_equal(build_finish(build, &batch, NULL), STATUS_OK);
  build_free(build);
  return batch;
}

static void a_slice_shows_its_rows_and_no_others(void **state) {
  (void)state;
  struct ArrowSchema schema = make_schema();
  struct ArrowArray batch = make_batch(&schema, 10);
  struct arrow_shared *shared = NULL;
  struct ArrowArray slice;
  assert_int_equal(arrow_shared_new(&batch, &shared, NULL), STATUS_OK);
  assert_null(batch.release);
  assert_int_equal(arrow_shared_array(shared)->length, 10);
  assert_int_equal(arrow_shared_slice(shared, 3, 4, &slice, NULL), STATUS_OK);
  assert_int_equal(slice.length, 4);
  assert_int_equal(slice.offset, 0);
  assert_null(array_walk(&schema, &slice, NULL));
  for (int64_t i = 0; i < slice.n_children; i++) assert_int_equal(slice.children[i]->length, 4);
  const struct ArrowArray *id = slice.children[0];
  const struct ArrowArray *tags = slice.children[1];
  const int32_t *offsets = tags->buffers[1];
  for (int64_t row = 0; row < 4; row++) {
    int64_t wanted = row + 3;
    assert_int_equal(((const int64_t *)id->buffers[1])[id->offset + row], wanted);
    assert_int_equal(bitmap_get(tags->buffers[0], tags->offset + row), wanted != 4);
    assert_int_equal(offsets[tags->offset + row + 1] - offsets[tags->offset + row],
                     wanted == 4 ? 0 : wanted % 3);
  }
  arrow_array_release(&slice);
  assert_int_equal(arrow_shared_slice(shared, 10, 0, &slice, NULL), STATUS_OK);
  assert_int_equal(slice.length, 0);
  assert_null(array_walk(&schema, &slice, NULL));
  arrow_array_release(&slice);
  arrow_shared_release(shared);
  arrow_schema_release(&schema);
  assert_int_equal(budget.used_bytes, 0);
}

static void *release_elsewhere(void *context) {
  arrow_array_release(context);
  return NULL;
}

static void the_last_slice_lets_go_of_the_array_on_whichever_thread(void **state) {
  (void)state;
  enum { SLICES = 8 };
  struct ArrowSchema schema = make_schema();
  struct ArrowArray batch = make_batch(&schema, SLICES);
  struct arrow_shared *shared = NULL;
  struct ArrowArray slices[SLICES];
  pthread_t threads[SLICES];
  assert_int_equal(arrow_shared_new(&batch, &shared, NULL), STATUS_OK);
  for (int i = 0; i < SLICES; i++)
    assert_int_equal(arrow_shared_slice(shared, i, 1, &slices[i], NULL), STATUS_OK);
  arrow_shared_release(shared);
  assert_true(budget.used_bytes > 0);
  for (int i = 0; i < SLICES; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, release_elsewhere, &slices[i]), 0);
  for (int i = 0; i < SLICES; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
  assert_int_equal(budget.used_bytes, 0);
  arrow_schema_release(&schema);
}

static void a_child_of_a_slice_keeps_the_array_alive(void **state) {
  (void)state;
  struct ArrowSchema schema = make_schema();
  struct ArrowArray batch = make_batch(&schema, 6);
  struct arrow_shared *shared = NULL;
  struct ArrowArray slice;
  struct ArrowArray child;
  assert_int_equal(arrow_shared_new(&batch, &shared, NULL), STATUS_OK);
  assert_int_equal(arrow_shared_slice(shared, 2, 3, &slice, NULL), STATUS_OK);
  arrow_shared_release(shared);
  arrow_array_move(slice.children[0], &child);
  arrow_array_release(&slice);
  assert_int_equal(((const int64_t *)child.buffers[1])[child.offset], 2);
  arrow_array_release(&child);
  assert_int_equal(budget.used_bytes, 0);
  arrow_schema_release(&schema);
}

static void the_bytes_of_an_array_are_those_that_its_rows_use(void **state) {
  (void)state;
  struct ArrowSchema schema = make_schema();
  struct ArrowArray batch = make_batch(&schema, 6);
  struct arrow_shared *shared = NULL;
  struct ArrowArray slice;
  /* ids; tags: bitmap, offsets, then 0+1+2+0+0+2 items of an offset and a byte each;
   * indices; the dictionary's offsets and text, whole. */
  int64_t dictionary = 3 * 4 + 7;
  int64_t all = 6 * 8 + (1 + 7 * 4 + (6 * 4 + 5)) + 6 + dictionary;
  assert_int_equal(arrow_array_bytes(&schema, &batch), all);
  assert_int_equal(arrow_shared_new(&batch, &shared, NULL), STATUS_OK);
  assert_int_equal(arrow_shared_slice(shared, 1, 2, &slice, NULL), STATUS_OK);
  int64_t some = 2 * 8 + (1 + 3 * 4 + (4 * 4 + 3)) + 2 + dictionary;
  assert_int_equal(arrow_array_bytes(&schema, &slice), some);
  arrow_array_release(&slice);
  arrow_shared_release(shared);
  arrow_schema_release(&schema);
}

static void the_bytes_of_views_are_views_and_what_they_point_to(void **state) {
  (void)state;
  struct ArrowSchema schema = {.release = NULL};
  struct build *build = NULL;
  struct ArrowArray batch = {.release = NULL};
  assert_int_equal(arrow_schema_init(&schema, "+s", "", false, 1, NULL), STATUS_OK);
  assert_int_equal(arrow_schema_init(schema.children[0], "vu", "word", true, 0, NULL), STATUS_OK);
  assert_int_equal(build_new(&schema, &budget, &build, NULL), STATUS_OK);
  static const char *const words[] = {"short", "one that does not fit", ""};
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(build_bytes(build_child(build, 0), words[i], (int64_t)strlen(words[i]), NULL),
                     STATUS_OK);
    assert_int_equal(build_slot(build, NULL), STATUS_OK);
  }
  assert_int_equal(build_finish(build, &batch, NULL), STATUS_OK);
  assert_int_equal(arrow_array_bytes(&schema, &batch), 3 * 16 + (int64_t)strlen(words[1]));
  arrow_array_release(&batch);
  build_free(build);
  arrow_schema_release(&schema);
}

/* Their slots lie anywhere in their children, which may be shorter than they are. */
static void the_bytes_of_what_points_anywhere_are_those_of_whole_children(void **state) {
  (void)state;
  struct ArrowSchema item = {.format = "u", .name = "item"};
  struct ArrowSchema ends_schema = {.format = "i", .name = "run_ends"};
  struct ArrowSchema *items[] = {&item};
  struct ArrowSchema *runs[] = {&ends_schema, &item};
  static const int32_t offsets[] = {0, 2};
  static const int32_t zeros[3];
  static const int32_t run_ends[] = {3};
  static const int8_t type_ids[3];
  const void *text[] = {NULL, offsets, "ab"};
  const void *none[] = {NULL, NULL, NULL};
  const void *lists[] = {NULL, zeros, zeros};
  const void *slots[] = {type_ids, zeros};
  const void *ends[] = {NULL, run_ends};
  struct ArrowArray empty = {.n_buffers = 3, .buffers = none};
  struct ArrowArray one = {.length = 1, .n_buffers = 3, .buffers = text};
  struct ArrowArray end = {.length = 1, .n_buffers = 2, .buffers = ends};
  struct ArrowArray *of_empty[] = {&empty};
  struct ArrowArray *of_one[] = {&one};
  struct ArrowArray *of_runs[] = {&end, &one};
  int64_t one_bytes = 2 * 4 + 2;
  const struct {
    struct ArrowSchema schema;
    struct ArrowArray array;
    int64_t bytes;
  } cases[] = {
      {{.format = "+vl", .n_children = 1, .children = items},
       {.length = 3, .n_buffers = 3, .buffers = lists, .n_children = 1, .children = of_empty},
       3 * 2 * 4},
      {{.format = "+ud:0", .n_children = 1, .children = items},
       {.length = 3, .n_buffers = 2, .buffers = slots, .n_children = 1, .children = of_one},
       3 * 5 + one_bytes},
      {{.format = "+r", .n_children = 2, .children = runs},
       {.length = 3, .n_children = 2, .children = of_runs},
       4 + one_bytes},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_int_equal(arrow_array_bytes(&cases[i].schema, &cases[i].array), cases[i].bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(formats_are_printed_as_people_write_types),
      cmocka_unit_test(formats_that_are_not_arrows_are_refused),
      cmocka_unit_test(nested_types_are_printed_with_what_they_hold),
      cmocka_unit_test(a_copy_is_equal_and_owns_everything),
      cmocka_unit_test(schemas_that_differ_say_where),
      cmocka_unit_test(metadata_does_not_make_schemas_different),
      cmocka_unit_test(a_field_gets_another_format_and_name),
      cmocka_unit_test(a_schema_that_is_nested_too_deep_is_not_copied),
      cmocka_unit_test(a_slice_shows_its_rows_and_no_others),
      cmocka_unit_test(the_last_slice_lets_go_of_the_array_on_whichever_thread),
      cmocka_unit_test(a_child_of_a_slice_keeps_the_array_alive),
      cmocka_unit_test(the_bytes_of_an_array_are_those_that_its_rows_use),
      cmocka_unit_test(the_bytes_of_views_are_views_and_what_they_point_to),
      cmocka_unit_test(the_bytes_of_what_points_anywhere_are_those_of_whole_children),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
