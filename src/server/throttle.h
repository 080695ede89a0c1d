/* Slows down who guesses credentials. No I/O: addresses are text, time is an argument.
 *
 * The first THROTTLE_FREE wrong credentials of an address within a minute cost nothing. From
 * then on it has to wait before each further try, 1 s, then 2, 4 ... 60; what comes earlier is
 * refused unseen. A right one, or ten minutes of peace, and all is forgotten. IPv6 addresses
 * count by /64: that is what one client has. */
#ifndef ARROWPORT_SERVER_THROTTLE_H
#define ARROWPORT_SERVER_THROTTLE_H

#include <stdint.h>

#include "base/status.h"

enum {
  THROTTLE_FREE = 5,
  THROTTLE_WINDOW_MS = 60 * 1000,
  THROTTLE_WAIT_MS_MIN = 1000,
  THROTTLE_WAIT_MS_MAX = 60 * 1000,
  THROTTLE_FORGET_MS = 10 * 60 * 1000,
  THROTTLE_ADDRESSES = 4096, /* more push out those that failed longest ago */
};

struct throttle;

enum status throttle_new(struct throttle **throttle, struct error *error) WARN_UNUSED;
void throttle_free(struct throttle *throttle); /* NULL is allowed */

/* How long the address has still to wait before its credentials are looked at; 0: they are. */
int64_t throttle_wait_ms(const struct throttle *throttle, const char *address, int64_t now_ms);
/* Its credentials were wrong. */
void throttle_failed(struct throttle *throttle, const char *address, int64_t now_ms);
/* They were right. */
void throttle_succeeded(struct throttle *throttle, const char *address);

#endif
