/* What the files of the client share. */
#ifndef ARROWPORT_FLIGHT_CLIENT_PRIVATE_H
#define ARROWPORT_FLIGHT_CLIENT_PRIVATE_H

#include <pthread.h>

#include "flight/client.h"
#include "flight/data.h"
#include "net/grpc_client.h"

/* ---- cancelling ---------------------------------------------------------------------------------- */

struct flight_cancel_entry {
  struct flight_cancel *cancel; /* NULL: not in a list */
  struct flight_cancel_entry *next;
  struct flight_cancel_entry **back;
  void (*fire)(void *context);
  void *context;
};
/* `fire` is called under the list's lock, at once when it was cancelled before. NULL: nothing. */
void flight_cancel_add(struct flight_cancel *cancel, struct flight_cancel_entry *entry,
                       void (*fire)(void *context), void *context);
void flight_cancel_remove(struct flight_cancel_entry *entry);
/* Waits; false when it was cancelled meanwhile. */
bool flight_cancel_wait(struct flight_cancel *cancel, int64_t wait_ms);

/* ---- the client ------------------------------------------------------------------------------------ */

enum { FLIGHT_IDLE_MAX = 8 };

/* A server that is connected to. */
struct flight_site {
  struct flight_uri uri;
  bool trusted; /* is told who we are */
  struct grpc_channel *idle[FLIGHT_IDLE_MAX];
  size_t idle_count;
  struct flight_site *next;
};

struct flight_cookie {
  char *name;
  char *value;
  struct flight_cookie *next;
};

struct flight_client {
  pthread_mutex_t lock;      /* of all that changes */
  pthread_mutex_t handshake; /* held by who is at it: others wait for what it finds */
  struct flight_site *site;  /* the client's own, and behind it those that endpoints name */
  char *url, *ca_path, *cert_path, *key_path, *server_name;
  bool insecure;
  bool share_credentials;
  struct http_header *headers; /* copied */
  size_t header_count;
  int64_t connect_timeout_ms;
  int64_t timeout_ms;
  int retries;
  int parallel;
  struct budget *budget;
  char *user, *password; /* NULL: none */
  char *authorization;   /* the header; NULL: none, or not yet */
  char *auth_token;      /* of auth-token-bin, base64; NULL: none */
  bool has_shaken;       /* or need not */
  struct flight_cookie *cookies;
};

/* The site of an address, made when it is new. It lives as long as the client. */
enum status flight_client_site(struct flight_client *client, const struct flight_uri *uri,
                               struct flight_site **site, struct error *error) WARN_UNUSED;

/* ---- access (client_access.c) ------------------------------------------------------------------------ */

/* The headers of a call; all copied, released by flight_client_headers_release. */
struct flight_client_headers {
  struct http_header *list;
  size_t count;
};
enum status flight_client_headers_make(struct flight_client *client, const struct flight_site *site,
                                       const struct flight_call_options *options,
                                       struct flight_client_headers *headers,
                                       struct error *error) WARN_UNUSED;
void flight_client_headers_release(struct flight_client_headers *headers);
enum status flight_client_headers_add(struct flight_client_headers *headers, const char *name,
                                      const char *value, struct error *error) WARN_UNUSED;
/* Keeps the cookies that an answer sets. */
void flight_client_cookies_take(struct flight_client *client, const struct grpc_client_call *call);
void flight_client_cookies_free(struct flight_cookie *cookies);
/* One Set-Cookie header. */
enum status flight_client_cookie_set(struct flight_client *client, const char *header,
                                     struct error *error) WARN_UNUSED;
/* User and password become a header, by Handshake; nothing when there are none, or when that was
 * done. `again`: what the server gave us is not valid any more. */
enum status flight_client_shake(struct flight_client *client,
                                const struct flight_call_options *options, bool again,
                                struct error *error) WARN_UNUSED;
/* "Basic ...", malloc'd. */
enum status flight_client_basic(const char *user, const char *password, char **header,
                                struct error *error) WARN_UNUSED;
/* Base64 with padding, malloc'd. */
char *flight_client_base64(const void *data, size_t bytes);

/* ---- calls (client_call.c) ------------------------------------------------------------------------------ */

#define FLIGHT_METHOD(name) "/arrow.flight.protocol.FlightService/" name

/* When a call has to be over, its repetitions counted; 0: never. */
int64_t flight_client_until_ms(const struct flight_client *client,
                               const struct flight_call_options *options);

struct flight_client_call {
  struct flight_client *client;
  struct flight_site *site;
  struct grpc_channel *channel;
  struct grpc_client_call *call;
  struct flight_cancel_entry entry;
};
/* Takes a connection, waits for nothing but it. A failure: nothing was sent. */
enum status flight_client_call_start(struct flight_client *client, struct flight_site *site,
                                     const char *method, const struct flight_call_options *options,
                                     int64_t until_ms, const struct grpc_receiver *receiver,
                                     struct flight_client_call *call,
                                     struct error *error) WARN_UNUSED;
/* Frees the call, keeps its cookies and gives its connection back. */
void flight_client_call_end(struct flight_client_call *call);
/* The same, without the look for a user's Handshake: of the Handshake itself. */
enum status flight_client_call_start_as(struct flight_client *client, struct flight_site *site,
                                        const char *method,
                                        const struct flight_client_headers *headers,
                                        const struct flight_call_options *options, int64_t until_ms,
                                        const struct grpc_receiver *receiver,
                                        struct flight_client_call *call,
                                        struct error *error) WARN_UNUSED;

/* Whether to begin anew, after a wait. */
struct flight_client_retry {
  struct flight_client *client;
  struct flight_cancel *cancel;
  int64_t until_ms;
  int64_t wait_ms;
  int left;
};
struct flight_client_retry flight_client_retry_of(struct flight_client *client,
                                                  const struct flight_call_options *options);
/* True when `status` is one that passes and there is time; it has waited then. */
bool flight_client_retry_again(struct flight_client_retry *retry, enum status status);

/* A request, packed, and its answers. `safe`: it may be asked again when nobody knows whether it was
 * seen. */
struct flight_client_request {
  const char *method;
  const void *message;
  size_t bytes;
  bool safe;
};
enum status flight_client_ask_each(struct flight_client *client,
                                   const struct flight_client_request *request,
                                   const struct flight_call_options *options,
                                   enum status (*each)(void *context, const struct buffer *message,
                                                       struct error *error),
                                   void *context, struct error *error) WARN_UNUSED;
/* One answer, of the type; the caller's. */
enum status flight_client_ask_one(struct flight_client *client, const char *method,
                                  const ProtobufCMessage *message, bool safe,
                                  const struct flight_call_options *options,
                                  const ProtobufCMessageDescriptor *type, ProtobufCMessage **answer,
                                  struct error *error) WARN_UNUSED;

/* Copies of handles that live as long as their owner likes. STATUS_INVALID: there is none. */
enum status flight_client_handle_copy(const ProtobufCBinaryData *bytes,
                                      struct flight_client_handle *handle,
                                      struct error *error) WARN_UNUSED;
static inline ProtobufCBinaryData
flight_client_handle_bytes(const struct flight_client_handle *handle) {
  return (ProtobufCBinaryData){(size_t)handle->bytes.size_bytes, handle->bytes.data};
}
/* protobuf-c's structs hold text that could be written to; nobody does. */
char *flight_client_text(const char *text);
/* Of a PutResult that holds a DoPutUpdateResult: into an int64_t. */
enum status flight_client_take_count(void *context, const void *data, size_t bytes,
                                     struct error *error);

enum status flight_client_pack(const ProtobufCMessage *message, struct buffer *packed,
                               struct error *error) WARN_UNUSED;
enum status flight_client_unpack(const ProtobufCMessageDescriptor *type, const void *data,
                                 size_t bytes, ProtobufCMessage **message,
                                 struct error *error) WARN_UNUSED;
/* An action with one answer at most; `answer` NULL: none is looked at. `any`: it is wrapped, as
 * Flight SQL does. STATUS_OK with `*answer` NULL: there was none. */
enum status flight_client_action_one(struct flight_client *client, const char *type,
                                     const ProtobufCMessage *body, bool any,
                                     const struct flight_call_options *options,
                                     const ProtobufCMessageDescriptor *answer_type,
                                     ProtobufCMessage **answer, struct error *error) WARN_UNUSED;

/* ---- what comes as FlightData (client_stream.c) ----------------------------------------------------------- */

struct flight_inbox {
  struct flight_data_reader *reader;
  struct ipc_decoder *decoder;
  struct grpc_receiver receiver;
  struct flight_data data; /* that was received and is not decoded yet */
  bool is_waiting;         /* it is there */
};
enum status flight_inbox_open(struct flight_inbox *inbox, struct budget *budget,
                              struct error *error) WARN_UNUSED;
void flight_inbox_close(struct flight_inbox *inbox);
/* Waits for the next message that is something for the caller; FLIGHT_INBOX_NOTHING: there is no more,
 * or (`ready_only`) none without waiting. After STATUS_BUDGET the call may be repeated. */
enum flight_inbox_event { FLIGHT_INBOX_NOTHING, FLIGHT_INBOX_CHUNK, FLIGHT_INBOX_SCHEMA };
enum status flight_inbox_next(struct flight_inbox *inbox, struct grpc_client_call *call,
                              bool ready_only, struct flight_chunk *chunk,
                              enum flight_inbox_event *event, bool *over,
                              struct error *error) WARN_UNUSED;

/* One DoGet. */
struct flight_stream;
enum status flight_stream_open(struct flight_client *client, const FlightEndpoint *endpoint,
                               const struct flight_call_options *options, int64_t until_ms,
                               struct flight_stream **stream, struct error *error) WARN_UNUSED;
const struct ArrowSchema *flight_stream_schema(const struct flight_stream *stream);
enum status flight_stream_next(struct flight_stream *stream, struct flight_chunk *chunk, bool *got,
                               struct error *error) WARN_UNUSED;
void flight_stream_close(struct flight_stream *stream); /* NULL is allowed */

#endif
