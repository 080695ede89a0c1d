/* The answer to a statement: DuckDB's chunks gathered into batches, and what it did committed at its
 * end, where its transaction was begun for it (query.c). */
#include <stdlib.h>

#include "base/log.h"
#include "engine/query.h"

const struct ArrowSchema *engine_result_schema(const struct engine_result *result) {
  return collector_schema(result->collector);
}

bool engine_result_has_rows(const struct engine_result *result) {
  return result->session->duckdb->result_return_type(result->duck) ==
         DUCKDB_RESULT_TYPE_QUERY_RESULT;
}

int64_t engine_result_changed_rows(const struct engine_result *result) {
  return result->changed_rows;
}

enum status query_fetch(struct engine_result *result, duckdb_data_chunk *chunk,
                        struct error *error) {
  struct engine_session *session = result->session;
  const struct duckdb_api *duckdb = session->duckdb;
  *chunk = NULL;
  if (atomic_load(&session->interrupt) != STATUS_OK) return failure_set(session, error, NULL);
  *chunk = duckdb->fetch_chunk(result->duck);
  if (*chunk != NULL) return STATUS_OK;
  const char *message = duckdb->result_error(&result->duck);
  if (message != NULL && message[0] != '\0') return failure_set(session, error, message);
  result->drained = true;
  return STATUS_OK;
}

/* Sees to it that there is a chunk with rows not yet gathered; `*more` false: the end. */
static enum status draw(struct engine_result *result, bool *more, struct error *error) {
  const struct duckdb_api *duckdb = result->session->duckdb;
  *more = true;
  if (result->chunk != NULL) {
    if (result->chunk_row < (int64_t)duckdb->data_chunk_get_size(result->chunk)) return STATUS_OK;
    duckdb->destroy_data_chunk(&result->chunk);
    result->chunk = NULL;
  }
  result->chunk_row = 0;
  enum status status = query_fetch(result, &result->chunk, error);
  *more = result->chunk != NULL;
  return status;
}

/* Gathers the rest of the chunk, or half of it where a batch holds no more; `*full`
 * when the rows so far must go first. */
static enum status gather(struct engine_result *result, bool *full, struct error *error) {
  int64_t size = (int64_t)result->session->duckdb->data_chunk_get_size(result->chunk);
  int64_t rows = size - result->chunk_row;
  for (;;) {
    enum status status =
        collector_append(result->collector, result->chunk, result->chunk_row, rows, error);
    if (status == STATUS_OK) break;
    if (status != STATUS_TOO_LARGE && status != STATUS_BUDGET) return status;
    *full = collector_rows(result->collector) > 0;
    if (*full) return STATUS_OK;
    if (rows == 1) return status;
    rows /= 2;
  }
  result->chunk_row += rows;
  return STATUS_OK;
}

static enum status next(struct engine_result *result, struct ArrowArray *batch,
                        struct error *error) {
  *batch = (struct ArrowArray){0};
  bool more = !result->drained, full = false;
  while (more && !full) {
    enum status status = draw(result, &more, error);
    if (status == STATUS_OK && more) status = gather(result, &full, error);
    if (status != STATUS_OK) return status;
    if (collector_rows(result->collector) >= result->batch_rows ||
        collector_bytes(result->collector) >= result->batch_bytes)
      full = true;
  }
  if (collector_rows(result->collector) > 0)
    return collector_finish(result->collector, batch, error);
  return result->ended ? STATUS_OK : query_finish(result, error);
}

enum status query_finish(struct engine_result *result, struct error *error) {
  enum status status = STATUS_OK;
  result->ended = true;
  if (result->own_transaction) status = session_commit(result->session, error);
  result->own_transaction = false;
  if (!result->session->in_transaction) writers_leave(result->session);
  return status;
}

enum status engine_result_next(struct engine_result *result, struct ArrowArray *batch,
                               struct error *error) {
  enum status status = next(result, batch, error);
  if (status != STATUS_OK && error != NULL) status = failure_conceal(error, "", false);
  return status;
}

void engine_result_close(struct engine_result *result) {
  if (result == NULL) return;
  struct engine_session *session = result->session;
  const struct duckdb_api *duckdb = session->duckdb;
  if (result->chunk != NULL) duckdb->destroy_data_chunk(&result->chunk);
  if (result->has_duck) duckdb->destroy_result(&result->duck);
  if (!result->borrowed) duckdb->destroy_prepare(&result->statement);
  /* A statement that was not drawn to its end runs on until the next one begins: ROLLBACK stops it,
   * and ends the transaction that it may have. In somebody else's transaction any statement does.
   * It waits for DuckDB's threads, which look for an interrupt alone while they are within a join; one
   * that came before the statement began has been forgotten, so here is another. */
  if (!result->ended && (result->own_transaction || result->streaming)) {
    duckdb->interrupt(session->connection);
    struct error ignored;
    const char *next = session->in_transaction ? "SELECT 1" : "ROLLBACK";
    if (session_run(session, next, &ignored) != STATUS_OK)
      log_debug("engine", "closing a result: %s", ignored.text);
  }
  collector_free(result->collector);
  session->open = NULL;
  if (!session->in_transaction) writers_leave(session);
  if (session->keeps_out) writers_let_in(session->engine);
  session->keeps_out = false;
  session_leave(session);
  free(result);
}
