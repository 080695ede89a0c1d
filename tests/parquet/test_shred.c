/* Shredding against a shredder that goes down for each value, over random arrays of random schemas; and
 * against what people have written down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/array.h"
#include "arrow/bitmap.h"
#include "arrow/handmade.h"
#include "parquet/field.h"
#include "parquet/random_array.h"
#include "parquet/shred.h"

#define F            FIELD
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { ENTRIES_MAX = 1 << 20, DEPTH = 5 };

static struct budget budget = {.limit_bytes = (int64_t)1 << 30};

/* ---- value by value --------------------------------------------------------------------- */

struct naive {
  const struct parquet_leaf *leaf;
  uint8_t *def, *rep;
  int64_t *slots;
  int64_t count, present;
};

static struct naive naive_new(const struct parquet_leaf *leaf) {
  struct naive naive = {.leaf = leaf,
                        .def = malloc(ENTRIES_MAX),
                        .rep = malloc(ENTRIES_MAX),
                        .slots = malloc(ENTRIES_MAX * sizeof(int64_t))};
  assert_true(naive.def != NULL && naive.rep != NULL && naive.slots != NULL);
  return naive;
}

static void naive_free(struct naive *naive) {
  free(naive->def);
  free(naive->rep);
  free(naive->slots);
}

static void emit(struct naive *naive, int rep, int def, int64_t slot) {
  assert_true(naive->count < ENTRIES_MAX);
  naive->rep[naive->count] = (uint8_t)rep;
  naive->def[naive->count++] = (uint8_t)def;
  if (slot >= 0) naive->slots[naive->present++] = slot;
}

static int64_t get(const void *numbers, int64_t bytes, bool is_signed, int64_t index) {
  uint64_t number = 0;
  memcpy(&number, (const uint8_t *)numbers + index * bytes, (size_t)bytes);
  int unused = 64 - 8 * (int)bytes;
  return is_signed ? (int64_t)(number << unused) >> unused : (int64_t)number;
}

static void go(struct naive *naive, int32_t index, const struct ArrowArray *array, int64_t position,
               int rep) {
  const struct parquet_step *step = &naive->leaf->steps[index];
  enum parquet_step_kind kind = step->kind;
  if (kind == PARQUET_STEP_RUNS) {
    const struct ArrowArray *ends = array->children[0];
    int64_t run = 0;
    while (get(ends->buffers[1], step->type.bit_width / 8, true, ends->offset + run) <= position)
      run++;
    go(naive, index + 1, array->children[1], array->children[1]->offset + run, rep);
    return;
  }
  bool is_null = step->type.kind == ARROW_NULL ||
                 (array->null_count != 0 && array->n_buffers > 0 && array->buffers[0] != NULL &&
                  !bitmap_get(array->buffers[0], position));
  if (is_null) {
    assert_true(step->is_nullable);
    emit(naive, rep, step->null_def, -1);
    return;
  }
  if (kind == PARQUET_STEP_LEAF) {
    emit(naive, rep, step->present_def, position);
    return;
  }
  if (kind == PARQUET_STEP_STRUCT) {
    const struct ArrowArray *child = array->children[step->child];
    go(naive, index + 1, child, child->offset + position, rep);
    return;
  }
  if (kind == PARQUET_STEP_DICTIONARY) {
    int64_t code =
        get(array->buffers[1], step->type.bit_width / 8, step->schema->format[0] >= 'a', position);
    go(naive, index + 1, array->dictionary, array->dictionary->offset + code, rep);
    return;
  }
  bool is_large = kind == PARQUET_STEP_LARGE_LIST || kind == PARQUET_STEP_LARGE_LIST_VIEW;
  int64_t bytes = is_large ? 8 : 4, start, length;
  if (kind == PARQUET_STEP_FIXED_LIST) {
    start = position * step->type.fixed_size;
    length = step->type.fixed_size;
  } else if (kind == PARQUET_STEP_LIST || kind == PARQUET_STEP_LARGE_LIST) {
    start = get(array->buffers[1], bytes, true, position);
    length = get(array->buffers[1], bytes, true, position + 1) - start;
  } else {
    start = get(array->buffers[1], bytes, true, position);
    length = get(array->buffers[2], bytes, true, position);
  }
  if (length == 0) emit(naive, rep, step->present_def - 1, -1);
  const struct ArrowArray *items = array->children[0];
  for (int64_t i = 0; i < length; i++)
    go(naive, index + 1, items, items->offset + start + i, i == 0 ? rep : step->rep);
}

static void naive_rows(struct naive *naive, const struct ArrowArray *batch, int64_t row,
                       int64_t rows) {
  const struct ArrowArray *column = batch->children[naive->leaf->top_level];
  for (int64_t i = 0; i < rows; i++)
    go(naive, 0, column, batch->offset + row + i + column->offset, 0);
}

/* ---- comparing --------------------------------------------------------------------------- */

static void check_slots(const struct parquet_slots *slots, const int64_t *wanted, int64_t count) {
  assert_int_equal(slots->count, count);
  if (slots->slots != NULL) {
    for (int64_t i = 0; i < count; i++) assert_int_equal(slots->slots[i], wanted[i]);
  } else if (slots->validity != NULL) {
    int64_t at = 0;
    for (int64_t i = 0; i < slots->span; i++) {
      if (!bitmap_get(slots->validity, slots->first + i)) continue;
      assert_true(at < count);
      assert_int_equal(slots->first + i, wanted[at++]);
    }
    assert_int_equal(at, count);
  } else {
    for (int64_t i = 0; i < count; i++) assert_int_equal(slots->first + i, wanted[i]);
  }
}

static void check_levels(const struct parquet_levels *levels, const struct naive *wanted) {
  const struct parquet_leaf *leaf = wanted->leaf;
  assert_int_equal(levels->count, wanted->count);
  assert_int_equal(levels->present_count, wanted->present);
  if (levels->has_def) {
    assert_int_equal(levels->def.size_bytes, wanted->count);
    assert_memory_equal(levels->def.data, wanted->def, (size_t)wanted->count);
  } else {
    for (int64_t i = 0; i < wanted->count; i++) assert_int_equal(wanted->def[i], leaf->max_def);
  }
  assert_int_equal(levels->rep.size_bytes, leaf->max_rep > 0 ? wanted->count : 0);
  if (leaf->max_rep > 0) assert_memory_equal(levels->rep.data, wanted->rep, (size_t)wanted->count);
}

/* Which forms have been seen: a test that never meets one shows nothing about it. */
static int forms_seen[4];

static void note_form(const struct parquet_slots *slots, const struct parquet_levels *levels) {
  forms_seen[slots->slots != NULL ? 2 : slots->validity != NULL]++;
  forms_seen[3] += !levels->has_def;
}

/* The rows in three parts, one behind the other. */
static void shred_in_parts(struct random *random, const struct parquet_leaf *leaf,
                           const struct ArrowArray *batch, int64_t rows,
                           struct parquet_shredder *shredder) {
  struct parquet_levels levels = {0};
  struct naive wanted = naive_new(leaf);
  int64_t row = random_to(random, rows / 4);
  int64_t first = row;
  while (row < rows) {
    int64_t part = random_to(random, rows - row);
    if (part == 0) part = 1;
    int64_t present = wanted.present;
    naive_rows(&wanted, batch, row, part);
    struct parquet_slots slots;
    struct error error = {.text = ""};
    if (parquet_shred(leaf, batch, row, part, 0, shredder, &levels, &slots, &error) != STATUS_OK)
      fail_msg("%s", error.text);
    check_slots(&slots, wanted.slots + present, wanted.present - present);
    note_form(&slots, &levels);
    row += part;
  }
  check_levels(&levels, &wanted);
  assert_int_equal(levels.rows, rows - first);
  parquet_levels_release(&levels);
  naive_free(&wanted);
}

/* ---- measuring --------------------------------------------------------------------------- */

static int64_t levels_of(const struct parquet_leaf *leaf, const struct ArrowArray *batch,
                         int64_t row, int64_t rows) {
  struct naive naive = naive_new(leaf);
  naive_rows(&naive, batch, row, rows);
  naive_free(&naive);
  return naive.count;
}

static bool is_exact(const struct parquet_leaf *leaf) {
  int lists = 0;
  for (int32_t i = 0; i < leaf->step_count; i++) {
    enum parquet_step_kind kind = leaf->steps[i].kind;
    lists += kind == PARQUET_STEP_LIST || kind == PARQUET_STEP_LARGE_LIST;
    if (kind == PARQUET_STEP_STRUCT && leaf->steps[i].is_nullable) return false;
    if (kind != PARQUET_STEP_STRUCT && kind != PARQUET_STEP_LIST &&
        kind != PARQUET_STEP_LARGE_LIST && kind != PARQUET_STEP_LEAF)
      return false;
  }
  return lists <= 1;
}

static void measure_rows(struct random *random, const struct parquet_leaf *leaf,
                         const struct ArrowArray *batch, int64_t rows) {
  for (int i = 0; i < 4; i++) {
    int64_t row = random_to(random, rows - 1), values_max = random_to(random, 3 * rows);
    int64_t bytes_max = i < 2 ? INT64_MAX : random_to(random, 8 * rows);
    bool one = random_to(random, 1) == 0;
    struct parquet_extent extent =
        parquet_measure(leaf, batch, row, rows - row, values_max, bytes_max, one);
    assert_true(extent.rows >= one && extent.rows <= rows - row);
    assert_true(levels_of(leaf, batch, row, extent.rows) <= extent.values);
    if (extent.rows > one) assert_true(extent.values <= values_max && extent.bytes <= bytes_max);
    if (!is_exact(leaf)) continue;
    assert_int_equal(levels_of(leaf, batch, row, extent.rows), extent.values);
    if (i < 2 && row + extent.rows < rows)
      assert_true(levels_of(leaf, batch, row, extent.rows + 1) > values_max);
  }
}

/* ---- at random --------------------------------------------------------------------------- */

static void one_round(struct random *random, struct parquet_shredder *shredder) {
  struct ArrowSchema arrow = random_schema(random, (int)random_to(random, DEPTH));
  struct parquet_schema *schema = NULL;
  struct error error = {.text = ""};
  if (parquet_schema_new(&arrow, &schema, &error) != STATUS_OK) fail_msg("%s", error.text);
  int64_t rows = 1 + random_to(random, random_to(random, 3) == 0 ? 400 : 20);
  struct ArrowArray batch = random_batch(random, &arrow, rows);
  for (int32_t i = 0; i < schema->leaf_count; i++) {
    shred_in_parts(random, &schema->leaves[i], &batch, rows, shredder);
    measure_rows(random, &schema->leaves[i], &batch, rows);
  }
  arrow_array_release(&batch);
  parquet_schema_free(schema);
  arrow_schema_release(&arrow);
}

static void random_arrays_are_shredded_as_one_by_one(void **state) {
  (void)state;
  struct parquet_shredder shredder = {.budget = &budget};
  const char *more = getenv("SHRED_ROUNDS");
  int64_t rounds = more == NULL ? 1500 : strtoll(more, NULL, 10);
  for (int64_t i = 1; i <= rounds; i++) {
    struct random random = {.state = (uint64_t)i * 0x9e3779b97f4a7c15U};
    one_round(&random, &shredder);
  }
  for (size_t i = 0; i < COUNT(forms_seen); i++) assert_true(forms_seen[i] > rounds / 20);
  parquet_shredder_release(&shredder);
  assert_int_equal(atomic_load(&budget.used_bytes), 0);
}

/* ---- written down -------------------------------------------------------------------------- */

struct shape {
  const char *what;
  const struct field *field;
  const struct handmade *array;
  int32_t leaf;
  const char *def, *rep; /* a digit each; "" where there are none */
  const char *slots;
};

#define H(...)                                                                                     \
  &(const struct handmade) { __VA_ARGS__ }
#define INTS(n) H("i", "item", n, .buffers = {NONE, I32(1, 2, 3, 4, 5, 6, 7, 8)})

/* Two documents' "Name.Language.Code" and "Links.Backward", "Links.Forward" of the Dremel paper, with lists
 * for repeated fields: [[en-us, en], [], [en-gb]] and [[]]; [], [10, 30]; [20, 40, 60], [80]. */
static const struct shape shapes[] = {
    {"codes of two documents",
     F("+l", "Name",
       {F("+l", "Language", {F("i", "Code", .is_required = true)}, .is_required = true)},
       .is_required = true),
     H("+l", "Name", 2, .buffers = {NONE, I32(0, 3, 4)},
       .children = {H("+l", "Language", 4, .buffers = {NONE, I32(0, 2, 2, 3, 3)},
                      .children = {INTS(3)})}),
     0, "22121", "02110", "0,1,2"},
    {"links backward",
     F("+l", "Backward", {F("i", "item", .is_required = true)}, .is_required = true),
     H("+l", "Backward", 2, .buffers = {NONE, I32(0, 0, 2)}, .children = {INTS(2)}), 0, "011",
     "001", "0,1"},
    {"links forward",
     F("+l", "Forward", {F("i", "item", .is_required = true)}, .is_required = true),
     H("+l", "Forward", 2, .buffers = {NONE, I32(0, 3, 4)}, .children = {INTS(4)}), 0, "", "0110",
     "0,1,2,3"},
    {"null, empty, null item", F("+l", "a", {F("i", "item")}),
     H("+l", "a", 4, .null_count = -1, .buffers = {U8(13), I32(0, 1, 3, 3, 5)},
       .children = {H("i", "item", 5, .null_count = 1, .buffers = {U8(23), I32(1, 2, 3, 4, 5)})}),
     0, "30123", "00001", "0,4"},
    {"a field without nulls, sliced", F("i", "a"),
     H("i", "a", 3, .offset = 2, .buffers = {NONE, I32(1, 2, 3, 4, 5)}), 0, "", "", "2,3,4"},
    {"a field with nulls, sliced", F("i", "a"),
     H("i", "a", 3, .offset = 2, .null_count = 1, .buffers = {U8(0x14), I32(1, 2, 3, 4, 5)}), 0,
     "101", "", "2,4"},
    {"structs in structs that are null", F("+s", "a", {F("+s", "b", {F("i", "c")})}),
     H("+s", "a", 4, .null_count = 1, .buffers = {U8(14)},
       .children = {H("+s", "b", 4, .null_count = 1, .buffers = {U8(13)},
                      .children = {H("i", "c", 4, .null_count = 1,
                                     .buffers = {U8(11), I32(1, 2, 3, 4)})})}),
     0, "0123", "", "3"},
    {"a null behind a dictionary", F("c", "a", .dictionary = F("i")),
     H("c", "a", 4, .null_count = 1, .buffers = {U8(13), I8(0, 99, 1, 0)},
       .dictionary = H("i", "", 2, .null_count = 1, .buffers = {U8(1), I32(7, 8)})),
     0, "1001", "", "0,0"},
    {"nothing but nulls", F("n", "a"), H("n", "a", 3, .null_count = 3), 0, "000", "", ""},
};

static void check_digits(const struct shape *shape, const char *wanted,
                         const struct buffer *levels) {
  char digits[64] = "";
  for (int64_t i = 0; i < levels->size_bytes; i++) digits[i] = (char)('0' + levels->data[i]);
  if (strcmp(digits, wanted) != 0) fail_msg("%s: %s, wanted %s", shape->what, digits, wanted);
}

static void shapes_that_are_written_down(void **state) {
  (void)state;
  struct parquet_shredder shredder = {.budget = &budget};
  for (size_t i = 0; i < COUNT(shapes); i++) {
    const struct shape *shape = &shapes[i];
    struct ArrowSchema arrow = field_batch_schema(shape->field);
    struct ArrowArray batch =
        handmade_array(H("+s", "", shape->array->length, .children = {shape->array}));
    struct parquet_schema *schema = NULL;
    assert_int_equal(parquet_schema_new(&arrow, &schema, NULL), STATUS_OK);
    struct parquet_levels levels = {0};
    struct parquet_slots slots;
    assert_int_equal(parquet_shred(&schema->leaves[shape->leaf], &batch, 0, batch.length, 0,
                                   &shredder, &levels, &slots, NULL),
                     STATUS_OK);
    check_digits(shape, shape->def, &levels.def);
    check_digits(shape, shape->rep, &levels.rep);
    int64_t wanted[16], count = 0;
    for (const char *at = shape->slots; *at != '\0'; at += at[1] == ',' ? 2 : 1)
      wanted[count++] = *at - '0';
    check_slots(&slots, wanted, count);
    parquet_levels_release(&levels);
    parquet_schema_free(schema);
    arrow_array_release(&batch);
    arrow_schema_release(&arrow);
  }
  parquet_shredder_release(&shredder);
}

/* ---- nulls where none may be ---------------------------------------------------------------- */

static const struct {
  const struct field *field;
  const struct handmade *array;
  const char *text;
} refusals[] = {
    {F("i", "a", .is_required = true),
     H("i", "a", 3, .offset = 1, .null_count = 1, .buffers = {U8(6), I32(1, 2, 3, 4)}),
     "column 'a' must have a value (the field is not nullable), but row 102 has none"},
    {F("i", "a", .is_required = true),
     H("i", "a", 3, .null_count = -1, .buffers = {U8(5), I32(1, 2, 3)}),
     "column 'a' must have a value (the field is not nullable), but row 101 has none"},
    {F("+s", "a", {F("i", "b", .is_required = true)}),
     H("+s", "a", 4, .null_count = 1, .buffers = {U8(13)},
       .children = {H("i", "b", 4, .null_count = 2, .buffers = {U8(5), I32(1, 2, 3, 4)})}),
     "column 'a.b' must have a value (the field is not nullable), but row 103 has none"},
    {F("+s", "a", {F("i", "b")}, .is_required = true),
     H("+s", "a", 3, .null_count = 1, .buffers = {U8(3)},
       .children = {H("i", "b", 3, .buffers = {NONE, I32(1, 2, 3)})}),
     "column 'a.b' must have a value in its field 'a' (which is not nullable), but row 102 has "
     "none"},
    {F("+l", "a", {F("i", "item", .is_required = true)}),
     H("+l", "a", 3, .null_count = 1, .buffers = {U8(6), I32(0, 1, 2, 4)},
       .children = {H("i", "item", 4, .null_count = 2, .buffers = {U8(6), I32(1, 2, 3, 4)})}),
     "column 'a.list.element' must have a value (the field is not nullable), but row 102 has none"},
    {F("+m", "a", {F("+s", "e", {F("i", "k"), F("i", "v")})}),
     H("+m", "a", 2, .buffers = {NONE, I32(0, 1, 2)},
       .children = {H("+s", "e", 2,
                      .children = {H("i", "k", 2, .null_count = 1, .buffers = {U8(1), I32(1, 2)}),
                                   H("i", "v", 2, .buffers = {NONE, I32(1, 2)})})}),
     "column 'a.key_value.key': a map's key must not be null, but row 101 has one that is"},
    {F("c", "a", .dictionary = F("i"), .is_required = true),
     H("c", "a", 3, .buffers = {NONE, I8(0, 0, 1)},
       .dictionary = H("i", "", 2, .null_count = 1, .buffers = {U8(1), I32(7, 8)})),
     "column 'a' must have a value (the field is not nullable), but row 102 has none"},
    {F("n", "a", .is_required = true), H("n", "a", 3, .null_count = 3),
     "column 'a' must have a value (the field is not nullable), but row 100 has none"},
};

static void a_null_where_none_may_be_is_named(void **state) {
  (void)state;
  struct parquet_shredder shredder = {.budget = &budget};
  for (size_t i = 0; i < COUNT(refusals); i++) {
    struct ArrowSchema arrow = field_batch_schema(refusals[i].field);
    struct ArrowArray batch =
        handmade_array(H("+s", "", refusals[i].array->length, .children = {refusals[i].array}));
    struct parquet_schema *schema = NULL;
    assert_int_equal(parquet_schema_new(&arrow, &schema, NULL), STATUS_OK);
    struct parquet_levels levels = {0};
    struct parquet_slots slots;
    struct error error = {.text = ""};
    assert_int_equal(parquet_shred(&schema->leaves[0], &batch, 0, batch.length, 100, &shredder,
                                   &levels, &slots, &error),
                     STATUS_SCHEMA);
    assert_string_equal(error.text, refusals[i].text);
    parquet_levels_release(&levels);
    parquet_schema_free(schema);
    arrow_array_release(&batch);
    arrow_schema_release(&arrow);
  }
  parquet_shredder_release(&shredder);
}

static void a_row_that_is_null_as_a_whole_is_refused(void **state) {
  (void)state;
  struct parquet_shredder shredder = {.budget = &budget};
  struct ArrowSchema arrow = field_batch_schema(F("i", "a"));
  struct ArrowArray batch =
      handmade_array(H("+s", "", 3, .null_count = 1, .buffers = {U8(3)}, .children = {INTS(3)}));
  struct parquet_schema *schema = NULL;
  assert_int_equal(parquet_schema_new(&arrow, &schema, NULL), STATUS_OK);
  struct parquet_levels levels = {0};
  struct parquet_slots slots;
  struct error error = {.text = ""};
  assert_int_equal(
      parquet_shred(schema->leaves, &batch, 0, 3, 10, &shredder, &levels, &slots, &error),
      STATUS_SCHEMA);
  assert_non_null(strstr(error.text, "row 12 is null as a whole"));
  assert_int_equal(
      parquet_shred(schema->leaves, &batch, 0, 2, 10, &shredder, &levels, &slots, &error),
      STATUS_OK);
  parquet_levels_release(&levels);
  parquet_schema_free(schema);
  arrow_array_release(&batch);
  arrow_schema_release(&arrow);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_arrays_are_shredded_as_one_by_one),
      cmocka_unit_test(shapes_that_are_written_down),
      cmocka_unit_test(a_null_where_none_may_be_is_named),
      cmocka_unit_test(a_row_that_is_null_as_a_whole_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
