/* Schema messages that no honest writer makes: each is refused with its reason, and
 * none costs more than it weighs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arrow/flatbuf_write.h"
#include "arrow/ipc.h"
#include "base/clock.h"

static struct budget budget = {.limit_bytes = 64 << 20};

/* ---- making ---------------------------------------------------------------------------- */

enum { TYPE_INT = 2, TYPE_FLOAT = 3, TYPE_UTF8 = 5, TYPE_DECIMAL = 7, TYPE_TIME = 9 };
enum { TYPE_TIMESTAMP = 10, TYPE_INTERVAL = 11, TYPE_LIST = 12, TYPE_STRUCT = 13, TYPE_UNION = 14 };
enum { TYPE_FIXED_SIZE_BINARY = 15, TYPE_FIXED_SIZE_LIST = 16, TYPE_MAP = 17, TYPE_RUN_END = 22 };
enum { TYPE_LIST_VIEW = 25, TYPE_LARGE_LIST_VIEW = 26 };
enum { MESSAGE_VERSION, MESSAGE_HEADER_TYPE, MESSAGE_HEADER, MESSAGE_BODY_LENGTH };
enum { SCHEMA_ENDIANNESS, SCHEMA_FIELDS, SCHEMA_METADATA };
enum { NAME, NULLABLE, TYPE_TYPE, TYPE, DICTIONARY, CHILDREN, METADATA };

/* A type and its table: up to three numbers of the given sizes. */
struct made_type {
  int number;
  uint8_t sizes[3];
  int64_t values[3];
};

static const struct made_type int32_type = {TYPE_INT, {4, 1}, {32, 1}};

struct making {
  struct flatbuf flatbuf;
  int64_t schema;
  int64_t fields; /* the vector of references to the schema's fields */
};

/* A schema message of `count` fields, which are still to be made. */
static void begin(struct making *making, int64_t endianness, int64_t count) {
  static const uint8_t message_sizes[] = {2, 1, 4, 8};
  static const uint8_t schema_sizes[] = {2, 4, 4};
  struct flatbuf *flatbuf = &making->flatbuf;
  flatbuf_begin(flatbuf, &budget);
  int64_t message = flatbuf_table(flatbuf, message_sizes, 4);
  flatbuf_set(flatbuf, message, MESSAGE_VERSION, 4, 2);
  flatbuf_set(flatbuf, message, MESSAGE_HEADER_TYPE, 1, 1);
  making->schema = flatbuf_table(flatbuf, schema_sizes, 3);
  flatbuf_refer(flatbuf, message, MESSAGE_HEADER, making->schema);
  flatbuf_set(flatbuf, making->schema, SCHEMA_ENDIANNESS, endianness, 2);
  making->fields = flatbuf_vector(flatbuf, count, 4, 4);
  flatbuf_refer(flatbuf, making->schema, SCHEMA_FIELDS, making->fields);
  int64_t none = flatbuf_vector(flatbuf, 0, 4, 4);
  flatbuf_refer(flatbuf, making->schema, SCHEMA_METADATA, none);
}

/* A field of `type` with room for `children` references, whose vector is `*vector`. */
static int64_t add_field(struct making *making, const char *name, int64_t name_bytes,
                         const struct made_type *type, int64_t children, int64_t *vector) {
  static const uint8_t sizes[] = {4, 1, 1, 4, 0, 4, 0};
  struct flatbuf *flatbuf = &making->flatbuf;
  int64_t field = flatbuf_table(flatbuf, sizes, 7);
  flatbuf_set(flatbuf, field, NULLABLE, 1, 1);
  flatbuf_set(flatbuf, field, TYPE_TYPE, type->number, 1);
  flatbuf_refer(flatbuf, field, NAME, flatbuf_string(flatbuf, name, name_bytes));
  int64_t table = flatbuf_table(flatbuf, type->sizes, 3);
  for (int i = 0; i < 3; i++)
    if (type->sizes[i] > 0) flatbuf_set(flatbuf, table, i, type->values[i], type->sizes[i]);
  flatbuf_refer(flatbuf, field, TYPE, table);
  int64_t made = flatbuf_vector(flatbuf, children, 4, 4);
  flatbuf_refer(flatbuf, field, CHILDREN, made);
  if (vector != NULL) *vector = made;
  return field;
}

static int64_t add_named(struct making *making, const char *name, const struct made_type *type,
                         int64_t children, int64_t *vector) {
  return add_field(making, name, (int64_t)strlen(name), type, children, vector);
}

/* Decodes what was made, and lets go of it. */
static enum status decode(struct making *making, struct error *error) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_decoder *decoder = NULL;
  struct ipc_message message = {.metadata = making->flatbuf.bytes};
  enum ipc_event event;
  struct ArrowArray none;
  assert_int_equal(flatbuf_status(&making->flatbuf, NULL), STATUS_OK);
  assert_int_equal(ipc_decoder_new(&limits, &budget, &decoder, NULL), STATUS_OK);
  enum status status = ipc_decoder_decode(decoder, &message, &event, &none, error);
  assert_null(none.release);
  assert_int_equal(ipc_decoder_schema(decoder) != NULL, status == STATUS_OK);
  if (status != STATUS_OK) ipc_message_release(&message);
  ipc_decoder_free(decoder);
  assert_int_equal(budget.used_bytes, 0);
  return status;
}

static void expect(struct making *making, enum status status, const char *said) {
  struct error error = {0};
  int64_t start_ms = clock_now_ms();
  assert_int_equal(decode(making, &error), status);
  if (strstr(error.text, said) == NULL) fail_msg("\"%s\" does not say \"%s\"", error.text, said);
  assert_true(clock_now_ms() - start_ms < 5000);
}

/* ---- types ------------------------------------------------------------------------------- */

static void a_type_that_cannot_be_is_refused(void **state) {
  (void)state;
  static const struct {
    struct made_type type;
    enum status status;
    const char *said;
  } cases[] = {
      {{TYPE_INT, {4, 1}, {32, 1}}, STATUS_OK, ""},
      {{TYPE_INT, {4, 1}, {7, 1}}, STATUS_INVALID, "7 bits"},
      {{TYPE_INT, {4, 1}, {-8, 1}}, STATUS_INVALID, "-8"},
      {{TYPE_FLOAT, {2}, {3}}, STATUS_INVALID, "3"},
      {{TYPE_DECIMAL, {4, 4, 4}, {38, 2, 128}}, STATUS_OK, ""},
      {{TYPE_DECIMAL, {4, 4, 4}, {39, 2, 128}}, STATUS_INVALID, "d:39,2"},
      {{TYPE_DECIMAL, {4, 4, 4}, {0, 0, 128}}, STATUS_INVALID, "d:0,0"},
      {{TYPE_DECIMAL, {4, 4, 4}, {5, 0, 100}}, STATUS_INVALID, "100"},
      {{TYPE_TIME, {2, 4}, {3, 32}}, STATUS_INVALID, "32 bits"},
      {{TYPE_TIME, {2, 4}, {0, 64}}, STATUS_INVALID, "64 bits"},
      {{TYPE_TIMESTAMP, {2}, {4}}, STATUS_INVALID, "4"},
      {{TYPE_TIMESTAMP, {2}, {-1}}, STATUS_INVALID, "-1"},
      {{TYPE_INTERVAL, {2}, {3}}, STATUS_INVALID, "3"},
      {{TYPE_FIXED_SIZE_BINARY, {4}, {-1}}, STATUS_INVALID, "w:-1"},
      {{TYPE_FIXED_SIZE_BINARY, {4}, {INT32_MAX}}, STATUS_OK, ""},
      {{TYPE_LIST, {0}, {0}}, STATUS_INVALID, "0 children"},
      {{TYPE_FIXED_SIZE_LIST, {4}, {2}}, STATUS_INVALID, "0 children"},
      {{TYPE_MAP, {1}, {0}}, STATUS_INVALID, "0 children"},
      {{0, {0}, {0}}, STATUS_UNSUPPORTED, "number 0"},
      {{99, {0}, {0}}, STATUS_UNSUPPORTED, "number 99"},
      {{TYPE_UNION, {2}, {1}}, STATUS_OK, ""}, /* of no members: there can be no slots */
      {{TYPE_UNION, {2}, {2}}, STATUS_INVALID, "mode 2"},
      {{TYPE_UNION, {2}, {-1}}, STATUS_INVALID, "mode -1"},
      {{TYPE_LIST_VIEW, {0}, {0}}, STATUS_INVALID, "0 children"},
      {{TYPE_LARGE_LIST_VIEW, {0}, {0}}, STATUS_INVALID, "0 children"},
      {{TYPE_RUN_END, {0}, {0}}, STATUS_INVALID, "0 children"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct making making = {0};
    begin(&making, 0, 1);
    int64_t field = add_named(&making, "speed", &cases[i].type, 0, NULL);
    flatbuf_refer_element(&making.flatbuf, making.fields, 0, field);
    struct error error = {0};
    enum status status = decode(&making, &error);
    if (status != cases[i].status || strstr(error.text, cases[i].said) == NULL ||
        (status != STATUS_OK && strstr(error.text, "speed") == NULL))
      fail_msg("case %zu: %s \"%s\"", i, status_name(status), error.text);
  }
}

static void a_byte_order_is_one_of_two(void **state) {
  (void)state;
  static const struct {
    int64_t endianness;
    enum status status;
    const char *said;
  } cases[] = {
      {0, STATUS_OK, ""},
      {1, STATUS_OK, ""},
      {2, STATUS_INVALID, "endianness 2"},
      {-1, STATUS_INVALID, "endianness -1"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct making making = {0};
    begin(&making, cases[i].endianness, 0);
    expect(&making, cases[i].status, cases[i].said);
  }
}

/* A schema of one union, dense, of `count` members, with the type ids that are given. */
static void begin_union(struct making *making, int count, const int32_t *ids, int id_count) {
  static const uint8_t field_sizes[] = {4, 1, 1, 4, 0, 4, 0};
  static const uint8_t union_sizes[] = {2, 4};
  struct flatbuf *flatbuf = &making->flatbuf;
  begin(making, 0, 1);
  int64_t field = flatbuf_table(flatbuf, field_sizes, 7);
  flatbuf_refer_element(flatbuf, making->fields, 0, field);
  flatbuf_set(flatbuf, field, TYPE_TYPE, TYPE_UNION, 1);
  flatbuf_refer(flatbuf, field, NAME, flatbuf_string(flatbuf, "either", 6));
  int64_t table = flatbuf_table(flatbuf, union_sizes, 2);
  flatbuf_set(flatbuf, table, 0, 1, 2);
  flatbuf_refer(flatbuf, field, TYPE, table);
  int64_t vector = flatbuf_vector(flatbuf, id_count, 4, 4);
  flatbuf_refer(flatbuf, table, 1, vector);
  for (int i = 0; i < id_count && flatbuf_status(flatbuf, NULL) == STATUS_OK; i++)
    memcpy(flatbuf->bytes.data + flatbuf_element(vector, i, 4), &ids[i], sizeof ids[i]);
  int64_t children = flatbuf_vector(flatbuf, count, 4, 4);
  flatbuf_refer(flatbuf, field, CHILDREN, children);
  for (int i = 0; i < count; i++)
    flatbuf_refer_element(flatbuf, children, i, add_named(making, "m", &int32_type, 0, NULL));
}

static void a_union_has_a_type_id_for_each_member(void **state) {
  (void)state;
  static const struct {
    int count;
    int id_count;
    int32_t ids[4];
    enum status status;
  } cases[] = {
      {2, 2, {0, 1}, STATUS_OK},       {2, 2, {127, 5}, STATUS_OK},
      {2, 0, {0}, STATUS_OK}, /* counted from 0 on */
      {2, 2, {5, 5}, STATUS_INVALID},  {2, 2, {0, 128}, STATUS_INVALID},
      {2, 2, {0, -1}, STATUS_INVALID}, {2, 2, {INT32_MAX, INT32_MIN}, STATUS_INVALID},
      {2, 1, {0}, STATUS_INVALID},     {2, 3, {0, 1, 2}, STATUS_INVALID},
      {0, 1, {0}, STATUS_INVALID},     {129, 0, {0}, STATUS_INVALID},
      {128, 0, {0}, STATUS_OK},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct making making = {0};
    begin_union(&making, cases[i].count, cases[i].ids, cases[i].id_count);
    expect(&making, cases[i].status, cases[i].status == STATUS_OK ? "" : "union");
  }
}

static void a_map_needs_entries_of_two(void **state) {
  (void)state;
  static const struct made_type map = {TYPE_MAP, {1}, {0}};
  struct making making = {0};
  int64_t entries = 0;
  begin(&making, 0, 1);
  int64_t field = add_named(&making, "tags", &map, 1, &entries);
  flatbuf_refer_element(&making.flatbuf, making.fields, 0, field);
  flatbuf_refer_element(&making.flatbuf, entries, 0,
                        add_named(&making, "entries", &int32_type, 0, NULL));
  expect(&making, STATUS_INVALID, "tags");
}

static void a_name_is_utf8_without_nul(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int64_t bytes;
    const char *said;
  } cases[] = {{"a\0b", 3, "NUL"}, {"\xC0\x80", 2, "UTF-8"}, {"\xED\xA0\x80", 3, "UTF-8"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct making making = {0};
    begin(&making, 0, 1);
    int64_t field = add_field(&making, cases[i].name, cases[i].bytes, &int32_type, 0, NULL);
    flatbuf_refer_element(&making.flatbuf, making.fields, 0, field);
    expect(&making, STATUS_INVALID, cases[i].said);
  }
}

/* ---- depth and number ----------------------------------------------------------------------- */

static void make_nested(struct making *making, int depth) {
  static const struct made_type list = {TYPE_LIST, {0}, {0}};
  int64_t at = making->fields;
  for (int i = 0; i < depth; i++) {
    int64_t children = 0;
    int64_t field = add_named(making, "item", &list, 1, &children);
    flatbuf_refer_element(&making->flatbuf, at, 0, field);
    at = children;
  }
  flatbuf_refer_element(&making->flatbuf, at, 0, add_named(making, "item", &int32_type, 0, NULL));
}

static void nesting_is_limited(void **state) {
  (void)state;
  struct making deep = {0};
  begin(&deep, 0, 1);
  make_nested(&deep, 60);
  assert_int_equal(decode(&deep, NULL), STATUS_OK);
  struct making deeper = {0};
  begin(&deeper, 0, 1);
  make_nested(&deeper, 20000);
  expect(&deeper, STATUS_TOO_LARGE, "nested deeper than 64");
}

static void the_number_of_fields_is_limited(void **state) {
  (void)state;
  enum { COUNT = 100001 };
  struct making making = {0};
  begin(&making, 0, COUNT);
  int64_t field = add_named(&making, "x", &int32_type, 0, NULL);
  for (int64_t i = 0; i < COUNT; i++)
    flatbuf_refer_element(&making.flatbuf, making.fields, i, field);
  expect(&making, STATUS_TOO_LARGE, "100000 fields");
}

/* Each struct has the next one as both of its children: 2^40 fields in 40 tables. */
static void fields_that_are_shared_count_each_time(void **state) {
  (void)state;
  static const struct made_type structure = {TYPE_STRUCT, {0}, {0}};
  struct making making = {0};
  begin(&making, 0, 1);
  int64_t at = making.fields;
  int64_t count = 1;
  for (int i = 0; i < 40; i++) {
    int64_t children = 0;
    int64_t field = add_named(&making, "s", &structure, 2, &children);
    for (int64_t k = 0; k < count; k++) flatbuf_refer_element(&making.flatbuf, at, k, field);
    at = children;
    count = 2;
  }
  int64_t leaf = add_named(&making, "x", &int32_type, 0, NULL);
  for (int64_t k = 0; k < count; k++) flatbuf_refer_element(&making.flatbuf, at, k, leaf);
  expect(&making, STATUS_TOO_LARGE, "more than");
}

/* ---- strings that are shared ------------------------------------------------------------------ */

static char *letters(size_t bytes) {
  char *text = malloc(bytes);
  assert_non_null(text);
  memset(text, 'n', bytes);
  return text;
}

static void a_long_name_that_many_fields_share_is_refused(void **state) {
  (void)state;
  enum { COUNT = 50000, NAME_BYTES = 1 << 20 }; /* 50 GB, written out */
  struct making making = {0};
  char *name = letters(NAME_BYTES);
  begin(&making, 0, COUNT);
  int64_t field = add_field(&making, name, NAME_BYTES, &int32_type, 0, NULL);
  for (int64_t i = 0; i < COUNT; i++)
    flatbuf_refer_element(&making.flatbuf, making.fields, i, field);
  free(name);
  expect(&making, STATUS_TOO_LARGE, "names and custom metadata");
}

static void a_long_value_that_many_keys_share_is_refused(void **state) {
  (void)state;
  enum { COUNT = 50000, VALUE_BYTES = 1 << 20 };
  static const uint8_t pair_sizes[] = {4, 4};
  struct making making = {0};
  char *value = letters(VALUE_BYTES);
  begin(&making, 0, 0);
  struct flatbuf *flatbuf = &making.flatbuf;
  int64_t pairs = flatbuf_vector(flatbuf, COUNT, 4, 4);
  flatbuf_refer(flatbuf, making.schema, SCHEMA_METADATA, pairs);
  int64_t pair = flatbuf_table(flatbuf, pair_sizes, 2);
  flatbuf_refer(flatbuf, pair, 0, flatbuf_string(flatbuf, "k", 1));
  flatbuf_refer(flatbuf, pair, 1, flatbuf_string(flatbuf, value, VALUE_BYTES));
  for (int64_t i = 0; i < COUNT; i++) flatbuf_refer_element(flatbuf, pairs, i, pair);
  free(value);
  expect(&making, STATUS_TOO_LARGE, "names and custom metadata");
}

/* ---- dictionaries ------------------------------------------------------------------------------ */

/* A field whose values, of `type`, are in the dictionary `id`. */
static int64_t add_encoded(struct making *making, const struct made_type *type, int64_t id) {
  static const uint8_t sizes[] = {4, 1, 1, 4, 4, 0, 0};
  static const uint8_t encoding_sizes[] = {8, 0, 0};
  struct flatbuf *flatbuf = &making->flatbuf;
  int64_t field = flatbuf_table(flatbuf, sizes, 7);
  flatbuf_set(flatbuf, field, TYPE_TYPE, type->number, 1);
  flatbuf_refer(flatbuf, field, NAME, flatbuf_string(flatbuf, "code", 4));
  int64_t table = flatbuf_table(flatbuf, type->sizes, 3);
  for (int i = 0; i < 3; i++)
    if (type->sizes[i] > 0) flatbuf_set(flatbuf, table, i, type->values[i], type->sizes[i]);
  flatbuf_refer(flatbuf, field, TYPE, table);
  int64_t encoding = flatbuf_table(flatbuf, encoding_sizes, 3);
  flatbuf_set(flatbuf, encoding, 0, id, 8);
  flatbuf_refer(flatbuf, field, DICTIONARY, encoding);
  return field;
}

static void as_many_dictionaries_as_fields_are_taken_quickly(void **state) {
  (void)state;
  enum { COUNT = 40000 };
  static const struct made_type utf8 = {TYPE_UTF8, {0}, {0}};
  struct making making = {0};
  begin(&making, 0, COUNT);
  for (int64_t i = 0; i < COUNT; i++)
    flatbuf_refer_element(&making.flatbuf, making.fields, i,
                          add_encoded(&making, &utf8, i * 7919 % 65537 - 30000));
  expect(&making, STATUS_OK, "");
}

static void fields_that_share_a_dictionary_must_have_values_of_one_type(void **state) {
  (void)state;
  static const struct made_type utf8 = {TYPE_UTF8, {0}, {0}};
  struct making same = {0};
  begin(&same, 0, 2);
  for (int64_t i = 0; i < 2; i++)
    flatbuf_refer_element(&same.flatbuf, same.fields, i, add_encoded(&same, &utf8, 5));
  assert_int_equal(decode(&same, NULL), STATUS_OK);
  struct making other = {0};
  begin(&other, 0, 2);
  flatbuf_refer_element(&other.flatbuf, other.fields, 0, add_encoded(&other, &utf8, 5));
  flatbuf_refer_element(&other.flatbuf, other.fields, 1, add_encoded(&other, &int32_type, 5));
  expect(&other, STATUS_INVALID, "shares dictionary 5");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_type_that_cannot_be_is_refused),
      cmocka_unit_test(a_byte_order_is_one_of_two),
      cmocka_unit_test(a_union_has_a_type_id_for_each_member),
      cmocka_unit_test(a_map_needs_entries_of_two),
      cmocka_unit_test(a_name_is_utf8_without_nul),
      cmocka_unit_test(nesting_is_limited),
      cmocka_unit_test(the_number_of_fields_is_limited),
      cmocka_unit_test(fields_that_are_shared_count_each_time),
      cmocka_unit_test(a_long_name_that_many_fields_share_is_refused),
      cmocka_unit_test(a_long_value_that_many_keys_share_is_refused),
      cmocka_unit_test(as_many_dictionaries_as_fields_are_taken_quickly),
      cmocka_unit_test(fields_that_share_a_dictionary_must_have_values_of_one_type),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
