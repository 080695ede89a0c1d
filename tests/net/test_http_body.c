/* Bodies on their way to a handler (http_body.c): windows of any size, handlers that pause and
 * fail, bodies that are encoded, cut and too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "net/http_exchange.h"

enum { PLAIN_BYTES = 1000, PACKED_BYTES_MAX = 2000 };

/* An exchange without a connection. */
struct fixture {
  struct http_exchange exchange;
  uint8_t got[PLAIN_BYTES * 2];
  size_t got_bytes;
  uint8_t window[64];
  int64_t window_bytes;
  int pause_every; /* pieces; 0: never */
  int pieces;
  size_t fail_at;
  int ends, gones, requests;
  int code; /* answered */
  char said[2048];
};

static enum status take_window(void *context, uint8_t **data, int64_t *bytes) {
  struct fixture *fixture = context;
  *data = fixture->window;
  *bytes = fixture->window_bytes;
  return STATUS_OK;
}

static enum status take_filled(void *context, int64_t bytes) {
  struct fixture *fixture = context;
  assert_true(fixture->got_bytes + (size_t)bytes <= sizeof fixture->got);
  memcpy(fixture->got + fixture->got_bytes, fixture->window, (size_t)bytes);
  fixture->got_bytes += (size_t)bytes;
  fixture->pieces++;
  if (fixture->fail_at > 0 && fixture->got_bytes >= fixture->fail_at) return STATUS_INVALID;
  if (fixture->pause_every > 0 && fixture->pieces % fixture->pause_every == 0)
    http_body_pause(&fixture->exchange);
  return STATUS_OK;
}

static void take_end(void *context) { ((struct fixture *)context)->ends++; }
static void take_gone(void *context, const struct error *why) {
  assert_int_not_equal(why->status, STATUS_OK);
  ((struct fixture *)context)->gones++;
}

static void body_changed(struct http_exchange *exchange) { (void)exchange; }

static void respond(struct http_exchange *exchange, int code, const struct http_header *headers,
                    size_t header_count, const void *body, size_t body_bytes) {
  struct fixture *fixture = (struct fixture *)exchange;
  (void)headers, (void)header_count;
  fixture->code = code;
  assert_true(body_bytes < sizeof fixture->said);
  memcpy(fixture->said, body, body_bytes);
}

static const struct http_protocol PROTOCOL = {
    .name = "none", .body_changed = body_changed, .respond = respond};

static void on_request(void *context, struct http_exchange *exchange) {
  struct fixture *fixture = context;
  const struct http_body_handler handler = {fixture, take_window, take_filled, take_end, take_gone};
  fixture->requests++;
  http_body_accept(exchange, &handler);
}

static void on_finished(void *context, struct http_exchange *exchange) {
  (void)context, (void)exchange;
}

/* A POST with this Content-Encoding (NULL: none), asked. */
static struct fixture *start(const char *encoding, int64_t body_bytes, int64_t body_bytes_max,
                             struct http_service *service) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  assert_non_null(fixture);
  *service = (struct http_service){fixture, on_request, on_finished};
  struct http_head head = HTTP_HEAD_EMPTY;
  int code = 0;
  const char *names[] = {"host", "content-encoding"};
  const char *values[] = {"h", encoding};
  int count = encoding == NULL ? 1 : 2;
  assert_int_equal(http_head_add(&head, "POST\0/", 7, NULL), STATUS_OK);
  for (int i = 0; i < count; i++) {
    assert_int_equal(http_head_add(&head, names[i], strlen(names[i]) + 1, NULL), STATUS_OK);
    assert_int_equal(http_head_add(&head, values[i], strlen(values[i]) + 1, NULL), STATUS_OK);
  }
  head.minor_version = 1;
  assert_int_equal(http_head_finish(&head, count, &code, NULL), STATUS_OK);
  head.request.body_bytes = body_bytes;
  fixture->window_bytes = sizeof fixture->window;
  exchange_init(&fixture->exchange, &PROTOCOL, service, NULL, &head);
  fixture->exchange.body_bytes_max = body_bytes_max;
  exchange_ask(&fixture->exchange);
  return fixture;
}

static void finish(struct fixture *fixture) {
  exchange_finish(&fixture->exchange);
  free(fixture);
}

/* Gives all of it in pieces, resuming whenever the handler has paused, then the end. */
static void give(struct fixture *fixture, const uint8_t *data, size_t bytes, size_t piece) {
  struct http_exchange *exchange = &fixture->exchange;
  for (size_t at = 0; at < bytes && exchange->body == BODY_TAKEN;) {
    size_t given = bytes - at < piece ? bytes - at : piece;
    size_t used = exchange_body_give(exchange, data + at, given);
    assert_true(used <= given);
    at += used;
    if (used < given && exchange->body == BODY_TAKEN) assert_true(exchange->paused);
    http_body_resume(exchange);
  }
  for (int i = 0; i < 10000 && !exchange_body_end(exchange); i++) {
    assert_true(exchange->paused);
    http_body_resume(exchange);
  }
}

static void plain_text(uint8_t *text) {
  for (size_t i = 0; i < PLAIN_BYTES; i++) text[i] = (uint8_t)('a' + i * i % 23);
}

static size_t gzip(const uint8_t *data, size_t bytes, uint8_t *out) {
  z_stream stream = {.next_in = (z_const Bytef *)data, .avail_in = (unsigned)bytes};
  assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_out = out;
  stream.avail_out = PACKED_BYTES_MAX;
  assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
  size_t made = PACKED_BYTES_MAX - stream.avail_out;
  deflateEnd(&stream);
  return made;
}

static void every_cut_pause_and_window_gives_the_same_bytes(void **state) {
  (void)state;
  uint8_t plain[PLAIN_BYTES];
  uint8_t packed[PACKED_BYTES_MAX];
  plain_text(plain);
  size_t packed_bytes = gzip(plain, sizeof plain, packed);
  static const int64_t windows[] = {1, 7, 64};
  static const size_t pieces[] = {1, 3, 100, 5000};
  for (int encoded = 0; encoded < 2; encoded++)
    for (size_t w = 0; w < 3; w++)
      for (size_t p = 0; p < 4; p++)
        for (int pause_every = 0; pause_every < 4; pause_every++) {
          struct http_service service;
          struct fixture *fixture = start(encoded ? "gzip" : NULL, -1, 0, &service);
          fixture->window_bytes = windows[w];
          fixture->pause_every = pause_every;
          give(fixture, encoded ? packed : plain, encoded ? packed_bytes : sizeof plain, pieces[p]);
          assert_int_equal(fixture->ends, 1);
          assert_int_equal(fixture->gones, 0);
          assert_int_equal(fixture->got_bytes, sizeof plain);
          assert_memory_equal(fixture->got, plain, sizeof plain);
          assert_int_equal(fixture->exchange.received_bytes, encoded ? packed_bytes : sizeof plain);
          assert_int_equal(fixture->exchange.body, BODY_DONE);
          finish(fixture);
        }
}

static void an_unknown_coding_is_415_before_the_service_hears_of_it(void **state) {
  (void)state;
  static const char *const names[] = {"br", "gzip, zstd", "compress", "deflate"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    struct http_service service;
    struct fixture *fixture = start(names[i], -1, 0, &service);
    assert_int_equal(fixture->code, 415);
    assert_non_null(strstr(fixture->said, HTTP_CODINGS));
    assert_int_equal(fixture->requests, 0);
    finish(fixture);
  }
}

static void what_breaks_is_400_and_gone(void **state) {
  (void)state;
  uint8_t plain[PLAIN_BYTES];
  uint8_t packed[PACKED_BYTES_MAX];
  plain_text(plain);
  size_t packed_bytes = gzip(plain, sizeof plain, packed);
  for (int kind = 0; kind < 3; kind++) {
    struct http_service service;
    struct fixture *fixture = start("gzip", -1, 0, &service);
    uint8_t broken[PACKED_BYTES_MAX];
    memcpy(broken, packed, packed_bytes);
    size_t bytes = packed_bytes;
    if (kind == 0) bytes -= 5;                        /* cut */
    if (kind == 1) broken[packed_bytes - 6] ^= 1;     /* a wrong checksum */
    if (kind == 2) memset(broken, 'x', packed_bytes); /* not gzip at all */
    give(fixture, broken, bytes, 100);
    assert_int_equal(fixture->code, 400);
    assert_int_equal(fixture->ends, 0);
    assert_int_equal(fixture->gones, 1);
    assert_non_null(strstr(fixture->said, "Content-Encoding"));
    finish(fixture);
  }
}

static void a_body_past_the_limit_is_413(void **state) {
  (void)state;
  uint8_t plain[PLAIN_BYTES];
  uint8_t packed[PACKED_BYTES_MAX];
  plain_text(plain);
  size_t packed_bytes = gzip(plain, sizeof plain, packed);
  struct http_service service;
  /* By its Content-Length: nobody is asked. */
  struct fixture *fixture = start(NULL, PLAIN_BYTES, PLAIN_BYTES - 1, &service);
  assert_int_equal(fixture->code, 413);
  assert_int_equal(fixture->requests, 0);
  finish(fixture);
  /* As it comes, and as it is decoded: a small body may be a large one. */
  for (int encoded = 0; encoded < 2; encoded++) {
    fixture = start(encoded ? "gzip" : NULL, -1, PLAIN_BYTES - 1, &service);
    give(fixture, encoded ? packed : plain, encoded ? packed_bytes : sizeof plain, 100);
    assert_int_equal(fixture->code, 413);
    assert_int_equal(fixture->gones, 1);
    assert_int_equal(fixture->ends, 0);
    assert_non_null(strstr(fixture->said, "http.body_bytes_max"));
    finish(fixture);
    fixture = start(encoded ? "gzip" : NULL, -1, PLAIN_BYTES, &service);
    give(fixture, encoded ? packed : plain, encoded ? packed_bytes : sizeof plain, 100);
    assert_int_equal(fixture->ends, 1);
    finish(fixture);
  }
}

static void a_handler_that_fails_hears_nothing_more(void **state) {
  (void)state;
  uint8_t plain[PLAIN_BYTES];
  plain_text(plain);
  struct http_service service;
  struct fixture *fixture = start(NULL, PLAIN_BYTES, 0, &service);
  fixture->fail_at = 100;
  give(fixture, plain, sizeof plain, 10);
  assert_int_equal(fixture->got_bytes, 100);
  assert_int_equal(fixture->exchange.body, BODY_STOPPED);
  assert_int_equal(fixture->ends + fixture->gones, 0);
  finish(fixture);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_cut_pause_and_window_gives_the_same_bytes),
      cmocka_unit_test(an_unknown_coding_is_415_before_the_service_hears_of_it),
      cmocka_unit_test(what_breaks_is_400_and_gone),
      cmocka_unit_test(a_body_past_the_limit_is_413),
      cmocka_unit_test(a_handler_that_fails_hears_nothing_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
