/* What the DuckDB sink shares with the house beyond sink.h: its engine, so that SQL
 * runs over the tables that it fills. */
#ifndef ARROWPORT_SINK_DUCKDB_H
#define ARROWPORT_SINK_DUCKDB_H

#include "engine/engine.h"
#include "sink/sink.h"

extern const struct sink_type SINK_DUCKDB;

/* Where the sinks on DuckDB keep tables of their own, in every database: not listed, and no load
 * goes there; SQL may read them. Not "arrowport": a database file of that name is a catalog of that
 * name, and with a schema of the same one DuckDB takes `arrowport.flights` for ambiguous. */
#define SINK_DUCKDB_SCHEMA "_arrowport"

/* The engine of a sink of type SINK_DUCKDB; it lives as long as the sink. */
struct engine *sink_duckdb_engine(struct sink *sink);

#endif
