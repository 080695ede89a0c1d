/* Calls: messages in all cuts, answers and their trailers, what is refused, deadlines, clients that
 * go, handlers that pause and fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/grpc_world.h"

#define OK_HEAD  "content-type: application/grpc\ngrpc-accept-encoding: identity,gzip,deflate\n"
#define OK_TRAIL "grpc-status: 0\n"

static void must(enum status status) { assert_int_equal(status, STATUS_OK); }

/* What the client was told, without the date. */
static const char *told(struct h2_call *call) {
  assert_int_equal(call->status, 200);
  assert_int_equal(strncmp(call->fields, "date: ", 6), 0);
  return strchr(call->fields, '\n') + 1;
}

static void ends_with(struct h2_call *call, int code, const char *message) {
  char wanted[200];
  (void)snprintf(wanted, sizeof wanted, "grpc-status: %d\ngrpc-message: %s", code, message);
  assert_true(call->ended);
  if (strstr(call->fields, wanted) == NULL) fail_msg("%s", call->fields);
}

static struct text three(void) {
  struct text body = TEXT_EMPTY;
  grpc_frame(&body, 0, "hello", 5);
  grpc_frame(&body, 0, "", 0);
  grpc_frame(&body, 0, "a longer message", 16);
  return body;
}

#define THREE_LOG "begin 5;hello;message;begin 0;message;begin 16;a longer message;message;end;"

/* ---- messages --------------------------------------------------------------------------------- */

static void test_cut_anywhere(void **state) {
  (void)state;
  struct text body = three();
  for (size_t piece = 0; piece <= 40; piece++)
    for (int64_t window = 1; window <= 20; window += 6) {
      struct grpc_world *world = grpc_world_new();
      world->window_bytes = window;
      grpc_world_start(world);
      world->h2->piece_bytes = piece;
      struct h2_call *call = grpc_ask(world, "/log", NULL, body.data, (int64_t)body.size_bytes);
      h2_pump(world->h2);
      assert_string_equal(grpc_log(world, 0), THREE_LOG);
      assert_string_equal(told(call), OK_HEAD "\n" OK_TRAIL "\n");
      assert_true(call->ended);
      assert_int_equal(call->heads, 2);
      grpc_world_end(world);
    }
  text_release(&body);
}

/* Each DATA frame holds what lies between two cuts. */
static void test_cut_into_frames(void **state) {
  (void)state;
  struct text body = three();
  for (size_t cut = 0; cut <= body.size_bytes; cut++) {
    struct grpc_world *world = grpc_world_new();
    grpc_world_start(world);
    struct h2_call *call = grpc_ask(world, "/log", NULL, NULL, -1);
    h2_pump(world->h2);
    h2_raw(world->h2, NGHTTP2_DATA, 0, (uint32_t)call->id, body.data, cut);
    h2_pump(world->h2);
    h2_raw(world->h2, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, (uint32_t)call->id, body.data + cut,
           body.size_bytes - cut);
    h2_pump(world->h2);
    assert_string_equal(grpc_log(world, 0), THREE_LOG);
    assert_true(call->ended);
    grpc_world_end(world);
  }
  text_release(&body);
}

static void test_echo(void **state) {
  (void)state;
  struct text body = three();
  struct grpc_world *world = grpc_world_new();
  grpc_world_start(world);
  struct h2_call *call = grpc_ask(world, "/echo", NULL, body.data, (int64_t)body.size_bytes);
  h2_pump(world->h2);
  assert_int_equal(call->body_bytes, body.size_bytes);
  assert_memory_equal(call->body, body.data, body.size_bytes);
  assert_string_equal(told(call), OK_HEAD "\n" OK_TRAIL "\n");
  grpc_world_end(world);
  text_release(&body);
}

static void test_metadata(void **state) {
  (void)state;
  struct grpc_world *world = grpc_world_new();
  grpc_world_start(world);
  struct h2_call *call = grpc_ask(world, "/metadata", NULL, NULL, 0);
  struct h2_call *bad = grpc_ask(world, "/metadata", NULL, "\2", 1);
  h2_pump(world->h2);
  assert_string_equal(told(call), OK_HEAD "x-own: metadata\n\n" OK_TRAIL "\n");
  assert_non_null(strstr(bad->fields, "x-own: metadata\ngrpc-status: 3\n"));
  assert_int_equal(bad->heads, 1);
  grpc_world_end(world);
}

static void test_one_message(void **state) {
  (void)state;
  static const struct {
    int messages;
    const char *log, *message;
  } cases[] = {{0, "gone INVALID;", "this method takes one message, and none came"},
               {1, "begin 2;hi;message;end;", NULL},
               {2, "begin 2;hi;message;gone INVALID;",
                "this method takes one message, and a second one came"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct text body = TEXT_EMPTY;
    for (int n = 0; n < cases[i].messages; n++) grpc_frame(&body, 0, "hi", 2);
    struct grpc_world *world = grpc_world_new();
    grpc_world_start(world);
    struct h2_call *call = grpc_ask(world, "/one", NULL, text_get(&body), (int64_t)body.size_bytes);
    h2_pump(world->h2);
    assert_string_equal(grpc_log(world, 0), cases[i].log);
    if (cases[i].message != NULL)
      ends_with(call, 3, cases[i].message);
    else
      assert_memory_equal(call->body, "\0\0\0\0\2hi", 7);
    grpc_world_end(world);
    text_release(&body);
  }
}

static void test_broken_messages(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t count;
    const char *log;
    int code;
    const char *message;
  } cases[] = {
      {"\2\0\0\0\1x", 6, "gone INVALID;", 3, "a message's prefix begins with 2;"},
      {"\xff\0\0\0\1x", 6, "gone INVALID;", 3, "a message's prefix begins with 255;"},
      {"\1\0\0\0\1x", 6, "gone INVALID;", 3, "a message says that it is compressed, but no"},
      {"\0\0\0\4\1", 5, "gone TOO_LARGE;", 8, "a message has 1025 bytes; at most 1024 are taken"},
      {"\0\xff\xff\xff\xff", 5, "gone TOO_LARGE;", 8, "a message has 4294967295 bytes;"},
      {"\0\0\0\0", 4, "gone INVALID;", 3, "the call ends in the middle of a message"},
      {"\0", 1, "gone INVALID;", 3, "the call ends in the middle of a message"},
      {"\0\0\0\0\2", 5, "begin 2;gone INVALID;", 3, "the call ends in the middle of a message"},
      {"\0\0\0\0\2a", 6, "begin 2;gone INVALID;", 3, "the call ends in the middle of a message"},
      {"\0\0\0\0\1a\0", 7, "begin 1;a;message;gone INVALID;", 3, "the call ends in the middle"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct grpc_world *world = grpc_world_new();
    world->options.message_bytes_max = 1024;
    grpc_world_start(world);
    struct h2_call *call = grpc_ask(world, "/log", NULL, cases[i].bytes, (int64_t)cases[i].count);
    h2_pump(world->h2);
    assert_string_equal(grpc_log(world, 0), cases[i].log);
    ends_with(call, cases[i].code, cases[i].message);
    assert_int_equal(call->heads, 1);
    assert_int_equal(world->h2->status, STATUS_OK); /* the connection goes on */
    grpc_world_end(world);
  }
}

/* The largest there may be is taken. */
static void test_message_limit(void **state) {
  (void)state;
  struct text body = TEXT_EMPTY;
  char message[1024];
  memset(message, 'x', sizeof message);
  grpc_frame(&body, 0, message, sizeof message);
  struct grpc_world *world = grpc_world_new();
  world->options.message_bytes_max = 1024;
  grpc_world_start(world);
  struct h2_call *call = grpc_ask(world, "/log", NULL, body.data, (int64_t)body.size_bytes);
  h2_pump(world->h2);
  assert_string_equal(told(call), OK_HEAD "\n" OK_TRAIL "\n");
  assert_int_equal(world->seen[0]->messages, 1);
  grpc_world_end(world);
  text_release(&body);
}

/* ---- compressed messages ---------------------------------------------------------------------- */

/* `bits`: of zlib's deflateInit2. */
static void add_compressed(struct text *out, int bits, const void *message, size_t bytes) {
  z_stream zlib = {0};
  assert_int_equal(deflateInit2(&zlib, 6, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  size_t room = deflateBound(&zlib, bytes) + 100;
  uint8_t *made = malloc(room);
  assert_non_null(made);
  zlib.next_in = (z_const Bytef *)message;
  zlib.avail_in = (unsigned)bytes;
  zlib.next_out = made;
  zlib.avail_out = (unsigned)room;
  assert_int_equal(deflate(&zlib, Z_FINISH), Z_STREAM_END);
  grpc_frame(out, 1, made, room - zlib.avail_out);
  deflateEnd(&zlib);
  free(made);
}

static void test_compressed(void **state) {
  (void)state;
  static const struct {
    const char *encoding;
    int bits;
  } cases[] = {{"grpc-encoding: gzip\n", 31}, {"grpc-encoding: deflate\n", 15}};
  static const char *const paths[] = {"/log", "/step", "/budget"};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (size_t p = 0; p < sizeof paths / sizeof paths[0]; p++)
      for (size_t piece = 0; piece < 12; piece++) {
        struct text body = TEXT_EMPTY;
        add_compressed(&body, cases[i].bits, "hello", 5);
        add_compressed(&body, cases[i].bits, "", 0);
        grpc_frame(&body, 0, "plain", 5); /* a message need not be compressed */
        add_compressed(&body, cases[i].bits, "the last", 8);
        struct grpc_world *world = grpc_world_new();
        world->window_bytes = 3;
        grpc_world_start(world);
        world->h2->piece_bytes = piece;
        struct h2_call *call =
            grpc_ask(world, paths[p], cases[i].encoding, body.data, (int64_t)body.size_bytes);
        h2_pump(world->h2);
        for (int n = 0; n < 100 && !call->ended && p > 0; n++) grpc_go_on(world, 0);
        assert_string_equal(grpc_log(world, 0),
                            "begin 5;hello;message;begin 0;message;begin 5;plain;message;"
                            "begin 8;the last;message;end;");
        assert_string_equal(told(call), OK_HEAD "\n" OK_TRAIL "\n");
        grpc_world_end(world);
        text_release(&body);
      }
}

static void test_broken_compressed(void **state) {
  (void)state;
  static const char *const messages[] = {
      "a compressed message is broken", "a compressed message ends in the middle of its data",
      "a compressed message has 3 bytes behind its data's end",
      "a compressed message ends in the middle of its data", "a compressed message is broken"};
  for (int i = 0; i < 5; i++) {
    struct text body = TEXT_EMPTY, good = TEXT_EMPTY, frame = TEXT_EMPTY;
    add_compressed(&good, i == 4 ? 15 : 31, "hello", 5);
    const char *data = good.data + GRPC_PREFIX_BYTES;
    size_t bytes = good.size_bytes - GRPC_PREFIX_BYTES;
    must(text_add_bytes(&frame, data, bytes, NULL));
    if (i == 0) frame.data[12] ^= 0x5a;
    if (i == 2) must(text_add_bytes(&frame, "abc", 3, NULL));
    grpc_frame(&body, 1, frame.data, i == 1 ? bytes - 1 : i == 3 ? 0 : frame.size_bytes);
    struct grpc_world *world = grpc_world_new();
    grpc_world_start(world);
    struct h2_call *call =
        grpc_ask(world, "/log", "grpc-encoding: gzip\n", body.data, (int64_t)body.size_bytes);
    h2_pump(world->h2);
    assert_string_equal(grpc_log(world, 0), "gone INVALID;");
    ends_with(call, 3, messages[i]);
    grpc_world_end(world);
    text_release(&body);
    text_release(&good);
    text_release(&frame);
  }
}

/* What it expands to is limited as what is sent plainly, and charged. */
static void test_bombs(void **state) {
  (void)state;
  enum { LIMIT = 1 << 20 };
  static const struct {
    size_t bytes;
    int64_t budget_bytes;
    const char *log;
    int code;
  } cases[] = {{LIMIT, 256 << 20, "begin 1048576;message;end;", 0},
               {LIMIT + 1, 256 << 20, "gone TOO_LARGE;", 8},
               {50 * LIMIT, 256 << 20, "gone TOO_LARGE;", 8},
               {LIMIT, 700000, "gone BUDGET;", 8}};
  char *zeros = calloc(1, 50 * LIMIT);
  assert_non_null(zeros);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct text body = TEXT_EMPTY;
    add_compressed(&body, 31, zeros, cases[i].bytes);
    struct grpc_world *world = grpc_world_new();
    world->h2->budget.limit_bytes = cases[i].budget_bytes;
    world->options.message_bytes_max = LIMIT;
    grpc_world_start(world);
    struct h2_call *call =
        grpc_ask(world, "/log", "grpc-encoding: gzip\n", body.data, (int64_t)body.size_bytes);
    h2_pump(world->h2);
    assert_string_equal(grpc_log(world, 0), cases[i].log);
    char wanted[32];
    (void)snprintf(wanted, sizeof wanted, "grpc-status: %d\n", cases[i].code);
    assert_non_null(strstr(call->fields, wanted));
    grpc_world_end(world);
    text_release(&body);
  }
  free(zeros);
}

/* ---- heads ------------------------------------------------------------------------------------- */

static void test_what_is_a_call(void **state) {
  (void)state;
  static const struct {
    const char *method, *type;
    bool is;
  } cases[] = {
      {"POST", "application/grpc", true},       {"POST", "application/grpc+proto", true},
      {"POST", "Application/GRPC", true},       {"POST", "application/grpc;charset=utf-8", true},
      {"POST", "application/grpc+json", false}, {"POST", "application/grpc-web+proto", false},
      {"POST", "application/grpcx", false},     {"POST", "application/json", false},
      {"PUT", "application/grpc", false}};
  struct grpc_world *world = grpc_world_new();
  grpc_world_start(world);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char fields[100];
    (void)snprintf(fields, sizeof fields, "content-type: %s\n", cases[i].type);
    struct h2_call *call = h2_ask(world->h2, cases[i].method, "/log", fields, NULL, 0);
    h2_pump(world->h2);
    assert_int_equal(strstr(call->fields, "grpc-status: 0") != NULL, cases[i].is);
    assert_string_equal(h2_body(call), cases[i].is ? "" : "no call");
  }
  grpc_world_end(world);
}

static void test_refused_heads(void **state) {
  (void)state;
  static const struct {
    const char *fields;
    int code;
    const char *message;
  } cases[] = {
      {"grpc-encoding: snappy\n", 12, "grpc-encoding is one that is not known here;"},
      {"grpc-timeout: 1\n", 3, "grpc-timeout is 1;"},
      {"grpc-timeout: S\n", 3, "grpc-timeout is S;"},
      {"grpc-timeout: 123456789S\n", 3, "grpc-timeout is 123456789S;"},
      {"grpc-timeout: -1S\n", 3, "grpc-timeout is -1S;"},
      {"grpc-timeout: 1h\n", 3, "grpc-timeout is 1h;"},
      {"grpc-timeout: 1SS\n", 3, "grpc-timeout is 1SS;"},
      {"grpc-timeout: 1.5S\n", 3, "grpc-timeout is 1.5S;"},
      {"content-encoding: br\n", 12, "Content-Encoding is one"},
      {"content-length: 9\n", 8, "the body has 9 bytes; at most 8 are taken"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct grpc_world *world = grpc_world_new();
    world->h2->options.body_bytes_max = 8;
    grpc_world_start(world);
    struct h2_call *call = grpc_ask(world, "/log", cases[i].fields,
                                    "\0\0\0\0\4"
                                    "abcd",
                                    9);
    h2_pump(world->h2);
    ends_with(call, cases[i].code, cases[i].message);
    assert_int_equal(strncmp(told(call), OK_HEAD, strlen(OK_HEAD)), 0);
    assert_int_equal(call->heads, 1);
    assert_int_equal(call->body_bytes, 0);
    if (world->count > 0) assert_true(world->seen[0]->code >= 400);
    grpc_world_end(world);
  }
}

/* A head past the limits is refused before anybody has looked at it. */
static void test_large_heads(void **state) {
  (void)state;
  char fields[900] = "x: ";
  memset(fields + 3, 'y', 800);
  fields[803] = '\n';
  struct grpc_world *world = grpc_world_new();
  world->h2->options.header_bytes_max = 500;
  grpc_world_start(world);
  struct h2_call *call = grpc_ask(world, "/log", fields, NULL, 0);
  struct h2_call *plain = h2_ask(world->h2, "POST", "/log", fields, NULL, 0);
  h2_pump(world->h2);
  ends_with(call, 8, "the request's head is longer than 500 bytes");
  assert_int_equal(plain->status, 431);
  assert_int_equal(world->count, 0);
  grpc_world_end(world);
}

static void test_refuse(void **state) {
  (void)state;
  struct grpc_world *world = grpc_world_new();
  grpc_world_start(world);
  struct h2_call *call = grpc_ask(world, "/refuse", NULL, NULL, -1);
  h2_pump(world->h2);
  assert_string_equal(told(call), OK_HEAD
                      "grpc-status: 16\ngrpc-message: who asks? 100%25 unknown %C3%A9%0A\n\n");
  assert_true(call->ended);
  assert_int_equal(call->reset_code, NGHTTP2_NO_ERROR); /* its sender stops */
  grpc_world_end(world);
}

/* "Try again" has a field of gRPC's. */
static void test_no_budget(void **state) {
  (void)state;
  struct grpc_world *world = grpc_world_new();
  world->h2->budget.limit_bytes = 1000;
  grpc_world_start(world);
  struct h2_call *call = grpc_ask(world, "/log", NULL, NULL, -1);
  h2_pump(world->h2);
  assert_non_null(strstr(call->fields, "grpc-status: 8\n"));
  assert_non_null(strstr(call->fields, "grpc-retry-pushback-ms: 1000\n"));
  grpc_world_end(world);
}

/* ---- early ends ------------------------------------------------------------------------------- */

static void test_early_end(void **state) {
  (void)state;
  enum { MESSAGES = 2000, BYTES = 4096 };
  static char message[BYTES];
  struct text body = TEXT_EMPTY;
  memset(message, 'x', sizeof message);
  for (int i = 0; i < MESSAGES; i++) grpc_frame(&body, 0, message, sizeof message);
  struct grpc_world *world = grpc_world_new();
  grpc_world_start(world);
  struct h2_call *call = grpc_ask(world, "/early?3", NULL, body.data, (int64_t)body.size_bytes);
  h2_pump(world->h2);
  ends_with(call, 9, "it does not fit");
  assert_int_equal(call->reset_code, NGHTTP2_NO_ERROR);
  assert_int_equal(world->seen[0]->messages, 3);
  assert_true(call->sent_bytes < 1 << 20); /* not the eight megabytes */
  assert_null(world->seen[0]->exchange);
  assert_int_equal(world->seen[0]->code, 422);
  /* The connection serves on, with its whole window. */
  for (int i = 0; i < 20; i++) grpc_ask(world, "/early?1", NULL, body.data, 1 << 20);
  h2_pump(world->h2);
  struct h2_call *last = grpc_ask(world, "/log", NULL, body.data, 4101 * 1000);
  h2_pump(world->h2);
  assert_true(last->ended);
  assert_int_equal(world->seen[21]->messages, 1000);
  grpc_world_end(world);
  text_release(&body);
}

/* What was sent before the error reaches the client first. */
static void test_error_after_messages(void **state) {
  (void)state;
  struct grpc_world *world = grpc_world_new();
  grpc_world_start(world);
  struct h2_call *call = grpc_ask(world, "/echo", NULL, "\0\0\0\0\2hi\7\0\0\0\0", 12);
  h2_pump(world->h2);
  assert_memory_equal(call->body, "\0\0\0\0\2hi", 7);
  assert_int_equal(call->heads, 2);
  ends_with(call, 3, "a message's prefix begins with 7");
  assert_string_equal(grpc_log(world, 0), "begin 2;hi;message;gone INVALID;");
  grpc_world_end(world);
}

static void test_handlers_that_fail(void **state) {
  (void)state;
  static const struct {
    const char *path, *log;
  } cases[] = {{"/fail?begin", "begin 2;"},
               {"/fail?window", "begin 2;"},
               {"/fail?filled", "begin 2;"},
               {"/fail?message", "begin 2;hi;message;"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (int compressed = 0; compressed < 2; compressed++)
      for (int goes = 0; goes < 2; goes++) {
        struct text body = TEXT_EMPTY;
        char log[100];
        for (int n = 0; n < 2; n++)
          if (compressed)
            add_compressed(&body, 31, "hi", 2);
          else
            grpc_frame(&body, 0, "hi", 2);
        struct grpc_world *world = grpc_world_new();
        grpc_world_start(world);
        struct h2_call *call = grpc_ask(world, cases[i].path, "grpc-encoding: gzip\n", body.data,
                                        (int64_t)body.size_bytes);
        h2_pump(world->h2);
        grpc_world_pass(world, 0);
        assert_string_equal(grpc_log(world, 0), cases[i].log);
        assert_false(call->ended);
        if (goes) {
          h2_raw(world->h2, NGHTTP2_RST_STREAM, 0, (uint32_t)call->id, "\0\0\0\10", 4);
          h2_pump(world->h2);
        } else {
          grpc_go_on(world, 0);
          ends_with(call, 9, "failed");
        }
        (void)snprintf(log, sizeof log, "%s%s", cases[i].log, goes ? "gone CANCELLED;" : "");
        assert_string_equal(grpc_log(world, 0), log);
        grpc_world_end(world);
        text_release(&body);
      }
}

/* ---- clients that go, time ---------------------------------------------------------------------- */

static void test_cancelled(void **state) {
  (void)state;
  static const struct {
    bool ended, reset;
    const char *log;
  } cases[] = {{false, true, "begin 2;hi;message;gone CANCELLED;"},
               {false, false, "begin 2;hi;message;gone CANCELLED;"},
               {true, true, "begin 2;hi;message;end;gone CANCELLED;"},
               {true, false, "begin 2;hi;message;end;gone CANCELLED;"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct grpc_world *world = grpc_world_new();
    grpc_world_start(world);
    struct h2_call *call = grpc_ask(world, "/never", NULL, NULL, -1);
    h2_pump(world->h2);
    h2_raw(world->h2, NGHTTP2_DATA, cases[i].ended ? NGHTTP2_FLAG_END_STREAM : 0,
           (uint32_t)call->id, "\0\0\0\0\2hi", 7);
    h2_pump(world->h2);
    if (cases[i].reset) {
      h2_raw(world->h2, NGHTTP2_RST_STREAM, 0, (uint32_t)call->id, "\0\0\0\10", 4);
      h2_pump(world->h2);
    } else {
      struct error why;
      error_set(&why, STATUS_CANCELLED, "the client is gone");
      http2_gone(world->h2->http2, &why);
    }
    assert_string_equal(grpc_log(world, 0), cases[i].log);
    assert_int_equal(world->seen[0]->code, 499);
    grpc_world_end(world);
  }
}

static void test_freed_inside_of_calls(void **state) {
  (void)state;
  static const char *const where[] = {"begin", "window", "filled", "message", "end"};
  for (size_t i = 0; i < sizeof where / sizeof where[0]; i++)
    for (int compressed = 0; compressed < 2; compressed++) {
      struct text body = TEXT_EMPTY;
      char path[32];
      (void)snprintf(path, sizeof path, "/leave?%s", where[i]);
      if (compressed)
        add_compressed(&body, 31, "hi", 2);
      else
        grpc_frame(&body, 0, "hi", 2);
      struct grpc_world *world = grpc_world_new();
      grpc_world_start(world);
      grpc_ask(world, path, "grpc-encoding: gzip\ngrpc-timeout: 1H\n", body.data,
               (int64_t)body.size_bytes);
      h2_pump(world->h2);
      assert_null(world->seen[0]->call);
      grpc_world_end(world);
      text_release(&body);
    }
}

static void test_deadline(void **state) {
  (void)state;
  static const char *const timeouts[] = {"20m", "20000u", "20000000n", "0S", "1n"};
  for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
    char field[64];
    (void)snprintf(field, sizeof field, "grpc-timeout: %s\n", timeouts[i]);
    struct grpc_world *world = grpc_world_new();
    grpc_world_start(world);
    struct h2_call *open = grpc_ask(world, "/never", field, NULL, -1);
    struct h2_call *ended = grpc_ask(world, "/never", field, "\0\0\0\0\0", 5);
    h2_pump(world->h2);
    for (int n = 0; n < 500 && !(open->ended && ended->ended); n++) grpc_world_pass(world, 20);
    ends_with(open, 4, "the call's deadline (grpc-timeout) has passed");
    ends_with(ended, 4, "the call's deadline (grpc-timeout) has passed");
    assert_string_equal(grpc_log(world, 0), "gone TIMEOUT;");
    assert_string_equal(grpc_log(world, 1), "begin 0;message;end;gone TIMEOUT;");
    grpc_world_end(world);
  }
}

static void test_distant_deadlines(void **state) {
  (void)state;
  static const struct {
    const char *timeout;
    int64_t ms;
  } cases[] = {{"99999999H", INT64_C(99999999) * 3600000},
               {"2M", 120000},
               {"90S", 90000},
               {"00090000m", 90000}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char field[64];
    (void)snprintf(field, sizeof field, "grpc-timeout: %s\n", cases[i].timeout);
    struct grpc_world *world = grpc_world_new();
    grpc_world_start(world);
    int64_t before_ms = clock_now_ms();
    struct h2_call *call = grpc_ask(world, "/never", field, NULL, -1);
    grpc_ask(world, "/never", NULL, NULL, -1);
    h2_pump(world->h2);
    grpc_world_pass(world, 5);
    assert_false(call->ended);
    int64_t deadline_ms = grpc_deadline_ms(world->seen[0]->call);
    assert_true(deadline_ms >= before_ms + cases[i].ms);
    assert_true(deadline_ms <= clock_now_ms() + cases[i].ms);
    assert_int_equal(grpc_deadline_ms(world->seen[1]->call), -1);
    grpc_world_end(world);
  }
}

/* A call may stand still for hours, wherever in a message: no time-out of bodies, no idle one. */
static void test_standing_still(void **state) {
  (void)state;
  static const size_t cuts[] = {0, 3, 5, 6, 7};
  for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
    struct grpc_world *world = grpc_world_new();
    world->h2->options.body_bytes_max = 6;
    grpc_world_start(world);
    struct h2_call *call = grpc_ask(world, "/echo", NULL, NULL, -1);
    h2_pump(world->h2);
    h2_raw(world->h2, NGHTTP2_DATA, 0, (uint32_t)call->id, "\0\0\0\0\2hi", cuts[i]);
    for (int hour = 0; hour < 5; hour++) h2_pass(world->h2, 3600 * 1000);
    h2_raw(world->h2, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, (uint32_t)call->id,
           (const char *)"\0\0\0\0\2hi" + cuts[i], 7 - cuts[i]);
    h2_pump(world->h2);
    assert_string_equal(grpc_log(world, 0), "begin 2;hi;message;end;");
    assert_string_equal(told(call), OK_HEAD "\n" OK_TRAIL "\n");
    grpc_world_end(world);
  }
}

/* Who does not read what is queued for him is let go once he has sent all, or the call is finished. */
static void test_unread_answer(void **state) {
  (void)state;
  for (int finished = 0; finished < 2; finished++) {
    struct grpc_world *world = grpc_world_new();
    world->h2->take_body_windows = false;
    if (!finished) world->h2->options.write_bytes_high = 50000;
    grpc_world_start(world);
    struct h2_call *call = grpc_ask(world, "/stream?1000", NULL, NULL, finished ? -1 : 0);
    h2_pump(world->h2);
    assert_int_equal(call->body_bytes, 65535);
    for (int i = 0; i < 2; i++) h2_pass(world->h2, world->h2->options.write_timeout_ms + 1);
    assert_string_equal(grpc_log(world, 0), finished ? "" : "end;gone TIMEOUT;");
    assert_int_equal(call->reset_code, NGHTTP2_CANCEL);
    assert_null(world->seen[0]->exchange);
    grpc_world_end(world);
  }
}

/* One that still sends may leave it unread for as long as it likes. */
static void test_unread_while_sending(void **state) {
  (void)state;
  struct grpc_world *world = grpc_world_new();
  world->h2->take_body_windows = false;
  world->h2->options.write_bytes_high = 50000;
  grpc_world_start(world);
  struct h2_call *call = grpc_ask(world, "/stream?1000", NULL, NULL, -1);
  h2_pump(world->h2);
  assert_int_equal(call->body_bytes, 65535);
  for (int hour = 0; hour < 5; hour++) h2_pass(world->h2, 3600 * 1000);
  assert_string_equal(grpc_log(world, 0), "");
  assert_int_equal(call->reset_code, -1);
  grpc_world_end(world);
}

static void test_slow_reader_stops_the_writer(void **state) {
  (void)state;
  struct grpc_world *world = grpc_world_new();
  world->h2->options.write_bytes_high = 50000;
  world->h2->take_body_windows = false;
  grpc_world_start(world);
  struct h2_call *call = grpc_ask(world, "/stream?1000", NULL, NULL, 0);
  h2_pump(world->h2);
  assert_true(world->seen[0]->to_send > 1000 - (65535 + 50000) / 1000 - 2);
  world->h2->take_body_windows = true;
  assert_int_equal(nghttp2_session_consume(world->h2->client, call->id, 65535), 0);
  h2_pump(world->h2);
  assert_int_equal(call->body_bytes, 1000 * 1005);
  assert_string_equal(told(call), OK_HEAD "\n" OK_TRAIL "\n");
  grpc_world_end(world);
}

/* ---- pauses ------------------------------------------------------------------------------------ */

static void test_pauses(void **state) {
  (void)state;
  static const char *const paths[] = {"/step", "/budget"};
  struct text body = three();
  for (size_t p = 0; p < 2; p++) {
    struct grpc_world *world = grpc_world_new();
    world->window_bytes = 3;
    grpc_world_start(world);
    struct h2_call *call = grpc_ask(world, paths[p], NULL, body.data, (int64_t)body.size_bytes);
    h2_pump(world->h2);
    assert_int_equal(world->seen[0]->had_bytes, p == 0 ? 3 : 0);
    int steps = 0;
    for (; !call->ended; steps++) {
      assert_true(steps < 20);
      grpc_go_on(world, 0);
    }
    assert_int_equal(steps, 8); /* pieces of three bytes: 2 of hello, 6 of the other */
    assert_string_equal(grpc_log(world, 0), THREE_LOG);
    grpc_world_end(world);
  }
  text_release(&body);
}

static void test_paused_stops_its_sender(void **state) {
  (void)state;
  enum { BYTES = 4 << 20, WINDOW = 256 * 1024 };
  struct text body = TEXT_EMPTY;
  char *message = calloc(1, BYTES);
  assert_non_null(message);
  grpc_frame(&body, 0, message, BYTES);
  struct grpc_world *world = grpc_world_new();
  world->options.message_bytes_max = BYTES;
  grpc_world_start(world);
  struct h2_call *call = grpc_ask(world, "/budget", NULL, body.data, (int64_t)body.size_bytes);
  h2_pump(world->h2);
  assert_int_equal(call->sent_bytes, WINDOW);
  assert_int_equal(world->h2->budget.used_bytes, WINDOW);
  grpc_world_end(world);
  free(message);
  text_release(&body);
}

/* ---- floods ------------------------------------------------------------------------------------ */

static void test_floods(void **state) {
  (void)state;
  static const uint8_t eight[8] = {0};
  for (int kind = 0; kind < 4; kind++) {
    struct grpc_world *world = grpc_world_new();
    grpc_world_start(world);
    struct h2_call *call = grpc_ask(world, "/never", NULL, NULL, -1);
    h2_pump(world->h2);
    for (int i = 0; i < 300; i++) {
      if (kind == 0) h2_raw(world->h2, NGHTTP2_PING, 0, 0, eight, 8);
      if (kind == 1) h2_raw(world->h2, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
      if (kind == 2) h2_raw(world->h2, NGHTTP2_DATA, 0, (uint32_t)call->id, NULL, 0);
      if (kind == 3) h2_raw(world->h2, NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\0", 4);
    }
    h2_pump(world->h2);
    assert_int_not_equal(world->h2->status, STATUS_OK);
    struct error why = world->h2->error;
    http2_gone(world->h2->http2, &why);
    assert_string_equal(grpc_log(world, 0),
                        why.status == STATUS_TOO_LARGE ? "gone TOO_LARGE;" : "gone INVALID;");
    grpc_world_end(world);
  }
}

/* Calls that are begun and cancelled (rapid reset). */
static void test_rapid_resets(void **state) {
  (void)state;
  struct grpc_world *world = grpc_world_new();
  world->h2->options.resets_per_s = 10;
  grpc_world_start(world);
  for (int i = 0; i < 30; i++) {
    struct h2_call *call = grpc_ask(world, "/never", NULL, NULL, -1);
    h2_raw(world->h2, NGHTTP2_RST_STREAM, 0, (uint32_t)call->id, "\0\0\0\10", 4);
  }
  h2_pump(world->h2);
  assert_int_not_equal(world->h2->status, STATUS_OK);
  assert_int_equal(world->h2->stats.refused_floods, 1);
  grpc_world_end(world);
}

/* Clients keep connections alive by a PING every 10 s at most, hours without a call's bytes. */
static void test_keep_alive(void **state) {
  (void)state;
  static const uint8_t eight[8] = {0};
  struct grpc_world *world = grpc_world_new();
  grpc_world_start(world);
  struct h2_call *call = grpc_ask(world, "/log", NULL, NULL, -1);
  for (int i = 0; i < 1000; i++) {
    h2_raw(world->h2, NGHTTP2_PING, 0, 0, eight, 8);
    h2_pass(world->h2, 10000);
  }
  assert_int_equal(world->h2->status, STATUS_OK);
  h2_raw(world->h2, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, (uint32_t)call->id, NULL, 0);
  h2_pump(world->h2);
  assert_true(call->ended);
  grpc_world_end(world);
}

/* GOAWAY: calls that run come to their end. */
static void test_drain(void **state) {
  (void)state;
  struct grpc_world *world = grpc_world_new();
  grpc_world_start(world);
  struct h2_call *call = grpc_ask(world, "/echo", NULL, NULL, -1);
  h2_pump(world->h2);
  http2_drain(world->h2->http2);
  h2_pass(world->h2, 100000);
  assert_int_equal(world->h2->goaways, 2);
  assert_int_equal(world->h2->goaway_code, NGHTTP2_NO_ERROR);
  h2_raw(world->h2, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, (uint32_t)call->id, "\0\0\0\0\2hi", 7);
  h2_pump(world->h2);
  assert_string_equal(told(call), OK_HEAD "\n" OK_TRAIL "\n");
  assert_true(http2_over(world->h2->http2));
  grpc_world_end(world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cut_anywhere),
      cmocka_unit_test(test_cut_into_frames),
      cmocka_unit_test(test_echo),
      cmocka_unit_test(test_metadata),
      cmocka_unit_test(test_one_message),
      cmocka_unit_test(test_broken_messages),
      cmocka_unit_test(test_message_limit),
      cmocka_unit_test(test_compressed),
      cmocka_unit_test(test_broken_compressed),
      cmocka_unit_test(test_bombs),
      cmocka_unit_test(test_what_is_a_call),
      cmocka_unit_test(test_refused_heads),
      cmocka_unit_test(test_large_heads),
      cmocka_unit_test(test_refuse),
      cmocka_unit_test(test_no_budget),
      cmocka_unit_test(test_early_end),
      cmocka_unit_test(test_error_after_messages),
      cmocka_unit_test(test_handlers_that_fail),
      cmocka_unit_test(test_cancelled),
      cmocka_unit_test(test_freed_inside_of_calls),
      cmocka_unit_test(test_deadline),
      cmocka_unit_test(test_distant_deadlines),
      cmocka_unit_test(test_standing_still),
      cmocka_unit_test(test_unread_answer),
      cmocka_unit_test(test_unread_while_sending),
      cmocka_unit_test(test_slow_reader_stops_the_writer),
      cmocka_unit_test(test_pauses),
      cmocka_unit_test(test_paused_stops_its_sender),
      cmocka_unit_test(test_floods),
      cmocka_unit_test(test_rapid_resets),
      cmocka_unit_test(test_keep_alive),
      cmocka_unit_test(test_drain),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
