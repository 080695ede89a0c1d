/* The server: HTTP requests in, rows in sinks, SQL answers out. */
#ifndef ARROWPORT_SERVER_SERVER_H
#define ARROWPORT_SERVER_SERVER_H

#include "base/status.h"
#include "server/config.h"

struct server_hooks {
  /* Called once the server listens; `host` and `port` are the real ones. */
  void (*ready)(void *context, const char *host, int port);
  /* Reads the configuration again, with the same file, environment and flags; called on
   * another thread. NULL: it stays as it is. */
  enum status (*load)(void *context, struct server_config **config, struct error *error);
  void *context;
};

/* Takes the listening socket of a service manager where there is one (systemd socket
 * activation), and tells it how things are (sd_notify). SIGHUP and changes of its files read the
 * configuration anew.
 * Serves until SIGINT or SIGTERM: then accepts no more, lets requests in flight
 * finish (drain_timeout_s at most) and returns STATUS_OK. Blocks. Afterwards
 * the process ignores both signals: it is about to end.
 * STATUS_CONFLICT when the port or the database file is taken, STATUS_IO when the
 * storage cannot be used, and what a bad configuration is refused with. */
enum status server_run(struct server_config *config, const struct server_hooks *hooks,
                       struct error *error) WARN_UNUSED;

#endif
