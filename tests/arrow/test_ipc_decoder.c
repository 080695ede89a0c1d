/* Record batches and dictionaries that say what is not so: each is refused with column
 * and reason. And how long what is decoded lives. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arrow/array_walk.h"
#include "arrow/build.h"
#include "arrow/flatbuf_write.h"
#include "arrow/ipc.h"
#include "arrow/messages.h"

static struct ipc_decoder *new_decoder(const struct ipc_limits *limits, struct budget *from) {
  struct ipc_limits usual = IPC_LIMITS_DEFAULT;
  struct ipc_decoder *decoder = NULL;
  assert_int_equal(ipc_decoder_new(limits == NULL ? &usual : limits, from, &decoder, NULL),
                   STATUS_OK);
  return decoder;
}

/* Decodes messages until one fails; a batch that comes of it is released, or kept when
 * `kept` is given. */
static enum status decode_all(struct ipc_decoder *decoder, struct messages *messages,
                              struct ArrowArray *kept, struct error *error) {
  enum status status = STATUS_OK;
  for (int i = 0; i < messages->count && status == STATUS_OK; i++) {
    struct ArrowArray batch = {.release = NULL};
    enum ipc_event event;
    status = ipc_decoder_decode(decoder, &messages->list[i], &event, &batch, error);
    if (batch.release == NULL) continue;
    assert_null(array_walk(ipc_decoder_schema(decoder), &batch, NULL));
    if (kept != NULL)
      arrow_array_move(&batch, kept++);
    else
      arrow_array_release(&batch);
  }
  return status;
}

/* Decodes and lets go of the messages, in new memory. */
static enum status decode_and_release(struct messages *messages, struct error *error) {
  struct ipc_decoder *decoder = new_decoder(NULL, &messages_budget);
  enum status status = decode_all(decoder, messages, NULL, error);
  ipc_decoder_free(decoder);
  release_messages(messages);
  assert_int_equal(messages_budget.used_bytes, 0);
  return status;
}

static void expect_refusal(struct messages *messages, const char *said) {
  struct error error = {0};
  assert_int_equal(decode_and_release(messages, &error), STATUS_INVALID);
  if (strstr(error.text, said) == NULL) fail_msg("\"%s\" does not say \"%s\"", error.text, said);
}

/* ---- values ------------------------------------------------------------------------------- */

static void text_that_is_not_utf8_is_refused_with_column_and_row(void **state) {
  (void)state;
  static const char *const broken[] = {"\xFF",         "caf\xE9",          "\xC0\x80",
                                       "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82"};
  static const char *const formats[] = {"u", "U", "vu"};
  for (size_t f = 0; f < 3; f++) {
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
      const char *words[] = {"fine", NULL, broken[i], "fine"};
      struct ArrowSchema schema = one_column(formats[f]);
      struct ArrowArray batch = texts(&schema, words, 4);
      struct messages messages = write_messages(&schema, &batch, 1, IPC_COMPRESSION_NONE);
      arrow_schema_release(&schema);
      struct error error = {0};
      assert_int_equal(decode_and_release(&messages, &error), STATUS_INVALID);
      assert_non_null(strstr(error.text, "'speed'"));
      assert_non_null(strstr(error.text, "row 2"));
    }
  }
}

/* The last bytes of one value and the first of the next are not one character. */
static void a_character_does_not_reach_from_one_text_into_the_next(void **state) {
  (void)state;
  const char *words[] = {"\xE2\x82", "\xAC"};
  struct ArrowSchema schema = one_column("u");
  struct ArrowArray batch = texts(&schema, words, 2);
  struct messages messages = write_messages(&schema, &batch, 1, IPC_COMPRESSION_NONE);
  arrow_schema_release(&schema);
  expect_refusal(&messages, "row 0");
}

static void binary_may_hold_anything(void **state) {
  (void)state;
  const char *words[] = {"\xFF\xFE", NULL, "\x80"};
  struct ArrowSchema schema = one_column("z");
  struct ArrowArray batch = texts(&schema, words, 3);
  struct messages messages = write_messages(&schema, &batch, 1, IPC_COMPRESSION_NONE);
  arrow_schema_release(&schema);
  assert_int_equal(decode_and_release(&messages, NULL), STATUS_OK);
}

static void offsets_that_fall_or_leave_the_data_are_refused(void **state) {
  (void)state;
  static const int32_t before[] = {0, 2, 4, 6};
  static const struct {
    int index;
    int32_t value;
    const char *said;
  } cases[] = {
      {0, -1, "-1"},          {1, 5, "fall at row 1"},       {2, 1, "fall at row 1"},
      {1, -1, "fall at row"}, {2, INT32_MAX, "fall at row"}, {3, 65, "past the"},
      {3, INT32_MAX, "past"}, {3, INT32_MIN, "fall at row"}, {0, 3, "fall at row 0"},
  };
  const char *words[] = {"ab", "cd", "ef"};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema schema = one_column("u");
    struct ArrowArray batch = texts(&schema, words, 3);
    struct messages messages = write_messages(&schema, &batch, 1, IPC_COMPRESSION_NONE);
    arrow_schema_release(&schema);
    uint8_t *at = find_in(&messages.list[1].body, before, sizeof before);
    memcpy(at + (ptrdiff_t)4 * cases[i].index, &cases[i].value, sizeof cases[i].value);
    expect_refusal(&messages, cases[i].said);
  }
}

static void an_index_outside_its_dictionary_is_refused(void **state) {
  (void)state;
  static const int cases[] = {2, 127, -1, -128};
  const char *values[] = {"red", "blue"};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int indices[] = {0, 1, 1};
    struct ArrowSchema schema = one_dictionary();
    struct ArrowArray batch = looked_up(&schema, values, 2, indices, 3);
    struct messages messages = write_messages(&schema, &batch, 1, IPC_COMPRESSION_NONE);
    arrow_schema_release(&schema);
    messages.list[2].body.data[1] = (uint8_t)cases[i];
    expect_refusal(&messages, "index in row 1");
  }
}

static void a_view_that_points_outside_or_begins_otherwise_is_refused(void **state) {
  (void)state;
  static const struct {
    int word; /* of the view: length, prefix, data buffer, offset */
    int32_t value;
    enum status status;
  } cases[] = {
      {0, 21, STATUS_OK},
      {0, 13, STATUS_OK},
      {0, 22, STATUS_INVALID},
      {0, -1, STATUS_INVALID},
      {0, INT32_MAX, STATUS_INVALID},
      {0, INT32_MIN, STATUS_INVALID},
      {1, 0x20656E00, STATUS_INVALID},
      {2, 1, STATUS_INVALID},
      {2, -1, STATUS_INVALID},
      {2, INT32_MAX, STATUS_INVALID},
      {3, 1, STATUS_INVALID},
      {3, -1, STATUS_INVALID},
      {3, INT32_MAX, STATUS_INVALID},
      {3, INT32_MIN, STATUS_INVALID},
  };
  const char *words[] = {"short", "one that does not fit"};
  const int32_t long_bytes = (int32_t)strlen(words[1]);
  uint8_t head[8]; /* of its view: length and prefix */
  memcpy(head, &long_bytes, sizeof long_bytes);
  memcpy(head + 4, words[1], 4);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema schema = one_column("vu");
    struct ArrowArray batch = texts(&schema, words, 2);
    struct messages messages = write_messages(&schema, &batch, 1, IPC_COMPRESSION_NONE);
    arrow_schema_release(&schema);
    uint8_t *view = find_in(&messages.list[1].body, head, sizeof head);
    memcpy(view + (ptrdiff_t)4 * cases[i].word, &cases[i].value, sizeof cases[i].value);
    if (cases[i].status == STATUS_OK)
      assert_int_equal(decode_and_release(&messages, NULL), STATUS_OK);
    else
      expect_refusal(&messages, "view in row 1");
  }
}

/* One slot of a map from text to a number; the key is null when it is NULL. */
static struct messages one_map(const char *key) {
  struct ArrowSchema schema = {.release = NULL};
  assert_int_equal(arrow_schema_init(&schema, "+s", "", false, 1, NULL), STATUS_OK);
  struct ArrowSchema *map = schema.children[0];
  assert_int_equal(arrow_schema_init(map, "+m", "speed", true, 1, NULL), STATUS_OK);
  struct ArrowSchema *entries = map->children[0];
  assert_int_equal(arrow_schema_init(entries, "+s", "entries", false, 2, NULL), STATUS_OK);
  assert_int_equal(arrow_schema_init(entries->children[0], "u", "key", false, 0, NULL), STATUS_OK);
  assert_int_equal(arrow_schema_init(entries->children[1], "i", "value", true, 0, NULL), STATUS_OK);
  struct build *build = new_build(&schema);
  struct build *map_build = build_child(build, 0);
  struct build *entry = build_child(map_build, 0);
  struct build *keys = build_child(entry, 0);
  assert_int_equal(key == NULL ? build_null(keys, NULL)
                               : build_bytes(keys, key, (int64_t)strlen(key), NULL),
                   STATUS_OK);
  assert_int_equal(build_null(build_child(entry, 1), NULL), STATUS_OK);
  assert_int_equal(build_slot(entry, NULL), STATUS_OK);
  assert_int_equal(build_slot(map_build, NULL), STATUS_OK);
  end_row(build);
  struct ArrowArray batch = finish_batch(build);
  struct messages messages = write_messages(&schema, &batch, 1, IPC_COMPRESSION_NONE);
  arrow_schema_release(&schema);
  return messages;
}

static void a_map_has_no_null_keys(void **state) {
  (void)state;
  struct messages fine = one_map("fast");
  assert_int_equal(decode_and_release(&fine, NULL), STATUS_OK);
  struct messages broken = one_map(NULL);
  expect_refusal(&broken, "null keys");
}

/* ---- counts --------------------------------------------------------------------------------- */

static void lengths_and_counts_of_nulls_that_are_not_so_are_refused(void **state) {
  (void)state;
  static const struct {
    int64_t node[2]; /* length, nulls: 770 and 77 in truth */
  } cases[] = {
      {{770, 76}},
      {{770, 78}},
      {{770, 0}},
      {{770, 771}},
      {{770, -1}},
      {{769, 77}},
      {{771, 77}},
      {{0, 0}},
      {{-1, 0}},
      {{INT64_MAX, 77}},
      {{INT64_MIN, 77}},
      {{(int64_t)1 << 62, 77}},
      {{(int64_t)1 << 32, 77}},
  };
  static const int64_t before[] = {770, 77};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema schema = one_column("i");
    struct ArrowArray batch = numbers(&schema, 770);
    struct messages messages = write_messages(&schema, &batch, 1, IPC_COMPRESSION_NONE);
    arrow_schema_release(&schema);
    memcpy(find_in(&messages.list[1].metadata, before, sizeof before), cases[i].node,
           sizeof cases[i].node);
    expect_refusal(&messages, "'speed'");
  }
}

/* Rows of null take no bytes: a peer could have any number of them for nothing. */
static void more_rows_than_arrow_recommends_are_refused(void **state) {
  (void)state;
  enum { ROWS = 770 };
  static const int64_t rows[] = {INT32_MAX, (int64_t)INT32_MAX + 1};
  for (size_t i = 0; i < 2; i++) {
    struct ArrowSchema schema = one_column("n");
    struct build *build = new_build(&schema);
    for (int k = 0; k < ROWS; k++) {
      assert_int_equal(build_null(build_child(build, 0), NULL), STATUS_OK);
      end_row(build);
    }
    struct ArrowArray batch = finish_batch(build);
    struct messages messages = write_messages(&schema, &batch, 1, IPC_COMPRESSION_NONE);
    arrow_schema_release(&schema);
    struct buffer *metadata = &messages.list[1].metadata;
    int replaced = 0; /* in the batch, and as length and nulls in its node */
    for (int64_t at = 0; at + 8 <= metadata->size_bytes; at += 4) {
      int64_t word;
      memcpy(&word, metadata->data + at, sizeof word);
      if (word != ROWS) continue;
      memcpy(metadata->data + at, &rows[i], sizeof rows[i]);
      replaced++;
    }
    assert_int_equal(replaced, 3);
    if (i == 0)
      assert_int_equal(decode_and_release(&messages, NULL), STATUS_OK);
    else
      expect_refusal(&messages, "rows");
  }
}

static void a_body_that_is_shorter_than_its_message_says_is_refused(void **state) {
  (void)state;
  struct ArrowSchema schema = one_column("i");
  struct ArrowArray batch = numbers(&schema, 100);
  struct messages messages = write_messages(&schema, &batch, 1, IPC_COMPRESSION_NONE);
  arrow_schema_release(&schema);
  messages.list[1].body.size_bytes--; /* padding only */
  expect_refusal(&messages, "its body has");
}

static void a_dictionary_has_as_many_values_as_its_batch_says(void **state) {
  (void)state;
  enum { VALUES = 100 };
  static const int64_t before[] = {VALUES, 0};
  static const int64_t after[] = {VALUES - 1, 0};
  const char *values[VALUES];
  int indices[] = {0};
  for (int i = 0; i < VALUES; i++) values[i] = "colour";
  struct ArrowSchema schema = one_dictionary();
  struct ArrowArray batch = looked_up(&schema, values, VALUES, indices, 1);
  struct messages messages = write_messages(&schema, &batch, 1, IPC_COMPRESSION_NONE);
  arrow_schema_release(&schema);
  memcpy(find_in(&messages.list[1].metadata, before, sizeof before), after, sizeof after);
  expect_refusal(&messages, "not as many");
}

static void a_buffer_that_is_too_small_or_elsewhere_is_refused(void **state) {
  (void)state;
  enum { ROWS = 770, VALUES_BYTES = 4 * ROWS, BITMAP_BYTES = 97, VALUES_OFFSET = 128 };
  static const struct {
    int64_t buffer[2]; /* offset, length */
  } cases[] = {
      {{VALUES_OFFSET, VALUES_BYTES - 1}},
      {{VALUES_OFFSET, 0}},
      {{VALUES_OFFSET, -1}},
      {{-8, VALUES_BYTES}},
      {{VALUES_OFFSET, INT64_MAX}},
      {{INT64_MAX, VALUES_BYTES}},
      {{INT64_MAX - 8, 16}},
      {{1 << 20, VALUES_BYTES}},
  };
  static const int64_t before[] = {VALUES_OFFSET, VALUES_BYTES};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema schema = one_column("i");
    struct ArrowArray batch = numbers(&schema, ROWS);
    struct messages messages = write_messages(&schema, &batch, 1, IPC_COMPRESSION_NONE);
    arrow_schema_release(&schema);
    memcpy(find_in(&messages.list[1].metadata, before, sizeof before), cases[i].buffer,
           sizeof cases[i].buffer);
    expect_refusal(&messages, "'speed'");
  }
}

/* Batches of no rows, so that only the counts can tell. */
static void a_batch_has_exactly_the_nodes_and_buffers_of_its_schema(void **state) {
  (void)state;
  enum { SCHEMA_COUNT = 3 };
  struct ArrowSchema schemas[SCHEMA_COUNT] = {one_column("i"), one_column("u"), one_column("n")};
  for (int of = 0; of < SCHEMA_COUNT; of++) {
    for (int batch_of = 0; batch_of < SCHEMA_COUNT; batch_of++) {
      struct ArrowArray batch = finish_batch(new_build(&schemas[batch_of]));
      struct messages schema = write_messages(&schemas[of], NULL, 0, IPC_COMPRESSION_NONE);
      struct messages other = write_messages(&schemas[batch_of], &batch, 1, IPC_COMPRESSION_NONE);
      struct messages mixed = {.list = {schema.list[0], other.list[1]}, .count = 2};
      ipc_message_release(&other.list[0]);
      if (of == batch_of)
        assert_int_equal(decode_and_release(&mixed, NULL), STATUS_OK);
      else
        expect_refusal(&mixed, "schema needs");
    }
  }
  for (int i = 0; i < SCHEMA_COUNT; i++) arrow_schema_release(&schemas[i]);
}

/* ---- the order of messages -------------------------------------------------------------------- */

static struct messages number_messages(void) {
  struct ArrowSchema schema = one_column("i");
  struct ArrowArray batch = numbers(&schema, 100);
  struct messages messages = write_messages(&schema, &batch, 1, IPC_COMPRESSION_NONE);
  arrow_schema_release(&schema);
  return messages;
}

static void a_stream_begins_with_its_schema_and_has_one(void **state) {
  (void)state;
  struct messages messages = number_messages();
  struct messages swapped = {.list = {messages.list[1], messages.list[0]}, .count = 2};
  expect_refusal(&swapped, "does not begin with a schema");
  struct messages first = number_messages();
  struct messages second = number_messages();
  struct messages twice = {.list = {first.list[0], second.list[0]}, .count = 2};
  ipc_message_release(&first.list[1]);
  ipc_message_release(&second.list[1]);
  expect_refusal(&twice, "second schema");
}

static void indices_need_their_dictionary_unless_all_are_null(void **state) {
  (void)state;
  const char *values[] = {"red"};
  int indices[] = {0, 0};
  struct ArrowSchema schema = one_dictionary();
  struct ArrowArray batch = looked_up(&schema, values, 1, indices, 2);
  struct messages messages = write_messages(&schema, &batch, 1, IPC_COMPRESSION_NONE);
  assert_int_equal(messages.count, 3);
  ipc_message_release(&messages.list[1]);
  messages.list[1] = messages.list[2];
  messages.count = 2;
  expect_refusal(&messages, "has not come");

  struct build *build = new_build(&schema);
  assert_int_equal(build_null(build_child(build, 0), NULL), STATUS_OK);
  end_row(build);
  batch = finish_batch(build);
  messages = write_messages(&schema, &batch, 1, IPC_COMPRESSION_NONE);
  assert_int_equal(messages.count, 3);
  ipc_message_release(&messages.list[1]);
  messages.list[1] = messages.list[2];
  messages.count = 2;
  assert_int_equal(decode_and_release(&messages, NULL), STATUS_OK);
  arrow_schema_release(&schema);
}

/* A message whose header is empty, or a dictionary batch that says what is given. */
static struct ipc_message bare_message(int version, int header_type, int64_t dictionary_id,
                                       bool is_delta) {
  static const uint8_t message_sizes[] = {2, 1, 4, 8};
  static const uint8_t dictionary_sizes[] = {8, 4, 1};
  static const uint8_t batch_sizes[] = {8};
  struct flatbuf flatbuf = {.bytes = BUFFER_EMPTY};
  flatbuf_begin(&flatbuf, &messages_budget);
  int64_t message = flatbuf_table(&flatbuf, message_sizes, 4);
  flatbuf_set(&flatbuf, message, 0, version, 2);
  flatbuf_set(&flatbuf, message, 1, header_type, 1);
  int64_t header = flatbuf_table(&flatbuf, dictionary_sizes, 3);
  flatbuf_refer(&flatbuf, message, 2, header);
  flatbuf_set(&flatbuf, header, 0, dictionary_id, 8);
  flatbuf_set(&flatbuf, header, 2, is_delta, 1);
  flatbuf_refer(&flatbuf, header, 1, flatbuf_table(&flatbuf, batch_sizes, 1));
  assert_int_equal(flatbuf_status(&flatbuf, NULL), STATUS_OK);
  return (struct ipc_message){.metadata = flatbuf.bytes};
}

static void messages_of_other_kinds_and_versions_are_refused_by_name(void **state) {
  (void)state;
  enum { V3 = 2, V5 = 4, V6 = 5, DICTIONARY = 2, TENSOR = 4, SPARSE_TENSOR = 5 };
  static const struct {
    int version;
    int header_type;
    enum status status;
    const char *said;
  } cases[] = {
      {V5, TENSOR, STATUS_UNSUPPORTED, "tensor"},
      {V5, SPARSE_TENSOR, STATUS_UNSUPPORTED, "tensor"},
      {V3, DICTIONARY, STATUS_UNSUPPORTED, "V3"},
      {V6, DICTIONARY, STATUS_UNSUPPORTED, "V6"},
      {V5, 77, STATUS_INVALID, "77"},
      {V5, 0, STATUS_INVALID, "0"},
      {V5, DICTIONARY, STATUS_INVALID, "no field of the schema has the dictionary 3"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    struct messages messages = number_messages();
    ipc_message_release(&messages.list[1]);
    messages.list[1] = bare_message(cases[i].version, cases[i].header_type, 3, false);
    assert_int_equal(decode_and_release(&messages, &error), cases[i].status);
    if (strstr(error.text, cases[i].said) == NULL)
      fail_msg("\"%s\" does not say \"%s\"", error.text, cases[i].said);
  }
}

/* ---- dictionaries ------------------------------------------------------------------------------- */

/* Where a field of the table at `table` lies, or what it refers to. */
static int64_t old_field(const uint8_t *bytes, int64_t table, int field) {
  int32_t back;
  uint16_t offset;
  memcpy(&back, bytes + table, sizeof back);
  memcpy(&offset, bytes + table - back + 4 + 2 * field, sizeof offset);
  assert_true(offset > 0);
  return table + offset;
}

static int64_t old_target(const uint8_t *bytes, int64_t table, int field) {
  uint32_t offset;
  int64_t at = old_field(bytes, table, field);
  memcpy(&offset, bytes + at, sizeof offset);
  return at + offset;
}

static int64_t old_dictionary_id(const uint8_t *bytes, int64_t root) {
  int64_t id;
  memcpy(&id, bytes + old_field(bytes, old_target(bytes, root, 2), 0), sizeof id);
  return id;
}

static int64_t old_record_batch(const uint8_t *bytes, int64_t root) {
  return old_target(bytes, old_target(bytes, root, 2), 1);
}

/* A dictionary's message that says it is a delta to what has come. */
static struct ipc_message as_delta(const struct ipc_message *message) {
  static const uint8_t message_sizes[] = {2, 1, 4, 8};
  static const uint8_t dictionary_sizes[] = {8, 4, 1};
  enum { V5 = 4, DICTIONARY = 2 };
  struct flatbuf flatbuf = {.bytes = BUFFER_EMPTY};
  const uint8_t *old = message->metadata.data;
  int32_t root;
  memcpy(&root, old, sizeof root);
  flatbuf_begin(&flatbuf, &messages_budget);
  int64_t made = flatbuf_table(&flatbuf, message_sizes, 4);
  flatbuf_set(&flatbuf, made, 0, V5, 2);
  flatbuf_set(&flatbuf, made, 1, DICTIONARY, 1);
  flatbuf_set(&flatbuf, made, 3, message->body.size_bytes, 8);
  int64_t header = flatbuf_table(&flatbuf, dictionary_sizes, 3);
  flatbuf_refer(&flatbuf, made, 2, header);
  flatbuf_set(&flatbuf, header, 2, 1, 1);
  /* The whole old message lies behind; its record batch is referred to from the new one. */
  int64_t behind = (flatbuf.bytes.size_bytes + 63) / 64 * 64;
  static const uint8_t zeros[64];
  assert_int_equal(buffer_append(&flatbuf.bytes, &messages_budget, zeros,
                                 behind - flatbuf.bytes.size_bytes, NULL),
                   STATUS_OK);
  assert_int_equal(
      buffer_append(&flatbuf.bytes, &messages_budget, old, message->metadata.size_bytes, NULL),
      STATUS_OK);
  flatbuf_set(&flatbuf, header, 0, old_dictionary_id(old, root), 8);
  flatbuf_refer(&flatbuf, header, 1, behind + old_record_batch(old, root));
  assert_int_equal(flatbuf_status(&flatbuf, NULL), STATUS_OK);
  return (struct ipc_message){.metadata = flatbuf.bytes, .body = buffer_share(&message->body)};
}

static const char *looked_up_text(const struct ArrowArray *batch, int64_t row) {
  static char text[32];
  const struct ArrowArray *column = batch->children[0];
  const struct ArrowArray *values = column->dictionary;
  int index = ((const int8_t *)column->buffers[1])[row];
  const int32_t *offsets = values->buffers[1];
  int32_t bytes = offsets[index + 1] - offsets[index];
  assert_true(bytes < (int32_t)sizeof text);
  memcpy(text, (const char *)values->buffers[2] + offsets[index], (size_t)bytes);
  text[bytes] = '\0';
  return text;
}

static void a_batch_keeps_the_dictionary_that_was_in_force(void **state) {
  (void)state;
  const char *warm[] = {"red", "orange"};
  const char *cold[] = {"blue", "green"};
  int indices[] = {1, 0};
  struct ArrowSchema schema = one_dictionary();
  struct ArrowArray batches[] = {looked_up(&schema, warm, 2, indices, 2),
                                 looked_up(&schema, cold, 2, indices, 2)};
  struct messages messages = write_messages(&schema, batches, 2, IPC_COMPRESSION_NONE);
  struct ArrowArray kept[2] = {{.release = NULL}, {.release = NULL}};
  struct ipc_decoder *decoder = new_decoder(NULL, &messages_budget);
  assert_int_equal(messages.count, 5);
  assert_int_equal(decode_all(decoder, &messages, kept, NULL), STATUS_OK);
  ipc_decoder_free(decoder);
  assert_string_equal(looked_up_text(&kept[0], 0), "orange");
  assert_string_equal(looked_up_text(&kept[1], 0), "green");
  assert_string_equal(looked_up_text(&kept[0], 1), "red");
  for (int i = 0; i < 2; i++) arrow_array_release(&kept[i]);
  release_messages(&messages);
  arrow_schema_release(&schema);
  assert_int_equal(messages_budget.used_bytes, 0);
}

static void a_delta_without_what_it_adds_to_is_refused(void **state) {
  (void)state;
  const char *values[] = {"red"};
  int indices[] = {0};
  struct ArrowSchema schema = one_dictionary();
  struct ArrowArray batch = looked_up(&schema, values, 1, indices, 1);
  struct messages messages = write_messages(&schema, &batch, 1, IPC_COMPRESSION_NONE);
  arrow_schema_release(&schema);
  struct error error = {0};
  struct ipc_message *dictionary = &messages.list[1];
  struct ipc_decoder *decoder = new_decoder(NULL, &messages_budget);
  struct messages only_schema = {.list = {messages.list[0]}, .count = 1};
  messages.list[0] = (struct ipc_message){.offset_bytes = 0};
  assert_int_equal(decode_all(decoder, &only_schema, NULL, NULL), STATUS_OK);
  struct ipc_message delta = as_delta(dictionary);
  struct ArrowArray none;
  enum ipc_event event;
  assert_int_equal(ipc_decoder_decode(decoder, &delta, &event, &none, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "before it has come"));
  ipc_message_release(&delta);
  ipc_decoder_free(decoder);
  release_messages(&messages);
  assert_int_equal(messages_budget.used_bytes, 0);
}

/* Indices reach what deltas brought; batches that came before keep what they had. */
static void deltas_add_to_a_dictionary(void **state) {
  (void)state;
  enum { DELTAS = 5 };
  const char *values[] = {"red", "blue"};
  int indices[] = {0, 1};
  struct ArrowSchema schema = one_dictionary();
  struct ArrowArray batch = looked_up(&schema, values, 2, indices, 2);
  struct messages messages = write_messages(&schema, &batch, 1, IPC_COMPRESSION_NONE);
  arrow_schema_release(&schema);
  struct ipc_message again = {.metadata = buffer_share(&messages.list[2].metadata),
                              .body = buffer_share(&messages.list[2].body)};
  struct ipc_message deltas[DELTAS];
  for (int i = 0; i < DELTAS; i++) deltas[i] = as_delta(&messages.list[1]);
  struct ipc_decoder *decoder = new_decoder(NULL, &messages_budget);
  struct ArrowArray first = {.release = NULL};
  struct ArrowArray second = {.release = NULL};
  enum ipc_event event;
  assert_int_equal(decode_all(decoder, &messages, &first, NULL), STATUS_OK);
  for (int i = 0; i < DELTAS; i++) {
    struct ArrowArray none;
    assert_int_equal(ipc_decoder_decode(decoder, &deltas[i], &event, &none, NULL), STATUS_OK);
    assert_int_equal(event, IPC_EVENT_DICTIONARY);
  }
  assert_int_equal(ipc_decoder_decode(decoder, &again, &event, &second, NULL), STATUS_OK);
  assert_int_equal(first.children[0]->dictionary->length, 2);
  assert_int_equal(second.children[0]->dictionary->length, 2 + 2 * DELTAS);
  const struct ArrowArray *grown = second.children[0]->dictionary;
  const int32_t *offsets = grown->buffers[1];
  for (int i = 0; i < grown->length; i++) {
    const char *want = values[i % 2];
    assert_int_equal(offsets[i + 1] - offsets[i], (int)strlen(want));
    assert_memory_equal((const char *)grown->buffers[2] + offsets[i], want, strlen(want));
  }
  assert_string_equal(looked_up_text(&second, 1), "blue");
  ipc_decoder_free(decoder);
  assert_string_equal(looked_up_text(&first, 1), "blue");
  arrow_array_release(&first);
  arrow_array_release(&second);
  release_messages(&messages);
  assert_int_equal(messages_budget.used_bytes, 0);
}

/* ---- compression --------------------------------------------------------------------------------- */

static struct messages compressed(enum ipc_compression compression, int64_t rows) {
  struct ArrowSchema schema = one_column("l");
  struct build *build = new_build(&schema);
  for (int64_t i = 0; i < rows; i++) {
    assert_int_equal(build_integer(build_child(build, 0), 7, NULL), STATUS_OK);
    end_row(build);
  }
  struct ArrowArray batch = finish_batch(build);
  struct messages messages = write_messages(&schema, &batch, 1, compression);
  arrow_schema_release(&schema);
  return messages;
}

static const enum ipc_compression compressions[] = {IPC_COMPRESSION_ZSTD, IPC_COMPRESSION_LZ4};

static void a_buffer_that_expands_to_another_size_than_it_says_is_refused(void **state) {
  (void)state;
  enum { ROWS = 1000, BYTES = 8 * ROWS };
  static const struct {
    int64_t says;
    enum status status;
    const char *said;
  } cases[] = {
      {BYTES, STATUS_OK, ""},
      {BYTES - 1, STATUS_INVALID, "compressed buffer"},
      {BYTES + 1, STATUS_INVALID, "compressed buffer"},
      {0, STATUS_INVALID, "slots need"},
      {1, STATUS_INVALID, "compressed buffer"},
      {-1, STATUS_INVALID, "slots need"},
      {-2, STATUS_INVALID, "-2"},
      {INT64_MIN, STATUS_INVALID, "compressed buffer"},
      {(int64_t)1 << 30, STATUS_INVALID, "compressed buffer"},
      {(int64_t)1 << 62, STATUS_TOO_LARGE, "smaller batches"},
      {INT64_MAX, STATUS_TOO_LARGE, "smaller batches"},
  };
  static const int64_t before = BYTES;
  for (size_t c = 0; c < 2; c++) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
      struct messages messages = compressed(compressions[c], ROWS);
      struct error error = {0};
      memcpy(find_in(&messages.list[1].body, &before, sizeof before), &cases[i].says,
             sizeof cases[i].says);
      assert_int_equal(decode_and_release(&messages, &error), cases[i].status);
      if (strstr(error.text, cases[i].said) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.text, cases[i].said);
    }
  }
}

static void a_compressed_buffer_without_room_for_its_length_is_refused(void **state) {
  (void)state;
  enum { ROWS = 1000 };
  static const int64_t node[] = {ROWS, 0};
  for (size_t c = 0; c < 2; c++) {
    struct messages messages = compressed(compressions[c], ROWS);
    struct buffer *metadata = &messages.list[1].metadata;
    const uint8_t *frame = find_in(&messages.list[1].body, &(int64_t){8 * ROWS}, 8);
    int64_t offset = frame - messages.list[1].body.data;
    bool found = false;
    for (int64_t at = 0; at + 16 <= metadata->size_bytes; at += 4) {
      int64_t buffer[2];
      memcpy(buffer, metadata->data + at, sizeof buffer);
      if (memcmp(buffer, node, sizeof node) == 0 || buffer[0] != offset || buffer[1] < 20 ||
          buffer[1] > 8 * ROWS)
        continue;
      buffer[1] = 7;
      memcpy(metadata->data + at, buffer, sizeof buffer);
      found = true;
    }
    assert_true(found);
    expect_refusal(&messages, "no length");
  }
}

/* 1 GiB is announced and a few bytes come: the announcement alone takes no memory. */
static void a_lie_about_the_expanded_size_takes_little_memory(void **state) {
  (void)state;
  enum { ROWS = 1000 };
  static const int64_t before = 8 * ROWS;
  static const int64_t lie = (int64_t)1 << 30;
  for (size_t c = 0; c < 2; c++) {
    struct budget small = {.limit_bytes = 4 << 20};
    struct messages messages = compressed(compressions[c], ROWS);
    struct ipc_decoder *decoder = new_decoder(NULL, &small);
    memcpy(find_in(&messages.list[1].body, &before, sizeof before), &lie, sizeof lie);
    assert_int_equal(decode_all(decoder, &messages, NULL, NULL), STATUS_INVALID);
    assert_int_equal(small.used_bytes, 0);
    ipc_decoder_free(decoder);
    release_messages(&messages);
  }
}

static void what_expands_past_the_limit_or_the_budget_is_refused(void **state) {
  (void)state;
  enum { ROWS = 1 << 20 }; /* 8 MiB of one number, a few hundred bytes compressed */
  for (size_t c = 0; c < 2; c++) {
    struct ipc_limits limits = IPC_LIMITS_DEFAULT;
    limits.decoded_bytes_max = 8 * ROWS - 1;
    struct messages messages = compressed(compressions[c], ROWS);
    struct ipc_decoder *decoder = new_decoder(&limits, &messages_budget);
    assert_int_equal(decode_all(decoder, &messages, NULL, NULL), STATUS_TOO_LARGE);
    ipc_decoder_free(decoder);
    release_messages(&messages);

    struct budget small = {.limit_bytes = 2 << 20};
    struct ArrowArray batch;
    enum ipc_event event;
    messages = compressed(compressions[c], ROWS);
    decoder = new_decoder(NULL, &small);
    assert_int_equal(decode_all(decoder, &messages, NULL, NULL), STATUS_BUDGET);
    assert_int_equal(small.used_bytes, 0);
    small.limit_bytes = 64 << 20; /* the same message, later */
    assert_int_equal(ipc_decoder_decode(decoder, &messages.list[1], &event, &batch, NULL),
                     STATUS_OK);
    assert_int_equal(batch.length, ROWS);
    assert_int_equal(((const int64_t *)batch.children[0]->buffers[1])[ROWS - 1], 7);
    assert_true(small.used_bytes >= 8 * ROWS);
    arrow_array_release(&batch);
    assert_int_equal(small.used_bytes, 0);
    ipc_decoder_free(decoder);
    release_messages(&messages);
  }
}

/* ---- memory ------------------------------------------------------------------------------------------ */

static void a_body_at_any_address_is_read_from_aligned_memory(void **state) {
  (void)state;
  for (int64_t shift = 1; shift < 8; shift++) {
    struct messages messages = number_messages();
    struct buffer *body = &messages.list[1].body;
    struct buffer larger = BUFFER_EMPTY;
    assert_int_equal(buffer_append(&larger, &messages_budget, "........", shift, NULL), STATUS_OK);
    assert_int_equal(buffer_append(&larger, &messages_budget, body->data, body->size_bytes, NULL),
                     STATUS_OK);
    struct buffer shifted = buffer_slice(&larger, shift, body->size_bytes);
    buffer_release(body);
    buffer_release(&larger);
    *body = shifted;
    struct ipc_decoder *decoder = new_decoder(NULL, &messages_budget);
    struct ArrowArray batch = {.release = NULL};
    assert_int_equal(decode_all(decoder, &messages, &batch, NULL), STATUS_OK);
    const int32_t *values = batch.children[0]->buffers[1];
    assert_int_equal((uintptr_t)values % 8, 0);
    assert_int_equal(values[42], 42);
    arrow_array_release(&batch);
    ipc_decoder_free(decoder);
    assert_int_equal(messages_budget.used_bytes, 0);
  }
}

static void nothing_is_copied_that_was_not_compressed(void **state) {
  (void)state;
  struct messages messages = number_messages();
  const uint8_t *begin = messages.list[1].body.data;
  const uint8_t *end = begin + messages.list[1].body.size_bytes;
  struct ipc_decoder *decoder = new_decoder(NULL, &messages_budget);
  struct ArrowArray batch = {.release = NULL};
  int64_t before = messages_budget.used_bytes;
  assert_int_equal(decode_all(decoder, &messages, &batch, NULL), STATUS_OK);
  assert_true(messages_budget.used_bytes <= before);
  const uint8_t *values = batch.children[0]->buffers[1];
  assert_true(values >= begin && values < end);
  arrow_array_release(&batch);
  ipc_decoder_free(decoder);
}

static void *release_elsewhere(void *context) {
  arrow_array_release(context);
  return NULL;
}

static void a_child_that_was_moved_out_lives_on_its_own(void **state) {
  (void)state;
  struct messages messages = number_messages();
  struct ipc_decoder *decoder = new_decoder(NULL, &messages_budget);
  struct ArrowArray batch = {.release = NULL};
  struct ArrowArray child;
  pthread_t thread;
  assert_int_equal(decode_all(decoder, &messages, &batch, NULL), STATUS_OK);
  ipc_decoder_free(decoder);
  arrow_array_move(batch.children[0], &child);
  arrow_array_release(&batch);
  assert_int_equal(((const int32_t *)child.buffers[1])[42], 42);
  assert_true(messages_budget.used_bytes > 0);
  assert_int_equal(pthread_create(&thread, NULL, release_elsewhere, &child), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(messages_budget.used_bytes, 0);
}

static void a_schema_that_was_refused_leaves_the_decoder_as_it_was(void **state) {
  (void)state;
  struct messages messages = number_messages();
  struct ipc_decoder *decoder = new_decoder(NULL, &messages_budget);
  struct ArrowArray none;
  enum ipc_event event;
  struct ipc_message broken = {.metadata = buffer_share(&messages.list[0].metadata)};
  broken.metadata.size_bytes -= 64;
  for (int i = 0; i < 3; i++)
    assert_int_equal(ipc_decoder_decode(decoder, &broken, &event, &none, NULL), STATUS_INVALID);
  assert_null(ipc_decoder_schema(decoder));
  assert_int_equal(decode_all(decoder, &messages, NULL, NULL), STATUS_OK);
  ipc_message_release(&broken);
  ipc_decoder_free(decoder);
  assert_int_equal(messages_budget.used_bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_that_is_not_utf8_is_refused_with_column_and_row),
      cmocka_unit_test(a_character_does_not_reach_from_one_text_into_the_next),
      cmocka_unit_test(binary_may_hold_anything),
      cmocka_unit_test(offsets_that_fall_or_leave_the_data_are_refused),
      cmocka_unit_test(a_view_that_points_outside_or_begins_otherwise_is_refused),
      cmocka_unit_test(an_index_outside_its_dictionary_is_refused),
      cmocka_unit_test(a_map_has_no_null_keys),
      cmocka_unit_test(lengths_and_counts_of_nulls_that_are_not_so_are_refused),
      cmocka_unit_test(more_rows_than_arrow_recommends_are_refused),
      cmocka_unit_test(a_body_that_is_shorter_than_its_message_says_is_refused),
      cmocka_unit_test(a_dictionary_has_as_many_values_as_its_batch_says),
      cmocka_unit_test(a_buffer_that_is_too_small_or_elsewhere_is_refused),
      cmocka_unit_test(a_batch_has_exactly_the_nodes_and_buffers_of_its_schema),
      cmocka_unit_test(a_stream_begins_with_its_schema_and_has_one),
      cmocka_unit_test(indices_need_their_dictionary_unless_all_are_null),
      cmocka_unit_test(messages_of_other_kinds_and_versions_are_refused_by_name),
      cmocka_unit_test(a_batch_keeps_the_dictionary_that_was_in_force),
      cmocka_unit_test(a_delta_without_what_it_adds_to_is_refused),
      cmocka_unit_test(deltas_add_to_a_dictionary),
      cmocka_unit_test(a_buffer_that_expands_to_another_size_than_it_says_is_refused),
      cmocka_unit_test(a_compressed_buffer_without_room_for_its_length_is_refused),
      cmocka_unit_test(a_lie_about_the_expanded_size_takes_little_memory),
      cmocka_unit_test(what_expands_past_the_limit_or_the_budget_is_refused),
      cmocka_unit_test(a_body_at_any_address_is_read_from_aligned_memory),
      cmocka_unit_test(nothing_is_copied_that_was_not_compressed),
      cmocka_unit_test(a_child_that_was_moved_out_lives_on_its_own),
      cmocka_unit_test(a_schema_that_was_refused_leaves_the_decoder_as_it_was),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
