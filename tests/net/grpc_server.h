/* A small gRPC server for tests of the client, over nghttp2's server side and blocking sockets: what
 * it does is said by the method.
 *
 *   /t/echo        every byte comes back
 *   /t/sink        one message of 8 bytes at the end: how many bytes came (little endian)
 *   /t/source      the first message is "COUNT BYTES": so many messages of so many bytes
 *   /t/raw         the first message's content is the body of the answer, then grpc-status 0
 *   /t/fail/N      trailers only: grpc-status N, grpc-message "no%20luck%21", grpc-retry-pushback-ms 7
 *   /t/late/N      one message, then grpc-status N
 *   /t/http/N      HTTP status N, nothing of gRPC
 *   /t/type        200, content-type text/html
 *   /t/nostatus    a message, then the end without trailers
 *   /t/never       no answer
 *   /t/deaf        no answer, and nothing is taken: its window stays shut
 *   /t/reset/N     RST_STREAM with code N
 *   /t/goaway      GOAWAY that does not cover this call, then the connection ends
 *   /t/close       the connection ends
 *   /t/answerfirst every byte comes back, but nothing more is taken before that was
 *   /t/headers     headers without end
 *   /t/pings       pings without end
 *   /t/frozen      the connection does nothing more, not even for pings
 *   /t/meta        the request's headers come back as "x-NAME" (x- and grpc-timeout, te, user-agent) */
#ifndef ARROWPORT_TESTS_NET_GRPC_SERVER_H
#define ARROWPORT_TESTS_NET_GRPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct grpc_test_server;

struct grpc_test_options {
  const char *cert_path, *key_path, *client_ca_path; /* NULL: plain text */
  bool no_alpn;
  bool mute;            /* takes connections and says nothing */
  const void *greeting; /* sent instead of HTTP/2 */
  size_t greeting_bytes;
  int streams_max; /* 0: 100 */
};

struct grpc_test_server *grpc_test_server_new(const struct grpc_test_options *options);
int grpc_test_server_port(const struct grpc_test_server *server);
/* How many connections it has taken. */
int grpc_test_server_connections(const struct grpc_test_server *server);
/* Whether it has seen a stream reset with CANCEL. Waits for it for up to 5 s. */
bool grpc_test_server_saw_cancel(struct grpc_test_server *server);
void grpc_test_server_free(struct grpc_test_server *server);

#endif
