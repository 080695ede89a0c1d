/* Every conversion in every form of slots, in one part and in several, against a value at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "parquet/values.h"

__extension__ typedef unsigned __int128 uint128;

enum { SLOTS = 1500, WIDTH_MAX = 32 };

static struct budget budget = {.limit_bytes = 1 << 30};

static uint64_t seed = 7;
static uint64_t noise(void) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return seed >> 11;
}

static int64_t row_of(const void *context, int64_t value) {
  return *(const int64_t *)context + value;
}
static const int64_t first_row = 1000;
static const struct parquet_where where = {row_of, &first_row};

/* ---- arrays ------------------------------------------------------------------------------------- */

/* A leaf and an array of SLOTS values for it. */
struct given {
  struct parquet_leaf leaf;
  uint8_t data[SLOTS * WIDTH_MAX + 64];
  uint8_t validity[SLOTS / 8 + 1];
  int64_t ends_64[SLOTS + 1];
  int32_t ends_32[SLOTS + 1];
  uint8_t text[SLOTS * 40];
  const void *buffers[6];
  struct ArrowArray array;
};

static struct given *given;

static int setup(void **state) {
  (void)state;
  given = calloc(1, sizeof *given);
  return given == NULL;
}
static int teardown(void **state) {
  (void)state;
  free(given);
  return budget.used_bytes != 0;
}

/* A leaf by what it converts. */
struct kind {
  const char *name;
  enum parquet_conversion conversion;
  enum parquet_type type;
  int32_t type_length;
  struct arrow_type arrow;
  int source_bytes;
};

static const struct kind kinds[] = {
    {"int32", PARQUET_AS_IT_IS, PARQUET_INT32, 0, {.kind = ARROW_INT32}, 4},
    {"int64", PARQUET_AS_IT_IS, PARQUET_INT64, 0, {.kind = ARROW_INT64}, 8},
    {"float", PARQUET_AS_IT_IS, PARQUET_FLOAT, 0, {.kind = ARROW_FLOAT32}, 4},
    {"double", PARQUET_AS_IT_IS, PARQUET_DOUBLE, 0, {.kind = ARROW_FLOAT64}, 8},
    {"float16", PARQUET_AS_IT_IS, PARQUET_FIXED, 2, {.kind = ARROW_FLOAT16}, 2},
    {"fixed 1", PARQUET_AS_IT_IS, PARQUET_FIXED, 1, {.kind = ARROW_FIXED_SIZE_BINARY}, 1},
    {"fixed 5", PARQUET_AS_IT_IS, PARQUET_FIXED, 5, {.kind = ARROW_FIXED_SIZE_BINARY}, 5},
    {"fixed 16", PARQUET_AS_IT_IS, PARQUET_FIXED, 16, {.kind = ARROW_FIXED_SIZE_BINARY}, 16},
    {"fixed 32", PARQUET_AS_IT_IS, PARQUET_FIXED, 32, {.kind = ARROW_FIXED_SIZE_BINARY}, 32},
    {"int8", PARQUET_WIDEN, PARQUET_INT32, 0, {.kind = ARROW_INT8}, 1},
    {"uint8", PARQUET_WIDEN, PARQUET_INT32, 0, {.kind = ARROW_UINT8}, 1},
    {"int16", PARQUET_WIDEN, PARQUET_INT32, 0, {.kind = ARROW_INT16}, 2},
    {"uint16", PARQUET_WIDEN, PARQUET_INT32, 0, {.kind = ARROW_UINT16}, 2},
    {"timestamp s", PARQUET_TIMES_1000, PARQUET_INT64, 0, {.kind = ARROW_TIMESTAMP}, 8},
    {"time s", PARQUET_TIMES_1000, PARQUET_INT32, 0, {.kind = ARROW_TIME32}, 4},
    {"date64", PARQUET_DAYS, PARQUET_INT32, 0, {.kind = ARROW_DATE64}, 8},
#define DECIMAL(to, physical, length, digits, bits)                                                \
  {                                                                                                \
    "decimal" #bits " of " #digits " digits", to, physical, length,                                \
        {.kind = ARROW_DECIMAL, .precision = digits, .scale = 2, .bit_width = bits}, bits / 8      \
  }
    DECIMAL(PARQUET_DECIMAL_INT, PARQUET_INT32, 0, 9, 32),
    DECIMAL(PARQUET_DECIMAL_INT, PARQUET_INT32, 0, 1, 64),
    DECIMAL(PARQUET_DECIMAL_INT, PARQUET_INT32, 0, 9, 128),
    DECIMAL(PARQUET_DECIMAL_INT, PARQUET_INT32, 0, 5, 256),
    DECIMAL(PARQUET_DECIMAL_INT, PARQUET_INT64, 0, 9, 32),
    DECIMAL(PARQUET_DECIMAL_INT, PARQUET_INT64, 0, 18, 64),
    DECIMAL(PARQUET_DECIMAL_INT, PARQUET_INT64, 0, 18, 128),
    DECIMAL(PARQUET_DECIMAL_INT, PARQUET_INT64, 0, 11, 256),
    DECIMAL(PARQUET_DECIMAL_BYTES, PARQUET_FIXED, 4, 9, 32),
    DECIMAL(PARQUET_DECIMAL_BYTES, PARQUET_FIXED, 8, 18, 64),
    DECIMAL(PARQUET_DECIMAL_BYTES, PARQUET_FIXED, 3, 6, 128),
    DECIMAL(PARQUET_DECIMAL_BYTES, PARQUET_FIXED, 9, 19, 128),
    DECIMAL(PARQUET_DECIMAL_BYTES, PARQUET_FIXED, 16, 38, 128),
    DECIMAL(PARQUET_DECIMAL_BYTES, PARQUET_FIXED, 16, 38, 256),
    DECIMAL(PARQUET_DECIMAL_BYTES, PARQUET_FIXED, 17, 39, 256),
    DECIMAL(PARQUET_DECIMAL_BYTES, PARQUET_FIXED, 32, 76, 256),
    DECIMAL(PARQUET_DECIMAL_BYTES, PARQUET_FIXED, 20, 30, 64),
    {"bool", PARQUET_BITS, PARQUET_BOOLEAN, 0, {.kind = ARROW_BOOL}, 0},
    {"utf8", PARQUET_OFFSETS, PARQUET_BYTE_ARRAY, 0, {.kind = ARROW_UTF8}, 0},
    {"large binary", PARQUET_OFFSETS, PARQUET_BYTE_ARRAY, 0, {.kind = ARROW_LARGE_BINARY}, 0},
    {"utf8 view", PARQUET_VIEWS, PARQUET_BYTE_ARRAY, 0, {.kind = ARROW_UTF8_VIEW}, 0},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* A decimal of at most so many digits, sign-extended to 32 bytes: sums of nines and less. */
static void make_decimal(int32_t digits, uint8_t value[32]) {
  uint64_t words[4] = {0, 0, 0, 0};
  bool is_negative = noise() % 2 == 0, is_nines = noise() % 8 == 0;
  int32_t length = is_nines ? digits : (int32_t)(noise() % (uint64_t)(digits + 1));
  for (int32_t i = 0; i < length; i++) {
    uint64_t carry = is_nines ? 9 : noise() % 10;
    for (int k = 0; k < 4; k++) {
      uint128 sum = (uint128)words[k] * 10 + carry;
      words[k] = (uint64_t)sum;
      carry = (uint64_t)(sum >> 64);
    }
  }
  uint64_t carry = 1;
  for (int k = 0; k < 4 && is_negative; k++) {
    words[k] = ~words[k] + carry;
    carry = carry == 1 && words[k] == 0;
  }
  memcpy(value, words, sizeof words);
}

static void make_views(void) {
  given->buffers[2] = given->text;
  given->buffers[3] = given->text + 100;
  given->array.n_buffers = 5;
  for (int i = 0; i < SLOTS; i++) {
    uint32_t view[4] = {(uint32_t)(noise() % 30), 0, (uint32_t)(noise() % 2),
                        (uint32_t)(noise() % 1000)};
    if (view[0] <= 12) memcpy(view + 1, given->text + noise() % 1000, 12);
    memcpy(given->data + i * 16, view, sizeof view);
  }
}

static void make_value(const struct kind *kind, int slot) {
  uint8_t *value = given->data + slot * kind->source_bytes;
  uint8_t wide[32];
  int64_t number = (int64_t)noise() % 1000000 - 500000;
  int32_t small = (int32_t)number;
  for (int k = 0; k < 32; k++) wide[k] = (uint8_t)noise();
  if (kind->conversion == PARQUET_DAYS) {
    number *= 86400000;
    memcpy(wide, &number, sizeof number);
  } else if (kind->conversion == PARQUET_TIMES_1000) {
    if (kind->source_bytes == 4)
      memcpy(wide, &small, sizeof small);
    else
      memcpy(wide, &number, sizeof number);
  } else if (kind->arrow.kind == ARROW_DECIMAL) {
    make_decimal(kind->arrow.precision, wide);
  }
  memcpy(value, wide, (size_t)kind->source_bytes);
}

static void make(const struct kind *kind, int nulls_percent) {
  memset(given, 0, sizeof *given);
  given->leaf = (struct parquet_leaf){.name = (char *)(uintptr_t) "a.b",
                                      .type = kind->type,
                                      .type_length = kind->type_length,
                                      .conversion = kind->conversion,
                                      .arrow = kind->arrow};
  given->array = (struct ArrowArray){.length = SLOTS, .n_buffers = 3, .buffers = given->buffers};
  given->buffers[1] = given->data;
  for (size_t i = 0; i < sizeof given->text; i++) given->text[i] = (uint8_t)noise();
  for (int i = 0; i < SLOTS; i++) {
    make_value(kind, i);
    int32_t bytes = (int32_t)(noise() % 4 == 0 ? 0 : noise() % 40);
    given->ends_32[i + 1] = given->ends_32[i] + bytes;
    given->ends_64[i + 1] = given->ends_32[i + 1];
    if ((int)(noise() % 100) >= nulls_percent)
      given->validity[i / 8] = (uint8_t)(given->validity[i / 8] | 1 << (i % 8));
  }
  if (kind->conversion == PARQUET_BITS)
    for (int i = 0; i < SLOTS; i++) given->data[i] = (uint8_t)noise();
  if (kind->conversion == PARQUET_OFFSETS) {
    given->buffers[2] = given->text;
    given->buffers[1] = given->ends_32;
    if (kind->arrow.kind == ARROW_LARGE_BINARY) given->buffers[1] = given->ends_64;
  }
  if (kind->conversion == PARQUET_VIEWS) make_views();
}

/* ---- what must come of it ------------------------------------------------------------------------- */

static struct parquet_bytes bytes_of(int64_t slot) {
  if (given->leaf.conversion == PARQUET_OFFSETS)
    return (struct parquet_bytes){given->text + given->ends_64[slot],
                                  given->ends_64[slot + 1] - given->ends_64[slot]};
  uint32_t view[4];
  memcpy(view, given->data + slot * 16, sizeof view);
  if (view[0] <= 12) return (struct parquet_bytes){given->data + slot * 16 + 4, view[0]};
  return (struct parquet_bytes){(const uint8_t *)given->buffers[2 + view[2]] + view[3], view[0]};
}

/* The value at `slot` by way of its sign-extended 32 bytes. */
static void expect(const struct kind *kind, int64_t slot, uint8_t *to) {
  const uint8_t *from = given->data + slot * kind->source_bytes;
  uint8_t wide[32];
  bool is_unsigned = kind->arrow.kind == ARROW_UINT8 || kind->arrow.kind == ARROW_UINT16;
  if (kind->conversion == PARQUET_BITS) {
    *to = given->data[slot / 8] >> (slot % 8) & 1;
    return;
  }
  memset(wide, !is_unsigned && from[kind->source_bytes - 1] >= 0x80 ? 0xFF : 0, sizeof wide);
  memcpy(wide, from, (size_t)kind->source_bytes);
  int64_t number;
  memcpy(&number, wide, sizeof number);
  if (kind->conversion == PARQUET_TIMES_1000) number *= 1000;
  if (kind->conversion == PARQUET_DAYS) number /= 86400000;
  memcpy(wide, &number, sizeof number);
  int64_t width = parquet_values_width(&given->leaf);
  for (int64_t k = 0; k < width; k++)
    to[k] = kind->conversion == PARQUET_DECIMAL_BYTES ? wide[width - 1 - k] : wide[k];
}

static void compare(const struct kind *kind, const struct parquet_values *values,
                    const int64_t *slots, int64_t count) {
  int64_t width = parquet_values_width(&given->leaf), sum_bytes = 0;
  assert_int_equal(values->count, count);
  for (int64_t i = 0; i < count; i++) {
    const uint8_t *value = (const uint8_t *)values->data + i * width;
    if (kind->type == PARQUET_BYTE_ARRAY) {
      struct parquet_bytes is, must = bytes_of(slots[i]);
      memcpy(&is, value, sizeof is);
      assert_int_equal(is.size_bytes, must.size_bytes);
      assert_non_null(is.data);
      assert_memory_equal(is.data, must.data, (size_t)must.size_bytes);
      sum_bytes += must.size_bytes;
    } else {
      uint8_t must[WIDTH_MAX];
      expect(kind, slots[i], must);
      if (memcmp(value, must, (size_t)width) != 0)
        fail_msg("%s: value %lld is not what it was", kind->name, (long long)i);
    }
  }
  assert_int_equal(values->data_bytes, sum_bytes);
}

enum form { LIST, BITMAP, RANGE };

/* Slots of a form in [first, first + span), and which they are. */
static struct parquet_slots choose(enum form form, int64_t first, int64_t span, int64_t *which) {
  struct parquet_slots slots = {.array = &given->array, .first = first, .span = span};
  if (form == BITMAP) slots.validity = given->validity;
  if (form == LIST) slots.slots = which;
  for (int64_t i = 0; i < span; i++) {
    int64_t slot = first + i;
    if (form == LIST) slot = first + (int64_t)(noise() % (uint64_t)span);
    if (form == BITMAP && (given->validity[slot / 8] >> (slot % 8) & 1) == 0) continue;
    which[slots.count++] = slot;
  }
  return slots;
}

/* ---- tests ---------------------------------------------------------------------------------------- */

static void every_conversion_in_every_form(void **state) {
  (void)state;
  static const int nulls[] = {0, 2, 50, 92, 100};
  static int64_t which[8 * SLOTS];
  for (int round = 0; round < KINDS * 15 * 2; round++) {
    const struct kind *kind = &kinds[round % KINDS];
    enum form form = (enum form)(round / KINDS % 3);
    make(kind, nulls[round / KINDS / 3 % 5]);
    struct parquet_values values = {0};
    for (int again = 0; again < 2; again++) { /* the second time with the memory of the first */
      int64_t count = 0, parts = 1 + (int64_t)(noise() % 4);
      parquet_values_clear(&values);
      for (int64_t part = 0; part < parts; part++) {
        int64_t first = (int64_t)(noise() % 200);
        int64_t span = (int64_t)(noise() % 3 == 0 ? noise() % 4 : noise() % (SLOTS - 200)) + 1;
        struct parquet_slots slots = choose(form, first, span, which + count);
        struct error error = {0};
        if (parquet_values_add(&given->leaf, &slots, parts == 1, &where, &budget, &values,
                               &error) != STATUS_OK)
          fail_msg("%s: %s", kind->name, error.text);
        count += slots.count;
      }
      compare(kind, &values, which, count);
    }
    parquet_values_release(&values);
    assert_int_equal(budget.used_bytes, 0);
  }
}

static void whole_pieces_are_pointed_to(void **state) {
  (void)state;
  static int64_t which[SLOTS];
  for (int i = 0; i < KINDS; i++) {
    const struct kind *kind = &kinds[i];
    make(kind, 0);
    struct error error = {0};
    struct parquet_values values = {0};
    struct parquet_slots slots = choose(RANGE, 3, 700, which);
    assert_int_equal(
        parquet_values_add(&given->leaf, &slots, true, &where, &budget, &values, &error),
        STATUS_OK);
    bool is_same_width = kind->source_bytes == parquet_values_width(&given->leaf);
    bool is_pointed = kind->conversion == PARQUET_AS_IT_IS ||
                      (kind->conversion == PARQUET_DECIMAL_INT && is_same_width);
    assert_int_equal(values.data == given->data + 3 * kind->source_bytes, is_pointed);
    assert_int_equal(budget.used_bytes == 0, is_pointed);
    compare(kind, &values, which, 700);

    parquet_values_clear(&values); /* and what is not whole is not */
    assert_int_equal(
        parquet_values_add(&given->leaf, &slots, false, &where, &budget, &values, &error),
        STATUS_OK);
    assert_ptr_equal(values.data, values.own.data);
    parquet_values_release(&values);
  }
}

/* Integers somewhere between their multiples are copied, so that loops may load them. */
static void what_is_not_aligned_is_copied(void **state) {
  (void)state;
  make(&kinds[3], 0);
  static _Alignas(8) uint8_t raw[81];
  for (int i = 0; i < 81; i++) raw[i] = (uint8_t)i;
  given->buffers[1] = raw + 1;
  struct parquet_slots slots = {.array = &given->array, .count = 10};
  struct parquet_values values = {0};
  struct error error = {0};
  assert_int_equal(parquet_values_add(&given->leaf, &slots, true, &where, &budget, &values, &error),
                   STATUS_OK);
  assert_ptr_equal(values.data, values.own.data);
  assert_memory_equal(values.data, raw + 1, 80);
  parquet_values_release(&values);
}

static void no_values_need_nothing(void **state) {
  (void)state;
  static const struct kind null_type = {"null", PARQUET_NOTHING, PARQUET_INT32, 0, {0}, 4};
  make(&null_type, 0);
  memset(given->buffers, 0, sizeof given->buffers);
  struct parquet_slots slots = {.array = &given->array};
  struct parquet_values values = {0};
  struct error error = {0};
  assert_int_equal(parquet_values_add(&given->leaf, &slots, true, &where, &budget, &values, &error),
                   STATUS_OK);
  assert_int_equal(values.count, 0);
  make(&kinds[KINDS - 3], 0); /* all empty, and no buffer for them */
  memset(given->ends_32, 0, sizeof given->ends_32);
  given->buffers[2] = NULL;
  slots.count = 10;
  assert_int_equal(parquet_values_add(&given->leaf, &slots, true, &where, &budget, &values, &error),
                   STATUS_OK);
  assert_int_equal(values.count, 10);
  assert_int_equal(values.data_bytes, 0);
  parquet_values_release(&values);
}

static const struct kind *kind_named(const char *name) {
  for (int i = 0; i < KINDS; i++)
    if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
  fail_msg("no kind %s", name);
  return NULL;
}

static void values_that_parquet_cannot_hold_are_named(void **state) {
  (void)state;
  static const struct {
    const char *kind;
    int64_t low, high; /* the value's lowest 16 bytes; sign-extended */
    const char *text;  /* NULL: it can */
  } cases[] = {
      {"timestamp s", INT64_MAX / 1000, 0, NULL},
      {"timestamp s", -(INT64_MAX / 1000), -1, NULL},
      {"timestamp s", INT64_MAX / 1000 + 1, 0,
       "9223372036854776 seconds are more than milliseconds can say"},
      {"timestamp s", INT64_MIN, -1,
       "-9223372036854775808 seconds are more than milliseconds can say"},
      {"time s", 2147483, 0, NULL},
      {"time s", 2147484, 0, "2147484 seconds are more than milliseconds can say"},
      {"date64", -86400000, -1, NULL},
      {"date64", 86400001, 0, "the date64 of 86400001 ms is no whole day of a date in days"},
      {"date64", -1, -1, "the date64 of -1 ms is no whole day of a date in days"},
      {"date64", (int64_t)INT32_MAX * 86400000, 0, NULL},
      {"date64", ((int64_t)INT32_MAX + 1) * 86400000, 0,
       "the date64 of 185542587187200000 ms is no whole day of a date in days"},
      {"decimal32 of 9 digits", 999999999, 0, NULL},
      {"decimal32 of 9 digits", -999999999, -1, NULL},
      {"decimal32 of 9 digits", 1000000000, 0, "10000000.00 does not fit decimal(9, 2)"},
      {"decimal64 of 1 digits", 10, 0, "0.10 does not fit decimal(1, 2)"},
      {"decimal64 of 18 digits", -999999999999999999, -1, NULL},
      {"decimal64 of 18 digits", 1000000000000000000, 0,
       "10000000000000000.00 does not fit decimal(18, 2)"},
      {"decimal128 of 9 digits", -1000000000, -1, "-10000000.00 does not fit decimal(9, 2)"},
      {"decimal128 of 18 digits", 5, 1, "184467440737095516.21 does not fit decimal(18, 2)"},
      {"decimal128 of 18 digits", 5, -1, "-184467440737095516.11 does not fit decimal(18, 2)"},
      {"decimal256 of 11 digits", 99999999999, 0, NULL},
      {"decimal256 of 11 digits", 0, 1, "184467440737095516.16 does not fit decimal(11, 2)"},
      {"decimal128 of 6 digits", 1000000, 0, "10000.00 does not fit decimal(6, 2)"},
      {"decimal128 of 38 digits", (int64_t)0x098a223fffffffff, 0x4b3b4ca85a86c47a, NULL},
      {"decimal128 of 38 digits", (int64_t)0x098a224000000000, 0x4b3b4ca85a86c47a,
       "1000000000000000000000000000000000000.00 does not fit decimal(38, 2)"},
      {"decimal128 of 38 digits", 0, INT64_MIN,
       "-1701411834604692317316873037158841057.28 does not fit decimal(38, 2)"},
      {"decimal256 of 38 digits", 0, INT64_MIN,
       "-1701411834604692317316873037158841057.28 does not fit decimal(38, 2)"},
      {"decimal256 of 39 digits", 0, INT64_MIN, NULL},
  };
  static int64_t which[SLOTS];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (int form = LIST; form <= RANGE; form++) {
      const struct kind *kind = kind_named(cases[i].kind);
      make(kind, 10);
      struct parquet_slots slots = choose((enum form)form, 5, 1300, which);
      struct parquet_values values = {0};
      struct error error = {.text = ""};
      struct parquet_slots few = {.array = &given->array, .count = 2, .first = 0};
      assert_int_equal(
          parquet_values_add(&given->leaf, &few, false, &where, &budget, &values, &error),
          STATUS_OK);
      int64_t wide[4] = {cases[i].low, cases[i].high, cases[i].high >> 63, cases[i].high >> 63};
      int64_t at = slots.count - 2;
      int64_t slot = which[at];
      for (int64_t k = at; k >= 0; k--)
        if (which[k] == slot) at = k; /* a list may have it before */
      memcpy(given->data + slot * kind->source_bytes, wide, (size_t)kind->source_bytes);
      enum status status =
          parquet_values_add(&given->leaf, &slots, false, &where, &budget, &values, &error);
      assert_int_equal(status, cases[i].text == NULL ? STATUS_OK : STATUS_SCHEMA);
      if (cases[i].text != NULL) {
        char text[300];
        snprintf(text, sizeof text, "column \"a.b\", row %lld (the first is 0): %s",
                 (long long)(first_row + at), cases[i].text);
        assert_string_equal(error.text, text);
        assert_int_equal(values.count, 2); /* as it was */
      }
      parquet_values_release(&values);
    }
  }
}

/* The 10^76 that decimal256 ends below. */
static void the_widest_decimals_are_checked_too(void **state) {
  (void)state;
  const struct kind *kind = kind_named("decimal256 of 76 digits");
  make(kind, 0);
  uint64_t words[4] = {1, 0, 0, 0};
  for (int i = 0; i < 76; i++) {
    uint64_t carry = 0;
    for (int k = 0; k < 4; k++) {
      uint128 sum = (uint128)words[k] * 10 + carry;
      words[k] = (uint64_t)sum;
      carry = (uint64_t)(sum >> 64);
    }
  }
  static const struct {
    int add;
    enum status status;
  } cases[] = {{-1, STATUS_OK}, {0, STATUS_SCHEMA}, {1, STATUS_SCHEMA}};
  for (int i = 0; i < 3; i++) {
    struct parquet_slots slots = {.array = &given->array, .count = 100};
    struct parquet_values values = {0};
    struct error error = {0};
    uint64_t value[4];
    memcpy(value, words, sizeof value);
    value[0] += (uint64_t)cases[i].add;
    if (cases[i].add < 0 && words[0] == 0) /* 10^76 is a multiple of 2^64 */
      for (int k = 1; k < 4 && value[k]-- == 0; k++) {
      }
    memcpy(given->data + 50 * 32, value, sizeof value);
    assert_int_equal(
        parquet_values_add(&given->leaf, &slots, false, &where, &budget, &values, &error),
        cases[i].status);
    parquet_values_release(&values);
  }
}

/* Of decimals that are narrowed every word above what is left is looked at. */
static void no_word_of_a_decimal_is_forgotten(void **state) {
  (void)state;
  static const char *const names[] = {"decimal256 of 11 digits", "decimal256 of 5 digits",
                                      "decimal256 of 38 digits", "decimal128 of 18 digits",
                                      "decimal128 of 9 digits"};
  for (int i = 0; i < 5; i++) {
    const struct kind *kind = kind_named(names[i]);
    int words = kind->source_bytes / 8;
    for (int word = words < 4 || kind->arrow.precision < 38 ? 1 : 2; word < words; word++) {
      for (int sign = 0; sign < 2; sign++) {
        make(kind, 0);
        uint64_t value[4] = {5, 0, 0, 0};
        for (int k = 0; k < 4 && sign == 1; k++) value[k] = ~value[k];
        value[word] ^= 1;
        memcpy(given->data + 20 * kind->source_bytes, value, (size_t)kind->source_bytes);
        struct parquet_slots slots = {.array = &given->array, .count = 30};
        struct parquet_values values = {0};
        struct error error = {0};
        assert_int_equal(
            parquet_values_add(&given->leaf, &slots, true, &where, &budget, &values, &error),
            STATUS_SCHEMA);
        assert_non_null(strstr(error.text, "row 1020 "));
        parquet_values_release(&values);
      }
    }
  }
}

/* Offsets say 2 GiB; no byte of it is read. */
static void values_of_two_gigabytes_are_refused(void **state) {
  (void)state;
  static int64_t which[SLOTS];
  for (int form = LIST; form <= RANGE; form++) {
    make(kind_named("large binary"), 0);
    for (int i = 8; i <= SLOTS; i++) given->ends_64[i] += (int64_t)1 << 31;
    struct parquet_slots slots = choose((enum form)form, 0, 100, which);
    if (form == LIST) which[40] = 7;
    struct parquet_values values = {0};
    struct error error = {.text = ""};
    assert_int_equal(
        parquet_values_add(&given->leaf, &slots, false, &where, &budget, &values, &error),
        STATUS_TOO_LARGE);
    assert_non_null(strstr(error.text, "a value of 2 GiB or more"));
    int64_t at = 0;
    while (which[at] != 7) at++;
    char text[60];
    snprintf(text, sizeof text, "column \"a.b\", row %lld (", (long long)(first_row + at));
    assert_non_null(strstr(error.text, text));
    assert_int_equal(values.count, 0);
    assert_int_equal(values.data_bytes, 0);
    parquet_values_release(&values);
  }
}

static void a_small_budget_refuses(void **state) {
  (void)state;
  make(&kinds[9], 0);
  struct budget small = {.limit_bytes = 2000};
  struct parquet_values values = {0};
  struct parquet_slots slots = {.array = &given->array, .count = 100};
  struct error error = {.text = ""};
  int added = 0;
  enum status status;
  while ((status = parquet_values_add(&given->leaf, &slots, false, &where, &small, &values,
                                      &error)) == STATUS_OK)
    added++;
  assert_int_equal(status, STATUS_BUDGET);
  assert_true(added >= 1 && values.count == 100 * added);
  int8_t last;
  memcpy(&last, given->data + 99, 1);
  int32_t is;
  memcpy(&is, (const uint8_t *)values.data + (values.count - 1) * 4, 4);
  assert_int_equal(is, last);
  parquet_values_release(&values);
  assert_int_equal(small.used_bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_conversion_in_every_form),
      cmocka_unit_test(whole_pieces_are_pointed_to),
      cmocka_unit_test(what_is_not_aligned_is_copied),
      cmocka_unit_test(no_values_need_nothing),
      cmocka_unit_test(values_that_parquet_cannot_hold_are_named),
      cmocka_unit_test(the_widest_decimals_are_checked_too),
      cmocka_unit_test(no_word_of_a_decimal_is_forgotten),
      cmocka_unit_test(values_of_two_gigabytes_are_refused),
      cmocka_unit_test(a_small_budget_refuses),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
