/* The environment is read once and cleared; a state is one datagram of lines. Nothing here is
 * needed to serve: whoever calls goes on after every failure. */
#include "base/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum {
  LISTEN_FD_FIRST = 3, /* SD_LISTEN_FDS_START */
  STATE_BYTES_MAX = 512,
  WAIT_S = 1, /* for a manager that does not read */
};

/* A variable that is a number in [0, max]; false when it is none. */
static bool read_number(const char *text, int64_t max, int64_t *number) {
  if (text[0] < '0' || text[0] > '9') return false;
  char *end;
  errno = 0;
  *number = strtoll(text, &end, 10);
  return errno == 0 && *end == '\0' && *number <= max;
}

/* ---- states ------------------------------------------------------------------------------ */

static enum status read_address(struct notify *notify, const char *path, struct error *error) {
  size_t bytes = strlen(path);
  if (path[0] != '/' && path[0] != '@')
    return error_set(error, STATUS_UNSUPPORTED,
                     "NOTIFY_SOCKET is '%.100s'; only a path or an abstract name (@...) is "
                     "supported: the service manager is told nothing",
                     path);
  if (bytes < 2 || bytes >= sizeof notify->address.sun_path)
    return error_set(error, STATUS_INVALID,
                     "NOTIFY_SOCKET is %zu bytes long, a socket's name is 2 to %zu: the service "
                     "manager is told nothing",
                     bytes, sizeof notify->address.sun_path - 1);
  notify->address.sun_family = AF_UNIX;
  memcpy(notify->address.sun_path, path, bytes);
  /* An abstract name begins with a NUL and has no other end than its length. */
  if (path[0] == '@') notify->address.sun_path[0] = '\0';
  notify->address_bytes =
      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes + (path[0] == '/' ? 1 : 0));
  return STATUS_OK;
}

static enum status read_watchdog(struct notify *notify, struct error *error) {
  const char *time = getenv("WATCHDOG_USEC");
  const char *process = getenv("WATCHDOG_PID");
  int64_t us;
  int64_t pid = getpid();
  if (time == NULL) return STATUS_OK;
  if (!read_number(time, INT64_MAX, &us) || us == 0)
    return error_set(error, STATUS_INVALID, "WATCHDOG_USEC is '%.40s', not microseconds", time);
  if (process != NULL && !read_number(process, INT64_MAX, &pid))
    return error_set(error, STATUS_INVALID, "WATCHDOG_PID is '%.40s', not a process", process);
  if (pid != getpid()) return STATUS_OK; /* another process is watched */
  notify->watchdog_ms = us / 2000 > 0 ? us / 2000 : 1;
  return STATUS_OK;
}

static enum status open_socket(struct notify *notify, struct error *error) {
  notify->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (notify->socket < 0)
    return error_set(error, STATUS_IO, "no socket for the service manager: %s", strerror(errno));
  struct timeval wait = {.tv_sec = WAIT_S};
  if (setsockopt(notify->socket, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) == 0)
    return STATUS_OK;
  return error_set(error, STATUS_IO, "no socket for the service manager: %s", strerror(errno));
}

enum status notify_open(struct notify *notify, struct error *error) {
  *notify = NOTIFY_NONE;
  const char *path = getenv("NOTIFY_SOCKET");
  enum status status = STATUS_OK;
  if (path != NULL && path[0] != '\0') {
    status = read_address(notify, path, error);
    if (status == STATUS_OK) status = read_watchdog(notify, error);
    if (status == STATUS_OK) status = open_socket(notify, error);
  }
  if (status != STATUS_OK) notify_close(notify);
  unsetenv("NOTIFY_SOCKET");
  unsetenv("WATCHDOG_USEC");
  unsetenv("WATCHDOG_PID");
  return status;
}

void notify_close(struct notify *notify) {
  if (notify->socket >= 0) close(notify->socket);
  *notify = NOTIFY_NONE;
}

static bool send_state(const struct notify *notify, const char *state, int flags) {
  ssize_t sent;
  do {
    sent = sendto(notify->socket, state, strlen(state), flags | MSG_NOSIGNAL,
                  (const struct sockaddr *)&notify->address, notify->address_bytes);
  } while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

static void tell(const struct notify *notify, const char *state) {
  if (notify->socket < 0 || send_state(notify, state, 0)) return;
  log_warning("notify", "the service manager could not be told '%.*s': %s",
              (int)strcspn(state, "\n"), state, strerror(errno));
}

void notify_ready(const struct notify *notify) { tell(notify, "READY=1"); }
void notify_stopping(const struct notify *notify) { tell(notify, "STOPPING=1"); }

void notify_reloading(const struct notify *notify) {
  char state[64]; /* both in one message, as sd_notify(3) asks for */
  snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_now_us());
  tell(notify, state);
}

void notify_status(const struct notify *notify, const char *format, ...) {
  if (notify->socket < 0) return;
  char state[STATE_BYTES_MAX] = "STATUS=";
  size_t used = strlen(state);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(state + used, sizeof state - used, format, arguments);
  va_end(arguments);
  /* A line more would be another variable. */
  for (char *at = state; *at != '\0'; at++)
    if (*at == '\n') *at = ' ';
  send_state(notify, state, MSG_DONTWAIT);
}

void notify_watchdog(const struct notify *notify) {
  if (notify->socket >= 0) send_state(notify, "WATCHDOG=1", MSG_DONTWAIT);
}

/* ---- sockets -------------------------------------------------------------------------------- */

static bool socket_option(int fd, int option, int *value) {
  socklen_t bytes = sizeof *value;
  return getsockopt(fd, SOL_SOCKET, option, value, &bytes) == 0;
}

static enum status check_listening(int fd, struct error *error) {
  int type;
  int domain;
  int listening;
  if (!socket_option(fd, SO_TYPE, &type) || !socket_option(fd, SO_DOMAIN, &domain) ||
      !socket_option(fd, SO_ACCEPTCONN, &listening))
    return error_set(error, STATUS_INVALID,
                     "descriptor %d that the service manager handed over is no socket: %s", fd,
                     strerror(errno));
  if (type != SOCK_STREAM || (domain != AF_INET && domain != AF_INET6) || listening == 0)
    return error_set(error, STATUS_INVALID,
                     "the socket that the service manager handed over is not one that listens for "
                     "TCP connections; the unit needs ListenStream= with an address and a port");
  return STATUS_OK;
}

static enum status take_socket(const char *count_text, int *fd, struct error *error) {
  int64_t count;
  if (!read_number(count_text, INT32_MAX - LISTEN_FD_FIRST, &count))
    return error_set(error, STATUS_INVALID, "LISTEN_FDS is '%.40s', not a count of sockets",
                     count_text);
  if (count == 0) return STATUS_OK;
  if (count > 1)
    return error_set(error, STATUS_INVALID,
                     "the service manager handed over %" PRId64 " sockets; the server listens on "
                     "one: leave one ListenStream= in the socket unit",
                     count);
  enum status status = check_listening(LISTEN_FD_FIRST, error);
  if (status != STATUS_OK) return status;
  if (fcntl(LISTEN_FD_FIRST, F_SETFD, FD_CLOEXEC) != 0)
    return error_set(error, STATUS_IO, "descriptor %d cannot be kept from children: %s",
                     LISTEN_FD_FIRST, strerror(errno));
  *fd = LISTEN_FD_FIRST;
  return STATUS_OK;
}

enum status notify_listen_fd(int *fd, struct error *error) {
  *fd = -1;
  const char *process = getenv("LISTEN_PID");
  const char *count = getenv("LISTEN_FDS");
  int64_t pid;
  enum status status = STATUS_OK;
  if (process != NULL && count != NULL) {
    if (!read_number(process, INT64_MAX, &pid))
      status = error_set(error, STATUS_INVALID, "LISTEN_PID is '%.40s', not a process", process);
    else if (pid == getpid()) /* otherwise they are another process's */
      status = take_socket(count, fd, error);
  }
  unsetenv("LISTEN_PID");
  unsetenv("LISTEN_FDS");
  unsetenv("LISTEN_FDNAMES");
  return status;
}
