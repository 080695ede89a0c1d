/* The calls of a client: sending, receiving, and waiting for either.
 *
 * Waiting is one loop (grpc_call_run): what has come is used, what can be sent is sent, and poll(2)
 * waits for more, until what the caller wants has happened. Whatever is waited for, everything that
 * comes is taken, for all calls of the connection.
 *
 *   under way ──trailers, RST_STREAM, GOAWAY, the connection's end──► ended (core, answer)
 *       └──deadline, cancelling, a receiver's failure──► ended, RST_STREAM(CANCEL) goes out
 *
 * A call that has ended by itself still gives the messages that were held, then its status. */
#include "net/grpc_client_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { WINDOW_LEFT_BYTES = 64 << 10 }; /* so little of it, and the server may well have stopped */

static struct budget unlimited = {.limit_bytes = INT64_MAX}; /* what is sent, the caller bounds */

/* ---- waiting --------------------------------------------------------------------------------- */

/* The call is given up on this side. */
static void give_up(struct grpc_client_call *call, enum status status, const char *text) {
  if (call->ended) return;
  grpc_held_release(call);
  grpc_call_end(call, status, "%s", text);
  grpc_core_reset(call->core, call, NGHTTP2_CANCEL);
}

void grpc_call_run(struct grpc_client_call *call, bool (*done)(const struct grpc_client_call *)) {
  struct grpc_connection *connection = call->connection;
  int64_t since_ms = clock_now_ms();
  if (atomic_load(&call->cancelled)) grpc_connection_note_cancelled(connection);
  for (;;) {
    grpc_connection_turn(connection);
    if (call->ended || done(call)) break;
    if (call->deadline_ms != 0 && clock_now_ms() >= call->deadline_ms) {
      give_up(call, STATUS_TIMEOUT, "the call was not done within its deadline");
      continue; /* its reset goes out */
    }
    grpc_connection_wait(connection, call->deadline_ms, since_ms);
  }
}

/* ---- sending --------------------------------------------------------------------------------- */

static bool is_sent(const struct grpc_client_call *call) {
  return call->queued_bytes == 0 && grpc_connection_sent(call->connection);
}

/* Nothing more can come for it before some of what is held is taken. */
static bool is_full(const struct grpc_client_call *call) {
  return call->held_bytes > 0 && !call->ended && call->core->failure.status == STATUS_OK &&
         nghttp2_session_get_stream_local_window_size(call->core->session, call->stream_id) <
             WINDOW_LEFT_BYTES;
}

static bool is_sent_or_full(const struct grpc_client_call *call) {
  return is_sent(call) || is_full(call);
}

static enum status has_ended(struct error *error) {
  return error_set(error, STATUS_CANCELLED, "the call has ended; its status says how");
}

/* Room for one more buffer in the queue. */
static bool make_queue_room(struct grpc_client_call *call) {
  if (call->queue_first == call->queue_count) call->queue_first = call->queue_count = 0;
  if (call->queue_count < call->queue_room) return true;
  if (call->queue_first > call->queue_room / 2) {
    call->queue_count -= call->queue_first;
    memmove(call->queue, call->queue + call->queue_first, call->queue_count * sizeof *call->queue);
    call->queue_first = 0;
    return true;
  }
  size_t room = call->queue_room == 0 ? 16 : 2 * call->queue_room;
  struct buffer *queue = realloc(call->queue, room * sizeof *queue);
  if (queue == NULL) return false;
  call->queue = queue;
  call->queue_room = room;
  return true;
}

enum status grpc_client_flush(struct grpc_client_call *call, struct error *error) {
  if (!call->ended) grpc_call_run(call, is_sent_or_full);
  return call->ended && call->queued_bytes > 0 ? has_ended(error) : STATUS_OK;
}

enum status grpc_client_write(struct grpc_client_call *call, struct buffer *data,
                              struct error *error) {
  assert(!call->closing);
  if (call->ended || atomic_load(&call->cancelled)) {
    buffer_release(data);
    return has_ended(error);
  }
  if (call->queued_bytes >= GRPC_LAZY_BYTES && is_full(call))
    return error_set(error, STATUS_BUDGET,
                     "the server takes nothing before its answers are taken, and %lld bytes of "
                     "them wait",
                     (long long)call->held_bytes);
  if (!make_queue_room(call)) return error_set(error, STATUS_NOMEM, "no memory for a call");
  if (data->size_bytes > 0) {
    call->queue[call->queue_count++] = *data;
    call->queued_bytes += data->size_bytes;
    *data = BUFFER_EMPTY;
  } else {
    buffer_release(data);
  }
  grpc_core_resume(call->core, call);
  return call->queued_bytes < GRPC_LAZY_BYTES ? STATUS_OK : grpc_client_flush(call, error);
}

enum status grpc_client_send(struct grpc_client_call *call, const void *message, size_t bytes,
                             struct error *error) {
  struct buffer data = BUFFER_EMPTY;
  if (bytes > UINT32_MAX)
    return error_set(error, STATUS_TOO_LARGE, "a message of %zu bytes: gRPC takes at most 4 GiB",
                     bytes);
  enum status status = buffer_reserve(&data, &unlimited, (int64_t)bytes + GRPC_PREFIX_BYTES, error);
  if (status != STATUS_OK) return status;
  for (int i = 0; i < 4; i++) data.data[4 - i] = (uint8_t)(bytes >> (8 * i));
  data.data[0] = 0;
  if (bytes > 0) memcpy(data.data + GRPC_PREFIX_BYTES, message, bytes);
  data.size_bytes = (int64_t)bytes + GRPC_PREFIX_BYTES;
  status = grpc_client_write(call, &data, error);
  buffer_release(&data);
  return status;
}

enum status grpc_client_close_sending(struct grpc_client_call *call, struct error *error) {
  (void)error;
  if (call->ended || call->closing) return STATUS_OK;
  call->closing = true;
  grpc_core_resume(call->core, call);
  grpc_connection_turn(call->connection);
  return STATUS_OK;
}

/* ---- receiving -------------------------------------------------------------------------------- */

static bool is_whole(const struct grpc_client_call *call) { return call->whole || call->stalled; }

/* From what is held, then from what comes. */
static enum status receive_message(struct grpc_client_call *call, struct error *error) {
  size_t used = 0;
  enum status status = grpc_receive_held(call, &used, error);
  if (call->core->failure.status == STATUS_OK && used > 0)
    (void)nghttp2_session_consume_stream(call->core->session, call->stream_id, used);
  if (status != STATUS_OK && !call->stalled) {
    give_up(call, status, error == NULL ? "the message was not taken" : error->text);
    grpc_held_release(call);
    call->ended = true;
    (void)error_set(&call->end, status, "%s", error == NULL ? "" : error->text);
    return status;
  }
  if (status == STATUS_OK && !call->whole && !call->ended) {
    call->wanted = true;
    grpc_call_run(call, is_whole);
    call->wanted = false;
    if (call->stalled) {
      if (error != NULL) *error = call->stall;
      status = call->stall.status;
    }
  } else if (call->core->failure.status == STATUS_OK) {
    grpc_connection_turn(call->connection); /* the window is open again: say so */
  }
  call->stalled = false;
  return status;
}

enum status grpc_client_next(struct grpc_client_call *call, struct buffer *message, bool *got,
                             struct error *error) {
  struct error ours = {0};
  if (error == NULL) error = &ours;
  *got = false;
  enum status status = receive_message(call, error);
  if (status != STATUS_OK) return status;
  if (call->whole) {
    call->whole = false;
    *got = true;
    if (call->collected.capacity_bytes > 0) buffer_pad(&call->collected);
    if (message != NULL) {
      buffer_release(message);
      *message = call->collected;
      call->collected = BUFFER_EMPTY;
    }
    buffer_release(&call->collected);
    return STATUS_OK;
  }
  assert(call->ended);
  if (call->end.status == STATUS_OK && (call->in_message || call->prefix_bytes > 0))
    (void)error_set(&call->end, STATUS_INVALID, "the server's answer ends within a message");
  if (call->end.status != STATUS_OK) *error = call->end;
  return call->end.status;
}

bool grpc_client_ready(struct grpc_client_call *call) {
  if (atomic_load(&call->cancelled)) grpc_connection_note_cancelled(call->connection);
  if (!call->ended && !grpc_held_whole(call)) {
    grpc_connection_look(call->connection);
    grpc_connection_turn(call->connection);
  }
  return call->ended || grpc_held_whole(call) || is_full(call);
}

/* ---- the end ----------------------------------------------------------------------------------- */

bool grpc_client_unprocessed(const struct grpc_client_call *call) {
  return call->ended && call->unprocessed;
}

void grpc_client_cancel(struct grpc_client_call *call) {
  uint64_t one = 1;
  atomic_store(&call->cancelled, true);
  (void)!write(call->connection->wake, &one, sizeof one);
}

static void leave_channel(struct grpc_client_call *call) {
  if (call->channel == NULL) return;
  struct grpc_client_call **at = &call->channel->calls;
  while (*at != call) at = &(*at)->beside;
  *at = call->beside;
}

void grpc_client_free(struct grpc_client_call *call) {
  if (call == NULL) return;
  if (call->core != NULL) {
    bool tell = !call->ended;
    give_up(call, STATUS_CANCELLED, "the call was given up");
    if (tell) grpc_connection_turn(call->connection);
    grpc_core_forget(call->core, call);
    leave_channel(call);
  }
  while (call->queue_first < call->queue_count) buffer_release(&call->queue[call->queue_first++]);
  free(call->queue);
  grpc_held_release(call);
  grpc_answer_release(call);
  buffer_release(&call->collected);
  grpc_connection_free(call->connection);
  free(call);
}
