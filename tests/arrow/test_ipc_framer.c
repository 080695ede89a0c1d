/* Where a stream's bytes go, where its messages end, and what a peer's announcements
 * cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "arrow/ipc.h"
#include "arrow/read_all.h"

static struct budget budget = {.limit_bytes = 64 << 20};

static const uint8_t end_marker[] = {0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0};

static struct ipc_framer *new_framer(const struct ipc_limits *limits) {
  struct ipc_framer *framer = NULL;
  assert_int_equal(ipc_framer_new(limits, &budget, &framer, NULL), STATUS_OK);
  return framer;
}

/* Feeds bytes until they are over, a message is whole, the end has come, or it fails. */
static enum status feed(struct ipc_framer *framer, const uint8_t *data, int64_t bytes,
                        int64_t *used, enum ipc_frame *frame, struct error *error) {
  enum status status = STATUS_OK;
  *frame = IPC_FRAME_PARTIAL;
  for (*used = 0; *used < bytes && status == STATUS_OK && *frame == IPC_FRAME_PARTIAL;) {
    uint8_t *window = NULL;
    int64_t room = 0;
    status = ipc_framer_window(framer, &window, &room, error);
    if (status != STATUS_OK) break;
    assert_true(room >= 1);
    if (room > bytes - *used) room = bytes - *used;
    memcpy(window, data + *used, (size_t)room);
    status = ipc_framer_filled(framer, room, frame, error);
    *used += room;
  }
  return status;
}

static struct buffer sample(void) {
  return test_data("arrow-ipc/1.0.0-littleendian/generated_dictionary.stream", &budget);
}

static void messages_come_out_with_their_place_and_what_they_hold(void **state) {
  (void)state;
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct buffer stream = sample();
  struct ipc_framer *framer = new_framer(&limits);
  int64_t at = 0;
  int messages = 0;
  enum ipc_frame frame = IPC_FRAME_PARTIAL;
  while (frame != IPC_FRAME_END) {
    int64_t used = 0;
    int64_t start = at;
    assert_int_equal(feed(framer, stream.data + at, stream.size_bytes - at, &used, &frame, NULL),
                     STATUS_OK);
    at += used;
    if (frame != IPC_FRAME_MESSAGE) continue;
    struct ipc_message message;
    ipc_framer_take(framer, &message);
    assert_int_equal(message.offset_bytes, start);
    assert_int_equal(8 + message.metadata.size_bytes + message.body.size_bytes, used);
    assert_memory_equal(message.metadata.data, stream.data + start + 8,
                        (size_t)message.metadata.size_bytes);
    if (message.body.size_bytes > 0)
      assert_memory_equal(message.body.data, stream.data + start + 8 + message.metadata.size_bytes,
                          (size_t)message.body.size_bytes);
    ipc_message_release(&message);
    messages++;
  }
  assert_int_equal(at, stream.size_bytes);
  assert_true(messages >= 4);
  assert_int_equal(ipc_framer_finish(framer, false, NULL), STATUS_OK);
  ipc_framer_free(framer);
  buffer_release(&stream);
  assert_int_equal(budget.used_bytes, 0);
}

static void bytes_after_the_end_are_an_error(void **state) {
  (void)state;
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_framer *framer = new_framer(&limits);
  enum ipc_frame frame;
  int64_t used = 0;
  struct error error = {0};
  assert_int_equal(feed(framer, end_marker, sizeof end_marker, &used, &frame, NULL), STATUS_OK);
  assert_int_equal(frame, IPC_FRAME_END);
  assert_int_equal(feed(framer, end_marker, 1, &used, &frame, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "end-of-stream"));
  ipc_framer_free(framer);
}

static void what_is_not_a_stream_is_refused_at_once(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    const char *said;
  } cases[] = {
      {"ARROW1\0\0", "stream"},
      {"PAR1....", "stream"},
      {"id,name\n", "stream"},
      {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", "byte 0"},
      {"\xFF\xFF\xFF\xFF\x04\0\0\0junk", "byte 0"},
      {"\xFF\xFF\xFF\xFF\x08\0\0\0junkjunk", "byte 0"},
  };
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ipc_framer *framer = new_framer(&limits);
    enum ipc_frame frame;
    int64_t used = 0;
    struct error error = {0};
    int64_t bytes = i < 4 ? 8 : i == 4 ? 12 : 16;
    assert_int_equal(feed(framer, (const uint8_t *)cases[i].bytes, bytes, &used, &frame, &error),
                     STATUS_INVALID);
    if (strstr(error.text, cases[i].said) == NULL)
      fail_msg("\"%s\" does not say \"%s\"", error.text, cases[i].said);
    ipc_framer_free(framer);
  }
  assert_int_equal(budget.used_bytes, 0);
}

/* The prefix and metadata of the sample's first record batch or dictionary, its body's
 * length set to `body_bytes`. */
static struct buffer announce(int64_t body_bytes) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct buffer stream = sample();
  struct ipc_framer *framer = new_framer(&limits);
  struct buffer out = BUFFER_EMPTY;
  enum ipc_frame frame;
  int64_t at = 0;
  int64_t used = 0;
  struct ipc_message message;
  for (int i = 0; i < 2; i++) { /* the schema, then one with a body */
    assert_int_equal(feed(framer, stream.data + at, stream.size_bytes - at, &used, &frame, NULL),
                     STATUS_OK);
    at += used;
    ipc_framer_take(framer, &message);
    if (i == 0) ipc_message_release(&message);
  }
  int64_t head_bytes = 8 + message.metadata.size_bytes;
  int64_t old_bytes = message.body.size_bytes;
  assert_int_equal(buffer_append(&out, &budget, stream.data + at - used, head_bytes, NULL),
                   STATUS_OK);
  int found = 0;
  for (int64_t i = 8; i + 8 <= out.size_bytes; i += 8) {
    int64_t word;
    memcpy(&word, out.data + i, sizeof word);
    if (word != old_bytes) continue;
    memcpy(out.data + i, &body_bytes, sizeof body_bytes);
    found++;
    break; /* the message's own table comes first */
  }
  assert_int_equal(found, 1);
  ipc_message_release(&message);
  buffer_release(&stream);
  ipc_framer_free(framer);
  return out;
}

static void an_announced_body_takes_no_more_memory_than_a_little_ahead_of_what_came(void **state) {
  (void)state;
  enum { FIRST_ROOM_BYTES = 4 << 20 };
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct buffer head = announce((int64_t)1 << 30);
  struct budget small = {.limit_bytes = (int64_t)1 << 40};
  struct ipc_framer *framer = NULL;
  enum ipc_frame frame;
  int64_t used = 0;
  assert_int_equal(ipc_framer_new(&limits, &small, &framer, NULL), STATUS_OK);
  assert_int_equal(feed(framer, head.data, head.size_bytes, &used, &frame, NULL), STATUS_OK);
  int64_t arrived = 0;
  while (arrived < 40 << 20) {
    uint8_t *window = NULL;
    int64_t room = 0;
    assert_int_equal(ipc_framer_window(framer, &window, &room, NULL), STATUS_OK);
    int64_t ahead = small.used_bytes - arrived;
    assert_true(ahead <= FIRST_ROOM_BYTES + arrived + 4096);
    assert_int_equal(ipc_framer_filled(framer, room, &frame, NULL), STATUS_OK);
    arrived += room;
  }
  ipc_framer_free(framer);
  assert_int_equal(small.used_bytes, 0);
  buffer_release(&head);
}

static void a_body_past_the_limit_is_refused_before_any_of_it_came(void **state) {
  (void)state;
  static const struct {
    int64_t body_bytes;
    enum status status;
  } cases[] = {
      {1000, STATUS_OK},
      {1001, STATUS_TOO_LARGE},
      {INT64_MAX, STATUS_TOO_LARGE},
      {(int64_t)1 << 62, STATUS_TOO_LARGE},
      {-1, STATUS_INVALID},
      {INT64_MIN, STATUS_INVALID},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ipc_limits limits = IPC_LIMITS_DEFAULT;
    limits.body_bytes_max = 1000;
    struct buffer head = announce(cases[i].body_bytes);
    struct ipc_framer *framer = new_framer(&limits);
    enum ipc_frame frame;
    int64_t used = 0;
    assert_int_equal(feed(framer, head.data, head.size_bytes, &used, &frame, NULL),
                     cases[i].status);
    ipc_framer_free(framer);
    buffer_release(&head);
  }
  assert_int_equal(budget.used_bytes, 0);
}

static void metadata_past_the_limit_is_refused(void **state) {
  (void)state;
  static const uint8_t prefix[] = {0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0x04, 0, 0};
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  limits.metadata_bytes_max = 1024;
  struct ipc_framer *framer = new_framer(&limits);
  enum ipc_frame frame;
  int64_t used = 0;
  struct error error = {0};
  assert_int_not_equal(feed(framer, prefix, sizeof prefix, &used, &frame, &error), STATUS_OK);
  assert_non_null(strstr(error.text, "1025"));
  ipc_framer_free(framer);
  assert_int_equal(budget.used_bytes, 0);
}

static void a_refused_window_may_be_asked_for_again(void **state) {
  (void)state;
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct buffer stream = sample();
  struct budget small = {.limit_bytes = 0};
  struct ipc_framer *framer = NULL;
  enum ipc_frame frame;
  int64_t used = 0;
  int64_t more = 0;
  assert_int_equal(ipc_framer_new(&limits, &small, &framer, NULL), STATUS_OK);
  assert_int_equal(feed(framer, stream.data, stream.size_bytes, &used, &frame, NULL),
                   STATUS_BUDGET);
  small.limit_bytes = 1 << 20;
  assert_int_equal(feed(framer, stream.data + used, stream.size_bytes - used, &more, &frame, NULL),
                   STATUS_OK);
  assert_int_equal(frame, IPC_FRAME_MESSAGE);
  ipc_framer_free(framer);
  assert_int_equal(small.used_bytes, 0);
  buffer_release(&stream);
}

static void an_empty_body_is_refused_even_when_the_end_is_optional(void **state) {
  (void)state;
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_framer *framer = new_framer(&limits);
  struct error error = {0};
  assert_int_equal(ipc_framer_finish(framer, true, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "empty"));
  ipc_framer_free(framer);
}

/* Whatever the bytes, cutting them in memory comes to what the framer comes to. */
static void compare_with_framer(const struct buffer *stream, bool eos_optional) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_framer *framer = new_framer(&limits);
  int64_t at = 0;
  int64_t position = 0;
  for (enum ipc_frame frame = IPC_FRAME_MESSAGE; frame == IPC_FRAME_MESSAGE;) {
    struct error framed = {0};
    struct error cut_error = {0};
    struct ipc_message message = {.offset_bytes = 0};
    struct ipc_message cut = {.offset_bytes = 0};
    enum ipc_frame cut_frame = IPC_FRAME_PARTIAL;
    int64_t used = 0;
    enum status status =
        feed(framer, stream->data + at, stream->size_bytes - at, &used, &frame, &framed);
    at += used;
    if (status == STATUS_OK && frame == IPC_FRAME_MESSAGE) ipc_framer_take(framer, &message);
    if (status == STATUS_OK && frame != IPC_FRAME_MESSAGE)
      status = ipc_framer_finish(framer, eos_optional, &framed);
    assert_int_equal(
        ipc_cut(stream, &limits, eos_optional, &position, &cut, &cut_frame, &cut_error), status);
    if (status != STATUS_OK) {
      assert_string_equal(cut_error.text, framed.text);
      frame = IPC_FRAME_END;
    } else {
      assert_int_equal(cut_frame == IPC_FRAME_MESSAGE, frame == IPC_FRAME_MESSAGE);
      assert_int_equal(position, at);
      if (frame == IPC_FRAME_MESSAGE) assert_int_equal(cut.offset_bytes, message.offset_bytes);
      assert_int_equal(cut.metadata.size_bytes, message.metadata.size_bytes);
      assert_int_equal(cut.body.size_bytes, message.body.size_bytes);
      if (message.body.size_bytes > 0)
        assert_memory_equal(cut.body.data, message.body.data, (size_t)message.body.size_bytes);
    }
    ipc_message_release(&message);
    ipc_message_release(&cut);
  }
  ipc_framer_free(framer);
}

static void cutting_in_memory_agrees_with_the_framer_at_every_length(void **state) {
  (void)state;
  struct buffer stream = sample();
  struct buffer part = stream;
  for (part.size_bytes = 0; part.size_bytes <= stream.size_bytes; part.size_bytes++) {
    compare_with_framer(&part, false);
    compare_with_framer(&part, true);
  }
  stream.data[stream.size_bytes - 1] = 1; /* the marker's length */
  compare_with_framer(&stream, false);
  buffer_release(&stream);
  assert_int_equal(budget.used_bytes, 0);
}

static void what_is_cut_shares_the_bytes(void **state) {
  (void)state;
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct buffer stream = sample();
  struct ipc_message message;
  enum ipc_frame frame;
  struct error error = {0};
  int64_t position = 0;
  int64_t held = budget.used_bytes;
  assert_int_equal(ipc_cut(&stream, &limits, false, &position, &message, &frame, NULL), STATUS_OK);
  assert_ptr_equal(message.metadata.data, stream.data + 8);
  assert_int_equal(budget.used_bytes, held);
  ipc_message_release(&message);
  struct buffer twice = BUFFER_EMPTY;
  assert_int_equal(buffer_append(&twice, &budget, stream.data, stream.size_bytes, NULL), STATUS_OK);
  assert_int_equal(buffer_append(&twice, &budget, "x", 1, NULL), STATUS_OK);
  position = stream.size_bytes - 8;
  assert_int_equal(ipc_cut(&twice, &limits, false, &position, &message, &frame, &error),
                   STATUS_INVALID);
  assert_non_null(strstr(error.text, "bytes follow"));
  buffer_release(&twice);
  buffer_release(&stream);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(messages_come_out_with_their_place_and_what_they_hold),
      cmocka_unit_test(bytes_after_the_end_are_an_error),
      cmocka_unit_test(what_is_not_a_stream_is_refused_at_once),
      cmocka_unit_test(an_announced_body_takes_no_more_memory_than_a_little_ahead_of_what_came),
      cmocka_unit_test(a_body_past_the_limit_is_refused_before_any_of_it_came),
      cmocka_unit_test(metadata_past_the_limit_is_refused),
      cmocka_unit_test(a_refused_window_may_be_asked_for_again),
      cmocka_unit_test(cutting_in_memory_agrees_with_the_framer_at_every_length),
      cmocka_unit_test(what_is_cut_shares_the_bytes),
      cmocka_unit_test(an_empty_body_is_refused_even_when_the_end_is_optional),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
