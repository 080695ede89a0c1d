/* Rows by key: collected in a temporary table, put into theirs at the end.
 *
 * The stage has a column for each field, named by its number so that no field's name can get in
 * the way ("c0", "c1", ...), of the types that the table has, and the rows' numbers: rows arrive
 * on several threads, and only the numbers know which of two rows of one key came last.
 *
 *   open:  the stage is made (temporary, so nobody else sees it and a crash leaves nothing of it)
 *   ready: NULL keys are refused, of rows of one key the last one stays
 *   apply: partial: one MERGE
 *          whole rows: DELETE of those there are, INSERT of all; twice as fast as a MERGE that
 *          updates every column (docs/internals/engine.md has the figures)
 *
 * Whole rows that are all still in their batches when the last one has come, and whose keys are
 * found to differ, skip the stage: DELETE and INSERT read them where they are. Where there is a NULL
 * or a key comes twice the stage sorts it out, so there is one place that says which row it was.
 *
 * 1. Nothing of the table is touched before apply, so an upsert that is still arriving conflicts
 *    with nobody and holds no snapshot.
 * 2. apply changes nothing of the stage or the batches: it may be repeated.
 * 3. The table that apply finds has the stage's types in its columns, or it is refused: no value
 *    is cast on the way from the one to the other. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/catalog.h"
#include "engine/insert.h"
#include "engine/keys.h"
#include "engine/lake.h"
#include "engine/types.h"

#define STAGE_SQL "temp.main.arrowport_stage"

enum { KEYS_MAX = 64 };

struct engine_upsert {
  struct engine_session *session;
  struct table_name table;
  struct text table_sql;
  const struct ArrowSchema *schema;
  int64_t *keys; /* numbers of fields */
  size_t key_count;
  int64_t operation; /* number of a field; -1: none */
  bool partial, unique, create_table;
  bool outdated;             /* the table has changed since */
  bool staged;               /* the rows are in the stage; false: where the caller has them */
  struct engine_table stage; /* its columns, as DuckDB describes them */
  struct engine_insert *insert;
};

static enum status add_key_columns(const struct engine_upsert *upsert, struct text *sql,
                                   struct error *error) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < upsert->key_count && status == STATUS_OK; i++)
    status = text_add_format(sql, error, "%sc%lld", i == 0 ? "" : ", ", (long long)upsert->keys[i]);
  return status;
}

/* "t.id = s.c0 AND ..." */
static enum status add_match(const struct engine_upsert *upsert, struct text *sql,
                             struct error *error) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < upsert->key_count && status == STATUS_OK; i++) {
    status = text_add(sql, i == 0 ? "t." : " AND t.", error);
    if (status == STATUS_OK)
      status = text_add_identifier(sql, upsert->schema->children[upsert->keys[i]]->name, error);
    /* A stage has the table's types; what comes from elsewhere is compared as the table has it. */
    const char *type = upsert->stage.columns[upsert->keys[i]].type;
    if (status == STATUS_OK)
      status = upsert->staged
                   ? text_add_format(sql, error, " = s.c%lld", (long long)upsert->keys[i])
                   : text_add_format(sql, error, " = CAST(s.c%lld AS %s)",
                                     (long long)upsert->keys[i], type);
  }
  return status;
}

/* "s.c0, s.c1, ...": what goes into the columns that insert_columns names. */
static enum status add_stage_columns(const struct engine_upsert *upsert, struct text *sql,
                                     struct error *error) {
  enum status status = STATUS_OK;
  const char *between = "";
  for (int64_t i = 0; i < upsert->schema->n_children && status == STATUS_OK; i++) {
    if (i == upsert->operation) continue;
    status = text_add_format(sql, error, "%ss.c%lld", between, (long long)i);
    between = ", ";
  }
  return status;
}

static enum status add_deletes(const struct engine_upsert *upsert, struct text *sql,
                               struct error *error) {
  return text_add_format(sql, error, "coalesce(lower(s.c%lld) IN ('d', 'delete'), false)",
                         (long long)upsert->operation);
}

/* ---- opening ------------------------------------------------------------------------------- */

static enum status find_field(const struct ArrowSchema *schema, const char *name, int64_t *number,
                              struct error *error) {
  for (int64_t i = 0; i < schema->n_children; i++) {
    const char *field = schema->children[i]->name;
    if (field == NULL || strcasecmp(field, name) != 0) continue;
    *number = i;
    return STATUS_OK;
  }
  return error_set(error, STATUS_SCHEMA, "the data has no column \"%s\"", name);
}

static enum status find_fields(struct engine_upsert *upsert,
                               const struct engine_upsert_options *options, struct error *error) {
  upsert->operation = -1;
  if (options->key_count == 0 || options->key_count > KEYS_MAX)
    return error_set(error, STATUS_INVALID, "a key has 1 to %d columns, this one %zu",
                     (int)KEYS_MAX, options->key_count);
  upsert->keys = calloc(options->key_count, sizeof *upsert->keys);
  if (upsert->keys == NULL) return error_set(error, STATUS_NOMEM, "no memory for a key");
  upsert->key_count = options->key_count;
  enum status status = STATUS_OK;
  for (size_t i = 0; i < options->key_count && status == STATUS_OK; i++)
    status = find_field(options->schema, options->keys[i], &upsert->keys[i], error);
  if (status == STATUS_OK && options->operation != NULL)
    status = find_field(options->schema, options->operation, &upsert->operation, error);
  return status;
}

/* The type of a field's column in a stage for a table that is there: the table's own. */
static enum status add_table_types(const struct engine_upsert *upsert, struct text *sql,
                                   struct error *error) {
  enum status status = text_add(sql, " AS SELECT ", error);
  for (int64_t i = 0; i < upsert->schema->n_children && status == STATUS_OK; i++) {
    if (i == upsert->operation) {
      status = text_add(sql, "NULL::VARCHAR", error);
    } else {
      status = text_add(sql, "t.", error);
      if (status == STATUS_OK)
        status = text_add_identifier(sql, upsert->schema->children[i]->name, error);
    }
    if (status == STATUS_OK) status = text_add_format(sql, error, " AS c%lld, ", (long long)i);
  }
  if (status == STATUS_OK)
    status = text_add_format(sql, error, "0::BIGINT AS number FROM %s AS t LIMIT 0",
                             upsert->table_sql.data);
  return status;
}

/* The same for a table that is to be made. */
static enum status add_new_types(const struct engine_upsert *upsert, struct text *sql,
                                 struct error *error) {
  enum status status = text_add(sql, " (", error);
  for (int64_t i = 0; i < upsert->schema->n_children && status == STATUS_OK; i++) {
    status = text_add_format(sql, error, "c%lld ", (long long)i);
    if (status == STATUS_OK) status = engine_type_of(upsert->schema->children[i], sql, error);
    if (status == STATUS_OK) status = text_add(sql, ", ", error);
  }
  if (status == STATUS_OK) status = text_add(sql, "number BIGINT)", error);
  return status;
}

static enum status make_stage(struct engine_upsert *upsert, bool table_is_there,
                              struct error *error) {
  struct text sql = TEXT_EMPTY;
  enum status status = text_add(&sql, "CREATE TEMPORARY TABLE " STAGE_SQL, error);
  if (status == STATUS_OK)
    status =
        table_is_there ? add_table_types(upsert, &sql, error) : add_new_types(upsert, &sql, error);
  if (status == STATUS_OK) status = session_run(upsert->session, sql.data, error);
  if (status == STATUS_OK)
    status = catalog_columns_sql(upsert->session, STAGE_SQL, &upsert->stage, error);
  text_release(&sql);
  return status;
}

/* A view, or a column that is generated, takes no rows: said now, not when all have come. */
static enum status check_writable(const struct engine_upsert *upsert, struct error *error) {
  const struct duckdb_api *duckdb = upsert->session->duckdb;
  duckdb_prepared_statement statement = NULL;
  struct text sql = TEXT_EMPTY;
  enum status status = text_add_format(&sql, error, "INSERT INTO %s (", upsert->table_sql.data);
  if (status == STATUS_OK) status = insert_columns(upsert->insert, &sql, error);
  if (status == STATUS_OK) status = text_add(&sql, ") SELECT ", error);
  if (status == STATUS_OK) status = add_stage_columns(upsert, &sql, error);
  if (status == STATUS_OK) status = text_add(&sql, " FROM " STAGE_SQL " AS s", error);
  if (status == STATUS_OK &&
      duckdb->prepare(upsert->session->connection, sql.data, &statement) != DuckDBSuccess) {
    status = failure_set(NULL, error, duckdb->prepare_error(statement));
    if (status == STATUS_INVALID) status = error->status = STATUS_SCHEMA;
  }
  duckdb->destroy_prepare(&statement);
  text_release(&sql);
  return status;
}

/* What the table, if there is one, has to say to the fields; then the stage. */
static enum status prepare_stage(struct engine_upsert *upsert, struct error *error) {
  struct engine_table table = {0};
  enum status status = catalog_columns_sql(upsert->session, upsert->table_sql.data, &table, error);
  bool there = status == STATUS_OK;
  if (there)
    status = insert_check(upsert->insert, &table, upsert->table_sql.data, upsert->partial, error);
  else if (status == STATUS_NOT_FOUND && upsert->create_table)
    status = types_check_names(upsert->schema, error);
  if (status == STATUS_OK && !there && upsert->session->lake != NULL)
    status = catalog_check_lake(upsert->schema, error);
  engine_table_release(&table);
  if (status == STATUS_OK) status = make_stage(upsert, there, error);
  if (status == STATUS_OK) status = insert_prepare(upsert->insert, STAGE_SQL, true, error);
  if (status == STATUS_OK && there) status = check_writable(upsert, error);
  return status;
}

enum status engine_upsert_open(struct engine_session *session,
                               const struct engine_upsert_options *options,
                               struct engine_upsert **out, struct error *error) {
  *out = NULL;
  struct error own;
  if (error == NULL) error = &own;
  struct engine_upsert *upsert = calloc(1, sizeof *upsert);
  if (upsert == NULL) return error_set(error, STATUS_NOMEM, "no memory for an upsert");
  upsert->session = session;
  upsert->table = *options->table;
  upsert->schema = options->schema;
  upsert->partial = options->partial;
  upsert->unique = options->unique;
  upsert->create_table = options->create_table;
  enum status status = find_fields(upsert, options, error);
  lake_enter(session, options->table);
  if (status == STATUS_OK)
    status = catalog_table_sql(session->engine, options->table, &upsert->table_sql, error);
  if (status == STATUS_OK) status = insert_new(session, options->schema, &upsert->insert, error);
  if (status == STATUS_OK && upsert->operation >= 0)
    status = insert_set_operation(upsert->insert, upsert->operation, error);
  if (status == STATUS_OK) status = prepare_stage(upsert, error);
  if (status != STATUS_OK) {
    catalog_error_at(error, options->table);
    engine_upsert_close(upsert);
    upsert = NULL;
  }
  *out = upsert;
  return status;
}

bool engine_upsert_outdated(const struct engine_upsert *upsert) { return upsert->outdated; }

struct engine_insert *engine_upsert_insert(struct engine_upsert *upsert) {
  return upsert->insert;
}

void engine_upsert_close(struct engine_upsert *upsert) {
  if (upsert == NULL) return;
  engine_insert_close(upsert->insert);
  if (upsert->stage.columns != NULL) {
    struct error error; /* the session's end would take it along, too */
    enum status status = session_run(upsert->session, "DROP TABLE " STAGE_SQL, &error);
    (void)status;
  }
  engine_table_release(&upsert->stage);
  text_release(&upsert->table_sql);
  free(upsert->keys);
  free(upsert);
}

/* ---- all rows are there ---------------------------------------------------------------------- */

/* Whether no key of the rows that are shown is NULL or comes twice. */
static enum status look_at_keys(const struct engine_upsert *upsert, bool *distinct,
                                struct error *error) {
  int64_t most = 0;
  struct text sql = TEXT_EMPTY;
  enum status status = text_add(&sql, "SELECT max(n) FROM (SELECT CASE WHEN ", error);
  for (size_t i = 0; i < upsert->key_count && status == STATUS_OK; i++)
    status = text_add_format(&sql, error, "%sc%lld IS NULL", i == 0 ? "" : " OR ",
                             (long long)upsert->keys[i]);
  if (status == STATUS_OK)
    status = text_add(&sql, " THEN 2::BIGINT ELSE count(*) END AS n FROM ", error);
  if (status == STATUS_OK) status = insert_source(upsert->insert, &sql, error);
  if (status == STATUS_OK) status = text_add(&sql, " GROUP BY ", error);
  if (status == STATUS_OK) status = add_key_columns(upsert, &sql, error);
  if (status == STATUS_OK) status = text_add(&sql, ")", error);
  if (status == STATUS_OK) status = session_numbers(upsert->session, sql.data, &most, 1, error);
  text_release(&sql);
  *distinct = most == 1;
  return status;
}

/* Whether the rows can go into the table from where they are. */
static bool can_skip_stage(struct engine_upsert *upsert, const struct engine_slice *slices,
                           int64_t slice_count) {
  if (slice_count == 0 || insert_count(upsert->insert) > 0 || upsert->partial ||
      upsert->operation >= 0)
    return false;
  bool distinct = upsert->key_count == 1 &&
                  keys_look(upsert->schema, upsert->keys[0], slices, slice_count) == KEYS_DISTINCT;
  struct error ignored; /* the stage finds it again, and says it */
  if (insert_show(upsert->insert, slices, slice_count, &ignored) != STATUS_OK) return false;
  return distinct || (look_at_keys(upsert, &distinct, &ignored) == STATUS_OK && distinct);
}

static enum status stage_rest(const struct engine_upsert *upsert, const struct engine_slice *slices,
                              int64_t slice_count, struct error *error) {
  int64_t inserted = 0, rows = 0;
  for (int64_t i = 0; i < slice_count; i++) rows += slices[i].rows;
  enum status status = engine_insert_rows(upsert->insert, slices, slice_count, &inserted, error);
  if (status == STATUS_OK && inserted != rows)
    status = error_set(error, STATUS_INTERNAL, "DuckDB inserted %lld of %lld rows",
                       (long long)inserted, (long long)rows);
  return status;
}

static enum status refuse_null_keys(const struct engine_upsert *upsert, struct error *error) {
  int64_t rows[KEYS_MAX];
  struct text sql = TEXT_EMPTY;
  enum status status = text_add(&sql, "SELECT ", error);
  for (size_t i = 0; i < upsert->key_count && status == STATUS_OK; i++)
    status = text_add_format(&sql, error, "%smin(number) FILTER (c%lld IS NULL)",
                             i == 0 ? "" : ", ", (long long)upsert->keys[i]);
  if (status == STATUS_OK) status = text_add(&sql, " FROM " STAGE_SQL, error);
  if (status == STATUS_OK)
    status = session_numbers(upsert->session, sql.data, rows, upsert->key_count, error);
  for (size_t i = 0; i < upsert->key_count && status == STATUS_OK; i++)
    if (rows[i] >= 0)
      status = error_set(error, STATUS_SCHEMA,
                         "row %lld (the first is 0): the key column \"%s\" is NULL, which equals "
                         "nothing: every row must have its key",
                         (long long)rows[i], upsert->schema->children[upsert->keys[i]]->name);
  text_release(&sql);
  return status;
}

/* The first row (its number) that is not the first of its key; -1: there is none. */
static enum status find_duplicate(const struct engine_upsert *upsert, int64_t *row,
                                  struct error *error) {
  struct text sql = TEXT_EMPTY;
  enum status status = text_add(
      &sql, "SELECT min(number) FROM (SELECT max(number) AS number FROM " STAGE_SQL " GROUP BY ",
      error);
  if (status == STATUS_OK) status = add_key_columns(upsert, &sql, error);
  if (status == STATUS_OK) status = text_add(&sql, " HAVING count(*) > 1)", error);
  if (status == STATUS_OK) status = session_numbers(upsert->session, sql.data, row, 1, error);
  text_release(&sql);
  return status;
}

static enum status keep_last(const struct engine_upsert *upsert, struct error *error) {
  struct text sql = TEXT_EMPTY;
  enum status status =
      text_add(&sql,
               "DELETE FROM " STAGE_SQL " WHERE number NOT IN (SELECT max(number) FROM " STAGE_SQL
               " GROUP BY ",
               error);
  if (status == STATUS_OK) status = add_key_columns(upsert, &sql, error);
  if (status == STATUS_OK) status = text_add(&sql, ")", error);
  if (status == STATUS_OK) status = session_run(upsert->session, sql.data, error);
  text_release(&sql);
  return status;
}

enum status engine_upsert_ready(struct engine_upsert *upsert, const struct engine_slice *slices,
                                int64_t slice_count, struct error *error) {
  int64_t row = -1;
  struct error own;
  if (error == NULL) error = &own;
  upsert->staged = !can_skip_stage(upsert, slices, slice_count);
  if (!upsert->staged) return STATUS_OK;
  enum status status = stage_rest(upsert, slices, slice_count, error);
  if (status != STATUS_OK) return status;
  status = refuse_null_keys(upsert, error);
  if (status == STATUS_OK) status = find_duplicate(upsert, &row, error);
  if (status == STATUS_OK && row >= 0)
    status = upsert->unique
                 ? error_set(error, STATUS_SCHEMA,
                             "row %lld (the first is 0) has the key of an earlier row of this load",
                             (long long)row)
                 : keep_last(upsert, error);
  if (status != STATUS_OK) catalog_error_at(error, &upsert->table);
  return status;
}

/* ---- into the table --------------------------------------------------------------------------- */

static const char *type_in(const struct engine_table *table, const char *name) {
  for (int64_t i = 0; i < table->column_count; i++)
    if (strcasecmp(table->columns[i].name, name) == 0) return table->columns[i].type;
  return "";
}

/* The table as it is now, against the stage. */
static enum status check_unchanged(const struct engine_upsert *upsert,
                                   const struct engine_table *table, struct error *error) {
  for (int64_t i = 0; i < upsert->schema->n_children; i++) {
    const char *name = upsert->schema->children[i]->name;
    if (i == upsert->operation) continue;
    if (strcmp(type_in(table, name), upsert->stage.columns[i].type) != 0)
      return error_set(error, STATUS_CONFLICT,
                       "its column \"%s\" was changed while the rows arrived; send them again",
                       name);
  }
  return STATUS_OK;
}

/* As its schema says, without the column that says what to do. */
static enum status create_table(const struct engine_upsert *upsert, struct error *error) {
  struct ArrowSchema own = *upsert->schema;
  own.children = calloc((size_t)own.n_children + 1, sizeof(struct ArrowSchema *));
  if (own.children == NULL) return error_set(error, STATUS_NOMEM, "no memory for columns");
  own.n_children = 0;
  for (int64_t i = 0; i < upsert->schema->n_children; i++)
    if (i != upsert->operation) own.children[own.n_children++] = upsert->schema->children[i];
  enum status status = engine_create_table(upsert->session, &upsert->table, &own, error);
  free(own.children);
  return status;
}

/* Appends what the rows are read from, as `s`. */
static enum status add_rows(const struct engine_upsert *upsert, struct text *sql,
                            struct error *error) {
  if (!upsert->staged) return insert_source(upsert->insert, sql, error);
  return text_add(sql, STAGE_SQL " AS s", error);
}

static enum status run_over_rows(const struct engine_upsert *upsert, const char *sql,
                                 struct error *error) {
  return upsert->staged ? session_run(upsert->session, sql, error)
                        : insert_run(upsert->insert, sql, error);
}

/* EXISTS takes half of the time that USING takes: no row of the one side is joined to the other. */
static enum status run_replace(const struct engine_upsert *upsert, struct text *sql,
                               struct error *error) {
  enum status status = text_add_format(
      sql, error, "DELETE FROM %s AS t WHERE EXISTS (SELECT 1 FROM ", upsert->table_sql.data);
  if (status == STATUS_OK) status = add_rows(upsert, sql, error);
  if (status == STATUS_OK) status = text_add(sql, " WHERE ", error);
  if (status == STATUS_OK) status = add_match(upsert, sql, error);
  if (status == STATUS_OK) status = text_add(sql, ")", error);
  if (status == STATUS_OK) status = run_over_rows(upsert, sql->data, error);
  text_clear(sql);
  if (status == STATUS_OK)
    status = text_add_format(sql, error, "INSERT INTO %s (", upsert->table_sql.data);
  if (status == STATUS_OK) status = insert_columns(upsert->insert, sql, error);
  if (status == STATUS_OK) status = text_add(sql, ") SELECT ", error);
  if (status == STATUS_OK) status = add_stage_columns(upsert, sql, error);
  if (status == STATUS_OK) status = text_add(sql, " FROM ", error);
  if (status == STATUS_OK) status = add_rows(upsert, sql, error);
  if (status == STATUS_OK && upsert->operation >= 0) {
    status = text_add(sql, " WHERE NOT ", error);
    if (status == STATUS_OK) status = add_deletes(upsert, sql, error);
  }
  if (status == STATUS_OK) status = run_over_rows(upsert, sql->data, error);
  return status;
}

static bool is_key(const struct engine_upsert *upsert, int64_t field) {
  for (size_t i = 0; i < upsert->key_count; i++)
    if (upsert->keys[i] == field) return true;
  return false;
}

/* "UPDATE SET a = s.c1, ..."; nothing to set: "DO NOTHING". */
static enum status add_update(const struct engine_upsert *upsert, struct text *sql,
                              struct error *error) {
  enum status status = STATUS_OK;
  bool any = false;
  for (int64_t i = 0; i < upsert->schema->n_children && status == STATUS_OK; i++) {
    if (i == upsert->operation || is_key(upsert, i)) continue;
    status = text_add(sql, any ? ", " : "UPDATE SET ", error);
    if (status == STATUS_OK)
      status = text_add_identifier(sql, upsert->schema->children[i]->name, error);
    if (status == STATUS_OK) status = text_add_format(sql, error, " = s.c%lld", (long long)i);
    any = true;
  }
  if (status == STATUS_OK && !any) status = text_add(sql, "DO NOTHING", error);
  return status;
}

/* Removes the rows that the operation column says are to go. */
static enum status run_deletes(const struct engine_upsert *upsert, struct text *sql,
                               struct error *error) {
  enum status status = text_add_format(
      sql, error, "DELETE FROM %s AS t USING " STAGE_SQL " AS s WHERE ", upsert->table_sql.data);
  if (status == STATUS_OK) status = add_match(upsert, sql, error);
  if (status == STATUS_OK) status = text_add(sql, " AND ", error);
  if (status == STATUS_OK) status = add_deletes(upsert, sql, error);
  if (status == STATUS_OK) status = session_run(upsert->session, sql->data, error);
  text_clear(sql);
  return status;
}

static enum status run_merge(const struct engine_upsert *upsert, struct text *sql,
                             struct error *error) {
  /* A lake takes one action of a MERGE for rows that match. */
  bool apart = upsert->session->lake != NULL && upsert->operation >= 0;
  enum status status = apart ? run_deletes(upsert, sql, error) : STATUS_OK;
  if (status == STATUS_OK)
    status = text_add_format(sql, error, "MERGE INTO %s AS t USING " STAGE_SQL " AS s ON ",
                             upsert->table_sql.data);
  if (status == STATUS_OK) status = add_match(upsert, sql, error);
  if (status == STATUS_OK && upsert->operation >= 0 && !apart) {
    status = text_add(sql, " WHEN MATCHED AND ", error);
    if (status == STATUS_OK) status = add_deletes(upsert, sql, error);
    if (status == STATUS_OK) status = text_add(sql, " THEN DELETE", error);
  }
  if (status == STATUS_OK) status = text_add(sql, " WHEN MATCHED THEN ", error);
  if (status == STATUS_OK) status = add_update(upsert, sql, error);
  if (status == STATUS_OK) status = text_add(sql, " WHEN NOT MATCHED", error);
  if (status == STATUS_OK && upsert->operation >= 0) {
    status = text_add(sql, " AND NOT ", error);
    if (status == STATUS_OK) status = add_deletes(upsert, sql, error);
  }
  if (status == STATUS_OK) status = text_add(sql, " THEN INSERT (", error);
  if (status == STATUS_OK) status = insert_columns(upsert->insert, sql, error);
  if (status == STATUS_OK) status = text_add(sql, ") VALUES (", error);
  if (status == STATUS_OK) status = add_stage_columns(upsert, sql, error);
  if (status == STATUS_OK) status = text_add(sql, ")", error);
  if (status == STATUS_OK) status = session_run(upsert->session, sql->data, error);
  return status;
}

enum status engine_upsert_apply(struct engine_upsert *upsert, struct error *error) {
  struct engine_table table = {0};
  struct text sql = TEXT_EMPTY;
  struct error own;
  if (error == NULL) error = &own;
  writers_join(upsert->session);
  session_enter(upsert->session);
  enum status status = catalog_columns_sql(upsert->session, upsert->table_sql.data, &table, error);
  if (status == STATUS_OK) {
    status = check_unchanged(upsert, &table, error);
    upsert->outdated = status == STATUS_CONFLICT;
  } else if (status == STATUS_NOT_FOUND && upsert->create_table) {
    status = create_table(upsert, error);
  }
  engine_table_release(&table);
  if (status == STATUS_OK)
    status = upsert->partial ? run_merge(upsert, &sql, error) : run_replace(upsert, &sql, error);
  if (status == STATUS_INVALID) /* our own SQL is right: it is the data or the table */
    status = error->status = STATUS_SCHEMA;
  session_leave(upsert->session);
  if (status != STATUS_OK) catalog_error_at(error, &upsert->table);
  text_release(&sql);
  return status;
}
