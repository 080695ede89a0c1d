/* A request's head: what its fields say about framing, host, target and the client's wishes.
 * HTTP/1.1's parser (http_parser.c) and HTTP/2 (http2.c) collect the text, http_head.c checks
 * and reads it. Private to net/. */
#ifndef ARROWPORT_NET_HTTP_HEAD_H
#define ARROWPORT_NET_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "net/net.h"

enum {
  /* Content-Length that overflows when something is added to it: below 10^18. */
  HTTP_LENGTH_DIGITS_MAX = 18,
};

/* A request's head, in memory of its own. */
struct http_head {
  char *text; /* method, target, name, value, name, value...: each with its NUL */
  size_t text_bytes;
  size_t text_capacity_bytes;
  char *parts; /* path, query and host cut out of the target */
  struct http_header *headers;
  struct http_request request; /* set when the head is whole; points into the rest */
  int minor_version;           /* 0 or 1 */
  bool keep_alive;             /* the client's wish, by version and Connection */
  bool expects_continue;
  bool expects_unknown; /* an Expect that nobody here knows: 417 */
};

#define HTTP_HEAD_EMPTY ((struct http_head){0}) /* valid, and safe to release */
void http_head_release(struct http_head *head);

/* Appends text to a head under construction: method, target, then name and value of each
 * field, names in lower case, each text with its NUL. STATUS_NOMEM. */
enum status http_head_add(struct http_head *head, const void *data, size_t bytes,
                          struct error *error) WARN_UNUSED;
/* Checks and reads the head once its text holds the method, the target and
 * `header_count` pairs. On failure `*code` is the HTTP status. */
enum status http_head_finish(struct http_head *head, int64_t header_count, int *code,
                             struct error *error) WARN_UNUSED;

/* RFC 9110, section 5.6.2: tchar. */
bool http_is_token_byte(uint8_t byte);

#endif
