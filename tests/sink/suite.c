#include "suite.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/build.h"
#include "arrow/encode.h"

static const struct suite_target *target;
static struct sink *sink;
static struct budget budget = {.limit_bytes = (int64_t)1 << 31};

static void ok(enum status status, const struct error *error) {
  if (status != STATUS_OK) fail_msg("%s: %s", status_name(status), error->text);
}

static struct sink *open_target(void) {
  const struct sink_type *type = sink_find(target->sink);
  assert_non_null(type);
  struct config *config;
  struct sink *opened;
  struct error error = {0};
  ok(config_new(type->config, &config, &error), &error);
  target->configure(config);
  ok(sink_open(target->sink, config, &opened, &error), &error);
  config_free(config);
  return opened;
}

static int setup(void **state) {
  (void)state;
  budget.used_bytes = 0;
  sink = open_target();
  return 0;
}

static int teardown(void **state) {
  (void)state;
  sink_close(sink);
  sink = NULL;
  target->clean();
  return budget.used_bytes == 0 ? 0 : 1;
}

static bool has(enum sink_trait trait) { return (sink->type->traits & (unsigned)trait) != 0; }

/* ---- data --------------------------------------------------------------------------------- */

enum status suite_ndjson(const struct ArrowSchema *schema, const struct ArrowArray *batch,
                         struct text *out, struct error *error) {
  struct encoder *encoder = NULL;
  struct buffer buffer = BUFFER_EMPTY;
  enum status status = encoder_new(ENCODE_NDJSON, schema, &budget, &encoder, error);
  if (status == STATUS_OK) status = encoder_begin(encoder, &buffer, error);
  if (status == STATUS_OK) status = encoder_batch(encoder, batch, &buffer, error);
  if (status == STATUS_OK) status = encoder_end(encoder, &buffer, error);
  if (status == STATUS_OK && buffer.size_bytes > 0)
    status = text_add_bytes(out, buffer.data, (size_t)buffer.size_bytes, error);
  encoder_free(encoder);
  buffer_release(&buffer);
  return status;
}

enum status suite_read(struct engine *engine, const struct table_name *table, struct text *out,
                       struct error *error) {
  struct engine_session *session;
  struct engine_result *result = NULL;
  struct engine_table info = {0};
  struct text sql = TEXT_EMPTY;
  enum status status = engine_session_open(engine, &session, error);
  if (status != STATUS_OK) return status;
  status = engine_table_info(session, table, &info, error);
  engine_table_release(&info);
  if (status == STATUS_OK) status = text_add(&sql, "SELECT * FROM ", error);
  if (status == STATUS_OK) status = table_name_sql(table, &sql, error);
  if (status == STATUS_OK) status = text_add(&sql, " ORDER BY n", error);
  if (status == STATUS_OK)
    status = engine_query(session, &(struct engine_query){.sql = sql.data}, &result, error);
  while (status == STATUS_OK) {
    struct ArrowArray batch;
    status = engine_result_next(result, &batch, error);
    if (status != STATUS_OK || batch.release == NULL) break;
    status = suite_ndjson(engine_result_schema(result), &batch, out, error);
    arrow_array_release(&batch);
  }
  engine_result_close(result);
  engine_session_close(session);
  text_release(&sql);
  return status;
}

/* A schema of n (int64) and v, of any format, whose children the caller sets. */
static struct ArrowSchema schema_of(const char *format, int64_t children) {
  struct ArrowSchema schema;
  struct error error = {0};
  ok(arrow_schema_init(&schema, "+s", "", false, 2, &error), &error);
  ok(arrow_schema_init(schema.children[0], "l", "n", false, 0, &error), &error);
  ok(arrow_schema_init(schema.children[1], format, "v", true, children, &error), &error);
  return schema;
}

static void child(struct ArrowSchema *parent, int64_t index, const char *format, const char *name,
                  int64_t children) {
  struct error error = {0};
  ok(arrow_schema_init(parent->children[index], format, name, true, children, &error), &error);
}

static struct build *builder(const struct ArrowSchema *schema) {
  struct build *build;
  struct error error = {0};
  ok(build_new(schema, &budget, &build, &error), &error);
  return build;
}

static struct ArrowArray finish(struct build *build) {
  struct ArrowArray batch;
  struct error error = {0};
  ok(build_finish(build, &batch, &error), &error);
  build_free(build);
  return batch;
}

/* Rows first, first + 1, ... of a schema of n and v (utf8); every fifth v is NULL. */
static struct ArrowArray rows_from(const struct ArrowSchema *schema, int64_t first, int64_t rows) {
  struct build *build = builder(schema);
  struct error error = {0};
  for (int64_t i = first; i < first + rows; i++) {
    char text[48];
    int bytes = snprintf(text, sizeof text, i % 2 == 0 ? "%lld" : "a longer text, number %lld",
                         (long long)i);
    ok(build_integer(build_child(build, 0), i, &error), &error);
    ok(i % 5 == 0 ? build_null(build_child(build, 1), &error)
                  : build_bytes(build_child(build, 1), text, bytes, &error),
       &error);
    ok(build_slot(build, &error), &error);
  }
  return finish(build);
}

static struct table_name named(const char *table) {
  struct table_name name = {0};
  snprintf(name.table, sizeof name.table, "%s", table);
  return name;
}

static struct load_spec spec_of(const char *table, const struct ArrowSchema *schema,
                                enum sink_mode mode) {
  return (struct load_spec){
      .table = named(table), .schema = schema, .mode = mode, .create_table = true};
}

static struct load *begin(const char *table, const struct ArrowSchema *schema) {
  struct load_spec spec = spec_of(table, schema, SINK_APPEND);
  struct load *load;
  struct error error = {0};
  ok(load_begin(sink, &spec, &load, &error), &error);
  return load;
}

static void append(struct load *load, struct ArrowArray batch) {
  struct error error = {0};
  ok(load_append(load, &batch, &error), &error);
  assert_null(batch.release); /* it is the load's now */
}

static struct load_result commit(struct load *load) {
  struct load_result result;
  struct error error = {0};
  ok(load_commit(load, &result, &error), &error);
  return result;
}

/* Asserts that the table holds what `want` says, as NDJSON ordered by n. */
static void expect_rows(const char *table, const char *want) {
  if (target->read == NULL) return;
  struct text got = TEXT_EMPTY;
  struct error error = {0};
  struct table_name name = named(table);
  ok(target->read(sink, &name, &got, &error), &error);
  if (strcmp(text_get(&got), want) != 0)
    fail_msg("%s holds\n%s\nnot\n%s", table, text_get(&got), want);
  text_release(&got);
}

/* Asserts that it holds rows_from(first, rows) of each pair. */
static void expect_ranges(const char *table, const int64_t (*ranges)[2], int count) {
  struct ArrowSchema schema = schema_of("u", 0);
  struct text want = TEXT_EMPTY;
  struct error error = {0};
  for (int i = 0; i < count; i++) {
    struct ArrowArray batch = rows_from(&schema, ranges[i][0], ranges[i][1]);
    ok(suite_ndjson(&schema, &batch, &want, &error), &error);
    arrow_array_release(&batch);
  }
  expect_rows(table, text_get(&want));
  text_release(&want);
  arrow_schema_release(&schema);
}

static void expect_no_table(const char *table) {
  if (target->read == NULL) return;
  struct text got = TEXT_EMPTY;
  struct error error = {0};
  struct table_name name = named(table);
  assert_int_equal(target->read(sink, &name, &got, &error), STATUS_NOT_FOUND);
  text_release(&got);
}

/* ---- what it says of itself ------------------------------------------------------------------ */

static void it_says_what_it_is_and_takes(void **state) {
  (void)state;
  const struct sink_type *type = sink->type;
  assert_ptr_equal(type, sink_find(target->sink));
  assert_true(strlen(type->summary) > 10 && strchr(type->summary, '\n') == NULL);
  assert_true((type->modes & SINK_APPEND) != 0);
  assert_non_null(type->config);
  for (const struct config_field *field = type->config; field->name != NULL; field++)
    assert_true(field->doc != NULL && field->doc[strlen(field->doc) - 1] == '.');
  assert_true((type->table_info == NULL) == (type->list_tables == NULL));
  assert_true(!has(SINK_QUERYABLE) || target->read != NULL);
}

/* ---- loads ------------------------------------------------------------------------------------ */

static void what_is_appended_is_there_after_the_commit(void **state) {
  (void)state;
  struct ArrowSchema schema = schema_of("u", 0);
  struct load *load = begin("t", &schema);
  append(load, rows_from(&schema, 0, 3));
  struct load_result result = commit(load);
  assert_int_equal(result.rows, 3);
  assert_int_equal(result.batches, 1);
  expect_rows("t", "{\"n\":0,\"v\":null}\n{\"n\":1,\"v\":\"a longer text, number "
                   "1\"}\n{\"n\":2,\"v\":\"2\"}\n");
  load = begin("t", &schema);
  append(load, rows_from(&schema, 3, 2));
  commit(load);
  expect_ranges("t", (const int64_t[][2]){{0, 5}}, 1);
  arrow_schema_release(&schema);
}

static void many_batches_and_empty_ones_are_one_load(void **state) {
  (void)state;
  struct ArrowSchema schema = schema_of("u", 0);
  struct load *load = begin("t", &schema);
  int64_t rows = 0, sizes[] = {0, 1, 2047, 2049, 0, 7, 5000, 0};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    append(load, rows_from(&schema, rows, sizes[i]));
    rows += sizes[i];
  }
  struct load_result result = commit(load);
  assert_int_equal(result.rows, rows);
  assert_int_equal(result.batches, sizeof sizes / sizeof sizes[0]);
  expect_ranges("t", (const int64_t[][2]){{0, 9104}}, 1);
  arrow_schema_release(&schema);
}

static void flushing_gives_memory_back_and_loses_nothing(void **state) {
  (void)state;
  struct ArrowSchema schema = schema_of("u", 0);
  struct error error = {0};
  struct load *load = begin("t", &schema);
  ok(load_flush(load, &error), &error);
  for (int64_t i = 0; i < 3; i++) {
    append(load, rows_from(&schema, i * 3000, 3000));
    ok(load_flush(load, &error), &error);
    assert_int_equal(budget.used_bytes, 0);
  }
  append(load, rows_from(&schema, 9000, 1));
  assert_int_equal(commit(load).rows, 9001);
  expect_ranges("t", (const int64_t[][2]){{0, 9001}}, 1);
  load = begin("t", &schema);
  append(load, rows_from(&schema, 10000, 10));
  ok(load_flush(load, &error), &error);
  load_abort(load);
  expect_ranges("t", (const int64_t[][2]){{0, 9001}}, 1);
  arrow_schema_release(&schema);
}

static void a_schema_alone_makes_the_table(void **state) {
  (void)state;
  struct ArrowSchema schema = schema_of("u", 0);
  struct load_result result = commit(begin("t", &schema));
  assert_int_equal(result.rows, 0);
  assert_int_equal(result.batches, 0);
  expect_rows("t", "");
  arrow_schema_release(&schema);
}

/* A window of a batch, as other libraries hand it over. */
static void a_batch_with_an_offset_lands_from_there(void **state) {
  (void)state;
  struct ArrowSchema schema = schema_of("u", 0);
  struct ArrowArray batch = rows_from(&schema, 0, 100);
  batch.offset = 37, batch.length = 21;
  struct load *load = begin("t", &schema);
  append(load, batch);
  assert_int_equal(commit(load).rows, 21);
  expect_ranges("t", (const int64_t[][2]){{37, 21}}, 1);
  arrow_schema_release(&schema);
}

static void an_aborted_load_leaves_nothing(void **state) {
  (void)state;
  struct ArrowSchema schema = schema_of("u", 0);
  load_abort(begin("t", &schema));
  expect_no_table("t");
  struct load *load = begin("t", &schema);
  append(load, rows_from(&schema, 0, 3000));
  load_abort(load);
  expect_no_table("t");
  load = begin("t", &schema);
  append(load, rows_from(&schema, 0, 3));
  commit(load);
  load = begin("t", &schema);
  append(load, rows_from(&schema, 3, 3000));
  load_abort(load);
  expect_ranges("t", (const int64_t[][2]){{0, 3}}, 1);
  load_abort(NULL);
  arrow_schema_release(&schema);
}

static void two_loads_at_once_both_land(void **state) {
  (void)state;
  struct ArrowSchema schema = schema_of("u", 0);
  commit(begin("t", &schema));
  struct load *first = begin("t", &schema), *second = begin("t", &schema);
  struct load *third = begin("t", &schema), *other = begin("other", &schema);
  append(first, rows_from(&schema, 0, 1000));
  append(second, rows_from(&schema, 1000, 1000));
  append(third, rows_from(&schema, 5000, 1000));
  append(other, rows_from(&schema, 0, 10));
  append(first, rows_from(&schema, 2000, 500));
  assert_int_equal(commit(second).rows, 1000);
  load_abort(third);
  assert_int_equal(commit(first).rows, 1500);
  assert_int_equal(commit(other).rows, 10);
  expect_ranges("t", (const int64_t[][2]){{0, 2500}}, 1);
  expect_ranges("other", (const int64_t[][2]){{0, 10}}, 1);
  arrow_schema_release(&schema);
}

enum { LOADERS = 4, LOADS = 10, LOAD_ROWS = 300 };

static void *load_often(void *context) {
  int64_t first = (int64_t)(intptr_t)context * LOADS * LOAD_ROWS;
  struct ArrowSchema schema = schema_of("u", 0);
  for (int i = 0; i < LOADS; i++, first += LOAD_ROWS) {
    struct load *load = begin("t", &schema);
    append(load, rows_from(&schema, first, LOAD_ROWS));
    commit(load);
  }
  arrow_schema_release(&schema);
  return NULL;
}

/* They race to create the table, too. */
static void loads_of_several_threads_all_land(void **state) {
  (void)state;
  pthread_t threads[LOADERS];
  for (intptr_t i = 0; i < LOADERS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, load_often, (void *)i), 0);
  for (int i = 0; i < LOADERS; i++) pthread_join(threads[i], NULL);
  expect_ranges("t", (const int64_t[][2]){{0, LOADERS * LOADS * LOAD_ROWS}}, 1);
}

static void overwriting_replaces_all_or_nothing(void **state) {
  (void)state;
  if ((sink->type->modes & SINK_OVERWRITE) == 0) return;
  struct ArrowSchema schema = schema_of("u", 0);
  struct load_spec spec = spec_of("t", &schema, SINK_OVERWRITE);
  struct load *load;
  struct error error = {0};
  for (int64_t i = 0; i < 3; i++) { /* also where there is no table yet */
    ok(load_begin(sink, &spec, &load, &error), &error);
    append(load, rows_from(&schema, i * 10, 5 + i));
    commit(load);
    expect_ranges("t", (const int64_t[][2]){{i * 10, 5 + i}}, 1);
  }
  ok(load_begin(sink, &spec, &load, &error), &error);
  append(load, rows_from(&schema, 100, 5));
  load_abort(load);
  expect_ranges("t", (const int64_t[][2]){{20, 7}}, 1);
  ok(load_begin(sink, &spec, &load, &error), &error);
  commit(load);
  expect_rows("t", "");
  arrow_schema_release(&schema);
}

static void what_is_durable_is_there_after_opening_again(void **state) {
  (void)state;
  if (!target->reopens) return;
  struct ArrowSchema schema = schema_of("u", 0);
  struct load *load = begin("t", &schema);
  append(load, rows_from(&schema, 0, 2500));
  commit(load);
  sink_close(sink);
  sink = open_target();
  expect_ranges("t", (const int64_t[][2]){{0, 2500}}, 1);
  arrow_schema_release(&schema);
}

/* ---- types ------------------------------------------------------------------------------------- */

/* Words as in the values below: "~" is NULL, "'..." text, "0x..." bytes. */
static void put(struct build *build, const char *word) {
  struct error error = {0};
  uint8_t bytes[64];
  size_t count = 0;
  if (strcmp(word, "~") == 0) {
    ok(build_null(build, &error), &error);
  } else if (word[0] == '\'') {
    ok(build_bytes(build, word + 1, (int64_t)strlen(word + 1), &error), &error);
  } else if (strncmp(word, "0x", 2) == 0) {
    for (word += 2; word[0] != '\0'; word += 2) {
      char digits[3] = {word[0], word[1], '\0'};
      bytes[count++] = (uint8_t)strtoul(digits, NULL, 16);
    }
    ok(build_bytes(build, bytes, (int64_t)count, &error), &error);
  } else if (strpbrk(word, ".if") != NULL) {
    ok(build_double(build, strtod(word, NULL), &error), &error);
  } else {
    ok(build_integer(build, strtoll(word, NULL, 10), &error), &error);
  }
}

/* Lands a batch in a table of its own and compares what comes back. A type may be
 * refused, but by name and before a row moves. */
static void land_and_compare(const struct ArrowSchema *schema, struct ArrowArray batch) {
  struct load_spec spec = spec_of("t", schema, SINK_APPEND);
  struct load *load;
  struct text want = TEXT_EMPTY;
  struct error error = {0};
  ok(suite_ndjson(schema, &batch, &want, &error), &error);
  int64_t rows = batch.length;
  enum status status = load_begin(sink, &spec, &load, &error);
  if (status == STATUS_UNSUPPORTED) {
    assert_non_null(strstr(error.text, "\"v"));
    arrow_array_release(&batch);
    text_release(&want);
    return;
  }
  if (status != STATUS_OK) fail_msg("%s: %s", schema->children[1]->format, error.text);
  append(load, batch);
  assert_int_equal(commit(load).rows, rows);
  expect_rows("t", text_get(&want));
  text_release(&want);
  sink_close(sink);
  target->clean();
  sink = open_target();
}

static void every_type_comes_back_from_its_limits(void **state) {
  (void)state;
  static const struct {
    const char *format, *words;
  } cases[] = {
      {"b", "0 1 ~"},
      {"c", "-128 127 ~"},
      {"C", "0 255 ~"},
      {"s", "-32768 32767 ~"},
      {"S", "0 65535 ~"},
      {"i", "-2147483648 2147483647 ~"},
      {"I", "0 4294967295 ~"},
      {"l", "-9223372036854775808 9223372036854775807 ~"},
      {"L", "0 9223372036854775807 ~"},
      {"f", "0.1 -inf ~ 3.4028234663852886e+38"},
      {"g", "0.1 1.7976931348623157e+308 4.9406564584124654e-324 ~ -0.0"},
      {"u", "' 'a 'twelve_bytes 'thirteen_byte ~ '\xf0\x9f\xa6\x86 0x610062"},
      {"z", "0x00ff ' ~ 0x000102030405060708090a0b0c0d0e0f"},
      {"d:38,10", "0xffffffff3f228a097ac4865aa84c3b4b ~ 0xffffffffffffffffffffffffffffffff"},
      {"d:3,3", "0xe7030000000000000000000000000000 ~"},
      {"tdD", "-719162 2932896 ~"},
      {"ttu", "0 86399999999 ~"},
      {"ttn", "0 86399999999999 ~"},
      {"tss:", "-62135596800 253402300799 ~"},
      {"tsm:", "-62135596800000 253402300799999 ~"},
      {"tsu:", "-62135596800000000 253402300799999999 ~"},
      {"tsn:", "-9214560000000000000 9214646400000000001 ~"},
      {"tsu:UTC", "-1 253402300799999999 ~"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema schema = schema_of(cases[i].format, 0);
    struct build *build = builder(&schema);
    struct error error = {0};
    char words[512], *rest = NULL;
    snprintf(words, sizeof words, "%s", cases[i].words);
    int64_t n = 0;
    for (char *word = strtok_r(words, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
      ok(build_integer(build_child(build, 0), n++, &error), &error);
      put(build_child(build, 1), word);
      ok(build_slot(build, &error), &error);
    }
    land_and_compare(&schema, finish(build));
    arrow_schema_release(&schema);
  }
}

/* n, and v: list<struct<a: utf8, m: map<utf8, int32>>>, three rows of it. */
static void nested_types_come_back(void **state) {
  (void)state;
  struct ArrowSchema schema = schema_of("+l", 1);
  struct ArrowSchema *list = schema.children[1];
  child(list, 0, "+s", "item", 2);
  child(list->children[0], 0, "u", "a", 0);
  child(list->children[0], 1, "+m", "m", 1);
  struct ArrowSchema *map = list->children[0]->children[1];
  child(map, 0, "+s", "entries", 2);
  child(map->children[0], 0, "u", "key", 0);
  child(map->children[0], 1, "i", "value", 0);
  struct build *build = builder(&schema), *lists = build_child(build, 1);
  struct build *item = build_child(lists, 0), *maps = build_child(item, 1);
  struct build *entries = build_child(maps, 0);
  struct error error = {0};
  for (int64_t n = 0; n < 5000; n++) {
    ok(build_integer(build_child(build, 0), n, &error), &error);
    if (n % 4 == 0) {
      put(lists, "~");
    } else {
      for (int64_t i = 0; i < n % 4 - 1; i++) {
        put(build_child(item, 0), n % 3 == 0 ? "~" : "'text in a struct in a list");
        put(build_child(entries, 0), "'k"), put(build_child(entries, 1), n % 5 == 0 ? "~" : "7");
        ok(build_slot(entries, &error), &error);
        ok(build_slot(maps, &error), &error);
        ok(build_slot(item, &error), &error);
      }
      ok(build_slot(lists, &error), &error);
    }
    ok(build_slot(build, &error), &error);
  }
  land_and_compare(&schema, finish(build));
  arrow_schema_release(&schema);
}

/* ---- what is refused ------------------------------------------------------------------------------ */

static void a_table_that_is_missing_is_only_made_when_asked(void **state) {
  (void)state;
  if (target->read == NULL) return;
  struct ArrowSchema schema = schema_of("u", 0);
  struct load_spec spec = spec_of("nowhere", &schema, SINK_APPEND);
  spec.create_table = false;
  struct load *load;
  struct error error = {0};
  assert_int_equal(load_begin(sink, &spec, &load, &error), STATUS_NOT_FOUND);
  assert_null(load);
  assert_non_null(strstr(error.text, "nowhere"));
  arrow_schema_release(&schema);
}

static void a_schema_that_does_not_fit_is_refused_by_column(void **state) {
  (void)state;
  if (target->read == NULL) return;
  struct ArrowSchema schema = schema_of("u", 0);
  struct load *load = begin("t", &schema);
  append(load, rows_from(&schema, 0, 2));
  commit(load);
  static const struct {
    const char *format, *name, *text;
  } cases[] = {{"i", "v", "\"v\""}, {"u", "w", "\"w\""}, {"u", "N", "\"N\""}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema other;
    struct error error = {0};
    ok(arrow_schema_init(&other, "+s", "", false, 2, &error), &error);
    child(&other, 0, "l", "n", 0);
    child(&other, 1, cases[i].format, cases[i].name, 0);
    struct load_spec spec = spec_of("t", &other, SINK_APPEND);
    assert_int_equal(load_begin(sink, &spec, &load, &error), STATUS_SCHEMA);
    assert_null(load);
    if (strstr(error.text, cases[i].text) == NULL) fail_msg("%s", error.text);
    arrow_schema_release(&other);
  }
  expect_ranges("t", (const int64_t[][2]){{0, 2}}, 1);
  arrow_schema_release(&schema);
}

static void a_broken_call_is_refused_and_leaves_the_batch_with_its_caller(void **state) {
  (void)state;
  struct ArrowSchema schema = schema_of("u", 0), narrow;
  struct error error = {0};
  ok(arrow_schema_init(&narrow, "+s", "", false, 1, &error), &error);
  child(&narrow, 0, "l", "n", 0);
  struct load_spec spec = spec_of("t", &schema, SINK_APPEND);
  struct load *load;
  spec.mode = (enum sink_mode)64;
  assert_int_equal(load_begin(sink, &spec, &load, &error), STATUS_INVALID);
  spec = spec_of("", &schema, SINK_APPEND);
  assert_int_equal(load_begin(sink, &spec, &load, &error), STATUS_INVALID);
  spec = spec_of("t", schema.children[0], SINK_APPEND);
  assert_int_equal(load_begin(sink, &spec, &load, &error), STATUS_INVALID);

  struct build *build = builder(&narrow);
  ok(build_integer(build_child(build, 0), 1, &error), &error);
  ok(build_slot(build, &error), &error);
  struct ArrowArray batch = finish(build);
  load = begin("t", &schema);
  assert_int_equal(load_append(load, &batch, &error), STATUS_SCHEMA);
  assert_non_null(batch.release);
  arrow_array_release(&batch);
  assert_int_equal(load_append(load, &batch, &error), STATUS_INVALID);
  load_abort(load);
  expect_no_table("t");
  arrow_schema_release(&narrow);
  arrow_schema_release(&schema);
}

static void a_mode_that_is_missing_is_refused_by_name(void **state) {
  (void)state;
  static const struct {
    enum sink_mode mode;
    const char *name;
  } modes[] = {{SINK_OVERWRITE, "overwrite"}, {SINK_UPSERT, "upsert"}, {SINK_MERGE, "merge"}};
  struct ArrowSchema schema = schema_of("u", 0);
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    if ((sink->type->modes & (unsigned)modes[i].mode) != 0) continue;
    struct load_spec spec = spec_of("t", &schema, modes[i].mode);
    struct load *load;
    struct error error = {0};
    assert_int_equal(load_begin(sink, &spec, &load, &error), STATUS_UNSUPPORTED);
    assert_non_null(strstr(error.text, modes[i].name));
    assert_non_null(strstr(error.text, target->sink));
  }
  arrow_schema_release(&schema);
}

/* A value that the destination does not hold, after many that it does. */
static void a_refused_value_is_named_and_takes_its_load_along(void **state) {
  (void)state;
  if (target->read == NULL) return;
  struct ArrowSchema schema = schema_of("tdm", 0);
  struct build *build = builder(&schema);
  struct error error = {0};
  for (int64_t n = 0; n < 3000; n++) {
    ok(build_integer(build_child(build, 0), n, &error), &error);
    ok(build_integer(build_child(build, 1), n == 2500 ? 1 : n * 86400000, &error), &error);
    ok(build_slot(build, &error), &error);
  }
  struct ArrowArray batch = finish(build);
  struct load_spec spec = spec_of("t", &schema, SINK_APPEND);
  struct load *load;
  enum status status = load_begin(sink, &spec, &load, &error);
  if (status == STATUS_UNSUPPORTED) { /* nor does it take the type */
    arrow_array_release(&batch);
    arrow_schema_release(&schema);
    return;
  }
  ok(status, &error);
  status = load_append(load, &batch, &error);
  if (status == STATUS_OK) {
    struct load_result result;
    status = load_commit(load, &result, &error);
  } else {
    arrow_array_release(&batch);
    load_abort(load);
  }
  assert_int_equal(status, STATUS_SCHEMA);
  assert_non_null(strstr(error.text, "row 2500"));
  assert_non_null(strstr(error.text, "\"v\""));
  expect_no_table("t");
  arrow_schema_release(&schema);
}

/* ---- tables ------------------------------------------------------------------------------------------- */

static void hostile_names_are_names(void **state) {
  (void)state;
  static const char *const names[] = {
      "x\"; DROP TABLE keep; --",
      "' OR 1=1 --",
      "a.b.c",
      "select",
      "\\",
      "%s%n",
      "\xf0\x9f\xa6\x86",
      "../../etc/passwd",
      " lead and trail ",
      "0",
      "CON",
      "a/b",
      "x'; DELETE FROM keep; --",
      "main.keep",
      "system.main.keep",
      "$1",
      "?",
  };
  struct ArrowSchema schema = schema_of("u", 0);
  struct load *load = begin("keep", &schema);
  append(load, rows_from(&schema, 0, 3));
  commit(load);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    load = begin(names[i], &schema);
    append(load, rows_from(&schema, (int64_t)i * 10, 2));
    commit(load);
  }
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    expect_ranges(names[i], (const int64_t[][2]){{(int64_t)i * 10, 2}}, 1);
  expect_ranges("keep", (const int64_t[][2]){{0, 3}}, 1);
  arrow_schema_release(&schema);
}

static void tables_are_listed_and_described(void **state) {
  (void)state;
  struct table_info info, *tables;
  int64_t count;
  struct error error = {0};
  struct table_name name = named("one");
  if (sink->type->table_info == NULL) {
    assert_int_equal(sink_table_info(sink, &name, &info, &error), STATUS_UNSUPPORTED);
    assert_int_equal(sink_list_tables(sink, &tables, &count, &error), STATUS_UNSUPPORTED);
    return;
  }
  assert_int_equal(sink_table_info(sink, &name, &info, &error), STATUS_NOT_FOUND);
  ok(sink_list_tables(sink, &tables, &count, &error), &error);
  assert_int_equal(count, 0);
  free(tables);
  struct ArrowSchema schema = schema_of("u", 0);
  struct load *load = begin("one", &schema);
  append(load, rows_from(&schema, 0, 4));
  commit(load);
  commit(begin("two \"quoted\"", &schema));
  ok(sink_table_info(sink, &name, &info, &error), &error);
  assert_string_equal(info.name.table, "one");
  assert_int_equal(info.rows, 4);
  assert_int_equal(info.column_count, 2);
  assert_string_equal(info.columns[1].name, "v");
  assert_true(strlen(info.columns[1].type) > 0);
  table_info_release(&info);
  assert_int_equal(info.column_count, 0);
  ok(sink_list_tables(sink, &tables, &count, &error), &error);
  assert_int_equal(count, 2);
  assert_string_equal(tables[0].name.table, "one");
  assert_string_equal(tables[1].name.table, "two \"quoted\"");
  for (int64_t i = 0; i < count; i++) table_info_release(&tables[i]);
  free(tables);
  arrow_schema_release(&schema);
}

int suite_run(const struct suite_target *with) {
  target = with;
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
  const struct CMUnitTest tests[] = {
      EACH(it_says_what_it_is_and_takes),
      EACH(what_is_appended_is_there_after_the_commit),
      EACH(many_batches_and_empty_ones_are_one_load),
      EACH(flushing_gives_memory_back_and_loses_nothing),
      EACH(a_schema_alone_makes_the_table),
      EACH(a_batch_with_an_offset_lands_from_there),
      EACH(an_aborted_load_leaves_nothing),
      EACH(two_loads_at_once_both_land),
      EACH(loads_of_several_threads_all_land),
      EACH(overwriting_replaces_all_or_nothing),
      EACH(what_is_durable_is_there_after_opening_again),
      EACH(every_type_comes_back_from_its_limits),
      EACH(nested_types_come_back),
      EACH(a_table_that_is_missing_is_only_made_when_asked),
      EACH(a_schema_that_does_not_fit_is_refused_by_column),
      EACH(a_broken_call_is_refused_and_leaves_the_batch_with_its_caller),
      EACH(a_mode_that_is_missing_is_refused_by_name),
      EACH(a_refused_value_is_named_and_takes_its_load_along),
      EACH(hostile_names_are_names),
      EACH(tables_are_listed_and_described),
  };
  int failed = cmocka_run_group_tests_name(with->name, tests, NULL, NULL);
  return failed + suite_run_modes(with) + suite_run_land(with);
}
