/* What query.c, result.c, statement.c and kept.c share: which statements run, how one is run, and
 * the answer that is drawn from it. */
#ifndef ARROWPORT_ENGINE_QUERY_H
#define ARROWPORT_ENGINE_QUERY_H

#include "engine/collect.h"
#include "engine/private.h"

struct engine_result {
  struct engine_session *session;
  duckdb_prepared_statement statement;
  bool borrowed; /* the statement is somebody else's to destroy */
  duckdb_result duck;
  bool has_duck;
  bool own_transaction; /* begun here, to be ended here */
  bool streaming;       /* drawn as DuckDB makes it */
  bool drained;         /* the last chunk was drawn */
  bool ended;           /* and what it did is committed */
  struct collector *collector;
  int64_t batch_rows, batch_bytes;
  int64_t changed_rows;
  duckdb_data_chunk chunk; /* drawn, and gathered up to `chunk_row` */
  int64_t chunk_row;
};

/* True when not every table is the caller's to read, or to write. */
static inline bool query_is_restricted(const struct engine_query *query) {
  return query->may_read != NULL || query->may_write != NULL;
}

/* An answer to be filled in; the session is busy with it until it is closed. */
enum status query_result_new(struct engine_session *session, const struct engine_query *query,
                             struct engine_result **result, struct error *error) WARN_UNUSED;
/* What a failure is to the one who asked: an interrupt when that was its cause, wherever it struck, and
 * without what he must not learn. Returns the status that it is then. */
enum status query_failed(const struct engine_session *session, const struct engine_query *query,
                         enum status status, struct error *error);
/* What the text alone says: STATUS_DENIED for what clients must not say; whether it may change a
 * lake. */
enum status query_check_text(struct engine_session *session, const struct engine_query *query,
                             bool *changes_lake, struct error *error) WARN_UNUSED;
/* Prepares one of the statements, and checks that its kind may run. */
enum status query_prepare(struct engine_session *session, duckdb_extracted_statements statements,
                          idx_t index, const struct engine_query *query,
                          duckdb_prepared_statement *statement, struct error *error) WARN_UNUSED;
/* The same for the only statement in query->sql. */
enum status query_prepare_one(struct engine_session *session, const struct engine_query *query,
                              duckdb_prepared_statement *statement,
                              struct error *error) WARN_UNUSED;
/* Asks query->before_change, where the statement is one that changes rows. */
enum status query_before(duckdb_statement_type type, const struct engine_query *query,
                         struct error *error) WARN_UNUSED;
/* Before its transaction begins: loads and writers are kept away from what must not go beside them.
 * `type` of the statement, INVALID for several or where it is not known. */
enum status query_make_room(struct engine_session *session, const struct engine_query *query,
                            duckdb_statement_type type, bool several,
                            struct error *error) WARN_UNUSED;
/* Begins the transaction that the result ends. */
enum status query_begin(struct engine_result *result, bool read_only,
                        struct error *error) WARN_UNUSED;
/* Runs result->statement, whose parameters are bound; `values` are they, for the look at its tables
 * (NULL: those of the query). */
enum status query_execute(struct engine_result *result, const struct engine_query *query,
                          const struct query_values *values, struct error *error) WARN_UNUSED;
/* The answer's columns; a statement that answers with none is finished. */
enum status query_answer(struct engine_result *result, const struct engine_query *query,
                         struct error *error) WARN_UNUSED;
/* The next chunk of the answer, `*chunk` NULL at its end; the caller destroys it. */
enum status query_fetch(struct engine_result *result, duckdb_data_chunk *chunk,
                        struct error *error) WARN_UNUSED;
/* Ends the transaction that was begun for the result, at the end of the answer. */
enum status query_finish(struct engine_result *result, struct error *error) WARN_UNUSED;

#endif
