/* From HTTP/2's fields to the head that http_head.c reads: pseudo-fields become method, target
 * and `host`, crumbs of cookies become one cookie (RFC 9113, section 8.2.3).
 *
 * nghttp2 has checked before: names and values hold no bytes that fields may not hold,
 * pseudo-fields come first and once, and those that only make sense for HTTP/1.1's connections
 * are not there. */
#include <string.h>
#include <strings.h>

#include "net/grpc_status.h"
#include "net/http2_private.h"

enum {
  FIELD_OVERHEAD_BYTES = 4,     /* ": " and the line's end, as HTTP/1.1 would count them */
  CONTENT_TYPE_BYTES_MAX = 128, /* a longer one is not gRPC's */
};

void http2_fields_release(struct http2_fields *fields) {
  text_release(&fields->method);
  text_release(&fields->target);
  text_release(&fields->authority);
  text_release(&fields->cookie);
  text_release(&fields->pairs);
}

static bool is_named(const uint8_t *name, size_t name_bytes, const char *wanted) {
  return strlen(wanted) == name_bytes && memcmp(name, wanted, name_bytes) == 0;
}

static enum status add_pair(struct http2_fields *fields, const void *name, size_t name_bytes,
                            const void *value, size_t value_bytes, struct error *error) {
  struct text *pairs = &fields->pairs;
  enum status status = text_add_bytes(pairs, name, name_bytes, error);
  if (status == STATUS_OK) status = text_add_bytes(pairs, "", 1, error);
  if (status == STATUS_OK) status = text_add_bytes(pairs, value, value_bytes, error);
  if (status == STATUS_OK) status = text_add_bytes(pairs, "", 1, error);
  if (status == STATUS_OK) fields->count++;
  return status;
}

static enum status add_pseudo(struct http2_fields *fields, const uint8_t *name, size_t name_bytes,
                              const uint8_t *value, size_t value_bytes, struct error *error) {
  struct text *text = NULL;
  if (is_named(name, name_bytes, ":method")) text = &fields->method;
  if (is_named(name, name_bytes, ":path")) text = &fields->target;
  if (is_named(name, name_bytes, ":authority")) text = &fields->authority;
  if (text == NULL) return STATUS_OK; /* :scheme says what the socket knows better */
  return text_add_bytes(text, value, value_bytes, error);
}

/* Host beside :authority must say the same: nobody downstream may believe the other. */
static enum status add_host(struct http2_fields *fields, const uint8_t *value, size_t value_bytes,
                            struct error *error) {
  if (fields->has_host) {
    fields->host_differs = "there is more than one Host";
    return STATUS_OK;
  }
  fields->has_host = true;
  if (fields->authority.size_bytes == 0)
    return text_add_bytes(&fields->authority, value, value_bytes, error);
  if (fields->authority.size_bytes != value_bytes ||
      strncasecmp(text_get(&fields->authority), (const char *)value, value_bytes) != 0)
    fields->host_differs = "Host is not what :authority says";
  return STATUS_OK;
}

static enum status add_crumb(struct http2_fields *fields, const uint8_t *value, size_t value_bytes,
                             struct error *error) {
  enum status status = STATUS_OK;
  if (fields->cookie.size_bytes > 0) status = text_add(&fields->cookie, "; ", error);
  if (status == STATUS_OK) status = text_add_bytes(&fields->cookie, value, value_bytes, error);
  return status;
}

static bool is_grpc(const uint8_t *value, size_t value_bytes) {
  char text[CONTENT_TYPE_BYTES_MAX];
  memcpy(text, value, value_bytes);
  text[value_bytes] = '\0';
  return grpc_is_media_type(text);
}

enum status http2_fields_add(struct http2_fields *fields, const struct http_server_options *limits,
                             const uint8_t *name, size_t name_bytes, const uint8_t *value,
                             size_t value_bytes, struct error *error) {
  bool pseudo = name_bytes > 0 && name[0] == ':';
  fields->bytes += (int64_t)(name_bytes + value_bytes) + FIELD_OVERHEAD_BYTES;
  fields->fields += !pseudo;
  if (is_named(name, name_bytes, "content-type"))
    fields->is_grpc = value_bytes < CONTENT_TYPE_BYTES_MAX && is_grpc(value, value_bytes);
  if (fields->bytes > limits->header_bytes_max)
    return error_set(error, STATUS_TOO_LARGE,
                     "the request's head is longer than %lld bytes (http.header_bytes_max)",
                     (long long)limits->header_bytes_max);
  if (fields->fields > limits->header_count_max)
    return error_set(error, STATUS_TOO_LARGE,
                     "the request has more than %lld fields (http.header_count_max)",
                     (long long)limits->header_count_max);
  if (pseudo) return add_pseudo(fields, name, name_bytes, value, value_bytes, error);
  if (is_named(name, name_bytes, "host")) return add_host(fields, value, value_bytes, error);
  if (is_named(name, name_bytes, "cookie")) return add_crumb(fields, value, value_bytes, error);
  return add_pair(fields, name, name_bytes, value, value_bytes, error);
}

/* ---- the head ------------------------------------------------------------------------------- */

static enum status add_text(struct http_head *head, const char *text, struct error *error) {
  return http_head_add(head, text, strlen(text) + 1, error);
}

enum status http2_fields_stub(const struct http2_fields *fields, struct http_head *head,
                              struct error *error) {
  int code;
  http_head_release(head);
  const char *method = fields->method.size_bytes == 0 ? "GET" : text_get(&fields->method);
  if (strcmp(method, "CONNECT") == 0) method = "GET"; /* has no target that one could answer */
  enum status status = add_text(head, method, error);
  if (status == STATUS_OK) status = add_text(head, "/", error);
  if (status == STATUS_OK && fields->is_grpc) status = add_text(head, "content-type", error);
  if (status == STATUS_OK && fields->is_grpc) status = add_text(head, GRPC_MEDIA_TYPE, error);
  if (status == STATUS_OK)
    status = http_head_finish(head, fields->is_grpc ? 1 : 0, &code, error); /* as HTTP/1.0 */
  head->minor_version = 1;
  return status;
}

/* As strict as HTTP/1.1's parser: printable ASCII, and nothing that only a proxy is asked. */
static enum status check_target(const char *target, size_t bytes, int *code, struct error *error) {
  *code = 400;
  for (size_t i = 0; i < bytes; i++)
    if (target[i] <= ' ' || target[i] >= 0x7f)
      return error_set(error, STATUS_INVALID,
                       "there is a byte 0x%02x in the request's target (percent-encode it: it)",
                       (unsigned)(uint8_t)target[i]);
  if (bytes > 0 && target[0] != '/' && target[0] != '*')
    return error_set(error, STATUS_INVALID, "the request's target is no path");
  return STATUS_OK;
}

static enum status make_head(struct http2_fields *fields, struct http_head *head, int *code,
                             struct error *error) {
  static const char host[] = "host";
  static const char cookie[] = "cookie";
  enum status status =
      check_target(text_get(&fields->target), fields->target.size_bytes, code, error);
  if (status != STATUS_OK) return status;
  *code = status_http(STATUS_NOMEM);
  if (fields->authority.size_bytes > 0 || fields->has_host)
    status = add_pair(fields, host, sizeof host - 1, text_get(&fields->authority),
                      fields->authority.size_bytes, error);
  if (status == STATUS_OK && fields->cookie.size_bytes > 0)
    status = add_pair(fields, cookie, sizeof cookie - 1, text_get(&fields->cookie),
                      fields->cookie.size_bytes, error);
  if (status == STATUS_OK) status = add_text(head, text_get(&fields->method), error);
  if (status == STATUS_OK) status = add_text(head, text_get(&fields->target), error);
  if (status == STATUS_OK)
    status = http_head_add(head, text_get(&fields->pairs), fields->pairs.size_bytes, error);
  if (status != STATUS_OK) return status;
  head->minor_version = 1;
  return http_head_finish(head, fields->count, code, error);
}

enum status http2_fields_finish(struct http2_fields *fields, bool has_body, struct http_head *head,
                                int *code, struct error *error) {
  enum status status = STATUS_OK;
  if (fields->host_differs != NULL) {
    *code = 400;
    status = error_set(error, STATUS_INVALID, "%s", fields->host_differs);
  }
  if (status == STATUS_OK) status = make_head(fields, head, code, error);
  if (status == STATUS_OK && head->expects_unknown) {
    *code = 417;
    status = error_set(error, STATUS_UNSUPPORTED, "the only expectation met here is 100-continue");
  }
  if (status != STATUS_OK) return status;
  struct http_request *request = &head->request;
  if (!has_body)
    request->body_bytes = 0;
  else if (http_request_header(request, "content-length") == NULL)
    request->body_bytes = -1;
  return STATUS_OK;
}
