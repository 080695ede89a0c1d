/* The client against a small server on a socket (grpc_server.h): calls, statuses, streams both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/grpc_client.h"
#include "net/grpc_server.h"

struct here {
  struct grpc_test_server *server;
  struct grpc_channel *channel;
  struct budget budget;
};

static struct grpc_channel *open_channel(struct here *here, int64_t message_bytes_max) {
  struct grpc_channel *channel = NULL;
  const struct grpc_channel_options options = {.host = "127.0.0.1",
                                               .port = grpc_test_server_port(here->server),
                                               .message_bytes_max = message_bytes_max,
                                               .budget = &here->budget};
  assert_int_equal(grpc_channel_open(&options, &channel, NULL), STATUS_OK);
  return channel;
}

static int begin(void **state) {
  struct here *here = calloc(1, sizeof *here);
  here->budget.limit_bytes = 256 << 20;
  here->server = grpc_test_server_new(NULL);
  here->channel = open_channel(here, 0);
  *state = here;
  return 0;
}

static int end(void **state) {
  struct here *here = *state;
  grpc_channel_close(here->channel);
  grpc_test_server_free(here->server);
  assert_int_equal(here->budget.used_bytes, 0);
  free(here);
  return 0;
}

static struct grpc_client_call *start(struct here *here, const char *method) {
  struct grpc_client_call *call = NULL;
  struct error error = {0};
  if (grpc_client_start(here->channel, method, NULL, 0, 0, NULL, &call, &error) != STATUS_OK)
    fail_msg("%s", error.text);
  return call;
}

static enum status unary(struct here *here, const char *method, const char *message,
                         struct buffer *answer, struct error *error) {
  return grpc_client_unary(here->channel, method, NULL, 0, 0, message, strlen(message), answer,
                           error);
}

/* ---- calls and statuses ------------------------------------------------------------------------ */

static void one_message_there_one_back(void **state) {
  struct here *here = *state;
  struct buffer answer = BUFFER_EMPTY;
  struct error error = {0};
  for (int i = 0; i < 300; i++) {
    assert_int_equal(unary(here, "/t/echo", "hello", &answer, &error), STATUS_OK);
    assert_int_equal(answer.size_bytes, 5);
    assert_memory_equal(answer.data, "hello", 5);
    buffer_release(&answer);
  }
  assert_int_equal(grpc_test_server_connections(here->server), 1);
  assert_int_equal(unary(here, "/t/echo", "", &answer, &error), STATUS_OK);
  assert_int_equal(answer.size_bytes, 0);
}

static void statuses_of_servers(void **state) {
  static const struct {
    const char *method;
    enum status status;
    const char *text;
  } cases[] = {
      {"/t/fail/1", STATUS_CANCELLED, "no luck!"},
      {"/t/fail/2", STATUS_UNKNOWN, "no luck!"},
      {"/t/fail/3", STATUS_INVALID, "no luck!"},
      {"/t/fail/4", STATUS_TIMEOUT, "no luck!"},
      {"/t/fail/5", STATUS_NOT_FOUND, "no luck!"},
      {"/t/fail/6", STATUS_CONFLICT, "no luck!"},
      {"/t/fail/7", STATUS_DENIED, "no luck!"},
      {"/t/fail/8", STATUS_BUDGET, "no luck!"},
      {"/t/fail/9", STATUS_SCHEMA, "no luck!"},
      {"/t/fail/10", STATUS_CONFLICT, "no luck!"},
      {"/t/fail/11", STATUS_INVALID, "no luck!"},
      {"/t/fail/12", STATUS_UNSUPPORTED, "no luck!"},
      {"/t/fail/13", STATUS_INTERNAL, "no luck!"},
      {"/t/fail/14", STATUS_UNAVAILABLE, "no luck!"},
      {"/t/fail/15", STATUS_IO, "no luck!"},
      {"/t/fail/16", STATUS_UNAUTHENTICATED, "no luck!"},
      {"/t/fail/17", STATUS_UNKNOWN, "no luck!"},
      {"/t/fail/-1", STATUS_UNKNOWN, "no luck!"},
      {"/t/fail/0", STATUS_INVALID, "with no message"},
      {"/t/late/5", STATUS_NOT_FOUND, "after all %zz"},
      {"/t/http/400", STATUS_INTERNAL, "HTTP 400"},
      {"/t/http/401", STATUS_UNAUTHENTICATED, "HTTP 401"},
      {"/t/http/403", STATUS_DENIED, "HTTP 403"},
      {"/t/http/404", STATUS_UNSUPPORTED, "HTTP 404"},
      {"/t/http/429", STATUS_UNAVAILABLE, "HTTP 429"},
      {"/t/http/503", STATUS_UNAVAILABLE, "HTTP 503"},
      {"/t/http/500", STATUS_UNKNOWN, "HTTP 500"},
      {"/t/type", STATUS_UNKNOWN, "text/html"},
      {"/t/nostatus", STATUS_UNKNOWN, "no grpc-status"},
      {"/t/reset/2", STATUS_INTERNAL, "INTERNAL_ERROR"},
      {"/t/reset/8", STATUS_CANCELLED, "CANCEL"},
      {"/t/reset/11", STATUS_BUDGET, "ENHANCE_YOUR_CALM"},
      {"/t/reset/12", STATUS_DENIED, "INADEQUATE_SECURITY"},
      {"/t/reset/7", STATUS_UNAVAILABLE, "REFUSED_STREAM"},
      {"/t/headers", STATUS_TOO_LARGE, "headers"},
  };
  struct here *here = *state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct buffer answer = BUFFER_EMPTY;
    struct error error = {0};
    enum status status = unary(here, cases[i].method, "x", &answer, &error);
    if (status != cases[i].status || strstr(error.text, cases[i].text) == NULL)
      fail_msg("%s: %s, %s", cases[i].method, status_name(status), error.text);
    assert_int_equal(error.status, status);
    if (strncmp(cases[i].method, "/t/fail/14", 10) == 0) assert_int_equal(error.retry_after_ms, 7);
  }
}

static void messages_before_a_bad_status_are_given_first(void **state) {
  struct grpc_client_call *call = start(*state, "/t/late/9");
  struct buffer message = BUFFER_EMPTY;
  struct error error = {0};
  bool got = false;
  assert_int_equal(grpc_client_close_sending(call, NULL), STATUS_OK);
  assert_int_equal(grpc_client_next(call, &message, &got, &error), STATUS_OK);
  assert_true(got);
  assert_memory_equal(message.data, "well", 4);
  buffer_release(&message);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(grpc_client_next(call, &message, &got, &error), STATUS_SCHEMA);
    assert_false(got);
  }
  assert_string_equal(grpc_client_header(call, "x-trailer"), "t");
  assert_string_equal(grpc_client_header(call, "grpc-status"), "9");
  assert_null(grpc_client_header(call, "x-other"));
  assert_null(grpc_client_header_at(call, "x-trailer", 1));
  grpc_client_free(call);
}

static void headers_are_sent(void **state) {
  struct here *here = *state;
  const struct http_header headers[] = {{"authorization", "Bearer abc"}, {"k-bin", "AAE="}};
  struct grpc_client_call *call = NULL;
  bool got = false;
  assert_int_equal(
      grpc_client_start(here->channel, "/t/meta", headers, 2, 60000, NULL, &call, NULL), STATUS_OK);
  assert_int_equal(grpc_client_send(call, "x", 1, NULL), STATUS_OK);
  assert_int_equal(grpc_client_next(call, NULL, &got, NULL), STATUS_OK);
  assert_true(got);
  assert_string_equal(grpc_client_header(call, "x-authorization"), "Bearer abc");
  assert_string_equal(grpc_client_header(call, "x-k-bin"), "AAE=");
  assert_string_equal(grpc_client_header(call, "x-te"), "trailers");
  assert_string_equal(grpc_client_header(call, "x-content-type"), "application/grpc");
  const char *timeout = grpc_client_header(call, "x-grpc-timeout");
  assert_non_null(timeout);
  long left_ms = strtol(timeout, NULL, 10);
  assert_true(left_ms > 10000 && left_ms <= 60000 && timeout[strlen(timeout) - 1] == 'm');
  grpc_client_free(call);
}

static void headers_that_cannot_be_sent(void **state) {
  static const struct http_header cases[] = {
      {"Upper", "x"}, {":path", "/x"}, {"te", "gzip"},     {"a b", "x"},
      {"", "x"},      {"a", "b\nc"},   {"a", "b\r\nd: e"}, {"grpc-timeout", "1S"},
  };
  struct here *here = *state;
  struct grpc_client_call *call = NULL;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_int_equal(
        grpc_client_start(here->channel, "/t/echo", &cases[i], 1, 0, NULL, &call, NULL),
        STATUS_INVALID);
  assert_int_equal(grpc_client_start(here->channel, "echo", NULL, 0, 0, NULL, &call, NULL),
                   STATUS_INVALID);
  assert_int_equal(grpc_client_start(here->channel, "/e cho", NULL, 0, 0, NULL, &call, NULL),
                   STATUS_INVALID);
  assert_int_equal(grpc_test_server_connections(here->server), 0);
}

/* ---- streams ----------------------------------------------------------------------------------- */

static void many_messages_come(void **state) {
  static const struct {
    const char *what;
    int count;
    int64_t bytes;
  } cases[] = {{"1 0", 1, 0},
               {"1000 0", 1000, 0},
               {"1000 7", 1000, 7},
               {"300 65531", 300, 65531},
               {"20 3000001", 20, 3000001},
               {"3 20000000", 3, 20000000}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct grpc_client_call *call = start(*state, "/t/source");
    struct buffer message = BUFFER_EMPTY;
    struct error error = {0};
    bool got = true;
    int count = 0;
    assert_int_equal(grpc_client_send(call, cases[i].what, strlen(cases[i].what), NULL), STATUS_OK);
    assert_int_equal(grpc_client_close_sending(call, NULL), STATUS_OK);
    for (;; count++) {
      if (grpc_client_next(call, &message, &got, &error) != STATUS_OK) fail_msg("%s", error.text);
      if (!got) break;
      assert_int_equal(message.size_bytes, cases[i].bytes);
      if (count % 7 == 0) (void)grpc_client_ready(call); /* some are held, others not */
    }
    assert_int_equal(count, cases[i].count);
    buffer_release(&message);
    grpc_client_free(call);
  }
}

static void large_messages_go(void **state) {
  struct here *here = *state;
  const size_t bytes = 5 << 20;
  uint8_t *data = calloc(1, bytes);
  struct grpc_client_call *call = start(here, "/t/sink");
  struct buffer message = BUFFER_EMPTY;
  uint64_t took_bytes = 0;
  bool got = false;
  for (int i = 0; i < 10; i++)
    assert_int_equal(grpc_client_send(call, data, bytes, NULL), STATUS_OK);
  assert_int_equal(grpc_client_close_sending(call, NULL), STATUS_OK);
  assert_int_equal(grpc_client_next(call, &message, &got, NULL), STATUS_OK);
  assert_true(got);
  memcpy(&took_bytes, message.data, 8);
  assert_int_equal(took_bytes, 10 * (bytes + 5));
  assert_int_equal(grpc_client_next(call, &message, &got, NULL), STATUS_OK);
  assert_false(got);
  buffer_release(&message);
  grpc_client_free(call);
  free(data);
}

/* Whoever writes and takes what is ready in between, reads back what was written. */
static void echo_both_ways(void **state) {
  const size_t bytes = 300000;
  uint8_t *data = malloc(bytes);
  struct grpc_client_call *call = start(*state, "/t/answerfirst");
  struct buffer message = BUFFER_EMPTY;
  int sent = 0, came = 0;
  bool got = true;
  while (got) {
    if (sent < 200) {
      memset(data, sent, bytes);
      assert_int_equal(grpc_client_send(call, data, bytes, NULL), STATUS_OK);
      if (++sent == 200) assert_int_equal(grpc_client_close_sending(call, NULL), STATUS_OK);
    }
    while (got && (sent == 200 || grpc_client_ready(call))) {
      assert_int_equal(grpc_client_next(call, &message, &got, NULL), STATUS_OK);
      if (!got) break;
      assert_int_equal(message.size_bytes, bytes);
      assert_int_equal(message.data[0], came & 0xff);
      assert_int_equal(message.data[bytes - 1], came & 0xff);
      came++;
    }
  }
  assert_int_equal(came, 200);
  buffer_release(&message);
  grpc_client_free(call);
  free(data);
}

/* Nobody takes the answers: the writer hears of it instead of waiting for ever. */
static void both_sides_full(void **state) {
  struct here *here = *state;
  const size_t bytes = 1 << 20;
  uint8_t *data = calloc(1, bytes);
  struct grpc_client_call *call = start(here, "/t/answerfirst");
  struct buffer message = BUFFER_EMPTY;
  struct error error = {0};
  enum status status = STATUS_OK;
  int sent = 0, came = 0;
  bool got = true;
  for (; sent < 200 && status == STATUS_OK; sent += status == STATUS_OK)
    status = grpc_client_send(call, data, bytes, &error);
  assert_int_equal(status, STATUS_BUDGET);
  assert_true(sent >= 8 && sent < 40);
  assert_true(grpc_client_ready(call));
  assert_true(here->budget.used_bytes < 40 << 20);
  assert_int_equal(grpc_client_close_sending(call, NULL), STATUS_OK);
  for (;; came++) {
    assert_int_equal(grpc_client_next(call, &message, &got, &error), STATUS_OK);
    if (!got) break;
    assert_int_equal(message.size_bytes, bytes);
  }
  assert_int_equal(came, sent);
  buffer_release(&message);
  grpc_client_free(call);
  free(data);
}

static void several_calls_at_once(void **state) {
  struct grpc_client_call *calls[20];
  struct buffer message = BUFFER_EMPTY;
  bool got = false;
  for (int i = 0; i < 20; i++) {
    calls[i] = start(*state, "/t/source");
    assert_int_equal(grpc_client_send(calls[i], "50 100000", 9, NULL), STATUS_OK);
    assert_int_equal(grpc_client_close_sending(calls[i], NULL), STATUS_OK);
  }
  for (int k = 0; k < 50; k++)
    for (int i = 19; i >= 0; i--) {
      assert_int_equal(grpc_client_next(calls[i], &message, &got, NULL), STATUS_OK);
      assert_true(got && message.size_bytes == 100000);
    }
  for (int i = 0; i < 20; i++) {
    if (i % 2 == 0) assert_int_equal(grpc_client_next(calls[i], &message, &got, NULL), STATUS_OK);
    grpc_client_free(calls[i]);
  }
  buffer_release(&message);
}

/* ---- receivers --------------------------------------------------------------------------------- */

struct sink {
  uint8_t room[1000];
  int64_t announced_bytes, came_bytes;
  int refuse; /* so many windows, with STATUS_BUDGET */
  enum status fail;
};

static enum status on_message(void *context, int64_t bytes, struct error *error) {
  struct sink *sink = context;
  (void)error;
  sink->announced_bytes += bytes;
  return STATUS_OK;
}

static enum status on_window(void *context, uint8_t **data, int64_t *bytes, struct error *error) {
  struct sink *sink = context;
  if (sink->refuse > 0) {
    sink->refuse--;
    return error_set(error, STATUS_BUDGET, "not now");
  }
  *data = sink->room;
  *bytes = sizeof sink->room;
  return STATUS_OK;
}

static enum status on_filled(void *context, int64_t bytes, struct error *error) {
  struct sink *sink = context;
  sink->came_bytes += bytes;
  return sink->fail == STATUS_OK ? STATUS_OK : error_set(error, sink->fail, "it does not fit");
}

static struct grpc_client_call *start_into(struct here *here, struct sink *sink, const char *what) {
  const struct grpc_receiver receiver = {sink, on_message, on_window, on_filled};
  struct grpc_client_call *call = NULL;
  assert_int_equal(
      grpc_client_start(here->channel, "/t/source", NULL, 0, 0, &receiver, &call, NULL), STATUS_OK);
  assert_int_equal(grpc_client_send(call, what, strlen(what), NULL), STATUS_OK);
  assert_int_equal(grpc_client_close_sending(call, NULL), STATUS_OK);
  return call;
}

static void receivers_say_where(void **state) {
  struct sink sink = {.refuse = 3};
  struct grpc_client_call *call = start_into(*state, &sink, "10 100001");
  bool got = true;
  int came = 0, refused = 0;
  while (got) {
    struct error error = {0};
    enum status status = grpc_client_next(call, NULL, &got, &error);
    refused += status == STATUS_BUDGET;
    came += got;
    if (status == STATUS_BUDGET) {
      assert_string_equal(error.text, "not now");
      got = true;
    }
  }
  assert_int_equal(came, 10);
  assert_int_equal(refused, 3);
  assert_int_equal(sink.came_bytes, 10 * 100001);
  assert_int_equal(sink.announced_bytes, 10 * 100001);
  grpc_client_free(call);
}

/* At the first bytes of a message, and at its last. */
static void receivers_fail(void **state) {
  static const char *const sources[] = {"10 100001", "10 10"};
  struct here *here = *state;
  for (int k = 0; k < 4; k++) {
    struct sink sink = {.fail = STATUS_SCHEMA};
    struct grpc_client_call *call = start_into(here, &sink, sources[k % 2]);
    bool got = true;
    while (k > 1 && !grpc_client_ready(call)) clock_sleep_ms(1); /* held, and then given */
    for (int i = 0; i < 2; i++) {
      struct error error = {0};
      assert_int_equal(grpc_client_next(call, NULL, &got, &error), STATUS_SCHEMA);
      assert_string_equal(error.text, "it does not fit");
      assert_false(got);
    }
    grpc_client_free(call);
  }
  assert_true(grpc_test_server_saw_cancel(here->server));
}

/* The server's last word counts, although it has not taken all, and does not reset the stream. */
static void answers_before_all_is_sent(void **state) {
  struct here *here = *state;
  uint8_t *data = calloc(1, 1 << 20);
  for (int k = 0; k < 3; k++) {
    struct grpc_client_call *call = start(here, k == 1 ? "/t/late/5" : "/t/fail/5");
    struct buffer message = BUFFER_EMPTY;
    struct error error = {0};
    enum status status = STATUS_OK;
    bool got = true;
    for (int i = 0; i < 50 && status == STATUS_OK; i++)
      status = grpc_client_send(call, data, k == 2 ? 1 : 1 << 20, NULL);
    while (got && status != STATUS_NOT_FOUND) {
      status = grpc_client_next(call, &message, &got, &error);
      assert_true(status == STATUS_OK || status == STATUS_NOT_FOUND);
    }
    assert_int_equal(status, STATUS_NOT_FOUND);
    assert_false(grpc_client_unprocessed(call));
    buffer_release(&message);
    grpc_client_free(call);
    assert_int_equal(unary(here, "/t/echo", "x", &message, &error), STATUS_OK);
    buffer_release(&message);
  }
  assert_int_equal(grpc_test_server_connections(here->server), 1);
  free(data);
}

/* ---- messages that break the rules --------------------------------------------------------------- */

static void broken_messages(void **state) {
  static const struct {
    const char *body;
    size_t bytes;
    enum status status;
    const char *text;
  } cases[] = {
      {"\0\0\0\0\1a", 6, STATUS_OK, ""},
      {"\0\0\0\0\2a", 6, STATUS_INVALID, "within a message"},
      {"\0\0\0", 3, STATUS_INVALID, "within a message"},
      {"\1\0\0\0\1a", 6, STATUS_UNSUPPORTED, "compressed"},
      {"\7\0\0\0\1a", 6, STATUS_INVALID, "framing"},
      {"\0\0\0\3\351a", 6, STATUS_TOO_LARGE, "1001 bytes"},
      {"\0\377\377\377\377", 5, STATUS_TOO_LARGE, "4294967295 bytes"},
  };
  struct here *here = *state;
  grpc_channel_close(here->channel);
  here->channel = open_channel(here, 1000);
  for (int held = 0; held < 2; held++)
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
      struct grpc_client_call *call = start(here, "/t/raw");
      struct buffer message = BUFFER_EMPTY;
      struct error error = {0};
      bool got = true;
      assert_int_equal(grpc_client_send(call, cases[i].body, cases[i].bytes, NULL), STATUS_OK);
      assert_int_equal(grpc_client_close_sending(call, NULL), STATUS_OK);
      while (held == 1 && !grpc_client_ready(call)) clock_sleep_ms(1);
      enum status status = STATUS_OK;
      while (got && status == STATUS_OK) status = grpc_client_next(call, &message, &got, &error);
      if (status != cases[i].status || strstr(error.text, cases[i].text) == NULL)
        fail_msg("case %zu: %s, %s", i, status_name(status), error.text);
      buffer_release(&message);
      grpc_client_free(call);
    }
}

int main(void) {
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, begin, end)
  const struct CMUnitTest tests[] = {
      WITH_SERVER(one_message_there_one_back),
      WITH_SERVER(statuses_of_servers),
      WITH_SERVER(messages_before_a_bad_status_are_given_first),
      WITH_SERVER(headers_are_sent),
      WITH_SERVER(headers_that_cannot_be_sent),
      WITH_SERVER(many_messages_come),
      WITH_SERVER(large_messages_go),
      WITH_SERVER(echo_both_ways),
      WITH_SERVER(both_sides_full),
      WITH_SERVER(several_calls_at_once),
      WITH_SERVER(receivers_say_where),
      WITH_SERVER(receivers_fail),
      WITH_SERVER(answers_before_all_is_sent),
      WITH_SERVER(broken_messages),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
