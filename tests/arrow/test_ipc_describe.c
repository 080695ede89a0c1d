/* What messages say they are: of our own writer's, of golden files, and of damaged ones,
 * which are refused in words that name what is wrong. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arrow/ipc_describe.h"
#include "arrow/ipc_file.h"
#include "arrow/messages.h"
#include "arrow/read_all.h"

static struct ipc_limits limits;

static int set_up(void **state) {
  (void)state;
  limits = IPC_LIMITS_DEFAULT;
  return 0;
}

static struct ipc_description describe(const struct ipc_message *message) {
  struct ipc_description description;
  struct error error = {.status = STATUS_OK};
  if (ipc_describe(message, &limits, &description, &error) != STATUS_OK) fail_msg("%s", error.text);
  return description;
}

static void refuse(const struct ipc_message *message, enum status status, const char *words) {
  struct ipc_description description;
  struct error error = {.status = STATUS_OK};
  assert_int_equal(ipc_describe(message, &limits, &description, &error), status);
  if (strstr(error.text, words) == NULL) fail_msg("'%s' does not say '%s'", error.text, words);
  assert_non_null(strstr(error.text, "the message at byte "));
  ipc_description_release(&description);
}

/* Messages of 1,000 numbers. */
static struct messages some_numbers(enum ipc_compression compression) {
  struct ArrowSchema schema = one_column("l");
  struct ArrowArray batch = numbers(&schema, 1000);
  struct messages messages = write_messages(&schema, &batch, 1, compression);
  arrow_schema_release(&schema);
  return messages;
}

static void set_int64(uint8_t *at, int64_t value) {
  for (int i = 0; i < 8; i++) at[i] = (uint8_t)((uint64_t)value >> (8 * i));
}

/* The metadata's place of the Buffer struct that is (offset, length). */
static uint8_t *buffer_struct(struct ipc_message *message,
                              const struct ipc_buffer_description *buffer) {
  uint8_t pattern[16];
  set_int64(pattern, buffer->offset_bytes);
  set_int64(pattern + 8, buffer->size_bytes);
  return find_in(&message->metadata, pattern, sizeof pattern);
}

/* ---- what is whole ----------------------------------------------------------------------- */

static void a_schema_is_described_with_its_fields(void **state) {
  (void)state;
  struct messages messages = some_numbers(IPC_COMPRESSION_NONE);
  struct ipc_description description = describe(&messages.list[0]);
  assert_int_equal(description.kind, IPC_MESSAGE_SCHEMA);
  assert_int_equal(description.version, 5);
  assert_int_equal(description.metadata_bytes, messages.list[0].metadata.size_bytes);
  assert_int_equal(description.body_bytes, 0);
  assert_false(description.big_endian);
  assert_int_equal(description.schema.n_children, 1);
  assert_string_equal(description.schema.children[0]->name, "speed");
  assert_int_equal(description.dictionary_count, 0);
  ipc_description_release(&description);
  release_messages(&messages);
}

static void a_batch_is_described_with_its_buffers(void **state) {
  (void)state;
  struct messages messages = some_numbers(IPC_COMPRESSION_NONE);
  const struct ipc_message *message = &messages.list[1];
  struct ipc_description description = describe(message);
  assert_int_equal(description.kind, IPC_MESSAGE_BATCH);
  assert_int_equal(description.rows, 1000);
  assert_int_equal(description.node_count, 1);
  assert_int_equal(description.buffer_count, 2);
  assert_int_equal(description.compression, IPC_COMPRESSION_NONE);
  assert_int_equal(description.body_bytes, message->body.size_bytes);
  assert_true(description.buffers[0].size_bytes >= 125); /* a bit for each row */
  assert_true(description.buffers[1].size_bytes >= 8000);
  assert_int_equal(description.buffers[1].expanded_bytes, description.buffers[1].size_bytes);
  assert_false(description.buffers[1].compressed);
  assert_int_equal(description.buffer_bytes,
                   description.buffers[0].size_bytes + description.buffers[1].size_bytes);
  assert_int_equal(description.expanded_bytes, description.buffer_bytes);
  assert_int_equal(description.alignment_bytes, 64);
  assert_null(description.metadata);
  ipc_description_release(&description);
  release_messages(&messages);
}

static void a_compressed_batch_is_described_with_its_size_before(void **state) {
  (void)state;
  static const enum ipc_compression codecs[] = {IPC_COMPRESSION_LZ4, IPC_COMPRESSION_ZSTD};
  struct messages plain = some_numbers(IPC_COMPRESSION_NONE);
  struct ipc_description expected = describe(&plain.list[1]);
  for (size_t i = 0; i < 2; i++) {
    struct messages messages = some_numbers(codecs[i]);
    struct ipc_description description = describe(&messages.list[1]);
    assert_int_equal(description.compression, codecs[i]);
    assert_true(description.buffers[1].compressed);
    assert_int_equal(description.buffers[1].expanded_bytes, 8000);
    assert_true(description.buffer_bytes < description.expanded_bytes);
    assert_true(description.expanded_bytes <= expected.expanded_bytes);
    ipc_description_release(&description);
    release_messages(&messages);
  }
  ipc_description_release(&expected);
  release_messages(&plain);
}

static void a_dictionary_is_described_with_its_id(void **state) {
  (void)state;
  static const char *const values[] = {"fast", "slow"};
  static const int indices[] = {0, 1, 1};
  struct ArrowSchema schema = one_dictionary();
  struct ArrowArray batch = looked_up(&schema, values, 2, indices, 3);
  struct messages messages = write_messages(&schema, &batch, 1, IPC_COMPRESSION_NONE);
  struct ipc_description described = describe(&messages.list[0]);
  struct ipc_description dictionary = describe(&messages.list[1]);
  struct ipc_description rows = describe(&messages.list[2]);
  assert_int_equal(described.dictionary_count, 1);
  assert_int_equal(dictionary.kind, IPC_MESSAGE_DICTIONARY);
  assert_int_equal(dictionary.dictionary_id, described.dictionary_ids[0]);
  assert_false(dictionary.is_delta);
  assert_int_equal(dictionary.rows, 2);
  assert_int_equal(dictionary.buffer_count, 3);
  assert_int_equal(rows.kind, IPC_MESSAGE_BATCH);
  assert_int_equal(rows.rows, 3);
  ipc_description_release(&described);
  ipc_description_release(&dictionary);
  ipc_description_release(&rows);
  release_messages(&messages);
  arrow_schema_release(&schema);
}

/* Every message of the golden stream, until `wanted`, counted from 0. */
static struct ipc_description golden_message(const char *name, int wanted) {
  struct budget budget = {.limit_bytes = 64 << 20};
  struct buffer stream = test_data(name, &budget);
  struct ipc_description description = {.kind = IPC_MESSAGE_UNKNOWN};
  int64_t position = 0;
  for (int i = 0; i <= wanted; i++) {
    struct ipc_message message;
    enum ipc_frame frame;
    struct error error = {.status = STATUS_OK};
    if (ipc_cut(&stream, &limits, false, &position, &message, &frame, &error) != STATUS_OK)
      fail_msg("%s: %s", name, error.text);
    assert_int_equal(frame, IPC_FRAME_MESSAGE);
    ipc_description_release(&description);
    description = describe(&message);
    ipc_message_release(&message);
  }
  buffer_release(&stream);
  return description;
}

static void old_metadata_and_small_alignment_are_told(void **state) {
  (void)state;
  struct ipc_description old = golden_message("arrow-ipc/0.14.1/generated_primitive.stream", 0);
  assert_int_equal(old.version, 4);
  ipc_description_release(&old);
  struct ipc_description batch =
      golden_message("arrow-ipc/2.0.0-compression/generated_uncompressible_zstd.stream", 1);
  assert_int_equal(batch.compression, IPC_COMPRESSION_ZSTD);
  assert_int_equal(batch.alignment_bytes, 8);
  assert_int_equal(batch.buffers[0].size_bytes, 9); /* a length of -1 and a byte */
  assert_int_equal(batch.buffers[0].expanded_bytes, 1);
  assert_false(batch.buffers[0].compressed);
  ipc_description_release(&batch);
}

/* ---- what is damaged ---------------------------------------------------------------------- */

static void a_buffer_outside_the_body_is_refused(void **state) {
  (void)state;
  static const struct {
    int64_t offset;
    int64_t size;
  } wrong[] = {{0, INT64_MAX}, {INT64_MAX, 1}, {-64, 64}, {0, -1}, {1 << 20, 0}};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    struct messages messages = some_numbers(IPC_COMPRESSION_NONE);
    struct ipc_description description = describe(&messages.list[1]);
    uint8_t *at = buffer_struct(&messages.list[1], &description.buffers[1]);
    set_int64(at, wrong[i].offset);
    set_int64(at + 8, wrong[i].size);
    refuse(&messages.list[1], STATUS_INVALID, "buffer 1 (");
    ipc_description_release(&description);
    release_messages(&messages);
  }
}

static void a_compressed_length_that_cannot_be_is_refused(void **state) {
  (void)state;
  struct messages messages = some_numbers(IPC_COMPRESSION_ZSTD);
  struct ipc_message *message = &messages.list[1];
  struct ipc_description description = describe(message);
  uint8_t *prefix = message->body.data + description.buffers[1].offset_bytes;
  set_int64(prefix, -2);
  refuse(message, STATUS_INVALID, "buffer 1 says it has -2 bytes before compression");
  set_int64(prefix, limits.decoded_bytes_max + 1);
  refuse(message, STATUS_TOO_LARGE, "expands to more than");
  set_int64(prefix, INT64_MAX);
  refuse(message, STATUS_TOO_LARGE, "expands to more than");
  set_int64(prefix, 8000);
  set_int64(buffer_struct(message, &description.buffers[1]) + 8, 7);
  refuse(message, STATUS_INVALID, "too short for its length");
  ipc_description_release(&description);
  release_messages(&messages);
}

static void a_body_that_is_cut_is_refused(void **state) {
  (void)state;
  struct messages messages = some_numbers(IPC_COMPRESSION_NONE);
  struct ipc_description description;
  messages.list[1].body.size_bytes--;
  refuse(&messages.list[1], STATUS_INVALID, "its body has ");
  assert_int_equal(ipc_describe(&messages.list[1], &limits, &description, NULL), STATUS_INVALID);
  assert_int_equal(description.kind, IPC_MESSAGE_BATCH); /* as far as it could be read */
  ipc_description_release(&description);
  release_messages(&messages);
}

/* Metadata cut anywhere, in memory of its own, for a sanitizer to watch. */
static void metadata_cut_anywhere_is_refused_or_read(void **state) {
  (void)state;
  struct messages messages = some_numbers(IPC_COMPRESSION_ZSTD);
  for (int i = 0; i < messages.count; i++) {
    const struct buffer *whole = &messages.list[i].metadata;
    for (int64_t bytes = 0; bytes < whole->size_bytes; bytes++) {
      uint8_t *exact = malloc(bytes > 0 ? (size_t)bytes : 1);
      assert_non_null(exact);
      memcpy(exact, whole->data, (size_t)bytes);
      struct ipc_message cut = {.metadata = {.data = exact, .size_bytes = bytes},
                                .body = messages.list[i].body};
      struct ipc_description description;
      struct error error = {.status = STATUS_OK};
      enum status status = ipc_describe(&cut, &limits, &description, &error);
      assert_true(status == STATUS_OK || status == STATUS_INVALID);
      if (bytes < 16) assert_int_equal(status, STATUS_INVALID);
      ipc_description_release(&description);
      free(exact);
    }
  }
  release_messages(&messages);
}

/* Each byte of the metadata changed in three ways. */
static void metadata_with_a_changed_byte_is_refused_or_read(void **state) {
  (void)state;
  struct messages messages = some_numbers(IPC_COMPRESSION_LZ4);
  int refused = 0;
  for (int i = 0; i < messages.count; i++) {
    struct buffer *metadata = &messages.list[i].metadata;
    for (int64_t at = 0; at < metadata->size_bytes; at++) {
      static const uint8_t masks[] = {0x01, 0x80, 0xFF};
      for (size_t m = 0; m < sizeof masks; m++) {
        struct ipc_description description;
        metadata->data[at] ^= masks[m];
        refused += ipc_describe(&messages.list[i], &limits, &description, NULL) != STATUS_OK;
        ipc_description_release(&description);
        metadata->data[at] ^= masks[m];
      }
    }
  }
  assert_true(refused > 100);
  release_messages(&messages);
}

/* ---- footers ------------------------------------------------------------------------------- */

static struct buffer golden_file(struct budget *budget) {
  return test_data("arrow-ipc/1.0.0-littleendian/generated_dictionary.arrow_file", budget);
}

static void a_footer_is_described_with_its_place_and_schema(void **state) {
  (void)state;
  struct budget budget = {.limit_bytes = 1 << 20};
  struct buffer file = golden_file(&budget);
  struct ipc_footer_description footer;
  assert_int_equal(ipc_describe_footer(&file, &footer, NULL), STATUS_OK);
  assert_int_equal(footer.version, 5);
  assert_int_equal(footer.offset_bytes + footer.size_bytes + IPC_FILE_TAIL_BYTES, file.size_bytes);
  assert_int_equal(footer.schema.n_children, 3);
  assert_string_equal(footer.schema.children[0]->name, "dict0");
  ipc_footer_description_release(&footer);
  buffer_release(&file);
}

static void a_footer_that_is_none_is_refused(void **state) {
  (void)state;
  struct budget budget = {.limit_bytes = 1 << 20};
  struct buffer file = golden_file(&budget);
  struct ipc_footer_description footer;
  struct error error = {.status = STATUS_OK};
  int64_t whole = file.size_bytes;
  for (file.size_bytes = 0; file.size_bytes < whole; file.size_bytes++) {
    assert_int_equal(ipc_describe_footer(&file, &footer, &error), STATUS_INVALID);
    assert_null(footer.schema.release);
    ipc_footer_description_release(&footer);
  }
  file.size_bytes = whole;
  uint8_t *length = file.data + whole - IPC_FILE_TAIL_BYTES;
  memset(length, 0xFF, 4);
  assert_int_equal(ipc_describe_footer(&file, &footer, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "4294967295 bytes"));
  ipc_footer_description_release(&footer);
  memset(length, 0, 4);
  assert_int_equal(ipc_describe_footer(&file, &footer, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "the footer at byte"));
  ipc_footer_description_release(&footer);
  buffer_release(&file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_schema_is_described_with_its_fields),
      cmocka_unit_test(a_batch_is_described_with_its_buffers),
      cmocka_unit_test(a_compressed_batch_is_described_with_its_size_before),
      cmocka_unit_test(a_dictionary_is_described_with_its_id),
      cmocka_unit_test(old_metadata_and_small_alignment_are_told),
      cmocka_unit_test(a_buffer_outside_the_body_is_refused),
      cmocka_unit_test(a_compressed_length_that_cannot_be_is_refused),
      cmocka_unit_test(a_body_that_is_cut_is_refused),
      cmocka_unit_test(metadata_cut_anywhere_is_refused_or_read),
      cmocka_unit_test(metadata_with_a_changed_byte_is_refused_or_read),
      cmocka_unit_test(a_footer_is_described_with_its_place_and_schema),
      cmocka_unit_test(a_footer_that_is_none_is_refused),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
