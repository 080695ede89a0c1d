/* What the files of this room share with each other and with nobody else. */
#ifndef ARROWPORT_SERVER_PRIVATE_H
#define ARROWPORT_SERVER_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/notify.h"
#include "base/text.h"
#include "base/workers.h"
#include "net/net.h"
#include "server/auth.h"
#include "server/config.h"
#include "server/metrics.h"
#include "server/query_line.h"
#include "server/server.h"
#include "pipeline/pipeline.h"
#include "server/storage.h"

struct server {
  struct server_config *config; /* of requests that begin now; replaced when it is read anew */
  struct net_loop *loop;
  struct workers *workers;
  struct http_server *http;
  struct net_timer *drain_timer;
  struct storage *storage;
  struct metrics *metrics;
  struct readiness *readiness; /* whether the storage answers (health.c) */
  struct admission *admission; /* logins in line, addresses that gave wrong credentials */
  struct reload *reload;       /* watches the configuration's files (reload.c) */
  struct notify notify;        /* the service manager */
  struct net_timer *watchdog;
  int listen_fd;             /* that the service manager has opened; -1: none */
  struct budget budget;      /* for what comes in, until it is stored */
  struct budget answers;     /* for results on their way out */
  atomic_bool parquet_busy;  /* one Parquet answer is written at a time */
  struct ingest *ingests;    /* those in flight, the newest first */
  int64_t ingest_count;      /* since the start */
  struct starving *starving; /* those that wait for memory (starving.c) */
  struct query *query_list;  /* likewise */
  struct net_post held_post; /* sessions keep a dead database from being opened anew */
  struct groups *groups;     /* small ones that share commits */
  int64_t active_requests;   /* request structs that are alive, answered or not */
  struct query_line queries; /* statements of /query and Flight that run or wait */
  struct flight *flight;     /* sessions, tickets and calls of Flight (server/flight.h) */
  /* Health checks and reflections that are open (grpc_small.h). */
  struct small_call *small_calls;
  int small_call_count;
  int worker_count;
  bool draining;
};

/* ---- the configuration, read anew (reload.c) ---------------------------------------- */

/* Watches the files. `*reload` is to be freed also after a failure. */
enum status reload_new(struct server *server, const struct server_hooks *hooks,
                       struct reload **reload, struct error *error) WARN_UNUSED;
/* Reads it again; `asked`: by SIGHUP. */
void reload_start(struct reload *reload, bool asked);
/* Nothing is watched any more; while the loop is there. */
void reload_close(struct reload *reload);
void reload_free(struct reload *reload); /* after the workers have ended; NULL is allowed */

/* ---- calls: a request from its headers to the end of its exchange ----------------- */

enum { CALL_ID_BYTES = 65 }; /* a client's own may have 64 characters */

/* Lives as long as the exchange, whose context it is. Only the loop's thread. */
struct call {
  struct server *server;
  struct http_exchange *exchange;
  struct server_config *config;    /* the one that it began with */
  const struct identity *who;      /* in `config`; never NULL in an endpoint */
  const struct endpoint *endpoint; /* NULL: none was found */
  char *name;                      /* what follows the endpoint's prefix, decoded */
  char id[CALL_ID_BYTES];          /* of the log and of the header x-request-id */
  int64_t started_us;
  /* For the log and the metrics, filled in by the endpoint. */
  char *stream;       /* malloc'd */
  int64_t rows;       /* -1: not known */
  enum status status; /* of the answer, where it is an error's */
  /* Told when the exchange is over; `finished` NULL: nobody. */
  void (*finished)(void *context);
  void *context;
};

/* Makes the call of a new exchange; NULL without memory (answered). */
struct call *call_new(struct server *server, struct http_exchange *exchange);
/* The exchange is over: logs, counts, tells `finished`, frees. */
void call_over(struct call *call);
/* Names the stream in the log and the metrics. */
void call_stream(struct call *call, const char *stream);
/* Logs why a request is refused, with its id: before the answer is given. `quotes_input`: the text
 * may hold SQL or values, which only the level debug shows. */
void call_refused(struct http_exchange *exchange, int code, enum status status, const char *detail,
                  bool quotes_input);
/* Level and form of the log, and which streams have a label in the metrics: at start and whenever
 * the configuration was read anew. */
void call_configure(struct server *server, const struct server_config *config);

/* Lets a call in, or answers it: protected mode, Host and Origin, credentials. `admitted` is
 * called once `who` is known, at once or later on the loop; until then the body is not read.
 * Only inside service->request, with the call's endpoint set where there is one. */
void admission_start(struct call *call, void (*admitted)(struct call *call));
/* Checks a name and a password that came in what was asked, for an endpoint with `login`, as those of
 * a header are: a few at a time, on a worker, counted against the address. `verdict` is called on the
 * loop, at once or later: `who` NULL: `why` says why not. `*login` is NULL by then; while it is not, the
 * end of the exchange is told by admission_forget. */
struct login;
void admission_login(struct call *call, const char *name, const char *password,
                     void (*verdict)(void *context, const struct identity *who,
                                     const struct error *why),
                     void *context, struct login **login);
void admission_forget(struct login *login); /* no verdict comes any more */
/* Who asks where nobody has said so, and was let in all the same. */
const struct identity *admission_nobody(void);
enum status admission_new(struct admission **admission, struct error *error) WARN_UNUSED;
void admission_free(struct admission *admission); /* NULL is allowed; no login is left */

/* Every request that takes more than one step is a struct that begins with this. */
struct request {
  struct server *server;
  struct server_config *config;              /* the call's, held until request_end */
  const struct identity *who;                /* in `config` */
  struct call *call;                         /* NULL once the exchange has finished */
  struct http_exchange *exchange;            /* likewise */
  void (*finished)(struct request *request); /* the exchange is over */
};

/* Counts a request in, and ties it to its call. */
void request_begin(struct request *request, struct call *call,
                   void (*finished)(struct request *request));
/* Unties it again: the exchange goes on without it. */
void request_untie(struct request *request);
/* Counts it out, just before its memory is freed. */
void request_end(struct request *request);

/* ---- endpoints: each answers the exchange now or later ------------------------- */

struct endpoint {
  const char *path; /* ending in '/': a name follows */
  const char *methods;
  unsigned scope; /* that the caller must have; 0: everybody who is let in */
  bool open;      /* credentials are not asked for: health checks */
  bool login;     /* who sends none is let in as nobody: they may come in what is asked */
  void (*start)(struct call *call);
  const char *suffix; /* behind the name: "/rows"; NULL: nothing */
};

/* Sends a new call to its endpoint, or answers it (routes.c). */
void route_start(struct call *call);

/* May keep no pointer to the call beyond `finished`. */
void ingest_start(struct call *call);
void stream_start(struct call *call);
void query_start(struct call *call);
void catalog_streams(struct call *call);
void catalog_tables(struct call *call);
void catalog_table(struct call *call);
void versions_start(struct call *call);
void rows_start(struct call *call);

/* What GET /tables, /tables/{t} and /version answer; on a worker. */
enum status catalog_tables_json(struct server *server, const struct server_config *config,
                                const struct identity *who, struct text *body,
                                struct error *error) WARN_UNUSED;
enum status catalog_table_json(struct server *server, const struct server_config *config,
                               struct table_name *table, struct text *body,
                               struct error *error) WARN_UNUSED;
enum status service_version_json(struct text *body, struct error *error) WARN_UNUSED;

/* The table of the path, with its full name. A failure was answered: false. */
bool catalog_name(struct call *call, struct table_name *table);
/* A number of the query string, 0 or more; -1: it is not there. */
enum status catalog_number(struct call *call, const char *name, int64_t *number,
                           struct error *error) WARN_UNUSED;
void service_health(struct call *call);
void service_ready(struct call *call);
void service_metrics(struct call *call);
void service_version(struct call *call);

/* Asks every ingest in flight to give memory back. */
void ingest_relieve_all(struct server *server);
/* Refuses those that wait for their clients, whose sessions keep the database from being opened anew;
 * stops the statements of /query for the same reason. */
void ingest_give_up_all(struct server *server);
void query_give_up_all(struct server *server);
/* How many statements run at a time, /query's and Flight's together, and how large a batch of what
 * they answer with may become, so that all answers stay within their share of the memory. */
int64_t query_running_max(const struct server *server, const struct server_config *config);
int64_t query_batch_bytes(const struct server *server, const struct server_config *config);
/* For engine_query.may_read and may_write; the context is an identity. */
bool query_may_read(void *who, const struct table_name *table);
bool query_may_write(void *who, const struct table_name *table);
/* How many are in flight, and the bytes that have come for them and wait to be decoded. */
void ingest_look(const struct server *server, int64_t *count, int64_t *queued_bytes);

/* Who wants to know whether the server can work: told on the loop, at once or later. */
struct readiness_waiter {
  void (*told)(void *context, const char *reason); /* `reason` NULL: it can */
  void *context;
  struct readiness_waiter *next; /* private from here on */
  struct readiness_waiter **previous;
};
/* Not while it waits already. */
void readiness_ask(struct server *server, struct readiness_waiter *waiter);
void readiness_forget(struct readiness_waiter *waiter); /* one that does not wait is allowed */

/* After the loop and the workers are made. */
enum status readiness_new(struct server *server, struct error *error) WARN_UNUSED;
/* Gives up a question that the storage has not answered: before the workers are waited for. */
void readiness_stop(struct server *server);
void readiness_free(struct server *server); /* after the workers have ended, before the loop */

/* ---- jobs: a question that a worker answers in one go --------------------------- */

struct job {
  struct request request;
  struct task task;
  struct net_post post;
  /* Runs on a worker; appends the JSON answer to `body`. */
  enum status (*work)(struct job *job, struct error *error);
  struct table_name name;
  int64_t version, limit; /* -1: not asked for */
  struct text body;
  enum status status;
  struct error error;
  bool done;
};

void job_start(struct call *call, const struct table_name *name,
               enum status (*work)(struct job *job, struct error *error));
/* The same, about a version of the table, with a limit. */
void job_start_at(struct call *call, const struct table_name *name, int64_t version, int64_t limit,
                  enum status (*work)(struct job *job, struct error *error));

/* ---- answers ------------------------------------------------------------------- */

/* A header of every answer: a browser must not take rows for a script or a page. */
#define RESPOND_NOSNIFF                                                                            \
  { "x-content-type-options", "nosniff" }

void respond_json(struct http_exchange *exchange, const struct text *body);
/* The same with a header more. */
void respond_json_header(struct http_exchange *exchange, const struct text *body,
                         const struct http_header *header);

/* An error as application/problem+json (RFC 9457). Messages of STATUS_INTERNAL are
 * logged and not told. */
void respond_problem(struct http_exchange *exchange, enum status status, const struct error *error);
/* The same with members more: JSON, each with a comma before it. */
void respond_problem_members(struct http_exchange *exchange, enum status status,
                             const struct error *error, const char *members);
/* The same with an HTTP code that says more than the status's own (405, 406, 415),
 * and perhaps one header more. */
void respond_problem_code(struct http_exchange *exchange, int code, enum status status,
                          const struct http_header *header, const char *format, ...)
    PRINTF_LIKE(5, 6);

/* ---- who may ask ---------------------------------------------------------------- */

/* STATUS_DENIED for a Host that is not this server's, or an Origin that is not: no web page
 * may reach it through somebody's browser unless the configuration lists it. */
enum status access_check(const struct http_request *request, const struct http_peer *peer,
                         const struct server_config *config, struct error *error) WARN_UNUSED;
/* The request's Origin when the configuration lists it: its page may then read the answer. */
const char *access_origin(const struct http_request *request, const struct server_config *config);

/* True when the value of a Content-Type header is `type`, parameters aside. */
bool media_type_is(const char *header, const char *type);

#endif
