#include "net/grpc_status.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/http_exchange.h"

/* ---- what comes ---------------------------------------------------------------------------- */

bool grpc_is_media_type(const char *value) {
  static const char base[] = GRPC_MEDIA_TYPE;
  static const char proto[] = "+proto";
  if (value == NULL || strncasecmp(value, base, sizeof base - 1) != 0) return false;
  const char *rest = value + sizeof base - 1;
  if (strncasecmp(rest, proto, sizeof proto - 1) == 0) rest += sizeof proto - 1;
  rest += strspn(rest, " \t");
  return *rest == '\0' || *rest == ';';
}

bool grpc_is_call(const struct http_exchange *exchange) {
  const struct http_request *request = &exchange->head.request;
  if (exchange->protocol->end_trailers == NULL || request->method == NULL) return false;
  return strcmp(request->method, "POST") == 0 &&
         grpc_is_media_type(http_request_header(request, "content-type"));
}

enum status grpc_encoding_parse(const char *value, enum grpc_encoding *encoding,
                                struct error *error) {
  *encoding = GRPC_IDENTITY;
  if (value == NULL || strcasecmp(value, "identity") == 0) return STATUS_OK;
  if (strcasecmp(value, "gzip") == 0) {
    *encoding = GRPC_GZIP;
  } else if (strcasecmp(value, "deflate") == 0) {
    *encoding = GRPC_DEFLATE;
  } else {
    return error_set(error, STATUS_UNSUPPORTED,
                     "grpc-encoding is one that is not known here; there are: " GRPC_ENCODINGS);
  }
  return STATUS_OK;
}

enum status grpc_timeout_parse(const char *value, int64_t *timeout_ms, struct error *error) {
  enum { DIGITS_MAX = 8 };
  static const struct {
    char unit;
    int64_t times, parts; /* of a millisecond */
  } units[] = {{'H', 3600000, 1}, {'M', 60000, 1}, {'S', 1000, 1},
               {'m', 1, 1},       {'u', 1, 1000},  {'n', 1, 1000000}};
  *timeout_ms = -1;
  if (value == NULL) return STATUS_OK;
  size_t digits = strspn(value, "0123456789");
  bool formed =
      digits > 0 && digits <= DIGITS_MAX && value[digits] != '\0' && value[digits + 1] == '\0';
  int64_t number = 0;
  for (size_t i = 0; formed && i < digits; i++) number = number * 10 + (value[i] - '0');
  for (size_t i = 0; formed && i < sizeof units / sizeof units[0]; i++)
    if (units[i].unit == value[digits])
      *timeout_ms = (number * units[i].times + units[i].parts - 1) / units[i].parts;
  if (*timeout_ms >= 0) return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "grpc-timeout is %.20s; write up to %d digits and one of the units H, M, S, m, "
                   "u and n",
                   value, DIGITS_MAX);
}

/* ---- what goes ----------------------------------------------------------------------------- */

/* Printable ASCII but the percent sign stays as it is. */
static enum status add_encoded(struct text *out, const char *message) {
  enum status status = STATUS_OK;
  for (const char *at = message; *at != '\0' && status == STATUS_OK;) {
    size_t plain = 0;
    while (at[plain] >= ' ' && at[plain] <= '~' && at[plain] != '%') plain++;
    status = text_add_bytes(out, at, plain, NULL);
    at += plain;
    if (*at != '\0' && status == STATUS_OK)
      status = text_add_format(out, NULL, "%%%02X", (unsigned)(unsigned char)*at++);
  }
  return status;
}

void grpc_end_init(struct grpc_end *end, enum status status, const struct error *error) {
  *end = (struct grpc_end){
      .fields = {{"content-type", GRPC_MEDIA_TYPE}, {"grpc-accept-encoding", GRPC_ENCODINGS}},
      .head_count = 2,
      .count = 2};
  (void)snprintf(end->number, sizeof end->number, "%d", status_grpc(status));
  end->fields[end->count++] = (struct http_header){"grpc-status", end->number};
  if (status == STATUS_OK || error == NULL) return;
  if (add_encoded(&end->message, error->text) == STATUS_OK)
    end->fields[end->count++] = (struct http_header){"grpc-message", text_get(&end->message)};
  if (error->retry_after_ms <= 0) return;
  (void)snprintf(end->pushback, sizeof end->pushback, "%d", error->retry_after_ms);
  end->fields[end->count++] = (struct http_header){"grpc-retry-pushback-ms", end->pushback};
}

void grpc_end_release(struct grpc_end *end) { text_release(&end->message); }

void grpc_refuse(struct http_exchange *exchange, enum status status, const struct error *error) {
  struct grpc_end end;
  grpc_end_init(&end, status, error);
  http_end_trailers(exchange, end.fields, end.count);
  if (!exchange->over) exchange->code = status_http(status);
  grpc_end_release(&end);
}
