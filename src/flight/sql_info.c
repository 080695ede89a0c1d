/* The table `infos` says of every SqlInfo what it is; those that depend on facts name the member of
 * `enum fact` that fills them in. The members of the dense union are built one by one, each a column
 * of its own, and put together by hand.
 *
 * Which member holds a value follows the specification ("int32", "bitmask": int32_bitmask), and where
 * it says "ordinal" what the drivers for ODBC and JDBC read: they ask for bigint_value, and take
 * SQL_OUTER_JOINS_SUPPORT_LEVEL for a bitmask. */
#include "flight/sql_info.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/build.h"
#include "arrow/schema.h"
#include "flight/messages.h"
#include "flight/sql_schemas.h"

/* In the order of the union's type ids. */
enum member { STRING, BOOL, BIGINT, BITMASK, LIST, MAP, MEMBERS };

enum fact {
  CONSTANT,
  VERSION,
  READ_ONLY,
  MAY_WRITE,
  MAY_DEFINE,
  SEES_EVERYTHING,
  HANDLE_MS,
  TRANSACTION_MS,
  STATEMENT_BYTES,
  STATEMENTS,
  FIRST_LIST, /* and those after it: enum sql_info_list */
};

struct info {
  uint32_t id;
  enum member member;
  int64_t number;   /* BOOL, BIGINT, BITMASK */
  const char *text; /* STRING; NULL: a null */
  int fact;
};

#define ID(name)   ARROW__FLIGHT__PROTOCOL__SQL__SQL_INFO__##name
#define ENUM(name) ARROW__FLIGHT__PROTOCOL__SQL__##name
#define BIT(name)  (INT64_C(1) << ENUM(name))
#define NO_LIMIT(n)                                                                                \
  { ID(n), BIGINT, 0, NULL, CONSTANT }
#define YES(name)                                                                                  \
  { ID(name), BOOL, 1, NULL, CONSTANT }
#define NO(name)                                                                                   \
  { ID(name), BOOL, 0, NULL, CONSTANT }

enum {
  OUTER_JOINS = 1 << ENUM(SQL_OUTER_JOINS_SUPPORT_LEVEL__SQL_LIMITED_OUTER_JOINS) |
                1 << ENUM(SQL_OUTER_JOINS_SUPPORT_LEVEL__SQL_FULL_OUTER_JOINS),
  ISOLATION = ENUM(SQL_TRANSACTION_ISOLATION_LEVEL__SQL_TRANSACTION_REPEATABLE_READ),
  INSENSITIVE = ENUM(SQL_SUPPORTED_CASE_SENSITIVITY__SQL_CASE_SENSITIVITY_CASE_INSENSITIVE),
};

/* Ascending. */
static const struct info infos[] = {
    {ID(FLIGHT_SQL_SERVER_NAME), STRING, 0, "Arrowport", CONSTANT},
    {ID(FLIGHT_SQL_SERVER_VERSION), STRING, 0, NULL, VERSION},
    /* Of the columnar format: the newest whose types are read and written. */
    {ID(FLIGHT_SQL_SERVER_ARROW_VERSION), STRING, 0, "1.5.0", CONSTANT},
    {ID(FLIGHT_SQL_SERVER_READ_ONLY), BOOL, 0, NULL, READ_ONLY},
    YES(FLIGHT_SQL_SERVER_SQL),
    NO(FLIGHT_SQL_SERVER_SUBSTRAIT),
    {ID(FLIGHT_SQL_SERVER_SUBSTRAIT_MIN_VERSION), STRING, 0, NULL, CONSTANT},
    {ID(FLIGHT_SQL_SERVER_SUBSTRAIT_MAX_VERSION), STRING, 0, NULL, CONSTANT},
    {ID(FLIGHT_SQL_SERVER_TRANSACTION), BITMASK,
     ENUM(SQL_SUPPORTED_TRANSACTION__SQL_SUPPORTED_TRANSACTION_TRANSACTION), NULL, CONSTANT},
    YES(FLIGHT_SQL_SERVER_CANCEL),
    {ID(FLIGHT_SQL_SERVER_BULK_INGESTION), BOOL, 0, NULL, MAY_WRITE},
    {ID(FLIGHT_SQL_SERVER_INGEST_TRANSACTIONS_SUPPORTED), BOOL, 0, NULL, MAY_WRITE},
    {ID(FLIGHT_SQL_SERVER_STATEMENT_TIMEOUT), BITMASK, 0, NULL, HANDLE_MS},
    {ID(FLIGHT_SQL_SERVER_TRANSACTION_TIMEOUT), BITMASK, 0, NULL, TRANSACTION_MS},
    NO(SQL_DDL_CATALOG), /* ATTACH is refused */
    {ID(SQL_DDL_SCHEMA), BOOL, 0, NULL, MAY_DEFINE},
    {ID(SQL_DDL_TABLE), BOOL, 0, NULL, MAY_DEFINE},
    {ID(SQL_IDENTIFIER_CASE), BIGINT, INSENSITIVE, NULL, CONSTANT},
    {ID(SQL_IDENTIFIER_QUOTE_CHAR), STRING, 0, "\"", CONSTANT},
    {ID(SQL_QUOTED_IDENTIFIER_CASE), BIGINT, INSENSITIVE, NULL, CONSTANT},
    {ID(SQL_ALL_TABLES_ARE_SELECTABLE), BOOL, 0, NULL, SEES_EVERYTHING},
    {ID(SQL_NULL_ORDERING), BIGINT, ENUM(SQL_NULL_ORDERING__SQL_NULLS_SORTED_AT_END), NULL,
     CONSTANT},
    {ID(SQL_KEYWORDS), LIST, 0, NULL, FIRST_LIST + SQL_INFO_KEYWORDS},
    {ID(SQL_NUMERIC_FUNCTIONS), LIST, 0, NULL, FIRST_LIST + SQL_INFO_NUMERIC_FUNCTIONS},
    {ID(SQL_STRING_FUNCTIONS), LIST, 0, NULL, FIRST_LIST + SQL_INFO_STRING_FUNCTIONS},
    {ID(SQL_SYSTEM_FUNCTIONS), LIST, 0, NULL, FIRST_LIST + SQL_INFO_SYSTEM_FUNCTIONS},
    {ID(SQL_DATETIME_FUNCTIONS), LIST, 0, NULL, FIRST_LIST + SQL_INFO_DATETIME_FUNCTIONS},
    {ID(SQL_SEARCH_STRING_ESCAPE), STRING, 0, SQL_PATTERN_ESCAPE, CONSTANT},
    {ID(SQL_EXTRA_NAME_CHARACTERS), STRING, 0, "$", CONSTANT},
    YES(SQL_SUPPORTS_COLUMN_ALIASING),
    YES(SQL_NULL_PLUS_NULL_IS_NULL),
    {ID(SQL_SUPPORTS_CONVERT), MAP, 0, NULL, CONSTANT},
    YES(SQL_SUPPORTS_TABLE_CORRELATION_NAMES),
    NO(SQL_SUPPORTS_DIFFERENT_TABLE_CORRELATION_NAMES), /* `t AS t` is allowed */
    YES(SQL_SUPPORTS_EXPRESSIONS_IN_ORDER_BY),
    YES(SQL_SUPPORTS_ORDER_BY_UNRELATED),
    {ID(SQL_SUPPORTED_GROUP_BY), BITMASK,
     BIT(SQL_SUPPORTED_GROUP_BY__SQL_GROUP_BY_UNRELATED) |
         BIT(SQL_SUPPORTED_GROUP_BY__SQL_GROUP_BY_BEYOND_SELECT),
     NULL, CONSTANT},
    YES(SQL_SUPPORTS_LIKE_ESCAPE_CLAUSE),
    YES(SQL_SUPPORTS_NON_NULLABLE_COLUMNS),
    /* Core has GRANT and REVOKE, which are not there. */
    {ID(SQL_SUPPORTED_GRAMMAR), BITMASK, BIT(SUPPORTED_SQL_GRAMMAR__SQL_MINIMUM_GRAMMAR), NULL,
     CONSTANT},
    {ID(SQL_ANSI92_SUPPORTED_LEVEL), BITMASK,
     BIT(SUPPORTED_ANSI92_SQL_GRAMMAR_LEVEL__ANSI92_ENTRY_SQL), NULL, CONSTANT},
    YES(SQL_SUPPORTS_INTEGRITY_ENHANCEMENT_FACILITY),
    {ID(SQL_OUTER_JOINS_SUPPORT_LEVEL), BITMASK, OUTER_JOINS, NULL, CONSTANT},
    {ID(SQL_SCHEMA_TERM), STRING, 0, "schema", CONSTANT},
    {ID(SQL_PROCEDURE_TERM), STRING, 0, "", CONSTANT},
    {ID(SQL_CATALOG_TERM), STRING, 0, "catalog", CONSTANT},
    YES(SQL_CATALOG_AT_START),
    {ID(SQL_SCHEMAS_SUPPORTED_ACTIONS), BITMASK,
     BIT(SQL_SUPPORTED_ELEMENT_ACTIONS__SQL_ELEMENT_IN_INDEX_DEFINITIONS), NULL, CONSTANT},
    {ID(SQL_CATALOGS_SUPPORTED_ACTIONS), BITMASK,
     BIT(SQL_SUPPORTED_ELEMENT_ACTIONS__SQL_ELEMENT_IN_INDEX_DEFINITIONS), NULL, CONSTANT},
    {ID(SQL_SUPPORTED_POSITIONED_COMMANDS), BITMASK, 0, NULL, CONSTANT},
    NO(SQL_SELECT_FOR_UPDATE_SUPPORTED),
    NO(SQL_STORED_PROCEDURES_SUPPORTED),
    {ID(SQL_SUPPORTED_SUBQUERIES), BITMASK,
     BIT(SQL_SUPPORTED_SUBQUERIES__SQL_SUBQUERIES_IN_COMPARISONS) |
         BIT(SQL_SUPPORTED_SUBQUERIES__SQL_SUBQUERIES_IN_EXISTS) |
         BIT(SQL_SUPPORTED_SUBQUERIES__SQL_SUBQUERIES_IN_INS) |
         BIT(SQL_SUPPORTED_SUBQUERIES__SQL_SUBQUERIES_IN_QUANTIFIEDS),
     NULL, CONSTANT},
    YES(SQL_CORRELATED_SUBQUERIES_SUPPORTED),
    {ID(SQL_SUPPORTED_UNIONS), BITMASK,
     BIT(SQL_SUPPORTED_UNIONS__SQL_UNION) | BIT(SQL_SUPPORTED_UNIONS__SQL_UNION_ALL), NULL,
     CONSTANT},
    NO_LIMIT(SQL_MAX_BINARY_LITERAL_LENGTH),
    NO_LIMIT(SQL_MAX_CHAR_LITERAL_LENGTH),
    NO_LIMIT(SQL_MAX_COLUMN_NAME_LENGTH),
    NO_LIMIT(SQL_MAX_COLUMNS_IN_GROUP_BY),
    NO_LIMIT(SQL_MAX_COLUMNS_IN_INDEX),
    NO_LIMIT(SQL_MAX_COLUMNS_IN_ORDER_BY),
    NO_LIMIT(SQL_MAX_COLUMNS_IN_SELECT),
    NO_LIMIT(SQL_MAX_COLUMNS_IN_TABLE),
    NO_LIMIT(SQL_MAX_CONNECTIONS),
    NO_LIMIT(SQL_MAX_CURSOR_NAME_LENGTH),
    NO_LIMIT(SQL_MAX_INDEX_LENGTH),
    NO_LIMIT(SQL_DB_SCHEMA_NAME_LENGTH),
    NO_LIMIT(SQL_MAX_PROCEDURE_NAME_LENGTH),
    NO_LIMIT(SQL_MAX_CATALOG_NAME_LENGTH),
    NO_LIMIT(SQL_MAX_ROW_SIZE),
    YES(SQL_MAX_ROW_SIZE_INCLUDES_BLOBS),
    {ID(SQL_MAX_STATEMENT_LENGTH), BIGINT, 0, NULL, STATEMENT_BYTES},
    {ID(SQL_MAX_STATEMENTS), BIGINT, 0, NULL, STATEMENTS},
    NO_LIMIT(SQL_MAX_TABLE_NAME_LENGTH),
    NO_LIMIT(SQL_MAX_TABLES_IN_SELECT),
    NO_LIMIT(SQL_MAX_USERNAME_LENGTH),
    /* Snapshots: nothing that is read changes, no row appears; but two transactions that each write
     * what the other has read may both commit, so it is not serializable. */
    {ID(SQL_DEFAULT_TRANSACTION_ISOLATION), BIGINT, ISOLATION, NULL, CONSTANT},
    YES(SQL_TRANSACTIONS_SUPPORTED),
    {ID(SQL_SUPPORTED_TRANSACTIONS_ISOLATION_LEVELS), BITMASK, 1 << ISOLATION, NULL, CONSTANT},
    NO(SQL_DATA_DEFINITION_CAUSES_TRANSACTION_COMMIT),
    NO(SQL_DATA_DEFINITIONS_IN_TRANSACTIONS_IGNORED),
    {ID(SQL_SUPPORTED_RESULT_SET_TYPES), BITMASK,
     BIT(SQL_SUPPORTED_RESULT_SET_TYPE__SQL_RESULT_SET_TYPE_FORWARD_ONLY), NULL, CONSTANT},
    {ID(SQL_SUPPORTED_CONCURRENCIES_FOR_RESULT_SET_UNSPECIFIED), BITMASK, 0, NULL, CONSTANT},
    {ID(SQL_SUPPORTED_CONCURRENCIES_FOR_RESULT_SET_FORWARD_ONLY), BITMASK,
     BIT(SQL_SUPPORTED_RESULT_SET_CONCURRENCY__SQL_RESULT_SET_CONCURRENCY_READ_ONLY), NULL,
     CONSTANT},
    {ID(SQL_SUPPORTED_CONCURRENCIES_FOR_RESULT_SET_SCROLL_SENSITIVE), BITMASK, 0, NULL, CONSTANT},
    {ID(SQL_SUPPORTED_CONCURRENCIES_FOR_RESULT_SET_SCROLL_INSENSITIVE), BITMASK, 0, NULL, CONSTANT},
    YES(SQL_BATCH_UPDATES_SUPPORTED),
    NO(SQL_SAVEPOINTS_SUPPORTED),
    NO(SQL_NAMED_PARAMETERS_SUPPORTED), /* of callable statements, which are not there */
    YES(SQL_LOCATORS_UPDATE_COPY),      /* what a client holds is a copy */
    NO(SQL_STORED_FUNCTIONS_USING_CALL_SYNTAX_SUPPORTED),
};
enum { INFO_COUNT = sizeof infos / sizeof infos[0] };

/* ---- casts --------------------------------------------------------------------------------------- */

/* By SqlSupportsConvert; NUMBERS: every number, and BIT, which is a BOOLEAN here. */
enum {
  TEXTS = 1 << 3 | 1 << 11 | 1 << 19,
  BLOBS = 1 << 1 | 1 << 10 | 1 << 18,
  NUMBERS = 1 << 0 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17,
  INTERVALS = 1 << 8 | 1 << 9,
  DATE = 1 << 4,
  TIME = 1 << 15,
  TIMESTAMP = 1 << 16,
};

uint32_t sql_info_converts(int from) {
  uint32_t bit = UINT32_C(1) << from;
  if (bit & NUMBERS) return NUMBERS | TEXTS;
  if (bit & BLOBS) return BLOBS | TEXTS;
  if (bit & INTERVALS) return INTERVALS | TEXTS;
  if (bit & DATE) return DATE | TIMESTAMP | TEXTS;
  if (bit & TIME) return TIME | TEXTS;
  if (bit & TIMESTAMP) return DATE | TIME | TIMESTAMP | TEXTS;
  return NUMBERS | BLOBS | INTERVALS | DATE | TIME | TIMESTAMP | TEXTS; /* text */
}

/* ---- lists --------------------------------------------------------------------------------------- */

/* Functions by what they take and give: DuckDB's own categories know but some. Those with names that
 * are no words are operators. */
#define FUNCTIONS(which)                                                                           \
  "SELECT DISTINCT function_name FROM system.main.duckdb_functions() WHERE internal AND "          \
  "function_type = 'scalar' AND regexp_full_match(function_name, '[a-z][a-z0-9_]*') "              \
  "AND NOT starts_with(function_name, 'icu_') AND (" which ") ORDER BY 1"
#define NUMBER_NAMES                                                                               \
  "['TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT', 'UTINYINT', 'USMALLINT', 'UINTEGER', "  \
  "'UBIGINT', 'UHUGEINT', 'FLOAT', 'DOUBLE', 'DECIMAL']"
#define TIME_NAMES                                                                                 \
  "['DATE', 'TIME', 'TIME_NS', 'TIMESTAMP', 'TIMESTAMP_S', 'TIMESTAMP_MS', 'TIMESTAMP_NS', "       \
  "'TIMESTAMP WITH TIME ZONE', 'TIME WITH TIME ZONE', 'INTERVAL']"

const char *sql_info_list_sql(enum sql_info_list list) {
  static const char *const statements[SQL_INFO_LISTS] = {
      [SQL_INFO_KEYWORDS] = "SELECT DISTINCT upper(keyword_name) FROM "
                            "system.main.duckdb_keywords() ORDER BY 1",
      [SQL_INFO_NUMERIC_FUNCTIONS] =
          FUNCTIONS("function_name IN ('pi', 'random') OR len(parameter_types) > 0 AND "
                    "list_has_all(" NUMBER_NAMES ", parameter_types) AND "
                    "list_contains(" NUMBER_NAMES ", return_type)"),
      [SQL_INFO_STRING_FUNCTIONS] = FUNCTIONS(
          "list_has_any(categories, ['string', 'regex', 'text_similarity']) OR "
          "return_type = 'VARCHAR' AND parameter_types[1] = 'VARCHAR' AND function_name NOT IN "
          "('write_log', 'array_extract', 'array_slice', 'list_element', 'list_extract', "
          "'list_slice') AND NOT starts_with(function_name, 'json_')"),
      [SQL_INFO_SYSTEM_FUNCTIONS] =
          "SELECT DISTINCT function_name FROM system.main.duckdb_functions() WHERE internal AND "
          "function_type IN ('scalar', 'macro') AND function_name IN ('current_catalog', "
          "'current_database', 'current_role', 'current_schema', 'current_schemas', "
          "'current_setting', 'current_user', 'session_user', 'txid_current', 'typeof', 'user', "
          "'uuid', 'version') ORDER BY 1",
      [SQL_INFO_DATETIME_FUNCTIONS] = FUNCTIONS(
          "(list_has_any(parameter_types, " TIME_NAMES ") OR "
          "list_contains(" TIME_NAMES ", return_type)) AND function_name NOT IN ('add', "
          "'subtract', 'multiply', 'divide', 'range', 'generate_series', 'equi_width_bins', "
          "'timetz_byte_comparable')"),
  };
  return statements[list];
}

static bool is_wanted(uint32_t id, const uint32_t *ids, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (ids[i] == id) return true;
  return count == 0;
}

bool sql_info_wants(enum sql_info_list list, const uint32_t *ids, size_t count) {
  return is_wanted((uint32_t)ID(SQL_KEYWORDS) + (uint32_t)list, ids, count);
}

/* ---- values -------------------------------------------------------------------------------------- */

static int64_t int32_of(int64_t value) { return value > INT32_MAX ? INT32_MAX : value; }

/* The info with its fact filled in. */
static struct info settle(const struct info *info, const struct sql_info_facts *facts) {
  struct info made = *info;
  switch (info->fact) {
  case VERSION: made.text = facts->version; break;
  case READ_ONLY: made.number = !facts->may_write && !facts->may_define; break;
  case MAY_WRITE: made.number = facts->may_write; break;
  case MAY_DEFINE: made.number = facts->may_define; break;
  case SEES_EVERYTHING: made.number = facts->sees_everything; break;
  case HANDLE_MS: made.number = int32_of(facts->handle_idle_ms); break;
  case TRANSACTION_MS: made.number = int32_of(facts->transaction_idle_ms); break;
  case STATEMENT_BYTES: made.number = facts->statement_bytes_max; break;
  case STATEMENTS: made.number = facts->statements_max; break;
  default: break;
  }
  return made;
}

static enum status add_list(struct build *member, const struct sql_info_strings *list,
                            struct error *error) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < list->count && status == STATUS_OK; i++)
    status =
        build_bytes(build_child(member, 0), list->items[i], (int64_t)strlen(list->items[i]), error);
  return status == STATUS_OK ? build_slot(member, error) : status;
}

static enum status add_casts(struct build *member, struct error *error) {
  struct build *entries = build_child(member, 0);
  struct build *key = build_child(entries, 0), *value = build_child(entries, 1);
  enum status status = STATUS_OK;
  for (int from = 0; from < SQL_INFO_CONVERT_TYPES && status == STATUS_OK; from++) {
    status = build_integer(key, from, error);
    for (int to = 0; to < SQL_INFO_CONVERT_TYPES && status == STATUS_OK; to++)
      if (sql_info_converts(from) >> to & 1)
        status = build_integer(build_child(value, 0), to, error);
    if (status == STATUS_OK) status = build_slot(value, error);
    if (status == STATUS_OK) status = build_slot(entries, error);
  }
  return status == STATUS_OK ? build_slot(member, error) : status;
}

static enum status add_value(struct build *member, const struct info *info,
                             const struct sql_info_facts *facts, struct error *error) {
  switch (info->member) {
  case STRING:
    if (info->text == NULL) return build_null(member, error);
    return build_bytes(member, info->text, (int64_t)strlen(info->text), error);
  case LIST: return add_list(member, &facts->lists[info->fact - FIRST_LIST], error);
  case MAP: return add_casts(member, error);
  default: return build_integer(member, info->number, error);
  }
}

/* ---- the batch ----------------------------------------------------------------------------------- */

enum { INFO_NAME = MEMBERS, COLUMNS }; /* the builders: the union's members, then info_name */

/* Holds a union, or the batch: its children, and buffers of its own. */
struct held {
  struct ArrowArray children[MEMBERS];
  struct ArrowArray *list[MEMBERS];
  struct buffer types, offsets;
  const void *buffers[2];
};

static void release_held(struct ArrowArray *array) {
  struct held *held = array->private_data;
  for (int i = 0; i < MEMBERS; i++) arrow_array_release(&held->children[i]);
  buffer_release(&held->types);
  buffer_release(&held->offsets);
  free(held);
  array->release = NULL;
}

static enum status new_held(struct ArrowArray *out, int64_t rows, int64_t children,
                            struct error *error) {
  struct held *held = calloc(1, sizeof *held);
  if (held == NULL) return error_set(error, STATUS_NOMEM, "no memory for a batch");
  for (int i = 0; i < MEMBERS; i++) held->list[i] = &held->children[i];
  *out = (struct ArrowArray){.length = rows,
                             .n_buffers = 1,
                             .n_children = children,
                             .buffers = held->buffers,
                             .children = held->list,
                             .release = release_held,
                             .private_data = held};
  return STATUS_OK;
}

/* A builder of one column, as the only field of a struct. */
static enum status new_column(const struct ArrowSchema *field, struct budget *budget,
                              struct build **build, struct error *error) {
  struct ArrowSchema one = {.release = NULL};
  enum status status = arrow_schema_init(&one, "+s", "", false, 1, error);
  if (status == STATUS_OK) status = arrow_schema_copy(field, one.children[0], error);
  if (status == STATUS_OK) status = build_new(&one, budget, build, error);
  arrow_schema_release(&one);
  return status;
}

static enum status new_columns(struct budget *budget, struct build *columns[COLUMNS],
                               struct error *error) {
  struct ArrowSchema schema = {.release = NULL};
  enum status status = sql_result_schema(SQL_RESULT_INFO, &schema, error);
  if (status != STATUS_OK) return status;
  for (int i = 0; i < MEMBERS && status == STATUS_OK; i++)
    status = new_column(schema.children[1]->children[i], budget, &columns[i], error);
  if (status == STATUS_OK)
    status = new_column(schema.children[0], budget, &columns[INFO_NAME], error);
  arrow_schema_release(&schema);
  return status;
}

static enum status take_column(struct build *build, struct ArrowArray *out, struct error *error) {
  struct ArrowArray whole = {.release = NULL};
  enum status status = build_finish(build, &whole, error);
  if (status != STATUS_OK) return status;
  arrow_array_move(whole.children[0], out);
  arrow_array_release(&whole);
  return STATUS_OK;
}

/* One row: its number, which member its value is in, and where there. */
static enum status add_row(const struct info *info, const struct sql_info_facts *facts,
                           struct budget *budget, struct build *columns[COLUMNS],
                           int32_t lengths[MEMBERS], struct held *value, struct error *error) {
  struct info made = settle(info, facts);
  int8_t type = (int8_t)made.member;
  struct build *member = columns[made.member];
  enum status status = build_integer(build_child(columns[INFO_NAME], 0), made.id, error);
  if (status == STATUS_OK) status = build_slot(columns[INFO_NAME], error);
  if (status == STATUS_OK) status = add_value(build_child(member, 0), &made, facts, error);
  if (status == STATUS_OK) status = build_slot(member, error);
  if (status == STATUS_OK) status = buffer_append(&value->types, budget, &type, 1, error);
  if (status == STATUS_OK)
    status = buffer_append(&value->offsets, budget, &lengths[type], sizeof lengths[type], error);
  lengths[type]++;
  return status;
}

static enum status fill(struct build *columns[COLUMNS], int64_t rows, struct ArrowArray *batch,
                        struct error *error) {
  struct ArrowArray *value = batch->children[1];
  struct held *held = value->private_data;
  enum status status = take_column(columns[INFO_NAME], batch->children[0], error);
  for (int i = 0; i < MEMBERS && status == STATUS_OK; i++)
    status = take_column(columns[i], value->children[i], error);
  batch->length = value->length = rows;
  value->n_buffers = 2;
  held->buffers[0] = held->types.data;
  held->buffers[1] = held->offsets.data;
  return status;
}

enum status sql_info_batch(const struct sql_info_facts *facts, const uint32_t *ids, size_t count,
                           struct budget *budget, struct ArrowArray *out, struct error *error) {
  struct build *columns[COLUMNS] = {NULL};
  struct ArrowArray batch = {.release = NULL};
  int32_t lengths[MEMBERS] = {0};
  int64_t rows = 0;
  enum status status = new_held(&batch, 0, 2, error);
  assert(status != STATUS_OK || batch.children != NULL);
  if (status == STATUS_OK) status = new_held(batch.children[1], 0, MEMBERS, error);
  if (status == STATUS_OK) status = new_columns(budget, columns, error);
  if (status != STATUS_OK) goto done;
  struct held *value = batch.children[1]->private_data;
  status = buffer_reserve(&value->types, budget, INFO_COUNT, error);
  if (status == STATUS_OK)
    status = buffer_reserve(&value->offsets, budget, (int64_t)INFO_COUNT * 4, error);
  for (size_t i = 0; i < INFO_COUNT && status == STATUS_OK; i++) {
    assert(i == 0 || infos[i].id > infos[i - 1].id);
    if (!is_wanted(infos[i].id, ids, count)) continue;
    status = add_row(&infos[i], facts, budget, columns, lengths, value, error);
    rows++;
  }
  if (status == STATUS_OK) status = fill(columns, rows, &batch, error);
  if (status == STATUS_OK) arrow_array_move(&batch, out);

done:
  arrow_array_release(&batch);
  for (int i = 0; i < COLUMNS; i++) build_free(columns[i]);
  return status;
}
