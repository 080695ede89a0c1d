/* The file format: what the writer makes of it, and what the reader does not believe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/array.h"
#include "arrow/flatbuf_write.h"
#include "arrow/messages.h"
#include "arrow/read_all.h"
#include "arrow/written.h"

enum { HEAD_BYTES = 8, TAIL_BYTES = 10, BATCHES = 3 };

static const struct ipc_writer_options file_options = {.format = IPC_FORMAT_FILE};
static const struct ipc_limits limits = IPC_LIMITS_DEFAULT;

/* ---- small files ------------------------------------------------------------------------ */

struct small {
  struct ArrowSchema schema;
  struct ArrowArray made[BATCHES];
  const struct ArrowArray *batches[BATCHES];
};

/* Batches of 1, 2 and 3 rows, whose dictionary grows. */
static void make_small(struct small *small) {
  static const char *const words[] = {"red", "green", "blue"};
  static const int indices[] = {0, 1, 2};
  small->schema = one_dictionary();
  for (int i = 0; i < BATCHES; i++) {
    small->made[i] = looked_up(&small->schema, words, i + 1, indices, i + 1);
    small->batches[i] = &small->made[i];
  }
}

static struct buffer small_file(void) {
  struct small small;
  make_small(&small);
  struct buffer bytes = written(&small.schema, small.batches, BATCHES, &file_options);
  for (int i = 0; i < BATCHES; i++) arrow_array_release(&small.made[i]);
  arrow_schema_release(&small.schema);
  return bytes;
}

/* Where the footer's flatbuffer begins. */
static int64_t footer_start(const struct buffer *bytes) {
  int32_t footer_bytes;
  memcpy(&footer_bytes, bytes->data + bytes->size_bytes - TAIL_BYTES, sizeof footer_bytes);
  return bytes->size_bytes - TAIL_BYTES - footer_bytes;
}

/* Where the footer holds the block of the batch. */
static uint8_t *find_block(const struct buffer *bytes, const struct ipc_file_block *block) {
  for (int64_t at = footer_start(bytes); at <= bytes->size_bytes - 24; at++)
    if (memcmp(bytes->data + at, &block->offset_bytes, 8) == 0 &&
        memcmp(bytes->data + at + 8, &block->metadata_bytes, 4) == 0)
      return bytes->data + at;
  fail();
  return NULL;
}

static struct ipc_file open_file(const struct buffer *bytes) {
  struct ipc_file file;
  struct error error = {.text = ""};
  if (ipc_file_open(bytes->data, bytes->size_bytes, &limits, &file, &error) != STATUS_OK)
    fail_msg("%s", error.text);
  return file;
}

/* ---- writing ------------------------------------------------------------------------------ */

static void a_footer_tells_where_messages_lie(void **state) {
  (void)state;
  struct buffer bytes = small_file();
  struct ipc_file file = open_file(&bytes);
  assert_string_equal(written_messages(&bytes), "sdb+b+b.");
  assert_memory_equal(bytes.data, "ARROW1\0", HEAD_BYTES);
  assert_memory_equal(bytes.data + bytes.size_bytes - 6, "ARROW1", 6);
  assert_int_equal(file.dictionary_count, BATCHES);
  assert_int_equal(file.batch_count, BATCHES);
  assert_null(file.metadata);
  assert_int_equal(file.schema.offset_bytes, HEAD_BYTES);
  int64_t at = file.schema.offset_bytes + file.schema.metadata_bytes + file.schema.body_bytes;
  for (int i = 0; i < BATCHES; i++) {
    const struct ipc_file_block *pair[] = {&file.dictionaries[i], &file.batches[i]};
    for (int b = 0; b < 2; b++) {
      assert_int_equal(pair[b]->offset_bytes, at);
      at += pair[b]->metadata_bytes;
      assert_int_equal(at % 64, 0);
      at += pair[b]->body_bytes;
    }
  }
  assert_int_equal(at + 8, footer_start(&bytes)); /* the end-of-stream marker is between */
  ipc_file_release(&file);
  buffer_release(&bytes);
}

/* All dictionaries come first; batches are then read in any order. */
static void batches_are_read_in_any_order(void **state) {
  (void)state;
  struct small small;
  make_small(&small);
  struct buffer bytes = written(&small.schema, small.batches, BATCHES, &file_options);
  struct ipc_file file = open_file(&bytes);
  struct ipc_decoder *decoder = NULL;
  struct ipc_message message;
  enum ipc_event event;
  struct ArrowArray batch = {.release = NULL};
  assert_int_equal(ipc_decoder_new(&limits, &written_budget, &decoder, NULL), STATUS_OK);
  assert_int_equal(ipc_file_message(&bytes, &file.schema, &message, NULL), STATUS_OK);
  assert_int_equal(ipc_decoder_decode(decoder, &message, &event, &batch, NULL), STATUS_OK);
  for (int i = 0; i < BATCHES; i++) {
    assert_int_equal(ipc_file_message(&bytes, &file.dictionaries[i], &message, NULL), STATUS_OK);
    assert_int_equal(ipc_decoder_decode(decoder, &message, &event, &batch, NULL), STATUS_OK);
    assert_int_equal(event, IPC_EVENT_DICTIONARY);
  }
  static const int order[] = {2, 0, 1, 0, 2};
  for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
    assert_int_equal(ipc_file_message(&bytes, &file.batches[order[i]], &message, NULL), STATUS_OK);
    assert_int_equal(ipc_decoder_decode(decoder, &message, &event, &batch, NULL), STATUS_OK);
    assert_int_equal(event, IPC_EVENT_BATCH);
    assert_true(arrow_array_equal(&small.schema, small.batches[order[i]], &batch, NULL));
    arrow_array_release(&batch);
  }
  ipc_decoder_free(decoder);
  ipc_file_release(&file);
  buffer_release(&bytes);
  for (int i = 0; i < BATCHES; i++) arrow_array_release(&small.made[i]);
  arrow_schema_release(&small.schema);
  assert_int_equal(written_budget.used_bytes, 0);
}

static void a_file_without_batches_has_a_schema(void **state) {
  (void)state;
  struct ArrowSchema schema = one_column("u");
  struct buffer bytes = written(&schema, NULL, 0, &file_options);
  struct read_all all = {0};
  assert_int_equal(read_all_file(bytes.data, bytes.size_bytes, &written_budget, &all, NULL),
                   STATUS_OK);
  assert_int_equal(all.batch_count, 0);
  assert_true(arrow_schema_equal(&schema, &all.schema, NULL));
  read_all_release(&all);
  buffer_release(&bytes);
  arrow_schema_release(&schema);
}

static void append_all(struct buffer *to, struct buffer *from) {
  assert_int_equal(buffer_append(to, &messages_budget, from->data, from->size_bytes, NULL),
                   STATUS_OK);
  buffer_release(from);
}

/* Whoever sends a file takes what there is and lets go of it. */
static void output_may_be_taken_away_between_calls(void **state) {
  (void)state;
  struct small small;
  make_small(&small);
  struct buffer want = written(&small.schema, small.batches, BATCHES, &file_options);
  struct buffer all = BUFFER_EMPTY;
  struct buffer out = BUFFER_EMPTY;
  struct ipc_writer *writer = NULL;
  assert_int_equal(ipc_writer_new(&small.schema, &file_options, &written_budget, &writer, NULL),
                   STATUS_OK);
  assert_int_equal(ipc_writer_schema(writer, &out, NULL), STATUS_OK);
  append_all(&all, &out);
  for (int i = 0; i < BATCHES; i++) {
    assert_int_equal(ipc_writer_batch(writer, small.batches[i], &out, NULL), STATUS_OK);
    append_all(&all, &out);
  }
  assert_int_equal(ipc_writer_end(writer, &out, NULL), STATUS_OK);
  append_all(&all, &out);
  assert_int_equal(all.size_bytes, want.size_bytes);
  assert_memory_equal(all.data, want.data, (size_t)want.size_bytes);
  buffer_release(&all);
  buffer_release(&want);
  ipc_writer_free(writer);
  for (int i = 0; i < BATCHES; i++) arrow_array_release(&small.made[i]);
  arrow_schema_release(&small.schema);
}

/* Also the list of blocks takes memory, and the footer. */
static void refused_calls_can_be_repeated(void **state) {
  (void)state;
  struct small small;
  make_small(&small);
  struct buffer want = written(&small.schema, small.batches, BATCHES, &file_options);
  int64_t limit_bytes = written_budget.limit_bytes;
  int refusals = 0;
  for (int64_t spare_bytes = 0; spare_bytes < 4096; spare_bytes += 64) {
    struct buffer out = BUFFER_EMPTY;
    struct ipc_writer *writer = NULL;
    assert_int_equal(ipc_writer_new(&small.schema, &file_options, &written_budget, &writer, NULL),
                     STATUS_OK);
    for (int call = -1; call <= BATCHES; call++) {
      enum status status = STATUS_BUDGET;
      for (int try = 0; status == STATUS_BUDGET; try++) {
        if (try == 0) written_budget.limit_bytes = written_budget.used_bytes + spare_bytes;
        if (call < 0)
          status = ipc_writer_schema(writer, &out, NULL);
        else if (call < BATCHES)
          status = ipc_writer_batch(writer, small.batches[call], &out, NULL);
        else
          status = ipc_writer_end(writer, &out, NULL);
        written_budget.limit_bytes = limit_bytes;
        refusals += status == STATUS_BUDGET;
        assert_true(try <= 1);
      }
      assert_int_equal(status, STATUS_OK);
    }
    assert_int_equal(out.size_bytes, want.size_bytes);
    assert_memory_equal(out.data, want.data, (size_t)want.size_bytes);
    buffer_release(&out);
    ipc_writer_free(writer);
  }
  assert_true(refusals > 50);
  buffer_release(&want);
  for (int i = 0; i < BATCHES; i++) arrow_array_release(&small.made[i]);
  arrow_schema_release(&small.schema);
  assert_int_equal(written_budget.used_bytes, 0);
}

static void a_file_has_a_schema_before_its_end(void **state) {
  (void)state;
  struct ArrowSchema schema = one_column("u");
  struct ipc_writer *writer = NULL;
  struct buffer out = BUFFER_EMPTY;
  assert_int_equal(ipc_writer_new(&schema, &file_options, &written_budget, &writer, NULL),
                   STATUS_OK);
  assert_int_equal(ipc_writer_end(writer, &out, NULL), STATUS_INTERNAL);
  assert_int_equal(out.size_bytes, 0);
  ipc_writer_free(writer);
  arrow_schema_release(&schema);
}

/* ---- reading ------------------------------------------------------------------------------ */

static void expect_not_opened(const struct buffer *bytes, enum status want, const char *text) {
  struct ipc_file file;
  struct error error = {.text = ""};
  assert_int_equal(ipc_file_open(bytes->data, bytes->size_bytes, &limits, &file, &error), want);
  if (strstr(error.text, text) == NULL) fail_msg("it says: %s", error.text);
  assert_null(file.batches);
  assert_null(file.dictionaries);
  assert_null(file.metadata);
}

static void files_that_are_cut_are_refused(void **state) {
  (void)state;
  struct buffer bytes = small_file();
  for (int64_t size_bytes = 0; size_bytes < bytes.size_bytes; size_bytes++) {
    uint8_t *exact = malloc((size_t)size_bytes + 1); /* a step too far is a step outside */
    assert_non_null(exact);
    memcpy(exact, bytes.data, (size_t)size_bytes);
    struct buffer cut = {.data = exact, .size_bytes = size_bytes};
    expect_not_opened(&cut, STATUS_INVALID, size_bytes < 6 ? "not an Arrow file" : "truncated");
    free(exact);
  }
  buffer_release(&bytes);
}

static void blocks_outside_the_messages_are_refused(void **state) {
  (void)state;
  struct buffer bytes = small_file();
  struct ipc_file file = open_file(&bytes);
  struct ipc_file_block good = file.batches[1];
  int64_t end_bytes = footer_start(&bytes);
  ipc_file_release(&file);
  const struct {
    int64_t offset_bytes;
    int64_t metadata_bytes;
    int64_t body_bytes;
    enum status want;
  } cases[] = {
      {-1, good.metadata_bytes, 0, STATUS_INVALID},
      {0, good.metadata_bytes, 0, STATUS_INVALID}, /* the magic */
      {INT64_MIN, good.metadata_bytes, 0, STATUS_INVALID},
      {INT64_MAX, good.metadata_bytes, 0, STATUS_INVALID},
      {end_bytes - 7, 8, 0, STATUS_INVALID}, /* the footer */
      {good.offset_bytes, 0, 0, STATUS_INVALID},
      {good.offset_bytes, 7, 0, STATUS_INVALID},
      {good.offset_bytes, -8, 0, STATUS_INVALID},
      {good.offset_bytes, INT32_MAX, 0, STATUS_INVALID},
      {good.offset_bytes, INT32_MIN, 0, STATUS_INVALID},
      {good.offset_bytes, good.metadata_bytes, -1, STATUS_INVALID},
      {good.offset_bytes, good.metadata_bytes, INT64_MAX, STATUS_INVALID},
      {good.offset_bytes, good.metadata_bytes, INT64_MIN, STATUS_INVALID},
      {good.offset_bytes, good.metadata_bytes,
       end_bytes - good.offset_bytes - good.metadata_bytes + 1, STATUS_INVALID},
      {good.offset_bytes, good.metadata_bytes, end_bytes - good.offset_bytes - good.metadata_bytes,
       STATUS_OK}, /* longer than its message, which its decoder sees */
      {HEAD_BYTES, 8, 0, STATUS_OK},
  };
  uint8_t *at = find_block(&bytes, &good);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int32_t metadata_bytes = (int32_t)cases[i].metadata_bytes;
    memcpy(at, &cases[i].offset_bytes, 8);
    memcpy(at + 8, &metadata_bytes, 4);
    memset(at + 12, 0xEE, 4); /* padding says nothing */
    memcpy(at + 16, &cases[i].body_bytes, 8);
    if (cases[i].want != STATUS_OK) {
      expect_not_opened(&bytes, cases[i].want, "the footer places a message");
      continue;
    }
    file = open_file(&bytes);
    assert_int_equal(file.batches[1].metadata_bytes, metadata_bytes);
    ipc_file_release(&file);
  }
  buffer_release(&bytes);
}

static void messages_past_a_limit_are_refused(void **state) {
  (void)state;
  struct buffer bytes = small_file();
  struct ipc_limits small_metadata = {.metadata_bytes_max = 64, .body_bytes_max = 1 << 20};
  struct ipc_limits small_body = {.metadata_bytes_max = 1 << 20, .body_bytes_max = 63};
  struct ipc_file file;
  struct error error = {.text = ""};
  assert_int_equal(ipc_file_open(bytes.data, bytes.size_bytes, &small_metadata, &file, &error),
                   STATUS_TOO_LARGE);
  assert_int_equal(ipc_file_open(bytes.data, bytes.size_bytes, &small_body, &file, &error),
                   STATUS_TOO_LARGE);
  assert_non_null(strstr(error.text, "at most"));
  buffer_release(&bytes);
}

/* Bytes of the footer that are anything: an error, or blocks that lie inside. */
static void damaged_footers_do_not_lead_outside(void **state) {
  (void)state;
  struct buffer bytes = small_file();
  int64_t start = footer_start(&bytes);
  int opened = 0;
  for (int64_t at = start; at < bytes.size_bytes - 6; at++) {
    static const uint8_t values[] = {0x00, 0x01, 0x7F, 0x80, 0xFF};
    uint8_t kept = bytes.data[at];
    for (size_t v = 0; v < sizeof values; v++) {
      struct ipc_file file;
      bytes.data[at] = values[v];
      if (ipc_file_open(bytes.data, bytes.size_bytes, &limits, &file, NULL) != STATUS_OK) continue;
      opened++;
      for (int64_t i = 0; i < file.batch_count; i++) {
        struct ipc_message message;
        if (ipc_file_message(&bytes, &file.batches[i], &message, NULL) != STATUS_OK) continue;
        assert_true(message.metadata.size_bytes + 8 >= file.batches[i].metadata_bytes);
        assert_true(message.body.size_bytes == file.batches[i].body_bytes);
        ipc_message_release(&message);
      }
      ipc_file_release(&file);
    }
    bytes.data[at] = kept;
  }
  assert_true(opened > 100);
  buffer_release(&bytes);
}

static void a_message_is_as_long_as_its_block_says(void **state) {
  (void)state;
  struct buffer bytes = small_file();
  struct ipc_file file = open_file(&bytes);
  struct ipc_message message;
  struct error error = {.text = ""};
  static const int64_t wrong[] = {-64, -8, -1, 1, 8, 64};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    struct ipc_file_block block = file.batches[0];
    block.metadata_bytes += wrong[i];
    assert_int_equal(ipc_file_message(&bytes, &block, &message, &error), STATUS_INVALID);
    assert_non_null(strstr(error.text, "the footer says"));
    assert_null(message.metadata.block);
    block = file.batches[0];
    block.offset_bytes += wrong[i];
    assert_int_equal(ipc_file_message(&bytes, &block, &message, &error), STATUS_INVALID);
  }
  static const struct ipc_file_block outside[] = {
      {0, 64, 0}, {-8, 64, 0}, {INT64_MAX, 8, 8}, {8, INT64_MAX, 8}, {8, 8, INT64_MAX}, {8, 4, 0}};
  for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
    assert_int_equal(ipc_file_message(&bytes, &outside[i], &message, &error), STATUS_INVALID);
  ipc_file_release(&file);
  buffer_release(&bytes);
}

/* Before format 0.15 a message had no continuation marker: golden files are read so. */
static void messages_of_older_files_are_found(void **state) {
  (void)state;
  struct buffer bytes =
      test_data("arrow-ipc/0.14.1/generated_primitive.arrow_file", &messages_budget);
  struct ipc_file file = open_file(&bytes);
  struct ipc_message message;
  assert_true(file.batch_count > 0);
  for (int64_t i = -1; i < file.batch_count; i++) {
    const struct ipc_file_block *block = i < 0 ? &file.schema : &file.batches[i];
    assert_int_equal(ipc_file_message(&bytes, block, &message, NULL), STATUS_OK);
    assert_int_equal(message.metadata.size_bytes, block->metadata_bytes - 4);
    assert_int_equal(message.offset_bytes, block->offset_bytes);
    ipc_message_release(&message);
  }
  ipc_file_release(&file);
  buffer_release(&bytes);
}

/* ---- the footer's own metadata -------------------------------------------------------------- */

/* The small file with another footer: of no batches, and with `count` pairs, all of which are
 * the same when `is_shared`. */
static struct buffer with_metadata(int count, bool is_shared, const char *value) {
  static const uint8_t footer_sizes[] = {2, 0, 0, 0, 4};
  static const uint8_t pair_sizes[] = {4, 4};
  struct flatbuf flatbuf = {.bytes = BUFFER_EMPTY};
  struct buffer bytes = small_file();
  int64_t value_bytes = (int64_t)strlen(value);
  flatbuf_begin(&flatbuf, &messages_budget);
  int64_t footer = flatbuf_table(&flatbuf, footer_sizes, 5);
  int64_t vector = flatbuf_vector(&flatbuf, count, 4, 4);
  flatbuf_refer(&flatbuf, footer, 4, vector);
  int64_t pair = 0;
  for (int i = 0; i < count; i++) {
    if (i == 0 || !is_shared) {
      pair = flatbuf_table(&flatbuf, pair_sizes, 2);
      flatbuf_refer(&flatbuf, pair, 0, flatbuf_string(&flatbuf, "key", 3));
      flatbuf_refer(&flatbuf, pair, 1, flatbuf_string(&flatbuf, value, value_bytes));
    }
    flatbuf_refer_element(&flatbuf, vector, i, pair);
  }
  assert_int_equal(flatbuf_status(&flatbuf, NULL), STATUS_OK);
  int32_t footer_bytes = (int32_t)flatbuf.bytes.size_bytes;
  bytes.size_bytes = footer_start(&bytes);
  append_all(&bytes, &flatbuf.bytes);
  assert_int_equal(buffer_append(&bytes, &messages_budget, &footer_bytes, 4, NULL), STATUS_OK);
  assert_int_equal(buffer_append(&bytes, &messages_budget, "ARROW1", 6, NULL), STATUS_OK);
  return bytes;
}

static void metadata_of_the_footer_is_read(void **state) {
  (void)state;
  static const char want[] = "\2\0\0\0\3\0\0\0key\5\0\0\0value\3\0\0\0key\5\0\0\0value";
  struct buffer bytes = with_metadata(2, false, "value");
  struct ipc_file file = open_file(&bytes);
  assert_int_equal(file.batch_count, 0);
  assert_non_null(file.metadata);
  assert_memory_equal(file.metadata, want, sizeof want - 1);
  ipc_file_release(&file);
  buffer_release(&bytes);

  bytes = with_metadata(0, false, "");
  file = open_file(&bytes);
  assert_null(file.metadata);
  ipc_file_release(&file);
  buffer_release(&bytes);
}

/* A string of a kilobyte that is named a thousand times is no megabyte. */
static void metadata_does_not_swell(void **state) {
  (void)state;
  char value[1001];
  memset(value, 'v', 1000);
  value[1000] = '\0';
  struct buffer bytes = with_metadata(1000, true, value);
  expect_not_opened(&bytes, STATUS_TOO_LARGE, "times as large");
  buffer_release(&bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_footer_tells_where_messages_lie),
      cmocka_unit_test(batches_are_read_in_any_order),
      cmocka_unit_test(a_file_without_batches_has_a_schema),
      cmocka_unit_test(output_may_be_taken_away_between_calls),
      cmocka_unit_test(refused_calls_can_be_repeated),
      cmocka_unit_test(a_file_has_a_schema_before_its_end),
      cmocka_unit_test(files_that_are_cut_are_refused),
      cmocka_unit_test(blocks_outside_the_messages_are_refused),
      cmocka_unit_test(messages_past_a_limit_are_refused),
      cmocka_unit_test(damaged_footers_do_not_lead_outside),
      cmocka_unit_test(a_message_is_as_long_as_its_block_says),
      cmocka_unit_test(messages_of_older_files_are_found),
      cmocka_unit_test(metadata_of_the_footer_is_read),
      cmocka_unit_test(metadata_does_not_swell),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
