/* A browser is a client that a stranger's page can make ask, from inside the network or from this
 * machine itself. Three headers tell:
 *
 * `Host` is the name that the browser was given. A name that an attacker's DNS leads to this
 * server ("rebinding") is still the attacker's, so only names that are known to be ours are
 * answered to. A numeric address cannot be rebound: whoever has it in Host has asked the machine
 * of that address, and a page that came from there is that machine's.
 * `Origin` is sent with every cross-origin request but plain GETs: it must be the Host that is
 * asked, or one that the configuration lists.
 * `Sec-Fetch-Site` is sent with those GETs too, by browsers that trust the connection. */
#include "server/private.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* "db.example.org:8888", "[::1]". */
struct authority {
  char host[256]; /* without brackets, lower case as it came */
  int port;       /* -1: none is given */
};

static bool is_numeric(const char *host, int family) {
  struct in6_addr address;
  return inet_pton(family, host, &address) == 1;
}

/* False for what is none, or longer than a name can be. */
static bool split(const char *text, struct authority *authority) {
  bool brackets = text[0] == '[';
  const char *host = text + (brackets ? 1 : 0);
  size_t bytes = strcspn(host, brackets ? "]" : ":");
  if (bytes == 0 || bytes >= sizeof authority->host) return false;
  memcpy(authority->host, host, bytes);
  authority->host[bytes] = '\0';
  const char *rest = host + bytes;
  if (brackets && *rest++ != ']') return false;
  if (brackets && !is_numeric(authority->host, AF_INET6)) return false;
  authority->port = -1;
  if (*rest == '\0') return true;
  size_t digits = *rest == ':' ? strspn(rest + 1, "0123456789") : 0;
  if (digits == 0 || digits > 5 || rest[1 + digits] != '\0') return false;
  authority->port = (int)strtol(rest + 1, NULL, 10);
  return authority->port <= 65535;
}

/* Names by their letters, numeric addresses by what they mean. */
static bool same_host(const char *one, const char *other) {
  struct in6_addr a, b;
  if (inet_pton(AF_INET6, one, &a) == 1 && inet_pton(AF_INET6, other, &b) == 1)
    return memcmp(&a, &b, sizeof a) == 0;
  return strcasecmp(one, other) == 0;
}

static int port_or(int port, bool secure) { return port >= 0 ? port : secure ? 443 : 80; }

/* ---- Host ------------------------------------------------------------------------------ */

static bool is_loopback_name(const char *host) {
  static const char *const names[] = {"127.0.0.1", "localhost", "::1"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (same_host(host, names[i])) return true;
  return false;
}

/* A numeric address that this server can be reached by: the one listened on, or with a socket
 * that listens on all of them (or that somebody else opened) any but "all of them" itself. */
static bool is_own_address(const char *host, const struct server_config *config) {
  if (!is_numeric(host, AF_INET) && !is_numeric(host, AF_INET6)) return false;
  if (same_host(host, "0.0.0.0") || same_host(host, "::")) return false;
  bool any = strcmp(config->host, "0.0.0.0") == 0 || strcmp(config->host, "::") == 0 ||
             config->http.listen_fd > 0;
  return any || same_host(host, config->host);
}

static bool is_listed(const struct authority *host, const struct server_config *config,
                      bool secure) {
  for (size_t i = 0; i < config->allowed_host_count; i++) {
    const char *allowed = config->allowed_hosts[i];
    struct authority entry;
    if (strcmp(allowed, "*") == 0) return true;
    if (is_numeric(allowed, AF_INET6)) { /* written without brackets */
      if (same_host(allowed, host->host)) return true;
    } else if (split(allowed, &entry) && same_host(entry.host, host->host) &&
               (entry.port < 0 || entry.port == port_or(host->port, secure))) {
      return true;
    }
  }
  return false;
}

static enum status check_host(const struct http_request *request, const struct http_peer *peer,
                              const struct server_config *config, struct authority *host,
                              struct error *error) {
  /* HTTP/1.0 may leave Host out; nobody who speaks to this server needs to. */
  if (split(request->host, host) &&
      (is_loopback_name(host->host) || is_own_address(host->host, config) ||
       is_listed(host, config, peer->secure)))
    return STATUS_OK;
  return error_set(error, STATUS_DENIED,
                   "the Host header names %.100s, which this server does not answer to; ask by a "
                   "numeric address or by localhost, or list the name under allowed_hosts in its "
                   "configuration",
                   request->host);
}

/* ---- Origin ---------------------------------------------------------------------------- */

/* "https://app.example.org:8443" */
static bool split_origin(const char *origin, bool *secure, struct authority *authority) {
  *secure = strncasecmp(origin, "https://", 8) == 0;
  if (!*secure && strncasecmp(origin, "http://", 7) != 0) return false;
  return split(origin + (*secure ? 8 : 7), authority);
}

const char *access_origin(const struct http_request *request, const struct server_config *config) {
  const char *origin = http_request_header(request, "origin");
  struct authority from = {0}, allowed = {0};
  bool from_secure = false, allowed_secure = false;
  if (origin == NULL || !split_origin(origin, &from_secure, &from)) return NULL;
  for (size_t i = 0; i < config->allowed_origin_count; i++)
    if (split_origin(config->allowed_origins[i], &allowed_secure, &allowed) &&
        allowed_secure == from_secure && same_host(allowed.host, from.host) &&
        port_or(allowed.port, allowed_secure) == port_or(from.port, from_secure))
      return origin;
  return NULL;
}

/* The page came from what is asked now. */
static bool is_own_origin(const char *origin, const struct authority *host, bool secure) {
  struct authority from = {0};
  bool from_secure = false;
  return split_origin(origin, &from_secure, &from) && from_secure == secure &&
         same_host(from.host, host->host) &&
         port_or(from.port, secure) == port_or(host->port, secure);
}

enum status access_check(const struct http_request *request, const struct http_peer *peer,
                         const struct server_config *config, struct error *error) {
  struct authority host = {0};
  enum status status = check_host(request, peer, config, &host, error);
  if (status != STATUS_OK || access_origin(request, config) != NULL) return status;

  const char *origin = http_request_header(request, "origin");
  if (origin != NULL && !is_own_origin(origin, &host, peer->secure))
    return error_set(error, STATUS_DENIED,
                     "requests of web pages from %.100s are refused; only pages of this server "
                     "may ask, and those of the allowed_origins in its configuration",
                     origin);

  const char *site = http_request_header(request, "sec-fetch-site");
  if (site != NULL && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
    return error_set(error, STATUS_DENIED,
                     "requests that a web page of another site makes are refused");
  return STATUS_OK;
}
