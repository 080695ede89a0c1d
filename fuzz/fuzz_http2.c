/* An HTTP/2 connection: whatever a client sends after a preface, nothing crashes, every request
 * that the service was asked about is finished, what is charged is given back, and the handlers
 * are called as net.h says. The first byte says how long the pieces are, the second what the
 * budget is and whether the socket moves; the rest are frames. The service answers by the
 * method's and the target's first bytes. Time passes with each piece. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/http2.h"

enum { EXCHANGES_MAX = 128, PIECE_MS = 50 };

struct seen {
  struct http_exchange *exchange; /* NULL: finished */
  uint8_t window[300];
  bool ended, gone;
};

struct world {
  struct http2 *http2;
  struct budget budget;
  int64_t clock_ms;
  size_t unsent_bytes, sent_bytes;
  bool stuck, soon;
  struct seen seen[EXCHANGES_MAX];
  int count, finished;
};

static struct world *the_world; /* of the one input that runs */

/* ---- the service ------------------------------------------------------------------------------- */

static enum status on_window(void *context, uint8_t **data, int64_t *bytes) {
  struct seen *seen = context;
  assert(seen->exchange != NULL && !seen->ended && !seen->gone);
  *data = seen->window;
  *bytes = sizeof seen->window;
  return STATUS_OK;
}

static enum status on_filled(void *context, int64_t bytes) {
  struct seen *seen = context;
  assert(bytes > 0 && bytes <= (int64_t)sizeof seen->window);
  switch (seen->window[0] % 8) {
  case 0: http_body_pause(seen->exchange); break;
  case 1: return STATUS_INVALID;
  case 2:
    if (http_exchange_code(seen->exchange) == 0)
      http_respond(seen->exchange, 400, NULL, 0, "early", 5);
    break;
  default: break;
  }
  return STATUS_OK;
}

static void on_end(void *context) {
  struct seen *seen = context;
  assert(seen->exchange != NULL && !seen->ended && !seen->gone);
  seen->ended = true;
  if (http_exchange_code(seen->exchange) == 0)
    http_respond(seen->exchange, 200, NULL, 0, seen->window, 100);
}

static void on_gone(void *context, const struct error *why) {
  struct seen *seen = context;
  assert(seen->exchange != NULL && !seen->ended && !seen->gone && why->text[0] != '\0');
  seen->gone = true;
}

static void on_client_gone(void *context) {
  struct seen *seen = context;
  assert(seen->exchange != NULL);
}

static void write_some(void *context) {
  struct seen *seen = context;
  struct buffer data = BUFFER_EMPTY;
  if (buffer_reserve(&data, &the_world->budget, 5000, NULL) != STATUS_OK) {
    http_abort(seen->exchange);
    return;
  }
  memset(data.data, 'a', 5000);
  data.size_bytes = 5000;
  http_write(seen->exchange, &data);
}

static void on_request(void *context, struct http_exchange *exchange) {
  struct world *world = context;
  const struct http_request *request = http_exchange_request(exchange);
  assert(world->count < EXCHANGES_MAX); /* see the options */
  struct seen *seen = &world->seen[world->count++];
  const struct http_body_handler handler = {seen, on_window, on_filled, on_end, on_gone};
  seen->exchange = exchange;
  http_exchange_set_context(exchange, seen);
  http_on_gone(exchange, on_client_gone, seen);
  http_on_writable(exchange, write_some, seen);
  unsigned what = (unsigned)strlen(request->target) + (unsigned)strlen(request->method) * 3;
  switch (what % 8) {
  case 0: http_respond(exchange, 404, NULL, 0, "none", 4); break;
  case 1:
    http_start(exchange, 200, NULL, 0);
    write_some(seen);
    break;
  case 2: http_body_wait(exchange); break;
  case 3: break; /* never answered, unless somebody pokes it */
  case 4:
    http_body_accept(exchange, &handler);
    http_body_pause(exchange);
    break;
  default: http_body_accept(exchange, &handler);
  }
}

static void on_finished(void *context, struct http_exchange *exchange) {
  struct world *world = context;
  struct seen *seen = http_exchange_context(exchange);
  assert(seen->exchange == exchange);
  seen->exchange = NULL;
  world->finished++;
}

/* From outside of the connection: resumes, goes on, ends. */
static void poke(struct world *world, unsigned what) {
  for (int i = 0; i < world->count; i++) {
    struct seen *seen = &world->seen[i];
    if (seen->exchange == NULL) continue;
    const struct http_body_handler handler = {seen, on_window, on_filled, on_end, on_gone};
    bool waits = strlen(http_exchange_request(seen->exchange)->target) % 2 == 0;
    int code = http_exchange_code(seen->exchange);
    switch ((what + (unsigned)i) % 5) {
    case 0: http_body_resume(seen->exchange); break;
    case 1:
      if (code == 0) http_respond(seen->exchange, 500, NULL, 0, "poked", 5);
      break;
    case 2: http_body_pause(seen->exchange); break;
    case 3:
      if (code == 0 && waits) http_abort(seen->exchange);
      break;
    default: break;
    }
    (void)handler;
  }
}

/* ---- the owner ---------------------------------------------------------------------------------- */

static void on_send(void *context, const void *text, size_t bytes, struct buffer *data) {
  struct world *world = context;
  uint64_t sum = 0; /* so that a sanitizer sees what may not be read */
  for (size_t i = 0; i < bytes; i++) sum += ((const uint8_t *)text)[i];
  for (int64_t i = 0; data != NULL && i < data->size_bytes; i++) sum += data->data[i];
  world->sent_bytes += bytes + (data == NULL ? 0 : (size_t)data->size_bytes) + (sum & 0);
  if (world->stuck) world->unsent_bytes += bytes + (data == NULL ? 0 : (size_t)data->size_bytes);
  if (data != NULL) buffer_release(data);
}

static size_t on_unsent(void *context) { return ((struct world *)context)->unsent_bytes; }
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
  poke(world, bytes == 0 ? 0 : data[0]);
  world->clock_ms += PIECE_MS;
  if (world->clock_ms % 300 == 0) world->unsent_bytes = 0;
  int64_t deadline_ms = http2_deadline_ms(world->http2);
  if (deadline_ms >= 0 && deadline_ms <= world->clock_ms) status = http2_tick(world->http2, &error);
  return status == STATUS_OK ? run(world) : status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  static const uint8_t settings[9] = {0, 0, 0, 4};
  if (bytes < 2) return 0;
  struct world *world = calloc(1, sizeof *world);
  if (world == NULL) abort();
  the_world = world;
  struct http_server_options options = HTTP_SERVER_DEFAULTS;
  options.streams_max = 20;
  options.resets_per_s = 10;
  options.header_bytes_max = 2000;
  options.write_bytes_high = 20000;
  options.header_timeout_ms = options.body_timeout_ms = 2000;
  options.write_timeout_ms = options.idle_timeout_ms = 2000;
  world->budget.limit_bytes = (data[1] & 1) != 0 ? 300000 : 1 << 25;
  world->stuck = (data[1] & 2) != 0;
  if ((data[1] & 4) != 0) options.window_bytes_max = 100000;
  const struct http2_owner owner = {world, on_send, on_unsent, on_soon, on_now};
  const struct http_service service = {world, on_request, on_finished};
  const struct http_peer peer = {.address = "192.0.2.1"};
  struct http_server_stats stats = {0};
  struct error error;
  if (http2_new(&options, &owner, &service, &peer, &world->budget, &stats, &world->http2, &error) !=
      STATUS_OK)
    abort();
  enum status status = step(world, (const uint8_t *)preface, sizeof preface - 1);
  if (status == STATUS_OK) status = step(world, settings, sizeof settings);
  size_t piece_bytes = data[0] == 0 ? bytes : (size_t)data[0] * 4;
  bool drain = (data[1] & 8) != 0;
  for (data += 2, bytes -= 2; bytes > 0 && status == STATUS_OK && world->count < 40;) {
    size_t piece = piece_bytes < bytes ? piece_bytes : bytes;
    /* So few that not more requests can be in one piece than are left to be seen. */
    if (piece > 400) piece = 400;
    status = step(world, data, piece);
    data += piece;
    bytes -= piece;
    if (drain && bytes < 100) http2_drain(world->http2);
  }
  error_set(&error, STATUS_CANCELLED, "the input is over");
  http2_gone(world->http2, &error);
  assert(http2_exchange_count(world->http2) == 0);
  http2_free(world->http2);
  assert(world->finished == world->count && stats.requests_open == 0);
  assert(world->budget.used_bytes == 0 && stats.http2_connections_open == 0);
  free(world);
  return 0;
}
