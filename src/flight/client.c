/* A client of Flight servers: where it connects to, and with what.
 *
 * Invariants:
 *   1. `lock` guards sites, idle connections, cookies and what a Handshake found; all else is set
 *      when the client is opened. It is never held while anything is sent or waited for.
 *   2. A connection is either idle in its site or belongs to one call.
 *   3. Sites are added and never taken away: a pointer to one holds as long as the client. */
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "flight/client_private.h"

enum { SITES_MAX = 1024 }; /* locations that one server may name: each keeps connections */

/* ---- sites ---------------------------------------------------------------------------------------- */

static bool same_site(const struct flight_uri *left, const struct flight_uri *right) {
  return left->port == right->port && left->tls == right->tls &&
         strcasecmp(left->host, right->host) == 0;
}

/* Whether who is there may know what the client's own server knows. */
static bool is_trusted(const struct flight_client *client, const struct flight_uri *uri) {
  const struct flight_uri *own = &client->site->uri;
  if (client->share_credentials) return true;
  return strcasecmp(own->host, uri->host) == 0 && (uri->tls || !own->tls);
}

static enum status site_new(const struct flight_uri *uri, struct flight_site **site,
                            struct error *error) {
  *site = calloc(1, sizeof **site);
  if (*site == NULL) return error_set(error, STATUS_NOMEM, "no memory for a connection");
  (*site)->uri = *uri;
  return STATUS_OK;
}

enum status flight_client_site(struct flight_client *client, const struct flight_uri *uri,
                               struct flight_site **site, struct error *error) {
  enum status status = STATUS_OK;
  struct flight_site **at = &client->site;
  int count = 0;
  if (uri->reuse) {
    *site = client->site;
    return STATUS_OK;
  }
  pthread_mutex_lock(&client->lock);
  for (; *at != NULL && !same_site(&(*at)->uri, uri); at = &(*at)->next) count++;
  if (*at == NULL && count == SITES_MAX)
    status =
        error_set(error, STATUS_TOO_LARGE, "the server names more than %d locations", SITES_MAX);
  if (status == STATUS_OK && *at == NULL) {
    status = site_new(uri, at, error);
    assert(status != STATUS_OK || *at != NULL);
    if (status == STATUS_OK) (*at)->trusted = is_trusted(client, uri);
  }
  *site = *at;
  pthread_mutex_unlock(&client->lock);
  return status;
}

static void site_free(struct flight_site *site) {
  for (size_t i = 0; i < site->idle_count; i++) grpc_channel_close(site->idle[i]);
  free(site);
}

/* ---- opening ---------------------------------------------------------------------------------------- */

static enum status copy_text(const char *text, char **copy, struct error *error) {
  if (text == NULL) return STATUS_OK;
  *copy = strdup(text);
  return *copy != NULL ? STATUS_OK : error_set(error, STATUS_NOMEM, "no memory for a client");
}

/* What would end a header, or is none. */
static bool is_header_text(const char *text) {
  for (; *text != '\0'; text++)
    if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7F) return false;
  return true;
}

static bool is_header_name(const char *name) {
  if (name[0] == '\0' || strncmp(name, "grpc-", 5) == 0) return false;
  for (; *name != '\0'; name++)
    if (!islower((unsigned char)*name) && !isdigit((unsigned char)*name) &&
        strchr("-_.", *name) == NULL)
      return false;
  return true;
}

static enum status check_headers(const struct http_header *headers, size_t count,
                                 struct error *error) {
  for (size_t i = 0; i < count; i++) {
    if (headers[i].name == NULL || headers[i].value == NULL || !is_header_name(headers[i].name))
      return error_set(error, STATUS_INVALID,
                       "'%.60s' is no name of a header: lower case letters, digits, - _ . are, and "
                       "grpc- is gRPC's own",
                       headers[i].name == NULL ? "" : headers[i].name);
    if (!is_header_text(headers[i].value))
      return error_set(error, STATUS_INVALID, "header %.60s has a value that no header may have",
                       headers[i].name);
  }
  return STATUS_OK;
}

static enum status copy_headers(const struct flight_client_options *options,
                                struct flight_client *client, struct error *error) {
  struct flight_client_headers copy = {.count = 0};
  enum status status = check_headers(options->headers, options->header_count, error);
  for (size_t i = 0; i < options->header_count && status == STATUS_OK; i++)
    status = flight_client_headers_add(&copy, options->headers[i].name, options->headers[i].value,
                                       error);
  client->headers = copy.list;
  client->header_count = copy.count;
  return status;
}

static enum status copy_access(const struct flight_client_options *options,
                               struct flight_client *client, struct error *error) {
  client->has_shaken = options->user == NULL;
  if (options->token != NULL && options->user != NULL)
    return error_set(error, STATUS_INVALID, "give a token or a user, not both");
  if ((options->user == NULL) != (options->password == NULL))
    return error_set(error, STATUS_INVALID, "a user goes with a password");
  if (options->user != NULL && strchr(options->user, ':') != NULL)
    return error_set(error, STATUS_INVALID, "a user's name has no colon in it");
  enum status status = copy_text(options->user, &client->user, error);
  if (status == STATUS_OK) status = copy_text(options->password, &client->password, error);
  if (status != STATUS_OK || options->token == NULL) return status;
  if (options->token[0] == '\0' || !is_header_text(options->token))
    return error_set(error, STATUS_INVALID, "the token is empty, or has what no header may have");
  struct text header = TEXT_EMPTY;
  status = text_add_format(&header, error, "Bearer %s", options->token);
  client->authorization = header.data;
  return status;
}

/* A connection that is opened and closed again: it says which file is wrong, if one is. */
static enum status check_channel(struct flight_client *client, struct error *error);

static enum status open_client(const struct flight_client_options *options,
                               struct flight_client *client, struct error *error) {
  struct flight_uri uri;
  enum status status = flight_uri_parse(options->url, &uri, error);
  if (status == STATUS_OK && uri.reuse)
    status =
        error_set(error, STATUS_INVALID, "'%s' is an address for endpoints alone", options->url);
  if (status == STATUS_OK) status = site_new(&uri, &client->site, error);
  if (status != STATUS_OK) return status;
  client->site->trusted = true;
  client->insecure = options->insecure || uri.insecure;
  client->share_credentials = options->share_credentials;
  client->connect_timeout_ms = options->connect_timeout_ms;
  client->timeout_ms = options->timeout_ms;
  client->retries = options->retries == 0 ? 4 : options->retries < 0 ? 0 : options->retries;
  client->parallel = options->parallel <= 0 ? 4 : options->parallel > 64 ? 64 : options->parallel;
  client->budget = options->budget;
  status = copy_text(options->url, &client->url, error);
  if (status == STATUS_OK) status = copy_text(options->ca_path, &client->ca_path, error);
  if (status == STATUS_OK) status = copy_text(options->cert_path, &client->cert_path, error);
  if (status == STATUS_OK) status = copy_text(options->key_path, &client->key_path, error);
  if (status == STATUS_OK) status = copy_text(options->server_name, &client->server_name, error);
  if (status == STATUS_OK) status = copy_access(options, client, error);
  if (status == STATUS_OK) status = copy_headers(options, client, error);
  return status == STATUS_OK ? check_channel(client, error) : status;
}

enum status flight_client_open(const struct flight_client_options *options,
                               struct flight_client **client, struct error *error) {
  struct flight_client *made = calloc(1, sizeof *made);
  *client = NULL;
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a client");
  pthread_mutex_init(&made->lock, NULL);
  pthread_mutex_init(&made->handshake, NULL);
  enum status status = open_client(options, made, error);
  if (status == STATUS_OK)
    *client = made;
  else
    flight_client_close(made);
  return status;
}

static void free_secret(char *secret) {
  if (secret != NULL) explicit_bzero(secret, strlen(secret));
  free(secret);
}

void flight_client_close(struct flight_client *client) {
  if (client == NULL) return;
  for (struct flight_site *site = client->site, *next; site != NULL; site = next) {
    next = site->next;
    site_free(site);
  }
  struct flight_client_headers headers = {client->headers, client->header_count};
  flight_client_headers_release(&headers);
  flight_client_cookies_free(client->cookies);
  free_secret(client->password);
  free_secret(client->authorization);
  free_secret(client->auth_token);
  free(client->user);
  free(client->url);
  free(client->ca_path);
  free(client->cert_path);
  free(client->key_path);
  free(client->server_name);
  pthread_mutex_destroy(&client->handshake);
  pthread_mutex_destroy(&client->lock);
  free(client);
}

/* ---- connections ---------------------------------------------------------------------------------- */

static enum status channel_new(struct flight_client *client, struct flight_site *site,
                               struct grpc_channel **channel, struct error *error) {
  struct grpc_channel_options options = {
      .host = site->uri.host,
      .port = site->uri.port,
      .tls = site->uri.tls,
      .ca_path = client->ca_path,
      .cert_path = site->trusted ? client->cert_path : NULL,
      .key_path = site->trusted ? client->key_path : NULL,
      .server_name = site == client->site ? client->server_name : NULL,
      .insecure = site->trusted && client->insecure,
      .connect_timeout_ms = client->connect_timeout_ms,
      .budget = client->budget,
  };
  return grpc_channel_open(&options, channel, error);
}

static enum status check_channel(struct flight_client *client, struct error *error) {
  struct grpc_channel *channel = NULL;
  enum status status = channel_new(client, client->site, &channel, error);
  if (status == STATUS_OK) client->site->idle[client->site->idle_count++] = channel;
  return status;
}

static enum status take_channel(struct flight_client *client, struct flight_site *site,
                                struct grpc_channel **channel, struct error *error) {
  *channel = NULL;
  pthread_mutex_lock(&client->lock);
  if (site->idle_count > 0) *channel = site->idle[--site->idle_count];
  pthread_mutex_unlock(&client->lock);
  return *channel != NULL ? STATUS_OK : channel_new(client, site, channel, error);
}

static void give_channel(struct flight_client *client, struct flight_site *site,
                         struct grpc_channel *channel) {
  pthread_mutex_lock(&client->lock);
  if (site->idle_count < FLIGHT_IDLE_MAX) {
    site->idle[site->idle_count++] = channel;
    channel = NULL;
  }
  pthread_mutex_unlock(&client->lock);
  grpc_channel_close(channel);
}

/* ---- calls ------------------------------------------------------------------------------------------ */

int64_t flight_client_until_ms(const struct flight_client *client,
                               const struct flight_call_options *options) {
  int64_t timeout_ms = options != NULL ? options->timeout_ms : 0;
  if (timeout_ms <= 0) timeout_ms = client->timeout_ms;
  return timeout_ms <= 0 ? 0 : clock_now_ms() + timeout_ms;
}

static void fire_call(void *context) { grpc_client_cancel(context); }

enum status flight_client_call_start_as(struct flight_client *client, struct flight_site *site,
                                        const char *method,
                                        const struct flight_client_headers *headers,
                                        const struct flight_call_options *options, int64_t until_ms,
                                        const struct grpc_receiver *receiver,
                                        struct flight_client_call *call, struct error *error) {
  struct flight_cancel *cancel = options == NULL ? NULL : options->cancel;
  *call = (struct flight_client_call){.client = client, .site = site};
  int64_t left_ms = until_ms == 0 ? 0 : until_ms - clock_now_ms();
  if (until_ms != 0 && left_ms <= 0)
    return error_set(error, STATUS_TIMEOUT, "the time that the call was given is over");
  if (flight_cancel_is(cancel)) return error_set(error, STATUS_CANCELLED, "the call was cancelled");
  enum status status = take_channel(client, site, &call->channel, error);
  if (status == STATUS_OK)
    status = grpc_client_start(call->channel, method, headers->list, headers->count, left_ms,
                               receiver, &call->call, error);
  if (status == STATUS_OK)
    flight_cancel_add(cancel, &call->entry, fire_call, call->call);
  else
    flight_client_call_end(call);
  return status;
}

enum status flight_client_call_start(struct flight_client *client, struct flight_site *site,
                                     const char *method, const struct flight_call_options *options,
                                     int64_t until_ms, const struct grpc_receiver *receiver,
                                     struct flight_client_call *call, struct error *error) {
  struct flight_client_headers headers = {.count = 0};
  *call = (struct flight_client_call){.client = client, .site = site};
  enum status status = STATUS_OK;
  if (options != NULL) status = check_headers(options->headers, options->header_count, error);
  if (status == STATUS_OK && site->trusted)
    status = flight_client_shake(client, options, false, error);
  if (status == STATUS_OK)
    status = flight_client_headers_make(client, site, options, &headers, error);
  if (status == STATUS_OK)
    status = flight_client_call_start_as(client, site, method, &headers, options, until_ms,
                                         receiver, call, error);
  flight_client_headers_release(&headers);
  return status;
}

void flight_client_call_end(struct flight_client_call *call) {
  flight_cancel_remove(&call->entry);
  if (call->call != NULL && call->site->trusted)
    flight_client_cookies_take(call->client, call->call);
  grpc_client_free(call->call);
  if (call->channel != NULL) give_channel(call->client, call->site, call->channel);
  call->call = NULL;
  call->channel = NULL;
}
