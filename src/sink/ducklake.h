/* The sink of DuckLake: tables of Parquet files with snapshots, in the engine of the DuckDB sink. */
#ifndef ARROWPORT_SINK_DUCKLAKE_H
#define ARROWPORT_SINK_DUCKLAKE_H

#include "sink/sink.h"

extern const struct sink_type SINK_DUCKLAKE;

/* A sink for the lake at `path`, which is one of those that the engine of `duckdb` (a SINK_DUCKDB)
 * has attached: it shares that engine, and is to be closed before it. STATUS_NOT_FOUND when it has
 * attached no such lake. */
enum status sink_ducklake_on(struct sink *duckdb, const char *path, struct sink **sink,
                             struct error *error) WARN_UNUSED;

#endif
