/* Flight SQL's metadata commands. Each is a message, a result, and a function that adds the result's
 * rows; what DuckDB is asked is in flight_look.c and beside it. The rows are all there before the first
 * is sent: a catalog is small, and one that changes while it is read would be no catalog.
 *
 * What is shown is what the client can say in its SQL: the engine session is lent as for a statement,
 * so that its temporary tables are seen. */
#include <assert.h>
#include <stdlib.h>

#include "arrowport_version.h"
#include "flight/sql_types.h"
#include "server/flight.h"
#include "server/flight_look.h"

enum { INFOS_MAX = 1000 }; /* one answer may be asked for */

/* What a command is made of. */
struct kind {
  const ProtobufCMessageDescriptor *message;
  enum sql_result result;
  bool open; /* it tells of no table, and asks the engine nothing */
  enum status (*add)(const struct flight_look *look, const void *message, struct sql_rows *rows,
                     struct error *error);
};

static enum status unpack(const struct kind *kind, const ProtobufCBinaryData *value,
                          ProtobufCMessage **message, struct error *error) {
  *message = protobuf_c_message_unpack(kind->message, NULL, value->len, value->data);
  if (*message != NULL) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "the message is no %s", kind->message->short_name);
}

static enum sql_result result_of(const struct kind *kind, const ProtobufCMessage *message) {
  const Arrow__Flight__Protocol__Sql__CommandGetTables *tables = (const void *)message;
  return kind->result == SQL_RESULT_TABLES && tables->include_schema ? SQL_RESULT_TABLES_WITH_SCHEMA
                                                                     : kind->result;
}

static enum status tell(struct flight_ask *ask, const struct kind *kind,
                        const ProtobufCBinaryData *value, struct flight_about *about,
                        struct error *error) {
  ProtobufCMessage *message;
  (void)ask; /* all are told the same */
  *about = (struct flight_about){.rows = -1, .bytes = -1, .ordered = true};
  enum status status = unpack(kind, value, &message, error);
  if (status == STATUS_OK)
    status = sql_result_schema(result_of(kind, message), &about->schema, error);
  if (message != NULL) protobuf_c_message_free_unpacked(message, NULL);
  return status;
}

/* Adds the rows with an engine session that is lent for as long as it takes. */
static enum status add_rows(struct flight_ask *ask, const struct kind *kind, const void *message,
                            struct sql_rows *rows, struct error *error) {
  struct flight_loan loan = {.session = NULL};
  struct flight_look look = {.who = ask->who, .budget = &ask->server->answers};
  enum status status = storage_engine(ask->server->storage, &look.engine, error);
  if (status != STATUS_OK) return status;
  status = flight_borrow(ask, NULL, FLIGHT_NEED_NOTHING, &loan, error);
  look.session = loan.session;
  look.within = loan.within;
  if (status == STATUS_OK) status = kind->add(&look, message, rows, error);
  return flight_return(ask, &loan, status, error);
}

/* The batches become the source's; `schema` and they are let go of otherwise. */
static enum status give(struct ArrowSchema *schema, struct ArrowArray *batches, size_t count,
                        struct source **source, struct error *error) {
  enum status status = flight_memory_rows(schema, batches, count, source, error);
  arrow_schema_release(schema);
  for (size_t i = 0; i < count; i++) arrow_array_release(&batches[i]);
  free(batches);
  return status;
}

static enum status get(struct flight_ask *ask, const struct kind *kind,
                       const ProtobufCBinaryData *value, struct source **source,
                       struct error *error) {
  ProtobufCMessage *message;
  struct sql_rows *rows = NULL;
  struct ArrowSchema schema = {.release = NULL};
  struct ArrowArray *batches = NULL;
  size_t count = 0;
  enum status status = unpack(kind, value, &message, error);
  if (status == STATUS_OK)
    status = sql_rows_new(result_of(kind, message), &ask->server->answers, &rows, error);
  if (status == STATUS_OK)
    status = kind->open ? kind->add(NULL, message, rows, error)
                        : add_rows(ask, kind, message, rows, error);
  if (status == STATUS_OK) status = sql_rows_finish(rows, &schema, &batches, &count, error);
  if (status == STATUS_OK) status = give(&schema, batches, count, source, error);
  sql_rows_free(rows);
  if (message != NULL) protobuf_c_message_free_unpacked(message, NULL);
  return status;
}

/* The functions of a command, whose `struct kind` has its name. */
#define COMMAND(name)                                                                              \
  static enum status about_##name(struct flight_ask *ask, const ProtobufCBinaryData *value,        \
                                  struct flight_about *about, struct error *error) {               \
    return tell(ask, &name, value, about, error);                                                  \
  }                                                                                                \
  static enum status get_##name(struct flight_ask *ask, const ProtobufCBinaryData *value,          \
                                struct source **source, struct error *error) {                     \
    return get(ask, &name, value, source, error);                                                  \
  }

/* An optional string of a message: protobuf-c makes a union of it. */
#define OPTIONAL(message, case_, is, field) ((message)->case_ == (is) ? (message)->field : NULL)
#define CASE(name)                          ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_GET_##name

/* ---- catalogs, schemas, tables -------------------------------------------------------------------- */

static enum status add_catalogs(const struct flight_look *look, const void *message,
                                struct sql_rows *rows, struct error *error) {
  (void)message;
  return look_catalogs(look, rows, error);
}

static const struct kind catalogs = {
    .message = &FLIGHT_SQL(command_get_catalogs__descriptor),
    .result = SQL_RESULT_CATALOGS,
    .add = add_catalogs,
};
COMMAND(catalogs)

static enum status add_schemas(const struct flight_look *look, const void *message,
                               struct sql_rows *rows, struct error *error) {
  const Arrow__Flight__Protocol__Sql__CommandGetDbSchemas *asked = message;
  const char *catalog =
      OPTIONAL(asked, optional_catalog_case, CASE(DB_SCHEMAS__OPTIONAL_CATALOG_CATALOG), catalog);
  const char *pattern =
      OPTIONAL(asked, optional_db_schema_filter_pattern_case,
               CASE(DB_SCHEMAS__OPTIONAL_DB_SCHEMA_FILTER_PATTERN_DB_SCHEMA_FILTER_PATTERN),
               db_schema_filter_pattern);
  return look_schemas(look, catalog, pattern, rows, error);
}

static const struct kind schemas = {
    .message = &FLIGHT_SQL(command_get_db_schemas__descriptor),
    .result = SQL_RESULT_DB_SCHEMAS,
    .add = add_schemas,
};
COMMAND(schemas)

static enum status add_tables(const struct flight_look *look, const void *message,
                              struct sql_rows *rows, struct error *error) {
  const Arrow__Flight__Protocol__Sql__CommandGetTables *asked = message;
  const struct look_filter filter = {
      .catalog =
          OPTIONAL(asked, optional_catalog_case, CASE(TABLES__OPTIONAL_CATALOG_CATALOG), catalog),
      .schema_pattern =
          OPTIONAL(asked, optional_db_schema_filter_pattern_case,
                   CASE(TABLES__OPTIONAL_DB_SCHEMA_FILTER_PATTERN_DB_SCHEMA_FILTER_PATTERN),
                   db_schema_filter_pattern),
      .table_pattern =
          OPTIONAL(asked, optional_table_name_filter_pattern_case,
                   CASE(TABLES__OPTIONAL_TABLE_NAME_FILTER_PATTERN_TABLE_NAME_FILTER_PATTERN),
                   table_name_filter_pattern),
      .types = asked->table_types,
      .type_count = asked->n_table_types,
  };
  return look_tables(look, &filter, asked->include_schema, rows, error);
}

static const struct kind tables = {
    .message = &FLIGHT_SQL(command_get_tables__descriptor),
    .result = SQL_RESULT_TABLES,
    .add = add_tables,
};
COMMAND(tables)

static enum status add_table_types(const struct flight_look *look, const void *message,
                                   struct sql_rows *rows, struct error *error) {
  (void)look;
  (void)message;
  enum status status = STATUS_OK;
  for (int i = 0; LOOK_TABLE_TYPES[i] != NULL && status == STATUS_OK; i++)
    status = sql_rows_add(rows, &SQL_VALUE_TEXT(LOOK_TABLE_TYPES[i]), error);
  return status;
}

static const struct kind table_types = {
    .message = &FLIGHT_SQL(command_get_table_types__descriptor),
    .result = SQL_RESULT_TABLE_TYPES,
    .open = true,
    .add = add_table_types,
};
COMMAND(table_types)

/* ---- keys ------------------------------------------------------------------------------------------ */

static enum status add_primary_keys(const struct flight_look *look, const void *message,
                                    struct sql_rows *rows, struct error *error) {
  const Arrow__Flight__Protocol__Sql__CommandGetPrimaryKeys *asked = message;
  const struct look_key_table table = {
      OPTIONAL(asked, optional_catalog_case, CASE(PRIMARY_KEYS__OPTIONAL_CATALOG_CATALOG), catalog),
      OPTIONAL(asked, optional_db_schema_case, CASE(PRIMARY_KEYS__OPTIONAL_DB_SCHEMA_DB_SCHEMA),
               db_schema),
      asked->table};
  return look_primary_keys(look, &table, rows, error);
}

static const struct kind primary_keys = {
    .message = &FLIGHT_SQL(command_get_primary_keys__descriptor),
    .result = SQL_RESULT_PRIMARY_KEYS,
    .add = add_primary_keys,
};
COMMAND(primary_keys)

static const struct look_key_table any_table = {.table = NULL};

static enum status add_exported_keys(const struct flight_look *look, const void *message,
                                     struct sql_rows *rows, struct error *error) {
  const Arrow__Flight__Protocol__Sql__CommandGetExportedKeys *asked = message;
  const struct look_key_table table = {
      OPTIONAL(asked, optional_catalog_case, CASE(EXPORTED_KEYS__OPTIONAL_CATALOG_CATALOG),
               catalog),
      OPTIONAL(asked, optional_db_schema_case, CASE(EXPORTED_KEYS__OPTIONAL_DB_SCHEMA_DB_SCHEMA),
               db_schema),
      asked->table};
  return look_foreign_keys(look, &table, &any_table, true, rows, error);
}

static const struct kind exported_keys = {
    .message = &FLIGHT_SQL(command_get_exported_keys__descriptor),
    .result = SQL_RESULT_FOREIGN_KEYS,
    .add = add_exported_keys,
};
COMMAND(exported_keys)

static enum status add_imported_keys(const struct flight_look *look, const void *message,
                                     struct sql_rows *rows, struct error *error) {
  const Arrow__Flight__Protocol__Sql__CommandGetImportedKeys *asked = message;
  const struct look_key_table table = {
      OPTIONAL(asked, optional_catalog_case, CASE(IMPORTED_KEYS__OPTIONAL_CATALOG_CATALOG),
               catalog),
      OPTIONAL(asked, optional_db_schema_case, CASE(IMPORTED_KEYS__OPTIONAL_DB_SCHEMA_DB_SCHEMA),
               db_schema),
      asked->table};
  return look_foreign_keys(look, &any_table, &table, false, rows, error);
}

static const struct kind imported_keys = {
    .message = &FLIGHT_SQL(command_get_imported_keys__descriptor),
    .result = SQL_RESULT_FOREIGN_KEYS,
    .add = add_imported_keys,
};
COMMAND(imported_keys)

static enum status add_cross_reference(const struct flight_look *look, const void *message,
                                       struct sql_rows *rows, struct error *error) {
  const Arrow__Flight__Protocol__Sql__CommandGetCrossReference *asked = message;
  const struct look_key_table primary = {
      OPTIONAL(asked, optional_pk_catalog_case,
               CASE(CROSS_REFERENCE__OPTIONAL_PK_CATALOG_PK_CATALOG), pk_catalog),
      OPTIONAL(asked, optional_pk_db_schema_case,
               CASE(CROSS_REFERENCE__OPTIONAL_PK_DB_SCHEMA_PK_DB_SCHEMA), pk_db_schema),
      asked->pk_table};
  const struct look_key_table foreign = {
      OPTIONAL(asked, optional_fk_catalog_case,
               CASE(CROSS_REFERENCE__OPTIONAL_FK_CATALOG_FK_CATALOG), fk_catalog),
      OPTIONAL(asked, optional_fk_db_schema_case,
               CASE(CROSS_REFERENCE__OPTIONAL_FK_DB_SCHEMA_FK_DB_SCHEMA), fk_db_schema),
      asked->fk_table};
  return look_foreign_keys(look, &primary, &foreign, false, rows, error);
}

static const struct kind cross_reference = {
    .message = &FLIGHT_SQL(command_get_cross_reference__descriptor),
    .result = SQL_RESULT_FOREIGN_KEYS,
    .add = add_cross_reference,
};
COMMAND(cross_reference)

/* ---- types ----------------------------------------------------------------------------------------- */

static enum status add_type_info(const struct flight_look *look, const void *message,
                                 struct sql_rows *rows, struct error *error) {
  (void)look;
  const Arrow__Flight__Protocol__Sql__CommandGetXdbcTypeInfo *asked = message;
  bool one = asked->optional_data_type_case == CASE(XDBC_TYPE_INFO__OPTIONAL_DATA_TYPE_DATA_TYPE);
  return sql_types_add(rows, one ? &asked->data_type : NULL, error);
}

static const struct kind type_info = {
    .message = &FLIGHT_SQL(command_get_xdbc_type_info__descriptor),
    .result = SQL_RESULT_TYPE_INFO,
    .open = true,
    .add = add_type_info,
};
COMMAND(type_info)

/* ---- what the server is ------------------------------------------------------------------------------ */

/* Clients ask for it before anything else: it is open to all, and DuckDB is asked only for lists. */
static const struct kind sql_info = {
    .message = &FLIGHT_SQL(command_get_sql_info__descriptor),
    .result = SQL_RESULT_INFO,
    .open = true,
};

static struct sql_info_facts facts_of(const struct flight_ask *ask) {
  unsigned scopes = ask->who->scopes;
  const struct flight_limits *limits = &ask->config->flight;
  return (struct sql_info_facts){.version = ARROWPORT_VERSION,
                                 .may_write = (scopes & (AUTH_WRITE | AUTH_ADMIN)) != 0,
                                 .may_define = (scopes & AUTH_ADMIN) != 0,
                                 .sees_everything = auth_sees_everything(ask->who),
                                 .handle_idle_ms = limits->handle_idle_ms,
                                 .transaction_idle_ms = limits->transaction_idle_ms,
                                 .statement_bytes_max = FLIGHT_SQL_BYTES_MAX,
                                 .statements_max = limits->handles_max};
}

/* The lists that are asked for. */
static enum status read_lists(struct flight_ask *ask, const uint32_t *ids, size_t count,
                              struct sql_info_facts *facts, struct error *error) {
  bool any = false;
  for (int i = 0; i < SQL_INFO_LISTS; i++)
    any = any || sql_info_wants((enum sql_info_list)i, ids, count);
  if (!any) return STATUS_OK;
  struct flight_loan loan = {.session = NULL};
  enum status status = flight_borrow(ask, NULL, FLIGHT_NEED_NOTHING, &loan, error);
  const struct flight_look look = {.session = loan.session,
                                   .who = ask->who,
                                   .budget = &ask->server->answers,
                                   .within = loan.within};
  for (int i = 0; i < SQL_INFO_LISTS && status == STATUS_OK; i++)
    if (sql_info_wants((enum sql_info_list)i, ids, count))
      status = look_strings(&look, (enum sql_info_list)i, &facts->lists[i], error);
  return flight_return(ask, &loan, status, error);
}

static enum status about_sql_info(struct flight_ask *ask, const ProtobufCBinaryData *value,
                                  struct flight_about *about, struct error *error) {
  return tell(ask, &sql_info, value, about, error);
}

static enum status get_sql_info(struct flight_ask *ask, const ProtobufCBinaryData *value,
                                struct source **source, struct error *error) {
  ProtobufCMessage *message;
  struct ArrowSchema schema = {.release = NULL};
  struct ArrowArray *batch = NULL;
  struct sql_info_facts facts = facts_of(ask);
  enum status status = unpack(&sql_info, value, &message, error);
  if (status != STATUS_OK) return status;
  const Arrow__Flight__Protocol__Sql__CommandGetSqlInfo *asked = (const void *)message;
  if (asked->n_info > INFOS_MAX)
    status = error_set(error, STATUS_INVALID, "%zu infos are asked for; there are less than %d",
                       asked->n_info, INFOS_MAX);
  if (status == STATUS_OK) status = read_lists(ask, asked->info, asked->n_info, &facts, error);
  if (status == STATUS_OK) status = sql_result_schema(SQL_RESULT_INFO, &schema, error);
  batch = calloc(1, sizeof *batch);
  if (status == STATUS_OK && batch == NULL)
    status = error_set(error, STATUS_NOMEM, "no memory for a batch");
  assert(status != STATUS_OK || batch != NULL);
  if (status == STATUS_OK)
    status =
        sql_info_batch(&facts, asked->info, asked->n_info, &ask->server->answers, batch, error);
  if (status == STATUS_OK) {
    status = give(&schema, batch, 1, source, error);
    batch = NULL;
  }
  arrow_schema_release(&schema);
  free(batch);
  for (int i = 0; i < SQL_INFO_LISTS; i++) look_strings_release(&facts.lists[i]);
  protobuf_c_message_free_unpacked(message, NULL);
  return status;
}

#define ENTRY(command, of)                                                                         \
  { .name = command, .about = about_##of, .get = get_##of }
#define OPEN_ENTRY(command, of)                                                                    \
  { .name = command, .open = true, .about = about_##of, .get = get_##of }
const struct flight_command flight_catalog_commands[] = {
    ENTRY("CommandGetCatalogs", catalogs),
    ENTRY("CommandGetDbSchemas", schemas),
    ENTRY("CommandGetTables", tables),
    OPEN_ENTRY("CommandGetTableTypes", table_types),
    ENTRY("CommandGetPrimaryKeys", primary_keys),
    ENTRY("CommandGetExportedKeys", exported_keys),
    ENTRY("CommandGetImportedKeys", imported_keys),
    ENTRY("CommandGetCrossReference", cross_reference),
    OPEN_ENTRY("CommandGetXdbcTypeInfo", type_info),
    OPEN_ENTRY("CommandGetSqlInfo", sql_info),
    {.name = NULL},
};
