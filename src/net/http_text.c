/* Small texts of HTTP: status phrases, escapes, query strings, the HTTP/2 preface. */
#include <stdlib.h>
#include <string.h>

#include "net/http_text.h"

#include "net/net.h"

const char *http_phrase(int code) {
  static const struct {
    int code;
    const char *phrase;
  } phrases[] = {
      {100, "Continue"},
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {206, "Partial Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {411, "Length Required"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {415, "Unsupported Media Type"},
      {416, "Range Not Satisfiable"},
      {417, "Expectation Failed"},
      {421, "Misdirected Request"},
      {422, "Unprocessable Content"},
      {426, "Upgrade Required"},
      {428, "Precondition Required"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {499, "Client Closed Request"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {505, "HTTP Version Not Supported"},
      {507, "Insufficient Storage"},
  };
  for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
    if (phrases[i].code == code) return phrases[i].phrase;
  return "";
}

enum status http_problem(struct text *out, int code, const struct error *error) {
  enum status status = text_add_format(
      out, NULL,
      "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\",\"detail\":",
      http_phrase(code), code, status_name(error->status));
  if (status == STATUS_OK) status = text_add_json(out, error->text, strlen(error->text), NULL);
  if (status == STATUS_OK) status = text_add(out, "}\n", NULL);
  return status;
}

enum http2_preface http2_preface(const uint8_t *data, size_t bytes) {
  static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  size_t preface_bytes = sizeof preface - 1;
  size_t compared = bytes < preface_bytes ? bytes : preface_bytes;
  if (memcmp(data, preface, compared) != 0) return HTTP2_NO;
  return compared == preface_bytes ? HTTP2_YES : HTTP2_MAYBE;
}

static int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

bool http_percent_decode(char *text, bool plus_is_space) {
  char *out = text;
  for (const char *at = text; *at != '\0'; at++) {
    char byte = *at;
    if (byte == '+' && plus_is_space) byte = ' ';
    if (byte == '%') {
      int high = hex_value(at[1]);
      int low = high < 0 ? -1 : hex_value(at[2]);
      if (low < 0 || high + low == 0) return false;
      byte = (char)(high * 16 + low);
      at += 2;
    }
    *out++ = byte;
  }
  *out = '\0';
  return true;
}

/* A decoded copy of `bytes` of `text`; `*bad` when it cannot be decoded. NULL: no memory. */
static char *decoded(const char *text, size_t bytes, bool *bad) {
  char *copy = strndup(text, bytes);
  *bad = copy != NULL && !http_percent_decode(copy, true);
  return copy;
}

enum status http_query_value(const char *query, const char *name, char **value,
                             struct error *error) {
  *value = NULL;
  for (const char *at = query; *at != '\0'; at += *at == '&') {
    size_t pair_bytes = strcspn(at, "&");
    size_t name_bytes = strcspn(at, "=&");
    bool bad;
    char *found = decoded(at, name_bytes, &bad);
    if (found == NULL) return error_set(error, STATUS_NOMEM, "no memory for a query string");
    bool same = !bad && strcmp(found, name) == 0;
    free(found);
    const char *text = at + name_bytes + (at[name_bytes] == '=');
    at += pair_bytes;
    if (!same) continue;
    *value = decoded(text, (size_t)(at - text), &bad);
    if (*value == NULL) return error_set(error, STATUS_NOMEM, "no memory for a query string");
    if (!bad) return STATUS_OK;
    free(*value);
    *value = NULL;
    return error_set(error, STATUS_INVALID,
                     "the query parameter %s is not properly percent-encoded", name);
  }
  return STATUS_OK;
}
