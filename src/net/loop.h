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
/* Memory of the loop's that anything may use until its callback returns; at least `bytes_min`.
 * NULL, 0: no memory. */
uint8_t *loop_scratch(struct net_loop *loop, size_t bytes_min, size_t *bytes);

void loop_soon_cancel(struct net_loop *loop, struct loop_soon *soon);

#endif
