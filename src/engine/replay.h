/* What database.c needs of replay.c. */
#ifndef ARROWPORT_ENGINE_REPLAY_H
#define ARROWPORT_ENGINE_REPLAY_H

#include "engine/private.h"

/* True when DuckDB's message says that it could not read the log of a file because it opened it. */
bool replay_failed(const char *message);

/* Reads the log of options->path by way of another database, made with `config`, and checkpoints
 * it: the file can be opened then. After a failure the file is what it was. */
enum status replay_elsewhere(const struct duckdb_api *duckdb, duckdb_config config,
                             const struct engine_options *options, struct error *error) WARN_UNUSED;

#endif
