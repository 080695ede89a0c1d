/* The embedded SQL engine: DuckDB behind a small interface. The only room that
 * knows DuckDB's own.
 *
 * The engine is loaded from libduckdb.so on first use (dlopen, RTLD_LOCAL), so a
 * command that needs no SQL starts without it. An engine is one database; a session
 * is one connection to it, used by one thread at a time (engine_interrupt aside).
 * Calls block for as long as the statement takes: call them on a worker.
 *
 * SQL from outside is confined: no file, network, extension or setting is within
 * its reach (docs/internals/engine.md says how and what was tried). */
#ifndef ARROWPORT_ENGINE_ENGINE_H
#define ARROWPORT_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/ipc.h"
#include "arrow/schema.h"
#include "base/buffer.h"
#include "base/status.h"
#include "base/table_name.h"
#include "base/text.h"

struct engine;
struct engine_session;
struct engine_result;

struct engine_options {
  const char *path;           /* of the database file; NULL: in memory */
  int64_t memory_limit_bytes; /* DuckDB's own; 0: its default */
  int threads;                /* 0: as many as the machine has */
  bool read_only;
  /* Loaded before the engine is locked: names of those inside DuckDB, or paths of extension
   * files; a missing one is STATUS_NOT_FOUND and named. */
  const char *const *extensions;
  size_t extension_count;
  /* Catalog files of DuckLake, made when they are not there; SQL knows each as the catalog that
   * engine_lake_name says. Needs the extension ducklake among `extensions`. */
  const char *const *lakes;
  size_t lake_count;
  /* SQL may read and write files as the process may: for a program that works for the user who
   * started it (the command line), never for a server. */
  bool local_files;
  /* Of a database in memory: what does not fit the memory limit may go into this folder, which is there;
   * NULL: nowhere, it fails. */
  const char *spill_folder;
  /* The write-ahead log is folded into the file when it is so long, by a thread of the engine's,
   * between commits (checkpoint.c). 0: DuckDB's own way, inside of a commit. */
  int64_t checkpoint_wal_bytes;
  int64_t checkpoint_interval_ms; /* and when it is so old; 0: not for that */
};
/* A database that is out of use is opened again with what was said first: the options are copied
 * (options_copy in reopen.c), and so must be what is added to them. */

/* Loads the library, opens the database and locks it down. STATUS_NOT_FOUND when
 * libduckdb.so is not found (says where it was looked for and DUCKDB_ROOT),
 * STATUS_CONFLICT when another process holds the file (says which, where known),
 * STATUS_IO, STATUS_INVALID when the file is not a database. */
enum status engine_open(const struct engine_options *options, struct engine **engine,
                        struct error *error) WARN_UNUSED;
void engine_close(struct engine *engine); /* every session is closed before; NULL is allowed */

/* Which opening of its database the engine is at, 1 for the first. DuckDB puts a database out of
 * use when it cannot tell what is on its disk (a sync or a write that failed at the wrong moment);
 * the engine then opens it anew, under the same pointer. The number grows as soon as that is known:
 * sessions that were opened before belong to a dead database, fail with STATUS_UNAVAILABLE and keep
 * it from being opened anew until they are closed; those that are opened after belong to the new
 * one. So who keeps sessions, or what they told him, reads the number before he opens one, and lets
 * go of it when the number is another. Cheap. */
int64_t engine_generation(struct engine *engine);
/* Asks, when the database is out of use, for the sessions that are kept for later: `release` closes
 * those that nobody uses. Called on any thread that opens a session, with no lock held; a few may be
 * said, before the engine is used by more than one thread. */
void engine_on_loss(struct engine *engine, void (*release)(void *context), void *context);
/* The same, called only when sessions have kept it closed for a moment, and again from time to time:
 * ends what waits for somebody else with a session in its hand. */
void engine_on_held(struct engine *engine, void (*urge)(void *context), void *context);

/* ---- checkpoints --------------------------------------------------------------- */

/* Other limits from now on (the configuration was read anew). For an engine that was opened with
 * checkpoint_wal_bytes. */
void engine_checkpoint_limits(struct engine *engine, int64_t wal_bytes, int64_t interval_ms);

struct engine_figures {
  int64_t checkpoints, checkpoints_failed; /* of the engine's own */
  int64_t checkpoint_us;                   /* what they took together */
  int64_t wal_bytes;                       /* how long the write-ahead log is now */
  int64_t reopened;                        /* how often the database was opened anew */
};
/* Cheap; from any thread. */
void engine_look(struct engine *engine, struct engine_figures *figures);

/* True for the extensions inside DuckDB: they need not be loaded. */
bool engine_extension_built_in(const char *name);
/* What can be checked of an entry of `extensions` without loading it: a name of those inside
 * DuckDB, or a file that can be read. STATUS_NOT_FOUND, STATUS_DENIED, STATUS_INVALID. */
enum status engine_extension_check(const char *extension, struct error *error) WARN_UNUSED;

/* The catalog that the lake at `path` is to SQL: its file's name without the ending. STATUS_INVALID
 * when that cannot be one. */
enum status engine_lake_name(const char *path, char name[TABLE_NAME_BYTES_MAX + 1],
                             struct error *error) WARN_UNUSED;
/* STATUS_NOT_FOUND, with how to get it, when the extension that lakes need is not in the list. */
enum status engine_lake_check(const char *const *extensions, size_t count,
                              struct error *error) WARN_UNUSED;
/* The catalog that the database itself is to SQL: "memory", or its file's name without the ending. */
const char *engine_catalog(const struct engine *engine);
/* True for the catalog of a lake that is attached. */
bool engine_has_lake(const struct engine *engine, const char *catalog);

/* "v1.5.5"; STATUS_NOT_FOUND as above. Does not open a database. */
enum status engine_version(const char **version, struct error *error) WARN_UNUSED;

/* A session keeps what its statements leave in it (temporary tables): it serves one
 * client. Opening one takes some microseconds. */
enum status engine_session_open(struct engine *engine, struct engine_session **session,
                                struct error *error) WARN_UNUSED;
/* Rolls back what was not committed. NULL is allowed. */
void engine_session_close(struct engine_session *session);

/* Makes the statement that runs on the session fail with `reason` (STATUS_TIMEOUT or
 * STATUS_CANCELLED) as soon as it notices. From any thread; the session must not be
 * closed meanwhile. */
void engine_interrupt(struct engine_session *session, enum status reason);

/* ---- transactions ----------------------------------------------------------- */

enum status engine_begin(struct engine_session *session, struct error *error) WARN_UNUSED;
/* The same for a transaction in which a client's statements run (engine_query.within), and which may
 * wait for its client between them: it keeps checkpoints waiting from its first change on, where
 * engine_begin does at once. With `read_only` changes fail. */
enum status engine_begin_client(struct engine_session *session, bool read_only,
                                struct error *error) WARN_UNUSED;
/* True while the transaction that was begun can go on: most failures of a statement end it, those of
 * its grammar and of names do not. Then engine_rollback is all that is left to do. Asks DuckDB, unless a
 * result is open. */
bool engine_transaction_open(struct engine_session *session);
/* Durable when it returns STATUS_OK (a file's WAL is synced). After a failure
 * nothing of the transaction remains. */
enum status engine_commit(struct engine_session *session, struct error *error) WARN_UNUSED;
void engine_rollback(struct engine_session *session);
/* The snapshot of a lake that the session's last commit has made, or left as it was when there was
 * nothing to change; -1: it was in no lake, or it could not be told. */
int64_t engine_committed_version(const struct engine_session *session);

/* ---- tables ------------------------------------------------------------------ */

/* One column of a table as DuckDB has it. */
struct engine_column {
  char *name;
  char *type; /* "DECIMAL(18,3)" */
  bool nullable;
  bool has_default;
  bool generated;
};
struct engine_table {
  struct engine_column *columns;
  int64_t column_count;
  int64_t rows; /* as DuckDB estimates them */
};

/* STATUS_NOT_FOUND when there is no such table. A view is a table without rows. */
enum status engine_table_info(struct engine_session *session, const struct table_name *name,
                              struct engine_table *table, struct error *error) WARN_UNUSED;
void engine_table_release(struct engine_table *table);

/* ---- tables of lakes as they were ---------------------------------------------- */

/* The same for a table of a lake in one of its versions (-1: the last one), with its rows counted.
 * STATUS_INVALID when the table is in no lake, STATUS_NOT_FOUND with the versions there are. */
enum status engine_table_info_at(struct engine_session *session, const struct table_name *name,
                                 int64_t version, struct engine_table *table,
                                 struct error *error) WARN_UNUSED;

/* Which rows of a table: */
struct engine_rows {
  int64_t version; /* of a lake's table; -1: as it is */
  int64_t limit;   /* so many at most; -1: all */
  bool table_only; /* no view of a lake, which may read what its reader must not */
};
/* Appends a statement that reads them, for engine_query with `own`. Errors as engine_table_info and
 * engine_table_info_at. */
enum status engine_rows_sql(struct engine_session *session, const struct table_name *name,
                            const struct engine_rows *rows, struct text *sql,
                            struct error *error) WARN_UNUSED;

/* A version that changed a table. */
struct engine_version {
  int64_t version;
  int64_t time_us; /* since 1970 */
  char *changes;   /* "created,inserted" */
};
/* Those of a lake's table, the newest first, `limit` at most (10,000 in any case). Errors as
 * engine_table_info_at. */
enum status engine_versions(struct engine_session *session, const struct table_name *name,
                            int64_t limit, struct engine_version **versions, int64_t *count,
                            struct error *error) WARN_UNUSED;
void engine_versions_release(struct engine_version *versions, int64_t count);

/* Appends the DuckDB type that an Arrow field lands in exactly ("TIMESTAMP_NS"), or
 * refuses it: STATUS_UNSUPPORTED names the field, its type and why. docs/types.md
 * is generated from the same table. */
enum status engine_type_of(const struct ArrowSchema *field, struct text *out,
                           struct error *error) WARN_UNUSED;

/* Creates a table whose columns are the schema's fields, in order. STATUS_CONFLICT
 * when there is one of that name. */
enum status engine_create_table(struct engine_session *session, const struct table_name *name,
                                const struct ArrowSchema *schema, struct error *error) WARN_UNUSED;

/* What engine_create_table would refuse of a schema: STATUS_SCHEMA (two columns of one name, none),
 * STATUS_UNSUPPORTED (a type, by name). */
enum status engine_create_check(struct engine_session *session, const struct table_name *name,
                                const struct ArrowSchema *schema, struct error *error) WARN_UNUSED;

/* Removes every row of a table. STATUS_CONFLICT when somebody else changes it. */
enum status engine_empty_table(struct engine_session *session, const struct table_name *name,
                               struct error *error) WARN_UNUSED;

/* ---- a table that follows its data --------------------------------------------- */

/* What it takes for a table to hold every value of a schema. */
struct engine_evolution {
  struct text sql;     /* the statements; empty: it does already */
  struct text changes; /* for people, a line each: `added column "gate" VARCHAR` */
  struct text proof;   /* what apply asks to see that no value changed; empty: no type did */
};
/* Plans it: columns that the table lacks are added (they may be NULL), those whose type is too
 * narrow are widened where every value stays the same. `operation`: a field that is no column; NULL:
 * none. STATUS_SCHEMA names the field that cannot be brought in, and why, or what about the table
 * forbids to change it (a view, a computed column, a CHECK); STATUS_NOT_FOUND when there is no such
 * table, STATUS_UNSUPPORTED for a type that has no place in DuckDB. Changes nothing. */
enum status engine_evolution_plan(struct engine_session *session, const struct table_name *name,
                                  const struct ArrowSchema *schema, const char *operation,
                                  struct engine_evolution *evolution,
                                  struct error *error) WARN_UNUSED;
/* Does it, in the transaction of the session, in which it was planned and which has not changed the
 * table before (afterwards it may; docs/internals/schema-evolution.md says what happens otherwise).
 * STATUS_CONFLICT when somebody else changes the table: roll back, plan again. STATUS_SCHEMA when
 * the table does not let itself be changed (an index, a key's column), in DuckDB's words. After a
 * failure the transaction is of no use. Loads of others into the table that are under way fail. */
enum status engine_evolution_apply(struct engine_session *session,
                                   const struct engine_evolution *evolution,
                                   struct error *error) WARN_UNUSED;
void engine_evolution_release(struct engine_evolution *evolution);

/* STATUS_SCHEMA names the first difference between the table's columns and the fields: their number,
 * their order, their names, a type that is not the one that the field would have got. Whether a
 * column may be NULL is not compared. */
enum status engine_check_same(struct engine_session *session, const struct table_name *name,
                              const struct ArrowSchema *schema, struct error *error) WARN_UNUSED;

/* ---- insert ------------------------------------------------------------------ */

struct engine_insert;

/* Prepares to insert rows of `schema` into an existing table, column by name.
 * STATUS_SCHEMA names the first field that the table lacks or whose type it does not
 * hold exactly, and a column that the table requires and the schema lacks. */
enum status engine_insert_open(struct engine_session *session, const struct table_name *name,
                               const struct ArrowSchema *schema, struct engine_insert **insert,
                               struct error *error) WARN_UNUSED;

/* One statement that inserts rows [offset, offset + rows) of each slice. Neither
 * takes ownership nor keeps anything when it returns. A failed statement leaves the
 * transaction of no use: roll it back. STATUS_SCHEMA (constraint, value out of
 * range: names the column), STATUS_IO (disk full), STATUS_BUDGET (DuckDB's memory). */
struct engine_slice {
  struct arrow_shared *batch;
  int64_t offset_rows;
  int64_t rows;
};
enum status engine_insert_rows(struct engine_insert *insert, const struct engine_slice *slices,
                               int64_t slice_count, int64_t *inserted_rows,
                               struct error *error) WARN_UNUSED;
/* For another load on the same session: rows are counted from 0 again. `*current` false: the table is
 * not the one that the insert was opened for, or is not there, and the insert is to be closed and
 * opened again. Inside the transaction that will insert. */
void engine_insert_renew(struct engine_insert *insert, bool *current);
void engine_insert_close(struct engine_insert *insert); /* NULL is allowed */

/* ---- upsert: rows by key ------------------------------------------------------- */

/* Rows are collected in a temporary table of the session, outside of any transaction, and go into
 * their table at the end, inside a short one: whoever loses a conflict repeats the end alone. Rows
 * that the caller still holds at the end are taken from there.
 *
 *   engine_upsert_open -> engine_insert_rows (engine_upsert_insert) ... -> engine_upsert_ready
 *   engine_begin -> engine_upsert_apply -> engine_commit    (after STATUS_CONFLICT: again) */
struct engine_upsert;

struct engine_upsert_options {
  const struct table_name *table;
  const struct ArrowSchema *schema; /* a struct; must live as long as the upsert */
  const char *const *keys;          /* names of its fields, of plain types, each once */
  size_t key_count;
  bool partial; /* columns that did not come keep what they hold; false: they become NULL or
                 * their default */
  const char *operation; /* a text field that is no column: "d" or "delete" removes the row of that
                          * key; NULL: there is none */
  bool unique;           /* two rows of one key are refused; false: the last one wins */
  bool create_table;     /* when there is none of that name */
};

/* Errors as engine_insert_open. */
enum status engine_upsert_open(struct engine_session *session,
                               const struct engine_upsert_options *options,
                               struct engine_upsert **upsert, struct error *error) WARN_UNUSED;
/* Where the rows go: belongs to the upsert. */
struct engine_insert *engine_upsert_insert(struct engine_upsert *upsert);
/* All rows are there: those that were inserted, and the slices, which come after them and stay the
 * caller's, where they are until the upsert is closed. STATUS_SCHEMA names the row (the first is 0)
 * whose key is NULL or, with `unique`, was there before; other errors as engine_insert_rows. */
enum status engine_upsert_ready(struct engine_upsert *upsert, const struct engine_slice *slices,
                                int64_t slice_count, struct error *error) WARN_UNUSED;
/* Puts them into the table, within a transaction. Errors as engine_insert_rows; STATUS_CONFLICT: somebody else changes the same
 * rows, or the table is not the one that the upsert was opened for. */
enum status engine_upsert_apply(struct engine_upsert *upsert, struct error *error) WARN_UNUSED;
/* True when apply found another table than the upsert was opened for: to repeat it is of no use. */
bool engine_upsert_outdated(const struct engine_upsert *upsert);
void engine_upsert_close(struct engine_upsert *upsert); /* NULL is allowed */

/* ---- query ------------------------------------------------------------------- */

enum engine_value_kind { ENGINE_NULL, ENGINE_BOOLEAN, ENGINE_INTEGER, ENGINE_DOUBLE, ENGINE_TEXT };
struct engine_value {
  enum engine_value_kind kind;
  bool boolean;
  int64_t integer;
  double number;
  const char *text; /* UTF-8, text_bytes long */
  size_t text_bytes;
};

struct engine_query {
  const char *sql;
  const struct engine_value *parameters; /* positional: ?, $1 */
  size_t parameter_count;
  bool read_only;      /* statements that write are refused (STATUS_DENIED) */
  bool data_only;      /* those that make, change or drop tables are, too: CREATE, ALTER, DROP,
                          * VACUUM, CALL; INSERT, UPDATE, DELETE and MERGE run */
  int64_t batch_rows;  /* results are coalesced to at least so many rows; 0: 122880 */
  int64_t batch_bytes; /* or to so many bytes, whichever comes first; 0: 64 MB */
  /* Changes that answer with rows (INSERT ... RETURNING) are committed once the answer was drawn
   * to its end, so that one that is given up leaves nothing. */
  bool revocable;
  struct budget *budget; /* charged for the batches until they are released; NULL: none */
  /* It runs inside the transaction that was begun on the session (engine_begin_client), and leaves it
   * open; a failure may end it (engine_transaction_open). What before_alter takes is to be kept until
   * the transaction has ended. Several statements are not undone together when one of them fails. A
   * CHECKPOINT is refused. */
  bool within;
  /* The statement is the caller's own work, not a client's: its words are not looked through for
   * what clients must not say. */
  bool own;
  /* Called before a statement that may alter a table is run, outside of any transaction; a failure
   * refuses it. What it takes is to be kept until the result is closed. NULL: nobody is asked. */
  enum status (*before_alter)(void *context, struct error *error);
  /* The same before a statement that changes rows (INSERT, UPDATE, DELETE, MERGE), inside of the
   * transaction in which it runs, if there is one. */
  enum status (*before_change)(void *context, struct error *error);
  void *alter_context;
  /* Asked about every table that the statement reads or changes, before it runs, by way of views
   * and macros, too, whose own names are not asked about; false refuses it (STATUS_DENIED, by
   * name). Names are as the catalog spells them; catalog and schema are "" for this database
   * and its schema main. There may be one statement then; those whose tables cannot be told, and
   * the catalog's own tables and functions, are refused. Both NULL: everything is allowed. */
  bool (*may_read)(void *context, const struct table_name *table);
  bool (*may_write)(void *context, const struct table_name *table);
  void *may_context;
};

/* Runs one statement, or several separated by semicolons (in one transaction, the
 * last one's result is the answer; parameters then go to none and are refused).
 * BEGIN, COMMIT, ROLLBACK are refused by name: a session is not the client's.
 * STATUS_INVALID for SQL errors, with DuckDB's message and position. The result is
 * read as it is drawn; the session is busy until it is closed. */
enum status engine_query(struct engine_session *session, const struct engine_query *query,
                         struct engine_result **result, struct error *error) WARN_UNUSED;
const struct ArrowSchema *engine_result_schema(const struct engine_result *result);
/* The next batch, a struct array of the result's schema; `batch->release` is NULL
 * after the last one. A statement's effects are committed (and durable) before the
 * end is told. STATUS_BUDGET: no memory for a batch now, the call may be repeated.
 * STATUS_SCHEMA names a row and column whose value Arrow's type does not hold. */
enum status engine_result_next(struct engine_result *result, struct ArrowArray *batch,
                               struct error *error) WARN_UNUSED;
/* True when the statement was asked for rows. INSERT, UPDATE and DELETE answer all the
 * same: one row, whose column `Count` says how many they changed. CREATE and the like
 * have no columns. */
bool engine_result_has_rows(const struct engine_result *result);
int64_t engine_result_changed_rows(const struct engine_result *result);
/* A result that is closed before its end is cancelled. NULL is allowed. */
void engine_result_close(struct engine_result *result);

/* ---- statements that are kept (Flight SQL's prepared statements) -------------------- */

struct engine_statement;

/* Prepares one statement; `query` as for engine_query, whose parameters are not looked at; what it
 * points to must outlive the statement, but for `sql`. Everything that engine_query refuses is refused
 * here, or again when it is run (permissions by then, tables that have changed). */
enum status engine_prepare(struct engine_session *session, const struct engine_query *query,
                           struct engine_statement **statement, struct error *error) WARN_UNUSED;
/* A struct of the columns that it answers with; without fields for a statement that answers with none.
 * INSERT, UPDATE and DELETE (without RETURNING) have none, whatever DuckDB says. Where an answer's type
 * depends on a parameter that may have any it is a guess (as if that were text); where not even the
 * columns can be told there is one, "unknown", of the type null. */
const struct ArrowSchema *engine_statement_schema(const struct engine_statement *statement);
/* A struct of its parameters, in their order; a field of the type null where DuckDB cannot tell. */
const struct ArrowSchema *engine_statement_parameters(const struct engine_statement *statement);
/* Whether it is asked for rows. */
bool engine_statement_has_rows(const struct engine_statement *statement);
/* Runs it with the values of one row of `parameters` (a struct array of `schema`; both NULL without
 * parameters): by name when each has a name and a field has it, else by position. A value has the type
 * that its field would land in (engine_type_of); where the statement expects another one DuckDB casts
 * it, text to a date for instance. STATUS_INVALID: another number of them; STATUS_UNSUPPORTED: a type
 * that cannot be bound exactly, STATUS_SCHEMA: a value, by name. Other errors as engine_query. May be
 * called again once the result is closed; result's schema is the answer's, which may be another than
 * engine_statement_schema where it depends on a parameter's type. */
enum status engine_statement_run(struct engine_statement *statement,
                                 const struct ArrowSchema *schema,
                                 const struct ArrowArray *parameters, int64_t row,
                                 struct engine_result **result, struct error *error) WARN_UNUSED;
/* Runs an INSERT INTO t [(columns)] VALUES (?, ...) for every row of `parameters` at once, within the
 * transaction of the session, as fast as rows land. `*done` false: it is another statement, or there is no
 * transaction, and nothing was run: engine_statement_run does it row by row. All rows or none; a
 * failure ends the transaction, errors as engine_insert_rows, with the row where it can be told. */
enum status engine_statement_run_all(struct engine_statement *statement,
                                     const struct ArrowSchema *schema,
                                     const struct ArrowArray *parameters, bool *done,
                                     struct error *error) WARN_UNUSED;
/* The columns that it answers with when it is run with that row, without running it: the same as
 * engine_statement_schema unless that had to guess (SELECT ?, a + ?). `answer` is the caller's to release. */
enum status engine_statement_describe(struct engine_statement *statement,
                                      const struct ArrowSchema *schema,
                                      const struct ArrowArray *parameters, int64_t row,
                                      struct ArrowSchema *answer, struct error *error) WARN_UNUSED;
/* No result of it is open. NULL is allowed. */
void engine_statement_close(struct engine_statement *statement);

/* Names without a catalog or schema mean these from now on: the database or a lake, and one of its
 * schemas; NULL or "": this database, main. What callers name in a struct table_name is not affected.
 * Who may write only some tables must name their schema in INSERT then. STATUS_NOT_FOUND. */
enum status engine_session_use(struct engine_session *session, const char *catalog,
                               const char *schema, struct error *error) WARN_UNUSED;

/* Inserts let a session's rows come in any order (preserve_insertion_order); from now on statements
 * keep it again. For sessions that go on after an insert, which must be closed. */
enum status engine_session_order(struct engine_session *session, struct error *error) WARN_UNUSED;

/* ---- results that are kept, to be read in parts ---------------------------------------- */

struct engine_kept;

/* Runs a statement that reads to its end and keeps its rows where every session of the engine can read
 * them, within DuckDB's memory limit and spilled to disk beyond it (not so a database in memory), until
 * it is closed, which is before the engine is. They are one snapshot: what the statement saw when it
 * began, or its transaction with `within`. Errors as engine_query; STATUS_BUDGET: DuckDB has no memory
 * for them. `query->batch_rows`, batch_bytes and budget mean nothing here. The session is free again
 * when it returns; engine_interrupt stops it. */
enum status engine_keep(struct engine_session *session, const struct engine_query *query,
                        struct engine_kept **kept, struct error *error) WARN_UNUSED;
int64_t engine_kept_rows(const struct engine_kept *kept);
/* That of the query's result. */
const struct ArrowSchema *engine_kept_schema(const struct engine_kept *kept);
/* Rows [offset, offset + rows), as far as there are so many, in the order of the query. Of `query` (NULL:
 * none) batch_rows, batch_bytes and budget count. From several threads at once, each with a session of its
 * own. STATUS_NOT_FOUND when the database was opened anew since: the rows are lost. */
enum status engine_kept_read(struct engine_session *session, const struct engine_kept *kept,
                             int64_t offset, int64_t rows, const struct engine_query *query,
                             struct engine_result **result, struct error *error) WARN_UNUSED;
/* No read is under way. Opens a session for a moment. NULL is allowed. */
void engine_kept_close(struct engine_kept *kept);

/* ---- Parquet ----------------------------------------------------------------- */

struct engine_parquet {
  const struct ArrowSchema *schema; /* a struct: its fields are the columns */
  /* The next batch of it, in the writer's hands until released; `release` NULL after the last. */
  enum status (*next)(void *context, struct ArrowArray *batch, struct error *error);
  void *context;
  enum ipc_compression compression;
  int level;                  /* of ZSTD; 0: 3 */
  int64_t memory_limit_bytes; /* of the writer's engine; 0: DuckDB's default */
};

/* Writes the batches as one Parquet file into `file`, open for writing and empty; on a failure
 * what it holds is of no use. STATUS_UNSUPPORTED names a column that Parquet, or its writer here,
 * would change (docs/http-api.md), before the first batch is drawn; a failure of `next` as it is;
 * STATUS_IO, STATUS_BUDGET. */
enum status engine_parquet_write(const struct engine_parquet *parquet, int file,
                                 struct error *error) WARN_UNUSED;

#endif
