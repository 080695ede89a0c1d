/* Loads into an engine session that is lent: see duckdb_session.h.
 *
 *   begin:  BEGIN (unless within), the table is made, emptied, looked at
 *   append: batches are kept until they make a statement
 *   commit: the rest, COMMIT (unless within)
 *   abort:  ROLLBACK; within, only where rows have been inserted
 *
 * No turn at the table is taken, as for an INSERT by SQL: who alters it meanwhile wins, and the load
 * hears of it. A batch that append took is inserted or dropped with the load. */
#include "sink/duckdb_session.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "sink/duckdb_private.h"

enum { INSERT_ROWS = 122880, INSERT_BYTES_MAX = 64 << 20, SLICES_MAX = 256 };

struct session_sink {
  struct sink base;
  struct engine_session *session;
  struct sink_session_options options;
};

struct session_load {
  struct load base;
  struct ArrowSchema schema;
  struct engine_insert *insert;
  bool began;   /* a transaction, here */
  bool touched; /* the transaction that there was has something of the load in it */
  bool failed;
  struct engine_slice slices[SLICES_MAX]; /* what waits */
  int64_t slice_count, waiting_rows, waiting_bytes;
  struct load_result result;
};

static struct session_sink *sink_of(const struct session_load *load) {
  return (struct session_sink *)load->base.sink;
}

static void drop_slices(struct session_load *load) {
  for (int64_t i = 0; i < load->slice_count; i++) arrow_shared_release(load->slices[i].batch);
  load->slice_count = load->waiting_rows = load->waiting_bytes = 0;
}

/* `good`: what is in the transaction may stay there. */
static void load_end(struct session_load *load, bool good) {
  struct engine_session *session = sink_of(load)->session;
  struct error ignored;
  drop_slices(load);
  engine_insert_close(load->insert);
  if (!good && (load->began || load->touched)) engine_rollback(session);
  if (engine_session_order(session, &ignored) != STATUS_OK)
    log_debug("sink", "the order of rows: %s", ignored.text);
  arrow_schema_release(&load->schema);
  free(load);
}

/* ---- beginning ------------------------------------------------------------------------------------- */

static enum status check(const struct session_sink *sink, const struct load_spec *spec,
                         struct table_name *table, struct error *error) {
  *table = spec->table;
  if (strcasecmp(table->schema, SINK_DUCKDB_SCHEMA) == 0)
    return error_set(error, STATUS_DENIED,
                     "the schema " SINK_DUCKDB_SCHEMA
                     " holds what the server itself remembers; load into another one");
  if (spec->policy == SCHEMA_MERGE)
    return error_set(error, STATUS_UNSUPPORTED,
                     "a load into a transaction or a temporary table changes no columns: its "
                     "schema policy is skip or strict");
  bool temporary = strcasecmp(table->catalog, "temp") == 0;
  if (!sink->options.temporary)
    return !temporary ? STATUS_OK
                      : error_set(error, STATUS_INVALID,
                                  "the load does not say that the table is a temporary one");
  if ((table->catalog[0] != '\0' && !temporary) ||
      (table->schema[0] != '\0' && strcasecmp(table->schema, "main") != 0))
    return error_set(error, STATUS_INVALID,
                     "a temporary table is in no catalog or schema: leave them out");
  memcpy(table->catalog, "temp", sizeof "temp");
  memcpy(table->schema, "main", sizeof "main");
  return STATUS_OK;
}

static enum status session_begin(struct sink *base, const struct load_spec *asked,
                                 struct load **out, struct error *error) {
  struct session_sink *sink = (struct session_sink *)base;
  struct load_spec spec = *asked;
  enum place_change change = PLACE_NONE;
  struct text changes = TEXT_EMPTY;
  enum status status = check(sink, asked, &spec.table, error);
  if (status != STATUS_OK) return status;
  struct session_load *load = calloc(1, sizeof *load);
  if (load == NULL) return error_set(error, STATUS_NOMEM, "no memory for a load");
  load->base.sink = base;
  load->result.version = -1;
  status = arrow_schema_copy(asked->schema, &load->schema, error);
  if (status == STATUS_OK && !sink->options.within) {
    status = engine_begin(sink->session, error);
    load->began = status == STATUS_OK;
  }
  if (status == STATUS_OK)
    status = place_open(sink->session, &spec, &load->schema, true, &load->insert, &change, &changes,
                        error);
  load->touched = change != PLACE_NONE;
  if (status == STATUS_OK && spec.mode == SINK_OVERWRITE && change == PLACE_NONE) {
    load->touched = true;
    status = engine_empty_table(sink->session, &spec.table, error);
  }
  text_release(&changes);
  if (status != STATUS_OK) {
    load_end(load, false);
    return settle_budget(status, error);
  }
  *out = &load->base;
  return STATUS_OK;
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

static enum status insert_waiting(struct session_load *load, struct error *error) {
  int64_t inserted = 0;
  if (load->waiting_rows == 0) return STATUS_OK;
  load->touched = true;
  enum status status =
      engine_insert_rows(load->insert, load->slices, load->slice_count, &inserted, error);
  if (status == STATUS_OK && inserted != load->waiting_rows)
    status = error_set(error, STATUS_INTERNAL, "DuckDB inserted %lld of %lld rows",
                       (long long)inserted, (long long)load->waiting_rows);
  load->failed |= status != STATUS_OK;
  drop_slices(load);
  return settle_budget(status, error);
}

static enum status still_good(const struct session_load *load, struct error *error) {
  if (!load->failed) return STATUS_OK;
  return error_set(error, STATUS_INTERNAL, "the load failed before and can only be aborted");
}

static enum status session_append(struct load *base, struct ArrowArray *batch,
                                  struct error *error) {
  struct session_load *load = (struct session_load *)base;
  struct arrow_shared *shared = NULL;
  enum status status = still_good(load, error);
  if (status == STATUS_OK && batch->n_children != load->schema.n_children)
    status = error_set(error, STATUS_SCHEMA, "the batch has %lld columns, its schema %lld",
                       (long long)batch->n_children, (long long)load->schema.n_children);
  /* What earlier batches make: a failure of it leaves this one with its caller. */
  if (status == STATUS_OK &&
      (load->waiting_rows >= INSERT_ROWS || load->waiting_bytes >= INSERT_BYTES_MAX ||
       load->slice_count == SLICES_MAX))
    status = insert_waiting(load, error);
  int64_t rows = batch->length, bytes = 0;
  if (status == STATUS_OK) bytes = arrow_array_bytes(&load->schema, batch);
  if (status == STATUS_OK) status = arrow_shared_new(batch, &shared, error);
  if (status != STATUS_OK) return status;
  load->result.batches++;
  load->result.rows += rows;
  if (rows == 0) {
    arrow_shared_release(shared);
    return STATUS_OK;
  }
  load->slices[load->slice_count++] = (struct engine_slice){shared, 0, rows};
  load->waiting_rows += rows;
  load->waiting_bytes += bytes;
  return STATUS_OK;
}

static enum status session_flush(struct load *base, struct error *error) {
  struct session_load *load = (struct session_load *)base;
  enum status status = still_good(load, error);
  return status == STATUS_OK ? insert_waiting(load, error) : status;
}

static enum status session_commit(struct load *base, struct load_result *result,
                                  struct error *error) {
  struct session_load *load = (struct session_load *)base;
  enum status status = still_good(load, error);
  if (status == STATUS_OK) status = insert_waiting(load, error);
  if (status == STATUS_OK && load->began) {
    engine_insert_close(load->insert); /* before the transaction that it was opened in ends */
    load->insert = NULL;
    status = engine_commit(sink_of(load)->session, error);
    load->result.version =
        status == STATUS_OK ? engine_committed_version(sink_of(load)->session) : -1;
    load->began = false;
  }
  if (status == STATUS_OK) *result = load->result;
  load_end(load, status == STATUS_OK);
  return status;
}

static void session_abort(struct load *load) { load_end((struct session_load *)load, false); }

static void session_close(struct sink *sink) { free(sink); }

static const struct sink_type SINK_SESSION = {
    .name = "session",
    .summary = "a session of the embedded database",
    .modes = SINK_APPEND | SINK_OVERWRITE,
    .traits = SINK_TRANSACTIONAL | SINK_QUERYABLE,
    .close = session_close,
    .begin = session_begin,
    .append = session_append,
    .flush = session_flush,
    .commit = session_commit,
    .abort = session_abort,
};

enum status sink_session_open(struct engine_session *session,
                              const struct sink_session_options *options, struct sink **out,
                              struct error *error) {
  struct session_sink *sink = calloc(1, sizeof *sink);
  *out = NULL;
  if (sink == NULL) return error_set(error, STATUS_NOMEM, "no memory for a sink");
  sink->base.type = &SINK_SESSION;
  sink->session = session;
  sink->options = *options;
  *out = &sink->base;
  return STATUS_OK;
}
