/* The same values are equal however they are laid out, and what differs is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/array.h"
#include "arrow/handmade.h"

#define NODE &(const struct handmade)

/* Children that several cases share. */
#define INTS(...)                                                                                  \
  NODE {                                                                                           \
    "i", "item", .length = (int64_t)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), .buffers = {     \
      NONE,                                                                                        \
      I32(__VA_ARGS__)                                                                             \
    }                                                                                              \
  }
#define WORDS_AB                                                                                   \
  NODE {                                                                                           \
    "u", "", .length = 2, .buffers = { NONE, I32(0, 1, 2), CHARS("ab") }                           \
  }
#define WORDS_BCA                                                                                  \
  NODE {                                                                                           \
    "u", "", .length = 3, .buffers = { NONE, I32(0, 1, 2, 3), CHARS("bca") }                       \
  }
#define WORDS_A_NULL                                                                               \
  NODE {                                                                                           \
    "u", "", .length = 2, .null_count = 1, .buffers = { U8(1), I32(0, 1, 1), CHARS("a") }          \
  }
#define ENDS(...)                                                                                  \
  NODE {                                                                                           \
    "s", "run_ends", .length = (int64_t)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), .buffers = { \
      NONE,                                                                                        \
      I16(__VA_ARGS__)                                                                             \
    }                                                                                              \
  }

struct pair {
  const char *what;
  struct handmade left;
  struct handmade right;
  const char *where; /* NULL: they are equal; else what the message begins with */
};

static const struct pair pairs[] = {
    {"slices",
     {"i", "a", .length = 2, .buffers = {NONE, I32(1, 2)}},
     {"i", "a", .length = 2, .offset = 1, .buffers = {NONE, I32(9, 1, 2, 9)}},
     NULL},
    {"another value",
     {"i", "a", .length = 3, .buffers = {NONE, I32(1, 2, 3)}},
     {"i", "a", .length = 3, .buffers = {NONE, I32(1, 2, 4)}},
     "'a': row 2 differs: 3 and 4"},
    {"other lengths",
     {"i", "a", .length = 3, .buffers = {NONE, I32(1, 2, 3)}},
     {"i", "a", .length = 2, .buffers = {NONE, I32(1, 2)}},
     "one has 3 rows, the other 2"},
    {"what nulls hold",
     {"i", "a", .length = 3, .null_count = 1, .buffers = {U8(5), I32(1, 2, 3)}},
     {"i", "a", .length = 3, .null_count = -1, .buffers = {U8(0xFD), I32(1, 7, 3)}},
     NULL},
    {"a null",
     {"i", "a", .length = 3, .null_count = 1, .buffers = {U8(5), I32(1, 2, 3)}},
     {"i", "a", .length = 3, .buffers = {NONE, I32(1, 2, 3)}},
     "'a': row 1"},
    {"a bitmap that has no nulls in this slice",
     {"i", "a", .length = 1, .offset = 1, .null_count = -1, .buffers = {U8(2), I32(1, 2)}},
     {"i", "a", .length = 1, .buffers = {NONE, I32(2)}},
     NULL},
    {"bits at other places",
     {"b", "a", .length = 9, .offset = 3, .buffers = {NONE, U8(0xA8, 0xFA)}},
     {"b", "a", .length = 9, .offset = 7, .buffers = {NONE, U8(0x80, 0xAA, 0xFF)}},
     NULL},
    {"a bit",
     {"b", "a", .length = 9, .offset = 3, .buffers = {NONE, U8(0xA8, 0xFA)}},
     {"b", "a", .length = 9, .offset = 7, .buffers = {NONE, U8(0x80, 0x2A, 0xFF)}},
     "'a': row 8"},
    {"zeros of both signs",
     {"g", "a", .length = 1, .buffers = {NONE, I64(0)}},
     {"g", "a", .length = 1, .buffers = {NONE, I64(INT64_MIN)}},
     "'a': row 0"},
    {"the same NaN",
     {"g", "a", .length = 1, .buffers = {NONE, I64(0x7FF8000000000000)}},
     {"g", "a", .length = 1, .buffers = {NONE, I64(0x7FF8000000000000)}},
     NULL},
    {"another NaN",
     {"f", "a", .length = 1, .buffers = {NONE, I32(0x7FC00000)}},
     {"f", "a", .length = 1, .buffers = {NONE, I32(0x7FC00001)}},
     "'a': row 0"},
    {"nulls",
     {"n", "a", .length = 2, .null_count = 2},
     {"n", "a", .length = 2, .offset = 5, .null_count = -1},
     NULL},
    {"bytes without any", {"w:0", "a", .length = 2}, {"w:0", "a", .length = 2}, NULL},
    {"text elsewhere",
     {"u", "a", .length = 2, .buffers = {NONE, I32(0, 1, 3), CHARS("xyz")}},
     {"u", "a", .length = 2, .offset = 1, .buffers = {NONE, I32(0, 4, 5, 7), CHARS("....xyz")}},
     NULL},
    {"the same letters cut elsewhere",
     {"U", "a", .length = 2, .buffers = {NONE, I64(0, 1, 3), CHARS("xyz")}},
     {"U", "a", .length = 2, .buffers = {NONE, I64(0, 2, 3), CHARS("xyz")}},
     "'a': row 0"},
    {"letters behind a null",
     {"u", "a", .length = 3, .null_count = 1, .buffers = {U8(5), I32(0, 1, 3, 4), CHARS("x..z")}},
     {"u", "a", .length = 3, .null_count = 1, .buffers = {U8(5), I32(0, 1, 1, 2), CHARS("xz")}},
     NULL},
    {"views into other buffers",
     {"vu", "a", .length = 2, .n_buffers = 4,
      .buffers = {NONE, I32(1, 'x', 0, 0, 13, 0x33323130, 0, 1), CHARS(".0123456789abc"), I64(14)}},
     {"vu", "a", .length = 2, .n_buffers = 5,
      .buffers = {NONE, I32(1, 'x', 0, 0, 13, 0x33323130, 1, 0), NONE, CHARS("0123456789abc"),
                  I64(0, 13)}},
     NULL},
    {"a view's end",
     {"vz", "a", .length = 1, .n_buffers = 4,
      .buffers = {NONE, I32(13, 0x33323130, 0, 0), CHARS("0123456789abc"), I64(13)}},
     {"vz", "a", .length = 1, .n_buffers = 4,
      .buffers = {NONE, I32(13, 0x33323130, 0, 0), CHARS("0123456789abd"), I64(13)}},
     "'a': row 0"},
    {"lists of items elsewhere, and of a null's",
     {"+l", "a", .length = 3, .null_count = 1, .buffers = {U8(5), I32(0, 2, 3, 4)},
      .children = {INTS(1, 2, 9, 3)}},
     {"+l", "a", .length = 3, .null_count = 1, .buffers = {U8(5), I32(1, 3, 3, 4)},
      .children = {INTS(9, 1, 2, 3)}},
     NULL},
    {"an item",
     {"+L", "a", .length = 2, .buffers = {NONE, I64(0, 2, 4)}, .children = {INTS(1, 2, 3, 4)}},
     {"+L", "a", .length = 2, .buffers = {NONE, I64(0, 2, 4)}, .children = {INTS(1, 2, 3, 5)}},
     "'a'.'item': row 1 differs: 4 and 5"},
    {"an empty list is no null",
     {"+l", "a", .length = 1, .buffers = {NONE, I32(0, 0)}, .children = {INTS(1)}},
     {"+l", "a", .length = 1, .null_count = 1, .buffers = {U8(0), I32(0, 0)},
      .children = {INTS(1)}},
     "'a': row 0"},
    {"list views in any order, over each other",
     {"+vl", "a", .length = 4, .null_count = 1,
      .buffers = {U8(11), I32(0, 2, 0, 1), I32(2, 1, 4, 2)}, .children = {INTS(1, 2, 3, 4)}},
     {"+vl", "a", .length = 4, .null_count = 1,
      .buffers = {U8(11), I32(3, 0, 0, 1), I32(2, 1, 0, 2)}, .children = {INTS(3, 2, 3, 1, 2)}},
     NULL},
    {"a list view's item",
     {"+vL", "a", .length = 2, .buffers = {NONE, I64(0, 0), I64(2, 1)}, .children = {INTS(1, 2)}},
     {"+vL", "a", .length = 2, .buffers = {NONE, I64(0, 1), I64(2, 1)}, .children = {INTS(1, 2)}},
     "'a'.'item': row 1"},
    {"a list view's size",
     {"+vl", "a", .length = 1, .buffers = {NONE, I32(0), I32(2)}, .children = {INTS(1, 2)}},
     {"+vl", "a", .length = 1, .buffers = {NONE, I32(0), I32(1)}, .children = {INTS(1, 2)}},
     "'a': row 0"},
    {"fixed-size lists, sliced",
     {"+w:2", "a", .length = 1, .offset = 1, .children = {INTS(9, 9, 1, 2)}},
     {"+w:2", "a", .length = 1, .children = {INTS(1, 2)}},
     NULL},
    {"fixed-size lists behind nulls",
     {"+w:1", "a", .length = 2, .null_count = 1, .buffers = {U8(2)}, .children = {INTS(1, 2)}},
     {"+w:1", "a", .length = 2, .null_count = 1, .buffers = {U8(2)}, .children = {INTS(3, 2)}},
     NULL},
    {"structs, sliced",
     {"+s", "", .length = 2, .offset = 1, .children = {INTS(9, 1, 2), INTS(9, 3, 4)}},
     {"+s", "", .length = 2, .children = {INTS(1, 2), INTS(3, 4, 5)}},
     NULL},
    {"a struct's field",
     {"+s", "", .length = 3,
      .children = {INTS(1, 2, 3), NODE{"+s", "b", .length = 3, .children = {INTS(1, 2, 3)}}}},
     {"+s", "", .length = 3,
      .children = {INTS(1, 2, 3), NODE{"+s", "b", .length = 3, .children = {INTS(1, 0, 0)}}}},
     "'b'.'item': row 1"},
    {"the first row, not the first column",
     {"+s", "", .length = 3,
      .children = {INTS(1, 2, 3), NODE{"n", "n", .length = 3}, INTS(5, 6, 7)}},
     {"+s", "", .length = 3,
      .children = {INTS(1, 2, 4), NODE{"n", "n", .length = 3}, INTS(5, 0, 7)}},
     "'item': row 1"},
    {"a struct's fields behind a null",
     {"+s", "", .length = 2, .null_count = 1, .buffers = {U8(1)}, .children = {INTS(1, 2)}},
     {"+s", "", .length = 2, .null_count = 1, .buffers = {U8(1)}, .children = {INTS(1, 3)}},
     NULL},
    {"dense unions whose children lie otherwise",
     {"+ud:5,0", "a", .length = 4, .buffers = {I8(5, 5, 0, 5), I32(0, 1, 0, 2)},
      .children = {INTS(1, 2, 3), INTS(7)}},
     {"+ud:5,0", "a", .length = 4, .offset = 1, .buffers = {I8(0, 5, 5, 0, 5), I32(0, 1, 2, 1, 3)},
      .children = {INTS(9, 1, 2, 3), INTS(8, 7)}},
     NULL},
    {"a dense union's value",
     {"+ud:5,0", "a", .length = 2, .buffers = {I8(5, 0), I32(0, 0)},
      .children = {INTS(1), INTS(7)}},
     {"+ud:5,0", "a", .length = 2, .buffers = {I8(5, 0), I32(0, 0)},
      .children = {INTS(1), INTS(8)}},
     "'a'.'item': row 1"},
    {"the same value as another member",
     {"+us:5,0", "a", .length = 1, .buffers = {I8(5)}, .children = {INTS(1), INTS(1)}},
     {"+us:5,0", "a", .length = 1, .buffers = {I8(0)}, .children = {INTS(1), INTS(1)}},
     "'a': row 0"},
    {"sparse unions with other values in members that are not meant",
     {"+us:5,0", "a", .length = 3, .buffers = {I8(5, 0, 5)},
      .children = {INTS(1, 9, 3), INTS(9, 2, 9)}},
     {"+us:5,0", "a", .length = 3, .offset = 1, .buffers = {I8(0, 5, 0, 5)},
      .children = {INTS(8, 1, 8, 3), INTS(8, 8, 2, 8)}},
     NULL},
    {"other runs of the same values",
     {"+r", "a", .length = 5, .children = {ENDS(2, 5), INTS(1, 2)}},
     {"+r", "a", .length = 5, .offset = 2, .children = {ENDS(1, 3, 4, 6, 9), INTS(7, 1, 1, 2, 2)}},
     NULL},
    {"a run's end",
     {"+r", "a", .length = 5, .children = {ENDS(2, 5), INTS(1, 2)}},
     {"+r", "a", .length = 5, .children = {ENDS(3, 5), INTS(1, 2)}},
     "'a'.'item': row 2"},
    {"other dictionaries",
     {"c", "a", .length = 3, .buffers = {NONE, I8(0, 1, 0)}, .dictionary = WORDS_AB},
     {"c", "a", .length = 3, .buffers = {NONE, I8(2, 0, 2)}, .dictionary = WORDS_BCA},
     NULL},
    {"equal indices into other dictionaries",
     {"c", "a", .length = 2, .buffers = {NONE, I8(0, 1)}, .dictionary = WORDS_AB},
     {"c", "a", .length = 2, .buffers = {NONE, I8(2, 1)}, .dictionary = WORDS_BCA},
     "'a': row 1"},
    {"a null index is an index of a null",
     {"C", "a", .length = 2, .null_count = 1, .buffers = {U8(1), U8(0, 99)},
      .dictionary = WORDS_AB},
     {"C", "a", .length = 2, .buffers = {NONE, U8(0, 1)}, .dictionary = WORDS_A_NULL},
     NULL},
    {"a null index is no index of a value",
     {"L", "a", .length = 1, .null_count = 1, .buffers = {U8(0), I64(0)}, .dictionary = WORDS_AB},
     {"L", "a", .length = 1, .buffers = {NONE, I64(0)}, .dictionary = WORDS_A_NULL},
     "'a': row 0"},
    {"maps",
     {"+m", "a", .length = 1, .buffers = {NONE, I32(0, 1)},
      .children = {NODE{"+s", "entries", .length = 1, .children = {INTS(1), INTS(2)}}}},
     {"+m", "a", .length = 1, .buffers = {NONE, I32(1, 2)},
      .children = {NODE{"+s", "entries", .length = 2, .children = {INTS(9, 1), INTS(9, 2)}}}},
     NULL},
    {"runs of lists of unions, one deep inside",
     {"+r", "a", .length = 4,
      .children = {ENDS(1, 4),
                   NODE{"+l", "values", .length = 2, .buffers = {NONE, I32(0, 0, 2)},
                        .children = {NODE{"+us:3", "u", .length = 2, .buffers = {I8(3, 3)},
                                          .children = {INTS(1, 2)}}}}}},
     {"+r", "a", .length = 4,
      .children = {ENDS(1, 2, 4),
                   NODE{"+l", "values", .length = 3, .buffers = {NONE, I32(0, 0, 2, 4)},
                        .children = {NODE{"+us:3", "u", .length = 4, .buffers = {I8(3, 3, 3, 3)},
                                          .children = {INTS(1, 2, 1, 4)}}}}}},
     "'a'.'values'.'u'.'item': row 2 differs: 2 and 4"},
};

static void compare(const struct pair *pair, bool swapped) {
  struct ArrowSchema schema = handmade_schema(&pair->left);
  struct ArrowArray left = handmade_array(swapped ? &pair->right : &pair->left);
  struct ArrowArray right = handmade_array(swapped ? &pair->left : &pair->right);
  struct error where = {0};
  if (arrow_array_check(&schema, &left, ARRAY_CHECK_FULL, &where) != STATUS_OK ||
      arrow_array_check(&schema, &right, ARRAY_CHECK_FULL, &where) != STATUS_OK)
    fail_msg("%s: %s", pair->what, where.text);
  assert_true(arrow_array_equal(&schema, &left, &left, NULL));
  bool same = arrow_array_equal(&schema, &left, &right, NULL);
  if (same != (pair->where == NULL)) fail_msg("%s: %s", pair->what, same ? "equal" : "not equal");
  assert_int_equal(arrow_array_equal(&schema, &left, &right, &where), same);
  if (!same) { /* the other way round, the values are */
    const char *values = strstr(pair->where, ": row ");
    values = values == NULL ? NULL : strstr(values, " differs: ");
    size_t bytes = strlen(pair->where);
    if (swapped && values != NULL) bytes = (size_t)(values - pair->where);
    bool counts_rows = strstr(pair->where, "one has") != NULL;
    if (strncmp(where.text, pair->where, bytes) != 0 && !(swapped && counts_rows))
      fail_msg("%s: \"%s\", not \"%s\"", pair->what, where.text, pair->where);
  }
  arrow_array_release(&left);
  arrow_array_release(&right);
  arrow_schema_release(&schema);
}

static void values_are_equal_however_they_lie(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    compare(&pairs[i], false);
    compare(&pairs[i], true);
  }
}

static void expect_message(const struct handmade *left, const struct handmade *right,
                           const char *want) {
  struct ArrowSchema schema = handmade_schema(left);
  struct ArrowArray arrays[2] = {handmade_array(left), handmade_array(right)};
  struct error where = {0};
  assert_false(arrow_array_equal(&schema, &arrays[0], &arrays[1], &where));
  assert_int_equal(where.status, STATUS_INVALID);
  assert_string_equal(where.text, want);
  arrow_array_release(&arrays[0]);
  arrow_array_release(&arrays[1]);
  arrow_schema_release(&schema);
}

static void both_values_are_shown(void **state) {
  (void)state;
  expect_message(NODE{"+s", "", .length = 2,
                      .children = {NODE{"u", "word", .length = 2,
                                        .buffers = {NONE, I32(0, 1, 2), CHARS("ab")}}}},
                 NODE{"+s", "", .length = 2,
                      .children = {NODE{"u", "word", .length = 2, .null_count = 1,
                                        .buffers = {U8(1), I32(0, 1, 2), CHARS("ab")}}}},
                 "'word': row 1 differs: \"b\" and null");
  /* Cut between characters. */
  expect_message(NODE{"u", "a", .length = 1,
                      .buffers = {NONE, I32(0, 66),
                                  CHARS("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                                        "\xE2\x82\xAC\xE2\x82\xAC"
                                        "yy")}},
                 NODE{"u", "a", .length = 1, .buffers = {NONE, I32(0, 1), CHARS("x")}},
                 "'a': row 0 differs: "
                 "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx... and \"x\"");
  /* Nothing to be seen. */
  expect_message(NODE{"f", "a", .length = 1, .buffers = {NONE, I32(0x7FC00000)}},
                 NODE{"f", "a", .length = 1, .buffers = {NONE, I32(0x7FC00001)}},
                 "'a': row 0 differs");
  expect_message(NODE{"+s", "point", .length = 2, .null_count = 1, .buffers = {U8(1)},
                      .children = {INTS(1, 2)}},
                 NODE{"+s", "point", .length = 2, .children = {INTS(1, 2)}}, "row 1 differs");
}

/* All offsets of bitmaps to each other, and all places where one bit differs. */
static void bitmaps_are_compared_at_any_bit(void **state) {
  (void)state;
  enum { BITS = 150, ROOM = 24 };
  struct ArrowSchema schema = handmade_schema(NODE{"b", "a", .length = 0});
  for (int64_t left_offset = 0; left_offset < 9; left_offset++) {
    for (int64_t right_offset = 0; right_offset < 9; right_offset++) {
      uint8_t left_bits[ROOM];
      uint8_t right_bits[ROOM];
      memset(left_bits, 0x55, sizeof left_bits);
      memset(right_bits, 0xAA, sizeof right_bits);
      const void *left_buffers[] = {NULL, left_bits};
      const void *right_buffers[] = {NULL, right_bits};
      struct ArrowArray left = {
          .length = BITS, .offset = left_offset, .n_buffers = 2, .buffers = left_buffers};
      struct ArrowArray right = {
          .length = BITS, .offset = right_offset, .n_buffers = 2, .buffers = right_buffers};
      uint32_t random = 1;
      for (int64_t i = 0; i < BITS; i++) {
        random = random * 1664525 + 1013904223;
        int64_t at[] = {left_offset + i, right_offset + i};
        uint8_t *to[] = {left_bits, right_bits};
        for (int side = 0; side < 2; side++) {
          uint8_t bit = (uint8_t)(1 << (at[side] % 8));
          uint8_t *byte = &to[side][at[side] / 8];
          *byte = (uint8_t)((random >> 31) != 0 ? *byte | bit : *byte & ~bit);
        }
      }
      assert_true(arrow_array_equal(&schema, &left, &right, NULL));
      for (int64_t i = 0; i < BITS; i++) {
        struct error where = {0};
        char want[32];
        uint8_t bit = (uint8_t)(1 << ((right_offset + i) % 8));
        right_bits[(right_offset + i) / 8] ^= bit;
        snprintf(want, sizeof want, "'a': row %d ", (int)i);
        assert_false(arrow_array_equal(&schema, &left, &right, &where));
        assert_non_null(strstr(where.text, want));
        right_bits[(right_offset + i) / 8] ^= bit;
      }
    }
  }
  arrow_schema_release(&schema);
}

/* Stretches of nulls and of values of any length, at any offset. */
static void values_between_nulls_are_compared(void **state) {
  (void)state;
  enum { ROWS = 400 };
  struct ArrowSchema schema = handmade_schema(NODE{"s", "a", .length = 0});
  uint32_t random = 7;
  for (int round = 0; round < 200; round++) {
    uint8_t bits[2][ROWS / 8 + 2] = {{0}};
    int16_t values[2][ROWS + 8];
    int64_t offsets[2];
    bool is_null[ROWS];
    bool null = false;
    for (int64_t i = 0; i < ROWS; i++) {
      random = random * 1664525 + 1013904223;
      if ((random >> 24) % (uint32_t)(1 + round) == 0) null = !null;
      is_null[i] = null;
    }
    for (int side = 0; side < 2; side++) {
      offsets[side] = (round * (side + 1)) % 8;
      for (int64_t i = 0; i < ROWS; i++) {
        int64_t at = offsets[side] + i;
        values[side][at] = (int16_t)(is_null[i] ? side : i);
        if (!is_null[i]) bits[side][at / 8] |= (uint8_t)(1 << (at % 8));
      }
    }
    const void *buffers[2][2] = {{bits[0], values[0]}, {bits[1], values[1]}};
    struct ArrowArray arrays[2];
    for (int side = 0; side < 2; side++)
      arrays[side] = (struct ArrowArray){.length = ROWS,
                                         .offset = offsets[side],
                                         .null_count = -1,
                                         .n_buffers = 2,
                                         .buffers = buffers[side]};
    assert_true(arrow_array_equal(&schema, &arrays[0], &arrays[1], NULL));
    for (int64_t i = round; i < ROWS; i += 37) {
      values[1][offsets[1] + i]++;
      assert_int_equal(arrow_array_equal(&schema, &arrays[0], &arrays[1], NULL), is_null[i]);
      values[1][offsets[1] + i]--;
    }
  }
  arrow_schema_release(&schema);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_are_equal_however_they_lie),
      cmocka_unit_test(both_values_are_shown),
      cmocka_unit_test(bitmaps_are_compared_at_any_bit),
      cmocka_unit_test(values_between_nulls_are_compared),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
