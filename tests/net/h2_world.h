/* An HTTP/2 core and a client of it, in memory, on a clock that the test moves.
 *
 * The client is nghttp2's, which checks what it gets and must never see a rule broken; raw
 * frames may be put among what it sends. The service does what the request's path says:
 *
 *   /echo            takes the body, answers with it
 *   /count           takes the body, answers its length
 *   /pause           takes the body, pauses at once; h2_resume lets it go on, then as /count
 *   /step            as /count, pausing after each piece
 *   /wait            leaves the body until h2_resume, then as /count
 *   /fail            its handler fails at once, h2_resume answers 422
 *   /early           takes the body; answers 413 with the first piece
 *   /none            404 at once, without looking at the body
 *   /never           takes the body, never answers
 *   /stream?N        N bytes, as long as it is writable
 *   /flood?N         N bytes, without minding
 *   /open            begins an answer, writes "begun"; h2_resume ends it
 *   /abort           begins an answer, writes "begun"; h2_resume breaks it off
 *   /empty           204
 *   /leave?WHERE     ends the connection from its request, filled, end or writable
 *   /header          answers with fields that may not go out as they are
 *   any other        200 with the method, the target, the host and the cookie */
#ifndef ARROWPORT_TESTS_NET_H2_WORLD_H
#define ARROWPORT_TESTS_NET_H2_WORLD_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/http2.h"

enum { H2_CALLS_MAX = 256, H2_BYTES_MAX = 64 << 20 };

/* A request as the service sees it. */
struct h2_exchange {
  struct http_exchange *exchange; /* NULL: finished */
  struct h2_world *world;
  int64_t body_bytes_said; /* http_request.body_bytes */
  uint8_t window[5000];
  uint8_t *body; /* of /echo */
  int64_t body_bytes;
  int64_t to_send_bytes;
  int ends, gones, clients_gone, finished;
  char why[256];
};

/* A request as the client sees it. */
struct h2_call {
  int32_t id;
  const uint8_t *to_send;
  int64_t to_send_bytes, sent_bytes;
  bool endless; /* its body never ends */
  int status, interim;
  char fields[4096]; /* "name: value\n", those of trailers behind "\n" */
  int heads;         /* blocks of fields of the answer, trailers included */
  uint8_t *body;
  int64_t body_bytes;
  bool ended;  /* the answer is whole */
  bool closed; /* and the stream */
  int64_t reset_code;
};

struct h2_world {
  struct http_server_options options;
  struct http_service service;
  struct http_peer peer;
  struct budget budget;
  struct http_server_stats stats;
  struct http2 *http2;
  int64_t clock_ms;

  uint8_t *to_client, *to_server;
  size_t to_client_bytes, to_server_bytes;
  size_t client_had_bytes; /* of to_client */
  bool stuck;              /* the socket takes nothing: all is unsent */
  bool silent;             /* the client sends nothing */
  bool soon;
  size_t piece_bytes; /* how what the client sends is cut; 0: not at all */
  enum status status; /* of the core's last call that failed */
  struct error error;
  int sends, buffers; /* calls of `send`; those with a buffer */

  nghttp2_session *client;
  struct h2_call calls[H2_CALLS_MAX];
  int call_count;
  int64_t goaway_code, goaway_last_id; /* -1: none */
  int goaways;
  int64_t data_frame_bytes_max;
  int32_t last_data_id;
  int data_turns; /* times that another stream's DATA followed */

  struct h2_exchange *exchanges[H2_CALLS_MAX];
  int exchange_count;
  bool take_body_windows; /* client opens its windows; false: nobody reads */
};

/* Short limits and generous ones, to be changed before h2_start. */
struct h2_world *h2_new(void);
/* Makes the core and shakes hands. A `service` that was set before takes the place of the one above. */
void h2_start(struct h2_world *world);
/* Ends all; checks that every request is finished and nothing is held. */
void h2_end(struct h2_world *world);

/* Both sides exchange what they have until nothing moves. */
void h2_pump(struct h2_world *world);
/* As h2_pump, but what the server sends stays where it is. */
void h2_to_server(struct h2_world *world);
void h2_pass(struct h2_world *world, int64_t ms); /* moves the clock, ticks, pumps */

/* A request; `body` must outlive it. body_bytes 0: none. Fields: "name: value\n"... or NULL. */
struct h2_call *h2_ask(struct h2_world *world, const char *method, const char *path,
                       const char *fields, const void *body, int64_t body_bytes);
/* A raw frame behind what the client has to send. */
void h2_raw(struct h2_world *world, uint8_t type, uint8_t flags, uint32_t id, const void *payload,
            size_t bytes);
/* The nth request that the service was asked. */
struct h2_exchange *h2_seen(struct h2_world *world, int nth);
/* Resumes, ends or breaks off: what the path says. */
void h2_resume(struct h2_world *world, int nth);
const char *h2_body(struct h2_call *call); /* of the answer, as text */

#endif
