/* Time: what may take how long on an HTTP/2 connection, on a clock that the test moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/h2_world.h"

enum { HEAD_MS = 10000, BODY_MS = 30000, WRITE_MS = 20000, IDLE_MS = 60000 };

static struct h2_world *timed(void) {
  struct h2_world *world = h2_new();
  world->options.header_timeout_ms = HEAD_MS;
  world->options.body_timeout_ms = BODY_MS;
  world->options.body_bytes_per_timeout = 100;
  world->options.write_timeout_ms = WRITE_MS;
  world->options.idle_timeout_ms = IDLE_MS;
  return world;
}

static struct h2_world *started(void) {
  struct h2_world *world = timed();
  h2_start(world);
  return world;
}

static void assert_over(struct h2_world *world, uint32_t code, const char *why) {
  assert_int_equal(world->status, STATUS_TIMEOUT);
  assert_non_null(strstr(world->error.text, why));
  assert_int_equal(world->goaway_code, code);
  assert_true(http2_over(world->http2));
  assert_int_equal(http2_deadline_ms(world->http2), -1);
}

static void test_idle(void **state) {
  (void)state;
  struct h2_world *world = started();
  h2_pass(world, IDLE_MS - 1);
  assert_int_equal(world->status, STATUS_OK);
  struct h2_call *call = h2_ask(world, "GET", "/open", NULL, NULL, 0);
  h2_pump(world);
  h2_pass(world, 10 * IDLE_MS); /* not idle */
  assert_int_equal(world->status, STATUS_OK);
  h2_resume(world, 0);
  assert_true(call->ended);
  h2_pass(world, IDLE_MS - 1);
  assert_int_equal(world->status, STATUS_OK);
  assert_int_equal(nghttp2_submit_ping(world->client, 0, NULL), 0); /* is no request */
  h2_pump(world);
  h2_pass(world, 1);
  assert_over(world, NGHTTP2_NO_ERROR, "idle");
  assert_int_equal(world->stats.refused_slow, 0);
  h2_end(world);
}

static void test_no_preface(void **state) {
  (void)state;
  struct h2_world *world = timed();
  world->silent = true;
  h2_start(world);
  h2_pass(world, HEAD_MS - 1);
  assert_int_equal(world->status, STATUS_OK);
  h2_pass(world, 1);
  assert_int_equal(world->status, STATUS_TIMEOUT);
  assert_int_equal(world->stats.refused_slow, 1);
  h2_end(world);
}

static void test_settings_without_answer(void **state) {
  (void)state;
  struct h2_world *world = timed();
  world->stuck = true; /* the client hears nothing, so that it acknowledges nothing */
  h2_start(world);
  world->stuck = false;
  assert_int_equal(world->status, STATUS_OK);
  world->clock_ms += HEAD_MS;
  struct error error;
  assert_int_equal(http2_deadline_ms(world->http2), world->clock_ms);
  assert_int_equal(http2_tick(world->http2, &error), STATUS_TIMEOUT);
  assert_non_null(strstr(error.text, "SETTINGS"));
  h2_pump(world);
  assert_int_equal(world->goaway_code, NGHTTP2_SETTINGS_TIMEOUT);
  h2_end(world);
}

static void test_slow_head(void **state) {
  (void)state;
  static const uint8_t block[3] = {0x82, 0x86, 0x84};
  for (int way = 0; way < 2; way++) {
    struct h2_world *world = started();
    struct h2_call *call = h2_ask(world, "GET", "/open", NULL, NULL, 0);
    h2_pump(world);
    world->clock_ms += 1000;
    if (way == 0) {
      h2_raw(world, NGHTTP2_HEADERS, 0, 3, block, sizeof block); /* no END_HEADERS */
    } else {
      h2_raw(world, NGHTTP2_HEADERS, 0x05, 3, block, sizeof block);
      world->to_server_bytes -= 1; /* the last byte does not come */
    }
    h2_to_server(world);
    for (int i = 0; i < 9 && way == 0; i++) { /* a drop now and then does not help */
      h2_pass(world, 1000);
      if (i % 2 == 0) h2_raw(world, NGHTTP2_CONTINUATION, 0, 3, NULL, 0);
      h2_to_server(world);
    }
    if (way == 1) h2_pass(world, 9000);
    assert_int_equal(world->status, STATUS_OK);
    h2_pass(world, 1000);
    assert_over(world, NGHTTP2_ENHANCE_YOUR_CALM, "head");
    assert_int_equal(world->stats.refused_slow, 1);
    assert_false(call->ended);
    h2_end(world);
  }
}

/* Pieces end in the middle of frames again and again: each frame has its own time. */
static void test_busy_is_not_slow(void **state) {
  (void)state;
  struct h2_world *world = started();
  world->piece_bytes = 37;
  for (int i = 0; i < 60; i++) {
    h2_ask(world, "GET", "/none", NULL, NULL, 0);
    h2_raw(world, NGHTTP2_PING, 0, 0, "12345678", 8);
    world->clock_ms += 500;
    h2_to_server(world);
    h2_pass(world, 0);
    assert_int_equal(world->status, STATUS_OK);
  }
  h2_end(world);
}

static void send_some(struct h2_world *world, struct h2_call *call, size_t bytes) {
  static const uint8_t data[1000];
  h2_raw(world, NGHTTP2_DATA, 0, (uint32_t)call->id, data, bytes);
  h2_to_server(world);
}

static void test_slow_body(void **state) {
  (void)state;
  struct h2_world *world = started();
  struct h2_call *call = h2_ask(world, "POST", "/count", NULL, NULL, -1);
  h2_pump(world);
  for (int i = 0; i < 5; i++) { /* fast enough */
    send_some(world, call, 100);
    h2_pass(world, BODY_MS);
    assert_int_equal(call->status, 0);
  }
  send_some(world, call, 99);
  h2_pass(world, BODY_MS - 1);
  assert_int_equal(call->status, 0);
  h2_pass(world, 1);
  assert_int_equal(call->status, 408);
  assert_true(call->ended);
  assert_int_equal(call->reset_code, NGHTTP2_NO_ERROR);
  assert_int_equal(h2_seen(world, 0)->gones, 1);
  assert_int_equal(h2_seen(world, 0)->finished, 1);
  assert_int_equal(world->stats.refused_slow, 1);
  assert_int_equal(world->status, STATUS_OK);
  h2_end(world);
}

static void test_paused_has_time(void **state) {
  (void)state;
  struct h2_world *world = started();
  struct h2_call *call = h2_ask(world, "POST", "/pause", NULL, NULL, -1);
  struct h2_call *waiting = h2_ask(world, "POST", "/wait", NULL, NULL, -1);
  h2_pump(world);
  h2_pass(world, 10 * BODY_MS);
  assert_int_equal(call->status + waiting->status, 0);
  h2_resume(world, 0);
  h2_pass(world, BODY_MS - 1);
  assert_int_equal(call->status, 0);
  h2_pass(world, 1);
  assert_int_equal(call->status, 408);
  assert_int_equal(waiting->status, 0);
  h2_end(world);
}

/* Paused bodies fill the connection's window: the others cannot send, and are not blamed. */
static void test_shut_out_has_time(void **state) {
  (void)state;
  enum { BYTES = 1 << 20 };
  static uint8_t body[BYTES];
  struct h2_world *world = timed();
  world->options.window_bytes_max = 2 * 256 * 1024;
  h2_start(world);
  h2_ask(world, "POST", "/pause", NULL, body, BYTES);
  h2_ask(world, "POST", "/pause", NULL, body, BYTES);
  struct h2_call *call = h2_ask(world, "POST", "/count", NULL, body, BYTES);
  h2_pump(world);
  h2_pass(world, BODY_MS);
  h2_pass(world, BODY_MS);
  assert_int_equal(call->status, 0);
  h2_resume(world, 0);
  h2_resume(world, 1);
  assert_int_equal(call->status, 200);
  h2_end(world);
}

static void test_unwanted_body_has_an_end(void **state) {
  (void)state;
  struct h2_world *world = started();
  struct h2_call *call = h2_ask(world, "POST", "/none", NULL, NULL, -1);
  h2_pump(world);
  assert_int_equal(call->status, 404);
  for (int i = 0; i < 4; i++) {
    send_some(world, call, 1000);
    h2_pass(world, 1000);
  }
  assert_int_equal(call->reset_code, -1);
  h2_pass(world, 1000);
  assert_int_equal(call->reset_code, NGHTTP2_NO_ERROR);
  h2_end(world);
}

static void test_closed_window(void **state) {
  (void)state;
  struct h2_world *world = timed();
  world->take_body_windows = false;
  h2_start(world);
  struct h2_call *call = h2_ask(world, "GET", "/stream?1000000", NULL, NULL, 0);
  h2_pump(world);
  h2_pass(world, WRITE_MS - 1);
  assert_int_equal(nghttp2_session_consume(world->client, call->id, 60000), 0);
  h2_pump(world);
  h2_pass(world, 1); /* it has moved */
  assert_int_equal(call->reset_code, -1);
  h2_pass(world, WRITE_MS);
  assert_int_equal(call->reset_code, NGHTTP2_CANCEL);
  assert_int_equal(h2_seen(world, 0)->finished, 1);
  assert_int_equal(world->stats.refused_slow, 1);
  assert_int_equal(world->status, STATUS_OK);
  assert_int_equal(world->budget.used_bytes, 0);
  h2_end(world);
}

static void test_waiting_for_the_service_has_time(void **state) {
  (void)state;
  struct h2_world *world = started();
  struct h2_call *call = h2_ask(world, "GET", "/open", NULL, NULL, 0);
  struct h2_call *never = h2_ask(world, "POST", "/never", NULL, "x", 1);
  h2_pump(world);
  for (int i = 0; i < 10; i++) h2_pass(world, IDLE_MS);
  assert_int_equal(call->reset_code, -1);
  assert_int_equal(never->reset_code, -1);
  assert_int_equal(world->status, STATUS_OK);
  h2_end(world);
}

static void test_socket_that_does_not_move(void **state) {
  (void)state;
  struct h2_world *world = started();
  h2_ask(world, "GET", "/stream?50000", NULL, NULL, 0);
  world->stuck = true;
  h2_to_server(world);
  h2_pass(world, WRITE_MS - 1);
  assert_int_equal(world->status, STATUS_OK);
  world->client_had_bytes = 100; /* some has gone */
  h2_pass(world, 1);
  assert_int_equal(world->status, STATUS_OK);
  h2_pass(world, WRITE_MS);
  assert_int_equal(world->status, STATUS_TIMEOUT);
  assert_non_null(strstr(world->error.text, "did not read"));
  world->to_client_bytes = world->client_had_bytes = 0;
  h2_end(world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_idle),
      cmocka_unit_test(test_no_preface),
      cmocka_unit_test(test_settings_without_answer),
      cmocka_unit_test(test_slow_head),
      cmocka_unit_test(test_busy_is_not_slow),
      cmocka_unit_test(test_slow_body),
      cmocka_unit_test(test_paused_has_time),
      cmocka_unit_test(test_shut_out_has_time),
      cmocka_unit_test(test_unwanted_body_has_an_end),
      cmocka_unit_test(test_closed_window),
      cmocka_unit_test(test_waiting_for_the_service_has_time),
      cmocka_unit_test(test_socket_that_does_not_move),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
