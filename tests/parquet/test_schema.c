/* What Arrow types become in Parquet, as text that is written like pyarrow 26 prints its own files'
 * schemas (pq.ParquetFile(path).schema): the expectations are what it writes for the same type,
 * but where a comment says otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "parquet/field.h"
#include "parquet/schema.h"

#define F            FIELD
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- printing ------------------------------------------------------------------------- */

static void add(struct text *out, const char *format, ...) PRINTF_LIKE(2, 3);
static void add(struct text *out, const char *format, ...) {
  char piece[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(piece, sizeof piece, format, arguments);
  va_end(arguments);
  assert_int_equal(text_add(out, piece, NULL), STATUS_OK);
}

static void print_logical(const struct parquet_logical *logical, struct text *out) {
  static const char *const units[] = {"", "ms", "us", "ns"};
  static const char *const names[] = {
      [PARQUET_LOGICAL_STRING] = "String", [PARQUET_LOGICAL_MAP] = "Map",
      [PARQUET_LOGICAL_LIST] = "List",     [PARQUET_LOGICAL_DATE] = "Date",
      [PARQUET_LOGICAL_NULL] = "Null",     [PARQUET_LOGICAL_JSON] = "JSON",
      [PARQUET_LOGICAL_UUID] = "UUID",     [PARQUET_LOGICAL_FLOAT16] = "Float16",
  };
  switch (logical->kind) {
  case PARQUET_LOGICAL_NONE: return;
  case PARQUET_LOGICAL_DECIMAL:
    add(out, " (Decimal %d %d)", logical->precision, logical->scale);
    return;
  case PARQUET_LOGICAL_INTEGER:
    add(out, " (%s%d)", logical->is_signed ? "Int" : "UInt", logical->bit_width);
    return;
  case PARQUET_LOGICAL_TIME:
  case PARQUET_LOGICAL_TIMESTAMP:
    add(out, " (%s %s%s)", logical->kind == PARQUET_LOGICAL_TIME ? "Time" : "Timestamp",
        units[logical->unit], logical->is_utc ? " utc" : "");
    return;
  default: add(out, " (%s)", names[logical->kind]);
  }
}

/* Prints element `*index` and what is in it; leaves it behind them. */
static void print_element(const struct parquet_schema *schema, int32_t *index, struct text *out) {
  static const char *const types[] = {"boolean", "int32",  "int64", "",
                                      "float",   "double", "bytes", "fixed"};
  static const char *const repetitions[] = {"required", "optional", "repeated"};
  const struct parquet_element *element = &schema->elements[(*index)++];
  add(out, "%s ", repetitions[element->repetition]);
  add(out, "%s", element->is_leaf ? types[element->type] : "group");
  if (element->is_leaf && element->type == PARQUET_FIXED) add(out, "(%d)", element->type_length);
  add(out, " %s", element->name);
  if (element->field_id != PARQUET_NO_FIELD_ID) add(out, "=%d", element->field_id);
  print_logical(&element->logical, out);
  if (element->is_leaf) return;
  add(out, " {");
  for (int32_t i = 0; i < element->child_count; i++) {
    add(out, "%s", i == 0 ? " " : "; ");
    print_element(schema, index, out);
  }
  add(out, " }");
}

/* ---- types ------------------------------------------------------------------------------ */

struct type_case {
  const struct field *field;
  const char *printed;
  enum parquet_conversion conversion; /* of the last leaf */
  enum parquet_order order;
};

#define AS_IT_IS     PARQUET_AS_IT_IS
#define SIGNED       PARQUET_ORDER_SIGNED
#define UNSIGNED     PARQUET_ORDER_UNSIGNED
#define BYTES        PARQUET_ORDER_BYTES
#define BIG          PARQUET_ORDER_BIG_ENDIAN
#define JSON         .key = "ARROW:extension:name", .value = "arrow.json"
#define UUID         .key = "ARROW:extension:name", .value = "arrow.uuid"
#define ID(id)       .key = "PARQUET:field_id", .value = id
#define LIST_OF_INTS "optional group c (List) { repeated group list { optional int32 element } }"

static const struct type_case type_cases[] = {
    {F("c", "c"), "optional int32 c (Int8)", PARQUET_WIDEN, SIGNED},
    {F("C", "c"), "optional int32 c (UInt8)", PARQUET_WIDEN, UNSIGNED},
    {F("s", "c"), "optional int32 c (Int16)", PARQUET_WIDEN, SIGNED},
    {F("S", "c"), "optional int32 c (UInt16)", PARQUET_WIDEN, UNSIGNED},
    {F("i", "c"), "optional int32 c", AS_IT_IS, SIGNED},
    {F("I", "c"), "optional int32 c (UInt32)", AS_IT_IS, UNSIGNED},
    {F("l", "c"), "optional int64 c", AS_IT_IS, SIGNED},
    {F("L", "c"), "optional int64 c (UInt64)", AS_IT_IS, UNSIGNED},
    {F("e", "c"), "optional fixed(2) c (Float16)", AS_IT_IS, PARQUET_ORDER_HALF},
    {F("f", "c"), "optional float c", AS_IT_IS, PARQUET_ORDER_FLOAT},
    {F("g", "c"), "optional double c", AS_IT_IS, PARQUET_ORDER_FLOAT},
    {F("b", "c"), "optional boolean c", PARQUET_BITS, UNSIGNED},
    {F("u", "c"), "optional bytes c (String)", PARQUET_OFFSETS, BYTES},
    {F("U", "c"), "optional bytes c (String)", PARQUET_OFFSETS, BYTES},
    {F("vu", "c"), "optional bytes c (String)", PARQUET_VIEWS, BYTES},
    {F("z", "c"), "optional bytes c", PARQUET_OFFSETS, BYTES},
    {F("Z", "c"), "optional bytes c", PARQUET_OFFSETS, BYTES},
    {F("vz", "c"), "optional bytes c", PARQUET_VIEWS, BYTES},
    {F("w:5", "c"), "optional fixed(5) c", AS_IT_IS, BYTES},
    /* pyarrow: FIXED at any precision, unless store_decimal_as_integer */
    {F("d:9,2,32", "c"), "optional int32 c (Decimal 9 2)", PARQUET_DECIMAL_INT, SIGNED},
    {F("d:1,0", "c"), "optional int32 c (Decimal 1 0)", PARQUET_DECIMAL_INT, SIGNED},
    {F("d:10,3", "c"), "optional int64 c (Decimal 10 3)", PARQUET_DECIMAL_INT, SIGNED},
    {F("d:18,18,256", "c"), "optional int64 c (Decimal 18 18)", PARQUET_DECIMAL_INT, SIGNED},
    {F("d:19,2", "c"), "optional fixed(9) c (Decimal 19 2)", PARQUET_DECIMAL_BYTES, BIG},
    {F("d:38,10", "c"), "optional fixed(16) c (Decimal 38 10)", PARQUET_DECIMAL_BYTES, BIG},
    {F("d:39,10,256", "c"), "optional fixed(17) c (Decimal 39 10)", PARQUET_DECIMAL_BYTES, BIG},
    {F("d:76,10,256", "c"), "optional fixed(32) c (Decimal 76 10)", PARQUET_DECIMAL_BYTES, BIG},
    {F("tdD", "c"), "optional int32 c (Date)", AS_IT_IS, SIGNED},
    {F("tdm", "c"), "optional int32 c (Date)", PARQUET_DAYS, SIGNED},
    {F("tts", "c"), "optional int32 c (Time ms)", PARQUET_TIMES_1000, SIGNED},
    {F("ttm", "c"), "optional int32 c (Time ms)", AS_IT_IS, SIGNED},
    {F("ttu", "c"), "optional int64 c (Time us)", AS_IT_IS, SIGNED},
    {F("ttn", "c"), "optional int64 c (Time ns)", AS_IT_IS, SIGNED},
    {F("tss:", "c"), "optional int64 c (Timestamp ms)", PARQUET_TIMES_1000, SIGNED},
    {F("tsm:", "c"), "optional int64 c (Timestamp ms)", AS_IT_IS, SIGNED},
    {F("tsu:", "c"), "optional int64 c (Timestamp us)", AS_IT_IS, SIGNED},
    {F("tsn:", "c"), "optional int64 c (Timestamp ns)", AS_IT_IS, SIGNED},
    {F("tsu:UTC", "c"), "optional int64 c (Timestamp us utc)", AS_IT_IS, SIGNED},
    {F("tss:Asia/Tokyo", "c"), "optional int64 c (Timestamp ms utc)", PARQUET_TIMES_1000, SIGNED},
    {F("tsn:+02:00", "c"), "optional int64 c (Timestamp ns utc)", AS_IT_IS, SIGNED},
    {F("tDs", "c"), "optional int64 c", AS_IT_IS, SIGNED},
    {F("tDn", "c"), "optional int64 c", AS_IT_IS, SIGNED},
    {F("n", "c"), "optional int32 c (Null)", PARQUET_NOTHING, PARQUET_ORDER_NONE},
    {F("i", "c", .is_required = true), "required int32 c", AS_IT_IS, SIGNED},
    {F("+l", "c", {F("i", "item")}), LIST_OF_INTS, AS_IT_IS, SIGNED},
    {F("+l", "c", {F("i", "x", .is_required = true)}),
     "optional group c (List) { repeated group list { required int32 element } }", AS_IT_IS,
     SIGNED},
    {F("+L", "c", {F("i", "x")}, .is_required = true),
     "required group c (List) { repeated group list { optional int32 element } }", AS_IT_IS,
     SIGNED},
    {F("+w:3", "c", {F("i", "item")}), LIST_OF_INTS, AS_IT_IS, SIGNED},
    {F("+vl", "c", {F("i", "item")}), LIST_OF_INTS, AS_IT_IS, SIGNED},
    {F("+vL", "c", {F("i", "item")}), LIST_OF_INTS, AS_IT_IS, SIGNED},
    {F("+l", "c", {F("+l", "item", {F("i", "item")})}),
     "optional group c (List) { repeated group list { optional group element (List) { repeated "
     "group "
     "list { optional int32 element } } } }",
     AS_IT_IS, SIGNED},
    {F("+m", "c", {F("+s", "entries", {F("u", "k"), F("i", "v")}, .is_required = true)}),
     "optional group c (Map) { repeated group key_value { required bytes key (String); optional "
     "int32 "
     "value } }",
     AS_IT_IS, SIGNED},
    {F("+m", "c", {F("+s", "e", {F("+s", "k", {F("i", "a")}), F("i", "v", .is_required = true)})}),
     "optional group c (Map) { repeated group key_value { required group key { optional int32 a }; "
     "required int32 value } }",
     AS_IT_IS, SIGNED},
    {F("+s", "c", {F("i", "a", .is_required = true), F("u", "b")}),
     "optional group c { required int32 a; optional bytes b (String) }", PARQUET_OFFSETS, BYTES},
    {F("c", "c", .dictionary = F("u")), "optional bytes c (String)", PARQUET_OFFSETS, BYTES},
    {F("c", "c", .dictionary = F("s")), "optional int32 c (Int16)", PARQUET_WIDEN, SIGNED},
    {F("c", "c", .dictionary = F("+l", "", {F("i", "item")})), LIST_OF_INTS, AS_IT_IS, SIGNED},
    /* pyarrow cannot write runs */
    {F("+r", "c", {F("i", "run_ends"), F("u", "values")}), "optional bytes c (String)",
     PARQUET_OFFSETS, BYTES},
    {F("+r", "c", {F("s", "run_ends"), F("c", "values", .dictionary = F("tsu:UTC"))},
       .is_required = true),
     "required int64 c (Timestamp us utc)", AS_IT_IS, SIGNED},
    {F("w:16", "c", UUID), "optional fixed(16) c (UUID)", AS_IT_IS, BYTES},
    {F("w:15", "c", UUID), "optional fixed(15) c", AS_IT_IS, BYTES},
    {F("w:16", "c", JSON), "optional fixed(16) c", AS_IT_IS, BYTES},
    {F("u", "c", JSON), "optional bytes c (JSON)", PARQUET_OFFSETS, BYTES},
    {F("vu", "c", JSON), "optional bytes c (JSON)", PARQUET_VIEWS, BYTES},
    {F("c", "c", .dictionary = F("u", "", JSON)), "optional bytes c (JSON)", PARQUET_OFFSETS,
     BYTES},
    {F("z", "c", JSON), "optional bytes c", PARQUET_OFFSETS, BYTES},
    {F("c", "c", .key = "ARROW:extension:name", .value = "arrow.bool8"), "optional int32 c (Int8)",
     PARQUET_WIDEN, SIGNED},
    {F("i", "c", ID("7")), "optional int32 c=7", AS_IT_IS, SIGNED},
    {F("i", "c", ID("2147483647")), "optional int32 c=2147483647", AS_IT_IS, SIGNED},
    {F("i", "c", ID("-1")), "optional int32 c", AS_IT_IS, SIGNED},
    {F("+l", "c", {F("i", "item", ID("2"))}, ID("1")),
     "optional group c=1 (List) { repeated group list { optional int32 element=2 } }", AS_IT_IS,
     SIGNED},
    {F("+m", "c", {F("+s", "entries", {F("u", "key", ID("4")), F("i", "value", ID("5"))})}),
     "optional group c (Map) { repeated group key_value { required bytes key=4 (String); optional "
     "int32 value=5 } }",
     AS_IT_IS, SIGNED},
};

static void types_become_what_other_writers_make_of_them(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(type_cases); i++) {
    const struct type_case *wanted = &type_cases[i];
    struct ArrowSchema arrow = field_batch_schema(wanted->field);
    struct parquet_schema *schema = NULL;
    struct error error = {.text = ""};
    if (parquet_schema_new(&arrow, &schema, &error) != STATUS_OK)
      fail_msg("%s: %s", wanted->printed, error.text);
    struct text text = TEXT_EMPTY;
    int32_t index = 1;
    print_element(schema, &index, &text);
    assert_string_equal(text_get(&text), wanted->printed);
    assert_int_equal(index, schema->element_count);
    assert_int_equal(schema->elements[0].child_count, 1);
    const struct parquet_leaf *leaf = &schema->leaves[schema->leaf_count - 1];
    const struct parquet_element *element = &schema->elements[leaf->element];
    assert_true(element->is_leaf && element->type == leaf->type);
    assert_int_equal(element->type_length, leaf->type_length);
    assert_int_equal(element->field_id, leaf->field_id);
    assert_int_equal(element->logical.kind, leaf->logical.kind);
    if (leaf->conversion != wanted->conversion || leaf->order != wanted->order)
      fail_msg("%s: conversion %d, order %d", wanted->printed, leaf->conversion, leaf->order);
    text_release(&text);
    parquet_schema_free(schema);
    arrow_schema_release(&arrow);
  }
}

/* ---- refused ---------------------------------------------------------------------------- */

static const struct {
  const struct field *field;
  enum status status;
  const char *text;
} refusals[] = {
    {F("+us:0,1", "c", {F("i", "a"), F("u", "b")}), STATUS_UNSUPPORTED,
     "column 'c': Parquet has no unions: write a struct"},
    {F("+l", "c", {F("+ud:0", "item", {F("i", "a")})}), STATUS_UNSUPPORTED,
     "column 'c.list.element': Parquet has no unions"},
    {F("tiM", "c"), STATUS_UNSUPPORTED, "column 'c': Parquet holds no interval exactly"},
    {F("tiD", "c"), STATUS_UNSUPPORTED, "column 'c': Parquet holds no interval exactly"},
    {F("+s", "c", {F("i", "a"), F("tin", "b")}), STATUS_UNSUPPORTED,
     "column 'c.b': Parquet holds no interval exactly"},
    {F("d:5,-2", "c"), STATUS_UNSUPPORTED, "column 'c': Parquet has no decimals of 5 digits with "},
    {F("d:5,6", "c"), STATUS_UNSUPPORTED, "column 'c': Parquet has no decimals of 5 digits with "},
    {F("w:0", "c"), STATUS_UNSUPPORTED, "column 'c': Parquet has no fixed-size binary of 0 bytes"},
    {F("+s", "c"), STATUS_UNSUPPORTED, "column 'c': it is a struct without fields"},
    {F("+s", "c", {F("i", "a"), F("+s", "b")}), STATUS_UNSUPPORTED,
     "column 'c.b': it is a struct without fields"},
    {F("?", "c"), STATUS_INVALID, "column 'c': the format string \"?\""},
    {F("+l", "c"), STATUS_INVALID, "column 'c': its format \"+l\" needs 1 children, and it has 0"},
    {F("+m", "c", {F("i", "entries")}), STATUS_INVALID,
     "column 'c.key_value': its entries are no struct of key and value"},
    {F("+m", "c", {F("+s", "entries", {F("u", "k")})}), STATUS_INVALID,
     "column 'c.key_value': its format \"+s\" needs 2 children, and it has 1"},
    {F("g", "c", .dictionary = F("u")), STATUS_INVALID, "column 'c': it has a dictionary, and"},
    {F("+r", "c", {F("u", "run_ends"), F("u", "values")}), STATUS_INVALID,
     "column 'c': its run ends have format \"u\""},
    {F("i", "c", ID("seven")), STATUS_INVALID,
     "column 'c': its metadata has PARQUET:field_id \"seven\", which is no number from 0 to"},
    {F("i", "c", ID("")), STATUS_INVALID, "column 'c': its metadata"},
    {F("i", "c", ID("-")), STATUS_INVALID, "column 'c': its metadata"},
    {F("i", "c", ID("2147483648")), STATUS_INVALID, "column 'c': its metadata"},
    {F("i", "c", ID("99999999999999999999")), STATUS_INVALID, "column 'c': its metadata"},
};

static void what_parquet_cannot_hold_is_refused_by_name(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(refusals); i++) {
    struct ArrowSchema arrow = field_batch_schema(refusals[i].field);
    struct parquet_schema *schema = NULL;
    struct error error = {.text = ""};
    enum status status = parquet_schema_new(&arrow, &schema, &error);
    if (status != refusals[i].status || strstr(error.text, refusals[i].text) != error.text)
      fail_msg("%s: %s, wanted %s", status_name(status), error.text, refusals[i].text);
    assert_null(schema);
    arrow_schema_release(&arrow);
  }
  struct ArrowSchema alone = field_schema(F("i", "c"));
  struct parquet_schema *schema = NULL;
  struct error error = {.text = ""};
  assert_int_equal(parquet_schema_new(&alone, &schema, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "must be a struct"));
  arrow_schema_release(&alone);
}

/* Lists within each other, `depth` of them. */
static struct ArrowSchema nested_lists(int depth) {
  struct field fields[2 * ARROW_DEPTH_MAX];
  fields[0] = *F("i", "item");
  for (int i = 1; i <= depth; i++) fields[i] = *F("+l", "item", {&fields[i - 1]});
  return field_batch_schema(&fields[depth]);
}

static void nesting_has_a_limit(void **state) {
  (void)state;
  struct parquet_schema *schema = NULL;
  struct ArrowSchema arrow = nested_lists(ARROW_DEPTH_MAX);
  assert_int_equal(parquet_schema_new(&arrow, &schema, NULL), STATUS_OK);
  const struct parquet_leaf *leaf = &schema->leaves[0];
  assert_int_equal(leaf->max_def, 2 * ARROW_DEPTH_MAX + 1);
  assert_int_equal(leaf->max_rep, ARROW_DEPTH_MAX);
  assert_int_equal(leaf->path_count, 2 * ARROW_DEPTH_MAX + 1);
  parquet_schema_free(schema);
  arrow_schema_release(&arrow);
  struct error error = {.text = ""};
  arrow = nested_lists(ARROW_DEPTH_MAX + 1);
  assert_int_equal(parquet_schema_new(&arrow, &schema, &error), STATUS_TOO_LARGE);
  assert_non_null(strstr(error.text, "nested deeper than 64"));
  arrow_schema_release(&arrow);
}

/* ---- leaves ----------------------------------------------------------------------------- */

static const struct field *const columns = F(
    "+s", "",
    {F("i", "id", .is_required = true),
     F("+s", "a",
       {F("i", "x"), F("+l", "b", {F("+s", "item", {F("u", "y"), F("i", "list")})}),
        F("+m", "m", {F("+s", "e", {F("u", "k"), F("+l", "v", {F("i", "item")})})})}),
     F("c", "d", .dictionary = F("+s", "", {F("+r", "r", {F("i", "run_ends"), F("u", "values")})})),
     F("u", "a.x"), F("u", "id"), F("n", "")});

static const struct {
  const char *name;
  int32_t top_level, max_def, max_rep, step_count;
  bool is_coded;
} wanted_leaves[] = {
    {"id", 0, 0, 0, 1, false},
    {"a.x", 1, 2, 0, 2, false},
    {"a.b.list.element.y", 1, 5, 1, 4, false},
    {"a.b.list.element.list", 1, 5, 1, 4, false},
    {"a.m.key_value.key", 1, 3, 1, 4, false},
    {"a.m.key_value.value.list.element", 1, 6, 2, 5, false},
    {"d.r", 2, 2, 0, 4, true},
    {"a.x", 3, 1, 0, 1, false},
    {"id", 4, 1, 0, 1, false},
    {"", 5, 1, 0, 1, false},
};

static void check_step(const struct parquet_step *step, enum parquet_step_kind kind,
                       bool is_nullable, int null_def, int present_def, int rep) {
  assert_int_equal(step->kind, kind);
  assert_int_equal(step->is_nullable, is_nullable);
  if (is_nullable) assert_int_equal(step->null_def, null_def);
  assert_int_equal(step->present_def, present_def);
  assert_int_equal(step->rep, rep);
}

static void leaves_know_their_way(void **state) {
  (void)state;
  struct ArrowSchema arrow = field_schema(columns);
  struct parquet_schema *schema = NULL;
  assert_int_equal(parquet_schema_new(&arrow, &schema, NULL), STATUS_OK);
  assert_int_equal(schema->leaf_count, COUNT(wanted_leaves));
  for (int32_t i = 0; i < schema->leaf_count; i++) {
    const struct parquet_leaf *leaf = &schema->leaves[i];
    assert_string_equal(leaf->name, wanted_leaves[i].name);
    assert_int_equal(leaf->top_level, wanted_leaves[i].top_level);
    assert_int_equal(leaf->max_def, wanted_leaves[i].max_def);
    assert_int_equal(leaf->max_rep, wanted_leaves[i].max_rep);
    assert_int_equal(leaf->step_count, wanted_leaves[i].step_count);
    assert_int_equal(leaf->is_coded, wanted_leaves[i].is_coded);
    assert_int_equal(leaf->steps[leaf->step_count - 1].kind, PARQUET_STEP_LEAF);
    assert_string_equal(leaf->path[leaf->path_count - 1], schema->elements[leaf->element].name);
  }
  const struct parquet_step *steps = schema->leaves[5].steps; /* a.m.key_value.value.list.element */
  check_step(&steps[0], PARQUET_STEP_STRUCT, true, 0, 1, 0);
  assert_int_equal(steps[0].child, 2);
  check_step(&steps[1], PARQUET_STEP_LIST, true, 1, 3, 1);
  check_step(&steps[2], PARQUET_STEP_STRUCT, false, 0, 3, 0);
  assert_int_equal(steps[2].child, 1);
  check_step(&steps[3], PARQUET_STEP_LIST, true, 3, 5, 2);
  check_step(&steps[4], PARQUET_STEP_LEAF, true, 5, 6, 0);
  steps =
      schema->leaves[6].steps; /* d.r: what is null behind a dictionary is null in front of it */
  check_step(&steps[0], PARQUET_STEP_DICTIONARY, true, 0, 1, 0);
  check_step(&steps[1], PARQUET_STEP_STRUCT, true, 0, 1, 0);
  check_step(&steps[2], PARQUET_STEP_RUNS, true, 1, 2, 0);
  check_step(&steps[3], PARQUET_STEP_LEAF, true, 1, 2, 0);
  assert_int_equal(steps[2].type.bit_width, 32);
  parquet_schema_free(schema);
  arrow_schema_release(&arrow);
}

/* ---- finding ---------------------------------------------------------------------------- */

static const struct {
  const char *path;
  int32_t first, count; /* count 0: there is none */
  const char *text;
} searches[] = {
    {"id", 0, 1, NULL},
    {"a", 1, 5, NULL},
    {"a.x", 1, 1, NULL},
    {"a.b", 2, 2, NULL},
    {"a.b.list", 2, 2, NULL}, /* the full name, not the short one of the field */
    {"a.b.list.element", 2, 2, NULL},
    {"a.b.list.element.y", 2, 1, NULL},
    {"a.b.y", 2, 1, NULL},
    {"a.b.list.element.list", 3, 1, NULL},
    {"a.m", 4, 2, NULL},
    {"a.m.key_value", 4, 2, NULL},
    {"a.m.key_value.key", 4, 1, NULL},
    {"a.m.key", 4, 1, NULL},
    {"a.m.value", 5, 1, NULL},
    {"a.m.key_value.value.list.element", 5, 1, NULL},
    {"d", 6, 1, NULL},
    {"d.r", 6, 1, NULL},
    {"", 9, 1, NULL},
    {"a.", 0, 0, "no column is called 'a.'"},
    {".a", 0, 0, "no column is called '.a'"},
    {"b", 0, 0, "no column is called 'b': name a field"},
    {"a.b.list.element.z", 0, 0, "did you mean 'a.b.list.element.y'?"},
    {"id.x", 0, 0, "no column is called 'id.x'"},
};

static void leaves_are_found_by_name(void **state) {
  (void)state;
  struct ArrowSchema arrow = field_schema(columns);
  struct parquet_schema *schema = NULL;
  assert_int_equal(parquet_schema_new(&arrow, &schema, NULL), STATUS_OK);
  for (size_t i = 0; i < COUNT(searches); i++) {
    struct error error = {.text = ""};
    int32_t first = 0, count = 0;
    enum status status = parquet_schema_find(schema, searches[i].path, &first, &count, &error);
    if (status != (searches[i].count == 0 ? STATUS_NOT_FOUND : STATUS_OK) ||
        first != searches[i].first || count != searches[i].count)
      fail_msg("'%s': %s, %d leaves from %d", searches[i].path, status_name(status), count, first);
    if (searches[i].text != NULL && strstr(error.text, searches[i].text) == NULL)
      fail_msg("'%s': %s", searches[i].path, error.text);
  }
  parquet_schema_free(schema);
  arrow_schema_release(&arrow);
}

/* Quadratic work would take minutes. */
static void a_hundred_thousand_columns_are_made_and_found(void **state) {
  (void)state;
  struct ArrowSchema arrow = {0};
  assert_int_equal(arrow_schema_init(&arrow, "+s", "", false, ARROW_FIELDS_MAX, NULL), STATUS_OK);
  for (int same = 0; same < 2; same++) {
    for (int64_t i = 0; i < arrow.n_children; i++) {
      char name[32];
      snprintf(name, sizeof name, "column_%d", same ? 0 : (int)i);
      if (same) arrow_schema_release(arrow.children[i]);
      assert_int_equal(arrow_schema_init(arrow.children[i], "i", name, true, 0, NULL), STATUS_OK);
    }
    struct parquet_schema *schema = NULL;
    assert_int_equal(parquet_schema_new(&arrow, &schema, NULL), STATUS_OK);
    assert_int_equal(schema->leaf_count, ARROW_FIELDS_MAX);
    for (int32_t i = 0; i < schema->leaf_count; i++) {
      int32_t first, count;
      assert_int_equal(parquet_schema_find(schema, schema->leaves[i].name, &first, &count, NULL),
                       STATUS_OK);
      assert_true(first == (same ? 0 : i) && count == 1);
    }
    parquet_schema_free(schema);
  }
  arrow_schema_release(&arrow);
}

static void no_columns_are_a_schema_too(void **state) {
  (void)state;
  struct ArrowSchema arrow = field_schema(F("+s", ""));
  struct parquet_schema *schema = NULL;
  assert_int_equal(parquet_schema_new(&arrow, &schema, NULL), STATUS_OK);
  assert_int_equal(schema->leaf_count, 0);
  assert_int_equal(schema->element_count, 1);
  int32_t first, count;
  assert_int_equal(parquet_schema_find(schema, "a", &first, &count, NULL), STATUS_NOT_FOUND);
  parquet_schema_free(schema);
  arrow_schema_release(&arrow);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(types_become_what_other_writers_make_of_them),
      cmocka_unit_test(what_parquet_cannot_hold_is_refused_by_name),
      cmocka_unit_test(nesting_has_a_limit),
      cmocka_unit_test(leaves_know_their_way),
      cmocka_unit_test(leaves_are_found_by_name),
      cmocka_unit_test(a_hundred_thousand_columns_are_made_and_found),
      cmocka_unit_test(no_columns_are_a_schema_too),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
