/* A gRPC client's connection: whatever a server sends, nothing crashes, no call gets a message that is
 * larger than it takes, every call ends when the connection does, and what is charged is given back.
 * The first byte says how long the pieces are, the second which calls wait and what the budget is;
 * the rest are frames. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/grpc_client_private.h"

enum { CALLS = 3, MESSAGE_BYTES_MAX = 100000, PIECE_MS = 50 };

struct into {
  int64_t announced_bytes;
  uint8_t room[97];
};

static enum status on_message(void *context, int64_t bytes, struct error *error) {
  struct into *into = context;
  (void)error;
  assert(bytes <= MESSAGE_BYTES_MAX);
  into->announced_bytes = bytes;
  return bytes == 666 ? error_set(error, STATUS_SCHEMA, "666") : STATUS_OK;
}

static enum status on_window(void *context, uint8_t **data, int64_t *bytes, struct error *error) {
  struct into *into = context;
  if (into->announced_bytes % 5 == 4) return error_set(error, STATUS_BUDGET, "later");
  *data = into->room;
  *bytes = sizeof into->room;
  return STATUS_OK;
}

static enum status on_filled(void *context, int64_t bytes, struct error *error) {
  struct into *into = context;
  (void)error;
  into->announced_bytes -= bytes;
  assert(bytes > 0 && into->announced_bytes >= 0);
  return STATUS_OK;
}

static void request(struct grpc_core *core, struct grpc_client_call *call) {
  static const nghttp2_nv fields[] = {
      {(uint8_t *)":method", (uint8_t *)"POST", 7, 4, 0},
      {(uint8_t *)":scheme", (uint8_t *)"http", 7, 4, 0},
      {(uint8_t *)":path", (uint8_t *)"/a/b", 5, 4, 0},
      {(uint8_t *)":authority", (uint8_t *)"x", 10, 1, 0},
  };
  call->closing = true;
  if (grpc_core_request(core, call, fields, 4, NULL) != STATUS_OK) {
    call->core = core;
    call->ended = true;
  }
}

/* What grpc_client_next does, as far as it need not wait. Whoever has had no room for long gives up. */
static void take(struct grpc_client_call *call, int *stalls) {
  if (call->stalled && ++*stalls > 10) {
    grpc_call_end(call, STATUS_BUDGET, "no room");
    grpc_core_reset(call->core, call, NGHTTP2_CANCEL);
    grpc_held_release(call);
  }
  struct error error = {0};
  size_t used = 0;
  enum status status = grpc_receive_held(call, &used, &error);
  if (status != STATUS_OK && !call->stalled) {
    assert(error.text[0] != '\0');
    grpc_call_end(call, status, "%s", error.text);
    grpc_held_release(call);
  }
  if (call->core->failure.status == STATUS_OK && used > 0)
    (void)nghttp2_session_consume_stream(call->core->session, call->stream_id, used);
  if (call->whole) {
    assert(call->collected.size_bytes <= MESSAGE_BYTES_MAX);
    buffer_release(&call->collected);
  }
  call->whole = call->stalled = false;
  call->wanted = true;
}

static void send_out(struct grpc_core *core) {
  grpc_core_fill(core);
  while (core->out.bytes > 0) {
    struct iovec pieces[4];
    size_t count = grpc_core_out(core, pieces, 4);
    assert(count > 0 && pieces[0].iov_len > 0);
    grpc_core_sent(core, pieces[0].iov_len);
  }
}

static void release(struct grpc_core *core, struct grpc_client_call *call) {
  grpc_core_forget(core, call);
  grpc_held_release(call);
  grpc_answer_release(call);
  buffer_release(&call->collected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  if (bytes < 2) return 0;
  size_t piece_bytes = data[0] == 0 ? bytes : data[0];
  uint8_t waiting = data[1];
  struct budget budget = {.limit_bytes = waiting & 0x80 ? 70000 : 64 << 20};
  struct into into = {0};
  struct grpc_client_call calls[CALLS] = {0};
  struct grpc_core core;
  int64_t now_ms = 1000;
  int stalls = 0;
  if (grpc_core_new(&core, now_ms, NULL) != STATUS_OK) return 0;
  for (int i = 0; i < CALLS; i++) {
    calls[i].budget = &budget;
    calls[i].message_bytes_max = MESSAGE_BYTES_MAX;
    calls[i].wanted = (waiting >> i & 1) != 0;
    request(&core, &calls[i]);
  }
  calls[1].receiver = (struct grpc_receiver){&into, on_message, on_window, on_filled};
  send_out(&core);
  for (size_t at = 2; (at < bytes || core.paused) && core.failure.status == STATUS_OK;) {
    size_t part = bytes - at < piece_bytes ? bytes - at : piece_bytes;
    size_t used = 0;
    grpc_core_feed(&core, data + at, part, now_ms += PIECE_MS, &used);
    assert(used <= part);
    at += used;
    for (int i = 0; i < CALLS; i++) {
      (void)grpc_held_whole(&calls[i]);
      if ((waiting >> i & 1) != 0 && (calls[i].whole || calls[i].stalled || calls[i].ended))
        take(&calls[i], &stalls);
      else if (calls[i].whole)
        calls[i].whole = false;
    }
    if (calls[0].ended && (waiting & 8) != 0 && grpc_core_usable(&core)) {
      release(&core, &calls[0]);
      calls[0] =
          (struct grpc_client_call){.budget = &budget, .message_bytes_max = MESSAGE_BYTES_MAX};
      request(&core, &calls[0]);
    }
    send_out(&core);
  }
  grpc_core_fail(&core, STATUS_UNAVAILABLE, "the connection ended");
  for (int i = 0; i < CALLS; i++) {
    assert(calls[i].ended);
    release(&core, &calls[i]);
  }
  grpc_core_release(&core);
  assert(budget.used_bytes == 0);
  return 0;
}
