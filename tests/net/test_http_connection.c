/* How connections end: clients that go away, time that runs out, a server that stops,
 * each at every moment. Under ASan a use of something freed shows here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
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

/* Requests of all kinds, complete. */
static const char *const kinds[] = {
    "GET / HTTP/1.1\r\n" HOST "\r\n",
    "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST /none HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST /slow HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
    "POST /never HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
    "POST /early?at=1 HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
    "POST /fail?at=1 HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
    "POST /pause?window=1 HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
    "GET /stream?n=100&size=50000 HTTP/1.1\r\n" HOST "\r\n",
    "GET /flood?n=100&size=50000 HTTP/1.1\r\n" HOST "\r\n",
    "GET /abort HTTP/1.1\r\n" HOST "\r\n",
    "POST /budget?window=2 HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
    "POST /wait HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST /both HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static void a_client_may_vanish_after_any_byte(void **state) {
  struct world *world = *state;
  for (size_t kind = 0; kind < KINDS; kind++) {
    for (size_t bytes = 0; bytes <= strlen(kinds[kind]); bytes++) {
      int fd = wire_connect(world->port);
      wire_send(fd, kinds[kind], bytes);
      if (bytes % 2 == 0)
        wire_reset(fd);
      else
        close(fd);
    }
  }
  /* The server lives on, and all that was begun comes to its end. */
  int fd = wire_connect(world->port);
  wire_ask(fd, "GET /x HTTP/1.1\r\n" HOST "\r\n", 200, "GET /x");
  close(fd);
  world_wait(&world->finished, world->requests);
}

static void a_body_that_breaks_off_is_gone_not_ended(void **state) {
  struct world *world = *state;
  static const char *const heads[] = {
      "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n",
      "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nfffff\r\n",
      "POST /pause HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nfffff\r\n",
      "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
  };
  for (int i = 0; i < 8; i++) {
    int fd = wire_connect(world->port);
    wire_say(fd, heads[i / 2]);
    if (i / 2 < 3) wire_say(fd, "some of the body");
    world_wait(&world->requests, i + 1);
    if (i % 2 == 0)
      wire_reset(fd);
    else
      close(fd);
    world_wait(&world->finished, i + 1);
    assert_int_equal(world->gones, i + 1);
  }
  assert_int_equal(world->ends, 0);
}

static void a_client_that_leaves_before_its_answer_is_noticed(void **state) {
  struct world *world = *state;
  static const char request[] = "POST /never HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx";
  for (int i = 0; i < 2; i++) {
    int fd = wire_connect(world->port);
    wire_say(fd, request);
    world_wait(&world->ends, i + 1);
    assert_int_equal(world->clients_gone, i);
    if (i == 0)
      wire_reset(fd);
    else
      close(fd); /* looks like the end of one side only, until it is probed */
    world_wait(&world->clients_gone, i + 1);
    world_wait(&world->finished, i + 1);
  }
}

static void a_client_that_leaves_in_its_answer_ends_the_stream(void **state) {
  struct world *world = *state;
  static const char *const requests[] = {"GET /stream?n=1000000&size=10000 HTTP/1.1\r\n" HOST
                                         "\r\n",
                                         "GET /flood?n=5000&size=10000 HTTP/1.1\r\n" HOST "\r\n",
                                         "GET /stream?n=1000000&size=10000 HTTP/1.0\r\n\r\n"};
  for (int i = 0; i < 6; i++) {
    char some[1000];
    int fd = wire_connect(world->port);
    wire_say(fd, requests[i / 2]);
    assert_true(wire_recv(fd, some, sizeof some) > 0);
    if (i % 2 == 0)
      wire_reset(fd);
    else
      close(fd);
    world_wait(&world->finished, i + 1);
  }
  assert_int_equal(world->budget.used_bytes, 0);
}

static void an_idle_connection_is_closed_without_a_word(void **state) {
  (void)state;
  struct world *world = world_new();
  world->options.idle_timeout_ms = 100;
  world_start(world);
  int fd = wire_connect(world->port);
  assert_true(wire_ended(fd));
  close(fd);
  fd = wire_connect(world->port);
  for (int i = 0; i < 5; i++) { /* each request starts the time anew */
    usleep(50 * 1000);
    wire_ask(fd, "GET /x HTTP/1.1\r\n" HOST "\r\n", 200, "GET /x");
  }
  assert_true(wire_ended(fd));
  close(fd);
  world_end(world);
}

static void a_head_that_drips_is_given_up(void **state) {
  (void)state;
  struct world *world = world_new();
  world->options.header_timeout_ms = 200;
  world_start(world);
  int fd = wire_connect(world->port);
  usleep(300 * 1000); /* time before the first byte does not count */
  int64_t from_ms = clock_now_ms();
  wire_say(fd, "GET / HTTP/1.1\r\n");
  for (int i = 0; i < 100; i++) {
    usleep(10 * 1000);
    if (!wire_try_send(fd, "X", 1)) break;
    if (clock_now_ms() - from_ms > 250) break;
  }
  wire_ask(fd, "", 408, NULL);
  assert_in_range(clock_now_ms() - from_ms, 150, 2000);
  close(fd);
  /* The next request on a connection has its own time. */
  fd = wire_connect(world->port);
  for (int i = 0; i < 4; i++) {
    wire_say(fd, "GET /x HTTP/1.1\r\n");
    usleep(100 * 1000);
    wire_ask(fd, HOST "\r\nG", 200, "GET /x");
    wire_ask(fd, "ET /y HTTP/1.1\r\n" HOST "\r\n", 200, "GET /y");
  }
  close(fd);
  world_end(world);
}

static void a_body_that_stops_coming_is_given_up(void **state) {
  (void)state;
  struct world *world = world_new();
  world->options.body_timeout_ms = 150;
  world->options.body_bytes_per_timeout = 1;
  world_start(world);
  int fd = wire_connect(world->port);
  wire_say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n");
  for (int i = 0; i < 5; i++) { /* slow, but coming */
    usleep(80 * 1000);
    wire_say(fd, "x");
  }
  assert_int_equal(world->gones, 0);
  wire_ask(fd, "", 408, NULL);
  assert_int_equal(world->gones, 1);
  assert_true(wire_ended(fd));
  close(fd);
  /* Time in which the server takes nothing is not the client's. */
  fd = wire_connect(world->port);
  wire_say(fd, "POST /pause?window=1 HTTP/1.1\r\n" HOST "Content-Length: 300\r\n\r\n");
  char body[300] = {0};
  wire_send(fd, body, sizeof body);
  wire_ask(fd, "", 200, "300 0");
  close(fd);
  world_end(world);
}

static void a_body_that_drips_is_given_up(void **state) {
  (void)state;
  struct world *world = world_new();
  world->options.body_timeout_ms = 150;
  world->options.body_bytes_per_timeout = 100;
  world_start(world);
  int fd = wire_connect(world->port);
  wire_say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n");
  for (int i = 0; i < 4 && world->gones == 0; i++) { /* something all the time */
    usleep(60 * 1000);
    wire_say(fd, "x");
  }
  wire_ask(fd, "", 408, NULL);
  assert_int_equal(world->gones, 1);
  close(fd);
  world_end(world);
}

static void a_client_that_does_not_read_is_given_up(void **state) {
  (void)state;
  struct world *world = world_new();
  world->options.write_timeout_ms = 150;
  world_start(world);
  int fd = wire_connect(world->port);
  wire_say(fd, "GET /stream?n=1000000&size=10000 HTTP/1.1\r\n" HOST "\r\n");
  world_wait(&world->clients_gone, 1);
  world_wait(&world->finished, 1);
  close(fd);
  world_end(world);
}

static void one_address_does_not_take_all_connections(void **state) {
  (void)state;
  struct world *world = world_new();
  world->options.connections_per_address_max = 1;
  world_start(world);
  int first = wire_connect(world->port);
  wire_ask(first, "GET /x HTTP/1.1\r\n" HOST "\r\n", 200, "GET /x");
  int second = wire_connect(world->port);
  wire_ask(second, "GET /x HTTP/1.1\r\n" HOST "\r\n", 503, NULL);
  wire_ask(first, "GET /x HTTP/1.1\r\n" HOST "\r\n", 200, "GET /x");
  close(second);
  close(first);
  world_end(world);
}

static void one_connection_too_many_is_told_so(void **state) {
  (void)state;
  struct world *world = world_new();
  world->options.connections_max = 2;
  world_start(world);
  int first = wire_connect(world->port);
  int second = wire_connect(world->port);
  wire_ask(first, "GET /x HTTP/1.1\r\n" HOST "\r\n", 200, "GET /x");
  wire_ask(second, "GET /x HTTP/1.1\r\n" HOST "\r\n", 200, "GET /x");
  int third = wire_connect(world->port);
  wire_ask(third, "GET /x HTTP/1.1\r\n" HOST "\r\n", 503, NULL);
  assert_true(wire_ended(third));
  close(third);
  close(second);
  /* There is room again, as soon as the server has seen it. */
  for (int i = 0; i < 1000; i++) {
    int fd = wire_connect(world->port);
    wire_try_send(fd, "GET /x HTTP/1.1\r\n" HOST "\r\n", 28);
    struct wire_answer answer = wire_answer(fd, false);
    int code = answer.code;
    wire_answer_release(&answer);
    close(fd);
    if (code == 200) break;
    assert_int_equal(code, 503);
    assert_true(i < 999);
    usleep(1000);
  }
  close(first);
  world_end(world);
}

/* No file descriptor is free for the connection, until one is. */
static void clients_wait_while_no_file_can_be_opened(void **state) {
  struct world *world = *state;
  log_level_set(LOG_ERROR);
  int fd = wire_connect(world->port);
  wire_ask(fd, "GET /x HTTP/1.1\r\n" HOST "\r\n", 200, "GET /x");
  close(fd);
  world_wait(&world->finished, 1);
  usleep(50 * 1000); /* the server closes its end */
  fd = socket(AF_INET, SOCK_STREAM, 0);
  close(fd);
  struct rlimit before;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  struct rlimit tight = {.rlim_cur = (rlim_t)fd + 1, .rlim_max = before.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
  fd = wire_connect(world->port); /* takes the last one */
  wire_say(fd, "GET /y HTTP/1.1\r\n" HOST "\r\n");
  usleep(300 * 1000);
  int requests = world->requests;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_int_equal(requests, 1);
  wire_ask(fd, "", 200, "GET /y");
  close(fd);
  log_level_set(LOG_INFO);
}

static void draining_lets_requests_finish_and_takes_no_more(void **state) {
  struct world *world = *state;
  int idle = wire_connect(world->port);
  wire_ask(idle, "GET /x HTTP/1.1\r\n" HOST "\r\n", 200, "GET /x");
  int partial = wire_connect(world->port);
  wire_say(partial, "GET /x HT");
  int busy = wire_connect(world->port);
  wire_say(busy, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhe");
  world_wait(&world->requests, 2);
  net_loop_post(world->loop, &world->drain);
  assert_true(wire_ended(idle));
  assert_true(wire_ended(partial));
  assert_int_equal(world->drained, 0);
  wire_say(busy, "llo");
  struct wire_answer answer = wire_answer(busy, false);
  assert_int_equal(answer.code, 200);
  assert_string_equal(text_get(&answer.body), "hello");
  assert_true(wire_has(&answer, "\r\nconnection: close\r\n"));
  wire_answer_release(&answer);
  assert_true(wire_ended(busy));
  world_wait(&world->drained, 1);
  close(idle);
  close(partial);
  close(busy);
}

static void draining_with_nothing_to_do_is_done_at_once(void **state) {
  struct world *world = *state;
  net_loop_post(world->loop, &world->drain);
  world_wait(&world->drained, 1);
  usleep(20 * 1000);
  assert_int_equal(world->drained, 1);
}

enum { CROWD = 4, VISITS = 150 };

struct member {
  pthread_t thread;
  int port;
  unsigned seed;
};

/* Visits of all kinds, several on a connection or half of one, some left early. */
static void *visit_at_random(void *context) {
  struct member *member = context;
  for (int i = 0; i < VISITS; i++) {
    int fd = wire_connect(member->port);
    for (int requests = rand_r(&member->seed) % 4; requests >= 0; requests--) {
      const char *request = kinds[(size_t)rand_r(&member->seed) % KINDS];
      size_t bytes = strlen(request);
      if (rand_r(&member->seed) % 4 == 0) bytes = (size_t)rand_r(&member->seed) % bytes;
      if (!wire_try_send(fd, request, bytes)) break;
      if (rand_r(&member->seed) % 4 == 0) usleep((unsigned)rand_r(&member->seed) % 3000);
    }
    if (rand_r(&member->seed) % 4 == 0) shutdown(fd, SHUT_WR);
    char some[100000];
    struct timeval patience = {.tv_usec = 10000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    for (int reads = rand_r(&member->seed) % 8; reads > 0; reads--)
      if (recv(fd, some, sizeof some, 0) <= 0) break;
    if (rand_r(&member->seed) % 2 == 0)
      wire_reset(fd);
    else
      close(fd);
  }
  return NULL;
}

static void a_crowd_of_unruly_clients_leaves_nothing_behind(void **state) {
  struct world *world = *state;
  struct member members[CROWD];
  for (unsigned i = 0; i < CROWD; i++) {
    members[i] = (struct member){.port = world->port, .seed = i};
    assert_int_equal(pthread_create(&members[i].thread, NULL, visit_at_random, &members[i]), 0);
  }
  for (int i = 0; i < CROWD; i++) pthread_join(members[i].thread, NULL);
  int fd = wire_connect(world->port);
  wire_ask(fd, "GET /x HTTP/1.1\r\n" HOST "\r\n", 200, "GET /x");
  close(fd);
  world_wait(&world->finished, world->requests);
}

/* Every kind of request at every stage, and then the server goes. */
static void a_server_may_be_freed_with_everything_in_flight(void **state) {
  (void)state;
  for (int turn = 0; turn < 20; turn++) {
    struct world *world = world_new();
    world_start(world);
    enum { CLIENTS = KINDS * 3 };
    int fds[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++) {
      const char *request = kinds[i % KINDS];
      size_t bytes = strlen(request);
      fds[i] = wire_connect(world->port);
      wire_send(fds[i], request, i / KINDS == 0 ? bytes : i / KINDS == 1 ? bytes - 2 : bytes / 2);
    }
    usleep((unsigned)turn * 500);
    world_end(world);
    for (size_t i = 0; i < CLIENTS; i++) close(fds[i]);
  }
}

static void a_server_may_be_freed_from_inside_a_request(void **state) {
  struct world *world = *state;
  int waiting = wire_connect(world->port);
  wire_say(waiting, "POST /never HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhe");
  world_wait(&world->requests, 1);
  int fd = wire_connect(world->port);
  wire_say(fd, "GET /free HTTP/1.1\r\n" HOST "\r\n");
  assert_true(wire_ended(fd));
  assert_true(wire_ended(waiting));
  assert_int_equal(world->finished, 2);
  assert_int_equal(world->gones, 1);
  close(fd);
  close(waiting);
}

/* From inside `window`, which is asked for a copy (few bytes) and for a read (many). */
static void a_server_may_be_freed_from_inside_a_handler(void **state) {
  (void)state;
  static const char *const requests[] = {
      "POST /leave?at=0 HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
      "POST /leave?at=10 HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n0123456789"};
  for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
    struct world *world = world_new();
    world_start(world);
    int fd = wire_connect(world->port);
    wire_say(fd, requests[i]);
    world_wait(&world->requests, 1);
    if (i == 1) wire_try_send(fd, "more", 4);
    assert_true(wire_ended(fd));
    assert_int_equal(world->gones, 1);
    assert_int_equal(world->finished, 1);
    close(fd);
    world_end(world);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
  const struct CMUnitTest tests[] = {
      TEST(a_client_may_vanish_after_any_byte),
      TEST(a_body_that_breaks_off_is_gone_not_ended),
      TEST(a_client_that_leaves_before_its_answer_is_noticed),
      TEST(a_client_that_leaves_in_its_answer_ends_the_stream),
      cmocka_unit_test(an_idle_connection_is_closed_without_a_word),
      cmocka_unit_test(a_head_that_drips_is_given_up),
      cmocka_unit_test(a_body_that_stops_coming_is_given_up),
      cmocka_unit_test(a_body_that_drips_is_given_up),
      cmocka_unit_test(a_client_that_does_not_read_is_given_up),
      cmocka_unit_test(one_address_does_not_take_all_connections),
      cmocka_unit_test(one_connection_too_many_is_told_so),
      TEST(clients_wait_while_no_file_can_be_opened),
      TEST(draining_lets_requests_finish_and_takes_no_more),
      TEST(draining_with_nothing_to_do_is_done_at_once),
      TEST(a_crowd_of_unruly_clients_leaves_nothing_behind),
      cmocka_unit_test(a_server_may_be_freed_with_everything_in_flight),
      TEST(a_server_may_be_freed_from_inside_a_request),
      cmocka_unit_test(a_server_may_be_freed_from_inside_a_handler),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
