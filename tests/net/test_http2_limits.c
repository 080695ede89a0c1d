/* Floods: each kind of frame that costs the server more than the client. What is allowed passes,
 * one more ends the connection with ENHANCE_YOUR_CALM, and is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/h2_world.h"
#include "net/http2_limits.h"

static void assert_calm(struct h2_world *world, const char *why) {
  if (world->status == STATUS_OK) fail_msg("it was let through: %s", why);
  if (strstr(world->error.text, why) == NULL) fail_msg("'%s', not %s", world->error.text, why);
  assert_int_equal(world->stats.refused_floods, 1);
  /* GOAWAY is the last frame, and says so: its last four bytes are the code. */
  const uint8_t *end = world->to_client + world->to_client_bytes;
  assert_true(world->to_client_bytes >= 17);
  assert_int_equal(end[-14], NGHTTP2_GOAWAY);
  assert_int_equal(end[-1], NGHTTP2_ENHANCE_YOUR_CALM);
  assert_true(http2_over(world->http2));
  h2_end(world);
}

static struct h2_world *limited(void) {
  struct h2_world *world = h2_new();
  world->options.resets_per_s = 10;
  world->options.settings_per_s = 10;
  world->options.pings_per_s = 10;
  world->options.control_per_s = 10;
  world->options.empty_frames_per_s = 10;
  h2_start(world);
  world->clock_ms += 2000; /* the handshake is forgotten */
  h2_ask(world, "POST", "/count", NULL, NULL, -1);
  h2_to_server(world);
  return world;
}

static void test_frames_a_second(void **state) {
  (void)state;
  static const uint8_t zeros[16];
  static const uint8_t padded[9] = {8};
  static const uint8_t one[4] = {0, 0, 0, 1};
  static const struct {
    uint8_t type, flags;
    uint32_t id;
    const uint8_t *payload;
    size_t bytes;
    const char *why;
  } cases[] = {
      {NGHTTP2_PING, 0, 0, zeros, 8, "PING"},
      {NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, zeros, 8, "PING"},
      {NGHTTP2_SETTINGS, 0, 0, NULL, 0, "SETTINGS"},
      {NGHTTP2_PRIORITY, 0, 9, zeros, 5, "control"},
      {NGHTTP2_WINDOW_UPDATE, 0, 1, one, 4, "control"},
      {NGHTTP2_WINDOW_UPDATE, 0, 0, one, 4, "control"},
      {0x42, 0, 1, zeros, 16, "control"},
      {NGHTTP2_DATA, 0, 1, NULL, 0, "empty DATA"},
      {NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, padded, 9, "empty DATA"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    for (size_t piece = 0; piece < 12; piece += 5) {
      struct h2_world *world = limited();
      world->piece_bytes = piece;
      for (int round = 0; round < 3; round++) { /* ten a second are fine */
        for (int n = 0; n < 10; n++)
          h2_raw(world, cases[i].type, cases[i].flags, cases[i].id, cases[i].payload,
                 cases[i].bytes);
        h2_to_server(world);
        if (world->status != STATUS_OK) fail_msg("case %zu: %s", i, world->error.text);
        world->clock_ms += 1000;
      }
      for (int n = 0; n < 11; n++)
        h2_raw(world, cases[i].type, cases[i].flags, cases[i].id, cases[i].payload, cases[i].bytes);
      h2_to_server(world);
      assert_calm(world, cases[i].why);
    }
  }
}

static void test_data_is_no_flood(void **state) {
  (void)state;
  struct h2_world *world = limited();
  for (int i = 0; i < 1000; i++) h2_raw(world, NGHTTP2_DATA, 0, 1, "x", 1);
  h2_to_server(world);
  assert_int_equal(world->status, STATUS_OK);
  assert_int_equal(h2_seen(world, 0)->body_bytes, 1000);
  h2_end(world);
}

/* A client that reads a large answer opens its windows again and again. */
static void test_reading_is_no_flood(void **state) {
  (void)state;
  struct h2_world *world = limited();
  struct h2_call *call = h2_ask(world, "GET", "/stream?30000000", NULL, NULL, 0);
  h2_pump(world);
  assert_int_equal(world->status, STATUS_OK);
  assert_int_equal(call->body_bytes, 30000000);
  h2_end(world);
}

/* Windows opened byte by byte (CVE-2019-9511) are: a byte sent pays for nothing. */
static void test_data_dribble(void **state) {
  (void)state;
  static const uint8_t one[4] = {0, 0, 0, 1};
  struct h2_world *world = limited();
  world->take_body_windows = false;
  struct h2_call *call = h2_ask(world, "GET", "/stream?3000000", NULL, NULL, 0);
  assert_int_equal(nghttp2_submit_window_update(world->client, 0, 0, 1 << 20), 0);
  h2_pump(world);
  assert_int_equal(call->body_bytes, 65535);
  world->stuck = true;
  for (int i = 0; i < 100; i++) h2_raw(world, NGHTTP2_WINDOW_UPDATE, 0, 3, one, 4);
  h2_to_server(world);
  world->stuck = false;
  assert_calm(world, "control");
}

static void test_rapid_reset(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  for (int i = 0; i < 101; i++) { /* never more than one open */
    struct h2_call *call = h2_ask(world, "GET", "/open", NULL, NULL, 0);
    h2_to_server(world);
    assert_int_equal(nghttp2_submit_rst_stream(world->client, 0, call->id, NGHTTP2_CANCEL), 0);
    h2_to_server(world);
    assert_int_equal(world->status == STATUS_OK, i < 100);
  }
  assert_int_equal(world->exchange_count, 101);
  assert_calm(world, "reset");
}

/* CVE-2025-8671: the client makes the server reset. */
static void test_provoked_resets(void **state) {
  (void)state;
  static const uint8_t too_much[4] = {0x7f, 0xff, 0xff, 0xff};
  struct h2_world *world = h2_new();
  world->options.streams_max = 200; /* the client is not told of the resets */
  h2_start(world);
  for (int i = 0; i < 101; i++) {
    struct h2_call *call = h2_ask(world, "POST", "/open", NULL, NULL, -1);
    h2_raw(world, NGHTTP2_WINDOW_UPDATE, 0, (uint32_t)call->id, too_much, 4);
    h2_to_server(world);
    assert_int_equal(world->status == STATUS_OK, i < 100);
  }
  assert_calm(world, "reset");
}

static void test_requests_are_no_flood(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  for (int i = 0; i < 250; i++) {
    struct h2_call *call = h2_ask(world, "POST", "/none", NULL, "x", 1);
    h2_pump(world);
    assert_int_equal(call->status, 404);
  }
  h2_end(world);
}

/* ---- heads ------------------------------------------------------------------------------------- */

static char *fields_of(int count, size_t value_bytes) {
  size_t room = (size_t)count * (value_bytes + 16) + 1;
  char *text = malloc(room);
  assert_non_null(text);
  size_t used = 0;
  for (int i = 0; i < count; i++) {
    used += (size_t)snprintf(text + used, room - used, "x-%d: ", i);
    memset(text + used, 'v', value_bytes);
    used += value_bytes;
    text[used++] = '\n';
  }
  text[used] = '\0';
  return text;
}

static void test_heads_within_limits(void **state) {
  (void)state;
  static const struct {
    int count;
    size_t value_bytes;
    int status;
    const char *says;
  } cases[] = {
      {98, 100, 200, NULL},
      {101, 10, 431, "more than 100 fields"},
      {10, 6000, 200, NULL},
      {12, 6000, 431, "longer than 65536 bytes"},
      {20, 6000, 431, "longer than 65536 bytes"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct h2_world *world = h2_new();
    h2_start(world);
    char *fields = fields_of(cases[i].count, cases[i].value_bytes);
    /* Until the peer's limit is looked at, a client's library sends what it is given. */
    struct h2_call *call = h2_ask(world, "POST", "/x", fields, "body", 4);
    h2_pump(world);
    if (call->status != cases[i].status) fail_msg("case %zu: %d", i, call->status);
    assert_true(call->closed);
    if (cases[i].says != NULL) {
      assert_non_null(strstr(h2_body(call), cases[i].says));
      assert_int_equal(world->stats.refused_limits, 1);
      assert_int_equal(world->exchange_count, 0);
    }
    free(fields);
    call = h2_ask(world, "GET", "/next", NULL, NULL, 0);
    h2_pump(world);
    assert_int_equal(call->status, 200);
    h2_end(world);
  }
}

/* :method GET, :scheme http, :path /, and a field of 4000 bytes that is put into HPACK's table
 * (index 62). */
static size_t block_with_large_field(uint8_t *block) {
  static const uint8_t begin[] = {0x82, 0x86, 0x84, 0x40, 0x01, 'b', 0x7f, 0xa1, 0x1e};
  memcpy(block, begin, sizeof begin);
  memset(block + sizeof begin, 'v', 4000);
  return sizeof begin + 4000;
}

static void test_hpack_bomb(void **state) {
  (void)state;
  static uint8_t block[16000];
  struct h2_world *world = h2_new();
  h2_start(world);
  size_t bytes = block_with_large_field(block);
  memset(block + bytes, 0xbe, 10000); /* ten thousand times the same: 40 MB */
  h2_raw(world, NGHTTP2_HEADERS, 0x05, 1, block, bytes + 10000);
  h2_to_server(world);
  assert_calm(world, "decoded");
}

static void test_endless_head(void **state) {
  (void)state;
  static uint8_t block[16000];
  struct h2_world *world = h2_new();
  h2_start(world);
  size_t bytes = block_with_large_field(block);
  h2_raw(world, NGHTTP2_HEADERS, 0x01, 1, block, bytes);
  for (int i = 0; i < 9; i++) h2_raw(world, NGHTTP2_CONTINUATION, 0, 1, "\xbe", i == 4);
  h2_to_server(world);
  assert_calm(world, "CONTINUATION");
}

static void test_large_block(void **state) {
  (void)state;
  static uint8_t block[300000];
  struct h2_world *world = h2_new();
  h2_start(world);
  h2_raw(world, NGHTTP2_HEADERS, 0x05, 1, block, sizeof block);
  h2_to_server(world);
  assert_calm(world, "header fields");
}

static void test_large_control_frame(void **state) {
  (void)state;
  static uint8_t payload[20000];
  struct h2_world *world = h2_new();
  h2_start(world);
  h2_raw(world, NGHTTP2_GOAWAY, 0, 0, payload, sizeof payload);
  h2_to_server(world);
  assert_calm(world, "type 7");
}

static void test_frame_past_the_size(void **state) {
  (void)state;
  static uint8_t payload[(1 << 20) + 1];
  struct h2_world *world = h2_new();
  h2_start(world);
  h2_raw(world, NGHTTP2_HEADERS, 0x05, 1, payload, sizeof payload);
  h2_to_server(world);
  assert_int_equal(world->status, STATUS_INVALID);
  h2_pump(world);
  assert_int_equal(world->goaway_code, NGHTTP2_FRAME_SIZE_ERROR);
  h2_end(world);
}

static void test_streams_out_of_order(void **state) {
  (void)state;
  static const struct {
    uint32_t ids[4];
    bool broken; /* by the last */
  } cases[] = {
      {{1, 3, 5, 7}, false},  {{1, 5, 7, 3}, true},  {{5, 7, 9, 1}, true},
      {{5, 7, 9, 3}, true},   {{3, 9, 11, 5}, true}, {{3, 9, 11, 7}, true},
      {{3, 9, 11, 9}, false}, {{1, 3, 5, 3}, false}, {{1, 3, 5, 9}, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct http2_limits limits;
    struct error error;
    uint8_t frame[9] = {0, 0, 0, NGHTTP2_HEADERS, 5};
    uint8_t preface[24] = "";
    http2_limits_init(&limits, &HTTP_SERVER_DEFAULTS, 0);
    assert_int_equal(http2_limits_look(&limits, preface, 24, 0, &error), STATUS_OK);
    for (int n = 0; n < 4; n++) {
      frame[8] = (uint8_t)cases[i].ids[n];
      enum status status = http2_limits_look(&limits, frame, 9, 0, &error);
      bool broken = n == 3 && cases[i].broken;
      if (status != (broken ? STATUS_INVALID : STATUS_OK)) fail_msg("case %zu, %d", i, n);
    }
  }
}

/* Answers to control frames that nobody reads: the socket is not read either. */
static void test_unread_answers_stop_reading(void **state) {
  (void)state;
  static const uint8_t zeros[8];
  struct h2_world *world = h2_new();
  world->options.pings_per_s = 1000000;
  world->options.write_bytes_high = 1000;
  h2_start(world);
  world->stuck = true;
  world->piece_bytes = 170; /* ten */
  for (int i = 0; i < 5000; i++) h2_raw(world, NGHTTP2_PING, 0, 0, zeros, 8);
  h2_to_server(world);
  assert_int_equal(world->status, STATUS_OK);
  assert_false(http2_wants_input(world->http2));
  assert_true(world->to_server_bytes > 17 * 4000);
  assert_true(world->to_client_bytes < 2000);
  world->stuck = false;
  for (int i = 0; i < 100; i++) h2_pump(world);
  assert_int_equal(world->to_server_bytes, 0);
  assert_int_equal(world->status, STATUS_OK);
  h2_end(world);
}

/* gRPC's libraries measure the line by a PING for each small answer. */
static void test_a_ping_for_each_answer(void **state) {
  (void)state;
  struct http_server_options options = HTTP_SERVER_DEFAULTS;
  struct http2_limits limits;
  struct error error;
  static const uint8_t ping[17] = {0, 0, 8, NGHTTP2_PING};
  options.pings_per_s = 3;
  http2_limits_init(&limits, &options, 0);
  static const uint8_t preface[HTTP2_PREFACE_BYTES];
  assert_int_equal(http2_limits_look(&limits, preface, sizeof preface, 0, &error), STATUS_OK);
  for (int call = 0; call < 1000; call++) {
    http2_limits_sent(&limits);
    assert_int_equal(http2_limits_look(&limits, ping, sizeof ping, 0, &error), STATUS_OK);
  }
  for (int call = 0; call < 1000; call++) http2_limits_sent(&limits); /* not saved up */
  for (int more = 0; more < 3; more++)
    assert_int_equal(http2_limits_look(&limits, ping, sizeof ping, 0, &error), STATUS_OK);
  assert_int_equal(http2_limits_look(&limits, ping, sizeof ping, 0, &error), STATUS_TOO_LARGE);
}

/* ---- the buckets themselves ---------------------------------------------------------------------- */

static void test_bucket(void **state) {
  (void)state;
  struct http2_bucket bucket;
  http2_bucket_init(&bucket, 5, 1000);
  for (int i = 0; i < 5; i++) assert_true(http2_bucket_take(&bucket, 1000));
  assert_false(http2_bucket_take(&bucket, 1000));
  assert_false(http2_bucket_take(&bucket, 1199));
  assert_true(http2_bucket_take(&bucket, 1200));
  assert_false(http2_bucket_take(&bucket, 1200));
  for (int i = 0; i < 5; i++) assert_true(http2_bucket_take(&bucket, 900000));
  assert_false(http2_bucket_take(&bucket, 900000));
  http2_bucket_init(&bucket, 0, 0);
  assert_false(http2_bucket_take(&bucket, 5000));
}

static void test_midway(void **state) {
  (void)state;
  static const uint8_t settings[9] = {0, 0, 0, 4};
  static const uint8_t data[12] = {0, 0, 3, 0, 0, 0, 0, 0, 1, 'a', 'b', 'c'};
  static const uint8_t head[10] = {0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82};
  static const uint8_t more[10] = {0, 0, 1, 9, 4, 0, 0, 0, 1, 0x82};
  struct http2_limits limits;
  struct error error;
  http2_limits_init(&limits, &HTTP_SERVER_DEFAULTS, 0);
  assert_true(http2_limits_midway(&limits));
  uint8_t preface[24] = "";
  assert_int_equal(http2_limits_look(&limits, preface, 24, 0, &error), STATUS_OK);
  assert_true(http2_limits_midway(&limits));
  assert_int_equal(http2_limits_look(&limits, settings, 9, 0, &error), STATUS_OK);
  assert_false(http2_limits_midway(&limits));
  for (size_t i = 0; i < 12; i++) { /* a body has a time of its own */
    assert_int_equal(http2_limits_look(&limits, data + i, 1, 0, &error), STATUS_OK);
    assert_int_equal(http2_limits_midway(&limits), i < 8);
  }
  for (size_t i = 0; i < 10; i++) {
    assert_int_equal(http2_limits_look(&limits, head + i, 1, 0, &error), STATUS_OK);
    assert_true(http2_limits_midway(&limits));
  }
  int64_t units = limits.units;
  assert_int_equal(http2_limits_look(&limits, more, 9, 0, &error), STATUS_OK);
  assert_true(http2_limits_midway(&limits));
  assert_int_equal(limits.units, units);
  assert_int_equal(http2_limits_look(&limits, more + 9, 1, 0, &error), STATUS_OK);
  assert_false(http2_limits_midway(&limits));
  assert_int_equal(limits.units, units + 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_frames_a_second),
      cmocka_unit_test(test_data_is_no_flood),
      cmocka_unit_test(test_reading_is_no_flood),
      cmocka_unit_test(test_data_dribble),
      cmocka_unit_test(test_rapid_reset),
      cmocka_unit_test(test_provoked_resets),
      cmocka_unit_test(test_requests_are_no_flood),
      cmocka_unit_test(test_heads_within_limits),
      cmocka_unit_test(test_hpack_bomb),
      cmocka_unit_test(test_endless_head),
      cmocka_unit_test(test_large_block),
      cmocka_unit_test(test_large_control_frame),
      cmocka_unit_test(test_frame_past_the_size),
      cmocka_unit_test(test_streams_out_of_order),
      cmocka_unit_test(test_unread_answers_stop_reading),
      cmocka_unit_test(test_a_ping_for_each_answer),
      cmocka_unit_test(test_bucket),
      cmocka_unit_test(test_midway),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
