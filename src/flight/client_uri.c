/* Addresses of Flight servers: Flight.rst "Transport URIs", and flightsql:// as the drivers of JDBC and
 * ADBC mean it. Nothing of an address is a secret: it gets into messages, so one with a user in it is
 * refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "flight/client.h"

struct scheme {
  const char *text;
  bool tls;
  bool takes_query;
};

static const struct scheme schemes[] = {
    {"grpc://", false, false},
    {"grpc+tcp://", false, false},
    {"grpc+tls://", true, false},
    {"flightsql://", true, true},
};

static const char REUSE[] = "arrow-flight-reuse-connection:";

static const struct scheme *find_scheme(const char *text) {
  for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
    if (strncasecmp(text, schemes[i].text, strlen(schemes[i].text)) == 0) return &schemes[i];
  return NULL;
}

bool flight_uri_is(const char *text) { return text != NULL && find_scheme(text) != NULL; }

static enum status parse_port(const char *text, size_t bytes, int *port, struct error *error) {
  int value = 0;
  bool good = bytes > 0 && bytes <= 5;
  for (size_t i = 0; i < bytes && good; i++) {
    good = text[i] >= '0' && text[i] <= '9';
    value = value * 10 + (text[i] - '0');
  }
  if (!good || value < 1 || value > 65535)
    return error_set(error, STATUS_INVALID, "the port '%.*s' is none; ports go from 1 to 65535",
                     (int)(bytes < 20 ? bytes : 20), text);
  *port = value;
  return STATUS_OK;
}

/* HOST, HOST:PORT, [IPV6]:PORT */
static enum status parse_authority(const char *text, size_t bytes, struct flight_uri *uri,
                                   struct error *error) {
  const char *end = text + bytes;
  const char *host = text;
  const char *host_end;
  if (memchr(text, '@', bytes) != NULL)
    return error_set(error, STATUS_INVALID,
                     "a user does not belong into the address, which gets into messages; give it "
                     "on its own");
  if (bytes > 0 && text[0] == '[') {
    host = text + 1;
    host_end = memchr(text, ']', bytes);
    if (host_end == NULL)
      return error_set(error, STATUS_INVALID, "the address begins with [ and has no ]");
    text = host_end + 1;
  } else {
    host_end = memchr(text, ':', bytes);
    if (host_end == NULL) host_end = end;
    text = host_end;
  }
  size_t host_bytes = (size_t)(host_end - host);
  if (host_bytes == 0 || host_bytes >= sizeof uri->host)
    return error_set(error, STATUS_INVALID, "the address names no host; write grpc://HOST:PORT");
  memcpy(uri->host, host, host_bytes);
  uri->host[host_bytes] = '\0';
  if (text == end) return STATUS_OK;
  if (text[0] != ':')
    return error_set(error, STATUS_INVALID, "'%.*s' follows the host; write grpc://HOST:PORT",
                     (int)(end - text < 40 ? end - text : 40), text);
  return parse_port(text + 1, (size_t)(end - text - 1), &uri->port, error);
}

/* true, false, 1, 0; -1: neither */
static int truth(const char *value, size_t bytes) {
  static const char *const words[] = {"false", "true", "0", "1"};
  for (int i = 0; i < 4; i++)
    if (strlen(words[i]) == bytes && strncasecmp(words[i], value, bytes) == 0) return i % 2;
  return -1;
}

static bool names(const char *name, size_t bytes, const char *wanted) {
  return strlen(wanted) == bytes && strncasecmp(name, wanted, bytes) == 0;
}

static enum status take_parameter(const char *name, size_t name_bytes, const char *value,
                                  size_t value_bytes, struct flight_uri *uri, struct error *error) {
  int is_true = truth(value, value_bytes);
  bool known = true;
  if (names(name, name_bytes, "transport") && names(value, value_bytes, "tls"))
    uri->tls = true;
  else if (names(name, name_bytes, "transport") && names(value, value_bytes, "tcp"))
    uri->tls = false;
  else if (names(name, name_bytes, "useEncryption") && is_true >= 0)
    uri->tls = is_true == 1;
  else if (names(name, name_bytes, "disableCertificateVerification") && is_true >= 0)
    uri->insecure = is_true == 1;
  else
    known = false;
  if (known) return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "'%.*s' is not understood in an address; transport=tls|tcp, "
                   "useEncryption=true|false and disableCertificateVerification=true|false are",
                   (int)(name_bytes < 60 ? name_bytes : 60), name);
}

static enum status parse_query(const char *query, struct flight_uri *uri, struct error *error) {
  enum status status = STATUS_OK;
  while (*query != '\0' && status == STATUS_OK) {
    size_t bytes = strcspn(query, "&");
    const char *equals = memchr(query, '=', bytes);
    size_t name_bytes = equals == NULL ? bytes : (size_t)(equals - query);
    const char *value = equals == NULL ? query + bytes : equals + 1;
    size_t value_bytes = (size_t)(query + bytes - value);
    if (bytes > 0) status = take_parameter(query, name_bytes, value, value_bytes, uri, error);
    query += bytes + (query[bytes] == '&');
  }
  return status;
}

enum status flight_uri_parse(const char *text, struct flight_uri *uri, struct error *error) {
  *uri = (struct flight_uri){.port = FLIGHT_PORT_DEFAULT};
  if (strncasecmp(text, REUSE, strlen(REUSE)) == 0) {
    uri->reuse = true;
    return STATUS_OK;
  }
  const struct scheme *scheme = find_scheme(text);
  if (scheme == NULL)
    return error_set(error, STATUS_UNSUPPORTED,
                     "'%.100s' is no address that is spoken here; grpc://HOST:PORT, "
                     "grpc+tls://HOST:PORT and flightsql://HOST:PORT are",
                     text);
  uri->tls = scheme->tls;
  const char *authority = text + strlen(scheme->text);
  size_t bytes = strcspn(authority, "/?#");
  const char *rest = authority + bytes;
  enum status status = parse_authority(authority, bytes, uri, error);
  if (status == STATUS_OK && *rest == '/') rest++;
  if (status == STATUS_OK && *rest == '?' && (scheme->takes_query || rest[1] == '\0'))
    status = parse_query(rest + 1, uri, error);
  else if (status == STATUS_OK && *rest != '\0')
    status =
        error_set(error, STATUS_INVALID, "'%.60s' follows the host; write grpc://HOST:PORT", rest);
  if (status != STATUS_OK) error_at(error, "'%.100s'", strchr(text, '@') == NULL ? text : "...");
  return status;
}
