/* What the DuckDB sink shares with the house beyond sink.h: its engine, so that SQL
 * runs over the tables that it fills. */
#ifndef ARROWPORT_SINK_DUCKDB_H
#define ARROWPORT_SINK_DUCKDB_H

#include "engine/engine.h"
#include "sink/sink.h"
#include "sink/turns.h"

extern const struct sink_type SINK_DUCKDB;

/* Where the sinks on DuckDB keep tables of their own, in every database: not listed, and no load
 * goes there; SQL may read them. Not "arrowport": a database file of that name is a catalog of that
 * name, and with a schema of the same one DuckDB takes `arrowport.flights` for ambiguous. */
#define SINK_DUCKDB_SCHEMA "_arrowport"

/* For SQL that changes rows: until the turn, TURN_NONE before, is given back (turn_give), no SQL alters
 * tables. STATUS_CONFLICT after some seconds. */
enum status sink_duckdb_join(struct sink *sink, struct turn *turn, struct error *error) WARN_UNUSED;
/* The same at a table that is known, as a load takes it. */
enum status sink_duckdb_turn(struct sink *sink, const struct table_name *table, enum turn_kind kind,
                             struct turn *turn, struct error *error) WARN_UNUSED;
/* Waits until no load is at any table of the sink and nobody has joined, and keeps them away until the
 * turn is given back: for SQL that alters tables. `turn`: TURN_NONE, or one of the others, which
 * becomes that. STATUS_CONFLICT after some seconds. */
enum status sink_duckdb_alone(struct sink *sink, struct turn *turn,
                              struct error *error) WARN_UNUSED;

/* How long and how many tokens are remembered from now on, and how many are. Cheap; from any thread. */
void sink_duckdb_limit_tokens(struct sink *sink, int64_t retention_s, int64_t count_max);
int64_t sink_duckdb_token_count(struct sink *sink);

/* The engine of a sink of type SINK_DUCKDB or SINK_DUCKLAKE; it lives as long as the sink. */
struct engine *sink_duckdb_engine(struct sink *sink);

#endif
