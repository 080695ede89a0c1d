/* Large compressed bodies are expanded by several threads: the same values come of it, the
 * same errors, and nothing is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "arrow/array.h"
#include "arrow/build.h"
#include "arrow/ipc.h"
#include "arrow/messages.h"

enum { COLUMNS = 8, ROWS = 20000 };

static struct ArrowSchema make_schema(void) {
  struct ArrowSchema schema = {.release = NULL};
  assert_int_equal(arrow_schema_init(&schema, "+s", "", false, COLUMNS, NULL), STATUS_OK);
  for (int i = 0; i < COLUMNS; i++) {
    char name[8];
    snprintf(name, sizeof name, "c%d", i);
    assert_int_equal(arrow_schema_init(schema.children[i], "l", name, true, 0, NULL), STATUS_OK);
  }
  return schema;
}

/* One compressed batch of 1.3 MB. */
static struct messages make_messages(const struct ArrowSchema *schema,
                                     enum ipc_compression compression) {
  struct build *build = new_build(schema);
  for (int64_t row = 0; row < ROWS; row++) {
    for (int i = 0; i < COLUMNS; i++)
      assert_int_equal(build_integer(build_child(build, i), row * row % 1000 + i, NULL), STATUS_OK);
    end_row(build);
  }
  struct ArrowArray batch = finish_batch(build);
  return write_messages(schema, &batch, 1, compression);
}

/* A message with memory of its own, so that it can be damaged and decoded more than once. */
static struct ipc_message copy_message(const struct ipc_message *message) {
  struct ipc_message copy = {.offset_bytes = message->offset_bytes};
  assert_int_equal(buffer_append(&copy.metadata, &messages_budget, message->metadata.data,
                                 message->metadata.size_bytes, NULL),
                   STATUS_OK);
  assert_int_equal(buffer_append(&copy.body, &messages_budget, message->body.data,
                                 message->body.size_bytes, NULL),
                   STATUS_OK);
  return copy;
}

struct outcome {
  enum status status;
  struct error error;
  struct ArrowArray batch;
};

/* Decodes schema and batch; byte `damaged` of the body is another one (-1: none). */
static struct outcome decode(const struct messages *messages, struct workers *workers,
                             struct budget *budget, int64_t damaged) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_decoder *decoder = NULL;
  struct outcome outcome = {.status = STATUS_OK};
  assert_int_equal(ipc_decoder_new(&limits, budget, &decoder, NULL), STATUS_OK);
  ipc_decoder_use_workers(decoder, workers);
  for (int i = 0; i < 2 && outcome.status == STATUS_OK; i++) {
    enum ipc_event event;
    struct ipc_message message = copy_message(&messages->list[i]);
    if (i == 1 && damaged >= 0) message.body.data[damaged] ^= 0x5A;
    outcome.status = ipc_decoder_decode(decoder, &message, &event, &outcome.batch, &outcome.error);
    if (outcome.status != STATUS_OK) ipc_message_release(&message);
  }
  ipc_decoder_free(decoder);
  return outcome;
}

static const enum ipc_compression compressions[] = {IPC_COMPRESSION_LZ4, IPC_COMPRESSION_ZSTD};

static void several_threads_expand_to_the_same_values(void **state) {
  (void)state;
  struct ArrowSchema schema = make_schema();
  struct workers *workers = NULL;
  assert_int_equal(workers_new(3, &workers, NULL), STATUS_OK);
  for (int c = 0; c < 2; c++) {
    struct messages messages = make_messages(&schema, compressions[c]);
    struct outcome alone = decode(&messages, NULL, &messages_budget, -1);
    assert_int_equal(alone.status, STATUS_OK);
    for (int i = 0; i < 20; i++) {
      struct outcome together = decode(&messages, workers, &messages_budget, -1);
      assert_int_equal(together.status, STATUS_OK);
      assert_true(arrow_array_equal(&schema, &alone.batch, &together.batch, NULL));
      arrow_array_release(&together.batch);
    }
    arrow_array_release(&alone.batch);
    release_messages(&messages);
  }
  workers_free(workers);
  arrow_schema_release(&schema);
  assert_int_equal(messages_budget.used_bytes, 0);
}

static void a_broken_buffer_is_the_same_error_on_several_threads(void **state) {
  (void)state;
  enum { TRIES = 60 };
  struct ArrowSchema schema = make_schema();
  struct workers *workers = NULL;
  int refused = 0;
  assert_int_equal(workers_new(3, &workers, NULL), STATUS_OK);
  for (int c = 0; c < 2; c++) {
    struct messages messages = make_messages(&schema, compressions[c]);
    int64_t body_bytes = messages.list[1].body.size_bytes;
    for (int i = 0; i < TRIES; i++) {
      int64_t damaged = body_bytes / TRIES * i;
      struct outcome alone = decode(&messages, NULL, &messages_budget, damaged);
      struct outcome together = decode(&messages, workers, &messages_budget, damaged);
      assert_int_equal(together.status, alone.status);
      if (alone.status != STATUS_OK) {
        assert_string_equal(together.error.text, alone.error.text);
        refused++;
        continue;
      }
      assert_true(arrow_array_equal(&schema, &alone.batch, &together.batch, NULL));
      arrow_array_release(&alone.batch);
      arrow_array_release(&together.batch);
    }
    release_messages(&messages);
  }
  assert_true(refused > TRIES / 2);
  workers_free(workers);
  arrow_schema_release(&schema);
  assert_int_equal(messages_budget.used_bytes, 0);
}

static void too_little_memory_is_refused_and_may_be_tried_again(void **state) {
  (void)state;
  struct ArrowSchema schema = make_schema();
  struct messages messages = make_messages(&schema, IPC_COMPRESSION_ZSTD);
  struct workers *workers = NULL;
  assert_int_equal(workers_new(3, &workers, NULL), STATUS_OK);
  struct budget small = {.limit_bytes = (int64_t)COLUMNS * ROWS * 8 / 2};
  struct outcome outcome = decode(&messages, workers, &small, -1);
  assert_int_equal(outcome.status, STATUS_BUDGET);
  assert_int_equal(small.used_bytes, 0);
  small.limit_bytes *= 3;
  outcome = decode(&messages, workers, &small, -1);
  assert_int_equal(outcome.status, STATUS_OK);
  arrow_array_release(&outcome.batch);
  assert_int_equal(small.used_bytes, 0);
  workers_free(workers);
  release_messages(&messages);
  arrow_schema_release(&schema);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(several_threads_expand_to_the_same_values),
      cmocka_unit_test(a_broken_buffer_is_the_same_error_on_several_threads),
      cmocka_unit_test(too_little_memory_is_refused_and_may_be_tried_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
