/* What the files of net/ share about the loop. Private to net/. */
#ifndef ARROWPORT_NET_LOOP_H
#define ARROWPORT_NET_LOOP_H

#include <stdbool.h>

#include <uv.h>

#include "net/net.h"

/* Something to be done on the loop's own thread once the callback that is running now
 * has returned: how net/ avoids calling its users back from inside their own calls.
 * Costs no system call, unlike net_loop_post. A zeroed struct with `run` and `context`
 * set is ready. */
struct loop_soon {
  void (*run)(void *context);
  void *context;
  struct loop_soon *next, *previous;
  bool queued;
};

uv_loop_t *loop_uv(struct net_loop *loop);
void loop_soon(struct net_loop *loop, struct loop_soon *soon);
void loop_soon_cancel(struct net_loop *loop, struct loop_soon *soon);

#endif
