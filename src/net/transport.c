/* Sockets by libuv, with a TLS session (tls.h) in between where there is one.
 *
 *   in the clear:  socket -> the owner's room
 *   TLS:           socket -> the loop's scratch memory -> session -> the owner's room
 *
 * Everything is sent at once without queueing (uv_try_write); only what the socket refuses is
 * kept, in a `struct transport_write` that owns it until libuv has sent it.
 *
 * Invariants:
 * 1. Inside on_alloc no handle is closed or stopped (libuv would call on_read through a
 *    cleared pointer): transport_close leaves that to the on_read that follows.
 * 2. After each call of the owner `closing` is looked at: the memory lives until libuv has
 *    closed the handle, which is never before its callback has returned.
 * 3. `lost` is told at most once, and never from inside a call of the owner's. */
#include "net/transport.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "net/tls.h"

enum {
  PARTS_MAX = 3,                   /* text before the data, the data, text after it */
  CIPHER_BYTES = 128 * 1024,       /* one read of TLS: eight records */
  ENCRYPT_BYTES_MAX = 1024 * 1024, /* encrypted before it is given to the socket */
};

struct transport_write {
  uv_write_t request;
  struct transport *transport; /* NULL once that has closed */
  struct transport_write *next, *previous;
  struct buffer data;
  char text[]; /* what is to be sent before and after the data */
};

struct transport {
  struct net_loop *loop;
  struct transport_owner owner;
  uv_tcp_t tcp;
  uv_shutdown_t shutdown;
  struct loop_soon soon; /* bytes that the session holds; `lost` */
  struct tls_session *tls;
  struct tls_context *context; /* shared; NULL: in the clear */
  struct transport_write *first_write, *last_write;
  int64_t queued_bytes;
  enum status lost_status; /* STATUS_OK: not lost */
  const char *lost_why;
  bool lost_told;
  bool sniffed; /* the first byte was looked at */
  bool misfit;
  char *refusal; /* why the handshake failed: what comes is handed on as it is, to be dropped */
  bool wanted;   /* the owner wants to read */
  bool reading;  /* libuv does */
  bool ended_told;
  bool in_alloc;
  bool closing;
  bool reset;
};

/* ---- the end ---------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle) {
  struct transport *transport = handle->data;
  struct transport_owner owner = transport->owner;
  assert(transport->first_write == NULL);
  tls_session_free(transport->tls);
  tls_context_free(transport->context);
  free(transport->refusal);
  free(transport);
  if (owner.closed != NULL) owner.closed(owner.context);
}

static void unlink_write(struct transport_write *write) {
  struct transport *transport = write->transport;
  if (write->previous != NULL)
    write->previous->next = write->next;
  else
    transport->first_write = write->next;
  if (write->next != NULL)
    write->next->previous = write->previous;
  else
    transport->last_write = write->previous;
}

/* After the handle has begun to close, libuv does not look at the bytes again, and a
 * budget that they are charged to may be gone when it reports the writes' end. */
static void drop_writes(struct transport *transport) {
  while (transport->first_write != NULL) {
    struct transport_write *write = transport->first_write;
    unlink_write(write);
    write->transport = NULL;
    buffer_release(&write->data);
  }
}

static void close_handle(struct transport *transport) {
  bool reset = transport->reset && uv_tcp_close_reset(&transport->tcp, on_closed) == 0;
  if (!reset) uv_close((uv_handle_t *)&transport->tcp, on_closed);
  drop_writes(transport);
}

void transport_close(struct transport *transport, bool reset) {
  if (transport->closing) return;
  transport->closing = true;
  transport->reset = reset;
  loop_soon_cancel(transport->loop, &transport->soon);
  if (!transport->in_alloc) close_handle(transport);
}

static void lose(struct transport *transport, enum status status, const char *why) {
  if (transport->closing || transport->lost_status != STATUS_OK) return;
  transport->lost_status = status;
  transport->lost_why = why;
  loop_soon(transport->loop, &transport->soon);
}

bool transport_is_dead(const struct transport *transport) {
  uv_os_fd_t fd;
  if (uv_fileno((const uv_handle_t *)&transport->tcp, &fd) != 0) return true;
  struct pollfd watched = {.fd = fd};
  return poll(&watched, 1, 0) > 0;
}

/* ---- sending ---------------------------------------------------------------------------- */

size_t transport_unsent_bytes(const struct transport *transport) {
  return uv_stream_get_write_queue_size((const uv_stream_t *)&transport->tcp);
}

int64_t transport_queued_bytes(const struct transport *transport) {
  return transport->queued_bytes;
}

static void on_written(uv_write_t *request, int failed) {
  struct transport_write *write = request->data;
  struct transport *transport = write->transport;
  if (transport != NULL) unlink_write(write);
  buffer_release(&write->data);
  free(write);
  if (transport == NULL || transport->closing) return;
  if (failed != 0)
    lose(transport, STATUS_CANCELLED, "the client does not take its answer");
  else
    transport->owner.sent(transport->owner.context);
}

/* Leaves out the first `sent` bytes. */
static void skip_sent(uv_buf_t parts[PARTS_MAX], size_t sent) {
  for (int i = 0; i < PARTS_MAX && sent > 0; i++) {
    size_t skipped = sent < parts[i].len ? sent : parts[i].len;
    if (skipped == 0) continue; /* a part that is not there */
    parts[i].base += skipped;
    parts[i].len -= skipped;
    sent -= skipped;
  }
}

/* Queues what is left; takes `data` (NULL: there is none) over. */
static void queue_parts(struct transport *transport, uv_buf_t parts[PARTS_MAX],
                        struct buffer *data) {
  struct transport_write *write = malloc(sizeof *write + parts[0].len + parts[2].len);
  if (write == NULL) {
    if (data != NULL) buffer_release(data);
    lose(transport, STATUS_NOMEM, "no memory for an answer");
    return;
  }
  *write = (struct transport_write){.transport = transport, .previous = transport->last_write};
  write->request.data = write;
  if (data != NULL) {
    write->data = *data;
    *data = BUFFER_EMPTY;
  }
  if (parts[0].len > 0) memcpy(write->text, parts[0].base, parts[0].len);
  if (parts[2].len > 0) memcpy(write->text + parts[0].len, parts[2].base, parts[2].len);
  parts[2].base = write->text + parts[0].len;
  parts[0].base = write->text;
  if (transport->last_write != NULL)
    transport->last_write->next = write;
  else
    transport->first_write = write;
  transport->last_write = write;
  int failed =
      uv_write(&write->request, (uv_stream_t *)&transport->tcp, parts, PARTS_MAX, on_written);
  if (failed == 0) return;
  unlink_write(write);
  buffer_release(&write->data);
  free(write);
  lose(transport, STATUS_CANCELLED, "the client does not take its answer");
}

static void send_raw(struct transport *transport, const void *before, size_t before_bytes,
                     struct buffer *data, const void *after, size_t after_bytes) {
  uv_buf_t parts[PARTS_MAX] = {
      {.base = (char *)(uintptr_t)before, .len = before_bytes},
      {.base = data == NULL ? NULL : (char *)data->data,
       .len = data == NULL ? 0 : (size_t)data->size_bytes},
      {.base = (char *)(uintptr_t)after, .len = after_bytes},
  };
  size_t left = parts[0].len + parts[1].len + parts[2].len;
  if (left > 0) {
    transport->queued_bytes += (int64_t)left;
    int sent = uv_try_write((uv_stream_t *)&transport->tcp, parts, PARTS_MAX);
    if (sent == UV_EAGAIN) sent = 0;
    if (sent < 0) {
      lose(transport, STATUS_CANCELLED, "the client does not take its answer");
    } else if ((size_t)sent < left) {
      skip_sent(parts, (size_t)sent);
      queue_parts(transport, parts, data);
    }
  }
  if (data != NULL) buffer_release(data);
}

/* Sends what the session has made. */
static void flush_session(struct transport *transport) {
  struct buffer cipher = BUFFER_EMPTY;
  tls_session_take(transport->tls, &cipher);
  if (cipher.size_bytes > 0)
    send_raw(transport, NULL, 0, &cipher, NULL, 0);
  else
    buffer_release(&cipher);
}

/* The alert goes out. A handshake that failed is the owner's to end: closing at once would reset
 * the connection if more has come by then, and the client would see that in place of the alert. */
static void fail_tls(struct transport *transport, const struct error *error) {
  flush_session(transport);
  if (tls_session_established(transport->tls)) {
    log_debug("net", "TLS: %s", error->text);
    lose(transport, STATUS_INVALID, "TLS is broken");
    return;
  }
  transport->refusal = strdup(error->text);
  if (transport->refusal == NULL) {
    lose(transport, STATUS_NOMEM, "no memory for a connection");
    return;
  }
  tls_session_free(transport->tls);
  transport->tls = NULL;
  if (!transport->closing) transport->owner.turned(transport->owner.context);
}

/* Encrypts and sends. */
static void send_tls(struct transport *transport, const void *data, size_t bytes) {
  const uint8_t *at = data;
  struct error error;
  while (bytes > 0 && transport->lost_status == STATUS_OK) {
    size_t piece = bytes < ENCRYPT_BYTES_MAX ? bytes : ENCRYPT_BYTES_MAX;
    if (tls_session_write(transport->tls, at, piece, &error) != STATUS_OK)
      lose(transport, STATUS_CANCELLED, "what was to be sent could not be encrypted");
    else if (piece == ENCRYPT_BYTES_MAX)
      flush_session(transport);
    at += piece;
    bytes -= piece;
  }
}

void transport_send(struct transport *transport, const void *before, size_t before_bytes,
                    struct buffer *data, const void *after, size_t after_bytes) {
  bool open = !transport->closing && transport->lost_status == STATUS_OK;
  if (open && transport->tls == NULL) {
    send_raw(transport, before, before_bytes, data, after, after_bytes);
    return;
  }
  if (open) {
    send_tls(transport, before, before_bytes);
    if (data != NULL) send_tls(transport, data->data, (size_t)data->size_bytes);
    send_tls(transport, after, after_bytes);
    flush_session(transport);
  }
  if (data != NULL) buffer_release(data);
}

static void on_shutdown(uv_shutdown_t *request, int failed) {
  struct transport *transport = request->data;
  if (transport->closing) return;
  if (failed != 0)
    lose(transport, STATUS_CANCELLED, "the client is gone");
  else
    transport->owner.sent(transport->owner.context);
}

void transport_shutdown(struct transport *transport) {
  if (transport->closing || transport->lost_status != STATUS_OK) return;
  if (transport->tls != NULL) {
    tls_session_shutdown(transport->tls);
    flush_session(transport);
  }
  transport->shutdown.data = transport;
  int failed = uv_shutdown(&transport->shutdown, (uv_stream_t *)&transport->tcp, on_shutdown);
  if (failed != 0) lose(transport, STATUS_CANCELLED, "the client is gone");
}

/* ---- receiving --------------------------------------------------------------------------- */

static void tell_ended(struct transport *transport) {
  if (transport->closing || transport->ended_told) return;
  transport->ended_told = true;
  transport->owner.ended(transport->owner.context);
}

/* Hands on what the session holds, for as long as the owner wants it. */
static void read_session(struct transport *transport) {
  const struct transport_owner *owner = &transport->owner;
  bool ended = false;
  while (transport->wanted && !transport->closing && !ended) {
    uint8_t *room = NULL;
    size_t room_bytes = 0;
    uint8_t nothing[1];
    bool ready = tls_session_established(transport->tls);
    if (ready) owner->room(owner->context, &room, &room_bytes);
    if (transport->closing || (ready && room_bytes == 0)) break;
    size_t bytes = 0;
    struct error error;
    enum status status = tls_session_read(transport->tls, ready ? room : nothing,
                                          ready ? room_bytes : 0, &bytes, &ended, &error);
    if (status != STATUS_OK) {
      fail_tls(transport, &error);
      return;
    }
    flush_session(transport); /* the handshake's next step */
    if (bytes > 0)
      owner->came(owner->context, bytes);
    else if (ready || !tls_session_established(transport->tls))
      break;
  }
  if (!transport->closing) owner->turned(owner->context);
  if (ended) tell_ended(transport);
}

/* Somebody who speaks in the clear to a port that speaks TLS: true, and no TLS from here on. */
static bool find_misfit(struct transport *transport, uint8_t first) {
  transport->sniffed = true;
  if (tls_is_hello(first)) return false;
  tls_session_free(transport->tls);
  transport->tls = NULL;
  transport->misfit = true;
  return true;
}

/* What was read into scratch memory before it was known to be in the clear. */
static void hand_over(struct transport *transport, const uint8_t *data, size_t bytes) {
  const struct transport_owner *owner = &transport->owner;
  while (bytes > 0 && !transport->closing) {
    uint8_t *room = NULL;
    size_t room_bytes = 0;
    owner->room(owner->context, &room, &room_bytes);
    if (room_bytes == 0) break; /* it will be told what is wrong all the same */
    size_t piece = bytes < room_bytes ? bytes : room_bytes;
    memcpy(room, data, piece);
    owner->came(owner->context, piece);
    data += piece;
    bytes -= piece;
  }
  if (!transport->closing) owner->turned(owner->context);
}

static void came_encrypted(struct transport *transport, const uint8_t *data, size_t bytes) {
  struct error error;
  if (!transport->sniffed && find_misfit(transport, data[0])) {
    hand_over(transport, data, bytes);
  } else if (tls_session_feed(transport->tls, data, bytes, &error) != STATUS_OK) {
    fail_tls(transport, &error);
  } else {
    read_session(transport);
  }
}

static void on_alloc(uv_handle_t *handle, size_t suggested_bytes, uv_buf_t *memory) {
  struct transport *transport = handle->data;
  (void)suggested_bytes;
  *memory = uv_buf_init(NULL, 0);
  if (transport->tls != NULL) {
    size_t bytes = 0;
    uint8_t *scratch = loop_scratch(transport->loop, CIPHER_BYTES, &bytes);
    *memory = uv_buf_init((char *)scratch, (unsigned)bytes);
    return;
  }
  uint8_t *room = NULL;
  size_t room_bytes = 0;
  transport->in_alloc = true;
  transport->owner.room(transport->owner.context, &room, &room_bytes);
  transport->in_alloc = false;
  *memory = uv_buf_init((char *)room, (unsigned)room_bytes);
}

static void settle(struct transport *transport);

static void on_read(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *memory) {
  struct transport *transport = stream->data;
  const struct transport_owner *owner = &transport->owner;
  if (transport->closing) { /* closed in on_alloc */
    if (!uv_is_closing((uv_handle_t *)&transport->tcp)) close_handle(transport);
    return;
  }
  if (bytes == UV_EOF) {
    transport->reading = false;
    /* TLS has an end of its own; without it what came may be cut. */
    if (transport->tls != NULL && !transport->ended_told)
      lose(transport, STATUS_CANCELLED, "the client broke off the connection");
    tell_ended(transport);
  } else if (bytes < 0 && bytes != UV_ENOBUFS) {
    lose(transport, STATUS_CANCELLED, "the client broke off the connection");
  } else if (bytes > 0 && transport->tls != NULL) {
    came_encrypted(transport, (const uint8_t *)memory->base, (size_t)bytes);
  } else {
    if (bytes > 0) owner->came(owner->context, (size_t)bytes);
    if (!transport->closing) owner->turned(owner->context);
  }
  if (!transport->closing) settle(transport);
}

/* Reads the socket or does not; sees to it that what the session holds is handed on. */
static void settle(struct transport *transport) {
  bool holds = transport->tls != NULL && tls_session_holds(transport->tls);
  bool open = transport->lost_status == STATUS_OK && !transport->ended_told;
  bool wanted = transport->wanted && open && !holds;
  if (wanted && !transport->reading) {
    int failed = uv_read_start((uv_stream_t *)&transport->tcp, on_alloc, on_read);
    if (failed != 0) lose(transport, STATUS_CANCELLED, "the client is gone");
  } else if (!wanted && transport->reading && !transport->in_alloc) {
    uv_read_stop((uv_stream_t *)&transport->tcp);
  } else if (!wanted && transport->reading) {
    return; /* seen to by the on_read that follows */
  }
  transport->reading = wanted;
  if (holds && transport->wanted) loop_soon(transport->loop, &transport->soon);
}

void transport_read(struct transport *transport, bool wanted) {
  if (transport->closing) return;
  transport->wanted = wanted;
  settle(transport);
}

static void run_soon(void *context) {
  struct transport *transport = context;
  if (transport->lost_status != STATUS_OK) {
    if (transport->lost_told) return;
    transport->lost_told = true;
    transport->owner.lost(transport->owner.context, transport->lost_status, transport->lost_why);
    return;
  }
  if (transport->tls != NULL && transport->wanted && tls_session_holds(transport->tls)) {
    read_session(transport);
    if (!transport->closing) settle(transport);
  }
}

/* ---- beginning --------------------------------------------------------------------------- */

bool transport_ready(const struct transport *transport) {
  return transport->tls == NULL || tls_session_established(transport->tls);
}

const char *transport_alpn(const struct transport *transport) {
  return transport->tls == NULL ? "" : tls_session_alpn(transport->tls);
}

const char *transport_client_name(const struct transport *transport) {
  return transport->tls == NULL ? NULL : tls_session_client_name(transport->tls);
}

const char *transport_refusal(const struct transport *transport) { return transport->refusal; }

bool transport_is_misfit(const struct transport *transport) { return transport->misfit; }

enum status transport_new(struct net_loop *loop, int fd, struct tls_context *tls,
                          const struct transport_owner *owner, struct transport **transport,
                          struct error *error) {
  *transport = NULL;
  struct transport *made = calloc(1, sizeof *made);
  if (made == NULL) {
    close(fd);
    return error_set(error, STATUS_NOMEM, "no memory for a connection");
  }
  made->loop = loop;
  made->owner = *owner;
  made->soon = (struct loop_soon){.run = run_soon, .context = made};
  enum status status = STATUS_OK;
  if (tls != NULL) status = tls_session_new(tls, &made->tls, error);
  if (status != STATUS_OK) {
    close(fd);
    free(made);
    return status;
  }
  if (tls != NULL) made->context = tls_context_share(tls);
  uv_tcp_init(loop_uv(loop), &made->tcp); /* opens nothing: cannot fail */
  made->tcp.data = made;
  int failed = uv_tcp_open(&made->tcp, fd);
  if (failed != 0) {
    close(fd);
    made->closing = true;
    made->owner.closed = NULL; /* it never was */
    close_handle(made);
    return error_set(error, STATUS_UNAVAILABLE, "a connection could not be set up: %s",
                     uv_strerror(failed));
  }
  uv_tcp_nodelay(&made->tcp, 1); /* answers are written whole */
  *transport = made;
  return STATUS_OK;
}
