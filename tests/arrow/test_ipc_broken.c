/* Streams and files that were cut or damaged on their way: what is cut is refused; what
 * is damaged is refused, or yields arrays that can be walked to their last value. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arrow/array_walk.h"
#include "arrow/read_all.h"

/* Small ones of every family, with and without compression, of three framings. */
static const char *const samples[] = {
    "1.0.0-littleendian/generated_null_trivial",
    "0.14.1/generated_decimal",
    "2.0.0-compression/generated_uncompressible_zstd",
    "2.0.0-compression/generated_uncompressible_lz4",
    "4.0.0-shareddict/generated_shared_dict",
    "1.0.0-littleendian/generated_map_non_canonical",
    "1.0.0-littleendian/generated_null",
    "2.0.0-compression/generated_zstd",
    "2.0.0-compression/generated_lz4",
    "1.0.0-littleendian/generated_dictionary_unsigned",
    "1.0.0-littleendian/generated_interval",
    "1.0.0-littleendian/generated_nested",
    "1.0.0-littleendian/generated_nested_dictionary",
    "1.0.0-littleendian/generated_primitive_large_offsets",
};
enum { SAMPLE_COUNT = sizeof samples / sizeof samples[0] };

static struct budget budget = {.limit_bytes = 64 << 20};

static struct buffer load(const char *sample, const char *ending) {
  char name[256];
  snprintf(name, sizeof name, "arrow-ipc/%s%s", sample, ending);
  return test_data(name, &budget);
}

typedef enum status (*reader)(const void *data, int64_t bytes, struct budget *budget,
                              struct read_all *all, struct error *error);

static enum status read_stream(const void *data, int64_t bytes, struct budget *from,
                               struct read_all *all, struct error *error) {
  struct read_all_options options = {.eos_optional = false};
  return read_all_stream(data, bytes, &options, from, all, error);
}

static enum status read_stream_without_end(const void *data, int64_t bytes, struct budget *from,
                                           struct read_all *all, struct error *error) {
  struct read_all_options options = {.eos_optional = true};
  return read_all_stream(data, bytes, &options, from, all, error);
}

/* ---- cut ------------------------------------------------------------------------------- */

/* A cut of its own memory, so that a sanitizer sees who reads past it. */
static enum status read_cut(const struct buffer *whole, int64_t bytes, reader read,
                            struct read_all *all, struct error *error) {
  uint8_t *cut = malloc((size_t)bytes + 1);
  assert_non_null(cut);
  memcpy(cut, whole->data, (size_t)bytes);
  uint8_t *exact = realloc(cut, bytes > 0 ? (size_t)bytes : 1);
  assert_non_null(exact);
  enum status status = read(exact, bytes, &budget, all, error);
  free(exact);
  return status;
}

static void check_cuts(reader read, const char *sample, const char *ending) {
  struct buffer whole = load(sample, ending);
  int64_t before = budget.used_bytes;
  for (int64_t bytes = 0; bytes < whole.size_bytes; bytes++) {
    struct read_all all;
    struct error error = {0};
    enum status status = read_cut(&whole, bytes, read, &all, &error);
    if (status != STATUS_INVALID || error.text[0] == '\0')
      fail_msg("%s%s cut to %" PRId64 " bytes: %s, '%s'", sample, ending, bytes,
               status_name(status), error.text);
    read_all_release(&all);
    assert_int_equal(budget.used_bytes, before);
  }
  buffer_release(&whole);
}

static void a_stream_cut_at_any_byte_is_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < SAMPLE_COUNT; i++) {
    struct buffer whole = load(samples[i], ".stream");
    /* Some old writers leave the marker out, or write it in 4 bytes: cuts inside it too
     * must be refused. */
    struct read_all all;
    assert_int_equal(read_stream(whole.data, whole.size_bytes, &budget, &all, NULL), STATUS_OK);
    read_all_release(&all);
    buffer_release(&whole);
    check_cuts(read_stream, samples[i], ".stream");
  }
}

static void a_file_cut_at_any_byte_is_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < SAMPLE_COUNT; i++) check_cuts(read_all_file, samples[i], ".arrow_file");
}

/* Where a message of the stream ends; returns how many there are. */
static int find_ends(const struct buffer *whole, int64_t *ends, int room) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_framer *framer = NULL;
  int count = 0;
  assert_int_equal(ipc_framer_new(&limits, &budget, &framer, NULL), STATUS_OK);
  for (int64_t at = 0; at < whole->size_bytes;) {
    uint8_t *window = NULL;
    int64_t bytes = 0;
    enum ipc_frame frame = IPC_FRAME_PARTIAL;
    assert_int_equal(ipc_framer_window(framer, &window, &bytes, NULL), STATUS_OK);
    assert_true(bytes <= whole->size_bytes - at);
    memcpy(window, whole->data + at, (size_t)bytes);
    assert_int_equal(ipc_framer_filled(framer, bytes, &frame, NULL), STATUS_OK);
    at += bytes;
    if (frame != IPC_FRAME_MESSAGE) continue;
    struct ipc_message message;
    ipc_framer_take(framer, &message);
    ipc_message_release(&message);
    assert_true(count < room);
    ends[count++] = at;
  }
  ipc_framer_free(framer);
  return count;
}

static void with_eos_optional_a_stream_may_end_between_messages_only(void **state) {
  (void)state;
  struct buffer whole = load("1.0.0-littleendian/generated_dictionary", ".stream");
  int64_t ends[16];
  int count = find_ends(&whole, ends, 16);
  assert_true(count > 3);
  int next = 0;
  for (int64_t bytes = 0; bytes < whole.size_bytes; bytes++) {
    struct read_all all;
    enum status status = read_cut(&whole, bytes, read_stream_without_end, &all, NULL);
    bool is_between = next < count && ends[next] == bytes;
    next += is_between;
    assert_int_equal(status, is_between ? STATUS_OK : STATUS_INVALID);
    read_all_release(&all);
  }
  assert_int_equal(next, count);
  buffer_release(&whole);
}

/* ---- damaged --------------------------------------------------------------------------- */

struct tally {
  int64_t refused;
  int64_t read;
};

static void check_damage(reader read, const char *name, const struct buffer *damaged, int64_t bit,
                         struct tally *tally) {
  struct read_all all;
  struct error error = {0};
  int64_t before = budget.used_bytes;
  enum status status = read(damaged->data, damaged->size_bytes, &budget, &all, &error);
  if (status == STATUS_INTERNAL || (status != STATUS_OK && error.text[0] == '\0'))
    fail_msg("%s with bit %" PRId64 " flipped: %s '%s'", name, bit, status_name(status),
             error.text);
  for (int64_t i = 0; i < all.batch_count; i++) {
    const char *broken = array_walk(&all.schema, &all.batches[i], NULL);
    if (broken != NULL) fail_msg("%s with bit %" PRId64 " flipped: not so: %s", name, bit, broken);
  }
  read_all_release(&all);
  assert_int_equal(budget.used_bytes, before);
  tally->refused += status != STATUS_OK;
  tally->read += status == STATUS_OK;
}

static void check_flips(reader read, const char *sample, const char *ending, struct tally *tally) {
  struct buffer damaged = load(sample, ending);
  for (int64_t bit = 0; bit < 8 * damaged.size_bytes; bit++) {
    damaged.data[bit / 8] ^= (uint8_t)(1 << (bit % 8));
    check_damage(read, sample, &damaged, bit, tally);
    damaged.data[bit / 8] ^= (uint8_t)(1 << (bit % 8));
  }
  buffer_release(&damaged);
}

static void a_stream_with_any_bit_flipped_is_refused_or_can_be_walked(void **state) {
  (void)state;
  struct tally tally = {0};
  for (size_t i = 0; i < SAMPLE_COUNT; i++) check_flips(read_stream, samples[i], ".stream", &tally);
  assert_true(tally.refused > 1000 && tally.read > 1000);
}

static void a_file_with_any_bit_flipped_is_refused_or_can_be_walked(void **state) {
  (void)state;
  struct tally tally = {0};
  for (size_t i = 0; i < 6; i++) check_flips(read_all_file, samples[i], ".arrow_file", &tally);
  assert_true(tally.refused > 1000 && tally.read > 1000);
}

/* Lengths and offsets are where a parser trusts too much: each aligned word becomes the
 * numbers that overflow. */
static void a_stream_with_any_word_at_its_extremes_is_refused_or_can_be_walked(void **state) {
  (void)state;
  static const uint64_t extremes[] = {
      0,
      1,
      INT32_MAX,
      UINT32_MAX,
      UINT64_C(1) << 31,
      UINT64_C(1) << 32,
      UINT64_C(1) << 62,
      INT64_MAX,
      UINT64_C(1) << 63,
      UINT64_MAX,
      UINT64_MAX - 7,
  };
  struct tally tally = {0};
  for (size_t i = 0; i < SAMPLE_COUNT; i++) {
    struct buffer damaged = load(samples[i], ".stream");
    for (int64_t at = 0; at + 8 <= damaged.size_bytes; at += 4) {
      uint64_t word;
      memcpy(&word, damaged.data + at, sizeof word);
      for (size_t k = 0; k < sizeof extremes / sizeof extremes[0]; k++) {
        memcpy(damaged.data + at, &extremes[k], sizeof extremes[k]);
        check_damage(read_stream, samples[i], &damaged, 8 * at, &tally);
      }
      memcpy(damaged.data + at, &word, sizeof word);
    }
    buffer_release(&damaged);
  }
  assert_true(tally.refused > 1000 && tally.read > 1000);
}

static void release_exact(void *memory) { free(memory); }

/* A message whose metadata lies in memory of exactly its size: a sanitizer sees whoever
 * reads a byte past it. The decoder alone, as for messages that come ready cut. */
static void check_exact(struct ipc_decoder *decoder, const uint8_t *metadata, int64_t bytes,
                        const struct buffer *body) {
  uint8_t *exact = malloc(bytes > 0 ? (size_t)bytes : 1);
  struct ipc_message message = {.body = buffer_share(body)};
  struct ArrowArray batch = {.release = NULL};
  struct error error = {0};
  enum ipc_event event;
  assert_non_null(exact);
  memcpy(exact, metadata, (size_t)bytes);
  assert_int_equal(buffer_wrap(&message.metadata, exact, bytes, release_exact, exact, NULL),
                   STATUS_OK);
  enum status status = ipc_decoder_decode(decoder, &message, &event, &batch, &error);
  assert_int_not_equal(status, STATUS_INTERNAL);
  if (status != STATUS_OK) ipc_message_release(&message);
  if (batch.release == NULL) return;
  assert_null(array_walk(ipc_decoder_schema(decoder), &batch, NULL));
  arrow_array_release(&batch);
}

/* Cut anywhere, and with each bit flipped, while the decoder knows the schema. */
static void check_metadata(struct ipc_decoder *decoder, const struct ipc_message *message) {
  int64_t bytes = message->metadata.size_bytes;
  for (int64_t cut = 0; cut < bytes; cut++)
    check_exact(decoder, message->metadata.data, cut, &message->body);
  for (int64_t bit = 0; bit < 8 * bytes; bit++) {
    message->metadata.data[bit / 8] ^= (uint8_t)(1 << (bit % 8));
    check_exact(decoder, message->metadata.data, bytes, &message->body);
    message->metadata.data[bit / 8] ^= (uint8_t)(1 << (bit % 8));
  }
}

/* The sample's messages one after the other, each damaged before it is decoded whole. */
static void check_messages(const char *sample) {
  struct buffer whole = load(sample, ".stream");
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_framer *framer = NULL;
  struct ipc_decoder *decoder = NULL;
  assert_int_equal(ipc_framer_new(&limits, &budget, &framer, NULL), STATUS_OK);
  assert_int_equal(ipc_decoder_new(&limits, &budget, &decoder, NULL), STATUS_OK);
  for (int64_t at = 0; at < whole.size_bytes;) {
    uint8_t *window = NULL;
    int64_t bytes = 0;
    enum ipc_frame frame = IPC_FRAME_PARTIAL;
    assert_int_equal(ipc_framer_window(framer, &window, &bytes, NULL), STATUS_OK);
    if (bytes > whole.size_bytes - at) bytes = whole.size_bytes - at;
    memcpy(window, whole.data + at, (size_t)bytes);
    assert_int_equal(ipc_framer_filled(framer, bytes, &frame, NULL), STATUS_OK);
    at += bytes;
    if (frame != IPC_FRAME_MESSAGE) continue;
    struct ipc_message message;
    struct ArrowArray batch;
    enum ipc_event event;
    ipc_framer_take(framer, &message);
    if (ipc_decoder_schema(decoder) != NULL) check_metadata(decoder, &message);
    assert_int_equal(ipc_decoder_decode(decoder, &message, &event, &batch, NULL), STATUS_OK);
    arrow_array_release(&batch);
  }
  ipc_decoder_free(decoder);
  ipc_framer_free(framer);
  buffer_release(&whole);
  assert_int_equal(budget.used_bytes, 0);
}

static void damaged_metadata_is_never_read_past_its_end(void **state) {
  (void)state;
  check_messages("0.14.1/generated_decimal");
  check_messages("2.0.0-compression/generated_zstd");
  check_messages("1.0.0-littleendian/generated_nested_dictionary");
}

static struct ipc_decoder *fresh_decoder(void) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_decoder *decoder = NULL;
  assert_int_equal(ipc_decoder_new(&limits, &budget, &decoder, NULL), STATUS_OK);
  return decoder;
}

static void a_damaged_schema_is_never_read_past_its_end(void **state) {
  (void)state;
  struct buffer whole = load("1.0.0-littleendian/generated_custom_metadata", ".stream");
  struct buffer none = BUFFER_EMPTY;
  int32_t bytes; /* behind the continuation marker */
  memcpy(&bytes, whole.data + 4, sizeof bytes);
  for (int64_t cut = 0; cut < bytes; cut++) {
    struct ipc_decoder *decoder = fresh_decoder();
    check_exact(decoder, whole.data + 8, cut, &none);
    ipc_decoder_free(decoder);
  }
  for (int64_t bit = 0; bit < (int64_t)8 * bytes; bit++) {
    struct ipc_decoder *decoder = fresh_decoder();
    whole.data[8 + bit / 8] ^= (uint8_t)(1 << (bit % 8));
    check_exact(decoder, whole.data + 8, bytes, &none);
    whole.data[8 + bit / 8] ^= (uint8_t)(1 << (bit % 8));
    ipc_decoder_free(decoder);
  }
  buffer_release(&whole);
  assert_int_equal(budget.used_bytes, 0);
}

/* ---- without memory ---------------------------------------------------------------------- */

static void a_budget_that_is_too_small_is_an_error_and_leaks_nothing(void **state) {
  (void)state;
  for (size_t i = 0; i < SAMPLE_COUNT; i++) {
    struct buffer whole = load(samples[i], ".stream");
    enum status status = STATUS_BUDGET;
    for (int64_t limit = 0; status == STATUS_BUDGET; limit += 64) {
      struct budget small = {.limit_bytes = limit};
      struct read_all all;
      assert_true(limit <= 1 << 20);
      status = read_stream(whole.data, whole.size_bytes, &small, &all, NULL);
      read_all_release(&all);
      assert_int_equal(small.used_bytes, 0);
    }
    assert_int_equal(status, STATUS_OK);
    buffer_release(&whole);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_stream_cut_at_any_byte_is_refused),
      cmocka_unit_test(a_file_cut_at_any_byte_is_refused),
      cmocka_unit_test(with_eos_optional_a_stream_may_end_between_messages_only),
      cmocka_unit_test(a_stream_with_any_bit_flipped_is_refused_or_can_be_walked),
      cmocka_unit_test(a_file_with_any_bit_flipped_is_refused_or_can_be_walked),
      cmocka_unit_test(a_stream_with_any_word_at_its_extremes_is_refused_or_can_be_walked),
      cmocka_unit_test(damaged_metadata_is_never_read_past_its_end),
      cmocka_unit_test(a_damaged_schema_is_never_read_past_its_end),
      cmocka_unit_test(a_budget_that_is_too_small_is_an_error_and_leaks_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
