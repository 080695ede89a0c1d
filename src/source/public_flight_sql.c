/* Flight SQL of include/arrowport/flight.h: queries, statements, transactions, bulk ingest, metadata,
 * sessions. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "arrow/schema.h"
#include "source/public_flight.h"

static const struct flight_client_handle *
within_of(const struct arrowport_flight_transaction *transaction) {
  return transaction == NULL ? NULL : &transaction->handle;
}

/* ---- transactions -------------------------------------------------------------------------------------- */

void arrowport_flight_transaction_free(struct arrowport_flight_transaction *transaction) {
  if (transaction == NULL) return;
  flight_client_handle_release(&transaction->handle);
  free(transaction);
}

static enum arrowport_status begin(struct arrowport_flight *flight,
                                   const struct arrowport_flight_transaction *outer,
                                   const char *name, const struct arrowport_flight_call *given,
                                   struct arrowport_flight_transaction **transaction,
                                   struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct public_call call = {.headers = NULL};
  struct arrowport_flight_transaction *made = calloc(1, sizeof *made);
  enum status status = made == NULL ? error_set(&why, STATUS_NOMEM, "no memory") : STATUS_OK;
  if (status == STATUS_OK) status = public_need(flight, "flight", &why);
  if (status == STATUS_OK) status = public_need(transaction, "transaction", &why);
  if (status == STATUS_OK) status = public_call_read(given, &call, &why);
  if (status == STATUS_OK && outer == NULL)
    status = flight_client_sql_begin(flight->client, &call.options, &made->handle, &why);
  else if (status == STATUS_OK)
    status = flight_client_sql_savepoint(flight->client, &outer->handle, name, &call.options,
                                         &made->handle, &why);
  public_call_release(&call);
  if (status != STATUS_OK) {
    arrowport_flight_transaction_free(made);
    made = NULL;
  } else {
    assert(made != NULL);
    made->is_savepoint = outer != NULL;
  }
  if (transaction != NULL) *transaction = made;
  return public_status(status, &why, error);
}

enum arrowport_status arrowport_flight_begin(struct arrowport_flight *flight,
                                             const struct arrowport_flight_call *call,
                                             struct arrowport_flight_transaction **transaction,
                                             struct arrowport_error *error) {
  return begin(flight, NULL, NULL, call, transaction, error);
}

enum arrowport_status arrowport_flight_savepoint(
    struct arrowport_flight *flight, const struct arrowport_flight_transaction *transaction,
    const char *name, const struct arrowport_flight_call *call,
    struct arrowport_flight_transaction **savepoint, struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = public_need(transaction, "transaction", &why);
  if (status == STATUS_OK) status = public_need(name, "name", &why);
  if (status != STATUS_OK) return public_status(status, &why, error);
  return begin(flight, transaction, name, call, savepoint, error);
}

enum arrowport_status arrowport_flight_end(struct arrowport_flight *flight,
                                           struct arrowport_flight_transaction *transaction,
                                           bool commit, const struct arrowport_flight_call *given,
                                           struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct public_call call = {.headers = NULL};
  enum status status = public_need(flight, "flight", &why);
  if (status == STATUS_OK) status = public_need(transaction, "transaction", &why);
  if (status == STATUS_OK) status = public_call_read(given, &call, &why);
  if (status == STATUS_OK && transaction->is_savepoint)
    status = flight_client_sql_end_savepoint(flight->client, &transaction->handle, commit,
                                             &call.options, &why);
  else if (status == STATUS_OK)
    status =
        flight_client_sql_end(flight->client, &transaction->handle, commit, &call.options, &why);
  if (status == STATUS_OK) arrowport_flight_transaction_free(transaction);
  public_call_release(&call);
  return public_status(status, &why, error);
}

/* ---- statements -------------------------------------------------------------------------------------------- */

enum arrowport_status arrowport_flight_query(struct arrowport_flight *flight, const char *sql,
                                             const struct arrowport_flight_transaction *within,
                                             const struct arrowport_flight_call *given,
                                             struct ArrowArrayStream *stream,
                                             struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct public_call call = {.headers = NULL};
  struct flight_reader *reader = NULL;
  enum status status = public_need(flight, "flight", &why);
  if (status == STATUS_OK) status = public_need(sql, "sql", &why);
  if (status == STATUS_OK) status = public_need(stream, "stream", &why);
  if (status == STATUS_OK) status = public_call_read(given, &call, &why);
  if (status == STATUS_OK)
    status = flight_client_sql_query(flight->client, sql, within_of(within), &call.options, &reader,
                                     &why);
  if (status == STATUS_OK) status = public_stream(flight, reader, stream, &why);
  public_call_release(&call);
  return public_status(status, &why, error);
}

enum arrowport_status arrowport_flight_update(struct arrowport_flight *flight, const char *sql,
                                              const struct arrowport_flight_transaction *within,
                                              const struct arrowport_flight_call *given,
                                              int64_t *rows, struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct public_call call = {.headers = NULL};
  int64_t changed = -1;
  enum status status = public_need(flight, "flight", &why);
  if (status == STATUS_OK) status = public_need(sql, "sql", &why);
  if (status == STATUS_OK) status = public_call_read(given, &call, &why);
  if (status == STATUS_OK)
    status = flight_client_sql_update(flight->client, sql, within_of(within), &call.options,
                                      &changed, &why);
  if (rows != NULL) *rows = changed;
  public_call_release(&call);
  return public_status(status, &why, error);
}

struct arrowport_flight_statement {
  struct arrowport_flight *flight;
  struct flight_client_prepared *prepared;
};

void arrowport_flight_statement_close(struct arrowport_flight_statement *statement) {
  if (statement == NULL) return;
  flight_client_prepared_close(statement->prepared);
  public_flight_release(statement->flight);
  free(statement);
}

enum arrowport_status arrowport_flight_prepare(struct arrowport_flight *flight, const char *sql,
                                               const struct arrowport_flight_transaction *within,
                                               const struct arrowport_flight_call *given,
                                               struct arrowport_flight_statement **statement,
                                               struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct public_call call = {.headers = NULL};
  struct arrowport_flight_statement *made = calloc(1, sizeof *made);
  enum status status = made == NULL ? error_set(&why, STATUS_NOMEM, "no memory") : STATUS_OK;
  if (status == STATUS_OK) status = public_need(flight, "flight", &why);
  if (status == STATUS_OK) status = public_need(sql, "sql", &why);
  if (status == STATUS_OK) status = public_need(statement, "statement", &why);
  if (status == STATUS_OK) status = public_call_read(given, &call, &why);
  if (status == STATUS_OK) {
    assert(made != NULL);
    made->flight = flight;
    public_flight_hold(flight);
    status = flight_client_prepared_open(flight->client, sql, within_of(within), &call.options,
                                         &made->prepared, &why);
  }
  public_call_release(&call);
  if (status != STATUS_OK) {
    arrowport_flight_statement_close(made);
    made = NULL;
  }
  if (statement != NULL) *statement = made;
  return public_status(status, &why, error);
}

static enum arrowport_status copy_schema(const struct arrowport_flight_statement *statement,
                                         bool parameters, struct ArrowSchema *schema,
                                         struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  const struct ArrowSchema *own = NULL;
  enum status status = public_need(statement, "statement", &why);
  if (status == STATUS_OK) status = public_need(schema, "schema", &why);
  if (status == STATUS_OK)
    own = parameters ? flight_client_prepared_parameters(statement->prepared)
                     : flight_client_prepared_schema(statement->prepared);
  if (status == STATUS_OK)
    status = own == NULL ? error_set(&why, STATUS_NOT_FOUND, "the server does not say")
                         : arrow_schema_copy(own, schema, &why);
  return public_status(status, &why, error);
}

enum arrowport_status
arrowport_flight_statement_schema(const struct arrowport_flight_statement *statement,
                                  struct ArrowSchema *schema, struct arrowport_error *error) {
  return copy_schema(statement, false, schema, error);
}

enum arrowport_status
arrowport_flight_statement_parameters(const struct arrowport_flight_statement *statement,
                                      struct ArrowSchema *schema, struct arrowport_error *error) {
  return copy_schema(statement, true, schema, error);
}

enum arrowport_status arrowport_flight_statement_bind(struct arrowport_flight_statement *statement,
                                                      const struct ArrowSchema *schema,
                                                      struct ArrowArray *batch,
                                                      struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = public_need(statement, "statement", &why);
  if (status == STATUS_OK) status = public_need(schema, "schema", &why);
  if (status == STATUS_OK) status = public_need(batch, "batch", &why);
  if (status == STATUS_OK)
    status = flight_client_prepared_bind(statement->prepared, schema, batch, &why);
  return public_status(status, &why, error);
}

enum arrowport_status arrowport_flight_statement_query(struct arrowport_flight_statement *statement,
                                                       const struct arrowport_flight_call *given,
                                                       struct ArrowArrayStream *stream,
                                                       struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct public_call call = {.headers = NULL};
  struct flight_reader *reader = NULL;
  enum status status = public_need(statement, "statement", &why);
  if (status == STATUS_OK) status = public_need(stream, "stream", &why);
  if (status == STATUS_OK) status = public_call_read(given, &call, &why);
  if (status == STATUS_OK)
    status = flight_client_prepared_query(statement->prepared, &call.options, &reader, &why);
  if (status == STATUS_OK) status = public_stream(statement->flight, reader, stream, &why);
  public_call_release(&call);
  return public_status(status, &why, error);
}

enum arrowport_status
arrowport_flight_statement_update(struct arrowport_flight_statement *statement,
                                  const struct arrowport_flight_call *given, int64_t *rows,
                                  struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct public_call call = {.headers = NULL};
  int64_t changed = -1;
  enum status status = public_need(statement, "statement", &why);
  if (status == STATUS_OK) status = public_call_read(given, &call, &why);
  if (status == STATUS_OK)
    status = flight_client_prepared_update(statement->prepared, &call.options, &changed, &why);
  if (rows != NULL) *rows = changed;
  public_call_release(&call);
  return public_status(status, &why, error);
}

/* ---- bulk ingest ---------------------------------------------------------------------------------------------- */

static enum status ingest(struct arrowport_flight *flight, struct ArrowArrayStream *stream,
                          const struct arrowport_flight_ingest_options *own, int64_t *rows,
                          struct error *error) {
  struct public_call call = {.headers = NULL};
  struct ipc_writer_options compression;
  struct http_header *settings = NULL;
  struct source *source = NULL;
  struct flight_upload *put = NULL;
  int64_t sent = 0;
  enum status status = public_need(own->table, "table", error);
  if (status == STATUS_OK && ((int)own->if_exists < 0 || (int)own->if_exists > 3 ||
                              (int)own->if_absent < 0 || (int)own->if_absent > 2))
    status = error_set(error, STATUS_INVALID, "if_exists or if_absent is none of its values");
  if (status == STATUS_OK) status = public_call_read(own->call, &call, error);
  if (status == STATUS_OK)
    status = public_compression(own->compression, own->level, &compression, error);
  if (status == STATUS_OK)
    status = public_settings(own->settings, own->setting_count, "setting", &settings, error);
  if (status == STATUS_OK) status = source_open_c_stream(stream, &source, error);
  if (status == STATUS_OK) {
    struct flight_ingest_options options = {
        .table = own->table,
        .schema = own->schema,
        .catalog = own->catalog,
        .temporary = own->temporary,
        .if_exists = (enum flight_if_exists)own->if_exists,
        .if_absent = (enum flight_if_absent)own->if_absent,
        .within = within_of(own->within),
        .options = settings,
        .option_count = own->setting_count,
        .call = &call.options,
        .compression = &compression,
    };
    status = flight_client_sql_ingest(flight->client, &options, source_schema(source), rows, &put,
                                      error);
  }
  if (status == STATUS_OK) status = public_put_rows(source, put, &sent, error);
  flight_upload_free(put);
  source_close(source);
  free(settings);
  public_call_release(&call);
  return status;
}

enum arrowport_status arrowport_flight_ingest(struct arrowport_flight *flight,
                                              struct ArrowArrayStream *stream,
                                              const struct arrowport_flight_ingest_options *options,
                                              int64_t *rows, struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct arrowport_flight_ingest_options own;
  int64_t landed = -1;
  enum status status = public_need(flight, "flight", &why);
  if (status == STATUS_OK) status = public_need(stream, "stream", &why);
  if (status == STATUS_OK)
    status = public_options(options, "arrowport_flight_ingest", &own, sizeof own, &why);
  if (status == STATUS_OK) status = ingest(flight, stream, &own, &landed, &why);
  if (stream != NULL && stream->release != NULL) stream->release(stream);
  if (rows != NULL) *rows = landed;
  return public_status(status, &why, error);
}

/* ---- metadata ---------------------------------------------------------------------------------------------------- */

/* protobuf-c's structs hold what could be written to; nobody does. */
static char *text_of(const char *text) {
  char *same;
  memcpy(&same, &text, sizeof same);
  return same;
}

typedef struct arrowport_flight_metadata_options Asked;

#define SET_OPTIONAL(command, field, case_value, text)                                             \
  do {                                                                                             \
    if ((text) != NULL) {                                                                          \
      (command).optional_##field##_case = case_value;                                              \
      (command).field = text_of(text);                                                             \
    }                                                                                              \
  } while (0)

static enum status read_schemas(struct flight_client *client, const Asked *asked,
                                const struct flight_call_options *options,
                                struct flight_reader **reader, struct error *error) {
  Arrow__Flight__Protocol__Sql__CommandGetDbSchemas command =
      ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_GET_DB_SCHEMAS__INIT;
  SET_OPTIONAL(command, catalog, 1, asked->catalog);
  SET_OPTIONAL(command, db_schema_filter_pattern, 2, asked->schema);
  return flight_client_sql_read(client, &command.base, options, reader, error);
}

static enum status read_tables(struct flight_client *client, const Asked *asked,
                               const struct flight_call_options *options,
                               struct flight_reader **reader, struct error *error) {
  Arrow__Flight__Protocol__Sql__CommandGetTables command =
      ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_GET_TABLES__INIT;
  SET_OPTIONAL(command, catalog, 1, asked->catalog);
  SET_OPTIONAL(command, db_schema_filter_pattern, 2, asked->schema);
  SET_OPTIONAL(command, table_name_filter_pattern, 3, asked->table);
  command.n_table_types = asked->type_count;
  memcpy(&command.table_types, &asked->types, sizeof command.table_types);
  command.include_schema = asked->with_schemas;
  return flight_client_sql_read(client, &command.base, options, reader, error);
}

/* The three commands of keys have the same members. */
#define READ_KEYS(Type, INIT)                                                                      \
  Arrow__Flight__Protocol__Sql__##Type command = ARROW__FLIGHT__PROTOCOL__SQL__##INIT##__INIT;     \
  SET_OPTIONAL(command, catalog, 1, asked->catalog);                                               \
  SET_OPTIONAL(command, db_schema, 2, asked->schema);                                              \
  command.table = text_of(asked->table);                                                           \
  return flight_client_sql_read(client, &command.base, options, reader, error)

static enum status read_primary(struct flight_client *client, const Asked *asked,
                                const struct flight_call_options *options,
                                struct flight_reader **reader, struct error *error) {
  READ_KEYS(CommandGetPrimaryKeys, COMMAND_GET_PRIMARY_KEYS);
}

static enum status read_exported(struct flight_client *client, const Asked *asked,
                                 const struct flight_call_options *options,
                                 struct flight_reader **reader, struct error *error) {
  READ_KEYS(CommandGetExportedKeys, COMMAND_GET_EXPORTED_KEYS);
}

static enum status read_imported(struct flight_client *client, const Asked *asked,
                                 const struct flight_call_options *options,
                                 struct flight_reader **reader, struct error *error) {
  READ_KEYS(CommandGetImportedKeys, COMMAND_GET_IMPORTED_KEYS);
}

static enum status read_cross(struct flight_client *client, const Asked *asked,
                              const struct flight_call_options *options,
                              struct flight_reader **reader, struct error *error) {
  Arrow__Flight__Protocol__Sql__CommandGetCrossReference command =
      ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_GET_CROSS_REFERENCE__INIT;
  if (asked->foreign_table == NULL)
    return error_set(error, STATUS_INVALID, "foreign_table is NULL");
  SET_OPTIONAL(command, pk_catalog, 1, asked->catalog);
  SET_OPTIONAL(command, pk_db_schema, 2, asked->schema);
  SET_OPTIONAL(command, fk_catalog, 4, asked->foreign_catalog);
  SET_OPTIONAL(command, fk_db_schema, 5, asked->foreign_schema);
  command.pk_table = text_of(asked->table);
  command.fk_table = text_of(asked->foreign_table);
  return flight_client_sql_read(client, &command.base, options, reader, error);
}

static enum status read_sql_info(struct flight_client *client, const Asked *asked,
                                 const struct flight_call_options *options,
                                 struct flight_reader **reader, struct error *error) {
  Arrow__Flight__Protocol__Sql__CommandGetSqlInfo command =
      ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_GET_SQL_INFO__INIT;
  command.n_info = asked->number_count;
  memcpy(&command.info, &asked->numbers, sizeof command.info);
  return flight_client_sql_read(client, &command.base, options, reader, error);
}

static enum status read_types(struct flight_client *client, const Asked *asked,
                              const struct flight_call_options *options,
                              struct flight_reader **reader, struct error *error) {
  Arrow__Flight__Protocol__Sql__CommandGetXdbcTypeInfo command =
      ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_GET_XDBC_TYPE_INFO__INIT;
  if (asked->number_count > 1)
    return error_set(error, STATUS_INVALID, "one type can be asked for, or all");
  if (asked->number_count == 1) {
    command.optional_data_type_case = 1;
    command.data_type = (int32_t)asked->numbers[0];
  }
  return flight_client_sql_read(client, &command.base, options, reader, error);
}

static enum status read_metadata(struct flight_client *client, const Asked *asked,
                                 const struct flight_call_options *options,
                                 struct flight_reader **reader, struct error *error) {
  Arrow__Flight__Protocol__Sql__CommandGetCatalogs catalogs =
      ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_GET_CATALOGS__INIT;
  Arrow__Flight__Protocol__Sql__CommandGetTableTypes table_types =
      ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_GET_TABLE_TYPES__INIT;
  bool needs_table = asked->what >= ARROWPORT_FLIGHT_PRIMARY_KEYS &&
                     asked->what <= ARROWPORT_FLIGHT_CROSS_REFERENCE;
  if (needs_table && asked->table == NULL)
    return error_set(error, STATUS_INVALID, "keys are those of a table: table is NULL");
  if ((asked->type_count > 0 && asked->types == NULL) ||
      (asked->number_count > 0 && asked->numbers == NULL))
    return error_set(error, STATUS_INVALID, "types or numbers is NULL");
  switch (asked->what) {
  case ARROWPORT_FLIGHT_CATALOGS:
    return flight_client_sql_read(client, &catalogs.base, options, reader, error);
  case ARROWPORT_FLIGHT_SCHEMAS: return read_schemas(client, asked, options, reader, error);
  case ARROWPORT_FLIGHT_TABLES: return read_tables(client, asked, options, reader, error);
  case ARROWPORT_FLIGHT_TABLE_TYPES:
    return flight_client_sql_read(client, &table_types.base, options, reader, error);
  case ARROWPORT_FLIGHT_PRIMARY_KEYS: return read_primary(client, asked, options, reader, error);
  case ARROWPORT_FLIGHT_EXPORTED_KEYS: return read_exported(client, asked, options, reader, error);
  case ARROWPORT_FLIGHT_IMPORTED_KEYS: return read_imported(client, asked, options, reader, error);
  case ARROWPORT_FLIGHT_CROSS_REFERENCE: return read_cross(client, asked, options, reader, error);
  case ARROWPORT_FLIGHT_SQL_INFO: return read_sql_info(client, asked, options, reader, error);
  case ARROWPORT_FLIGHT_TYPE_INFO: return read_types(client, asked, options, reader, error);
  }
  return error_set(error, STATUS_INVALID, "%d is no metadata", (int)asked->what);
}

enum arrowport_status
arrowport_flight_metadata(struct arrowport_flight *flight,
                          const struct arrowport_flight_metadata_options *options,
                          struct ArrowArrayStream *stream, struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct arrowport_flight_metadata_options own;
  struct public_call call = {.headers = NULL};
  struct flight_reader *reader = NULL;
  enum status status = public_need(flight, "flight", &why);
  if (status == STATUS_OK) status = public_need(stream, "stream", &why);
  if (status == STATUS_OK)
    status = public_options(options, "arrowport_flight_metadata", &own, sizeof own, &why);
  if (status == STATUS_OK) status = public_call_read(own.call, &call, &why);
  if (status == STATUS_OK)
    status = read_metadata(flight->client, &own, &call.options, &reader, &why);
  if (status == STATUS_OK) status = public_stream(flight, reader, stream, &why);
  public_call_release(&call);
  return public_status(status, &why, error);
}

/* ---- sessions ------------------------------------------------------------------------------------------------------- */

enum arrowport_status arrowport_flight_session_set(struct arrowport_flight *flight,
                                                   const char *name, const char *value,
                                                   const struct arrowport_flight_call *given,
                                                   struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct public_call call = {.headers = NULL};
  FlightSessionValue text = ARROW__FLIGHT__PROTOCOL__SESSION_OPTION_VALUE__INIT;
  enum status status = public_need(flight, "flight", &why);
  if (status == STATUS_OK) status = public_need(name, "name", &why);
  if (status == STATUS_OK) status = public_call_read(given, &call, &why);
  text.option_value_case = ARROW__FLIGHT__PROTOCOL__SESSION_OPTION_VALUE__OPTION_VALUE_STRING_VALUE;
  text.string_value = text_of(value);
  if (status == STATUS_OK)
    status = flight_client_session_set(flight->client, name, value == NULL ? NULL : &text,
                                       &call.options, &why);
  public_call_release(&call);
  return public_status(status, &why, error);
}

struct session_listener {
  bool (*each)(void *context, const char *name, const char *value);
  void *context;
  bool has_enough;
};

static json_t *json_of_list(const Arrow__Flight__Protocol__SessionOptionValue__StringListValue *l) {
  json_t *list = json_array();
  for (size_t i = 0; i < l->n_values; i++) json_array_append_new(list, json_string(l->values[i]));
  return list;
}

static json_t *json_of_value(const FlightSessionValue *value) {
  switch (value->option_value_case) {
  case ARROW__FLIGHT__PROTOCOL__SESSION_OPTION_VALUE__OPTION_VALUE_BOOL_VALUE:
    return json_boolean(value->bool_value);
  case ARROW__FLIGHT__PROTOCOL__SESSION_OPTION_VALUE__OPTION_VALUE_INT64_VALUE:
    return json_integer(value->int64_value);
  case ARROW__FLIGHT__PROTOCOL__SESSION_OPTION_VALUE__OPTION_VALUE_DOUBLE_VALUE:
    return json_real(value->double_value);
  case ARROW__FLIGHT__PROTOCOL__SESSION_OPTION_VALUE__OPTION_VALUE_STRING_LIST_VALUE:
    return json_of_list(value->string_list_value);
  default: return json_null();
  }
}

static enum status on_value(void *context, const char *name, const FlightSessionValue *value,
                            struct error *error) {
  struct session_listener *listener = context;
  bool is_text = value->option_value_case ==
                 ARROW__FLIGHT__PROTOCOL__SESSION_OPTION_VALUE__OPTION_VALUE_STRING_VALUE;
  json_t *json = is_text ? NULL : json_of_value(value);
  char *printed = is_text ? NULL : json_dumps(json, JSON_ENCODE_ANY);
  const char *text = is_text ? value->string_value : printed;
  if (listener->each != NULL && text != NULL)
    listener->has_enough = !listener->each(listener->context, name, text);
  free(printed);
  json_decref(json);
  return listener->has_enough ? error_set(error, STATUS_CANCELLED, "that is enough") : STATUS_OK;
}

enum arrowport_status arrowport_flight_session_get(struct arrowport_flight *flight,
                                                   const struct arrowport_flight_call *given,
                                                   bool (*each)(void *context, const char *name,
                                                                const char *value),
                                                   void *context, struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct public_call call = {.headers = NULL};
  struct session_listener listener = {.each = each, .context = context};
  enum status status = public_need(flight, "flight", &why);
  if (status == STATUS_OK) status = public_call_read(given, &call, &why);
  if (status == STATUS_OK)
    status = flight_client_session_get(flight->client, &call.options, on_value, &listener, &why);
  if (listener.has_enough) status = STATUS_OK;
  public_call_release(&call);
  return public_status(status, &why, error);
}

enum arrowport_status arrowport_flight_session_close(struct arrowport_flight *flight,
                                                     const struct arrowport_flight_call *given,
                                                     struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct public_call call = {.headers = NULL};
  enum status status = public_need(flight, "flight", &why);
  if (status == STATUS_OK) status = public_call_read(given, &call, &why);
  if (status == STATUS_OK)
    status = flight_client_session_close(flight->client, &call.options, &why);
  public_call_release(&call);
  return public_status(status, &why, error);
}
