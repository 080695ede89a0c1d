/* Sources of rows for DoGet: what a statement answers with, and arrays in memory. Drawn and closed on
 * workers, by one at a time. */
#include <stdlib.h>
#include <string.h>

#include "server/flight.h"

enum { BATCH_ROWS = 122880 }; /* DuckDB's row group */

/* ---- what the caller may -------------------------------------------------------------------------- */

/* No load is under way while a statement alters tables. */
static enum status before_alter(void *context, struct error *error) {
  struct flight_ask *ask = context;
  if (ask->alone->at != NULL && ask->alone->kind == TURN_ALONE) return STATUS_OK;
  return storage_alone(ask->server->storage, ask->alone, error);
}

/* No table is altered by SQL from the first change of rows on until the transaction has ended. */
static enum status before_change(void *context, struct error *error) {
  struct flight_ask *ask = context;
  if (ask->alone->at != NULL) return STATUS_OK;
  return storage_join(ask->server->storage, ask->alone, error);
}

void flight_query_rights(struct flight_ask *ask, struct turn *alone, struct engine_query *query) {
  const struct identity *who = ask->who;
  bool restricted = !auth_sees_everything(who);
  ask->alone = alone;
  query->read_only = query->read_only || (who->scopes & (AUTH_WRITE | AUTH_ADMIN)) == 0;
  query->data_only = (who->scopes & AUTH_ADMIN) == 0;
  query->batch_rows = BATCH_ROWS;
  query->batch_bytes = query_batch_bytes(ask->server, ask->config);
  query->budget = &ask->server->answers;
  query->before_alter = before_alter;
  query->before_change = before_change;
  query->alter_context = ask;
  query->may_read = restricted ? query_may_read : NULL;
  query->may_write = restricted ? query_may_write : NULL;
  query->may_context = (void *)(uintptr_t)who;
}

/* ---- a result ----------------------------------------------------------------------------------------- */

struct result_rows {
  struct source source;
  struct engine_result *result;
  void (*close)(void *context);
  void *context;
};

static void result_close(struct source *source) {
  struct result_rows *rows = (struct result_rows *)source;
  engine_result_close(rows->result);
  if (rows->close != NULL) rows->close(rows->context);
  free(rows);
}

static const struct ArrowSchema *result_schema(struct source *source) {
  return engine_result_schema(((struct result_rows *)source)->result);
}

static enum status result_next(struct source *source, struct ArrowArray *batch,
                               struct error *error) {
  return engine_result_next(((struct result_rows *)source)->result, batch, error);
}

static const struct source_type RESULT_ROWS = {
    .name = "result",
    .summary = "rows of a statement",
    .close = result_close,
    .schema = result_schema,
    .next = result_next,
};

enum status flight_result_rows(struct engine_result *result, void (*close)(void *context),
                               void *context, struct source **rows, struct error *error) {
  struct result_rows *made = calloc(1, sizeof *made);
  *rows = NULL;
  if (made == NULL) {
    engine_result_close(result);
    if (close != NULL) close(context);
    return error_set(error, STATUS_NOMEM, "no memory for an answer");
  }
  made->source.type = &RESULT_ROWS;
  made->result = result;
  made->close = close;
  made->context = context;
  *rows = &made->source;
  return STATUS_OK;
}

/* ---- a statement of its own session -------------------------------------------------------------------- */

struct own_session {
  struct flight_ask *ask;
  struct engine_session *session;
  struct turn alone;
};

static void own_close(void *context) {
  struct own_session *own = context;
  if (own->session != NULL) {
    enum status status = flight_guard(own->ask, NULL, NULL, NULL);
    (void)status; /* to let go never fails */
  }
  engine_session_close(own->session);
  turn_give(&own->alone);
  free(own);
}

enum status flight_query_rows(struct flight_ask *ask, const struct engine_query *query,
                              struct source **rows, struct error *error) {
  struct engine *engine = NULL;
  struct engine_result *result = NULL;
  struct own_session *own = calloc(1, sizeof *own);
  *rows = NULL;
  if (own == NULL) return error_set(error, STATUS_NOMEM, "no memory for a request");
  own->ask = ask;
  struct engine_query asked = *query;
  flight_query_rights(ask, &own->alone, &asked);
  if (query->own && query->may_read == NULL) {
    asked.may_read = NULL;
    asked.may_write = NULL;
  }
  enum status status = storage_engine(ask->server->storage, &engine, error);
  if (status == STATUS_OK) status = engine_session_open(engine, &own->session, error);
  if (status == STATUS_OK) status = flight_guard(ask, own->session, NULL, error);
  if (status == STATUS_OK) status = engine_query(own->session, &asked, &result, error);
  if (status == STATUS_OK) return flight_result_rows(result, own_close, own, rows, error);
  own_close(own);
  return status;
}

/* ---- arrays in memory ------------------------------------------------------------------------------------ */

struct memory_rows {
  struct source source;
  struct ArrowSchema schema;
  size_t count, next;
  struct ArrowArray batches[];
};

static void memory_close(struct source *source) {
  struct memory_rows *rows = (struct memory_rows *)source;
  for (size_t i = 0; i < rows->count; i++) arrow_array_release(&rows->batches[i]);
  arrow_schema_release(&rows->schema);
  free(rows);
}

static const struct ArrowSchema *memory_schema(struct source *source) {
  return &((struct memory_rows *)source)->schema;
}

static enum status memory_next(struct source *source, struct ArrowArray *batch,
                               struct error *error) {
  struct memory_rows *rows = (struct memory_rows *)source;
  (void)error;
  if (rows->next < rows->count) arrow_array_move(&rows->batches[rows->next++], batch);
  return STATUS_OK;
}

static const struct source_type MEMORY_ROWS = {
    .name = "memory",
    .summary = "rows in memory",
    .close = memory_close,
    .schema = memory_schema,
    .next = memory_next,
};

enum status flight_memory_rows(struct ArrowSchema *schema, struct ArrowArray *batches, size_t count,
                               struct source **rows, struct error *error) {
  struct memory_rows *made = calloc(1, sizeof *made + count * sizeof made->batches[0]);
  *rows = NULL;
  if (made == NULL) {
    for (size_t i = 0; i < count; i++) arrow_array_release(&batches[i]);
    arrow_schema_release(schema);
    return error_set(error, STATUS_NOMEM, "no memory for an answer");
  }
  made->source.type = &MEMORY_ROWS;
  arrow_schema_move(schema, &made->schema);
  for (size_t i = 0; i < count; i++) arrow_array_move(&batches[i], &made->batches[i]);
  made->count = count;
  *rows = &made->source;
  return STATUS_OK;
}
