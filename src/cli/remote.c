#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/cli.h"

enum { PROBLEM_BYTES_MAX = 64 * 1024, ANSWER_BYTES_MAX = 64 << 20 };

enum status remote_open(const struct cli *cli, const struct server_config *config,
                        struct remote *remote, struct error *error) {
  *remote = (struct remote){.url = config->url};
  enum status status = http_client_new(&remote->client, error);
  if (status == STATUS_OK) status = remote_access(cli, remote, error);
  if (status != STATUS_OK) remote_close(remote);
  return status;
}

void remote_close(struct remote *remote) {
  http_client_free(remote->client);
  remote->client = NULL;
}

enum status remote_encode(struct text *path, const char *string, struct error *error) {
  enum status status = STATUS_OK;
  for (; *string != '\0' && status == STATUS_OK; string++) {
    unsigned char byte = (unsigned char)*string;
    if (isalnum(byte) || strchr("-._~", byte) != NULL)
      status = text_add_bytes(path, string, 1, error);
    else
      status = text_add_format(path, error, "%%%02X", byte);
  }
  return status;
}

enum status remote_status(const char *code) {
#define X(name, http, grpc, exit, meaning)                                                         \
  if (strcmp(code, #name) == 0) return STATUS_##name;
  STATUS_TABLE(X)
#undef X
  return STATUS_INTERNAL;
}

/* ---- answers that tell of an error -------------------------------------------------- */

/* An HTTP code of somebody who is no Arrowport, as near as it gets. */
static enum status status_of_code(int code) {
#define X(name, http, grpc, exit, meaning)                                                         \
  if (code == (http)) return STATUS_##name;
  STATUS_TABLE(X)
#undef X
  return code >= 500 ? STATUS_INTERNAL : STATUS_INVALID;
}

static enum status problem(int code, const struct text *body, const char *url,
                           struct error *error) {
  json_t *parsed = json_loadb(text_get(body), body->size_bytes, 0, NULL);
  const char *detail = json_string_value(json_object_get(parsed, "detail"));
  const char *name = json_string_value(json_object_get(parsed, "code"));
  enum status status = name == NULL ? status_of_code(code) : remote_status(name);
  if (status == STATUS_OK) status = STATUS_INTERNAL;
  if (detail != NULL && status == STATUS_UNAUTHENTICATED)
    error_set(error, status, "%s (--token-file, ARROWPORT_TOKEN, or --user)", detail);
  else if (detail != NULL)
    error_set(error, status, "%s", detail);
  else
    error_set(error, status, "%.200s answers %d, and not as an Arrowport server does; is it one?",
              url, code);
  json_decref(parsed);
  return status;
}

/* ---- requests -------------------------------------------------------------------------- */

struct exchange {
  const struct remote_request *request;
  struct text *answer;
  struct text problem;
};

static enum status on_body(void *context, void *room, size_t room_bytes, size_t *bytes,
                           struct error *error) {
  struct exchange *exchange = context;
  return exchange->request->read_body(exchange->request->context, room, room_bytes, bytes, error);
}

static enum status on_answer(void *context, int code, const void *data, size_t bytes,
                             struct error *error) {
  struct exchange *exchange = context;
  if (code >= 300) {
    size_t room = PROBLEM_BYTES_MAX - exchange->problem.size_bytes;
    return text_add_bytes(&exchange->problem, data, bytes < room ? bytes : room, error);
  }
  if (exchange->request->take != NULL)
    return exchange->request->take(exchange->request->context, data, bytes, error);
  if (exchange->answer == NULL) return STATUS_OK;
  if (bytes > ANSWER_BYTES_MAX - exchange->answer->size_bytes)
    return error_set(error, STATUS_TOO_LARGE, "the server's answer has more than %d bytes",
                     ANSWER_BYTES_MAX);
  return text_add_bytes(exchange->answer, data, bytes, error);
}

enum status remote_send(struct remote *remote, const struct remote_request *request,
                        struct text *answer, struct error *error) {
  struct exchange exchange = {.request = request, .answer = answer};
  struct text url = TEXT_EMPTY;
  struct http_header headers[3];
  size_t header_count = 0;
  int code = 0;
  if (request->content_type != NULL)
    headers[header_count++] = (struct http_header){"content-type", request->content_type};
  if (request->idempotency_key != NULL)
    headers[header_count++] = (struct http_header){"idempotency-key", request->idempotency_key};
  if (request->accept != NULL)
    headers[header_count++] = (struct http_header){"accept", request->accept};
  size_t base_bytes = strlen(remote->url);
  while (base_bytes > 0 && remote->url[base_bytes - 1] == '/') base_bytes--;
  enum status status =
      text_add_format(&url, error, "%.*s%s", (int)base_bytes, remote->url, request->path);
  if (status != STATUS_OK) goto done;
  struct http_client_request sent = {
      .method = request->method,
      .url = text_get(&url),
      .headers = headers,
      .header_count = header_count,
      .body = request->body,
      .body_bytes = request->body_bytes,
      .read_body = request->read_body == NULL ? NULL : on_body,
      .answer = on_answer,
      .context = &exchange,
  };
  status = http_client_send(remote->client, &sent, &code, error);
  if (status == STATUS_OK && code >= 300)
    status = problem(code, &exchange.problem, remote->url, error);
done:
  text_release(&url);
  text_release(&exchange.problem);
  return status;
}
