/* SQL about the tables of tokens.
 *
 * There is no index and no primary key: one of a day's tokens would not fit the memory, and to
 * remove 300,000 of 4 million tokens took 11 seconds with it (0.06 without). A token is looked
 * for by the hash and the time that it landed at, so that a few row groups are read.
 *
 * The format has a version. What leads from one version to the next is a step; a database from
 * before tokens has version 0, so making the tables is a step like the others. All steps that a
 * database needs are taken in one transaction. */
#include "sink/token_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sink/duckdb.h"

enum {
  MAKE_TRIES = 40, /* when somebody else makes the same tables meanwhile */
  MAKE_WAIT_MS = 25,
  SLOTS = 1024 /* of time, by which tokens are counted before they are loaded */
};

#define TOKENS_LAYOUT                                                                              \
  "id UBIGINT, table_name VARCHAR, token VARCHAR, rows BIGINT, batches BIGINT, version BIGINT, "   \
  "changes VARCHAR, landed TIMESTAMP"
#define FORMAT_LAYOUT "part VARCHAR, version INTEGER"

void token_table_release(struct token_table *table) {
  text_release(&table->schema_sql);
  text_release(&table->database_sql);
}

/* ---- asking ------------------------------------------------------------------------------------ */

/* Every batch of an answer is handed to `take`, which does not keep it. */
typedef enum status take_batch(void *context, const struct ArrowArray *batch, struct error *error);

static enum status ask(struct engine_session *session, const struct engine_query *query,
                       take_batch *take, void *context, struct error *error) {
  struct engine_result *result = NULL;
  enum status status = engine_query(session, query, &result, error);
  while (status == STATUS_OK) {
    struct ArrowArray batch = {0};
    status = engine_result_next(result, &batch, error);
    if (status != STATUS_OK || batch.release == NULL) break;
    if (take != NULL) status = take(context, &batch, error);
    arrow_array_release(&batch);
  }
  engine_result_close(result);
  if (status == STATUS_BUDGET) { /* of DuckDB's memory: the call did not end half-way */
    if (error != NULL) error->status = STATUS_NOMEM;
    return STATUS_NOMEM;
  }
  return status;
}

static enum status run(struct engine_session *session, const struct text *sql,
                       struct error *error) {
  return ask(session, &(struct engine_query){.sql = text_get(sql), .own = true}, NULL, NULL, error);
}

static int64_t integer_at(const struct ArrowArray *batch, int64_t column, int64_t row) {
  const struct ArrowArray *array = batch->children[column];
  return ((const int64_t *)array->buffers[1])[array->offset + row];
}

static bool is_null_at(const struct ArrowArray *batch, int64_t column, int64_t row) {
  const struct ArrowArray *array = batch->children[column];
  const uint8_t *bits = array->buffers[0];
  int64_t at = array->offset + row;
  return array->null_count != 0 && bits != NULL && !((bits[at / 8] >> (at % 8)) & 1);
}

static const char *text_at(const struct ArrowArray *batch, int64_t column, int64_t row,
                           size_t *bytes) {
  const struct ArrowArray *array = batch->children[column];
  const int32_t *offsets = (const int32_t *)array->buffers[1] + array->offset + row;
  *bytes = (size_t)(offsets[1] - offsets[0]);
  return (const char *)array->buffers[2] + offsets[0];
}

static enum status take_name(void *context, const struct ArrowArray *batch, struct error *error) {
  struct text *name = context;
  size_t bytes;
  const char *text = text_at(batch, 0, 0, &bytes);
  return text_add_bytes(name, text, bytes, error);
}

enum status token_table_init(struct token_table *table, struct engine_session *session,
                             const char *catalog, struct error *error) {
  struct text own = TEXT_EMPTY;
  struct engine_query query = {.sql = "SELECT current_database()", .own = true, .read_only = true};
  *table = (struct token_table){.name = {.schema = SINK_DUCKDB_SCHEMA, .table = "tokens"}};
  enum status status = ask(session, &query, take_name, &own, error);
  if (status != STATUS_OK) goto done;
  /* In full: a database may have the schema's name, and names would be ambiguous. */
  if (catalog == NULL) catalog = text_get(&own);
  if (strlen(catalog) >= sizeof table->name.catalog) {
    status = error_set(error, STATUS_INVALID, "the catalog's name is too long");
    goto done;
  }
  memcpy(table->name.catalog, catalog, strlen(catalog) + 1);
  status = text_add_literal(&table->database_sql, catalog, error);
  if (status == STATUS_OK) status = text_add_identifier(&table->schema_sql, catalog, error);
  if (status == STATUS_OK) status = text_add(&table->schema_sql, "." SINK_DUCKDB_SCHEMA, error);

done:
  if (status != STATUS_OK) token_table_release(table);
  text_release(&own);
  return status;
}

/* ---- the format --------------------------------------------------------------------------------- */

/* What the schema holds. */
struct found {
  bool has_any, has_format, has_tokens; /* ours are those of the right columns */
  bool format_is_ours, tokens_are_ours;
  bool has_version;
  int64_t version;
};

static bool is_text(const char *data, size_t bytes, const char *text) {
  return bytes == strlen(text) && memcmp(data, text, bytes) == 0;
}

static enum status take_layouts(void *context, const struct ArrowArray *batch,
                                struct error *error) {
  struct found *found = context;
  (void)error;
  for (int64_t row = 0; row < batch->length; row++) {
    size_t name_bytes, layout_bytes;
    const char *name = text_at(batch, 0, row, &name_bytes);
    const char *layout = text_at(batch, 1, row, &layout_bytes);
    found->has_any = true;
    if (is_text(name, name_bytes, "format")) {
      found->has_format = true;
      found->format_is_ours = is_text(layout, layout_bytes, FORMAT_LAYOUT);
    } else if (is_text(name, name_bytes, "tokens")) {
      found->has_tokens = true;
      found->tokens_are_ours = is_text(layout, layout_bytes, TOKENS_LAYOUT);
    }
  }
  return STATUS_OK;
}

static enum status take_version(void *context, const struct ArrowArray *batch,
                                struct error *error) {
  struct found *found = context;
  (void)error;
  if (batch->length == 0 || is_null_at(batch, 0, 0)) return STATUS_OK;
  found->has_version = true;
  found->version = integer_at(batch, 0, 0);
  return STATUS_OK;
}

static enum status find_format(const struct token_table *table, struct engine_session *session,
                               struct found *found, struct error *error) {
  struct text sql = TEXT_EMPTY;
  *found = (struct found){0};
  enum status status =
      text_add_format(&sql, error,
                      "SELECT lower(table_name), string_agg(lower(column_name) || ' ' || data_type,"
                      " ', ' ORDER BY column_index) FROM system.main.duckdb_columns() WHERE"
                      " database_name = %s AND lower(schema_name) = '%s' GROUP BY 1",
                      text_get(&table->database_sql), SINK_DUCKDB_SCHEMA);
  struct engine_query query = {.sql = text_get(&sql), .own = true, .read_only = true};
  if (status == STATUS_OK) status = ask(session, &query, take_layouts, found, error);
  if (status != STATUS_OK || !found->format_is_ours) goto done;
  text_clear(&sql);
  status = text_add_format(&sql, error,
                           "SELECT max(version)::BIGINT FROM %s.format WHERE part = 'tokens'",
                           text_get(&table->schema_sql));
  query.sql = text_get(&sql);
  if (status == STATUS_OK) status = ask(session, &query, take_version, found, error);

done:
  text_release(&sql);
  return status;
}

/* Version 0 to 1: the tables. */
static enum status step_make(const struct token_table *table, struct engine_session *session,
                             struct error *error) {
  struct text sql = TEXT_EMPTY;
  const char *schema = text_get(&table->schema_sql);
  enum status status = text_add_format(&sql, error,
                                       "CREATE SCHEMA IF NOT EXISTS %s;"
                                       "CREATE TABLE IF NOT EXISTS %s.format (" FORMAT_LAYOUT ");"
                                       "CREATE TABLE IF NOT EXISTS %s.tokens (" TOKENS_LAYOUT ")",
                                       schema, schema, schema);
  if (status == STATUS_OK) status = run(session, &sql, error);
  text_release(&sql);
  return status;
}

/* Step i leads from version i to the next. */
static enum status (*const steps[TOKEN_FORMAT_VERSION])(const struct token_table *table,
                                                        struct engine_session *session,
                                                        struct error *error) = {step_make};

static enum status take_steps(const struct token_table *table, struct engine_session *session,
                              int64_t from_version, struct error *error) {
  struct text sql = TEXT_EMPTY;
  enum status status = engine_begin(session, error);
  if (status != STATUS_OK) return status;
  for (int64_t i = from_version; i < TOKEN_FORMAT_VERSION && status == STATUS_OK; i++)
    status = steps[i](table, session, error);
  const char *schema = text_get(&table->schema_sql);
  if (status == STATUS_OK)
    status = text_add_format(&sql, error,
                             "DELETE FROM %s.format WHERE part = 'tokens';"
                             "INSERT INTO %s.format VALUES ('tokens', %d)",
                             schema, schema, (int)TOKEN_FORMAT_VERSION);
  if (status == STATUS_OK) status = run(session, &sql, error);
  if (status == STATUS_OK)
    status = engine_commit(session, error);
  else
    engine_rollback(session);
  text_release(&sql);
  return status;
}

/* Where somebody else changes the same tables: again. */
static enum status upgrade(const struct token_table *table, struct engine_session *session,
                           int64_t from_version, struct error *error) {
  enum status status = STATUS_OK;
  for (int i = 0; i < MAKE_TRIES; i++) {
    status = take_steps(table, session, from_version, error);
    if (status != STATUS_CONFLICT) break;
    clock_sleep_ms(MAKE_WAIT_MS);
  }
  if (status != STATUS_OK) error_at(error, "the tables of tokens in " SINK_DUCKDB_SCHEMA);
  return status;
}

static enum status check_version(const struct found *found, bool may_upgrade, struct error *error) {
  if (found->version > TOKEN_FORMAT_VERSION || found->version < 1)
    return error_set(error, STATUS_UNSUPPORTED,
                     "the tokens of this database have format %" PRId64
                     ", and this version knows formats 1 to %d: open it with the version that "
                     "wrote it, or a later one",
                     found->version, (int)TOKEN_FORMAT_VERSION);
  if (found->version < TOKEN_FORMAT_VERSION && !may_upgrade)
    return error_set(error, STATUS_UNSUPPORTED,
                     "the tokens of this database have format %" PRId64
                     ", an earlier one than %d: open it once for writing, which upgrades it",
                     found->version, (int)TOKEN_FORMAT_VERSION);
  return STATUS_OK;
}

enum status token_table_inspect(const struct token_table *table, struct engine_session *session,
                                bool may_upgrade, enum token_table_state *state,
                                struct error *error) {
  struct found found;
  enum status status = find_format(table, session, &found, error);
  if (status != STATUS_OK) return status;
  *state = TOKEN_TABLE_FOREIGN;
  if (found.has_version) {
    status = check_version(&found, may_upgrade, error);
    if (status == STATUS_OK && found.version < TOKEN_FORMAT_VERSION)
      status = upgrade(table, session, found.version, error);
    if (status == STATUS_OK && found.version < TOKEN_FORMAT_VERSION)
      status = find_format(table, session, &found, error);
    if (!found.has_tokens) *state = TOKEN_TABLE_NONE;
    if (found.tokens_are_ours) *state = TOKEN_TABLE_READY;
  } else if (!found.has_any || (found.format_is_ours && !found.has_tokens)) {
    *state = TOKEN_TABLE_NONE;
  }
  return status;
}

enum status token_table_foreign(const struct token_table *table, struct error *error) {
  return error_set(error, STATUS_UNSUPPORTED,
                   "tokens cannot be remembered in this database: its schema %s holds tables that "
                   "are not this program's; move them into another schema, drop that one, and "
                   "start again",
                   text_get(&table->schema_sql));
}

enum status token_table_make(const struct token_table *table, struct engine_session *session,
                             struct error *error) {
  return upgrade(table, session, 0, error);
}

/* ---- reading ---------------------------------------------------------------------------------- */

static enum status take_extent(void *context, const struct ArrowArray *batch, struct error *error) {
  struct token_table_extent *extent = context;
  (void)error;
  if (batch->length == 0 || integer_at(batch, 0, 0) == 0) return STATUS_OK;
  *extent = (struct token_table_extent){integer_at(batch, 0, 0), integer_at(batch, 1, 0),
                                        integer_at(batch, 2, 0)};
  return STATUS_OK;
}

/* Rows that somebody else put there may hold anything. */
#define SOUND                                                                                      \
  "id IS NOT NULL AND landed >= TIMESTAMP '1970-01-01' AND landed < TIMESTAMP '9000-01-01'"

enum status token_table_extent(const struct token_table *table, struct engine_session *session,
                               struct token_table_extent *extent, struct error *error) {
  struct text sql = TEXT_EMPTY;
  *extent = (struct token_table_extent){0};
  enum status status =
      text_add_format(&sql, error,
                      "SELECT count(*), epoch_us(min(landed)), epoch_us(max(landed)) FROM %s.tokens"
                      " WHERE " SOUND,
                      text_get(&table->schema_sql));
  struct engine_query query = {.sql = text_get(&sql), .own = true, .read_only = true};
  if (status == STATUS_OK) status = ask(session, &query, take_extent, extent, error);
  text_release(&sql);
  return status;
}

/* How many landed in each slot of time: the slots that are there, in order. */
struct slots {
  int64_t from_us[SLOTS + 2], count[SLOTS + 2];
  int64_t slot_count, slot_us;
};

static enum status take_slots(void *context, const struct ArrowArray *batch, struct error *error) {
  struct slots *slots = context;
  for (int64_t row = 0; row < batch->length; row++) {
    if (slots->slot_count == SLOTS + 2)
      return error_set(error, STATUS_INTERNAL, "more slots of time than there can be");
    slots->from_us[slots->slot_count] = integer_at(batch, 0, row) * slots->slot_us;
    slots->count[slots->slot_count++] = integer_at(batch, 1, row);
  }
  return STATUS_OK;
}

static enum status begin_generations(const struct slots *slots, int64_t part_us, int64_t count_max,
                                     struct token_index *index, struct error *error) {
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < slots->slot_count && status == STATUS_OK;) {
    int64_t begin_us = slots->from_us[i], count = 0;
    do {
      count += slots->count[i++];
    } while (i < slots->slot_count && slots->from_us[i] - begin_us < part_us &&
             count + slots->count[i] <= count_max / TOKEN_INDEX_PARTS);
    status = token_index_begin(index, begin_us, count, error);
  }
  return status;
}

static enum status take_hashes(void *context, const struct ArrowArray *batch, struct error *error) {
  struct token_index *index = context;
  const struct ArrowArray *ids = batch->children[0], *times = batch->children[1];
  const uint64_t *id = (const uint64_t *)ids->buffers[1] + ids->offset;
  const int64_t *landed_us = (const int64_t *)times->buffers[1] + times->offset;
  enum status status = STATUS_OK;
  for (int64_t row = 0; row < batch->length && status == STATUS_OK; row++)
    status = token_index_load(index, id[row], landed_us[row], error);
  return status;
}

static enum status count_slots(const struct token_table *table, struct engine_session *session,
                               const struct token_table_span *span, struct slots *slots,
                               int64_t *count, struct error *error) {
  struct text sql = TEXT_EMPTY;
  *slots = (struct slots){.slot_us = (span->to_us - span->from_us) / SLOTS + 1};
  *count = 0;
  enum status status =
      text_add_format(&sql, error,
                      "SELECT epoch_us(landed) // %" PRId64 ", count(*) FROM %s.tokens WHERE " SOUND
                      " AND landed >= make_timestamp(%" PRId64
                      ") AND landed <= make_timestamp(%" PRId64 ") GROUP BY 1 ORDER BY 1",
                      slots->slot_us, text_get(&table->schema_sql), span->from_us, span->to_us);
  struct engine_query query = {.sql = text_get(&sql), .own = true, .read_only = true};
  if (status == STATUS_OK) status = ask(session, &query, take_slots, slots, error);
  for (int64_t i = 0; i < slots->slot_count; i++) *count += slots->count[i];
  text_release(&sql);
  return status;
}

static enum status take_integer(void *context, const struct ArrowArray *batch,
                                struct error *error) {
  (void)error;
  if (batch->length > 0 && !is_null_at(batch, 0, 0)) *(int64_t *)context = integer_at(batch, 0, 0);
  return STATUS_OK;
}

/* When the first of the newest `count_max` landed. */
static enum status find_newest(const struct token_table *table, struct engine_session *session,
                               const struct token_table_span *span, int64_t count, int64_t *from_us,
                               struct error *error) {
  struct text sql = TEXT_EMPTY;
  enum status status = text_add_format(
      &sql, error,
      "SELECT quantile_disc(epoch_us(landed), %.9f) FROM %s.tokens WHERE " SOUND
      " AND landed >= make_timestamp(%" PRId64 ") AND landed <= make_timestamp(%" PRId64 ")",
      (double)(count - span->count_max) / (double)count, text_get(&table->schema_sql),
      span->from_us, span->to_us);
  struct engine_query query = {.sql = text_get(&sql), .own = true, .read_only = true};
  if (status == STATUS_OK) status = ask(session, &query, take_integer, from_us, error);
  text_release(&sql);
  return status;
}

enum status token_table_load(const struct token_table *table, struct engine_session *session,
                             const struct token_table_span *wanted, struct token_index *index,
                             struct error *error) {
  struct text sql = TEXT_EMPTY;
  struct token_table_span span = *wanted;
  struct slots slots;
  int64_t count;
  enum status status = count_slots(table, session, &span, &slots, &count, error);
  if (status == STATUS_OK && count > span.count_max) {
    status = find_newest(table, session, wanted, count, &span.from_us, error);
    if (status == STATUS_OK) status = count_slots(table, session, &span, &slots, &count, error);
  }
  if (status == STATUS_OK)
    status = begin_generations(&slots, span.part_us, span.count_max, index, error);
  if (status != STATUS_OK || count == 0) goto done;
  status = text_add_format(&sql, error,
                           "SELECT id, epoch_us(landed) FROM %s.tokens WHERE " SOUND
                           " AND landed >= make_timestamp(%" PRId64
                           ") AND landed <= make_timestamp(%" PRId64 ")",
                           text_get(&table->schema_sql), span.from_us, span.to_us);
  struct engine_query query = {.sql = text_get(&sql), .own = true, .read_only = true};
  if (status == STATUS_OK) status = ask(session, &query, take_hashes, index, error);

done:
  text_release(&sql);
  return status;
}

struct row {
  bool is_there;
  int64_t landed_us;
  struct load_result *result;
};

static enum status take_row(void *context, const struct ArrowArray *batch, struct error *error) {
  struct row *row = context;
  if (batch->length == 0 || row->is_there) return STATUS_OK;
  *row->result = (struct load_result){.rows = integer_at(batch, 0, 0),
                                      .batches = integer_at(batch, 1, 0),
                                      .version = integer_at(batch, 2, 0)};
  row->landed_us = integer_at(batch, 3, 0);
  row->is_there = true;
  if (is_null_at(batch, 4, 0)) return STATUS_OK;
  size_t bytes;
  const char *changes = text_at(batch, 4, 0, &bytes);
  row->result->changes = strndup(bytes == 0 ? "" : changes, bytes);
  if (row->result->changes == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for what a load has changed");
  return STATUS_OK;
}

enum status token_table_find(const struct token_table *table, struct engine_session *session,
                             const struct token_key *key, int64_t from_us, int64_t to_us,
                             bool *found, int64_t *landed_us, struct load_result *result,
                             struct error *error) {
  struct text sql = TEXT_EMPTY;
  struct row row = {.result = result};
  const struct engine_value texts[] = {
      {.kind = ENGINE_TEXT, .text = key->table, .text_bytes = strlen(key->table)},
      {.kind = ENGINE_TEXT, .text = key->token, .text_bytes = strlen(key->token)},
  };
  enum status status = text_add_format(
      &sql, error,
      "SELECT coalesce(rows, 0), coalesce(batches, 0), coalesce(version, -1), epoch_us(landed), "
      "changes FROM %s.tokens WHERE id = %" PRIu64 "::UBIGINT AND landed >= make_timestamp(%" PRId64
      ") AND landed <= make_timestamp(%" PRId64
      ") AND table_name = ? AND token = ? ORDER BY landed DESC LIMIT 1",
      text_get(&table->schema_sql), key->hash, from_us, to_us);
  struct engine_query query = {.sql = text_get(&sql),
                               .parameters = texts,
                               .parameter_count = 2,
                               .own = true,
                               .read_only = true};
  if (status == STATUS_OK) status = ask(session, &query, take_row, &row, error);
  text_release(&sql);
  if (status != STATUS_OK) load_result_release(result);
  *found = status == STATUS_OK && row.is_there;
  *landed_us = row.landed_us;
  return status;
}

enum status token_table_forget(const struct token_table *table, struct engine_session *session,
                               int64_t before_us, struct error *error) {
  struct text sql = TEXT_EMPTY;
  enum status status = text_add_format(
      &sql, error, "DELETE FROM %s.tokens WHERE landed < make_timestamp(%" PRId64 ")",
      text_get(&table->schema_sql), before_us);
  if (status == STATUS_OK) status = run(session, &sql, error);
  text_release(&sql);
  return status;
}
