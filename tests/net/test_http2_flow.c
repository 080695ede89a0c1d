/* Windows, the memory budget, and what is queued: bodies are never further ahead than their
 * windows, and what waits is charged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/h2_world.h"

enum { WINDOW = 256 * 1024, MIB = 1 << 20 };

static uint8_t *big(size_t bytes) {
  uint8_t *data = malloc(bytes);
  assert_non_null(data);
  for (size_t i = 0; i < bytes; i++) data[i] = (uint8_t)(i * 2654435761u >> 13);
  return data;
}

static void test_paused_stops_its_sender(void **state) {
  (void)state;
  uint8_t *body = big(4 * MIB);
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *call = h2_ask(world, "POST", "/pause", NULL, body, 4 * MIB);
  h2_pump(world);
  assert_int_equal(call->sent_bytes, WINDOW);
  assert_int_equal(h2_seen(world, 0)->body_bytes, 0);
  assert_int_equal(world->budget.used_bytes, WINDOW);
  h2_resume(world, 0);
  assert_string_equal(h2_body(call), "4194304");
  assert_int_equal(world->budget.used_bytes, 0);
  h2_end(world);
  free(body);
}

static void test_pausing_after_each_piece(void **state) {
  (void)state;
  uint8_t *body = big(MIB);
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *call = h2_ask(world, "POST", "/step", NULL, body, MIB);
  h2_pump(world);
  int64_t steps = 0;
  while (!call->ended) {
    int64_t took = h2_seen(world, 0)->body_bytes;
    assert_true(call->sent_bytes - took <= WINDOW);
    h2_resume(world, 0);
    assert_true(++steps <= MIB);
  }
  assert_true(steps >= MIB / 5000);
  assert_string_equal(h2_body(call), "1048576");
  h2_end(world);
  free(body);
}

static void test_waiting_holds_the_body(void **state) {
  (void)state;
  uint8_t *body = big(MIB);
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *call = h2_ask(world, "POST", "/wait", NULL, body, MIB);
  struct h2_call *small = h2_ask(world, "POST", "/wait", NULL, "xyz", 3);
  struct h2_call *none = h2_ask(world, "POST", "/wait", NULL, NULL, 0);
  h2_pump(world);
  assert_int_equal(call->sent_bytes, WINDOW);
  h2_resume(world, 0);
  h2_resume(world, 1);
  h2_resume(world, 2);
  assert_string_equal(h2_body(call), "1048576");
  assert_string_equal(h2_body(small), "3");
  assert_string_equal(h2_body(none), "0");
  h2_end(world);
  free(body);
}

/* How much a client may have under way shows when the handler suddenly stops. */
static int64_t window_after(int64_t body_bytes, int64_t window_bytes_max, int64_t budget_bytes) {
  uint8_t *body = big(32 * MIB);
  struct h2_world *world = h2_new();
  world->options.window_bytes_max = window_bytes_max;
  world->budget.limit_bytes = budget_bytes;
  world->piece_bytes = 16384;
  h2_start(world);
  struct h2_call *call = h2_ask(world, "POST", "/count", NULL, body, body_bytes);
  call->endless = true;
  h2_pump(world);
  assert_int_equal(h2_seen(world, 0)->body_bytes, body_bytes);
  http_body_pause(h2_seen(world, 0)->exchange);
  call->to_send_bytes = 32 * MIB;
  assert_int_equal(nghttp2_session_resume_data(world->client, call->id), 0);
  h2_pump(world);
  int64_t ahead = call->sent_bytes - body_bytes;
  assert_true(ahead <= world->budget.used_bytes);
  h2_end(world);
  free(body);
  return ahead;
}

static void test_windows_grow(void **state) {
  (void)state;
  int64_t much = INT64_C(1) << 30;
  assert_in_range(window_after(100000, 16 * MIB, much), WINDOW / 2, WINDOW);
  assert_in_range(window_after(16 * MIB, 16 * MIB, much), 4 * MIB, 8 * MIB);
  assert_in_range(window_after(16 * MIB, 2 * MIB, much), WINDOW, 2 * MIB); /* the connection's */
  assert_in_range(window_after(16 * MIB, 16 * MIB, 600 * 1024), WINDOW / 2, 600 * 1024);
}

static void test_many_paused(void **state) {
  (void)state;
  enum { CALLS = 100 };
  uint8_t *body = big(MIB);
  struct h2_world *world = h2_new();
  h2_start(world);
  for (int i = 0; i < CALLS; i++) h2_ask(world, "POST", "/pause", NULL, body, MIB);
  h2_pump(world);
  int64_t sent_bytes = 0;
  for (int i = 0; i < CALLS; i++) sent_bytes += world->calls[i].sent_bytes;
  assert_int_equal(sent_bytes, world->options.window_bytes_max); /* the connection's window */
  assert_int_equal(world->budget.used_bytes, (int64_t)CALLS * WINDOW);
  for (int i = 0; i < CALLS; i++) h2_resume(world, i);
  for (int i = 0; i < CALLS; i++) assert_string_equal(h2_body(&world->calls[i]), "1048576");
  assert_int_equal(world->budget.used_bytes, 0);
  h2_end(world);
  free(body);
}

static void test_budget_is_refused_before_the_body(void **state) {
  (void)state;
  uint8_t *body = big(MIB);
  struct h2_world *world = h2_new();
  world->budget.limit_bytes = 2 * WINDOW + 100;
  h2_start(world);
  for (int i = 0; i < 2; i++) h2_ask(world, "POST", "/pause", NULL, body, MIB);
  struct h2_call *third = h2_ask(world, "POST", "/pause", NULL, body, MIB);
  struct h2_call *small = h2_ask(world, "POST", "/count", "content-length: 3\n", "xyz", 3);
  struct h2_call *none = h2_ask(world, "GET", "/", NULL, NULL, 0);
  h2_pump(world);
  assert_int_equal(third->status, 429);
  assert_non_null(strstr(h2_body(third), "memory limit"));
  assert_string_equal(h2_body(small), "3");
  assert_int_equal(none->status, 200);
  assert_int_equal(world->exchange_count, 4); /* the third was never asked */
  h2_resume(world, 0);
  assert_string_equal(h2_body(&world->calls[0]), "1048576");
  h2_end(world);
  free(body);
}

static void test_reset_gives_everything_back(void **state) {
  (void)state;
  uint8_t *body = big(MIB);
  struct h2_world *world = h2_new();
  world->options.window_bytes_max = MIB; /* four streams fill it */
  h2_start(world);
  for (int round = 0; round < 20; round++) {
    struct h2_call *calls[4];
    for (int i = 0; i < 4; i++) calls[i] = h2_ask(world, "POST", "/pause", NULL, body, MIB);
    h2_pump(world);
    for (int i = 0; i < 4; i++) {
      assert_int_equal(calls[i]->sent_bytes, WINDOW);
      assert_int_equal(nghttp2_submit_rst_stream(world->client, 0, calls[i]->id, NGHTTP2_CANCEL),
                       0);
    }
    h2_pump(world);
    assert_int_equal(world->budget.used_bytes, 0);
  }
  struct h2_call *call = h2_ask(world, "POST", "/count", NULL, body, MIB);
  h2_pump(world);
  assert_string_equal(h2_body(call), "1048576");
  h2_end(world);
  free(body);
}

static void test_padding_is_given_back(void **state) {
  (void)state;
  uint8_t padded[258] = {255, 'x'};
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *call = h2_ask(world, "POST", "/count", NULL, NULL, -1);
  h2_pump(world);
  for (int i = 0; i < 3000; i++) { /* three windows */
    h2_raw(world, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, padded, 257);
    h2_to_server(world);
  }
  h2_raw(world, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, NULL, 0);
  h2_to_server(world);
  assert_int_equal(world->status, STATUS_OK);
  assert_int_equal(h2_seen(world, 0)->body_bytes, 3000);
  world->to_client_bytes = 0; /* windows that the client did not know it needs */
  (void)call;
  h2_end(world);
}

/* ---- answers ------------------------------------------------------------------------------------ */

static void test_streamed_answer(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *call = h2_ask(world, "GET", "/stream?20000000", NULL, NULL, 0);
  h2_pump(world);
  assert_int_equal(call->body_bytes, 20000000);
  assert_true(call->ended);
  for (int64_t i = 0; i < call->body_bytes; i++)
    if (call->body[i] != (uint8_t)((20000000 - i) * 2654435761 >> 8)) fail_msg("byte %d", (int)i);
  assert_int_equal(world->stats.sent_bytes, 20000000);
  assert_true(world->buffers > 200); /* not copied */
  h2_end(world);
}

static void test_unread_answer_waits(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  world->options.write_bytes_high = 1000000;
  world->take_body_windows = false;
  h2_start(world);
  struct h2_call *call = h2_ask(world, "GET", "/stream?20000000", NULL, NULL, 0);
  h2_pump(world);
  assert_int_equal(call->body_bytes, 65535); /* the client's window */
  assert_in_range(world->budget.used_bytes, 1, 1200000);
  assert_true(h2_seen(world, 0)->to_send_bytes > 18000000);
  /* Another answer comes by. */
  assert_int_equal(nghttp2_submit_window_update(world->client, 0, 0, 10 * MIB), 0);
  struct h2_call *other = h2_ask(world, "GET", "/stream?50000", NULL, NULL, 0);
  h2_pump(world);
  assert_int_equal(other->body_bytes, 50000);
  assert_int_equal(call->body_bytes, 65535);
  /* And on. */
  world->take_body_windows = true;
  assert_int_equal(nghttp2_session_consume(world->client, call->id, 65535), 0);
  h2_pump(world);
  assert_int_equal(call->body_bytes, 20000000);
  h2_end(world);
}

static void test_socket_that_takes_nothing(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  world->options.write_bytes_high = 300000;
  h2_start(world);
  assert_int_equal(nghttp2_submit_window_update(world->client, 0, 0, 10 * MIB), 0);
  h2_pump(world);
  world->stuck = true;
  struct h2_call *calls[20];
  for (int i = 0; i < 20; i++) calls[i] = h2_ask(world, "GET", "/stream?60000", NULL, NULL, 0);
  h2_to_server(world);
  /* One frame more than the limit at the most. */
  assert_in_range(world->to_client_bytes, 300000, 300000 + 70000);
  world->stuck = false;
  h2_pump(world);
  for (int i = 0; i < 20; i++) assert_int_equal(calls[i]->body_bytes, 60000);
  h2_end(world);
}

static void client_settings(struct h2_world *world, uint32_t window, uint32_t frame) {
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window},
                                             {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, frame}};
  assert_int_equal(nghttp2_submit_settings(world->client, 0, settings, 2), 0);
  assert_int_equal(nghttp2_session_set_local_window_size(world->client, 0, 0, (int32_t)window), 0);
  h2_pump(world);
}

static void test_frames_are_large_when_alone(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  client_settings(world, 30 * MIB, 4 * MIB);
  struct h2_call *call = h2_ask(world, "GET", "/flood?10000000", NULL, NULL, 0);
  h2_pump(world);
  assert_int_equal(call->body_bytes, 10000000);
  assert_int_equal(world->data_frame_bytes_max, MIB);
  h2_end(world);
}

static void test_answers_take_turns(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  client_settings(world, 30 * MIB, 4 * MIB);
  world->data_frame_bytes_max = world->data_turns = 0;
  struct h2_call *calls[4];
  for (int i = 0; i < 4; i++) calls[i] = h2_ask(world, "GET", "/flood?3000000", NULL, NULL, 0);
  h2_to_server(world);
  h2_pump(world);
  for (int i = 0; i < 4; i++) assert_int_equal(calls[i]->body_bytes, 3000000);
  assert_true(world->data_turns > 100);
  h2_end(world);
}

static void test_reset_while_sending(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  world->options.write_bytes_high = 100000;
  h2_start(world);
  client_settings(world, 30 * MIB, 4 * MIB);
  struct h2_call *call = h2_ask(world, "GET", "/flood?3000000", NULL, NULL, 0);
  struct h2_call *aborted = h2_ask(world, "GET", "/flood?3000000", NULL, NULL, 0);
  world->stuck = true;
  h2_to_server(world); /* a frame is made and cannot be sent */
  assert_int_equal(nghttp2_submit_rst_stream(world->client, 0, call->id, NGHTTP2_CANCEL), 0);
  h2_to_server(world);
  (void)aborted;
  world->stuck = false;
  h2_pump(world);
  assert_int_equal(h2_seen(world, 0)->finished, 1);
  assert_int_equal(aborted->body_bytes, 3000000);
  h2_end(world);
}

static void test_abort_while_sending(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  world->options.write_bytes_high = 100000;
  h2_start(world);
  client_settings(world, 30 * MIB, 4 * MIB);
  struct h2_call *call = h2_ask(world, "GET", "/stream?3000000", NULL, NULL, 0);
  world->stuck = true;
  h2_to_server(world);
  http_abort(h2_seen(world, 0)->exchange);
  h2_to_server(world);
  world->stuck = false;
  h2_pump(world);
  assert_int_equal(call->reset_code, NGHTTP2_INTERNAL_ERROR);
  assert_int_equal(h2_seen(world, 0)->finished, 1);
  assert_int_equal(world->budget.used_bytes, 0);
  h2_end(world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_paused_stops_its_sender),
      cmocka_unit_test(test_pausing_after_each_piece),
      cmocka_unit_test(test_waiting_holds_the_body),
      cmocka_unit_test(test_windows_grow),
      cmocka_unit_test(test_many_paused),
      cmocka_unit_test(test_budget_is_refused_before_the_body),
      cmocka_unit_test(test_reset_gives_everything_back),
      cmocka_unit_test(test_padding_is_given_back),
      cmocka_unit_test(test_streamed_answer),
      cmocka_unit_test(test_unread_answer_waits),
      cmocka_unit_test(test_socket_that_takes_nothing),
      cmocka_unit_test(test_frames_are_large_when_alone),
      cmocka_unit_test(test_answers_take_turns),
      cmocka_unit_test(test_reset_while_sending),
      cmocka_unit_test(test_abort_while_sending),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
