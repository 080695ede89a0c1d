/* Flight SQL: commands in an Any, read with GetFlightInfo and DoGet, written with DoPut, and actions. */
#include <stdlib.h>
#include <string.h>

#include "arrow/schema.h"
#include "flight/client_private.h"

static struct budget unlimited = {.limit_bytes = INT64_MAX};

void flight_client_handle_release(struct flight_client_handle *handle) {
  buffer_release(&handle->bytes);
}

enum status flight_client_handle_copy(const ProtobufCBinaryData *bytes,
                                      struct flight_client_handle *handle, struct error *error) {
  handle->bytes = BUFFER_EMPTY;
  if (bytes == NULL || bytes->len == 0)
    return error_set(error, STATUS_INVALID, "the server answers without a handle");
  return buffer_append(&handle->bytes, &unlimited, bytes->data, (int64_t)bytes->len, error);
}

char *flight_client_text(const char *text) {
  char *same;
  memcpy(&same, &text, sizeof same);
  return same;
}

enum status flight_client_sql_pack(const ProtobufCMessage *command, struct buffer *packed,
                                   struct error *error) {
  Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
  struct text url = TEXT_EMPTY;
  struct buffer value = BUFFER_EMPTY;
  enum status status =
      text_add_format(&url, error, "type.googleapis.com/%s", command->descriptor->name);
  if (status == STATUS_OK) status = flight_client_pack(command, &value, error);
  if (status == STATUS_OK) {
    any.type_url = url.data;
    any.value = (ProtobufCBinaryData){(size_t)value.size_bytes, value.data};
    status = flight_client_pack(&any.base, packed, error);
  }
  buffer_release(&value);
  text_release(&url);
  return status;
}

/* ---- reading ---------------------------------------------------------------------------------------- */

enum status flight_client_sql_read(struct flight_client *client, const ProtobufCMessage *command,
                                   const struct flight_call_options *options,
                                   struct flight_reader **reader, struct error *error) {
  FlightDescriptor descriptor = ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__INIT;
  FlightInfo *info = NULL;
  struct buffer packed = BUFFER_EMPTY;
  bool is_metadata = strncmp(command->descriptor->short_name, "CommandGet", 10) == 0;
  *reader = NULL;
  enum status status = flight_client_sql_pack(command, &packed, error);
  if (status != STATUS_OK) return status;
  descriptor.type = ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__DESCRIPTOR_TYPE__CMD;
  descriptor.cmd = (ProtobufCBinaryData){(size_t)packed.size_bytes, packed.data};
  status = flight_client_ask_one(client, FLIGHT_METHOD("GetFlightInfo"), &descriptor.base,
                                 is_metadata, options, &FLIGHT(flight_info__descriptor),
                                 (ProtobufCMessage **)&info, error);
  if (status == STATUS_OK) status = flight_reader_open(client, info, options, reader, error);
  if (info != NULL) FLIGHT(flight_info__free_unpacked)(info, NULL);
  buffer_release(&packed);
  return status;
}

enum status flight_client_sql_query(struct flight_client *client, const char *sql,
                                    const struct flight_client_handle *within,
                                    const struct flight_call_options *options,
                                    struct flight_reader **reader, struct error *error) {
  Arrow__Flight__Protocol__Sql__CommandStatementQuery command =
      ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_STATEMENT_QUERY__INIT;
  command.query = flight_client_text(sql);
  if (within != NULL) {
    command.optional_transaction_id_case =
        ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_STATEMENT_QUERY__OPTIONAL_TRANSACTION_ID_TRANSACTION_ID;
    command.transaction_id = flight_client_handle_bytes(within);
  }
  return flight_client_sql_read(client, &command.base, options, reader, error);
}

/* ---- writing ------------------------------------------------------------------------------------------ */

/* What a PutResult of an update says. */
enum status flight_client_take_count(void *context, const void *data, size_t bytes,
                                     struct error *error) {
  int64_t *rows = context;
  ProtobufCMessage *unpacked = NULL;
  enum status status = flight_client_unpack(&FLIGHT_SQL(do_put_update_result__descriptor), data,
                                            bytes, &unpacked, error);
  if (status != STATUS_OK) return status;
  *rows = ((Arrow__Flight__Protocol__Sql__DoPutUpdateResult *)(void *)unpacked)->record_count;
  protobuf_c_message_free_unpacked(unpacked, NULL);
  return STATUS_OK;
}

struct values {
  const struct ArrowSchema *schema; /* NULL: there are none */
  struct ArrowArray *batch;
};

static enum status open_command(struct flight_client *client, const ProtobufCMessage *command,
                                const struct ArrowSchema *schema,
                                const struct flight_upload_options *options,
                                struct flight_upload **put, struct error *error) {
  FlightDescriptor descriptor = ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__INIT;
  struct buffer packed = BUFFER_EMPTY;
  enum status status = flight_client_sql_pack(command, &packed, error);
  if (status == STATUS_OK) {
    descriptor.type = ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__DESCRIPTOR_TYPE__CMD;
    descriptor.cmd = (ProtobufCBinaryData){(size_t)packed.size_bytes, packed.data};
    status = flight_upload_open(client, &descriptor, schema, options, put, error);
  }
  buffer_release(&packed);
  return status;
}

/* A DoPut of a command with values or without any. The batch is taken in any case. */
static enum status put_command(struct flight_client *client, const ProtobufCMessage *command,
                               struct values *values, const struct flight_upload_options *options,
                               struct error *error) {
  struct ArrowSchema none = {.release = NULL};
  struct flight_upload *put = NULL;
  enum status status = STATUS_OK;
  if (values->schema == NULL) status = arrow_schema_init(&none, "+s", "", false, 0, error);
  if (status == STATUS_OK)
    status = open_command(client, command, values->schema == NULL ? &none : values->schema, options,
                          &put, error);
  if (status == STATUS_OK && values->schema != NULL)
    status = flight_upload_batch(put, values->batch, NULL, error);
  if (status == STATUS_OK) status = flight_upload_finish(put, error);
  if (values->schema != NULL) arrow_array_release(values->batch);
  flight_upload_free(put);
  arrow_schema_release(&none);
  return status;
}

enum status flight_client_sql_update(struct flight_client *client, const char *sql,
                                     const struct flight_client_handle *within,
                                     const struct flight_call_options *options, int64_t *rows,
                                     struct error *error) {
  Arrow__Flight__Protocol__Sql__CommandStatementUpdate command =
      ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_STATEMENT_UPDATE__INIT;
  struct flight_upload_options put = {
      .call = options, .result = flight_client_take_count, .context = rows};
  struct values none = {.schema = NULL};
  command.query = flight_client_text(sql);
  if (within != NULL) {
    command.optional_transaction_id_case =
        ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_STATEMENT_UPDATE__OPTIONAL_TRANSACTION_ID_TRANSACTION_ID;
    command.transaction_id = flight_client_handle_bytes(within);
  }
  *rows = -1;
  return put_command(client, &command.base, &none, &put, error);
}

/* ---- prepared statements ---------------------------------------------------------------------------------- */

struct flight_client_prepared {
  struct flight_client *client;
  struct flight_client_handle handle;
  struct ArrowSchema schema;
  struct ArrowSchema parameters;
  struct ArrowSchema values_schema; /* bound: for the next execution */
  struct ArrowArray values;
};

static enum status read_schema(const ProtobufCBinaryData *bytes, struct ArrowSchema *schema,
                               struct error *error) {
  return bytes->len == 0 ? STATUS_OK : flight_schema_read(bytes->data, bytes->len, schema, error);
}

static enum status take_prepared(struct flight_client_prepared *statement,
                                 const ProtobufCMessage *answer, struct error *error) {
  const Arrow__Flight__Protocol__Sql__ActionCreatePreparedStatementResult *result =
      (const void *)answer;
  if (result == NULL)
    return error_set(error, STATUS_INVALID, "CreatePreparedStatement: the server answers nothing");
  enum status status =
      flight_client_handle_copy(&result->prepared_statement_handle, &statement->handle, error);
  if (status == STATUS_OK) status = read_schema(&result->dataset_schema, &statement->schema, error);
  if (status == STATUS_OK)
    status = read_schema(&result->parameter_schema, &statement->parameters, error);
  return status;
}

enum status flight_client_prepared_open(struct flight_client *client, const char *sql,
                                        const struct flight_client_handle *within,
                                        const struct flight_call_options *options,
                                        struct flight_client_prepared **statement,
                                        struct error *error) {
  Arrow__Flight__Protocol__Sql__ActionCreatePreparedStatementRequest request =
      ARROW__FLIGHT__PROTOCOL__SQL__ACTION_CREATE_PREPARED_STATEMENT_REQUEST__INIT;
  ProtobufCMessage *answer = NULL;
  struct flight_client_prepared *made = calloc(1, sizeof *made);
  *statement = NULL;
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a statement");
  made->client = client;
  request.query = flight_client_text(sql);
  if (within != NULL) {
    request.optional_transaction_id_case =
        ARROW__FLIGHT__PROTOCOL__SQL__ACTION_CREATE_PREPARED_STATEMENT_REQUEST__OPTIONAL_TRANSACTION_ID_TRANSACTION_ID;
    request.transaction_id = flight_client_handle_bytes(within);
  }
  enum status status = flight_client_action_one(
      client, "CreatePreparedStatement", &request.base, true, options,
      &FLIGHT_SQL(action_create_prepared_statement_result__descriptor), &answer, error);
  if (status == STATUS_OK) status = take_prepared(made, answer, error);
  if (answer != NULL) protobuf_c_message_free_unpacked(answer, NULL);
  if (status == STATUS_OK)
    *statement = made;
  else
    flight_client_prepared_close(made);
  return status;
}

const struct ArrowSchema *
flight_client_prepared_schema(const struct flight_client_prepared *statement) {
  return statement->schema.release == NULL ? NULL : &statement->schema;
}

const struct ArrowSchema *
flight_client_prepared_parameters(const struct flight_client_prepared *statement) {
  return statement->parameters.release == NULL ? NULL : &statement->parameters;
}

enum status flight_client_prepared_bind(struct flight_client_prepared *statement,
                                        const struct ArrowSchema *schema, struct ArrowArray *batch,
                                        struct error *error) {
  struct ArrowSchema copy = {.release = NULL};
  enum status status = arrow_schema_copy(schema, &copy, error);
  if (status != STATUS_OK) return status;
  arrow_schema_release(&statement->values_schema);
  arrow_array_release(&statement->values);
  statement->values_schema = copy;
  arrow_array_move(batch, &statement->values);
  return STATUS_OK;
}

/* A server may answer with another handle, which has the values in it. */
static enum status take_handle(void *context, const void *data, size_t bytes, struct error *error) {
  struct flight_client_prepared *statement = context;
  ProtobufCMessage *unpacked = NULL;
  struct flight_client_handle handle = {.bytes = BUFFER_EMPTY};
  enum status status = flight_client_unpack(
      &FLIGHT_SQL(do_put_prepared_statement_result__descriptor), data, bytes, &unpacked, error);
  if (status != STATUS_OK) return status;
  const Arrow__Flight__Protocol__Sql__DoPutPreparedStatementResult *result = (void *)unpacked;
  if (result->optional_prepared_statement_handle_case ==
          ARROW__FLIGHT__PROTOCOL__SQL__DO_PUT_PREPARED_STATEMENT_RESULT__OPTIONAL_PREPARED_STATEMENT_HANDLE_PREPARED_STATEMENT_HANDLE &&
      result->prepared_statement_handle.len > 0) {
    status = flight_client_handle_copy(&result->prepared_statement_handle, &handle, error);
    if (status == STATUS_OK) {
      flight_client_handle_release(&statement->handle);
      statement->handle = handle;
    }
  }
  protobuf_c_message_free_unpacked(unpacked, NULL);
  return status;
}

enum status flight_client_prepared_query(struct flight_client_prepared *statement,
                                         const struct flight_call_options *options,
                                         struct flight_reader **reader, struct error *error) {
  Arrow__Flight__Protocol__Sql__CommandPreparedStatementQuery command =
      ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_PREPARED_STATEMENT_QUERY__INIT;
  struct flight_upload_options put = {.call = options, .result = take_handle, .context = statement};
  struct values values = {&statement->values_schema, &statement->values};
  enum status status = STATUS_OK;
  command.prepared_statement_handle = flight_client_handle_bytes(&statement->handle);
  *reader = NULL;
  if (statement->values.release != NULL)
    status = put_command(statement->client, &command.base, &values, &put, error);
  command.prepared_statement_handle = flight_client_handle_bytes(&statement->handle);
  if (status == STATUS_OK)
    status = flight_client_sql_read(statement->client, &command.base, options, reader, error);
  return status;
}

enum status flight_client_prepared_update(struct flight_client_prepared *statement,
                                          const struct flight_call_options *options, int64_t *rows,
                                          struct error *error) {
  Arrow__Flight__Protocol__Sql__CommandPreparedStatementUpdate command =
      ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_PREPARED_STATEMENT_UPDATE__INIT;
  struct flight_upload_options put = {
      .call = options, .result = flight_client_take_count, .context = rows};
  struct values values = {.schema = NULL};
  if (statement->values.release != NULL)
    values = (struct values){&statement->values_schema, &statement->values};
  command.prepared_statement_handle = flight_client_handle_bytes(&statement->handle);
  *rows = -1;
  return put_command(statement->client, &command.base, &values, &put, error);
}

void flight_client_prepared_close(struct flight_client_prepared *statement) {
  if (statement == NULL) return;
  if (statement->handle.bytes.size_bytes > 0) {
    Arrow__Flight__Protocol__Sql__ActionClosePreparedStatementRequest request =
        ARROW__FLIGHT__PROTOCOL__SQL__ACTION_CLOSE_PREPARED_STATEMENT_REQUEST__INIT;
    struct flight_call_options soon = {.timeout_ms = 10000};
    struct error ignored; /* the server forgets it by itself, later */
    request.prepared_statement_handle = flight_client_handle_bytes(&statement->handle);
    if (flight_client_action_one(statement->client, "ClosePreparedStatement", &request.base, true,
                                 &soon, NULL, NULL, &ignored) != STATUS_OK)
      ignored.status = STATUS_OK;
  }
  flight_client_handle_release(&statement->handle);
  arrow_schema_release(&statement->schema);
  arrow_schema_release(&statement->parameters);
  arrow_schema_release(&statement->values_schema);
  arrow_array_release(&statement->values);
  free(statement);
}
