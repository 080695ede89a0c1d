/* The client against a server of ours, over real sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "net/http_client.h"
#include "net/world.h"

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

/* One side of a request: what is sent, what has come. */
struct talk {
  int64_t send_bytes; /* of a streamed body */
  int64_t sent_bytes;
  int64_t fail_at;   /* the body fails there; 0: it does not */
  int64_t refuse_at; /* the answer is refused there; 0: it is not */
  int code;
  struct text answer;
};

static uint8_t body_byte(int64_t at) { return (uint8_t)(at * 7 + at / 251); }

static enum status give(void *context, void *room, size_t room_bytes, size_t *bytes,
                        struct error *error) {
  struct talk *talk = context;
  if (talk->fail_at > 0 && talk->sent_bytes >= talk->fail_at)
    return error_set(error, STATUS_SCHEMA, "the source is broken");
  int64_t left = talk->send_bytes - talk->sent_bytes;
  *bytes = (size_t)left < room_bytes ? (size_t)left : room_bytes;
  for (size_t i = 0; i < *bytes; i++)
    ((uint8_t *)room)[i] = body_byte(talk->sent_bytes + (int64_t)i);
  talk->sent_bytes += (int64_t)*bytes;
  return STATUS_OK;
}

static enum status take(void *context, int code, const void *data, size_t bytes,
                        struct error *error) {
  struct talk *talk = context;
  talk->code = code;
  enum status status = text_add_bytes(&talk->answer, data, bytes, error);
  if (talk->refuse_at > 0 && (int64_t)talk->answer.size_bytes >= talk->refuse_at)
    return error_set(error, STATUS_IO, "the disk is full");
  return status;
}

static enum status ask(struct http_client *client, int port, const char *path, const char *body,
                       struct talk *talk, int *code, struct error *error) {
  char url[256];
  snprintf(url, sizeof url, "http://127.0.0.1:%d%s", port, path);
  struct http_client_request request = {
      .method = body != NULL || talk->send_bytes > 0 ? "POST" : "GET",
      .url = url,
      .body = body,
      .body_bytes = body == NULL ? 0 : strlen(body),
      .read_body = talk->send_bytes > 0 ? give : NULL,
      .answer = take,
      .context = talk,
      .timeout_ms = 3000,
  };
  return http_client_send(client, &request, code, error);
}

static struct http_client *client_new(void) {
  struct http_client *client = NULL;
  struct error error = {0};
  if (http_client_new(&client, &error) != STATUS_OK) fail_msg("%s", error.text);
  return client;
}

static void requests_of_every_kind_are_answered(void **state) {
  struct world *world = *state;
  static const struct {
    const char *path, *body;
    int code;
    const char *answer;
  } cases[] = {
      {"/x?y=1", NULL, 200, "GET /x?y=1"},
      {"/echo", "hello", 200, "hello"},
      {"/echo", "", 200, ""},
      {"/none", "hello", 404, "none"},
      {"/slow", "x", 200, "slow"},
      {"/fail?at=1", "hello", 422, NULL},
  };
  struct http_client *client = client_new(); /* one for all: its connection is used again */
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct talk talk = {.code = 0};
    struct error error = {0};
    int code = 0;
    if (ask(client, world->port, cases[i].path, cases[i].body, &talk, &code, &error) != STATUS_OK)
      fail_msg("%s: %s", cases[i].path, error.text);
    assert_int_equal(code, cases[i].code);
    if (cases[i].answer != NULL) assert_string_equal(text_get(&talk.answer), cases[i].answer);
    text_release(&talk.answer);
  }
  http_client_free(client);
}

static void a_streamed_body_arrives_whole_and_comes_back(void **state) {
  struct world *world = *state;
  static const int64_t sizes[] = {1, 1000, 524288, 524289, 5000000};
  struct http_client *client = client_new();
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct talk talk = {.send_bytes = sizes[i]};
    struct error error = {0};
    int code = 0;
    if (ask(client, world->port, "/echo", NULL, &talk, &code, &error) != STATUS_OK)
      fail_msg("%s", error.text);
    assert_int_equal(code, 200);
    assert_int_equal(talk.answer.size_bytes, sizes[i]);
    for (int64_t at = 0; at < sizes[i]; at++)
      if ((uint8_t)talk.answer.data[at] != body_byte(at)) fail_msg("byte %lld", (long long)at);
    text_release(&talk.answer);
  }
  http_client_free(client);
}

static void a_streamed_answer_is_read_piece_by_piece(void **state) {
  struct world *world = *state;
  struct http_client *client = client_new();
  struct talk talk = {.code = 0};
  int code = 0;
  assert_int_equal(ask(client, world->port, "/stream?n=100&size=10000", NULL, &talk, &code, NULL),
                   STATUS_OK);
  assert_int_equal(talk.answer.size_bytes, 1000000);
  assert_int_equal(talk.code, 200);
  assert_non_null(http_client_header(client, "Date"));
  assert_null(http_client_header(client, "x-none"));
  text_release(&talk.answer);
  http_client_free(client);
}

static void nobody_listening_is_told_with_what_to_do(void **state) {
  struct world *world = *state;
  int port = world->port;
  struct http_client *client = client_new();
  struct talk talk = {.code = 0};
  struct error error = {0};
  int code = 0;
  /* A port that was free a moment ago: of a second server that is gone. */
  struct world *other = world_new();
  world_start(other);
  int gone = other->port;
  world_end(other);
  assert_int_not_equal(port, gone);
  assert_int_equal(ask(client, gone, "/query", "x", &talk, &code, &error), STATUS_UNAVAILABLE);
  char want[256];
  snprintf(want, sizeof want,
           "nobody answers at http://127.0.0.1:%d/query: is the server running? Start it with "
           "`arrowport serve`",
           gone);
  assert_string_equal(error.text, want);
  http_client_free(client);
}

static void an_answer_that_breaks_off_is_no_answer(void **state) {
  struct world *world = *state;
  struct http_client *client = client_new();
  struct talk talk = {.code = 0};
  struct error error = {0};
  int code = 0;
  assert_int_equal(ask(client, world->port, "/abort", NULL, &talk, &code, &error),
                   STATUS_UNAVAILABLE);
  assert_non_null(strstr(error.text, "broke off, so what was received is not whole"));
  text_release(&talk.answer);
  http_client_free(client);
}

static void an_answer_that_never_comes_ends_by_time(void **state) {
  struct world *world = *state;
  struct http_client *client = client_new();
  struct error error = {0};
  char url[64];
  int code = 0;
  snprintf(url, sizeof url, "http://127.0.0.1:%d/never", world->port);
  struct http_client_request request = {
      .method = "POST", .url = url, .body = "x", .body_bytes = 1, .timeout_ms = 200};
  assert_int_equal(http_client_send(client, &request, &code, &error), STATUS_TIMEOUT);
  assert_non_null(strstr(error.text, "no answer from http://127.0.0.1:"));
  http_client_free(client);
}

/* Takes one request whole, body "x", and dies without a word. */
static void *die_after_a_request(void *context) {
  int listener = *(int *)context;
  char data[4096];
  size_t used = 0;
  int fd = accept(listener, NULL, NULL);
  while (fd >= 0 && used < sizeof data) {
    ssize_t got = recv(fd, data + used, sizeof data - used, 0);
    if (got <= 0) break;
    used += (size_t)got;
    if (used > 5 && memcmp(data + used - 5, "\r\n\r\nx", 5) == 0) break;
  }
  if (fd >= 0) close(fd);
  return NULL;
}

static void a_server_that_dies_leaves_the_outcome_unknown(void **state) {
  (void)state;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t address_bytes = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(listener, 1), 0);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &address_bytes), 0);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, die_after_a_request, &listener), 0);

  struct http_client *client = client_new();
  struct talk talk = {.code = 0};
  struct error error = {0};
  int code = 0;
  assert_int_equal(ask(client, ntohs(address.sin_port), "/ingest/t", "x", &talk, &code, &error),
                   STATUS_UNKNOWN);
  assert_non_null(strstr(error.text, "look before sending it again"));
  http_client_free(client);
  assert_int_equal(pthread_join(thread, NULL), 0);
  close(listener);
}

static void a_body_that_fails_gives_the_request_up_with_its_own_error(void **state) {
  struct world *world = *state;
  struct http_client *client = client_new();
  struct talk talk = {.send_bytes = 5000000, .fail_at = 1000000};
  struct error error = {0};
  int code = 0;
  assert_int_equal(ask(client, world->port, "/echo", NULL, &talk, &code, &error), STATUS_SCHEMA);
  assert_string_equal(error.text, "the source is broken");
  world_wait(&world->gones, 1); /* the server has noticed that the body is not whole */
  assert_int_equal(world->ends, 0);
  text_release(&talk.answer);
  http_client_free(client);
}

static void an_answer_that_nobody_can_take_gives_the_request_up(void **state) {
  struct world *world = *state;
  struct http_client *client = client_new();
  struct talk talk = {.refuse_at = 50000};
  struct error error = {0};
  int code = 0;
  assert_int_equal(
      ask(client, world->port, "/stream?n=1000&size=10000", NULL, &talk, &code, &error), STATUS_IO);
  assert_string_equal(error.text, "the disk is full");
  text_release(&talk.answer);
  http_client_free(client);
}

static void a_refusal_before_the_body_is_over_is_heard(void **state) {
  struct world *world = *state;
  struct http_client *client = client_new();
  struct talk talk = {.send_bytes = (int64_t)64 << 20};
  struct error error = {0};
  int code = 0;
  if (ask(client, world->port, "/early?at=100000", NULL, &talk, &code, &error) != STATUS_OK)
    fail_msg("%s", error.text);
  assert_int_equal(code, 413);
  assert_true(talk.sent_bytes < talk.send_bytes);
  text_release(&talk.answer);
  http_client_free(client);
}

static void a_url_that_is_none_is_refused(void **state) {
  (void)state;
  static const char *const urls[] = {
      "https://127.0.0.1:99999/", "ftp://x/", "http://", "file:///etc/hosts",
      "http://127.0.0.1:99999/",  ""};
  struct http_client *client = client_new();
  for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
    struct http_client_request request = {.method = "GET", .url = urls[i]};
    struct error error = {0};
    int code = 0;
    assert_int_equal(http_client_send(client, &request, &code, &error), STATUS_INVALID);
    if (strstr(error.text, "is not a URL of the form http://HOST:PORT") == NULL)
      fail_msg("%s: %s", urls[i], error.text);
  }
  http_client_free(client);
}

static void a_user_in_the_url_is_refused_without_repeating_it(void **state) {
  (void)state;
  static const char *const urls[] = {"http://me:secret@127.0.0.1/", "https://secret@127.0.0.1:1",
                                     "me:secret@127.0.0.1/x"};
  struct http_client *client = client_new();
  for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
    struct http_client_request request = {.method = "GET", .url = urls[i]};
    struct error error = {0};
    int code = 0;
    assert_int_equal(http_client_send(client, &request, &code, &error), STATUS_INVALID);
    assert_non_null(strstr(error.text, "not given in the URL"));
    assert_null(strstr(error.text, "secret"));
  }
  http_client_free(client);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(requests_of_every_kind_are_answered, start, end),
      cmocka_unit_test_setup_teardown(a_streamed_body_arrives_whole_and_comes_back, start, end),
      cmocka_unit_test_setup_teardown(a_streamed_answer_is_read_piece_by_piece, start, end),
      cmocka_unit_test_setup_teardown(nobody_listening_is_told_with_what_to_do, start, end),
      cmocka_unit_test_setup_teardown(an_answer_that_breaks_off_is_no_answer, start, end),
      cmocka_unit_test_setup_teardown(an_answer_that_never_comes_ends_by_time, start, end),
      cmocka_unit_test(a_server_that_dies_leaves_the_outcome_unknown),
      cmocka_unit_test_setup_teardown(a_body_that_fails_gives_the_request_up_with_its_own_error,
                                      start, end),
      cmocka_unit_test_setup_teardown(an_answer_that_nobody_can_take_gives_the_request_up, start,
                                      end),
      cmocka_unit_test_setup_teardown(a_refusal_before_the_body_is_over_is_heard, start, end),
      cmocka_unit_test(a_url_that_is_none_is_refused),
      cmocka_unit_test(a_user_in_the_url_is_refused_without_repeating_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
