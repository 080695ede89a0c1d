/* gRPC calls when memory runs out: whoever works for one is told, and the client sees its end or the
 * stream break. The protocol below is one that only writes down what it is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "net/grpc.h"
#include "net/http_exchange.h"
#include "nomem/nomem.h"

enum { MESSAGE_BYTES = 60000 };

struct seen {
  struct http_exchange exchange; /* first: the protocol is given its address */
  struct grpc_call *call;
  uint8_t window[4096];
  int64_t left_bytes;
  enum status gone; /* STATUS_OK: not */
  bool fails;       /* the call is to end with an error */
  bool aborted;
  int starts, writes;
  char told[16]; /* grpc-status */
};

/* ---- the protocol ------------------------------------------------------------------------------- */

static struct seen *seen_of(struct http_exchange *exchange) { return (struct seen *)exchange; }
static void body_changed(struct http_exchange *exchange) { (void)exchange; }

static void start(struct http_exchange *exchange, int code, const struct http_header *headers,
                  size_t header_count) {
  assert_int_equal(code, 200);
  assert_string_equal(headers[header_count - 1].name, "x-own");
  seen_of(exchange)->starts++;
}

static void write_data(struct http_exchange *exchange, struct buffer *data) {
  assert_int_equal(data->size_bytes, 105);
  seen_of(exchange)->writes++;
  buffer_release(data);
}

static bool writable(const struct http_exchange *exchange) {
  (void)exchange;
  return true;
}

static void end_trailers(struct http_exchange *exchange, const struct http_header *trailers,
                         size_t trailer_count) {
  for (size_t i = 0; i < trailer_count; i++)
    if (strcmp(trailers[i].name, "grpc-status") == 0) {
      assert_true(strlen(trailers[i].value) < sizeof seen_of(exchange)->told);
      memcpy(seen_of(exchange)->told, trailers[i].value, strlen(trailers[i].value) + 1);
    }
}

static void abort_answer(struct http_exchange *exchange) { seen_of(exchange)->aborted = true; }

static const struct http_protocol PROTOCOL = {
    .name = "HTTP/2",
    .body_changed = body_changed,
    .start = start,
    .write = write_data,
    .writable = writable,
    .end_trailers = end_trailers,
    .abort = abort_answer,
};

/* ---- the handler -------------------------------------------------------------------------------- */

static enum status on_begin(void *context, int64_t bytes) {
  ((struct seen *)context)->left_bytes = bytes;
  return STATUS_OK;
}

static enum status on_window(void *context, uint8_t **data, int64_t *bytes) {
  struct seen *seen = context;
  int64_t room = sizeof seen->window;
  *data = seen->window;
  *bytes = room < seen->left_bytes ? room : seen->left_bytes;
  return STATUS_OK;
}

static enum status on_filled(void *context, int64_t bytes) {
  ((struct seen *)context)->left_bytes -= bytes;
  return STATUS_OK;
}

static enum status on_message(void *context) {
  assert_int_equal(((struct seen *)context)->left_bytes, 0);
  return STATUS_OK;
}

static void on_end(void *context) {
  struct seen *seen = context;
  struct error error;
  if (seen->fails) {
    error_set(&error, STATUS_SCHEMA, "it does not fit");
    grpc_finish(seen->call, STATUS_SCHEMA, &error);
    return;
  }
  grpc_send(seen->call, seen->window, 100);
  grpc_finish(seen->call, STATUS_OK, NULL);
}

static void on_gone(void *context, enum status status, const struct error *why) {
  assert_true(why->text[0] != '\0');
  ((struct seen *)context)->gone = status;
}

static void on_finished(void *context, struct http_exchange *exchange) {
  (void)context;
  grpc_call_free(seen_of(exchange)->call);
}

/* ---- calls -------------------------------------------------------------------------------------- */

struct input {
  bool fails;
  uint8_t body[2000];
  size_t body_bytes;
};

static enum status make_head(struct http_head *head, struct error *error) {
  static const char text[] = "POST\0/x\0content-type\0application/grpc\0grpc-encoding\0gzip\0"
                             "grpc-timeout\0"
                             "1H";
  int code;
  enum status status = http_head_add(head, text, sizeof text, error);
  return status == STATUS_OK ? http_head_finish(head, 3, &code, error) : status;
}

/* All of the body, from the first message to the answer. */
static enum status talk(struct seen *seen, const struct input *input, struct error *error) {
  grpc_header(seen->call, "x-own", "metadata");
  size_t used = exchange_body_give(&seen->exchange, input->body, input->body_bytes);
  if (used == input->body_bytes) assert_true(exchange_body_end(&seen->exchange));
  if (seen->gone != STATUS_OK) {
    assert_string_equal(seen->told, seen->aborted ? "" : "8"); /* RESOURCE_EXHAUSTED */
    return error_set(error, seen->gone, "the call could not go on");
  }
  if (seen->aborted) return error_set(error, STATUS_NOMEM, "the answer was broken off");
  assert_string_equal(seen->told, seen->fails ? "9" : "0");
  assert_int_equal(seen->writes, seen->fails ? 0 : 1);
  return STATUS_OK;
}

static enum status call(void *context, struct error *error) {
  static const struct grpc_handler handler = {NULL,       on_begin, on_window, on_filled,
                                              on_message, on_end,   on_gone};
  const struct grpc_call_options options = {MESSAGE_BYTES, true, &nomem_budget};
  const struct input *input = context;
  const struct http_service service = {NULL, NULL, on_finished};
  static const struct http_peer peer;
  struct http_head head = HTTP_HEAD_EMPTY;
  struct seen *seen = NULL;
  struct net_loop *loop = NULL;
  enum status status = net_loop_new(&loop, error);
  if (status != STATUS_OK) return status;
  status = make_head(&head, error);
  if (status != STATUS_OK) {
    http_head_release(&head);
    goto done;
  }
  nomem_pause();
  seen = calloc(1, sizeof *seen);
  nomem_resume();
  assert_non_null(seen);
  exchange_init(&seen->exchange, &PROTOCOL, &service, &peer, &head);
  seen->exchange.asked = true;
  seen->fails = input->fails;
  struct grpc_handler own = handler;
  own.context = seen;
  status = grpc_call_new(&seen->exchange, &options, &own, loop, &seen->call, error);
  if (status == STATUS_OK) status = talk(seen, input, error);
  exchange_finish(&seen->exchange);
done:
  nomem_pause();
  free(seen);
  nomem_resume();
  net_loop_free(loop);
  return status;
}

static void add_compressed(struct input *input) {
  static const uint8_t message[MESSAGE_BYTES];
  z_stream zlib = {0};
  assert_int_equal(deflateInit2(&zlib, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
  uint8_t *at = input->body + input->body_bytes;
  zlib.next_in = (z_const Bytef *)message;
  zlib.avail_in = sizeof message;
  zlib.next_out = at + GRPC_PREFIX_BYTES;
  zlib.avail_out = 500;
  assert_int_equal(deflate(&zlib, Z_FINISH), Z_STREAM_END);
  grpc_prefix(at, 500 - zlib.avail_out);
  at[0] = 1;
  input->body_bytes += GRPC_PREFIX_BYTES + 500 - zlib.avail_out;
  deflateEnd(&zlib);
}

static void test_calls(void **state) {
  (void)state;
  for (int fails = 0; fails < 2; fails++) {
    struct input input = {.fails = fails};
    add_compressed(&input);
    add_compressed(&input);
    /* The text of an error is left out. */
    assert_true(nomem_run("a call", call, &input, fails ? 1 : 0) > 5);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_calls)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
