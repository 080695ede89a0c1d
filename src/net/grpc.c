/* One call: messages cut out of the exchange's body, and an answer of messages and trailers.
 *
 *   prefix --begin--> message bytes --window, filled--> message --> prefix ... --> end
 *      | compressed: bytes --> grpc_expand --whole--> begin, window, filled, message (hand_on)
 *      v
 *   broken, too large, half a message at the end, deadline: fail (trailers, then `gone`)
 *
 * An uncompressed message's bytes go from the HTTP/2 frame straight to the handler's window: the
 * body's window is the handler's own. Prefixes are collected in the call. A compressed message is
 * expanded whole before its `begin`, which says how long it is; while the handler has it in pieces
 * (it may pause between them), the exchange stays paused, and `later` goes on with it.
 *
 * Invariants:
 * 1. `over` from grpc_finish, `gone` or fail on: no handler is called any more, nothing is sent.
 * 2. `stopped` once a handler has failed: only `gone` is called any more.
 * 3. left_bytes > 0 exactly while a message's bytes (as sent) are awaited.
 * 4. grpc_call_free may come while a handler is being called (the server is freed in it): `depth`
 *    counts the calls under way, and the last one to return frees. */
#include "net/grpc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/grpc_expand.h"
#include "net/grpc_status.h"
#include "net/http_exchange.h"

struct grpc_call {
  struct http_exchange *exchange;
  struct grpc_handler handler;
  struct grpc_call_options options;
  struct net_loop *loop;
  enum grpc_encoding encoding;
  int64_t deadline_ms;
  struct net_timer *deadline; /* NULL: none */
  int depth;
  bool freed, over, stopped, started;

  uint8_t prefix[GRPC_PREFIX_BYTES];
  size_t prefix_bytes; /* of it, there; all of them: inside a message */
  bool compressed;     /* the current message */
  int64_t left_bytes;
  int64_t messages; /* that have begun */

  struct grpc_expand *expand; /* once there was a compressed message */
  struct net_timer *later;
  bool handing_on, paused;
  int64_t handed_bytes;

  struct http_header *headers; /* malloc'd texts */
  size_t header_count;
  void (*writable)(void *context);
  void *writable_context;
};

/* ---- life ------------------------------------------------------------------------------------ */

static void destroy(struct grpc_call *call) {
  net_timer_free(call->deadline);
  net_timer_free(call->later);
  grpc_expand_free(call->expand);
  for (size_t i = 0; i < call->header_count; i++) {
    free((void *)(uintptr_t)call->headers[i].name);
    free((void *)(uintptr_t)call->headers[i].value);
  }
  free(call->headers);
  free(call);
}

static void enter(struct grpc_call *call) { call->depth++; }

static void leave(struct grpc_call *call) {
  if (--call->depth == 0 && call->freed) destroy(call);
}

void grpc_call_free(struct grpc_call *call) {
  if (call == NULL) return;
  call->over = true;
  call->freed = true;
  if (call->deadline != NULL) net_timer_stop(call->deadline);
  if (call->later != NULL) net_timer_stop(call->later);
  if (call->depth == 0) destroy(call);
}

static bool goes_on(const struct grpc_call *call) { return !call->over && !call->stopped; }

/* The call is over for us: tells who works for it. */
static void give_up(struct grpc_call *call, enum status status, const struct error *why) {
  call->over = true;
  call->exchange->code = status_http(status);
  if (call->deadline != NULL) net_timer_stop(call->deadline);
  enter(call);
  if (call->handler.gone != NULL) call->handler.gone(call->handler.context, status, why);
  leave(call);
}

/* ---- the answer ------------------------------------------------------------------------------ */

void grpc_prefix(uint8_t prefix[GRPC_PREFIX_BYTES], uint32_t bytes) {
  prefix[0] = 0;
  for (int i = 0; i < 4; i++) prefix[1 + i] = (uint8_t)(bytes >> (24 - 8 * i));
}

/* The client cannot be told how it ends: it sees the stream break. */
static void break_off(struct grpc_call *call) {
  call->over = true;
  if (call->deadline != NULL) net_timer_stop(call->deadline);
  http_abort(call->exchange);
}

void grpc_header(struct grpc_call *call, const char *name, const char *value) {
  if (call->over) return;
  assert(!call->started);
  struct http_header copy = {strdup(name), strdup(value)};
  struct http_header *headers =
      realloc(call->headers, (call->header_count + 1) * sizeof *call->headers);
  if (headers != NULL) call->headers = headers;
  if (headers != NULL && copy.name != NULL && copy.value != NULL) {
    headers[call->header_count++] = copy;
    return;
  }
  free((void *)(uintptr_t)copy.name);
  free((void *)(uintptr_t)copy.value);
  break_off(call); /* an answer without its metadata would be another answer */
}

/* All fields of a list, then metadata, then those of another; NULL: no memory. */
static struct http_header *join(const struct grpc_call *call, const struct http_header *front,
                                size_t front_count, const struct http_header *back,
                                size_t back_count) {
  struct http_header *all = calloc(front_count + call->header_count + back_count, sizeof *all);
  if (all == NULL) return NULL;
  memcpy(all, front, front_count * sizeof *all);
  if (call->header_count > 0)
    memcpy(all + front_count, call->headers, call->header_count * sizeof *all);
  if (back_count > 0)
    memcpy(all + front_count + call->header_count, back, back_count * sizeof *all);
  return all;
}

void grpc_start(struct grpc_call *call) {
  static const struct http_header front[] = {{"content-type", GRPC_MEDIA_TYPE},
                                             {"grpc-accept-encoding", GRPC_ENCODINGS}};
  enum { FRONT = sizeof front / sizeof front[0] };
  if (call->over || call->started) return;
  call->started = true;
  struct http_header *all = join(call, front, FRONT, NULL, 0);
  if (all == NULL) {
    break_off(call);
    return;
  }
  http_start(call->exchange, 200, all, FRONT + call->header_count);
  free(all);
}

void grpc_send(struct grpc_call *call, const void *message, size_t bytes) {
  struct buffer data = BUFFER_EMPTY;
  if (call->over) return;
  assert(bytes <= UINT32_MAX);
  int64_t whole_bytes = (int64_t)(GRPC_PREFIX_BYTES + bytes);
  uint8_t *copy = malloc((size_t)whole_bytes);
  if (copy != NULL) {
    grpc_prefix(copy, (uint32_t)bytes);
    if (bytes > 0) memcpy(copy + GRPC_PREFIX_BYTES, message, bytes);
  }
  if (copy == NULL || buffer_wrap(&data, copy, whole_bytes, free, copy, NULL) != STATUS_OK) {
    free(copy);
    break_off(call);
    return;
  }
  grpc_write(call, &data);
}

void grpc_write(struct grpc_call *call, struct buffer *data) {
  grpc_start(call);
  if (call->over)
    buffer_release(data);
  else
    http_write(call->exchange, data);
}

bool grpc_writable(const struct grpc_call *call) {
  return !call->over && http_writable(call->exchange);
}

static void on_writable(void *context) {
  struct grpc_call *call = context;
  if (call->over) return;
  enter(call);
  call->writable(call->writable_context);
  leave(call);
}

void grpc_on_writable(struct grpc_call *call, void (*writable)(void *context), void *context) {
  call->writable = writable;
  call->writable_context = context;
  http_on_writable(call->exchange, writable == NULL ? NULL : on_writable, call);
}

/* Its trailers; an error without anything before it is nothing but them. */
static void send_end(struct grpc_call *call, enum status status, const struct error *error) {
  struct grpc_end end;
  if (status == STATUS_OK) grpc_start(call);
  if (call->over) return;
  grpc_end_init(&end, status, error);
  const struct http_header *trailers = end.fields + end.head_count;
  size_t trailer_count = end.count - end.head_count;
  if (call->started) {
    http_end_trailers(call->exchange, trailers, trailer_count);
  } else {
    struct http_header *all = join(call, end.fields, end.head_count, trailers, trailer_count);
    if (all == NULL)
      break_off(call);
    else
      http_end_trailers(call->exchange, all, end.count + call->header_count);
    free(all);
  }
  if (!call->over) call->exchange->code = status_http(status);
  grpc_end_release(&end);
}

void grpc_finish(struct grpc_call *call, enum status status, const struct error *error) {
  if (call->over) return;
  send_end(call, status, error);
  call->over = true;
  if (call->deadline != NULL) net_timer_stop(call->deadline);
}

bool grpc_finished(const struct grpc_call *call) { return call->over; }

/* The client broke a rule or a limit, or its time is up: it is told, then who works for it. */
static void fail(struct grpc_call *call, const struct error *why) {
  if (call->over) return;
  send_end(call, why->status, why);
  give_up(call, why->status, why);
}

static void on_deadline(void *context) {
  struct grpc_call *call = context;
  struct error why;
  error_set(&why, STATUS_TIMEOUT, "the call's deadline (grpc-timeout) has passed");
  fail(call, &why);
}

int64_t grpc_deadline_ms(const struct grpc_call *call) { return call->deadline_ms; }

/* ---- messages -------------------------------------------------------------------------------- */

/* What a handler has returned; false: no further call. */
static bool handled(struct grpc_call *call, enum status status) {
  if (status != STATUS_OK) call->stopped = true;
  return goes_on(call);
}

static bool tell_begin(struct grpc_call *call, int64_t bytes) {
  return handled(call, call->handler.begin(call->handler.context, bytes));
}

static bool tell_filled(struct grpc_call *call, int64_t bytes) {
  return handled(call, call->handler.filled(call->handler.context, bytes));
}

static bool tell_message(struct grpc_call *call) {
  call->prefix_bytes = 0;
  return handled(call, call->handler.message(call->handler.context));
}

/* The expanded message, as far as its handler takes it now. */
static void hand_on(struct grpc_call *call) {
  struct buffer *made = grpc_expand_made(call->expand);
  while (call->handed_bytes < made->size_bytes && !call->paused) {
    uint8_t *window = NULL;
    int64_t room = 0;
    enum status status = call->handler.window(call->handler.context, &window, &room);
    if (status == STATUS_BUDGET && call->paused) return;
    if (!handled(call, status)) return;
    int64_t left = made->size_bytes - call->handed_bytes;
    assert(room > 0);
    if (room > left) room = left;
    memcpy(window, made->data + call->handed_bytes, (size_t)room);
    call->handed_bytes += room;
    if (!tell_filled(call, room)) return;
  }
  if (call->paused && call->handed_bytes < made->size_bytes) return;
  call->handing_on = false;
  buffer_release(made);
  (void)tell_message(call);
}

static void on_later(void *context) {
  struct grpc_call *call = context;
  if (!goes_on(call) || !call->handing_on || call->paused) return;
  enter(call);
  hand_on(call);
  if (goes_on(call) && !call->handing_on && !call->paused) http_body_resume(call->exchange);
  leave(call);
}

static enum status begin_compressed(struct grpc_call *call, struct error *error) {
  if (call->encoding == GRPC_IDENTITY)
    return error_set(error, STATUS_INVALID,
                     "a message says that it is compressed, but no grpc-encoding says how");
  enum status status = STATUS_OK;
  if (call->later == NULL) status = net_timer_new(call->loop, on_later, call, &call->later, error);
  if (status == STATUS_OK && call->expand == NULL)
    status = grpc_expand_new(call->encoding, call->options.budget, call->options.message_bytes_max,
                             &call->expand, error);
  return status == STATUS_OK ? grpc_expand_begin(call->expand, error) : status;
}

/* The message is whole as it was sent. */
static enum status expanded(struct grpc_call *call, struct error *error) {
  enum status status = grpc_expand_end(call->expand, error);
  if (status != STATUS_OK) return status;
  call->handing_on = true;
  call->handed_bytes = 0;
  if (tell_begin(call, grpc_expand_made(call->expand)->size_bytes)) hand_on(call);
  return STATUS_OK;
}

/* Its prefix is whole. What fails here is the client's fault, or for want of memory. */
static enum status begin_message(struct grpc_call *call, struct error *error) {
  const uint8_t *at = call->prefix;
  int64_t bytes = (int64_t)at[1] << 24 | (int64_t)at[2] << 16 | (int64_t)at[3] << 8 | at[4];
  if (at[0] > 1)
    return error_set(error, STATUS_INVALID,
                     "a message's prefix begins with %u; 0 and 1 are known, 1 for a compressed one",
                     (unsigned)at[0]);
  if (bytes > call->options.message_bytes_max)
    return error_set(error, STATUS_TOO_LARGE,
                     "a message has %lld bytes; at most %lld are taken: send smaller ones",
                     (long long)bytes, (long long)call->options.message_bytes_max);
  if (!call->options.client_streams && call->messages > 0)
    return error_set(error, STATUS_INVALID, "this method takes one message, and a second one came");
  call->messages++;
  call->left_bytes = bytes;
  call->compressed = at[0] == 1;
  if (call->compressed) {
    enum status status = begin_compressed(call, error);
    return status == STATUS_OK && bytes == 0 ? expanded(call, error) : status;
  }
  if (tell_begin(call, bytes) && bytes == 0) (void)tell_message(call);
  return STATUS_OK;
}

static enum status take_filled(struct grpc_call *call, int64_t bytes, struct error *error) {
  if (call->prefix_bytes < GRPC_PREFIX_BYTES) {
    call->prefix_bytes += (size_t)bytes;
    return call->prefix_bytes == GRPC_PREFIX_BYTES ? begin_message(call, error) : STATUS_OK;
  }
  call->left_bytes -= bytes;
  if (call->compressed) {
    enum status status = grpc_expand_add(call->expand, (size_t)bytes, error);
    return status == STATUS_OK && call->left_bytes == 0 ? expanded(call, error) : status;
  }
  if (tell_filled(call, bytes) && call->left_bytes == 0) (void)tell_message(call);
  return STATUS_OK;
}

/* ---- the body's handler ---------------------------------------------------------------------- */

static enum status on_window(void *context, uint8_t **data, int64_t *bytes) {
  struct grpc_call *call = context;
  if (!goes_on(call)) return STATUS_CANCELLED;
  if (call->prefix_bytes < GRPC_PREFIX_BYTES) {
    *data = call->prefix + call->prefix_bytes;
    *bytes = (int64_t)(GRPC_PREFIX_BYTES - call->prefix_bytes);
    return STATUS_OK;
  }
  if (call->compressed) {
    *data = grpc_expand_piece(call->expand);
    *bytes =
        call->left_bytes < GRPC_EXPAND_PIECE_BYTES ? call->left_bytes : GRPC_EXPAND_PIECE_BYTES;
    return STATUS_OK;
  }
  enter(call);
  enum status status = call->handler.window(call->handler.context, data, bytes);
  if (status == STATUS_OK && call->over) status = STATUS_CANCELLED;
  if (status != STATUS_OK && (status != STATUS_BUDGET || !call->paused)) {
    call->stopped = true;
    status = STATUS_CANCELLED; /* not STATUS_BUDGET, which would be a pause */
  }
  if (status == STATUS_OK) assert(*bytes > 0 && *bytes <= call->left_bytes);
  leave(call);
  return status;
}

static enum status on_filled(void *context, int64_t bytes) {
  struct grpc_call *call = context;
  struct error error;
  if (!goes_on(call)) return STATUS_CANCELLED;
  enter(call);
  if (take_filled(call, bytes, &error) != STATUS_OK) fail(call, &error);
  bool on = goes_on(call);
  leave(call);
  return on ? STATUS_OK : STATUS_CANCELLED;
}

static void on_end(void *context) {
  struct grpc_call *call = context;
  struct error error;
  if (!goes_on(call)) return;
  enter(call);
  if (call->prefix_bytes > 0) {
    error_set(&error, STATUS_INVALID, "the call ends in the middle of a message");
    fail(call, &error);
  } else if (!call->options.client_streams && call->messages == 0) {
    error_set(&error, STATUS_INVALID, "this method takes one message, and none came");
    fail(call, &error);
  } else {
    call->handler.end(call->handler.context);
  }
  leave(call);
}

static void on_body_gone(void *context, const struct error *why) {
  struct grpc_call *call = context;
  if (!call->over) give_up(call, why->status == STATUS_OK ? STATUS_CANCELLED : why->status, why);
}

/* The client went after its last message. */
static void on_gone(void *context) {
  struct grpc_call *call = context;
  on_body_gone(call, &call->exchange->why);
}

/* ---- what the owner asks --------------------------------------------------------------------- */

void grpc_pause(struct grpc_call *call) {
  call->paused = true;
  if (!call->over) http_body_pause(call->exchange);
}

void grpc_resume(struct grpc_call *call) {
  call->paused = false;
  if (call->over) return;
  if (call->handing_on)
    net_timer_start(call->later, 0);
  else
    http_body_resume(call->exchange);
}

static enum status read_head(struct grpc_call *call, struct error *error) {
  const struct http_request *request = http_exchange_request(call->exchange);
  int64_t timeout_ms;
  enum status status =
      grpc_encoding_parse(http_request_header(request, "grpc-encoding"), &call->encoding, error);
  if (status == STATUS_OK)
    status = grpc_timeout_parse(http_request_header(request, "grpc-timeout"), &timeout_ms, error);
  if (status != STATUS_OK || timeout_ms < 0) return status;
  call->deadline_ms = clock_now_ms() + timeout_ms;
  status = net_timer_new(call->loop, on_deadline, call, &call->deadline, error);
  if (status == STATUS_OK) net_timer_start(call->deadline, timeout_ms);
  return status;
}

enum status grpc_call_new(struct http_exchange *exchange, const struct grpc_call_options *options,
                          const struct grpc_handler *handler, struct net_loop *loop,
                          struct grpc_call **call, struct error *error) {
  assert(options->message_bytes_max > 0);
  *call = NULL;
  struct grpc_call *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a call");
  made->exchange = exchange;
  made->options = *options;
  made->handler = *handler;
  made->loop = loop;
  made->deadline_ms = -1;
  enum status status = read_head(made, error);
  if (status != STATUS_OK) {
    destroy(made);
    return status;
  }
  const struct http_body_handler body = {made, on_window, on_filled, on_end, on_body_gone};
  http_on_gone(exchange, on_gone, made);
  http_body_unbounded(exchange);
  http_body_accept(exchange, &body);
  *call = made;
  return STATUS_OK;
}
