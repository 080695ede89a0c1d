/* The HTTP/1.1 parser: no input may crash it or make it read too far, and however the
 * input is cut into pieces, events, texts and body bytes are the same. The first byte
 * says how long the pieces are. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/http_parser.h"

enum { SEED = 0x811c9dc5, PRIME = 16777619 };

static uint64_t fold(uint64_t hash, const void *data, size_t bytes) {
  const uint8_t *at = data;
  for (size_t i = 0; i < bytes; i++) hash = (hash ^ at[i]) * PRIME;
  return hash;
}

static uint64_t fold_text(uint64_t hash, const char *text) {
  return fold(hash, text, strlen(text) + 1);
}

/* Everything the server looks at; what cannot be whole text crashes under ASan. */
static uint64_t fold_head(uint64_t hash, const struct http_head *head) {
  const struct http_request *request = &head->request;
  hash = fold_text(hash, request->method);
  hash = fold_text(hash, request->target);
  hash = fold_text(hash, request->path);
  hash = fold_text(hash, request->query);
  hash = fold_text(hash, request->host);
  for (size_t i = 0; i < request->header_count; i++) {
    hash = fold_text(hash, request->headers[i].name);
    hash = fold_text(hash, request->headers[i].value);
  }
  char *value = NULL;
  if (http_query_value(request->query, "q", &value, NULL) == STATUS_OK && value != NULL)
    hash = fold_text(hash, value);
  free(value);
  char *path = strdup(request->path);
  if (path != NULL && http_percent_decode(path, false)) hash = fold_text(hash, path);
  free(path);
  return fold(hash, &request->body_bytes, sizeof request->body_bytes);
}

static uint64_t run(const uint8_t *data, size_t bytes, size_t piece_bytes) {
  struct http_parser_limits limits = {.header_bytes_max = 512, .header_count_max = 8};
  struct http_parser parser;
  struct error error = {.text = ""};
  uint64_t hash = SEED;
  enum status status = STATUS_OK;
  http_parser_init(&parser, &limits);
  while (bytes > 0 && status == STATUS_OK) {
    /* A copy of its own, so that ASan sees a read past the piece. */
    size_t piece = piece_bytes < bytes ? piece_bytes : bytes;
    uint8_t *copy = malloc(piece);
    if (copy == NULL) abort();
    memcpy(copy, data, piece);
    size_t at = 0;
    enum http_event event = HTTP_EVENT_BODY;
    while (event != HTTP_EVENT_MORE && status == STATUS_OK) {
      size_t used = 0;
      status = http_parser_feed(&parser, copy + at, piece - at, &used, &event, &error);
      assert(used <= piece - at);
      at += used;
      if (status != STATUS_OK) break;
      struct http_head head = HTTP_HEAD_EMPTY;
      int64_t taken = http_parser_body_room(&parser);
      if (taken > (int64_t)(piece - at)) taken = (int64_t)(piece - at);
      if (event == HTTP_EVENT_HEAD) {
        http_parser_take_head(&parser, &head);
        hash = fold_head(fold_text(hash, "head"), &head);
        http_head_release(&head);
      } else if (event == HTTP_EVENT_BODY && taken > 0) {
        hash = fold(hash, copy + at, (size_t)taken);
        http_parser_body_took(&parser, taken);
        at += (size_t)taken;
      } else if (event == HTTP_EVENT_END) {
        hash = fold_text(hash, "end");
        http_parser_reset(&parser);
      } else {
        break;
      }
    }
    assert(status != STATUS_OK || at == piece);
    free(copy);
    data += piece;
    bytes -= piece;
  }
  int code = status == STATUS_OK ? 0 : http_parser_code(&parser);
  assert(status == STATUS_OK || code >= 400);
  http_parser_release(&parser);
  return fold_text(fold(hash, &code, sizeof code), error.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  if (bytes < 2) return 0;
  uint64_t whole = run(data + 1, bytes - 1, bytes - 1);
  size_t piece_bytes = (size_t)data[0] % 32 + 1;
  if (run(data + 1, bytes - 1, piece_bytes) != whole) abort();
  return 0;
}
