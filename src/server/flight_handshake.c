/* Handshake: a client says who it is and gets a token for its next calls.
 *
 * Two forms are in use. The newer one sends the header Authorization: admission.c has looked at it, and
 * the token goes back as the header `authorization: Bearer TOKEN`. The older one sends a BasicAuth as the
 * payload of its first message, and gets the token as the payload of the answer, to be sent in the header
 * auth-token-bin from then on. Whoever is let in already (this machine, while nothing is configured)
 * gets a token all the same: its client asks for one.
 *
 *   first message -> password checked (admission_login) -> answer
 *   end of the client's messages, and no payload came: the header's identity -> answer
 *   the call ends when the client has ended its side: an older client minds when it is cut short */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "server/flight.h"

enum { HANDSHAKE_BYTES_MAX = 64 << 10 }; /* of a message: a name and a password */

struct handshake {
  struct request request;
  struct grpc_call *grpc;
  struct buffer message;
  int64_t left_bytes;
  struct login *login; /* that is checked */
  bool answered, ended;
};

static void finish(struct handshake *handshake, enum status status, const struct error *error) {
  flight_finish(&handshake->request, handshake->grpc, status, error);
}

static void finish_ok(struct handshake *handshake) {
  const struct error none = {.status = STATUS_OK};
  finish(handshake, STATUS_OK, &none);
}

/* The token as header, and, for the older form, as payload. */
static void answer(struct handshake *handshake, const struct identity *who, bool payload) {
  struct request *request = &handshake->request;
  char token[FLIGHT_TOKEN_BYTES], header[FLIGHT_TOKEN_BYTES + 16];
  struct error error;
  request->call->who = who;
  enum status status =
      flight_login_add(request->server->flight->logins, request->config, who, token, &error);
  if (status != STATUS_OK) {
    finish(handshake, status, &error);
    return;
  }
  handshake->answered = true;
  snprintf(header, sizeof header, "Bearer %s", token);
  grpc_header(handshake->grpc, "authorization", header);
  if (payload) {
    Arrow__Flight__Protocol__HandshakeResponse response =
        ARROW__FLIGHT__PROTOCOL__HANDSHAKE_RESPONSE__INIT;
    uint8_t packed[FLIGHT_TOKEN_BYTES + 16];
    response.payload =
        (ProtobufCBinaryData){.data = (uint8_t *)token, .len = FLIGHT_TOKEN_BYTES - 1};
    grpc_send(handshake->grpc, packed, FLIGHT(handshake_response__pack)(&response, packed));
    OPENSSL_cleanse(packed, sizeof packed);
  }
  OPENSSL_cleanse(token, sizeof token);
  OPENSSL_cleanse(header, sizeof header);
}

static void on_verdict(void *context, const struct identity *who, const struct error *why) {
  struct handshake *handshake = context;
  handshake->login = NULL;
  if (who == NULL) {
    finish(handshake, why->status, why);
    return;
  }
  answer(handshake, who, true);
  if (handshake->ended) finish_ok(handshake);
}

/* The payload of the older form. */
static void check_payload(struct handshake *handshake, const ProtobufCBinaryData *payload) {
  struct error error;
  Arrow__Flight__Protocol__BasicAuth *basic =
      FLIGHT(basic_auth__unpack)(NULL, payload->len, payload->data);
  if (basic == NULL || basic->username[0] == '\0') {
    error_set(&error, STATUS_UNAUTHENTICATED,
              "the payload of the handshake is no BasicAuth with a name and a password");
    finish(handshake, STATUS_UNAUTHENTICATED, &error);
  } else {
    admission_login(handshake->request.call, basic->username, basic->password, on_verdict,
                    handshake, &handshake->login);
  }
  if (basic == NULL) return;
  OPENSSL_cleanse(basic->password, strlen(basic->password));
  FLIGHT(basic_auth__free_unpacked)(basic, NULL);
}

static bool is_nobody(const struct handshake *handshake) {
  return handshake->request.call->who == admission_nobody();
}

static enum status on_message(void *context) {
  struct handshake *handshake = context;
  struct buffer *message = &handshake->message;
  Arrow__Flight__Protocol__HandshakeRequest *request =
      FLIGHT(handshake_request__unpack)(NULL, (size_t)message->size_bytes, message->data);
  struct error error;
  if (request == NULL) {
    error_set(&error, STATUS_INVALID, "the request is no HandshakeRequest");
    finish(handshake, STATUS_INVALID, &error);
  } else if (handshake->answered || handshake->login != NULL) {
    /* One answer is all there is to say. */
  } else if (!is_nobody(handshake)) {
    answer(handshake, handshake->request.call->who, true);
  } else {
    check_payload(handshake, &request->payload);
  }
  if (request != NULL) {
    if (request->payload.len > 0) OPENSSL_cleanse(request->payload.data, request->payload.len);
    FLIGHT(handshake_request__free_unpacked)(request, NULL);
  }
  if (message->size_bytes > 0) OPENSSL_cleanse(message->data, (size_t)message->size_bytes);
  message->size_bytes = 0;
  return STATUS_OK;
}

static void on_end(void *context) {
  struct handshake *handshake = context;
  struct error error;
  handshake->ended = true;
  if (handshake->login != NULL || grpc_finished(handshake->grpc)) return;
  if (!handshake->answered && is_nobody(handshake)) {
    error_set(&error, STATUS_UNAUTHENTICATED,
              "this server wants to know who asks: send a name and a password, as the header "
              "Authorization (Basic) or as the payload of the handshake");
    finish(handshake, STATUS_UNAUTHENTICATED, &error);
    return;
  }
  if (!handshake->answered) answer(handshake, handshake->request.call->who, false);
  finish_ok(handshake);
}

static enum status on_begin(void *context, int64_t bytes) {
  struct handshake *handshake = context;
  handshake->left_bytes = bytes;
  return STATUS_OK;
}

static enum status on_window(void *context, uint8_t **data, int64_t *bytes) {
  struct handshake *handshake = context;
  struct buffer *message = &handshake->message;
  struct error error;
  enum status status = buffer_reserve(message, &flight_uncounted,
                                      message->size_bytes + handshake->left_bytes, &error);
  if (status != STATUS_OK) {
    finish(handshake, status, &error);
    return STATUS_CANCELLED;
  }
  *data = message->data + message->size_bytes;
  *bytes = handshake->left_bytes;
  return STATUS_OK;
}

static enum status on_filled(void *context, int64_t bytes) {
  struct handshake *handshake = context;
  handshake->message.size_bytes += bytes;
  handshake->left_bytes -= bytes;
  return STATUS_OK;
}

static void on_gone(void *context, enum status status, const struct error *why) {
  struct handshake *handshake = context;
  (void)why;
  if (handshake->request.call != NULL) handshake->request.call->status = status;
}

static void handshake_finished(struct request *request) {
  struct handshake *handshake = (struct handshake *)request;
  if (handshake->login != NULL) admission_forget(handshake->login);
  grpc_call_free(handshake->grpc);
  buffer_release(&handshake->message);
  request_end(request);
  free(handshake);
}

void flight_handshake_start(struct call *call) {
  struct error error;
  if (!flight_is_call(call)) return;
  struct handshake *handshake = calloc(1, sizeof *handshake);
  if (handshake == NULL) {
    error_set(&error, STATUS_NOMEM, "no memory for a request");
    respond_problem(call->exchange, STATUS_NOMEM, &error);
    return;
  }
  request_begin(&handshake->request, call, handshake_finished);
  const struct grpc_call_options options = {.message_bytes_max = HANDSHAKE_BYTES_MAX,
                                            .client_streams = true,
                                            .budget = &call->server->budget};
  const struct grpc_handler handler = {
      .context = handshake,
      .begin = on_begin,
      .window = on_window,
      .filled = on_filled,
      .message = on_message,
      .end = on_end,
      .gone = on_gone,
  };
  enum status status = grpc_call_new(call->exchange, &options, &handler, call->server->loop,
                                     &handshake->grpc, &error);
  if (status == STATUS_OK) return;
  request_untie(&handshake->request);
  request_end(&handshake->request);
  free(handshake);
  respond_problem(call->exchange, status, &error);
}
