#include "net/h2_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void *must(void *memory) {
  assert_non_null(memory);
  return memory;
}

/* ---- the service ------------------------------------------------------------------------------- */

static bool path_is(struct h2_exchange *seen, const char *path) {
  return strcmp(http_exchange_request(seen->exchange)->path, path) == 0;
}

/* What http_server_free comes to, from inside a call of the server's. */
static void leave_at(struct h2_exchange *seen, const char *where) {
  if (seen->exchange == NULL || !path_is(seen, "/leave")) return;
  if (strcmp(http_exchange_request(seen->exchange)->query, where) != 0) return;
  struct error why;
  error_set(&why, STATUS_CANCELLED, "the server is freed");
  http2_gone(seen->world->http2, &why);
}

static enum status on_window(void *context, uint8_t **data, int64_t *bytes) {
  struct h2_exchange *seen = context;
  assert_int_equal(seen->ends + seen->gones + seen->finished, 0);
  *data = seen->window;
  *bytes = sizeof seen->window;
  return STATUS_OK;
}

static enum status on_filled(void *context, int64_t bytes) {
  struct h2_exchange *seen = context;
  assert_int_equal(seen->ends + seen->gones + seen->finished, 0);
  assert_true(bytes > 0 && bytes <= (int64_t)sizeof seen->window);
  if (path_is(seen, "/echo")) {
    seen->body = must(realloc(seen->body, (size_t)(seen->body_bytes + bytes)));
    memcpy(seen->body + seen->body_bytes, seen->window, (size_t)bytes);
  }
  seen->body_bytes += bytes;
  leave_at(seen, "filled");
  if (seen->exchange == NULL) return STATUS_OK;
  if (path_is(seen, "/step")) http_body_pause(seen->exchange);
  if (path_is(seen, "/early")) http_respond(seen->exchange, 413, NULL, 0, "too large", 9);
  return path_is(seen, "/fail") ? STATUS_INVALID : STATUS_OK;
}

static void on_end(void *context) {
  struct h2_exchange *seen = context;
  assert_int_equal(seen->ends + seen->gones + seen->finished, 0);
  seen->ends++;
  leave_at(seen, "end");
  if (seen->exchange == NULL) return;
  if (path_is(seen, "/never") || http_exchange_code(seen->exchange) != 0) return;
  if (path_is(seen, "/echo")) {
    http_respond(seen->exchange, 200, NULL, 0, seen->body, (size_t)seen->body_bytes);
    return;
  }
  char text[32];
  int length = snprintf(text, sizeof text, "%lld", (long long)seen->body_bytes);
  http_respond(seen->exchange, 200, NULL, 0, text, (size_t)length);
}

static void on_body_gone(void *context, const struct error *why) {
  struct h2_exchange *seen = context;
  assert_int_equal(seen->ends + seen->gones + seen->finished, 0);
  seen->gones++;
  (void)snprintf(seen->why, sizeof seen->why, "%.200s", why->text);
}

static void on_client_gone(void *context) {
  struct h2_exchange *seen = context;
  assert_int_equal(seen->finished, 0);
  seen->clients_gone++;
}

static void write_some(struct h2_exchange *seen) {
  while (seen->to_send_bytes > 0) {
    int64_t bytes = seen->to_send_bytes < 100000 ? seen->to_send_bytes : 100000;
    struct buffer data = BUFFER_EMPTY;
    assert_int_equal(buffer_reserve(&data, &seen->world->budget, bytes, NULL), STATUS_OK);
    for (int64_t i = 0; i < bytes; i++)
      data.data[i] = (uint8_t)((seen->to_send_bytes - i) * 2654435761 >> 8);
    data.size_bytes = bytes;
    http_write(seen->exchange, &data);
    seen->to_send_bytes -= bytes;
    if (!path_is(seen, "/flood") && !http_writable(seen->exchange)) break;
  }
  if (seen->to_send_bytes == 0) http_end(seen->exchange);
}

static void on_writable(void *context) {
  struct h2_exchange *seen = context;
  leave_at(seen, "writable");
  if (seen->exchange != NULL) write_some(seen);
}

static void begin(struct h2_exchange *seen) {
  struct buffer data = BUFFER_EMPTY;
  http_start(seen->exchange, 200, NULL, 0);
  assert_int_equal(buffer_append(&data, &seen->world->budget, "begun", 5, NULL), STATUS_OK);
  http_write(seen->exchange, &data);
}

static void describe(struct h2_exchange *seen) {
  const struct http_request *request = http_exchange_request(seen->exchange);
  const char *cookie = http_request_header(request, "cookie");
  char text[1024];
  int length = snprintf(text, sizeof text, "%s %s %s %s", request->method, request->target,
                        request->host, cookie == NULL ? "-" : cookie);
  http_respond(seen->exchange, 200, NULL, 0, text, (size_t)length);
}

static const struct http_body_handler HANDLER = {NULL, on_window, on_filled, on_end, on_body_gone};

static void accept_body(struct h2_exchange *seen) {
  struct http_body_handler handler = HANDLER;
  handler.context = seen;
  http_body_accept(seen->exchange, &handler);
}

static void on_request(void *context, struct http_exchange *exchange) {
  static const struct http_header odd[] = {
      {"X-Odd", "two\r\nlines"}, {"connection", "close"}, {"transfer-encoding", "chunked"}};
  static const char *const taken[] = {"/echo", "/count", "/step", "/fail", "/early", "/never"};
  struct h2_world *world = context;
  assert_true(world->exchange_count < H2_CALLS_MAX);
  struct h2_exchange *seen = must(calloc(1, sizeof *seen));
  world->exchanges[world->exchange_count++] = seen;
  seen->world = world;
  seen->exchange = exchange;
  seen->body_bytes_said = http_exchange_request(exchange)->body_bytes;
  http_exchange_set_context(exchange, seen);
  http_exchange_answer_header(exchange, "x-request-id", "7");
  http_on_gone(exchange, on_client_gone, seen);
  for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
    if (path_is(seen, taken[i])) {
      accept_body(seen);
      return;
    }
  if (path_is(seen, "/pause")) {
    accept_body(seen);
    http_body_pause(exchange);
  } else if (path_is(seen, "/wait")) {
    http_body_wait(exchange);
  } else if (path_is(seen, "/none")) {
    http_respond(exchange, 404, NULL, 0, "none", 4);
  } else if (path_is(seen, "/stream") || path_is(seen, "/flood")) {
    seen->to_send_bytes = strtoll(http_exchange_request(exchange)->query, NULL, 10);
    http_on_writable(exchange, on_writable, seen);
    http_start(exchange, 200, NULL, 0);
    write_some(seen);
  } else if (path_is(seen, "/open") || path_is(seen, "/abort")) {
    begin(seen);
  } else if (path_is(seen, "/leave")) {
    leave_at(seen, "request");
    if (seen->exchange == NULL) return;
    accept_body(seen);
    if (strcmp(http_exchange_request(exchange)->query, "writable") != 0) return;
    seen->to_send_bytes = 1 << 20;
    http_on_writable(exchange, on_writable, seen);
    begin(seen);
    write_some(seen);
  } else if (path_is(seen, "/empty")) {
    http_respond(exchange, 204, NULL, 0, NULL, 0);
  } else if (path_is(seen, "/header")) {
    http_respond(exchange, 200, odd, 3, "x", 1);
  } else {
    describe(seen);
  }
}

static void on_finished(void *context, struct http_exchange *exchange) {
  struct h2_exchange *seen = http_exchange_context(exchange);
  (void)context;
  assert_ptr_equal(seen->exchange, exchange);
  seen->finished++;
  seen->exchange = NULL;
}

struct h2_exchange *h2_seen(struct h2_world *world, int nth) {
  assert_in_range(nth, 0, world->exchange_count - 1);
  return world->exchanges[nth];
}

void h2_resume(struct h2_world *world, int nth) {
  struct h2_exchange *seen = h2_seen(world, nth);
  assert_non_null(seen->exchange);
  if (path_is(seen, "/open"))
    http_end(seen->exchange);
  else if (path_is(seen, "/abort"))
    http_abort(seen->exchange);
  else if (path_is(seen, "/wait"))
    accept_body(seen);
  else if (path_is(seen, "/fail") || path_is(seen, "/never"))
    http_respond(seen->exchange, 422, NULL, 0, "failed", 6);
  else
    http_body_resume(seen->exchange);
  h2_pump(world);
}

/* ---- the owner ---------------------------------------------------------------------------------- */

static void append(uint8_t *to, size_t *bytes, const void *data, size_t more) {
  assert_true(*bytes + more <= H2_BYTES_MAX);
  if (more > 0) memcpy(to + *bytes, data, more);
  *bytes += more;
}

static void on_owner_send(void *context, const void *text, size_t text_bytes, struct buffer *data) {
  struct h2_world *world = context;
  world->sends++;
  append(world->to_client, &world->to_client_bytes, text, text_bytes);
  if (data == NULL) return;
  world->buffers++;
  append(world->to_client, &world->to_client_bytes, data->data, (size_t)data->size_bytes);
  buffer_release(data);
}

static size_t on_unsent(void *context) {
  struct h2_world *world = context;
  return world->stuck ? world->to_client_bytes - world->client_had_bytes : 0;
}

static void on_soon(void *context) { ((struct h2_world *)context)->soon = true; }
static int64_t on_now(void *context) { return ((struct h2_world *)context)->clock_ms; }

/* ---- the client --------------------------------------------------------------------------------- */

static struct h2_call *find_call(struct h2_world *world, int32_t id) {
  for (int i = 0; i < world->call_count; i++)
    if (world->calls[i].id == id) return &world->calls[i];
  return NULL;
}

static ssize_t on_client_read(nghttp2_session *session, int32_t id, uint8_t *room,
                              size_t room_bytes, uint32_t *flags, nghttp2_data_source *source,
                              void *context) {
  struct h2_call *call = source->ptr;
  (void)session;
  (void)id;
  (void)context;
  int64_t bytes = call->to_send_bytes - call->sent_bytes;
  if (bytes > (int64_t)room_bytes) bytes = (int64_t)room_bytes;
  if (bytes > 0) memcpy(room, call->to_send + call->sent_bytes, (size_t)bytes);
  call->sent_bytes += bytes;
  if (bytes == 0 && call->endless) return NGHTTP2_ERR_DEFERRED;
  if (call->sent_bytes == call->to_send_bytes && !call->endless) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return (ssize_t)bytes;
}

static int on_client_header(nghttp2_session *session, const nghttp2_frame *frame,
                            const uint8_t *name, size_t name_bytes, const uint8_t *value,
                            size_t value_bytes, uint8_t flags, void *context) {
  struct h2_call *call = find_call(context, frame->hd.stream_id);
  (void)session;
  (void)flags;
  assert_non_null(call);
  if (name_bytes == 7 && memcmp(name, ":status", 7) == 0) {
    int status = atoi((const char *)value); /* followed by a NUL */
    if (status < 200)
      call->interim = status;
    else
      call->status = status;
    return 0;
  }
  size_t used = strlen(call->fields);
  (void)snprintf(call->fields + used, sizeof call->fields - used, "%.*s: %.*s\n", (int)name_bytes,
                 (const char *)name, (int)value_bytes, (const char *)value);
  return 0;
}

static int on_client_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                          size_t bytes, void *context) {
  struct h2_world *world = context;
  struct h2_call *call = find_call(world, id);
  (void)session;
  (void)flags;
  assert_non_null(call);
  call->body = must(realloc(call->body, (size_t)call->body_bytes + bytes + 1));
  memcpy(call->body + call->body_bytes, data, bytes);
  call->body_bytes += (int64_t)bytes;
  call->body[call->body_bytes] = '\0';
  if (world->take_body_windows) assert_int_equal(nghttp2_session_consume(session, id, bytes), 0);
  return 0;
}

static int on_client_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  struct h2_world *world = context;
  struct h2_call *call = find_call(world, frame->hd.stream_id);
  (void)session;
  if (frame->hd.type == NGHTTP2_GOAWAY) {
    world->goaways++;
    world->goaway_code = frame->goaway.error_code;
    world->goaway_last_id = frame->goaway.last_stream_id;
  }
  if (frame->hd.type == NGHTTP2_DATA) {
    if ((int64_t)frame->hd.length > world->data_frame_bytes_max)
      world->data_frame_bytes_max = (int64_t)frame->hd.length;
    world->data_turns += world->last_data_id != frame->hd.stream_id;
    world->last_data_id = frame->hd.stream_id;
  }
  if (call == NULL) return 0;
  if (frame->hd.type == NGHTTP2_HEADERS && call->status >= 200) {
    size_t used = strlen(call->fields);
    call->heads++;
    (void)snprintf(call->fields + used, sizeof call->fields - used, "\n");
  }
  bool carries = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
  if (carries && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) call->ended = true;
  if (frame->hd.type == NGHTTP2_RST_STREAM) call->reset_code = frame->rst_stream.error_code;
  return 0;
}

static int on_client_close(nghttp2_session *session, int32_t id, uint32_t code, void *context) {
  struct h2_call *call = find_call(context, id);
  (void)session;
  (void)code;
  if (call != NULL) call->closed = true;
  return 0;
}

/* Our side must not break a rule. */
static int on_client_invalid(nghttp2_session *session, const nghttp2_frame *frame, int code,
                             void *context) {
  (void)session;
  (void)context;
  fail_msg("the client got a frame of type %d that breaks a rule: %s", frame->hd.type,
           nghttp2_strerror(code));
  return 0;
}

static void client_new(struct h2_world *world) {
  nghttp2_session_callbacks *callbacks = NULL;
  nghttp2_option *option = NULL;
  assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
  assert_int_equal(nghttp2_option_new(&option), 0);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_client_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_client_data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_client_frame);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_client_close);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_client_invalid);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_max_send_header_block_length(option, 1 << 20);
  nghttp2_option_set_peer_max_concurrent_streams(option, H2_CALLS_MAX);
  assert_int_equal(nghttp2_session_client_new2(&world->client, callbacks, world, option), 0);
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_option_del(option);
}

static void collect(struct h2_world *world) {
  const uint8_t *data;
  ssize_t bytes;
  while ((bytes = nghttp2_session_mem_send(world->client, &data)) > 0)
    append(world->to_server, &world->to_server_bytes, data, (size_t)bytes);
  assert_int_equal(bytes, 0);
}

void h2_raw(struct h2_world *world, uint8_t type, uint8_t flags, uint32_t id, const void *payload,
            size_t bytes) {
  uint8_t head[9] = {(uint8_t)(bytes >> 16), (uint8_t)(bytes >> 8), (uint8_t)bytes, type, flags};
  for (int i = 0; i < 4; i++) head[5 + i] = (uint8_t)(id >> (24 - 8 * i));
  collect(world);
  append(world->to_server, &world->to_server_bytes, head, sizeof head);
  append(world->to_server, &world->to_server_bytes, payload, bytes);
}

/* ---- both --------------------------------------------------------------------------------------- */

static void note(struct h2_world *world, enum status status, const struct error *error) {
  if (status == STATUS_OK || world->status != STATUS_OK) return;
  world->status = status;
  world->error = *error;
}

static void run(struct h2_world *world) {
  struct error error;
  for (int i = 0; i < 10000; i++) {
    world->soon = false;
    if (world->status != STATUS_OK) return;
    note(world, http2_run(world->http2, &error), &error);
    if (!world->soon) return;
  }
  fail_msg("http2_run never has enough");
}

static bool feed(struct h2_world *world) {
  struct error error;
  if (world->silent) return false;
  collect(world);
  if (world->to_server_bytes == 0 || world->status != STATUS_OK) return false;
  size_t at = 0;
  while (at < world->to_server_bytes && world->status == STATUS_OK) {
    if (!http2_wants_input(world->http2)) break;
    size_t piece = world->piece_bytes == 0 ? 65536 : world->piece_bytes;
    if (piece > world->to_server_bytes - at) piece = world->to_server_bytes - at;
    /* A copy, so that a sanitizer sees a read past its end. */
    uint8_t *copy = must(malloc(piece));
    memcpy(copy, world->to_server + at, piece);
    note(world, http2_feed(world->http2, copy, piece, &error), &error);
    free(copy);
    at += piece;
    if (world->status == STATUS_OK) run(world);
  }
  if (at > 0) memmove(world->to_server, world->to_server + at, world->to_server_bytes - at);
  world->to_server_bytes -= at;
  return at > 0;
}

void h2_to_server(struct h2_world *world) {
  while (feed(world)) {
  }
  run(world);
}

static bool deliver(struct h2_world *world) {
  size_t bytes = world->to_client_bytes - world->client_had_bytes;
  if (bytes == 0 || world->stuck) return false;
  ssize_t used =
      nghttp2_session_mem_recv(world->client, world->to_client + world->client_had_bytes, bytes);
  assert_int_equal(used, bytes);
  world->to_client_bytes = world->client_had_bytes = 0;
  return true;
}

void h2_pump(struct h2_world *world) {
  bool moved = true;
  while (moved) {
    if (world->soon) run(world);
    moved = feed(world);
    if (deliver(world)) moved = true;
  }
  run(world);
  deliver(world);
}

void h2_pass(struct h2_world *world, int64_t ms) {
  struct error error;
  world->clock_ms += ms;
  int64_t deadline_ms = http2_deadline_ms(world->http2);
  if (deadline_ms >= 0 && deadline_ms <= world->clock_ms && world->status == STATUS_OK)
    note(world, http2_tick(world->http2, &error), &error);
  h2_pump(world);
}

/* ---- beginning and end ---------------------------------------------------------------------------- */

struct h2_world *h2_new(void) {
  struct h2_world *world = must(calloc(1, sizeof *world));
  world->options = HTTP_SERVER_DEFAULTS;
  world->budget.limit_bytes = 256 << 20;
  world->clock_ms = 1000000;
  world->take_body_windows = true;
  world->goaway_code = world->goaway_last_id = -1;
  world->to_client = must(malloc(H2_BYTES_MAX));
  world->to_server = must(malloc(H2_BYTES_MAX));
  return world;
}

void h2_start(struct h2_world *world) {
  struct http2_owner owner = {world, on_owner_send, on_unsent, on_soon, on_now};
  struct error error;
  if (world->service.request == NULL)
    world->service = (struct http_service){world, on_request, on_finished};
  assert_int_equal(http2_new(&world->options, &owner, &world->service, &world->peer, &world->budget,
                             &world->stats, &world->http2, &error),
                   STATUS_OK);
  client_new(world);
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
  assert_int_equal(nghttp2_submit_settings(world->client, NGHTTP2_FLAG_NONE, settings, 1), 0);
  h2_pump(world);
  assert_int_equal(world->status, STATUS_OK);
  assert_int_equal(world->stats.http2_connections_open, 1);
}

void h2_end(struct h2_world *world) {
  struct error why;
  error_set(&why, STATUS_CANCELLED, "the test is over");
  http2_gone(world->http2, &why);
  assert_int_equal(http2_exchange_count(world->http2), 0);
  http2_free(world->http2);
  for (int i = 0; i < world->exchange_count; i++) {
    assert_int_equal(world->exchanges[i]->finished, 1);
    assert_true(world->exchanges[i]->ends + world->exchanges[i]->gones <= 1);
    free(world->exchanges[i]->body);
    free(world->exchanges[i]);
  }
  assert_int_equal(world->stats.requests_open, 0);
  assert_int_equal(world->stats.http2_connections_open, 0);
  assert_int_equal(world->budget.used_bytes, 0);
  for (int i = 0; i < world->call_count; i++) free(world->calls[i].body);
  nghttp2_session_del(world->client);
  free(world->to_client);
  free(world->to_server);
  free(world);
}

static size_t split_fields(char *text, nghttp2_nv *fields, size_t room) {
  size_t count = 0;
  while (text != NULL && *text != '\0') {
    assert_true(count < room);
    char *line_end = strchr(text, '\n');
    char *colon = strchr(text + 1, ':');
    assert_true(line_end != NULL && colon != NULL && colon < line_end);
    *line_end = '\0';
    fields[count++] = (nghttp2_nv){.name = (uint8_t *)text,
                                   .namelen = (size_t)(colon - text),
                                   .value = (uint8_t *)colon + 2,
                                   .valuelen = strlen(colon + 2)};
    text = line_end + 1;
  }
  return count;
}

struct h2_call *h2_ask(struct h2_world *world, const char *method, const char *path,
                       const char *fields, const void *body, int64_t body_bytes) {
  enum { FIELDS_MAX = 400 };
  assert_true(world->call_count < H2_CALLS_MAX);
  struct h2_call *call = &world->calls[world->call_count++];
  *call = (struct h2_call){.to_send = body, .to_send_bytes = body_bytes, .reset_code = -1};
  size_t room = strlen(method) + strlen(path) + (fields == NULL ? 0 : strlen(fields)) + 100;
  char *text = must(malloc(room));
  bool has_authority = fields != NULL && strstr(fields, ":authority") != NULL;
  (void)snprintf(text, room, ":method: %s\n:scheme: http\n:path: %s\n%s%s", method, path,
                 has_authority ? "" : ":authority: here:80\n", fields == NULL ? "" : fields);
  nghttp2_nv list[FIELDS_MAX];
  size_t count = split_fields(text, list, FIELDS_MAX);
  nghttp2_data_provider provider = {.source = {.ptr = call}, .read_callback = on_client_read};
  call->endless = body_bytes < 0;
  if (call->endless) call->to_send_bytes = 0;
  call->id = nghttp2_submit_request(world->client, NULL, list, count,
                                    body_bytes != 0 ? &provider : NULL, call);
  assert_true(call->id > 0);
  free(text);
  return call;
}

const char *h2_body(struct h2_call *call) {
  return call->body == NULL ? "" : (const char *)call->body;
}
