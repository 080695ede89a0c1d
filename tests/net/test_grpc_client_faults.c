/* Servers that vanish, leave, stall, flood or speak something else; deadlines and cancelling. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/grpc_client.h"
#include "net/grpc_server.h"

struct here {
  struct grpc_test_server *server;
  struct grpc_channel *channel;
  struct budget budget;
};

static struct grpc_channel *channel_to(int port, struct budget *budget) {
  struct grpc_channel *channel = NULL;
  const struct grpc_channel_options options = {.host = "127.0.0.1",
                                               .port = port,
                                               .connect_timeout_ms = 2000,
                                               .keepalive_ms = 300,
                                               .budget = budget};
  assert_int_equal(grpc_channel_open(&options, &channel, NULL), STATUS_OK);
  return channel;
}

static struct here *begin_with(const struct grpc_test_options *options) {
  struct here *here = calloc(1, sizeof *here);
  here->budget.limit_bytes = 64 << 20;
  here->server = grpc_test_server_new(options);
  here->channel = channel_to(grpc_test_server_port(here->server), &here->budget);
  return here;
}

static void end_with(struct here *here) {
  grpc_channel_close(here->channel);
  grpc_test_server_free(here->server);
  assert_int_equal(here->budget.used_bytes, 0);
  free(here);
}

static int begin(void **state) {
  *state = begin_with(NULL);
  return 0;
}

static int end(void **state) {
  end_with(*state);
  return 0;
}

static struct grpc_client_call *start(struct here *here, const char *method, int64_t deadline_ms) {
  struct grpc_client_call *call = NULL;
  struct error error = {0};
  if (grpc_client_start(here->channel, method, NULL, 0, deadline_ms, NULL, &call, &error) !=
      STATUS_OK)
    fail_msg("%s", error.text);
  return call;
}

static enum status unary(struct here *here, const char *method, struct error *error) {
  struct buffer answer = BUFFER_EMPTY;
  enum status status =
      grpc_client_unary(here->channel, method, NULL, 0, 0, "hello", 5, &answer, error);
  buffer_release(&answer);
  return status;
}

static void expect(enum status status, enum status wanted, const struct error *error,
                   const char *text) {
  if (status != wanted || strstr(error->text, text) == NULL)
    fail_msg("%s: %s, not %s with '%s'", status_name(status), error->text, status_name(wanted),
             text);
}

/* ---- connecting ------------------------------------------------------------------------------- */

static int unused_port(void) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t bytes = sizeof address;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(file, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(getsockname(file, (struct sockaddr *)&address, &bytes), 0);
  close(file);
  return ntohs(address.sin_port);
}

static void nobody_answers(void **state) {
  (void)state;
  struct error error = {0};
  struct grpc_client_call *call = NULL;
  struct grpc_channel *channel = channel_to(unused_port(), NULL);
  enum status status = grpc_client_start(channel, "/t/echo", NULL, 0, 0, NULL, &call, &error);
  expect(status, STATUS_UNAVAILABLE, &error, "Connection refused");
  assert_true(error.retry_after_ms > 0);
  assert_null(call);
  grpc_channel_close(channel);
}

static void names_that_are_none(void **state) {
  (void)state;
  static const struct {
    const char *host;
    int port;
    enum status status;
  } cases[] = {{"", 1, STATUS_INVALID},          {NULL, 1, STATUS_INVALID},
               {"a b", 1, STATUS_INVALID},       {"a/b", 1, STATUS_INVALID},
               {"localhost", 0, STATUS_INVALID}, {"localhost", 70000, STATUS_INVALID}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct grpc_channel_options options = {.host = cases[i].host, .port = cases[i].port};
    struct grpc_channel *channel = NULL;
    assert_int_equal(grpc_channel_open(&options, &channel, NULL), cases[i].status);
    assert_null(channel);
  }
}

/* localhost has two addresses most often, and the server listens on one. */
static void addresses_are_tried_in_turn(void **state) {
  struct here *here = *state;
  struct error error = {0};
  grpc_channel_close(here->channel);
  const struct grpc_channel_options options = {
      .host = "localhost", .port = grpc_test_server_port(here->server), .budget = &here->budget};
  assert_int_equal(grpc_channel_open(&options, &here->channel, NULL), STATUS_OK);
  if (unary(here, "/t/echo", &error) != STATUS_OK) fail_msg("%s", error.text);
}

static void servers_of_something_else(void **state) {
  (void)state;
  static const struct {
    const char *greeting;
    size_t bytes;
    enum status status;
    const char *text;
  } cases[] = {
      {"HTTP/1.1 400 Bad Request\r\n\r\n", 28, STATUS_UNSUPPORTED, "HTTP/1.1"},
      {"\x15\x03\x03\0\2\2\x28", 7, STATUS_UNAVAILABLE, "closed"},
      {"\x15\x03\x03\0\2\2\x28zzzzzzzz", 15, STATUS_INVALID, "TLS"},
      {"SSH-2.0-OpenSSH_9.2\r\n", 21, STATUS_INVALID, "broke HTTP/2"},
      {"\0\0\0\4\0\0\0\0\0\0\0\5\7\0\0\0\0\0zzzzz", 23, STATUS_INVALID, "broke HTTP/2"},
      {"\0\0\0\4\0\0\0\0\0", 9, STATUS_UNAVAILABLE, "closed the connection"},
      {"", 0, STATUS_UNAVAILABLE, "closed the connection"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct grpc_test_options options = {.greeting = cases[i].greeting,
                                              .greeting_bytes = cases[i].bytes};
    struct here *here = begin_with(&options);
    struct error error = {0};
    expect(unary(here, "/t/echo", &error), cases[i].status, &error, cases[i].text);
    end_with(here);
  }
}

static void a_server_that_says_nothing(void **state) {
  (void)state;
  struct here *here = begin_with(&(struct grpc_test_options){.mute = true});
  struct error error = {0};
  struct grpc_client_call *call = NULL;
  int64_t begun_ms = clock_now_ms();
  enum status status =
      grpc_client_start(here->channel, "/t/echo", NULL, 0, 200, NULL, &call, &error);
  expect(status, STATUS_TIMEOUT, &error, "does not answer");
  assert_true(clock_now_ms() - begun_ms >= 150 && clock_now_ms() - begun_ms < 1900);
  end_with(here);
}

/* ---- servers that leave ------------------------------------------------------------------------ */

static void a_connection_that_is_gone_is_made_anew(void **state) {
  struct here *here = *state;
  struct error error = {0};
  for (int i = 0; i < 3; i++) {
    assert_int_equal(unary(here, "/t/echo", &error), STATUS_OK);
    expect(unary(here, "/t/close", &error), STATUS_UNAVAILABLE, &error, "closed the connection");
  }
  assert_int_equal(grpc_test_server_connections(here->server), 3);
}

static void a_vanished_server_is_no_safe_retry(void **state) {
  struct grpc_client_call *call = start(*state, "/t/close", 0);
  struct error error = {0};
  bool got = true;
  assert_false(grpc_client_unprocessed(call));
  assert_int_equal(grpc_client_close_sending(call, NULL), STATUS_OK);
  assert_int_equal(grpc_client_next(call, NULL, &got, &error), STATUS_UNAVAILABLE);
  assert_false(grpc_client_unprocessed(call));
  grpc_client_free(call);
}

static void goaway_that_does_not_cover_a_call(void **state) {
  struct here *here = *state;
  struct grpc_client_call *older = start(here, "/t/echo", 0);
  struct grpc_client_call *call = start(here, "/t/goaway", 0);
  struct buffer message = BUFFER_EMPTY;
  struct error error = {0};
  bool got = true;
  assert_int_equal(grpc_client_close_sending(call, NULL), STATUS_OK);
  assert_int_equal(grpc_client_next(call, NULL, &got, &error), STATUS_UNAVAILABLE);
  assert_true(grpc_client_unprocessed(call));
  grpc_client_free(call);
  /* A new call goes to a new connection; the older one is finished on its own. */
  assert_int_equal(unary(here, "/t/echo", &error), STATUS_OK);
  assert_int_equal(grpc_test_server_connections(here->server), 2);
  assert_int_equal(grpc_client_send(older, "abc", 3, NULL), STATUS_OK);
  assert_int_equal(grpc_client_close_sending(older, NULL), STATUS_OK);
  assert_int_equal(grpc_client_next(older, &message, &got, &error), STATUS_OK);
  assert_true(got && message.size_bytes == 3);
  assert_int_equal(grpc_client_next(older, &message, &got, &error), STATUS_OK);
  assert_false(got);
  buffer_release(&message);
  grpc_client_free(older);
}

/* A call that the server has not begun with is sent once more, by itself. */
static void refused_calls_are_sent_once_more(void **state) {
  struct here *here = *state;
  struct error error = {0};
  expect(unary(here, "/t/goaway", &error), STATUS_UNAVAILABLE, &error, "sent again");
  assert_int_equal(grpc_test_server_connections(here->server), 2);
}

static void a_frozen_server_is_noticed(void **state) {
  struct grpc_client_call *call = start(*state, "/t/frozen", 0);
  struct error error = {0};
  bool got = true;
  int64_t begun_ms = clock_now_ms();
  assert_int_equal(grpc_client_close_sending(call, NULL), STATUS_OK);
  expect(grpc_client_next(call, NULL, &got, &error), STATUS_UNAVAILABLE, &error, "ping");
  assert_true(clock_now_ms() - begun_ms >= 500);
  grpc_client_free(call);
}

/* It answers pings, so it is given all the time that the call has. */
static void a_slow_server_is_waited_for(void **state) {
  struct grpc_client_call *call = start(*state, "/t/never", 1500);
  struct error error = {0};
  bool got = true;
  int64_t begun_ms = clock_now_ms();
  assert_int_equal(grpc_client_close_sending(call, NULL), STATUS_OK);
  expect(grpc_client_next(call, NULL, &got, &error), STATUS_TIMEOUT, &error, "deadline");
  assert_true(clock_now_ms() - begun_ms >= 1400);
  grpc_client_free(call);
}

static void floods(void **state) {
  struct error error = {0};
  expect(unary(*state, "/t/pings", &error), STATUS_INVALID, &error, "lood");
}

static void more_calls_than_the_server_takes(void **state) {
  (void)state;
  struct here *here = begin_with(&(struct grpc_test_options){.streams_max = 2});
  struct grpc_client_call *calls[3] = {start(here, "/t/echo", 0), start(here, "/t/echo", 0), NULL};
  struct error error = {0};
  expect(grpc_client_start(here->channel, "/t/echo", NULL, 0, 0, NULL, &calls[2], &error),
         STATUS_BUDGET, &error, "2 calls");
  grpc_client_free(calls[0]);
  assert_int_equal(unary(here, "/t/echo", &error), STATUS_OK);
  grpc_client_free(calls[1]);
  end_with(here);
}

static void budgets_are_kept(void **state) {
  struct here *here = *state;
  here->budget.limit_bytes = 1 << 20;
  struct grpc_client_call *call = start(here, "/t/source", 0);
  struct buffer message = BUFFER_EMPTY;
  struct error error = {0};
  bool got = true;
  assert_int_equal(grpc_client_send(call, "1 5000000", 9, NULL), STATUS_OK);
  assert_int_equal(grpc_client_close_sending(call, NULL), STATUS_OK);
  expect(grpc_client_next(call, &message, &got, &error), STATUS_BUDGET, &error, "memory limit");
  here->budget.limit_bytes = 64 << 20; /* there is some again: the message goes on */
  assert_int_equal(grpc_client_next(call, &message, &got, &error), STATUS_OK);
  assert_int_equal(message.size_bytes, 5000000);
  buffer_release(&message);
  grpc_client_free(call);
}

/* ---- deadlines and cancelling ------------------------------------------------------------------- */

static void deadline_of_a_write(void **state) {
  struct here *here = *state;
  uint8_t *data = calloc(1, 1 << 20);
  struct grpc_client_call *call = start(here, "/t/deaf", 300);
  struct error error = {0};
  enum status status = STATUS_OK;
  bool got = true;
  for (int i = 0; i < 100 && status == STATUS_OK; i++)
    status = grpc_client_send(call, data, 1 << 20, &error);
  assert_int_equal(status, STATUS_CANCELLED);
  assert_int_equal(grpc_client_next(call, NULL, &got, &error), STATUS_TIMEOUT);
  assert_true(grpc_test_server_saw_cancel(here->server));
  grpc_client_free(call);
  assert_int_equal(unary(here, "/t/echo", &error), STATUS_OK);
  assert_int_equal(grpc_test_server_connections(here->server), 1);
  free(data);
}

static void *cancel_soon(void *context) {
  clock_sleep_ms(50);
  grpc_client_cancel(context);
  return NULL;
}

static void cancelling_from_another_thread(void **state) {
  struct here *here = *state;
  uint8_t *data = calloc(1, 1 << 20);
  for (int writing = 0; writing < 2; writing++)
    for (int i = 0; i < 3; i++) {
      struct grpc_client_call *call = start(here, writing ? "/t/deaf" : "/t/never", 0);
      struct error error = {0};
      enum status status = STATUS_OK;
      bool got = true;
      pthread_t thread;
      assert_int_equal(pthread_create(&thread, NULL, cancel_soon, call), 0);
      for (int k = 0; k < 100 && writing == 1 && status == STATUS_OK; k++)
        status = grpc_client_send(call, data, 1 << 20, &error);
      assert_int_equal(status, writing ? STATUS_CANCELLED : STATUS_OK);
      expect(grpc_client_next(call, NULL, &got, &error), STATUS_CANCELLED, &error, "cancelled");
      assert_int_equal(pthread_join(thread, NULL), 0);
      assert_true(grpc_test_server_saw_cancel(here->server));
      grpc_client_free(call);
    }
  assert_int_equal(grpc_test_server_connections(here->server), 1);
  free(data);
}

/* Before a byte of it was sent. */
static void cancelling_at_once(void **state) {
  struct here *here = *state;
  struct error error = {0};
  bool got = true;
  for (int i = 0; i < 3; i++) {
    struct grpc_client_call *call = start(here, "/t/echo", 0);
    if (i > 0) grpc_client_cancel(call);
    if (i > 1) assert_int_equal(grpc_client_send(call, "x", 1, &error), STATUS_CANCELLED);
    if (i > 0) assert_int_equal(grpc_client_next(call, NULL, &got, &error), STATUS_CANCELLED);
    grpc_client_free(call);
    assert_int_equal(unary(here, "/t/echo", &error), STATUS_OK);
  }
  assert_int_equal(grpc_test_server_connections(here->server), 1);
}

static void a_closed_channel_ends_its_calls(void **state) {
  struct here *here = *state;
  struct grpc_client_call *calls[2] = {start(here, "/t/never", 0), start(here, "/t/source", 0)};
  struct error error = {0};
  bool got = true;
  assert_int_equal(grpc_client_send(calls[1], "100 100000", 10, NULL), STATUS_OK);
  assert_int_equal(grpc_client_next(calls[1], NULL, &got, NULL), STATUS_OK);
  grpc_channel_close(here->channel);
  here->channel = NULL;
  for (int i = 0; i < 2; i++) {
    assert_int_equal(grpc_client_next(calls[i], NULL, &got, &error), STATUS_CANCELLED);
    grpc_client_free(calls[i]);
  }
}

static void calls_are_given_up(void **state) {
  struct here *here = *state;
  struct error error = {0};
  for (int i = 0; i < 20; i++) {
    struct grpc_client_call *call = start(here, "/t/source", 0);
    bool got = true;
    assert_int_equal(grpc_client_send(call, "100 1000000", 11, NULL), STATUS_OK);
    for (int k = 0; k < i % 3; k++)
      assert_int_equal(grpc_client_next(call, NULL, &got, NULL), STATUS_OK);
    grpc_client_free(call);
    assert_int_equal(unary(here, "/t/echo", &error), STATUS_OK);
  }
  assert_int_equal(grpc_test_server_connections(here->server), 1);
}

int main(void) {
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, begin, end)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nobody_answers),
      cmocka_unit_test(names_that_are_none),
      WITH_SERVER(addresses_are_tried_in_turn),
      cmocka_unit_test(servers_of_something_else),
      cmocka_unit_test(a_server_that_says_nothing),
      WITH_SERVER(a_connection_that_is_gone_is_made_anew),
      WITH_SERVER(a_vanished_server_is_no_safe_retry),
      WITH_SERVER(goaway_that_does_not_cover_a_call),
      WITH_SERVER(refused_calls_are_sent_once_more),
      WITH_SERVER(a_frozen_server_is_noticed),
      WITH_SERVER(a_slow_server_is_waited_for),
      WITH_SERVER(floods),
      cmocka_unit_test(more_calls_than_the_server_takes),
      WITH_SERVER(budgets_are_kept),
      WITH_SERVER(deadline_of_a_write),
      WITH_SERVER(cancelling_from_another_thread),
      WITH_SERVER(cancelling_at_once),
      WITH_SERVER(a_closed_channel_ends_its_calls),
      WITH_SERVER(calls_are_given_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
