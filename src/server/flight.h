/* Flight and Flight SQL: what the files of the server that answer gRPC calls share. Private to server/.
 *
 * A method of FlightService comes in as a call like any other (admission.c has let it in), and becomes
 * a struct that begins with a struct request and has a grpc_call. What takes time is an ask: it runs
 * on a worker, blocks there for the engine alone, and leaves its answers behind, which the loop sends.
 *
 *   flight.c            which method goes where; asks of the methods with one request message
 *   flight_ask.c        what runs on a worker: turns, deadlines, answers
 *   flight_handshake.c  Handshake; flight_login.c: the tokens that it gives out
 *   flight_source.c      a source of what a statement answers with
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
#include "sink/turns.h"
#include "source/source.h"

struct flight_session;  /* see flight_session.c */
struct flight_sessions; /* all of them */

/* Of the server. */
struct flight {
  struct server *server;
  struct flight_key *key;           /* of tickets (flight_seal.c) */
  struct flight_logins *logins;     /* tokens that Handshake gave out (flight_login.c) */
  struct flight_sessions *sessions; /* flight_session.c */
  struct flight_asks *asks;         /* those that are alive (flight_ask.c) */
};

enum status flight_new(struct server *server, struct flight **flight,
                       struct error *error) WARN_UNUSED;
/* Ends what waits or runs: before the workers are waited for; NULL is allowed. */
void flight_close(struct flight *flight);
void flight_free(struct flight *flight); /* after the workers have ended; NULL is allowed */
/* Stops what holds a session of the engine, which keeps a dead database from being opened anew: as
 * query_give_up_all. Also lets go of sessions that are kept (flight_sessions_give_up). */
void flight_give_up_all(struct server *server);

/* flight_ask.c */
enum status flight_asks_new(struct flight_asks **asks, struct error *error) WARN_UNUSED;
void flight_asks_free(struct flight_asks *asks); /* NULL is allowed */
void flight_asks_give_up(struct flight_asks *asks);

/* Called by flight_new, flight_close, flight_free and flight_give_up_all (flight_session.c). */
enum status flight_sessions_new(struct server *server, struct flight_sessions **sessions,
                                struct error *error) WARN_UNUSED;
void flight_sessions_close(struct flight_sessions *sessions); /* NULL is allowed */
void flight_sessions_free(struct flight_sessions *sessions);  /* NULL is allowed */
void flight_sessions_give_up(struct flight_sessions *sessions);

/* ---- asks ------------------------------------------------------------------------------------ */

/* What runs on a worker for a call. */
struct flight_ask {
  struct server *server;
  struct server_config *config;   /* the call's */
  const struct identity *who;     /* in `config` */
  struct flight_session *session; /* held for the call's time; NULL: the client has none yet */
  int endpoints;      /* that the header x-arrowport-endpoints asks for (flight_endpoints_asked) */
  struct turn *alone; /* of the statement that runs (flight_query_rights) */
  struct flight_private *more; /* of flight_ask.c */
};

/* Adds a message to what the call answers (DoAction's Result, DoPut's PutResult, ...). */
enum status flight_answer(struct flight_ask *ask, const ProtobufCMessage *message,
                          struct error *error) WARN_UNUSED;
/* A header of the answer (set-cookie), at any time before the ask returns; copied. */
enum status flight_answer_header(struct flight_ask *ask, const char *name, const char *value,
                                 struct error *error) WARN_UNUSED;
/* From now on engine_interrupt reaches `session` when the client is gone, its deadline or
 * query_timeout_s has passed, or the query is cancelled (by the id of the ticket that a DoGet came
 * with, or by `id`, copied, may be NULL); until called with NULL, before the session is closed.
 * A failure: it is too late already. */
enum status flight_guard(struct flight_ask *ask, struct engine_session *session, const char *id,
                         struct error *error) WARN_UNUSED;
/* STATUS_OK, or why the ask is to stop: for work between statements. */
enum status flight_ask_check(struct flight_ask *ask, struct error *error) WARN_UNUSED;
/* Interrupts what is guarded with that id, of the same user; false: there is nothing. Any thread. */
bool flight_cancel(struct flight_ask *ask, const char *id);
/* A work function may return STATUS_BUDGET with error->retry_after_ms > 0 before it has done anything:
 * it is called again after that time, holding no thread meanwhile, until query_timeout_s has passed. */

/* ---- rows of a statement -------------------------------------------------------------------- */

/* What the caller of the ask may: fills in read_only, data_only, may_read, may_write, before_alter,
 * budget and the sizes of batches of a statement that a client has written; `alone` is given back
 * (turn_give) when the result is closed. */
void flight_query_rights(struct flight_ask *ask, struct turn *alone, struct engine_query *query);
/* Runs a statement in a session of its own, guarded, with the caller's rights, and gives its rows: for a
 * `get`. Of `query`, sql, parameters, read_only and own are looked at; none of it is kept. With `own` and
 * without may_read, the tables that it reads are not looked at: the caller has done so. */
enum status flight_query_rows(struct flight_ask *ask, const struct engine_query *query,
                              struct source **rows, struct error *error) WARN_UNUSED;
/* The rows of a result, which is the source's from now on; `close` (NULL is allowed) is called with
 * the context when it has been closed, also after a failure. */
enum status flight_result_rows(struct engine_result *result, void (*close)(void *context),
                               void *context, struct source **rows,
                               struct error *error) WARN_UNUSED;
/* The rows of arrays that are in memory: `schema` and the batches are the source's from now on. */
enum status flight_memory_rows(struct ArrowSchema *schema, struct ArrowArray *batches, size_t count,
                               struct source **rows, struct error *error) WARN_UNUSED;

/* ---- tickets (flight_seal.c) ----------------------------------------------------------------------------------- */

/* What a ticket stands for: a command (a google.protobuf.Any of Flight SQL, or one of our own), who may
 * use it, in which session, until when. Encrypted and authenticated with a key of this process. All
 * tickets that one ask makes have one id, by which what reads them is cancelled. */

enum {
  FLIGHT_ID_BYTES = 33,         /* 16 bytes in hex */
  FLIGHT_MARK_BYTES = 16,       /* of a session */
  FLIGHT_CANCELLED_MAX = 10000, /* ids that are remembered; the oldest are forgotten */
};

struct flight_ticket {
  int64_t expires_ms;              /* since 1970 */
  uint8_t mark[FLIGHT_MARK_BYTES]; /* of the session that may use it; zeros: any of its user's */
  char id[FLIGHT_ID_BYTES];
  const char *who;     /* the identity's name; of an opened one: in `memory` */
  const void *command; /* likewise */
  size_t command_bytes;
  struct buffer memory;
};

/* For what is small by limits of its own: tickets, commands. */
extern struct budget flight_uncounted;

struct flight_key;
enum status flight_key_new(struct flight_key **key, struct error *error) WARN_UNUSED;
void flight_key_free(struct flight_key *key); /* NULL is allowed */
enum status flight_id_make(char id[FLIGHT_ID_BYTES], struct error *error) WARN_UNUSED;

/* Any thread. `sealed` is the caller's. */
enum status flight_ticket_seal(struct flight_key *key, const struct flight_ticket *ticket,
                               struct buffer *sealed, struct error *error) WARN_UNUSED;
/* STATUS_INVALID: not one of this key's. Says nothing of who, when and whether it was cancelled; the
 * memory is released by the caller. */
enum status flight_ticket_open(struct flight_key *key, const void *sealed, size_t bytes,
                               struct flight_ticket *ticket, struct error *error) WARN_UNUSED;
/* Tickets of that id are of no use any more. */
enum status flight_ticket_cancel(struct flight_key *key, const struct flight_ticket *ticket,
                                 struct error *error) WARN_UNUSED;
bool flight_ticket_cancelled(struct flight_key *key, const struct flight_ticket *ticket);

/* A ticket of the ask's caller. `shared`: others of his sessions, and connections without one, may use
 * it, too. `expires_ms`: out. */
enum status flight_seal(struct flight_ask *ask, const void *command, size_t command_bytes,
                        bool shared, int64_t *expires_ms, struct buffer *ticket,
                        struct error *error) WARN_UNUSED;
/* STATUS_UNAUTHENTICATED is never told: STATUS_INVALID (not one of this server's), STATUS_DENIED
 * (another user's or session's), STATUS_NOT_FOUND (expired; ask for its FlightInfo again),
 * STATUS_CANCELLED. The memory of `ticket` is released by the caller, also after a failure. */
enum status flight_unseal(struct flight_ask *ask, const void *sealed, size_t bytes,
                          struct flight_ticket *ticket, struct error *error) WARN_UNUSED;
int64_t flight_expires_ms(const struct flight_ask *ask); /* of a ticket that is made now */
/* The id of the tickets that an ask makes; the one that it came with (flight_ask.c). */
enum status flight_ask_seal_id(struct flight_ask *ask, const char **id,
                               struct error *error) WARN_UNUSED;
void flight_ask_ticket(struct flight_ask *ask, const char id[FLIGHT_ID_BYTES]);

/* ---- commands: what a descriptor's cmd, or a ticket, holds ---------------------------------------- */

/* What GetFlightInfo, GetSchema and PollFlightInfo tell of a command. */
struct flight_about {
  struct ArrowSchema schema; /* of the rows; released by the caller. `release` NULL: not known */
  int64_t rows, bytes;       /* -1: not known */
  bool ordered;
  bool shared; /* flight_seal: for parallel readers, each with a connection of its own */
  /* Commands of the endpoints, each sealed into a ticket by the caller. None: one endpoint whose
   * ticket is the command that was asked about. Released (free, and each buffer) by the caller. */
  struct buffer *endpoints;
  size_t endpoint_count;
};

/* Of a statement: parsing must not take memory for ever. SqlInfo tells it. */
enum { FLIGHT_SQL_BYTES_MAX = 4 << 20 };

struct flight_command {
  const char *name; /* "CommandGetTables": of the Any, behind FLIGHT_SQL_TYPE_PREFIX */
  bool open; /* to those who may not read, too: it tells of no table (flight_command_allow) */
  /* All run on a worker. `value` is that of the Any. NULL: the method does not go with the command
   * (STATUS_UNSUPPORTED, named). */
  enum status (*about)(struct flight_ask *ask, const ProtobufCBinaryData *value,
                       struct flight_about *about, struct error *error);
  /* The rows of a DoGet. The ask lives until the source is closed; both on workers. */
  enum status (*get)(struct flight_ask *ask, const ProtobufCBinaryData *value, struct source **rows,
                     struct error *error);
  /* A DoPut whose batches are few: all have come (`schema` NULL: none did). Answers PutResults by
   * flight_answer. The batches stay the caller's, but may be taken (`release` NULL then). */
  enum status (*put)(struct flight_ask *ask, const ProtobufCBinaryData *value,
                     const struct ArrowSchema *schema, struct ArrowArray *batches, size_t count,
                     struct error *error);
  /* CancelFlightInfo of an endpoint whose ticket holds it: lets go of what is kept for it. NULL:
   * nothing is. */
  enum status (*cancel)(struct flight_ask *ask, const ProtobufCBinaryData *value,
                        struct error *error);
};
/* The one of Flight SQL whose rows are many: DoPut alone knows what to do with it (flight_ingest.c). */
#define FLIGHT_INGEST FLIGHT_SQL_TYPE_PREFIX "CommandStatementIngest"

/* Ends with an entry whose name is NULL. */
extern const struct flight_command flight_statement_commands[]; /* flight_statement.c */
extern const struct flight_command flight_catalog_commands[];   /* flight_catalog.c */
extern const struct flight_command flight_core_commands[]; /* flight_info.c; with full type_urls */
/* NULL: there is none of that type_url. */
const struct flight_command *flight_command_find(const char *type_url);
/* The command that a descriptor's cmd, or a ticket, holds: an Any, freed by the caller
 * (google__protobuf__any__free_unpacked). STATUS_UNSUPPORTED names one that is not known,
 * STATUS_INVALID: it is none. */
enum status flight_command_read(const void *data, size_t bytes,
                                const struct flight_command **command, Google__Protobuf__Any **any,
                                struct error *error) WARN_UNUSED;
/* STATUS_DENIED: it needs the scope read, which the caller has not. To be asked before what a client
 * has written is looked at any further; counted as a refusal. `command` NULL: one that is not open. */
enum status flight_command_allow(struct server *server, const struct identity *who,
                                 const struct flight_command *command,
                                 struct error *error) WARN_UNUSED;
/* Packs a message into an Any of that type_url, as a command; `out` is the caller's. */
enum status flight_command_pack(const char *type_url, const ProtobufCMessage *message,
                                struct buffer *out, struct error *error) WARN_UNUSED;

/* ---- actions ------------------------------------------------------------------------------------- */

struct flight_action {
  const char *type; /* "BeginTransaction" */
  const char *description;
  unsigned scope; /* that the caller must have */
  bool quick;     /* it does not stand in line behind statements: it asks the engine for none, or
                   * cancels one */
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

/* ---- tokens that Handshake gives out (flight_login.c) --------------------------------------------- */

/* A token stands for an identity of the configuration, for as long as it is used (once in
 * flight.session_idle_s at least) and the configuration has that identity with the same secret. Only its
 * hash is kept. Only the loop's thread. */
enum { FLIGHT_TOKEN_BYTES = 65, FLIGHT_LOGINS_MAX = 100000 };
struct flight_logins;
enum status flight_logins_new(struct flight_logins **logins, struct error *error) WARN_UNUSED;
void flight_logins_free(struct flight_logins *logins); /* NULL is allowed */
/* The token that was not used for longest makes room where there is none. */
enum status flight_login_add(struct flight_logins *logins, const struct server_config *config,
                             const struct identity *who, char token[FLIGHT_TOKEN_BYTES],
                             struct error *error) WARN_UNUSED;
/* Whose token it is; NULL: nobody's. */
const struct identity *flight_login_find(struct flight_logins *logins,
                                         const struct server_config *config, const char *token);

/* ---- sessions ------------------------------------------------------------------------------------ */

/* The session that the request's cookie names, held; NULL when it names none (or an expired one: the
 * client is told by the answer of what needs it). STATUS_DENIED: it is another user's. The loop. */
enum status flight_session_find(struct call *call, struct flight_session **session,
                                struct error *error) WARN_UNUSED;
void flight_session_release(struct flight_session *session); /* any thread; NULL is allowed */
/* 16 bytes that say which session it is, for tickets; zeros for none. */
void flight_session_mark(const struct flight_session *session, uint8_t mark[FLIGHT_MARK_BYTES]);
/* Into how many endpoints the call's header wants results split: 0: it is not there; -1: it is no
 * number from 1 to 64. The loop. */
int flight_endpoints_asked(const struct call *call);

enum flight_need {
  FLIGHT_NEED_NOTHING, /* any session does */
  FLIGHT_NEED_PERHAPS, /* it may leave temporary tables behind */
  FLIGHT_NEED_SESSION, /* it will: the client's session, which is begun (set-cookie) if need be */
};

/* An engine session for a statement or a load: a transaction's, that of the client's session (which
 * has its temporary tables), or one that is closed behind it. Nobody else uses it meanwhile. */
struct flight_loan {
  struct engine_session *session;
  bool within;        /* in a transaction: engine_query.within; no begin, no commit */
  struct turn *alone; /* where a statement that alters tables keeps its turn */
  struct turn own;    /* private from here on */
  enum flight_need need;
  int64_t generation;
  struct flight_handle *of;
};
/* Lends one, guarded already (flight_guard). `transaction_id` NULL, or empty: outside of one.
 * STATUS_BUDGET with retry_after_ms: somebody else has it, come again. STATUS_NOT_FOUND: no such
 * transaction, or not this client's; STATUS_CONFLICT: it has failed and can only be rolled back;
 * STATUS_UNAVAILABLE: the database was opened anew, and what was in it is gone. */
enum status flight_borrow(struct flight_ask *ask, const ProtobufCBinaryData *transaction_id,
                          enum flight_need need, struct flight_loan *loan,
                          struct error *error) WARN_UNUSED;
/* Gives it back, results and inserts on it closed: `status` is what became of the work, and is
 * returned, unless that was well and the temporary tables cannot be kept. Also after a failed
 * flight_borrow. A transaction that DuckDB has ended is known to have failed from then on. */
enum status flight_return(struct flight_ask *ask, struct flight_loan *loan, enum status status,
                          struct error *error) WARN_UNUSED;

/* ---- methods that stream ---------------------------------------------------------------------- */

/* Each takes the call over: makes its struct and the grpc_call. */
void flight_get_start(struct call *call);       /* flight_get.c */
void flight_put_start(struct call *call);       /* flight_put.c */
void flight_exchange_start(struct call *call);  /* flight_exchange.c */
void flight_handshake_start(struct call *call); /* flight_handshake.c */
void flight_ask_start(struct call *call);       /* flight.c: methods with one request message */
/* False: it is no gRPC call at all, and was told so. */
bool flight_is_call(struct call *call);

/* Ends a call: grpc_finish, with what the log and the metrics are told of it. On the loop; does nothing
 * when it was finished. */
void flight_finish(struct request *request, struct grpc_call *grpc, enum status status,
                   const struct error *error);

/* For methods with structs of their own: makes an ask that belongs to the request, and ends it (on the
 * loop, when no worker uses it). `run` is called on a worker, `done` on the loop behind it; what was
 * answered has been sent then. */
enum status flight_ask_new(struct request *request, struct grpc_call *grpc, struct flight_ask **ask,
                           struct error *error) WARN_UNUSED;
void flight_ask_run(struct flight_ask *ask,
                    enum status (*run)(void *context, struct flight_ask *ask, struct error *error),
                    void (*done)(void *context, enum status status, const struct error *error),
                    void *context);
/* The same for work of many steps, in one turn: `step` is called on a worker, and again after each
 * flight_ask_wake, until it says `over` or fails. It asks flight_ask_check itself whether it is to go on,
 * and lets go of what it holds before it fails. */
void flight_ask_steps(struct flight_ask *ask,
                      enum status (*step)(void *context, struct flight_ask *ask, bool *over,
                                          struct error *error),
                      void (*done)(void *context, enum status status, const struct error *error),
                      void *context);
/* For work of many steps whose messages are sent before it is over: sends the headers that its first
 * step has answered, before the first message; later steps answer none. The loop. */
void flight_ask_headers(struct flight_ask *ask);
void flight_ask_wake(struct flight_ask *ask); /* the loop; nothing happens once it is over */
/* Whether query_timeout_s runs (it does from the beginning): not while it is the client who is waited
 * for. The loop. */
void flight_ask_clock(struct flight_ask *ask, bool runs);
/* It does not stand in line behind statements; before it is run. */
void flight_ask_quick(struct flight_ask *ask);
/* What is run from now on gives back what is held (a session, a transaction): it runs, once, whatever has
 * become of its call, not in line and without a time-out. Before it is run. */
void flight_ask_must(struct flight_ask *ask);
/* The client is gone, or its time is over: guarded sessions are interrupted. The loop. */
void flight_ask_stop(struct flight_ask *ask, enum status reason);
void flight_ask_free(struct flight_ask *ask); /* no run is under way; NULL is allowed */

#endif
