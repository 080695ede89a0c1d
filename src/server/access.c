/* A browser on this machine is a client on loopback, and the page it shows may come
 * from anywhere. Three headers tell: `Host` (a name that an attacker's DNS points to
 * 127.0.0.1 is still not ours), `Origin` (sent with every cross-origin request but
 * plain GETs) and `Sec-Fetch-Site` (sent with those too). */
#include "server/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const loopback_names[] = {"127.0.0.1", "localhost", "[::1]"};

/* The port at the end of `authority` when what is before it is a loopback name:
 * `fallback` when there is none; -1 when it is another name or no port. */
static long loopback_port(const char *authority, long fallback) {
  for (size_t i = 0; i < sizeof loopback_names / sizeof loopback_names[0]; i++) {
    size_t length = strlen(loopback_names[i]);
    if (strncasecmp(authority, loopback_names[i], length) != 0) continue;
    const char *rest = authority + length;
    if (*rest == '\0') return fallback;
    size_t digits = *rest == ':' ? strspn(rest + 1, "0123456789") : 0;
    if (digits == 0 || digits > 5 || rest[1 + digits] != '\0') continue;
    return strtol(rest + 1, NULL, 10);
  }
  return -1;
}

enum status access_check(const struct http_request *request, const struct http_peer *peer,
                         const struct server_config *config, int port, struct error *error) {
  (void)peer, (void)config;
  /* HTTP/1.0 may leave Host out; nobody who speaks to this server needs to. */
  if (loopback_port(request->host, port) < 0)
    return error_set(error, STATUS_DENIED,
                     "the Host header names %.100s; this server answers to 127.0.0.1, localhost "
                     "and [::1] only",
                     request->host);

  const char *origin = http_request_header(request, "origin");
  if (origin != NULL) {
    static const char scheme[] = "http://";
    size_t length = sizeof scheme - 1;
    bool own = strncasecmp(origin, scheme, length) == 0 &&
               loopback_port(origin + length, 80) == (long)port;
    if (!own)
      return error_set(error, STATUS_DENIED,
                       "requests of web pages from %.100s are refused; only pages of this server "
                       "may ask",
                       origin);
  }

  const char *site = http_request_header(request, "sec-fetch-site");
  if (site != NULL && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
    return error_set(error, STATUS_DENIED,
                     "requests that a web page of another site makes are "
                     "refused");
  return STATUS_OK;
}
