/* What a head's fields say: framing, host, target, the client's wishes.
 *
 * Everything by which two programs could come to see two different requests in the
 * same bytes is refused here: repeated or malformed lengths, a length beside a
 * transfer coding, codings that are not plain `chunked`, more than one host. */
#include "net/http_head.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEAD_TEXT_BYTES_MIN = 512 };

bool http_is_token_byte(uint8_t byte) {
  static const char others[] = "!#$%&'*+-.^_`|~";
  if ((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z'))
    return true;
  return byte != 0 && strchr(others, byte) != NULL;
}

void http_head_release(struct http_head *head) {
  free(head->text);
  free(head->parts);
  free(head->headers);
  *head = HTTP_HEAD_EMPTY;
}

enum status http_head_add(struct http_head *head, const void *data, size_t bytes,
                          struct error *error) {
  size_t needed_bytes = head->text_bytes + bytes; /* both are bounded by what arrived */
  if (needed_bytes > head->text_capacity_bytes) {
    size_t capacity_bytes = head->text_capacity_bytes;
    if (capacity_bytes == 0) capacity_bytes = HEAD_TEXT_BYTES_MIN;
    while (capacity_bytes < needed_bytes) capacity_bytes *= 2;
    char *text = realloc(head->text, capacity_bytes);
    if (text == NULL)
      return error_set(error, STATUS_NOMEM, "no memory for a request's head of %zu bytes",
                       capacity_bytes);
    head->text = text;
    head->text_capacity_bytes = capacity_bytes;
  }
  if (bytes > 0) memcpy(head->text + head->text_bytes, data, bytes);
  head->text_bytes = needed_bytes;
  return STATUS_OK;
}

/* Failures set `*code`, then say why. */
static enum status invalid(int *code, struct error *error, const char *what) {
  *code = 400;
  return error_set(error, STATUS_INVALID, "%s", what);
}

size_t http_request_header_count(const struct http_request *request, const char *name) {
  size_t count = 0;
  for (size_t i = 0; i < request->header_count; i++)
    count += strcmp(request->headers[i].name, name) == 0;
  return count;
}

const char *http_request_header(const struct http_request *request, const char *name) {
  for (size_t i = 0; i < request->header_count; i++)
    if (strcmp(request->headers[i].name, name) == 0) return request->headers[i].value;
  return NULL;
}

/* Points `headers` at the names and values, which lie one after the other. */
static enum status index_headers(struct http_head *head, size_t count, int *code,
                                 struct error *error) {
  struct http_header *headers = calloc(count == 0 ? 1 : count, sizeof *headers);
  if (headers == NULL) {
    *code = status_http(STATUS_NOMEM);
    return error_set(error, STATUS_NOMEM, "no memory for %zu fields", count);
  }
  head->headers = headers;
  const char *at = head->request.target + strlen(head->request.target) + 1;
  for (size_t i = 0; i < count; i++) {
    headers[i].name = at;
    at += strlen(at) + 1;
    headers[i].value = at;
    at += strlen(at) + 1;
  }
  head->request.headers = headers;
  head->request.header_count = count;
  return STATUS_OK;
}

/* ---- framing (RFC 9112, section 6) ---------------------------------------------- */

static enum status read_length(const char *value, int64_t *length, int *code, struct error *error) {
  size_t digits = strspn(value, "0123456789");
  if (digits == 0 || value[digits] != '\0')
    return invalid(code, error, "Content-Length is not one number in decimal digits");
  if (digits > HTTP_LENGTH_DIGITS_MAX) {
    *code = 413;
    return error_set(error, STATUS_TOO_LARGE, "Content-Length has %zu digits", digits);
  }
  *length = 0;
  for (size_t i = 0; i < digits; i++) *length = *length * 10 + (value[i] - '0');
  return STATUS_OK;
}

static enum status read_framing(struct http_head *head, int *code, struct error *error) {
  struct http_request *request = &head->request;
  const char *length = http_request_header(request, "content-length");
  const char *coding = http_request_header(request, "transfer-encoding");
  if (http_request_header_count(request, "content-length") > 1)
    return invalid(code, error, "there is more than one Content-Length");
  if (http_request_header_count(request, "transfer-encoding") > 1)
    return invalid(code, error, "there is more than one Transfer-Encoding");
  if (length != NULL && coding != NULL)
    return invalid(code, error, "there are both a Content-Length and a Transfer-Encoding");
  if (length != NULL) return read_length(length, &request->body_bytes, code, error);
  request->body_bytes = 0;
  if (coding == NULL) return STATUS_OK;
  if (head->minor_version == 0) return invalid(code, error, "HTTP/1.0 knows no Transfer-Encoding");
  if (strcasecmp(coding, "chunked") != 0) {
    *code = 501;
    return error_set(error, STATUS_UNSUPPORTED,
                     "the only Transfer-Encoding understood here is chunked");
  }
  request->body_bytes = -1;
  return STATUS_OK;
}

/* ---- host and target (RFC 9112, section 3.2) ------------------------------------ */

/* uri-host [":" port], without looking into its parts. */
static bool is_authority(const char *text, size_t bytes) {
  static const char allowed[] = "-._~!$&'()*+,;=:[]%";
  for (size_t i = 0; i < bytes; i++) {
    char byte = text[i];
    bool plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                 (byte >= 'A' && byte <= 'Z');
    if (!plain && strchr(allowed, byte) == NULL) return false;
  }
  return true;
}

static enum status check_host(struct http_head *head, int *code, struct error *error) {
  size_t count = http_request_header_count(&head->request, "host");
  if (count > 1) return invalid(code, error, "there is more than one Host");
  if (count == 0 && head->minor_version == 1)
    return invalid(code, error, "HTTP/1.1 requires a Host");
  const char *host = http_request_header(&head->request, "host");
  if (host != NULL && !is_authority(host, strlen(host)))
    return invalid(code, error, "Host is not a host and a port");
  return STATUS_OK;
}

/* The part of an absolute target that names the host; NULL for other forms. */
static const char *authority_of(const char *target) {
  if (strncasecmp(target, "http://", 7) == 0) return target + 7;
  if (strncasecmp(target, "https://", 8) == 0) return target + 8;
  return NULL;
}

/* Where path and query begin in the target. An absolute target's host must be the one
 * that Host names, so that nobody downstream can believe the other. */
static enum status find_path(const struct http_request *request, const char **path, int *code,
                             struct error *error) {
  const char *target = request->target;
  *path = target;
  if (strcmp(request->method, "CONNECT") == 0) {
    *code = 501;
    return error_set(error, STATUS_UNSUPPORTED, "this is no proxy: CONNECT is not supported");
  }
  if (target[0] == '/') return STATUS_OK;
  if (strcmp(target, "*") == 0 && strcmp(request->method, "OPTIONS") == 0) return STATUS_OK;
  const char *authority = authority_of(target);
  if (authority == NULL)
    return invalid(code, error, "the request's target is neither a path nor a URL");
  size_t bytes = strcspn(authority, "/?");
  if (bytes == 0 || !is_authority(authority, bytes))
    return invalid(code, error, "the URL in the request line has no plain host");
  const char *host = http_request_header(request, "host");
  if (host != NULL && (strlen(host) != bytes || strncasecmp(host, authority, bytes) != 0))
    return invalid(code, error, "Host is not the host in the request line");
  *path = authority + bytes;
  return STATUS_OK;
}

/* ---- the client's wishes --------------------------------------------------------- */

/* True when the comma-separated `list` holds `token`. */
static bool has_token(const char *list, const char *token) {
  size_t token_bytes = strlen(token);
  while (*list != '\0') {
    list += strspn(list, " \t,");
    size_t bytes = strcspn(list, ",");
    size_t used = bytes;
    while (used > 0 && (list[used - 1] == ' ' || list[used - 1] == '\t')) used--;
    if (used == token_bytes && strncasecmp(list, token, used) == 0) return true;
    list += bytes;
  }
  return false;
}

static void read_wishes(struct http_head *head) {
  const struct http_request *request = &head->request;
  head->keep_alive = head->minor_version == 1;
  bool close = false;
  for (size_t i = 0; i < request->header_count; i++) {
    const struct http_header *header = &request->headers[i];
    if (strcmp(header->name, "connection") == 0) {
      if (has_token(header->value, "close")) close = true;
      if (has_token(header->value, "keep-alive")) head->keep_alive = true;
    } else if (strcmp(header->name, "expect") == 0 && head->minor_version == 1) {
      /* HTTP/1.0 knows no Expect (RFC 9110, section 10.1.1). */
      if (strcasecmp(header->value, "100-continue") == 0)
        head->expects_continue = true;
      else
        head->expects_unknown = true;
    }
  }
  if (close) head->keep_alive = false;
}

/* Path, query and, where only the target names it, host, in a copy: the target itself
 * stays as it was sent. */
static enum status split_target(struct http_head *head, const char *path, int *code,
                                struct error *error) {
  struct http_request *request = &head->request;
  const char *authority = path == request->target ? NULL : authority_of(request->target);
  size_t authority_bytes = authority == NULL ? 0 : (size_t)(path - authority);
  size_t path_bytes = strlen(path);
  head->parts = malloc(path_bytes + 1 + authority_bytes + 1);
  if (head->parts == NULL) {
    *code = status_http(STATUS_NOMEM);
    return error_set(error, STATUS_NOMEM, "no memory for a request's target");
  }
  memcpy(head->parts, path, path_bytes + 1);
  char *host = head->parts + path_bytes + 1;
  if (authority_bytes > 0) memcpy(host, authority, authority_bytes);
  host[authority_bytes] = '\0';

  char *query = head->parts + strcspn(head->parts, "?");
  if (*query == '?') *query++ = '\0';
  request->path = head->parts[0] == '\0' ? "/" : head->parts;
  request->query = query;
  request->host = http_request_header(request, "host");
  if (request->host == NULL) request->host = host;
  return STATUS_OK;
}

enum status http_head_finish(struct http_head *head, int64_t header_count, int *code,
                             struct error *error) {
  struct http_request *request = &head->request;
  request->method = head->text;
  request->target = head->text + strlen(head->text) + 1;
  const char *path = NULL;
  enum status status = index_headers(head, (size_t)header_count, code, error);
  if (status == STATUS_OK) status = check_host(head, code, error);
  if (status == STATUS_OK) status = read_framing(head, code, error);
  if (status == STATUS_OK) status = find_path(request, &path, code, error);
  if (status == STATUS_OK) status = split_target(head, path, code, error);
  if (status == STATUS_OK) read_wishes(head);
  return status;
}
