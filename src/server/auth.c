#include "server/auth.h"

const struct identity IDENTITY_LOCAL = {.name = "local",
                                        .scopes = AUTH_READ | AUTH_WRITE | AUTH_ADMIN};

enum status auth_allow(const struct identity *who, unsigned scope, struct error *error) {
  if ((who->scopes & scope) == scope) return STATUS_OK;
  return error_set(error, STATUS_DENIED, "%s may not do this", who->name);
}
