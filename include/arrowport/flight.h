/* Arrow Flight and Flight SQL for C programs: a client of anybody's server.
 *
 * A client may be used by several threads at once; each call takes a connection of its own, and
 * gives it back, so that calls one after the other share one. Streams may outlive the client's handle,
 * and batches both. Other handles are used by one thread at a time. Calls block; what a call was given to
 * cancel it ends it from another thread.
 *
 * Errors are as in arrowport.h. A server's own status comes through: ARROWPORT_UNAUTHENTICATED, _DENIED,
 * _NOT_FOUND, _UNSUPPORTED (it has no such method), _INVALID, and so on, with what it says.
 * ARROWPORT_UNAVAILABLE: it does not answer; calls that had not begun were repeated before. Where the
 * functions below name none, these are meant. docs/c-api.md, "Flight". */
#ifndef ARROWPORT_FLIGHT_H
#define ARROWPORT_FLIGHT_H

#include "arrowport/arrowport.h"
#include "arrowport/c_data.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- clients ------------------------------------------------------------------- */

struct arrowport_flight;

struct arrowport_flight_options {
  size_t struct_size;
  const char *token; /* sent as "authorization: Bearer TOKEN" */
  const char *user;  /* or a user and a password: a Handshake, else "authorization: Basic ..." */
  const char *password;
  const char *ca_path;     /* PEM: who signs the server's certificate; NULL: the system's list */
  const char *cert_path;   /* PEM: our certificate; NULL: none */
  const char *key_path;    /* PEM: its key; NULL: in the same file */
  const char *server_name; /* that the certificate is to have; NULL: the URL's host */
  bool insecure;           /* take any certificate: whoever is between can read and answer */
  const struct arrowport_setting *headers; /* of every call; names in lower case */
  size_t header_count;
  int64_t connect_timeout_ms; /* 0: 10 s */
  int64_t timeout_ms;         /* of a call that has none of its own; 0: none */
  int retries;                /* of what had not begun; 0: 4, negative: none */
  int parallel;               /* endpoints that are read at a time; 0: 4 */
  bool
      share_credentials; /* also with locations on other hosts that the server names; else those hear
                           * neither token, password, headers, cookies nor certificate */
  int64_t
      memory_bytes_max; /* of what is on its way, and of batches that were not released; 0: 1 GiB */
};

/* `url`: grpc://HOST:PORT or grpc+tcp:// (in the clear), grpc+tls://, flightsql:// (TLS unless
 * ?transport=tcp or ?useEncryption=false). The port is 8888 when it is left out. Does not connect yet.
 * ARROWPORT_INVALID; ARROWPORT_NOT_FOUND: a file. `options` may be NULL. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_open(const char *url, const struct arrowport_flight_options *options,
                      struct arrowport_flight **flight, struct arrowport_error *error);
/* Streams go on. NULL is allowed. */
ARROWPORT_EXPORT void arrowport_flight_close(struct arrowport_flight *flight);

/* Ends calls from any thread: those that were given it, and those that will be, with
 * ARROWPORT_CANCELLED. Freed when nothing that was given it is under way or still read. */
struct arrowport_flight_cancel;
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_cancel_new(struct arrowport_flight_cancel **cancel, struct arrowport_error *error);
ARROWPORT_EXPORT void arrowport_flight_cancel_now(struct arrowport_flight_cancel *cancel);
ARROWPORT_EXPORT void arrowport_flight_cancel_free(struct arrowport_flight_cancel *cancel);

/* Of one call; everywhere NULL is allowed. */
struct arrowport_flight_call {
  size_t struct_size;
  int64_t timeout_ms; /* of all of it, repetitions and reading included; 0: the client's */
  const struct arrowport_setting *headers;
  size_t header_count;
  struct arrowport_flight_cancel *cancel;
};

/* ---- Flight ---------------------------------------------------------------------- */

/* What a flight is called: a path, or a command of the server's own. */
struct arrowport_flight_descriptor {
  const char *const *path;
  size_t path_count;
  const void *command; /* when there is no path */
  size_t command_bytes;
};

struct arrowport_flight_info;
struct arrowport_flight_endpoint {
  const void *ticket;
  size_t ticket_bytes;
  size_t location_count; /* none: the server that was asked */
  int64_t expires_us;    /* since 1970; -1: it does not say */
  const void *app_metadata;
  size_t app_metadata_bytes;
};

ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_get_info(struct arrowport_flight *flight,
                          const struct arrowport_flight_descriptor *descriptor,
                          const struct arrowport_flight_call *call,
                          struct arrowport_flight_info **info, struct arrowport_error *error);
/* The same by polling, for queries that take long; `progress` (NULL: nobody asks) is told 0 to 1, negative
 * when it is not known, and returns false to give up. */
ARROWPORT_EXPORT enum arrowport_status arrowport_flight_poll_info(
    struct arrowport_flight *flight, const struct arrowport_flight_descriptor *descriptor,
    const struct arrowport_flight_call *call, bool (*progress)(void *context, double fraction),
    void *context, struct arrowport_flight_info **info, struct arrowport_error *error);
ARROWPORT_EXPORT void arrowport_flight_info_free(struct arrowport_flight_info *info);
/* -1: the server does not know. */
ARROWPORT_EXPORT int64_t arrowport_flight_info_rows(const struct arrowport_flight_info *info);
ARROWPORT_EXPORT int64_t arrowport_flight_info_bytes(const struct arrowport_flight_info *info);
ARROWPORT_EXPORT bool arrowport_flight_info_ordered(const struct arrowport_flight_info *info);
/* A copy, the caller's. ARROWPORT_NOT_FOUND: it has none. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_info_schema(const struct arrowport_flight_info *info, struct ArrowSchema *schema,
                             struct arrowport_error *error);
/* What it was asked about; points into the info. */
ARROWPORT_EXPORT void
arrowport_flight_info_descriptor(const struct arrowport_flight_info *info,
                                 struct arrowport_flight_descriptor *descriptor);
ARROWPORT_EXPORT size_t arrowport_flight_info_endpoints(const struct arrowport_flight_info *info);
/* Points into the info. False: there is none of that number. */
ARROWPORT_EXPORT bool arrowport_flight_info_endpoint(const struct arrowport_flight_info *info,
                                                     size_t index,
                                                     struct arrowport_flight_endpoint *endpoint);
/* Location number `location` of it; NULL: there is none. */
ARROWPORT_EXPORT const char *
arrowport_flight_info_location(const struct arrowport_flight_info *info, size_t index,
                               size_t location);
/* The rows of all endpoints, several at a time; in their order when the info is ordered. `call`'s cancel
 * must outlive the stream. ARROWPORT_SCHEMA: endpoints that differ. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_info_read(struct arrowport_flight *flight,
                           const struct arrowport_flight_info *info,
                           const struct arrowport_flight_call *call,
                           struct ArrowArrayStream *stream, struct arrowport_error *error);
/* Cancels the query behind it. ARROWPORT_CONFLICT: it cannot be cancelled. */
ARROWPORT_EXPORT enum arrowport_status arrowport_flight_info_cancel(
    struct arrowport_flight *flight, const struct arrowport_flight_info *info,
    const struct arrowport_flight_call *call, struct arrowport_error *error);

/* GetFlightInfo and all of its endpoints. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_get(struct arrowport_flight *flight,
                     const struct arrowport_flight_descriptor *descriptor,
                     const struct arrowport_flight_call *call, struct ArrowArrayStream *stream,
                     struct arrowport_error *error);
/* DoGet of one ticket. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_get_ticket(struct arrowport_flight *flight, const void *ticket, size_t bytes,
                            const struct arrowport_flight_call *call,
                            struct ArrowArrayStream *stream, struct arrowport_error *error);
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_get_schema(struct arrowport_flight *flight,
                            const struct arrowport_flight_descriptor *descriptor,
                            const struct arrowport_flight_call *call, struct ArrowSchema *schema,
                            struct arrowport_error *error);

/* `each` is called for one after the other, which is valid until it returns; false ends the list. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_list(struct arrowport_flight *flight, const void *expression, size_t bytes,
                      const struct arrowport_flight_call *call,
                      bool (*each)(void *context, const struct arrowport_flight_info *info),
                      void *context, struct arrowport_error *error);
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_action(struct arrowport_flight *flight, const char *type, const void *body,
                        size_t bytes, const struct arrowport_flight_call *call,
                        bool (*each)(void *context, const void *result, size_t bytes),
                        void *context, struct arrowport_error *error);
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_actions(struct arrowport_flight *flight, const struct arrowport_flight_call *call,
                         bool (*each)(void *context, const char *type, const char *description),
                         void *context, struct arrowport_error *error);

struct arrowport_flight_put_options {
  size_t struct_size;
  const struct arrowport_flight_call *call;
  /* Each PutResult as it comes (an Arrowport server: JSON that says how far the stream is durable), on the
   * calling thread; false gives up. NULL: dropped. */
  bool (*result)(void *context, const void *app_metadata, size_t bytes);
  void *context;
  int compression; /* enum arrowport_compression of ipc.h */
  int level;
};
/* DoPut: sends all rows and waits until the server has taken them. The stream is released, whatever comes
 * of it. `*rows` (may be NULL): how many were sent. When it fails with ARROWPORT_UNAVAILABLE or
 * ARROWPORT_TIMEOUT, what the results said is certain, and nothing else is. */
ARROWPORT_EXPORT enum arrowport_status arrowport_flight_put(
    struct arrowport_flight *flight, const struct arrowport_flight_descriptor *descriptor,
    struct ArrowArrayStream *stream, const struct arrowport_flight_put_options *options,
    int64_t *rows, struct arrowport_error *error);

/* DoExchange. Read between writes what may have come, or the server may have to wait for you. */
struct arrowport_flight_exchange;
ARROWPORT_EXPORT enum arrowport_status arrowport_flight_exchange_open(
    struct arrowport_flight *flight, const struct arrowport_flight_descriptor *descriptor,
    const struct ArrowSchema *schema, const struct arrowport_flight_put_options *options,
    struct arrowport_flight_exchange **exchange, struct arrowport_error *error);
/* The batch is taken, whatever comes of it. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_exchange_write(struct arrowport_flight_exchange *exchange,
                                struct ArrowArray *batch, struct arrowport_error *error);
/* Nothing more is written. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_exchange_done(struct arrowport_flight_exchange *exchange,
                               struct arrowport_error *error);
/* The next batch that comes back; `batch->release` is NULL after the last one. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_exchange_next(struct arrowport_flight_exchange *exchange, struct ArrowArray *batch,
                               struct arrowport_error *error);
/* A copy of what comes back; ARROWPORT_NOT_FOUND before the first batch has come. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_exchange_schema(struct arrowport_flight_exchange *exchange,
                                 struct ArrowSchema *schema, struct arrowport_error *error);
ARROWPORT_EXPORT void arrowport_flight_exchange_close(struct arrowport_flight_exchange *exchange);

/* ---- Flight SQL ------------------------------------------------------------------- */

/* A transaction, or a savepoint in one; to be ended and freed. */
struct arrowport_flight_transaction;
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_begin(struct arrowport_flight *flight, const struct arrowport_flight_call *call,
                       struct arrowport_flight_transaction **transaction,
                       struct arrowport_error *error);
ARROWPORT_EXPORT enum arrowport_status arrowport_flight_savepoint(
    struct arrowport_flight *flight, const struct arrowport_flight_transaction *transaction,
    const char *name, const struct arrowport_flight_call *call,
    struct arrowport_flight_transaction **savepoint, struct arrowport_error *error);
/* Commits or rolls back; a savepoint is released or rolled back to. It is freed when that has worked. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_end(struct arrowport_flight *flight,
                     struct arrowport_flight_transaction *transaction, bool commit,
                     const struct arrowport_flight_call *call, struct arrowport_error *error);
ARROWPORT_EXPORT void
arrowport_flight_transaction_free(struct arrowport_flight_transaction *transaction);

/* `within` NULL: no transaction. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_query(struct arrowport_flight *flight, const char *sql,
                       const struct arrowport_flight_transaction *within,
                       const struct arrowport_flight_call *call, struct ArrowArrayStream *stream,
                       struct arrowport_error *error);
/* `*rows` (may be NULL): that were changed, -1 when the server does not know. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_update(struct arrowport_flight *flight, const char *sql,
                        const struct arrowport_flight_transaction *within,
                        const struct arrowport_flight_call *call, int64_t *rows,
                        struct arrowport_error *error);

struct arrowport_flight_statement;
ARROWPORT_EXPORT enum arrowport_status arrowport_flight_prepare(
    struct arrowport_flight *flight, const char *sql,
    const struct arrowport_flight_transaction *within, const struct arrowport_flight_call *call,
    struct arrowport_flight_statement **statement, struct arrowport_error *error);
/* Copies, the caller's. ARROWPORT_NOT_FOUND: the server does not say. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_statement_schema(const struct arrowport_flight_statement *statement,
                                  struct ArrowSchema *schema, struct arrowport_error *error);
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_statement_parameters(const struct arrowport_flight_statement *statement,
                                      struct ArrowSchema *schema, struct arrowport_error *error);
/* Values for the next execution: a row each time it is to be executed. The batch is taken on
 * ARROWPORT_OK. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_statement_bind(struct arrowport_flight_statement *statement,
                                const struct ArrowSchema *schema, struct ArrowArray *batch,
                                struct arrowport_error *error);
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_statement_query(struct arrowport_flight_statement *statement,
                                 const struct arrowport_flight_call *call,
                                 struct ArrowArrayStream *stream, struct arrowport_error *error);
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_statement_update(struct arrowport_flight_statement *statement,
                                  const struct arrowport_flight_call *call, int64_t *rows,
                                  struct arrowport_error *error);
ARROWPORT_EXPORT void
arrowport_flight_statement_close(struct arrowport_flight_statement *statement);

enum arrowport_flight_if_exists {
  ARROWPORT_FLIGHT_EXISTS_DEFAULT = 0,
  ARROWPORT_FLIGHT_EXISTS_FAIL = 1,
  ARROWPORT_FLIGHT_EXISTS_APPEND = 2,
  ARROWPORT_FLIGHT_EXISTS_REPLACE = 3
};
enum arrowport_flight_if_absent {
  ARROWPORT_FLIGHT_ABSENT_DEFAULT = 0,
  ARROWPORT_FLIGHT_ABSENT_CREATE = 1,
  ARROWPORT_FLIGHT_ABSENT_FAIL = 2
};
struct arrowport_flight_ingest_options {
  size_t struct_size;
  const char *table;
  const char *schema;  /* NULL: the server's choice */
  const char *catalog; /* likewise */
  bool temporary;
  enum arrowport_flight_if_exists if_exists;
  enum arrowport_flight_if_absent if_absent;
  const struct arrowport_flight_transaction *within;
  const struct arrowport_setting *settings; /* of the server's own */
  size_t setting_count;
  const struct arrowport_flight_call *call;
  int compression; /* enum arrowport_compression of ipc.h */
  int level;
};
/* Bulk ingest. The stream is released, whatever comes of it. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_ingest(struct arrowport_flight *flight, struct ArrowArrayStream *stream,
                        const struct arrowport_flight_ingest_options *options, int64_t *rows,
                        struct arrowport_error *error);

/* What a server has, as tables whose columns the specification of Flight SQL gives. */
enum arrowport_flight_metadata {
  ARROWPORT_FLIGHT_CATALOGS = 1,
  ARROWPORT_FLIGHT_SCHEMAS, /* catalog, schema: a pattern */
  ARROWPORT_FLIGHT_TABLES,  /* catalog, schema, table: patterns; types, with_schemas */
  ARROWPORT_FLIGHT_TABLE_TYPES,
  ARROWPORT_FLIGHT_PRIMARY_KEYS,    /* catalog, schema, table */
  ARROWPORT_FLIGHT_EXPORTED_KEYS,   /* likewise */
  ARROWPORT_FLIGHT_IMPORTED_KEYS,   /* likewise */
  ARROWPORT_FLIGHT_CROSS_REFERENCE, /* of the primary key; foreign_catalog, ... */
  ARROWPORT_FLIGHT_SQL_INFO,        /* numbers; none: all */
  ARROWPORT_FLIGHT_TYPE_INFO        /* numbers: one type; none: all */
};
struct arrowport_flight_metadata_options {
  size_t struct_size;
  enum arrowport_flight_metadata what;
  const char *catalog; /* NULL: any; patterns are those of LIKE */
  const char *schema;
  const char *table;
  const char *foreign_catalog, *foreign_schema, *foreign_table;
  const char *const *types;
  size_t type_count;
  bool with_schemas;
  const uint32_t *numbers;
  size_t number_count;
  const struct arrowport_flight_call *call;
};
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_metadata(struct arrowport_flight *flight,
                          const struct arrowport_flight_metadata_options *options,
                          struct ArrowArrayStream *stream, struct arrowport_error *error);

/* ---- sessions ----------------------------------------------------------------------- */

/* Session options as text; NULL takes one back. The session is a cookie, which the client keeps. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_session_set(struct arrowport_flight *flight, const char *name, const char *value,
                             const struct arrowport_flight_call *call,
                             struct arrowport_error *error);
/* Values that are no text come as JSON writes them: true, 42, 1.5, ["a", "b"]. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_session_get(struct arrowport_flight *flight,
                             const struct arrowport_flight_call *call,
                             bool (*each)(void *context, const char *name, const char *value),
                             void *context, struct arrowport_error *error);
ARROWPORT_EXPORT enum arrowport_status
arrowport_flight_session_close(struct arrowport_flight *flight,
                               const struct arrowport_flight_call *call,
                               struct arrowport_error *error);

#ifdef __cplusplus
}
#endif

#endif
