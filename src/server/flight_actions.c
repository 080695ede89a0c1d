/* DoAction and ListActions. Actions of Flight itself hold their message as it is, those of Flight SQL in
 * an Any; our own take and answer JSON. Each has a scope, which is looked at here. */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "server/flight_methods.h"

/* ---- bodies ----------------------------------------------------------------------------------------- */

static enum status answer_bytes(struct flight_ask *ask, const void *data, size_t bytes,
                                struct error *error) {
  Arrow__Flight__Protocol__Result result = ARROW__FLIGHT__PROTOCOL__RESULT__INIT;
  result.body = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)data, .len = bytes};
  return flight_answer(ask, &result.base, error);
}

static enum status answer_text(struct flight_ask *ask, const struct text *text,
                               struct error *error) {
  return answer_bytes(ask, text_get(text), text->size_bytes, error);
}

enum status flight_action_result(struct flight_ask *ask, const ProtobufCMessage *message, bool any,
                                 struct error *error) {
  struct buffer packed = BUFFER_EMPTY;
  enum status status;
  if (any) {
    struct text url = TEXT_EMPTY;
    status = text_add_format(&url, error, "type.googleapis.com/%s", message->descriptor->name);
    if (status == STATUS_OK) status = flight_command_pack(text_get(&url), message, &packed, error);
    text_release(&url);
  } else {
    status = buffer_reserve(&packed, &flight_uncounted,
                            (int64_t)protobuf_c_message_get_packed_size(message) + 1, error);
    if (status == STATUS_OK)
      packed.size_bytes = (int64_t)protobuf_c_message_pack(message, packed.data);
  }
  if (status == STATUS_OK)
    status = answer_bytes(ask, packed.data, (size_t)packed.size_bytes, error);
  buffer_release(&packed);
  return status;
}

enum status flight_action_unpack(const ProtobufCBinaryData *body,
                                 const ProtobufCMessageDescriptor *type, ProtobufCMessage **message,
                                 struct error *error) {
  *message = NULL;
  Google__Protobuf__Any *any = google__protobuf__any__unpack(NULL, body->len, body->data);
  const char *slash = any != NULL ? strrchr(any->type_url, '/') : NULL;
  if (slash != NULL && strcmp(slash + 1, type->name) == 0)
    *message = protobuf_c_message_unpack(type, NULL, any->value.len, any->value.data);
  if (any != NULL) google__protobuf__any__free_unpacked(any, NULL);
  if (*message != NULL) return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "the action's body is no google.protobuf.Any with a %s in it", type->name);
}

/* ---- FlightInfo and endpoints ---------------------------------------------------------------------------- */

static enum status cancel_endpoint(struct flight_ask *ask, const FlightEndpoint *endpoint,
                                   struct error *error) {
  struct flight_ticket ticket;
  const struct flight_command *command = NULL;
  Google__Protobuf__Any *any = NULL;
  if (endpoint->ticket == NULL)
    return error_set(error, STATUS_INVALID, "the endpoint has no ticket");
  enum status status = flight_unseal(ask, endpoint->ticket->ticket.data,
                                     endpoint->ticket->ticket.len, &ticket, error);
  if (status == STATUS_OK) status = flight_ticket_cancel(ask->server->flight->key, &ticket, error);
  if (status == STATUS_OK) (void)flight_cancel(ask, ticket.id);
  if (status == STATUS_OK)
    status = flight_command_read(ticket.command, ticket.command_bytes, &command, &any, error);
  if (status == STATUS_OK && command->cancel != NULL)
    status = command->cancel(ask, &any->value, error);
  if (any != NULL) google__protobuf__any__free_unpacked(any, NULL);
  buffer_release(&ticket.memory);
  /* Its turn has come before: all endpoints of an info have one id. */
  return status == STATUS_CANCELLED ? STATUS_OK : status;
}

enum status flight_cancel_info(struct flight_ask *ask, const FlightInfo *info,
                               struct error *error) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < info->n_endpoint && status == STATUS_OK; i++)
    status = cancel_endpoint(ask, info->endpoint[i], error);
  return status;
}

static enum status run_cancel(struct flight_ask *ask, const ProtobufCBinaryData *body,
                              struct error *error) {
  Arrow__Flight__Protocol__CancelFlightInfoRequest *request =
      FLIGHT(cancel_flight_info_request__unpack)(NULL, body->len, body->data);
  if (request == NULL || request->info == NULL) {
    if (request != NULL) FLIGHT(cancel_flight_info_request__free_unpacked)(request, NULL);
    return error_set(error, STATUS_INVALID, "the body is no CancelFlightInfoRequest");
  }
  enum status status = flight_cancel_info(ask, request->info, error);
  FLIGHT(cancel_flight_info_request__free_unpacked)(request, NULL);
  if (status != STATUS_OK) return status;
  Arrow__Flight__Protocol__CancelFlightInfoResult result =
      ARROW__FLIGHT__PROTOCOL__CANCEL_FLIGHT_INFO_RESULT__INIT;
  result.status = ARROW__FLIGHT__PROTOCOL__CANCEL_STATUS__CANCEL_STATUS_CANCELLED;
  return flight_action_result(ask, &result.base, false, error);
}

static enum status renew(struct flight_ask *ask, FlightEndpoint *endpoint, struct error *error) {
  struct flight_ticket ticket = {.memory = BUFFER_EMPTY};
  struct buffer sealed = BUFFER_EMPTY;
  Google__Protobuf__Timestamp expires = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
  enum status status = flight_unseal(ask, endpoint->ticket->ticket.data,
                                     endpoint->ticket->ticket.len, &ticket, error);
  if (status == STATUS_OK) {
    ticket.expires_ms = flight_expires_ms(ask);
    status = flight_ticket_seal(ask->server->flight->key, &ticket, &sealed, error);
  }
  if (status == STATUS_OK) {
    FlightTicket made = ARROW__FLIGHT__PROTOCOL__TICKET__INIT;
    FlightTicket *before = endpoint->ticket;
    Google__Protobuf__Timestamp *time_before = endpoint->expiration_time;
    made.ticket = (ProtobufCBinaryData){.data = sealed.data, .len = (size_t)sealed.size_bytes};
    expires.seconds = ticket.expires_ms / 1000;
    expires.nanos = (int32_t)(ticket.expires_ms % 1000) * 1000000;
    endpoint->ticket = &made;
    endpoint->expiration_time = &expires;
    status = flight_action_result(ask, &endpoint->base, false, error);
    endpoint->ticket = before;
    endpoint->expiration_time = time_before;
  }
  buffer_release(&sealed);
  buffer_release(&ticket.memory);
  return status;
}

static enum status run_renew(struct flight_ask *ask, const ProtobufCBinaryData *body,
                             struct error *error) {
  Arrow__Flight__Protocol__RenewFlightEndpointRequest *request =
      FLIGHT(renew_flight_endpoint_request__unpack)(NULL, body->len, body->data);
  enum status status =
      request == NULL || request->endpoint == NULL || request->endpoint->ticket == NULL
          ? error_set(error, STATUS_INVALID, "the body is no RenewFlightEndpointRequest")
          : renew(ask, request->endpoint, error);
  if (request != NULL) FLIGHT(renew_flight_endpoint_request__free_unpacked)(request, NULL);
  return status;
}

/* ---- our own ----------------------------------------------------------------------------------------------- */

static enum status run_ping(struct flight_ask *ask, const ProtobufCBinaryData *body,
                            struct error *error) {
  return answer_bytes(ask, body->data, body->len, error);
}

static enum status run_health(struct flight_ask *ask, const ProtobufCBinaryData *body,
                              struct error *error) {
  static const char healthy[] = "{\"status\":\"ok\"}";
  (void)body;
  return answer_bytes(ask, healthy, sizeof healthy - 1, error);
}

static enum status run_version(struct flight_ask *ask, const ProtobufCBinaryData *body,
                               struct error *error) {
  struct text text = TEXT_EMPTY;
  (void)body;
  enum status status = service_version_json(&text, error);
  if (status == STATUS_OK) status = answer_text(ask, &text, error);
  text_release(&text);
  return status;
}

/* The table of {"table": "..."}, full, which the caller has that scope for. */
static enum status read_table(struct flight_ask *ask, const ProtobufCBinaryData *body,
                              unsigned scope, struct table_name *table, struct error *error) {
  const char *backend = server_config_lake_path(ask->config->storage_backend) != NULL
                            ? ask->config->storage_backend
                            : "duckdb";
  json_t *root = json_loadb((const char *)body->data, body->len, JSON_REJECT_DUPLICATES, NULL);
  const json_t *name = json_object_get(root, "table");
  enum status status =
      !json_is_string(name) || json_object_size(root) != 1
          ? error_set(error, STATUS_INVALID, "the body of the action is {\"table\": \"NAME\"}")
          : table_name_parse(json_string_value(name), json_string_length(name), table, error);
  if (status == STATUS_OK) status = server_config_place(ask->config, table, &backend, error);
  if (status == STATUS_OK) status = auth_allow_table(ask->who, scope, table, error);
  json_decref(root);
  return status;
}

static enum status run_table_list(struct flight_ask *ask, const ProtobufCBinaryData *body,
                                  struct error *error) {
  struct text text = TEXT_EMPTY;
  (void)body;
  enum status status = catalog_tables_json(ask->server, ask->config, ask->who, &text, error);
  if (status == STATUS_OK) status = answer_text(ask, &text, error);
  text_release(&text);
  return status;
}

static enum status run_table_describe(struct flight_ask *ask, const ProtobufCBinaryData *body,
                                      struct error *error) {
  struct text text = TEXT_EMPTY;
  struct table_name table;
  enum status status = read_table(ask, body, AUTH_READ, &table, error);
  if (status == STATUS_OK)
    status = catalog_table_json(ask->server, ask->config, &table, &text, error);
  if (status == STATUS_OK) status = answer_text(ask, &text, error);
  text_release(&text);
  return status;
}

/* A statement about a table, as if the caller had written it. */
static enum status run_statement(struct flight_ask *ask, const ProtobufCBinaryData *body,
                                 const char *statement, struct error *error) {
  static const char done[] = "{\"status\":\"ok\"}";
  struct text sql = TEXT_EMPTY;
  struct table_name table;
  struct source *rows = NULL;
  struct ArrowArray batch = {.release = NULL};
  enum status status = read_table(ask, body, AUTH_ADMIN, &table, error);
  if (status == STATUS_OK) status = text_add(&sql, statement, error);
  if (status == STATUS_OK) status = table_name_sql(&table, &sql, error);
  const struct engine_query query = {.sql = text_get(&sql)};
  if (status == STATUS_OK) status = flight_query_rows(ask, &query, &rows, error);
  /* What it does is done when its answer was drawn to the end. */
  if (status == STATUS_OK) do {
      arrow_array_release(&batch);
      status = source_next(rows, &batch, error);
    } while (status == STATUS_OK && batch.release != NULL);
  arrow_array_release(&batch);
  source_close(rows);
  if (status == STATUS_OK) status = answer_bytes(ask, done, sizeof done - 1, error);
  text_release(&sql);
  return status;
}

static enum status run_table_drop(struct flight_ask *ask, const ProtobufCBinaryData *body,
                                  struct error *error) {
  return run_statement(ask, body, "DROP TABLE ", error);
}

static enum status run_table_truncate(struct flight_ask *ask, const ProtobufCBinaryData *body,
                                      struct error *error) {
  return run_statement(ask, body, "DELETE FROM ", error);
}

const struct flight_action flight_core_actions[] = {
    {.type = "CancelFlightInfo",
     .description = "Stops what reads the endpoints of a FlightInfo; their tickets are of no use "
                    "any more. Body: CancelFlightInfoRequest, answer: CancelFlightInfoResult.",
     .scope = AUTH_READ,
     .quick = true,
     .run = run_cancel},
    {.type = "RenewFlightEndpoint",
     .description = "Gives a ticket that has not expired its time (flight.ticket_s) anew. Body: "
                    "RenewFlightEndpointRequest, answer: FlightEndpoint.",
     .scope = AUTH_READ,
     .quick = true,
     .run = run_renew},
    {.type = "health",
     .description = "Answers {\"status\": \"ok\"} as long as the server serves.",
     .quick = true,
     .run = run_health},
    {.type = "ping",
     .description = "Answers with the body that it was sent.",
     .quick = true,
     .run = run_ping},
    {.type = "version",
     .description = "Says which version this server is, as JSON.",
     .quick = true,
     .run = run_version},
    {.type = "table.list",
     .description = "Lists the tables that the caller may see, as JSON.",
     .scope = AUTH_READ,
     .run = run_table_list},
    {.type = "table.describe",
     .description = "Says a table's columns and rows, as JSON. Body: {\"table\": NAME}.",
     .scope = AUTH_READ,
     .run = run_table_describe},
    {.type = "table.drop",
     .description = "Drops a table. Body: {\"table\": NAME}.",
     .scope = AUTH_ADMIN,
     .run = run_table_drop},
    {.type = "table.truncate",
     .description = "Removes every row of a table. Body: {\"table\": NAME}.",
     .scope = AUTH_ADMIN,
     .run = run_table_truncate},
    {.type = NULL},
};

/* ---- the methods --------------------------------------------------------------------------------------------- */

static const struct flight_action *const *action_tables(void) {
  static const struct flight_action *const tables[] = {flight_core_actions,
                                                       flight_statement_actions, NULL};
  return tables;
}

static const struct flight_action *find_action(const char *type) {
  for (const struct flight_action *const *table = action_tables(); *table != NULL; table++)
    for (const struct flight_action *action = *table; action->type != NULL; action++)
      if (strcmp(action->type, type) == 0) return action;
  return NULL;
}

bool flight_action_is_quick(const struct buffer *message) {
  FlightAction *asked = FLIGHT(action__unpack)(NULL, (size_t)message->size_bytes, message->data);
  const struct flight_action *action = asked != NULL ? find_action(asked->type) : NULL;
  if (asked != NULL) FLIGHT(action__free_unpacked)(asked, NULL);
  return action == NULL || action->quick; /* a refusal is quick, too */
}

enum status flight_do_action(struct flight_ask *ask, const struct buffer *message,
                             struct error *error) {
  FlightAction *asked = FLIGHT(action__unpack)(NULL, (size_t)message->size_bytes, message->data);
  if (asked == NULL) return error_set(error, STATUS_INVALID, "the request is no Action");
  const struct flight_action *action = find_action(asked->type);
  enum status status =
      action == NULL
          ? error_set(error, STATUS_UNSUPPORTED,
                      "there is no action '%.100s'; ListActions says which there are", asked->type)
          : auth_allow(ask->who, action->scope, error);
  assert(status != STATUS_OK || action != NULL);
  if (status == STATUS_OK) status = action->run(ask, &asked->body, error);
  FLIGHT(action__free_unpacked)(asked, NULL);
  return status;
}

bool flight_list_actions_is_quick(const struct buffer *message) {
  (void)message;
  return true;
}

enum status flight_list_actions(struct flight_ask *ask, const struct buffer *message,
                                struct error *error) {
  enum status status = STATUS_OK;
  (void)message;
  for (const struct flight_action *const *table = action_tables(); *table != NULL; table++)
    for (const struct flight_action *action = *table; action->type != NULL && status == STATUS_OK;
         action++) {
      Arrow__Flight__Protocol__ActionType type = ARROW__FLIGHT__PROTOCOL__ACTION_TYPE__INIT;
      type.type = (char *)(uintptr_t)action->type;
      type.description = (char *)(uintptr_t)action->description;
      status = flight_answer(ask, &type.base, error);
    }
  return status;
}
