/* Flight SQL: transactions, savepoints, bulk ingest. */
#include <stdlib.h>
#include <string.h>

#include "flight/client_private.h"

enum status flight_client_sql_begin(struct flight_client *client,
                                    const struct flight_call_options *options,
                                    struct flight_client_handle *transaction, struct error *error) {
  Arrow__Flight__Protocol__Sql__ActionBeginTransactionRequest request =
      ARROW__FLIGHT__PROTOCOL__SQL__ACTION_BEGIN_TRANSACTION_REQUEST__INIT;
  Arrow__Flight__Protocol__Sql__ActionBeginTransactionResult *result;
  ProtobufCMessage *answer = NULL;
  enum status status = flight_client_action_one(
      client, "BeginTransaction", &request.base, true, options,
      &FLIGHT_SQL(action_begin_transaction_result__descriptor), &answer, error);
  if (status != STATUS_OK) return status;
  result = (void *)answer;
  status = flight_client_handle_copy(result == NULL ? NULL : &result->transaction_id, transaction,
                                     error);
  if (answer != NULL) protobuf_c_message_free_unpacked(answer, NULL);
  return status;
}

enum status flight_client_sql_end(struct flight_client *client,
                                  const struct flight_client_handle *transaction, bool commit,
                                  const struct flight_call_options *options, struct error *error) {
  Arrow__Flight__Protocol__Sql__ActionEndTransactionRequest request =
      ARROW__FLIGHT__PROTOCOL__SQL__ACTION_END_TRANSACTION_REQUEST__INIT;
  request.transaction_id = flight_client_handle_bytes(transaction);
  request.action =
      commit
          ? ARROW__FLIGHT__PROTOCOL__SQL__ACTION_END_TRANSACTION_REQUEST__END_TRANSACTION__END_TRANSACTION_COMMIT
          : ARROW__FLIGHT__PROTOCOL__SQL__ACTION_END_TRANSACTION_REQUEST__END_TRANSACTION__END_TRANSACTION_ROLLBACK;
  return flight_client_action_one(client, "EndTransaction", &request.base, true, options, NULL,
                                  NULL, error);
}

enum status flight_client_sql_savepoint(struct flight_client *client,
                                        const struct flight_client_handle *transaction,
                                        const char *name, const struct flight_call_options *options,
                                        struct flight_client_handle *savepoint,
                                        struct error *error) {
  Arrow__Flight__Protocol__Sql__ActionBeginSavepointRequest request =
      ARROW__FLIGHT__PROTOCOL__SQL__ACTION_BEGIN_SAVEPOINT_REQUEST__INIT;
  Arrow__Flight__Protocol__Sql__ActionBeginSavepointResult *result;
  ProtobufCMessage *answer = NULL;
  request.transaction_id = flight_client_handle_bytes(transaction);
  request.name = flight_client_text(name);
  enum status status = flight_client_action_one(
      client, "BeginSavepoint", &request.base, true, options,
      &FLIGHT_SQL(action_begin_savepoint_result__descriptor), &answer, error);
  if (status != STATUS_OK) return status;
  result = (void *)answer;
  status =
      flight_client_handle_copy(result == NULL ? NULL : &result->savepoint_id, savepoint, error);
  if (answer != NULL) protobuf_c_message_free_unpacked(answer, NULL);
  return status;
}

enum status flight_client_sql_end_savepoint(struct flight_client *client,
                                            const struct flight_client_handle *savepoint,
                                            bool release, const struct flight_call_options *options,
                                            struct error *error) {
  Arrow__Flight__Protocol__Sql__ActionEndSavepointRequest request =
      ARROW__FLIGHT__PROTOCOL__SQL__ACTION_END_SAVEPOINT_REQUEST__INIT;
  request.savepoint_id = flight_client_handle_bytes(savepoint);
  request.action =
      release
          ? ARROW__FLIGHT__PROTOCOL__SQL__ACTION_END_SAVEPOINT_REQUEST__END_SAVEPOINT__END_SAVEPOINT_RELEASE
          : ARROW__FLIGHT__PROTOCOL__SQL__ACTION_END_SAVEPOINT_REQUEST__END_SAVEPOINT__END_SAVEPOINT_ROLLBACK;
  return flight_client_action_one(client, "EndSavepoint", &request.base, true, options, NULL, NULL,
                                  error);
}

/* ---- bulk ingest --------------------------------------------------------------------------------------- */

typedef Arrow__Flight__Protocol__Sql__CommandStatementIngest Ingest;
typedef Arrow__Flight__Protocol__Sql__CommandStatementIngest__OptionsEntry IngestOption;
typedef Arrow__Flight__Protocol__Sql__CommandStatementIngest__TableDefinitionOptions Definition;

enum { OPTIONS_MAX = 1000 };

static void fill_definition(const struct flight_ingest_options *options, Definition *definition) {
  /* The numbers are those of the specification. */
  definition->if_exists =
      (Arrow__Flight__Protocol__Sql__CommandStatementIngest__TableDefinitionOptions__TableExistsOption)
          options->if_exists;
  definition->if_not_exist =
      (Arrow__Flight__Protocol__Sql__CommandStatementIngest__TableDefinitionOptions__TableNotExistOption)
          options->if_absent;
}

static void fill_names(const struct flight_ingest_options *options, Ingest *command) {
  command->table = flight_client_text(options->table);
  command->temporary = options->temporary;
  if (options->schema != NULL) {
    command->optional_schema_case =
        ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_STATEMENT_INGEST__OPTIONAL_SCHEMA_SCHEMA;
    command->schema = flight_client_text(options->schema);
  }
  if (options->catalog != NULL) {
    command->optional_catalog_case =
        ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_STATEMENT_INGEST__OPTIONAL_CATALOG_CATALOG;
    command->catalog = flight_client_text(options->catalog);
  }
  if (options->within != NULL) {
    command->optional_transaction_id_case =
        ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_STATEMENT_INGEST__OPTIONAL_TRANSACTION_ID_TRANSACTION_ID;
    command->transaction_id = flight_client_handle_bytes(options->within);
  }
}

enum status flight_client_sql_ingest(struct flight_client *client,
                                     const struct flight_ingest_options *options,
                                     const struct ArrowSchema *schema, int64_t *rows,
                                     struct flight_upload **put, struct error *error) {
  FlightDescriptor descriptor = ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__INIT;
  Ingest command = ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_STATEMENT_INGEST__INIT;
  Definition definition =
      ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_STATEMENT_INGEST__TABLE_DEFINITION_OPTIONS__INIT;
  struct flight_upload_options put_options = {.call = options->call,
                                              .compression = options->compression,
                                              .result = flight_client_take_count,
                                              .context = rows};
  struct buffer packed = BUFFER_EMPTY;
  *put = NULL;
  *rows = -1;
  if (options->option_count > OPTIONS_MAX)
    return error_set(error, STATUS_TOO_LARGE, "more than %d options", OPTIONS_MAX);
  IngestOption *entries = calloc(options->option_count + 1, sizeof entries[0]);
  IngestOption **list = calloc(options->option_count + 1, sizeof list[0]);
  enum status status = STATUS_OK;
  if (entries == NULL || list == NULL) {
    status = error_set(error, STATUS_NOMEM, "no memory for options");
    goto done;
  }
  for (size_t i = 0; i < options->option_count; i++) {
    IngestOption entry =
        ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_STATEMENT_INGEST__OPTIONS_ENTRY__INIT;
    entry.key = flight_client_text(options->options[i].name);
    entry.value = flight_client_text(options->options[i].value);
    entries[i] = entry;
    list[i] = &entries[i];
  }
  command.n_options = options->option_count;
  command.options = list;
  command.table_definition_options = &definition;
  fill_definition(options, &definition);
  fill_names(options, &command);
  status = flight_client_sql_pack(&command.base, &packed, error);
  if (status == STATUS_OK) {
    descriptor.type = ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__DESCRIPTOR_TYPE__CMD;
    descriptor.cmd = (ProtobufCBinaryData){(size_t)packed.size_bytes, packed.data};
    status = flight_upload_open(client, &descriptor, schema, &put_options, put, error);
  }
done:
  buffer_release(&packed);
  free(list);
  free(entries);
  return status;
}
