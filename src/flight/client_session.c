/* Session options: actions whose messages are those of Flight itself, not of Flight SQL. The session
 * is a cookie's (client_access.c). */
#include <string.h>

#include "flight/client_private.h"

static const char *why_refused(Arrow__Flight__Protocol__SetSessionOptionsResult__ErrorValue value) {
  switch (value) {
  case ARROW__FLIGHT__PROTOCOL__SET_SESSION_OPTIONS_RESULT__ERROR_VALUE__INVALID_NAME:
    return "the server knows no option of that name";
  case ARROW__FLIGHT__PROTOCOL__SET_SESSION_OPTIONS_RESULT__ERROR_VALUE__INVALID_VALUE:
    return "the server does not take that value";
  default: return "the server could not set it";
  }
}

enum status flight_client_session_set(struct flight_client *client, const char *name,
                                      const FlightSessionValue *value,
                                      const struct flight_call_options *options,
                                      struct error *error) {
  Arrow__Flight__Protocol__SetSessionOptionsRequest request =
      ARROW__FLIGHT__PROTOCOL__SET_SESSION_OPTIONS_REQUEST__INIT;
  Arrow__Flight__Protocol__SetSessionOptionsRequest__SessionOptionsEntry entry =
      ARROW__FLIGHT__PROTOCOL__SET_SESSION_OPTIONS_REQUEST__SESSION_OPTIONS_ENTRY__INIT;
  Arrow__Flight__Protocol__SetSessionOptionsRequest__SessionOptionsEntry *entries[] = {&entry};
  FlightSessionValue none = ARROW__FLIGHT__PROTOCOL__SESSION_OPTION_VALUE__INIT;
  ProtobufCMessage *answer = NULL;
  if (value == NULL) value = &none;
  memcpy(&entry.key, &name, sizeof entry.key);
  memcpy(&entry.value, &value, sizeof entry.value);
  request.n_session_options = 1;
  request.session_options = entries;
  enum status status =
      flight_client_action_one(client, "SetSessionOptions", &request.base, false, options,
                               &FLIGHT(set_session_options_result__descriptor), &answer, error);
  if (status != STATUS_OK || answer == NULL) return status;
  const Arrow__Flight__Protocol__SetSessionOptionsResult *result = (void *)answer;
  if (result->n_errors > 0 && result->errors[0]->value != NULL)
    status = error_set(error, STATUS_INVALID, "session option '%.100s': %s", name,
                       why_refused(result->errors[0]->value->value));
  protobuf_c_message_free_unpacked(answer, NULL);
  return status;
}

enum status
flight_client_session_get(struct flight_client *client, const struct flight_call_options *options,
                          enum status (*each)(void *context, const char *name,
                                              const FlightSessionValue *value, struct error *error),
                          void *context, struct error *error) {
  Arrow__Flight__Protocol__GetSessionOptionsRequest request =
      ARROW__FLIGHT__PROTOCOL__GET_SESSION_OPTIONS_REQUEST__INIT;
  ProtobufCMessage *answer = NULL;
  enum status status =
      flight_client_action_one(client, "GetSessionOptions", &request.base, false, options,
                               &FLIGHT(get_session_options_result__descriptor), &answer, error);
  if (status != STATUS_OK || answer == NULL) return status;
  const Arrow__Flight__Protocol__GetSessionOptionsResult *result = (void *)answer;
  for (size_t i = 0; i < result->n_session_options && status == STATUS_OK; i++)
    if (result->session_options[i]->value != NULL)
      status =
          each(context, result->session_options[i]->key, result->session_options[i]->value, error);
  protobuf_c_message_free_unpacked(answer, NULL);
  return status;
}

enum status flight_client_session_close(struct flight_client *client,
                                        const struct flight_call_options *options,
                                        struct error *error) {
  Arrow__Flight__Protocol__CloseSessionRequest request =
      ARROW__FLIGHT__PROTOCOL__CLOSE_SESSION_REQUEST__INIT;
  return flight_client_action_one(client, "CloseSession", &request.base, false, options, NULL, NULL,
                                  error);
}
