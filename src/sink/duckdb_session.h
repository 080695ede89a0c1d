/* Loads into an engine session that somebody else has begun something on: a client's transaction, or
 * the session that keeps its temporary tables. */
#ifndef ARROWPORT_SINK_DUCKDB_SESSION_H
#define ARROWPORT_SINK_DUCKDB_SESSION_H

#include "engine/engine.h"
#include "sink/sink.h"

/* A sink whose loads insert through `session`, which is the caller's and outlives it: one load at a
 * time. SINK_APPEND and SINK_OVERWRITE, policies SCHEMA_SKIP and SCHEMA_STRICT, no tokens.
 *
 * `within`: in the transaction that is open there; nothing is begun or committed, load_commit means
 * that the rows are in the transaction. A load that fails or is aborted after rows of it were inserted
 * cannot be taken out again: it ends the transaction (engine_transaction_open is false then).
 * Otherwise each load is a transaction of its own, and load_abort leaves nothing of it behind.
 * `temporary`: tables are those of the session (names have neither catalog nor schema, or "temp" and
 * "main"), and one that is made is temporary; otherwise names mean what they do to every sink on
 * DuckDB. */
struct sink_session_options {
  bool within;
  bool temporary;
};
enum status sink_session_open(struct engine_session *session,
                              const struct sink_session_options *options, struct sink **sink,
                              struct error *error) WARN_UNUSED;

#endif
