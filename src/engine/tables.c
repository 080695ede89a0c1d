/* Which tables a statement touches, for callers who may touch only some.
 *
 * DuckDB is asked, not the text: EXPLAIN gives the plan as the binder made it, before anything
 * was optimised away, and in it views, macros, CTEs, query_table('x') and replacement scans are
 * what they stand for. A plan is a tree of operators; only operators of a known kind pass, and
 * of those that read, only scans of tables, whose full name the plan gives, and functions that
 * make rows of their arguments alone. So the catalog's functions and views, DESCRIBE, and
 * whatever a later DuckDB or an extension brings are refused until they are looked at.
 *
 * The plan does not say where an INSERT goes: its first words do, in one plain form, and any
 * other form is refused. UPDATE, DELETE and MERGE scan the table that they change among
 * others: each table that they scan must be one that may be written.
 *
 * 1. The plan is made inside the transaction in which the statement then runs: no view can
 *    change in between.
 * 2. What is not understood is refused. */
#include "engine/lake.h"
#include "engine/tables.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PLAN_DEPTH_MAX = 1000 };

/* Operators that read nothing themselves, and functions of their arguments alone. */
static const char *const harmless[] = {
    "PROJECTION", "FILTER",          "AGGREGATE",
    "WINDOW",     "ORDER_BY",        "LIMIT",
    "TOP_N",      "DISTINCT",        "SAMPLE",
    "UNION",      "EXCEPT",          "INTERSECT",
    "CTE",        "REC_CTE",         "CTE_SCAN",
    "JOIN",       "COMPARISON_JOIN", "ANY_JOIN",
    "ASOF_JOIN",  "CROSS_PRODUCT",   "DEPENDENT_JOIN",
    "DELIM_JOIN", "DELIM_GET",       "POSITIONAL_JOIN",
    "UNNEST",     "PIVOT",           "EXPRESSION_GET",
    "DUMMY_SCAN", "EMPTY_RESULT",    "RANGE",
    "REPEAT",     "REPEAT_ROW",      "GENERATE_SERIES",
    "JSON_EACH",  "JSON_TREE",       "SUMMARY",
};

/* Functions that bind SQL given as text where no plan shows it. */
static const char *const hiding[] = {"json_serialize_plan"};

struct look {
  struct engine_session *session;
  const struct engine_query *query;
  const struct query_values *values;
  bool changes; /* UPDATE, DELETE, MERGE: what is scanned may be what is changed */
  struct error *error;
};

/* ---- names ------------------------------------------------------------------------------ */

/* `part` as it is, or "" when it says what would be meant without it. */
static void drop_default(char *part, const char *what_is_meant) {
  if (strcasecmp(part, what_is_meant) == 0) part[0] = '\0';
}

static enum status ask(const struct look *look, struct table_name *name, bool write) {
  const struct engine *engine = look->session->engine;
  const struct engine_query *query = look->query;
  struct text text = TEXT_EMPTY;
  enum status status = table_name_print(name, &text, look->error);
  if (status != STATUS_OK) return status;
  drop_default(name->catalog, engine->name);
  drop_default(name->schema, "main");
  bool (*may)(void *, const struct table_name *) = write ? query->may_write : query->may_read;
  /* Temporary tables are their session's, which is one client's. */
  if (strcasecmp(name->catalog, "temp") == 0) {
    text_release(&text);
    return STATUS_OK;
  }
  bool ours = name->catalog[0] == '\0' || lake_find(engine, name->catalog) != NULL;
  bool denied = !ours || (may != NULL && !may(query->may_context, name));
  /* Who may read it knows that it is there. */
  bool known = denied && write && ours &&
               (query->may_read == NULL || query->may_read(query->may_context, name));
  if (known)
    status =
        error_set(look->error, STATUS_DENIED, "you may not write the table %s", text_get(&text));
  else if (denied)
    status = failure_no_table(look->error, name->table);
  text_release(&text);
  return status;
}

static enum status ask_scan(const struct look *look, const json_t *operator_) {
  const json_t *table = json_object_get(json_object_get(operator_, "extra_info"), "Table");
  struct table_name name;
  if (!json_is_string(table) ||
      table_name_parse(json_string_value(table), json_string_length(table), &name, NULL) !=
          STATUS_OK ||
      name.catalog[0] == '\0')
    return error_set(
        look->error, STATUS_DENIED,
        "it cannot be told which table the statement reads, and you may read only some");
  struct table_name again = name;
  enum status status = ask(look, &name, false);
  return status == STATUS_OK && look->changes ? ask(look, &again, true) : status;
}

/* ---- INSERT ------------------------------------------------------------------------------- */

const char *tables_skip_space(const char *at) {
  while (isspace((unsigned char)*at) && (unsigned char)*at < 0x80) at++;
  return at;
}

/* Behind `word` and the white space after it; NULL when it does not stand there. */
const char *tables_skip_word(const char *at, const char *word) {
  size_t bytes = strlen(word);
  if (strncasecmp(at, word, bytes) != 0 || tables_skip_space(at + bytes) == at + bytes) return NULL;
  return tables_skip_space(at + bytes);
}

/* Behind an identifier, plain or quoted; NULL when there is none. */
const char *tables_skip_identifier(const char *at) {
  if (*at == '"') {
    for (at++; *at != '\0'; at++) {
      if (*at != '"') continue;
      if (at[1] != '"') return at + 1;
      at++;
    }
    return NULL;
  }
  if (!isalpha((unsigned char)*at) && *at != '_') return NULL;
  while (isalnum((unsigned char)*at) || *at == '_') at++;
  return at;
}

/* The name behind INSERT [OR REPLACE | OR IGNORE] INTO: parts with nothing between them but
 * dots, then white space or '(', so that the grammar can take it in one way only. */
static bool insert_target(const char *sql, const struct engine_session *session,
                          struct table_name *name) {
  const struct engine *engine = session->engine;
  const char *at = tables_skip_word(tables_skip_space(sql), "insert");
  const char *or_ = at == NULL ? NULL : tables_skip_word(at, "or");
  if (or_ != NULL) {
    at = tables_skip_word(or_, "replace");
    if (at == NULL) at = tables_skip_word(or_, "ignore");
  }
  const char *begin = at == NULL ? NULL : tables_skip_word(at, "into");
  if (begin == NULL) return false;
  const char *end = tables_skip_identifier(begin);
  while (end != NULL && *end == '.') end = tables_skip_identifier(end + 1);
  if (end == NULL) return false;
  const char *next = tables_skip_space(end);
  if (*next != '(' && (next == end || !isalpha((unsigned char)*next))) return false;
  if (table_name_parse(begin, (size_t)(end - begin), name, NULL) != STATUS_OK) return false;
  /* `a.t` is in the catalog a where there is one of that name. */
  if (name->catalog[0] == '\0' &&
      (strcasecmp(name->schema, engine->name) == 0 || lake_find(engine, name->schema) != NULL)) {
    memcpy(name->catalog, name->schema, sizeof name->catalog);
    name->schema[0] = '\0';
  }
  /* Without a schema it could be in that which the session uses, or in main. */
  if (session->elsewhere && name->catalog[0] == '\0' && name->schema[0] == '\0') return false;
  if (session->at_home != NULL && name->catalog[0] == '\0') return false;
  static const char *const others[] = {"temp", "system", "memory"};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    if (name->catalog[0] == '\0' && strcasecmp(name->schema, others[i]) == 0) return false;
  return true;
}

/* ---- the plan ----------------------------------------------------------------------------- */

static bool is_harmless(const char *name) {
  for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
    if (strcmp(name, harmless[i]) == 0) return true;
  return false;
}

static enum status look_at_write(struct look *look, const char *name, int depth, bool *known) {
  bool insert = strcmp(name, "INSERT") == 0;
  bool change =
      strcmp(name, "UPDATE") == 0 || strcmp(name, "DELETE") == 0 || strcmp(name, "MERGE_INTO") == 0;
  *known = depth == 0 && (insert || change);
  if (!*known) return STATUS_OK;
  look->changes = change;
  if (!insert) return STATUS_OK;
  struct table_name target;
  if (!insert_target(look->query->sql, look->session, &target))
    return error_set(look->error, STATUS_DENIED,
                     "it cannot be told where the rows go, and you may write only some tables: "
                     "write INSERT INTO table, without comments up to there%s",
                     look->session->elsewhere ? ", and name its catalog and schema" : "");
  return ask(look, &target, true);
}

static enum status look_at(struct look *look, const json_t *operator_, int depth) {
  const char *name = json_string_value(json_object_get(operator_, "name"));
  const json_t *children = json_object_get(operator_, "children");
  if (name == NULL || !json_is_array(children) || depth > PLAN_DEPTH_MAX)
    return error_set(look->error, STATUS_DENIED,
                     "it cannot be told which tables the statement touches");
  bool known = is_harmless(name);
  enum status status = STATUS_OK;
  if (strcmp(name, "DUCKLAKE_SCAN") == 0) {
    /* The plan does not say in which lake and schema. */
    known = true;
    status = error_set(look->error, STATUS_DENIED,
                       "the tables of a lake are read by SQL only by those who may see every "
                       "table; GET /tables/{table}/rows gives the rows of one of yours");
  } else if (strcmp(name, "SEQ_SCAN") == 0) {
    known = true;
    status = ask_scan(look, operator_);
  } else if (!known) {
    status = look_at_write(look, name, depth, &known);
  }
  if (status == STATUS_OK && !known)
    status = error_set(look->error, STATUS_DENIED,
                       "%s is for those who may see every table, and you may see only some; "
                       "GET /tables describes yours",
                       strcmp(name, "CHUNK_GET") == 0 ? "DESCRIBE or SHOW" : name);
  size_t index;
  const json_t *child;
  json_array_foreach(children, index, child) {
    if (status == STATUS_OK) status = look_at(look, child, depth + 1);
  }
  return status;
}

static enum status look_at_plan(struct look *look, const char *json, size_t bytes) {
  json_error_t why;
  json_t *plan = json_loadb(json, bytes, JSON_ALLOW_NUL, &why);
  enum status status = STATUS_OK;
  if (json_array_size(plan) == 0)
    status = error_set(look->error, STATUS_DENIED,
                       "it cannot be told which tables the statement touches");
  for (size_t i = 0; i < json_array_size(plan) && status == STATUS_OK; i++)
    status = look_at(look, json_array_get(plan, i), 0);
  json_decref(plan);
  return status;
}

static const char *cell(const struct duckdb_api *duckdb, duckdb_data_chunk chunk, idx_t column,
                        idx_t row, size_t *bytes) {
  duckdb_vector vector = duckdb->data_chunk_get_vector(chunk, column);
  const duckdb_string_t *string = (duckdb_string_t *)duckdb->vector_get_data(vector) + row;
  *bytes = string->value.inlined.length;
  return *bytes <= 12 ? string->value.inlined.inlined : string->value.pointer.ptr;
}

/* Finds the plan as it was bound among the rows of EXPLAIN. */
static enum status read_plans(struct look *look, duckdb_result result) {
  static const char wanted[] = "logical_plan";
  const struct duckdb_api *duckdb = look->session->duckdb;
  enum status status = STATUS_OK;
  bool found = false;
  duckdb_data_chunk chunk;
  while ((chunk = duckdb->fetch_chunk(result)) != NULL) {
    for (idx_t row = 0; row < duckdb->data_chunk_get_size(chunk) && status == STATUS_OK; row++) {
      size_t key_bytes, bytes;
      const char *key = cell(duckdb, chunk, 0, row, &key_bytes);
      if (key_bytes != sizeof wanted - 1 || memcmp(key, wanted, key_bytes) != 0) continue;
      found = true;
      const char *plan = cell(duckdb, chunk, 1, row, &bytes);
      status = look_at_plan(look, plan, bytes);
    }
    duckdb->destroy_data_chunk(&chunk);
  }
  if (status == STATUS_OK && !found)
    status = error_set(look->error, STATUS_DENIED,
                       "it cannot be told which tables the statement touches");
  return status;
}

static enum status explain(struct look *look, const char *sql) {
  struct engine_session *session = look->session;
  const struct duckdb_api *duckdb = session->duckdb;
  duckdb_extracted_statements statements = NULL;
  duckdb_prepared_statement statement = NULL;
  duckdb_result result = {0};
  enum status status;
  if (duckdb->extract_statements(session->connection, sql, &statements) != 1)
    status = error_set(look->error, STATUS_DENIED,
                       "it cannot be told which tables this kind of statement touches, and you "
                       "may see only some");
  else if (duckdb->prepare_extracted_statement(session->connection, statements, 0, &statement) !=
           DuckDBSuccess)
    status = failure_set(session, look->error, duckdb->prepare_error(statement));
  else
    status = query_bind(duckdb, statement, look->query, look->values, look->error);
  if (status == STATUS_OK) status = session_execute(session, statement, &result, look->error);
  if (status == STATUS_OK) status = read_plans(look, result);
  duckdb->destroy_result(&result);
  duckdb->destroy_prepare(&statement);
  duckdb->destroy_extracted(&statements);
  return status;
}

enum status tables_check(struct engine_session *session, const struct engine_query *query,
                         const struct query_values *values, struct error *error) {
  struct error local;
  struct look look = {.session = session,
                      .query = query,
                      .values = values,
                      .error = error == NULL ? &local : error};
  for (size_t i = 0; i < sizeof hiding / sizeof hiding[0]; i++)
    if (strcasestr(query->sql, hiding[i]) != NULL)
      return error_set(error, STATUS_DENIED, "%s is for those who may see every table", hiding[i]);
  struct text sql = TEXT_EMPTY;
  enum status status = text_add_format(&sql, error, "EXPLAIN (FORMAT json) %s", query->sql);
  if (status == STATUS_OK)
    status = session_run(session, "SET SESSION explain_output = 'all'", error);
  if (status == STATUS_OK) {
    status = explain(&look, text_get(&sql));
    struct error ignored;
    enum status reset = session_run(session, "RESET SESSION explain_output", &ignored);
    if (status == STATUS_OK && reset != STATUS_OK)
      status = error_set(error, reset, "%s", ignored.text);
  }
  text_release(&sql);
  return status;
}
