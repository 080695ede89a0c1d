/* FlightData that is read: fields in any order and cut anywhere, what is not known skipped, lengths
 * believed no further than what has arrived. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arriving.h"
#include "flight/flown.h"

static const struct ipc_limits limits = {
    .metadata_bytes_max = 64, .body_bytes_max = 16 << 20, .decoded_bytes_max = 16 << 20};

static struct flight_data_reader *new_reader(void) {
  struct flight_data_reader *reader = NULL;
  assert_int_equal(flight_data_reader_new(&limits, &flown_budget, &reader, NULL), STATUS_OK);
  return reader;
}

/* Reads the message, at most `first` bytes before the rest comes, of which at most `step`. */
static enum status read_cut(struct flight_data_reader *reader, const uint8_t *bytes, int64_t size,
                            int64_t first, int64_t step, struct flight_data *data,
                            struct error *error) {
  bool whole = false;
  int64_t at = 0;
  enum status status = flight_data_reader_begin(reader, size, error);
  if (status == STATUS_OK && size == 0)
    status = flight_data_reader_filled(reader, 0, &whole, error);
  while (status == STATUS_OK && at < size) {
    uint8_t *window = NULL;
    int64_t room = 0;
    status = flight_data_reader_window(reader, &window, &room, error);
    if (status != STATUS_OK) break;
    assert_in_range(room, 1, size - at);
    int64_t most = at < first ? first - at : step;
    if (room > most) room = most;
    memcpy(window, bytes + at, (size_t)room);
    at += room;
    status = flight_data_reader_filled(reader, room, &whole, error);
    if (status == STATUS_OK) assert_int_equal(whole, at == size);
  }
  if (status == STATUS_OK) flight_data_reader_take(reader, data);
  return status;
}

static void expect_bytes(const struct buffer *buffer, const char *want) {
  if (want == NULL) want = "";
  assert_int_equal(buffer->size_bytes, strlen(want));
  if (buffer->size_bytes > 0) assert_memory_equal(buffer->data, want, strlen(want));
}

/* ---- what is taken ------------------------------------------------------------------------------ */

#define BODY_TAG    "\xC2\x3E"
#define BYTES(text) text, sizeof text - 1

static const struct good {
  const char *bytes;
  size_t size;
  const char *descriptor;
  const char *header;
  const char *app_metadata; /* NULL: none came */
  const char *body;
} good[] = {

    {BYTES(""), NULL, NULL, NULL, NULL},
    {BYTES("\x12\x02hh"), NULL, "hh", NULL, NULL},
    {BYTES("\x0A\x03"
           "ddd\x12\x02hh\x1A\x01"
           "a" BODY_TAG "\x04"
           "bbbb"),
     "ddd", "hh", "a", "bbbb"},
    {BYTES(BODY_TAG "\x04"
                    "bbbb\x1A\x01"
                    "a\x12\x02hh\x0A\x03"
                    "ddd"),
     "ddd", "hh", "a", "bbbb"},
    /* the last one holds */
    {BYTES("\x12\x02hh\x1A\x01"
           "a\x12\x05longe\x1A\x02"
           "xy" BODY_TAG "\x02"
           "bb" BODY_TAG "\x01"
           "c"),
     NULL, "longe", "xy", "c"},
    {BYTES("\x12\x02hh\x12\x00"), NULL, NULL, NULL, NULL},
    /* there, and empty */
    {BYTES("\x1A\x00"), NULL, NULL, "", NULL},
    {BYTES("\x12\x01h" BODY_TAG "\x00"), NULL, "h", NULL, NULL},
    {BYTES(BODY_TAG "\x00"), NULL, NULL, NULL, NULL},
    /* not known: a varint, 8 bytes, bytes, no bytes, 4 bytes, a large number */
    {BYTES("\x20\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x29"
           "12345678\x32\x05skip!\x32\x00\x3D"
           "1234\xFA\xFF\xFF\xFF\x0F\x01x\x12\x02hh"),
     NULL, "hh", NULL, NULL},
    /* numbers may be longer than they need */
    {BYTES("\x92\x00\x82\x80\x80\x80\x00hh"), NULL, "hh", NULL, NULL},
};

static void fields_come_in_any_order_and_cut_anywhere(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    const struct good *each = &good[i];
    struct flight_data_reader *reader = new_reader();
    int64_t offset_bytes = 0;
    for (int64_t first = 0; first <= (int64_t)each->size; first++) {
      for (int64_t step = 1; step < 4; step++) {
        struct flight_data data;
        struct error error = {.text = ""};
        if (read_cut(reader, (const uint8_t *)each->bytes, (int64_t)each->size, first, step, &data,
                     &error) != STATUS_OK)
          fail_msg("case %zu: %s", i, error.text);
        expect_bytes(&data.descriptor, each->descriptor);
        expect_bytes(&data.message.metadata, each->header);
        expect_bytes(&data.message.body, each->body);
        expect_bytes(&data.app_metadata, each->app_metadata);
        assert_int_equal(data.has_app_metadata, each->app_metadata != NULL);
        assert_int_equal(data.message.offset_bytes, offset_bytes);
        offset_bytes += 5 + (int64_t)each->size;
        flight_data_release(&data);
      }
    }
    flight_data_reader_free(reader);
    assert_int_equal(flown_budget.used_bytes, 0);
  }
}

/* ---- what is refused ---------------------------------------------------------------------------- */

static void what_is_broken_is_refused_by_name_and_byte(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t size;
    enum status status;
    const char *text;
  } bad[] = {
      {BYTES("\x12"), STATUS_INVALID, "at its byte 1 of 1 it ends inside of a field"},
      {BYTES("\x92"), STATUS_INVALID, "it ends inside of a field"},
      {BYTES("\x12\x80"), STATUS_INVALID, "it ends inside of a field"},
      {BYTES("\x12\x03hh"), STATUS_INVALID, "a field ends behind its end"},
      {BYTES("\x32\x03hh"), STATUS_INVALID, "a field ends behind its end"},
      {BYTES("\x29"
             "1234567"),
       STATUS_INVALID, "a field ends behind its end"},
      {BYTES("\x20"), STATUS_INVALID, "it ends inside of a field"},
      {BYTES("\x12\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), STATUS_INVALID, "behind its end"},
      {BYTES("\x12\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02"), STATUS_INVALID, "than 64 bits"},
      {BYTES("\x12\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), STATUS_INVALID, "64 bits"},
      {BYTES("\x02\x01x"), STATUS_INVALID, "no field of such a number"},
      {BYTES("\x82\x80\x80\x80\x10\x01x"), STATUS_INVALID, "no field of such a number"},
      {BYTES("\x10\x01"), STATUS_INVALID, "data_header: the FlightData message at byte 0"},
      {BYTES("\xC0\x3E\x01"), STATUS_INVALID, "data_body: the FlightData message at byte 0"},
      {BYTES("\x33\x34"), STATUS_INVALID, "a wire type that is not known"},
      {BYTES("\x37\x00"), STATUS_INVALID, "a wire type that is not known"},
      {BYTES(BODY_TAG "\x01"
                      "b"),
       STATUS_INVALID, "has a data_body of 1 bytes and no data_header"},
      {BYTES("\x12\x41"
             "01234567890123456789012345678901234567890123456789012345678901234"),
       STATUS_TOO_LARGE,
       "data_header of the FlightData message at byte 0 has 65 bytes; at most 64"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    for (int64_t first = 0; first <= (int64_t)bad[i].size; first++) {
      struct flight_data_reader *reader = new_reader();
      struct flight_data data;
      struct error error = {.text = ""};
      assert_int_equal(read_cut(reader, (const uint8_t *)bad[i].bytes, (int64_t)bad[i].size, first,
                                2, &data, &error),
                       bad[i].status);
      if (strstr(error.text, bad[i].text) == NULL) fail_msg("case %zu says: %s", i, error.text);
      flight_data_reader_free(reader);
      assert_int_equal(flown_budget.used_bytes, 0);
    }
  }
}

static void a_message_beyond_the_limits_is_not_begun(void **state) {
  (void)state;
  struct flight_data_reader *reader = new_reader();
  struct error error = {.text = ""};
  int64_t most = limits.metadata_bytes_max + limits.body_bytes_max + 4 * FLIGHT_SMALL_BYTES_MAX;
  assert_int_equal(flight_data_reader_begin(reader, most + 1, &error), STATUS_TOO_LARGE);
  assert_non_null(strstr(error.text, "send smaller record batches"));
  assert_int_equal(flight_data_reader_begin(reader, most, &error), STATUS_OK);
  flight_data_reader_free(reader);
}

/* ---- memory ------------------------------------------------------------------------------------- */

/* Puts tag and length of a body behind a header, in one message; the window is in the body then. */
static int64_t begin_body(struct flight_data_reader *reader, int64_t body_bytes) {
  uint8_t head[16] = {0x12, 1, 'h', 0xC2, 0x3E};
  size_t at = 5;
  bool whole = false;
  for (int64_t left = body_bytes; left > 0; left >>= 7)
    head[at++] = (uint8_t)((left & 0x7F) | (left >= 0x80 ? 0x80 : 0));
  assert_int_equal(flight_data_reader_begin(reader, (int64_t)at + body_bytes, NULL), STATUS_OK);
  for (size_t done = 0; done < at;) {
    uint8_t *window;
    int64_t room;
    assert_int_equal(flight_data_reader_window(reader, &window, &room, NULL), STATUS_OK);
    memcpy(window, head + done, (size_t)room);
    done += (size_t)room;
    assert_true(done <= at);
    assert_int_equal(flight_data_reader_filled(reader, room, &whole, NULL), STATUS_OK);
  }
  return flight_data_reader_held(reader);
}

static void fill_body(struct flight_data_reader *reader, struct flight_data *data, int *rooms) {
  const uint8_t *last = NULL;
  for (bool whole = false; !whole;) {
    uint8_t *window;
    int64_t room;
    assert_int_equal(flight_data_reader_window(reader, &window, &room, NULL), STATUS_OK);
    *rooms += window != last;
    memset(window, 'b', (size_t)room);
    last = window + room;
    assert_int_equal(flight_data_reader_filled(reader, room, &whole, NULL), STATUS_OK);
  }
  flight_data_reader_take(reader, data);
}

static void room_grows_with_what_has_arrived(void **state) {
  (void)state;
  struct flight_data_reader *reader = new_reader();
  int64_t before = begin_body(reader, limits.body_bytes_max);
  assert_in_range(before, 1, 4096);
  assert_int_equal(flight_data_reader_wants(reader), ARRIVING_FIRST_BYTES);
  uint8_t *window;
  int64_t room;
  assert_int_equal(flight_data_reader_window(reader, &window, &room, NULL), STATUS_OK);
  assert_int_equal(room, ARRIVING_FIRST_BYTES);
  assert_int_equal((uintptr_t)window % 64, 0);
  assert_int_equal(flight_data_reader_wants(reader), 0);
  assert_int_equal(flown_budget.used_bytes, before + ARRIVING_FIRST_BYTES);
  flight_data_reader_free(reader);
  assert_int_equal(flown_budget.used_bytes, 0);
}

/* A peer that has sent as much before is given the room at once: nothing is copied then. */
static void the_second_large_body_is_written_once(void **state) {
  (void)state;
  struct flight_data_reader *reader = new_reader();
  struct flight_data data;
  int rooms = 0;
  begin_body(reader, limits.body_bytes_max);
  fill_body(reader, &data, &rooms);
  assert_int_equal(rooms, 3);
  flight_data_release(&data);
  rooms = 0;
  begin_body(reader, limits.body_bytes_max);
  fill_body(reader, &data, &rooms);
  assert_int_equal(rooms, 1);
  assert_int_equal(data.message.body.size_bytes, limits.body_bytes_max);
  flight_data_release(&data);
  flight_data_reader_free(reader);
  assert_int_equal(flown_budget.used_bytes, 0);
}

static void a_refusal_by_the_budget_may_be_repeated(void **state) {
  (void)state;
  struct flight_data_reader *reader = new_reader();
  struct flight_data data;
  uint8_t *window;
  int64_t room;
  int rooms = 0;
  begin_body(reader, 1000);
  flown_budget.limit_bytes = flown_budget.used_bytes + 999;
  for (int i = 0; i < 3; i++)
    assert_int_equal(flight_data_reader_window(reader, &window, &room, NULL), STATUS_BUDGET);
  assert_int_equal(flight_data_reader_wants(reader), 1000);
  flown_budget.limit_bytes = INT64_MAX;
  fill_body(reader, &data, &rooms);
  assert_int_equal(data.message.body.size_bytes, 1000);
  flight_data_release(&data);
  flight_data_reader_free(reader);
  assert_int_equal(flown_budget.used_bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fields_come_in_any_order_and_cut_anywhere),
      cmocka_unit_test(what_is_broken_is_refused_by_name_and_byte),
      cmocka_unit_test(a_message_beyond_the_limits_is_not_begun),
      cmocka_unit_test(room_grows_with_what_has_arrived),
      cmocka_unit_test(the_second_large_body_is_written_once),
      cmocka_unit_test(a_refusal_by_the_budget_may_be_repeated),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
