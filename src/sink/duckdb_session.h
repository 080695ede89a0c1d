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
 * that the rows are in the transaction, and after a failure the transaction is of no use
 * (engine_transaction_open). Otherwise each load is a transaction of its own, and load_abort leaves
 * nothing of it behind.
 * `temporary`: tables are those of the session (their names have neither catalog nor schema, and one
 * that is made is temporary); otherwise where the session finds the names. */
struct sink_session_options {
  bool within;
  bool temporary;
};
enum status sink_session_open(struct engine_session *session,
                              const struct sink_session_options *options, struct sink **sink,
                              struct error *error) WARN_UNUSED;

#endif
