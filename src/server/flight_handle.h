/* What Flight keeps for clients from one call to the next: sessions, prepared statements,
 * transactions, results that were split. Private to the server's flight_*.c.
 *
 * Each is a struct that begins with a struct flight_handle. It is known by a random id, belongs to an
 * identity and, where the client has one, to its session; it is listed until it is dropped (closed by
 * its client, idle for too long, with its session) and lives until nobody owns it any more. What it
 * has is freed on a worker: to close a session of the engine may take its time. */
#ifndef ARROWPORT_SERVER_FLIGHT_HANDLE_H
#define ARROWPORT_SERVER_FLIGHT_HANDLE_H

#include <pthread.h>

#include "server/flight.h"

enum flight_handle_kind {
  FLIGHT_SESSION,
  FLIGHT_STATEMENT,
  FLIGHT_TRANSACTION,
  FLIGHT_SPLIT,
  FLIGHT_KINDS
};
enum { FLIGHT_ID_CHARS = FLIGHT_ID_BYTES - 1 }; /* hex digits: 128 random bits */

/* A session of the engine that is kept, used by one at a time. All of it under the lock of the
 * sessions, but what `session` points to, which is of whoever has made it busy. */
struct flight_seat {
  struct engine_session *session; /* NULL: there is none */
  int64_t generation;             /* of the engine when it was opened */
  int64_t options;                /* the session's options that it has been told */
  bool busy;
  bool lost; /* it was closed, its database being out of use; its user is to be told */
};

struct flight_handle {
  enum flight_handle_kind kind;
  char id[FLIGHT_ID_BYTES];
  char *who; /* the identity's name */
  struct flight_sessions *sessions;
  struct flight_session *session;             /* owned; NULL: of none */
  struct flight_seat *seat;                   /* in what the handle is part of; NULL: it has none */
  void (*free)(struct flight_handle *handle); /* on a worker, or at the end */
  /* private to flight_handle.c */
  struct flight_handle *same_hash, *next, **previous;
  int owners, users;
  bool listed;
  int64_t used_ms, charged_bytes;
  struct flight_owner *owner;
};

struct flight_session {
  struct flight_handle handle;
  struct flight_seat seat;
  /* Under the lock: */
  int64_t handle_count;
  bool confirmed;         /* the client has sent its cookie back */
  int64_t options;        /* counts their changes, from 0 */
  char *catalog, *schema; /* NULL: as they are without any */
  int endpoints;          /* 0: 1 */
};

/* Everything that is listed; one lock for all of it, held for moments. */
struct flight_sessions {
  struct server *server;
  pthread_mutex_t lock;
  struct flight_handle *first, *ended; /* listed; to be freed */
  struct flight_handle **buckets;
  struct flight_owner *owners; /* of handles without a session */
  int64_t counts[FLIGHT_KINDS];
  struct budget budget; /* of what handles keep in memory */
  _Atomic(struct engine *) engine;
  struct task reaper;
  struct net_post post; /* the timer is to run */
  struct net_timer *timer;
  bool timer_runs; /* the loop's */
  bool closed;
};

/* Begins a handle: a random id, owned and used by the caller, whose work ends with
 * flight_hold_release also after a failure of what follows. STATUS_INTERNAL: no random bytes. */
enum status flight_hold_init(struct flight_handle *handle, enum flight_handle_kind kind,
                             struct flight_ask *ask, void (*free)(struct flight_handle *handle),
                             struct error *error) WARN_UNUSED;
/* From now on its client finds it; `bytes` of memory are charged for it until it ends. STATUS_BUDGET
 * (without retry_after_ms): as many as are allowed are there. */
enum status flight_hold_list(struct flight_ask *ask, struct flight_handle *handle, int64_t bytes,
                             struct error *error) WARN_UNUSED;
/* Other bytes than before. STATUS_BUDGET: they stay as they were. */
enum status flight_hold_charge(struct flight_handle *handle, int64_t bytes,
                               struct error *error) WARN_UNUSED;
/* The caller's handle of that id, used until flight_hold_release. STATUS_NOT_FOUND in the same
 * words for one that is not there and one of somebody else. */
enum status flight_hold_find(struct flight_ask *ask, enum flight_handle_kind kind, const void *id,
                             size_t id_bytes, struct flight_handle **handle,
                             struct error *error) WARN_UNUSED;
/* Any thread; NULL is allowed. */
void flight_hold_release(struct flight_handle *handle);
/* Nobody finds it any more, nor, when it is a session, what belongs to it. Any thread. */
void flight_hold_drop(struct flight_handle *handle);

/* What a session is asked for by its cookie, used from then on; NULL: there is none. */
struct flight_session *flight_session_by_id(struct flight_sessions *sessions, const char *id);
/* Begins the client's session and tells it the cookie. Becomes ask->session. */
enum status flight_session_begin(struct flight_ask *ask, struct error *error) WARN_UNUSED;
/* Into how many endpoints the client wants results: 1 or more. STATUS_INVALID: the header. */
enum status flight_session_endpoints(struct flight_ask *ask, int *endpoints,
                                     struct error *error) WARN_UNUSED;
/* True when the identity has a session whose cookie it has never sent back. */
bool flight_session_ignored(struct flight_ask *ask);

/* ---- engine sessions (flight_loan.c) --- */

/* A new one, which is told what the client's session says names mean; `*options`: its count. The
 * caller's, if there is one, also after a failure. */
enum status flight_open_session(struct flight_ask *ask, struct engine_session **session,
                                int64_t *generation, int64_t *options,
                                struct error *error) WARN_UNUSED;
/* Whether there are temporary objects; true where it cannot be told. */
bool flight_has_temporary(struct engine_session *session);

/* ---- transactions ---------------------------------------------------------------------------- */

struct flight_transaction {
  struct flight_handle handle;
  struct flight_seat seat;
  struct turn alone;  /* kept until the end */
  bool lent;          /* the engine session is that of the client's session */
  bool failed;        /* under the lock: it can only be rolled back */
  struct error error; /* of the statement that was too much; of whoever has the seat */
};

/* ---- pieces that the tables of commands and actions name ---------------------------------------- */

typedef enum status flight_about_function(struct flight_ask *ask, const ProtobufCBinaryData *value,
                                          struct flight_about *about, struct error *error);
typedef enum status flight_get_function(struct flight_ask *ask, const ProtobufCBinaryData *value,
                                        struct source **rows, struct error *error);
typedef enum status flight_put_function(struct flight_ask *ask, const ProtobufCBinaryData *value,
                                        const struct ArrowSchema *schema,
                                        struct ArrowArray *batches, size_t count,
                                        struct error *error);
typedef enum status flight_run_function(struct flight_ask *ask, const ProtobufCBinaryData *body,
                                        struct error *error);
/* flight_session.c */
flight_run_function flight_set_options, flight_get_options, flight_close_session;
/* flight_transaction.c */
flight_run_function flight_begin_transaction, flight_end_transaction, flight_begin_savepoint,
    flight_end_savepoint;
/* flight_prepared.c */
flight_run_function flight_create_prepared, flight_create_prepared_plan, flight_close_prepared;
flight_about_function flight_statement_about;
flight_get_function flight_statement_get;
flight_put_function flight_statement_bind, flight_statement_update;
/* Unions among parameters give way to the member that their rows have (flight_unions.c). `*schema` (NULL
 * is allowed) becomes `plain` if there are any, which the caller releases in any case; the batches are
 * changed likewise. STATUS_UNSUPPORTED: rows of several types in one column. */
enum status flight_parameters_plain(const struct ArrowSchema **schema, struct ArrowArray *batches,
                                    size_t count, struct ArrowSchema *plain,
                                    struct error *error) WARN_UNUSED;
/* flight_split.c */
flight_get_function flight_split_get;
enum status flight_split_cancel(struct flight_ask *ask, const ProtobufCBinaryData *value,
                                struct error *error) WARN_UNUSED;

/* ---- flight_statement.c ---------------------------------------------------------------------- */

/* A statement that a client has written. */
struct flight_text {
  const char *sql;
  const ProtobufCBinaryData *transaction_id; /* NULL: none */
  const struct engine_value *parameters;     /* of flight_text_rows; with any it is not split */
  size_t parameter_count;
};
/* STATUS_TOO_LARGE, STATUS_INVALID (no UTF-8). */
enum status flight_text_check(const char *sql, struct error *error) WARN_UNUSED;
/* Whether it may leave temporary tables behind. */
enum flight_need flight_text_need(const char *sql);
/* Begins the client's session, if it has none, where the statement will make something temporary: to be
 * called for what comes before it is run, and is answered in one go. Clients on grpc-go look at the
 * headers of a stream when it ends, and of a DoPut's they do not see the end. */
enum status flight_text_session(struct flight_ask *ask, const char *sql,
                                const ProtobufCBinaryData *transaction_id,
                                struct error *error) WARN_UNUSED;
/* `query` for it, with the caller's rights, to be run on the loan. */
void flight_text_query(struct flight_ask *ask, const struct flight_loan *loan, const char *sql,
                       struct engine_query *query);
/* The schema of its rows, without running it; `split`: or as many endpoints as the client wants. */
enum status flight_text_about(struct flight_ask *ask, const struct flight_text *sql,
                              struct flight_about *about, struct error *error) WARN_UNUSED;
enum status flight_text_rows(struct flight_ask *ask, const struct flight_text *sql,
                             struct source **rows, struct error *error) WARN_UNUSED;
/* Runs it to its end and answers with the number of rows that it has changed. */
enum status flight_text_update(struct flight_ask *ask, const struct flight_text *sql,
                               struct error *error) WARN_UNUSED;
/* Says what a temporary table needs, where that may be what is missing. Returns `status`. */
enum status flight_text_hint(struct flight_ask *ask, const struct flight_loan *loan,
                             enum status status, struct error *error);
/* Runs a result to its end: `*rows` that were changed, or came. */
enum status flight_result_drain(struct flight_ask *ask, struct engine_result *result, int64_t *rows,
                                struct error *error) WARN_UNUSED;
/* Answers a DoPutUpdateResult. */
enum status flight_answer_count(struct flight_ask *ask, int64_t rows,
                                struct error *error) WARN_UNUSED;
/* Answers a PutResult that holds the message. */
enum status flight_answer_put(struct flight_ask *ask, const ProtobufCMessage *message,
                              struct error *error) WARN_UNUSED;
/* Rows of no column, and none of them. */
enum status flight_no_rows(struct source **rows, struct error *error) WARN_UNUSED;

/* Keeps the rows of a statement that only reads, and says its endpoints. `*done` false: it is not
 * one that can be split, nothing was said. */
enum status flight_split_about(struct flight_ask *ask, const char *sql, int endpoints,
                               struct flight_about *about, bool *done,
                               struct error *error) WARN_UNUSED;

#endif
