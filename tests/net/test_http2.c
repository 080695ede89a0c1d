/* Requests and answers over HTTP/2, in memory. Floods: test_http2_limits.c; time:
 * test_http2_time.c; windows and memory: test_http2_flow.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/h2_world.h"

static void assert_answer(struct h2_call *call, int status, const char *body) {
  assert_int_equal(call->status, status);
  assert_true(call->ended);
  assert_int_equal(call->reset_code, -1);
  assert_string_equal(h2_body(call), body);
}

static void test_get(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *call = h2_ask(world, "GET", "/a/b?c=d", NULL, NULL, 0);
  h2_pump(world);
  assert_answer(call, 200, "GET /a/b?c=d here:80 -");
  assert_non_null(strstr(call->fields, "content-length: 22\n"));
  assert_non_null(strstr(call->fields, "date: "));
  assert_non_null(strstr(call->fields, "x-request-id: 7\n"));
  assert_true(call->closed);
  assert_int_equal(h2_seen(world, 0)->body_bytes_said, 0);
  assert_int_equal(h2_seen(world, 0)->finished, 1);
  assert_int_equal(http2_exchange_count(world->http2), 0);
  h2_end(world);
}

static void test_protocol_name(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  h2_ask(world, "GET", "/open", NULL, NULL, 0);
  h2_pump(world);
  assert_string_equal(http_exchange_protocol(h2_seen(world, 0)->exchange), "HTTP/2");
  assert_ptr_equal(http_exchange_peer(h2_seen(world, 0)->exchange), &world->peer);
  assert_int_equal(world->stats.requests_open, 1);
  h2_end(world);
}

static void test_cookie_crumbs(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *call = h2_ask(world, "GET", "/", "cookie: a=1\nx: y\ncookie: b=2\n", NULL, 0);
  h2_pump(world);
  assert_answer(call, 200, "GET / here:80 a=1; b=2");
  h2_end(world);
}

/* Heads that are answered; NULL: served. */
static void test_heads(void **state) {
  (void)state;
  static const struct {
    const char *method, *path, *fields;
    int status;
    const char *says;
  } cases[] = {
      {"GET", "/", "host: here:80\n", 200, NULL},
      {"GET", "/", "host: HERE:80\n", 200, NULL},
      {"GET", "/", "host: there\n", 400, "Host is not what :authority says"},
      {"GET", "/", "host: here:80\nhost: here:80\n", 0, NULL},
      {"GET", "/", ":authority: a b\n", 0, NULL},
      {"OPTIONS", "*", NULL, 200, NULL},
      {"GET", "/\xc3\xa9", NULL, 400, "byte 0xc3"},
      {"GET", "/", "expect: 200-maybe\n", 417, "100-continue"},
      {"GET", "/", "content-length: 1234567890123456789\n", 0, NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct h2_world *world = h2_new();
    h2_start(world);
    struct h2_call *call = h2_ask(world, cases[i].method, cases[i].path, cases[i].fields, NULL, 0);
    h2_pump(world);
    if (call->status != cases[i].status)
      fail_msg("case %zu: %d, not %d: %s", i, call->status, cases[i].status, h2_body(call));
    if (cases[i].status == 0) assert_int_equal(call->reset_code, NGHTTP2_PROTOCOL_ERROR);
    if (cases[i].says != NULL) {
      assert_non_null(strstr(h2_body(call), cases[i].says));
      assert_non_null(strstr(call->fields, "application/problem+json"));
    }
    assert_int_equal(world->exchange_count, cases[i].status == 200);
    /* The connection goes on. */
    call = h2_ask(world, "GET", "/next", NULL, NULL, 0);
    h2_pump(world);
    assert_answer(call, 200, "GET /next here:80 -");
    h2_end(world);
  }
}

static void test_connect_is_refused(void **state) {
  (void)state;
  /* :method CONNECT, :authority x */
  static const uint8_t block[] = {0x02, 0x07, 'C', 'O', 'N', 'N', 'E', 'C', 'T', 0x01, 0x01, 'x'};
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *call = h2_ask(world, "GET", "/", NULL, NULL, 0);
  h2_pump(world);
  h2_raw(world, NGHTTP2_HEADERS, 0x05, 3, block, sizeof block);
  h2_to_server(world);
  assert_int_equal(world->exchange_count, 1);
  assert_int_equal(world->status, STATUS_OK);
  /* The answer's status is a literal: 501 is not in HPACK's table. */
  assert_non_null(memmem(world->to_client, world->to_client_bytes, "no proxy", 8));
  assert_int_equal(call->status, 200);
  world->to_client_bytes = 0; /* the client knows nothing of it */
  h2_end(world);
}

static void test_bodies_in_all_splits(void **state) {
  (void)state;
  static const char body[] = "a body that comes in pieces, and goes back as it came";
  for (size_t piece = 1; piece < 80; piece++) {
    struct h2_world *world = h2_new();
    world->piece_bytes = piece;
    h2_start(world);
    struct h2_call *call = h2_ask(world, "POST", "/echo", "content-length: 53\n", body, 53);
    struct h2_call *unsaid = h2_ask(world, "POST", "/echo", NULL, body, 53);
    h2_pump(world);
    assert_answer(call, 200, body);
    assert_answer(unsaid, 200, body);
    assert_int_equal(h2_seen(world, 0)->body_bytes_said, 53);
    assert_int_equal(h2_seen(world, 1)->body_bytes_said, -1);
    assert_int_equal(world->stats.received_bytes, 106);
    assert_int_equal(world->stats.sent_bytes, 106);
    h2_end(world);
  }
}

static void test_no_body_ends_at_once(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *call = h2_ask(world, "POST", "/count", NULL, NULL, 0);
  h2_pump(world);
  assert_answer(call, 200, "0");
  h2_end(world);
}

static void test_many_at_a_time(void **state) {
  (void)state;
  enum { CALLS = 100, BYTES = 70000 };
  static uint8_t body[BYTES];
  for (size_t i = 0; i < sizeof body; i++) body[i] = (uint8_t)(i * 7 + i / 251);
  struct h2_world *world = h2_new();
  world->piece_bytes = 9973;
  h2_start(world);
  for (int i = 0; i < CALLS; i++) h2_ask(world, "POST", "/echo", NULL, body + i, BYTES - i);
  h2_pump(world);
  for (int i = 0; i < CALLS; i++) {
    assert_int_equal(world->calls[i].status, 200);
    assert_int_equal(world->calls[i].body_bytes, BYTES - i);
    assert_memory_equal(world->calls[i].body, body + i, (size_t)(BYTES - i));
  }
  h2_end(world);
}

static void test_too_many_streams(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  world->options.streams_max = 3;
  h2_start(world);
  for (int i = 0; i < 5; i++) h2_ask(world, "GET", "/open", NULL, NULL, 0);
  h2_pump(world);
  assert_int_equal(world->exchange_count, 3); /* the client keeps to it */
  h2_resume(world, 1);
  assert_int_equal(world->exchange_count, 4);
  h2_end(world);
}

static void test_trailer_ends_the_body(void **state) {
  (void)state;
  /* x: y */
  static const uint8_t block[] = {0x00, 0x01, 'x', 0x01, 'y'};
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *call = h2_ask(world, "POST", "/count", NULL, NULL, -1);
  h2_raw(world, NGHTTP2_DATA, 0, 1, "abc", 3);
  h2_raw(world, NGHTTP2_HEADERS, 0x05, 1, block, sizeof block);
  h2_to_server(world);
  assert_int_equal(h2_seen(world, 0)->ends, 1);
  h2_pump(world);
  assert_answer(call, 200, "3");
  h2_end(world);
}

static void test_wrong_length_is_told_as_gone(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *less = h2_ask(world, "POST", "/count", "content-length: 9\n", "1234", 4);
  struct h2_call *more = h2_ask(world, "POST", "/count", "content-length: 2\n", "1234", 4);
  h2_pump(world);
  assert_int_equal(less->reset_code, NGHTTP2_PROTOCOL_ERROR);
  assert_int_equal(more->reset_code, NGHTTP2_PROTOCOL_ERROR);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(h2_seen(world, i)->gones, 1);
    assert_int_equal(h2_seen(world, i)->ends, 0);
  }
  h2_end(world);
}

static void test_continue(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *taken = h2_ask(world, "POST", "/count", "expect: 100-continue\n", NULL, -1);
  struct h2_call *refused = h2_ask(world, "POST", "/none", "expect: 100-continue\n", NULL, -1);
  struct h2_call *waiting = h2_ask(world, "POST", "/wait", "expect: 100-continue\n", NULL, -1);
  h2_pump(world);
  assert_int_equal(taken->interim, 100);
  assert_int_equal(refused->interim, 0);
  assert_int_equal(refused->status, 404);
  assert_int_equal(waiting->interim, 0);
  h2_resume(world, 2);
  assert_int_equal(waiting->interim, 100);
  h2_raw(world, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "xyz", 3);
  h2_to_server(world);
  h2_pump(world);
  assert_answer(taken, 200, "3");
  h2_end(world);
}

static void test_no_continue_when_it_has_begun(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *call = h2_ask(world, "POST", "/wait", "expect: 100-continue\n", "xyz", 3);
  h2_pump(world);
  h2_resume(world, 0);
  assert_int_equal(call->interim, 0);
  assert_answer(call, 200, "3");
  h2_end(world);
}

static void test_answers_without_body(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *head = h2_ask(world, "HEAD", "/x", NULL, NULL, 0);
  struct h2_call *streamed = h2_ask(world, "HEAD", "/stream?100000", NULL, NULL, 0);
  struct h2_call *empty = h2_ask(world, "GET", "/empty", NULL, NULL, 0);
  h2_pump(world);
  assert_answer(head, 200, "");
  assert_non_null(strstr(head->fields, "content-length: 17\n"));
  assert_answer(streamed, 200, "");
  assert_answer(empty, 204, "");
  assert_null(strstr(empty->fields, "content-length"));
  h2_end(world);
}

static void test_fields_of_answers(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *call = h2_ask(world, "GET", "/header", NULL, NULL, 0);
  h2_pump(world);
  assert_answer(call, 200, "x");
  assert_non_null(strstr(call->fields, "x-odd: two  lines\n"));
  assert_null(strstr(call->fields, "connection"));
  assert_null(strstr(call->fields, "transfer-encoding"));
  h2_end(world);
}

static void test_early_answer(void **state) {
  (void)state;
  static uint8_t body[3 << 20];
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *early = h2_ask(world, "POST", "/early", NULL, body, sizeof body);
  struct h2_call *none = h2_ask(world, "POST", "/none", NULL, body, sizeof body);
  h2_pump(world);
  assert_answer(early, 413, "too large");
  assert_answer(none, 404, "none");
  /* The rest was read, so that a client that writes before it reads sees the answer. */
  assert_int_equal(early->sent_bytes, sizeof body);
  assert_int_equal(none->sent_bytes, sizeof body);
  assert_true(early->closed && none->closed);
  assert_int_equal(h2_seen(world, 0)->ends + h2_seen(world, 0)->gones, 0);
  h2_end(world);
}

static void test_endless_rest_is_cut(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *call = h2_ask(world, "POST", "/none", "content-length: 99999999999\n", NULL, -1);
  h2_pump(world);
  assert_int_equal(call->status, 404);
  assert_true(call->ended);
  assert_int_equal(call->reset_code, NGHTTP2_NO_ERROR);
  assert_int_equal(h2_seen(world, 0)->finished, 1);
  h2_end(world);
}

static void test_failing_handler(void **state) {
  (void)state;
  static uint8_t body[3 << 20];
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *call = h2_ask(world, "POST", "/fail", NULL, body, sizeof body);
  h2_pump(world);
  assert_int_equal(call->status, 0);
  assert_true(call->sent_bytes < (int64_t)sizeof body); /* stopped at its window */
  /* Others are not held up. */
  struct h2_call *other = h2_ask(world, "POST", "/count", NULL, body, sizeof body);
  h2_pump(world);
  assert_answer(other, 200, "3145728");
  h2_resume(world, 0);
  assert_answer(call, 422, "failed");
  assert_int_equal(call->sent_bytes, sizeof body);
  h2_end(world);
}

static void test_abort(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *call = h2_ask(world, "GET", "/abort", NULL, NULL, 0);
  struct h2_call *other = h2_ask(world, "GET", "/open", NULL, NULL, 0);
  h2_pump(world);
  assert_string_equal(h2_body(call), "begun");
  h2_resume(world, 0);
  assert_int_equal(call->reset_code, NGHTTP2_INTERNAL_ERROR);
  assert_false(call->ended);
  assert_int_equal(h2_seen(world, 0)->finished, 1);
  assert_int_equal(h2_seen(world, 0)->clients_gone, 0);
  h2_resume(world, 1);
  assert_answer(other, 200, "begun");
  h2_end(world);
}

static void reset(struct h2_world *world, struct h2_call *call) {
  assert_int_equal(
      nghttp2_submit_rst_stream(world->client, NGHTTP2_FLAG_NONE, call->id, NGHTTP2_CANCEL), 0);
  h2_pump(world);
}

static void test_client_resets(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *uploading = h2_ask(world, "POST", "/count", NULL, NULL, -1);
  struct h2_call *waiting = h2_ask(world, "POST", "/never", NULL, "x", 1);
  struct h2_call *reading = h2_ask(world, "GET", "/open", NULL, NULL, 0);
  struct h2_call *paused = h2_ask(world, "POST", "/pause", NULL, "xyz", 3);
  h2_pump(world);
  reset(world, uploading);
  reset(world, waiting);
  reset(world, reading);
  reset(world, paused);
  assert_int_equal(h2_seen(world, 0)->gones, 1);
  assert_non_null(strstr(h2_seen(world, 0)->why, "CANCEL"));
  assert_int_equal(h2_seen(world, 1)->clients_gone, 1);
  assert_int_equal(h2_seen(world, 2)->clients_gone, 1);
  assert_int_equal(h2_seen(world, 3)->gones, 1);
  for (int i = 0; i < 4; i++) assert_int_equal(h2_seen(world, i)->finished, 1);
  assert_int_equal(world->status, STATUS_OK);
  h2_end(world);
}

static void test_connection_lost(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  h2_ask(world, "POST", "/count", NULL, NULL, -1);
  h2_ask(world, "POST", "/never", NULL, "x", 1);
  h2_ask(world, "GET", "/abort", NULL, NULL, 0);
  h2_pump(world);
  http_abort(h2_seen(world, 2)->exchange);
  struct error why;
  error_set(&why, STATUS_CANCELLED, "the cable is cut");
  http2_gone(world->http2, &why);
  assert_int_equal(h2_seen(world, 0)->gones, 1);
  assert_string_equal(h2_seen(world, 0)->why, "the cable is cut");
  assert_int_equal(h2_seen(world, 1)->clients_gone, 1);
  assert_int_equal(h2_seen(world, 2)->clients_gone, 0);
  h2_end(world);
}

static void test_drain(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *call = h2_ask(world, "GET", "/open", NULL, NULL, 0);
  h2_pump(world);
  http2_drain(world->http2);
  assert_false(http2_over(world->http2));
  world->stuck = true; /* what the client gets it gets in one piece */
  h2_to_server(world);
  world->stuck = false;
  /* One that was on its way is served. */
  struct h2_call *late = h2_ask(world, "GET", "/late", NULL, NULL, 0);
  h2_pump(world);
  assert_answer(late, 200, "GET /late here:80 -");
  assert_int_equal(world->goaways, 2);
  assert_int_equal(world->goaway_code, NGHTTP2_NO_ERROR);
  assert_int_equal(world->goaway_last_id, late->id);
  assert_false(http2_over(world->http2));
  h2_resume(world, 0);
  assert_answer(call, 200, "begun");
  assert_true(http2_over(world->http2));
  h2_end(world);
}

static void test_drain_of_a_silent_client(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  world->stuck = true;
  http2_drain(world->http2);
  h2_to_server(world);
  world->clock_ms += 1500;
  struct error error;
  assert_true(http2_deadline_ms(world->http2) <= world->clock_ms);
  assert_int_equal(http2_tick(world->http2, &error), STATUS_OK);
  assert_true(http2_over(world->http2));
  h2_end(world);
}

static void test_client_says_goodbye(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  h2_start(world);
  struct h2_call *call = h2_ask(world, "GET", "/open", NULL, NULL, 0);
  h2_pump(world);
  assert_int_equal(
      nghttp2_submit_goaway(world->client, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0), 0);
  h2_pump(world);
  assert_false(http2_over(world->http2));
  h2_resume(world, 0);
  assert_answer(call, 200, "begun");
  assert_true(http2_over(world->http2));
  h2_end(world);
}

/* The server is freed while a handler runs. */
static void test_gone_inside_handlers(void **state) {
  (void)state;
  static const char *const paths[] = {"/leave?request", "/leave?filled", "/leave?end",
                                      "/leave?writable"};
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    struct h2_world *world = h2_new();
    world->options.write_bytes_high = 100000;
    h2_start(world);
    h2_ask(world, "GET", "/open", NULL, NULL, 0);
    h2_ask(world, "POST", "/pause", NULL, "held", 4);
    h2_ask(world, "POST", paths[i], NULL, "some of a body", 14);
    h2_ask(world, "GET", "/never", NULL, NULL, 0);
    h2_pump(world);
    assert_int_equal(world->status, STATUS_CANCELLED);
    assert_int_equal(h2_seen(world, 0)->clients_gone, 1);
    assert_int_equal(h2_seen(world, 1)->gones, 1);
    for (int n = 0; n < world->exchange_count; n++)
      assert_int_equal(h2_seen(world, n)->finished, 1);
    assert_int_equal(world->budget.used_bytes, 0);
    assert_true(http2_over(world->http2));
    h2_end(world);
  }
}

static void test_no_http2(void **state) {
  (void)state;
  struct h2_world *world = h2_new();
  struct error error;
  h2_start(world);
  h2_raw(world, NGHTTP2_DATA, 0, 1, "idle stream", 11);
  h2_ask(world, "GET", "/", NULL, NULL, 0);
  h2_to_server(world);
  h2_pump(world);
  assert_int_equal(world->status, STATUS_INVALID);
  assert_int_equal(world->goaway_code, NGHTTP2_PROTOCOL_ERROR);
  assert_int_equal(world->stats.refused_broken, 1);
  assert_int_equal(http2_feed(world->http2, (const uint8_t *)"x", 1, &error), STATUS_INVALID);
  assert_int_equal(http2_run(world->http2, &error), STATUS_INVALID);
  assert_true(http2_over(world->http2));
  h2_end(world);
}

static void test_malformed_requests_are_reset(void **state) {
  (void)state;
  static const char *const fields[] = {
      "connection: close\n",  "transfer-encoding: chunked\n",
      "te: gzip\n",           ":method: GET\n",
      ":strange: x\n",        "content-length: x\n",
      "x: a\tb\x01\n",        "content-length: 3\ncontent-length: 3\n",
      "upgrade: websocket\n", ":status: 200\n",
  };
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    struct h2_world *world = h2_new();
    h2_start(world);
    struct h2_call *call = h2_ask(world, "GET", "/", fields[i], NULL, 0);
    h2_pump(world);
    if (call->reset_code != NGHTTP2_PROTOCOL_ERROR || world->exchange_count != 0)
      fail_msg("%s: reset %lld", fields[i], (long long)call->reset_code);
    assert_int_equal(world->status, STATUS_OK);
    h2_end(world);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_get),
      cmocka_unit_test(test_protocol_name),
      cmocka_unit_test(test_cookie_crumbs),
      cmocka_unit_test(test_heads),
      cmocka_unit_test(test_connect_is_refused),
      cmocka_unit_test(test_bodies_in_all_splits),
      cmocka_unit_test(test_no_body_ends_at_once),
      cmocka_unit_test(test_many_at_a_time),
      cmocka_unit_test(test_too_many_streams),
      cmocka_unit_test(test_trailer_ends_the_body),
      cmocka_unit_test(test_wrong_length_is_told_as_gone),
      cmocka_unit_test(test_continue),
      cmocka_unit_test(test_no_continue_when_it_has_begun),
      cmocka_unit_test(test_answers_without_body),
      cmocka_unit_test(test_fields_of_answers),
      cmocka_unit_test(test_early_answer),
      cmocka_unit_test(test_endless_rest_is_cut),
      cmocka_unit_test(test_failing_handler),
      cmocka_unit_test(test_abort),
      cmocka_unit_test(test_client_resets),
      cmocka_unit_test(test_connection_lost),
      cmocka_unit_test(test_drain),
      cmocka_unit_test(test_drain_of_a_silent_client),
      cmocka_unit_test(test_client_says_goodbye),
      cmocka_unit_test(test_gone_inside_handlers),
      cmocka_unit_test(test_no_http2),
      cmocka_unit_test(test_malformed_requests_are_reset),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
