/* Footers: what another reader of Thrift finds where parquet.thrift says that it must be. */
#include "parquet/metadata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "parquet/thrift_read.h"

static struct budget budget = {.limit_bytes = INT64_MAX};

/* ---- a file that has a bit of everything ------------------------------------------------- */

static const char *id_path[] = {"id"}, *tags_path[] = {"tags", "list", "element"};
static const char *price_path[] = {"price"}, *ratio_path[] = {"ratio"};

enum { ID, TAGS, PRICE, RATIO, LEAVES };

static struct parquet_element elements[] = {
    {.name = "schema", .child_count = 4, .field_id = 99, .repetition = PARQUET_REPEATED},
    {.name = "id",
     .is_leaf = true,
     .type = PARQUET_INT64,
     .field_id = 7,
     .repetition = PARQUET_REQUIRED,
     .logical = {.kind = PARQUET_LOGICAL_INTEGER, .bit_width = 64, .is_signed = true}},
    {.name = "tags",
     .child_count = 1,
     .field_id = 0,
     .repetition = PARQUET_OPTIONAL,
     .logical = {.kind = PARQUET_LOGICAL_LIST}},
    {.name = "list",
     .child_count = 1,
     .field_id = PARQUET_NO_FIELD_ID,
     .repetition = PARQUET_REPEATED},
    {.name = "element",
     .is_leaf = true,
     .type = PARQUET_BYTE_ARRAY,
     .field_id = PARQUET_NO_FIELD_ID,
     .repetition = PARQUET_OPTIONAL,
     .logical = {.kind = PARQUET_LOGICAL_STRING}},
    {.name = "price",
     .is_leaf = true,
     .type = PARQUET_FIXED,
     .type_length = 9,
     .field_id = -3,
     .repetition = PARQUET_OPTIONAL,
     .logical = {.kind = PARQUET_LOGICAL_DECIMAL, .precision = 20, .scale = 2}},
    {.name = "ratio",
     .is_leaf = true,
     .type = PARQUET_DOUBLE,
     .field_id = PARQUET_NO_FIELD_ID,
     .repetition = PARQUET_OPTIONAL},
};

static struct parquet_leaf leaves[LEAVES] = {
    {.element = 1,
     .path = id_path,
     .path_count = 1,
     .type = PARQUET_INT64,
     .order = PARQUET_ORDER_SIGNED},
    {.element = 4,
     .path = tags_path,
     .path_count = 3,
     .type = PARQUET_BYTE_ARRAY,
     .order = PARQUET_ORDER_BYTES,
     .max_def = 3,
     .max_rep = 1},
    {.element = 5,
     .path = price_path,
     .path_count = 1,
     .type = PARQUET_FIXED,
     .type_length = 9,
     .order = PARQUET_ORDER_BIG_ENDIAN,
     .max_def = 1},
    {.element = 6,
     .path = ratio_path,
     .path_count = 1,
     .type = PARQUET_DOUBLE,
     .order = PARQUET_ORDER_FLOAT,
     .max_def = 1},
};

static struct parquet_schema schema = {.elements = elements,
                                       .element_count = sizeof elements / sizeof *elements,
                                       .leaves = leaves,
                                       .leaf_count = LEAVES};

static struct parquet_bound bound(const char *text, int bytes, bool is_exact) {
  struct parquet_bound made = {.size_bytes = (uint8_t)bytes, .is_exact = is_exact};
  memcpy(made.data, text, (size_t)bytes);
  return made;
}

static const int64_t defs[4] = {1, 2, 3, 300}, reps[2] = {250, 56};

static void make_chunks(struct parquet_chunk_info *chunks) {
  for (int i = 0; i < LEAVES; i++)
    chunks[i] = (struct parquet_chunk_info){.codec = PARQUET_ZSTD,
                                            .value_count = 250,
                                            .uncompressed_bytes = 2000 + i,
                                            .compressed_bytes = 1000 + i,
                                            .data_page_offset_bytes = 4 + i,
                                            .dictionary_page_offset_bytes = -1,
                                            .bloom_offset_bytes = -1,
                                            .offset_index_offset_bytes = -1,
                                            .column_index_offset_bytes = -1,
                                            .pages_of_encoding = {[PARQUET_PLAIN] = 2},
                                            .has_statistics = true,
                                            .distinct_count = -1,
                                            .byte_array_bytes = -1,
                                            .def_histogram = defs,
                                            .rep_histogram = reps};
  struct parquet_chunk_info *id = &chunks[ID];
  id->pages_of_encoding[PARQUET_PLAIN] = 0;
  id->pages_of_encoding[PARQUET_DELTA_BINARY_PACKED] = 1;
  id->statistics = (struct parquet_statistics){.nan_count = -1,
                                               .value_count = 250,
                                               .has_bounds = true,
                                               .min = bound("minimum_", 8, true),
                                               .max = bound("maximum_", 8, true)};
  id->distinct_count = 250;
  struct parquet_chunk_info *tags = &chunks[TAGS];
  tags->data_page_type = PARQUET_DATA_PAGE_V2;
  tags->dictionary_page_offset_bytes = 3;
  tags->bloom_offset_bytes = 70000;
  tags->bloom_bytes = 47;
  tags->offset_index_offset_bytes = 80000;
  tags->offset_index_bytes = 11;
  tags->column_index_offset_bytes = 90000;
  tags->column_index_bytes = 22;
  tags->pages_of_encoding[PARQUET_RLE_DICTIONARY] = 5;
  tags->byte_array_bytes = 4321;
  tags->statistics = (struct parquet_statistics){.null_count = 6,
                                                 .nan_count = -1,
                                                 .value_count = 300,
                                                 .has_bounds = true,
                                                 .min = bound("", 0, true),
                                                 .max = bound("zz", 2, false)};
  chunks[PRICE].statistics = (struct parquet_statistics){.null_count = 4,
                                                         .nan_count = -1,
                                                         .value_count = 9,
                                                         .has_bounds = true,
                                                         .min = bound("min------", 9, true),
                                                         .max = bound("max------", 9, true)};
  chunks[PRICE].byte_array_bytes = 1; /* not of this type */
  chunks[RATIO].statistics =
      (struct parquet_statistics){.null_count = 0, .nan_count = 8, .value_count = 8};
}

static const struct parquet_sorting sorting[] = {{ID, true, false}, {RATIO, false, true}};
static const struct parquet_key_value key_values[] = {{"ARROW:schema", "/////w=="}, {"flag", NULL}};

static struct parquet_footer make_footer(const struct parquet_group_info *groups) {
  return (struct parquet_footer){.schema = &schema,
                                 .groups = groups,
                                 .group_count = 2,
                                 .row_count = 300,
                                 .sorting = sorting,
                                 .sorting_count = 2,
                                 .key_values = key_values,
                                 .key_value_count = 2,
                                 .created_by = "arrowport version 0.1.0 (build abc)"};
}

static struct thrift_value *written(const struct parquet_footer *footer, struct buffer *out) {
  struct error error = {.text = ""};
  enum status status = parquet_footer_write(footer, &budget, out, &error);
  if (status != STATUS_OK) fail_msg("%s", error.text);
  return thrift_read(out->data, out->size_bytes, NULL);
}

static void assert_numbers(const struct thrift_value *read, const char *path, const int64_t *wanted,
                           int64_t count) {
  const struct thrift_value *list = thrift_find(read, path);
  assert_non_null(list);
  assert_int_equal(list->count, count);
  for (int64_t i = 0; i < count; i++) assert_int_equal(list->items[i].number, wanted[i]);
}
#define ASSERT_NUMBERS(read, path, ...)                                                            \
  assert_numbers(read, path, (const int64_t[]){__VA_ARGS__},                                       \
                 sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static void assert_fields(const struct thrift_value *read, const char *path, const char *wanted) {
  char ids[200] = "";
  const struct thrift_value *value = thrift_find(read, path);
  if (value == NULL) fail_msg("nothing at %s", path);
  for (int64_t i = 0; i < value->count; i++) {
    size_t used = strlen(ids);
    snprintf(ids + used, sizeof ids - used, "%s%d", i > 0 ? " " : "", value->fields[i]);
  }
  assert_string_equal(ids, wanted);
}

struct fixture {
  struct parquet_chunk_info chunks[LEAVES];
  struct parquet_group_info groups[2];
  struct parquet_footer footer;
  struct buffer out;
  struct thrift_value *read;
};

static int write_all(void **state) {
  static struct fixture fixture;
  fixture = (struct fixture){.out = BUFFER_EMPTY};
  make_chunks(fixture.chunks);
  fixture.groups[0] = (struct parquet_group_info){250, 4, fixture.chunks};
  fixture.groups[1] = (struct parquet_group_info){50, 5000, fixture.chunks};
  fixture.footer = make_footer(fixture.groups);
  fixture.read = written(&fixture.footer, &fixture.out);
  *state = &fixture;
  return 0;
}

static int release_all(void **state) {
  struct fixture *fixture = *state;
  thrift_read_free(fixture->read);
  buffer_release(&fixture->out);
  return budget.used_bytes == 0 ? 0 : -1;
}

static void the_file(void **state) {
  const struct thrift_value *read = ((struct fixture *)*state)->read;
  assert_fields(read, "", "1 2 3 4 5 6 7");
  assert_int_equal(thrift_number(read, "1"), 1);
  assert_int_equal(thrift_number(read, "3"), 300);
  assert_int_equal(thrift_count(read, "5"), 2);
  assert_true(thrift_is_text(read, "5.0.1", "ARROW:schema"));
  assert_true(thrift_is_text(read, "5.0.2", "/////w=="));
  assert_fields(read, "5.1", "1");
  assert_true(thrift_is_text(read, "6", "arrowport version 0.1.0 (build abc)"));
  assert_int_equal(thrift_count(read, "7"), LEAVES);
  for (int i = 0; i < LEAVES; i++) {
    char path[20];
    snprintf(path, sizeof path, "7.%d", i);
    assert_fields(read, path, "1"); /* TYPE_ORDER */
    snprintf(path, sizeof path, "7.%d.1", i);
    assert_fields(read, path, "");
  }
}

static void the_schema(void **state) {
  const struct thrift_value *read = ((struct fixture *)*state)->read;
  assert_int_equal(thrift_count(read, "2"), 7);
  assert_fields(read, "2.0", "4 5"); /* the root: a name and children, nothing else */
  assert_true(thrift_is_text(read, "2.0.4", "schema"));
  assert_int_equal(thrift_number(read, "2.0.5"), 4);
  assert_fields(read, "2.1", "1 3 4 6 9 10");
  assert_int_equal(thrift_number(read, "2.1.1"), PARQUET_INT64);
  assert_int_equal(thrift_number(read, "2.1.3"), PARQUET_REQUIRED);
  assert_int_equal(thrift_number(read, "2.1.9"), 7);
  assert_fields(read, "2.2", "3 4 5 6 9 10"); /* a field id of 0 is one */
  assert_int_equal(thrift_number(read, "2.2.9"), 0);
  assert_fields(read, "2.3", "3 4 5");
  assert_int_equal(thrift_number(read, "2.3.3"), PARQUET_REPEATED);
  assert_fields(read, "2.4", "1 3 4 6 10");
  assert_fields(read, "2.5", "1 2 3 4 6 7 8 9 10");
  assert_int_equal(thrift_number(read, "2.5.2"), 9);
  assert_int_equal(thrift_number(read, "2.5.7"), 2);
  assert_int_equal(thrift_number(read, "2.5.8"), 20);
  assert_int_equal(thrift_number(read, "2.5.9"), -3);
  assert_fields(read, "2.6", "1 3 4");
}

static void row_groups(void **state) {
  const struct thrift_value *read = ((struct fixture *)*state)->read;
  assert_int_equal(thrift_count(read, "4"), 2);
  assert_fields(read, "4.0", "1 2 3 4 5 6 7");
  assert_int_equal(thrift_count(read, "4.0.1"), LEAVES);
  assert_int_equal(thrift_number(read, "4.0.2"), 8006); /* all four together */
  assert_int_equal(thrift_number(read, "4.0.6"), 4006);
  assert_int_equal(thrift_number(read, "4.0.3"), 250);
  assert_int_equal(thrift_number(read, "4.1.3"), 50);
  assert_int_equal(thrift_number(read, "4.1.5"), 5000);
  assert_int_equal(thrift_number(read, "4.0.7"), 0);
  assert_int_equal(thrift_number(read, "4.1.7"), 1);
  assert_int_equal(thrift_find(read, "4.1.7")->wire_type, 4);
  assert_int_equal(thrift_count(read, "4.1.4"), 2);
  assert_fields(read, "4.1.4.0", "1 2 3");
  assert_int_equal(thrift_number(read, "4.1.4.0.2"), 1);
  assert_int_equal(thrift_number(read, "4.1.4.0.3"), 0);
  assert_int_equal(thrift_number(read, "4.1.4.1.1"), RATIO);
  assert_int_equal(thrift_number(read, "4.1.4.1.2"), 0);
  assert_int_equal(thrift_number(read, "4.1.4.1.3"), 1);
}

static void a_chunk_with_everything(void **state) {
  const struct thrift_value *read = thrift_find(((struct fixture *)*state)->read, "4.0.1.1");
  assert_fields(read, "", "2 3 4 5 6 7");
  assert_int_equal(thrift_number(read, "2"), 0);
  assert_int_equal(thrift_number(read, "4"), 80000);
  assert_int_equal(thrift_number(read, "5"), 11);
  assert_int_equal(thrift_number(read, "6"), 90000);
  assert_int_equal(thrift_number(read, "7"), 22);
  assert_fields(read, "3", "1 2 3 4 5 6 7 9 11 12 13 14 15 16");
  assert_int_equal(thrift_number(read, "3.1"), PARQUET_BYTE_ARRAY);
  ASSERT_NUMBERS(read, "3.2", PARQUET_PLAIN, PARQUET_RLE, PARQUET_RLE_DICTIONARY);
  assert_int_equal(thrift_count(read, "3.3"), 3);
  assert_true(thrift_is_text(read, "3.3.0", "tags") && thrift_is_text(read, "3.3.1", "list") &&
              thrift_is_text(read, "3.3.2", "element"));
  assert_int_equal(thrift_number(read, "3.4"), PARQUET_ZSTD);
  assert_int_equal(thrift_number(read, "3.5"), 250);
  assert_int_equal(thrift_number(read, "3.6"), 2001);
  assert_int_equal(thrift_number(read, "3.7"), 1001);
  assert_int_equal(thrift_number(read, "3.9"), 5);
  assert_int_equal(thrift_number(read, "3.11"), 3);
  assert_int_equal(thrift_number(read, "3.14"), 70000);
  assert_int_equal(thrift_number(read, "3.15"), 47);
  /* the dictionary page, then data pages by encoding */
  assert_int_equal(thrift_count(read, "3.13"), 3);
  static const int64_t stats[3][3] = {{PARQUET_DICTIONARY_PAGE, PARQUET_PLAIN, 1},
                                      {PARQUET_DATA_PAGE_V2, PARQUET_PLAIN, 2},
                                      {PARQUET_DATA_PAGE_V2, PARQUET_RLE_DICTIONARY, 5}};
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++)
      assert_int_equal(thrift_find(read, "3.13")->items[i].items[j].number, stats[i][j]);
  assert_fields(read, "3.16", "1 2 3");
  assert_int_equal(thrift_number(read, "3.16.1"), 4321);
  ASSERT_NUMBERS(read, "3.16.2", 250, 56);
  ASSERT_NUMBERS(read, "3.16.3", 1, 2, 3, 300);
}

static void a_chunk_with_little(void **state) {
  const struct thrift_value *read = thrift_find(((struct fixture *)*state)->read, "4.0.1.0");
  assert_fields(read, "", "2 3");
  assert_fields(read, "3", "1 2 3 4 5 6 7 9 12 13"); /* no dictionary, filter, size statistics */
  ASSERT_NUMBERS(read, "3.2", PARQUET_RLE, PARQUET_DELTA_BINARY_PACKED);
  assert_int_equal(thrift_count(read, "3.13"), 1);
  assert_int_equal(thrift_number(read, "3.13.0.1"), PARQUET_DATA_PAGE);
  assert_int_equal(thrift_number(read, "3.13.0.2"), PARQUET_DELTA_BINARY_PACKED);
}

static void statistics(void **state) {
  const struct thrift_value *read = thrift_find(((struct fixture *)*state)->read, "4.0.1");
  /* Signed numbers: the old bounds too. */
  assert_fields(read, "0.3.12", "1 2 3 4 5 6 7 8");
  assert_true(thrift_is_text(read, "0.3.12.1", "maximum_"));
  assert_true(thrift_is_text(read, "0.3.12.2", "minimum_"));
  assert_int_equal(thrift_number(read, "0.3.12.3"), 0);
  assert_int_equal(thrift_number(read, "0.3.12.4"), 250);
  assert_true(thrift_is_text(read, "0.3.12.5", "maximum_"));
  assert_true(thrift_is_text(read, "0.3.12.6", "minimum_"));
  /* Texts: an empty one is a bound, and one that was cut says so. */
  assert_fields(read, "1.3.12", "3 5 6 7 8");
  assert_int_equal(thrift_number(read, "1.3.12.3"), 6);
  assert_true(thrift_is_text(read, "1.3.12.5", "zz"));
  assert_true(thrift_is_text(read, "1.3.12.6", ""));
  assert_int_equal(thrift_number(read, "1.3.12.7"), 0);
  assert_int_equal(thrift_number(read, "1.3.12.8"), 1);
  /* Decimals in bytes: old readers would compare them wrongly. */
  assert_fields(read, "2.3.12", "3 5 6 7 8");
  /* All NaN: counts alone. */
  assert_fields(read, "3.3.12", "3 9");
  assert_int_equal(thrift_number(read, "3.3.12.9"), 8);
}

/* ---- annotations ------------------------------------------------------------------------- */

enum { NONE = -1 };

static void every_annotation_has_its_old_form(void **state) {
  (void)state;
  static const struct {
    struct parquet_logical logical;
    int converted;      /* of ConvertedType */
    const char *fields; /* of the member of LogicalType */
  } cases[] = {
      {{.kind = PARQUET_LOGICAL_NONE}, NONE, NULL},
      {{.kind = PARQUET_LOGICAL_STRING}, 0, ""},
      {{.kind = PARQUET_LOGICAL_MAP}, 1, ""},
      {{.kind = PARQUET_LOGICAL_LIST}, 3, ""},
      {{.kind = PARQUET_LOGICAL_DECIMAL, .precision = 9, .scale = 3}, 5, "1 2"},
      {{.kind = PARQUET_LOGICAL_DATE}, 6, ""},
      {{.kind = PARQUET_LOGICAL_TIME, .unit = PARQUET_MILLIS, .is_utc = true}, 7, "1 2"},
      {{.kind = PARQUET_LOGICAL_TIME, .unit = PARQUET_MICROS, .is_utc = false}, 8, "1 2"},
      {{.kind = PARQUET_LOGICAL_TIME, .unit = PARQUET_NANOS, .is_utc = true}, NONE, "1 2"},
      {{.kind = PARQUET_LOGICAL_TIMESTAMP, .unit = PARQUET_MILLIS, .is_utc = false}, 9, "1 2"},
      {{.kind = PARQUET_LOGICAL_TIMESTAMP, .unit = PARQUET_MICROS, .is_utc = true}, 10, "1 2"},
      {{.kind = PARQUET_LOGICAL_TIMESTAMP, .unit = PARQUET_NANOS, .is_utc = false}, NONE, "1 2"},
      {{.kind = PARQUET_LOGICAL_INTEGER, .bit_width = 8, .is_signed = false}, 11, "1 2"},
      {{.kind = PARQUET_LOGICAL_INTEGER, .bit_width = 16, .is_signed = false}, 12, "1 2"},
      {{.kind = PARQUET_LOGICAL_INTEGER, .bit_width = 32, .is_signed = false}, 13, "1 2"},
      {{.kind = PARQUET_LOGICAL_INTEGER, .bit_width = 64, .is_signed = false}, 14, "1 2"},
      {{.kind = PARQUET_LOGICAL_INTEGER, .bit_width = 8, .is_signed = true}, 15, "1 2"},
      {{.kind = PARQUET_LOGICAL_INTEGER, .bit_width = 16, .is_signed = true}, 16, "1 2"},
      {{.kind = PARQUET_LOGICAL_INTEGER, .bit_width = 32, .is_signed = true}, 17, "1 2"},
      {{.kind = PARQUET_LOGICAL_INTEGER, .bit_width = 64, .is_signed = true}, 18, "1 2"},
      {{.kind = PARQUET_LOGICAL_NULL}, NONE, ""},
      {{.kind = PARQUET_LOGICAL_JSON}, 19, ""},
      {{.kind = PARQUET_LOGICAL_UUID}, NONE, ""},
      {{.kind = PARQUET_LOGICAL_FLOAT16}, NONE, ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const struct parquet_logical *logical = &cases[i].logical;
    struct parquet_element two[] = {
        {.name = "schema", .child_count = 1},
        {.name = "x", .is_leaf = true, .type = PARQUET_INT32, .logical = *logical}};
    struct parquet_schema one = {
        .elements = two, .element_count = 2, .leaves = leaves, .leaf_count = 1};
    struct parquet_footer footer = {.schema = &one};
    struct buffer out = BUFFER_EMPTY;
    struct thrift_value *read = written(&footer, &out);
    assert_int_equal(thrift_has(read, "2.1.6"), cases[i].converted != NONE);
    if (cases[i].converted != NONE)
      assert_int_equal(thrift_number(read, "2.1.6"), cases[i].converted);
    bool is_decimal = logical->kind == PARQUET_LOGICAL_DECIMAL;
    assert_int_equal(thrift_has(read, "2.1.7"), is_decimal);
    assert_int_equal(thrift_has(read, "2.1.8"), is_decimal);
    assert_int_equal(thrift_has(read, "2.1.10"), cases[i].fields != NULL);
    if (cases[i].fields != NULL) {
      const struct thrift_value *annotation = thrift_find(read, "2.1.10");
      assert_int_equal(annotation->count, 1);
      assert_int_equal(annotation->fields[0], logical->kind);
      const struct thrift_value *type = &annotation->items[0];
      assert_fields(type, "", cases[i].fields);
      if (is_decimal) assert_int_equal(thrift_number(type, "1"), 3);
      if (is_decimal) assert_int_equal(thrift_number(type, "2"), 9);
      if (logical->kind == PARQUET_LOGICAL_INTEGER) {
        assert_int_equal(type->items[0].wire_type, 3); /* an i8 */
        assert_int_equal(thrift_number(type, "1"), logical->bit_width);
        assert_int_equal(thrift_number(type, "2"), logical->is_signed);
      }
      if (logical->unit != 0) {
        assert_int_equal(thrift_number(type, "1"), logical->is_utc);
        assert_int_equal(thrift_find(type, "2")->count, 1);
        assert_int_equal(thrift_find(type, "2")->fields[0], logical->unit);
      }
    }
    thrift_read_free(read);
    buffer_release(&out);
  }
}

static void old_bounds_only_where_old_readers_compare_so(void **state) {
  (void)state;
  static const struct {
    enum parquet_order order;
    bool has_bounds, has_old_bounds, has_nans;
  } cases[] = {
      {PARQUET_ORDER_NONE, false, false, false},     {PARQUET_ORDER_SIGNED, true, true, false},
      {PARQUET_ORDER_UNSIGNED, true, false, false},  {PARQUET_ORDER_FLOAT, true, true, true},
      {PARQUET_ORDER_HALF, true, false, true},       {PARQUET_ORDER_BYTES, true, false, false},
      {PARQUET_ORDER_BIG_ENDIAN, true, false, false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct parquet_chunk_info chunks[LEAVES];
    make_chunks(chunks);
    struct parquet_leaf leaf = leaves[ID];
    leaf.order = cases[i].order;
    struct parquet_schema one = {
        .elements = elements, .element_count = 1, .leaves = &leaf, .leaf_count = 1};
    struct parquet_group_info group = {1, 4, chunks};
    struct parquet_footer footer = {.schema = &one, .groups = &group, .group_count = 1};
    struct buffer out = BUFFER_EMPTY;
    struct thrift_value *read = written(&footer, &out);
    const struct thrift_value *found = thrift_find(read, "4.0.1.0.3.12");
    assert_int_equal(thrift_has(found, "5"), cases[i].has_bounds);
    assert_int_equal(thrift_has(found, "8"), cases[i].has_bounds);
    assert_int_equal(thrift_has(found, "1"), cases[i].has_old_bounds);
    assert_int_equal(thrift_has(found, "2"), cases[i].has_old_bounds);
    assert_int_equal(thrift_has(found, "9"), cases[i].has_nans);
    assert_true(thrift_has(found, "3"));
    thrift_read_free(read);
    chunks[0].has_statistics = false;
    out.size_bytes = 0;
    read = written(&footer, &out);
    assert_false(thrift_has(read, "4.0.1.0.3.12"));
    thrift_read_free(read);
    buffer_release(&out);
  }
}

/* ---- edges ------------------------------------------------------------------------------- */

static void nothing_at_all(void **state) {
  (void)state;
  struct parquet_element root = {.name = "schema"};
  struct parquet_schema empty = {
      .elements = &root, .element_count = 1, .leaves = NULL, .leaf_count = 0};
  struct parquet_footer footer = {.schema = &empty};
  struct buffer out = BUFFER_EMPTY;
  assert_int_equal(parquet_footer_write(&footer, &budget, &out, NULL), STATUS_OK);
  static const uint8_t wanted[] = {0x15, 2,    0x19, 0x1C, 0x48, 6, 's',  'c',  'h',  'e',  'm',
                                   'a',  0x15, 0,    0,    0x16, 0, 0x19, 0x0C, 0x39, 0x0C, 0};
  assert_int_equal(out.size_bytes, sizeof wanted);
  assert_memory_equal(out.data, wanted, sizeof wanted);
  buffer_release(&out);
}

static void more_row_groups_than_ordinals(void **state) {
  (void)state;
  struct parquet_schema empty = {
      .elements = elements, .element_count = 1, .leaves = NULL, .leaf_count = 0};
  enum { GROUPS = 32769 };
  struct parquet_group_info *groups = calloc(GROUPS, sizeof *groups);
  assert_non_null(groups);
  for (int count = GROUPS - 1; count <= GROUPS; count++) {
    struct parquet_footer footer = {.schema = &empty, .groups = groups, .group_count = count};
    struct buffer out = BUFFER_EMPTY;
    struct thrift_value *read = written(&footer, &out);
    assert_int_equal(thrift_count(read, "4"), count);
    assert_int_equal(thrift_has(read, "4.0.7"), count < GROUPS);
    assert_int_equal(thrift_has(read, "4.32767.7"), count < GROUPS);
    if (count < GROUPS) assert_int_equal(thrift_number(read, "4.32767.7"), 32767);
    thrift_read_free(read);
    buffer_release(&out);
  }
  free(groups);
}

static void a_budget_refuses_until_there_is_enough(void **state) {
  struct fixture *fixture = *state;
  int refused = 0;
  enum status status;
  struct buffer out = BUFFER_EMPTY;
  struct budget small = {.limit_bytes = 0};
  do { /* repeated, as the caller may, with a little more each time */
    struct error error;
    status = parquet_footer_write(&fixture->footer, &small, &out, &error);
    refused += status == STATUS_BUDGET;
    small.limit_bytes += 64;
    if (status != STATUS_OK) assert_int_equal(out.size_bytes, 0);
  } while (status == STATUS_BUDGET);
  assert_int_equal(status, STATUS_OK);
  assert_true(refused > 10);
  assert_int_equal(out.size_bytes, fixture->out.size_bytes);
  assert_memory_equal(out.data, fixture->out.data, (size_t)out.size_bytes);
  buffer_release(&out);
  assert_int_equal(small.used_bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(the_file, write_all, release_all),
      cmocka_unit_test_setup_teardown(the_schema, write_all, release_all),
      cmocka_unit_test_setup_teardown(row_groups, write_all, release_all),
      cmocka_unit_test_setup_teardown(a_chunk_with_everything, write_all, release_all),
      cmocka_unit_test_setup_teardown(a_chunk_with_little, write_all, release_all),
      cmocka_unit_test_setup_teardown(statistics, write_all, release_all),
      cmocka_unit_test(every_annotation_has_its_old_form),
      cmocka_unit_test(old_bounds_only_where_old_readers_compare_so),
      cmocka_unit_test(nothing_at_all),
      cmocka_unit_test(more_row_groups_than_ordinals),
      cmocka_unit_test_setup_teardown(a_budget_refuses_until_there_is_enough, write_all,
                                      release_all),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
