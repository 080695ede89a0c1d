/* What a server says of a call beside its messages: headers, trailers, RST_STREAM; and what status
 * they come to (grpc/grpc: doc/PROTOCOL-HTTP2.md, doc/http-grpc-status-mapping.md,
 * doc/statuscodes.md).
 *
 * Headers and trailers are kept in one list, in their order: names differ, and who asks for
 * grpc-status does not care in which of them it came. */
#include "net/grpc_client_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  FIELD_OVERHEAD_BYTES = 32, /* as SETTINGS_MAX_HEADER_LIST_SIZE counts */
  CODES = 17,
};

static const struct {
  const char *name;
  enum status status;
} GRPC_CODES[CODES] = {
    {"OK", STATUS_OK},
    {"CANCELLED", STATUS_CANCELLED},
    {"UNKNOWN", STATUS_UNKNOWN},
    {"INVALID_ARGUMENT", STATUS_INVALID},
    {"DEADLINE_EXCEEDED", STATUS_TIMEOUT},
    {"NOT_FOUND", STATUS_NOT_FOUND},
    {"ALREADY_EXISTS", STATUS_CONFLICT},
    {"PERMISSION_DENIED", STATUS_DENIED},
    {"RESOURCE_EXHAUSTED", STATUS_BUDGET},
    {"FAILED_PRECONDITION", STATUS_SCHEMA},
    {"ABORTED", STATUS_CONFLICT},
    {"OUT_OF_RANGE", STATUS_INVALID},
    {"UNIMPLEMENTED", STATUS_UNSUPPORTED},
    {"INTERNAL", STATUS_INTERNAL},
    {"UNAVAILABLE", STATUS_UNAVAILABLE},
    {"DATA_LOSS", STATUS_IO},
    {"UNAUTHENTICATED", STATUS_UNAUTHENTICATED},
};

enum status grpc_status_of(int code) {
  return code >= 0 && code < CODES ? GRPC_CODES[code].status : STATUS_UNKNOWN;
}

/* ---- fields -------------------------------------------------------------------------------- */

static enum status parse_code(struct grpc_client_call *call, const uint8_t *value, size_t bytes) {
  call->http_code = 0;
  for (size_t i = 0; i < bytes && i < 3; i++) /* nghttp2 has seen that they are digits */
    call->http_code = call->http_code * 10 + (value[i] - '0');
  return STATUS_OK;
}

enum status grpc_answer_field(struct grpc_client_call *call, const uint8_t *name, size_t name_bytes,
                              const uint8_t *value, size_t value_bytes, struct error *error) {
  if (name_bytes == 7 && memcmp(name, ":status", 7) == 0)
    return parse_code(call, value, value_bytes);
  size_t bytes = name_bytes + value_bytes + FIELD_OVERHEAD_BYTES;
  if (bytes > GRPC_FIELDS_BYTES_MAX - call->field_bytes)
    return error_set(error, STATUS_TOO_LARGE,
                     "the headers of the server's answer are larger than %d KiB",
                     GRPC_FIELDS_BYTES_MAX >> 10);
  if (call->field_count == call->field_room) {
    size_t room = call->field_room == 0 ? 8 : 2 * call->field_room;
    struct grpc_field *fields = realloc(call->fields, room * sizeof *fields);
    if (fields == NULL) return error_set(error, STATUS_NOMEM, "no memory for an answer's headers");
    call->fields = fields;
    call->field_room = room;
  }
  char *text = malloc(name_bytes + value_bytes + 2);
  if (text == NULL) return error_set(error, STATUS_NOMEM, "no memory for an answer's headers");
  struct grpc_field *field = &call->fields[call->field_count++];
  field->name = text;
  field->value = text + name_bytes + 1;
  memcpy(field->name, name, name_bytes);
  field->name[name_bytes] = '\0';
  if (value_bytes > 0) memcpy(field->value, value, value_bytes);
  field->value[value_bytes] = '\0';
  call->field_bytes += bytes;
  return STATUS_OK;
}

void grpc_answer_release(struct grpc_client_call *call) {
  for (size_t i = 0; i < call->field_count; i++) free(call->fields[i].name);
  free(call->fields);
  call->fields = NULL;
  call->field_count = call->field_room = call->field_bytes = 0;
}

const char *grpc_client_header_at(const struct grpc_client_call *call, const char *name, size_t n) {
  for (size_t i = 0; i < call->field_count; i++)
    if (strcmp(call->fields[i].name, name) == 0 && n-- == 0) return call->fields[i].value;
  return NULL;
}

const char *grpc_client_header(const struct grpc_client_call *call, const char *name) {
  return grpc_client_header_at(call, name, 0);
}

/* ---- statuses ------------------------------------------------------------------------------ */

void grpc_call_end(struct grpc_client_call *call, enum status status, const char *format, ...) {
  if (call->ended) return;
  char text[ERROR_TEXT_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  call->ended = true;
  (void)error_set(&call->end, status, "%s", text);
}

static int hex(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

/* grpc-message: what is no valid %XX stays as it is, as the protocol asks. */
static void decode_percent(const char *value, char *text, size_t room_bytes) {
  size_t at = 0;
  while (*value != '\0' && at + 1 < room_bytes) {
    int high = value[0] == '%' ? hex(value[1]) : -1;
    int low = high >= 0 ? hex(value[2]) : -1;
    char byte = low >= 0 ? (char)(high * 16 + low) : *value;
    value += low >= 0 ? 3 : 1;
    text[at++] = byte == '\0' ? '?' : byte; /* a NUL would hide the rest */
  }
  text[at] = '\0';
}

/* At most nine digits; -1: no such number. */
static int number_of(const char *text) {
  int number = 0;
  size_t digits = 0;
  for (; text[digits] >= '0' && text[digits] <= '9' && digits < 9; digits++)
    number = number * 10 + (text[digits] - '0');
  return digits == 0 || text[digits] != '\0' ? -1 : number;
}

static void end_by_fields(struct grpc_client_call *call, const char *code_text) {
  int code = number_of(code_text);
  const char *message = grpc_client_header(call, "grpc-message");
  const char *pushback = grpc_client_header(call, "grpc-retry-pushback-ms");
  char text[ERROR_TEXT_BYTES] = "";
  if (code == 0) {
    grpc_call_end(call, STATUS_OK, "done");
    return;
  }
  if (message != NULL) decode_percent(message, text, sizeof text);
  if (text[0] != '\0')
    grpc_call_end(call, grpc_status_of(code), "%s", text);
  else if (code > 0 && code < CODES)
    grpc_call_end(call, grpc_status_of(code), "the server answered %s and does not say why",
                  GRPC_CODES[code].name);
  else
    grpc_call_end(call, STATUS_UNKNOWN, "the server answered with the unknown status '%.40s'",
                  code_text);
  if (pushback != NULL && number_of(pushback) >= 0)
    call->end.retry_after_ms = number_of(pushback) > 0 ? number_of(pushback) : 1;
}

static enum status status_of_http(int code) {
  switch (code) {
  case 400: return STATUS_INTERNAL;
  case 401: return STATUS_UNAUTHENTICATED;
  case 403: return STATUS_DENIED;
  case 404: return STATUS_UNSUPPORTED;
  case 429:
  case 502:
  case 503:
  case 504: return STATUS_UNAVAILABLE;
  default: return STATUS_UNKNOWN;
  }
}

/* "application/grpc", perhaps with +proto or parameters. */
static bool is_grpc(const char *type) {
  static const char GRPC[] = "application/grpc";
  if (type == NULL || strncmp(type, GRPC, sizeof GRPC - 1) != 0) return false;
  char after = type[sizeof GRPC - 1];
  return after == '\0' || after == '+' || after == ';';
}

bool grpc_answer_head(struct grpc_client_call *call, bool last) {
  if (call->http_code < 200 && !call->head_over) { /* 1xx: the answer is still to come */
    grpc_answer_release(call);
    return true;
  }
  if (call->head_over) return true; /* trailers: seen when the stream is closed */
  call->head_over = true;
  if (last || grpc_client_header(call, "grpc-status") != NULL) return true;
  const char *type = grpc_client_header(call, "content-type");
  if (call->http_code != 200)
    grpc_call_end(call, status_of_http(call->http_code),
                  "the server answered HTTP %d without a status of gRPC", call->http_code);
  else if (!is_grpc(type))
    grpc_call_end(call, STATUS_UNKNOWN,
                  "the server answered with content of type '%.80s': it does not speak gRPC",
                  type == NULL ? "" : type);
  return !call->ended;
}

/* doc/PROTOCOL-HTTP2.md, "HTTP2 Transport Mapping: Errors". */
static void end_by_reset(struct grpc_client_call *call, uint32_t code) {
  const char *name = nghttp2_http2_strerror(code);
  switch (code) {
  case NGHTTP2_REFUSED_STREAM:
    call->unprocessed = true;
    grpc_call_end(call, STATUS_UNAVAILABLE,
                  "the server did not begin with the call (%s): it may be sent again", name);
    return;
  case NGHTTP2_CANCEL:
    grpc_call_end(call, STATUS_CANCELLED, "the server cancelled the call (%s)", name);
    return;
  case NGHTTP2_ENHANCE_YOUR_CALM:
    grpc_call_end(call, STATUS_BUDGET, "the server is overloaded (%s): try again later", name);
    return;
  case NGHTTP2_INADEQUATE_SECURITY:
    grpc_call_end(call, STATUS_DENIED, "the server wants better encryption (%s)", name);
    return;
  case NGHTTP2_STREAM_CLOSED:
    grpc_call_end(call, STATUS_UNKNOWN, "the server ended the call (%s)", name);
    return;
  default: grpc_call_end(call, STATUS_INTERNAL, "the server broke the call off (%s)", name);
  }
}

void grpc_answer_closed(struct grpc_client_call *call, uint32_t code) {
  if (call->ended) return;
  const char *status = grpc_client_header(call, "grpc-status");
  if (status != NULL)
    end_by_fields(call, status);
  else if (code != NGHTTP2_NO_ERROR)
    end_by_reset(call, code);
  else if (call->head_over && call->http_code != 200)
    grpc_call_end(call, status_of_http(call->http_code),
                  "the server answered HTTP %d without a status of gRPC", call->http_code);
  else
    grpc_call_end(call, STATUS_UNKNOWN,
                  "the server ended the call without saying how it went (no grpc-status)");
}
