#include "net/grpc_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- handlers ---------------------------------------------------------------------------------- */

static void must(enum status status) { assert_int_equal(status, STATUS_OK); }

static const char *path_of(struct grpc_seen *seen) {
  return http_exchange_request(seen->exchange)->path;
}

static bool path_is(struct grpc_seen *seen, const char *path) {
  return seen->exchange != NULL && strcmp(path_of(seen), path) == 0;
}

/* Whether the path and its query say that this is where something happens. */
static bool is_at(struct grpc_seen *seen, const char *path, const char *where) {
  return path_is(seen, path) && strcmp(http_exchange_request(seen->exchange)->query, where) == 0;
}

/* What http_server_free comes to, from inside of a call. True: the call is no more. */
static bool leave_at(struct grpc_seen *seen, const char *where) {
  if (!is_at(seen, "/leave", where)) return false;
  struct error why;
  error_set(&why, STATUS_CANCELLED, "the server is freed");
  http2_gone(seen->world->h2->http2, &why);
  return true;
}

static enum status act(struct grpc_seen *seen, const char *where) {
  if (leave_at(seen, where)) return STATUS_OK;
  return is_at(seen, "/fail", where) ? STATUS_BUDGET : STATUS_OK; /* without a pause: a failure */
}

static void finish(struct grpc_seen *seen, enum status status, const char *text) {
  struct error error;
  error_set(&error, status, "%s", text);
  grpc_finish(seen->call, status, &error);
}

static enum status on_begin(void *context, int64_t bytes) {
  struct grpc_seen *seen = context;
  assert_int_equal(seen->gones, 0);
  must(text_add_format(&seen->log, NULL, "begin %lld;", (long long)bytes));
  text_clear(&seen->body);
  seen->begun_bytes = bytes;
  seen->had_bytes = 0;
  return act(seen, "begin");
}

static enum status on_window(void *context, uint8_t **data, int64_t *bytes) {
  struct grpc_seen *seen = context;
  assert_int_equal(seen->gones, 0);
  int64_t left = seen->begun_bytes - seen->had_bytes;
  assert_true(left > 0);
  *data = seen->window;
  *bytes = seen->world->window_bytes < left ? seen->world->window_bytes : left;
  if (path_is(seen, "/budget") && !seen->stepped) {
    grpc_pause(seen->call);
    return STATUS_BUDGET;
  }
  seen->stepped = false;
  return act(seen, "window");
}

static enum status on_filled(void *context, int64_t bytes) {
  struct grpc_seen *seen = context;
  assert_int_equal(seen->gones, 0);
  assert_true(bytes > 0 && bytes <= seen->world->window_bytes);
  must(text_add_bytes(&seen->body, seen->window, (size_t)bytes, NULL));
  seen->had_bytes += bytes;
  if (path_is(seen, "/step")) grpc_pause(seen->call);
  return act(seen, "filled");
}

static enum status on_message(void *context) {
  struct grpc_seen *seen = context;
  assert_int_equal(seen->gones, 0);
  assert_int_equal(seen->begun_bytes, seen->had_bytes);
  const char *text = text_get(&seen->body);
  must(text_add_format(&seen->log, NULL, "%.40s%smessage;", text, *text == '\0' ? "" : ";"));
  seen->messages++;
  if (path_is(seen, "/echo")) grpc_send(seen->call, text, seen->body.size_bytes);
  if (path_is(seen, "/early") &&
      seen->messages == atoi(http_exchange_request(seen->exchange)->query))
    finish(seen, STATUS_SCHEMA, "it does not fit");
  return act(seen, "message");
}

static void on_end(void *context) {
  struct grpc_seen *seen = context;
  assert_int_equal(seen->gones, 0);
  must(text_add(&seen->log, "end;", NULL));
  if (leave_at(seen, "end") || path_is(seen, "/never") || path_is(seen, "/stream")) return;
  if (path_is(seen, "/one")) grpc_send(seen->call, text_get(&seen->body), seen->body.size_bytes);
  grpc_finish(seen->call, STATUS_OK, NULL);
}

static void on_gone(void *context, enum status status, const struct error *why) {
  struct grpc_seen *seen = context;
  assert_int_equal(seen->gones, 0);
  assert_true(why->text[0] != '\0');
  assert_true(grpc_finished(seen->call));
  seen->gones++;
  must(text_add_format(&seen->log, NULL, "gone %s;", status_name(status)));
  finish(seen, STATUS_CONFLICT, "nobody hears this");
}

static void send_some(void *context) {
  static const char message[1000] = {'m'};
  struct grpc_seen *seen = context;
  while (seen->to_send > 0 && grpc_writable(seen->call)) {
    grpc_send(seen->call, message, sizeof message);
    seen->to_send--;
  }
  if (seen->to_send == 0) grpc_finish(seen->call, STATUS_OK, NULL);
}

/* ---- the service ------------------------------------------------------------------------------- */

static void refuse(struct http_exchange *exchange, enum status status, const char *text) {
  struct error error;
  error_set(&error, status, "%s", text);
  grpc_refuse(exchange, status, &error);
}

static void on_request(void *context, struct http_exchange *exchange) {
  static const struct grpc_handler handler = {NULL,       on_begin, on_window, on_filled,
                                              on_message, on_end,   on_gone};
  struct grpc_world *world = context;
  assert_true(world->count < GRPC_SEEN_MAX);
  struct grpc_seen *seen = calloc(1, sizeof *seen);
  assert_non_null(seen);
  world->seen[world->count++] = seen;
  seen->world = world;
  seen->exchange = exchange;
  http_exchange_set_context(exchange, seen);
  if (!grpc_is_call(exchange)) {
    http_respond(exchange, 200, NULL, 0, "no call", 7);
    return;
  }
  if (path_is(seen, "/refuse")) {
    refuse(exchange, STATUS_UNAUTHENTICATED, "who asks? 100% unknown \xc3\xa9\n");
    return;
  }
  struct grpc_handler own = handler;
  struct grpc_call_options options = world->options;
  struct error error;
  own.context = seen;
  options.client_streams = !path_is(seen, "/one");
  if (grpc_call_new(exchange, &options, &own, world->loop, &seen->call, &error) != STATUS_OK) {
    grpc_refuse(exchange, error.status, &error);
    return;
  }
  if (path_is(seen, "/metadata")) grpc_header(seen->call, "x-own", "metadata");
  if (path_is(seen, "/stream")) {
    seen->to_send = strtoll(http_exchange_request(exchange)->query, NULL, 10);
    grpc_on_writable(seen->call, send_some, seen);
    send_some(seen);
  }
}

static void on_finished(void *context, struct http_exchange *exchange) {
  struct grpc_seen *seen = http_exchange_context(exchange);
  (void)context;
  assert_ptr_equal(seen->exchange, exchange);
  seen->code = http_exchange_code(exchange);
  seen->exchange = NULL;
  grpc_call_free(seen->call);
  seen->call = NULL;
}

void grpc_go_on(struct grpc_world *world, int nth) {
  assert_in_range(nth, 0, world->count - 1);
  struct grpc_seen *seen = world->seen[nth];
  assert_non_null(seen->call);
  seen->stepped = true;
  if (path_is(seen, "/fail"))
    finish(seen, STATUS_SCHEMA, "failed");
  else
    grpc_resume(seen->call);
  grpc_world_pass(world, 0);
}

const char *grpc_log(struct grpc_world *world, int nth) {
  assert_in_range(nth, 0, world->count - 1);
  return text_get(&world->seen[nth]->log);
}

/* ---- beginning and end ------------------------------------------------------------------------- */

static void stop(void *context) { net_loop_stop(context); }

struct grpc_world *grpc_world_new(void) {
  struct grpc_world *world = calloc(1, sizeof *world);
  assert_non_null(world);
  world->h2 = h2_new();
  world->h2->service = (struct http_service){world, on_request, on_finished};
  world->options = (struct grpc_call_options){1 << 20, true, &world->h2->budget};
  world->window_bytes = sizeof world->seen[0]->window;
  must(net_loop_new(&world->loop, NULL));
  must(net_timer_new(world->loop, stop, world->loop, &world->timer, NULL));
  return world;
}

void grpc_world_start(struct grpc_world *world) { h2_start(world->h2); }

void grpc_world_end(struct grpc_world *world) {
  h2_end(world->h2);
  for (int i = 0; i < world->count; i++) {
    assert_null(world->seen[i]->exchange);
    text_release(&world->seen[i]->body);
    text_release(&world->seen[i]->log);
    free(world->seen[i]);
  }
  net_timer_free(world->timer);
  net_loop_free(world->loop);
  free(world);
}

void grpc_world_pass(struct grpc_world *world, int64_t ms) {
  net_timer_start(world->timer, ms);
  net_loop_run(world->loop);
  h2_pump(world->h2);
}

struct h2_call *grpc_ask(struct grpc_world *world, const char *path, const char *fields,
                         const void *body, int64_t body_bytes) {
  char all[1000];
  (void)snprintf(all, sizeof all, "content-type: application/grpc\nte: trailers\n%s",
                 fields == NULL ? "" : fields);
  return h2_ask(world->h2, "POST", path, all, body, body_bytes);
}

void grpc_frame(struct text *out, uint8_t flag, const void *message, size_t bytes) {
  uint8_t prefix[GRPC_PREFIX_BYTES];
  grpc_prefix(prefix, (uint32_t)bytes);
  prefix[0] = flag;
  must(text_add_bytes(out, prefix, sizeof prefix, NULL));
  if (bytes > 0) must(text_add_bytes(out, message, bytes, NULL));
}
