/* A load whose rows come one batch after the other.
 *
 *   begin:  the table is looked at: what cannot land is refused before a row has come
 *   append: batches are kept until they make a statement (insert_rows or insert_bytes_max); with the
 *           first statement the transaction begins, later ones insert whole row groups of what waits
 *   commit: nothing was inserted yet: all rows land at once, as a small load does (duckdb_land.c),
 *           which is repeated after a conflict. Otherwise: the rest, the token, COMMIT
 *   abort:  ROLLBACK
 *
 * So a load holds a transaction, a session and its turn at the table only once it has more rows than
 * one statement. A load by key (upsert, merge) collects its rows in a temporary table of its session;
 * its transaction is that of the commit alone, which is repeated when somebody else changed the same
 * rows.
 *
 * Under SCHEMA_MERGE a load that begins before its rows have all come changes the table in a
 * transaction of its own before: a column that was added stays when the load fails.
 *
 * 1. A batch that append took is inserted or dropped with the load, never given back; the statement
 *    that earlier batches make runs before the next batch is taken, so a failure leaves that batch
 *    with its caller.
 * 2. After a failed statement nothing but abort is possible.
 * 3. The turn at the table is held while a transaction is open, and no longer. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sink/duckdb_private.h"

enum { ROW_GROUP_ROWS = 122880 }; /* DuckDB's: statements carry multiples of it */

struct duckdb_load {
  struct load base;
  struct load_spec spec; /* its text belongs to others, but for the token and the schema */
  char *token;
  struct ArrowSchema schema;
  bool landed_before; /* the token's rows are there: batches are counted and dropped */
  bool failed;
  /* of the transaction, once it has begun; by key: of the stage */
  struct engine_session *session;
  struct token_writer *writer;
  struct engine_insert *insert; /* by key: the upsert's */
  struct engine_upsert *upsert; /* NULL: not by key */
  struct turn turn;
  struct engine_slice *slices; /* what waits, in order */
  int64_t *slice_bytes;
  int64_t slice_count, slice_capacity;
  int64_t waiting_rows, waiting_bytes;
  struct text changes; /* of the table's columns */
  struct load_result result;
};

static struct duckdb_sink *sink_of(const struct duckdb_load *load) {
  return (struct duckdb_sink *)load->base.sink;
}

static void drop_slices(struct duckdb_load *load) {
  for (int64_t i = 0; i < load->slice_count; i++) arrow_shared_release(load->slices[i].batch);
  load->slice_count = 0;
  load->waiting_rows = load->waiting_bytes = 0;
}

/* Ends what was begun on the session: nothing of it remains. */
static void leave(struct duckdb_load *load) {
  if (load->upsert == NULL) engine_insert_close(load->insert);
  load->insert = NULL;
  token_writer_close(load->writer);
  load->writer = NULL;
  engine_upsert_close(load->upsert);
  load->upsert = NULL;
  engine_session_close(load->session); /* rolls back what is not committed */
  load->session = NULL;
  turn_give(&load->turn);
}

static void load_free(struct duckdb_load *load) {
  leave(load);
  drop_slices(load);
  free(load->slices);
  free(load->slice_bytes);
  arrow_schema_release(&load->schema);
  text_release(&load->changes);
  load_result_release(&load->result);
  free(load->token);
  free(load);
}

/* ---- beginning -------------------------------------------------------------------------------------- */

/* Whether the token has landed already. One that is being landed is looked at again at the end. */
static enum status look_up(struct duckdb_load *load, struct error *error) {
  if (load->token == NULL) return STATUS_OK;
  struct tokens *tokens = sink_of(load)->tokens;
  enum token_state state;
  struct load_result first;
  enum status status =
      tokens_claim(tokens, &load->spec.table, load->token, 0, &state, &first, error);
  if (status != STATUS_OK) return status;
  load->landed_before = state == TOKEN_LANDED;
  if (state == TOKEN_LANDED) load_result_release(&first); /* asked for again at the end */
  if (state == TOKEN_NEW) tokens_settle(tokens, &load->spec.table, load->token, NULL);
  return STATUS_OK;
}

static enum status look_at_table(struct duckdb_load *load, struct error *error) {
  struct desk *desk = NULL;
  enum status status = desk_take(sink_of(load), &load->spec.table, &desk, error);
  if (status != STATUS_OK) return status;
  status = place_check(desk->session, &load->spec, &load->schema, error);
  desk_give(sink_of(load), desk, status != STATUS_OK);
  return status;
}

static enum status open_session(struct duckdb_load *load, struct error *error) {
  enum status status = engine_session_open(sink_of(load)->engine, &load->session, error);
  if (status == STATUS_OK && load->token != NULL)
    status = token_writer_open(sink_of(load)->tokens, load->session, &load->writer, error);
  return status;
}

/* The columns that the table has too: all but the operation's. Shares the children. */
static enum status without_operation(const struct ArrowSchema *schema, const char *operation,
                                     struct ArrowSchema *own, struct error *error) {
  *own = *schema;
  own->children = calloc((size_t)schema->n_children + 1, sizeof own->children[0]);
  if (own->children == NULL) return error_set(error, STATUS_NOMEM, "no memory for columns");
  own->n_children = 0;
  for (int64_t i = 0; i < schema->n_children; i++)
    if (operation == NULL || schema->children[i]->name == NULL ||
        strcasecmp(schema->children[i]->name, operation) != 0)
      own->children[own->n_children++] = schema->children[i];
  return STATUS_OK;
}

/* ---- the table of a load that goes on in a transaction ---------------------------------------------- */

/* One try at a transaction with the turn that it has: `*change` is what it took, or would take. */
static enum status try_enter(struct duckdb_load *load, const struct ArrowSchema *schema,
                             enum place_change *change, struct error *error) {
  enum status status = engine_begin(load->session, error);
  if (status != STATUS_OK) return status;
  bool alone = load->turn.kind == TURN_ALONE;
  status = place_open(load->session, &load->spec, schema, alone, &load->insert, change,
                      &load->changes, error);
  /* A transaction that has changed columns is committed before any row comes. */
  if (status == STATUS_OK && load->insert != NULL && *change != PLACE_CHANGED &&
      load->spec.mode == SINK_OVERWRITE)
    status = engine_empty_table(load->session, &load->spec.table, error);
  return status;
}

static void step_back(struct duckdb_load *load) {
  engine_insert_close(load->insert);
  load->insert = NULL;
  engine_rollback(load->session);
  turn_give(&load->turn);
}

/* Into a transaction, at the table, with an insert. A table that must be made is made in it; columns
 * that must be changed are changed in a transaction of their own before, since other loads cannot go
 * on until it is over. */
static enum status enter(struct duckdb_load *load, const struct ArrowSchema *schema,
                         struct error *error) {
  enum turn_kind usual = load->spec.mode == SINK_OVERWRITE ? TURN_BY_KEY : TURN_APPEND;
  enum turn_kind kind = usual;
  enum status status = STATUS_OK;
  int wait_ms = CONFLICT_WAIT_MS;
  for (int i = 0; i < CONFLICT_TRIES; i++) {
    enum place_change change = PLACE_NONE;
    status =
        turn_take(sink_of(load)->turns, &load->spec.table, kind, TURN_WAIT_MS, &load->turn, error);
    if (status != STATUS_OK) return status;
    status = try_enter(load, schema, &change, error);
    if (status == STATUS_OK && load->insert != NULL && change != PLACE_CHANGED) return STATUS_OK;
    if (status == STATUS_OK && load->insert != NULL) {
      status = engine_commit(load->session, error);
      kind = usual;
    } else if (status == STATUS_OK) {
      kind = TURN_ALONE;
    }
    step_back(load);
    if (status != STATUS_OK && status != STATUS_CONFLICT) return status;
    if (status == STATUS_CONFLICT) conflict_wait(&wait_ms);
  }
  if (status == STATUS_OK)
    status = error_set(error, STATUS_CONFLICT, "the table is changed again and again");
  if (error != NULL) error->retry_after_ms = 1000;
  return status;
}

/* ---- by key ------------------------------------------------------------------------------------------- */

static const char *operation_of(const struct duckdb_load *load) {
  for (int64_t i = 0; i < load->schema.n_children && load->spec.mode == SINK_MERGE; i++)
    if (load->schema.children[i]->name != NULL &&
        strcasecmp(load->schema.children[i]->name, SINK_OPERATION) == 0)
      return SINK_OPERATION;
  return NULL;
}

/* The table as the policy wants it, before the rows are collected for it. */
static enum status place_by_key(struct duckdb_load *load, const char *operation,
                                struct error *error) {
  struct ArrowSchema own;
  struct engine_table table = {0};
  enum status status = engine_table_info(load->session, &load->spec.table, &table, error);
  engine_table_release(&table);
  if (status == STATUS_NOT_FOUND) return STATUS_OK; /* the upsert says it, or makes the table */
  if (status != STATUS_OK || load->spec.policy == SCHEMA_SKIP) return status;
  status = without_operation(&load->schema, operation, &own, error);
  if (status != STATUS_OK) return status;
  if (load->spec.policy == SCHEMA_STRICT) {
    status = engine_check_same(load->session, &load->spec.table, &own, error);
  } else {
    status = enter(load, &own, error);
    if (status == STATUS_OK) step_back(load);
  }
  free(own.children);
  return status;
}

static enum status begin_by_key(struct duckdb_load *load, struct error *error) {
  const char *operation = operation_of(load);
  struct engine_upsert_options options = {
      .table = &load->spec.table,
      .schema = &load->schema,
      .keys = load->spec.keys,
      .key_count = load->spec.key_count,
      .partial = load->spec.mode == SINK_MERGE,
      .unique = load->spec.refuse_duplicates,
      .create_table = load->spec.create_table,
      .operation = operation,
  };
  enum status status = open_session(load, error);
  if (status == STATUS_OK) status = place_by_key(load, operation, error);
  if (status == STATUS_OK)
    status = engine_upsert_open(load->session, &options, &load->upsert, error);
  if (status == STATUS_OK) load->insert = engine_upsert_insert(load->upsert);
  return status;
}

enum status duckdb_begin(struct sink *base, const struct load_spec *spec, struct load **out,
                         struct error *error) {
  struct duckdb_sink *sink = (struct duckdb_sink *)base;
  enum status status = place_allowed(sink, &spec->table, error);
  if (status != STATUS_OK) return status;
  struct duckdb_load *load = calloc(1, sizeof *load);
  if (load == NULL) return error_set(error, STATUS_NOMEM, "no memory for a load");
  load->base.sink = base;
  load->turn = TURN_NONE;
  load->result.version = -1;
  load->spec = *spec;
  if (load->spec.chunk_rows <= 0) load->spec.chunk_rows = ROW_GROUP_ROWS;
  status = arrow_schema_copy(spec->schema, &load->schema, error);
  load->spec.schema = &load->schema;
  if (status == STATUS_OK && spec->token != NULL) {
    load->spec.token = load->token = strdup(spec->token);
    if (load->token == NULL) status = error_set(error, STATUS_NOMEM, "no memory for a load");
  }
  if (status == STATUS_OK) status = look_up(load, error);
  if (status == STATUS_OK && !load->landed_before)
    status = spec->key_count > 0 ? begin_by_key(load, error) : look_at_table(load, error);
  load->spec.keys = NULL; /* the caller's */
  if (status != STATUS_OK) {
    load_free(load);
    return status;
  }
  *out = &load->base;
  return STATUS_OK;
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

/* `rows` of the slices were inserted; of the last one `cut` remain. */
static void take_off(struct duckdb_load *load, int64_t count, int64_t cut, int64_t rows) {
  struct engine_slice *last = &load->slices[count - 1];
  int64_t gone = cut > 0 ? count - 1 : count;
  for (int64_t i = 0; i < gone; i++) {
    load->waiting_bytes -= load->slice_bytes[i];
    arrow_shared_release(load->slices[i].batch);
  }
  if (cut > 0) {
    last->offset_rows += last->rows;
    last->rows = cut;
  }
  load->slice_count -= gone;
  load->waiting_rows -= rows;
  memmove(load->slices, load->slices + gone, (size_t)load->slice_count * sizeof *load->slices);
  memmove(load->slice_bytes, load->slice_bytes + gone,
          (size_t)load->slice_count * sizeof *load->slice_bytes);
}

/* Inserts the first `rows` of what waits. */
static enum status insert_waiting(struct duckdb_load *load, int64_t rows, struct error *error) {
  if (rows == 0) return STATUS_OK;
  enum status status = STATUS_OK;
  if (load->session == NULL) {
    status = open_session(load, error);
    if (status == STATUS_OK) status = enter(load, &load->schema, error);
  }
  /* The last slice may be cut: `cut` of its rows stay. */
  int64_t count = 0, seen = 0, inserted = 0;
  while (seen < rows) seen += load->slices[count++].rows;
  int64_t cut = seen - rows;
  load->slices[count - 1].rows -= cut;
  if (status == STATUS_OK)
    status = engine_insert_rows(load->insert, load->slices, count, &inserted, error);
  if (status == STATUS_OK && inserted != rows)
    status = error_set(error, STATUS_INTERNAL, "DuckDB inserted %lld of %lld rows",
                       (long long)inserted, (long long)rows);
  load->failed |= status != STATUS_OK;
  if (status == STATUS_OK) take_off(load, count, cut, rows);
  return settle_budget(status, error);
}

/* Runs a statement when what waits is enough for one. */
static enum status insert_when_due(struct duckdb_load *load, struct error *error) {
  const struct duckdb_sink *sink = sink_of(load);
  int64_t chunk_rows = load->spec.chunk_rows;
  int64_t due_rows = chunk_rows > sink->insert_rows ? chunk_rows : sink->insert_rows;
  if (load->waiting_rows < due_rows && load->waiting_bytes < sink->insert_bytes_max)
    return STATUS_OK;
  int64_t rows = load->waiting_rows;
  if (rows > chunk_rows) rows -= rows % chunk_rows;
  return insert_waiting(load, rows, error);
}

static enum status slices_grow(struct duckdb_load *load, struct error *error) {
  if (load->slice_count < load->slice_capacity) return STATUS_OK;
  int64_t capacity = load->slice_capacity == 0 ? 16 : load->slice_capacity * 2;
  struct engine_slice *slices = realloc(load->slices, (size_t)capacity * sizeof *slices);
  if (slices != NULL) load->slices = slices;
  int64_t *bytes = realloc(load->slice_bytes, (size_t)capacity * sizeof *bytes);
  if (bytes != NULL) load->slice_bytes = bytes;
  if (slices == NULL || bytes == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for a load's batches");
  load->slice_capacity = capacity;
  return STATUS_OK;
}

enum status duckdb_append(struct load *base, struct ArrowArray *batch, struct error *error) {
  struct duckdb_load *load = (struct duckdb_load *)base;
  if (load->failed)
    return error_set(error, STATUS_INTERNAL, "the load failed before and can only be aborted");
  if (batch->n_children != load->schema.n_children)
    return error_set(error, STATUS_SCHEMA, "the batch has %lld columns, its schema %lld",
                     (long long)batch->n_children, (long long)load->schema.n_children);
  int64_t rows = batch->length;
  if (load->landed_before || rows == 0) {
    arrow_array_release(batch);
    load->result.batches++;
    load->result.rows += rows;
    return STATUS_OK;
  }
  enum status status = insert_when_due(load, error);
  if (status == STATUS_OK) status = slices_grow(load, error);
  if (status != STATUS_OK) return status;
  int64_t bytes = arrow_array_bytes(&load->schema, batch);
  struct arrow_shared *shared;
  status = arrow_shared_new(batch, &shared, error);
  if (status != STATUS_OK) return status;
  load->result.batches++;
  load->result.rows += rows;
  load->slices[load->slice_count] = (struct engine_slice){shared, 0, rows};
  load->slice_bytes[load->slice_count] = bytes;
  load->slice_count++;
  load->waiting_rows += rows;
  load->waiting_bytes += bytes;
  return STATUS_OK;
}

enum status duckdb_flush(struct load *base, struct error *error) {
  struct duckdb_load *load = (struct duckdb_load *)base;
  if (load->failed)
    return error_set(error, STATUS_INTERNAL, "the load failed before and can only be aborted");
  return insert_waiting(load, load->waiting_rows, error);
}

/* ---- the end ------------------------------------------------------------------------------------------------ */

static enum status add_token(struct duckdb_load *load, struct error *error) {
  if (load->token == NULL) return STATUS_OK;
  const char *changes = load->changes.size_bytes > 0 ? text_get(&load->changes) : NULL;
  return token_writer_put(load->writer,
                          &(struct token_record){.table = &load->spec.table,
                                                 .token = load->token,
                                                 .rows = load->result.rows,
                                                 .batches = load->result.batches,
                                                 .version = -1,
                                                 .changes = changes},
                          1, error);
}

static enum status try_apply(struct duckdb_load *load, struct error *error) {
  enum status status = engine_begin(load->session, error);
  if (status != STATUS_OK) return status;
  status = engine_upsert_apply(load->upsert, error);
  if (status == STATUS_OK) status = add_token(load, error);
  if (status == STATUS_OK) {
    status = engine_commit(load->session, error);
    if (status == STATUS_OK) load->result.version = engine_committed_version(load->session);
    return status;
  }
  engine_rollback(load->session);
  return status;
}

/* Puts the rows that were collected by key into their table, and commits. Making the table is a
 * matter for one alone; whether it has to be made shows when it is done. */
static enum status commit_by_key(struct duckdb_load *load, struct error *error) {
  enum status status = engine_upsert_ready(load->upsert, load->slices, load->slice_count, error);
  int wait_ms = CONFLICT_WAIT_MS;
  for (int i = 0; i < CONFLICT_TRIES && status == STATUS_OK; i++) {
    struct engine_table table = {0};
    status = engine_table_info(load->session, &load->spec.table, &table, error);
    engine_table_release(&table);
    enum turn_kind kind = status == STATUS_NOT_FOUND ? TURN_ALONE : TURN_BY_KEY;
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) break;
    status =
        turn_take(sink_of(load)->turns, &load->spec.table, kind, TURN_WAIT_MS, &load->turn, error);
    if (status != STATUS_OK) break;
    status = try_apply(load, error);
    turn_give(&load->turn);
    if (status != STATUS_CONFLICT || engine_upsert_outdated(load->upsert)) break;
    if (i + 1 == CONFLICT_TRIES) break;
    conflict_wait(&wait_ms);
    status = STATUS_OK;
  }
  if (status == STATUS_CONFLICT && error != NULL) error->retry_after_ms = 1000;
  return status;
}

static enum status commit_rows(struct duckdb_load *load, struct error *error) {
  if (load->upsert != NULL) return commit_by_key(load, error);
  enum status status = insert_waiting(load, load->waiting_rows, error);
  if (status == STATUS_OK) status = add_token(load, error);
  if (status == STATUS_OK) status = engine_commit(load->session, error);
  if (status == STATUS_OK) load->result.version = engine_committed_version(load->session);
  return status;
}

/* A load that is in a transaction, collects by key, or had landed before it began. */
static enum status commit_begun(struct duckdb_load *load, struct load_result *result,
                                struct error *error) {
  struct tokens *tokens = sink_of(load)->tokens;
  enum token_state state = TOKEN_NEW;
  struct load_result first;
  enum status status = STATUS_OK;
  if (load->token != NULL)
    status =
        tokens_claim(tokens, &load->spec.table, load->token, TOKEN_WAIT_MS, &state, &first, error);
  if (status != STATUS_OK) return status;
  if (state == TOKEN_LANDED)
    return duckdb_repeat(&first, load->token, load->result.rows, result, error);
  if (load->landed_before) {
    tokens_settle(tokens, &load->spec.table, load->token, NULL);
    status = error_set(error, STATUS_CONFLICT,
                       "the token \"%.100s\" was forgotten while the rows came; send them again",
                       load->token);
    if (error != NULL) error->retry_after_ms = 1;
    return status;
  }
  status = settle_budget(commit_rows(load, error), error);
  if (status == STATUS_OK) {
    *result = load->result;
    if (load->changes.size_bytes > 0) result->changes = strdup(text_get(&load->changes));
  }
  if (load->token != NULL)
    tokens_settle(tokens, &load->spec.table, load->token, status == STATUS_OK ? result : NULL);
  return status;
}

enum status duckdb_commit(struct load *base, struct load_result *result, struct error *error) {
  struct duckdb_load *load = (struct duckdb_load *)base;
  enum status status;
  if (load->failed)
    status = error_set(error, STATUS_INTERNAL, "the load failed before and cannot be committed");
  else if (load->session == NULL && !load->landed_before)
    status = duckdb_land_one(sink_of(load), &load->spec, load->slices, load->slice_count,
                             load->result.batches, result, error);
  else
    status = commit_begun(load, result, error);
  load_free(load);
  return status;
}

void duckdb_abort(struct load *load) { load_free((struct duckdb_load *)load); }
