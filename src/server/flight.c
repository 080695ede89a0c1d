/* The methods of FlightService: those with one request message and an answer that is made in one go are
 * a function each here, run on a worker. The way in is routes.c, which has looked at scopes; what needs
 * more of them looks itself. */
#include "server/flight.h"

#include <stdlib.h>
#include <string.h>

#include "server/flight_methods.h"
#include "server/flight_single.h"

/* ---- life ------------------------------------------------------------------------------------------ */

enum status flight_new(struct server *server, struct flight **flight, struct error *error) {
  struct flight *made = calloc(1, sizeof *made);
  *flight = made;
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory to start");
  made->server = server;
  enum status status = flight_key_new(&made->key, error);
  if (status == STATUS_OK) status = flight_logins_new(&made->logins, error);
  if (status == STATUS_OK) status = flight_asks_new(&made->asks, error);
  if (status == STATUS_OK) status = flight_sessions_new(server, &made->sessions, error);
  return status; /* freed by flight_free in any case */
}

void flight_close(struct flight *flight) {
  if (flight != NULL) flight_sessions_close(flight->sessions);
}

void flight_free(struct flight *flight) {
  if (flight == NULL) return;
  flight_sessions_free(flight->sessions);
  flight_asks_free(flight->asks);
  flight_logins_free(flight->logins);
  flight_key_free(flight->key);
  free(flight);
}

void flight_give_up_all(struct server *server) {
  flight_asks_give_up(server->flight->asks);
  flight_sessions_give_up(server->flight->sessions);
}

/* ---- the end of a call ----------------------------------------------------------------------------- */

void flight_finish(struct request *request, struct grpc_call *grpc, enum status status,
                   const struct error *error) {
  struct call *call = request->call;
  if (call == NULL || grpc_finished(grpc)) return;
  struct error told = {.status = STATUS_OK};
  if (status != STATUS_OK) {
    told = *error;
    call_refused(request->exchange, status_http(status), status, error->text,
                 status_http(status) < 500);
  }
  if (status == STATUS_INTERNAL)
    error_set(&told, status,
              "the server met a defect of its own and stopped working on this call; its log says "
              "more");
  call->status = status;
  grpc_finish(grpc, status, &told);
}

bool flight_is_call(struct call *call) {
  if (grpc_is_call(call->exchange)) return true;
  respond_problem_code(
      call->exchange, 415, STATUS_INVALID, NULL,
      "this is a method of Arrow Flight: it is called by gRPC, over HTTP/2 and with "
      "the content type application/grpc");
  return false;
}

/* ---- commands ----------------------------------------------------------------------------------------- */

static const struct flight_command *find_in(const struct flight_command *commands,
                                            const char *name) {
  for (; commands->name != NULL; commands++)
    if (strcmp(commands->name, name) == 0) return commands;
  return NULL;
}

const struct flight_command *flight_command_find(const char *type_url) {
  static const char prefix[] = FLIGHT_SQL_TYPE_PREFIX;
  const struct flight_command *found = find_in(flight_core_commands, type_url);
  if (found != NULL || strncmp(type_url, prefix, sizeof prefix - 1) != 0) return found;
  const char *name = type_url + sizeof prefix - 1;
  found = find_in(flight_statement_commands, name);
  return found != NULL ? found : find_in(flight_catalog_commands, name);
}

enum status flight_command_read(const void *data, size_t bytes,
                                const struct flight_command **command, Google__Protobuf__Any **any,
                                struct error *error) {
  *command = NULL;
  *any = google__protobuf__any__unpack(NULL, bytes, data);
  if (*any == NULL || (*any)->type_url[0] == '\0')
    return error_set(error, STATUS_INVALID,
                     "the command is none: write {\"sql\": ...} or {\"table\": ...} as JSON, or a "
                     "google.protobuf.Any of Flight SQL");
  *command = flight_command_find((*any)->type_url);
  if (*command != NULL) return STATUS_OK;
  return error_set(error, STATUS_UNSUPPORTED, "the command %.200s is not known here",
                   (*any)->type_url);
}

enum status flight_command_allow(struct server *server, const struct identity *who,
                                 const struct flight_command *command, struct error *error) {
  if (command != NULL && command->open) return STATUS_OK;
  enum status status = auth_allow(who, AUTH_READ, error);
  if (status == STATUS_DENIED) metrics_refused(server->metrics, METRICS_SCOPE);
  return status;
}

enum status flight_command_pack(const char *type_url, const ProtobufCMessage *message,
                                struct buffer *out, struct error *error) {
  Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
  struct buffer value = BUFFER_EMPTY;
  *out = BUFFER_EMPTY;
  enum status status = buffer_reserve(
      &value, &flight_uncounted, (int64_t)protobuf_c_message_get_packed_size(message) + 1, error);
  if (status != STATUS_OK) return status;
  any.type_url = (char *)(uintptr_t)type_url;
  any.value = (ProtobufCBinaryData){.data = value.data,
                                    .len = protobuf_c_message_pack(message, value.data)};
  status = buffer_reserve(out, &flight_uncounted,
                          (int64_t)google__protobuf__any__get_packed_size(&any), error);
  if (status == STATUS_OK) out->size_bytes = (int64_t)google__protobuf__any__pack(&any, out->data);
  buffer_release(&value);
  return status;
}

/* ---- methods with one request message ------------------------------------------------------------- */

struct method {
  const char *name; /* what the path ends with */
  enum status (*run)(struct flight_ask *ask, const struct buffer *message, struct error *error);
  /* Whether it need not stand in line; NULL: it must. */
  bool (*quick)(const struct buffer *message);
};

static const struct method methods[] = {
    {"ListFlights", flight_list_flights, NULL},
    {"GetFlightInfo", flight_get_info, NULL},
    {"PollFlightInfo", flight_poll_info, NULL},
    {"GetSchema", flight_get_schema, NULL},
    {"DoAction", flight_do_action, flight_action_is_quick},
    {"ListActions", flight_list_actions, flight_list_actions_is_quick},
};

struct unary {
  struct flight_single single;
  const struct method *method;
};

static enum status unary_run(void *context, struct flight_ask *ask, struct error *error) {
  struct unary *unary = context;
  return unary->method->run(ask, &unary->single.message, error);
}

static void unary_done(void *context, enum status status, const struct error *error) {
  flight_single_over(context, status, error);
}

static void unary_start(struct flight_single *single) {
  struct unary *unary = (struct unary *)single;
  const struct method *method = unary->method;
  if (method->quick != NULL && method->quick(&single->message)) flight_ask_quick(single->ask);
  single->runs = true;
  flight_ask_run(single->ask, unary_run, unary_done, unary);
}

void flight_ask_start(struct call *call) {
  const char *name = strrchr(call->endpoint->path, '/') + 1;
  if (!flight_is_call(call)) return;
  struct unary *unary = (struct unary *)flight_single_new(call, sizeof *unary, unary_start, NULL);
  if (unary == NULL) return;
  for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
    if (strcmp(methods[i].name, name) == 0) unary->method = &methods[i];
}
