/* An HTTP client: one request at a time, bodies streamed both ways, over libcurl.
 *
 * https:// is TLS 1.2 or newer, with HTTP/2 where the server has it; http:// is HTTP/1.1. No
 * redirect is followed, so a secret goes to nobody but the server that was named. A user in
 * the URL is refused: URLs get into messages.
 *
 * libcurl is loaded when the first client is made, not linked: resolving it and what it
 * draws in costs 6 ms at every start, also of commands that make no request. */
#ifndef ARROWPORT_NET_HTTP_CLIENT_H
#define ARROWPORT_NET_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "net/net.h"

struct http_client; /* keeps its connection from one request to the next; one thread */

/* STATUS_UNAVAILABLE when libcurl cannot be loaded (says which package has it). */
enum status http_client_new(struct http_client **client, struct error *error) WARN_UNUSED;
void http_client_free(struct http_client *client); /* NULL is allowed */

/* Whom to trust, and who we are. All is copied; NULL: not given. */
struct http_client_access {
  const char *ca_path; /* PEM: who signs the server's certificate, in place of the system's list */
  const char *cert_path; /* PEM: a client certificate, then those that lead to its root */
  const char *key_path;  /* PEM: its private key; NULL: in cert_path too */
  const char *token;     /* "Authorization: Bearer TOKEN" */
  const char *user;      /* "Authorization: Basic ..." */
  const char *password;
  bool http1;    /* speaks HTTP/1.1 even where the server has HTTP/2 */
  bool insecure; /* takes whatever certificate the server shows: anybody may read and answer */
};

/* For all requests from now on; what was set before is forgotten. Secrets get into no error
 * and no log. STATUS_INVALID: what cannot be sent, or does not go together; STATUS_NOT_FOUND,
 * STATUS_DENIED, STATUS_IO: a file that cannot be read. */
enum status http_client_set_access(struct http_client *client,
                                   const struct http_client_access *access,
                                   struct error *error) WARN_UNUSED;

struct http_client_request {
  const char *method;
  const char *url;
  const struct http_header *headers;
  size_t header_count;
  const void *body; /* a whole body; NULL: none, or read_body */
  size_t body_bytes;
  /* A streamed body: puts 1 to `room_bytes` bytes into `room`, or none at its end. A
   * failure gives the request up, and is what http_client_send then returns. */
  enum status (*read_body)(void *context, void *room, size_t room_bytes, size_t *bytes,
                           struct error *error);
  /* The answer's body, piece by piece, with the answer's code. NULL: dropped. A failure
   * as above. */
  enum status (*answer)(void *context, int code, const void *data, size_t bytes,
                        struct error *error);
  void *context;
  int64_t connect_timeout_ms; /* 0: 10 s */
  int64_t timeout_ms;         /* of the whole; 0: none */
};

/* Sends the request and reads its answer; blocks. STATUS_OK whenever the server gave a
 * whole answer, whatever its code.
 * STATUS_UNAVAILABLE: nobody answers there, or the answer broke off; STATUS_UNKNOWN: the
 * request was sent whole, could change something, and no answer came; STATUS_TIMEOUT;
 * STATUS_INVALID: not an http:// or https:// URL; STATUS_DENIED: the server's certificate is not
 * to be trusted, or it does not take ours. */
enum status http_client_send(struct http_client *client, const struct http_client_request *request,
                             int *code, struct error *error) WARN_UNUSED;

/* A header of the last answer, or NULL. Valid until the next request. */
const char *http_client_header(struct http_client *client, const char *name);

#endif
