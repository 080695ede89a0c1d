/* A client of Flight and Flight SQL servers. Blocking; one client may be used by several threads at
 * once: each call takes a connection of its own out of those that are idle, or makes one, and gives
 * it back, so that calls one after the other share one connection.
 *
 * What is retried. A call that nobody answered before anything was sent is begun anew, up to
 * `retries` times, with waits that double and are drawn at random between half and the whole. When
 * the request may have been seen, only reads are, and only before their first message: ListFlights,
 * GetSchema, ListActions, the metadata of Flight SQL, and DoGet of endpoints that have an expiration time
 * (without one the specification does not say that a ticket may be used twice). Statements, actions and
 * puts are not: their outcome is not known, and who sent them decides.
 *
 * Where credentials go. Endpoints name locations; one that is not the client's own host, or that is
 * not encrypted where the client's own URL is, gets neither token, password, headers, cookies nor
 * client certificate, unless `share_credentials` says so: a server could otherwise have them sent
 * to whomever it likes. */
#ifndef ARROWPORT_FLIGHT_CLIENT_H
#define ARROWPORT_FLIGHT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/ipc.h"
#include "base/buffer.h"
#include "base/status.h"
#include "flight/messages.h"
#include "net/net.h"

typedef Arrow__Flight__Protocol__ActionType FlightActionType;
typedef Arrow__Flight__Protocol__CancelStatus FlightCancelStatus;

enum { FLIGHT_PORT_DEFAULT = 8888 };

/* ---- addresses (client_uri.c) ----------------------------------------------------------------- */

struct flight_uri {
  char host[256]; /* without the brackets of an IPv6 address */
  int port;
  bool tls;
  bool reuse; /* arrow-flight-reuse-connection://?: the connection that one has */
  bool insecure;
};
/* grpc://, grpc+tcp:// (in the clear), grpc+tls://, flightsql:// (TLS unless ?transport=tcp or
 * ?useEncryption=false). STATUS_INVALID; STATUS_UNSUPPORTED: a scheme that is not spoken here. */
enum status flight_uri_parse(const char *text, struct flight_uri *uri,
                             struct error *error) WARN_UNUSED;
/* Whether the text begins with one of the schemes. */
bool flight_uri_is(const char *text);

/* ---- cancelling (client_cancel.c) --------------------------------------------------------------- */

/* What ends calls from another thread: all that were given it and those that will be. */
struct flight_cancel;
enum status flight_cancel_new(struct flight_cancel **cancel, struct error *error) WARN_UNUSED;
void flight_cancel_now(struct flight_cancel *cancel); /* any thread; NULL is allowed */
bool flight_cancel_is(struct flight_cancel *cancel);  /* NULL is allowed: false */
/* No call that was given it is under way. NULL is allowed. */
void flight_cancel_free(struct flight_cancel *cancel);

/* ---- clients (client.c) -------------------------------------------------------------------------- */

struct flight_client_options {
  const char *url;
  const char *token; /* "Authorization: Bearer TOKEN" */
  const char *user;  /* Handshake, and if the server has none "Authorization: Basic ..." */
  const char *password;
  const char *ca_path; /* PEM; NULL: the system's list */
  const char *cert_path;
  const char *key_path;
  const char *server_name;
  bool insecure;
  const struct http_header *headers; /* of every call; lower case */
  size_t header_count;
  int64_t connect_timeout_ms; /* 0: 10 s */
  int64_t timeout_ms;         /* of a call that has none of its own; 0: none */
  int retries;                /* 0: 4; negative: none */
  int parallel;               /* endpoints read at a time; 0: 4 */
  bool share_credentials;     /* with every location that a server names */
  struct budget *budget;      /* of what is received and written; must outlive the batches */
};

struct flight_client;
/* Copies the options; does not connect. STATUS_INVALID, or a file that cannot be read. */
enum status flight_client_open(const struct flight_client_options *options,
                               struct flight_client **client, struct error *error) WARN_UNUSED;
/* No call is under way, and readers and puts are closed. NULL is allowed. */
void flight_client_close(struct flight_client *client);

/* What a call may be given; NULL: nothing. */
struct flight_call_options {
  int64_t timeout_ms; /* of the whole, retries included; 0: the client's */
  const struct http_header *headers;
  size_t header_count;
  struct flight_cancel *cancel; /* NULL: none */
};

/* ---- calls with one request (client_calls.c) ------------------------------------------------------ */

/* Each answer is the caller's, to be freed with free_unpacked. */
enum status flight_client_info(struct flight_client *client, const FlightDescriptor *descriptor,
                               const struct flight_call_options *options, FlightInfo **info,
                               struct error *error) WARN_UNUSED;
/* Polls until the query has ended; `progress` (NULL: nobody asks) hears 0 to 1, negative: not known, and
 * returns false to give up, which cancels the query. */
enum status flight_client_poll(struct flight_client *client, const FlightDescriptor *descriptor,
                               const struct flight_call_options *options,
                               bool (*progress)(void *context, double fraction), void *context,
                               FlightInfo **info, struct error *error) WARN_UNUSED;
/* `schema` is released by the caller. */
enum status flight_client_schema(struct flight_client *client, const FlightDescriptor *descriptor,
                                 const struct flight_call_options *options,
                                 struct ArrowSchema *schema, struct error *error) WARN_UNUSED;
/* `each` hears of one at a time; its failure ends the call and is what is returned. */
enum status flight_client_list(struct flight_client *client, const void *expression, size_t bytes,
                               const struct flight_call_options *options,
                               enum status (*each)(void *context, const FlightInfo *info,
                                                   struct error *error),
                               void *context, struct error *error) WARN_UNUSED;
enum status flight_client_action(struct flight_client *client, const char *type, const void *body,
                                 size_t bytes, const struct flight_call_options *options,
                                 enum status (*each)(void *context, const void *body, size_t bytes,
                                                     struct error *error),
                                 void *context, struct error *error) WARN_UNUSED;
enum status flight_client_actions(struct flight_client *client,
                                  const struct flight_call_options *options,
                                  enum status (*each)(void *context, const FlightActionType *type,
                                                      struct error *error),
                                  void *context, struct error *error) WARN_UNUSED;
enum status flight_client_cancel(struct flight_client *client, const FlightInfo *info,
                                 const struct flight_call_options *options,
                                 FlightCancelStatus *cancelled, struct error *error) WARN_UNUSED;
/* `renewed` is the caller's. */
enum status flight_client_renew(struct flight_client *client, const FlightEndpoint *endpoint,
                                const struct flight_call_options *options, FlightEndpoint **renewed,
                                struct error *error) WARN_UNUSED;

/* ---- reading (client_stream.c: one endpoint; client_reader.c: all of a FlightInfo) --------------- */

struct flight_chunk {
  struct ArrowArray batch;    /* `release` NULL: a message with nothing but metadata */
  struct buffer app_metadata; /* empty: none, or an empty one */
  bool has_app_metadata;
  int64_t bytes; /* as it came */
};
void flight_chunk_release(struct flight_chunk *chunk);

struct flight_reader;
/* The rows of all endpoints: those of the info, in the order in which they are there when it says
 * `ordered`, else as they come. Up to `parallel` endpoints are read at a time, each on a thread and a
 * connection of its own, and wait when 32 MiB have come that nobody has taken. An endpoint that has
 * expired is renewed if the server can. Opens the first one. The info stays the caller's.
 * STATUS_SCHEMA: endpoints of different schemas. */
enum status flight_reader_open(struct flight_client *client, const FlightInfo *info,
                               const struct flight_call_options *options,
                               struct flight_reader **reader, struct error *error) WARN_UNUSED;
/* Of one ticket. */
enum status flight_reader_open_ticket(struct flight_client *client, const void *ticket,
                                      size_t bytes, const struct flight_call_options *options,
                                      struct flight_reader **reader,
                                      struct error *error) WARN_UNUSED;
const struct ArrowSchema *flight_reader_schema(const struct flight_reader *reader);
/* `*got` false: there is no more. Not called again after a failure. */
enum status flight_reader_next(struct flight_reader *reader, struct flight_chunk *chunk, bool *got,
                               struct error *error) WARN_UNUSED;
/* Makes it end with STATUS_CANCELLED. From any thread, before flight_reader_close. */
void flight_reader_cancel(struct flight_reader *reader);
void flight_reader_close(struct flight_reader *reader); /* gives up what is left; NULL is allowed */

/* ---- DoPut and DoExchange (client_put.c) ---------------------------------------------------------- */

struct flight_upload_options {
  const struct flight_call_options *call;       /* NULL: none */
  const struct ipc_writer_options *compression; /* NULL: none */
  /* DoPut: each PutResult, as it comes, on the thread that is in a call of the put. NULL: dropped.
   * A failure ends the put. */
  enum status (*result)(void *context, const void *app_metadata, size_t bytes, struct error *error);
  void *context;
};

struct flight_upload;
/* Sends the descriptor, and the schema. */
enum status flight_upload_open(struct flight_client *client, const FlightDescriptor *descriptor,
                               const struct ArrowSchema *schema,
                               const struct flight_upload_options *options,
                               struct flight_upload **put, struct error *error) WARN_UNUSED;
/* The same with DoExchange. `schema` NULL: nothing but metadata is sent. */
enum status flight_client_exchange_open(struct flight_client *client,
                                        const FlightDescriptor *descriptor,
                                        const struct ArrowSchema *schema,
                                        const struct flight_upload_options *options,
                                        struct flight_upload **put,
                                        struct error *error) WARN_UNUSED;
/* Takes the batch over in any case. Blocks while the server takes no more. What the server says against
 * it is what this returns, perhaps some batches later. */
enum status flight_upload_batch(struct flight_upload *put, struct ArrowArray *batch,
                                const struct buffer *app_metadata, struct error *error) WARN_UNUSED;
enum status flight_upload_metadata(struct flight_upload *put, const struct buffer *app_metadata,
                                   struct error *error) WARN_UNUSED;
/* Nothing more is sent. */
enum status flight_upload_done(struct flight_upload *put, struct error *error) WARN_UNUSED;
/* DoPut: waits for the next result, which `result` hears; `*got` false: there is no more. */
enum status flight_upload_result(struct flight_upload *put, bool *got,
                                 struct error *error) WARN_UNUSED;
/* DoPut: done, and all results: STATUS_OK when the server took all of it. */
enum status flight_upload_finish(struct flight_upload *put, struct error *error) WARN_UNUSED;
/* DoExchange: what comes back. The schema is there once flight_client_exchange_next gave a batch. */
const struct ArrowSchema *flight_client_exchange_schema(const struct flight_upload *put);
enum status flight_client_exchange_next(struct flight_upload *put, struct flight_chunk *chunk,
                                        bool *got, struct error *error) WARN_UNUSED;
void flight_upload_cancel(struct flight_upload *put); /* from any thread */
void flight_upload_free(
    struct flight_upload *put); /* gives up what is not finished; NULL is allowed */

/* ---- Flight SQL (client_sql.c) ---------------------------------------------------------------------- */

/* A handle of the server's (of a transaction, a savepoint). */
struct flight_client_handle {
  struct buffer bytes;
};
void flight_client_handle_release(struct flight_client_handle *handle);

/* Packs a command of Flight SQL as descriptors hold it. `packed` is the caller's. */
enum status flight_client_sql_pack(const ProtobufCMessage *command, struct buffer *packed,
                                   struct error *error) WARN_UNUSED;
/* FlightInfo and DoGet of a command: all metadata calls are this. */
enum status flight_client_sql_read(struct flight_client *client, const ProtobufCMessage *command,
                                   const struct flight_call_options *options,
                                   struct flight_reader **reader, struct error *error) WARN_UNUSED;
/* `within` NULL: no transaction. */
enum status flight_client_sql_query(struct flight_client *client, const char *sql,
                                    const struct flight_client_handle *within,
                                    const struct flight_call_options *options,
                                    struct flight_reader **reader, struct error *error) WARN_UNUSED;
/* `*rows`: -1 when the server does not know. */
enum status flight_client_sql_update(struct flight_client *client, const char *sql,
                                     const struct flight_client_handle *within,
                                     const struct flight_call_options *options, int64_t *rows,
                                     struct error *error) WARN_UNUSED;

struct flight_client_prepared;
enum status flight_client_prepared_open(struct flight_client *client, const char *sql,
                                        const struct flight_client_handle *within,
                                        const struct flight_call_options *options,
                                        struct flight_client_prepared **statement,
                                        struct error *error) WARN_UNUSED;
/* NULL: the server does not say. The statement's. */
const struct ArrowSchema *
flight_client_prepared_schema(const struct flight_client_prepared *statement);
const struct ArrowSchema *
flight_client_prepared_parameters(const struct flight_client_prepared *statement);
/* Values for the next execution: `batch` (a row for each execution; kept by the caller) of `schema`. */
enum status flight_client_prepared_bind(struct flight_client_prepared *statement,
                                        const struct ArrowSchema *schema, struct ArrowArray *batch,
                                        struct error *error) WARN_UNUSED;
enum status flight_client_prepared_query(struct flight_client_prepared *statement,
                                         const struct flight_call_options *options,
                                         struct flight_reader **reader,
                                         struct error *error) WARN_UNUSED;
enum status flight_client_prepared_update(struct flight_client_prepared *statement,
                                          const struct flight_call_options *options, int64_t *rows,
                                          struct error *error) WARN_UNUSED;
/* Tells the server, which may not hear it. NULL is allowed. */
void flight_client_prepared_close(struct flight_client_prepared *statement);

enum status flight_client_sql_begin(struct flight_client *client,
                                    const struct flight_call_options *options,
                                    struct flight_client_handle *transaction,
                                    struct error *error) WARN_UNUSED;
enum status flight_client_sql_end(struct flight_client *client,
                                  const struct flight_client_handle *transaction, bool commit,
                                  const struct flight_call_options *options,
                                  struct error *error) WARN_UNUSED;
enum status flight_client_sql_savepoint(struct flight_client *client,
                                        const struct flight_client_handle *transaction,
                                        const char *name, const struct flight_call_options *options,
                                        struct flight_client_handle *savepoint,
                                        struct error *error) WARN_UNUSED;
enum status flight_client_sql_end_savepoint(struct flight_client *client,
                                            const struct flight_client_handle *savepoint,
                                            bool release, const struct flight_call_options *options,
                                            struct error *error) WARN_UNUSED;

enum flight_if_exists {
  FLIGHT_EXISTS_DEFAULT,
  FLIGHT_EXISTS_FAIL,
  FLIGHT_EXISTS_APPEND,
  FLIGHT_EXISTS_REPLACE
};
enum flight_if_absent { FLIGHT_ABSENT_DEFAULT, FLIGHT_ABSENT_CREATE, FLIGHT_ABSENT_FAIL };

struct flight_ingest_options {
  const char *table;
  const char *schema;  /* NULL: the server's choice */
  const char *catalog; /* likewise */
  bool temporary;
  enum flight_if_exists if_exists;
  enum flight_if_absent if_absent;
  const struct flight_client_handle *within;
  const struct http_header *options; /* of the server's own: names and values */
  size_t option_count;
  const struct flight_call_options *call;
  const struct ipc_writer_options *compression;
};
/* Bulk ingest: then flight_upload_batch, flight_upload_finish, which sets `*rows` (-1: the server does not
 * say), and flight_upload_free. `rows` must outlive the put. */
enum status flight_client_sql_ingest(struct flight_client *client,
                                     const struct flight_ingest_options *options,
                                     const struct ArrowSchema *schema, int64_t *rows,
                                     struct flight_upload **put, struct error *error) WARN_UNUSED;

/* ---- sessions (client_session.c) --------------------------------------------------------------------- */

typedef Arrow__Flight__Protocol__SessionOptionValue FlightSessionValue;
/* One option; NULL takes it back. STATUS_INVALID: the server refuses name or value. */
enum status flight_client_session_set(struct flight_client *client, const char *name,
                                      const FlightSessionValue *value,
                                      const struct flight_call_options *options,
                                      struct error *error) WARN_UNUSED;
enum status
flight_client_session_get(struct flight_client *client, const struct flight_call_options *options,
                          enum status (*each)(void *context, const char *name,
                                              const FlightSessionValue *value, struct error *error),
                          void *context, struct error *error) WARN_UNUSED;
enum status flight_client_session_close(struct flight_client *client,
                                        const struct flight_call_options *options,
                                        struct error *error) WARN_UNUSED;

#endif
