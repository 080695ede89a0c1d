/* A database whose log DuckDB cannot read while it opens the file.
 *
 * DuckDB 1.5 writes an ALTER TABLE to its log as a statement. When it opens a file it reads the log
 * before there is a default database, and then no function can be found: a table with
 * DEFAULT nextval('q'), to which a column was added before a crash, makes the whole file impossible
 * to open. Attached to a database that is open already, the same file is read without trouble. So it
 * is attached to one in memory, checkpointed, which empties the log, detached, and can be opened.
 *
 * 1. Nothing is written before DuckDB has read the whole log.
 * 2. DuckDB's lock on the file is held while it is attached; what happens between that and the next
 *    opening is any other process's business, as before every opening. */
#include <string.h>

#include "base/log.h"
#include "engine/private.h"
#include "engine/replay.h"

bool replay_failed(const char *message) {
  return message != NULL && strstr(message, "replaying WAL") != NULL &&
         strstr(message, "no default database set") != NULL;
}

static enum status run(const struct duckdb_api *duckdb, duckdb_connection connection,
                       const char *before, const char *path, const char *after,
                       struct error *error) {
  struct text sql = TEXT_EMPTY;
  duckdb_result result = {0};
  enum status status = text_add(&sql, before, error);
  if (status == STATUS_OK && path != NULL) status = text_add_literal(&sql, path, error);
  if (status == STATUS_OK) status = text_add(&sql, after, error);
  if (status == STATUS_OK && duckdb->query(connection, sql.data, &result) != DuckDBSuccess)
    status = failure_set(NULL, error, duckdb->result_error(&result));
  duckdb->destroy_result(&result);
  text_release(&sql);
  return status;
}

enum status replay_elsewhere(const struct duckdb_api *duckdb, duckdb_config config,
                             const struct engine_options *options, struct error *error) {
  duckdb_database database = NULL;
  duckdb_connection connection = NULL;
  char *message = NULL;
  enum status status = STATUS_OK;
  if (duckdb->open_ext(NULL, &database, config, &message) != DuckDBSuccess) {
    database = NULL;
    status = failure_set(NULL, error, message);
    goto done;
  }
  if (duckdb->connect(database, &connection) != DuckDBSuccess) {
    connection = NULL;
    status = error_set(error, STATUS_NOMEM, "DuckDB gave no connection to its database");
    goto done;
  }
  /* Functions that the table uses may be an extension's. */
  for (size_t i = 0; i < options->extension_count && status == STATUS_OK; i++)
    if (!engine_extension_built_in(options->extensions[i]))
      status = run(duckdb, connection, "LOAD ", options->extensions[i], "", error);
  if (status == STATUS_OK)
    status = run(duckdb, connection, "ATTACH ", options->path, " AS arrowport_replay", error);
  if (status == STATUS_OK)
    status = run(duckdb, connection, "CHECKPOINT arrowport_replay", NULL, "", error);
  if (status == STATUS_OK)
    status = run(duckdb, connection, "DETACH arrowport_replay", NULL, "", error);
  if (status == STATUS_OK)
    log_warning("engine",
                "%s: DuckDB could not read the log of the last run while it opened the file (a "
                "table with a computed default or check was altered); it was read another way, "
                "and the file is whole",
                options->path);

done:
  if (connection != NULL) duckdb->disconnect(&connection);
  if (database != NULL) duckdb->close(&database);
  if (message != NULL) duckdb->free(message);
  return status;
}
