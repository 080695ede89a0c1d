/* A server for tests, on a loop in a thread of its own, whose service does what the
 * request's path says:
 *
 *   /echo            takes the body, answers with it
 *   /count?window=N  takes the body through windows of N bytes, answers "bytes sum"
 *   /none            404 at once, without looking at the body
 *   /slow            takes the body; 200 "slow" from another thread, some time later
 *   /never           takes the body, never answers
 *   /early?at=N      takes the body; answers 413 once N bytes have come
 *   /fail?at=N       its handler fails once N bytes have come; 422 from another thread
 *   /pause           takes the body, pausing after each piece for a millisecond
 *   /admit           leaves the body unread, and takes it some time later as /count does
 *   /stream?n=N&size=S   N pieces of S bytes, no more at once than is writable
 *   /flood?n=N&size=S    the same without minding
 *   /abort           begins an answer and breaks it off
 *   /header?v=V      answers with the header `x-v: V`
 *   /free            frees the server from inside the request
 *   any other        200 with the method and the target */
#ifndef ARROWPORT_TESTS_NET_WORLD_H
#define ARROWPORT_TESTS_NET_WORLD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/net.h"

struct world {
  struct http_server_options options; /* set before world_start; port 0 */
  struct net_loop *loop;
  struct http_server *server;
  pthread_t thread;
  int port;
  struct budget budget; /* what answers are made of */
  struct net_post stop;
  struct net_post drain;
  int threads; /* that will post; the loop's thread alone looks */
  bool stopping;

  _Atomic int requests, finished;
  _Atomic int ends, gones;       /* of bodies */
  _Atomic int clients_gone;      /* http_on_gone */
  _Atomic int windows_after_end; /* calls to a handler that should hear nothing more */
  _Atomic int drained;
  _Atomic int64_t queued_bytes_max; /* of answers, at any time */
};

/* Short times, small limits; to be changed before world_start. */
struct world *world_new(void);
void world_start(struct world *world);
/* Frees the server from the loop, ends the loop, and checks that each request has
 * finished, nothing was called too late, and no memory is held. */
void world_end(struct world *world);
/* Waits until `counter` is at least `wanted`, or fails. */
void world_wait(const _Atomic int *counter, int wanted);

#endif
