/* The socket of a client's connection, in the clear or through TLS. Only connecting waits. */
#include "net/grpc_client_private.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/tls.h"

enum {
  ADDRESS_MS_MIN = 250, /* for one address of several, while there is time */
  WRITE_PIECES_MAX = 256,
  CIPHER_BYTES = 256 << 10, /* read, and encrypted, at once */
  RECORD_BYTES = 16 << 10,
};

/* ---- connecting ---------------------------------------------------------------------------- */

static int64_t left_until(int64_t until_ms) {
  int64_t left_ms = until_ms - clock_now_ms();
  return left_ms > 0 ? left_ms : 0;
}

/* Waits until the socket can be written to or read from (`events`). False: time is over. */
static bool wait_for(int file, short events, int64_t until_ms) {
  struct pollfd one = {.fd = file, .events = events};
  for (;;) {
    int64_t left_ms = left_until(until_ms);
    int ready = poll(&one, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
    if (ready > 0) return true;
    if (ready == 0 && left_until(until_ms) == 0) return false;
    if (ready < 0 && errno != EINTR) return false;
  }
}

/* One address. Returns 0, or what errno says. */
static int connect_to(const struct addrinfo *address, int64_t until_ms, int *made) {
  int yes = 1;
  int file = socket(address->ai_family, address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    address->ai_protocol);
  if (file < 0) return errno;
  (void)setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  int failed = connect(file, address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
  if (failed == EINPROGRESS || failed == EINTR) {
    socklen_t bytes = sizeof failed;
    if (!wait_for(file, POLLOUT, until_ms))
      failed = ETIMEDOUT;
    else if (getsockopt(file, SOL_SOCKET, SO_ERROR, &failed, &bytes) != 0)
      failed = errno;
  }
  if (failed == 0)
    *made = file;
  else
    close(file);
  return failed;
}

/* The addresses of a name in turn; each gets its share of the time that is left. */
static enum status connect_any(const struct addrinfo *addresses, const struct grpc_target *target,
                               int64_t until_ms, int *made, struct error *error) {
  int count = 0, tried = 0, failed = 0;
  for (const struct addrinfo *at = addresses; at != NULL; at = at->ai_next) count++;
  for (const struct addrinfo *at = addresses; at != NULL; at = at->ai_next) {
    int64_t left_ms = left_until(until_ms);
    int64_t share_ms = left_ms / (count - tried);
    if (share_ms < ADDRESS_MS_MIN) share_ms = left_ms < ADDRESS_MS_MIN ? left_ms : ADDRESS_MS_MIN;
    tried++;
    failed = connect_to(at, clock_now_ms() + share_ms, made);
    if (failed == 0) return STATUS_OK;
  }
  const char *why = failed == ETIMEDOUT ? "no answer within the time to connect" : strerror(failed);
  if (count > 1)
    return error_set(error, STATUS_UNAVAILABLE,
                     "cannot connect to %s: %s (the last of %d addresses)", target->label, why,
                     count);
  return error_set(error, STATUS_UNAVAILABLE, "cannot connect to %s: %s", target->label, why);
}

static enum status connect_socket(const struct grpc_target *target, int64_t until_ms, int *made,
                                  struct error *error) {
  struct addrinfo hints = {
      .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
  struct addrinfo *addresses = NULL;
  char port[16];
  snprintf(port, sizeof port, "%d", target->port);
  int failed = getaddrinfo(target->host, port, &hints, &addresses);
  if (failed != 0)
    return error_set(error, failed == EAI_MEMORY ? STATUS_NOMEM : STATUS_UNAVAILABLE,
                     "cannot find the address of '%.200s': %s", target->host,
                     failed == EAI_SYSTEM ? strerror(errno) : gai_strerror(failed));
  enum status status = connect_any(addresses, target, until_ms, made, error);
  freeaddrinfo(addresses);
  return status;
}

/* ---- bytes --------------------------------------------------------------------------------- */

static enum status broken(int number, struct error *error) {
  return error_set(error, STATUS_UNAVAILABLE, "the connection broke: %s", strerror(number));
}

/* `*bytes` 0: the socket has no room (no bytes) now. */
static enum status read_socket(struct grpc_wire *wire, uint8_t *room, size_t room_bytes,
                               size_t *bytes, bool *ended, struct error *error) {
  ssize_t got = 0;
  *bytes = 0;
  do got = recv(wire->socket, room, room_bytes, 0);
  while (got < 0 && errno == EINTR);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return STATUS_OK;
  if (got < 0) return broken(errno, error);
  *bytes = (size_t)got;
  *ended = got == 0;
  return STATUS_OK;
}

static enum status write_socket(struct grpc_wire *wire, const struct iovec *pieces, size_t count,
                                size_t *bytes, struct error *error) {
  struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces,
                           .msg_iovlen = count < WRITE_PIECES_MAX ? count : WRITE_PIECES_MAX};
  ssize_t put = 0;
  *bytes = 0;
  do put = sendmsg(wire->socket, &message, MSG_NOSIGNAL);
  while (put < 0 && errno == EINTR);
  if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return STATUS_OK;
  if (put < 0) return broken(errno, error);
  *bytes = (size_t)put;
  return STATUS_OK;
}

/* ---- TLS --------------------------------------------------------------------------------------- */

/* Sends ciphertext, what waits and what OpenSSL has just made. */
static enum status flush_cipher(struct grpc_wire *wire, struct error *error) {
  for (;;) {
    if (!grpc_wire_is_full(wire)) {
      buffer_release(&wire->cipher);
      wire->cipher_at = 0;
      tls_session_take(wire->tls, &wire->cipher);
    }
    if (!grpc_wire_is_full(wire)) return STATUS_OK;
    const struct iovec rest = {.iov_base = wire->cipher.data + wire->cipher_at,
                               .iov_len = (size_t)wire->cipher.size_bytes - wire->cipher_at};
    size_t bytes = 0;
    enum status status = write_socket(wire, &rest, 1, &bytes, error);
    if (status != STATUS_OK || bytes == 0) return status;
    wire->cipher_at += bytes;
  }
}

static enum status read_tls(struct grpc_wire *wire, uint8_t *room, size_t room_bytes, size_t *bytes,
                            bool *ended, struct error *error) {
  enum status status = STATUS_OK;
  struct error ignored;
  size_t came = 0;
  bool gone = false;
  *bytes = 0;
  if (!tls_session_holds(wire->tls)) {
    status = read_socket(wire, wire->scratch, CIPHER_BYTES, &came, &gone, error);
    if (status == STATUS_OK && came > 0)
      status = tls_session_feed(wire->tls, wire->scratch, came, error);
  }
  if (status == STATUS_OK)
    status = tls_session_read(wire->tls, room, room_bytes, bytes, ended, error);
  if (gone && *bytes == 0) *ended = true;
  /* An alert, new keys: what cannot be sent now goes with the next write. */
  (void)!flush_cipher(wire, &ignored);
  return status;
}

/* OpenSSL makes a record of each piece it gets, so small ones are put together. */
static enum status encrypt(struct grpc_wire *wire, const struct iovec *pieces, size_t count,
                           size_t *bytes, struct error *error) {
  enum status status = STATUS_OK;
  size_t gathered = 0;
  *bytes = 0;
  for (size_t i = 0; i < count && status == STATUS_OK && *bytes < CIPHER_BYTES; i++) {
    const uint8_t *data = pieces[i].iov_base;
    size_t left = pieces[i].iov_len;
    while (left > 0 && status == STATUS_OK && *bytes < CIPHER_BYTES) {
      size_t part = left < RECORD_BYTES - gathered ? left : RECORD_BYTES - gathered;
      if (gathered == 0 && left >= RECORD_BYTES) {
        part = left < CIPHER_BYTES ? left / RECORD_BYTES * RECORD_BYTES : CIPHER_BYTES;
        status = tls_session_write(wire->tls, data, part, error);
      } else {
        memcpy(wire->scratch + gathered, data, part);
        gathered += part;
        if (gathered == RECORD_BYTES) {
          status = tls_session_write(wire->tls, wire->scratch, gathered, error);
          gathered = 0;
        }
      }
      data += part;
      left -= part;
      *bytes += part;
    }
  }
  if (status == STATUS_OK && gathered > 0)
    status = tls_session_write(wire->tls, wire->scratch, gathered, error);
  return status;
}

static enum status write_tls(struct grpc_wire *wire, const struct iovec *pieces, size_t count,
                             size_t *bytes, struct error *error) {
  *bytes = 0;
  enum status status = flush_cipher(wire, error);
  if (status != STATUS_OK || grpc_wire_is_full(wire)) return status;
  status = encrypt(wire, pieces, count, bytes, error);
  return status == STATUS_OK ? flush_cipher(wire, error) : status;
}

static enum status shake_hands(struct grpc_wire *wire, const struct grpc_target *target,
                               int64_t until_ms, struct error *error) {
  struct error ignored;
  bool gone = false;
  enum status status = tls_session_new_client(target->tls, target->server_name, &wire->tls, error);
  while (status == STATUS_OK && !tls_session_established(wire->tls)) {
    size_t bytes = 0;
    status = flush_cipher(wire, error);
    if (status != STATUS_OK) break;
    if (!wait_for(wire->socket, grpc_wire_is_full(wire) ? POLLIN | POLLOUT : POLLIN, until_ms))
      return error_set(error, STATUS_UNAVAILABLE, "no TLS handshake within the time to connect");
    status = read_socket(wire, wire->scratch, CIPHER_BYTES, &bytes, &gone, error);
    if (status == STATUS_OK && gone)
      return error_set(error, STATUS_UNAVAILABLE,
                       "the server closed the connection within the TLS handshake: it may "
                       "not speak TLS on this port");
    if (status == STATUS_OK && bytes > 0)
      status = tls_session_feed(wire->tls, wire->scratch, bytes, error);
  }
  (void)!flush_cipher(wire, &ignored); /* the alert, or the end of the handshake */
  if (status == STATUS_OK && strcmp(tls_session_alpn(wire->tls), "h2") != 0)
    status = error_set(error, STATUS_UNSUPPORTED,
                       "the server did not choose HTTP/2 (ALPN): it does not speak gRPC over TLS");
  return status;
}

/* ---- both -------------------------------------------------------------------------------------- */

enum status grpc_wire_connect(struct grpc_wire *wire, const struct grpc_target *target,
                              int64_t until_ms, struct error *error) {
  *wire = (struct grpc_wire){.socket = -1};
  enum status status = connect_socket(target, until_ms, &wire->socket, error);
  if (status != STATUS_OK || target->tls == NULL) return status;
  wire->scratch = malloc(CIPHER_BYTES);
  if (wire->scratch == NULL) return error_set(error, STATUS_NOMEM, "no memory for TLS");
  status = shake_hands(wire, target, until_ms, error);
  if (status != STATUS_OK) error_at(error, "%s", target->label);
  return status;
}

enum status grpc_wire_read(struct grpc_wire *wire, uint8_t *room, size_t room_bytes, size_t *bytes,
                           bool *ended, struct error *error) {
  *ended = false;
  return wire->tls == NULL ? read_socket(wire, room, room_bytes, bytes, ended, error)
                           : read_tls(wire, room, room_bytes, bytes, ended, error);
}

enum status grpc_wire_write(struct grpc_wire *wire, const struct iovec *pieces, size_t count,
                            size_t *bytes, struct error *error) {
  return wire->tls == NULL ? write_socket(wire, pieces, count, bytes, error)
                           : write_tls(wire, pieces, count, bytes, error);
}

bool grpc_wire_is_full(const struct grpc_wire *wire) {
  return wire->cipher_at < (size_t)wire->cipher.size_bytes;
}

bool grpc_wire_holds(const struct grpc_wire *wire) {
  return wire->tls != NULL && tls_session_holds(wire->tls);
}

void grpc_wire_close(struct grpc_wire *wire) {
  struct error ignored;
  if (wire->tls != NULL) {
    tls_session_shutdown(wire->tls);
    (void)!flush_cipher(wire, &ignored);
    tls_session_free(wire->tls);
  }
  buffer_release(&wire->cipher);
  free(wire->scratch);
  if (wire->socket >= 0) close(wire->socket);
  *wire = (struct grpc_wire){.socket = -1};
}
