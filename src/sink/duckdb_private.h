/* What the files of the DuckDB sink share:
 *
 *   duckdb.c       settings, opening, tables
 *   ducklake.c     the same for a lake, which the engine has attached
 *   duckdb_load.c  a load whose rows come one batch after the other
 *   duckdb_land.c  many small loads that have come whole, in one transaction
 *   duckdb_place.c a table, made or changed until the rows fit
 *   duckdb_desk.c  sessions that are kept, with what was prepared on them */
#ifndef ARROWPORT_SINK_DUCKDB_PRIVATE_H
#define ARROWPORT_SINK_DUCKDB_PRIVATE_H

#include <pthread.h>

#include "sink/duckdb.h"
#include "sink/tokens.h"
#include "sink/turns.h"

enum {
  TURN_WAIT_MS = 4000,   /* for other loads into the table */
  TOKEN_WAIT_MS = 30000, /* for another commit of the same token */
  CONFLICT_TRIES = 12,   /* when SQL from elsewhere changes the same thing */
  CONFLICT_WAIT_MS = 10, /* between the first two; doubled each time */
  CONFLICT_WAIT_MS_MAX = 200,
  DESKS_MAX = 8,
  DESK_INSERTS_MAX = 4 /* that an idle desk keeps */
};

/* Settings that the sinks on DuckDB share: of an engine of their own, and of what lands. */
#define DUCKDB_ENGINE_FIELDS                                                                       \
  {.name = "memory_limit",                                                                         \
   .type = CONFIG_BYTES,                                                                           \
   .default_text = "0",                                                                            \
   .doc = "Memory that DuckDB may use; 0 leaves its own default, 80% of the machine's."},          \
  {                                                                                                \
    .name = "threads", .type = CONFIG_INTEGER, .default_text = "0", .max = 1024,                   \
    .doc = "Threads that DuckDB may use; 0 takes as many as the machine has."                      \
  }
#define DUCKDB_LANDING_FIELDS                                                                      \
  {.name = "insert_bytes_max",                                                                     \
   .type = CONFIG_BYTES,                                                                           \
   .default_text = "64MiB",                                                                        \
   .min = 1,                                                                                       \
   .max = INT64_C(1) << 40,                                                                        \
   .doc = "A load inserts what it has gathered once it is this large, however few rows."},         \
      {.name = "token_retention_h",                                                                \
       .type = CONFIG_INTEGER,                                                                     \
       .unit = "hours",                                                                            \
       .default_text = "24",                                                                       \
       .min = 1,                                                                                   \
       .max = 8760,                                                                                \
       .doc = "How long a load's token is remembered, so that it lands once however often it is "  \
              "sent."},                                                                            \
  {                                                                                                \
    .name = "tokens_max", .type = CONFIG_INTEGER, .default_text = "4000000", .min = 1000,          \
    .max = 1000000000,                                                                             \
    .doc = "How many are remembered at most; the oldest are then forgotten before their time."     \
  }

struct duckdb_sink {
  struct sink base;
  struct engine *engine;
  bool engine_lent; /* it is another sink's, which is closed later */
  char *catalog;    /* of a lake: where its tables are; NULL: the database itself */
  bool read_only;
  int64_t insert_rows;
  int64_t insert_bytes_max;
  struct turns *turns;
  struct tokens *tokens;
  int64_t token_retention_s, tokens_max;
  pthread_mutex_t desk_lock; /* guards what follows */
  struct desk *desks[DESKS_MAX];
  int64_t desk_clock;
};

/* A sink without an engine, to be closed by duckdb_close whatever becomes of it. */
enum status duckdb_new(const struct sink_type *type, struct duckdb_sink **sink,
                       struct error *error) WARN_UNUSED;
void duckdb_close(struct sink *sink);
/* What the settings say of how rows land. */
void duckdb_configure(struct duckdb_sink *sink, const struct config *config);
/* Opens the sink's tokens, once it has its engine. */
enum status duckdb_open_tokens(struct duckdb_sink *sink, struct error *error) WARN_UNUSED;
enum status duckdb_lookup(struct sink *sink, const struct table_name *name, const char *token,
                          bool *found, struct load_result *result, struct error *error) WARN_UNUSED;
enum status duckdb_table_info(struct sink *sink, const struct table_name *name,
                              struct table_info *info, struct error *error) WARN_UNUSED;
enum status duckdb_list_tables(struct sink *sink, struct table_info **tables, int64_t *count,
                               struct error *error) WARN_UNUSED;

/* ---- desks ------------------------------------------------------------------------------- */

/* A session with what was prepared on it for one table. Whoever has it uses it alone. */
struct desk {
  struct engine_session *session;
  struct token_writer *writer; /* NULL: not opened yet */
  int64_t generation;          /* of the engine */
  struct table_name table;
  struct desk_insert {
    struct ArrowSchema schema;
    struct engine_insert *insert;
  } * inserts; /* the oldest first */
  int insert_count, insert_capacity;
  bool busy;
  int64_t used; /* when, by desk_clock */
};

/* One that was used for the table before, or a new one. */
enum status desk_take(struct duckdb_sink *sink, const struct table_name *table, struct desk **desk,
                      struct error *error) WARN_UNUSED;
/* Back, in no transaction. `broken`: its session is not to be used again. NULL is allowed. */
void desk_give(struct duckdb_sink *sink, struct desk *desk, bool broken);
void desk_close_all(struct duckdb_sink *sink);
/* Those that nobody has: their engine is to be opened anew (engine_on_loss). `context`: the sink. */
void desk_close_idle(void *context);

/* That of a schema which was kept; NULL: none is. */
struct engine_insert *desk_insert_find(const struct desk *desk, const struct ArrowSchema *schema);
/* Keeps it as long as the desk is not given back; then only the youngest are. Takes `insert` also
 * after a failure. */
enum status desk_insert_keep(struct desk *desk, const struct ArrowSchema *schema,
                             struct engine_insert *insert, struct error *error) WARN_UNUSED;
void desk_insert_drop(struct desk *desk, const struct engine_insert *insert);

/* ---- places -------------------------------------------------------------------------------- */

/* Whether loads into the table are taken at all: STATUS_UNAVAILABLE, STATUS_DENIED. */
enum status place_allowed(const struct duckdb_sink *sink, const struct table_name *table,
                          struct error *error) WARN_UNUSED;

/* What rows of `schema` need of their table, without changing anything: errors as load_begin. */
enum status place_check(struct engine_session *session, const struct load_spec *spec,
                        const struct ArrowSchema *schema, struct error *error) WARN_UNUSED;

enum place_change { PLACE_NONE, PLACE_CHANGED, PLACE_MADE };

/* Inside the session's transaction: makes or changes the table as `spec` allows until rows of
 * `schema` can be inserted, and opens the insert. `*change` says what that took. Without `alone` (the
 * turn TURN_ALONE) nothing is made or changed: `*insert` is NULL then, and `*change` says what it
 * would take. Appends a line for each change of a column. */
enum status place_open(struct engine_session *session, const struct load_spec *spec,
                       const struct ArrowSchema *schema, bool alone, struct engine_insert **insert,
                       enum place_change *change, struct text *changes,
                       struct error *error) WARN_UNUSED;

/* ---- loads ----------------------------------------------------------------------------------- */

/* Waits before the next try after STATUS_CONFLICT; `*wait_ms` begins with CONFLICT_WAIT_MS. */
void conflict_wait(int *wait_ms);

/* STATUS_BUDGET within a transaction: DuckDB's memory ran out, and the transaction is over. It is not
 * a call that may be repeated, as STATUS_BUDGET would say. */
enum status settle_budget(enum status status, struct error *error);

enum status duckdb_begin(struct sink *sink, const struct load_spec *spec, struct load **load,
                         struct error *error) WARN_UNUSED;
enum status duckdb_append(struct load *load, struct ArrowArray *batch,
                          struct error *error) WARN_UNUSED;
enum status duckdb_flush(struct load *load, struct error *error) WARN_UNUSED;
enum status duckdb_commit(struct load *load, struct load_result *result,
                          struct error *error) WARN_UNUSED;
void duckdb_abort(struct load *load);
void duckdb_land(struct sink *sink, const struct load_spec *spec, struct parcel *parcels,
                 int64_t count);

/* As duckdb_land, for one load of any mode without keys whose rows are in the slices, which stay the
 * caller's. */
enum status duckdb_land_one(struct duckdb_sink *sink, const struct load_spec *spec,
                            const struct engine_slice *slices, int64_t slice_count, int64_t batches,
                            struct load_result *result, struct error *error) WARN_UNUSED;

/* A token that has landed: fills in `result` with what it answered. STATUS_SCHEMA when it landed
 * another number of rows than `rows`. Takes `first`. */
enum status duckdb_repeat(struct load_result *first, const char *token, int64_t rows,
                          struct load_result *result, struct error *error) WARN_UNUSED;

#endif
