/* gRPC calls: whatever a client sends, nothing crashes, handlers are called in the order that
 * net/grpc.h gives, no message is longer than may be, and what is charged is given back. The first
 * byte says how long the pieces are; the second, bit by bit: the rest are HTTP/2 frames behind the
 * preface (what a client really sent), or else the body of one call, which is put into frames here;
 * what its grpc-encoding is; a small budget; one message alone; a handler that pauses. What handlers
 * do goes by the bytes of messages. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/grpc.h"
#include "net/http2.h"

enum {
  CALLS_MAX = 64,
  MESSAGE_BYTES_MAX = 100000,
  FRAMES = 1,
  GZIP = 2,
  DEFLATE = 4,
  SMALL_BUDGET = 8,
  ONE_MESSAGE = 16,
  PAUSES = 32,
};

struct seen {
  struct http_exchange *exchange; /* NULL: finished */
  struct grpc_call *call;
  uint8_t window[777];
  int64_t left_bytes; /* of the message that has begun; -1: none has */
  int messages;
  bool paused, failed, ended, gone, asked;
};

struct world {
  struct http2 *http2;
  struct budget budget;
  int64_t clock_ms;
  unsigned flags;
  bool soon;
  struct seen seen[CALLS_MAX];
  int count, finished;
};

static struct world *the_world; /* of the one input that runs */
static struct net_loop *the_loop;
static struct net_timer *the_timer;

static void stop(void *context) { net_loop_stop(context); }

/* Timers run, and those that were freed are. */
static void turn(void) {
  net_timer_start(the_timer, 0);
  net_loop_run(the_loop);
}

/* ---- the handler --------------------------------------------------------------------------------- */

static void check(const struct seen *seen) {
  assert(seen->exchange != NULL && !seen->failed && !seen->ended && !seen->gone);
  assert(!grpc_finished(seen->call));
}

static enum status fail(struct seen *seen) {
  seen->failed = true;
  return STATUS_INVALID;
}

static enum status on_begin(void *context, int64_t bytes) {
  struct seen *seen = context;
  check(seen);
  assert(seen->left_bytes == -1 && bytes >= 0 && bytes <= MESSAGE_BYTES_MAX);
  seen->left_bytes = bytes;
  return bytes == 666 ? fail(seen) : STATUS_OK;
}

static enum status on_window(void *context, uint8_t **data, int64_t *bytes) {
  struct seen *seen = context;
  check(seen);
  assert(seen->left_bytes > 0 && !seen->paused);
  if ((the_world->flags & PAUSES) != 0 && !seen->asked) {
    seen->asked = seen->paused = true;
    grpc_pause(seen->call);
    return STATUS_BUDGET;
  }
  seen->asked = false;
  *data = seen->window;
  *bytes = (int64_t)sizeof seen->window < seen->left_bytes ? (int64_t)sizeof seen->window
                                                           : seen->left_bytes;
  return STATUS_OK;
}

static enum status on_filled(void *context, int64_t bytes) {
  struct seen *seen = context;
  check(seen);
  assert(bytes > 0 && bytes <= seen->left_bytes && bytes <= (int64_t)sizeof seen->window);
  seen->left_bytes -= bytes;
  if (seen->window[0] == 'F') return fail(seen);
  if (seen->window[0] == 'P') {
    seen->paused = true;
    grpc_pause(seen->call);
  }
  return STATUS_OK;
}

static enum status on_message(void *context) {
  struct seen *seen = context;
  struct error error;
  check(seen);
  assert(seen->left_bytes == 0);
  seen->left_bytes = -1;
  seen->messages++;
  assert((the_world->flags & ONE_MESSAGE) == 0 || seen->messages == 1);
  error_set(&error, STATUS_CONFLICT, "%.20s", "enough \xc3\xa9%");
  switch (seen->window[0]) {
  case 'E': grpc_finish(seen->call, STATUS_CONFLICT, &error); break;
  case 'S': grpc_send(seen->call, seen->window, 100); break;
  case 'T': grpc_start(seen->call); break;
  case 'M': return fail(seen);
  default: break;
  }
  return STATUS_OK;
}

static void on_end(void *context) {
  struct seen *seen = context;
  check(seen);
  assert(seen->left_bytes == -1 && !seen->paused);
  seen->ended = true;
  if (seen->messages % 3 != 2) grpc_finish(seen->call, STATUS_OK, NULL);
}

static void on_gone(void *context, enum status status, const struct error *why) {
  struct seen *seen = context;
  assert(seen->exchange != NULL && !seen->gone && status != STATUS_OK && why->text[0] != '\0');
  seen->gone = true;
}

static void on_request(void *context, struct http_exchange *exchange) {
  struct world *world = context;
  assert(world->count < CALLS_MAX); /* see the options */
  struct seen *seen = &world->seen[world->count++];
  const struct grpc_handler handler = {seen,       on_begin, on_window, on_filled,
                                       on_message, on_end,   on_gone};
  const struct grpc_call_options options = {MESSAGE_BYTES_MAX, (world->flags & ONE_MESSAGE) == 0,
                                            &world->budget};
  struct error error;
  seen->exchange = exchange;
  seen->left_bytes = -1;
  http_exchange_set_context(exchange, seen);
  if (!grpc_is_call(exchange)) {
    http_respond(exchange, 404, NULL, 0, "none", 4);
  } else if (grpc_call_new(exchange, &options, &handler, the_loop, &seen->call, &error) !=
             STATUS_OK) {
    grpc_refuse(exchange, error.status, &error);
  } else {
    grpc_header(seen->call, "x-own", "metadata");
  }
}

static void on_finished(void *context, struct http_exchange *exchange) {
  struct world *world = context;
  struct seen *seen = http_exchange_context(exchange);
  assert(seen->exchange == exchange);
  seen->exchange = NULL;
  grpc_call_free(seen->call);
  seen->call = NULL;
  world->finished++;
}

/* From outside of the connection: resumes, finishes. */
static void poke(struct world *world) {
  struct error error;
  for (int i = 0; i < world->count; i++) {
    struct seen *seen = &world->seen[i];
    if (seen->call == NULL) continue;
    if (seen->paused) {
      seen->paused = false;
      grpc_resume(seen->call);
    }
    error_set(&error, STATUS_SCHEMA, "failed");
    if (seen->failed || (seen->ended && !grpc_finished(seen->call)))
      grpc_finish(seen->call, STATUS_SCHEMA, &error);
  }
  turn();
}

/* ---- the owner ----------------------------------------------------------------------------------- */

static void on_send(void *context, const void *text, size_t bytes, struct buffer *data) {
  uint64_t sum = 0; /* so that a sanitizer sees what may not be read */
  (void)context;
  for (size_t i = 0; i < bytes; i++) sum += ((const uint8_t *)text)[i];
  for (int64_t i = 0; data != NULL && i < data->size_bytes; i++) sum += data->data[i];
  if (data != NULL) buffer_release(data);
  assert(sum < UINT64_MAX);
}

static size_t on_unsent(void *context) {
  (void)context;
  return 0;
}
static void on_soon(void *context) { ((struct world *)context)->soon = true; }
static int64_t on_now(void *context) { return ((struct world *)context)->clock_ms; }

static enum status run(struct world *world) {
  struct error error;
  enum status status = STATUS_OK;
  for (int i = 0; i < 3 && status == STATUS_OK; i++) {
    world->soon = false;
    status = http2_run(world->http2, &error);
    if (!world->soon) break;
  }
  return status;
}

static enum status step(struct world *world, const uint8_t *data, size_t bytes) {
  struct error error;
  /* A copy of its own, so that a sanitizer sees a read past the piece. */
  uint8_t *copy = malloc(bytes);
  if (copy == NULL) abort();
  memcpy(copy, data, bytes);
  enum status status = http2_feed(world->http2, copy, bytes, &error);
  free(copy);
  if (status == STATUS_OK) status = run(world);
  if (status != STATUS_OK || http2_over(world->http2)) return STATUS_INVALID;
  poke(world);
  world->clock_ms += 10;
  return run(world);
}

/* ---- one call ------------------------------------------------------------------------------------ */

static size_t add_field(uint8_t *out, const char *name, const char *value) {
  size_t name_bytes = strlen(name), value_bytes = strlen(value);
  size_t at = 0;
  out[at++] = 0; /* a literal that is not indexed (RFC 7541, section 6.2.2) */
  out[at++] = (uint8_t)name_bytes;
  memcpy(out + at, name, name_bytes);
  at += name_bytes;
  out[at++] = (uint8_t)value_bytes;
  memcpy(out + at, value, value_bytes);
  return at + value_bytes;
}

static void put_head(uint8_t *out, size_t bytes, uint8_t type, uint8_t flags) {
  out[0] = (uint8_t)(bytes >> 16);
  out[1] = (uint8_t)(bytes >> 8);
  out[2] = (uint8_t)bytes;
  out[3] = type;
  out[4] = flags;
  memcpy(out + 5, "\0\0\0\1", 4);
}

static enum status open_call(struct world *world) {
  uint8_t frame[400];
  size_t at = 9;
  at += add_field(frame + at, ":method", "POST");
  at += add_field(frame + at, ":scheme", "http");
  at += add_field(frame + at, ":path", "/service/method");
  at += add_field(frame + at, ":authority", "here");
  at += add_field(frame + at, "content-type", "application/grpc");
  if ((world->flags & GZIP) != 0)
    at += add_field(frame + at, "grpc-encoding", "gzip");
  else if ((world->flags & DEFLATE) != 0)
    at += add_field(frame + at, "grpc-encoding", "deflate");
  put_head(frame, at - 9, 1, 4);
  return step(world, frame, at);
}

static enum status send_piece(struct world *world, const uint8_t *data, size_t bytes, bool last) {
  uint8_t frame[9 + 1020];
  if ((world->flags & FRAMES) != 0) return step(world, data, bytes);
  put_head(frame, bytes, 0, last ? 1 : 0);
  memcpy(frame + 9, data, bytes);
  return step(world, frame, 9 + bytes);
}

static void begin(struct world *world, struct http_server_stats *stats) {
  struct http_server_options options = HTTP_SERVER_DEFAULTS;
  options.streams_max = 20;
  options.resets_per_s = 10;
  options.header_bytes_max = 4000;
  world->budget.limit_bytes = (world->flags & SMALL_BUDGET) != 0 ? 400000 : 1 << 25;
  static struct http_service service;
  service = (struct http_service){world, on_request, on_finished};
  static const struct http_peer peer = {.address = "192.0.2.1"};
  const struct http2_owner owner = {world, on_send, on_unsent, on_soon, on_now};
  struct error error;
  if (http2_new(&options, &owner, &service, &peer, &world->budget, stats, &world->http2, &error) !=
      STATUS_OK)
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  static const uint8_t settings[9] = {0, 0, 0, 4};
  struct http_server_stats stats = {0};
  if (bytes < 2) return 0;
  if (the_loop == NULL) {
    struct error error;
    if (net_loop_new(&the_loop, &error) != STATUS_OK) abort();
    if (net_timer_new(the_loop, stop, the_loop, &the_timer, &error) != STATUS_OK) abort();
  }
  struct world *world = calloc(1, sizeof *world);
  if (world == NULL) abort();
  the_world = world;
  world->flags = data[1];
  begin(world, &stats);
  bool frames = (world->flags & FRAMES) != 0;
  size_t piece_bytes = data[0] == 0 ? 1020 : (size_t)data[0] * 4;
  if (frames && piece_bytes > 400) piece_bytes = 400; /* so few calls that they can all be seen */
  enum status status = step(world, (const uint8_t *)preface, sizeof preface - 1);
  if (status == STATUS_OK && !frames) status = step(world, settings, sizeof settings);
  if (status == STATUS_OK && !frames) status = open_call(world);
  for (data += 2, bytes -= 2; bytes > 0 && status == STATUS_OK && world->count < 20;) {
    size_t piece = piece_bytes < bytes ? piece_bytes : bytes;
    status = send_piece(world, data, piece, piece == bytes);
    data += piece;
    bytes -= piece;
  }
  for (int i = 0; i < 5 && status == STATUS_OK; i++) { /* what is paused goes on */
    poke(world);
    status = run(world);
  }
  struct error error;
  error_set(&error, STATUS_CANCELLED, "the input is over");
  http2_gone(world->http2, &error);
  http2_free(world->http2);
  turn();
  assert(world->finished == world->count && stats.requests_open == 0);
  assert(world->budget.used_bytes == 0);
  free(world);
  return 0;
}
