/* A table that follows its data: columns that it lacks, types that are too narrow; and the opposite,
 * a table that must be just what its data is.
 *
 * A plan compares fields with columns as an insert does (landing_fits), and where an insert would
 * refuse writes down an ALTER TABLE. A column that is there changes only to the least type of its
 * own kind that holds both its values and the field's, so that
 *
 * 1. no value that is there becomes another one: the types are ordered by what they hold;
 * 2. a column keeps its kind: an integer never becomes a double, a decimal or text;
 * 3. producers who send the old type still land: what the old column held, the new one holds.
 *
 * What DuckDB does badly is kept away from (docs/internals/schema-evolution.md has what was measured):
 *
 * 4. After a crash DuckDB 1.5 binds the table's expressions while it replays its log, and does not
 *    know any function there: with nextval() for a default the file would not open any more. Tables
 *    with computed columns or a CHECK are refused.
 * 5. A change of type takes up what others updated and did not commit, and forgets what they
 *    committed since the transaction began. So a widened column is compared with what a new
 *    connection reads, after the change, when no update of others can be committed any more. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/catalog.h"
#include "engine/lake.h"
#include "engine/types.h"

enum { DECIMAL_DIGITS_MAX = 38 };

/* Types that need no parameters, as SQL writes them. */
static const struct {
  duckdb_type type;
  const char *sql;
} plain_types[] = {
    {DUCKDB_TYPE_BOOLEAN, "BOOLEAN"},
    {DUCKDB_TYPE_TINYINT, "TINYINT"},
    {DUCKDB_TYPE_SMALLINT, "SMALLINT"},
    {DUCKDB_TYPE_INTEGER, "INTEGER"},
    {DUCKDB_TYPE_BIGINT, "BIGINT"},
    {DUCKDB_TYPE_HUGEINT, "HUGEINT"},
    {DUCKDB_TYPE_UTINYINT, "UTINYINT"},
    {DUCKDB_TYPE_USMALLINT, "USMALLINT"},
    {DUCKDB_TYPE_UINTEGER, "UINTEGER"},
    {DUCKDB_TYPE_UBIGINT, "UBIGINT"},
    {DUCKDB_TYPE_UHUGEINT, "UHUGEINT"},
    {DUCKDB_TYPE_FLOAT, "FLOAT"},
    {DUCKDB_TYPE_DOUBLE, "DOUBLE"},
    {DUCKDB_TYPE_VARCHAR, "VARCHAR"},
    {DUCKDB_TYPE_BLOB, "BLOB"},
    {DUCKDB_TYPE_UUID, "UUID"},
    {DUCKDB_TYPE_BIT, "BIT"},
    {DUCKDB_TYPE_DATE, "DATE"},
    {DUCKDB_TYPE_TIME, "TIME"},
    {DUCKDB_TYPE_TIME_NS, "TIME_NS"},
    {DUCKDB_TYPE_TIME_TZ, "TIME WITH TIME ZONE"},
    {DUCKDB_TYPE_TIMESTAMP_S, "TIMESTAMP_S"},
    {DUCKDB_TYPE_TIMESTAMP_MS, "TIMESTAMP_MS"},
    {DUCKDB_TYPE_TIMESTAMP, "TIMESTAMP"},
    {DUCKDB_TYPE_TIMESTAMP_NS, "TIMESTAMP_NS"},
    {DUCKDB_TYPE_TIMESTAMP_TZ, "TIMESTAMP WITH TIME ZONE"},
    {DUCKDB_TYPE_INTERVAL, "INTERVAL"},
};

/* Why there is no type for both; the caller says of what. */
static const char no_common[] = "no type of the column's kind holds both";
static const char only_hugeint[] =
    "only HUGEINT holds both, which is read back as a decimal and cannot be written to Parquet";
static const char too_many_digits[] = "a DECIMAL of 38 digits does not hold both";
static const char nanoseconds[] =
    "TIMESTAMP_NS holds the years 1677 to 2262 only, and DuckDB's other types no nanoseconds";
static const char time_nanoseconds[] = "DuckDB does not turn TIME into TIME_NS or back";
static const char other_fields[] =
    "nothing is added inside a STRUCT, and its fields are of the same names in the same order";
static const char other_length[] = "lists of a fixed size keep it";
static const char special[] =
    "a type that is made or named by hand (ENUM, UNION, JSON, ...) is not rebuilt";

/* ---- the least type for both -------------------------------------------------------------- */

struct widening {
  const struct duckdb_api *duckdb;
  struct text *out;   /* the type as SQL */
  const char *reason; /* why there is none; NULL: there is */
  struct error *error;
};

static enum status none(struct widening *widening, const char *reason) {
  widening->reason = reason;
  return STATUS_OK;
}

static enum status plain(struct widening *widening, duckdb_type type) {
  for (size_t i = 0; i < sizeof plain_types / sizeof plain_types[0]; i++)
    if (plain_types[i].type == type)
      return text_add(widening->out, plain_types[i].sql, widening->error);
  return none(widening, special);
}

static enum status decimal(struct widening *widening, int digits_before, int scale) {
  if (digits_before + scale > DECIMAL_DIGITS_MAX) return none(widening, too_many_digits);
  return text_add_format(widening->out, widening->error, "DECIMAL(%d,%d)", digits_before + scale,
                         scale);
}

static enum status integers(struct widening *widening, duckdb_type left, duckdb_type right) {
  static const duckdb_type with_sign[] = {DUCKDB_TYPE_TINYINT, DUCKDB_TYPE_SMALLINT,
                                          DUCKDB_TYPE_INTEGER, DUCKDB_TYPE_BIGINT};
  static const duckdb_type without[] = {DUCKDB_TYPE_UTINYINT, DUCKDB_TYPE_USMALLINT,
                                        DUCKDB_TYPE_UINTEGER, DUCKDB_TYPE_UBIGINT};
  bool left_signed, right_signed;
  int left_bits = types_integer_bits(left, &left_signed);
  int right_bits = types_integer_bits(right, &right_signed);
  int bits = left_bits > right_bits ? left_bits : right_bits;
  bool is_signed = left_signed || right_signed;
  for (int i = 0; i < 4; i++) {
    duckdb_type type = is_signed ? with_sign[i] : without[i];
    bool ignored;
    if (types_integer_bits(type, &ignored) >= bits) return plain(widening, type);
  }
  return none(widening, bits <= 64 ? only_hugeint : no_common);
}

static int at_least(int left, int right) { return left > right ? left : right; }

/* Two types that are not nested, of which the column's does not hold the landing's. */
static enum status scalars(struct widening *widening, const struct landing *landing,
                           duckdb_logical_type column) {
  const struct duckdb_api *duckdb = widening->duckdb;
  duckdb_type from = landing->duck, to = duckdb->get_type_id(column);
  bool is_signed;
  int from_bits = types_integer_bits(from, &is_signed);
  if (from_bits > 0 && types_integer_bits(to, &is_signed) > 0) return integers(widening, from, to);
  if (to == DUCKDB_TYPE_DECIMAL) {
    int scale = duckdb->decimal_scale(column), before = duckdb->decimal_width(column) - scale;
    if (from_bits > 0)
      return decimal(widening, at_least(before, types_integer_digits(from)), scale);
    if (from == DUCKDB_TYPE_DECIMAL)
      return decimal(widening, at_least(before, landing->width - landing->scale),
                     at_least(scale, landing->scale));
  }
  if (to == DUCKDB_TYPE_FLOAT && (from == DUCKDB_TYPE_DOUBLE || (from_bits > 0 && from_bits <= 53)))
    return plain(widening, DUCKDB_TYPE_DOUBLE);
  if (to == DUCKDB_TYPE_TIMESTAMP_S && from == DUCKDB_TYPE_TIMESTAMP_MS)
    return plain(widening, DUCKDB_TYPE_TIMESTAMP_MS);
  if ((to == DUCKDB_TYPE_TIMESTAMP_S || to == DUCKDB_TYPE_TIMESTAMP_MS) &&
      from == DUCKDB_TYPE_TIMESTAMP)
    return plain(widening, DUCKDB_TYPE_TIMESTAMP);
  bool from_time = from == DUCKDB_TYPE_TIMESTAMP_S || from == DUCKDB_TYPE_TIMESTAMP_MS ||
                   from == DUCKDB_TYPE_TIMESTAMP;
  bool to_time = to == DUCKDB_TYPE_TIMESTAMP_S || to == DUCKDB_TYPE_TIMESTAMP_MS ||
                 to == DUCKDB_TYPE_TIMESTAMP;
  if ((from_time && to == DUCKDB_TYPE_TIMESTAMP_NS) ||
      (to_time && from == DUCKDB_TYPE_TIMESTAMP_NS))
    return none(widening, nanoseconds);
  if ((from == DUCKDB_TYPE_TIME && to == DUCKDB_TYPE_TIME_NS) ||
      (from == DUCKDB_TYPE_TIME_NS && to == DUCKDB_TYPE_TIME))
    return none(widening, time_nanoseconds);
  return none(widening, no_common);
}

static enum status both(struct widening *widening, const struct landing *landing,
                        duckdb_logical_type column, int depth);

/* Takes the child's handle. */
static enum status child(struct widening *widening, const struct landing *landing,
                         duckdb_logical_type column, int depth) {
  enum status status =
      widening->reason == NULL ? both(widening, landing, column, depth + 1) : STATUS_OK;
  widening->duckdb->destroy_logical_type(&column);
  return status;
}

static enum status structs(struct widening *widening, const struct landing *landing,
                           duckdb_logical_type column, int depth) {
  const struct duckdb_api *duckdb = widening->duckdb;
  idx_t count = duckdb->struct_type_child_count(column);
  if (landing != NULL && count != (idx_t)landing->child_count) return none(widening, other_fields);
  enum status status = text_add(widening->out, "STRUCT(", widening->error);
  for (idx_t i = 0; i < count && status == STATUS_OK && widening->reason == NULL; i++) {
    const struct landing *field = landing == NULL ? NULL : &landing->children[i];
    char *name = duckdb->struct_type_child_name(column, i);
    if (name == NULL || (field != NULL && strcasecmp(name, field->name) != 0))
      widening->reason = other_fields;
    if (i > 0) status = text_add(widening->out, ", ", widening->error);
    if (status == STATUS_OK && name != NULL)
      status = text_add_identifier(widening->out, name, widening->error);
    if (status == STATUS_OK) status = text_add(widening->out, " ", widening->error);
    if (status == STATUS_OK)
      status = child(widening, field, duckdb->struct_type_child_type(column, i), depth);
    duckdb->free(name);
  }
  return status == STATUS_OK ? text_add(widening->out, ")", widening->error) : status;
}

static enum status lists(struct widening *widening, const struct landing *landing,
                         duckdb_logical_type column, int depth) {
  const struct duckdb_api *duckdb = widening->duckdb;
  const struct landing *item = landing == NULL ? NULL : &landing->children[0];
  if (duckdb->get_type_id(column) == DUCKDB_TYPE_LIST) {
    enum status status = child(widening, item, duckdb->list_type_child_type(column), depth);
    return status == STATUS_OK ? text_add(widening->out, "[]", widening->error) : status;
  }
  idx_t size = duckdb->array_type_array_size(column);
  if (landing != NULL && (idx_t)landing->type.fixed_size != size)
    return none(widening, other_length);
  enum status status = child(widening, item, duckdb->array_type_child_type(column), depth);
  return status == STATUS_OK
             ? text_add_format(widening->out, widening->error, "[%llu]", (unsigned long long)size)
             : status;
}

static enum status maps(struct widening *widening, const struct landing *landing,
                        duckdb_logical_type column, int depth) {
  const struct duckdb_api *duckdb = widening->duckdb;
  const struct landing *pair = landing == NULL ? NULL : landing->children[0].children;
  enum status status = text_add(widening->out, "MAP(", widening->error);
  if (status == STATUS_OK) status = child(widening, pair, duckdb->map_type_key_type(column), depth);
  if (status == STATUS_OK) status = text_add(widening->out, ", ", widening->error);
  if (status == STATUS_OK)
    status =
        child(widening, pair == NULL ? NULL : &pair[1], duckdb->map_type_value_type(column), depth);
  return status == STATUS_OK ? text_add(widening->out, ")", widening->error) : status;
}

/* Appends the least type that holds every value of a column of type `column` and of the landing
 * (NULL: none but the column's own), or sets the reason why there is none. */
static enum status both(struct widening *widening, const struct landing *landing,
                        duckdb_logical_type column, int depth) {
  const struct duckdb_api *duckdb = widening->duckdb;
  duckdb_type type = duckdb->get_type_id(column);
  if (depth > ARROW_DEPTH_MAX) return none(widening, special);
  if (landing != NULL && landing_fits(landing, column)) landing = NULL;
  char *alias = duckdb->logical_type_get_alias(column);
  bool has_alias = alias != NULL;
  duckdb->free(alias);
  if (has_alias) return none(widening, special);
  bool list = type == DUCKDB_TYPE_LIST || type == DUCKDB_TYPE_ARRAY;
  bool nested = list || type == DUCKDB_TYPE_STRUCT || type == DUCKDB_TYPE_MAP;
  if (nested && landing != NULL && landing->duck != type) return none(widening, no_common);
  if (list) return lists(widening, landing, column, depth);
  if (type == DUCKDB_TYPE_STRUCT) return structs(widening, landing, column, depth);
  if (type == DUCKDB_TYPE_MAP) return maps(widening, landing, column, depth);
  if (landing != NULL) return scalars(widening, landing, column);
  if (type == DUCKDB_TYPE_DECIMAL)
    return decimal(widening, duckdb->decimal_width(column) - duckdb->decimal_scale(column),
                   duckdb->decimal_scale(column));
  return plain(widening, type);
}

/* ---- what may be altered ------------------------------------------------------------------ */

/* Defaults that DuckDB does not have to look anything up for: NULL, numbers, text, and text cast
 * to a type of its own. Whatever else is taken for a function. */
#define HARMLESS_DEFAULT                                                                           \
  "(NULL|-?[0-9.]+([eE][-+]?[0-9]+)?|'([^']|'')*'|"                                                \
  "CAST\\('([^']|'')*' AS \"?(BOOLEAN|DATE|TIME|TIMESTAMP|TIMESTAMP WITH TIME ZONE)\"?\\))"

static enum status add_place(struct text *sql, const struct table_name *name, const char *column,
                             struct error *error) {
  enum status status = text_add(
      sql, " WHERE database_name = current_database() AND lower(schema_name) = lower(", error);
  if (status == STATUS_OK)
    status = text_add_literal(sql, name->schema[0] != '\0' ? name->schema : "main", error);
  if (status == STATUS_OK) status = text_add_format(sql, error, ") AND lower(%s) = lower(", column);
  if (status == STATUS_OK) status = text_add_literal(sql, name->table, error);
  if (status == STATUS_OK) status = text_add(sql, ")", error);
  return status;
}

/* Rows of (what it is, where, the expression); none: the table may be altered. */
static enum status obstacles_sql(struct text *sql, const struct table_name *name,
                                 struct error *error) {
  enum status status =
      text_add(sql, "SELECT 'view', '', '' FROM system.main.duckdb_views()", error);
  if (status == STATUS_OK) status = add_place(sql, name, "view_name", error);
  if (status == STATUS_OK)
    status = text_add(sql,
                      " UNION ALL SELECT 'default', column_name, column_default"
                      " FROM system.main.duckdb_columns()",
                      error);
  if (status == STATUS_OK) status = add_place(sql, name, "table_name", error);
  if (status == STATUS_OK)
    status = text_add(sql, " AND NOT regexp_full_match(column_default, ", error);
  if (status == STATUS_OK) status = text_add_literal(sql, HARMLESS_DEFAULT, error);
  if (status == STATUS_OK)
    status = text_add(sql,
                      ") UNION ALL SELECT 'check', '', constraint_text"
                      " FROM system.main.duckdb_constraints()",
                      error);
  if (status == STATUS_OK) status = add_place(sql, name, "table_name", error);
  if (status == STATUS_OK) status = text_add(sql, " AND constraint_type = 'CHECK'", error);
  return status;
}

static enum status refuse_obstacle(const char *what, const char *where, const char *expression,
                                   struct error *error) {
  static const char why[] =
      "after a crash DuckDB could not read a change of such a table from its log";
  if (strcmp(what, "view") == 0)
    return error_set(error, STATUS_SCHEMA, "it is a view, whose columns only its query says");
  if (strcmp(what, "check") == 0)
    return error_set(error, STATUS_SCHEMA,
                     "it has a %s, and %s: change it with SQL, and then run CHECKPOINT", expression,
                     why);
  return error_set(error, STATUS_SCHEMA,
                   "its column \"%s\" is computed (%s), and %s: change it with SQL, and then run "
                   "CHECKPOINT",
                   where, expression, why);
}

/* STATUS_SCHEMA when DuckDB does not change the table, or does and should not have. */
static enum status check_alterable(struct engine_session *session, const struct table_name *name,
                                   struct error *error) {
  const struct duckdb_api *duckdb = session->duckdb;
  struct text sql = TEXT_EMPTY;
  duckdb_result result = {0};
  char *cells[3] = {0};
  enum status status = obstacles_sql(&sql, name, error);
  if (status != STATUS_OK) goto done;
  if (duckdb->query(session->connection, sql.data, &result) != DuckDBSuccess) {
    status = failure_set(NULL, error, duckdb->result_error(&result));
    goto done;
  }
  duckdb_data_chunk chunk;
  while (status == STATUS_OK && (chunk = duckdb->fetch_chunk(result)) != NULL) {
    if (duckdb->data_chunk_get_size(chunk) > 0) {
      for (idx_t i = 0; i < 3; i++) cells[i] = catalog_cell_text(duckdb, chunk, i, 0);
      status = cells[0] == NULL || cells[1] == NULL || cells[2] == NULL
                   ? error_set(error, STATUS_NOMEM, "no memory for what a table holds")
                   : refuse_obstacle(cells[0], cells[1], cells[2], error);
    }
    duckdb->destroy_data_chunk(&chunk);
  }

done:
  for (int i = 0; i < 3; i++) free(cells[i]);
  duckdb->destroy_result(&result);
  text_release(&sql);
  return status;
}

/* ---- planning ------------------------------------------------------------------------------- */

struct planner {
  struct engine_session *session;
  struct engine_table table;
  bool in_lake;
  struct text table_sql;
  duckdb_prepared_statement columns; /* SELECT * FROM the table: the types as handles */
  struct engine_evolution *evolution;
  struct error *error;
};

/* One column more in the proof. */
static enum status add_proof(struct planner *planner, const char *name, const char *type) {
  struct text *proof = &planner->evolution->proof;
  enum status status = STATUS_OK;
  if (proof->size_bytes == 0) status = text_add(proof, "SELECT bit_xor(hash(rowid", planner->error);
  if (status == STATUS_OK)
    status = text_add_format(proof, planner->error, ", CAST(%s AS %s)", name, type);
  return status;
}

/* Text of ours or of a client as part of a line for people. */
static enum status add_change(struct planner *planner, const struct text *line) {
  struct text *changes = &planner->evolution->changes;
  enum status status =
      text_add_visible(changes, text_get(line), line->size_bytes, false, planner->error);
  return status == STATUS_OK ? text_add(changes, "\n", planner->error) : status;
}

static enum status plan_added(struct planner *planner, const struct landing *landing,
                              const struct ArrowSchema *field) {
  struct error *error = planner->error;
  struct text *sql = &planner->evolution->sql, what = TEXT_EMPTY;
  enum status status = types_check_column(landing, field, error);
  if (status == STATUS_OK && planner->in_lake) status = lake_check(landing, NULL, error);
  if (status == STATUS_OK) status = text_add_identifier(&what, landing->name, error);
  if (status == STATUS_OK) status = text_add(&what, " ", error);
  if (status == STATUS_OK) status = landing_sql(landing, &what, error);
  if (status == STATUS_OK)
    status = text_add_format(sql, error, "ALTER TABLE %s ADD COLUMN %s;\n",
                             text_get(&planner->table_sql), text_get(&what));
  struct text line = TEXT_EMPTY;
  if (status == STATUS_OK)
    status = text_add_format(&line, error, "added column %s", text_get(&what));
  if (status == STATUS_OK) status = add_change(planner, &line);
  text_release(&line);
  text_release(&what);
  return status;
}

static enum status refuse_widening(struct planner *planner, const struct engine_column *column,
                                   const struct ArrowSchema *field, const char *reason) {
  struct text arrow = TEXT_EMPTY;
  enum status status = arrow_type_print(field, &arrow, planner->error);
  if (status == STATUS_OK)
    status = error_set(planner->error, STATUS_SCHEMA,
                       "its column \"%s\" is %s, which does not hold every %s exactly, and cannot "
                       "be widened: %s",
                       column->name, column->type, text_get(&arrow), reason);
  text_release(&arrow);
  return status;
}

static enum status plan_widened(struct planner *planner, const struct landing *landing,
                                const struct ArrowSchema *field, int64_t number) {
  const struct engine_column *column = &planner->table.columns[number];
  struct error *error = planner->error;
  struct text *sql = &planner->evolution->sql;
  struct text type = TEXT_EMPTY, name = TEXT_EMPTY, line = TEXT_EMPTY;
  struct widening widening = {.duckdb = planner->session->duckdb, .out = &type, .error = error};
  duckdb_logical_type logical = planner->session->duckdb->prepared_statement_column_logical_type(
      planner->columns, (idx_t)number);
  enum status status = STATUS_OK;
  if (landing_fits(landing, logical)) goto done;
  status = both(&widening, landing, logical, 0);
  if (status != STATUS_OK) goto done;
  if (widening.reason != NULL) {
    status = refuse_widening(planner, column, field, widening.reason);
    goto done;
  }
  status = text_add_identifier(&name, column->name, error);
  if (status == STATUS_OK)
    status = text_add_format(sql, error, "ALTER TABLE %s ALTER COLUMN %s SET DATA TYPE %s;\n",
                             text_get(&planner->table_sql), text_get(&name), text_get(&type));
  if (status == STATUS_OK)
    status = text_add_format(&line, error, "widened column %s from %s to %s", text_get(&name),
                             column->type, text_get(&type));
  if (status == STATUS_OK) status = add_change(planner, &line);
  if (status == STATUS_OK) status = add_proof(planner, text_get(&name), text_get(&type));

done:
  planner->session->duckdb->destroy_logical_type(&logical);
  text_release(&line);
  text_release(&name);
  text_release(&type);
  return status;
}

static enum status plan_field(struct planner *planner, const struct ArrowSchema *field) {
  struct landing landing = {0};
  enum status status = landing_init(&landing, planner->session->duckdb, field, planner->error);
  if (status != STATUS_OK) return status;
  int64_t number = 0;
  while (number < planner->table.column_count &&
         strcasecmp(planner->table.columns[number].name, landing.name) != 0)
    number++;
  status = number < planner->table.column_count ? plan_widened(planner, &landing, field, number)
                                                : plan_added(planner, &landing, field);
  landing_release(&landing);
  return status;
}

/* Reads the columns, which begins the snapshot: whatever others change from here on makes the
 * ALTER fail. */
static enum status read_table(struct planner *planner, const struct table_name *name) {
  struct engine_session *session = planner->session;
  const struct duckdb_api *duckdb = session->duckdb;
  struct text sql = TEXT_EMPTY;
  planner->in_lake = lake_find(session->engine, name->catalog) != NULL;
  enum status status =
      catalog_table_sql(session->engine, name, &planner->table_sql, planner->error);
  if (status == STATUS_OK)
    status = catalog_columns_sql(session, text_get(&planner->table_sql), &planner->table,
                                 planner->error);
  if (status == STATUS_OK)
    status =
        text_add_format(&sql, planner->error, "SELECT * FROM %s", text_get(&planner->table_sql));
  if (status == STATUS_OK &&
      duckdb->prepare(session->connection, sql.data, &planner->columns) != DuckDBSuccess)
    status = failure_set(NULL, planner->error, duckdb->prepare_error(planner->columns));
  text_release(&sql);
  return status;
}

enum status engine_evolution_plan(struct engine_session *session, const struct table_name *name,
                                  const struct ArrowSchema *schema, const char *operation,
                                  struct engine_evolution *evolution, struct error *error) {
  struct planner planner = {.session = session, .evolution = evolution, .error = error};
  *evolution = (struct engine_evolution){0};
  enum status status = read_table(&planner, name);
  if (status == STATUS_OK) status = types_check_names(schema, error);
  for (int64_t i = 0; i < schema->n_children && status == STATUS_OK; i++) {
    const struct ArrowSchema *field = schema->children[i];
    if (operation != NULL && strcasecmp(field->name, operation) == 0) continue;
    status = plan_field(&planner, field);
  }
  if (status == STATUS_OK && evolution->proof.size_bytes > 0)
    status = text_add_format(&evolution->proof, error, ")) FROM %s", text_get(&planner.table_sql));
  if (status == STATUS_OK && evolution->sql.size_bytes > 0)
    status = check_alterable(session, name, error);
  if (status != STATUS_OK) {
    catalog_error_at(error, name);
    engine_evolution_release(evolution);
  }
  session->duckdb->destroy_prepare(&planner.columns);
  engine_table_release(&planner.table);
  text_release(&planner.table_sql);
  return status;
}

/* ---- applying ------------------------------------------------------------------------------- */

/* Our own SQL is right, so what DuckDB has against it is about the table. */
static enum status refuse_change(struct error *error, enum status status) {
  if (status != STATUS_INVALID && status != STATUS_UNSUPPORTED) return status;
  if (error == NULL) return STATUS_SCHEMA;
  bool moved = strncmp(error->text, "Catalog Error: ", 15) == 0 &&
               (strstr(error->text, "already exists") != NULL ||
                strstr(error->text, "does not exist") != NULL);
  error->status = moved ? STATUS_CONFLICT : STATUS_SCHEMA;
  if (!moved)
    error_at(error, "the table cannot be changed for these rows (with SQL it can, where the index "
                    "or key that is in the way is dropped before and made again)");
  return error->status;
}

/* The answer to the proof: a number, or that there is no row. */
struct answer {
  bool none;
  uint64_t value;
};

static enum status ask_proof(const struct duckdb_api *duckdb, duckdb_connection connection,
                             const char *sql, struct answer *answer, struct error *error) {
  duckdb_result result = {0};
  enum status status = STATUS_OK;
  *answer = (struct answer){.none = true};
  if (duckdb->query(connection, sql, &result) != DuckDBSuccess) {
    status = failure_set(NULL, error, duckdb->result_error(&result));
    goto done;
  }
  duckdb_data_chunk chunk = duckdb->fetch_chunk(result);
  if (chunk == NULL) goto done;
  duckdb_vector vector = duckdb->data_chunk_get_vector(chunk, 0);
  const uint64_t *valid = duckdb->vector_get_validity(vector);
  answer->none = valid != NULL && (valid[0] & 1) == 0;
  if (!answer->none) answer->value = *(const uint64_t *)duckdb->vector_get_data(vector);
  duckdb->destroy_data_chunk(&chunk);

done:
  duckdb->destroy_result(&result);
  return status;
}

/* Does the table, as this transaction has made it, hold what everybody else reads there? */
static enum status prove(struct engine_session *session, const struct text *proof,
                         struct error *error) {
  const struct duckdb_api *duckdb = session->duckdb;
  duckdb_connection others = NULL;
  struct answer before, after;
  if (duckdb->connect(session->engine->database, &others) != DuckDBSuccess)
    return error_set(error, STATUS_NOMEM, "DuckDB gave no connection to its database");
  enum status status = ask_proof(duckdb, session->connection, proof->data, &after, error);
  if (status == STATUS_OK) status = ask_proof(duckdb, others, proof->data, &before, error);
  duckdb->disconnect(&others);
  if (status != STATUS_OK) return status;
  if (before.none == after.none && before.value == after.value) return STATUS_OK;
  return error_set(error, STATUS_CONFLICT,
                   "rows of the table were changed while a column of it was widened");
}

enum status engine_evolution_apply(struct engine_session *session,
                                   const struct engine_evolution *evolution, struct error *error) {
  const struct duckdb_api *duckdb = session->duckdb;
  if (evolution->sql.size_bytes == 0) return STATUS_OK;
  duckdb_extracted_statements statements = NULL;
  enum status status = STATUS_OK;
  writers_join(session);
  session_enter(session);
  idx_t count = duckdb->extract_statements(session->connection, evolution->sql.data, &statements);
  if (count == 0)
    status = error_set(error, STATUS_INTERNAL, "the changes of a table are no SQL: %s",
                       evolution->sql.data);
  for (idx_t i = 0; i < count && status == STATUS_OK; i++) {
    duckdb_prepared_statement statement = NULL;
    duckdb_result result = {0};
    if (duckdb->prepare_extracted_statement(session->connection, statements, i, &statement) !=
        DuckDBSuccess)
      status = failure_set(session, error, duckdb->prepare_error(statement));
    else
      status = session_execute(session, statement, &result, error);
    duckdb->destroy_result(&result);
    duckdb->destroy_prepare(&statement);
  }
  duckdb->destroy_extracted(&statements);
  if (status == STATUS_OK && evolution->proof.size_bytes > 0)
    status = prove(session, &evolution->proof, error);
  session_leave(session);
  return refuse_change(error, status);
}

void engine_evolution_release(struct engine_evolution *evolution) {
  text_release(&evolution->sql);
  text_release(&evolution->changes);
  text_release(&evolution->proof);
}

/* ---- a table that is just what its data is ---------------------------------------------------- */

/* The types that the fields would get, as DESCRIBE writes them: DuckDB is asked. */
static enum status types_wanted(struct engine_session *session, const struct ArrowSchema *schema,
                                struct engine_table *wanted, struct error *error) {
  struct text sql = TEXT_EMPTY;
  enum status status = text_add(&sql, "SELECT ", error);
  for (int64_t i = 0; i < schema->n_children && status == STATUS_OK; i++) {
    status = text_add(&sql, i == 0 ? "CAST(NULL AS " : ", CAST(NULL AS ", error);
    if (status == STATUS_OK) status = engine_type_of(schema->children[i], &sql, error);
    if (status == STATUS_OK) status = text_add(&sql, ") AS c", error);
  }
  if (status == STATUS_OK) status = catalog_columns_sql(session, sql.data, wanted, error);
  text_release(&sql);
  return status;
}

static enum status check_same_names(const struct engine_table *table,
                                    const struct ArrowSchema *schema, struct error *error) {
  int64_t columns = table->column_count, fields = schema->n_children;
  for (int64_t i = 0; i < columns && i < fields; i++) {
    const char *has = table->columns[i].name, *gets = schema->children[i]->name;
    if (strcmp(has, gets) != 0)
      return error_set(error, STATUS_SCHEMA,
                       "its column %lld (the first is 0) is \"%s\", the data has \"%s\" there, and "
                       "the schema policy is strict",
                       (long long)i, has, gets);
  }
  if (columns != fields)
    return error_set(error, STATUS_SCHEMA,
                     "it has %lld columns, the data has %lld (\"%s\" is in one of them only), and "
                     "the schema policy is strict",
                     (long long)columns, (long long)fields,
                     columns < fields ? schema->children[columns]->name
                                      : table->columns[fields].name);
  return STATUS_OK;
}

enum status engine_check_same(struct engine_session *session, const struct table_name *name,
                              const struct ArrowSchema *schema, struct error *error) {
  struct engine_table table = {0}, wanted = {0};
  enum status status = catalog_columns(session, name, &table, error);
  if (status != STATUS_OK) return status; /* it names the table itself */
  status = types_check_names(schema, error);
  if (status == STATUS_OK) status = check_same_names(&table, schema, error);
  if (status == STATUS_OK) status = types_wanted(session, schema, &wanted, error);
  for (int64_t i = 0; i < wanted.column_count && status == STATUS_OK; i++)
    if (strcmp(table.columns[i].type, wanted.columns[i].type) != 0)
      status =
          error_set(error, STATUS_SCHEMA,
                    "its column \"%s\" is %s, the data's would be %s, and the schema policy is "
                    "strict",
                    table.columns[i].name, table.columns[i].type, wanted.columns[i].type);
  if (status != STATUS_OK) catalog_error_at(error, name);
  engine_table_release(&wanted);
  engine_table_release(&table);
  return status;
}
