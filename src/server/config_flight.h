/* Limits of Flight and Flight SQL, as the configuration's section `flight` says them. */
#ifndef ARROWPORT_SERVER_CONFIG_FLIGHT_H
#define ARROWPORT_SERVER_CONFIG_FLIGHT_H

#include <stdint.h>

#include "base/config.h"

struct flight_limits {
  int64_t message_bytes_max;
  /* A DoPut commits at whichever comes first. */
  int64_t commit_rows, commit_bytes, commit_interval_ms;
  int64_t ticket_ms;
  int64_t session_idle_ms, sessions_max;
  int64_t handle_idle_ms, handles_max; /* of one session, or one user without any */
  int64_t transaction_idle_ms;
};

extern const struct config_field SETTINGS_FLIGHT_FIELDS[];
struct flight_limits flight_limits_of(const struct config *values);

#endif
