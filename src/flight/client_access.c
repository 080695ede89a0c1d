/* Who the client is to its servers: headers, cookies, and a user's Handshake.
 *
 * A user is told as pyarrow, Java and ADBC do: a Handshake with "Authorization: Basic", and a
 * BasicAuth message for servers of the older kind. A server answers with a header "authorization",
 * which is sent from then on, or with a payload, which is sent as auth-token-bin. One that has no
 * Handshake, or answers with neither, gets the Basic header with every call. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "flight/client_private.h"

enum { COOKIES_MAX = 50, COOKIE_BYTES_MAX = 4096, PAYLOAD_BYTES_MAX = 16384 };

char *flight_client_base64(const void *data, size_t bytes) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const uint8_t *from = data;
  char *text = malloc((bytes + 2) / 3 * 4 + 1);
  char *to = text;
  if (text == NULL) return NULL;
  for (size_t at = 0; at < bytes; at += 3) {
    size_t left = bytes - at;
    uint32_t group = (uint32_t)from[at] << 16;
    if (left > 1) group |= (uint32_t)from[at + 1] << 8;
    if (left > 2) group |= from[at + 2];
    *to++ = digits[group >> 18];
    *to++ = digits[group >> 12 & 63];
    *to++ = left > 1 ? digits[group >> 6 & 63] : '=';
    *to++ = left > 2 ? digits[group & 63] : '=';
  }
  *to = '\0';
  return text;
}

/* ---- headers -------------------------------------------------------------------------------------- */

enum status flight_client_headers_add(struct flight_client_headers *headers, const char *name,
                                      const char *value, struct error *error) {
  struct http_header *list = realloc(headers->list, (headers->count + 1) * sizeof headers->list[0]);
  if (list == NULL) return error_set(error, STATUS_NOMEM, "no memory for headers");
  headers->list = list;
  char *name_copy = strdup(name);
  char *value_copy = strdup(value);
  if (name_copy == NULL || value_copy == NULL) {
    free(name_copy);
    free(value_copy);
    return error_set(error, STATUS_NOMEM, "no memory for headers");
  }
  list[headers->count++] = (struct http_header){name_copy, value_copy};
  return STATUS_OK;
}

/* Headers are copies of ours: their texts may be freed. */
static void free_text(const char *text) {
  char *own;
  memcpy(&own, &text, sizeof own);
  if (own != NULL) explicit_bzero(own, strlen(own));
  free(own);
}

void flight_client_headers_release(struct flight_client_headers *headers) {
  for (size_t i = 0; i < headers->count; i++) {
    free_text(headers->list[i].name);
    free_text(headers->list[i].value);
  }
  free(headers->list);
  *headers = (struct flight_client_headers){.count = 0};
}

static bool has(const struct flight_client_headers *headers, const char *name) {
  for (size_t i = 0; i < headers->count; i++)
    if (strcmp(headers->list[i].name, name) == 0) return true;
  return false;
}

/* "a=1; b=2"; the client is locked. */
static enum status add_cookies(const struct flight_client *client,
                               struct flight_client_headers *headers, struct error *error) {
  struct text line = TEXT_EMPTY;
  enum status status = STATUS_OK;
  for (const struct flight_cookie *cookie = client->cookies; cookie != NULL && status == STATUS_OK;
       cookie = cookie->next)
    status = text_add_format(&line, error, "%s%s=%s", line.size_bytes == 0 ? "" : "; ",
                             cookie->name, cookie->value);
  if (status == STATUS_OK && line.size_bytes > 0)
    status = flight_client_headers_add(headers, "cookie", text_get(&line), error);
  text_release(&line);
  return status;
}

enum status flight_client_headers_make(struct flight_client *client, const struct flight_site *site,
                                       const struct flight_call_options *options,
                                       struct flight_client_headers *headers, struct error *error) {
  enum status status = STATUS_OK;
  *headers = (struct flight_client_headers){.count = 0};
  if (!site->trusted) return STATUS_OK;
  for (size_t i = 0; options != NULL && i < options->header_count && status == STATUS_OK; i++)
    status = flight_client_headers_add(headers, options->headers[i].name, options->headers[i].value,
                                       error);
  size_t own_count = headers->count; /* a call's own come in place of the client's */
  for (size_t i = 0; i < client->header_count && status == STATUS_OK; i++) {
    struct flight_client_headers own = {headers->list, own_count};
    if (!has(&own, client->headers[i].name))
      status = flight_client_headers_add(headers, client->headers[i].name, client->headers[i].value,
                                         error);
  }
  pthread_mutex_lock(&client->lock);
  if (status == STATUS_OK && client->authorization != NULL && !has(headers, "authorization"))
    status = flight_client_headers_add(headers, "authorization", client->authorization, error);
  if (status == STATUS_OK && client->auth_token != NULL && !has(headers, "auth-token-bin"))
    status = flight_client_headers_add(headers, "auth-token-bin", client->auth_token, error);
  if (status == STATUS_OK && !has(headers, "cookie")) status = add_cookies(client, headers, error);
  pthread_mutex_unlock(&client->lock);
  if (status != STATUS_OK) flight_client_headers_release(headers);
  return status;
}

/* ---- cookies ----------------------------------------------------------------------------------------- */

static void cookie_free(struct flight_cookie *cookie) {
  free(cookie->name);
  free(cookie->value);
  free(cookie);
}

void flight_client_cookies_free(struct flight_cookie *cookies) {
  for (struct flight_cookie *next; cookies != NULL; cookies = next) {
    next = cookies->next;
    cookie_free(cookies);
  }
}

/* Whether the attributes of a Set-Cookie take the cookie back: Max-Age=0 or less. (An Expires that is
 * past is always said with it by those who clear cookies in Flight.) */
static bool is_taken_back(const char *attributes) {
  for (; *attributes != '\0'; attributes += strcspn(attributes, ";")) {
    attributes += strspn(attributes, "; ");
    if (strncasecmp(attributes, "max-age=", 8) == 0) return strtol(attributes + 8, NULL, 10) <= 0;
    if (strncasecmp(attributes, "expires=Thu, 01 Jan 1970", 24) == 0) return true;
  }
  return false;
}

enum status flight_client_cookie_set(struct flight_client *client, const char *header,
                                     struct error *error) {
  size_t bytes = strcspn(header, ";");
  const char *equals = memchr(header, '=', bytes);
  int count = 0;
  if (equals == NULL || equals == header || bytes > COOKIE_BYTES_MAX) return STATUS_OK;
  struct flight_cookie *made = calloc(1, sizeof *made);
  if (made != NULL) {
    made->name = strndup(header, (size_t)(equals - header));
    made->value = strndup(equals + 1, (size_t)(header + bytes - equals - 1));
  }
  if (made == NULL || made->name == NULL || made->value == NULL) {
    if (made != NULL) cookie_free(made);
    return error_set(error, STATUS_NOMEM, "no memory for a cookie");
  }
  pthread_mutex_lock(&client->lock);
  struct flight_cookie **at = &client->cookies;
  for (; *at != NULL && strcmp((*at)->name, made->name) != 0; at = &(*at)->next) count++;
  if (*at != NULL) { /* the old one goes; the new one takes its place */
    struct flight_cookie *old = *at;
    *at = old->next;
    cookie_free(old);
  }
  if (is_taken_back(header + bytes) || count >= COOKIES_MAX) {
    cookie_free(made);
  } else {
    made->next = *at;
    *at = made;
  }
  pthread_mutex_unlock(&client->lock);
  return STATUS_OK;
}

void flight_client_cookies_take(struct flight_client *client, const struct grpc_client_call *call) {
  const char *header;
  for (size_t i = 0; (header = grpc_client_header_at(call, "set-cookie", i)) != NULL; i++)
    if (flight_client_cookie_set(client, header, NULL) != STATUS_OK) return;
}

/* ---- Handshake ---------------------------------------------------------------------------------------- */

enum status flight_client_basic(const char *user, const char *password, char **header,
                                struct error *error) {
  struct text plain = TEXT_EMPTY;
  struct text line = TEXT_EMPTY;
  char *coded = NULL;
  enum status status = text_add_format(&plain, error, "%s:%s", user, password);
  if (status == STATUS_OK) {
    coded = flight_client_base64(text_get(&plain), plain.size_bytes);
    if (coded == NULL) status = error_set(error, STATUS_NOMEM, "no memory for a header");
  }
  if (status == STATUS_OK) status = text_add_format(&line, error, "Basic %s", coded);
  if (plain.data != NULL) explicit_bzero(plain.data, plain.size_bytes);
  text_release(&plain);
  free(coded);
  *header = line.data;
  return status;
}

static enum status pack_request(const struct flight_client *client, struct buffer *packed,
                                struct error *error) {
  Arrow__Flight__Protocol__BasicAuth auth = ARROW__FLIGHT__PROTOCOL__BASIC_AUTH__INIT;
  Arrow__Flight__Protocol__HandshakeRequest request =
      ARROW__FLIGHT__PROTOCOL__HANDSHAKE_REQUEST__INIT;
  struct buffer payload = BUFFER_EMPTY;
  auth.username = client->user;
  auth.password = client->password;
  enum status status = flight_client_pack(&auth.base, &payload, error);
  if (status == STATUS_OK) {
    request.payload = (ProtobufCBinaryData){(size_t)payload.size_bytes, payload.data};
    status = flight_client_pack(&request.base, packed, error);
  }
  if (payload.data != NULL) explicit_bzero(payload.data, (size_t)payload.size_bytes);
  buffer_release(&payload);
  return status;
}

/* What the server gave in exchange: a header, or a payload. */
struct shaken {
  char *authorization;
  char *auth_token;
};

static enum status take_payload(const struct buffer *message, struct shaken *shaken,
                                struct error *error) {
  ProtobufCMessage *unpacked = NULL;
  enum status status = flight_client_unpack(&FLIGHT(handshake_response__descriptor), message->data,
                                            (size_t)message->size_bytes, &unpacked, error);
  if (status != STATUS_OK) return status;
  const Arrow__Flight__Protocol__HandshakeResponse *response = (void *)unpacked;
  if (response->payload.len > PAYLOAD_BYTES_MAX) {
    status = error_set(error, STATUS_TOO_LARGE, "the server's token has more than %d bytes",
                       PAYLOAD_BYTES_MAX);
  } else if (response->payload.len > 0) {
    free(shaken->auth_token);
    shaken->auth_token = flight_client_base64(response->payload.data, response->payload.len);
    if (shaken->auth_token == NULL) status = error_set(error, STATUS_NOMEM, "no memory");
  }
  protobuf_c_message_free_unpacked(unpacked, NULL);
  return status;
}

static enum status shake_once(struct flight_client *client, const char *basic,
                              const struct flight_call_options *options, struct shaken *shaken,
                              struct error *error) {
  struct flight_client_headers headers = {.count = 0};
  struct flight_client_call call = {.call = NULL};
  struct buffer request = BUFFER_EMPTY;
  struct buffer answer = BUFFER_EMPTY;
  bool got = true;
  enum status status = flight_client_headers_make(client, client->site, options, &headers, error);
  if (status == STATUS_OK)
    status = flight_client_headers_add(&headers, "authorization", basic, error);
  if (status == STATUS_OK) status = pack_request(client, &request, error);
  if (status == STATUS_OK)
    status = flight_client_call_start_as(client, client->site, FLIGHT_METHOD("Handshake"), &headers,
                                         options, flight_client_until_ms(client, options), NULL,
                                         &call, error);
  flight_client_headers_release(&headers);
  if (status != STATUS_OK) goto done;
  status = grpc_client_send(call.call, request.data, (size_t)request.size_bytes, error);
  if (status == STATUS_OK) status = grpc_client_close_sending(call.call, error);
  if (status == STATUS_CANCELLED) status = STATUS_OK; /* it has ended: next says how */
  while (status == STATUS_OK && got) {
    status = grpc_client_next(call.call, &answer, &got, error);
    if (status == STATUS_OK && got) status = take_payload(&answer, shaken, error);
    buffer_release(&answer);
  }
  const char *header = grpc_client_header(call.call, "authorization");
  if (status == STATUS_OK && header != NULL) {
    shaken->authorization = strdup(header);
    if (shaken->authorization == NULL) status = error_set(error, STATUS_NOMEM, "no memory");
  }
done:
  flight_client_call_end(&call);
  if (request.data != NULL) explicit_bzero(request.data, (size_t)request.size_bytes);
  buffer_release(&request);
  return status;
}

static enum status shake(struct flight_client *client, const struct flight_call_options *options,
                         struct error *error) {
  struct flight_client_retry retry = flight_client_retry_of(client, options);
  struct shaken shaken = {.authorization = NULL};
  char *basic = NULL;
  enum status status = flight_client_basic(client->user, client->password, &basic, error);
  if (status != STATUS_OK) return status;
  pthread_mutex_lock(&client->lock);
  free(client->authorization);
  client->authorization = NULL;
  pthread_mutex_unlock(&client->lock);
  do status = shake_once(client, basic, options, &shaken, error);
  while (status != STATUS_OK && flight_client_retry_again(&retry, status));
  if (status == STATUS_UNSUPPORTED) status = STATUS_OK; /* no Handshake there: Basic it is */
  if (status == STATUS_OK) {
    pthread_mutex_lock(&client->lock);
    bool needs_basic = shaken.authorization == NULL && shaken.auth_token == NULL;
    free(client->auth_token);
    client->authorization = needs_basic ? basic : shaken.authorization;
    client->auth_token = shaken.auth_token;
    client->has_shaken = true;
    pthread_mutex_unlock(&client->lock);
    if (needs_basic) basic = NULL;
    shaken = (struct shaken){.authorization = NULL};
  }
  free(shaken.authorization);
  free(shaken.auth_token);
  free(basic);
  return status;
}

enum status flight_client_shake(struct flight_client *client,
                                const struct flight_call_options *options, bool again,
                                struct error *error) {
  enum status status = STATUS_OK;
  if (client->user == NULL) return STATUS_OK;
  pthread_mutex_lock(&client->handshake);
  if (!client->has_shaken || again) status = shake(client, options, error);
  pthread_mutex_unlock(&client->handshake);
  return status;
}
