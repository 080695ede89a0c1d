/* What a service manager and a server tell each other, as systemd defines it (sd_notify(3),
 * sd_listen_fds(3)), without its library: states are datagrams to a local socket that the
 * environment names, and a socket that the manager listens on already is descriptor 3. */
#ifndef ARROWPORT_BASE_NOTIFY_H
#define ARROWPORT_BASE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/status.h"

/* Where states go. Used by one thread at a time. */
struct notify {
  int socket; /* -1: nobody listens; everything below then does nothing */
  struct sockaddr_un address;
  socklen_t address_bytes;
  int64_t watchdog_ms; /* call notify_watchdog this often (half of what is allowed); 0: never */
};

#define NOTIFY_NONE ((struct notify){.socket = -1})

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and takes them out of the environment, so
 * that no child speaks for this process: call it before there are threads. Without NOTIFY_SOCKET
 * STATUS_OK and NOTIFY_NONE; STATUS_INVALID and STATUS_UNSUPPORTED say what is wrong with a
 * variable, STATUS_IO that there is no socket; `notify` is NOTIFY_NONE then. */
enum status notify_open(struct notify *notify, struct error *error) WARN_UNUSED;
void notify_close(struct notify *notify);

/* These three wait for a manager that is busy, at most a second. A state that could not be told
 * is logged. */
void notify_ready(const struct notify *notify); /* at start, and when a reload is over */
void notify_reloading(const struct notify *notify);
void notify_stopping(const struct notify *notify);
/* What `systemctl status` shows; one line. These two never wait: what cannot be told is dropped. */
void notify_status(const struct notify *notify, const char *format, ...) PRINTF_LIKE(2, 3);
void notify_watchdog(const struct notify *notify);

/* The listening socket that was handed over (LISTEN_FDS, LISTEN_PID), which becomes the caller's,
 * closed on exec; -1: none. Takes the variables out of the environment: call it before there are
 * threads. STATUS_INVALID when there are several, or it is no TCP socket that listens. */
enum status notify_listen_fd(int *fd, struct error *error) WARN_UNUSED;

#endif
