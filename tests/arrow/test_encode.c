/* Values as text: what Python's readers cannot be asked (tests/e2e/test_encode.py asks
 * them the rest): types that pyarrow lacks, arrays that the reader would refuse, and
 * failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/build.h"
#include "arrow/encode.h"
#include "arrow/encode_number.h"
#include "arrow/encode_time.h"
#include "arrow/handmade.h"

enum { MEMORY_BYTES = 64 << 20 };

static struct budget budget = {.limit_bytes = MEMORY_BYTES};

/* A record batch's schema of one column "c". */
static struct ArrowSchema schema_of(const char *format) {
  struct ArrowSchema schema = {0};
  assert_int_equal(arrow_schema_init(&schema, "+s", "", false, 1, NULL), STATUS_OK);
  assert_int_equal(arrow_schema_init(schema.children[0], format, "c", true, 0, NULL), STATUS_OK);
  return schema;
}

/* All of the batch as NDJSON or CSV, terminated, in `out`. */
static enum status encode(enum encode_format format, const struct ArrowSchema *schema,
                          const struct ArrowArray *batch, struct buffer *out, struct error *error) {
  struct encoder *encoder = NULL;
  enum status status = encoder_new(format, schema, &budget, &encoder, error);
  if (status == STATUS_OK) status = encoder_begin(encoder, out, error);
  if (status == STATUS_OK) status = encoder_batch(encoder, batch, out, error);
  if (status == STATUS_OK) status = encoder_end(encoder, out, error);
  if (status == STATUS_OK) status = buffer_append(out, &budget, "", 1, error);
  encoder_free(encoder);
  return status;
}

struct value {
  const char *format;
  const void *data; /* NULL: a null */
  int64_t bytes;
  const char *json;
  const char *csv;
};

static void check_value(const struct value *value) {
  struct ArrowSchema schema = schema_of(value->format);
  struct build *build = NULL;
  struct ArrowArray batch = {0};
  assert_int_equal(build_new(&schema, &budget, &build, NULL), STATUS_OK);
  struct build *column = build_child(build, 0);
  assert_int_equal(value->data == NULL ? build_null(column, NULL)
                                       : build_bytes(column, value->data, value->bytes, NULL),
                   STATUS_OK);
  assert_int_equal(build_slot(build, NULL), STATUS_OK);
  assert_int_equal(build_finish(build, &batch, NULL), STATUS_OK);
  char want[256];
  struct buffer out = BUFFER_EMPTY;
  snprintf(want, sizeof want, "{\"c\":%s}\n", value->json);
  assert_int_equal(encode(ENCODE_NDJSON, &schema, &batch, &out, NULL), STATUS_OK);
  assert_string_equal((const char *)out.data, want);
  out.size_bytes = 0;
  snprintf(want, sizeof want, "c\r\n%s\r\n", value->csv);
  assert_int_equal(encode(ENCODE_CSV, &schema, &batch, &out, NULL), STATUS_OK);
  assert_string_equal((const char *)out.data, want);
  buffer_release(&out);
  arrow_array_release(&batch);
  build_free(build);
  arrow_schema_release(&schema);
  assert_int_equal(budget.used_bytes, 0);
}

#define INT32S(...) (const int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__})
#define INT64S(...) (const int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__})
#define TEXT(text)  text, sizeof text - 1

static void values_have_one_text(void **state) {
  (void)state;
  const struct value values[] = {
      {"i", NULL, 0, "null", ""},
      {"tiM", INT32S(14), "\"P14M\"", "P14M"},
      {"tiM", INT32S(INT32_MIN), "\"P-2147483648M\"", "P-2147483648M"},
      {"tiM", INT32S(0), "\"P0D\"", "P0D"},
      {"tiD", INT32S(-1, 3500), "\"P-1DT3.500S\"", "P-1DT3.500S"},
      {"tiD", INT32S(2, -86400000), "\"P2DT-24H\"", "P2DT-24H"},
      {"tiD", INT32S(0, 0), "\"P0D\"", "P0D"},
      {"tts", INT32S(-1), "\"-00:00:01\"", "-00:00:01"},
      {"tts", INT32S(90000), "\"25:00:00\"", "25:00:00"},
      {"ttn", INT64S(INT64_MIN), "\"-2562047:47:16.854775808\"", "-2562047:47:16.854775808"},
      {"tDs", INT64S(INT64_MIN), "\"-PT2562047788015215H30M8S\"", "-PT2562047788015215H30M8S"},
      {"tss:", INT64S(INT64_MIN), "\"-292277022657-01-27T08:29:52\"",
       "-292277022657-01-27T08:29:52"},
      {"tss:", INT64S(INT64_MAX), "\"+292277026596-12-04T15:30:07\"",
       "+292277026596-12-04T15:30:07"},
      {"tsn:", INT64S(INT64_MIN), "\"1677-09-21T00:12:43.145224192\"",
       "1677-09-21T00:12:43.145224192"},
      {"tsu:+01:00", INT64S(-1), "\"1969-12-31T23:59:59.999999Z\"", "1969-12-31T23:59:59.999999Z"},
      {"tdm", INT64S(INT64_MIN), "\"-292275055-05-16T16:47:04.192\"",
       "-292275055-05-16T16:47:04.192"},
      {"d:5,2,32", INT32S(-5), "\"-0.05\"", "-0.05"},
      {"d:18,0,64", INT64S(INT64_MIN), "\"-9223372036854775808\"", "-9223372036854775808"},
      {"d:76,-2,256", INT64S(0, 0, 0, INT64_MIN),
       "\"-5789604461865809771178549250434395392663499233282028201972879200395656481996800\"",
       "-5789604461865809771178549250434395392663499233282028201972879200395656481996800"},
      {"L", INT64S(-1), "18446744073709551615", "18446744073709551615"},
      {"u", TEXT("a\xFF"), "\"a\xEF\xBF\xBD\"", "a\xEF\xBF\xBD"},
      {"u", TEXT("\xED\xA0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"",
       "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"u", TEXT("12345678\"\xC3"), "\"12345678\\\"\xEF\xBF\xBD\"", "\"12345678\"\"\xEF\xBF\xBD\""},
      {"u", TEXT(""), "\"\"", "\"\""},
      {"vu", TEXT("in the view"), "\"in the view\"", "in the view"},
      {"vu", TEXT("behind the view"), "\"behind the view\"", "behind the view"},
      {"vz", TEXT("\x01\x02"), "\"AQI=\"", "AQI="},
      {"w:3", TEXT("abc"), "\"YWJj\"", "YWJj"},
      {"z", TEXT(""), "\"\"", "\"\""},
  };
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) check_value(&values[i]);
}

/* Text of every value that fits in the room that its header promises. */
static void no_text_is_longer_than_its_room(void **state) {
  (void)state;
  static const double doubles[] = {-1.7976931348623157e308, -2.2250738585072014e-308, -5e-324,
                                   -1.2345678901234567e-5,  -0.00012345678901234567,  -1e-5,
                                   -9007199254740991.0,     -123456789012345.67};
  char text[256];
  for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++) {
    assert_true(encode_double(text, doubles[i]) - text <= NUMBER_TEXT_BYTES);
    assert_true(encode_float(text, (float)doubles[i]) - text <= NUMBER_TEXT_BYTES);
  }
  uint8_t least[32] = {[31] = 0x80};
  assert_true(encode_decimal(text, least, 32, 0) - text <= DECIMAL_TEXT_BYTES);
  assert_true(encode_decimal(text, least, 32, 78) - text <= DECIMAL_TEXT_BYTES);
  for (enum arrow_unit unit = ARROW_SECOND; unit <= ARROW_NANOSECOND; unit++) {
    assert_true(encode_timestamp(text, INT64_MIN, unit) - text <= TIME_TEXT_BYTES - 1);
    assert_true(encode_duration(text, INT64_MIN, unit) - text <= TIME_TEXT_BYTES);
    assert_true(encode_time(text, INT64_MIN, unit) - text <= TIME_TEXT_BYTES);
  }
  char *end = encode_month_day_nano(text, INT32_MIN, INT32_MIN, INT64_MIN);
  assert_true(end - text <= TIME_TEXT_BYTES);
}

/* Each day of 800 years follows the one before. */
static void every_day_has_its_date(void **state) {
  (void)state;
  static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int year = 1600;
  int month = 1;
  int day = 1;
  for (int64_t days = -135140; days < -135140 + 2 * 146097; days++) {
    char want[64];
    char text[TIME_TEXT_BYTES];
    snprintf(want, sizeof want, "%04d-%02d-%02d", year, month, day);
    size_t bytes = (size_t)(encode_date(text, days) - text);
    assert_int_equal(bytes, 10);
    assert_memory_equal(text, want, 10);
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day++ < lengths[month - 1] + (month == 2 && is_leap)) continue;
    day = 1;
    if (month++ < 12) continue;
    month = 1;
    year++;
  }
}

static void references_that_lead_nowhere_are_refused(void **state) {
  (void)state;
  struct ArrowSchema values = {.format = "u"};
  struct ArrowSchema column = {.format = "c", .name = "c", .dictionary = &values};
  struct ArrowSchema *columns[] = {&column};
  struct ArrowSchema schema = {.format = "+s", .n_children = 1, .children = columns};
  static const int8_t bad_indices[] = {1, -1, 127};
  for (size_t i = 0; i < sizeof bad_indices / sizeof bad_indices[0]; i++) {
    struct build *build = NULL;
    struct ArrowArray batch = {0};
    struct buffer out = BUFFER_EMPTY;
    struct error error = {0};
    assert_int_equal(build_new(&schema, &budget, &build, NULL), STATUS_OK);
    struct build *indices = build_child(build, 0);
    assert_int_equal(build_bytes(build_child(indices, 0), "red", 3, NULL), STATUS_OK);
    assert_int_equal(build_integer(indices, bad_indices[i], NULL), STATUS_OK);
    assert_int_equal(build_slot(build, NULL), STATUS_OK);
    assert_int_equal(build_finish(build, &batch, NULL), STATUS_OK);
    assert_int_equal(encode(ENCODE_NDJSON, &schema, &batch, &out, &error), STATUS_INVALID);
    assert_non_null(strstr(error.text, "\"c\""));
    assert_int_equal(out.size_bytes, 0);
    buffer_release(&out);
    arrow_array_release(&batch);
    build_free(build);
  }
  assert_int_equal(budget.used_bytes, 0);
}

static void scales_that_nobody_can_read_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *format;
    enum status want;
  } cases[] = {{"d:10,-1000", STATUS_OK},
               {"d:10,-1001", STATUS_UNSUPPORTED},
               {"d:10,-2147483647", STATUS_UNSUPPORTED}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema schema = schema_of(cases[i].format);
    struct encoder *encoder = NULL;
    struct error error = {0};
    assert_int_equal(encoder_new(ENCODE_CSV, &schema, &budget, &encoder, &error), cases[i].want);
    if (cases[i].want != STATUS_OK) assert_non_null(strstr(error.text, "\"c\""));
    encoder_free(encoder);
    arrow_schema_release(&schema);
  }
  assert_int_equal(budget.used_bytes, 0);
}

/* 300 rows of text and lists of it. */
static struct ArrowArray make_batch(struct ArrowSchema *schema) {
  struct build *build = NULL;
  struct ArrowArray batch = {0};
  assert_int_equal(arrow_schema_init(schema, "+s", "", false, 1, NULL), STATUS_OK);
  assert_int_equal(arrow_schema_init(schema->children[0], "+l", "c", true, 1, NULL), STATUS_OK);
  assert_int_equal(arrow_schema_init(schema->children[0]->children[0], "u", "item", true, 0, NULL),
                   STATUS_OK);
  assert_int_equal(build_new(schema, &budget, &build, NULL), STATUS_OK);
  struct build *list = build_child(build, 0);
  for (int row = 0; row < 300; row++) {
    for (int i = 0; i < row % 4; i++)
      assert_int_equal(build_bytes(build_child(list, 0), "\"quoted\"\n\xFF", row % 11, NULL),
                       STATUS_OK);
    assert_int_equal(build_slot(list, NULL), STATUS_OK);
    assert_int_equal(build_slot(build, NULL), STATUS_OK);
  }
  assert_int_equal(build_finish(build, &batch, NULL), STATUS_OK);
  build_free(build);
  return batch;
}

/* With any limit a batch is written whole, or not at all and again later. */
static void a_refused_batch_can_be_repeated(void **state) {
  (void)state;
  struct ArrowSchema schema = {0};
  struct ArrowArray batch = make_batch(&schema);
  int64_t held_bytes = budget.used_bytes;
  for (int format = ENCODE_JSON; format <= ENCODE_CSV; format++) {
    struct buffer want = BUFFER_EMPTY;
    int refusals = 0;
    assert_int_equal(encode((enum encode_format)format, &schema, &batch, &want, NULL), STATUS_OK);
    for (int64_t spare_bytes = 0; spare_bytes < 65536; spare_bytes += 1024) {
      struct buffer got = BUFFER_EMPTY;
      struct encoder *encoder = NULL;
      assert_int_equal(encoder_new((enum encode_format)format, &schema, &budget, &encoder, NULL),
                       STATUS_OK);
      assert_int_equal(encoder_begin(encoder, &got, NULL), STATUS_OK);
      int64_t before_bytes = got.size_bytes;
      budget.limit_bytes = budget.used_bytes + spare_bytes;
      enum status status = encoder_batch(encoder, &batch, &got, NULL);
      budget.limit_bytes = MEMORY_BYTES;
      if (status != STATUS_OK) {
        refusals++;
        assert_int_equal(status, STATUS_BUDGET);
        assert_int_equal(got.size_bytes, before_bytes);
        assert_int_equal(encoder_batch(encoder, &batch, &got, NULL), STATUS_OK);
      }
      assert_int_equal(encoder_end(encoder, &got, NULL), STATUS_OK);
      assert_int_equal(got.size_bytes + 1, want.size_bytes);
      assert_memory_equal(got.data, want.data, (size_t)got.size_bytes);
      encoder_free(encoder);
      buffer_release(&got);
    }
    assert_true(refusals > 3);
    buffer_release(&want);
    assert_int_equal(budget.used_bytes, held_bytes);
  }
  arrow_array_release(&batch);
  arrow_schema_release(&schema);
}

/* ---- layouts that no builder makes ------------------------------------------------------ */

#define NODE &(const struct handmade)
#define NUMBERS                                                                                    \
  NODE {                                                                                           \
    "i", "number", .length = 3, .null_count = 1, .buffers = { U8(5), I32(7, 8, 9) }                \
  }
#define WORDS                                                                                      \
  NODE {                                                                                           \
    "u", "word", .length = 3, .buffers = { NONE, I32(0, 1, 2, 4), CHARS("a,\"b") }                 \
  }
#define ENDS_125                                                                                   \
  NODE {                                                                                           \
    "s", "run_ends", .length = 3, .buffers = { NONE, I16(1, 2, 5) }                                \
  }

/* The column "c" of a record batch, the rows' values as JSON, and as CSV fields. */
static const struct {
  struct handmade column;
  const char *json[6];
  const char *csv[6];
} layouts[] = {
    {{"+vl", "c", .length = 3, .offset = 1, .null_count = 1,
      .buffers = {U8(11), I32(99, 1, 0, 0), I32(99, 2, 0, 1)}, .children = {WORDS}},
     {"[\",\",\"\\\"b\"]", "null", "[\"a\"]"},
     {"\"[\"\",\"\",\"\"\\\"\"b\"\"]\"", "", "\"[\"\"a\"\"]\""}},
    {{"+vL", "c", .length = 2, .buffers = {NONE, I64(0, 3), I64(3, 0)}, .children = {NUMBERS}},
     {"[7,null,9]", "[]"},
     {"\"[7,null,9]\"", "[]"}},
    {{"+ud:5,0", "c", .length = 4, .buffers = {I8(5, 0, 5, 5), I32(2, 0, 0, 1)},
      .children = {NUMBERS, WORDS}},
     {"{\"number\":9}", "{\"word\":\"a\"}", "{\"number\":7}", "{\"number\":null}"},
     {"\"{\"\"number\"\":9}\"", "\"{\"\"word\"\":\"\"a\"\"}\"", "\"{\"\"number\"\":7}\"",
      "\"{\"\"number\"\":null}\""}},
    {{"+us:0,127", "c", .length = 2, .offset = 1, .buffers = {I8(99, 127, 0)},
      .children = {NUMBERS, NUMBERS}}, /* of one name */
     {"{\"number_1\":null}", "{\"number\":9}"},
     {"\"{\"\"number_1\"\":null}\"", "\"{\"\"number\"\":9}\""}},
    {{"+r", "c", .length = 4, .offset = 1, .children = {ENDS_125, NUMBERS}},
     {"null", "9", "9", "9"},
     {"", "9", "9", "9"}},
    {{"+r", "c", .length = 2, .children = {ENDS_125, WORDS}}, {"\"a\"", "\",\""}, {"a", "\",\""}},
    {{"c", "c", .length = 3, .buffers = {NONE, I8(2, 1, 2)},
      .dictionary =
          NODE{"+us:4", "", .length = 3, .buffers = {I8(4, 4, 4)}, .children = {NUMBERS}}},
     {"{\"number\":9}", "{\"number\":null}", "{\"number\":9}"},
     {"\"{\"\"number\"\":9}\"", "\"{\"\"number\"\":null}\"", "\"{\"\"number\"\":9}\""}},
    {{"c", "c", .length = 3, .null_count = 1, .buffers = {U8(6), I8(99, 4, 0)},
      .dictionary = NODE{"+r", "", .length = 5, .children = {ENDS_125, WORDS}}},
     {"null", "\"\\\"b\"", "\"a\""},
     {"", "\"\"\"b\"", "a"}},
    {{"+r", "c", .length = 3,
      .children = {ENDS_125,
                   NODE{"+vl", "values", .length = 3, .buffers = {NONE, I32(0, 1, 0), I32(2, 1, 0)},
                        .children = {NODE{"+r", "item", .length = 2, .offset = 1,
                                          .children = {ENDS_125, WORDS}}}}}},
     {"[\",\",\"\\\"b\"]", "[\"\\\"b\"]", "[]"},
     {"\"[\"\",\"\",\"\"\\\"\"b\"\"]\"", "\"[\"\"\\\"\"b\"\"]\"", "[]"}},
};

static void every_layout_is_written_as_its_values(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
    const struct handmade batch = {"+s", .length = layouts[i].column.length,
                                   .children = {&layouts[i].column}};
    struct ArrowSchema schema = handmade_schema(&batch);
    struct ArrowArray array = handmade_array(&batch);
    char want_json[512] = "";
    char want_csv[512] = "c\r\n";
    for (int64_t row = 0; row < batch.length; row++) {
      size_t used = strlen(want_json);
      snprintf(want_json + used, sizeof want_json - used, "{\"c\":%s}\n", layouts[i].json[row]);
      used = strlen(want_csv);
      snprintf(want_csv + used, sizeof want_csv - used, "%s\r\n", layouts[i].csv[row]);
    }
    struct buffer out = BUFFER_EMPTY;
    struct error error = {0};
    if (encode(ENCODE_NDJSON, &schema, &array, &out, &error) != STATUS_OK)
      fail_msg("%s: %s", layouts[i].column.format, error.text);
    assert_string_equal((const char *)out.data, want_json);
    out.size_bytes = 0;
    assert_int_equal(encode(ENCODE_CSV, &schema, &array, &out, NULL), STATUS_OK);
    assert_string_equal((const char *)out.data, want_csv);
    buffer_release(&out);
    arrow_array_release(&array);
    arrow_schema_release(&schema);
  }
  assert_int_equal(budget.used_bytes, 0);
}

/* Backwards through a column of runs, which forwards is the easy way. */
static void runs_are_found_in_any_order(void **state) {
  (void)state;
  const struct handmade batch = {
      "+s", .length = 4,
      .children = {NODE{"i", "c", .length = 4, .buffers = {NONE, I32(4, 0, 3, 1)},
                        .dictionary = NODE{"+r", "", .length = 5, .children = {ENDS_125, WORDS}}}}};
  struct ArrowSchema schema = handmade_schema(&batch);
  struct ArrowArray array = handmade_array(&batch);
  struct buffer out = BUFFER_EMPTY;
  assert_int_equal(encode(ENCODE_CSV, &schema, &array, &out, NULL), STATUS_OK);
  assert_string_equal((const char *)out.data, "c\r\n\"\"\"b\"\r\na\r\n\"\"\"b\"\r\n\",\"\r\n");
  buffer_release(&out);
  arrow_array_release(&array);
  arrow_schema_release(&schema);
}

static const struct handmade broken[] = {
    {"+vl", "c", .length = 1, .buffers = {NONE, I32(2), I32(2)}, .children = {NUMBERS}},
    {"+vl", "c", .length = 1, .buffers = {NONE, I32(-1), I32(1)}, .children = {NUMBERS}},
    {"+vl", "c", .length = 1, .buffers = {NONE, I32(1), I32(-1)}, .children = {NUMBERS}},
    {"+vL", "c", .length = 1, .buffers = {NONE, I64(3), I64(INT64_MAX)}, .children = {NUMBERS}},
    {"+us:5", "c", .length = 1, .buffers = {I8(4)}, .children = {NUMBERS}},
    {"+us:5", "c", .length = 1, .buffers = {I8(-5)}, .children = {NUMBERS}},
    {"+ud:5", "c", .length = 1, .buffers = {I8(5), I32(3)}, .children = {NUMBERS}},
    {"+ud:5", "c", .length = 1, .buffers = {I8(5), I32(-1)}, .children = {NUMBERS}},
    {"+r", "c", .length = 1, .offset = 5, .children = {ENDS_125, NUMBERS}},
    {"+r", "c", .length = 1, .offset = 1,
     .children = {NODE{"l", "run_ends", .length = 3, .buffers = {NONE, I64(1, 0, 1)}}, NUMBERS}},
    {"+r", "c", .length = 1, .children = {NODE{"i", "run_ends", .length = 0}, NUMBERS}},
    {"+r", "c", .length = 1,
     .children = {NODE{"s", "run_ends", .length = 4, .buffers = {NONE, I16(1, 2, 3, 4)}}, NUMBERS}},
};

static void layouts_that_lead_nowhere_are_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
    const struct handmade batch = {"+s", .length = 1, .children = {&broken[i]}};
    struct ArrowSchema schema = handmade_schema(&batch);
    struct ArrowArray array = handmade_array(&batch);
    struct buffer out = BUFFER_EMPTY;
    struct error error = {0};
    if (encode(ENCODE_NDJSON, &schema, &array, &out, &error) != STATUS_INVALID ||
        strstr(error.text, "\"c\"") == NULL)
      fail_msg("number %d (%s): %s", (int)i, broken[i].format, error.text);
    assert_int_equal(out.size_bytes, 0);
    buffer_release(&out);
    arrow_array_release(&array);
    arrow_schema_release(&schema);
  }
  assert_int_equal(budget.used_bytes, 0);
}

/* ---- floats ----------------------------------------------------------------------------- */

/* Powers of two are nearer to the number below them, and digits in the middle between two
 * go to the even one: what is the shortest is not always what rounds best. */
static void floats_are_as_short_as_can_be(void **state) {
  (void)state;
  static const struct {
    double value;
    const char *text;
  } doubles[] = {
      {0x1p-44, "5.684341886080802e-14"},
      {0x1p-24, "5.960464477539063e-08"},
      {0x1p-1022, "2.2250738585072014e-308"},
      {0x1p-1074, "5e-324"},
      {0x1p+54, "18014398509481984.0"},
      {0x1p+969, "4.9896007738368e+291"},
      {0x1p-6, "0.015625"},
      {1125899906842624.25, "1125899906842624.2"},
      {1125899906842624.75, "1125899906842624.8"},
      {9007199254740991.0, "9007199254740991.0"},
      {4503599627370495.5, "4503599627370495.5"},
      {0.1 + 0.2, "0.30000000000000004"},
  };
  static const struct {
    float value;
    const char *text;
  } floats[] = {
      {0x1p-24F, "5.9604645e-08"}, {0x1p-90F, "8.077936e-28"},  {0x1p-149F, "1e-45"},
      {0x1p+90F, "1.2379401e+27"}, {2097152.25F, "2097152.2"},  {0.1F, "0.1"},
      {0x1p-10F, "0.0009765625"},  {16777216.0F, "16777216.0"}, {3e-9F, "3e-09"},
  };
  char text[NUMBER_TEXT_BYTES + 1];
  for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++) {
    *encode_double(text, doubles[i].value) = '\0';
    assert_string_equal(text, doubles[i].text);
  }
  for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++) {
    *encode_float(text, floats[i].value) = '\0';
    assert_string_equal(text, floats[i].text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_have_one_text),
      cmocka_unit_test(no_text_is_longer_than_its_room),
      cmocka_unit_test(every_day_has_its_date),
      cmocka_unit_test(references_that_lead_nowhere_are_refused),
      cmocka_unit_test(scales_that_nobody_can_read_are_refused),
      cmocka_unit_test(a_refused_batch_can_be_repeated),
      cmocka_unit_test(every_layout_is_written_as_its_values),
      cmocka_unit_test(runs_are_found_in_any_order),
      cmocka_unit_test(layouts_that_lead_nowhere_are_refused),
      cmocka_unit_test(floats_are_as_short_as_can_be),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
