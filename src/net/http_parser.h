/* HTTP/1.1 requests from bytes: no sockets, no clock, no waiting (RFC 9112, RFC 9110).
 * Private to net/.
 *
 * Bytes go in by http_parser_feed, which stops at each event. The head (request line
 * and fields) is collected, since somebody has to hold it whole, in memory that grows
 * with what has arrived; a body is never touched: the parser says how many bytes of
 * it come next (http_parser_body_room), the caller takes them from wherever they are,
 * the receive buffer or the socket itself, and reports them by http_parser_body_took.
 *
 * Strict: what the grammar does not allow is refused, not repaired, because two
 * programs that repair differently see different requests (request smuggling). Any
 * way of cutting the same bytes into pieces gives the same events and errors. */
#ifndef ARROWPORT_NET_HTTP_PARSER_H
#define ARROWPORT_NET_HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "net/http_head.h"
#include "net/net.h"

enum {
  /* Endless request line: memory. Long enough for SQL in a query string. */
  HTTP_REQUEST_LINE_BYTES_MAX = 32 * 1024,
  /* Endless empty lines before a request: a connection that is never idle. */
  HTTP_EMPTY_LINES_MAX = 1,
  /* Endless size ("00000..."), and sizes that overflow: 15 digits stay below 2^60. */
  HTTP_CHUNK_SIZE_DIGITS_MAX = 15,
  /* Extensions on one-byte chunks: traffic that is counted nowhere. In one body. */
  HTTP_CHUNK_EXTENSION_BYTES_MAX = 4 * 1024,
  /* Endless trailers: they are read and dropped, and no limit on the head sees them. */
  HTTP_TRAILER_BYTES_MAX = 8 * 1024,
};

enum http_event {
  HTTP_EVENT_MORE, /* all bytes used, nothing happened: feed more */
  HTTP_EVENT_HEAD, /* the head is whole: http_parser_take_head */
  HTTP_EVENT_BODY, /* http_parser_body_room says how many bytes of body come next */
  HTTP_EVENT_END   /* the message is over; what follows is another's: http_parser_reset */
};

enum http_parser_state {
  PARSER_START, /* nothing of a request has come */
  PARSER_START_LF,
  PARSER_METHOD,
  PARSER_TARGET,
  PARSER_VERSION,
  PARSER_REQUEST_LF,
  PARSER_FIELD, /* at the first byte of a field line or of the empty line */
  PARSER_NAME,
  PARSER_VALUE_START,
  PARSER_VALUE,
  PARSER_VALUE_LF,
  PARSER_FIELDS_LF,
  PARSER_LENGTH_BODY,
  PARSER_CHUNK_SIZE,
  PARSER_CHUNK_EXTENSION,
  PARSER_CHUNK_SIZE_LF,
  PARSER_CHUNK_BODY,
  PARSER_CHUNK_CR,
  PARSER_CHUNK_LF,
  PARSER_END,
  PARSER_FAILED
};

struct http_parser_limits {
  int64_t header_bytes_max; /* of all field lines together: floods of headers */
  int64_t header_count_max; /* many tiny fields: time of those who look through them */
};

/* To be read by none but the functions below. */
struct http_parser {
  struct http_parser_limits limits;
  enum http_parser_state state;
  struct http_head head;
  int64_t line_bytes; /* of the request line, then of the field lines */
  int64_t header_count;
  int64_t extension_bytes; /* of all chunks */
  int64_t room_bytes;      /* of the body or the chunk still to come */
  int version_at;          /* matched characters of "HTTP/1.1" */
  int digits;              /* of a chunk's size */
  int empty_lines;
  bool trailer; /* the field states read trailers: checked, not kept */
  int code;     /* HTTP status of the failure */
};

void http_parser_init(struct http_parser *parser, const struct http_parser_limits *limits);
void http_parser_release(struct http_parser *parser);
/* Ready for the next message. */
void http_parser_reset(struct http_parser *parser);

/* Reads on in [data, data + bytes) up to the next event; `*used_bytes` says how many
 * bytes that took. May be called with no bytes, to learn of an END that is due.
 * STATUS_INVALID, STATUS_TOO_LARGE, STATUS_UNSUPPORTED: the message is broken and with
 * it the connection; http_parser_code is the answer. STATUS_NOMEM likewise. */
enum status http_parser_feed(struct http_parser *parser, const uint8_t *data, size_t bytes,
                             size_t *used_bytes, enum http_event *event,
                             struct error *error) WARN_UNUSED;

/* After HTTP_EVENT_HEAD: moves the head out to the caller. */
void http_parser_take_head(struct http_parser *parser, struct http_head *head);

/* How many bytes are certain to be body before anything else can come; 0 outside of a
 * body. http_parser_body_took reports that some of them (at most all) were taken. */
int64_t http_parser_body_room(const struct http_parser *parser);
void http_parser_body_took(struct http_parser *parser, int64_t bytes);

/* True when nothing of a message has come yet. */
bool http_parser_idle(const struct http_parser *parser);
/* The HTTP status code for the failure that http_parser_feed returned. */
int http_parser_code(const struct http_parser *parser);

#endif
