/* A table that rows can go into: looked at, made or changed as the load's policy allows. */
#include <strings.h>

#include "sink/duckdb_private.h"

enum status place_allowed(const struct duckdb_sink *sink, const struct table_name *table,
                          struct error *error) {
  if (sink->read_only)
    return error_set(error, STATUS_UNAVAILABLE, "the database is open for reading only");
  if (strcasecmp(table->catalog, "temp") == 0)
    return error_set(error, STATUS_DENIED,
                     "temporary tables are those of a session, and this load has none");
  if (strcasecmp(table->schema, SINK_DUCKDB_SCHEMA) != 0) return STATUS_OK;
  return error_set(error, STATUS_DENIED,
                   "the schema " SINK_DUCKDB_SCHEMA
                   " holds what the server itself remembers; load into another one");
}

/* The table is there, or (`*there` false) it is not and may be made. */
static enum status look(struct engine_session *session, const struct load_spec *spec, bool *there,
                        struct error *error) {
  struct engine_table table = {0};
  enum status status = engine_table_info(session, &spec->table, &table, error);
  *there = status == STATUS_OK;
  if (status == STATUS_NOT_FOUND && spec->create_table) status = STATUS_OK;
  engine_table_release(&table);
  return status;
}

/* STATUS_OK: the rows fit as the table is. */
static enum status try_insert(struct engine_session *session, const struct load_spec *spec,
                              const struct ArrowSchema *schema, struct error *error) {
  struct engine_insert *insert = NULL;
  enum status status = engine_insert_open(session, &spec->table, schema, &insert, error);
  engine_insert_close(insert);
  return status;
}

enum status place_check(struct engine_session *session, const struct load_spec *spec,
                        const struct ArrowSchema *schema, struct error *error) {
  bool there;
  enum status status = look(session, spec, &there, error);
  if (status != STATUS_OK) return status;
  if (!there) return engine_create_check(session, &spec->table, schema, error);
  if (spec->policy == SCHEMA_STRICT)
    status = engine_check_same(session, &spec->table, schema, error);
  if (spec->policy != SCHEMA_MERGE)
    return status == STATUS_OK ? try_insert(session, spec, schema, error) : status;
  struct engine_evolution evolution = {.sql = TEXT_EMPTY, .changes = TEXT_EMPTY};
  status = engine_evolution_plan(session, &spec->table, schema, NULL, &evolution, error);
  if (status == STATUS_OK && evolution.sql.size_bytes == 0)
    status = try_insert(session, spec, schema, error);
  engine_evolution_release(&evolution);
  return status;
}

/* Under SCHEMA_MERGE: what the table lacks, or what it would take without `alone`. */
static enum status evolve(struct engine_session *session, const struct load_spec *spec,
                          const struct ArrowSchema *schema, bool alone, enum place_change *change,
                          struct text *changes, struct error *error) {
  struct engine_evolution evolution = {.sql = TEXT_EMPTY, .changes = TEXT_EMPTY};
  enum status status =
      engine_evolution_plan(session, &spec->table, schema, NULL, &evolution, error);
  if (status == STATUS_OK && evolution.sql.size_bytes > 0) {
    *change = PLACE_CHANGED;
    if (alone) status = engine_evolution_apply(session, &evolution, error);
    if (alone && status == STATUS_OK)
      status = text_add(changes, text_get(&evolution.changes), error);
  }
  engine_evolution_release(&evolution);
  return status;
}

enum status place_open(struct engine_session *session, const struct load_spec *spec,
                       const struct ArrowSchema *schema, bool alone, struct engine_insert **insert,
                       enum place_change *change, struct text *changes, struct error *error) {
  bool there;
  *insert = NULL;
  *change = PLACE_NONE;
  enum status status = look(session, spec, &there, error);
  if (status != STATUS_OK) return status;
  if (!there) {
    *change = PLACE_MADE;
    if (alone) status = engine_create_table(session, &spec->table, schema, error);
  } else if (spec->policy == SCHEMA_STRICT) {
    status = engine_check_same(session, &spec->table, schema, error);
  } else if (spec->policy == SCHEMA_MERGE) {
    status = evolve(session, spec, schema, alone, change, changes, error);
  }
  if (status != STATUS_OK || (*change != PLACE_NONE && !alone)) return status;
  return engine_insert_open(session, &spec->table, schema, insert, error);
}
