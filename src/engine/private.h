/* What the files of the engine share among themselves. */
#ifndef ARROWPORT_ENGINE_PRIVATE_H
#define ARROWPORT_ENGINE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/duckdb_api.h"
#include "engine/engine.h"

enum {
  CHUNK_ROWS = 2048,      /* DuckDB's vectors; checked when the library is loaded */
  ROW_GROUP_ROWS = 122880 /* DuckDB's row groups */
};

/* ---- library.c ---------------------------------------------------------------- */

/* The loaded library; loads it on first use, once for the process. */
enum status library_load(const struct duckdb_api **duckdb, struct error *error) WARN_UNUSED;

/* ---- database.c --------------------------------------------------------------- */

enum { GATE_HELPERS_MAX = 4 };

/* Who may have a session, and which opening of the database is the present one (reopen.c). */
struct gate {
  _Atomic int64_t generation;
  _Atomic int64_t suspicions; /* failure_suspicions() when the database was last known to be well */
  pthread_mutex_t lock;       /* guards what follows */
  pthread_cond_t changed;
  enum { GATE_OPEN, GATE_DEAD, GATE_OPENING } state;
  int64_t sessions; /* that are open */
  int waiting;      /* threads that wait for them to be closed */
  int64_t reopened;
  int64_t retry_at_ms;    /* not opened again before */
  struct error retry_why; /* what the last attempt came to */
  struct gate_helper {
    void (*help)(void *context);
    void *context;
    bool late; /* only when sessions are held for long */
  } helpers[GATE_HELPERS_MAX];
  int helper_count;
};

/* The thread that makes checkpoints (checkpoint.c). */
struct keeper {
  bool runs;
  pthread_t thread;
  char *wal_path;
  _Atomic int64_t wal_bytes_max, interval_ms;
  _Atomic bool counting; /* it knows that the log is not empty */
  pthread_mutex_t lock;  /* guards what follows */
  pthread_cond_t wake;
  bool stop;
  bool look; /* there may be something to do */
  int64_t since_ms;
  int64_t retry_at_ms, retry_wait_ms, busy_ms;
  int64_t checkpoints, failed, took_us;
};

/* ---- writers.c ---------------------------------------------------------------- */

/* Who writes, and who must be alone meanwhile. */
struct writers {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int64_t count;
  bool alone;
  int pressing; /* want to be alone, and let nobody in any more */
};

void writers_init(struct writers *writers);
void writers_destroy(struct writers *writers);
/* The session is about to write, until writers_leave: waits while a checkpoint runs. Twice is once. */
void writers_enter(struct engine_session *session);
void writers_leave(struct engine_session *session);
/* The same for a session that is in a transaction: one of a client's becomes a writer with its first
 * change, and not while its client thinks about one. */
void writers_join(struct engine_session *session);
/* Keeps writers out; false: some have been at it for `wait_ms`. */
bool writers_keep_out(struct engine *engine, int wait_ms);
void writers_let_in(struct engine *engine);

struct engine {
  const struct duckdb_api *duckdb;
  duckdb_database database;
  duckdb_connection control;     /* keeps the settings and the table function alive */
  struct engine_options options; /* copied */
  char *name;                    /* the catalog's: "memory", or the file's stem */
  char *path;                    /* of the file, absolute; NULL: in memory */
  struct lake *lakes;            /* those that are attached; see lake.c */
  size_t lake_count;
  int threads;
  bool in_memory;
  bool local_files;              /* SQL may read files */
  char *file_name;               /* of the database, without its folder; NULL: in memory */
  pthread_mutex_t lock;          /* guards what follows */
  struct engine_insert *inserts; /* those that are open; see insert.c */
  int64_t insert_last;           /* the last handle given out */
  struct keeping *keepings;      /* answers that are becoming tables; see kept.c */
  struct gate gate;              /* reopen.c */
  struct keeper keeper;          /* checkpoint.c */
  struct writers writers;
};

/* Opens what engine->options say, and closes it: no session is open. */
enum status database_open(struct engine *engine, struct error *error) WARN_UNUSED;
void database_close(struct engine *engine);

struct engine_session {
  struct engine *engine;
  const struct duckdb_api *duckdb;
  duckdb_connection connection;
  idx_t connection_id;
  bool in_transaction;        /* between engine_begin and commit or rollback */
  bool clients;               /* of engine_begin_client */
  bool ended_by_sql;          /* and a statement has ended it behind our back */
  bool writes;                /* between writers_enter and writers_leave */
  bool keeps_out;             /* it keeps writers out: CHECKPOINT by SQL */
  bool elsewhere;             /* names without a schema mean another one: engine_session_use */
  struct lake *at_home;       /* the lake in which they do; NULL: in the database */
  bool order_dropped;         /* preserve_insertion_order is off: parallel inserts */
  struct engine_result *open; /* a result that is being drawn */
  struct lake *lake;          /* that it writes to, as far as we do so; NULL: none */
  bool any_lake;              /* SQL from outside may have written to any of them */
  int64_t version;            /* of the lake after the last commit; -1: not known */
  _Atomic bool running;       /* a statement runs, so an interrupt means something */
  _Atomic int interrupt;      /* an `enum status`, STATUS_OK: none */
};

/* STATUS_CONFLICT when another engine of this process has the file open; otherwise, if it is there,
 * others find it taken until `engine` is closed. */
enum status database_claim(const struct engine *engine, const char *path,
                           struct error *error) WARN_UNUSED;
/* Runs one statement on the control connection. */
enum status control_run(struct engine *engine, const char *sql, struct error *error) WARN_UNUSED;
/* The text in the first row of the first column. */
enum status control_text(struct engine *engine, const char *sql, struct text *out,
                         struct error *error) WARN_UNUSED;

/* Brackets around whatever an interrupt may hit. */
void session_enter(struct engine_session *session);
void session_leave(struct engine_session *session);

/* Runs `sql`, which returns nothing that matters. */
enum status session_run(struct engine_session *session, const char *sql,
                        struct error *error) WARN_UNUSED;
/* The one row of BIGINTs that `sql` answers with; -1 for NULL. */
enum status session_numbers(struct engine_session *session, const char *sql, int64_t *numbers,
                            size_t count, struct error *error) WARN_UNUSED;
/* Ends the transaction; it is rolled back when it cannot be committed. */
enum status session_commit(struct engine_session *session, struct error *error) WARN_UNUSED;
/* Does what duckdb_execute_pending does, which spins while DuckDB's own threads have the statement's
 * tasks: through a commit's sync, a checkpoint, the end of a large insert. This waits. A failure is
 * told as failure_set tells it of `interrupted`, which may be NULL. */
enum status session_finish(const struct engine_session *session, duckdb_pending_result pending,
                           duckdb_result *result, struct engine_session *interrupted,
                           struct error *error) WARN_UNUSED;
/* Executes a prepared statement whose result fits in memory. */
enum status session_execute(struct engine_session *session, duckdb_prepared_statement statement,
                            duckdb_result *result, struct error *error) WARN_UNUSED;

/* ---- reopen.c ----------------------------------------------------------------- */

enum status options_copy(const struct engine_options *options, struct engine_options *copy,
                         struct error *error) WARN_UNUSED;
void options_release(struct engine_options *options);

void gate_init(struct gate *gate);
void gate_destroy(struct gate *gate);
/* Counts a session in: the database is in use, opened anew if need be. STATUS_UNAVAILABLE, with
 * retry_after_ms, when it is not within a few seconds. */
enum status gate_enter(struct engine *engine, struct error *error) WARN_UNUSED;
/* And out: its connection is closed. */
void gate_leave(struct engine *engine);

/* ---- checkpoint.c ------------------------------------------------------------- */

/* Starts the thread where the options ask for it. */
enum status keeper_start(struct engine *engine, struct error *error) WARN_UNUSED;
/* Ends it, and folds the log in, as far as that is possible: no session is open. */
void keeper_stop(struct engine *engine);
/* Something may have been committed. Cheap. */
void keeper_notice(struct engine *engine);
/* True when there is room on the disk for a checkpoint. */
bool keeper_has_room(struct engine *engine);

/* ---- failure.c ---------------------------------------------------------------- */

/* Turns DuckDB's message into a status and a sentence. `session` (may be NULL) says
 * whether an interrupt was asked for and why. */
enum status failure_set(struct engine_session *session, struct error *error, const char *message);

/* The sentence for a statement that was interrupted for that reason. */
enum status failure_set_reason(enum status reason, struct error *error);

/* How often DuckDB said something after which a database may be out of use, in this process. */
int64_t failure_suspicions(void);
/* For a failure of what commits: STATUS_UNKNOWN when it cannot be told what became of it. */
enum status failure_of_commit(enum status status, struct error *error);

/* Takes out of the error what the one who sent `sql` must not learn: paths of files that he did
 * not name himself, and with `names` what DuckDB suggests instead of a name (other tables'
 * names and columns) and whether there is a table that he may not see. Returns error->status,
 * which may be another one then. */
enum status failure_conceal(struct error *error, const char *sql, bool names);
/* STATUS_DENIED, in the same words for a table that may not be seen and for one that is not there. */
enum status failure_no_table(struct error *error, const char *name);

/* ---- guard.c ------------------------------------------------------------------ */

/* STATUS_DENIED names a function in `sql` that statements from outside must not call. */
enum status guard_check(const struct engine *engine, const char *sql,
                        struct error *error) WARN_UNUSED;
/* For a CREATE or DROP: STATUS_DENIED when it is about a secret, or may be. */
enum status guard_check_secret(const char *sql, struct error *error) WARN_UNUSED;

/* Does the word stand in the statement, outside of literals, quoted names and comments? Comments
 * within comments, and literals with escapes, can hide it. */
bool guard_says(const char *sql, const char *word);

/* ---- query.c ------------------------------------------------------------------ */

/* Parameters as DuckDB's values; NULL: NULL. */
struct query_values {
  duckdb_value *values;
  idx_t count;
};

/* Gives a prepared statement its parameters, which must be as many as it has: `values`, or where
 * that is NULL those of `query`. */
enum status query_bind(const struct duckdb_api *duckdb, duckdb_prepared_statement statement,
                       const struct engine_query *query, const struct query_values *values,
                       struct error *error) WARN_UNUSED;

/* ---- types.c ------------------------------------------------------------------ */

/* How the values of an Arrow field are put into a DuckDB vector. */
struct landing;

typedef enum status landing_fill(const struct landing *landing, const struct ArrowArray *array,
                                 int64_t from, int64_t rows, duckdb_vector vector, int64_t at,
                                 struct error *error);

struct landing {
  const struct duckdb_api *duckdb; /* NULL: only the type's name is wanted */
  struct arrow_type type;          /* of the values, for a dictionary */
  duckdb_type duck;
  uint8_t width, scale; /* DECIMAL */
  landing_fill *put;    /* what is called: `fill`, or by way of the dictionary */
  landing_fill *fill;   /* puts plain values */
  char *path;           /* "user.address[]" for messages */
  const char *name;
  int64_t divisor, factor;      /* temporal: value / divisor * factor */
  int64_t value_min, value_max; /* temporal: what DuckDB's type holds */
  bool dictionary;
  enum arrow_kind index;
  int64_t child_count;
  struct landing *children;
};

/* `landing` holds nothing before, nor after a failure. `schema` must outlive it.
 * STATUS_UNSUPPORTED names the field, its type and the reason. */
enum status landing_init(struct landing *landing, const struct duckdb_api *duckdb,
                         const struct ArrowSchema *schema, struct error *error) WARN_UNUSED;
void landing_release(struct landing *landing);

/* Puts values into a vector, by way of the dictionary where there is one; see fill.h. */
static inline enum status landing_put(const struct landing *landing, const struct ArrowArray *array,
                                      int64_t from, int64_t rows, duckdb_vector vector, int64_t at,
                                      struct error *error) {
  return landing->put(landing, array, from, rows, vector, at, error);
}

/* Appends the type as SQL writes it. */
enum status landing_sql(const struct landing *landing, struct text *out,
                        struct error *error) WARN_UNUSED;
/* The type as DuckDB's handle; destroyed by the caller. */
duckdb_logical_type landing_logical(const struct landing *landing);
/* True when a column of type `column` holds every value of the landing exactly. */
bool landing_fits(const struct landing *landing, duckdb_logical_type column);

#endif
