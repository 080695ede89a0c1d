#include "server/private.h"

enum status throttle_new(struct throttle **throttle, struct error *error) {
  (void)error;
  *throttle = NULL;
  return STATUS_OK;
}

void throttle_free(struct throttle *throttle) { (void)throttle; }

void admission_start(struct call *call, void (*admitted)(struct call *call)) {
  struct error error;
  enum status status =
      access_check(http_exchange_request(call->exchange), http_exchange_peer(call->exchange),
                   call->config, http_server_port(call->server->http), &error);
  call->who = &IDENTITY_LOCAL;
  if (status == STATUS_OK)
    admitted(call);
  else
    respond_problem(call->exchange, status, &error);
}
