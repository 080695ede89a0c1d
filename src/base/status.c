#include "base/status.h"

#include <stdio.h>
#include <string.h>

static const struct {
  const char *name;
  int http, grpc, exit;
  const char *meaning;
} table[] = {
#define X(name, http, grpc, exit, meaning) {#name, http, grpc, exit, meaning},
    STATUS_TABLE(X)
#undef X
};

enum status error_set(struct error *error, enum status status, const char *format, ...) {
  if (error == NULL) return status;
  error->status = status;
  error->retry_after_ms = status == STATUS_BUDGET || status == STATUS_UNAVAILABLE ? 1000 : 0;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->text, sizeof error->text, format, arguments);
  va_end(arguments);
  return status;
}

void error_at(struct error *error, const char *format, ...) {
  if (error == NULL) return;
  char before[ERROR_TEXT_BYTES];
  memcpy(before, error->text, sizeof before);
  va_list arguments;
  va_start(arguments, format);
  int used = vsnprintf(error->text, sizeof error->text, format, arguments);
  va_end(arguments);
  if (used < 0 || (size_t)used >= sizeof error->text) return; /* the place alone fills it */
  size_t left = sizeof error->text - (size_t)used;
  snprintf(error->text + used, left, ": %.*s", (int)left, before);
}

const char *status_name(enum status status) { return table[status].name; }
const char *status_meaning(enum status status) { return table[status].meaning; }
int status_http(enum status status) { return table[status].http; }
int status_grpc(enum status status) { return table[status].grpc; }
int status_exit(enum status status) { return table[status].exit; }
