/* One HTTP/2 connection of a client over nghttp2: bytes in, bytes out; no socket, no clock.
 *
 *   grpc_core_feed ─► nghttp2 ─► grpc_receive (whoever waits), grpc_hold (whoever does not)
 *   grpc_core_out  ◄─ pieces  ◄─ nghttp2 ◄─ calls' queues
 *
 * 1. What is sent of a call is not copied: nghttp2 says how large a frame may be, its nine bytes are
 *    put down, and slices of the queue's buffers behind them. Bytes leave a queue only there
 *    (on_send_data); nghttp2 may drop a frame between asking and sending.
 * 2. nghttp2 is stopped (NGHTTP2_ERR_PAUSE) as soon as the call that is waited for has a whole
 *    message: the rest of the input stays where it is, and is most often copied once, to where the
 *    next message goes. It is held only when somebody else asks for bytes before.
 * 3. Streams are known by their numbers, looked up among the calls that live: nothing in nghttp2
 *    points to a call. A stream without one is being reset, its bytes are dropped.
 * 4. What a server may make us do without sending data is bounded: headers (16 times what is
 *    kept), and frames that are not data by FLOOD_*. */
#include "net/grpc_client_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  SMALL_BYTES = 256, /* pieces below are copied: an iovec costs more */
  HEADERS_FRAME_BYTES_MAX = 64 << 10,
  BOMB_TIMES = 16,
  FLOOD_FRAMES = 10000, /* at once; WINDOW_UPDATEs of a busy upload are forgiven by its bytes */
  FLOOD_FRAMES_PER_S = 1000,
  FLOOD_FRAMES_PER_CALL = 16,
  FLOOD_CREDIT_BYTES = 512,
  OUT_PIECES_MIN = 64,
  ARENA_BYTES_MIN = 4096,
};

static struct grpc_client_call *call_of(const struct grpc_core *core, int32_t id) {
  struct grpc_client_call *call = core->calls;
  while (call != NULL && call->stream_id != id) call = call->next;
  return call;
}

/* ---- failures ------------------------------------------------------------------------------ */

void grpc_core_fail(struct grpc_core *core, enum status status, const char *format, ...) {
  if (core->failure.status != STATUS_OK) return;
  char text[ERROR_TEXT_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  (void)error_set(&core->failure, status, "%s", text);
  for (struct grpc_client_call *call = core->calls; call != NULL; call = call->next) {
    if (call->ended) continue;
    call->unprocessed = core->sent_total <= call->begin_total;
    grpc_call_end(call, status, "%s", text);
  }
}

/* The first bytes tell what the server speaks instead. */
static void fail_by_protocol(struct grpc_core *core, const char *what) {
  if (core->greeting_bytes >= 5 && memcmp(core->greeting, "HTTP/", 5) == 0)
    grpc_core_fail(core, STATUS_UNSUPPORTED, "the server speaks HTTP/1.1, not HTTP/2: no gRPC");
  else if (core->greeting_bytes >= 2 && core->greeting[0] == 0x15 && core->greeting[1] == 0x03)
    grpc_core_fail(core, STATUS_INVALID, "the server speaks TLS: the address needs it too");
  else
    grpc_core_fail(core, STATUS_INVALID, "the server broke HTTP/2: %s",
                   core->reason[0] != '\0' ? core->reason : what);
}

static void fail_call(struct grpc_core *core, struct grpc_client_call *call,
                      const struct error *error) {
  grpc_call_end(call, error->status, "%s", error->text);
  grpc_core_reset(core, call, NGHTTP2_CANCEL);
}

/* ---- bytes in ------------------------------------------------------------------------------ */

/* Invariant 4. */
static bool is_flood(struct grpc_core *core) {
  int64_t passed_ms = core->now_ms - core->flood_at_ms;
  int64_t earned = passed_ms * FLOOD_FRAMES_PER_S / 1000 + core->credit_bytes / FLOOD_CREDIT_BYTES;
  if (earned > 0) {
    core->flood_left += earned;
    if (core->flood_left > FLOOD_FRAMES) core->flood_left = FLOOD_FRAMES;
    core->flood_at_ms = core->now_ms;
    core->credit_bytes = 0;
  }
  if (core->flood_left-- > 0) return false;
  grpc_core_fail(core, STATUS_INVALID, "the server floods the connection with empty frames");
  return true;
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *head, void *context) {
  struct grpc_core *core = context;
  (void)session;
  if (head->type == NGHTTP2_DATA && head->length > 0) return 0;
  if (head->type == NGHTTP2_HEADERS && head->length > HEADERS_FRAME_BYTES_MAX) {
    grpc_core_fail(core, STATUS_TOO_LARGE,
                   "the headers of the server's answer are larger than %d KiB",
                   HEADERS_FRAME_BYTES_MAX >> 10);
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  return is_flood(core) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
                     void *context) {
  struct grpc_core *core = context;
  struct grpc_client_call *call = call_of(core, frame->hd.stream_id);
  struct error error;
  (void)session, (void)flags;
  core->fields_bytes += (int64_t)(name_bytes + value_bytes + 32);
  if (core->fields_bytes > (int64_t)GRPC_FIELDS_BYTES_MAX * BOMB_TIMES) {
    grpc_core_fail(core, STATUS_TOO_LARGE, "the headers of the server's answer do not end");
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  if (call == NULL || call->ended) return 0;
  if (grpc_answer_field(call, name, name_bytes, value, value_bytes, &error) != STATUS_OK)
    fail_call(core, call, &error);
  return 0;
}

static void note_goaway(struct grpc_core *core, const nghttp2_goaway *frame) {
  core->leaving = true;
  if (frame->error_code == NGHTTP2_NO_ERROR) return;
  int bytes = (int)(frame->opaque_data_len < 100 ? frame->opaque_data_len : 100);
  snprintf(core->reason, sizeof core->reason, "it said goodbye with %s%s%.*s",
           nghttp2_http2_strerror(frame->error_code), bytes > 0 ? ": " : "", bytes,
           (const char *)frame->opaque_data);
}

/* The server has said its last word. If there is something of ours that it did not wait for, the stream
 * would stay open: it is broken off. */
static void note_end(struct grpc_core *core, struct grpc_client_call *call) {
  grpc_answer_closed(call, NGHTTP2_NO_ERROR);
  if (!call->sent_end) grpc_core_reset(core, call, NGHTTP2_CANCEL);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  struct grpc_core *core = context;
  struct grpc_client_call *call = call_of(core, frame->hd.stream_id);
  bool last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  (void)session;
  switch (frame->hd.type) {
  case NGHTTP2_SETTINGS:
    if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) core->settled = true;
    break;
  case NGHTTP2_GOAWAY: note_goaway(core, &frame->goaway); break;
  case NGHTTP2_HEADERS:
    core->fields_bytes = 0;
    if (call == NULL || call->ended) break;
    if (!grpc_answer_head(call, last))
      grpc_core_reset(core, call, NGHTTP2_CANCEL);
    else if (last)
      note_end(core, call);
    break;
  case NGHTTP2_DATA:
    if (call != NULL && !call->ended && last) note_end(core, call);
    break;
  default: break;
  }
  return 0;
}

/* Bytes of a call: to its receiver when it is waited for, else held. Returns what on_data does. */
static int take_data(struct grpc_core *core, struct grpc_client_call *call, const uint8_t *data,
                     size_t bytes) {
  struct error error = {0};
  size_t used = 0;
  enum status status = STATUS_OK;
  if (call->wanted && call->held == NULL) {
    status = grpc_receive(call, data, bytes, &used, &error);
    (void)nghttp2_session_consume_stream(core->session, call->stream_id, used);
    if (status == STATUS_BUDGET && call->stalled) {
      call->stall = error;
      status = STATUS_OK;
    }
    if (status == STATUS_OK && (call->whole || call->stalled)) {
      call->wanted = false;
      core->paused = true;
      if (used < bytes) {
        core->pending = call;
        core->pending_data = data + used;
        core->pending_bytes = bytes - used;
      }
      return NGHTTP2_ERR_PAUSE;
    }
  }
  if (status == STATUS_OK && used < bytes)
    status = grpc_hold(call, data + used, bytes - used, &error);
  if (status != STATUS_OK) fail_call(core, call, &error);
  return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t bytes, void *context) {
  struct grpc_core *core = context;
  struct grpc_client_call *call = call_of(core, id);
  (void)flags;
  core->credit_bytes += (int64_t)bytes;
  (void)nghttp2_session_consume_connection(session, bytes);
  if (call == NULL || call->ended) {
    (void)nghttp2_session_consume_stream(session, id, bytes);
    return 0;
  }
  return take_data(core, call, data, bytes);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *context) {
  struct grpc_client_call *call = call_of(context, id);
  (void)session;
  if (call != NULL) grpc_answer_closed(call, code);
  return 0;
}

static int on_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int code,
                       void *context) {
  struct grpc_client_call *call = call_of(context, frame->hd.stream_id);
  (void)session;
  if (frame->hd.type != NGHTTP2_HEADERS || call == NULL || call->ended) return 0;
  call->unprocessed = true;
  grpc_call_end(call, STATUS_UNAVAILABLE, "the call could not be sent: %s", nghttp2_strerror(code));
  return 0;
}

static int on_reason(nghttp2_session *session, int code, const char *text, size_t bytes,
                     void *context) {
  struct grpc_core *core = context;
  (void)session, (void)code;
  snprintf(core->reason, sizeof core->reason, "%.*s", (int)(bytes < 200 ? bytes : 200), text);
  return 0;
}

static void feed_pending(struct grpc_core *core) {
  struct grpc_client_call *call = core->pending;
  const uint8_t *data = core->pending_data;
  size_t bytes = core->pending_bytes;
  core->pending = NULL;
  if (call != NULL && !call->ended) (void)take_data(core, call, data, bytes);
}

void grpc_core_feed(struct grpc_core *core, const uint8_t *data, size_t bytes, int64_t now_ms,
                    size_t *used) {
  *used = 0;
  core->paused = false;
  core->now_ms = now_ms;
  feed_pending(core);
  if (core->paused || core->failure.status != STATUS_OK) return;
  while (core->greeting_bytes < sizeof core->greeting && core->greeting_bytes < bytes) {
    core->greeting[core->greeting_bytes] = (char)data[core->greeting_bytes];
    core->greeting_bytes++;
  }
  ssize_t taken = nghttp2_session_mem_recv(core->session, data, bytes);
  if (taken < 0) {
    fail_by_protocol(core, nghttp2_strerror((int)taken));
    return;
  }
  *used = (size_t)taken;
  if (!core->paused && *used < bytes) fail_by_protocol(core, "it goes on after its end");
}

/* ---- bytes out ----------------------------------------------------------------------------- */

static struct grpc_piece *piece_new(struct grpc_out *out) {
  if (out->count == out->room) {
    size_t room = out->room == 0 ? OUT_PIECES_MIN : 2 * out->room;
    struct grpc_piece *pieces = realloc(out->pieces, room * sizeof *pieces);
    if (pieces == NULL) return NULL;
    out->pieces = pieces;
    out->room = room;
  }
  assert(out->pieces != NULL && out->count < out->room);
  struct grpc_piece *piece = &out->pieces[out->count++];
  *piece = (struct grpc_piece){0};
  return piece;
}

/* Copied into the arena; one piece with what was copied just before. */
static bool out_copy(struct grpc_core *core, const uint8_t *data, size_t bytes) {
  struct grpc_out *out = &core->out;
  if (out->arena_room - out->arena_bytes < bytes) {
    size_t room = out->arena_room == 0 ? ARENA_BYTES_MIN : 2 * out->arena_room;
    while (room - out->arena_bytes < bytes) room *= 2;
    uint8_t *arena = realloc(out->arena, room);
    if (arena == NULL) return false;
    out->arena = arena;
    out->arena_room = room;
  }
  struct grpc_piece *last = out->count > out->first ? &out->pieces[out->count - 1] : NULL;
  if (last == NULL || last->data != NULL || last->at + last->bytes != out->arena_bytes) {
    last = piece_new(out);
    if (last == NULL) return false;
    last->at = out->arena_bytes;
  }
  memcpy(out->arena + out->arena_bytes, data, bytes);
  last->bytes += bytes;
  out->arena_bytes += bytes;
  out->bytes += bytes;
  core->out_total += (int64_t)bytes;
  return true;
}

static bool out_share(struct grpc_core *core, const struct buffer *buffer, int64_t bytes) {
  struct grpc_piece *piece = piece_new(&core->out);
  if (piece == NULL) return false;
  piece->owner = buffer_slice(buffer, 0, bytes);
  piece->data = piece->owner.data;
  piece->bytes = (size_t)bytes;
  core->out.bytes += (size_t)bytes;
  core->out_total += bytes;
  return true;
}

static ssize_t on_read_length(nghttp2_session *session, uint8_t type, int32_t id,
                              int32_t connection_bytes, int32_t stream_bytes, uint32_t frame_bytes,
                              void *context) {
  (void)session, (void)type, (void)id, (void)connection_bytes, (void)stream_bytes, (void)context;
  return frame_bytes < GRPC_FRAME_BYTES_MAX ? (ssize_t)frame_bytes : GRPC_FRAME_BYTES_MAX;
}

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *room, size_t room_bytes,
                       uint32_t *flags, nghttp2_data_source *source, void *context) {
  struct grpc_client_call *call = call_of(context, id);
  (void)session, (void)room, (void)source;
  if (call == NULL || call->ended) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  bool all = call->queued_bytes <= (int64_t)room_bytes;
  if (call->queued_bytes == 0 && !call->closing) {
    call->deferred = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  if (all && call->closing) {
    call->sent_end = true;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
  }
  if (call->queued_bytes > 0) *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  return all ? (ssize_t)call->queued_bytes : (ssize_t)room_bytes;
}

/* The queue's first bytes, to what goes out. */
static bool out_queued(struct grpc_core *core, struct grpc_client_call *call, size_t bytes) {
  while (bytes > 0) {
    struct buffer *first = &call->queue[call->queue_first];
    int64_t part = first->size_bytes < (int64_t)bytes ? first->size_bytes : (int64_t)bytes;
    bool done = part < SMALL_BYTES ? out_copy(core, first->data, (size_t)part)
                                   : out_share(core, first, part);
    if (!done) return false;
    if (part == first->size_bytes) {
      buffer_release(first);
      call->queue_first++;
    } else {
      struct buffer rest = buffer_slice(first, part, first->size_bytes - part);
      buffer_release(first);
      *first = rest;
    }
    call->queued_bytes -= part;
    bytes -= (size_t)part;
  }
  return true;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                        size_t bytes, nghttp2_data_source *source, void *context) {
  struct grpc_core *core = context;
  struct grpc_client_call *call = call_of(core, frame->hd.stream_id);
  (void)session, (void)source;
  assert(frame->data.padlen == 0);
  if (call == NULL || call->ended) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  if (core->out.bytes >= GRPC_OUT_BYTES_HIGH) return NGHTTP2_ERR_WOULDBLOCK;
  if (!out_copy(core, head, 9) || !out_queued(core, call, bytes))
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  core->credit_bytes += (int64_t)bytes;
  return 0;
}

void grpc_core_fill(struct grpc_core *core) {
  for (;;) {
    if (core->failure.status != STATUS_OK) return;
    const uint8_t *data = NULL;
    ssize_t bytes = nghttp2_session_mem_send(core->session, &data);
    if (bytes == 0) break;
    if (bytes < 0 || !out_copy(core, data, (size_t)bytes)) {
      grpc_core_fail(
          core,
          bytes < 0 && bytes != NGHTTP2_ERR_NOMEM && bytes != NGHTTP2_ERR_CALLBACK_FAILURE
              ? STATUS_INTERNAL
              : STATUS_NOMEM,
          "nothing can be sent: %s", bytes < 0 ? nghttp2_strerror((int)bytes) : "no memory");
      return;
    }
  }
  /* nghttp2 ends a connection by itself when the server breaks the protocol. */
  if (nghttp2_session_want_read(core->session) == 0 &&
      nghttp2_session_want_write(core->session) == 0) {
    if (core->leaving)
      grpc_core_fail(core, STATUS_UNAVAILABLE, "the server ended the connection%s%s",
                     core->reason[0] == '\0' ? "" : ": ", core->reason);
    else
      fail_by_protocol(core, "protocol error");
  }
}

size_t grpc_core_out(const struct grpc_core *core, struct iovec *pieces, size_t room) {
  const struct grpc_out *out = &core->out;
  size_t count = 0;
  for (size_t i = out->first; i < out->count && count < room; i++, count++) {
    const struct grpc_piece *piece = &out->pieces[i];
    const uint8_t *data = piece->data == NULL ? out->arena + piece->at : piece->data;
    pieces[count] = (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = piece->bytes};
  }
  return count;
}

void grpc_core_sent(struct grpc_core *core, size_t bytes) {
  struct grpc_out *out = &core->out;
  assert(bytes <= out->bytes);
  out->bytes -= bytes;
  core->sent_total += (int64_t)bytes;
  while (bytes > 0) {
    struct grpc_piece *piece = &out->pieces[out->first];
    size_t part = piece->bytes < bytes ? piece->bytes : bytes;
    piece->bytes -= part;
    bytes -= part;
    if (piece->data != NULL)
      piece->data += part;
    else
      piece->at += part;
    if (piece->bytes > 0) break;
    buffer_release(&piece->owner);
    out->first++;
  }
  if (out->bytes == 0) out->first = out->count = out->arena_bytes = 0;
}

/* ---- calls --------------------------------------------------------------------------------- */

enum status grpc_core_request(struct grpc_core *core, struct grpc_client_call *call,
                              const nghttp2_nv *fields, size_t count, struct error *error) {
  nghttp2_data_provider provider = {.source = {.ptr = NULL}, .read_callback = on_read};
  uint32_t most =
      nghttp2_session_get_remote_settings(core->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  uint32_t open = 0;
  for (struct grpc_client_call *one = core->calls; one != NULL; one = one->next)
    open += one->ended ? 0 : 1;
  if (open >= most)
    return error_set(
        error, STATUS_BUDGET,
        "the server takes %lu calls at a time on one connection, and so many are under "
        "way",
        (unsigned long)most);
  int32_t id = nghttp2_submit_request(core->session, NULL, fields, count, &provider, NULL);
  if (id < 0)
    return error_set(error, id == NGHTTP2_ERR_NOMEM ? STATUS_NOMEM : STATUS_UNAVAILABLE,
                     "the call could not be begun: %s", nghttp2_strerror(id));
  call->stream_id = id;
  call->core = core;
  call->begin_total = core->out_total;
  core->flood_left += FLOOD_FRAMES_PER_CALL;
  call->next = core->calls;
  core->calls = call;
  return STATUS_OK;
}

bool grpc_core_usable(const struct grpc_core *core) {
  return core->failure.status == STATUS_OK && !core->leaving &&
         nghttp2_session_check_request_allowed(core->session) != 0;
}

void grpc_core_ping(struct grpc_core *core) {
  (void)nghttp2_submit_ping(core->session, NGHTTP2_FLAG_NONE, NULL);
}

void grpc_core_reset(struct grpc_core *core, struct grpc_client_call *call, uint32_t code) {
  if (core->failure.status == STATUS_OK)
    (void)nghttp2_submit_rst_stream(core->session, NGHTTP2_FLAG_NONE, call->stream_id, code);
}

void grpc_core_forget(struct grpc_core *core, struct grpc_client_call *call) {
  struct grpc_client_call **at = &core->calls;
  while (*at != NULL && *at != call) at = &(*at)->next;
  if (*at != NULL) *at = call->next;
  if (core->pending == call) core->pending = NULL;
}

void grpc_core_resume(struct grpc_core *core, struct grpc_client_call *call) {
  if (!call->deferred || core->failure.status != STATUS_OK) return;
  call->deferred = false;
  (void)nghttp2_session_resume_data(core->session, call->stream_id);
}

/* ---- the session --------------------------------------------------------------------------- */

static void set_callbacks(nghttp2_session_callbacks *callbacks) {
  nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_not_sent);
  nghttp2_session_callbacks_set_error_callback2(callbacks, on_reason);
  nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, on_read_length);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
}

static int submit_settings(nghttp2_session *session) {
  static const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, GRPC_STREAM_WINDOW_BYTES},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, GRPC_FRAME_BYTES_MAX},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_FIELDS_BYTES_MAX},
  };
  int failed = nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings,
                                       sizeof settings / sizeof settings[0]);
  if (failed == 0)
    failed = nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                                   GRPC_CONNECTION_WINDOW_BYTES);
  return failed;
}

enum status grpc_core_new(struct grpc_core *core, int64_t now_ms, struct error *error) {
  nghttp2_session_callbacks *callbacks = NULL;
  nghttp2_option *option = NULL;
  *core = (struct grpc_core){.now_ms = now_ms, .flood_at_ms = now_ms, .flood_left = FLOOD_FRAMES};
  int failed = nghttp2_session_callbacks_new(&callbacks);
  if (failed == 0) failed = nghttp2_option_new(&option);
  if (failed == 0) {
    set_callbacks(callbacks);
    nghttp2_option_set_no_auto_window_update(option, 1);
    failed = nghttp2_session_client_new2(&core->session, callbacks, core, option);
  }
  if (failed == 0) failed = submit_settings(core->session);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  if (failed == 0) return STATUS_OK;
  grpc_core_release(core);
  return error_set(error, STATUS_NOMEM, "no memory for an HTTP/2 connection");
}

void grpc_core_release(struct grpc_core *core) {
  assert(core->calls == NULL);
  nghttp2_session_del(core->session);
  for (size_t i = core->out.first; i < core->out.count; i++)
    buffer_release(&core->out.pieces[i].owner);
  free(core->out.pieces);
  free(core->out.arena);
  *core = (struct grpc_core){0};
}
