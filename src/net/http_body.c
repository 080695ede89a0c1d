/* A request's body from the connection to its handler, through the decoder of its
 * Content-Encoding where it has one.
 *
 * Nothing is collected here: bytes go into the window that the handler names. A paused handler
 * leaves bytes with whoever gave them, or inside the decoder. */
#include <assert.h>
#include <string.h>

#include "net/http_exchange.h"

/* The handler has returned from window or filled. */
static bool goes_on(struct http_exchange *exchange, enum status status) {
  if (status == STATUS_BUDGET)
    exchange->paused = true;
  else if (status != STATUS_OK && exchange->body == BODY_TAKEN)
    exchange->body = BODY_STOPPED;
  return status == STATUS_OK && exchange->body == BODY_TAKEN;
}

static bool ask_window(struct http_exchange *exchange, uint8_t **data, int64_t *bytes) {
  *data = NULL;
  *bytes = 0;
  struct http_body_handler *handler = &exchange->handler;
  enum status status = handler->window(handler->context, data, bytes);
  if (!goes_on(exchange, status)) return false;
  assert(*bytes > 0);
  return true;
}

static void count_received(struct http_exchange *exchange, int64_t bytes) {
  exchange->received_bytes += bytes;
  if (exchange->stats != NULL) exchange->stats->received_bytes += bytes;
}

/* Tells the handler, unless the body has become too long. */
static bool tell_filled(struct http_exchange *exchange, int64_t bytes) {
  exchange->decoded_bytes += bytes;
  if (exchange->body_bytes_max > 0 && exchange->decoded_bytes > exchange->body_bytes_max) {
    struct error error;
    error_set(&error, STATUS_TOO_LARGE,
              "the body is longer than %lld bytes (http.body_bytes_max), decompressed",
              (long long)exchange->body_bytes_max);
    if (exchange->stats != NULL) exchange->stats->refused_limits++;
    exchange_refuse(exchange, 413, &error);
    return false;
  }
  return goes_on(exchange, exchange->handler.filled(exchange->handler.context, bytes));
}

bool exchange_body_window(struct http_exchange *exchange, int64_t bytes_min, uint8_t **data,
                          int64_t *bytes) {
  if (exchange->body != BODY_TAKEN || exchange->paused || exchange->coding != NULL) return false;
  return ask_window(exchange, data, bytes) && *bytes >= bytes_min;
}

void exchange_body_filled(struct http_exchange *exchange, int64_t bytes) {
  count_received(exchange, bytes);
  tell_filled(exchange, bytes);
}

static size_t give_plain(struct http_exchange *exchange, const uint8_t *data, size_t bytes) {
  size_t used = 0;
  while (used < bytes && exchange->body == BODY_TAKEN && !exchange->paused) {
    uint8_t *window;
    int64_t room;
    if (!ask_window(exchange, &window, &room)) break;
    size_t piece = bytes - used;
    if (piece > (size_t)room) piece = (size_t)room;
    memcpy(window, data + used, piece);
    used += piece;
    if (!tell_filled(exchange, (int64_t)piece)) break;
  }
  return used;
}

static void refuse_broken(struct http_exchange *exchange, struct error *error) {
  error_at(error, "the body's Content-Encoding");
  int code = error->status == STATUS_UNSUPPORTED ? 415 : status_http(error->status);
  exchange_refuse(exchange, code, error);
}

/* Until the input is used up and the decoder holds nothing more, or the handler has enough. */
static size_t give_decoded(struct http_exchange *exchange, const uint8_t *data, size_t bytes) {
  size_t used = 0;
  while (exchange->body == BODY_TAKEN && !exchange->paused) {
    uint8_t *window;
    int64_t room;
    size_t took = 0;
    size_t made = 0;
    struct error error;
    if (!ask_window(exchange, &window, &room)) break;
    enum status status = http_coding_step(exchange->coding, data == NULL ? NULL : data + used,
                                          bytes - used, &took, window, (size_t)room, &made, &error);
    if (status != STATUS_OK) {
      refuse_broken(exchange, &error);
      break;
    }
    used += took;
    if (made > 0 && !tell_filled(exchange, (int64_t)made)) break;
    if (made == 0 && took == 0) break;
  }
  return used;
}

size_t exchange_body_give(struct http_exchange *exchange, const uint8_t *data, size_t bytes) {
  size_t used = exchange->coding == NULL ? give_plain(exchange, data, bytes)
                                         : give_decoded(exchange, data, bytes);
  count_received(exchange, (int64_t)used);
  return used;
}

bool exchange_body_end(struct http_exchange *exchange) {
  if (exchange->body != BODY_TAKEN) return true;
  exchange->ending = true;
  if (exchange->paused) return false;
  if (exchange->coding != NULL) {
    struct error error;
    give_decoded(exchange, NULL, 0);
    if (exchange->body != BODY_TAKEN) return true;
    if (exchange->paused) return false;
    if (http_coding_finish(exchange->coding, &error) != STATUS_OK) {
      refuse_broken(exchange, &error);
      return true;
    }
  }
  exchange->body = BODY_DONE;
  exchange->handler.end(exchange->handler.context);
  return true;
}
