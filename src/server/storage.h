/* The sinks that a server holds open: each backend once, opened when it is first
 * needed, so that a server that nobody uses holds no database in memory. */
#ifndef ARROWPORT_SERVER_STORAGE_H
#define ARROWPORT_SERVER_STORAGE_H

#include "base/status.h"
#include "engine/engine.h"
#include "server/config.h"
#include "sink/sink.h"
#include "sink/turns.h"

struct storage;

/* Checks what can be checked without opening a database: that every backend that
 * the configuration names is built in, and that the database file can be opened and
 * is not held by another process. */
enum status storage_new(const struct server_config *config, struct storage **storage,
                        struct error *error) WARN_UNUSED;
void storage_free(struct storage *storage); /* no load or session is open; NULL is allowed */

/* The sink of a backend, opened if need be: blocks, call it on a worker. It belongs
 * to the storage. */
enum status storage_sink(struct storage *storage, const char *backend, struct sink **sink,
                         struct error *error) WARN_UNUSED;
/* Called when sessions keep a database that is out of use from being opened anew (engine_on_held),
 * on any thread; said before anything is opened. */
void storage_on_held(struct storage *storage, void (*urge)(void *context), void *context);
/* The configuration was read anew: `checkpoint_*` of it, and how long and how many tokens are
 * remembered, from now on. */
void storage_limit(struct storage *storage, const struct server_config *config);
/* Tokens that are remembered, in all that is open. Neither blocks nor opens anything. */
int64_t storage_token_count(const struct storage *storage);
/* What the engine counts, all 0 before it is opened. Neither blocks nor opens it. */
void storage_look(struct storage *storage, struct engine_figures *figures);
/* Keeps whoever alters tables by SQL away until the turn, TURN_NONE before, is given back
 * (sink_duckdb_join): what changes rows by SQL takes part so. */
enum status storage_join(struct storage *storage, struct turn *turn,
                         struct error *error) WARN_UNUSED;
/* The same at a table that is known, as a load takes its turn there (sink_duckdb_turn). */
enum status storage_turn(struct storage *storage, const struct table_name *table,
                         enum turn_kind kind, struct turn *turn, struct error *error) WARN_UNUSED;
/* Keeps loads of the embedded database, and those who have joined, away until the turn is given back
 * (sink_duckdb_alone). `turn`: TURN_NONE, or one of the others, which becomes that. */
enum status storage_alone(struct storage *storage, struct turn *turn,
                          struct error *error) WARN_UNUSED;
/* The sink that keeps a table, whose name is made full: a lake's where it says so, or where the
 * default storage is one; the database's otherwise. As above. */
enum status storage_sink_of(struct storage *storage, const struct server_config *config,
                            struct table_name *table, struct sink **sink,
                            struct error *error) WARN_UNUSED;
/* The engine that answers SQL over every table that can be queried. As above. */
enum status storage_engine(struct storage *storage, struct engine **engine,
                           struct error *error) WARN_UNUSED;

#endif
