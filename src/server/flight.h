/* Flight and Flight SQL: what the files of the server that answer gRPC calls share. Private to server/.
 *
 * A method of FlightService comes in as a call like any other (admission.c has let it in), and becomes
 * a struct that begins with a struct request and has a grpc_call. What takes time is an ask: it runs
 * on a worker, blocks there for the engine alone, and leaves its answers behind, which the loop sends.
 *
 *   flight.c            which method goes where; asks of the methods with one request message
 *   flight_seal.c       tickets: sealed, so that nobody else can make, read or use them
 *   flight_get.c        DoGet: a source's batches, as fast as the client reads
 *   flight_put.c        DoPut: rows into an ingest; small streams of parameters into an ask
 *   flight_exchange.c   DoExchange
 *   flight_info.c       ListFlights, GetFlightInfo, GetSchema, PollFlightInfo
 *   flight_actions.c    DoAction, ListActions
 *   flight_session.c    sessions, and the handles of statements and transactions in them
 *   flight_statement.c  Flight SQL statements, prepared ones, transactions
 *   flight_catalog.c    Flight SQL metadata */
#ifndef ARROWPORT_SERVER_FLIGHT_H
#define ARROWPORT_SERVER_FLIGHT_H

#include "base/text.h"
#include "engine/engine.h"
#include "flight/messages.h"
#include "net/grpc.h"
#include "server/private.h"
#include "source/source.h"

struct flight;         /* of the server: sessions, running queries, the key of tickets */
struct flight_session; /* see flight_session.c */

enum status flight_new(struct server *server, struct flight **flight,
                       struct error *error) WARN_UNUSED;
/* Ends what waits or runs: before the workers are waited for; NULL is allowed. */
void flight_close(struct flight *flight);
void flight_free(struct flight *flight); /* after the workers have ended; NULL is allowed */

/* ---- asks ------------------------------------------------------------------------------------ */

/* What runs on a worker for a call. */
struct flight_ask {
  struct server *server;
  struct server_config *config;   /* the call's */
  const struct identity *who;     /* in `config` */
  struct flight_session *session; /* held for the call's time; NULL: the client has none yet */
  struct flight_private *more;    /* of flight.c */
};

/* Adds a message to what the call answers (DoAction's Result, DoPut's PutResult, ...). */
enum status flight_answer(struct flight_ask *ask, const ProtobufCMessage *message,
                          struct error *error) WARN_UNUSED;
/* A header of the answer (set-cookie), at any time before the ask returns; copied. */
enum status flight_answer_header(struct flight_ask *ask, const char *name, const char *value,
                                 struct error *error) WARN_UNUSED;
/* From now on engine_interrupt reaches `session` when the client is gone, its deadline or
 * query.timeout_s has passed, or the query is cancelled (CancelFlightInfo, by `id`, may be NULL);
 * until called with NULL, before the session is closed. A failure: it is too late already. */
enum status flight_guard(struct flight_ask *ask, struct engine_session *session, const char *id,
                         struct error *error) WARN_UNUSED;
/* A work function may return STATUS_BUDGET with error->retry_after_ms > 0 before it has done anything:
 * it is called again after that time, holding no thread meanwhile, until query.timeout_s has passed. */

/* ---- tickets ----------------------------------------------------------------------------------- */

/* What a ticket stands for: a command (a google.protobuf.Any of Flight SQL, or one of our own), who may
 * use it, in which session, until when. Encrypted and authenticated with a key of this process. */
enum status flight_seal(struct flight_ask *ask, const void *command, size_t command_bytes,
                        int64_t *expires_ms /* out: since 1970 */, struct buffer *ticket,
                        struct error *error) WARN_UNUSED;
/* STATUS_UNAUTHENTICATED is never told: STATUS_INVALID (not one of this server's), STATUS_DENIED
 * (another user's or session's), STATUS_NOT_FOUND (expired; ask for its FlightInfo again).
 * `command` is the caller's. */
enum status flight_unseal(struct flight_ask *ask, const void *ticket, size_t ticket_bytes,
                          struct buffer *command, struct error *error) WARN_UNUSED;

/* ---- commands: what a descriptor's cmd, or a ticket, holds ---------------------------------------- */

/* What GetFlightInfo, GetSchema and PollFlightInfo tell of a command. */
struct flight_about {
  struct ArrowSchema schema; /* of the rows; released by the caller. `release` NULL: not known */
  int64_t rows, bytes;       /* -1: not known */
  bool ordered;
  /* Commands of the endpoints, each sealed into a ticket by the caller. None: one endpoint whose
   * ticket is the command that was asked about. Released (free, and each buffer) by the caller. */
  struct buffer *endpoints;
  size_t endpoint_count;
};

struct flight_command {
  const char *name; /* "CommandGetTables": of the Any, behind FLIGHT_SQL_TYPE_PREFIX */
  /* All run on a worker. `value` is that of the Any. NULL: the method does not go with the command
   * (STATUS_UNSUPPORTED, named). */
  enum status (*about)(struct flight_ask *ask, const ProtobufCBinaryData *value,
                       struct flight_about *about, struct error *error);
  /* The rows of a DoGet. The ask lives until the source is closed; both on workers. */
  enum status (*get)(struct flight_ask *ask, const ProtobufCBinaryData *value, struct source **rows,
                     struct error *error);
  /* A DoPut whose batches are few: all have come (`schema` NULL: none did). Answers PutResults by
   * flight_answer. The batches stay the caller's. */
  enum status (*put)(struct flight_ask *ask, const ProtobufCBinaryData *value,
                     const struct ArrowSchema *schema, struct ArrowArray *batches, size_t count,
                     struct error *error);
};
/* Ends with an entry whose name is NULL. */
extern const struct flight_command flight_statement_commands[]; /* flight_statement.c */
extern const struct flight_command flight_catalog_commands[];   /* flight_catalog.c */
/* NULL: there is none of that type_url. */
const struct flight_command *flight_command_find(const char *type_url);

/* ---- actions ------------------------------------------------------------------------------------- */

struct flight_action {
  const char *type; /* "BeginTransaction" */
  const char *description;
  unsigned scope; /* that the caller must have */
  /* `body`: as it came; Flight SQL's actions hold an Any in it, core ones a message itself. Answers
   * by flight_action_result. */
  enum status (*run)(struct flight_ask *ask, const ProtobufCBinaryData *body, struct error *error);
};
extern const struct flight_action flight_core_actions[]; /* flight_actions.c */
extern const struct flight_action
    flight_statement_actions[]; /* flight_statement.c, flight_session.c */

/* Answers a Result that holds the message; `any`: wrapped as Flight SQL wants it. */
enum status flight_action_result(struct flight_ask *ask, const ProtobufCMessage *message, bool any,
                                 struct error *error) WARN_UNUSED;
/* Unpacks the message of a Flight SQL action out of its Any; the caller frees it. STATUS_INVALID. */
enum status flight_action_unpack(const ProtobufCBinaryData *body,
                                 const ProtobufCMessageDescriptor *type, ProtobufCMessage **message,
                                 struct error *error) WARN_UNUSED;

/* ---- sessions ------------------------------------------------------------------------------------ */

/* The session that the request's cookie names, held; NULL when it names none (or an expired one: the
 * client is told by the answer of what needs it). STATUS_DENIED: it is another user's. The loop. */
enum status flight_session_find(struct call *call, struct flight_session **session,
                                struct error *error) WARN_UNUSED;
void flight_session_release(struct flight_session *session); /* any thread; NULL is allowed */
/* 16 bytes that say which session it is, for tickets; zeros for none. */
void flight_session_mark(const struct flight_session *session, uint8_t mark[16]);

/* ---- methods that stream ---------------------------------------------------------------------- */

/* Each takes the call over: makes its struct and the grpc_call. */
void flight_get_start(struct call *call);      /* flight_get.c */
void flight_put_start(struct call *call);      /* flight_put.c */
void flight_exchange_start(struct call *call); /* flight_exchange.c */
void flight_ask_start(struct call *call);      /* flight.c: methods with one request message */

/* For methods with structs of their own: makes an ask that belongs to the request, and ends it (on the
 * loop, when no worker uses it). `run` is called on a worker, `done` on the loop behind it; what was
 * answered has been sent then. */
enum status flight_ask_new(struct request *request, struct grpc_call *grpc, struct flight_ask **ask,
                           struct error *error) WARN_UNUSED;
void flight_ask_run(struct flight_ask *ask,
                    enum status (*run)(void *context, struct flight_ask *ask, struct error *error),
                    void (*done)(void *context, enum status status, const struct error *error),
                    void *context);
/* The client is gone, or its time is over: guarded sessions are interrupted. The loop. */
void flight_ask_stop(struct flight_ask *ask, enum status reason);
void flight_ask_free(struct flight_ask *ask); /* no run is under way; NULL is allowed */

#endif
