/* Many small loads in one transaction.
 *
 *   duckdb_land -> prepare_items, claim_tokens -> land_range -> land_together -> try_together
 *                                                     |  (one of them is guilty)
 *                                                     +-> land_range of each half
 *               -> land_late: those whose token another commit had
 *
 * Parcels of one schema go into the table by one statement, so that a group costs little more than
 * its rows. What one of them does wrong is found in two ways: a schema that does not fit before any
 * row of it moves (it is left out, and the others go on), anything else by halving the group until it
 * is alone.
 *
 * 1. An outcome is set once, and STATUS_OK only after the commit.
 * 2. A token that was claimed is settled with its parcel's outcome.
 * 3. Nothing of a parcel that is not OK is in the table: what it took part in was rolled back, unless
 *    the destination did not say (STATUS_UNKNOWN), which ends the whole range.
 * 4. The rows stay in the items until the end, so any try can be repeated. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "sink/duckdb_private.h"

/* More than it takes to find one among thousands that does not fit. */
enum { IO_FAILURES_MAX = 16 };

struct item {
  struct parcel *parcel;
  int64_t first_slice, slice_count;
  int64_t rows;
  int kind; /* parcels of one schema have one */
  bool claimed, late, over;
  /* of the try that runs */
  bool refused; /* its schema */
};

struct group {
  struct duckdb_sink *sink;
  const struct load_spec *spec;
  struct desk *desk;
  struct item *items;
  int64_t item_count;
  int64_t *order; /* numbers of the items that take part, in order */
  int64_t order_count;
  int kind_count;
  struct engine_slice *slices; /* of all items */
  struct engine_slice *chosen; /* of one statement */
  struct token_record *records;
  struct text *changes;           /* by kind, of the try that runs */
  struct engine_insert **inserts; /* likewise; NULL: none of that kind takes part */
  int io_failures;                /* since something landed last */
};

/* ---- outcomes ----------------------------------------------------------------------------------- */

static void settle(struct group *group, struct item *item, const struct load_result *result) {
  if (item->claimed)
    tokens_settle(group->sink->tokens, &group->spec->table, item->parcel->token, result);
  item->claimed = false;
}

static void fail(struct group *group, struct item *item, enum status status,
                 const struct error *error) {
  if (item->parcel->error != NULL && error != item->parcel->error) *item->parcel->error = *error;
  item->parcel->status = status;
  item->over = true;
  settle(group, item, NULL);
}

static void succeed(struct group *group, struct item *item) {
  struct parcel *parcel = item->parcel;
  parcel->status = STATUS_OK;
  parcel->result = (struct load_result){.rows = item->rows,
                                        .batches = parcel->batch_count,
                                        .version = engine_committed_version(group->desk->session)};
  if (group->changes[item->kind].size_bytes > 0)
    parcel->result.changes = strdup(text_get(&group->changes[item->kind]));
  item->over = true;
  settle(group, item, &parcel->result);
}

enum status duckdb_repeat(struct load_result *first, const char *token, int64_t rows,
                          struct load_result *result, struct error *error) {
  if (first->rows == rows) {
    *result = *first;
    result->repeated = true;
    return STATUS_OK;
  }
  int64_t had = first->rows;
  load_result_release(first);
  return error_set(error, STATUS_SCHEMA,
                   "the token \"%.100s\" has landed before with %lld rows, and these are %lld: it "
                   "belongs to other data; nothing was added",
                   token, (long long)had, (long long)rows);
}

void conflict_wait(int *wait_ms) {
  clock_sleep_ms(*wait_ms);
  if (*wait_ms < CONFLICT_WAIT_MS_MAX) *wait_ms *= 2;
}

enum status settle_budget(enum status status, struct error *error) {
  if (status != STATUS_BUDGET) return status;
  if (error != NULL) error->status = STATUS_NOMEM;
  return STATUS_NOMEM;
}

/* ---- tokens ----------------------------------------------------------------------------------------- */

/* True when the item is to land: it has no token, or the claim on it. */
static bool claim(struct group *group, struct item *item, int wait_ms) {
  struct parcel *parcel = item->parcel;
  if (parcel->token == NULL) return true;
  enum token_state state;
  struct load_result first;
  struct error error = {.status = STATUS_OK};
  enum status status = tokens_claim(group->sink->tokens, &group->spec->table, parcel->token,
                                    wait_ms, &state, &first, &error);
  if (status == STATUS_OK && state == TOKEN_LANDED) {
    status = duckdb_repeat(&first, parcel->token, item->rows, &parcel->result, &error);
    item->over = true;
  }
  if (status != STATUS_OK) {
    fail(group, item, status, &error);
    return false;
  }
  item->late = state == TOKEN_BUSY;
  item->claimed = state == TOKEN_NEW;
  return item->claimed;
}

static enum status record_tokens(struct group *group, int64_t from, int64_t to,
                                 struct error *error) {
  int64_t count = 0;
  for (int64_t i = from; i < to; i++) {
    const struct item *item = &group->items[group->order[i]];
    if (item->refused || item->parcel->token == NULL) continue;
    const struct text *changes = &group->changes[item->kind];
    group->records[count++] = (struct token_record){
        .table = &group->spec->table,
        .token = item->parcel->token,
        .rows = item->rows,
        .batches = item->parcel->batch_count,
        .version = -1,
        .changes = changes->size_bytes > 0 ? text_get(changes) : NULL,
    };
  }
  return count == 0 ? STATUS_OK
                    : token_writer_put(group->desk->writer, group->records, count, error);
}

/* ---- one try ------------------------------------------------------------------------------------------ */

struct try {
  int64_t from, to; /* in `order` */
  bool alone;       /* it has the turn TURN_ALONE */
  bool needs_alone;
  int64_t landed; /* parcels that take part */
};

static void refuse_kind(struct group *group, const struct try *try, int kind,
                        const struct error *error) {
  for (int64_t i = try->from; i < try->to; i++) {
    struct item *item = &group->items[group->order[i]];
    if (item->kind != kind) continue;
    item->refused = true;
    if (item->parcel->error != NULL) *item->parcel->error = *error;
    item->parcel->status = error->status;
  }
}

/* The insert for a schema: kept from an earlier time, or opened now. NULL: see `try->needs_alone`. */
static enum status open_insert(struct group *group, struct try *try,
                               const struct ArrowSchema *schema, struct text *changes,
                               struct engine_insert **insert, struct error *error) {
  struct desk *desk = group->desk;
  bool current = false;
  *insert = group->spec->policy == SCHEMA_STRICT ? NULL : desk_insert_find(desk, schema);
  if (*insert != NULL) {
    engine_insert_renew(*insert, &current);
    if (current) return STATUS_OK;
    desk_insert_drop(desk, *insert);
  }
  enum place_change change;
  enum status status =
      place_open(desk->session, group->spec, schema, try->alone, insert, &change, changes, error);
  try->needs_alone = status == STATUS_OK && change != PLACE_NONE && !try->alone;
  if (status != STATUS_OK || *insert == NULL) return status;
  return desk_insert_keep(desk, schema, *insert, error);
}

/* The table for the parcels of one schema, made or changed if need be, and the insert into it. What
 * changes a table must be the first thing that a transaction does to it: so this is done for every
 * schema before any row is inserted. */
static enum status place_kind(struct group *group, struct try *try, int kind, struct error *error) {
  const struct ArrowSchema *schema = NULL;
  int64_t parcels = 0;
  for (int64_t i = try->from; i < try->to; i++) {
    const struct item *item = &group->items[group->order[i]];
    if (item->kind != kind) continue;
    schema = item->parcel->schema;
    parcels++;
  }
  group->inserts[kind] = NULL;
  text_clear(&group->changes[kind]);
  if (schema == NULL) return STATUS_OK;
  enum status status =
      open_insert(group, try, schema, &group->changes[kind], &group->inserts[kind], error);
  bool schema_is_wrong = status == STATUS_SCHEMA || status == STATUS_UNSUPPORTED ||
                         status == STATUS_NOT_FOUND || status == STATUS_INVALID;
  if (schema_is_wrong) {
    group->inserts[kind] = NULL;
    refuse_kind(group, try, kind, error);
    return STATUS_OK;
  }
  try->landed += parcels;
  return status;
}

/* The rows of all parcels of one schema, in one statement. */
static enum status insert_kind(struct group *group, const struct try *try, int kind,
                               struct error *error) {
  int64_t slices = 0, rows = 0, inserted = 0;
  for (int64_t i = try->from; i < try->to; i++) {
    const struct item *item = &group->items[group->order[i]];
    if (item->kind != kind) continue;
    memcpy(&group->chosen[slices], &group->slices[item->first_slice],
           (size_t)item->slice_count * sizeof group->chosen[0]);
    slices += item->slice_count;
    rows += item->rows;
  }
  enum status status =
      engine_insert_rows(group->inserts[kind], group->chosen, slices, &inserted, error);
  if (status == STATUS_OK && inserted != rows)
    status = error_set(error, STATUS_INTERNAL, "DuckDB inserted %lld of %lld rows",
                       (long long)inserted, (long long)rows);
  return status;
}

static enum status try_together(struct group *group, struct try *try, struct error *error) {
  struct engine_session *session = group->desk->session;
  for (int64_t i = try->from; i < try->to; i++) group->items[group->order[i]].refused = false;
  try->needs_alone = false;
  try->landed = 0;
  enum status status = engine_begin(session, error);
  if (status != STATUS_OK) return status;
  for (int kind = 0; kind < group->kind_count && status == STATUS_OK && !try->needs_alone; kind++)
    status = place_kind(group, try, kind, error);
  if (status == STATUS_OK && !try->needs_alone && try->landed > 0 &&
      group->spec->mode == SINK_OVERWRITE)
    status = engine_empty_table(session, &group->spec->table, error);
  for (int kind = 0; kind < group->kind_count && status == STATUS_OK && !try->needs_alone; kind++)
    if (group->inserts[kind] != NULL) status = insert_kind(group, try, kind, error);
  if (status == STATUS_OK && !try->needs_alone && try->landed > 0)
    status = record_tokens(group, try->from, try->to, error);
  if (status == STATUS_OK && !try->needs_alone && try->landed > 0)
    return engine_commit(session, error);
  engine_rollback(session);
  return status;
}

/* ---- a range ------------------------------------------------------------------------------------------- */

static enum status land_together(struct group *group, int64_t from, int64_t to,
                                 struct error *error) {
  bool replaces = group->spec->mode == SINK_OVERWRITE;
  int wait_ms = CONFLICT_WAIT_MS;
  struct try try = {.from = from, .to = to};
  enum status status = STATUS_OK;
  for (int i = 0; i < CONFLICT_TRIES; i++) {
    enum turn_kind kind = try.alone ? TURN_ALONE : replaces ? TURN_BY_KEY : TURN_APPEND;
    struct turn turn;
    status = turn_take(group->sink->turns, &group->spec->table, kind, TURN_WAIT_MS, &turn, error);
    if (status != STATUS_OK) return status;
    status = settle_budget(try_together(group, &try, error), error);
    turn_give(&turn);
    if (status == STATUS_OK && try.needs_alone) {
      try.alone = true;
      continue;
    }
    if (status != STATUS_CONFLICT) break;
    conflict_wait(&wait_ms);
  }
  if (status == STATUS_CONFLICT && error != NULL) error->retry_after_ms = 1000;
  return status;
}

static void fail_range(struct group *group, int64_t from, int64_t to, enum status status,
                       const struct error *error) {
  for (int64_t i = from; i < to; i++) fail(group, &group->items[group->order[i]], status, error);
}

static void land_range(struct group *group, int64_t from, int64_t to) {
  struct error error = {.status = STATUS_OK};
  if (from == to) return;
  enum status status = land_together(group, from, to, &error);
  if (status == STATUS_OK) {
    group->io_failures = 0;
    for (int64_t i = from; i < to; i++) {
      struct item *item = &group->items[group->order[i]];
      item->parcel->schema_refused = item->refused && item->parcel->status == STATUS_SCHEMA;
      if (item->refused)
        fail(group, item, item->parcel->status, item->parcel->error);
      else
        succeed(group, item);
    }
    return;
  }
  /* Halving helps when one of them is to blame, and when less fits where all do not: not when
   * nothing fits, and not when somebody else is in the way. */
  if (status == STATUS_IO) group->io_failures++;
  bool hopeless = status == STATUS_UNAVAILABLE || status == STATUS_UNKNOWN ||
                  status == STATUS_CONFLICT || group->io_failures > IO_FAILURES_MAX;
  if (to - from == 1 || hopeless) {
    fail_range(group, from, to, status, &error);
    return;
  }
  int64_t middle = from + (to - from) / 2;
  land_range(group, from, middle);
  land_range(group, middle, to);
}

/* ---- a group --------------------------------------------------------------------------------------------- */

static enum status allocate(struct group *group, int64_t slices, struct error *error) {
  size_t items = (size_t)group->item_count + 1;
  group->items = calloc(items, sizeof *group->items);
  group->order = calloc(items, sizeof *group->order);
  group->records = calloc(items, sizeof *group->records);
  group->changes = calloc(items, sizeof *group->changes);
  group->inserts = calloc(items, sizeof *group->inserts);
  group->slices = calloc((size_t)slices + 1, sizeof *group->slices);
  group->chosen = calloc((size_t)slices + 1, sizeof *group->chosen);
  if (group->items != NULL && group->order != NULL && group->records != NULL &&
      group->changes != NULL && group->inserts != NULL && group->slices != NULL &&
      group->chosen != NULL)
    return STATUS_OK;
  return error_set(error, STATUS_NOMEM, "no memory for %lld loads", (long long)group->item_count);
}

static int kind_of(struct group *group, int64_t index) {
  const struct ArrowSchema *schema = group->items[index].parcel->schema;
  for (int64_t i = index - 1; i >= 0; i--) {
    const struct ArrowSchema *other = group->items[i].parcel->schema;
    if (other == schema || arrow_schema_equal(other, schema, NULL)) return group->items[i].kind;
  }
  return group->kind_count++;
}

/* The batches of a parcel become slices. */
static enum status take_batches(struct group *group, struct item *item, int64_t *slice_count,
                                struct error *error) {
  struct parcel *parcel = item->parcel;
  item->first_slice = *slice_count;
  for (int64_t i = 0; i < parcel->batch_count; i++) {
    struct ArrowArray *batch = &parcel->batches[i];
    if (batch->n_children != parcel->schema->n_children)
      return error_set(error, STATUS_SCHEMA, "the batch has %lld columns, its schema %lld",
                       (long long)batch->n_children, (long long)parcel->schema->n_children);
    int64_t rows = batch->length;
    if (rows == 0) continue;
    struct arrow_shared *shared;
    enum status status = arrow_shared_new(batch, &shared, error);
    if (status != STATUS_OK) return status;
    group->slices[(*slice_count)++] = (struct engine_slice){shared, 0, rows};
    item->slice_count++;
    item->rows += rows;
  }
  return STATUS_OK;
}

static void group_release(struct group *group, int64_t slices) {
  for (int64_t i = 0; i < slices; i++) arrow_shared_release(group->slices[i].batch);
  for (int i = 0; group->changes != NULL && i < group->kind_count; i++)
    text_release(&group->changes[i]);
  free(group->items);
  free(group->order);
  free(group->records);
  free(group->changes);
  free(group->inserts);
  free(group->slices);
  free(group->chosen);
}

static enum status open_desk(struct group *group, struct error *error) {
  return desk_take(group->sink, &group->spec->table, &group->desk, error);
}

static void leave_desk(struct group *group) {
  desk_give(group->sink, group->desk, false);
  group->desk = NULL;
}

/* The desk can record tokens. */
static enum status open_writer(struct group *group, struct error *error) {
  struct desk *desk = group->desk;
  if (desk->writer != NULL) return STATUS_OK;
  return token_writer_open(group->sink->tokens, desk->session, &desk->writer, error);
}

/* Those whose tokens others were landing, each by itself: by now it is known how that went. Who waits
 * has no desk: the commit that it waits for may be what the database dies of, and a dead one is opened
 * anew only when nobody has a session of it. */
static void land_late(struct group *group) {
  for (int64_t i = 0; i < group->item_count; i++) {
    struct item *item = &group->items[i];
    struct error error = {.status = STATUS_OK};
    if (!item->late) continue;
    leave_desk(group);
    if (!claim(group, item, TOKEN_WAIT_MS)) continue;
    enum status status = open_desk(group, &error);
    if (status == STATUS_OK) status = open_writer(group, &error);
    if (status != STATUS_OK) {
      fail(group, item, status, &error);
      continue;
    }
    group->order[0] = i;
    land_range(group, 0, 1);
  }
}

/* Where tokens cannot be recorded, those that have none land all the same. */
static void land_items(struct group *group) {
  struct error error = {.status = STATUS_OK}, token_error = {.status = STATUS_OK};
  bool tokens = false;
  for (int64_t i = 0; i < group->item_count; i++) tokens |= group->items[i].parcel->token != NULL;
  enum status status = open_desk(group, &error), token_status = STATUS_OK;
  if (status == STATUS_OK && tokens) token_status = open_writer(group, &token_error);
  for (int64_t i = 0; i < group->item_count; i++) {
    struct item *item = &group->items[i];
    if (item->over) continue;
    if (status != STATUS_OK)
      fail(group, item, status, &error);
    else if (item->parcel->token != NULL && token_status != STATUS_OK)
      fail(group, item, token_status, &token_error);
    else if (claim(group, item, 0))
      group->order[group->order_count++] = i;
  }
  if (status == STATUS_OK) {
    land_range(group, 0, group->order_count);
    land_late(group);
  }
  leave_desk(group);
}

/* What is too old is forgotten while nobody waits for it. */
static void sweep(struct duckdb_sink *sink) {
  int64_t forgotten;
  struct error error;
  if (tokens_sweep(sink->tokens, &forgotten, &error) != STATUS_OK)
    log_warning("sink", "old tokens were not forgotten: %s", error.text);
  else if (forgotten > 0)
    log_warning("sink",
                "%lld tokens were forgotten before their time: there are more than tokens_max",
                (long long)forgotten);
}

void duckdb_land(struct sink *base, const struct load_spec *spec, struct parcel *parcels,
                 int64_t count) {
  struct duckdb_sink *sink = (struct duckdb_sink *)base;
  struct group group = {.sink = sink, .spec = spec, .item_count = count};
  struct error error = {.status = STATUS_OK};
  int64_t slices = 0, taken = 0;
  for (int64_t i = 0; i < count; i++) slices += parcels[i].batch_count;
  enum status status = allocate(&group, slices, &error);
  if (status == STATUS_OK) status = place_allowed(sink, &spec->table, &error);
  if (status != STATUS_OK) {
    for (int64_t i = 0; i < count; i++) {
      parcels[i].status = status;
      if (parcels[i].error != NULL) *parcels[i].error = error;
    }
  } else {
    for (int64_t i = 0; i < count; i++) {
      struct item *item = &group.items[i];
      item->parcel = &parcels[i];
      item->kind = kind_of(&group, i);
      status = take_batches(&group, item, &taken, &error);
      if (status != STATUS_OK) fail(&group, item, status, &error);
    }
    land_items(&group);
    sweep(sink);
  }
  group_release(&group, taken);
}

enum status duckdb_land_one(struct duckdb_sink *sink, const struct load_spec *spec,
                            const struct engine_slice *slices, int64_t slice_count, int64_t batches,
                            struct load_result *result, struct error *error) {
  struct error own = {.status = STATUS_OK};
  struct parcel parcel = {.schema = spec->schema,
                          .batch_count = batches,
                          .token = spec->token,
                          .error = error != NULL ? error : &own};
  struct group group = {.sink = sink, .spec = spec, .item_count = 1};
  parcel.status = allocate(&group, slice_count, error);
  if (parcel.status == STATUS_OK) {
    struct item *item = &group.items[0];
    item->parcel = &parcel;
    item->slice_count = slice_count;
    group.kind_count = 1;
    for (int64_t i = 0; i < slice_count; i++) {
      group.slices[i] = slices[i];
      item->rows += slices[i].rows;
    }
    land_items(&group);
    sweep(sink);
  }
  group_release(&group, 0);
  *result = parcel.result;
  return parcel.status;
}
