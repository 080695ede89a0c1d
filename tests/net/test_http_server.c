/* What a client sees: real sockets on loopback, the server's loop in its own thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "net/wire.h"
#include "net/world.h"

#define HOST "Host: a\r\n"

static int start(void **state) {
  struct world *world = world_new();
  world_start(world);
  *state = world;
  return 0;
}

static int end(void **state) {
  world_end(*state);
  return 0;
}

/* The answer of /count. */
static void sum_text(const uint8_t *data, size_t bytes, char text[64]) {
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes; i++) sum = sum * 31 + data[i];
  snprintf(text, 64, "%zu %llx", bytes, (unsigned long long)sum);
}

static uint8_t *some_bytes(size_t bytes) {
  uint8_t *data = malloc(bytes);
  assert_non_null(data);
  uint32_t state = 1;
  for (size_t i = 0; i < bytes; i++)
    data[i] = (uint8_t)((state = state * 1664525 + 1013904223) >> 24);
  return data;
}

static void one_connection_serves_many_requests(void **state) {
  struct world *world = *state;
  int fd = wire_connect(world->port);
  for (int i = 0; i < 3; i++) {
    wire_ask(fd, "GET /x?y HTTP/1.1\r\n" HOST "\r\n", 200, "GET /x?y");
    wire_ask(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", 200, "hello");
    wire_ask(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 200, "");
    wire_ask(fd,
             "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
             "1\r\nh\r\n4;x=y\r\nello\r\n0\r\nT: u\r\n\r\n",
             200, "hello");
    wire_ask(fd, "POST /none HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", 404, "none");
    wire_ask(fd, "HEAD /x HTTP/1.1\r\n" HOST "\r\n", 200, "");
    wire_ask(fd, "GET /stream?n=3&size=2 HTTP/1.1\r\n" HOST "\r\n", 200, "ddccbb");
    wire_ask(fd, "HEAD /stream?n=3&size=2 HTTP/1.1\r\n" HOST "\r\n", 200, "");
  }
  close(fd);
}

static void an_answer_says_what_it_is(void **state) {
  struct world *world = *state;
  int fd = wire_connect(world->port);
  wire_say(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
  struct wire_answer answer = wire_answer(fd, false);
  assert_memory_equal(answer.head.data, "HTTP/1.1 200 OK\r\n", 17);
  assert_true(wire_has(&answer, "\r\ndate: "));
  assert_true(wire_has(&answer, " GMT\r\n"));
  assert_true(wire_has(&answer, "\r\ncontent-type: text/plain\r\n"));
  assert_true(wire_has(&answer, "\r\ncontent-length: 5\r\n"));
  assert_false(wire_has(&answer, "connection:"));
  wire_answer_release(&answer);
  wire_say(fd, "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
  answer = wire_answer(fd, false);
  assert_true(wire_has(&answer, "\r\nconnection: close\r\n"));
  assert_true(wire_ended(fd));
  wire_answer_release(&answer);
  close(fd);
}

static void http_1_0_gets_plain_answers_that_end_with_the_connection(void **state) {
  struct world *world = *state;
  int fd = wire_connect(world->port);
  wire_ask(fd, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, "GET /a");
  wire_say(fd, "GET /stream?n=3&size=2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  struct wire_answer answer = wire_answer(fd, false);
  assert_true(wire_has(&answer, "\r\nconnection: close\r\n"));
  assert_false(wire_has(&answer, "transfer-encoding"));
  assert_true(answer.whole);
  assert_string_equal(text_get(&answer.body), "ddccbb");
  wire_answer_release(&answer);
  close(fd);
}

static void a_request_may_come_byte_by_byte(void **state) {
  struct world *world = *state;
  static const char request[] = "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                                "5\r\nhello\r\n00007\r\n, world\r\n0\r\nX: y\r\n\r\n";
  int fd = wire_connect(world->port);
  wire_drip(fd, request, sizeof request - 1);
  wire_ask(fd, "", 200, "hello, world");
  close(fd);
}

static void pipelined_requests_are_answered_in_their_order(void **state) {
  struct world *world = *state;
  struct text requests = TEXT_EMPTY;
  enum { COUNT = 500 };
  for (int i = 0; i < COUNT; i++)
    assert_int_equal(text_add_format(&requests, NULL,
                                     "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\n%04d"
                                     "GET /%d HTTP/1.1\r\n" HOST "\r\n",
                                     i, i),
                     STATUS_OK);
  int fd = wire_connect(world->port);
  wire_send(fd, requests.data, requests.size_bytes);
  text_release(&requests);
  for (int i = 0; i < COUNT; i++) {
    char want[32];
    snprintf(want, sizeof want, "%04d", i);
    wire_ask(fd, "", 200, want);
    snprintf(want, sizeof want, "GET /%d", i);
    wire_ask(fd, "", 200, want);
  }
  close(fd);
}

/* The first answer takes its time; the server must not read without end meanwhile. */
static void a_pipeline_waits_behind_a_slow_answer(void **state) {
  struct world *world = *state;
  static const char slow[] = "POST /slow HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx";
  int fd = wire_connect(world->port);
  size_t bytes = (size_t)300 * 1024; /* more than a connection holds */
  char *body = malloc(bytes);
  assert_non_null(body);
  memset(body, 'b', bytes);
  wire_say(fd, slow);
  wire_say(fd, slow);
  char head[128];
  snprintf(head, sizeof head, "POST /count HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", bytes);
  wire_say(fd, head);
  wire_send(fd, body, bytes);
  char want[64];
  sum_text((uint8_t *)body, bytes, want);
  wire_ask(fd, "", 200, "slow");
  wire_ask(fd, "", 200, "slow");
  wire_ask(fd, "", 200, want);
  free(body);
  close(fd);
}

/* Windows from one byte to more than the body, cut by chunks and by sends. */
static void a_body_arrives_whole_through_any_window(void **state) {
  struct world *world = *state;
  enum { BYTES = 1000003 };
  static const size_t windows[] = {1, 100, 4095, 4096, 70000, 3000000};
  static const size_t chunks[] = {0, 1000, 4096, 65536, 400000};
  uint8_t *data = some_bytes(BYTES);
  char want[64];
  sum_text(data, BYTES, want);
  int fd = wire_connect(world->port);
  for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++) {
    for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++) {
      char head[256];
      snprintf(head, sizeof head, "POST /count?window=%zu HTTP/1.1\r\n" HOST, windows[w]);
      wire_say(fd, head);
      if (chunks[c] == 0) {
        snprintf(head, sizeof head, "Content-Length: %d\r\n\r\n", BYTES);
        wire_say(fd, head);
        wire_send(fd, data, BYTES);
      } else {
        wire_say(fd, "Transfer-Encoding: chunked\r\n\r\n");
        for (size_t at = 0; at < BYTES; at += chunks[c]) {
          size_t bytes = BYTES - at < chunks[c] ? BYTES - at : chunks[c];
          snprintf(head, sizeof head, "%zx\r\n", bytes);
          wire_say(fd, head);
          wire_send(fd, data + at, bytes);
          wire_say(fd, "\r\n");
        }
        wire_say(fd, "0\r\n\r\n");
      }
      wire_ask(fd, "", 200, want);
    }
  }
  close(fd);
  free(data);
}

static void a_paused_body_goes_on_where_it_stopped(void **state) {
  struct world *world = *state;
  enum { BYTES = 500000 };
  uint8_t *data = some_bytes(BYTES);
  char want[64];
  char head[128];
  sum_text(data, BYTES, want);
  snprintf(head, sizeof head, "POST /pause HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n", BYTES);
  int fd = wire_connect(world->port);
  wire_say(fd, head);
  wire_send(fd, data, BYTES);
  shutdown(fd, SHUT_WR); /* and its end is not taken for a client that is gone */
  wire_ask(fd, "", 200, want);
  assert_int_equal(world->gones, 0);
  close(fd);
  free(data);
}

static void a_body_waits_while_no_window_is_to_be_had(void **state) {
  struct world *world = *state;
  enum { BYTES = 1000000 };
  uint8_t *data = some_bytes(BYTES);
  char want[64];
  sum_text(data, BYTES, want);
  for (int i = 0; i < 2; i++) {
    int fd = wire_connect(world->port);
    char head[128];
    snprintf(head, sizeof head,
             i == 0 ? "Content-Length: %d\r\n\r\n" : "Transfer-Encoding: chunked\r\n\r\n%x\r\n",
             BYTES);
    wire_say(fd, "POST /budget HTTP/1.1\r\n" HOST);
    wire_say(fd, head);
    wire_send(fd, data, BYTES);
    if (i == 1) wire_say(fd, "\r\n0\r\n\r\n");
    wire_ask(fd, "", 200, want);
    close(fd);
  }
  free(data);
}

/* As long as it is not known who asks, nothing of a body is read. */
static void a_body_may_be_taken_later(void **state) {
  struct world *world = *state;
  enum { BYTES = 1000000 };
  uint8_t *data = some_bytes(BYTES);
  char want[64];
  sum_text(data, BYTES, want);
  for (int i = 0; i < 3; i++) {
    int fd = wire_connect(world->port);
    char head[128];
    snprintf(head, sizeof head,
             i == 1 ? "Transfer-Encoding: chunked\r\n\r\n%x\r\n" : "Content-Length: %d\r\n%s\r\n",
             BYTES, i == 2 ? "Expect: 100-continue\r\n" : "");
    wire_say(fd, "POST /admit HTTP/1.1\r\n" HOST);
    wire_say(fd, head);
    if (i == 2) usleep(20000); /* it comes when it is asked for */
    wire_send(fd, data, BYTES);
    if (i == 1) wire_say(fd, "\r\n0\r\n\r\n");
    struct wire_answer answer = wire_answer(fd, false);
    assert_int_equal(answer.code, 200);
    assert_string_equal(text_get(&answer.body), want);
    wire_answer_release(&answer);
    wire_ask(fd, "GET /x HTTP/1.1\r\n" HOST "\r\n", 200, "GET /x");
    close(fd);
  }
  free(data);
  int fd = wire_connect(world->port); /* gone before it was taken */
  wire_say(fd, "POST /admit HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc");
  world_wait(&world->requests, world->requests);
  wire_reset(fd);
}

static void an_answer_may_begin_before_the_body_is_whole(void **state) {
  struct world *world = *state;
  static const char head[] = "POST /both HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n";
  static const char begun[] = "transfer-encoding: chunked\r\n\r\n5\r\nbegin\r\n";
  for (int i = 0; i < 2; i++) {
    int fd = wire_connect(world->port);
    wire_say(fd, head);
    struct text got = TEXT_EMPTY;
    while (strstr(text_get(&got), begun) == NULL) {
      char byte;
      assert_int_equal(wire_recv(fd, &byte, 1), 1);
      assert_int_equal(text_add_bytes(&got, &byte, 1, NULL), STATUS_OK);
    }
    text_release(&got);
    static const char rest[] = "4\r\n end\r\n0\r\n\r\n";
    char end[sizeof rest] = {0};
    wire_say(fd, i == 0 ? "3\r\nabc\r\n0\r\n\r\n" : "3\r\nabcX");
    int64_t bytes = 0;
    int64_t more;
    while ((more = wire_recv(fd, end + bytes, sizeof end - (size_t)bytes)) > 0) bytes += more;
    /* A body that breaks leaves an answer that is not whole. */
    assert_string_equal(end, i == 0 ? rest : "");
    close(fd);
  }
  assert_int_equal(world->ends, 1);
  assert_int_equal(world->gones, 1);
}

static void a_body_nobody_took_is_read_while_its_answer_is_made(void **state) {
  struct world *world = *state;
  static const struct {
    const char *body;
    int code;
    bool keep;
  } cases[] = {{"Content-Length: 5\r\n\r\nhello", 200, true},
               {"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, true},
               {"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 200, false},
               {"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX", 400, false}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int fd = wire_connect(world->port);
    wire_say(fd, "POST /wait HTTP/1.1\r\n" HOST);
    wire_say(fd, cases[i].body);
    struct wire_answer answer = wire_answer(fd, false);
    assert_int_equal(answer.code, cases[i].code);
    assert_int_equal(!wire_has(&answer, "connection: close"), cases[i].keep);
    wire_answer_release(&answer);
    if (cases[i].keep) wire_ask(fd, "GET /x HTTP/1.1\r\n" HOST "\r\n", 200, "GET /x");
    close(fd);
  }
  assert_int_equal(world->clients_gone, 1); /* the broken one: its answer is not wanted */
}

static void expect_100_continue_is_answered_when_the_body_is_wanted(void **state) {
  struct world *world = *state;
  int fd = wire_connect(world->port);
  wire_say(fd, "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  char interim[25];
  for (size_t at = 0; at < sizeof interim; at++)
    assert_int_equal(wire_recv(fd, interim + at, 1), 1);
  assert_memory_equal(interim, "HTTP/1.1 100 Continue\r\n\r\n", sizeof interim);
  wire_ask(fd, "hi", 200, "hi");
  /* Not wanted: the final answer at once, and the connection's end, since nobody knows
   * whether the body will come. */
  wire_say(fd, "POST /none HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  struct wire_answer answer = wire_answer(fd, false);
  assert_int_equal(answer.code, 404);
  assert_int_equal(answer.interim, 0);
  assert_true(wire_has(&answer, "\r\nconnection: close\r\n"));
  wire_answer_release(&answer);
  assert_true(wire_ended(fd));
  close(fd);
}

/* What the server itself refuses: code, and a word of the detail. */
static void what_is_broken_is_refused_with_a_problem_and_the_end(void **state) {
  struct world *world = *state;
  static const struct {
    const char *request;
    int code;
    const char *name;
    const char *detail;
  } cases[] = {
      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "INVALID", "0x20"},
      {"GET / HTTP/1.1\r\n\r\n", 400, "INVALID", "Host"},
      {"GET / HTTP/3.0\r\n\r\n", 505, "UNSUPPORTED", "HTTP/1.1"},
      {"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 505, "UNSUPPORTED", "HTTP/1.1"},
      {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", 501, "UNSUPPORTED", "chunked"},
      {"POST / HTTP/1.1\r\n" HOST "Expect: pizza\r\n\r\n", 417, "UNSUPPORTED", "100-continue"},
      {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcX", 400, "INVALID",
       "chunk"},
      {"POST /none HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde", 400,
       "INVALID", "Content-Length"},
      {"\x16\x03\x01\x02", 400, "INVALID", "0x16"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int fd = wire_connect(world->port);
    wire_say(fd, cases[i].request);
    struct wire_answer answer = wire_answer(fd, false);
    assert_int_equal(answer.code, cases[i].code);
    assert_true(answer.whole);
    assert_true(wire_has(&answer, "\r\nconnection: close\r\n"));
    assert_true(wire_has(&answer, "\r\ncontent-type: application/problem+json\r\n"));
    char part[64];
    snprintf(part, sizeof part, "\"status\":%d,\"code\":\"%s\"", cases[i].code, cases[i].name);
    assert_non_null(strstr(text_get(&answer.body), part));
    assert_non_null(strstr(text_get(&answer.body), cases[i].detail));
    assert_true(wire_ended(fd));
    wire_answer_release(&answer);
    close(fd);
  }
  assert_int_equal(world->gones, 1); /* of the chunked one */
}

static void huge_heads_are_refused(void **state) {
  struct world *world = *state;
  char line[1024];
  memset(line, 'x', sizeof line);
  memcpy(line, "X-Y: ", 5);
  memcpy(line + sizeof line - 2, "\r\n", 2);
  int fd = wire_connect(world->port);
  wire_say(fd, "GET / HTTP/1.1\r\n" HOST);
  for (int i = 0; i < 1000; i++)
    if (!wire_try_send(fd, line, sizeof line)) break;
  wire_ask(fd, "", 431, NULL);
  close(fd);
}

/* The client sends 30 MB before it looks for an answer, and finds it. */
static void an_early_answer_reaches_a_client_that_goes_on_sending(void **state) {
  struct world *world = *state;
  static const struct {
    const char *path;
    int code;
    const char *body;
  } cases[] = {{"/none", 404, "none"},
               {"/early?at=100000", 413, "too much"},
               {"/fail?at=100000", 422, "failed"}};
  size_t bytes = 30 << 20;
  char *body = calloc(1, bytes);
  assert_non_null(body);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char head[128];
    snprintf(head, sizeof head, "POST %s HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
             cases[i].path, bytes);
    int fd = wire_connect(world->port);
    wire_say(fd, head);
    wire_send(fd, body, bytes);
    struct wire_answer answer = wire_answer(fd, false);
    assert_int_equal(answer.code, cases[i].code);
    assert_string_equal(text_get(&answer.body), cases[i].body);
    assert_true(wire_has(&answer, "\r\nconnection: close\r\n"));
    wire_answer_release(&answer);
    assert_true(wire_ended(fd));
    close(fd);
  }
  free(body);
}

static void an_unwanted_body_is_not_read_for_ever(void **state) {
  struct world *world = *state;
  size_t bytes = 1 << 20;
  char *body = calloc(1, bytes);
  assert_non_null(body);
  int fd = wire_connect(world->port);
  wire_say(fd, "POST /none HTTP/1.1\r\n" HOST "Content-Length: 1000000000000\r\n\r\n");
  int sent = 0;
  while (sent < 500 && wire_try_send(fd, body, bytes)) sent++;
  assert_in_range(sent, 60, 200); /* 64 MiB, and what the kernel holds */
  close(fd);
  free(body);
}

static void a_client_that_has_ended_its_side_gets_its_answer(void **state) {
  struct world *world = *state;
  static const char *const requests[] = {"POST /slow HTTP/1.1\r\n" HOST
                                         "Content-Length: 1\r\n\r\nx",
                                         "POST /slow HTTP/1.0\r\nContent-Length: 1\r\n\r\nx"};
  for (size_t i = 0; i < 2; i++) {
    int fd = wire_connect(world->port);
    wire_say(fd, requests[i]);
    shutdown(fd, SHUT_WR);
    wire_ask(fd, "", 200, "slow");
    assert_true(wire_ended(fd));
    close(fd);
  }
}

static void a_slow_reader_gets_everything_and_little_is_held_for_it(void **state) {
  struct world *world = *state;
  int fd = wire_connect(world->port);
  wire_say(fd, "GET /stream?n=800&size=50000 HTTP/1.1\r\n" HOST "\r\n");
  usleep(100 * 1000); /* the socket's buffers fill, then the server's */
  struct wire_answer answer = wire_answer(fd, false);
  assert_int_equal(answer.code, 200);
  assert_true(answer.whole);
  assert_int_equal(answer.body.size_bytes, 800 * 50000);
  for (size_t i = 0; i < 800; i++)
    assert_int_equal(answer.body.data[i * 50000], 'a' + (int)((800 - i) % 26));
  wire_answer_release(&answer);
  assert_in_range(world->queued_bytes_max, 1, 256 * 1024 + 2 * 50048);
  /* The other way: the service does not ask, and everything comes all the same. */
  wire_say(fd, "GET /flood?n=800&size=50000 HTTP/1.1\r\n" HOST "\r\n");
  answer = wire_answer(fd, false);
  assert_true(answer.whole);
  assert_int_equal(answer.body.size_bytes, 800 * 50000);
  wire_answer_release(&answer);
  close(fd);
}

static void a_broken_off_answer_does_not_look_whole(void **state) {
  struct world *world = *state;
  /* The second answer ends where the connection does, so that must not end in order. */
  static const char *const requests[] = {"GET /abort HTTP/1.1\r\n" HOST "\r\n",
                                         "GET /abort HTTP/1.0\r\n\r\n"};
  for (size_t i = 0; i < 2; i++) {
    int fd = wire_connect(world->port);
    wire_say(fd, requests[i]);
    struct wire_answer answer = wire_answer(fd, false);
    assert_false(answer.whole);
    wire_answer_release(&answer);
    close(fd);
  }
}

static void a_line_break_in_a_header_begins_no_other(void **state) {
  struct world *world = *state;
  int fd = wire_connect(world->port);
  wire_say(fd, "GET /header?v=a%0D%0Ax-evil:%201%0D%0A%0D%0Ab HTTP/1.1\r\n" HOST "\r\n");
  struct wire_answer answer = wire_answer(fd, false);
  assert_true(wire_has(&answer, "\r\nx-v: a  x-evil: 1    b\r\n"));
  wire_answer_release(&answer);
  close(fd);
}

static void a_taken_port_is_a_conflict_that_names_it(void **state) {
  struct world *world = *state;
  struct http_server_options options = HTTP_SERVER_DEFAULTS;
  struct http_service service = {.context = NULL};
  struct http_server *server = NULL;
  struct net_loop *loop = NULL;
  struct error error = {0};
  char place[32];
  assert_int_equal(net_loop_new(&loop, NULL), STATUS_OK);
  options.port = world->port;
  assert_int_equal(http_server_new(loop, &options, &service, &server, &error), STATUS_CONFLICT);
  assert_null(server);
  snprintf(place, sizeof place, "127.0.0.1:%d", world->port);
  assert_non_null(strstr(error.text, place));
  options.port = 65536;
  assert_int_equal(http_server_new(loop, &options, &service, &server, &error), STATUS_INVALID);
  options.port = 0;
  options.host = "localhost";
  assert_int_equal(http_server_new(loop, &options, &service, &server, &error), STATUS_INVALID);
  net_loop_free(loop);
}

/* As a service manager hands it over. */
static void a_socket_that_listens_already_is_taken(void **state) {
  (void)state;
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(fd, 16), 0);
  socklen_t bytes = sizeof address;
  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
  struct world *world = world_new();
  world->options.listen_fd = fd;
  world->options.port = 1; /* not looked at */
  world_start(world);
  assert_int_equal(world->port, ntohs(address.sin_port));
  int client = wire_connect(world->port);
  wire_ask(client, "GET /x HTTP/1.1\r\n" HOST "\r\n", 200, "GET /x");
  close(client);
  world_end(world);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
  const struct CMUnitTest tests[] = {
      TEST(one_connection_serves_many_requests),
      TEST(an_answer_says_what_it_is),
      TEST(http_1_0_gets_plain_answers_that_end_with_the_connection),
      TEST(a_request_may_come_byte_by_byte),
      TEST(pipelined_requests_are_answered_in_their_order),
      TEST(a_pipeline_waits_behind_a_slow_answer),
      TEST(a_body_arrives_whole_through_any_window),
      TEST(a_paused_body_goes_on_where_it_stopped),
      TEST(a_body_waits_while_no_window_is_to_be_had),
      TEST(a_body_may_be_taken_later),
      TEST(an_answer_may_begin_before_the_body_is_whole),
      TEST(a_body_nobody_took_is_read_while_its_answer_is_made),
      TEST(expect_100_continue_is_answered_when_the_body_is_wanted),
      TEST(what_is_broken_is_refused_with_a_problem_and_the_end),
      TEST(huge_heads_are_refused),
      TEST(an_early_answer_reaches_a_client_that_goes_on_sending),
      TEST(an_unwanted_body_is_not_read_for_ever),
      TEST(a_client_that_has_ended_its_side_gets_its_answer),
      TEST(a_slow_reader_gets_everything_and_little_is_held_for_it),
      TEST(a_broken_off_answer_does_not_look_whole),
      TEST(a_line_break_in_a_header_begins_no_other),
      cmocka_unit_test(a_socket_that_listens_already_is_taken),
      TEST(a_taken_port_is_a_conflict_that_names_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
