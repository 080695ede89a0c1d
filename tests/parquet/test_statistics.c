/* Bounds and counts against a value at a time, on values that are drawn. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/text.h"
#include "parquet/statistics.h"

enum { VALUES_MAX = 1200, WIDTH_MAX = 64, TEXT_MAX = 90 };

static uint64_t seed = 3;
static uint64_t noise(void) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return seed >> 13;
}

/* ---- kinds of columns ----------------------------------------------------------------------------- */

struct kind {
  const char *name;
  enum parquet_type type;
  int32_t type_length;
  enum parquet_order order;
  enum parquet_logical_kind logical;
};

static const struct kind kinds[] = {
    {"boolean", PARQUET_BOOLEAN, 0, PARQUET_ORDER_UNSIGNED, PARQUET_LOGICAL_NONE},
    {"int32", PARQUET_INT32, 0, PARQUET_ORDER_SIGNED, PARQUET_LOGICAL_NONE},
    {"uint32", PARQUET_INT32, 0, PARQUET_ORDER_UNSIGNED, PARQUET_LOGICAL_INTEGER},
    {"int64", PARQUET_INT64, 0, PARQUET_ORDER_SIGNED, PARQUET_LOGICAL_NONE},
    {"uint64", PARQUET_INT64, 0, PARQUET_ORDER_UNSIGNED, PARQUET_LOGICAL_INTEGER},
    {"float", PARQUET_FLOAT, 0, PARQUET_ORDER_FLOAT, PARQUET_LOGICAL_NONE},
    {"double", PARQUET_DOUBLE, 0, PARQUET_ORDER_FLOAT, PARQUET_LOGICAL_NONE},
    {"float16", PARQUET_FIXED, 2, PARQUET_ORDER_HALF, PARQUET_LOGICAL_FLOAT16},
    {"fixed 1", PARQUET_FIXED, 1, PARQUET_ORDER_BYTES, PARQUET_LOGICAL_NONE},
    {"fixed 7", PARQUET_FIXED, 7, PARQUET_ORDER_BYTES, PARQUET_LOGICAL_NONE},
    {"uuid", PARQUET_FIXED, 16, PARQUET_ORDER_BYTES, PARQUET_LOGICAL_UUID},
    {"fixed 64", PARQUET_FIXED, 64, PARQUET_ORDER_BYTES, PARQUET_LOGICAL_NONE},
    {"decimal 1", PARQUET_FIXED, 1, PARQUET_ORDER_BIG_ENDIAN, PARQUET_LOGICAL_DECIMAL},
    {"decimal 5", PARQUET_FIXED, 5, PARQUET_ORDER_BIG_ENDIAN, PARQUET_LOGICAL_DECIMAL},
    {"decimal 8", PARQUET_FIXED, 8, PARQUET_ORDER_BIG_ENDIAN, PARQUET_LOGICAL_DECIMAL},
    {"decimal 9", PARQUET_FIXED, 9, PARQUET_ORDER_BIG_ENDIAN, PARQUET_LOGICAL_DECIMAL},
    {"decimal 16", PARQUET_FIXED, 16, PARQUET_ORDER_BIG_ENDIAN, PARQUET_LOGICAL_DECIMAL},
    {"decimal 32", PARQUET_FIXED, 32, PARQUET_ORDER_BIG_ENDIAN, PARQUET_LOGICAL_DECIMAL},
    {"binary", PARQUET_BYTE_ARRAY, 0, PARQUET_ORDER_BYTES, PARQUET_LOGICAL_NONE},
    {"utf8", PARQUET_BYTE_ARRAY, 0, PARQUET_ORDER_BYTES, PARQUET_LOGICAL_STRING},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const struct kind *kind_named(const char *name) {
  for (int i = 0; i < KINDS; i++)
    if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
  fail_msg("no kind %s", name);
  return NULL;
}

static struct parquet_leaf leaf_of(const struct kind *kind) {
  return (struct parquet_leaf){.name = (char *)(uintptr_t)kind->name,
                               .type = kind->type,
                               .type_length = kind->type_length,
                               .order = kind->order,
                               .logical = {.kind = kind->logical}};
}

/* -1, 0, 1; 2 where one of them is NaN. Written for its plainness. */
static int compare(const struct kind *kind, const uint8_t *left, int64_t left_bytes,
                   const uint8_t *right, int64_t right_bytes) {
  if (kind->order == PARQUET_ORDER_HALF) { /* sign and magnitude */
    int signs[2], magnitudes[2];
    const uint8_t *both[2] = {left, right};
    for (int i = 0; i < 2; i++) {
      signs[i] = both[i][1] >= 0x80 ? -1 : 1;
      magnitudes[i] = (both[i][1] & 0x7F) << 8 | both[i][0];
      if (magnitudes[i] > 0x7C00) return 2;
    }
    int low = signs[0] * magnitudes[0], high = signs[1] * magnitudes[1];
    return (low > high) - (low < high);
  }
  if (kind->type == PARQUET_FLOAT || kind->type == PARQUET_DOUBLE) {
    double numbers[2];
    float small[2];
    if (kind->type == PARQUET_FLOAT) {
      memcpy(&small[0], left, 4);
      memcpy(&small[1], right, 4);
      numbers[0] = (double)small[0], numbers[1] = (double)small[1];
    } else {
      memcpy(&numbers[0], left, 8);
      memcpy(&numbers[1], right, 8);
    }
    if (isnan(numbers[0]) || isnan(numbers[1])) return 2;
    return (numbers[0] > numbers[1]) - (numbers[0] < numbers[1]);
  }
  bool is_number = kind->type != PARQUET_BYTE_ARRAY && kind->type != PARQUET_FIXED;
  int64_t shorter = left_bytes < right_bytes ? left_bytes : right_bytes;
  for (int64_t k = 0; k < shorter; k++) { /* from the most significant byte */
    int64_t at = is_number ? shorter - 1 - k : k;
    uint8_t one = left[at], other = right[at];
    bool is_signed = kind->order == PARQUET_ORDER_SIGNED || kind->order == PARQUET_ORDER_BIG_ENDIAN;
    if (k == 0 && is_signed) one ^= 0x80, other ^= 0x80;
    if (one != other) return one < other ? -1 : 1;
  }
  return (left_bytes > right_bytes) - (left_bytes < right_bytes);
}

/* ---- values ----------------------------------------------------------------------------------------- */

/* Drawn values; byte arrays each by itself, or one behind the other as in an array. */
struct drawn {
  struct parquet_values values;
  uint8_t data[VALUES_MAX * WIDTH_MAX];
  struct parquet_bytes bytes[VALUES_MAX];
  uint8_t text[VALUES_MAX * TEXT_MAX];
};

static struct drawn *drawn;

static int setup(void **state) {
  (void)state;
  drawn = calloc(1, sizeof *drawn);
  return drawn == NULL;
}
static int teardown(void **state) {
  (void)state;
  free(drawn);
  return 0;
}

/* Text of at most `most` bytes, of characters of all lengths. */
static int64_t draw_text(uint8_t *to, int64_t most, bool is_text, int variant) {
  static const char *const characters[] = {"a",
                                           "z",
                                           "\xC2\x80",
                                           "\xDF\xBF",
                                           "\xE0\xA0\x80",
                                           "\xED\x9F\xBF",
                                           "\xEE\x80\x80",
                                           "\xEF\xBF\xBF",
                                           "\xF0\x90\x80\x80",
                                           "\xF4\x8F\xBF\xBF",
                                           "\x7F"};
  int64_t bytes = 0, want = (int64_t)(noise() % (uint64_t)(most + 1));
  if (variant % 3 == 1) { /* they begin alike */
    memcpy(to, "prefix, that is longer than", 27);
    bytes = variant % 2 == 0 ? 27 : 5;
  }
  if (variant % 5 == 0) want = (int64_t)(noise() % 10);
  while (bytes < want) {
    const char *next = characters[noise() % 11];
    if (!is_text) {
      to[bytes++] = noise() % 3 == 0 ? (uint8_t)(0 - noise() % 2) : (uint8_t)noise();
    } else if (variant % 4 == 0) {
      to[bytes++] = (uint8_t)("abc"[noise() % 3]);
    } else {
      if (bytes + (int64_t)strlen(next) > most) break;
      memcpy(to + bytes, next, strlen(next));
      bytes += (int64_t)strlen(next);
    }
  }
  return bytes;
}

static void draw_fixed(const struct kind *kind, int64_t width, uint8_t *to, int variant) {
  for (int64_t k = 0; k < width; k++) to[k] = (uint8_t)noise();
  bool is_decimal = kind->order == PARQUET_ORDER_BIG_ENDIAN;
  if (kind->type == PARQUET_BOOLEAN) *to &= variant % 3 == 0 ? 0 : 1;
  if (variant % 2 == 0 && is_decimal && width > 3) /* small for their width */
    memset(to, noise() % 2 == 0 ? 0 : 0xFF, (size_t)width - 2);
  if (variant % 2 == 0 && kind->order == PARQUET_ORDER_BYTES && width > 8)
    memset(to, 7, (size_t)width - 3);
  if (kind->order != PARQUET_ORDER_FLOAT && kind->order != PARQUET_ORDER_HALF) return;
  uint64_t what = noise() % (variant % 4 == 0 ? 4 : 12);
  if (variant % 5 == 4) what = 8; /* NaN all of them */
  static const double special[] = {0.0, -0.0, NAN, 0.0, -INFINITY, INFINITY, 1.5, -1.5, NAN};
  static const uint16_t halves[] = {0, 0x8000, 0x7E01, 0, 0xFC00, 0x7C00, 0x3E00, 0xBE00, 0xFFFF};
  if (what > 8) return;
  float small = (float)special[what];
  if (kind->type == PARQUET_FLOAT) memcpy(to, &small, 4);
  if (kind->type == PARQUET_DOUBLE) memcpy(to, &special[what], 8);
  if (kind->type == PARQUET_FIXED) memcpy(to, &halves[what], 2);
}

static void draw(const struct kind *kind, int64_t count, int variant) {
  struct parquet_leaf leaf = leaf_of(kind);
  int64_t width = kind->type == PARQUET_BYTE_ARRAY ? 0 : parquet_values_width(&leaf);
  int64_t end = 0;
  drawn->values = (struct parquet_values){.count = count, .data = drawn->data};
  if (width == 0) drawn->values.data = drawn->bytes;
  for (int64_t i = 0; i < count; i++) {
    if (width > 0) {
      draw_fixed(kind, width, drawn->data + i * width, variant);
      continue;
    }
    uint8_t *text = drawn->text + (variant % 7 < 4 ? end : i * TEXT_MAX);
    int64_t bytes = draw_text(text, TEXT_MAX, kind->logical == PARQUET_LOGICAL_STRING, variant);
    drawn->bytes[i] = (struct parquet_bytes){text, bytes};
    end += bytes;
  }
}

static struct parquet_bytes drawn_at(const struct kind *kind, int64_t i) {
  if (kind->type == PARQUET_BYTE_ARRAY) return drawn->bytes[i];
  struct parquet_leaf leaf = leaf_of(kind);
  int64_t width = parquet_values_width(&leaf);
  return (struct parquet_bytes){drawn->data + i * width, width};
}

/* ---- what must hold ----------------------------------------------------------------------------------- */

static bool is_nan(const struct kind *kind, struct parquet_bytes value) {
  return compare(kind, value.data, value.size_bytes, value.data, value.size_bytes) == 2;
}

static void check_bound(const struct kind *kind, const struct parquet_bound *bound,
                        const struct parquet_bytes *value, int32_t bytes_max, int sign) {
  int order = compare(kind, bound->data, bound->size_bytes, value->data, value->size_bytes);
  if (bound->is_exact ? order != 0 : order * sign < 0)
    fail_msg("%s: a bound is not one", kind->name);
  if (bound->is_exact) assert_int_equal(bound->size_bytes, value->size_bytes);
  if (!bound->is_exact) assert_true(value->size_bytes > bytes_max);
  if (kind->type == PARQUET_BYTE_ARRAY) assert_true(bound->size_bytes <= bytes_max);
  if (kind->logical == PARQUET_LOGICAL_STRING)
    assert_int_equal(utf8_valid_bytes(bound->data, bound->size_bytes), bound->size_bytes);
}

/* Of the first `count` of what is drawn. */
static void check(const struct kind *kind, const struct parquet_statistics *statistics,
                  int64_t count, int32_t bytes_max) {
  struct parquet_bytes min = {0}, max = {0};
  int64_t nan_count = 0;
  for (int64_t i = 0; i < count; i++) {
    struct parquet_bytes value = drawn_at(kind, i);
    if (is_nan(kind, value)) {
      nan_count++;
      continue;
    }
    if (min.data == NULL) min = max = value;
    if (compare(kind, value.data, value.size_bytes, min.data, min.size_bytes) < 0) min = value;
    if (compare(kind, value.data, value.size_bytes, max.data, max.size_bytes) > 0) max = value;
  }
  bool is_float = kind->order == PARQUET_ORDER_FLOAT || kind->order == PARQUET_ORDER_HALF;
  assert_int_equal(statistics->value_count, count);
  assert_int_equal(statistics->nan_count, is_float ? nan_count : -1);
  if (min.data == NULL || nan_count > 0) assert_false(statistics->has_bounds);
  bool may_lack = kind->type == PARQUET_BYTE_ARRAY && max.size_bytes > bytes_max;
  if (min.data != NULL && nan_count == 0 && !may_lack) assert_true(statistics->has_bounds);
  if (!statistics->has_bounds) return;
  check_bound(kind, &statistics->min, &min, bytes_max, -1);
  check_bound(kind, &statistics->max, &max, bytes_max, 1);
  if (!is_float) return;
  int64_t last = statistics->min.size_bytes - 1; /* zeros are told apart by their signs */
  bool is_zero = true;
  for (int64_t k = 0; k < last; k++) is_zero &= statistics->min.data[k] == 0;
  if (is_zero && (statistics->min.data[last] & 0x7F) == 0)
    assert_int_equal(statistics->min.data[last], 0x80);
  is_zero = true;
  for (int64_t k = 0; k < last; k++) is_zero &= statistics->max.data[k] == 0;
  if (is_zero && (statistics->max.data[last] & 0x7F) == 0)
    assert_int_equal(statistics->max.data[last], 0);
}

/* ---- tests ---------------------------------------------------------------------------------------------- */

static void bounds_hold_what_there_is(void **state) {
  (void)state;
  static const int32_t most[] = {64, 16, 9, 3, 1, 0};
  for (int round = 0; round < KINDS * 60; round++) {
    const struct kind *kind = &kinds[round % KINDS];
    int variant = round / KINDS;
    int64_t count = variant % 3 == 0 ? (int64_t)(noise() % 40) : (int64_t)(noise() % VALUES_MAX);
    draw(kind, count, variant);
    struct parquet_leaf leaf = leaf_of(kind);
    struct parquet_statistics statistics;
    parquet_statistics_of(&leaf, &drawn->values, most[variant % 6], &statistics);
    assert_int_equal(statistics.null_count, 0);
    check(kind, &statistics, count, most[variant % 6]);
  }
}

/* In pieces, merged in order, onto the start: as of the whole, or cut likewise. */
static void merged_bounds_hold_what_there_is(void **state) {
  (void)state;
  for (int round = 0; round < KINDS * 40; round++) {
    const struct kind *kind = &kinds[round % KINDS];
    int variant = round / KINDS;
    int64_t count = (int64_t)(noise() % 300);
    draw(kind, count, variant);
    struct parquet_leaf leaf = leaf_of(kind);
    struct parquet_statistics merged, part, whole;
    parquet_statistics_start(&leaf, &merged);
    struct parquet_values piece = drawn->values;
    int64_t width = parquet_values_width(&leaf);
    for (int64_t at = 0; at < count; at += piece.count) {
      piece.count = 1 + (int64_t)(noise() % 60);
      if (piece.count > count - at) piece.count = count - at;
      piece.data = (const uint8_t *)drawn->values.data + at * width;
      parquet_statistics_of(&leaf, &piece, 10, &part);
      part.null_count = 3;
      int64_t null_count = merged.null_count;
      parquet_statistics_merge(&leaf, &merged, &part);
      assert_int_equal(merged.null_count, null_count + 3);
    }
    check(kind, &merged, count, 10);
    parquet_statistics_of(&leaf, &drawn->values, 10, &whole);
    if (merged.has_bounds) assert_true(whole.has_bounds);
    if (!merged.has_bounds) continue;
    assert_int_equal(parquet_bound_compare(&leaf, &merged.min, &whole.min), 0);
    assert_true(parquet_bound_compare(&leaf, &merged.max, &whole.max) >= 0);
    if (whole.max.is_exact)
      assert_int_equal(parquet_bound_compare(&leaf, &merged.max, &whole.max), 0);
  }
}

static void long_bounds_are_cut(void **state) {
  (void)state;
  static const struct {
    const char *kind, *value;
    int32_t bytes_max;
    const char *min, *max; /* max NULL: there are none */
  } cases[] = {
      {"binary", "abc", 3, "abc", "abc"},
      {"binary", "abcd", 3, "abc", "abd"},
      {"binary", "ab\xFFz", 3, "ab\xFF", "ac"},
      {"binary", "\xFF\xFF\xFF\xFF", 3, "\xFF\xFF\xFF", NULL},
      {"binary", "\xFF\xFF\xFF", 3, "\xFF\xFF\xFF", "\xFF\xFF\xFF"},
      {"binary", "a", 0, "", NULL},
      {"binary", "", 0, "", ""},
      {"utf8", "abcd", 3, "abc", "abd"},
      {"utf8", "ab\xC3\xA9", 3, "ab", "ac"},               /* é would be halved */
      {"utf8", "a\xC3\xA9z", 3, "a\xC3\xA9", "a\xC3\xAA"}, /* é, ê */
      {"utf8", "ab\x7Fz", 4, "ab\x7Fz", "ab\x7Fz"},
      {"utf8", "ab\x7Fzz", 4, "ab\x7Fz", "ab\x7F{"},
      {"utf8", "ab\x7Fz", 3, "ab\x7F", "ac"},                       /* U+0080 has no room */
      {"utf8", "a\x7F\xC3\xA9", 3, "a\x7F", "a\xC2\x80"},           /* and here it has */
      {"utf8", "\xED\x9F\xBFz", 3, "\xED\x9F\xBF", "\xEE\x80\x80"}, /* over the surrogates */
      {"utf8", "\xF4\x8F\xBF\xBF.", 4, "\xF4\x8F\xBF\xBF", NULL},   /* nothing behind U+10FFFF */
      {"utf8", "a\xF4\x8F\xBF\xBF.", 5, "a\xF4\x8F\xBF\xBF", "b"},
      {"utf8", "\xEF\xBF\xBFzz", 4, "\xEF\xBF\xBFz", "\xEF\xBF\xBF{"},
      {"utf8", "\xEF\xBF\xBF\xEF\xBF\xBF", 4, "\xEF\xBF\xBF", "\xF0\x90\x80\x80"},
      {"utf8", "\xE2\x82\xAC", 2, "", NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct parquet_leaf leaf = leaf_of(kind_named(cases[i].kind));
    struct parquet_bytes value = {(const uint8_t *)cases[i].value, (int64_t)strlen(cases[i].value)};
    struct parquet_values values = {.count = 1, .data = &value};
    struct parquet_statistics made;
    parquet_statistics_of(&leaf, &values, cases[i].bytes_max, &made);
    if (made.has_bounds != (cases[i].max != NULL)) fail_msg("case %zu", i);
    bool is_exact = value.size_bytes <= cases[i].bytes_max;
    assert_int_equal(made.min.size_bytes, strlen(cases[i].min));
    assert_memory_equal(made.min.data, cases[i].min, made.min.size_bytes);
    assert_int_equal(made.min.is_exact, is_exact);
    if (cases[i].max == NULL) continue;
    if (made.max.size_bytes != strlen(cases[i].max)) fail_msg("case %zu", i);
    assert_memory_equal(made.max.data, cases[i].max, made.max.size_bytes);
    assert_int_equal(made.max.is_exact, is_exact);
  }
}

static void strings_that_differ_late_are_told_apart(void **state) {
  (void)state;
  static const struct {
    const char *values[5];
    int64_t sizes[5];
    int count, min, max;
  } cases[] = {
      {{"b", "a", "c"}, {1, 1, 1}, 3, 1, 2},
      {{"a", "a\0", "", "a\0\0"}, {1, 2, 0, 3}, 4, 2, 3},
      {{"a\0\0", "a\0", "a"}, {3, 2, 1}, 3, 2, 0},
      {{"1234567", "1234567\0", "123456"}, {7, 8, 6}, 3, 2, 1},
      {{"12345678", "1234567", "123456789"}, {8, 7, 9}, 3, 1, 2},
      {{"prefix 12345678b", "prefix 12345678a", "prefix 12345678c"}, {16, 16, 16}, 3, 1, 2},
      {{"prefix 12345678", "prefix 12345678a", "prefix "}, {15, 16, 7}, 3, 2, 1},
      {{"prefix", "prefix", "prefi"}, {6, 6, 5}, 3, 2, 0},
      {{"\xFF", "\x80", "\x7F"}, {1, 1, 1}, 3, 2, 0},
      {{"", ""}, {0, 0}, 2, 0, 0},
      {{"12345678\xFF", "12345678\x01", "12345678\x7F"}, {9, 9, 9}, 3, 1, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct parquet_leaf leaf = leaf_of(kind_named("binary"));
    struct parquet_bytes bytes[5];
    for (int k = 0; k < cases[i].count; k++)
      bytes[k] = (struct parquet_bytes){(const uint8_t *)cases[i].values[k], cases[i].sizes[k]};
    struct parquet_values values = {.count = cases[i].count, .data = bytes};
    struct parquet_statistics made;
    parquet_statistics_of(&leaf, &values, 64, &made);
    struct parquet_bytes min = bytes[cases[i].min], max = bytes[cases[i].max];
    if (made.min.size_bytes != min.size_bytes || made.max.size_bytes != max.size_bytes)
      fail_msg("case %zu", i);
    assert_memory_equal(made.min.data, min.data, (size_t)min.size_bytes);
    assert_memory_equal(made.max.data, max.data, (size_t)max.size_bytes);
  }
}

static void what_cannot_be_bounded_is_not(void **state) {
  (void)state;
  static const struct kind cases[] = {
      {"no order", PARQUET_INT32, 0, PARQUET_ORDER_NONE, PARQUET_LOGICAL_NONE},
      {"long", PARQUET_FIXED, 65, PARQUET_ORDER_BYTES, PARQUET_LOGICAL_NONE},
  };
  for (int i = 0; i < 2; i++) {
    struct parquet_leaf leaf = leaf_of(&cases[i]);
    uint8_t data[130] = {1};
    struct parquet_values values = {.count = 2, .data = data};
    struct parquet_statistics made, start;
    parquet_statistics_of(&leaf, &values, 64, &made);
    assert_false(made.has_bounds);
    assert_int_equal(made.value_count, 2);
    parquet_statistics_start(&leaf, &start);
    parquet_statistics_merge(&leaf, &start, &made);
    assert_false(start.has_bounds);
    assert_int_equal(start.value_count, 2);
  }
}

/* A part whose bounds are not known leaves the whole without, in whichever order they come; one
 * with NaNs does so too, one without values changes nothing. */
static void a_merge_knows_no_more_than_its_parts(void **state) {
  (void)state;
  struct parquet_leaf leaf = leaf_of(kind_named("double"));
  double numbers[] = {1, 2}, nans[] = {NAN, NAN};
  struct parquet_values some = {.count = 2, .data = numbers}, none = {.count = 2, .data = nans};
  struct parquet_values nothing = {.count = 0, .data = numbers};
  struct parquet_statistics known, only_nans, unknown, empty, merged;
  parquet_statistics_of(&leaf, &some, 64, &known);
  parquet_statistics_of(&leaf, &none, 64, &only_nans);
  parquet_statistics_of(&leaf, &nothing, 64, &empty);
  unknown = known;
  unknown.has_bounds = false;
  const struct {
    const struct parquet_statistics *parts[3];
    bool has_bounds;
    int64_t nan_count;
  } cases[] = {
      {{&known, &empty, &known}, true, 0},
      {{&empty, &known, &empty}, true, 0},
      {{&known, &only_nans, &known}, false, 2},
      {{&only_nans, &known, &only_nans}, false, 4},
      {{&only_nans, &only_nans, &only_nans}, false, 6},
      {{&unknown, &known, &known}, false, 0},
      {{&known, &unknown, &known}, false, 0},
      {{&known, &known, &unknown}, false, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    parquet_statistics_start(&leaf, &merged);
    for (int k = 0; k < 3; k++) parquet_statistics_merge(&leaf, &merged, cases[i].parts[k]);
    assert_int_equal(merged.has_bounds, cases[i].has_bounds);
    assert_int_equal(merged.nan_count, cases[i].nan_count);
    int64_t values = 0;
    for (int k = 0; k < 3; k++) values += cases[i].parts[k]->value_count;
    assert_int_equal(merged.value_count, values);
    if (!merged.has_bounds) continue;
    assert_memory_equal(merged.min.data, &numbers[0], 8);
    assert_memory_equal(merged.max.data, &numbers[1], 8);
  }
}

/* "abc" as a value beside "abcd" cut to "abc": it is the least value, whichever came first. */
static void equal_bounds_are_exact_if_one_is(void **state) {
  (void)state;
  struct parquet_leaf leaf = leaf_of(kind_named("binary"));
  static const char *const pairs[][2] = {{"abcd", "abc"}, {"abcd", "abd"}};
  for (int i = 0; i < 4; i++) {
    struct parquet_statistics parts[2];
    for (int k = 0; k < 2; k++) {
      struct parquet_bytes value = {(const uint8_t *)pairs[i / 2][k],
                                    (int64_t)strlen(pairs[i / 2][k])};
      struct parquet_values values = {.count = 1, .data = &value};
      parquet_statistics_of(&leaf, &values, 3, &parts[k]);
    }
    struct parquet_statistics merged = parts[i % 2];
    parquet_statistics_merge(&leaf, &merged, &parts[1 - i % 2]);
    assert_memory_equal(merged.min.data, "abc", 3);
    assert_memory_equal(merged.max.data, "abd", 3);
    assert_int_equal(merged.min.is_exact, i / 2 == 0);
    assert_int_equal(merged.max.is_exact, i / 2 == 1);
  }
}

/* Loops begin with what every value is below or above. */
static void numbers_all_on_one_side_are_bounded(void **state) {
  (void)state;
  static const int32_t counts[] = {1, 3, 200};
  for (int i = 0; i < KINDS; i++) {
    if (kinds[i].type == PARQUET_BYTE_ARRAY) continue;
    struct parquet_leaf leaf = leaf_of(&kinds[i]);
    int64_t width = parquet_values_width(&leaf);
    for (int top = 0; top < 256; top += kinds[i].type == PARQUET_BOOLEAN ? 1 : 5) {
      if (kinds[i].type == PARQUET_BOOLEAN && top > 1) break;
      int64_t count = counts[top % 3];
      for (int64_t k = 0; k < count * width; k++) drawn->data[k] = (uint8_t)top; /* all alike */
      drawn->values = (struct parquet_values){.count = count, .data = drawn->data};
      struct parquet_statistics statistics;
      parquet_statistics_of(&leaf, &drawn->values, 64, &statistics);
      check(&kinds[i], &statistics, count, 64);
    }
  }
}

/* Each value alone in its memory: a sanitizer sees what is read beside it. */
static void nothing_beside_a_value_is_read(void **state) {
  (void)state;
  enum { ALONE = 700, LONGEST = 20 };
  struct parquet_leaf leaf = leaf_of(kind_named("binary"));
  for (int variant = 0; variant < 4; variant++) {
    for (int i = 0; i < ALONE; i++) {
      int64_t bytes = (int64_t)(noise() % LONGEST);
      if (variant % 2 == 1) bytes = i % 7;
      uint8_t *alone = malloc((size_t)(bytes == 0 ? 1 : bytes));
      assert_non_null(alone);
      for (int64_t k = 0; k < bytes; k++)
        alone[k] = variant < 2 ? (uint8_t)noise() : (uint8_t)("same here"[k % 9]);
      drawn->bytes[i] = (struct parquet_bytes){alone, bytes};
    }
    drawn->values = (struct parquet_values){.count = ALONE, .data = drawn->bytes};
    struct parquet_statistics statistics;
    parquet_statistics_of(&leaf, &drawn->values, 64, &statistics);
    check(kind_named("binary"), &statistics, ALONE, 64);
    for (int i = 0; i < ALONE; i++) free((void *)(uintptr_t)drawn->bytes[i].data);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bounds_hold_what_there_is),
      cmocka_unit_test(merged_bounds_hold_what_there_is),
      cmocka_unit_test(long_bounds_are_cut),
      cmocka_unit_test(strings_that_differ_late_are_told_apart),
      cmocka_unit_test(what_cannot_be_bounded_is_not),
      cmocka_unit_test(a_merge_knows_no_more_than_its_parts),
      cmocka_unit_test(equal_bounds_are_exact_if_one_is),
      cmocka_unit_test(numbers_all_on_one_side_are_bounded),
      cmocka_unit_test(nothing_beside_a_value_is_read),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
