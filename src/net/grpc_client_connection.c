/* One connection of a client: the core, its socket, and waiting for the socket.
 *
 * A connection belongs to one thread, but for its eventfd: whoever cancels a call writes to that, and
 * the thread that waits wakes. It lives until its channel and the last of its calls have let go.
 *
 * `input` [input_at, input_end) is what has come and the core has not used; it is filled only when it
 * is empty, for the core may point into it (core.pending). */
#include "net/grpc_client_private.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

enum {
  PIECES = 128,           /* of one write */
  PING_ANSWER_MS = 20000, /* at most; less where keep-alive is shorter */
  MORE_BYTES = 64 << 10,  /* a read that gave so much is followed by another without poll(2) */
};

/* ---- sending and receiving ------------------------------------------------------------------ */

static void use_input(struct grpc_connection *connection) {
  struct grpc_core *core = &connection->core;
  /* nghttp2 that was stopped goes on only when it is called again, with or without bytes. */
  while (core->failure.status == STATUS_OK &&
         (core->paused || connection->input_at < connection->input_end)) {
    size_t used = 0;
    grpc_core_feed(core, connection->input + connection->input_at,
                   connection->input_end - connection->input_at, clock_now_ms(), &used);
    connection->input_at += used;
    if (core->paused) return;
  }
}

/* Reads once. Returns how much came. */
static size_t read_some(struct grpc_connection *connection) {
  struct grpc_core *core = &connection->core;
  struct error error;
  bool ended = false;
  size_t bytes = 0;
  if (core->failure.status != STATUS_OK || core->paused ||
      connection->input_at < connection->input_end)
    return 0;
  connection->input_at = connection->input_end = 0;
  enum status status =
      grpc_wire_read(&connection->wire, connection->input, GRPC_READ_BYTES, &bytes, &ended, &error);
  connection->input_end = bytes;
  if (bytes > 0) {
    connection->heard_ms = clock_now_ms();
    connection->pinged_ms = 0;
  }
  if (status != STATUS_OK)
    grpc_core_fail(core, status, "%s: %s", connection->label, error.text);
  else if (ended)
    grpc_core_fail(core, STATUS_UNAVAILABLE, "%s: the server closed the connection%s%s",
                   connection->label, core->reason[0] == '\0' ? "" : ": ", core->reason);
  return bytes;
}

/* The socket takes nothing any more. What the server said before it left (an alert, GOAWAY) is in front
 * of that, and says more. */
static void fail_sending(struct grpc_connection *connection, const struct error *error) {
  struct grpc_core *core = &connection->core;
  while (!core->paused && read_some(connection) > 0) use_input(connection);
  grpc_core_fail(core, error->status, "%s: %s%s%s", connection->label, error->text,
                 core->reason[0] == '\0' ? "" : "; ", core->reason);
}

static void send_out(struct grpc_connection *connection) {
  struct grpc_core *core = &connection->core;
  struct grpc_wire *wire = &connection->wire;
  while (core->failure.status == STATUS_OK) {
    struct iovec pieces[PIECES];
    struct error error;
    size_t bytes = 0;
    if (core->out.bytes == 0) grpc_core_fill(core);
    if (core->out.bytes == 0 && !grpc_wire_is_full(wire)) return;
    size_t count = grpc_core_out(core, pieces, PIECES);
    enum status status = grpc_wire_write(wire, pieces, count, &bytes, &error);
    if (status != STATUS_OK) fail_sending(connection, &error);
    if (status != STATUS_OK || bytes == 0) return;
    grpc_core_sent(core, bytes);
  }
}

void grpc_connection_turn(struct grpc_connection *connection) {
  use_input(connection);
  send_out(connection);
}

bool grpc_connection_sent(const struct grpc_connection *connection) {
  return connection->core.out.bytes == 0 && !grpc_wire_is_full(&connection->wire);
}

void grpc_connection_look(struct grpc_connection *connection) {
  use_input(connection);
  if (read_some(connection) > 0) use_input(connection);
}

/* ---- waiting -------------------------------------------------------------------------------- */

void grpc_connection_note_cancelled(struct grpc_connection *connection) {
  struct grpc_core *core = &connection->core;
  for (struct grpc_client_call *call = core->calls; call != NULL; call = call->next) {
    if (call->ended || !atomic_load(&call->cancelled)) continue;
    grpc_held_release(call);
    grpc_call_end(call, STATUS_CANCELLED, "the call was cancelled");
    grpc_core_reset(core, call, NGHTTP2_CANCEL);
  }
}

/* Sends a ping when nothing has come for too long, ends the connection when that is not answered.
 * Returns when it wants to be asked again. */
static int64_t keep_alive(struct grpc_connection *connection, int64_t since_ms) {
  int64_t now_ms = clock_now_ms();
  int64_t quiet_ms = connection->heard_ms > since_ms ? connection->heard_ms : since_ms;
  int64_t answer_ms =
      connection->keepalive_ms < PING_ANSWER_MS ? connection->keepalive_ms : PING_ANSWER_MS;
  if (connection->pinged_ms == 0) {
    if (now_ms < quiet_ms + connection->keepalive_ms) return quiet_ms + connection->keepalive_ms;
    grpc_core_ping(&connection->core);
    send_out(connection);
    connection->pinged_ms = now_ms;
  }
  if (now_ms >= connection->pinged_ms + answer_ms)
    grpc_core_fail(&connection->core, STATUS_UNAVAILABLE,
                   "%s: the server has vanished: nothing came for %lld ms, not even the answer to "
                   "a ping",
                   connection->label, (long long)(now_ms - quiet_ms));
  return connection->pinged_ms + answer_ms;
}

static int timeout_of(int64_t until_ms) {
  int64_t left_ms = until_ms - clock_now_ms();
  if (left_ms <= 0) return 0;
  return left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}

void grpc_connection_wait(struct grpc_connection *connection, int64_t until_ms, int64_t since_ms) {
  bool full = !grpc_connection_sent(connection);
  int64_t ask_ms = keep_alive(connection, since_ms);
  if (connection->core.failure.status != STATUS_OK) return;
  if (connection->more || grpc_wire_holds(&connection->wire)) {
    size_t bytes = read_some(connection);
    connection->more = bytes >= MORE_BYTES;
    if (bytes > 0 || connection->core.failure.status != STATUS_OK) return;
  }
  if (until_ms == 0 || until_ms > ask_ms) until_ms = ask_ms;
  struct pollfd files[2] = {
      {.fd = connection->wire.socket, .events = (short)(full ? POLLIN | POLLOUT : POLLIN)},
      {.fd = connection->wake, .events = POLLIN}};
  int ready = poll(files, 2, timeout_of(until_ms));
  if (ready <= 0) return; /* time, or a signal: whoever waits looks again */
  if (files[1].revents != 0) {
    uint64_t count;
    (void)!read(connection->wake, &count, sizeof count);
    grpc_connection_note_cancelled(connection);
  }
  if ((files[0].revents & POLLOUT) != 0) connection->heard_ms = clock_now_ms();
  if ((files[0].revents & ~POLLOUT) != 0) connection->more = read_some(connection) >= MORE_BYTES;
}

/* ---- from begin to end ---------------------------------------------------------------------- */

/* The server's SETTINGS: they say how large frames may be, and that it is a server of HTTP/2. */
static enum status greet(struct grpc_connection *connection, int64_t until_ms,
                         struct error *error) {
  struct grpc_core *core = &connection->core;
  int64_t since_ms = clock_now_ms();
  for (;;) {
    grpc_connection_turn(connection);
    if (core->failure.status != STATUS_OK) {
      *error = core->failure;
      return error->status;
    }
    if (core->settled) return STATUS_OK;
    if (clock_now_ms() >= until_ms)
      return error_set(error, STATUS_UNAVAILABLE,
                       "%s: it takes the connection, but does not answer as a server of HTTP/2",
                       connection->label);
    grpc_connection_wait(connection, until_ms, since_ms);
  }
}

enum status grpc_connection_open(const struct grpc_target *target, int64_t keepalive_ms,
                                 int64_t until_ms, struct grpc_connection **connection,
                                 struct error *error) {
  *connection = NULL;
  struct grpc_connection *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a connection");
  *made = (struct grpc_connection){
      .wire = {.socket = -1}, .wake = -1, .owners = 1, .keepalive_ms = keepalive_ms};
  enum status status = STATUS_NOMEM;
  made->label = strdup(target->label);
  made->input = malloc(GRPC_READ_BYTES);
  if (made->label == NULL || made->input == NULL) {
    status = error_set(error, STATUS_NOMEM, "no memory for a connection");
    goto done;
  }
  made->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (made->wake < 0) {
    status = error_set(error, STATUS_UNAVAILABLE, "no file descriptor for a connection: %s",
                       strerror(errno));
    goto done;
  }
  status = grpc_wire_connect(&made->wire, target, until_ms, error);
  if (status == STATUS_OK) status = grpc_core_new(&made->core, clock_now_ms(), error);
  if (status == STATUS_OK) status = greet(made, until_ms, error);
done:
  if (status == STATUS_OK)
    *connection = made;
  else
    grpc_connection_free(made);
  return status;
}

void grpc_connection_free(struct grpc_connection *connection) {
  if (connection == NULL || --connection->owners > 0) return;
  if (connection->core.session != NULL) {
    if (connection->core.failure.status == STATUS_OK) {
      (void)nghttp2_session_terminate_session(connection->core.session, NGHTTP2_NO_ERROR);
      send_out(connection); /* as far as the socket takes it */
    }
    grpc_core_release(&connection->core);
  }
  grpc_wire_close(&connection->wire);
  if (connection->wake >= 0) close(connection->wake);
  free(connection->input);
  free(connection->label);
  free(connection);
}
