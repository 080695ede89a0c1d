/* Messages out of the bytes of a call's DATA frames: cut by their prefixes and copied to where the
 * receiver says, or held.
 *
 * 1. Bytes go to the receiver only inside of grpc_client_next; others are held, in order, and are
 *    what is received first the next time.
 * 2. Of what is held the stream's window is not given back: it bounds what can be held. The
 *    connection's is given back at once, so that one call that nobody reads stops no other.
 * 3. Room for a message grows with what has arrived, never with what its prefix announced. */
#include "net/grpc_client_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
  COLLECT_BYTES_MIN = 1 << 20, /* room for a message whose receiver is nobody, at first */
  HELD_BYTES_MIN = 64 << 10,
};

static int64_t less(int64_t a, int64_t b) { return a < b ? a : b; }

static enum status begin_message(struct grpc_client_call *call, struct error *error) {
  const uint8_t *prefix = call->prefix;
  uint32_t bytes =
      (uint32_t)prefix[1] << 24 | (uint32_t)prefix[2] << 16 | (uint32_t)prefix[3] << 8 | prefix[4];
  call->prefix_bytes = 0;
  if (prefix[0] == 1)
    return error_set(error, STATUS_UNSUPPORTED,
                     "the server compressed a message, which it was not asked for");
  if (prefix[0] != 0)
    return error_set(error, STATUS_INVALID,
                     "the server broke the framing of gRPC: a message begins with byte %d",
                     prefix[0]);
  if (bytes > call->message_bytes_max)
    return error_set(error, STATUS_TOO_LARGE,
                     "the server sends a message of %lu bytes; at most %lld are taken",
                     (unsigned long)bytes, (long long)call->message_bytes_max);
  call->left_bytes = bytes;
  call->in_message = bytes > 0;
  call->whole = bytes == 0;
  if (call->receiver.begin == NULL) return STATUS_OK;
  return call->receiver.begin(call->receiver.context, bytes, error);
}

static enum status collect_window(struct grpc_client_call *call, uint8_t **data, int64_t *bytes,
                                  struct error *error) {
  struct buffer *into = &call->collected;
  if (into->size_bytes == into->capacity_bytes) {
    int64_t whole_bytes = into->size_bytes + call->left_bytes;
    int64_t room_bytes = into->capacity_bytes == 0 ? COLLECT_BYTES_MIN : 2 * into->capacity_bytes;
    enum status status = buffer_reserve(into, call->budget, less(room_bytes, whole_bytes), error);
    if (status != STATUS_OK) return status;
  }
  *data = into->data + into->size_bytes;
  *bytes = into->capacity_bytes - into->size_bytes;
  return STATUS_OK;
}

/* Copies as much as there is room for in one window. */
static enum status fill_window(struct grpc_client_call *call, const uint8_t *data, size_t bytes,
                               size_t *used, struct error *error) {
  const struct grpc_receiver *receiver = &call->receiver;
  uint8_t *room = NULL;
  int64_t room_bytes = 0;
  enum status status = receiver->window == NULL
                           ? collect_window(call, &room, &room_bytes, error)
                           : receiver->window(receiver->context, &room, &room_bytes, error);
  if (status != STATUS_OK) {
    call->stalled = status == STATUS_BUDGET;
    return status;
  }
  assert(room_bytes > 0);
  int64_t take_bytes = less(less(room_bytes, call->left_bytes), (int64_t)bytes);
  memcpy(room, data, (size_t)take_bytes);
  *used += (size_t)take_bytes;
  call->left_bytes -= take_bytes;
  if (call->left_bytes == 0) {
    call->in_message = false;
    call->whole = true;
  }
  if (receiver->window == NULL) call->collected.size_bytes += take_bytes;
  return receiver->filled == NULL ? STATUS_OK
                                  : receiver->filled(receiver->context, take_bytes, error);
}

enum status grpc_receive(struct grpc_client_call *call, const uint8_t *data, size_t bytes,
                         size_t *used, struct error *error) {
  enum status status = STATUS_OK;
  *used = 0;
  while (*used < bytes && !call->whole && status == STATUS_OK) {
    if (call->in_message) {
      status = fill_window(call, data + *used, bytes - *used, used, error);
      continue;
    }
    call->prefix[call->prefix_bytes++] = data[(*used)++];
    if (call->prefix_bytes == GRPC_PREFIX_BYTES) status = begin_message(call, error);
  }
  if (status != STATUS_OK) call->whole = false; /* refused: nobody has it */
  return status;
}

/* ---- what is held -------------------------------------------------------------------------- */

enum status grpc_hold(struct grpc_client_call *call, const uint8_t *data, size_t bytes,
                      struct error *error) {
  struct grpc_held *last = call->held_last;
  assert(bytes > 0);
  int64_t room_bytes = last == NULL ? 0 : last->bytes.capacity_bytes - last->bytes.size_bytes;
  if (room_bytes < (int64_t)bytes) {
    struct grpc_held *more = calloc(1, sizeof *more);
    if (more == NULL) return error_set(error, STATUS_NOMEM, "no memory for what a server sends");
    int64_t more_bytes = (int64_t)bytes > HELD_BYTES_MIN ? (int64_t)bytes : HELD_BYTES_MIN;
    enum status status = buffer_reserve(&more->bytes, call->budget, more_bytes, error);
    if (status != STATUS_OK) {
      free(more);
      return status;
    }
    if (last == NULL)
      call->held = more;
    else
      last->next = more;
    call->held_last = last = more;
  }
  memcpy(last->bytes.data + last->bytes.size_bytes, data, bytes);
  last->bytes.size_bytes += (int64_t)bytes;
  call->held_bytes += (int64_t)bytes;
  return STATUS_OK;
}

static void drop_first(struct grpc_client_call *call) {
  struct grpc_held *first = call->held;
  call->held = first->next;
  if (call->held == NULL) call->held_last = NULL;
  buffer_release(&first->bytes);
  free(first);
}

enum status grpc_receive_held(struct grpc_client_call *call, size_t *used, struct error *error) {
  enum status status = STATUS_OK;
  *used = 0;
  while (call->held != NULL && !call->whole && status == STATUS_OK) {
    struct grpc_held *first = call->held;
    size_t taken = 0;
    status = grpc_receive(call, first->bytes.data + first->at,
                          (size_t)(first->bytes.size_bytes - first->at), &taken, error);
    first->at += (int64_t)taken;
    call->held_bytes -= (int64_t)taken;
    *used += taken;
    if (first->at == first->bytes.size_bytes) drop_first(call);
  }
  return status;
}

/* Copies the first bytes of what is held. */
static int peek(const struct grpc_client_call *call, uint8_t *room, int bytes) {
  int got = 0;
  for (const struct grpc_held *held = call->held; held != NULL && got < bytes; held = held->next)
    for (int64_t at = held->at; at < held->bytes.size_bytes && got < bytes; at++)
      room[got++] = held->bytes.data[at];
  return got;
}

bool grpc_held_whole(const struct grpc_client_call *call) {
  if (call->whole) return true;
  if (call->in_message) return call->held_bytes >= call->left_bytes;
  uint8_t prefix[GRPC_PREFIX_BYTES];
  int had = call->prefix_bytes;
  memcpy(prefix, call->prefix, (size_t)had);
  if (had + peek(call, prefix + had, GRPC_PREFIX_BYTES - had) < GRPC_PREFIX_BYTES) return false;
  uint32_t bytes =
      (uint32_t)prefix[1] << 24 | (uint32_t)prefix[2] << 16 | (uint32_t)prefix[3] << 8 | prefix[4];
  if (prefix[0] != 0) return true; /* it is broken: that can be had */
  return call->held_bytes - (GRPC_PREFIX_BYTES - had) >= (int64_t)bytes;
}

void grpc_held_release(struct grpc_client_call *call) {
  while (call->held != NULL) drop_first(call);
  call->held_bytes = 0;
}
