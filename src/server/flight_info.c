/* What a descriptor or a ticket asks for, and what there is to know of it: GetFlightInfo, PollFlightInfo,
 * GetSchema.
 *
 * Whatever way a request is written, it becomes a command in a google.protobuf.Any: those of Flight SQL
 * as they came, tables and SQL that were asked for by a path or as JSON as commands of our own, which have
 * a JSON text for a value. A ticket is that Any, sealed. */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "flight/data.h"
#include "server/flight_handle.h"
#include "server/flight_methods.h"
#include "server/ingest.h"
#include "server/query_ask.h"

#define COMMAND_TABLE "arrowport/Table"
#define COMMAND_QUERY "arrowport/Query"

/* ---- commands of our own ------------------------------------------------------------------------- */

static enum status make_command(const char *type_url, const char *json, size_t bytes,
                                struct flight_request *request, struct error *error) {
  Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
  any.type_url = (char *)(uintptr_t)type_url;
  any.value = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)json, .len = bytes};
  *request = (struct flight_request){.bytes = BUFFER_EMPTY};
  enum status status = buffer_reserve(&request->bytes, &flight_uncounted,
                                      (int64_t)google__protobuf__any__get_packed_size(&any), error);
  if (status != STATUS_OK) return status;
  request->bytes.size_bytes = (int64_t)google__protobuf__any__pack(&any, request->bytes.data);
  return flight_command_read(request->bytes.data, (size_t)request->bytes.size_bytes,
                             &request->command, &request->any, error);
}

void flight_request_release(struct flight_request *request) {
  if (request->any != NULL) google__protobuf__any__free_unpacked(request->any, NULL);
  buffer_release(&request->bytes);
  *request = (struct flight_request){.command = NULL};
}

/* {"table": ..., "version": ...} of a table; `version` -1: as it is. */
static enum status table_command(const struct table_name *table, int64_t version,
                                 struct flight_request *request, struct error *error) {
  struct text name = TEXT_EMPTY, json = TEXT_EMPTY;
  enum status status = table_name_print(table, &name, error);
  if (status == STATUS_OK) status = text_add(&json, "{\"table\":", error);
  if (status == STATUS_OK) status = text_add_json(&json, text_get(&name), name.size_bytes, error);
  if (status == STATUS_OK && version >= 0)
    status = text_add_format(&json, error, ",\"version\":%lld", (long long)version);
  if (status == STATUS_OK) status = text_add(&json, "}", error);
  if (status == STATUS_OK)
    status = make_command(COMMAND_TABLE, text_get(&json), json.size_bytes, request, error);
  text_release(&name);
  text_release(&json);
  return status;
}

/* The table of a stream: the one that it is routed to, or that of its name. */
static enum status stream_table(struct flight_ask *ask, const char *stream,
                                struct table_name *table, struct error *error) {
  struct ingest_target target;
  enum status status = ingest_route(ask->config, stream, &target, error);
  if (status != STATUS_OK) return status;
  *table = target.table;
  return server_config_place(ask->config, table, &target.backend, error);
}

/* A table by its name: full, a lake's where the default storage is one. */
static enum status place_table(struct flight_ask *ask, const char *name, size_t bytes,
                               struct table_name *table, struct error *error) {
  const char *backend = server_config_lake_path(ask->config->storage_backend) != NULL
                            ? ask->config->storage_backend
                            : "duckdb";
  enum status status = table_name_parse(name, bytes, table, error);
  return status == STATUS_OK ? server_config_place(ask->config, table, &backend, error) : status;
}

enum status flight_request_path(struct flight_ask *ask, char *const *path, size_t count,
                                struct flight_request *request, struct error *error) {
  struct table_name table;
  struct text name = TEXT_EMPTY;
  enum status status = STATUS_OK;
  *request = (struct flight_request){.command = NULL};
  if (count == 0 || count > 3)
    return error_set(error, STATUS_INVALID,
                     "a path names a stream, or a table: [\"stream\"], [\"schema\", \"table\"] or "
                     "[\"catalog\", \"schema\", \"table\"]; this one has %zu parts",
                     count);
  if (count == 1) {
    status = stream_table(ask, path[0], &table, error);
  } else {
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
      if (i > 0) status = text_add(&name, ".", error);
      if (status == STATUS_OK) status = text_add_identifier(&name, path[i], error);
    }
    if (status == STATUS_OK)
      status = place_table(ask, text_get(&name), name.size_bytes, &table, error);
  }
  if (status == STATUS_OK) status = table_command(&table, -1, request, error);
  text_release(&name);
  return status;
}

/* ---- JSON ------------------------------------------------------------------------------------------- */

static enum status read_version(const json_t *root, int64_t *version, struct error *error) {
  const json_t *value = json_object_get(root, "version");
  *version = -1;
  if (value == NULL || json_is_null(value)) return STATUS_OK;
  if (json_is_integer(value) && json_integer_value(value) >= 0) {
    *version = json_integer_value(value);
    return STATUS_OK;
  }
  return error_set(error, STATUS_INVALID, "\"version\" must be a whole number, 0 or more");
}

/* {"table"} or {"stream_name"}, with a version or without. */
static enum status json_table(struct flight_ask *ask, const json_t *root,
                              struct flight_request *request, struct error *error) {
  const json_t *table = json_object_get(root, "table");
  const json_t *stream = json_object_get(root, "stream_name");
  const json_t *name = table != NULL ? table : stream;
  struct table_name placed;
  int64_t version = -1;
  if (name == NULL)
    return error_set(error, STATUS_INVALID,
                     "the JSON asks for nothing: write {\"sql\": ...}, {\"table\": ...} or "
                     "{\"stream_name\": ...}");
  if (!json_is_string(name))
    return error_set(error, STATUS_INVALID, "\"%s\" must be a string",
                     table != NULL ? "table" : "stream_name");
  enum status status = read_version(root, &version, error);
  if (status == STATUS_OK)
    status = table != NULL ? place_table(ask, json_string_value(name), json_string_length(name),
                                         &placed, error)
                           : stream_table(ask, json_string_value(name), &placed, error);
  return status == STATUS_OK ? table_command(&placed, version, request, error) : status;
}

enum status flight_request_json(struct flight_ask *ask, const void *json, size_t bytes,
                                struct flight_request *request, struct error *error) {
  json_error_t why;
  json_t *root = json_loadb(json, bytes, JSON_REJECT_DUPLICATES, &why);
  *request = (struct flight_request){.command = NULL};
  if (!json_is_object(root)) {
    json_decref(root);
    return error_set(error, STATUS_INVALID, "the JSON cannot be read: %s",
                     root == NULL ? why.text : "it is no object");
  }
  enum status status;
  if (json_object_get(root, "sql") != NULL) {
    struct query_ask asked = QUERY_ASK_EMPTY;
    status = query_ask_json(&asked, json, bytes, error);
    query_ask_release(&asked);
    if (status == STATUS_OK) status = make_command(COMMAND_QUERY, json, bytes, request, error);
  } else {
    status = json_table(ask, root, request, error);
  }
  json_decref(root);
  return status;
}

static bool is_json(const void *data, size_t bytes) {
  const char *at = data;
  while (bytes > 0 && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++, bytes--;
  return bytes > 0 && *at == '{';
}

enum status flight_request_ticket(struct flight_ask *ask, const void *sealed, size_t bytes,
                                  struct flight_request *request, struct error *error) {
  struct flight_ticket ticket = {.memory = BUFFER_EMPTY};
  *request = (struct flight_request){.command = NULL};
  /* Whoever writes what he wants himself needs no seal: his rights are looked at as ever. */
  bool json = is_json(sealed, bytes);
  enum status status = json ? flight_command_allow(ask->server, ask->who, NULL, error) : STATUS_OK;
  if (status == STATUS_OK && json) return flight_request_json(ask, sealed, bytes, request, error);
  if (status == STATUS_OK) status = flight_unseal(ask, sealed, bytes, &ticket, error);
  if (status == STATUS_OK) {
    flight_ask_ticket(ask, ticket.id);
    status = flight_command_read(ticket.command, ticket.command_bytes, &request->command,
                                 &request->any, error);
  }
  if (status == STATUS_OK)
    status = flight_command_allow(ask->server, ask->who, request->command, error);
  buffer_release(&ticket.memory);
  return status;
}

static enum status read_descriptor(struct flight_ask *ask, const FlightDescriptor *descriptor,
                                   struct flight_request *request, struct error *error) {
  const ProtobufCBinaryData *cmd = &descriptor->cmd;
  const bool any =
      descriptor->type == ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__DESCRIPTOR_TYPE__CMD &&
      !is_json(cmd->data, cmd->len);
  enum status status = STATUS_OK;
  *request = (struct flight_request){.command = NULL};
  /* Of a command of Flight SQL it has to be known which it is. */
  if (!any) status = flight_command_allow(ask->server, ask->who, NULL, error);
  if (status != STATUS_OK) return status;
  if (descriptor->type == ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__DESCRIPTOR_TYPE__PATH)
    return flight_request_path(ask, descriptor->path, descriptor->n_path, request, error);
  if (descriptor->type != ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__DESCRIPTOR_TYPE__CMD)
    return error_set(error, STATUS_INVALID,
                     "the descriptor is neither a path nor a command (type %d)",
                     (int)descriptor->type);
  if (!any) return flight_request_json(ask, cmd->data, cmd->len, request, error);
  status = buffer_append(&request->bytes, &flight_uncounted, cmd->data, (int64_t)cmd->len, error);
  if (status == STATUS_OK)
    status = flight_command_read(cmd->data, cmd->len, &request->command, &request->any, error);
  if (status == STATUS_OK)
    status = flight_command_allow(ask->server, ask->who, request->command, error);
  return status;
}

/* ---- the commands Table and Query ----------------------------------------------------------------------- */

/* The statement that reads a table, and what may be read by it. */
static enum status table_query(struct flight_ask *ask, const struct table_name *table,
                               int64_t version, int64_t limit, struct text *sql,
                               struct engine_query *query, struct error *error) {
  struct engine *engine = NULL;
  struct engine_session *session = NULL;
  bool restricted = !auth_sees_everything(ask->who);
  const struct engine_rows which = {.version = version, .limit = limit, .table_only = restricted};
  enum status status = auth_allow_table(ask->who, AUTH_READ, table, error);
  if (status == STATUS_OK) status = storage_engine(ask->server->storage, &engine, error);
  if (status == STATUS_OK) status = engine_session_open(engine, &session, error);
  if (status == STATUS_OK) status = engine_rows_sql(session, table, &which, sql, error);
  engine_session_close(session);
  if (status != STATUS_OK) return status;
  /* A lake's table: its name was looked at, and it is no view. The rest goes by the plan. */
  bool known = engine_has_lake(engine, table->catalog);
  *query = (struct engine_query){.sql = text_get(sql),
                                 .read_only = true,
                                 .own = true,
                                 .may_read = restricted && !known ? query_may_read : NULL};
  return STATUS_OK;
}

static enum status read_table(struct flight_ask *ask, const ProtobufCBinaryData *value,
                              struct table_name *table, int64_t *version, struct error *error) {
  json_t *root = json_loadb((const char *)value->data, value->len, 0, NULL);
  const json_t *name = json_object_get(root, "table");
  enum status status = name == NULL ? error_set(error, STATUS_INVALID, "the command names no table")
                                    : place_table(ask, json_string_value(name),
                                                  json_string_length(name), table, error);
  if (status == STATUS_OK) status = read_version(root, version, error);
  json_decref(root);
  return status;
}

static enum status take_schema(struct source *rows, struct flight_about *about,
                               struct error *error) {
  return arrow_schema_copy(source_schema(rows), &about->schema, error);
}

enum status flight_table_about(struct flight_ask *ask, const struct table_name *table,
                               int64_t version, struct flight_about *about, struct error *error) {
  struct text sql = TEXT_EMPTY;
  struct engine_query query;
  struct source *rows = NULL;
  about->rows = about->bytes = -1;
  enum status status = table_query(ask, table, version, 0, &sql, &query, error);
  if (status == STATUS_OK) status = flight_query_rows(ask, &query, &rows, error);
  if (status == STATUS_OK) status = take_schema(rows, about, error);
  source_close(rows);
  text_release(&sql);
  return status;
}

static enum status table_about(struct flight_ask *ask, const ProtobufCBinaryData *value,
                               struct flight_about *about, struct error *error) {
  struct table_name table;
  int64_t version;
  enum status status = read_table(ask, value, &table, &version, error);
  return status == STATUS_OK ? flight_table_about(ask, &table, version, about, error) : status;
}

static enum status table_get(struct flight_ask *ask, const ProtobufCBinaryData *value,
                             struct source **rows, struct error *error) {
  struct table_name table;
  struct text sql = TEXT_EMPTY;
  struct engine_query query;
  int64_t version;
  enum status status = read_table(ask, value, &table, &version, error);
  if (status == STATUS_OK) status = table_query(ask, &table, version, -1, &sql, &query, error);
  if (status == STATUS_OK) status = flight_query_rows(ask, &query, rows, error);
  text_release(&sql);
  return status;
}

/* A statement as JSON is run, and told of, as those of Flight SQL are. */
static struct flight_text text_of(const struct query_ask *asked) {
  return (struct flight_text){.sql = asked->sql,
                              .parameters = asked->parameters,
                              .parameter_count = asked->parameter_count};
}

static enum status query_about(struct flight_ask *ask, const ProtobufCBinaryData *value,
                               struct flight_about *about, struct error *error) {
  struct query_ask asked = QUERY_ASK_EMPTY;
  enum status status = query_ask_json(&asked, value->data, value->len, error);
  const struct flight_text sql = text_of(&asked);
  if (status == STATUS_OK) status = flight_text_about(ask, &sql, about, error);
  query_ask_release(&asked);
  return status;
}

static enum status query_get(struct flight_ask *ask, const ProtobufCBinaryData *value,
                             struct source **rows, struct error *error) {
  struct query_ask asked = QUERY_ASK_EMPTY;
  enum status status = query_ask_json(&asked, value->data, value->len, error);
  const struct flight_text sql = text_of(&asked);
  if (status == STATUS_OK) status = flight_text_rows(ask, &sql, rows, error);
  query_ask_release(&asked);
  return status;
}

const struct flight_command flight_core_commands[] = {
    {.name = FLIGHT_INGEST},
    {.name = COMMAND_TABLE, .about = table_about, .get = table_get},
    {.name = COMMAND_QUERY, .about = query_about, .get = query_get},
    {.name = NULL},
};

/* ---- answers ----------------------------------------------------------------------------------------------- */

static void about_release(struct flight_about *about) {
  arrow_schema_release(&about->schema);
  for (size_t i = 0; i < about->endpoint_count; i++) buffer_release(&about->endpoints[i]);
  free(about->endpoints);
}

static enum status ask_about(struct flight_ask *ask, const struct flight_request *request,
                             struct flight_about *about, struct error *error) {
  *about = (struct flight_about){.rows = -1, .bytes = -1};
  assert(request->command != NULL); /* the request was read */
  if (request->command->about == NULL)
    return error_set(error, STATUS_UNSUPPORTED, "there is no FlightInfo of %s",
                     request->command->name);
  return request->command->about(ask, &request->any->value, about, error);
}

/* A FlightInfo while it is put together. */
struct info {
  FlightInfo message;
  struct buffer schema;
  struct endpoint_parts {
    FlightEndpoint message;
    FlightTicket ticket;
    Google__Protobuf__Timestamp expires;
    struct buffer sealed;
  } * endpoints;
  FlightEndpoint **pointers;
  size_t count;
};

static void info_release(struct info *info) {
  buffer_release(&info->schema);
  for (size_t i = 0; i < info->count; i++) buffer_release(&info->endpoints[i].sealed);
  free(info->endpoints);
  free((void *)info->pointers);
}

static ProtobufCBinaryData binary(const struct buffer *buffer) {
  return (ProtobufCBinaryData){.data = buffer->data, .len = (size_t)buffer->size_bytes};
}

static enum status seal_endpoint(struct flight_ask *ask, const struct buffer *command, bool shared,
                                 struct endpoint_parts *endpoint, struct error *error) {
  int64_t expires_ms = 0;
  arrow__flight__protocol__flight_endpoint__init(&endpoint->message);
  arrow__flight__protocol__ticket__init(&endpoint->ticket);
  google__protobuf__timestamp__init(&endpoint->expires);
  enum status status = flight_seal(ask, command->data, (size_t)command->size_bytes, shared,
                                   &expires_ms, &endpoint->sealed, error);
  if (status != STATUS_OK) return status;
  endpoint->ticket.ticket = binary(&endpoint->sealed);
  endpoint->expires.seconds = expires_ms / 1000;
  endpoint->expires.nanos = (int32_t)(expires_ms % 1000) * 1000000;
  endpoint->message.ticket = &endpoint->ticket;
  endpoint->message.expiration_time = &endpoint->expires;
  return STATUS_OK;
}

static enum status fill_endpoints(struct flight_ask *ask, const struct flight_request *request,
                                  const struct flight_about *about, struct info *info,
                                  struct error *error) {
  size_t count = about->endpoint_count > 0 ? about->endpoint_count : 1;
  info->endpoints = calloc(count, sizeof info->endpoints[0]);
  info->pointers = (FlightEndpoint **)calloc(count, sizeof info->pointers[0]);
  if (info->endpoints == NULL || info->pointers == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for an answer");
  info->count = count;
  enum status status = STATUS_OK;
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    const struct buffer *command =
        about->endpoint_count > 0 ? &about->endpoints[i] : &request->bytes;
    info->pointers[i] = &info->endpoints[i].message;
    status = seal_endpoint(ask, command, about->shared, &info->endpoints[i], error);
  }
  info->message.n_endpoint = count;
  info->message.endpoint = info->pointers;
  return status;
}

enum status flight_answer_info(struct flight_ask *ask, const struct flight_request *request,
                               FlightDescriptor *descriptor, bool poll, struct error *error) {
  struct flight_about about;
  struct info info = {.count = 0};
  arrow__flight__protocol__flight_info__init(&info.message);
  enum status status = ask_about(ask, request, &about, error);
  if (status == STATUS_OK && about.schema.release != NULL)
    status = flight_schema_bytes(&about.schema, &info.schema, error);
  if (status == STATUS_OK) status = fill_endpoints(ask, request, &about, &info, error);
  if (status == STATUS_OK) {
    info.message.schema = binary(&info.schema);
    info.message.flight_descriptor = descriptor;
    info.message.total_records = about.rows;
    info.message.total_bytes = about.bytes;
    info.message.ordered = about.ordered;
    FlightPollInfo polled = ARROW__FLIGHT__PROTOCOL__POLL_INFO__INIT;
    polled.info = &info.message;
    polled.optional_progress_case = ARROW__FLIGHT__PROTOCOL__POLL_INFO__OPTIONAL_PROGRESS_PROGRESS;
    polled.progress = 1;
    status = flight_answer(ask, poll ? &polled.base : &info.message.base, error);
  }
  info_release(&info);
  about_release(&about);
  return status;
}

/* Reads the descriptor that a method's message is. */
static enum status with_descriptor(struct flight_ask *ask, const struct buffer *message,
                                   FlightDescriptor **descriptor, struct flight_request *request,
                                   struct error *error) {
  *request = (struct flight_request){.command = NULL};
  *descriptor = FLIGHT(flight_descriptor__unpack)(NULL, (size_t)message->size_bytes, message->data);
  if (*descriptor == NULL)
    return error_set(error, STATUS_INVALID, "the request is no FlightDescriptor");
  return read_descriptor(ask, *descriptor, request, error);
}

static enum status info_of(struct flight_ask *ask, const struct buffer *message, bool poll,
                           struct error *error) {
  FlightDescriptor *descriptor = NULL;
  struct flight_request request;
  enum status status = with_descriptor(ask, message, &descriptor, &request, error);
  if (status == STATUS_OK) status = flight_answer_info(ask, &request, descriptor, poll, error);
  flight_request_release(&request);
  if (descriptor != NULL) FLIGHT(flight_descriptor__free_unpacked)(descriptor, NULL);
  return status;
}

enum status flight_get_info(struct flight_ask *ask, const struct buffer *message,
                            struct error *error) {
  return info_of(ask, message, false, error);
}

/* What is asked about is ready at once: the statement runs when its rows are read. */
enum status flight_poll_info(struct flight_ask *ask, const struct buffer *message,
                             struct error *error) {
  return info_of(ask, message, true, error);
}

enum status flight_get_schema(struct flight_ask *ask, const struct buffer *message,
                              struct error *error) {
  FlightDescriptor *descriptor = NULL;
  struct flight_request request;
  struct flight_about about = {.rows = -1};
  struct buffer schema = BUFFER_EMPTY;
  enum status status = with_descriptor(ask, message, &descriptor, &request, error);
  if (status == STATUS_OK) status = ask_about(ask, &request, &about, error);
  if (status == STATUS_OK && about.schema.release == NULL)
    status = error_set(error, STATUS_UNSUPPORTED, "%s has no schema before it has run",
                       request.command->name);
  if (status == STATUS_OK) status = flight_schema_bytes(&about.schema, &schema, error);
  if (status == STATUS_OK) {
    Arrow__Flight__Protocol__SchemaResult result = ARROW__FLIGHT__PROTOCOL__SCHEMA_RESULT__INIT;
    result.schema = binary(&schema);
    status = flight_answer(ask, &result.base, error);
  }
  buffer_release(&schema);
  about_release(&about);
  flight_request_release(&request);
  if (descriptor != NULL) FLIGHT(flight_descriptor__free_unpacked)(descriptor, NULL);
  return status;
}
